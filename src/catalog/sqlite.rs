//! A catalog in a file of this host, through SQLite.
//!
//! The file is in WAL mode and every transaction is synced: what was recorded survives the machine's sudden end. It must lie on a
//! disk of this host: SQLite's log is shared through memory.

use std::borrow::Cow;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row as _, TypeInfo, ValueRef};
use tokio::runtime::{Builder, Runtime};

use super::fault::{CatalogFault, FaultKind, folder};
use super::link::Access;
use super::packed;
use super::value::{Row, Value};
use crate::world::files;

/// How long a writer waits for another. Each holds the file for some milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// So many rows wait to be taken: fewer, and the two threads wait for each other more than they work.
const ROWS_WAITING: usize = 1_000;

pub(super) struct Sqlite {
    runtime: Runtime,
    /// None only while it is being closed.
    connection: Option<SqliteConnection>,
    path: PathBuf,
    /// Which file that is, by device and inode: a catalog that was deleted or replaced is another one.
    file: (u64, u64),
}

impl Sqlite {
    /// Opens the file if it is there.
    pub(super) fn open(path: &Path, access: Access) -> Result<Option<Sqlite>, CatalogFault> {
        let of = |error: &io::Error| CatalogFault::of_file(error, path);
        let about = match fs::metadata(path) {
            Ok(about) => about,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(of(&error)),
        };
        if !about.is_file() {
            let message = format!("the catalog `{}` is not a plain file", path.display());
            return Err(CatalogFault::new(FaultKind::Foreign, message, "Name the catalog's file itself."));
        }
        let runtime = Builder::new_current_thread().build().map_err(|error| of(&error))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(PATIENCE)
            .foreign_keys(true)
            .disable_statement_logging()
            .row_buffer_size(ROWS_WAITING)
            .read_only(access == Access::Read);
        let options = match access {
            // Without writers nothing can change: SQLite needs no log and no shared memory then.
            Access::Read if lies_still(path) => options.immutable(true),
            Access::Read => options,
            Access::Write => options.synchronous(SqliteSynchronous::Full),
        };
        let connection = runtime.block_on(options.connect()).map_err(|error| fault(&error, path))?;
        Ok(Some(Sqlite { runtime, connection: Some(connection), path: path.to_owned(), file: (about.dev(), about.ino()) }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Does the file still lie where it was opened? What is written into one that was deleted is lost without a word.
    pub(super) fn is_in_place(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|about| (about.dev(), about.ino()) == self.file)
    }

    pub(super) fn ask(&mut self, sql: Cow<'static, str>, values: Vec<Value>) -> Result<Vec<Row<'static>>, CatalogFault> {
        let rows = self.rows(sql, values)?;
        rows.iter().map(|row| read(row).map_err(|error| fault(&error, &self.path))).collect()
    }

    /// All rows of an answer as one text, each shown where it lies in it. Shows none and says so where they do not come out of it as they went in.
    pub(super) fn ask_packed(
        &mut self,
        columns: &str,
        rest: &str,
        values: Vec<Value>,
        look: &mut dyn FnMut(&mut Row<'_>) -> Result<(), CatalogFault>,
    ) -> Result<bool, CatalogFault> {
        let rows = match self.rows(packed::sql(columns, rest).into(), values) {
            Err(fault) if fault.kind == FaultKind::TooLong => return Ok(false),
            rows => rows?,
        };
        let row = rows.first().ok_or_else(|| CatalogFault::new(FaultKind::Other, "SQLite gives no answer", ""))?;
        let count: i64 = row.try_get_unchecked(0).map_err(|error| fault(&error, &self.path))?;
        match row.try_get_unchecked::<Option<&str>, _>(1) {
            Ok(None) if count == 0 => Ok(true),
            Ok(Some(text)) if packed::is_whole(text, columns, count) => {
                packed::each(text).try_for_each(|row| look(&mut Row::packed(row)))?;
                Ok(true)
            }
            // What is no UTF-8 is found again, and told, by who reads it row by row.
            _ => Ok(false),
        }
    }

    fn rows(&mut self, sql: Cow<'static, str>, values: Vec<Value>) -> Result<Vec<SqliteRow>, CatalogFault> {
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for value in values {
            query = match value {
                Value::Null => query.bind(None::<String>),
                Value::Int(number) => query.bind(number),
                Value::Real(number) => query.bind(number),
                Value::Text(text) => query.bind(text),
            };
        }
        let connection = self.connection.as_mut().ok_or_else(closed)?;
        self.runtime.block_on(query.fetch_all(connection)).map_err(|error| fault(&error, &self.path))
    }

    /// Statements as they stand, several with `;` between.
    pub(super) fn script(&mut self, sql: Cow<'static, str>) -> Result<(), CatalogFault> {
        let connection = self.connection.as_mut().ok_or_else(closed)?;
        let done = self.runtime.block_on(sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection));
        done.map(drop).map_err(|error| fault(&error, &self.path))
    }

    /// The mode stays with the file. A copy that was made by SQLite's own means may have lost it.
    pub(super) fn ensure_wal(&mut self) -> Result<(), CatalogFault> {
        let rows = self.rows("PRAGMA journal_mode".into(), Vec::new())?;
        let mode = rows.first().and_then(|row| row.try_get_unchecked::<&str, _>(0).ok());
        if mode == Some("wal") { Ok(()) } else { self.script("PRAGMA journal_mode = WAL".into()) }
    }
}

/// The last one out writes the log into the file and removes it; without that the next one would.
impl Drop for Sqlite {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            let _ = self.runtime.block_on(connection.close());
        }
    }
}

/// Makes the empty file, for its owner only, in a folder for its owner only. One that is there stays as it is.
pub(super) fn create(path: &Path) -> Result<(), CatalogFault> {
    let of = |error: io::Error| CatalogFault::of_file(&error, path);
    files::make_folders(folder(path)).map_err(of)?;
    if !path.exists() {
        open_empty(path).map_err(of)?;
        File::open(folder(path)).and_then(|folder| folder.sync_all()).map_err(of)?;
    }
    Ok(())
}

/// Held while tables are made or changed: changing a file's mode cannot be waited for by SQLite's own means.
pub(super) fn lock_for_change(path: &Path) -> Result<File, CatalogFault> {
    let of = |error: io::Error| CatalogFault::of_file(&error, path);
    let file = open_empty(&beside(path, ".lock")).map_err(of)?;
    file.lock().map_err(of)?;
    Ok(file)
}

/// An empty file, to lock or to fill.
pub(super) fn open_empty(path: &Path) -> io::Result<File> {
    files::open_or_make(path, OpenOptions::new().append(true))
}

/// `catalog.db` and `.locks` are `catalog.db.locks`.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// No log waits beside it, and none can be made. A file system that somebody else still writes to is not meant to be mounted here.
fn lies_still(path: &Path) -> bool {
    let read_only = rustix::fs::statvfs(folder(path)).is_ok_and(|about| about.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY));
    read_only && fs::metadata(beside(path, "-wal")).map_or(true, |log| log.len() == 0)
}

fn read(row: &SqliteRow) -> Result<Row<'static>, sqlx::Error> {
    let value = |index| {
        let raw = row.try_get_raw(index)?;
        if raw.is_null() {
            return Ok(Value::Null);
        }
        match raw.type_info().name() {
            "INTEGER" => row.try_get_unchecked(index).map(Value::Int),
            "REAL" => row.try_get_unchecked(index).map(Value::Real),
            _ => row.try_get_unchecked(index).map(Value::Text),
        }
    };
    Ok(Row::new((0..row.len()).map(value).collect::<Result<_, _>>()?))
}

fn fault(error: &sqlx::Error, path: &Path) -> CatalogFault {
    let code = error.as_database_error().and_then(|error| error.code()).and_then(|code| code.parse().ok());
    match (error, code) {
        (sqlx::Error::Database(said), Some(code)) => CatalogFault::of_sqlite(code, said.message(), path),
        (sqlx::Error::Io(error), _) => CatalogFault::of_file(error, path),
        _ => CatalogFault::new(
            FaultKind::Other,
            format!("the catalog `{}` cannot be used: {error}", path.display()),
            "Check the file, its folder, and the disk it lies on.",
        ),
    }
}

fn closed() -> CatalogFault {
    CatalogFault::new(FaultKind::Other, "the catalog is closed", "This is a bug in Seawall: please report it.")
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without these a power cut could take back what was told as done.
    #[test]
    fn each_connection_syncs_checks_and_waits() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state/catalog.db");
        create(&path).expect("made");
        let mut file = Sqlite::open(&path, Access::Write).expect("opened").expect("there");
        for (pragma, wanted) in [("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 10_000)] {
            let mut rows = file.ask(format!("PRAGMA {pragma}").into(), vec![]).expect("asked");
            assert_eq!(rows[0].int().expect("a number"), wanted, "{pragma}");
        }
    }

    /// The lock by which SQLite tells others that somebody is at the file goes with the first of this process's own looks at it. Then a program that
    /// believes that nobody is there takes the log away.
    #[test]
    fn others_see_that_somebody_is_at_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = crate::catalog::Where::Sqlite(folder.path().join("catalog.db"));
        let open = || crate::catalog::Catalog::open(&place).expect("a catalog");
        drop(open());
        let _again = open();
        let inode = fs::metadata(folder.path().join("catalog.db")).expect("a file").ino();
        let locks = fs::read_to_string("/proc/locks").expect("the kernel's list");
        let ours = format!(" {} ", std::process::id());
        let is_there = |line: &str| line.contains(&ours) && line.contains(&format!(":{inode} "));
        assert!(locks.lines().any(is_there), "{inode}: {locks}");
    }
}
