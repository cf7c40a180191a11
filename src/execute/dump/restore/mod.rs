//! Brings a dump back into a database: the plan first, then exactly that.
//!
//! Restoring a dump runs what is in it. So its descriptor's signature and every object's hash are checked before the first byte reaches
//! `pg_restore`. A database that is made for it gets its name when everything is in it and counted; until then it has another one, and goes
//! again when something fails.

mod act;
mod around;
pub(in crate::execute) mod choose;
mod compare;
mod export;
pub(in crate::execute) mod feed;
mod fill;
mod hyper;
mod jobs;
pub(in crate::execute) mod leave;
pub(in crate::execute) mod listing;
pub(in crate::execute) mod needs;
pub(in crate::execute) mod own;
mod pace;
mod record;
mod renamed;
pub(in crate::execute) mod restoring;
mod rolemap;
mod roles;
mod swap;
mod target;
pub(in crate::execute) mod types;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

pub use act::{Onlooker, Part, carry_out};
pub(in crate::execute) use act::{Work, bring};
pub use choose::contents;
pub use export::{ExportPlan, Exported, plan_export};
pub(in crate::execute) use jobs::home as job_table;
pub use jobs::{HeldJob, let_run};
pub use pace::Pace;
pub use rolemap::RoleMap;
pub(in crate::execute) use rolemap::with_job_owners;
pub use roles::Roles;
pub(in crate::execute) use target::must_be_free;
pub use target::{Session, Target};

use super::programs::Programs;
use crate::execute::restore::RestoreFault;
use crate::format::contents::{Contents, Database, Table};
use crate::format::descriptor::{Descriptor, Object};
use crate::format::layout::Repository;
use crate::format::seal::Identities;
use crate::inventory::BackupKind;
use crate::pipeline::{PipelineFault, hash_object};
use crate::plan::words::{joined, quoted};
use crate::policy::model::{Method, Policy};
use crate::postgres::{Connection, Settings};
use crate::site::Site;
use crate::store::Store;
use crate::units::{BackupId, DumpSection, Instant, Name};
use needs::Needs;

/// Which dump.
#[derive(Debug, Clone, Default)]
pub struct Which {
    pub backup: Option<BackupId>,
    /// The newest dump of this job.
    pub job: Option<Name>,
    pub store: Option<Name>,
    /// A dump of a job that has this database, where no dump and no job is named.
    pub database: Option<String>,
    /// None that is of later.
    pub until: Option<Instant>,
}

impl Which {
    fn is_named(&self) -> bool {
        self.backup.is_some() || self.job.is_some()
    }
}

/// What somebody wants back, and where.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    pub backup: Option<BackupId>,
    /// The newest dump of this job.
    pub job: Option<Name>,
    pub store: Option<Name>,
    /// Which of the dump's databases; may be left out where it has one.
    pub from_database: Option<String>,
    pub into: String,
    /// It is made for it.
    pub create: bool,
    /// One that is there makes room for it, in one step, when everything is in it.
    pub replace: bool,
    /// Whoever is connected to that one by then, or when it is copied, is sent away.
    pub end_connections: bool,
    /// The dump's roles that are not there are made first.
    pub globals: bool,
    /// Also where users are connected or objects are.
    pub occupied: bool,
    /// What is there was begun tier by tier, and is gone on with.
    pub goes_on: bool,
    /// Such a one is copied first.
    pub snapshot: bool,
    /// Another server than the policy's.
    pub connection: Option<String>,
    pub jobs: usize,
    pub schemas: Vec<String>,
    pub tables: Vec<String>,
    pub sections: Vec<DumpSection>,
    pub no_owner: bool,
    pub no_privileges: bool,
    /// What is somebody's in the dump is somebody else's here.
    pub roles: RoleMap,
    /// Everything into the default tablespace.
    pub no_tablespaces: bool,
    pub single_transaction: bool,
    pub identity: Option<PathBuf>,
    pub programs: Option<PathBuf>,
}

impl Wanted {
    /// The dump that is meant by it.
    pub(in crate::execute) fn which(&self, policy: &Policy) -> Which {
        Which {
            backup: self.backup.clone(),
            job: self.job.clone(),
            store: self.store.clone(),
            database: choose::meant(policy, self.from_database.as_deref(), &self.into),
            until: None,
        }
    }

    /// It is restored into a database of its own.
    fn makes(&self) -> bool {
        self.create || self.replace
    }
}

/// A dump that is there and can be opened.
#[derive(Debug)]
pub struct Found {
    pub store_name: Name,
    pub store: Store,
    pub repository: Repository,
    pub descriptor: Descriptor,
    pub contents: Contents,
    pub identities: Identities,
    /// Sentences without a full stop.
    pub remarks: Vec<String>,
    /// Where a newer one may be, and why that is not known: such sentences too. They are among the remarks.
    pub unsure: Vec<String>,
}

impl Found {
    pub(in crate::execute) fn object(&self, name: &str) -> Result<&Object, RestoreFault> {
        self.descriptor.objects.iter().find(|object| object.name == name).ok_or_else(|| {
            let message = format!("the contents of backup {} name `{name}`, which its descriptor does not have", self.descriptor.id);
            RestoreFault::new(message, "Take another backup; `seawall verify` says what is wrong with this one.")
        })
    }

    /// Chosen tables and nothing around them: not the schemas that they lie in either.
    pub(in crate::execute) fn is_of_tables(&self) -> bool {
        let is_whole = |database: &Database| database.some_rows.is_some();
        self.descriptor.kind == BackupKind::Tables && !self.contents.databases.iter().any(is_whole)
    }

    /// The schemas that a dump of chosen tables needs and does not have.
    pub(in crate::execute) fn homes<'d>(&self, database: &'d Database) -> BTreeSet<&'d str> {
        let mut homes: BTreeSet<&str> = database.schemas.iter().map(String::as_str).collect();
        if self.is_of_tables() {
            homes.extend(database.tables.iter().map(|table| table.schema.as_str()));
        }
        homes
    }

    /// What does not lie there as it was put there reaches nobody.
    pub(in crate::execute) fn check(&self, object: &Object, each: &mut dyn FnMut(usize) -> bool) -> Result<(), RestoreFault> {
        let key = self.repository.data(&self.descriptor.id, &object.name);
        let sum = hash_object(&self.store, &key, object.size, each)?;
        let what = format!("its SHA-256 is {sum} instead of {}", object.sha256);
        if sum == object.sha256 { Ok(()) } else { Err(PipelineFault::Damaged { key: key.to_string(), what }.into()) }
    }

    /// Before what is there gives way to it.
    pub(in crate::execute) fn must_be_the_newest(&self) -> Result<(), RestoreFault> {
        if self.unsure.is_empty() {
            return Ok(());
        }
        let id = &self.descriptor.id;
        let message = format!("it is not sure that {id} is the newest dump: {}", self.unsure.join("; "));
        Err(RestoreFault::new(message, format!("Say `--backup {id}`, or `--store`, when it is the one that is meant.")))
    }

    /// Of PostgreSQL, as far as its name says: what is needed to bring it back is as new as what made it.
    pub fn client(&self) -> u32 {
        choose::major_of(&self.contents.client).unwrap_or(self.descriptor.cluster.version / 10_000)
    }
}

/// What will be done.
#[derive(Debug)]
pub struct Plan {
    pub wanted: Wanted,
    pub found: Arc<Found>,
    /// Which of its databases.
    at: usize,
    /// The objects that are needed, in the order of its archives.
    objects: Vec<Object>,
    /// Of chosen tables: what they go by and is not there.
    types: Option<types::Types>,
    /// Which schemas and tables, as `pg_restore` is told.
    names: Vec<OsString>,
    pub(in crate::execute) settings: Settings,
    pub target: Target,
    /// What the server lacks of the dump's roles, where they are wanted.
    pub roles: Option<Roles>,
    known_roles: BTreeSet<String>,
    /// What the database that is there will be called.
    pub before: Option<String>,
    /// What a copy of it will be called, which is made first.
    pub copy: Option<String>,
    /// How fast it may go.
    pub pace: Option<Pace>,
    pub(in crate::execute) programs: Programs,
    /// Sentences without a full stop.
    pub remarks: Vec<String>,
}

impl Plan {
    pub fn database(&self) -> &Database {
        &self.found.contents.databases[self.at]
    }

    /// Nothing was in the database before, and tables come with their rows: then those can be counted.
    pub fn is_counted(&self) -> bool {
        self.wanted.sections.is_empty() && self.database().has(DumpSection::Data) && (self.wanted.makes() || self.target.objects == 0)
    }

    /// All of the dump, and counted.
    pub(super) fn is_whole(&self) -> bool {
        self.wanted.schemas.is_empty() && self.wanted.tables.is_empty() && self.is_counted()
    }

    /// Whether its rows come, as `pg_restore` reads the words.
    pub(super) fn brings(&self, table: &Table) -> bool {
        let Wanted { schemas, tables, .. } = &self.wanted;
        let is_named = |names: &[String], name: &String| names.is_empty() || names.contains(name);
        is_named(schemas, &table.schema) && is_named(tables, &table.name)
    }

    /// Reads what is in it, as far as that says whose it is.
    pub(in crate::execute) fn must_have_its_roles(&self) -> Result<(), RestoreFault> {
        let needs = Needs::look(self)?;
        needs.must_be_met(&self.known_roles, self.database(), &self.wanted)?;
        needs.must_have_its_tablespaces(&self.target)
    }

    /// Roles that something in it needs, and that the server does not have.
    pub(in crate::execute) fn roles_that_lack(&self) -> Result<Vec<String>, RestoreFault> {
        let needs = Needs::look(self)?;
        Ok(needs.missing(&self.known_roles, self.database(), &self.wanted))
    }

    /// Those of the database itself alone.
    pub(in crate::execute) fn must_have_its_own_roles(&self) -> Result<(), RestoreFault> {
        Needs::default().must_be_met(&self.known_roles, self.database(), &self.wanted)
    }

    pub fn pg_restore(&self) -> &str {
        &self.programs.version
    }

    fn sections(&self) -> Vec<DumpSection> {
        if self.wanted.sections.is_empty() { DumpSection::ALL.to_vec() } else { self.wanted.sections.clone() }
    }
}

/// What a restore did: what `--format json` prints, and what is kept of it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "Result of seawall restore --into-database")]
pub struct Restored {
    /// Changes when a reader of this output would have to.
    #[schemars(range(min = 1, max = 1))]
    pub format_version: u32,
    pub policy: String,
    pub host: String,
    pub started: Instant,
    pub ended: Instant,
    pub store: String,
    pub backup: BackupId,
    pub from_database: String,
    pub database: String,
    /// Where it is.
    pub server: String,
    /// Plain bytes that `pg_restore` was given.
    pub bytes: u64,
    /// Tables whose rows were counted, and were as many as in the dump; absent where only a section of it was wanted, or something was there before.
    pub tables_compared: Option<u64>,
    pub rows: Option<u64>,
    pub seconds: f64,
    /// What the database that was there is called now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What the copy of what was there before is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy: Option<String>,
    /// Who was sent away.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ended_sessions: Vec<Session>,
    /// TimescaleDB's jobs that came with it, and do not run until somebody says so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held_jobs: Vec<HeldJob>,
    /// Roles that were made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// Whose things are somebody else's now, by their names in the dump.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub mapped_roles: BTreeMap<String, String>,
    pub remarks: Vec<String>,
}

/// Looks for the dump and at the server; touches nothing.
pub fn plan(site: &Site<'_>, wanted: Wanted, now: Instant) -> Result<Plan, RestoreFault> {
    let found = find(site, &wanted.which(site.policy), wanted.identity.as_deref(), now)?;
    if wanted.replace && wanted.store.is_none() {
        found.must_be_the_newest()?;
    }
    let settings = match &wanted.connection {
        Some(text) => Settings::read(text).map_err(|fault| RestoreFault::new(fault.message, fault.hint))?,
        None => site.cluster_connection()?,
    };
    let plan = plan_into(Arc::new(found), &settings, wanted)?;
    plan.must_have_its_roles()?;
    let before = plan.wanted.replace.then(|| swap::aside(&plan, now)).transpose()?;
    let copy = plan.wanted.snapshot.then(|| swap::aside(&plan, now)).transpose()?;
    Ok(Plan { before, copy, pace: Pace::of(site), ..plan })
}

/// The dump that is meant: the newest one of all stores.
pub fn find(site: &Site<'_>, which: &Which, identity: Option<&Path>, now: Instant) -> Result<Found, RestoreFault> {
    choose::choose(site, which, site.identities(identity)?, now)
}

/// The same among dumps of chosen tables, also where nobody named one.
pub fn find_tables(site: &Site<'_>, which: &Which, identity: Option<&Path>, now: Instant) -> Result<Found, RestoreFault> {
    let jobs: Vec<&Name> =
        site.policy.backups.iter().filter(|(_, backup)| matches!(backup.method, Method::Tables(_))).map(|(name, _)| name).collect();
    let which = match (&which.backup, &which.job, jobs.as_slice()) {
        (None, None, [only]) => Which { job: Some((*only).clone()), ..which.clone() },
        (None, None, several) => {
            let has = if several.is_empty() { "none".to_owned() } else { joined(several.iter().map(quoted)) };
            let hint = format!("Say which with `--job` or `--backup`; jobs with `tables` are: {has}.");
            return Err(RestoreFault::new("it is not said whose tables are wanted", hint));
        }
        _ => which.clone(),
    };
    find(site, &which, identity, now)
}

/// More names say no more.
const SHOWN: usize = 20;

/// What the job leaves out of a dump that has everything else.
fn lacks(database: &Database) -> Option<String> {
    let what = match (database.without_owners, database.without_grants) {
        (false, false) => return None,
        (true, false) => "without owners (`owners: false`): everything belongs to whoever restores it, and the database too",
        (false, true) => "without grants (`grants: false`): nobody but owners may use what is in it until that is granted anew",
        (true, true) => {
            "without owners and grants (`owners: false`, `grants: false`): everything belongs to whoever restores it, and nobody else may use it"
        }
    };
    Some(format!("this dump is {what}"))
}

/// What comes of a dump that does not have all sections.
fn without(database: &Database) -> Option<String> {
    let of = |section: DumpSection, what: &'static str| (!database.has(section)).then_some(what);
    let what = [
        of(DumpSection::PreData, "tables must be there already"),
        of(DumpSection::Data, "no table gets a row"),
        of(DumpSection::PostData, "no index, constraint, trigger or policy comes back"),
    ];
    let what: Vec<&str> = what.into_iter().flatten().collect();
    Some(format!("this dump is without {} (`sections`): {}", database.lacks()?, joined(what)))
}

/// Sections that its job leaves out (`sections`) are not in it.
fn must_have_what_is_wanted(found: &Found, database: &Database, wanted: &Wanted) -> Result<(), RestoreFault> {
    let hint = "Name another dump with `--job` or `--backup`; `seawall show` says what one has.";
    if let Some(section) = wanted.sections.iter().find(|section| !database.has(**section)) {
        let message = format!("backup {} has no `{section}`: its job leaves that out (`sections`)", found.descriptor.id);
        return Err(RestoreFault::new(message, hint));
    }
    if wanted.makes() && !database.has(DumpSection::PreData) {
        let message = format!(
            "backup {} is without `pre-data`: nothing in it makes the tables of a new database, and its job leaves that out (`sections`)",
            found.descriptor.id
        );
        return Err(RestoreFault::new(message, format!("Restore it with `--occupied` into a database that has the tables. {hint}")));
    }
    Ok(())
}

/// A server that a database can come back to, and what brings it there.
#[derive(Debug)]
pub(in crate::execute) struct Ready {
    pub target: Target,
    pub settings: Settings,
    pub roles: Option<Roles>,
    /// Those that are there, and those that are made.
    pub known_roles: BTreeSet<String>,
    pub programs: Programs,
}

/// Looks at the server. `client` is the version of what wrote the definitions; `roles` are asked for where they are wanted.
pub(in crate::execute) fn ready(
    database: &Database,
    wanted: &Wanted,
    settings: &Settings,
    client: u32,
    roles: &dyn Fn(&mut Connection) -> Result<Roles, RestoreFault>,
) -> Result<Ready, RestoreFault> {
    let (target, mut settings, mut connection) = target::look(settings, wanted, database)?;
    let roles = if wanted.globals { Some(roles(&mut connection)?.without(&wanted.roles)) } else { None };
    let known_roles = roles::known(roles.as_ref(), &mut connection)?;
    let programs = Programs::find(wanted.programs.as_deref(), client)
        .map_err(|fault| RestoreFault::new(fault.to_string(), format!("{} Or say where with `--programs DIR`.", fault.hint())))?;
    if target.major >= 17 && programs.major < 17 {
        // What it does not know it cannot switch off, and one transaction may take as long as it takes.
        let own = settings.options.take().map(|own| own + " ").unwrap_or_default();
        settings.options = Some(own + "-c transaction_timeout=0");
    }
    Ok(Ready { target, settings, roles, known_roles, programs })
}

/// The rest of a plan, where the dump is known and its server too.
pub fn plan_into(found: Arc<Found>, settings: &Settings, wanted: Wanted) -> Result<Plan, RestoreFault> {
    let at = choose::database(&found.contents, wanted.from_database.as_deref())?;
    let database = &found.contents.databases[at];
    // As its job says: `pg_dump` itself has owners in every archive.
    let wanted = Wanted {
        no_owner: wanted.no_owner || database.without_owners,
        no_privileges: wanted.no_privileges || database.without_grants,
        ..wanted
    };
    if database.archives.is_empty() && !database.exports.is_empty() {
        let message = format!("backup {} has its tables as files, with nothing that makes tables of them", found.descriptor.id);
        return Err(RestoreFault::new(
            message,
            "`--export-to DIR` gives the files; make the tables, and load them with `\\copy` or another program.",
        ));
    }
    if wanted.replace && database.partial {
        let message = format!(
            "backup {} does not have all of the database `{}`, and `--replace` would put it in its place",
            found.descriptor.id, database.name
        );
        let hint = "Restore it beside with `--create` and another name; or tables of it, with `--table TABLE --replace`.";
        return Err(RestoreFault::new(message, hint));
    }
    must_have_what_is_wanted(&found, database, &wanted)?;
    let objects = database.archives.iter().map(|archive| found.object(&archive.object).cloned());
    let objects = objects.collect::<Result<Vec<Object>, RestoreFault>>()?;
    if wanted.single_transaction && objects.len() > 1 {
        let message = "a dump in pieces cannot come back in one transaction";
        return Err(RestoreFault::new(
            message,
            "Leave `--single-transaction` away: a database that is made by `--create` has its name only at the end.",
        ));
    }
    hyper::must_not_be_chosen(&found, database, &wanted)?;
    wanted.roles.must_be_readable(&database.encoding)?;
    let roles = |connection: &mut Connection| roles::wanted(&found, connection);
    let Ready { target, settings, roles, known_roles, programs } = ready(database, &wanted, settings, found.client(), &roles)?;
    if wanted.replace && wanted.from_database.is_none() && database.name != wanted.into {
        let message = format!(
            "backup {} is of the database `{}`, and `--replace` would put that in the place of `{}`",
            found.descriptor.id, database.name, wanted.into
        );
        let hint =
            format!("Say `--from-database {}` when that is meant; otherwise name another dump with `--job` or `--backup`.", database.name);
        return Err(RestoreFault::new(message, hint));
    }
    let mut remarks = found.remarks.clone();
    remarks.extend(target.remarks.iter().cloned());
    remarks.extend(lacks(database));
    remarks.extend(without(database));
    remarks.extend(hyper::leaves_out(database));
    if !database.unlogged.is_empty() {
        let names = joined(database.unlogged.iter().take(SHOWN).cloned());
        let more = if database.unlogged.len() > SHOWN { format!(" and {} more", database.unlogged.len() - SHOWN) } else { String::new() };
        remarks.push(format!("a standby was dumped, which has no rows of unlogged tables; these come back empty: {names}{more}"));
    }
    if !database.skipped.is_empty() {
        let names = joined(database.skipped.iter().take(SHOWN).cloned());
        let more = if database.skipped.len() > SHOWN { format!(" and {} more", database.skipped.len() - SHOWN) } else { String::new() };
        remarks.push(format!("it does not have {names}{more}: the role that made it might not read them"));
    }
    if target.major < found.descriptor.cluster.version / 10_000 {
        remarks.push(format!(
            "the server is PostgreSQL {}, older than the one that was dumped: some of it may not be understood",
            target.major
        ));
    }
    if wanted.jobs > 1 && objects.len() == 1 {
        remarks.push("this dump is in one piece, so it comes back by one session; `logical.jobs` dumps in pieces".into());
    }
    let names = wanted.names_in(&database.encoding, &settings)?;
    let plan = Plan {
        wanted,
        found,
        at,
        objects,
        types: None,
        names,
        settings,
        target,
        roles,
        known_roles,
        before: None,
        copy: None,
        pace: None,
        programs,
        remarks,
    };
    let (types, said) = types::look(&plan)?;
    Ok(Plan { types, remarks: [plan.remarks.clone(), said].concat(), ..plan })
}
