use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{Name, Period};

use super::{Date, ZoneName};

/// How long backups stay: a backup is kept as long as any of these rules wants it.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "not" = serde_json::json!({ "required": ["timezone"], "maxProperties": 1 })))]
pub struct Keep {
    /// The newest so many.
    #[schemars(example = 7, range(min = 1, max = 100_000))]
    pub last: Option<u32>,
    /// Everything younger than this.
    #[schemars(example = &"24h")]
    pub r#for: Option<Period>,
    /// One backup of each hour: so many of them, or back to that age.
    #[schemars(example = 24)]
    pub hourly: Option<Tier>,
    /// One backup of each day: so many of them, or back to that age.
    #[schemars(example = 30, example = &"30d")]
    pub daily: Option<Tier>,
    /// One backup of each week, which begins on Monday: so many of them, or back to that age.
    #[schemars(example = 12, example = &"90d")]
    pub weekly: Option<Tier>,
    /// One backup of each month: so many of them, or back to that age.
    #[schemars(example = 12)]
    pub monthly: Option<Tier>,
    /// One backup of each quarter: so many of them, or back to that age.
    #[schemars(example = 8)]
    pub quarterly: Option<Tier>,
    /// One backup of each year: so many of them, or back to that age.
    #[schemars(example = 7)]
    pub yearly: Option<Tier>,
    /// The time zone in which a day, a week, a month begins; without it, the policy's.
    #[schemars(example = &"Europe/Oslo")]
    pub timezone: Option<ZoneName>,
}

/// How much of a calendar tier is kept: a number of backups, an age, or either with the storage class it moves to.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Tier {
    Count(#[schemars(range(min = 1, max = 10_000))] u32),
    Age(Period),
    Detailed(DetailedTier),
}

/// A calendar tier with the storage class its backups move to.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = super::exactly_one(&["count", "for"])))]
pub struct DetailedTier {
    /// So many backups.
    #[schemars(example = 12, range(min = 1, max = 10_000))]
    pub count: Option<u32>,
    /// Back to this age.
    #[schemars(example = &"1y")]
    pub r#for: Option<Period>,
    /// The storage class of what only this tier or a longer one still keeps.
    #[schemars(example = &"GLACIER")]
    pub storage_class: Option<String>,
}

/// A legal hold on rows or on backups.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = super::exactly_one(&["rows", "backups"])))]
pub struct Hold {
    /// Why it stands, and whom to ask.
    #[schemars(example = &"litigation, ask legal@example.com")]
    pub reason: String,
    /// The first day on which it no longer stands. Without it: until it is taken out of the policy.
    #[schemars(example = &"2029-01-01")]
    pub until: Option<Date>,
    /// The rows that must stay in the database.
    #[schemars(example = serde_json::json!({ "database": "app", "table": "orders", "where": "customer_id = 42" }))]
    pub rows: Option<HeldRows>,
    /// The backups that must stay in the stores.
    #[schemars(example = serde_json::json!({ "job": "nightly", "from": "2024-01-01", "to": "2024-06-30" }))]
    pub backups: Option<HeldBackups>,
}

/// Rows under hold.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeldRows {
    /// The database; may be left out when the policy has exactly one.
    #[schemars(example = &"pricing_agent_db")]
    pub database: Option<String>,
    /// The table, written as in SQL.
    #[schemars(example = &"pricing_history")]
    pub table: String,
    /// Which rows, as a condition in SQL, whose times are those of the policy's `timezone`; all of them without it.
    #[schemars(example = &"organization_id = 42")]
    pub r#where: Option<String>,
    /// The first day that is held.
    #[schemars(example = &"2024-01-01")]
    pub from: Option<Date>,
    /// The last day that is held.
    #[schemars(example = &"2024-06-30")]
    pub to: Option<Date>,
}

/// Backups under hold: those that fit everything said here.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1))]
pub struct HeldBackups {
    /// Backups of this job.
    #[schemars(example = &"nightly")]
    pub job: Option<Name>,
    /// Backups with this label.
    #[schemars(example = &"forensics")]
    pub label: Option<String>,
    /// Exactly these backups.
    #[schemars(example = serde_json::json!(["20261121T020000Z-7f3c"]))]
    pub ids: Option<Vec<crate::units::BackupId>>,
    /// Backups that ended on or after this day.
    #[schemars(example = &"2024-01-01")]
    pub from: Option<Date>,
    /// Backups that ended on or before this day.
    #[schemars(example = &"2024-06-30")]
    pub to: Option<Date>,
}
