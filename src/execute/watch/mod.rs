//! One look at everything that somebody may have to be told of: what is seen, what follows from it, and what is sent.
//!
//! What is to be said and that it was decided is written in one transaction; sending comes after it, and again with every later look until
//! it has arrived. So nothing is lost when this process, the catalog's host or a receiver goes down at any moment.

mod again;
mod canary;
mod databases;
mod drilled;
mod events;
mod evidence;
mod facts;
mod keys;
mod knock;
mod log;
mod measured;
mod owed;
mod remembered;
mod server;
mod stores;
mod tidy;
mod uncatalogued;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;

use thiserror::Error;

use crate::alert::{Acknowledgement, Judged, Memory, MemoryError, Seen, Unreadable, conditions, judge};
use crate::catalog::{Catalog, CatalogFault, Measured, QueuedNotice};
use crate::execute::witness::{self, WitnessFault};
use crate::notify::outbox::{self, Flushed};
use crate::policy::model::Policy;
use crate::site::{Site, SiteFault};
use crate::units::{Name, moment_of};
use crate::world::{clock, parallel};

pub use events::tell_since;
pub use facts::{failing, gather};
pub use knock::knock;
pub use uncatalogued::{catalog_is_down, catalog_is_well};

/// What a look came to.
#[derive(Debug)]
pub struct Watched {
    pub judged: Judged,
    pub sent: Flushed,
    /// How many notices were decided on.
    pub queued: usize,
}

#[derive(Debug, Clone, Error)]
pub enum WatchFault {
    #[error("{0}")]
    Catalog(#[from] CatalogFault),
    #[error("{0}")]
    Memory(#[from] MemoryError),
    #[error("{0}")]
    Site(#[from] SiteFault),
    #[error("others change what is remembered of the alerts faster than this can be decided")]
    Contested,
}

impl WatchFault {
    pub fn hint(&self) -> &str {
        match self {
            WatchFault::Catalog(fault) => &fault.hint,
            WatchFault::Memory(fault) => fault.hint(),
            WatchFault::Site(fault) => &fault.hint,
            WatchFault::Contested => "Is `seawall watch` started by more than one timer?",
        }
    }

    /// The same may go well at the next look.
    pub fn may_pass(&self) -> bool {
        match self {
            WatchFault::Catalog(fault) => fault.transient,
            WatchFault::Memory(_) => false,
            WatchFault::Site(fault) => fault.transient,
            WatchFault::Contested => true,
        }
    }
}

/// How much is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// The server, the stores, the record.
    Everything,
    /// Everything; nothing is sent.
    Unsent,
    /// Only what is on record, after a run. Nothing is sent: the unit that runs a job has the secrets of that job and no others.
    Record,
}

/// Looks, decides, writes that down, and sends.
pub fn watch(
    site: &Site<'_>,
    catalog: &Catalog,
    look: Look,
    unreadable: Option<Unreadable>,
    stop: &AtomicBool,
) -> Result<Watched, WatchFault> {
    let now = clock::now();
    // By the last good rules nobody can say that the policy is another one.
    let digest = unreadable.is_none().then_some(site.policy.digest.as_str());
    let facts = match look {
        Look::Everything | Look::Unsent => Some(gather(site, catalog, unreadable, now)?),
        Look::Record => None,
    };
    let found = facts.as_ref().map(|facts| conditions(site.policy, facts, now));
    let failing = facts.as_ref().map_or(&[][..], |facts| facts.failing.as_slice());
    let (judged, queued) = decide(site, catalog, found.as_deref(), failing, digest)?;
    if look != Look::Everything {
        return Ok(Watched { judged, sent: Flushed::default(), queued });
    }
    let sent = send(&[site], catalog, stop)?;
    tell_again(site, catalog, &judged, (&sent, &mut BTreeSet::new()), stop)?;
    Ok(Watched { judged, sent, queued })
}

/// Sends what is owed to the receivers of these policies, of one host and one catalog, copies what is new in the audit chain, and lets go of what is
/// too old in the catalog. All together: a mail server that does not answer is waited for once, not once for each policy.
pub fn send(sites: &[&Site<'_>], catalog: &Catalog, stop: &AtomicBool) -> Result<Flushed, WatchFault> {
    let Some(first) = sites.first() else { return Ok(Flushed::default()) };
    let policies: BTreeMap<Name, &Policy> = sites.iter().map(|site| (site.policy.name.clone(), site.policy)).collect();
    let claimant = format!("{}:{}", first.host(), std::process::id());
    let sent = outbox::flush(catalog, &policies, &clock::now, &claimant, stop)?;
    for failure in &sent.failed {
        let word = if failure.gave_up { "was given up" } else { "waits" };
        tracing::warn!(hint = failure.hint, "a message to `{}` {word}: {}", failure.receiver, failure.message);
    }
    for (delivery, said) in sent.delivered.iter().flat_map(|delivery| delivery.refused.iter().map(move |said| (delivery, said))) {
        tracing::warn!("a message to `{}` did not reach everybody: {said}", delivery.receiver);
    }
    if let Err(fault) = tidy::tidy(sites, catalog) {
        tracing::warn!(hint = fault.hint, "what is too old stays in the catalog: {}", fault.message);
    }
    parallel::map_with(sites.len().min(8), sites, &|site| {
        if let Err(fault) = bear_witness(site, catalog) {
            tracing::warn!(hint = fault.hint(), "the audit chain is not copied to the store: {fault}");
        }
    });
    Ok(sent)
}

/// Receivers that forget are told again of what burns; `sent` is what was sent before, and servers that do not answer join those in `silent`.
pub fn tell_again(
    site: &Site<'_>,
    catalog: &Catalog,
    judged: &Judged,
    (sent, silent): (&Flushed, &mut BTreeSet<String>),
    stop: &AtomicBool,
) -> Result<(), WatchFault> {
    Ok(again::tell(site, catalog, &judged.memory, (sent, silent), stop)?)
}

/// The policy has another name now. Under the old one nothing is watched any more: whoever heard that something is wrong hears that it is not
/// watched under that name, and what waits is sent. True when nothing is left to be done.
pub fn leave(site: &Site<'_>, catalog: &Catalog, stop: &AtomicBool) -> Result<bool, WatchFault> {
    let policy = &site.policy.name;
    let (_, remembered) = catalog.memory(policy.as_str())?;
    if !remembered.is_empty() {
        decide(site, catalog, Some(&[]), &[], None)?;
    }
    let policies: BTreeMap<Name, &Policy> = [(policy.clone(), site.policy)].into();
    outbox::flush(catalog, &policies, &clock::now, &format!("{}:{}", site.host(), std::process::id()), stop)?;
    Ok(catalog.undelivered(policy.as_str())?.iter().all(|notice| notice.gave_up))
}

/// Once an hour the store gets what is new in the audit chain.
fn bear_witness(site: &Site<'_>, catalog: &Catalog) -> Result<(), WitnessFault> {
    const MARK: &str = "audit_copied";
    const EVERY: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);
    let (policy, now) = (site.policy.name.as_str(), clock::now());
    let last = catalog.latest(policy)?.into_iter().find(|one| one.name == MARK).and_then(|one| moment_of(one.value));
    if last.is_some_and(|last| now.duration_since(last).abs() < EVERY) {
        return Ok(());
    }
    witness::copy(site, catalog)?;
    Ok(catalog.measure(policy, &[Measured { name: MARK, subject: "", value: now.as_second() as f64 }], now)?)
}

/// Decides from what is remembered now; again, when somebody else was faster.
fn decide(
    site: &Site<'_>,
    catalog: &Catalog,
    conditions: Option<&[crate::alert::Condition]>,
    failing: &[crate::alert::FailingReceiver],
    digest: Option<&str>,
) -> Result<(Judged, usize), WatchFault> {
    const TRIES: usize = 20;
    let policy = site.policy.name.as_str();
    for _ in 0..TRIES {
        let now = clock::now();
        let (version, text) = catalog.memory(policy)?;
        let memory = if text.is_empty() { Memory::default() } else { Memory::from_json(&text)? };
        let happened = events::since(site, catalog, now)?;
        let acknowledgements: Vec<Acknowledgement> = catalog
            .acknowledgements(policy)?
            .into_iter()
            // One that is dated ahead would count for what has not happened yet.
            .filter(|ack| ack.at <= now)
            .map(|ack| Acknowledgement {
                key: ack.key,
                by: ack.by,
                at: ack.at,
                until: ack.until,
                note: Some(ack.note).filter(|note| !note.is_empty()),
            })
            .collect();
        let seen = Seen { host: site.host(), conditions, events: &happened.events, acknowledgements: &acknowledgements, failing, digest };
        let judged = judge(site.policy, memory, &seen, now);
        let json: Vec<String> = judged.notices.iter().map(|notice| serde_json::to_string(notice).unwrap_or_default()).collect();
        let queued: Vec<QueuedNotice<'_>> = judged
            .notices
            .iter()
            .zip(&json)
            .map(|(notice, json)| QueuedNotice { id: &notice.id, policy, receiver: notice.receiver.as_str(), json, not_before: notice.at })
            .collect();
        let queued_now = queued.len();
        let remembered = judged.memory.to_json();
        let unchanged = queued.is_empty() && remembered == text;
        if unchanged || catalog.decide(policy, version, &remembered, &queued, now)? {
            happened.told(catalog, policy)?;
            return Ok((judged, queued_now));
        }
    }
    Err(WatchFault::Contested)
}
