//! Notices that are owed: each is sent at least once, to each receiver in the order in which they were queued.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::Catalog;
use super::bounds::{count, maybe_name, name, said};
use super::fault::CatalogFault;
use super::value::{Row, Value};
use crate::units::Instant;

/// A notice that was claimed for sending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    pub id: String,
    pub policy: String,
    pub receiver: String,
    pub json: String,
    /// This one included. Also tells claims apart: what a sender says of an earlier claim than the last one counts for nothing.
    pub attempts: u32,
    pub created: Instant,
    /// When an attempt failed for the first time.
    pub first_failed: Option<Instant>,
    /// What an earlier attempt left, where it got so far.
    pub reference: Option<String>,
}

/// A notice that has not arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    pub id: String,
    pub receiver: String,
    pub json: String,
    pub created: Instant,
    pub not_before: Instant,
    pub attempts: u32,
    pub next_try: Option<Instant>,
    pub last_error: Option<String>,
    /// Nobody tries any more.
    pub gave_up: bool,
}

/// A receiver whom notices do not reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailingReceiver {
    pub receiver: String,
    pub since: Instant,
    pub attempts: u32,
    pub last_error: String,
}

/// So many of a policy are told of.
pub(super) const MOST_UNDELIVERED: usize = 1000;

macro_rules! undelivered_columns {
    () => {
        "id, receiver, notice, created, not_before, attempts, next_try, last_error, gave_up"
    };
}
pub(super) use undelivered_columns;

impl Catalog {
    /// The policies to whose receivers something is owed, if it may be tried now.
    pub fn owing(&self, now: Instant) -> Result<Vec<String>, CatalogFault> {
        const SQL: &str = "SELECT DISTINCT policy FROM outbox WHERE delivered IS NULL AND gave_up IS NULL \
             AND (not_before <= $1 OR not_before <= created OR created > $2) AND (next_try IS NULL OR next_try <= $1 OR next_try > $2) AND (leased_until IS NULL OR leased_until <= $1 OR leased_until > $2) \
             ORDER BY policy";
        let values = vec![now.into(), now.as_microsecond().saturating_add(AHEAD).into()];
        self.read(|link| link.ask(SQL, values)?.into_iter().map(|mut row| row.text()).collect())
    }

    /// Takes notices of these policies for sending, until `lease_until`. No two senders have the same one at once; who dies loses his
    /// claim with time. A sender names the policies whose receivers he can reach: a fleet's hosts do not know each other's.
    ///
    /// Of a receiver, nothing is given out past a notice that waits for its next try or is under way, with whomever: order is kept.
    /// What is only meant for later holds up nothing. What was due when it was queued is due, whatever the clock said then: that clock may
    /// have been ahead.
    pub fn claim(
        &self,
        policies: &[&str],
        now: Instant,
        limit: usize,
        lease_until: Instant,
        claimant: &str,
    ) -> Result<Vec<Outgoing>, CatalogFault> {
        const TAKE: &str = "UPDATE outbox SET attempts = attempts + 1, leased_until = $2, claimant = $3 WHERE number = $1";
        if policies.is_empty() {
            return Ok(Vec::new());
        }
        let who = name(claimant)?;
        let sql = owed(policies.len());
        let values = |limit: usize| -> Result<Vec<Value>, CatalogFault> {
            let mut values = vec![Value::from(now), count(limit)];
            for policy in policies {
                values.push(name(policy)?);
            }
            Ok(values)
        };
        // Most of the time nothing is owed, and then nothing is written.
        let looked = values(1)?;
        if self.read(|link| link.ask(sql.clone(), looked))?.is_empty() {
            return Ok(Vec::new());
        }
        let values = values(limit)?;
        self.write(|link| {
            let mut claimed = Vec::new();
            for mut row in link.ask(sql, values)? {
                link.ask(TAKE, vec![row.int()?.into(), lease_until.into(), who.clone()])?;
                claimed.push(outgoing(&mut row)?);
            }
            Ok(claimed)
        })
    }

    /// It arrived. True even when the claim had run out meanwhile: it will not be sent again from here on.
    pub fn delivered(&self, id: &str, at: Instant, reference: Option<&str>) -> Result<(), CatalogFault> {
        const SQL: &str = "UPDATE outbox SET delivered = $2, reference = coalesce($3, reference), leased_until = NULL, next_try = NULL, \
             gave_up = NULL WHERE id = $1 AND delivered IS NULL";
        let values = vec![name(id)?, at.into(), maybe_name(reference)?];
        self.write(|link| link.ask(SQL, values).map(drop))
    }

    /// It did not arrive. Nothing is changed if somebody else has claimed it since.
    pub fn failed(&self, notice: &Outgoing, error: &str, at: Instant, next_try: Instant, gave_up: bool) -> Result<(), CatalogFault> {
        const SQL: &str = "UPDATE outbox SET last_error = $3, last_failed = $4, first_failed = coalesce(first_failed, $4), next_try = $5, \
             gave_up = $6, leased_until = NULL WHERE id = $1 AND attempts = $2 AND delivered IS NULL";
        let given_up = gave_up.then_some(at);
        let values = vec![name(&notice.id)?, i64::from(notice.attempts).into(), said(error), at.into(), next_try.into(), given_up.into()];
        self.write(|link| link.ask(SQL, values).map(drop))
    }

    /// Gives back what was claimed and not tried: an earlier notice to the same receiver failed, or the sender stops.
    pub fn released(&self, notices: &[Outgoing]) -> Result<(), CatalogFault> {
        const SQL: &str =
            "UPDATE outbox SET attempts = attempts - 1, leased_until = NULL WHERE id = $1 AND attempts = $2 AND delivered IS NULL";
        if notices.is_empty() {
            return Ok(());
        }
        self.write(|link| {
            for notice in notices {
                link.ask(SQL, vec![name(&notice.id)?, i64::from(notice.attempts).into()])?;
            }
            Ok(())
        })
    }

    /// What has not arrived, oldest first; what was given up too.
    pub fn undelivered(&self, policy: &str) -> Result<Vec<Undelivered>, CatalogFault> {
        const SQL: &str =
            concat!("SELECT ", undelivered_columns!(), " FROM outbox WHERE policy = $1 AND delivered IS NULL ORDER BY number LIMIT $2");
        let values = vec![name(policy)?, count(MOST_UNDELIVERED)];
        self.read(|link| link.ask(SQL, values)?.into_iter().map(|mut row| undelivered(&mut row)).collect())
    }

    /// Receivers whose last attempt failed, with the time since which none succeeded. What was given up counts until something arrives
    /// there or somebody acknowledges `delivery:RECEIVER`: nothing sends it any more, so nothing else might ever end it.
    pub fn failing_receivers(&self, policy: &str) -> Result<Vec<FailingReceiver>, CatalogFault> {
        Ok(self.failing_receivers_of(&[policy])?.remove(policy).unwrap_or_default())
    }

    /// The same of many policies.
    pub(super) fn failing_receivers_of(&self, policies: &[&str]) -> Result<BTreeMap<String, Vec<FailingReceiver>>, CatalogFault> {
        const COLUMNS: &str = "o.policy, o.receiver, o.first_failed, o.attempts, o.last_error";
        let rest = |places: &str| {
            format!(
                "FROM outbox o WHERE o.policy IN ({places}) \
                 AND o.delivered IS NULL AND o.last_failed > \
                     coalesce((SELECT max(d.delivered) FROM outbox d WHERE d.policy = o.policy AND d.receiver = o.receiver), 0) \
                 AND (o.gave_up IS NULL OR o.last_failed > \
                     coalesce((SELECT a.at FROM acknowledgements a WHERE a.policy = o.policy AND a.subject = 'delivery:' || o.receiver), 0)) \
                 ORDER BY o.last_failed LIMIT 10000"
            )
        };
        let mut failing: BTreeMap<String, BTreeMap<String, FailingReceiver>> = BTreeMap::new();
        self.of_many(policies, Vec::new(), COLUMNS, rest, |row| {
            let (policy, receiver) = (row.text()?, row.text()?);
            let tried = FailingReceiver { receiver, since: row.instant()?, attempts: attempts(row)?, last_error: row.text()? };
            match failing.entry(policy).or_default().entry(tried.receiver.clone()) {
                Entry::Vacant(place) => drop(place.insert(tried)),
                Entry::Occupied(mut known) => {
                    let known = known.get_mut();
                    known.since = known.since.min(tried.since);
                    known.attempts = known.attempts.saturating_add(tried.attempts);
                    known.last_error = tried.last_error;
                }
            }
            Ok(())
        })?;
        Ok(failing.into_iter().map(|(policy, receivers)| (policy, receivers.into_values().collect())).collect())
    }
}

/// In microseconds. Nobody waits a day for another try, or has something for so long: what lies further ahead was written by a clock that was
/// wrong.
const AHEAD: i64 = 25 * 3600 * 1_000_000;

/// What can be sent now. `held` is worked out once and not for every row, whatever a server without statistics thinks of that.
fn owed(policies: usize) -> String {
    let places: Vec<String> = (0..policies).map(|index| format!("${}", index + 3)).collect();
    let places = places.join(", ");
    format!(
        "WITH held AS MATERIALIZED (SELECT policy, receiver, min(number) AS first FROM outbox \
             WHERE delivered IS NULL AND gave_up IS NULL AND policy IN ({places}) AND (next_try > $1 AND next_try <= $1 + {AHEAD} OR leased_until > $1 AND leased_until <= $1 + {AHEAD}) \
             GROUP BY policy, receiver) \
         SELECT o.number, o.id, o.policy, o.receiver, o.notice, o.attempts, o.created, o.first_failed, o.reference FROM outbox o \
         LEFT JOIN held h ON h.policy = o.policy AND h.receiver = o.receiver \
         WHERE o.delivered IS NULL AND o.gave_up IS NULL AND o.policy IN ({places}) \
         AND (o.not_before <= $1 OR o.not_before <= o.created OR o.created > $1 + {AHEAD}) \
         AND (h.first IS NULL OR o.number < h.first) ORDER BY o.number LIMIT $2"
    )
}

/// What follows the number.
fn outgoing(row: &mut Row) -> Result<Outgoing, CatalogFault> {
    Ok(Outgoing {
        id: row.text()?,
        policy: row.text()?,
        receiver: row.text()?,
        json: row.text()?,
        attempts: attempts(row)?.saturating_add(1),
        created: row.instant()?,
        first_failed: row.maybe_instant()?,
        reference: row.maybe_text()?,
    })
}

pub(super) fn undelivered(row: &mut Row) -> Result<Undelivered, CatalogFault> {
    Ok(Undelivered {
        id: row.text()?,
        receiver: row.text()?,
        json: row.text()?,
        created: row.instant()?,
        not_before: row.instant()?,
        attempts: attempts(row)?,
        next_try: row.maybe_instant()?,
        last_error: row.maybe_text()?,
        gave_up: row.maybe_int()?.is_some(),
    })
}

fn attempts(row: &mut Row) -> Result<u32, CatalogFault> {
    Ok(u32::try_from(row.int()?).unwrap_or(u32::MAX))
}
