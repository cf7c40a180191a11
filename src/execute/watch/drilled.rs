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

/// What lies beside the backups.
#[derive(Debug, Default)]
pub(super) struct Drilled {
    /// Something that was not known.
    pub has_new: bool,
    /// When the drills began that are not believed.
    pub refused: Vec<Instant>,
}

/// Looks, where it is time to. A store that has just not answered is not asked again: it would be waited for once more, for every policy of a
/// fleet.
pub(super) fn look(
    site: &Site<'_>,
    catalog: &Catalog,
    (records, stores): (&[JobRecord], &BTreeMap<Name, StoreFacts>),
    now: Instant,
) -> Result<Drilled, CatalogFault> {
    if site.policy.drills.is_empty() {
        return Ok(Drilled::default());
    }
    let mut seen: Seen = recall(site, REMEMBERED).filter(|seen: &Seen| seen.digest == site.policy.digest).unwrap_or_default();
    let every = if is_owed(site, records, now) { EVERY_WHILE_OWED } else { EVERY };
    if seen.at.is_some_and(|at| now.duration_since(at).abs() < every) {
        return Ok(Drilled { has_new: false, refused: began(&seen.rejected) });
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
    Ok(Drilled { has_new: !found.records.is_empty(), refused: began(&seen.rejected) })
}

/// A record is named after the moment at which its drill began.
fn began(rejected: &BTreeSet<String>) -> Vec<Instant> {
    let of = |place: &String| place.rsplit('/').next()?.split_once('-')?.0.parse::<Instant>().ok();
    let began: BTreeSet<Instant> = rejected.iter().filter_map(of).collect();
    began.into_iter().collect()
}

fn is_owed(site: &Site<'_>, records: &[JobRecord], now: Instant) -> bool {
    run::look(site.policy, records, now).due.iter().any(|(job, _)| job.kind() == TimedKind::Drill)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drill_that_is_not_believed_began_when_its_name_says() {
        let of = |id: &str| format!("main:seawall/shop/drills/20261121T020000Z-7f3c0011/{id}.json");
        let rejected = [of("20261122T040000Z-00000001"), of("20261121T040000Z-00000002"), of("what-it-is")].into_iter().collect();
        let moments: Vec<String> = began(&rejected).iter().map(ToString::to_string).collect();
        assert_eq!(moments, ["2026-11-21T04:00:00Z", "2026-11-22T04:00:00Z"]);
    }
}
