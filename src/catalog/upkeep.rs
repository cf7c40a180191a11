//! What is too old goes; whether the whole is sound is asked.

use super::Catalog;
use super::fault::{CatalogFault, FaultKind, damaged};
use super::link::{Link, Where};
use super::measurements::{RECOVERY_POINT, RECOVERY_POINT_WORST};
use super::value::Value;
use crate::units::Instant;

/// How long runs are kept, so that a year can be held against the one before. A job's last run, its last good one and those under way
/// are always kept.
const RUNS_DAYS: i64 = 800;
/// Measurements: all for three days, then one an hour, after forty days one a day, after four hundred none. Which one, [`Catalog::thin`] says.
const ALL_DAYS: i64 = 3;
const HOURLY_DAYS: i64 = 40;
const MEASUREMENTS_DAYS: i64 = 400;
/// Notices that were delivered or given up, and acknowledgements that ran out: reports of a year tell of them. As long as a notice is here,
/// its id is not queued again.
const NOTICES_DAYS: i64 = 400;
const THREADS_DAYS: i64 = 400;

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    pub runs: u64,
    pub measurements: u64,
    pub notices: u64,
}

impl Catalog {
    /// Removes what nobody will ask for again. The audit chain is never shortened.
    pub fn prune(&self, now: Instant) -> Result<Pruned, CatalogFault> {
        let ago = |days: i64| Value::Int(now.as_microsecond().saturating_sub(days * DAY));
        // Each in a transaction of its own: others need not wait for all of it.
        let runs = self.remove(
            "DELETE FROM runs WHERE started < $1 AND ended IS NOT NULL \
             AND id NOT IN (SELECT max(id) FROM runs GROUP BY policy, job) \
             AND id NOT IN (SELECT max(id) FROM runs WHERE outcome = 'succeeded' GROUP BY policy, job) RETURNING 1",
            vec![ago(RUNS_DAYS)],
        )?;
        // The last one that passed is evidence for as long as there is none newer.
        self.remove(
            "DELETE FROM drills WHERE ended < $1 AND EXISTS (SELECT 1 FROM drills later WHERE later.policy = drills.policy \
             AND later.drill = drills.drill AND later.outcome = 'passed' AND later.ended > drills.ended) RETURNING 1",
            vec![ago(RUNS_DAYS)],
        )?;
        let mut measurements = self.remove("DELETE FROM measurements WHERE at < $1 RETURNING 1", vec![ago(MEASUREMENTS_DAYS)])?;
        measurements += self.thin(ago(HOURLY_DAYS), DAY)?;
        measurements += self.thin(ago(ALL_DAYS), HOUR)?;
        self.remove("DELETE FROM series WHERE latest_at < $1 RETURNING 1", vec![ago(MEASUREMENTS_DAYS)])?;
        let notices = self.remove("DELETE FROM outbox WHERE coalesce(delivered, gave_up) < $1 RETURNING 1", vec![ago(NOTICES_DAYS)])?;
        self.remove("DELETE FROM acknowledgements WHERE until < $1 RETURNING 1", vec![ago(NOTICES_DAYS)])?;
        self.remove("DELETE FROM threads WHERE remembered < $1 RETURNING 1", vec![ago(THREADS_DAYS)])?;
        Ok(Pruned { runs, measurements, notices })
    }

    /// Of what is older than that, the last value of each span stays; of what would have been lost the most, or an hour without the network would
    /// be forgotten because it was over before the span was. Some series at a time: a fleet measures millions of values a day, and
    /// nobody waits that long for his turn to write.
    fn thin(&self, before: Value, span: i64) -> Result<u64, CatalogFault> {
        const LAST: &str = "DELETE FROM measurements WHERE at < $1 AND series >= $3 AND series < $4 \
             AND series NOT IN (SELECT id FROM series WHERE id >= $3 AND id < $4 AND name IN ($5, $6)) AND EXISTS (SELECT 1 FROM measurements later \
             WHERE later.series = measurements.series AND later.at > measurements.at \
             AND later.at < (measurements.at / $2 + 1) * $2 AND later.at < $1) RETURNING 1";
        const MOST: &str = "DELETE FROM measurements WHERE at < $1 \
             AND series IN (SELECT id FROM series WHERE id >= $3 AND id < $4 AND name IN ($5, $6)) AND EXISTS (SELECT 1 FROM measurements more \
             WHERE more.series = measurements.series AND more.at >= measurements.at / $2 * $2 \
             AND more.at < (measurements.at / $2 + 1) * $2 AND more.at < $1 \
             AND (more.value > measurements.value OR (more.value = measurements.value AND more.at < measurements.at))) RETURNING 1";
        const AT_ONCE: i64 = 100;
        let last = self.read(|link| link.ask_one("SELECT coalesce(max(id), 0) FROM series", vec![])?.map_or(Ok(0), |mut row| row.int()))?;
        let mut removed = 0;
        for first in (0..=last).step_by(AT_ONCE as usize) {
            let some = [Value::Int(span), Value::Int(first), Value::Int(first.saturating_add(AT_ONCE))];
            let losses = [RECOVERY_POINT, RECOVERY_POINT_WORST].map(Value::from);
            let values: Vec<Value> = [before.clone()].into_iter().chain(some).chain(losses).collect();
            removed += self.remove(LAST, values.clone())? + self.remove(MOST, values)?;
        }
        Ok(removed)
    }

    fn remove(&self, sql: &'static str, values: Vec<Value>) -> Result<u64, CatalogFault> {
        self.write(|link| Ok(link.ask(sql, values)?.len() as u64))
    }

    /// Is the catalog sound? SQLite looks at every page, so this takes a while; a server's pages are its own care, and only what the
    /// tables must agree on is asked.
    pub fn check(&self) -> Result<(), CatalogFault> {
        self.read(|link| {
            if let (Link::Sqlite(_), Where::Sqlite(path)) = (&*link, &self.place) {
                let said = link.ask("PRAGMA integrity_check(10)", vec![])?.into_iter().map(|mut row| row.text());
                let said = said.collect::<Result<Vec<_>, _>>()?;
                if said != ["ok"] {
                    return Err(damaged(path, &said.join("; ")));
                }
                if let Some(mut row) = link.ask_one("PRAGMA foreign_key_check", vec![])? {
                    return Err(damaged(path, &format!("a row of `{}` belongs to nothing", row.text()?)));
                }
            }
            agree(link, &self.place)
        })
    }
}

/// The last runs are told once more by the runs themselves.
fn agree(link: &mut Link, place: &Where) -> Result<(), CatalogFault> {
    const SQL: &str = "SELECT j.policy, j.job FROM jobs j WHERE \
         coalesce(j.running, 0) <> coalesce((SELECT max(id) FROM runs r WHERE r.policy = j.policy AND r.job = j.job AND r.ended IS NULL), 0) \
         OR coalesce(j.last_run, 0) <> coalesce((SELECT max(id) FROM runs r WHERE r.policy = j.policy AND r.job = j.job), 0) LIMIT 1";
    match link.ask_one(SQL, vec![])? {
        None => Ok(()),
        Some(mut row) => {
            let message = format!("the catalog {place} does not agree with itself about `{}` of {}", row.text()?, row.text()?);
            Err(CatalogFault::new(FaultKind::Damaged, message, "Somebody changed its tables: restore it from a copy or move it aside."))
        }
    }
}
