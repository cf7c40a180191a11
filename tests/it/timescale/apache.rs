//! A build without compression, jobs and continuous aggregates: what Seawall does itself it does there too, and what cannot be had is said.

use super::converge::{Room, ends, still};
use super::place::{Place, some_natives};
use crate::backup::rig::{Policy, Rig};
use crate::clusters::{Cluster, Options, Version};
use crate::run::rig::Run;

const RETAIN: &str = "timescaledb.postgres.hypertables.prices.retain";
const MONTHS: &str = "\
    create table prices(at timestamptz not null, org int); \
    select create_hypertable('prices', 'at', 'org', 2, chunk_time_interval => interval '30 days'); \
    insert into prices select t, o from generate_series(now() - interval '3 years', now(), interval '15 days') t, generate_series(1, 4) o";
const ACCEPTED: &str = "acknowledge: [{ finding: SW0910, reason: a test }]\n";
const OURS: &str = "    dropped_by: seawall\n    hypertables: { prices: { retain: 1y } }\n";

/// Rows that stay, by what stays beside those that are too young.
fn kept(place: &Place, beside: &str) -> String {
    let edge = "(select max(range_end) from timescaledb_information.chunks where range_end <= now() - interval '1 year')";
    place.sql(&format!("select count(*) from prices where at >= {edge} or {beside}"))
}

#[test]
fn seawall_drops_where_the_database_has_no_jobs() {
    for place in Place::apache("seawall_drops_where_the_database_has_no_jobs") {
        let room = Room::new(place);
        let rows = || room.place.sql("select count(*) from prices");
        room.place.sql(MONTHS);
        room.write("    hypertables: { prices: { retain: 1y } }\n", ACCEPTED);
        let shown = ends(&room.plan(&[]), 2);
        assert!(shown.contains("has no job that drops them") && shown.contains("`dropped_by: seawall`"), "{shown}");
        ends(&room.apply(&["--yes"]), 1);

        room.write(OURS, "");
        let shown = ends(&room.plan(&[]), 2);
        assert!(shown.contains("rows of `prices` older than 1y are dropped by Seawall, as the policy says"), "{shown}");
        assert!(shown.contains("DESTRUCTIVE: drops ") && !shown.contains("but for what is held"), "{shown}");
        // It goes by no age that nobody has seen.
        let (all, stays) = (rows(), kept(&room.place, "false"));
        let refused = ends(&room.run(RETAIN), 1);
        assert!(refused.contains("the database has no age of it on record"), "{refused}");
        ends(&room.apply(&["--yes"]), 3);
        assert_eq!(rows(), all);
        room.write(OURS, ACCEPTED);
        ends(&room.apply(&["--yes"]), 0);
        ends(&room.run(RETAIN), 0);
        assert_eq!(rows(), stays);
        // What is left to do is the job's own.
        let settled = ends(&room.plan(&[]), 2);
        assert!(settled.contains("nothing differs") && settled.contains("dropped by Seawall, as the policy says"), "{settled}");
        assert!(ends(&room.run(RETAIN), 0).contains("0 rows dropped"));

        // A hold that comes holds, and what is around it goes as before.
        room.place.sql("insert into prices select t, o from generate_series(now() - interval '3 years', now() - interval '2 years', interval '15 days') t, generate_series(1, 4) o");
        let stays = kept(&room.place, "org = 2");
        room.write(OURS, &format!("{ACCEPTED}holds: {{ case: {{ reason: a test, rows: {{ table: prices, where: org = 2 }} }} }}"));
        ends(&room.apply(&["--yes"]), 0);
        ends(&room.run(RETAIN), 0);
        assert_eq!(rows(), stays);
    }
}

/// Where the database could do it itself, its job goes when Seawall is told to.
#[test]
fn only_one_of_them_drops() {
    for place in super::place::all_natives("only_one_of_them_drops") {
        let room = Room::new(place);
        room.place.sql(MONTHS);
        still(&room.place);
        room.write("    hypertables: { prices: { retain: 1y } }\n", ACCEPTED);
        ends(&room.apply(&["--yes"]), 0);
        still(&room.place);
        let job = || room.place.sql("select count(*) from timescaledb_information.jobs where proc_name = 'policy_retention'");
        assert_eq!(job(), "1");
        room.write(OURS, "");
        let shown = ends(&room.plan(&[]), 2);
        assert!(shown.contains("only Seawall may, as the policy says"), "{shown}");
        // It drops no sooner than the database did, so nobody has to accept anything.
        ends(&room.apply(&["--yes"]), 0);
        assert_eq!(job(), "0");
        let stays = kept(&room.place, "false");
        ends(&room.run(RETAIN), 0);
        assert_eq!(room.place.sql("select count(*) from prices"), stays);
        room.write("    dropped_by: database\n    hypertables: { prices: { retain: 1y } }\n", ACCEPTED);
        ends(&room.apply(&["--yes"]), 0);
        assert_eq!((job().as_str(), room.place.sql("select count(*) from seawall.retention").as_str()), ("1", "0"));
    }
}

#[test]
fn such_a_cluster_is_archived_backed_up_and_drilled() {
    let Some(programs) = some_natives("such_a_cluster_is_archived_backed_up_and_drilled").into_iter().next() else { return };
    let options = Options { programs: Some(programs.clone()), ..Options::default() }
        .archiving("exec ../archive %p")
        .with("shared_preload_libraries = 'timescaledb'")
        .with("timescaledb.license = 'apache'")
        .with("timescaledb.telemetry_level = off");
    let run = Run { rig: Rig::over(Cluster::start(Version::V15, options), &Policy::default()) };
    run.rig.archive_into_store();
    run.rig.cluster.sql("create extension timescaledb");
    run.rig.cluster.sql(MONTHS);
    let programs = programs.display().to_string();
    run.add(
        "timescaledb: { postgres: { hypertables: { prices: { archive: { after: 1y, store: disk } } } } }\n\
         drills: { whole: { restore: { latest: nightly }, expect: { hypertables: { check: hypertables }, jobs: { check: jobs }, \
         rows: { check: row-counts } } } }\n",
    );
    let all = run.rig.cluster.sql("select count(*) from prices");
    run.change("rto: 1h", "rto: 4h");
    let shown = run.rig.shell(&format!("{} plan --connect policy.yaml", env!("CARGO_BIN_EXE_seawall")));
    assert!(shown.contains("dropped by Seawall, once they are archived"), "{shown}");
    run.say(&["run", "timescaledb.postgres.hypertables.prices.archive"]).ends_with_code(0);
    let hot = run.rig.cluster.sql("select count(*) from prices");
    assert_ne!(hot, all);
    run.say(&["archive", "restore", "--table", "prices"]).ends_with_code(0);
    assert_eq!(run.rig.cluster.sql("select count(*) from (select * from prices union all select * from prices_archived) u"), all);
    // A backup is taken, and what it asks for and cannot have is said.
    run.change("{ postgres: { hypertables:", "{ postgres: { continuous_aggregates: { daily: { refresh_before: [nightly] } }, hypertables:");
    run.say(&["run", "nightly"]).ends_with_code(1).says("is without continuous aggregates (`timescaledb.license` is `apache`)");
    // A drill of the newest moment wants log from behind the backup.
    run.rig.cluster.sql("create table later as select 1 as n");
    let segment = run.rig.cluster.sql("select pg_walfile_name(pg_switch_wal())");
    run.rig.cluster.wait_until(&format!("coalesce(last_archived_wal, '') >= '{segment}' from pg_stat_archiver"));
    run.say(&["drill", "whole", "--start-with", &programs]).ends_with_code(0);
}
