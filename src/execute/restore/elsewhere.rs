//! What else leads to the same target, when an object of the chosen backup is lost or damaged. It is named and never taken by itself: another
//! base is another restore, and somebody has to say so.

use super::RestoreFault;
use super::choose::{Chosen, candidates, find};
use super::request::Request;
use crate::format::seal::Identities;
use crate::observe::{self, Eyes};
use crate::plan::words::joined;
use crate::site::Site;
use crate::units::{BackupId, Instant, Name, to_the_millisecond};

/// Another way to the target.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Other {
    backup: BackupId,
    ended: Instant,
    /// None: the same one.
    store: Option<Name>,
}

impl RestoreFault {
    /// With what can be restored instead, where the fault is one of an object.
    pub(super) fn with_others(self, site: &Site<'_>, request: &Request, chosen: &Chosen, identities: &Identities, now: Instant) -> Self {
        if !self.of_object {
            return self;
        }
        let others: Vec<String> = others(site, request, chosen, identities, now).iter().map(Other::words).collect();
        let hint = if others.is_empty() {
            "No other backup in the policy's stores leads to this target; `seawall verify` says what else is damaged.".to_owned()
        } else {
            format!("What leads there too: {}. `seawall verify` says what else is damaged.", joined(others))
        };
        RestoreFault { hint, ..self }
    }

    /// The same, where it is begun already.
    pub(super) fn within_a_restore(self) -> Self {
        let hint = format!("{} Add `--delta`: the directory holds an interrupted restore now.", self.hint);
        if self.of_object { RestoreFault { hint, ..self } } else { self }
    }
}

impl Other {
    fn words(&self) -> String {
        let store = self.store.as_ref().map(|store| format!("--store {store} ")).unwrap_or_default();
        format!("`{store}--backup {}` (ended {})", self.backup, to_the_millisecond(self.ended))
    }
}

fn others(site: &Site<'_>, request: &Request, chosen: &Chosen, identities: &Identities, now: Instant) -> Vec<Other> {
    let Ok(writers) = site.writers() else { return Vec::new() };
    let eyes = Eyes { policy: site.policy.name.as_str(), writers: &writers, identities, now };
    let wider = Request { store: None, backup: None, ..request.clone() };
    candidates(site.policy, wider.store.as_ref()).iter().filter_map(|name| other(site, name, &wider, chosen, &eyes)).collect()
}

/// The best of one store. One that cannot be looked at now offers nothing.
fn other(site: &Site<'_>, name: &Name, request: &Request, chosen: &Chosen, eyes: &Eyes<'_>) -> Option<Other> {
    let store = site.store(name).ok()?;
    let found = site.find_repository(&store).ok()??;
    let mut inventory = observe::look_settled(&store, found.repository, eyes).ok()?.inventory;
    let is_same_store = *name == chosen.store_name;
    if is_same_store {
        inventory.backups.retain(|backup| backup.id != chosen.descriptor.id);
    }
    let path = find(&inventory, request).ok()?;
    let [base] = path.chain.as_slice() else { return None };
    Some(Other { backup: base.id.clone(), ended: base.moment(), store: (!is_same_store).then(|| name.clone()) })
}
