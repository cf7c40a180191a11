use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use crate::inventory::HowMeasured;
use crate::policy::finding::{Code, Finding, Weight};
use crate::policy::path::PolicyPath;
use crate::units::{Duration, Instant, Name, Period};

/// What a policy can promise.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Assessment {
    /// Each objective against its worst case.
    pub rows: Vec<Row>,
    /// How far back each job reaches in each store.
    pub reach: Vec<ReachRow>,
    /// What is wrong with it. Printed with the other findings.
    #[serde(skip)]
    #[schemars(skip)]
    pub findings: Vec<Finding>,
}

/// A job that never runs.
const NEVER_RUNS: Code = Code(311);

impl Assessment {
    /// What is worth reading of the findings, beside what else was proved of the policy: what a job that never runs would promise is not.
    /// First it has to run.
    pub fn findings_beside(&self, proved: &[Finding]) -> &[Finding] {
        let never_runs = proved.iter().any(|finding| finding.code == NEVER_RUNS && finding.weight == Weight::Error);
        if never_runs { &[] } else { &self.findings }
    }
}

/// One objective against its worst case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Row {
    /// What the objective is about.
    pub subject: Subject,
    /// Which objective it is.
    pub what: Objective,
    /// What is promised. Absent when nothing is.
    pub target: Option<Duration>,
    /// What may happen at worst.
    pub worst: WorstCase,
    /// What lies between the two. Absent when either is.
    pub margin: Option<Margin>,
    /// What brings it back. Absent when nothing can.
    pub answer: Option<Answer>,
}

/// What an objective is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Subject {
    /// What sort of thing it is.
    pub kind: SubjectKind,
    /// Its name; the whole policy has none.
    pub name: Option<Name>,
    /// Where it is declared.
    pub path: PolicyPath,
}

/// What sort of thing an objective is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SubjectKind {
    /// Everything.
    WholePolicy,
    /// Something that may happen.
    Scenario,
    /// Tables that must be usable first.
    Tier,
}

/// Which objective it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Objective {
    /// The most that may be lost.
    Rpo,
    /// The longest it may take.
    Rto,
}

/// What may happen at worst.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WorstCase {
    /// It can be reckoned.
    Known {
        /// All parts together.
        total: Duration,
        /// What it is made of.
        parts: Vec<Part>,
    },
    /// It cannot, for want of a figure.
    Unknown {
        /// Why not.
        reason: String,
        /// What is known of it: it is longer than this.
        at_least: Duration,
        /// The parts that are known.
        parts: Vec<Part>,
    },
}

/// A part of a worst case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Part {
    /// What it is.
    pub kind: PartKind,
    /// The same for people, with the figures.
    pub label: String,
    /// How long it is.
    pub length: Duration,
    /// Where it came from: the least certain of what it rests on.
    pub origin: Origin,
    /// The figures it rests on.
    pub rests_on: Vec<Basis>,
}

/// What a part of a worst case is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PartKind {
    /// Written data waits for its segment to be archived.
    WalTimeout,
    /// A segment goes into the store.
    Push,
    /// A segment or backup goes into a further store.
    Copy,
    /// The store's own replication is behind.
    Replication,
    /// Between two backups.
    Gap,
    /// A backup runs.
    Backup,
    /// A standby is behind.
    StandbyLag,
    /// A provider or another tool takes the backup, or brings it back.
    Elsewhere,
    /// People find out what is wrong.
    Assess,
    /// A server is made ready.
    Provision,
    /// An archive class gives its objects free.
    Thaw,
    /// A backup is fetched and written back.
    Restore,
    /// Increments are fetched and combined.
    Increments,
    /// The log is replayed.
    Replay,
    /// A dump is loaded.
    Load,
    /// A standby is promoted.
    Promote,
    /// What came back is checked.
    Validate,
    /// The applications are let in.
    Release,
}

/// A figure that a part rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Basis {
    /// Which figure.
    pub figure: String,
    /// Its value.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
    /// What the policy declares, when it was measured since.
    pub declared: Option<String>,
}

/// Where a figure came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// It follows from the policy alone.
    Derived,
    /// It was measured.
    Measured {
        /// When.
        at: Instant,
        /// What measured it.
        how: HowMeasured,
        /// How often. Absent where that is not known.
        #[serde(skip_serializing_if = "Option::is_none")]
        samples: Option<u32>,
    },
    /// It was seen when the inventory was made.
    Observed,
    /// The policy says so, here.
    Declared(PolicyPath),
    /// Nobody has said or measured anything: a careful guess, listed in the documentation.
    Default,
}

/// How it comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// To a chosen moment, from a physical backup and the log.
    PointInTime,
    /// To the moment of the newest backup that fits.
    NewestBackup,
    /// By promoting a standby.
    PromoteStandby,
    /// By the managed provider or the other backup tool.
    External,
}

/// What brings it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Answer {
    /// How.
    pub way: Way,
    /// From the backups of this job.
    pub job: Option<Name>,
    /// Out of this store.
    pub store: Option<Name>,
    /// Why this and no other.
    pub why: String,
}

/// What lies between an objective and its worst case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Margin {
    /// The objective is kept.
    pub kept: bool,
    /// By how much, or by how much not.
    pub by: Duration,
}

/// How far back one job reaches in one store, once it has run that long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ReachRow {
    /// The job.
    pub job: Name,
    /// The store.
    pub store: Name,
    /// The age of its oldest backup, at the worst moment.
    pub oldest: Oldest,
    /// Any moment of the last so long, where the log is there as well.
    pub any_moment: Option<Period>,
    /// How close together the backups are, in words.
    pub density: String,
}

/// The age that the oldest backup has at every moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Oldest {
    /// Nothing is ever deleted: back to the first backup.
    First,
    /// At least so old.
    AtLeast(Period),
    /// Nothing is certain beyond the newest backup.
    Newest,
}

impl WorstCase {
    pub fn total(&self) -> Option<Duration> {
        match self {
            WorstCase::Known { total, .. } => Some(*total),
            WorstCase::Unknown { .. } => None,
        }
    }
    pub fn parts(&self) -> &[Part] {
        match self {
            WorstCase::Known { parts, .. } | WorstCase::Unknown { parts, .. } => parts,
        }
    }
}

impl Margin {
    pub(super) fn of(target: Option<Duration>, worst: &WorstCase) -> Option<Margin> {
        let (target, total) = (target?, worst.total()?);
        Some(Margin { kept: total <= target, by: if total <= target { target - total } else { total - target } })
    }
}

impl Origin {
    /// Grows as certainty falls.
    pub(super) fn doubt(&self) -> u8 {
        match self {
            Origin::Derived => 0,
            Origin::Measured { .. } => 1,
            Origin::Observed => 2,
            Origin::Declared(_) => 3,
            Origin::Default => 4,
        }
    }
    /// Something was really brought back, and it took so long.
    pub fn is_rehearsed(&self) -> bool {
        matches!(self, Origin::Measured { how: HowMeasured::Drill | HowMeasured::Recovery | HowMeasured::Benchmark, .. })
    }
    /// Nobody has ever seen it: it is declared or a default.
    pub fn is_assumed(&self) -> bool {
        matches!(self, Origin::Declared(_) | Origin::Default)
    }
}

impl PartKind {
    /// A drill would measure it.
    pub const fn is_rehearsable(self) -> bool {
        matches!(self, PartKind::Restore | PartKind::Increments | PartKind::Replay | PartKind::Load | PartKind::Promote)
    }
    /// A word or two for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            PartKind::WalTimeout => "WAL timeout",
            PartKind::Push => "push",
            PartKind::Copy => "copy",
            PartKind::Replication => "replication",
            PartKind::Gap => "longest gap",
            PartKind::Backup => "duration",
            PartKind::StandbyLag => "standby lag",
            PartKind::Elsewhere => "in other hands",
            PartKind::Assess => "assessment",
            PartKind::Provision => "provision",
            PartKind::Thaw => "thaw",
            PartKind::Restore => "restore",
            PartKind::Increments => "increments",
            PartKind::Replay => "replay",
            PartKind::Load => "load",
            PartKind::Promote => "promotion",
            PartKind::Validate => "validation",
            PartKind::Release => "release",
        }
    }
}

impl Objective {
    pub const fn as_str(self) -> &'static str {
        match self {
            Objective::Rpo => "rpo",
            Objective::Rto => "rto",
        }
    }
}

impl fmt::Display for PartKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, self.kind) {
            (Some(name), SubjectKind::Tier) => f.pad(&format!("tier {name}")),
            (Some(name), _) => f.pad(name.as_str()),
            (None, _) => f.pad("everything"),
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Way::PointInTime => "point in time",
            Way::NewestBackup => "newest backup",
            Way::PromoteStandby => "promoted standby",
            Way::External => "external",
        })
    }
}

/// `point in time from nightly in main`
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.way)?;
        if let Some(job) = &self.job {
            write!(f, " from {job}")?;
        }
        if let Some(store) = &self.store {
            write!(f, " in {store}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Derived => f.pad("reckoned"),
            Origin::Observed => f.pad("observed"),
            Origin::Declared(path) => f.pad(&format!("declared in {path}")),
            Origin::Default => f.pad("default"),
            Origin::Measured { at, how, samples } => {
                let date = at.to_zoned(jiff::tz::TimeZone::UTC).date();
                let many = samples.filter(|samples| *samples > 1);
                f.pad(&match (how, many) {
                    (HowMeasured::Drill, None) => format!("measured by a drill on {date}"),
                    (HowMeasured::Recovery, None) => format!("measured in a recovery on {date}"),
                    (HowMeasured::Run, None) => format!("measured by its runs on {date}"),
                    (HowMeasured::Benchmark, None) => format!("measured on demand on {date}"),
                    (HowMeasured::Run, Some(_)) => format!("measured by its runs, the newest on {date}"),
                    (HowMeasured::Drill, Some(many)) => format!("measured by {many} drills, the newest on {date}"),
                    (HowMeasured::Recovery, Some(many)) => format!("measured in {many} recoveries, the newest on {date}"),
                    (HowMeasured::Benchmark, Some(many)) => format!("measured {many} times, the newest on {date}"),
                })
            }
        }
    }
}

impl fmt::Display for WorstCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WorstCase::Known { total, .. } => total.fmt(f),
            WorstCase::Unknown { at_least, .. } if at_least.is_zero() => f.pad("unknown"),
            WorstCase::Unknown { at_least, .. } => f.pad(&format!("more than {at_least}")),
        }
    }
}

/// `1h to spare`, `30s short`
impl fmt::Display for Margin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} {}", self.by, if self.kept { "to spare" } else { "short" }))
    }
}

impl fmt::Display for Oldest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Oldest::First => f.pad("the first backup"),
            Oldest::AtLeast(period) => period.fmt(f),
            Oldest::Newest => f.pad("the newest backup"),
        }
    }
}

/// `4m 30s WAL timeout + 30s push`
pub(super) fn sum_of(parts: &[Part]) -> String {
    parts.iter().map(|part| format!("{} {}", part.length, part.kind)).collect::<Vec<_>>().join(" + ")
}
