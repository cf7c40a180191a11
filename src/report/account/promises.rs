//! Each promise held against what was found, and what follows: does it hold today?

use super::Past;
use super::shape::{DrillAccount, DrillsAccount, Figure, Loss, Objective, Predicted, State, StoreAccount, Verdict};
use crate::plan::minute;
use crate::plan::words::{counted, joined};
use crate::policy::model::{Policy, Scenario};
use crate::report::standing::{OnRecord, Standing};
use crate::report::words::{capital, lasting};
use crate::units::{Duration, Instant, Period};

/// What `seawall watch` writes at each look: how much would be lost now.
pub const ACHIEVED: &str = "recovery_point_seconds";
/// Under this name it writes what a recovery of the whole takes; under their own what scenarios do.
const EVERYTHING: &str = "everything";
/// A look that is older says little of now.
const STALE: Duration = Duration::from_mins(15);
/// What the stores hold is listed once an hour: an older list says little of now.
const LISTED: Duration = Duration::from_hours(3);

pub(super) fn loss(policy: &Policy, record: &OnRecord, standing: &Standing, past: &Past, now: Instant) -> Loss {
    let measured = record.measured.seen(ACHIEVED, "");
    let reckoned = standing.safe_until.map(|until| (now.as_second() - until.as_second()).max(0) as u64);
    let worst = past.loss.iter().max_by(|a, b| a.value.total_cmp(&b.value));
    Loss {
        promised_seconds: policy.objectives.rpo.map(Duration::as_secs),
        now_seconds: measured.map(|seconds| grown(seconds, standing.watched, now)).or(reckoned),
        as_of: standing.watched,
        worst: worst.map(|worst| Figure { at: worst.at, seconds: worst.value }),
        over_time: past.loss.iter().map(|part| Figure { at: part.at, seconds: part.value }).collect(),
    }
}

pub(super) fn objectives(
    policy: &Policy,
    record: &OnRecord,
    standing: &Standing,
    loss: &Loss,
    drills: &DrillsAccount,
    stores: &[StoreAccount],
    now: Instant,
) -> Vec<Objective> {
    let mut all = Vec::new();
    if let Some(rpo) = policy.objectives.rpo {
        all.push(recovery_point(rpo, standing, (loss.now_seconds, loss.as_of), now));
    }
    all.extend(policy.objectives.any_moment.map(|period| any_moment(period, policy, stores, now)));
    all.extend(policy.objectives.some_backup.map(|period| some_backup(period, policy, stores, now)));
    let rto = |path: String, what: String, promised: Duration, rehearsal: Option<&str>| {
        let predicted = predicted(record, rehearsal.unwrap_or(EVERYTHING));
        recovery_time((path, what, promised), rehearsed(policy, drills, rehearsal), predicted, standing)
    };
    if let Some(promised) = policy.objectives.rto {
        all.push(rto("objectives.rto".to_owned(), "it works again".to_owned(), promised, None));
    }
    for (name, scenario) in &policy.objectives.scenarios {
        if let Some(promised) = scenario.rto {
            let path = format!("objectives.scenarios.{name}.rto");
            all.push(rto(path, format!("it works again after {name}"), promised, Some(name.as_str())));
        }
    }
    for (name, tier) in &policy.objectives.data {
        let whole = rto(format!("objectives.data.{name}.rto"), format!("the tables of tier {name} are usable"), tier.rto, None);
        let failed = rehearsed(policy, drills, None).newest.is_some_and(|newest| newest.outcome == "failed");
        all.push(if failed { whole } else { part_of(whole) });
    }
    for (name, scenario) in &policy.objectives.scenarios {
        let seen = record.measured.seen(ACHIEVED, name.as_str()).map(|seconds| grown(seconds, loss.as_of, now));
        if let Some(rpo) = scenario.rpo.filter(|rpo| policy.objectives.rpo != Some(*rpo) || seen.is_some()) {
            let objective = recovery_point(rpo, standing, (seen.or(loss.now_seconds), loss.as_of), now);
            let path = format!("objectives.scenarios.{name}.rpo");
            let promises = format!("at most this much is lost after {name}");
            let objective = Objective { objective: path, promises, ..objective };
            all.push(if seen.is_some() { objective } else { elsewhere(policy, scenario, objective) });
        }
    }
    all
}

/// What was measured at the look has grown by as much since then.
fn grown(seconds: f64, as_of: Option<Instant>, now: Instant) -> u64 {
    seconds.max(0.0) as u64 + as_of.map_or(0, |as_of| Duration::between(as_of, now).as_secs())
}

/// A tier is back when everything is, and may be back before.
fn part_of(whole: Objective) -> Objective {
    if whole.state != State::Broken {
        return whole;
    }
    let because = format!("{}; that is everything, and nobody has timed this tier alone", whole.because);
    Objective { state: State::Unproven, because, ..whole }
}

/// What was measured is how far the log came where it goes first.
fn elsewhere(policy: &Policy, scenario: &Scenario, objective: Objective) -> Objective {
    let first = policy.wal.as_ref().map(|wal| &wal.store);
    if scenario.from.is_empty() || first.is_some_and(|first| scenario.from.contains(first)) || objective.state == State::Broken {
        return objective;
    }
    let from = joined(scenario.from.iter().map(|store| format!("`{store}`")));
    let because = format!("how much {from} would lack is not measured here; `seawall copy` and `seawall wal status` show what is behind");
    Objective { state: State::Unproven, found_seconds: None, because, ..objective }
}

fn recovery_point(promised: Duration, standing: &Standing, (lost, as_of): (Option<u64>, Option<Instant>), now: Instant) -> Objective {
    let stale = as_of.is_none_or(|as_of| Duration::between(as_of, now) > STALE || as_of > now);
    let (state, because) = match (lost, as_of) {
        (None, _) => (State::Broken, "there is no backup on record".to_owned()),
        (Some(_), None) => (State::Unproven, "`seawall watch` has never looked".to_owned()),
        (Some(found), Some(as_of)) if found > promised.as_secs() => {
            let since = standing.wal_waiting_since.map(|since| format!("; the log waits since {}", minute(since))).unwrap_or_default();
            (State::Broken, format!("{} would be lost now, as of {}{since}", lasting(found as f64), minute(as_of)))
        }
        (Some(_), Some(as_of)) if stale => (State::Unproven, format!("nobody has looked since {}", minute(as_of))),
        (Some(found), Some(as_of)) => (State::Kept, format!("{} would be lost now, as of {}", lasting(found as f64), minute(as_of))),
    };
    Objective {
        objective: "objectives.rpo".to_owned(),
        promises: "at most this much is lost".to_owned(),
        promised_seconds: promised.as_secs(),
        found_seconds: lost,
        predicted: None,
        state,
        because,
    }
}

/// How far back every moment can be had, from the store that leads furthest.
fn any_moment(period: Period, policy: &Policy, stores: &[StoreAccount], now: Instant) -> Objective {
    let wanted = period.before(now, policy.zone.time_zone());
    let furthest = stores.iter().filter_map(|store| Some((store, store.windows.last()?))).min_by_key(|(_, window)| window.from);
    let (found, state, because) = match furthest {
        None => (None, unseen(stores), "no store is known to hold a backup with the log that goes on from it".to_owned()),
        Some((store, window)) => {
            let found = Some(Duration::between(window.from, now).as_secs());
            let says = format!("any moment from {} to {}, from `{}`", minute(window.from), minute(window.to), store.store);
            let ends_long_ago = Duration::between(window.to, now) > LISTED;
            match (window.from <= wanted, ends_long_ago) {
                (false, _) => (found, State::Broken, says),
                (true, true) => (found, State::Unproven, says),
                (true, false) => (found, State::Kept, says),
            }
        }
    };
    Objective {
        objective: "objectives.reach_back.any_moment".to_owned(),
        promises: "any moment of this time can be recovered".to_owned(),
        promised_seconds: Duration::between(wanted, now).as_secs(),
        found_seconds: found,
        predicted: None,
        state,
        because,
    }
}

fn some_backup(period: Period, policy: &Policy, stores: &[StoreAccount], now: Instant) -> Objective {
    let wanted = period.before(now, policy.zone.time_zone());
    let oldest = stores.iter().filter_map(|store| Some((store, store.oldest?))).min_by_key(|(_, oldest)| *oldest);
    let (found, state, because) = match oldest {
        None => (None, unseen(stores), "no store is known to hold a backup".to_owned()),
        Some((store, oldest)) => {
            // A young policy cannot have old backups yet: that is not proof of anything either way.
            let state = if oldest <= wanted { State::Kept } else { State::Unproven };
            let found = Some(Duration::between(oldest, now).as_secs());
            (found, state, format!("the oldest backup is of {}, in `{}`", minute(oldest), store.store))
        }
    };
    Objective {
        objective: "objectives.reach_back.some_backup".to_owned(),
        promises: "some backup of this age is there".to_owned(),
        promised_seconds: Duration::between(wanted, now).as_secs(),
        found_seconds: found,
        predicted: None,
        state,
        because,
    }
}

/// That nothing is there is known only where somebody has looked everywhere.
fn unseen(stores: &[StoreAccount]) -> State {
    if stores.iter().any(|store| store.unknown.is_some()) { State::Unproven } else { State::Broken }
}

/// What the drills say of a scenario: those that rehearse it; of recovery in general, all that bring back databases.
struct Rehearsed<'d> {
    newest: Option<&'d DrillAccount>,
    passed: Option<(Instant, Option<f64>)>,
    /// Jobs of the policy.
    jobs: Vec<String>,
}

fn rehearsed<'d>(policy: &Policy, drills: &'d DrillsAccount, scenario: Option<&str>) -> Rehearsed<'d> {
    let rehearses = |drill: &Option<String>| match (scenario, drill) {
        // What brings back files or some tables says nothing of a recovery.
        (None, Some(drill)) => policy.drills.get(drill.as_str()).is_some_and(|drill| drill.restores_databases(policy)),
        (None, None) => true,
        (Some(scenario), Some(drill)) => {
            policy.drills.get(drill.as_str()).and_then(|drill| drill.rehearses.as_ref()).is_some_and(|name| name.as_str() == scenario)
        }
        (Some(_), None) => false,
    };
    // One that somebody ended shows nothing, and does not undo that the one before it failed.
    let mut of_it = drills.list.shown.iter().filter(|one| one.outcome != "stopped" && rehearses(&one.drill));
    let newest = of_it.clone().next();
    let passed = of_it.find(|one| one.outcome == "passed").map(|one| (one.ended, one.recovery_seconds));
    let earlier = drills.last_passed.as_ref().filter(|last| rehearses(&last.drill)).map(|last| (last.at, last.recovery_seconds));
    let jobs = policy.drills.keys().filter(|name| rehearses(&Some(name.to_string()))).map(|name| format!("drills.{name}")).collect();
    Rehearsed { newest, passed: passed.or(earlier), jobs }
}

/// As `seawall watch` last reckoned it.
fn predicted(record: &OnRecord, scenario: &str) -> Option<Predicted> {
    let seen = |name: &str| record.measured.seen(name, scenario).map(|seconds| seconds.max(0.0) as u64);
    let (usual_seconds, careful_seconds) = seen("recovery_time_p50_seconds").zip(seen("recovery_time_p95_seconds"))?;
    Some(Predicted { usual_seconds, careful_seconds })
}

fn recovery_time(
    (objective, promises, promised): (String, String, Duration),
    rehearsed: Rehearsed<'_>,
    predicted: Option<Predicted>,
    standing: &Standing,
) -> Objective {
    let overdue = standing.jobs.iter().any(|job| job.overdue && rehearsed.jobs.contains(&job.job));
    let found = rehearsed.passed.and_then(|(_, seconds)| seconds);
    let failed = rehearsed.newest.filter(|newest| newest.outcome == "failed");
    let (state, because) = match (failed, rehearsed.passed, found) {
        (Some(failed), ..) => {
            let why = failed.failure.clone().unwrap_or_else(|| "it did not say why".to_owned());
            (State::Broken, format!("the last drill failed at {}: {why}", minute(failed.ended)))
        }
        (None, None, _) if rehearsed.jobs.is_empty() => (State::Unproven, "no drill of the policy rehearses it".to_owned()),
        (None, None, _) => (State::Unproven, "no drill has passed yet".to_owned()),
        (None, Some((at, _)), None) => (State::Unproven, format!("the drill of {} was not timed", minute(at))),
        (None, Some((at, _)), Some(found)) => {
            let says = format!("the drill of {} had it back after {}", minute(at), lasting(found));
            let expected = |seconds: u64| format!("{says}, and {} are to be expected", lasting(seconds as f64));
            match predicted {
                _ if found > promised.as_secs() as f64 => (State::Broken, says),
                Some(predicted) if predicted.usual_seconds > promised.as_secs() => (State::Broken, expected(predicted.usual_seconds)),
                _ if overdue => (State::Unproven, format!("{says}, and the next one is overdue")),
                Some(predicted) if predicted.careful_seconds > promised.as_secs() => {
                    (State::Unproven, format!("{} with careful figures", expected(predicted.careful_seconds)))
                }
                _ => (State::Kept, says),
            }
        }
    };
    Objective {
        objective,
        promises,
        promised_seconds: promised.as_secs(),
        found_seconds: found.map(|found| found as u64),
        predicted,
        state,
        because,
    }
}

/// Does the promise hold today?
pub(super) fn verdict(standing: &Standing, objectives: &[Objective]) -> Verdict {
    let worst = objectives.iter().map(|one| one.state).max();
    let of = |state: State| objectives.iter().filter(move |one| one.state == state);
    let told = |state: State| of(state).map(|one| format!("{}: {}.", one.objective, one.because)).collect::<Vec<_>>().join(" ");
    let all = objectives.len();
    let (state, says) = match worst {
        _ if standing.unknown.is_some() => (
            State::Unproven,
            format!(
                "{}. What is shown here is of its last version that could be read.",
                capital(standing.unknown.as_deref().unwrap_or_default())
            ),
        ),
        None => (State::Unproven, "The policy promises nothing that could be held against what was found.".to_owned()),
        Some(State::Kept) => (State::Kept, format!("All that is promised is kept: {} with evidence.", counted(all, "promise"))),
        Some(State::Unproven) => (
            State::Unproven,
            format!("{} of {} not proven. {}", of(State::Unproven).count(), counted(all, "promise"), told(State::Unproven)),
        ),
        Some(State::Broken) => {
            (State::Broken, format!("{} of {} not kept. {}", of(State::Broken).count(), counted(all, "promise"), told(State::Broken)))
        }
    };
    Verdict { state, says }
}
