use std::collections::BTreeMap;

use super::existing::window_in;
use crate::inventory::{Observed, StoreInventory, Timelines};
use crate::policy::model::Policy;
use crate::retention::{Action, Keep, LogNeeds, RetentionInput, Verdict, WalKeep, WalNeeded, WalReason, verdicts, wal_needed};
use crate::units::{Duration, Instant, Name};

/// What of the log in one store stays.
///
/// It is asked of every backup that *is there*, in any store of the policy, whatever its verdict: one that is only marked may be
/// wanted again, and one in another store may have its log here alone. Where one of the stores cannot be seen, everything stays.
///
/// The window begins with the store's own bases, so that the store can answer for the whole window by itself; a store without
/// bases serves those of the others.
pub fn log_needs(policy: &Policy, store: &Name, stores: &BTreeMap<Name, Observed<&StoreInventory>>, now: Instant) -> LogNeeds {
    let window = window_in(policy, store);
    let known: Vec<&StoreInventory> = stores.values().filter_map(|seen| seen.known().copied()).collect();
    let timelines = Timelines::of(&known);
    // How long each would stay is not asked here, only what it is.
    let keeps = BTreeMap::new();
    let mut judged: Vec<(&Name, &StoreInventory, Vec<Verdict<'_>>)> = Vec::new();
    let mut needed = Vec::new();
    for (name, seen) in stores {
        match seen {
            Observed::Known(seen) => judged.push((name, seen, as_they_lie(seen, &timelines, &keeps, now))),
            Observed::Unknown { reason } => {
                needed.push(WalNeeded::Everything(WalReason::UnknownBackups(format!("`{name}`: {reason}"))));
            }
        }
    }
    let is_base = |verdict: &Verdict<'_>| verdict.good && verdict.backup.kind.is_physical();
    let own_base = judged.iter().any(|(name, _, verdicts)| *name == store && verdicts.iter().any(is_base));
    let mut any_base = false;
    for (name, seen, verdicts) in &judged {
        let serves = if own_base { *name == store } else { verdicts.iter().any(is_base) };
        any_base |= serves;
        needed.push(wal_needed(&input(seen, &timelines, &keeps, window.as_ref().filter(|_| serves)), verdicts, now));
    }
    if window.is_some() && !any_base {
        needed.push(WalNeeded::Everything(WalReason::NoBase));
    }
    let ranges = stores.get(store).and_then(Observed::known).map_or(&[][..], |seen| seen.wal.as_slice());
    LogNeeds::of(&needed, ranges)
}

/// Judged for what is good, and everything stays.
fn as_they_lie<'b>(seen: &'b StoreInventory, timelines: &'b Timelines, keeps: &'b BTreeMap<Name, Keep>, now: Instant) -> Vec<Verdict<'b>> {
    let input = input(seen, timelines, keeps, None);
    let stays = |verdict: Verdict<'b>| Verdict { action: Action::Keep(Vec::new()), ..verdict };
    verdicts(&input, now).into_iter().map(stays).collect()
}

fn input<'b>(
    seen: &'b StoreInventory,
    timelines: &'b Timelines,
    keeps: &'b BTreeMap<Name, Keep>,
    wal: Option<&'b WalKeep>,
) -> RetentionInput<'b> {
    let backups = Observed::Known(seen.backups.as_slice());
    RetentionInput { backups, timelines, keeps, holds: Observed::Known(&[]), wal, failed_grace: Duration::ZERO }
}
