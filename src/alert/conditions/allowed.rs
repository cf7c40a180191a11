//! How much is allowed, as the policy writes it or as it follows from what the policy promises: the same for alerts and for everybody who
//! only says how things stand.

use super::limit::Limit;
use crate::policy::file::{Severity, Thresholds};
use crate::policy::model::{Drill, Policy};
use crate::units::{Duration, Name, Percent};

/// How far clocks may be apart; expiry stops at minutes.
pub const CLOCK_SKEW: Duration = Duration::from_secs(60);
/// How long before a hold ends somebody is told.
pub const NOTICE_OF_HOLDS: Duration = Duration::from_days(30);

fn thresholds(policy: &Policy) -> Option<&Thresholds> {
    policy.file.alerts.as_ref()?.thresholds.as_ref()
}

/// How long written data may wait to be archived; none where nothing is. Without a threshold: the RPO, but never less than archiving is
/// allowed to take; without an RPO twice `wal.timeout` and 5 minutes.
pub fn wal_lag(policy: &Policy) -> Option<Limit<Duration>> {
    let longest = policy.wal.as_ref()?.timeout * 2;
    let value = policy.objectives.rpo.map_or(longest + Duration::from_mins(5), |rpo| rpo.max(longest));
    let default = Limit { value, lasting: Duration::ZERO, severity: Severity::Critical };
    Limit::of(thresholds(policy).and_then(|thresholds| thresholds.wal_lag.as_ref()), Some(default))
}

/// How long what was exported may wait for somebody who reads it back.
pub fn archive_unread(policy: &Policy) -> Limit<Duration> {
    let default = Limit { value: Duration::from_days(7), lasting: Duration::ZERO, severity: Severity::Warning };
    Limit::of(thresholds(policy).and_then(|thresholds| thresholds.archive_unread.as_ref()), Some(default)).unwrap_or(default)
}

/// How full a store may be.
pub fn storage_used(policy: &Policy) -> Limit<Percent> {
    let default = Limit { value: Percent::new(80), lasting: Duration::ZERO, severity: Severity::Warning };
    Limit::of(thresholds(policy).and_then(|thresholds| thresholds.storage_used.as_ref()), Some(default)).unwrap_or(default)
}

/// How old a job's newest backup may be, as far as that is a figure: the threshold; without one the RPO, where no log is archived that could
/// bring later changes back. That a backup is late by its schedule alone is another question.
pub fn backup_age(policy: &Policy, job: &Name) -> Option<Limit<Duration>> {
    let scheduled = policy.backups.get(job).is_some_and(|backup| backup.schedule.is_some());
    let written = thresholds(policy)
        .and_then(|thresholds| thresholds.backup_age_of.get(job).or(thresholds.backup_age.as_ref().filter(|_| scheduled)));
    let promised = policy.objectives.rpo.filter(|_| policy.wal.is_none() && scheduled);
    Limit::of(written, promised.map(|value| Limit { value, lasting: Duration::ZERO, severity: Severity::Critical }))
}

/// How far a standby may be behind. Without a threshold: the RPO; without that standbys are not watched.
pub fn replication_lag(policy: &Policy) -> Option<Limit<Duration>> {
    policy.file.cluster.as_ref()?;
    let promised = policy.objectives.rpo.map(|value| Limit { value, lasting: Duration::from_mins(2), severity: Severity::Warning });
    Limit::of(thresholds(policy).and_then(|thresholds| thresholds.replication_lag.as_ref()), promised)
}

/// How long a drill's restore may take. Without a threshold: `drills.NAME.within`, what the RTO of its scenario leaves, or the RTO.
pub fn restore_time(policy: &Policy, drill: &Drill) -> Option<Limit<Duration>> {
    let of_scenario = || drill.left_of_scenario(policy).map(|(_, left)| left);
    let promised = drill.within.or_else(of_scenario).or(policy.objectives.rto);
    let default = promised.map(|value| Limit { value, lasting: Duration::ZERO, severity: Severity::Warning });
    Limit::of(thresholds(policy).and_then(|thresholds| thresholds.restore_time.as_ref()), default)
}

/// How far a backup's size may stray, where its job says nothing; nothing without a threshold.
pub fn size_deviation(policy: &Policy) -> Option<Limit<Percent>> {
    Limit::of(thresholds(policy).and_then(|thresholds| thresholds.size_deviation.as_ref()), None)
}

/// How old the newest successful drill may be; nothing without a threshold.
pub fn drill_age(policy: &Policy) -> Option<Limit<Duration>> {
    Limit::of(thresholds(policy).and_then(|thresholds| thresholds.drill_age.as_ref()), None)
}

/// For how long a drill that passed is evidence: `drill_age`. Without it one with a schedule is until the next one is overdue, and one that
/// runs on demand for a quarter.
pub fn drill_proves(policy: &Policy, drill: &Drill) -> Option<Duration> {
    let on_demand = || drill.schedule.is_none().then_some(Drill::A_QUARTER);
    drill_age(policy).map(|limit| limit.value).or_else(on_demand)
}

/// The share of the last 30 days' runs that must have succeeded; nothing without a threshold.
pub fn success_rate(policy: &Policy) -> Option<Limit<Percent>> {
    Limit::floor(thresholds(policy).and_then(|thresholds| thresholds.success_rate.as_ref()))
}
