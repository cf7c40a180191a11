//! What was seen of a policy's world, for deciding whether somebody must be told. What could not be looked at is unknown, which
//! raises no alert about it; that it stays unknown does.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::inventory::{Hold, Observed};
use crate::units::{Bytes, Duration, Instant, Name};

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Facts {
    /// The policy of the moment cannot be read; the rules in use are those of the last good one.
    pub unreadable: Option<Unreadable>,
    /// The record of runs; unknown when the catalog cannot be read.
    pub jobs: Observed<BTreeMap<String, JobFacts>>,
    /// The server answers.
    pub server: Answers,
    pub stores: BTreeMap<Name, StoreFacts>,
    pub wal: Observed<WalFacts>,
    /// How far each standby is behind.
    pub standbys: Observed<BTreeMap<String, Observed<Duration>>>,
    /// Runs of all jobs within the last 30 days.
    pub runs: Observed<Runs>,
    /// Holds that lie in stores; those of the policy are known anyway.
    pub holds: Observed<Vec<Hold>>,
    pub duties: BTreeMap<Name, DutyFacts>,
    /// By how much this host's clock differs from the store's or the server's.
    pub clock_skew: Observed<Duration>,
    /// Deletions that wait for somebody's acknowledgement.
    pub braked: Option<Braked>,
    /// Objects that expiry could not delete because they are locked.
    pub locked: Observed<u64>,
    pub failing: Vec<FailingReceiver>,
    pub undelivered: Observed<Undelivered>,
}

/// What is known of one job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobFacts {
    /// When this job was first seen in the policy: from then on it is expected to run.
    pub first_seen: Option<Instant>,
    /// When its last successful run ended.
    pub succeeded: Option<Instant>,
    /// Its last failure, older or newer than the last success.
    pub failed: Option<Failure>,
    pub running_since: Option<Instant>,
    /// How long it takes, where that was measured.
    pub takes: Option<Duration>,
    /// When its newest complete backup ended; none when there is none.
    pub newest_backup: Option<Observed<Option<Instant>>>,
    /// The sizes of its last backups, the newest first.
    pub sizes: Vec<Bytes>,
    /// How long the restore of the last successful drill took.
    pub restore_time: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    pub at: Instant,
    pub message: String,
    #[serde(default)]
    pub hint: Option<String>,
    /// How often it has failed since the last success.
    pub in_a_row: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unreadable {
    pub since: Instant,
    pub message: String,
    #[serde(default)]
    pub hint: Option<String>,
}

/// Whether something answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Answers {
    Yes,
    No {
        since: Instant,
        error: String,
        #[serde(default)]
        hint: Option<String>,
    },
    /// Nobody asked.
    Unknown {
        reason: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreFacts {
    pub answers: Answers,
    #[serde(default = "not_looked_at")]
    pub used: Observed<Bytes>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WalFacts {
    /// Since when the oldest log that is not archived was written; none when all of it is.
    #[serde(default)]
    pub waiting_since: Option<Instant>,
    /// How many segments wait.
    #[serde(default)]
    pub waiting: u64,
    #[serde(default)]
    pub last_archived: Option<Instant>,
    /// What the archiver last failed with, while it does.
    #[serde(default)]
    pub error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Runs {
    pub succeeded: u64,
    pub all: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DutyFacts {
    /// When it was first seen in the policy.
    pub first_seen: Option<Instant>,
    /// When somebody last said that it is done.
    pub done: Option<Instant>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Braked {
    pub since: Instant,
    pub backups: u64,
    pub of: u64,
}

/// A receiver that cannot be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailingReceiver {
    pub receiver: Name,
    /// The first failure since something last arrived.
    pub since: Instant,
    pub attempts: u32,
    pub error: String,
    /// The keys of what waits for it.
    #[serde(default)]
    pub waiting: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Undelivered {
    pub count: u64,
    /// When the oldest of them was to be sent.
    #[serde(default)]
    pub oldest: Option<Instant>,
}

fn not_looked_at<T>() -> Observed<T> {
    Observed::unknown("nobody has looked")
}

/// Nothing was looked at.
impl Default for Facts {
    fn default() -> Self {
        Facts {
            unreadable: None,
            jobs: not_looked_at(),
            server: Answers::Unknown { reason: "nobody has asked".into() },
            stores: BTreeMap::new(),
            wal: not_looked_at(),
            standbys: not_looked_at(),
            runs: not_looked_at(),
            holds: not_looked_at(),
            duties: BTreeMap::new(),
            clock_skew: not_looked_at(),
            braked: None,
            locked: not_looked_at(),
            failing: Vec::new(),
            undelivered: not_looked_at(),
        }
    }
}
