//! `observe`, `list`, `show`, `inventory export`.

use std::os::unix::fs::PermissionsExt;
use std::time::Instant as Stopwatch;

use seawall::format::descriptor::Descriptor;
use seawall::format::layout::signature_of;
use seawall::format::lease::Lease;
use seawall::format::signature::SigningKey;
use seawall::inventory::{BackupState, Inventory, Observed};
use seawall::observe;
use seawall::recovery::{Aim, Missing, Target, WalStretch, find_path};
use seawall::units::{BackupId, Lsn, WalFile};
use serde_json::Value;

use super::fixture::{CLUSTER, Fixture, How, SEGMENT, moment, segment, segment_bytes, timeline};

const NOW: &str = "2026-11-21T08:00:00Z";

fn lsn(segment: u64, offset: u64) -> Lsn {
    Lsn(segment * SEGMENT + offset)
}

/// Two backups and the log from before the first to after the second.
fn two_backups(fixture: &Fixture) -> (Descriptor, Descriptor) {
    (1..=9).for_each(|number| drop(fixture.segment(1, number)));
    let first = fixture.backup("20261120T000200Z-aaaa", "2026-11-20T00:02:30Z", lsn(2, 40), lsn(2, 500));
    let second = fixture.backup("20261120T000500Z-bbbb", "2026-11-20T00:05:30Z", lsn(5, 40), lsn(6, 0));
    (first, second)
}

#[test]
fn a_store_is_known_from_itself_alone() {
    for how in [How { encrypted: true, guarded: true }, How { encrypted: false, guarded: true }, How { encrypted: true, guarded: false }] {
        let fixture = Fixture::with(how);
        two_backups(&fixture);
        let seen = observe::look(&fixture.site(), &fixture.store, moment(NOW)).expect("it can be looked at");
        let ids: Vec<&str> = seen.inventory.backups.iter().map(|backup| backup.id.as_str()).collect();
        assert_eq!(ids, ["20261120T000200Z-aaaa", "20261120T000500Z-bbbb"], "{how:?}: {:?}", seen.rejected);
        let [range] = seen.inventory.wal.as_slice() else { panic!("{:?}", seen.inventory.wal) };
        assert_eq!((range.from_lsn, range.to_lsn, range.system_identifier), (lsn(1, 0), lsn(10, 0), Some(CLUSTER)));
        assert_eq!((range.from_time, range.to_time), (moment("2026-11-20T00:01:00Z"), moment("2026-11-20T00:09:00Z")));
        assert_eq!((seen.rejected.as_slice(), seen.doubts.as_slice()), (&[][..], &[][..]));
        let about = std::fs::metadata(fixture.file(&fixture.repository.about())).expect("it is there").len();
        let used = seen.inventory.used.known().expect("known").bytes().get();
        assert_eq!(used + about, tree_size(&fixture.store_path()), "{how:?}");
    }
}

#[test]
fn one_that_cannot_be_read_hides_no_other_one() {
    let fixture = Fixture::new();
    two_backups(&fixture);
    // The first read is of `repository.json`, the second of a descriptor.
    let faults = [("SEAWALL_TEST_FAULTS", "nth=2,kind=permanent,on=get")];
    let run = fixture.run_with(&["list", "--format", "json"], &faults);
    let json: Value = serde_json::from_str(&run.stdout).expect(&run.stdout);
    let store = &json["stores"][0];
    assert_eq!((run.code, store["backups"].as_array().map(Vec::len)), (Some(1), Some(1)), "{}", run.stdout);
    let unread = store["unread"][0]["key"].as_str().expect(&run.stdout);
    assert!(unread.contains("aaaa") || unread.contains("bbbb"), "{unread}");
    assert!(store["used"]["unknown"].is_object(), "{store}");
    let run = fixture.run_with(&["list"], &faults);
    assert!(
        run.code == Some(1) && run.stdout.contains("UNREADABLE, so not in the list") && run.stdout.contains("1 complete backup"),
        "{}",
        run.stdout
    );
    // Whoever decides by it gets nothing rather than some.
    let run = fixture.run_with(&["inventory", "export"], &faults);
    assert!(run.stdout.contains("unknown") && !run.stdout.contains("stopped"), "{}", run.stdout);
}

#[test]
fn a_job_that_nobody_knows_is_a_mistake() {
    let fixture = Fixture::new();
    two_backups(&fixture);
    assert_eq!(fixture.run(&["list", "--job", "nightly"]).code, Some(0));
    let run = fixture.run(&["list", "--job", "nope"]);
    assert!(run.code == Some(64) && run.stderr.contains("a job `nope`") && run.stderr.contains("There are: nightly"), "{}", run.stderr);
}

fn tree_size(path: &std::path::Path) -> u64 {
    let about = std::fs::symlink_metadata(path).expect("it is there");
    if !about.is_dir() {
        return about.len();
    }
    std::fs::read_dir(path).expect("a directory").map(|entry| tree_size(&entry.expect("an entry").path())).sum()
}

#[test]
fn a_gap_divides_the_log() {
    let fixture = Fixture::new();
    two_backups(&fixture);
    let gone = fixture.segment(1, 12);
    fixture.segment(1, 11);
    let seen = observe::look(&fixture.site(), &fixture.store, moment(NOW)).expect("seen");
    let ranges: Vec<(Lsn, Lsn)> = seen.inventory.wal.iter().map(|range| (range.from_lsn, range.to_lsn)).collect();
    assert_eq!(ranges, [(lsn(1, 0), lsn(10, 0)), (lsn(11, 0), lsn(13, 0))]);
    fixture.store.delete(&[gone]).expect("deleted");
    let run = fixture.run(&["list", "--format", "json"]);
    let json = crate::cli::follows("list-output", &run.stdout);
    assert_eq!(json["stores"][0]["wal"][1]["to_lsn"], lsn(12, 0).to_string());
    let recoverable = &json["stores"][0]["backups"][1]["recoverable"]["any-moment-until"];
    assert_eq!(recoverable["at"], "2026-11-20T00:09:00Z", "{recoverable}");
}

#[test]
fn what_nobody_accepted_has_signed_is_named_and_not_counted() {
    let fixture = Fixture::new();
    let (first, _) = two_backups(&fixture);
    let mallory = SigningKey::generate("db-1").expect("a key");
    let planted = |id: &str, stopped: &str| Descriptor { id: id.parse().expect("an id"), stopped: moment(stopped), ..first.clone() };
    let unsigned = fixture.commit(&planted("20261121T000000Z-0001", "2026-11-21T00:00:00Z"), None);
    let foreign = fixture.commit(&planted("20261121T000100Z-0002", "2026-11-21T00:01:00Z"), Some(&mallory));
    // A true descriptor under another name: an old backup that shall look new.
    let old = fixture.repository.descriptor(first.stopped, &first.id);
    let renamed =
        fixture.repository.descriptor(moment("2026-11-21T00:03:00Z"), &"20261121T000200Z-0003".parse::<BackupId>().expect("an id"));
    for (from, to) in [(old.clone(), renamed.clone()), (signature_of(&old), signature_of(&renamed))] {
        std::fs::copy(fixture.file(&from), fixture.file(&to)).expect("copied");
    }
    let mut other = planted("20261121T000300Z-0004", "2026-11-21T00:04:00Z");
    other.by.policy = "staging".into();
    let other = fixture.commit(&other, Some(&fixture.keys.signing));
    // And a log that goes on as an intruder would like it to.
    let stranger = fixture.wal_by(WalFile::Segment(segment(1, 10)), &segment_bytes(1, 10), NOW, Some(&mallory), CLUSTER);
    let seen = observe::look(&fixture.site(), &fixture.store, moment(NOW)).expect("seen");
    assert_eq!(seen.inventory.backups.len(), 2);
    assert_eq!(seen.inventory.wal[0].to_lsn, lsn(10, 0));
    let why: Vec<(String, &str)> = seen.rejected.iter().map(|one| (one.key.to_string(), one.why.as_str())).collect();
    for (key, word) in [
        (&unsigned, "not signed"),
        (&foreign, "which the policy does not accept"),
        (&renamed, "under another name"),
        (&other, "`staging`"),
        (&stranger, "which the policy does not accept"),
    ] {
        assert!(why.iter().any(|(named, why)| named == key.as_str() && why.contains(word)), "{key} {word}: {why:?}");
    }
    let run = fixture.run(&["list"]);
    assert!(run.stdout.contains("REJECTED, and not counted (5)") && run.stdout.contains(unsigned.as_str()), "{}", run.stdout);
}

#[test]
fn leftovers_run_or_have_failed() {
    let fixture = Fixture::new();
    for id in ["20261121T010000Z-dead", "20261121T020000Z-live"] {
        let id: BackupId = id.parse().expect("an id");
        fixture.store.put_new(&fixture.repository.data(&id, "part-00001.tar.zst.age"), bytes::Bytes::from_static(b"some")).expect("put");
    }
    let live: BackupId = "20261121T020000Z-live".parse().expect("an id");
    let lease = Lease {
        backup: live.clone(),
        job: "nightly".parse().expect("a name"),
        host: "db-1".into(),
        started: moment("2026-11-21T02:00:00Z"),
        boot: None,
        process: None,
        asks: false,
    };
    fixture.store.replace(&fixture.repository.backup_lease(&live), lease.to_json().into()).expect("put");
    let now = seawall::world::clock::now();
    let seen = observe::look(&fixture.site(), &fixture.store, now).expect("seen");
    let states: Vec<_> = seen.inventory.backups.iter().map(|backup| (backup.job.as_str(), backup.state)).collect();
    assert_eq!(states, [("unknown", BackupState::Failed), ("nightly", BackupState::Running)]);
    let later = now + jiff::SignedDuration::from_mins(20);
    let seen = observe::look(&fixture.site(), &fixture.store, later).expect("seen");
    assert!(seen.inventory.backups.iter().all(|backup| backup.state == BackupState::Failed));
}

#[test]
fn histories_say_where_timelines_left_and_a_closed_one_is_a_doubt() {
    let fixture = Fixture::new();
    two_backups(&fixture);
    (9..12).for_each(|number| drop(fixture.segment(2, number)));
    fixture.history(2, &format!("1\t{}\tno recovery target specified\n", lsn(9, 4096)));
    let seen = observe::look(&fixture.site(), &fixture.store, moment(NOW)).expect("seen");
    let [fork] = seen.inventory.forks.as_slice() else { panic!("{seen:?}") };
    assert_eq!((fork.timeline, fork.parent, fork.at_lsn), (timeline(2), timeline(1), lsn(9, 4096)));
    assert_eq!(fork.at_time, Some(moment("2026-11-20T00:08:00Z")));
    let run = fixture.run(&["list", "--format", "json"]);
    let json = crate::cli::follows("list-output", &run.stdout);
    assert_eq!(json["stores"][0]["backups"][1]["recoverable"]["any-moment-until"]["timeline"], 2, "{}", run.stdout);
    let run = fixture.run(&["list"]);
    assert_eq!(run.stdout.lines().filter(|line| line.trim_end().ends_with("tl 2")).count(), 2, "{}", run.stdout);
    // Where no key opens the history, that is said.
    let run = fixture.run_elsewhere(&["list", "--format", "json"]);
    let json = crate::cli::follows("list-output", &run.stdout);
    let doubt = json["stores"][0]["doubts"][0].as_str().expect("a doubt");
    assert!(doubt.contains("where timeline 2 left the one before it") && doubt.contains("none of the identities opens it"), "{doubt}");
    assert_eq!(run.code, Some(0));
}

/// A server that failed never archived its last segment; its successor's first one begins with the same bytes.
#[test]
fn the_parent_s_log_reaches_up_to_the_fork() {
    let fixture = Fixture::new();
    (1..=8).for_each(|number| drop(fixture.segment(1, number)));
    fixture.backup("20261120T000200Z-aaaa", "2026-11-20T00:02:30Z", lsn(2, 40), lsn(2, 500));
    let fork = lsn(9, 4096);
    fixture.history(2, &format!("1\t{fork}\tno recovery target specified\n"));
    fixture.segment(2, 10);
    let ends = || {
        let seen = observe::look(&fixture.site(), &fixture.store, moment(NOW)).expect("seen");
        let ends = seen.inventory.wal.iter().filter(|range| range.timeline == timeline(1)).map(|range| range.to_lsn).max();
        (ends, find_path(&seen.inventory, &Aim::at(Target::Latest)).map(|path| path.wal))
    };
    // The segment in which the timelines part is nowhere yet.
    let (end, path) = ends();
    assert_eq!(end, Some(lsn(9, 0)));
    assert_eq!(path, Err(Missing::Wal { timeline: timeline(1), from: lsn(9, 0), to: None }));
    fixture.segment(2, 9);
    let (end, path) = ends();
    assert_eq!(end, Some(fork));
    let stretch = |number, from, to| WalStretch { timeline: timeline(number), from, to };
    assert_eq!(path, Ok(vec![stretch(1, lsn(2, 40), fork), stretch(2, fork, lsn(11, 0))]));
}

/// A program reads the lines.
#[test]
fn a_pipe_gets_whole_lines() {
    let fixture = Fixture::new();
    (1..=4).for_each(|number| drop(fixture.segment(1, number)));
    let label = "before the migration of everything to the new schema, with the old one kept beside it for a while";
    fixture.backup_of("20261120T000200Z-aaaa", "2026-11-20T00:02:30Z", lsn(2, 40), lsn(2, 500), &super::fixture::files(), |descriptor| {
        descriptor.label = Some(label.into());
    });
    let run = |columns: Option<&str>, words: &[&str]| {
        let mut command = crate::cli::hermetic(std::process::Command::new(env!("CARGO_BIN_EXE_seawall")), fixture.path());
        command.args(words).arg("--policy").arg("policy.yaml").args(["--state", "state"]).env_remove("COLUMNS");
        command.envs(columns.map(|columns| ("COLUMNS", columns)));
        crate::cli::finish(&mut command, b"").stdout
    };
    let listed = run(None, &["list"]);
    let row = listed.lines().find(|line| line.contains("20261120T000200Z-aaaa")).expect(&listed);
    assert!(row.contains(label) && row.contains("complete"), "{listed}");
    let shown = run(None, &["show", "20261120T000200Z-aaaa"]);
    let row = shown.lines().find(|line| line.contains("part-00001.tar")).expect(&shown);
    assert!(row.split_whitespace().any(|word| word.len() == 64), "{shown}");
    // Whoever says how wide it is gets that.
    assert!(run(Some("100"), &["list"]).lines().all(|line| line.chars().count() <= 100));
}

#[test]
fn unknown_is_not_empty() {
    let fixture = Fixture::new();
    two_backups(&fixture);
    let store = fixture.store_path();
    let away = fixture.path().join("away");
    std::fs::rename(&store, &away).expect("unmounted");
    let seen = observe::store(&fixture.site(), &fixture.store, moment(NOW));
    assert!(matches!(&seen, Observed::Unknown { reason } if reason.contains("not there")), "{seen:?}");
    let run = fixture.run(&["list"]);
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("what lies there is unknown"), "{}", run.stdout);
    let run = fixture.run(&["inventory", "export"]);
    let inventory = Inventory::from_json(run.stdout.as_bytes()).expect(&run.stdout);
    assert!(matches!(&inventory.clusters["shop"].stores["main"], Observed::Unknown { .. }));
    assert_eq!(run.code, Some(1));
    std::fs::rename(&away, &store).expect("mounted");
    // Without repository.json, the rest does not look like an empty store.
    let about = fixture.file(&fixture.repository.about());
    let kept = std::fs::read(&about).expect("it is there");
    std::fs::remove_file(&about).expect("removed");
    let seen = observe::store(&fixture.site(), &fixture.store, moment(NOW));
    assert!(matches!(&seen, Observed::Unknown { reason } if reason.contains("lost its repository.json")), "{seen:?}");
    std::fs::write(&about, kept).expect("back");
    if !rustix::process::geteuid().is_root() {
        let backups = store.join(fixture.repository.prefix("backups"));
        std::fs::set_permissions(&backups, std::fs::Permissions::from_mode(0o000)).expect("closed");
        let seen = observe::store(&fixture.site(), &fixture.store, moment(NOW));
        std::fs::set_permissions(&backups, std::fs::Permissions::from_mode(0o700)).expect("open");
        assert!(matches!(seen, Observed::Unknown { .. }));
    }
}

#[test]
fn what_is_exported_is_what_plan_reads() {
    let fixture = Fixture::new();
    two_backups(&fixture);
    let out = fixture.path().join("state.json");
    let run = fixture.run(&["inventory", "export", "--out", &out.display().to_string()]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let inventory = Inventory::from_json(&std::fs::read(&out).expect("saved")).expect("it is sound");
    let shop = &inventory.clusters["shop"];
    assert_eq!(shop.system_identifier, Observed::Known(CLUSTER));
    assert_eq!(shop.postgres_version, Observed::Known("16.4".into()));
    assert!(matches!(shop.measured, Observed::Unknown { .. }) && shop.holds == Observed::Known(vec![]));
    let policy = fixture.path().join("policy.yaml").display().to_string();
    let run = fixture.run(&["plan", &policy, "--inventory", &out.display().to_string(), "--format", "json"]);
    assert_eq!(run.code, Some(0), "{}{}", run.stderr, run.stdout);
    assert!(run.stdout.contains("20261120T000500Z-bbbb"));
}

#[test]
fn show_says_all_of_one_backup() {
    let fixture = Fixture::new();
    let (first, _) = two_backups(&fixture);
    let run = fixture.run(&["show", first.id.as_str()]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    for words in [
        "by db-1, whom the policy accepts",
        "/var/lib/postgresql/16/main",
        "000000010000000000000002 (all there)",
        "part-00001.tar.zst.age",
        "seawall restore --target DIRECTORY --store main --backup 20261120T000200Z-aaaa --to '2026-11-20T00:09:00",
    ] {
        assert!(run.stdout.contains(words), "{words}: {}", run.stdout);
    }
    let run = fixture.run_elsewhere(&["show", "latest"]);
    assert!(
        run.stdout.contains("20261120T000500Z-bbbb") && run.stdout.contains("closed: none of the identities opens it"),
        "{}",
        run.stdout
    );
    let run = fixture.run_elsewhere(&["show", "latest", "--identity", "identity.txt", "--format", "json"]);
    let json = crate::cli::follows("show-output", &run.stdout);
    assert_eq!((&json["format_version"], &json["private"]["data_directory"]), (&1.into(), &"/var/lib/postgresql/16/main".into()));
    assert_eq!(fixture.run(&["show", "20200101T000000Z-none"]).code, Some(1));
}

#[test]
fn ten_thousand_backups_are_listed_in_a_moment() {
    let fixture = Fixture::new();
    fixture.segment(1, 1);
    let first = fixture.backup("20200101T000000Z-00000", "2020-01-01T00:10:00Z", lsn(1, 40), lsn(1, 500));
    let backups = fixture.store_path().join(fixture.repository.prefix("backups"));
    for number in 1..10_000i64 {
        let stopped = first.stopped + jiff::SignedDuration::from_hours(number);
        let descriptor = Descriptor {
            id: format!("20200101T000000Z-{number:05}").parse().expect("an id"),
            started: stopped - jiff::SignedDuration::from_mins(1),
            stopped,
            ..first.clone()
        };
        let (name, json) = (fixture.repository.descriptor(stopped, &descriptor.id), descriptor.to_json());
        let signed = fixture.keys.signing.sign_armored(seawall::format::signature::BACKUP, &json).expect("signed");
        // Without the syncs of a real put: nobody needs these after the test.
        std::fs::write(backups.join(name.file_name()), json).expect("written");
        std::fs::write(backups.join(signature_of(&name).file_name()), signed).expect("written");
    }
    let began = Stopwatch::now();
    let run = fixture.run(&["list"]);
    let took = began.elapsed();
    println!("10,000 backups listed in {took:?}");
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("10000 complete backups"), "{}", &run.stdout[run.stdout.len().saturating_sub(600)..]);
    // Not optimised, and beside other tests: what is square in their number takes far longer.
    assert!(took.as_secs() < 120, "{took:?}");
}
