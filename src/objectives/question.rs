//! What is asked of the backups: one question for the whole policy, one for each scenario, one for each tier of data.

use super::outcome::{Objective, Subject, SubjectKind};
use crate::policy::file::{DataTier, Procedure, Recover};
use crate::policy::model::{Method, Policy};
use crate::policy::path::PolicyPath;
use crate::units::{Duration, Name};

/// What must come back, from where, and what is promised.
#[derive(Debug, Clone)]
pub(super) struct Question<'p> {
    pub subject: Subject,
    pub recover: Recover,
    pub by: Option<Procedure>,
    /// Empty: each job's first store.
    pub from: &'p [Name],
    /// Empty: all jobs.
    pub using: &'p [Name],
    pub tier: Option<&'p DataTier>,
    pub rpo: Target,
    pub rto: Target,
}

/// A promise, and where it is declared.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub value: Option<Duration>,
    pub path: PolicyPath,
    /// It is the whole policy's.
    pub inherited: bool,
}

impl Question<'_> {
    pub fn target(&self, what: Objective) -> &Target {
        match what {
            Objective::Rpo => &self.rpo,
            Objective::Rto => &self.rto,
        }
    }
    pub fn uses(&self, job: &Name) -> bool {
        self.using.is_empty() || self.using.contains(job)
    }
    pub fn is_small(&self) -> bool {
        matches!(self.recover, Recover::Table | Recover::Rows)
    }
    /// Only a part of what holds it comes back, and nothing says how large it is.
    pub fn is_a_part(&self) -> bool {
        self.is_small() && self.tier.is_none()
    }
}

pub(super) fn questions(policy: &Policy) -> Vec<Question<'_>> {
    let objectives = &policy.objectives;
    let top = PolicyPath::from(["objectives"]);
    let only_dumps = !policy.backups.values().any(|backup| matches!(backup.method, Method::Physical(_)));
    let mut questions = Vec::new();
    if objectives.rpo.is_some() || objectives.rto.is_some() || !policy.backups.is_empty() {
        questions.push(Question {
            subject: Subject { kind: SubjectKind::WholePolicy, name: None, path: top.clone() },
            recover: if only_dumps { Recover::Database } else { Recover::Cluster },
            by: None,
            from: &[],
            using: &[],
            tier: None,
            rpo: Target { value: objectives.rpo, path: top.key("rpo"), inherited: false },
            rto: Target { value: objectives.rto, path: top.key("rto"), inherited: false },
        });
    }
    let written = policy.file.objectives.as_ref();
    for (name, scenario) in &objectives.scenarios {
        let path = top.key("scenarios").key(name);
        let own = written.and_then(|written| written.scenarios.get(name));
        let target = |value, own: Option<Duration>, key| Target { value, path: path.key(key), inherited: own.is_none() };
        questions.push(Question {
            subject: Subject { kind: SubjectKind::Scenario, name: Some(name.clone()), path: path.clone() },
            recover: scenario.recover,
            by: scenario.by,
            from: &scenario.from,
            using: &scenario.using,
            tier: None,
            rpo: target(scenario.rpo, own.and_then(|own| own.rpo), "rpo"),
            rto: target(scenario.rto, own.and_then(|own| own.rto), "rto"),
        });
    }
    for (name, tier) in &objectives.data {
        let path = top.key("data").key(name);
        let everything = if only_dumps { Recover::Database } else { Recover::Cluster };
        questions.push(Question {
            subject: Subject { kind: SubjectKind::Tier, name: Some(name.clone()), path: path.clone() },
            recover: if tier.tables.is_some() { Recover::Table } else { everything },
            by: None,
            from: &[],
            using: &[],
            tier: Some(tier),
            rpo: Target { value: None, path: path.clone(), inherited: false },
            rto: Target { value: Some(tier.rto), path: path.key("rto"), inherited: false },
        });
    }
    questions
}
