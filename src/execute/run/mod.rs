//! Runs jobs: each once, on record, with the steps that the plan names.
//!
//! Running twice is harmless by the design of what is run (unique names, two phases, nothing overwritten). The locks and records here make
//! it rare: a lock on this host or in the fleet's catalog, a lease in the store, and before a backup a look whether another host has
//! already taken the one that is owed.

mod archive;
mod audit;
mod backup;
mod bury;
mod checks;
mod copies;
mod drill;
mod elsewhere;
mod expire;
pub(in crate::execute) mod record;
mod refresh;
mod report;
mod steps;
mod unrecorded;
mod work;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::catalog::{self, Catalog, End, Filter, JobRecord, NewRun};
use crate::execute::backup::{self as backups, Taken};
use crate::execute::copies::Copied;
use crate::execute::drill as drills;
use crate::execute::expire::Reviewed;
use crate::pipeline::backup::Progress;
use crate::plan::{Due, LastRun, Past, RunEnd, Whose, on_demand, owed, rank};
use crate::policy::file::Overrun;
use crate::policy::model::Policy;
use crate::site::Site;
use crate::units::Instant;
use crate::world::{clock, host};

pub use archive::{UNREAD, UNREAD_SINCE};
pub use audit::{audit, deed as audit_deed, entry as audit_entry};
pub use bury::bury;
pub use copies::COPIED;
pub use expire::{BRAKE, BRAKED_SINCE, measure_brakes};
pub use unrecorded::bring_in;
pub use work::{Job, NoSuchJob, Work, find, jobs};

use record::Record;

/// Behind the name of a drill: what somebody chose for this once. No name of a policy has a dot.
const ONCE: &str = "once";

/// What runs stand on.
#[derive(Clone, Copy)]
pub struct Ground<'g> {
    pub site: &'g Site<'g>,
    /// None where it cannot be opened: a backup is taken all the same.
    pub catalog: Option<&'g Catalog>,
    pub progress: &'g Progress,
    pub stop: &'g AtomicBool,
}

impl std::fmt::Debug for Ground<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ground").field("site", self.site).finish_non_exhaustive()
    }
}

/// Why a job is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    Asked,
    Due {
        since: Instant,
    },
    /// It belongs to a run whose time had come, as expiry does to a backup.
    Follows {
        since: Instant,
    },
    /// Somebody has reviewed a plan. What it says will go: nothing else may.
    Plan {
        deletes: Reviewed,
    },
}

/// What somebody wants of a run beyond what the policy says.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    pub backup: backups::Wishes,
    pub drill: drills::Wishes,
}

/// A job that was run, or was not.
#[derive(Debug)]
pub struct Ran {
    pub job: String,
    pub started: Instant,
    pub ended: Instant,
    pub end: Ended,
    /// What came of it.
    pub made: Made,
    /// What people should know: sentences without a full stop.
    pub remarks: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    Succeeded,
    Failed {
        message: String,
        hint: String,
        transient: bool,
    },
    /// Somebody asked it to end.
    Stopped,
    /// Somebody else is at it; nothing was done and nothing is recorded.
    Busy {
        message: String,
        hint: String,
    },
    /// Another host has done it.
    Elsewhere {
        message: String,
    },
    /// It was owed when the record was read, and no longer when its turn came; nothing was done and nothing is recorded.
    NotOwed {
        message: String,
    },
}

impl Ended {
    fn failed(message: impl Into<String>, hint: impl Into<String>, transient: bool) -> Ended {
        Ended::Failed { message: message.into(), hint: hint.into(), transient }
    }
}

/// What a run made, as far as it made something.
#[derive(Debug, Default)]
pub struct Made {
    /// A backup that this run took.
    pub taken: Option<Box<Taken>>,
    /// A drill that this run was.
    pub drilled: Option<Box<drills::Drilled>>,
    /// What was copied into a second store.
    pub copied: Option<Box<Copied>>,
    pub backup: Option<String>,
    pub store: Option<String>,
    pub bytes: Option<u64>,
    pub stored_bytes: Option<u64>,
    /// SHA-256 of the descriptor, which has those of all parts.
    pub checksum: Option<String>,
}

/// Which jobs are owed now, in the order in which they run, and how every timed job stands.
#[derive(Debug)]
pub struct Owed<'p> {
    pub due: Vec<(Job<'p>, Instant)>,
    pub all: Vec<(Job<'p>, Due)>,
}

/// Looks at the record: what is owed now?
pub fn look<'p>(policy: &'p Policy, records: &[JobRecord], now: Instant) -> Owed<'p> {
    let mut timed = policy.timed();
    timed.extend(policy.copying());
    let mut owed_now = Owed { due: Vec::new(), all: Vec::new() };
    for job in jobs(policy) {
        let path = job.path.to_string();
        let whose = Whose { policy: policy.name.as_str(), job: &path };
        let past = records.iter().find(|record| record.job == path).map(past).unwrap_or_default();
        let due = match timed.iter().find(|timed| timed.path == job.path) {
            Some(timed) => owed(timed, whose, &past, now),
            None => on_demand(whose, &past, now),
        };
        if let Due::Now { since } = due {
            owed_now.due.push((job.clone(), since));
        }
        owed_now.all.push((job, due));
    }
    owed_now.due.sort_by_key(|(job, since)| (rank(job.kind()), *since));
    owed_now
}

fn past(record: &JobRecord) -> Past {
    let last = record.last_started.map(|started| {
        let running = record.running.is_some() && record.running == record.last_run;
        let end = match (running, record.last_outcome) {
            (true, _) | (false, None) => RunEnd::Running,
            (false, Some(catalog::Outcome::Succeeded)) => RunEnd::Succeeded,
            (false, Some(catalog::Outcome::Failed)) if !record.last_transient => RunEnd::Failed,
            (false, Some(catalog::Outcome::Failed | catalog::Outcome::Stopped | catalog::Outcome::Lost)) => RunEnd::BrokenOff,
        };
        LastRun {
            started,
            ended: record.last_ended.filter(|_| !running),
            end,
            asked: record.last_owed_since.is_none(),
            failures: record.failures_in_a_row,
        }
    });
    Past { first_seen: Some(record.first_seen), last, succeeded: record.last_succeeded }
}

/// Runs one job to its end.
pub fn run(ground: &Ground<'_>, job: &Job<'_>, why: &Why, wishes: &Wishes) -> Ran {
    let started = clock::now();
    let name = on_record(job, wishes);
    let span = tracing::info_span!("job", policy = ground.site.policy.name.as_str(), job = name.as_str());
    let _entered = span.enter();
    let ran = |end: Ended, made: Made, remarks: Vec<String>| Ran { job: name.clone(), started, ended: clock::now(), end, made, remarks };
    // That one may have the identity, or a way to the original; this host is not it.
    if let Some(other) = job.host_elsewhere(ground.site.host()) {
        let message = format!("`{}` runs on {other}, and this is {}", job.path, ground.site.host());
        let hint = format!("Run it there; where this host is meant, say `--host {other}`.");
        return ran(Ended::failed(message, hint, false), Made::default(), Vec::new());
    }
    // Who says that two at once are meant takes no lock.
    let guard = ground.catalog.filter(|_| !wishes.backup.force).map(|catalog| catalog.try_lock(ground.site.policy.name.as_str(), &name));
    let _guard = match guard {
        Some(Ok(None)) => {
            let hint = "`seawall status` says since when.";
            return ran(Ended::Busy { message: format!("`{name}` is running already"), hint: hint.into() }, Made::default(), Vec::new());
        }
        Some(Ok(Some(guard))) => Some(guard),
        Some(Err(fault)) => {
            tracing::warn!(hint = fault.hint, "no lock can be taken: {}", fault.message);
            None
        }
        None => None,
    };
    let owed_since = match why {
        Why::Due { since } => match still_owed(ground, job, *since) {
            Ok(since) => Some(since),
            Err(message) => return ran(Ended::NotOwed { message }, Made::default(), Vec::new()),
        },
        Why::Follows { since } => Some(*since),
        Why::Asked | Why::Plan { .. } => None,
    };
    let boot = host::boot();
    let new = NewRun {
        policy: ground.site.policy.name.as_str(),
        job: &name,
        host: ground.site.host(),
        boot: boot.as_deref(),
        pid: std::process::id(),
        why: match why {
            Why::Asked => catalog::Why::Asked,
            Why::Due { .. } | Why::Follows { .. } => catalog::Why::Due,
            Why::Plan { .. } => catalog::Why::Plan,
        },
        owed_since,
        started,
        digest: Some(&ground.site.policy.digest),
        commit: ground.site.commit(),
    };
    // Somebody else may have done it since the record was read.
    if let (Some(since), Work::Backup(backup, _)) = (owed_since, job.work) {
        match elsewhere::newest_since(ground.site, backup, since) {
            Ok(Some(other)) => {
                let id = other.id.to_string();
                let message = format!("backup {id} was taken by {} at {}", other.host, crate::plan::minute(other.started));
                let made = Made { backup: Some(id.clone()), ..Made::default() };
                let ran = ran(Ended::Elsewhere { message: message.clone() }, made, Vec::new());
                let theirs = NewRun { host: &other.host, started: other.started, ..new };
                let (entry, end) = (audit::ran(ground.site, &ran), End::with(catalog::Outcome::Succeeded, other.stopped));
                let end = End { backup: Some(&id), message: Some(&message), entry: Some(&entry), ..end };
                // Without a catalog every look would find it anew, and none of them is a run of this host's.
                let record = Record::begin(ground.catalog, &theirs);
                if record.is_kept() {
                    record.end(ground.site, &theirs, &end);
                }
                return ran;
            }
            Ok(None) => {}
            // The backup itself will say what is wrong.
            Err(fault) => tracing::debug!("the store was not asked for other hosts' backups: {}", fault.message),
        }
    }
    let record = Record::begin(ground.catalog, &new);
    let (end, made, remarks) = within_window(ground, job, |ground| match job.work {
        Work::Backup(backup, _) => backup::run(ground, backup, &wishes.backup, &record),
        _ if !record.is_kept() => {
            let hint = "Backups are taken even so; nothing else is done without being written down.";
            (Ended::failed("it cannot be recorded", hint, true), Made::default(), Vec::new())
        }
        Work::Expire => expire::run(ground, why, &record),
        Work::Copy(store) => copies::run(ground, store, &record),
        Work::Verify(_, verify) => checks::verify_stores(ground, verify, &record),
        Work::Drill(name, drill) => drill::run(ground, name, drill, &wishes.drill, &record),
        Work::Archive(archive) => archive::run(ground, archive, &record),
        Work::Retain(dropping) => archive::retain(ground, dropping, &record),
        Work::Duty(name, duty) => checks::remind(ground, name, duty, &record),
        Work::Report(name, job) => report::run(ground, name, job, &record),
        Work::NotYet(kind) => (not_yet(kind), Made::default(), Vec::new()),
    });
    let ran = ran(end, made, remarks);
    let (outcome, transient, message, hint) = match &ran.end {
        Ended::Succeeded | Ended::Elsewhere { .. } | Ended::NotOwed { .. } => (catalog::Outcome::Succeeded, false, None, None),
        Ended::Failed { message, hint, transient } => (catalog::Outcome::Failed, *transient, Some(message.as_str()), Some(hint.as_str())),
        Ended::Stopped => (catalog::Outcome::Stopped, true, Some("it was asked to end"), None),
        Ended::Busy { message, hint } => (catalog::Outcome::Stopped, true, Some(message.as_str()), Some(hint.as_str())),
    };
    let (made, entry) = (&ran.made, audit::ran(ground.site, &ran));
    record.end(
        ground.site,
        &new,
        &End {
            outcome,
            transient,
            message,
            hint: hint.filter(|hint| !hint.is_empty()),
            at: ran.ended.max(started),
            backup: made.backup.as_deref(),
            store: made.store.as_deref(),
            bytes: made.bytes,
            stored_bytes: made.stored_bytes,
            checksum: made.checksum.as_deref(),
            entry: Some(&entry),
        },
    );
    ran
}

/// The name that it has on record. A drill of what somebody chose for this once is a run of its own: it ends no failure of the policy's drill, and
/// is none that was owed.
fn on_record(job: &Job<'_>, wishes: &Wishes) -> String {
    match job.work {
        Work::Drill(_, drill) if !wishes.drill.choices(drill).is_empty() => format!("{}.{ONCE}", job.path),
        _ => job.path.to_string(),
    }
}

/// Since when it is owed by now. It waited for its turn: meanwhile somebody else may have run it, its window may have closed, or a later time
/// may have come. What the record does not say does not keep it from running.
fn still_owed(ground: &Ground<'_>, job: &Job<'_>, since: Instant) -> Result<Instant, String> {
    let (policy, now) = (ground.site.policy, clock::now());
    if let Some((name, _)) = job.window.filter(|(_, declared)| !declared.window.contains(now)) {
        return Err(format!("its turn came when the window `{name}` was closed"));
    }
    let Some(Ok(records)) = ground.catalog.map(|catalog| catalog.last_runs(policy.name.as_str())) else { return Ok(since) };
    match look(policy, &records, now).all.into_iter().find(|(one, _)| one.path == job.path) {
        Some((_, Due::Now { since })) => Ok(since),
        Some((_, due)) => Err(format!("it is owed no longer: {due}")),
        None => Ok(since),
    }
}

/// The name under which it is on record that a policy could not be read.
pub const POLICY: &str = "policy";

/// A policy that cannot be read is a run that failed, not one that nobody knows of. Once, however often it is tried.
pub fn note_unreadable(site: &Site<'_>, catalog: &Catalog, message: &str, hint: &str, since: Option<Instant>) {
    let (now, boot) = (clock::now(), host::boot());
    let noted = Filter { policy: Some(site.policy.name.as_str()), job: Some(POLICY), since, limit: 1, ..Filter::default() };
    if since.is_some() && catalog.history(&noted).is_ok_and(|noted| noted.iter().any(|run| run.host == site.host())) {
        return;
    }
    let new = NewRun {
        policy: site.policy.name.as_str(),
        job: POLICY,
        host: site.host(),
        boot: boot.as_deref(),
        pid: std::process::id(),
        why: catalog::Why::Due,
        owed_since: None,
        started: now,
        digest: None,
        commit: None,
    };
    let entry = audit::unreadable(site, now, message);
    let end = End { message: Some(message), hint: Some(hint), entry: Some(&entry), ..End::with(catalog::Outcome::Failed, now) };
    Record::begin(Some(catalog), &new).end(site, &new, &end);
}

fn not_yet(kind: crate::policy::model::TimedKind) -> Ended {
    use crate::policy::model::TimedKind;
    let what = match kind {
        TimedKind::Backup => "takes no incremental backups of a cluster, and none by another tool or a provider, so far",
        TimedKind::Drill => "restores only physical backups, dumps and files in a drill so far",
        TimedKind::Expire
        | TimedKind::Verify
        | TimedKind::Report
        | TimedKind::Duty
        | TimedKind::Archive
        | TimedKind::Retain
        | TimedKind::Copy => "cannot run this yet",
    };
    Ended::failed(
        format!("this version of seawall {what}"),
        "Take the job out of the policy until it can, or run it by other means.",
        false,
    )
}

/// A job whose policy says so ends when its window does.
fn within_window(
    ground: &Ground<'_>,
    job: &Job<'_>,
    work: impl FnOnce(&Ground<'_>) -> (Ended, Made, Vec<String>),
) -> (Ended, Made, Vec<String>) {
    let now = clock::now();
    let Some((name, declared)) = job.window else { return work(ground) };
    let Some((_, closes)) = declared.window.opening_around(now) else { return work(ground) };
    let room = Duration::try_from(closes.duration_since(now)).unwrap_or(Duration::ZERO);
    let (closed, stop) = (AtomicBool::new(false), AtomicBool::new(false));
    let (mut end, made, mut remarks) = thread::scope(|scope| {
        let (done, ended) = mpsc::channel::<()>();
        let (closed, stop, asked) = (&closed, &stop, ground.stop);
        scope.spawn(move || {
            let began = std::time::Instant::now();
            while ended.recv_timeout(Duration::from_millis(100)) == Err(RecvTimeoutError::Timeout) {
                if asked.load(Ordering::Relaxed) {
                    stop.store(true, Ordering::Relaxed);
                }
                if began.elapsed() >= room && !closed.swap(true, Ordering::Relaxed) && declared.overrun == Overrun::Stop {
                    tracing::warn!("the window `{name}` has closed, so it ends");
                    stop.store(true, Ordering::Relaxed);
                }
            }
        });
        let result = work(&Ground { stop, ..*ground });
        drop(done);
        result
    });
    if closed.load(Ordering::Relaxed) {
        match (&end, declared.overrun) {
            (Ended::Stopped, Overrun::Stop) if !ground.stop.load(Ordering::Relaxed) => {
                let hint = format!("It is tried again in the next window; make `windows.{name}` longer if that happens often.");
                end = Ended::failed(format!("it was stopped when the window `{name}` closed"), hint, true);
            }
            _ => remarks.push(format!("it ran on after the window `{name}` had closed")),
        }
    }
    (end, made, remarks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_chose_for_once_is_a_run_of_its_own() {
        let text = "version: 1\npolicy: shop\nowner: dba@example.com\ncluster: { connection: service=t, databases: [app] }\n\
             encryption: { none: { because: a test } }\nstores: { main: { local: { path: /srv/main } } }\n\
             backups: { nightly: { physical: {}, store: main, schedule: { at: '02:00' }, keep: { daily: 3 } } }\n\
             wal: { store: main, timeout: 60s, keep: 7d }\ndrills: { weekly: { restore: { latest: nightly } } }\n";
        let path = std::path::Path::new("t.yaml");
        let document = crate::policy::document::Document::load("t.yaml", path, &|_| Ok(text.as_bytes().to_vec()));
        let policy = crate::policy::resolve::resolve(&document, jiff::civil::date(2026, 11, 21)).policy.expect("a policy");
        let chosen = Wishes { drill: drills::Wishes { random: true, ..drills::Wishes::default() }, ..Wishes::default() };
        let named = |job: &str, wishes: &Wishes| on_record(&find(&policy, job).expect("a job"), wishes);
        assert_eq!(named("drills.weekly", &Wishes::default()), "drills.weekly");
        assert_eq!(named("drills.weekly", &chosen), "drills.weekly.once");
        assert_eq!(named("backups.nightly", &chosen), "backups.nightly");
    }
}
