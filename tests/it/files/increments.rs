//! Increments: what of them is stored, and that each brings back the tree as it was when it was taken.

use std::fs;
use std::path::PathBuf;

use seawall::inventory::BackupKind;

use super::rig::{Copied, Ground, same, shell};
use crate::run::rig::Said;

/// What a file system knows of a folder changes in every way there is. As root, in the folder above.
const FIRST_CHANGES: &str = r#"
    cd tree
    echo more >> etc/prog; chmod 6755 etc/prog
    chmod 604 etc/old; touch -d '1999-01-01 01:01:01.5' many/17; chown 77:88 many/18
    setfattr -n user.new -v here many/19; setfattr -x user.odd=100% etc/plain; setfacl -m u:4712:r many/20; setfacl -b etc/plain
    mv many/21 many/renamed; rm many/22 hole; mv empty full; echo in > full/in
    rm many/23; mkdir many/23; echo below > many/23/below
    rm -r etc/sub; echo 'a file now' > etc/sub
    rm etc/folder; mkdir etc/folder; ln -sfn elsewhere etc/dangling
    ln big aaa-big; echo tail >> holes; printf y | dd of=small-hole bs=1 seek=60000 conv=notrunc status=none
    rm pipe; echo 'no pipe any more' > pipe; echo odd again > $'not \xff\xfe text'; chmod 600 $'new\nline'
    touch -d '2004-05-06 07:08:09.125' many etc . deep
"#;
const SECOND_CHANGES: &str = r#"
    cd tree
    rm aaa-big; printf z | dd of=big bs=1 seek=3000000 conv=notrunc status=none
    rm etc/sub; mkdir etc/sub; ln etc/plain etc/sub/linked; rm -r many/23; echo 23 > many/23
    chmod 640 etc/old; echo 'number 24, again' > many/24; cp -p many/25 many/25-copy; : > many/26; rm pipe; mkfifo pipe
    touch -d '2005-06-07 08:09:10' many etc/sub . closed
"#;

fn ground() -> Ground {
    let ground = Ground::everything();
    ground.change("globals: true", "globals: true, full_every: 7d");
    ground
}

fn restored(ground: &Ground, of: &Copied, root: &str) -> Said {
    let to = ground.file(root).display().to_string();
    let id = of.descriptor.id.to_string();
    ground.say(&["restore", "--yes", "--files", "--backup", &id, "--to-root", &to]).ends_with_code(0)
}

/// What is left out of the copies is not in the folder either.
fn now(ground: &Ground) -> String {
    shell(&ground.rig, "cp -a tree seen-tree; t=$(stat -c %y tree/etc); r=$(stat -c %y tree); cd seen-tree; rm -rf cache etc/a.log; touch -d \"$t\" etc; touch -d \"$r\" .");
    let seen = ground.seen(&ground.file("seen-tree"));
    shell(&ground.rig, "rm -rf seen-tree");
    seen
}

fn part_bytes(ground: &Ground, of: &Copied) -> u64 {
    let text = shell(&ground.rig, &format!("cat {}/part-*.tar.zst.age | wc -c", ground.folder(of).display()));
    text.trim().parse().expect("a number")
}

#[test]
fn three_generations_come_back_each_as_it_was() {
    let ground = ground();
    let mut generations: Vec<(Copied, String)> = Vec::new();
    for changes in ["", FIRST_CHANGES, SECOND_CHANGES] {
        ground.rig.shell_as_root(changes);
        let copied = ground.backup();
        generations.push((copied, now(&ground)));
    }
    let [full, first, second] = generations.as_slice() else { unreachable!("three") };
    assert_eq!((full.0.descriptor.kind, &full.0.descriptor.parent), (BackupKind::Files, &None));
    assert_eq!(first.0.descriptor.parent.as_ref(), Some(&full.0.descriptor.id));
    assert_eq!(second.0.descriptor.parent.as_ref(), Some(&first.0.descriptor.id));
    assert!(first.0.said.contains("an increment: what has changed since"), "{}", first.0.said);
    // `holes` was made longer and is there again with its three megabytes, `big` with five; nothing else is large.
    assert!(part_bytes(&ground, &full.0) > 8_000_000);
    assert!((3_000_000..8_000_000).contains(&part_bytes(&ground, &first.0)), "{}", part_bytes(&ground, &first.0));
    for (number, (copied, seen)) in generations.iter().enumerate() {
        let root = format!("back-{number}");
        restored(&ground, copied, &root);
        same(&ground.seen(&ground.below(&root)), seen);
    }
    // Another generation in the place of one: what is there already is not fetched, and nothing is removed.
    ground.say(&["verify", "--deep"]).ends_with_code(0);
}
