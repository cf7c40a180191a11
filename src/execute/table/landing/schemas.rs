//! Schemas of the destination.

use crate::policy::sql_name::quoted;
use crate::postgres::{Connection, Fault};

pub(super) fn is_there(connection: &mut Connection, schema: &str) -> Result<bool, Fault> {
    Ok(!connection.query("select from pg_catalog.pg_namespace where nspname = $1", &[schema])?.is_empty())
}

/// Where it is missing. `if not exists` would ask for the right to make schemas all the same, which the owner of one need not have.
pub(super) fn make(connection: &mut Connection, schema: &str) -> Result<(), Fault> {
    if is_there(connection, schema)? {
        return Ok(());
    }
    connection.run(&format!("create schema if not exists {}", quoted(schema))).map(drop)
}
