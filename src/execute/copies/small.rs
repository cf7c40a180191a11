//! What is small and lies beside the backups: holds, audit chains, how drills went.

use std::collections::BTreeMap;

use super::ground::Pair;
use super::object::{Miss, Proof, Wanted, small};
use super::{Copied, Flaw, name_in};
use crate::site::SiteFault;
use crate::store::Put;

/// A hold is a name, a reason and what it selects.
const MAX_HOLD: usize = 1 << 20;

/// What holds in one store holds in its copy. They are the only things here that somebody may change: a hold that reads otherwise in the copy,
/// or was taken away in the original alone, holds on there until somebody takes it away there too.
pub(super) fn holds(pair: &Pair<'_>, copied: &mut Copied) -> Result<(), SiteFault> {
    let (from, to) = (pair.from, pair.to);
    for meta in from.store.list(&from.repository.prefix("holds"))? {
        let Some(hold) = small(&from.store, &meta.key, MAX_HOLD)? else { continue };
        let key = name_in(pair, from, &meta.key)?;
        match to.store.put_new(&key, hold.clone())? {
            Put::Created => copied.others.add(meta.size),
            Put::Exists if small(&to.store, &key, MAX_HOLD)?.is_some_and(|there| there != hold) => {
                copied.remarks.push(format!("{key} is not the same in `{}` and in `{}`; both hold", from.name, to.name));
            }
            Put::Exists => {}
        }
    }
    Ok(())
}

/// Records that are put once and never changed.
pub(super) fn evidence(pair: &Pair<'_>, copied: &mut Copied) -> Result<(), SiteFault> {
    for folder in ["audit", "drills"] {
        let there = pair.to.store.list(&pair.to.repository.prefix(folder))?;
        let there: BTreeMap<_, _> = there.into_iter().map(|meta| (meta.key, meta.size)).collect();
        for meta in pair.from.store.list(&pair.from.repository.prefix(folder))? {
            pair.onlooker.may_go_on()?;
            let to = name_in(pair, pair.from, &meta.key)?;
            let flaw = |what| Flaw { store: pair.to.name.clone(), key: to.to_string(), what, backup: None };
            match there.get(&to) {
                Some(size) if *size == meta.size => continue,
                Some(size) => {
                    copied.flaws.push(flaw(format!("it has {size} bytes, and {} in `{}`", meta.size, pair.from.name)));
                    continue;
                }
                None => {}
            }
            let wanted = Wanted { key: meta.key, to: to.clone(), size: meta.size, proof: Proof::Size, reads_back: false };
            match pair.bring(pair.from, &wanted) {
                Ok(_) => copied.others.add(meta.size),
                Err(Miss::Gone) => {}
                Err(Miss::Damaged(what) | Miss::Differs(what)) => copied.flaws.push(flaw(what)),
                Err(Miss::Fault(fault)) => return Err(fault),
            }
        }
    }
    Ok(())
}
