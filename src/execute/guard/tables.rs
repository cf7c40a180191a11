//! The tables that alone are to come back: they are there, and a backup has their rows.

use super::{GuardFault, Wanted, primary};
use crate::plan::words::quoted;
use crate::site::Site;

/// Asked before anything is promised: a line that names what is not there undoes nothing.
pub(super) fn must_come_back(site: &Site<'_>, wanted: &Wanted, is_physical: bool) -> Result<(), GuardFault> {
    let Some(database) = wanted.database.as_ref().or(site.policy.databases.first()).filter(|_| !wanted.tables.is_empty()) else {
        return Ok(());
    };
    let cannot =
        |why: String| GuardFault::new(format!("`--table` cannot be looked up: {why}"), "Leave `--table` away: all of it comes back then.");
    let mut session = primary::connect_to(site, database).map_err(|fault| cannot(fault.message))?;
    for table in &wanted.tables {
        const SQL: &str = "select relkind::text as kind, relpersistence::text as lasts from pg_catalog.pg_class \
                           where oid = pg_catalog.to_regclass($1)";
        let rows = session.query(SQL, &[table]).map_err(|fault| cannot(fault.message))?;
        let Some(row) = rows.iter().next() else {
            let hint = format!("In the database {}. Is it in another schema, or does it need quotes?", quoted(database));
            return Err(GuardFault::new(format!("`--table`: there is no {table}"), hint));
        };
        let is = |name: &str, one: &str| row.get(name) == Some(one);
        if !is("kind", "r") && !is("kind", "p") {
            return Err(GuardFault::new(format!("`--table`: {table} is no table"), "Name the tables whose rows the command changes."));
        }
        if is_physical && !is("lasts", "p") {
            let hint = "Take a dump instead: name a job that is `logical`.";
            return Err(GuardFault::new(format!("`--table`: {table} is unlogged, and its rows are in no physical backup"), hint));
        }
    }
    Ok(())
}
