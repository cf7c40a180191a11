//! `seawall wal status`: the frontier, gaps by name, and what waits here.

use std::fs;

use serde_json::Value;

use super::room::{CLUSTER, Room, done, name, ready, segment};

fn status(room: &Room, data: &std::path::Path, policy: &str, more: &[&str]) -> (Option<i32>, String) {
    let output = room.command(data, policy, &[&["status"], more].concat()).output().expect("it starts");
    assert!(output.stderr.is_empty(), "{output:?}");
    (output.status.code(), String::from_utf8(output.stdout).expect("text"))
}

#[test]
fn gaps_are_named_and_what_waits_is_counted() {
    let room = Room::new();
    room.policy("first", &["one", "two"], ", acknowledged_by: first");
    let data = room.data("data");
    fs::write(room.path("two"), "").expect("written");
    for number in 1..=9 {
        ready(&data, &name(number), &segment(number, 1, 7));
        assert_eq!(room.push(&data, "first", &name(number)).code, Some(0));
        done(&data, &name(number));
    }
    for number in [4, 5, 8] {
        fs::remove_file(room.object("one", &name(number)).expect("there")).expect("removed");
    }
    ready(&data, &name(10), &segment(10, 1, 7));
    ready(&data, &name(11), &segment(11, 1, 7));

    let (code, text) = status(&room, &data, "first", &[]);
    assert_eq!(code, Some(1), "a store cannot be looked at: {text}");
    for line in [
        &format!("  timeline 1 of cluster {CLUSTER}: 0/100000 to 0/A00000 ({}), last written", name(9)),
        &format!("    missing from 0/400000 to 0/600000, 2 segments: {} to {}", name(4), name(5)),
        &format!("    missing from 0/800000 to 0/900000, 1 segment: {}", name(8)),
        "    unbroken from 0/900000 on",
        &format!("  2 files wait (2 MB), from {} on, the oldest written 60 min ago", name(10)),
        "  store two is owed 9 files",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }

    fs::remove_file(room.path("two")).expect("removed");
    for number in [10, 11] {
        assert_eq!(room.push(&data, "first", &name(number)).code, Some(0));
        done(&data, &name(number));
    }
    let (code, text) = status(&room, &data, "first", &["--format", "json"]);
    let value = crate::cli::follows("wal-status-output", &text);
    assert_eq!((code, &value["format_version"]), (Some(0), &Value::from(1)), "{text}");
    let timeline = &value["stores"][0]["timelines"][0];
    assert_eq!(timeline["newest_segment"], name(11));
    assert_eq!(timeline["gaps"][0]["first_segment"], name(4));
    assert_eq!(timeline["gaps"].as_array().map(Vec::len), Some(2));
    // What was lost in the first store cannot be copied from it, and stays owed.
    assert_eq!(value["stores"][1]["timelines"][0]["to_lsn"], "0/C00000");
    assert_eq!(value["here"]["owed"][0]["files"], 3, "{text}");
    assert_eq!(value["here"]["waiting_files"], 0);
}

#[test]
fn the_policy_says_where_the_data_directory_is() {
    let room = Room::new();
    room.policy("one", &["one"], "");
    let data = room.data("data");
    ready(&data, &name(1), &segment(1, 1, 7));
    let elsewhere = room.path("elsewhere");
    fs::create_dir_all(&elsewhere).expect("made");
    assert!(!status(&room, &elsewhere, "one", &[]).1.contains("here ("));
    let policy = fs::read_to_string(room.path("one.yaml")).expect("a policy");
    let named = policy.replace("databases: [shop] }", &format!("databases: [shop], data_directory: {} }}", data.display()));
    fs::write(room.path("one.yaml"), named).expect("written");
    let (_, text) = status(&room, &elsewhere, "one", &[]);
    assert!(text.contains(&format!("here ({})", data.display())) && text.contains("  1 file waits ("), "{text}");
}

#[test]
fn a_failure_is_remembered_until_something_is_archived() {
    let room = Room::new();
    let data = room.data("data");
    fs::write(room.path("one"), "").expect("written");
    ready(&data, &name(1), &segment(1, 1, 7));
    assert_eq!(room.push(&data, "one", &name(1)).code, Some(1));
    fs::remove_file(room.path("one")).expect("removed");
    let last = |room: &Room| {
        let (_, text) = status(room, &data, "one", &["--format", "json"]);
        serde_json::from_str::<Value>(&text).expect("JSON")["here"]["last_failure"].clone()
    };
    assert!(last(&room).as_str().is_some_and(|line| line.contains(&name(1))));
    assert_eq!(room.push(&data, "one", &name(1)).code, Some(0));
    assert_eq!(last(&room), Value::Null);
}
