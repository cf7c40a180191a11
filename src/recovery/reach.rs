use std::collections::BTreeMap;

use super::base::{Base, bases, newest_cluster};
use super::coverage::Coverage;
use super::missing::Missing;
use super::path::{end_timeline, replay};
use super::target::{Aim, Target};
use crate::inventory::{Backup, BackupKind, BackupState, Chains, History, StoreInventory, SystemIdentifier};
use crate::units::{BackupId, Instant, Timeline};

/// What can be recovered from one store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// Recovery to any moment inside: whole, disjoint, the oldest first.
    pub windows: Vec<Window>,
    /// Between two windows: nothing but single points, if any.
    pub gaps: Vec<Gap>,
    /// Single moments: dumps, and base backups with no more log than their own.
    pub points: Vec<Point>,
    /// Physical backups that nothing can be made of, because their own log is missing or not known.
    pub unusable: Vec<BackupId>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    pub from: Instant,
    pub to: Instant,
    /// The base with which it begins.
    pub base: BackupId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    pub from: Instant,
    pub to: Instant,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    pub at: Instant,
    pub backup: BackupId,
    pub kind: BackupKind,
}

impl Reach {
    /// The oldest moment to which the whole cluster can be recovered.
    pub fn oldest(&self) -> Option<Instant> {
        let physical = self.points.iter().filter(|point| point.kind.is_physical()).map(|point| point.at);
        self.windows.iter().map(|window| window.from).chain(physical).min()
    }

    /// From when on every moment up to the newest can be had.
    pub fn any_moment_since(&self) -> Option<Instant> {
        self.windows.last().map(|window| window.from)
    }
}

/// What can be recovered, on the newest timeline of the cluster (of the newest base's cluster, when none is named).
pub fn reach_back(store: &StoreInventory, cluster: Option<SystemIdentifier>) -> Reach {
    let chains = Chains::of(&store.backups);
    let cluster = cluster.or_else(|| newest_cluster(store, &chains));
    let coverage = Coverage::of(&store.wal, cluster);
    let bases = bases(store, &chains, cluster);
    let aim = Aim { target: Target::Latest, system_identifier: cluster, timeline: None };
    let mut reach =
        Reach { windows: Vec::new(), gaps: Vec::new(), points: dumps(store, &chains), unusable: positionless(store, &chains, cluster) };
    let Ok(timeline) = end_timeline(store, &bases, &coverage, &aim) else { return reach };
    let history = History::of(timeline, &store.forks, cluster);
    let newest = |base: &Base<'_>| coverage.run_at(base.timeline, base.start).is_some_and(|run| run.to >= base.stop);
    for base in &bases {
        match reaches_until(base, &coverage, &history) {
            Some(to) => reach.add(base, to),
            None if newest(base) => reach.points.push(point(base)),
            None => reach.unusable.push(base.backup.id.clone()),
        }
    }
    reach.points.sort_by(|one, other| (one.at, one.backup.as_str()).cmp(&(other.at, other.backup.as_str())));
    reach.gaps = reach.windows.windows(2).map(|pair| Gap { from: pair[0].to, to: pair[1].from }).collect();
    reach
}

/// How far each usable base backup can be rolled forward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    pub backup: BackupId,
    pub until: Result<Until, Missing>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// To any moment up to this one, along this timeline's history.
    Moment { at: Instant, timeline: Timeline },
    /// To its own end and no further.
    ItsEnd { at: Instant, timeline: Timeline },
}

/// How far every physical backup of a store can be rolled forward: along the newest timeline of its cluster where it lies on that
/// one's history, else along its own. In the order of the inventory.
pub fn forward(store: &StoreInventory) -> Vec<Forward> {
    let chains = Chains::of(&store.backups);
    let mut clusters: BTreeMap<Option<SystemIdentifier>, Lineage> = BTreeMap::new();
    let physical =
        store.backups.iter().enumerate().filter(|(_, backup)| backup.kind.is_physical() && backup.state == BackupState::Complete);
    physical
        .map(|(at, backup)| {
            let lineage = clusters.entry(backup.system_identifier).or_insert_with(|| Lineage::of(store, backup.system_identifier));
            Forward { backup: backup.id.clone(), until: lineage.until(store, &chains, at, backup) }
        })
        .collect()
}

/// What all backups of one cluster share.
struct Lineage {
    coverage: Coverage,
    newest: Option<Timeline>,
}

impl Lineage {
    fn of(store: &StoreInventory, cluster: Option<SystemIdentifier>) -> Lineage {
        let coverage = Coverage::of(&store.wal, cluster);
        let bases = store.backups.iter().filter(|backup| backup.system_identifier == cluster).filter_map(|backup| backup.timeline);
        let newest = bases.chain(coverage.newest_timeline()).max();
        Lineage { coverage, newest }
    }

    fn until(&self, store: &StoreInventory, chains: &Chains<'_>, at: usize, backup: &Backup) -> Result<Until, Missing> {
        let id = || backup.id.clone();
        if let Some(broken) = chains.broken(at) {
            return Err(Missing::Chain { id: id(), broken });
        }
        let (Some(timeline), Some(start), Some(stop)) = (backup.timeline, backup.start_lsn, backup.stop_lsn) else {
            return Err(Missing::Position(id()));
        };
        let base = Base { at, backup, timeline, start, stop };
        replay(&base, &Target::Immediate(None), &self.coverage, &History::of(timeline, &[], None))?;
        for end in self.newest.into_iter().chain([timeline]) {
            let history = History::of(end, &store.forks, backup.system_identifier);
            if history.contains(timeline, stop) {
                let until = reaches_until(&base, &self.coverage, &history);
                return Ok(match until {
                    Some(at) => Until::Moment { at, timeline: end },
                    None => Until::ItsEnd { at: base.moment(), timeline },
                });
            }
        }
        Ok(Until::ItsEnd { at: base.moment(), timeline })
    }
}

impl Reach {
    /// Bases come in the order of their moments, so a window either grows or a new one begins.
    fn add(&mut self, base: &Base<'_>, to: Instant) {
        let from = base.moment();
        match self.windows.last_mut() {
            Some(window) if from <= window.to => window.to = window.to.max(to),
            _ => self.windows.push(Window { from, to, base: base.backup.id.clone() }),
        }
    }
}

/// Up to which moment replay from this base gets, along the history. `None`: not beyond the backup itself.
fn reaches_until(base: &Base<'_>, coverage: &Coverage, history: &History) -> Option<Instant> {
    replay(base, &Target::Immediate(None), coverage, history).ok()?;
    if !history.contains(base.timeline, base.stop) {
        return None;
    }
    let (mut from, mut until) = (base.start, None);
    for part in history.from(base.timeline) {
        let Some(run) = coverage.run_at(part.timeline, from) else { break };
        match part.until {
            Some((fork, at)) if run.to >= fork => {
                until = at.or_else(|| run.time_at(fork)).max(until);
                from = fork;
            }
            _ => {
                until = Some(run.end_time()).max(until);
                break;
            }
        }
    }
    until.filter(|until| *until > base.moment())
}

fn point(base: &Base<'_>) -> Point {
    Point { at: base.moment(), backup: base.backup.id.clone(), kind: base.backup.kind }
}

/// A dump shows the database as it was when the dump began. Chosen tables and files are no moment of a database.
fn dumps(store: &StoreInventory, chains: &Chains<'_>) -> Vec<Point> {
    let of_dump = |at: &usize| chains.is_whole(*at) && store.backups[*at].kind == BackupKind::Logical;
    let point = |backup: &crate::inventory::Backup| Point { at: backup.started, backup: backup.id.clone(), kind: backup.kind };
    (0..store.backups.len()).filter(of_dump).map(|at| point(&store.backups[at])).collect()
}

fn positionless(store: &StoreInventory, chains: &Chains<'_>, cluster: Option<SystemIdentifier>) -> Vec<BackupId> {
    let nowhere = |(at, backup): &(usize, &crate::inventory::Backup)| {
        backup.kind.is_physical()
            && chains.is_whole(*at)
            && (cluster.is_none() || backup.system_identifier == cluster)
            && (backup.timeline.is_none() || backup.start_lsn.is_none() || backup.stop_lsn.is_none())
    };
    store.backups.iter().enumerate().filter(nowhere).map(|(_, backup)| backup.id.clone()).collect()
}
