//! Five runners of two hosts, one catalog, and one store that fails each of them at some call.

use std::collections::BTreeSet;
use std::thread;

use seawall::catalog::{Outcome, RunRow};
use serde_json::Value;

use super::hosts::Fleet;
use super::rig::Said;
use crate::backup::rig::{Policy, daily, weekly};
use crate::faults::chance;
use crate::servers::receiver::Receiver;

const JOBS: [&str; 4] = ["backups.nightly", "backups.another", "verify.weekly", "expire"];
const RUNNERS: [(&str, &[&str]); 5] = [
    ("db-1", &["run", "--due"]),
    ("db-2", &["run", "nightly"]),
    ("db-1", &["run", "another"]),
    ("db-2", &["run", "expire"]),
    ("db-1", &["run", "verify.weekly"]),
];
/// What is over when it is tried again, and what is not.
const FAULTS: [(&str, u32); 8] = [
    ("transient", 20),
    ("timeout", 20),
    ("after-commit", 20),
    ("twice", 20),
    ("permanent", 0),
    ("transient", 0),
    ("after-commit", 0),
    ("revoked", 0),
];

/// What comes so often within an hour is not believed to be over at once.
const FLAPPING: usize = 4;

fn fleet(receiver: &Receiver) -> Fleet {
    let url = receiver.secret("url", &receiver.url("/told"));
    let fleet = Fleet::new(
        &Policy::default(),
        &format!(
            "verify: {{ weekly: {{ schedule: {{ {} }} }} }}\n\
             receivers: {{ hook: {{ webhook: {{ url: {{ file: {} }} }} }} }}\n\
             alerts: {{ routes: [{{ to: [hook] }}, {{ event: succeeded, to: [hook] }}] }}\n\
             expire: {{ brake: 100%, grace: 1h }}\n",
            weekly(),
            url.display()
        ),
    );
    fleet.run.change("keep: { daily: 7 }", "keep: { last: 2 }");
    fleet.run.change("keep: 7d }", "keep: 1h }");
    let another = format!("another: {{ physical: {{}}, schedule: {{ {} }}, keep: {{ last: 2 }}, takes: 1m }}", daily());
    fleet.run.change("backups: {", &format!("backups: {{ {another},"));
    fleet
}

#[test]
fn five_runners_on_a_store_that_fails() {
    let receiver = Receiver::open();
    let fleet = fleet(&receiver);
    fleet.say("db-1", &["run", "nightly"]).ends_with_code(0);
    let (rounds, mut lot) = (chance::rounds(3, 40), chance::lot("five_runners_on_a_store_that_fails"));
    for _ in 0..rounds {
        // What was marked in earlier rounds was marked long ago.
        fleet.run.rig.shell("find store/try-*/expiring -type f -exec touch -d '2 hours ago' {} + 2>/dev/null || true");
        let mut fault = || {
            let (kind, patience) = FAULTS[lot.below(FAULTS.len())];
            format!("nth={},kind={kind};patience={patience}", 1 + lot.below(60))
        };
        let runners = RUNNERS.map(|(host, words)| (host, words, fault()));
        let all: Vec<Said> = thread::scope(|scope| {
            let run = |(host, words, fault): &(&str, &[&str], String)| {
                Said::of(fleet.of_host(host, words).env("SEAWALL_TEST_FAULTS", fault).output().expect("seawall"))
            };
            let going: Vec<_> = runners.iter().map(|runner| scope.spawn(move || run(runner))).collect();
            going.into_iter().map(|one| one.join().expect("its words")).collect()
        });
        assert!(all.iter().all(|said| matches!(said.code, Some(0 | 1 | 75))), "{runners:?}: {all:#?}");
        let watched: Vec<Said> = thread::scope(|scope| {
            let looking = ["db-1", "db-2"].map(|host| scope.spawn(|| fleet.say(host, &["watch"])));
            looking.into_iter().map(|one| one.join().expect("its words")).collect()
        });
        assert!(watched.iter().all(|said| said.code == Some(0)), "{watched:#?}");
    }
    // The store is well again, and so is all else.
    for job in JOBS {
        fleet.say("db-1", &["run", job]).ends_with_code(0);
    }
    let said = fleet.say("db-2", &["watch"]).ends_with_code(0);
    if rounds < FLAPPING {
        said.says("nothing is wrong");
    }
    fleet.say("db-2", &["verify"]).ends_with_code(0);
    let runs = fleet.runs();
    for job in JOBS {
        // Also one that found another backup under way, and is tried again.
        let tried = runs.iter().filter(|run| run.job == job && run.outcome.is_some()).count();
        assert!(tried > rounds, "{job} had its turn in each round: {runs:#?}");
    }
    nothing_is_lost(&fleet, &runs);
    all_is_heard(&runs, &receiver);
}

/// What was made is there, or has gone because the rules let it go: once.
fn nothing_is_lost(fleet: &Fleet, runs: &[RunRow]) {
    let names = fleet.run.rig.objects("backups").into_iter();
    let there: BTreeSet<String> = names.filter_map(|name| Some(name.strip_suffix(".json")?.to_owned())).collect();
    let is_there = |id: &str| there.iter().any(|name| name.contains(id));
    let links = fleet.catalog().links(1, 1_000_000).expect("the chain");
    let said = |kind: &str, id: &str| links.iter().filter(|link| link.entry.kind == kind && link.entry.what.contains(id)).count();
    let mut gone = 0;
    for job in &JOBS[..2] {
        let mut made: Vec<&RunRow> = runs.iter().filter(|run| run.job == *job && run.backup.is_some()).collect();
        made.sort_by_key(|run| std::cmp::Reverse(run.run));
        for (newer, run) in made.iter().enumerate() {
            let id = run.backup.as_deref().unwrap_or_default();
            assert!(is_there(id) || newer >= 2, "{id} is one of the last two of {job}");
            if !is_there(id) {
                gone += 1;
                assert_eq!((said("expire.marked", id), said("expire.deleted", id)), (1, 1), "{id} of {job}");
                assert!(said("expire.deleting", id) >= 1, "{id} of {job}");
            }
        }
    }
    println!("{} backups are there, {gone} were let go", there.len());
}

/// Every success once, and of every failure its beginning and its end.
fn all_is_heard(runs: &[RunRow], receiver: &Receiver) {
    let told = receiver.bodies("/told");
    let of_kind = |kind: &str, words: &str| told.iter().filter(|body| body["kind"] == kind && body.to_string().contains(words)).count();
    for id in runs.iter().filter(|run| run.outcome == Some(Outcome::Succeeded)).filter_map(|run| run.backup.as_deref()) {
        assert_eq!(of_kind("event", id), 1, "{id}: {told:#?}");
    }
    let ids: Vec<&Value> = told.iter().map(|body| &body["id"]).collect();
    let once: BTreeSet<String> = ids.iter().map(ToString::to_string).collect();
    assert_eq!(once.len(), ids.len(), "nothing is told twice");
    for job in JOBS {
        let key = format!("\"failed:{job}\"");
        let (began, ended) = (of_kind("firing", &key), of_kind("resolved", &key));
        assert!(began == ended || began >= FLAPPING, "{job}: {began} {ended} {told:#?}");
    }
}
