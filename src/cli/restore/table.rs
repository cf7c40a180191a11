//! One table back, or some rows of it.

mod show;

use std::cell::{Cell, OnceCell};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant as Stopwatch};

use clap::Args;

use super::Restore;
use super::progress::Line;
use super::thaw::{self, Woken};
use crate::cli::confirm::confirm;
use crate::cli::copying::size;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::repository::Format;
use crate::cli::terminal::{complain, print, tame};
use crate::cli::validate;
use crate::execute::hook::{When, around_restore_says};
use crate::execute::table::landing::difference::Difference;
use crate::execute::table::landing::{self, Change, Condition, CsvTo, Destination, Landed, Onlooker, Report, Seconds, Way};
use crate::execute::table::source::{self, TableName};
use crate::execute::table::{self, TableFault, Why};
use crate::policy::sql_name;
use crate::postgres::Settings;
use crate::schedule::Zone;
use crate::site::Site;
use crate::units;
use crate::world::clock;
use crate::world::signals::{self, Ending};

#[derive(Debug, Args)]
#[command(next_help_heading = "One table, or some rows of it")]
pub(super) struct TableWords {
    /// This table, `schema.table` as in SQL, out of whatever backup has it (may be given again: all as of the same moment). With
    /// `--into-database`: only this table with its rows, without its indexes and constraints, as `pg_restore --table` does it.
    #[arg(long, value_name = "TABLE")]
    pub(super) table: Vec<String>,
    /// Only rows for which this is true: an expression in SQL over one row; its times are in the policy's zone.
    #[arg(long = "where", value_name = "CONDITION", requires = "table", allow_hyphen_values = true)]
    condition: Option<String>,
    /// Into this schema, beside the original [default: a new one with the time in its name].
    #[arg(long, value_name = "SCHEMA", requires = "table", group = "way")]
    into_schema: Option<String>,
    /// Under this name there.
    #[arg(long = "as", value_name = "NAME", requires = "table", conflicts_with_all = ["csv", "replace", "merge"])]
    name: Option<String>,
    /// Make the compression and retention jobs of a hypertable again, too. None of them runs until you say so.
    #[arg(long, requires = "table")]
    with_policies: bool,
    /// As CSV, into a new file; `-` is standard output.
    #[arg(long, value_name = "FILE", requires = "table", group = "way")]
    csv: Option<PathBuf>,
    /// The original's rows become these, in one transaction; the table itself stays what it is. With `--into-database`: the database that is
    /// there is set aside, under another name, when everything is restored; nothing of it is lost.
    #[arg(long,
        conflicts_with_all = ["into_schema", "csv", "merge", "create", "occupied", "schema", "section", "files", "export_to", "target"])]
    pub(super) replace: bool,
    /// Rows are added and changed by their key, after the difference was shown.
    #[arg(long, requires = "table", group = "way")]
    merge: bool,
    /// The columns by which rows are the same, where it is not the primary key.
    #[arg(long, value_name = "COLUMN", requires = "merge", value_delimiter = ',')]
    key: Vec<String>,
    /// Rows that are there now and were not then go.
    #[arg(long, requires = "merge")]
    delete_others: bool,
    /// So many rows of each kind are shown.
    #[arg(long, value_name = "NUMBER", default_value = "20", requires = "merge", value_parser = clap::value_parser!(u32).range(0..=10_000))]
    show: u32,
    /// Show what would be done; of a merge, the difference. Change nothing. With `--tier` too.
    #[arg(long)]
    pub(super) plan: bool,
    /// Rows that change or go are kept in this schema [default: a new one with the time in its name].
    #[arg(long, value_name = "SCHEMA", requires = "table")]
    keep_replaced: Option<String>,
    /// Do not keep them.
    #[arg(long, requires = "table", conflicts_with = "keep_replaced")]
    no_snapshot: bool,
    /// Refresh the continuous aggregates of a hypertable where its rows have changed.
    #[arg(long, requires = "table")]
    refresh_aggregates: bool,
    /// How long a lock on the original is waited for.
    #[arg(long, value_name = "DURATION", default_value = "10s", requires = "table")]
    lock_timeout: units::Duration,
    /// The database that has the table [default: the policy's, where it has one].
    #[arg(long, value_name = "DATABASE", requires = "table")]
    database: Option<String>,
    /// Below which the private server lies for as long as it is needed [default: this host's state]. With `--tier` too.
    #[arg(long, value_name = "DIR")]
    pub(super) directory: Option<PathBuf>,
    /// The table was made after the newest backup, and is only in the log.
    #[arg(long, requires = "table")]
    made_later: bool,
}

impl From<TableFault> for Trouble {
    fn from(fault: TableFault) -> Self {
        match fault.why {
            Why::Failed | Why::Stopped | Why::Unknown => Trouble::failed(fault.message, fault.hint),
            Why::Stale => Trouble::stale(fault.message, fault.hint),
            Why::Passing => Trouble::try_again(fault.message, fault.hint),
        }
    }
}

pub(super) fn run(said: &Restore, site: &Site<'_>) -> Result<Exit, Trouble> {
    let ending = signals::ending()?;
    let bringing = Bringing::new(said, site, &ending)?;
    let ended = bringing.run();
    if let (Err(ended), Some((backup, store)), false) = (&ended, bringing.begun.get(), bringing.is_done.get()) {
        let wanted = &bringing.wanted;
        table::note_failed(site, &wanted.tables, &wanted.way, (backup, store), bringing.started, &ended.says());
    }
    match ended {
        Ok(exit) => Ok(exit),
        Err(Ended::Stopped(fault)) => {
            complain(&tame(&fault.to_string()), "Where it was to go, everything is as it was, and nothing is left of the private server.");
            Ok(if ending.code() == Some(143) { Exit::Terminated } else { Exit::Interrupted })
        }
        Err(Ended::Otherwise(trouble)) => Err(trouble),
    }
}

/// Before its own end.
enum Ended {
    /// Because somebody asked for it, and with nothing changed. Whoever asks while it is committed may not hear that.
    Stopped(TableFault),
    Otherwise(Trouble),
}

impl Ended {
    fn says(&self) -> String {
        match self {
            Ended::Stopped(fault) => fault.to_string(),
            Ended::Otherwise(trouble) => trouble.to_string(),
        }
    }
}

impl From<TableFault> for Ended {
    fn from(fault: TableFault) -> Self {
        if fault.why == Why::Stopped { Ended::Stopped(fault) } else { Ended::Otherwise(fault.into()) }
    }
}

impl From<Trouble> for Ended {
    fn from(trouble: Trouble) -> Self {
        Ended::Otherwise(trouble)
    }
}

/// One call on its way.
struct Bringing<'b> {
    said: &'b Restore,
    site: &'b Site<'b>,
    ending: &'b Ending,
    wanted: landing::Wanted,
    from: table::Wanted,
    started: units::Instant,
    began: Stopwatch,
    /// Out of which backup of which store, once somebody has agreed to it.
    begun: OnceCell<(units::BackupId, units::Name)>,
    /// It is on record as done.
    is_done: Cell<bool>,
}

impl<'b> Bringing<'b> {
    fn new(said: &'b Restore, site: &'b Site<'b>, ending: &'b Ending) -> Result<Self, Trouble> {
        must_name_the_backup(said)?;
        let started = clock::now();
        let mut tables: Vec<TableName> = Vec::new();
        for text in &said.table.table {
            let table = name_of(text)?;
            // Who names one twice wants it once.
            if !tables.contains(&table) {
                tables.push(table);
            }
        }
        let wanted = wanted(said, &tables, &site.policy.zone, started)?;
        let from = from(said, site, tables)?;
        Ok(Bringing {
            said,
            site,
            ending,
            wanted,
            from,
            started,
            began: Stopwatch::now(),
            begun: OnceCell::new(),
            is_done: Cell::new(false),
        })
    }

    fn run(&self) -> Result<Exit, Ended> {
        if let Way::Csv(to) = &self.wanted.way {
            to.must_be_free()?;
        }
        let progress = source::Progress::default();
        let watch = Watch::default();
        let phase = |phase| watch.begins(crate::inventory::Phase::says(phase));
        let onlooker = source::Onlooker { phase: &phase, stop: &self.ending.asked, progress: &progress };
        let choose = || watch.during(self.to_stderr(), &progress, || table::choose(self.site, &self.from, onlooker));
        let stopped = |trouble| {
            if self.ending.asked.load(Ordering::Relaxed) { Ended::Stopped(TableFault::stopped()) } else { Ended::Otherwise(trouble) }
        };
        let (source, why) = match thaw::until_awake(&self.said.way, choose).map_err(stopped)? {
            Woken::Now(chosen) => chosen,
            Woken::Ended(exit) => return Ok(exit),
        };
        let database = self.said.table.database.clone().unwrap_or_else(|| source.database());
        let mut destination = match self.wanted.way {
            Way::Csv(_) => None,
            _ => Some(landing::look(&self.settings(&database)?, &self.wanted)?),
        };
        if let (Way::Replace { .. } | Way::Merge { .. }, Some(destination)) = (&self.wanted.way, &mut destination) {
            destination.respect(self.site.policy, self.started);
        }
        let planned = self.began.elapsed().as_secs_f64();
        let hooks = around_restore_says(self.site.policy);
        self.tell(&show::plan(&source, &why, &self.from, &self.wanted, (destination.as_ref(), hooks)))?;
        let is_shown_only = self.said.table.plan;
        if is_shown_only && !matches!(self.wanted.way, Way::Merge { .. }) {
            return Ok(Exit::Done);
        }
        if !is_shown_only && matches!(self.wanted.way, Way::Replace { .. } | Way::Merge { .. }) {
            source.must_be_the_newest()?;
        }
        if !self.said.way.yes && !is_shown_only {
            confirm("Say `--yes` when the plan above is what you want.")?;
        }
        let (backup, store, known) = (source.backup(), source.store(), source.warnings().to_vec());
        if !is_shown_only {
            let _ = self.begun.set((backup.clone(), store.clone()));
        }
        let begins = |what: &str| watch.begins(what);
        let held = watch.during(self.to_stderr(), &progress, || source.hold(&phase, &begins, &progress, &self.ending.asked))?;
        let origin = held.origin()?;
        let fetched = self.began.elapsed().as_secs_f64();
        self.tell_flaws(&origin, &known)?;
        let landing = Onlooker { begins: &begins, bytes: &watch.bytes, stop: &self.ending.asked };
        let mut remarks = origin.flaws.clone();
        remarks.extend(destination.iter().flat_map(|destination| destination.remarks.clone()));
        let (mut tables, differences, done) = match (&self.wanted.way, &destination) {
            (Way::Merge { .. }, Some(destination)) => self.merge(destination, &origin, &mut remarks, &watch, &progress, landing)?,
            _ => {
                let before = || destination.as_ref().map_or(Ok(()), |destination| self.hook(When::Before, destination));
                let land = || table::land(destination.as_ref(), &self.wanted, &origin, &mut remarks, &before, landing);
                (watch.during(self.to_stderr(), &progress, land)?, Vec::new(), true)
            }
        };
        let mut refreshed = Ok(());
        if let Some(destination) = destination.as_ref().filter(|_| self.said.table.refresh_aggregates) {
            refreshed = watch.during(self.to_stderr(), &progress, || landing::refresh(destination, &mut tables, &mut remarks, landing));
        }
        let landed = self.began.elapsed().as_secs_f64();
        drop(held);
        let total = self.began.elapsed().as_secs_f64();
        let report = Report {
            format_version: 1,
            policy: self.site.policy.name.to_string(),
            host: self.site.host().to_owned(),
            started: self.started,
            ended: clock::now(),
            way: self.wanted.way.as_str().to_owned(),
            store,
            backup: backup.to_string(),
            moment: origin.moment.clone(),
            condition: self.wanted.condition.as_ref().map(ToString::to_string),
            server: destination.as_ref().map(|destination| destination.server.clone()),
            database: destination.as_ref().map(|destination| destination.database.clone()),
            tables,
            differences,
            done,
            seconds: Seconds { plan: planned, source: fetched - planned, landing: landed - fetched, total },
            remarks,
        };
        self.note(&report);
        // The application goes on as soon as it can.
        let after = match (&self.wanted.way, &destination) {
            (Way::Replace { .. } | Way::Merge { .. }, Some(destination)) if report.done => self.hook(When::After, destination),
            _ => Ok(()),
        };
        let exit = self.end(&report)?;
        after.map_err(|fault| {
            let what = if fault.why == Why::Stopped { "`hooks.after_restore` was interrupted" } else { fault.message.as_str() };
            Ended::Otherwise(Trouble::failed(format!("{what}; the rows are back"), fault.hint.clone()))
        })?;
        // It was asked for, and the rows are back all the same: what is left is told, and nobody takes it for all.
        refreshed.map_err(|fault| Ended::Otherwise(fault.into()))?;
        Ok(exit)
    }

    /// What only the state that was brought back has shown, before anything is done with it. A merge is asked about anyway.
    fn tell_flaws(&self, origin: &landing::Origin, known: &[String]) -> Result<(), Trouble> {
        let flaws: Vec<&String> = origin.flaws.iter().filter(|flaw| !known.contains(flaw)).collect();
        if flaws.is_empty() {
            return Ok(());
        }
        self.tell(&show::flaws(&flaws))?;
        if matches!(self.wanted.way, Way::Replace { .. }) && !self.said.way.yes {
            confirm("Say `--yes` to have it done all the same.")?;
        }
        Ok(())
    }

    fn merge(
        &self,
        destination: &Destination,
        origin: &landing::Origin,
        remarks: &mut Vec<String>,
        watch: &Watch,
        progress: &source::Progress,
        landing: Onlooker<'_>,
    ) -> Result<(Vec<Landed>, Vec<Difference>, bool), Ended> {
        let compared = watch.during(self.to_stderr(), progress, || {
            let mut change = Change::stage(destination, &self.wanted, origin, landing)?;
            let differences = change.difference(self.said.table.show, landing)?;
            Ok::<_, TableFault>((change, differences))
        });
        let (change, differences) = compared?;
        self.tell(&show::differences(&differences))?;
        if self.said.table.plan || differences.iter().all(Difference::is_empty) {
            return Ok((Vec::new(), differences, false));
        }
        if !self.said.way.yes {
            confirm("Say `--yes` to have it done without being asked; `--plan` shows the difference and changes nothing.")?;
        }
        let apply = || self.hook(When::Before, destination).and_then(|()| change.apply(remarks, landing));
        let tables = watch.during(self.to_stderr(), progress, apply)?;
        Ok((tables, differences, true))
    }

    /// The policy's own program, where rows that are there change.
    fn hook(&self, when: When, destination: &Destination) -> Result<(), TableFault> {
        match self.begun.get() {
            Some((backup, store)) => table::hook(self.site, when, (backup, store), destination, &self.ending.asked),
            None => Ok(()),
        }
    }

    /// Also where nobody reads what is said: it is done.
    fn note(&self, report: &Report) {
        if report.done {
            table::note(self.site, report);
            self.is_done.set(true);
        }
    }

    fn end(&self, report: &Report) -> Result<Exit, Trouble> {
        let text = match self.said.way.format {
            Format::Human => show::report(report),
            Format::Json => validate::json(report)?,
        };
        if self.wanted.way == Way::Csv(CsvTo::Stdout) {
            eprint!("{text}");
        } else {
            print(&text)?;
        }
        Ok(Exit::Done)
    }

    /// Standard output is for what was asked for.
    fn to_stderr(&self) -> bool {
        self.said.way.format == Format::Json || self.wanted.way == Way::Csv(CsvTo::Stdout)
    }

    fn tell(&self, text: &str) -> Result<(), Trouble> {
        if self.to_stderr() {
            eprint!("{text}");
            return Ok(());
        }
        Ok(print(text)?)
    }

    fn settings(&self, database: &str) -> Result<Settings, Trouble> {
        let settings = match &self.said.dump.connection {
            Some(text) => Settings::read(text).map_err(|fault| Trouble::usage(fault.message, fault.hint))?,
            None => self.site.cluster_connection().map_err(TableFault::from)?,
        };
        // Whoever names a database means that one, and not the one that the rows come from.
        let is_meant = self.said.dump.connection.is_some() && settings.names_database;
        Ok(if is_meant { settings } else { settings.with_dbname(database) })
    }
}

/// `schema.table`, as SQL reads it.
fn name_of(text: &str) -> Result<TableName, Trouble> {
    if let Some((message, hint)) = sql_name::fault(text, 2) {
        return Err(Trouble::usage(format!("`--table`: {}", tame(&message)), hint));
    }
    let mut parts = sql_name::meaning(text);
    let name = parts.pop().unwrap_or_default();
    Ok(TableName { schema: parts.pop().unwrap_or_else(|| "public".to_owned()), name })
}

/// A name that somebody gives as it is, not as SQL reads it.
fn plain_name(text: &str, what: &str) -> Result<String, Trouble> {
    if text.is_empty() || text.len() > 63 || text.contains('\0') {
        return Err(Trouble::usage(format!("`{what}`: `{}` is no name", tame(text)), "A name in PostgreSQL has 1 to 63 bytes."));
    }
    Ok(text.to_owned())
}

fn wanted(said: &Restore, tables: &[TableName], zone: &Zone, started: units::Instant) -> Result<landing::Wanted, Trouble> {
    let words = &said.table;
    let zone = zone.to_string();
    let condition =
        words.condition.as_deref().map(|text| Ok(Condition::read(text)?.in_zone(zone))).transpose().map_err(|why: String| {
            Trouble::usage(
                format!("`--where`: {why}"),
                "Give one expression in SQL over one row: `--where \"customer = 17 and total > 5\"`.",
            )
        })?;
    let kept = match &words.keep_replaced {
        _ if words.no_snapshot => None,
        Some(schema) => Some(plain_name(schema, "--keep-replaced")?),
        None => Some(landing::stamped("replaced", started)),
    };
    let way = if let Some(path) = &words.csv {
        Way::Csv(if path.as_os_str() == "-" { CsvTo::Stdout } else { CsvTo::File(path.clone()) })
    } else if words.replace {
        Way::Replace { kept }
    } else if words.merge {
        Way::Merge { key: words.key.clone(), delete_others: words.delete_others, kept }
    } else {
        let schema = words.into_schema.as_deref().map(|schema| plain_name(schema, "--into-schema")).transpose()?;
        let name = words.name.as_deref().map(|name| plain_name(name, "--as")).transpose()?;
        Way::Schema { schema: schema.unwrap_or_else(|| landing::stamped("restored", started)), name }
    };
    if tables.len() > 1 && (matches!(way, Way::Csv(_) | Way::Schema { name: Some(_), .. }) || !words.key.is_empty()) {
        return Err(Trouble::usage("`--csv`, `--as` and `--key` are for one table", "Bring the tables back one after the other."));
    }
    let lock_timeout = Duration::from_secs(words.lock_timeout.as_secs());
    Ok(landing::Wanted { tables: tables.to_vec(), way, condition, lock_timeout, with_policies: words.with_policies })
}

fn from(said: &Restore, site: &Site<'_>, tables: Vec<TableName>) -> Result<table::Wanted, Trouble> {
    let absolute = |path: &PathBuf| {
        std::path::absolute(path).map_err(|error| Trouble::usage(format!("`{}`: {error}", path.display()), "Give an absolute path."))
    };
    let policy = site.policy;
    let only = match policy.databases.as_slice() {
        [only] => Some(only.clone()),
        _ => None,
    };
    Ok(table::Wanted {
        tables,
        database: said.table.database.clone().or(only),
        target: said.goal.target(policy)?,
        exclusive: said.goal.exclusive,
        timeline: said.goal.timeline,
        backup: said.goal.backup.clone().filter(|id| id.as_str() != "latest"),
        job: said.dump.job.clone(),
        store: said.goal.store.clone(),
        identity: said.way.identity.as_ref().map(absolute).transpose()?,
        directory: said.table.directory.as_ref().map(absolute).transpose()?,
        programs: said.dump.programs.as_ref().map(absolute).transpose()?,
        workers: said.way.workers.map(usize::from),
        made_later: said.table.made_later,
    })
}

/// Each backup has an end of its own.
pub(super) fn must_name_the_backup(said: &Restore) -> Result<(), Trouble> {
    if said.goal.immediate && said.goal.backup.is_none() {
        return Err(Trouble::usage("`--immediate` needs the backup whose end is meant", "Say `--backup ID`."));
    }
    Ok(())
}

/// What goes on, in one line.
#[derive(Debug, Default)]
struct Watch {
    now: Mutex<String>,
    bytes: AtomicU64,
}

impl Watch {
    fn begins(&self, what: &str) {
        *self.now.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = what.to_owned();
    }

    fn during<T>(&self, to_stderr: bool, progress: &source::Progress, work: impl FnOnce() -> T) -> T {
        thread::scope(|scope| {
            let (done, over) = mpsc::channel::<()>();
            scope.spawn(move || {
                let (began, mut line) = (Stopwatch::now(), Line::new(to_stderr));
                while over.recv_timeout(Duration::from_millis(100)) == Err(RecvTimeoutError::Timeout) {
                    line.say(&self.line(progress, began.elapsed()));
                }
                line.end();
            });
            let worked = work();
            drop(done);
            worked
        })
    }

    fn line(&self, progress: &source::Progress, elapsed: Duration) -> String {
        let now = self.now.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let bytes = self.bytes.load(Ordering::Relaxed);
        let (glance, took) = (progress.glance(), super::seconds(elapsed.as_secs_f64()));
        match () {
            () if bytes > 0 => format!("{now}: {}, {took}", size(bytes)),
            () if glance.phase == Some(crate::inventory::Phase::Files) && glance.size > 0 => {
                format!("{now}: {} of {}, {took}", size(glance.done.min(glance.size)), size(glance.size))
            }
            () => format!("{now}, {took}"),
        }
    }
}
