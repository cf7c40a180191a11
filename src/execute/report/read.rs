//! What a catalog says of many policies, with a few questions for all of them.

use serde::Deserialize;

use crate::alert::{Acknowledgement, Memory};
use crate::catalog::{
    ByPolicy, Catalog, CatalogFault, JobRecord, Latest, OfPolicy, Outcome, PastNotice, PastRuns, RECOVERY_POINT, Stretch, Where,
};
use crate::execute::run;
use crate::execute::watch::{WatchFault, failing};
use crate::policy::model::Policy;
use crate::report::account::{Past, Room};
use crate::report::{Covered, JobDue, Measurements, OnRecord, Standing, stand};
use crate::units::{Instant, moment_of};
use crate::world::parallel;

use super::{Stood, Walked};

/// How far back the share of good runs looks.
const RUNS_WITHIN: jiff::SignedDuration = jiff::SignedDuration::from_hours(30 * 24);

/// So many policies are asked of at once by each thread.
const AT_ONCE: usize = 100;

/// What is on record of each policy, in their order. What the alerts remember may be unreadable for one of them and not for the others.
pub fn records(catalog: &Catalog, policies: &[&Policy], now: Instant) -> Result<Vec<Result<OnRecord, WatchFault>>, CatalogFault> {
    let parts: Vec<&[&Policy]> = policies.chunks(AT_ONCE).collect();
    let read = parallel::map_asking(&parts, &|some| -> Result<Vec<Result<OnRecord, WatchFault>>, CatalogFault> {
        let names: Vec<&str> = some.iter().map(|policy| policy.name.as_str()).collect();
        let mut all = catalog.of_policies(&names, now.checked_sub(RUNS_WITHIN).unwrap_or(now))?;
        Ok(some.iter().map(|policy| record(policy, all.remove(policy.name.as_str()).unwrap_or_default(), now)).collect())
    });
    let read: Vec<Vec<Result<OnRecord, WatchFault>>> = read.into_iter().collect::<Result<_, _>>()?;
    Ok(read.into_iter().flatten().collect())
}

/// A drill that another host ran, or somebody by hand, has its own record, which `seawall watch` has seen: nobody owes it again, and how it went is how
/// that job last went.
fn as_drilled(records: &mut [JobRecord], latest: &[Latest]) {
    let measured = |name: &str, drill: &str| latest.iter().find(|one| one.name == name && one.subject == drill).map(|one| one.value);
    for record in records {
        let Some(drill) = record.job.strip_prefix("drills.") else { continue };
        let Some(ended) = measured("drill_ended", drill).and_then(moment_of) else { continue };
        // By a second, which is all that the measurement tells.
        if record.running.is_some() || record.last_ended.is_some_and(|last| last.as_second() >= ended.as_second()) {
            continue;
        }
        let Some(passed) = measured("drill_outcome", drill).map(|outcome| outcome > 0.0) else { continue };
        (record.last_started, record.last_ended, record.last_owed_since) = (Some(ended), Some(ended), None);
        (record.last_outcome, record.last_transient) = (Some(if passed { Outcome::Succeeded } else { Outcome::Failed }), false);
        record.last_succeeded = record.last_succeeded.max(measured("drill_passed", drill).and_then(moment_of));
        record.failures_in_a_row = if passed { 0 } else { record.failures_in_a_row + 1 };
    }
}

fn record(policy: &Policy, mut found: OfPolicy, now: Instant) -> Result<OnRecord, WatchFault> {
    as_drilled(&mut found.records, &found.latest);
    let of_duty = |ack: &crate::catalog::Acknowledgement| Some((ack.key.strip_prefix("duty_due:")?.to_owned(), (ack.by.clone(), ack.at)));
    let done = found.acknowledgements.iter().filter_map(of_duty).collect();
    let (firing, unheard) = if found.memory.is_empty() {
        Default::default()
    } else {
        let memory = Memory::from_json(&found.memory)?;
        let given: Vec<Acknowledgement> = found
            .acknowledgements
            .into_iter()
            .map(|ack| Acknowledgement {
                key: ack.key,
                by: ack.by,
                at: ack.at,
                until: ack.until,
                note: Some(ack.note).filter(|note| !note.is_empty()),
            })
            .collect();
        let failing = failing(policy, found.failing.clone(), &found.undelivered);
        (memory.firing(&given, now), memory.unheard(policy, &failing, now))
    };
    Ok(OnRecord {
        records: found.records,
        last: found.last,
        made: found.made,
        took: found.took,
        firing,
        unheard,
        undelivered: found.undelivered,
        failing: found.failing,
        measured: Measurements(found.latest),
        runs: found.runs,
        done,
    })
}

/// How a policy stands by what is on record.
pub fn standing(policy: &Policy, record: &OnRecord, now: Instant) -> Standing {
    let owed = run::look(policy, &record.records, now);
    let mut timed = policy.timed();
    timed.extend(policy.copying());
    let dues = owed.all.into_iter().map(|(job, due)| JobDue {
        job: job.path.to_string(),
        kind: job.kind(),
        due,
        schedule: timed.iter().find(|timed| timed.path == job.path).map(|timed| timed.schedule.clone()),
    });
    let dues: Vec<JobDue> = dues.collect();
    stand(policy, record, &dues, now)
}

/// What a stretch of time has left on record of each policy, in their order.
pub fn past(catalog: &Catalog, stood: &[Stood<'_>], walked: &Walked, covered: Covered, room: Room) -> Result<Vec<Past>, CatalogFault> {
    fn of<T>(all: &mut ByPolicy<T>, policy: &str) -> Vec<T> {
        all.remove(policy).unwrap_or_default()
    }
    let policies: Vec<&str> = stood.iter().map(|one| one.policy.name.as_str()).collect();
    let policies = policies.as_slice();
    let stretch = Stretch { from: covered.from, to: covered.to };
    let PastRuns { mut runs, mut changes } = catalog.past_runs(policies, stretch)?;
    let mut drills = catalog.past_drills(policies, stretch)?;
    let mut last = catalog.last_drills_of(policies)?;
    let mut loss = catalog.worst(policies, RECOVERY_POINT, stretch, room.points)?;
    let mut notices = catalog.past_notices(policies, stretch)?;
    let mut after = catalog.ends_told_since(policies, stretch.to)?;
    let mut before = notices_before(catalog, stood, [&notices, &after], stretch)?;
    let mut inventories = catalog.inventories(policies)?;
    let past = |policy: &&str| Past {
        runs: of(&mut runs, policy),
        drills: of(&mut drills, policy),
        last_drills: of(&mut last, policy),
        loss: of(&mut loss, policy),
        changes: of(&mut changes, policy),
        notices: of(&mut notices, policy),
        notices_before: of(&mut before, policy),
        ends_after: of(&mut after, policy),
        acks: walked.acks(policy),
        promotions: walked.promotions(policy),
        inventory: inventories.remove(*policy),
    };
    Ok(policies.iter().map(past).collect())
}

/// What was told before the stretch of the alerts that go on in it: who is only reminded in it, or not even that, has known for longer.
fn notices_before(
    catalog: &Catalog,
    stood: &[Stood<'_>],
    told: [&ByPolicy<PastNotice>; 2],
    stretch: Stretch,
) -> Result<ByPolicy<PastNotice>, CatalogFault> {
    let oldest = |one: &Stood<'_>| {
        let rows = told.into_iter().filter_map(|told| told.get(one.policy.name.as_str())).flatten();
        let firing = one.standing.firing.iter().map(|firing| firing.since);
        rows.flat_map(|row| began(&row.notice)).chain(firing).min().filter(|began| *began < stretch.from)
    };
    let older: Vec<(&str, Instant)> = stood.iter().filter_map(|one| Some((one.policy.name.as_str(), oldest(one)?))).collect();
    let Some(from) = older.iter().map(|(_, began)| *began).min() else { return Ok(ByPolicy::new()) };
    let policies: Vec<&str> = older.into_iter().map(|(policy, _)| policy).collect();
    catalog.past_notices(&policies, Stretch { from, to: stretch.from })
}

/// When each of the things began that a notice tells.
fn began(notice: &str) -> Vec<Instant> {
    #[derive(Deserialize)]
    struct Began {
        since: Option<Instant>,
    }
    #[derive(Deserialize)]
    struct Told {
        items: Vec<Began>,
    }
    let told = serde_json::from_str::<Told>(notice).map(|told| told.items).unwrap_or_default();
    told.into_iter().filter_map(|item| item.since).collect()
}

/// What people call it: a file's own name, not the folders of this host.
pub fn catalog_name(catalog: &Catalog) -> String {
    match catalog.place() {
        Where::Sqlite(path) => path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        Where::Postgres(settings) => format!("database {}", settings.dbname),
    }
}
