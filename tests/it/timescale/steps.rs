//! Chunks that move, compressed ones among them, and an archiver that is killed at every step.

use std::collections::BTreeSet;

use crate::archive::scene::{CLOSED, End, Scene, Shelf};
use crate::archive::steps::{GROWS, killed_at_each_call, surely_seen};
use crate::backup::rig::{Policy, Rig};
use crate::faults::chance;
use crate::run::rig::Run;

use super::place::{Place, all_natives};

const JOB: [&str; 2] = ["run", "timescaledb.postgres.hypertables.prices.archive"];
/// Two old stretches of time, each in two partitions of space, the older one compressed; and one that stays.
const PRICES: &str = "\
    create table prices (at timestamptz not null, product int not null, price float8, note text); \
    select create_hypertable('prices', 'at', 'product', 2, chunk_time_interval => interval '30 days'); \
    insert into prices select to_timestamp(floor(extract(epoch from now()) / 2592000) * 2592000) - months * interval '30 days' + day * interval '1 day', \
            p, p * 1.5, case p when 1 then null else E'x\\n\"' || p end \
        from unnest(array[0, 20, 24]) months, generate_series(0, 20) day, generate_series(1, 6) p; \
    create table written as select * from prices; \
    alter table prices set (timescaledb.compress, timescaledb.compress_segmentby = 'product'); \
    select count(compress_chunk(c)) from show_chunks('prices', older_than => interval '22 months') c";

fn scenes(test: &str) -> impl Iterator<Item = Scene> {
    all_natives(test).into_iter().filter_map(|place| {
        let Place::Native(cluster) = place else { return None };
        let run = Run { rig: Rig::over(cluster, &Policy::default()) };
        run.add("timescaledb: { postgres: { hypertables: { prices: { archive: { after: 1y, store: disk } } } } }\n");
        let (table, columns, old) = ("prices", "at, product, price, note", "at < now() - interval '1 year'");
        Some(Scene { run, shelf: Shelf::Disk, job: JOB[1], table, make: PRICES, columns, old }.ready())
    })
}

#[test]
fn an_archiver_of_chunks_is_killed_at_each_call_of_the_store() {
    for scene in scenes("an_archiver_of_chunks_is_killed_at_each_call_of_the_store") {
        let seen = killed_at_each_call(&scene, None);
        let whole = GROWS[8];
        let first = surely_seen().map(str::to_owned);
        let second = surely_seen().skip(1).map(|grown| format!("{whole} | {grown}"));
        let missed: BTreeSet<String> = first.chain(second).filter(|grown| !seen.contains(grown)).collect();
        assert!(missed.is_empty(), "never killed at {missed:#?} of {seen:#?}");
    }
}

/// What nobody reads back here is exported one stretch of time ahead: of two extents the first may have no descriptor yet when rows of the second come.
#[test]
fn an_archiver_that_reads_nothing_back_is_killed_at_calls_of_the_store() {
    for scene in scenes("an_archiver_that_reads_nothing_back_is_killed_at_calls_of_the_store") {
        let hide = || scene.run.rig.shell("mv identity.txt elsewhere.txt");
        let words = ["run", JOB[1]];
        scene.begin();
        hide();
        let calls = scene.calls_of(&words);
        assert_eq!(scene.hot(), "252");
        scene.run.rig.shell("mv elsewhere.txt identity.txt");
        let each: Vec<u64> = if chance::is_long() { (1..=calls).collect() } else { (0..6).map(|at| 1 + at * (calls - 1) / 5).collect() };
        for call in each {
            scene.begin();
            hide();
            assert!(scene.killed_at(&words, call), "call {call} of {calls}");
            let at = format!("killed before call {call} of {calls}: {}", scene.there());
            assert_eq!(scene.hot(), "252", "{at}");
            scene.say(&words).ends_with_code(0).says("stay in the table until somebody with an identity has read them back");
            scene.run.rig.shell("mv elsewhere.txt identity.txt");
            scene.ends_well(&at);
        }
    }
}

/// Each chunk waits for its readers before it goes, and what it was compressed into does too: so there are steps between.
#[test]
fn an_archiver_is_killed_between_chunks_that_it_drops() {
    for scene in scenes("an_archiver_is_killed_between_chunks_that_it_drops") {
        scene.begin();
        let chunks = "select format('%I.%I', c.schema_name, c.table_name) from _timescaledb_catalog.chunk c";
        let of_first = "c.id in (select unnest(array[k.id, k.compressed_chunk_id]) from _timescaledb_catalog.chunk k \
                        join timescaledb_information.chunks i on (i.chunk_schema, i.chunk_name) = (k.schema_name, k.table_name) \
                        where i.hypertable_name = 'prices' and i.is_compressed)";
        let count: usize = scene.sql(&format!("select count(*) from ({chunks} where {of_first}) c")).parse().expect("a number");
        assert_eq!(count, 4, "two chunks, and what they were compressed into");
        for number in 0..count {
            for end in [End::GoesOn, End::Ends] {
                let at = format!("dropping {number}, and the session {end:?}");
                scene.begin();
                let chunk = scene.sql(&format!("{chunks} where {of_first} order by c.id offset {number} limit 1"));
                let hold = format!("lock table {chunk} in access share mode");
                scene.killed_while_it_waits(&JOB, (&hold, "a.wait_event_type = 'Lock'"), end, || ());
                assert_eq!((scene.hot().as_str(), scene.there().as_str()), ("252", GROWS[7]), "{at}");
                scene.ends_well(&at);
            }
        }
        for end in [End::GoesOn, End::Ends] {
            let at = format!("committing, and the session {end:?}");
            scene.begin();
            scene.gate("constraint trigger gate after insert on seawall.archived deferrable initially deferred");
            scene.killed_while_it_waits(&JOB, CLOSED, end, || ());
            assert_eq!(scene.hot(), if end == End::GoesOn { "126" } else { "252" }, "{at}");
            scene.ends_well(&at);
        }
    }
}
