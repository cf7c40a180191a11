//! Rows that move, whoever moves them killed at a step that is named, and what is asked after it: together, what is in the table and what is in the
//! store are what was written, each row once; and the next run ends well.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::rig::SUM;
use crate::faults::asleep::{falls_asleep, wake};
use crate::faults::killing::kill_9;
use crate::run::rig::{Run, Said};
use crate::servers::s3::{KEY, S3, SECRET};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);
/// Whoever comes to it waits as long as the test holds it, and no setting ends that.
const GATE: &str = "\
    create or replace function gate() returns trigger language plpgsql as $$ begin \
      while not pg_try_advisory_xact_lock_shared(4711) loop perform pg_sleep(0.02); end loop; return coalesce(new, old); end $$;";
/// As somebody makes it whose role may not.
const RECORD: &str = "\
    create schema seawall; \
    create table seawall.archived (extent text primary key, table_name text not null, first text not null, before text not null, \
        rows bigint not null, store text not null, removed timestamptz not null default now()); \
    create table seawall.returned (extent text primary key, returned timestamptz not null default now());";

/// Where the rows go.
#[derive(Debug)]
pub enum Shelf {
    Disk,
    Bucket(S3),
}

/// What becomes of the server's session when its client is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It still does what it was told last.
    GoesOn,
    Ends,
}

#[derive(Debug)]
pub struct Scene {
    pub run: Run,
    pub shelf: Shelf,
    /// The job, and its table.
    pub job: &'static str,
    pub table: &'static str,
    /// Makes the table anew with its rows, which are in `written` as well.
    pub make: &'static str,
    /// The columns that are compared, and by which they are in an order.
    pub columns: &'static str,
    /// Which rows are old.
    pub old: &'static str,
}

impl Scene {
    /// Nothing has moved yet.
    pub fn begin(&self) {
        self.sql(&format!(
            "drop schema if exists seawall cascade; drop table if exists {0}; drop table if exists {0}_archived; drop table if exists written; \
             {1}; {RECORD} {GATE}",
            self.table, self.make
        ));
        match &self.shelf {
            Shelf::Disk => self.run.rig.shell_as_root("rm -rf store/*/archive"),
            Shelf::Bucket(s3) => drop(s3.administer(
                "for o in s3.list_objects_v2(Bucket='bucket').get('Contents', []):\n    \
                 '/archive/' in o['Key'] and s3.delete_object(Bucket='bucket', Key=o['Key'])",
            )),
        }
    }

    pub fn sql(&self, sql: &str) -> String {
        self.run.rig.cluster.sql(sql)
    }

    fn command(&self, words: &[&str], faults: Option<&str>) -> Command {
        let mut command = self.run.command(words);
        command.env("AWS_ACCESS_KEY_ID", KEY).env("AWS_SECRET_ACCESS_KEY", SECRET);
        command.envs(faults.map(|faults| ("SEAWALL_TEST_FAULTS", faults)));
        command
    }

    fn begin_command(&self, words: &[&str], faults: Option<&str>) -> Child {
        self.command(words, faults).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("seawall")
    }

    pub fn say(&self, words: &[&str]) -> Said {
        Said::of(self.command(words, None).output().expect("seawall"))
    }

    /// Its repository is there, which the first run makes.
    pub fn ready(self) -> Scene {
        self.begin();
        self.say(&["run", self.job]).ends_with_code(0);
        self
    }

    /// How often it calls the store when nobody is in its way.
    pub fn calls_of(&self, words: &[&str]) -> u64 {
        let path = self.run.file("state").join("calls");
        let _ = fs::remove_file(&path);
        let ended = self.command(words, Some(&format!("count={}", path.display()))).output().expect("seawall");
        Said::of(ended).ends_with_code(0);
        fs::metadata(&path).expect("it calls").len()
    }

    /// Right before its call of that number. False when it came to its end before.
    pub fn killed_at(&self, words: &[&str], call: u64) -> bool {
        let mut child = self.begin_command(words, Some(&format!("kind=stopped,nth={call}")));
        let met = falls_asleep(&mut child);
        kill_9(&mut child);
        self.nobody_is_left();
        met
    }

    /// Asleep right before that call, then let go on, and killed as soon as `there` is true. `meanwhile` is held until it is dead.
    pub fn killed_after<T>(&self, words: &[&str], call: u64, hold: impl FnOnce() -> T, there: impl Fn() -> bool) {
        let mut child = self.begin_command(words, Some(&format!("kind=stopped,nth={call}")));
        assert!(falls_asleep(&mut child), "it does not come to its call {call}");
        let held = hold();
        let since = Instant::now();
        while !there() {
            assert!(since.elapsed() < PATIENCE && child.try_wait().expect("its state").is_none(), "it never comes there");
            wake(&child);
            thread::sleep(Duration::from_millis(10));
        }
        kill_9(&mut child);
        drop(held);
        self.nobody_is_left();
    }

    /// While the server waits for `hold`, which is a statement of another session; `waits` says of a session that it does.
    pub fn killed_while_it_waits(&self, words: &[&str], (hold, waits): (&str, &str), end: End, meanwhile: impl FnOnce()) {
        let waits = format!("from pg_stat_activity a where {OURS} and {waits}");
        let mut other = self.run.rig.cluster.connect();
        other.run("begin").expect("a transaction");
        other.run(hold).expect("it is held");
        let mut child = self.begin_command(words, None);
        let since = Instant::now();
        while self.sql(&format!("select exists (select {waits})")) != "t" {
            assert!(since.elapsed() < PATIENCE && child.try_wait().expect("its state").is_none(), "it never waits for `{hold}`");
            thread::sleep(Duration::from_millis(10));
        }
        kill_9(&mut child);
        meanwhile();
        if end == End::Ends {
            self.sql(&format!("select pg_terminate_backend(a.pid) {waits}"));
        }
        other.run("commit").expect("it is let go");
        drop(other);
        self.nobody_is_left();
    }

    /// What the server was told in its last moment it still does.
    fn nobody_is_left(&self) {
        self.run.rig.cluster.wait_until(&format!("not exists (select from pg_stat_activity a where {OURS})"));
    }

    fn sum(&self, from: &str) -> String {
        let order = format!("order by {}", self.columns);
        self.sql(&format!("{} (select {} from {from}) t", SUM.replace("order by id", &order), self.columns))
    }

    /// All rows, hot and cold, are what was written.
    #[track_caller]
    pub fn is_whole(&self, at: &str) {
        let (table, columns) = (self.table, self.columns);
        self.sql(&format!("drop table if exists {table}_archived"));
        self.say(&["archive", "restore", "--table", table]);
        let is_cold = self.sql(&format!("select to_regclass('{table}_archived') is not null")) == "t";
        let cold = if is_cold { format!(" union all select {columns} from {table}_archived") } else { String::new() };
        assert_eq!(self.sum(&format!("(select {columns} from {table}{cold}) u")), self.sum("written"), "{at}");
        // By the database's own record too.
        let counted = format!(
            "select (select count(*) from {table}) + (select coalesce(sum(rows), 0) from seawall.archived) = (select count(*) from written)"
        );
        assert_eq!(self.sql(&counted), "t", "{at}");
    }

    /// The next run does what is left.
    #[track_caller]
    pub fn ends_well(&self, at: &str) {
        self.is_whole(at);
        let said = self.say(&["run", self.job]);
        assert_eq!(said.code, Some(0), "{at}: {}{}", said.out, said.err);
        assert_eq!(self.hot(), "0", "{at}");
        self.is_whole(at);
        let listed = self.say(&["archive", "list", "--format", "json"]).ends_with_code(0);
        let listed: serde_json::Value = serde_json::from_str(&listed.out).expect("JSON");
        let extents = listed["extents"].as_array().expect("a list");
        let gone: u64 = extents.iter().filter(|one| one["removed"] == true).map(|one| one["rows"].as_u64().expect("a number")).sum();
        assert_eq!(gone.to_string(), self.sql(&format!("select count(*) from written where {}", self.old)), "{at}: {listed}");
    }

    /// Old rows in the table.
    pub fn hot(&self) -> String {
        self.sql(&format!("select count(*) from {} where {}", self.table, self.old))
    }

    /// What lies in the store: of each extent, the fullest first, which of its objects are there.
    pub fn there(&self) -> String {
        let names = match &self.shelf {
            Shelf::Disk => self.run.rig.shell("find store -path '*/archive/*' -type f -printf '%P\\n'"),
            Shelf::Bucket(s3) => s3.administer(
                "for o in s3.list_objects_v2(Bucket='bucket').get('Contents', []):\n    '/archive/' in o['Key'] and print(o['Key'])",
            ),
        };
        let mut extents: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for name in names.lines() {
            let below = name.split_once("/archive/").expect("it lies there").1;
            let (id, what) = below.split_once(['/', '.']).expect("an extent's");
            // Each reading has a name of its own.
            let what = match what.strip_prefix("read-back/") {
                Some(reading) => format!("read-back.{}", if reading.ends_with(".sig") { "sig" } else { "json" }),
                None => what.to_owned(),
            };
            extents.entry(id.to_owned()).or_default().push(what);
        }
        let words = |mut kinds: Vec<String>| {
            kinds.sort();
            kinds.dedup();
            kinds.join(" ")
        };
        let mut all: Vec<String> = extents.into_values().map(words).collect();
        all.sort_by_key(|kinds| std::cmp::Reverse(kinds.len()));
        all.join(" | ")
    }

    /// A trigger that waits at the gate.
    pub fn gate(&self, trigger: &str) {
        self.sql(&format!("create {trigger} for each row execute function gate()"));
    }
}

/// Sessions of the one that is killed.
const OURS: &str = "a.application_name like 'seawall%' and a.pid <> pg_backend_pid()";
/// The gate is closed, and somebody stands before it.
pub const CLOSED: (&str, &str) = ("select pg_advisory_xact_lock(4711)", "a.wait_event = 'PgSleep'");
