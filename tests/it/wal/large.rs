//! Segments of every size that PostgreSQL allows, in bounded memory.

use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use super::room::{Room, name, names, ready, segment};

#[test]
fn larger_segments_go_in_pieces_and_keep_their_name() {
    let room = Room::new();
    let (data, other) = (room.data("data"), room.data("other"));
    for (number, mib) in [(1, 16), (2, 32), (3, 64), (4, 128)] {
        let bytes = segment(number, mib, 7);
        ready(&data, &name(number), &bytes);
        assert_eq!(room.push(&data, "one", &name(number)).code, Some(0));
        ready(&other, &name(number), &bytes);
        let run = room.push(&other, "one", &name(number));
        assert_eq!(run.code, Some(0), "{run:?}");
        let (run, got) = room.fetch(&data, "one", &name(number), &[]);
        assert!(run.code == Some(0) && got == Some(bytes), "{mib} MiB: {}", run.stderr);
        ready(&other, &name(number), &segment(number, mib, 8));
        let run = room.push(&other, "one", &name(number));
        assert!(run.code == Some(1) && run.stderr.contains("other content"), "{mib} MiB: {run:?}");
        // Also where the upload never came to its end: the claim holds the name.
        if mib > 31 {
            fs::remove_file(room.object("one", &name(number)).expect("there")).expect("removed");
            let run = room.push(&other, "one", &name(number));
            assert!(run.code == Some(1) && run.stderr.contains("other content"), "{mib} MiB: {run:?}");
        }
        fs::remove_file(other.join("pg_wal/archive_status").join(format!("{}.ready", name(number)))).expect("removed");
        fs::remove_file(data.join("pg_wal/archive_status").join(format!("{}.ready", name(number)))).expect("removed");
    }
    assert!(names(&room.path("one/.incoming")).is_empty());
    // Claims are objects like others: known, and checked.
    let verify = || {
        let mut command = room.account.command(env!("CARGO_BIN_EXE_seawall"));
        command.arg("verify").arg("--policy").arg(room.path("one.yaml")).arg("--state").arg(room.path("state"));
        let output = command.output().expect("it starts");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (_, before) = verify();
    assert!(!before.contains("claims"), "{before}");
    let repository = names(&room.path("one")).into_iter().find(|name| name.starts_with("shop-")).expect("a repository");
    let claim = room.path(&format!("one/{repository}/claims/{}/{}.claim", super::room::CLUSTER, name(4)));
    let mut bytes = fs::read(&claim).expect("it is there");
    bytes[60] ^= 1;
    fs::write(&claim, bytes).expect("written");
    let (code, after) = verify();
    assert!(code != Some(0) && after.contains(&format!("{}.claim", name(4))), "{after}");
}

#[test]
fn one_gigabyte_takes_no_more_memory_than_a_little() {
    let room = Room::new();
    let data = room.data("data");
    let bytes = segment(1, 1024, 7);
    let hash = blake3::hash(&bytes);
    ready(&data, &name(1), &bytes);
    drop(bytes);
    let push = peak_mib(room.command(&data, "one", &["push", &format!("pg_wal/{}", name(1))]));
    let fetch = peak_mib(room.command(&data, "one", &["fetch", &name(1), "pg_wal/got"]));
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(fs::File::open(data.join("pg_wal/got")).expect("it is there")).expect("it can be read");
    assert_eq!(hasher.finalize(), hash);
    assert!(push < 128 && fetch < 128, "push {push} MiB, fetch {fetch} MiB");
}

/// The most memory that a command had at any time.
fn peak_mib(mut command: std::process::Command) -> u64 {
    let mut child = command.stderr(Stdio::inherit()).spawn().expect("it starts");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(peak).max(peak);
        if let Some(status) = child.try_wait().expect("it runs or has ended") {
            assert!(status.success(), "{status}");
            return peak >> 10;
        }
        thread::sleep(Duration::from_millis(5));
    }
}
