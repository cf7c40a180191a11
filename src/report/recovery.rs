//! What recoveries have shown of a policy, as it was last seen.

use schemars::JsonSchema;
use serde::Serialize;

use super::Measurements;
use crate::catalog::{Latest, RECOVERY_POINT};
use crate::evidence::{Noted, ScenarioPromise, identities, recipients, scenario_promises};
use crate::policy::model::Policy;
use crate::units::{Duration, Instant, moment_of};

/// Evidence on record.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct RecoveryStanding {
    /// How much would have been lost at the last look; a thousand years where that was everything.
    pub lost_seconds: Option<u64>,
    /// Each scenario that promises other than the policy does for everything, as far as it was seen.
    pub points: Vec<ScenarioPoint>,
    /// Each recovery that is promised or could be asked for; the whole policy is `everything`.
    pub times: Vec<RecoveryTime>,
    /// Each drill of the policy that has run.
    pub drills: Vec<DrillSeen>,
    /// The recovery identities of the policy.
    pub identities: Vec<IdentitySeen>,
    /// How fast files are restored, at the careful end.
    pub restore_bytes_per_second: Option<u64>,
    /// How fast log is replayed, at the careful end.
    pub replay_bytes_per_second: Option<u64>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ScenarioPoint {
    pub scenario: String,
    /// What is promised.
    pub promised: Duration,
    /// How much would have been lost at the last look. Absent where it could not say.
    pub lost_seconds: Option<u64>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RecoveryTime {
    pub scenario: String,
    /// What is promised.
    pub promised: Option<Duration>,
    /// How long it usually takes. Absent where nothing was measured.
    pub p50_seconds: Option<u64>,
    /// How long it takes with careful figures.
    pub p95_seconds: Option<u64>,
    /// How many drills and recoveries that rests on.
    pub samples: u32,
    /// When the newest of them was.
    pub measured: Option<Instant>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DrillSeen {
    pub drill: String,
    pub last_ended: Instant,
    /// The last one passed.
    pub passed: bool,
    pub last_passed: Option<Instant>,
    pub recovery_seconds: Option<f64>,
    /// The parts of the last run that was recorded here, as far as it came.
    pub phases: Vec<PhaseSeen>,
    /// When each tier of data was usable, where it comes back in tiers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<TierSeen>,
}

/// A tier of data in a drill's last run.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TierSeen {
    pub tier: String,
    /// Until it was usable.
    pub seconds: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PhaseSeen {
    pub phase: String,
    pub seconds: f64,
}

/// How long a part of a drill took: a measurement of the moment at which the drill ended.
pub const DRILL_PHASE: &str = "drill_phase_seconds";
/// And a tier of data until it was usable.
pub const DRILL_TIER: &str = "drill_tier_seconds";

/// No name has a slash.
pub fn phase_subject(drill: &str, phase: &str) -> String {
    format!("{drill}/{phase}")
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct IdentitySeen {
    /// Its public key.
    pub recipient: String,
    /// When it last opened something.
    pub opened: Option<Instant>,
    /// When its public key can no longer be encrypted to. Absent where that does not come by itself, or nobody has looked.
    pub expires: Option<Instant>,
}

/// Puts it together. Nothing is reckoned anew: `seawall watch` has written it down.
pub(super) fn recovery<'m>(policy: &Policy, measured: &'m Measurements) -> RecoveryStanding {
    let whole = |name: &str, subject: &str| measured.seen(name, subject).map(|value| value.max(0.0) as u64);
    let time = |(scenario, promised): (String, Option<Duration>)| RecoveryTime {
        p50_seconds: whole("recovery_time_p50_seconds", &scenario),
        p95_seconds: whole("recovery_time_p95_seconds", &scenario),
        samples: whole("recovery_time_samples", &scenario).and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
        measured: measured.seen("recovery_time_measured", &scenario).and_then(moment_of),
        scenario,
        promised,
    };
    let point = |promise: &ScenarioPromise<'_>| ScenarioPoint {
        scenario: promise.scenario.to_string(),
        promised: promise.promised,
        lost_seconds: whole(RECOVERY_POINT, promise.scenario.as_str()),
    };
    let drill = |name: &crate::units::Name| {
        let subject = name.as_str();
        Some(DrillSeen {
            drill: name.to_string(),
            last_ended: measured.seen("drill_ended", subject).and_then(moment_of)?,
            passed: measured.seen("drill_outcome", subject)? > 0.0,
            last_passed: measured.seen("drill_passed", subject).and_then(moment_of),
            recovery_seconds: measured.seen("drill_recovery_seconds", subject),
            phases: phases(subject, measured),
            tiers: tiers(subject, measured),
        })
    };
    let noted = |one: &'m Latest| Noted { name: &one.name, subject: &one.subject, value: moment_of(one.value), at: one.at };
    let known = identities(measured.0.iter().map(noted));
    let identity = |recipient: String| {
        let standing = known.get(&recipient).copied().unwrap_or_default();
        IdentitySeen { opened: standing.opened, expires: standing.expires, recipient }
    };
    RecoveryStanding {
        lost_seconds: whole(RECOVERY_POINT, ""),
        points: scenario_promises(policy).iter().map(point).collect(),
        times: promises(policy).into_iter().map(time).collect(),
        drills: policy.drills.keys().filter_map(drill).collect(),
        identities: recipients(policy).into_iter().map(identity).collect(),
        restore_bytes_per_second: whole("restore_bytes_per_second", ""),
        replay_bytes_per_second: whole("replay_bytes_per_second", ""),
    }
}

/// What an earlier run came to and the last one did not is no part of it.
fn phases(drill: &str, measured: &Measurements) -> Vec<PhaseSeen> {
    let of_drill = |one: &&Latest| one.name == DRILL_PHASE && one.subject.split_once('/').is_some_and(|(name, _)| name == drill);
    let last = measured.0.iter().filter(of_drill).map(|one| one.at).max();
    let of_last = measured.0.iter().filter(of_drill).filter(|one| Some(one.at) == last);
    let mut phases: Vec<PhaseSeen> =
        of_last.filter_map(|one| Some(PhaseSeen { phase: one.subject.split_once('/')?.1.to_owned(), seconds: one.value })).collect();
    phases.sort_by(|one, other| one.phase.cmp(&other.phase));
    phases
}

/// When each was usable in the last run that came so far.
fn tiers(drill: &str, measured: &Measurements) -> Vec<TierSeen> {
    let of_drill = measured.0.iter().filter(|one| one.name == DRILL_TIER);
    let seen = of_drill.filter_map(|one| {
        let (name, tier) = one.subject.split_once('/')?;
        (name == drill).then(|| TierSeen { tier: tier.to_owned(), seconds: one.value })
    });
    seen.collect()
}

/// As predictions name them.
fn promises(policy: &Policy) -> Vec<(String, Option<Duration>)> {
    let objectives = &policy.objectives;
    let mut all = vec![("everything".to_owned(), objectives.rto)];
    all.extend(objectives.scenarios.iter().map(|(name, scenario)| (name.to_string(), scenario.rto)));
    all.extend(objectives.data.iter().map(|(name, tier)| (format!("tier {name}"), Some(tier.rto))));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run that failed half-way has not the end of the one before.
    #[test]
    fn parts_are_those_of_the_last_run() {
        let at = |text: &str| text.parse::<Instant>().expect("a moment");
        let one = |subject: &str, value: f64, at: Instant| Latest { name: DRILL_PHASE.to_owned(), subject: subject.to_owned(), value, at };
        let (before, last) = (at("2026-11-14T05:00:00Z"), at("2026-11-21T05:00:00Z"));
        let measured = Measurements(vec![
            one(&phase_subject("weekly", "replay"), 3.0, last),
            one(&phase_subject("weekly", "files"), 2.0, last),
            one(&phase_subject("weekly", "expect"), 9.0, before),
            one(&phase_subject("week", "files"), 7.0, last),
        ]);
        let seen = |phase: &str, seconds: f64| PhaseSeen { phase: phase.to_owned(), seconds };
        assert_eq!(phases("weekly", &measured), [seen("files", 2.0), seen("replay", 3.0)]);
        assert_eq!(phases("none", &measured), []);
    }
}
