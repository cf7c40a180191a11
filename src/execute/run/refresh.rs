//! Continuous aggregates are brought up to date, so that a backup has them as they should be.
//!
//! One that is made of another comes after it. What could not be refreshed is told when the backup is taken, and keeps nobody from taking it.

use std::sync::atomic::Ordering;

use super::steps::Steps;
use super::{Ended, Ground};
use crate::catalog::StepOutcome;
use crate::converge::refreshes_from;
use crate::execute::backup::Taken;
use crate::inventory::{Licence, TableName, Timescale, TimescaleState};
use crate::observe::left_until;
use crate::plan::Action;
use crate::plan::words::{joined, quoted as shown};
use crate::policy::sql_name::{literal, quoted};
use crate::postgres::{Connection, Fault, Settings};
use crate::timescale;
use crate::units::{Duration, Name};
use crate::world::clock;

/// An aggregate that is in the backup as it was before.
#[derive(Debug)]
pub(super) struct Stale {
    view: String,
    pub message: String,
    hint: String,
}

/// One that is to be refreshed.
struct Wanted<'w> {
    view: &'w str,
    patience: Duration,
}

impl Stale {
    /// How the run ends where the backup itself is whole. The same backup once more would not mend it, so nothing is tried again.
    pub(super) fn told(all: &[Stale], taken: &Taken) -> Option<Ended> {
        let first = all.first()?;
        let id = &taken.descriptor.id;
        let message = match all {
            [one] => format!("backup {id} is whole, and {}", one.message),
            _ => format!(
                "backup {id} is whole, and {} are in it as they were before; of the first: {}",
                joined(all.iter().map(|one| shown(&one.view))),
                first.message
            ),
        };
        let hint = "Look for who locks it, or give it more time with `refresh_timeout`; the next backup refreshes it again.";
        let hint = if first.hint.is_empty() { hint.to_owned() } else { format!("{} {hint}", first.hint) };
        Some(Ended::failed(message, hint, false))
    }
}

/// All that the policy wants refreshed before this backup.
pub(super) fn all(ground: &Ground<'_>, name: &Name, steps: &Steps<'_>) -> Vec<Stale> {
    let mut stale = Vec::new();
    for (database, timescale) in &ground.site.policy.file.timescaledb {
        let named = timescale.continuous_aggregates.iter().filter(|(_, aggregate)| aggregate.refresh_before.contains(name));
        let patience = |limit: Option<Duration>| limit.unwrap_or(Duration::from_mins(10));
        let wanted: Vec<Wanted<'_>> =
            named.map(|(view, aggregate)| Wanted { view, patience: patience(aggregate.refresh_timeout) }).collect();
        if !wanted.is_empty() {
            stale.extend(of_database(ground, database, &wanted, steps));
        }
    }
    stale
}

fn of_database(ground: &Ground<'_>, database: &str, wanted: &[Wanted<'_>], steps: &Steps<'_>) -> Vec<Stale> {
    let known = ground
        .site
        .cluster_connection()
        .map_err(|fault| (fault.message, fault.hint))
        .map(|settings| settings.with_dbname(database))
        .and_then(|settings| look(&settings, wanted).map(|ordered| (settings, ordered)).map_err(|fault| (fault.message, fault.hint)));
    let (settings, ordered) = match known {
        Ok(known) => known,
        Err(why) => {
            let none = |one: &Wanted<'_>| {
                begin(steps, database, one);
                of(steps, database, one, Err(why.clone())).err()
            };
            return wanted.iter().filter_map(none).collect();
        }
    };
    let mut stale = Vec::new();
    for one in ordered {
        // The backup itself ends then.
        if ground.stop.load(Ordering::Relaxed) {
            break;
        }
        begin(steps, database, one);
        let refreshed = refresh(ground, &settings, database, one).map_err(|fault| (fault.message, fault.hint));
        stale.extend(of(steps, database, one, refreshed).err());
    }
    stale
}

fn begin(steps: &Steps<'_>, database: &str, one: &Wanted<'_>) {
    steps.begin(|action| matches!(action, Action::RefreshAggregate { database: of, view, .. } if of == database && view == one.view));
}

/// What came of it, in its step.
fn of(steps: &Steps<'_>, database: &str, one: &Wanted<'_>, refreshed: Result<(), (String, String)>) -> Result<(), Stale> {
    let stale = refreshed.map_err(|(why, hint)| {
        let message = format!("the continuous aggregate `{}` in `{database}` could not be refreshed before it: {why}", one.view);
        Stale { view: one.view.to_owned(), message, hint }
    });
    match &stale {
        Ok(()) => steps.end(StepOutcome::Succeeded, None),
        Err(stale) => steps.end(StepOutcome::Failed, Some(&stale.message)),
    }
    stale
}

/// What is made of another one comes after that; what the database does not know comes last.
fn look<'w>(settings: &Settings, wanted: &'w [Wanted<'w>]) -> Result<Vec<&'w Wanted<'w>>, Fault> {
    let mut connection = Connection::connect(settings)?;
    let state = observe(&mut connection)?;
    let mut ordered = Vec::new();
    for one in wanted {
        let name = resolved(&mut connection, one.view).ok();
        let aggregate = name.and_then(|name| state.continuous_aggregates.iter().find(|known| known.view == name));
        ordered.push((aggregate.map_or(usize::MAX, |aggregate| state.height(aggregate)), one));
    }
    ordered.sort_by_key(|(height, _)| *height);
    Ok(ordered.into_iter().map(|(_, one)| one).collect())
}

fn observe(connection: &mut Connection) -> Result<TimescaleState, Fault> {
    match timescale::observe(connection)? {
        Timescale::Installed(state) => Ok(state),
        Timescale::Absent => Err(Fault::unexpected("TimescaleDB is not installed there", "Take the section out of the policy.")),
    }
}

fn refresh(ground: &Ground<'_>, settings: &Settings, database: &str, wanted: &Wanted<'_>) -> Result<(), Fault> {
    let mut connection = Connection::connect(settings)?;
    let state = observe(&mut connection)?;
    if state.licence == Licence::Apache {
        let message = "its TimescaleDB is without continuous aggregates (`timescaledb.license` is `apache`)";
        return Err(Fault::unexpected(
            message,
            "Install the community build of the same version, or take the aggregate out of the policy.",
        ));
    }
    connection.query("select set_config('statement_timeout', $1, false)", &[&format!("{}s", wanted.patience.as_secs())])?;
    let name = resolved(&mut connection, wanted.view)?;
    let known = state.continuous_aggregates.iter().find(|one| one.view == name);
    // Before that, rows it was made of are gone, and a refresh would take its own away.
    let gone = left_until(&mut connection)?;
    let left = |table: &TableName| gone.get(&table.to_string()).copied();
    let since = known.and_then(|one| refreshes_from(ground.site.policy, database, &state, one, &left, clock::now()));
    let since = since.map_or_else(|| "null".to_owned(), |since| literal(&since));
    let (home, view) = (quoted(&state.schema), literal(&format!("{}.{}", quoted(&name.schema), quoted(&name.name))));
    connection.query(&format!("call {home}.refresh_continuous_aggregate({view}, {since}, null)"), &[]).map(drop)
}

/// What this session knows under a name.
fn resolved(connection: &mut Connection, name: &str) -> Result<TableName, Fault> {
    let sql = "select n.nspname as schema, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace \
               where c.oid = $1::text::regclass";
    let rows = connection.query(sql, &[name])?;
    let row = rows.one()?;
    Ok(TableName { schema: row.text("schema")?.to_owned(), name: row.text("name")?.to_owned() })
}
