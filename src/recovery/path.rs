use super::base::{Base, BaseReason, Skipped, Why, bases, candidates, newest_cluster};
use super::coverage::Coverage;
use super::missing::Missing;
use super::target::{Aim, Target};

use crate::inventory::{Backup, Chains, History, StoreInventory, goes_on_beside};
use crate::units::{BackupId, Instant, Lsn, Timeline};

/// All that a recovery reads, in the order in which it reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path<'a> {
    /// The full backup, then each increment on it. Never empty.
    pub chain: Vec<&'a Backup>,
    /// The write-ahead log, timeline by timeline.
    pub wal: Vec<WalStretch>,
    /// The timeline on which it ends.
    pub timeline: Timeline,
    pub reason: BaseReason,
}

/// A stretch of one timeline's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalStretch {
    pub timeline: Timeline,
    pub from: Lsn,
    /// The first position that is not needed.
    pub to: Lsn,
}

/// How many newer bases that do not lead there are named; more would only repeat the same gap.
const MAX_NAMED: usize = 20;

/// The way to the target, or what is missing for the newest base that could have led there.
pub fn find_path<'a>(store: &'a StoreInventory, aim: &Aim) -> Result<Path<'a>, Missing> {
    let chains = Chains::of(&store.backups);
    if let Target::Immediate(Some(id)) = &aim.target {
        return named(store, &chains, id);
    }
    let cluster = aim.system_identifier.or_else(|| newest_cluster(store, &chains));
    let coverage = Coverage::of(&store.wal, cluster);
    let bases = bases(store, &chains, cluster);
    let timeline = end_timeline(store, &bases, &coverage, aim)?;
    let history = History::of(timeline, &store.forks, cluster);
    if aim.timeline.is_none()
        && let Some(rivals) = rivals(&coverage, timeline, &history, &aim.target)
    {
        return Err(rivals);
    }
    let why = match aim.target {
        Target::Time(_) | Target::Lsn(_) => Why::NewestBeforeTarget,
        Target::Latest | Target::Immediate(_) | Target::Xid(_) | Target::Named(_) => Why::NewestOfAll,
    };
    let mut skipped: Vec<Skipped> = Vec::new();
    let mut all_carried = true;
    for base in candidates(&bases, aim, timeline, &history)? {
        let found = match replay(&base, &aim.target, &coverage, &history) {
            Ok(wal) => Ok((wal, timeline)),
            // A gap behind one that has no log of its own is a loss, and nobody is taken further back than he knows.
            Err(missing) if base.backup.carries_log && all_carried => {
                own_end(&base, &aim.target, &coverage, missing).map(|own| (vec![own], base.timeline))
            }
            Err(missing) => Err(missing),
        };
        all_carried &= base.backup.carries_log;
        match found {
            Ok((wal, timeline)) => return Ok(Path { chain: links(&chains, &base)?, wal, timeline, reason: BaseReason { why, skipped } }),
            Err(_) if skipped.len() >= MAX_NAMED => {}
            Err(because) => skipped.push(Skipped { backup: base.backup.id.clone(), because }),
        }
    }
    // The newest base asks for the least, so what it lacks is what to look for.
    Err(skipped.into_iter().next().map_or(Missing::NoBase, |newest| newest.because))
}

/// Two timelines that both go on, so that nobody who does not name one is brought back: known before somebody needs it.
pub fn rivals_in(store: &StoreInventory) -> Option<Missing> {
    find_path(store, &Aim::at(Target::Latest)).err().filter(|missing| matches!(missing, Missing::Rivals { .. }))
}

/// A promoted copy has a higher timeline than the server it was copied from, which may be the one that everybody works with. Whoever does not
/// name a timeline would get the copy's, and lose what the other has written since.
fn rivals(coverage: &Coverage, timeline: Timeline, history: &History, target: &Target) -> Option<Missing> {
    let fork = history.last_fork();
    // Before they parted it is the same on both. Where a transaction or a name lies, or what the newest backup is, each answers for itself.
    let is_before = match target {
        Target::Time(time) => fork.and_then(|(_, at)| at).is_some_and(|at| *time <= at),
        Target::Lsn(lsn) => fork.is_some_and(|(at, _)| *lsn <= at),
        Target::Latest | Target::Immediate(_) | Target::Xid(_) | Target::Named(_) => false,
    };
    if is_before {
        return None;
    }
    let began = coverage.began(timeline).or_else(|| fork?.1)?;
    let others = coverage.ends().filter(|(other, end)| *other != timeline && goes_on_beside(began, *end));
    let (rival, rival_end) = others.max_by_key(|(_, end)| *end)?;
    Some(Missing::Rivals { timeline, rival, rival_end })
}

fn links<'a>(chains: &Chains<'a>, base: &Base<'a>) -> Result<Vec<&'a Backup>, Missing> {
    chains.links(base.at).ok_or_else(|| Missing::NotABase(base.backup.id.clone()))
}

fn named<'a>(store: &'a StoreInventory, chains: &Chains<'a>, id: &BackupId) -> Result<Path<'a>, Missing> {
    let at = chains.position(id).ok_or_else(|| Missing::NoSuchBackup(id.clone()))?;
    let backup = &store.backups[at];
    if !backup.kind.is_physical() {
        return Err(Missing::NotABase(id.clone()));
    }
    if let Some(broken) = chains.broken(at) {
        return Err(Missing::Chain { id: id.clone(), broken });
    }
    let chain = chains.links(at).ok_or_else(|| Missing::NotABase(id.clone()))?;
    let (Some(timeline), Some(start), Some(stop)) = (backup.timeline, backup.start_lsn, backup.stop_lsn) else {
        return Err(Missing::Position(id.clone()));
    };
    let base = Base { at, backup, timeline, start, stop };
    let coverage = Coverage::of(&store.wal, backup.system_identifier);
    let wal = replay(&base, &Target::Immediate(None), &coverage, &History::of(timeline, &[], None))?;
    Ok(Path { chain, wal, timeline, reason: BaseReason { why: Why::Named, skipped: Vec::new() } })
}

/// A backup that brought its own log leads to where that ends, and no archive was ever to lead further: what lies behind it is another backup's, or
/// that of one which broke off. So its end is the newest that there is, and no gap; what lies later cannot be had.
fn own_end(base: &Base<'_>, target: &Target, coverage: &Coverage, missing: Missing) -> Result<WalStretch, Missing> {
    let whole = coverage.run_at(base.timeline, base.start).filter(|run| run.to >= base.stop);
    let Some(run) = whole else { return Err(missing) };
    let timeline = base.timeline;
    match target {
        Target::Latest => Ok(WalStretch { timeline, from: base.start, to: run.to }),
        Target::Time(_) | Target::Lsn(_) => {
            Err(Missing::WalEndsBefore { timeline, end: run.to, end_time: Some(run.end_time()), target: target.to_string() })
        }
        Target::Immediate(_) | Target::Xid(_) | Target::Named(_) => Err(missing),
    }
}

pub(super) fn end_timeline(store: &StoreInventory, bases: &[Base<'_>], coverage: &Coverage, aim: &Aim) -> Result<Timeline, Missing> {
    let cluster = aim.system_identifier.or_else(|| bases.last().and_then(|base| base.backup.system_identifier));
    let same = |other| cluster.is_none() || other == cluster;
    let known = bases.iter().map(|base| base.timeline).chain(coverage.newest_timeline());
    let forked =
        store.forks.iter().filter(|fork| fork.system_identifier.is_none() || same(fork.system_identifier)).map(|fork| fork.timeline);
    let newest = known.chain(forked).max().ok_or(Missing::NoBase)?;
    match aim.timeline {
        Some(timeline) if timeline > newest => Err(Missing::NoSuchTimeline(timeline)),
        Some(timeline) => Ok(timeline),
        None => Ok(newest),
    }
}

/// The log from the base to the target along the history. Every base needs at least what makes it consistent.
pub(super) fn replay(base: &Base<'_>, target: &Target, coverage: &Coverage, history: &History) -> Result<Vec<WalStretch>, Missing> {
    let own = stretch(coverage, base.timeline, base.start, base.stop)?;
    if matches!(target, Target::Immediate(_)) {
        return Ok(vec![own]);
    }
    let mut wal = Vec::new();
    let mut from = base.start;
    let mut end_time = None;
    for part in history.from(base.timeline) {
        // Not one byte of a later timeline may have been archived yet; what comes before the fork is then all there is.
        let Some(run) = coverage.run_at(part.timeline, from) else {
            return match (target, part.until) {
                (Target::Latest | Target::Xid(_) | Target::Named(_), None) if !wal.is_empty() => Ok(wal),
                _ => Err(gap_or_end(coverage, part.timeline, from, end_time, target)),
            };
        };
        let whole_until = part.until.filter(|&(fork, _)| run.to >= fork);
        if let Some(to) = reached(run.position_of_target(target), part.until, whole_until, target) {
            wal.push(WalStretch { timeline: part.timeline, from, to: to.max(base.stop_on(part.timeline, from)) });
            return Ok(wal);
        }
        match (part.until, whole_until) {
            (_, Some((fork, at))) => {
                wal.push(WalStretch { timeline: part.timeline, from, to: fork });
                from = fork;
                end_time = at.or_else(|| run.time_at(fork));
            }
            (Some(_), None) => {
                return Err(Missing::Wal { timeline: part.timeline, from: run.to, to: coverage.next_after(part.timeline, run.to) });
            }
            (None, None) => return finish(coverage, run, part.timeline, from, wal, target),
        }
    }
    Ok(wal)
}

/// On the last timeline, when the target was not reached within the run.
fn finish(
    coverage: &Coverage,
    run: &super::coverage::Run,
    timeline: Timeline,
    from: Lsn,
    mut wal: Vec<WalStretch>,
    target: &Target,
) -> Result<Vec<WalStretch>, Missing> {
    // A run that begins later on the same timeline is a gap, for "latest" too: its end is not the end of the log.
    if let Some(next) = coverage.next_after(timeline, run.to) {
        return Err(Missing::Wal { timeline, from: run.to, to: Some(next) });
    }
    match target {
        Target::Latest | Target::Xid(_) | Target::Named(_) | Target::Immediate(_) => {
            wal.push(WalStretch { timeline, from, to: run.to });
            Ok(wal)
        }
        Target::Time(_) | Target::Lsn(_) => {
            Err(Missing::WalEndsBefore { timeline, end: run.to, end_time: Some(run.end_time()), target: target.to_string() })
        }
    }
}

fn gap_or_end(coverage: &Coverage, timeline: Timeline, from: Lsn, end_time: Option<Instant>, target: &Target) -> Missing {
    match coverage.next_after(timeline, from) {
        Some(next) => Missing::Wal { timeline, from, to: Some(next) },
        None => Missing::WalEndsBefore { timeline, end: from, end_time, target: target.to_string() },
    }
}

fn stretch(coverage: &Coverage, timeline: Timeline, from: Lsn, to: Lsn) -> Result<WalStretch, Missing> {
    match coverage.run_at(timeline, from) {
        Some(run) if run.to >= to => Ok(WalStretch { timeline, from, to }),
        Some(run) => {
            Err(Missing::Wal { timeline, from: run.to, to: Some(coverage.next_after(timeline, run.to).map_or(to, |next| next.min(to))) })
        }
        None => Err(Missing::Wal { timeline, from, to: Some(coverage.next_after(timeline, from).map_or(to, |next| next.min(to))) }),
    }
}

/// Where the target lies, if it does on this part of the history. A moment counts only where it is surely before the fork.
fn reached(
    position: Option<Lsn>,
    until: Option<(Lsn, Option<Instant>)>,
    whole: Option<(Lsn, Option<Instant>)>,
    target: &Target,
) -> Option<Lsn> {
    match (until, target) {
        (Some((fork, Some(fork_time))), Target::Time(time)) if *time <= fork_time && whole.is_some() => {
            Some(position.map_or(fork, |at| at.min(fork)))
        }
        (Some((fork, _)), _) => position.filter(|at| *at <= fork),
        (None, _) => position,
    }
}

impl super::coverage::Run {
    fn position_of_target(&self, target: &Target) -> Option<Lsn> {
        match target {
            Target::Time(time) => self.position_of(*time),
            Target::Lsn(lsn) => (*lsn <= self.to).then_some(*lsn),
            Target::Latest | Target::Immediate(_) | Target::Xid(_) | Target::Named(_) => None,
        }
    }
}

impl Base<'_> {
    /// Replay must reach the backup's own end, wherever the target lies.
    fn stop_on(&self, timeline: Timeline, from: Lsn) -> Lsn {
        if timeline == self.timeline { self.stop } else { from }
    }
}
