//! Continuous aggregates as a backup wrote them down, as the SQL that makes them.

use std::collections::BTreeMap;

use crate::format::recorded::{Made, Recorded, RecordedHypertable};
use crate::policy::sql_name::quoted;

/// TimescaleDB names those so that it makes by itself, after a number that another database would give to something else.
const OWN_NAME: &str = "_materialized_hypertable_";

/// All of them, a database after the other, in the order in which they can be made. Nothing is in them until they are refreshed.
pub(super) fn sql(recorded: &BTreeMap<String, Recorded>) -> String {
    let mut text = String::new();
    for (database, recorded) in recorded {
        let all = recorded.timescale.iter().flat_map(|timescale| &timescale.hypertables);
        let some: Vec<String> = all.filter_map(one).collect();
        if !some.is_empty() {
            text.push_str(&format!("-- database {}\n\n{}\n", on_one_line(&quoted(database)), some.join("\n")));
        }
    }
    if text.is_empty() { "-- it has no continuous aggregates\n".to_owned() } else { text }
}

fn one(one: &RecordedHypertable) -> Option<String> {
    let view = format!("{}.{}", quoted(&one.table.schema), quoted(&one.table.name));
    match &one.made {
        Some(made) => Some(statements(&view, made)),
        None if one.lacks_definition() => Some(format!("-- {}: how it is made was not written down\n", on_one_line(&view))),
        None => None,
    }
}

fn statements(view: &str, made: &Made) -> String {
    let only = made.materialized_only.map(|only| format!(", timescaledb.materialized_only = {only}")).unwrap_or_default();
    // All of them follow, where they were written down.
    let own = if made.materialized_only.is_some() { ", timescaledb.create_group_indexes = false" } else { "" };
    let select = made.definition.trim().trim_end_matches(';');
    let mut text = format!("create materialized view {view} with (timescaledb.continuous{only}{own}) as\n{select}\nwith no data;\n");
    // Of one column alone is the index on its time, which comes with it in any case.
    for index in made.indexes.iter().filter(|index| !index.name.starts_with(OWN_NAME) || index.by.contains(", ")) {
        let name = if index.name.starts_with(OWN_NAME) { String::new() } else { format!(" {}", quoted(&index.name)) };
        text.push_str(&format!("create index{name} on {view} using {};\n", index.by));
    }
    text
}

/// A comment ends with its line.
fn on_one_line(name: &str) -> String {
    name.replace(['\n', '\r'], " ")
}
