//! Hypertables.

use seawall::execute::table::landing::{Wanted, Way, refresh};
use seawall::postgres::Connection;

use super::rig::{Two, into, merge, only, replace, rows, wanted};
use crate::clusters::{Options, Version};
use crate::timescale::place::some_natives;

const METRICS: &str = "\
    create table metrics (at timestamptz not null, device int not null, value double precision, primary key (at, device)); \
    select create_hypertable('metrics', 'at', chunk_time_interval => interval '1 day', partitioning_column => 'device', number_partitions => 2); \
    create index by_device on metrics (device, at desc); \
    insert into metrics select '2026-01-01Z'::timestamptz + k * interval '10 minutes', k % 5, k from generate_series(1, 2000) k; \
    alter table metrics set (timescaledb.compress, timescaledb.compress_segmentby = 'device', timescaledb.compress_orderby = 'at desc')";

fn two(programs: &std::path::Path) -> Two {
    let options = Options { programs: Some(programs.to_owned()), ..Options::default() }
        .with("shared_preload_libraries = 'timescaledb'")
        .with("timescaledb.telemetry_level = off")
        .with("max_worker_processes = 20");
    let two = Two::with(Version::V15, Version::V15, options, "create extension timescaledb");
    for sql in [METRICS, "select add_retention_policy('metrics', interval '10 years')"] {
        two.then(sql);
        two.now(sql);
    }
    two
}

/// What was taken out of a private server has moved there.
fn back_from(two: &Two, schema: &str) {
    two.then(&format!("alter table {schema}.metrics set schema public; drop schema {schema} cascade"));
}

#[test]
fn a_hypertable_comes_back_as_one() {
    for programs in some_natives("a_hypertable_comes_back_as_one") {
        let two = two(&programs);
        two.then("select compress_chunk(c) from show_chunks('metrics', older_than => '2026-01-04Z'::timestamptz) c");
        two.now("drop table metrics");
        let (landed, remarks) = two.brings(&wanted(&[("public", "metrics")], into("back")));
        assert_eq!((landed[0].rows, remarks.len()), (2000, 0), "{remarks:?}");
        back_from(&two, "back");
        let again = "select add_retention_policy('\"back\".\"metrics\"', drop_after => '10 years'::interval)";
        assert!(landed[0].left_out.contains(&format!("TimescaleDB's job `policy_retention`, made again by `{again}`")), "{landed:?}");
        two.now(again);
        // Or it comes along, and does not run: by today's date it would drop what has just come back.
        two.then("select add_compression_policy('metrics', interval '7 days')");
        let (landed, _) = two.brings(&Wanted { with_policies: true, ..wanted(&[("public", "metrics")], into("along")) });
        back_from(&two, "along");
        let all = "select string_agg(job_id::text || proc_name || scheduled, ',' order by job_id) from timescaledb_information.jobs where hypertable_schema = 'along'";
        let held: Vec<String> = landed[0].held_jobs.iter().map(|job| job.id.to_string()).collect();
        assert_eq!(two.now(all), format!("{}policy_compressionfalse,{}policy_retentionfalse", held[0], held[1]));
        assert!(landed[0].held_jobs[1].does.contains("\"drop_after\": \"10 years\""), "{landed:?}");
        assert!(!landed[0].left_out.iter().any(|what| what.contains("job")), "{landed:?}");
        two.then("select remove_compression_policy('metrics')");
        assert_eq!(two.now(&rows("back.metrics")), two.then(&rows("metrics")));
        let dimensions = "select string_agg(column_name || coalesce(time_interval::text, num_partitions::text), ',' order by dimension_number) \
                          from timescaledb_information.dimensions where hypertable_schema =";
        assert_eq!(two.now(&format!("{dimensions} 'back'")), two.then(&format!("{dimensions} 'public'")));
        let compression = "select string_agg(attname || coalesce(segmentby_column_index::text, 'o' || orderby_asc), ',' order by attname) \
                           from timescaledb_information.compression_settings where hypertable_schema =";
        assert_eq!(two.now(&format!("{compression} 'back'")), two.then(&format!("{compression} 'public'")));
        let indexes = "select count(*) from pg_indexes where tablename = 'metrics' and schemaname =";
        assert_eq!(two.now(&format!("{indexes} 'back'")), two.then(&format!("{indexes} 'public'")));
        // Somebody may go on with it.
        two.now("insert into back.metrics values ('2027-01-01Z', 1, 1); select compress_chunk(c) from show_chunks('back.metrics', older_than => '2026-01-03Z'::timestamptz) c");
        // Under its own name, as what was dropped comes back; and where the backup has something of that name.
        two.now("drop schema back cascade");
        let heard = "create function heard() returns trigger language plpgsql as 'begin return new; end'";
        two.now(heard);
        two.then(&format!("{heard}; create trigger heard before insert on metrics for each row execute function heard()"));
        let (landed, _) = two.brings(&wanted(&[("public", "metrics")], into("public")));
        // Its triggers are told, and not those by which TimescaleDB makes it one.
        assert_eq!(landed[0].left_out.iter().filter(|what| what.starts_with("the trigger ")).collect::<Vec<_>>(), ["the trigger heard"]);
        landed[0].remake.iter().for_each(|sql| drop(two.now(sql)));
        assert_eq!(two.now("select count(*) from pg_trigger where tgname = 'heard' and tgrelid = 'public.metrics'::regclass"), "1");
        assert_eq!(two.now(&rows("public.metrics")), two.then(&rows("public.metrics")));
        assert_eq!(two.now(&format!("{dimensions} 'public'")), two.then(&format!("{dimensions} 'public'")));
        two.then("create schema back; create table back.metrics (n int)");
        let (landed, _) = two.brings(&wanted(&[("public", "metrics")], into("back")));
        assert_eq!((landed[0].table.as_str(), landed[0].rows), ("\"public\".\"metrics\"", 2000));
        back_from(&two, "back");
        // Where there is no TimescaleDB, it is a plain table.
        two.now("drop schema back cascade");
        two.now("drop extension timescaledb cascade");
        let (_, remarks) = two.brings(&wanted(&[("public", "metrics")], into("plain")));
        assert_eq!(remarks, ["\"public\".\"metrics\" comes back as a plain table: the destination has no TimescaleDB"]);
        assert_eq!(two.now(&rows("plain.metrics")), two.then(&rows("plain.metrics")));
    }
}

const READINGS: &str = "\
    create table devices (id int primary key); insert into devices select generate_series(0, 4); \
    create table \"R;r\" (at timestamptz not null, device int references devices, s serial, n int generated by default as identity, value double precision, \
      note text not null default 'x', gone text, constraint my_uq unique (at, device), constraint positive check (value >= 0)) with (fillfactor = 80, autovacuum_enabled = false); \
    select create_hypertable('\"R;r\"', 'at', chunk_time_interval => interval '1 day'); alter table \"R;r\" drop gone; \
    create index \"by v\" on \"R;r\" (value) where value > 3; create unique index by_n on \"R;r\" (at, n, s); create statistics of_both (dependencies) on device, value from \"R;r\"; \
    alter table \"R;r\" alter value set statistics 500, alter device set (n_distinct = 5), alter note set storage external, cluster on by_n; \
    comment on table \"R;r\" is 'a table'; comment on column \"R;r\".note is 'a column'; comment on constraint my_uq on \"R;r\" is 'a constraint'; comment on index \"by v\" is 'an index'; \
    insert into \"R;r\" (at, device, value) select '2026-01-01Z'::timestamptz + k * interval '1 hour', k % 5, k from generate_series(1, 100) k; \
    create function heard() returns trigger language plpgsql as 'begin return new; end'; \
    create trigger heard before insert on \"R;r\" for each row execute function heard(); comment on trigger heard on \"R;r\" is 'a trigger'; \
    alter table \"R;r\" enable row level security; alter table \"R;r\" force row level security; create policy own on \"R;r\" using (device = 1); \
    create role reader; grant select on \"R;r\" to reader";

/// Not like what it was, but what it was; closed from its first moment on.
#[test]
fn nothing_of_a_hypertables_definition_is_lost() {
    for programs in some_natives("nothing_of_a_hypertables_definition_is_lost") {
        let two = two(&programs);
        two.then(READINGS);
        two.now(READINGS);
        let words = ["--table=public.\"R;r\"", "--table=public.\"R;r*seq\""];
        let before = two.definitions(&words);
        two.now("drop table \"R;r\"; alter default privileges grant all on tables to public; alter default privileges grant all on sequences to public");
        let (landed, remarks) = two.brings(&wanted(&[("public", "R;r")], into("public")));
        assert_eq!(landed[0].rows, 100);
        let left_out = &landed[0].left_out;
        assert!(left_out.iter().any(|what| what.contains("(row-level security stays on, also for its owner")), "{left_out:?}");
        assert_eq!(two.now("select relrowsecurity and relforcerowsecurity from pg_class where relname = 'R;r'"), "t");
        assert!(remarks.len() == 1 && remarks[0].starts_with("default privileges of the destination give public rights on"), "{remarks:?}");
        assert_eq!(
            two.now("select count(*) from pg_class c cross join aclexplode(relacl) a where c.relname like '%R;r%' and a.grantee = 0"),
            "0"
        );
        assert_eq!(
            two.now("select bool_or(has_table_privilege('reader', show_chunks, 'insert')) from show_chunks('\"R;r\"')"),
            "f",
            "its chunks are as closed as itself"
        );
        landed[0].remake.iter().for_each(|sql| drop(two.now(sql)));
        assert_eq!(two.definitions(&words), before);
        two.now("insert into \"R;r\" (at, device, value) values ('2026-02-01Z', 1, 1)");
        assert_eq!(two.now("select s || ' ' || n from \"R;r\" order by at desc limit 1"), "101 101");
        // Beside it too, under a name that is as long as it needs.
        two.then("insert into devices values (7)");
        let (landed, _) = two.brings(&wanted(&[("public", "R;r")], Way::Schema { schema: "beside".into(), name: Some("then".into()) }));
        assert_eq!(landed[0].rows, 100);
        two.now("insert into beside.then (at, device, value) values ('2026-02-01Z', 1, 1)");
        let closed = "select relrowsecurity || ' ' || (select count(*) from pg_index where indrelid = c.oid) from pg_class c where oid = 'beside.then'::regclass";
        assert_eq!(two.now(closed), "true 4");
        let owned =
            "select string_agg(relname, ',' order by relname) from pg_class where relkind = 'S' and relnamespace = 'beside'::regnamespace";
        assert_eq!(two.now(owned), "R;r_n_seq,R;r_s_seq");
    }
}

#[test]
fn rows_of_a_hypertable_come_back_where_that_is_safe() {
    for programs in some_natives("rows_of_a_hypertable_come_back_where_that_is_safe") {
        let two = two(&programs);
        two.now("delete from metrics where device = 3; update metrics set value = -1 where device = 4; insert into metrics values ('2026-03-01Z', 1, 1)");
        let (landed, _) = two.brings(&only(wanted(&[("public", "metrics")], merge()), "device = 3 and at < '2026-01-05Z'"));
        assert_eq!((landed[0].changed, landed[0].removed), (0, 0));
        let (landed, _) = two.brings(&wanted(&[("public", "metrics")], replace()));
        assert_eq!((landed[0].changed, landed[0].removed), (400, 1));
        assert_eq!(two.now(&rows("metrics")), two.then(&rows("metrics")));
        two.now(landed[0].undo.as_deref().expect("a way back"));
        assert_eq!(two.now("select count(*) from metrics where value = -1"), "400");
    }
}

const CHUNKS: &str = "select count(*) || ' ' || count(*) filter (where is_compressed) || ' ' || \
    (select string_agg(status::text, '' order by id) from _timescaledb_catalog.chunk k where k.hypertable_id = (select id from _timescaledb_catalog.hypertable where table_name = 'metrics')) \
    from timescaledb_information.chunks where hypertable_name = 'metrics'";
const JOBS: &str = "select string_agg(proc_name || config::text || scheduled, ',' order by job_id) from timescaledb_information.jobs where hypertable_name = 'metrics'";
const COMPRESS: &str = "select count(compress_chunk(c)) from show_chunks('metrics', older_than => '2026-01-10Z'::timestamptz) c";

/// What has changed lies in compressed chunks, and in others.
const ACCIDENT: &str = "update metrics set value = -1 where device = 4 and at < '2026-01-03Z'; delete from metrics where device = 3 and at > '2026-01-08Z'; \
    insert into metrics values ('2026-01-05T00:00:01Z', 77, 1), ('2026-01-12T00:00:01Z', 77, 1)";

#[test]
fn rows_in_compressed_chunks_come_back_and_are_compressed_again() {
    for programs in some_natives("rows_in_compressed_chunks_come_back_and_are_compressed_again") {
        let two = two(&programs);
        two.now(ACCIDENT);
        two.now(COMPRESS);
        let (chunks, jobs) = (two.now(CHUNKS), two.now(JOBS));
        let before = two.now(&rows("metrics"));
        // Some rows, with those that were there before.
        let (landed, remarks) = two.brings(&only(wanted(&[("public", "metrics")], merge()), "device = 4 and at < '2026-01-02Z'"));
        assert_eq!((landed[0].added, landed[0].changed, landed[0].removed), (0, 28, 0));
        assert!(
            remarks.contains(&"2 chunks of \"public\".\"metrics\" were compressed again".to_owned()),
            "those of that day and no others: {remarks:?}"
        );
        assert_eq!((two.now(CHUNKS), two.now(JOBS)), (chunks.clone(), jobs.clone()));
        assert_eq!(two.now("select count(*) from metrics where value = -1"), "29", "the second day's");
        // All of them.
        two.now("update metrics set value = -1 where device = 4 and at < '2026-01-02Z'");
        two.now("select compress_chunk(c, true) from show_chunks('metrics', older_than => '2026-01-10Z'::timestamptz) c");
        assert_eq!((two.now(&rows("metrics")), two.now(CHUNKS)), (before.clone(), chunks.clone()));
        let (landed, remarks) = two.brings(&wanted(&[("public", "metrics")], replace()));
        assert_eq!(two.now(&rows("metrics")), two.then(&rows("metrics")), "{remarks:?}");
        assert_eq!((landed[0].changed, landed[0].removed), (57, 2));
        assert_eq!((two.now(CHUNKS), two.now(JOBS)), (chunks.clone(), jobs.clone()), "{remarks:?}");
        two.now(landed[0].undo.as_deref().expect("a way back"));
        assert_eq!(two.now(&rows("metrics")), before);
        two.now("drop schema replaced cascade");
    }
}

/// Taken back is only what was brought: no other chunk is taken apart for it.
#[test]
fn what_is_taken_back_leaves_other_chunks_compressed() {
    const STATUS: &str = "select string_agg(status::text, '' order by id) from _timescaledb_catalog.chunk k \
        where k.hypertable_id = (select id from _timescaledb_catalog.hypertable where table_name = 'metrics')";
    for programs in some_natives("what_is_taken_back_leaves_other_chunks_compressed") {
        let two = two(&programs);
        two.now(ACCIDENT);
        two.now(COMPRESS);
        let (before, chunks) = (two.now(&rows("metrics")), two.now(STATUS));
        let way = Way::Merge { key: Vec::new(), delete_others: false, kept: Some("before".into()) };
        let (landed, _) = two.brings(&only(wanted(&[("public", "metrics")], way), "device = 4 and at < '2026-01-02Z'"));
        assert_eq!((landed[0].changed, two.now(STATUS)), (28, chunks.clone()));
        two.now(landed[0].undo.as_deref().expect("a way back"));
        assert_eq!(two.now(&rows("metrics")), before);
        let apart = chunks.chars().zip(two.now(STATUS).chars()).filter(|(before, after)| before != after).count();
        assert!((1..=2).contains(&apart), "that day has two chunks: {chunks} became {}", two.now(STATUS));
    }
}

/// Without a key there is nothing to tell rows apart by.
#[test]
fn all_rows_of_compressed_chunks_come_back_without_a_key() {
    for programs in some_natives("all_rows_of_compressed_chunks_come_back_without_a_key") {
        let two = two(&programs);
        for sql in [
            "create table plain (at timestamptz not null, v text); select create_hypertable('plain', 'at', chunk_time_interval => interval '1 day'); \
             alter table plain set (timescaledb.compress); \
             insert into plain select '2026-01-01Z'::timestamptz + k * interval '10 minutes', 'v' || k from generate_series(1, 1000) k; \
             insert into plain select '2026-01-02Z', 'twice' from generate_series(1, 3)",
            "select count(compress_chunk(c)) from show_chunks('plain', older_than => '2026-01-05Z'::timestamptz) c",
        ] {
            two.then(sql);
            two.now(sql);
        }
        let compressed = "select count(*) || ' ' || count(*) filter (where is_compressed) from timescaledb_information.chunks where hypertable_name = 'plain'";
        let chunks = two.now(compressed);
        two.now("delete from plain where at < '2026-01-02T12:00Z'; insert into plain values ('2026-01-03Z', 'new')");
        let (landed, _) = two.brings(&wanted(&[("public", "plain")], replace()));
        assert_eq!(landed[0].rows, 1003);
        assert_eq!(two.now(&rows("plain")), two.then(&rows("plain")));
        assert_eq!(two.now(compressed), chunks);
    }
}

fn with_views(two: &Two) {
    let mut connection: Connection = two.session();
    for view in [
        "create materialized view daily with (timescaledb.continuous, timescaledb.materialized_only = true) as \
         select time_bucket('1 day', at) as day, device, sum(value) as total from metrics group by 1, 2 with no data",
        "create materialized view weekly with (timescaledb.continuous, timescaledb.materialized_only = true) as \
         select time_bucket('7 days', day) as week, sum(total) as total from daily group by 1 with no data",
        "call refresh_continuous_aggregate('daily', null, null)",
        "call refresh_continuous_aggregate('weekly', null, null)",
    ] {
        connection.run(view).unwrap_or_else(|fault| panic!("{view}: {fault}"));
    }
}

#[test]
fn continuous_aggregates_are_told_and_refreshed() {
    for programs in some_natives("continuous_aggregates_are_told_and_refreshed") {
        let two = two(&programs);
        two.now(ACCIDENT);
        two.now(COMPRESS);
        with_views(&two);
        let stale = two.now("select sum(total) from daily");
        let (mut landed, remarks) = two.brings(&wanted(&[("public", "metrics")], replace()));
        assert!(remarks.iter().any(|remark| remark.starts_with("public.daily and public.weekly must be refreshed")), "{remarks:?}");
        assert_eq!(two.now("select sum(total) from daily"), stale);
        assert_eq!(landed[0].refresh.len(), 2);
        assert!(
            landed[0].refresh[0].sql.starts_with("call \"public\".refresh_continuous_aggregate('public.daily', '2025-12-3"),
            "{landed:?}"
        );
        let destination = two.look(&wanted(&[("public", "metrics")], replace()));
        assert!(destination.is_err(), "the kept rows are in the way of a second time");
        let destination = two.look(&wanted(&[("public", "metrics")], Way::Replace { kept: None })).expect("it can be done");
        let mut said = Vec::new();
        two.watched(|onlooker| refresh(&destination, &mut landed, &mut said, onlooker)).expect("refreshed");
        assert_eq!((landed[0].refresh.len(), said.len()), (0, 2), "{said:?}");
        let true_sum = two.now("select sum(value) from metrics");
        assert_eq!(true_sum, two.then("select sum(value) from metrics"));
        assert_eq!((two.now("select sum(total) from daily"), two.now("select sum(total) from weekly")), (true_sum.clone(), true_sum));
        assert_eq!(two.now("select count(*) from daily where device = 77"), "0");
        // The way back is told to them as well.
        two.now(landed[0].undo.as_deref().expect("a way back"));
        two.session().run("call refresh_continuous_aggregate('daily', null, null)").expect("refreshed");
        assert_eq!(two.now("select sum(total) from daily"), stale);
        // Somebody who may not write it down is refused.
        two.now("create role owner login; grant set on parameter session_replication_role to owner; alter table metrics owner to owner; drop schema replaced cascade");
        let settings = seawall::postgres::Settings::read(&two.live.conninfo().replace("user=postgres", "user=owner")).expect("settings");
        let wish = wanted(&[("public", "metrics")], Way::Replace { kept: None });
        let refused = seawall::execute::table::landing::look(&settings.with_dbname("shop"), &wish).expect_err("it is refused");
        assert!(refused.message.ends_with("and this role may not tell it which rows come back"), "{refused}");
    }
}

#[test]
fn what_a_retention_job_would_drop_again_is_said() {
    for programs in some_natives("what_a_retention_job_would_drop_again_is_said") {
        let two = two(&programs);
        two.now("delete from metrics where at < '2026-01-05Z'; select remove_retention_policy('metrics'); select add_retention_policy('metrics', interval '90 days', initial_start => now() + interval '1 day')");
        let (_, remarks) = two.brings(&wanted(&[("public", "metrics")], replace()));
        assert!(
            remarks.iter().any(|remark| remark.contains("DROPS chunks of \"public\".\"metrics\" that are older than 90 days, next at ")),
            "{remarks:?}"
        );
        assert!(remarks.iter().any(|remark| remark.contains("2000 rows that came are older than 90 days")), "{remarks:?}");
        assert_eq!(two.now(&rows("metrics")), two.then(&rows("metrics")));
        two.now("select alter_job(job_id, scheduled => false) from timescaledb_information.jobs where proc_name = 'policy_retention'; drop schema replaced cascade");
        let (_, remarks) = two.brings(&wanted(&[("public", "metrics")], replace()));
        assert_eq!(remarks, Vec::<String>::new(), "it does nothing now");
    }
}

#[test]
fn parts_of_a_hypertable_are_not_brought_back_alone() {
    for programs in some_natives("parts_of_a_hypertable_are_not_brought_back_alone") {
        let two = two(&programs);
        two.then(COMPRESS);
        let chunk = two.then("select min(chunk_name) from timescaledb_information.chunks where hypertable_name = 'metrics'");
        let refused = two.refuses(&wanted(&[("_timescaledb_internal", &chunk)], into("back")));
        assert!(refused.message.ends_with("is a chunk of public.metrics"), "{refused}");
        let inside = two.then("select table_name from _timescaledb_catalog.chunk where id = (select min(compressed_chunk_id) from _timescaledb_catalog.chunk)");
        let refused = two.refuses(&wanted(&[("_timescaledb_internal", &inside)], into("back")));
        assert!(refused.message.contains("is a chunk of _timescaledb_internal._compressed_hypertable_"), "{refused}");
    }
}

#[test]
fn held_rows_stay_as_they_are() {
    let mut places: Vec<Option<std::path::PathBuf>> = some_natives("held_rows_stay_as_they_are").into_iter().map(Some).collect();
    places.push(None);
    for programs in places {
        let is_hyper = programs.is_some();
        let two = match &programs {
            Some(programs) => two(programs),
            None => Two::new(
                "create table metrics (at timestamptz not null, device int not null, value double precision, primary key (at, device)); \
                 insert into metrics select '2026-01-01Z'::timestamptz + k * interval '10 minutes', k % 5, k from generate_series(1, 2000) k",
            ),
        };
        two.now(
            "create schema seawall; create table seawall.hold (policy text not null, name text not null, of_table text not null, condition text, rows_from date, \
             rows_to date, reason text not null, until date, zone text not null, primary key (policy, name)); \
             insert into seawall.hold values ('shop', 'litigation', 'metrics', 'device = 4', '2026-01-02', '2026-01-03', 'case 17', null, 'UTC'), \
             ('shop', 'over', 'public.metrics', null, null, null, 'long ago', '2020-01-01', 'UTC'), ('shop', 'other', 'public.others', null, null, null, 'not it', null, 'UTC')",
        );
        two.now("update metrics set value = -1 where device = 4; delete from metrics where device = 3");
        if is_hyper {
            two.now(COMPRESS);
        }
        let before = two.now(&rows("metrics"));
        let refused = two.refuses(&wanted(&[("public", "metrics")], replace()));
        let held = if is_hyper { "58 rows" } else { "400 rows" };
        assert_eq!(
            refused.message,
            format!(
                "{held} of \"public\".\"metrics\" are under the hold `litigation` of the policy `shop` (case 17), and would be changed or removed"
            )
        );
        let keyed = only(wanted(&[("public", "metrics")], merge()), "device = 4 and at >= '2026-01-03T12:00Z' and at < '2026-01-05Z'");
        let held = if is_hyper { "14 rows" } else { "43 rows" };
        assert!(two.refuses(&keyed).message.starts_with(held), "{}", two.refuses(&keyed));
        assert_eq!(two.now(&rows("metrics")), before);
        // Also where the hold was made while rows were fetched.
        two.now("update seawall.hold set policy = 'later', until = '2020-01-01' where name = 'litigation'");
        let wish = only(wanted(&[("public", "metrics")], merge()), "device = 4");
        let (_, landed) = two.shown(&wish, || _ = two.now("update seawall.hold set until = null where policy = 'later'"));
        assert!(landed.expect_err("it is held").message.contains("under the hold `litigation` of the policy `later`"));
        assert_eq!(two.now(&rows("metrics")), before);
        two.now("update seawall.hold set policy = 'shop' where name = 'litigation'");
        // Rows that are not held, and rows that are not there.
        let (landed, remarks) = two.brings(&only(wanted(&[("public", "metrics")], merge()), "device = 3"));
        assert_eq!(landed[0].added, 400);
        assert!(
            remarks.iter().any(|remark| remark
                .ends_with("under the hold `litigation` of the policy `shop` (case 17): none of those is changed or removed")),
            "{remarks:?}"
        );
    }
}

/// A key of a chunk counts for its compressed rows too.
#[test]
fn rows_of_compressed_chunks_that_would_lead_nowhere_are_seen() {
    for programs in some_natives("rows_of_compressed_chunks_that_would_lead_nowhere_are_seen") {
        let two = two(&programs);
        let devices =
            |up_to: u8| format!("create table devices (id int primary key); insert into devices select generate_series(0, {up_to})");
        two.then(&devices(3));
        two.now(&devices(4));
        two.now(
            "create table readings (at timestamptz not null, device int not null references devices); \
             select create_hypertable('readings', 'at', chunk_time_interval => interval '1 day'); \
             insert into readings select '2026-01-01Z'::timestamptz + k * interval '1 hour', k % 5 from generate_series(1, 100) k; \
             alter table readings set (timescaledb.compress, timescaledb.compress_segmentby = 'device')",
        );
        two.now("select count(compress_chunk(c)) from show_chunks('readings') c");
        let refused = two.refuses(&wanted(&[("public", "devices")], replace()));
        assert!(refused.message.contains("foreign keys would not hold any more") && refused.message.contains("device = 4"), "{refused:?}");
        assert_eq!(two.now("select count(*) from devices"), "5");
        // With the row that they need there is nothing to object to.
        two.then("insert into devices values (4), (5)");
        let (landed, _) = two.brings(&wanted(&[("public", "devices")], replace()));
        assert_eq!(landed[0].rows, 6);
    }
}

const HOLDS: &str = "create schema seawall; create table seawall.hold (policy text not null, name text not null, of_table text not null, condition text, \
    rows_from date, rows_to date, reason text not null, until date, zone text not null, primary key (policy, name))";

/// One that stands alone, on something and some days of it.
fn hold(two: &Two, of: &str, days: &str) {
    two.now(&format!(
        "delete from seawall.hold; insert into seawall.hold values ('shop', 'litigation', '{of}', null, {days}, 'case 17', null, 'UTC')"
    ));
}

/// It names a chunk, or a view over a view: the rows are those of the table.
#[test]
fn a_hold_by_another_name_holds() {
    for programs in some_natives("a_hold_by_another_name_holds") {
        let two = two(&programs);
        two.now(HOLDS);
        two.now("create view recent as select * from metrics; create view \"The newest\" as select * from recent; update metrics set value = -1 where device = 4");
        two.now(COMPRESS);
        let before = two.now(&rows("metrics"));
        let chunk = two.now("select tableoid::regclass from metrics where device = 4 and at >= '2026-01-02Z' order by at limit 1");
        let wish = wanted(&[("public", "metrics")], Way::Replace { kept: None });
        hold(&two, &chunk, "null, null");
        let refused = two.refuses(&wish);
        assert!(refused.message.starts_with("29 rows of \"public\".\"metrics\" are under the hold `litigation`"), "{refused}");
        // Those of other chunks are not held.
        let first = only(wanted(&[("public", "metrics")], merge()), "device = 4 and at < '2026-01-02Z'");
        let (landed, remarks) = two.brings(&first);
        assert_eq!(landed[0].changed, 28);
        assert!(remarks.iter().any(|remark| remark.contains("has rows under the hold `litigation`")), "{remarks:?}");
        two.now("update metrics set value = -1 where device = 4 and at < '2026-01-02Z'");
        for view in ["recent", "public.\"The newest\""] {
            hold(&two, view, "null, null");
            let refused = two.refuses(&first);
            assert!(refused.message.starts_with("28 rows of \"public\".\"metrics\" are under the hold `litigation`"), "{refused}");
            assert!(refused.hint.contains("name the table there"), "{}", refused.hint);
        }
        assert_eq!(two.now(&rows("metrics")), before);
        // Something else of the same kind is nothing to it.
        two.now("create table others (at timestamptz not null); select create_hypertable('others', 'at'); insert into others values ('2026-01-01Z'); create view theirs as select * from others");
        for other in ["others", "theirs"] {
            hold(&two, other, "null, null");
            two.brings(&wish);
        }
        assert_eq!(two.now(&rows("metrics")), two.then(&rows("metrics")));
    }
}

#[test]
fn a_hold_on_what_is_inherited_from_holds() {
    let two = Two::new(
        "create table everything (id int primary key, customer int); create table orders (total int, primary key (id)) inherits (everything); \
         insert into orders select i, i % 3, i from generate_series(1, 9) i",
    );
    two.now(HOLDS);
    two.now("delete from orders where customer = 1; update orders set total = 0 where customer = 2");
    two.now("insert into seawall.hold values ('shop', 'litigation', 'everything', 'customer = 2', null, null, 'case 17', null, 'UTC')");
    let refused = two.refuses(&wanted(&[("public", "orders")], replace()));
    assert!(refused.message.starts_with("3 rows of \"public\".\"orders\" are under the hold `litigation`"), "{refused}");
    let (landed, _) = two.brings(&only(wanted(&[("public", "orders")], replace()), "customer = 1"));
    assert_eq!((landed[0].added, two.now("select sum(total) from orders where customer = 2")), (3, "0".into()));
}

/// What is made of rows that change is made anew by the next refresh, whoever calls it.
#[test]
fn held_rows_of_an_aggregate_stay_as_they_were_made() {
    for programs in some_natives("held_rows_of_an_aggregate_stay_as_they_were_made") {
        let two = two(&programs);
        two.now(HOLDS);
        two.now("update metrics set value = -1 where device = 4 and at < '2026-01-03Z'; delete from metrics where device = 4 and at >= '2026-01-05Z' and at < '2026-01-06Z'");
        two.now(COMPRESS);
        with_views(&two);
        let made = two.now(&rows("daily"));
        hold(&two, "daily", "'2026-01-02', '2026-01-03'");
        let refused = two.refuses(&wanted(&[("public", "metrics")], Way::Replace { kept: None }));
        assert!(
            refused.message.starts_with("5 rows of public.daily are under the hold `litigation`") && refused.message.contains("made anew"),
            "{refused}"
        );
        // A day beside it, and one on each side.
        let day = |condition: &str| only(wanted(&[("public", "metrics")], merge()), condition);
        let (mut landed, remarks) = two.brings(&day("device = 4 and at < '2026-01-02Z'"));
        assert!(landed[0].changed == 28 && !remarks.iter().any(|remark| remark.contains("refresh other times")), "{remarks:?}");
        let destination = two.look(&wanted(&[("public", "metrics")], Way::Replace { kept: None })).expect("it can be done");
        two.watched(|onlooker| refresh(&destination, &mut landed, &mut Vec::new(), onlooker)).expect("refreshed");
        assert_ne!(two.now(&rows("daily")), made);
        let made = two.now(&rows("daily"));
        two.now("update metrics set value = -2 where device = 4 and at < '2026-01-02Z'; delete from metrics where at >= '2026-01-02Z' and at < '2026-01-04Z'");
        let (mut landed, remarks) = two.brings(&day("device = 4 and (at < '2026-01-02Z' or at >= '2026-01-05Z' and at < '2026-01-06Z')"));
        assert!(
            remarks
                .iter()
                .any(|remark| remark.contains("of public.daily are under the hold") && remark.ends_with("refresh other times only")),
            "{remarks:?}"
        );
        let failed = two.watched(|onlooker| refresh(&destination, &mut landed, &mut Vec::new(), onlooker)).expect_err("it is refused");
        assert!(failed.message.contains("10 rows of public.daily are under the hold `litigation`"), "{failed}");
        // What is made of it was refreshed all the same.
        assert_eq!((two.now(&rows("daily")), landed[0].refresh.len()), (made.clone(), 1));
        // And that is what it would have done.
        two.session().run(&landed[0].refresh[0].sql).expect("refreshed");
        assert_eq!(two.now("select count(*) from daily where day >= '2026-01-02Z' and day < '2026-01-04Z'"), "0");
    }
}

/// A reference to a hypertable is one to rows of its chunks.
#[test]
fn what_leads_to_a_hypertable_is_asked_with_its_chunks() {
    for programs in some_natives("what_leads_to_a_hypertable_is_asked_with_its_chunks") {
        let two = two(&programs);
        // TimescaleDB 2.17 finds no row by a generic plan.
        two.now("alter database shop set plan_cache_mode = 'force_custom_plan'");
        two.now(
            "create table alarms (id int primary key, at timestamptz, device int, foreign key (at, device) references metrics); \
             insert into alarms select row_number() over (), at, device from metrics where device = 3 and at < '2026-01-04Z'; \
             update metrics set value = -1 where device = 4",
        );
        let (landed, _) = two.brings(&wanted(&[("public", "metrics")], replace()));
        assert_eq!(landed[0].changed, 400);
        two.now("drop schema replaced cascade; insert into metrics values ('2026-03-01Z', 1, 1); insert into alarms values (-1, '2026-03-01Z', 1)");
        let refused = two.refuses(&wanted(&[("public", "metrics")], replace()));
        assert!(
            refused.message.contains("1 of the rows in public.alarms lead to none in public.metrics: at, device = 2026-03-01"),
            "{refused}"
        );
        assert_eq!(two.now("select count(*) from metrics where at > '2026-02-01Z'"), "1");
    }
}
