//! The holds that a database shows its applications.

use crate::inventory::{HoldEntry, HoldTable};
use crate::postgres::{Connection, Fault};

/// Those of one policy; others may have theirs in the same database.
pub fn look_at_holds(connection: &mut Connection, policy: &str) -> Result<HoldTable, Fault> {
    const THERE: &str = "select pg_catalog.to_regclass('seawall.hold') is not null \
        and pg_catalog.to_regclass('seawall.legal_hold') is not null as there";
    // How a database writes dates (`datestyle`) is its own affair.
    const ALL: &str = "select name, of_table, condition, pg_catalog.to_char(rows_from, 'YYYY-MM-DD') as rows_from, \
        pg_catalog.to_char(rows_to, 'YYYY-MM-DD') as rows_to, reason, pg_catalog.to_char(until, 'YYYY-MM-DD') as until, zone from seawall.hold where policy = $1 order by name";
    if !connection.query(THERE, &[])?.one()?.flag("there")? {
        return Ok(HoldTable::Absent);
    }
    let rows = connection.query(ALL, &[policy])?;
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let all = rows.iter().map(|row| {
        Ok(HoldEntry {
            name: row.text("name")?.to_owned(),
            of: row.text("of_table")?.to_owned(),
            condition: owned(row.get("condition")),
            rows_from: owned(row.get("rows_from")),
            rows_to: owned(row.get("rows_to")),
            reason: row.text("reason")?.to_owned(),
            until: owned(row.get("until")),
            zone: row.text("zone")?.to_owned(),
        })
    });
    all.collect::<Result<_, _>>().map(HoldTable::Present)
}
