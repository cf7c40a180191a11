//! What will happen, worked out in full before any of it does: Policy × Inventory × now → Plan.
//!
//! The plan *is* the dry run. The executor takes its steps one by one, checks their preconditions again, and makes no
//! choice of its own. What could not be observed is said to be unknown; nothing is planned for deletion on the strength of
//! an unknown.

mod basis;
mod copies;
mod due;
mod evidenced;
mod existing;
mod expiry;
mod forecast;
pub mod guard;
mod lint;
mod log;
mod make;
pub mod markdown;
mod moves;
mod named;
mod owed;
mod promises;
mod step;
mod steps;
pub mod text;
pub mod words;

pub use basis::{Basis, WhyFull, basis};
pub use copies::{
    Awaited, Behind, CopySource, LogAwaited, LogBehind, awaited, awaited_by_any, behind, belonging, copy_sources, log_awaited, log_of_copy,
};
pub use due::Due;
pub use existing::{Existing, Fate, Moving, StoreState, WalState, classes_in, keeps_in, window_in};
pub use expiry::{Brake, Doomed, Expiry, ExpiryTerms, Mark, Spared, Waiting, WhyWaiting, expiry};
pub use forecast::{ForecastError, Horizon, StoreForecast};
pub use lint::{LintFault, LogPiece, lint, lint_deletions, lint_log};
pub use log::log_needs;
pub use make::{make, minute};
pub use moves::{Move, MoveTerms, moves};
pub use owed::{LastRun, Past, RunEnd, Whose, on_demand, owed, rank};
pub use step::{Action, Precondition, Step};
pub use steps::room_needed;

use schemars::JsonSchema;
use serde::Serialize;

use crate::policy::model::{Archive, Drill, Dropping, Policy, Report, TimedKind, Verify};
use crate::policy::path::PolicyPath;
use crate::units::{BackupId, Duration, Instant, Name};

/// The version of a plan's JSON.
pub const FORMAT_VERSION: u32 = 1;

/// What one policy will do.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Plan {
    /// The policy's name.
    pub policy: Name,
    /// SHA-256 over the files the policy was read from: a plan is run only for exactly this policy.
    #[schemars(regex(pattern = "^sha256:[0-9a-f]{64}$"))]
    pub digest: String,
    /// The moment it was made for.
    pub made_at: Instant,
    /// When the inventory that it rests on was observed. Absent without one.
    pub observed_at: Option<Instant>,
    /// The next runs in the order of the clock.
    pub calendar: Vec<Run>,
    /// Every job, with its steps.
    pub jobs: Vec<Job>,
    /// What lies in each store, and what becomes of it.
    pub stores: Vec<StoreState>,
    /// Which backups exist at a later date, and how far back they reach.
    pub forecast: Option<Horizon>,
    /// What is unknown, and why.
    pub unknown: Vec<String>,
}

/// A run to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Run {
    /// When.
    pub at: Instant,
    /// The same on the clocks of the schedule's time zone.
    pub local: String,
    /// What runs, as a path of the policy.
    pub job: PolicyPath,
    /// How many more runs follow in the calendar's span, when a job runs so often that only its first is listed.
    pub and_then: u64,
}

/// A job.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Job {
    /// Where it is declared.
    pub job: PolicyPath,
    /// What sort of job it is.
    pub kind: TimedKind,
    /// How a backup is taken: `physical`, `incremental`, …
    pub method: Option<String>,
    /// When it runs, in words. Absent when it runs only on demand.
    pub schedule: Option<String>,
    /// The window it must stay inside.
    pub window: Option<String>,
    /// The longest time between two runs.
    pub longest_gap: Option<Duration>,
    /// The next runs.
    pub next: Vec<Instant>,
    /// Whether it should run now.
    pub due: Due,
    /// This version of Seawall can run it. What it cannot run yet is planned all the same.
    pub runs_in_this_version: bool,
    /// What it does, in order.
    pub steps: Vec<Step>,
}

/// The steps of a backup job; none where the policy has no such job.
pub fn steps_of_backup(policy: &Policy, name: &Name) -> Vec<Step> {
    policy.backups.get(name).map(|backup| steps::of_backup(policy, name, backup, "")).unwrap_or_default()
}

/// The steps of expiry: with what goes from each store, or, before that is known, with nothing.
pub fn steps_of_expire(policy: &Policy, expired: &[(Name, Vec<BackupId>)]) -> Vec<Step> {
    steps::of_expire(policy, expired)
}

/// The steps of a restore drill.
pub fn steps_of_drill(policy: &Policy, drill: &Drill) -> Vec<Step> {
    steps::of_drill(policy, drill)
}

/// The steps that bring a second copy up to date.
pub fn steps_of_copy(policy: &Policy, to: &Name) -> Vec<Step> {
    steps::of_copy(policy, to)
}

/// The steps of a job that looks.
pub fn steps_of_verify(policy: &Policy, job: &Verify) -> Vec<Step> {
    steps::of_verify(policy, job)
}

/// The steps of rows that move to a store.
pub fn steps_of_archive(archive: &Archive) -> Vec<Step> {
    steps::of_archive(archive)
}

/// The steps of rows that go by their age.
pub fn steps_of_dropping(dropping: &Dropping) -> Vec<Step> {
    steps::of_dropping(dropping)
}

/// The steps of a report that is made and sent.
pub fn steps_of_report(report: &Report) -> Vec<Step> {
    steps::of_report(report)
}

/// The steps of a duty; none where the policy has no such duty.
pub fn steps_of_duty(policy: &Policy, name: &Name) -> Vec<Step> {
    policy.duties.get(name).map(|duty| steps::of_duty(&PolicyPath::from(["duties", name.as_str()]), &duty.who)).unwrap_or_default()
}

impl Plan {
    /// Something should happen now, or that cannot be ruled out.
    pub fn has_something_to_do(&self) -> bool {
        let due = self.jobs.iter().any(|job| matches!(job.due, Due::Now { .. } | Due::Unknown { .. }));
        let deletions = self.stores.iter().any(|store| store.existing.iter().any(|backup| matches!(backup.fate, Fate::Delete { .. })));
        let moves = self.stores.iter().any(|store| store.existing.iter().any(|backup| backup.moves.is_some()));
        due || deletions || moves
    }
}
