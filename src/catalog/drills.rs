//! Restore drills, each as the document that was written when it ended.

use std::collections::BTreeSet;

use super::Catalog;
use super::bounds::{document, name};
use super::fault::CatalogFault;
use super::measurements::{Measured, put};
use super::value::Row;
use super::words::words;
use crate::units::Instant;

words! {
    /// How a drill ended.
    DrillEnd {
        Passed = "passed",
        Failed = "failed",
        /// Somebody, or its time limit, ended it.
        Stopped = "stopped",
    }
}

/// A drill that has ended.
#[derive(Debug, Clone, Copy)]
pub struct NewDrill<'d> {
    pub id: &'d str,
    pub policy: &'d str,
    /// Empty for one that answers for no drill of the policy.
    pub drill: &'d str,
    pub started: Instant,
    pub ended: Instant,
    pub end: DrillEnd,
    /// JSON.
    pub record: &'d str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrillRow {
    pub id: String,
    pub policy: String,
    pub drill: String,
    pub started: Instant,
    pub ended: Instant,
    pub end: DrillEnd,
    pub record: String,
}

pub(super) const COLUMNS: &str = "id, policy, drill, started, ended, outcome, record";

impl Catalog {
    /// Records a drill with what it has measured: both or nothing, since nobody brings in a second time what has its record here. The same one
    /// again changes nothing.
    pub fn record_drill(&self, new: &NewDrill<'_>, measured: &[Measured<'_>]) -> Result<(), CatalogFault> {
        const SQL: &str = "INSERT INTO drills (id, policy, drill, started, ended, outcome, record) VALUES ($1, $2, $3, $4, $5, $6, $7) \
             ON CONFLICT (policy, id) DO NOTHING RETURNING id";
        let values = vec![
            name(new.id)?,
            name(new.policy)?,
            name(new.drill)?,
            new.started.into(),
            new.ended.into(),
            name(new.end.word())?,
            document(new.record)?,
        ];
        self.write(|link| match link.ask_one(SQL, values)? {
            Some(_) => put(link, new.policy, measured, new.ended),
            None => Ok(()),
        })
    }

    /// The ids of all drills of a policy that are on record.
    pub fn drill_ids(&self, policy: &str) -> Result<BTreeSet<String>, CatalogFault> {
        const SQL: &str = "SELECT id FROM drills WHERE policy = $1";
        let values = vec![name(policy)?];
        self.read(|link| link.ask(SQL, values)?.into_iter().map(|mut row| row.text()).collect())
    }

    /// All drills of a policy that ended since a moment, oldest first.
    pub fn drills(&self, policy: &str, since: Instant) -> Result<Vec<DrillRow>, CatalogFault> {
        const SQL: &str = "SELECT id, policy, drill, started, ended, outcome, record FROM drills \
             WHERE policy = $1 AND ended >= $2 ORDER BY ended, id";
        let values = vec![name(policy)?, since.into()];
        self.read(|link| link.ask(SQL, values)?.into_iter().map(|mut one| row(&mut one)).collect())
    }

    /// Of each drill of a policy the last one that ended, and the last that passed: what is evidence however long ago it was.
    pub fn last_drills(&self, policy: &str) -> Result<Vec<DrillRow>, CatalogFault> {
        const SQL: &str = "SELECT id, policy, drill, started, ended, outcome, record FROM drills this WHERE policy = $1 AND (\
             NOT EXISTS (SELECT 1 FROM drills later WHERE later.policy = this.policy AND later.drill = this.drill \
             AND (later.ended > this.ended OR (later.ended = this.ended AND later.id > this.id))) \
             OR (outcome = 'passed' AND NOT EXISTS (SELECT 1 FROM drills later WHERE later.policy = this.policy AND later.drill = this.drill \
             AND later.outcome = 'passed' AND (later.ended > this.ended OR (later.ended = this.ended AND later.id > this.id))))) \
             ORDER BY ended, id";
        let values = vec![name(policy)?];
        self.read(|link| link.ask(SQL, values)?.into_iter().map(|mut one| row(&mut one)).collect())
    }
}

pub(super) fn row(row: &mut Row) -> Result<DrillRow, CatalogFault> {
    Ok(DrillRow {
        id: row.text()?,
        policy: row.text()?,
        drill: row.text()?,
        started: row.instant()?,
        ended: row.instant()?,
        end: DrillEnd::read(&row.text()?)?,
        record: row.text()?,
    })
}
