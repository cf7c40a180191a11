//! Each promise held against what was found, and what follows: does it hold today?

use super::Past;
use super::rehearsed::{Passed, Rehearsed, RestsOn, rehearsed};
use super::shape::Stretched;
use super::shape::{Figure, Loss, Objective, Predicted, State, StoreAccount, Verdict};
use crate::catalog::RECOVERY_POINT;
use crate::inventory::{DrillRecord, Observed};
use crate::objectives;
use crate::plan::minute;
use crate::plan::words::{counted, joined, quoted};
use crate::policy::file::Recover;
use crate::policy::model::{Method, Policy, Scenario};
use crate::report::Covered;
use crate::report::standing::{OnRecord, Standing};
use crate::report::words::{capital, lasting};
use crate::units::{Duration, Instant, Name, Period, moment_of};

/// Under this name it writes what a recovery of the whole takes; under their own what scenarios do.
const EVERYTHING: &str = "everything";
/// A look that is older says little of now.
const STALE: Duration = Duration::from_mins(15);
/// What the stores hold is listed once an hour: an older list says little of now.
const LISTED: Duration = Duration::from_hours(3);

/// What was found beside the last look.
#[derive(Clone, Copy)]
pub(super) struct Found<'f> {
    pub stores: &'f [StoreAccount],
    /// When they were listed.
    pub observed_at: Option<Instant>,
    /// The newest first; nobody ended any of them.
    pub drilled: &'f [&'f DrillRecord],
}

/// Whose time is promised: a scenario's, or that of everything, of which a tier of data is a part.
#[derive(Clone, Copy)]
pub(super) struct Subject<'p> {
    pub scenario: Option<(&'p Name, &'p Scenario)>,
    pub tier: Option<&'p Name>,
}

/// What was listed may have changed since.
pub(super) fn is_stale(observed_at: Option<Instant>, now: Instant) -> bool {
    observed_at.is_none_or(|at| Duration::between(at, now) > LISTED)
}

pub(super) fn loss(policy: &Policy, record: &OnRecord, standing: &Standing, past: &Past, (covered, now): (Covered, Instant)) -> Loss {
    let measured = record.measured.seen(RECOVERY_POINT, "");
    let reckoned = standing.safe_until.map(|until| (now.as_second() - until.as_second()).max(0) as u64);
    let now_seconds = measured.map(|seconds| grown(seconds, standing.watched, now)).or(reckoned);
    // What was measured last has grown since: the worst of a stretch that reaches up to now is never less than it is now.
    let today = now_seconds.filter(|_| covered.to >= now).map(|seconds| Figure { at: now, seconds: seconds as f64 });
    let measured = past.loss.iter().map(|worst| Figure { at: worst.at, seconds: worst.value });
    Loss {
        promised_seconds: policy.objectives.rpo.map(Duration::as_secs),
        now_seconds,
        as_of: standing.watched,
        worst: measured.chain(today).max_by(|a, b| a.seconds.total_cmp(&b.seconds)),
        over_time: past.loss.iter().map(|part| Figure { at: part.at, seconds: part.value }).collect(),
    }
}

pub(super) fn objectives(
    policy: &Policy,
    record: &OnRecord,
    standing: &Standing,
    loss: &Loss,
    found: &Found<'_>,
    now: Instant,
) -> Vec<Objective> {
    let mut all = Vec::new();
    let waiting = standing.wal_waiting_since;
    let lost = match (loss.now_seconds, &standing.safe_until_unknown) {
        (None, Some(reason)) => Observed::unknown(reason),
        (lost, _) => Observed::Known(lost),
    };
    if let Some(rpo) = policy.objectives.rpo {
        all.push(recovery_point(rpo, waiting, (lost.clone(), loss.as_of), now));
    }
    all.extend(policy.objectives.any_moment.map(|period| any_moment(period, policy, found.stores, now)));
    all.extend(policy.objectives.some_backup.map(|period| some_backup(period, policy, found, now)));
    let rto = |path: String, what: String, promised: Duration, subject: Subject<'_>| {
        let predicted = predicted(record, &subject.predicted_as());
        let before = Before::of(policy, subject, predicted, now);
        recovery_time((path, what, promised), subject, rehearsed(policy, found.drilled, subject), (predicted, before), standing, now)
    };
    let everything = Subject { scenario: None, tier: None };
    if let Some(promised) = policy.objectives.rto {
        all.push(rto("objectives.rto".to_owned(), "it works again".to_owned(), promised, everything));
    }
    for (name, scenario) in &policy.objectives.scenarios {
        if let Some(promised) = scenario.rto {
            let path = format!("objectives.scenarios.{name}.rto");
            let subject = Subject { scenario: Some((name, scenario)), ..everything };
            all.push(rto(path, format!("it works again after {name}"), promised, subject));
        }
    }
    for (name, tier) in &policy.objectives.data {
        let path = format!("objectives.data.{name}.rto");
        all.push(rto(path, format!("the tables of tier {name} are usable"), tier.rto, Subject { tier: Some(name), ..everything }));
    }
    let first = policy.wal.as_ref().map(|wal| &wal.store);
    for (name, scenario) in &policy.objectives.scenarios {
        let told = |objective: Objective| {
            let promises = format!("at most this much is lost after {name}");
            Objective { objective: format!("objectives.scenarios.{name}.rpo"), promises, ..objective }
        };
        if let Some(rpo) = scenario.rpo.filter(|_| scenario.recover == Recover::Files) {
            let (lost, first) = files(policy, scenario, standing, now);
            let objective = told(recovery_point(rpo, None, (lost, loss.as_of), now));
            all.push(elsewhere(scenario, first, objective));
            continue;
        }
        let seen = record.measured.seen(RECOVERY_POINT, name.as_str()).map(|seconds| grown(seconds, loss.as_of, now));
        if let Some(rpo) = scenario.rpo.filter(|rpo| policy.objectives.rpo != Some(*rpo) || seen.is_some()) {
            let lost = seen.map_or(lost.clone(), |seen| Observed::Known(Some(seen)));
            let objective = told(recovery_point(rpo, waiting, (lost, loss.as_of), now));
            all.push(if seen.is_some() { objective } else { elsewhere(scenario, first, objective) });
        }
    }
    all
}

/// What was measured at the look has grown by as much since then.
fn grown(seconds: f64, as_of: Option<Instant>, now: Instant) -> u64 {
    seconds.max(0.0) as u64 + as_of.map_or(0, |as_of| Duration::between(as_of, now).as_secs())
}

/// How old the copy is that brings files back, and where it lies first: neither the log nor what has a database says anything of it.
fn files<'p>(policy: &'p Policy, scenario: &Scenario, standing: &Standing, now: Instant) -> (Observed<Option<u64>>, Option<&'p Name>) {
    let may = |name: &Name| scenario.using.is_empty() || scenario.using.contains(name);
    let copies = policy
        .backups
        .iter()
        .filter(|(name, backup)| may(name) && matches!(&backup.method, Method::Files(files) if !files.paths.is_empty()));
    let jobs: Vec<&Name> = copies.map(|(name, _)| name).collect();
    match jobs[..] {
        [] => (Observed::unknown("no job that may answer it copies files"), None),
        [job] => {
            let path = format!("backups.{job}");
            let newest = standing.jobs.iter().find(|one| one.job == path).map_or(Observed::Known(None), |one| one.newest_whole.clone());
            let lost = newest.map(|newest| newest.map(|newest| Duration::between(newest, now).as_secs()));
            (lost, policy.stores_of(job).first().copied())
        }
        // Each may have files that the others have not.
        _ => (Observed::unknown("several jobs copy files, and `using` does not name one of them"), None),
    }
}

/// What was measured is how far it came in the store where it goes first.
fn elsewhere(scenario: &Scenario, first: Option<&Name>, objective: Objective) -> Objective {
    if scenario.from.is_empty() || first.is_some_and(|first| scenario.from.contains(first)) || objective.state == State::Broken {
        return objective;
    }
    let from = joined(scenario.from.iter().map(|store| format!("`{store}`")));
    let because = format!("how much {from} would lack is not measured here; `seawall copy` and `seawall wal status` show what is behind");
    Objective { state: State::Unproven, found_seconds: None, because, ..objective }
}

/// The log that waits is named only where it says why.
fn recovery_point(
    promised: Duration,
    waiting: Option<Instant>,
    (lost, as_of): (Observed<Option<u64>>, Option<Instant>),
    now: Instant,
) -> Objective {
    let stale = as_of.is_none_or(|as_of| Duration::between(as_of, now) > STALE || as_of > now);
    let found = lost.known().copied().flatten();
    let (state, because) = match (&lost, found, as_of) {
        (Observed::Unknown { reason }, ..) => (State::Unproven, format!("how much would be lost is not known: {reason}")),
        (_, None, _) => (State::Broken, "there is no backup on record".to_owned()),
        (_, Some(_), None) => (State::Unproven, "`seawall watch` has never looked".to_owned()),
        (_, Some(found), Some(as_of)) if found > promised.as_secs() => {
            let since = waiting.map(|since| format!("; the log waits since {}", minute(since))).unwrap_or_default();
            (State::Broken, format!("{} would be lost now, as of {}{since}", lasting(found as f64), minute(as_of)))
        }
        (_, Some(_), Some(as_of)) if stale => (State::Unproven, format!("nobody has looked since {}", minute(as_of))),
        (_, Some(found), Some(as_of)) => (State::Kept, format!("{} would be lost now, as of {}", lasting(found as f64), minute(as_of))),
    };
    Objective {
        objective: "objectives.rpo".to_owned(),
        promises: "at most this much is lost".to_owned(),
        promised_seconds: promised.as_secs(),
        found_seconds: found,
        predicted: None,
        state,
        because,
    }
}

/// How far back every moment can be had up to the newest, from whichever stores have it together.
fn any_moment(period: Period, policy: &Policy, stores: &[StoreAccount], now: Instant) -> Objective {
    let wanted = period.before(now, policy.zone.time_zone());
    let windows: Vec<(&str, Stretched)> =
        stores.iter().flat_map(|store| store.windows.iter().map(|window| (store.store.as_str(), *window))).collect();
    let (found, state, because) = match reaching(&windows) {
        None => (None, unseen(stores), "no store is known to hold a backup with the log that goes on from it".to_owned()),
        Some((window, of)) => {
            let found = Some(Duration::between(window.from, now).as_secs());
            let of = joined(of.iter().map(|store| format!("`{store}`")));
            let says = format!("any moment from {} to {}, from {of}", minute(window.from), minute(window.to));
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

/// The stretch that ends last, as far back as the windows of any store go on before it, and the stores that it takes, the newest first. A store that
/// got the log until some day, and another that gets it since, lead back together.
fn reaching<'s>(windows: &[(&'s str, Stretched)]) -> Option<(Stretched, Vec<&'s str>)> {
    // Of those that end together the longest: nobody needs another store.
    let (first, newest) = windows.iter().max_by_key(|(_, window)| (window.to, std::cmp::Reverse(window.from)))?;
    let (mut whole, mut of) = (*newest, vec![*first]);
    loop {
        let goes_on = windows.iter().filter(|(_, window)| window.from < whole.from && window.to >= whole.from);
        let Some((store, earlier)) = goes_on.min_by_key(|(_, window)| window.from) else { return Some((whole, of)) };
        whole.from = earlier.from;
        if !of.contains(store) {
            of.push(store);
        }
    }
}

fn some_backup(period: Period, policy: &Policy, found: &Found<'_>, now: Instant) -> Objective {
    let (stores, listed) = (found.stores, found.observed_at);
    let wanted = period.before(now, policy.zone.time_zone());
    let oldest = stores.iter().filter_map(|store| Some((store, store.oldest?))).min_by_key(|(_, oldest)| *oldest);
    let (found, state, because) = match oldest {
        None if stores.iter().any(|store| store.unrecorded) => {
            let says =
                "no store is known to hold a backup of everything: of some dumps it is not recorded what they have, or it cannot be opened";
            (None, State::Unproven, says.to_owned())
        }
        None => (None, unseen(stores), "no store is known to hold a backup of everything".to_owned()),
        Some((store, oldest)) => {
            let says = format!("the oldest backup is of {}, in `{}`", minute(oldest), store.store);
            let (state, because) = match listed.filter(|_| is_stale(listed, now)) {
                // A young policy cannot have old backups yet: that is not proof of anything either way.
                _ if oldest > wanted => (State::Unproven, says),
                Some(listed) => (State::Unproven, format!("{says}, and nobody has listed what lies there since {}", minute(listed))),
                None => (State::Kept, says),
            };
            (Some(Duration::between(oldest, now).as_secs()), state, because)
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

impl Subject<'_> {
    /// As `seawall watch` names it where it reckons how long a recovery takes.
    fn predicted_as(&self) -> String {
        match (self.scenario, self.tier) {
            (Some((name, _)), _) => name.to_string(),
            (None, Some(tier)) => format!("tier {tier}"),
            (None, None) => EVERYTHING.to_owned(),
        }
    }
}

/// What comes before a recovery, and is in no drill's time.
#[derive(Clone, Copy)]
struct Before {
    declared: Duration,
    /// With careful figures for what the policy does not say; what was predicted has them already.
    careful: Duration,
}

impl Before {
    fn of(policy: &Policy, subject: Subject<'_>, predicted: Option<Predicted>, now: Instant) -> Before {
        let by = subject.scenario.and_then(|(_, scenario)| scenario.by);
        let declared = policy.objectives.before_a_recovery(by);
        Before { declared, careful: if predicted.is_some() { declared } else { objectives::before_a_recovery(policy, by, now) } }
    }
}

/// As `seawall watch` last reckoned it.
fn predicted(record: &OnRecord, scenario: &str) -> Option<Predicted> {
    let seen = |name: &str| record.measured.seen(name, scenario).map(|seconds| seconds.max(0.0) as u64);
    let (usual_seconds, careful_seconds) = seen("recovery_time_p50_seconds").zip(seen("recovery_time_p95_seconds"))?;
    let samples = seen("recovery_time_samples").and_then(|samples| u32::try_from(samples).ok()).unwrap_or(0);
    let newest = record.measured.seen("recovery_time_measured", scenario).and_then(moment_of);
    Some(Predicted { usual_seconds, careful_seconds, samples, newest })
}

fn recovery_time(
    (objective, promises, promised): (String, String, Duration),
    subject: Subject<'_>,
    rehearsed: Rehearsed<'_>,
    (predicted, before): (Option<Predicted>, Before),
    standing: &Standing,
    now: Instant,
) -> Objective {
    let overdue = standing.jobs.iter().any(|job| job.overdue && rehearsed.jobs.contains(&job.job));
    let timed = rehearsed.passed.as_ref().and_then(|passed| Some((passed, passed.seconds?)));
    let (state, because) = match (rehearsed.failed, &rehearsed.passed, timed) {
        (Some(failed), ..) => (State::Broken, failure(failed)),
        _ if !rehearsed.missing.is_empty() => {
            let databases = joined(rehearsed.missing.iter().map(quoted));
            (State::Unproven, format!("no drill has brought back {databases} yet"))
        }
        (None, None, _) if let Some(before) = rehearsed.before => (State::Unproven, defined_before(before)),
        (None, None, _) if rehearsed.jobs.is_empty() => (State::Unproven, "no drill of the policy rehearses it".to_owned()),
        (None, None, _) => (State::Unproven, "no drill has passed yet".to_owned()),
        (None, Some(passed), None) => (State::Unproven, format!("the drill of {} was not timed", minute(passed.at))),
        (None, Some(_), Some((passed, found))) => {
            let time = Time { passed, found, predicted, before, overdue };
            time.against(promised, subject, now)
        }
    };
    Objective {
        objective,
        promises,
        promised_seconds: promised.as_secs(),
        found_seconds: timed.map(|(_, found)| found as u64),
        predicted,
        state,
        because,
    }
}

/// What a recovery takes: as a drill found, with what comes before it, and as was predicted.
struct Time<'t> {
    passed: &'t Passed,
    found: f64,
    predicted: Option<Predicted>,
    before: Before,
    /// The next drill should have passed by now.
    overdue: bool,
}

impl Time<'_> {
    fn against(&self, promised: Duration, subject: Subject<'_>, now: Instant) -> (State, String) {
        let (promised, at) = (promised.as_secs(), self.passed.at);
        let (since, found) = (minute(at), lasting(self.found));
        let says = match self.passed.rests_on {
            RestsOn::One => format!("the drill of {since} had it back after {found}"),
            RestsOn::Each => format!("the drills since {since} had every database back after {found}, one after the other"),
            RestsOn::Slowest => format!("the slowest of the drills since {since} had its database back after {found}"),
        };
        let with = |before: Duration| if before.is_zero() { says.clone() } else { format!("{says}, and {before} come before that") };
        let expected = |seconds: u64| format!("{says}, and {} are to be expected", lasting(seconds as f64));
        let is_late = |before: Duration| self.found + before.as_secs() as f64 > promised as f64;
        let too_old = self.passed.proves_for.filter(|proves_for| Duration::between(at, now) > *proves_for);
        match self.predicted {
            _ if is_late(self.before.declared) && subject.tier.is_none() => (State::Broken, with(self.before.declared)),
            Some(predicted) if predicted.usual_seconds > promised => (State::Broken, expected(predicted.usual_seconds)),
            // It is back when everything is, and may be back before.
            _ if is_late(self.before.declared) => {
                (State::Unproven, format!("{}; that is everything, and nobody has timed this tier alone", with(self.before.declared)))
            }
            _ if self.overdue => (State::Unproven, format!("{says}, and the next one is overdue")),
            _ if let Some(proves_for) = too_old => (State::Unproven, format!("{says}, and what is older than {proves_for} proves nothing")),
            Some(predicted) if predicted.careful_seconds > promised => {
                (State::Unproven, format!("{} with careful figures", expected(predicted.careful_seconds)))
            }
            _ if is_late(self.before.careful) => (State::Unproven, format!("{} with careful figures", with(self.before.careful))),
            _ => (State::Kept, says),
        }
    }
}

fn defined_before(record: &DrillRecord) -> String {
    let name = record.drill.as_ref().map(|name| format!(" `{name}`")).unwrap_or_default();
    format!("the drill{name} passed at {} as it was defined before, and has not yet as it is defined now", minute(record.ended))
}

fn failure(record: &DrillRecord) -> String {
    let name = record.drill.as_ref().map(|name| format!(" `{name}`")).unwrap_or_default();
    let why = record.failure.as_ref().map(|failure| format!("{}: {}", failure.phase.says(), failure.message));
    format!("the last drill{name} failed at {}: {}", minute(record.ended), why.unwrap_or_else(|| "it did not say why".to_owned()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{JobRecord, Latest, Outcome};
    use crate::plan::Due;
    use crate::policy::model::TimedKind;
    use crate::report::standing::{JobDue, Measurements, stand};

    fn at(hour: i64) -> Instant {
        Instant::from_second(1_790_000_000 + hour * 3_600).expect("a moment")
    }

    fn policy(objectives: &str, backups: &[&str]) -> Policy {
        let job = |job: &&str| {
            let (name, method) = job.split_once(": ").expect("a job");
            format!("  {name}: {{ {method}, store: main, schedule: {{ at: '02:00' }}, keep: {{ daily: 3 }} }}\n")
        };
        let text = format!(
            "version: 1\npolicy: shop\nowner: dba@example.com\ncluster: {{ connection: service=t, databases: [a] }}\n\
             encryption: {{ none: {{ because: a test }} }}\nstores: {{ main: {{ local: {{ path: /srv/main }} }}, far: {{ local: {{ path: /srv/far }} }} }}\n\
             objectives: {{ {objectives} }}\nbackups:\n{}",
            backups.iter().map(job).collect::<String>()
        );
        let path = std::path::Path::new("t.yaml");
        let document = crate::policy::document::Document::load("t.yaml", path, &|_| Ok(text.as_bytes().to_vec()));
        let resolved = crate::policy::resolve::resolve(&document, jiff::civil::date(2026, 11, 21));
        resolved.policy.unwrap_or_else(|| panic!("{:?} {:?}", document.findings, resolved.findings))
    }

    /// What becomes of each promise, where the jobs' last good runs ended so many hours before the look, which was a minute ago.
    fn found(policy: &Policy, succeeded: &[(&str, i64)]) -> Vec<(String, State, String)> {
        let now = at(100);
        let record = |(job, hours): &(&str, i64)| JobRecord {
            job: format!("backups.{job}"),
            first_seen: at(0),
            last_run: None,
            last_started: Some(at(100 - hours)),
            last_owed_since: None,
            last_ended: Some(at(100 - hours)),
            last_outcome: Some(Outcome::Succeeded),
            last_transient: false,
            last_succeeded: Some(at(100 - hours)),
            failures_in_a_row: 0,
            running: None,
        };
        let watched = now.checked_sub(Duration::from_mins(1).to_signed()).expect("a moment");
        let looked = Latest { name: "watched".to_owned(), subject: String::new(), value: 1.0, at: watched };
        let records = succeeded.iter().map(record).collect();
        let record = OnRecord { records, measured: Measurements(vec![looked]), ..OnRecord::default() };
        let due =
            |job: &Name| JobDue { job: format!("backups.{job}"), kind: TimedKind::Backup, due: Due::Later { at: at(110) }, schedule: None };
        let dues: Vec<JobDue> = policy.backups.keys().map(due).collect();
        let standing = stand(policy, &record, &dues, now);
        let covered = Covered { from: watched, to: now };
        let loss = loss(policy, &record, &standing, &Past::default(), (covered, now));
        let nothing = Found { stores: &[], observed_at: None, drilled: &[] };
        let all = objectives(policy, &record, &standing, &loss, &nothing, now);
        all.into_iter().map(|one| (one.objective, one.state, one.because)).collect()
    }

    fn only(policy: &Policy, succeeded: &[(&str, i64)]) -> (State, String) {
        let all = found(policy, succeeded);
        let [(_, state, because)] = &all[..] else { panic!("{all:?}") };
        (*state, because.clone())
    }

    #[test]
    fn what_nobody_can_say_is_not_proven() {
        let of = |backups: &[&str], succeeded: &[(&str, i64)]| only(&policy("rpo: 26h", backups), succeeded);
        let conf = "conf: files: { paths: [/etc/app] }";
        let (state, because) = of(&[conf], &[("conf", 2)]);
        assert_eq!(
            (state, because.as_str()),
            (State::Unproven, "how much would be lost is not known: no job of this policy has all of a database")
        );
        // A dump that was never made is nothing that is not known.
        assert_eq!(of(&["dump: logical: {}", conf], &[("conf", 2)]).0, State::Broken);
        assert_eq!(of(&["dump: logical: {}", conf], &[("conf", 2), ("dump", 3)]).0, State::Kept);
        assert_eq!(of(&["dump: logical: {}", conf], &[("conf", 2), ("dump", 27)]).0, State::Broken);
    }

    #[test]
    fn moments_are_had_from_whichever_stores_have_them() {
        // Of each store from how many days before now up to how many.
        let of = |windows: &[(&'static str, i64, i64)]| {
            let ago = |days: &i64| at(24 * (100 - days));
            let windows: Vec<_> = windows.iter().map(|(store, from, to)| (*store, Stretched { from: ago(from), to: ago(to) })).collect();
            let (window, stores) = reaching(&windows).expect("a window");
            let days = |at: Instant| Duration::between(at, ago(&0)).as_secs() / 86_400;
            (days(window.from), days(window.to), stores.join(" "))
        };
        let is = |from: u64, to: u64, stores: &str| (from, to, stores.to_owned());
        assert_eq!(of(&[("main", 31, 0)]), is(31, 0, "main"));
        // The log goes elsewhere since then, and what the old store has ended long ago.
        assert_eq!(of(&[("main", 40, 10), ("new", 31, 0)]), is(40, 0, "new main"));
        assert_eq!(of(&[("main", 40, 10), ("new", 12, 0)]), is(40, 0, "new main"));
        assert_eq!(of(&[("main", 31, 0), ("far", 20, 0)]), is(31, 0, "main"));
        // A day in between that no store has.
        assert_eq!(of(&[("main", 40, 10), ("new", 9, 0)]), is(9, 0, "new"));
        assert_eq!(of(&[("main", 40, 21), ("main", 20, 0)]), is(20, 0, "main"));
        assert_eq!(of(&[("main", 40, 10)]), is(40, 10, "main"));
        assert_eq!(reaching(&[]), None);
    }

    #[test]
    fn files_are_as_old_as_their_copy() {
        let of = |scenario: &str, backups: &[&str], succeeded: &[(&str, i64)]| {
            let policy = policy(&format!("scenarios: {{ lost: {{ recover: files, rpo: 26h{scenario} }} }}"), backups);
            only(&policy, succeeded)
        };
        let conf = "conf: files: { paths: [/etc/app] }";
        let more = "more: files: { paths: [/srv/app] }";
        assert_eq!(of("", &[conf], &[("conf", 2)]).0, State::Kept);
        assert_eq!(of("", &[conf], &[("conf", 27)]).0, State::Broken);
        assert_eq!(of("", &[conf], &[]), (State::Broken, "there is no backup on record".to_owned()));
        // A dump has no files, and no database is asked for.
        assert_eq!(of("", &["dump: logical: {}", conf], &[("conf", 27), ("dump", 1)]).0, State::Broken);
        assert_eq!(of("", &["dump: logical: {}", conf], &[("conf", 2)]).0, State::Kept);
        assert_eq!(of("", &["dump: logical: {}", "roles: files: { globals: true }"], &[("roles", 2), ("dump", 1)]).0, State::Unproven);
        // Which of them has the files that are lost?
        assert_eq!(of("", &[conf, more], &[("conf", 2), ("more", 27)]).0, State::Unproven);
        assert_eq!(of(", using: conf", &[conf, more], &[("conf", 2), ("more", 27)]).0, State::Kept);
        assert_eq!(of(", using: more", &[conf, more], &[("conf", 2), ("more", 27)]).0, State::Broken);
        // Nobody has measured what another store would lack.
        assert_eq!(of(", from: main", &[conf], &[("conf", 2)]).0, State::Kept);
        assert_eq!(of(", from: far", &[conf], &[("conf", 2)]).0, State::Unproven);
    }
}
