//! What recoveries have shown of a policy, as it was last seen.

use schemars::JsonSchema;
use serde::Serialize;

use super::Measurements;
use crate::evidence::{IDENTITY_OPENED, recipients};
use crate::policy::model::Policy;
use crate::units::{Duration, Instant, moment_of};

/// Evidence on record.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct RecoveryStanding {
    /// How much would have been lost at the last look.
    pub lost_seconds: Option<u64>,
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
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct IdentitySeen {
    /// Its public key.
    pub recipient: String,
    /// When it last opened something.
    pub opened: Option<Instant>,
}

/// Puts it together. Nothing is reckoned anew: `seawall watch` has written it down.
pub(super) fn recovery(policy: &Policy, measured: &Measurements) -> RecoveryStanding {
    let whole = |name: &str, subject: &str| measured.seen(name, subject).map(|value| value.max(0.0) as u64);
    let time = |(scenario, promised): (String, Option<Duration>)| RecoveryTime {
        p50_seconds: whole("recovery_time_p50_seconds", &scenario),
        p95_seconds: whole("recovery_time_p95_seconds", &scenario),
        samples: whole("recovery_time_samples", &scenario).and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
        measured: measured.seen("recovery_time_measured", &scenario).and_then(moment_of),
        scenario,
        promised,
    };
    let drill = |name: &crate::units::Name| {
        let subject = name.as_str();
        Some(DrillSeen {
            drill: name.to_string(),
            last_ended: measured.seen("drill_ended", subject).and_then(moment_of)?,
            passed: measured.seen("drill_outcome", subject)? > 0.0,
            last_passed: measured.seen("drill_passed", subject).and_then(moment_of),
            recovery_seconds: measured.seen("drill_recovery_seconds", subject),
        })
    };
    let identity = |recipient: String| IdentitySeen { opened: measured.last(IDENTITY_OPENED, &recipient).and_then(moment_of), recipient };
    RecoveryStanding {
        lost_seconds: whole("recovery_point_seconds", ""),
        times: promises(policy).into_iter().map(time).collect(),
        drills: policy.drills.keys().filter_map(drill).collect(),
        identities: recipients(policy).into_iter().map(identity).collect(),
        restore_bytes_per_second: whole("restore_bytes_per_second", ""),
        replay_bytes_per_second: whole("replay_bytes_per_second", ""),
    }
}

/// As predictions name them.
fn promises(policy: &Policy) -> Vec<(String, Option<Duration>)> {
    let objectives = &policy.objectives;
    let mut all = vec![("everything".to_owned(), objectives.rto)];
    all.extend(objectives.scenarios.iter().map(|(name, scenario)| (name.to_string(), scenario.rto)));
    all.extend(objectives.data.iter().map(|(name, tier)| (format!("tier {name}"), Some(tier.rto))));
    all
}
