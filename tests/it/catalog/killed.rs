//! `kill -9` in the middle of writing: what was told as done is there, nothing is there by half, and the next process goes on.

use std::thread;
use std::time::Duration;

use seawall::catalog::{Catalog, Filter, Outcome};
use seawall::format::audit;

use super::child::Address;
use super::place::{self, Folder};
use super::rows::{at, end, open};
use crate::clusters::{Cluster, Options, Version};
use crate::faults::chance;

#[test]
fn nothing_is_half_recorded_in_sqlite() {
    let folder = Folder::new();
    rounds(&Address::File(folder.file()), chance::rounds(25, 400));
}

#[test]
fn nothing_is_half_recorded_in_postgresql() {
    let cluster = Cluster::start(Version::V15, Options::default());
    place::database(&cluster, "killed");
    rounds(&Address::Connection(cluster.conninfo().replace("dbname=postgres", "dbname=killed")), chance::rounds(10, 100));
}

fn rounds(address: &Address, rounds: usize) {
    let mut lot = chance::lot("killed while it writes");
    let mut interrupted = 0;
    for round in 0..rounds {
        let mut child = address.start("work", "backups.nightly");
        // The first rounds may hit the making of the tables; the others the work.
        let first = if round < 3 { None } else { child.next() };
        thread::sleep(Duration::from_micros(lot.below(60_000) as u64));
        let said: Vec<String> = first.into_iter().chain(child.kill_9()).collect();
        let catalog = open(&address.place());
        interrupted += prove(&catalog, &said);
    }
    assert!(interrupted > 0, "no run was ever interrupted: nothing was tested");
}

/// Gives how many runs were interrupted, and ends them.
fn prove(catalog: &Catalog, said: &[String]) -> usize {
    catalog.check().expect("sound");
    let runs = catalog.history(&Filter { limit: 100_000, ..Filter::default() }).expect("read");
    for told in said {
        let (run, seq) = told.split_once(' ').expect("run and link");
        let row = catalog.run(run.parse().expect("a number")).expect("read").expect("it was told as done");
        assert_eq!(row.outcome, Some(Outcome::Succeeded), "{told}");
        let link = &catalog.links(seq.parse().expect("a number"), 1).expect("read")[0];
        assert_eq!(link.entry.what, run, "{told}");
    }
    for row in &runs {
        let steps = catalog.steps_of(row.run).expect("read");
        let numbers: Vec<u32> = steps.iter().map(|step| step.number).collect();
        assert_eq!(numbers, (1..=steps.len() as u32).collect::<Vec<_>>(), "{row:?}");
        assert!(steps.iter().all(|step| step.ended.is_some() == step.outcome.is_some()));
        if row.outcome == Some(Outcome::Succeeded) {
            assert!(steps.len() == 3 && steps.iter().all(|step| step.ended.is_some()), "{row:?} {steps:?}");
        }
    }
    // Memory and notices are changed together.
    let (version, memory) = catalog.memory("orders").expect("read");
    assert_eq!(memory, if version == 0 { String::new() } else { version.to_string() });
    let queued = catalog.undelivered("orders").expect("read");
    let wanted: Vec<String> = (1..=version).flat_map(|number| [format!("{number}-a"), format!("{number}-b")]).take(1000).collect();
    assert_eq!(queued.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), wanted);
    // What was measured at one moment is there for all three or for none.
    let series = ["one", "two", "three"].map(|name| catalog.series("orders", name, "", at(0)).expect("read"));
    assert!(series[0] == series[1] && series[1] == series[2]);
    let links = catalog.links(1, 1_000_000).expect("read");
    let head = audit::verify(&links, &[]).expect("a whole chain");
    assert_eq!(head, catalog.head().expect("read"));
    let ended = runs.iter().filter(|row| row.outcome == Some(Outcome::Succeeded)).count();
    assert!(links.len() <= ended, "an entry for a run that did not end");

    let open_runs = catalog.abandoned("orders").expect("read");
    assert!(open_runs.len() <= 1, "{open_runs:?}");
    open_runs.iter().for_each(|one| end(catalog, one.run, Outcome::Lost, 0));
    assert!(catalog.last_runs("orders").expect("read").iter().all(|record| record.running.is_none()));
    open_runs.len()
}
