//! What drills have shown of a recovery: of a scenario those that rehearse it, of everything all that bring everything back.

use std::collections::BTreeSet;

use super::promises::Subject;
use crate::alert::allowed;
use crate::inventory::{BackupKind, DrillRecord};
use crate::policy::file::{Procedure, Recover};
use crate::policy::model::{Drill, Policy, Scenario};
use crate::units::{Duration, Instant, Name};

#[derive(Default)]
pub(super) struct Rehearsed<'d> {
    /// The newest of those drills whose last run failed: that another one has passed since does not undo it.
    pub failed: Option<&'d DrillRecord>,
    /// What passed, as its drills are defined now.
    pub passed: Option<Passed>,
    /// Where nothing did: the newest that passed as its drill was defined before.
    pub before: Option<&'d DrillRecord>,
    /// Databases that none of them has brought back, while others were.
    pub missing: Vec<String>,
    /// Jobs of the policy.
    pub jobs: Vec<String>,
}

pub(super) struct Passed {
    /// When the oldest of those ended that it rests on.
    pub at: Instant,
    /// What a recovery took.
    pub seconds: Option<f64>,
    /// For how long that is evidence; none where a schedule says when the next one is due.
    pub proves_for: Option<Duration>,
    pub rests_on: RestsOn,
}

/// Which drills say how long a recovery takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RestsOn {
    /// The newest.
    One,
    /// One of each database, one after the other: all of them are wanted back.
    Each,
    /// The slowest of those of each database: one of them is wanted back, and nobody knows which.
    Slowest,
}

/// `drilled` is the newest first, and nobody ended any of them.
pub(super) fn rehearsed<'d>(policy: &Policy, drilled: &[&'d DrillRecord], subject: Subject<'_>) -> Rehearsed<'d> {
    if let Some(tier) = subject.tier {
        let of_tier: Vec<&DrillRecord> =
            drilled.iter().copied().filter(|record| record.tiers.iter().any(|one| one.tier == *tier)).collect();
        if !of_tier.is_empty() {
            return of_a_tier(policy, &of_tier, tier);
        }
    }
    let in_parts = are_all_in_parts(policy);
    let suits = |drill: &Drill| match subject.scenario {
        Some(of) => rehearses(drill, of),
        None => drill.restores_everything(policy) || (in_parts && is_a_part(policy, drill)),
    };
    let is_of_it = |record: &&DrillRecord| match (drill_of(policy, record), subject.scenario) {
        (Some(drill), Some((_, scenario))) => suits(drill) && is_from(record, scenario),
        (Some(drill), None) => suits(drill),
        // One that no policy names.
        (None, None) => record.drill.is_none() && is_a_cluster(record),
        (None, Some(_)) => false,
    };
    let of_it: Vec<&DrillRecord> = drilled.iter().copied().filter(is_of_it).collect();
    let mut known = BTreeSet::new();
    let mut last = of_it.iter().filter(|record| known.insert(&record.drill));
    let failed = last.find(|record| !record.passed()).copied();
    let good: Vec<&DrillRecord> = of_it.iter().copied().filter(|record| record.passed() && is_as_defined(policy, record)).collect();
    let (passed, missing) = passed(policy, &good, subject);
    let before = of_it.iter().copied().find(|record| record.passed()).filter(|_| good.is_empty());
    let jobs = policy.drills.iter().filter(|(_, drill)| suits(drill)).map(|(name, _)| format!("drills.{name}")).collect();
    Rehearsed { failed, passed, before, missing, jobs }
}

fn drill_of<'p>(policy: &'p Policy, record: &DrillRecord) -> Option<&'p Drill> {
    record.drill.as_ref().and_then(|name| policy.drills.get(name))
}

/// What a drill proved before somebody changed it, it need not prove now.
fn is_as_defined(policy: &Policy, record: &DrillRecord) -> bool {
    drill_of(policy, record).is_none_or(|drill| record.is_of(&drill.definition))
}

/// Some databases, and all that is in them.
fn is_a_part(policy: &Policy, drill: &Drill) -> bool {
    drill.tiers.is_none() && drill.databases(policy).is_some()
}

/// No drill brings everything back at once, and together they bring back every database.
fn are_all_in_parts(policy: &Policy) -> bool {
    let parts = || policy.drills.values().filter(|drill| is_a_part(policy, drill)).filter_map(|drill| drill.databases(policy));
    let known = policy.known_databases();
    policy.drills.values().all(|drill| !drill.restores_everything(policy))
        && !known.is_empty()
        && known.into_iter().all(|database| parts().any(|part| part.contains(database)))
}

/// A drill has brought back all of a database, by what it restored and not by what its job has now.
pub(super) fn has_all_of(policy: &Policy, record: &DrillRecord, database: &str) -> bool {
    if !record.tiers.is_empty() {
        let tiers = drill_of(policy, record).and_then(|drill| drill.tiers.as_ref());
        return tiers.is_some_and(|tiers| tiers.database == database);
    }
    record.restored.as_ref().and_then(|restored| restored.has_all_of(database)) == Some(true)
}

/// What `good` says, the newest of which comes first, and the databases of which it says nothing.
fn passed(policy: &Policy, good: &[&DrillRecord], subject: Subject<'_>) -> (Option<Passed>, Vec<String>) {
    let wanted = databases(policy, subject);
    let whole = good.iter().copied().find(|record| wanted.iter().all(|database| has_all_of(policy, record, database)));
    let rests_on = match subject.scenario {
        Some((_, scenario)) if scenario.recover == Recover::Database => RestsOn::Slowest,
        _ => RestsOn::Each,
    };
    let newest = good.first().copied().filter(|_| wanted.is_empty());
    if let Some(one) = newest.or(whole.filter(|_| rests_on == RestsOn::Each)) {
        return (Some(of_several(policy, &[one], subject, RestsOn::One)), Vec::new());
    }
    let of = |database: &String| good.iter().copied().find(|record| has_all_of(policy, record, database));
    let (mut records, mut missing): (Vec<&DrillRecord>, Vec<String>) = (Vec::new(), Vec::new());
    for database in wanted {
        match of(database) {
            Some(record) if records.iter().all(|known| known.id != record.id) => records.push(record),
            Some(_) => {}
            None => missing.push(database.clone()),
        }
    }
    match &records[..] {
        [] if good.is_empty() => (None, Vec::new()),
        [] => (None, missing),
        [one] => (Some(of_several(policy, &[one], subject, RestsOn::One)), missing),
        several => (Some(of_several(policy, several, subject, rests_on)), missing),
    }
}

/// Those that are wanted back; empty where one drill says it all.
fn databases<'p>(policy: &'p Policy, subject: Subject<'p>) -> Vec<&'p String> {
    let Some((_, scenario)) = subject.scenario else { return policy.known_databases().into_iter().collect() };
    if !matches!(scenario.recover, Recover::Cluster | Recover::Database) || scenario.by == Some(Procedure::PromoteStandby) {
        return Vec::new();
    }
    let dumped = |job: &Name| policy.backups.get(job).and_then(|backup| policy.dumped(&backup.method));
    let of_jobs: Option<Vec<&[String]>> = scenario.using.iter().map(dumped).collect();
    match of_jobs.filter(|of_jobs| !of_jobs.is_empty()) {
        Some(of_jobs) => of_jobs.into_iter().flatten().collect::<BTreeSet<&String>>().into_iter().collect(),
        None => policy.known_databases().into_iter().collect(),
    }
}

fn of_several(policy: &Policy, records: &[&DrillRecord], subject: Subject<'_>, rests_on: RestsOn) -> Passed {
    let scenario = subject.scenario.map(|(_, scenario)| scenario);
    let times: Option<Vec<f64>> = records.iter().map(|record| took(record, scenario)).collect();
    let proves_for =
        |record: &&DrillRecord| drill_of(policy, record).map_or(Some(Drill::A_QUARTER), |drill| allowed::drill_proves(policy, drill));
    Passed {
        at: records.iter().map(|record| record.ended).min().unwrap_or(Instant::MIN),
        seconds: times.map(|times| match rests_on {
            RestsOn::One | RestsOn::Each => times.iter().sum(),
            RestsOn::Slowest => times.into_iter().fold(0.0, f64::max),
        }),
        proves_for: records.iter().filter_map(proves_for).min(),
        rests_on,
    }
}

/// When it was usable says more of it than when everything was there. A drill that was too late with another tier has failed, and has measured this one.
fn of_a_tier<'d>(policy: &Policy, drilled: &[&'d DrillRecord], tier: &Name) -> Rehearsed<'d> {
    let of =
        |record: &DrillRecord| record.tiers.iter().find(|one| one.tier == *tier).and_then(|one| Some((one.millis?, one.within_millis)));
    let in_time = |record: &&DrillRecord| of(record).is_some_and(|(took, within)| within.is_none_or(|within| took <= within));
    let mut known = BTreeSet::new();
    let mut last = drilled.iter().copied().filter(|record| known.insert(&record.drill));
    // Of a drill that the policy no longer has, nobody knows which tables that were.
    let is_of_today = |record: &&DrillRecord| drill_of(policy, record).is_some() && is_as_defined(policy, record);
    let good = drilled.iter().copied().filter(in_time).find(is_of_today);
    Rehearsed {
        failed: last.find(|record| !in_time(record)),
        passed: good.map(|record| Passed {
            at: record.ended,
            seconds: of(record).map(|(millis, _)| millis as f64 / 1_000.0),
            proves_for: drill_of(policy, record).map_or(Some(Drill::A_QUARTER), |drill| allowed::drill_proves(policy, drill)),
            rests_on: RestsOn::One,
        }),
        before: drilled.iter().copied().find(in_time).filter(|_| good.is_none()),
        jobs: policy
            .drills
            .iter()
            .filter(|(_, drill)| drill.measures(policy).contains(tier))
            .map(|(name, _)| format!("drills.{name}"))
            .collect(),
        ..Rehearsed::default()
    }
}

/// A standby that is promoted is rehearsed by promoting one, and by nothing else.
fn rehearses(drill: &Drill, (name, scenario): (&Name, &Scenario)) -> bool {
    drill.rehearses.as_ref() == Some(name) && (scenario.by != Some(Procedure::PromoteStandby) || drill.promotes_for(scenario))
}

/// Somebody may have named another store than those that are left: that says nothing of them.
fn is_from(record: &DrillRecord, scenario: &Scenario) -> bool {
    let restored = record.restored.as_ref().filter(|_| scenario.by != Some(Procedure::PromoteStandby));
    scenario.from.is_empty() || restored.is_none_or(|restored| scenario.from.contains(&restored.store))
}

fn is_a_cluster(record: &DrillRecord) -> bool {
    let is_whole = |kind: BackupKind, tables: usize| kind.is_physical() && tables == 0;
    record.restored.as_ref().is_some_and(|restored| is_whole(restored.kind, restored.tables.len()))
}

/// Where a standby is promoted it is there before anything happens, and what it took to make one counts for nothing.
fn took(record: &DrillRecord, scenario: Option<&Scenario>) -> Option<f64> {
    let millis = match scenario.filter(|scenario| scenario.by == Some(Procedure::PromoteStandby)) {
        Some(_) => record.promotion.as_ref().map(|promotion| promotion.millis),
        None => record.recovery_millis,
    };
    millis.map(|millis| millis as f64 / 1_000.0)
}
