//! `policy show`: the whole policy, each value with its origin.

use serde_json::Value;

use super::{Room, golden, sound};

fn fleet() -> Room {
    let base = "\
# what all have in common
version: 1
abstract: true
owner: platform@example.com
objectives: { rpo: 1h, rto: 4h }
windows:
  weekly: { on: sunday, from: \"03:00\", to: \"04:00\" }
contacts:
  oslo: { name: \"no\", role: \"says: \\\"yes\\\" # really\" }
escalation: [{ contact: oslo }, { contact: oslo, after: 1h }]
";
    let heir = sound("orders").replace("rpo: 24h, rto: 4h, ", "rpo: 24h, ").replace(
        "backups:\n",
        "backups:\n  weekly: { physical: {}, schedule: { on: sunday, at: \"03:10\" }, window: weekly, keep: { weekly: 4 } }\n",
    );
    Room::new()
        .with("policies/base.yaml", base)
        .with("policies/orders.yaml", format!("extends: base.yaml\ndescription: \"two\\nlines, a tab\\tand a bell \\a\"\n{heir}"))
}

#[test]
fn every_value_says_where_it_comes_from() {
    let run = fleet().run(&["policy", "show", "policies/orders.yaml"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    golden("show.txt", &run.stdout);
}

#[test]
fn what_is_shown_is_a_policy_of_the_same_meaning() {
    let room = fleet();
    let as_json = |room: &Room, path: &str| -> Value {
        let run = room.run(&["policy", "show", "--format", "json", path]);
        assert_eq!(run.code, Some(0), "{run:?}");
        serde_json::from_str(&run.stdout).expect("JSON")
    };
    let shown = room.run(&["policy", "show", "policies/orders.yaml"]).stdout;
    let before = as_json(&room, "policies/orders.yaml");
    let room = room.with("alone.yaml", &shown);
    assert_eq!(as_json(&room, "alone.yaml")["policy"], before["policy"]);
    assert_eq!(before["origins"]["objectives.rpo"], "policies/orders.yaml:6");
    assert_eq!(before["origins"]["objectives.rto"], "policies/base.yaml:5");
    assert_eq!(before["origins"]["timezone"], "default");
    assert_eq!(before["policy"]["escalation"][1]["after"], "1h");
}

#[test]
fn a_policy_with_errors_is_not_shown() {
    let room = Room::new().with("a.yaml", format!("{}foo: 1\n", sound("a-one")));
    let run = room.run(&["policy", "show", "a.yaml"]);
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("SW0101") && !run.stdout.contains("# a.yaml"), "{run:?}");
}
