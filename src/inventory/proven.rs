use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DrillOutcome, Phase, unique};
use crate::units::{BackupId, Instant, Name};

/// What recoveries have shown, drilled ones and real ones, as far as it is on record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Proven {
    /// How each drill of the policy stands, by its name.
    #[serde(default, deserialize_with = "unique::map")]
    #[schemars(example = serde_json::json!({}))]
    pub drills: BTreeMap<Name, DrillStanding>,
    /// How much would have been lost, and when that was most. Absent where nobody has watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({ "lost_seconds": 42, "at": "2026-11-21T08:15:00Z" }))]
    pub recovery_point: Option<PointsSeen>,
    /// The recovery identities, by their public keys.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(example = serde_json::json!({ "age1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqs3290gq": { "opened": "2026-11-16T05:31:00Z" } }))]
    pub identities: BTreeMap<String, IdentityStanding>,
}

/// A recovery identity, as far as it was used, and its public key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdentityStanding {
    /// When its public key was first seen in the policy: from then on it is to be proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"2026-02-01T10:00:00Z")]
    pub first_seen: Option<Instant>,
    /// When it last opened something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"2026-11-16T05:31:00Z")]
    pub opened: Option<Instant>,
    /// When its public key can no longer be encrypted to. Absent where that does not come by itself, or nobody has looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"2027-03-01T00:00:00Z")]
    pub expires: Option<Instant>,
}

/// When a tier of data was usable in the last runs of a drill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TierStanding {
    /// When the newest of them ended.
    #[schemars(example = &"2026-11-16T05:31:00Z")]
    pub at: Instant,
    /// The newest first, in milliseconds.
    #[schemars(example = serde_json::json!([512_000, 498_000]))]
    pub millis: Vec<u64>,
}

/// How one drill stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DrillStanding {
    /// When it was first seen in the policy: from then on it is expected to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"2026-02-01T10:00:00Z")]
    pub first_seen: Option<Instant>,
    /// How it last went. Absent when it never ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({ "ended": "2026-11-16T05:31:00Z", "outcome": "passed" }))]
    pub last: Option<LastDrill>,
    /// When one last passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"2026-11-16T05:31:00Z")]
    pub passed: Option<Instant>,
    /// Stands for what that one proved, as the policy said it then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef")]
    pub definition: Option<String>,
    /// How long the recoveries of the last ones that passed took, as far as they were defined as the newest was; the newest first, in milliseconds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = serde_json::json!([1_512_000, 1_486_000]))]
    pub recovery_millis: Vec<u64>,
    /// Of a drill of the tiers of data, how long each took until it was usable.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "unique::map")]
    #[schemars(example = serde_json::json!({ "critical": { "at": "2026-11-16T05:31:00Z", "millis": [512_000] } }))]
    pub tiers: BTreeMap<Name, TierStanding>,
}

impl DrillStanding {
    /// The last one that passed was defined otherwise.
    pub fn is_of_another(&self, definition: &str) -> bool {
        self.passed.is_some() && self.definition.as_deref().is_some_and(|of| of != definition)
    }
}

/// How a drill went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LastDrill {
    /// When it was over.
    #[schemars(example = &"2026-11-16T05:31:00Z")]
    pub ended: Instant,
    /// How it ended.
    #[schemars(example = &"passed")]
    pub outcome: DrillOutcome,
    /// What was restored. Absent where it failed before that was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"20261116T020000Z-7f3c")]
    pub backup: Option<BackupId>,
    /// How long the recovery took, in milliseconds. Absent where it did not get that far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = 1_512_000)]
    pub recovery_millis: Option<u64>,
    /// How long it was to take at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = 1_800_000)]
    pub within_millis: Option<u64>,
    /// In which part it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"replay")]
    pub failed_in: Option<Phase>,
    /// Why it did not pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"a segment of the log is missing")]
    pub message: Option<String>,
}

/// How much would have been lost at the looks of `seawall watch`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PointsSeen {
    /// At the last look; a thousand years where that was everything.
    #[schemars(example = 42)]
    pub lost_seconds: u64,
    /// When that was.
    #[schemars(example = &"2026-11-21T08:15:00Z")]
    pub at: Instant,
    /// The most of the last 30 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = 310)]
    pub worst_seconds: Option<u64>,
    /// When that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"2026-11-09T16:25:00Z")]
    pub worst_at: Option<Instant>,
    /// The same of each scenario that promises something of its own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(example = serde_json::json!({ "region-loss": { "seconds": 32_400, "at": "2026-11-09T16:25:00Z" } }))]
    pub scenarios: BTreeMap<Name, WorstPoint>,
}

/// What would have been lost when it was the most of the last 30 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorstPoint {
    /// A thousand years where that was everything.
    #[schemars(example = 32_400)]
    pub seconds: u64,
    /// When that was.
    #[schemars(example = &"2026-11-09T16:25:00Z")]
    pub at: Instant,
}
