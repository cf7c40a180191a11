//! What is asked of many policies at once: a question for each of them would take a fleet's patience.

use std::collections::BTreeMap;

use super::Catalog;
use super::acknowledgements::{self, Acknowledgement};
use super::bounds::name;
use super::fault::CatalogFault;
use super::history::{self, RunRow, Size, Taken};
use super::jobs::{self, JobRecord};
use super::measurements::{self, Latest};
use super::outbox::{self, FailingReceiver, Undelivered};
use super::value::{Row, Value};
use crate::units::Instant;

/// So many policies are asked of in one statement.
const AT_ONCE: usize = 200;

/// How a policy stands on record.
#[derive(Debug, Clone, Default)]
pub struct OfPolicy {
    pub records: Vec<JobRecord>,
    /// Each job's last run.
    pub last: BTreeMap<String, RunRow>,
    /// What each job's last good run made, and how long it took.
    pub made: BTreeMap<String, Size>,
    pub took: BTreeMap<String, Taken>,
    pub undelivered: Vec<Undelivered>,
    pub failing: Vec<FailingReceiver>,
    pub latest: Vec<Latest>,
    pub acknowledgements: Vec<Acknowledgement>,
    /// What the rules for alerts remember; empty where nothing was.
    pub memory: String,
    /// Since the moment that was asked for: how many runs succeeded, and how many there were.
    pub runs: (u64, u64),
}

type Found = BTreeMap<String, OfPolicy>;

impl Catalog {
    /// How policies stand, by their names; every one that was asked for is there. `since` is for the share of good runs.
    pub fn of_policies(&self, policies: &[&str], since: Instant) -> Result<BTreeMap<String, OfPolicy>, CatalogFault> {
        let mut all: Found = policies.iter().map(|policy| ((*policy).to_owned(), OfPolicy::default())).collect();
        self.runs_of(policies, since, &mut all)?;
        self.good_runs_of(policies, &mut all)?;
        self.notices_of(policies, &mut all)?;

        let latest = with("FROM series WHERE policy IN ({policies}) ORDER BY policy, name, subject");
        self.of_many(policies, vec![], concat!("policy, ", measurements::latest_columns!()), latest, |row| {
            of(&mut all, &row.shown()?).latest.push(measurements::latest(row)?);
            Ok(())
        })?;
        let acks = with("FROM acknowledgements WHERE policy IN ({policies}) ORDER BY policy, subject");
        self.of_many(policies, vec![], concat!("policy, ", acknowledgements::columns!()), acks, |row| {
            of(&mut all, &row.shown()?).acknowledgements.push(acknowledgements::read(row)?);
            Ok(())
        })?;
        self.of_many(policies, vec![], "policy, memory", with("FROM alert_memory WHERE policy IN ({policies})"), |row| {
            let of = of(&mut all, &row.shown()?);
            of.memory = row.text()?;
            Ok(())
        })?;
        Ok(all)
    }

    fn runs_of(&self, policies: &[&str], since: Instant, all: &mut Found) -> Result<(), CatalogFault> {
        let records = with("FROM jobs WHERE policy IN ({policies}) ORDER BY policy, job");
        self.of_many(policies, vec![], concat!("policy, ", jobs::columns!()), records, |row| {
            of(all, &row.shown()?).records.push(jobs::read(row)?);
            Ok(())
        })?;
        let last = with("FROM runs WHERE id IN (SELECT last_run FROM jobs WHERE policy IN ({policies}))");
        self.of_many(policies, vec![], history::columns!(), last, |row| {
            let run = history::run(row)?;
            of(all, &run.policy).last.insert(run.job.clone(), run);
            Ok(())
        })?;
        const RATE: &str = "policy, count(CASE WHEN outcome = 'succeeded' THEN 1 END), count(*)";
        let rates = with(
            "FROM runs WHERE policy IN ({policies}) AND started >= $1 AND job NOT IN ('restore', 'policy') \
             AND outcome IN ('succeeded', 'failed', 'lost') GROUP BY policy",
        );
        self.of_many(policies, vec![since.into()], RATE, rates, |row| {
            let of = of(all, &row.shown()?);
            of.runs = (row.unsigned()?, row.unsigned()?);
            Ok(())
        })
    }

    fn good_runs_of(&self, policies: &[&str], all: &mut Found) -> Result<(), CatalogFault> {
        const COLUMNS: &str = "j.policy, j.job, r.started, r.ended, r.bytes, r.stored_bytes";
        let good = with(
            "FROM jobs j JOIN runs r ON r.id = \
             (SELECT g.id FROM runs g WHERE g.policy = j.policy AND g.job = j.job AND g.outcome = 'succeeded' ORDER BY g.id DESC LIMIT 1) \
             WHERE j.policy IN ({policies})",
        );
        let mut found = Vec::new();
        self.of_many(policies, vec![], COLUMNS, good, |row| {
            found.push(good_run(row)?);
            Ok(())
        })?;
        for (policy, job, taken, made) in found {
            // One that another host took has no size here; the one before it may. Other jobs never have one.
            let made = match made {
                None if job.starts_with("backups.") => self.sizes(&policy, &job, 1)?.first().copied(),
                made => made,
            };
            let of = of(all, &policy);
            of.made.extend(made.map(|made| (job.clone(), made)));
            of.took.insert(job, taken);
        }
        Ok(())
    }

    fn notices_of(&self, policies: &[&str], all: &mut Found) -> Result<(), CatalogFault> {
        let undelivered = with("FROM outbox WHERE policy IN ({policies}) AND delivered IS NULL ORDER BY policy, number");
        self.of_many(policies, vec![], concat!("policy, ", outbox::undelivered_columns!()), undelivered, |row| {
            let of = of(all, &row.shown()?);
            if of.undelivered.len() < outbox::MOST_UNDELIVERED {
                of.undelivered.push(outbox::undelivered(row)?);
            }
            Ok(())
        })?;
        for (policy, failing) in self.failing_receivers_of(policies)? {
            of(all, &policy).failing = failing;
        }
        Ok(())
    }

    /// Asks one question of many policies, some hundred at a time, and shows each row of the answers. `rest` is what follows the columns; it is
    /// given the places for the policies' names, which follow `first`.
    pub(super) fn of_many(
        &self,
        policies: &[&str],
        first: Vec<Value>,
        columns: &str,
        rest: impl Fn(&str) -> String,
        mut look: impl FnMut(&mut Row<'_>) -> Result<(), CatalogFault>,
    ) -> Result<(), CatalogFault> {
        for some in policies.chunks(AT_ONCE) {
            let places: Vec<String> = (0..some.len()).map(|index| format!("${}", index + first.len() + 1)).collect();
            let names = some.iter().map(|policy| name(policy)).collect::<Result<Vec<_>, _>>()?;
            let values = first.iter().cloned().chain(names).collect();
            self.read_beside(|link| link.ask_packed(columns, &rest(&places.join(", ")), values, &mut look))?;
        }
        Ok(())
    }
}

/// What is kept of a policy; a new one where nothing is.
pub(super) fn of<'a, T: Default>(all: &'a mut BTreeMap<String, T>, policy: &str) -> &'a mut T {
    // Rows mostly come policy by policy, in the order of their names.
    if all.last_key_value().is_some_and(|(last, _)| last == policy) {
        return all.last_entry().expect("it was just seen").into_mut();
    }
    all.entry(policy.to_owned()).or_default()
}

/// The places for the policies' names, put into a question.
fn with(sql: &'static str) -> impl Fn(&str) -> String {
    move |places| sql.replace("{policies}", places)
}

fn good_run(row: &mut Row) -> Result<(String, String, Taken, Option<Size>), CatalogFault> {
    let (policy, job) = (row.text()?, row.text()?);
    let taken = Taken { started: row.instant()?, ended: row.instant()? };
    let (bytes, stored_bytes) = (row.maybe_unsigned()?, row.maybe_unsigned()?);
    Ok((policy, job, taken, bytes.map(|bytes| Size { at: taken.ended, bytes, stored_bytes })))
}
