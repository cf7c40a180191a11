use seawall::units::{Instant, WalFile};

use super::Pair;
use crate::repository::fixture::{segment, segment_bytes};

/// Beside the backups: evidence, and what somebody holds.
fn more(pair: &Pair) {
    let root = pair.path("store").join(pair.ground.fixture.repository.as_str());
    for (name, text) in [("audit/db-1-abc/000000000001-000000000002.jsonl", "{}\n"), ("drills/b0/d1.json", "{}")] {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }
}

#[test]
fn what_belongs_there_is_there_byte_by_byte_and_nothing_is_copied_twice() {
    let pair = Pair::new("[off]");
    pair.backups(0..3);
    more(&pair);
    let planned = pair.run(&["copy", "--plan", "--format", "json"]);
    let planned = &crate::cli::follows("copy-plan-output", &planned.stdout)["stores"][0];
    assert_eq!(planned["missing"].as_array().expect("backups").len(), 3);
    assert!(!pair.path("off").exists(), "a plan touches nothing");
    let done = pair.copy();
    let ids: Vec<&str> = done["backups"].as_array().expect("backups").iter().map(|one| one["id"].as_str().expect("an id")).collect();
    assert_eq!((ids, &done["complete"]), (vec!["b2", "b1", "b0"], &serde_json::json!(true)), "the newest first");
    pair.is_same("");
    let again = pair.copy();
    assert_eq!((&again["bytes"], &again["backups"]), (&serde_json::json!(0), &serde_json::json!([])));
    for words in [["verify", "--store", "off"], ["list", "--store", "off"]] {
        let run = pair.run(&words);
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    }
    let text = pair.run(&["copy"]).stdout;
    assert!(text.contains("`off`: 0 backups and 0 files of the log copied, 0 B; nothing is missing"), "{text}");
}

#[test]
fn a_copy_is_a_job_on_record_that_is_owed_as_long_as_something_is_missing() {
    let pair = Pair::new("[off]");
    pair.backups(0..2);
    let due = pair.run(&["run", "--due", "copies.off"]);
    // A job that stands in the policy for the first time owes nothing yet; who asks for it gets it.
    assert_eq!(due.code, Some(0), "{}{}", due.stdout, due.stderr);
    let ran = pair.run(&["run", "copies.off"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    pair.is_same("");
    let history = pair.run(&["history", "copies.off"]).stdout;
    assert!(history.contains("succeeded") && history.contains("copies.off"), "{history}");
    let audit = pair.run(&["audit", "show"]).stdout;
    assert!(audit.contains("`copies.off` succeeded"), "{audit}");
    // It is measured by whoever watches, at once after something was copied.
    assert_eq!(behind(&pair).to_bits(), 0f64.to_bits());
    assert!(pair.run(&["status"]).stdout.contains("The copy in off has all that belongs there."));
    pair.backup(2);
    std::fs::remove_file(pair.path("state/policies/shop/observed.json")).expect("what was seen an hour ago is forgotten");
    assert!(behind(&pair) > 3600.0);
    let status = pair.run(&["status"]).stdout;
    assert!(status.contains("copy_behind:off") && status.contains("The copy in off is"), "{status}");
    pair.run(&["run", "copies.off"]);
    assert_eq!(behind(&pair).to_bits(), 0f64.to_bits());
}

/// How many seconds the copy was behind at a look.
fn behind(pair: &Pair) -> f64 {
    let watched = pair.run(&["watch"]);
    let text = pair.run(&["metrics"]).stdout;
    let line = text.lines().find(|line| line.starts_with("seawall_copy_behind_seconds{policy=\"shop\",store=\"off\"}"));
    let value = line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    value.unwrap_or_else(|| panic!("{text}\n{}{}", watched.stdout, watched.stderr))
}

#[test]
fn a_copy_is_behind_since_the_first_log_that_it_lacks_and_not_since_the_idle_night_before_that() {
    let mut pair = Pair::new("[off]");
    pair.ground.change("timeout: 60s,", "copies: [off], timeout: 60s,");
    pair.backups(0..1);
    let archive =
        |number, written: &str| _ = pair.ground.fixture.wal(WalFile::Segment(segment(1, number)), &segment_bytes(1, number), written);
    archive(2, "2025-01-03T00:00:00Z");
    pair.copy();
    archive(3, &(Instant::now() - jiff::SignedDuration::from_mins(10)).to_string());
    let seconds = behind(&pair);
    assert!((600.0..20.0 * 3600.0).contains(&seconds), "{seconds}");
    pair.copy();
    std::fs::remove_file(pair.path("state/policies/shop/observed.json")).expect("what was seen within the hour is forgotten");
    assert_eq!(behind(&pair).to_bits(), 0f64.to_bits());
}

#[test]
fn the_log_that_belongs_there_is_copied_as_far_as_it_is_not_there() {
    let mut pair = Pair::new("[off]");
    pair.ground.change("timeout: 60s,", "copies: [off], timeout: 60s,");
    pair.backups(0..1);
    (2..20).for_each(|number| _ = pair.ground.fixture.segment(1, number));
    pair.ground.fixture.history(2, "1\t0/500000\tno recovery target specified\n");
    let done = pair.copy();
    assert_eq!(done["log"]["objects"], 18, "{done}");
    pair.is_same("");
    let ranges = pair.run(&["verify", "--store", "off"]);
    assert_eq!(ranges.code, Some(0), "{}{}", ranges.stdout, ranges.stderr);
}

#[test]
fn stores_that_get_no_copies_are_refused_by_name() {
    let pair = Pair::new("[off]");
    for (words, wanted) in [
        (vec!["copy", "--store", "main"], "the policy copies nothing to `main`"),
        (vec!["copy", "weekly"], "the policy has no backup `weekly`"),
    ] {
        let run = pair.run(&words);
        assert!(run.code == Some(64) && run.stderr.contains(wanted), "{:?} {}", run.code, run.stderr);
    }
}
