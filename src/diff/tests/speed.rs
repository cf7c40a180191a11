//! Run by hand: `cargo test --release --lib diff::tests::speed -- --ignored --nocapture`.

use std::time::Instant;

use super::{daily, now};
use crate::diff::compare;
use crate::inventory::Observed;

#[test]
#[ignore = "a measurement"]
fn a_hundred_thousand_backups_take_less_than_a_second() {
    let text = "version: 1\npolicy: shop\ncluster: { connection: service=shop, databases: [a] }\nencryption: { none: { because: a measurement } }\nstores: { main: { local: { path: /srv/b } } }\nwal: { store: main, timeout: 60s, keep: 30d }\nbackups: { nightly: { physical: {}, schedule: { every: 15m }, keep: { last: 50000, daily: 30, yearly: 7 } } }\nholds: { a: { reason: x, backups: { job: nightly, from: 2020-01-01, to: 2021-01-01 } } }\n";
    let old = super::policy(text);
    let new = super::policy(
        &text
            .replace("last: 50000, daily: 30", "last: 100, daily: 30")
            .replace("to: 2021-01-01", "to: 2020-06-01")
            .replace("keep: 30d", "keep: 7d"),
    );
    let mut there = daily(100_000);
    if let Some(Observed::Known(store)) = there.stores.get_mut("main") {
        let newest = store.backups[0].started;
        for (ago, backup) in store.backups.iter_mut().enumerate() {
            backup.started = newest - jiff::SignedDuration::from_mins(15) * i32::try_from(ago).expect("few");
            backup.stopped = Some(backup.started + jiff::SignedDuration::from_mins(5));
        }
    }
    let begun = Instant::now();
    let diff = compare(Some(&old), Some(&new), Some(&there), now()).expect("both are there");
    let compared = begun.elapsed();
    let listed: usize = diff.consequences.iter().filter_map(|each| each.existing.as_ref()).map(|existing| existing.backups().len()).sum();
    let begun = Instant::now();
    let json = serde_json::to_string(&diff).expect("it has a form").len();
    eprintln!("{compared:?} for 100,000 backups, {listed} listed; {json} bytes of JSON in {:?}", begun.elapsed());
    assert!(listed > 40_000);
    assert!(compared.as_secs_f64() < 1.0 || cfg!(debug_assertions), "{compared:?}");
}

#[test]
#[ignore = "a measurement"]
fn one_policy_takes_little() {
    let text = super::mutation::EVERYTHING;
    let begun = Instant::now();
    let policies: Vec<_> = (0..100).map(|at| super::policy(&format!("{text}# {at}\n"))).collect();
    let read = begun.elapsed() / 100;
    let begun = Instant::now();
    for pair in policies.windows(2) {
        let diff = compare(Some(&pair[0]), Some(&pair[1]), None, now()).expect("both are there");
        assert!(diff.is_empty());
    }
    eprintln!("a policy is read in {read:?} and compared in {:?}", begun.elapsed() / 99);
}
