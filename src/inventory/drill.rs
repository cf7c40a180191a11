use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BackupKind, Scope};
use crate::units::{BackupId, Instant, Lsn, Name, Timeline};

/// One restore drill, from its beginning to its end: what came back, how it was proven, and how long each part took. It is written once and
/// never changed, in the catalog and beside the backup that it restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Record of a restore drill")]
pub struct DrillRecord {
    /// Changes when a reader of this record would have to.
    #[schemars(range(min = 1, max = 1))]
    pub format_version: u32,
    /// What tells this drill from all others.
    pub id: BackupId,
    pub policy: Name,
    /// Its name in the policy; absent where somebody asked for one that no policy names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<Name>,
    /// Stands for what the policy said that it proves; absent where its process was lost. A record of another definition proves nothing of
    /// today's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
    /// Where it ran.
    pub host: String,
    pub started: Instant,
    pub ended: Instant,
    pub outcome: DrillOutcome,
    /// Why it did not pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<DrillFailure>,
    /// What was restored; absent where it failed before that was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<Restored>,
    /// Where recovery ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<DrillReached>,
    /// In the order in which a drill goes through them.
    pub phases: Vec<DrillPhase>,
    /// From the first look at the store to a server that answers at its target: what a recovery would have taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_millis: Option<u64>,
    /// What it was to take at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_millis: Option<u64>,
    /// The tiers of data of the database that came back tier by tier, in the order in which they came; empty where all of it came at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<DrilledTier>,
    /// What was to be true of the restored databases.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expectations: Vec<Expected>,
    /// The application's own tests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandEnd>,
    /// A promotion of the copy, as a standby is promoted when its primary is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotion: Option<RehearsedPromotion>,
    /// What the heartbeat row says was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryProof>,
    /// The public key whose identity opened the backup; absent where nothing is encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened_with: Option<String>,
    /// What somebody chose for this once in place of what the policy says. Such a drill measures like every other, and answers for none of the
    /// policy's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chosen: Vec<DrillChoice>,
    /// Of a key of OpenPGP, the fingerprint of the part of it that did; absent elsewhere, and in records of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened_with_part: Option<String>,
    /// What people should know: sentences without a full stop.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DrillOutcome {
    Passed,
    Failed,
    /// Somebody ended it, or it could not prove anything yet.
    Stopped,
}

/// What can be chosen by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DrillChoice {
    /// The backup.
    Backup,
    /// The moment that it is recovered to.
    Moment,
    /// The store.
    Store,
}

impl DrillChoice {
    pub fn as_str(self) -> &'static str {
        match self {
            DrillChoice::Backup => "backup",
            DrillChoice::Moment => "moment",
            DrillChoice::Store => "store",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DrillFailure {
    pub phase: Phase,
    pub message: String,
    /// As a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

/// What a drill brought back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Restored {
    /// The job that made the backup.
    pub job: Name,
    pub store: Name,
    pub backup: BackupId,
    pub kind: BackupKind,
    /// When the backup was complete.
    pub stopped: Instant,
    /// Plain bytes of the backup.
    pub size: u64,
    /// What it takes of the store; absent in records of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_size: Option<u64>,
    /// The version of PostgreSQL that ran on it.
    pub postgres: String,
    /// The moment that was asked for; absent for the newest that is archived, or the backup's own end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Instant>,
    /// Only these tables of it; empty where all of it came back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<RestoredTable>,
    /// What the dump has that came back, whatever its job had when it was judged; absent for the whole cluster, chosen tables and files, and in
    /// records of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
}

impl Restored {
    /// All of a database came back; none where nobody can say.
    pub fn has_all_of(&self, database: &str) -> Option<bool> {
        if self.tables.is_empty() { Scope::has_all_of(self.kind, self.scope.as_ref(), database) } else { Some(false) }
    }
}

/// A table that came back without the rest of its cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RestoredTable {
    pub database: String,
    /// `schema.table`, as it is: neither quoted nor folded.
    pub table: String,
    /// How many came back; absent where it failed before they were counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
}

/// A tier of data, and when it was usable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DrilledTier {
    pub tier: Name,
    /// How many rows came with it, those of tables that its own need included; absent where it failed before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// From the first look at the store until it was usable; absent where it failed before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub millis: Option<u64>,
    /// What it was to take at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_millis: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DrillReached {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lsn: Option<Lsn>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<Timeline>,
    /// The last transaction that is in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_commit: Option<Instant>,
}

/// A part of a drill, and how long it took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DrillPhase {
    pub phase: Phase,
    pub millis: u64,
    /// What went through it, where that is counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// The parts of a drill. Fetching, opening and writing go on at the same time: each has the time it was busy on all its threads, and
/// `files` what a clock on the wall says of them together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Looking at the store, choosing what to restore, checking that there is room and that the right PostgreSQL is there.
    Prepare,
    /// Of a backup that has only just ended: until something is archived behind it. It is no part of a recovery.
    Wait,
    /// All files, from the store to the disk.
    Files,
    /// Of that: waiting for the store.
    Fetch,
    /// Of that: decrypting, checking and expanding.
    Open,
    /// Of that: writing.
    Write,
    /// Making the files durable.
    Sync,
    /// Of files: each is read from the disk again and held against the backup.
    Compare,
    /// Of a dump: every object is read and held against its hash.
    Check,
    /// Of a dump: its rows, from the store into the server.
    Load,
    /// Of a dump: its indexes and constraints, and what else comes behind the rows.
    Index,
    /// From the server's start to a consistent state.
    Consistent,
    /// From a consistent state to the target: the write-ahead log.
    Replay,
    /// The rehearsal of a promotion: the fence's program, the rest of the log, the promotion itself, the program that tells the world.
    Promote,
    /// Of a dump: its rows are counted and compared, and the server looks at them for its planner. Of tables: their rows are counted.
    Count,
    /// The expectations and the checks.
    Expect,
    /// The application's own tests.
    Command,
    /// Stopping the server and removing everything.
    Remove,
}

impl Phase {
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Prepare => "prepare",
            Phase::Wait => "wait",
            Phase::Files => "files",
            Phase::Fetch => "fetch",
            Phase::Open => "open",
            Phase::Write => "write",
            Phase::Sync => "sync",
            Phase::Compare => "compare",
            Phase::Check => "check",
            Phase::Load => "load",
            Phase::Index => "index",
            Phase::Count => "count",
            Phase::Consistent => "consistent",
            Phase::Replay => "replay",
            Phase::Promote => "promote",
            Phase::Expect => "expect",
            Phase::Command => "command",
            Phase::Remove => "remove",
        }
    }

    /// What it is, for people.
    pub fn says(self) -> &'static str {
        match self {
            Phase::Prepare => "choosing and checking",
            Phase::Wait => "waiting for log behind the backup",
            Phase::Files => "restoring the files",
            Phase::Fetch => "fetching",
            Phase::Open => "decrypting and expanding",
            Phase::Write => "writing",
            Phase::Sync => "making the files durable",
            Phase::Compare => "comparing the files",
            Phase::Check => "checking the dump",
            Phase::Load => "loading the dump",
            Phase::Index => "building indexes and constraints",
            Phase::Count => "counting the rows",
            Phase::Consistent => "starting to a consistent state",
            Phase::Replay => "replaying the log",
            Phase::Promote => "rehearsing the promotion",
            Phase::Expect => "checking the expectations",
            Phase::Command => "the application's own tests",
            Phase::Remove => "removing the copy",
        }
    }
}

/// One expectation, and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Expected {
    pub name: Name,
    pub met: bool,
    /// What was found against what was expected, for people.
    pub says: String,
    pub millis: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommandEnd {
    /// The program.
    pub program: String,
    pub succeeded: bool,
    /// How it ended: its exit status, or the signal.
    pub says: String,
    /// The end of what it said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
    pub millis: u64,
}

/// A promotion that was rehearsed on the copy, as far as it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RehearsedPromotion {
    pub timeline_before: Timeline,
    /// The new one; absent where it did not come so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<Timeline>,
    /// Where the log ended that it was promoted with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replayed: Option<Lsn>,
    /// How far the log was archived then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived: Option<Lsn>,
    /// From the call of the fence to the end of the last program: what a promotion would have taken.
    pub millis: u64,
    /// What it was to take at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_millis: Option<u64>,
    /// From the last transaction that came back to the beginning of the promotion: what would have been lost at most. 0 where the primary
    /// answered and had no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_millis: Option<u64>,
    /// The log that the primary had and the copy had not; absent where the primary did not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_bytes: Option<u64>,
    pub steps: Vec<RehearsedStep>,
}

/// A step of it, by the name that it has in `seawall promote`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RehearsedStep {
    pub step: String,
    pub done: bool,
    pub millis: u64,
    /// What it found, or why it failed.
    pub says: String,
}

/// The newest heartbeat row that came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CanaryProof {
    /// When it was written.
    pub written: Instant,
    /// It was written after the base backup had ended, so the log brought it back.
    pub after_backup: bool,
    /// From then to the moment that was recovered to, or for the newest one to the drill's beginning: what was lost at most.
    pub lost_millis: u64,
}

impl RehearsedPromotion {
    /// It came to its end.
    pub fn is_whole(&self) -> bool {
        self.timeline.is_some() && self.steps.iter().all(|step| step.done)
    }
}

impl DrillRecord {
    pub const FORMAT_VERSION: u32 = 1;

    pub fn passed(&self) -> bool {
        self.outcome == DrillOutcome::Passed
    }

    /// The drill of the policy that it says something of. What somebody chose for this once is not what the schedule restores: that it passed ends no
    /// failure, and that it failed begins none.
    pub fn answers_for(&self) -> Option<&Name> {
        self.drill.as_ref().filter(|_| self.chosen.is_empty())
    }

    /// It was this drill, as it is defined now.
    pub fn is_of(&self, definition: &str) -> bool {
        self.definition.as_deref() == Some(definition)
    }

    /// A part of a cluster, or a database tier by tier: a rate of that is none of a recovery of everything.
    pub fn is_in_parts(&self) -> bool {
        !self.tiers.is_empty() || self.restored.as_ref().is_some_and(|restored| !restored.tables.is_empty())
    }

    /// How long a phase took, and what went through it; none where it was not reached.
    pub fn phase(&self, phase: Phase) -> Option<&DrillPhase> {
        self.phases.iter().find(|one| one.phase == phase)
    }
}
