//! Which dump, from which store.

use std::collections::BTreeSet;

use super::{Found, Which};
use crate::execute::restore::RestoreFault;
use crate::execute::restore::newest::{self, Newest, newest};
use crate::format::contents::{Contents, MAX_BYTES};
use crate::format::descriptor::{Descriptor, ObjectKind};
use crate::format::layout::Repository;
use crate::format::seal::Identities;
use crate::inventory::{Backup, BackupKind, BackupState};
use crate::pipeline::Checked;
use crate::plan::guard::databases;
use crate::plan::words::{joined, quoted};
use crate::policy::model::{Method, Policy};
use crate::site::Site;
use crate::store::Store;
use crate::units::{Instant, Name};

pub(super) fn choose(site: &Site<'_>, wanted: &Which, identities: Identities, now: Instant) -> Result<Found, RestoreFault> {
    // Chosen tables are what somebody wants who names them.
    let is_named = wanted.is_named();
    let is_dump = |kind: BackupKind| kind == BackupKind::Logical || (kind == BackupKind::Tables && is_named);
    let takes_partial = is_named || partial_is_meant(site.policy)?;
    let is_partial =
        |job: &Name| matches!(site.policy.backups.get(job).map(|job| &job.method), Some(Method::Logical(options)) if options.is_partial());
    let jobs = if is_named { None } else { jobs_of(site.policy, wanted.database.as_deref())? };
    let is_of = |job: &Name| jobs.as_ref().is_none_or(|jobs| jobs.contains(&job) || !site.policy.backups.contains_key(job));
    let is_meant = |backup: &Backup| is_dump(backup.kind) && (takes_partial || !is_partial(&backup.job)) && is_of(&backup.job);
    let in_time = |backup: &Backup| wanted.until.is_none_or(|until| backup.moment() <= until);
    let what = wanted.until.map_or_else(|| "dump".to_owned(), |until| format!("dump of {until} or before"));
    let asked = newest::Wanted {
        what: &what,
        backup: wanted.backup.as_ref(),
        job: wanted.job.as_ref(),
        store: wanted.store.as_ref(),
        made_by: &|method| matches!(method, Method::Logical(_) | Method::Tables(_)),
        is_one: &|backup| is_meant(backup) && backup.state == BackupState::Complete && in_time(backup),
    };
    let Newest { store_name, store, repository, descriptor, remarks, unsure, .. } = newest(site, &asked, &identities, now)?;
    let contents = contents(&store, &repository, &descriptor, &identities)?;
    Ok(Found { store_name, store, repository, descriptor, contents, identities, remarks, unsure })
}

/// Jobs whose dumps have the database; none where every job's dumps do. When a dump was made says nothing of what is in it.
fn jobs_of<'p>(policy: &'p Policy, database: Option<&str>) -> Result<Option<Vec<&'p Name>>, RestoreFault> {
    let dumped: Vec<(&Name, BTreeSet<String>)> =
        (policy.backups.iter()).filter_map(|(name, job)| Some((name, databases(policy, &job.method)?.into_iter().collect()))).collect();
    if dumped.windows(2).all(|two| two[0].1 == two[1].1) {
        return Ok(None);
    }
    if let Some(database) = database {
        let jobs: Vec<&Name> = dumped.iter().filter(|(_, databases)| databases.contains(database)).map(|(name, _)| *name).collect();
        // What the policy of today does not dump, a dump of yesterday may have.
        return Ok((!jobs.is_empty()).then_some(jobs));
    }
    let of = |(name, databases): &(&Name, BTreeSet<String>)| format!("{} has {}", quoted(name), joined(databases.iter().map(quoted)));
    let hint =
        format!("Say which database with `--from-database`, or which dump with `--job` or `--backup`: {}.", joined(dumped.iter().map(of)));
    Err(RestoreFault::new("the jobs of this policy dump different databases, and it is not said which one is wanted", hint))
}

/// Whether a dump of some of the databases is meant where nobody names one: only where no job dumps more, and then there must be one such job.
fn partial_is_meant(policy: &Policy) -> Result<bool, RestoreFault> {
    let jobs = policy.backups.iter().filter_map(|(name, job)| match &job.method {
        Method::Logical(options) => Some((name, options.is_partial())),
        _ => None,
    });
    let (partial, whole): (Vec<_>, Vec<_>) = jobs.partition(|(_, is_partial)| *is_partial);
    match (partial.as_slice(), whole.is_empty()) {
        (_, false) => Ok(false),
        ([] | [_], true) => Ok(true),
        (several, true) => {
            let names = joined(several.iter().map(|(name, _)| quoted(name)));
            let hint = format!("Say which with `--job` or `--backup`; jobs with `logical` are: {names}.");
            Err(RestoreFault::new("every dump of this policy has some of its databases only, and it is not said which is wanted", hint))
        }
    }
}

/// What a dump says is in it.
pub fn contents(
    store: &Store,
    repository: &Repository,
    descriptor: &Descriptor,
    identities: &Identities,
) -> Result<Contents, RestoreFault> {
    let none = || RestoreFault::new(format!("backup {} does not say what is in it", descriptor.id), "Take another backup.");
    let object = descriptor.objects_of(ObjectKind::Contents).next().ok_or_else(none)?;
    let key = repository.data(&descriptor.id, &object.name);
    let json = Checked::open(store, &key, object.size, &object.sha256, identities)?.whole(MAX_BYTES)?;
    Contents::from_json(&json).map_err(|what| RestoreFault::new(format!("{key}: {what}"), "Take another backup."))
}

/// Of which database a dump is wanted, where nobody names the dump: of the one that is said, or else of the one that it goes into.
pub(in crate::execute) fn meant(policy: &Policy, from: Option<&str>, into: &str) -> Option<String> {
    let has = |method: &Method| databases(policy, method).is_some_and(|databases| databases.iter().any(|database| database == into));
    let is_dumped = policy.backups.values().any(|job| has(&job.method));
    from.map(str::to_owned).or_else(|| is_dumped.then(|| into.to_owned()))
}

/// Which of its databases.
pub(in crate::execute) fn database(contents: &Contents, wanted: Option<&str>) -> Result<usize, RestoreFault> {
    let names: Vec<String> = contents.databases.iter().map(|database| format!("`{}`", database.name)).collect();
    let has = format!("It has {}.", names.join(", "));
    match (wanted, names.len()) {
        (Some(wanted), _) => contents
            .databases
            .iter()
            .position(|database| database.name == wanted)
            .ok_or_else(|| RestoreFault::new(format!("this dump does not have the database `{wanted}`"), has)),
        (None, 1) => Ok(0),
        (None, _) => Err(RestoreFault::new("this dump has several databases", format!("Say which one with `--from-database`. {has}"))),
    }
}

/// `pg_dump (PostgreSQL) 16.4` is 16.
pub(in crate::execute) fn major_of(client: &str) -> Option<u32> {
    let number = client.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    number.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
}
