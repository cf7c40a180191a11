//! When things run: by their schedule, as far as their window lets them. What runs more often fills a number of backups sooner.

use std::collections::BTreeMap;

use super::comparison::Comparison;
use super::consequence::Consequence;
use super::jobs::{place_of, soften};
use super::words::{Amount, keep_rules, plain};
use crate::objectives::longest_in_window;
use crate::policy::model::{Policy, TimedKind};
use crate::policy::path::PolicyPath;
use crate::retention::Keep;
use crate::schedule::{Schedule, Window};
use crate::units::{Duration, Instant, Name};

/// A job that misses its window so many times in a row never runs.
const MOST_OPENINGS: usize = 1_000;
/// How many runs say how often something usually runs, and in how many hours from 1970 on: 48 years. A schedule comes round again after a
/// year (but for a 29 February), so that a part of a round at either end of them hardly counts.
const MOST_RUNS: usize = 20_000;
const LONG_ENOUGH_HOURS: i64 = 48 * 8_766;
/// What is closer by less, in percent, is only moved.
const HARDLY: u64 = 5;

/// What runs by the clock, and when.
#[derive(Debug, Clone)]
pub struct Run {
    pub kind: TimedKind,
    pub schedule: Schedule,
    pub window: Option<Window>,
}

/// By the path of what runs.
pub fn runs(policy: &Policy) -> BTreeMap<PolicyPath, Run> {
    let run = |timed: crate::policy::model::Timed<'_>| {
        let window = timed.window.map(|(_, window)| window.window.clone());
        (timed.path, Run { kind: timed.kind, schedule: timed.schedule, window })
    };
    policy.timed().into_iter().map(run).collect()
}

impl Run {
    /// The finding when it runs less often.
    pub fn code(&self) -> u16 {
        if matches!(self.kind, TimedKind::Drill | TimedKind::Verify) { 909 } else { 914 }
    }

    fn is_same_as(&self, other: &Run) -> bool {
        self.schedule.is_same_as(&other.schedule) && self.window == other.window
    }

    fn next_after(&self, after: Instant) -> Option<Instant> {
        let Some(window) = &self.window else { return self.schedule.next_after(after) };
        let mut at = after;
        for _ in 0..MOST_OPENINGS {
            let firing = self.schedule.next_after(at)?;
            if window.contains(firing) {
                return Some(firing);
            }
            let (open, _) = window.next_opening(firing)?;
            at = open.checked_sub(jiff::SignedDuration::from_secs(1)).unwrap_or(open);
        }
        None
    }

    fn longest_gap(&self, now: Instant) -> Duration {
        let gap = self.schedule.longest_gap(now);
        self.window.as_ref().map_or(gap, |window| longest_in_window(&self.schedule, window, gap, now)).length
    }

    /// On average, by the minute: the clocks' changes are no part of it, nor is the day on which somebody asks.
    fn usual_gap(&self) -> Option<Duration> {
        let begin = Instant::UNIX_EPOCH;
        let end = begin.checked_add(jiff::SignedDuration::from_hours(LONG_ENOUGH_HOURS)).ok()?;
        let all = std::iter::successors(self.next_after(begin), |last| self.next_after(*last)).take_while(|run| *run < end);
        let all: Vec<Instant> = all.take(MOST_RUNS).collect();
        let gaps = u64::try_from(all.len()).ok()?.checked_sub(1).filter(|gaps| *gaps > 0)?;
        let average = Duration::between(*all.first()?, *all.last()?).as_secs() / gaps;
        Some(Duration::from_secs((average + 30) / 60 * 60))
    }
}

impl Comparison<'_> {
    pub fn runs(&mut self) {
        let after = runs(self.new);
        for (path, before) in runs(self.old) {
            if let Some(after) = after.get(&path).filter(|after| !before.is_same_as(after)) {
                self.runs_less(&path, &before, after);
                if let [_, crate::policy::path::Step::Key(job)] = path.steps()
                    && before.kind == TimedKind::Backup
                {
                    self.history(job, &before, after);
                }
            }
        }
    }

    fn runs_less(&mut self, path: &PolicyPath, before: &Run, after: &Run) {
        let now = self.world.now;
        let code = before.code();
        let at = path.key(if before.schedule.is_same_as(&after.schedule) { "window" } else { "schedule" });
        if let (Some(_), None) = (before.next_after(now), after.next_after(now)) {
            let window = after.window.as_ref().map(Window::describe).unwrap_or_default();
            let message =
                format!("`{}` never runs any more: {} is always outside of its window, {window}", plain(path), after.schedule.describe());
            self.warn(Consequence::warning(code, at, message));
            return;
        }
        let (from, to) = (before.longest_gap(now), after.longest_gap(now));
        if to > from {
            let message = format!("`{}` runs less often: up to {to} pass between two runs, instead of {from}", plain(path));
            self.warn(Consequence::warning(code, at, message));
        }
    }

    // ---- how far a number of backups reaches back --------------------------------------------------------------------

    fn history(&mut self, job: &str, before: &Run, after: &Run) {
        let Ok(name) = job.parse::<Name>() else { return };
        let (Some(old), Some(new)) = (self.old.backups.get(&name), self.new.backups.get(&name)) else { return };
        let (Some(from), Some(to)) = (before.usual_gap(), after.usual_gap()) else { return };
        if to * 100 >= from * (100 - HARDLY) {
            return;
        }
        for store in self.old.stores_of(&name) {
            let (Some((before, _)), Some((after, path))) = (place_of(old, &name, store), place_of(new, &name, store)) else { continue };
            for (rule, reached, reaches) in shortened(before, after, from, to) {
                let message = format!(
                    "`{rule}` of `backups.{name}` in `{store}` reaches back {reaches} instead of {reached}: a backup is made every {to} now, and older ones go"
                );
                let consequence = Consequence::destructive(903, path.key(rule), message)
                    .hint("Keep more of them, say with `for` how long all are kept, or acknowledge SW0903.");
                let none_yet = self.world.existing(&[store], |backup| backup.job == name, "", "").is_known_empty();
                self.warn(if none_yet { soften(consequence) } else { consequence });
            }
        }
    }
}

/// The rules that count backups and reach less far when one is made every `to` instead of every `from`, unless another rule keeps as
/// many from as far back.
fn shortened(before: &Keep, after: &Keep, from: Duration, to: Duration) -> Vec<(&'static str, Duration, Duration)> {
    let (old, new) = (keep_rules(before), keep_rules(after));
    let fades = |(rule, amount): &(&'static str, Amount)| {
        let reached = reach(rule, *amount, from);
        let fine = from.max(step(rule));
        let is_held =
            new.is_empty() || new.iter().any(|(other, amount)| to.max(step(other)) <= fine && reach(other, *amount, to) >= reached);
        // A rule that is taken out is a change of retention, which is said as such.
        let (_, left) = new.iter().find(|(other, _)| other == rule)?;
        let counts = matches!((amount, left), (Amount::Count(_), Amount::Count(_)));
        (counts && !is_held).then(|| (*rule, reached, reach(rule, *left, to)))
    };
    old.iter().filter_map(fades).collect()
}

fn reach(rule: &str, amount: Amount, gap: Duration) -> Duration {
    match amount {
        Amount::Count(count) => gap.max(step(rule)) * u64::from(count),
        Amount::For(period) => period.approximate(),
    }
}

/// The usual length of what a tier keeps one backup of.
fn step(rule: &str) -> Duration {
    let month = crate::units::Period::from_months(1).approximate();
    match rule {
        "hourly" => Duration::from_hours(1),
        "daily" => Duration::from_days(1),
        "weekly" => Duration::from_days(7),
        "monthly" => month,
        "quarterly" => month * 3,
        "yearly" => month * 12,
        _ => Duration::ZERO,
    }
}
