//! Rows of the live database as CSV or Parquet, in one file: a table's, or a query's.
//!
//! The same writers as those of jobs with `tables` and of archives; here the file is for somebody who wants to look at the rows, so it is not sealed,
//! and it is nobody's backup.

mod target;

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

pub use target::To;

use crate::execute::archive::SETTINGS;
use crate::execute::table::landing::session::{attended, go_on};
use crate::execute::table::{Broken, TableFault};
use crate::format::archived::{Column, Form};
use crate::format::columnar::Parquet;
use crate::format::rows::Tally;
use crate::policy::sql_name::{literal, meaning, quoted};
use crate::postgres::{Connection, Described, Settings};

/// A statement may look at a whole table before it says anything.
const SILENCE: Duration = Duration::from_secs(24 * 3600);

/// Which rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rows {
    /// As in SQL, `schema.table`: also a view's, and those of all partitions.
    Table(String),
    /// One statement that gives rows.
    Query(String),
}

#[derive(Debug, Clone)]
pub struct Wanted {
    pub rows: Rows,
    pub form: Form,
    pub to: To,
    /// How long a table is waited for that somebody is changing.
    pub lock_timeout: Duration,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    pub rows: u64,
    /// Of the file.
    pub bytes: u64,
    pub columns: Vec<String>,
}

/// Who watches, and who may end it.
#[derive(Debug, Clone, Copy)]
pub struct Onlooker<'o> {
    /// Of CSV, as the server sends it.
    pub bytes: &'o AtomicU64,
    pub stop: &'o AtomicBool,
}

/// Everything as of one snapshot, in a transaction that can change nothing.
pub fn export(settings: &Settings, wanted: &Wanted, onlooker: Onlooker<'_>) -> Result<Exported, TableFault> {
    wanted.to.must_be_free()?;
    let mut session = Connection::connect(settings)?;
    session.set_silence(SILENCE)?;
    attended(onlooker.stop, [&mut session], |[session]| {
        prepare(session, wanted)?;
        let query = wanted.rows.query();
        let columns = columns(session, &query, wanted)?;
        // A comment at the end of a query must not swallow what follows it.
        let sql = format!("copy ({query}\n) to stdout with (format csv, header)");
        let (rows, bytes) = wanted.to.write(|file| written(session, &sql, file, (wanted, &columns), onlooker))?;
        session.run("commit")?;
        Ok(Exported { rows, bytes, columns: columns.into_iter().map(|column| column.name).collect() })
    })
}

impl Rows {
    fn query(&self) -> String {
        match self {
            Rows::Table(table) => {
                let name: Vec<String> = meaning(table).iter().map(|part| quoted(part)).collect();
                format!("select * from {}", name.join("."))
            }
            Rows::Query(query) => query.trim().trim_end_matches(';').to_owned(),
        }
    }

    /// For people.
    pub fn says(&self) -> String {
        match self {
            Rows::Table(table) => format!("`{table}`"),
            Rows::Query(_) => "the query".to_owned(),
        }
    }
}

fn prepare(session: &mut Connection, wanted: &Wanted) -> Result<(), TableFault> {
    for (name, value) in SETTINGS {
        session.run(&format!("set {name} = {}", literal(value)))?;
    }
    session.lift_limits()?;
    session.run(&format!("set lock_timeout = '{}ms'", wanted.lock_timeout.as_millis()))?;
    session.run("begin isolation level repeatable read read only")?;
    Ok(())
}

/// What comes out, which also proves that the text is one statement and no more.
fn columns(session: &mut Connection, query: &str, wanted: &Wanted) -> Result<Vec<Column>, TableFault> {
    let described = session.describe(query).map_err(|fault| {
        let hint = match wanted.rows {
            Rows::Table(_) => "Write its schema before it if that is not in the role's search_path, and quotes where SQL needs them.",
            Rows::Query(_) => "Give one statement that gives rows: a `select`, `values`, `table` or `with`.",
        };
        TableFault { hint: format!("{} {hint}", fault.hint).trim().to_owned(), ..fault.into() }
    })?;
    if described.is_empty() {
        return Err(TableFault::new(format!("{} gives no columns", wanted.rows.says()), "Rows without columns are none in a file."));
    }
    let columns = described.iter().map(|column| column_of(session, column)).collect::<Result<Vec<_>, _>>()?;
    let twice = columns.iter().enumerate().find(|(at, column)| columns[..*at].iter().any(|other| other.name == column.name));
    match twice {
        Some((_, column)) if wanted.form == Form::Parquet => Err(TableFault::new(
            format!("two columns are called `{}`, and Parquet knows columns by their names", column.name),
            "Give one of them another name in the query (`as …`), or say `--format csv`.",
        )),
        _ => Ok(columns),
    }
}

fn column_of(session: &mut Connection, column: &Described) -> Result<Column, TableFault> {
    let (oid, modifier) = (column.type_oid.to_string(), column.type_modifier.to_string());
    let rows = session.query("select pg_catalog.format_type($1::oid, $2::int) as type", &[&oid, &modifier])?;
    Ok(Column { name: column.name.clone(), r#type: rows.one()?.text("type")?.to_owned(), not_null: false })
}

/// Rows, and bytes of the file.
fn written(
    session: &mut Connection,
    sql: &str,
    file: &mut (dyn Write + Send),
    (wanted, columns): (&Wanted, &[Column]),
    onlooker: Onlooker<'_>,
) -> Result<(u64, u64), Broken> {
    let read = |fault: crate::postgres::Fault| Broken::Read(fault.into());
    let mut counted = Counted { file, bytes: 0 };
    let mut tally = Tally::after_header();
    let mut rows = session.copy_out(sql).map_err(read)?;
    let mut each = |piece: &mut dyn FnMut(&[u8]) -> Result<(), Broken>| -> Result<(), Broken> {
        while let Some(bytes) = rows.piece().map_err(read)? {
            go_on(onlooker.stop).map_err(Broken::Read)?;
            tally.push(&bytes);
            piece(&bytes)?;
            onlooker.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }
        Ok(())
    };
    match wanted.form {
        Form::Csv => each(&mut |bytes| Ok(counted.write_all(bytes)?))?,
        Form::Parquet => {
            let mut parquet = Parquet::new(&mut counted, columns).map_err(of_parquet)?;
            each(&mut |bytes| parquet.push(bytes).map_err(of_parquet))?;
            refuse_misfits(parquet.finish().map_err(of_parquet)?, &wanted.rows)?;
        }
    }
    counted.flush()?;
    let (sent, bytes) = (rows.rows(), counted.bytes);
    match tally.finish() {
        Some(tallied) if tallied.rows == sent => Ok((sent, bytes)),
        _ => Err(Broken::Read(TableFault::new(
            format!("the server says that it sent {sent} rows, and not as many were read"),
            "Something between the server and here changes what passes through it.",
        ))),
    }
}

fn of_parquet(error: parquet::errors::ParquetError) -> Broken {
    Broken::Write(io::Error::other(error))
}

fn refuse_misfits(misfits: u64, rows: &Rows) -> Result<(), Broken> {
    if misfits == 0 {
        return Ok(());
    }
    let message =
        format!("{misfits} values of {} cannot be expressed in Parquet (infinity, or years beyond 9999) and would be null", rows.says());
    Err(Broken::Read(TableFault::new(message, "Say `--format csv`, or cast them in a `--query`, to text for instance.")))
}

/// A file that knows how long it is.
struct Counted<'f> {
    file: &'f mut (dyn Write + Send),
    bytes: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_sql_reads_them_and_written_quoted() {
        let query = |table: &str| Rows::Table(table.to_owned()).query();
        assert_eq!(query("Public.Orders"), "select * from \"public\".\"orders\"");
        assert_eq!(query("\"; drop table x --\""), "select * from \"; drop table x --\"");
        assert_eq!(Rows::Query(" select 1 ; ".into()).query(), "select 1 ");
    }
}
