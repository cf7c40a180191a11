//! Continuous aggregates, behind a change of the hypertables that they are made of.

use super::held::Hold;
use super::{Destination, Landed, Onlooker, session};
use crate::execute::table::TableFault;
use crate::plan::words::joined;
use crate::postgres::{Connection, Fault};

const NOT_THESE: &str = "and a refresh of that time makes them anew from what the table has now";

/// Each for itself, and in their order: one may be made of another. What was done is no longer among what is to be done; what failed stays there,
/// and so does what would make a held row anew, which is not done.
pub fn refresh(
    destination: &Destination,
    tables: &mut [Landed],
    remarks: &mut Vec<String>,
    onlooker: Onlooker<'_>,
) -> Result<(), TableFault> {
    if tables.iter().all(|landed| landed.refresh.is_empty()) {
        return Ok(());
    }
    (onlooker.begins)("refreshing continuous aggregates");
    let done = destination.open().and_then(|mut connection| {
        session::attended(onlooker.stop, [&mut connection], |[connection]| {
            let holds = destination.holds_by_now(connection)?;
            let mut refused = None;
            for landed in tables.iter_mut() {
                let mut at = 0;
                while let Some(next) = landed.refresh.get(at) {
                    if let Some(held) = next.held(connection, &holds)? {
                        let fault = TableFault::new(held.says(NOT_THESE), "Refresh other times only, of which nothing is held.");
                        refused.get_or_insert(fault);
                        at += 1;
                        continue;
                    }
                    connection.run(&next.sql)?;
                    remarks.push(format!("refreshed: {}", landed.refresh.remove(at).sql));
                }
            }
            refused.map_or(Ok(()), Err)
        })
    });
    done.map_err(|fault| {
        let left: Vec<String> = tables.iter().flat_map(|landed| &landed.refresh).map(|refresh| format!("`{};`", refresh.sql)).collect();
        let left = if left.is_empty() { String::new() } else { format!(" What is left: {}.", joined(left)) };
        let hint = format!("The rows are back.{left} {}", fault.hint);
        TableFault::new(format!("not all continuous aggregates could be refreshed: {}", fault.message), hint.trim_end())
    })
}

/// Where whoever refreshes what has to be refreshed must not go. The rows themselves are made of none that change here, or nothing would.
pub(super) fn held(connection: &mut Connection, holds: &[Hold], landed: &Landed) -> Result<Vec<String>, Fault> {
    let mut remarks = Vec::new();
    for refresh in &landed.refresh {
        if let Some(held) = refresh.held(connection, holds)? {
            remarks.push(format!("{}: refresh other times only", held.says(NOT_THESE)));
        }
    }
    Ok(remarks)
}
