//! What the rules for alerts remember of a policy, and the notices that follow from it: both are changed together or not at all.

use super::Catalog;
use super::bounds::{document, memory, name};
use super::fault::CatalogFault;
use super::link::Link;
use super::value::Value;
use crate::units::Instant;

/// A notice for the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueuedNotice<'n> {
    /// The same notice has the same id whoever works it out: it is queued once.
    pub id: &'n str,
    pub policy: &'n str,
    pub receiver: &'n str,
    pub json: &'n str,
    /// It is not sent sooner.
    pub not_before: Instant,
}

impl Catalog {
    /// What was remembered last, with its version; version 0 and nothing where nothing was.
    pub fn memory(&self, policy: &str) -> Result<(i64, String), CatalogFault> {
        let values = vec![name(policy)?];
        self.read(|link| match link.ask_one("SELECT version, memory FROM alert_memory WHERE policy = $1", values)? {
            Some(mut row) => Ok((row.int()?, row.text()?)),
            None => Ok((0, String::new())),
        })
    }

    /// Remembers something new and queues what follows from it, if nobody was faster: false means that nothing was done, and the
    /// decision is to be made again from what is remembered now.
    pub fn decide(
        &self,
        policy: &str,
        version_seen: i64,
        new_memory: &str,
        notices: &[QueuedNotice<'_>],
        at: Instant,
    ) -> Result<bool, CatalogFault> {
        const SQL: &str = "INSERT INTO alert_memory (policy, version, memory, changed) VALUES ($1, $2 + 1, $3, $4) \
             ON CONFLICT (policy) DO UPDATE SET version = excluded.version, memory = excluded.memory, changed = excluded.changed";
        let (policy, remembered) = (name(policy)?, memory(new_memory)?);
        self.write(|link| {
            let found = link.ask_one("SELECT version FROM alert_memory WHERE policy = $1", vec![policy.clone()])?;
            let version = found.map(|mut row| row.int()).transpose()?.unwrap_or(0);
            if version != version_seen {
                return Ok(false);
            }
            link.ask(SQL, vec![policy, Value::Int(version), remembered, at.into()])?;
            queue(link, notices, at)?;
            Ok(true)
        })
    }

    /// Queues notices that follow from no rule: a sample, a report.
    pub fn queue(&self, notices: &[QueuedNotice<'_>], at: Instant) -> Result<(), CatalogFault> {
        self.write(|link| queue(link, notices, at))
    }
}

/// Many in one statement: ten thousand are stored within a second, over a network too.
fn queue(link: &mut Link, notices: &[QueuedNotice<'_>], at: Instant) -> Result<(), CatalogFault> {
    const AT_ONCE: usize = 100;
    const COLUMNS: usize = 6;
    for some in notices.chunks(AT_ONCE) {
        let mut values = Vec::with_capacity(some.len() * COLUMNS);
        for notice in some {
            values.extend([name(notice.id)?, name(notice.policy)?, name(notice.receiver)?, document(notice.json)?]);
            values.extend([Value::from(at), notice.not_before.into()]);
        }
        let row = |index: usize| {
            let places: Vec<String> = (1..=COLUMNS).map(|column| format!("${}", index * COLUMNS + column)).collect();
            format!("({})", places.join(", "))
        };
        let rows: Vec<String> = (0..some.len()).map(row).collect();
        let rows = rows.join(", ");
        let sql =
            format!("INSERT INTO outbox (id, policy, receiver, notice, created, not_before) VALUES {rows} ON CONFLICT (id) DO NOTHING");
        link.ask(sql, values)?;
    }
    Ok(())
}
