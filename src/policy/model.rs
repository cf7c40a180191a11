//! A policy that cannot be wrong in itself: every name refers to something, every schedule fires, every choice is made.
//!
//! What needs no such making keeps the type it has in the file.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::document::Templates;
use super::file;
use crate::inventory::Hold;
use crate::retention::Keep;
use crate::schedule::{Schedule, Window, Zone};
use crate::units::{Bytes, Duration, Name, Percent, Period, Rate};

/// A whole policy.
#[derive(Debug, Clone)]
pub struct Policy {
    pub name: Name,
    /// SHA-256 over the files it was read from.
    pub digest: String,
    /// The sections that need no resolving: people, mail, hooks, thresholds.
    pub file: Arc<file::PolicyFile>,
    /// The receivers' own words.
    pub templates: Templates,
    pub zone: Zone,
    pub databases: Vec<String>,
    pub hosts: BTreeMap<Name, file::Host>,
    pub objectives: Objectives,
    pub stores: BTreeMap<Name, Store>,
    pub encryption: Option<Encryption>,
    pub wal: Option<Wal>,
    pub backups: BTreeMap<Name, Backup>,
    pub expire: Expire,
    pub verify: BTreeMap<Name, Verify>,
    pub windows: BTreeMap<Name, MaintenanceWindow>,
    pub drills: BTreeMap<Name, Drill>,
    pub archives: Vec<Archive>,
    pub row_holds: BTreeMap<Name, RowHold>,
    pub backup_holds: Vec<Hold>,
    pub duties: BTreeMap<Name, Duty>,
    pub reports: BTreeMap<Name, Report>,
}

#[derive(Debug, Clone)]
pub struct Objectives {
    pub rpo: Option<Duration>,
    pub rto: Option<Duration>,
    pub any_moment: Option<Period>,
    pub some_backup: Option<Period>,
    pub scenarios: BTreeMap<Name, Scenario>,
    pub data: BTreeMap<Name, file::DataTier>,
    pub assume: file::Assume,
}

#[derive(Debug, Clone)]
pub struct Scenario {
    pub recover: file::Recover,
    pub by: Option<file::Procedure>,
    /// The stores that are left; empty: wherever the jobs put their backups first.
    pub from: Vec<Name>,
    /// The jobs that may answer; empty: all that can.
    pub using: Vec<Name>,
    /// Its own objective or the policy's.
    pub rpo: Option<Duration>,
    pub rto: Option<Duration>,
    pub priority: Option<file::Priority>,
    pub severity: Option<file::Sev>,
}

#[derive(Debug, Clone)]
pub struct Store {
    pub kind: StoreKind,
    pub capacity: Option<Bytes>,
    pub upload_limit: Option<Rate>,
    pub immutable: Option<file::Immutable>,
    pub replicated: Option<file::Replicated>,
    pub posture: Option<file::Posture>,
}

#[derive(Debug, Clone)]
pub enum StoreKind {
    Local(file::LocalStore),
    S3(file::S3Store),
    Azure(file::AzureStore),
    Gcs(file::GcsStore),
}

#[derive(Debug, Clone)]
pub enum Encryption {
    Age(file::Age),
    OpenPgp(file::OpenPgp),
    None { because: String },
}

#[derive(Debug, Clone)]
pub struct Wal {
    pub store: Name,
    pub copies: Vec<Name>,
    pub acknowledged_by_all: bool,
    pub timeout: Duration,
    pub keep: Period,
}

/// A backup job.
#[derive(Debug, Clone)]
pub struct Backup {
    pub method: Method,
    pub schedule: Option<Schedule>,
    pub window: Option<Name>,
    /// Where it goes; none for what others keep.
    pub store: Option<Name>,
    pub copies: Vec<CopyTo>,
    /// Without a rule it is kept for ever.
    pub keep: Keep,
    pub read_back: file::ReadBack,
    pub takes: Option<Duration>,
    pub size: Option<Bytes>,
    pub timeout: Option<Duration>,
    pub size_deviation: Option<Percent>,
}

#[derive(Debug, Clone)]
pub enum Method {
    Physical(file::Physical),
    Incremental { of: Name, chain: Option<u16> },
    Logical(file::Logical),
    Tables(file::Tables),
    Files(file::Files),
    Provider(file::Provider),
    Engine(file::Engine),
}

#[derive(Debug, Clone)]
pub struct CopyTo {
    pub store: Name,
    /// Its own rule, or the job's.
    pub keep: Keep,
    /// How long after the backup it is there.
    pub within: Duration,
    /// Only what these tiers keep; empty: everything.
    pub only: Vec<file::TierName>,
}

#[derive(Debug, Clone)]
pub struct Expire {
    pub schedule: Option<Schedule>,
    pub grace: Duration,
    pub brake: Percent,
}

#[derive(Debug, Clone)]
pub struct Verify {
    pub schedule: Schedule,
    pub stores: Vec<Name>,
    pub backups: Vec<Name>,
    pub deep: bool,
    pub host: Option<Name>,
    pub window: Option<Name>,
}

#[derive(Debug, Clone)]
pub struct MaintenanceWindow {
    pub window: Window,
    pub overrun: file::Overrun,
}

#[derive(Debug, Clone)]
pub struct Drill {
    pub restore: DrillRestore,
    pub schedule: Option<Schedule>,
    pub host: Option<Name>,
    pub window: Option<Name>,
    pub rehearses: Option<Name>,
    pub from: Option<Name>,
    pub within: Option<Duration>,
    pub expectations: usize,
    pub timeout: Option<Duration>,
}

#[derive(Debug, Clone)]
pub enum DrillRestore {
    Latest(Name),
    Random(Name),
    PointInTime(file::DrillMoment),
}

/// Old rows that move to a store.
#[derive(Debug, Clone)]
pub struct Archive {
    /// `archive.NAME` or `timescaledb.DB.hypertables.TABLE.archive`.
    pub path: super::path::PolicyPath,
    pub database: String,
    pub table: String,
    pub after: Period,
    pub store: Name,
    pub schedule: Schedule,
    /// How long the table itself keeps its rows, when that is declared.
    pub retain: Option<Period>,
}

#[derive(Debug, Clone)]
pub struct RowHold {
    pub reason: String,
    pub until: Option<file::Date>,
    pub database: String,
    pub table: String,
    pub from: Option<file::Date>,
    pub to: Option<file::Date>,
}

#[derive(Debug, Clone)]
pub struct Duty {
    pub what: String,
    pub who: Name,
    pub schedule: Option<Schedule>,
}

#[derive(Debug, Clone)]
pub struct Report {
    pub schedule: Schedule,
    pub to: Vec<Name>,
}

impl Method {
    /// The word for it, as in the policy.
    pub fn as_str(&self) -> &'static str {
        match self {
            Method::Physical(_) => "physical",
            Method::Incremental { .. } => "incremental",
            Method::Logical(_) => "logical",
            Method::Tables(_) => "tables",
            Method::Files(_) => "files",
            Method::Provider(_) => "provider",
            Method::Engine(_) => "engine",
        }
    }
    /// What it takes: this version does, or only plans.
    pub fn runs_in_this_version(&self) -> bool {
        matches!(self, Method::Physical(_))
    }
    /// Seawall itself writes its backups into a store.
    pub fn is_stored(&self) -> bool {
        !matches!(self, Method::Provider(_) | Method::Engine(_))
    }
    /// A server can be brought back from it and the log.
    pub fn is_physical(&self) -> bool {
        matches!(self, Method::Physical(_) | Method::Incremental { .. })
    }
}

impl StoreKind {
    /// The word for it, as in the policy.
    pub fn as_str(&self) -> &'static str {
        match self {
            StoreKind::Local(_) => "local",
            StoreKind::S3(_) => "s3",
            StoreKind::Azure(_) => "azure",
            StoreKind::Gcs(_) => "gcs",
        }
    }
    /// Where it is, in a form that is equal for equal places.
    pub fn url(&self) -> String {
        let join = |prefix: &Option<String>| prefix.as_deref().map(|prefix| format!("/{}", prefix.trim_matches('/'))).unwrap_or_default();
        let at = |endpoint: &Option<String>| {
            endpoint.as_deref().map(|endpoint| format!("{}/", endpoint.trim_end_matches('/'))).unwrap_or_default()
        };
        match self {
            StoreKind::Local(local) => format!("file://{}", local.path.trim_end_matches('/')),
            StoreKind::S3(s3) => format!("s3://{}{}{}", at(&s3.endpoint), s3.bucket, join(&s3.prefix)),
            StoreKind::Azure(azure) => {
                format!("azure://{}{}/{}{}", at(&azure.endpoint), azure.account, azure.container, join(&azure.prefix))
            }
            StoreKind::Gcs(gcs) => format!("gs://{}{}{}", at(&gcs.endpoint), gcs.bucket, join(&gcs.prefix)),
        }
    }
    /// Its objects must be requested and waited for before they can be read.
    pub fn needs_thaw(&self) -> bool {
        match self {
            StoreKind::S3(s3) => matches!(s3.storage_class, Some(file::S3Class::Glacier | file::S3Class::DeepArchive)),
            StoreKind::Azure(azure) => matches!(azure.tier, Some(file::AzureTier::Archive)),
            StoreKind::Local(_) | StoreKind::Gcs(_) => false,
        }
    }
}

impl Policy {
    /// The full backup job beneath a physical or incremental one.
    pub fn base_of<'p>(&'p self, job: &'p Name) -> &'p Name {
        match self.backups.get(job).map(|backup| &backup.method) {
            Some(Method::Incremental { of, .. }) => of,
            _ => job,
        }
    }

    /// The store a job's backups are first written to.
    pub fn store_of(&self, job: &Name) -> Option<&Name> {
        self.backups.get(job)?.store.as_ref()
    }

    /// All stores that get a job's backups, the first one first.
    pub fn stores_of(&self, job: &Name) -> Vec<&Name> {
        let Some(backup) = self.backups.get(job) else { return Vec::new() };
        backup.store.iter().chain(backup.copies.iter().map(|copy| &copy.store)).collect()
    }

    /// Everything that runs by the clock.
    pub fn timed(&self) -> Vec<Timed<'_>> {
        let mut timed = Vec::new();
        let mut push = |path: super::path::PolicyPath, kind: TimedKind, schedule: &'_ Option<Schedule>, window: Option<&'_ Name>| {
            if let Some(schedule) = schedule {
                timed.push((path, kind, schedule.clone(), window.cloned()));
            }
        };
        for (name, backup) in &self.backups {
            push(["backups", name.as_str()].into(), TimedKind::Backup, &backup.schedule, backup.window.as_ref());
        }
        push(["expire"].into(), TimedKind::Expire, &self.expire.schedule, None);
        for (name, verify) in &self.verify {
            push(["verify", name.as_str()].into(), TimedKind::Verify, &Some(verify.schedule.clone()), verify.window.as_ref());
        }
        for (name, drill) in &self.drills {
            push(["drills", name.as_str()].into(), TimedKind::Drill, &drill.schedule, drill.window.as_ref());
        }
        for archive in &self.archives {
            push(archive.path.clone(), TimedKind::Archive, &Some(archive.schedule.clone()), None);
        }
        for (name, report) in &self.reports {
            push(["reports", name.as_str()].into(), TimedKind::Report, &Some(report.schedule.clone()), None);
        }
        for (name, duty) in &self.duties {
            push(["duties", name.as_str()].into(), TimedKind::Duty, &duty.schedule, None);
        }
        timed
            .into_iter()
            .map(|(path, kind, schedule, window)| Timed {
                path,
                kind,
                schedule,
                window: window.and_then(|name| self.windows.get_key_value(&name)),
            })
            .collect()
    }
}

/// Something that runs by the clock.
#[derive(Debug, Clone)]
pub struct Timed<'p> {
    pub path: super::path::PolicyPath,
    pub kind: TimedKind,
    pub schedule: Schedule,
    pub window: Option<(&'p Name, &'p MaintenanceWindow)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TimedKind {
    Backup,
    Expire,
    Verify,
    Drill,
    Archive,
    Report,
    Duty,
}
