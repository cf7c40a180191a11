//! Starts the restored server and watches it recover.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant as Clock};

use super::ending::Ending;
use super::plan::RestorePlan;
use super::report::{Reached, State, committed};
use super::request::Action;
use super::running::pid_file;
use super::{RestoreFault, own_config, port, programs, settings, standby};
use crate::execute::extensions;
use crate::postgres::{Connection, Fault, Settings};
use crate::recovery::{Target, WalStretch};
use crate::units::{Instant, Lsn, Segment, SegmentSize};

/// Where recovery is, for whoever watches.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Following {
    /// Replayed up to here.
    pub lsn: Option<Lsn>,
    pub consistent: bool,
    pub seconds: f64,
}

/// A server that was started here.
#[derive(Debug)]
pub struct Server<'p> {
    plan: &'p RestorePlan,
    programs: PathBuf,
    log: PathBuf,
    began: Clock,
    last_alive: Clock,
    /// What was read of the log.
    read: u64,
    text: String,
    /// What was read of a line that does not end yet.
    begun: String,
    /// What of the log was given back to the disk.
    freed: u64,
    invalid: BTreeSet<String>,
    /// That which it is asked in.
    database: String,
    consistent: Option<f64>,
    log_ended: Option<LogEnded>,
}

/// PostgreSQL met the end of the log before the target. What it said of that run.
#[derive(Debug)]
struct LogEnded {
    by: Option<String>,
    last_commit: Option<String>,
}

/// How recovery ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Recovered {
    pub reached: Reached,
    pub consistent: Option<f64>,
    pub replay: f64,
    /// Files of relations of which the log speaks of pages that were not there: only where the server was told to go on nevertheless.
    pub invalid: BTreeSet<String>,
    /// Known where the server's log says it.
    pub stopped: Option<Stopped>,
}

/// The record at which replay stopped: another replay that is told to stop there holds the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// Where that record begins.
    pub at: Lsn,
    /// It was read, and not replayed any more.
    pub before: bool,
}

/// What a server that was started here says, in its data directory.
pub(in crate::execute) const RECOVERY_LOG: &str = "seawall-recovery.log";
/// How much of the log's end is kept for what it said.
const KEPT: usize = 256 << 10;
/// So long a server may take from its start to its first sign.
const ABSENT: Duration = Duration::from_secs(10);
/// How much of the log is read at a time.
const AT_ONCE: u64 = 16 << 20;
/// A log that is longer is given back to the disk as it is read.
const GIVE_BACK: u64 = 64 << 20;
/// A small copy is there in less than this; what takes longer is looked at less often.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const LOOK_AT_FIRST: Duration = Duration::from_millis(10);
/// Its record is the one that `redo done at` names all the same.
const STOPS_BEFORE: &str = "recovery stopping before ";

impl<'p> Server<'p> {
    /// Whether it could be started: known before anything is restored.
    pub fn prepare(plan: &'p RestorePlan, given: Option<&Path>) -> Result<Server<'p>, RestoreFault> {
        let private = &plan.chosen.private;
        if own_config::is_lost(private) {
            let named = private.settings.get("config_file").cloned().unwrap_or_default();
            return Err(RestoreFault::new(
                format!("the cluster's configuration was `{named}`, and the backup has no copy of it: what it starts with is not known"),
                "Restore without `--start`, and start it with a configuration of your own.",
            ));
        }
        let programs = programs::find(given, plan.chosen.descriptor.cluster.version / 10_000)?;
        // Who makes a copy to throw away knows which of its databases are entered.
        if plan.request.throw_away.is_none() {
            let major = plan.chosen.descriptor.cluster.version / 10_000;
            extensions::must_be_here(&programs, major, private)?;
            if let Some(unknown) = extensions::unknown(&programs, major, private) {
                tracing::warn!("{unknown}: the server will say what it lacks");
            }
        }
        port::refuse_taken(plan)?;
        let log = plan.request.directory.join(RECOVERY_LOG);
        Ok(Server {
            plan,
            programs,
            log,
            began: Clock::now(),
            last_alive: Clock::now(),
            read: 0,
            text: String::new(),
            begun: String::new(),
            freed: 0,
            invalid: BTreeSet::new(),
            database: "postgres".to_owned(),
            consistent: None,
            log_ended: None,
        })
    }

    /// No other database is ever entered: whoever enters one that is not whole ends the server.
    #[must_use]
    pub fn asked_in(self, database: &str) -> Server<'p> {
        Server { database: database.to_owned(), ..self }
    }

    pub fn programs(&self) -> &Path {
        &self.programs
    }

    pub fn start(&mut self) -> Result<(), RestoreFault> {
        let data = &self.plan.request.directory;
        if !data.join("postgresql.conf").is_file() {
            return Err(RestoreFault::new(
                format!("`{}` has no postgresql.conf, and the backup has no copy of one", data.display()),
                "The files are restored. Start it the way the system does, for example with `pg_ctlcluster`.",
            ));
        }
        self.began = Clock::now();
        self.last_alive = self.began;
        self.read = fs::metadata(&self.log).map_or(0, |about| about.len());
        let mut command = programs::as_owner(&self.programs.join("pg_ctl"), self.plan.directory.owner);
        // Its log comes to us and not to the collector, so that recovery can be followed before anybody can connect.
        // And a configuration may name the directory that it was written for, which may be the original's.
        let options = format!(
            "-c logging_collector=off -c log_destination=stderr -c lc_messages=C -c log_min_messages=warning -c data_directory={}",
            for_shell(data)
        );
        command.arg("-D").arg(data).arg("-l").arg(&self.log).args(["-W", "-o", &options, "start"]);
        let started = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        match started {
            Ok(status) if status.success() => Ok(()),
            Ok(_) => Err(self.failed("the server could not be started")),
            Err(error) => Err(RestoreFault::new(format!("`pg_ctl` cannot be run: {error}"), "Check the installation.")),
        }
    }

    /// Waits until recovery is where it should be. `watch` is told ten times a second and at first more often, and gives false to stop watching.
    pub fn follow(&mut self, watch: &mut dyn FnMut(&Following) -> bool) -> Result<Recovered, RestoreFault> {
        loop {
            self.read_log();
            if let Some(recovered) = self.look()? {
                return Ok(recovered);
            }
            let following =
                Following { lsn: self.replayed(), consistent: self.consistent.is_some(), seconds: self.began.elapsed().as_secs_f64() };
            if !watch(&following) {
                return Err(self.left_alone());
            }
            std::thread::sleep((self.began.elapsed() / 20).clamp(LOOK_AT_FIRST, LOOK_EVERY));
        }
    }

    /// Somebody who waits no longer need not want it stopped: it is said how either is done.
    fn left_alone(&self) -> RestoreFault {
        let (control, data, log) = (self.programs.join("pg_ctl"), for_shell(&self.plan.request.directory), for_shell(&self.log));
        let (control, account) = (for_shell(&control), &self.plan.directory.account);
        RestoreFault::new(
            format!(
                "it is waited for no longer; the server runs in `{}`, and goes on recovering by itself",
                self.plan.request.directory.display()
            ),
            format!(
                "Its log is {log}. As `{account}`, `{control} -D {data} -m fast stop` stops it, and `{control} -D {data} -l {log} start` lets it go \
                 on where it was. When it is promoted, `seawall release --target {data}` ends its quarantine. To have the files anew: stop it, \
                 and the same call with `--delta`."
            ),
        )
    }

    fn look(&mut self) -> Result<Option<Recovered>, RestoreFault> {
        let lines = self.postmaster();
        if self.consistent.is_none() && self.text.contains("consistent recovery state reached") {
            self.consistent = Some(self.began.elapsed().as_secs_f64());
        }
        if is_alive(&lines) {
            self.last_alive = Clock::now();
        } else if self.text.contains("FATAL:") || self.text.contains("database system is shut down") || self.last_alive.elapsed() > ABSENT {
            return self.ended();
        }
        let Some(state) = self.state() else { return Ok(None) };
        self.refuse_early_end(state)?;
        self.recovered(state, Some(&lines)).map(Some)
    }

    /// What PostgreSQL takes for the end need not be it.
    fn refuse_early_end(&mut self, state: State) -> Result<(), RestoreFault> {
        let at_target = self.text.contains("recovery stopping ");
        match state {
            State::Paused if !at_target => Err(self.failed("recovery paused before it reached the target")),
            State::Promoted if !at_target => {
                let Some((ending, end, size)) = self.ending() else { return Ok(()) };
                let Some(short) = ending.falls_short(end, size) else { return Ok(()) };
                self.stop();
                Err(self.short(&ending, &short, "The server opened by itself, without what comes after; it was stopped."))
            }
            _ => Ok(()),
        }
    }

    /// Where replay ended, and where the log that was found ends.
    fn ending(&self) -> Option<(Ending, &'p WalStretch, SegmentSize)> {
        let end = self.plan.chosen.wal.last()?;
        let size = SegmentSize::new(self.plan.chosen.descriptor.cluster.wal_segment_size)?;
        Some((Ending::read(&self.text, end.timeline, size), end, size))
    }

    fn short(&self, ending: &Ending, short: &str, what_now: &str) -> RestoreFault {
        let known = ending.last.map(|at| format!(" Or choose what is whole: `--to-lsn {at}`.")).unwrap_or_default();
        RestoreFault::new(
            short,
            format!(
                "{what_now} Try another store's copy of the log with `--store NAME`, or a target before that record.{known} The server's log is `{}`.",
                self.log.display()
            ),
        )
    }

    fn stop(&self) {
        let mut command = programs::as_owner(&self.programs.join("pg_ctl"), self.plan.directory.owner);
        command.arg("-D").arg(&self.plan.request.directory).args(["-w", "-t", "60", "-m", "fast", "stop"]);
        let _ = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }

    /// The server is gone: on purpose, or because recovery failed.
    fn ended(&mut self) -> Result<Option<Recovered>, RestoreFault> {
        self.read_log();
        if self.plan.request.action == Action::Shutdown && self.text.contains("shutdown at recovery target") {
            return self.recovered(State::ShutDown, None).map(Some);
        }
        // Replay met nothing later than the target, and the log is known to be whole up to it: then there is nothing later, and the
        // log's end is the state at the target. PostgreSQL cannot know that and refuses; this knows it, and only then goes on.
        let ended_before = self.text.contains("recovery ended before configured recovery target was reached");
        if ended_before && self.plan.chosen.whole_until_target && self.log_ended.is_none() {
            self.end_with_log()?;
            self.text.clear();
            self.start()?;
            return Ok(None);
        }
        if ended_before {
            return Err(self.failed("recovery ended before the target was reached"));
        }
        let stopped = self.failed("recovery stopped");
        Err(stopped.passing_if(was_ended(&self.text)))
    }

    /// Lets recovery end with the record that was replayed last. Not with the log: what is archived from now on may be later than the target.
    fn end_with_log(&mut self) -> Result<(), RestoreFault> {
        let Some((ending, end, size)) = self.ending() else {
            return Err(self.failed("recovery ended before the target was reached"));
        };
        if let Some(short) = ending.falls_short_of_target(end, size) {
            return Err(self.short(&ending, &short, "Nothing was opened, and the target stays as it is."));
        }
        let Some(last) = ending.last else {
            return Err(self.failed("recovery ended before the target was reached, and the server does not say with which record"));
        };
        self.aim_at(last)?;
        self.log_ended = Some(LogEnded { by: ending.ended_by().map(str::to_owned), last_commit: self.last_commit() });
        Ok(())
    }

    fn aim_at(&self, last: Lsn) -> Result<(), RestoreFault> {
        let path = self.plan.request.directory.join("postgresql.auto.conf");
        let fault = |error: std::io::Error| RestoreFault::new(format!("`{}`: {error}", path.display()), "");
        let conf = fs::read(&path).map_err(fault)?;
        // In place: the file keeps its owner, and the server does not run.
        fs::write(&path, settings::ending_with(&conf, last)).map_err(fault)
    }

    fn last_commit(&self) -> Option<String> {
        said(&self.text, "last completed transaction was at log time ").map(str::to_owned)
    }

    /// Whatever came into the store meanwhile: a server with what the target leaves out is not the one that was asked for.
    fn refuse_later(&self, reached: &Reached) -> Result<(), RestoreFault> {
        let Some(later) = later_than(&self.plan.request.target, reached) else { return Ok(()) };
        self.stop();
        Err(RestoreFault::new(
            format!("the server holds a transaction of {later}, which is after the target; it was stopped"),
            format!("Restore anew. What it replayed is in its log, `{}`; please report it.", self.log.display()),
        ))
    }

    /// What the server says of itself, in its log; whom it lets in is its own affair.
    fn state(&self) -> Option<State> {
        let text = self.text.as_str();
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if self.plan.request.standby.is_some() {
            return has(&["ready to accept read-only connections", "ready to accept read only connections"]).then_some(State::Standby);
        }
        if text.contains("archive recovery complete") && text.contains("ready to accept connections") {
            return Some(State::Promoted);
        }
        has(&["pausing at the end of recovery", "recovery has paused"]).then_some(State::Paused)
    }

    fn recovered(&mut self, state: State, server: Option<&[String]>) -> Result<Recovered, RestoreFault> {
        let reached = self.reached(state, server);
        self.refuse_later(&reached)?;
        Ok(Recovered {
            reached,
            consistent: self.consistent,
            replay: self.began.elapsed().as_secs_f64(),
            invalid: self.invalid.clone(),
            stopped: self.ending().and_then(|(ending, ..)| ending.last).map(|at| Stopped { at, before: self.text.contains(STOPS_BEFORE) }),
        })
    }

    fn reached(&mut self, state: State, server: Option<&[String]>) -> Reached {
        self.read_log();
        let before = self.log_ended.as_ref().and_then(|ended| ended.last_commit.clone());
        let mut reached = Reached {
            state,
            lsn: self.replayed(),
            // PostgreSQL does not count the very record that it was told to end with.
            last_commit: self.last_commit().into_iter().chain(before).max_by_key(|at| committed(at)),
            timeline: said(&self.text, "selected new timeline ID: ").and_then(|number| number.parse().ok()),
            ended_at_end_of_log: self.log_ended.is_some(),
            ended_by: self.ended_by(state),
            follows: None,
            socket: None,
            port: None,
        };
        let Some(lines) = server else {
            return reached;
        };
        reached.socket = lines.get(4).filter(|socket| !socket.is_empty()).cloned();
        reached.port = lines.get(3).and_then(|port| port.trim().parse().ok());
        if let Some(Ok(mut connection)) = connect_to(lines, self.plan.directory.owner.is_some(), &self.database) {
            let lsn = if state == State::Promoted { "pg_current_wal_lsn()" } else { "pg_last_wal_replay_lsn()" };
            let sql = format!("select {lsn}::text as lsn, pg_last_xact_replay_timestamp()::text as at");
            if let Ok(rows) = connection.query(&sql, &[])
                && let Ok(row) = rows.one()
            {
                reached.lsn = row.get("lsn").and_then(|lsn| lsn.parse().ok());
                reached.last_commit = reached.last_commit.or_else(|| row.get("at").map(str::to_owned));
            }
            if state == State::Standby {
                reached.follows = Some(standby::follows(&mut connection, self.plan.upstream.as_ref()));
            }
        }
        reached
    }

    /// In the last segment a record that cannot be read is what a dead server left; that is said, and refused only before it.
    fn ended_by(&self, state: State) -> Option<String> {
        if let Some(ended) = &self.log_ended {
            return ended.by.clone();
        }
        let met = self.text.contains("recovery stopping ");
        self.ending().filter(|_| state == State::Promoted && !met).and_then(|(ending, ..)| ending.ended_by().map(str::to_owned))
    }

    fn read_log(&mut self) {
        while self.read_some() == AT_ONCE {}
        self.give_back();
    }

    fn read_some(&mut self) -> u64 {
        let Ok(mut file) = fs::File::open(&self.log) else { return 0 };
        let mut bytes = Vec::new();
        if file.seek(SeekFrom::Start(self.read)).is_ok() && file.take(AT_ONCE).read_to_end(&mut bytes).is_ok() {
            self.read += bytes.len() as u64;
            let text = String::from_utf8_lossy(&bytes);
            self.hear(&text);
            self.text.push_str(&text);
        }
        if self.text.len() > 2 * KEPT {
            let from = (self.text.len() - KEPT..self.text.len()).find(|at| self.text.is_char_boundary(*at)).unwrap_or(0);
            self.text.drain(..from);
        }
        bytes.len() as u64
    }

    fn hear(&mut self, text: &str) {
        self.begun.push_str(text);
        let Some(end) = self.begun.rfind('\n') else { return };
        self.invalid.extend(self.begun[..end].lines().filter_map(invalid).map(str::to_owned));
        self.begun.drain(..=end);
    }

    /// Where a copy has holes, its server may say so of every record; nobody reads that a second time.
    fn give_back(&mut self) {
        if self.plan.request.throw_away.is_none() || self.read - self.freed < GIVE_BACK {
            return;
        }
        let hole = rustix::fs::FallocateFlags::PUNCH_HOLE | rustix::fs::FallocateFlags::KEEP_SIZE;
        // The end stays, for people.
        let until = self.read - GIVE_BACK / 2;
        if let Ok(file) = fs::OpenOptions::new().write(true).open(&self.log) {
            let _ = rustix::fs::fallocate(&file, hole, 0, until);
        }
        self.freed = until;
    }

    /// The last segment that was fetched.
    fn replayed(&self) -> Option<Lsn> {
        let at = self.text.rfind("restored log file \"")?;
        let name = self.text[at..].split('"').nth(1)?;
        let size = SegmentSize::new(self.plan.chosen.descriptor.cluster.wal_segment_size)?;
        Some(name.parse::<Segment>().ok()?.start(size))
    }

    fn postmaster(&self) -> Vec<String> {
        pid_file(&self.plan.request.directory)
    }

    /// What the server said last, when it says why.
    pub fn failed(&mut self, what: &str) -> RestoreFault {
        self.read_log();
        let said: Vec<&str> = self
            .text
            .lines()
            .filter(|line| ["FATAL:", "PANIC:", "WARNING:", "DETAIL:", "HINT:", "seawall", "error:"].iter().any(|word| line.contains(word)))
            .collect();
        let from = said.len().saturating_sub(6);
        let mut message = what.to_owned();
        for line in &said[from..] {
            message.push_str(&format!("\n  {line}"));
        }
        RestoreFault::new(
            message,
            format!("The whole log is `{}`. The files are restored; mend what it says and start the server again.", self.log.display()),
        )
    }
}

/// By somebody, or by a system that was short of memory; the server itself had no reason. Who is not let in yet is no reason either.
fn was_ended(log: &str) -> bool {
    const BY_OTHERS: [&str; 4] =
        ["was terminated by signal 9", "was terminated by signal 15", "the database system is ", "due to administrator command"];
    let is_reason = |line: &&str| ["FATAL:", "PANIC:", "was terminated by signal "].iter().any(|word| line.contains(word));
    log.lines().filter(is_reason).all(|line| BY_OTHERS.iter().any(|words| line.contains(words)))
}

/// `page 7 of relation base/5/16385 is uninitialized`: its path.
fn invalid(line: &str) -> Option<&str> {
    let (before, after) = line.split_once(" of relation ")?;
    let (path, what) = after.split_once(' ')?;
    let is_page = before.rsplit_once("page ").is_some_and(|(_, number)| number.bytes().all(|byte| byte.is_ascii_digit()));
    (is_page && matches!(what.trim_end(), "does not exist" | "is uninitialized")).then_some(path)
}

/// `pg_ctl` has a shell read it.
fn for_shell(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', "'\\''"))
}

/// When the last transaction was committed, where that is after the target.
fn later_than(target: &Target, reached: &Reached) -> Option<Instant> {
    let Target::Time(target) = target else { return None };
    reached.committed().filter(|at| at > target)
}

fn said<'t>(text: &'t str, words: &str) -> Option<&'t str> {
    let at = text.rfind(words)? + words.len();
    text[at..].lines().next()
}

fn is_alive(lines: &[String]) -> bool {
    let pid = lines.first().and_then(|line| line.trim().parse().ok()).and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

/// Through the socket that `postmaster.pid` names, or its address, as the superuser of that name.
pub fn connect(lines: &[String], as_postgres: bool) -> Option<Connection> {
    connect_to(lines, as_postgres, "postgres")?.ok()
}

/// None where `postmaster.pid` does not say how.
pub(super) fn connect_to(lines: &[String], as_postgres: bool, database: &str) -> Option<Result<Connection, Fault>> {
    let port = lines.get(3)?.trim();
    let host = [lines.get(4)?, lines.get(5)?].into_iter().map(|text| text.trim()).find(|text| !text.is_empty())?;
    let host = if host == "*" { "127.0.0.1" } else { host };
    let users: &[&str] = if as_postgres { &["user=postgres"] } else { &["", "user=postgres"] };
    let connect = |user: &&str| {
        let settings = Settings::read(&format!("host={host} port={port} connect_timeout=5 {user}"))?;
        Connection::connect(&settings.with_dbname(database))
    };
    users.iter().map(connect).reduce(|first, next| first.or(next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_committed_after_the_target_is_seen() {
        let at = |last: &str| Reached {
            state: State::Promoted,
            lsn: None,
            last_commit: Some(last.to_owned()),
            timeline: None,
            ended_at_end_of_log: true,
            ended_by: None,
            follows: None,
            socket: None,
            port: None,
        };
        let target = Target::Time("2026-11-21T02:00:00Z".parse().expect("a moment"));
        assert_eq!(later_than(&target, &at("2026-11-21 03:00:00+01")), None);
        assert!(later_than(&target, &at("2026-11-21 03:00:30.5+01")).is_some());
        assert_eq!(later_than(&Target::Latest, &at("2026-11-21 03:00:30.5+01")), None);
    }

    #[test]
    fn a_server_that_says_why_was_not_ended_by_others() {
        for (said, by_others) in [
            ("LOG:  restored log file \"000000010000000000000003\" from archive", true),
            ("LOG:  startup process (PID 7) was terminated by signal 9: Killed\nLOG:  database system is shut down", true),
            ("FATAL:  the database system is starting up\nLOG:  received fast shutdown request", true),
            ("FATAL:  terminating walreceiver process due to administrator command", true),
            ("LOG:  startup process (PID 7) was terminated by signal 11: Segmentation fault", false),
            ("PANIC:  WAL contains references to invalid pages\nLOG:  startup process (PID 7) was terminated by signal 6: Aborted", false),
            ("FATAL:  recovery aborted because of insufficient parameter settings", false),
        ] {
            assert_eq!(was_ended(said), by_others, "{said}");
        }
    }
}
