//! Whatever tables, holds, ages and cuts there are, and however they change from day to day: no held row ever goes, what is not held goes with the
//! next run, and what moved to a store and what stayed are together the original, each row once.

use std::fmt::Write as _;

use seawall::policy::path::PolicyPath;

use super::converge::{Room, ends, still};
use super::place::{Place, everywhere};
use crate::archive::rig::SUM;
use crate::faults::chance::lot;
use crate::fuzz::random::Random;

/// A hypertable, what holds of it, and what is to become of the rest.
struct Table {
    /// As SQL reads it.
    name: String,
    number: usize,
    /// Days that one chunk has.
    days: usize,
    /// Older rows go, or move.
    keep: usize,
    /// Each of them in two, by the owner.
    in_space: bool,
    holds: Vec<Hold>,
    archived: bool,
    /// Where what is archived goes.
    store: &'static str,
    /// Rows that it ever had.
    rows: u64,
}

/// One on a table, which may be named by a chunk of it.
struct Hold {
    of: String,
    which: String,
    /// The same as a condition of the table.
    held: String,
    ended: bool,
}

impl Table {
    fn random(random: &mut Random, number: usize, place: &Place) -> Table {
        // A name that needs quotes in SQL, in YAML and in a shell.
        let name = if random.below(3) == 0 { format!("t{number} \"it's") } else { format!("t{number}") };
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        let (days, step, keep) = (5 + random.below(35), 3 + random.below(27), 250 + random.below(450));
        let literal = quoted.replace('\'', "''");
        let time = ["timestamptz", "timestamp", "date"][random.below(3)];
        let mut make = format!("create table {quoted} (at {time} not null, owner int not null, id serial, note text); ");
        let in_space = random.below(3) == 0;
        let by = if in_space { "'at', 'owner', 2" } else { "'at'" };
        write!(make, "select create_hypertable('{literal}', {by}, chunk_time_interval => interval '{days} days'); ").expect("a string");
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
        place.sql(&make);
        place.sql(&format!("create table written_{number} as select at, owner, id, note from {quoted}"));
        let rows = place.sql(&format!("select count(*) from {quoted}")).parse().expect("a number");
        let (archived, store) = (random.below(2) == 0, if random.below(2) == 0 { "main" } else { "cold" });
        let mut table = Table { name: quoted, number, days, keep, in_space, holds: Vec::new(), archived, store, rows };
        table.holds = (0..random.below(3)).map(|_| table.hold(random, place)).collect();
        println!("{make}");
        table
    }

    fn hold(&self, random: &mut Random, place: &Place) -> Hold {
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
        let mut held = match condition.as_str() {
            "" => format!("at >= '{from} 00:00Z' and at < '{to} 00:00Z'::timestamptz + interval '24 hours'"),
            _ => condition,
        };
        let of = match random.below(3) {
            0 => self.name.clone(),
            1 => format!("public.{}", self.name),
            _ => {
                let nth = random.below(20);
                let chunk = |what: &str| {
                    let of = self.literal();
                    place.sql(&format!("select {what} from timescaledb_information.chunks where hypertable_name = '{of}' order by range_start, chunk_name offset {nth} limit 1"))
                };
                let (named, stretch) =
                    (chunk("format('%I.%I', chunk_schema, chunk_name)"), chunk("format('at >= %L and at < %L', range_start, range_end)"));
                // All rows of an owner in a stretch of time are in the same chunk.
                let owners = place.sql(&format!("select string_agg(distinct owner::text, ', ') from {named}"));
                let of_chunk = if self.in_space { format!("{stretch} and owner in ({owners})") } else { stretch };
                let inside = format!("({held}) and {of_chunk}");
                // A chunk without a held row goes with the others, and a hold that names what is gone is refused, for every table.
                if place.sql(&format!("select count(*) from {} where {inside}", self.name)) == "0" {
                    self.name.clone()
                } else {
                    held = inside;
                    named
                }
            }
        };
        Hold { of, which, held, ended: false }
    }

    /// Its name as a text of SQL, without the quotes of either.
    fn literal(&self) -> String {
        self.name.trim_matches('"').replace("\"\"", "\"").replace('\'', "''")
    }

    fn policy(&self) -> String {
        let (keep, store) = (self.keep, self.store);
        let what = if self.archived { format!("archive: {{ after: {keep}d, store: {store} }}") } else { format!("retain: {keep}d") };
        format!("      {}: {{ {what} }}\n", yaml(&self.name))
    }

    fn holds(&self) -> String {
        let each = self.holds.iter().enumerate().map(|(at, hold)| {
            let until = if hold.ended { "until: 2020-01-01, " } else { "" };
            let (of, which) = (yaml(&hold.of), &hold.which);
            format!("  h{}-{at}: {{ reason: a test, {until}rows: {{ database: postgres, table: {of}, {which} }} }}\n", self.number)
        });
        each.collect()
    }

    /// Rows that a hold names.
    fn held(&self) -> String {
        let held = self.holds.iter().filter(|hold| !hold.ended).map(|hold| format!("({})", hold.held));
        std::iter::once("false".to_owned()).chain(held).collect::<Vec<_>>().join(" or ")
    }

    fn is_held(&self) -> bool {
        self.holds.iter().any(|hold| !hold.ended)
    }

    /// The end of the last chunk that is old enough. As a text: it is gone when its chunks are.
    fn edge(&self, place: &Place) -> String {
        place.sql(&format!(
            "select coalesce(max(range_end), '-infinity')::text from timescaledb_information.chunks \
             where hypertable_name = '{}' and range_end <= now() - interval '{} days'",
            self.literal(),
            self.keep
        ))
    }

    fn job(&self) -> String {
        let what = if self.archived { "archive" } else { "retain" };
        PolicyPath::from(["timescaledb", "postgres", "hypertables", &self.name, what]).to_string()
    }

    /// Rows come late that nobody had before, into what has moved and beside what is held.
    fn come_late(&mut self, place: &Place, random: &mut Random) {
        let (days, step) = (self.keep + 50 + random.below(500), 5 + random.below(60));
        let (number, name) = (self.number, &self.name);
        let (first, last) = (self.rows + 1_000_000, self.keep + self.days + 1);
        place.sql(&format!(
            "create table late as select t as at, 1 + n % 3 as owner, {first} + n as id, 'late' as note from \
             generate_series(now() - interval '{days} days', now() - interval '{last} days', interval '{step} days') with ordinality s(t, m), \
             lateral (select m::int as n) o; \
             insert into {name} (at, owner, id, note) select * from late; insert into written_{number} select * from late"
        ));
        self.rows += place.sql("select count(*) from late").parse::<u64>().expect("a number");
        place.sql("drop table late");
    }

    /// A day later the policy may want less, and a hold may have ended.
    fn ages(&mut self, random: &mut Random) {
        self.keep -= random.below(100);
        for hold in &mut self.holds {
            hold.ended |= random.below(3) == 0;
        }
    }

    fn sum(&self, place: &Place, from: &str) -> String {
        place.sql(&format!("{} (select at, owner, id, note from {from}) t", SUM.replace("order by id", "order by at, id")))
    }

    /// All that TimescaleDB would do by itself, and then what Seawall does.
    fn run(&self, room: &Room, by_seawall: bool) {
        let of = self.literal();
        let job =
            format!("select job_id from timescaledb_information.jobs where proc_name = 'policy_retention' and hypertable_name = '{of}'");
        let job = room.place.sql(&job);
        let is_ours = self.archived || self.is_held() || by_seawall;
        assert_eq!(job.is_empty(), is_ours, "the database drops what nothing protects, and nothing else");
        if !job.is_empty() {
            room.place.sql(&format!("call run_job({job})"));
        }
        // Without a hold that stands Seawall has no job of that name, unless it is told to drop.
        if is_ours {
            ends(&room.run(&self.job()), 0);
        }
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

fn rows(sum: &str) -> u64 {
    sum.split(' ').next().and_then(|rows| rows.parse().ok()).expect("a number")
}

#[test]
fn no_held_row_goes_and_nothing_else_stays() {
    let mut random = lot("no_held_row_goes_and_nothing_else_stays");
    for place in everywhere("no_held_row_goes_and_nothing_else_stays") {
        let room = Room::new(place);
        let rounds = if std::env::var_os("SEAWALL_LONG").is_some() { 40 } else { 2 };
        for round in 0..rounds {
            one_round(&room, round, &mut random);
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

fn one_round(room: &Room, round: usize, random: &mut Random) {
    let place = &room.place;
    place.sql("drop schema if exists seawall cascade");
    still(place);
    // Names of their own: the archive has what earlier rounds moved there.
    let mut tables: Vec<Table> = (0..3).map(|number| Table::random(random, round * 3 + number, place)).collect();
    for day in 0..3 {
        let hypertables: String = tables.iter().map(Table::policy).collect();
        let holds: String = tables.iter().map(Table::holds).collect();
        let by_seawall = random.below(3) == 0;
        let who = if by_seawall { "    dropped_by: seawall\n" } else { "" };
        println!("round {round}, day {day}:\n{who}{hypertables}{holds}");
        let holds = if holds.is_empty() { String::new() } else { format!("holds:\n{holds}") };
        let accepted = "acknowledge: [{ finding: SW0910, reason: a test }]";
        room.write_with("cold", &format!("{who}    hypertables:\n{hypertables}"), &format!("{holds}\n{accepted}"));
        ends(&room.apply(&["--yes"]), 0);
        still(place);
        for table in &mut tables {
            if day > 0 {
                table.come_late(place, random);
            }
            let stays = format!("at >= '{}' or {}", table.edge(place), table.held());
            let kept = table.sum(place, &format!("{} where {stays}", table.name));
            table.run(room, by_seawall);
            assert_eq!(table.sum(place, &table.name), kept, "round {round}, day {day}: {}", table.job());
            if table.archived {
                assert_eq!(in_store(room, &table.name), table.rows - rows(&kept), "round {round}, day {day}: {}", table.job());
            }
            table.ages(random);
        }
    }
    for table in &tables {
        let is_empty = || in_store(room, &table.name) == 0;
        // The build for node ends when rows are copied into it.
        if table.archived && matches!(place, Place::Native(_)) && !is_empty() {
            ends(&room.archive(&["restore", "--table", &table.name, "--into", "back"]), 0);
            let both = format!("(select at, owner, id, note from {} union all select at, owner, id, note from back) u", table.name);
            assert_eq!(table.sum(place, &both), table.sum(place, &format!("written_{}", table.number)), "round {round}: {}", table.job());
            place.sql("drop table back");
        }
        place.sql(&format!("drop table {}; drop table written_{}", table.name, table.number));
    }
}
