//! A time zone by its IANA name, and the stretches of constant offset that it divides time into.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use thiserror::Error;

use crate::units::Instant;
use crate::units::nearest;

/// A time zone. Its rules come from the database compiled into the program, never from the machine, so that a policy is
/// judged the same everywhere.
#[derive(Clone)]
pub struct Zone {
    known: Arc<Known>,
}

struct Known {
    name: String,
    time_zone: TimeZone,
    /// Before the first change, in seconds east of Greenwich.
    first_offset: i64,
    /// Every change of the offset until [`TABLE_ENDS`], in order.
    changes: Vec<Change>,
}

#[derive(Debug, Clone, Copy)]
struct Change {
    at: i64,
    offset: i64,
}

/// A change of the clocks, in Unix seconds: `by` so many forward, or back when negative, to a new `offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClockMove {
    pub at: i64,
    pub offset: i64,
    pub by: i64,
}

/// A stretch of time in which the clocks are not changed, in Unix seconds: `start` is in it, `end` is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    pub start: i64,
    pub end: i64,
    pub offset: i64,
    /// The offset just before `start`; the same as `offset` when nothing comes before.
    pub before: i64,
}

impl Stretch {
    /// By how much the clocks went forward (or back, when negative) as the stretch began.
    pub(super) fn change(&self) -> i64 {
        self.offset - self.before
    }
}

/// The Gregorian calendar, and with it every rule for changing the clocks, repeats after 400 years.
pub(super) const CYCLE: i64 = 146_097 * 86_400;
/// 2500-01-01. The latest change that the database lists one by one lies before 2100; all later ones follow a yearly rule.
const TABLE_ENDS: i64 = 16_725_225_600;
/// Stretches are looked up before `TABLE_ENDS`, but the one found may end after it.
const TABLE_MARGIN: i64 = 3 * 366 * 86_400;

static DATABASE: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);
/// Zones already read: fleets name the same few zones thousands of times.
static READ: LazyLock<Mutex<BTreeMap<String, Arc<Known>>>> = LazyLock::new(Mutex::default);

/// Why a text names no time zone.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct ZoneError {
    pub message: String,
    pub hint: String,
    /// What was probably meant.
    pub suggestion: Option<String>,
}

impl Zone {
    /// The zone with this IANA name, in its exact spelling: `Europe/Oslo`, `UTC`.
    pub fn named(name: &str) -> Result<Zone, ZoneError> {
        if let Some(known) = READ.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Ok(Zone { known: known.clone() });
        }
        let found = DATABASE.get(name).ok().filter(|zone| !zone.is_unknown());
        match found {
            Some(zone) if zone.iana_name() == Some(name) => Ok(Zone::remembered(name, zone)),
            Some(zone) => Err(ZoneError::unknown(name, zone.iana_name().map(str::to_owned))),
            None => Err(ZoneError::unknown(name, suggestion(name))),
        }
    }

    pub fn utc() -> Zone {
        static UTC: LazyLock<Zone> = LazyLock::new(|| Zone::remembered("UTC", TimeZone::UTC));
        UTC.clone()
    }

    fn remembered(name: &str, zone: TimeZone) -> Zone {
        let known = Arc::new(Known::read(name, zone));
        READ.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), known.clone());
        Zone { known }
    }

    pub fn name(&self) -> &str {
        &self.known.name
    }

    /// For arithmetic that other rooms do with jiff, such as [`crate::units::Period::before`].
    pub fn time_zone(&self) -> &TimeZone {
        &self.known.time_zone
    }

    /// What a clock on the wall shows at `instant`.
    pub fn wall_clock(&self, instant: Instant) -> jiff::civil::DateTime {
        let offset = i32::try_from(self.stretch_at(instant.as_second()).offset).ok().and_then(|seconds| Offset::from_seconds(seconds).ok());
        offset.unwrap_or(Offset::UTC).to_datetime(instant)
    }

    /// The stretch of constant offset that contains the Unix second.
    pub(super) fn stretch_at(&self, second: i64) -> Stretch {
        let changes = &self.known.changes;
        // Beyond the table the same changes come again, one cycle later.
        let later = if second < TABLE_ENDS { 0 } else { ((second - TABLE_ENDS) / CYCLE + 1) * CYCLE };
        let after = changes.partition_point(|change| change.at <= second - later);
        let offset_after = |index: Option<usize>| index.map_or(self.known.first_offset, |index| changes[index].offset);
        let began = after.checked_sub(1);
        Stretch {
            start: began.map_or(i64::MIN, |index| changes[index].at + later),
            end: changes.get(after).map_or(i64::MAX, |change| change.at + later),
            offset: offset_after(began),
            before: offset_after(began.and_then(|index| index.checked_sub(1))),
        }
    }

    /// Every change of the clocks after a Unix second, as long as the table lists them.
    pub(super) fn changes_since(&self, second: i64) -> impl Iterator<Item = ClockMove> {
        let changes = &self.known.changes;
        let begin = changes.partition_point(|change| change.at <= second);
        (begin..changes.len()).map(move |index| {
            let before = index.checked_sub(1).map_or(self.known.first_offset, |index| changes[index].offset);
            let Change { at, offset } = changes[index];
            ClockMove { at, offset, by: offset - before }
        })
    }

    /// The lowest and the highest offset in use between two Unix seconds, and the greatest common divisor of all changes.
    pub(super) fn offsets_between(&self, from: i64, to: i64) -> Offsets {
        let first = self.stretch_at(from);
        let mut offsets = Offsets { lowest: first.offset, highest: first.offset, step: 0 };
        // One cycle of the table says everything about all later ones.
        let from = if from < TABLE_ENDS { from } else { TABLE_ENDS - CYCLE };
        let to = to.min(from + CYCLE);
        let changes = &self.known.changes;
        let begin = changes.partition_point(|change| change.at <= from);
        let mut last = first.offset;
        for change in changes[begin..].iter().take_while(|change| change.at <= to) {
            offsets.lowest = offsets.lowest.min(change.offset);
            offsets.highest = offsets.highest.max(change.offset);
            offsets.step = greatest_common_divisor(offsets.step, (change.offset - last).abs());
            last = change.offset;
        }
        offsets
    }
}

/// What is known about the offsets of a zone over a span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offsets {
    pub lowest: i64,
    pub highest: i64,
    /// Every change of the clocks is a multiple of this; zero when there is none.
    pub step: i64,
}

pub(super) fn greatest_common_divisor(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

impl Known {
    fn read(name: &str, time_zone: TimeZone) -> Known {
        let first_offset = i64::from(time_zone.to_offset(Instant::MIN).seconds());
        let mut changes = Vec::new();
        let mut last = first_offset;
        for change in time_zone.following(Instant::MIN) {
            let (at, offset) = (change.timestamp().as_second(), i64::from(change.offset().seconds()));
            if at > TABLE_ENDS + TABLE_MARGIN {
                break;
            }
            // A change of name alone moves no clock.
            if offset != last {
                changes.push(Change { at, offset });
                last = offset;
            }
        }
        Known { name: name.to_owned(), first_offset, changes, time_zone }
    }
}

fn suggestion(name: &str) -> Option<String> {
    let all: Vec<_> = DATABASE.available().map(|known| known.as_str().to_owned()).collect();
    // People often leave out the region.
    let city = all.iter().find(|known| known.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(&name.replace(' ', "_"))));
    city.map(String::as_str).or_else(|| nearest(name, all.iter().map(String::as_str))).map(str::to_owned)
}

impl ZoneError {
    fn unknown(name: &str, suggestion: Option<String>) -> ZoneError {
        let clipped = crate::units::clipped(name);
        let hint = match &suggestion {
            Some(known) => format!("Did you mean `{known}`?"),
            None => "Write a name of the IANA time zone database, for example `Europe/Oslo` or `UTC`.".to_owned(),
        };
        ZoneError { message: format!("`{clipped}` is not a time zone"), hint, suggestion }
    }
}

impl FromStr for Zone {
    type Err = ZoneError;
    fn from_str(text: &str) -> Result<Zone, ZoneError> {
        Zone::named(text)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Zone").field(&self.name()).finish()
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Zone) -> bool {
        self.name() == other.name()
    }
}
impl Eq for Zone {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_in_its_exact_spelling() {
        for name in ["UTC", "Europe/Oslo", "America/New_York", "Etc/GMT+5"] {
            assert_eq!(Zone::named(name).map(|zone| zone.to_string()), Ok(name.to_owned()));
        }
        assert_eq!(Zone::named("UTC"), Ok(Zone::utc()));
    }

    #[test]
    fn a_misspelt_name_leads_to_the_right_one() {
        let suggestion = |name: &str| Zone::named(name).err().and_then(|error| error.suggestion);
        assert_eq!(suggestion("europe/oslo").as_deref(), Some("Europe/Oslo"));
        assert_eq!(suggestion("Europe/Olso").as_deref(), Some("Europe/Oslo"));
        assert_eq!(suggestion("utc").as_deref(), Some("UTC"));
        assert_eq!(suggestion("Oslo").as_deref(), Some("Europe/Oslo"));
        assert_eq!(suggestion("new york").as_deref(), Some("America/New_York"));
        assert_eq!(suggestion("Mars/Olympus_Mons"), None);
        assert_eq!(suggestion(""), None);
        assert_eq!(suggestion("Etc/Unknown"), None);
        assert!(Zone::named(&"é".repeat(10_000)).is_err());
    }

    #[test]
    fn stretches_agree_with_the_database_on_every_day_of_a_century() {
        for name in ["Europe/Oslo", "Africa/Casablanca", "America/Santiago", "Antarctica/Troll", "Europe/Dublin", "Asia/Gaza"] {
            let zone = Zone::named(name).expect("a zone");
            for second in (0..4_000_000_000i64).step_by(80_000) {
                let instant = Instant::from_second(second).expect("an instant");
                let expected = i64::from(zone.time_zone().to_offset(instant).seconds());
                assert_eq!(zone.stretch_at(second).offset, expected, "{name} at {instant}");
            }
        }
    }

    #[test]
    fn stretches_agree_with_the_database_in_every_zone_and_century() {
        for name in DATABASE.available() {
            let Ok(zone) = Zone::named(name.as_str()) else { continue };
            for second in (-8_000_000_000..200_000_000_000i64).step_by(2_345_678_901) {
                let Ok(instant) = Instant::from_second(second) else { continue };
                let expected = i64::from(zone.time_zone().to_offset(instant).seconds());
                assert_eq!(zone.stretch_at(second).offset, expected, "{name} at {instant}");
            }
        }
    }
}
