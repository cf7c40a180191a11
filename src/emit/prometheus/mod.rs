//! Rules for Prometheus: what the figures of `seawall metrics` must not come to, by what policies allow and promise.
//!
//! Seawall judges by itself and tells people. These rules judge the same figures from outside, so that somebody also hears of it when
//! Seawall itself is silent: its timers do not run, its host is gone, nobody fetches the figures.

mod alerts;
mod recordings;
mod rule;

use crate::policy::model::Policy;
use crate::units::Duration;
use rule::{Group, literal};

/// Whoever looked longer ago than this does not look any more; figures that are older are not today's.
const SILENT: Duration = Duration::from_mins(15);

/// The rules for all these policies as one file. The same policies give the same bytes.
///
/// `runbook_url` is where the runbook can be read, for the annotation that Prometheus' friends show.
pub fn prometheus(policies: &[&Policy], runbook_url: Option<&str>) -> String {
    let mut policies = policies.to_vec();
    policies.sort_by(|one, other| one.name.cmp(&other.name));
    let mut text = String::from("# Written by seawall: alerts and recording rules for Prometheus.\n");
    for policy in &policies {
        text.push_str(&format!("# Policy {} sha256:{}.\n", policy.name, policy.digest.trim_start_matches("sha256:")));
    }
    text.push_str("# Changes made here are lost; `seawall emit prometheus` writes it anew.\n");
    let common = Group { name: "seawall".into(), recordings: recordings::common(), alerts: alerts::common() };
    let each = policies.iter().map(|policy| Group {
        name: format!("seawall-{}", policy.name),
        recordings: recordings::limits(policy),
        alerts: alerts::of(policy),
    });
    text.push_str("groups:\n");
    for group in std::iter::once(common).chain(each) {
        text.push_str(&group.to_yaml(runbook_url));
    }
    text
}

/// `policy="shop"`, as it stands between the braces of a selector.
fn of_policy(policy: &Policy) -> String {
    format!("policy={}", literal(policy.name.as_str()))
}
