use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::claim::{Claim, Rule, claims};
use super::keep::Keep;
use super::lifetime::Firing;
use super::reason::{Defect, DeleteReason, KeepReason, UndecidedReason};
use super::wal::window_bases;
use crate::inventory::{Backup, BackupState, Chains, Hold, Leads, Observed, OwnKeep, SystemIdentifier, Timelines};
use crate::units::{Duration, Instant, Name, Period, Timeline};

/// All that decides what stays in one store.
#[derive(Debug, Clone)]
pub struct RetentionInput<'a> {
    /// Every backup in the store.
    pub backups: Observed<&'a [Backup]>,
    /// Which backups lead to where life goes on.
    pub timelines: &'a Timelines,
    /// How long the backups of each job stay here.
    pub keeps: &'a BTreeMap<Name, Keep>,
    /// The policy's holds and those placed at run time.
    pub holds: Observed<&'a [Hold]>,
    /// The window for recovery to any moment, where this store has the write-ahead log.
    pub wal: Option<&'a WalKeep>,
    /// How long leftovers of a failed run stay.
    pub failed_grace: Duration,
}

/// `wal.keep`: recovery to any moment of the last so long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalKeep {
    pub period: Period,
    pub zone: TimeZone,
}

/// What becomes of one backup, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict<'a> {
    pub backup: &'a Backup,
    /// Complete, and so is all it builds on, and it is not dated in the future.
    pub good: bool,
    pub action: Action,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Stays, for each of these reasons. There is always one.
    Keep(Vec<KeepReason>),
    Delete(DeleteReason),
    /// Stays, because too little is known to delete it.
    Undecided(UndecidedReason),
}

impl Verdict<'_> {
    pub fn is_deletable(&self) -> bool {
        matches!(self.action, Action::Delete(_))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Keep(reasons) => {
                f.write_str("kept: ")?;
                for (at, reason) in reasons.iter().enumerate() {
                    write!(f, "{}{reason}", if at == 0 { "" } else { "; " })?;
                }
                Ok(())
            }
            Action::Delete(reason) => write!(f, "deletable: {reason}"),
            Action::Undecided(reason) => write!(f, "undecided, so kept: {reason}"),
        }
    }
}

/// A verdict for every backup, in their order. Where the backups are unknown there is nothing to judge.
pub fn verdicts<'a>(input: &RetentionInput<'a>, now: Instant) -> Vec<Verdict<'a>> {
    let Observed::Known(backups) = input.backups else { return Vec::new() };
    let mut court = Court::new(input, backups, now);
    court.hear_holds();
    for (job, cluster, lineage) in court.lineages() {
        court.hear_lineage(job, cluster, &lineage);
    }
    court.hear_own_keeps();
    court.hear_window();
    court.pronounce()
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    Good,
    Flawed(Defect),
    Running,
    Failed,
    FutureDated,
}

/// More holds on one backup than these are counted, not named: thousands of holds on thousands of backups are millions.
const NAMED_HOLDS: usize = 10;

/// A timeline that nobody has written to for so long, while another one was, has no newest backup of its own any more.
const FORGOTTEN: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The proceedings: reasons to stay are collected for each backup, and what has none may go.
struct Court<'a, 'i> {
    input: &'i RetentionInput<'a>,
    backups: &'a [Backup],
    now: Instant,
    chains: Chains<'a>,
    standing: Vec<Standing>,
    reasons: Vec<Vec<KeepReason>>,
    /// The way to this timeline may begin with it.
    doubtful: Vec<Option<Timeline>>,
}

impl<'a, 'i> Court<'a, 'i> {
    fn new(input: &'i RetentionInput<'a>, backups: &'a [Backup], now: Instant) -> Self {
        let chains = Chains::of(backups);
        let standing = (0..backups.len()).map(|at| standing(backups, &chains, at, now)).collect();
        Court { input, backups, now, chains, standing, reasons: vec![Vec::new(); backups.len()], doubtful: vec![None; backups.len()] }
    }

    fn hear_holds(&mut self) {
        let Observed::Known(holds) = self.input.holds else { return };
        for hold in holds.iter().filter(|hold| hold.is_active(self.now)) {
            let ids: HashSet<&str> = hold.selects.backups.iter().map(|id| id.as_str()).collect();
            for (backup, reasons) in self.backups.iter().zip(&mut self.reasons) {
                if (ids.is_empty() || ids.contains(backup.id.as_str())) && hold.selects.matches_apart_from_ids(backup) {
                    if let Some(KeepReason::HeldByMore { count }) = reasons.last_mut() {
                        *count = count.saturating_add(1);
                    } else if reasons.len() >= NAMED_HOLDS {
                        reasons.push(KeepReason::HeldByMore { count: 1 });
                    } else {
                        reasons.push(KeepReason::Held { hold: hold.name.clone(), until: hold.until });
                    }
                }
            }
        }
    }

    /// The backups of each job and system identifier, in the order of their stop times.
    fn lineages(&self) -> Vec<(&'a Name, Option<SystemIdentifier>, Vec<usize>)> {
        let mut groups: HashMap<(&'a Name, Option<SystemIdentifier>), Vec<usize>> = HashMap::new();
        for (at, backup) in self.backups.iter().enumerate() {
            groups.entry((&backup.job, backup.system_identifier)).or_default().push(at);
        }
        for group in groups.values_mut() {
            group.sort_by(|&one, &other| self.order(one).cmp(&self.order(other)));
        }
        groups.into_iter().map(|((job, cluster), group)| (job, cluster, group)).collect()
    }

    /// The id only makes the order total; it says nothing about age.
    fn order(&self, at: usize) -> (Instant, Instant, &'a str) {
        let backup = &self.backups[at];
        (backup.moment(), backup.started, backup.id.as_str())
    }

    /// Each timeline that is lived on has a history of its own: what was left behind takes no place in it. What leads to none of them is
    /// judged among all, and so goes when it would have gone.
    fn hear_lineage(&mut self, job: &Name, cluster: Option<SystemIdentifier>, lineage: &[usize]) {
        let since = self.now.checked_sub(FORGOTTEN).unwrap_or(Instant::MIN);
        let timelines = self.input.timelines;
        let mut aside: BTreeSet<usize> = lineage.iter().copied().collect();
        for line in timelines.lines(cluster, since) {
            let backups = self.backups;
            let led = |leads: Leads| lineage.iter().copied().filter(move |&at| line.leads_here(&backups[at]) == leads);
            let surely: Vec<usize> = led(Leads::Surely).collect();
            let perhaps: Vec<usize> = led(Leads::Perhaps).filter(|&at| self.standing[at] == Standing::Good).collect();
            surely.iter().for_each(|at| _ = aside.remove(at));
            if !surely.iter().any(|&at| self.standing[at] == Standing::Good) {
                perhaps.into_iter().for_each(|at| self.doubtful[at] = Some(line.timeline));
            }
            let leads_to = (surely.len() < lineage.len()).then_some(line.timeline);
            self.hear_history(job, &surely, leads_to, &|_| true);
        }
        if !aside.is_empty() {
            self.hear_history(job, lineage, None, &|at| aside.contains(&at));
        }
    }

    /// A reason that is heard twice is one.
    fn note(&mut self, at: usize, reason: KeepReason) {
        if !self.reasons[at].contains(&reason) {
            self.reasons[at].push(reason);
        }
    }

    /// `speaks_of`: about which of them something is said.
    fn hear_history(&mut self, job: &Name, lineage: &[usize], leads_to: Option<Timeline>, speaks_of: &dyn Fn(usize) -> bool) {
        let of_rules = |&at: &usize| self.backups[at].keep.is_none();
        let good: Vec<usize> = lineage.iter().copied().filter(|&at| self.standing[at] == Standing::Good).collect();
        let by_rules: Vec<usize> = good.iter().copied().filter(of_rules).collect();
        let countable = |&at: &usize| matches!(self.standing[at], Standing::Good | Standing::Flawed(_));
        let if_all_were_good: Vec<usize> = lineage.iter().copied().filter(countable).filter(of_rules).collect();

        // The newest that the schedule made, too: one made on demand does not replace it.
        let mut newest = vec![good.last().copied(), by_rules.last().copied()];
        newest.dedup();
        for at in newest.into_iter().flatten().filter(|&at| speaks_of(at)) {
            self.note(at, KeepReason::NewestGood { job: job.clone(), leads_to });
        }
        self.hear_flawed(lineage, good.last().copied(), speaks_of);

        let Some(keep) = self.input.keeps.get(job) else { return };
        if keep.has_no_rule() {
            for at in if_all_were_good.into_iter().filter(|&at| speaks_of(at)) {
                self.note(at, KeepReason::NoRule);
            }
            return;
        }
        self.hear_rules(&by_rules, keep, speaks_of);
        if if_all_were_good.len() > by_rules.len() {
            self.hear_stand_ins(&if_all_were_good, keep, speaks_of);
        }
    }

    fn hear_flawed(&mut self, lineage: &[usize], newest_good: Option<usize>, speaks_of: &dyn Fn(usize) -> bool) {
        for &at in lineage.iter().rev().take_while(|&&at| Some(at) != newest_good).filter(|&&at| speaks_of(at)) {
            if let Standing::Flawed(defect) = &self.standing[at] {
                self.note(at, KeepReason::NothingBetter { defect: defect.clone() });
            }
        }
    }

    fn hear_rules(&mut self, good: &[usize], keep: &Keep, speaks_of: &dyn Fn(usize) -> bool) {
        let now = self.now;
        claims(&self.history(good), keep, |claim| {
            if claim.holds_at(now) && speaks_of(good[claim.at]) {
                self.note(good[claim.at], reason(&claim));
            }
        });
    }

    /// What is flawed is judged in a second history, so that it cannot take the place of what is good.
    fn hear_stand_ins(&mut self, countable: &[usize], keep: &Keep, speaks_of: &dyn Fn(usize) -> bool) {
        let now = self.now;
        claims(&self.history(countable), keep, |claim| {
            let at = countable[claim.at];
            if let (true, Standing::Flawed(defect)) = (claim.holds_at(now) && speaks_of(at), &self.standing[at]) {
                self.note(at, KeepReason::StandsIn { defect: defect.clone(), otherwise: Box::new(reason(&claim)) });
            }
        });
    }

    fn history(&self, group: &[usize]) -> Vec<Firing> {
        group.iter().map(|&at| Firing { started: self.backups[at].started, stopped: self.backups[at].moment() }).collect()
    }

    fn hear_own_keeps(&mut self) {
        for at in 0..self.backups.len() {
            if let (Some(until), Standing::Good | Standing::Flawed(_)) = (self.own_end(at), &self.standing[at])
                && self.now < until
            {
                self.reasons[at].push(KeepReason::OwnKeep { until });
            }
        }
    }

    fn own_end(&self, at: usize) -> Option<Instant> {
        let backup = &self.backups[at];
        let zone = || self.input.keeps.get(&backup.job).map_or(TimeZone::UTC, |keep| keep.zone.clone());
        backup.keep.map(|keep| match keep {
            OwnKeep::Until(until) => until,
            OwnKeep::For(period) => period.after(backup.moment(), &zone()),
        })
    }

    fn hear_window(&mut self) {
        let Some(wal) = self.input.wal else { return };
        let good = |at: usize| self.standing[at] == Standing::Good && self.backups[at].kind.is_physical();
        let bases: Vec<(usize, &Backup)> = self.backups.iter().enumerate().filter(|(at, _)| good(*at)).collect();
        let window = window_bases(&bases, wal, self.input.timelines, self.now);
        for (at, timeline) in window.perhaps {
            self.doubtful[at] = Some(timeline);
        }
        for at in window.current {
            self.reasons[at].push(KeepReason::WindowBase { window_from: window.from });
        }
        for at in window.next {
            self.reasons[at].push(KeepReason::NextWindowBase { window_from: window.from });
        }
    }

    fn pronounce(mut self) -> Vec<Verdict<'a>> {
        let mut actions: Vec<Action> = (0..self.backups.len()).map(|at| self.decide(at)).collect();
        self.spare_parents(&mut actions);
        let verdict = |(at, action)| Verdict { backup: &self.backups[at], good: self.standing[at] == Standing::Good, action };
        actions.into_iter().enumerate().map(verdict).collect()
    }

    fn decide(&mut self, at: usize) -> Action {
        let backup = &self.backups[at];
        let mut reasons = std::mem::take(&mut self.reasons[at]);
        let failed_until = backup.moment().checked_add(self.input.failed_grace.to_signed()).unwrap_or(Instant::MAX);
        match self.standing[at] {
            Standing::Running => reasons.push(KeepReason::Running),
            Standing::FutureDated => reasons.push(KeepReason::FutureDated { moment: backup.moment() }),
            Standing::Failed if self.now < failed_until => reasons.push(KeepReason::FailedLately { until: failed_until }),
            _ => {}
        }
        if !reasons.is_empty() {
            return Action::Keep(reasons);
        }
        if let Some(timeline) = self.doubtful[at] {
            return Action::Undecided(UndecidedReason::UnknownFork { timeline });
        }
        match self.reason_to_delete(at) {
            Err(reason) => Action::Undecided(reason),
            Ok(_) if self.input.holds.known().is_none() => Action::Undecided(self.unknown_holds()),
            Ok(reason) => Action::Delete(reason),
        }
    }

    fn reason_to_delete(&self, at: usize) -> Result<DeleteReason, UndecidedReason> {
        let backup = &self.backups[at];
        let keep = self.input.keeps.get(&backup.job);
        match (&self.standing[at], self.own_end(at), keep) {
            (Standing::Good | Standing::Flawed(_), Some(ended), _) => Ok(DeleteReason::OwnKeepOver { ended }),
            (_, _, None) => Err(UndecidedReason::UnknownJob { job: backup.job.clone() }),
            (Standing::Failed, _, Some(_)) => Ok(DeleteReason::Leftovers { since: backup.moment() }),
            (Standing::Flawed(defect), None, Some(_)) => Ok(DeleteReason::Useless { defect: defect.clone() }),
            (_, _, Some(keep)) => Ok(DeleteReason::Expired { last: keep.last, within: keep.within, tiers: keep.tiers().next().is_some() }),
        }
    }

    fn unknown_holds(&self) -> UndecidedReason {
        let reason = match &self.input.holds {
            Observed::Unknown { reason } => reason.clone(),
            Observed::Known(_) => String::new(),
        };
        UndecidedReason::UnknownHolds { reason }
    }

    /// What stays needs all it builds on. The newest child is named; it is heard first.
    fn spare_parents(&self, actions: &mut [Action]) {
        let stays = |at: usize, action: &Action| !matches!(action, Action::Delete(_)) && self.standing[at] != Standing::Failed;
        let mut children: Vec<usize> =
            (0..actions.len()).filter(|&at| self.chains.parent(at).is_some() && stays(at, &actions[at])).collect();
        children.sort_by(|&one, &other| self.order(other).cmp(&self.order(one)));
        let mut spared = vec![false; actions.len()];
        for child in children {
            let mut link = child;
            while let Some(parent) = self.chains.parent(link).filter(|&parent| !spared[parent]) {
                spared[parent] = true;
                let reason = KeepReason::ParentOf { child: self.backups[link].id.clone() };
                match &mut actions[parent] {
                    Action::Keep(reasons) => reasons.push(reason),
                    Action::Undecided(_) => {}
                    action @ Action::Delete(_) => *action = Action::Keep(vec![reason]),
                }
                link = parent;
            }
        }
    }
}

fn standing(backups: &[Backup], chains: &Chains<'_>, at: usize, now: Instant) -> Standing {
    let backup = &backups[at];
    match backup.state {
        BackupState::Running => Standing::Running,
        _ if backup.started > now || backup.moment() > now => Standing::FutureDated,
        BackupState::Failed => Standing::Failed,
        BackupState::Damaged => Standing::Flawed(Defect::Damaged),
        BackupState::Complete => match chains.broken(at) {
            Some(broken) => Standing::Flawed(Defect::Chain(broken)),
            None => Standing::Good,
        },
    }
}

fn reason(claim: &Claim) -> KeepReason {
    let until = claim.until.unwrap_or(Instant::MAX);
    match claim.rule {
        Rule::Last { place, of } => KeepReason::Last { place, of },
        Rule::Within { period } => KeepReason::Within { period, until },
        Rule::Count { bucket, place, of } => KeepReason::TierCount { bucket, place, of },
        Rule::For { bucket, period } => KeepReason::TierFor { bucket, period, until },
    }
}
