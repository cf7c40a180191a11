//! The questions that somebody who answers for databases asks every morning, answered from what is on record.

use schemars::JsonSchema;
use serde::Serialize;

use super::standing::{Level, OnRecord, Standing};
use crate::alert::{DutyFacts, allowed};
use crate::catalog::{JobRecord, Outcome};
use crate::plan::minute;
use crate::plan::words::{about, counted, joined, plain};
use crate::policy::model::{Policy, Timed, TimedKind};
use crate::units::{Duration, Instant, moment_of};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    Yes,
    Unknown,
    No,
}

/// A question of the day, and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Question {
    /// For programs.
    pub key: &'static str,
    pub question: &'static str,
    pub answer: Answer,
    /// What the answer rests on.
    pub evidence: String,
}

fn answered(key: &'static str, question: &'static str, (answer, evidence): (Answer, String)) -> Question {
    Question { key, question, answer, evidence }
}

/// All questions, in the order in which they are asked.
pub fn checklist(policy: &Policy, record: &OnRecord, standing: &Standing, now: Instant) -> Vec<Question> {
    vec![
        answered("backups", "Was every backup of yesterday made?", backups(policy, record, now)),
        answered("wal", "Is the write-ahead log archived?", wal(policy, standing, now)),
        answered("stores", "Do the stores answer?", stores(standing)),
        answered("room", "Do the stores have room?", room(policy, standing)),
        answered("verify", "Was the last verification good?", last_of(policy, record, TimedKind::Verify, now)),
        answered("drills", "Was the last restore drill good?", last_of(policy, record, TimedKind::Drill, now)),
        answered("messages", "Do messages arrive?", messages(policy, standing)),
        answered("holds", "Do all holds go on for another month?", holds(policy, record, now)),
        answered("review", "Was the policy read in time?", review(policy, now)),
        answered("duties", "Is every duty done?", duties(policy, record, now)),
        answered("clocks", "Are the clocks right?", clocks(standing)),
        answered("alerts", "Is nothing wrong that nobody takes care of?", alerts(standing)),
        answered("watch", "Does somebody watch?", watched(standing, now)),
    ]
}

fn backups(policy: &Policy, record: &OnRecord, now: Instant) -> (Answer, String) {
    let day = policy.zone.wall_clock(now).date();
    let midnight = |day: jiff::civil::Date| day.to_zoned(policy.zone.time_zone().clone()).ok().map(|zoned| zoned.timestamp());
    let Some((from, to)) = day.yesterday().ok().and_then(|yesterday| midnight(yesterday).zip(midnight(day))) else {
        return (Answer::Unknown, "the calendar ends here".to_owned());
    };
    let timed = policy.timed();
    let (mut made, mut missing) = (Vec::new(), Vec::new());
    for job in timed.iter().filter(|job| job.kind == TimedKind::Backup) {
        let Some(firing) = job.schedule.firings(from, to).last() else { continue };
        let path = job.path.to_string();
        let last = record_of(record, &path).and_then(|known| known.last_succeeded);
        match last.filter(|last| *last >= firing) {
            Some(at) => made.push(format!("`{path}` at {}", minute(at))),
            None => missing.push(match last {
                Some(at) => format!("`{path}`, due at {}, last at {}", minute(firing), minute(at)),
                None => format!("`{path}`, due at {}, never", minute(firing)),
            }),
        }
    }
    match (missing.is_empty(), made.is_empty()) {
        (false, _) => (Answer::No, joined(missing)),
        (true, false) => (Answer::Yes, joined(made)),
        (true, true) => (Answer::Yes, "none was due".to_owned()),
    }
}

fn record_of<'r>(record: &'r OnRecord, job: &str) -> Option<&'r JobRecord> {
    record.records.iter().find(|known| known.job == job)
}

fn wal(policy: &Policy, standing: &Standing, now: Instant) -> (Answer, String) {
    let Some(limit) = allowed::wal_lag(policy).map(|limit| limit.value) else {
        return (Answer::Yes, "the policy archives none".to_owned());
    };
    match (standing.wal_known, standing.wal_waiting_since) {
        (false, _) => (Answer::Unknown, "it was not seen at the last look".to_owned()),
        (true, None) => (Answer::Yes, "nothing waits".to_owned()),
        (true, Some(since)) => {
            let lag = Duration::between(since, now);
            let answer = if lag <= limit { Answer::Yes } else { Answer::No };
            (answer, format!("the oldest that waits is {} old, {limit} are allowed", about(now.as_second() - since.as_second())))
        }
    }
}

fn stores(standing: &Standing) -> (Answer, String) {
    let said = standing.stores.iter().map(|store| match store.answers {
        Some(true) => (Answer::Yes, format!("`{}` answers", store.store)),
        Some(false) => (Answer::No, format!("`{}` does not answer", store.store)),
        None => (Answer::Unknown, format!("`{}` was not asked", store.store)),
    });
    worst(said, "the policy has no stores")
}

fn room(policy: &Policy, standing: &Standing) -> (Answer, String) {
    let limit = u128::from(allowed::storage_used(policy).value.tenths());
    let said = standing.stores.iter().map(|store| match (store.used_bytes, store.capacity_bytes.filter(|capacity| *capacity > 0)) {
        (_, None) => (Answer::Unknown, format!("the policy does not say how much `{}` holds", store.store)),
        (None, _) => (Answer::Unknown, format!("`{}` was not looked at", store.store)),
        (Some(used), Some(capacity)) => {
            let tenths = u128::from(used) * 1_000 / u128::from(capacity);
            let answer = if tenths > limit { Answer::No } else { Answer::Yes };
            (answer, format!("`{}` is {}% full", store.store, tenths / 10))
        }
    });
    worst(said, "the policy has no stores")
}

/// The worst answer, and all that was said.
fn worst(said: impl Iterator<Item = (Answer, String)>, nothing: &str) -> (Answer, String) {
    let said: Vec<(Answer, String)> = said.collect();
    let answer = said.iter().map(|(answer, _)| *answer).max().unwrap_or(Answer::Yes);
    let evidence = if said.is_empty() { nothing.to_owned() } else { joined(said.into_iter().map(|(_, words)| words)) };
    (answer, evidence)
}

fn last_of(policy: &Policy, record: &OnRecord, kind: TimedKind, now: Instant) -> (Answer, String) {
    let timed = policy.timed();
    let said = timed.iter().filter(|job| job.kind == kind).map(|job| last(job, record, now));
    match worst(said, "") {
        (_, nothing) if nothing.is_empty() => (Answer::No, "the policy has none".to_owned()),
        some => some,
    }
}

fn last(job: &Timed<'_>, record: &OnRecord, now: Instant) -> (Answer, String) {
    let path = job.path.to_string();
    let Some(known) = record_of(record, &path) else { return (Answer::Unknown, format!("`{path}` has never run")) };
    match (known.last_outcome, known.last_ended) {
        (Some(Outcome::Succeeded), Some(at)) => {
            (Answer::Yes, format!("`{path}` succeeded {} ago", about(now.as_second() - at.as_second())))
        }
        (Some(outcome), Some(at)) => {
            let why =
                record.last.get(&path).and_then(|run| run.message.as_ref()).map(|why| format!(": {}", plain(why))).unwrap_or_default();
            (Answer::No, format!("`{path}` {outcome} at {}{why}", minute(at)))
        }
        _ => (Answer::Unknown, format!("`{path}` has never ended")),
    }
}

fn messages(policy: &Policy, standing: &Standing) -> (Answer, String) {
    if policy.file.receivers.is_empty() {
        return (Answer::No, "the policy names nobody to tell".to_owned());
    }
    let failing: Vec<String> = standing.receivers.iter().map(|one| format!("{}: {}", one.receiver, plain(&one.error))).collect();
    match (failing.is_empty(), standing.undelivered) {
        (false, _) => (Answer::No, joined(failing)),
        (true, 0) => (Answer::Yes, "none waits".to_owned()),
        (true, waiting) => (Answer::Yes, format!("{} to be sent", counted(waiting, "message"))),
    }
}

fn holds(policy: &Policy, record: &OnRecord, now: Instant) -> (Answer, String) {
    let declared = policy.backup_holds.iter().filter_map(|hold| Some((hold.name.to_string(), hold.until?)));
    let of_rows = policy.row_holds.iter().filter_map(|(name, hold)| Some((name.to_string(), hold.ends(policy.zone.time_zone())?)));
    let stored = record.measured.all_seen("hold_ends").filter_map(|(name, ends)| Some((name.to_owned(), moment_of(ends)?)));
    let mut ends: Vec<(String, Instant)> = declared.chain(of_rows).chain(stored).collect();
    ends.sort();
    ends.dedup_by(|a, b| a.0 == b.0);
    let ending: Vec<String> = ends
        .iter()
        .filter(|(_, until)| *until > now && Duration::between(now, *until) <= allowed::NOTICE_OF_HOLDS)
        .map(|(name, until)| format!("{} ends at {}", plain(name), minute(*until)))
        .collect();
    match ending.is_empty() {
        true if ends.is_empty() => (Answer::Yes, "no hold has an end".to_owned()),
        true => (Answer::Yes, format!("none of {} ends within 30 days", counted(ends.len(), "hold"))),
        false => (Answer::No, joined(ending)),
    }
}

fn review(policy: &Policy, now: Instant) -> (Answer, String) {
    let Some(by) = policy.file.review_by else { return (Answer::Unknown, "the policy has no `review_by`".to_owned()) };
    let in_time = policy.zone.wall_clock(now).date() <= by.0;
    (if in_time { Answer::Yes } else { Answer::No }, format!("it is to be read by {}", by.0))
}

fn duties(policy: &Policy, record: &OnRecord, now: Instant) -> (Answer, String) {
    let said = policy.duties.iter().filter_map(|(name, duty)| Some((name, duty, duty.schedule.as_ref()?))).map(|(name, duty, schedule)| {
        let done = record.done.get(name.as_str());
        let Some(known) = record_of(record, &format!("duties.{name}")) else {
            return (Answer::Unknown, format!("`{name}` was never seen"));
        };
        let seen = DutyFacts { first_seen: Some(known.first_seen), done: done.map(|(_, at)| *at), reminded: known.last_owed_since };
        let last = done.map_or_else(|| "never done".to_owned(), |(by, at)| format!("last done by {} at {}", plain(by), minute(*at)));
        match seen.due_since(schedule, now) {
            Some(due) => (Answer::No, format!("`{name}` is due since {}, by {}, {last}", minute(due), duty.who)),
            None => (Answer::Yes, format!("`{name}` is not due, {last}")),
        }
    });
    worst(said, "the policy has none that comes by the clock")
}

fn clocks(standing: &Standing) -> (Answer, String) {
    match standing.clock_skew_seconds {
        None => (Answer::Unknown, "nothing was compared at the last look".to_owned()),
        Some(skew) => {
            let answer = if skew <= allowed::CLOCK_SKEW.as_secs() { Answer::Yes } else { Answer::No };
            (answer, format!("this host and the server differ by {skew} s"))
        }
    }
}

fn alerts(standing: &Standing) -> (Answer, String) {
    let open: Vec<String> = standing.firing.iter().filter(|one| one.acknowledged_by.is_none()).map(|one| plain(&one.title)).collect();
    match (open.is_empty(), standing.watched) {
        (false, _) => (Answer::No, joined(open)),
        (true, None) => (Answer::Unknown, "nobody has looked".to_owned()),
        (true, Some(_)) => {
            let taken = standing.firing.len();
            (Answer::Yes, if taken == 0 { "nothing is wrong".to_owned() } else { format!("{} taken care of", counted(taken, "alert")) })
        }
    }
}

fn watched(standing: &Standing, now: Instant) -> (Answer, String) {
    let late = standing.problems.iter().any(|problem| problem.key == "watch" && problem.level == Level::Critical);
    match standing.watched {
        None => (Answer::No, "never".to_owned()),
        Some(at) => (if late { Answer::No } else { Answer::Yes }, format!("last {} ago", about(now.as_second() - at.as_second()))),
    }
}
