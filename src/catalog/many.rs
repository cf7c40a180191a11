//! What is asked of many policies at once: a question for each of them would take a fleet's patience.

use std::collections::BTreeMap;

use super::Catalog;
use super::acknowledgements::{self, Acknowledgement};
use super::bounds::name;
use super::fault::CatalogFault;
use super::history::{self, RunRow, Size, Taken};
use super::jobs::{self, JobRecord};
use super::link::Link;
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

        let latest = with(concat!(
            "SELECT policy, ",
            measurements::latest_columns!(),
            " WHERE policy IN ({policies}) ORDER BY policy, name, subject"
        ));
        for (policy, latest) in self.of_many(policies, vec![], latest, |row| Ok((row.text()?, measurements::latest(row)?)))? {
            all.entry(policy).or_default().latest.push(latest);
        }
        let acks = with(concat!("SELECT policy, ", acknowledgements::columns!(), " WHERE policy IN ({policies}) ORDER BY policy, subject"));
        for (policy, ack) in self.of_many(policies, vec![], acks, |row| Ok((row.text()?, acknowledgements::read(row)?)))? {
            all.entry(policy).or_default().acknowledgements.push(ack);
        }
        let memory = with("SELECT policy, memory FROM alert_memory WHERE policy IN ({policies})");
        for (policy, memory) in self.of_many(policies, vec![], memory, |row| Ok((row.text()?, row.text()?)))? {
            all.entry(policy).or_default().memory = memory;
        }
        Ok(all)
    }

    fn runs_of(&self, policies: &[&str], since: Instant, all: &mut Found) -> Result<(), CatalogFault> {
        let records = with("FROM jobs WHERE policy IN ({policies}) ORDER BY policy, job");
        self.packed_of_many(policies, vec![], concat!("policy, ", jobs::columns!()), records, |row| {
            let policy = row.text()?;
            all.entry(policy).or_default().records.push(jobs::read(row)?);
            Ok(())
        })?;
        let last = with("FROM runs WHERE id IN (SELECT last_run FROM jobs WHERE policy IN ({policies}))");
        self.packed_of_many(policies, vec![], history::columns!(), last, |row| {
            let run = history::run(row)?;
            all.entry(run.policy.clone()).or_default().last.insert(run.job.clone(), run);
            Ok(())
        })?;
        let rates = with(
            "SELECT policy, count(CASE WHEN outcome = 'succeeded' THEN 1 END), count(*) FROM runs WHERE policy IN ({policies}) \
             AND started >= $1 AND job NOT IN ('restore', 'policy') AND outcome IN ('succeeded', 'failed', 'lost') GROUP BY policy",
        );
        let rate = |row: &mut Row| Ok((row.text()?, (row.unsigned()?, row.unsigned()?)));
        for (policy, rate) in self.of_many(policies, vec![since.into()], rates, rate)? {
            all.entry(policy).or_default().runs = rate;
        }
        Ok(())
    }

    fn good_runs_of(&self, policies: &[&str], all: &mut Found) -> Result<(), CatalogFault> {
        const COLUMNS: &str = "j.policy, j.job, r.started, r.ended, r.bytes, r.stored_bytes";
        let good = with(
            "FROM jobs j JOIN runs r ON r.id = \
             (SELECT g.id FROM runs g WHERE g.policy = j.policy AND g.job = j.job AND g.outcome = 'succeeded' ORDER BY g.id DESC LIMIT 1) \
             WHERE j.policy IN ({policies})",
        );
        let mut found = Vec::new();
        self.packed_of_many(policies, vec![], COLUMNS, good, |row| {
            found.push(good_run(row)?);
            Ok(())
        })?;
        for (policy, job, taken, made) in found {
            // One that another host took has no size here; the one before it may. Other jobs never have one.
            let made = match made {
                None if job.starts_with("backups.") => self.sizes(&policy, &job, 1)?.first().copied(),
                made => made,
            };
            let of = all.entry(policy).or_default();
            of.made.extend(made.map(|made| (job.clone(), made)));
            of.took.insert(job, taken);
        }
        Ok(())
    }

    fn notices_of(&self, policies: &[&str], all: &mut Found) -> Result<(), CatalogFault> {
        let undelivered = with(concat!(
            "SELECT policy, ",
            outbox::undelivered_columns!(),
            " WHERE policy IN ({policies}) AND delivered IS NULL ORDER BY policy, number"
        ));
        for (policy, notice) in self.of_many(policies, vec![], undelivered, |row| Ok((row.text()?, outbox::undelivered(row)?)))? {
            let of = all.entry(policy).or_default();
            if of.undelivered.len() < outbox::MOST_UNDELIVERED {
                of.undelivered.push(notice);
            }
        }
        for (policy, failing) in self.failing_receivers_of(policies)? {
            all.entry(policy).or_default().failing = failing;
        }
        Ok(())
    }

    /// Asks one question of many policies, some hundred at a time. `sql` is given the places for their names, which follow `first`.
    pub(super) fn of_many<T>(
        &self,
        policies: &[&str],
        first: Vec<Value>,
        sql: impl Fn(&str) -> String,
        read: impl Fn(&mut Row) -> Result<T, CatalogFault>,
    ) -> Result<Vec<T>, CatalogFault> {
        let mut all = Vec::new();
        self.each_of_many(policies, &first, |link, places, values| {
            link.ask(sql(places), values)?.iter_mut().try_for_each(|row| {
                all.push(read(row)?);
                Ok(())
            })
        })?;
        Ok(all)
    }

    /// The same, where there are many rows for each; see [`Link::ask_packed`].
    pub(super) fn packed_of_many(
        &self,
        policies: &[&str],
        first: Vec<Value>,
        columns: &str,
        rest: impl Fn(&str) -> String,
        mut look: impl FnMut(&mut Row<'_>) -> Result<(), CatalogFault>,
    ) -> Result<(), CatalogFault> {
        self.each_of_many(policies, &first, |link, places, values| link.ask_packed(columns, &rest(places), values, &mut look))
    }

    /// The same of rows of which a policy has hundreds, in no order; see [`Link::ask_packed_by_policy`].
    pub(super) fn packed_by_policy(
        &self,
        policies: &[&str],
        first: Vec<Value>,
        columns: &str,
        document: Option<&str>,
        from: impl Fn(&str) -> String,
        mut look: impl FnMut(&str, &mut Row<'_>) -> Result<(), CatalogFault>,
    ) -> Result<(), CatalogFault> {
        self.each_of_many(policies, &first, |link, places, values| {
            link.ask_packed_by_policy(columns, document, &from(places), values, &mut look)
        })
    }

    fn each_of_many(
        &self,
        policies: &[&str],
        first: &[Value],
        mut ask: impl FnMut(&mut Link, &str, Vec<Value>) -> Result<(), CatalogFault>,
    ) -> Result<(), CatalogFault> {
        for some in policies.chunks(AT_ONCE) {
            let places: Vec<String> = (0..some.len()).map(|index| format!("${}", index + first.len() + 1)).collect();
            let names = some.iter().map(|policy| name(policy)).collect::<Result<Vec<_>, _>>()?;
            let values = first.iter().cloned().chain(names).collect();
            self.read_beside(|link| ask(link, &places.join(", "), values))?;
        }
        Ok(())
    }
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
