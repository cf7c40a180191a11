use std::collections::BTreeSet;

use super::keep::Keep;
use super::lifetime::{Firing, Lifetime, lifetimes};
use crate::units::{Instant, Name};

/// One job of a forecast: the runs it has had and the runs it will have.
#[derive(Debug, Clone)]
pub struct JobForecast {
    pub job: Name,
    pub keep: Keep,
    pub runs: Vec<Firing>,
    pub builds_on: Option<BuildsOn>,
    /// The beginnings of those runs that build on the job's one before.
    pub upon_previous: BTreeSet<Instant>,
}

/// What an incremental job's backups build on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildsOn {
    pub job: Name,
    /// Each on the one before it, back to the other job's newest; otherwise each on that newest directly.
    pub chained: bool,
}

/// How long each backup of each job will exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    pub jobs: Vec<Forecasted>,
}

/// The backups of one job, in the order of their stop times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecasted {
    pub job: Name,
    pub backups: Vec<Lifetime>,
}

impl Forecast {
    /// Which backups exist at this moment.
    pub fn at(&self, moment: Instant) -> impl Iterator<Item = (&Name, &Lifetime)> {
        let existing = move |life: &&Lifetime| life.exists_at(moment);
        self.jobs.iter().flat_map(move |job| job.backups.iter().filter(existing).map(move |life| (&job.job, life)))
    }
}

/// Which backups will exist when, if every run succeeds. Takes time in proportion to the number of runs.
pub fn simulate(jobs: &[JobForecast]) -> Forecast {
    let mut forecast =
        Forecast { jobs: jobs.iter().map(|job| Forecasted { job: job.job.clone(), backups: lifetimes(&job.runs, &job.keep) }).collect() };
    for (job, of) in jobs.iter().zip(&mut forecast.jobs) {
        spare_previous(&mut of.backups, &job.upon_previous);
    }
    // Children first: a parent stays as long as they do, and its own parent then as long as it does.
    for child in deepest_first(jobs) {
        if let Some(builds_on) = &jobs[child].builds_on
            && let Some(base) = jobs.iter().position(|job| job.job == builds_on.job)
            && base != child
        {
            spare_parents(&mut forecast, child, base, builds_on.chained);
        }
    }
    forecast
}

fn spare_previous(backups: &mut [Lifetime], upon_previous: &BTreeSet<Instant>) {
    for at in (1..backups.len()).rev().filter(|_| !upon_previous.is_empty()) {
        let life = backups[at];
        if upon_previous.contains(&life.started) {
            backups[at - 1].outlast(life.until);
        }
    }
}

fn deepest_first(jobs: &[JobForecast]) -> Vec<usize> {
    let parent = |at: &usize| jobs[*at].builds_on.as_ref().and_then(|on| jobs.iter().position(|job| job.job == on.job));
    // Bounded: a policy whose jobs build on each other in a circle has been refused, but must not hang us.
    let depth = |at: usize| std::iter::successors(Some(at), parent).take(jobs.len()).count();
    let mut order: Vec<usize> = (0..jobs.len()).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(depth(at)));
    order
}

fn spare_parents(forecast: &mut Forecast, child: usize, base: usize, chained: bool) {
    for at in (0..forecast.jobs[child].backups.len()).rev() {
        let life = forecast.jobs[child].backups[at];
        let bases = &mut forecast.jobs[base].backups;
        let newest_base = bases.partition_point(|base| base.stopped <= life.started).checked_sub(1);
        let previous = at.checked_sub(1).filter(|_| chained);
        let Some(newest_base) = newest_base else { continue };
        let base_stopped = bases[newest_base].stopped;
        match previous {
            Some(previous) if forecast.jobs[child].backups[previous].started >= base_stopped => {
                forecast.jobs[child].backups[previous].outlast(life.until);
            }
            _ => forecast.jobs[base].backups[newest_base].outlast(life.until),
        }
    }
}
