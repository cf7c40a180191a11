//! The figures everything is reckoned with: measured, else declared, else a default, and always said which.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::rc::Rc;

use super::outcome::{Basis, Origin, Part, PartKind, WorstCase};
use super::steady;
use crate::inventory::{BackupState, ClusterInventory, Measured, Measurement, Observed};
use crate::policy::file::S3Class;
use crate::policy::model::{Backup, Method, Policy, StoreKind};
use crate::policy::path::PolicyPath;
use crate::schedule::{Gap, Window};
use crate::units::{Bytes, Duration, Instant, Name, Rate};

/// What is reckoned with when nobody has declared or measured anything: key of `objectives.assume`, value.
///
/// Careful ones: a drill that measures better figures is good news. There is no default for a size.
pub const DEFAULTS: [(&str, &str); 13] = [
    ("backup", "100MB/s"),
    ("restore", "100MB/s"),
    ("load", "10MB/s"),
    ("replay", "50MB/s"),
    ("push", "30s"),
    ("assess", "15m"),
    ("provision", "30m"),
    ("thaw", "12h"),
    ("thaw (DEEP_ARCHIVE)", "2d"),
    ("validate", "10m"),
    ("release", "5m"),
    ("promote", "5m"),
    ("standby_lag", "1m"),
];

const MB: u64 = 1_000_000;

/// A figure and its origin.
#[derive(Debug, Clone)]
pub(super) struct Figure<T> {
    pub value: T,
    pub name: String,
    pub origin: Origin,
    pub declared: Option<T>,
}

impl<T: Display + PartialEq> Figure<T> {
    pub fn basis(&self) -> Basis {
        let declared = self.declared.as_ref().filter(|_| !matches!(self.origin, Origin::Declared(_)));
        Basis {
            figure: self.name.clone(),
            value: self.value.to_string(),
            origin: self.origin.clone(),
            declared: declared.map(ToString::to_string),
        }
    }
}

/// What is missing, and the key that would supply it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lack {
    pub reason: String,
    pub key: Option<String>,
}

/// A sum that is made part by part, and what it still lacks.
#[derive(Debug, Clone, Default)]
pub(super) struct Sum {
    pub parts: Vec<Part>,
    pub lacks: Vec<Lack>,
    /// It is of all that holds what is asked for, which is only a part of it, and takes no longer.
    pub at_most: bool,
}

impl Sum {
    /// What is known of the part alone: that nobody has measured how long it takes.
    pub fn of_the_part(&self) -> Sum {
        let reason = "no drill has measured how long it takes to bring back a part of what holds it".to_owned();
        let parts = self.parts.iter().filter(|part| !part.kind.is_rehearsable()).cloned().collect();
        Sum { parts, lacks: vec![Lack { reason, key: None }], at_most: true }
    }

    pub fn add(&mut self, kind: PartKind, label: impl Into<String>, length: Duration, rests_on: Vec<Basis>) {
        let origin = rests_on.iter().map(|basis| &basis.origin).max_by_key(|origin| origin.doubt()).cloned();
        self.parts.push(Part { kind, label: label.into(), length, origin: origin.unwrap_or(Origin::Derived), rests_on });
    }

    pub fn figure(&mut self, kind: PartKind, label: impl Into<String>, figure: &Figure<Duration>) {
        self.add(kind, label, figure.value, vec![figure.basis()]);
    }

    pub fn lack(&mut self, lack: Lack) {
        if !self.lacks.contains(&lack) {
            self.lacks.push(lack);
        }
    }

    pub fn total(&self) -> Duration {
        self.parts.iter().map(|part| part.length).sum()
    }

    /// For choosing the smallest: what is unknown comes last.
    pub fn weight(&self) -> (bool, Duration) {
        (!self.lacks.is_empty(), self.total())
    }

    pub fn into_worst(self) -> WorstCase {
        let total = self.total();
        let Sum { parts, lacks, at_most: _ } = self;
        match lacks.into_iter().next() {
            None => WorstCase::Known { total, parts },
            Some(lack) => WorstCase::Unknown { reason: lack.reason, at_least: total, parts },
        }
    }
}

/// The policy, the measurements, and what is worked out once and asked for often.
pub(super) struct Figures<'p> {
    pub policy: &'p Policy,
    pub cluster: Option<&'p ClusterInventory>,
    pub now: Instant,
    measured: Option<&'p Measured>,
    gaps: RefCell<BTreeMap<&'p Name, Option<Gap>>>,
    sizes: BTreeMap<&'p Name, (Instant, Bytes)>,
    /// Base, store, increments, log.
    pub restores: RefCell<BTreeMap<Restore<'p>, Rc<Sum>>>,
}

type Restore<'p> = (&'p Name, &'p Name, Option<&'p Name>, Option<&'p Name>);

impl<'p> Figures<'p> {
    pub fn new(policy: &'p Policy, cluster: Option<&'p ClusterInventory>, now: Instant) -> Self {
        Self::measured_as(policy, cluster, cluster.and_then(|cluster| cluster.measured.known()), now)
    }

    /// With other measured figures than those of the inventory.
    pub fn measured_as(policy: &'p Policy, cluster: Option<&'p ClusterInventory>, measured: Option<&'p Measured>, now: Instant) -> Self {
        Figures {
            policy,
            cluster,
            now,
            measured,
            gaps: RefCell::default(),
            restores: RefCell::default(),
            sizes: cluster.map(newest_sizes).unwrap_or_default(),
        }
    }

    pub fn job(&self, name: &Name) -> Option<(&'p Name, &'p Backup)> {
        self.policy.backups.get_key_value(name)
    }

    /// The longest time between two runs; none when it runs only on demand.
    pub fn gap(&self, name: &'p Name) -> Option<Gap> {
        *self.gaps.borrow_mut().entry(name).or_insert_with(|| {
            let backup = self.policy.backups.get(name)?;
            let schedule = backup.schedule.as_ref()?;
            let gap = schedule.longest_gap(self.now);
            Some(self.window(backup).map_or(gap, |window| steady::longest_in_window(schedule, window, gap, self.now)))
        })
    }

    /// The window that a job stays inside.
    pub fn window(&self, backup: &Backup) -> Option<&'p Window> {
        self.policy.windows.get(backup.window.as_ref()?).map(|window| &window.window)
    }

    fn pick<T: Copy>(measured: Option<&Measurement<T>>, declared: Option<T>, key: &str, default: T) -> Figure<T> {
        let (value, origin) = match (measured, declared) {
            (Some(measured), _) => (measured.value, measured_origin(measured)),
            (None, Some(declared)) => (declared, Origin::Declared(assumed(key))),
            (None, None) => (default, Origin::Default),
        };
        Figure { value, name: key.to_owned(), origin, declared }
    }

    pub fn push(&self) -> Figure<Duration> {
        let measured = self.measured.and_then(|measured| measured.push.as_ref());
        Self::pick(measured, self.policy.objectives.assume.push, "push", Duration::from_secs(30))
    }
    pub fn assess(&self) -> Figure<Duration> {
        Self::pick(None, self.policy.objectives.assume.assess, "assess", Duration::from_mins(15))
    }
    pub fn provision(&self) -> Figure<Duration> {
        Self::pick(None, self.policy.objectives.assume.provision, "provision", Duration::from_mins(30))
    }
    pub fn validate(&self) -> Figure<Duration> {
        Self::pick(None, self.policy.objectives.assume.validate, "validate", Duration::from_mins(10))
    }
    pub fn release(&self) -> Figure<Duration> {
        Self::pick(None, self.policy.objectives.assume.release, "release", Duration::from_mins(5))
    }
    /// As drills have rehearsed it that are of this scenario, else of none.
    pub fn promote(&self, scenario: Option<&Name>) -> Figure<Duration> {
        let measured = scenario.and_then(|name| self.measured?.rehearsals.get(name));
        Self::pick(measured, self.policy.objectives.assume.promote, "promote", Duration::from_mins(5))
    }
    /// How long what a scenario asks for took in drills that rehearse it.
    pub fn rehearsed(&self, scenario: &Name) -> Option<Figure<Duration>> {
        let measured = self.measured?.rehearsals.get(scenario)?;
        Some(Figure { value: measured.value, name: format!("recovery of {scenario}"), origin: measured_origin(measured), declared: None })
    }
    pub fn standby_lag(&self) -> Figure<Duration> {
        Self::pick(None, self.policy.objectives.assume.standby_lag, "standby_lag", Duration::from_mins(1))
    }
    pub fn backup_rate(&self) -> Figure<Rate> {
        Self::pick(None, self.policy.objectives.assume.backup, "backup", Rate::per_second(100 * MB))
    }
    pub fn load_rate(&self) -> Figure<Rate> {
        let measured = self.measured.and_then(|measured| measured.load.as_ref());
        Self::pick(measured, self.policy.objectives.assume.load, "load", Rate::per_second(10 * MB))
    }
    pub fn replay_rate(&self) -> Figure<Rate> {
        let measured = self.measured.and_then(|measured| measured.replay.as_ref());
        Self::pick(measured, self.policy.objectives.assume.replay, "replay", Rate::per_second(50 * MB))
    }

    /// Fetching and unpacking go on at the same time, so the slower of the two counts. What came out of other stores says how fast this host
    /// unpacks, and nothing of how fast this store gives.
    pub fn restore_rate(&self, store: &Name) -> Figure<Rate> {
        let picked = |measured| Self::pick(measured, self.policy.objectives.assume.restore, "restore", Rate::per_second(100 * MB));
        let restore = picked(self.measured.and_then(|measured| measured.restore.as_ref()));
        let fetch = self.measured.map(|measured| &measured.fetch).filter(|fetch| !fetch.is_empty());
        match fetch.map(|fetch| fetch.get(store)) {
            Some(None) if picked(None).value <= restore.value => picked(None),
            Some(None) => Figure { name: format!("restore from others than {store}"), origin: Origin::Derived, ..restore },
            Some(Some(fetch)) if fetch.value < restore.value => Figure {
                value: fetch.value,
                name: format!("fetch from {store}"),
                origin: measured_origin(fetch),
                declared: restore.declared,
            },
            _ => restore,
        }
    }

    /// The wait for an archive class, when the store has one.
    pub fn thaw(&self, store: &Name) -> Option<Figure<Duration>> {
        let kind = &self.policy.stores.get(store)?.kind;
        let deep = matches!(kind, StoreKind::S3(s3) if s3.storage_class == Some(S3Class::DeepArchive));
        let default = Duration::from_hours(if deep { 48 } else { 12 });
        kind.needs_thaw().then(|| Self::pick(None, self.policy.objectives.assume.thaw, "thaw", default))
    }

    pub fn cluster_size(&self) -> Result<Figure<Bytes>, Lack> {
        let declared = self.policy.objectives.assume.cluster_size;
        let name = || "cluster_size".to_owned();
        if let Some(size) = self.cluster.and_then(|cluster| cluster.cluster_size.known()) {
            return Ok(Figure { value: size.bytes(), name: name(), origin: Origin::Observed, declared });
        }
        match declared {
            Some(value) => Ok(Figure { value, name: name(), origin: Origin::Declared(assumed("cluster_size")), declared }),
            None => {
                Err(Lack { reason: "nobody has said how large the cluster is".into(), key: Some("objectives.assume.cluster_size".into()) })
            }
        }
    }

    pub fn wal_per_hour(&self) -> Result<Figure<Bytes>, Lack> {
        let declared = self.policy.objectives.assume.wal_per_hour;
        let name = || "wal_per_hour".to_owned();
        if let Some(measured) = self.measured.and_then(|measured| measured.wal_per_hour.as_ref()) {
            return Ok(Figure { value: measured.value.bytes(), name: name(), origin: measured_origin(measured), declared });
        }
        match declared {
            Some(value) => Ok(Figure { value, name: name(), origin: Origin::Declared(assumed("wal_per_hour")), declared }),
            None => Err(Lack {
                reason: "nobody has said how much log is written in an hour".into(),
                key: Some("objectives.assume.wal_per_hour".into()),
            }),
        }
    }

    /// How large one backup of a job is: its newest one, what the job declares, or for a copy of everything the cluster.
    pub fn size(&self, job: &Name) -> Result<Figure<Bytes>, Lack> {
        let lack =
            || Lack { reason: format!("nobody has said how large a backup of `{job}` is"), key: Some(format!("backups.{job}.size")) };
        let (_, backup) = self.job(job).ok_or_else(lack)?;
        let (name, declared) = (format!("size of {job}"), backup.size);
        if let Some((at, value)) = self.sizes.get(job) {
            let origin = Origin::Measured { at: *at, how: crate::inventory::HowMeasured::Run, samples: None };
            return Ok(Figure { value: *value, name, origin, declared });
        }
        if let Some(measured) = self.measured.and_then(|measured| measured.sizes.get(job)) {
            return Ok(Figure { value: measured.value.bytes(), name, origin: measured_origin(measured), declared });
        }
        if let Some(value) = declared {
            return Ok(Figure { value, name, origin: Origin::Declared(job_path(job, "size")), declared });
        }
        match backup.method {
            Method::Physical(_) | Method::Logical(_) => self.cluster_size(),
            _ => Err(lack()),
        }
    }

    /// How long a backup takes.
    pub fn takes(&self, job: &Name) -> Result<(Duration, Vec<Basis>), Lack> {
        let lack = || Lack { reason: format!("nobody has said how long `{job}` takes"), key: Some(format!("backups.{job}.takes")) };
        let (_, backup) = self.job(job).ok_or_else(lack)?;
        let name = || format!("duration of {job}");
        if let Some(measured) = self.measured.and_then(|measured| measured.backup_durations.get(job)) {
            let figure = Figure { value: measured.value, name: name(), origin: measured_origin(measured), declared: backup.takes };
            return Ok((figure.value, vec![figure.basis()]));
        }
        if let Some(value) = backup.takes {
            let figure = Figure { value, name: name(), origin: Origin::Declared(job_path(job, "takes")), declared: backup.takes };
            return Ok((value, vec![figure.basis()]));
        }
        // An increment reads at most the whole cluster.
        let size = self.size(job).or_else(|_| if backup.method.is_physical() { self.cluster_size() } else { Err(lack()) });
        let (size, rate) = (size.map_err(|_| lack())?, self.backup_rate());
        Ok((size.value.at(rate.value), vec![size.basis(), rate.basis()]))
    }
}

fn assumed(key: &str) -> PolicyPath {
    ["objectives", "assume", key].into()
}

fn job_path(job: &Name, key: &str) -> PolicyPath {
    ["backups", job.as_str(), key].into()
}

fn measured_origin<T>(measured: &Measurement<T>) -> Origin {
    Origin::Measured { at: measured.at, how: measured.how, samples: measured.samples }
}

fn newest_sizes(cluster: &ClusterInventory) -> BTreeMap<&Name, (Instant, Bytes)> {
    let mut sizes: BTreeMap<&Name, (Instant, Bytes)> = BTreeMap::new();
    for store in cluster.stores.values().filter_map(Observed::known) {
        for backup in store.backups.iter().filter(|backup| backup.state == BackupState::Complete) {
            let Some(size) = backup.size else { continue };
            let entry = sizes.entry(&backup.job).or_insert((backup.moment(), size.bytes()));
            if entry.0 < backup.moment() {
                *entry = (backup.moment(), size.bytes());
            }
        }
    }
    sizes
}
