//! From measurements to evidence: what drills, recoveries and ordinary runs have shown, against what a policy promises.
//!
//! Pure: records go in, figures with their samples and ages come out. How long a recovery takes is reckoned by `objectives`, from the figures
//! that [`measured()`] makes of the samples, and in one place only. Few samples are said to be few, and of none nothing is said.

mod custody;
mod drills;
mod findings;
mod identities;
mod log;
mod point;
mod predicted;
mod rates;
mod samples;

pub use custody::{Custody, NOTICE_OF_KEYS, URGENT_FOR_KEYS, custody, recipient_key, recipients};
pub use drills::{rehearsals, standing};
pub use findings::contradictions;
pub use identities::{
    IDENTITY_EXPIRES, IDENTITY_FIRST_SEEN, IDENTITY_OPENED, IDENTITY_PART_FIRST_SEEN, IDENTITY_PART_OPENED, Noted, identities, part_subject,
};
pub use log::{LogStored, LogTold, Quiet, waiting_since};
pub use point::{
    Bound, EVERYTHING, Frontier, LogSeen, Onward, RecoveryPoint, ScenarioPromise, in_no_backup, left_in_copies, newest_of_all,
    recovery_point, scenario_promises, worst,
};
pub use predicted::{NEAR, Prediction, Tendency, predict, tendency};
pub use rates::{Record, measured};
pub use samples::Sample;

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use crate::inventory::{ClusterInventory, Observed, Proven};
use crate::policy::model::Policy;
use crate::units::{Instant, Name};

/// What recoveries of one policy have shown, for those who read its plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Evidence {
    /// How long each recovery will take.
    pub predictions: Vec<Prediction>,
    /// Drills, what would have been lost, identities. Absent when nobody looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proven: Option<Proven>,
    /// Drills that last passed as they were defined before, and so prove nothing of what they say now.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub defined_otherwise: BTreeSet<Name>,
}

impl Evidence {
    /// None where nothing was measured and nothing is on record.
    pub fn of(policy: &Policy, cluster: Option<&ClusterInventory>, now: Instant) -> Option<Evidence> {
        let cluster = cluster?;
        let proven = cluster.proven.as_ref().and_then(Observed::known);
        let rehearsed = cluster.measured.known().is_some_and(|measured| measured.restore.is_some() || measured.replay.is_some());
        let otherwise = |name: &&Name| {
            let standing = proven.and_then(|proven| proven.drills.get(*name));
            policy.drills.get(*name).zip(standing).is_some_and(|(drill, standing)| standing.is_of_another(&drill.definition))
        };
        (rehearsed || proven.is_some()).then(|| Evidence {
            predictions: predict(policy, Some(cluster), now),
            proven: proven.cloned(),
            defined_otherwise: policy.drills.keys().filter(otherwise).cloned().collect(),
        })
    }
}
