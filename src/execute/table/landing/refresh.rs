//! Continuous aggregates, behind a change of the hypertables that they are made of.

use super::{Destination, Landed, Onlooker, session};
use crate::execute::table::TableFault;
use crate::plan::words::joined;

/// Each for itself, and in their order: one may be made of another. What was done is no longer among what is to be done; what failed stays there.
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
            for landed in tables.iter_mut() {
                while let Some(sql) = landed.refresh.first() {
                    connection.run(sql)?;
                    remarks.push(format!("refreshed: {}", landed.refresh.remove(0)));
                }
            }
            Ok(())
        })
    });
    done.map_err(|fault| {
        let left: Vec<&String> = tables.iter().flat_map(|landed| &landed.refresh).collect();
        let hint = format!("The rows are back. What is left: {}", joined(left.iter().map(|sql| format!("`{sql};`"))));
        TableFault::new(format!("not all continuous aggregates could be refreshed: {}", fault.message), hint)
    })
}
