//! The longest and the shortest gap of a rule on a clock that is never changed.

use super::civil_rule::{CivilRule, DAY};
use super::days::{Days, MonthDays};
use super::month::Month;

/// Which extreme is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extreme {
    Longest,
    Shortest,
}

impl Extreme {
    pub(super) fn prefers(self, one: i64, other: i64) -> bool {
        match self {
            Extreme::Longest => one > other,
            Extreme::Shortest => one < other,
        }
    }
    pub(super) fn at_least_as_good(self, one: i64, other: i64) -> bool {
        !self.prefers(other, one)
    }
    /// What every gap is better than.
    pub(super) fn worst(self) -> i64 {
        match self {
            Extreme::Longest => i64::MIN,
            Extreme::Shortest => i64::MAX,
        }
    }
}

/// Two moments that follow each other.
type Pair = (i64, i64);

/// The best pair so far; of equal ones, the first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Best {
    pub extreme: Extreme,
    pub pair: Option<Pair>,
}

impl Best {
    pub(super) fn length(&self) -> i64 {
        self.pair.map_or(self.extreme.worst(), |(from, to)| to - from)
    }
    pub(super) fn consider(&mut self, from: i64, to: i64) {
        if self.extreme.prefers(to - from, self.length()) {
            self.pair = Some((from, to));
        }
    }
}

impl CivilRule {
    /// Improves `best` by the pairs between two moments of the rule, both included, shifted by `-offset` into real time.
    pub(super) fn extreme_between(&self, from: i64, to: i64, offset: i64, best: &mut Best) {
        let (first, last) = (from.div_euclid(DAY), to.div_euclid(DAY));
        // Most of the time no pair within a day can improve on what is there.
        let worthwhile = self.within_a_day(best.extreme).is_some_and(|length| best.extreme.prefers(length, best.length()));
        let mut within_day = |day: i64, begin: i64, end: i64| {
            for (one, other) in self.times.pairs(begin, end) {
                best.consider(day * DAY + one - offset, day * DAY + other - offset);
            }
        };
        if worthwhile {
            let in_between = self.days.at_or_after(first + 1).filter(|day| *day < last);
            within_day(first, from - first * DAY, if first == last { to - last * DAY } else { DAY });
            if let Some(day) = in_between {
                within_day(day, 0, DAY);
            }
            if first != last {
                within_day(last, 0, to - last * DAY);
            }
        }
        if first == last {
            return;
        }
        // From the last time of one day to the first time of the next.
        let night = self.times.first() - self.times.last();
        let mut steps = Best { extreme: best.extreme, pair: None };
        self.days.extreme_step(first, last, &mut steps);
        if let Some((one, other)) = steps.pair
            && best.extreme.prefers((other - one) * DAY + night, best.length())
        {
            best.consider(one * DAY + self.times.last() - offset, other * DAY + self.times.first() - offset);
        }
    }

    /// The extreme over a whole cycle of the calendar.
    pub(super) fn extreme_ever(&self, extreme: Extreme) -> i64 {
        let night = self.days.extreme_step_ever(extreme) * DAY + self.times.first() - self.times.last();
        self.within_a_day(extreme).filter(|within| extreme.prefers(*within, night)).unwrap_or(night)
    }

    fn within_a_day(&self, extreme: Extreme) -> Option<i64> {
        self.times.steps().map(|(longest, shortest)| match extreme {
            Extreme::Longest => longest,
            Extreme::Shortest => shortest,
        })
    }

    /// All gaps are alike on a clock that is never changed.
    pub(super) fn is_regular(&self) -> bool {
        // What depends on months cannot be, or else it would be a week.
        matches!(self.days, Days::Week(_)) && self.extreme_ever(Extreme::Longest) == self.extreme_ever(Extreme::Shortest)
    }
}

impl Days {
    /// The extreme distance between neighbouring days, from the matching day `first` to the matching day `last`.
    fn extreme_step(&self, first: i64, last: i64, best: &mut Best) {
        match self {
            Days::Week(_) => {
                // Every step of the week begins within the first one.
                let mut day = first;
                while let Some(next) = self.at_or_after(day + 1).filter(|next| *next <= last && day < first + 7) {
                    best.consider(day, next);
                    day = next;
                }
            }
            Days::Months(days) => days.extreme_step(first, last, best),
        }
    }

    fn extreme_step_ever(&self, extreme: Extreme) -> i64 {
        const YEARS_400: i64 = 146_097;
        let first = self.at_or_after(0).unwrap_or(0);
        let mut best = Best { extreme, pair: None };
        self.extreme_step(first, first + YEARS_400, &mut best);
        best.length()
    }
}

impl MonthDays {
    fn extreme_step(&self, first: i64, last: i64, best: &mut Best) {
        let mut month = Month::containing(first);
        let mut day = first;
        let mut matching = self.of(month) & !(u32::MAX >> (31 - (first - month.first)));
        while month.first <= last {
            let (next, end) = (month.first + i64::from(matching.trailing_zeros()), month.first + 31 - i64::from(matching.leading_zeros()));
            let whole = end <= last && !best.extreme.prefers(self.step_in(month, best.extreme), best.length());
            if matching != 0 && whole {
                best.consider(day, next);
                day = end;
            } else {
                day = walk(day, month.first, matching, last, best);
            }
            month = month.next();
            matching = self.of(month);
        }
    }
}

/// Day by day through the rest of a month.
fn walk(day: i64, first_of_month: i64, matching: u32, last: i64, best: &mut Best) -> i64 {
    let (mut day, mut matching) = (day, matching);
    while matching != 0 {
        let next = first_of_month + i64::from(matching.trailing_zeros());
        if next > last {
            break;
        }
        best.consider(day, next);
        day = next;
        matching &= matching - 1;
    }
    day
}
