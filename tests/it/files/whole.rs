//! Everything that a file system knows comes back: by Seawall, and by `age`, `zstd` and GNU tar.

use super::rig::{Ground, same, shell};

#[test]
fn everything_comes_back_as_it_was() {
    let ground = Ground::everything();
    let copied = ground.backup();
    assert!(copied.said.contains("sock: it is a socket"), "{}", copied.said);
    let notes = ground.notes(&copied);
    assert_eq!((notes["unread"]["count"].as_u64(), notes["left_out"]["count"].as_u64()), (Some(0), Some(1)), "{notes}");
    assert!(notes["globals"]["object"].as_str().is_some_and(|name| name.starts_with("globals.sql")), "{notes}");
    let id = copied.descriptor.id.as_str();
    ground.say(&["verify", "--deep"]).ends_with_code(0);
    ground.say(&["list"]).ends_with_code(0).says("files").says("complete");
    ground.say(&["show", id]).ends_with_code(0).says("/tree").says("seawall restore --files");
    // Whether it is left out is for the policy to say: it must not come back, and is taken out of what it is compared with.
    shell(&ground.rig, "rm -r tree/cache tree/etc/a.log; mkdir tree/cache; touch -r /etc/hosts tree/cache tree/etc");
    shell(&ground.rig, "rmdir tree/cache; touch -d '2003-04-05 06:07:08.25' tree/etc");
    let before = ground.seen(&ground.file("tree"));
    let root = ground.file("back");
    let words = ["restore", "--files", "--to-root", root.to_str().expect("text"), "--yes"];
    let said = ground.say(&words).ends_with_code(0);
    assert!(said.out.contains("restored"), "{}", said.out);
    same(&ground.seen(&ground.below("back")), &before);
    // Holes take no room.
    let blocks = |path: &str| shell(&ground.rig, &format!("stat -c %b '{path}'")).trim().parse::<u64>().expect("a number");
    assert!(blocks(&ground.below("back").join("holes").display().to_string()) <= 4 << 11, "holes are filled");
    assert!(blocks(&ground.below("back").join("hole").display().to_string()) <= 64);
    // Once more, all of it is there.
    let again = ground.say(&words).ends_with_code(0);
    assert!(again.out.contains("0 files, 0 folders, 0 links") && again.out.contains("already as in the backup"), "{}", again.out);

    let place = ground.folder(&copied);
    let script = format!(
        "mkdir by-hand && for part in {}/part-*.tar.zst.age; do age -d -i identity.txt $part | zstd -dc; done | \
         tar --extract --ignore-zeros --preserve-permissions --same-owner --xattrs --xattrs-include='*' --acls --directory by-hand",
        place.display()
    );
    shell(&ground.rig, &script);
    same(&ground.seen(&ground.below("by-hand")), &before);
    assert!(blocks(&ground.below("by-hand").join("holes").display().to_string()) <= 4 << 11);
}

#[test]
fn the_server_is_needed_for_its_roles_alone() {
    let ground = Ground::new(false, "paths: [TREE]");
    ground.rig.shell("mkdir tree; echo one > tree/one");
    ground.rig.cluster.stop(crate::clusters::StopMode::Fast);
    ground.say(&["backup", "system"]).ends_with_code(1).says("the server does not answer");
    ground.rig.cluster.resume();
    let first = ground.backup();
    ground.rig.cluster.stop(crate::clusters::StopMode::Fast);
    let second = ground.backup();
    assert!(second.said.contains("the server was not asked"), "{}", second.said);
    assert_eq!(first.descriptor.cluster, second.descriptor.cluster);
    ground.say(&["verify", "--deep"]).ends_with_code(0);
    ground.change("paths: [", "globals: true, paths: [");
    ground.say(&["backup", "system"]).ends_with_code(1);
}

#[test]
fn a_path_that_is_not_there_is_a_mistake_and_what_would_not_end_is_left_out() {
    let ground = Ground::new(false, "paths: [TREE/nowhere]");
    ground.rig.shell("mkdir tree; echo one > tree/one; ln -s tree short");
    ground.say(&["backup", "system"]).ends_with_code(1).says("nowhere");
    let folder = ground.rig.cluster.folder().display().to_string();
    // The store and the data directory lie below it.
    ground.change(&format!("paths: [{folder}/tree/nowhere]"), &format!("paths: [{folder}, {folder}/short/one]"));
    let copied = ground.backup();
    let notes = ground.notes(&copied);
    let left: Vec<&str> = notes["left_out"]["files"].as_array().expect("a list").iter().filter_map(|note| note["why"].as_str()).collect();
    assert!(left.iter().any(|why| why.contains("the store `disk`")) && left.iter().any(|why| why.contains("data directory")), "{left:?}");
    assert!(copied.said.contains("without the links on the way"), "{}", copied.said);
    ground.say(&["verify", "--deep"]).ends_with_code(0);
}

#[test]
fn what_cannot_be_read_is_named_and_the_run_fails_with_a_backup_that_is_marked() {
    let ground = Ground::new(false, "paths: [TREE]");
    ground.rig.shell_as_root(
        "mkdir -p tree/closed tree/open; echo secret > tree/open/secret; echo linked > tree/open/linked; ln tree/open/linked tree/open/other; \
         echo in > tree/closed/in; chmod 600 tree/open/secret tree/open/linked; chmod 700 tree/closed; echo fine > tree/open/fine",
    );
    let said = ground.say(&["backup", "system", "--format", "json"]).ends_with_code(1);
    assert!(said.err.contains("4 files could not be read"), "{}", said.err);
    for name in ["tree/open/secret", "tree/open/linked", "tree/open/other", "tree/closed"] {
        assert!(said.err.contains(&format!("{name}: ")), "{name}: {}", said.err);
    }
    let copied = ground.copied(&said);
    assert_eq!((copied.descriptor.damage.unread, copied.descriptor.files), (4, 1));
    ground.say(&["list"]).ends_with_code(0).says("DAMAGED");
    ground.say(&["verify", "--deep"]).ends_with_code(1).says("4 files could not be read");
    let root = ground.file("back");
    let words = ["restore", "--files", "--to-root", root.to_str().expect("text"), "--yes"];
    ground.say(&words).ends_with_code(0).says("not in it: ");
    assert_eq!(ground.rig.shell("find back -type f -printf %f"), "fine");
}

/// The most memory that a command had at a time.
fn most_kilobytes(ground: &Ground, words: &[&str]) -> u64 {
    let command = ground.command(words);
    let mut measured = std::process::Command::new("python3");
    measured.args(["-c", "import resource, subprocess, sys; e = subprocess.run(sys.argv[1:]).returncode; print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(e)"]);
    measured.arg(command.get_program()).args(command.get_args());
    let output = measured.output().expect("python");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let kilobytes = said.lines().last().and_then(|line| line.trim().parse().ok()).expect("a number");
    println!("60,000 files, {words:?}: {kilobytes} kB");
    kilobytes
}

#[test]
fn many_files_take_little_memory() {
    let ground = Ground::new(false, "paths: [TREE], full_every: 7d");
    ground.rig.shell("mkdir tree; cd tree; python3 -c \"import os\nfor d in range(60):\n  os.mkdir(str(d))\n  [open(f'{d}/{f}', 'w').write(f'{d} {f}') for f in range(1000)]\"");
    let root = ground.file("back").display().to_string();
    let restore = ["restore", "--yes", "--files", "--to-root", &root];
    // A full one, and two increments: the last one has its files in both.
    for (words, change) in [
        (&["backup", "system"][..], "for i in $(seq 0 59); do echo changed > tree/$i/500; done"),
        (&["backup", "system"], "rm -r tree/30"),
        (&["backup", "system"], "true"),
        (&restore, "true"),
    ] {
        let kilobytes = most_kilobytes(&ground, words);
        assert!(kilobytes < 200 << 10, "{kilobytes} kB");
        ground.rig.shell(change);
    }
    assert_eq!(shell(&ground.rig, "diff -r tree back/$(pwd)/tree").trim(), "");
}
