//! Whether a job is owed now, by what is on record of it. A firing that was missed is caught up once, however many were missed.

use sha2::{Digest, Sha256};

use crate::plan::Due;
use crate::policy::model::{Timed, TimedKind};
use crate::units::{Duration, Instant};

/// What is on record of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Past {
    /// Since when the job is known on record; none when it is new.
    pub first_seen: Option<Instant>,
    pub last: Option<LastRun>,
    /// When its last good run ended.
    pub succeeded: Option<Instant>,
}

/// Its last run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastRun {
    pub started: Instant,
    /// None while it runs.
    pub ended: Option<Instant>,
    pub end: RunEnd,
    /// Somebody asked for it: it answers no firing, and when it breaks off it is not tried again.
    pub asked: bool,
    /// How many in a row did not succeed, this one among them.
    pub failures: u32,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnd {
    Running,
    Succeeded,
    /// For a reason that no waiting mends.
    Failed,
    /// For a reason that may pass, or because it was stopped, or because its process died.
    BrokenOff,
}

/// Whose job it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whose<'w> {
    pub policy: &'w str,
    pub job: &'w str,
}

/// The longest first pause after a run that broke off; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_mins(5);
const LONGEST_PAUSE: Duration = Duration::from_hours(1);
/// By up to this part a pause is shorter.
const SPREAD: u64 = 3;
/// A run that begins later than this from now was dated by a clock that was wrong. An hour more than a day: a clock that is set
/// back by an hour, or by a time zone, must not make everything run again.
const BELIEVABLE: Duration = Duration::from_hours(25);

/// Whether it should run now.
pub fn owed(job: &Timed<'_>, whose: Whose<'_>, past: &Past, now: Instant) -> Due {
    let later = || job.schedule.next_after(now).map_or(Due::OnDemand, |at| Due::Later { at });
    let firing = if job.schedule.fires_at(now) { Some(now) } else { job.schedule.previous_before(now) };
    let Some(since) = firing else { return later() };
    let last = past.last.filter(|last| Duration::between(now, last.started) <= BELIEVABLE);
    match last {
        Some(last) if last.started >= since => match last.end {
            RunEnd::Running | RunEnd::Succeeded | RunEnd::Failed => return later(),
            RunEnd::BrokenOff if last.asked && past.succeeded.is_some_and(|succeeded| succeeded >= since) => return later(),
            RunEnd::BrokenOff => {
                let at = again(&last, whose);
                if at > now {
                    return Due::Again { since, at };
                }
            }
        },
        Some(_) => {}
        // A database without a backup is owed one at once. Nothing else is owed for a time at which nobody knew of it.
        None if job.kind != TimedKind::Backup && past.first_seen.is_none_or(|seen| seen > since) => return later(),
        None => {}
    }
    match job.window {
        Some((name, declared)) if !declared.window.contains(now) => {
            Due::Closed { since, window: name.clone(), opens: declared.window.next_opening(now).map(|(opens, _)| opens) }
        }
        _ => Due::Now { since },
    }
}

/// Whether a job without a schedule should run now: what followed another run, and broke off, is tried again as that one would be.
pub fn on_demand(whose: Whose<'_>, past: &Past, now: Instant) -> Due {
    let last = past.last.filter(|last| Duration::between(now, last.started) <= BELIEVABLE);
    match last.filter(|last| last.end == RunEnd::BrokenOff && !last.asked) {
        None => Due::OnDemand,
        Some(last) if again(&last, whose) > now => Due::Again { since: last.started, at: again(&last, whose) },
        Some(last) => Due::Now { since: last.started },
    }
}

/// When a run that broke off is tried again.
fn again(last: &LastRun, whose: Whose<'_>) -> Instant {
    let doubled = FIRST_PAUSE.as_secs().saturating_mul(1 << last.failures.saturating_sub(1).min(10));
    let longest = doubled.min(LONGEST_PAUSE.as_secs());
    let pause = Duration::from_secs(longest - lot(last, whose) % (longest / SPREAD + 1));
    let ended = last.ended.unwrap_or(last.started);
    ended.checked_add(pause.to_signed()).unwrap_or(ended)
}

/// Hosts that lost the same store at one moment do not come back to it at one: of each the run that broke off began at a moment of its own. By the
/// record alone, so everybody who looks sees the same.
fn lot(last: &LastRun, whose: Whose<'_>) -> u64 {
    let mut hasher = Sha256::new();
    for word in [whose.policy, whose.job] {
        hasher.update((word.len() as u64).to_be_bytes());
        hasher.update(word.as_bytes());
    }
    hasher.update(last.started.as_microsecond().to_be_bytes());
    hasher.update(last.failures.to_be_bytes());
    hasher.finalize().iter().take(4).fold(0, |lot, byte| (lot << 8) | u64::from(*byte))
}

/// The order in which jobs that are owed together run: first what protects, then what tidies up, then what proves.
pub fn rank(kind: TimedKind) -> u8 {
    match kind {
        TimedKind::Backup => 0,
        TimedKind::Archive | TimedKind::Retain | TimedKind::Copy => 1,
        TimedKind::Expire => 2,
        TimedKind::Verify => 3,
        TimedKind::Drill => 4,
        TimedKind::Duty => 5,
        TimedKind::Report => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::model::Policy;

    fn policy() -> Policy {
        let text = "version: 1\npolicy: shop\nowner: dba@example.com\ncluster: { connection: service=t, databases: [app] }\n\
                    encryption: { none: { because: a test } }\nstores: { main: { local: { path: /srv/main } } }\n\
                    windows: { night: { from: '02:00', to: '04:00', timezone: Europe/Oslo } }\n\
                    backups:\n  nightly: { physical: {}, schedule: { at: '02:00' } }\n  \
                    windowed: { physical: {}, schedule: { at: '02:00', timezone: Europe/Oslo }, window: night }\n  \
                    often: { physical: {}, schedule: { every: 15m } }\n\
                    verify: { weekly: { schedule: { on: sunday, at: '05:00' } } }\n";
        let path = std::path::Path::new("t.yaml");
        let document = crate::policy::document::Document::load("t.yaml", path, &|_| Ok(text.as_bytes().to_vec()));
        let resolved = crate::policy::resolve::resolve(&document, jiff::civil::date(2026, 11, 21));
        resolved.policy.unwrap_or_else(|| panic!("{:?}", resolved.findings))
    }

    fn at(text: &str) -> Instant {
        text.parse().expect("a moment")
    }

    const NIGHTLY: Whose<'_> = Whose { policy: "shop", job: "backups.nightly" };

    fn due(job: &str, past: &Past, now: &str) -> Due {
        let policy = policy();
        let timed = policy.timed();
        owed(timed.iter().find(|timed| timed.path.to_string() == job).expect("a job"), NIGHTLY, past, at(now))
    }

    fn ran(started: &str, ended: Option<&str>, end: RunEnd, failures: u32) -> Past {
        Past {
            first_seen: Some(at("2026-01-01T00:00:00Z")),
            last: Some(LastRun { started: at(started), ended: ended.map(at), end, asked: false, failures }),
            succeeded: None,
        }
    }

    #[test]
    fn a_firing_is_owed_once() {
        let since = at("2026-11-21T02:00:00Z");
        let before = ran("2026-11-20T02:00:01Z", Some("2026-11-20T02:30:00Z"), RunEnd::Succeeded, 0);
        assert_eq!(due("backups.nightly", &before, "2026-11-21T02:00:00Z"), Due::Now { since });
        assert_eq!(due("backups.nightly", &before, "2026-11-21T23:59:00Z"), Due::Now { since });
        assert_eq!(due("backups.nightly", &before, "2026-11-21T01:59:59Z"), Due::Later { at: since });
        for end in [RunEnd::Running, RunEnd::Succeeded, RunEnd::Failed] {
            let since = ran("2026-11-21T02:00:00Z", Some("2026-11-21T02:10:00Z"), end, 1);
            assert_eq!(due("backups.nightly", &since, "2026-11-21T02:30:00Z"), Due::Later { at: at("2026-11-22T02:00:00Z") });
        }
        // By hand, at noon: what is owed from 02:00 was done; tomorrow's is not.
        let by_hand = ran("2026-11-21T12:00:00Z", Some("2026-11-21T12:10:00Z"), RunEnd::Succeeded, 0);
        assert!(matches!(due("backups.nightly", &by_hand, "2026-11-21T13:00:00Z"), Due::Later { .. }));
        assert!(matches!(due("backups.nightly", &by_hand, "2026-11-22T02:00:00Z"), Due::Now { .. }));
    }

    #[test]
    fn a_week_asleep_is_caught_up_once() {
        let before = ran("2026-11-14T00:15:00Z", Some("2026-11-14T00:16:00Z"), RunEnd::Succeeded, 0);
        assert_eq!(due("backups.often", &before, "2026-11-21T00:16:00Z"), Due::Now { since: at("2026-11-21T00:15:00Z") });
        let caught_up = ran("2026-11-21T00:16:00Z", Some("2026-11-21T00:17:00Z"), RunEnd::Succeeded, 0);
        assert_eq!(due("backups.often", &caught_up, "2026-11-21T00:18:00Z"), Due::Later { at: at("2026-11-21T00:30:00Z") });
    }

    #[test]
    fn a_clock_that_is_set_back_repeats_nothing_and_one_that_was_years_ahead_blocks_nothing() {
        let ran_at_two = ran("2026-11-21T02:00:03Z", Some("2026-11-21T02:10:00Z"), RunEnd::Succeeded, 0);
        for now in ["2026-11-21T01:10:00Z", "2026-11-21T02:00:00Z", "2026-11-21T02:00:03Z"] {
            assert!(matches!(due("backups.nightly", &ran_at_two, now), Due::Later { .. }), "{now}");
        }
        let in_years = ran("2036-11-21T02:00:03Z", Some("2036-11-21T02:10:00Z"), RunEnd::Succeeded, 0);
        assert!(matches!(due("backups.nightly", &in_years, "2026-11-21T03:00:00Z"), Due::Now { .. }));
    }

    #[test]
    fn what_broke_off_is_tried_again_after_pauses_that_grow() {
        let broke = |failures| ran("2026-11-21T02:00:00Z", Some("2026-11-21T02:10:00Z"), RunEnd::BrokenOff, failures);
        let since = at("2026-11-21T02:00:00Z");
        let ended = at("2026-11-21T02:10:00Z");
        for (failures, minutes) in [(1, 5), (2, 10), (3, 20), (4, 40), (5, 60), (90, 60)] {
            let first = due("backups.nightly", &broke(failures), "2026-11-21T02:10:00Z");
            let Due::Again { since: answers, at } = first else { panic!("{failures}: {first:?}") };
            let pause = Duration::between(ended, at).as_secs();
            assert!(answers == since && (minutes * 40..=minutes * 60).contains(&pause), "{failures}: {pause} s");
            let of = |now: Instant| due("backups.nightly", &broke(failures), &now.to_string());
            assert_eq!(of(at - jiff::SignedDuration::from_secs(1)), first);
            assert_eq!(of(at), Due::Now { since });
        }
        // The next firing does not wait for a pause of the one before.
        assert_eq!(due("backups.nightly", &broke(90), "2026-11-22T02:00:00Z"), Due::Now { since: at("2026-11-22T02:00:00Z") });
    }

    #[test]
    fn hosts_that_lost_the_same_store_come_back_at_moments_of_their_own() {
        let last = LastRun {
            started: at("2026-11-21T02:00:00Z"),
            ended: Some(at("2026-11-21T02:10:00Z")),
            end: RunEnd::BrokenOff,
            asked: false,
            failures: 3,
        };
        // Their timers fired within a millisecond.
        let hosts: Vec<LastRun> =
            (0..200).map(|host| LastRun { started: last.started + jiff::SignedDuration::from_micros(host * 5), ..last }).collect();
        let moments: Vec<Instant> = hosts.iter().map(|last| again(last, NIGHTLY)).collect();
        // Over a third of twenty minutes, so 400 seconds: in each minute of them some, in none of them many.
        for minute in 0..6 {
            let from = at("2026-11-21T02:23:20Z") + jiff::SignedDuration::from_mins(minute);
            let to = from + jiff::SignedDuration::from_mins(1);
            let count = moments.iter().filter(|moment| (from..to).contains(moment)).count();
            assert!((10..60).contains(&count), "{count} of 200 in minute {minute}");
        }
        assert_eq!(again(&last, NIGHTLY), again(&last, NIGHTLY));
        assert_ne!(again(&last, NIGHTLY), again(&last, Whose { job: "backups.weekly", ..NIGHTLY }));
        assert_ne!(again(&last, NIGHTLY), again(&last, Whose { policy: "orders", ..NIGHTLY }));
        // Their order is another one with each try.
        let order = |failures| {
            let mut order: Vec<usize> = (0..hosts.len()).collect();
            order.sort_by_key(|host| again(&LastRun { failures, ..hosts[*host] }, NIGHTLY));
            order
        };
        assert_ne!(order(3), order(4));
    }

    #[test]
    fn without_a_schedule_only_what_followed_and_broke_off_is_owed() {
        let last = |end, asked| Past {
            last: Some(LastRun { started: at("2026-11-21T02:00:00Z"), ended: Some(at("2026-11-21T02:10:00Z")), end, asked, failures: 1 }),
            ..Past::default()
        };
        let since = at("2026-11-21T02:00:00Z");
        let broke = last(RunEnd::BrokenOff, false);
        let again = again(&broke.last.expect("it ran"), NIGHTLY);
        assert_eq!(on_demand(NIGHTLY, &broke, at("2026-11-21T02:13:00Z")), Due::Again { since, at: again });
        assert_eq!(on_demand(NIGHTLY, &broke, at("2026-11-21T02:15:00Z")), Due::Now { since });
        let rest = [Past::default(), last(RunEnd::BrokenOff, true)];
        let ended = [RunEnd::Running, RunEnd::Succeeded, RunEnd::Failed].map(|end| last(end, false));
        for past in rest.iter().chain(&ended) {
            assert_eq!(on_demand(NIGHTLY, past, at("2026-11-21T09:00:00Z")), Due::OnDemand, "{past:?}");
        }
    }

    #[test]
    fn what_somebody_asked_for_and_broke_off_owes_nothing_that_was_done() {
        let mut past = ran("2026-11-21T15:00:00Z", Some("2026-11-21T15:10:00Z"), RunEnd::BrokenOff, 1);
        past.last = past.last.map(|last| LastRun { asked: true, ..last });
        past.succeeded = Some(at("2026-11-21T02:30:00Z"));
        assert!(matches!(due("backups.nightly", &past, "2026-11-21T16:00:00Z"), Due::Later { .. }));
        // It was the first try of what was owed.
        past.succeeded = Some(at("2026-11-20T02:30:00Z"));
        assert!(matches!(due("backups.nightly", &past, "2026-11-21T16:00:00Z"), Due::Now { .. }));
    }

    #[test]
    fn a_new_job_owes_a_backup_at_once_and_everything_else_from_its_next_firing() {
        assert!(matches!(due("backups.nightly", &Past::default(), "2026-11-21T03:00:00Z"), Due::Now { .. }));
        assert!(matches!(due("verify.weekly", &Past::default(), "2026-11-21T03:00:00Z"), Due::Later { .. }));
        let seen = Past { first_seen: Some(at("2026-11-21T03:00:00Z")), ..Past::default() };
        assert!(matches!(due("verify.weekly", &seen, "2026-11-22T04:59:59Z"), Due::Later { .. }));
        assert!(matches!(due("verify.weekly", &seen, "2026-11-22T05:00:00Z"), Due::Now { .. }));
    }

    #[test]
    fn outside_its_window_nothing_begins() {
        let before = ran("2026-11-19T01:00:00Z", Some("2026-11-19T01:30:00Z"), RunEnd::Succeeded, 0);
        // 02:00 to 04:00 in Oslo is 01:00 to 03:00 in winter.
        assert!(matches!(due("backups.windowed", &before, "2026-11-21T01:00:00Z"), Due::Now { .. }));
        assert!(matches!(due("backups.windowed", &before, "2026-11-21T02:59:59Z"), Due::Now { .. }));
        let closed = due("backups.windowed", &before, "2026-11-21T03:00:00Z");
        let Due::Closed { since, window, opens } = closed else { panic!("{closed:?}") };
        assert_eq!((since, window.as_str()), (at("2026-11-21T01:00:00Z"), "night"));
        assert_eq!(opens, Some(at("2026-11-22T01:00:00Z")));
    }

    #[test]
    fn on_the_days_on_which_the_clocks_change_it_runs_once() {
        // 02:00 is left out in Oslo on 2026-03-29, and comes twice nowhere: the clocks go back at 03:00.
        let runs = |from: &str, hours: i64| {
            let policy = policy();
            let timed = policy.timed();
            let job = timed.iter().find(|timed| timed.path.to_string() == "backups.windowed").expect("a job");
            let mut past = ran("2026-03-01T01:00:00Z", Some("2026-03-01T01:30:00Z"), RunEnd::Succeeded, 0);
            let mut count = 0;
            for minute in 0..hours * 60 {
                let now = at(from) + jiff::SignedDuration::from_mins(minute);
                if matches!(owed(job, NIGHTLY, &past, now), Due::Now { .. }) {
                    count += 1;
                    past.last = Some(LastRun { started: now, ended: Some(now), end: RunEnd::Succeeded, asked: false, failures: 0 });
                }
            }
            count
        };
        assert_eq!(runs("2026-03-28T12:00:00Z", 24), 1);
        assert_eq!(runs("2026-10-24T12:00:00Z", 24), 1);
    }
}
