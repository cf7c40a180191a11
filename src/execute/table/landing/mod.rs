//! What happens with a table that is held by a private server.
//!
//! Whatever changes the destination is one transaction there, its definitions included. Until it ends, and when it does not end well, the
//! destination is as it was; rows on their way lie in temporary tables, which end with their session.

pub mod about;
mod apart;
mod asked;
mod blame;
mod change;
mod condition;
mod csv;
mod destination;
pub mod difference;
mod held;
mod hypertable;
mod origin;
mod reads;
mod references;
mod refresh;
mod report;
mod schemas;
pub(in crate::execute) mod script;
mod sequences;
pub(in crate::execute) mod session;
mod side;
mod stream;
mod undo;
mod uniques;

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use super::source::TableName;
use crate::units::Instant;

pub use change::{Change, Staged};
pub use condition::Condition;
pub use csv::{CsvTo, to_csv};
pub use destination::{Destination, look};
pub use origin::{Apart, Lost, Origin};
pub use refresh::refresh;
pub use report::{Landed, Report, Seconds};
pub use side::into_schema;

/// What somebody wants done with the tables.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub tables: Vec<TableName>,
    pub way: Way,
    /// Only these rows.
    pub condition: Option<Condition>,
    /// How long a lock on the original is waited for.
    pub lock_timeout: Duration,
    /// TimescaleDB's jobs come with a hypertable that comes beside the original.
    pub with_policies: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// Into a schema beside the original, under its own or another name.
    Schema {
        schema: String,
        name: Option<String>,
    },
    Csv(CsvTo),
    /// The original's rows become these.
    Replace {
        kept: Option<String>,
    },
    /// Rows are added and changed by their key.
    Merge {
        key: Vec<String>,
        delete_others: bool,
        kept: Option<String>,
    },
}

impl Way {
    /// The schema in which rows stay as they were before.
    pub fn kept(&self) -> Option<&str> {
        match self {
            Way::Replace { kept } | Way::Merge { kept, .. } => kept.as_deref(),
            Way::Schema { .. } | Way::Csv(_) => None,
        }
    }

    pub fn as_str(&self) -> &'static str {
        match self {
            Way::Schema { .. } => "schema",
            Way::Csv(_) => "csv",
            Way::Replace { .. } => "replace",
            Way::Merge { .. } => "merge",
        }
    }
}

/// `restored_20261122_013105`, in UTC: a schema that nobody has named.
pub fn stamped(word: &str, now: Instant) -> String {
    let at = now.to_zoned(jiff::tz::TimeZone::UTC);
    format!("{word}_{}", at.strftime("%Y%m%d_%H%M%S"))
}

/// Who watches a landing.
#[derive(Clone, Copy)]
pub struct Onlooker<'o> {
    /// Something begins, in a few words.
    pub begins: &'o (dyn Fn(&str) + Sync),
    /// Bytes of rows that have arrived.
    pub bytes: &'o AtomicU64,
    pub stop: &'o AtomicBool,
}

impl std::fmt::Debug for Onlooker<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Onlooker").field("stop", self.stop).finish_non_exhaustive()
    }
}
