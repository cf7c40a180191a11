//! That an identity has opened something is on record: whoever holds it can still use it.

use std::collections::BTreeSet;

use crate::catalog::{Catalog, CatalogFault, Measured};
use crate::evidence::{IDENTITY_OPENED, IDENTITY_PART_OPENED, part_subject, recipient_key, recipients};
use crate::format::seal::Identities;
use crate::site::Site;
use crate::units::{Instant, figure_of};

/// Notes which of the policy's identities have opened something by now. The host's own key is none of them.
pub fn note(site: &Site<'_>, catalog: &Catalog, identities: &Identities, now: Instant) -> Result<(), CatalogFault> {
    let of_policy = recipients(site.policy);
    let used = identities.used();
    let used = used.iter().map(|used| (recipient_key(&used.key), used.part.as_deref())).filter(|(key, _)| of_policy.contains(key));
    // Several parts of one key may have.
    let noted: BTreeSet<(&str, String)> = used.flat_map(|(key, part)| opened(key, part)).collect();
    let figures: Vec<Measured<'_>> = noted.iter().map(|(name, subject)| Measured { name, subject, value: figure_of(now) }).collect();
    catalog.measure(site.policy.name.as_str(), &figures, now)
}

/// As what it is noted that a key has opened something, and which part of it.
pub(super) fn opened(key: String, part: Option<&str>) -> impl Iterator<Item = (&'static str, String)> {
    let part = part.map(|part| (IDENTITY_PART_OPENED, part_subject(&key, part)));
    std::iter::once((IDENTITY_OPENED, key)).chain(part)
}

/// The same for a command that runs without the record: where there is a catalog it learns of it. That it does not is no reason to fail.
pub fn note_where_there_is_a_catalog(site: &Site<'_>, identities: &Identities, now: Instant) {
    if identities.used().is_empty() {
        return;
    }
    with_catalog(site, &|catalog| note(site, catalog, identities, now));
}

/// Writes into the catalog where there is one; makes none.
pub fn with_catalog(site: &Site<'_>, write: &dyn Fn(&Catalog) -> Result<(), CatalogFault>) {
    let written = site.catalog().map_err(|fault| fault.message).and_then(|place| {
        let there = Catalog::open_existing(&place).map_err(|fault| fault.message)?.is_some();
        if !there {
            return Ok(());
        }
        Catalog::open(&place).and_then(|catalog| write(&catalog)).map_err(|fault| fault.message)
    });
    if let Err(message) = written {
        tracing::warn!("the record does not take what was measured: {message}");
    }
}
