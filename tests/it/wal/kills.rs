//! `kill -9` at any moment: what was acknowledged is there, and nothing stands in the way of the next call.

use std::thread;
use std::time::Duration;

use super::room::{Room, done, name, ready, segment};

/// More with SEAWALL_TEST_KILLS.
fn rounds() -> u32 {
    std::env::var("SEAWALL_TEST_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(50)
}

#[test]
fn no_acknowledged_segment_is_missing_after_kills() {
    let room = Room::new();
    room.policy("both", &["one", "two"], "");
    let data = room.data("data");
    let (mut next, mut asked, mut killed) = (1, 1, 0);
    let mut wait = 0x2545_F491_u64;
    while killed < rounds() {
        while next < asked + 6 {
            ready(&data, &name(next), &segment(next, 1, 7));
            next += 1;
        }
        let mut child = room.command(&data, "both", &["push", &format!("pg_wal/{}", name(asked))]).spawn().expect("it starts");
        wait = wait.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        thread::sleep(Duration::from_micros((wait >> 33) % 120_000));
        let _ = child.kill();
        let status = child.wait().expect("it ends");
        if status.success() {
            done(&data, &name(asked));
            asked += 1;
        } else {
            assert_eq!(status.code(), None, "it was killed, or it was well");
            killed += 1;
        }
    }
    for number in asked..next {
        assert_eq!(room.push(&data, "both", &name(number)).code, Some(0));
    }
    // Every one of them, in both stores: the one whose policy is asked has no other.
    room.policy("two", &["two"], "");
    for policy in ["one", "two"] {
        for number in 1..next {
            let (run, got) = room.fetch(&data, policy, &name(number), &[]);
            assert_eq!((run.code, got == Some(segment(number, 1, 7))), (Some(0), true), "{policy} {number}: {}", run.stderr);
        }
    }
}

#[test]
fn a_call_that_is_told_to_end_ends_with_one() {
    let room = Room::new();
    let data = room.data("data");
    for number in 1..=40 {
        ready(&data, &name(number), &segment(number, 1, 7));
    }
    let mut codes = Vec::new();
    // How long it takes to listen, and to be done, is the machine's affair: later and later, until some were asked in between.
    for pause in (60..3000).step_by(30) {
        if codes.len() >= 4 && codes.contains(&Some(1)) {
            break;
        }
        let child = room.command(&data, "one", &["push", &format!("pg_wal/{}", name(1))]).spawn().expect("it starts");
        thread::sleep(Duration::from_millis(pause));
        let process = rustix::process::Pid::from_child(&child);
        let _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
        codes.push(child.wait_with_output().expect("it ends").status.code());
        let _ = std::fs::remove_dir_all(room.path("state/policies"));
    }
    // Asked before it listens, the signal ends it; asked after its own file is durable, it may be done.
    assert!(codes.iter().all(|code| matches!(code, None | Some(0 | 1))) && codes.contains(&Some(1)), "{codes:?}");
}
