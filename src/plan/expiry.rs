//! What one run of `expire` does with the backups of one store, decided from verdicts, marks and pins before anything is touched.
//!
//! Two phases: what no rule wants is marked, and what has been marked for the grace period *and is still not wanted* is deleted.
//! What is wanted again loses its mark. What nothing can be said of is left alone, and its mark, if it has one, is taken off: it
//! starts anew.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;

use super::copies::Awaited;
use crate::inventory::{Backup, BackupState};
use crate::retention::{Action, Keep, Verdict};
use crate::units::{BackupId, Duration, Instant, Name, Percent};

/// What a store says of a tombstone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// When it was put, by the store's clock.
    pub at: Instant,
    /// Somebody had said that so many may go at once.
    pub acknowledged: bool,
}

/// By what it is decided, beside the verdicts.
#[derive(Debug)]
pub struct ExpiryTerms<'a> {
    /// Of each backup that is marked.
    pub marks: &'a BTreeMap<BackupId, Mark>,
    /// What is being restored.
    pub pinned: &'a BTreeSet<BackupId>,
    /// What a copy is to have first.
    pub awaited: &'a BTreeMap<BackupId, Awaited>,
    /// How long the backups of each job stay here.
    pub keeps: &'a BTreeMap<Name, Keep>,
    pub grace: Duration,
    pub brake: Percent,
    /// Somebody says that so many may go at once.
    pub acknowledged: bool,
    /// By the store's clock.
    pub now: Instant,
}

/// What one run does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expiry {
    pub mark: Vec<Doomed>,
    pub unmark: Vec<Spared>,
    /// In this order: what builds on something goes before it.
    pub delete: Vec<Doomed>,
    /// What failed runs left behind, past its grace. No backups: they are neither marked nor counted.
    pub leftovers: Vec<Doomed>,
    pub waiting: Vec<Waiting>,
    pub braked: Option<Brake>,
}

/// A backup that goes, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doomed {
    pub id: BackupId,
    pub job: Name,
    pub parent: Option<BackupId>,
    pub reason: String,
    /// As its descriptor says it.
    pub bytes: u64,
}

/// A backup that was marked and stays after all, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spared {
    pub id: BackupId,
    pub job: Name,
    pub reason: String,
}

/// A backup that no rule wants and that is not deleted yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    pub doomed: Doomed,
    pub why: WhyWaiting,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhyWaiting {
    /// Marked, and the grace period is not over.
    Grace {
        until: Instant,
    },
    /// It is being restored.
    Pinned,
    /// A copy is to have it first.
    Copy(Awaited),
    /// What builds on it is still there.
    Child(BackupId),
    Braked,
    /// A reviewed plan is carried out, and it is not in it.
    NotNamed,
}

impl Expiry {
    /// Which backups would go now, or would but for the brake, a restore or a child.
    pub fn ripe(&self) -> BTreeSet<&BackupId> {
        let would = |waiting: &&Waiting| matches!(waiting.why, WhyWaiting::Pinned | WhyWaiting::Child(_) | WhyWaiting::Braked);
        self.delete.iter().chain(self.waiting.iter().filter(would).map(|waiting| &waiting.doomed)).map(|doomed| &doomed.id).collect()
    }
}

impl WhyWaiting {
    /// When it is over, where that is known.
    pub fn until(&self) -> Option<Instant> {
        if let WhyWaiting::Grace { until } = self { Some(*until) } else { None }
    }
}

impl fmt::Display for WhyWaiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WhyWaiting::Grace { until } => write!(f, "marked; it goes at {}", until.strftime("%Y-%m-%dT%H:%M:%SZ")),
            WhyWaiting::Pinned => f.write_str("it is being restored"),
            WhyWaiting::Copy(awaited) => awaited.fmt(f),
            WhyWaiting::Child(id) => write!(f, "{id} builds on it and is still there"),
            WhyWaiting::Braked => f.write_str("the brake is on"),
            WhyWaiting::NotNamed => f.write_str("the reviewed plan does not name it"),
        }
    }
}

/// More would go at once than the policy allows without a word from somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Brake {
    pub would: usize,
    pub of: usize,
    pub limit: Percent,
    /// They would be marked; otherwise deleted.
    pub marking: bool,
}

impl fmt::Display for Brake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.marking { "marked as expired" } else { "deleted" };
        write!(f, "{} of {} backups would be {what} at once, and `expire.brake` is {}", self.would, self.of, self.limit)
    }
}

/// Decides one run over one store.
pub fn expiry<'a>(verdicts: &[Verdict<'a>], terms: &ExpiryTerms<'a>) -> Expiry {
    let mut run = Expiry::default();
    let mut ripe = Vec::new();
    for verdict in verdicts {
        let id = &verdict.backup.id;
        match (&verdict.action, terms.marks.get(id)) {
            (Action::Delete(_), _) if verdict.backup.state == BackupState::Failed => run.leftovers.push(doomed(verdict)),
            // Without a descriptor there is nothing to mark or to spare; a tombstone may be left of a deletion that broke off.
            _ if matches!(verdict.backup.state, BackupState::Failed | BackupState::Running) => {}
            (Action::Delete(_), None) => run.mark.push(doomed(verdict)),
            (Action::Delete(_), Some(mark)) => match (until(mark, terms), terms.awaited.get(id)) {
                (None, None) => ripe.push((doomed(verdict), mark.acknowledged)),
                (None, Some(awaited)) => {
                    run.waiting.push(Waiting { doomed: doomed(verdict), why: WhyWaiting::Copy(awaited.clone()) });
                }
                (Some(until), _) => run.waiting.push(Waiting { doomed: doomed(verdict), why: WhyWaiting::Grace { until } }),
            },
            (Action::Keep(_) | Action::Undecided(_), Some(_)) => {
                run.unmark.push(Spared { id: id.clone(), job: verdict.backup.job.clone(), reason: verdict.action.to_string() });
            }
            (Action::Keep(_) | Action::Undecided(_), None) => {}
        }
    }
    let brake = Limit::of(verdicts, terms);
    let unacknowledged: Vec<&Doomed> = ripe.iter().filter(|(_, acknowledged)| !acknowledged).map(|(doomed, _)| doomed).collect();
    run.braked = match terms.acknowledged {
        true => None,
        false => brake.exceeded(&run.mark.iter().collect::<Vec<_>>(), true).or_else(|| brake.exceeded(&unacknowledged, false)),
    };
    let ripe: Vec<Doomed> = ripe.into_iter().map(|(doomed, _)| doomed).collect();
    if run.braked.is_some() {
        // Something is not as it was. Nothing more goes before somebody has looked, also what was due.
        let stopped = run.mark.drain(..).chain(ripe).map(|doomed| Waiting { doomed, why: WhyWaiting::Braked });
        run.waiting.extend(stopped);
    } else {
        in_order(verdicts, ripe, terms.pinned, &mut run);
    }
    run
}

fn doomed(verdict: &Verdict<'_>) -> Doomed {
    let Backup { id, job, parent, stored_size, .. } = verdict.backup;
    let reason = match &verdict.action {
        Action::Delete(reason) => reason.to_string(),
        other => other.to_string(),
    };
    let bytes = stored_size.map_or(0, |size| size.bytes().get());
    Doomed { id: id.clone(), job: job.clone(), parent: parent.clone(), reason, bytes }
}

/// Until when its grace period lasts, if it does. A mark from a time that is still to come is not old.
fn until(mark: &Mark, terms: &ExpiryTerms<'_>) -> Option<Instant> {
    let until = mark.at.checked_add(terms.grace.to_signed()).unwrap_or(Instant::MAX);
    (terms.now < until).then_some(until)
}

/// Children before parents. A parent goes only when all that builds on it goes before.
fn in_order(verdicts: &[Verdict<'_>], ripe: Vec<Doomed>, pinned: &BTreeSet<BackupId>, run: &mut Expiry) {
    let mut children: HashMap<&BackupId, BTreeSet<&BackupId>> = HashMap::new();
    for backup in verdicts.iter().map(|verdict| verdict.backup).filter(|backup| has_descriptor(backup)) {
        if let Some(parent) = &backup.parent {
            children.entry(parent).or_default().insert(&backup.id);
        }
    }
    let (held, free): (Vec<Doomed>, Vec<Doomed>) = ripe.into_iter().partition(|doomed| pinned.contains(&doomed.id));
    run.waiting.extend(held.into_iter().map(|doomed| Waiting { doomed, why: WhyWaiting::Pinned }));
    let has_children =
        |doomed: &Doomed, children: &HashMap<&BackupId, BTreeSet<&BackupId>>| children.get(&doomed.id).is_some_and(|left| !left.is_empty());
    let mut parents: HashMap<BackupId, Doomed> = HashMap::new();
    let mut next: Vec<Doomed> = Vec::new();
    for doomed in free {
        if has_children(&doomed, &children) {
            parents.insert(doomed.id.clone(), doomed);
        } else {
            next.push(doomed);
        }
    }
    next.reverse();
    while let Some(doomed) = next.pop() {
        if let Some(parent) = &doomed.parent
            && let Some(left) = children.get_mut(parent)
        {
            left.remove(&doomed.id);
            if left.is_empty() {
                next.extend(parents.remove(parent));
            }
        }
        run.delete.push(doomed);
    }
    let mut held: Vec<Doomed> = parents.into_values().collect();
    held.sort_by(|one, other| one.id.cmp(&other.id));
    for doomed in held {
        let child = children.get(&doomed.id).and_then(|left| left.first()).map_or_else(|| doomed.id.clone(), |id| (*id).clone());
        run.waiting.push(Waiting { doomed, why: WhyWaiting::Child(child) });
    }
}

fn has_descriptor(backup: &Backup) -> bool {
    matches!(backup.state, BackupState::Complete | BackupState::Damaged)
}

/// The brake. A share alone would stop the ordinary course of small stores: with `last: 3` every night's run deletes a quarter, and on
/// the first of a month the day's, the week's and the month's oldest go together. One new backup takes the place of at most one in
/// each rule. So of each job as many may always go as its `keep` has rules, each with all that builds on it; what comes beyond
/// is measured by the share.
struct Limit<'a> {
    chain_of: HashMap<&'a BackupId, &'a BackupId>,
    keeps: &'a BTreeMap<Name, Keep>,
    of: usize,
    limit: Percent,
}

impl<'a> Limit<'a> {
    fn of(verdicts: &[Verdict<'a>], terms: &ExpiryTerms<'a>) -> Limit<'a> {
        let parents: HashMap<&BackupId, &BackupId> =
            verdicts.iter().filter_map(|verdict| Some((&verdict.backup.id, verdict.backup.parent.as_ref()?))).collect();
        let mut chain_of: HashMap<&BackupId, &BackupId> = HashMap::new();
        for verdict in verdicts {
            let (mut path, mut link) = (Vec::new(), &verdict.backup.id);
            let root = loop {
                match (chain_of.get(link), parents.get(link)) {
                    (Some(root), _) => break *root,
                    // Longer than there are backups: a circle.
                    (None, Some(parent)) if path.len() <= verdicts.len() => {
                        path.push(link);
                        link = parent;
                    }
                    _ => break link,
                }
            };
            path.push(link);
            chain_of.extend(path.into_iter().map(|link| (link, root)));
        }
        let of = verdicts.iter().filter(|verdict| has_descriptor(verdict.backup)).count();
        Limit { chain_of, keeps: terms.keeps, of, limit: terms.brake }
    }

    fn exceeded(&self, going: &[&Doomed], marking: bool) -> Option<Brake> {
        let mut chains: HashMap<&Name, HashSet<&BackupId>> = HashMap::new();
        for doomed in going {
            chains.entry(&doomed.job).or_default().insert(self.chain_of.get(&doomed.id).copied().unwrap_or(&doomed.id));
        }
        let unusual = chains.iter().any(|(job, chains)| chains.len() > self.rules(job));
        // In thousandths on both sides, so that no rounding decides.
        let beyond = going.len() as u64 * 1000 > self.of as u64 * u64::from(self.limit.tenths());
        (unusual && beyond).then_some(Brake { would: going.len(), of: self.of, limit: self.limit, marking })
    }

    fn rules(&self, job: &Name) -> usize {
        let rules = |keep: &Keep| keep.tiers().count() + usize::from(keep.last.is_some()) + usize::from(keep.within.is_some());
        self.keeps.get(job).map_or(0, rules).max(1)
    }
}

#[cfg(test)]
#[path = "expiry_tests.rs"]
mod tests;
