//! Drills of other hosts, by their records beside the backups. The stores are listed for them every hour, and more often while one is owed: who
//! waits for a drill that another host makes is not told that nobody has made it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::remembered::{recall, remember};
use crate::alert::{Answers, StoreFacts};
use crate::catalog::{Catalog, CatalogFault, JobRecord};
use crate::execute::{drill, run};
use crate::observe::NotCounted;
use crate::policy::model::TimedKind;
use crate::site::Site;
use crate::units::{Instant, Name};

const EVERY: jiff::SignedDuration = jiff::SignedDuration::from_mins(60);
const EVERY_WHILE_OWED: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);
const REMEMBERED: &str = "drilled.json";
/// Whoever plants more of what is not believed has it read again.
const MOST_REJECTED: usize = 10_000;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Seen {
    at: Option<Instant>,
    /// Of the policy by which records were not believed.
    digest: String,
    rejected: BTreeSet<String>,
}

/// Whether there was something new. A store that has just not answered is not asked again: it would be waited for once more, for every policy of a
/// fleet.
pub(super) fn look(
    site: &Site<'_>,
    catalog: &Catalog,
    (records, stores): (&[JobRecord], &BTreeMap<Name, StoreFacts>),
    now: Instant,
) -> Result<bool, CatalogFault> {
    if site.policy.drills.is_empty() {
        return Ok(false);
    }
    let mut seen: Seen = recall(site, REMEMBERED).filter(|seen: &Seen| seen.digest == site.policy.digest).unwrap_or_default();
    let every = if is_owed(site, records, now) { EVERY_WHILE_OWED } else { EVERY };
    if seen.at.is_some_and(|at| now.duration_since(at).abs() < every) {
        return Ok(false);
    }
    let is_silent = |facts: &StoreFacts| matches!(facts.answers, Answers::No { .. });
    let silent = stores.iter().filter(|(_, facts)| is_silent(facts)).map(|(name, _)| name.clone()).collect();
    let found = drill::bring_in(site, catalog, (&seen.rejected, &silent), now)?;
    for one in &found.rejected {
        tracing::warn!("the record of a drill is not believed: {}: {}", one.key, one.why);
    }
    for one in &found.ahead {
        tracing::warn!("the record of a drill counts for nothing yet: {}: {}", one.key, one.why);
    }
    for (store, fault) in &found.unseen {
        tracing::warn!(hint = fault.hint, "drills of other hosts are not looked for in `{store}`: {}", fault.message);
    }
    seen.rejected.extend(found.rejected.iter().map(NotCounted::place).take(MOST_REJECTED.saturating_sub(seen.rejected.len())));
    (seen.at, seen.digest) = (Some(now), site.policy.digest.clone());
    remember(site, REMEMBERED, &seen);
    Ok(!found.records.is_empty())
}

fn is_owed(site: &Site<'_>, records: &[JobRecord], now: Instant) -> bool {
    run::look(site.policy, records, now).due.iter().any(|(job, _)| job.kind() == TimedKind::Drill)
}
