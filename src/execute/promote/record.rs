//! What is written down of a promotion: the journal that an interrupted one goes on from, what is printed, and what the record keeps.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::inventory::SystemIdentifier;
use crate::units::{Instant, Lsn, Name, Timeline};

/// A promotion, as far as it has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Result of seawall promote")]
pub struct Promotion {
    /// Changes when a reader of this output would have to.
    #[schemars(range(min = 1, max = 1))]
    pub format_version: u32,
    pub policy: String,
    /// The host of the server that is promoted.
    pub host: String,
    pub who: String,
    pub kind: Kind,
    pub stage: Stage,
    /// Where the server listens.
    pub server: String,
    pub system_identifier: SystemIdentifier,
    pub timeline_before: Timeline,
    /// The new one.
    pub timeline: Option<Timeline>,
    pub begun: Instant,
    /// When it was over, all of it or as far as it came.
    pub ended: Option<Instant>,
    pub fencing: Option<Fencing>,
    /// Where the old primary may be, as the fence was told.
    #[serde(default)]
    pub old_primary_at: Vec<String>,
    pub loss: Loss,
    pub steps: Vec<StepRecord>,
    /// What to look at now. Sentences without a full stop.
    pub remarks: Vec<String>,
    /// What makes the old primary a standby of this one.
    pub old_primary: Vec<String>,
    /// It is in the catalog and the audit chain.
    pub recorded: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The primary is lost.
    Failover,
    /// The primary is stopped on purpose, and nothing may be lost.
    Switchover,
    /// A drill promotes a copy, and nothing of it reaches the cluster.
    Rehearsal,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Failover => "failover",
            Kind::Switchover => "switchover",
            Kind::Rehearsal => "rehearsal",
        }
    }
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Nothing was changed.
    Begun,
    /// The old primary may be stopped already: its fence was called.
    Fencing,
    /// The old primary is fenced; nobody takes writes.
    Fenced,
    /// The server was told to become a primary.
    Told,
    /// It is one.
    Promoted,
    /// All that belongs to it is done.
    Done,
}

/// Who answered that the old primary writes no more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Fencing {
    pub by: FencedBy,
    /// The hook, or who did it and how.
    pub words: String,
    pub at: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FencedBy {
    Hook,
    Hand,
}

/// What may be lost, as it was known before.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Loss {
    pub received: Option<Lsn>,
    pub replayed: Option<Lsn>,
    /// The last transaction that was replayed.
    pub last_commit: Option<Instant>,
    pub last_commit_seconds_ago: Option<f64>,
    /// Where the old primary's log ended, where it answered.
    pub primary: Option<Lsn>,
    /// What the old primary has and this server has not.
    pub behind_primary_bytes: Option<u64>,
    pub archives: Vec<Archived>,
    /// The same for people.
    pub words: Vec<String>,
}

/// What a store has of the log of the timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Archived {
    pub store: Name,
    /// Where the last archived segment ends.
    pub to: Option<Lsn>,
    /// When it was written.
    pub written: Option<Instant>,
    /// Why it is not known.
    pub unknown: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StepName {
    Claim,
    Fence,
    Silence,
    Drain,
    Compare,
    Promote,
    Check,
    Announce,
    Archive,
}

impl StepName {
    pub fn as_str(self) -> &'static str {
        match self {
            StepName::Claim => "claim",
            StepName::Fence => "fence",
            StepName::Silence => "silence",
            StepName::Drain => "drain",
            StepName::Compare => "compare",
            StepName::Promote => "promote",
            StepName::Check => "check",
            StepName::Announce => "announce",
            StepName::Archive => "archive",
        }
    }

    /// What it is for.
    pub fn says(self) -> &'static str {
        match self {
            StepName::Claim => "look again, and keep other promotions out",
            StepName::Fence => "fence the old primary",
            StepName::Silence => "see that it no longer answers",
            StepName::Drain => "replay all log that was received or archived",
            StepName::Compare => "see that the log ends with the old primary's shutdown",
            StepName::Promote => "promote",
            StepName::Check => "see that it takes writes",
            StepName::Announce => "tell the world: `hooks.after_promote`",
            StepName::Archive => "see that its log goes on in the same repository",
        }
    }
}

/// One step, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepRecord {
    pub step: StepName,
    pub begun: Instant,
    pub ended: Option<Instant>,
    pub seconds: Option<f64>,
    pub outcome: Option<StepOutcome>,
    /// What it found, or why it failed.
    pub said: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StepOutcome {
    Done,
    Failed,
}

impl Promotion {
    pub fn is_done(&self, step: StepName) -> bool {
        self.steps.iter().any(|record| record.step == step && record.outcome == Some(StepOutcome::Done))
    }

    /// What stands now, and what is to be done about it: for who is interrupted in the middle of the night.
    pub fn standing(&self) -> String {
        match self.stage {
            Stage::Begun => "nothing was changed".to_owned(),
            Stage::Fencing => "the old primary MAY BE STOPPED, and nobody was promoted: look at it; the same call goes on".to_owned(),
            Stage::Fenced => {
                "the old primary is fenced and nobody was promoted: NOBODY TAKES WRITES NOW. The same call goes on; or, where this server is still a \
                 standby (`select pg_is_in_recovery()`), start the old primary again"
                    .to_owned()
            }
            Stage::Told => "the server was told to become the primary and does so by itself; the old primary must stay fenced. The same call goes on".to_owned(),
            Stage::Promoted => {
                let left = [StepName::Check, StepName::Announce, StepName::Archive].into_iter().filter(|step| !self.is_done(*step));
                let left = crate::plan::words::joined(left.map(StepName::says));
                format!("the server IS THE PRIMARY now, and takes writes; the old one must stay fenced. Still to do: {left}. The same call goes on")
            }
            Stage::Done => "all is done".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_interrupted_reads_where_it_stands() {
        let at = Instant::UNIX_EPOCH;
        let step = |step, outcome| StepRecord {
            step,
            begun: at,
            ended: Some(at),
            seconds: Some(0.0),
            outcome: Some(outcome),
            said: String::new(),
        };
        let mut promotion = Promotion {
            format_version: 1,
            policy: "shop".into(),
            host: "db-2".into(),
            who: "ann".into(),
            kind: Kind::Failover,
            stage: Stage::Promoted,
            server: "here".into(),
            system_identifier: "7".parse().expect("a number"),
            timeline_before: Timeline::FIRST,
            timeline: None,
            begun: at,
            ended: None,
            fencing: None,
            old_primary_at: Vec::new(),
            loss: Loss::default(),
            steps: vec![step(StepName::Check, StepOutcome::Done), step(StepName::Archive, StepOutcome::Failed)],
            remarks: Vec::new(),
            old_primary: Vec::new(),
            recorded: false,
        };
        let said = promotion.standing();
        assert!(said.contains("IS THE PRIMARY") && said.contains("its log goes on") && said.contains("after_promote"), "{said}");
        assert!(!said.contains("takes writes;x") && !said.contains("see that it takes writes"), "{said}");
        promotion.stage = Stage::Fenced;
        assert!(promotion.standing().contains("NOBODY TAKES WRITES"));
        let text = serde_json::to_string(&promotion).expect("json");
        assert_eq!(serde_json::from_str::<Promotion>(&text).expect("the same"), promotion);
    }
}
