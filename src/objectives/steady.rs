//! What retention guarantees once a job has run long enough: the age that its oldest backup has even at the worst moment,
//! just after an older one has gone.
//!
//! Where the first run of a bucket always stands at the same place in it, the answer is plain calendar arithmetic and
//! exact. Rare schedules are played through with the retention room's own code. For all others there are two lower bounds,
//! and the better one is taken; nothing is ever guaranteed that is not so.

use super::outcome::Oldest;
use crate::retention::{Firing, Keep, Tier, TierKind, lifetimes};
use crate::schedule::{Gap, Schedule, Window};
use crate::units::{Duration, Instant, Period};

const DAY: i64 = 86_400;
/// How many runs of a rare schedule are played through: 33 years of a monthly one.
const PLAYED: usize = 400;

/// A stretch of time back from any moment: calendar months and exact seconds. Either may be negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Back {
    months: i64,
    seconds: i64,
}

impl Back {
    pub fn of_period(period: Period) -> Back {
        let (months, days, seconds) = period.parts();
        Back { months: i64::from(months), seconds: i64::from(days) * DAY + i64::from(seconds) }
    }
    pub fn of_duration(duration: Duration) -> Back {
        Back::seconds(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX))
    }
    fn seconds(seconds: i64) -> Back {
        Back { months: 0, seconds }
    }
    fn minus(self, other: Back) -> Back {
        Back { months: self.months - other.months, seconds: self.seconds - other.seconds }
    }
    fn times(self, count: u32) -> Back {
        let count = i64::from(count);
        Back { months: self.months.saturating_mul(count), seconds: self.seconds.saturating_mul(count) }
    }
    pub fn weight(self) -> i64 {
        self.months.saturating_mul(2_629_746).saturating_add(self.seconds)
    }
    /// At least as long as the period, wherever on the calendar it lies.
    pub fn covers(self, period: Period) -> bool {
        let rest = self.minus(Back::of_period(period));
        if rest.months >= 0 { fewest_days(rest.months) * DAY + rest.seconds >= 0 } else { rest.seconds >= most_days(-rest.months) * DAY }
    }
    /// Rounded down: a borrowed month has 28 days.
    fn period(self) -> Option<Period> {
        let Back { mut months, mut seconds } = self;
        while seconds < 0 && months > 0 {
            months -= 1;
            seconds += 28 * DAY;
        }
        if months < 0 {
            seconds -= most_days(-months) * DAY;
            months = 0;
        }
        if seconds < 0 || (months, seconds) == (0, 0) {
            return None;
        }
        let narrow = |value: i64| u32::try_from(value).unwrap_or(u32::MAX);
        Some(Period::of(narrow(months), narrow(seconds / DAY), narrow(seconds % DAY)))
    }
    pub fn oldest(self) -> Oldest {
        self.period().map_or(Oldest::Newest, Oldest::AtLeast)
    }
}

fn fewest_days(months: i64) -> i64 {
    const DAYS: [i64; 12] = [0, 28, 59, 89, 120, 150, 181, 212, 242, 273, 303, 334];
    months / 12 * 365 + DAYS[(months % 12) as usize]
}

fn most_days(months: i64) -> i64 {
    const DAYS: [i64; 12] = [0, 31, 62, 92, 123, 153, 184, 215, 245, 276, 306, 337];
    months / 12 * 365 + (months / 12 + 3) / 4 + DAYS[(months % 12) as usize]
}

fn bucket(kind: TierKind) -> Back {
    match kind {
        TierKind::Hourly => Back::seconds(3_600),
        TierKind::Daily => Back::seconds(DAY),
        TierKind::Weekly => Back::seconds(7 * DAY),
        TierKind::Monthly => Back { months: 1, seconds: 0 },
        TierKind::Quarterly => Back { months: 3, seconds: 0 },
        TierKind::Yearly => Back { months: 12, seconds: 0 },
    }
}

fn most_seconds(kind: TierKind) -> i64 {
    let bucket = bucket(kind);
    most_days(bucket.months) * DAY + bucket.seconds
}

/// A job's runs, as far as retention is concerned.
pub(super) struct Runs<'s> {
    pub schedule: &'s Schedule,
    pub longest: Gap,
    /// Found out only when it is needed: of some schedules that takes a while.
    pub shortest: std::cell::OnceCell<Gap>,
    /// Only the first of each such bucket gets into the store.
    pub only: Option<TierKind>,
    pub now: Instant,
    /// It does not run whenever its schedule fires.
    pub windowed: bool,
    /// Between the zones of the schedule and of the one rule that is asked about.
    pub play: std::cell::OnceCell<Option<i64>>,
}

impl Runs<'_> {
    /// How far back is guaranteed. `None`: to the first backup ever made.
    pub fn back(&self, keep: &Keep) -> Option<Back> {
        if keep.has_no_rule() {
            return None;
        }
        if self.only.is_none()
            && !self.windowed
            && self.longest.usual >= Duration::from_days(27)
            && let Some(back) = self.played(keep)
        {
            return Some(back);
        }
        let last = keep.last.map(|count| self.of_tier(self.only, Tier::Count(count), keep));
        let within = keep.within.map(|period| self.of_tier(self.only, Tier::For(period), keep));
        let tiers = keep.tiers().map(|(kind, tier)| {
            let kind = self.only.map_or(kind, |only| only.max(kind));
            match self.play(kind, keep) {
                Some(play) => self.exactly(kind, tier, play),
                None => self.of_tier(Some(kind), tier, keep),
            }
        });
        last.into_iter().chain(within).chain(tiers).max_by_key(|back| back.weight())
    }

    fn shortest(&self) -> &Gap {
        self.shortest.get_or_init(|| self.schedule.shortest_gap(self.now))
    }

    /// By how much the place of the first run in each such bucket may vary, in seconds; `None` where nothing is certain.
    fn play(&self, kind: TierKind, keep: &Keep) -> Option<i64> {
        let step = self.longest.usual.as_secs() as i64;
        // Which firing of a bucket is the first that runs is the window's affair.
        if self.windowed || step > most_seconds(kind).min(DAY) {
            return None;
        }
        if self.schedule.times().is_none() {
            // Every offset from Greenwich is a multiple of a quarter of an hour.
            let swing = if kind == TierKind::Hourly { self.swing(keep) } else { 0 };
            return (900 % step == 0 || (DAY % step == 0 && keep.zone == jiff::tz::TimeZone::UTC)).then_some(swing);
        }
        if kind == TierKind::Hourly {
            return (step == 3_600).then(|| self.swing(keep));
        }
        // Every day has a run, so the first one of a day is always at the same time: unless days are those of another zone.
        if *self.schedule.zone().time_zone() == keep.zone {
            Some(self.skipped(Some(kind)))
        } else {
            *self.play.get_or_init(|| self.play_between_zones(keep))
        }
    }

    /// By how much a run is late on a day on which its time is left out because the clocks go forward: of the first runs of
    /// such buckets, or of all runs.
    fn skipped(&self, kind: Option<TierKind>) -> i64 {
        let zone = self.schedule.zone().time_zone();
        let Some(usual) = self.schedule.times().and_then(|times| times.first().copied()) else { return 0 };
        let late = |change: jiff::tz::TimeZoneTransition<'_>| {
            let begin = first_of(kind.unwrap_or(TierKind::Daily), change.timestamp(), zone)?;
            let first = self.schedule.next_after(begin - jiff::SignedDuration::from_nanos(1))?;
            let minutes = (first.as_second() + i64::from(zone.to_offset(first).seconds())).rem_euclid(DAY) / 60;
            Some((minutes - i64::from(usual.minute_of_day())).max(0) * 60)
        };
        // Some years of them: days on which a job does not run are passed by.
        zone.following(self.now).take(12).filter_map(late).max().unwrap_or(0)
    }

    /// A day of the calendar on which periods are reckoned may be longer than 24 hours, by so much.
    fn swing(&self, keep: &Keep) -> i64 {
        let mut offset = keep.zone.to_offset(self.now);
        let mut swing = 0;
        for change in keep.zone.following(self.now).take(4) {
            swing = swing.max(i64::from(offset.seconds() - change.offset().seconds()));
            offset = change.offset();
        }
        swing
    }

    /// The clocks of one zone against those of another, in each half of the months of a year.
    fn play_between_zones(&self, keep: &Keep) -> Option<i64> {
        let year = first_of(TierKind::Yearly, self.now, &keep.zone)?;
        let (mut earliest, mut latest) = (i64::MAX, i64::MIN);
        for sample in 0..24 {
            let day = first_of(TierKind::Daily, Period::of(sample / 2, sample % 2 * 14, 43_200).after(year, &keep.zone), &keep.zone)?;
            let first = self.schedule.next_after(day - jiff::SignedDuration::from_nanos(1))?;
            let place = first.as_second() - day.as_second();
            (earliest, latest) = (earliest.min(place), latest.max(place));
        }
        Some(latest - earliest)
    }

    /// Just after a bucket has got its first backup, `count` buckets are there: the oldest is `count - 1` buckets older. And
    /// just after one has lived for its period, the oldest is one bucket younger.
    fn exactly(&self, kind: TierKind, tier: Tier, play: i64) -> Back {
        let play = Back::seconds(play);
        match tier {
            Tier::Count(1) => Back::default(),
            Tier::Count(count) => bucket(kind).times(count.saturating_sub(1)).minus(play),
            Tier::For(period) => Back::of_period(period).minus(bucket(kind)).minus(play),
        }
    }

    /// The same from below, for the first runs of buckets, or for all runs.
    fn of_tier(&self, kind: Option<TierKind>, tier: Tier, keep: &Keep) -> Back {
        let longest = self.longest.length.as_secs() as i64;
        // A bucket's first run comes within this after the bucket begins.
        let late = |kind: TierKind| longest.min(most_seconds(kind));
        match tier {
            Tier::Count(count) => {
                let runs = Back::seconds(self.runs_in_a_row(count.saturating_sub(1), keep));
                let buckets = kind.map(|kind| bucket(kind).times(count.saturating_sub(1)).minus(Back::seconds(late(kind))));
                buckets.into_iter().chain([runs]).max_by_key(|back| back.weight()).unwrap_or_default()
            }
            Tier::For(period) => {
                let between = match kind {
                    Some(kind) if most_seconds(kind) > self.shortest().length.as_secs() as i64 => {
                        bucket(kind).minus(Back::seconds(-late(kind)))
                    }
                    _ => Back::seconds(self.longest_days(keep)),
                };
                Back::of_period(period).minus(between)
            }
        }
    }

    /// So many runs in a row, at least. Whole days are days of the calendar, as periods are: a change of the clocks takes
    /// nothing from them. Elsewhere it takes its hour once, since the clocks go back again before they go forward again.
    fn runs_in_a_row(&self, gaps: u32, keep: &Keep) -> i64 {
        let (usual, length) = (self.shortest().usual.as_secs() as i64, self.shortest().length.as_secs() as i64);
        let hour = if self.is_calendar(usual, keep) { self.skipped(None) } else { (usual - length).max(0) + self.swing(keep) };
        (usual.saturating_mul(i64::from(gaps)) - hour).max(0)
    }

    fn longest_days(&self, keep: &Keep) -> i64 {
        let (usual, length) = (self.longest.usual.as_secs() as i64, self.longest.length.as_secs() as i64);
        if self.is_calendar(usual, keep) { usual + self.skipped(None) } else { length.max(usual) + self.swing(keep) }
    }

    fn is_calendar(&self, usual: i64, keep: &Keep) -> bool {
        usual % DAY == 0 && *self.schedule.zone().time_zone() == keep.zone
    }

    /// Every run of some decades, beginning with a year: whenever the oldest goes, how old is the next?
    fn played(&self, keep: &Keep) -> Option<Back> {
        let year = first_of(TierKind::Yearly, self.now, &keep.zone)?;
        let runs: Vec<Firing> =
            self.schedule.firings(year, Instant::MAX).take(PLAYED).map(|firing| Firing { started: firing, stopped: firing }).collect();
        // A rule that fires in bursts is not seen whole in so few runs.
        let whole = runs.last().is_some_and(|last| between(year, last.started, &keep.zone).months >= 28 * 12);
        if !whole {
            return None;
        }
        let lives = lifetimes(&runs, keep);
        let mut worst: Option<Back> = None;
        let mut at = 0;
        while let Some(gone) = lives.get(at).and_then(|life| life.until) {
            let next = (at + 1..lives.len()).find(|&next| lives[next].until.is_none_or(|until| until > gone))?;
            if lives[next].started > gone {
                return Some(Back::default());
            }
            let back = between(lives[next].started, gone, &keep.zone);
            if worst.is_none_or(|worst| back.weight() < worst.weight()) {
                worst = Some(back);
            }
            at = next;
        }
        worst
    }
}

/// From one moment to a later one, in whole months and a rest of half a month at most, forward or back: so that the shorter
/// of two that are nearly alike is found.
fn between(from: Instant, to: Instant, zone: &jiff::tz::TimeZone) -> Back {
    let (start, end) = (from.to_zoned(zone.clone()), to.to_zoned(zone.clone()));
    let Ok(span) = start.until((jiff::Unit::Month, &end)) else { return Back::default() };
    let months = span.get_months();
    if span.get_days() >= 16
        && let Ok(beyond) = start.checked_add(jiff::Span::new().months(months + 1))
    {
        return Back { months: i64::from(months) + 1, seconds: end.timestamp().as_second() - beyond.timestamp().as_second() };
    }
    let time = i64::from(span.get_hours()) * 3_600 + span.get_minutes() * 60 + span.get_seconds();
    Back { months: i64::from(months), seconds: i64::from(span.get_days()) * DAY + time }
}

/// When the bucket of a moment began.
fn first_of(kind: TierKind, moment: Instant, zone: &jiff::tz::TimeZone) -> Option<Instant> {
    let local = moment.to_zoned(zone.clone());
    let date = local.date();
    let first = match kind {
        TierKind::Hourly => {
            return local
                .round(jiff::ZonedRound::new().smallest(jiff::Unit::Hour).mode(jiff::RoundMode::Trunc))
                .ok()
                .map(|hour| hour.timestamp());
        }
        TierKind::Daily => date,
        TierKind::Weekly => date.checked_sub(jiff::Span::new().days(date.weekday().to_monday_zero_offset())).ok()?,
        TierKind::Monthly => date.first_of_month(),
        TierKind::Quarterly => jiff::civil::Date::new(date.year(), (date.month() - 1) / 3 * 3 + 1, 1).ok()?,
        TierKind::Yearly => date.first_of_year(),
    };
    first.to_zoned(zone.clone()).ok().map(|start| start.timestamp())
}

/// The longest gap of a job that runs only inside its window: what fires outside of it does not run. Where it runs at most
/// once in the time that is looked at, that time.
pub fn longest_in_window(schedule: &Schedule, window: &Window, every: Gap, now: Instant) -> Gap {
    let mut longest = every;
    let mut last = now;
    let mut add = |from: Instant, to: Instant| {
        let length = Duration::between(from, to);
        if length > longest.length {
            longest = Gap { length, from, to, usual: length, clocks: None, ..longest };
        }
    };
    let just_before = |instant: Instant| instant.checked_sub(jiff::SignedDuration::from_secs(1)).unwrap_or(instant);
    let horizon = now.checked_add(jiff::SignedDuration::from_hours(24 * 366 * 8)).unwrap_or(Instant::MAX);
    let (mut at, mut runs) = (now, 0);
    let mut outside = false;
    for _ in 0..PLAYED * 8 {
        let Some(firing) = schedule.next_after(at).filter(|firing| *firing < horizon) else { break };
        let Some((_, close)) = window.opening_around(firing) else {
            outside = true;
            let Some((open, _)) = window.next_opening(firing).filter(|(open, _)| *open < horizon) else { break };
            at = just_before(open);
            continue;
        };
        if runs > 0 {
            add(last, firing);
        }
        runs += 1;
        last = schedule.previous_before(close).unwrap_or(firing);
        at = just_before(close);
    }
    if outside && runs < 2 {
        add(now, horizon);
    }
    longest
}

/// The next firing that runs: without a window every one does.
fn next_run((schedule, window): (&Schedule, Option<&Window>), after: Instant) -> Option<Instant> {
    let Some(window) = window else { return schedule.next_after(after) };
    let mut at = after;
    for _ in 0..PLAYED * 8 {
        let firing = schedule.next_after(at)?;
        if window.contains(firing) {
            return Some(firing);
        }
        let (open, _) = window.next_opening(firing)?;
        at = open.checked_sub(jiff::SignedDuration::from_secs(1)).unwrap_or(open);
    }
    None
}

/// The longest time between the first runs of two buckets that follow each other, among the next 400 that have any.
pub(super) fn longest_between_firsts(
    runs: (&Schedule, Option<&Window>),
    kind: TierKind,
    zone: &jiff::tz::TimeZone,
    now: Instant,
) -> Duration {
    let (months, days, seconds) = match kind {
        TierKind::Hourly => (0, 0, 3_600),
        TierKind::Daily => (0, 1, 0),
        TierKind::Weekly => (0, 7, 0),
        TierKind::Monthly => (1, 0, 0),
        TierKind::Quarterly => (3, 0, 0),
        TierKind::Yearly => (12, 0, 0),
    };
    let length = Period::of(months, days, seconds);
    let nanosecond = jiff::SignedDuration::from_nanos(1);
    let (mut longest, mut last) = (Duration::ZERO, None);
    let mut begin = first_of(kind, now, zone).unwrap_or(now);
    for _ in 0..PLAYED {
        let Some(first) = next_run(runs, begin - nanosecond) else { break };
        if let Some(last) = last {
            longest = longest.max(Duration::between(last, first));
        }
        last = Some(first);
        begin = length.after(first_of(kind, first, zone).unwrap_or(first), zone);
    }
    longest
}
