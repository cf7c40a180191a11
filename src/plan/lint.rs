//! A second look at a finished plan, with code that shares nothing with what made it. A fault here is a fault of Seawall.

use std::collections::{BTreeSet, HashMap};

use thiserror::Error;

use super::{Action, Due, Fate, Plan};
use crate::inventory::{Backup, BackupState, ClusterInventory, Hold, Observed, SystemIdentifier};
use crate::policy::model::{Method, Policy};
use crate::units::{BackupId, Instant, Lsn, Timeline};

/// Something that no plan may contain.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LintFault {
    #[error("`{id}` would be deleted from `{store}`, of which nothing is known")]
    DeletesUnknown { store: String, id: BackupId },
    #[error("`{id}` would be deleted and is the newest good backup of `{job}`")]
    DeletesNewest { id: BackupId, job: String },
    #[error("`{id}` would be deleted and `{child}`, which is kept, builds on it")]
    DeletesParent { id: BackupId, child: BackupId },
    #[error("`{id}` would be deleted while the hold `{hold}` stands")]
    DeletesHeld { id: BackupId, hold: String },
    #[error("`{id}` would be deleted and is still running")]
    DeletesRunning { id: BackupId },
    #[error("log would be deleted that `{id}` is consistent only with")]
    DeletesLog { id: BackupId },
    #[error("the expiry of `{store}` marks other backups than the plan judged to go")]
    MarksOthers { store: String },
    #[error("`{job}` is in the policy and not in the plan")]
    ForgetsJob { job: String },
    #[error("`{job}` has no steps")]
    NoSteps { job: String },
    #[error("`{job}` would make its backup exist before everything is stored and read back")]
    CommitsEarly { job: String },
    #[error("`{job}` would copy what does not exist yet")]
    CopiesEarly { job: String },
    #[error("`{job}` would leave its backup without the log it needs")]
    SkipsLog { job: String },
    #[error("`{job}` is planned for {at}, which lies before the plan itself")]
    RunsInThePast { job: String, at: Instant },
    #[error("`{job}` is due although nothing is known of its runs")]
    DueWithoutKnowledge { job: String },
}

/// Everything that is wrong with a plan; nothing, if the planner is right.
pub fn lint(plan: &Plan, policy: &Policy, inventory: Option<&ClusterInventory>) -> Vec<LintFault> {
    let mut faults = Vec::new();
    deletions(plan, policy, inventory, &mut faults);
    jobs(plan, policy, inventory, &mut faults);
    faults
}

fn deletions(plan: &Plan, policy: &Policy, inventory: Option<&ClusterInventory>, faults: &mut Vec<LintFault>) {
    for store in &plan.stores {
        let doomed: BTreeSet<&BackupId> =
            store.existing.iter().filter(|backup| matches!(backup.fate, Fate::Delete { .. })).map(|backup| &backup.id).collect();
        let marked: BTreeSet<&BackupId> = plan
            .jobs
            .iter()
            .flat_map(|job| &job.steps)
            .filter_map(|step| {
                if let Action::MarkExpired { store: name, backups } = &step.action {
                    (*name == store.store).then_some(backups)
                } else {
                    None
                }
            })
            .flatten()
            .collect();
        if marked != doomed {
            faults.push(LintFault::MarksOthers { store: store.store.to_string() });
        }
        if doomed.is_empty() {
            continue;
        }
        let Some(Observed::Known(observed)) = inventory.and_then(|inventory| inventory.stores.get(&store.store)) else {
            faults.extend(doomed.iter().map(|id| LintFault::DeletesUnknown { store: store.store.to_string(), id: (*id).clone() }));
            continue;
        };
        let placed = inventory.and_then(|inventory| inventory.holds.known()).into_iter().flatten();
        let holds: Vec<&Hold> = policy.backup_holds.iter().chain(placed).collect();
        faults.extend(lint_deletions(&observed.backups, &holds, &doomed, plan.made_at));
    }
}

/// What is wrong with deleting these backups of one store; nothing, if whoever decided it is right.
pub fn lint_deletions(backups: &[Backup], holds: &[&Hold], doomed: &BTreeSet<&BackupId>, now: Instant) -> Vec<LintFault> {
    let mut faults = Vec::new();
    let known: HashMap<&BackupId, &Backup> = backups.iter().map(|backup| (&backup.id, backup)).collect();
    for backup in backups {
        if doomed.contains(&backup.id) && backup.state == BackupState::Running {
            faults.push(LintFault::DeletesRunning { id: backup.id.clone() });
        }
        if let Some(parent) = backup.parent.as_ref().filter(|parent| doomed.contains(parent))
            && !doomed.contains(&backup.id)
            && known.contains_key(parent)
            && backup.state == BackupState::Complete
        {
            faults.push(LintFault::DeletesParent { id: parent.clone(), child: backup.id.clone() });
        }
    }
    newest(backups, doomed, &known, now, &mut faults);
    for hold in holds.iter().filter(|hold| hold.until.is_none_or(|until| now < until)) {
        for id in doomed
            .iter()
            .filter(|id| known.get(**id).is_some_and(|backup| backup.state == BackupState::Complete && hold.selects.matches(backup)))
        {
            faults.push(LintFault::DeletesHeld { id: (*id).clone(), hold: hold.name.to_string() });
        }
    }
    faults
}

/// A segment that would be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogPiece {
    pub cluster: SystemIdentifier,
    pub timeline: Timeline,
    pub from: Lsn,
    pub to: Lsn,
}

/// The same for the log: no physical backup that is there loses any of what it was made with, by its descriptor alone.
pub fn lint_log<'b>(backups: impl IntoIterator<Item = &'b Backup>, doomed: &[LogPiece]) -> Vec<LintFault> {
    let mut pieces = doomed.to_vec();
    pieces.sort_unstable();
    let mut faults = Vec::new();
    for backup in backups.into_iter().filter(|backup| backup.kind.is_physical() && backup.state != BackupState::Failed) {
        let position = backup.system_identifier.zip(backup.timeline).zip(backup.start_lsn.zip(backup.stop_lsn));
        let Some(((cluster, timeline), (start, stop))) = position else {
            // Where its log lies is not known, so it may be any of it.
            faults.extend((!pieces.is_empty()).then(|| LintFault::DeletesLog { id: backup.id.clone() }));
            continue;
        };
        let line = |piece: &LogPiece| (piece.cluster, piece.timeline);
        let after =
            pieces.partition_point(|piece| line(piece) < (cluster, timeline) || (line(piece) == (cluster, timeline) && piece.to <= start));
        let hit = pieces.get(after).is_some_and(|piece| line(piece) == (cluster, timeline) && piece.from < stop.max(Lsn(start.0 + 1)));
        faults.extend(hit.then(|| LintFault::DeletesLog { id: backup.id.clone() }));
    }
    faults
}

/// Of each job the newest complete backup whose whole chain is there.
fn newest(
    backups: &[Backup],
    doomed: &BTreeSet<&BackupId>,
    known: &HashMap<&BackupId, &Backup>,
    now: Instant,
    faults: &mut Vec<LintFault>,
) {
    let counts = |backup: &&Backup| backup.state == BackupState::Complete && backup.moment() <= now && backup.keep.is_none();
    let mut latest_first: Vec<&Backup> = backups.iter().filter(counts).collect();
    latest_first.sort_by_key(|backup| std::cmp::Reverse(backup.moment()));
    let mut newest: HashMap<&str, &Backup> = HashMap::new();
    for backup in latest_first {
        // Chains are long: they are followed only until one is found whole.
        if newest.contains_key(backup.job.as_str()) {
            continue;
        }
        let mut link = backup;
        let mut links = 0;
        let whole = loop {
            let Some(parent) = &link.parent else { break true };
            links += 1;
            match known.get(parent) {
                Some(next) if next.state == BackupState::Complete && links < 10_000 => link = next,
                _ => break false,
            }
        };
        if whole {
            newest.insert(backup.job.as_str(), backup);
        }
    }
    faults.extend(
        newest
            .into_iter()
            .filter(|(_, backup)| doomed.contains(&backup.id))
            .map(|(job, backup)| LintFault::DeletesNewest { id: backup.id.clone(), job: job.to_owned() }),
    );
}

fn jobs(plan: &Plan, policy: &Policy, inventory: Option<&ClusterInventory>, faults: &mut Vec<LintFault>) {
    for name in policy.backups.keys() {
        let path = format!("backups.{name}");
        if !plan.jobs.iter().any(|job| job.job.to_string() == path) {
            faults.push(LintFault::ForgetsJob { job: path });
        }
    }
    for job in &plan.jobs {
        let path = job.job.to_string();
        if job.steps.is_empty() {
            faults.push(LintFault::NoSteps { job: path.clone() });
        }
        if let Some(at) = job.next.iter().find(|at| **at <= plan.made_at) {
            faults.push(LintFault::RunsInThePast { job: path.clone(), at: *at });
        }
        if inventory.is_none() && matches!(job.due, Due::Now { .. }) {
            faults.push(LintFault::DueWithoutKnowledge { job: path.clone() });
        }
        let position = |wanted: fn(&Action) -> bool| job.steps.iter().position(|step| wanted(&step.action));
        let commit = position(|action| matches!(action, Action::Commit { .. }));
        let read_back = position(|action| matches!(action, Action::ReadBack { .. }));
        let last_read = job.steps.iter().rposition(|step| {
            matches!(
                step.action,
                Action::ReadDataDirectory { .. }
                    | Action::ReadChangedPages { .. }
                    | Action::EndBackup
                    | Action::WaitForLog { .. }
                    | Action::DumpDatabase { .. }
                    | Action::DumpTables { .. }
                    | Action::DumpGlobals
                    | Action::ReadFiles { .. }
            )
        });
        if let Some(commit) = commit {
            let early = last_read.is_none_or(|at| at > commit) || read_back.is_none_or(|at| at > commit);
            if early {
                faults.push(LintFault::CommitsEarly { job: path.clone() });
            }
        }
        if position(|action| matches!(action, Action::Copy { .. })).is_some_and(|copy| commit.is_none_or(|commit| copy < commit)) {
            faults.push(LintFault::CopiesEarly { job: path.clone() });
        }
        let physical = policy.backups.iter().any(|(name, backup)| {
            path == format!("backups.{name}") && matches!(backup.method, Method::Physical(_) | Method::Incremental { .. })
        });
        if physical && policy.wal.is_some() && position(|action| matches!(action, Action::WaitForLog { .. })).is_none() {
            faults.push(LintFault::SkipsLog { job: path.clone() });
        }
    }
}
