//! What `pg_dump --format=custom` writes, read as it goes by: its table of contents, then one block for each table's rows.
//!
//! Nothing is kept of the rows but their number. So a dump is looked at to its last byte while it is on its way into a store, in the same
//! pass: that it is whole, that every table which its contents promise has come, and how many rows each has. The form is that of PostgreSQL
//! 9.5 to 18 (versions 1.12 to 1.16 of the archive), not compressed by `pg_dump` itself.

mod blocks;
mod head;
mod jobs;
mod names;
mod renaming;
mod roles;
mod toc;
mod walk;

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

pub use jobs::{is_table as is_of_jobs, with_owners};
pub use names::{names, words};
pub use toc::{Item, Section, columns_of, with_roles};
pub use walk::{Stopped, Walk};

use blocks::Blocks;
use head::Head;

/// A table of contents of some hundred thousand objects.
const MAX_HEAD: usize = 512 << 20;

/// Why something is no dump, or not a whole one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadDump {
    #[error("it does not begin like a dump in pg_dump's custom format")]
    NotADump,
    #[error("it is a dump of version {0}.{1}, which is not known here")]
    Version(u8, u8),
    #[error("pg_dump has compressed it, which it was asked not to")]
    Compressed,
    #[error("its table of contents makes no sense at entry {0}")]
    Entry(usize),
    #[error("its table of contents is larger than any that is believed")]
    TooLong,
    #[error("it has a block of the unknown kind {0} after {1} bytes")]
    Block(u8, u64),
    #[error("it has rows of something that its table of contents does not have, or has them twice (entry {0})")]
    Stranger(i64),
    #[error("the rows of entry {0} do not end as pg_dump ends them")]
    Tail(i64),
    #[error("it ends in the middle, after {0} bytes")]
    CutShort(u64),
    #[error("which roles it names is not understood: {0}")]
    Roles(String),
    #[error("its table of contents names {0} that did not come")]
    Missing(String),
}

/// One line of the table of contents that says something of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub id: i64,
    /// The table's, in the database that was dumped.
    pub oid: u32,
    pub kind: EntryKind,
    /// As far as it is UTF-8: a dump has names in the encoding of its database.
    pub schema: String,
    pub name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// `TABLE`: its definition.
    Table,
    /// `TABLE DATA`: its rows are in the dump.
    Rows,
    /// Large objects.
    LargeObjects,
}

/// What a dump says of itself before its first row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// Of the form: `(1, 14, 0)`.
    pub version: (u8, u8, u8),
    /// As the server writes it.
    pub server: String,
    /// Of `pg_dump`.
    pub client: String,
    /// All lines of the table of contents, also those that are not kept.
    pub entries: u64,
    pub kept: Vec<Entry>,
}

/// A dump that was whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Whole {
    pub about: About,
    /// Rows by the entry's id.
    pub rows: BTreeMap<i64, u64>,
    pub large_objects: u64,
    pub bytes: u64,
}

/// Reads a dump that is given in pieces of any size.
#[derive(Debug)]
pub struct Reader {
    state: State,
    /// Its beginning up to the first row: what `pg_restore --list` needs.
    head: Vec<u8>,
    bytes: u64,
}

#[derive(Debug)]
enum State {
    Head(Box<Head>),
    Body(Box<Body>),
}

#[derive(Debug)]
struct Body {
    about: About,
    blocks: Blocks,
}

impl Default for Reader {
    fn default() -> Self {
        Reader { state: State::Head(Box::default()), head: Vec::new(), bytes: 0 }
    }
}

impl Reader {
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), BadDump> {
        self.bytes += bytes.len() as u64;
        match &mut self.state {
            State::Body(body) => body.blocks.push(bytes),
            State::Head(head) => {
                self.head.extend_from_slice(bytes);
                if !head.read(&self.head)? {
                    return if self.head.len() > MAX_HEAD { Err(BadDump::TooLong) } else { Ok(()) };
                }
                let end = head.end();
                let (about, int_size) = std::mem::take(head.as_mut()).into_about();
                let mut blocks = Blocks::new(int_size, promised(&about), end as u64);
                let rest = self.head.split_off(end);
                let pushed = blocks.push(&rest);
                self.state = State::Body(Box::new(Body { about, blocks }));
                pushed
            }
        }
    }

    /// What it says of itself, once that has come.
    pub fn about(&self) -> Option<&About> {
        match &self.state {
            State::Body(body) => Some(&body.about),
            State::Head(_) => None,
        }
    }

    /// Its bytes up to the first row.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// At its end: everything that it promised has come.
    pub fn finish(self) -> Result<Whole, BadDump> {
        let State::Body(body) = self.state else { return Err(BadDump::CutShort(self.bytes)) };
        let Body { about, blocks } = *body;
        let blocks::Came { rows, large_objects, missing } = blocks.finish(self.bytes)?;
        let name_of = |id: &i64| {
            let entry = about.kept.iter().find(|entry| entry.id == *id);
            entry.map_or_else(|| format!("entry {id}"), |entry| format!("{}.{}", entry.schema, entry.name))
        };
        if !missing.is_empty() {
            let names: Vec<String> = missing.iter().take(5).map(name_of).collect();
            return Err(BadDump::Missing(names.join(", ")));
        }
        Ok(Whole { about, rows, large_objects, bytes: self.bytes })
    }
}

/// The entries whose data must follow.
fn promised(about: &About) -> BTreeSet<i64> {
    about.kept.iter().filter(|entry| entry.kind != EntryKind::Table).map(|entry| entry.id).collect()
}

#[cfg(test)]
mod tests;
