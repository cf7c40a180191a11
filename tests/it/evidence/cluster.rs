//! On a real server with an archive: what waits is what would be lost, and what was opened is on record.

use std::time::{Duration, Instant as Clock};

use seawall::units::Instant;

use crate::run::rig::Run;

fn point(run: &Run) -> Option<(f64, f64)> {
    let series = |name: &str| run.catalog().latest("try").expect("read").into_iter().find(|one| one.name == name).map(|one| one.value);
    series("recovery_point_seconds").zip(series("recovery_point_worst_seconds"))
}

#[test]
fn what_waits_would_be_lost_and_what_opens_is_known() {
    let run = Run::new("", "");
    let said = run.say(&["run", "backups.nightly"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    run.rig.cluster.sql("select pg_switch_wal()");
    let watch = || {
        let said = run.say(&["watch"]);
        assert_eq!(said.code, Some(0), "{said:?}");
    };
    // Everything is archived: nothing would be lost, however old the backup is.
    let began = Clock::now();
    loop {
        watch();
        let (lost, _) = point(&run).expect("a point");
        if lost == 0.0 {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{lost} s would be lost");
        std::thread::sleep(Duration::from_secs(1));
    }
    let latest = run.catalog().latest("try").expect("read");
    let value = |name: &str| latest.iter().find(|one| one.name == name).map(|one| one.value);
    assert!(value("wal_push_seconds").is_some_and(|seconds| (0.0..30.0).contains(&seconds)), "{latest:?}");
    let written: f64 = run.rig.cluster.sql("select pg_current_wal_lsn() - '0/0'::pg_lsn").parse().expect("a number");
    assert!(value("wal_position_bytes").is_some_and(|position| position > 0.0 && position <= written), "{latest:?}");
    assert!(value("identity_first_seen").is_some_and(|at| at > 0.0) && value("identity_opened").is_none(), "{latest:?}");

    // The archive is broken: what waits is lost, second by second.
    run.rig.shell_as_root("printf '#!/bin/sh\\nexit 1\\n' > archive && chmod 755 archive");
    run.rig.cluster.sql("create table lost (id int)");
    run.rig.cluster.sql("select pg_switch_wal()");
    std::thread::sleep(Duration::from_secs(4));
    watch();
    let (lost, worst) = point(&run).expect("a point");
    assert!((2.0..60.0).contains(&lost), "{lost}");
    assert!(worst >= lost, "{worst}");
    let hour = || Instant::now().as_second() / 3_600;
    let this = hour();
    run.rig.archive_into_store();
    // The archiver waits a minute after it has failed, unless there is more to do.
    run.rig.cluster.sql("insert into lost values (1)");
    run.rig.cluster.sql("select pg_switch_wal()");
    let began = Clock::now();
    loop {
        watch();
        let (now, kept) = point(&run).expect("a point");
        if now == 0.0 {
            assert!(kept >= lost || hour() != this, "the worst of the hour is kept: {kept}");
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(180), "{now} s would be lost");
        std::thread::sleep(Duration::from_secs(2));
    }

    // A real restore is a measurement, and proof that the identity still opens; a deep look is that as well.
    let opened = || run.catalog().latest("try").expect("read").into_iter().find(|one| one.name == "identity_opened");
    let target = run.rig.path("restored");
    let said = run.say(&["restore", "--yes", "--target", target.to_str().expect("text")]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let identity = std::fs::read_to_string(run.rig.path("identity.txt")).expect("an identity");
    let first = opened().expect("on record");
    assert!(identity.contains(&first.subject), "{first:?}");
    let report = std::fs::read(run.rig.path("state/policies/try/restore-report.json")).expect("a report");
    let report: seawall::execute::restore::Report = serde_json::from_slice(&report).expect("JSON");
    let measured = run.catalog().latest("try").expect("read").into_iter().find(|one| one.name == "recovered_bytes_per_second");
    assert_eq!(measured.map(|one| (one.subject, one.value)), report.rate().map(|rate| ("disk".to_owned(), rate.floor())));
    let said = run.say(&["verify", "--deep"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(opened().is_some_and(|second| second.value > first.value), "{first:?}");
}
