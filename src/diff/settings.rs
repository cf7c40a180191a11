//! What each setting is called and which way is looser, as a table. What is not in it is still compared; it is only not judged.

use super::change::{Direction, Group};
use crate::policy::path::{PolicyPath, Step};
use crate::units::{Bytes, Duration, Percent, Period, Rate};

/// How two values of a setting are ordered.
#[derive(Debug, Clone, Copy)]
pub enum Measure {
    Duration,
    /// A duration; without it, none at all.
    Delay,
    Period,
    Percent,
    Size,
    /// From the loosest to the tightest.
    Grades(&'static [&'static str]),
    /// There is no order; only its absence is looser.
    Presence,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looser {
    More,
    Less,
}

/// One setting, or one kind of it.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The path; `*` stands for any name.
    pub at: &'static str,
    /// What people call it; `{}` stands for the names in turn. Empty: its path.
    pub subject: &'static str,
    pub measure: Measure,
    pub looser: Looser,
    /// The finding when it is loosened.
    pub code: u16,
}

const YES: Measure = Measure::Grades(&["no", "yes"]);
const URGENCY: Measure = Measure::Grades(&["info", "warning", "critical"]);

const fn setting(at: &'static str, subject: &'static str, measure: Measure, looser: Looser, code: u16) -> Setting {
    Setting { at, subject, measure, looser, code }
}

use Looser::{Less, More};

pub const SETTINGS: &[Setting] = &[
    setting("objectives.rpo", "the RPO", Measure::Duration, More, 902),
    setting("objectives.rto", "the RTO", Measure::Duration, More, 902),
    setting("objectives.reach_back.any_moment", "the promise to reach back to any moment", Measure::Period, Less, 902),
    setting("objectives.reach_back.some_backup", "the promise to reach back to some backup", Measure::Period, Less, 902),
    setting("objectives.scenarios.*.rpo", "the RPO of `{}`", Measure::Duration, More, 902),
    setting("objectives.scenarios.*.rto", "the RTO of `{}`", Measure::Duration, More, 902),
    setting("objectives.scenarios.*.priority", "the priority of `{}`", Measure::Grades(&["P4", "P3", "P2", "P1", "P0"]), Less, 902),
    setting("objectives.scenarios.*.severity", "the severity of `{}`", Measure::Grades(&["SEV4", "SEV3", "SEV2", "SEV1"]), Less, 902),
    setting("objectives.data.*.rto", "the RTO of the data tier `{}`", Measure::Duration, More, 902),
    setting("wal.timeout", "the longest that written data waits to be archived", Measure::Duration, More, 914),
    setting("wal.acknowledged_by", "", Measure::Grades(&["first", "all"]), Less, 915),
    setting("backups.*.copies.*.within", "the time in which `backups.{}` must be copied to `{}`", Measure::Duration, More, 915),
    setting("backups.*.size_deviation", "", Measure::Percent, More, 915),
    setting("backups.*.provider.newest_within", "", Measure::Duration, More, 915),
    setting("backups.*.provider.any_moment", "", Measure::Duration, Less, 902),
    setting("backups.*.engine.newest_within", "", Measure::Duration, More, 915),
    setting("backups.*.engine.any_moment", "", Measure::Duration, Less, 902),
    setting("backups.*.read_back", "", Measure::Grades(&["sizes", "contents"]), Less, 915),
    setting("backups.*.physical.damaged_pages", "", Measure::Grades(&["mark", "fail"]), Less, 915),
    setting("backups.*.logical.unreadable", "", Measure::Grades(&["skip", "fail"]), Less, 915),
    setting("backups.*.logical.unmatched", "", Measure::Grades(&["allow", "fail"]), Less, 915),
    setting("backups.*.logical.globals", "", YES, Less, 901),
    setting("backups.*.files.globals", "", YES, Less, 901),
    setting("alerts.thresholds.*.above", "the limit of `alerts.thresholds.{}`", Measure::Duration, More, 915),
    setting("alerts.thresholds.storage_used.above", "the limit of `alerts.thresholds.storage_used`", Measure::Percent, More, 915),
    setting("alerts.thresholds.size_deviation.above", "the limit of `alerts.thresholds.size_deviation`", Measure::Percent, More, 915),
    setting("alerts.thresholds.*.below", "the limit of `alerts.thresholds.{}`", Measure::Percent, Less, 915),
    setting("alerts.thresholds.*.for", "", Measure::Delay, More, 915),
    setting("alerts.thresholds.*.severity", "", URGENCY, Less, 915),
    setting("alerts.thresholds.backup_age_of.*.above", "the age at which a backup of `{}` is overdue", Measure::Duration, More, 915),
    setting("alerts.thresholds.backup_age_of.*.for", "", Measure::Delay, More, 915),
    setting("alerts.thresholds.backup_age_of.*.severity", "", URGENCY, Less, 915),
    setting("alerts.heartbeat.every", "", Measure::Duration, More, 915),
    setting("expire.grace", "the time before a backup that may go is deleted", Measure::Duration, Less, 915),
    setting("expire.brake", "the share of all backups that one run may delete", Measure::Percent, More, 915),
    setting("verify.*.deep", "", YES, Less, 909),
    setting("drills.*.within", "the time that the restore of `drills.{}` may take", Measure::Duration, More, 909),
    setting("drills.*.promote.within", "the time that the promotion of `drills.{}` may take", Measure::Duration, More, 909),
    setting("drills.*.promote.fence.run", "", Measure::Presence, Less, 909),
    setting("drills.*.promote.after.run", "", Measure::Presence, Less, 909),
    setting("drills.*.rehearses", "", Measure::Presence, Less, 909),
    setting("drills.*.run.run", "", Measure::Presence, Less, 909),
    setting("canary.every", "", Measure::Duration, More, 909),
    setting("encryption.rotate_every", "", Measure::Period, More, 908),
    setting("encryption.proven_within", "", Measure::Duration, More, 908),
    setting("stores.*.s3.sse", "", Measure::Grades(&["SSE-S3", "SSE-KMS"]), Less, 908),
    setting("stores.*.posture.versioning", "", YES, Less, 915),
    setting("stores.*.posture.access_logging", "", YES, Less, 915),
    setting("stores.*.posture.mfa_delete", "", YES, Less, 915),
    setting("stores.*.posture.public_access", "", Measure::Grades(&["allowed", "blocked"]), Less, 915),
    setting("stores.*.posture.lifecycle_deletes", "", Measure::Grades(&["accepted", "none"]), Less, 915),
    setting("stores.*.local.other_device", "", YES, Less, 915),
    setting("stores.*.replicated.lag", "", Measure::Duration, More, 915),
    setting("stores.*.capacity", "", Measure::Size, More, 0),
];

/// Something with a name or a section of its own: that it comes or goes is one change, whatever it holds.
#[derive(Debug, Clone, Copy)]
pub struct Element {
    pub at: &'static str,
    pub starts: Group,
    pub stops: Group,
    /// The finding when it goes; 0: none.
    pub code: u16,
    pub destructive: bool,
}

const fn element(at: &'static str, starts: Group, stops: Group, code: u16) -> Element {
    Element { at, starts, stops, code, destructive: false }
}

/// The larger ones first: what they cover is not said again.
pub const ELEMENTS: &[Element] = &[
    element("objectives.scenarios.*", Group::Tightened, Group::Loosened, 902),
    element("objectives.data.*", Group::Tightened, Group::Loosened, 902),
    element("objectives.assume", Group::Other, Group::Other, 0),
    element("stores.*", Group::Stores, Group::Stores, 0),
    element("stores.*.replicated", Group::Stores, Group::Stores, 907),
    element("stores.*.posture", Group::Stores, Group::Stores, 915),
    element("verify.*", Group::Drills, Group::Drills, 909),
    element("drills.*", Group::Drills, Group::Drills, 909),
    element("drills.*.run", Group::Drills, Group::Drills, 909),
    element("drills.*.promote", Group::Drills, Group::Drills, 909),
    element("drills.*.promote.fence", Group::Drills, Group::Drills, 909),
    element("drills.*.promote.after", Group::Drills, Group::Drills, 909),
    element("canary", Group::Drills, Group::Drills, 909),
    element("timescaledb.*.hypertables.*", Group::Timescaledb, Group::Timescaledb, 0),
    element("timescaledb.*.hypertables.*.compress", Group::Timescaledb, Group::Timescaledb, 0),
    element("timescaledb.*.hypertables.*.archive", Group::Timescaledb, Group::Timescaledb, 0),
    element("timescaledb.*.continuous_aggregates.*", Group::Timescaledb, Group::Timescaledb, 0),
    element("timescaledb.*.continuous_aggregates.*.refresh", Group::Timescaledb, Group::Timescaledb, 0),
    element("archive.*", Group::Timescaledb, Group::Timescaledb, 0),
    element("holds.*", Group::Holds, Group::Holds, 0),
    element("receivers.*", Group::People, Group::People, 0),
    element("contacts.*", Group::People, Group::People, 0),
    element("duties.*", Group::People, Group::People, 0),
    element("reports.*", Group::People, Group::People, 0),
    element("alerts.heartbeat", Group::People, Group::People, 915),
    element("alerts.thresholds.backup_age_of.*", Group::Tightened, Group::Loosened, 915),
    element("alerts.thresholds.*", Group::Tightened, Group::Loosened, 915),
    element("smtp", Group::People, Group::People, 0),
    element("cluster.hosts.*", Group::Other, Group::Other, 0),
    element("windows.*", Group::Other, Group::Other, 0),
    element("hooks.*", Group::Other, Group::Other, 0),
    element("delegated.*", Group::Other, Group::Other, 0),
    element("wal", Group::Starts, Group::Stops, 0),
];

/// Where a value is inherited from: the same change of both is said once, there.
pub const INHERITED: &[(&str, &str)] = &[
    ("objectives.scenarios.*.rpo", "objectives.rpo"),
    ("objectives.scenarios.*.rto", "objectives.rto"),
    ("backups.*.compression", "compression"),
    ("backups.*.keep.timezone", "timezone"),
    ("backups.*.copies.*.keep.timezone", "timezone"),
];

/// The names that the stars of a pattern stand for, when the path fits it.
pub fn fits<'a>(pattern: &str, path: &'a PolicyPath) -> Option<Vec<&'a str>> {
    let mut names = Vec::new();
    let mut steps = path.steps().iter();
    for part in pattern.split('.') {
        match steps.next()? {
            Step::Key(key) if part == "*" => names.push(key.as_str()),
            Step::Key(key) if key == part => {}
            _ => return None,
        }
    }
    steps.next().is_none().then_some(names)
}

/// The table's line for a path. One that names it outright comes before one with a star.
pub fn setting_at(path: &PolicyPath) -> Option<(&'static Setting, Vec<&str>)> {
    let fitting = SETTINGS.iter().filter_map(|setting| fits(setting.at, path).map(|names| (setting, names)));
    fitting.min_by_key(|(_, names)| names.len())
}

impl Setting {
    pub fn subject(&self, path: &PolicyPath, names: &[&str]) -> String {
        if self.subject.is_empty() {
            return super::words::quoted(path);
        }
        names.iter().fold(self.subject.to_owned(), |subject, name| subject.replacen("{}", &super::words::plain(name), 1))
    }

    pub fn direction(&self, from: Option<&str>, to: Option<&str>) -> Direction {
        match (from, to) {
            (Some(_), None) if matches!(self.measure, Measure::Delay) => Direction::Tightened,
            (None, Some(_)) if matches!(self.measure, Measure::Delay) => Direction::Loosened,
            (Some(_), None) => Direction::Loosened,
            (None, Some(_)) => Direction::Tightened,
            (Some(from), Some(to)) => match self.order(from, to) {
                None | Some(std::cmp::Ordering::Equal) => Direction::Changed,
                Some(order) if order.is_lt() == (self.looser == More) => Direction::Loosened,
                Some(_) => Direction::Tightened,
            },
            (None, None) => Direction::Changed,
        }
    }

    /// How the old value stands to the new one.
    fn order(&self, from: &str, to: &str) -> Option<std::cmp::Ordering> {
        fn read<T: std::str::FromStr + Ord>(from: &str, to: &str) -> Option<std::cmp::Ordering> {
            Some(from.parse::<T>().ok()?.cmp(&to.parse::<T>().ok()?))
        }
        match self.measure {
            Measure::Duration | Measure::Delay => read::<Duration>(from, to),
            Measure::Period => read::<Period>(from, to),
            Measure::Percent => read::<Percent>(from, to),
            Measure::Size => read::<Bytes>(from, to).or_else(|| read::<Rate>(from, to)),
            Measure::Grades(grades) => {
                let grade = |value: &str| {
                    grades.iter().position(|grade| value == *grade || value.strip_prefix(grade).is_some_and(|rest| rest.starts_with(' ')))
                };
                Some(grade(from)?.cmp(&grade(to)?))
            }
            Measure::Presence => None,
        }
    }
}

/// Where a setting that nobody speaks for is shown.
pub fn group_of(path: &PolicyPath) -> Group {
    let Some(Step::Key(section)) = path.steps().first() else { return Group::Other };
    if ["backups.*.keep.*", "backups.*.copies.*.keep.*", "backups.*.keep.storage_class.*"].iter().any(|at| fits(at, path).is_some()) {
        return Group::Retention;
    }
    match section.as_str() {
        "stores" => Group::Stores,
        "encryption" => Group::Encryption,
        "receivers" | "alerts" | "smtp" | "contacts" | "escalation" | "duties" | "reports" => Group::People,
        "timescaledb" | "archive" => Group::Timescaledb,
        "holds" => Group::Holds,
        "drills" | "verify" | "canary" => Group::Drills,
        _ => Group::Other,
    }
}
