//! Which backups will exist at a later date, and how far back they reach: by simulation, run by run.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;
use thiserror::Error;

use super::basis::full_is_due;
use super::existing::{keeps_in, window_in};
use crate::inventory::{Backup, BackupState, ClusterInventory, Observed};
use crate::policy::file::Files;
use crate::policy::model::{Method, Policy};
use crate::retention::{BuildsOn, Firing, JobForecast, simulate};
use crate::units::{Duration, Instant, Name};

/// What will exist at one moment.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Horizon {
    /// The moment.
    pub at: Instant,
    /// Each store.
    pub stores: Vec<StoreForecast>,
}

/// What will exist in one store.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StoreForecast {
    /// The store.
    pub store: Name,
    /// Each job's backups.
    pub jobs: Vec<JobBackups>,
    /// From when on every moment will be recoverable.
    pub any_moment_since: Option<Instant>,
    /// The oldest backup.
    pub oldest: Option<Instant>,
    /// What lies there today is unknown and left out.
    pub without_existing: bool,
}

/// The backups of one job.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct JobBackups {
    /// The job.
    pub job: Name,
    /// When each of them ended, the newest first.
    pub ended: Vec<Instant>,
    /// How many of them exist today already.
    pub of_today: usize,
}

/// Why nothing can be simulated.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ForecastError {
    #[error("the date has passed already")]
    Past,
    #[error("until then there are more than {limit} runs to simulate")]
    TooFar { limit: usize },
}

const MAX_RUNS: usize = 2_000_000;

pub fn forecast(policy: &Policy, inventory: Option<&ClusterInventory>, now: Instant, at: Instant) -> Result<Horizon, ForecastError> {
    if at < now {
        return Err(ForecastError::Past);
    }
    let mut budget = MAX_RUNS;
    let mut stores = Vec::new();
    for store in policy.stores.keys() {
        stores.push(of_store(policy, store, inventory, now, at, &mut budget)?);
    }
    Ok(Horizon { at, stores })
}

fn of_store(
    policy: &Policy,
    store: &Name,
    inventory: Option<&ClusterInventory>,
    now: Instant,
    at: Instant,
    budget: &mut usize,
) -> Result<StoreForecast, ForecastError> {
    let observed = inventory.and_then(|inventory| inventory.stores.get(store)).and_then(Observed::known);
    let keeps = keeps_in(policy, store);
    let mut jobs = Vec::new();
    for (name, keep) in &keeps {
        let Some(backup) = policy.backups.get(name) else { continue };
        let takes = takes(policy, name, inventory);
        let good = |known: &&Backup| known.job == *name && known.state == BackupState::Complete && known.keep.is_none();
        let mut known: Vec<&Backup> = observed.iter().flat_map(|state| &state.backups).filter(good).collect();
        known.sort_by_key(|known| (known.moment(), known.started));
        let mut runs: Vec<Firing> = known.iter().map(|known| Firing { started: known.started, stopped: known.moment() }).collect();
        for started in backup.schedule.iter().flat_map(|schedule| schedule.firings(now, at)) {
            if *budget == 0 {
                return Err(ForecastError::TooFar { limit: MAX_RUNS });
            }
            *budget -= 1;
            runs.push(Firing { started, stopped: started.checked_add(takes.to_signed()).unwrap_or(started) });
        }
        let builds_on = match &backup.method {
            Method::Incremental { of, chain } => Some(BuildsOn { job: of.clone(), chained: chain.is_some() }),
            _ => None,
        };
        let upon_previous = increments(&backup.method, &known, &runs[known.len()..]);
        jobs.push(JobForecast { job: name.clone(), keep: keep.clone(), runs, builds_on, upon_previous });
    }
    let simulated = simulate(&jobs);
    let mut listed = Vec::new();
    let mut bases: Vec<Instant> = Vec::new();
    for job in &simulated.jobs {
        let mut ended: Vec<Instant> = job.backups.iter().filter(|life| life.exists_at(at)).map(|life| life.stopped).collect();
        ended.sort_unstable_by(|one, other| other.cmp(one));
        if policy.backups.get(&job.job).is_some_and(|backup| backup.method.is_physical()) {
            bases.extend(&ended);
        }
        let of_today = ended.iter().filter(|moment| **moment <= now).count();
        listed.push(JobBackups { job: job.job.clone(), ended, of_today });
    }
    let any_moment_since = window_in(policy, store).and_then(|window| {
        let opens = window.period.before(at, &window.zone);
        // The log is known to be there from today on, or from where it is seen to be.
        let archived = observed.and_then(|state| state.wal.iter().map(|range| range.from_time).min()).unwrap_or(now);
        let reachable = bases.iter().copied().filter(|base| *base >= archived);
        reachable.clone().filter(|base| *base <= opens).max().or_else(|| reachable.min()).map(|base| base.max(opens))
    });
    let oldest = listed.iter().filter_map(|job| job.ended.last()).min().copied();
    Ok(StoreForecast { store: store.clone(), jobs: listed, any_moment_since, oldest, without_existing: observed.is_none() })
}

/// Which runs of a `files` job build on the one before: those there are say it themselves, those to come by the rule that the run will go by.
fn increments(method: &Method, known: &[&Backup], to_come: &[Firing]) -> BTreeSet<Instant> {
    let Method::Files(Files { full_every: Some(every), .. }) = method else { return BTreeSet::new() };
    let mut upon_previous: BTreeSet<Instant> = known.iter().filter(|known| known.parent.is_some()).map(|known| known.started).collect();
    let mut full = known.iter().rfind(|known| known.parent.is_none()).map(|known| known.started);
    for run in to_come {
        match full {
            Some(began) if !full_is_due(began, *every, run.started) => _ = upon_previous.insert(run.started),
            _ => full = Some(run.started),
        }
    }
    upon_previous
}

/// How long a backup of this job takes: measured, declared, or by size and rate.
pub fn takes(policy: &Policy, name: &Name, inventory: Option<&ClusterInventory>) -> Duration {
    let measured = inventory
        .and_then(|inventory| inventory.measured.known())
        .and_then(|measured| measured.backup_durations.get(name))
        .map(|measured| measured.value);
    let backup = policy.backups.get(name);
    let by_rate = || {
        let assume = &policy.objectives.assume;
        let size = backup.and_then(|backup| backup.size).or(assume.cluster_size)?;
        Some(size.at(assume.backup?))
    };
    measured.or_else(|| backup.and_then(|backup| backup.takes)).or_else(by_rate).unwrap_or(Duration::ZERO)
}
