//! About how long a retention rule keeps backups, judged from the rule and the distance of the firings alone.

use crate::retention::{Keep, Tier, TierKind};
use crate::units::{Duration, Period};

/// The length of a tier's bucket, on average.
pub(super) fn bucket(tier: TierKind) -> Duration {
    match tier {
        TierKind::Hourly => Duration::from_hours(1),
        TierKind::Daily => Duration::from_days(1),
        TierKind::Weekly => Duration::from_days(7),
        TierKind::Monthly => Period::from_months(1).approximate(),
        TierKind::Quarterly => Period::from_months(3).approximate(),
        TierKind::Yearly => Period::from_years(1).approximate(),
    }
}

/// How old the oldest backups become; none when nothing ever goes.
pub(super) fn oldest(keep: &Keep, gap: Duration) -> Option<Duration> {
    longest_of(keep, |rule| match rule {
        Rule::Last(count) => Some(gap * u64::from(count)),
        Rule::Within(period) | Rule::Tier(_, Tier::For(period)) => Some(period.approximate()),
        Rule::Tier(kind, Tier::Count(count)) => Some(bucket(kind).max(gap) * u64::from(count)),
    })
}

/// How old every single one becomes at least, when the firings are never closer than `gap`; none when nothing ever goes.
pub(super) fn youngest(keep: &Keep, gap: Duration) -> Option<Duration> {
    // The newest good one always stays until the next is there.
    let floor = |longest: Duration| longest.max(gap);
    let represented = |kind| gap.as_secs() * 10 >= bucket(kind).as_secs() * 9;
    longest_of(keep, |rule| match rule {
        Rule::Last(count) => Some(gap * u64::from(count)),
        Rule::Within(period) => Some(period.approximate()),
        Rule::Tier(kind, tier) if represented(kind) => Some(match tier {
            Tier::Count(count) => bucket(kind).max(gap) * u64::from(count),
            Tier::For(period) => period.approximate(),
        }),
        // A tier of which only some backups are representatives says nothing of the others.
        Rule::Tier(..) => None,
    })
    .map(floor)
}

enum Rule {
    Last(u32),
    Within(Period),
    Tier(TierKind, Tier),
}

fn longest_of(keep: &Keep, age: impl Fn(Rule) -> Option<Duration>) -> Option<Duration> {
    if keep.has_no_rule() {
        return None;
    }
    let rules = keep.last.map(Rule::Last).into_iter().chain(keep.within.map(Rule::Within));
    let rules = rules.chain(keep.tiers().map(|(kind, tier)| Rule::Tier(kind, tier)));
    Some(rules.filter_map(age).max().unwrap_or_default())
}

/// About how long, in the unit in which people would say it: `12 weeks`, `30 days`.
pub(super) fn about(time: Duration) -> String {
    const DAY: u64 = 86_400;
    const WEEK: u64 = 7 * DAY;
    const TWO_YEARS: u64 = 730 * DAY;
    let (unit, name) = match time.as_secs() {
        0..7_200 => (60, "minute"),
        7_200..172_800 => (3_600, "hour"),
        whole @ 1_209_600..TWO_YEARS if whole % WEEK == 0 => (WEEK, "week"),
        172_800..8_640_000 => (DAY, "day"),
        8_640_000..TWO_YEARS => (bucket(TierKind::Monthly).as_secs(), "month"),
        _ => (bucket(TierKind::Yearly).as_secs(), "year"),
    };
    let count = (time.as_secs() + unit / 2) / unit;
    if count == 1 { format!("1 {name}") } else { format!("{count} {name}s") }
}
