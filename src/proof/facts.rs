//! What the proofs reckon with: how long jobs take, how far apart they are, and where each rule is written.

use std::cell::RefCell;
use std::fmt;

use crate::inventory::{ClusterInventory, Measured};
use crate::policy::file;
use crate::policy::model::{Backup, CopyTo, Method, Policy};
use crate::policy::path::PolicyPath;
use crate::retention::Keep;
use crate::schedule::{Gap, Schedule, Zone};
use crate::units::{Bytes, Duration, Instant, Name, Rate};

pub(super) struct Facts<'p> {
    pub policy: &'p Policy,
    pub now: Instant,
    measured: Option<&'p Measured>,
    cluster_size: Option<Bytes>,
    /// Gaps are the only costly figures, and jobs share schedules.
    gaps: RefCell<Vec<Gaps<'p>>>,
}

struct Gaps<'p> {
    schedule: &'p Schedule,
    longest: Option<Gap>,
    shortest: Option<Gap>,
}

/// How long a job takes, and how that is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Length {
    pub time: Duration,
    basis: Basis,
}

#[derive(Debug, Clone, Copy)]
enum Basis {
    Measured,
    Declared,
    Reckoned { size: Bytes, rate: Rate },
}

/// A retention rule where it is written: a job's own, or that of a copy.
pub(super) struct Rule<'p> {
    pub job: &'p Name,
    pub backup: &'p Backup,
    /// The copy that the rule is for; none for the job's own.
    pub copy: Option<&'p CopyTo>,
    pub keep: &'p Keep,
}

impl<'p> Facts<'p> {
    pub(super) fn new(policy: &'p Policy, inventory: Option<&'p ClusterInventory>, now: Instant) -> Self {
        let measured = inventory.and_then(|inventory| inventory.measured.known());
        let observed = inventory.and_then(|inventory| inventory.cluster_size.known()).map(|size| size.bytes());
        let cluster_size = observed.or(policy.objectives.assume.cluster_size);
        Facts { policy, now, measured, cluster_size, gaps: RefCell::default() }
    }

    pub(super) fn today(&self) -> jiff::civil::Date {
        self.policy.zone.wall_clock(self.now).date()
    }

    /// The jobs that run by the clock.
    pub(super) fn scheduled(&self) -> impl Iterator<Item = (&'p Name, &'p Backup, &'p Schedule)> {
        self.policy.backups.iter().filter_map(|(name, backup)| backup.schedule.as_ref().map(|schedule| (name, backup, schedule)))
    }

    pub(super) fn longest_gap(&self, schedule: &'p Schedule) -> Gap {
        self.remembered(schedule, |known| *known.longest.get_or_insert_with(|| schedule.longest_gap(self.now)))
    }

    pub(super) fn shortest_gap(&self, schedule: &'p Schedule) -> Gap {
        self.remembered(schedule, |known| *known.shortest.get_or_insert_with(|| schedule.shortest_gap(self.now)))
    }

    fn remembered(&self, schedule: &'p Schedule, figure: impl FnOnce(&mut Gaps<'p>) -> Gap) -> Gap {
        let mut gaps = self.gaps.borrow_mut();
        let at = gaps.iter().position(|known| std::ptr::eq(known.schedule, schedule) || known.schedule == schedule);
        let at = at.unwrap_or_else(|| {
            gaps.push(Gaps { schedule, longest: None, shortest: None });
            gaps.len() - 1
        });
        figure(&mut gaps[at])
    }

    /// How long the job takes: measured, or else declared, or else reckoned from its size.
    pub(super) fn length(&self, job: &Name) -> Option<Length> {
        let backup = self.policy.backups.get(job)?;
        if let Some(measured) = self.measured.and_then(|measured| measured.backup_durations.get(job)) {
            return Some(Length { time: measured.value, basis: Basis::Measured });
        }
        if let Some(time) = backup.takes {
            return Some(Length { time, basis: Basis::Declared });
        }
        let (size, rate) = (self.size(backup)?, self.policy.objectives.assume.backup?);
        Some(Length { time: size.at(rate), basis: Basis::Reckoned { size, rate } })
    }

    /// How large one of the job's backups is. A dump is smaller than the cluster it comes from, but nobody knows by how much.
    pub(super) fn size(&self, backup: &Backup) -> Option<Bytes> {
        let whole = matches!(backup.method, Method::Physical(_)).then_some(self.cluster_size).flatten();
        backup.size.or(whole)
    }

    /// How long one segment of the log takes into the store.
    pub(super) fn push(&self) -> Duration {
        let measured = self.measured.and_then(|measured| measured.push.as_ref()).map(|push| push.value);
        measured.or(self.policy.objectives.assume.push).unwrap_or(Duration::ZERO)
    }

    /// Every retention rule there is, each once.
    pub(super) fn rules(&self) -> impl Iterator<Item = Rule<'p>> {
        let policy = self.policy;
        policy.backups.iter().filter(|(_, backup)| backup.method.is_stored()).flat_map(move |(job, backup)| {
            let own = Rule { job, backup, copy: None, keep: &backup.keep };
            let has_own = move |copy: &&CopyTo| match policy.file.backups.get(job).and_then(|written| written.copies.as_ref()) {
                Some(file::Copies::Rules(rules)) => rules.get(&copy.store).is_some_and(|rule| rule.keep.is_some()),
                _ => false,
            };
            let copies = backup.copies.iter().filter(has_own).map(move |copy| Rule { job, backup, copy: Some(copy), keep: &copy.keep });
            std::iter::once(own).chain(copies)
        })
    }
}

impl Rule<'_> {
    pub(super) fn path(&self) -> PolicyPath {
        match self.copy {
            Some(copy) => job(self.job).key("copies").key(&copy.store).key("keep"),
            None => job(self.job).key("keep"),
        }
    }
}

pub(super) fn job(name: &Name) -> PolicyPath {
    PolicyPath::from(["backups", name.as_str()])
}

pub(super) fn store(name: &Name) -> PolicyPath {
    PolicyPath::from(["stores", name.as_str()])
}

/// `2027-03-28 03:30 Europe/Oslo`
pub(super) fn moment(instant: Instant, zone: &Zone) -> String {
    format!("{} {zone}", zone.wall_clock(instant).strftime("%Y-%m-%d %H:%M"))
}

/// `1h 30m`, `41m (measured)`, `42m (500GB at 200MB/s)`
impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.time;
        match self.basis {
            Basis::Measured => write!(f, "{time} (measured)"),
            Basis::Declared => write!(f, "{time}"),
            Basis::Reckoned { size, rate } => write!(f, "{time} ({size} at {rate})"),
        }
    }
}
