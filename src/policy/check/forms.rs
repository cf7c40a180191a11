//! How times, days, codes and quantities are written, and what somebody meant who wrote them otherwise.

use std::str::FromStr;

use super::BAD_FORM;
use crate::policy::file::{ClockTime, FindingCode, MonthDay, ZoneName};
use crate::policy::finding::Code;
use crate::units::{BackupId, Bytes, Duration, Name, Percent, Period, QuantityError, Rate, clipped};

const NO_SUCH_DATE: Code = Code(209);

pub(super) type Reader = fn(&str) -> Result<(), QuantityError>;

pub(super) fn quantity_reader(format: &str) -> Option<Reader> {
    fn of<T: FromStr<Err = QuantityError>>(text: &str) -> Result<(), QuantityError> {
        text.parse::<T>().map(drop)
    }
    Some(match format {
        "duration-with-unit" => of::<Duration>,
        "calendar-period" => of::<Period>,
        "size-with-unit" => of::<Bytes>,
        "rate-with-unit" => of::<Rate>,
        "percentage" => of::<Percent>,
        "name" => of::<Name>,
        "backup-id" => of::<BackupId>,
        _ => return None,
    })
}

/// What is wrong with a text of the given written form.
pub(super) fn form_fault(format: &str, text: &str) -> Option<(Code, String, String)> {
    let shown = clipped(text);
    match format {
        "calendar-date" => {
            let digits = text.len() == 10
                && text.bytes().enumerate().all(|(at, b)| if matches!(at, 4 | 7) { b == b'-' } else { b.is_ascii_digit() });
            if !digits {
                return Some((BAD_FORM, format!("`{shown}` is not a day"), "Write year-month-day, for example `2027-03-31`.".into()));
            }
            text.parse::<jiff::civil::Date>()
                .is_err()
                .then(|| (NO_SUCH_DATE, format!("there is no day `{shown}`"), "Check the month and how many days it has.".into()))
        }
        "clock-time" => (!ClockTime::is_of_form(text)).then(|| {
            (
                BAD_FORM,
                format!("`{shown}` is not a time of day"),
                meant_time(text).map_or_else(
                    || "Write hours and minutes from \"00:00\" to \"23:59\", for example \"03:00\".".into(),
                    |time| format!("Write \"{time}\"."),
                ),
            )
        }),
        "month-and-day" => (!MonthDay::is_of_form(text))
            .then(|| (BAD_FORM, format!("`{shown}` is not a day of the year"), "Write month-day, for example `01-15`.".into())),
        "time-zone" => (!ZoneName::is_of_form(text)).then(|| {
            (
                BAD_FORM,
                format!("`{shown}` is not a time zone"),
                "Write a name of the IANA database, for example `Europe/Oslo` or `UTC`.".into(),
            )
        }),
        "finding-code" => (!FindingCode::is_of_form(text)).then(|| {
            (BAD_FORM, format!("`{shown}` is not the code of a finding"), "Write it as messages show it, for example `SW0903`.".into())
        }),
        _ => None,
    }
}

/// The time of day that is written otherwise: `6:00`, `2am`, `24:00`, `02:15:00`, or between quotes that only look like such.
fn meant_time(text: &str) -> Option<String> {
    let bare =
        text.trim_matches(|c: char| c.is_whitespace() || "\u{201c}\u{201d}\u{2018}\u{2019}\u{201e}\"'".contains(c)).to_ascii_lowercase();
    let (digits, later) = match (bare.strip_suffix("am"), bare.strip_suffix("pm")) {
        (Some(digits), _) => (digits.trim_end(), Some(0)),
        (_, Some(digits)) => (digits.trim_end(), Some(12)),
        _ => (bare.as_str(), None),
    };
    let mut parts = digits.split([':', 'h']);
    let (hour, minute) = (parts.next()?, parts.next().filter(|part| !part.is_empty()));
    if minute.is_none() && later.is_none() && !digits.ends_with('h') || parts.any(|seconds| seconds != "00") {
        return None;
    }
    let number = |part: &str| part.parse::<u8>().ok().filter(|_| part.len() <= 2 && part.bytes().all(|b| b.is_ascii_digit()));
    let (hour, minute) = (number(hour)?, minute.map_or(Some(0), number)?);
    let hour = match later {
        Some(later) => (1..=12).contains(&hour).then_some(hour % 12 + later)?,
        None if hour == 24 && minute == 0 => 0,
        None => hour,
    };
    let time = format!("{hour:02}:{minute:02}");
    ClockTime::is_of_form(&time).then_some(time)
}

pub(super) fn padded(time: &str) -> String {
    if time.find(':') == Some(1) { format!("0{time}") } else { time.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_are_written_otherwise_are_understood() {
        let meant = [
            ("6:00", "06:00"),
            ("2am", "02:00"),
            ("12 am", "00:00"),
            ("12pm", "12:00"),
            ("24:00", "00:00"),
            ("02:15:00", "02:15"),
            ("02h15", "02:15"),
            ("\u{201c}02:15\u{201d}", "02:15"),
        ];
        for (written, time) in meant {
            assert_eq!(meant_time(written).as_deref(), Some(time), "{written}");
        }
        for strange in ["", "2", "13pm", "0am", "25:00", "02:60", "02:15:30", "noon", "\u{201c}\u{201d}", "1:2:3:4", "256:00", "+2:00"] {
            assert_eq!(meant_time(strange), None, "{strange}");
        }
    }
}
