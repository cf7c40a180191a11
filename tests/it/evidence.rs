//! What drills and runs have measured, as every command tells it: the real program on a catalog that the library filled, and on a real cluster.

mod cluster;
mod drift;
mod held;
mod log;

use seawall::catalog::{Catalog, DrillEnd, End, Measured, NewDrill, NewRun, Outcome, Where, Why};
use seawall::inventory::{BackupKind, DrillChoice, DrillFailure, DrillOutcome, DrillPhase, DrillRecord, Phase, Restored};
use seawall::units::Instant;
use serde_json::Value;

use crate::cli::{Room, Run, follows, sound};

const KEY: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

/// A policy `shop` whose recovery is promised in 2 hours, and its catalog.
struct Rig {
    room: Room,
    now: Instant,
}

impl Rig {
    fn new() -> Rig {
        let room = Room::new();
        std::fs::create_dir(room.path().join("store")).expect("a folder");
        let text = sound("shop")
            .replace("{ none: { because: a sample for tests } }", &format!("{{ age: {{ recipients: [{KEY}] }}, proven_within: 30d }}"))
            .replace("/srv/backups/shop", &room.path().join("store").display().to_string())
            .replace("rto: 4h, assume: { cluster_size: 1GB, wal_per_hour: 10MB }", "rto: 2h, assume: { wal_per_hour: 10MB }")
            .replace("restore: { latest: nightly }", "restore: { latest: nightly }\n    within: 30m");
        Rig { room: room.with("shop.yaml", text), now: Instant::now() }
    }

    fn days_ago(&self, days: i64) -> Instant {
        self.now - jiff::SignedDuration::from_hours(24 * days)
    }

    fn catalog(&self) -> Catalog {
        Catalog::open(&Where::Sqlite(self.room.path().join("state/catalog.db"))).expect("a catalog")
    }

    /// A good backup of 100 GB in an hour, and the jobs seen for a year.
    fn backed_up(&self) {
        let catalog = self.catalog();
        catalog.see_jobs("shop", &["backups.nightly", "drills.weekly", "expire"], self.days_ago(365)).expect("seen");
        let started = self.days_ago(0) - jiff::SignedDuration::from_hours(3);
        let new = NewRun {
            policy: "shop",
            job: "backups.nightly",
            host: "db1",
            boot: None,
            pid: 4711,
            why: Why::Due,
            owed_since: Some(started),
            started,
            digest: None,
            commit: None,
        };
        let run = catalog.begin_run(&new).expect("begun");
        let ended = started + jiff::SignedDuration::from_hours(1);
        catalog.end_run(run, &End { bytes: Some(100_000_000_000), ..End::with(Outcome::Succeeded, ended) }).expect("ended");
    }

    /// A drill of 100 GB and 10 GB of log.
    fn drilled(&self, days_ago: i64, files_seconds: u64, change: impl FnOnce(&mut DrillRecord)) {
        let ended = self.days_ago(days_ago);
        let phase = |phase, seconds: u64, bytes| DrillPhase { phase, millis: seconds * 1_000, bytes };
        let name = |name: &str| name.parse().expect("a name");
        let mut record = DrillRecord {
            format_version: DrillRecord::FORMAT_VERSION,
            id: format!("20261101T050000Z-{days_ago:04}").parse().expect("an id"),
            policy: name("shop"),
            drill: Some(name("weekly")),
            definition: None,
            host: "staging-1".into(),
            started: ended - jiff::SignedDuration::from_secs(files_seconds as i64 + 200),
            ended,
            outcome: DrillOutcome::Passed,
            failure: None,
            restored: Some(Restored {
                job: name("nightly"),
                store: name("main"),
                backup: "20261101T020000Z-7f3c".parse().expect("an id"),
                kind: BackupKind::Full,
                stopped: ended,
                size: 100_000_000_000,
                stored_size: None,
                postgres: "16.4".into(),
                target: None,
                tables: Vec::new(),
                scope: None,
            }),
            reached: None,
            phases: vec![phase(Phase::Files, files_seconds, None), phase(Phase::Replay, 100, Some(10_000_000_000))],
            recovery_millis: Some((files_seconds + 100) * 1_000),
            within_millis: Some(1_800_000),
            expectations: vec![],
            command: None,
            promotion: None,
            canary: None,
            opened_with: None,
            opened_with_part: None,
            tiers: vec![],
            chosen: vec![],
            remarks: vec![],
        };
        change(&mut record);
        let end = if record.passed() { DrillEnd::Passed } else { DrillEnd::Failed };
        let json = serde_json::to_string(&record).expect("JSON");
        let drill = record.answers_for().map_or("", |drill| drill.as_str());
        let new = NewDrill { id: record.id.as_str(), policy: "shop", drill, started: record.started, ended, end, record: &json };
        self.catalog().record_drill(&new, &[]).expect("recorded");
    }

    fn run(&self, words: &[&str]) -> Run {
        self.room.run(&[words, &["-p", "shop.yaml", "--state", "state"]].concat())
    }

    fn plan(&self, more: &[&str]) -> Run {
        self.room.run(&[&["plan", "shop.yaml"], more].concat())
    }

    /// What a look remembers of drills for an hour.
    fn forget(&self) {
        std::fs::remove_file(self.room.path().join("state/policies/shop/evidence.json")).expect("somebody has looked");
    }

    /// Looks, and says which alerts there are, by their keys.
    fn firing(&self) -> Vec<String> {
        let run = self.run(&["watch"]);
        assert_eq!(run.code, Some(0), "{run:?}");
        let status = follows("status-output", &self.run(&["status", "--format", "json"]).stdout);
        let firing = status["policies"][0]["firing"].as_array().expect("alerts").clone();
        firing.iter().map(|alert| alert["key"].as_str().expect("a key").to_owned()).collect()
    }

    fn exported(&self) -> Value {
        let run = self.run(&["inventory", "export", "--out", "seen.json"]);
        assert_eq!(run.code, Some(0), "{run:?}");
        let text = std::fs::read(self.room.path().join("seen.json")).expect("an inventory");
        serde_json::from_slice::<Value>(&text).expect("JSON")["clusters"]["shop"].take()
    }
}

/// Prometheus' value of a metric, by everything before the blank.
fn metric(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// 100 GB in 1,000, 1,100 and 1,250 s: 80 MB/s is the slow end and 90.9 MB/s the middle; 10 GB of log at 100 MB/s.
#[test]
fn three_drills_are_told_alike_everywhere() {
    let rig = Rig::new();
    rig.backed_up();
    for (days_ago, seconds) in [(16, 1_000), (9, 1_100), (2, 1_250)] {
        rig.drilled(days_ago, seconds, |_| {});
    }
    // Without the record nothing is measured.
    let run = rig.plan(&["--state", "elsewhere"]);
    assert!(!run.stdout.contains("What was measured"), "{run:?}");
    let run = rig.plan(&["--state", "state"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    for said in [
        "fetch and restore 100GB from `main` at 80MB/s [measured by 3 drills, the newest on ",
        "measured by 3 recoveries, the newest 2 days ago",
        "passed 2 days ago",
    ] {
        assert!(run.stdout.contains(said), "{said}: {}", run.stdout);
    }
    let plan = follows("plan", &rig.plan(&["--state", "state", "--format", "json"]).stdout);
    let predicted = &plan["plans"][0]["evidence"]["predictions"][0];
    assert_eq!((&predicted["scenario"], &predicted["samples"]), (&"everything".into(), &3.into()), "{predicted}");

    let seen = rig.exported();
    let restore = &seen["measured"]["known"]["restore"];
    let figures = ["value", "p50", "p95", "samples"].map(|key| restore[key].to_string());
    assert_eq!(figures, ["\"80MB/s\"", "\"90900kB/s\"", "\"80MB/s\"", "3"], "{restore}");
    assert_eq!(seen["proven"]["known"]["drills"]["weekly"]["recovery_millis"], serde_json::json!([1_350_000, 1_200_000, 1_100_000]));
    // Whoever has only the export is told the same.
    let exported = rig.plan(&["--state", "elsewhere", "--inventory", "seen.json"]);
    let section = |text: &str| text.split_once("What was measured").map(|(_, rest)| rest.split("\n\n").next().unwrap_or("").to_owned());
    assert_eq!(section(&exported.stdout), section(&run.stdout));
    assert!(section(&run.stdout).is_some());

    let firing = rig.firing();
    assert!(firing.contains(&"restore_margin:weekly".to_owned()), "{firing:?}");
    assert!(!firing.iter().any(|key| key.starts_with("restore_time") || key == "recovery_time"), "{firing:?}");
    let status = rig.run(&["status"]).stdout;
    assert!(status.contains("by 3 measured recoveries, the newest 2 d ago (promised: 2h)."), "{status}");
    assert!(status.contains("the recovery of drills.weekly takes longer each time: 18m 20s, 20m and 22m 30s"), "{status}");

    let metrics = rig.run(&["metrics"]).stdout;
    let figure = |name: &str| metric(&metrics, name).unwrap_or_else(|| panic!("{name}: {metrics}"));
    assert_eq!(figure(r#"seawall_restore_rate_bytes_per_second{policy="shop"}"#), 80_000_000.0);
    assert_eq!(figure(r#"seawall_replay_rate_bytes_per_second{policy="shop"}"#), 100_000_000.0);
    assert_eq!(figure(r#"seawall_drill_last_outcome{policy="shop",drill="weekly"}"#), 1.0);
    assert_eq!(figure(r#"seawall_drill_recovery_seconds{policy="shop",drill="weekly"}"#), 1_350.0);
    let ended = figure(r#"seawall_drill_last_ended_timestamp_seconds{policy="shop",drill="weekly"}"#);
    assert!(
        (ended - rig.days_ago(2).as_second() as f64).abs() < 2.0
            && ended == figure(r#"seawall_drill_last_passed_timestamp_seconds{policy="shop",drill="weekly"}"#)
    );
    let of = |quantile: &str| {
        figure(&format!(r#"seawall_recovery_time_predicted_seconds{{policy="shop",scenario="everything",quantile="{quantile}"}}"#))
    };
    assert_eq!(figure(r#"seawall_recovery_time_samples{policy="shop",scenario="everything"}"#), 3.0);
    let measured = figure(r#"seawall_recovery_time_measured_timestamp_seconds{policy="shop",scenario="everything"}"#);
    assert!((measured - ended).abs() < 2.0, "{measured} and {ended}");
    // What the two differ by is what the copying does: 100 GB at 90.9 and at 80 MB/s.
    assert_eq!(of("0.95") - of("0.5"), 1_250.0 - 1_101.0);
    assert_eq!(figure(r#"seawall_recovery_time_objective_seconds{policy="shop",scenario="everything"}"#), 7_200.0);
    assert_eq!(figure(r#"seawall_recovery_point_objective_seconds{policy="shop"}"#), 86_400.0);
    crate::record::promtool(&metrics);
}

#[test]
fn too_slow_is_an_alert_here_and_a_finding_anywhere() {
    let rig = Rig::new();
    rig.backed_up();
    // 10 MB/s: 2 h 47 min for the files alone.
    rig.drilled(3, 10_000, |_| {});
    let run = rig.plan(&["--state", "state"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stdout.contains("error[SW0413]: rto of 2h is not kept by what was measured"), "{}", run.stdout);
    assert!(run.stdout.contains(", NOT KEPT") && run.stdout.contains("measured once, 3 days ago"), "{}", run.stdout);
    // Nothing that runs is kept from running by that.
    let firing = rig.firing();
    assert!(firing.contains(&"recovery_time".to_owned()) && firing.contains(&"restore_time:weekly".to_owned()), "{firing:?}");
    rig.exported();
    let validate = |more: &[&str]| rig.room.run(&[&["validate", "shop.yaml"], more].concat());
    assert_eq!(validate(&[]).code, Some(0));
    let run = validate(&["--inventory", "seen.json"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stdout.contains("SW0413"), "{run:?}");
    // A quick one does not undo it at once: of two the slower one counts.
    rig.drilled(1, 500, |_| {});
    assert!(rig.firing().contains(&"recovery_time".to_owned()));
}

#[test]
fn a_drill_that_failed_contradicts_until_one_passes() {
    let rig = Rig::new();
    rig.backed_up();
    rig.drilled(9, 500, |_| {});
    rig.drilled(2, 500, |record| {
        record.outcome = DrillOutcome::Failed;
        record.failure = Some(DrillFailure { phase: Phase::Replay, message: "a segment is missing".into(), hint: String::new() });
        record.recovery_millis = None;
    });
    rig.exported();
    let judged = || rig.room.run(&["validate", "shop.yaml", "--inventory", "seen.json"]).stdout;
    let said = judged();
    assert!(said.contains("warning[SW0414]: the last drill of backup 20261101T020000Z-7f3c failed while replaying the log"), "{said}");
    assert!(said.contains("a segment is missing"), "{said}");
    rig.firing();
    let metrics = rig.run(&["metrics"]).stdout;
    assert_eq!(metric(&metrics, r#"seawall_drill_last_outcome{policy="shop",drill="weekly"}"#), Some(0.0), "{metrics}");
    let passed = metric(&metrics, r#"seawall_drill_last_passed_timestamp_seconds{policy="shop",drill="weekly"}"#).expect("it passed once");
    assert!((passed - rig.days_ago(9).as_second() as f64).abs() < 2.0, "{metrics}");
    // Somebody has seen that an older backup comes back: that mends nothing.
    rig.drilled(1, 400, |record| {
        record.id = "20261101T050000Z-0cb0".parse().expect("an id");
        record.chosen = vec![DrillChoice::Backup];
    });
    rig.forget();
    let firing = rig.firing();
    assert!(firing.contains(&"failed:drills.weekly".to_owned()), "{firing:?}");
    let metrics = rig.run(&["metrics"]).stdout;
    assert_eq!(metric(&metrics, r#"seawall_drill_last_outcome{policy="shop",drill="weekly"}"#), Some(0.0), "{metrics}");
    // And it has measured how fast that was.
    assert_eq!(rig.exported()["measured"]["known"]["restore"]["samples"], 3);
    // Begun again and ended by hand: it has not shown that it is mended.
    let ended_by_hand = |record: &mut DrillRecord| {
        record.outcome = DrillOutcome::Stopped;
        record.failure = Some(DrillFailure { phase: Phase::Files, message: "it was asked to end".into(), hint: String::new() });
        record.recovery_millis = None;
    };
    rig.drilled(1, 500, ended_by_hand);
    rig.exported();
    assert!(judged().contains("SW0414"));
    rig.forget();
    rig.firing();
    let outcome = || metric(&rig.run(&["metrics"]).stdout, r#"seawall_drill_last_outcome{policy="shop",drill="weekly"}"#);
    assert_eq!(outcome(), Some(0.0));
    let page = || rig.run(&["report", "--format", "json"]).stdout;
    let promised = "the last drill `weekly` failed at";
    assert!(page().contains(promised), "{}", page());
    rig.drilled(0, 500, |_| {});
    rig.exported();
    assert!(!judged().contains("SW0414"));
    assert!(!page().contains(promised), "{}", page());
}

/// Ended by hand is neither: nobody is told that a recovery does not work.
#[test]
fn a_drill_that_somebody_ended_is_not_one_that_failed() {
    let rig = Rig::new();
    rig.backed_up();
    rig.drilled(2, 500, |record| {
        record.outcome = DrillOutcome::Stopped;
        record.recovery_millis = None;
    });
    rig.firing();
    let metrics = rig.run(&["metrics"]).stdout;
    assert_eq!(metric(&metrics, r#"seawall_drill_last_outcome{policy="shop",drill="weekly"}"#), None, "{metrics}");
    rig.drilled(1, 500, |_| {});
    rig.forget();
    rig.firing();
    let metrics = rig.run(&["metrics"]).stdout;
    assert_eq!(metric(&metrics, r#"seawall_drill_last_outcome{policy="shop",drill="weekly"}"#), Some(1.0), "{metrics}");
}

/// D7: from when it was first seen, each key has so long to open something.
#[test]
fn a_key_that_opens_nothing_is_missed_and_found_again() {
    let rig = Rig::new();
    rig.backed_up();
    assert!(!rig.firing().iter().any(|key| key.starts_with("identity_unproven")));
    let identity = |name: &str, days_ago: i64| {
        let measured = [Measured { name, subject: KEY, value: rig.days_ago(days_ago).as_second() as f64 }];
        rig.catalog().measure("shop", &measured, Instant::now()).expect("measured");
    };
    identity("identity_first_seen", 40);
    let missed = format!("identity_unproven:{}", &KEY[KEY.len() - 16..]);
    let firing = rig.firing();
    assert!(firing.contains(&missed), "{firing:?}");
    rig.exported();
    let run = rig.room.run(&["validate", "shop.yaml", "--inventory", "seen.json"]);
    assert!(run.stdout.contains("warning[SW0417]: the identity of `age1ql3z7hjy54…` has never opened anything"), "{run:?}");
    // A drill that opened a backup with it; the next look learns of it within the hour.
    rig.drilled(1, 500, |record| record.opened_with = Some(KEY.to_owned()));
    std::fs::remove_file(rig.room.path().join("state/policies/shop/evidence.json")).expect("what was remembered");
    let firing = rig.firing();
    assert!(!firing.contains(&missed), "{firing:?}");
    let opened =
        metric(&rig.run(&["metrics"]).stdout, &format!(r#"seawall_identity_opened_timestamp_seconds{{policy="shop",recipient="{KEY}"}}"#));
    assert!((opened.expect("it was opened") - rig.days_ago(1).as_second() as f64).abs() < 2.0);
}

#[test]
fn the_worst_of_a_month_is_kept_and_held_against_the_promise() {
    let rig = Rig::new();
    rig.backed_up();
    let catalog = rig.catalog();
    for (days_ago, lost) in [(40, 500_000.0), (20, 100_000.0), (10, 3_600.0)] {
        let measured = |name| Measured { name, subject: "", value: lost };
        catalog
            .measure("shop", &[measured("recovery_point_seconds"), measured("recovery_point_worst_seconds")], rig.days_ago(days_ago))
            .expect("measured");
    }
    drop(catalog);
    let points = rig.exported()["proven"]["known"]["recovery_point"].take();
    assert_eq!((&points["lost_seconds"], &points["worst_seconds"]), (&3_600.into(), &100_000.into()), "{points}");
    let run = rig.room.run(&["validate", "shop.yaml", "--inventory", "seen.json"]);
    assert!(run.stdout.contains("warning[SW0416]: rpo of 24h was not kept"), "{run:?}");
    let run = rig.plan(&["--state", "state"]);
    assert!(run.stdout.contains("the most of 30 days was 27h 46m 40s"), "{run:?}");
}

/// A record that a newer program wrote, or that is broken, takes nothing else with it.
#[test]
fn a_record_that_cannot_be_read_counts_for_nothing() {
    let rig = Rig::new();
    rig.backed_up();
    rig.drilled(2, 500, |_| {});
    let at = rig.days_ago(1);
    let new = NewDrill {
        id: "x",
        policy: "shop",
        drill: "weekly",
        started: at,
        ended: at,
        end: DrillEnd::Passed,
        record: "{\"format_version\":9}",
    };
    rig.catalog().record_drill(&new, &[]).expect("recorded");
    assert_eq!(rig.exported()["measured"]["known"]["restore"]["samples"], 1);
}
