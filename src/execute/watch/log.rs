//! The log on its way out: what the server says was archived, looked for where it should be.

use std::time::Duration;

use super::remembered::{recall, remember};
use super::server::ServerLog;
use super::stores::Stores;
use crate::alert::WalFacts;
use crate::evidence::{LogStored, Quiet, waiting_since};
use crate::inventory::Observed;
use crate::policy::model::Wal;
use crate::site::{Site, SiteFault};
use crate::units::{Instant, Name};
use crate::wal::{Place, find};

/// One object is asked for: a store that is longer about it is away.
const PATIENCE: Duration = Duration::from_secs(15);
const REMEMBERED: &str = "log.json";

/// Whether the segment that the server says was archived last lies in a store of the log.
pub(super) fn has_newest(site: &Site<'_>, log: &Observed<ServerLog>) -> Observed<bool> {
    let (Some(wal), Observed::Known(log)) = (&site.policy.wal, log) else {
        return Observed::unknown("nobody has asked");
    };
    if log.told.segment.is_none() {
        return Observed::unknown("the server names no segment");
    }
    let mut away = None;
    for name in stores(wal) {
        match has(site, name, log) {
            // One is enough where one is what `archive_command` waits for; that all have it is another alert's.
            Ok(true) => return Observed::Known(true),
            Ok(false) => {}
            Err(fault) => away = Some(format!("`{name}`: {}", fault.message)),
        }
    }
    away.map_or(Observed::Known(false), Observed::unknown)
}

fn stores(wal: &Wal) -> impl Iterator<Item = &Name> {
    std::iter::once(&wal.store).chain(&wal.copies)
}

fn has(site: &Site<'_>, name: &Name, log: &ServerLog) -> Result<bool, SiteFault> {
    let Some(file) = log.told.segment.as_deref().and_then(|segment| segment.parse().ok()) else { return Ok(false) };
    let store = site.store_with_patience(name, PATIENCE)?;
    let Some(found) = site.find_repository(&store)? else { return Ok(false) };
    let place = Place { store, repository: found.repository };
    let object = find(&place, log.cluster, file).map_err(|fault| SiteFault::new(fault.message, fault.hint))?;
    Ok(object.is_some())
}

/// What waits, by both. A look at which nothing did is remembered: what waits at the next one was written after it.
pub(super) fn facts(
    site: &Site<'_>,
    log: Observed<ServerLog>,
    has_newest: Observed<bool>,
    stores: &Stores,
    now: Instant,
) -> Observed<WalFacts> {
    let log = match log {
        Observed::Known(log) => log,
        Observed::Unknown { reason } => return Observed::unknown(reason),
    };
    // Where others archive there is no store of ours to ask.
    let has_it = if site.policy.wal.is_some() { has_newest } else { Observed::Known(true) };
    let quiet = recall(site, REMEMBERED).filter(|quiet: &Quiet| quiet.at <= now);
    let stored = LogStored { has_it, until: site.policy.wal.as_ref().and_then(|wal| stores.reached(wal)) };
    let waiting_since = match waiting_since(&log.told, &stored, quiet.as_ref()) {
        Observed::Known(since) => since,
        Observed::Unknown { reason } => return Observed::unknown(reason),
    };
    if let (None, Some(segment)) = (waiting_since, &log.told.segment) {
        let quiet = Quiet { at: now, segment: segment.clone(), snapshot: log.told.snapshot.clone() };
        remember(site, REMEMBERED, &quiet);
    }
    let is_lost = stored.has_it == Observed::Known(false);
    let lost = log.told.segment.as_ref().filter(|_| is_lost).map(|segment| {
        format!("the server says that {segment} was archived, and no store of the log has it: what `archive_command` is now ships it elsewhere or nowhere")
    });
    Observed::Known(WalFacts {
        waiting_since,
        waiting: log.waiting,
        last_archived: log.told.archived,
        error: lost.or(log.error),
        push: log.push,
        position: log.position,
    })
}
