//! Continuous aggregates under hold: their rows stay when old ones go by their age, and when the rows they were made of are gone.

use seawall::inventory::{JobKind, TimescaleJob};

use super::converge::{Room, ends};
use super::place::{Place, all_natives, everywhere};
use crate::logical::rig::{sql_in, succeeds};

/// Three years of rows, and what was made of them by the day; by the month of that.
const PRICES: &str = "\
    create table prices (at timestamptz not null, product int not null, price float8); \
    select create_hypertable('prices', 'at', chunk_time_interval => interval '10 days'); \
    insert into prices select t, p, p from generate_series(now() - interval '3 years', now(), interval '12 hours') t, generate_series(1, 3) p";
const VIEWS: [&str; 4] = [
    "create materialized view \"daily's\" with (timescaledb.continuous, timescaledb.materialized_only = true) as \
       select time_bucket('1 day', at) as day, product, count(*) as n, sum(price) as total from prices group by 1, 2 with no data",
    "call refresh_continuous_aggregate('\"daily''s\"', null, null)",
    "create materialized view monthly with (timescaledb.continuous, timescaledb.materialized_only = true) as \
       select time_bucket('30 days', day) as month, product, sum(n) as n from \"daily's\" group by 1, 2 with no data",
    "call refresh_continuous_aggregate('monthly', null, null)",
];

fn room(place: Place) -> Room {
    place.sql(PRICES);
    let _ = place.sql("select _timescaledb_functions.stop_background_workers()");
    for sql in VIEWS {
        place.sql(sql);
    }
    Room::new(place)
}

fn rows(room: &Room, from: &str) -> String {
    room.place.sql(&format!("select count(*) || ' ' || coalesce(md5(string_agg(t::text, '|' order by t)), '') from {from} t"))
}

#[test]
fn a_held_row_of_an_aggregate_stays_and_the_others_go() {
    for place in everywhere("a_held_row_of_an_aggregate_stays_and_the_others_go") {
        let room = room(place);
        room.place.sql("select add_retention_policy('\"daily''s\"', interval '1 year')");
        let hold = "holds: { case: { reason: litigation, rows: { database: postgres, table: '\"daily''s\"', where: \"product = 2 and \
                    day < now() - interval '600 days'\" } } }";
        room.write("    continuous_aggregates: { '\"daily''s\"': { retain: 1y }, monthly: {} }\n", hold);
        // The database's own job would drop what is held: it goes, and Seawall does what it did.
        let shown = ends(&room.apply(&["--yes"]), 0);
        assert!(
            shown.contains("remove_retention_policy") && shown.contains("are dropped by Seawall, while the hold `case` stands"),
            "{shown}"
        );
        let edge = room.place.sql(
            "select coalesce(max(range_end), '-infinity')::text from timescaledb_information.chunks c \
             join timescaledb_information.continuous_aggregates a on c.hypertable_name = a.materialization_hypertable_name \
             where view_name = 'daily''s' and range_end <= now() - interval '1 year'",
        );
        let stays = format!("(select * from \"daily's\" where day >= '{edge}' or product = 2 and day < now() - interval '600 days')");
        let (all, kept, of_days, raw) = (rows(&room, "\"daily's\""), rows(&room, &stays), rows(&room, "monthly"), rows(&room, "prices"));
        assert_ne!(all, kept);
        let job = "timescaledb.postgres.continuous_aggregates.\"\\\"daily's\\\"\".retain";
        let said = ends(&room.run(job), 0);
        assert!(said.contains("rows dropped"), "{said}");
        assert_eq!((rows(&room, "\"daily's\""), rows(&room, "monthly"), rows(&room, "prices")), (kept.clone(), of_days, raw));
        assert!(ends(&room.run(job), 0).contains("0 rows dropped"));
        // When the hold has ended, the database's own job comes back.
        room.write(
            "    continuous_aggregates: { '\"daily''s\"': { retain: 1y }, monthly: {} }\n",
            "acknowledge: [{ finding: SW0910, reason: over }]",
        );
        let shown = ends(&room.apply(&["--yes"]), 0);
        assert!(shown.contains("add_retention_policy"), "{shown}");
    }
}

#[test]
fn rows_of_a_table_go_around_a_hold_and_its_aggregates_stay() {
    for place in everywhere("rows_of_a_table_go_around_a_hold_and_its_aggregates_stay") {
        let room = room(place);
        let hold = "holds: { case: { reason: litigation, rows: { database: postgres, table: prices, where: product = 1 } } }";
        room.write(
            "    hypertables: { prices: { retain: 1y } }\n",
            &format!("{hold}\nacknowledge: [{{ finding: SW0910, reason: a test }}]"),
        );
        ends(&room.apply(&["--yes"]), 0);
        let before = rows(&room, "\"daily's\"");
        ends(&room.run("timescaledb.postgres.hypertables.prices.retain"), 0);
        let old = room.place.sql("select count(distinct product) from prices where at < now() - interval '400 days'");
        assert_eq!((old.as_str(), rows(&room, "\"daily's\"")), ("1", before));
    }
}

/// Made anew from rows that are gone, an aggregate loses its own.
#[test]
fn a_refresh_takes_no_held_row_away() {
    for place in everywhere("a_refresh_takes_no_held_row_away") {
        let room = room(place);
        room.place.sql(
            "select add_continuous_aggregate_policy('\"daily''s\"', null, interval '1 hour', interval '1 hour'); \
             select add_continuous_aggregate_policy('monthly', null, interval '1 hour', interval '1 hour')",
        );
        let refresh_job = |view: &str| {
            let state = room.place.state();
            let is_it = |job: &&TimescaleJob| job.does == JobKind::Refresh && job.of.as_ref().is_some_and(|of| of.name == view);
            state.jobs.iter().find(is_it).expect("a job").id
        };
        // One goes by the table, the other one by the first.
        let tables = "    hypertables: { prices: { retain: 1y } }\n    continuous_aggregates: { '\"daily''s\"': { retain: 2y, \
                      refresh: { every: 1h, from: 18mo, to: 1h } } }\n";
        let holds = |to: &str| {
            format!(
                "holds: {{ case: {{ reason: litigation, rows: {{ database: postgres, table: '\"daily''s\"'{to} }} }}, \
                 more: {{ reason: audit, rows: {{ database: postgres, table: monthly }} }} }}\nacknowledge: [{{ finding: SW0910, reason: a test }}]"
            )
        };
        room.write(tables, &holds(""));
        let shown = ends(&room.plan(&[]), 2);
        assert!(shown.contains("that would take rows away that the hold `case` protects"), "{shown}");
        assert!(shown.contains("Write `1y` or shorter until the hold has ended."), "{shown}");
        // What the policy asks for is not done; what takes held rows away already is limited.
        let done = ends(&room.apply(&["--yes"]), 1);
        assert!(done.contains("refreshes `monthly` from the beginning on"), "{done}");
        let told = |view: &str| {
            let job = refresh_job(view);
            room.place.sql(&format!("select config ->> 'start_offset' from timescaledb_information.jobs where job_id = {job}"))
        };
        assert_eq!((told("daily's").as_str(), told("monthly").as_str()), ("1 year", "2 years"));
        let again = ends(&room.plan(&[]), 2);
        assert!(!again.contains("alter_job"), "{again}");
        let before = (rows(&room, "\"daily's\""), rows(&room, "monthly"));
        // Whoever drops the rows, the jobs leave alone what was made of them.
        room.place.sql("select count(*) from drop_chunks('prices', older_than => interval '1 year')");
        for view in ["daily's", "monthly"] {
            room.place.sql(&format!("call run_job({})", refresh_job(view)));
        }
        assert_eq!((rows(&room, "\"daily's\""), rows(&room, "monthly")), before);
        // A hold on rows that are too old to be refreshed is none that a refresh could cut.
        let day = room.place.sql("select (now() - interval '800 days')::date");
        room.write(tables, &holds(&format!(", to: {day}")));
        let shown = ends(&room.plan(&[]), 2);
        assert!(!shown.contains("that would take rows away"), "{shown}");
        // And that is what it is all about.
        room.place.sql("call refresh_continuous_aggregate('\"daily''s\"', null, null)");
        assert_ne!(rows(&room, "\"daily's\""), before.0);
    }
}

/// Whoever archives a table learns that an aggregate of it will be emptied, also of one that the policy does not name.
#[test]
fn an_aggregate_that_will_lose_what_its_table_loses_is_named() {
    for place in everywhere("an_aggregate_that_will_lose_what_its_table_loses_is_named") {
        let room = room(place);
        room.place.sql(
            "select add_continuous_aggregate_policy('\"daily''s\"', null, interval '1 hour', interval '1 hour'); \
             select add_continuous_aggregate_policy('monthly', interval '1 year', interval '1 hour', interval '1 hour')",
        );
        room.write("    hypertables: { prices: { archive: { after: 2y, store: main } } }\n", "");
        let shown = ends(&room.plan(&[]), 2);
        assert!(shown.contains("refreshes `daily's` from the beginning on, and `prices` keeps its rows for 2y only"), "{shown}");
        // What `monthly` is made of keeps all of it, and it goes no further back than a year.
        assert!(!shown.contains("refreshes `monthly`"), "{shown}");
        room.write("    hypertables: { prices: { archive: { after: 10y, store: main } } }\n", "");
        room.place.sql(
            "select alter_job(job_id, config => config || '{\"start_offset\": \"3 years\"}') from timescaledb_information.jobs \
                        where job_id >= 1000 and config ->> 'start_offset' is null",
        );
        let shown = ends(&room.plan(&[]), 2);
        assert!(!shown.contains("vanishes here too"), "{shown}");
    }
}

/// What a backup is to have up to date does not lose what its table has no longer.
#[test]
fn a_refresh_before_a_backup_goes_no_further_back_than_the_table() {
    for place in all_natives("a_refresh_before_a_backup_goes_no_further_back_than_the_table") {
        let room = room(place);
        let old = "(select * from \"daily's\" where day < now() - interval '2 days')";
        let before = rows(&room, old);
        room.place.sql("select count(*) from drop_chunks('prices', older_than => interval '1 year')");
        room.place.sql("insert into prices values (now() - interval '1 hour', 9, 9)");
        room.write(
            "    hypertables: { prices: { retain: 1y } }\n    continuous_aggregates: { '\"daily''s\"': { refresh_before: [dump] } }\n",
            "backups: { dump: { logical: {}, schedule: { at: \"02:00\" }, keep: { last: 2 }, takes: 1m, size: 1MB } }",
        );
        let said = ends(&room.run("dump"), 0);
        assert_eq!(rows(&room, old), before, "{said}");
        assert_eq!(room.place.sql("select total from \"daily's\" where product = 9"), "9", "{said}");
    }
}

/// A chunk that has held rows stays when the others have moved, and shows nothing of that.
#[test]
fn a_refresh_before_a_backup_leaves_what_was_made_of_archived_rows() {
    for place in all_natives("a_refresh_before_a_backup_leaves_what_was_made_of_archived_rows") {
        let room = room(place);
        let views = "    continuous_aggregates: { '\"daily''s\"': { refresh_before: [dump] } }\n";
        let rest = |holds: &str| {
            format!(
                "backups: {{ dump: {{ logical: {{}}, schedule: {{ at: \"02:00\" }}, keep: {{ last: 2 }}, takes: 1m, size: 1MB }} }}\n\
                 holds: {{ case: {{ reason: litigation, rows: {{ database: postgres, table: '\"daily''s\"' }} }}{holds} }}"
            )
        };
        room.write(
            &format!("    hypertables: {{ prices: {{ archive: {{ after: 1y, store: main }} }} }}\n{views}"),
            &rest(", more: { reason: litigation, rows: { database: postgres, table: prices, where: product = 1 } }"),
        );
        let before = rows(&room, "\"daily's\"");
        ends(&room.run("timescaledb.postgres.hypertables.prices.archive"), 0);
        assert_eq!(room.place.sql("select count(distinct product) from prices where at < now() - interval '400 days'"), "1");
        // Nothing of the policy speaks of what has left any more.
        room.write(views, &rest(""));
        ends(&room.run("dump"), 0);
        assert_eq!(rows(&room, "\"daily's\""), before);
        room.place.sql("call refresh_continuous_aggregate('\"daily''s\"', null, null)");
        assert_ne!(rows(&room, "\"daily's\""), before, "and that is what it is about");
    }
}

/// Somebody else's lock, or a refresh that takes too long, is no reason to have no backup tonight.
#[test]
fn a_backup_is_taken_when_an_aggregate_cannot_be_refreshed() {
    for place in all_natives("a_backup_is_taken_when_an_aggregate_cannot_be_refreshed") {
        let room = room(place);
        room.write(
            "    continuous_aggregates: { '\"daily''s\"': { refresh_before: [dump], refresh_timeout: 2s }, monthly: { refresh_before: [dump] } }\n",
            "backups: { dump: { logical: {}, schedule: { at: \"02:00\" }, keep: { last: 5 }, takes: 1m, size: 1MB } }",
        );
        room.place.sql("insert into prices values (now() - interval '1 hour', 9, 9)");
        let before = rows(&room, "\"daily's\"");
        let of = room.place.sql(
            "select format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name) \
             from timescaledb_information.continuous_aggregates where view_name = 'daily''s'",
        );
        // Whoever reads it is not kept from that.
        let mut other = room.place.connect();
        other.run(&format!("begin; lock table {of} in exclusive mode")).expect("a lock");
        let said = ends(&room.run("dump"), 1);
        assert!(said.contains("is whole, and the continuous aggregate") && said.contains("statement timeout"), "{said}");
        assert_eq!(rows(&room, "\"daily's\""), before);
        assert_eq!(room.backups(), 1, "{said}");
        let known = room.status();
        assert!(known.contains("failed:backups.dump") && known.contains("could not be refreshed"), "{known}");
        // One that is not there is no reason either, and the others are refreshed all the same.
        other.run("rollback").expect("its end");
        room.write(
            "    continuous_aggregates: { a_none: { refresh_before: [dump] }, '\"daily''s\"': { refresh_before: [dump] }, b_none: { refresh_before: [dump] } }\n",
            "backups: { dump: { logical: {}, schedule: { at: \"02:00\" }, keep: { last: 5 }, takes: 1m, size: 1MB } }",
        );
        let said = ends(&room.run("dump"), 1);
        assert!(said.contains("`a_none` and `b_none` are in it as they were before"), "{said}");
        assert_eq!((room.place.sql("select total from \"daily's\" where product = 9").as_str(), room.backups()), ("9", 2), "{said}");
    }
}

/// By their names the one that is made of the other would be first.
#[test]
fn an_aggregate_of_an_aggregate_is_refreshed_after_it() {
    for place in all_natives("an_aggregate_of_an_aggregate_is_refreshed_after_it") {
        let room = room(place);
        for sql in [
            "create materialized view z_daily with (timescaledb.continuous, timescaledb.materialized_only = true) as \
               select time_bucket('1 day', at) as day, product, count(*) as n from prices group by 1, 2 with no data",
            "call refresh_continuous_aggregate('z_daily', null, null)",
            "create materialized view a_monthly with (timescaledb.continuous, timescaledb.materialized_only = true) as \
               select time_bucket('30 days', day) as month, product, sum(n) as n from z_daily group by 1, 2 with no data",
            "call refresh_continuous_aggregate('a_monthly', null, null)",
        ] {
            room.place.sql(sql);
        }
        room.place.sql("insert into prices values (now() - interval '40 days', 9, 9)");
        room.write(
            "    continuous_aggregates: { a_monthly: { refresh_before: [dump] }, z_daily: { refresh_before: [dump] } }\n",
            "backups: { dump: { logical: {}, schedule: { at: \"02:00\" }, keep: { last: 2 }, takes: 1m, size: 1MB } }",
        );
        let said = ends(&room.run("dump"), 0);
        assert_eq!(room.place.sql("select n from z_daily where product = 9"), "1", "{said}");
        assert_eq!(room.place.sql("select n from a_monthly where product = 9"), "1", "{said}");
    }
}

/// What a backup has beside it is enough to make them anew, also where nobody restores the backup.
#[test]
fn definitions_beside_a_backup_make_the_aggregates_anew() {
    const ABOUT: &str = "\
        select string_agg(concat_ws(' ', view_schema, view_name, materialized_only, view_definition, indexes), E'\\n' order by view_name) \
        from timescaledb_information.continuous_aggregates a cross join lateral ( \
            select string_agg(substring(indexdef from ' USING .*$'), ';' order by substring(indexdef from ' USING .*$')) as indexes from pg_indexes \
            where schemaname = a.materialization_hypertable_schema and tablename = a.materialization_hypertable_name) i";
    for place in all_natives("definitions_beside_a_backup_make_the_aggregates_anew") {
        let room = room(place);
        room.place.sql(
            "create materialized view a_week with (timescaledb.continuous, timescaledb.materialized_only = false) as \
               select time_bucket('7 days', day) as week, sum(n) as n from \"daily's\" group by 1 with no data",
        );
        room.place.sql("create index \"by total\" on \"daily's\" (total desc, day)");
        room.write("    {}\n", "backups: { dump: { logical: {}, schedule: { at: \"02:00\" }, keep: { last: 2 }, takes: 1m, size: 1MB } }");
        ends(&room.run("dump"), 0);
        let shown = room.on_this_host(&["show", "latest", "--sql"]);
        ends(&shown, 0);
        let sql = String::from_utf8(shown.stdout).expect("UTF-8");
        assert!(sql.contains("create index \"by total\" on \"public\".\"daily's\" using btree (total DESC, day);"), "{sql}");
        let Place::Native(cluster) = &room.place else { panic!("all are servers") };
        cluster.sql("create database again");
        sql_in(cluster, "again", "create extension timescaledb");
        sql_in(cluster, "again", PRICES);
        let file = cluster.folder().join("aggregates.sql");
        std::fs::write(&file, sql).expect("a script");
        let mut psql = cluster.account().command(cluster.version().programs().join("psql"));
        psql.arg("-Xd").arg(format!("host={} port={} user=postgres dbname=again", cluster.sockets().display(), cluster.port()));
        succeeds(psql.args(["--set=ON_ERROR_STOP=1", "-f"]).arg(&file).output().expect("psql"));
        assert_eq!(sql_in(cluster, "again", ABOUT), room.place.sql(ABOUT));
    }
}

/// Chunks that have held rows stay when the others were dropped, and show nothing of that, however long rows are kept from then on.
#[test]
fn no_refresh_takes_away_what_was_made_of_rows_that_were_dropped_around_a_hold() {
    for place in all_natives("no_refresh_takes_away_what_was_made_of_rows_that_were_dropped_around_a_hold") {
        let room = room(place);
        let rest = |more: &str| {
            format!(
                "backups: {{ dump: {{ logical: {{}}, schedule: {{ at: \"02:00\" }}, keep: {{ last: 2 }}, takes: 1m, size: 1MB }} }}\n\
                 acknowledge: [{{ finding: SW0910, reason: a test }}]\n\
                 holds: {{ case: {{ reason: litigation, rows: {{ database: postgres, table: '\"daily''s\"' }} }}{more} }}"
            )
        };
        room.write(
            "    hypertables: { prices: { retain: 1y } }\n",
            &rest(", more: { reason: litigation, rows: { database: postgres, table: prices, where: product = 1 } }"),
        );
        ends(&room.apply(&["--yes"]), 0);
        let before = rows(&room, "\"daily's\"");
        ends(&room.run("timescaledb.postgres.hypertables.prices.retain"), 0);
        assert_eq!(room.place.sql("select count(distinct product) from prices where at < now() - interval '400 days'"), "1");
        // From now on all of it is kept.
        room.write("    continuous_aggregates: { '\"daily''s\"': { refresh_before: [dump] } }\n", &rest(""));
        ends(&room.run("dump"), 0);
        assert_eq!(rows(&room, "\"daily's\""), before);
        room.place.sql("select add_continuous_aggregate_policy('\"daily''s\"', null, interval '1 hour', interval '1 hour')");
        let shown = ends(&room.apply(&["--yes"]), 0);
        assert!(shown.contains("refreshes `daily's` from the beginning on, and the rows of `prices` are whole for"), "{shown}");
        let job = room.place.sql("select job_id from timescaledb_information.jobs where proc_name = 'policy_refresh_continuous_aggregate'");
        room.place.sql(&format!("call run_job({job})"));
        assert_eq!(rows(&room, "\"daily's\""), before);
    }
}
