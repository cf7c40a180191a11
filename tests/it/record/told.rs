//! `status`, `check`, `metrics`, `checklist` and `history`.

use std::os::unix::fs::PermissionsExt as _;

use super::{Rig, promtool};

#[test]
fn all_is_well() {
    let rig = Rig::well();
    let run = rig.run(&["status"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.starts_with("shop: all is well\n"), "{run:?}");
    assert!(run.stdout.contains("backups.nightly") && run.stdout.contains("30 min ago") && run.stdout.contains("succeeded"), "{run:?}");
    let row = run.stdout.lines().find(|line| line.contains("backups.nightly")).expect("its row");
    assert!(row.contains(" 10 min ") && row.contains(" 1 GB "), "{row}");
    assert!(run.stdout.contains("If the server were lost now, 6") && run.stdout.contains("(promised: 24h)"), "{run:?}");
    assert!(run.stdout.contains("1 of 2 runs of the last 30 days succeeded."), "{run:?}");
    let json = rig.json(&["status"]);
    assert_eq!((&json["level"], &json["policies"][0]["problems"]), (&"well".into(), &serde_json::json!([])), "{json}");
    assert_eq!(json["policies"][0]["jobs"][0]["stored_bytes"], 1_000_000_000_u64, "{json}");

    let run = rig.run(&["check"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.starts_with("SEAWALL OK - shop: all is well, the newest backup is 20 min ago | 'backup_age nightly'=12"), "{run:?}");
    for figure in
        ["'size nightly'=1000000000B;;;0", "'wal_lag'=0s;;86400;0", "'success_rate'=50.0%;;;0;100", "'storage_used main'=3000000000B;;;0"]
    {
        assert!(run.stdout.contains(figure), "{figure}: {run:?}");
    }
    assert_eq!(run.stdout.lines().count(), 1, "{run:?}");
}

#[test]
fn a_failure_is_critical_although_nobody_raised_an_alert() {
    let rig = Rig::well();
    rig.failed(&rig.catalog(), 10);
    let run = rig.run(&["status"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(
        run.stdout.starts_with("shop: CRITICAL 1 problem\n  CRITICAL  backups.nightly failed: the disk is full (failed:backups.nightly)"),
        "{run:?}"
    );
    // What the good run before it took and stored is not the failed one's.
    let row = run.stdout.lines().find(|line| line.contains("backups.nightly") && line.contains(" ago ")).expect("its row");
    assert!(row.contains("failed") && row.contains(" 60 s ") && !row.contains("GB"), "{row}");
    let run = rig.run(&["check"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stdout.starts_with("SEAWALL CRITICAL - shop: backups.nightly failed: the disk is full | "), "{run:?}");
    assert!(run.stdout.ends_with("\nCRITICAL: shop: backups.nightly failed: the disk is full\n"), "{run:?}");
}

#[test]
fn a_watch_that_stopped_is_critical() {
    let rig = Rig::well();
    let catalog = rig.catalog();
    rig.watched(&catalog, 40);
    drop(catalog);
    let run = rig.run(&["status"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stdout.contains("CRITICAL  `seawall watch` last looked 40 min ago"), "{run:?}");
    assert_eq!(rig.run(&["check"]).code, Some(2));
}

#[test]
fn what_is_overdue_is_critical() {
    let rig = Rig::new();
    let catalog = rig.catalog();
    catalog.see_jobs("shop", &["backups.nightly"], rig.ago(3 * 24 * 60)).expect("seen");
    rig.watched(&catalog, 1);
    drop(catalog);
    let run = rig.run(&["status"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stdout.contains("backups.nightly is overdue: it has never succeeded (overdue:backups.nightly)"), "{run:?}");
    assert!(run.stdout.contains("OVERDUE, due since"), "{run:?}");
}

#[test]
fn nothing_has_run_yet_and_nobody_makes_a_catalog_by_asking() {
    let rig = Rig::new();
    let run = rig.run(&["status"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stdout.contains("nothing has run here yet: there is no catalog at state/catalog.db"), "{run:?}");
    let run = rig.run(&["check"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    for words in [["history", "--steps"].as_slice(), &["ack", "wal_lag"], &["ack", "--list"], &["audit", "verify"], &["audit", "export"]] {
        let run = rig.run(words);
        assert_eq!(run.code, Some(1), "{words:?}: {run:?}");
        assert!(run.stderr.contains("there is no catalog at state/catalog.db"), "{words:?}: {run:?}");
    }
    let run = rig.run(&["metrics"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.contains("seawall_policy_level{policy=\"shop\"} 2\n"), "{run:?}");
    promtool(&run.stdout);
    assert!(!rig.room.path().join("state").exists());
}

#[test]
fn asking_changes_nothing() {
    let rig = Rig::well();
    // The file of what readers and writers share (`-shm`) is SQLite's own, and a log without content is none.
    let files = || {
        let all = std::fs::read_dir(rig.room.path().join("state")).expect("the state").map(|entry| entry.expect("an entry"));
        let all = all.map(|entry| (entry.file_name().into_string().expect("UTF-8"), std::fs::read(entry.path()).unwrap_or_default()));
        let mut all: Vec<_> = all.filter(|(name, bytes)| !(name.ends_with("-shm") || name.ends_with("-wal") && bytes.is_empty())).collect();
        all.sort();
        all
    };
    let before = files();
    assert!(before.iter().any(|(name, bytes)| name == "catalog.db" && !bytes.is_empty()));
    for words in [["status"].as_slice(), &["check"], &["metrics"], &["checklist"], &["history"], &["audit", "verify"], &["ack", "--list"]] {
        rig.run(words);
    }
    assert!(files() == before);
}

/// What was promised is still owed by the last version that could be read, and looking does not make it one's own.
#[test]
fn a_policy_that_broke_is_told_by_its_last_good_version() {
    let rig = Rig::well();
    assert_eq!(rig.run(&["watch"]).code, Some(0));
    std::fs::write(rig.room.path().join("shop.yaml"), "version: 1\nfoo: 1\n").expect("a file");
    let known = || {
        let known = std::fs::read_dir(rig.room.path().join("state/known")).expect("a folder").map(|entry| entry.expect("an entry").path());
        known.map(|path| std::fs::read(path).expect("a file")).collect::<Vec<_>>()
    };
    let before = known();
    assert_eq!(before.len(), 1);
    let run = rig.run(&["status"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stdout.contains("CRITICAL  nothing runs: the policy `shop.yaml` cannot be used"), "{run:?}");
    assert!(run.stdout.contains("backups.nightly"), "{run:?}");
    assert_eq!(rig.run(&["check"]).code, Some(3));
    assert_eq!(rig.run(&["history"]).code, Some(0));
    assert_eq!(known(), before);
}

#[test]
fn a_check_ends_in_four_ways_only() {
    let rig = Rig::of("version: 1\npolicy: shop\nfoo: 1\n");
    for words in [["check"].as_slice(), &["check", "--nonsense"], &["check", "--format", "xml"], &["check", "too", "much"]] {
        let run = rig.run(words);
        assert_eq!(run.code, Some(3), "{words:?}: {run:?}");
        assert!(run.stdout.starts_with("SEAWALL UNKNOWN - "), "{words:?}: {run:?}");
    }
    let run = rig.room.run(&["--color", "never", "check", "--nonsense"]);
    assert_eq!(run.code, Some(3), "{run:?}");
    assert_eq!(rig.run(&["check", "--help"]).code, Some(0));
    let run = rig.run(&["status"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stdout.contains("the policy `shop.yaml` cannot be used"), "{run:?}");
    // A catalog that is none.
    let rig = Rig::new();
    std::fs::create_dir(rig.room.path().join("state")).expect("a folder");
    std::fs::write(rig.place(), "this is no database, and never was one\n".repeat(40)).expect("a file");
    let run = rig.run(&["check"]);
    assert_eq!(run.code, Some(3), "{run:?}");
    assert!(run.stdout.starts_with("SEAWALL UNKNOWN - shop: ") && !run.stdout.contains(" | "), "{run:?}");
    assert_eq!(rig.run(&["status"]).code, Some(1));
}

#[test]
fn a_directory_is_every_policy_in_it_worst_first() {
    let rig = Rig::well();
    let whole = |name: &str| std::fs::copy(rig.room.path().join("shop.yaml"), rig.room.path().join("all").join(name)).expect("copied");
    std::fs::create_dir(rig.room.path().join("all")).expect("a folder");
    whole("shop.yaml");
    std::fs::write(rig.room.path().join("all/base.yaml"), "version: 1\nabstract: true\n").expect("a file");
    std::fs::write(rig.room.path().join("all/zoo.yaml"), super::undisturbed("zoo")).expect("a file");
    std::fs::write(rig.room.path().join("all/broken.yaml"), "version: 1\nfoo: 1\n").expect("a file");
    let run = rig.room.run(&["status", "-p", "all", "--state", "state", "--format", "json"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    let json: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    let names: Vec<&str> = json["policies"].as_array().expect("policies").iter().filter_map(|policy| policy["policy"].as_str()).collect();
    assert_eq!(names, ["all/broken.yaml", "zoo", "shop"], "{json}");
    let run = rig.room.run(&["check", "-p", "all", "--state", "state"]);
    // What is critical is not hidden by what cannot be read, and both are in the first line.
    assert_eq!(run.code, Some(2), "{run:?}");
    let first = run.stdout.lines().next().expect("a line");
    assert!(first.starts_with("SEAWALL CRITICAL - zoo: ") && first.contains("; all/broken.yaml: "), "{run:?}");
    assert!(run.stdout.contains("'shop wal_lag'=0s"), "{run:?}");
}

#[test]
fn prometheus_takes_the_metrics() {
    let rig = Rig::well();
    let run = rig.run(&["metrics", "--out", "seawall.prom"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{run:?}");
    let path = rig.room.path().join("seawall.prom");
    assert_eq!(std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o644);
    let text = std::fs::read_to_string(&path).expect("a file");
    promtool(&text);
    for line in [
        "seawall_backup_last_size_bytes{policy=\"shop\",job_name=\"backups.nightly\"} 5000000000",
        "seawall_backup_last_duration_seconds{policy=\"shop\",job_name=\"backups.nightly\"} 600",
        "seawall_job_failures_in_a_row{policy=\"shop\",job_name=\"backups.nightly\"} 0",
        "seawall_wal_waiting_since_timestamp_seconds{policy=\"shop\"} 0",
        "seawall_store_used_bytes{policy=\"shop\",store=\"main\"} 3000000000",
        "seawall_runs_succeeded_ratio{policy=\"shop\"} 0.5",
        "seawall_objective_rpo_seconds{policy=\"shop\"} 86400",
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line}\n{text}");
    }
    // No temporary file stays beside it: the collector would read it.
    let left = std::fs::read_dir(rig.room.path())
        .expect("the room")
        .filter(|entry| entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().ends_with(".new")));
    assert_eq!(left.count(), 0);
}

/// What `watch` writes down is what the others read: the names are the same.
#[test]
fn what_watch_saw_is_told() {
    let rig = Rig::well();
    let run = rig.run(&["watch"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let text = rig.run(&["metrics"]).stdout;
    // There is neither a store nor a server.
    assert!(text.contains("seawall_store_up{policy=\"shop\",store=\"main\"} 0\n"), "{text}");
    assert!(text.contains("seawall_watch_last_timestamp_seconds{policy=\"shop\"} "), "{text}");
    assert!(!text.contains("seawall_wal_waiting_since"), "what was not seen this time is not told: {text}");
    let json = rig.json(&["status"]);
    let problems = json["policies"][0]["problems"].as_array().expect("problems");
    assert!(problems.iter().all(|problem| problem["key"] != "watch"), "{json}");
    let list = rig.json(&["checklist"]);
    let stores =
        list["policies"][0]["questions"].as_array().expect("questions").iter().find(|question| question["key"] == "stores").cloned();
    assert_eq!(stores.expect("the question")["answer"], "no", "{list}");
}

#[test]
fn the_list_of_the_day_is_answered() {
    let rig = Rig::well();
    let run = rig.run(&["checklist"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    let json = rig.json(&["checklist"]);
    let questions = json["policies"][0]["questions"].as_array().expect("questions");
    let answer =
        |key: &str| questions.iter().find(|question| question["key"] == key).map(|question| question["answer"].clone()).expect("it");
    for (key, expected) in [
        ("backups", "yes"),
        ("wal", "yes"),
        ("stores", "yes"),
        ("room", "unknown"),
        ("verify", "no"),
        ("drills", "unknown"),
        ("messages", "yes"),
        ("holds", "yes"),
        ("review", "unknown"),
        ("duties", "yes"),
        ("clocks", "yes"),
        ("alerts", "yes"),
        ("watch", "yes"),
    ] {
        assert_eq!(answer(key), expected, "{key}: {json}");
    }
    assert!(run.stdout.contains("Was the last verification good?") && run.stdout.contains("the policy has none"), "{run:?}");
}

#[test]
fn history_tells_runs_and_steps() {
    let rig = Rig::well();
    let run = rig.run(&["history"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{run:?}");
    assert!(lines[0].contains("RUN") && lines[0].contains("OUTCOME") && lines[0].contains("STORED"), "{run:?}");
    assert!(lines[1].contains("succeeded") && lines[1].contains("10 min") && lines[1].contains("20261121T020000Z-7f3c"), "{run:?}");
    assert!(lines[2].contains("failed") && lines[2].contains("the disk is full"), "{run:?}");
    let failed = rig.json(&["history", "nightly", "--outcome", "failed", "--steps"]);
    assert_eq!(failed["runs"].as_array().map(Vec::len), Some(1), "{failed}");
    assert_eq!(failed["runs"][0]["steps"][0]["message"], "the disk is full", "{failed}");
    let run = rig.run(&["history", failed["runs"][0]["run"].as_str().expect("a number")]);
    assert!(run.stdout.contains("because    the disk is full") && run.stdout.contains("copy the data directory"), "{run:?}");
    let tomorrow = (rig.now + jiff::SignedDuration::from_hours(24)).to_string();
    assert_eq!(rig.run(&["history", "--since", &tomorrow]).stdout, "no such run is on record\n");
    assert_eq!(rig.run(&["history", "--limit", "1"]).stdout.lines().count(), 2);
    let run = rig.run(&["history", "nigthly"]);
    assert_eq!(run.code, Some(64), "{run:?}");
    assert!(run.stderr.contains("`backups.nightly`"), "{run:?}");
    assert_eq!(rig.run(&["history", "4711"]).code, Some(1));
}
