//! Which backup serves, and what it says of the database: known before anything is done.

use std::sync::Arc;

use super::Source;
use super::dump::Dump;
use super::physical::Physical;
use crate::execute::dump::programs::Programs;
use crate::execute::dump::restore::{self as restore, Found, Roles, Target as Place, Which, plan_into};
use crate::execute::table::source::{Onlooker, TableName};
use crate::execute::table::{TableFault, has, must_dump, neither};
use crate::execute::tiers::catalog::{self, Catalog};
use crate::execute::tiers::pending::Begun;
use crate::execute::tiers::plan::Wanted;
use crate::format::contents::Database;
use crate::inventory::BackupKind;
use crate::policy::model::Policy;
use crate::policy::sql_name::meaning;
use crate::postgres::Settings;
use crate::recovery::Target;
use crate::site::Site;
use crate::units::Instant;

/// All of it.
#[derive(Debug)]
pub(in crate::execute::tiers) struct Looked<'s> {
    pub source: Source<'s>,
    /// All definitions, in `pg_dump`'s own format.
    pub head: Vec<u8>,
    pub catalog: Catalog,
    pub database: Database,
    pub settings: Settings,
    pub target: Place,
    pub roles: Option<Roles>,
    pub programs: Programs,
    pub remarks: Vec<String>,
}

/// `first` is what the first tier names.
pub(in crate::execute::tiers) fn look<'s>(
    site: &'s Site<'s>,
    wanted: &Wanted,
    settings: &Settings,
    begun: Option<&Begun>,
    first: &[(Option<String>, String)],
    onlooker: Onlooker<'_>,
    now: Instant,
) -> Result<Looked<'s>, TableFault> {
    match which(site, wanted, begun, now)? {
        Chosen::Dump(found) => of_dump(found, wanted, settings),
        Chosen::Physical => Physical::look(site, wanted, settings, begun, first, onlooker),
        Chosen::PhysicalAsNoDump(fault) => {
            Physical::look(site, wanted, settings, begun, first, onlooker).map_err(|physical| neither(physical, Some(*fault)))
        }
    }
}

enum Chosen {
    Dump(Arc<Found>),
    Physical,
    /// Somebody named it, and it is no dump that can be had.
    PhysicalAsNoDump(Box<TableFault>),
}

/// The one that was begun with; else what the words say. Where either would do, the newest dump: of it a tier takes nothing but its own pieces.
fn which(site: &Site<'_>, wanted: &Wanted, begun: Option<&Begun>, now: Instant) -> Result<Chosen, TableFault> {
    let policy = site.policy;
    let dump = || {
        let which = Which { job: wanted.of.job.clone().filter(|_| begun.is_none()), ..wanted.of.which(policy) };
        Ok(Arc::new(restore::find(site, &which, wanted.of.identity.as_deref(), now)?))
    };
    if let Some(begun) = begun {
        return if begun.source == "physical" { Ok(Chosen::Physical) } else { dump().map(Chosen::Dump) };
    }
    if let Some(job) = &wanted.of.job {
        must_dump(policy, job)?;
        must_have_no_moment(wanted)?;
        return dump().map(Chosen::Dump);
    }
    match (has(policy, false), has(policy, true)) {
        (false, false) => {
            Err(TableFault::new("this policy has no backups of a database", "Name the policy that has them with `--policy`."))
        }
        (true, false) => Ok(Chosen::Physical),
        (false, true) => {
            must_have_no_moment(wanted)?;
            dump().map(Chosen::Dump)
        }
        (true, true) if wanted.moment.is_said => Ok(Chosen::Physical),
        // Whoever names a backup does not say of which kind it is.
        (true, true) if wanted.of.backup.is_some() => match dump() {
            Ok(found) => Ok(Chosen::Dump(found)),
            Err(fault) if fault.asleep.is_some() => Err(fault),
            Err(fault) => Ok(Chosen::PhysicalAsNoDump(Box::new(fault))),
        },
        (true, true) => dump().map(Chosen::Dump),
    }
}

fn must_have_no_moment(wanted: &Wanted) -> Result<(), TableFault> {
    if !wanted.moment.is_said || wanted.moment.target == Target::Latest && !wanted.moment.exclusive {
        return Ok(());
    }
    let message = "a dump is of one moment, and cannot be brought to another one";
    Err(TableFault::new(message, "Name the dump with `--backup ID`; or leave `--job` away where the policy has physical backups."))
}

fn of_dump<'s>(found: Arc<Found>, wanted: &Wanted, settings: &Settings) -> Result<Looked<'s>, TableFault> {
    if found.descriptor.kind == BackupKind::Tables {
        let message = format!("backup {} has chosen tables only, and a tier is a part of everything", found.descriptor.id);
        return Err(TableFault::new(message, "Take a backup with `logical`; `--job NAME` names its job."));
    }
    let planned = plan_into(Arc::clone(&found), settings, wanted.of.clone())?;
    let database = planned.database().clone();
    if let Some(lacks) = database.lacks() {
        let message = format!("backup {} is without {lacks} (`sections`), and a tier is a part of everything", found.descriptor.id);
        return Err(TableFault::new(message, "Take a dump that has all sections; `--job NAME` names its job."));
    }
    if !database.schemas.is_empty() || database.some_rows.is_some() {
        let message = format!("backup {} has rows of some tables only, and a tier is a part of everything", found.descriptor.id);
        return Err(TableFault::new(message, "Take a dump of the whole database; `--job NAME` names its job."));
    }
    planned.must_have_its_roles()?;
    let (dump, head) = Dump::look(found, &database)?;
    let catalog = if database.extensions.contains_key(catalog::NAME) { dump.catalog(&head)? } else { Catalog::new() };
    Ok(Looked {
        source: Source::Dump(dump),
        head,
        catalog,
        database,
        settings: planned.settings,
        target: planned.target,
        roles: planned.roles,
        programs: planned.programs,
        remarks: planned.remarks,
    })
}

/// Of the database that is meant: the one that is said; else that of the same name; else the policy's only one.
pub(super) fn meant(policy: &Policy, wanted: &Wanted) -> Option<String> {
    let same = || policy.databases.iter().find(|database| **database == wanted.of.into);
    let only = || (policy.databases.len() == 1).then(|| policy.databases.first()).flatten();
    wanted.of.from_database.clone().or_else(|| same().or_else(only).cloned())
}

/// As SQL reads it.
pub(in crate::execute::tiers) fn name_of(text: &str) -> (Option<String>, String) {
    let mut parts = meaning(text);
    let name = parts.pop().unwrap_or_default();
    (parts.pop(), name)
}

pub(super) fn named(schema: &str, name: &str) -> TableName {
    TableName { schema: schema.to_owned(), name: name.to_owned() }
}
