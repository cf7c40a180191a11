//! Runs and their steps: begun, ended, and what became of those that nobody ended.

use std::fmt;
use std::str::FromStr;

use super::bounds::{maybe_name, maybe_said, name, said, size};
use super::fault::{CatalogFault, FaultKind};
use super::link::Link;
use super::value::Row;
use super::words::words;
use super::{Catalog, audit, jobs};
use crate::format::audit::Entry;
use crate::units::Instant;

/// A run's number, as people write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub(super) i64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for RunId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<RunId, Self::Err> {
        text.parse().map(RunId)
    }
}

words! {
    /// Why a run was begun.
    Why {
        /// Its time had come.
        Due = "due",
        /// Somebody asked for this job.
        Asked = "asked",
        /// A reviewed plan was run.
        Plan = "plan",
    }
}

words! {
    /// How a run ended.
    Outcome {
        Succeeded = "succeeded",
        Failed = "failed",
        /// Somebody stopped it.
        Stopped = "stopped",
        /// Its process is gone and left no word.
        Lost = "lost",
    }
}

words! {
    /// How a step ended.
    StepOutcome {
        Succeeded = "succeeded",
        Failed = "failed",
        Stopped = "stopped",
        /// It was no longer needed.
        Skipped = "skipped",
    }
}

/// What is known when a run begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRun<'r> {
    pub policy: &'r str,
    /// A path of the policy: `backups.nightly`.
    pub job: &'r str,
    pub host: &'r str,
    /// The machine's run since it was started; with the process's number it tells whether that process can still be alive.
    pub boot: Option<&'r str>,
    pub pid: u32,
    pub why: Why,
    /// Since when it should have run.
    pub owed_since: Option<Instant>,
    pub started: Instant,
    /// Of the policy.
    pub digest: Option<&'r str>,
    /// Of the policy's repository.
    pub commit: Option<&'r str>,
}

/// What is known when a run ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End<'e> {
    pub outcome: Outcome,
    /// The same may work later.
    pub transient: bool,
    pub message: Option<&'e str>,
    pub hint: Option<&'e str>,
    pub at: Instant,
    /// The backup that was made.
    pub backup: Option<&'e str>,
    pub store: Option<&'e str>,
    /// Of the data.
    pub bytes: Option<u64>,
    /// In the store.
    pub stored_bytes: Option<u64>,
    pub checksum: Option<&'e str>,
    /// What the audit chain says of it: with the end or not at all.
    pub entry: Option<&'e Entry>,
}

impl End<'_> {
    /// An end of which nothing else is known.
    pub fn with(outcome: Outcome, at: Instant) -> End<'static> {
        End {
            outcome,
            transient: false,
            message: None,
            hint: None,
            at,
            backup: None,
            store: None,
            bytes: None,
            stored_bytes: None,
            checksum: None,
            entry: None,
        }
    }
}

/// A run without an end. Whoever can see that its process is gone ends it as lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abandoned {
    pub run: RunId,
    pub policy: String,
    pub job: String,
    pub host: String,
    pub boot: Option<String>,
    pub pid: u32,
    pub started: Instant,
}

impl Catalog {
    /// Records that a run begins.
    pub fn begin_run(&self, new: &NewRun<'_>) -> Result<RunId, CatalogFault> {
        let values = vec![
            name(new.policy)?,
            name(new.job)?,
            name(new.host)?,
            maybe_name(new.boot)?,
            i64::from(new.pid).into(),
            new.why.word().into(),
            new.owed_since.into(),
            new.started.into(),
            maybe_name(new.digest)?,
            maybe_name(new.commit)?,
        ];
        self.write(|link| {
            const SQL: &str = "INSERT INTO runs (policy, job, host, boot, pid, why, owed_since, started, digest, git_commit) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id";
            let mut row = link.ask_one(SQL, values)?.ok_or_else(nothing_returned)?;
            let run = RunId(row.int()?);
            jobs::begun(link, run, new)?;
            Ok(run)
        })
    }

    /// Records that a step of a run begins. `says` is the plan's line for it. A step that is tried again begins anew.
    pub fn begin_step(&self, run: RunId, number: u32, action: &str, says: &str, at: Instant) -> Result<(), CatalogFault> {
        const SQL: &str = "INSERT INTO steps (run, number, action, says, started) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (run, number) DO UPDATE \
             SET action = excluded.action, says = excluded.says, started = excluded.started, ended = NULL, outcome = NULL, message = NULL";
        let values = vec![run.0.into(), i64::from(number).into(), name(action)?, said(says), at.into()];
        self.write(|link| {
            must_be_there(link, run)?;
            link.ask(SQL, values).map(drop)
        })
    }

    pub fn end_step(&self, run: RunId, number: u32, outcome: StepOutcome, message: Option<&str>, at: Instant) -> Result<(), CatalogFault> {
        const SQL: &str = "UPDATE steps SET outcome = $3, message = $4, ended = $5 WHERE run = $1 AND number = $2 RETURNING number";
        let values = vec![run.0.into(), i64::from(number).into(), outcome.word().into(), maybe_said(message), at.into()];
        self.write(|link| {
            if link.ask(SQL, values)?.is_empty() {
                must_be_there(link, run)?;
                return Err(CatalogFault::new(FaultKind::Conflict, format!("run {run} has no step {number} to end"), REPLACED));
            }
            Ok(())
        })
    }

    /// Records how a run ended. One that was given up for lost, and was only asleep, tells its own end after all; the same end twice is
    /// said once.
    pub fn end_run(&self, run: RunId, end: &End<'_>) -> Result<(), CatalogFault> {
        const SQL: &str = "UPDATE runs SET ended = $2, outcome = $3, transient = $4, message = $5, hint = $6, backup = $7, store = $8, bytes = $9, \
             stored_bytes = $10, checksum = $11 WHERE id = $1 AND (ended IS NULL OR outcome = 'lost') RETURNING policy, job";
        let values = vec![
            run.0.into(),
            end.at.into(),
            end.outcome.word().into(),
            end.transient.into(),
            maybe_said(end.message),
            maybe_said(end.hint),
            maybe_name(end.backup)?,
            maybe_name(end.store)?,
            size(end.bytes),
            size(end.stored_bytes),
            maybe_name(end.checksum)?,
        ];
        self.write(|link| match link.ask_one(SQL, values)? {
            Some(mut row) => {
                let (policy, job) = (row.text()?, row.text()?);
                jobs::refresh(link, &policy, &job)?;
                end.entry.map_or(Ok(()), |entry| audit::add(link, entry).map(drop))
            }
            None => must_have_ended(link, run, end.outcome),
        })
    }

    /// The runs of a policy that have no end, whichever host began them, oldest first.
    pub fn abandoned(&self, policy: &str) -> Result<Vec<Abandoned>, CatalogFault> {
        const SQL: &str = "SELECT id, policy, job, host, boot, pid, started FROM runs WHERE policy = $1 AND ended IS NULL ORDER BY id";
        let values = vec![name(policy)?];
        let read = |mut row: Row| {
            Ok(Abandoned {
                run: RunId(row.int()?),
                policy: row.text()?,
                job: row.text()?,
                host: row.text()?,
                boot: row.maybe_text()?,
                pid: u32::try_from(row.int()?).unwrap_or_default(),
                started: row.instant()?,
            })
        };
        self.read(|link| link.ask(SQL, values)?.into_iter().map(read).collect())
    }
}

const REPLACED: &str = "Was the catalog deleted or replaced by an older copy while the run was under way? What it did is in the store.";

fn must_be_there(link: &mut Link, run: RunId) -> Result<(), CatalogFault> {
    match link.ask_one("SELECT 1 FROM runs WHERE id = $1", vec![run.0.into()])? {
        Some(_) => Ok(()),
        None => Err(CatalogFault::new(FaultKind::Conflict, format!("the catalog knows no run {run}"), REPLACED)),
    }
}

fn must_have_ended(link: &mut Link, run: RunId, outcome: Outcome) -> Result<(), CatalogFault> {
    must_be_there(link, run)?;
    let row = link.ask_one("SELECT outcome FROM runs WHERE id = $1", vec![run.0.into()])?;
    let recorded = row.map(|mut row| row.maybe_text()).transpose()?.flatten().unwrap_or_default();
    // Nobody overwrites a run's own word with a guess.
    if recorded == outcome.word() || outcome == Outcome::Lost {
        return Ok(());
    }
    let message = format!("run {run} is recorded as {recorded} already and cannot become {outcome}");
    Err(CatalogFault::new(FaultKind::Conflict, message, "Two processes took themselves for the same run: please report it."))
}

pub(super) fn nothing_returned() -> CatalogFault {
    CatalogFault::new(FaultKind::Other, "the catalog did not say what it recorded", "This is a bug in Seawall: please report it.")
}
