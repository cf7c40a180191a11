//! Messages as people see them.

use super::{Room, golden, sound};

/// Ten mistakes of a new user.
const MISTAKES: &str = "\
version: 1
policy: Pricing Agent
timezone: Europe/Olso
cluster:
  conection: service=pricing
stores:
  main: { s3: { bucket: pricing-backups, regoin: eu-central-1 } }
  both: { local: { path: /srv/b }, s3: { bucket: second-bucket } }
wal: { store: mian, timeout: 5, keep: 30d }
backups:
  nightly:
    physical:
    schedule: { at: 03:00 }
    retention: { daily: 30 }
  weekly:
    logical: {}
    schedule: { on: sundy, at: \"03:00\" }
  nightly:
    logical: {}
review_by: 31.12.2027
";

#[test]
fn ten_mistakes_of_a_new_user() {
    let room = Room::new().with("policies/pricing.yaml", MISTAKES);
    golden("ten-mistakes.txt", &room.run(&["validate"]).stdout);
    golden("ten-mistakes.json", &room.run(&["validate", "--format", "json"]).stdout);
    golden("ten-mistakes.github.txt", &room.run(&["validate", "--format", "github"]).stdout);
}

#[test]
fn a_long_line_is_cut_and_its_column_is_right() {
    let room = Room::new().with("a.yaml", format!("{{ version: 1, description: \"{}\", foo: 1 }}\n", "long ".repeat(10_000)));
    let text = room.run(&["validate", "a.yaml"]).stdout;
    let finding = text.split("\n\n").find(|part| part.contains("`foo`")).expect("the finding");
    assert!(finding.contains("a.yaml:1:50032"), "{finding}");
    assert!(finding.lines().all(|line| line.chars().count() < 260), "{finding}");
}

#[test]
fn a_sound_policy_needs_one_line() {
    let room = Room::new().with("a.yaml", sound("a-one")).with("b.yaml", sound("b-one"));
    assert_eq!(room.run(&["validate", "a.yaml", "b.yaml"]).stdout, "2 policies are sound\n");
}

#[test]
fn help_teaches_with_examples() {
    let room = Room::new();
    golden("help.txt", &room.run(&["--help"]).stdout);
    for command in [&["validate"][..], &["explain"], &["schema"], &["policy", "show"], &["completions"], &["man"]] {
        let arguments: Vec<&str> = command.iter().copied().chain(["--help"]).collect();
        assert!(room.run(&arguments).stdout.contains("Examples:\n  seawall "), "{command:?}");
    }
}
