//! Drills at the same time, each with its own folder, socket and port.

use std::net::TcpListener;

use super::rig::Drills;
use crate::clusters::Version;

const BOTH: &str = r#"
drills:
  one: { restore: { latest: nightly }, expect: { rows: { sql: "select count(*) from series", is: 50 } }, run: { run: [sleep, "2"] } }
  two: { restore: { point_in_time: newest }, expect: { rows: { sql: "select count(*) from series", is: 50 } }, run: { run: [sleep, "2"] } }
"#;

#[test]
fn two_of_them_are_not_in_each_others_way_on_13() {
    two_of_them_are_not_in_each_others_way(Version::V13);
}

#[test]
fn two_of_them_are_not_in_each_others_way_on_15() {
    two_of_them_are_not_in_each_others_way(Version::V15);
}

#[test]
fn two_of_them_are_not_in_each_others_way_on_18() {
    two_of_them_are_not_in_each_others_way(Version::V18);
}

/// And one of a name is alone.
fn two_of_them_are_not_in_each_others_way(version: Version) {
    let drills = Drills::new(version, BOTH);
    let (mut one, mut two) = (drills.begin(&["drill", "one"]), drills.begin(&["drill", "two"]));
    let began = std::time::Instant::now();
    while drills.copies().len() < 2 {
        assert!(began.elapsed().as_secs() < 120, "both are under way");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let same = drills.say(&["drill", "one"]);
    assert_eq!(same.code, 75, "{}{}", same.out, same.err);
    assert!(same.err.contains("`drills.one` is running already"), "{}", same.err);
    assert!(one.wait().expect("it ends").success() && two.wait().expect("it ends").success());
    drills.nothing_is_left();
}

/// The original's own port, and every other that somebody listens on, is nothing to a drill.
#[test]
fn a_port_that_is_taken_is_not_in_its_way() {
    let drills = Drills::new(Version::V15, BOTH);
    let taken: Vec<TcpListener> = (0..200).filter_map(|_| TcpListener::bind(("127.0.0.1", 0)).ok()).collect();
    assert_eq!(taken.len(), 200);
    drills.drill(0, &["one"]);
    drills.nothing_is_left();
}
