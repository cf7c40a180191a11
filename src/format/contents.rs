//! `contents.json`: what is in the dumps of a backup, for those who may read its data and for the host that took it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::archived::{Column, Form};
use crate::inventory::Scope;
use crate::units::{DumpSection, Lsn};

pub const FORMAT: u32 = 1;
/// Where extensions lie when nobody said otherwise.
pub const USUAL_SCHEMA: &str = "public";
/// A million tables.
pub const MAX_BYTES: u64 = 256 << 20;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Contents {
    pub format: u32,
    /// Of `pg_dump`.
    pub client: String,
    pub databases: Vec<Database>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub globals: Option<Globals>,
}

/// One database, as of one snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Database {
    pub name: String,
    pub encoding: String,
    pub collate: String,
    pub ctype: String,
    /// Where the write-ahead log was when the snapshot was taken.
    pub position: Lsn,
    pub extensions: BTreeMap<String, String>,
    /// Where each of them lies, other than in `public` and `pg_catalog`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extension_schemas: BTreeMap<String, String>,
    /// Chosen schemas, or without some tables.
    pub partial: bool,
    /// Tables that the role might not read, as SQL names them; such a dump is partial.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<String>,
    /// The only sections that it has; all of them where none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sections: Vec<DumpSection>,
    /// Where chosen tables (`tables`) lie: such a dump has nothing but them, and not the schemas either.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schemas: Vec<String>,
    /// Tables that the job leaves out (`schemas`, `tables`, and what is excluded), as SQL names them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<String>,
    /// Definitions of everything, and rows of what the job chooses: how hypertables are dumped that are not all there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub some_rows: Option<SomeRows>,
    /// Tables that are in it without their rows (`exclude_table_data`, or because the job chooses others), as SQL names them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without_rows: Vec<String>,
    /// Unlogged tables, as SQL names them: a standby was dumped, which has none of their rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unlogged: Vec<String>,
    /// The job leaves owners out: what comes back belongs to whoever restores it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub without_owners: bool,
    /// The job leaves grants out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub without_grants: bool,
    pub archives: Vec<Archive>,
    /// Of chosen tables: the definitions of what is no table, types above all, of which their columns may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub types: Option<Archive>,
    pub tables: Vec<Table>,
    #[serde(default)]
    pub large_objects: u64,
    /// Tables that lie there as CSV or Parquet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exports: Vec<Export>,
    /// Absent in dumps that were made before this was written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<Own>,
}

impl Database {
    pub fn has(&self, section: DumpSection) -> bool {
        self.sections.is_empty() || self.sections.contains(&section)
    }

    /// The sections that it does not have, in words; none where it has all.
    pub fn lacks(&self) -> Option<String> {
        let words: Vec<String> =
            DumpSection::ALL.into_iter().filter(|section| !self.has(*section)).map(|section| format!("`{section}`")).collect();
        (!words.is_empty()).then(|| words.join(" and "))
    }

    /// Where an extension lies. Every database has `public` from its beginning; in dumps that were made before others were written down it is that.
    pub fn schema_of(&self, extension: &str) -> &str {
        self.extension_schemas.get(extension).map_or(USUAL_SCHEMA, String::as_str)
    }
}

/// What those tables lead to that come back without a row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SomeRows {
    /// Foreign keys that lead from rows that are in the dump to such tables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ties: Vec<Tie>,
    /// Continuous aggregates of chosen hypertables, as SQL names them, each before those that are made of it: their own rows are not in the dump.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aggregates: Vec<String>,
}

/// A foreign key, by its table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tie {
    pub schema: String,
    pub table: String,
    pub name: String,
}

/// An object with the rows of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Export {
    pub object: String,
    pub form: Form,
    pub schema: String,
    pub table: String,
    /// Those that are in it, in their order: what is generated is not.
    pub columns: Vec<Column>,
    pub rows: u64,
    /// Of the rows as CSV, whatever their order: see [`super::rows::Tally`].
    pub sum: String,
    /// Of a Parquet file before encryption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plain_sha256: Option<String>,
}

/// What belongs to the database itself: a dump of what is in it has none of this.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Own {
    /// On the server's disk, with its indexes.
    pub bytes: u64,
    pub owner: String,
    /// `libc`, `icu` or `builtin`.
    pub provider: String,
    /// Of ICU's, or of the builtin one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icu_rules: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_limit: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<OwnSetting>,
    /// Absent where nobody ever changed them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<Vec<OwnGrant>>,
}

/// `ALTER DATABASE … SET`, or `ALTER ROLE … IN DATABASE … SET`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OwnSetting {
    /// Absent where it is for everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    pub name: String,
    pub value: String,
}

/// `GRANT … ON DATABASE`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OwnGrant {
    /// Absent for everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    pub privilege: String,
    /// It may be granted on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub grantable: bool,
}

/// An object in `pg_dump`'s custom format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Archive {
    pub object: String,
    pub holds: Holds,
    /// Lines of its table of contents, as `pg_restore --list` counts them.
    pub entries: u64,
    /// Rows in all its tables.
    pub rows: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Holds {
    Everything,
    /// All definitions: what stands before the rows, and what comes behind them.
    Definitions,
    /// Rows of some tables.
    Rows,
}

/// A table whose rows are in the dump.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Table {
    pub schema: String,
    pub name: String,
    pub rows: u64,
}

/// Roles, tablespaces and settings of the cluster, as SQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Globals {
    pub object: String,
    /// With the hashes of passwords.
    pub passwords: bool,
}

impl Contents {
    /// What it has of databases, for those who hold it against a policy.
    pub fn scope(&self) -> Scope {
        let is_whole = |database: &Database| !database.partial && database.lacks().is_none();
        let names = self.databases.iter().map(|database| database.name.clone()).collect();
        Scope::Databases { names, whole: self.databases.iter().all(is_whole) }
    }

    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers, texts and lists")
    }

    pub fn from_json(json: &[u8]) -> Result<Contents, String> {
        let contents: Contents = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        if contents.format > FORMAT {
            return Err(format!("it was written by a newer seawall (format {})", contents.format));
        }
        Ok(contents)
    }

    pub fn rows(&self) -> u64 {
        self.databases.iter().flat_map(|database| &database.tables).map(|table| table.rows).sum()
    }

    pub fn tables(&self) -> usize {
        self.databases.iter().map(|database| database.tables.len()).sum()
    }
}
