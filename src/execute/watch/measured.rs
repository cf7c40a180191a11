//! What was seen, as figures on record: what `status`, `check` and `metrics` go by.
//!
//! What is not known is not written. A figure counts for the present as long as it is of the same moment as `watched`.

use super::evidence;
use crate::alert::{Answers, Facts};
use crate::catalog::{Catalog, CatalogFault, Latest, Measured};
use crate::evidence::IDENTITY_EXPIRES;
use crate::policy::model::Policy;
use crate::units::{Instant, figure_of};

/// All of it, or nothing.
pub(super) fn record(catalog: &Catalog, policy: &Policy, facts: &Facts, latest: &[Latest], now: Instant) -> Result<(), CatalogFault> {
    let mut all: Vec<(&str, String, f64)> = vec![("watched", String::new(), figure_of(now))];
    let mut of = |name: &'static str, subject: &str, value: f64| all.push((name, subject.to_owned(), value));
    if let Some(answers) = answers(&facts.server) {
        of("server_answers", "", answers);
    }
    for (name, store) in &facts.stores {
        if let Some(answers) = answers(&store.answers) {
            of("store_answers", name.as_str(), answers);
        }
        if let Some(used) = store.used.known() {
            of("store_used_bytes", name.as_str(), used.get() as f64);
        }
    }
    for (name, copy) in &facts.copies {
        if let Some(copy) = copy.known() {
            // Nothing is missing: no moment at all.
            of("copy_behind_since", name.as_str(), copy.behind_since.map_or(0.0, figure_of));
        }
    }
    if let Some(wal) = facts.wal.known() {
        // Nothing waits: no moment at all.
        of("wal_waiting_since", "", wal.waiting_since.map_or(0.0, figure_of));
        of("wal_waiting_segments", "", wal.waiting as f64);
    }
    for (name, lag) in facts.standbys.known().into_iter().flatten() {
        if let Some(lag) = lag.known() {
            of("standby_lag_seconds", name, lag.as_secs() as f64);
        }
    }
    if let Some(skew) = facts.clock_skew.known() {
        of("clock_skew_seconds", "", skew.as_secs() as f64);
    }
    if let Some(written) = facts.canary.as_ref().and_then(|canary| canary.known()?.written) {
        of("canary_written", "", figure_of(written));
    }
    for (job, seen) in facts.jobs.known().into_iter().flatten() {
        if let Some(newest) = seen.newest_backup.as_ref().and_then(|newest| newest.known()) {
            of("backup_newest", job, newest.map_or(0.0, figure_of));
        }
        if let Some(newest) = seen.newest_whole.as_ref().and_then(|newest| newest.known()) {
            of("backup_newest_whole", job, newest.map_or(0.0, figure_of));
        }
    }
    for hold in facts.holds.known().into_iter().flatten().filter(|hold| !hold.passing) {
        if let Some(until) = hold.until {
            of("hold_ends", hold.name.as_str(), figure_of(until));
        }
    }
    for (key, seen) in &facts.recipients {
        if let Some(seen) = seen.known().filter(|seen| seen.unusable.is_none()) {
            // It does not come by itself: no moment at all.
            of(IDENTITY_EXPIRES, key, seen.expires.map_or(0.0, figure_of));
        }
    }
    evidence::record(policy, facts, latest, now, &mut of);
    let policy = policy.name.as_str();
    evidence::record_log(catalog, policy, facts, latest, now)?;
    let measured: Vec<Measured<'_>> = all.iter().map(|(name, subject, value)| Measured { name, subject, value: *value }).collect();
    catalog.measure(policy, &measured, now)
}

fn answers(answers: &Answers) -> Option<f64> {
    match answers {
        Answers::Yes => Some(1.0),
        Answers::No { .. } => Some(0.0),
        Answers::Unknown { .. } => None,
    }
}
