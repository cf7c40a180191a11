//! How continuous aggregates are kept up to date.

use super::database::{Database, table_words};
use super::drops::{Drops, drops};
use super::retention::when;
use super::{Change, Found, sql};
use crate::inventory::{Age, Aggregate, JobKind, TableName, TimescaleJob};
use crate::plan::words::{quoted, span};
use crate::policy::file;
use crate::policy::path::PolicyPath;
use crate::policy::sql_name;
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
    let Some(refresh) = &wants.refresh else { return };
    let path = path.key("refresh");
    let Some(every) = sql::period_of(refresh.every) else {
        return found.refuse(path.key("every"), format!("{} is longer than an interval can be", refresh.every), "Refresh it more often.");
    };
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
    let by_job = database.state.jobs_of(&aggregate.of, JobKind::Retention).filter_map(|job| job.after.as_ref()?.period()).min();
    let dropped = by_job.into_iter().chain(by_policy(found, database, &aggregate.of)).min();
    let Some(dropped) = dropped.filter(|dropped| *dropped < from) else { return false };
    let message = format!(
        "{} is refreshed as far back as {from}, and {} keeps its rows for {dropped} only: what was dropped there vanishes here too",
        quoted(written),
        table_words(&aggregate.of)
    );
    found.remark(path.key("from"), message, "Refresh no further back than the table reaches, or keep its rows for longer.");
    true
}

/// When rows of a table go by what the policy says.
fn by_policy(found: &Found<'_>, database: &Database<'_>, of: &TableName) -> Option<Period> {
    let tables = &found.policy.file.timescaledb.get(database.name)?.hypertables;
    let (written, table) = tables.iter().find(|(written, _)| sql_name::same_table(written, &sql::table(of)))?;
    match drops(found.policy, database.name, written, table.retain, found.now) {
        Drops::Nobody => None,
        Drops::Database { after } | Drops::Seawall { after, .. } => Some(after),
    }
}
