//! Names as a database that is not in UTF-8 has them: so `pg_dump` reads them on its command line, and so they stand in a dump.

use crate::postgres::{Connection, Fault};

/// What needs no translation.
pub(in crate::execute) const UTF8: &str = "UTF8";
const OWN: &str = "select pg_catalog.encode(pg_catalog.convert_to($1, pg_catalog.getdatabaseencoding()), 'hex') as bytes";
const ANOTHER: &str = "select pg_catalog.encode(pg_catalog.convert_to($1, $2), 'hex') as bytes";

/// In the encoding of the session's database.
pub(in crate::execute) fn bytes(connection: &mut Connection, text: &str) -> Result<Vec<u8>, Fault> {
    asked(connection, text, OWN, &[text])
}

/// In another one.
pub(in crate::execute) fn bytes_in(connection: &mut Connection, text: &str, encoding: &str) -> Result<Vec<u8>, Fault> {
    asked(connection, text, ANOTHER, &[text, encoding])
}

fn asked(connection: &mut Connection, text: &str, sql: &str, parameters: &[&str]) -> Result<Vec<u8>, Fault> {
    if text.is_ascii() {
        return Ok(text.as_bytes().to_vec());
    }
    let rows = connection.query(sql, parameters)?;
    let hex = rows.one()?.text("bytes")?.to_owned();
    let bytes = (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16));
    Ok(bytes.collect::<Result<_, _>>().expect("the server writes hexadecimal digits"))
}
