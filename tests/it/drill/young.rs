//! Drills that are owed with their backup: the log behind it is still on its way.

use std::time::Instant;

use rustix::process::{Signal, kill_process};
use serde_json::Value;

use super::rig::{Drills, millis};
use crate::clusters::{Options, Version};
use crate::restore::rig::{objects, said};
use crate::run::rig::by_clock;

const DRILLS: &str = r#"
drills:
  newest: { restore: { latest: nightly }, expect: { rows: { sql: "select count(*) from series", at_least: 50 } } }
  few: { restore: { latest: nightly, tables: [public.series] }, expect: { rows: { sql: "select count(*) from series", at_least: 50 } } }
  brief: { restore: { latest: nightly }, timeout: 3s }
"#;

/// In its own phase, on the clock of no recovery; and it can be ended at any time.
#[test]
fn the_first_log_behind_a_backup_is_waited_for() {
    let drills = Drills::new(Version::V15, DRILLS);
    drills.rig.backup();
    let record = drills.drill(1, &["brief"]);
    assert_eq!((&record["outcome"], &record["failure"]["phase"]), (&"failed".into(), &"wait".into()), "{record:#}");
    assert!(record["failure"]["message"].as_str().is_some_and(|said| said.contains("drills.brief.timeout")), "{record:#}");
    let (mut child, process, _) = drills.begin_until("newest", "wait");
    kill_process(process, Signal::TERM).expect("it lives");
    assert_eq!(child.wait().expect("it ended").code(), Some(143));
    drills.nothing_is_left();

    for drill in ["newest", "few"] {
        let began = Instant::now();
        let child = drills.begin(&["drill", drill, "--format", "json"]);
        // It is pinned when it is chosen, with the log that is there by then.
        crate::drill::killed::wait(&|| drills.copies().iter().any(|copy| copy.join("phase").exists()) || is_pinned(&drills));
        drills.rig.load(5);
        drills.rig.archive();
        let said = said(child.wait_with_output().expect("it ends"));
        let wall = began.elapsed().as_millis() as u64;
        assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
        let record = crate::cli::follows("drill-output", &said.out);
        let (waited, recovery) = (millis(&record, "wait"), record["recovery_millis"].as_u64().expect("a time"));
        assert!(waited >= 9_000 && waited + recovery <= wall, "{waited} and {recovery} of {wall}: {record:#}");
        drills.nothing_is_left();
        // Behind the next backup there is nothing again.
        drills.rig.backup();
    }
}

fn is_pinned(drills: &Drills) -> bool {
    !objects(&drills.rig.path("store"), "/pins/").is_empty()
}

fn minutes_later(drills: &Drills, drill: &str) -> Value {
    let command = by_clock(drills.rig.cluster.account(), "+4m", &drills.command(&["drill", drill, "--format", "json"]));
    let said = said(drills.with_programs(command).output().expect("faketime"));
    assert_eq!(said.code, 1, "{}\n{}", said.out, said.err);
    crate::cli::follows("drill-output", &said.out)
}

/// None is to be expected any more. What it holds was looked at all the same, and what to do depends on who writes a row every minute.
#[test]
fn a_log_that_ends_with_the_backup() {
    let drills = Drills::with(Version::V15, Options::default(), DRILLS);
    drills.rig.backup();
    for (drill, canary) in [("newest", false), ("few", false), ("newest", true)] {
        if canary {
            drills.drills("canary: { database: postgres, every: 30s }");
        }
        let record = minutes_later(&drills, drill);
        let failure = &record["failure"];
        assert_eq!((&record["outcome"], &failure["phase"]), (&"failed".into(), &"replay".into()), "{record:#}");
        assert!(failure["message"].as_str().is_some_and(|said| said.contains("nothing was archived after the backup")), "{record:#}");
        let hint = if canary { "A heartbeat row is written every 30s" } else { "or declare a `canary`" };
        assert!(failure["hint"].as_str().is_some_and(|said| said.contains(hint)), "{record:#}");
        let expected = record["expectations"].as_array().expect("all of them were looked at");
        assert!(expected.len() == 1 && expected[0]["met"] == true, "{record:#}");
        drills.nothing_is_left();
    }
}
