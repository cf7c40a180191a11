//! The times of day at which a rule fires.

use super::time_of_day::TimeOfDay;

/// Some minutes of the day: at least one, in order, none twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Times {
    minutes: Box<[u16]>,
    /// There is one in each of the 24 hours: such a rule follows real time when an hour comes twice.
    pub every_hour: bool,
    steps: Option<(i64, i64)>,
}

impl Times {
    pub(super) fn new(times: impl IntoIterator<Item = TimeOfDay>) -> Option<Times> {
        let mut minutes: Vec<u16> = times.into_iter().map(TimeOfDay::minute_of_day).collect();
        minutes.sort_unstable();
        minutes.dedup();
        let hours = minutes.iter().fold(0u32, |hours, minute| hours | 1 << (minute / 60));
        let steps = minutes.windows(2).map(|pair| i64::from(pair[1] - pair[0]) * 60);
        let steps = steps.clone().max().zip(steps.min());
        (!minutes.is_empty()).then(|| Times { minutes: minutes.into(), every_hour: hours == 0xff_ffff, steps })
    }

    /// In seconds since midnight on the clock, like everything below.
    pub(super) fn first(&self) -> i64 {
        i64::from(self.minutes[0]) * 60
    }
    pub(super) fn last(&self) -> i64 {
        i64::from(self.minutes[self.minutes.len() - 1]) * 60
    }
    pub(super) fn at_or_after(&self, second: i64) -> Option<i64> {
        let index = self.minutes.partition_point(|minute| i64::from(*minute) * 60 < second);
        self.minutes.get(index).map(|minute| i64::from(*minute) * 60)
    }
    /// Strictly before.
    pub(super) fn before(&self, second: i64) -> Option<i64> {
        let index = self.minutes.partition_point(|minute| i64::from(*minute) * 60 < second);
        index.checked_sub(1).map(|index| i64::from(self.minutes[index]) * 60)
    }
    pub(super) fn iter(&self) -> impl Iterator<Item = TimeOfDay> {
        self.minutes.iter().map(|minute| TimeOfDay::from_minute_of_day(*minute))
    }
    /// The longest and the shortest step between neighbours on one day, unless there is only one time.
    pub(super) fn steps(&self) -> Option<(i64, i64)> {
        self.steps
    }
    /// Neighbours on the same day, from the time `from` to the time `to`.
    pub(super) fn pairs(&self, from: i64, to: i64) -> impl Iterator<Item = (i64, i64)> {
        let seconds = |minute: u16| i64::from(minute) * 60;
        let begin = self.minutes.partition_point(|minute| seconds(*minute) < from);
        let end = self.minutes.partition_point(|minute| seconds(*minute) <= to);
        self.minutes[begin..end.max(begin)].windows(2).map(move |pair| (seconds(pair[0]), seconds(pair[1])))
    }
    /// On every day the same times come again when the clocks are moved by `step` seconds.
    pub(super) fn repeat_after(&self, step: i64) -> bool {
        step % 60 == 0
            && self.minutes.iter().all(|minute| {
                let moved = (i64::from(*minute) + step / 60).rem_euclid(1440);
                self.minutes.binary_search_by_key(&moved, |minute| i64::from(*minute)).is_ok()
            })
    }
}
