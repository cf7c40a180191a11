//! What a server has that a restore has to do with, and that nobody would look for.

use super::Wanted;
use super::act::of;
use crate::execute::restore::RestoreFault;
use crate::format::contents::Database;
use crate::plan::words::{joined, quoted};
use crate::policy::sql_name::{literal, quoted as name};
use crate::postgres::{Connection, Fault, Row};
use crate::units::Bytes;

/// Those that nobody is connected to. How large one is, only who may enter it is told.
const LEFT: &str = "\
    select d.datname as name, \
        case when pg_catalog.has_database_privilege(d.oid, 'connect') then pg_catalog.pg_database_size(d.oid)::text end as bytes \
    from pg_catalog.pg_database d where d.datname like 'seawall\\_restore\\_%' and not exists \
        (select from pg_catalog.pg_stat_activity a where a.datid = d.oid and a.backend_type = 'client backend') order by 1";
const SLOTS: &str = "\
    select slot_name as name, coalesce(plugin::text, '') as plugin from pg_catalog.pg_replication_slots where database = $1 order by 1";
const SUBSCRIPTIONS: &str = "\
    select s.subname as name, s.subenabled as receives from pg_catalog.pg_subscription s \
        join pg_catalog.pg_database d on d.oid = s.subdbid where d.datname = pg_catalog.current_database() order by 1";
const PREPARED: &str = "select gid as name from pg_catalog.pg_prepared_xacts where database = pg_catalog.current_database() order by 1";
/// What some extension keeps in a database. TimescaleDB's own leave by themselves when it gets another name, and the server's do too.
const WORKERS: &str = "\
    select distinct backend_type as name from pg_catalog.pg_stat_activity a \
        where datid = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()) \
            and backend_type not in ('client backend', 'walsender', 'autovacuum worker', 'parallel worker') \
            and backend_type not like 'logical replication %' \
            and not exists (select from pg_catalog.pg_extension where extname = 'timescaledb') order by 1";
const DEFAULT: &str = "\
    select a.default_version as usual, exists \
        (select from pg_catalog.pg_available_extension_versions v where v.name = a.name and v.version = $2) as has \
    from pg_catalog.pg_available_extensions a where a.name = $1";

/// Restores that were ended by force before they could clean up after themselves.
pub(super) fn left(connection: &mut Connection) -> Result<Vec<String>, RestoreFault> {
    let rows = connection.query(LEFT, &[]).map_err(of)?;
    let one = |row: &Row| -> Result<String, Fault> {
        let database = row.text("name")?;
        let size = row.parse_if::<u64>("bytes")?.map_or_else(String::new, |bytes| format!(" ({})", Bytes::new(bytes).rounded()));
        Ok(format!(
            "{}{size} is of a restore that did not come to its end, and nobody is connected to it: `drop database {};` where none is under way",
            quoted(database),
            name(database)
        ))
    };
    rows.iter().map(|row| one(row).map_err(of)).collect()
}

/// What keeps a database from getting another name or being copied, and what nobody ends by ending sessions: known before hours are spent.
pub(super) fn must_be_let_go(inside: &mut Connection, wanted: &Wanted) -> Result<(), RestoreFault> {
    let into = quoted(&wanted.into);
    let what = if wanted.replace { "gets another name" } else { "is copied" };
    let held = |by: String, out: String| {
        Err(RestoreFault::new(
            format!("{by}, and the server waits for nobody there when a database {what}"),
            format!("{out} Or restore beside it, with `--create` and another name."),
        ))
    };
    let names = |inside: &mut Connection, sql: &str| -> Result<Vec<String>, RestoreFault> {
        let rows = inside.query(sql, &[]).map_err(of)?;
        rows.iter().map(|row| row.text("name").map(str::to_owned).map_err(of)).collect()
    };
    let rows = inside.query(SUBSCRIPTIONS, &[]).map_err(of)?;
    for row in rows.iter() {
        if row.flag("receives").map_err(of)? {
            let subscription = row.text("name").map_err(of)?;
            let by = format!("the subscription {} receives into the database {into}", quoted(subscription));
            return held(by, format!("Say `alter subscription {} disable;` there, and run this again.", name(subscription)));
        }
    }
    if let Some(transaction) = names(inside, PREPARED)?.first() {
        let gid = literal(transaction);
        let by = format!("the transaction {} is prepared in the database {into}", quoted(transaction));
        return held(by, format!("Say `commit prepared {gid};` or `rollback prepared {gid};` there, and run this again."));
    }
    let workers = names(inside, WORKERS)?;
    if workers.is_empty() {
        return Ok(());
    }
    let by = format!("in the database {into} works {}", joined(workers.iter().map(quoted)));
    held(by, "See that it works elsewhere meanwhile (its extension's settings say where), and run this again.".to_owned())
}

/// They stay with the database that is set aside, and nothing is received into the new one.
pub(super) fn subscriptions(inside: &mut Connection, into: &str) -> Result<Vec<String>, RestoreFault> {
    let rows = inside.query(SUBSCRIPTIONS, &[]).map_err(of)?;
    let one = |row: &Row| -> Result<String, Fault> {
        let subscription = row.text("name")?;
        Ok(format!(
            "the subscription {} stays with what is set aside, and nothing is received into the new {}: make one there, and before what is set \
             aside is dropped say `drop subscription {};` in it",
            quoted(subscription),
            quoted(into),
            name(subscription)
        ))
    };
    rows.iter().map(|row| one(row).map_err(of)).collect()
}

/// They go with the database that is set aside.
pub(super) fn slots(connection: &mut Connection, into: &str) -> Result<Vec<String>, RestoreFault> {
    let rows = connection.query(SLOTS, &[into]).map_err(of)?;
    let one = |row: &Row| -> Result<String, Fault> {
        let slot = row.text("name")?;
        Ok(format!(
            "the replication slot {} ({}) stays with what is set aside, and holds the log that nobody reads there: whoever reads it must begin \
             anew in the new {}, and then `select pg_drop_replication_slot('{}');`",
            quoted(slot),
            row.text("plugin")?,
            quoted(into),
            slot.replace('\'', "''")
        ))
    };
    rows.iter().map(|row| one(row).map_err(of)).collect()
}

/// `pg_dump` names no version of an extension, so the server's usual one comes, or the one that is there stays.
pub(super) fn versions(
    dumped: &Database,
    wanted: &Wanted,
    server: &mut Connection,
    inside: Option<&mut Connection>,
) -> Result<Vec<String>, RestoreFault> {
    let mut others = Vec::new();
    let mut inside = inside.filter(|_| !wanted.makes());
    for (extension, version) in dumped.extensions.iter().filter(|(extension, _)| *extension != "timescaledb") {
        let installed = match inside.as_deref_mut() {
            Some(inside) => {
                let rows = inside
                    .query("select extversion as version from pg_catalog.pg_extension where extname = $1", &[extension])
                    .map_err(of)?;
                rows.iter().next().and_then(|row| row.get("version")).map(str::to_owned)
            }
            None => None,
        };
        let rows = server.query(DEFAULT, &[extension, version]).map_err(of)?;
        let Some(row) = rows.iter().next() else { continue };
        let comes = installed.as_deref().or_else(|| row.get("usual")).unwrap_or_default();
        if comes == version {
            continue;
        }
        let has = if row.flag("has").map_err(of)? { "which is here too" } else { "which is not here" };
        others.push(format!("{} {comes} instead of {version}, {has}", quoted(extension)));
    }
    if others.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![format!("extensions come in this server's version: {}", joined(others))])
}
