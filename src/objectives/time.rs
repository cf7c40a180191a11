//! How long a recovery takes at worst.

use super::answer::Stock;
use super::figures::{Figure, Figures, Lack, Sum};
use super::outcome::PartKind;
use super::question::Question;
use crate::policy::file::Recover;
use crate::policy::model::Method;
use crate::units::{Bytes, Duration, Name};

/// How much log is replayed.
pub(super) enum Run<'p> {
    /// All since the start of this job's newest backup that was complete.
    Since { job: Stock<'p> },
    /// Only what was written while this job's backup ran.
    During { job: Stock<'p> },
}

/// A physical backup, its increments, and the log.
pub(super) fn physical(
    figures: &Figures<'_>,
    question: &Question<'_>,
    base: &Stock<'_>,
    increments: Option<&Stock<'_>>,
    log: Option<&Name>,
    run: &Run<'_>,
) -> Sum {
    let mut sum = begin(figures, true);
    let backups = std::iter::once(base).chain(increments).map(|stock| figures.thaw(stock.store).map(|thaw| (stock.store, thaw)));
    thaw(backups.chain(log.map(|log| figures.thaw(log).map(|thaw| (log, thaw)))), &mut sum);
    if rehearsed(figures, question, &mut sum) {
        return sum;
    }
    let rate = figures.restore_rate(base.store);
    let whole = figures.size(base.name);
    let first = question.tier.and_then(|tier| tier.size);
    // What is loaded into a new database may take longer than all of the cluster, which comes back as files.
    let load = figures.load_rate();
    let is_sooner =
        |size: &Bytes| !whole.as_ref().is_ok_and(|whole| whole.value.at(rate.value) < size.at(rate.value) + size.at(load.value));
    let first = first.filter(is_sooner);
    match (first, whole) {
        (Some(size), _) => {
            let figure = declared_tier_size(question, size);
            sum.add(
                PartKind::Restore,
                format!("these tables first: {} from `{}` at {}", size.told(), base.store, rate.value.told()),
                size.at(rate.value),
                vec![figure.clone(), rate.basis()],
            );
            sum.add(
                PartKind::Load,
                format!("their load into a new database, at {}", load.value.told()),
                size.at(load.value),
                vec![figure, load.basis()],
            );
        }
        (None, Ok(size)) => sum.add(
            PartKind::Restore,
            format!("fetch and restore {} from `{}` at {}", size.value.told(), base.store, rate.value.told()),
            size.value.at(rate.value),
            vec![size.basis(), rate.basis()],
        ),
        (None, Err(lack)) => sum.lack(lack),
    }
    if let Some(increments) = increments {
        let count = match &increments.backup.method {
            Method::Incremental { chain, .. } => u64::from(chain.unwrap_or(1)),
            _ => 1,
        };
        match figures.size(increments.name) {
            Ok(size) => {
                let all = Bytes::new(size.value.get().saturating_mul(count));
                let label = format!("up to {count} of `{}`, {} each, at {}", increments.name, size.value.told(), rate.value.told());
                sum.add(PartKind::Increments, label, all.at(rate.value), vec![size.basis(), rate.basis()]);
            }
            Err(lack) => sum.lack(lack),
        }
    }
    replay(figures, run, &mut sum);
    end(figures, &mut sum);
    sum.at_most = question.is_a_part();
    sum
}

/// Some tables of what holds more, to the end, where drills have measured them.
fn rehearsed(figures: &Figures<'_>, question: &Question<'_>, sum: &mut Sum) -> bool {
    let name = question.subject.name.as_ref().filter(|_| question.is_a_part());
    let Some((name, took)) = name.and_then(|name| Some((name, figures.rehearsed(name)?))) else { return false };
    sum.figure(PartKind::Restore, format!("what `{name}` asks for, as drills of it took"), &took);
    end(figures, sum);
    true
}

fn replay(figures: &Figures<'_>, run: &Run<'_>, sum: &mut Sum) {
    let wal = match figures.wal_per_hour() {
        Ok(wal) => wal,
        Err(lack) => return sum.lack(lack),
    };
    let (job, since) = match run {
        Run::Since { job } => (job, true),
        Run::During { job } => (job, false),
    };
    let (takes, mut basis) = match figures.takes(job.name) {
        Ok(takes) => takes,
        Err(lack) => return sum.lack(lack),
    };
    let gap = super::loss::gap(figures, job).map_or(Duration::ZERO, |(gap, _)| gap);
    // Just before the next backup is there, all since the start of the last one has to be replayed.
    let length = if since { gap + takes + job.within.unwrap_or(Duration::ZERO) } else { takes };
    let rate = figures.replay_rate();
    let volume = u128::from(wal.value.get()) * u128::from(length.as_secs()) / 3_600;
    let volume = Bytes::new(u64::try_from(volume).unwrap_or(u64::MAX));
    basis.extend([wal.basis(), rate.basis()]);
    let what = if since { "the longest run of the log" } else { "the log written during the backup" };
    let label = format!("replay of {what}: {length} at {} an hour, {} at {}", wal.value.told(), volume.rounded(), rate.value.told());
    sum.add(PartKind::Replay, label, volume.at(rate.value), basis);
}

/// Dumps, loaded one after the other.
pub(super) fn load(figures: &Figures<'_>, question: &Question<'_>, dumps: &[Stock<'_>]) -> Sum {
    let new_server = question.recover == Recover::Cluster || question.tier.is_some() || question.subject.name.is_none();
    let mut sum = begin(figures, new_server);
    thaw(dumps.iter().map(|dump| figures.thaw(dump.store).map(|thaw| (dump.store, thaw))), &mut sum);
    if rehearsed(figures, question, &mut sum) {
        return sum;
    }
    let rate = figures.load_rate();
    for dump in dumps {
        let tier = question.tier.and_then(|tier| tier.size).filter(|_| question.is_small());
        let (size, basis) = match (tier, figures.size(dump.name)) {
            (Some(size), _) => (size, declared_tier_size(question, size)),
            (None, Ok(size)) => (size.value, size.basis()),
            (None, Err(lack)) => {
                sum.lack(lack);
                continue;
            }
        };
        let label = format!("load of {} of `{}` from `{}` at {}", size.told(), dump.name, dump.store, rate.value.told());
        sum.add(PartKind::Load, label, size.at(rate.value), vec![basis, rate.basis()]);
    }
    end(figures, &mut sum);
    // A dump of chosen tables has nothing else.
    sum.at_most = question.is_a_part() && dumps.iter().all(|dump| matches!(dump.backup.method, Method::Logical(_)));
    sum
}

pub(super) fn files(figures: &Figures<'_>, _: &Question<'_>, stock: &Stock<'_>) -> Sum {
    let mut sum = begin(figures, false);
    thaw(std::iter::once(figures.thaw(stock.store).map(|thaw| (stock.store, thaw))), &mut sum);
    let rate = figures.restore_rate(stock.store);
    match figures.size(stock.name) {
        Ok(size) => {
            let label = format!("fetch {} from `{}` at {}", size.value.told(), stock.store, rate.value.told());
            sum.add(PartKind::Restore, label, size.value.at(rate.value), vec![size.basis(), rate.basis()]);
        }
        Err(lack) => sum.lack(lack),
    }
    end(figures, &mut sum);
    sum
}

pub(super) fn promotion(figures: &Figures<'_>, question: &Question<'_>) -> Sum {
    let mut sum = begin(figures, false);
    sum.figure(PartKind::Promote, "the standby is promoted", &figures.promote(question.subject.name.as_ref()));
    sum.figure(PartKind::Release, "the applications are let in", &figures.release());
    sum
}

pub(super) fn external(figures: &Figures<'_>, name: &Name) -> Sum {
    let mut sum = begin(figures, false);
    let takes = figures.job(name).and_then(|(_, backup)| match &backup.method {
        Method::Provider(provider) => Some(("provider", provider.recovery_takes?)),
        Method::Engine(engine) => Some(("engine", engine.recovery_takes?)),
        _ => None,
    });
    if let Some((kind, takes)) = takes {
        let figure = super::loss::declared("recovery_takes", takes, ["backups", name.as_str(), kind, "recovery_takes"].into());
        sum.figure(PartKind::Elsewhere, format!("the recovery of `{name}` is said to take no longer"), &figure);
        end(figures, &mut sum);
        return sum;
    }
    sum.lack(Lack { reason: format!("how long the restore of `{name}` takes is in other hands"), key: None });
    end(figures, &mut sum);
    sum
}

fn begin(figures: &Figures<'_>, new_server: bool) -> Sum {
    let mut sum = Sum::default();
    sum.figure(PartKind::Assess, "people find out what is wrong and decide", &figures.assess());
    if new_server {
        sum.figure(PartKind::Provision, "a server to restore onto is made ready", &figures.provision());
    }
    sum
}

/// Stores thaw at the same time.
fn thaw<'p>(stores: impl Iterator<Item = Option<(&'p Name, Figure<Duration>)>>, sum: &mut Sum) {
    let slowest = stores.flatten().max_by_key(|(_, thaw)| thaw.value);
    if let Some((store, thaw)) = slowest {
        sum.figure(PartKind::Thaw, format!("the archive class of `{store}` gives its objects free"), &thaw);
    }
}

fn end(figures: &Figures<'_>, sum: &mut Sum) {
    sum.figure(PartKind::Validate, "what came back is checked", &figures.validate());
    sum.figure(PartKind::Release, "the applications are let in", &figures.release());
}

fn declared_tier_size(question: &Question<'_>, size: Bytes) -> super::outcome::Basis {
    super::outcome::Basis {
        figure: "size of the tier".into(),
        value: size.to_string(),
        origin: super::outcome::Origin::Declared(question.subject.path.key("size")),
        declared: None,
    }
}
