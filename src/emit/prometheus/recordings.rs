//! Figures that people compare: ages, shares, and the limits that policies set.

use super::of_policy;
use super::rule::Recording;
use crate::alert::allowed;
use crate::policy::model::Policy;
use crate::units::Percent;

/// Of every policy, whichever they are.
pub(super) fn common() -> Vec<Recording> {
    let recording = |name: &'static str, expression: &str| Recording { name, expression: expression.to_owned(), labels: Vec::new() };
    vec![
        recording(
            "policy_job_name:seawall_backup_age_seconds:newest",
            "time() - max by (policy, job_name) (seawall_backup_last_success_timestamp_seconds)",
        ),
        recording(
            "policy:seawall_wal_waiting_seconds:longest",
            "(time() - min by (policy) (seawall_wal_waiting_since_timestamp_seconds > 0)) \
             or (max by (policy) (seawall_wal_waiting_since_timestamp_seconds) * 0)",
        ),
        recording(
            "policy_store:seawall_store_used:ratio",
            "max by (policy, store) (seawall_store_used_bytes) / (max by (policy, store) (seawall_store_capacity_bytes) > 0)",
        ),
        recording(
            "policy:seawall_recovery_point_to_objective:ratio",
            "max by (policy) (seawall_recovery_point_seconds) / (max by (policy) (seawall_recovery_point_objective_seconds) > 0)",
        ),
        recording(
            "policy_scenario:seawall_recovery_time_to_objective:ratio",
            "max by (policy, scenario) (seawall_recovery_time_predicted_seconds{quantile=\"0.95\"}) \
             / (max by (policy, scenario) (seawall_recovery_time_objective_seconds) > 0)",
        ),
        recording(
            "policy_drill:seawall_drill_passed_age_seconds:newest",
            "time() - max by (policy, drill) (seawall_drill_last_passed_timestamp_seconds)",
        ),
    ]
}

/// What this policy allows, so that it can be drawn beside what is.
pub(super) fn limits(policy: &Policy) -> Vec<Recording> {
    let mut limits = Vec::new();
    let mut limit = |name: &'static str, value: String, labels: &[(&'static str, &str)]| {
        let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let labels = std::iter::once(("policy", policy.name.to_string())).chain(labels).collect();
        limits.push(Recording { name, expression: format!("vector({value})"), labels });
    };
    for job in policy.backups.keys() {
        if let Some(allowed) = allowed::backup_age(policy, job) {
            let job = format!("backups.{job}");
            limit("policy_job_name:seawall_backup_age_seconds:limit", allowed.value.as_secs().to_string(), &[("job_name", &job)]);
        }
    }
    if let Some(allowed) = allowed::wal_lag(policy) {
        limit("policy:seawall_wal_waiting_seconds:limit", allowed.value.as_secs().to_string(), &[]);
    }
    for (name, store) in &policy.stores {
        if store.capacity.is_some() {
            let share = allowed::storage_used(policy).value;
            limit("policy_store:seawall_store_used:limit", ratio(share), &[("store", name.as_str())]);
        }
    }
    for (name, drill) in &policy.drills {
        if let Some(allowed) = allowed::restore_time(policy, drill) {
            limit("policy_drill:seawall_drill_recovery_seconds:limit", allowed.value.as_secs().to_string(), &[("drill", name.as_str())]);
        }
    }
    if !policy.drills.is_empty() {
        for name in policy.objectives.data.keys() {
            let left = policy.left_of_tier(name).unwrap_or_default();
            limit("policy_tier:seawall_drill_tier_usable_seconds:limit", left.as_secs().to_string(), &[("tier", name.as_str())]);
        }
    }
    limits
}

/// `80%` is `0.8`, without the noise of binary fractions.
pub(super) fn ratio(share: Percent) -> String {
    let tenths = share.tenths();
    format!("{}.{:03}", tenths / 1_000, tenths % 1_000)
}

/// All series of this policy with this name.
pub(super) fn series(policy: &Policy, name: &str, more: &str) -> String {
    let comma = if more.is_empty() { "" } else { "," };
    format!("{name}{{{}{comma}{more}}}", of_policy(policy))
}
