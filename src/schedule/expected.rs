//! Since when something must have happened that a schedule asks for.

use super::{Schedule, Window};
use crate::units::{Duration, Instant};

/// Of what happens at least so often, one time that is missed is made up for by the next. Nobody waits for that where it is further away.
const OFTEN: Duration = Duration::from_days(3);
/// So long somebody has to start it again by hand, or the host to come back.
const GRACE: Duration = Duration::from_days(1);

/// How long is waited for what a schedule asks for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Patience<'w> {
    /// How long it takes, declared or measured.
    pub takes: Duration,
    /// How long it may take, where that is said.
    pub at_most: Option<Duration>,
    /// Inside which it stays: until that opens nothing can happen.
    pub window: Option<&'w Window>,
}

impl Patience<'_> {
    /// What is missed of a firing that the next one is far behind.
    fn is_over(&self, firing: Instant, now: Instant) -> bool {
        let opening = self.window.and_then(|window| window.opening_around(firing).or_else(|| window.next_opening(firing)));
        let begins = opening.map_or(firing, |(opens, _)| opens.max(firing));
        Duration::between(begins, now) >= self.takes.max(self.at_most.unwrap_or_default()).max(GRACE)
    }
}

impl Schedule {
    /// The beginning of the stretch in which something must have succeeded: the firing before the last one that has had its time; of what happens
    /// more rarely the last one itself, a day after it or as long as it may take.
    pub fn expected_since(&self, patience: &Patience<'_>, now: Instant) -> Option<Instant> {
        let done = now.saturating_sub(patience.takes.to_signed()).ok()?;
        let last = if self.fires_at(done) { done } else { self.previous_before(done)? };
        let before = self.previous_before(last)?;
        let is_rare = Duration::between(before, last) > OFTEN;
        Some(if is_rare && patience.is_over(last, now) { last } else { before })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{DayRule, TimeOfDay, Weekday, Zone};

    fn at(text: &str) -> Instant {
        text.parse().expect("a moment")
    }

    fn cron(expression: &str) -> Schedule {
        Schedule::cron(expression, Zone::utc()).expect("a schedule")
    }

    fn since(schedule: &Schedule, patience: Patience<'_>, now: &str) -> String {
        schedule.expected_since(&patience, at(now)).expect("a moment").to_string()
    }

    #[test]
    fn what_happens_every_day_may_be_missed_once() {
        let patience = Patience { takes: Duration::from_hours(1), ..Patience::default() };
        let of = |now: &str| since(&cron("0 2 * * *"), patience, now);
        assert_eq!(of("2026-11-21T02:59:00Z"), "2026-11-19T02:00:00Z");
        assert_eq!(of("2026-11-21T03:00:00Z"), "2026-11-20T02:00:00Z");
        // From Friday to Monday is no long time.
        assert_eq!(since(&cron("0 2 * * 1-5"), patience, "2026-11-24T01:00:00Z"), "2026-11-20T02:00:00Z");
    }

    /// The timer of a drill that runs every quarter died: nobody waits for the next quarter to say so.
    #[test]
    fn what_happens_rarely_is_missed_a_day_later() {
        let quarterly = cron("0 4 1 1,4,7,10 *");
        let of = |patience: Patience<'_>, now: &str| since(&quarterly, patience, now);
        assert_eq!(of(Patience::default(), "2026-10-02T03:59:00Z"), "2026-07-01T04:00:00Z");
        assert_eq!(of(Patience::default(), "2026-10-02T04:00:00Z"), "2026-10-01T04:00:00Z");
        assert_eq!(of(Patience::default(), "2026-12-31T04:00:00Z"), "2026-10-01T04:00:00Z");
        assert_eq!(since(&cron("0 4 1 1 *"), Patience::default(), "2026-01-03T00:00:00Z"), "2026-01-01T04:00:00Z");
        // It may take longer than that, or takes longer.
        let long = Patience { at_most: Some(Duration::from_hours(36)), ..Patience::default() };
        assert_eq!(of(long, "2026-10-02T15:59:00Z"), "2026-07-01T04:00:00Z");
        assert_eq!(of(long, "2026-10-02T16:00:00Z"), "2026-10-01T04:00:00Z");
        let slow = Patience { takes: Duration::from_hours(50), ..Patience::default() };
        assert_eq!(of(slow, "2026-10-03T05:59:00Z"), "2026-07-01T04:00:00Z");
        assert_eq!(of(slow, "2026-10-03T06:00:00Z"), "2026-10-01T04:00:00Z");
    }

    /// The first of October is a Thursday, and its window opens on Saturday evening.
    #[test]
    fn what_waits_for_its_window_is_not_missed_before_that() {
        let time = |hour| TimeOfDay::new(hour, 0).expect("a time");
        let window = Window::new(DayRule::Weekdays(Weekday::Saturday.into()), time(22), time(6), Zone::utc()).expect("a window");
        let of = |now: &str| since(&cron("0 4 1 1,4,7,10 *"), Patience { window: Some(&window), ..Patience::default() }, now);
        assert_eq!(of("2026-10-04T21:59:00Z"), "2026-07-01T04:00:00Z");
        assert_eq!(of("2026-10-04T22:00:00Z"), "2026-10-01T04:00:00Z");
    }
}
