//! How much would be lost if the server were lost now: what has left the host counts, not when somebody last made a backup.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::inventory::Observed;
use crate::policy::file::{Procedure, Recover};
use crate::policy::model::{Policy, Scenario};
use crate::units::{Duration, Instant, Name};

/// Where nothing would survive: longer than anything that is promised.
pub const EVERYTHING: Duration = Duration::MAX;

/// What was seen of the way out of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frontier {
    /// Up to when the backups themselves have every database; none when one of them is in no backup.
    pub backups: Observed<Option<Instant>>,
    /// The archived log; none where the policy has none.
    pub log: Option<Observed<LogSeen>>,
    /// Each store in which the log goes on from a backup that lies there too.
    pub onward: Observed<Vec<Onward>>,
    /// When the oldest heartbeat row was written that is newer than everything archived.
    pub canary: Option<Instant>,
}

/// What keeps the log of one store from going on to all that is archived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Onward {
    /// Where it breaks off, although later log is there.
    pub broken_at: Option<Instant>,
    /// Of a second copy: when the oldest log was complete that it lacks.
    pub behind_since: Option<Instant>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogSeen {
    /// Since when the oldest log waits that is not archived; none when nothing does.
    pub waiting_since: Option<Instant>,
}

/// Everything that was committed before `at` would survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryPoint {
    pub at: Instant,
    pub lost: Duration,
    pub bound: Bound,
}

/// What keeps it from being now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// Nothing: all that was written is archived.
    Nothing,
    /// The log waits to be archived.
    Log,
    /// A heartbeat row that was written since the last segment.
    Canary,
    /// The log in the store has a gap.
    Gap,
    /// No log is archived: what the newest backup holds is all.
    Backup,
    /// A second copy is behind the first one.
    Copy,
    /// The log is archived, and no store has it together with a backup that it goes on from.
    Apart,
}

/// Unknown where it was not seen; none where nothing would survive, or one database would not.
pub fn recovery_point(frontier: &Frontier, now: Instant) -> Observed<Option<RecoveryPoint>> {
    let point = |at: Instant, bound: Bound| RecoveryPoint { at, lost: Duration::between(at, now), bound };
    let backups = |bound: Bound| match &frontier.backups {
        Observed::Known(newest) => Observed::Known(newest.map(|newest| point(newest, bound))),
        Observed::Unknown { reason } => Observed::unknown(format!("the newest backup is not known: {reason}")),
    };
    let log = match &frontier.log {
        None => return backups(Bound::Backup),
        Some(Observed::Unknown { reason }) => return Observed::unknown(format!("the log is not known: {reason}")),
        Some(Observed::Known(log)) => log,
    };
    let onward = match &frontier.onward {
        Observed::Known(onward) => onward,
        Observed::Unknown { reason } => return Observed::unknown(format!("what the log goes on from is not known: {reason}")),
    };
    let end = |onward: &Onward| {
        let ends = [
            (onward.broken_at, Bound::Gap),
            (log.waiting_since, Bound::Log),
            (frontier.canary, Bound::Canary),
            (onward.behind_since, Bound::Copy),
        ];
        let first = ends.into_iter().filter_map(|(at, bound)| Some((at.filter(|at| *at < now)?, bound))).min_by_key(|(at, _)| *at);
        first.unwrap_or((now, Bound::Nothing))
    };
    // The best of the stores; of equal ones the first, which is the one that the log goes to.
    match onward.iter().map(end).rev().max_by_key(|(at, _)| *at) {
        None => backups(Bound::Apart),
        // Backups hold everything up to their own end, whatever became of the log before.
        Some((at, bound)) => {
            let newest = frontier.backups.known().copied().flatten();
            Observed::Known(Some(point(newest.map_or(at, |newest| newest.max(at)), bound)))
        }
    }
}

/// Up to when backups have every database: of each the newest that has all of it, and of those the oldest. `of_job` knows up to when backups of
/// one job have one database, by what they have and not by what the job has now; files and chosen tables bring no database back.
pub fn newest_of_all(policy: &Policy, of_job: impl Fn(&Name, &str) -> Observed<Option<Instant>>) -> Observed<Option<Instant>> {
    if !policy.backups.values().any(|backup| backup.method.has_all()) {
        return Observed::unknown("no job of this policy has all of a database");
    }
    let (mut oldest, mut unknown) = (None, None);
    for database in databases(policy) {
        match newest_of(policy, database, &of_job) {
            Observed::Known(None) => return Observed::Known(None),
            Observed::Known(Some(newest)) => oldest = Some(oldest.map_or(newest, |oldest: Instant| oldest.min(newest))),
            Observed::Unknown { reason } => unknown = Some(reason),
        }
    }
    unknown.map_or(Observed::Known(oldest), Observed::unknown)
}

/// The databases that no backup has all of, as far as `of_job` knows; of a whole cluster without names there is none to tell.
pub fn in_no_backup(policy: &Policy, of_job: impl Fn(&Name, &str) -> Observed<Option<Instant>>) -> Vec<String> {
    let is_in_none = |database: &&str| !database.is_empty() && newest_of(policy, database, &of_job) == Observed::Known(None);
    databases(policy).into_iter().filter(is_in_none).map(str::to_owned).collect()
}

/// Where nobody has named any, they are in what has the whole cluster.
fn databases(policy: &Policy) -> BTreeSet<&str> {
    let known: BTreeSet<&str> = policy.known_databases().into_iter().map(String::as_str).collect();
    if known.is_empty() { [""].into() } else { known }
}

fn newest_of(policy: &Policy, database: &str, of_job: &impl Fn(&Name, &str) -> Observed<Option<Instant>>) -> Observed<Option<Instant>> {
    let (mut newest, mut unknown) = (None, None);
    for (name, backup) in &policy.backups {
        let seen = match &backup.method {
            method if !method.is_stored() => Observed::unknown(format!("what `{name}` has lies with somebody else")),
            method if method.is_physical() || policy.dumped(method).is_some() => of_job(name, database),
            _ => continue,
        };
        match seen {
            Observed::Known(at) => newest = newest.max(at),
            Observed::Unknown { reason } => unknown = Some(reason),
        }
    }
    match (newest, unknown) {
        // What cannot be seen may be there.
        (None, Some(reason)) => Observed::unknown(reason),
        (newest, _) => Observed::Known(newest),
    }
}

/// What a scenario promises about how much is lost, other than the policy does for everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScenarioPromise<'p> {
    pub scenario: &'p Name,
    pub promised: Duration,
    /// Only these second copies are left; empty where what the log goes to first is.
    pub copies: &'p [Name],
}

/// The promises of scenarios that what is archived can keep. What a standby, a dump or somebody else's tool would bring back is none of its business.
pub fn scenario_promises(policy: &Policy) -> Vec<ScenarioPromise<'_>> {
    let Some(wal) = &policy.wal else { return Vec::new() };
    let scenarios = policy.objectives.scenarios.iter().filter(|(_, scenario)| rolls_forward(policy, scenario));
    let promises = scenarios.filter_map(|(name, scenario)| {
        let is_first = scenario.from.is_empty() || scenario.from.contains(&wal.store);
        let copies = if is_first { &[][..] } else { scenario.from.as_slice() };
        Some(ScenarioPromise { scenario: name, promised: scenario.rpo?, copies })
    });
    promises.filter(|promise| !promise.copies.is_empty() || policy.objectives.rpo != Some(promise.promised)).collect()
}

fn rolls_forward(policy: &Policy, scenario: &Scenario) -> bool {
    let is_physical = |job: &Name| policy.backups.get(job).is_some_and(|backup| backup.method.is_physical());
    matches!(scenario.by, None | Some(Procedure::PointInTime))
        && scenario.recover != Recover::Files
        && (scenario.using.is_empty() || scenario.using.iter().any(is_physical))
}

/// The same where only second copies are left, each of them with when the oldest log was complete that it lacks: the best of them counts.
pub fn left_in_copies(point: &RecoveryPoint, copies: &[Observed<Option<Instant>>], now: Instant) -> Observed<RecoveryPoint> {
    let of = |lacks_since: &Option<Instant>| match lacks_since.filter(|since| *since < point.at) {
        Some(at) => RecoveryPoint { at, lost: Duration::between(at, now), bound: Bound::Copy },
        None => *point,
    };
    let unknown = copies.iter().find_map(|copy| match copy {
        Observed::Unknown { reason } => Some(reason.as_str()),
        Observed::Known(_) => None,
    });
    match copies.iter().filter_map(Observed::known).map(of).max_by_key(|left| left.at) {
        Some(best) => Observed::Known(best),
        None => Observed::unknown(unknown.unwrap_or("no copy of the log is kept there")),
    }
}

/// The most that was lost in a series, and when.
pub fn worst(series: &[(Instant, f64)]) -> Option<(Instant, Duration)> {
    let worst = series.iter().filter(|(_, seconds)| seconds.is_finite()).max_by(|one, other| one.1.total_cmp(&other.1))?;
    Some((worst.0, Duration::from_secs(worst.1.max(0.0) as u64)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(minute: i64) -> Instant {
        Instant::from_second(1_790_000_000 + minute * 60).expect("a moment")
    }

    fn frontier(waiting: Option<i64>) -> Frontier {
        Frontier {
            backups: Observed::Known(Some(at(0))),
            log: Some(Observed::Known(LogSeen { waiting_since: waiting.map(at) })),
            onward: Observed::Known(vec![Onward::default()]),
            canary: None,
        }
    }

    /// Of each store where its log breaks off, and since when it lacks log as a copy.
    fn onward(stores: &[(Option<i64>, Option<i64>)]) -> Observed<Vec<Onward>> {
        let one = |(broken, behind): &(Option<i64>, Option<i64>)| Onward { broken_at: broken.map(at), behind_since: behind.map(at) };
        Observed::Known(stores.iter().map(one).collect())
    }

    fn lost(frontier: &Frontier) -> Option<(u64, Bound)> {
        recovery_point(frontier, at(100)).known().copied().flatten().map(|point| (point.lost.as_secs() / 60, point.bound))
    }

    #[test]
    fn the_archived_log_counts_and_not_the_age_of_the_backup() {
        assert_eq!(lost(&frontier(None)), Some((0, Bound::Nothing)));
        assert_eq!(lost(&frontier(Some(97))), Some((3, Bound::Log)));
        assert_eq!(lost(&Frontier { canary: Some(at(99)), ..frontier(None) }), Some((1, Bound::Canary)));
        assert_eq!(lost(&Frontier { onward: onward(&[(Some(40), None)]), ..frontier(Some(97)) }), Some((60, Bound::Gap)));
        // A gap from before the newest backup is none of its business.
        assert_eq!(lost(&Frontier { backups: Observed::Known(Some(at(90))), ..frontier(Some(20)) }), Some((10, Bound::Log)));
        assert_eq!(lost(&Frontier { log: None, ..frontier(None) }), Some((100, Bound::Backup)));
    }

    #[test]
    fn the_log_counts_only_beside_a_backup_that_it_goes_on_from() {
        let apart = Frontier { onward: onward(&[]), ..frontier(None) };
        assert_eq!(lost(&apart), Some((100, Bound::Apart)));
        assert_eq!(recovery_point(&Frontier { backups: Observed::Known(None), ..apart.clone() }, at(100)), Observed::Known(None));
        let unseen = Frontier { onward: Observed::unknown("`main` was not looked at"), ..apart };
        assert_eq!(recovery_point(&unseen, at(100)), Observed::unknown("what the log goes on from is not known: `main` was not looked at"));
        // The best of the stores counts, and of equal ones the first.
        assert_eq!(lost(&Frontier { onward: onward(&[(Some(40), None), (None, Some(70))]), ..frontier(None) }), Some((30, Bound::Copy)));
        assert_eq!(lost(&Frontier { onward: onward(&[(None, None), (None, Some(99))]), ..frontier(Some(97)) }), Some((3, Bound::Log)));
        assert_eq!(lost(&Frontier { onward: onward(&[(Some(50), None), (None, Some(50))]), ..frontier(None) }), Some((50, Bound::Gap)));
    }

    fn policy(databases: &str, backups: &str) -> Policy {
        let text = format!(
            "version: 1\npolicy: shop\nowner: dba@example.com\ncluster: {{ connection: service=t, databases: {databases} }}\n\
             encryption: {{ none: {{ because: a test }} }}\nstores: {{ main: {{ local: {{ path: /srv/main }} }} }}\n\
             wal: {{ store: main, timeout: 60s, keep: 30d }}\nbackups:\n{backups}"
        );
        let path = std::path::Path::new("t.yaml");
        let document = crate::policy::document::Document::load("t.yaml", path, &|_| Ok(text.as_bytes().to_vec()));
        let resolved = crate::policy::resolve::resolve(&document, jiff::civil::date(2026, 11, 21));
        resolved.policy.unwrap_or_else(|| panic!("{:?} {:?}", document.findings, resolved.findings))
    }

    /// `NAME: METHOD @ MINUTE` each; `?` is a job that nobody could see, `-` one without a backup. `MINUTE a b` has all of those databases, whatever
    /// the job has now; without any, all that it is to have.
    fn newest(databases: &str, jobs: &[&str]) -> Result<Option<i64>, String> {
        let parts: Vec<(&str, &str, &str)> = jobs
            .iter()
            .map(|job| job.split_once(": ").and_then(|(name, rest)| Some((name, rest.split_once(" @ ")?))).expect("a job"))
            .map(|(name, (method, seen))| (name, method, seen))
            .collect();
        let job = |(name, method, _): &(&str, &str, &str)| {
            format!("  {name}: {{ {method}, schedule: {{ at: '02:00' }}, keep: {{ daily: 3 }} }}\n")
        };
        let policy = policy(databases, &parts.iter().map(job).collect::<String>());
        let seen = newest_of_all(&policy, |name, database| {
            let mut words = parts.iter().find(|(job, ..)| *job == name.as_str()).expect("a job").2.split_whitespace();
            match words.next().expect("a minute") {
                "?" => Observed::unknown("away"),
                "-" => Observed::Known(None),
                minute => {
                    let names: Vec<&str> = words.collect();
                    let has = if names.is_empty() { policy.is_to_have(name, database) } else { names.contains(&database) };
                    Observed::Known(has.then(|| at(minute.parse().expect("a minute"))))
                }
            }
        });
        match seen {
            Observed::Known(newest) => Ok(newest.map(|newest| (newest.as_second() - at(0).as_second()) / 60)),
            Observed::Unknown { reason } => Err(reason),
        }
    }

    #[test]
    fn the_database_that_would_lose_most_counts() {
        let files = "conf: files: { paths: [/etc/app] } @ 99";
        assert_eq!(newest("[a]", &["dump: logical: {} @ 3", files]), Ok(Some(3)));
        assert_eq!(newest("[a]", &["dump: logical: {} @ 3", "some: tables: { database: a, tables: [t] } @ 99"]), Ok(Some(3)));
        assert_eq!(newest("[a]", &["dump: logical: {} @ 3", "less: logical: { exclude_table_data: [t] } @ 99"]), Ok(Some(3)));
        assert_eq!(newest("[a, b]", &["x: logical: { databases: [a] } @ 3", "y: logical: { databases: [b] } @ 99"]), Ok(Some(3)));
        assert_eq!(newest("[a, b]", &["x: logical: { databases: [a] } @ 3", "y: logical: {} @ 2"]), Ok(Some(2)));
        assert_eq!(newest("[a, b]", &["x: logical: { databases: [a] } @ 3", "y: physical: {} @ 9"]), Ok(Some(9)));
        assert_eq!(newest("[]", &["y: physical: {} @ 9", files]), Ok(Some(9)));
        assert_eq!(newest("[]", &["x: logical: { databases: [a] } @ 3", files]), Ok(Some(3)));
        // It is to have both now, and its newest backup has one of them; or another job had it before.
        assert_eq!(newest("[a, b]", &["x: logical: {} @ 3 a"]), Ok(None));
        assert_eq!(newest("[a, b]", &["x: logical: { databases: [a] } @ 3 a b", "y: logical: { databases: [b] } @ -"]), Ok(Some(3)));
        // It left something out when it was made.
        assert_eq!(newest("[a]", &["x: logical: {} @ 9 -", "y: logical: {} @ 3"]), Ok(Some(3)));
        // One of them is in no backup.
        assert_eq!(newest("[a, b]", &["x: logical: { databases: [a] } @ 3", "y: logical: { databases: [b] } @ -"]), Ok(None));
        assert_eq!(newest("[a, b]", &["x: logical: { databases: [a] } @ 3"]), Ok(None));
        // Or nobody could see.
        assert_eq!(newest("[a]", &["x: logical: {} @ ?", "y: logical: {} @ -"]), Err("away".to_owned()));
        assert_eq!(newest("[a]", &["x: logical: {} @ ?", "y: logical: {} @ 3"]), Ok(Some(3)));
        assert_eq!(newest("[a]", &[files]), Err("no job of this policy has all of a database".to_owned()));
    }

    #[test]
    fn unknown_is_not_nothing() {
        let nothing = Frontier { backups: Observed::Known(None), onward: onward(&[]), ..frontier(None) };
        assert_eq!(recovery_point(&nothing, at(100)), Observed::Known(None));
        let unknown = Frontier { log: Some(Observed::unknown("the server was not asked")), ..frontier(None) };
        assert_eq!(recovery_point(&unknown, at(100)), Observed::unknown("the log is not known: the server was not asked"));
        let unknown = Frontier { backups: Observed::unknown("no store"), onward: onward(&[]), ..frontier(None) };
        assert_eq!(recovery_point(&unknown, at(100)), Observed::unknown("the newest backup is not known: no store"));
    }

    #[test]
    fn of_second_copies_the_best_counts() {
        let point = RecoveryPoint { at: at(98), lost: Duration::from_mins(2), bound: Bound::Log };
        let left = |copies: &[Observed<Option<i64>>]| {
            let copies: Vec<_> = copies.iter().map(|copy| copy.clone().map(|since| since.map(at))).collect();
            left_in_copies(&point, &copies, at(100)).known().map(|left| (left.lost.as_secs() / 60, left.bound))
        };
        assert_eq!(left(&[Observed::Known(None)]), Some((2, Bound::Log)));
        assert_eq!(left(&[Observed::Known(Some(40))]), Some((60, Bound::Copy)));
        assert_eq!(left(&[Observed::Known(Some(40)), Observed::Known(Some(70)), Observed::unknown("away")]), Some((30, Bound::Copy)));
        // What waits on the server itself is not in the copy either.
        assert_eq!(left(&[Observed::Known(Some(99))]), Some((2, Bound::Log)));
        assert_eq!(left(&[Observed::unknown("away")]), None);
        assert_eq!(left(&[]), None);
    }

    proptest! {
        /// What waits longer loses no less, and a backup never makes it worse.
        #[test]
        fn it_is_monotone(waits in 0i64..100, longer in 0i64..100, newest in 0i64..100) {
            let with = |waits: i64, newest: i64| {
                let seen = Frontier { backups: Observed::Known(Some(at(newest))), ..frontier(Some(100 - waits)) };
                lost(&seen).expect("a point").0
            };
            prop_assert!(with(waits, newest) <= with(waits + longer, newest));
            prop_assert!(with(waits, newest) <= with(waits, 0));
            prop_assert!(with(waits, newest) <= 100);
        }
    }
}
