use std::fmt;

use thiserror::Error;

use super::bucket::Bucket;
use crate::inventory::Broken;
use crate::units::{BackupId, Instant, Name, Period, Timeline};

/// Why a backup stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeepReason {
    /// Under a hold, whatever the rules say.
    Held {
        hold: Name,
        until: Option<Instant>,
    },
    /// Under so many holds beside those that are named.
    HeldByMore {
        count: u32,
    },
    Running,
    FutureDated {
        moment: Instant,
    },
    NewestGood {
        job: Name,
        /// The timeline of which it is the newest that leads there, where not all backups do.
        leads_to: Option<Timeline>,
    },
    /// The job's `keep` has no rule.
    NoRule,
    /// One of the newest: `place` 1 is the newest of all.
    Last {
        place: u32,
        of: u32,
    },
    Within {
        period: Period,
        until: Instant,
    },
    /// Represents one of the newest `of` buckets; `place` 1 is the newest.
    TierCount {
        bucket: Bucket,
        place: u32,
        of: u32,
    },
    /// Represents its bucket for a period.
    TierFor {
        bucket: Bucket,
        period: Period,
        until: Instant,
    },
    OwnKeep {
        until: Instant,
    },
    ParentOf {
        child: BackupId,
    },
    /// Recovery to the oldest moments of the `wal.keep` window begins here.
    WindowBase {
        window_from: Instant,
    },
    /// Recovery to the window will begin here when the window has moved past the present base.
    NextWindowBase {
        window_from: Instant,
    },
    /// Leftovers of a failed run, for whoever looks into it.
    FailedLately {
        until: Instant,
    },
    /// Not good, but would be kept if it were.
    StandsIn {
        defect: Defect,
        otherwise: Box<KeepReason>,
    },
    /// Not good, but the job has nothing newer that is.
    NothingBetter {
        defect: Defect,
    },
}

/// Why a complete backup cannot be counted on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Defect {
    #[error("damaged")]
    Damaged,
    #[error("not restorable, because {0}")]
    Chain(Broken),
}

/// Why a backup may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeleteReason {
    /// No rule of its job wants it any longer.
    Expired {
        last: Option<u32>,
        within: Option<Period>,
        tiers: bool,
    },
    OwnKeepOver {
        ended: Instant,
    },
    /// Leftovers of a failed run, past their grace.
    Leftovers {
        since: Instant,
    },
    /// Not good, and no rule would want it if it were.
    Useless {
        defect: Defect,
    },
}

/// Why nothing can be said.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UndecidedReason {
    #[error("no job of the policy is called `{job}`, so no rule says how long it stays")]
    UnknownJob { job: Name },
    #[error("the holds are unknown: {reason}")]
    UnknownHolds { reason: String },
    #[error("it may be on the way to timeline {timeline}: where that one left the others is not known")]
    UnknownFork { timeline: Timeline },
}

/// To the second: nobody decides by a fraction of one.
fn second(moment: Instant) -> jiff::fmt::strtime::Display<'static> {
    moment.strftime("%Y-%m-%dT%H:%M:%SZ")
}

fn ordinal(place: u32) -> String {
    let suffix = match (place % 10, place % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{place}{suffix}")
}

impl fmt::Display for KeepReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeepReason::HeldByMore { count } => write!(f, "under {count} more holds"),
            KeepReason::Held { hold, until: None } => write!(f, "under hold `{hold}`"),
            KeepReason::Held { hold, until: Some(until) } => write!(f, "under hold `{hold}` until {}", second(*until)),
            KeepReason::Running => f.write_str("it is running"),
            KeepReason::FutureDated { moment } => write!(f, "dated in the future ({}): a clock is wrong", second(*moment)),
            KeepReason::NewestGood { job, leads_to: None } => write!(f, "the newest good backup of `{job}`"),
            KeepReason::NewestGood { job, leads_to: Some(timeline) } => {
                write!(f, "the newest good backup of `{job}` that leads to timeline {timeline}")
            }
            KeepReason::NoRule => f.write_str("its job keeps everything"),
            KeepReason::Last { place, of } => write!(f, "{} of the last {of}", ordinal(*place)),
            KeepReason::Within { period, until } => write!(f, "for {period}, until {}", second(*until)),
            KeepReason::TierCount { bucket, place, of } => write!(f, "{} of {of} {}, {bucket}", ordinal(*place), bucket.tier),
            KeepReason::TierFor { bucket, period, until } => {
                write!(f, "{} for {period}, {bucket}, until {}", bucket.tier, second(*until))
            }
            KeepReason::OwnKeep { until } => write!(f, "its own keep, until {}", second(*until)),
            KeepReason::ParentOf { child } => write!(f, "{child} builds on it"),
            KeepReason::WindowBase { window_from } => {
                write!(f, "the base for recovery to any moment from {}", second(*window_from))
            }
            KeepReason::NextWindowBase { window_from } => {
                write!(f, "the next base for recovery to any moment, now from {}", second(*window_from))
            }
            KeepReason::FailedLately { until } => write!(f, "leftovers of a failed run, until {}", second(*until)),
            KeepReason::StandsIn { defect, otherwise } => write!(f, "{defect}, but stays as if it were good ({otherwise})"),
            KeepReason::NothingBetter { defect } => write!(f, "{defect}, but its job has nothing newer that is good"),
        }
    }
}

impl fmt::Display for DeleteReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeleteReason::Expired { last, within, tiers } => {
                let parts: Vec<String> = within
                    .map(|period| format!("older than {period}"))
                    .into_iter()
                    .chain(last.map(|last| format!("not one of the last {last}")))
                    .chain(tiers.then(|| "in no tier".to_owned()))
                    .collect();
                f.write_str(&joined(&parts))
            }
            DeleteReason::OwnKeepOver { ended } => write!(f, "its own keep ended at {}", second(*ended)),
            DeleteReason::Leftovers { since } => write!(f, "leftovers of a run that failed at {}", second(*since)),
            DeleteReason::Useless { defect } => write!(f, "{defect}, and no rule would keep it if it were good"),
        }
    }
}

fn joined(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}
