//! How fast; by hand: `cargo test --release --test it catalog::measure -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use seawall::catalog::{Catalog, Measured, Outcome, RECOVERY_POINT, Stretch};

use super::place::{self, Folder};
use super::rows::{at, begin, end, new_run, notice, open};
use crate::clusters::{Cluster, Options, Version};

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn timed(times: usize, mut work: impl FnMut()) -> Duration {
    median(
        (0..times)
            .map(|_| {
                let since = Instant::now();
                work();
                since.elapsed()
            })
            .collect(),
    )
}

/// The one of several that nothing came between.
fn fastest(mut work: impl FnMut()) -> Duration {
    (0..21).map(|_| timed(1, &mut work)).min().expect("some")
}

/// `run --due` with nothing due has 25 ms in all. The bound is loose: it is for debug builds on a machine that does other things.
#[test]
fn opening_and_asking_is_quick() {
    let folder = Folder::new();
    let place = folder.catalog();
    end(&open(&place), begin(&open(&place), "expire", 0), Outcome::Succeeded, 1);
    let writing = fastest(|| drop(open(&place).last_runs("orders").expect("read")));
    let reading = fastest(|| drop(Catalog::open_existing(&place).expect("opened").expect("there").last_runs("orders").expect("read")));
    println!("open, ask, close: {writing:?} for writing, {reading:?} for reading");
    assert!(writing < Duration::from_millis(25) && reading < Duration::from_millis(25), "{writing:?} {reading:?}");
}

/// Twenty times the rows take twenty times as long, and not four hundred times: a database that joins them in another order would.
#[test]
fn the_worst_of_a_year_costs_what_its_rows_cost() {
    let folder = Folder::new();
    let cluster = Cluster::start(Version::V15, Options::default());
    for place in [folder.catalog(), place::database(&cluster, "worst")] {
        let catalog = open(&place);
        for (policy, count) in [("few", 100), ("many", 2_000)] {
            for number in 0..count {
                let lost = Measured { name: RECOVERY_POINT, subject: "", value: (number * 7_919 % count) as f64 };
                catalog.measure(policy, &[lost], at(number)).expect("measured");
            }
        }
        let worst =
            |policy: &str, to: i64| catalog.worst(&[policy], RECOVERY_POINT, Stretch { from: at(0), to: at(to) }, 20).expect("asked");
        assert_eq!(worst("many", 2_000)["many"].len(), 20);
        let (few, many) = (fastest(|| drop(worst("few", 100))), fastest(|| drop(worst("many", 2_000))));
        println!("the worst of 100: {few:?}, of 2,000: {many:?}");
        assert!(many < few * 80, "{place:?}: {few:?} {many:?}");
    }
}

#[test]
#[ignore = "by hand"]
fn speed() {
    let folder = Folder::new();
    let cluster = Cluster::start(Version::V15, Options::default());
    for place in [folder.catalog(), place::database(&cluster, "speed")] {
        println!("-- {place:?}");
        let catalog = open(&place);
        for policy in 0..1000 {
            let policy = format!("policy-{policy:04}");
            for job in ["backups.nightly", "expire", "verify.weekly"] {
                let run = catalog.begin_run(&new_run(&policy, job, 0)).expect("begun");
                end(&catalog, run, Outcome::Succeeded, 1);
            }
        }
        println!("open, last_runs, close: {:?}", timed(51, || drop(open(&place).last_runs("policy-0500").expect("read"))));
        let reading = || drop(Catalog::open_existing(&place).expect("opened").expect("there").last_runs("policy-0500").expect("read"));
        println!("the same for reading: {:?}", timed(51, reading));
        println!("last_runs of 1,000 policies: {:?}", timed(11, || drop(catalog.last_runs_of_all().expect("read"))));
        println!("begin_run: {:?}", timed(51, || assert!(begin(&catalog, "expire", 0).to_string() != "0")));
        let measured: Vec<String> = (0..20).map(|number| format!("name-{number}")).collect();
        let measured: Vec<_> = measured.iter().map(|name| Measured { name, subject: "", value: 1.5 }).collect();
        let mut moment = 0;
        println!(
            "measure 20: {:?}",
            timed(51, || {
                moment += 1;
                catalog.measure("orders", &measured, at(moment)).expect("measured");
            })
        );
        let ids: Vec<String> = (0..10_000).map(|number| format!("id-{number}")).collect();
        let receivers: Vec<String> = (0..10).map(|number| format!("receiver-{number}")).collect();
        let notices: Vec<_> = ids.iter().enumerate().map(|(index, id)| notice(id, &receivers[index % 10], 0)).collect();
        let since = Instant::now();
        assert_eq!(catalog.decide("orders", 0, "{}", &notices, at(0)), Ok(true));
        println!("decide with 10,000 notices: {:?}", since.elapsed());
        let since = Instant::now();
        let claimed = catalog.claim(&["orders"], at(1), 100, at(60), "me").expect("claimed");
        println!("claim {} of them: {:?}", claimed.len(), since.elapsed());
        assert_eq!(claimed.len(), 100);
        claimed.iter().for_each(|one| catalog.delivered(&one.id, at(2), None).expect("noted"));
        let since = Instant::now();
        println!("claim {} more: {:?}", catalog.claim(&["orders"], at(3), 100, at(60), "me").expect("claimed").len(), since.elapsed());
        let since = Instant::now();
        for _ in 0..100 {
            catalog.append(&super::rows::entry("x")).expect("appended");
        }
        println!("append: {:?}", since.elapsed() / 100);
    }
}
