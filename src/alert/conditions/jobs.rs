//! Jobs: what failed, what did not happen, what is old, odd or slow.

use super::limit::Limit;
use super::{Look, allowed, moment, roots, rough};
use crate::alert::condition::{Condition, State};
use crate::alert::facts::JobFacts;
use crate::inventory::Observed;
use crate::plan::words::{counted, sentence};
use crate::policy::file::{Event, Severity};
use crate::policy::model::{Policy, Timed, TimedKind};
use crate::schedule::Schedule;
use crate::units::{Bytes, Duration, Instant, Name};

/// With fewer earlier backups nobody knows what is usual.
const USUAL_FROM: usize = 3;

pub(super) fn look(look: &mut Look<'_>) {
    let Some(jobs) = look.known("catalog", None, &look.facts.jobs, None) else { return unknown(look) };
    let nothing = JobFacts::default();
    let mut timed = look.policy.timed();
    timed.extend(look.policy.copying());
    for job in timed.iter().filter(|job| job.kind != TimedKind::Duty) {
        let path = job.path.to_string();
        overdue(look, job, &path, jobs.get(&path).unwrap_or(&nothing));
    }
    // What runs only on demand can fail as well.
    let mut paths: Vec<String> = timed.iter().filter(|job| job.kind != TimedKind::Duty).map(|job| job.path.to_string()).collect();
    paths.extend(look.policy.backups.keys().map(|name| format!("backups.{name}")));
    paths.extend(look.policy.drills.keys().map(|name| format!("drills.{name}")));
    paths.push("expire".into());
    paths.sort();
    paths.dedup();
    for path in &paths {
        failed(look, path, jobs.get(path).unwrap_or(&nothing));
    }
    for (name, backup) in &look.policy.backups {
        let seen = jobs.get(&format!("backups.{name}")).unwrap_or(&nothing);
        age(look, name, backup.schedule.as_ref(), seen);
        size(look, name, seen);
    }
    drills(look, |name| jobs.get(&format!("drills.{name}")).unwrap_or(&nothing));
}

/// Nothing is known of any run: what is firing goes on, and nothing begins.
fn unknown(look: &mut Look<'_>) {
    for kind in ["overdue", "failed", "backup_age", "backup_size", "restore_time", "cannot_look:backups."] {
        look.all_unknown(kind);
    }
    look.push(Condition::new("drill_age", Severity::Warning, "").state(State::Unknown));
}

fn overdue(look: &mut Look<'_>, job: &Timed<'_>, path: &str, seen: &JobFacts) {
    let expected = expected_since(look, path, &job.schedule, seen);
    let severity = if job.kind == TimedKind::Backup { Severity::Critical } else { Severity::Warning };
    let condition = Condition {
        because: look.cause(roots::roots_of(look.policy, path)).or_else(|| failed_since(path, seen, expected)),
        ..Condition::new(format!("overdue:{path}"), severity, format!("{path} is overdue"))
    };
    let condition = condition.event(Event::Overdue).job(path);
    // A job of which it is not known since when it is expected is expected from now on.
    let last = seen.succeeded.or(seen.first_seen);
    let Some((expected, last)) = expected.zip(last) else { return look.push(condition) };
    let title = match seen.succeeded {
        Some(at) => format!("{path} is overdue: it last succeeded {} ago", rough(Duration::between(at, look.now))),
        None => format!("{path} is overdue: it has never succeeded"),
    };
    let mut text = format!("It was expected to succeed after {}.", moment(look.policy, expected));
    if let Some(since) = seen.running_since {
        text.push_str(&format!(" It has been running since {}.", moment(look.policy, since)));
    }
    let host = given_to(look.policy, path);
    if let Some(host) = host {
        text.push_str(&format!(" It runs on `{host}`, which owes it."));
    }
    let refused = look.facts.refused_drills.iter().filter(|began| **began >= last).count() as u64;
    if let (Some(host), TimedKind::Drill, 1..) = (host, job.kind, refused) {
        text.push_str(&format!(
            " Records of {} that began since lie in the stores and are not believed: does `encryption.writers` have the key of `{host}`?",
            counted(refused, "drill")
        ));
    }
    let mut condition = Condition { title, ..condition }.firing_if(last < expected).text(text);
    condition = condition.hint(match host {
        Some(host) => {
            format!("See on `{host}` whether its timer runs (`systemctl list-timers 'seawall*'`); there, `seawall run {path}` runs it now.")
        }
        None => format!("See whether its timer runs (`systemctl list-timers 'seawall*'`); `seawall run {path}` runs it now."),
    });
    if let Some(at) = seen.succeeded {
        condition = condition.fact("last success", moment(look.policy, at));
    }
    look.push(condition);
}

/// The host that alone runs it.
fn given_to<'p>(policy: &'p Policy, path: &str) -> Option<&'p Name> {
    match path.split_once('.')? {
        ("drills", name) => policy.drills.iter().find(|(drill, _)| drill.as_str() == name)?.1.host.as_ref(),
        ("verify", name) => policy.verify.iter().find(|(verify, _)| verify.as_str() == name)?.1.host.as_ref(),
        _ => None,
    }
}

/// The beginning of the stretch in which something must have succeeded.
fn expected_since(look: &Look<'_>, path: &str, schedule: &Schedule, seen: &JobFacts) -> Option<Instant> {
    schedule.expected_since(&look.policy.patience(path, takes(look, path, seen)), look.now)
}

/// It ran, and failed: that says why nothing has succeeded.
fn failed_since(path: &str, seen: &JobFacts, expected: Option<Instant>) -> Option<String> {
    let failed = seen.failed.as_ref().filter(|failed| seen.succeeded.is_none_or(|succeeded| succeeded < failed.at))?;
    (failed.at >= expected?).then(|| format!("failed:{path}"))
}

fn takes(look: &Look<'_>, path: &str, seen: &JobFacts) -> Duration {
    let declared = path.strip_prefix("backups.").and_then(|name| look.policy.backups.get(name)).and_then(|backup| backup.takes);
    declared.into_iter().chain(seen.takes).max().unwrap_or_default()
}

/// How urgent it is that a job failed.
pub fn severity_of_failure(path: &str) -> Severity {
    let section = path.split('.').next().unwrap_or(path);
    if matches!(section, "backups" | "verify" | "drills") { Severity::Critical } else { Severity::Warning }
}

fn failed(look: &mut Look<'_>, path: &str, seen: &JobFacts) {
    let event = if path.starts_with("drills.") { Event::DrillFailed } else { Event::Failed };
    let condition = Condition {
        because: look.cause(roots::roots_of(look.policy, path)),
        ..Condition::new(format!("failed:{path}"), severity_of_failure(path), format!("{path} failed"))
    };
    let condition = condition.event(event).job(path);
    let failure = seen.failed.as_ref().filter(|failure| seen.succeeded.is_none_or(|succeeded| succeeded < failure.at));
    look.push(match failure {
        None => condition,
        Some(failure) => {
            let times = counted(usize::try_from(failure.in_a_row).unwrap_or(usize::MAX), "time");
            let title = if failure.in_a_row > 1 { format!("{path} failed {times} in a row") } else { format!("{path} failed") };
            let condition = Condition { title, hint: failure.hint.clone(), ..condition }.text(sentence(&failure.message));
            let condition = condition.state(State::Firing).fact("failed at", moment(look.policy, failure.at));
            match seen.succeeded {
                Some(at) => condition.fact("last success", moment(look.policy, at)),
                None => condition.fact("last success", "never"),
            }
        }
    });
}

/// Without a threshold: twice the interval and the time that a run takes, as for a job that is overdue; and the RPO, where no log
/// is archived that could bring later changes back.
fn age(look: &mut Look<'_>, name: &Name, schedule: Option<&Schedule>, seen: &JobFacts) {
    if look.policy.backups.get(name).is_some_and(|backup| !backup.method.is_stored()) {
        return;
    }
    let path = format!("backups.{name}");
    let newest = seen.newest_backup.clone().unwrap_or_else(|| Observed::unknown("nobody has looked"));
    let written = look.thresholds.backup_age_of.get(name).or(look.thresholds.backup_age.as_ref().filter(|_| schedule.is_some()));
    let expected = schedule.and_then(|schedule| expected_since(look, &path, schedule, seen));
    let usual = expected.map(|since| Duration::between(since, look.now));
    let promised = look.policy.objectives.rpo.filter(|_| look.policy.wal.is_none() && schedule.is_some());
    let default = usual.into_iter().chain(promised).min();
    let default = default.map(|value| Limit { value, lasting: Duration::ZERO, severity: Severity::Critical });
    let Some(limit) = Limit::of(written, default) else { return };
    let by_schedule = written.is_none() && usual == Some(limit.value);
    // Of what the schedule alone says is late, `overdue` speaks.
    let roots = roots::roots_of(look.policy, &path).into_iter().filter(|root| root != roots::SERVER);
    let roots = roots.chain(by_schedule.then(|| format!("overdue:{path}")));
    let because = look.cause(roots);
    let known = look.known(&format!("{path}.newest"), Some(&path), &newest, because.clone()).copied();
    let title = format!("{path} has no recent backup");
    let mut condition = Condition { because, ..limit.condition(format!("backup_age:{name}"), title) }.job(&path);
    condition = condition.hint(format!("`seawall list` shows what there is; `seawall run {path}` makes one now."));
    condition = match expected.filter(|_| by_schedule) {
        Some(since) => condition.fact("expected after", moment(look.policy, since)),
        None => condition.fact("limit", rough(limit.value)),
    };
    look.push(match known {
        None => condition.state(State::Unknown),
        Some(None) => {
            // Until the first one can be there, its absence is nothing unusual.
            let late = seen.first_seen.is_some_and(|since| Duration::between(since, look.now) > limit.value);
            Condition { title: format!("{path} has no backup at all"), ..condition }.firing_if(late)
        }
        Some(Some(at)) => {
            let age = Duration::between(at, look.now);
            let condition = Condition { title: format!("the newest backup of {path} is {} old", rough(age)), ..condition };
            condition.firing_if(age > limit.value).fact("made at", moment(look.policy, at))
        }
    });
}

/// Only with a threshold: nothing in a policy says how much sizes may differ.
fn size(look: &mut Look<'_>, name: &Name, seen: &JobFacts) {
    let own = look.policy.backups.get(name).and_then(|backup| backup.size_deviation);
    let own = own.map(|value| Limit { value, lasting: Duration::ZERO, severity: Severity::Warning });
    let Some(limit) = own.or_else(|| allowed::size_deviation(look.policy)) else { return };
    let condition = limit
        .condition(format!("backup_size:{name}"), format!("the last backup of backups.{name} has an unusual size"))
        .job(format!("backups.{name}"));
    let Some((last, earlier)) = seen.sizes.split_first().filter(|(_, earlier)| earlier.len() >= USUAL_FROM) else {
        return look.push(condition);
    };
    let mut sorted: Vec<Bytes> = earlier.to_vec();
    sorted.sort();
    let usual = sorted[sorted.len() / 2];
    let differs = u128::from(last.get().abs_diff(usual.get())) * 1_000;
    look.push(
        condition
            .firing_if(differs > u128::from(limit.value.tenths()) * u128::from(usual.get()))
            .text("A backup that is much smaller may lack something; one that is much larger may hold what does not belong there.")
            .hint("Look at what changed in the database, and `seawall verify` the backup.")
            .fact("size", last)
            .fact("usual", usual)
            .fact("limit", limit.value),
    );
}

/// That drills are made at all is `overdue:`.
fn drills<'f>(look: &mut Look<'_>, seen: impl Fn(&Name) -> &'f JobFacts) {
    for (name, drill) in &look.policy.drills {
        let Some(limit) = allowed::restore_time(look.policy, drill) else { continue };
        let condition =
            limit.condition(format!("restore_time:{name}"), format!("the restore of drills.{name} is slow")).job(format!("drills.{name}"));
        look.push(match seen(name).restore_time {
            None => condition,
            Some(took) => Condition { title: format!("the restore of drills.{name} took {took}"), ..condition }
                .firing_if(took > limit.value)
                .hint("`docs/objectives.md` says what a restore's time is made of.")
                .fact("limit", limit.value),
        });
    }
    let Some(limit) = allowed::drill_age(look.policy) else { return };
    let newest = look.policy.drills.keys().filter_map(|name| seen(name).succeeded).max();
    let first = look.policy.drills.keys().filter_map(|name| seen(name).first_seen).min();
    let condition = limit.condition("drill_age", "no drill has ever succeeded").fact("limit", limit.value);
    let condition = condition.hint("Run a drill now: `seawall run drills.NAME`.");
    let age = newest.or(first).map(|since| Duration::between(since, look.now));
    let title = newest
        .map_or_else(|| condition.title.clone(), |_| format!("the newest successful drill is {} old", rough(age.unwrap_or_default())));
    look.push(Condition { title, ..condition }.firing_if(age.is_some_and(|age| age > limit.value)));
}
