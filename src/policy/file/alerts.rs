use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Secret, exactly_one};
use crate::units::{Duration, Name, Percent};

/// Where messages can go.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = exactly_one(&["email", "slack", "pagerduty", "webhook", "alertmanager"])))]
pub struct Receiver {
    /// By email, through `smtp`.
    #[schemars(example = serde_json::json!({ "to": ["dba@example.com"] }))]
    pub email: Option<Email>,
    /// To a channel of Slack.
    #[schemars(example = serde_json::json!({ "webhook": { "env": "SLACK_WEBHOOK" } }))]
    pub slack: Option<Slack>,
    /// To PagerDuty.
    #[schemars(example = serde_json::json!({ "routing_key": { "file": "/run/credentials/pagerduty" } }))]
    pub pagerduty: Option<PagerDuty>,
    /// To an address of your own, as JSON.
    #[schemars(example = serde_json::json!({ "url": { "env": "ALERT_URL" } }))]
    pub webhook: Option<Webhook>,
    /// To a Prometheus Alertmanager.
    #[schemars(example = serde_json::json!({ "url": "http://alertmanager:9093" }))]
    pub alertmanager: Option<Alertmanager>,
    /// A file with a template for the message's text, relative to the policy.
    #[schemars(example = &"templates/short.txt")]
    pub template: Option<String>,
}

/// By email.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Email {
    /// The addresses.
    #[schemars(example = serde_json::json!(["dba@example.com"]), length(min = 1))]
    pub to: Vec<String>,
}

/// To Slack.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = exactly_one(&["webhook", "token"]), "dependentRequired" = serde_json::json!({ "token": ["channel"] })))]
pub struct Slack {
    /// The address of an incoming webhook, by reference.
    #[schemars(example = serde_json::json!({ "env": "SLACK_WEBHOOK" }))]
    pub webhook: Option<Secret>,
    /// A bot's token, by reference; lets a message be updated when the alert resolves.
    #[schemars(example = serde_json::json!({ "credential": "slack-token" }))]
    pub token: Option<Secret>,
    /// The channel, for a bot.
    #[schemars(example = &"#dba-alerts")]
    pub channel: Option<String>,
    /// Where a bot's calls go; a webhook has its own address. Without it: `https://slack.com/api`.
    #[schemars(example = &"https://slack-gov.com/api")]
    pub api: Option<String>,
}

/// To PagerDuty.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PagerDuty {
    /// The integration's routing key, by reference.
    #[schemars(example = serde_json::json!({ "file": "/run/credentials/pagerduty" }))]
    pub routing_key: Secret,
    /// Where events go. Without it: `https://events.pagerduty.com`.
    #[schemars(example = &"https://events.eu.pagerduty.com")]
    pub url: Option<String>,
}

/// To an address of your own.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// The address, by reference: such addresses often carry a secret.
    #[schemars(example = serde_json::json!({ "env": "ALERT_URL" }))]
    pub url: Secret,
    /// The key that signs the body (HMAC-SHA-256), by reference.
    #[schemars(example = serde_json::json!({ "env": "ALERT_KEY" }))]
    pub sign_with: Option<Secret>,
}

/// To a Prometheus Alertmanager.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Alertmanager {
    /// The address.
    #[schemars(example = &"http://alertmanager:9093")]
    pub url: String,
}

/// Who hears of what, and from which value on.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Alerts {
    /// Who hears of what. Every route that fits is used.
    #[serde(default)]
    #[schemars(example = serde_json::json!([{ "severity": "critical", "to": ["dba"] }]))]
    pub routes: Vec<Route>,
    /// From which value on somebody is told. Defaults come from the objectives and schedules; only what differs is written.
    #[schemars(example = serde_json::json!({ "backup_age": "25h" }))]
    pub thresholds: Option<Thresholds>,
    /// An address that is called regularly, so that a dead host is noticed elsewhere.
    #[schemars(example = serde_json::json!({ "url": { "env": "HEARTBEAT_URL" }, "every": "5m" }))]
    pub heartbeat: Option<Heartbeat>,
}

/// Who hears of what.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Alerts of this severity; of every one without it.
    #[schemars(example = &"critical")]
    pub severity: Option<Severity>,
    /// Events of this kind: `succeeded`, `failed`, `overdue`, … ; without it, everything that is an alert.
    #[schemars(example = &"succeeded")]
    pub event: Option<Event>,
    /// Only of this job; of all jobs without it.
    #[schemars(example = &"weekly-system")]
    pub job: Option<Name>,
    /// Only while this window is open.
    #[schemars(example = &"office-hours")]
    pub during: Option<Name>,
    /// Not while this window is open.
    #[schemars(example = &"weekly")]
    pub not_during: Option<Name>,
    /// The receivers.
    #[schemars(example = serde_json::json!(["dba"]), length(min = 1))]
    pub to: Vec<Name>,
    /// Who else hears of it, as long as nobody has acknowledged it.
    #[serde(default)]
    #[schemars(example = serde_json::json!([{ "after": "30m", "to": ["lead"] }]))]
    pub escalate: Vec<Escalate>,
    /// How often it is repeated until it is acknowledged or over.
    #[schemars(example = &"4h")]
    pub remind: Option<Duration>,
}

/// Who else hears of it.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Escalate {
    /// How long after the alert began.
    #[schemars(example = &"30m")]
    pub after: Duration,
    /// The receivers.
    #[schemars(example = serde_json::json!(["lead"]), length(min = 1))]
    pub to: Vec<Name>,
}

/// How urgent an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    Critical,
    Warning,
    Info,
}

impl Severity {
    /// As all systems that alerts go to call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Critical => "critical",
            Severity::Warning => "warning",
            Severity::Info => "info",
        }
    }
}

/// What a route listens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    Succeeded,
    Failed,
    Overdue,
    DrillSucceeded,
    DrillFailed,
    Restored,
    PolicyChanged,
    HoldEnding,
    ReviewDue,
    DutyDue,
    BackgroundJobFailed,
}

/// From which value on somebody is told.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// The newest backup, of whichever job, is older than this.
    #[schemars(example = &"25h", example = serde_json::json!({ "above": "25h", "severity": "critical" }))]
    pub backup_age: Option<Limit<Duration>>,
    /// The newest backup of one job is older than this, by job.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "weekly-system": "8d" }))]
    pub backup_age_of: BTreeMap<Name, Limit<Duration>>,
    /// Written data has not been archived for this long.
    #[schemars(example = serde_json::json!({ "above": "900s", "for": "5m", "severity": "critical" }))]
    pub wal_lag: Option<Limit<Duration>>,
    /// A standby is this far behind.
    #[schemars(example = serde_json::json!({ "above": "300s", "for": "2m" }))]
    pub replication_lag: Option<Limit<Duration>>,
    /// This share of a store's capacity is in use.
    #[schemars(example = &"80%")]
    pub storage_used: Option<Limit<Percent>>,
    /// Archived rows wait in their table for this long until somebody has read them back. Without it: 7 days.
    #[schemars(example = &"10d")]
    pub archive_unread: Option<Limit<Duration>>,
    /// A backup's size strays this far from the last ones.
    #[schemars(example = &"20%")]
    pub size_deviation: Option<Limit<Percent>>,
    /// Less than this share of the last 30 days' runs succeeded.
    #[schemars(example = &"99%")]
    pub success_rate: Option<Floor>,
    /// A drill's restore took longer than this.
    #[schemars(example = &"10m")]
    pub restore_time: Option<Limit<Duration>>,
    /// The newest successful drill is older than this. In reports an older one proves nothing.
    #[schemars(example = &"35d")]
    pub drill_age: Option<Limit<Duration>>,
}

/// A limit: the value alone, or with how long it must last and how urgent it is.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Limit<T> {
    Above(T),
    Detailed(DetailedLimit<T>),
}

/// A limit in detail.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DetailedLimit<T> {
    /// The limit.
    #[schemars(example = like::<T>())]
    pub above: T,
    /// How long it must last before somebody is told; not at all without it.
    #[schemars(example = &"5m")]
    pub r#for: Option<Duration>,
    /// How urgent it is. Without it: `warning`.
    #[schemars(example = &"critical")]
    pub severity: Option<Severity>,
}

/// A limit of `T` is written like any `T`.
fn like<T: JsonSchema>() -> Option<serde_json::Value> {
    T::json_schema(&mut schemars::SchemaGenerator::default()).get("examples")?.get(0).cloned()
}

/// A lower limit: the value alone, or with how long it must last and how urgent it is.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Floor {
    Below(Percent),
    Detailed(DetailedFloor),
}

/// A lower limit in detail.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DetailedFloor {
    /// The limit.
    #[schemars(example = &"99%")]
    pub below: Percent,
    /// How long it must last before somebody is told; not at all without it.
    #[schemars(example = &"1h")]
    pub r#for: Option<Duration>,
    /// How urgent it is. Without it: `warning`.
    #[schemars(example = &"warning")]
    pub severity: Option<Severity>,
}

/// An address that is called regularly.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    /// The address, by reference.
    #[schemars(example = serde_json::json!({ "env": "HEARTBEAT_URL" }))]
    pub url: Secret,
    /// How often. Without it: every 5 minutes.
    #[schemars(example = &"5m")]
    pub every: Option<Duration>,
}

/// The mail server.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("dependentRequired" = serde_json::json!({ "password": ["user"] })))]
pub struct Smtp {
    /// The server.
    #[schemars(example = &"mail.example.com")]
    pub host: String,
    /// The port. Without it: 587, or 465 with implicit TLS.
    #[schemars(example = 587, range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// How the connection is protected. Without it: `starttls`, without which nothing is sent.
    #[schemars(example = &"starttls")]
    pub tls: Option<SmtpTls>,
    /// The sender.
    #[schemars(example = &"seawall@example.com")]
    pub from: String,
    /// The user to log in as.
    #[schemars(example = &"backup")]
    pub user: Option<String>,
    /// The password, by reference.
    #[schemars(example = serde_json::json!({ "env": "SMTP_PASSWORD" }))]
    pub password: Option<Secret>,
}

/// How the connection to the mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SmtpTls {
    /// By STARTTLS, or nothing is sent.
    Starttls,
    /// From the first byte.
    Implicit,
    /// Not at all; only to a server on the same host.
    None,
}
