//! A fleet whose stores do not answer: a look waits for them once, all of them at the same time, and says of each policy what it heard.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use seawall::catalog::{Catalog, Where};
use serde_json::Value;

use crate::cli::{Room, finish};

/// So many policies of each kind.
const SHARING: usize = 20;
const ALONE: usize = 20;
const REFUSED: usize = 10;

/// Takes every connection, and never says a word.
struct Mute {
    port: u16,
    heard: Arc<AtomicUsize>,
}

impl Mute {
    fn listen() -> Mute {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let (port, heard) = (listener.local_addr().expect("its address").port(), Arc::new(AtomicUsize::new(0)));
        let counted = heard.clone();
        // It ends with the process.
        std::thread::spawn(move || {
            let mut open = Vec::new();
            for client in listener.incoming().flatten() {
                counted.fetch_add(1, Ordering::SeqCst);
                open.push(client);
            }
        });
        Mute { port, heard }
    }
}

fn policy(name: &str, bucket: &str, port: u16) -> String {
    format!(
        "version: 1\npolicy: {name}\nowner: dba@example.com\ncluster: {{ connection: host=127.0.0.1 port=1 }}\n\
         stores: {{ main: {{ s3: {{ bucket: {bucket}, prefix: {name}, region: r, endpoint: \"http://127.0.0.1:{port}\", path_style: true }} }} }}\n\
         encryption: {{ none: {{ because: a test }} }}\nwal: {{ store: main, timeout: 60s, keep: 7d }}\n\
         backups: {{ nightly: {{ physical: {{}}, schedule: {{ at: \"02:00\" }}, keep: {{ daily: 7 }} }} }}\n"
    )
}

#[test]
fn are_waited_for_once() {
    let (shared, others) = (Mute::listen(), Mute::listen());
    let [refusing] = crate::clusters::free_ports();
    let of = |number: usize| match number {
        ..SHARING => ("fleet".to_owned(), shared.port),
        number if number < SHARING + ALONE => (format!("own-{number}"), others.port),
        number => (format!("gone-{number}"), refusing),
    };
    let names: Vec<String> = (0..SHARING + ALONE + REFUSED).map(|number| format!("p{number:02}")).collect();
    let mut room = Room::new();
    for (number, name) in names.iter().enumerate() {
        let (bucket, port) = of(number);
        room = room.with(&format!("fleet/{name}.yaml"), policy(name, &bucket, port));
    }
    let mut command = room.command();
    command.args(["watch", "-p", "fleet", "--state", "state", "--host", "db-1"]);
    command.env("AWS_ACCESS_KEY_ID", "any").env("AWS_SECRET_ACCESS_KEY", "any");
    let began = Instant::now();
    let run = finish(&mut command, b"");
    let took = began.elapsed();
    assert_eq!(run.code, Some(0), "{}\n{}", run.stdout, run.stderr);
    // Each store is given half a minute; one after the other they would take ten times as long.
    assert!(took < Duration::from_secs(100), "{took:?}");
    assert_eq!((shared.heard.load(Ordering::SeqCst), others.heard.load(Ordering::SeqCst)), (1, ALONE));

    let catalog = Catalog::open(&Where::Sqlite(room.path().join("state/catalog.db"))).expect("a catalog");
    let asked: Vec<&str> = names.iter().map(String::as_str).collect();
    let kept = catalog.inventories(&asked).expect("what was seen");
    for (number, name) in names.iter().enumerate() {
        let seen: Value = serde_json::from_str(&kept[name].document).expect("JSON");
        let said = seen["stores"]["main"]["unknown"]["reason"].as_str().unwrap_or_else(|| panic!("{name}: {seen:#}"));
        let bucket = of(number).0;
        // In the same words, of its own place.
        assert!(said.contains(&format!("s3://{bucket}/{name}: ")), "{said}");
        let why = if number < SHARING + ALONE { "no answer within 30 s" } else { "no connection: " };
        assert!(said.contains(why), "{name}: {said}");
    }
}
