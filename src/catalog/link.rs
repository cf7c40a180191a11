//! One connection to either database. What differs between the two ends here.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use super::fault::{CatalogFault, FaultKind};
use super::server::Server;
use super::sqlite::{self, Sqlite};
use super::value::{Row, Value};
use crate::postgres::Settings;

/// Where a catalog is.
#[derive(Clone)]
pub enum Where {
    /// A file of this host.
    Sqlite(PathBuf),
    /// A database that several hosts share; never inside the cluster that it records.
    Postgres(Box<Settings>),
}

impl fmt::Debug for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Where::Sqlite(path) => write!(f, "{}", path.display()),
            Where::Postgres(settings) => {
                let hosts: Vec<String> = settings.targets.iter().map(ToString::to_string).collect();
                write!(f, "database {} at {} as {}", settings.dbname, hosts.join(", "), settings.user)
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

#[derive(Debug)]
pub(super) enum Link {
    Sqlite(Box<Sqlite>),
    Postgres(Box<Server>),
}

impl Link {
    /// `None` where there is no such file. A server always has the database that it let us into.
    pub(super) fn open(place: &Where, access: Access) -> Result<Option<Link>, CatalogFault> {
        match place {
            Where::Sqlite(path) => Ok(Sqlite::open(path, access)?.map(|file| Link::Sqlite(Box::new(file)))),
            Where::Postgres(settings) => Ok(Some(Link::Postgres(Box::new(Server::open(settings, access)?)))),
        }
    }

    /// Still the catalog that was opened, and still able to answer.
    pub(super) fn is_usable(&mut self) -> bool {
        match self {
            Link::Sqlite(file) => file.is_in_place(),
            Link::Postgres(server) => server.is_alive(),
        }
    }

    pub(super) fn ask(&mut self, sql: impl Into<Cow<'static, str>>, values: Vec<Value>) -> Result<Vec<Row<'static>>, CatalogFault> {
        let sql = sql.into();
        match self {
            Link::Sqlite(file) => file.ask(sql, values),
            Link::Postgres(server) => server.ask(&sql, &values),
        }
    }

    /// Many rows of some columns, each shown as it is read. SQLite's driver takes a while over each row and each value, and wakes who waits for
    /// each of them; so there all of them come as one text.
    pub(super) fn ask_packed(
        &mut self,
        columns: &str,
        rest: &str,
        values: Vec<Value>,
        mut look: impl FnMut(&mut Row<'_>) -> Result<(), CatalogFault>,
    ) -> Result<(), CatalogFault> {
        if let Link::Sqlite(file) = self
            && file.ask_packed(columns, rest, values.clone(), &mut look)?
        {
            return Ok(());
        }
        self.ask(format!("SELECT {columns} {rest}"), values)?.iter_mut().try_for_each(look)
    }

    /// The only row of an answer that has at most one.
    pub(super) fn ask_one(&mut self, sql: impl Into<Cow<'static, str>>, values: Vec<Value>) -> Result<Option<Row<'static>>, CatalogFault> {
        Ok(self.ask(sql, values)?.into_iter().next())
    }

    pub(super) fn script(&mut self, sql: impl Into<Cow<'static, str>>) -> Result<(), CatalogFault> {
        let sql = sql.into();
        match self {
            Link::Sqlite(file) => file.script(sql),
            Link::Postgres(server) => server.script(&sql),
        }
    }

    /// One writer at a time, in both databases: what is read inside is still so when it is written. Whole or not at all.
    pub(super) fn transaction<T>(&mut self, work: impl FnOnce(&mut Link) -> Result<T, CatalogFault>) -> Result<T, CatalogFault> {
        self.begin()?;
        match work(self).and_then(|done| self.script("COMMIT").map(|()| done)) {
            Ok(done) => Ok(done),
            Err(fault) => {
                self.roll_back();
                Err(fault)
            }
        }
    }

    fn begin(&mut self) -> Result<(), CatalogFault> {
        match self {
            Link::Sqlite(_) => self.script("BEGIN IMMEDIATE"),
            // Ends with the transaction. The number is ours: "seawall" in ASCII.
            Link::Postgres(_) => {
                let begun = self.script("BEGIN; SELECT pg_catalog.pg_advisory_xact_lock(32481091610831980)");
                begun.inspect_err(|_| self.roll_back())
            }
        }
    }

    /// SQLite has often done it by itself, after a full disk for one.
    fn roll_back(&mut self) {
        let undone = self.script("ROLLBACK");
        if let (Link::Postgres(server), Err(_)) = (self, undone) {
            server.give_up();
        }
    }

    /// Takes what of a migration is for this database.
    pub(super) fn own_lines(&self, text: &str) -> String {
        let (ours, theirs) = match self {
            Link::Sqlite(_) => ("--sqlite", "--postgres"),
            Link::Postgres(_) => ("--postgres", "--sqlite"),
        };
        let lines = text.lines().filter(|line| !line.ends_with(theirs));
        lines.map(|line| line.strip_suffix(ours).unwrap_or(line)).collect::<Vec<_>>().join("\n")
    }

    /// Makes a place for tables that are not there yet, and holds others back from doing the same. Refuses where somebody else's are.
    pub(super) fn prepare(&mut self) -> Result<Option<std::fs::File>, CatalogFault> {
        match self {
            Link::Sqlite(file) => {
                let path = file.path().to_owned();
                let lock = sqlite::lock_for_change(&path)?;
                self.refuse_foreign(&path)?;
                if let Link::Sqlite(file) = self {
                    file.ensure_wal()?;
                }
                Ok(Some(lock))
            }
            Link::Postgres(server) => {
                // Asking first: who may not create schemas may still have been given this one.
                let there = server.ask("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = 'seawall'", &[])?;
                if there.is_empty() {
                    server.script("CREATE SCHEMA IF NOT EXISTS seawall")?;
                }
                Ok(None)
            }
        }
    }

    fn refuse_foreign(&mut self, path: &Path) -> Result<(), CatalogFault> {
        let tables = self.ask("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'", vec![])?;
        let names = tables.into_iter().map(|mut row| row.text()).collect::<Result<Vec<_>, _>>()?;
        if names.is_empty() || names.iter().any(|name| name == "migrations") {
            return Ok(());
        }
        let message = format!("`{}` is a database of something else: it has a table `{}`", path.display(), names[0]);
        Err(CatalogFault::new(FaultKind::Foreign, message, "Name another file for the catalog."))
    }

    pub(super) fn ensure_wal(&mut self) -> Result<(), CatalogFault> {
        match self {
            Link::Sqlite(file) => file.ensure_wal(),
            Link::Postgres(_) => Ok(()),
        }
    }
}
