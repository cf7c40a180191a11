//! SQL of names and values that anybody may have chosen.

use crate::inventory::{Compression, OrderBy, TableName, TimescaleJob, TimescaleState};
use crate::plan::words::counted;
pub(super) use crate::policy::sql_name::{literal as text, quoted as name};
use crate::units::{Duration, Period};

pub(super) fn table(table: &TableName) -> String {
    format!("{}.{}", name(&table.schema), name(&table.name))
}

/// `7 years 3 mons`, as PostgreSQL reads an interval.
pub(super) fn interval(period: Period) -> String {
    let (months, days, seconds) = period.parts();
    let parts = [(months / 12, "year"), (months % 12, "mon"), (days, "day"), (seconds / 3_600, "hour"), (seconds % 3_600 / 60, "minute")];
    let rest = (seconds % 60, "second");
    let parts: Vec<String> =
        parts.into_iter().chain([rest]).filter(|(count, _)| *count > 0).map(|(count, unit)| counted(count, unit)).collect();
    if parts.is_empty() { "0".to_owned() } else { parts.join(" ") }
}

pub(super) fn period_of(duration: Duration) -> Option<Period> {
    const DAY: u64 = 86_400;
    let seconds = duration.as_secs();
    Some(Period::of(0, u32::try_from(seconds / DAY).ok()?, u32::try_from(seconds % DAY).ok()?))
}

fn interval_literal(period: Period) -> String {
    format!("INTERVAL {}", text(&interval(period)))
}

/// The words of compression from 2.18 on.
fn has_columnstore(state: &TimescaleState) -> bool {
    state.version_numbers().is_some_and(|numbers| numbers >= (2, 18))
}

/// A function of the extension.
fn function(state: &TimescaleState, function: &str) -> String {
    format!("{}.{function}", name(&state.schema))
}

/// A table as an argument.
fn argument(of: &TableName) -> String {
    text(&table(of))
}

pub(super) fn add_retention(state: &TimescaleState, of: &TableName, after: Period) -> String {
    format!("SELECT {}({}, drop_after => {});", function(state, "add_retention_policy"), argument(of), interval_literal(after))
}

pub(super) fn remove_retention(state: &TimescaleState, of: &TableName) -> String {
    format!("SELECT {}({});", function(state, "remove_retention_policy"), argument(of))
}

pub(super) fn add_compression(state: &TimescaleState, of: &TableName, after: Period) -> String {
    let (of, after) = (argument(of), interval_literal(after));
    if has_columnstore(state) {
        format!("CALL {}({of}, after => {after});", function(state, "add_columnstore_policy"))
    } else {
        format!("SELECT {}({of}, compress_after => {after});", function(state, "add_compression_policy"))
    }
}

pub(super) fn add_refresh(state: &TimescaleState, view: &TableName, every: Period, from: Period, to: Period) -> String {
    format!(
        "SELECT {}({}, start_offset => {}, end_offset => {}, schedule_interval => {});",
        function(state, "add_continuous_aggregate_policy"),
        argument(view),
        interval_literal(from),
        interval_literal(to),
        interval_literal(every)
    )
}

/// What is to be changed of a job; the rest of what it was told stays.
#[derive(Debug, Default)]
pub(super) struct Alter {
    pub told: Vec<(&'static str, Period)>,
    /// What contradicts it.
    pub untold: &'static [&'static str],
    pub every: Option<Period>,
    pub wake: bool,
}

pub(super) fn alter_job(state: &TimescaleState, job: &TimescaleJob, alter: &Alter) -> String {
    let mut arguments = vec![job.id.to_string()];
    if let Some(every) = alter.every {
        arguments.push(format!("schedule_interval => {}", interval_literal(every)));
    }
    if !alter.told.is_empty() {
        let mut config = job.config.as_object().cloned().unwrap_or_default();
        config.retain(|key, _| !alter.untold.contains(&key.as_str()));
        config.extend(alter.told.iter().map(|(key, period)| ((*key).to_owned(), interval(*period).into())));
        arguments.push(format!("config => {}", text(&serde_json::Value::Object(config).to_string())));
    }
    if alter.wake {
        arguments.push("scheduled => true".to_owned());
    }
    format!("SELECT {}({});", function(state, "alter_job"), arguments.join(", "))
}

/// Turns compression on, or lays out anew what is compressed from now on.
pub(super) fn set_compression(state: &TimescaleState, of: &TableName, wanted: &Compression) -> String {
    let (enable, segment, order) = if has_columnstore(state) {
        ("timescaledb.enable_columnstore", "timescaledb.segmentby", "timescaledb.orderby")
    } else {
        ("timescaledb.compress", "timescaledb.compress_segmentby", "timescaledb.compress_orderby")
    };
    let mut settings = vec![enable.to_owned()];
    if !wanted.segment_by.is_empty() {
        let columns: Vec<String> = wanted.segment_by.iter().map(|column| name(column)).collect();
        settings.push(format!("{segment} = {}", text(&columns.join(", "))));
    }
    if !wanted.order_by.is_empty() {
        let columns: Vec<String> = wanted.order_by.iter().map(order_by).collect();
        settings.push(format!("{order} = {}", text(&columns.join(", "))));
    }
    format!("ALTER TABLE {} SET ({});", table(of), settings.join(", "))
}

/// Nulls are where they are without a word: last, and first in a descending order.
fn order_by(one: &OrderBy) -> String {
    let direction = if one.descending { " DESC" } else { "" };
    let nulls = match (one.nulls_first, one.descending) {
        (true, false) => " NULLS FIRST",
        (false, true) => " NULLS LAST",
        _ => "",
    };
    format!("{}{direction}{nulls}", name(&one.column))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn intervals_are_as_postgresql_reads_them() {
        for (period, written) in
            [("7y", "7 years"), ("1y 2mo", "1 year 2 mons"), ("90m", "1 hour 30 minutes"), ("2w 1s", "14 days 1 second")]
        {
            assert_eq!(interval(period.parse().expect("a period")), written);
        }
    }

    /// What PostgreSQL's scanner makes of a text between single quotes, and of a name between double ones.
    fn read(quoted: &str, quote: char) -> Option<String> {
        let escaped = quoted.starts_with('E');
        let inner = quoted.strip_prefix('E').unwrap_or(quoted).strip_prefix(quote)?.strip_suffix(quote)?;
        let (mut out, mut letters) = (String::new(), inner.chars());
        while let Some(letter) = letters.next() {
            match letter {
                '\\' if quote == '\'' && !escaped => return None,
                '\\' if quote == '\'' => out.push(letters.next()?),
                letter if letter == quote => out.push(letters.next().filter(|next| *next == quote)?),
                letter => out.push(letter),
            }
        }
        Some(out)
    }

    proptest! {
        #[test]
        fn nothing_gets_out_of_its_quotes(any in "[a-z'\"\\\\; \\n$%ÄE-]{0,24}") {
            prop_assert_eq!(read(&text(&any), '\''), Some(any.clone()));
            prop_assert_eq!(read(&name(&any), '"'), Some(any));
        }
    }
}
