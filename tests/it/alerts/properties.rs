//! What holds for any course of things.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use seawall::alert::{Condition, Judged, Memory, NoticeKind, Seen, State, judge};
use seawall::policy::file::Severity;
use seawall::policy::model::Policy;
use seawall::units::{Duration, Instant};

use super::story::policy_of;

const LASTING: Duration = Duration::from_mins(5);
const KEYS: [&str; 3] = ["a", "b", "c"];

fn policy() -> Policy {
    policy_of(
        "cluster: { connection: service=shop }
stores: { main: { s3: { bucket: shop-backups } } }
backups: { nightly: { physical: {}, schedule: { at: \"02:00\" }, store: main, keep: { daily: 30 } } }
receivers: { x: { email: { to: [x@example.com] } }, y: { email: { to: [y@example.com] } }, z: { email: { to: [z@example.com] } } }
alerts: { routes: [{ severity: critical, to: [x, y], remind: 1h, escalate: [{ after: 30m, to: [z] }] }, { to: [y] }] }
",
    )
}

fn condition(key: &str, state: State) -> Condition {
    Condition::new(key, Severity::Critical, format!("{key} is wrong")).state(state).lasting(LASTING)
}

/// How long until the next look, in minutes, and what each key then looks like.
fn course() -> impl Strategy<Value = Vec<(i64, [u8; 3])>> {
    let minutes = prop_oneof![8 => 0i64..20, 2 => 20i64..300, 1 => Just(7 * 24 * 60), 1 => Just(-60)];
    proptest::collection::vec((minutes, [0u8..5, 0u8..5, 0u8..5]), 1..60)
}

fn state(of: u8) -> State {
    match of {
        0 | 1 => State::Firing,
        2 | 3 => State::Quiet,
        _ => State::Unknown,
    }
}

fn look(policy: &Policy, memory: Memory, states: [u8; 3], now: Instant) -> Judged {
    let conditions: Vec<Condition> = KEYS.iter().zip(states).map(|(key, of)| condition(key, state(of))).collect();
    judge(policy, memory, &Seen { conditions: Some(&conditions), ..Seen::default() }, now)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Judged again, or from a memory that was written down, nothing differs; no message comes twice; whoever heard of something
    /// hears once that it is over, and nobody else does.
    #[test]
    fn everything_is_said_once(course in course()) {
        let policy = policy();
        let mut memory = Memory::default();
        let mut now: Instant = "2026-11-21T08:00:00Z".parse().expect("a moment");
        let mut ids = BTreeSet::new();
        let mut hearers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (minutes, states) in course {
            now += jiff::SignedDuration::from_mins(minutes);
            let read = Memory::from_json(&memory.to_json()).expect("a memory");
            prop_assert_eq!(&read, &memory);
            let judged = look(&policy, memory, states, now);
            prop_assert_eq!(&look(&policy, read, states, now), &judged);
            let again = look(&policy, judged.memory.clone(), states, now);
            prop_assert!(again.notices.is_empty(), "said twice: {:?}", again.notices);
            prop_assert_eq!(&again.memory, &judged.memory);
            for notice in &judged.notices {
                prop_assert!(ids.insert(notice.id.clone()), "an id comes twice: {:?}", notice);
                for item in &notice.items {
                    let hearers = hearers.entry(item.key.clone()).or_default();
                    let receiver = notice.receiver.to_string();
                    match notice.kind {
                        NoticeKind::Firing | NoticeKind::Escalation => prop_assert!(hearers.insert(receiver), "told twice: {:?}", notice),
                        NoticeKind::Reminder => prop_assert!(hearers.contains(&receiver), "a reminder of nothing: {:?}", notice),
                        NoticeKind::Resolved => prop_assert!(hearers.remove(&receiver), "over, and never begun: {:?}", notice),
                        kind => prop_assert!(false, "{kind:?}"),
                    }
                }
            }
            // An alert that is no longer open has no hearers left, and one that is open has all of its route.
            for key in KEYS {
                let open = judged.firing.iter().find(|firing| firing.key == key);
                let heard = hearers.get(key).cloned().unwrap_or_default();
                match open {
                    None => prop_assert!(heard.is_empty(), "{key} is over and {heard:?} have not heard"),
                    Some(_) => prop_assert!(heard.contains("x") && heard.contains("y"), "{key} fires and only {heard:?} know"),
                }
            }
            prop_assert!(judged.unheard.is_empty());
            memory = judged.memory;
        }
    }

    /// What is wrong at each look for longer than its `for` fires; what never is for that long does not.
    #[test]
    fn what_lasts_fires_and_nothing_else(course in course()) {
        let policy = policy();
        let mut memory = Memory::default();
        let mut now: Instant = "2026-11-21T08:00:00Z".parse().expect("a moment");
        let mut since: BTreeMap<&str, Instant> = BTreeMap::new();
        let mut open: BTreeSet<&str> = BTreeSet::new();
        for (minutes, states) in course.into_iter().filter(|(minutes, _)| *minutes >= 0) {
            now += jiff::SignedDuration::from_mins(minutes);
            let judged = look(&policy, memory, states, now);
            for (key, of) in KEYS.into_iter().zip(states) {
                match state(of) {
                    State::Quiet => { since.remove(key); }
                    State::Firing => { since.entry(key).or_insert(now); }
                    State::Unknown => {}
                }
                let lasted = state(of) == State::Firing && Duration::between(since[key], now) >= LASTING;
                let fires = judged.firing.iter().any(|firing| firing.key == key);
                prop_assert!(!lasted || fires, "{key} has lasted and does not fire");
                prop_assert!(!fires || lasted || open.contains(key), "{key} fires too early");
                if fires { open.insert(key); } else { open.remove(key); }
            }
            memory = judged.memory;
        }
    }
}

#[test]
fn ten_thousand_alerts_are_judged_without_ado() {
    let policy = policy();
    let conditions: Vec<Condition> = (0..10_000).map(|n| condition(&format!("k{n}"), State::Firing).lasting(Duration::ZERO)).collect();
    let now: Instant = "2026-11-21T08:00:00Z".parse().expect("a moment");
    let started = std::time::Instant::now();
    let seen = Seen { conditions: Some(&conditions), ..Seen::default() };
    let judged = judge(&policy, Memory::default(), &seen, now);
    assert_eq!(judged.notices.iter().map(|notice| notice.items.len()).sum::<usize>(), 20_000);
    assert_eq!(judged.notices.len(), 40);
    let later = judge(&policy, judged.memory, &seen, now + jiff::SignedDuration::from_mins(61));
    assert_eq!(later.notices.iter().map(|notice| notice.items.len()).sum::<usize>(), 10_000 * 3);
    // Far more than it takes, far less than anything quadratic would, without optimisation and on a busy machine.
    assert!(started.elapsed().as_secs() < 90, "{:?}", started.elapsed());
}
