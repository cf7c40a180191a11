//! Rows from one server to another, as a stream: no more of them is in memory than a piece.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::about::Column;
use super::session::go_on;
use crate::execute::table::TableFault;
use crate::postgres::Connection;

/// Two servers of one version write the built-in types alike. What a type of one's own looks like inside depends on its server.
pub(super) fn is_binary(from: &Connection, to: &Connection, columns: &[&Column]) -> bool {
    from.major() == to.major() && columns.iter().all(|column| column.has_binary)
}

/// `query` is what is read, `into` a table with its columns. Gives rows and bytes.
pub(super) fn copy(
    from: &mut Connection,
    query: &str,
    to: &mut Connection,
    into: &str,
    is_binary: bool,
    done: &AtomicU64,
    stop: &AtomicBool,
) -> Result<(u64, u64), TableFault> {
    let format = if is_binary { " with (format binary)" } else { "" };
    let mut out = from.copy_out(&format!("copy ({query}) to stdout{format}"))?;
    let mut into = to.copy_in(&format!("copy {into} from stdin{format}"))?;
    let mut bytes = 0;
    while let Some(piece) = out.piece()? {
        go_on(stop)?;
        into.send(&piece)?;
        bytes += piece.len() as u64;
        done.fetch_add(piece.len() as u64, Ordering::Relaxed);
    }
    let taken = into.finish()?;
    if taken == out.rows() {
        return Ok((taken, bytes));
    }
    Err(TableFault::new(format!("{} rows were read and {taken} arrived", out.rows()), "Nothing was changed. Run it again."))
}
