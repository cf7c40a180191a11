//! Each job's last runs, kept beside the runs so that one look tells what is due.

use std::collections::BTreeMap;

use super::Catalog;
use super::bounds::name;
use super::fault::CatalogFault;
use super::link::Link;
use super::runs::{NewRun, Outcome, RunId};
use super::value::Row;
use crate::units::Instant;

/// What a scheduler wants to know of a job. `last` is by the order in which runs were begun, whatever the clock said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRecord {
    pub job: String,
    /// When it stood in the policy for the first time.
    pub first_seen: Instant,
    /// The one that was begun last.
    pub last_run: Option<RunId>,
    pub last_started: Option<Instant>,
    pub last_owed_since: Option<Instant>,
    /// Of the last run that ended.
    pub last_ended: Option<Instant>,
    pub last_outcome: Option<Outcome>,
    pub last_transient: bool,
    /// When the last good run ended.
    pub last_succeeded: Option<Instant>,
    /// Failed or lost since the last good one. Who was stopped did not fail.
    pub failures_in_a_row: u32,
    /// The latest that was begun and not ended.
    pub running: Option<RunId>,
}

macro_rules! columns {
    () => {
        "job, first_seen, last_run, last_started, last_owed_since, last_ended, last_outcome, last_transient, last_succeeded, \
         failures_in_a_row, running"
    };
}
pub(super) use columns;

impl Catalog {
    /// What is known of a policy's jobs.
    pub fn last_runs(&self, policy: &str) -> Result<Vec<JobRecord>, CatalogFault> {
        const SQL: &str = concat!("SELECT ", columns!(), " FROM jobs WHERE policy = $1 ORDER BY job");
        let values = vec![name(policy)?];
        self.read(|link| link.ask(SQL, values)?.into_iter().map(|mut row| read(&mut row)).collect())
    }

    /// The same for every policy that was ever seen.
    pub fn last_runs_of_all(&self) -> Result<BTreeMap<String, Vec<JobRecord>>, CatalogFault> {
        const SQL: &str = concat!("SELECT policy, ", columns!(), " FROM jobs ORDER BY policy, job");
        self.read(|link| {
            let mut all: BTreeMap<String, Vec<JobRecord>> = BTreeMap::new();
            for mut row in link.ask(SQL, vec![])? {
                let policy = row.text()?;
                all.entry(policy).or_default().push(read(&mut row)?);
            }
            Ok(all)
        })
    }

    /// Notes that these jobs stand in the policy, where that is new. Nothing is written otherwise.
    pub fn see_jobs(&self, policy: &str, jobs: &[&str], now: Instant) -> Result<(), CatalogFault> {
        let known = self.last_runs(policy)?;
        let fresh: Vec<&str> = jobs.iter().copied().filter(|job| known.iter().all(|record| record.job != *job)).collect();
        if fresh.is_empty() {
            return Ok(());
        }
        self.write(|link| fresh.iter().try_for_each(|job| seen(link, policy, job, now)))
    }
}

impl Catalog {
    /// The same for the jobs of many policies, with one look and at most one change.
    pub fn see_jobs_of_all(&self, policies: &[(&str, Vec<&str>)], now: Instant) -> Result<(), CatalogFault> {
        let known = self.last_runs_of_all()?;
        let is_known = |policy: &str, job: &str| known.get(policy).is_some_and(|jobs| jobs.iter().any(|record| record.job == job));
        let each = policies.iter().flat_map(|(policy, jobs)| jobs.iter().map(move |job| (*policy, *job)));
        let fresh: Vec<(&str, &str)> = each.filter(|(policy, job)| !is_known(policy, job)).collect();
        if fresh.is_empty() {
            return Ok(());
        }
        self.write(|link| fresh.iter().try_for_each(|(policy, job)| seen(link, policy, job, now)))
    }
}

pub(super) fn read(row: &mut Row) -> Result<JobRecord, CatalogFault> {
    Ok(JobRecord {
        job: row.text()?,
        first_seen: row.instant()?,
        last_run: row.maybe_int()?.map(RunId),
        last_started: row.maybe_instant()?,
        last_owed_since: row.maybe_instant()?,
        last_ended: row.maybe_instant()?,
        last_outcome: row.maybe_text()?.map(|word| Outcome::read(&word)).transpose()?,
        last_transient: row.maybe_int()?.is_some_and(|flag| flag != 0),
        last_succeeded: row.maybe_instant()?,
        failures_in_a_row: u32::try_from(row.int()?).unwrap_or(u32::MAX),
        running: row.maybe_int()?.map(RunId),
    })
}

fn seen(link: &mut Link, policy: &str, job: &str, now: Instant) -> Result<(), CatalogFault> {
    const SQL: &str = "INSERT INTO jobs (policy, job, first_seen) VALUES ($1, $2, $3) ON CONFLICT (policy, job) DO NOTHING";
    link.ask(SQL, vec![name(policy)?, name(job)?, now.into()]).map(drop)
}

/// In the transaction that begins a run.
pub(super) fn begun(link: &mut Link, run: RunId, new: &NewRun<'_>) -> Result<(), CatalogFault> {
    seen(link, new.policy, new.job, new.started)?;
    const SQL: &str = "UPDATE jobs SET last_run = $3, last_started = $4, last_owed_since = $5, running = $3 WHERE policy = $1 AND job = $2";
    let values = vec![name(new.policy)?, name(new.job)?, run.0.into(), new.started.into(), new.owed_since.into()];
    link.ask(SQL, values).map(drop)
}

/// In the transaction that ends a run. Reckoned from the runs each time: whatever order they end in, it is what they say.
/// (Old runs may have been pruned: what was known of the last good one stays then.)
pub(super) fn refresh(link: &mut Link, policy: &str, job: &str) -> Result<(), CatalogFault> {
    const ENDED: &str = "UPDATE jobs SET (last_ended, last_outcome, last_transient) = (SELECT ended, outcome, transient FROM runs \
         WHERE policy = $1 AND job = $2 AND ended IS NOT NULL ORDER BY id DESC LIMIT 1) WHERE policy = $1 AND job = $2";
    const OTHERS: &str = "UPDATE jobs SET \
         last_succeeded = coalesce((SELECT ended FROM runs WHERE policy = $1 AND job = $2 AND outcome = 'succeeded' \
             ORDER BY id DESC LIMIT 1), last_succeeded), \
         failures_in_a_row = (SELECT count(*) FROM runs WHERE policy = $1 AND job = $2 AND outcome IN ('failed', 'lost') \
             AND id > coalesce((SELECT max(id) FROM runs WHERE policy = $1 AND job = $2 AND outcome = 'succeeded'), 0)), \
         running = (SELECT max(id) FROM runs WHERE policy = $1 AND job = $2 AND ended IS NULL) \
         WHERE policy = $1 AND job = $2";
    let of_the_job = || Ok::<_, CatalogFault>(vec![name(policy)?, name(job)?]);
    link.ask(ENDED, of_the_job()?)?;
    link.ask(OTHERS, of_the_job()?).map(drop)
}
