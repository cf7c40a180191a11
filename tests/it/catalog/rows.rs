//! What a test puts into a catalog.

use seawall::catalog::{Catalog, End, NewRun, Outcome, QueuedNotice, RunId, Where, Why};
use seawall::format::audit::Entry;
use seawall::units::Instant;

/// A moment, by seconds.
pub(super) fn at(seconds: i64) -> Instant {
    Instant::from_second(1_790_000_000 + seconds).expect("a time")
}

pub(super) fn open(place: &Where) -> Catalog {
    Catalog::open(place).unwrap_or_else(|fault| panic!("{fault:?}"))
}

pub(super) fn new_run<'r>(policy: &'r str, job: &'r str, started: i64) -> NewRun<'r> {
    NewRun {
        policy,
        job,
        host: "db1",
        boot: Some("boot-1"),
        pid: 4711,
        why: Why::Due,
        owed_since: Some(at(started - 60)),
        started: at(started),
        digest: Some("sha256:abc"),
        commit: None,
    }
}

pub(super) fn begin(catalog: &Catalog, job: &str, started: i64) -> RunId {
    catalog.begin_run(&new_run("orders", job, started)).expect("begun")
}

pub(super) fn end(catalog: &Catalog, run: RunId, outcome: Outcome, ended: i64) {
    catalog.end_run(run, &End::with(outcome, at(ended))).expect("ended");
}

pub(super) fn notice<'n>(id: &'n str, receiver: &'n str, not_before: i64) -> QueuedNotice<'n> {
    QueuedNotice { id, policy: "orders", receiver, json: "{\"a\":1}", not_before: at(not_before) }
}

pub(super) fn entry(what: &str) -> Entry {
    Entry {
        at: at(0),
        policy: "orders".into(),
        host: "db1".into(),
        who: "root".into(),
        digest: None,
        commit: Some("0123abcd".into()),
        what: what.into(),
        kind: "backup.succeeded".into(),
        details: r#"{"bytes":1.50}"#.into(),
    }
}
