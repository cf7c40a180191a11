//! Which store, which base backup, which stretch of the log: found by `recovery::find_path` in what was observed, never guessed.

use std::time::Duration;

use super::RestoreFault;
use super::request::{Request, TimelineChoice};
use crate::format::descriptor::{Descriptor, Private};
use crate::format::layout::Repository;
use crate::format::seal::Identities;
use crate::format::signature::Writers;
use crate::inventory::{Chains, Fork, StoreInventory, WalRange};
use crate::observe::{self, Eyes, Read, Rejected, Seen};
use crate::plan::words::joined;
use crate::policy::model::Policy;
use crate::recovery::{Aim, LeftBehind, Missing, Path, Target, WalStretch, find_path, left_behind};
use crate::site::{Found, Site};
use crate::store::Store;
use crate::units::{Instant, Name, SegmentSize, Timeline, to_the_millisecond};
use crate::wal::still_there;

/// The way back that was found.
#[derive(Debug)]
pub struct Chosen {
    pub store_name: Name,
    pub store: Store,
    pub repository: Repository,
    pub descriptor: Descriptor,
    pub private: Private,
    /// Who signed the backup, by the policy's name for the host.
    pub signer: Option<String>,
    pub wal: Vec<WalStretch>,
    pub timeline: Timeline,
    /// The newest moment that the store's log of that timeline shows.
    pub archived_until: Option<Instant>,
    /// Why this base.
    pub reason: String,
    /// The target is a moment up to which the log is known to be whole. If replay then ends before it meets anything later, there is
    /// nothing later: the end of the log *is* the state at that moment.
    pub whole_until_target: bool,
    /// Stores that were looked at first and do not lead there, each with the reason.
    pub passed_over: Vec<String>,
    /// The stores that are asked for the log, where they are not simply those of the policy.
    pub asked: Vec<Name>,
    /// Other stores of the log that do not answer, each with the reason. Recovery would ask them at the log's end, and stop there.
    pub silent: Vec<String>,
    /// What the newest state leaves out, because another timeline has it.
    pub left_behind: Option<LeftBehind>,
    /// What lies in the store and was not believed.
    pub rejected: Vec<Rejected>,
}

/// The log in a store that was looked at. It counts whether or not the store has a base: fetching asks it like every other.
struct Looked {
    store: Name,
    repository: Repository,
    wal: Vec<WalRange>,
    forks: Vec<Fork>,
}

/// How long a store is asked that is not needed to get there.
const OF_OTHERS: Duration = Duration::from_secs(10);

/// The stores that could have it, those of the log first: only there recovery to any moment is possible.
pub fn candidates(policy: &Policy, only: Option<&Name>) -> Vec<Name> {
    if let Some(store) = only {
        return vec![store.clone()];
    }
    let jobs = policy.backups.iter().filter(|(_, backup)| backup.method.is_physical()).map(|(name, _)| name);
    let mut names: Vec<Name> = Vec::new();
    for name in of_wal(policy).chain(jobs.flat_map(|job| policy.stores_of(job))) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

impl Chosen {
    fn ends(&self) -> (Timeline, Instant) {
        (self.timeline, self.descriptor.stopped)
    }
}

/// The other stores of a policy that archives nothing: they may have log from when it did.
fn of_former_log(policy: &Policy, only: Option<&Name>) -> Vec<Name> {
    if only.is_some() || policy.wal.is_some() {
        return Vec::new();
    }
    let known = candidates(policy, None);
    policy.stores.keys().filter(|name| !known.contains(name)).cloned().collect()
}

pub fn choose(site: &Site<'_>, request: &Request, identities: &Identities, now: Instant) -> Result<Chosen, RestoreFault> {
    let writers = site.writers()?;
    let eyes = Eyes { policy: site.policy.name.as_str(), writers: &writers, identities, now };
    let mut passed_over: Vec<(Name, RestoreFault)> = Vec::new();
    let mut looked: Vec<Looked> = Vec::new();
    let by_their_ends =
        site.policy.wal.is_none() && request.backup.is_none() && matches!(request.target, Target::Latest | Target::Immediate(None));
    let mut best: Option<Chosen> = None;
    for name in candidates(site.policy, request.store.as_ref()) {
        match from_store(site, &name, request, &eyes, &mut looked) {
            Ok(chosen) => {
                // The first leads as far as the others only where log leads on from it.
                if best.as_ref().is_none_or(|best| best.ends() < chosen.ends()) {
                    best = Some(chosen);
                }
                if !by_their_ends {
                    break;
                }
            }
            Err(fault) => passed_over.push((name, fault)),
        }
    }
    if let Some(chosen) = best {
        let (asked, silent) = asked(site, request, &chosen, &looked);
        let passed_over = passed_over.into_iter().map(|(name, fault)| format!("store `{name}`: {fault}")).collect();
        return Ok(Chosen { passed_over, asked, silent, ..chosen });
    }
    let former = of_former_log(site.policy, request.store.as_ref());
    let mut has_more = false;
    for name in &former {
        // What cannot be seen leads nowhere either, and was not asked for.
        let before = looked.len();
        let _ = from_store(site, name, request, &eyes, &mut looked);
        has_more |= looked[before..].iter().any(|looked| !looked.wal.is_empty());
    }
    for (name, _) in passed_over.iter().filter(|_| has_more) {
        if let Ok(chosen) = from_store(site, name, request, &eyes, &mut looked) {
            let (asked, silent) = asked(site, request, &chosen, &looked);
            return Ok(Chosen { asked, silent, ..chosen });
        }
    }
    match passed_over.as_slice() {
        [] => Err(RestoreFault::new("no store of the policy gets physical backups", "Add a job with `physical: {}`.")),
        [(name, fault)] => Err(fault.clone().with_message(format!("store `{name}`: {fault}"))),
        [(_, first), ..] => {
            let passing = passed_over.iter().any(|(_, fault)| fault.passing);
            let message = format!("no store leads there: {}", by_reason(&passed_over));
            Err(RestoreFault { passing, ..RestoreFault::new(message, first.hint.clone()) })
        }
    }
}

/// On one line, as it stands in reports and alerts; what several stores lack alike is said once.
fn by_reason(passed_over: &[(Name, RestoreFault)]) -> String {
    let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
    for (name, fault) in passed_over {
        let name = format!("`{name}`");
        match reasons.iter_mut().find(|(why, _)| *why == fault.message) {
            Some((_, names)) => names.push(name),
            None => reasons.push((&fault.message, vec![name])),
        }
    }
    let said =
        |(why, names): (&str, Vec<String>)| format!("{} {}: {why}", if names.len() == 1 { "store" } else { "stores" }, joined(names));
    reasons.into_iter().map(said).collect::<Vec<_>>().join("; ")
}

/// From where the log is fetched, and which of its stores are left out: those that do not answer, and no other. One that answers has more
/// of the log or says that it has not; that it has no base says nothing of its log.
fn asked(site: &Site<'_>, request: &Request, chosen: &Chosen, looked: &[Looked]) -> (Vec<Name>, Vec<String>) {
    if request.store.is_some() {
        return (vec![chosen.store_name.clone()], Vec::new());
    }
    // Nobody but the backup itself brought log.
    if site.policy.wal.is_none() {
        return (of_log(chosen, looked), Vec::new());
    }
    // A standby asks again by itself.
    if request.standby.is_some() {
        return (Vec::new(), Vec::new());
    }
    let was_seen = |name: &Name| looked.iter().any(|looked| looked.store == *name && looked.repository == chosen.repository);
    // What fetching asks them.
    let answers = |name: &Name| {
        let store = site.store_with_patience(name, OF_OTHERS).map_err(|fault| fault.message)?;
        still_there(&store, &chosen.repository).map_err(|fault| fault.message)
    };
    let (mut asked, mut silent) = (Vec::new(), Vec::new());
    for name in of_wal(site.policy) {
        let answered = if was_seen(name) { Ok(()) } else { answers(name) };
        match answered {
            Ok(()) => asked.push(name.clone()),
            Err(why) => silent.push(format!("store `{name}`: {why}")),
        }
    }
    if !asked.contains(&chosen.store_name) {
        asked.push(chosen.store_name.clone());
    } else if silent.is_empty() {
        asked.clear();
    }
    (asked, silent)
}

/// The chosen store, and what else has log of the same repository: an archive that the policy has given up may lie apart from its backups.
fn of_log(chosen: &Chosen, looked: &[Looked]) -> Vec<Name> {
    let others =
        looked.iter().filter(|looked| looked.repository == chosen.repository && !looked.wal.is_empty()).map(|looked| &looked.store);
    let mut names = vec![chosen.store_name.clone()];
    names.extend(others.filter(|name| **name != chosen.store_name).cloned());
    names
}

fn of_wal(policy: &Policy) -> impl Iterator<Item = &Name> {
    policy.wal.iter().flat_map(|wal| std::iter::once(&wal.store).chain(&wal.copies))
}

fn from_store(site: &Site<'_>, name: &Name, request: &Request, eyes: &Eyes<'_>, looked: &mut Vec<Looked>) -> Result<Chosen, RestoreFault> {
    let store = site.store(name)?;
    let Some(Found { repository, passed_over }) = site.find_repository(&store)? else {
        let message = format!("{} has nothing of the policy `{}`", store.url(), eyes.policy);
        return Err(RestoreFault::new(message, "Check that this is the place where its backups are."));
    };
    let seen = observe::look_settled(&store, repository.clone(), eyes)?.passing_over(passed_over);
    let StoreInventory { wal, forks, .. } = seen.inventory.clone();
    looked.push(Looked { store: name.clone(), repository: repository.clone(), wal, forks });
    let inventory = with_log_of(looked, &repository, narrowed(&seen.inventory, request)?);
    let path = find(&inventory, request).map_err(|missing| explain(&missing, request, &seen, eyes.now))?;
    if path.chain.len() > 1 {
        let message = format!("backup {} is an increment, which cannot be restored yet", path.chain[path.chain.len() - 1].id);
        return Err(RestoreFault::new(message, "Name a full backup with `--backup ID`; `seawall list` shows them."));
    }
    let (descriptor, signer) = read(&store, &repository, &path, eyes)?;
    let private = open_private(&descriptor, eyes.identities)?;
    let of_timeline = inventory.wal.iter().filter(|range| range.timeline == path.timeline);
    let archived_until = of_timeline.map(|range| range.to_time).max();
    let reason = if request.backup.is_some() { "the backup that was asked for".to_owned() } else { path.reason.to_string() };
    Ok(Chosen {
        store_name: name.clone(),
        repository,
        private,
        signer,
        wal: path.wal.clone(),
        timeline: path.timeline,
        archived_until,
        reason,
        whole_until_target: matches!(request.target, Target::Time(_)),
        passed_over: Vec::new(),
        asked: Vec::new(),
        silent: Vec::new(),
        left_behind: left(&inventory, request, &path, &descriptor),
        rejected: seen.rejected,
        descriptor,
        store,
    })
}

/// Of the newest state only, and where nobody has named the timeline: whoever names a moment or a branch has said what he wants.
fn left(inventory: &StoreInventory, request: &Request, path: &Path<'_>, descriptor: &Descriptor) -> Option<LeftBehind> {
    if request.target != Target::Latest || request.timeline != TimelineChoice::Latest {
        return None;
    }
    let size = SegmentSize::new(descriptor.cluster.wal_segment_size)?;
    left_behind(inventory, Some(descriptor.cluster.system_identifier), path.timeline, size)
}

fn open_private(descriptor: &Descriptor, identities: &Identities) -> Result<Private, RestoreFault> {
    descriptor.open_private(identities).map_err(|error| {
        let message = format!("backup {} cannot be opened: {error}", descriptor.id);
        RestoreFault::new(message, "Give the identity of one of its recipients with `--identity FILE`; old backups need old identities.")
    })
}

/// The base lies in one store; the log that follows it may lie in all that were looked at before.
fn with_log_of(looked: &[Looked], repository: &Repository, inventory: StoreInventory) -> StoreInventory {
    let same: Vec<&Looked> = looked.iter().filter(|looked| looked.repository == *repository).collect();
    let wal = same.iter().flat_map(|looked| looked.wal.iter().cloned()).collect();
    let mut forks: Vec<Fork> = Vec::new();
    for fork in same.iter().flat_map(|looked| &looked.forks) {
        let is_same = |known: &Fork| (known.system_identifier, known.timeline) == (fork.system_identifier, fork.timeline);
        if !forks.iter().any(is_same) {
            forks.push(fork.clone());
        }
    }
    StoreInventory { wal, forks, ..inventory }
}

/// With a backup named, only that one and what it builds on can be the base.
fn narrowed(inventory: &StoreInventory, request: &Request) -> Result<StoreInventory, RestoreFault> {
    let Some(id) = &request.backup else { return Ok(inventory.clone()) };
    let chains = Chains::of(&inventory.backups);
    let at = chains
        .position(id)
        .ok_or_else(|| RestoreFault::new(format!("backup {id} is not in this store"), "`seawall list` shows what is there."))?;
    let links = chains.links(at).ok_or_else(|| {
        let why = chains.broken(at).map_or_else(|| "it is not complete".to_owned(), |broken| broken.to_string());
        RestoreFault::new(format!("backup {id} cannot be restored: {why}"), "`seawall list` shows which can.")
    })?;
    let backups = links.into_iter().cloned().collect();
    Ok(StoreInventory { backups, ..inventory.clone() })
}

pub(super) fn find<'i>(inventory: &'i StoreInventory, request: &Request) -> Result<Path<'i>, Missing> {
    let aim = |timeline| Aim { target: request.target.clone(), system_identifier: None, timeline };
    match request.timeline {
        TimelineChoice::Latest => match (&request.target, &request.backup) {
            // Which one is said, and with it on which timeline: it ends where it is consistent.
            (Target::Immediate(None), Some(id)) => find_path(inventory, &Aim { target: Target::Immediate(Some(id.clone())), ..aim(None) }),
            _ => find_path(inventory, &aim(None)),
        },
        TimelineChoice::Number(timeline) => find_path(inventory, &aim(Some(timeline))),
        TimelineChoice::Current => {
            // That of the newest backup that leads there without leaving its timeline.
            let mut bases: Vec<_> = inventory.backups.iter().filter_map(|backup| Some((backup.moment(), backup.timeline?))).collect();
            bases.sort();
            let mut last = Err(Missing::NoBase);
            for (_, timeline) in bases.into_iter().rev() {
                match find_path(inventory, &aim(Some(timeline))) {
                    Ok(path) if path.chain.last().is_some_and(|base| base.timeline == Some(timeline)) => return Ok(path),
                    other => last = other,
                }
            }
            last.and(Err(Missing::NoBase))
        }
    }
}

/// What is missing, and what can be done instead. Nothing is done instead by itself.
fn explain(missing: &Missing, request: &Request, seen: &Seen, now: Instant) -> RestoreFault {
    let mut message = missing.to_string();
    for rejected in seen.rejected.iter().take(10) {
        message.push_str(&format!("; not believed: {}: {}", rejected.key, rejected.why));
    }
    for doubt in seen.doubts.iter().take(10) {
        message.push_str(&format!("; not known: {doubt}"));
    }
    let carried = seen.inventory.backups.iter().filter(|backup| backup.kind.is_physical()).max_by_key(|backup| backup.moment());
    let hint = match (missing, &request.target) {
        (Missing::WalEndsBefore { .. }, _) if carried.is_some_and(|backup| backup.carries_log) => {
            "These backups brought their own log, and nothing was archived between them: only their ends can be had. `--latest` is that of the \
             newest, `--immediate --backup ID` that of another one (`seawall list` shows them)."
                .into()
        }
        (Missing::WalEndsBefore { end_time: Some(end), .. }, Target::Time(time)) if *time <= now => {
            let end = to_the_millisecond(*end);
            format!(
            "The log is whole up to {end}. If the server still runs, `select pg_switch_wal()` there archives the rest. \
             Otherwise choose: `--to {end}` for a moment that is proven, or `--latest` for everything that was archived."
            )
        }
        (Missing::WalEndsBefore { .. }, Target::Time(_)) => "The target is in the future, or nothing was archived since: choose a moment that has been.".into(),
        (Missing::WalEndsBefore { .. }, _) => "Choose an earlier target, or `--latest`.".into(),
        (Missing::Wal { .. }, _) => {
            "Copy the missing segments into the store with `seawall wal push` if they still exist, try another `--store`, or choose a target before the gap.".into()
        }
        (Missing::BaseBefore { .. }, _) => "Choose a later target; nothing older is in this store.".into(),
        (Missing::Rivals { timeline, rival, .. }, _) => format!(
            "A restore says which: `--timeline {rival}` or `--timeline {timeline}`. A copy that was released beside its original has a timeline of \
             its own in the same repository. Drills, and whoever names none, go on when the wrong one is retired (docs/restore.md, \"Two timelines\")."
        ),
        (Missing::NoSuchTimeline(_), _) => "Leave `--timeline` away for the newest.".into(),
        _ => "`seawall list` shows what is there.".into(),
    };
    RestoreFault::new(message, hint)
}

fn read(store: &Store, repository: &Repository, path: &Path<'_>, eyes: &Eyes<'_>) -> Result<(Descriptor, Option<String>), RestoreFault> {
    let base = path.chain.last().expect("a path has a base");
    let gone = || RestoreFault::new(format!("backup {} was deleted while this was looking", base.id), "Run it again.");
    let (key, is_signed) = observe::find_descriptor(store, repository, &base.id)?.ok_or_else(gone)?;
    match observe::read_descriptor(store, repository, &key, is_signed, eyes.policy, eyes.writers)? {
        Read::Good(descriptor, signer) => Ok((*descriptor, signer)),
        Read::Gone => Err(gone()),
        Read::Rejected(why) | Read::Newer(why) => {
            Err(RestoreFault::new(format!("{key}: {why}"), "It was changed since it was looked at; do not trust this store."))
        }
    }
}

/// Said once where nothing can be refused.
pub fn unsigned_warning(writers: &Writers) -> Option<String> {
    writers.is_empty().then(|| {
        "the policy names no writers: a backup that somebody else planted in the store would be restored and its code run; \
         add the hosts' keys to `encryption.writers`"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stores_lack_alike_is_said_once_and_on_one_line() {
        let lacks = |name: &str, why: &str| (name.parse().expect("a name"), RestoreFault::new(why, ""));
        let all = [lacks("main", "the log has a gap"), lacks("near", "it does not answer"), lacks("offsite", "the log has a gap")];
        assert_eq!(by_reason(&all), "stores `main` and `offsite`: the log has a gap; store `near`: it does not answer");
    }
}
