//! What an archive says of the rows that moved into it: an *extent*, the rows of one table in one stretch of time, exported at one moment.
//! Its descriptor is put last. That it was read back whole is said by a second object, signed by whoever read it.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::descriptor::{By, FORMAT, SealedText};
use super::seal::{Identities, Recipients, SealError};
use crate::inventory::SystemIdentifier;
use crate::units::{BackupId, Instant};

/// One with some thousand columns.
pub const MAX_BYTES: usize = 4 << 20;

/// What an extent says of itself to everybody who can read the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    pub format: u32,
    pub id: BackupId,
    pub exported: Instant,
    pub by: By,
    pub system_identifier: SystemIdentifier,
    /// `server_version_num`.
    pub version: u32,
    pub rows: u64,
    /// Bytes of the rows as CSV.
    pub size: u64,
    pub stored_size: u64,
    pub objects: Vec<Stored>,
    /// [`Contents`] as JSON, encrypted with age (armoured) to the recovery recipients and to the host's own key.
    pub private: String,
}

/// One object of an extent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Below `archive/<extent>/`.
    pub name: String,
    pub form: Form,
    pub size: u64,
    /// Of the object as it lies in the store, in hexadecimal.
    pub sha256: String,
    /// Of a Parquet file before encryption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plain_sha256: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// With a header; what `COPY … FROM … (FORMAT csv, HEADER)` reads.
    Csv,
    Parquet,
}

/// What only those may read who can read the rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// The job's path in the policy.
    pub job: String,
    pub database: String,
    pub schema: String,
    pub table: String,
    /// The column with the time.
    pub column: String,
    /// The first moment, and the one after the last, as text in that column's type.
    pub from: String,
    pub to: String,
    /// Which rows of that stretch: a condition in SQL that leaves out what is under a hold.
    pub condition: String,
    /// What of it is read in a time zone of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zoned: Vec<Zoned>,
    pub columns: Vec<Column>,
    /// Of the rows, whatever their order: see [`super::rows::Tally`].
    pub sum: String,
    /// Settings of the session that wrote them as text.
    pub settings: BTreeMap<String, String>,
    /// The version of TimescaleDB, where the table was a hypertable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timescaledb: Option<String>,
}

/// A part of a condition that the session's own time zone does not read: a function of the session calls it by a name that no other part has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zoned {
    pub function: String,
    pub zone: String,
    pub condition: String,
}

impl Zoned {
    /// `digest`: of all that makes it what it is, in hexadecimal.
    pub fn new(zone: String, condition: String, digest: &str) -> Zoned {
        Zoned { function: format!("seawall_held_{}", digest.get(..32).unwrap_or(digest)), zone, condition }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Column {
    pub name: String,
    /// As `format_type` writes it.
    pub r#type: String,
    pub not_null: bool,
}

/// Somebody with an identity has read every row of an extent out of the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadBack {
    pub format: u32,
    pub id: BackupId,
    /// SHA-256 of the descriptor that was compared with.
    pub descriptor: String,
    pub rows: u64,
    pub at: Instant,
    pub host: String,
}

/// The table does not have the rows any more. A copy of what the database itself has on record, for those who cannot ask it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    pub format: u32,
    pub id: BackupId,
    pub at: Instant,
    pub host: String,
}

/// The rows are about to leave their table. Put before they do, and there for as long as the extent is: whatever becomes of a database and of its
/// record, nobody takes the extent for one whose rows never left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaving {
    pub format: u32,
    pub id: BackupId,
    pub at: Instant,
    pub host: String,
    /// Which record it is going to be written into: that of one database in one cluster. One that was made anew is another.
    pub record: String,
}

/// Somebody has requested the rows from an archive class. Where that brings them out for good, they are not put back before this moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awake {
    pub format: u32,
    pub id: BackupId,
    pub until: Instant,
    pub host: String,
}

impl Extent {
    pub fn contents(&self, identities: &Identities) -> std::io::Result<Contents> {
        SealedText::open(&self.private, identities)
    }
}

impl Contents {
    pub fn seal(&self, recipients: Option<&Recipients>) -> Result<String, SealError> {
        SealedText::seal(self, recipients)
    }

    /// A row of this one's table can be in both. Where a moment is beyond what can be read here, it is said of none.
    pub fn overlaps(&self, other: &Contents) -> bool {
        let of = |one: &Contents| (one.database.clone(), one.schema.clone(), one.table.clone());
        let moments = [&self.from, &self.to, &other.from, &other.to].map(|text| moment(text));
        let [Some(from), Some(to), Some(other_from), Some(other_to)] = moments else { return false };
        of(self) == of(other) && from < other_to && other_from < to
    }

    /// `"public"."orders"`: for people.
    pub fn table_name(&self) -> String {
        format!("{}.{}", self.schema, self.table)
    }
}

/// As the server writes it under the settings of an extent, or as Seawall does.
fn moment(text: &str) -> Option<Instant> {
    let wall = || text.parse::<jiff::civil::DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|at| at.timestamp());
    text.parse().ok().or_else(wall)
}

/// What was whole so long ago is looked at again before rows leave their table on its word.
const READ_AGAIN_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24);

impl ReadBack {
    /// Not long ago; one from the future is by a clock that is wrong.
    pub fn is_fresh(&self, now: Instant) -> bool {
        now.duration_since(self.at).abs() <= READ_AGAIN_AFTER
    }

    pub fn new(extent: &Extent, descriptor: String, at: Instant, host: String) -> ReadBack {
        ReadBack { format: FORMAT, id: extent.id.clone(), descriptor, rows: extent.rows, at, host }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(table: &str, from: &str, to: &str) -> Contents {
        Contents {
            job: String::new(),
            database: "shop".into(),
            schema: "public".into(),
            table: table.into(),
            column: "at".into(),
            from: from.into(),
            to: to.into(),
            condition: String::new(),
            zoned: Vec::new(),
            columns: Vec::new(),
            sum: String::new(),
            settings: BTreeMap::new(),
            timescaledb: None,
        }
    }

    #[test]
    fn stretches_of_time_overlap_however_they_are_written() {
        let year = contents("orders", "2019-01-01 00:00:00+00", "2020-01-01T00:00:00Z");
        for (from, to, expected) in [
            ("2019-12-31 23:59:59.5+00", "2021-01-01 00:00:00+00", true),
            ("2020-01-01 00:00:00+00", "2021-01-01 00:00:00+00", false),
            ("2018-01-01 00:00:00+00", "2019-01-01T00:00:00.000001Z", true),
            ("2018-01-01", "2019-01-02", true),
            ("2018-01-01 00:00:00", "2019-01-01 00:00:00", false),
            ("-infinity", "2021-01-01 00:00:00+00", false),
        ] {
            let other = contents("orders", from, to);
            assert_eq!((year.overlaps(&other), other.overlaps(&year)), (expected, expected), "{from} {to}");
        }
        assert!(!year.overlaps(&contents("letters", "2019-01-01", "2020-01-01")));
    }
}
