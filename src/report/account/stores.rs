//! What lies in the stores: how far back and how far forward it leads, and what keeps it.

use std::collections::BTreeMap;

use super::Room;
use super::databases::{Looked, databases};
use super::jobs::growth;
use super::shape::{DatabaseAccount, Listed, PointAccount, StoreAccount, Stretched, TierAccount};
use crate::inventory::{Backup, BackupKind, BackupState, ClusterInventory, Hold, Observed, Scope, StoreInventory};
use crate::plan::{keeps_in, window_in};
use crate::policy::model::Policy;
use crate::recovery::{Point, Reach, reach_back};
use crate::report::standing::Standing;
use crate::retention::{Action, KeepReason, RetentionInput, TierKind, Verdict, WalKeep, verdicts};
use crate::units::{BackupId, Instant, Name};

/// Every store, and every database with how far back each store leads to it.
pub(super) fn stores(
    policy: &Policy,
    inventory: Option<&ClusterInventory>,
    standing: &Standing,
    room: Room,
    now: Instant,
) -> (Vec<StoreAccount>, Vec<DatabaseAccount>) {
    let one = |name: &Name| {
        let (mut store, moments) = match seen(inventory, name) {
            Ok((inventory, seen)) => of(policy, name, inventory, seen, room, now),
            Err(why) => (StoreAccount { unknown: Some(why), ..nothing(name) }, Vec::new()),
        };
        // What was in use at the last look is newer than what was listed.
        if let Some(measured) = standing.stores.iter().find(|measured| measured.store == name.as_str()) {
            store.used_bytes = measured.used_bytes.or(store.used_bytes);
            store.capacity_bytes = measured.capacity_bytes;
        }
        (store, moments)
    };
    let looked: Vec<Looked> = policy.stores.keys().map(one).collect();
    let databases = databases(policy, &looked, room);
    (looked.into_iter().map(|(store, _)| store).collect(), databases)
}

fn seen<'i>(inventory: Option<&'i ClusterInventory>, name: &Name) -> Result<(&'i ClusterInventory, &'i StoreInventory), String> {
    let inventory = inventory.ok_or("`seawall watch` has not looked into the stores yet")?;
    match inventory.stores.get(name) {
        Some(Observed::Known(seen)) => Ok((inventory, seen)),
        Some(Observed::Unknown { reason }) => Err(reason.clone()),
        None => Err("it was not looked at".to_owned()),
    }
}

fn nothing(name: &Name) -> StoreAccount {
    StoreAccount {
        store: name.to_string(),
        unknown: None,
        backups: 0,
        newest_backup: None,
        used_bytes: None,
        capacity_bytes: None,
        oldest: None,
        windows: Vec::new(),
        gaps: Vec::new(),
        points: Listed::default(),
        unusable: Vec::new(),
        tiers: Vec::new(),
        unrecorded: false,
    }
}

fn of(policy: &Policy, name: &Name, inventory: &ClusterInventory, seen: &StoreInventory, room: Room, now: Instant) -> Looked {
    let complete = || seen.backups.iter().filter(|backup| backup.state == BackupState::Complete);
    let window = window_in(policy, name);
    let reach = reach_back(seen, inventory.system_identifier.known().copied());
    // Older backups stand alone by design: between them nothing is missing.
    let opens = window.as_ref().map(|window| window.period.before(now, &window.zone));
    let gaps = reach.gaps.iter().filter_map(|gap| {
        let opens = opens?;
        (gap.to > opens).then(|| Stretched { from: gap.from.max(opens), to: gap.to })
    });
    let moments = moments(policy, seen, &reach);
    let store = StoreAccount {
        backups: complete().count(),
        newest_backup: complete().map(Backup::moment).max(),
        used_bytes: seen.used.known().map(|used| used.bytes().get()),
        oldest: reach.oldest().into_iter().chain(oldest_dumps(policy, &moments)).min(),
        gaps: gaps.collect(),
        windows: reach.windows.iter().map(|window| Stretched { from: window.from, to: window.to }).collect(),
        points: Listed::of(moments.iter().rev().cloned(), room.points as usize),
        unusable: reach.unusable.iter().map(ToString::to_string).collect(),
        tiers: tiers(policy, name, inventory, seen, window.as_ref(), now),
        unrecorded: complete().any(|backup| backup.kind == BackupKind::Logical && backup.scope.is_none()),
        ..nothing(name)
    };
    (store, moments)
}

/// Single moments beside the windows, the oldest first, each with the databases that its backup has, whatever its job has now. A dump that leaves
/// something out is none, nor is one of which nobody knows what it has.
fn moments(policy: &Policy, seen: &StoreInventory, reach: &Reach) -> Vec<PointAccount> {
    let backups: BTreeMap<&BackupId, &Backup> = seen.backups.iter().map(|backup| (&backup.id, backup)).collect();
    let moment = |point: &Point| {
        let backup = *backups.get(&point.backup)?;
        let databases = match &backup.scope {
            _ if point.kind.is_physical() => Vec::new(),
            Some(Scope::Databases { names, whole: true }) if has_every(policy, names) => Vec::new(),
            Some(Scope::Databases { names, whole: true }) => names.clone(),
            _ => return None,
        };
        Some(PointAccount { at: point.at, backup: point.backup.to_string(), job: backup.job.to_string(), databases })
    };
    reach.points.iter().filter_map(moment).collect()
}

/// Where the policy does not name them, the cluster may have more than a dump.
fn has_every(policy: &Policy, names: &[String]) -> bool {
    !policy.databases.is_empty() && policy.databases.iter().all(|database| names.contains(database))
}

/// From when on dumps that leave nothing out have every database: of each the oldest, and of those the newest.
fn oldest_dumps(policy: &Policy, moments: &[PointAccount]) -> Option<Instant> {
    let oldest = |database: &String| {
        moments.iter().find(|point| point.databases.is_empty() || point.databases.contains(database)).map(|point| point.at)
    };
    policy.known_databases().into_iter().map(oldest).collect::<Option<Vec<Instant>>>()?.into_iter().max()
}

/// Which rules keep how much.
fn tiers(
    policy: &Policy,
    name: &Name,
    inventory: &ClusterInventory,
    seen: &StoreInventory,
    window: Option<&WalKeep>,
    now: Instant,
) -> Vec<TierAccount> {
    let keeps = keeps_in(policy, name);
    let held: Observed<Vec<Hold>> = inventory.holds.as_ref().map(|placed| policy.backup_holds.iter().chain(placed).cloned().collect());
    let timelines = inventory.timelines();
    let input = RetentionInput {
        backups: Observed::Known(seen.backups.as_slice()),
        timelines: &timelines,
        keeps: &keeps,
        holds: held.as_ref().map(Vec::as_slice),
        wal: window,
        failed_grace: policy.expire.grace,
    };
    let mut tiers: BTreeMap<(&str, usize), (&str, Vec<&Backup>)> = BTreeMap::new();
    for verdict in &verdicts(&input, now) {
        for (place, tier) in kept_by(verdict) {
            tiers.entry((verdict.backup.job.as_str(), place)).or_insert((tier, Vec::new())).1.push(verdict.backup);
        }
    }
    tiers.into_iter().map(|((job, _), (tier, backups))| of_tier(job, tier, backups)).collect()
}

fn of_tier(job: &str, tier: &str, mut backups: Vec<&Backup>) -> TierAccount {
    backups.sort_by_key(|backup| backup.moment());
    let sizes: Vec<u64> = backups.iter().filter_map(|backup| Some(backup.stored_size.or(backup.size)?.bytes().get())).collect();
    TierAccount {
        job: job.to_owned(),
        tier: tier.to_owned(),
        backups: backups.len(),
        bytes: sizes.iter().copied().fold(0, u64::saturating_add),
        newest_bytes: sizes.last().copied(),
        growth: growth(&sizes, |size| *size),
    }
}

/// The tiers of one backup, each with its place in the order in which they are shown.
fn kept_by(verdict: &Verdict<'_>) -> Vec<(usize, &'static str)> {
    let reasons = match &verdict.action {
        Action::Delete(_) => return vec![(20, "no longer kept")],
        Action::Undecided(_) => return vec![(19, "undecided")],
        Action::Keep(reasons) => reasons,
    };
    let mut all: Vec<(usize, &'static str)> = reasons.iter().map(tier).collect();
    all.sort_unstable();
    all.dedup();
    // That it is the newest, or that others need it, is said only where no rule wants it.
    if all.iter().any(|(place, _)| *place < 10) {
        all.retain(|(place, _)| *place < 10);
    }
    all
}

fn tier(reason: &KeepReason) -> (usize, &'static str) {
    match reason {
        KeepReason::Last { .. } => (0, "the newest few"),
        KeepReason::Within { .. } => (1, "by age"),
        KeepReason::TierCount { bucket, .. } | KeepReason::TierFor { bucket, .. } => match bucket.tier {
            TierKind::Hourly => (2, "hourly"),
            TierKind::Daily => (3, "daily"),
            TierKind::Weekly => (4, "weekly"),
            TierKind::Monthly => (5, "monthly"),
            TierKind::Quarterly => (6, "quarterly"),
            TierKind::Yearly => (7, "yearly"),
        },
        KeepReason::OwnKeep { .. } => (8, "by its own rule"),
        KeepReason::Held { .. } | KeepReason::HeldByMore { .. } => (9, "under a hold"),
        KeepReason::NoRule => (10, "for ever"),
        KeepReason::ParentOf { .. } => (11, "others build on it"),
        KeepReason::WindowBase { .. } | KeepReason::NextWindowBase { .. } => (12, "the window begins with it"),
        KeepReason::NewestGood { .. } => (13, "the newest"),
        KeepReason::Running => (14, "being taken"),
        KeepReason::FutureDated { .. } => (15, "dated ahead"),
        KeepReason::FailedLately { .. } => (16, "failed lately"),
        KeepReason::StandsIn { .. } | KeepReason::NothingBetter { .. } => (17, "not good, and nothing better is there"),
    }
}
