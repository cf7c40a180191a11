//! How long rows stay.

use super::ages::{Allow, Around};
use super::amount::Amount;
use super::database::Database;
use super::drops::{Drops, HoldName, Why, drops, holds_cut};
use super::held::missing;
use super::{Change, Found, sql};
use crate::inventory::{Age, Chunk, JobKind, NoRows, Observed, TableName, TimescaleJob, Touch};
use crate::plan::minute;
use crate::plan::words::{joined, quoted};
use crate::policy::model::{Archive, Dropping};
use crate::policy::path::PolicyPath;
use crate::policy::sql_name::meaning;
use crate::units::{Instant, Period};

pub(super) fn compare(
    found: &mut Found<'_>,
    database: &Database<'_>,
    table: &TableName,
    written: &str,
    retain: Option<Period>,
    path: &PolicyPath,
) {
    let place = Place { database, table, written, path: &path.key("retain") };
    let mut jobs = database.state.jobs_of(table, JobKind::Retention);
    let job = jobs.next();
    match (drops(found.policy, database, (table, written), retain, found.now), job) {
        (Drops::Nobody, None) => {}
        (Drops::Nobody, Some(job)) => place.keep(found, job, "the policy keeps them", path),
        (Drops::Seawall { after, because }, job) => place.leave_to_seawall(found, after, &because, job, path),
        (Drops::Database { after }, job) => match (place.obstacle(false).filter(|_| is_sooner(job, after)), job) {
            (Some(obstacle), _) => place.wait(found, after, &obstacle),
            (None, None) => place.begin(found, after),
            (None, Some(job)) => place.change(found, after, job),
        },
    }
}

/// A table that the policy names in an archive of its own.
pub(super) fn archived(found: &mut Found<'_>, database: &Database<'_>, table: &TableName, archive: &Archive) {
    let place = Place { database, table, written: &archive.table, path: &archive.path };
    let job = database.state.jobs_of(table, JobKind::Retention).next();
    if let Drops::Seawall { after, because } = drops(found.policy, database, (table, &archive.table), None, found.now) {
        place.leave_to_seawall(found, after, &because, job, &archive.path);
    }
}

/// A table that the policy names nowhere but in a hold.
pub(super) fn release(
    found: &mut Found<'_>,
    database: &Database<'_>,
    table: &TableName,
    job: &TimescaleJob,
    hold: &HoldName,
    path: PolicyPath,
) {
    let place = Place { database, table, written: &table.name, path: &path };
    place.keep(found, job, &format!("the hold {hold} stands"), &path);
}

/// Telling it so lets rows go that the job would leave alone.
fn is_sooner(job: Option<&TimescaleJob>, after: Period) -> bool {
    let own = job.filter(|job| job.scheduled).and_then(|job| job.after.as_ref()?.period());
    !own.is_some_and(|own| own.is_as_long_as(after) || own.is_surely_shorter(after))
}

struct Place<'p> {
    database: &'p Database<'p>,
    table: &'p TableName,
    written: &'p str,
    path: &'p PolicyPath,
}

impl Place<'_> {
    fn chunks(&self) -> &[Chunk] {
        self.database.state.chunks_of(self.table).unwrap_or_default()
    }

    /// What a job would drop if it ran now.
    fn doomed(&self, after: Period, now: Instant) -> Amount {
        let limit = after.before(now, &jiff::tz::TimeZone::UTC);
        Amount::of(self.chunks().iter().filter(|chunk| chunk.ends_by(limit)))
    }

    fn table(&self) -> String {
        quoted(self.written)
    }

    fn push(&self, found: &mut Found<'_>, path: &PolicyPath, says: String, sql: String, change: impl FnOnce(Change) -> Change) {
        found.push(change(Change::new(path.clone(), Some(self.database.name), says, sql)));
    }

    /// Why nobody can tell that none of the rows which would go is held: a hold that names nothing may mean any. Seawall leaves a table alone as long as
    /// some hold names a view; the database's own job only has to know that it is none of this table.
    fn obstacle(&self, for_seawall: bool) -> Option<String> {
        let held = match self.database.held? {
            Observed::Unknown { .. } => return Some("nobody knows what other policies hold there".to_owned()),
            Observed::Known(held) => held,
        };
        let kin = self.database.state.kin(self.table);
        let holds_rows = |of: &str| matches!(kin.touch(&meaning(of)), Some(Touch::Whole | Touch::Part(_)));
        let mut empty = held.empty.iter().filter(|one| (for_seawall || one.why == NoRows::Missing) && !holds_rows(&one.of));
        empty.next().map(|one| {
            let (name, policy) = (quoted(&one.name), quoted(&one.policy));
            format!("nobody knows what the hold {name} of the policy {policy} means: {}", missing(one, self.database.name))
        })
    }

    /// What is told once that is mended.
    fn wait(&self, found: &mut Found<'_>, after: Period, obstacle: &str) {
        let message = format!("rows of {} older than {after} stay, because {obstacle}", self.table());
        found.refuse(self.path.clone(), message, "Mend the hold in its policy; then it is told to the database.");
    }

    /// There was no limit.
    fn begin(&self, found: &mut Found<'_>, after: Period) {
        let doomed = self.doomed(after, found.now);
        let says = format!("rows of {} are to be dropped after {after}, and the database keeps them for ever", self.table());
        let sql = sql::add_retention(self.database.state, self.table, after);
        let consequence = match doomed.is_nothing() {
            true => self.nothing_yet(after),
            false => format!("drops {doomed}, at once: a new job runs as soon as it is there"),
        };
        let destructive = !doomed.is_nothing();
        self.push(found, self.path, says, sql, |change| Change { drops: some(doomed), destructive, ..change.consequence(consequence) });
    }

    fn change(&self, found: &mut Found<'_>, after: Period, job: &TimescaleJob) {
        if job.after.as_ref().is_some_and(|own| own.is(after)) {
            if !job.scheduled {
                self.wake(found, after, job);
            }
            return;
        }
        let alter =
            sql::Alter { told: vec![("drop_after", after)], untold: &["drop_created_before"], wake: !job.scheduled, ..Default::default() };
        let sql = sql::alter_job(self.database.state, job, &alter);
        let is = match &job.after {
            Some(own) => format!("the database drops them after {own}"),
            None => "the database goes by when chunks were made".to_owned(),
        };
        let paused = if job.scheduled { "" } else { ", by a job that is paused" };
        let says = format!("rows of {} are to be dropped after {after}, and {is}{paused}", self.table());
        let longer = job.scheduled && job.after.as_ref().and_then(Age::period).is_some_and(|own| own.is_surely_shorter(after));
        let doomed = self.doomed(after, found.now);
        if longer {
            let consequence = format!("keeps rows for {after}; what is gone already does not come back");
            let protects = self.cuts_hold(found, job);
            return self.push(found, self.path, says, sql, |change| Change { protects, ..change.consequence(consequence) });
        }
        let consequence = match doomed.is_nothing() {
            true => self.nothing_yet(after),
            false => format!("drops {doomed}, {}", when(job)),
        };
        self.push(found, self.path, says, sql, |change| Change {
            drops: some(doomed),
            destructive: true,
            ..change.consequence(consequence)
        });
    }

    fn wake(&self, found: &mut Found<'_>, after: Period, job: &TimescaleJob) {
        let doomed = self.doomed(after, found.now);
        let says = format!("rows of {} are to be dropped after {after}, and job {} that does it is paused", self.table(), job.id);
        let sql = sql::alter_job(self.database.state, job, &sql::Alter { wake: true, ..Default::default() });
        let consequence = match doomed.is_nothing() {
            true => self.nothing_yet(after),
            false => format!("drops {doomed}, {}", when(job)),
        };
        let destructive = !doomed.is_nothing();
        self.push(found, self.path, says, sql, |change| Change { drops: some(doomed), destructive, ..change.consequence(consequence) });
    }

    /// By the age that the job has, whatever the policy says of it.
    fn cuts_hold(&self, found: &Found<'_>, job: &TimescaleJob) -> bool {
        let age = job.after.as_ref().and_then(Age::period);
        job.scheduled && !holds_cut(found.policy, self.database, self.table, age, found.now).is_empty()
    }

    /// The database drops what it must not.
    fn keep(&self, found: &mut Found<'_>, job: &TimescaleJob, why: &str, path: &PolicyPath) {
        let says = match &job.after {
            Some(after) => format!("the database drops rows of {} after {after}, and {why}", self.table()),
            None => format!("the database drops old chunks of {}, and {why}", self.table()),
        };
        let sql = sql::remove_retention(self.database.state, self.table);
        let consequence = "nothing is dropped any more by the database; the table grows";
        let protects = self.cuts_hold(found, job);
        self.push(found, path, says, sql, |change| Change { protects, ..change.consequence(consequence) });
    }

    fn leave_to_seawall(&self, found: &mut Found<'_>, after: Period, because: &[Why], job: Option<&TimescaleJob>, path: &PolicyPath) {
        let (whys, is_archived) = (joined(because), because.contains(&Why::Archive));
        if let Some(job) = job {
            self.keep(found, job, &format!("only Seawall may, {whys}"), path);
        }
        let around = Around { path: self.path.clone(), table: self.table.clone(), written: self.table(), allow: None };
        let is_job = |job: &Dropping| job.path == *self.path;
        if !is_archived && !found.policy.droppings.iter().any(is_job) {
            found.around.push(around);
            return self.stay(found, after, because, path);
        }
        if let Some(obstacle) = self.obstacle(true) {
            found.around.push(around);
            return self.wait(found, after, &obstacle);
        }
        let doomed = self.doomed(after, found.now);
        let is_held = because.iter().any(|why| matches!(why, Why::Hold(_)));
        let what = match (doomed.is_nothing(), is_held && !is_archived) {
            (true, _) => self.nothing_yet(after),
            (false, true) => format!("{doomed}, but for what is held"),
            (false, false) => doomed.to_string(),
        };
        let message = format!("rows of {} older than {after} are dropped by Seawall, {whys}: {what}", self.table());
        let hint = "`seawall run --due` does it once a day, or when the archive's schedule says so.";
        found.remark(path.clone(), message, hint);
        if !is_archived {
            let by_database = job.filter(|job| job.scheduled).and_then(|job| job.after.as_ref()?.period());
            found.around.push(Around { allow: Some(Allow { after, by_database, doomed, what }), ..around });
        }
    }

    /// Nobody drops around what is held.
    fn stay(&self, found: &mut Found<'_>, after: Period, because: &[Why], path: &PolicyPath) {
        let others = because.iter().all(|why| matches!(why, Why::Hold(HoldName { policy: Some(_), .. })));
        let (why, hint) = match others {
            true => (
                "",
                "Write that hold into this policy too: then Seawall drops around it. If the other policy is no more, whoever owns the hold says so with \
                 `delete from seawall.hold where policy = 'ITS NAME'`.",
            ),
            false => (
                ": it names a part of them, or a view, and not the table",
                "Name the table itself in the hold, and which of its rows in `where`: then Seawall drops around them.",
            ),
        };
        let message = format!("rows of {} older than {after} stay, {}{why}", self.table(), joined(because));
        found.refuse(path.clone(), message, hint);
    }

    fn nothing_yet(&self, after: Period) -> String {
        let ends = self.chunks().iter().filter_map(|chunk| match chunk.range {
            crate::inventory::ChunkRange::Time { to, .. } => to,
            crate::inventory::ChunkRange::Number { .. } => None,
        });
        match ends.min() {
            Some(first) => format!("drops nothing yet; the first chunk on {}", day(after.after(first, &jiff::tz::TimeZone::UTC))),
            None => "drops nothing yet; the table has no chunks".to_owned(),
        }
    }
}

pub(super) fn day(at: Instant) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

fn some(amount: Amount) -> Option<Amount> {
    Some(amount).filter(|amount| !amount.is_nothing())
}

/// When a job that is there runs.
pub(super) fn when(job: &TimescaleJob) -> String {
    match job.next_start {
        Some(next) if job.scheduled => format!("at the next run of job {}, {}", job.id, minute(next)),
        _ => format!("at the next run of job {}", job.id),
    }
}
