//! Reads what is on record of policies and has it put together: for whoever asks how they stand, and for reports. Nothing is written here
//! and neither a store nor a server is asked.

mod chain;
mod read;

pub use chain::Walked;
pub use read::{catalog_name, past, records, standing};

use crate::catalog::{Catalog, CatalogFault};
use crate::policy::model::Policy;
use crate::report::account::{ChainAccount, PolicyAccount, Room, Subject, account};
use crate::report::{Covered, OnRecord, Standing};
use crate::units::Instant;
use crate::world::parallel;

/// So many policies' pasts are held at once: a year of a large fleet would not fit.
const AT_ONCE: usize = 64;

/// A policy, and how it stands.
#[derive(Debug, Clone, Copy)]
pub struct Stood<'s> {
    pub policy: &'s Policy,
    pub record: &'s OnRecord,
    pub standing: &'s Standing,
}

/// The accounts of policies that share a catalog, in their order.
pub fn accounts(
    catalog: &Catalog,
    policies: &[Stood<'_>],
    walked: &Walked,
    covered: Covered,
    room: Room,
    now: Instant,
) -> Result<Vec<PolicyAccount>, CatalogFault> {
    let mut all = Vec::with_capacity(policies.len());
    for some in policies.chunks(AT_ONCE) {
        let names: Vec<&str> = some.iter().map(|one| one.policy.name.as_str()).collect();
        let pasts = past(catalog, &names, walked, covered, room)?;
        let subjects: Vec<Subject<'_>> = some
            .iter()
            .zip(&pasts)
            .map(|(one, past)| Subject { policy: Some(one.policy), record: one.record, standing: one.standing, past })
            .collect();
        all.extend(parallel::map(&subjects, &|subject| account(subject, covered, room, now)));
    }
    Ok(all)
}

/// What a chain came to, also where it could not be read.
pub fn chain_of(catalog: &Catalog, before: Option<&Walked>) -> (Walked, ChainAccount) {
    let walked = Walked::along(catalog, before);
    let account = walked.account(catalog_name(catalog));
    (walked, account)
}
