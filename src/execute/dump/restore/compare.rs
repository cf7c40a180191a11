//! Whether what came back has as many rows as what was dumped.

use std::collections::HashSet;

use super::{Plan, restoring};
use crate::execute::dump::child::Halt;
use crate::execute::restore::RestoreFault;
use crate::policy::sql_name::quoted;
use crate::postgres::{Connection, Fault};

/// What was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::execute) struct Compared {
    pub tables: u64,
    pub rows: u64,
}

/// Of an extension's own tables a dump has only the rows that the extension did not bring itself.
const OF_EXTENSIONS: &str = "select n.nspname as schema, c.relname as name from pg_depend d join pg_class c on c.oid = d.objid \
    join pg_namespace n on n.oid = c.relnamespace where d.classid = 'pg_class'::regclass and d.deptype = 'e'";

/// Every table that came has as many rows as its dump.
pub(super) fn compare(plan: &Plan, connection: &mut Connection, halt: &Halt<'_>) -> Result<Compared, RestoreFault> {
    let of = |fault: Fault| RestoreFault::new(fault.message, fault.hint);
    let mut of_extensions = HashSet::new();
    for row in &connection.query(OF_EXTENSIONS, &[]).map_err(of)? {
        of_extensions.insert((row.text("schema").map_err(of)?.to_owned(), row.text("name").map_err(of)?.to_owned()));
    }
    // It answers for what it keeps compressed rows in otherwise than a dump does, or not at all.
    let has_timescale = plan.database().extensions.contains_key("timescaledb");
    if has_timescale {
        connection.run(restoring::OFF).map_err(of)?;
    }
    let mut compared = Compared { tables: 0, rows: 0 };
    for table in plan.database().tables.iter().filter(|table| plan.brings(table)) {
        if of_extensions.contains(&(table.schema.clone(), table.name.clone())) {
            continue;
        }
        halt.check().map_err(|fault| RestoreFault::new(fault.to_string(), ""))?;
        let name = format!("{}.{}", quoted(&table.schema), quoted(&table.name));
        let counted = connection.run(&format!("select count(*)::text as n from only {name}"));
        let rows: u64 = counted.and_then(|mut rows| rows.pop().unwrap_or_default().one()?.parse("n")).map_err(of)?;
        if rows != table.rows {
            let message = format!("{name} has {rows} rows, and its dump {}", table.rows);
            return Err(RestoreFault::new(message, "A trigger or somebody else has changed it while it was filled."));
        }
        compared = Compared { tables: compared.tables + 1, rows: compared.rows + rows };
    }
    if has_timescale {
        connection.run(restoring::ON).map_err(of)?;
    }
    Ok(compared)
}
