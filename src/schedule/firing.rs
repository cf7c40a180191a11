//! When a civil rule fires in real time, in a zone whose clocks are changed.
//!
//! Time is cut into stretches of constant offset ([`Stretch`]). Within a stretch the rule fires whenever the clock shows one
//! of its moments, but for two things at its beginning:
//! * the clocks went **forward**: the moments that were left out fire as if the old offset still held;
//! * the clocks went **back**: the moments that come a second time do not fire again, unless the rule names every hour.

use super::civil_rule::{CivilRule, DAY};
use super::zone::{Stretch, Zone};

/// A rule and the clock it is read on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clockwork<'s> {
    pub rule: &'s CivilRule,
    pub zone: &'s Zone,
}

impl Clockwork<'_> {
    /// The local moment from which a stretch's firings are those that its clock shows.
    pub(super) fn plain_from(&self, stretch: &Stretch) -> i64 {
        match stretch.start {
            i64::MIN => i64::MIN,
            start if stretch.change() < 0 && !self.rule.times.every_hour => start + stretch.before,
            start => start + stretch.offset,
        }
    }

    /// The first firing at or after a Unix second.
    pub(super) fn at_or_after(&self, second: i64) -> Option<i64> {
        let mut second = second;
        let mut whole_stretch = false;
        loop {
            let stretch = self.zone.stretch_at(second);
            let plain = self.rule.at_or_after((second + stretch.offset).max(self.plain_from(&stretch)))?;
            let shown = Some(plain - stretch.offset).filter(|firing| *firing < stretch.end);
            let shifted = if stretch.change() > 0 && second < stretch.start + stretch.change() {
                let left_out = self.rule.at_or_after(second + stretch.before).filter(|moment| *moment < stretch.start + stretch.offset);
                left_out.map(|moment| moment - stretch.before).filter(|firing| *firing < stretch.end)
            } else {
                None
            };
            if let Some(firing) = shown.into_iter().chain(shifted).min() {
                return Some(firing);
            }
            // Once a whole stretch was empty, all of them are until shortly before the moment found.
            second = if whole_stretch { stretch.end.max(plain - 2 * DAY) } else { stretch.end };
            whole_stretch = true;
        }
    }

    /// The last firing before a Unix second.
    pub(super) fn before(&self, second: i64) -> Option<i64> {
        let mut second = second;
        let mut whole_stretch = false;
        loop {
            let stretch = self.zone.stretch_at(second - 1);
            let plain = self.rule.before(second + stretch.offset)?;
            let shown = (plain >= self.plain_from(&stretch)).then(|| plain - stretch.offset);
            let shifted = if stretch.change() > 0 {
                let left_out = self.rule.before((second + stretch.before).min(stretch.start + stretch.offset));
                left_out.filter(|moment| *moment >= stretch.start + stretch.before).map(|moment| moment - stretch.before)
            } else {
                None
            };
            if let Some(firing) = shown.into_iter().chain(shifted).max() {
                return Some(firing);
            }
            if stretch.start == i64::MIN {
                return None;
            }
            second = if whole_stretch { stretch.start.min(plain + 2 * DAY) } else { stretch.start };
            whole_stretch = true;
        }
    }

    /// The moment that the rule names for a firing: what the clock shows, or would have shown had it not gone forward.
    pub(super) fn moment_of(&self, firing: i64) -> i64 {
        let stretch = self.zone.stretch_at(firing);
        let shown = firing + stretch.offset;
        if self.rule.contains(shown) { shown } else { firing + stretch.before }
    }
}
