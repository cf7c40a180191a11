//! What lies in each store, and what becomes of it.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use super::copies::awaited_by_any;
use super::moves::{MoveTerms, moves};
use crate::inventory::{ClusterInventory, Hold, Observed, Size};
use crate::policy::model::Policy;
use crate::recovery::reach_back;
use crate::retention::{Action, Keep, RetentionInput, TierClasses, Verdict, WalKeep, WalNeeded, verdicts, wal_needed};
use crate::units::{BackupId, Duration, Instant, Name, StorageClass};

/// What lies in one store.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StoreState {
    /// The store.
    pub store: Name,
    /// Where it is.
    pub place: String,
    /// Why nothing is known of it. Absent when it was observed.
    pub unknown: Option<String>,
    /// Every backup in it, and what becomes of it.
    pub existing: Vec<Existing>,
    /// From when on every moment can be recovered.
    pub any_moment_since: Option<Instant>,
    /// Up to when: the log that lies there goes no further.
    pub any_moment_until: Option<Instant>,
    /// The oldest moment that the cluster can be recovered to.
    pub oldest: Option<Instant>,
    /// Stretches inside the window for recovery to any moment (`wal.keep`) that cannot be recovered to.
    pub gaps: Vec<(Instant, Instant)>,
    /// Physical backups that nothing can be made of: the log of their own making is not there.
    pub unusable: Vec<BackupId>,
    /// The log in it.
    pub wal: Option<WalState>,
    /// How much room is taken.
    pub used: Option<Size>,
}

/// A backup that is there.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Existing {
    /// Its id.
    pub id: BackupId,
    /// The job that took it.
    pub job: Name,
    /// When it ended; when it began, while it runs.
    pub moment: Instant,
    /// The room it takes.
    pub size: Option<Size>,
    /// What becomes of it.
    pub fate: Fate,
    /// Of what no rule wants: which copy is to have it before it goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits: Option<String>,
    /// Where its data move, when they lie too warm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moves: Option<Moving>,
}

/// That a backup's data belong in a colder storage class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Moving {
    /// The class.
    pub to: StorageClass,
    /// What still keeps it.
    pub reason: String,
}

/// What becomes of a backup, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    Keep {
        /// Every rule that wants it.
        reasons: Vec<String>,
    },
    Delete {
        /// Why no rule wants it.
        reason: String,
    },
    Undecided {
        /// Why nothing can be said.
        reason: String,
    },
}

/// The log in a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WalState {
    /// Unbroken stretches.
    pub ranges: usize,
    /// Stretches that nothing needs any longer.
    pub deletable: usize,
    /// What needs the rest.
    pub needed_because: Vec<String>,
}

/// How long each job's backups stay in this store.
pub fn keeps_in(policy: &Policy, store: &Name) -> BTreeMap<Name, Keep> {
    let mut keeps = BTreeMap::new();
    for (name, backup) in &policy.backups {
        if backup.store.as_ref() == Some(store) {
            keeps.insert(name.clone(), backup.keep.clone());
        } else if let Some(copy) = backup.copies.iter().find(|copy| copy.store == *store) {
            keeps.insert(name.clone(), copy.keep.clone());
        }
    }
    keeps
}

/// Into which storage classes the backups of each job move in this store; nothing of a job that has none.
pub fn classes_in(policy: &Policy, store: &Name) -> BTreeMap<Name, TierClasses> {
    let mut classes = BTreeMap::new();
    for (name, backup) in &policy.backups {
        let copy = backup.copies.iter().find(|copy| copy.store == *store).map(|copy| &copy.classes);
        let here = if backup.store.as_ref() == Some(store) { Some(&backup.classes) } else { copy };
        classes.extend(here.filter(|here| !here.is_empty()).map(|here| (name.clone(), here.clone())));
    }
    classes
}

/// The window for any-moment recovery, where this store has the log.
pub fn window_in(policy: &Policy, store: &Name) -> Option<WalKeep> {
    let wal = policy.wal.as_ref().filter(|wal| wal.store == *store || wal.copies.contains(store))?;
    Some(WalKeep { period: wal.keep, zone: policy.zone.time_zone().clone() })
}

pub fn stores(policy: &Policy, inventory: Option<&ClusterInventory>, now: Instant) -> Vec<StoreState> {
    policy.stores.iter().map(|(name, store)| state(policy, name, store.kind.url(), inventory, now)).collect()
}

fn state(policy: &Policy, name: &Name, place: String, inventory: Option<&ClusterInventory>, now: Instant) -> StoreState {
    let mut state = StoreState {
        store: name.clone(),
        place,
        unknown: None,
        existing: Vec::new(),
        any_moment_since: None,
        any_moment_until: None,
        oldest: None,
        gaps: Vec::new(),
        unusable: Vec::new(),
        wal: None,
        used: None,
    };
    let Some(inventory) = inventory else {
        state.unknown = Some("no inventory was given".into());
        return state;
    };
    let observed = match inventory.stores.get(name) {
        None => Err("the inventory does not speak of it".to_owned()),
        Some(Observed::Unknown { reason }) => Err(reason.clone()),
        Some(Observed::Known(observed)) => Ok(observed),
    };
    let observed = match observed {
        Ok(observed) => observed,
        Err(reason) => {
            state.unknown = Some(reason);
            return state;
        }
    };
    let keeps = keeps_in(policy, name);
    let window = window_in(policy, name);
    // Both the policy's holds and those placed at run time; when the latter are unknown, so is the whole.
    let held: Observed<Vec<Hold>> = inventory.holds.as_ref().map(|placed| policy.backup_holds.iter().chain(placed).cloned().collect());
    let timelines = inventory.timelines();
    let input = RetentionInput {
        backups: Observed::Known(observed.backups.as_slice()),
        timelines: &timelines,
        keeps: &keeps,
        holds: held.as_ref().map(Vec::as_slice),
        wal: window.as_ref(),
        failed_grace: policy.expire.grace,
    };
    let judged = verdicts(&input, now);
    let terms = MoveTerms {
        classes: &classes_in(policy, name),
        // Which are marked, and which are being restored, is seen only by those who act.
        marks: &BTreeMap::new(),
        pinned: &BTreeSet::new(),
        window: window.as_ref(),
        now,
    };
    let mut moving: BTreeMap<BackupId, Moving> =
        moves(&judged, &terms).into_iter().map(|one| (one.id, Moving { to: one.to, reason: one.reason })).collect();
    let mut awaited = awaited_by_any(policy, name, observed, &inventory.stores, &inventory.holds, now);
    let mut existing = |verdict: &Verdict<'_>| {
        let awaited = awaited.remove(&verdict.backup.id).filter(|_| verdict.is_deletable());
        existing(verdict, moving.remove(&verdict.backup.id), awaited.map(|awaited| awaited.why()))
    };
    state.existing = judged.iter().map(&mut existing).collect();
    state.existing.sort_by(|one, other| other.moment.cmp(&one.moment).then_with(|| one.id.cmp(&other.id)));
    let reach = reach_back(observed, inventory.system_identifier.known().copied());
    state.any_moment_since = reach.any_moment_since();
    state.any_moment_until = reach.windows.last().map(|window| window.to);
    state.oldest = reach.oldest();
    // Older backups stand alone by design: between them nothing is missing.
    if let Some(opens) = window.as_ref().map(|window| window.period.before(now, &window.zone)) {
        state.gaps = reach.gaps.iter().filter(|gap| gap.to > opens).map(|gap| (gap.from.max(opens), gap.to)).collect();
    }
    state.unusable = reach.unusable;
    if window.is_some() || !observed.wal.is_empty() {
        let needed = wal_needed(&input, &judged, now);
        let because = match &needed {
            WalNeeded::Everything(reason) => vec![reason.to_string()],
            WalNeeded::Ranges { needs, .. } => needs.iter().map(|need| need.reason.to_string()).collect(),
        };
        state.wal = Some(WalState {
            ranges: observed.wal.len(),
            deletable: observed.wal.iter().filter(|range| !needed.needs(range)).count(),
            needed_because: because,
        });
    }
    state.used = observed.used.known().copied();
    state
}

fn existing(verdict: &Verdict<'_>, moves: Option<Moving>, waits: Option<String>) -> Existing {
    let fate = match &verdict.action {
        Action::Keep(reasons) => Fate::Keep { reasons: reasons.iter().map(ToString::to_string).collect() },
        Action::Delete(reason) => Fate::Delete { reason: reason.to_string() },
        Action::Undecided(reason) => Fate::Undecided { reason: reason.to_string() },
    };
    Existing {
        id: verdict.backup.id.clone(),
        job: verdict.backup.job.clone(),
        moment: verdict.backup.moment(),
        size: verdict.backup.stored_size.or(verdict.backup.size),
        fate,
        waits,
        moves,
    }
}

/// An inventory older than this says little about now.
pub const STALE_AFTER: Duration = Duration::from_hours(24);
