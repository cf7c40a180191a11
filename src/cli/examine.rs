//! Everything there is to say about one policy.

use crate::policy::document::Document;
use crate::policy::finding::{Finding, sorted};
use crate::policy::model::Policy;
use crate::policy::resolve::resolve;
use crate::units::Instant;

/// One policy, what it means, and everything that was found in it.
#[derive(Debug)]
pub struct Examined {
    pub document: Document,
    /// Its meaning; none when something is wrong with it, or when it is only there for others to extend.
    pub policy: Option<Policy>,
    /// Ordered by place.
    pub findings: Vec<Finding>,
}

impl Examined {
    pub fn is_sound(&self) -> bool {
        self.document.file.is_some() && !self.findings.iter().any(Finding::is_blocking)
    }
}

/// Looks at a policy's form and at its meaning.
pub fn examine(document: Document, now: Instant) -> Examined {
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    let resolved = resolve(&document, today);
    let findings = sorted(document.findings.iter().cloned().chain(resolved.findings).collect());
    Examined { document, policy: resolved.policy, findings }
}
