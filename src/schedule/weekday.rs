//! Days of the week, and sets of them.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::units::nearest;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// Why a text is not a day of the week.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct WeekdayError {
    pub message: String,
    pub hint: String,
    pub suggestion: Option<Weekday>,
}

impl Weekday {
    pub const ALL: [Weekday; 7] =
        [Weekday::Monday, Weekday::Tuesday, Weekday::Wednesday, Weekday::Thursday, Weekday::Friday, Weekday::Saturday, Weekday::Sunday];

    pub fn name(self) -> &'static str {
        match self {
            Weekday::Monday => "Monday",
            Weekday::Tuesday => "Tuesday",
            Weekday::Wednesday => "Wednesday",
            Weekday::Thursday => "Thursday",
            Weekday::Friday => "Friday",
            Weekday::Saturday => "Saturday",
            Weekday::Sunday => "Sunday",
        }
    }

    pub(super) fn bit(self) -> u8 {
        1 << self as u8
    }

    fn named(text: &str) -> Option<Weekday> {
        Weekday::ALL.into_iter().find(|day| text.eq_ignore_ascii_case(day.name()) || text.eq_ignore_ascii_case(&day.name()[..3]))
    }
}

impl FromStr for Weekday {
    type Err = WeekdayError;

    fn from_str(text: &str) -> Result<Weekday, WeekdayError> {
        if let Some(day) = Weekday::named(text) {
            return Ok(day);
        }
        let several = several(text);
        let near = nearest(text, Weekday::ALL.map(Weekday::name)).or_else(|| text.get(..3)).filter(|_| several.is_none());
        let suggestion = near.and_then(Weekday::named);
        let hint = match suggestion {
            None if let Some(days) = several => format!("Name each of them in a list: `[{}]`.", days.join(", ")),
            Some(day) => format!("Did you mean `{}`?", day.name().to_ascii_lowercase()),
            None => "Write the English name of a day, for example `sunday` or `sun`.".to_owned(),
        };
        let clipped = crate::units::clipped(text);
        Err(WeekdayError { message: format!("`{clipped}` is not a day of the week"), hint, suggestion })
    }
}

/// The days that other tools have one word for: `mon-fri`, `weekdays`.
fn several(text: &str) -> Option<Vec<String>> {
    let (first, last) = match text.to_ascii_lowercase().as_str() {
        "weekday" | "weekdays" | "workdays" | "working-days" => (Weekday::Monday, Weekday::Friday),
        "weekend" | "weekends" => (Weekday::Saturday, Weekday::Sunday),
        _ => text.split_once("..").or_else(|| text.split_once('-')).and_then(|(first, last)| {
            let named = |part: &str| Weekday::named(part.trim());
            Some((named(first)?, named(last)?))
        })?,
    };
    let short = |day: Weekday| day.name()[..3].to_ascii_lowercase();
    let from = Weekday::ALL.into_iter().cycle().skip_while(move |day| *day != first).take(Weekday::ALL.len());
    let mut days: Vec<String> = Vec::new();
    for day in from {
        days.push(short(day));
        if day == last {
            break;
        }
    }
    Some(days)
}

impl fmt::Display for Weekday {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

crate::units::text_form!(Weekday, name: "Weekday", format: "weekday",
    pattern: r"^([mM][oO][nN]([dD][aA][yY])?|[tT][uU][eE]([sS][dD][aA][yY])?|[wW][eE][dD]([nN][eE][sS][dD][aA][yY])?|[tT][hH][uU]([rR][sS][dD][aA][yY])?|[fF][rR][iI]([dD][aA][yY])?|[sS][aA][tT]([uU][rR][dD][aA][yY])?|[sS][uU][nN]([dD][aA][yY])?)$",
    examples: ["sunday", "mon"],
    about: "A day of the week, by its English name or the first three letters of it.");

/// Some days of the week, perhaps none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct WeekdaySet {
    bits: u8,
}

impl WeekdaySet {
    pub const ALL: WeekdaySet = WeekdaySet { bits: 0x7f };
    pub const NONE: WeekdaySet = WeekdaySet { bits: 0 };
    /// Monday to Friday.
    pub const WORKING: WeekdaySet = WeekdaySet { bits: 0x1f };
    /// Saturday and Sunday.
    pub const WEEKEND: WeekdaySet = WeekdaySet { bits: 0x60 };

    pub(super) fn from_bits(bits: u8) -> WeekdaySet {
        WeekdaySet { bits: bits & 0x7f }
    }
    /// Bit 0 is Monday.
    pub(super) fn bits(self) -> u8 {
        self.bits
    }
    pub fn with(self, day: Weekday) -> WeekdaySet {
        WeekdaySet { bits: self.bits | day.bit() }
    }
    pub fn contains(self, day: Weekday) -> bool {
        self.bits & day.bit() != 0
    }
    pub fn is_empty(self) -> bool {
        self.bits == 0
    }
    pub fn len(self) -> usize {
        self.bits.count_ones() as usize
    }
    pub fn iter(self) -> impl Iterator<Item = Weekday> {
        Weekday::ALL.into_iter().filter(move |day| self.contains(*day))
    }
}

impl FromIterator<Weekday> for WeekdaySet {
    fn from_iter<I: IntoIterator<Item = Weekday>>(days: I) -> WeekdaySet {
        days.into_iter().fold(WeekdaySet::NONE, WeekdaySet::with)
    }
}

impl From<Weekday> for WeekdaySet {
    fn from(day: Weekday) -> WeekdaySet {
        WeekdaySet::NONE.with(day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_several_days_are_written_out() {
        let hint = |text: &str| text.parse::<Weekday>().unwrap_err().hint;
        assert_eq!(hint("mon-fri"), "Name each of them in a list: `[mon, tue, wed, thu, fri]`.");
        assert_eq!(hint("Sat..Mon"), "Name each of them in a list: `[sat, sun, mon]`.");
        assert_eq!(hint("weekends"), "Name each of them in a list: `[sat, sun]`.");
        assert_eq!(hint("thuesday"), "Did you mean `tuesday`?");
    }

    #[test]
    fn full_and_short_names_in_any_case() {
        for (text, day) in [("monday", Weekday::Monday), ("SUN", Weekday::Sunday), ("Thu", Weekday::Thursday)] {
            assert_eq!(text.parse(), Ok(day));
        }
        let suggested = |text: &str| text.parse::<Weekday>().err().and_then(|error| error.suggestion);
        assert_eq!(suggested("wensday"), Some(Weekday::Wednesday));
        assert_eq!(suggested("thurs"), Some(Weekday::Thursday));
        assert_eq!(suggested("sunnyday"), Some(Weekday::Sunday));
        assert_eq!(suggested("søndag"), Some(Weekday::Sunday));
        assert_eq!(suggested("jour"), None);
    }
}
