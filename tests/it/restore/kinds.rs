//! Clusters and changes out of the ordinary.

use super::rig::Rig;
use crate::clusters::{Options, Version};

#[test]
fn segments_of_other_sizes() {
    for (segment_mb, version) in [(1, Version::V14), (64, Version::V15)] {
        let rig = Rig::start(version, Options { segment_mb, ..Options::default() });
        rig.series();
        rig.backup();
        rig.load(20);
        rig.cluster.sql("create table much as select n, repeat('x', 500) from generate_series(1, 5000) n");
        rig.load(5);
        let (time, rows) = (rig.after_row(22), rig.hash(22));
        rig.archive();
        let restored = rig.bring_back("r", &["--to", &time]);
        assert_eq!(restored.hash(), rows);
        assert_eq!(restored.sql("select count(*) from much"), "5000");
    }
}

#[test]
fn databases_come_and_go() {
    let rig = Rig::start(Version::V15, Options::default());
    rig.series();
    rig.cluster.sql("create database doomed");
    rig.backup();
    rig.cluster.sql("create database young");
    rig.cluster.sql("create table emptied as select n from generate_series(1, 100) n");
    rig.load(2);
    let before = rig.after_row(1);
    rig.cluster.sql("truncate emptied");
    rig.cluster.sql("drop database doomed");
    rig.load(2);
    let after = rig.after_row(3);
    rig.archive();
    let restored = rig.bring_back("before", &["--to", &before]);
    assert_eq!(
        restored.sql("select string_agg(datname, ' ' order by datname) from pg_database where datname in ('doomed', 'young')"),
        "doomed young"
    );
    assert_eq!(restored.sql("select count(*) from emptied"), "100");
    assert_eq!(restored.sql_in("doomed", "select 1"), "1");
    restored.stop();
    let restored = rig.bring_back("after", &["--to", &after]);
    assert_eq!(restored.sql("select string_agg(datname, ' ') from pg_database where datname in ('doomed', 'young')"), "young");
    assert_eq!(restored.sql("select count(*) from emptied"), "0");
}

#[test]
fn tablespaces_go_elsewhere() {
    let rig = Rig::start(Version::V16, Options::default());
    rig.series();
    let place = rig.cluster.tablespace("fast");
    rig.cluster.sql("create table there (n int) tablespace fast");
    rig.cluster.sql("insert into there select generate_series(1, 1000)");
    rig.backup();
    rig.cluster.sql("insert into there select generate_series(1001, 1500)");
    rig.archive();
    // Its own place is in use by the cluster that still runs.
    let said = rig.restore("r", &[]);
    assert_eq!(said.code, 1, "{}", said.out);
    assert!(said.err.contains("is not empty") && said.err.contains("--tablespace"), "{}", said.err);
    let elsewhere = rig.path("elsewhere");
    let map = format!("{}={}", place.display(), elsewhere.display());
    let restored = rig.bring_back("r", &["--tablespace", &map]);
    assert_eq!(restored.sql("select count(*) from there"), "1500");
    let there = restored.sql("select pg_tablespace_location(oid) from pg_tablespace where spcname = 'fast'");
    assert_eq!(there, elsewhere.to_str().expect("text"));
    assert_eq!(rig.cluster.sql("select count(*) from there"), "1500");
}

#[test]
fn a_standby_follows() {
    let rig = Rig::start(Version::V16, Options::default());
    rig.series();
    rig.backup();
    rig.load(5);
    rig.archive();
    let primary = rig.cluster.conninfo();
    let standby = rig.bring_back("standby", &["--as-standby", "--primary-conninfo", &primary]);
    assert_eq!(standby.report["reached"]["state"], "standby");
    rig.load(5);
    standby.wait_until("(select count(*) from series) = 10");
}
