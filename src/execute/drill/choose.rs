//! What a drill restores: by the policy, or as somebody asked.

use super::{DrillFault, Wishes};
use crate::catalog::{Catalog, Filter, Outcome};
use crate::execute::restore::candidates;
use crate::inventory::{Backup, BackupKind, BackupState, StoreInventory};
use crate::observe::{self, Eyes};
use crate::plan::minute;
use crate::policy::file::DrillMoment;
use crate::policy::model::{Drill, DrillRestore};
use crate::recovery::{Target, Window, reach_back};
use crate::schedule::Schedule;
use crate::site::{Found, Site};
use crate::units::{BackupId, Duration, Instant, Name};

/// What shall come back.
#[derive(Debug, Clone)]
pub(super) struct Goal {
    pub target: Target,
    pub backup: Option<BackupId>,
    pub store: Option<Name>,
    /// All that is archived shall come back: what was written after the backup too.
    pub newest: bool,
    /// Stores that were passed over, and why.
    pub passed_over: Vec<String>,
}

/// A backup may be late by so much, or by twice what the longest took.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// What a store has, as far as a drill chooses from it.
struct Seen {
    name: Name,
    /// Its address, as the record of runs has it.
    url: String,
    inventory: StoreInventory,
}

pub(super) fn choose(site: &Site<'_>, catalog: Option<&Catalog>, drill: &Drill, wishes: &Wishes, now: Instant) -> Result<Goal, DrillFault> {
    let store = wishes.store.clone().or_else(|| drill.from.clone());
    let goal = |target: Target, backup: Option<BackupId>, newest: bool| Goal {
        target,
        backup,
        store: store.clone(),
        newest,
        passed_over: Vec::new(),
    };
    let archives = site.policy.wal.is_some();
    let to_the_end = || if archives { Target::Latest } else { Target::Immediate(None) };
    if let Some(target) = &wishes.target {
        return Ok(goal(target.clone(), wishes.backup.clone(), false));
    }
    if let Some(backup) = &wishes.backup {
        let own_end = matches!(drill.restore, DrillRestore::Random(_));
        let target = if own_end { Target::Immediate(None) } else { to_the_end() };
        return Ok(goal(target, Some(backup.clone()), archives && !own_end));
    }
    let restore = if wishes.random { &DrillRestore::PointInTime(DrillMoment::Random) } else { &drill.restore };
    Ok(match restore {
        DrillRestore::PointInTime(DrillMoment::Newest) => goal(to_the_end(), None, archives),
        DrillRestore::PointInTime(DrillMoment::Random) => {
            let find = |seen: &Seen| Ok(some_moment(&seen.inventory, random()?));
            let (moment, passed_over) = look(site, &candidates(site.policy, store.as_ref()), now, &find, "no moment of the log")?;
            Goal { passed_over, ..goal(Target::Time(moment), None, false) }
        }
        DrillRestore::Latest(job) => {
            let newest = |seen: &Seen| {
                let newest = of_job(seen, job).max_by_key(|backup| backup.moment());
                must_be_the_newest(site, catalog, seen, job, newest, now)?;
                Ok(newest.map(|backup| backup.id.clone()))
            };
            let names = stores(site, job, store.as_ref());
            let (backup, passed_over) = look(site, &names, now, &newest, &format!("no backup of `{job}`"))?;
            Goal { passed_over, ..goal(to_the_end(), Some(backup), archives) }
        }
        DrillRestore::Random(job) => {
            let some = |seen: &Seen| {
                let all: Vec<&Backup> = of_job(seen, job).collect();
                Ok(pick(all.len() as u64, random()?).and_then(|at| all.get(usize::try_from(at).ok()?)).map(|backup| backup.id.clone()))
            };
            let names = stores(site, job, store.as_ref());
            let (backup, passed_over) = look(site, &names, now, &some, &format!("no backup of `{job}`"))?;
            Goal { passed_over, ..goal(Target::Immediate(None), Some(backup), false) }
        }
    })
}

/// The first store that has it, and those before it that could not be asked: they are not passed over in silence. What is wrong with a store
/// that could be asked ends it, whatever the next one has.
fn look<T>(
    site: &Site<'_>,
    names: &[Name],
    now: Instant,
    find: &dyn Fn(&Seen) -> Result<Option<T>, DrillFault>,
    nothing: &str,
) -> Result<(T, Vec<String>), DrillFault> {
    let mut first: Option<DrillFault> = None;
    let (mut asked, mut passed_over) = (Vec::new(), Vec::new());
    let of = |name: &Name, fault: DrillFault| DrillFault::new(format!("store `{name}`: {}", fault.message), fault.hint);
    for name in names {
        let found = match seen(site, name, now) {
            Ok(Some(seen)) => find(&seen).map_err(|fault| of(name, fault))?,
            Ok(None) => None,
            Err(fault) => {
                passed_over.push(format!("the store `{name}` was passed over: {}", fault.message));
                first.get_or_insert(of(name, fault));
                continue;
            }
        };
        match found {
            Some(found) => return Ok((found, passed_over)),
            None => asked.push(format!("`{name}`")),
        }
    }
    Err(first.unwrap_or_else(|| {
        let message = format!("there is {nothing} to restore in {}", asked.join(", "));
        DrillFault::new(message, "`seawall list` shows what is there.")
    }))
}

fn seen(site: &Site<'_>, name: &Name, now: Instant) -> Result<Option<Seen>, DrillFault> {
    let store = site.store(name)?;
    let Some(Found { repository, .. }) = site.find_repository(&store)? else { return Ok(None) };
    let writers = site.writers()?;
    let identities = site.identities(None).unwrap_or_default();
    let eyes = Eyes { policy: site.policy.name.as_str(), writers: &writers, identities: &identities, now };
    let inventory = observe::look_settled(&store, repository, &eyes)?.inventory;
    Ok(Some(Seen { name: name.clone(), url: store.url(), inventory }))
}

fn of_job<'s>(seen: &'s Seen, job: &'s Name) -> impl Iterator<Item = &'s Backup> {
    // Files of which some could not be read are what a recovery would bring back all the same.
    let can_be_had = |backup: &Backup| match backup.state {
        BackupState::Complete => true,
        BackupState::Damaged => backup.kind == BackupKind::Files,
        _ => false,
    };
    seen.inventory.backups.iter().filter(move |backup| backup.job == *job && can_be_had(backup))
}

/// Where backups of this job are. With the log of physical ones goes its store.
/// The stores that are asked for it.
pub(super) fn sources(site: &Site<'_>, drill: &Drill, wishes: &Wishes) -> Vec<Name> {
    let only = wishes.store.as_ref().or(drill.from.as_ref());
    match &drill.restore {
        DrillRestore::PointInTime(_) => candidates(site.policy, only),
        DrillRestore::Latest(job) | DrillRestore::Random(job) => stores(site, job, only),
    }
}

fn stores(site: &Site<'_>, job: &Name, only: Option<&Name>) -> Vec<Name> {
    let is_physical = site.policy.backups.get(job).is_some_and(|backup| backup.method.is_physical());
    match only {
        None if !is_physical => site.policy.stores_of(job).into_iter().cloned().collect(),
        only => candidates(site.policy, only),
    }
}

/// A store that lost its newest backups still has others, and restoring one of those would prove the wrong thing.
fn must_be_the_newest(
    site: &Site<'_>,
    catalog: Option<&Catalog>,
    seen: &Seen,
    job: &Name,
    newest: Option<&Backup>,
    now: Instant,
) -> Result<(), DrillFault> {
    let backup = site.policy.backups.get(job);
    // Second copies come later, and of a job without a schedule nothing is expected.
    let schedule = backup.filter(|backup| backup.store.as_ref() == Some(&seen.name)).and_then(|backup| backup.schedule.as_ref());
    let of_job: Vec<&Backup> = seen.inventory.backups.iter().filter(|backup| backup.job == *job).collect();
    let by_schedule = || match schedule.and_then(|schedule| lacks_since(schedule, &of_job, now)) {
        Some(due) => Err(is_gone(&format!("the backup that was due at {} is not there", minute(due)), newest)),
        None => Ok(()),
    };
    let Some(catalog) = catalog else { return by_schedule() };
    let path = format!("backups.{job}");
    let filter = Filter {
        policy: Some(site.policy.name.as_str()),
        job: Some(&path),
        outcome: Some(Outcome::Succeeded),
        limit: 1,
        ..Filter::default()
    };
    // A host that only drills has nothing on record of whoever takes the backups.
    let Some(last) = catalog.history(&filter)?.into_iter().next() else { return by_schedule() };
    let (Some(id), Some(ended)) = (&last.backup, last.ended) else { return Ok(()) };
    let is_elsewhere = last.store.as_deref() != Some(seen.url.as_str());
    let is_there = seen.inventory.backups.iter().any(|backup| backup.id.as_str() == id);
    let is_older = newest.is_some_and(|newest| newest.moment() >= ended);
    if is_elsewhere || is_there || is_older {
        return Ok(());
    }
    Err(is_gone(&format!("backup {id}, taken at {} by the record, is not there any more", minute(ended)), newest))
}

fn is_gone(what: &str, newest: Option<&Backup>) -> DrillFault {
    let left = newest.map_or_else(
        || "there is no other one".to_owned(),
        |newest| format!("the newest that is left is {}, of {}", newest.id, minute(newest.moment())),
    );
    let hint = "Find out what became of it, and take a backup now. `--backup ID` drills another one meanwhile.";
    DrillFault::new(format!("{what}; {left}"), hint)
}

/// The newest firing that had time enough and of which nothing is there.
fn lacks_since(schedule: &Schedule, of_job: &[&Backup], now: Instant) -> Option<Instant> {
    let all = || of_job.iter();
    let took = all().filter_map(|backup| Some(Duration::between(backup.started, backup.stopped?))).max().unwrap_or_default();
    let done = now.saturating_sub((took * 2).max(PATIENCE).to_signed()).ok()?;
    let due = if schedule.fires_at(done) { done } else { schedule.previous_before(done)? };
    // Before the first one there is nothing to lose, and one that is under way may yet come.
    let is_first = all().map(|backup| backup.started).min().is_none_or(|first| first >= due);
    let is_there = all().any(|backup| backup.moment() >= due && backup.state != BackupState::Failed);
    (!is_first && !is_there).then_some(due)
}

/// Each moment that the log covers is as likely as every other.
fn some_moment(inventory: &StoreInventory, random: u64) -> Option<Instant> {
    within(&reach_back(inventory, None).windows, random)
}

fn within(windows: &[Window], random: u64) -> Option<Instant> {
    let mut left = pick(windows.iter().map(length).sum(), random)?;
    for window in windows {
        if left < length(window) {
            return Instant::from_microsecond(window.from.as_microsecond() + i64::try_from(left).ok()?).ok();
        }
        left -= length(window);
    }
    None
}

/// In microseconds; both of its ends can be had.
fn length(window: &Window) -> u64 {
    u64::try_from(window.to.as_microsecond() - window.from.as_microsecond()).map_or(0, |length| length + 1)
}

fn pick(of: u64, random: u64) -> Option<u64> {
    random.checked_rem(of)
}

fn random() -> Result<u64, DrillFault> {
    getrandom::u64().map_err(|error| DrillFault::new(format!("there is no randomness: {error}"), ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_moment_is_as_likely_as_every_other() {
        let window = |from: i64, to: i64| {
            let moment = |micros| Instant::from_microsecond(micros).expect("a moment");
            Window { from: moment(from), to: moment(to), base: "b".parse().expect("an id") }
        };
        let windows = [window(1_000, 1_003), window(2_000, 2_005)];
        let all: u64 = windows.iter().map(length).sum();
        assert_eq!(all, 10);
        let mut seen: Vec<i64> = (0..all).filter_map(|random| within(&windows, random)).map(|at| at.as_microsecond()).collect();
        seen.sort_unstable();
        assert_eq!(seen, [1_000, 1_001, 1_002, 1_003, 2_000, 2_001, 2_002, 2_003, 2_004, 2_005]);
        assert_eq!(within(&windows, 10), within(&windows, 0));
        assert_eq!(within(&[], 7), None);
    }

    #[test]
    fn a_backup_that_was_due_and_is_not_there_is_missed() {
        let nightly = Schedule::cron("0 2 * * *", crate::schedule::Zone::utc()).expect("an expression");
        let backup = |started: &str, stopped: &str, state: &str| -> Backup {
            let id = started.replace(['-', ':'], "");
            serde_json::from_str(&format!(
                r#"{{"id":"{id}-7f3c","job":"nightly","kind":"full","state":"{state}","started":"{started}","stopped":"{stopped}"}}"#
            ))
            .expect("a backup")
        };
        let first = backup("2026-11-20T02:00:00Z", "2026-11-20T03:00:00Z", "complete");
        let second = backup("2026-11-21T02:00:00Z", "2026-11-21T03:00:00Z", "complete");
        let failed = backup("2026-11-21T02:00:00Z", "2026-11-21T02:01:00Z", "failed");
        let lacks = |backups: &[&Backup], now: &str| lacks_since(&nightly, backups, now.parse().expect("a moment")).map(minute);
        assert_eq!(lacks(&[&first, &second], "2026-11-21T05:00:00Z"), None);
        assert_eq!(lacks(&[&first], "2026-11-21T05:00:00Z").as_deref(), Some("2026-11-21 02:00 UTC"));
        assert_eq!(lacks(&[&first, &failed], "2026-11-21T05:00:00Z").as_deref(), Some("2026-11-21 02:00 UTC"));
        // It may take twice what one took, and before the first one none was there.
        assert_eq!(lacks(&[&first], "2026-11-21T03:59:00Z"), None);
        assert_eq!(lacks(&[], "2026-11-21T05:00:00Z"), None);
        assert_eq!(lacks(&[&second], "2026-11-21T05:00:00Z"), None);
    }
}
