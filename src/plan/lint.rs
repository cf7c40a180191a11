//! A second look at a finished plan, with code that shares nothing with what made it. A fault here is a fault of Seawall.

use std::collections::{BTreeSet, HashMap};

use thiserror::Error;

use super::{Action, Due, Fate, Plan};
use crate::inventory::{Backup, BackupState, ClusterInventory, Hold, Observed, StoreInventory, SystemIdentifier};
use crate::policy::model::{Method, Policy};
use crate::units::{BackupId, Instant, Lsn, Timeline};

/// Something that no plan may contain.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LintFault {
    #[error("`{id}` would be deleted from `{store}`, of which nothing is known")]
    DeletesUnknown { store: String, id: BackupId },
    #[error("`{id}` would be deleted and is the newest good backup of `{job}`")]
    DeletesNewest { id: BackupId, job: String },
    #[error("`{id}` would be deleted, and the newest good way of `{job}` to timeline {timeline} begins with it, or may do so")]
    DeletesWay { id: BackupId, job: String, timeline: Timeline },
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
        let seen: Vec<&StoreInventory> =
            inventory.into_iter().flat_map(|inventory| inventory.stores.values()).filter_map(Observed::known).collect();
        faults.extend(lint_deletions(&observed.backups, &seen, &holds, &doomed, plan.made_at));
    }
}

/// What is wrong with deleting these backups of one store; nothing, if whoever decided it is right. `stores`: all that was seen, for where
/// timelines parted.
pub fn lint_deletions(
    backups: &[Backup],
    stores: &[&StoreInventory],
    holds: &[&Hold],
    doomed: &BTreeSet<&BackupId>,
    now: Instant,
) -> Vec<LintFault> {
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
    ways(backups, doomed, &known, stores, now, &mut faults);
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
    let newest =
        newest_of_each(backups, known, now, |backup| backup.keep.is_none()).into_values().filter(|backup| doomed.contains(&backup.id));
    faults.extend(newest.map(|backup| LintFault::DeletesNewest { id: backup.id.clone(), job: backup.job.to_string() }));
}

/// The same of those that lead to the timeline that the cluster has reached; and where it is not known what does, of a job that has none
/// for certain, all that may.
fn ways(
    backups: &[Backup],
    doomed: &BTreeSet<&BackupId>,
    known: &HashMap<&BackupId, &Backup>,
    stores: &[&StoreInventory],
    now: Instant,
    faults: &mut Vec<LintFault>,
) {
    let clusters: BTreeSet<Option<SystemIdentifier>> = backups.iter().map(|backup| backup.system_identifier).collect();
    for cluster in clusters {
        let Some(way) = Way::of(stores, cluster, now) else { continue };
        let is_of = |backup: &Backup| backup.kind.is_physical() && backup.system_identifier == cluster;
        let leading = newest_of_each(backups, known, now, |backup| is_of(backup) && way.has(backup));
        let by_rules = newest_of_each(backups, known, now, |backup| backup.keep.is_none() && is_of(backup) && way.has(backup));
        let may_lead = |backup: &&Backup| {
            let has_none = !leading.contains_key(backup.job.as_str());
            has_none && is_of(backup) && way.may_have(backup) && is_good(backup, now) && is_whole(backup, known)
        };
        let wanted = by_rules.into_values().chain(backups.iter().filter(|backup| backup.keep.is_none()).filter(may_lead));
        faults.extend(wanted.filter(|backup| doomed.contains(&backup.id)).map(|backup| LintFault::DeletesWay {
            id: backup.id.clone(),
            job: backup.job.to_string(),
            timeline: way.to,
        }));
    }
}

fn newest_of_each<'b>(
    backups: &'b [Backup],
    known: &HashMap<&BackupId, &Backup>,
    now: Instant,
    counts: impl Fn(&Backup) -> bool,
) -> HashMap<&'b str, &'b Backup> {
    let mut latest_first: Vec<&Backup> = backups.iter().filter(|backup| is_good(backup, now) && counts(backup)).collect();
    // Two of one moment are in the order of their ids.
    latest_first.sort_by_key(|backup| std::cmp::Reverse((backup.moment(), backup.started, backup.id.as_str())));
    let mut newest: HashMap<&str, &Backup> = HashMap::new();
    for backup in latest_first {
        // Chains are long: they are followed only until one is found whole.
        if !newest.contains_key(backup.job.as_str()) && is_whole(backup, known) {
            newest.insert(backup.job.as_str(), backup);
        }
    }
    newest
}

fn is_good(backup: &Backup, now: Instant) -> bool {
    backup.state == BackupState::Complete && backup.moment() <= now
}

fn is_whole(backup: &Backup, known: &HashMap<&BackupId, &Backup>) -> bool {
    let mut link = backup;
    let mut links = 0;
    loop {
        let Some(parent) = &link.parent else { return true };
        links += 1;
        match known.get(parent) {
            Some(next) if next.state == BackupState::Complete && links < 10_000 => link = next,
            _ => return false,
        }
    }
}

/// How a cluster came to its newest timeline: each that it came through, and up to where.
struct Way {
    to: Timeline,
    through: HashMap<Timeline, Lsn>,
    /// Where it began, as far as histories tell.
    oldest: Timeline,
    others: usize,
}

/// A copy that was promoted beside, and given up, is not where the cluster is.
const GIVEN_UP_DAYS: i64 = 30;

impl Way {
    /// None where nobody knows whether it is the newest that is lived on.
    fn of(stores: &[&StoreInventory], cluster: Option<SystemIdentifier>, now: Instant) -> Option<Way> {
        let is_of = |other: &Option<SystemIdentifier>| cluster.is_none() || other.is_none() || *other == cluster;
        let mut heard: HashMap<Timeline, Instant> = HashMap::new();
        let mut hear = |timeline: Timeline, at: Instant| _ = heard.entry(timeline).and_modify(|last| *last = at.max(*last)).or_insert(at);
        let mut forks = Vec::new();
        for store in stores {
            forks.extend(store.forks.iter().filter(|fork| is_of(&fork.system_identifier)));
            store.wal.iter().filter(|range| is_of(&range.system_identifier)).for_each(|range| hear(range.timeline, range.to_time));
            let own = store.backups.iter().filter(|backup| backup.kind.is_physical() && backup.system_identifier == cluster);
            own.for_each(|backup| _ = backup.timeline.map(|timeline| hear(timeline, backup.moment())));
        }
        let to = forks.iter().map(|fork| fork.timeline).chain(heard.keys().copied()).max()?;
        let (here, last) = (*heard.get(&to)?, *heard.values().max()?);
        if here < last && now.duration_since(here).as_hours() >= 24 * GIVEN_UP_DAYS {
            return None;
        }
        let (mut through, mut oldest) = (HashMap::new(), to);
        while let Some(first) = forks.iter().find(|fork| fork.timeline == oldest && fork.parent < oldest) {
            if forks.iter().any(|fork| fork.timeline == oldest && (fork.parent, fork.at_lsn) != (first.parent, first.at_lsn)) {
                break;
            }
            through.insert(first.parent, first.at_lsn);
            oldest = first.parent;
        }
        let seen: BTreeSet<Timeline> = forks.iter().flat_map(|fork| [fork.timeline, fork.parent]).chain(heard.into_keys()).collect();
        Some(Way { to, through, oldest, others: seen.len() - 1 })
    }

    fn has(&self, backup: &Backup) -> bool {
        let Some((timeline, stop)) = backup.timeline.zip(backup.stop_lsn) else { return self.others == 0 };
        timeline == self.to || self.through.get(&timeline).is_some_and(|until| stop <= *until)
    }

    fn may_have(&self, backup: &Backup) -> bool {
        backup.timeline.zip(backup.stop_lsn).is_none_or(|(timeline, _)| timeline < self.oldest)
    }
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
                    | Action::BringLog { .. }
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
        let archived = position(|action| matches!(action, Action::WaitForLog { .. })).is_some();
        let brought = position(|action| matches!(action, Action::BringLog { .. })).is_some();
        if physical && (archived, brought) != (policy.wal.is_some(), policy.wal.is_none()) {
            faults.push(LintFault::SkipsLog { job: path.clone() });
        }
    }
}
