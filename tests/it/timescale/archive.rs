//! Chunks that move to a store.

use crate::archive::rig::SUM;
use crate::backup::rig::{Policy, Rig};
use crate::clusters::Cluster;
use crate::run::rig::Run;

use super::place::{Place, all_natives};

const JOB: &str = "timescaledb.postgres.hypertables.prices.archive";
/// Three years of days in chunks of thirty, some of them compressed; two partitions in space.
const PRICES: &str = "\
    create table prices (at timestamptz not null, product int not null, price float8, note text); \
    select create_hypertable('prices', 'at', chunk_time_interval => interval '30 days'); \
    insert into prices select t, p, p * 1.5, case p % 3 when 0 then null when 1 then '' else E'x\\n\"' || p end \
        from generate_series(now() - interval '3 years', now(), interval '12 hours') t, generate_series(1, 4) p; \
    alter table prices set (timescaledb.compress, timescaledb.compress_segmentby = 'product'); \
    select count(compress_chunk(c)) from show_chunks('prices', older_than => interval '2 years') c";

fn run_over(cluster: Cluster, more: &str) -> Run {
    let run = Run { rig: Rig::over(cluster, &Policy::default()) };
    run.add(&format!("timescaledb: {{ postgres: {{ hypertables: {{ prices: {{ archive: {{ after: 1y, store: disk }} }} }} }} }}\n{more}"));
    run
}

/// All rows in an order, as one sum.
fn sum(run: &Run, from: &str) -> String {
    run.rig.cluster.sql(&format!("{} (select at, product as id, price, note from {from}) t", SUM.replace("order by id", "order by at, id")))
}

fn chunks(run: &Run, condition: &str) -> u32 {
    let sql = format!("select count(*) from timescaledb_information.chunks where hypertable_name = 'prices' and {condition}");
    run.rig.cluster.sql(&sql).parse().expect("a number")
}

#[test]
fn chunks_move_whole_and_come_back() {
    for place in all_natives("chunks_move_whole_and_come_back") {
        let Place::Native(cluster) = place else { continue };
        cluster.sql(PRICES);
        let run = run_over(cluster, "");
        let all = sum(&run, "prices");
        let old = "range_end < now() - interval '1 year'";
        let (old_chunks, chunks_before) = (chunks(&run, old), chunks(&run, "true"));
        assert!(old_chunks > 20, "{old_chunks}");
        run.say(&["run", JOB]).ends_with_code(0);
        assert_eq!((chunks(&run, old), chunks(&run, "true")), (0, chunks_before - old_chunks));
        run.say(&["archive", "restore", "--table", "prices"]).ends_with_code(0).says("prices_archived");
        assert_eq!(sum(&run, "(select * from prices union all select * from prices_archived) u"), all);
        // Into the hypertable, which makes its chunks again, and out of it once more.
        run.say(&["archive", "restore", "--table", "prices", "--into", "prices"]).ends_with_code(0);
        assert_eq!((sum(&run, "prices"), chunks(&run, "true")), (all.clone(), chunks_before));
        run.say(&["run", JOB]).ends_with_code(0);
        assert_eq!(chunks(&run, old), 0);
        assert_eq!(sum(&run, "(select * from prices union all select * from prices_archived) u"), all);
        // Nothing is wrong but that this cluster was never backed up.
        let proved = run.say(&["verify", "--deep", "--format", "json"]).ends_with_code(1);
        let proved: serde_json::Value = serde_json::from_str(&proved.out).expect("JSON");
        let faults = proved["stores"][0]["faults"].as_array().expect("faults");
        assert!(faults.len() == 1 && faults[0]["what"] == "backups belong there, and none lies there", "{faults:?}");
    }
}

#[test]
fn a_chunk_with_held_rows_loses_the_others() {
    for place in all_natives("a_chunk_with_held_rows_loses_the_others") {
        let Place::Native(cluster) = place else { continue };
        cluster.sql(PRICES);
        let held = "product = 3 and at >= now() - interval '2 years 100 days' and at < now() - interval '1 year 200 days'";
        let run = run_over(
            cluster,
            "holds: { case: { reason: litigation, rows: { database: postgres, table: prices, where: \"product = 3 and at >= now() - interval '2 years 100 days' \
             and at < now() - interval '1 year 200 days'\" } } }\n",
        );
        let all = sum(&run, "prices");
        let edge =
            run.rig.cluster.sql("select max(range_end) from timescaledb_information.chunks where range_end < now() - interval '1 year'");
        let kept = sum(&run, &format!("(select * from prices where ({held}) or at >= '{edge}') k"));
        run.say(&["run", JOB]).ends_with_code(0);
        assert_eq!(sum(&run, "prices"), kept);
        run.say(&["archive", "restore", "--table", "prices"]).ends_with_code(0);
        assert_eq!(sum(&run, "(select * from prices union all select * from prices_archived) u"), all);
    }
}

/// The database's own job would drop everything; Seawall leaves what is held.
#[test]
fn retention_leaves_what_is_held() {
    const RETAIN: &str = "timescaledb.postgres.hypertables.prices.retain";
    for place in all_natives("retention_leaves_what_is_held") {
        let Place::Native(cluster) = place else { continue };
        cluster.sql(PRICES);
        let run = Run { rig: Rig::over(cluster, &Policy::default()) };
        run.add(
            "timescaledb: { postgres: { hypertables: { prices: { retain: 2y } } } }\n\
             holds: { case: { reason: litigation, rows: { database: postgres, table: prices, where: product = 2, to: 2000-01-01 } }, \
             more: { reason: audit, rows: { database: postgres, table: prices, where: \"product = 4 and at < now() - interval '2 years 6 months'\" } } }\n",
        );
        let edge =
            run.rig.cluster.sql("select max(range_end) from timescaledb_information.chunks where range_end < now() - interval '2 years'");
        let kept = sum(
            &run,
            &format!("(select * from prices where at >= '{edge}' or product = 4 and at < now() - interval '2 years 6 months') k"),
        );
        run.say(&["run", RETAIN]).ends_with_code(0).says("rows dropped");
        assert_eq!(sum(&run, "prices"), kept);
        run.say(&["run", RETAIN]).ends_with_code(0).says("0 rows dropped");
        run.say(&["audit", "show"]).says("were dropped by their age");
    }
}

/// Chunks are cut by another column: rows would go with one that were never exported.
#[test]
fn another_column_than_the_hypertable_s_own_is_refused() {
    for place in all_natives("another_column_than_the_hypertable_s_own_is_refused") {
        let Place::Native(cluster) = place else { continue };
        cluster.sql(PRICES);
        cluster.sql("alter table prices add column seen_at timestamptz");
        let run = Run { rig: Rig::over(cluster, &Policy::default()) };
        run.add("archive: { old: { table: prices, column: seen_at, after: 1y, store: disk } }\n");
        run.say(&["run", "archive.old"]).ends_with_code(1).says("whose chunks go by `at`");
        run.change("column: seen_at", "column: at");
        // Whatever the database's own default is.
        run.rig.cluster.sql("alter database postgres set default_transaction_isolation = 'serializable'");
        run.say(&["run", "archive.old"]).ends_with_code(0);
        assert_eq!(chunks(&run, "range_end < now() - interval '1 year'"), 0);
    }
}
