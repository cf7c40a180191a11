//! `seawall export`: rows of the live database as CSV or Parquet.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration as StdDuration, Instant as Stopwatch};

use clap::{Args, ValueEnum};
use serde_json::json;

use super::copying::size;
use super::exit::{Exit, Trouble};
use super::here::Here;
use super::restore::{Line, seconds};
use super::terminal::{Colour, complain, tame};
use crate::execute::custody;
use crate::execute::export::{self, Exported, Onlooker, Rows, To, Wanted};
use crate::execute::run;
use crate::format::archived::Form;
use crate::plan::words::counted;
use crate::policy::model::Policy;
use crate::policy::sql_name;
use crate::postgres::Settings;
use crate::postgres::conninfo::names_password;
use crate::site::Site;
use crate::units::Duration;
use crate::world::signals::{self, Ending};

/// Write the rows of a table or of a query into a file, as CSV or Parquet.
///
/// All of them are as of one snapshot, read in a transaction that can change nothing. It is a file for people and programs: not encrypted, readable by
/// its owner only, and no backup. `backups.….tables` takes such files into a store by a schedule.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall export --table public.orders -o orders.parquet
  seawall export --query 'select * from orders where day = current_date' -o today.csv
  seawall export --table orders -o - | head
  seawall export --connection service=shop --table orders -o orders.csv    without a policy")]
pub struct Export {
    /// This table, `schema.table` as in SQL; a view too.
    #[arg(long, value_name = "TABLE", group = "rows", required_unless_present = "query")]
    table: Option<String>,
    /// What this statement gives.
    #[arg(long, value_name = "SQL", group = "rows", allow_hyphen_values = true)]
    query: Option<String>,
    /// The file; `-` is standard output.
    #[arg(long, short = 'o', value_name = "FILE")]
    output: PathBuf,
    /// [default: by the file's name: .csv or .parquet; CSV to standard output]
    #[arg(long, value_name = "FORMAT")]
    format: Option<FileFormat>,
    /// In the place of a file that is there.
    #[arg(long)]
    force: bool,
    /// The database [default: the policy's, where it has one].
    #[arg(long, value_name = "DATABASE")]
    database: Option<String>,
    /// The server, where it is not the policy's: what `psql` takes. No policy is read then. A password comes from `PGPASSWORD` or the password file.
    #[arg(long, value_name = "CONNINFO", conflicts_with_all = ["policy", "state", "host"])]
    connection: Option<String>,
    /// How long a table is waited for that somebody is changing.
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    lock_timeout: Duration,
    #[command(flatten)]
    here: Here,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FileFormat {
    /// With a line of names; what PostgreSQL's `copy … (format csv, header)` reads.
    Csv,
    /// Compressed with zstd, with the columns' types.
    Parquet,
}

impl From<FileFormat> for Form {
    fn from(format: FileFormat) -> Form {
        match format {
            FileFormat::Csv => Form::Csv,
            FileFormat::Parquet => Form::Parquet,
        }
    }
}

impl Export {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let wanted = self.wanted()?;
        if let Some(text) = &self.connection {
            return self.export(&self.without_policy(text)?, &wanted, None);
        }
        let policy = self.here.read(colour)?;
        let site = self.here.site(&policy);
        let settings = site.connection()?.with_dbname(&self.database_of(&policy)?);
        self.export(&settings, &wanted, Some(&site))
    }

    fn export(&self, settings: &Settings, wanted: &Wanted, site: Option<&Site<'_>>) -> Result<Exit, Trouble> {
        let ending = signals::ending()?;
        let began = Stopwatch::now();
        let exported = match watched(&ending.asked, |onlooker| export::export(settings, wanted, onlooker)) {
            Err(fault) if ending.asked.load(Ordering::Relaxed) => return Ok(interrupted(&fault.message, &wanted.to, &ending)),
            other => other?,
        };
        let Exported { rows, bytes, .. } = &exported;
        // Standard output may be the file itself.
        eprintln!(
            "wrote {} of {} to {}: {} in {}",
            counted(*rows, "row"),
            tame(&wanted.rows.says()),
            tame(&wanted.to.says()),
            size(*bytes),
            seconds(began.elapsed().as_secs_f64())
        );
        if let Some(site) = site {
            note(site, settings, wanted, &exported);
        }
        Ok(Exit::Done)
    }

    fn wanted(&self) -> Result<Wanted, Trouble> {
        let rows = match (&self.table, &self.query) {
            (Some(table), _) => {
                if let Some((message, hint)) = sql_name::fault(table, 2) {
                    return Err(Trouble::usage(format!("`--table`: {}", tame(&message)), hint));
                }
                Rows::Table(table.clone())
            }
            (None, query) => Rows::Query(query.clone().unwrap_or_default()),
        };
        let to = if self.output == Path::new("-") { To::Stdout } else { To::File { path: self.output.clone(), over: self.force } };
        if self.force && to == To::Stdout {
            return Err(Trouble::usage("`--force` is about a file that is there, and `-` is none", "Leave one of them away."));
        }
        let lock_timeout = StdDuration::from_secs(self.lock_timeout.as_secs());
        Ok(Wanted { rows, form: self.form()?, to, lock_timeout })
    }

    fn form(&self) -> Result<Form, Trouble> {
        let extension = self.output.extension().map(|extension| extension.to_ascii_lowercase());
        match (self.format, extension.as_deref().and_then(|extension| extension.to_str())) {
            (Some(format), _) => Ok(format.into()),
            (None, Some("csv")) => Ok(Form::Csv),
            (None, Some("parquet")) => Ok(Form::Parquet),
            // What one looks at, or gives to another program.
            (None, _) if self.output == Path::new("-") => Ok(Form::Csv),
            (None, _) => {
                let message = "the file's name does not say which format is wanted";
                Err(Trouble::usage(message, "Say `--format csv` or `--format parquet`, or end the name with .csv or .parquet."))
            }
        }
    }

    fn without_policy(&self, text: &str) -> Result<Settings, Trouble> {
        if names_password(text).unwrap_or(false) {
            let hint = "Put it into a password file (`passfile=…`) or a service (`service=…`): everybody on this host sees arguments.";
            return Err(Trouble::usage("`--connection` holds a password", hint));
        }
        let settings = Settings::read(text).map_err(|fault| Trouble::usage(fault.message, fault.hint))?;
        Ok(match &self.database {
            Some(database) => settings.with_dbname(database),
            None => settings,
        })
    }

    fn database_of(&self, policy: &Policy) -> Result<String, Trouble> {
        match (&self.database, policy.databases.as_slice()) {
            (Some(database), _) => Ok(database.clone()),
            (None, [only]) => Ok(only.clone()),
            (None, _) => Err(Trouble::usage("the policy does not have exactly one database", "Say which is meant with `--database`.")),
        }
    }
}

fn interrupted(message: &str, to: &To, ending: &Ending) -> Exit {
    let left = if *to == To::Stdout { "What was printed is not all." } else { "No file was made." };
    complain(&tame(message), left);
    if ending.code() == Some(143) { Exit::Terminated } else { Exit::Interrupted }
}

/// Rows that left the database, for those who ask where they are. A query is not written down: it may hold what is secret.
fn note(site: &Site<'_>, settings: &Settings, wanted: &Wanted, exported: &Exported) {
    let were = if exported.rows == 1 { "was" } else { "were" };
    let what = format!("{} of {} {were} exported to {}", counted(exported.rows, "row"), wanted.rows.says(), wanted.to.says());
    let details = json!({
        "table": match &wanted.rows { Rows::Table(table) => Some(table), Rows::Query(_) => None },
        "to": match &wanted.to { To::File { path, .. } => Some(path), To::Stdout => None },
        "database": settings.dbname, "rows": exported.rows, "bytes": exported.bytes, "columns": exported.columns,
    });
    custody::with_catalog(site, &|catalog| run::audit(site, catalog, what.clone(), "export.written", details.to_string()));
}

/// A line that says how far it is, on standard error.
fn watched<T>(stop: &AtomicBool, work: impl FnOnce(Onlooker<'_>) -> T) -> T {
    let bytes = AtomicU64::new(0);
    thread::scope(|scope| {
        let (done, over) = mpsc::channel::<()>();
        let seen = &bytes;
        scope.spawn(move || {
            let (began, mut line) = (Stopwatch::now(), Line::new(true));
            while over.recv_timeout(StdDuration::from_millis(100)) == Err(RecvTimeoutError::Timeout) {
                line.say(&format!("{} read, {}", size(seen.load(Ordering::Relaxed)), seconds(began.elapsed().as_secs_f64())));
            }
            line.end();
        });
        let worked = work(Onlooker { bytes: &bytes, stop });
        drop(done);
        worked
    })
}
