//! What protects a command best that is about to change a database: decided from what was seen.

use super::minute;
use super::words::{joined, quoted};
use crate::inventory::{OwnKeep, SystemIdentifier};
use crate::policy::model::{Backup, Method, Policy};
use crate::units::{BackupId, Instant, Name, SegmentSize, Timeline};

/// What the server that the command will change says of itself, as far as a restore point depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Primary {
    pub cluster: SystemIdentifier,
    pub timeline: Timeline,
    pub segment: SegmentSize,
    pub is_standby: bool,
    /// Why it archives nothing.
    pub archives_not: Option<String>,
    /// What its archiver says, where its last try failed.
    pub archiving_fails: Option<String>,
    /// This role may make a restore point and end a segment.
    pub may_mark: bool,
}

/// A backup that a restore point can be reached from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    pub store: Name,
    pub backup: BackupId,
    pub job: Name,
    /// When it was complete.
    pub taken: Instant,
    /// On which the log leads to now.
    pub timeline: Timeline,
}

impl Primary {
    /// Why no restore point can be made here.
    pub fn cannot_mark(&self) -> Option<String> {
        match self {
            Primary { is_standby: true, .. } => {
                Some("`cluster.connection` leads to a standby, where no restore point can be made".to_owned())
            }
            Primary { archives_not: Some(why), .. } => Some(format!("the server does not archive its log: {why}")),
            Primary { may_mark: false, .. } => {
                Some("this role may not make one: grant it `execute` on `pg_create_restore_point(text)` and `pg_switch_wal()`".to_owned())
            }
            _ => None,
        }
    }
}

/// How a command is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum With {
    /// A restore point where that is enough, a backup otherwise.
    #[default]
    Auto,
    Backup,
    RestorePoint,
}

/// What somebody said.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub with: With,
    pub job: Option<&'a Name>,
    pub keep: OwnKeep,
    /// Only these tables are to come back.
    pub has_tables: bool,
    /// The only one that is changed.
    pub database: Option<&'a str>,
    pub now: Instant,
}

/// What was seen. Nothing, where no restore point is in question.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    pub primary: Option<Result<Primary, String>>,
    pub bases: Vec<(Name, Result<Base, String>)>,
}

/// Why nothing protects it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unprotected {
    /// Lower case, no full stop.
    pub message: String,
    /// As a sentence.
    pub hint: String,
}

impl Unprotected {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Unprotected {
        Unprotected { message: message.into(), hint: hint.into() }
    }
}

#[derive(Debug, Clone)]
pub enum Chosen<'p> {
    /// The moment gets a name, and the log leads to it from this backup.
    Point(Base),
    /// A backup is taken.
    Backup {
        job: &'p Name,
        backup: &'p Backup,
        /// And the moment after it gets a name, on this timeline: its log stays for long enough.
        point_too: Option<Timeline>,
    },
}

/// What is done, and why, as half a sentence.
pub fn choose<'p>(policy: &'p Policy, asked: Asked<'_>, seen: &Seen) -> Result<(Chosen<'p>, String), Unprotected> {
    let named = asked.job.map(|job| named(policy, job, asked)).transpose()?;
    match why_no_point(policy, asked, seen, named) {
        Ok(base) => {
            let why = format!(
                "backup {} of {} is in store `{}`, the log leads from it to now, and archiving works",
                base.backup,
                minute(base.taken),
                base.store
            );
            Ok((Chosen::Point(base), why))
        }
        Err(because) if asked.with == With::RestorePoint => {
            let hint = "Without `--with restore-point` a backup is taken instead, where the policy has a job that fits.";
            Err(Unprotected::new(format!("a restore point is not enough: {because}"), hint))
        }
        Err(because) => {
            let (job, backup) = match named {
                Some(named) => named,
                None => fitting(policy, asked, seen)?,
            };
            let leads_on = matches!(backup.method, Method::Physical(_)) && stays(policy, asked);
            let point_too = marks(seen).filter(|_| leads_on).map(|primary| primary.timeline);
            Ok((Chosen::Backup { job, backup, point_too }, because))
        }
    }
}

/// A job that somebody names, if what it takes can undo something.
fn named<'p>(policy: &'p Policy, job: &Name, asked: Asked<'_>) -> Result<(&'p Name, &'p Backup), Unprotected> {
    let (name, backup) = policy.backups.get_key_value(job).ok_or_else(|| {
        let known = joined(policy.backups.keys().map(|name| format!("`{name}`")));
        Unprotected::new(format!("the policy has no backup `{job}`"), format!("It has {known}."))
    })?;
    let refused = |why: &str, hint: &str| Err(Unprotected::new(format!("backups.{name} {why}"), hint));
    match &backup.method {
        Method::Tables(_) => refused(
            "takes chosen tables, which come back beside the originals and not in their places",
            "Name a job that is `physical` or `logical`, or `files`.",
        ),
        Method::Logical(_) if is_partial(backup) => refused(
            "leaves out some of each database, and nobody knows whether the command changes that",
            "Name a job that leaves nothing out.",
        ),
        Method::Logical(_) if lacks_databases(policy, backup, asked) => refused(
            "does not dump every database of the policy, and nobody knows which ones the command changes",
            "Say which one with `--database`, or name another job.",
        ),
        Method::Logical(_) if lacks_rights(backup, asked) => refused(
            "leaves out owners or grants, and what comes back out of it would not have them",
            "Name a job without `owners: false` and `grants: false`; with `--table` only rows come back, and this one does.",
        ),
        Method::Files(_) if asked.has_tables => refused("takes files, and no tables", "Leave `--table` away, or name another job."),
        method if !method.runs_in_this_version() => refused("cannot be run by this version", "Name another job."),
        _ => Ok((name, backup)),
    }
}

/// Those that a dump brings back, each as a whole.
pub fn databases(policy: &Policy, method: &Method) -> Option<Vec<String>> {
    policy.dumped(method).map(<[String]>::to_vec)
}

fn is_partial(backup: &Backup) -> bool {
    matches!(&backup.method, Method::Logical(logical) if logical.is_partial())
}

/// Rows of a table have neither: the table stays.
fn lacks_rights(backup: &Backup, asked: Asked<'_>) -> bool {
    let Method::Logical(logical) = &backup.method else { return false };
    !asked.has_tables && (logical.owners == Some(false) || logical.grants == Some(false))
}

/// Of the only one that is changed it is found out later whether it is among them.
fn lacks_databases(policy: &Policy, backup: &Backup, asked: Asked<'_>) -> bool {
    let Some(dumped) = databases(policy, &backup.method).filter(|_| asked.database.is_none()) else { return false };
    policy.databases.iter().any(|database| !dumped.contains(database))
}

fn why_no_point(policy: &Policy, asked: Asked<'_>, seen: &Seen, named: Option<(&Name, &Backup)>) -> Result<Base, String> {
    if asked.with == With::Backup {
        return Err("a backup was asked for".to_owned());
    }
    if let Some((name, _)) = named.filter(|(_, backup)| !matches!(backup.method, Method::Physical(_))) {
        return Err(format!("`backups.{name}` was named, and no log leads on from what it takes"));
    }
    let Some(wal) = &policy.wal else { return Err("the policy archives no log".to_owned()) };
    if !policy.backups.values().any(|backup| backup.method.is_physical()) {
        return Err("the policy has no physical backups".to_owned());
    }
    let primary = match &seen.primary {
        None => return Err("the server was not asked".to_owned()),
        Some(Err(why)) => return Err(format!("the server cannot be asked: {why}")),
        Some(Ok(primary)) => primary,
    };
    if let Some(why) = primary.cannot_mark() {
        return Err(why);
    }
    // Who asks for one in so many words may be mending the archiver at the same time.
    if let Some(why) = primary.archiving_fails.as_ref().filter(|_| asked.with == With::Auto) {
        return Err(format!("archiving does not work: {why}"));
    }
    if !stays(policy, asked) {
        return Err(format!("`wal.keep` lets the log go after {}, before the time of `--keep` is over", wal.keep));
    }
    let why = |(store, base): &(Name, Result<Base, String>)| match base {
        Ok(_) => None,
        Err(why) => Some(format!("store `{store}`: {why}")),
    };
    let reasons: Vec<String> = seen.bases.iter().filter_map(why).collect();
    let first = seen.bases.iter().find_map(|(_, base)| base.as_ref().ok());
    first.cloned().ok_or_else(|| format!("no store has a backup from which the log leads to now: {}", reasons.join("; ")))
}

/// The log of now stays for as long as the command is to be undone.
fn stays(policy: &Policy, asked: Asked<'_>) -> bool {
    let zone = policy.zone.time_zone();
    let wanted = until(asked.keep, policy, asked.now);
    policy.wal.as_ref().is_some_and(|wal| wal.keep.after(asked.now, zone) >= wanted)
}

/// Until when the way back stays.
pub fn until(keep: OwnKeep, policy: &Policy, now: Instant) -> Instant {
    match keep {
        OwnKeep::Until(until) => until,
        OwnKeep::For(period) => period.after(now, policy.zone.time_zone()),
    }
}

/// The server, if it can make a restore point.
fn marks(seen: &Seen) -> Option<&Primary> {
    seen.primary.as_ref()?.as_ref().ok().filter(|primary| primary.cannot_mark().is_none())
}

/// The only job that fits: a physical one, or where that cannot be completed, a dump of all.
fn fitting<'p>(policy: &'p Policy, asked: Asked<'_>, seen: &Seen) -> Result<(&'p Name, &'p Backup), Unprotected> {
    let of = |fits: &dyn Fn(&Backup) -> bool| policy.backups.iter().filter(|(_, backup)| fits(backup)).collect::<Vec<_>>();
    let physical = of(&|backup| matches!(backup.method, Method::Physical(_)));
    let lacks = |backup: &Backup| is_partial(backup) || lacks_databases(policy, backup, asked) || lacks_rights(backup, asked);
    let dumps = of(&|backup| matches!(backup.method, Method::Logical(_)) && !lacks(backup));
    let fails = match &seen.primary {
        Some(Ok(primary)) if asked.with == With::Auto && !primary.is_standby => {
            primary.archiving_fails.clone().or_else(|| primary.archives_not.clone())
        }
        _ => None,
    };
    let fit = match (&fails, physical.is_empty()) {
        // Without an archive it brings its own log.
        (None, false) => physical,
        (Some(why), false) if dumps.is_empty() => {
            let message = format!(
                "nothing would protect it: archiving does not work ({why}), so neither a restore point nor a backup comes to its end"
            );
            return Err(Unprotected::new(message, "Mend `archive_command`: `seawall wal status` and the server's log say what is wrong."));
        }
        _ => dumps,
    };
    match fit.as_slice() {
        [only] => Ok(*only),
        [] => Err(Unprotected::new(
            "the policy has no backup that could undo it",
            "It takes a job with `physical` or one with `logical` that leaves nothing out; a job with `files` is named.",
        )),
        several => {
            let known = joined(several.iter().map(|(name, _)| quoted(name)));
            Err(Unprotected::new("the policy has several backups that could undo it", format!("Say which one: {known}.")))
        }
    }
}
