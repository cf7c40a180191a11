//! How much is lost at worst.

use super::answer::Stock;
use super::figures::{Figure, Figures, Lack, Sum};
use super::outcome::{Origin, PartKind};
use super::question::Question;
use super::steady;
use crate::policy::model::{Backup, Method, Wal};
use crate::policy::path::PolicyPath;
use crate::units::{Duration, Name};

/// What was written since the last segment that is safe: it waits for the timeout, and then for the push.
pub(super) fn point_in_time(figures: &Figures<'_>, question: &Question<'_>, wal: &Wal, log: &Name, lags: bool) -> Sum {
    let mut sum = Sum::default();
    let timeout = declared("wal.timeout", wal.timeout, ["wal", "timeout"].into());
    sum.figure(PartKind::WalTimeout, "written data waits for `wal.timeout` (an idle database loses nothing)", &timeout);
    let push = figures.push();
    let goes = match () {
        () if lags || *log == wal.store => format!("the segment goes into `{}`", wal.store),
        () => format!("the segment goes into `{}` and `{log}`, and both are waited for", wal.store),
    };
    sum.figure(PartKind::Push, goes, &push);
    if lags {
        sum.figure(PartKind::Copy, format!("it goes on to `{log}`, which acknowledges later"), &push);
    }
    replication(figures, question, log, &mut sum);
    sum
}

/// The moment just before the next backup is there: all since the state of the one before.
///
/// Run k starts at s, its backup is complete at s + d and holds the state of s (a dump) or of s + d (a physical backup).
/// The next one starts a gap later and is complete after that gap + d. So a dump loses gap + d. A physical backup loses
/// gap + d − d', d' being what the earlier run took: d is only known as a bound, and d' may be as short as it likes.
pub(super) fn newest_backup(figures: &Figures<'_>, question: &Question<'_>, stock: &Stock<'_>) -> Sum {
    let mut sum = Sum::default();
    let name = stock.name;
    if let Some((gap, label)) = gap(figures, stock) {
        sum.add(PartKind::Gap, label, gap, Vec::new());
    }
    match figures.takes(name) {
        Ok((takes, rests_on)) => sum.add(PartKind::Backup, format!("the next backup of `{name}` is not complete yet"), takes, rests_on),
        Err(lack) => sum.lack(lack),
    }
    if let Some(within) = stock.within {
        let within = declared("within", within, ["backups", name.as_str(), "copies"].into());
        sum.figure(PartKind::Copy, format!("nor copied to `{}`", stock.store), &within);
    }
    replication(figures, question, stock.store, &mut sum);
    sum
}

/// The longest time between two of a job's backups in one store, and how that is said.
pub(super) fn gap(figures: &Figures<'_>, stock: &Stock<'_>) -> Option<(Duration, String)> {
    let name = stock.name;
    let of_all = figures.job(name).and_then(|(name, _)| figures.gap(name))?;
    let (Some(tier), Some(schedule)) = (stock.only, &stock.backup.schedule) else {
        return Some((of_all.length, format!("longest gap of backups.{name}: {of_all}")));
    };
    let runs = (schedule, figures.window(stock.backup));
    let gap = steady::longest_between_firsts(runs, tier, &stock.keep.zone, figures.now).max(of_all.length);
    Some((gap, format!("longest gap of the {tier} backups of `{name}` in `{}`: {gap}", stock.store)))
}

/// A scenario that names a store which replicates itself may be left with the replica.
fn replication(figures: &Figures<'_>, question: &Question<'_>, store: &Name, sum: &mut Sum) {
    let Some(replicated) = figures.policy.stores.get(store).and_then(|store| store.replicated.as_ref()) else { return };
    if !question.from.contains(store) {
        return;
    }
    let figure = Figure {
        value: replicated.lag.unwrap_or(Duration::from_mins(15)),
        name: "replicated.lag".into(),
        origin: replicated.lag.map_or(Origin::Default, |_| Origin::Declared(["stores", store.as_str(), "replicated", "lag"].into())),
        declared: replicated.lag,
    };
    sum.figure(PartKind::Replication, format!("`{store}` replicates itself to {}", replicated.to), &figure);
}

pub(super) fn promotion(figures: &Figures<'_>) -> Sum {
    let mut sum = Sum::default();
    sum.figure(PartKind::StandbyLag, "the standby may be behind", &figures.standby_lag());
    sum
}

/// What somebody else's backups lose: no more than the age that the policy says they may have. Nothing of this version looks whether they
/// have it. With who they are.
///
/// Where they offer any moment the loss is less, but how much less only they know; the bound counts where it is enough.
pub(super) fn external(name: &Name, backup: &Backup, target: Option<Duration>) -> Option<(Sum, &'static str)> {
    let (kind, who, newest_within, any_moment, loses) = match &backup.method {
        Method::Provider(provider) => {
            ("provider", "the provider", Some(provider.newest_within), provider.any_moment, provider.loses_at_most)
        }
        Method::Engine(engine) => {
            let who = match engine {
                _ if engine.pgbackrest.is_some() => "pgBackRest",
                _ if engine.wal_g.is_some() => "WAL-G",
                _ => "Barman",
            };
            ("engine", who, engine.newest_within, engine.any_moment, engine.loses_at_most)
        }
        _ => return None,
    };
    let mut sum = Sum::default();
    if let Some(loses) = loses {
        let figure = declared("loses_at_most", loses, ["backups", name.as_str(), kind, "loses_at_most"].into());
        sum.figure(PartKind::Elsewhere, format!("a recovery of `{name}` is said to lose no more"), &figure);
        return Some((sum, who));
    }
    let bound_is_enough = newest_within.zip(target).is_none_or(|(bound, target)| bound <= target);
    match newest_within {
        Some(bound) if any_moment.is_none() || bound_is_enough => {
            let figure = declared("newest_within", bound, ["backups", name.as_str(), kind, "newest_within"].into());
            sum.figure(PartKind::Elsewhere, format!("the newest backup of `{name}` is said to be no older, and nobody looks"), &figure);
        }
        _ => sum.lack(Lack { reason: format!("how much is lost is in the hands of {who}"), key: None }),
    }
    Some((sum, who))
}

pub(super) fn declared(name: &str, value: Duration, path: PolicyPath) -> Figure<Duration> {
    Figure { value, name: name.into(), origin: Origin::Declared(path), declared: Some(value) }
}
