//! Does what the plan says.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant as Stopwatch;

use super::compare::{Compared, compare};
use super::fill::Fill;
use super::leave::{Who, drop_made, while_ending};
use super::renamed::Renamed;
use super::{HeldJob, Plan, Restored, Session, own, record, restoring, swap};
use crate::execute::dump::child::Halt;
use crate::execute::hook::When;
use crate::execute::id::random_word;
use crate::execute::restore::{Pin, RestoreFault};
use crate::format::descriptor::Object;
use crate::policy::sql_name::quoted;
use crate::postgres::{Connection, Fault};
use crate::site::Site;
use crate::world::clock;

/// Building an index is a silence.
const SILENCE: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// What is being done, for whoever measures it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Every object is read and held against its hash.
    Check,
    /// What is there is copied first.
    Copy,
    Load,
    /// All rows are there, and what comes behind them is made.
    Index,
    Count,
}

/// Who watches.
#[derive(Clone, Copy)]
pub struct Onlooker<'o> {
    pub stop: &'o AtomicBool,
    pub part: &'o (dyn Fn(Part) + Sync),
    /// Stored bytes that were held against their hashes.
    pub checked: &'o AtomicU64,
    /// Plain bytes that the server was given.
    pub fed: &'o AtomicU64,
}

impl fmt::Debug for Onlooker<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Onlooker").field("stop", self.stop).finish_non_exhaustive()
    }
}

/// How it is done, and who watches.
pub(in crate::execute) struct Work<'w> {
    pub stop: &'w AtomicBool,
    pub part: &'w (dyn Fn(Part) + Sync),
    /// Stored bytes that were held against their hashes.
    pub checked: &'w AtomicU64,
    /// Plain bytes that the server was given.
    pub fed: &'w AtomicU64,
    /// What was made and is not whole stays, for whoever wants to look at it.
    pub keep: bool,
    /// TimescaleDB's jobs are as they were: nothing can run them there.
    pub jobs_run: bool,
}

/// Fills the database, compares the rows, and gives the database its name.
pub fn carry_out(site: &Site<'_>, plan: &Plan, onlooker: &Onlooker<'_>) -> Result<Restored, RestoreFault> {
    let Onlooker { stop, part, checked, fed } = *onlooker;
    let (started, began) = (clock::now(), Stopwatch::now());
    let found = &plan.found;
    // The rules may let it go meanwhile, and its time to object may be over.
    let _pin = Pin::of(&found.store, &found.repository, &found.descriptor, "restore", site.host(), started);
    record::hook(site, plan, When::Before, stop)?;
    let brought = bring(plan, &Work { stop, part, checked, fed, keep: false, jobs_run: false });
    let Brought { compared, ended_sessions, held_jobs } = match brought {
        Ok(brought) => brought,
        Err(fault) => {
            record::failed(site, plan, started, &fault);
            return Err(fault);
        }
    };
    let restored = Restored {
        format_version: 1,
        policy: site.policy.name.to_string(),
        host: site.host().to_owned(),
        started,
        ended: clock::now(),
        store: found.store.url(),
        backup: found.descriptor.id.clone(),
        from_database: plan.database().name.clone(),
        database: plan.wanted.into.clone(),
        server: plan.target.server.clone(),
        bytes: plan.bytes(),
        tables_compared: compared.map(|compared| compared.tables),
        rows: compared.map(|compared| compared.rows),
        seconds: began.elapsed().as_secs_f64(),
        before: plan.before.clone(),
        copy: plan.copy.clone(),
        ended_sessions,
        held_jobs,
        roles: plan.roles.as_ref().map(|roles| roles.missing.clone()).unwrap_or_default(),
        mapped_roles: plan.wanted.roles.pairs(),
        remarks: plan.remarks.clone(),
    };
    record::done(site, plan, &restored);
    record::hook(site, plan, When::After, stop)
        .map_err(|fault| RestoreFault::new(format!("{fault}; everything is restored in `{}`", plan.wanted.into), fault.hint))?;
    Ok(restored)
}

/// What came of it.
#[derive(Debug)]
pub(in crate::execute) struct Brought {
    /// What was counted, where it could be.
    pub compared: Option<Compared>,
    pub ended_sessions: Vec<Session>,
    pub held_jobs: Vec<HeldJob>,
}

/// The work itself.
pub(in crate::execute) fn bring(plan: &Plan, work: &Work<'_>) -> Result<Brought, RestoreFault> {
    let halt = Halt { stop: work.stop, abort: AtomicBool::new(false), deadline: None };
    let has_rows = AtomicBool::new(false);
    let part = |part: Part| {
        has_rows.fetch_or(part == Part::Index, Ordering::Relaxed);
        (work.part)(part);
    };
    let fill = Fill { plan, halt: &halt, work: &Work { part: &part, ..*work } };
    (work.part)(Part::Check);
    fill.check_hashes()?;
    if let Some(roles) = &plan.roles {
        roles.make(&mut plan.maintenance()?)?;
    }
    let copied = match &plan.copy {
        Some(copy) => {
            (work.part)(Part::Copy);
            swap::copy(plan, copy)?
        }
        None => Vec::new(),
    };
    (work.part)(Part::Load);
    let made = if plan.wanted.makes() { Some(create(plan)?) } else { None };
    let into = made.clone().unwrap_or_else(|| plan.wanted.into.clone());
    let filled = fill.whole(&into).and_then(|held_jobs| {
        (work.part)(Part::Count);
        let mut connection = plan.connect(&into)?;
        let compared = if plan.is_counted() { Some(compare(plan, &mut connection, &halt)?) } else { None };
        // All is there without it, and the planner's figures come by themselves.
        if let Err(fault) = connection.run("analyze") {
            if halt.check().is_err() {
                return Err(of(fault));
            }
            tracing::warn!("the statistics of `{into}` could not be made now: {}", fault.message);
        }
        Ok((compared, held_jobs))
    });
    let undone = |fault: RestoreFault| match &made {
        _ if work.keep => fault,
        Some(made) if has_rows.load(Ordering::Relaxed) && has_every_row(plan, made, &halt) => unfinished(plan, made, fault),
        made => left(plan, made.as_deref(), fault),
    };
    let (compared, held_jobs) = filled.map_err(undone)?;
    let ended_sessions = match (&made, &plan.before) {
        (Some(made), Some(before)) => swap::swap(plan, made, before)?,
        (Some(made), None) => rename(plan, made).map(|()| Vec::new())?,
        (None, _) => copied,
    };
    if plan.database().extensions.contains_key("timescaledb") {
        restoring::wake_jobs(plan.connect(&plan.wanted.into), &plan.wanted.into);
    }
    Ok(Brought { compared, ended_sessions, held_jobs })
}

pub(super) fn of(fault: Fault) -> RestoreFault {
    fault.into()
}

impl Plan {
    /// Plain bytes of all that is read.
    pub fn bytes(&self) -> u64 {
        self.all_objects().map(|object| object.plain_size).sum()
    }

    /// The same as they lie in the store.
    pub fn stored_bytes(&self) -> u64 {
        self.all_objects().map(|object| object.size).sum()
    }

    /// With what makes types of chosen tables.
    pub(super) fn all_objects(&self) -> impl Iterator<Item = &Object> {
        self.objects.iter().chain(self.types.iter().map(|types| &types.object))
    }

    /// A session that is not in the database that gets another name.
    pub(super) fn maintenance(&self) -> Result<Connection, RestoreFault> {
        let mut settings = self.settings.clone();
        if settings.dbname == self.wanted.into {
            let other = if self.wanted.into == "postgres" { "template1" } else { "postgres" };
            settings = settings.with_dbname(other);
        }
        let mut connection = Connection::connect(&settings).map_err(of)?;
        connection.set_silence(SILENCE).map_err(of)?;
        connection.lift_limits().map_err(of)?;
        Ok(connection)
    }

    pub(super) fn connect(&self, database: &str) -> Result<Connection, RestoreFault> {
        let mut connection = Connection::connect(&self.settings.clone().with_dbname(database)).map_err(of)?;
        connection.set_silence(SILENCE).map_err(of)?;
        connection.lift_limits().map_err(of)?;
        connection.run("set row_security = off").map_err(of)?;
        Ok(connection)
    }
}

/// Under another name, so that nobody takes it for what it is to become.
fn create(plan: &Plan) -> Result<String, RestoreFault> {
    let name = format!("seawall_restore_{}", random_word()?);
    let mut connection = plan.maintenance()?;
    own::make(&mut connection, &name, plan.database(), plan.target.major).map_err(of)?;
    Ok(name)
}

/// With its name it gets what belongs to it and not to what is in it, all at once.
fn rename(plan: &Plan, made: &str) -> Result<(), RestoreFault> {
    let into = &plan.wanted.into;
    let unnamed = |fault: RestoreFault| unnamed(plan, made, fault);
    let mut connection = plan.maintenance().map_err(unnamed)?;
    let new = Renamed::by(&mut connection, made).map_err(unnamed)?;
    let ender = plan.maintenance().map_err(unnamed)?;
    let who = Who { made: Some(made), old: None };
    let (named, _) = while_ending(who, ender, || give_name(plan, made, &mut connection));
    let Err(fault) = named else { return Ok(()) };
    match new.name(plan, connection) {
        // It did what it was asked to, and could not say so.
        Ok(name) if name == *into => Ok(()),
        Ok(_) => Err(unnamed(fault)),
        Err(why) => Err(new.unknown(&fault, &why, into, &unnamed(fault.clone()).hint)),
    }
}

fn give_name(plan: &Plan, made: &str, connection: &mut Connection) -> Result<(), RestoreFault> {
    connection.run("begin").map_err(of)?;
    own::give(plan, made, connection)?;
    let sql = format!("alter database {} rename to {}; commit", quoted(made), quoted(&plan.wanted.into));
    connection.run(&sql).map(drop).map_err(of)
}

/// Hours of work lie in it, so it stays: what it lacks is a name, and what goes with it.
fn unnamed(plan: &Plan, made: &str, fault: RestoreFault) -> RestoreFault {
    let own = if fault.hint.is_empty() { String::new() } else { format!("{} ", fault.hint) };
    let hint = format!("{own}From another database: {} Or drop it.", own::by_hand(plan, made));
    RestoreFault::new(format!("{fault}; everything that was restored is in `{made}`"), hint)
}

/// Hours of work lie in its rows too. Whoever has stopped it wants nothing of it.
fn has_every_row(plan: &Plan, made: &str, halt: &Halt<'_>) -> bool {
    halt.check().is_ok() && plan.is_counted() && plan.connect(made).and_then(|mut connection| compare(plan, &mut connection, halt)).is_ok()
}

fn unfinished(plan: &Plan, made: &str, fault: RestoreFault) -> RestoreFault {
    let own = if fault.hint.is_empty() { String::new() } else { format!("{} ", fault.hint) };
    let hint = format!(
        "{own}Make what is missing there by hand, as `pg_restore --section=post-data --file=-` shows it (docs/restore-without-seawall.md has the \
         way to the dump); and then, from another database: {} Or drop it, and restore again.",
        own::by_hand(plan, made)
    );
    let message = format!(
        "{fault}; every row is in the database `{made}` and was counted, and it stays: of what comes behind the rows (indexes, constraints, policies, \
         grants) not all is there"
    );
    fault.with_message(message).with_hint(hint)
}

/// After a failure: a database that was made for this goes, another one is as it is.
fn left(plan: &Plan, made: Option<&str>, fault: RestoreFault) -> RestoreFault {
    let what = match made {
        Some(made) => {
            let dropped = || drop_made(made, plan.maintenance()?, &mut plan.maintenance()?).map_err(of);
            match dropped() {
                Ok(()) => "the database that was made for it is gone again".to_owned(),
                Err(_) => format!("what came of it is in the database `{made}`: drop it"),
            }
        }
        None => {
            let copy = plan.copy.as_ref().map_or_else(String::new, |copy| format!("; what was there before is in `{copy}`"));
            format!("`{}` may have a part of it{copy}", plan.wanted.into)
        }
    };
    let message = format!("{fault}; {what}");
    fault.with_message(message)
}
