//! How far back each job reaches in each store, and whether that is what was promised.

use super::answer::whole_dump;
use super::figures::Figures;
use super::outcome::{Oldest, ReachRow};
use super::steady::{Back, Runs};
use crate::policy::finding::{Code, Finding};
use crate::policy::model::{Backup, Method};
use crate::policy::path::PolicyPath;
use crate::retention::{Keep, Tier, TierKind};
use crate::units::{Name, Period};

const NOT_REACHED: Code = Code(405);

/// One job in one store.
pub(super) struct JobReach<'p> {
    pub row: ReachRow,
    /// `None`: to the first backup.
    back: Option<Back>,
    job: &'p Name,
    backup: &'p Backup,
    keep: &'p Keep,
    /// Where that rule is declared.
    path: PolicyPath,
    only: Option<TierKind>,
}

pub(super) fn reach<'p>(figures: &Figures<'p>) -> Vec<JobReach<'p>> {
    let mut all = Vec::new();
    let is_taken = |backup: &Backup| backup.method.is_stored() && backup.method.runs_in_this_version() && backup.schedule.is_some();
    for (job, backup) in figures.policy.backups.iter().filter(|(_, backup)| is_taken(backup)) {
        let path = PolicyPath::from(["backups", job.as_str()]);
        let Some(store) = &backup.store else { continue };
        let first = Stay { store, keep: &backup.keep, only: None, path: path.key("keep") };
        let copies = backup.copies.iter().filter(|copy| !copy.stays_empty()).map(|copy| {
            let inherited = copy.keep == backup.keep;
            let path = if inherited { path.key("keep") } else { path.key("copies").key(&copy.store).key("keep") };
            Stay { store: &copy.store, keep: &copy.keep, only: copy.finest_tier(), path }
        });
        let mut known: Option<Option<Back>> = None;
        for stay in std::iter::once(first).chain(copies) {
            // What a copy inherits is worked out once.
            let alike = known.filter(|_| stay.only.is_none() && *stay.keep == backup.keep);
            let Some(back) = alike.or_else(|| Some(runs(figures, job, backup, stay.only)?.back(stay.keep))) else { continue };
            known = known.or(Some(back));
            all.push(in_one_store(figures, job, backup, stay, back));
        }
    }
    all
}

/// A job's backups in one store, and how long they stay there.
struct Stay<'p> {
    store: &'p Name,
    keep: &'p Keep,
    only: Option<TierKind>,
    path: PolicyPath,
}

fn in_one_store<'p>(figures: &Figures<'p>, job: &'p Name, backup: &'p Backup, stay: Stay<'p>, back: Option<Back>) -> JobReach<'p> {
    let Stay { store, keep, only, path } = stay;
    let logged = figures.policy.wal.as_ref().filter(|wal| wal.store == *store || wal.copies.contains(store));
    let row = ReachRow {
        job: job.clone(),
        store: store.clone(),
        oldest: back.map_or(Oldest::First, Back::oldest),
        any_moment: logged.filter(|_| backup.method.is_physical()).map(|wal| wal.keep),
        density: density(keep),
    };
    JobReach { row, back, job, backup, keep, path, only }
}

fn runs<'p>(figures: &Figures<'p>, job: &'p Name, backup: &'p Backup, only: Option<TierKind>) -> Option<Runs<'p>> {
    let schedule = backup.schedule.as_ref()?;
    let longest = figures.gap(job)?;
    Some(Runs {
        schedule,
        longest,
        only,
        now: figures.now,
        windowed: backup.window.is_some() && longest.length > schedule.longest_gap(figures.now).length,
        shortest: Default::default(),
        play: Default::default(),
    })
}

/// `every one for 1d, then daily for 30 days, then yearly for 7 years`
fn density(keep: &Keep) -> String {
    let mut words = Vec::new();
    if let Some(count) = keep.last {
        words.push(format!("the newest {count}"));
    }
    if let Some(period) = keep.within {
        words.push(format!("every one for {period}"));
    }
    for (kind, tier) in keep.tiers() {
        words.push(match tier {
            Tier::Count(1) => format!("{kind} for 1 {}", kind.bucket_word()),
            Tier::Count(count) => format!("{kind} for {count} {}s", kind.bucket_word()),
            Tier::For(period) => format!("{kind} for {period}"),
        });
    }
    if words.is_empty() { "every one, for ever".into() } else { words.join(", then ") }
}

pub(super) fn judge<'p>(figures: &Figures<'p>, reach: &[JobReach<'p>]) -> Vec<Finding> {
    let objectives = &figures.policy.objectives;
    let any = objectives.any_moment.and_then(|period| any_moment(figures, period));
    let some = objectives.some_backup.and_then(|period| some_backup(figures, reach, period));
    any.into_iter().chain(some).collect()
}

fn any_moment(figures: &Figures<'_>, wanted: Period) -> Option<Finding> {
    let policy = figures.policy;
    let path = PolicyPath::from(["objectives", "reach_back", "any_moment"]);
    let by_others = policy.backups.values().filter_map(|backup| match &backup.method {
        Method::Provider(provider) => provider.any_moment,
        Method::Engine(engine) => engine.any_moment,
        _ => None,
    });
    let longest = by_others.max();
    if longest.is_some_and(|longest| Back::of_duration(longest).covers(wanted)) {
        return None;
    }
    let not = |why: String| Finding::error(NOT_REACHED, path.clone(), format!("any moment of the last {wanted} cannot be had: {why}"));
    let Some(wal) = &policy.wal else {
        return Some(match longest {
            Some(longest) => not(format!("only {longest} are offered")).hint("Ask for less here, or for more there (`any_moment`)."),
            None => not("the log is not archived".into()).hint("Add a `wal` section and a `physical` backup, or take `any_moment` out."),
        });
    };
    let in_store = |store: &Name| wal.store == *store || wal.copies.contains(store);
    let has_base = policy.backups.iter().any(|(name, backup)| {
        matches!(backup.method, Method::Physical(_)) && backup.schedule.is_some() && policy.stores_of(name).into_iter().any(in_store)
    });
    if !has_base {
        let hint = "Add a `physical` backup with a schedule that goes to the same store.";
        return Some(
            not("no physical backup goes where the log goes".into()).hint(hint).related(["wal", "store"].into(), "the log goes here"),
        );
    }
    let too_short = !Back::of_period(wal.keep).covers(wanted);
    too_short.then(|| {
        not(format!("the log is kept for {}", wal.keep))
            .label(format!("`wal.keep` is {}", wal.keep))
            .hint(format!("Write `wal.keep: {wanted}`, or promise no more than {}.", wal.keep))
            .related(["wal", "keep"].into(), "kept for so long")
    })
}

impl JobReach<'_> {
    fn weight(&self) -> i64 {
        self.back.map_or(i64::MAX, Back::weight)
    }
}

/// What reaches furthest back of all that holds everything: a job alone, or a dump of each database, of which the shortest counts.
fn furthest<'r, 'p>(figures: &Figures<'p>, reach: &'r [JobReach<'p>]) -> Option<&'r JobReach<'p>> {
    let policy = figures.policy;
    let dumps = |job: &JobReach<'p>, database: &String| {
        whole_dump(job.backup).is_some() && policy.dumped(&job.backup.method).is_some_and(|all| all.contains(database))
    };
    let of_database = |database: &String| reach.iter().filter(|job| dumps(job, database)).max_by_key(|job| job.weight());
    let of_each: Option<Vec<_>> = policy.databases.iter().map(of_database).collect();
    let together = of_each.and_then(|each| each.into_iter().min_by_key(|job| job.weight()));
    let alone = reach.iter().filter(|job| job.backup.method.is_physical());
    alone.chain(together).max_by_key(|job| job.weight())
}

fn some_backup<'p>(figures: &Figures<'p>, reach: &[JobReach<'p>], wanted: Period) -> Option<Finding> {
    let path = PolicyPath::from(["objectives", "reach_back", "some_backup"]);
    let Some(best) = furthest(figures, reach) else {
        let not = |why: &str| Finding::error(NOT_REACHED, path, format!("no backup that is {wanted} old can be had: {why}"));
        return Some(match reach {
            [] => not("none is taken by the clock")
                .hint("Add a `physical` or a `logical` backup with a schedule, or take `some_backup` out."),
            _ => not("none that is taken by the clock holds every database, whole")
                .hint("Add a `physical` backup, or dumps of all databases in `cluster.databases` that leave nothing out, or take `some_backup` out."),
        });
    };
    let back = best.back.filter(|back| !back.covers(wanted))?;
    let (message, why) = match back.oldest() {
        Oldest::AtLeast(period) => (
            format!("a backup that is {wanted} old is not always there: the oldest may be only {period} old"),
            format!("guarantees {period}"),
        ),
        _ => {
            (format!("a backup that is {wanted} old is not always there: only the newest is certain"), "guarantees only the newest".into())
        }
    };
    let hint = match mend(figures, best, wanted) {
        Some((kind, count)) => {
            format!("Write `{kind}: {count}` in `{}`: when the oldest goes, the newest {} has only begun.", best.path, kind.bucket_word())
        }
        None => "Keep backups longer, or promise less.".into(),
    };
    Some(Finding::error(NOT_REACHED, path, message).label(format!("`{}` {why}", best.path)).hint(hint).related(best.path.clone(), why))
}

/// So many more of a tier are a small change.
const A_FEW: u32 = 3;

/// The tier and the count that would do.
fn mend<'p>(figures: &Figures<'p>, job: &JobReach<'p>, wanted: Period) -> Option<(TierKind, u32)> {
    let runs = runs(figures, job.job, job.backup, job.only)?;
    let enough = |kind: TierKind, count: u32| {
        let mut keep = Keep::everything(job.keep.zone.clone());
        let tier = Some(Tier::Count(count));
        match kind {
            TierKind::Hourly => keep.hourly = tier,
            TierKind::Daily => keep.daily = tier,
            TierKind::Weekly => keep.weekly = tier,
            TierKind::Monthly => keep.monthly = tier,
            TierKind::Quarterly => keep.quarterly = tier,
            TierKind::Yearly => keep.yearly = tier,
        }
        runs.back(&keep).is_some_and(|back| back.covers(wanted))
    };
    // Where little is missing, a few more of what is kept already.
    if let Some((kind, Tier::Count(kept))) = job.keep.tiers().last()
        && let Some(count) = (kept + 1..=kept + A_FEW).find(|count| enough(kind, *count))
    {
        return Some((kind, count));
    }
    let days = wanted.approximate().as_secs() / 86_400;
    let fitting = match days {
        365.. => TierKind::Yearly,
        60.. => TierKind::Monthly,
        2.. => TierKind::Daily,
        _ => TierKind::Hourly,
    };
    let kind = job.keep.tiers().map(|(kind, _)| kind).filter(|kind| *kind >= fitting).last().unwrap_or(fitting);
    // The first that can do at all, and some more.
    let least = u32::try_from(wanted.approximate().as_secs() / longest_bucket(kind)).unwrap_or(u32::MAX).clamp(1, 10_000);
    (least..least + 60).find(|count| enough(kind, *count)).map(|count| (kind, count))
}

fn longest_bucket(kind: TierKind) -> u64 {
    match kind {
        TierKind::Hourly => 3_600,
        TierKind::Daily => 86_400,
        TierKind::Weekly => 7 * 86_400,
        TierKind::Monthly => 31 * 86_400,
        TierKind::Quarterly => 92 * 86_400,
        TierKind::Yearly => 366 * 86_400,
    }
}
