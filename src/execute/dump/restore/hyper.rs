//! Some tables of a dump with hypertables.

use super::{Found, RestoreFault, SHOWN, Wanted};
use crate::format::contents::Database;
use crate::plan::words::{counted, joined};
use crate::policy::sql_name::{literal, quoted};

/// `pg_restore` would bring back a chosen hypertable without its rows: those lie in chunks, in another schema.
pub(super) fn must_not_be_chosen(found: &Found, database: &Database, wanted: &Wanted) -> Result<(), RestoreFault> {
    let is_chosen = !wanted.tables.is_empty() || !wanted.schemas.is_empty();
    // A job with `tables` takes one with the definitions of everything, or none.
    let may_have_one = !found.is_of_tables() && database.extensions.contains_key("timescaledb");
    if !is_chosen || !may_have_one {
        return Ok(());
    }
    let matches = |schema: &str, name: &str| {
        let in_schema = wanted.schemas.is_empty() || wanted.schemas.iter().any(|one| one == schema);
        in_schema && (wanted.tables.is_empty() || wanted.tables.iter().any(|one| one == name))
    };
    let recorded = found.descriptor.open_private(&found.identities).ok();
    let recorded = recorded.and_then(|mut private| private.recorded.remove(&database.name)).and_then(|recorded| recorded.timescale);
    let one = match &recorded {
        Some(known) => known.hypertables.iter().map(|one| &one.table).find(|table| matches(&table.schema, &table.name)),
        None => None,
    };
    // Where nobody wrote down which ones are hypertables, a table without rows may be one.
    let may_be = || {
        let mut chosen = database.tables.iter().filter(|table| table.rows == 0 && !wanted.tables.is_empty());
        chosen.find(|table| recorded.is_none() && matches(&table.schema, &table.name))
    };
    let (schema, name, is) = match (one, may_be()) {
        (Some(table), _) => (&table.schema, &table.name, "is"),
        (None, Some(table)) => (&table.schema, &table.name, "may be"),
        (None, None) => return Ok(()),
    };
    let table = format!("{}.{}", quoted(schema), quoted(name));
    let word = if wanted.tables.is_empty() { "--schema" } else { "--table" };
    let message = format!("{table} {is} a hypertable, of which `{word}` brings back no row: they lie in chunks, in another schema");
    let hint = format!(
        "Restore all of the dump, or this table alone as a hypertable: `seawall restore --table '{table}' --job {}`, without `--into-database`.",
        found.descriptor.job
    );
    Err(RestoreFault::new(message, hint))
}

/// What of a dump with rows of chosen tables only comes otherwise than it was.
pub(super) fn leaves_out(database: &Database) -> Vec<String> {
    let Some(some) = &database.some_rows else { return Vec::new() };
    let mut remarks = vec![format!(
        "it has all definitions, and rows of what its job chooses: {} without rows (`seawall show` names them)",
        match database.without_rows.len() {
            1 => "1 table comes".to_owned(),
            several => format!("{} come", counted(several, "table")),
        }
    )];
    // Those of chunks are parts of theirs.
    let ties: Vec<String> = (some.ties.iter().filter(|tie| !tie.schema.starts_with("_timescaledb_")))
        .map(|tie| format!("{} of {}.{}", quoted(&tie.name), quoted(&tie.schema), quoted(&tie.table)))
        .collect();
    if !ties.is_empty() {
        let more = if ties.len() > SHOWN { format!(" and {} more", ties.len() - SHOWN) } else { String::new() };
        let names = joined(ties.iter().take(SHOWN).cloned());
        remarks.push(format!("foreign keys that lead to tables without rows do not come: {names}{more}"));
    }
    let home = quoted(database.schema_of("timescaledb"));
    remarks.extend(some.aggregates.iter().map(|name| {
        format!("the continuous aggregate {name} comes without rows; this makes it anew: `call {home}.refresh_continuous_aggregate({}, null, null);`", literal(name))
    }));
    remarks
}
