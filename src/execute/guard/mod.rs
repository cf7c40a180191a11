//! A gate before something that changes a database, a migration above all: it is protected first, then the command is run, and the line that
//! undoes it is known before it begins.
//!
//! Two things protect. A *restore point* names the moment; it is enough where a good backup is in a store and the log leads from it to the point
//! without a gap, and will for as long as the command is to be undone. Otherwise a *backup* is taken. Whatever fails before the command begins, the
//! command is not run.

mod bases;
mod command;
mod fault;
mod point;
mod primary;
mod record;
mod segment;
mod tables;
mod undo;

use std::sync::atomic::Ordering;
use std::time::Duration;

pub use command::{NoCommand, code, find, run as run_command, told};
pub use fault::GuardFault;
pub use point::{Point, let_go};
pub use record::{JOB, Journal, Report};
pub use undo::{Around, DIRECTORY, IDENTITY, Way, lines};

use crate::execute::backup::{self, Taken};
use crate::execute::id::random_word;
use crate::execute::run::{self, Ended, Ground, Ran};
use crate::format::layout::compact;
use crate::inventory::{BackupKind, OwnKeep};
use crate::plan::guard::{Asked, Base, Chosen, Seen, With, choose, databases, until};
use crate::plan::minute;
use crate::policy::model::{Method, Policy};
use crate::site::Site;
use crate::units::{BackupId, Instant, Name};

/// What somebody wants.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The backup of the policy that is taken, or led on from.
    pub job: Option<Name>,
    pub with: With,
    /// The program that is run, without its folder and its arguments.
    pub program: String,
    pub label: String,
    pub keep: OwnKeep,
    /// How long a restore point may take to come to the store.
    pub patience: Duration,
    /// Only these are to come back, as SQL names them; in a plan with their schemas.
    pub tables: Vec<String>,
    pub database: Option<String>,
}

/// What will protect it, and why.
#[derive(Debug)]
pub struct Plan<'p> {
    pub wanted: Wanted,
    pub chosen: Chosen<'p>,
    pub why: String,
    /// Nobody else gives this name.
    pub name: Name,
    /// What people should know of the way back: sentences without a full stop.
    pub remarks: Vec<String>,
}

/// What protects it now.
#[derive(Debug, Clone)]
pub struct Protection {
    pub store: Name,
    pub backup: BackupId,
    /// It was taken for this.
    pub taken: bool,
    pub point: Option<Point>,
    pub way: Way,
    /// The moment that comes back.
    pub moment: Instant,
    /// Until when it can be undone at least.
    pub until: Instant,
    /// What people should know: sentences without a full stop.
    pub remarks: Vec<String>,
}

/// Looks, decides, and touches nothing.
pub fn plan<'p>(site: &Site<'p>, wanted: Wanted, now: Instant) -> Result<Plan<'p>, GuardFault> {
    let policy = site.policy;
    must_be_one_database(policy, &wanted)?;
    let asked = Asked {
        with: wanted.with,
        job: wanted.job.as_ref(),
        keep: wanted.keep,
        has_tables: !wanted.tables.is_empty(),
        database: wanted.database.as_deref(),
        now,
    };
    if until(wanted.keep, policy, now) <= now {
        return Err(GuardFault::new("`--keep` is over already", "Say for how long, `--keep 7d`, or until a moment that is still to come."));
    }
    let (chosen, why) = choose(policy, asked, &look(site, &wanted, now))?;
    if let (Chosen::Backup { backup, .. }, Some(database)) = (&chosen, &wanted.database)
        && let Some(databases) = databases(policy, &backup.method).filter(|databases| !databases.contains(database))
    {
        let hint = format!("It dumps {}.", crate::plan::words::joined(databases.iter().map(crate::plan::words::quoted)));
        return Err(GuardFault::new(format!("`--database`: the job does not dump `{database}`"), hint));
    }
    let is_physical = match &chosen {
        Chosen::Point(_) => true,
        Chosen::Backup { backup, .. } => backup.method.is_physical(),
    };
    let tables::Known { names, remarks } = tables::must_come_back(site, &wanted, is_physical, now)?;
    let name = name(&wanted.label, now)?;
    Ok(Plan { wanted: Wanted { tables: names, ..wanted }, chosen, why, name, remarks })
}

fn look(site: &Site<'_>, wanted: &Wanted, now: Instant) -> Seen {
    let policy = site.policy;
    let job = wanted.job.as_ref();
    let is_physical = |job: &Name| policy.backups.get(job).is_some_and(|backup| backup.method.is_physical());
    if policy.wal.is_none() || !job.is_none_or(is_physical) {
        return Seen::default();
    }
    let primary = primary::connect(site).and_then(|mut session| Ok(primary::look(&mut session)?)).map_err(|fault| fault.message);
    let can_mark = primary.as_ref().ok().filter(|primary| wanted.with != With::Backup && primary.cannot_mark().is_none());
    let bases = can_mark.map(|primary| bases::look(site, primary, job, now)).unwrap_or_default();
    Seen { primary: Some(primary), bases }
}

/// `restore --table` asks in which database, where the policy has several.
fn must_be_one_database(policy: &Policy, wanted: &Wanted) -> Result<(), GuardFault> {
    if wanted.tables.is_empty() || wanted.database.is_some() || policy.databases.len() == 1 {
        return Ok(());
    }
    let known = crate::plan::words::joined(policy.databases.iter().map(crate::plan::words::quoted));
    Err(GuardFault::new("`--table` does not say in which database the tables are", format!("Say `--database`; the policy has {known}.")))
}

/// `guard-psql-20261122t035037z-7f3c0011`: a name for a restore point, for a hold, for people.
fn name(label: &str, now: Instant) -> Result<Name, GuardFault> {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' };
    let words: String = label.chars().map(plain).collect();
    let mut word = words.split_whitespace().collect::<Vec<_>>().join("-");
    word.truncate(24);
    let word = word.trim_end_matches('-');
    let (between, word) = if word.is_empty() { ("", "") } else { ("-", word) };
    let name = format!("guard{between}{word}-{}-{}", compact(now).to_ascii_lowercase(), random_word()?);
    name.parse().map_err(|error: crate::units::QuantityError| GuardFault::new(error.message, error.hint))
}

/// Does what the plan says. When it comes back well, the way back is there.
pub fn protect(ground: &Ground<'_>, plan: &Plan<'_>) -> Result<Protection, GuardFault> {
    let policy = ground.site.policy;
    let until = until(plan.wanted.keep, policy, crate::world::clock::now());
    let reason = format!("`seawall guard` of {}: {}", plan.wanted.program, plan.wanted.label);
    let order =
        |from, hold| point::Order { name: &plan.name, reason: &reason, from, hold, patience: plan.wanted.patience, stop: ground.stop };
    let mut protection = match &plan.chosen {
        Chosen::Point(base) => {
            let point = point::mark(ground.site, order(base, Some(until)))?;
            Protection::of_point(point, until)
        }
        Chosen::Backup { job, point_too, .. } => {
            let (taken, remarks) = take(ground, plan, job)?;
            let mut protection = Protection::of_backup(policy, job, &taken, remarks)?;
            if point_too.is_some() {
                let base = Base {
                    store: protection.store.clone(),
                    backup: protection.backup.clone(),
                    job: (*job).clone(),
                    taken: taken.descriptor.stopped,
                    timeline: taken.descriptor.position.timeline,
                };
                match point::mark(ground.site, order(&base, None)) {
                    Ok(point) => protection.lead_on(point),
                    Err(fault) if fault.is_interrupted => return Err(fault),
                    // The backup is there, and protects without it.
                    Err(fault) => protection.remarks.push(format!(
                        "no restore point was made after the backup, so what is undone is everything since its end: {}",
                        fault.message
                    )),
                }
            }
            protection
        }
    };
    protection.remarks.extend(plan.remarks.iter().cloned());
    if ground.stop.load(Ordering::Relaxed) {
        let_go(ground.site, &protection);
        return Err(GuardFault::interrupted());
    }
    Ok(protection)
}

fn take(ground: &Ground<'_>, plan: &Plan<'_>, job: &Name) -> Result<(Taken, Vec<String>), GuardFault> {
    let wishes = backup::Wishes { label: Some(plan.wanted.label.clone()), keep: Some(plan.wanted.keep), ..backup::Wishes::default() };
    let wishes = run::Wishes { backup: wishes, ..run::Wishes::default() };
    let found = run::find(ground.site.policy, &format!("backups.{job}")).map_err(|fault| GuardFault::new(fault.to_string(), fault.hint))?;
    let Ran { end, made, remarks, .. } = run::run(ground, &found, &run::Why::Asked, &wishes);
    match (end, made.taken) {
        (Ended::Succeeded, Some(taken)) => Ok((*taken, remarks)),
        (Ended::Stopped, _) => Err(GuardFault::interrupted()),
        (Ended::Failed { message, hint, .. } | Ended::Busy { message, hint }, _) => Err(GuardFault::new(message, hint)),
        (Ended::Elsewhere { message } | Ended::NotOwed { message }, _) => Err(GuardFault::new(message, "Run it again.")),
        (Ended::Succeeded, None) => Err(GuardFault::new("no backup was made", "")),
    }
}

impl Protection {
    fn of_point(point: Point, until: Instant) -> Protection {
        Protection {
            store: point.store.clone(),
            backup: point.backup.clone(),
            taken: false,
            way: Way::to(&point),
            moment: point.at,
            remarks: point.remark.iter().cloned().collect(),
            point: Some(point),
            until,
        }
    }

    fn of_backup(policy: &Policy, job: &Name, taken: &Taken, remarks: Vec<String>) -> Result<Protection, GuardFault> {
        let descriptor = &taken.descriptor;
        let gone = || GuardFault::new(format!("backups.{job} names no store"), "");
        let (store, backup) = (policy.store_of(job).ok_or_else(gone)?.clone(), descriptor.id.clone());
        let method = &policy.backups.get(job).ok_or_else(gone)?.method;
        let way = match databases(policy, method) {
            Some(databases) => Way::Dump { store: store.clone(), backup: backup.clone(), databases },
            None if descriptor.kind == BackupKind::Files => Way::Files { store: store.clone(), backup: backup.clone() },
            None => Way::Immediate { store: store.clone(), backup: backup.clone() },
        };
        // A dump is as of its beginning, a copy of a cluster as of its end.
        let moment = if descriptor.kind.is_physical() { descriptor.stopped } else { descriptor.started };
        let until = match descriptor.keep {
            Some(OwnKeep::Until(until)) => until,
            Some(OwnKeep::For(period)) => period.after(descriptor.stopped, policy.zone.time_zone()),
            None => descriptor.stopped,
        };
        Ok(Protection { store, backup, taken: true, point: None, way, moment, until, remarks })
    }

    fn lead_on(&mut self, point: Point) {
        self.way = Way::to(&point);
        self.moment = point.at;
        self.remarks.extend(point.remark.clone());
        self.point = Some(point);
    }

    /// In a few words.
    pub fn says(&self) -> String {
        match (&self.point, self.taken) {
            (Some(point), true) => format!("backup {} and restore point `{}` in store `{}`", self.backup, point.name, self.store),
            (Some(point), false) => {
                format!("restore point `{}`, to which backup {} in store `{}` leads", point.name, self.backup, self.store)
            }
            (None, _) => format!("backup {} in store `{}`, of {}", self.backup, self.store, minute(self.moment)),
        }
    }
}

impl Way {
    fn to(point: &Point) -> Way {
        let (store, backup) = (point.store.clone(), point.backup.clone());
        Way::Point { store, backup, timeline: point.timeline, name: point.name.clone() }
    }
}

/// The way back that a plan leads to; a backup that is still to be taken is called `ID`.
pub fn foreseen(plan: &Plan<'_>, policy: &Policy) -> Option<Way> {
    let name = plan.name.clone();
    match &plan.chosen {
        // The timeline is the server's when the point is made.
        Chosen::Point(base) => Some(Way::Point { store: base.store.clone(), backup: base.backup.clone(), timeline: base.timeline, name }),
        Chosen::Backup { job, backup, point_too } => {
            let (store, id) = (policy.store_of(job)?.clone(), "ID".parse().ok()?);
            Some(match (&backup.method, databases(policy, &backup.method)) {
                (_, Some(databases)) => Way::Dump { store, backup: id, databases },
                (Method::Files(_), _) => Way::Files { store, backup: id },
                _ if point_too.is_some() => Way::Point { store, backup: id, timeline: (*point_too)?, name },
                _ => Way::Immediate { store, backup: id },
            })
        }
    }
}

/// The restore has to be told where the identity is.
pub fn needs_identity(policy: &Policy) -> bool {
    policy.encryption.as_ref().is_some_and(|encryption| encryption.is_sealed() && encryption.identity().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_names_whatever_the_label_is() {
        let now: Instant = "2026-11-22T03:50:37Z".parse().expect("a moment");
        for (label, begins) in [
            ("guard psql", "guard-guard-psql-20261122t035037z-"),
            ("before #42: Größe; drop table x --", "guard-before-42-gr-e-drop-tabl-20261122t035037z-"),
            ("…", "guard-20261122t035037z-"),
            ("aaaaaaaaaaaaaaaaaaaaaaa bbbb", "guard-aaaaaaaaaaaaaaaaaaaaaaa-20261122t035037z-"),
        ] {
            let name = name(label, now).expect("a name");
            assert!(name.as_str().starts_with(begins), "{name}");
        }
        assert_ne!(name("x", now), name("x", now));
    }
}
