//! A database becomes what its policy says, in one step, and stays so.

use std::fmt::Write as _;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::process::{Command, Output};

use super::place::{Place, all_natives, everywhere};
use crate::cli::hermetic;

const TABLES: &str = "\
    create table prices(recorded_at timestamptz not null, org int, mat int, val float); \
    select create_hypertable('prices', 'recorded_at', chunk_time_interval => interval '1 day'); \
    insert into prices select t, 1, 1, 0 from generate_series(now() - interval '20 days', now(), interval '6 hours') t; \
    create schema \"Price's\"; create table \"Price's\".\"say \"\"hi\"\"; --\"(\"the time\" timestamptz not null, \"a,b\" int, \"c'd\" int); \
    select create_hypertable('\"Price''s\".\"say \"\"hi\"\"; --\"', 'the time'::name); \
    create materialized view daily with (timescaledb.continuous) as \
      select time_bucket('1 day', recorded_at) as day, avg(val) from prices group by 1 with no data";

const POLICY: &str = r#"
    hypertables:
      prices: { compress: { after: 7d, segment_by: [org, mat], order_by: [val DESC] }, retain: 1y }
      '"Price''s"."say ""hi""; --"':
        compress: { after: 2w 3h, segment_by: ['"a,b"'], order_by: ['"c''d" NULLS FIRST'] }
        retain: 2y 1mo
    continuous_aggregates:
      daily: { refresh: { every: 30m, from: 3d, to: 1h }, retain: 10y }
"#;

/// A policy in a folder of its own, with a database.
pub(super) struct Room {
    folder: tempfile::TempDir,
    pub(super) place: Place,
}

impl Room {
    pub(super) fn new(place: Place) -> Room {
        Room { folder: tempfile::tempdir().expect("a folder"), place }
    }

    pub(super) fn write(&self, timescaledb: &str, rest: &str) {
        self.write_with("", timescaledb, rest);
    }

    /// With more stores than `main`, each a folder beside it.
    pub(super) fn write_with(&self, more: &str, timescaledb: &str, rest: &str) {
        let folder = self.folder.path().display();
        let stores = std::iter::once(("main", "store")).chain(more.split_whitespace().map(|name| (name, name)));
        // Whoever asks all of them asks also those that have nothing yet.
        for (_, path) in stores.clone().filter(|_| !more.is_empty()) {
            DirBuilder::new().mode(0o700).recursive(true).create(self.folder.path().join(path)).expect("a store");
        }
        let store = |(name, path): (&str, &str)| format!("{name}: {{ local: {{ path: {folder}/{path}, other_device: false }} }}");
        let stores = stores.map(store).collect::<Vec<_>>().join(", ");
        std::fs::write(self.folder.path().join("password"), "password").expect("a password");
        let mut text = format!("version: 1\npolicy: shop\ncluster: {{ connection: \"{}\"", self.place.conninfo());
        writeln!(text, ", password: {{ file: {folder}/password }}, databases: [postgres] }}").expect("a string takes all");
        write!(text, "encryption: {{ none: {{ because: a test }} }}\nstores: {{ {stores} }}\n{rest}\n").expect("a string");
        write!(text, "timescaledb:\n  postgres:\n{timescaledb}").expect("a string takes all");
        std::fs::write(self.folder.path().join("policy.yaml"), text).expect("a policy");
    }

    pub(super) fn seawall(&self, arguments: &[&str]) -> Output {
        let mut command = hermetic(Command::new(env!("CARGO_BIN_EXE_seawall")), self.folder.path());
        command.args(arguments).output().expect("seawall runs")
    }

    pub(super) fn apply(&self, more: &[&str]) -> Output {
        self.on_this_host(&[&["apply"], more].concat())
    }

    pub(super) fn run(&self, job: &str) -> Output {
        self.on_this_host(&["run", job])
    }

    pub(super) fn archive(&self, words: &[&str]) -> Output {
        self.on_this_host(&[&["archive"], words].concat())
    }

    /// How things stand, by the record of this host.
    pub(super) fn status(&self) -> String {
        let run = self.on_this_host(&["status"]);
        String::from_utf8_lossy(&run.stdout).into_owned()
    }

    /// Complete ones in the store.
    pub(super) fn backups(&self) -> usize {
        let repositories = std::fs::read_dir(self.folder.path().join("store")).into_iter().flatten().flatten();
        let names = repositories.filter_map(|one| std::fs::read_dir(one.path().join("backups")).ok()).flatten().flatten();
        names.filter(|name| name.path().extension().is_some_and(|end| end == "json")).count()
    }

    pub(super) fn on_this_host(&self, words: &[&str]) -> Output {
        let folder = self.folder.path();
        let (policy, state) = (folder.join("policy.yaml").display().to_string(), folder.join("state").display().to_string());
        self.seawall(&[words, &["-p", &policy, "--state", &state]].concat())
    }

    /// What is firing, after a look.
    fn looked(&self) -> String {
        ends(&self.on_this_host(&["watch"]), 0);
        said(&self.on_this_host(&["status"]))
    }

    pub(super) fn plan(&self, more: &[&str]) -> Output {
        let policy = self.folder.path().join("policy.yaml").display().to_string();
        self.seawall(&[&["plan", "--connect", "--detailed-exitcode", &policy], more].concat())
    }

    fn jobs(&self) -> String {
        self.place.sql("select proc_name, hypertable_name, schedule_interval, scheduled, config from timescaledb_information.jobs where job_id >= 1000 order by 1, 2")
    }
}

pub(super) fn said(output: &Output) -> String {
    format!("{:?}\n{}\n{}", output.status.code(), String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[track_caller]
pub(super) fn ends(output: &Output, code: i32) -> String {
    let said = said(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

#[test]
fn what_is_shown_is_what_is_done_and_then_nothing_differs() {
    for place in everywhere("what_is_shown_is_what_is_done_and_then_nothing_differs") {
        let room = Room::new(place);
        room.place.sql(TABLES);
        room.write(POLICY, "");
        let shown = ends(&room.plan(&[]), 2);
        println!("{shown}");
        let newer = room.place.has_columnstore();
        assert_eq!(shown.contains("add_columnstore_policy"), newer);
        assert_eq!(shown.contains("timescaledb.compress_segmentby"), !newer);
        let before = room.jobs();
        // Nobody is there to be asked, and nothing happens.
        ends(&room.apply(&[]), 1);
        ends(&room.apply(&["--yes", "--digest", "sha256:0"]), 4);
        assert_eq!(room.jobs(), before);
        let done = ends(&room.apply(&["--yes"]), 0);
        assert!(done.contains("8 changes done"), "{done}");
        // And again: it is as it should be.
        let again = ends(&room.apply(&["--yes"]), 0);
        assert!(again.contains("nothing differs"), "{again}");
        let planned = room.plan(&[]);
        assert!(said(&planned).contains("nothing differs"), "{}", said(&planned));
        println!("{}", room.jobs());
    }
}

const MONTHS: &str = "\
    create table prices(recorded_at timestamptz not null, org int); \
    select create_hypertable('prices', 'recorded_at', chunk_time_interval => interval '30 days'); \
    insert into prices select t, 1 from generate_series(now() - interval '3 years', now(), interval '15 days') t";

fn chunks(place: &Place) -> usize {
    place.sql("select count(*) from timescaledb_information.chunks").parse().expect("a number")
}

/// Its jobs stand still, so that what is there stays there.
pub(super) fn still(place: &Place) {
    let _ = place.sql("select _timescaledb_functions.stop_background_workers()");
}

#[test]
fn rows_are_dropped_sooner_only_when_the_policy_says_that_it_is_meant() {
    for place in everywhere("rows_are_dropped_sooner_only_when_the_policy_says_that_it_is_meant") {
        let room = Room::new(place);
        room.place.sql(MONTHS);
        still(&room.place);
        room.place.sql("select add_retention_policy('prices', interval '5 years')");
        let before = (room.jobs(), chunks(&room.place));
        let wants = "    hypertables: { prices: { retain: 1y } }\n";
        room.write(wants, "");
        let shown = ends(&room.plan(&[]), 2);
        assert!(shown.contains("DESTRUCTIVE: drops 2"), "{shown}");
        ends(&room.apply(&["--yes"]), 3);
        let elsewhere = "acknowledge: [{ finding: SW0910, at: timescaledb.postgres.hypertables.other, reason: x }]";
        room.write(wants, elsewhere);
        ends(&room.apply(&["--yes"]), 3);
        room.write(wants, "acknowledge: [{ finding: SW0910, at: timescaledb, until: 2026-01-01, reason: long ago }]");
        ends(&room.apply(&["--yes"]), 3);
        assert_eq!((room.jobs(), chunks(&room.place)), before);
        room.write(wants, "acknowledge: [{ finding: SW0910, at: timescaledb.postgres.hypertables.prices, reason: one year is enough }]");
        ends(&room.apply(&["--yes"]), 0);
        // The job has kept its number, and nothing of it was lost.
        let job = room.place.sql("select job_id >= 1000, config ->> 'drop_after', config ? 'hypertable_id' from timescaledb_information.jobs where proc_name = 'policy_retention'");
        assert_eq!(job, "t|1 year|t");
        // Told so, TimescaleDB drops what was said, and no more.
        let job = room.place.sql("select job_id from timescaledb_information.jobs where proc_name = 'policy_retention'");
        room.place.sql(&format!("call run_job({job})"));
        let left = room
            .place
            .sql("select min(range_end) > now() - interval '1 year', count(*) between 12 and 14 from timescaledb_information.chunks");
        assert_eq!(left, "t|t");
    }
}

#[test]
fn a_job_that_cannot_see_a_hold_is_taken_away_at_once() {
    for place in everywhere("a_job_that_cannot_see_a_hold_is_taken_away_at_once") {
        let room = Room::new(place);
        room.place.sql(MONTHS);
        still(&room.place);
        room.place.sql("select add_retention_policy('prices', interval '5 years'); create table other(at timestamptz not null)");
        room.place.sql("select create_hypertable('other', 'at'); insert into other values (now() - interval '2 years')");
        let hold = "holds: { case-4711: { reason: litigation, rows: { table: prices, from: 2024-01-01, to: 2024-06-30 } } }";
        // Something else waits for a decision meanwhile.
        room.write("    hypertables: { prices: { retain: 4y }, other: { retain: 1y } }\n", hold);
        let shown = ends(&room.plan(&[]), 2);
        assert!(shown.contains("remove_retention_policy"), "{shown}");
        assert!(shown.contains("rows of `prices` older than 4y are dropped by Seawall, while the hold `case-4711` stands"), "{shown}");
        ends(&room.apply(&["--yes"]), 3);
        assert!(room.jobs().contains("policy_retention"));
        let done = ends(&room.apply(&["--yes", "--without-destructive"]), 3);
        assert!(done.contains("postgres: 7 changes done"), "{done}");
        assert!(!room.jobs().contains("policy_retention"), "{}", room.jobs());
        assert_eq!(room.place.sql("select name, rows_to from seawall.legal_hold"), "case-4711|2024-06-30");
    }
}

/// Of a hold that names nothing, nobody knows what it holds: no job is told to drop rows, and somebody hears of it at once.
#[test]
fn as_long_as_a_hold_names_nothing_no_retention_begins() {
    for place in everywhere("as_long_as_a_hold_names_nothing_no_retention_begins") {
        let room = Room::new(place);
        room.place.sql(MONTHS);
        still(&room.place);
        let policy = |retain: &str, table: &str| {
            room.write(
                &format!("    hypertables: {{ prices: {{ retain: {retain} }} }}\n"),
                &format!(
                    "holds: {{ case: {{ reason: litigation, rows: {{ database: postgres, table: {table} }} }} }}\n\
                     acknowledge: [{{ finding: SW0910, reason: a test }}]"
                ),
            );
        };
        policy("1y", "pricse");
        let shown = ends(&room.plan(&[]), 2);
        assert!(shown.contains("there is no table `pricse` in `postgres`, so the hold `case` protects nothing"), "{shown}");
        assert!(shown.contains("rows of `prices` older than 1y stay, because nobody knows what the hold `case`"), "{shown}");
        ends(&room.apply(&["--yes"]), 1);
        assert!(!room.jobs().contains("policy_retention"), "{}", room.jobs());
        let told = room.looked();
        assert!(told.contains("CRITICAL") && told.contains("rows under hold in `postgres` may go"), "{told}");
        // A job that is there goes on, may keep rows for longer, and not for less long.
        room.place.sql("select add_retention_policy('prices', interval '5 years')");
        ends(&room.apply(&["--yes"]), 1);
        assert!(room.jobs().contains("5 years"), "{}", room.jobs());
        policy("9y", "pricse");
        ends(&room.apply(&["--yes"]), 1);
        assert!(room.jobs().contains("9 years"), "{}", room.jobs());
        // A view has no rows of its own: what else the table's hold lets go cannot go either, and that is not found out at night.
        room.place.sql("create view newest as select * from prices");
        room.write(
            "    hypertables: { prices: { retain: 1y } }\n",
            "holds: { case: { reason: litigation, rows: { database: postgres, table: prices, where: org = 2 } }, \
             view: { reason: litigation, rows: { database: postgres, table: newest } } }\nacknowledge: [{ finding: SW0910, reason: a test }]",
        );
        let shown = ends(&room.apply(&["--yes"]), 1);
        assert!(shown.contains("rows of `prices` older than 1y stay, because nobody knows what the hold `view`"), "{shown}");
        assert_eq!(room.place.sql("select to_regclass('seawall.retention') is null"), "t", "{shown}");
        // Mended, it is as always.
        policy("1y", "prices");
        let shown = ends(&room.apply(&["--yes"]), 0);
        assert!(shown.contains("are dropped by Seawall, while the hold `case` stands: 2"), "{shown}");
        let told = room.looked();
        assert!(!told.contains("may go"), "{told}");
    }
}

/// A job that looks at nothing but the age may run before anybody has looked twice.
#[test]
fn a_job_that_cuts_a_hold_is_told_at_once() {
    for place in everywhere("a_job_that_cuts_a_hold_is_told_at_once") {
        let room = Room::new(place);
        room.place.sql(MONTHS);
        still(&room.place);
        room.place.sql("select add_retention_policy('prices', interval '5 years')");
        room.write(
            "    hypertables: { prices: { retain: 5y } }\n",
            "holds: { case: { reason: litigation, rows: { database: postgres, table: prices } } }",
        );
        let told = room.looked();
        assert!(told.contains("CRITICAL") && told.contains("rows under hold in `postgres` may go"), "{told}");
        ends(&room.apply(&["--yes", "--without-destructive"]), 0);
        assert!(!room.jobs().contains("policy_retention"), "{}", room.jobs());
        let told = room.looked();
        assert!(!told.contains("may go"), "{told}");
    }
}

/// A hold may name a chunk, or a view: the database's own job knows of neither.
#[test]
fn a_hold_by_another_name_takes_the_job_away_too() {
    for place in everywhere("a_hold_by_another_name_takes_the_job_away_too") {
        let room = Room::new(place);
        room.place.sql(MONTHS);
        still(&room.place);
        room.place.sql("select add_retention_policy('prices', interval '1 year')");
        let oldest = "select range_end from timescaledb_information.chunks order by range_start limit 1";
        let chunk = room
            .place
            .sql("select format('%I.%I', chunk_schema, chunk_name) from timescaledb_information.chunks order by range_start limit 1");
        let held = room.place.sql(&format!("select count(*) from prices where recorded_at < ({oldest})"));
        let hold = |table: &str| format!("holds: {{ case: {{ reason: litigation, rows: {{ database: postgres, table: {table} }} }} }}");
        room.write("    hypertables: { prices: { retain: 1y } }\n", &hold(&chunk));
        let shown = ends(&room.apply(&["--yes"]), 0);
        assert!(shown.contains("remove_retention_policy") && shown.contains("while the hold `case` stands"), "{shown}");
        ends(&room.run("timescaledb.postgres.hypertables.prices.retain"), 0);
        let old = "select count(*) from prices where recorded_at < now() - interval '1 year 1 month'";
        assert_eq!((room.place.sql(old), held != "0"), (held, true));
        // Of a view nobody can tell which rows are meant: all stay, and that is said.
        room.place.sql("create view recent as select * from prices; create view newest as select org from recent");
        room.place.sql("select add_retention_policy('prices', interval '1 year')");
        room.write("    hypertables: { prices: { retain: 1y } }\n", &hold("newest"));
        let shown = ends(&room.apply(&["--yes"]), 1);
        assert!(
            shown.contains("remove_retention_policy") && shown.contains("it names a part of them, or a view, and not the table"),
            "{shown}"
        );
        assert!(!room.jobs().contains("policy_retention"), "{}", room.jobs());
        // And where the policy speaks of nothing but the hold.
        room.place.sql("select add_retention_policy('prices', interval '1 year')");
        room.write("    hypertables: {}\n", &hold("newest"));
        let shown = ends(&room.apply(&["--yes"]), 0);
        assert!(shown.contains("remove_retention_policy"), "{shown}");
    }
}

/// `seawall.legal_hold` shows the holds that stand, as the policy has them; whatever else it shows is a difference.
#[test]
fn applications_see_what_is_under_hold() {
    for place in everywhere("applications_see_what_is_under_hold") {
        let room = Room::new(place);
        room.place.sql("create table letters(at timestamptz not null)");
        room.place.sql("alter database postgres set datestyle = 'German'");
        let holds = "holds: { case-1: { reason: \"it's 'litigation'\", until: 2099-01-01, \
            rows: { database: postgres, table: letters, where: \"sender = 'O''Hara'\", from: 2024-01-01 } }, \
            over: { reason: done, until: 2020-01-01, rows: { database: postgres, table: letters } } }\n";
        let write = |holds: &str| room.write("    hypertables: {}\n", holds);
        write(holds);
        let shown = ends(&room.plan(&[]), 2);
        assert!(shown.contains("there is no view `seawall.legal_hold`") && shown.contains("the hold `case-1` is not in"), "{shown}");
        ends(&room.apply(&["--yes"]), 0);
        let all = "select name, of_table, condition, to_char(rows_from, 'YYYY-MM-DD'), to_char(rows_to, 'YYYY-MM-DD'), reason, \
                   to_char(until, 'YYYY-MM-DD') from seawall.legal_hold order by name";
        assert_eq!(room.place.sql(all), "case-1|letters|sender = 'O''Hara'|2024-01-01||it's 'litigation'|2099-01-01");
        ends(&room.plan(&[]), 0);
        // By hand, and by another policy, which is none of ours.
        room.place.sql("update seawall.hold set reason = 'none' where name = 'case-1'");
        room.place.sql("insert into seawall.hold select 'other', name, of_table, condition, null, null, 'theirs', null, zone from seawall.hold where name = 'over'");
        let shown = ends(&room.plan(&[]), 2);
        assert!(shown.contains("the hold `case-1` reads otherwise") && !shown.contains("hold `over`"), "{shown}");
        ends(&room.apply(&["--yes"]), 0);
        // It ends before it does: what is let go of is shown no longer, and theirs stays.
        write("holds: { over: { reason: done, until: 2020-01-01, rows: { database: postgres, table: letters } } }\n");
        ends(&room.apply(&["--yes"]), 0);
        assert_eq!(room.place.sql("select policy, name from seawall.hold order by 1, 2"), "other|over\nshop|over");
        assert_eq!(room.place.sql("select policy, name from seawall.legal_hold"), "other|over");
        let audit = ends(&room.on_this_host(&["audit", "export"]), 0);
        let kinds: Vec<&str> = audit.split("\"kind\":\"hold.").skip(1).filter_map(|part| part.split('"').next()).collect();
        assert_eq!(kinds, ["placed", "placed", "changed", "released"], "{audit}");
        assert!(audit.contains("the hold `case-1` on rows of `letters` in `postgres` was released: it's 'litigation'"), "{audit}");
        // One takes the place of another: that one goes last, and where its successor cannot be placed, not at all.
        let hold = |name: &str| format!("holds: {{ {name}: {{ reason: audit, rows: {{ database: postgres, table: letters }} }} }}\n");
        write(&hold("second"));
        ends(&room.apply(&["--yes"]), 0);
        write(&hold("third"));
        room.place.sql("alter table seawall.hold add constraint no_third check (name <> 'third')");
        assert!(ends(&room.apply(&["--yes"]), 1).contains("no_third"));
        let names = "select string_agg(name, ' ' order by name) from seawall.hold where policy = 'shop'";
        assert_eq!(room.place.sql(names), "second");
        room.place.sql("alter table seawall.hold drop constraint no_third");
        ends(&room.apply(&["--yes"]), 0);
        assert_eq!(room.place.sql(names), "third");
    }
}

#[test]
fn an_archive_of_rows_leaves_dropping_to_whoever_archives() {
    for place in everywhere("an_archive_of_rows_leaves_dropping_to_whoever_archives") {
        let room = Room::new(place);
        room.place.sql(MONTHS);
        still(&room.place);
        room.place.sql("select add_retention_policy('prices', interval '10 years')");
        room.write("    hypertables: { prices: { retain: 10y, archive: { after: 5y, store: main } } }\n", "");
        ends(&room.apply(&["--yes"]), 0);
        assert!(!room.jobs().contains("policy_retention"), "{}", room.jobs());
    }
}

#[test]
fn what_changed_in_between_is_not_touched_and_all_of_a_database_is_done_or_nothing() {
    for place in all_natives("what_changed_in_between_is_not_touched_and_all_of_a_database_is_done_or_nothing") {
        let room = Room::new(place);
        room.place.sql(MONTHS);
        room.place.sql("create table other(at timestamptz not null, v int); select create_hypertable('other', 'at')");
        still(&room.place);
        room.write(
            "    hypertables: { other: { compress: { after: 7d, segment_by: [nothing_like_it] }, retain: 9y }, prices: { retain: 9y } }\n",
            "",
        );
        let shown = ends(&room.plan(&["--format", "json"]), 2);
        let digest = shown.split("\"digest\": \"").filter_map(|part| part.split('"').next()).nth(2).expect("a digest").to_owned();
        // The column is not there: TimescaleDB refuses, and what went before it is taken back.
        let failed = ends(&room.apply(&["--yes", "--digest", &digest]), 1);
        assert!(failed.contains("nothing_like_it") && failed.contains("nothing was done in `postgres`"), "{failed}");
        assert_eq!(room.jobs(), "");
        // Somebody else is at it.
        room.write("    hypertables: { other: { retain: 9y }, prices: { retain: 9y } }\n", "");
        let mut other = room.place.connect();
        other.run("begin; select pg_advisory_xact_lock(5374872650217)").expect("a lock");
        assert!(ends(&room.apply(&["--yes"]), 1).contains("somebody else is at it"));
        other.run("rollback").expect("the end");
        // Somebody did a part of it by hand: what was reviewed is no longer what would be done.
        let shown = ends(&room.plan(&["--format", "json"]), 2);
        let digest = shown.split("\"digest\": \"").filter_map(|part| part.split('"').next()).nth(2).expect("a digest").to_owned();
        room.place.sql("select add_retention_policy('other', interval '9 years')");
        let before = room.jobs();
        ends(&room.apply(&["--yes", "--digest", &digest]), 4);
        assert_eq!(room.jobs(), before);
        // Without the digest the rest is done; all of it is on record.
        assert!(ends(&room.apply(&["--yes"]), 0).contains("1 change done"));
        let folder = room.folder.path();
        let (policy, state) = (folder.join("policy.yaml").display().to_string(), folder.join("state").display().to_string());
        let audit = ends(&room.seawall(&["audit", "export", "-p", &policy, "--state", &state]), 0);
        let kinds: Vec<&str> = audit
            .split("\"kind\":\"")
            .skip(1)
            .filter_map(|part| part.split('"').next())
            .filter(|kind| kind.starts_with("converge"))
            .collect();
        assert_eq!(kinds, ["converge.begun", "converge.failed", "converge.failed", "converge.begun", "converge.applied"], "{audit}");
    }
}

#[test]
fn a_build_without_the_paid_parts_is_told_and_left_alone() {
    for place in Place::apache("a_build_without_the_paid_parts_is_told_and_left_alone") {
        let room = Room::new(place);
        room.place.sql(MONTHS);
        room.write("    hypertables: { prices: { retain: 1y, compress: { after: 7d } } }\n", "");
        let shown = ends(&room.plan(&[]), 2);
        assert!(shown.contains("is without compression, jobs and continuous aggregates"), "{shown}");
        ends(&room.apply(&["--yes"]), 1);
    }
}

#[test]
fn a_database_that_does_not_answer_is_unknown_and_nothing_is_done() {
    let room = Room::new(Place::Node(crate::servers::pglite::Pglite::start()));
    room.write("    hypertables: { prices: { retain: 1y } }\n", "");
    std::fs::write(room.folder.path().join("password"), "wrong").expect("a password");
    let policy = room.folder.path().join("policy.yaml");
    let text = std::fs::read_to_string(&policy).expect("a policy").replace("host=127.0.0.1", "host=127.0.0.1 connect_timeout=2");
    let port = text.split("port=").nth(1).and_then(|rest| rest.split(' ').next()).expect("a port").to_owned();
    std::fs::write(&policy, text.replace(&format!("port={port}"), "port=1")).expect("a policy");
    let shown = ends(&room.plan(&[]), 2);
    assert!(shown.contains("1 thing unknown"), "{shown}");
    ends(&room.apply(&["--yes"]), 1);
}

#[test]
fn what_somebody_changed_by_hand_is_set_right() {
    for place in everywhere("what_somebody_changed_by_hand_is_set_right") {
        let room = Room::new(place);
        room.place.sql(TABLES);
        still(&room.place);
        let acknowledged = "acknowledge: [{ finding: SW0910, reason: a test }]";
        room.write(POLICY, acknowledged);
        ends(&room.apply(&["--yes"]), 0);
        still(&room.place);
        // By hand: paused, later, seldom, laid out otherwise although chunks are compressed already.
        room.place.sql(
            "select alter_job(job_id, scheduled => false) from timescaledb_information.jobs where hypertable_name = 'prices' and proc_name = 'policy_retention'; \
             select alter_job(job_id, config => config || '{\"compress_after\": \"90 days\"}') from timescaledb_information.jobs where proc_name = 'policy_compression'; \
             select alter_job(job_id, schedule_interval => interval '5 hours', config => config || '{\"start_offset\": null}', scheduled => false) \
               from timescaledb_information.jobs where proc_name = 'policy_refresh_continuous_aggregate'; \
             select compress_chunk(c) from show_chunks('prices', older_than => interval '15 days') c",
        );
        let settings = if room.place.has_columnstore() {
            "timescaledb.segmentby = 'org'"
        } else {
            "timescaledb.compress, timescaledb.compress_segmentby = 'org'"
        };
        room.place.sql(&format!("alter table prices set ({settings})"));
        let shown = ends(&room.plan(&[]), 2);
        println!("{shown}");
        for words in ["is paused", "are after 90d", "stay as they are"] {
            assert!(shown.contains(words), "{words}: {shown}");
        }
        assert_eq!(shown.matches("alter_job").count(), 4, "{shown}");
        ends(&room.apply(&["--yes"]), 0);
        assert!(ends(&room.apply(&["--yes"]), 0).contains("nothing differs"));
        // Rows of the aggregate are to stay, and those of a table that the policy names in a hold only.
        room.place.sql("create table nobodys(at timestamptz not null); select create_hypertable('nobodys', 'at'); select add_retention_policy('nobodys', interval '1 year')");
        let hold = "holds: { case-1: { reason: litigation, rows: { table: nobodys } } }";
        room.write(&POLICY.replace(", retain: 10y }", " }"), &format!("{acknowledged}\n{hold}"));
        let shown = ends(&room.apply(&["--yes"]), 0);
        assert!(shown.contains("holds.case-1.rows") && shown.contains("6 changes done"), "{shown}");
        assert!(!room.jobs().contains("nobodys"), "{}", room.jobs());
        assert_eq!(room.jobs().matches("policy_retention").count(), 2, "{}", room.jobs());
    }
}

#[test]
fn a_watch_tells_of_work_that_a_job_has_left() {
    for place in everywhere("a_watch_tells_of_work_that_a_job_has_left") {
        let room = Room::new(place);
        room.place.sql(MONTHS);
        still(&room.place);
        room.place.sql("select add_retention_policy('prices', interval '1 year')");
        room.write("    hypertables: { prices: { retain: 1y } }\n", "");
        let folder = room.folder.path();
        let (policy, state) = (folder.join("policy.yaml").display().to_string(), folder.join("state").display().to_string());
        let watched = room.seawall(&["watch", "-p", &policy, "--state", &state]);
        assert_eq!(watched.status.code(), Some(0), "{}", said(&watched));
        let status = room.seawall(&["status", "-p", &policy, "--state", &state]);
        let shown = said(&status);
        assert!(shown.contains("in `postgres`, retention of `prices`: it has left 2"), "{shown}");
        assert!(!shown.contains("it is not known how databases.postgres stands"), "{shown}");
        // Somebody lets it run: there is nothing more to be told.
        let job = room.place.sql("select job_id from timescaledb_information.jobs where proc_name = 'policy_retention'");
        room.place.sql(&format!("call run_job({job})"));
        ends(&room.seawall(&["watch", "-p", &policy, "--state", &state]), 0);
        let shown = said(&room.seawall(&["status", "-p", &policy, "--state", &state]));
        assert!(!shown.contains("it has left"), "{shown}");
    }
}
