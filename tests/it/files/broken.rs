//! What goes wrong is named, and leaves nothing that looks complete.

use std::io::{Seek as _, Write as _};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::rig::{Ground, shell};
use crate::faults::chance;
use crate::faults::sweep::{Counter, sweep};
use crate::run::rig::Said;

fn small() -> Ground {
    let ground = Ground::new(false, "paths: [TREE]");
    ground.rig.shell("mkdir -p tree/a/b; echo one > tree/a/one; head -c 5000000 /dev/urandom > tree/a/b/large; ln tree/a/one tree/two");
    ground
}

#[test]
fn a_file_that_changes_while_it_is_read_is_in_it_and_named() {
    let ground = Ground::new(false, "paths: [TREE]");
    ground.rig.shell("mkdir tree; head -c 60000000 /dev/zero > tree/large; for i in $(seq 500); do echo $i > tree/$i; done");
    let stop = AtomicBool::new(false);
    let open = |name: &str| std::fs::OpenOptions::new().write(true).open(ground.file(name)).expect("a file");
    let copied = thread::scope(|scope| {
        scope.spawn(|| {
            let mut large = open("tree/large");
            while !stop.load(Ordering::Relaxed) {
                large.rewind().and_then(|()| large.write_all(b"x")).expect("written");
                // Others come and go: they are no mistake.
                std::fs::write(ground.file("tree/passing"), "x")
                    .and_then(|()| std::fs::remove_file(ground.file("tree/passing")))
                    .expect("it");
            }
        });
        let copied = ground.say(&["backup", "system", "--format", "json"]);
        stop.store(true, Ordering::Relaxed);
        copied
    });
    let copied = ground.copied(&copied.ends_with_code(0));
    let notes = ground.notes(&copied);
    let changed = notes["changed"]["files"].to_string();
    assert!(changed.contains("tree/large") && !changed.contains("tree/17"), "{notes}");
    assert!(copied.said.contains("changed while it was read"), "{}", copied.said);
    ground.say(&["verify", "--deep"]).ends_with_code(0);
}

#[test]
fn killed_at_any_moment_it_leaves_nothing_that_counts() {
    let ground = small();
    ground.rig.shell("for i in $(seq 3000); do echo $i > tree/$i; done; head -c 40000000 /dev/urandom > tree/more");
    ground.backup();
    let mut lot = chance::lot("files::killed");
    for _ in 0..chance::rounds(5, 60) {
        let mut child = ground.command(&["backup", "system"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("seawall");
        thread::sleep(Duration::from_millis(lot.below(900) as u64));
        let policy = ground.file("policy.yaml");
        ground.rig.shell_as_root(&format!("pkill -KILL -f '^[^ ]*seawall backup system --policy {}' || true", policy.display()));
        child.wait().expect("its end");
        ground.say(&["verify", "--deep"]).ends_with_code(0);
    }
    ground.backup();
    ground.say(&["verify", "--deep"]).ends_with_code(0);
}

#[test]
fn a_backup_of_files_meets_faults() {
    let ground = small();
    let counter = Counter::in_folder(&ground.file("state"));
    let backup = |fault| {
        let (output, calls) = counter.run(ground.command(&["backup", "system", "--format", "json"]), fault);
        (Said::of(output), calls)
    };
    let (first, calls) = backup(None);
    first.ends_with_code(0);
    sweep("a backup of files", calls, 10, |at| {
        ground.rig.shell_as_root("rm -rf store/*/data store/*/backups store/*/leases store/*/hints");
        let (tried, calls) = backup(Some(at));
        let whole = shell(&ground.rig, "ls store/*/backups 2>/dev/null | grep -c 'json$' || true");
        match tried.code {
            Some(0) => assert_eq!(whole.trim(), "1", "{at:?}"),
            Some(1) if !at.passes && calls >= at.nth => {
                assert!(whole.trim() == "0" || tried.err.contains("it is not known whether"), "{at:?}: {whole} {}", tried.err);
            }
            _ => panic!("{at:?}: {:?} {}{}", tried.code, tried.out, tried.err),
        }
        // A night later.
        ground.rig.shell_as_root("find store -exec touch -d '20 hours ago' {} +");
        let (again, _) = backup(None);
        again.ends_with_code(0);
        ground.say(&["verify", "--deep"]).ends_with_code(0);
        calls
    });
}

#[test]
fn damage_is_found_and_named_by_verify_and_by_restore() {
    let ground = small();
    let copied = ground.backup();
    let part = ground.folder(&copied).join("part-00001.tar.zst.age");
    ground
        .rig
        .shell_as_root(&format!("chmod u+w {0}; printf damaged | dd of={0} bs=1 seek=40000 conv=notrunc 2>/dev/null", part.display()));
    ground.say(&["verify"]).ends_with_code(1).says("part-00001.tar.zst.age");
    ground.say(&["verify", "--deep"]).ends_with_code(1).says("part-00001.tar.zst.age");
    let root = ground.file("back").display().to_string();
    ground.say(&["restore", "--yes", "--files", "--to-root", &root]).ends_with_code(1).says("part-00001.tar.zst.age");
    // What is there is whole.
    assert_eq!(shell(&ground.rig, "find back -name '.seawall*' | wc -l").trim(), "0");
    assert!(!ground.below("back").join("a/b/large").exists());
}

#[test]
fn a_store_that_is_full_leaves_nothing() {
    let ground = small();
    ground.rig.shell_as_root("mount -t tmpfs -o size=3m,uid=$(id -u postgres) none store");
    let said = ground.say(&["backup", "system"]);
    let left = shell(&ground.rig, "find store -name 'part-*' | wc -l; find store -path '*/backups/*.json' | wc -l");
    ground.rig.shell_as_root("umount store");
    let said = said.ends_with_code(1);
    assert!(said.err.contains("No space left") || said.err.contains("full"), "{}", said.err);
    assert_eq!(left.split_whitespace().collect::<Vec<_>>(), ["0", "0"]);
}
