use super::{chunks, jobs, tables};
use crate::inventory::{Licence, Timescale, TimescaleState};
use crate::postgres::{Connection, Fault};

/// The oldest version whose views are read.
const OLDEST: (u32, u32) = (2, 10);

/// The schema that the extension's functions are in, of a database that has it.
pub fn schema(connection: &mut Connection) -> Result<String, Fault> {
    let sql = "select n.nspname as schema from pg_catalog.pg_extension e \
               join pg_catalog.pg_namespace n on n.oid = e.extnamespace where e.extname = 'timescaledb'";
    Ok(connection.query(sql, &[])?.one()?.text("schema")?.to_owned())
}

/// What the database of this session says, all of it of one moment. The session is left as it was found.
pub fn observe(connection: &mut Connection) -> Result<Timescale, Fault> {
    connection.run("begin isolation level repeatable read read only")?;
    let seen = look(connection);
    // Nothing was changed. Where this fails as well, the session is of no use to anybody.
    let ended = connection.run("rollback");
    let seen = seen?;
    ended.map(|_| seen)
}

/// The same inside of a transaction that somebody else began, and ends.
pub fn look(connection: &mut Connection) -> Result<Timescale, Fault> {
    // Nobody's own functions answer for PostgreSQL's, and what is shown of a view names every schema.
    connection.run("set local search_path = pg_catalog, pg_temp")?;
    let rows = connection.query(
        "select e.extversion as version, n.nspname as schema from pg_catalog.pg_extension e \
         join pg_catalog.pg_namespace n on n.oid = e.extnamespace where e.extname = 'timescaledb'",
        &[],
    )?;
    let Some(row) = rows.iter().next() else { return Ok(Timescale::Absent) };
    let (version, schema) = (row.text("version")?.to_owned(), row.text("schema")?.to_owned());
    let mut state = TimescaleState {
        version,
        licence: Licence::Community,
        schema,
        hypertables: Vec::new(),
        continuous_aggregates: Vec::new(),
        views: Vec::new(),
        jobs: Vec::new(),
        background_workers: None,
    };
    if state.version_numbers().is_none_or(|numbers| numbers < OLDEST) {
        let message = format!("TimescaleDB {} is older than {}.{}", state.version, OLDEST.0, OLDEST.1);
        return Err(Fault::unexpected(message, "Its views are not known here; update the extension."));
    }
    state.hypertables = tables::hypertables(connection)?;
    state.continuous_aggregates = tables::aggregates(connection)?;
    state.views = tables::views(connection)?;
    // The setting is known only once the extension was loaded, which the questions above did.
    let settings = connection.query(
        "select pg_catalog.current_setting('timescaledb.license', true) as licence, \
         pg_catalog.current_setting('timescaledb.max_background_workers', true) as workers",
        &[],
    )?;
    if settings.one()?.get("licence") == Some("apache") {
        state.licence = Licence::Apache;
    }
    state.background_workers = settings.one()?.get("workers").and_then(|workers| workers.parse().ok());
    state.jobs = jobs::jobs(connection, &state)?;
    chunks::fill(connection, &mut state)?;
    Ok(Timescale::Installed(state))
}
