//! Whether the jobs of a database do what they were told.
//!
//! Judged by the chunks wherever those can tell: a job may have done its work and be recorded as failed all the same, and one whose
//! scheduler does not run is not recorded at all.

use serde::Serialize;

use super::amount::Amount;
use super::database::table_words;
use crate::inventory::{Chunk, JobKind, LastJobRun, TimescaleJob, TimescaleState};
use crate::plan::words::plain;
use crate::units::{Duration, Instant};

/// A server of these says it of jobs that have done all they should (PostgreSQL's minor versions of November 2026 with TimescaleDB
/// up to 2.29): where nothing else can be looked at, it is no reason to wake anybody.
const SAYS_NOTHING: &str = "cannot drop portal";

/// So late a scheduler may be that has much to do, however short an interval is.
const PATIENCE: Duration = Duration::from_mins(10);

/// What is wrong where no job can run.
pub const NO_WORKERS: &str = "there are no background workers (`timescaledb.max_background_workers` is 0)";

/// What is to be said of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobReport {
    pub id: i32,
    /// `retention of prices`
    pub does: String,
    pub state: JobState,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    Well,
    /// It is recorded as failed, and what it should have done is done.
    Excused {
        error: String,
    },
    /// What it should have done is not done.
    Behind {
        amount: Amount,
        error: Option<String>,
    },
    /// It is recorded as failed, and nothing else can tell.
    Failed {
        error: String,
        since: Option<Instant>,
    },
    /// It should have begun long ago, and nothing else can tell what it has left.
    Overdue {
        since: Instant,
    },
    /// It waits for background workers, and there are none.
    NoWorkers,
}

/// All jobs but TimescaleDB's own housekeeping.
pub fn job_reports(state: &TimescaleState, now: Instant) -> Vec<JobReport> {
    let own = |job: &&TimescaleJob| job.does == JobKind::Other && job.procedure.starts_with("_timescaledb_");
    state.jobs.iter().filter(|job| !own(job)).map(|job| JobReport { id: job.id, does: words(job), state: judge(state, job, now) }).collect()
}

fn words(job: &TimescaleJob) -> String {
    let does = match job.does {
        JobKind::Retention => "retention",
        JobKind::Compression => "compression",
        JobKind::Refresh => "refresh",
        JobKind::Other => return plain(&job.procedure),
    };
    match &job.of {
        Some(of) => format!("{does} of {}", table_words(of)),
        None => does.to_owned(),
    }
}

fn judge(state: &TimescaleState, job: &TimescaleJob, now: Instant) -> JobState {
    let error = error(job.last.as_ref());
    if let Some(left) = left(state, job, now) {
        return match (left.is_nothing(), error) {
            (true, None) => JobState::Well,
            (true, Some(error)) => JobState::Excused { error },
            (false, error) => JobState::Behind { amount: left, error },
        };
    }
    match error {
        Some(error) if !error.contains(SAYS_NOTHING) => JobState::Failed { error, since: job.last.as_ref().map(|last| last.started) },
        _ if job.scheduled && state.background_workers == Some(0) => JobState::NoWorkers,
        error => match (overdue(job, now), error) {
            (Some(since), _) => JobState::Overdue { since },
            (None, None) => JobState::Well,
            (None, Some(error)) => JobState::Excused { error },
        },
    }
}

/// Since when it should have begun, where that is more than twice its own interval ago. One that never ran says nothing of when it should have.
fn overdue(job: &TimescaleJob, now: Instant) -> Option<Instant> {
    let (utc, every) = (jiff::tz::TimeZone::UTC, job.every.period()?);
    // Of one that runs now, or died while it did, TimescaleDB does not say when it runs next.
    let due = job.next_start.or_else(|| Some(every.after(job.last.as_ref()?.started, &utc)))?;
    let late = every.after(every.after(due, &utc), &utc);
    let patient = due.checked_add(PATIENCE.to_signed()).unwrap_or(Instant::MAX);
    let is_overdue = job.scheduled && late.max(patient) < now;
    is_overdue.then_some(due)
}

fn error(last: Option<&LastJobRun>) -> Option<String> {
    let last = last.filter(|last| last.failed)?;
    Some(last.error.as_deref().map_or_else(|| "it says no more than that it failed".to_owned(), plain))
}

/// The chunks that it should have dropped or compressed; none where no chunk can tell.
fn left(state: &TimescaleState, job: &TimescaleJob, now: Instant) -> Option<Amount> {
    if !job.scheduled {
        // That it is paused is another matter.
        return None;
    }
    let (after, every) = (job.after.as_ref()?.period()?, job.every.period()?);
    let chunks = state.chunks_of(job.of.as_ref()?)?;
    let is_open = |chunk: &&Chunk| job.does != JobKind::Compression || !chunk.compressed;
    let utc = jiff::tz::TimeZone::UTC;
    // A run that failed should have done all that was due when it began. Otherwise the job may be late by its own interval.
    let due_by = match job.last.as_ref().filter(|last| last.failed) {
        Some(failed) => failed.started,
        None => every.before(every.before(now, &utc), &utc),
    };
    let limit = after.before(due_by, &utc);
    Some(Amount::of(chunks.iter().filter(|chunk| chunk.ends_by(limit)).filter(is_open)))
}
