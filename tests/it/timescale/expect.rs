//! What a drill expects of hypertables and their jobs, by what the backup recorded of them.

use seawall::format::descriptor::Private;
use seawall::format::recorded::{Recorded, RecordedHypertable, RecordedJob, RecordedTimescale};
use seawall::inventory::Expected;
use seawall::units::{Duration, Instant};

use super::place::{Place, some_natives};
use crate::backup::rig::{Policy, Rig};
use crate::clusters::{Cluster, Options, Version};
use crate::expect::recorded::private_of;
use crate::expect::rig::Seen;
use crate::servers::pglite::Pglite;

const CHECKS: &str = "
      chunks: { check: hypertables, database: postgres }
      jobs: { check: jobs, database: postgres }";
const ALL: &str = "
      chunks: { check: hypertables, database: postgres }
      jobs: { check: jobs, database: postgres }
      rows: { check: row-counts, database: postgres }
      keys: { check: constraints-valid, database: postgres }
      indexes: { check: indexes-valid, database: postgres }
      extensions: { check: extensions, database: postgres }";

#[test]
fn hypertables_and_jobs_are_those_that_the_backup_recorded() {
    for programs in some_natives("hypertables_and_jobs_are_those_that_the_backup_recorded") {
        let options = Options { programs: Some(programs), ..Options::default() }
            .archiving("exec ../archive %p")
            .with("shared_preload_libraries = 'timescaledb'")
            .with("timescaledb.telemetry_level = off")
            .with("max_worker_processes = 20");
        let rig = Rig::over(Cluster::start(Version::V15, options), &Policy::default());
        rig.archive_into_store();
        let cluster = &rig.cluster;
        cluster.sql("create extension timescaledb");
        cluster.sql(
            "create table materials(id int primary key); insert into materials select generate_series(1, 4); \
             create table prices(at timestamptz not null, product int not null references materials, price float8); \
             select create_hypertable('prices', 'at', chunk_time_interval => interval '30 days'); \
             select add_dimension('prices', 'product', number_partitions => 2); \
             insert into prices select t, p, p from generate_series(now() - interval '3 years', now(), interval '6 hours') t, generate_series(1, 4) p; \
             alter table prices set (timescaledb.compress, timescaledb.compress_segmentby = 'product'); \
             select count(compress_chunk(c)) from show_chunks('prices', older_than => interval '1 year') c; \
             select add_retention_policy('prices', interval '9 years')",
        );
        cluster.sql(
            "create materialized view monthly with (timescaledb.continuous) as \
             select time_bucket('30 days', at) as month, avg(price) from prices group by 1 with no data",
        );
        // Keys into hypertables are whole from 2.18 on.
        let has_keys = cluster.sql("select extversion !~ '^2\\.1[0-7]' from pg_extension where extname = 'timescaledb'") == "t";
        if has_keys {
            cluster.sql(
                "create table events(at timestamptz not null, id int not null, unique (at, id)); select create_hypertable('events', 'at'); \
                 insert into events select t, 1 from generate_series(now() - interval '90 days', now(), interval '1 day') t; \
                 create table notes(at timestamptz, id int, foreign key (at, id) references events(at, id)); insert into notes select at, id from events",
            );
        }
        cluster.sql("analyze");
        let (private, remarks) = private_of(&rig);
        assert!(!remarks.iter().any(|remark| remark.contains("not recorded")), "{remarks:?}");
        let see = |expect: &str| Seen::of(&cluster.settings(), &private, Instant::now(), expect);
        let seen = see(ALL);
        println!("{seen:#?}");
        seen.met("chunks", if has_keys { "3 hypertables with " } else { "2 hypertables with " });
        seen.met("jobs", "as recorded");
        seen.met("keys", "has its counterpart");
        cluster.sql("set session_replication_role = replica; insert into prices values (now(), 99, 0)");
        if has_keys {
            cluster.sql("set session_replication_role = replica; insert into notes values ('2001-01-01', 1)");
        }
        let orphans = see(ALL);
        if has_keys {
            orphans.failed("keys", "1 row of `postgres: public.notes` without a row of `postgres: public.events`");
        }
        orphans.failed("keys", "without a row of `postgres: public.materials`");
        seen.met("indexes", "read and right");
        seen.met("extensions", "as recorded");
        let rows = private.recorded["postgres"].tables.iter().find(|one| one.table.name == "prices").map(|one| one.rows);
        assert!(rows.is_some_and(|rows| (15_000..19_000).contains(&rows)), "the rows of compressed chunks count: {rows:?}");
        seen.met("rows", "as about recorded");

        // As they were defined: a copy that was put together by hand may have been given others.
        cluster.sql("select set_chunk_time_interval('prices', interval '7 days')");
        see(CHECKS).failed("chunks", "`public.prices` is divided into other chunks than was recorded");
        cluster.sql("select set_chunk_time_interval('prices', interval '30 days')");
        cluster.sql("alter table prices set (timescaledb.compress_segmentby = '', timescaledb.compress_orderby = 'price')");
        see(CHECKS).failed("chunks", "`public.prices` is compressed otherwise than was recorded");
        cluster.sql("alter table prices set (timescaledb.compress_segmentby = 'product', timescaledb.compress_orderby = 'at desc')");
        see(CHECKS).met("chunks", "as recorded");
        cluster.sql("drop materialized view monthly");
        cluster.sql(
            "create materialized view monthly with (timescaledb.continuous) as \
             select time_bucket('30 days', at) as month, max(price) from prices group by 1 with no data",
        );
        see(CHECKS).failed("chunks", "`public.monthly` selects something else than was recorded");
        cluster.sql("select drop_chunks('prices', older_than => interval '6 months')");
        cluster.sql("select alter_job(job_id, scheduled => false) from timescaledb_information.jobs where proc_name = 'policy_retention'");
        let seen = see(ALL);
        seen.failed("chunks", "`public.prices` has ");
        seen.failed("jobs", "is paused, and it was recorded that it runs");
        seen.failed("rows", "`postgres: public.prices` has ");
        cluster.sql("select remove_retention_policy('prices')");
        see(CHECKS).failed("jobs", "for `public.prices` is not there");
        cluster.sql("drop table prices cascade");
        see(CHECKS).failed("chunks", "the hypertable `public.prices` is not there");
        cluster.sql("drop extension timescaledb cascade");
        see(CHECKS).failed("chunks", "TimescaleDB is not in `postgres`");
    }
}

/// The same judgement where there are no processes to back anything up.
#[test]
fn what_is_recorded_by_hand_is_compared_everywhere() {
    let place = Place::Node(Pglite::start());
    place.sql(
        "create table prices(at timestamptz not null); select create_hypertable('prices', 'at', chunk_time_interval => interval '1 day'); \
         insert into prices select t from generate_series(now() - interval '40 days', now(), interval '1 day') t",
    );
    let state = place.state();
    let job = |job: &seawall::inventory::TimescaleJob| RecordedJob {
        id: job.id,
        does: job.does,
        procedure: job.procedure.clone(),
        of: job.of.clone(),
        scheduled: job.scheduled,
        every: None,
        config: serde_json::Value::Null,
    };
    let chunks = state.hypertables[0].chunks.len() as u64;
    let hypertable = |chunks, name: &str| {
        let mut table = state.hypertables[0].table.clone();
        table.name = name.to_owned();
        let every = Some(Duration::from_hours(24));
        RecordedHypertable { table, chunks, every, partitions: 1, dimensions: Vec::new(), compression: None, made: None }
    };
    let see = |hypertables: Vec<RecordedHypertable>| {
        let timescale = RecordedTimescale { hypertables, jobs: state.jobs.iter().map(job).collect(), ..RecordedTimescale::default() };
        let recorded = Recorded { at: Instant::now(), tables: vec![], has_more: false, timescale: Some(timescale) };
        let private = Private { recorded: [("postgres".to_owned(), recorded)].into(), ..Private::default() };
        // There is one session, which a connection of its own would share.
        let seen = Seen::over(&|_| Ok(place.connect()), &private, Instant::now(), CHECKS);
        seen.0
    };
    let met = |seen: Vec<Expected>| seen.into_iter().map(|one| (one.met, one.says)).collect::<Vec<_>>();
    assert_eq!(met(see(vec![hypertable(chunks, "prices")]))[0], (true, format!("1 hypertable with {chunks} chunks as recorded")));
    assert!(see(vec![hypertable(chunks + 1, "prices")])[0].met, "one may have grown too old meanwhile");
    let lost = met(see(vec![hypertable(chunks + 9, "prices")]));
    assert_eq!(lost[0], (false, format!("`public.prices` has {chunks} chunks, and {} were recorded", chunks + 9)));
    assert!(lost[1].0, "{lost:?}");
    assert!(met(see(vec![hypertable(1, "gone")]))[0].1.contains("`public.gone` is not there"));
}
