//! Pages that are wrong on the disk.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use seawall::format::control::{self, Control};
use seawall::format::page;

use super::rig::{Policy, Rig};
use crate::clusters::{Cluster, Options, StopMode, Version};

fn spoil(rig: &Rig, block: u64) -> String {
    overwrite(rig, block * 8192 + 5000, b"\xA5")
}

fn overwrite(rig: &Rig, at: u64, bytes: &[u8]) -> String {
    rig.cluster.sql("create table victim as select g, md5(g::text) from generate_series(1, 20000) g; checkpoint");
    let path = rig.cluster.sql("select pg_relation_filepath('victim')");
    rig.cluster.stop(StopMode::Fast);
    let file = OpenOptions::new().write(true).open(rig.cluster.data().join(&path)).expect("the relation");
    file.write_all_at(bytes, at).expect("a few bytes");
    drop(file);
    rig.cluster.resume();
    path
}

#[test]
fn a_damaged_page_is_named_and_the_backup_marked() {
    for no_files in [false, true] {
        let rig = Rig::new(Version::V15, &Policy { no_files, ..Policy::default() });
        let path = spoil(&rig, 7);
        let backup = rig.backup(&[]);
        assert_eq!(backup.0["damage"]["pages"], 1, "{no_files}");
        assert_eq!(backup.0["damage"]["blocks"][0], serde_json::json!({ "path": path, "block": 7 }));
        assert!(!backup.0["remarks"].to_string().contains("pg_read_binary_file"), "{}", backup.0);
    }
}

#[test]
fn a_damaged_page_ends_the_backup_where_the_policy_says_so() {
    for no_files in [false, true] {
        let policy = Policy { physical: "damaged_pages: fail".into(), no_files, ..Policy::default() };
        let rig = Rig::new(Version::V15, &policy);
        let path = spoil(&rig, 2);
        let said = rig.refused(&[]);
        assert!(said.contains(&format!("1 page with wrong checksums: block 2 of {path}")), "{no_files}: {said}");
        assert!(rig.has_only_whole_parts() && rig.objects("backups").is_empty());
    }
}

#[test]
fn whoever_may_not_read_a_page_again_says_so_or_lets_the_server_judge() {
    for physical in ["damaged_pages: mark", "damaged_pages: fail"] {
        let rig = Rig::new(Version::V15, &Policy { physical: physical.into(), no_files: true, ..Policy::default() });
        rig.cluster.sql("create role copier login replication");
        let text = fs::read_to_string(rig.path("policy.yaml")).expect("the policy").replace("user=postgres", "user=copier");
        fs::write(rig.path("policy.yaml"), text).expect("the policy");
        rig.backup(&[]);
        let path = spoil(&rig, 2);
        if physical.ends_with("mark") {
            let backup = rig.backup(&[]);
            assert_eq!(backup.0["damage"]["blocks"], serde_json::json!([{ "path": path, "block": 2 }]));
            assert!(backup.0["remarks"].to_string().contains("execute on function pg_read_binary_file"), "{}", backup.0);
        } else {
            let said = rig.refused(&[]);
            assert!(said.contains("the server found pages with wrong checksums") && said.contains("damaged_pages: mark"), "{said}");
        }
    }
}

#[test]
fn a_page_from_the_future_is_damaged_too() {
    // Pages that changed since the backup began are the log's business, but none is from after its end.
    for no_files in [false, true] {
        let rig = Rig::new(Version::V15, &Policy { no_files, ..Policy::default() });
        let path = overwrite(&rig, 4 * 8192, &[0x7F; 8]);
        let backup = rig.backup(&[]);
        assert_eq!(backup.0["damage"]["blocks"], serde_json::json!([{ "path": path, "block": 4 }]), "{no_files}");
    }
}

/// A store that gives back something else than it was given.
#[test]
fn what_does_not_read_back_is_no_backup() {
    for (read_back, is_found) in [("", true), (", read_back: contents", true), (", read_back: sizes", false)] {
        let rig = Rig::new(Version::V15, &Policy { job: read_back.into(), ..Policy::default() });
        // The log comes when it is let through, and the copy lies in the store meanwhile.
        rig.shell("mv archive pass && printf '#!/bin/sh\\nwhile [ ! -e ../through ]; do sleep 0.1; done; exec ../pass $1\\n' > archive && chmod 755 archive");
        let child = rig.begin_backup();
        let deadline = Instant::now() + Duration::from_secs(120);
        while !rig.objects("data").iter().any(|name| name.starts_with("backup_manifest")) {
            assert!(Instant::now() < deadline, "{:?}", rig.objects("data"));
            thread::sleep(Duration::from_millis(20));
        }
        let part = PathBuf::from(rig.shell("find $PWD/store -name 'part-00001.tar*'"));
        let mut bytes = fs::read(&part).expect("a part");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&part, bytes).expect("one bit");
        rig.shell("touch through");
        let output = child.wait_with_output().expect("its end");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(i32::from(is_found)), "{read_back}: {said}");
        if is_found {
            assert!(said.contains("part-00001.tar.zst.age does not read back as it was written"), "{said}");
            assert!(rig.has_only_whole_parts() && rig.objects("backups").is_empty());
        }
    }
}

#[test]
fn without_checksums_nothing_is_said_of_pages() {
    let rig = Rig::with(Version::V15, Options { checksums: false, ..Options::default() }, &Policy::default());
    spoil(&rig, 2);
    assert_eq!(rig.backup(&[]).0["damage"]["pages"], 0);
}

#[test]
fn every_version_s_control_file_and_pages_are_understood() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, Options { segment_mb: 4, ..Options::default() });
        cluster.sql("checkpoint");
        let system = cluster.sql("select system_identifier from pg_control_system()");
        let path = cluster.sql("select pg_relation_filepath('pg_class')");
        cluster.stop(StopMode::Fast);
        let mut bytes = std::fs::read(cluster.data().join(control::PATH)).expect("pg_control");
        let control = Control::parse(&bytes).unwrap_or_else(|error| panic!("{version}: {error}"));
        assert_eq!(control.system_identifier.0.to_string(), system);
        assert_eq!((control.wal_segment_size.bytes(), control.block_size, control.data_checksums), (4 << 20, 8192, true), "{version}");
        assert_eq!(control.state, control::State::ShutDown);
        bytes[40] ^= 1;
        Control::parse(&bytes).expect_err("a flipped bit");
        let relation = std::fs::read(cluster.data().join(path)).expect("the relation");
        for (block, page) in relation.chunks(8192).enumerate() {
            assert_eq!(page::look(page, u32::try_from(block).expect("small")), page::Look::Sound, "{version}: block {block}");
        }
    }
}
