//! The stores: whether they answer, what is in them, how much. Everything is looked at every hour; in between it is only asked whether
//! they are there, because a listing of all that a store has is slow and costs money.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::remembered::{recall, remember};
use crate::alert::{Answers, CopyFacts, RivalTimelines, StoreFacts};
use crate::catalog::{Catalog, CatalogFault, FaultKind};
use crate::evidence::Onward;
use crate::execute::since::since_down;
use crate::inventory::{Backup, BackupKind, BackupState, ClusterInventory, Hold, Observed, Scope, StoreInventory, WalRange};
use crate::observe;
use crate::plan::{Behind, LogBehind, behind};
use crate::policy::model::{Policy, Wal};
use crate::recovery::{self, Forward, Missing, Until};
use crate::site::{Site, SiteFault};
use crate::units::{BackupId, Bytes, Instant, Name, Timeline};
use crate::world::parallel;

const EVERY: jiff::SignedDuration = jiff::SignedDuration::from_mins(60);
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
const REMEMBERED: &str = "observed.json";

/// What was seen in the last hour. What an older version remembered lacks some of it, and is looked at again.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Seen {
    at: Option<Instant>,
    /// Of the policy that it was looked at for.
    digest: String,
    used: BTreeMap<Name, u64>,
    /// The end of each job's newest complete backup, in the first store of the job.
    newest: BTreeMap<Name, Instant>,
    /// The same of those that have all that the job is to have now.
    newest_whole: BTreeMap<Name, Observed<Instant>>,
    holds: Option<Vec<Hold>>,
    /// How far each second copy was behind.
    copies: BTreeMap<Name, Observed<CopyFacts>>,
    /// Stores that were seen, and what databases could be brought back from them.
    held: BTreeMap<Name, Held>,
    /// Two timelines that go on in a store, by the first that has them.
    rivals: Option<RivalTimelines>,
    /// What the server called archived was in no store.
    lacking: bool,
}

/// What databases could be brought back from one store.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Held {
    /// By job, up to when its newest backups there have everything by themselves.
    pub newest: BTreeMap<Name, NewestOfJob>,
    /// How whatever log is there goes on from the backup that leads furthest; none where nothing leads anywhere.
    pub onward: Option<Onward>,
    /// Up to when that one can be rolled forward.
    pub reached: Option<Instant>,
}

/// Up to when the backups of a job have everything, whatever the job has now.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct NewestOfJob {
    /// Of the whole cluster.
    pub cluster: Option<Instant>,
    pub databases: BTreeMap<String, Instant>,
    /// There are some of which nobody can say what they have.
    pub unrecorded: bool,
}

pub(super) struct Stores {
    pub stores: BTreeMap<Name, StoreFacts>,
    /// By job.
    pub newest: BTreeMap<Name, Observed<Option<Instant>>>,
    /// The same of those that have all that the job is to have now.
    pub newest_whole: BTreeMap<Name, Observed<Option<Instant>>>,
    pub holds: Observed<Vec<Hold>>,
    pub copies: BTreeMap<Name, Observed<CopyFacts>>,
    /// Of each store that was seen.
    pub held: BTreeMap<Name, Held>,
    /// Unknown where none was.
    pub rivals: Observed<Option<RivalTimelines>>,
}

impl Stores {
    /// Up to when a backup can be rolled forward, in the store of the log or in a copy of it.
    pub(super) fn reached(&self, wal: &Wal) -> Option<Instant> {
        let of_log = std::iter::once(&wal.store).chain(&wal.copies);
        of_log.filter_map(|name| self.held.get(name)?.reached).max()
    }
}

/// `made`: when the newest backup was made, or copied, that the record knows of. `lacking`: no store has what the server calls archived, so
/// that it counts where the log ends now and not where it ended within the hour.
pub(super) fn look(site: &Site<'_>, catalog: &Catalog, made: Option<Instant>, lacking: bool, now: Instant) -> Result<Stores, CatalogFault> {
    let is_fresh = |seen: &Seen| {
        let at = seen.at.filter(|at| now.duration_since(*at).abs() < EVERY);
        at.is_some_and(|at| made.is_none_or(|made| made < at)) && seen.lacking == lacking && seen.digest == site.policy.digest
    };
    let remembered = recall(site, REMEMBERED).filter(is_fresh).map(|seen| (ask(site), seen));
    // A store that was away when everything was looked at, and is back.
    let is_back = |(asked, seen): &(Asked, Seen)| asked.iter().any(|(name, answer)| answer.is_ok() && !seen.held.contains_key(name));
    let (answers, seen) = match remembered.filter(|remembered| !is_back(remembered)) {
        Some(remembered) => remembered,
        None => {
            let (answers, seen, inventory) = everything(site, now);
            let seen = Seen { lacking, ..seen };
            keep(site, catalog, &inventory, now)?;
            // Last: what could not be kept is looked at again.
            remember(site, REMEMBERED, &seen);
            (answers, seen)
        }
    };
    let mut stores = BTreeMap::new();
    for (name, answer) in answers {
        let since = since_down(site, catalog, &format!("store:{name}"), answer.is_ok(), now)?;
        let used =
            seen.used.get(&name).map_or_else(|| Observed::unknown("it was not looked at"), |used| Observed::Known(Bytes::new(*used)));
        let facts = match answer {
            Ok(()) => StoreFacts { answers: Answers::Yes, used },
            Err(fault) => {
                let hint = Some(fault.hint).filter(|hint| !hint.is_empty());
                StoreFacts { answers: Answers::No { since, error: fault.message, hint }, used }
            }
        };
        stores.insert(name, facts);
    }
    let of_jobs = |newest: &dyn Fn(&Name) -> Observed<Option<Instant>>| {
        let of_job = |job: &Name| {
            let store = site.policy.store_of(job)?;
            let is_seen = seen.held.contains_key(store);
            let known = if is_seen { newest(job) } else { Observed::unknown(format!("`{store}` was not looked at")) };
            Some((job.clone(), known))
        };
        site.policy.backups.keys().filter_map(of_job).collect()
    };
    let newest = of_jobs(&|job| Observed::Known(seen.newest.get(job).copied()));
    let newest_whole =
        of_jobs(&|job| seen.newest_whole.get(job).map_or(Observed::Known(None), |newest| newest.as_ref().map(|newest| Some(*newest))));
    let holds = seen.holds.map_or_else(|| Observed::unknown("not every store was looked at"), Observed::Known);
    let rivals = if seen.held.is_empty() { Observed::unknown("no store was looked at") } else { Observed::Known(seen.rivals) };
    Ok(Stores { stores, newest, newest_whole, holds, copies: seen.copies, held: seen.held, rivals })
}

type Asked = Vec<(Name, Result<(), SiteFault>)>;

/// Whether they are there.
fn ask(site: &Site<'_>) -> Asked {
    let names: Vec<&Name> = site.policy.stores.keys().collect();
    let asked = parallel::map_with(names.len().min(8), &names, &|name| {
        let store = site.store_with_patience(name, PATIENCE)?;
        site.find_repository(&store).map(drop)
    });
    names.into_iter().cloned().zip(asked).collect()
}

/// What was seen, for those who have no way to the stores: reports, runbooks, `seawall serve`.
fn keep(site: &Site<'_>, catalog: &Catalog, inventory: &ClusterInventory, now: Instant) -> Result<(), CatalogFault> {
    let Ok(document) = serde_json::to_string(inventory) else { return Ok(()) };
    match catalog.keep_inventory(site.policy.name.as_str(), &document, now) {
        // More than the catalog takes: the look itself is worth more than its keepsake.
        Err(fault) if fault.kind == FaultKind::Refused => {
            tracing::warn!(hint = fault.hint, "what lies in the stores is not kept for reports: {}", fault.message);
            Ok(())
        }
        kept => kept,
    }
}

fn everything(site: &Site<'_>, now: Instant) -> (Asked, Seen, ClusterInventory) {
    let cluster = observe::cluster(site, now);
    let digest = site.policy.digest.clone();
    let mut seen = Seen { at: Some(now), digest, holds: cluster.inventory.holds.known().cloned(), ..Seen::default() };
    for (name, store) in &cluster.inventory.stores {
        let Observed::Known(store) = store else { continue };
        seen.used.extend(store.used.known().map(|used| (name.clone(), used.bytes().get())));
        newest(site.policy, name, store, &mut seen);
        seen.held.insert(name.clone(), held(store, now));
        seen.rivals = seen.rivals.or_else(|| rivals(name, store));
    }
    for to in site.policy.copy_stores().into_keys() {
        let behind = behind(site.policy, to, &cluster.inventory.stores, &cluster.inventory.holds, now);
        // Log without a backup that it goes on from is of no use.
        let goes_on = seen.held.get(to).is_some_and(|held| held.onward.is_some());
        let written = |missing: &LogBehind| {
            let seen = cluster.stores.get(&missing.store)?.as_ref().ok()?;
            observe::log_written(site, (&missing.store, seen), missing.cluster?, missing.timeline, missing.from)
        };
        let facts = |behind: Behind| CopyFacts {
            behind_since: behind.since(written),
            backups: behind.backups as u64,
            has_log: behind.has_log && goes_on,
            log_behind_since: behind.log_until(),
        };
        seen.copies.insert(to.clone(), behind.map(facts));
    }
    let asked = cluster.stores.into_iter().map(|(name, seen)| (name, seen.map(drop))).collect();
    (asked, seen, cluster.inventory)
}

fn rivals(name: &Name, store: &StoreInventory) -> Option<RivalTimelines> {
    match recovery::rivals_in(store)? {
        Missing::Rivals { timeline, rival, rival_end } => Some(RivalTimelines { store: name.clone(), timeline, rival, until: rival_end }),
        _ => None,
    }
}

fn newest(policy: &Policy, name: &Name, store: &StoreInventory, seen: &mut Seen) {
    for backup in store.backups.iter().filter(|backup| backup.state == BackupState::Complete) {
        if policy.store_of(&backup.job) != Some(name) {
            continue;
        }
        let later = |at: &mut Instant| *at = (*at).max(backup.moment());
        seen.newest.entry(backup.job.clone()).and_modify(later).or_insert(backup.moment());
        let whole = seen.newest_whole.get(&backup.job).and_then(Observed::known).copied();
        match policy.has_what_is_wanted(backup) {
            Some(true) => {
                let at = whole.map_or(backup.moment(), |whole| whole.max(backup.moment()));
                seen.newest_whole.insert(backup.job.clone(), Observed::Known(at));
            }
            None if whole.is_none() => {
                let unknown = Observed::unknown("what the backups have is not recorded, or cannot be opened here");
                seen.newest_whole.insert(backup.job.clone(), unknown);
            }
            Some(false) | None => {}
        }
    }
}

/// How long a segment may still be on its way after later ones.
const ON_ITS_WAY: jiff::SignedDuration = jiff::SignedDuration::from_mins(15);

fn held(store: &StoreInventory, now: Instant) -> Held {
    let ways = ways(store);
    let mut newest: BTreeMap<Name, NewestOfJob> = BTreeMap::new();
    for way in &ways {
        let of_job = newest.entry(way.backup.job.clone()).or_default();
        of_job.cluster = of_job.cluster.max(Some(way.backup.moment()));
    }
    for dump in store.backups.iter().filter(|backup| backup.kind == BackupKind::Logical && backup.state == BackupState::Complete) {
        newest.entry(dump.job.clone()).or_default().see(dump);
    }
    let furthest = ways.into_iter().max_by_key(|way| way.until);
    let onward = furthest.as_ref().map(|way| Onward { broken_at: is_broken(store, way, now).then_some(way.until), behind_since: None });
    Held { newest, onward, reached: furthest.map(|way| way.until) }
}

impl NewestOfJob {
    /// A dump has its databases as they were when it began.
    fn see(&mut self, dump: &Backup) {
        match &dump.scope {
            Some(Scope::Databases { names, whole: true }) => {
                for name in names {
                    let known = self.databases.entry(name.clone()).or_insert(dump.started);
                    *known = (*known).max(dump.started);
                }
            }
            Some(_) => {}
            None => self.unrecorded = true,
        }
    }

    /// Of one database; none where no backup has all of it.
    pub fn of(&self, database: &str) -> Option<Instant> {
        self.databases.get(database).copied().max(self.cluster)
    }
}

/// A physical backup that a cluster can be made of, and how far the log rolls it forward.
struct Way<'s> {
    backup: &'s Backup,

    until: Instant,
    timeline: Timeline,
}

fn ways(store: &StoreInventory) -> Vec<Way<'_>> {
    let backups: BTreeMap<&BackupId, &Backup> = store.backups.iter().map(|backup| (&backup.id, backup)).collect();
    let way = |forward: Forward| {
        let (Until::Moment { at, timeline } | Until::ItsEnd { at, timeline }) = forward.until.ok()?;
        Some(Way { backup: *backups.get(&forward.backup)?, until: at, timeline })
    };
    recovery::forward(store).into_iter().filter_map(way).collect()
}

/// The store has log that was written later than what can be reached: something between them is missing.
fn is_broken(store: &StoreInventory, way: &Way<'_>, now: Instant) -> bool {
    // Of another timeline it may be that only its history is not known here.
    let same = |range: &&WalRange| {
        range.timeline == way.timeline && (range.system_identifier.is_none() || range.system_identifier == way.backup.system_identifier)
    };
    let newest = store.wal.iter().filter(same).map(|range| range.to_time).max();
    newest.is_some_and(|newest| newest > way.until) && now.duration_since(way.until) > ON_ITS_WAY
}
