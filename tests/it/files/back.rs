//! `seawall restore --files`: some of it, over what is there, in place, by somebody who is not root, and what it refuses.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::rig::{Ground, same, shell};
use crate::clusters::Account;
use crate::faults::chance;
use crate::run::rig::Said;

fn restore(ground: &Ground, root: &str, patterns: &[&str], more: &[&str]) -> Said {
    let root = ground.file(root).display().to_string();
    let words = [&["restore", "--yes", "--files"], patterns, &["--to-root", &root], more].concat();
    ground.say(&words)
}

#[test]
fn some_of_it_and_only_what_is_needed_of_a_hard_link() {
    let ground = Ground::everything();
    ground.backup();
    let names = |root: &str| shell(&ground.rig, &format!("cd {root}; find . ! -type d -printf '%f\\n' | sort | paste -sd ' '"));
    restore(&ground, "some", &["kept.*", "sub/", "!never"], &[]).ends_with_code(0);
    // `linked` is another name of a file that is not wanted.
    assert_eq!(names("some").trim(), "kept.log linked");
    let seen = |path: &str| shell(&ground.rig, &format!("cd {path}; getfacl -n linked; stat -c '%a %y %u' linked; cat linked"));
    assert_eq!(seen(&ground.below("some").join("etc/sub").display().to_string()), seen(&ground.file("tree/etc/sub").display().to_string()));
    let anchored = ground.file("tree/many").display().to_string();
    restore(&ground, "folder", &[&anchored], &[]).ends_with_code(0).says("3000 files");
    let nothing = restore(&ground, "nothing", &["kept.log", "no such file"], &[]).ends_with_code(1);
    assert!(nothing.err.contains("nothing in backup") && nothing.err.contains("no such file"), "{}", nothing.err);
    assert!(!ground.file("nothing").exists());
}

#[test]
fn what_differs_is_overwritten_only_when_that_is_said() {
    let ground = Ground::everything();
    ground.backup();
    shell(&ground.rig, "rm -r tree/cache tree/etc/a.log; touch -d '2003-04-05 06:07:08.25' tree/etc");
    let before = ground.seen(&ground.file("tree"));
    restore(&ground, "back", &[], &[]).ends_with_code(0);
    let tree = ground.below("back");
    let place = tree.display();
    let harm = format!(
        "cd {place}; echo other > etc/plain; printf x | dd of=big bs=1 seek=3000000 conv=notrunc status=none; rm etc/absolute; ln -s /elsewhere \
         etc/absolute; chmod 777 etc/prog; rm many/17; printf x | dd of=holes bs=1 seek=30000000 conv=notrunc status=none; rm pipe; echo file > pipe"
    );
    shell(&ground.rig, &harm);
    let refused = restore(&ground, "back", &[], &[]).ends_with_code(1).says("--overwrite");
    assert!(refused.err.contains("differ from the backup"), "{}", refused.err);
    assert_eq!(fs::read_to_string(tree.join("etc/plain")).expect("it"), "other\n");
    assert!(!tree.join("many/17").exists());
    let said = restore(&ground, "back", &[], &["--overwrite"]).ends_with_code(0).says("OVERWRITTEN");
    assert!(said.out.contains("many/17") || said.out.contains("restored"), "{}", said.out);
    same(&ground.seen(&tree), &before);
    assert_eq!(shell(&ground.rig, &format!("find {place} -name '.seawall*' | wc -l")).trim(), "0");
}

#[test]
fn in_place_is_said_twice() {
    let ground = Ground::everything();
    ground.backup();
    let words = ["restore", "--yes", "--files", "--to-root", "/"];
    ground.say(&words).ends_with_code(1).says("--in-place");
    shell(&ground.rig, "rm -r tree/cache tree/etc/a.log; touch -d '2003-04-05 06:07:08.25' tree/etc");
    let before = ground.seen(&ground.file("tree"));
    shell(&ground.rig, "rm -r tree/etc tree/deep 'tree/not '*; echo other > tree/big");
    // What uses these files is stopped before, and started behind it.
    let hook =
        |name: &str| format!("{name}: {{ run: [sh, -c, 'echo $SEAWALL_HOOK $SEAWALL_DIRECTORY >> {}'] }}", ground.file("hooks").display());
    ground.change("backups:", &format!("hooks: {{ {}, {} }}\nbackups:", hook("before_restore"), hook("after_restore")));
    ground
        .say(&[&words[..], &["--in-place", "--overwrite"]].concat())
        .ends_with_code(0)
        .says("`hooks.after_restore` runs when all of it is done");
    same(&ground.seen(&ground.file("tree")), &before);
    restore(&ground, "back", &["kept.*"], &["--overwrite"]).ends_with_code(0);
    assert_eq!(fs::read_to_string(ground.file("hooks")).expect("they ran"), "before_restore /\nafter_restore /\n");
}

#[test]
fn a_link_below_the_root_leads_nobody_out_of_it() {
    let ground = Ground::everything();
    ground.backup();
    shell(&ground.rig, "mkdir outside; mkdir -p $(dirname trap/$PWD/tree); ln -s $PWD/outside trap/$PWD/tree");
    let said = restore(&ground, "trap", &[], &["--overwrite"]).ends_with_code(1);
    assert!(said.err.contains("cannot be written") || said.err.contains("differ"), "{}", said.err);
    assert_eq!(shell(&ground.rig, "ls outside | wc -l").trim(), "0");
}

#[test]
fn whoever_is_not_root_gets_all_of_it_and_hears_whose_it_is() {
    let ground = Ground::everything();
    ground.backup();
    shell(&ground.rig, "chmod -R a+rX root-store; chmod 755 root-state; rm -rf root-state/keys; mkdir -m 777 hers");
    let root = ground.file("hers/back").display().to_string();
    let mut command = ground.command_as(Account::current(), &["restore", "--yes", "--files", "--to-root", &root, "--format", "json"]);
    let said = Said::of(command.output().expect("seawall")).ends_with_code(0);
    let json: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    assert!(json["not_owned"].as_u64().is_some_and(|count| count > 3000), "{json}");
    assert!(said.err.contains("only root can give files to other owners"), "{}", said.err);
    let tree = ground.below("hers/back").display().to_string();
    assert_eq!(shell(&ground.rig, &format!("stat -c '%U %a' {tree}/etc/prog")).trim(), "postgres 755");
    let sums = |tree: &str| {
        shell(
            &ground.rig,
            &format!("cd {tree}; find . -type f ! -name a.log ! -path './cache/*' -print0 | sort -z | xargs -0 sha256sum -z | cat -v"),
        )
    };
    same(&sums(&tree), &sums(&ground.file("tree").display().to_string()));
}

/// Begins a restore and ends it with `kill -9` when it is as far as that.
fn killed(ground: &Ground, root: &str, when: impl Fn() -> bool) {
    let root = ground.file(root).display().to_string();
    let mut command = ground.command(&["restore", "--yes", "--files", "--to-root", &root, "--workers", "1"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("seawall");
    while !when() && child.try_wait().expect("asked").is_none() {
        std::hint::spin_loop();
    }
    // It may be over already.
    let _ = child.kill();
    child.wait().expect("its end");
}

#[test]
fn killed_in_the_middle_it_goes_on_and_forgets_nothing() {
    let ground = Ground::everything();
    ground.backup();
    shell(&ground.rig, "rm -r tree/cache tree/etc/a.log; touch -d '2003-04-05 06:07:08.25' tree/etc");
    let before = ground.seen(&ground.file("tree"));
    let (tree, deep) = (ground.below("back"), ground.below("back").join("deep/d1/d2"));
    killed(&ground, "back", || deep.exists());
    // In the middle: its folders are made, and none has its rights.
    assert_eq!(shell(&ground.rig, &format!("stat -c %a {}", tree.display())).trim(), "1700");
    assert!(!tree.join("many/3000").exists());
    let mut lot = chance::lot("files::back");
    for _ in 0..chance::rounds(4, 40) {
        let until = Instant::now() + Duration::from_millis(lot.below(1200) as u64);
        killed(&ground, "back", || Instant::now() > until);
    }
    restore(&ground, "back", &[], &[]).ends_with_code(0);
    same(&ground.seen(&tree), &before);
    assert_eq!(shell(&ground.rig, "find back -name '.seawall*' -o -type d -perm 1700 | wc -l").trim(), "0");
}

#[test]
fn folders_above_what_was_copied_are_as_they_were_where_they_are_made() {
    let ground = Ground::everything();
    let place = ground.rig.cluster.folder().display().to_string();
    shell(&ground.rig, "chmod 2751 .; setfacl -m u:4711:x .; touch -d '2004-05-06 07:08:09.5' .");
    ground.backup();
    let seen = |folder: &str| shell(&ground.rig, &format!("stat -c '%a %U %G' {folder}; getfacl -cn {folder}"));
    restore(&ground, "back", &[], &[]).ends_with_code(0);
    let back = ground.file("back").display().to_string();
    assert_eq!(seen(&format!("{back}{place}")), seen(&place));
    let up = ground.rig.cluster.folder().parent().expect("a folder").display().to_string();
    assert_eq!(seen(&format!("{back}{up}")), seen(&up));
    // What is there is nobody's business.
    shell(&ground.rig, &format!("chmod 711 {back}{place}; rm {back}{place}/tree/big"));
    restore(&ground, "back", &[], &["--overwrite"]).ends_with_code(0);
    assert_eq!(shell(&ground.rig, &format!("stat -c %a {back}{place}")).trim(), "2711");
    shell(&ground.rig, "chmod 755 .");
}

#[test]
fn nobody_gets_rights_from_a_list_that_he_had_not() {
    let ground = Ground::everything();
    ground.backup();
    shell(&ground.rig, "rm -r tree/cache tree/etc/a.log; touch -d '2003-04-05 06:07:08.25' tree/etc");
    let before = ground.seen(&ground.file("tree"));
    // A list that every new file would inherit.
    shell(&ground.rig, "mkdir back; setfacl -d -m u:4711:rwx,g::rwx back; setfacl -m u:4711:rwx back");
    restore(&ground, "back", &[], &[]).ends_with_code(0);
    same(&ground.seen(&ground.below("back")), &before);
    // A file system that knows no lists: the group has what the list gave it, and not the mask.
    shell(&ground.rig, "mkdir plain && mount -t ramfs none plain && chmod 755 plain");
    let said = restore(&ground, "plain", &["plain"], &["--format", "json"]);
    let mode = shell(&ground.rig, &format!("stat -c %a {}/etc/plain", ground.below("plain").display()));
    shell(&ground.rig, "umount plain");
    let said = said.ends_with_code(0);
    let json: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    assert!(json["without_attributes"].as_u64().is_some_and(|count| count > 0), "{json}");
    assert_eq!(mode.trim(), "640");
}

#[test]
fn another_file_under_the_name_of_a_hard_link_is_seen_before_anything_is_changed() {
    let ground = Ground::everything();
    ground.backup();
    restore(&ground, "back", &[], &[]).ends_with_code(0);
    let tree = ground.below("back");
    shell(&ground.rig, &format!("cd {}; cp -p etc/plain x; mv x etc/plain; rm many/17", tree.display()));
    let said = restore(&ground, "back", &[], &[]).ends_with_code(1);
    assert!(said.err.contains("etc/plain") && said.err.contains("differ"), "{}", said.err);
    assert!(!tree.join("many/17").exists());
    restore(&ground, "back", &[], &["--overwrite"]).ends_with_code(0);
    assert_eq!(shell(&ground.rig, &format!("stat -c %h {}/zzz-linked", tree.display())).trim(), "3");
}
