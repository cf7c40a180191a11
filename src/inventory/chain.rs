use std::collections::HashMap;

use super::{Backup, BackupState};
use crate::units::BackupId;

/// Which backup builds on which, and which chains are whole.
#[derive(Debug)]
pub struct Chains<'a> {
    backups: &'a [Backup],
    by_id: HashMap<&'a str, usize>,
    parents: Vec<Option<usize>>,
    standing: Vec<Standing>,
}

/// Why a chain cannot be restored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("its parent {0} is not in the store")]
    ParentAbsent(BackupId),
    #[error("{0}, which it builds on, is not a complete backup")]
    ParentNotComplete(BackupId),
    #[error("{0}, which it builds on, belongs to another cluster")]
    ParentOfAnotherCluster(BackupId),
    #[error("its chain of parents leads back to {0}")]
    Circle(BackupId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Unvisited,
    OnThisWalk,
    Whole,
    /// The link from this backup to its parent is where the chain breaks.
    BreaksAt(usize),
}

impl<'a> Chains<'a> {
    pub fn of(backups: &'a [Backup]) -> Self {
        let by_id: HashMap<&str, usize> = backups.iter().enumerate().map(|(at, backup)| (backup.id.as_str(), at)).collect();
        let parents = backups.iter().map(|backup| backup.parent.as_ref().and_then(|id| by_id.get(id.as_str()).copied())).collect();
        let mut chains = Chains { backups, by_id, parents, standing: vec![Standing::Unvisited; backups.len()] };
        for at in 0..backups.len() {
            chains.walk(at);
        }
        chains
    }

    /// Follows the parents of one backup up to what is already known, without recursion: a chain may be long.
    fn walk(&mut self, start: usize) {
        let mut path = Vec::new();
        let mut at = start;
        let end = loop {
            match self.standing[at] {
                Standing::OnThisWalk => break Standing::BreaksAt(at),
                Standing::Unvisited => {}
                known => break known,
            }
            self.standing[at] = Standing::OnThisWalk;
            path.push(at);
            match (&self.backups[at].parent, self.parents[at]) {
                (None, _) => break Standing::Whole,
                (Some(_), Some(parent)) if self.can_build_on(at, parent) => at = parent,
                _ => break Standing::BreaksAt(at),
            }
        };
        for passed in path {
            self.standing[passed] = end;
        }
    }

    fn can_build_on(&self, child: usize, parent: usize) -> bool {
        let (child, parent) = (&self.backups[child], &self.backups[parent]);
        parent.state == BackupState::Complete && parent.system_identifier == child.system_identifier
    }

    pub fn position(&self, id: &BackupId) -> Option<usize> {
        self.by_id.get(id.as_str()).copied()
    }

    /// The parent of the backup at this position, if it is there.
    pub fn parent(&self, at: usize) -> Option<usize> {
        self.parents[at]
    }

    /// What is wrong with the parents of the backup at this position.
    pub fn broken(&self, at: usize) -> Option<Broken> {
        let Standing::BreaksAt(link) = self.standing[at] else { return None };
        let child = &self.backups[link];
        let parent_id = child.parent.clone()?;
        Some(match self.parents[link].map(|parent| &self.backups[parent]) {
            None => Broken::ParentAbsent(parent_id),
            Some(parent) if parent.state != BackupState::Complete => Broken::ParentNotComplete(parent_id),
            Some(parent) if parent.system_identifier != child.system_identifier => Broken::ParentOfAnotherCluster(parent_id),
            Some(_) => Broken::Circle(child.id.clone()),
        })
    }

    /// Complete, and so is everything it builds on.
    pub fn is_whole(&self, at: usize) -> bool {
        self.backups[at].state == BackupState::Complete && self.standing[at] == Standing::Whole
    }

    /// The backup and all it builds on, the full one first. `None` when the chain is broken.
    pub fn links(&self, at: usize) -> Option<Vec<&'a Backup>> {
        if !self.is_whole(at) {
            return None;
        }
        let mut links: Vec<&Backup> =
            std::iter::successors(Some(at), |&child| self.parents[child]).map(|link| &self.backups[link]).collect();
        links.reverse();
        Some(links)
    }
}
