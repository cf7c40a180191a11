//! What is too old in the catalog goes with a look, once a day.

use seawall::catalog::{Catalog, Measured};
use seawall::units::Instant;

use super::rig::Run;

const DAY: i64 = 86_400;

/// Two hours of values, one a minute, that many days ago.
fn measure(run: &Run, days: i64) {
    let catalog = Catalog::open(run.catalog().place()).expect("a catalog");
    let first = Instant::now().as_second() - days * DAY;
    for minute in 0..120 {
        let at = Instant::from_second(first + minute * 60).expect("a moment");
        catalog.measure("try", &[Measured { name: "minutes", subject: "", value: 1.0 }], at).expect("measured");
    }
}

fn values(run: &Run) -> usize {
    run.catalog().series("try", "minutes", "", Instant::UNIX_EPOCH).expect("a series").len()
}

#[test]
fn what_is_too_old_goes_once_a_day() {
    let run = Run::new("", "");
    run.say(&["run", "nightly"]).ends_with_code(0);
    measure(&run, 5);
    run.say(&["watch"]).ends_with_code(0);
    let left = values(&run);
    assert!((2..=3).contains(&left), "one an hour stays: {left}");
    // Not with every look: the next time is tomorrow.
    measure(&run, 6);
    run.say(&["watch"]).ends_with_code(0);
    assert_eq!(values(&run), left + 120);

    // As if all of that had been three years ago.
    let ago = 1_000 * DAY;
    run.sql(&format!(
        "update runs set started = started - {ago}000000, ended = ended - {ago}000000; \
         update series set latest_value = latest_value - {ago} where name = 'pruned'"
    ));
    run.say(&["run", "nightly"]).ends_with_code(0);
    let links = run.catalog().links(1, 1000).expect("the chain").len();
    assert_eq!(run.history().len(), 4);
    // By a clock that no server agrees with, nothing goes.
    run.say_at("+2000d", &["watch"]).ends_with_code(0);
    assert_eq!((run.history().len(), values(&run)), (4, left + 120));
    run.say(&["watch"]).ends_with_code(0);
    assert_eq!(run.outcomes(), ["backups.nightly succeeded", "expire succeeded"]);
    assert!(values(&run) <= left + 3);
    assert_eq!(run.catalog().links(1, 1000).expect("the chain").len(), links);
    run.catalog().check().expect("sound");
}
