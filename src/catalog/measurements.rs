//! Figures over time: one series for each name and subject of a policy, with its latest value at hand.

use super::Catalog;
use super::bounds::name;
use super::fault::{CatalogFault, FaultKind};
use super::link::Link;
use super::runs::nothing_returned;
use super::value::Row;
use crate::units::Instant;

/// How much of the written data would have been lost, at each look.
pub const RECOVERY_POINT: &str = "recovery_point_seconds";
/// The most of it since the hour began.
pub const RECOVERY_POINT_WORST: &str = "recovery_point_worst_seconds";

/// Something that was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured<'m> {
    /// What: `backup_age_seconds`.
    pub name: &'m str,
    /// Of what: `nightly`. May be empty.
    pub subject: &'m str,
    pub value: f64,
}

/// The newest value of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Latest {
    pub name: String,
    pub subject: String,
    pub value: f64,
    pub at: Instant,
}

macro_rules! latest_columns {
    () => {
        "name, subject, latest_value, latest_at"
    };
}
pub(super) use latest_columns;

pub(super) fn latest(row: &mut Row) -> Result<Latest, CatalogFault> {
    Ok(Latest { name: row.text()?, subject: row.text()?, value: row.real()?, at: row.instant()? })
}

/// In the transaction of whoever writes more.
pub(super) fn put(link: &mut Link, policy: &str, measured: &[Measured<'_>], at: Instant) -> Result<(), CatalogFault> {
    // A clock that was set back does not make an older value the latest: what was recorded last is.
    const SERIES: &str = "INSERT INTO series (policy, name, subject, latest_at, latest_value) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (policy, name, subject) DO UPDATE SET latest_at = excluded.latest_at, latest_value = excluded.latest_value RETURNING id";
    const VALUE: &str = "INSERT INTO measurements (series, at, value) VALUES ($1, $2, $3) \
         ON CONFLICT (series, at) DO UPDATE SET value = excluded.value";
    if let Some(bad) = measured.iter().find(|one| !one.value.is_finite()) {
        let message = format!("the measurement `{}` of `{}` is no number", bad.name, bad.subject);
        return Err(CatalogFault::new(FaultKind::Refused, message, "This is a bug in Seawall: please report it."));
    }
    for one in measured {
        let values = vec![name(policy)?, name(one.name)?, name(one.subject)?, at.into(), one.value.into()];
        let series = link.ask_one(SERIES, values)?.ok_or_else(nothing_returned)?.int()?;
        link.ask(VALUE, vec![series.into(), at.into(), one.value.into()])?;
    }
    Ok(())
}

impl Catalog {
    /// Records what was measured at one moment, all of it or nothing. The same moment again replaces it.
    pub fn measure(&self, policy: &str, measured: &[Measured<'_>], at: Instant) -> Result<(), CatalogFault> {
        if measured.is_empty() {
            return Ok(());
        }
        self.write(|link| put(link, policy, measured, at))
    }

    /// The newest value of each series, by name and subject.
    pub fn latest(&self, policy: &str) -> Result<Vec<Latest>, CatalogFault> {
        const SQL: &str = concat!("SELECT ", latest_columns!(), " FROM series WHERE policy = $1 ORDER BY name, subject");
        let values = vec![name(policy)?];
        self.read(|link| link.ask(SQL, values)?.into_iter().map(|mut row| latest(&mut row)).collect())
    }

    /// A series since a moment, oldest first.
    pub fn series(&self, policy: &str, name_: &str, subject: &str, since: Instant) -> Result<Vec<(Instant, f64)>, CatalogFault> {
        const SQL: &str = "SELECT m.at, m.value FROM series s JOIN measurements m ON m.series = s.id \
             WHERE s.policy = $1 AND s.name = $2 AND s.subject = $3 AND m.at >= $4 ORDER BY m.at";
        let values = vec![name(policy)?, name(name_)?, name(subject)?, since.into()];
        let read = |mut row: Row| Ok((row.instant()?, row.real()?));
        self.read(|link| link.ask(SQL, values)?.into_iter().map(read).collect())
    }
}
