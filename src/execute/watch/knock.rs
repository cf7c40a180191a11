//! Whether stores answer at all, asked before the policies that keep something there are looked at: each once, and all that do not at the same
//! time. However many policies wait for however many dead stores, they have waited once.

use super::stores::PATIENCE;
use crate::site::Site;
use crate::store::Place;
use crate::units::Name;
use crate::world::parallel;

/// All of it is waiting.
const AT_ONCE: usize = 64;

/// What is heard is remembered where the sites remember it ([`Site::within`]).
pub fn knock(sites: &[&Site<'_>]) {
    let mut doors: Vec<Place> = Vec::new();
    let mut stores: Vec<(&Site<'_>, &Name)> = Vec::new();
    for (site, name) in sites.iter().flat_map(|site| site.policy.stores.keys().map(move |name| (*site, name))) {
        if let Some(door) = site.door(name).filter(|door| !matches!(door, Place::Local { .. }) && !doors.contains(door)) {
            doors.push(door);
            stores.push((site, name));
        }
    }
    parallel::map_with(AT_ONCE, &stores, &|(site, name)| {
        // Whoever is looked at says it himself.
        if let Err(fault) = site.store_with_patience(name, PATIENCE).and_then(|store| Ok(store.knock()?)) {
            tracing::debug!("a first look at the store `{name}` of `{}`: {}", site.policy.name, fault.message);
        }
    });
}
