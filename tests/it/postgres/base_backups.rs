//! BASE_BACKUP: what the server sends is complete tar archives and a manifest that PostgreSQL's own program accepts.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::process::Command;

use seawall::postgres::{Archive, BaseBackupOptions, FaultKind, Piece};

use super::super::clusters::{Cluster, Options, Version};

#[test]
fn archives_that_tar_reads_and_a_manifest_that_holds() {
    for version in Version::ALL {
        let cluster = Cluster::start(version, Options::default());
        cluster.tablespace("far");
        cluster.sql("create table t tablespace far as select generate_series(1, 20000) x; create table u as select * from t");
        let out = cluster.folder().join("out");
        fs::create_dir(&out).expect("a folder");

        let mut connection = cluster.replicate();
        let identity = connection.identify_system().expect("an identity");
        assert_eq!(identity.system.to_string(), cluster.sql("select system_identifier from pg_control_system()"));
        assert_eq!(connection.show("wal_segment_size").expect("a setting"), "16MB");
        let options = BaseBackupOptions { manifest_checksums: Some("SHA256".into()), ..BaseBackupOptions::default() };
        let mut backup = connection.base_backup(&options).expect("a backup");
        assert_eq!(backup.tablespaces().len(), 1);
        let start = backup.start_point();
        let total = backup.total();
        let (mut archives, mut open, mut manifest) = (BTreeMap::new(), None::<File>, Vec::new());
        let mut sent = 0;
        while let Some(piece) = backup.next().expect("a piece") {
            match piece {
                Piece::Archive(Archive { name, tablespace }) => {
                    open = Some(File::create(out.join(&name)).expect("a file"));
                    archives.insert(name, tablespace);
                }
                Piece::Data(bytes) => {
                    sent += bytes.len() as u64;
                    open.as_mut().expect("an archive").write_all(&bytes).expect("written");
                }
                Piece::Manifest(bytes) => manifest.extend_from_slice(&bytes),
                Piece::Progress(_) => {}
            }
        }
        // Headers and padding come on top, 1 KB or so for each of some 1,000 files.
        assert!(total > sent / 2 && total <= sent, "{version}: {total} of {sent}");
        let end = backup.finish().expect("the end");
        assert!(end.lsn > start.lsn && end.timeline == start.timeline, "{version}");
        connection.identify_system().expect("the connection is free again");

        assert_eq!(archives.len(), 2, "{version}: {archives:?}");
        assert_eq!(archives["base.tar"], None);
        let copy = cluster.folder().join("copy");
        fs::create_dir(&copy).expect("a folder");
        for (name, tablespace) in &archives {
            let into = match tablespace {
                None => copy.clone(),
                Some(tablespace) => copy.join("pg_tblspc").join(tablespace.oid.to_string()),
            };
            let _ = fs::remove_file(&into);
            fs::create_dir_all(&into).expect("a folder");
            tar(&["-tf", &out.join(name).display().to_string()]);
            tar(&["-xf", &out.join(name).display().to_string(), "-C", &into.display().to_string()]);
        }
        fs::write(copy.join("backup_manifest"), manifest).expect("written");
        cluster.account().own(&copy);
        cluster.verify_backup(&copy);
    }
}

/// Says nothing when all is well: neither about a missing end mark nor about anything after it.
fn tar(words: &[&str]) {
    let output = Command::new("tar").args(words).output().expect("tar");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "tar {words:?}: {said}");
}

#[test]
fn a_backup_that_is_left_alone_ends_its_connection() {
    for version in [Version::V13, Version::V18] {
        let cluster = Cluster::start(version, Options::default());
        let mut connection = cluster.replicate();
        let mut backup = connection.base_backup(&BaseBackupOptions::default()).expect("a backup");
        backup.next().expect("a piece").expect("there is one");
        drop(backup);
        assert_eq!(connection.identify_system().expect_err("given up").kind, FaultKind::Lost);
        drop(connection);
        cluster.wait_until("count(*) = 0 from pg_stat_replication");
    }
}

#[test]
fn what_the_server_refuses_is_told() {
    let cluster = Cluster::start(Version::V15, Options::default());
    let mut connection = cluster.replicate();
    let options = BaseBackupOptions { manifest_checksums: Some("MD2".into()), ..BaseBackupOptions::default() };
    let fault = connection.base_backup(&options).expect_err("no such checksum");
    assert!(fault.message.contains("MD2"), "{fault:?}");
    connection.identify_system().expect("the connection is free again");
    assert_eq!(cluster.connect().base_backup(&BaseBackupOptions::default()).expect_err("plain SQL").kind, FaultKind::Config);
}
