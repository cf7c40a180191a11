//! A stretch of the past, of many policies at once: what a report is made from.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Catalog;
use super::drills::{self, DrillRow};
use super::fault::CatalogFault;
use super::link::Where;
use super::runs::Outcome;
use super::value::{Row, Value};
use crate::units::Instant;

/// A run that was begun in the stretch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastRun {
    pub job: String,
    pub started: Instant,
    pub ended: Option<Instant>,
    /// None while it is under way.
    pub outcome: Option<Outcome>,
    pub bytes: Option<u64>,
    pub stored_bytes: Option<u64>,
    /// Why it is so, of one that did not succeed.
    pub message: Option<String>,
}

/// The runs of the stretch, and what they went by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PastRuns {
    pub runs: ByPolicy<PastRun>,
    /// The first of each policy is always there.
    pub changes: ByPolicy<Changed>,
}

/// The worst of a figure in a part of the stretch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Worst {
    /// When it was so.
    pub at: Instant,
    pub value: f64,
}

/// From this run on, the policy was another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    pub at: Instant,
    pub digest: String,
    pub commit: Option<String>,
    /// It was so before: what the last run before the stretch went by, where that is another one than the first within, else the first within.
    pub first: bool,
}

/// A message that was decided on in the stretch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastNotice {
    pub receiver: String,
    /// JSON.
    pub notice: String,
    pub created: Instant,
    pub delivered: Option<Instant>,
}

/// From a moment up to another, which is no longer in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    pub from: Instant,
    pub to: Instant,
}

/// By policy; those with nothing are left out.
pub type ByPolicy<T> = BTreeMap<String, Vec<T>>;

impl Stretch {
    fn values(self) -> Vec<Value> {
        vec![self.from.into(), self.to.into()]
    }
}

impl Catalog {
    /// Every run, each policy's in the order in which they were begun, and with which of them the policies became others, by the
    /// runs themselves.
    pub fn past_runs(&self, policies: &[&str], stretch: Stretch) -> Result<PastRuns, CatalogFault> {
        const COLUMNS: &str = "policy, digest, git_commit, job, started, ended, outcome, bytes, stored_bytes, \
             CASE WHEN outcome <> 'succeeded' THEN message END";
        // As the index has them: rows that have to be sorted first go through a file, and that takes longer than reading them.
        let rest = |places: &str| {
            format!("FROM runs WHERE policy IN ({places}) AND started >= $1 AND started < $2 ORDER BY policy, started, outcome, id")
        };
        let mut past = PastRuns::default();
        let mut before = self.gone_by_before(policies, stretch.from)?;
        self.packed_of_many(policies, stretch.values(), COLUMNS, rest, |row| {
            let (policy, digest, commit) = (row.shown()?, row.maybe_shown()?, row.maybe_shown()?);
            let run = run(row)?;
            if let Some(digest) = digest {
                let was = before.remove(&*policy);
                let is_as_before = was.as_ref().is_some_and(|was| was.digest == *digest);
                of(&mut past.changes, &policy).extend(was.filter(|_| !is_as_before));
                past.went_by(&policy, &digest, commit, (run.started, is_as_before));
            }
            of(&mut past.runs, &policy).push(run);
            Ok(())
        })?;
        Ok(past)
    }

    /// What the last run of each policy before a moment went by.
    fn gone_by_before(&self, policies: &[&str], before: Instant) -> Result<BTreeMap<String, Changed>, CatalogFault> {
        let sql = |places: &str| {
            let rows = places.replace(", ", "), (");
            format!(
                "WITH asked(policy) AS (VALUES ({rows})) SELECT r.policy, r.started, r.digest, r.git_commit FROM asked JOIN runs r ON r.id = \
                 (SELECT id FROM runs WHERE policy = asked.policy AND started < $1 AND digest IS NOT NULL ORDER BY started DESC, id DESC LIMIT 1)"
            )
        };
        let read = |row: &mut Row| {
            let (policy, at) = (row.text()?, row.instant()?);
            Ok((policy, Changed { at, digest: row.text()?, commit: row.maybe_text()?, first: true }))
        };
        Ok(self.of_many(policies, vec![before.into()], sql, read)?.into_iter().collect())
    }

    /// Every drill that ended in it, oldest first.
    pub fn past_drills(&self, policies: &[&str], stretch: Stretch) -> Result<ByPolicy<DrillRow>, CatalogFault> {
        let rest =
            |places: &str| format!("FROM drills WHERE policy IN ({places}) AND ended >= $1 AND ended < $2 ORDER BY policy, ended, id");
        self.drills_of_many(policies, stretch.values(), rest)
    }

    /// Of each drill the last one that passed and the last one that failed, whenever that was. What somebody ended has shown nothing.
    pub fn last_drills_of(&self, policies: &[&str]) -> Result<ByPolicy<DrillRow>, CatalogFault> {
        let rest = |places: &str| {
            format!(
                "FROM drills WHERE (policy, id) IN (SELECT policy, id FROM (SELECT policy, id, \
                 row_number() OVER (PARTITION BY policy, drill, outcome ORDER BY ended DESC, id DESC) AS place FROM drills \
                 WHERE policy IN ({places}) AND outcome <> 'stopped') AS last WHERE place = 1) ORDER BY policy, ended, id"
            )
        };
        self.drills_of_many(policies, Vec::new(), rest)
    }

    fn drills_of_many(
        &self,
        policies: &[&str],
        first: Vec<Value>,
        rest: impl Fn(&str) -> String,
    ) -> Result<ByPolicy<DrillRow>, CatalogFault> {
        let mut all = ByPolicy::new();
        self.packed_of_many(policies, first, drills::COLUMNS, rest, |row| {
            let row = drills::row(row)?;
            let of_policy = of(&mut all, &row.policy);
            of_policy.push(row);
            Ok(())
        })?;
        Ok(all)
    }

    /// The largest value of a series in each of so many equal parts of the stretch; parts without a value are left out.
    pub fn worst(&self, policies: &[&str], series: &str, stretch: Stretch, parts: u32) -> Result<ByPolicy<Worst>, CatalogFault> {
        let length = stretch.to.as_microsecond().saturating_sub(stretch.from.as_microsecond());
        let width = (length / i64::from(parts.max(1))).max(1);
        // SQLite's `max` brings the other columns of its row along.
        let at = if matches!(self.place, Where::Sqlite(_)) { "m.at" } else { "(array_agg(m.at ORDER BY m.value DESC, m.at))[1]" };
        let sql = |places: &str| {
            format!(
                "SELECT s.policy, (m.at - $1) / $3 AS part, max(m.value), {at} FROM series s JOIN measurements m ON m.series = s.id \
                 WHERE s.policy IN ({places}) AND s.name = $4 AND s.subject = '' AND m.at >= $1 AND m.at < $2 \
                 GROUP BY s.policy, part ORDER BY s.policy, part"
            )
        };
        let mut values = stretch.values();
        values.extend([Value::Int(width), series.into()]);
        let read = |row: &mut Row| {
            let (policy, _part) = (row.text()?, row.int()?);
            let (value, at) = (row.real()?, row.instant()?);
            Ok((policy, Worst { at, value }))
        };
        Ok(grouped(self.of_many(policies, values, sql, read)?))
    }

    /// What people were to be told, in the order in which that was decided.
    pub fn past_notices(&self, policies: &[&str], stretch: Stretch) -> Result<ByPolicy<PastNotice>, CatalogFault> {
        self.notices(policies, stretch.values(), "created >= $1 AND created < $2")
    }

    /// What people were told from then on to be over.
    pub fn ends_told_since(&self, policies: &[&str], since: Instant) -> Result<ByPolicy<PastNotice>, CatalogFault> {
        self.notices(policies, vec![since.into()], r#"created >= $1 AND notice LIKE '%"kind":"resolved"%'"#)
    }

    fn notices(&self, policies: &[&str], values: Vec<Value>, which: &str) -> Result<ByPolicy<PastNotice>, CatalogFault> {
        let sql = |places: &str| {
            format!(
                "SELECT policy, receiver, notice, created, delivered FROM outbox WHERE policy IN ({places}) AND {which} ORDER BY number"
            )
        };
        let read = |row: &mut Row| {
            let (policy, receiver, notice) = (row.text()?, row.text()?, row.text()?);
            Ok((policy, PastNotice { receiver, notice, created: row.instant()?, delivered: row.maybe_instant()? }))
        };
        Ok(grouped(self.of_many(policies, values, sql, read)?))
    }
}

impl PastRuns {
    /// What the last run that said so went by is compared with.
    fn went_by(&mut self, policy: &str, digest: &str, commit: Option<Cow<'_, str>>, (at, first): (Instant, bool)) {
        let changes = of(&mut self.changes, policy);
        if changes.last().is_some_and(|last| last.digest == digest) {
            return;
        }
        changes.push(Changed { at, digest: digest.to_owned(), commit: commit.map(Cow::into_owned), first });
    }
}

fn grouped<T>(rows: Vec<(String, T)>) -> ByPolicy<T> {
    let mut all: ByPolicy<T> = BTreeMap::new();
    for (policy, row) in rows {
        of(&mut all, &policy).push(row);
    }
    all
}

fn of<'a, T>(all: &'a mut ByPolicy<T>, policy: &str) -> &'a mut Vec<T> {
    // Rows come policy by policy, in the order of their names.
    if all.last_key_value().is_some_and(|(last, _)| last == policy) {
        return all.last_entry().expect("it was just seen").into_mut();
    }
    all.entry(policy.to_owned()).or_default()
}

fn run(row: &mut Row) -> Result<PastRun, CatalogFault> {
    Ok(PastRun {
        job: row.text()?,
        started: row.instant()?,
        ended: row.maybe_instant()?,
        outcome: row.maybe_shown()?.map(|word| Outcome::read(&word)).transpose()?,
        bytes: row.maybe_unsigned()?,
        stored_bytes: row.maybe_unsigned()?,
        message: row.maybe_text()?,
    })
}
