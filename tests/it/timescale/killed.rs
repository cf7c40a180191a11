//! Chunks that move, and an archiver that is killed wherever it is: together, what is in the table and what is in the store are always the original,
//! each row once.

use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crate::archive::rig::SUM;
use crate::backup::rig::{Policy, Rig};
use crate::faults::chance;
use crate::run::rig::Run;

use super::place::{Place, all_natives};

const JOB: &str = "timescaledb.postgres.hypertables.prices.archive";
/// Chunks of a month, the older ones compressed, in two partitions of space; and all that was ever written, beside it.
const PRICES: &str = "\
    create table prices (at timestamptz not null, product int not null, price float8, note text); \
    select create_hypertable('prices', 'at', 'product', 2, chunk_time_interval => interval '30 days'); \
    create table written (like prices); \
    with row as (insert into written select t, p, p * 1.5, case p when 1 then null else E'x\\n\"' || p end \
        from generate_series(now() - interval '2 years', now(), interval '1 day') t, generate_series(1, 3) p returning *) \
        insert into prices select * from row; \
    alter table prices set (timescaledb.compress, timescaledb.compress_segmentby = 'product'); \
    select count(compress_chunk(c)) from show_chunks('prices', older_than => interval '18 months') c";

fn sum(run: &Run, from: &str) -> String {
    run.rig
        .cluster
        .sql(&format!("{} (select at, product as id, price, note from {from}) t", SUM.replace("order by id", "order by at, id, note")))
}

/// All rows, hot and cold.
fn union(run: &Run) -> String {
    run.rig.cluster.sql("drop table if exists prices_archived");
    run.say(&["archive", "restore", "--table", "prices"]);
    match run.rig.cluster.sql("select to_regclass('prices_archived') is not null").as_str() {
        "t" => sum(run, "(select * from prices union all select * from prices_archived) u"),
        _ => sum(run, "prices"),
    }
}

fn killed_after(run: &Run, pause: Duration) {
    let mut child = run.command(&["run", JOB]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("seawall");
    thread::sleep(pause);
    let policy = run.file("policy.yaml");
    run.rig.shell_as_root(&format!("pkill -KILL -f '^[^ ]*seawall run {JOB} --policy {}' || true", policy.display()));
    child.wait().expect("its end");
    // What the server was told in its last moment it still does.
    run.rig
        .cluster
        .wait_until("not exists (select from pg_stat_activity where application_name like 'seawall%' and pid <> pg_backend_pid())");
}

#[test]
fn hypertables_are_whole_whenever_the_archiver_is_killed() {
    for place in all_natives("hypertables_are_whole_whenever_the_archiver_is_killed") {
        let Place::Native(cluster) = place else { continue };
        cluster.sql(PRICES);
        let run = Run { rig: Rig::over(cluster, &Policy::default()) };
        run.add("timescaledb: { postgres: { hypertables: { prices: { archive: { after: 6mo, store: disk } } } } }\n");
        let mut lot = chance::lot("timescale::killed");
        for round in 0..chance::rounds(5, 60) {
            killed_after(&run, Duration::from_millis(lot.below(1500) as u64));
            assert_eq!(union(&run), sum(&run, "written"), "round {round}");
            match lot.below(4) {
                // Somebody brings all of it back.
                0 => drop(run.say(&["archive", "restore", "--table", "prices", "--into", "prices"])),
                // Rows come late: into what moved, into what is exported and waits, and before all of it.
                1 | 2 => {
                    let (from, step) = (100 + lot.below(700), 1 + lot.below(40));
                    run.rig.cluster.sql(&format!(
                        "with row as (insert into written select t, 9, {round}, 'late' from \
                         generate_series(now() - interval '{from} days', now() - interval '90 days', interval '{step} days') t returning *) \
                         insert into prices select * from row"
                    ));
                }
                _ => {}
            }
            assert_eq!(union(&run), sum(&run, "written"), "round {round}");
        }
        run.say(&["run", JOB]).ends_with_code(0);
        let old = "select count(*) from timescaledb_information.chunks where hypertable_name = 'prices' and range_end < now() - interval '6 months'";
        assert_eq!(run.rig.cluster.sql(old), "0");
        assert_eq!(union(&run), sum(&run, "written"));
    }
}
