use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::exactly_one;

/// A day on the calendar, written `2027-03-31`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Date(pub jiff::civil::Date);

/// The name of a time zone; whether it exists is checked when the policy is resolved.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, Deserialize)]
pub struct ZoneName(pub String);

/// A time of day, written `"03:00"`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ClockTime(pub String);

/// A day of every year, written `01-15`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct MonthDay(pub String);

/// The code of a finding, written `SW0203`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct FindingCode(pub String);

macro_rules! scalar_schema {
    ($type:ident, $format:literal, $pattern:literal, $about:literal, $example:literal) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": $format, "pattern": $pattern, "description": $about, "examples": [$example] })
            }
        }
    };
}

scalar_schema!(Date, "calendar-date", r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "A day on the calendar: year-month-day.", "2027-03-31");
scalar_schema!(ZoneName, "time-zone", r"^[A-Za-z][A-Za-z0-9_+/-]*$", "A time zone of the IANA database.", "Europe/Oslo");
scalar_schema!(
    ClockTime,
    "clock-time",
    r"^([01][0-9]|2[0-3]):[0-5][0-9]$",
    "A time of day in quotes, from \"00:00\" to \"23:59\".",
    "03:00"
);
scalar_schema!(MonthDay, "month-and-day", r"^(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$", "A day of every year: month-day.", "01-15");
scalar_schema!(FindingCode, "finding-code", r"^SW[0-9]{4}$", "The code of a finding, as messages show it.", "SW0903");

impl ClockTime {
    pub fn is_of_form(text: &str) -> bool {
        let number = |part: &str, limit: u8| {
            part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()) && part.parse::<u8>().is_ok_and(|number| number < limit)
        };
        text.split_once(':').is_some_and(|(hour, minute)| number(hour, 24) && number(minute, 60))
    }
}

impl MonthDay {
    pub fn is_of_form(text: &str) -> bool {
        let number = |part: &str, limit: u8| {
            part.len() == 2
                && part.bytes().all(|b| b.is_ascii_digit())
                && part.parse::<u8>().is_ok_and(|number| (1..=limit).contains(&number))
        };
        text.split_once('-').is_some_and(|(month, day)| number(month, 12) && number(day, 31))
    }
}

impl ZoneName {
    pub fn is_of_form(text: &str) -> bool {
        text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+/-".contains(&b))
    }
}

impl FindingCode {
    pub fn is_of_form(text: &str) -> bool {
        text.strip_prefix("SW").is_some_and(|digits| digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit()))
    }
}

/// A secret, by reference: the value itself is never in a policy.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = exactly_one(&["env", "file", "credential"]), "x-seawall" = "secret"))]
pub struct Secret {
    /// The environment variable that holds it.
    #[schemars(example = &"SLACK_WEBHOOK")]
    pub env: Option<String>,
    /// The file that holds it.
    #[schemars(example = &"/run/credentials/pg")]
    pub file: Option<String>,
    /// The systemd credential that holds it.
    #[schemars(example = &"pg-password")]
    pub credential: Option<String>,
}

/// An element without any settings of its own, written `{}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// One or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany<T> {
    One(T),
    Many(#[schemars(length(min = 1))] Vec<T>),
}

impl<T> OneOrMany<T> {
    pub fn as_slice(&self) -> &[T] {
        match self {
            OneOrMany::One(one) => std::slice::from_ref(one),
            OneOrMany::Many(many) => many,
        }
    }
}

/// A program to run: the program and its arguments. No shell reads it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The program and its arguments, one list item each.
    #[schemars(example = serde_json::json!(["systemctl", "stop", "pricing-agent"]), length(min = 1))]
    pub run: Vec<String>,
    /// How long it may take before it counts as failed. Without it: 5 minutes.
    #[schemars(example = &"5m")]
    pub timeout: Option<crate::units::Duration>,
}
