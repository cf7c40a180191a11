//! How continuous aggregates are kept up to date.

use super::database::{Database, table_words};
use super::reach::{dropped, holds_refreshed, reach, source};
use super::retention::when;
use super::{Change, Found, sql};
use crate::inventory::{Age, Aggregate, JobKind, TimescaleJob};
use crate::plan::words::{quoted, span};
use crate::policy::file;
use crate::policy::path::PolicyPath;
use crate::units::Period;

pub(super) fn compare(
    found: &mut Found<'_>,
    database: &Database<'_>,
    aggregate: &Aggregate,
    written: &str,
    wants: &file::ContinuousAggregate,
    path: &PolicyPath,
) {
    let jobs: Vec<&TimescaleJob> = database.state.jobs_of(&aggregate.view, JobKind::Refresh).collect();
    let path = path.key("refresh");
    let Some(refresh) = &wants.refresh else { return limit(found, database, aggregate, &path) };
    let Some(every) = sql::period_of(refresh.every) else {
        return found.refuse(path.key("every"), format!("{} is longer than an interval can be", refresh.every), "Refresh it more often.");
    };
    if refused(found, database, aggregate, written, refresh.from, &path) {
        return;
    }
    let loses = losing(found, database, aggregate, written, refresh.from, &path);
    let is_meant = |job: &&TimescaleJob| is_told(job, refresh) && job.every.is(every);
    if jobs.iter().copied().any(|job| job.scheduled && is_meant(&job)) {
        if jobs.len() > 1 {
            let message = format!("{} is refreshed by further jobs besides the one that the policy speaks of", quoted(written));
            found.remark(path, message, "They are left alone.");
        }
        return;
    }
    let means = format!("every {}, from {} to {} ago", span(refresh.every), refresh.from, refresh.to);
    let Some(job) = jobs.iter().copied().find(is_meant).or(jobs.first().copied()) else {
        let says = format!("{} is to be refreshed {means}, and no job does it", quoted(written));
        let sql = sql::add_refresh(database.state, &aggregate.view, every, refresh.from, refresh.to);
        let consequence = "refreshes at once: a new job runs as soon as it is there";
        return found.push(Change { destructive: loses, ..Change::new(path, Some(database.name), says, sql).consequence(consequence) });
    };
    let offsets = [("start_offset", &job.start_offset, refresh.from), ("end_offset", &job.end_offset, refresh.to)];
    let told = offsets.into_iter().filter(|(_, own, wanted)| !own.as_ref().is_some_and(|own| own.is(*wanted)));
    let told = told.map(|(key, _, wanted)| (key, wanted)).collect();
    let alter = sql::Alter { told, every: (!job.every.is(every)).then_some(every), wake: !job.scheduled, ..Default::default() };
    let age = |age: &Option<Age>, none: &str| age.as_ref().map_or_else(|| none.to_owned(), |age| format!("{age} ago"));
    let is = match job.scheduled {
        true => format!("is every {}, from {} to {}", job.every, age(&job.start_offset, "the beginning"), age(&job.end_offset, "now")),
        false => format!("job {} that does it is paused", job.id),
    };
    let says = format!("{} is to be refreshed {means}, and {is}", quoted(written));
    let sql = sql::alter_job(database.state, job, &alter);
    let change = Change::new(path, Some(database.name), says, sql).consequence(format!("refreshes so {}", when(job)));
    found.push(Change { destructive: loses, ..change });
}

fn is_told(job: &TimescaleJob, refresh: &file::Refresh) -> bool {
    let is = |age: &Option<Age>, period| age.as_ref().is_some_and(|age| age.is(period));
    is(&job.start_offset, refresh.from) && is(&job.end_offset, refresh.to)
}

/// What is refreshed after it was dropped from the table is empty, and so is the aggregate from then on: whoever drops it, the database's job or
/// Seawall.
fn losing(found: &mut Found<'_>, database: &Database<'_>, aggregate: &Aggregate, written: &str, from: Period, path: &PolicyPath) -> bool {
    let dropped = dropped(found.policy, database.name, database.state, aggregate);
    let Some(dropped) = dropped.filter(|dropped| *dropped < from) else { return false };
    let message = format!(
        "{} is refreshed as far back as {from}, and {} keeps its rows for {dropped} only: what was dropped there vanishes here too",
        quoted(written),
        table_words(source(database.state, aggregate))
    );
    found.remark(path.key("from"), message, "Refresh no further back than the table reaches, or keep its rows for longer.");
    true
}

/// The same of a job that the policy does not speak of: whoever archives a table, or lets its rows go, learns what goes with them.
fn emptied(
    found: &mut Found<'_>,
    database: &Database<'_>,
    aggregate: &Aggregate,
    job: &TimescaleJob,
    (from, back): (Option<Period>, &str),
    path: &PolicyPath,
) {
    let dropped = dropped(found.policy, database.name, database.state, aggregate);
    let Some(dropped) = dropped.filter(|dropped| from.is_none_or(|from| *dropped < from)) else { return };
    let message = format!(
        "job {} refreshes {} from {back} on, and {} keeps its rows for {dropped} only: what was dropped there vanishes here too",
        job.id,
        table_words(&aggregate.view),
        table_words(source(database.state, aggregate))
    );
    found.remark(path.clone(), message, "Write its `refresh` into the policy, no further back than the table reaches.");
}

/// A refresh that the policy asks for would take held rows away. It is not set up, and what does so already is limited.
fn refused(found: &mut Found<'_>, database: &Database<'_>, aggregate: &Aggregate, written: &str, from: Period, path: &PolicyPath) -> bool {
    let (state, now) = (database.state, found.now);
    let Some(reach) = reach(found.policy, database, aggregate, now).filter(|reach| *reach < from) else { return false };
    let holds = holds_refreshed(found.policy, database, &aggregate.view, reach, Some(from), now);
    let Some(hold) = holds.first() else { return false };
    let message = format!(
        "{} is to be refreshed as far back as {from}, and the rows of {} are whole for {reach} only: that would take rows away that the hold \
         {} protects",
        quoted(written),
        table_words(source(state, aggregate)),
        hold.name
    );
    found.refuse(path.key("from"), message, &format!("Write `{reach}` or shorter until the hold has ended."));
    limit(found, database, aggregate, path);
    true
}

/// Jobs that refresh an aggregate, as far back as rows are held whose source is gone, refresh no further than that reaches.
pub(super) fn limit(found: &mut Found<'_>, database: &Database<'_>, aggregate: &Aggregate, path: &PolicyPath) {
    let (state, now) = (database.state, found.now);
    let Some(reach) = reach(found.policy, database, aggregate, now) else { return };
    for job in state.jobs_of(&aggregate.view, JobKind::Refresh).filter(|job| job.scheduled) {
        let from = job.start_offset.as_ref().and_then(Age::period);
        if from.is_some_and(|from| from <= reach) {
            continue;
        }
        let holds = holds_refreshed(found.policy, database, &aggregate.view, reach, from, now);
        let back = from.map_or_else(|| "the beginning".to_owned(), |from| format!("{from} ago"));
        let Some(hold) = holds.first() else {
            emptied(found, database, aggregate, job, (from, &back), path);
            continue;
        };
        let says = format!(
            "job {} refreshes {} from {back} on, and the rows of {} are whole for {reach} only: that takes rows away that the hold {} protects",
            job.id,
            table_words(&aggregate.view),
            table_words(source(state, aggregate)),
            hold.name
        );
        let sql = sql::alter_job(state, job, &sql::Alter { told: vec![("start_offset", reach)], ..Default::default() });
        let consequence = "what is older in the aggregate stays as it is";
        let change = Change::new(path.clone(), Some(database.name), says, sql).consequence(consequence);
        found.push(Change { protects: true, ..change });
    }
}
