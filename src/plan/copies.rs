//! What of one store belongs into another as a second copy, and how far that one is behind.
//!
//! What belongs there is what its own rules keep, of all that lies in either of the two: a backup that expiry let go in the copy is not copied
//! again, and one that it would let go at once does not get there.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;

use super::existing::{keeps_in, window_in};
use super::log::log_needs;
use crate::inventory::{Backup, BackupState, Hold, Observed, StoreInventory, SystemIdentifier, Timelines, WalRange};
use crate::policy::file::TierName;
use crate::policy::model::{CopyTo, Policy};
use crate::retention::{Action, KeepReason, LogNeeds, RetentionInput, TierKind, Verdict, verdicts};
use crate::units::{BackupId, Instant, Lsn, Name, Timeline};

/// Where a copy comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopySource<'p> {
    pub store: &'p Name,
    /// The jobs whose backups are copied.
    pub jobs: BTreeSet<&'p Name>,
    /// The whole log is to be there too, not only what the backups need of it.
    pub log: bool,
}

/// The stores that a copy is made from: those that its jobs write to first, and that of the log.
pub fn copy_sources<'p>(policy: &'p Policy, to: &Name) -> Vec<CopySource<'p>> {
    let mut sources: Vec<CopySource<'p>> = Vec::new();
    for (job, backup) in &policy.backups {
        let Some(store) = backup.store.as_ref().filter(|_| backup.method.is_stored() && copy_to(policy, job, to).is_some()) else {
            continue;
        };
        match sources.iter_mut().find(|source| source.store == store) {
            Some(source) => _ = source.jobs.insert(job),
            None => sources.push(CopySource { store, jobs: BTreeSet::from([job]), log: false }),
        }
    }
    if let Some(wal) = policy.wal.as_ref().filter(|wal| wal.store != *to && wal.copies.contains(to)) {
        match sources.iter_mut().find(|source| *source.store == wal.store) {
            Some(source) => source.log = true,
            None => sources.push(CopySource { store: &wal.store, jobs: BTreeSet::new(), log: true }),
        }
    }
    sources
}

fn copy_to<'p>(policy: &'p Policy, job: &Name, to: &Name) -> Option<&'p CopyTo> {
    policy.backups.get(job)?.copies.iter().find(|copy| copy.store == *to)
}

/// Which backups belong in the copy, there or not: the newest first, and none before what it builds on.
pub fn belonging(
    policy: &Policy,
    between: (&CopySource<'_>, &Name),
    lying: &StoreInventory,
    there: &StoreInventory,
    placed: &Observed<Vec<Hold>>,
    now: Instant,
) -> Vec<BackupId> {
    wanted(policy, between, (lying, there), placed, &wants, now)
}

/// The same, by what a verdict of the copy's rules means for it.
fn wanted(
    policy: &Policy,
    (source, to): (&CopySource<'_>, &Name),
    (lying, there): (&StoreInventory, &StoreInventory),
    placed: &Observed<Vec<Hold>>,
    wants: &dyn Fn(&CopyTo, &Verdict<'_>) -> bool,
    now: Instant,
) -> Vec<BackupId> {
    let all = together(&lying.backups, &there.backups);
    let (keeps, window) = (keeps_in(policy, to), window_in(policy, to));
    let holds: Observed<Vec<Hold>> = placed.as_ref().map(|placed| policy.backup_holds.iter().chain(placed).cloned().collect());
    let timelines = Timelines::of(&[lying, there]);
    let input = RetentionInput {
        backups: Observed::Known(all.as_slice()),
        timelines: &timelines,
        keeps: &keeps,
        holds: holds.as_ref().map(Vec::as_slice),
        wal: window.as_ref(),
        failed_grace: policy.expire.grace,
    };
    let mut wanted: Vec<&Backup> = verdicts(&input, now)
        .iter()
        .filter(|verdict| source.jobs.contains(&verdict.backup.job))
        .filter(|verdict| copy_to(policy, &verdict.backup.job, to).is_some_and(|copy| wants(copy, verdict)))
        .map(|verdict| verdict.backup)
        .collect();
    wanted.sort_by(|one, other| (other.moment(), &other.id).cmp(&(one.moment(), &one.id)));
    let known: HashMap<&BackupId, &Backup> = all.iter().map(|backup| (&backup.id, backup)).collect();
    let (mut order, mut done): (Vec<BackupId>, HashSet<&BackupId>) = Default::default();
    for backup in wanted {
        // With all that it builds on, the last of which comes first. What builds on itself was made up by somebody.
        let mut chain = Vec::new();
        let mut next = Some(backup);
        while let Some(link) = next.filter(|link| done.insert(&link.id)) {
            chain.push(link.id.clone());
            next = link.parent.as_ref().and_then(|parent| known.get(parent)).copied();
        }
        order.extend(chain.into_iter().rev());
    }
    order
}

/// What lies in either of them.
fn together(lying: &[Backup], there: &[Backup]) -> Vec<Backup> {
    let mut all: Vec<Backup> = there.iter().filter(|backup| has_descriptor(backup)).cloned().collect();
    let ids: BTreeSet<&BackupId> = there.iter().filter(|backup| has_descriptor(backup)).map(|backup| &backup.id).collect();
    all.extend(lying.iter().filter(|backup| has_descriptor(backup) && !ids.contains(&backup.id)).cloned());
    all
}

/// It was completed, and says what it is.
fn has_descriptor(backup: &Backup) -> bool {
    matches!(backup.state, BackupState::Complete | BackupState::Damaged)
}

/// The copy's rules keep it; where only some tiers are copied, one of those does.
fn wants(copy: &CopyTo, verdict: &Verdict<'_>) -> bool {
    match &verdict.action {
        Action::Delete(_) => false,
        // A copy too many harms nobody.
        Action::Undecided(_) => copy.only.is_empty(),
        Action::Keep(reasons) => copy.only.is_empty() || reasons.iter().any(|reason| is_of(reason, &copy.only)),
    }
}

fn is_of(reason: &KeepReason, only: &[TierName]) -> bool {
    match reason {
        KeepReason::TierCount { bucket, .. } | KeepReason::TierFor { bucket, .. } => {
            only.iter().any(|tier| TierKind::from(*tier) == bucket.tier)
        }
        KeepReason::StandsIn { otherwise, .. } => is_of(otherwise, only),
        _ => false,
    }
}

/// A copy that is to have a backup before it goes where it was put first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaited {
    pub by: Name,
    pub job: Name,
    /// Why it is not known what lies there; none where the backup is known to be missing.
    pub unknown: Option<String>,
}

impl Awaited {
    /// What it waits for, without the way out.
    pub fn why(&self) -> String {
        match &self.unknown {
            None => format!("`{}` is to have a copy first, and has none", self.by),
            Some(reason) => format!("`{}` is to have a copy first, and what lies there is not known: {reason}", self.by),
        }
    }
}

impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Awaited { by, job, .. } = self;
        write!(f, "{}; it stays until it is there, or until the policy copies no such backup of `{job}` to `{by}`", self.why())
    }
}

/// Which backups of a store one copy wants and is not known to have. What cannot be decided is wanted, and of a copy that cannot be seen
/// everything is that its rules would keep if nothing lay there.
pub fn awaited(
    policy: &Policy,
    (from, to): (&Name, &Name),
    lying: &StoreInventory,
    there: &Observed<&StoreInventory>,
    placed: &Observed<Vec<Hold>>,
    now: Instant,
) -> BTreeMap<BackupId, Awaited> {
    let nothing = StoreInventory::empty();
    let (seen, unknown) = match there {
        Observed::Known(there) => (*there, None),
        Observed::Unknown { reason } => (&nothing, Some(reason.clone())),
    };
    let wants = |copy: &CopyTo, verdict: &Verdict<'_>| matches!(verdict.action, Action::Undecided(_)) || wants(copy, verdict);
    let sources = copy_sources(policy, to);
    let Some(source) = sources.iter().find(|source| source.store == from) else { return BTreeMap::new() };
    let jobs: HashMap<&BackupId, &Name> = lying.backups.iter().map(|backup| (&backup.id, &backup.job)).collect();
    let has: BTreeSet<&BackupId> = seen.backups.iter().filter(|backup| has_descriptor(backup)).map(|backup| &backup.id).collect();
    let belongs = wanted(policy, (source, to), (lying, seen), placed, &wants, now);
    let missing = belongs.into_iter().filter(|id| !has.contains(id));
    let awaited = missing.filter_map(|id| {
        let job = (*jobs.get(&id)?).clone();
        Some((id, Awaited { by: to.clone(), job, unknown: unknown.clone() }))
    });
    awaited.collect()
}

/// The same of all copies of a store, each as it was seen.
pub fn awaited_by_any(
    policy: &Policy,
    from: &Name,
    lying: &StoreInventory,
    stores: &BTreeMap<Name, Observed<StoreInventory>>,
    placed: &Observed<Vec<Hold>>,
    now: Instant,
) -> BTreeMap<BackupId, Awaited> {
    let mut all = BTreeMap::new();
    for to in policy.copy_stores().into_keys() {
        let there = stores.get(to).map_or_else(|| Observed::unknown("it was not looked at"), Observed::as_ref);
        for (id, awaited) in awaited(policy, (from, to), lying, &there, placed, now) {
            all.entry(id).or_insert(awaited);
        }
    }
    all
}

/// Log that a copy of the log wants of a store and does not have.
#[derive(Debug)]
pub struct LogAwaited {
    pub by: Name,
    /// What stays there once the backups are there that belong there.
    needs: LogNeeds,
    missing: Vec<LogStretch>,
}

#[derive(Debug)]
struct LogStretch {
    cluster: Option<SystemIdentifier>,
    timeline: Timeline,
    from: Lsn,
    to: Lsn,
}

impl LogAwaited {
    pub fn wants(&self, cluster: SystemIdentifier, timeline: Timeline, from: Lsn, to: Lsn) -> bool {
        let is_part = |missing: &LogStretch| {
            missing.cluster.is_none_or(|of| of == cluster) && missing.timeline == timeline && from < missing.to && missing.from < to
        };
        self.missing.iter().any(is_part) && self.needs.needs(cluster, timeline, from, to)
    }
}

/// What of the log in a store must be copied before it goes there. Where a store cannot be seen no log goes anyway (`log_needs`).
pub fn log_awaited(
    policy: &Policy,
    from: &Name,
    stores: &BTreeMap<Name, Observed<&StoreInventory>>,
    placed: &Observed<Vec<Hold>>,
    now: Instant,
) -> Vec<LogAwaited> {
    let Some(lying) = stores.get(from).and_then(|seen| seen.known().copied()) else { return Vec::new() };
    let nothing = StoreInventory::empty();
    let mut all = Vec::new();
    for to in policy.wal.iter().filter(|wal| wal.store == *from).flat_map(|wal| &wal.copies).filter(|to| *to != from) {
        let sources = copy_sources(policy, to);
        let Some(source) = sources.iter().find(|source| source.log && source.store == from) else { continue };
        let there = match stores.get(to) {
            None => &nothing,
            Some(Observed::Known(there)) => there,
            Some(Observed::Unknown { .. }) => continue,
        };
        let belongs = belonging(policy, (source, to), lying, there, placed, now);
        let then = once_copied(lying, there, &belongs);
        let mut then_all = stores.clone();
        then_all.insert(to.clone(), Observed::Known(&then));
        // By the rules of its own expiry: what that lets go there is not waited for here.
        let needs = log_needs(policy, to, &then_all, now);
        let holes = lying.wal.iter().flat_map(|range| uncovered(range, &there.wal));
        let missing =
            holes.map(|hole| LogStretch { cluster: hole.of.system_identifier, timeline: hole.of.timeline, from: hole.from, to: hole.to });
        all.push(LogAwaited { by: to.clone(), needs, missing: missing.collect() });
    }
    all
}

/// The copy with these backups in it, and the log of the store that it is made from.
fn once_copied(lying: &StoreInventory, there: &StoreInventory, belongs: &[BackupId]) -> StoreInventory {
    let ids: BTreeSet<&BackupId> = belongs.iter().collect();
    let mut backups = together(&lying.backups, &there.backups);
    backups.retain(|backup| ids.contains(&backup.id) || there.backups.iter().any(|known| known.id == backup.id));
    StoreInventory { backups, wal: lying.wal.clone(), forks: lying.forks.clone(), ..there.clone() }
}

/// What of the log belongs in the copy once these backups are there.
pub fn log_of_copy(
    policy: &Policy,
    to: &Name,
    lying: &StoreInventory,
    there: &StoreInventory,
    belongs: &[BackupId],
    now: Instant,
) -> LogNeeds {
    let then = once_copied(lying, there, belongs);
    log_needs(policy, to, &BTreeMap::from([(to.clone(), Observed::Known(&then))]), now)
}

/// How far a copy is behind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Behind {
    /// Since when the oldest backup that belongs there and is not could have been there; none when none is missing.
    pub backups_since: Option<Instant>,
    /// How many backups are missing.
    pub backups: usize,
    /// The log is copied there too.
    pub has_log: bool,
    /// Where something of it is missing.
    pub log: Vec<LogBehind>,
}

/// Log that belongs in a copy and is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogBehind {
    /// Where it lies.
    pub store: Name,
    pub cluster: Option<SystemIdentifier>,
    pub timeline: Timeline,
    pub from: Lsn,
    /// Up to when the copy has the log before it. What comes next may have been written much later, after an idle night: when it was,
    /// only the object itself says.
    pub after: Instant,
}

impl Behind {
    /// Since when the oldest thing that is missing could have been there; none when nothing is. `written` asks when the log was
    /// that begins somewhere: one question after the other, as long as an answer can matter, and not too many.
    pub fn since(&self, written: impl Fn(&LogBehind) -> Option<Instant>) -> Option<Instant> {
        const MOST: usize = 16;
        let mut log: Vec<&LogBehind> = self.log.iter().collect();
        log.sort_by_key(|missing| missing.after);
        let mut since = self.backups_since;
        for (number, missing) in log.into_iter().enumerate() {
            if since.is_some_and(|since| since <= missing.after) {
                break;
            }
            let written = if number < MOST { written(missing) } else { None };
            let of_this = written.map_or(missing.after, |written| written.max(missing.after));
            since = Some(since.map_or(of_this, |since| since.min(of_this)));
        }
        since
    }

    /// Up to when the copy has all of the log that belongs there; none when nothing of it is missing.
    pub fn log_until(&self) -> Option<Instant> {
        self.log.iter().map(|missing| missing.after).min()
    }
}

/// By what was seen in the stores. Where one of them could not be seen it is not known.
pub fn behind(
    policy: &Policy,
    to: &Name,
    stores: &BTreeMap<Name, Observed<StoreInventory>>,
    placed: &Observed<Vec<Hold>>,
    now: Instant,
) -> Observed<Behind> {
    let seen = |name: &Name| match stores.get(name) {
        None => Err(format!("`{name}` was not looked at")),
        Some(Observed::Unknown { reason }) => Err(format!("`{name}`: {reason}")),
        Some(Observed::Known(seen)) => Ok(seen),
    };
    let mut behind = Behind::default();
    for source in copy_sources(policy, to) {
        let (lying, there) = match seen(source.store).and_then(|lying| Ok((lying, seen(to)?))) {
            Ok(both) => both,
            Err(reason) => return Observed::unknown(reason),
        };
        let belongs = belonging(policy, (&source, to), lying, there, placed, now);
        let has: BTreeSet<&BackupId> = there.backups.iter().filter(|backup| has_descriptor(backup)).map(|backup| &backup.id).collect();
        let wanted: BTreeSet<&BackupId> = belongs.iter().collect();
        for missing in lying.backups.iter().filter(|backup| wanted.contains(&backup.id) && !has.contains(&backup.id)) {
            behind.backups += 1;
            behind.backups_since = Some(behind.backups_since.map_or(missing.moment(), |since| since.min(missing.moment())));
        }
        if source.log {
            let needs = log_of_copy(policy, to, lying, there, &belongs, now);
            let missing = lying.wal.iter().flat_map(|range| uncovered(range, &there.wal));
            let is_needed = |hole: &Hole<'_>| {
                hole.of.system_identifier.is_none_or(|cluster| needs.needs(cluster, hole.of.timeline, hole.from, hole.to))
            };
            behind.log.extend(missing.filter(is_needed).map(|hole| hole.in_store(source.store)));
            behind.has_log = true;
        }
    }
    Observed::Known(behind)
}

/// A stretch of the log that lies in one store and not in the other.
struct Hole<'r> {
    of: &'r WalRange,
    from: Lsn,
    to: Lsn,
    after: Instant,
}

impl Hole<'_> {
    fn in_store(&self, store: &Name) -> LogBehind {
        LogBehind {
            store: store.clone(),
            cluster: self.of.system_identifier,
            timeline: self.of.timeline,
            from: self.from,
            after: self.after,
        }
    }
}

fn uncovered<'r>(range: &'r WalRange, there: &[WalRange]) -> Vec<Hole<'r>> {
    let of_this = |other: &&WalRange| {
        let of_cluster = other.system_identifier == range.system_identifier || other.system_identifier.is_none();
        of_cluster && other.timeline == range.timeline && other.from_lsn < range.to_lsn && other.to_lsn > range.from_lsn
    };
    let mut covering: Vec<&WalRange> = there.iter().filter(of_this).collect();
    covering.sort_by_key(|other| other.from_lsn);
    let (mut holes, mut at, mut after) = (Vec::new(), range.from_lsn, range.from_time);
    for other in covering {
        if other.from_lsn > at {
            holes.push(Hole { of: range, from: at, to: other.from_lsn, after });
        }
        if other.to_lsn > at {
            (at, after) = (other.to_lsn, other.to_time);
        }
    }
    if at < range.to_lsn {
        holes.push(Hole { of: range, from: at, to: range.to_lsn, after });
    }
    holes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(copies: &str, wal: &str) -> Policy {
        let text = format!(
            "version: 1\npolicy: shop\nowner: dba@example.com\ncluster: {{ connection: service=t, databases: [app] }}\n\
             encryption: {{ none: {{ because: a test }} }}\n\
             stores: {{ main: {{ local: {{ path: /srv/main }} }}, off: {{ local: {{ path: /srv/off }} }} }}\n{wal}\
             backups: {{ nightly: {{ physical: {{}}, schedule: {{ at: '02:00' }}, store: main, keep: {{ daily: 30 }}, copies: {copies} }} }}\n"
        );
        let path = std::path::Path::new("t.yaml");
        let document = crate::policy::document::Document::load("t.yaml", path, &|_| Ok(text.as_bytes().to_vec()));
        let resolved = crate::policy::resolve::resolve(&document, jiff::civil::date(2026, 11, 21));
        resolved.policy.unwrap_or_else(|| panic!("{:?}", resolved.findings))
    }

    fn at(text: &str) -> Instant {
        text.parse().expect("a moment")
    }

    fn backup(day: u8) -> Backup {
        let json = serde_json::json!({
            "id": format!("202611{day:02}T020000Z-0000"), "job": "nightly", "kind": "full", "state": "complete",
            "started": format!("2026-11-{day:02}T02:00:00Z"), "stopped": format!("2026-11-{day:02}T02:30:00Z"),
        });
        serde_json::from_value(json).expect("a backup")
    }

    fn store(days: &[u8], log: &[(u64, u64)]) -> StoreInventory {
        let range = |(from, to): &(u64, u64)| WalRange {
            system_identifier: None,
            timeline: crate::units::Timeline::FIRST,
            from_lsn: Lsn(*from),
            to_lsn: Lsn(*to),
            from_time: at("2026-11-01T00:00:00Z") + jiff::SignedDuration::from_mins(*from as i64),
            to_time: at("2026-11-01T00:00:00Z") + jiff::SignedDuration::from_mins(*to as i64),
        };
        let backups = days.iter().map(|day| backup(*day)).collect();
        StoreInventory { backups, wal: log.iter().map(range).collect(), forks: vec![], used: Observed::unknown("not asked") }
    }

    fn days(policy: &Policy, main: &[u8], off: &[u8]) -> Vec<u8> {
        let to: Name = "off".parse().expect("a name");
        let sources = copy_sources(policy, &to);
        let (lying, there) = (store(main, &[]), store(off, &[]));
        let none = Observed::Known(Vec::new());
        let ids = belonging(policy, (&sources[0], &to), &lying, &there, &none, at("2026-11-21T12:00:00Z"));
        ids.iter().map(|id| id.as_str()[6..8].parse().expect("a day")).collect()
    }

    #[test]
    fn what_the_copy_would_not_keep_does_not_belong_there_and_the_newest_comes_first() {
        let short = policy("{ off: { keep: { last: 2 } } }", "");
        assert_eq!(days(&short, &[17, 18, 19, 20, 21], &[]), [21, 20]);
        assert_eq!(days(&policy("[off]", ""), &[19, 20, 21], &[19]), [21, 20, 19]);
        // The older one is in the copy alone by now, and takes no newer one's place.
        assert_eq!(days(&short, &[21], &[18, 19, 20]), [21, 20]);
        let weekly = policy("{ off: { only: weekly, keep: { weekly: 2 } } }", "");
        // Monday is the 16th.
        assert_eq!(days(&weekly, &[13, 14, 15, 16, 17, 18, 19], &[]), [16, 13]);
    }

    #[test]
    fn what_a_copy_wants_and_is_not_known_to_have_is_awaited() {
        let of = |copies: &str, main: &[u8], off: Observed<StoreInventory>| {
            let policy = policy(copies, "");
            let stores = BTreeMap::from([("off".parse().expect("a name"), off)]);
            let none = Observed::Known(Vec::new());
            let from = "main".parse().expect("a name");
            let all = awaited_by_any(&policy, &from, &store(main, &[]), &stores, &none, at("2026-11-21T12:00:00Z"));
            all.into_iter()
                .map(|(id, awaited)| (id.as_str()[6..8].parse().expect("a day"), awaited.unknown.is_some()))
                .collect::<Vec<(u8, bool)>>()
        };
        let lies = |days: &[u8]| Observed::Known(store(days, &[]));
        assert_eq!(of("[off]", &[19, 20, 21], lies(&[19, 21])), [(20, false)]);
        assert_eq!(of("[off]", &[19, 20, 21], Observed::unknown("gone")), [(19, true), (20, true), (21, true)]);
        let short = "{ off: { keep: { last: 2 } } }";
        assert_eq!(of(short, &[18, 19, 20, 21], Observed::unknown("gone")), [(20, true), (21, true)]);
        assert_eq!(of(short, &[18, 19], lies(&[20, 21])), []);
        assert_eq!(of("{ off: { only: weekly, keep: { weekly: 2 } } }", &[13, 14, 16, 17], lies(&[13])), [(16, false)]);
    }

    #[test]
    fn log_is_awaited_as_far_as_the_copy_needs_it_and_lacks_it() {
        let policy = policy("[off]", "wal: { store: main, copies: [off], timeout: 60s, keep: 30d }\n");
        let name = |name: &str| name.parse::<Name>().expect("a name");
        let of = |off: Option<&[(u64, u64)]>, piece: (u64, u64)| {
            let main = store(&[21], &[(0, 100)]);
            let off = off.map(|off| store(&[21], off));
            let mut stores = BTreeMap::from([(name("main"), Observed::Known(&main))]);
            stores.extend(off.as_ref().map(|off| (name("off"), Observed::Known(off))));
            let all = log_awaited(&policy, &name("main"), &stores, &Observed::Known(Vec::new()), at("2026-11-21T12:00:00Z"));
            let (cluster, timeline) = ("7".parse().expect("a cluster"), crate::units::Timeline::FIRST);
            all.iter().any(|awaited| awaited.wants(cluster, timeline, Lsn(piece.0), Lsn(piece.1)))
        };
        assert!(of(None, (10, 20)), "nothing lies there yet");
        assert!(of(Some(&[(0, 10), (20, 100)]), (10, 20)));
        assert!(!of(Some(&[(0, 10), (20, 100)]), (20, 30)), "it has that");
        assert!(!of(Some(&[(0, 100)]), (10, 20)));
    }

    fn behind_of(policy: &Policy, main: StoreInventory, off: Observed<StoreInventory>) -> Observed<Behind> {
        let name = |name: &str| name.parse::<Name>().expect("a name");
        let stores = BTreeMap::from([(name("main"), Observed::Known(main)), (name("off"), off)]);
        behind(policy, &name("off"), &stores, &Observed::Known(Vec::new()), at("2026-11-21T12:00:00Z"))
    }

    #[test]
    fn it_is_behind_since_the_oldest_that_is_missing() {
        let policy = policy("[off]", "");
        let of = |main: &[u8], off: &[u8]| behind_of(&policy, store(main, &[]), Observed::Known(store(off, &[]))).known().cloned();
        let backups_since = Some(at("2026-11-20T02:30:00Z"));
        assert_eq!(of(&[19, 20, 21], &[19]), Some(Behind { backups_since, backups: 2, ..Behind::default() }));
        assert_eq!(of(&[19, 20, 21], &[19, 20, 21, 18]), Some(Behind::default()));
        assert_eq!(of(&[], &[]), Some(Behind::default()));
        assert!(behind_of(&policy, store(&[21], &[]), Observed::unknown("gone")).known().is_none());
    }

    #[test]
    fn a_log_that_is_missing_counts_from_where_the_copy_ends() {
        let policy = policy("[off]", "wal: { store: main, copies: [off], timeout: 60s, keep: 30d }\n");
        let of = |off: &[(u64, u64)]| {
            let (main, off) = (store(&[21], &[(0, 100)]), Observed::Known(store(&[21], off)));
            behind_of(&policy, main, off).known().and_then(|behind| behind.since(|_| None))
        };
        assert_eq!(of(&[(0, 100)]), None);
        assert_eq!(of(&[(0, 60)]), Some(at("2026-11-01T01:00:00Z")));
        assert_eq!(of(&[(0, 10), (20, 100)]), Some(at("2026-11-01T00:10:00Z")));
        assert_eq!(of(&[]), Some(at("2026-11-01T00:00:00Z")));
    }
    #[test]
    fn a_pause_before_what_is_missing_does_not_count() {
        let missing = |hour: i64| LogBehind {
            store: "main".parse().expect("a name"),
            cluster: None,
            timeline: crate::units::Timeline::FIRST,
            from: Lsn(hour as u64),
            after: at("2026-11-20T00:00:00Z") + jiff::SignedDuration::from_hours(hour),
        };
        let behind = Behind { log: vec![missing(5), missing(1), missing(9)], ..Behind::default() };
        let hour = |hour: u64| Some(at("2026-11-20T00:00:00Z") + jiff::SignedDuration::from_hours(hour as i64));
        assert_eq!(behind.since(|missing| hour(missing.from.0 + 7)), hour(8), "the third began to be missing after that");
        assert_eq!(behind.since(|missing| hour(missing.from.0 * 2)), hour(2));
        assert_eq!(behind.since(|missing| if missing.from == Lsn(1) { hour(20) } else { None }), hour(5), "where it is not known, at once");
        assert_eq!(behind.since(|_| hour(0)), hour(1), "a clock that was set back");
        assert_eq!(behind.log_until(), hour(1));
        let of_backups = Behind { backups_since: hour(0), ..behind };
        assert_eq!(of_backups.since(|_| panic!("nothing can be older")), hour(0));
    }
}
