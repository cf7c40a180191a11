//! A stretch of the past, of many policies at once: what a report is made from.

use std::collections::BTreeMap;

use super::Catalog;
use super::drills::{self, DrillRow};
use super::fault::CatalogFault;
use super::many::of;
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
        const COLUMNS: &str = "policy, id, started, digest, git_commit, job, ended, outcome, bytes, stored_bytes, \
             CASE WHEN outcome <> 'succeeded' THEN message END";
        let from = |places: &str| format!("FROM runs WHERE policy IN ({places}) AND started >= $1 AND started < $2");
        let mut found: ByPolicy<Found> = ByPolicy::new();
        let mut gone_by = GoneBy::default();
        self.of_many(policies, stretch.values(), COLUMNS, from, |row| {
            of(&mut found, &row.shown()?).push(Found::read(row, &mut gone_by)?);
            Ok(())
        })?;
        let mut past = PastRuns::default();
        let mut before = self.gone_by_before(policies, stretch.from)?;
        for (policy, mut found) in found {
            found.sort_by_key(|found| (found.run.started, found.id));
            let changes = gone_by.changes(&found, before.remove(&policy));
            if !changes.is_empty() {
                past.changes.insert(policy.clone(), changes);
            }
            past.runs.insert(policy, found.into_iter().map(|found| found.run).collect());
        }
        Ok(past)
    }

    /// What the last run of each policy before a moment went by.
    fn gone_by_before(&self, policies: &[&str], before: Instant) -> Result<BTreeMap<String, Changed>, CatalogFault> {
        let rest = |places: &str| {
            let rows = places.replace(", ", "), (");
            format!(
                "FROM (WITH asked(policy) AS (VALUES ({rows})) SELECT policy FROM asked) AS asked JOIN runs r ON r.id = \
                 (SELECT id FROM runs WHERE policy = asked.policy AND started < $1 AND digest IS NOT NULL ORDER BY started DESC, id DESC LIMIT 1)"
            )
        };
        let mut all = BTreeMap::new();
        self.of_many(policies, vec![before.into()], "r.policy, r.started, r.digest, r.git_commit", rest, |row| {
            let (policy, at) = (row.text()?, row.instant()?);
            all.insert(policy, Changed { at, digest: row.text()?, commit: row.maybe_text()?, first: true });
            Ok(())
        })?;
        Ok(all)
    }

    /// Every drill that ended in it, oldest first.
    pub fn past_drills(&self, policies: &[&str], stretch: Stretch) -> Result<ByPolicy<DrillRow>, CatalogFault> {
        let from = |places: &str| format!("FROM drills WHERE policy IN ({places}) AND ended >= $1 AND ended < $2");
        self.drills_of_many(policies, stretch.values(), from)
    }

    /// Of each drill the last one that passed and the last one that failed, whenever that was. What somebody ended has shown nothing.
    pub fn last_drills_of(&self, policies: &[&str]) -> Result<ByPolicy<DrillRow>, CatalogFault> {
        let from = |places: &str| {
            format!(
                "FROM drills WHERE (policy, id) IN (SELECT policy, id FROM (SELECT policy, id, \
                 row_number() OVER (PARTITION BY policy, drill, outcome ORDER BY ended DESC, id DESC) AS place FROM drills \
                 WHERE policy IN ({places}) AND outcome <> 'stopped') AS last WHERE place = 1)"
            )
        };
        self.drills_of_many(policies, Vec::new(), from)
    }

    fn drills_of_many(
        &self,
        policies: &[&str],
        first: Vec<Value>,
        from: impl Fn(&str) -> String,
    ) -> Result<ByPolicy<DrillRow>, CatalogFault> {
        let mut all: ByPolicy<DrillRow> = ByPolicy::new();
        self.of_many(policies, first, drills::COLUMNS, from, |row| {
            let row = drills::row(row)?;
            let of_policy = of(&mut all, &row.policy);
            of_policy.push(row);
            Ok(())
        })?;
        for rows in all.values_mut() {
            rows.sort_by(|one, other| (one.ended, &one.id).cmp(&(other.ended, &other.id)));
        }
        Ok(all)
    }

    /// The largest value of a series in each of so many equal parts of the stretch; parts without a value are left out.
    pub fn worst(&self, policies: &[&str], series: &str, stretch: Stretch, parts: u32) -> Result<ByPolicy<Worst>, CatalogFault> {
        let length = stretch.to.as_microsecond().saturating_sub(stretch.from.as_microsecond());
        let width = (length / i64::from(parts.max(1))).max(1);
        // One more where the stretch is not a whole number of them.
        let count = length.div_euclid(width) + i64::from(length % width != 0);
        // Asked part by part, for grouping would sort all that was measured, which is a hundred times as much. SQLite takes what is joined
        // across in the order in which it stands here, and nothing else.
        let rest = |places: &str| {
            format!(
                "FROM series s CROSS JOIN (WITH RECURSIVE parts(number) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT number + 1 FROM parts \
                 WHERE number + 1 < $5) SELECT number FROM parts) AS p CROSS JOIN measurements m WHERE m.series = s.id AND m.at = \
                 (SELECT w.at FROM measurements w WHERE w.series = s.id AND w.at >= $1 + p.number * $3 AND w.at < $1 + (p.number + 1) * $3 \
                 AND w.at < $2 ORDER BY w.value DESC, w.at LIMIT 1) \
                 AND s.policy IN ({places}) AND s.name = $4 AND s.subject = '' ORDER BY s.policy, m.at"
            )
        };
        let mut values = stretch.values();
        values.extend([Value::Int(width), series.into(), Value::Int(count)]);
        let mut all = ByPolicy::new();
        self.of_many(policies, values, "s.policy, m.at, m.value", rest, |row| {
            of(&mut all, &row.shown()?).push(Worst { at: row.instant()?, value: row.real()? });
            Ok(())
        })?;
        Ok(all)
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
        let rest = |places: &str| format!("FROM outbox WHERE policy IN ({places}) AND {which} ORDER BY number");
        let mut all = ByPolicy::new();
        self.of_many(policies, values, "policy, receiver, notice, created, delivered", rest, |row| {
            let of_policy = of(&mut all, &row.shown()?);
            of_policy.push(PastNotice {
                receiver: row.text()?,
                notice: row.text()?,
                created: row.instant()?,
                delivered: row.maybe_instant()?,
            });
            Ok(())
        })?;
        Ok(all)
    }
}

/// A run as it was found, and what it went by.
struct Found {
    id: i64,
    run: PastRun,
    by: Option<usize>,
}

/// What runs went by, each once: nearly all of them say the same.
#[derive(Default)]
struct GoneBy {
    all: Vec<(String, Option<String>)>,
    places: BTreeMap<(String, Option<String>), usize>,
    last: usize,
}

impl Found {
    fn read(row: &mut Row, known: &mut GoneBy) -> Result<Found, CatalogFault> {
        let (id, started, digest, commit) = (row.int()?, row.instant()?, row.maybe_shown()?, row.maybe_shown()?);
        let run = PastRun {
            job: row.text()?,
            started,
            ended: row.maybe_instant()?,
            outcome: row.maybe_shown()?.map(|word| Outcome::read(&word)).transpose()?,
            bytes: row.maybe_unsigned()?,
            stored_bytes: row.maybe_unsigned()?,
            message: row.maybe_text()?,
        };
        Ok(Found { id, run, by: digest.map(|digest| known.place(&digest, commit.as_deref())) })
    }
}

impl GoneBy {
    fn place(&mut self, digest: &str, commit: Option<&str>) -> usize {
        if !self.all.get(self.last).is_some_and(|(one, of)| one == digest && of.as_deref() == commit) {
            let new = (digest.to_owned(), commit.map(str::to_owned));
            self.last = *self.places.entry(new.clone()).or_insert(self.all.len());
            if self.last == self.all.len() {
                self.all.push(new);
            }
        }
        self.last
    }

    /// When a policy became another one. What a run went by is compared with what the last one before it did that said so.
    fn changes(&self, runs: &[Found], before: Option<Changed>) -> Vec<Changed> {
        let mut before = before;
        let mut changes: Vec<Changed> = Vec::new();
        for (run, by) in runs.iter().filter_map(|found| Some((&found.run, found.by?))) {
            let (digest, commit) = &self.all[by];
            let was = before.take();
            let first = was.as_ref().is_some_and(|was| was.digest == *digest);
            changes.extend(was.filter(|_| !first));
            if changes.last().is_none_or(|last| last.digest != *digest) {
                changes.push(Changed { at: run.started, digest: digest.clone(), commit: commit.clone(), first });
            }
        }
        changes
    }
}
