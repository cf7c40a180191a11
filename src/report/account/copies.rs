//! What lies twice, and what may not go.

use super::promises::is_stale;
use super::shape::{CopyAccount, HoldAccount, State};
use crate::inventory::{Backup, BackupState, ClusterInventory, Hold, StoreInventory};
use crate::plan::minute;
use crate::policy::model::{CopyTo, Policy};
use crate::units::{Instant, Name};

pub(in crate::report) fn holds(policy: &Policy, inventory: Option<&ClusterInventory>, now: Instant) -> Vec<HoldAccount> {
    let placed = inventory.and_then(|inventory| inventory.holds.known());
    let of_backups = |hold: &Hold, in_policy: bool| HoldAccount {
        hold: hold.name.to_string(),
        reason: hold.reason.clone(),
        holds: "backups".to_owned(),
        until: hold.until.map(minute),
        in_policy,
        active: hold.is_active(now),
        backups: inventory.map(|inventory| {
            let stores = inventory.stores.values().filter_map(|store| store.known());
            stores.flat_map(|store| &store.backups).filter(|backup| hold.selects.matches(backup)).count()
        }),
    };
    let today = policy.zone.wall_clock(now).date();
    let of_rows = policy.row_holds.iter().map(|(name, hold)| HoldAccount {
        hold: name.to_string(),
        reason: hold.reason.clone(),
        holds: format!("rows of {} in {}", hold.table, hold.database),
        until: hold.until.as_ref().map(|until| until.0.to_string()),
        in_policy: true,
        active: hold.stands_on(today),
        backups: None,
    });
    let declared = policy.backup_holds.iter().map(|hold| of_backups(hold, true));
    let found = placed.into_iter().flatten().filter(|hold| !policy.backup_holds.contains(hold)).map(|hold| of_backups(hold, false));
    declared.chain(found).chain(of_rows).collect()
}

/// As they lay there when the stores were listed: what was due then is looked for, and what was there may have gone since.
pub(super) fn copies(policy: &Policy, listed: Option<(&ClusterInventory, Instant)>, now: Instant) -> Vec<CopyAccount> {
    let mut all = Vec::new();
    let (inventory, at) = (listed.map(|(inventory, _)| inventory), listed.map_or(now, |(_, at)| at));
    let seen = |store: &Name| inventory.and_then(|inventory| inventory.stores.get(store)).and_then(|store| store.known());
    for (job, backup) in &policy.backups {
        let Some(from) = &backup.store else { continue };
        all.extend(backup.copies.iter().map(|copy| of_job(job, from, copy, (seen(from), seen(&copy.store)), at)));
    }
    if let Some(wal) = &policy.wal {
        let until = |store: &Name| seen(store).map(|store| store.wal.iter().map(|range| range.to_time).max());
        all.extend(wal.copies.iter().map(|copy| of_log(&wal.store, copy, (until(&wal.store), until(copy)))));
    }
    for (name, store) in &policy.stores {
        all.extend(store.replicated.as_ref().map(|replicated| CopyAccount {
            of: "store".to_owned(),
            from: name.to_string(),
            to: replicated.to.clone(),
            backups: None,
            newest: None,
            within_seconds: None,
            state: State::Unproven,
            because: "the store copies by itself, and nobody has looked there".to_owned(),
        }));
    }
    for copy in all.iter_mut().filter(|copy| copy.state == State::Kept && is_stale(Some(at), now)) {
        copy.state = State::Unproven;
        copy.because = format!("{}, and nobody has listed what lies there since {}", copy.because, minute(at));
    }
    all
}

type Both<T> = (Option<T>, Option<T>);

fn of_job(job: &Name, from: &Name, copy: &CopyTo, (here, there): Both<&StoreInventory>, at: Instant) -> CopyAccount {
    fn of<'s>(job: &Name, store: &'s StoreInventory) -> Vec<&'s Backup> {
        store.backups.iter().filter(|backup| backup.job == *job && backup.state == BackupState::Complete).collect()
    }
    let there: Option<Vec<&Backup>> = there.map(|store| of(job, store));
    let newest = there.as_ref().and_then(|there| there.iter().map(|backup| backup.moment()).max());
    // Only what these tiers keep is copied: the newest need not be there.
    let selective = !copy.only.is_empty();
    let (state, because) = match (here.map(|store| of(job, store)), &there) {
        (_, None) => (State::Unproven, "the store was not looked at".to_owned()),
        (None, Some(there)) => (State::Unproven, format!("{} lie there; what lies in `{from}` is not known", there.len())),
        (Some(here), Some(there)) => {
            let is_there = |backup: &Backup| there.iter().any(|copied| copied.id == backup.id);
            let due = |backup: &&&Backup| at.as_second() - backup.moment().as_second() > copy.within.to_signed().as_secs();
            match here.iter().filter(due).max_by_key(|backup| backup.moment()) {
                None => (State::Kept, "none is due yet".to_owned()),
                Some(newest) if is_there(newest) => (State::Kept, "the newest that is due is there".to_owned()),
                Some(_) if selective && !there.is_empty() => (State::Unproven, "only some of them are copied".to_owned()),
                Some(missing) => (State::Broken, format!("backup {} of {} is not there", missing.id, minute(missing.moment()))),
            }
        }
    };
    CopyAccount {
        of: format!("backups.{job}"),
        from: from.to_string(),
        to: copy.store.to_string(),
        backups: there.map(|there| there.len()),
        newest,
        within_seconds: Some(copy.within.as_secs()),
        state,
        because,
    }
}

/// How far the log reaches in one store and in the other.
fn of_log(from: &Name, to: &Name, (here, there): Both<Option<Instant>>) -> CopyAccount {
    /// So much may be on its way.
    const UNDER_WAY: i64 = 900;
    let (state, because) = match (here, there) {
        (_, None) => (State::Unproven, "the store was not looked at".to_owned()),
        (None | Some(None), Some(_)) => (State::Unproven, format!("how far the log reaches in `{from}` is not known")),
        (Some(Some(_)), Some(None)) => (State::Broken, "no log lies there".to_owned()),
        (Some(Some(here)), Some(Some(there))) if here.as_second() - there.as_second() > UNDER_WAY => {
            (State::Broken, format!("it reaches {} there and {} in `{from}`", minute(there), minute(here)))
        }
        (Some(Some(_)), Some(Some(_))) => (State::Kept, "it reaches as far there".to_owned()),
    };
    CopyAccount {
        of: "wal".to_owned(),
        from: from.to_string(),
        to: to.to_string(),
        backups: None,
        newest: there.flatten(),
        within_seconds: None,
        state,
        because,
    }
}
