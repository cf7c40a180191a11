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

/// So many policies' pasts are held at once by each thread: a year of a large fleet would not fit.
const AT_ONCE: usize = 32;

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
    let parts: Vec<&[Stood<'_>]> = policies.chunks(AT_ONCE).collect();
    let made = parallel::map_asking(&parts, &|some| -> Result<Vec<PolicyAccount>, CatalogFault> {
        let pasts = past(catalog, some, walked, covered, room)?;
        let subjects: Vec<Subject<'_>> = some
            .iter()
            .zip(&pasts)
            .map(|(one, past)| Subject { policy: Some(one.policy), record: one.record, standing: one.standing, past })
            .collect();
        Ok(subjects.iter().map(|subject| account(subject, covered, room, now)).collect())
    });
    let made: Vec<Vec<PolicyAccount>> = made.into_iter().collect::<Result<_, _>>()?;
    Ok(made.into_iter().flatten().collect())
}

/// What a chain came to, also where it could not be read.
pub fn chain_of(catalog: &Catalog, before: Option<&Walked>) -> (Walked, ChainAccount) {
    let walked = Walked::along(catalog, before);
    let account = walked.account(catalog_name(catalog));
    (walked, account)
}
