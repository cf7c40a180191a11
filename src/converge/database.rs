//! One database: everything the policy says of it, and what it has besides.

use super::drops::{Drops, drops, holds_cut};
use super::{Found, Heedless, JobReport, JobState, NO_WORKERS, Remark, aggregates, compression, heedless, job_reports, retention};
use crate::inventory::{Age, DimensionKind, Held, Hypertable, JobKind, Licence, Observed, TableName, Timescale, TimescaleState};
use crate::plan::minute;
use crate::plan::words::{counted, plain, quoted};
use crate::policy::file;
use crate::policy::model::OtherHold;
use crate::policy::path::PolicyPath;
use crate::policy::sql_name;
use crate::units::Instant;

const JOBS_HINT: &str = "Look at `timescaledb_information.job_errors` and at the server's log; do background workers run?";

const WORKERS_HINT: &str = "A restored server has none until `seawall release --restart`, or a restart after `seawall release`.";

/// A database, while it is compared.
pub(super) struct Database<'d> {
    pub name: &'d str,
    pub state: &'d TimescaleState,
    /// What it says of holds. None: nobody asked.
    pub held: Option<&'d Observed<Held>>,
    /// The holds of other policies that stand.
    pub others: Vec<OtherHold>,
}

impl<'d> Database<'d> {
    pub fn new(name: &'d str, state: &'d TimescaleState, held: Option<&'d Observed<Held>>) -> Database<'d> {
        let others = held.and_then(Observed::known).map(|held| held.others.as_slice()).unwrap_or_default();
        let others = others.iter().map(|(policy, entry)| OtherHold::shown(name, policy, entry)).collect();
        Database { name, state, held, others }
    }

    /// Up to when rows have left a table by Seawall's hand.
    pub fn left_until(&self, table: &TableName) -> Option<Instant> {
        self.held?.known()?.left_until(table)
    }
}

pub(super) fn compare(found: &mut Found<'_>, name: &str, observed: &Observed<Timescale>, held: Option<&Observed<Held>>) {
    let path = PolicyPath::from(["timescaledb", name]);
    let policy = found.policy;
    let written = policy.file.timescaledb.get(name);
    let state = match observed {
        Observed::Unknown { reason } => {
            let message = format!("what {} keeps is not known: {}", quoted(name), plain(reason));
            return found.unknown.push(Remark::new(path, message, "Nothing is changed where nothing is known."));
        }
        Observed::Known(Timescale::Absent) if written.is_none() => return,
        Observed::Known(Timescale::Absent) => {
            let hint = "Run `CREATE EXTENSION timescaledb` there, or take the section out.";
            return found.refuse(path, format!("{} has no TimescaleDB", quoted(name)), hint);
        }
        Observed::Known(Timescale::Installed(state)) => state,
    };
    let database = Database::new(name, state, held);
    let nothing = file::Timescale { hypertables: Default::default(), continuous_aggregates: Default::default(), dropped_by: None };
    let written = written.unwrap_or(&nothing);
    if state.licence == Licence::Apache {
        return apache(found, &database, written, path);
    }
    let mut known = Vec::new();
    for (table, written) in &written.hypertables {
        let at = path.key("hypertables").key(table);
        let Some(hypertable) = only(found, table, &at, "hypertable", state.hypertables.iter().map(|one| (&one.table, one))) else {
            continue;
        };
        if by_number(found, hypertable, table, written, &at) {
            continue;
        }
        known.push(&hypertable.table);
        compression::compare(found, &database, hypertable, table, written, &at);
        retention::compare(found, &database, &hypertable.table, table, written.retain, &at);
    }
    for (view, written) in &written.continuous_aggregates {
        let at = path.key("continuous_aggregates").key(view);
        let all = state.continuous_aggregates.iter().map(|one| (&one.view, one));
        let Some(aggregate) = only(found, view, &at, "continuous aggregate", all) else { continue };
        known.push(&aggregate.view);
        aggregates::compare(found, &database, aggregate, view, written, &at);
        retention::compare(found, &database, &aggregate.view, view, written.retain, &at);
    }
    archived(found, &database, &mut known);
    for aggregate in state.continuous_aggregates.iter().filter(|aggregate| !known.contains(&&aggregate.view)) {
        aggregates::limit(found, &database, aggregate, &path);
    }
    besides(found, &database, &known, &path);
    for Heedless { says, .. } in heedless(found.policy, name, state, held, found.now) {
        found.remark(path.clone(), says, Heedless::HINT);
    }
    jobs(found, state, &path);
}

/// Hypertables that an archive of the policy's own names, and nothing else of it: one written below `timescaledb` is compared with the rest there. What is no
/// hypertable has no jobs.
fn archived<'d>(found: &mut Found<'_>, database: &Database<'d>, known: &mut Vec<&'d TableName>) {
    let policy = found.policy;
    for archive in policy.archives.iter().filter(|archive| archive.database == database.name && archive.column.is_some()) {
        let meaning = sql_name::meaning(&archive.table);
        let tables = database.state.hypertables.iter().map(|one| &one.table);
        let meant: Vec<&TableName> = tables.filter(|table| table.is_meant_by(&meaning)).collect();
        if meant.iter().any(|table| known.contains(table)) {
            continue;
        }
        if let [table] = meant[..] {
            known.push(table);
            retention::archived(found, database, table, archive);
        } else if meant.iter().any(|table| database.state.jobs_of(table, JobKind::Retention).next().is_some()) {
            let message = format!("{} may be each of {}, and a job drops rows", quoted(&archive.table), counted(meant.len(), "hypertable"));
            found.refuse(archive.path.key("table"), message, "Write its schema before it, as `schema.table`.");
        }
    }
}

/// The one that a name of the policy means.
fn only<'t, T>(
    found: &mut Found<'_>,
    written: &str,
    path: &PolicyPath,
    what: &str,
    all: impl Iterator<Item = (&'t TableName, T)>,
) -> Option<T> {
    let meaning = sql_name::meaning(written);
    let mut fitting: Vec<(&TableName, T)> = all.filter(|(table, _)| table.is_meant_by(&meaning)).collect();
    match fitting.len() {
        1 => fitting.pop().map(|(_, one)| one),
        0 => {
            let message = format!("there is no {what} {}", quoted(written));
            found.refuse(path.clone(), message, "Check the name, or make it first; a plain table is no hypertable.");
            None
        }
        count => {
            let message = format!("{} means each of {}", quoted(written), counted(count, what));
            found.refuse(path.clone(), message, "Write its schema before it, as `schema.table`.");
            None
        }
    }
}

/// An age means nothing to a table that is divided by a number.
fn by_number(found: &mut Found<'_>, hypertable: &Hypertable, written: &str, wants: &file::Hypertable, path: &PolicyPath) -> bool {
    let Some(DimensionKind::Number { .. }) = hypertable.dimensions.first().map(|dimension| &dimension.by) else { return false };
    if wants.compress.is_some() || wants.retain.is_some() || wants.archive.is_some() {
        let column = quoted(&hypertable.dimensions[0].column);
        let message = format!("{} is divided by the number {column}, so TimescaleDB cannot tell how old its rows are", quoted(written));
        found.refuse(path.clone(), message, "Give it a column with a time, or keep its jobs by hand and take it out of the policy.");
    }
    true
}

/// What needs a job of the database cannot be had; what Seawall does itself can.
fn apache(found: &mut Found<'_>, database: &Database<'_>, written: &file::Timescale, path: PolicyPath) {
    for (table, wants) in &written.hypertables {
        let at = path.key("hypertables").key(table);
        let all = database.state.hypertables.iter().map(|one| (&one.table, one));
        let Some(hypertable) = only(found, table, &at, "hypertable", all) else { continue };
        if by_number(found, hypertable, table, wants, &at) {
            continue;
        }
        match drops(found.policy, database, (&hypertable.table, table.as_str()), wants.retain, found.now) {
            Drops::Database { after } => {
                let message = format!(
                    "rows of {} older than {after} stay: the TimescaleDB {} of {} has no job that drops them (`timescaledb.license` is `apache`)",
                    quoted(table),
                    plain(&database.state.version),
                    quoted(database.name)
                );
                found.refuse(
                    at.key("retain"),
                    message,
                    "Write `dropped_by: seawall` beside `hypertables`: Seawall then drops them once a day.",
                );
            }
            Drops::Nobody | Drops::Seawall { .. } => {
                retention::compare(found, database, &hypertable.table, table, wants.retain, &at);
            }
        }
    }
    let wanted = written.hypertables.values().filter(|one| one.compress.is_some()).count() + written.continuous_aggregates.len();
    if wanted == 0 {
        return;
    }
    let message = format!(
        "the TimescaleDB {} of {} is without compression, jobs and continuous aggregates (`timescaledb.license` is `apache`): {} of the \
         policy cannot be had",
        plain(&database.state.version),
        quoted(database.name),
        counted(wanted, "thing")
    );
    found.refuse(path, message, "Install the community build of the same version, or take out what only that one has.");
}

/// What the database does and the policy does not speak of, and what went wrong there.
fn besides(found: &mut Found<'_>, database: &Database<'_>, known: &[&TableName], path: &PolicyPath) {
    for job in &database.state.jobs {
        let Some(of) = &job.of else { continue };
        if job.does == JobKind::Retention && !known.contains(&of) {
            // Where it goes by something else than the age, nobody can say when a held row is dropped.
            let age = job.after.as_ref().and_then(Age::period);
            let held = holds_cut(found.policy, database, of, age, found.now);
            // What another policy holds and this one does not speak of is for that one to say.
            if let Some(hold) = held.iter().find(|one| one.name.policy.is_none()) {
                let path = PolicyPath::from(["holds", hold.name.name.as_str(), "rows"]);
                retention::release(found, database, of, job, &hold.name, path);
                continue;
            }
            let after = job.after.as_ref().map_or_else(|| "by when they were made".to_owned(), |after| format!("after {after}"));
            let message = format!("job {} drops chunks of {} {after}, of which the policy says nothing", job.id, table_words(of));
            found.remark(path.clone(), message, "Write it into the policy, so that whoever reads that knows of it.");
        }
    }
}

/// What its jobs have to say, worst or not.
fn jobs(found: &mut Found<'_>, state: &TimescaleState, path: &PolicyPath) {
    for JobReport { id, does, state } in job_reports(state, found.seen_at) {
        let job = format!("job {id}, {does},");
        match state {
            JobState::Well => {}
            JobState::Excused { error } => {
                let message = format!("{job} is recorded as failed ({error}), and what it should have done is done");
                found.remark(path.clone(), message, "");
            }
            JobState::Behind { amount, error } => {
                let error = error.map(|error| format!(": {error}")).unwrap_or_default();
                found.remark(path.clone(), format!("{job} has left {amount}{error}"), JOBS_HINT);
            }
            JobState::Failed { error, .. } => found.remark(path.clone(), format!("{job} failed: {error}"), JOBS_HINT),
            JobState::Overdue { since } => {
                found.remark(path.clone(), format!("{job} should have run at {}, and has not", minute(since)), JOBS_HINT);
            }
            JobState::NoWorkers => found.remark(path.clone(), format!("{job} does not run: {NO_WORKERS}"), WORKERS_HINT),
        }
    }
}

/// Somebody's table, in words.
pub(super) fn table_words(table: &TableName) -> String {
    if table.schema == "public" { quoted(&table.name) } else { quoted(format!("{}.{}", table.schema, table.name)) }
}
