//! Everything there is to say about one policy.

use crate::inventory::Inventory;
use crate::objectives::{Assessment, assess};
use crate::policy::document::Document;
use crate::policy::finding::{Finding, sorted};
use crate::policy::model::Policy;
use crate::policy::resolve::resolve;
use crate::proof::{acknowledge, prove};
use crate::units::Instant;

/// One policy, what it means, and everything that was found in it.
#[derive(Debug)]
pub struct Examined {
    pub document: Document,
    /// Its meaning; none when something is wrong with it, or when it is only there for others to extend.
    pub policy: Option<Policy>,
    /// Its promises, against what can happen.
    pub assessment: Option<Assessment>,
    /// Ordered by place.
    pub findings: Vec<Finding>,
}

impl Examined {
    pub fn is_sound(&self) -> bool {
        self.document.is_sound() && !self.findings.iter().any(Finding::is_blocking)
    }
}

/// Looks at a policy's form, at its meaning, and at what it cannot keep.
pub fn examine(document: Document, now: Instant, inventory: Option<&Inventory>) -> Examined {
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    let resolved = resolve(&document, today);
    let mut findings = document.findings.clone();
    findings.extend(resolved.findings);
    let mut assessment = None;
    if let Some(policy) = &resolved.policy {
        let cluster = inventory.and_then(|inventory| inventory.clusters.get(&policy.name));
        let assessed = assess(policy, cluster, now);
        let proved = prove(policy, cluster, now);
        findings.extend(assessed.findings_beside(&proved).iter().cloned());
        findings.extend(proved);
        findings = acknowledge(policy, findings, today);
        assessment = Some(assessed);
    }
    for finding in &mut findings {
        document.locate(finding);
    }
    Examined { document, policy: resolved.policy, assessment, findings: sorted(findings) }
}
