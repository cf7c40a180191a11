//! What was measured of recoveries, looked at every hour and whenever a backup or a drill has ended; in between it is remembered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::remembered::{recall, remember};
use super::stores::Stores;
use crate::alert::{Facts, Failure};
use crate::catalog::{Catalog, CatalogFault, JobRecord, Latest, Measured, RECOVERY_POINT, RECOVERY_POINT_WORST};
use crate::evidence::{
    self, EVERYTHING, Frontier, IDENTITY_FIRST_SEEN, IDENTITY_OPENED, IDENTITY_PART_FIRST_SEEN, LogSeen, Onward, Prediction, RecoveryPoint,
    ScenarioPromise, newest_of_all, part_subject,
};
use crate::inventory::{self, DrillOutcome, DrillStanding, IdentityStanding, Measurement, Observed};
use crate::observe::{Recorded, WAL_POSITION, WAL_PUSH, identities, recorded};
use crate::policy::model::{Policy, Wal};
use crate::report::{RATE_MEASURED, RATE_P50, RATE_P95, RATE_SAMPLES, rate_subject};
use crate::site::Site;
use crate::units::{Duration, Instant, Name, Rate, figure_of, moment_of};

const EVERY: jiff::SignedDuration = jiff::SignedDuration::from_mins(60);
/// About once an hour it is written down where the log ends.
const AN_HOUR: jiff::SignedDuration = jiff::SignedDuration::from_mins(58);
/// That an identity is in the policy is said again before its series would be forgotten.
const A_DAY: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);
/// The hour on the clock, in microseconds: what is thinned to one an hour is thinned by it.
const HOUR_MICROS: i64 = 3_600_000_000;
const REMEMBERED: &str = "evidence.json";
const CANARY_WRITTEN: &str = "canary_written";

/// What was found in the last hour.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Seen {
    at: Option<Instant>,
    /// Of the policy that it was reckoned for.
    digest: String,
    predictions: Vec<Prediction>,
    drills: BTreeMap<Name, DrillStanding>,
    identities: BTreeMap<String, IdentityStanding>,
    measured: inventory::Measured,
}

/// Adds to what is seen what the record has to say of recoveries. `drilled`: the record has a drill that it had not when that was last asked.
pub(super) fn look(
    site: &Site<'_>,
    catalog: &Catalog,
    (records, drilled): (&[JobRecord], bool),
    latest: &[Latest],
    facts: &mut Facts,
    now: Instant,
) -> Result<(), CatalogFault> {
    let ended = records.iter().filter(|record| is_evidence(&record.job)).filter_map(|record| record.last_ended).max();
    let is_fresh = |at: Instant| !drilled && now.duration_since(at).abs() < EVERY && ended.is_none_or(|ended| ended < at);
    let remembered = recall(site, REMEMBERED).filter(|seen: &Seen| seen.digest == site.policy.digest && seen.at.is_some_and(is_fresh));
    let seen = match remembered {
        Some(seen) => seen,
        None => {
            let seen = made_of(site.policy, recorded(site.policy, catalog, now)?, now);
            remember(site, REMEMBERED, &seen);
            seen
        }
    };
    for (name, standing) in &seen.drills {
        let last = standing.last.as_ref().and_then(|last| last.recovery_millis).or(standing.recovery_millis.first().copied());
        if let Observed::Known(jobs) = &mut facts.jobs
            && let Some(job) = jobs.get_mut(&format!("drills.{name}"))
        {
            job.restore_time = last.map(|millis| Duration::from_secs(millis.div_ceil(1_000)));
            // One that somebody ran on another host, or by hand, is a drill as well.
            job.succeeded = job.succeeded.max(standing.passed);
            job.failed = job.failed.take().or_else(|| failed(standing, job.succeeded));
        }
    }
    facts.predictions = seen.predictions;
    facts.drills = seen.drills;
    facts.measured = seen.measured;
    facts.identities = identities(latest, &[]);
    for (recipient, known) in seen.identities {
        // What was remembered may be of a part that is not encrypted to any more.
        let parts = part_subject(&recipient, "");
        if latest.iter().any(|one| one.name == IDENTITY_PART_FIRST_SEEN && one.subject.starts_with(&parts)) {
            continue;
        }
        let identity = facts.identities.entry(recipient).or_default();
        identity.opened = identity.opened.max(known.opened);
    }
    see_identities(site.policy, catalog, latest, facts, now)
}

/// By its own record, where no run of this catalog says it, and nothing went well since.
fn failed(standing: &DrillStanding, succeeded: Option<Instant>) -> Option<Failure> {
    let last = standing.last.as_ref().filter(|last| last.outcome == DrillOutcome::Failed)?;
    let message = last.message.clone().unwrap_or_default();
    succeeded.is_none_or(|succeeded| succeeded < last.ended).then(|| Failure {
        at: last.ended,
        message: last.failed_in.map_or_else(|| message.clone(), |phase| format!("{}: {message}", phase.says())),
        hint: None,
        in_a_row: 1,
    })
}

fn is_evidence(job: &str) -> bool {
    ["backups.", "drills."].iter().any(|section| job.starts_with(section))
}

fn made_of(policy: &Policy, recorded: Recorded, now: Instant) -> Seen {
    let cluster = recorded.alone();
    let (measured, proven) = (cluster.measured.known(), cluster.proven.as_ref().and_then(Observed::known));
    Seen {
        at: Some(now),
        digest: policy.digest.clone(),
        predictions: evidence::predict(policy, Some(&cluster), now),
        measured: measured.cloned().unwrap_or_default(),
        drills: proven.map(|proven| proven.drills.clone()).unwrap_or_default(),
        identities: proven.map(|proven| proven.identities.clone()).unwrap_or_default(),
    }
}

/// From when on each identity of the policy is to be proven.
fn see_identities(policy: &Policy, catalog: &Catalog, latest: &[Latest], facts: &mut Facts, now: Instant) -> Result<(), CatalogFault> {
    let recipients = evidence::recipients(policy);
    for recipient in &recipients {
        let known = latest.iter().find(|one| one.name == IDENTITY_FIRST_SEEN && one.subject == *recipient);
        if known.is_some_and(|known| now.duration_since(known.at).abs() < A_DAY) {
            continue;
        }
        let value = known.map_or(figure_of(now), |known| known.value);
        catalog.measure(policy.name.as_str(), &[Measured { name: IDENTITY_FIRST_SEEN, subject: recipient, value }], now)?;
        facts.identities.entry(recipient.clone()).or_default().first_seen.get_or_insert(now);
    }
    facts.identities.retain(|recipient, _| recipients.contains(recipient));
    // What drills say of identities is put where everything else says it.
    for (recipient, identity) in &facts.identities {
        let known = latest.iter().find(|one| one.name == IDENTITY_OPENED && one.subject == *recipient).and_then(|one| moment_of(one.value));
        if let Some(opened) = identity.opened.filter(|opened| known.is_none_or(|known| known < *opened)) {
            let opened = Measured { name: IDENTITY_OPENED, subject: recipient, value: figure_of(opened) };
            catalog.measure(policy.name.as_str(), &[opened], now)?;
        }
    }
    Ok(())
}

/// Up to where everything would survive, from what this look has seen.
pub(super) fn recovery_point(
    policy: &Policy,
    catalog: &Catalog,
    stores: &Stores,
    facts: &Facts,
    now: Instant,
) -> Result<Observed<Option<RecoveryPoint>>, CatalogFault> {
    let log = policy.wal.as_ref().map(|_| facts.wal.as_ref().map(|wal| LogSeen { waiting_since: wal.waiting_since }));
    let archived = facts.wal.known().and_then(|wal| wal.last_archived);
    let canary = match archived.filter(|_| log.is_some()) {
        // Of all rows that were written since, the first.
        Some(archived) => catalog
            .series(policy.name.as_str(), CANARY_WRITTEN, "", archived)?
            .into_iter()
            .filter_map(|(_, written)| moment_of(written))
            .filter(|written| *written > archived)
            .min(),
        None => None,
    };
    let onward = policy.wal.as_ref().map_or(Observed::Known(Vec::new()), |wal| onward(wal, stores));
    let backups = newest_of_all(policy, |job, database| newest(policy, stores, facts, (job, database)));
    Ok(evidence::recovery_point(&Frontier { backups, log, onward, canary }, now))
}

/// The databases that would be lost whatever happens, from what this look has seen.
pub(super) fn in_no_backup(policy: &Policy, stores: &Stores, facts: &Facts) -> Vec<String> {
    evidence::in_no_backup(policy, |job, database| newest(policy, stores, facts, (job, database)))
}

/// The same of each scenario that promises something of its own.
pub(super) fn scenario_points(policy: &Policy, facts: &Facts, now: Instant) -> BTreeMap<Name, Observed<Option<RecoveryPoint>>> {
    let of = |promise: &ScenarioPromise<'_>| match &facts.recovery_point {
        Observed::Known(Some(point)) if !promise.copies.is_empty() => {
            let copies: Vec<_> = promise.copies.iter().map(|store| log_in(facts, store)).collect();
            evidence::left_in_copies(point, &copies, now).map(Some)
        }
        point => point.clone(),
    };
    evidence::scenario_promises(policy).iter().map(|promise| (promise.scenario.clone(), of(promise))).collect()
}

/// When the oldest log was complete that a second copy lacks.
fn log_in(facts: &Facts, store: &Name) -> Observed<Option<Instant>> {
    match facts.copies.get(store) {
        Some(Observed::Known(copy)) if copy.has_log => Observed::Known(copy.log_behind_since),
        Some(Observed::Unknown { reason }) => Observed::unknown(reason.clone()),
        _ => Observed::unknown(format!("no log is copied to `{store}`")),
    }
}

/// How the log goes on in the stores that get it, the first one first.
fn onward(wal: &Wal, stores: &Stores) -> Observed<Vec<Onward>> {
    let Some(first) = stores.held.get(&wal.store) else { return Observed::unknown(format!("`{}` was not looked at", wal.store)) };
    let of_copy = |name: &Name| {
        let onward = stores.held.get(name)?.onward?;
        let behind_since = stores.copies.get(name)?.known()?.log_behind_since;
        Some(Onward { behind_since, ..onward })
    };
    let copies: Vec<&Name> = wal.copies.iter().filter(|copy| **copy != wal.store).collect();
    let found: Vec<Onward> = first.onward.into_iter().chain(copies.iter().filter_map(|copy| of_copy(copy))).collect();
    match copies.into_iter().find(|copy| !stores.held.contains_key(*copy)).filter(|_| found.is_empty()) {
        Some(unseen) => Observed::unknown(format!("`{unseen}` was not looked at")),
        None => Observed::Known(found),
    }
}

/// Up to when the newest backup of a job has all of a database by itself, in whichever store it lies.
fn newest(policy: &Policy, stores: &Stores, facts: &Facts, (job, database): (&Name, &str)) -> Observed<Option<Instant>> {
    let names = policy.stores_of(job);
    let of_job = || stores.held.values().filter_map(|held| held.newest.get(job));
    let newest = of_job().filter_map(|newest| newest.of(database)).max();
    // A copy has nothing that is newer than what lies where it comes from; only where nothing does, it may be all there is.
    let must_be_seen = if newest.is_some() { &names[..1] } else { &names[..] };
    let unseen = must_be_seen.iter().find(|name| !stores.held.contains_key(**name));
    let has_succeeded = || facts.jobs.known().and_then(|jobs| jobs.get(&format!("backups.{job}"))?.succeeded).is_some();
    match unseen {
        Some(unseen) => Observed::unknown(format!("`{unseen}` was not looked at")),
        // Until the first one is there, its absence is nothing unusual.
        None if newest.is_none() && !has_succeeded() && policy.is_to_have(job, database) => {
            Observed::unknown(format!("`{job}` has made no backup yet"))
        }
        None if newest.is_none() && of_job().any(|newest| newest.unrecorded) => {
            Observed::unknown(format!("what the dumps of `{job}` have is not recorded, or cannot be opened here"))
        }
        None => Observed::Known(newest),
    }
}

/// As figures on record, beside those of the other looks.
pub(super) fn record(policy: &Policy, facts: &Facts, latest: &[Latest], now: Instant, of: &mut impl FnMut(&'static str, &str, f64)) {
    let lost = |point: &Observed<Option<RecoveryPoint>>| {
        let lost = |point: &Option<RecoveryPoint>| point.map_or(EVERYTHING, |point| point.lost);
        point.known().map(|point| lost(point).as_secs() as f64)
    };
    let hour = |at: Instant| at.as_microsecond().div_euclid(HOUR_MICROS);
    let of_scenarios = facts.scenario_points.iter().map(|(scenario, point)| (scenario.as_str(), point));
    for (subject, point) in std::iter::once(("", &facts.recovery_point)).chain(of_scenarios) {
        let Some(lost) = lost(point) else { continue };
        of(RECOVERY_POINT, subject, lost);
        let is_of_this_hour = |one: &&Latest| one.name == RECOVERY_POINT_WORST && one.subject == subject && hour(one.at) == hour(now);
        let before = latest.iter().find(is_of_this_hour);
        of(RECOVERY_POINT_WORST, subject, before.map_or(lost, |before| before.value.max(lost)));
    }
    for prediction in facts.predictions.iter().filter(|prediction| prediction.is_measured()) {
        if let Some((p50, p95)) = prediction.p50.zip(prediction.p95) {
            of("recovery_time_p50_seconds", &prediction.scenario, p50.as_secs() as f64);
            of("recovery_time_p95_seconds", &prediction.scenario, p95.as_secs() as f64);
            of("recovery_time_samples", &prediction.scenario, f64::from(prediction.samples));
            of("recovery_time_measured", &prediction.scenario, prediction.newest.map_or(0.0, figure_of));
        }
    }
    for (name, rate) in [("restore_bytes_per_second", &facts.measured.restore), ("replay_bytes_per_second", &facts.measured.replay)] {
        if let Some(rate) = rate {
            of(name, "", rate.value.get() as f64);
        }
    }
    for (what, store, rate) in facts.measured.rates() {
        let subject = rate_subject(what, store.map(Name::as_str));
        for (name, value) in rate_figures(rate) {
            // It changes with a drill and not from look to look.
            let known = latest.iter().find(|one| one.name == name && one.subject == subject);
            if known.is_none_or(|known| known.value.to_bits() != value.to_bits() || now.duration_since(known.at).abs() >= A_DAY) {
                of(name, &subject, value);
            }
        }
    }
    for (drill, standing) in &facts.drills {
        let Some(last) = &standing.last else { continue };
        of("drill_ended", drill.as_str(), figure_of(last.ended));
        // One that somebody ended has neither passed nor failed.
        if last.outcome != DrillOutcome::Stopped {
            of("drill_outcome", drill.as_str(), f64::from(u8::from(last.outcome == DrillOutcome::Passed)));
        }
        of("drill_passed", drill.as_str(), standing.passed.map_or(0.0, figure_of));
        let defined = policy.drills.get(drill).map(|drill| drill.definition.as_str());
        let otherwise = standing.passed.is_some() && standing.definition.as_deref() != defined;
        of("drill_defined_otherwise", drill.as_str(), f64::from(u8::from(otherwise)));
        if let Some(millis) = last.recovery_millis.or(standing.recovery_millis.first().copied()) {
            of("drill_recovery_seconds", drill.as_str(), millis as f64 / 1_000.0);
        }
    }
}

fn rate_figures(rate: &Measurement<Rate>) -> [(&'static str, f64); 4] {
    let usual = rate.p50.unwrap_or(rate.value);
    [
        (RATE_P50, usual.get() as f64),
        (RATE_P95, rate.value.get() as f64),
        (RATE_SAMPLES, f64::from(rate.samples.unwrap_or(1))),
        (RATE_MEASURED, figure_of(rate.at)),
    ]
}

/// Where the log ends, about once an hour, and when it went back; how long the newest segment took into the store, at the moment when it was there.
pub(super) fn record_log(catalog: &Catalog, policy: &str, facts: &Facts, latest: &[Latest], now: Instant) -> Result<(), CatalogFault> {
    let Some(wal) = facts.wal.known() else { return Ok(()) };
    let last = latest.iter().find(|one| one.name == WAL_POSITION);
    // At once where it went back: what was written before that is no longer owed by any store.
    let is_due = |position: u64| last.is_none_or(|last| now.duration_since(last.at).abs() >= AN_HOUR || (position as f64) < last.value);
    if let Some(position) = wal.position.filter(|position| is_due(*position)) {
        catalog.measure(policy, &[Measured { name: WAL_POSITION, subject: "", value: position as f64 }], now)?;
    }
    if let Some((push, at)) = wal.push.zip(wal.last_archived).filter(|(_, at)| *at <= now) {
        catalog.measure(policy, &[Measured { name: WAL_PUSH, subject: "", value: push.as_secs() as f64 }], at)?;
    }
    Ok(())
}
