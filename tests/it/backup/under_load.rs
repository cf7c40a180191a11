//! A backup of a cluster that is written to all the while.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::rig::{Policy, Rig};
use crate::clusters::{Options, Version};

fn slow() -> Policy {
    // So that there is a while to write in.
    Policy { physical: "workers: 3, read_limit: 30MB/s".into(), ..Policy::default() }
}

/// Two accounts that always have the same together, a tablespace, a table that is not logged, all sorts of comings and goings.
fn comes_back(version: Version, options: Options) {
    comes_back_by(version, options, &slow());
}

fn comes_back_by(version: Version, options: Options, policy: &Policy) {
    let rig = Rig::with(version, options, policy);
    let space = rig.cluster.tablespace("elsewhere");
    // Another major version's, as pg_upgrade leaves it.
    rig.shell(&format!("mkdir -p {0}/PG_9.6_201608131/1 && echo x > {0}/PG_9.6_201608131/1/1", space.display()));
    rig.cluster.sql(
        "create table pairs (a int primary key, x bigint, y bigint) with (fillfactor = 50);
         insert into pairs select g, 500, 500 from generate_series(1, 20000) g;
         create table there tablespace elsewhere as select g, md5(g::text) from generate_series(1, 20000) g;
         create unlogged table fleeting as select g from generate_series(1, 1000) g;
         create table log (n serial, at timestamptz default clock_timestamp());
         create table bulk as select g, repeat('x', 500) from generate_series(1, 60000) g;
         create temporary table passing as select 1",
    );
    let done = AtomicBool::new(false);
    let backup = thread::scope(|scope| {
        scope.spawn(|| {
            let mut round = 0;
            while !done.load(Ordering::Relaxed) {
                round += 1;
                rig.cluster.sql("update pairs set x = x - 1, y = y + 1 where a % 7 = 3; insert into log default values");
                rig.cluster
                    .sql(&format!("create table t{round} as select g from generate_series(1, 3000) g; truncate bulk; drop table t{round}"));
                if round % 5 == 1 {
                    rig.cluster.sql(&format!("create database d{round}"));
                    rig.cluster.sql("checkpoint");
                    rig.cluster.sql(&format!("drop database d{round}"));
                }
            }
        });
        let backup = rig.backup(&["--label", "under load", "--keep", "90d"]);
        done.store(true, Ordering::Relaxed);
        backup
    });
    rig.archive_all();
    let expected = rig.cluster.sql("select count(*), sum(x), sum(y) from pairs") + &rig.cluster.sql("select max(n) from log");
    let copy = rig.restore(&backup);
    assert_eq!(copy.sql("select count(*), sum(x), sum(y) from pairs") + &copy.sql("select max(n) from log"), expected);
    assert_eq!(copy.sql("select count(distinct md5) from there"), "20000");
    assert_eq!(copy.sql("select count(*) from fleeting"), "0");
    let spaces = std::fs::read_dir(copy.folder())
        .expect("its folder")
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("ts-"));
    let versions: Vec<_> = spaces.flat_map(|space| std::fs::read_dir(space.path()).expect("a tablespace").flatten()).collect();
    assert_eq!(versions.len(), 1, "{versions:?}");
    let descriptor = rig.descriptor(&backup);
    assert_eq!((descriptor.damage.pages, descriptor.label.as_deref()), (0, Some("under load")));
    assert!(descriptor.cluster.data_checksums && descriptor.position.start < descriptor.position.stop);
    assert!(rig.objects("leases").is_empty());
}

#[test]
fn a_backup_comes_back_13() {
    comes_back(Version::V13, Options::default());
}

#[test]
fn a_backup_comes_back_15() {
    comes_back(Version::V15, Options::default());
}

/// Pages that are torn while the server sends them are not damage.
#[test]
fn a_backup_comes_back_over_the_protocol() {
    comes_back_by(Version::V15, Options::default(), &Policy { no_files: true, ..slow() });
}

#[test]
fn a_backup_comes_back_17_with_small_segments() {
    comes_back(Version::V17, Options { segment_mb: 1, ..Options::default() });
}

#[test]
fn a_backup_comes_back_18() {
    comes_back(Version::V18, Options::default());
}
