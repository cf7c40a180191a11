//! Days and times together: the moments that a rule names on a clock that is never changed.
//!
//! Such moments are counted in seconds since 1970-01-01 00:00 on that clock.

use super::days::Days;
use super::times::Times;

pub(super) const DAY: i64 = 86_400;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CivilRule {
    pub days: Days,
    pub times: Times,
}

impl CivilRule {
    pub(super) fn at_or_after(&self, moment: i64) -> Option<i64> {
        let (day, second) = (moment.div_euclid(DAY), moment.rem_euclid(DAY));
        if let Some(time) = self.times.at_or_after(second)
            && self.days.contains(day)
        {
            return Some(day * DAY + time);
        }
        self.days.at_or_after(day + 1).map(|day| day * DAY + self.times.first())
    }

    /// Strictly before.
    pub(super) fn before(&self, moment: i64) -> Option<i64> {
        let (day, second) = (moment.div_euclid(DAY), moment.rem_euclid(DAY));
        if let Some(time) = self.times.before(second)
            && self.days.contains(day)
        {
            return Some(day * DAY + time);
        }
        self.days.at_or_before(day - 1).map(|day| day * DAY + self.times.last())
    }

    pub(super) fn contains(&self, moment: i64) -> bool {
        self.at_or_after(moment) == Some(moment)
    }
}
