//! `backup` with a store that fails at its n-th call. The server archives all the while, into the same store, which does not fail for it.

use super::killing::{next_night, prove_everything, whole_backups};
use super::sweep::{Counter, sweep};
use crate::clusters::{Options, Version};
use crate::restore::rig::{Rig, said};

/// A cluster with next to nothing in it.
pub fn small() -> Rig {
    let rig = Rig::start(Version::V16, Options { segment_mb: 1, ..Options::default() });
    for database in ["template0", "template1"] {
        rig.cluster.sql(&format!("update pg_database set datistemplate = false where datname = '{database}'"));
        rig.cluster.sql(&format!("drop database {database}"));
    }
    rig.series();
    rig.load(5);
    rig
}

#[test]
fn a_backup_meets_faults() {
    let rig = small();
    let counter = Counter::in_folder(&rig.path("state"));
    let backup = |fault| {
        let (output, calls) = counter.run(rig.command(&["backup", "nightly", "--format", "json"]), fault);
        (said(output), calls)
    };
    // Nothing of the last round shall be in the way of the next one; the log stays.
    let sweep_away = || {
        for folder in crate::restore::rig::objects(&rig.path("store"), "repository.json") {
            for inner in ["data", "backups", "leases", "hints"] {
                let _ = std::fs::remove_dir_all(folder.with_file_name(inner));
            }
        }
    };
    let (first, calls) = backup(None);
    assert_eq!(first.code, 0, "{}", first.err);
    let mut last = first.backup();
    sweep("a backup", calls, 8, |at| {
        sweep_away();
        let (tried, calls) = backup(Some(at));
        let listed = whole_backups(&rig);
        match tried.code {
            0 => assert_eq!(listed, [tried.backup()], "{at:?}"),
            1 if !at.passes && calls >= at.nth => {
                let place = rig.path("store").display().to_string();
                assert!(tried.err.contains("error: ") && tried.err.contains(&place), "{at:?}: {}", tried.err);
                let unknown = tried.err.contains("it is not known whether");
                assert!(listed.is_empty() || unknown && tried.err.contains(&listed[0]), "{at:?}: {listed:?} {}", tried.err);
            }
            _ => panic!("{at:?}: {} {}{}", tried.code, tried.out, tried.err),
        }
        next_night(&rig);
        let (again, _) = backup(None);
        assert_eq!(again.code, 0, "{at:?}: {}\nafter {}", again.err, tried.err);
        last = again.backup();
        assert!(whole_backups(&rig).contains(&last), "{at:?}");
        prove_everything(&rig, &[]);
        calls
    });
    rig.load(5);
    rig.archive();
    let restored = rig.bring_back("r", &["--backup", &last]);
    assert_eq!(restored.hash(), rig.hash(i64::MAX));
}
