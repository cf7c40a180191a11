//! Receivers that forget: what burns is told to them again and again, and to people no oftener than they want.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::alert::Memory;
use crate::catalog::{Catalog, CatalogFault, Measured};
use crate::notify::outbox::Flushed;
use crate::notify::{Before, Courier, FaultKind};
use crate::site::Site;
use crate::units::{figure_of, moment_of};
use crate::world::clock;

/// When a receiver was last told again, by its name.
const MARK: &str = "told_again";

/// Sends what burns to the receivers that want to hear of it all the time, where they have heard of it before. No reminder and no level is
/// counted by it, and what does not arrive is sent by the next look. `silent` are servers that are not asked again before that: one that is down is
/// waited for once, not once for each policy.
pub(super) fn tell(
    site: &Site<'_>,
    catalog: &Catalog,
    memory: &Memory,
    (sent, silent): (&Flushed, &mut BTreeSet<String>),
    stop: &AtomicBool,
) -> Result<(), CatalogFault> {
    let (courier, policy) = (Courier::new(site.policy), site.policy.name.as_str());
    let marks = catalog.latest(policy)?;
    for receiver in site.policy.file.receivers.keys() {
        let Some(every) = courier.resends(receiver) else { continue };
        let now = clock::now();
        let last = marks.iter().find(|mark| mark.name == MARK && mark.subject == receiver.as_str()).and_then(|mark| moment_of(mark.value));
        // What an earlier message says, and has not arrived, must not be overtaken by what is newer.
        let waits = sent.failed.iter().any(|failure| failure.receiver == receiver.as_str());
        let server = courier.server(receiver);
        let is_silent = server.as_ref().is_some_and(|server| silent.contains(server));
        if waits || is_silent || last.is_some_and(|last| now.duration_since(last).unsigned_abs() < every) {
            continue;
        }
        let notices = memory.burning_for(site.policy, site.host(), receiver, now);
        let told = notices
            .iter()
            .take_while(|_| !stop.load(Ordering::Relaxed))
            .try_for_each(|notice| courier.send(notice, &Before::default()).map(drop));
        match told {
            Ok(()) if notices.is_empty() => {}
            Ok(()) => catalog.measure(policy, &[Measured { name: MARK, subject: receiver.as_str(), value: figure_of(now) }], now)?,
            Err(fault) => {
                tracing::warn!(hint = fault.hint, "`{receiver}` is not told again of what burns: {}", fault.message);
                silent.extend(server.filter(|_| fault.kind == FaultKind::Passing));
            }
        }
    }
    Ok(())
}
