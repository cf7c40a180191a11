//! A time of day, to the minute.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// What the clock on the wall shows: `03:00`. From 00:00 to 23:59.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeOfDay {
    minute_of_day: u16,
}

/// Why a text is not a time of day.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct TimeOfDayError {
    pub message: String,
    pub hint: String,
}

impl TimeOfDay {
    pub const MIDNIGHT: TimeOfDay = TimeOfDay { minute_of_day: 0 };

    pub fn new(hour: u8, minute: u8) -> Option<TimeOfDay> {
        (hour < 24 && minute < 60).then(|| TimeOfDay { minute_of_day: u16::from(hour) * 60 + u16::from(minute) })
    }
    pub fn hour(self) -> u8 {
        (self.minute_of_day / 60) as u8
    }
    pub fn minute(self) -> u8 {
        (self.minute_of_day % 60) as u8
    }
    /// Minutes since midnight on the clock.
    pub fn minute_of_day(self) -> u16 {
        self.minute_of_day
    }
    pub(super) fn from_minute_of_day(minute_of_day: u16) -> TimeOfDay {
        TimeOfDay { minute_of_day: minute_of_day % 1440 }
    }
}

impl FromStr for TimeOfDay {
    type Err = TimeOfDayError;

    fn from_str(text: &str) -> Result<TimeOfDay, TimeOfDayError> {
        let clipped = crate::units::clipped(text);
        let fault = |hint: &str| TimeOfDayError { message: format!("`{clipped}` is not a time of day"), hint: hint.to_owned() };
        const FORM: &str = "Write hours and minutes of a 24-hour clock with two digits each, for example `03:00`.";
        let [h1, h2, b':', m1, m2] = *text.as_bytes() else {
            let hint = match text.split(':').count() {
                3 if text.len() == 8 => "Write it without the seconds, for example `03:00`.",
                _ => FORM,
            };
            return Err(fault(hint));
        };
        if ![h1, h2, m1, m2].iter().all(u8::is_ascii_digit) {
            return Err(fault(FORM));
        }
        let (hour, minute) = ((h1 - b'0') * 10 + (h2 - b'0'), (m1 - b'0') * 10 + (m2 - b'0'));
        if (hour, minute) == (24, 0) {
            return Err(fault("A day ends where the next one begins: write `00:00`."));
        }
        TimeOfDay::new(hour, minute).ok_or_else(|| fault("Hours go from 00 to 23, and minutes from 00 to 59."))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:02}:{:02}", self.hour(), self.minute()))
    }
}

crate::units::text_form!(TimeOfDay, name: "TimeOfDay", format: "time-of-day",
    pattern: r"^([01][0-9]|2[0-3]):[0-5][0-9]$",
    examples: ["03:00", "23:30"],
    about: "Hours and minutes of a 24-hour clock.");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_digits_each_on_a_24_hour_clock() {
        assert_eq!("03:05".parse(), Ok(TimeOfDay { minute_of_day: 185 }));
        assert_eq!("23:59".parse::<TimeOfDay>().map(|time| time.to_string()), Ok("23:59".to_owned()));
        for wrong in ["", "3:00", "03:60", "25:00", "24:00", "03.00", "0300", "03:00:00", "+3:00", "03:0é", "٠٣:٠٠"] {
            assert!(wrong.parse::<TimeOfDay>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn midnight_at_the_end_of_a_day_is_explained() {
        let error = "24:00".parse::<TimeOfDay>().expect_err("24:00 is the next day");
        assert_eq!(error.to_string(), "`24:00` is not a time of day");
        assert!(error.hint.contains("`00:00`"));
    }
}
