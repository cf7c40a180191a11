//! Where definitions and rows come from.

pub(super) mod dump;
pub(super) mod look;
pub(super) mod physical;

use std::collections::{BTreeSet, HashMap};

use super::act::Acting;
use super::pending::Thing;
use crate::execute::custody;
use crate::execute::restore::{Pin, Reached};
use crate::execute::table::TableFault;
use crate::format::contents::Database;
use crate::format::dump::Item;
use crate::postgres::Connection;
use crate::site::Site;
use crate::units::{Instant, Name};
use crate::world::clock;

#[derive(Debug)]
pub(super) enum Source<'s> {
    Dump(dump::Dump),
    Physical(Box<physical::Physical<'s>>),
}

/// What a course takes out of a source, before it is done.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Effort {
    /// As many as are known before they come.
    pub rows: Option<u64>,
    /// Plain bytes of its tables.
    pub bytes: f64,
    /// Bytes that are read from the store.
    pub fetch: Option<u64>,
    /// Until its rows can be read.
    pub seconds: Option<f64>,
}

impl Source<'_> {
    pub(super) fn word(&self) -> &'static str {
        match self {
            Source::Dump(_) => "dump",
            Source::Physical(_) => "physical",
        }
    }

    pub(super) fn store(&self) -> &Name {
        match self {
            Source::Dump(dump) => &dump.found.store_name,
            Source::Physical(physical) => &physical.store,
        }
    }

    pub(super) fn backup(&self) -> &str {
        match self {
            Source::Dump(dump) => dump.found.descriptor.id.as_str(),
            Source::Physical(physical) => physical.backup.as_str(),
        }
    }

    /// For people.
    pub(super) fn moment(&self) -> String {
        match self {
            Source::Dump(dump) => {
                let descriptor = &dump.found.descriptor;
                format!("as of the dump of `{}`, begun {}", descriptor.job, descriptor.started)
            }
            Source::Physical(physical) => format!("as of {}", physical.moment),
        }
    }

    /// For whoever goes on with it.
    pub(super) fn position(&self) -> Option<String> {
        match self {
            Source::Dump(_) => None,
            Source::Physical(physical) => Some(physical.fixed.to_string()),
        }
    }

    /// Where the log ended.
    pub(super) fn ended(&self) -> Option<&Reached> {
        match self {
            Source::Dump(_) => None,
            Source::Physical(physical) => Some(&physical.ended),
        }
    }

    /// All that the whole of it would read from the store.
    pub(super) fn stored(&self) -> u64 {
        match self {
            Source::Dump(dump) => dump.found.descriptor.stored_size,
            Source::Physical(physical) => physical.stored,
        }
    }

    /// As long as it lives, the backup does.
    pub(super) fn pin(&self, site: &Site<'_>) -> Option<Pin> {
        match self {
            Source::Dump(dump) => {
                let found = &dump.found;
                Pin::of(&found.store, &found.repository, &found.descriptor, "restore", site.host(), clock::now())
            }
            // It is older than the plan, and of the source itself.
            Source::Physical(_) => None,
        }
    }

    pub(super) fn note_identities(&self, site: &Site<'_>, now: Instant) {
        if let Source::Dump(dump) = self {
            custody::note_where_there_is_a_catalog(site, &dump.found.identities, now);
        }
    }

    /// The tables that have rows in it.
    pub(super) fn tables(&self) -> BTreeSet<(&str, &str)> {
        match self {
            Source::Dump(dump) => dump.tables().collect(),
            Source::Physical(physical) => physical.tables().collect(),
        }
    }

    /// Those that an extension makes: their rows are there, and no definition of them.
    pub(super) fn of_extensions(&self, items: &[Item]) -> BTreeSet<(&str, &str)> {
        let defined: BTreeSet<(&str, &str)> =
            items.iter().filter(|item| item.kind == "TABLE").map(|item| (item.schema.as_str(), item.name.as_str())).collect();
        self.tables().into_iter().filter(|named| !defined.contains(named)).collect()
    }

    /// What sets them to where they were.
    pub(super) fn sequences(&self) -> BTreeSet<&String> {
        match self {
            Source::Dump(dump) => dump.pieces.iter().flat_map(|piece| &piece.sequences).collect(),
            Source::Physical(physical) => physical.sequences.iter().collect(),
        }
    }

    /// Where it may have been, since it was looked at.
    pub(super) fn must_be_unchanged(&self, acting: &Acting<'_>) -> Result<(), TableFault> {
        match self {
            Source::Dump(dump) => dump.check_definitions(acting),
            Source::Physical(_) => Ok(()),
        }
    }

    /// All rows of a course that have not come yet.
    pub(super) fn bring(&self, acting: &Acting<'_>, course: usize, things: &[Thing]) -> Result<(), TableFault> {
        match self {
            Source::Dump(dump) => dump.bring(acting, things),
            Source::Physical(physical) => physical.bring(acting, course, things),
        }
    }

    /// Large objects, and what is of no table.
    pub(super) fn rest(&self, acting: &Acting<'_>, session: &mut Connection) -> Result<(), TableFault> {
        match self {
            Source::Dump(dump) => dump.rest(acting, session),
            Source::Physical(physical) => physical.rest(acting, session),
        }
    }

    /// Of the state that came back, as far as only its rows have shown them.
    pub(super) fn flaws(&self) -> Vec<String> {
        match self {
            Source::Dump(_) => Vec::new(),
            Source::Physical(physical) => physical.flaws(),
        }
    }

    /// Of tables that come together; `is_last` with large objects.
    pub(super) fn effort(&self, tables: &[&Item], is_last: bool, database: &Database) -> Effort {
        match self {
            Source::Dump(dump) => {
                let rows: HashMap<(&str, &str), u64> =
                    database.tables.iter().map(|table| ((table.schema.as_str(), table.name.as_str()), table.rows)).collect();
                let all: u64 = rows.values().sum();
                let own = tables.iter().filter_map(|item| rows.get(&(item.schema.as_str(), item.name.as_str()))).sum();
                // Where nobody knows how large a tier is, its share of the rows has to do.
                let share = if all == 0 { 0.0 } else { own as f64 / all as f64 };
                Effort { rows: Some(own), bytes: dump.found.descriptor.size as f64 * share, fetch: None, seconds: Some(0.0) }
            }
            Source::Physical(physical) => physical.effort(tables, is_last),
        }
    }
}
