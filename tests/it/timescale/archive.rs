//! Chunks that move to a store.

use std::process::Stdio;
use std::sync::atomic::AtomicBool;

use seawall::cli::here::Here;
use seawall::cli::terminal::Colour;
use seawall::execute::archive::{self, Done, Dropped};

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

const HOLDS: &str = "create table seawall.hold (policy text not null, name text not null, of_table text not null, condition text, rows_from date, \
    rows_to date, reason text not null, until date, zone text not null, primary key (policy, name))";

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
        run.rig.cluster.sql(
            "create function watch() returns trigger language plpgsql as 'begin return old; end'; \
             create trigger watch after delete on prices for each row execute function watch()",
        );
        // Somebody is at work on a young chunk, as whoever compresses it is.
        let young = "select format('%I.%I', chunk_schema, chunk_name) from timescaledb_information.chunks where hypertable_name = 'prices' \
             order by range_start desc limit 1";
        let mut other = run.rig.cluster.connect();
        other.run(&format!("begin; lock table {} in exclusive mode", run.rig.cluster.sql(young))).expect("a lock");
        let done = run.say(&["run", JOB]).ends_with_code(0).says("the triggers watch run").says("not for those of a chunk that goes whole");
        assert!(!format!("{}{}", done.out, done.err).contains("locked by somebody"), "{}{}", done.out, done.err);
        other.run("commit").expect("its end");
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
            "timezone: Asia/Kolkata\nholds: { case: { reason: litigation, rows: { database: postgres, table: prices, where: \"product = 3 and at >= now() - interval '2 years 100 days' \
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

/// Exported as two chunks, and one when they are taken out; and the other way round, as far as this version can split them.
#[test]
fn chunks_that_are_merged_while_they_wait_move_once() {
    for place in all_natives("chunks_that_are_merged_while_they_wait_move_once") {
        let Place::Native(cluster) = place else { continue };
        cluster.sql(
            "create table prices (at timestamptz not null, product int not null, price float8, note text); \
             select create_hypertable('prices', 'at', chunk_time_interval => interval '30 days'); \
             insert into prices select t, p, p * 1.5, 'x' from generate_series(now() - interval '3 years', now(), interval '3 days') t, generate_series(1, 8) p",
        );
        let can = |what: &str| cluster.sql(&format!("select exists (select from pg_proc where proname = '{what}')")) == "t";
        let (merges, splits) = (can("merge_chunks"), can("split_chunk"));
        let run = run_over(cluster, "");
        let all = sum(&run, "prices");
        let chunk = |number: u32| {
            run.rig.cluster.sql(&format!(
                "select format('%I.%I', chunk_schema, chunk_name) from timescaledb_information.chunks where hypertable_name = 'prices' \
                 order by range_start offset {number} limit 1"
            ))
        };
        run.rig.shell("mv identity.txt elsewhere.txt");
        run.say(&["run", JOB]).ends_with_code(0);
        if merges {
            run.rig.cluster.sql(&format!("call merge_chunks('{}', '{}')", chunk(3), chunk(4)));
        }
        if splits {
            run.rig.cluster.sql(&format!("call split_chunk('{}')", chunk(7)));
        }
        let identity = run.file("elsewhere.txt").display().to_string();
        run.say(&["archive", "verify", "--identity", &identity]).ends_with_code(0);
        run.rig.shell("mv elsewhere.txt identity.txt");
        for _ in 0..2 {
            run.say(&["run", JOB]).ends_with_code(0);
            run.rig.cluster.sql("drop table if exists prices_archived");
            run.say(&["archive", "restore", "--table", "prices"]).ends_with_code(0);
            assert_eq!(sum(&run, "(select * from prices union all select * from prices_archived) u"), all);
        }
        let edge = "(select max(range_end) from timescaledb_information.chunks where hypertable_name = 'prices' and range_end < now() - interval '1 year')";
        assert_eq!(run.rig.cluster.sql(&format!("select count(*) from prices where at < {edge}")), "0");
    }
}

/// TimescaleDB drops no chunk of a table that a foreign key leads to, whichever rows it is about.
#[test]
fn chunks_that_others_refer_to_lose_their_rows() {
    for place in all_natives("chunks_that_others_refer_to_lose_their_rows") {
        let Place::Native(cluster) = place else { continue };
        cluster.sql(
            "create table prices (at timestamptz not null, product int not null, price float8, note text, primary key (at, product)); \
             select create_hypertable('prices', 'at', chunk_time_interval => interval '30 days'); \
             insert into prices select t, p, p * 1.5, 'x' from generate_series(now() - interval '2 years', now(), interval '6 days') t, generate_series(1, 3) p; \
             create table offers (at timestamptz, product int, foreign key (at, product) references prices); \
             insert into offers select at, product from prices where at < now() - interval '18 months' order by at desc limit 1",
        );
        let run = run_over(cluster, "");
        let all = sum(&run, "prices");
        run.say(&["run", JOB]).ends_with_code(0).says("because rows of offers refer to some of them");
        let edge = "(select max(range_end) from timescaledb_information.chunks where hypertable_name = 'prices' and range_end < now() - interval '1 year')";
        let old = format!("select count(distinct tableoid), count(*) > 0 from prices where at < {edge}");
        assert_eq!(run.rig.cluster.sql(&old), "1|t", "what is referred to stays with its chunk's rows, and nothing else does");
        run.rig.cluster.sql("delete from offers");
        run.say(&["run", JOB]).ends_with_code(0);
        assert_eq!(run.rig.cluster.sql(&old), "0|f");
        run.say(&["archive", "restore", "--table", "prices"]).ends_with_code(0);
        assert_eq!(sum(&run, "(select * from prices union all select * from prices_archived) u"), all);
    }
}

/// Named by the chunks themselves: one that is compressed, and one that is not.
#[test]
fn a_hold_on_a_chunk_holds_its_rows() {
    for place in all_natives("a_hold_on_a_chunk_holds_its_rows") {
        let Place::Native(cluster) = place else { continue };
        cluster.sql(PRICES);
        let one_of = |compressed: bool, what: &str| {
            cluster.sql(&format!(
                "select {what} from timescaledb_information.chunks where hypertable_name = 'prices' \
                 and is_compressed = {compressed} and range_end < now() - interval '1 year 1 month' order by range_start limit 1"
            ))
        };
        let named = |compressed| one_of(compressed, "format('%I.%I', chunk_schema, chunk_name)");
        let within = |compressed| one_of(compressed, "format('at >= %L and at < %L', range_start, range_end)");
        let (one, other) = (named(true), named(false));
        let stays = format!(
            "{} or {} or at >= (select max(range_end) from timescaledb_information.chunks where range_end < now() - interval '1 year')",
            within(true),
            within(false)
        );
        let hold = |name: &str, table: &str| format!("{name}: {{ reason: litigation, rows: {{ database: postgres, table: {table} }} }}");
        let run = run_over(cluster, &format!("holds: {{ {}, {} }}\n", hold("case", &one), hold("other", &other)));
        let all = sum(&run, "prices");
        let held = sum(&run, &format!("(select * from prices where {stays}) k"));
        run.say(&["run", JOB]).ends_with_code(0);
        assert_eq!(sum(&run, "prices"), held);
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
            "timezone: Asia/Kolkata\ntimescaledb: { postgres: { hypertables: { prices: { retain: 2y } } } }\n\
             holds: { case: { reason: litigation, rows: { database: postgres, table: prices, where: product = 2, to: 2000-01-01 } }, \
             more: { reason: audit, rows: { database: postgres, table: prices, where: \"product = 4 and at < now() - interval '2 years 6 months'\" } } }\n",
        );
        let all = sum(&run, "prices");
        let edge =
            run.rig.cluster.sql("select max(range_end) from timescaledb_information.chunks where range_end < now() - interval '2 years'");
        let kept = sum(
            &run,
            &format!("(select * from prices where at >= '{edge}' or product = 4 and at < now() - interval '2 years 6 months') k"),
        );
        // What nobody has seen and accepted does not go because a hold is there.
        run.say(&["run", RETAIN]).ends_with_code(1).says("the database has no age of it on record").says("`seawall apply`");
        run.say(&["apply", "--yes", "--without-destructive"]).ends_with_code(3).says("DESTRUCTIVE: drops ").says("but for what is held");
        run.say(&["run", RETAIN]).ends_with_code(1).says("the database has no age of it on record");
        assert_eq!(sum(&run, "prices"), all);
        run.add("acknowledge: [{ finding: SW0910, at: timescaledb.postgres.hypertables.prices.retain, reason: a test }]\n");
        run.say(&["apply", "--yes"]).says("DESTRUCTIVE, acknowledged: drops ").says("postgres: 1 change done");
        // By a clock that is ahead of the database's, rows would be older than they are, and holds over.
        run.rig.shell("sed -i.now 's/reason: litigation/reason: litigation, until: 2050-01-01/; s/reason: audit/reason: audit, until: 2050-01-01/' policy.yaml");
        run.say_at("+60y", &["apply", "--yes"]).ends_with_code(1).says("this host's clock says").says("and the database's");
        run.rig.shell("mv policy.yaml.now policy.yaml");
        run.say_at("+2y", &["run", RETAIN]).ends_with_code(1).says("this host's clock says").says("and the database's");
        assert_eq!(sum(&run, "prices"), all);
        run.say(&["run", RETAIN]).ends_with_code(0).says("rows dropped");
        assert_eq!(sum(&run, "prices"), kept);
        run.say(&["run", RETAIN]).ends_with_code(0).says("0 rows dropped");
        run.say(&["audit", "show"]).says("were dropped by their age");
        // Later is nothing that anybody has to accept, and sooner is.
        run.change("retain: 2y", "retain: 30mo");
        run.say(&["run", RETAIN]).ends_with_code(0).says("0 rows dropped");
        run.change("retain: 30mo", "retain: 1y");
        run.change("hypertables.prices.retain", "hypertables.others");
        run.say(&["apply", "--yes", "--without-destructive"]).says("and 2y is on record");
        run.say(&["run", RETAIN]).ends_with_code(1).says("the database has 2y on record");
        assert_eq!(sum(&run, "prices"), kept);
        // A hold that has ended is none: dropping is the database's own again, and it asks as always.
        run.rig.shell("sed -i 's/reason: litigation/reason: litigation, until: 2020-01-01/; s/reason: audit/reason: audit, until: 2020-01-01/' policy.yaml");
        run.say(&["run", RETAIN]).says("no job");
        run.say(&["apply", "--yes"]).ends_with_code(3).says("add_retention_policy");
        assert_eq!(sum(&run, "prices"), kept);
    }
}

/// The first one of a database, where there was nothing that shows holds: it comes while rows are on their way out.
#[test]
fn a_hold_that_comes_while_rows_are_dropped_is_kept() {
    for place in all_natives("a_hold_that_comes_while_rows_are_dropped_is_kept") {
        let Place::Native(cluster) = place else { continue };
        cluster.sql(PRICES);
        let run = Run { rig: Rig::over(cluster, &Policy::default()) };
        run.add(
            "timescaledb: { postgres: { dropped_by: seawall, hypertables: { prices: { retain: 2y } } } }\n\
             acknowledge: [{ finding: SW0910, reason: a test }]\n",
        );
        run.say(&["apply", "--yes"]).says(" changes done");
        assert_eq!(run.rig.cluster.sql("select to_regclass('seawall.hold') is null"), "t");
        let (all, place) = (sum(&run, "prices"), |name: &str| Some(run.file(name)));
        let here = Here { policy: place("policy.yaml"), state: place("another-state"), host: Some("db-1".parse().expect("a name")) };
        let policy = here.read(Colour::Never).expect("a sound policy");
        let (site, stop) = (here.site(&policy), AtomicBool::new(false));
        let retain = |each: &dyn Fn(Done)| {
            let each = |done: Done, _: &Dropped| {
                each(done);
                true
            };
            archive::retain(&site, &policy.droppings[0], &each, &stop).expect("it goes")
        };
        // Whoever places one has come first, and has not ended.
        let mut other = run.rig.cluster.connect();
        other.run("begin; select pg_advisory_xact_lock(5374872650218)").expect("the lock");
        let kept = retain(&|_| ());
        assert!(kept.dropped == 0 && kept.remarks[0].contains("somebody places a hold just now"), "{kept:?}");
        other.run("commit").expect("its end");
        // Nobody can while rows are about to be gone for good.
        other.run("begin; select pg_advisory_xact_lock_shared(5374872650218)").expect("the lock");
        run.add("holds: { case: { reason: litigation, rows: { database: postgres, table: prices } } }\n");
        run.say(&["apply", "--yes"]).says("lock timeout");
        assert_eq!(run.rig.cluster.sql("select count(*) from seawall.hold"), "0");
        other.run("commit").expect("its end");
        // It comes while what goes is put on record, and with it the table that shows it.
        run.rig.cluster.sql("drop table seawall.hold cascade");
        let kept = retain(&|done| {
            if done == Done::Removing {
                run.rig.cluster.sql(&format!(
                    "{HOLDS}; insert into seawall.hold values ('legal', 'case', 'prices', null, null, null, 'litigation', null, 'UTC')"
                ));
            }
        });
        assert!(kept.dropped == 0 && kept.remarks[0].contains("the hold `case` of the policy `legal` came meanwhile"), "{kept:?}");
        assert_eq!(sum(&run, "prices"), all);
    }
}

/// A foreign key leads to rows that are to go: it says whose, and what can be done.
#[test]
fn rows_that_others_refer_to_are_not_dropped() {
    for place in all_natives("rows_that_others_refer_to_are_not_dropped") {
        let Place::Native(cluster) = place else { continue };
        cluster.sql(
            "create table prices (at timestamptz not null, product int not null, price float8, note text, primary key (at, product)); \
             select create_hypertable('prices', 'at', chunk_time_interval => interval '30 days'); \
             insert into prices select t, p, p * 1.5, 'x' from generate_series(now() - interval '3 years', now(), interval '6 days') t, generate_series(1, 3) p; \
             create table offers (at timestamptz, product int, constraint of_price foreign key (at, product) references prices); \
             insert into offers select at, product from prices order by at limit 1",
        );
        let run = Run { rig: Rig::over(cluster, &Policy::default()) };
        run.add(
            "timescaledb: { postgres: { dropped_by: seawall, hypertables: { prices: { retain: 2y } } } }\n\
             acknowledge: [{ finding: SW0910, reason: a test }]\n",
        );
        run.say(&["apply", "--yes"]).says(" changes done");
        let all = sum(&run, "prices");
        let said = run.say(&["run", "timescaledb.postgres.hypertables.prices.retain"]).ends_with_code(1);
        said.says("because rows of `offers` (by its constraint `of_price`) refer to some of them").says("Let those rows go first");
        assert_eq!(sum(&run, "prices"), all);
        run.rig.cluster.sql("delete from offers");
        run.say(&["run", "timescaledb.postgres.hypertables.prices.retain"]).ends_with_code(0).says("rows dropped");
    }
}

/// What another policy holds in the same database stays too, by its own calendar.
#[test]
fn holds_of_another_policy_hold_too() {
    const RETAIN: &str = "timescaledb.postgres.hypertables.others.retain";
    for place in all_natives("holds_of_another_policy_hold_too") {
        let Place::Native(cluster) = place else { continue };
        cluster.sql(PRICES);
        cluster.sql(&PRICES.replace("prices", "others"));
        let run = run_over(cluster, "");
        let legal = |name: &str, table: &str, which: &str, days: &str, zone: &str| {
            run.rig.cluster.sql(&format!(
                "insert into seawall.hold values ('legal', '{name}', '{table}', {which}, {days}, 'litigation', null, '{zone}')"
            ));
        };
        run.rig.cluster.sql(&format!("create schema seawall; {HOLDS}"));
        let day = format!("'{}'::date", run.rig.cluster.sql("select (now() - interval '500 days')::date"));
        legal("night", "prices", "null", &format!("{day}, {day}"), "Pacific/Auckland");
        legal("product", "public.others", "'product = 2'", "null, null", "UTC");
        let held = format!(
            "at >= {day}::timestamp at time zone 'Pacific/Auckland' and at < ({day} + 1)::timestamp at time zone 'Pacific/Auckland'"
        );
        let edge =
            run.rig.cluster.sql("select max(range_end) from timescaledb_information.chunks where range_end < now() - interval '1 year'");
        let (all, kept) = (sum(&run, "prices"), sum(&run, &format!("(select * from prices where ({held}) or at >= '{edge}') k")));
        run.say(&["run", JOB]).ends_with_code(0);
        assert_eq!(sum(&run, "prices"), kept);
        run.say(&["archive", "restore", "--table", "prices"]).ends_with_code(0);
        assert_eq!(sum(&run, "(select * from prices union all select * from prices_archived) u"), all);
        // The database's own job would drop what is held there; and nobody drops around a hold that this policy does not know.
        run.rig.cluster.sql("select _timescaledb_functions.stop_background_workers()");
        run.rig.cluster.sql("select add_retention_policy('others', interval '2 years')");
        run.rig.shell("sed -i 's/hypertables: {/hypertables: { others: { retain: 2y },/' policy.yaml");
        run.say(&["apply", "--yes"])
            .says("remove_retention_policy")
            .says("stay, while the hold `product` of the policy `legal` stands")
            .says("Write that hold into this policy too");
        assert_eq!(run.rig.cluster.sql("select count(*) from timescaledb_information.jobs where proc_name = 'policy_retention'"), "0");
        // It has another one on the same table: theirs stay as well.
        run.add("holds: { own: { reason: audit, rows: { database: postgres, table: others, where: product = 1 } } }\n");
        run.add("acknowledge: [{ finding: SW0910, reason: a test }]\n");
        run.say(&["apply", "--yes"]).says("DESTRUCTIVE, acknowledged: drops ").says("postgres: 7 changes done");
        run.say(&["run", RETAIN]).ends_with_code(0).says("rows dropped");
        let old = "select string_agg(distinct product::text, ' ' order by product::text) from others where at < now() - interval '2 years 2 months'";
        assert_eq!(run.rig.cluster.sql(old), "1 2");
        // Of one that names nothing, nobody knows what it means.
        legal("typo", "pricse", "null", "null, null", "UTC");
        run.say(&["run", RETAIN]).ends_with_code(1).says("there is no table `pricse`").says("of the policy `legal`");
    }
}

/// As long as a chunk is only compared, everybody can read it, and nobody write.
#[test]
fn a_chunk_that_is_compared_can_be_read() {
    for place in all_natives("a_chunk_that_is_compared_can_be_read") {
        let Place::Native(cluster) = place else { continue };
        cluster.sql(PRICES);
        // Whoever asks whether a row is held waits as long as the test says.
        cluster.sql(
            "create function asked(product int) returns bool language plpgsql as $$ begin \
               perform pg_advisory_lock_shared(4711); perform pg_advisory_unlock_shared(4711); return product > 100; end $$",
        );
        let run = run_over(
            cluster,
            "holds: { case: { reason: litigation, rows: { database: postgres, table: prices, where: asked(product) } } }\n",
        );
        run.rig.shell("mv identity.txt elsewhere.txt");
        run.say(&["run", JOB]).ends_with_code(0);
        let identity = run.file("elsewhere.txt").display().to_string();
        run.say(&["archive", "verify", "--identity", &identity]).ends_with_code(0);
        let old = "select count(*) from prices where at < now() - interval '2 years 6 months'";
        assert_ne!(run.rig.cluster.sql(old), "0");
        let mut gate = run.rig.cluster.connect();
        gate.query("select pg_advisory_lock(4711)", &[]).expect("a lock");
        let mut child = run.command(&["run", JOB]).stdout(Stdio::null()).spawn().expect("seawall");
        let compared = "from pg_locks a join pg_locks l using (pid) join pg_class c on c.oid = l.relation \
             join timescaledb_information.chunks k on k.chunk_name = c.relname \
             where a.locktype = 'advisory' and not a.granted and l.granted and l.mode in ('ExclusiveLock', 'AccessExclusiveLock')";
        run.rig.cluster.wait_until(&format!("exists (select {compared})"));
        let first = run.rig.cluster.sql(&format!("select k.range_start {compared}"));
        // However many chunks there are, it has to do with one.
        let others = compared.replace("l.mode in ('ExclusiveLock', 'AccessExclusiveLock')", &format!("k.range_start <> '{first}'"));
        assert_eq!(run.rig.cluster.sql(&format!("select count(*) {others}")), "0");
        let mut other = run.rig.cluster.connect();
        other.run("set lock_timeout = '200ms'").expect("a setting");
        let read = other.query(old, &[]);
        let written =
            other.query(&format!("delete from prices where at >= '{first}' and at < timestamptz '{first}' + interval '1 day'"), &[]);
        let added = other.query(&format!("insert into prices values ('{first}', 1)"), &[]);
        gate.query("select pg_advisory_unlock(4711)", &[]).expect("no lock");
        assert_eq!(child.wait().expect("its end").code(), Some(0));
        assert!(read.is_ok(), "{read:?}");
        for refused in [written, added] {
            assert_eq!(refused.expect_err("nobody writes there").code(), Some("55P03"));
        }
        assert_eq!(run.rig.cluster.sql(old), "0");
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
        // Whatever the database's own default is. A job that looks at nothing but the age is in the way here too: what it has not dropped yet moves.
        run.rig.cluster.sql("alter database postgres set default_transaction_isolation = 'serializable'");
        run.rig.cluster.sql("select _timescaledb_functions.stop_background_workers()");
        run.rig.cluster.sql("select add_retention_policy('prices', interval '4 years')");
        run.say(&["run", "archive.old"]).ends_with_code(1).says("drops chunks of public.prices, be they archived or held or not");
        assert_eq!(chunks(&run, "range_end < now() - interval '1 year'"), 0);
        run.say(&["apply", "--yes"]).says("the database drops rows of `prices` after 4y, and only Seawall may, once they are archived");
        assert_eq!(run.rig.cluster.sql("select count(*) from timescaledb_information.jobs where proc_name = 'policy_retention'"), "0");
        run.say(&["run", "archive.old"]).ends_with_code(0);
    }
}
