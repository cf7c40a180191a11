//! From which age on chunks are compressed, and how they are laid out.

use super::amount::Amount;
use super::database::Database;
use super::retention::when;
use super::{Change, Found, sql};
use crate::inventory::{Compression, Hypertable, JobKind, OrderBy};
use crate::plan::words::quoted;
use crate::policy::file;
use crate::policy::path::PolicyPath;
use crate::policy::sql_name;
use crate::units::Period;

pub(super) fn compare(
    found: &mut Found<'_>,
    database: &Database<'_>,
    hypertable: &Hypertable,
    written: &str,
    wants: &file::Hypertable,
    path: &PolicyPath,
) {
    let job = database.state.jobs_of(&hypertable.table, JobKind::Compression).next();
    let Some(compress) = &wants.compress else {
        if let Some(job) = job {
            let message = format!("job {} compresses {}, and the policy does not speak of that", job.id, quoted(written));
            found.remark(path.clone(), message, "It is left alone. Write `compress`, so that whoever reads the policy knows of it.");
        }
        return;
    };
    let path = path.key("compress");
    let wanted = wanted(compress);
    let push = |found: &mut Found<'_>, at: &str, says: String, sql: String, consequence: String| {
        let at = if at.is_empty() { path.clone() } else { path.key(at) };
        found.push(Change::new(at, Some(database.name), says, sql).consequence(consequence));
    };
    let set = || sql::set_compression(database.state, &hypertable.table, &wanted);
    let compressed = hypertable.chunks.iter().filter(|chunk| chunk.compressed);
    match &hypertable.compression {
        None => {
            let says = format!("chunks of {} are to be compressed, and the database does not do that", quoted(written));
            push(found, "", says, set(), "says how chunks are laid out; compresses none by itself".to_owned());
        }
        Some(own) => {
            let (segments, orders) =
                (wanted.segment_by.is_empty() || wanted.segment_by == own.segment_by, is_ordered(&wanted, own, hypertable));
            if !segments || !orders {
                let at = if segments { "order_by" } else { "segment_by" };
                let says = format!("chunks of {} are to be laid out by {}, and are by {}", quoted(written), layout(&wanted), layout(own));
                let old = Amount::of(compressed);
                let consequence = match old.is_nothing() {
                    true => "nothing is compressed yet".to_owned(),
                    false => format!("holds for what is compressed from now on; {old} stay as they are"),
                };
                push(found, at, says, set(), consequence);
            }
        }
    }
    let limit = compress.after.before(found.now, &jiff::tz::TimeZone::UTC);
    let due = Amount::of(hypertable.chunks.iter().filter(|chunk| !chunk.compressed && chunk.ends_by(limit)));
    let compresses = |when: &str| match due.is_nothing() {
        true => "no chunk is old enough today".to_owned(),
        false => format!("compresses {due}, {when}"),
    };
    let after = compress.after;
    let Some(job) = job else {
        let says = format!("chunks of {} are to be compressed after {after}, and no job does it", quoted(written));
        let consequence = compresses("at once: a new job runs as soon as it is there");
        return push(found, "after", says, sql::add_compression(database.state, &hypertable.table, after), consequence);
    };
    let same = job.after.as_ref().is_some_and(|own| own.is(after));
    if same && job.scheduled {
        return;
    }
    let told: Vec<(&'static str, Period)> = if same { Vec::new() } else { vec![("compress_after", after)] };
    let alter = sql::Alter { told, untold: &["compress_created_before"], wake: !job.scheduled, ..Default::default() };
    let is = match (&job.after, same) {
        (_, true) => format!("job {} that does it is paused", job.id),
        (Some(own), false) => format!("are after {own}"),
        (None, false) => "the database goes by when chunks were made".to_owned(),
    };
    let says = format!("chunks of {} are to be compressed after {after}, and {is}", quoted(written));
    push(found, "after", says, sql::alter_job(database.state, job, &alter), compresses(&when(job)));
}

/// The policy's words as what TimescaleDB would say of them.
fn wanted(compress: &file::Compress) -> Compression {
    let column = |written: &str| sql_name::meaning(written.trim()).into_iter().next().unwrap_or_default();
    let order = |written: &String| {
        let (name, order) = match written.rfind('"') {
            Some(quote) => written.split_at(quote + 1),
            None => written.split_once(' ').unwrap_or((written, "")),
        };
        let order = order.to_uppercase();
        let descending = order.contains("DESC");
        let nulls_first = if order.contains("NULLS") { order.contains("FIRST") } else { descending };
        OrderBy { column: column(name), descending, nulls_first }
    };
    Compression {
        segment_by: compress.segment_by.iter().map(|written| column(written)).collect(),
        order_by: compress.order_by.iter().map(order).collect(),
    }
}

/// TimescaleDB adds the column of the time where nobody names it.
fn is_ordered(wanted: &Compression, own: &Compression, hypertable: &Hypertable) -> bool {
    if wanted.order_by.is_empty() || wanted.order_by == own.order_by {
        return true;
    }
    let time = hypertable.dimensions.first().map(|dimension| dimension.column.as_str());
    let named = wanted.order_by.iter().any(|one| Some(one.column.as_str()) == time);
    let added = own.order_by.split_last().is_some_and(|(last, others)| Some(last.column.as_str()) == time && others == wanted.order_by);
    !named && added
}

fn layout(compression: &Compression) -> String {
    let order = |one: &OrderBy| {
        let nulls = if one.nulls_first == one.descending {
            ""
        } else if one.nulls_first {
            " NULLS FIRST"
        } else {
            " NULLS LAST"
        };
        format!("{}{}{nulls}", one.column, if one.descending { " DESC" } else { "" })
    };
    let mut parts = Vec::new();
    if !compression.segment_by.is_empty() {
        parts.push(quoted(compression.segment_by.join(", ")));
    }
    if !compression.order_by.is_empty() {
        parts.push(format!("ordered by {}", quoted(compression.order_by.iter().map(order).collect::<Vec<_>>().join(", "))));
    }
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(" ") }
}
