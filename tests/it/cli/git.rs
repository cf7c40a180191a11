//! Policies as they were at a revision.

use std::process::Command;

use super::{Room, sound};

fn git(room: &Room, arguments: &[&str]) {
    let identity =
        ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false", "-c", "init.defaultBranch=main"];
    let done = Command::new("git").current_dir(room.path()).args(identity).args(arguments).output().expect("git");
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

fn repository() -> Room {
    let room = Room::new()
        .with("policies/base.yaml", "version: 1\nabstract: true\nowner: me\n")
        .with("policies/team/a.yaml", format!("extends: ../base.yaml\n{}", sound("a-one")))
        .with("policies/.hidden/x.yaml", "nonsense");
    git(&room, &["init", "-q"]);
    git(&room, &["add", "-A"]);
    git(&room, &["commit", "-q", "-m", "first"]);
    room.with("policies/base.yaml", "version: 1\nabstract: true\nowner: me\nbroken: now\n")
}

#[test]
fn a_revision_is_read_with_what_its_files_extend() {
    let room = repository();
    assert_eq!(room.run(&["validate", "policies"]).code, Some(1));
    assert_eq!(room.run(&["validate", "git:HEAD:policies"]).stdout, "1 policy and 1 shared file are sound\n");
    assert_eq!(room.run(&["validate", "git:main:policies/team/a.yaml"]).stdout, "1 policy is sound\n");
    assert_eq!(room.run(&["validate", "git:HEAD"]).stdout, "1 policy and 1 shared file are sound\n");
    git(&room, &["branch", "topic/one"]);
    let shown = room.run(&["policy", "show", "git:topic/one:./policies/team/a.yaml"]).stdout;
    assert!(shown.contains("# git:topic/one:policies/base.yaml:3"), "{shown}");
    let shown = room.run(&["policy", "show", "git:HEAD:policies/team/a.yaml"]).stdout;
    assert!(shown.contains("# git:HEAD:policies/base.yaml:3"), "{shown}");
}

#[test]
fn what_git_does_not_have_is_an_error_with_a_hint() {
    let room = repository();
    for (argument, said) in [
        ("git:nowhere:policies", "git knows no such revision"),
        ("git:HEAD:policies/gone.yaml", "there is no such file at this revision"),
        ("git:HEAD:policies/gone.yaml\nx", "there is no such file at this revision"),
        ("git:HEAD:../x.yaml", "there is no such file at this revision"),
    ] {
        let run = room.run(&["validate", argument]);
        assert_eq!(run.code, Some(1), "{run:?}");
        assert!(run.stdout.contains(said), "{argument}: {run:?}");
    }
    let run = Room::new().run(&["validate", "git:HEAD:policies"]);
    assert!(run.stdout.contains("not in a git repository"), "{run:?}");
    let run = repository().command().env("PATH", "/nonexistent").args(["validate", "git:HEAD:policies"]).output().expect("it runs");
    assert!(String::from_utf8_lossy(&run.stdout).contains("there is no `git` program here"));
}
