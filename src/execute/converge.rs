//! Brings databases and their server to what a policy says of them: what was shown, nothing else, and all of a database or nothing.

use serde_json::json;
use thiserror::Error;

use super::archive::PLACING;
use super::{expire, run};
use crate::catalog::{Catalog, CatalogFault};
use crate::converge::{Change, Convergence, HoldChange, Running, converge};
use crate::inventory::Observed;
use crate::observe::{look_at_holds, look_at_server};
use crate::plan::words::{counted, plain, quoted};
use crate::postgres::{Connection, Fault};
use crate::site::{Site, SiteFault};
use crate::timescale;
use crate::world::clock;

/// The lock of everybody who does this: two at once would each see the other's half. Any number will do, as long as it stays.
const LOCK: &str = "select pg_catalog.pg_try_advisory_xact_lock(5374872650217) as free";
/// A table that cannot be had for so long stays as it is: who waits for it in line holds up everybody behind.
const PATIENCE: &str = "set local lock_timeout = '10s'";

/// Why something was not done. Of its database nothing was.
#[derive(Debug, Error)]
pub enum ConvergeFault {
    #[error("{0}")]
    Site(#[from] SiteFault),
    /// The database is no longer as it was shown.
    #[error("{place} has changed since this was shown: nothing was done there")]
    Stale { place: String },
    #[error("somebody else is at it in {place}: nothing was done there")]
    Busy { place: String },
    #[error("what was to be done in {place} could not be recorded, so nothing was: {message}")]
    Unrecorded { place: String, message: String, hint: String },
    #[error("{path}: {message}; {rest}")]
    Refused { path: String, message: String, rest: String, hint: String },
}

impl ConvergeFault {
    pub fn hint(&self) -> &str {
        match self {
            ConvergeFault::Site(fault) => &fault.hint,
            ConvergeFault::Stale { .. } => "Look at it again with `seawall plan --connect`.",
            ConvergeFault::Busy { .. } => "Wait until they are done, and run it again.",
            ConvergeFault::Unrecorded { hint, .. } | ConvergeFault::Refused { hint, .. } => hint,
        }
    }
}

impl From<Fault> for ConvergeFault {
    fn from(fault: Fault) -> Self {
        ConvergeFault::Site(fault.into())
    }
}

/// What became of one database, or of the server.
#[derive(Debug)]
pub struct Converged {
    /// Its name.
    pub place: String,
    /// What was to be done there.
    pub changes: usize,
    pub outcome: Result<(), ConvergeFault>,
}

/// Does what was shown, one place after the other; one that cannot be changed keeps none of the others from it. Everything is on record
/// before it is done, and again when it is.
pub fn apply(site: &Site<'_>, catalog: &Catalog, shown: &Convergence) -> Vec<Converged> {
    let mut databases: Vec<Option<&str>> = shown.changes.iter().map(|change| change.database.as_deref()).collect();
    databases.dedup();
    let one = |database: Option<&str>| {
        let changes: Vec<&Change> = shown.changes.iter().filter(|change| change.database.as_deref() == database).collect();
        let place = Place { database, name: database.map_or_else(|| "the server".to_owned(), quoted) };
        let outcome = apply_to(site, catalog, &place, &changes);
        if let Err(fault) = &outcome {
            told(record(site, catalog, "converge.failed", &place, &changes, &fault.to_string()));
        }
        Converged { place: database.unwrap_or("the server").to_owned(), changes: changes.len(), outcome }
    };
    databases.into_iter().map(one).collect()
}

struct Place<'p> {
    /// None is the server.
    database: Option<&'p str>,
    name: String,
}

fn apply_to(site: &Site<'_>, catalog: &Catalog, place: &Place<'_>, shown: &[&Change]) -> Result<(), ConvergeFault> {
    let settings = site.cluster_connection()?;
    let settings = place.database.map_or_else(|| settings.clone(), |database| settings.clone().with_dbname(database));
    let mut connection = Connection::connect(&settings)?;
    if place.database.is_some() {
        // By a clock that is ahead, a hold would have ended that stands, and a job of the database would drop what it holds.
        expire::moment_of(&mut connection)?;
    }
    connection.run("begin")?;
    // Whatever goes wrong from here to the commit, the session ends and takes all of it back.
    connection.run(PATIENCE)?;
    if !connection.query(LOCK, &[])?.one()?.flag("free")? {
        return Err(ConvergeFault::Busy { place: place.name.clone() });
    }
    if !is_as_shown(site, &mut connection, place, shown)? {
        return Err(ConvergeFault::Stale { place: place.name.clone() });
    }
    record(site, catalog, "converge.begun", place, shown, "").map_err(|fault| ConvergeFault::Unrecorded {
        place: place.name.clone(),
        message: fault.message,
        hint: fault.hint,
    })?;
    let (together, alone): (Vec<&Change>, Vec<&Change>) = shown.iter().partition(|change| change.in_transaction);
    for change in &together {
        connection.run(&change.sql).map_err(|fault| refused(change, fault, &format!("nothing was done in {}", place.name)))?;
    }
    connection.run("commit")?;
    let of_hold = |change: &Change| change.hold.as_ref().map_or(Ok(()), |hold| record_hold(site, catalog, place, hold));
    together.into_iter().for_each(|change| told(of_hold(change)));
    for change in alone {
        run_alone(&mut connection, change).map_err(|fault| refused(change, fault, "what was done before it stays"))?;
        // At once: what comes after it may fail, and the next look finds no difference here.
        told(of_hold(change));
    }
    told(record(site, catalog, "converge.applied", place, shown, ""));
    Ok(())
}

/// A hold comes when nobody is about to take out rows: whoever does so has looked for holds under this lock, and ends before it comes.
fn run_alone(connection: &mut Connection, change: &Change) -> Result<(), Fault> {
    if change.hold.is_none() {
        return connection.run(&change.sql).map(drop);
    }
    let alone = format!("select pg_catalog.pg_advisory_xact_lock({PLACING})");
    let done = ["begin", PATIENCE, &alone, &change.sql, "commit"].into_iter().try_for_each(|sql| connection.run(sql).map(drop));
    if done.is_err() && !connection.is_broken() {
        connection.run("rollback")?;
    }
    done
}

/// Looks again, inside of the transaction.
fn is_as_shown(site: &Site<'_>, connection: &mut Connection, place: &Place<'_>, shown: &[&Change]) -> Result<bool, ConvergeFault> {
    let mut seen = Running::default();
    match place.database {
        Some(database) => {
            // First: the other look changes what names mean.
            let holds = look_at_holds(connection, site.policy, database, clock::now())?;
            seen.holds.insert(database.to_owned(), Observed::Known(holds));
            seen.databases.insert(database.to_owned(), Observed::Known(timescale::look(connection)?));
        }
        None => seen.server = Some(Observed::Known(look_at_server(connection, site.policy)?)),
    }
    let now = converge(site.policy, &seen, clock::now());
    // What nobody has acknowledged was left out, and still is.
    let is_meant = |change: &&Change| change.database.as_deref() == place.database && !change.needs_acknowledgement();
    let now: Vec<&Change> = now.changes.iter().filter(is_meant).collect();
    Ok(now.len() == shown.len() && now.iter().zip(shown).all(|(now, shown)| now.does_the_same(shown)))
}

fn refused(change: &Change, fault: Fault, rest: &str) -> ConvergeFault {
    ConvergeFault::Refused { path: change.path.to_string(), message: plain(&fault.message), rest: rest.to_owned(), hint: fault.hint }
}

/// It is done, or it failed, and nothing of that becomes otherwise because it cannot be written down.
fn told(kept: Result<(), CatalogFault>) {
    if let Err(fault) = kept {
        tracing::warn!(hint = fault.hint, "the audit chain does not take this: {}", fault.message);
    }
}

/// Who asks for the holds of a year finds them by their kind, and not in statements.
fn record_hold(site: &Site<'_>, catalog: &Catalog, place: &Place<'_>, hold: &HoldChange) -> Result<(), CatalogFault> {
    let HoldChange { name, of, reason, became } = hold;
    let became = became.as_str();
    let what = format!("the hold {} on rows of {} in {} was {became}: {}", quoted(name), quoted(of), place.name, plain(reason));
    let details = json!({ "database": place.database, "hold": name, "of": of, "reason": reason });
    run::audit(site, catalog, what, &format!("hold.{became}"), details.to_string())
}

fn record(
    site: &Site<'_>,
    catalog: &Catalog,
    kind: &str,
    place: &Place<'_>,
    changes: &[&Change],
    message: &str,
) -> Result<(), CatalogFault> {
    let word = kind.rsplit('.').next().unwrap_or(kind);
    let of = format!("{} of {}", counted(changes.len(), "change"), place.name);
    let what = if message.is_empty() { format!("{of} {word}") } else { format!("{of} {word}: {message}") };
    let one = |change: &&Change| json!({ "at": change.path, "sql": change.sql, "drops": change.drops, "because": change.acknowledged });
    let details = json!({ "database": place.database, "changes": changes.iter().map(one).collect::<Vec<_>>() });
    run::audit(site, catalog, what, kind, details.to_string())
}
