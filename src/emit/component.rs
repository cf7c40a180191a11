//! Numbers as systemd's calendar writes them: `*`, `00/15`, `08..18`, `01,15`; and times of day made of them.
//!
//! Steps are only written where it is safe. In systemd 252 `00/5` for hours leaves out the midnight with which a month begins, and `00/9`, or
//! `00/4` in a zone that changes its clocks at midnight, ends in "Resource deadlock avoided", with which a timer is dead for good.

use std::collections::{BTreeMap, BTreeSet};

/// On whose clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clocks {
    /// Clocks that are never changed.
    Utc,
    Local,
}

/// Some numbers of those from `low` to `high`.
pub(super) fn numbers(values: &BTreeSet<u32>, low: u32, high: u32, clocks: Clocks) -> String {
    let all: Vec<u32> = values.iter().copied().collect();
    let (Some(first), Some(last)) = (all.first(), all.last()) else { return "*".to_owned() };
    if all.len() as u32 == high - low + 1 {
        return "*".to_owned();
    }
    let step = all.get(1).map_or(0, |second| second - first);
    let is_even = step > 1 && all.windows(2).all(|pair| pair[1] - pair[0] == step);
    let goes_round = is_even && (high - low + 1).is_multiple_of(step) && last + step > high && *first < low + step;
    if all.len() >= 3 && goes_round && clocks == Clocks::Utc {
        return format!("{first:02}/{step}");
    }
    runs(&all, |number| format!("{number:02}"))
}

/// `01..05,10`
pub(super) fn runs(values: &[u32], write: impl Fn(u32) -> String) -> String {
    let mut written: Vec<String> = Vec::new();
    let mut rest = values;
    while let Some(first) = rest.first() {
        let length = (0u32..).zip(rest).take_while(|(index, value)| **value == first + index).count();
        let run = &rest[..length];
        match run {
            [first, _, .., last] => written.push(format!("{}..{}", write(*first), write(*last))),
            few => written.extend(few.iter().map(|value| write(*value))),
        }
        rest = &rest[length..];
    }
    written.join(",")
}

/// Seconds since midnight as few times of day `hours:minutes:seconds` that together name exactly these.
pub(super) fn times(of_day: &BTreeSet<u32>, clocks: Clocks) -> Vec<String> {
    let mut minutes: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    for second in of_day {
        minutes.entry(second / 60).or_default().insert(second % 60);
    }
    let mut lines = Vec::new();
    for (seconds, minutes) in alike(minutes) {
        let mut hours: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        for minute in minutes {
            hours.entry(minute / 60).or_default().insert(minute % 60);
        }
        for (minutes, hours) in alike(hours) {
            let number = |values, high| numbers(values, 0, high, clocks);
            lines.push(format!("{}:{}:{}", number(&hours, 23), number(&minutes, 59), number(&seconds, 59)));
        }
    }
    lines.sort();
    lines
}

/// The keys that have the same values, together.
pub(super) fn alike<K: Ord, V: Ord>(each: BTreeMap<K, V>) -> BTreeMap<V, BTreeSet<K>> {
    let mut together: BTreeMap<V, BTreeSet<K>> = BTreeMap::new();
    for (key, value) in each {
        together.entry(value).or_default().insert(key);
    }
    together
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_shortly() {
        let of = |values: &[u32], low, high| numbers(&values.iter().copied().collect(), low, high, Clocks::Utc);
        assert_eq!(of(&[0, 15, 30, 45], 0, 59), "00/15");
        assert_eq!(of(&[8, 10, 12], 0, 23), "08,10,12");
        assert_eq!(of(&[1, 2, 3, 7], 1, 12), "01..03,07");
        assert_eq!(of(&[1, 2], 1, 12), "01,02");
        assert_eq!(of(&(0..24).collect::<Vec<_>>(), 0, 23), "*");
        assert_eq!(of(&[5], 0, 59), "05");
    }

    #[test]
    fn steps_that_systemd_stumbles_over_are_lists() {
        let of = |values: &[u32], clocks| numbers(&values.iter().copied().collect(), 0, 23, clocks);
        assert_eq!(of(&[0, 9, 18], Clocks::Utc), "00,09,18");
        assert_eq!(of(&[0, 5, 10, 15, 20], Clocks::Utc), "00,05,10,15,20");
        assert_eq!(of(&[0, 8, 16], Clocks::Utc), "00/8");
        assert_eq!(of(&[0, 8, 16], Clocks::Local), "00,08,16");
    }

    #[test]
    fn times_of_day_are_put_together() {
        let every = |step: usize| times(&(0..86_400).step_by(step).collect(), Clocks::Utc);
        assert_eq!(every(900), ["*:00/15:00"]);
        assert_eq!(every(3_600), ["*:00:00"]);
        assert_eq!(every(5_400), ["00/3:00:00", "01/3:30:00"]);
        assert_eq!(every(90), ["*:00/3:00", "*:01/3:30"]);
        let times = |minutes: [u32; 2]| times(&minutes.map(|minute| minute * 60).into(), Clocks::Local);
        assert_eq!(times([360, 1_080]), ["06,18:00:00"]);
        assert_eq!(times([360, 1_110]), ["06:00:00", "18:30:00"]);
    }
}
