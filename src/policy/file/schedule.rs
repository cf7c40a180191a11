use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ClockTime, MonthDay, OneOrMany, ZoneName};
use crate::units::Duration;

/// When something runs: exactly one of `cron`, `every`, `on`, `first` … `last`, `day`, `date`, or `at` alone for every day.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// A cron expression of five fields: minute, hour, day of month, month, day of week.
    #[schemars(example = &"0 2 * * *")]
    pub cron: Option<String>,
    /// At a fixed distance, from 1 minute to 24 hours, counted from midnight UTC of 1 January 1970.
    #[schemars(example = &"15m")]
    pub every: Option<Duration>,
    /// On these days of the week.
    #[schemars(example = &"sunday", example = serde_json::json!(["monday", "thursday"]))]
    pub on: Option<OneOrMany<String>>,
    /// The first such day of each month, quarter, half-year or year (`of`): a day of the week, or `day` for any.
    #[schemars(example = &"monday")]
    pub first: Option<String>,
    /// The second such day of each month, quarter, half-year or year (`of`).
    #[schemars(example = &"tuesday")]
    pub second: Option<String>,
    /// The third such day of each month, quarter, half-year or year (`of`).
    #[schemars(example = &"wednesday")]
    pub third: Option<String>,
    /// The fourth such day of each month, quarter, half-year or year (`of`).
    #[schemars(example = &"thursday")]
    pub fourth: Option<String>,
    /// The last such day of each month, quarter, half-year or year (`of`).
    #[schemars(example = &"sunday")]
    pub last: Option<String>,
    /// That day of each month, quarter, half-year or year (`of`), counted from 1. Months that are too short are left out.
    #[schemars(example = 1, range(min = 1, max = 31))]
    pub day: Option<u8>,
    /// What `first` … `last` and `day` count in. Without it: the month.
    #[schemars(example = &"quarter")]
    pub of: Option<Stretch>,
    /// That day of every year, month and day. 29 February comes only in leap years.
    #[schemars(example = &"01-15")]
    pub date: Option<MonthDay>,
    /// The time of day, or several.
    #[schemars(example = &"03:00", example = serde_json::json!(["06:00", "18:00"]))]
    pub at: Option<OneOrMany<ClockTime>>,
    /// The time zone; without it, the policy's.
    #[schemars(example = &"Europe/Oslo")]
    pub timezone: Option<ZoneName>,
}

/// A stretch of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stretch {
    Month,
    Quarter,
    HalfYear,
    Year,
}

/// A maintenance window: the days it opens (as in a schedule) and the times it opens and closes.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// On these days of the week; every day when no day is given at all.
    #[schemars(example = &"sunday")]
    pub on: Option<OneOrMany<String>>,
    /// The first such day of each month, quarter, half-year or year (`of`).
    #[schemars(example = &"monday")]
    pub first: Option<String>,
    /// The second such day of each month, quarter, half-year or year (`of`).
    #[schemars(example = &"tuesday")]
    pub second: Option<String>,
    /// The third such day of each month, quarter, half-year or year (`of`).
    #[schemars(example = &"wednesday")]
    pub third: Option<String>,
    /// The fourth such day of each month, quarter, half-year or year (`of`).
    #[schemars(example = &"thursday")]
    pub fourth: Option<String>,
    /// The last such day of each month, quarter, half-year or year (`of`).
    #[schemars(example = &"sunday")]
    pub last: Option<String>,
    /// What `first` … `last` count in. Without it: the month.
    #[schemars(example = &"month")]
    pub of: Option<Stretch>,
    /// When it opens.
    #[schemars(example = &"03:00")]
    pub from: ClockTime,
    /// When it closes; a time not after `from` is on the next day.
    #[schemars(example = &"04:00")]
    pub to: ClockTime,
    /// The time zone; without it, the policy's.
    #[schemars(example = &"Europe/Oslo")]
    pub timezone: Option<ZoneName>,
    /// What happens to a job that is still running when the window closes. Without it: it finishes and an alert is sent.
    #[schemars(example = &"stop")]
    pub overrun: Option<Overrun>,
}

/// What happens to a job that is still running when its window closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Overrun {
    /// It is stopped cleanly, counts as failed, and is tried again in the next window.
    Stop,
    /// It finishes, and an alert says that it overran.
    Finish,
}
