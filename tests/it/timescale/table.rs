//! A hypertable out of a physical backup: all of its rows, compressed or not, and nothing of another one's.

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use seawall::execute::table::landing::{self, Onlooker, Origin, Wanted, Way};
use seawall::execute::table::source::TableName;
use seawall::recovery::Target;

use crate::backup::rig::{Policy, Rig};
use crate::clusters::{Cluster, Options, Version};
use crate::table_source::rig::{Tables, hash};

use super::place::some_natives;

const MADE: &str = "
    create extension timescaledb;
    create table prices (at timestamptz not null, item int, price float);
    select create_hypertable('prices', 'at', chunk_time_interval => interval '1 day');
    insert into prices select t, i, random() from generate_series(now() - interval '20 days', now(), interval '20 minutes') t, generate_series(1, 5) i;
    alter table prices set (timescaledb.compress, timescaledb.compress_segmentby = 'item');
    select compress_chunk(c) from show_chunks('prices', older_than => interval '10 days') c;
    create table others (at timestamptz not null, v text);
    select create_hypertable('others', 'at', chunk_time_interval => interval '1 day');
    insert into others select t, repeat(md5(random()::text), 20) from generate_series(now() - interval '20 days', now(), interval '2 minutes') t;
    alter table others set (timescaledb.compress);
    select compress_chunk(c) from show_chunks('others', older_than => interval '15 days') c;
    checkpoint
";

#[test]
fn a_hypertable_has_all_its_rows() {
    for programs in some_natives("a_hypertable_has_all_its_rows") {
        let options = Options { programs: Some(programs.clone()), ..Options::default() }
            .archiving("exec ../archive %p")
            .with("shared_preload_libraries = 'timescaledb'")
            .with("timescaledb.telemetry_level = off")
            .with("max_worker_processes = 20");
        let rig = Rig::over(Cluster::start(Version::V15, options), &Policy::default());
        rig.archive_into_store();
        let mut connection = rig.cluster.connect();
        for statement in MADE.split(";\n") {
            connection.run(statement).unwrap_or_else(|fault| panic!("{statement}: {fault}"));
        }
        rig.backup(&[]);
        // Some more are compressed, some are not any more, and there are new ones.
        for statement in [
            "select compress_chunk(c) from show_chunks('prices', older_than => interval '7 days', newer_than => interval '9 days') c",
            "select decompress_chunk(c) from show_chunks('prices', older_than => interval '18 days') c",
            "insert into prices select t, 9, random() from generate_series(now(), now() + interval '3 days', interval '1 hour') t",
            "insert into others select t, 'x' from generate_series(now(), now() + interval '3 days', interval '1 hour') t",
        ] {
            connection.run(statement).unwrap_or_else(|fault| panic!("{statement}: {fault}"));
        }
        let before = rig.cluster.sql(&hash("prices"));
        let chunks = rig.cluster.sql("select count(*) from show_chunks('prices')");
        let moment = rig.cluster.sql("select pg_current_wal_lsn()");
        rig.cluster.sql("drop table prices");
        rig.cluster.sql("select pg_create_restore_point('seen')");
        let segment = rig.cluster.sql("select pg_walfile_name(pg_switch_wal())");
        rig.cluster.wait_until(&format!("coalesce(last_archived_wal, '') >= '{segment}' from pg_stat_archiver"));

        let tables = Tables::of(&rig.cluster, programs);
        let wanted = tables.wanted(&["public.prices"], Target::Lsn(moment.parse().expect("a position")));
        let got = tables.hold(&wanted).unwrap_or_else(|fault| panic!("{fault} {}", fault.hint));
        assert_eq!(got.sql(&hash("prices")), before);
        assert_eq!(got.sql("select count(*) from show_chunks('prices')"), chunks);
        assert_eq!(got.held.passes, 1, "all was foreseen: {:?}", got.held.flaws);
        // It was dropped, and comes back under its own name.
        let name = TableName { schema: "public".into(), name: "prices".into() };
        let way = Way::Schema { schema: "public".into(), name: None };
        let wanted = Wanted { tables: vec![name], way, condition: None, lock_timeout: Duration::from_secs(10), with_policies: false };
        let destination = landing::look(&rig.cluster.settings(), &wanted).expect("it can be done");
        let origin = Origin::of(&got.held).expect("an origin");
        let (bytes, stop) = (AtomicU64::new(0), AtomicBool::new(false));
        let onlooker = Onlooker { begins: &|_| {}, bytes: &bytes, stop: &stop };
        landing::into_schema(&destination, &wanted, ("public", None), &origin, &mut Vec::new(), onlooker)
            .unwrap_or_else(|fault| panic!("{fault} {}", fault.hint));
        assert_eq!((rig.cluster.sql(&hash("prices")), rig.cluster.sql("select count(*) from show_chunks('prices')")), (before, chunks));
        drop(got);
        tables.nothing_is_left();
    }
}
