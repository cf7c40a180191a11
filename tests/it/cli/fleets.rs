//! Many policies at once.

use super::{Room, golden, sound};

#[test]
fn two_policies_of_one_name_are_an_error_that_names_both() {
    let room = Room::new().with("policies/a.yaml", sound("same")).with("policies/b.yaml", sound("same"));
    let run = room.run(&["validate"]);
    assert_eq!(run.code, Some(1));
    golden("same-name.txt", &run.stdout);
}

#[test]
fn a_mistake_in_a_shared_file_is_told_once() {
    let heir = |name: &str| format!("extends: shared/base.yaml\n{}", sound(name));
    let room = Room::new()
        .with("policies/shared/base.yaml", "version: 1\nabstract: true\nowner: me\ncolour: blue\n")
        .with("policies/a.yaml", heir("a-one"))
        .with("policies/b.yaml", heir("b-one"))
        .with("policies/c.yaml", sound("c-one"));
    let run = room.run(&["validate", "policies"]);
    golden("shared-mistake.txt", &run.stdout);
    assert_eq!(run.stdout.matches("error[SW0101]").count(), 1, "{run:?}");
    let github = room.run(&["validate", "--format", "github", "policies"]).stdout;
    assert_eq!(github.matches("::error").count(), 1, "{github}");
}

#[test]
fn a_file_named_twice_is_read_once() {
    let room = Room::new().with("policies/a.yaml", sound("a-one"));
    let run = room.run(&["validate", "policies", "./policies/a.yaml", "policies/./a.yaml"]);
    assert_eq!(run.stdout, "1 policy is sound\n");
}

#[test]
fn the_order_is_that_of_the_names() {
    let mut room = Room::new();
    for at in (0..50).rev() {
        room = room.with(&format!("policies/p{at:02}.yaml"), format!("version: 1\npolicy: p{at}\nfoo: 1\n"));
    }
    let first = room.run(&["validate", "--format", "github"]).stdout;
    let files: Vec<&str> = first.lines().filter_map(|line| line.split_once("file=")?.1.split_once(',').map(|(file, _)| file)).collect();
    assert!(files.is_sorted(), "{files:?}");
    assert!((0..5).all(|_| room.run(&["validate", "--format", "github"]).stdout == first));
}
