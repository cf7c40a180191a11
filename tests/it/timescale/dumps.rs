//! Dumps of a database with hypertables: drilled, and one of them as a file.

use std::path::Path;

use super::place::some_natives;
use crate::clusters::{Options, Version};
use crate::faults::chance;
use crate::landing::rig::rows;
use crate::logical::meanwhile::{around, psql};
use crate::logical::rig::{Ground, sql_in};

pub(super) const ODD: &str = "\"Sea wall\".\"Odd readings\"";
/// Beside another hypertable and plain tables: one that leads to another table, with an aggregate and one of that.
pub(super) const READINGS: [&str; 4] = [
    "create role reader; alter table plain enable row level security; create policy \"as ever\" on plain to reader using (true); \
     create table devices (id int primary key); insert into devices select generate_series(0, 9); \
     create schema \"Sea wall\"; \
     create table \"Sea wall\".\"Odd readings\" (at timestamptz not null, device int not null references devices, \"Value\" double precision, \
        number serial, primary key (at, device)); \
     select create_hypertable('\"Sea wall\".\"Odd readings\"', 'at', chunk_time_interval => interval '1 day'); \
     insert into \"Sea wall\".\"Odd readings\" (at, device, \"Value\") \
        select '2026-01-01Z'::timestamptz + k * interval '10 minutes', k % 5, k from generate_series(0, 1999) k; \
     alter table \"Sea wall\".\"Odd readings\" set (timescaledb.compress, timescaledb.compress_segmentby = 'device', \
        timescaledb.compress_orderby = 'at desc'); \
     select add_retention_policy('\"Sea wall\".\"Odd readings\"', interval '90 days', initial_start => now() + interval '1 day')",
    "create materialized view \"Sea wall\".\"By hour\" with (timescaledb.continuous) as select time_bucket('1 hour', at) as hour, device, \
        sum(\"Value\") as total from \"Sea wall\".\"Odd readings\" group by 1, 2 with no data",
    "create materialized view daily with (timescaledb.continuous) as select time_bucket('1 day', hour) as day, sum(total) as total \
        from \"Sea wall\".\"By hour\" group by 1 with no data",
    "select count(compress_chunk(c)) from show_chunks('\"Sea wall\".\"Odd readings\"', older_than => '2026-01-10Z'::timestamptz) c",
];
pub(super) const REFRESHED: [&str; 2] = [
    "call refresh_continuous_aggregate('\"Sea wall\".\"By hour\"', null, null)",
    "call refresh_continuous_aggregate('public.daily', null, null)",
];
const JOBS: &str = "\
    drills: { odd: { restore: { latest: odd }, expect: { rows: { sql: 'select count(*) from \"Sea wall\".\"Odd readings\"', is: 2001 }, \
        chunks: { check: hypertables, database: shop } } } }\n\
    backups: { \
    odd: { tables: { tables: ['\"Sea wall\".\"Odd readings\"', plain] }, schedule: { at: \"04:00\" }, keep: { last: 2 }, takes: 1m, size: 1MB }, \
    parts: { logical: { tables: ['\"Sea wall\".*'] }, schedule: { at: \"05:00\" }, keep: { last: 2 }, takes: 1m, size: 1MB }, ";

pub(super) fn with_readings(programs: &Path) -> Ground {
    let ground = with_metrics(programs);
    for sql in READINGS.iter().chain(&REFRESHED) {
        ground.sql(sql);
    }
    // Some of a compressed chunk's rows are not compressed.
    ground.sql("insert into \"Sea wall\".\"Odd readings\" (at, device, \"Value\") values ('2026-01-03T00:00:01Z', 7, 1)");
    for sql in REFRESHED {
        ground.sql(sql);
    }
    ground.change("backups: { ", JOBS);
    ground
}

/// What a job of chosen tables has of a hypertable is all of it: alone it comes back as one, and what was not chosen is not taken for empty.
#[test]
fn a_chosen_hypertable_comes_back_alone() {
    for programs in some_natives("a_chosen_hypertable_comes_back_alone") {
        let ground = with_readings(&programs);
        let before = ground.sql(&rows(ODD));
        let taken = ground.say(&["backup", "odd"]).ends_with_code(0);
        let heard = format!("{}{}", taken.out, taken.err);
        assert!(heard.contains("without rows: continuous aggregates are made anew"), "{heard}");
        assert!(heard.contains("\"Sea wall\".\"By hour\" and public.daily without"), "{heard}");
        ground.say(&["verify", "--deep"]).ends_with_code(0);
        let folder = programs.display().to_string();
        let take = |table: &str, more: &[&str]| {
            let words = ["restore", "--table", table, "--job", "odd", "--programs", &folder];
            ground.say(&words.iter().chain(more).copied().collect::<Vec<_>>())
        };
        take(ODD, &["--plan"]).ends_with_code(0).says("a hypertable of 14 chunks (TimescaleDB 2.");
        take(ODD, &["--into-schema", "back", "--with-policies", "--yes"]).ends_with_code(0).says("2001 rows").says("By hour");
        assert_eq!(ground.sql(&rows("back.\"Odd readings\"")), before);
        let about = |what: &str, schema: &str| {
            ground.sql(&format!("select {what} where hypertable_name = 'Odd readings' and hypertable_schema = '{schema}'"))
        };
        for what in [
            "string_agg(column_name || time_interval::text, ',') from timescaledb_information.dimensions",
            "string_agg(attname::text || coalesce(segmentby_column_index, 0), ',' order by attname) from timescaledb_information.compression_settings",
            "count(*) from timescaledb_information.chunks",
            "string_agg(proc_name || (config - 'hypertable_id')::text, ',') from timescaledb_information.jobs",
        ] {
            assert_eq!(about(what, "back"), about(what, "Sea wall"), "{what}");
        }
        assert_eq!(about("bool_or(scheduled) from timescaledb_information.jobs", "back"), "f");
        ground.sql("delete from \"Sea wall\".\"Odd readings\" where device = 3");
        take(ODD, &["--replace", "--yes"]).ends_with_code(0).says("400 added");
        assert_eq!(ground.sql(&rows(ODD)), before);
        take(ODD, &["--csv", "-", "--where", "device = 7", "--yes"]).ends_with_code(0);
        take("plain", &["--into-schema", "back", "--yes"]).ends_with_code(0).says("100 rows");
        take("metrics", &["--csv", "-", "--yes"]).ends_with_code(1).says("without its rows");
        take("devices", &["--csv", "-", "--yes"]).ends_with_code(1).says("without its rows");
    }
}

/// All definitions come back, rows of what was chosen, and what hangs between is told.
#[test]
fn a_dump_of_chosen_hypertables_comes_back_as_a_database() {
    for programs in some_natives("a_dump_of_chosen_hypertables_comes_back_as_a_database") {
        let ground = with_readings(&programs);
        let before = ground.sql(&rows(ODD));
        ground.say(&["backup", "odd"]).ends_with_code(0);
        ground.say(&["backup", "parts"]).ends_with_code(0);
        let restore = |job: &str, more: &[&str]| {
            let words = ["restore", "--into-database", job, "--create", "--job", job, "--yes"];
            ground.say(&words.iter().chain(more).copied().collect::<Vec<_>>())
        };
        restore("odd", &["--table", "Odd readings"]).ends_with_code(1).says("is a hypertable, of which `--table` brings back no row");
        for job in ["odd", "parts"] {
            let told =
                restore(job, &[]).ends_with_code(0).says("foreign keys that lead to tables without rows do not come").says("may go: ");
            let within = |sql: &str| sql_in(&ground.rig.cluster, job, sql);
            assert_eq!(within(&rows(ODD)), before);
            let plain = if job == "odd" { "100" } else { "0" };
            assert_eq!(within("select (select count(*) from plain) || ' ' || (select count(*) from metrics)"), format!("{plain} 0"));
            assert_eq!(within("select count(*) from timescaledb_information.jobs where scheduled and job_id >= 1000"), "0");
            let compressed =
                "select count(*) filter (where is_compressed) from timescaledb_information.chunks where hypertable_name = 'Odd readings'";
            assert_eq!(within(compressed), ground.sql(compressed));
            // As it is told.
            let refresh: Vec<&str> =
                told.out.lines().filter_map(|line| line.split_once("makes it anew: `")?.1.split_once('`')).map(|it| it.0).collect();
            // Of what was chosen by patterns, one came with its rows.
            assert_eq!(refresh.len(), if job == "odd" { 2 } else { 1 }, "{}", told.out);
            for sql in refresh {
                within(sql);
            }
            for aggregate in ["\"Sea wall\".\"By hour\"", "daily"] {
                assert_eq!(within(&rows(aggregate)), ground.sql(&rows(aggregate)), "{aggregate}");
            }
            // It goes on being a hypertable: chunks come and go, also those that led to another table.
            within("insert into devices values (7); insert into \"Sea wall\".\"Odd readings\" values ('2026-06-01Z', 7, 1)");
            assert_eq!(
                within("select count(*) from drop_chunks('\"Sea wall\".\"Odd readings\"', older_than => '2026-01-03Z'::timestamptz)"),
                "2"
            );
        }
        let folder = programs.display().to_string();
        ground.say(&["drill", "odd", "--start-with", &folder]).ends_with_code(0).says("passed");
        for (table, why) in [("_timescaledb_internal._hyper_1_1_chunk", "is a part of a hypertable"), ("daily", "is no table")] {
            let (sound, bad) = ("readings\"', plain]", format!("readings\"', {table}]"));
            ground.change(sound, &bad);
            ground.say(&["backup", "odd"]).ends_with_code(1).says(why);
            ground.change(&bad, sound);
        }
        for (wrong, why) in
            [("sections: [pre-data, post-data]", "is without `data` (`sections`)"), ("sections: [data]", "exclude_table_data: ['*.*']")]
        {
            ground.change("tables: ['\"Sea wall\".*']", wrong);
            ground.say(&["backup", "parts"]).ends_with_code(1).says(why);
            ground.change(wrong, "tables: ['\"Sea wall\".*']");
        }
    }
}

/// Whatever a job leaves out: all definitions come, and rows of the rest, with those of continuous aggregates that it chooses.
#[test]
fn what_a_job_leaves_out_comes_back_empty_and_as_what_it_was() {
    let job = "parts: { logical: { tables: ['\"Sea wall\".*'] }";
    for programs in some_natives("what_a_job_leaves_out_comes_back_empty_and_as_what_it_was") {
        let ground = with_readings(&programs);
        ground.sql("select lo_from_bytea(77, decode('deadbeef', 'hex')); create sequence counter; select setval('counter', 4711)");
        let mut before = job.to_owned();
        // Its choice; tables that have rows, of each whether; and how many large objects.
        for (choice, has, large) in [
            ("schemas: ['\"Sea wall\"']", [true, true, false, false, false], "0"),
            ("exclude_schemas: ['\"Sea wall\"'], exclude_tables: [plain]", [false, false, true, false, true], "1"),
            ("exclude_table_data: [metrics, daily]", [true, true, false, true, false], "1"),
            ("exclude_table_data: ['*.*']", [false; 5], "1"),
        ] {
            let now = format!("parts: {{ logical: {{ {choice} }}");
            ground.change(&before, &now);
            before = now;
            ground.say(&["backup", "parts"]).ends_with_code(0);
            ground.say(&["restore", "--into-database", "back", "--create", "--job", "parts", "--yes"]).ends_with_code(0);
            let within = |sql: &str| sql_in(&ground.rig.cluster, "back", sql);
            for (table, has) in [ODD, "\"Sea wall\".\"By hour\"", "metrics", "plain", "daily"].into_iter().zip(has) {
                // One that goes on to what is not yet made of it makes that while it is asked.
                let wanted = if has { ground.sql(&rows(table)) } else { within(&format!("select count(*) from {table}")) };
                let got = if has { within(&rows(table)) } else { "0".to_owned() };
                assert_eq!(got, wanted, "{choice}: {table}");
            }
            let hypertables = "select string_agg(hypertable_name || num_chunks, ',' order by 1) from timescaledb_information.hypertables";
            assert_eq!(within(hypertables), ground.sql(hypertables), "{choice}");
            assert_eq!(within("select count(*) from pg_largeobject_metadata"), large, "{choice}");
            let last = if large == "1" && !choice.contains("*.*") { "4711" } else { "1" };
            assert_eq!(within("select last_value from counter"), last, "{choice}");
            ground.rig.cluster.sql("drop database back");
        }
    }
}

/// What was made of compressed rows is made of them again, and jobs go to whoever their owner is there.
#[test]
fn what_is_made_of_compressed_rows_comes_back_and_jobs_have_their_owners() {
    for programs in some_natives("what_is_made_of_compressed_rows_comes_back_and_jobs_have_their_owners") {
        let ground = with_metrics(&programs);
        ground.sql("select count(compress_chunk(c)) from show_chunks('metrics') c; create materialized view summed as select sum(value) as v, count(*) as n from metrics");
        ground.rig.cluster.sql("create role \"Old \"\"one\"\"\" login; create role reader; create role \"new one\" login");
        ground.sql("grant create on schema public to \"Old \"\"one\"\"\"; alter table metrics owner to \"Old \"\"one\"\"\"; select lo_from_bytea(77, 'x'); \
                    set role \"Old \"\"one\"\"\"; select add_compression_policy('metrics', interval '100 years')");
        let before = ground.sql("select v, n from summed");
        assert!(before.ends_with("|2000"), "{before}");
        ground.dump();
        let owners = "select owner from timescaledb_information.jobs where proc_name = 'policy_compression'";
        assert_eq!(ground.sql(owners), "\"Old \"\"one\"\"\"");
        let into = |database: &str, more: &[&str]| {
            let words = ["restore", "--into-database", database, "--create", "--yes"];
            ground.say(&words.iter().chain(more).copied().collect::<Vec<_>>())
        };
        into("back", &["--map-role", "Old \"one\"=new one"]).ends_with_code(0).says("`Old \"one\"` becomes `new one`");
        let within = |sql: &str| sql_in(&ground.rig.cluster, "back", sql);
        assert_eq!(within("select v, n from summed"), before);
        assert_eq!(within(owners), "\"new one\"");
        assert_eq!(
            within(
                "select count(*) from pg_class c join pg_roles r on r.oid = relowner where relname ~ 'metrics|_hyper_1_' and rolname ~ 'Old'"
            ),
            "0"
        );
        assert_eq!(within(&rows("metrics")), ground.sql(&rows("metrics")));
        // The job runs as who it belongs to now.
        within(
            "select alter_job(job_id, scheduled => true) from timescaledb_information.jobs where proc_name = 'policy_compression'; \
                select count(*) from timescaledb_information.jobs where scheduled and owner::text = '\"new one\"'",
        );
    }
}

/// The application's role is on no private server: tables come back without it, and TimescaleDB's jobs, which belong to it, do not matter.
#[test]
fn jobs_of_a_role_that_is_not_there_keep_no_table_back() {
    const SOME: &str = "drills: { some: { restore: { latest: some }, expect: { rows: { sql: 'select count(*) from metrics', is: 2000 } } } }\n\
        backups: { some: { tables: { tables: [metrics, plain] }, schedule: { at: \"04:00\" }, keep: { last: 2 }, takes: 1m, size: 1MB }, ";
    for programs in some_natives("jobs_of_a_role_that_is_not_there_keep_no_table_back") {
        let ground = with_metrics(&programs);
        ground.rig.cluster.sql("create role \"Old \"\"one\"\"\" login");
        ground.sql(
            "grant create on schema public to \"Old \"\"one\"\"\"; alter table metrics owner to \"Old \"\"one\"\"\"; \
                    set role \"Old \"\"one\"\"\"; select add_compression_policy('metrics', interval '100 years')",
        );
        ground.change("backups: { ", SOME);
        ground.dump();
        ground.say(&["backup", "some"]).ends_with_code(0);
        let folder = programs.display().to_string();
        for job in ["dump", "some"] {
            for table in ["metrics", "plain"] {
                let into = format!("of_{job}");
                let words = ["restore", "--table", table, "--job", job, "--programs", &folder, "--into-schema", &into, "--yes"];
                ground.say(&words).ends_with_code(0);
                assert_eq!(ground.sql(&rows(&format!("{into}.{table}"))), ground.sql(&rows(&format!("public.{table}"))), "{job} {table}");
            }
        }
        ground.say(&["drill", "some", "--start-with", &folder]).ends_with_code(0).says("passed");
    }
}

#[test]
fn a_dump_of_hypertables_is_drilled_and_one_of_them_exported() {
    for programs in some_natives("a_dump_of_hypertables_is_drilled_and_one_of_them_exported") {
        let options = Options { programs: Some(programs.clone()), ..Options::default() }
            .with("shared_preload_libraries = 'timescaledb'")
            .with("timescaledb.telemetry_level = off")
            .with("max_worker_processes = 20");
        let ground = Ground::with(Version::V15, options, "");
        ground.sql("create extension timescaledb");
        ground.sql("create table prices (at timestamptz not null, v int); select create_hypertable('prices', 'at', chunk_time_interval => interval '1 day')");
        ground.sql("insert into prices select '2026-01-01Z'::timestamptz + k * interval '1 hour', k from generate_series(1, 500) k");
        let path = ground.file("policy.yaml");
        let policy = std::fs::read_to_string(&path).expect("the policy");
        let drills = "drills: { all: { restore: { latest: dump }, expect: { \
                      rows: { sql: \"select count(*) from prices\", is: 500 }, chunks: { check: hypertables, database: shop } } } }\n";
        std::fs::write(&path, policy + drills).expect("the policy");
        let job =
            "backups: { some: { tables: { tables: [prices] }, schedule: { at: \"04:00\" }, keep: { last: 2 }, takes: 1m, size: 1MB }, ";
        ground.change("backups: { ", job);
        ground.dump();
        let folder = programs.display().to_string();
        ground.say(&["drill", "all", "--start-with", &folder]).ends_with_code(0).says("passed");
        // Without the extension it is known before anything is fetched.
        let none = Version::V18.programs().display().to_string();
        ground.say(&["drill", "all", "--start-with", &none]).ends_with_code(1).says("lacks `timescaledb`");
        ground.change("tables: { tables: [prices] }", "tables: { format: csv, tables: [prices] }");
        ground.say(&["backup", "some"]).ends_with_code(0);
        let out = ground.file("out").display().to_string();
        ground.say(&["restore", "--export-to", &out, "--yes"]).ends_with_code(0).says("1 file with 500 rows");
        // In place of the one that is there, whose own workers are at it.
        ground.sql("delete from prices");
        ground.say(&["restore", "--into-database", "shop", "--replace", "--end-connections", "--job", "dump", "--yes"]).ends_with_code(0);
        assert_eq!(ground.sql("select count(*) from prices"), "500");
    }
}

pub(super) const METRICS: &str = "\
    create table metrics (at timestamptz not null, device int not null, value double precision, primary key (at, device)); \
    select create_hypertable('metrics', 'at', chunk_time_interval => interval '1 day', partitioning_column => 'device', number_partitions => 2); \
    create index \"by device\" on metrics (device, at desc); \
    insert into metrics select '2026-01-01Z'::timestamptz + k * interval '10 minutes', k % 5, k from generate_series(1, 2000) k; \
    alter table metrics set (timescaledb.compress, timescaledb.compress_segmentby = 'device', timescaledb.compress_orderby = 'at desc'); \
    create table \"Other prices\" (at timestamptz not null, v text); \
    select create_hypertable('\"Other prices\"', 'at', chunk_time_interval => interval '1 day'); \
    insert into \"Other prices\" select '2026-01-01Z'::timestamptz + k * interval '10 minutes', k::text from generate_series(1, 500) k; \
    create table plain (id int primary key, v text); insert into plain select k, 'v' || k from generate_series(1, 100) k; \
    select add_retention_policy('metrics', interval '90 days', initial_start => now() + interval '1 day')";

fn with(programs: &Path, options: Options) -> Ground {
    let options = Options { programs: Some(programs.to_owned()), ..options }
        .with("shared_preload_libraries = 'timescaledb'")
        .with("timescaledb.telemetry_level = off")
        .with("max_worker_processes = 20");
    Ground::with(Version::V15, options, "")
}

pub(super) fn with_metrics(programs: &Path) -> Ground {
    let ground = with(programs, Options::default());
    ground.sql("create extension timescaledb");
    ground.sql(METRICS);
    ground
}

/// Compressed or not, a hypertable comes back out of a dump as one, and another one does not come with it.
#[test]
fn a_hypertable_alone_comes_back_out_of_a_dump() {
    for programs in some_natives("a_hypertable_alone_comes_back_out_of_a_dump") {
        let ground = with_metrics(&programs);
        ground.sql("select count(compress_chunk(c)) from show_chunks('metrics', older_than => '2026-01-10Z'::timestamptz) c");
        // Some of a compressed chunk's rows are not compressed.
        ground.sql("insert into metrics values ('2026-01-03T00:00:01Z', 77, 1)");
        let before = ground.sql(&rows("metrics"));
        ground.dump();
        let folder = programs.display().to_string();
        let table = ["restore", "--table", "public.metrics", "--job", "dump", "--programs", &folder];
        let with = |more: &[&'static str]| ground.say(&table.iter().chain(more).copied().collect::<Vec<_>>());
        with(&["--plan"]).ends_with_code(0).says("a hypertable of 28 chunks (TimescaleDB 2.");
        with(&["--into-schema", "back", "--yes"]).ends_with_code(0).says("2001 rows");
        assert_eq!(ground.sql(&rows("back.metrics")), before);
        let shape = "select string_agg(column_name || coalesce(time_interval::text, num_partitions::text), ',' order by dimension_number) \
                     from timescaledb_information.dimensions where hypertable_name = 'metrics' and hypertable_schema =";
        assert_eq!(ground.sql(&format!("{shape} 'back'")), ground.sql(&format!("{shape} 'public'")));
        let indexes = "select count(*) from pg_indexes where tablename = 'metrics' and schemaname =";
        assert_eq!(ground.sql(&format!("{indexes} 'back'")), ground.sql(&format!("{indexes} 'public'")));
        // Into the table itself, which goes on being what it is.
        let chunks = "select count(*) || ' ' || count(*) filter (where is_compressed) from timescaledb_information.chunks where hypertable_schema = 'public'";
        let jobs = "select string_agg(proc_name || config::text, ',' order by job_id) from timescaledb_information.jobs where hypertable_schema = 'public'";
        let around = (ground.sql(chunks), ground.sql(jobs));
        ground.sql("update metrics set value = -1 where device = 4 and at < '2026-01-03Z'; delete from metrics where device = 3");
        with(&["--replace", "--yes"]).ends_with_code(0).says("400 added, 57 changed, 0 removed").says("DROPS chunks");
        assert_eq!((ground.sql(&rows("metrics")), ground.sql(chunks), ground.sql(jobs)), (before.clone(), around.0, around.1));
        with(&["--merge", "--where", "device = 4", "--yes"]).ends_with_code(0).says("no row differs");
        with(&["--csv", "-", "--where", "device = 77", "--yes"]).ends_with_code(0);
        // Another one, and a plain table beside it.
        let other = [
            "restore",
            "--table",
            "\"Other prices\"",
            "--table",
            "plain",
            "--job",
            "dump",
            "--programs",
            &folder,
            "--into-schema",
            "two",
            "--yes",
        ];
        ground.say(&other).ends_with_code(0);
        assert_eq!(ground.sql(&rows("two.\"Other prices\"")), ground.sql(&rows("\"Other prices\"")));
        assert_eq!(ground.sql(&rows("two.plain")), ground.sql(&rows("plain")));
        // As `pg_restore` alone would bring it back, without a row, it does not come.
        let into = |word: &'static str, name: &'static str| {
            ground.say(&["restore", "--into-database", "new", "--create", word, name, "--job", "dump", "--programs", &folder, "--yes"])
        };
        into("--table", "metrics").ends_with_code(1).says("is a hypertable, of which `--table` brings back no row");
        into("--schema", "public").ends_with_code(1).says("is a hypertable, of which `--schema` brings back no row");
        // Where TimescaleDB is not, rows of a hypertable are not taken for none, and a plain table comes back without it.
        let none = Version::V18.programs().display().to_string();
        let without = |table: &str, schema: &str| {
            ground.say(&["restore", "--table", table, "--job", "dump", "--programs", &none, "--csv", schema, "--yes"])
        };
        without("metrics", "-").ends_with_code(1).says("lacks `timescaledb`").says("may be a hypertable");
        without("plain", "-").ends_with_code(0);
        assert_eq!(ground.rig.shell("ls state/policies/try/tables 2>/dev/null || true"), "", "nothing is left of the private servers");
    }
}

fn said(ground: &Ground) -> String {
    let said = ground.say(&["backup", "dump"]).ends_with_code(0);
    format!("{}{}", said.out, said.err)
}

/// A trap of `pg_dump`, for which nobody can do anything but say so.
#[test]
fn values_that_a_dump_does_not_have_are_named() {
    for programs in some_natives("values_that_a_dump_does_not_have_are_named") {
        let ground = with_metrics(&programs);
        assert!(!said(&ground).contains("before the column"));
        ground.sql("select count(compress_chunk(c)) from show_chunks('metrics', older_than => '2026-01-04Z'::timestamptz) c");
        ground.sql("alter table metrics add column late int default 5");
        let heard = said(&ground);
        assert!(heard.contains("of public.metrics in `shop` were compressed before the column \"late\" was added"), "{heard}");
        let folder = programs.display().to_string();
        let words = ["restore", "--table", "metrics", "--job", "dump", "--programs", &folder, "--into-schema", "back", "--yes"];
        ground.say(&words).ends_with_code(0).says("may have null in it where the original had its default `5`");
        assert_eq!(ground.sql("select count(*) filter (where late is null) > 0 from back.metrics"), "t");
        // As it is told.
        ground.sql("select count(decompress_chunk(c, true)) from show_chunks('metrics', older_than => '2026-01-04Z'::timestamptz) c");
        ground.sql("select count(compress_chunk(c, true)) from show_chunks('metrics', older_than => '2026-01-04Z'::timestamptz) c");
        assert!(!said(&ground).contains("before the column"));
        ground.sql("drop schema back cascade");
        ground.say(&words).ends_with_code(0);
        assert_eq!(ground.sql(&rows("back.metrics")), ground.sql(&rows("metrics")));
    }
}

/// Compression moves rows, and empties the chunk that they were in.
#[test]
fn chunks_are_not_compressed_between_the_snapshot_and_the_dump() {
    for programs in some_natives("chunks_are_not_compressed_between_the_snapshot_and_the_dump") {
        let ground = with_metrics(&programs);
        let before = ground.sql(&rows("metrics"));
        around(&ground, &psql("select count(compress_chunk(c)) from show_chunks('metrics') c"), ":");
        ground.dump();
        let compressed = "select count(*) from timescaledb_information.chunks where is_compressed";
        assert_eq!(ground.sql(compressed), "0", "a lock was in its way");
        ground.say(&["restore", "--into-database", "back", "--create", "--yes"]).ends_with_code(0);
        assert_eq!(sql_in(&ground.rig.cluster, "back", &rows("metrics")), before);
    }
}

/// By today's date most of what a dump brings back is too old.
#[test]
fn what_came_back_is_not_dropped_by_the_jobs_that_came_with_it() {
    for programs in some_natives("what_came_back_is_not_dropped_by_the_jobs_that_came_with_it") {
        let ground = with_metrics(&programs);
        let before = ground.sql(&rows("metrics"));
        ground.dump();
        let said = ground.say(&["restore", "--into-database", "back", "--create", "--yes", "--format", "json"]).ends_with_code(0);
        let json: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
        let held = json["held_jobs"].as_array().expect("jobs").clone();
        assert!(held.iter().any(|job| job["does"].as_str().is_some_and(|does| does.contains("policy_retention"))), "{held:?}");
        let in_back = |sql: &str| sql_in(&ground.rig.cluster, "back", sql);
        assert_eq!(in_back("select count(*) from timescaledb_information.jobs where scheduled and job_id >= 1000"), "0");
        assert_eq!(in_back(&rows("metrics")), before);
        let told = ground.say(&["restore", "--into-database", "again", "--create", "--yes"]).ends_with_code(0);
        let statement = told.out.lines().find_map(|line| line.split_once("may go: ")).expect("the statement").1.to_owned();
        assert_eq!(in_back(&rows("metrics")), before);

        // Once they may, they do what they were told.
        in_back(&statement);
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(180);
        while in_back("select count(*) from metrics") != "0" {
            assert!(std::time::Instant::now() < deadline, "no job has run");
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        assert_eq!(sql_in(&ground.rig.cluster, "again", &rows("metrics")), before);
    }
}

/// In the long lane only: so many tables are chosen that their names take two command lines.
#[test]
fn more_tables_than_one_command_line_names() {
    if !chance::is_long() {
        return;
    }
    for programs in some_natives("more_tables_than_one_command_line_names") {
        let ground = with(&programs, Options::default().with("max_locks_per_transaction = 1000"));
        ground.sql("create extension timescaledb; create schema many");
        ground.sql(METRICS);
        ground.sql(
            "do $$ begin for k in 1..5001 loop execute format('create table many.%I (id int primary key, v text); \
             insert into many.%I values (%s, %L)', 'T ' || k, 'T ' || k, k, 'x'); end loop; end $$",
        );
        ground.change("logical: { ", "logical: { schemas: [many], ");
        let dump = ground.dump();
        let rows: Vec<&str> =
            dump.descriptor.objects.iter().map(|object| object.name.as_str()).filter(|name| name.contains("-rows-")).collect();
        assert_eq!(rows.len(), 2, "{rows:?}");
        ground.say(&["restore", "--into-database", "back", "--create", "--jobs", "2", "--yes"]).ends_with_code(0);
        let sum = "select count(*) || ' ' || sum(n_live_tup) from pg_stat_user_tables where schemaname = 'many'";
        sql_in(&ground.rig.cluster, "back", "analyze");
        assert_eq!(sql_in(&ground.rig.cluster, "back", sum), "5001 5001");
    }
}
