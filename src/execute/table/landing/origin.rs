//! The private server that holds the tables, as a landing sees it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Condition;
use super::about::{About, sql};
use super::{reads, session};
use crate::execute::dump::programs::Programs;
use crate::execute::table::TableFault;
use crate::execute::table::source::{Held, TableName};
use crate::plan::words::{joined, quoted as shown};
use crate::policy::sql_name::literal;
use crate::postgres::{Connection, Settings, array};

/// A server of which nobody else knows: it may be changed as one likes.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The way to the database with the tables, as its superuser.
    pub settings: Settings,
    /// Its PostgreSQL programs; where there is no `pg_dump` among them, a newer one is looked for.
    pub programs: PathBuf,
    pub major: u32,
    /// The state it holds, in words for people.
    pub moment: String,
    /// What is not as it should be.
    pub flaws: Vec<String>,
    /// Wanted tables, or parts of them, that are empty here because the backup has none of their rows.
    pub unlogged: Vec<String>,
    /// Owners, grants and publications are those of then. Of a dump this server has none of them: what it says of them is among `apart`, and of
    /// views in `views`.
    pub has_rights: bool,
    /// Statements that give views to whom they belonged, and to whom they were granted, as a dump says it.
    pub views: BTreeMap<TableName, Vec<String>>,
    /// What the server does not have of what was there.
    pub apart: Vec<Apart>,
}

/// Something that does not come with a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// As `the trigger heard`.
    pub what: String,
    /// What makes it again, where that is known; without its last `;`.
    pub sql: Option<String>,
}

/// The same, as a backup says it of one of its tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Apart {
    pub table: TableName,
    pub lost: Lost,
    /// It belongs to the table, wherever that comes; otherwise it has only led to it, under its own name.
    pub is_own: bool,
    /// For this role nothing is lost.
    pub unless: Option<String>,
}

impl Origin {
    pub fn of(held: &Held) -> Result<Origin, TableFault> {
        Ok(Origin {
            settings: held.settings(&held.database)?,
            programs: held.bin.clone(),
            major: held.major,
            moment: held.moment.clone(),
            flaws: held.flaws.clone(),
            unlogged: held.unlogged.clone(),
            has_rights: true,
            views: BTreeMap::new(),
            apart: Vec::new(),
        })
    }

    pub(super) fn pg_dump(&self) -> Result<Programs, TableFault> {
        let own = Some(self.programs.as_path()).filter(|folder| folder.join("pg_dump").is_file());
        Ok(Programs::find(own, self.major)?)
    }

    pub(super) fn open(&self) -> Result<Connection, TableFault> {
        session::open(&self.settings)
    }

    /// A server that has no pages of its indexes does not take notice of them, and then they do not move with their tables either. Gives those
    /// that it has to be blind for again before anything is read.
    pub(super) fn show_indexes(&self) -> Result<Vec<String>, TableFault> {
        let sql = "update pg_catalog.pg_index set indislive = true where not indislive returning indexrelid::text as oid";
        let rows = self.open()?.query(sql, &[])?;
        Ok(rows.iter().filter_map(|row| row.get("oid").map(str::to_owned)).collect())
    }

    pub(super) fn hide_indexes(&self, hidden: &[String]) -> Result<(), TableFault> {
        if hidden.is_empty() {
            return Ok(());
        }
        let sql = "update pg_catalog.pg_index set indislive = false where indexrelid = any($1::oid[])";
        self.open()?.query(sql, &[&array(hidden)])?;
        Ok(())
    }

    /// Whoever takes the original's rows away for those that are here must know that these are all.
    pub(super) fn must_have_rows(&self) -> Result<(), TableFault> {
        if self.unlogged.is_empty() {
            return Ok(());
        }
        let names = joined(self.unlogged.iter().map(shown));
        let message = format!("{names} is unlogged: this backup has none of its rows, and those that are there now would go");
        Err(TableFault::new(message, "Nothing was changed. A dump of the primary has its rows (`--job NAME`); or leave it out."))
    }

    pub(super) fn about(&self, connection: &mut Connection, table: &TableName) -> Result<About, TableFault> {
        About::read(connection, table)?.ok_or_else(|| {
            let message = format!("there was no table {} then ({})", sql(table), self.moment);
            TableFault::new(message, "Names are exact, and case counts. Was it made later, or in another schema?")
        })
    }
}

/// There is no table of that name.
const NO_RELATION: &str = "42P01";
/// A statement was asked to end.
const ENDED: &str = "57014";

/// What is read of a table: all of its rows, or those of a condition. The server reads the condition here and nowhere else, as the only
/// statement of its message; after that it has a name.
pub(super) fn rows_of(
    connection: &mut Connection,
    about: &About,
    number: usize,
    condition: Option<&Condition>,
) -> Result<String, TableFault> {
    let Some(condition) = condition else { return Ok(about.from()) };
    let view = format!("pg_temp.seawall_meant_{number}");
    // Not only now: days and hours are reckoned while rows are read.
    connection.run(&format!("set timezone = {}", literal(condition.zone())))?;
    let sql = format!("create temporary view seawall_meant_{number} as select * from {} where {}", about.from(), condition.sql());
    connection.query(&sql, &[]).map_err(|fault| {
        if fault.is_transient() || fault.code() == Some(ENDED) {
            return fault.into();
        }
        let hint = match fault.code() {
            Some(NO_RELATION) => format!(
                "It reads the row, and other rows of the same table by its whole name (`{}`). Of other tables no rows are at hand as they were: \
                 write down the values that they stand for (`customer in (17, 18)`).",
                about.name()
            ),
            _ => "It is an expression in SQL over one row. Names of functions and types that are not PostgreSQL's own need their schema.".to_owned(),
        };
        TableFault::new(format!("the condition on rows of {} is not understood: {}", about.name(), fault.message), hint)
    })?;
    reads::must_be_the_row(connection, about, &view)?;
    reads::must_be_said(connection, about, &view)?;
    Ok(view)
}

/// Before anything is fetched for it: reads the condition as [`rows_of`] does, and leaves nothing behind.
pub(super) fn must_be_understood(
    connection: &mut Connection,
    about: &About,
    number: usize,
    condition: Option<&Condition>,
) -> Result<(), TableFault> {
    if condition.is_none() {
        return Ok(());
    }
    connection.run("begin transaction isolation level read committed read write")?;
    let read = rows_of(connection, about, number, condition);
    if !connection.is_broken() {
        connection.run("rollback")?;
    }
    read.map(drop)
}
