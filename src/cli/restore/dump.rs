//! A dump, into a database.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use clap::{Args, ValueEnum};

use super::thaw::{self, Woken};
use super::{Restore, loading, seconds, tier};
use crate::cli::confirm::confirm;
use crate::cli::copying::size;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::repository::Format;
use crate::cli::terminal::{complain, print, tame};
use crate::cli::validate;
use crate::execute::dump::restore::{self, HeldJob, Plan, Restored, RoleMap, Session, Wanted, let_run};
use crate::plan::words::{counted, joined, quoted};
use crate::site::Site;
use crate::units::{DumpSection, Name};
use crate::world::{clock, signals};

#[derive(Debug, Args)]
#[command(next_help_heading = "A dump, into a database or out of the store")]
#[group(skip)]
pub(super) struct Words {
    /// The database that gets the newest dump, or that of `--backup` or `--job`.
    #[arg(
        long,
        value_name = "DATABASE",
        group = "dump",
        conflicts_with_all = ["target", "at_target", "tablespace", "delta", "owner", "config_to", "as_standby", "set", "start", "start_with", "extensions_later",
            "condition", "way", "name", "database", "made_later"]
    )]
    pub(super) into_database: Option<String>,
    /// Write the tables of a job with `tables` (`csv`, `parquet`) into this folder, decrypted, a file each that only its owner may read.
    #[arg(
        long,
        value_name = "DIR",
        group = "dump",
        conflicts_with_all = ["into_database", "target", "moment", "exclusive", "timeline", "at_target", "tablespace", "delta", "owner", "config_to",
            "as_standby", "set", "start", "start_with", "extensions_later", "workers", "condition", "way", "name", "plan", "database", "directory", "made_later"]
    )]
    pub(super) export_to: Option<PathBuf>,
    /// First this tier of the policy's `objectives.data`, then the others by their `rto` (may be given again: in this order). The database has
    /// its name from the first tier on; what has not come yet refuses whoever asks for it. Out of a dump, or of a physical backup to any moment.
    #[arg(long, value_name = "NAME", requires = "into_database")]
    pub(super) tier: Vec<Name>,
    /// Make the database; it gets its name when everything is in it.
    #[arg(long, requires = "into_database")]
    pub(super) create: bool,
    /// End the sessions of the database that is set aside, at that moment; with `--snapshot` of the one that is copied.
    #[arg(long, requires = "into_database")]
    end_connections: bool,
    /// First make the dump's roles that the server does not have; those that it has stay as they are.
    #[arg(long, requires = "into_database")]
    globals: bool,
    /// Also where objects are in the database, or users connected to it.
    #[arg(long, requires = "into_database", conflicts_with = "create")]
    pub(super) occupied: bool,
    /// First copy that database, whole, under another name.
    #[arg(long, requires = "occupied")]
    snapshot: bool,
    /// Which of the backup's databases, where it has several.
    #[arg(long, value_name = "DATABASE", requires = "dump")]
    from_database: Option<String>,
    /// The newest dump of this job; with `--table` too; with `--files` its newest copy.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["backup", "target"])]
    pub(super) job: Option<Name>,
    /// The server, where it is not the policy's: what `psql` takes; with `--table` too. A password comes from `PGPASSWORD` or the password
    /// file.
    #[arg(long, value_name = "CONNINFO", conflicts_with_all = ["export_to", "files", "target"])]
    pub(super) connection: Option<String>,
    /// How many sessions fill it, where the dump is in pieces; with `--tier` out of a physical backup too.
    #[arg(long, value_name = "NUMBER", requires = "into_database", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: u16,
    /// Only this schema (may be given again).
    #[arg(long, value_name = "SCHEMA", requires = "into_database")]
    schema: Vec<String>,
    /// Only this section (may be given again).
    #[arg(long, value_name = "SECTION", requires = "into_database")]
    section: Vec<Section>,
    /// Everything belongs to whoever restores it.
    #[arg(long, requires = "into_database")]
    no_owner: bool,
    /// Without grants.
    #[arg(long, requires = "into_database")]
    no_privileges: bool,
    /// What the role OLD has in the dump (things, grants, default privileges, policies) is NEW's here, which is there or made by `--globals`
    /// (may be given again). OLD is as it is in the dump; in double quotes where it has a `=`.
    #[arg(long, value_name = "OLD=NEW", requires = "into_database", value_parser = super::words::role)]
    map_role: Vec<(String, String)>,
    /// Everything into the server's own tablespace.
    #[arg(long, requires = "into_database")]
    no_tablespaces: bool,
    /// All of it or nothing, where the dump is in one piece.
    #[arg(long, requires = "into_database")]
    single_transaction: bool,
    /// The folder with `pg_restore`; with `--table`, with the server's programs.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["files", "export_to", "target"])]
    pub(super) programs: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Section {
    PreData,
    Data,
    PostData,
}

impl From<Section> for DumpSection {
    fn from(section: Section) -> Self {
        match section {
            Section::PreData => DumpSection::PreData,
            Section::Data => DumpSection::Data,
            Section::PostData => DumpSection::PostData,
        }
    }
}

pub(super) fn run(said: &Restore, site: &Site<'_>, into: &str) -> Result<Exit, Trouble> {
    if !said.dump.tier.is_empty() {
        return tier::run(said, site, into);
    }
    if said.table.replace && !said.table.table.is_empty() {
        let message = "with `--into-database`, `--replace` is about the whole database, and `--table` names a part of it";
        return Err(Trouble::usage(message, "Leave `--into-database` out to replace a table's rows."));
    }
    let wanted = wanted(said, into)?;
    let plan = match thaw::until_awake(&said.way, || restore::plan(site, wanted.clone(), clock::now()))? {
        Woken::Now(plan) => plan,
        Woken::Ended(exit) => return Ok(exit),
    };
    let shown = shown(&plan);
    match said.way.format {
        Format::Human => print(&shown)?,
        Format::Json => eprint!("{shown}"),
    }
    if !said.way.yes {
        confirm("Say `--yes` when the plan above is what you want.")?;
    }
    let ending = signals::ending()?;
    let watch = loading::Watch::new(&plan);
    let restored = match watch.carry_out(site, &plan, &ending.asked, said.way.format == Format::Json) {
        Err(fault) if ending.asked.load(Ordering::Relaxed) => {
            complain(&tame(&fault.message), &fault.hint);
            return Ok(if ending.code() == Some(143) { Exit::Terminated } else { Exit::Interrupted });
        }
        other => other?,
    };
    print(&match said.way.format {
        Format::Human => told(&restored),
        Format::Json => validate::json(&restored)?,
    })?;
    Ok(Exit::Done)
}

pub(super) fn export(said: &Restore, site: &Site<'_>, folder: &Path) -> Result<Exit, Trouble> {
    let words = &said.dump;
    let which = restore::Which {
        backup: said.goal.backup.clone().filter(|id| id.as_str() != "latest"),
        job: words.job.clone(),
        store: said.goal.store.clone(),
        ..restore::Which::default()
    };
    let find = || restore::find_tables(site, &which, said.way.identity.as_deref(), clock::now());
    let found = match thaw::until_awake(&said.way, find)? {
        Woken::Now(found) => found,
        Woken::Ended(exit) => return Ok(exit),
    };
    let plan = restore::plan_export(found, words.from_database.as_deref(), &said.table.table, folder)?;
    let mut shown = format!("Write the tables of {} from store `{}`\n", plan.found.descriptor.id, plan.found.store_name);
    for file in &plan.files {
        let line = format!("  {:<12}{}: {}\n", file.form(), file.path.display(), counted(file.rows, "row"));
        shown.push_str(&tame(&line));
    }
    match said.way.format {
        Format::Human => print(&shown)?,
        Format::Json => eprint!("{shown}"),
    }
    if !said.way.yes {
        confirm("Say `--yes` when the plan above is what you want.")?;
    }
    let ending = signals::ending()?;
    let exported = match plan.carry_out(site, &ending.asked) {
        Err(fault) if ending.asked.load(Ordering::Relaxed) => {
            complain(&tame(&fault.message), &fault.hint);
            return Ok(if ending.code() == Some(143) { Exit::Terminated } else { Exit::Interrupted });
        }
        other => other?,
    };
    print(&match said.way.format {
        Format::Human => format!("wrote {} with {}\n", counted(exported.files.len(), "file"), counted(exported.rows, "row")),
        Format::Json => validate::json(&exported)?,
    })?;
    Ok(Exit::Done)
}

pub(super) fn wanted(said: &Restore, into: &str) -> Result<Wanted, Trouble> {
    let words = &said.dump;
    let mut sections: Vec<DumpSection> = Vec::new();
    // In the order in which they are restored, however they were said.
    for section in DumpSection::ALL {
        sections.extend(words.section.iter().map(|said| (*said).into()).find(|said: &DumpSection| *said == section));
    }
    Ok(Wanted {
        backup: said.goal.backup.clone().filter(|id| id.as_str() != "latest"),
        job: words.job.clone(),
        store: said.goal.store.clone(),
        from_database: words.from_database.clone(),
        into: into.to_owned(),
        create: words.create,
        replace: said.table.replace,
        end_connections: words.end_connections,
        globals: words.globals,
        occupied: words.occupied,
        goes_on: false,
        snapshot: words.snapshot,
        connection: words.connection.clone(),
        jobs: usize::from(words.jobs),
        schemas: words.schema.clone(),
        tables: said.table.table.clone(),
        sections,
        no_owner: words.no_owner,
        no_privileges: words.no_privileges,
        roles: RoleMap::new(&words.map_role)?,
        no_tablespaces: words.no_tablespaces,
        single_transaction: words.single_transaction,
        identity: said.way.identity.clone(),
        programs: words.programs.clone(),
    })
}

fn shown(plan: &Plan) -> String {
    let (descriptor, database, wanted) = (&plan.found.descriptor, plan.database(), &plan.wanted);
    let mut out = String::from("Restore a dump\n");
    let mut row = |what: &str, value: String| writeln!(out, "  {what:<12}{}", tame(&value)).expect("a string takes all");
    row("dump", format!("{} of `{}`, from store `{}`", descriptor.id, descriptor.job, plan.found.store_name));
    let rows: u64 = database.tables.iter().map(|table| table.rows).sum();
    let partial = if database.partial { ", not all of it" } else { "" };
    row(
        "holds",
        format!(
            "{}{partial}: {} with {rows} rows, as of {}",
            quoted(&database.name),
            counted(database.tables.len(), "table"),
            descriptor.started
        ),
    );
    let target = &plan.target;
    let state = match (wanted.create, target.objects, target.sessions.len()) {
        (true, ..) => "made for it".to_owned(),
        (false, 0, 0) => "there already, and empty".to_owned(),
        (false, objects, users) => {
            format!("there already, with {} and {}", counted(objects, "object"), counted(users, "session"))
        }
    };
    row("into", format!("{} on {} (PostgreSQL {}), {state}", quoted(&wanted.into), target.server, target.major));
    row("with", format!("{}, {}", plan.pg_restore(), counted(wanted.jobs, "session")));
    row("reads", format!("{} from the store, {} for the server", size(plan.stored_bytes()), size(plan.bytes())));
    if let Some(own) = &database.own {
        row("needs", format!("about {} on the server: as much as the original had, with its indexes", size(own.bytes)));
    }
    match plan.pace {
        Some(pace) => row("takes", format!("about {}, {}", seconds(pace.seconds(plan.bytes())), pace.because())),
        None => row("takes", "not known: nothing was measured yet (a drill does, and `objectives.assume.load` assumes)".to_owned()),
    }
    let chosen = [("schema", &wanted.schemas), ("table", &wanted.tables)];
    for (what, names) in chosen.into_iter().filter(|(_, names)| !names.is_empty()) {
        row("only", format!("{what} {}", joined(names.iter().map(quoted))));
    }
    if !wanted.sections.is_empty() {
        row("only", joined(wanted.sections.iter().map(|section| section.as_str().to_owned())));
    }
    if let Some(copy) = &plan.copy {
        row("copies", format!("what is there into {} first, which stays until you drop it: there must be room for both", quoted(copy)));
        if wanted.end_connections {
            ends(&mut row, &target.sessions);
        }
    }
    if let Some(before) = &plan.before {
        row(
            "before",
            format!("what is there becomes {} in the same step, and stays until you drop it: there must be room for both", quoted(before)),
        );
        ends(&mut row, &target.sessions);
    }
    if let Some(roles) = &plan.roles {
        let list = |names: &[String]| if names.is_empty() { "none".to_owned() } else { joined(names.iter().map(quoted)) };
        let passwords = if roles.passwords { "with their passwords" } else { "without passwords, which the dump does not have" };
        let passwords = if roles.missing.is_empty() { String::new() } else { format!(", {passwords}") };
        row("makes roles", format!("{}{passwords}", list(&roles.missing)));
        row("keeps roles", list(&roles.there));
        if !roles.tablespaces.is_empty() {
            row(
                "note",
                format!(
                    "not here and not made: {} {}; `--no-tablespaces` does without",
                    word(roles.tablespaces.len()),
                    list(&roles.tablespaces)
                ),
            );
        }
    }
    if !wanted.roles.is_empty() {
        row("maps roles", wanted.roles.shown());
    }
    let own = plan.own();
    if !own.is_empty() {
        row("gets", joined(own));
    }
    row("then", if plan.is_counted() { "its rows are counted and compared, and it is analyzed" } else { "it is analyzed" }.to_owned());
    for remark in &plan.remarks {
        row("note", remark.clone());
    }
    out
}

/// Whoever is sent away.
fn ends(row: &mut impl FnMut(&str, String), sessions: &[Session]) {
    for session in sessions.iter().take(SHOWN) {
        row("ends", who(session));
    }
    match sessions.len() {
        0 => {}
        many if many > SHOWN => row("ends", format!("{} more, and whoever comes until then", many - SHOWN)),
        _ => row("ends", "and whoever comes until then".to_owned()),
    }
}

/// More of them say no more.
const SHOWN: usize = 20;

fn word(count: usize) -> &'static str {
    if count == 1 { "tablespace" } else { "tablespaces" }
}

/// `app` from 10.0.0.7 (pgbouncer), since 2026-11-22T00:12:00Z.
fn who(session: &Session) -> String {
    let from = session.address.as_ref().map_or_else(|| "on the server itself".to_owned(), |address| format!("from {address}"));
    let application = if session.application.is_empty() { String::new() } else { format!(" ({})", session.application) };
    let since = session.since.map(|since| format!(", since {since:.0}")).unwrap_or_default();
    format!("the session {} of {} {from}{application}{since}", session.pid, quoted(&session.user))
}

pub(super) fn held_jobs(held: &[HeldJob], row: &mut dyn FnMut(&str, String)) {
    for job in held {
        row("held job", format!("{} {}", job.id, job.does));
    }
    if !held.is_empty() {
        row("", format!("let them run, when what they would delete may go: {};", let_run(held)));
    }
}

fn told(restored: &Restored) -> String {
    let mut out = String::new();
    let mut row = |what: &str, value: String| writeln!(out, "{what:<12}{}", tame(&value)).expect("a string takes all");
    row("restored", format!("{} of {} into {}", quoted(&restored.from_database), restored.backup, quoted(&restored.database)));
    row("on", restored.server.clone());
    if let Some(before) = &restored.before {
        row("before", format!("what was there is {} now; drop it when it is not needed any more", quoted(before)));
    }
    for session in &restored.ended_sessions {
        row("ended", who(session));
    }
    held_jobs(&restored.held_jobs, &mut row);
    if !restored.roles.is_empty() {
        row("made roles", joined(restored.roles.iter().map(quoted)));
    }
    if let Some(copy) = &restored.copy {
        row("copy", format!("what was there before is in {}; drop it when it is not needed any more", quoted(copy)));
    }
    match (restored.tables_compared, restored.rows) {
        (Some(tables), Some(rows)) => row("rows", format!("{rows} in {}, as many as in the dump", counted(tables, "table"))),
        _ => row("rows", "not compared: only a section of the dump was wanted, or the database was not empty".to_owned()),
    }
    row("took", format!("{:.1} s for {}", restored.seconds, size(restored.bytes)));
    out
}
