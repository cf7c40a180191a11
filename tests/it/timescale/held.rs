//! Whatever tables, holds, ages and cuts there are: no held row ever goes, what is not held goes with the next run, and what moved to a store
//! and what stayed are together the original, each row once.

use std::fmt::Write as _;

use seawall::policy::path::PolicyPath;

use super::converge::{Room, ends};
use super::place::{Place, everywhere};
use crate::archive::rig::SUM;
use crate::fuzz::random::Random;

/// A hypertable, what holds of it, and what is to become of the rest.
struct Table {
    name: String,
    make: String,
    policy: String,
    holds: String,
    /// Rows that a hold names.
    held: String,
    /// The end of the last chunk that is old enough.
    edge: String,
    archived: bool,
}

impl Table {
    fn random(random: &mut Random, number: usize) -> Table {
        // A name that needs quotes in SQL, in YAML and in a shell.
        let name = if random.below(3) == 0 { format!("t{number} \"it's") } else { format!("t{number}") };
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        let (days, step, keep) = (5 + random.below(35), 3 + random.below(27), 100 + random.below(600));
        let literal = quoted.replace('\'', "''");
        let mut make = format!("create table {quoted} (at timestamptz not null, owner int not null, id serial, note text); ");
        write!(make, "select create_hypertable('{literal}', 'at', chunk_time_interval => interval '{days} days'); ").expect("a string");
        write!(
            make,
            "insert into {quoted} (at, owner, note) select t, p, repeat('x', p) from \
             generate_series(now() - interval '1000 days', now(), interval '{step} hours' * 12) t, generate_series(1, 3) p; "
        )
        .expect("a string");
        if random.below(2) == 0 {
            let segment = if random.below(2) == 0 { ", timescaledb.compress_segmentby = 'owner'" } else { "" };
            let older = 50 + random.below(850);
            write!(
                make,
                "alter table {quoted} set (timescaledb.compress{segment}); \
                 select count(compress_chunk(c)) from show_chunks('{literal}', older_than => interval '{older} days') c; "
            )
            .expect("a string");
        }
        let (mut holds, mut held) = (String::new(), vec!["false".to_owned()]);
        for hold in 0..random.below(3) {
            let (older, newer) = (1 + random.below(999), 1 + random.below(999));
            let (older, newer) = (older.max(newer), older.min(newer));
            let condition = match random.below(4) {
                0 => format!("owner = {}", 1 + random.below(3)),
                1 => format!("owner <> {} and note is not null", 1 + random.below(2)),
                2 => format!("at between now() - interval '{older} days' and now() - interval '{newer} days'"),
                _ => String::new(),
            };
            let (from, to) = (day(older), day(newer));
            let which = if condition.is_empty() { format!("from: {from}, to: {to}") } else { format!("where: \"{condition}\"") };
            let condition = if condition.is_empty() {
                format!("at >= '{from} 00:00Z' and at < '{to} 00:00Z'::timestamptz + interval '24 hours'")
            } else {
                condition
            };
            writeln!(holds, "  h{number}-{hold}: {{ reason: a test, rows: {{ database: postgres, table: {}, {which} }} }}", yaml(&quoted))
                .expect("a string");
            held.push(format!("({condition})"));
        }
        let archived = random.below(2) == 0;
        let what = if archived { format!("archive: {{ after: {keep}d, store: main }}") } else { format!("retain: {keep}d") };
        Table {
            policy: format!("      {}: {{ {what} }}\n", yaml(&quoted)),
            edge: format!(
                "(select coalesce(max(range_end), '-infinity') from timescaledb_information.chunks \
                 where hypertable_name = '{}' and range_end <= now() - interval '{keep} days')",
                name.replace('\'', "''")
            ),
            held: held.join(" or "),
            name: quoted,
            make,
            holds,
            archived,
        }
    }

    fn job(&self) -> String {
        let what = if self.archived { "archive" } else { "retain" };
        PolicyPath::from(["timescaledb", "postgres", "hypertables", &self.name, what]).to_string()
    }

    /// Some that nobody had before, in a table of their own, all older than that; and how many.
    fn late(&self, place: &Place, edge: &str, random: &mut Random) -> u64 {
        let (days, step) = (200 + random.below(900), 5 + random.below(60));
        place.sql(&format!(
            "create table late as select t as at, 1 + n % 3 as owner, 1000000 + n as id, 'late' as note from \
             generate_series(now() - interval '{days} days', now(), interval '{step} days') with ordinality s(t, m), \
             lateral (select m::int as n) o where t < '{edge}'"
        ));
        place.sql("select count(*) from late").parse().expect("a number")
    }

    fn sum(&self, place: &Place, from: &str) -> String {
        place.sql(&format!("{} (select at, owner, id, note from {from}) t", SUM.replace("order by id", "order by at, id")))
    }
}

/// So many days ago.
fn day(ago: usize) -> jiff::civil::Date {
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    today.checked_sub(jiff::Span::new().days(ago as i64)).expect("a date")
}

fn yaml(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[test]
fn no_held_row_goes_and_nothing_else_stays() {
    for place in everywhere("no_held_row_goes_and_nothing_else_stays") {
        let room = Room::new(place);
        let rounds = if std::env::var_os("SEAWALL_LONG").is_some() { 40 } else { 2 };
        for round in 0..rounds {
            one_round(&room, round);
        }
    }
}

/// How many rows of a table the archive has.
fn in_store(room: &Room, table: &str) -> u64 {
    let list = room.archive(&["list", "--table", table, "--format", "json"]);
    ends(&list, 0);
    let list: serde_json::Value = serde_json::from_slice(&list.stdout).expect("JSON");
    list["extents"].as_array().expect("a list").iter().map(|extent| extent["rows"].as_u64().expect("a number")).sum()
}

fn one_round(room: &Room, round: usize) {
    let place = &room.place;
    let mut random = Random::new(round as u64);
    place.sql("drop schema if exists seawall cascade");
    // Names of their own: the archive has what earlier rounds moved there.
    let tables: Vec<Table> = (0..3).map(|number| Table::random(&mut random, round * 3 + number)).collect();
    let hypertables: String = tables.iter().map(|table| table.policy.as_str()).collect();
    let holds: String = tables.iter().map(|table| table.holds.as_str()).collect();
    let holds = if holds.is_empty() { String::new() } else { format!("holds:\n{holds}") };
    room.write(&format!("    hypertables:\n{hypertables}"), &holds);
    for table in &tables {
        place.sql(&table.make);
        println!("round {round}: {} held by {}", table.policy.trim(), table.held);
    }
    for table in &tables {
        let before = table.sum(place, &table.name);
        // As a list: the edge is gone when its chunks are.
        let edge = place.sql(&format!("select {}::text", table.edge));
        let stays = format!("at >= '{edge}' or {}", table.held);
        let kept = table.sum(place, &format!("{} where {stays}", table.name));
        let rows = |sum: &str| sum.split(' ').next().and_then(|rows| rows.parse::<u64>().ok()).expect("a number");
        if !table.archived && table.held == "false" {
            // Nothing is held: TimescaleDB's own job does it, and Seawall has none of that name.
            continue;
        }
        place.sql(&format!("create table written as select at, owner, id, note from {}", table.name));
        ends(&room.run(&table.job()), 0);
        assert_eq!(table.sum(place, &table.name), kept, "round {round}: {} of {}", table.job(), table.make);
        if table.archived {
            assert_eq!(in_store(room, &table.name), rows(&before) - rows(&kept), "round {round}: {}", table.job());
        }
        // Rows come late, into what has moved and beside what is held, and go the same way.
        let late = table.late(place, &edge, &mut random);
        let there = table.sum(place, &format!("(select at, owner, id, note from {} union all select * from late) u", table.name));
        place.sql(&format!("insert into {} (at, owner, id, note) select * from late", table.name));
        assert_eq!(table.sum(place, &table.name), there);
        let kept = table.sum(place, &format!("{} where {stays}", table.name));
        ends(&room.run(&table.job()), 0);
        assert_eq!(table.sum(place, &table.name), kept, "round {round}: late rows of {} of {}", table.job(), table.make);
        let went = rows(&before) + late - rows(&kept);
        if table.archived {
            assert_eq!(in_store(room, &table.name), went, "round {round}: {}", table.job());
        }
        // The build for node ends when rows are copied into it.
        if table.archived && went > 0 && matches!(place, Place::Native(_)) {
            ends(&room.archive(&["restore", "--table", &table.name, "--into", "back"]), 0);
            let both = format!("(select at, owner, id, note from {} union all select at, owner, id, note from back) u", table.name);
            let all = "(select * from written union all select * from late) w";
            assert_eq!(table.sum(place, &both), table.sum(place, all), "round {round}: {}", table.job());
            place.sql("drop table back");
        }
        place.sql("drop table late, written");
    }
    for table in &tables {
        place.sql(&format!("drop table {}", table.name));
    }
}
