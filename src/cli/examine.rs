//! Everything there is to say about one policy.

use crate::policy::document::Document;
use crate::policy::finding::{Finding, sorted};
use crate::policy::model::Policy;
use crate::policy::resolve::resolve;
use crate::units::Instant;

/// One policy and everything that was found in it.
#[derive(Debug)]
pub struct Examined {
    pub document: Document,
    /// What it means. Absent when it is wrong in itself, or only there for others to extend.
    pub policy: Option<Policy>,
    /// Ordered by place.
    pub findings: Vec<Finding>,
}

impl Examined {
    pub fn is_sound(&self) -> bool {
        self.document.is_sound() && !self.findings.iter().any(Finding::is_blocking)
    }
}

/// The findings of one policy: about its form, its meaning, and what it cannot keep.
pub fn examine(document: Document, now: Instant, _inventory: Option<&crate::inventory::Inventory>) -> Examined {
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    let resolved = resolve(&document, today);
    let mut findings = document.findings.clone();
    findings.extend(resolved.findings);
    Examined { document, policy: resolved.policy, findings: sorted(findings) }
}
