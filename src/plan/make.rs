//! Putting a plan together.

use std::collections::BTreeMap;

use super::basis::basis;
use super::due::{self, Due};
use super::existing::{self, Fate, STALE_AFTER, StoreState};
use super::forecast::{ForecastError, forecast};
use super::step::Step;
use super::{Job, Plan, Run, steps};
use crate::inventory::{ClusterInventory, Observed};
use crate::policy::file::Files;
use crate::policy::model::{Backup, Method, Policy, Timed, TimedKind};
use crate::policy::path::{PolicyPath, Step as PathStep};
use crate::schedule::Schedule;
use crate::units::{BackupId, Duration, Instant, Name};

/// How far the calendar looks ahead.
const CALENDAR_SPAN: Duration = Duration::from_days(7);
/// How many runs of one job are listed before they are summed up.
const LISTED_RUNS: usize = 8;
/// How many next runs each job names.
const NEXT_RUNS: usize = 3;

/// Works out what a policy does from `now` on. `until` asks for a look at what will exist then.
pub fn make(
    policy: &Policy,
    inventory: Option<(&ClusterInventory, Instant)>,
    now: Instant,
    until: Option<Instant>,
) -> Result<Plan, ForecastError> {
    let observed = inventory;
    let (observed_at, inventory) = (inventory.map(|(_, at)| at), inventory.map(|(inventory, _)| inventory));
    let timed = policy.timed();
    let stores = existing::stores(policy, inventory, now);
    let expired = expired(&stores);
    let jobs = jobs(policy, &timed, observed, &expired, now);
    Ok(Plan {
        policy: policy.name.clone(),
        digest: policy.digest.clone(),
        made_at: now,
        observed_at,
        calendar: calendar(&timed, now),
        jobs,
        unknown: unknown(inventory, observed_at, &stores, now),
        stores,
        forecast: until.map(|until| forecast(policy, inventory, now, until)).transpose()?,
    })
}

fn expired(stores: &[StoreState]) -> Vec<(Name, Vec<BackupId>)> {
    stores
        .iter()
        .map(|store| {
            (
                store.store.clone(),
                store.existing.iter().filter(|backup| matches!(backup.fate, Fate::Delete { .. })).map(|backup| backup.id.clone()).collect(),
            )
        })
        .collect()
}

fn unknown(inventory: Option<&ClusterInventory>, observed_at: Option<Instant>, stores: &[StoreState], now: Instant) -> Vec<String> {
    let Some(inventory) = inventory else {
        return vec!["no inventory was given: which backups exist, what was measured and what is due are unknown".into()];
    };
    let mut unknown = Vec::new();
    if let Some(at) = observed_at {
        let age = Duration::between(at, now);
        if age > STALE_AFTER {
            unknown.push(format!("the inventory was observed {age} ago, at {}: what happened since is unknown", minute(at)));
        }
    }
    unknown.extend(stores.iter().filter_map(|store| store.unknown.as_ref().map(|reason| format!("store `{}`: {reason}", store.store))));
    let mut add = |what: &str, reason: Option<&String>| unknown.extend(reason.map(|reason| format!("{what}: {reason}")));
    fn why<T>(observed: &Observed<T>) -> Option<&String> {
        if let Observed::Unknown { reason } = observed { Some(reason) } else { None }
    }
    add("the cluster's identifier", why(&inventory.system_identifier));
    add("the cluster's size", why(&inventory.cluster_size));
    add("what was measured", why(&inventory.measured));
    add("holds placed at run time", why(&inventory.holds));
    unknown
}

fn calendar(timed: &[Timed<'_>], now: Instant) -> Vec<Run> {
    let end = now.checked_add(CALENDAR_SPAN.to_signed()).unwrap_or(now);
    let mut runs = Vec::new();
    for job in timed {
        let mut firings = job.schedule.firings(now, end);
        let listed: Vec<Instant> = firings.by_ref().take(LISTED_RUNS).collect();
        let more = firings.count() as u64;
        let run = |at: Instant, and_then: u64| Run { at, local: local(&job.schedule, at), job: job.path.clone(), and_then };
        match (more, listed.first()) {
            (0, _) => runs.extend(listed.iter().map(|at| run(*at, 0))),
            (more, Some(first)) => runs.push(run(*first, more + listed.len() as u64 - 1)),
            (_, None) => {}
        }
    }
    runs.sort_by(|one, other| one.at.cmp(&other.at).then_with(|| one.job.cmp(&other.job)));
    runs
}

fn local(schedule: &Schedule, at: Instant) -> String {
    format!("{} {}", schedule.wall_clock(at).strftime("%a %Y-%m-%d %H:%M"), schedule.zone())
}

/// A moment for people, to the minute.
pub fn minute(at: Instant) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn jobs(
    policy: &Policy,
    timed: &[Timed<'_>],
    observed: Option<(&ClusterInventory, Instant)>,
    expired: &[(Name, Vec<BackupId>)],
    now: Instant,
) -> Vec<Job> {
    let mut gaps: BTreeMap<String, Duration> = BTreeMap::new();
    let mut gap = |schedule: &Schedule| *gaps.entry(schedule.describe()).or_insert_with(|| schedule.longest_gap(now).length);
    let mut jobs = Vec::new();
    for (name, backup) in &policy.backups {
        let path = PolicyPath::from(["backups", name.as_str()]);
        let scheduled = timed.iter().find(|job| job.path == path);
        jobs.push(Job {
            job: path,
            kind: TimedKind::Backup,
            method: Some(backup.method.as_str().into()),
            schedule: backup.schedule.as_ref().map(Schedule::describe),
            window: scheduled.and_then(|job| job.window).map(|(name, window)| format!("{name}: {}", window.window.describe())),
            longest_gap: backup.schedule.as_ref().map(&mut gap),
            next: next(backup.schedule.as_ref(), now),
            due: due::of_backup(policy, name, backup, observed, now),
            runs_in_this_version: backup.method.runs_in_this_version(),
            steps: steps::of_backup(policy, name, backup, &next_basis(policy, name, backup, observed, now)),
        });
    }
    let keeps_something = policy.backups.values().any(|backup| backup.store.is_some());
    if keeps_something {
        jobs.push(expire(policy, expired, now));
    }
    for job in timed.iter().filter(|job| !matches!(job.kind, TimedKind::Backup | TimedKind::Expire)) {
        jobs.push(Job {
            job: job.path.clone(),
            kind: job.kind,
            method: None,
            schedule: Some(job.schedule.describe()),
            window: job.window.map(|(name, window)| format!("{name}: {}", window.window.describe())),
            longest_gap: Some(gap(&job.schedule)),
            next: next(Some(&job.schedule), now),
            due: Due::Unknown { reason: "an inventory does not hold its past runs".into() },
            runs_in_this_version: match job.kind {
                TimedKind::Verify | TimedKind::Duty | TimedKind::Archive | TimedKind::Retain | TimedKind::Report => true,
                TimedKind::Drill => policy.drills.get(name_of(job)).is_some_and(|drill| drill.runs_in_this_version(policy)),
                _ => false,
            },
            steps: steps_of(policy, job),
        });
    }
    for (name, drill) in policy.drills.iter().filter(|(_, drill)| drill.schedule.is_none()) {
        jobs.push(Job {
            job: PolicyPath::from(["drills", name.as_str()]),
            kind: TimedKind::Drill,
            method: None,
            schedule: None,
            window: None,
            longest_gap: None,
            next: Vec::new(),
            due: Due::OnDemand,
            runs_in_this_version: drill.runs_in_this_version(policy),
            steps: steps::of_drill(policy, drill),
        });
    }
    jobs
}

/// What a `files` job with increments takes next, by what lay in its store when that was observed.
fn next_basis(policy: &Policy, name: &Name, backup: &Backup, observed: Option<(&ClusterInventory, Instant)>, now: Instant) -> String {
    let Method::Files(Files { full_every: Some(every), .. }) = &backup.method else { return String::new() };
    let seen = observed.and_then(|(inventory, _)| Some((inventory, inventory.stores.get(policy.store_of(name)?)?.known()?)));
    let Some((inventory, store)) = seen else {
        return format!("a full one when the last full one began {every} ago, otherwise an increment: which, is unknown");
    };
    let at = backup.schedule.as_ref().and_then(|schedule| schedule.next_after(now)).unwrap_or(now);
    basis(name, Some(*every), &store.backups, inventory.system_identifier.known().copied(), at).to_string()
}

fn expire(policy: &Policy, expired: &[(Name, Vec<BackupId>)], now: Instant) -> Job {
    let schedule = policy.expire.schedule.as_ref();
    let owed = expired.iter().map(|(_, backups)| backups.len()).sum::<usize>();
    let due = match schedule {
        _ if owed > 0 => Due::Now { since: now },
        Some(schedule) => schedule.next_after(now).map_or(Due::OnDemand, |at| Due::Later { at }),
        None => Due::OnDemand,
    };
    Job {
        job: PolicyPath::from(["expire"]),
        kind: TimedKind::Expire,
        method: None,
        schedule: Some(
            schedule.map_or_else(|| "after each backup".to_owned(), |schedule| format!("after each backup, and {}", schedule.describe())),
        ),
        window: None,
        longest_gap: None,
        next: next(schedule, now),
        due,
        runs_in_this_version: true,
        steps: steps::of_expire(policy, expired),
    }
}

fn next(schedule: Option<&Schedule>, now: Instant) -> Vec<Instant> {
    let mut next = Vec::new();
    let mut at = now;
    while let Some(firing) = schedule.filter(|_| next.len() < NEXT_RUNS).and_then(|schedule| schedule.next_after(at)) {
        next.push(firing);
        at = firing;
    }
    next
}

/// `drills.weekly` is named `weekly`.
fn name_of<'j>(job: &'j Timed<'_>) -> &'j str {
    job.path.steps().get(1).and_then(|step| if let PathStep::Key(key) = step { Some(key.as_str()) } else { None }).unwrap_or_default()
}

fn steps_of(policy: &Policy, job: &Timed<'_>) -> Vec<Step> {
    let name = name_of(job);
    match job.kind {
        TimedKind::Verify => policy.verify.get(name).map(|verify| steps::of_verify(policy, verify)),
        TimedKind::Drill => policy.drills.get(name).map(|drill| steps::of_drill(policy, drill)),
        TimedKind::Archive => policy.archives.iter().find(|archive| archive.path == job.path).map(steps::of_archive),
        TimedKind::Retain => policy.droppings.iter().find(|dropping| dropping.path == job.path).map(steps::of_dropping),
        TimedKind::Report => policy.reports.get(name).map(steps::of_report),
        TimedKind::Duty => policy.duties.get(name).map(|duty| steps::of_duty(&job.path, &duty.who)),
        TimedKind::Backup | TimedKind::Expire | TimedKind::Copy => None,
    }
    .unwrap_or_default()
}
