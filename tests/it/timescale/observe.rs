//! What is seen of a database is what was made there.

use seawall::inventory::{Age, ChunkRange, DimensionKind, JobKind, Licence, OrderBy, Size, TableName, Timescale};
use seawall::timescale;

use super::place::{Place, all_natives, everywhere};

/// A name that would be read otherwise everywhere where it is not quoted.
const HOSTILE: &str = r#"Price's "x"; drop table y --"#;

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn public(name: &str) -> TableName {
    TableName { schema: "public".into(), name: name.into() }
}

fn make(place: &Place) {
    let hostile = quoted(HOSTILE);
    let literal = hostile.replace('\'', "''");
    let (settings, policy) = if place.has_columnstore() {
        (
            "timescaledb.enable_columnstore, timescaledb.segmentby = 'org, mat', timescaledb.orderby = 'val, recorded_at desc nulls last'",
            "call add_columnstore_policy('prices', after => interval '7 days')",
        )
    } else {
        (
            "timescaledb.compress, timescaledb.compress_segmentby = 'org, mat', timescaledb.compress_orderby = 'val, recorded_at desc nulls last'",
            "select add_compression_policy('prices', compress_after => interval '7 days')",
        )
    };
    place.sql(&format!(
        "create table prices(recorded_at timestamptz not null, org int, mat int, val float); \
         select create_hypertable('prices', 'recorded_at', chunk_time_interval => interval '1 day'); \
         insert into prices select t, 1, 1, 0 from generate_series('2026-01-01'::timestamptz, '2026-01-20 23:00+00', interval '1 hour') t; \
         alter table prices set ({settings}); \
         select compress_chunk(c) from show_chunks('prices', older_than => '2026-01-06'::timestamptz) c; \
         create table numbers(i bigint not null, v int); \
         select create_hypertable('numbers', 'i', chunk_time_interval => 1000); \
         insert into numbers select generate_series(0, 4999, 100), 1; \
         create table spaced(t timestamptz not null, device int not null); \
         select create_hypertable('spaced', 't', chunk_time_interval => interval '1 month', partitioning_column => 'device', number_partitions => 4); \
         create schema {hostile}; create table {hostile}.{hostile}({hostile} timestamptz not null, \"b c\" int); \
         select create_hypertable('{literal}.{literal}', '{column}', chunk_time_interval => interval '2 months'); \
         insert into {hostile}.{hostile} values ('2026-01-01', 1)",
        column = HOSTILE.replace('\'', "''"),
    ));
    place.sql(
        "create materialized view daily with (timescaledb.continuous) as \
         select time_bucket('1 day', recorded_at) as day, org, avg(val) from prices group by 1, 2 with no data",
    );
    place.sql("call refresh_continuous_aggregate('daily', null, null)");
    // Jobs that wait for tomorrow: what is looked at stays as it is.
    place.sql(&format!(
        "begin; {policy}; select add_retention_policy('prices', drop_after => interval '2 years 3 months 4 days 05:06:07'); \
         select add_retention_policy('daily', drop_after => interval '10 years'); \
         select add_continuous_aggregate_policy('daily', start_offset => null, end_offset => interval '1 hour', schedule_interval => interval '30 minutes'); \
         select alter_job(job_id, next_start => now() + interval '1 day') from timescaledb_information.jobs where job_id >= 1000; commit"
    ));
}

#[test]
fn everything_that_was_made_is_seen() {
    for place in everywhere("everything_that_was_made_is_seen") {
        make(&place);
        let state = place.state();
        println!("TimescaleDB {}", state.version);
        assert_eq!((state.licence, state.schema.as_str()), (Licence::Community, "public"));
        let tables: Vec<&TableName> = state.hypertables.iter().map(|table| &table.table).collect();
        let hostile = TableName { schema: HOSTILE.into(), name: HOSTILE.into() };
        assert_eq!(tables, [&hostile, &public("numbers"), &public("prices"), &public("spaced")]);

        let prices = &state.hypertables[2];
        assert_eq!(prices.dimensions.len(), 1);
        assert_eq!(prices.dimensions[0].by, DimensionKind::Time { every: Age::Period("1d".parse().expect("a period")) });
        let compression = prices.compression.as_ref().expect("it is compressed");
        assert_eq!(compression.segment_by, ["org", "mat"]);
        let order = |column: &str, descending, nulls_first| OrderBy { column: column.into(), descending, nulls_first };
        assert_eq!(compression.order_by, [order("val", false, false), order("recorded_at", true, false)]);
        assert_eq!(prices.chunks.len(), 20);
        assert!(prices.chunks.iter().all(|chunk| chunk.bytes.is_some_and(|bytes| bytes != Size::default())), "{:?}", prices.chunks);
        assert_eq!(prices.chunks.iter().filter(|chunk| chunk.compressed).count(), 5);
        let range = |from: &str, to: &str| ChunkRange::Time { from: from.parse().ok(), to: to.parse().ok() };
        assert_eq!(prices.chunks[0].range, range("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"));

        let numbers = &state.hypertables[1];
        assert_eq!(numbers.dimensions[0].by, DimensionKind::Number { every: 1000 });
        assert_eq!(numbers.chunks.iter().map(|chunk| chunk.range).next_back(), Some(ChunkRange::Number { from: 4000, to: 5000 }));
        assert_eq!(state.hypertables[3].dimensions[1].by, DimensionKind::Space { partitions: 4 });
        assert_eq!(state.hypertables[0].dimensions[0].column, HOSTILE);
        assert_eq!(state.hypertables[0].dimensions[0].by, DimensionKind::Time { every: Age::Period("60d".parse().expect("a period")) });

        let daily = &state.continuous_aggregates[0];
        assert_eq!((&daily.view, &daily.of), (&public("daily"), &public("prices")));
        assert!(daily.definition.contains("public.prices"), "{}", daily.definition);
        assert!(!daily.chunks.is_empty());

        let only = |table: &str, kind| {
            let jobs: Vec<_> = state.jobs_of(&public(table), kind).collect();
            assert_eq!(jobs.len(), 1, "{:?}", state.jobs);
            jobs[0]
        };
        let retention = only("prices", JobKind::Retention);
        assert_eq!(retention.after, Some(Age::Period("2y 3mo 4d 5h 6m 7s".parse().expect("a period"))));
        assert!(retention.scheduled && retention.last.is_none() && retention.config["drop_after"].is_string());
        assert_eq!(only("prices", JobKind::Compression).after, Some(Age::Period("7d".parse().expect("a period"))));
        assert_eq!(only("daily", JobKind::Retention).after, Some(Age::Period("10y".parse().expect("a period"))));
        let refresh = only("daily", JobKind::Refresh);
        assert_eq!((&refresh.start_offset, &refresh.end_offset), (&None, &Some(Age::Period("1h".parse().expect("a period")))));
        assert_eq!(refresh.every, Age::Period("30m".parse().expect("a period")));

        // It is as good as data, for whoever has no way to the database.
        let json = serde_json::to_string(&state).expect("JSON");
        assert_eq!(serde_json::from_str::<seawall::inventory::TimescaleState>(&json).expect("the same"), state);
    }
}

#[test]
fn a_database_without_the_extension_says_so() {
    let cluster = crate::clusters::Cluster::start(crate::clusters::Version::V16, crate::clusters::Options::default());
    assert_eq!(timescale::observe(&mut cluster.connect()), Ok(Timescale::Absent));
}

#[test]
fn a_build_without_the_paid_parts_says_so() {
    for place in Place::apache("a_build_without_the_paid_parts_says_so") {
        place.sql("create table t(at timestamptz not null); select create_hypertable('t', 'at'); insert into t values ('2026-01-01')");
        let state = place.state();
        assert_eq!(state.licence, Licence::Apache);
        assert_eq!(state.hypertables.len(), 1);
    }
}

#[test]
fn a_run_that_failed_is_seen_with_what_it_said() {
    for place in all_natives("a_run_that_failed_is_seen_with_what_it_said") {
        place.sql(
            "create procedure breaks(job_id int, config jsonb) language plpgsql as $$ begin raise exception 'it is broken'; end $$; \
             select add_job('breaks', '1 hour', config => '{\"drop_after\": \"whenever it rains\"}')",
        );
        let Place::Native(cluster) = &place else { continue };
        cluster.wait_until("exists (select from timescaledb_information.job_stats where job_id >= 1000 and total_failures > 0)");
        let state = place.state();
        let job = state.jobs.iter().find(|job| job.id >= 1000).expect("the job");
        assert_eq!(job.does, JobKind::Other);
        let last = job.last.as_ref().expect("a run");
        assert!(last.failed && last.failures > 0 && last.error.as_ref().is_some_and(|error| error.contains("it is broken")), "{last:?}");
    }
}
