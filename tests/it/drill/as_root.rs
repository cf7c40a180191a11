//! What root makes in the store and the state of the account that the server runs as belongs to that account: it works on there.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::rig::Drills;
use crate::clusters::Version;
use crate::restore::rig::{Said, program, said};
use crate::skipped::skipped;

fn as_root(drills: &Drills, words: &[&str], command: &[&str]) -> Said {
    let mut root = drills.with_programs(Command::new(program()));
    root.args(words).arg("-p").arg(drills.rig.path("policy.yaml")).arg("--state").arg(drills.rig.path("state"));
    if !command.is_empty() {
        root.arg("--").args(command);
    }
    said(root.output().expect("it runs"))
}

/// All that lies below a folder, and the folder.
fn all_below(folder: &Path, found: &mut Vec<PathBuf>) {
    found.push(folder.to_owned());
    if folder.symlink_metadata().is_ok_and(|about| about.is_dir()) {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            all_below(&entry.path(), found);
        }
    }
}

#[test]
fn what_root_makes_belongs_to_the_account_that_archives() {
    if !rustix::process::geteuid().is_root() {
        skipped("what root makes for another account: only root can try it");
        return;
    }
    let drills = Drills::new(Version::V15, "drills: { newest: { restore: { latest: nightly } } }");
    let rig = &drills.rig;
    let owner = fs::metadata(rig.cluster.folder()).expect("a folder").uid();
    assert_ne!(owner, 0);
    let belongs = |after: &str| {
        let mut all = Vec::new();
        ["store", "copy", "state"]
            .map(|name| rig.path(name))
            .iter()
            .filter(|path| path.exists())
            .for_each(|path| all_below(path, &mut all));
        let others = |path: &PathBuf| path.symlink_metadata().is_ok_and(|about| about.uid() != owner);
        let others: Vec<PathBuf> = all.into_iter().filter(others).collect();
        assert!(others.is_empty(), "after {after}: {others:#?}");
    };
    belongs("the beginning");
    // A store that is new, and a state that knows nothing of it; the catalog is new as well.
    rig.change_policy(
        "stores: { local:",
        &format!("stores: {{ copy: {{ local: {{ path: {}, other_device: false }} }}, local:", rig.path("copy").display()),
    );
    rig.change_policy("wal: { store: local,", "wal: { store: local, copies: [copy],");
    rig.change_policy("backups:\n  nightly: {", "backups:\n  nightly: { store: local, copies: [copy],");
    rig.shell("rm -rf state/catalog.db* state/policies state/known");
    let target = rig.path("restored").display().to_string();
    let all: [(&[&str], &[&str]); 9] = [
        (&["copy"], &[]),
        (&["drill", "newest"], &[]),
        (&["guard"], &["true"]),
        (&["watch"], &[]),
        (&["run", "--due"], &[]),
        (&["backup", "nightly"], &[]),
        (&["restore", "--yes", "--target", &target], &[]),
        (&["expire"], &[]),
        (&["verify"], &[]),
    ];
    for (words, command) in all {
        let said = as_root(&drills, words, command);
        assert_eq!(said.code, 0, "{words:?}: {}{}", said.out, said.err);
        belongs(words[0]);
    }
    // And the account works on: log goes into both stores, and all of it can be read.
    rig.load(5);
    rig.archive();
    for words in [&["copy"][..], &["expire"], &["verify", "--deep"], &["drill", "newest"], &["watch"], &["list"]] {
        let said = drills.say(words);
        assert_eq!(said.code, 0, "{words:?}: {}{}", said.out, said.err);
    }
    belongs("all that");
}

/// A first backup is held against what its plan says.
#[test]
fn a_store_without_room_is_seen_before_anything_is_written() {
    let drills = Drills::new(Version::V15, "");
    let rig = &drills.rig;
    let Some(_small) = crate::faults::small::Small::mount(&rig.path("small"), "12m") else { return };
    rig.cluster.account().own(&rig.path("small"));
    rig.change_policy("stores: { local:", &format!("stores: {{ small: {{ local: {{ path: {} }} }}, local:", rig.path("small").display()));
    rig.change_policy("nightly: { physical: {},", "nightly: { physical: {}, store: small,");
    let plan = said(Command::new(program()).arg("plan").arg(rig.path("policy.yaml")).output().expect("it runs"));
    assert!(plan.out.contains("`small` has room for as much as last time, or 500 MB the first time"), "{}{}", plan.out, plan.err);
    let refused = rig.seawall(&["backup", "nightly"]);
    assert_eq!(refused.code, 1, "{}{}", refused.out, refused.err);
    assert!(refused.err.contains("has room for") && refused.err.contains("a backup takes about 500 MB"), "{}", refused.err);
    rig.shell("! find small -name 'part-*' | grep .");
}
