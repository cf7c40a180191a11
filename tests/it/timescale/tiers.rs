//! A database with hypertables tier by tier.

use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Signal, kill_process};

use super::dumps::{METRICS, ODD, READINGS, REFRESHED, with_readings};
use super::place::some_natives;
use crate::clusters::{Cluster, Options, Version};
use crate::drill::killed::ours;
use crate::landing::rig::rows;
use crate::logical::rig::{connect, sql_in, succeeds};
use crate::restore::rig::Rig;
use crate::run::rig::Said;

const TIERS: &str = "data: { critical: { tables: ['\"Sea wall\".\"Odd readings\"', devices], rto: 1h }, rest: { rest: true, rto: 4h } }";
/// A large index of what comes last: it waits for a database of the name `go`, which the original has.
const GATED: &str = "create function wait() returns void language plpgsql volatile as $$ begin \
    while not exists (select from pg_catalog.pg_database where datname = 'go') loop perform pg_catalog.pg_sleep(0.02); end loop; end $$; \
    create function gate(n int) returns int language plpgsql immutable as $$ begin perform public.wait(); return n; end $$; \
    create index gated on plain (gate(id))";
const MADE: &str = "create materialized view counted as select count(*) as n, sum(\"Value\") as v from \"Sea wall\".\"Odd readings\"; \
    create view seen as select device, count(*) as n from \"Sea wall\".\"Odd readings\" group by device; \
    create view priced as select count(*) as n from \"Other prices\"";
const EVERY: [&str; 9] = [ODD, "devices", "metrics", "\"Other prices\"", "plain", "\"Sea wall\".\"By hour\"", "daily", "counted", "seen"];

/// What is in it, and what TimescaleDB knows of it.
fn all(cluster: &Cluster, database: &str) -> Vec<String> {
    let of = |sql: &str| sql_in(cluster, database, sql);
    let mut all: Vec<String> = EVERY.iter().map(|table| format!("{table}: {}", of(&rows(table)))).collect();
    for what in [
        "hypertable_name || chunk_name || is_compressed from timescaledb_information.chunks",
        "hypertable_name || column_name || coalesce(time_interval::text, num_partitions::text) from timescaledb_information.dimensions",
        "hypertable_schema || hypertable_name || attname || coalesce(segmentby_column_index, 0) from timescaledb_information.compression_settings",
        "view_schema || view_name || materialization_hypertable_name from timescaledb_information.continuous_aggregates",
        "job_id || proc_name || config::text from timescaledb_information.jobs where job_id >= 1000",
        "t::text from _timescaledb_catalog.hypertable t",
        // Older versions remember chunks that are gone.
        "t::text from _timescaledb_catalog.chunk t where not coalesce((to_jsonb(t) ->> 'dropped')::boolean, false)",
        "c.relname || i.relname from pg_index x join pg_class i on i.oid = indexrelid join pg_class c on c.oid = indrelid \
            join pg_namespace n on n.oid = c.relnamespace where n.nspname !~ '^pg_'",
        "conrelid::regclass || conname from pg_constraint where contype in ('f', 'p', 'u')",
        "tgrelid::regclass || tgname from pg_trigger where not tgisinternal",
    ] {
        all.extend(of(&format!("select {what}")).lines().map(|line| format!("{what}: {line}")));
    }
    all.sort_unstable();
    all
}

fn definitions(cluster: &Cluster, programs: &Path, database: &str) -> String {
    let mut dump = cluster.account().command(programs.join("pg_dump"));
    let text = succeeds(
        dump.args(["--schema-only", "--dbname"]).arg(format!("{} dbname={database}", cluster.conninfo())).output().expect("pg_dump"),
    );
    text.lines().filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict")).collect::<Vec<_>>().join("\n")
}

/// A hypertable is one as soon as its tier is usable, while another one is still to come.
fn works_with_the_first(cluster: &Cluster, before: &[String]) {
    let there = |sql: &str| sql_in(cluster, "back", sql);
    for table in [ODD, "devices", "\"Sea wall\".\"By hour\"", "daily", "counted", "seen"] {
        assert!(before.contains(&format!("{table}: {}", there(&rows(table)))), "{table}");
    }
    let one = format!("insert into {ODD} values ('2027-01-01Z', 1, 5, 5) returning device");
    assert_eq!(there(&one), "1");
    assert_eq!(there(&format!("select count(*) from drop_chunks('{ODD}', newer_than => '2026-12-01Z'::timestamptz)")), "1");
    there(&format!("delete from {ODD} where at = '2026-01-03T00:00:01Z'; insert into {ODD} values ('2026-01-03T00:00:01Z', 7, 1, 2001)"));
    there("call refresh_continuous_aggregate('daily', '2026-01-01Z', '2026-01-03Z')");
    for (sql, why) in [
        ("select count(*) from metrics where device = 7", "public.metrics is not restored yet: it comes with the tier rest"),
        ("insert into metrics values (now(), 1, 1)", "public.metrics is not restored yet"),
        ("select * from priced", "is not restored yet"),
        ("copy metrics from '/dev/null'", "cannot copy to view"),
        ("select drop_chunks('metrics', older_than => now())", "not a hypertable"),
        ("select count(compress_chunk(c)) from show_chunks('\"Other prices\"') c", "not a hypertable"),
    ] {
        let refused = connect(cluster, "back").run(sql).expect_err(sql).to_string();
        assert!(refused.contains(why), "{sql}: {refused}");
    }
}

fn goes_on_as_it_was(cluster: &Cluster) {
    let there = |sql: &str| sql_in(cluster, "back", sql);
    assert_eq!(there("select count(*) from pg_namespace where nspname ~ 'seawall'"), "0");
    assert_eq!(there("select count(*) from pg_class where relname ~ 'seawall'"), "0");
    assert_eq!(there("select count(*) from pg_db_role_setting where setconfig::text ~ 'restoring'"), "0");
    assert_eq!(there("select count(*) from timescaledb_information.jobs where scheduled and job_id >= 1000"), "0");
    there(
        "insert into metrics values ('2026-06-01Z', 7, 1); select compress_chunk(c) from show_chunks('metrics', newer_than => '2026-05-01Z'::timestamptz) c",
    );
    assert_eq!(there("select count(*) from metrics where device = 7 and at > '2026-05-01Z'"), "1");
    assert_eq!(there("select count(*) > 2 from drop_chunks('metrics', older_than => '2026-01-03Z'::timestamptz)"), "t");
}

#[test]
fn out_of_a_dump_hypertables_come_with_their_tier() {
    for programs in some_natives("out_of_a_dump_hypertables_come_with_their_tier") {
        let ground = with_readings(&programs);
        let cluster = &ground.rig.cluster;
        ground.change("objectives: { rpo: 5m, rto: 1h }", &format!("objectives: {{ rpo: 5m, rto: 6h, {TIERS} }}"));
        cluster.sql("create database go");
        ground.sql(MADE);
        ground.sql(GATED);
        ground.dump();
        let before = all(cluster, "shop");
        cluster.sql("drop database go");
        let command = |more: &[&str]| -> Command {
            let words = ["restore", "--tier", "critical", "--into-database", "back", "--create", "--job", "dump"];
            ground.command(&words.iter().chain(more).copied().collect::<Vec<_>>())
        };
        let plan = Said::of(command(&["--plan"]).output().expect("seawall")).ends_with_code(0);
        plan.says("`critical`: 2 tables with").says("(Sea wall.Odd readings, public.devices)");
        let mut running = command(&["--yes"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("seawall");
        cluster.wait_until("exists (select from pg_stat_activity where datname = 'back' and query ~ 'CREATE INDEX gated')");
        works_with_the_first(cluster, &before);
        let _ = kill_process(ours(&running), Signal::KILL);
        running.wait().expect("it has ended");
        cluster.sql("create database go");
        let said = Said::of(command(&["--yes", "--format", "json"]).output().expect("seawall")).ends_with_code(0);
        assert!(said.err.contains("it goes on") && said.err.contains("it is there"), "{}", said.err);
        let json = crate::cli::follows("restore-tiers-output", &said.out);
        assert!(json["held_jobs"].as_array().is_some_and(|jobs| jobs.len() >= 2), "{json:#}");
        // What was written and taken back meanwhile has left traces of its own.
        assert_eq!(all(cluster, "back"), all(cluster, "shop"));
        assert_eq!(all(cluster, "shop"), before);
        assert_eq!(definitions(cluster, &programs, "back"), definitions(cluster, &programs, "shop"));
        goes_on_as_it_was(cluster);
    }
}

#[test]
fn out_of_a_physical_backup_hypertables_come_with_their_tier() {
    for programs in some_natives("out_of_a_physical_backup_hypertables_come_with_their_tier") {
        let options = Options { programs: Some(programs.clone()), segment_mb: 1, ..Options::default() }
            .with("shared_preload_libraries = 'timescaledb'")
            .with("timescaledb.telemetry_level = off")
            .with("max_worker_processes = 20");
        let rig = Rig::start(Version::V15, options);
        rig.change_policy("databases: [postgres]", "databases: [shop]");
        rig.change_policy("rto: 1h", &format!("rto: 6h\n  {TIERS}"));
        rig.change_policy("restore: 50MB/s,", "restore: 50MB/s, load: 20MB/s,");
        rig.cluster.sql("create database shop");
        let sql = |sql: &str| sql_in(&rig.cluster, "shop", sql);
        sql("create extension timescaledb");
        for statement in [METRICS].iter().chain(&READINGS).chain(&REFRESHED).chain(&[MADE]) {
            sql(statement);
        }
        sql("create table bulk as select n, md5(n::text) || md5((n + 1)::text) as t from generate_series(1, 200000) n");
        rig.backup();
        // More chunks, more compressed ones, and some that are compressed no more.
        sql(&format!(
            "insert into {ODD} (at, device, \"Value\") select '2026-02-01Z'::timestamptz + k * interval '1 hour', k % 5, k from generate_series(0, 99) k; \
             select count(compress_chunk(c)) from show_chunks('metrics', older_than => '2026-01-05Z'::timestamptz) c; \
             select decompress_chunk(c) from show_chunks('{ODD}', older_than => '2026-01-02T12:00Z'::timestamptz) c; refresh materialized view counted; analyze"
        ));
        REFRESHED.iter().for_each(|statement| _ = sql(statement));
        let before = all(&rig.cluster, "shop");
        rig.archive();
        let folder = programs.display().to_string();
        let restore = |more: &[&str]| {
            let words = ["restore", "--tier", "critical", "--into-database", "back", "--create", "--latest", "--programs", &folder];
            Said::of(rig.command(&words.iter().chain(more).copied().collect::<Vec<_>>()).output().expect("seawall"))
        };
        let plan = restore(&["--plan", "--format", "json"]).ends_with_code(0);
        let plan = crate::cli::follows("restore-tiers-plan-output", &plan.out);
        assert_eq!(plan["tiers"][0]["tables"], serde_json::json!(["Sea wall.Odd readings", "public.devices"]));
        restore(&["--yes", "--jobs", "2"]).ends_with_code(0).says("held job");
        assert_eq!(all(&rig.cluster, "back"), before);
        assert_eq!(definitions(&rig.cluster, &programs, "back"), definitions(&rig.cluster, &programs, "shop"));
        goes_on_as_it_was(&rig.cluster);
        let drill = "drills: { first: { restore: { latest: nightly, tiers: [critical], database: shop }, \
            expect: { rows: { sql: 'select count(*) from \"Sea wall\".\"Odd readings\"', is: 2100 } } } }\n";
        rig.change_policy("wal: { store: local", &format!("{drill}wal: {{ store: local"));
        Said::of(rig.command(&["drill", "first", "--start-with", &folder]).output().expect("seawall")).ends_with_code(0).says("passed");
    }
}

/// Whose they were is nobody here: everything becomes that of whoever restores, and so do jobs, whose owners stand among rows.
#[test]
fn without_owners_jobs_are_those_of_whoever_restores() {
    for programs in some_natives("without_owners_jobs_are_those_of_whoever_restores") {
        let ground = with_readings(&programs);
        let cluster = &ground.rig.cluster;
        ground.change("objectives: { rpo: 5m, rto: 1h }", &format!("objectives: {{ rpo: 5m, rto: 6h, {TIERS} }}"));
        cluster.sql("create role \"Old \"\"one\"\"\" login");
        ground.sql(
            "grant create on schema public to \"Old \"\"one\"\"\"; alter table metrics owner to \"Old \"\"one\"\"\"; \
             set role \"Old \"\"one\"\"\"; select add_compression_policy('metrics', interval '100 years'); \
             reset role; revoke create on schema public from \"Old \"\"one\"\"\"",
        );
        ground.dump();
        ground.sql("select remove_compression_policy('metrics'); reassign owned by \"Old \"\"one\"\"\" to postgres; drop owned by \"Old \"\"one\"\"\"");
        cluster.sql("drop role \"Old \"\"one\"\"\"");
        let words = ["restore", "--tier", "critical", "--into-database", "back", "--create", "--job", "dump", "--yes"];
        ground.say(&words).ends_with_code(1).says("role").says("Old \"one\"");
        ground.say(&[&words[..], &["--no-owner"]].concat()).ends_with_code(0).says("held job");
        let owners = "select string_agg(distinct owner::text, ',') || ' ' || count(*) filter (where proc_name = 'policy_compression') \
            from timescaledb_information.jobs where job_id >= 1000";
        assert_eq!(sql_in(cluster, "back", owners), "postgres 1");
        assert_eq!(sql_in(cluster, "back", &rows("metrics")), ground.sql(&rows("metrics")));
    }
}
