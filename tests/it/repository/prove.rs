//! `verify`: whatever is changed in a store is found, and the object is named.

use std::path::{Path, PathBuf};

use seawall::format::seal::Identities;
use seawall::format::signature::SigningKey;
use seawall::units::{Lsn, WalFile};
use seawall::verify::{FaultKind, Progress, Report, Wanted, verify};

use super::fixture::{CLUSTER, Fixture, How, SEGMENT, files, moment, relation_page, segment, segment_bytes};

const NOW: &str = "2026-11-21T08:00:00Z";

fn lsn(segment: u64, offset: u64) -> Lsn {
    Lsn(segment * SEGMENT + offset)
}

/// One backup, its log, and a second timeline.
fn small(how: How) -> Fixture {
    let fixture = Fixture::with(how);
    (1..=4).for_each(|number| drop(fixture.segment(1, number)));
    fixture.backup("20261120T000200Z-aaaa", "2026-11-20T00:02:30Z", lsn(2, 40), lsn(2, 500));
    (4..=5).for_each(|number| drop(fixture.segment(2, number)));
    fixture.history(2, &format!("1\t{}\tno recovery target specified\n", lsn(4, 8192)));
    fixture
}

fn proved(fixture: &Fixture, deep: bool) -> Result<Report, String> {
    let identities = match deep {
        true => fixture.identities(),
        false => Identities::default(),
    };
    let wanted = Wanted { deep, ..Wanted::default() };
    verify(&fixture.site(), &"main".parse().expect("a name"), &identities, &wanted, moment(NOW), &Progress::default())
        .map_err(|fault| fault.message)
}

/// Every file of the store but its mutable ones.
fn objects(at: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(at).expect("a directory") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            _ if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) => {}
            true => all.extend(objects(&path)),
            false => all.push(path),
        }
    }
    all.sort();
    all
}

fn key_of(fixture: &Fixture, path: &Path) -> String {
    path.strip_prefix(fixture.store_path()).expect("inside").display().to_string()
}

/// What names the object, or a word with which the whole check was refused.
fn names(result: &Result<Report, String>, key: &str) -> bool {
    match result {
        Ok(report) => report.faults.iter().any(|fault| fault.key == key),
        Err(message) => message.contains(key),
    }
}

const WAYS: [How; 4] = [
    How { encrypted: true, guarded: true },
    How { encrypted: true, guarded: false },
    How { encrypted: false, guarded: true },
    How { encrypted: false, guarded: false },
];

#[test]
fn a_sound_store_is_sound() {
    for how in WAYS {
        let fixture = small(how);
        for deep in [false, true] {
            let report = proved(&fixture, deep).expect("it can be checked");
            assert_eq!(report.faults, [], "{how:?} deep={deep}");
            assert_eq!((report.wal_objects, report.backups.len()), (7, 1));
            assert_eq!(report.unchecked.iter().any(|what| what.contains("inside the objects")), !deep);
        }
    }
}

/// Some bytes of every stretch, other ones for each way; with `SEAWALL_SWEEP` set, all bytes of what is small.
fn offsets(length: usize, way: usize) -> Vec<usize> {
    let all = std::env::var_os("SEAWALL_SWEEP").is_some();
    let (dense, sparse) = if all { (1, (length / 97).max(1)) } else { (19, (length / 29).max(1)) };
    let chosen = |at: &usize| (*at < 800 && (at + way * 5).is_multiple_of(dense)) || (at + way).is_multiple_of(sparse) || at + 2 > length;
    (0..length).filter(chosen).collect()
}

#[test]
fn a_flipped_bit_anywhere_is_found_and_named() {
    // Each way by itself, so that processors share the work.
    std::thread::scope(|scope| {
        for (way, how) in WAYS.into_iter().enumerate() {
            scope.spawn(move || flip_bits(way, how));
        }
    });
}

fn flip_bits(way: usize, how: How) {
    let fixture = small(how);
    for path in objects(&fixture.store_path()) {
        let key = key_of(&fixture, &path);
        // A signature that does not fit is told of the descriptor that it belongs to.
        let signed = key.strip_suffix(".sig").unwrap_or(&key);
        let whole = std::fs::read(&path).expect("it is there");
        for (count, at) in offsets(whole.len(), way).into_iter().enumerate() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (count % 8);
            std::fs::write(&path, &flipped).expect("written");
            let result = proved(&fixture, false);
            let named = names(&result, &key) || names(&result, signed);
            assert!(named, "{how:?}: byte {at} of {} in {key}: {result:?}", whole.len());
        }
        std::fs::write(&path, &whole).expect("written");
    }
    assert!(proved(&fixture, true).expect("it can be checked").is_sound());
}

#[test]
fn what_is_cut_off_missing_or_too_much_is_found_and_named() {
    let fixture = small(WAYS[0]);
    for path in objects(&fixture.store_path()) {
        let key = key_of(&fixture, &path);
        let whole = std::fs::read(&path).expect("it is there");
        let longer = [&whole[..], b"x"].concat();
        for changed in [&whole[..whole.len() - 1], &whole[..whole.len() / 2], &[][..], &longer] {
            std::fs::write(&path, changed).expect("written");
            let result = proved(&fixture, false);
            let signed = key.strip_suffix(".sig").unwrap_or(&key);
            assert!(names(&result, &key) || names(&result, signed), "{key} with {} of {} bytes: {result:?}", changed.len(), whole.len());
        }
        std::fs::remove_file(&path).expect("removed");
        let result = proved(&fixture, false);
        let found = match &result {
            // A repository that does not say what it is, is refused as a whole.
            Err(message) => message.contains("repository.json"),
            // The last segments of a timeline leave no trace when they go: nobody can know that they were ever there.
            Ok(report) => !report.is_sound() || key.contains("/wal/"),
        };
        assert!(found, "{key} removed: {result:?}");
        std::fs::write(&path, &whole).expect("back");
    }
    let repository = fixture.repository.as_str();
    for extra in [
        "data/20261120T000200Z-aaaa/part-00002.tar.zst.age",
        "backups/readme.txt",
        "wal/7301234567890123456/00000001/00000000/readme.txt",
        "wal/7301234567890123456/00000002/00000000/000000010000000000000003.zst.age",
    ] {
        let path = fixture.store_path().join(repository).join(extra);
        std::fs::write(&path, b"some").expect("written");
        let result = proved(&fixture, false);
        assert!(names(&result, &format!("{repository}/{extra}")), "{extra}: {result:?}");
        std::fs::remove_file(&path).expect("removed");
    }
}

#[test]
fn a_gap_in_the_log_is_a_fault() {
    let fixture = small(WAYS[0]);
    let file = |number| {
        fixture.repository.wal(
            CLUSTER,
            WalFile::Segment(segment(1, number)),
            seawall::format::codec::Codec::DEFAULT,
            seawall::format::codec::Envelope::Age,
        )
    };
    fixture.store.delete(&[file(2)]).expect("deleted");
    let report = proved(&fixture, false).expect("it can be checked");
    let missing: Vec<&str> =
        report.faults.iter().filter(|fault| fault.kind == FaultKind::Missing).map(|fault| fault.what.as_str()).collect();
    assert!(missing.iter().any(|what| what.contains("timeline 1 has a gap: 0/200000 to 0/300000")), "{missing:?}");
    assert_eq!(report.backups[0].faults, 1, "{:?}", report.faults);
    // So is one before a timeline's first segment.
    let fixture = small(WAYS[0]);
    let first = fixture.repository.wal(
        CLUSTER,
        WalFile::Segment(segment(2, 4)),
        seawall::format::codec::Codec::DEFAULT,
        seawall::format::codec::Envelope::Age,
    );
    fixture.store.delete(&[first]).expect("deleted");
    // Where a timeline began can be read by those who have an identity.
    let opened = |fixture: &Fixture| {
        let identities = fixture.identities();
        verify(&fixture.site(), &"main".parse().expect("a name"), &identities, &Wanted::default(), moment(NOW), &Progress::default())
            .expect("checked")
    };
    let report = opened(&fixture);
    assert!(report.faults.iter().any(|fault| fault.what.contains("timeline 2 has a gap: 0/402000")), "{:?}", report.faults);
    // And one before the position where the new timeline began: the server had died before it had archived everything.
    let fixture = small(WAYS[0]);
    let file = |number| {
        fixture.repository.wal(
            CLUSTER,
            WalFile::Segment(segment(1, number)),
            seawall::format::codec::Codec::DEFAULT,
            seawall::format::codec::Envelope::Age,
        )
    };
    fixture.store.delete(&[file(3), file(4)]).expect("deleted");
    let report = opened(&fixture);
    assert!(report.faults.iter().any(|fault| fault.what.contains("timeline 1 has a gap: 0/300000 to 0/400000")), "{report:?}");
}

#[test]
fn forged_objects_are_refused() {
    let fixture = small(WAYS[0]);
    let mallory = SigningKey::generate("db-1").expect("a key");
    let forged = fixture.wal_by(WalFile::Segment(segment(1, 5)), &segment_bytes(1, 5), NOW, Some(&mallory), CLUSTER);
    let unsigned = fixture.wal_by(WalFile::Segment(segment(1, 6)), &segment_bytes(1, 6), NOW, None, CLUSTER);
    let report = proved(&fixture, false).expect("it can be checked");
    for key in [&forged, &unsigned] {
        assert!(report.faults.iter().any(|fault| fault.key == key.as_str() && fault.kind == FaultKind::Rejected), "{:?}", report.faults);
    }
    // A true segment under the name of another.
    fixture.store.delete(&[forged.clone(), unsigned.clone()]).expect("deleted");
    let from = fixture.file(&fixture.repository.wal(
        CLUSTER,
        WalFile::Segment(segment(1, 4)),
        seawall::format::codec::Codec::DEFAULT,
        seawall::format::codec::Envelope::Age,
    ));
    std::fs::copy(from, fixture.file(&forged)).expect("copied");
    let report = proved(&fixture, false).expect("it can be checked");
    assert!(report.faults.iter().any(|fault| fault.what.contains("under another name")), "{:?}", report.faults);
}

#[test]
fn deep_finds_what_was_wrong_before_it_was_sealed() {
    let wrong_page = || {
        let mut files = files();
        let mut relation: Vec<u8> = (0..8).flat_map(relation_page).collect();
        relation[3 * 8192 + 100] ^= 1;
        files.insert("base/5/1259".into(), relation);
        files
    };
    let fixture = Fixture::new();
    fixture.segment(1, 2);
    fixture.backup_of("20261120T000200Z-aaaa", "2026-11-20T00:02:30Z", lsn(2, 40), lsn(2, 500), &wrong_page(), |_| ());
    assert!(proved(&fixture, false).expect("it can be checked").is_sound());
    let report = proved(&fixture, true).expect("it can be checked");
    let [fault] = report.faults.as_slice() else { panic!("{:?}", report.faults) };
    assert!(fault.what.contains("`base/5/1259` in it: 1 page with wrong checksums, the first is block 3"), "{fault:?}");
    // A segment whose pages are those of another.
    let fixture = small(WAYS[0]);
    let lying = fixture.wal(WalFile::Segment(segment(1, 5)), &segment_bytes(1, 7), "2026-11-20T00:05:00Z");
    assert!(proved(&fixture, false).expect("it can be checked").is_sound());
    let report = proved(&fixture, true).expect("it can be checked");
    let [fault] = report.faults.as_slice() else { panic!("{:?}", report.faults) };
    assert!(fault.key == lying.as_str() && fault.what.contains("belongs to another place"), "{fault:?}");
}

#[test]
fn the_command_says_what_it_found_and_what_it_did_not_check() {
    let fixture = small(WAYS[0]);
    let run = fixture.run_elsewhere(&["verify"]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("Store main: sound") && run.stdout.contains("Not checked: what is inside"), "{}", run.stdout);
    assert_eq!(fixture.run_elsewhere(&["verify", "--deep"]).code, Some(64));
    let run = fixture.run_elsewhere(&["verify", "--deep", "--identity", "identity.txt", "20261120T000200Z-aaaa"]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let other = age::x25519::Identity::generate();
    std::fs::write(fixture.path().join("other.txt"), age::secrecy::ExposeSecret::expose_secret(&other.to_string())).expect("written");
    let run = fixture.run_elsewhere(&["verify", "--deep", "--identity", "other.txt"]);
    assert!(run.code == Some(1) && run.stdout.contains("none of the identities opens it"), "{}", run.stdout);
    let part = fixture.repository.data(&"20261120T000200Z-aaaa".parse().expect("an id"), "part-00001.tar.zst.age");
    let mut bytes = std::fs::read(fixture.file(&part)).expect("it is there");
    bytes[5000] ^= 4;
    std::fs::write(fixture.file(&part), bytes).expect("written");
    let run = fixture.run_elsewhere(&["verify"]);
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("DAMAGED") && run.stdout.contains(part.as_str()), "{}", run.stdout);
    let run = fixture.run_elsewhere(&["verify", "--format", "json"]);
    let json = crate::cli::follows("verify-output", &run.stdout);
    assert_eq!((&json["sound"], &json["stores"][0]["faults"][0]["kind"]), (&false.into(), &"damaged".into()));
    assert_eq!(json["stores"][0]["faults"][0]["key"], part.as_str());
    // One that holds nothing is no sound one, whether it was emptied or its disk is not mounted.
    std::fs::rename(fixture.store_path(), fixture.path().join("away")).expect("unmounted");
    std::fs::create_dir(fixture.store_path()).expect("a mount point");
    let run = fixture.run_elsewhere(&["verify"]);
    assert!(run.code == Some(1) && run.stdout.contains("backups belong there, and none lies there"), "{}", run.stdout);
    let run = fixture.run_elsewhere(&["verify", "20261120T000200Z-aaaa"]);
    assert!(run.code == Some(1) && run.stdout.contains("cannot be checked"), "{}{}", run.stdout, run.stderr);
    std::fs::remove_dir(fixture.store_path()).expect("a mount point");
    std::fs::rename(fixture.path().join("away"), fixture.store_path()).expect("mounted");
    // A store that is not there is not a sound one.
    std::fs::rename(fixture.store_path(), fixture.path().join("away")).expect("unmounted");
    let run = fixture.run_elsewhere(&["verify"]);
    assert!(run.code == Some(1) && run.stdout.contains("NOT CHECKED"), "{}", run.stdout);
}
