//! How far back the rows that a continuous aggregate is made of are all there. A refresh of what lies before takes rows away: it makes the
//! aggregate anew from what is left.

use super::database::Database;
use super::drops::{Holding, goes_after};
use super::sql;
use crate::inventory::{Aggregate, Chunk, ChunkRange, JobKind, TableName, TimescaleState};
use crate::policy::model::Policy;
use crate::policy::sql_name;
use crate::units::{Instant, Period};

/// What an aggregate is made of, by the name that people know: of one inside of another aggregate, that of the view.
pub(super) fn source<'s>(state: &'s TimescaleState, aggregate: &'s Aggregate) -> &'s TableName {
    let inside = state.continuous_aggregates.iter().find(|one| one.materialized == aggregate.of);
    inside.map_or(&aggregate.of, |one| &one.view)
}

/// The age at which rows of the source go, whoever drops them.
pub(super) fn dropped(policy: &Policy, database: &str, state: &TimescaleState, aggregate: &Aggregate) -> Option<Period> {
    let source = source(state, aggregate);
    let by_job = state.jobs_of(source, JobKind::Retention).filter_map(|job| job.after.as_ref()?.period());
    by_job.chain(by_policy(policy, database, source)).min()
}

fn by_policy(policy: &Policy, database: &str, source: &TableName) -> Option<Period> {
    let of = sql::table(source);
    let written = policy.file.timescaledb.get(database).and_then(|timescale| {
        let tables = timescale.hypertables.iter().map(|(written, table)| (written, table.retain));
        let views = timescale.continuous_aggregates.iter().map(|(written, view)| (written, view.retain));
        tables.chain(views).find(|(written, _)| sql_name::same_table(written, &of))
    });
    match written {
        Some((written, retain)) => goes_after(policy, database, written, retain),
        None => goes_after(policy, database, &of, None),
    }
}

/// The age up to which the source is whole: by what drops its rows, and, where nothing says so, by what is left of it and by what Seawall took out of
/// it, which no chunk shows that has held ones. None where nothing is gone.
pub(super) fn reach(policy: &Policy, database: &Database<'_>, aggregate: &Aggregate, now: Instant) -> Option<Period> {
    let state = database.state;
    let dropped = dropped(policy, database.name, state, aggregate);
    let goes_by = dropped.map(|age| age.before(now, policy.zone.time_zone()));
    let recorded = database.left_until(source(state, aggregate)).filter(|left| goes_by.is_none_or(|goes_by| goes_by < *left));
    let left = left_since(state, aggregate, now).into_iter().chain(recorded).max().map(|since| {
        let days = now.duration_since(since).as_hours() / 24;
        Period::from_days(u32::try_from(days).unwrap_or(0))
    });
    dropped.into_iter().chain(left).min()
}

/// From where on a refresh of an aggregate takes nothing away, as a window of TimescaleDB begins: where its source is whole. None: it has nothing
/// that could be older than the source. `left`: up to when rows of a table have left it by Seawall's hand, which no chunk shows that has held ones.
pub fn refreshes_from(
    policy: &Policy,
    database: &str,
    state: &TimescaleState,
    aggregate: &Aggregate,
    left: &dyn Fn(&TableName) -> Option<Instant>,
    now: Instant,
) -> Option<String> {
    let chunks = state.chunks_of(source(state, aggregate)).unwrap_or_default();
    let numbers = |chunk: &Chunk| match chunk.range {
        ChunkRange::Number { from, to } => Some((from, to)),
        ChunkRange::Time { .. } => None,
    };
    let first = chunks.iter().filter_map(numbers).map(|(from, _)| from).min();
    let end = || aggregate.chunks.iter().filter_map(numbers).map(|(_, to)| to).max();
    if let Some(from) = first.or_else(|| end().filter(|_| chunks.is_empty())) {
        return Some(from.to_string());
    }
    let dropped = dropped(policy, database, state, aggregate);
    let by_age = dropped.map(|age| age.before(now, policy.zone.time_zone()).max(age.before(now, &jiff::tz::TimeZone::UTC)));
    // A chunk of the aggregate spans many of the source's: where the oldest of those begins there may have been others.
    let oldest = chunks.iter().filter_map(begins).min();
    let older = oldest.filter(|oldest| aggregate.chunks.iter().filter_map(begins).any(|begin| begin < *oldest));
    let left = left(source(state, aggregate));
    by_age.into_iter().chain(older).chain(left).chain(left_since(state, aggregate, now)).max().map(|since| since.to_string())
}

/// The beginning of the source's oldest chunk, where the aggregate has a chunk that ends before it.
fn left_since(state: &TimescaleState, aggregate: &Aggregate, now: Instant) -> Option<Instant> {
    let chunks = state.chunks_of(source(state, aggregate)).unwrap_or_default();
    let since = if chunks.is_empty() { now } else { chunks.iter().filter_map(begins).min()? };
    aggregate.chunks.iter().any(|chunk| chunk.ends_by(since)).then_some(since)
}

fn begins(chunk: &Chunk) -> Option<Instant> {
    match chunk.range {
        ChunkRange::Time { from, .. } => from,
        ChunkRange::Number { .. } => None,
    }
}

/// The holds of which a refresh would take rows that goes back as far as `from`, or to the beginning, when rows of the source go at an age.
pub(super) fn holds_refreshed<'h>(
    policy: &'h Policy,
    database: &'h Database<'_>,
    view: &TableName,
    reach: Period,
    from: Option<Period>,
    now: Instant,
) -> Vec<Holding<'h>> {
    let holds = super::drops::holds_cut(policy, database, view, Some(reach), now);
    holds.into_iter().filter(|one| !ends_before(one, from, now)).collect()
}

/// All that it holds is older than what is refreshed, today and ever.
fn ends_before(one: &Holding<'_>, from: Option<Period>, now: Instant) -> bool {
    let (Some(to), Some(from)) = (one.hold.to, from) else { return false };
    let end = to.0.tomorrow().ok().and_then(|day| day.to_zoned(one.zone.clone()).ok());
    end.is_some_and(|end| end.timestamp() <= from.before(now, one.zone))
}
