//! How a policy stands by what is on record: what ran, what is owed, what is wrong. The same for every command that tells it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::account::{self, HoldAccount};
use super::recovery::{RecoveryStanding, recovery};
use crate::alert::{Firing, Silence, Unheard, severity_of_failure};
use crate::catalog::{FailingReceiver, JobRecord, Latest, Outcome, RunRow, Size, Taken, Undelivered};
use crate::evidence::{EVERYTHING, newest_of_all};
use crate::inventory::Observed;
use crate::plan::words::{about, counted, plain};
use crate::plan::{Due, minute};
use crate::policy::file::Severity;
use crate::policy::model::{Method, Policy, TimedKind};
use crate::schedule::Schedule;
use crate::units::{Duration, Instant, Name, moment_of};

/// Whoever looked longer ago than this does not look any more.
const UNWATCHED: Duration = Duration::from_mins(15);
/// What is owed for so long without being tried is started by nobody.
const UNTRIED: Duration = Duration::from_hours(1);
/// Watching lists what a store has at least so often: a backup that is newer may not be in its list yet.
const LISTED: Duration = Duration::from_mins(65);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    Well,
    Warning,
    Critical,
}

impl From<Severity> for Level {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Critical => Level::Critical,
            Severity::Warning => Level::Warning,
            Severity::Info => Level::Well,
        }
    }
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Problem {
    /// Somebody takes care of what is critical: it is a warning from then on.
    pub level: Level,
    /// That of the alert, where there is one.
    pub key: String,
    /// What is wrong, in a line.
    pub title: String,
    /// More of it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Instant>,
    /// What to do, as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Who takes care of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged_by: Option<String>,
}

impl Problem {
    pub fn new(level: Level, key: impl Into<String>, title: impl Into<String>) -> Self {
        Problem { level, key: key.into(), title: title.into(), text: String::new(), since: None, hint: None, acknowledged_by: None }
    }

    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Problem { hint: Some(hint.into()).filter(|hint| !hint.is_empty()), ..self }
    }
}

/// What the catalog says of one policy.
#[derive(Debug, Default)]
pub struct OnRecord {
    pub records: Vec<JobRecord>,
    /// Each job's last run.
    pub last: BTreeMap<String, RunRow>,
    /// What each job's last good run made, and how long it took.
    pub made: BTreeMap<String, Size>,
    pub took: BTreeMap<String, Taken>,
    pub firing: Vec<Firing>,
    /// What of that nobody has heard of.
    pub unheard: Vec<Unheard>,
    pub undelivered: Vec<Undelivered>,
    pub failing: Vec<FailingReceiver>,
    pub measured: Measurements,
    /// Of the last 30 days: how many runs succeeded, and how many there were.
    pub runs: (u64, u64),
    /// Duties that are done: who said so, and when.
    pub done: BTreeMap<String, (String, Instant)>,
}

/// The newest figures.
#[derive(Debug, Default)]
pub struct Measurements(pub Vec<Latest>);

impl Measurements {
    fn find(&self, name: &str, subject: &str) -> Option<&Latest> {
        self.0.iter().find(|one| one.name == name && one.subject == subject)
    }

    /// When somebody last looked at everything.
    pub fn watched(&self) -> Option<Instant> {
        self.find("watched", "").map(|one| one.at)
    }

    /// As it was last written, whenever that was.
    pub fn last(&self, name: &str, subject: &str) -> Option<f64> {
        self.find(name, subject).map(|one| one.value)
    }

    /// As it was seen at the last look; none if it was not.
    pub fn seen(&self, name: &str, subject: &str) -> Option<f64> {
        let watched = self.watched()?;
        self.find(name, subject).filter(|one| one.at == watched).map(|one| one.value)
    }

    /// All of this name, by subject.
    pub fn all_seen<'m>(&'m self, name: &'m str) -> impl Iterator<Item = (&'m str, f64)> + 'm {
        let watched = self.watched();
        self.0.iter().filter(move |one| one.name == name && Some(one.at) == watched).map(|one| (one.subject.as_str(), one.value))
    }
}

/// When a job of the policy is to run.
#[derive(Debug, Clone)]
pub struct JobDue {
    pub job: String,
    pub kind: TimedKind,
    pub due: Due,
    pub schedule: Option<Schedule>,
}

/// How a policy stands.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Standing {
    /// Its name; its file where that cannot be read.
    pub policy: String,
    /// The worst of its problems.
    pub level: Level,
    /// Why it is not known how it stands, or how it stands now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
    /// When `seawall watch` last looked.
    pub watched: Option<Instant>,
    /// Worst first.
    pub problems: Vec<Problem>,
    /// Every job.
    pub jobs: Vec<JobStanding>,
    /// Alerts, worst first.
    pub firing: Vec<Firing>,
    /// What of that nobody has heard of, and why.
    pub unheard: Vec<Unheard>,
    /// Whom messages do not reach.
    pub receivers: Vec<Receiver>,
    /// How many messages have not arrived.
    pub undelivered: usize,
    /// Every store, as it was last seen.
    pub stores: Vec<Store>,
    /// Of the last 30 days.
    pub runs: Succeeded,
    /// How much may be lost.
    pub rpo: Option<Duration>,
    /// What recoveries have shown.
    pub recovery: RecoveryStanding,
    /// Everything before this moment would survive the loss of the server, as far as was seen. Absent where something would be lost as a whole, and where
    /// nobody can say.
    pub safe_until: Option<Instant>,
    /// Why nobody can say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub safe_until_unknown: Option<String>,
    /// The oldest log that is not archived; none where nothing waits, or where that is not known.
    pub wal_waiting_since: Option<Instant>,
    /// The archive's lag is known, and none means that nothing waits.
    pub wal_known: bool,
    /// By how much this host's clock and the server's differ.
    pub clock_skew_seconds: Option<u64>,
    /// What may not go, by the policy.
    pub holds: Vec<HoldAccount>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct JobStanding {
    /// As a path of the policy.
    pub job: String,
    /// What sort of job it is.
    pub kind: TimedKind,
    /// Whether it should run now.
    pub due: Due,
    /// Since when it runs.
    pub running_since: Option<Instant>,
    /// When it last began.
    pub last_started: Option<Instant>,
    /// When it last ended.
    pub last_ended: Option<Instant>,
    /// What came of it.
    pub last_outcome: Option<&'static str>,
    /// Why it is so.
    pub last_message: Option<String>,
    /// When it last went well.
    pub last_succeeded: Option<Instant>,
    /// How often it has failed since.
    pub failures_in_a_row: u32,
    /// It should have succeeded again long ago.
    pub overdue: bool,
    /// From which age of its last success on it is.
    pub overdue_after_seconds: Option<u64>,
    /// When its newest backup was complete.
    pub newest_backup: Option<Instant>,
    /// The same of those that have all that the job is to have now.
    #[serde(skip)]
    pub newest_whole: Observed<Option<Instant>>,
    /// How large the data of the last good backup were.
    pub bytes: Option<u64>,
    /// How much of the store that takes.
    pub stored_bytes: Option<u64>,
    /// How long that took.
    pub took_seconds: Option<f64>,
}

/// Beside what came of the last run stands nothing of another one.
impl JobStanding {
    fn shows_the_good_one(&self) -> bool {
        self.running_since.is_none() && self.last_outcome == Some(Outcome::Succeeded.word())
    }

    /// How long that run took whose outcome is the last one.
    pub fn took_then(&self) -> Option<f64> {
        if self.shows_the_good_one() {
            return self.took_seconds;
        }
        // When one that was lost ended nobody knows.
        let ended = self.last_ended.filter(|_| self.running_since.is_none() && self.last_outcome != Some(Outcome::Lost.word()))?;
        let started = self.last_started.filter(|started| *started <= ended)?;
        Some(ended.duration_since(started).as_secs_f64())
    }

    /// How much of the store it takes.
    pub fn stored_then(&self) -> Option<u64> {
        self.stored_bytes.or(self.bytes).filter(|_| self.shows_the_good_one())
    }
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Receiver {
    pub receiver: String,
    pub since: Instant,
    pub attempts: u32,
    pub error: String,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Store {
    pub store: String,
    pub answers: Option<bool>,
    pub used_bytes: Option<u64>,
    pub capacity_bytes: Option<u64>,
    /// How long the oldest thing that belongs here as a second copy has been missing; 0 where nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy_behind_seconds: Option<u64>,
}

/// Of the last 30 days' runs.
#[derive(Debug, Clone, Copy, Default, Serialize, JsonSchema)]
pub struct Succeeded {
    pub succeeded: u64,
    pub all: u64,
}

impl Standing {
    /// Of this policy nothing is known.
    pub fn unknown(policy: impl Into<String>, problem: Problem) -> Self {
        Standing {
            policy: policy.into(),
            level: problem.level,
            unknown: Some(problem.title.clone()),
            watched: None,
            jobs: Vec::new(),
            firing: Vec::new(),
            unheard: Vec::new(),
            receivers: Vec::new(),
            undelivered: 0,
            stores: Vec::new(),
            runs: Succeeded::default(),
            rpo: None,
            recovery: RecoveryStanding::default(),
            safe_until: None,
            safe_until_unknown: Some(problem.title.clone()),
            wal_waiting_since: None,
            wal_known: false,
            clock_skew_seconds: None,
            holds: Vec::new(),
            problems: vec![problem],
        }
    }

    /// One more thing that is wrong.
    pub fn add(&mut self, problem: Problem) {
        self.level = self.level.max(problem.level);
        self.problems.push(problem);
        self.problems.sort_by_key(|problem| std::cmp::Reverse(problem.level));
    }
}

/// Puts together how a policy stands.
pub fn stand(policy: &Policy, record: &OnRecord, dues: &[JobDue], now: Instant) -> Standing {
    let measured = &record.measured;
    let jobs: Vec<JobStanding> = dues.iter().map(|due| job(policy, due, record, now)).collect();
    let wal = policy.wal.as_ref().and_then(|_| measured.seen("wal_waiting_since", ""));
    let wal_waiting_since = wal.and_then(moment_of);
    let stores = policy.stores.iter().map(|(name, store)| Store {
        store: name.to_string(),
        answers: measured.seen("store_answers", name.as_str()).map(|answers| answers > 0.0),
        used_bytes: measured.seen("store_used_bytes", name.as_str()).map(|used| used as u64),
        capacity_bytes: store.capacity.map(|capacity| capacity.get()),
        copy_behind_seconds: measured
            .seen("copy_behind_since", name.as_str())
            .map(|since| moment_of(since).map_or(0, |since| Duration::between(since, now).as_secs())),
    });
    let receivers = record.failing.iter().map(|one| Receiver {
        receiver: one.receiver.clone(),
        since: one.since,
        attempts: one.attempts,
        error: one.last_error.clone(),
    });
    let problems = problems(record, &jobs, now);
    let recovery = recovery(policy, measured);
    let (safe_until, safe_until_unknown) = match safe_until(policy, measured, recovery.lost_seconds, &jobs) {
        Observed::Known(until) => (until, None),
        Observed::Unknown { reason } => (None, Some(reason)),
    };
    Standing {
        policy: policy.name.to_string(),
        level: problems.iter().map(|problem| problem.level).max().unwrap_or(Level::Well),
        unknown: None,
        watched: measured.watched(),
        firing: record.firing.clone(),
        unheard: record.unheard.clone(),
        receivers: receivers.collect(),
        undelivered: record.undelivered.len(),
        stores: stores.collect(),
        runs: Succeeded { succeeded: record.runs.0, all: record.runs.1 },
        rpo: policy.objectives.rpo,
        safe_until,
        safe_until_unknown,
        recovery,
        wal_waiting_since,
        wal_known: wal.is_some(),
        clock_skew_seconds: measured.seen("clock_skew_seconds", "").map(|skew| skew as u64),
        holds: account::holds(policy, None, now).into_iter().filter(|hold| hold.active).collect(),
        jobs,
        problems,
    }
}

/// As it was seen at the last look, with gaps in the store, heartbeat rows, and what is gone. Where that look could not say, by what is on record.
fn safe_until(policy: &Policy, measured: &Measurements, lost: Option<u64>, jobs: &[JobStanding]) -> Observed<Option<Instant>> {
    if let Some((lost, watched)) = lost.map(Duration::from_secs).zip(measured.watched()) {
        return Observed::Known(if lost < EVERYTHING { watched.checked_sub(lost.to_signed()).ok() } else { None });
    }
    let made = |name: &Name, database: &str| {
        let is_to_have = policy.is_to_have(name, database);
        let job = jobs.iter().find(|job| job.job.strip_prefix("backups.") == Some(name.as_str())).filter(|_| is_to_have);
        match job.map(|job| (&job.newest_whole, job.newest_backup)) {
            None => Observed::Known(None),
            // Of which database something is missing, only a look can tell.
            Some((Observed::Known(None), Some(_))) => {
                Observed::unknown(format!("the backups of `{name}` do not have all that it is to have"))
            }
            Some((newest, _)) => newest.clone(),
        }
    };
    // The log is worth nothing without a backup that it goes on from.
    let newest = newest_of_all(policy, made);
    let log = policy.wal.as_ref().and_then(|_| measured.seen("wal_waiting_since", ""));
    let until = log.and_then(|waiting| moment_of(waiting).or(measured.watched()));
    newest.map(|newest| newest.map(|newest| until.map_or(newest, |until| until.max(newest))))
}

fn job(policy: &Policy, due: &JobDue, record: &OnRecord, now: Instant) -> JobStanding {
    let known = record.records.iter().find(|known| known.job == due.job);
    // A drill that somebody ran by hand, or on another host, has its own record.
    let drilled = due.job.strip_prefix("drills.").and_then(|drill| record.measured.seen("drill_passed", drill)).and_then(moment_of);
    let succeeded = known.and_then(|known| known.last_succeeded).max(drilled);
    let took = record.took.get(&due.job).map(|took| took.ended.duration_since(took.started).as_secs_f64());
    let takes = Duration::from_secs(took.unwrap_or(0.0).max(0.0) as u64);
    let schedule = due.schedule.as_ref().filter(|_| due.kind != TimedKind::Duty);
    let expected = schedule.and_then(|schedule| schedule.expected_since(&policy.patience(&due.job, takes), now));
    let last_good = succeeded.or(known.map(|known| known.first_seen));
    let made = record.made.get(&due.job);
    let newest_backup = (due.kind == TimedKind::Backup).then(|| newest_backup(&record.measured, &due.job, succeeded)).flatten();
    JobStanding {
        job: due.job.clone(),
        kind: due.kind,
        due: due.due.clone(),
        running_since: known
            .filter(|known| known.running.is_some() && known.running == known.last_run)
            .and_then(|known| known.last_started),
        last_started: known.and_then(|known| known.last_started),
        last_ended: known.and_then(|known| known.last_ended),
        last_outcome: known.and_then(|known| known.last_outcome).map(Outcome::word),
        last_message: record.last.get(&due.job).and_then(|run| run.message.clone()),
        last_succeeded: succeeded,
        failures_in_a_row: known.map_or(0, |known| known.failures_in_a_row),
        overdue: expected.zip(last_good).is_some_and(|(expected, last)| last < expected),
        overdue_after_seconds: expected.map(|expected| Duration::between(expected, now).as_secs()),
        newest_backup,
        newest_whole: newest_whole(policy, &record.measured, &due.job, newest_backup),
        bytes: made.map(|made| made.bytes),
        stored_bytes: made.and_then(|made| made.stored_bytes),
        took_seconds: took,
    }
}

/// What was seen in the store, or made since it was looked at. What only the record knows of may be gone.
fn newest_backup(measured: &Measurements, job: &str, succeeded: Option<Instant>) -> Option<Instant> {
    let Some((seen, watched)) = measured.seen("backup_newest", job).zip(measured.watched()) else { return succeeded };
    let since = succeeded.filter(|at| Duration::between(*at, watched) < LISTED);
    moment_of(seen).max(since)
}

/// What a dump or a copy of files was to have may be less than it is to have now; what was made since that was looked at was made as it is now.
fn newest_whole(policy: &Policy, measured: &Measurements, job: &str, newest: Option<Instant>) -> Observed<Option<Instant>> {
    let method = job.strip_prefix("backups.").and_then(|name| policy.backups.get(name)).map(|backup| &backup.method);
    let may_lack = matches!(method, Some(Method::Logical(_) | Method::Files(_)));
    let Some(seen) = measured.seen("backup_newest", job).filter(|_| may_lack) else { return Observed::Known(newest) };
    if newest > moment_of(seen) {
        return Observed::Known(newest);
    }
    match measured.seen("backup_newest_whole", job) {
        Some(whole) => Observed::Known(moment_of(whole)),
        None if newest.is_none() => Observed::Known(None),
        None => Observed::unknown("what its backups have is not recorded, or cannot be opened here"),
    }
}

/// Alerts, and what the record shows by itself: those who should raise alerts may be what is broken.
fn problems(record: &OnRecord, jobs: &[JobStanding], now: Instant) -> Vec<Problem> {
    let mut all: Vec<Problem> = record.firing.iter().map(|firing| of_alert(firing, record)).collect();
    let mut more = vec![];
    more.extend(unwatched(record.measured.watched(), now));
    for job in jobs.iter().filter(|job| job.kind != TimedKind::Duty) {
        more.extend(of_job(job, now));
    }
    more.extend(of_messages(record));
    more.retain(|problem| all.iter().all(|known| known.key != problem.key));
    all.extend(more);
    all.sort_by_key(|problem| std::cmp::Reverse(problem.level));
    all
}

fn of_alert(firing: &Firing, record: &OnRecord) -> Problem {
    let level = match &firing.acknowledged_by {
        Some(_) => Level::from(firing.severity).min(Level::Warning),
        None => firing.severity.into(),
    };
    Problem {
        since: Some(firing.since),
        acknowledged_by: firing.acknowledged_by.clone(),
        text: format!("{}{}", firing.text, silence(firing, record)).trim_start().to_owned(),
        hint: firing.hint.clone(),
        ..Problem::new(level, firing.key.clone(), firing.title.clone())
    }
}

/// What keeps people from hearing of it.
fn silence(firing: &Firing, record: &OnRecord) -> &'static str {
    match record.unheard.iter().find(|unheard| unheard.key == firing.key).map(|unheard| unheard.why) {
        None => "",
        Some(Silence::NoRoute) => " Nobody has heard of it: no route of `alerts.routes` is for it.",
        Some(Silence::NotNow) => " Nobody has heard of it yet: it is told when the time of its route comes.",
        Some(Silence::Failing) => " Nobody has heard of it: messages to those who were told do not arrive.",
    }
}

fn unwatched(watched: Option<Instant>, now: Instant) -> Option<Problem> {
    let title = match watched {
        None => "`seawall watch` has never looked: nobody would hear of anything".to_owned(),
        // Duration::between is zero for what lies ahead: a clock that was set back must not hide that nobody looks.
        Some(at) if now.duration_since(at).abs() <= UNWATCHED.to_signed() => return None,
        Some(at) if at > now => {
            format!("`seawall watch` last looked at {}, which lies ahead: the clock was set back, and nobody has looked since", minute(at))
        }
        Some(at) => {
            let ago = about(now.as_second() - at.as_second());
            format!("`seawall watch` last looked {ago} ago: nobody hears of anything since")
        }
    };
    let hint = "See whether its timer runs: `systemctl list-timers 'seawall*'`.";
    Some(Problem { since: watched, ..Problem::new(Level::Critical, "watch", title).hint(hint) })
}

fn of_job(job: &JobStanding, now: Instant) -> Vec<Problem> {
    let mut found = Vec::new();
    let failed = job.failures_in_a_row > 0 && job.last_outcome.is_some_and(|last| last != Outcome::Succeeded.word());
    if failed {
        let times = if job.failures_in_a_row > 1 { format!(" {} in a row", counted(job.failures_in_a_row, "time")) } else { String::new() };
        let why = job.last_message.as_ref().map(|message| format!(": {}", plain(message))).unwrap_or_default();
        let problem =
            Problem::new(severity_of_failure(&job.job).into(), format!("failed:{}", job.job), format!("{} failed{times}{why}", job.job));
        found.push(Problem { since: job.last_ended, ..problem.hint(format!("`seawall history {}` shows its runs.", job.job)) });
    }
    let run_it = format!("See whether the timer of `seawall run --due` runs; `seawall run {}` runs it now.", job.job);
    if job.overdue {
        let level = if job.kind == TimedKind::Backup { Level::Critical } else { Level::Warning };
        let last = match job.last_succeeded {
            Some(at) => format!("it last succeeded {} ago", about(now.as_second() - at.as_second())),
            None => "it has never succeeded".to_owned(),
        };
        found.push(Problem::new(level, format!("overdue:{}", job.job), format!("{} is overdue: {last}", job.job)).hint(run_it));
    } else if let Due::Now { since } = &job.due
        && job.running_since.is_none()
        && Duration::between(*since, now) > UNTRIED
    {
        let title = format!("{} is owed and nobody has begun it", job.job);
        found.push(Problem { since: Some(*since), ..Problem::new(Level::Warning, format!("owed:{}", job.job), title).hint(run_it) });
    }
    found
}

fn of_messages(record: &OnRecord) -> Vec<Problem> {
    let of_receiver = |one: &FailingReceiver| {
        let title = format!("messages do not reach `{}`: {}", one.receiver, plain(&one.last_error));
        let hint = format!("`seawall notify test {}` tries it now.", one.receiver);
        Problem { since: Some(one.since), ..Problem::new(Level::Warning, format!("delivery:{}", one.receiver), title).hint(hint) }
    };
    let mut found: Vec<Problem> = record.failing.iter().map(of_receiver).collect();
    // Where something arrived since, or somebody knows of it, that is past.
    let fails = |receiver: &str| record.failing.iter().any(|one| one.receiver == receiver);
    let given_up = record.undelivered.iter().filter(|notice| notice.gave_up && fails(&notice.receiver)).count();
    if given_up > 0 {
        let title = format!("{} never arrived, and nobody tries any more", counted(given_up, "message"));
        found.push(Problem::new(Level::Warning, "given_up", title));
    }
    found
}
