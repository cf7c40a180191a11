//! Several processes, and several threads, at one catalog.

use std::collections::BTreeSet;
use std::thread;

use seawall::catalog::{Filter, Outcome, Where};
use seawall::format::audit;

use super::child::Address;
use super::place::{self, Folder};
use super::rows::{at, begin, end, notice, open};
use crate::clusters::{Cluster, Options, Version};

const NAMES: [&str; 4] = ["one", "two", "three", "four"];

#[test]
fn processes_share_a_file() {
    let folder = Folder::new();
    processes(&Address::File(folder.file()));
}

#[test]
fn processes_share_a_database() {
    let cluster = Cluster::start(Version::V15, Options::default());
    place::database(&cluster, "together");
    processes(&Address::Connection(cluster.conninfo().replace("dbname=postgres", "dbname=together")));
}

fn processes(address: &Address) {
    let all = |what: &str| -> Vec<String> {
        let running: Vec<_> = NAMES.iter().map(|name| address.start(what, name)).collect();
        running.into_iter().flat_map(super::child::Running::finish).collect()
    };
    // All of them find no catalog, and make one.
    all("open");
    let catalog = open(&address.place());
    assert_eq!(catalog.history(&Filter::default()).expect("read").len(), 4);

    all("append");
    let links = catalog.links(1, 1000).expect("read");
    assert_eq!(links.len(), 200);
    audit::verify(&links, &[]).expect("one chain");
    for name in NAMES {
        let own: Vec<&str> = links.iter().filter_map(|link| link.entry.what.strip_prefix(name)?.strip_prefix(' ')).collect();
        assert_eq!(own, (0..50).map(|number| number.to_string()).collect::<Vec<_>>(), "{name}");
    }

    all("decide");
    assert_eq!(catalog.memory("orders"), Ok((100, "100".into())));
    assert_eq!(catalog.undelivered("orders").expect("read").len(), 100);

    let more: Vec<String> = (0..200).map(|number| format!("more-{number}")).collect();
    let receivers: Vec<String> = (0..20).map(|number| format!("receiver-{number}")).collect();
    let more: Vec<_> = more.iter().enumerate().map(|(index, id)| notice(id, &receivers[index % 20], 0)).collect();
    catalog.queue(&more, at(0)).expect("queued");
    let sent = all("claim");
    assert_eq!(sent.len(), 300, "something was sent twice or never");
    assert_eq!(sent.iter().collect::<BTreeSet<_>>().len(), 300);

    // Who holds a job and is killed holds it no longer.
    let mut holder = address.start("hold", "one");
    assert_eq!(holder.next().as_deref(), Some("held"));
    assert!(catalog.try_lock("orders", "expire").expect("asked").is_none());
    holder.kill_9();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while catalog.try_lock("orders", "expire").expect("asked").is_none() {
        assert!(std::time::Instant::now() < deadline, "a dead process still holds it");
        thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn threads_share_one() {
    let folder = Folder::new();
    let catalog = open(&Where::Sqlite(folder.file()));
    thread::scope(|scope| {
        for name in NAMES {
            let catalog = &catalog;
            scope.spawn(move || {
                for number in 0..25 {
                    let run = begin(catalog, name, number);
                    end(catalog, run, Outcome::Succeeded, number + 1);
                }
            });
        }
    });
    assert_eq!(catalog.success_rate("orders", at(0)), Ok((100, 100)));
    catalog.check().expect("sound");
}
