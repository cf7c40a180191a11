//! Limits that a policy does not write follow from what it promises. One that is written takes the place of such a limit, and is held
//! against it: what nobody had written before is not the tightest of all.

use super::comparison::Comparison;
use super::meaning::{Leaf, Meaning, names_below, phrase};
use crate::alert::{Limit, allowed};
use crate::policy::file::Severity;
use crate::policy::model::Policy;
use crate::policy::path::PolicyPath;
use crate::units::{Duration, Name};

/// A limit in the words of a policy.
struct Words {
    value: String,
    lasting: Duration,
    severity: Severity,
}

impl Comparison<'_> {
    /// Where only one version writes a limit, the other has the one that holds without.
    pub fn settle_limits(&mut self) {
        let (old, new) = (self.old, self.new);
        let section = PolicyPath::from(["alerts", "thresholds"]);
        let by_job = section.key("backup_age_of");
        for key in names_below(&self.was, &section).union(&names_below(&self.is, &section)).filter(|key| *key != "backup_age_of") {
            let path = section.key(key);
            lay_down(&mut self.was, &path, || of_policy(old, key));
            lay_down(&mut self.is, &path, || of_policy(new, key));
        }
        for job in names_below(&self.was, &by_job).union(&names_below(&self.is, &by_job)) {
            let path = by_job.key(job);
            lay_down(&mut self.was, &path, || of_job(old, job));
            lay_down(&mut self.is, &path, || of_job(new, job));
        }
        self.settle_below("drills", "within", |policy, name| {
            let (_, left) = policy.drills.get(name)?.left_of_scenario(policy)?;
            Some(left.to_string())
        });
        self.settle_below("backups", "size_deviation", |policy, name| {
            policy.backups.get(name)?;
            Some(allowed::size_deviation(policy)?.value.to_string())
        });
    }

    /// A setting of each element of a section, where both versions have the element and only one the setting.
    fn settle_below(&mut self, section: &str, key: &str, without: impl Fn(&Policy, &str) -> Option<String>) {
        let at = PolicyPath::from([section]);
        let both: Vec<String> = names_below(&self.was, &at).intersection(&names_below(&self.is, &at)).cloned().collect();
        for name in both {
            let path = at.key(&name).key(key);
            let (policy, meaning) = match (self.was.contains_key(&path), self.is.contains_key(&path)) {
                (true, false) => (self.new, &mut self.is),
                (false, true) => (self.old, &mut self.was),
                _ => continue,
            };
            meaning.extend(without(policy, &name).map(|value| (path, Leaf::One(value))));
        }
    }
}

fn lay_down(meaning: &mut Meaning, path: &PolicyPath, limit: impl FnOnce() -> Option<Words>) {
    if Comparison::stands(meaning, path) {
        return;
    }
    let Some(limit) = limit() else { return };
    meaning.insert(path.key("above"), Leaf::One(limit.value));
    meaning.insert(path.key("severity"), Leaf::One(serde_json::to_value(limit.severity).map(|word| phrase(&word)).unwrap_or_default()));
    if !limit.lasting.is_zero() {
        meaning.insert(path.key("for"), Leaf::One(limit.lasting.to_string()));
    }
}

fn words<T: ToString>(limit: Limit<T>) -> Words {
    Words { value: limit.value.to_string(), lasting: limit.lasting, severity: limit.severity }
}

/// What holds without `alerts.thresholds.KEY`, the strictest where it is not the same for all.
fn of_policy(policy: &Policy, key: &str) -> Option<Words> {
    match key {
        "backup_age" => {
            let own = policy.file.alerts.as_ref().and_then(|alerts| alerts.thresholds.as_ref()).map(|thresholds| &thresholds.backup_age_of);
            let others = policy.backups.keys().filter(|job| !own.is_some_and(|own| own.contains_key(*job)));
            others.filter_map(|job| allowed::backup_age(policy, job)).min_by_key(|limit| limit.value).map(words)
        }
        "wal_lag" => allowed::wal_lag(policy).map(words),
        "replication_lag" => allowed::replication_lag(policy).map(words),
        "storage_used" => Some(words(allowed::storage_used(policy))),
        "archive_unread" => (!policy.archives.is_empty()).then(|| words(allowed::archive_unread(policy))),
        "restore_time" => {
            policy.drills.values().filter_map(|drill| allowed::restore_time(policy, drill)).min_by_key(|limit| limit.value).map(words)
        }
        _ => None,
    }
}

fn of_job(policy: &Policy, job: &str) -> Option<Words> {
    let job: Name = job.parse().ok()?;
    allowed::backup_age(policy, &job).map(words)
}
