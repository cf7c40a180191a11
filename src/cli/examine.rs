//! Everything there is to say about one policy.

use crate::evidence::{Evidence, contradictions};
use crate::inventory::{ClusterInventory, Inventory};
use crate::message;
use crate::objectives::{Assessment, assess};
use crate::policy::document::Document;
use crate::policy::finding::{Finding, sorted};
use crate::policy::model::Policy;
use crate::policy::resolve::resolve;
use crate::proof::{acknowledge, prove};
use crate::site;
use crate::units::Instant;

/// One policy, what it means, and everything that was found in it.
#[derive(Debug)]
pub struct Examined {
    pub document: Document,
    /// Its meaning; none when something is wrong with it, or when it is only there for others to extend.
    pub policy: Option<Policy>,
    /// Its promises, against what can happen.
    pub assessment: Option<Assessment>,
    /// What recoveries have shown; none where nothing is known of them.
    pub evidence: Option<Evidence>,
    /// Ordered by place.
    pub findings: Vec<Finding>,
}

impl Examined {
    pub fn is_sound(&self) -> bool {
        self.document.is_sound() && !self.findings.iter().any(Finding::is_blocking)
    }
}

/// What somebody has on record of a policy.
pub type Record<'k> = dyn Fn(&Policy) -> Option<ClusterInventory> + Sync + 'k;

/// What is known of the world beside the policies.
#[derive(Clone, Copy, Default)]
pub struct Known<'k> {
    pub inventory: Option<&'k Inventory>,
    /// What this host has on record of a policy: asked for where the inventory says nothing of it.
    pub record: Option<&'k Record<'k>>,
}

impl std::fmt::Debug for Known<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").field("inventory", &self.inventory.is_some()).field("record", &self.record.is_some()).finish()
    }
}

/// Looks at a policy's form, at its meaning, and at what it cannot keep.
pub fn examine(document: Document, now: Instant, known: Known<'_>) -> Examined {
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    let resolved = resolve(&document, today);
    let mut findings = document.findings.clone();
    findings.extend(resolved.findings);
    findings.extend(message::check(&document, now));
    findings.extend(site::connection::check(&document));
    let (mut assessment, mut evidence) = (None, None);
    if let Some(policy) = &resolved.policy {
        let inventory = known.inventory.and_then(|inventory| Some((inventory.clusters.get(&policy.name)?, inventory.observed_at)));
        let recorded = known.record.filter(|_| inventory.is_none()).and_then(|record| record(policy));
        let (cluster, observed) = match (inventory, &recorded) {
            (Some((cluster, at)), _) => (Some(cluster), at),
            (None, recorded) => (recorded.as_ref(), now),
        };
        let assessed = assess(policy, cluster, now);
        let proved = prove(policy, cluster, now);
        findings.extend(assessed.findings_beside(&proved).iter().cloned());
        findings.extend(proved);
        findings.extend(contradictions(policy, cluster, observed));
        evidence = Evidence::of(policy, cluster, now);
        findings = acknowledge(policy, findings, today);
        assessment = Some(assessed);
    }
    for finding in &mut findings {
        document.locate(finding);
    }
    Examined { document, policy: resolved.policy, assessment, evidence, findings: sorted(findings) }
}
