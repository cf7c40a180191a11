//! Who took which alert upon himself.

use super::Catalog;
use super::bounds::{name, said};
use super::fault::CatalogFault;
use super::value::Row;
use crate::units::Instant;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The alert's key: `backup_age:nightly`.
    pub key: String,
    pub by: String,
    pub note: String,
    pub at: Instant,
    /// Not for longer than this.
    pub until: Option<Instant>,
}

macro_rules! columns {
    () => {
        "subject, by_whom, note, at, until"
    };
}
pub(super) use columns;

pub(super) fn read(row: &mut Row) -> Result<Acknowledgement, CatalogFault> {
    let (key, by, note) = (row.text()?, row.text()?, row.text()?);
    Ok(Acknowledgement { key, by, note, at: row.instant()?, until: row.maybe_instant()? })
}

impl Catalog {
    /// A later one takes the place of an earlier one.
    pub fn acknowledge(
        &self,
        policy: &str,
        key: &str,
        by: &str,
        note: &str,
        at: Instant,
        until: Option<Instant>,
    ) -> Result<(), CatalogFault> {
        const SQL: &str = "INSERT INTO acknowledgements (policy, subject, by_whom, note, at, until) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (policy, subject) DO UPDATE SET by_whom = excluded.by_whom, note = excluded.note, at = excluded.at, until = excluded.until";
        let values = vec![name(policy)?, name(key)?, name(by)?, said(note), at.into(), until.into()];
        self.write(|link| link.ask(SQL, values).map(drop))
    }

    /// All that were not withdrawn; whether one has run out, the caller judges.
    pub fn acknowledgements(&self, policy: &str) -> Result<Vec<Acknowledgement>, CatalogFault> {
        const SQL: &str = concat!("SELECT ", columns!(), " FROM acknowledgements WHERE policy = $1 ORDER BY subject");
        let values = vec![name(policy)?];
        self.read(|link| link.ask(SQL, values)?.into_iter().map(|mut row| read(&mut row)).collect())
    }

    /// Takes an acknowledgement back. False if there was none.
    pub fn withdraw(&self, policy: &str, key: &str) -> Result<bool, CatalogFault> {
        let values = vec![name(policy)?, name(key)?];
        let sql = "DELETE FROM acknowledgements WHERE policy = $1 AND subject = $2 RETURNING subject";
        self.write(|link| Ok(!link.ask(sql, values)?.is_empty()))
    }
}
