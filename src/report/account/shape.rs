//! What a report is made of. `seawall report --format json` prints it as it is.

use schemars::JsonSchema;
use serde::Serialize;

use crate::inventory::DrillChoice;
use crate::plan::words::counted;
use crate::policy::file::Severity;
use crate::policy::model::TimedKind;
use crate::report::checklist::Question;
use crate::report::covered::Covered;
use crate::report::recovery::RateSeen;
use crate::report::standing::{Level, Problem, Standing};
use crate::report::words::day;
use crate::units::Instant;

/// A report of one policy or of many.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(title = "Report of seawall")]
pub struct Report {
    /// Changes when a reader of this report would have to.
    #[schemars(range(min = 1, max = 1))]
    pub format_version: u32,
    /// When it was made.
    pub made_at: Instant,
    /// The program that made it.
    pub made_by: String,
    /// The stretch of time that it covers.
    pub covers: Covered,
    /// The worst of all.
    pub state: State,
    /// How many policies keep what they promise.
    pub kept: usize,
    /// Of how many that is not proven.
    pub unproven: usize,
    /// How many do not.
    pub broken: usize,
    /// The audit chain of each catalog.
    pub audit: Vec<ChainAccount>,
    /// The worst first.
    pub policies: Vec<PolicyAccount>,
}

impl Report {
    pub const FORMAT_VERSION: u32 = 1;
}

/// Whether something that was promised is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The evidence says so.
    Kept,
    /// There is no evidence, or it is too old.
    Unproven,
    /// The evidence says otherwise.
    Broken,
}

/// Does the promise hold today?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Verdict {
    pub state: State,
    /// In sentences.
    pub says: String,
}

/// The beginning of a list, and how long all of it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Listed_{T}")]
pub struct Listed<T> {
    /// How many there are.
    pub count: usize,
    /// Those that are shown, the newest first.
    pub shown: Vec<T>,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Listed { count: 0, shown: Vec::new() }
    }
}

impl<T> Listed<T> {
    pub fn of(all: impl Iterator<Item = T>, most: usize) -> Self {
        let (mut count, mut shown) = (0, Vec::new());
        for one in all {
            count += 1;
            if shown.len() < most {
                shown.push(one);
            }
        }
        Listed { count, shown }
    }

    pub fn left_out(&self) -> usize {
        self.count - self.shown.len()
    }
}

/// What there is to say of one policy.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PolicyAccount {
    /// Its name; its file where that cannot be read.
    pub policy: String,
    pub description: Option<String>,
    pub owner: Option<String>,
    /// SHA-256 over the files it was read from.
    pub digest: Option<String>,
    /// Why it is not known how it stands, or how it stands now.
    pub unknown: Option<String>,
    /// Does the promise hold today?
    pub verdict: Verdict,
    /// The worst of its problems.
    pub level: Level,
    /// What is wrong now, the worst first.
    pub problems: Vec<Problem>,
    /// When `seawall watch` last looked.
    pub watched: Option<Instant>,
    /// Each promise, and what was found of it.
    pub objectives: Vec<Objective>,
    /// How much could be lost.
    pub loss: Loss,
    /// When the stores were last looked at.
    pub observed_at: Option<Instant>,
    /// Every store, as it was then.
    pub stores: Vec<StoreAccount>,
    /// Every database, and how far back each store led to it.
    pub databases: Vec<DatabaseAccount>,
    /// Every job, and what came of it in the stretch.
    pub jobs: Vec<JobAccount>,
    /// Runs that did not succeed.
    pub failures: Listed<RunAccount>,
    pub drills: DrillsAccount,
    /// How fast data come back, by all that was measured.
    pub rates: Vec<RateSeen>,
    /// Standbys that were promoted, and promotions that drills rehearsed.
    pub promotions: Listed<PromotionAccount>,
    /// Runs that read back what lies in the stores.
    pub verifications: Listed<RunAccount>,
    pub holds: Vec<HoldAccount>,
    pub copies: Vec<CopyAccount>,
    pub alerts: AlertsAccount,
    /// When the policy became another one, by the runs that went by it.
    pub changes: Listed<Change>,
    /// The questions of the day.
    pub checklist: Vec<Question>,
    /// What the policy leaves to others on purpose.
    pub delegated: Vec<Delegated>,
}

impl PolicyAccount {
    /// Of this one nothing is known.
    pub(super) fn unknown(standing: &Standing) -> Self {
        let why = standing.unknown.clone().unwrap_or_else(|| "it cannot be read".to_owned());
        PolicyAccount {
            policy: standing.policy.clone(),
            description: None,
            owner: None,
            digest: None,
            verdict: Verdict { state: State::Broken, says: format!("Nothing is known of what is promised here: {why}.") },
            unknown: Some(why),
            level: standing.level,
            problems: standing.problems.clone(),
            watched: standing.watched,
            objectives: Vec::new(),
            loss: Loss::default(),
            observed_at: None,
            stores: Vec::new(),
            databases: Vec::new(),
            jobs: Vec::new(),
            failures: Listed::default(),
            drills: DrillsAccount::default(),
            rates: Vec::new(),
            promotions: Listed::default(),
            verifications: Listed::default(),
            holds: Vec::new(),
            copies: Vec::new(),
            alerts: AlertsAccount::default(),
            changes: Listed::default(),
            checklist: Vec::new(),
            delegated: Vec::new(),
        }
    }
}

/// One promise, and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Objective {
    /// As a path of the policy: `objectives.rto`, `objectives.scenarios.corruption.rto`.
    pub objective: String,
    /// What is promised, in words.
    pub promises: String,
    pub promised_seconds: u64,
    /// What was found; absent where nothing was.
    pub found_seconds: Option<u64>,
    /// What is to be expected by all that was measured.
    pub predicted: Option<Predicted>,
    pub state: State,
    /// What that rests on.
    pub because: String,
}

/// How long a recovery takes by what drills and recoveries have shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Predicted {
    /// Half of them are faster.
    pub usual_seconds: u64,
    /// With careful figures.
    pub careful_seconds: u64,
    /// How many drills and recoveries the least certain of the figures rests on.
    pub samples: u32,
    /// When the newest of them was.
    pub newest: Option<Instant>,
}

impl Predicted {
    /// `measured 6 times, the newest on 2026-11-02`
    pub fn rests_on(&self) -> String {
        let newest = self.newest.map(day);
        match (self.samples, newest) {
            (0 | 1, Some(newest)) => format!("measured once, on {newest}"),
            (samples, Some(newest)) => format!("measured {samples} times, the newest on {newest}"),
            (0, None) => "nobody says how often that was measured".to_owned(),
            (samples, None) => format!("measured {}", counted(samples, "time")),
        }
    }
}

/// How much could be lost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Loss {
    /// How much may be.
    pub promised_seconds: Option<u64>,
    /// How much would be, were the server lost now; a thousand years and more where that is everything, absent where it is not known.
    pub now_seconds: Option<u64>,
    /// As of this look.
    pub as_of: Option<Instant>,
    /// The most it was in the stretch; a thousand years is everything.
    pub worst: Option<Figure>,
    /// The most in each part of the stretch; a thousand years is everything.
    pub over_time: Vec<Figure>,
}

/// A length of time, and the moment it is of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Figure {
    pub at: Instant,
    pub seconds: f64,
}

/// What lay in one store.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct StoreAccount {
    pub store: String,
    /// Why nothing is known of it.
    pub unknown: Option<String>,
    /// How many complete backups lay there.
    pub backups: usize,
    /// When the newest was complete.
    pub newest_backup: Option<Instant>,
    pub used_bytes: Option<u64>,
    pub capacity_bytes: Option<u64>,
    /// The oldest moment that everything can be recovered to: from a physical backup, or from dumps of every database.
    pub oldest: Option<Instant>,
    /// Recovery to any moment inside, oldest first.
    pub windows: Vec<Stretched>,
    /// Stretches inside the promised window that cannot be recovered to.
    pub gaps: Vec<Stretched>,
    /// Single moments beside the windows, the newest first.
    pub points: Listed<PointAccount>,
    /// Backups that nothing can be made of: the log of their own making is not there.
    pub unusable: Vec<String>,
    /// What keeps the backups, with how many and how large they are. A backup may be kept by several.
    pub tiers: Vec<TierAccount>,
    /// There are dumps of which nobody can say what they have.
    #[serde(skip)]
    pub unrecorded: bool,
}

/// A database, and how far back it can be brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DatabaseAccount {
    /// Absent for every one that the policy does not name.
    pub database: Option<String>,
    /// The stores in which something of it lies, or should.
    pub stores: Vec<DatabaseWindow>,
}

impl DatabaseAccount {
    /// For people; `alone` where there is no other one.
    pub fn called(&self, alone: bool) -> &str {
        let all = if alone { "every database" } else { "every other database" };
        self.database.as_deref().unwrap_or(all)
    }
}

/// How far back one store leads to a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DatabaseWindow {
    pub store: String,
    /// Why nothing is known of it.
    pub unknown: Option<String>,
    /// Recovery to any moment inside, with the cluster that it is in; oldest first.
    pub windows: Vec<Stretched>,
    /// Stretches inside the promised window that it cannot be brought back to.
    pub gaps: Vec<Stretched>,
    /// Single moments: dumps that have it, and backups of the cluster beside the windows. The newest first.
    pub points: Listed<PointAccount>,
    /// The oldest moment of all.
    pub oldest: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Stretched {
    pub from: Instant,
    pub to: Instant,
}

/// A moment that can be recovered to, and none beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PointAccount {
    pub at: Instant,
    pub backup: String,
    /// The job that took it.
    pub job: String,
    /// The databases that come back as they were then; empty where all of them do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub databases: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TierAccount {
    /// The job that took them.
    pub job: String,
    /// `daily`, `held`, `deletable`…
    pub tier: String,
    pub backups: usize,
    /// What they take of the store, as far as that is recorded.
    pub bytes: u64,
    /// What the newest of them takes.
    pub newest_bytes: Option<u64>,
    /// By how much of itself that differs from the oldest of them.
    pub growth: Option<f64>,
}

/// A job, and what came of it in the stretch.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct JobAccount {
    /// As a path of the policy.
    pub job: String,
    pub kind: TimedKind,
    /// When it runs, in words; absent for one that runs on demand.
    pub schedule: Option<String>,
    pub succeeded: usize,
    pub failed: usize,
    /// Ended by somebody.
    pub stopped: usize,
    /// Ended without a word.
    pub lost: usize,
    pub last_succeeded: Option<Instant>,
    pub overdue: bool,
    /// When it runs next.
    pub next: String,
    /// Of its last good run.
    pub bytes: Option<u64>,
    pub stored_bytes: Option<u64>,
    pub took_seconds: Option<f64>,
    /// By how much of itself the stored size of the stretch's last good run differs from that of its first.
    pub growth: Option<f64>,
    /// What its good runs made; of many in a part of the stretch the last.
    pub sizes: Vec<SizeAccount>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct SizeAccount {
    pub at: Instant,
    pub bytes: u64,
    pub stored_bytes: Option<u64>,
    pub seconds: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RunAccount {
    pub job: String,
    pub started: Instant,
    /// Absent while it runs.
    pub seconds: Option<f64>,
    /// `succeeded`, `failed`, `stopped`, `lost` or `running`.
    pub outcome: String,
    /// Why it did not succeed.
    pub message: Option<String>,
}

/// The restore drills of the stretch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct DrillsAccount {
    pub passed: usize,
    pub failed: usize,
    pub stopped: usize,
    /// Records that cannot be read: a newer program wrote them.
    pub unreadable: usize,
    /// The last that passed, whenever that was.
    pub last_passed: Option<LastPassed>,
    /// What a recovery of everything took: a drill of a part says nothing of that.
    pub recovered: Option<Recovered>,
    pub list: Listed<DrillAccount>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LastPassed {
    pub drill: Option<String>,
    pub at: Instant,
    pub recovery_seconds: Option<f64>,
}

/// What a recovery took by a drill.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Recovered {
    /// When the drill ended.
    pub at: Instant,
    pub seconds: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct DrillAccount {
    pub id: String,
    /// Absent where no policy names it.
    pub drill: Option<String>,
    /// The policy says otherwise by now what it proves.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub defined_otherwise: bool,
    pub host: String,
    pub started: Instant,
    pub ended: Instant,
    /// `passed`, `failed` or `stopped`.
    pub outcome: String,
    /// In which part it failed, and why.
    pub failure: Option<String>,
    pub backup: Option<String>,
    pub postgres: Option<String>,
    /// Plain bytes of the backup; of tables what was put on the disk for them.
    pub bytes: Option<u64>,
    /// Only these tables came back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
    /// The tiers of data, in the order in which they came.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<DrilledTierAccount>,
    /// What a recovery would have taken.
    pub recovery_seconds: Option<f64>,
    /// What it was to take at most.
    pub within_seconds: Option<f64>,
    pub phases: Vec<PhaseAccount>,
    pub expectations_met: usize,
    pub expectations: usize,
    /// Those that were not met.
    pub not_met: Vec<String>,
    /// What the heartbeat row says was lost.
    pub lost_seconds: Option<f64>,
    /// It brings everything back: what it took can be held against the promise of that.
    pub of_everything: bool,
    /// What somebody chose for this once: it says nothing of the drill that the policy names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chosen: Vec<DrillChoice>,
}

impl DrillAccount {
    /// `weekly`, or `weekly, another backup`.
    pub fn name(&self) -> String {
        let name = self.drill.as_deref().unwrap_or("on demand").to_owned();
        self.chosen.iter().fold(name, |name, choice| format!("{name}, another {}", choice.as_str()))
    }
}

/// A tier of data that came back in a drill.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct DrilledTierAccount {
    pub tier: String,
    /// Until it was usable; absent where it did not come so far.
    pub seconds: Option<f64>,
    /// What it was to take at most.
    pub within_seconds: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PhaseAccount {
    pub phase: String,
    /// What it is, for people.
    pub says: String,
    pub seconds: f64,
    pub bytes: Option<u64>,
    /// It goes on beside others and is part of `files`.
    pub beside: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PromotionAccount {
    /// `failover`, `switchover` or `rehearsal`.
    pub kind: String,
    /// The drill that rehearsed it, where the policy names one.
    pub drill: Option<String>,
    /// When it began; of a rehearsal, when its drill ended.
    pub at: Instant,
    /// Of the server that was promoted; of a rehearsal, where the drill ran.
    pub host: String,
    /// `succeeded`, `failed` or `stopped`.
    pub outcome: String,
    /// In which step it failed, and why.
    pub why: Option<String>,
    /// Absent where it did not come to its end.
    pub seconds: Option<f64>,
    /// What it was to take at most.
    pub within_seconds: Option<f64>,
    pub timeline_before: u32,
    /// Absent where it did not come so far.
    pub timeline: Option<u32>,
    /// What was lost at most: since the last transaction that is there.
    pub lost_seconds: Option<f64>,
    /// The log that the old primary had and the new one has not; absent where it did not answer.
    pub lost_bytes: Option<u64>,
    /// The same in words, as it was shown before it was done.
    pub lost: Vec<String>,
    /// Who answers that the old primary writes no more.
    pub fenced: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HoldAccount {
    pub hold: String,
    pub reason: String,
    /// What it holds: `backups`, or rows of a table.
    pub holds: String,
    /// The moment from which it no longer does; absent where it has no end.
    pub until: Option<String>,
    /// It stands in the policy; otherwise somebody placed it in the store.
    pub in_policy: bool,
    pub active: bool,
    /// How many backups it holds, each counted once in every store; absent where that is not known.
    pub backups: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CopyAccount {
    /// The job, or `wal`, or `store` where the store copies by itself.
    pub of: String,
    pub from: String,
    pub to: String,
    /// How many complete backups lie there.
    pub backups: Option<usize>,
    /// The newest that lies there.
    pub newest: Option<Instant>,
    /// It should be there within this time.
    pub within_seconds: Option<u64>,
    pub state: State,
    pub because: String,
}

/// The alerts of the stretch, as far as somebody was told, and what is wrong now.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct AlertsAccount {
    pub critical: usize,
    pub warnings: usize,
    /// Somebody took them upon himself.
    pub acknowledged: usize,
    /// How long it took until somebody did: half of them were faster.
    pub median_seconds_to_acknowledge: Option<f64>,
    pub slowest_seconds_to_acknowledge: Option<f64>,
    pub list: Listed<AlertAccount>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct AlertAccount {
    pub key: String,
    pub severity: Severity,
    pub title: String,
    /// When it became wrong.
    pub since: Instant,
    /// When it was right again; absent where it still is wrong, or nobody was told.
    pub until: Option<Instant>,
    /// When somebody was told first.
    pub told: Option<Instant>,
    pub acknowledged: Option<Instant>,
    pub by: Option<String>,
    pub seconds_to_acknowledge: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Change {
    /// The first run that went by it.
    pub at: Instant,
    pub digest: String,
    pub commit: Option<String>,
    /// It was so when the stretch began.
    pub in_force_before: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Delegated {
    pub what: String,
    pub to: String,
    pub note: Option<String>,
}

/// The audit chain of a catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ChainAccount {
    /// Whose it is.
    pub catalog: String,
    /// Every link follows from the one before it.
    pub whole: bool,
    pub links: u64,
    /// Its end, as `seawall audit verify --head` takes it.
    pub head: Option<String>,
    /// Why it is not whole, or cannot be read.
    pub why: Option<String>,
}
