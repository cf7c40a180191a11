//! What was seen of a policy's world, for deciding whether somebody must be told. What could not be looked at is unknown, which
//! raises no alert about it; that it stays unknown does.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::evidence::{Prediction, RecoveryPoint};
use crate::inventory::{DrillStanding, Hold, IdentityStanding, Measured, Observed};
use crate::schedule::Schedule;
use crate::units::{Bytes, Duration, Instant, Name, Timeline};

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Facts {
    /// The policy of the moment cannot be read; the rules in use are those of the last good one.
    pub unreadable: Option<Unreadable>,
    /// The catalog is not the one that the store witnessed, and nobody has said that he knows.
    pub replaced: Option<Replaced>,
    /// The record of runs; unknown when the catalog cannot be read.
    pub jobs: Observed<BTreeMap<String, JobFacts>>,
    /// The server answers.
    pub server: Answers,
    pub stores: BTreeMap<Name, StoreFacts>,
    /// How far each store that gets second copies is behind.
    pub copies: BTreeMap<Name, Observed<CopyFacts>>,
    pub wal: Observed<WalFacts>,
    /// Files of the log that a copy's store refuses for good, by store and by the host that has archived them.
    pub owed: BTreeMap<Name, BTreeMap<String, u64>>,
    /// Two timelines that both go on in a store of the log; none where one store was seen and none has them.
    pub rivals: Observed<Option<RivalTimelines>>,
    /// How far each standby is behind.
    pub standbys: Observed<BTreeMap<String, Observed<Duration>>>,
    /// What the server is set to and our roles may do otherwise than the policy says, a sentence each; none where the policy needs nothing of it.
    pub server_differs: Option<Observed<Vec<String>>>,
    /// What each database keeps, compresses and refreshes; only those that the policy speaks of.
    pub databases: BTreeMap<String, Observed<DatabaseFacts>>,
    /// Archived rows that stay in their tables until somebody has read them back, by the archive's job; only where there are any.
    pub archives: BTreeMap<String, ArchiveFacts>,
    /// The heartbeat row; none where the policy has none.
    pub canary: Option<Observed<CanaryFacts>>,
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
    /// Receivers of several people whose messages do not reach all of them.
    pub partly: Vec<PartlyReached>,
    pub undelivered: Observed<Undelivered>,
    /// Up to where everything would survive; none where nothing would.
    pub recovery_point: Observed<Option<RecoveryPoint>>,
    /// The same of each scenario that promises something of its own.
    pub scenario_points: BTreeMap<Name, Observed<Option<RecoveryPoint>>>,
    /// Databases that no backup has all of.
    pub in_no_backup: Vec<String>,
    /// How long recoveries will take, by what was measured.
    pub predictions: Vec<Prediction>,
    /// When the drills began whose records lie in the stores and are not believed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused_drills: Vec<Instant>,
    /// How the drills stand, by their own records.
    pub drills: BTreeMap<Name, DrillStanding>,
    /// The public keys of OpenPGP that is encrypted to, by their fingerprints.
    pub recipients: BTreeMap<String, Observed<RecipientFacts>>,
    /// The recovery identities, by their public keys.
    pub identities: BTreeMap<String, IdentityStanding>,
    /// What drills, recoveries and runs have measured.
    pub measured: Measured,
}

/// A public key that is encrypted to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecipientFacts {
    /// From when on nothing is encrypted to it; none where that does not come by itself.
    pub expires: Option<Instant>,
    /// The fingerprint of the part that is encrypted to; none where there is none any more.
    pub part: Option<String>,
    /// Why nothing is encrypted to it, but that it has expired.
    pub unusable: Option<String>,
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
    /// The same of those that have all that the job is to have now.
    pub newest_whole: Option<Observed<Option<Instant>>>,
    /// The sizes of its last backups, the newest first.
    pub sizes: Vec<Bytes>,
    /// How long the recovery of the last drill that got that far took.
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

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replaced {
    pub since: Instant,
    pub message: String,
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

/// A server that was promoted, and one that went on beside it in the same repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RivalTimelines {
    pub store: Name,
    /// The newest one.
    pub timeline: Timeline,
    pub rival: Timeline,
    /// Up to when that one was written to.
    pub until: Instant,
}

/// A store that gets second copies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CopyFacts {
    /// Since when the oldest thing that belongs there and is not could have been there; none when nothing is missing.
    pub behind_since: Option<Instant>,
    /// How many backups are missing.
    pub backups: u64,
    /// The log is copied there too, and a backup is there that it goes on from.
    pub has_log: bool,
    /// Up to when the copy has all of the log that belongs there; none when nothing of it is missing.
    pub log_behind_since: Option<Instant>,
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
    /// How long the newest archived segment took into the store.
    #[serde(default)]
    pub push: Option<Duration>,
    /// How many bytes of log the cluster has written in its life.
    #[serde(default)]
    pub position: Option<u64>,
}

/// Extents that nobody has read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchiveFacts {
    pub extents: u64,
    /// When the oldest of them was exported.
    pub waiting_since: Instant,
    /// When the job's last run found that they wait.
    pub found: Instant,
}

/// A database against its policy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DatabaseFacts {
    /// What is not as the policy says, a sentence each.
    pub differs: Vec<String>,
    /// By what rows under hold may go, a sentence each: a job that looks at nothing but the age, a hold that names nothing.
    pub unprotected: Vec<String>,
    /// Nobody could read there what is under hold, so there may be more of them.
    pub holds_unknown: bool,
    /// The jobs that the database runs by itself.
    pub jobs: Vec<DatabaseJob>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseJob {
    pub id: i32,
    /// What it does.
    pub does: String,
    /// What of its work is not done, or that it failed; none while all is well.
    #[serde(default)]
    pub wrong: Option<String>,
    /// What it said when it last failed.
    #[serde(default)]
    pub error: Option<String>,
    /// That its text takes rows away and looks at no hold, where some are held.
    #[serde(default)]
    pub heedless: Option<String>,
}

/// The heartbeat row of a policy's `canary`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CanaryFacts {
    /// When the newest row was written, by the database's clock.
    pub written: Option<Instant>,
    /// Why it is not written.
    pub error: Option<String>,
    pub hint: Option<String>,
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
    /// The last moment of its schedule that is on record as come.
    pub reminded: Option<Instant>,
}

impl DutyFacts {
    /// A duty is due from its moment on until somebody says that it is done. What has come due stays so when the clock is set back.
    pub fn due_since(&self, schedule: &Schedule, now: Instant) -> Option<Instant> {
        let due = if schedule.fires_at(now) { Some(now) } else { schedule.previous_before(now) }.max(self.reminded)?;
        let from = self.done.max(self.first_seen)?;
        (from < due).then_some(due)
    }
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

/// A receiver of several people, some of whom their server refuses for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartlyReached {
    pub receiver: Name,
    /// The first message that did not reach all of them, since one did.
    pub since: Instant,
    /// Who, and what the server said.
    pub refused: String,
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
            replaced: None,
            jobs: not_looked_at(),
            server: Answers::Unknown { reason: "nobody has asked".into() },
            stores: BTreeMap::new(),
            copies: BTreeMap::new(),
            wal: not_looked_at(),
            owed: BTreeMap::new(),
            rivals: not_looked_at(),
            standbys: not_looked_at(),
            server_differs: None,
            databases: BTreeMap::new(),
            archives: BTreeMap::new(),
            canary: None,
            runs: not_looked_at(),
            holds: not_looked_at(),
            duties: BTreeMap::new(),
            clock_skew: not_looked_at(),
            braked: None,
            locked: not_looked_at(),
            failing: Vec::new(),
            partly: Vec::new(),
            undelivered: not_looked_at(),
            recovery_point: not_looked_at(),
            scenario_points: BTreeMap::new(),
            in_no_backup: Vec::new(),
            predictions: Vec::new(),
            refused_drills: Vec::new(),
            drills: BTreeMap::new(),
            recipients: BTreeMap::new(),
            identities: BTreeMap::new(),
            measured: Measured::default(),
        }
    }
}
