//! A table's rows as CSV, as PostgreSQL writes it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use super::origin::rows_of;
use super::{Landed, Onlooker, Origin, Wanted, session};
use crate::execute::table::{Broken, TableFault};
use crate::postgres::Connection;
use crate::world::files;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CsvTo {
    /// A new file, readable by its owner only.
    File(PathBuf),
    Stdout,
}

impl CsvTo {
    /// Before anything is fetched for it.
    pub fn must_be_free(&self) -> Result<(), TableFault> {
        match self {
            CsvTo::File(path) if path.symlink_metadata().is_ok() => Err(is_there(path)),
            _ => Ok(()),
        }
    }
}

fn is_there(path: &Path) -> TableFault {
    TableFault::new(format!("`{}` is there already, and is not overwritten", path.display()), "Name another file.")
}

/// One table; its generated columns are among them. A file gets its name when everything is in it.
pub fn to_csv(to: &CsvTo, wanted: &Wanted, origin: &Origin, onlooker: Onlooker<'_>) -> Result<Landed, TableFault> {
    let [table] = wanted.tables.as_slice() else {
        return Err(TableFault::new("one file takes one table", "Restore them one after the other."));
    };
    let mut from = origin.open()?;
    (onlooker.begins)("writing rows");
    session::attended(onlooker.stop, [&mut from], |[from]| {
        let about = origin.about(from, table)?;
        if about.columns.is_empty() {
            let message = format!("{} has no columns, and rows without columns are none as CSV", about.name());
            return Err(TableFault::new(message, "Restore it into a schema beside it (`--into-schema NAME`)."));
        }
        let rows = rows_of(from, &about, 0, wanted.condition.as_ref())?;
        let sql = format!("copy (select * from {rows}) to stdout with (format csv, header)");
        let (into, (rows, bytes)) = match to {
            CsvTo::Stdout => {
                ("standard output".to_owned(), written(from, &sql, &mut io::stdout().lock(), onlooker).map_err(unwritten(None))?)
            }
            CsvTo::File(path) => (path.display().to_string(), to_file(from, &sql, path, onlooker)?),
        };
        let left_out = about.heirs_apart().into_iter().chain(about.large_objects()).collect();
        Ok(Landed { table: about.name(), into, rows, bytes, left_out, ..Landed::default() })
    })
}

fn unwritten(path: Option<&Path>) -> impl Fn(Broken) -> TableFault + '_ {
    move |broken| match broken {
        Broken::Read(fault) => fault,
        Broken::Write(error) => {
            let what = path.map_or_else(|| "standard output".to_owned(), |path| format!("`{}`", path.display()));
            TableFault::new(format!("{what} cannot be written: {error}"), "Nothing is left of it.")
        }
    }
}

fn to_file(from: &mut Connection, sql: &str, path: &Path, onlooker: Onlooker<'_>) -> Result<(u64, u64), TableFault> {
    match files::made(path, false, |file| written(from, sql, file, onlooker)) {
        Err(Broken::Write(error)) if error.kind() == io::ErrorKind::AlreadyExists => Err(is_there(path)),
        done => done.map_err(unwritten(Some(path))),
    }
}

/// Rows and bytes.
fn written(from: &mut Connection, sql: &str, to: &mut dyn Write, onlooker: Onlooker<'_>) -> Result<(u64, u64), Broken> {
    let read = |fault: TableFault| Broken::Read(fault);
    let mut out = from.copy_out(sql).map_err(|fault| read(fault.into()))?;
    let mut bytes = 0;
    while let Some(piece) = out.piece().map_err(|fault| read(fault.into()))? {
        session::go_on(onlooker.stop).map_err(read)?;
        to.write_all(&piece)?;
        bytes += piece.len() as u64;
        onlooker.bytes.fetch_add(piece.len() as u64, Ordering::Relaxed);
    }
    to.flush()?;
    // With the line of names the server counts no row.
    Ok((out.rows(), bytes))
}
