//! A policy that cannot be wrong in itself: every name refers to something, every schedule fires, every choice is made.
//!
//! What needs no such making keeps the type it has in the file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::document::Templates;
use super::file;
use crate::inventory::{self, BackupKind, Hold, HoldEntry, Scope, TableName};
use crate::retention::{Keep, TierClasses, TierKind};
use crate::schedule::{Patience, Schedule, Window, Zone};
use crate::units::StorageClass;
use crate::units::{Bytes, ClassFamily, Decimal, Duration, Instant, Name, Percent, Period, Rate};

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
    pub droppings: Vec<Dropping>,
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

impl Encryption {
    pub fn is_sealed(&self) -> bool {
        !matches!(self, Encryption::None { .. })
    }

    /// Its word in the language.
    pub fn word(&self) -> &'static str {
        match self {
            Encryption::Age(_) => "age",
            Encryption::OpenPgp(_) => "openpgp",
            Encryption::None { .. } => "none",
        }
    }

    /// As they are written.
    pub fn recipients(&self) -> &[String] {
        match self {
            Encryption::Age(age) => &age.recipients,
            Encryption::OpenPgp(pgp) => &pgp.recipients,
            Encryption::None { .. } => &[],
        }
    }

    pub fn identity(&self) -> Option<&file::Secret> {
        match self {
            Encryption::Age(age) => age.identity.as_ref(),
            Encryption::OpenPgp(pgp) => pgp.identity.as_ref(),
            Encryption::None { .. } => None,
        }
    }

    pub fn passphrase(&self) -> Option<&file::Secret> {
        match self {
            Encryption::Age(age) => age.passphrase.as_ref(),
            Encryption::OpenPgp(pgp) => pgp.passphrase.as_ref(),
            Encryption::None { .. } => None,
        }
    }
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
    /// In `store`.
    pub classes: TierClasses,
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
    pub classes: TierClasses,
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
    /// What it proves: SHA-256 over what the policy says of that.
    pub definition: String,
    pub restore: DrillRestore,
    /// Only these tables of it.
    pub tables: Option<DrilledTables>,
    /// One database of it, tier by tier.
    pub tiers: Option<DrilledTiers>,
    pub schedule: Option<Schedule>,
    pub host: Option<Name>,
    pub window: Option<Name>,
    pub rehearses: Option<Name>,
    pub from: Option<Name>,
    pub within: Option<Duration>,
    pub directory: Option<String>,
    pub expectations: BTreeMap<Name, Expectation>,
    /// The application's own tests.
    pub run: Option<file::Command>,
    /// The copy is a standby whose promotion is rehearsed.
    pub promote: Option<file::Rehearsal>,
    pub timeout: Option<Duration>,
}

impl Scenario {
    /// Of what holds it only some is asked for: how long all of that takes is no answer.
    pub fn is_a_part(&self) -> bool {
        matches!(self.recover, file::Recover::Table | file::Recover::Rows)
    }
}

impl Objectives {
    /// What comes before a recovery and nobody can rehearse, as far as the policy says: seeing that something is wrong, and a server to restore
    /// onto. A standby that is promoted is one.
    pub fn before_a_recovery(&self, by: Option<file::Procedure>) -> Duration {
        let provision = self.assume.provision.filter(|_| by != Some(file::Procedure::PromoteStandby));
        self.assume.assess.unwrap_or_default() + provision.unwrap_or_default()
    }
}

impl Policy {
    /// The database in which a tier of data lies; none where every database has a part of it.
    pub fn database_of_tier(&self, name: &Name) -> Option<&String> {
        let tier = self.objectives.data.get(name)?;
        let only = (self.databases.len() == 1).then(|| self.databases.first()).flatten();
        tier.database.as_ref().or(only.filter(|_| tier.tables.is_some()))
    }

    /// How long it may take until a tier of data is usable, without what nobody can rehearse.
    pub fn left_of_tier(&self, name: &Name) -> Option<Duration> {
        Some(self.objectives.data.get(name)?.rto.saturating_sub(self.objectives.before_a_recovery(None)))
    }
}

impl Drill {
    /// The first Monday of a quarter can be 98 days after the one before. What no drill has shown for longer is only believed.
    pub const A_QUARTER: Duration = Duration::from_days(98);

    /// The scenario that it rehearses.
    pub fn scenario<'p>(&self, policy: &'p Policy) -> Option<(&'p Name, &'p Scenario)> {
        policy.objectives.scenarios.get_key_value(self.rehearses.as_ref()?)
    }

    /// What it does is what that scenario is answered by.
    pub fn promotes_for(&self, scenario: &Scenario) -> bool {
        self.promote.is_some() && scenario.by == Some(file::Procedure::PromoteStandby)
    }

    /// How long its recovery may take by the objective of the scenario that it rehearses: without what nobody can rehearse, which is seeing that
    /// something is wrong, and a server to restore onto.
    pub fn left_of_scenario(&self, policy: &Policy) -> Option<(Name, Duration)> {
        let (name, scenario) = self.scenario(policy).filter(|(_, scenario)| !self.promotes_for(scenario))?;
        Some((name.clone(), scenario.rto?.saturating_sub(policy.objectives.before_a_recovery(scenario.by))))
    }

    /// It brings back every database with all that is in it, and so says how long a recovery of everything takes.
    pub fn restores_everything(&self, policy: &Policy) -> bool {
        match &self.restore {
            // Tier by tier all of it takes longer than at once.
            _ if self.tables.is_some() || self.tiers.is_some() => false,
            DrillRestore::Latest(job) | DrillRestore::Random(job) => {
                policy.backups.get(job).is_some_and(|backup| policy.has_every_database(&backup.method))
            }
            DrillRestore::PointInTime(_) => true,
        }
    }

    /// The databases that it brings back with all that is in them, where those are not every one.
    pub fn databases<'p>(&'p self, policy: &'p Policy) -> Option<&'p [String]> {
        if let Some(tiers) = &self.tiers {
            return (policy.known_databases().len() > 1).then(|| std::slice::from_ref(&tiers.database));
        }
        let method = &policy.backups.get(self.dump(policy)?)?.method;
        if method.has_all() && !policy.has_every_database(method) { policy.dumped(method) } else { None }
    }

    /// The tiers of data of which it says when they are usable: whatever comes first, all of that database come in the end.
    pub fn measures(&self, policy: &Policy) -> Vec<Name> {
        let Some(DrilledTiers { database, .. }) = &self.tiers else { return Vec::new() };
        policy.objectives.data.keys().filter(|name| policy.database_of_tier(name).is_none_or(|of| of == database)).cloned().collect()
    }

    /// What it restores is restored by this version.
    pub fn runs_in_this_version(&self, policy: &Policy) -> bool {
        match &self.restore {
            DrillRestore::Latest(job) | DrillRestore::Random(job) => {
                let is_one = |method: &Method| method.is_physical() || method.is_dumped() || matches!(method, Method::Files(_));
                policy.backups.get(job).is_some_and(|backup| is_one(&backup.method))
            }
            DrillRestore::PointInTime(_) => true,
        }
    }

    /// The job whose dumps it restores, of databases or of tables.
    pub fn dump(&self, policy: &Policy) -> Option<&Name> {
        self.job_of(policy, Method::is_dumped)
    }

    /// The job whose copies of files it restores.
    pub fn files(&self, policy: &Policy) -> Option<&Name> {
        self.job_of(policy, |method| matches!(method, Method::Files(_)))
    }

    fn job_of(&self, policy: &Policy, is_one: impl FnOnce(&Method) -> bool) -> Option<&Name> {
        let (DrillRestore::Latest(job) | DrillRestore::Random(job)) = &self.restore else { return None };
        policy.backups.get(job).is_some_and(|backup| is_one(&backup.method)).then_some(job)
    }
}

/// What must be true of a restored database.
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    pub what: Expecting,
    pub timeout: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Expecting {
    /// What a query finds.
    Query { sql: String, database: String, comparison: Comparison },
    /// What Seawall looks at by itself; without a database in every one of them.
    Check { check: file::Check, database: Option<String> },
}

#[derive(Debug, Clone, PartialEq)]
pub enum Comparison {
    Is(file::Value),
    /// At least one of them is there.
    Range {
        least: Option<Decimal>,
        most: Option<Decimal>,
    },
    NoRows,
    SomeRows,
    /// Exactly these, in whatever order.
    Rows(Vec<Vec<file::Value>>),
    NewerThan(Duration),
    LikeSource(Percent),
}

/// Tables that a drill takes out of a physical backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrilledTables {
    pub database: String,
    /// As they are, neither quoted nor folded.
    pub tables: Vec<TableName>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrilledTiers {
    pub database: String,
    /// Those that come first, in their order.
    pub tiers: Vec<Name>,
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
    /// The column that says how old a row is; that of a hypertable is its own.
    pub column: Option<String>,
    pub formats: Vec<file::ArchiveFormat>,
    /// How long the rows stay in the store.
    pub keep: Option<Period>,
}

/// Rows that leave a hypertable or a continuous aggregate by their age, taken out by Seawall: the database's own job would not see a hold.
#[derive(Debug, Clone)]
pub struct Dropping {
    /// `timescaledb.DB.hypertables.TABLE.retain`, or `continuous_aggregates` there.
    pub path: super::path::PolicyPath,
    pub database: String,
    pub table: String,
    pub after: Period,
    pub schedule: Schedule,
    /// Also while no hold stands on rows of it.
    pub always: bool,
}

#[derive(Debug, Clone)]
pub struct RowHold {
    pub reason: String,
    pub until: Option<file::Date>,
    pub database: String,
    pub table: String,
    pub from: Option<file::Date>,
    pub to: Option<file::Date>,
    /// Which rows, in SQL.
    pub condition: Option<String>,
}

impl RowHold {
    /// `until` is the first day on which it no longer stands.
    pub fn stands_on(&self, day: jiff::civil::Date) -> bool {
        self.until.is_none_or(|until| day < until.0)
    }

    /// When it no longer stands. A date beyond all calendars has not come.
    pub fn ends(&self, zone: &TimeZone) -> Option<Instant> {
        beginning(self.until?, zone)
    }

    /// It still stands when the first of its rows has reached this age. None: they go by something else, and nobody knows when.
    pub fn is_cut(&self, after: Option<Period>, zone: &TimeZone, now: Instant) -> bool {
        let Some(until) = self.ends(zone) else { return true };
        let first = self.from.and_then(|date| beginning(date, zone));
        let gone = first.zip(after).map_or(now, |(first, after)| after.after(first, zone).max(now));
        gone < until
    }
}

fn beginning(date: file::Date, zone: &TimeZone) -> Option<Instant> {
    date.0.to_zoned(zone.clone()).ok().map(|start| start.timestamp())
}

/// A hold of another policy, as the database shows it.
#[derive(Debug, Clone)]
pub struct OtherHold {
    pub policy: String,
    pub name: String,
    pub hold: RowHold,
    pub zone: Zone,
}

impl OtherHold {
    /// A day that cannot be read limits nothing, and neither does anything in a time zone that nobody knows.
    pub fn shown(database: &str, policy: &str, entry: &HoldEntry) -> OtherHold {
        let zone = Zone::named(&entry.zone).ok();
        let day = |text: &Option<String>| zone.as_ref().and(text.as_ref()).and_then(|text| text.parse().ok()).map(file::Date);
        let hold = RowHold {
            reason: entry.reason.clone(),
            until: day(&entry.until),
            database: database.to_owned(),
            table: entry.of.clone(),
            from: day(&entry.rows_from),
            to: day(&entry.rows_to),
            condition: zone.as_ref().and(entry.condition.clone()),
        };
        OtherHold { policy: policy.to_owned(), name: entry.name.clone(), hold, zone: zone.unwrap_or_else(Zone::utc) }
    }
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
        matches!(self, Method::Physical(_) | Method::Logical(_) | Method::Tables(_) | Method::Files(_))
    }
    /// Seawall itself writes its backups into a store.
    pub fn is_stored(&self) -> bool {
        !matches!(self, Method::Provider(_) | Method::Engine(_))
    }
    /// A server can be brought back from it and the log.
    pub fn is_physical(&self) -> bool {
        matches!(self, Method::Physical(_) | Method::Incremental { .. })
    }

    /// Databases can be brought back from it with all that is in them.
    pub fn has_all(&self) -> bool {
        self.is_physical() || matches!(self, Method::Logical(logical) if !logical.is_partial())
    }

    /// Databases, or tables of one, as of a snapshot.
    pub fn is_dumped(&self) -> bool {
        matches!(self, Method::Logical(_) | Method::Tables(_))
    }
}

impl Backup {
    /// The provider or the other tool takes it, and Seawall only knows of it.
    pub fn is_taken_by_others(&self) -> bool {
        match &self.method {
            Method::Provider(_) => true,
            Method::Engine(engine) => match engine.mode {
                Some(mode) => mode == file::EngineMode::Watch,
                None => self.schedule.is_none(),
            },
            _ => false,
        }
    }

    /// By the policy it runs by the clock; by this version it does not.
    pub fn is_only_planned(&self) -> bool {
        self.schedule.is_some() && !self.method.runs_in_this_version() && !self.is_taken_by_others()
    }
}

impl CopyTo {
    /// Of the tiers that are copied, the one that lets the most through: what the copy's own rule does not keep gets there by none.
    pub fn finest_tier(&self) -> Option<TierKind> {
        self.only.iter().map(|tier| TierKind::from(*tier)).filter(|tier| self.has_tier(*tier)).min()
    }

    /// Only tiers are copied, and its own rule has none of them.
    pub fn stays_empty(&self) -> bool {
        !self.only.is_empty() && self.finest_tier().is_none()
    }

    pub fn has_tier(&self, tier: TierKind) -> bool {
        self.keep.tiers().any(|(kind, _)| kind == tier)
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
    /// The storage classes that its objects can lie in; none in a directory.
    pub fn classes(&self) -> Option<ClassFamily> {
        match self {
            StoreKind::Local(_) => None,
            StoreKind::S3(_) => Some(ClassFamily::S3),
            StoreKind::Azure(_) => Some(ClassFamily::Azure),
            StoreKind::Gcs(_) => Some(ClassFamily::Gcs),
        }
    }
    /// Its objects must be requested and waited for before they can be read.
    pub fn needs_thaw(&self) -> bool {
        self.frozen_class().is_some()
    }
    /// The class that puts its objects to sleep.
    pub fn frozen_class(&self) -> Option<StorageClass> {
        match self {
            StoreKind::S3(s3) => match s3.storage_class {
                Some(file::S3Class::Glacier) => Some(StorageClass::Glacier),
                Some(file::S3Class::DeepArchive) => Some(StorageClass::DeepArchive),
                _ => None,
            },
            StoreKind::Azure(azure) => (azure.tier == Some(file::AzureTier::Archive)).then_some(StorageClass::Frozen),
            StoreKind::Local(_) | StoreKind::Gcs(_) => None,
        }
    }
}

impl Policy {
    /// The databases that have to be asked: the policy says what they keep, that rows of theirs move to a store, or that rows are held.
    pub fn asked_databases(&self) -> BTreeSet<&str> {
        let archived = self.archives.iter().map(|archive| archive.database.as_str());
        let held = self.row_holds.values().map(|hold| hold.database.as_str());
        self.file.timescaledb.keys().map(String::as_str).chain(archived).chain(held).collect()
    }

    /// The databases that a dump has; none where it is no dump of databases.
    pub fn dumped<'p>(&'p self, method: &'p Method) -> Option<&'p [String]> {
        let Method::Logical(logical) = method else { return None };
        Some(logical.databases.as_deref().unwrap_or(&self.databases))
    }

    /// Those of the cluster; where it names none, those that its dumps name.
    pub fn known_databases(&self) -> BTreeSet<&String> {
        if !self.databases.is_empty() {
            return self.databases.iter().collect();
        }
        self.backups.values().filter_map(|backup| self.dumped(&backup.method)).flatten().collect()
    }

    /// No database of the policy is missing from it, and nothing of one. Where the policy names none anywhere, that is known of a physical one only.
    pub fn has_every_database(&self, method: &Method) -> bool {
        let (dumped, known) = (self.dumped(method).unwrap_or_default(), self.known_databases());
        method.is_physical() || (method.has_all() && !known.is_empty() && known.into_iter().all(|database| dumped.contains(database)))
    }

    /// All of a database is to be in a job's backups.
    pub fn is_to_have(&self, job: &Name, database: &str) -> bool {
        let method = self.backups.get(job).map(|backup| &backup.method).filter(|method| method.has_all());
        method.is_some_and(|method| self.dumped(method).is_none_or(|dumped| dumped.iter().any(|dumped| dumped == database)))
    }

    /// A backup has all that its job is to have by now: databases, or paths of files. None where nobody can say.
    pub fn has_what_is_wanted(&self, backup: &inventory::Backup) -> Option<bool> {
        let method = &self.backups.get(&backup.job)?.method;
        match (method, &backup.scope) {
            (Method::Logical(_), Some(Scope::Databases { names, whole })) => {
                let wanted = self.dumped(method).unwrap_or_default();
                Some((*whole || !method.has_all()) && wanted.iter().all(|database| names.contains(database)))
            }
            (Method::Files(files), Some(Scope::Files { paths, excluded })) => {
                Some(files.paths.iter().all(|path| paths.contains(path)) && excluded.iter().all(|one| files.exclude.contains(one)))
            }
            (Method::Logical(_), _) => (backup.kind != BackupKind::Logical).then(|| backup.kind.is_physical()),
            (Method::Files(_), _) => (backup.kind != BackupKind::Files).then_some(false),
            _ => Some(true),
        }
    }

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

    /// The stores that get second copies, and how soon what belongs there is to be there.
    pub fn copy_stores(&self) -> BTreeMap<&Name, Duration> {
        let mut stores: BTreeMap<&Name, Duration> = BTreeMap::new();
        for backup in self.backups.values().filter(|backup| backup.store.is_some() && backup.method.is_stored()) {
            for copy in &backup.copies {
                let within = stores.entry(&copy.store).or_insert(copy.within);
                *within = (*within).min(copy.within);
            }
        }
        for store in self.wal.iter().flat_map(|wal| wal.copies.iter().filter(|store| **store != wal.store)) {
            stores.entry(store).or_insert(USUAL_WITHIN);
        }
        stores
    }

    /// The jobs that bring second copies up to date. No policy writes a schedule for them: each follows the backups that it copies, and
    /// looks again every half an hour for what was missed.
    pub fn copying(&self) -> Vec<Timed<'_>> {
        let schedule = |every| Schedule::every(every, self.zone.clone()).ok();
        let job = |store: &Name| {
            let schedule = schedule(COPIES_EVERY)?;
            Some(Timed { path: ["copies", store.as_str()].into(), kind: TimedKind::Copy, schedule, window: None })
        };
        self.copy_stores().into_keys().filter_map(job).collect()
    }

    /// How long is waited for a job before it is overdue; `takes` is how long its runs take.
    pub fn patience(&self, job: &str, takes: Duration) -> Patience<'_> {
        let (section, name) = job.split_once('.').unwrap_or((job, ""));
        let drill = self.drills.get(name).filter(|_| section == "drills");
        let window = match section {
            "backups" => self.backups.get(name).and_then(|backup| backup.window.as_ref()),
            "verify" => self.verify.get(name).and_then(|verify| verify.window.as_ref()),
            _ => drill.and_then(|drill| drill.window.as_ref()),
        };
        Patience {
            takes,
            at_most: drill.and_then(|drill| drill.timeout),
            window: window.and_then(|name| self.windows.get(name)).map(|declared| &declared.window),
        }
    }

    /// Everything that runs by the clock because the policy says so.
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
        for dropping in &self.droppings {
            push(dropping.path.clone(), TimedKind::Retain, &Some(dropping.schedule.clone()), None);
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

/// How soon a copy is there when nothing says how soon.
const USUAL_WITHIN: Duration = Duration::from_hours(1);
/// How often it is looked whether a copy misses something.
const COPIES_EVERY: Duration = Duration::from_mins(30);

impl Timed<'_> {
    /// `backups.nightly` is named `nightly`.
    pub fn name(&self) -> Option<&str> {
        match self.path.steps() {
            [_, super::path::Step::Key(name)] => Some(name),
            _ => None,
        }
    }
}

impl From<file::TierName> for TierKind {
    fn from(name: file::TierName) -> TierKind {
        use file::TierName;
        match name {
            TierName::Hourly => TierKind::Hourly,
            TierName::Daily => TierKind::Daily,
            TierName::Weekly => TierKind::Weekly,
            TierName::Monthly => TierKind::Monthly,
            TierName::Quarterly => TierKind::Quarterly,
            TierName::Yearly => TierKind::Yearly,
        }
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
    Retain,
    Report,
    Duty,
    Copy,
}
