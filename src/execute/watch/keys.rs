//! The recipients' public keys of OpenPGP: they lie in a file or a keyring of this host, and expire there unless somebody prolongs them.

use std::collections::BTreeMap;

use crate::alert::{Facts, RecipientFacts};
use crate::catalog::{Catalog, CatalogFault, Latest, Measured};
use crate::evidence::{IDENTITY_PART_FIRST_SEEN, part_subject, recipient_key, recipients};
use crate::format::seal::{KeyError, KeyStanding};
use crate::inventory::Observed;
use crate::policy::model::{Encryption, Policy};
use crate::site::Site;
use crate::units::{Instant, figure_of};

/// What is encrypted to is said again before its series would be forgotten.
const A_DAY: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

/// Each key, by its fingerprint; none where the policy has no such.
pub(super) fn look(site: &Site<'_>, now: Instant) -> BTreeMap<String, Observed<RecipientFacts>> {
    if !matches!(site.policy.encryption, Some(Encryption::OpenPgp(_))) {
        return BTreeMap::new();
    }
    match site.openpgp_standing(now) {
        Ok(all) => all.into_iter().map(|(written, standing)| (recipient_key(written), facts(standing))).collect(),
        Err(fault) => recipients(site.policy).into_iter().map(|key| (key, Observed::unknown(fault.message.clone()))).collect(),
    }
}

fn facts(standing: Result<KeyStanding, KeyError>) -> Observed<RecipientFacts> {
    match standing {
        Ok(KeyStanding { ends, part }) => Observed::Known(RecipientFacts { expires: ends, part, unusable: None }),
        // Where it is not, nothing is known of it: another host may have it.
        Err(error @ KeyError::NotAmong(_)) => Observed::unknown(error.to_string()),
        Err(error) => Observed::Known(RecipientFacts { unusable: Some(error.to_string()), ..RecipientFacts::default() }),
    }
}

/// To which part of each key is encrypted: at once where it is another one, and then once a day.
pub(super) fn record(policy: &Policy, catalog: &Catalog, latest: &[Latest], facts: &Facts, now: Instant) -> Result<(), CatalogFault> {
    for (key, seen) in &facts.recipients {
        let Some(part) = seen.known().and_then(|seen| seen.part.as_deref()) else { continue };
        let subject = part_subject(key, part);
        let said = latest.iter().filter(|one| one.name == IDENTITY_PART_FIRST_SEEN && one.subject.starts_with(&part_subject(key, "")));
        let newest = said.clone().max_by_key(|one| one.at);
        if newest.is_some_and(|newest| newest.subject == subject && now.duration_since(newest.at).abs() < A_DAY) {
            continue;
        }
        let since = said.into_iter().find(|one| one.subject == subject).map_or(figure_of(now), |one| one.value);
        catalog.measure(policy.name.as_str(), &[Measured { name: IDENTITY_PART_FIRST_SEEN, subject: &subject, value: since }], now)?;
    }
    Ok(())
}
