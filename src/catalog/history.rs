//! Looking back: runs and steps, sizes, durations, how many succeeded.

use super::Catalog;
use super::bounds::{count, name};
use super::fault::CatalogFault;
use super::runs::{Outcome, RunId, StepOutcome, Why};
use super::value::{Row, Value};
use crate::units::Instant;

/// Which runs to show. All that is not said is not asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter<'f> {
    pub policy: Option<&'f str>,
    pub job: Option<&'f str>,
    /// Started at this moment or later.
    pub since: Option<Instant>,
    /// Started before this moment.
    pub until: Option<Instant>,
    pub outcome: Option<Outcome>,
    /// Recorded before this one.
    pub before: Option<RunId>,
    /// The newest so many; 0 means a thousand.
    pub limit: usize,
}

/// A run as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRow {
    pub run: RunId,
    pub policy: String,
    pub job: String,
    pub host: String,
    pub boot: Option<String>,
    pub pid: u32,
    pub why: Why,
    pub owed_since: Option<Instant>,
    pub started: Instant,
    pub digest: Option<String>,
    pub commit: Option<String>,
    /// None while it is under way, or when it was abandoned.
    pub ended: Option<Instant>,
    pub outcome: Option<Outcome>,
    pub transient: bool,
    pub message: Option<String>,
    pub hint: Option<String>,
    pub backup: Option<String>,
    pub store: Option<String>,
    pub bytes: Option<u64>,
    pub stored_bytes: Option<u64>,
    pub checksum: Option<String>,
}

/// A step as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRow {
    pub number: u32,
    pub action: String,
    pub says: String,
    pub started: Instant,
    pub ended: Option<Instant>,
    pub outcome: Option<StepOutcome>,
    pub message: Option<String>,
}

/// How large a good run's result was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub at: Instant,
    pub bytes: u64,
    pub stored_bytes: Option<u64>,
}

/// How long a good run took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    pub started: Instant,
    pub ended: Instant,
}

macro_rules! columns {
    () => {
        "id, policy, job, host, boot, pid, why, owed_since, started, digest, git_commit, ended, outcome, transient, message, hint, \
         backup, store, bytes, stored_bytes, checksum"
    };
}
pub(super) use columns;

/// So many runs are read at once.
const MOST: usize = 1000;

impl Catalog {
    /// All runs that the filter lets through, newest first, however many they are. They are read a thousand at a time: nobody waits long for his turn.
    pub fn whole_history(&self, filter: &Filter<'_>) -> Result<Vec<RunRow>, CatalogFault> {
        let mut filter = Filter { limit: MOST, ..filter.clone() };
        let mut all = Vec::new();
        loop {
            let page = self.history(&filter)?;
            let is_last = page.len() < MOST;
            filter.before = page.last().map(|run| run.run);
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// Runs, newest first.
    pub fn history(&self, filter: &Filter<'_>) -> Result<Vec<RunRow>, CatalogFault> {
        let mut values: Vec<Value> = Vec::new();
        let mut conditions = String::from("1 = 1");
        let mut only = |condition: &str, value: Value| {
            values.push(value);
            conditions.push_str(&format!(" AND {condition} ${}", values.len()));
        };
        if let Some(policy) = filter.policy {
            only("policy =", name(policy)?);
        }
        if let Some(job) = filter.job {
            only("job =", name(job)?);
        }
        if let Some(since) = filter.since {
            only("started >=", since.into());
        }
        if let Some(until) = filter.until {
            only("started <", until.into());
        }
        if let Some(outcome) = filter.outcome {
            only("outcome =", outcome.word().into());
        }
        if let Some(before) = filter.before {
            only("id <", before.0.into());
        }
        values.push(count(if filter.limit == 0 { MOST } else { filter.limit }));
        let sql = format!(concat!("SELECT ", columns!(), " FROM runs WHERE {} ORDER BY id DESC LIMIT ${}"), conditions, values.len());
        self.read(|link| link.ask(sql, values)?.into_iter().map(|mut row| run(&mut row)).collect())
    }

    /// One run.
    pub fn run(&self, id: RunId) -> Result<Option<RunRow>, CatalogFault> {
        const SQL: &str = concat!("SELECT ", columns!(), " FROM runs WHERE id = $1");
        self.read(|link| link.ask_one(SQL, vec![id.0.into()])?.map(|mut row| run(&mut row)).transpose())
    }

    /// A run's steps, in their order.
    pub fn steps_of(&self, run: RunId) -> Result<Vec<StepRow>, CatalogFault> {
        const SQL: &str = "SELECT number, action, says, started, ended, outcome, message FROM steps WHERE run = $1 ORDER BY number";
        self.read(|link| link.ask(SQL, vec![run.0.into()])?.into_iter().map(|mut row| step(&mut row)).collect())
    }

    /// Of the runs that were started since then and ended: how many succeeded, and how many there were. Those that somebody stopped
    /// count for nothing, and neither do restores and policies that cannot be read, which are no jobs.
    pub fn success_rate(&self, policy: &str, since: Instant) -> Result<(u64, u64), CatalogFault> {
        const SQL: &str = "SELECT count(CASE WHEN outcome = 'succeeded' THEN 1 END), count(*) FROM runs \
             WHERE policy = $1 AND started >= $2 AND job NOT IN ('restore', 'policy') AND outcome IN ('succeeded', 'failed', 'lost')";
        let values = vec![name(policy)?, since.into()];
        self.read(|link| match link.ask_one(SQL, values)? {
            Some(mut row) => Ok((row.unsigned()?, row.unsigned()?)),
            None => Ok((0, 0)),
        })
    }

    /// What the last good runs of a job made, newest first.
    pub fn sizes(&self, policy: &str, job: &str, limit: usize) -> Result<Vec<Size>, CatalogFault> {
        const SQL: &str = "SELECT ended, bytes, stored_bytes FROM runs WHERE policy = $1 AND job = $2 AND outcome = 'succeeded' \
             AND bytes IS NOT NULL ORDER BY id DESC LIMIT $3";
        let values = vec![name(policy)?, name(job)?, count(limit)];
        let read = |mut row: Row| Ok(Size { at: row.instant()?, bytes: row.unsigned()?, stored_bytes: row.maybe_unsigned()? });
        self.read(|link| link.ask(SQL, values)?.into_iter().map(read).collect())
    }

    /// How long the last good runs of a job took, newest first.
    pub fn durations(&self, policy: &str, job: &str, limit: usize) -> Result<Vec<Taken>, CatalogFault> {
        const SQL: &str =
            "SELECT started, ended FROM runs WHERE policy = $1 AND job = $2 AND outcome = 'succeeded' ORDER BY id DESC LIMIT $3";
        let values = vec![name(policy)?, name(job)?, count(limit)];
        let read = |mut row: Row| Ok(Taken { started: row.instant()?, ended: row.instant()? });
        self.read(|link| link.ask(SQL, values)?.into_iter().map(read).collect())
    }
}

pub(super) fn run(row: &mut Row) -> Result<RunRow, CatalogFault> {
    Ok(RunRow {
        run: RunId(row.int()?),
        policy: row.text()?,
        job: row.text()?,
        host: row.text()?,
        boot: row.maybe_text()?,
        pid: u32::try_from(row.int()?).unwrap_or_default(),
        why: Why::read(&row.text()?)?,
        owed_since: row.maybe_instant()?,
        started: row.instant()?,
        digest: row.maybe_text()?,
        commit: row.maybe_text()?,
        ended: row.maybe_instant()?,
        outcome: row.maybe_text()?.map(|word| Outcome::read(&word)).transpose()?,
        transient: row.flag()?,
        message: row.maybe_text()?,
        hint: row.maybe_text()?,
        backup: row.maybe_text()?,
        store: row.maybe_text()?,
        bytes: row.maybe_unsigned()?,
        stored_bytes: row.maybe_unsigned()?,
        checksum: row.maybe_text()?,
    })
}

fn step(row: &mut Row) -> Result<StepRow, CatalogFault> {
    Ok(StepRow {
        number: u32::try_from(row.int()?).unwrap_or_default(),
        action: row.text()?,
        says: row.text()?,
        started: row.instant()?,
        ended: row.maybe_instant()?,
        outcome: row.maybe_text()?.map(|word| StepOutcome::read(&word)).transpose()?,
        message: row.maybe_text()?,
    })
}
