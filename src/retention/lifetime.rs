use super::claim::claims;
use super::keep::Keep;
use crate::inventory::{Backup, BackupState, Chains, OwnKeep};
use crate::units::{BackupId, Instant};

/// One run of a job: a past one that left a good backup, or one to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Firing {
    pub started: Instant,
    pub stopped: Instant,
}

/// From when to when a backup exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    pub started: Instant,
    pub stopped: Instant,
    /// The moment from which it is deletable. `None`: none of the runs that were given brings that about.
    pub until: Option<Instant>,
}

impl Lifetime {
    pub fn exists_at(&self, moment: Instant) -> bool {
        self.stopped <= moment && self.until.is_none_or(|until| moment < until)
    }

    /// Stays at least as long as `other`.
    pub(super) fn outlast(&mut self, other: Option<Instant>) {
        self.until = self.until.zip(other).map(|(one, other)| one.max(other));
    }
}

/// How long each backup of one job stays if these are all its runs, in the order of their stop times.
///
/// No step-by-step simulation is needed: because the first of a bucket represents it, what expiry does meanwhile never
/// changes what a rule chooses later.
pub fn lifetimes(runs: &[Firing], keep: &Keep) -> Vec<Lifetime> {
    let mut history = runs.to_vec();
    history.sort_by_key(|run| (run.stopped, run.started));
    // The newest good one is never deletable: each stays at least until the next is complete.
    let next = history.iter().skip(1).map(|next| Some(next.stopped)).chain([None]);
    let unlimited = keep.has_no_rule();
    let mut lives: Vec<Lifetime> = history
        .iter()
        .zip(next)
        .map(|(run, next)| Lifetime { started: run.started, stopped: run.stopped, until: if unlimited { None } else { next } })
        .collect();
    claims(&history, keep, |claim| lives[claim.at].outlast(claim.until));
    lives
}

/// Until when this backup stays if its job goes on with these runs. `None` when it is not a good backup of the list;
/// holds, chains and the window for any moment are not considered.
pub fn kept_until(backups: &[Backup], id: &BackupId, keep: &Keep, future: &[Firing]) -> Option<Lifetime> {
    let chains = Chains::of(backups);
    let wanted = chains.position(id).filter(|&at| chains.is_whole(at)).map(|at| &backups[at])?;
    let run_of = |backup: &Backup| Firing { started: backup.started, stopped: backup.moment() };
    let wanted_run = run_of(wanted);
    if let Some(own) = wanted.keep {
        let until = match own {
            OwnKeep::Until(until) => until,
            OwnKeep::For(period) => period.after(wanted.moment(), &keep.zone),
        };
        return Some(Lifetime { started: wanted.started, stopped: wanted.moment(), until: Some(until) });
    }
    let of_lineage = |backup: &Backup| {
        backup.job == wanted.job
            && backup.system_identifier == wanted.system_identifier
            && backup.keep.is_none()
            && backup.state == BackupState::Complete
    };
    let past = (0..backups.len()).filter(|&at| of_lineage(&backups[at]) && chains.is_whole(at)).map(|at| run_of(&backups[at]));
    let runs: Vec<Firing> = past.chain(future.iter().copied()).collect();
    lifetimes(&runs, keep).into_iter().find(|life| life.started == wanted_run.started && life.stopped == wanted_run.stopped)
}
