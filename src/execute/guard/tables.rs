//! The tables that alone are to come back: they are there, a backup has their rows, and the line that brings them back will not be refused.

use std::time::Duration;

use super::{GuardFault, Wanted, primary};
use crate::execute::table::TableFault;
use crate::execute::table::landing::{self, Way};
use crate::execute::table::source::TableName;
use crate::plan::words::quoted;
use crate::site::Site;
use crate::units::Instant;

/// Of `seawall restore`, when nobody says another one.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
/// As the role's search_path finds it, which the restore does not go by.
const FIND: &str = "\
    select pg_catalog.format('%I.%I', n.nspname, c.relname) as full, n.nspname as schema, c.relname as name, \
      c.relkind::text as kind, c.relpersistence::text as lasts \
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = pg_catalog.to_regclass($1)";

/// What is known of them.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// As SQL reads them anywhere.
    pub names: Vec<String>,
    /// What people should know: sentences without a full stop.
    pub remarks: Vec<String>,
}

/// Asked before anything is promised: a line that names what is not there undoes nothing, and one that is refused neither.
pub(super) fn must_come_back(site: &Site<'_>, wanted: &Wanted, is_physical: bool, now: Instant) -> Result<Known, GuardFault> {
    let Some(database) = wanted.database.as_ref().or(site.policy.databases.first()).filter(|_| !wanted.tables.is_empty()) else {
        return Ok(Known::default());
    };
    let (mut names, mut tables) = (Vec::new(), Vec::new());
    let mut session = primary::connect_to(site, database).map_err(|fault| cannot(fault.message))?;
    for table in &wanted.tables {
        let rows = session.query(FIND, &[table]).map_err(|fault| cannot(fault.message))?;
        let Some(row) = rows.iter().next() else {
            let hint = format!("In the database {}. Is it in another schema, or does it need quotes?", quoted(database));
            return Err(GuardFault::new(format!("`--table`: there is no {table}"), hint));
        };
        let is = |name: &str, one: &str| row.get(name) == Some(one);
        if !is("kind", "r") && !is("kind", "p") {
            return Err(GuardFault::new(format!("`--table`: {table} is no table"), "Name the tables whose rows the command changes."));
        }
        if !is("lasts", "p") {
            must_have_rows(site, table, is_physical)?;
        }
        let text = |column: &str| row.text(column).map(str::to_owned).map_err(|fault| cannot(fault.message));
        names.push(text("full")?);
        tables.push(TableName { schema: text("schema")?, name: text("name")? });
    }
    let remarks = must_be_taken(site, database, tables, now)?;
    Ok(Known { names, remarks })
}

fn cannot(why: String) -> GuardFault {
    GuardFault::new(format!("`--table` cannot be looked up: {why}"), "Leave `--table` away: all of it comes back then.")
}

/// An unlogged one lies on the primary alone, and not in its log.
fn must_have_rows(site: &Site<'_>, table: &str, is_physical: bool) -> Result<(), GuardFault> {
    let (lacks, hint) = if is_physical {
        ("its rows are in no physical backup", "Take a dump instead: name a job that is `logical`.")
    } else if primary::reads_a_standby(site).map_err(|fault| cannot(fault.message))? {
        ("a standby is dumped here, which has none of its rows", "Take the dump on the primary's host.")
    } else {
        return Ok(());
    };
    Err(GuardFault::new(format!("`--table`: {table} is unlogged, and {lacks}"), hint))
}

/// The same questions as before the restore itself, by the same role, while there is still time to do something about the answer.
fn must_be_taken(site: &Site<'_>, database: &str, tables: Vec<TableName>, now: Instant) -> Result<Vec<String>, GuardFault> {
    let way = Way::Replace { kept: Some(landing::stamped("replaced", now)) };
    let wanted = landing::Wanted { tables, way, condition: None, lock_timeout: LOCK_TIMEOUT, with_policies: false };
    let settings = primary::settings_of(site, database).map_err(|fault| cannot(fault.message))?;
    let mut destination = landing::look(&settings, &wanted).map_err(refused)?;
    destination.respect(site.policy, now);
    Ok(destination.remarks)
}

fn refused(fault: TableFault) -> GuardFault {
    let hint = format!("Leave `--table` away: all of it comes back then. For these tables alone: {}", fault.hint);
    GuardFault::new(format!("`--table`: what undoes it would be refused: {}", fault.message), hint.trim_end())
}
