//! What must not be.
//!
//! Several hosts may tell of one policy, each by what it has on record. What has succeeded anywhere has succeeded, so ages are reckoned from
//! the newest moment that any of them knows; what is wrong anywhere is wrong.

use super::recordings::{ratio, series};
use super::rule::{Alert, Urgency, length, literal};
use super::{SILENT, of_policy};
use crate::alert::{Limit, allowed};
use crate::evidence::{NOTICE_OF_KEYS, URGENT_FOR_KEYS, scenario_promises};
use crate::policy::file::Severity::{self, Critical, Warning};
use crate::policy::model::{Encryption, Policy, TimedKind};
use crate::units::{Duration, Instant, Name};

/// A host that restarts, or one scrape that fails, is no alert.
const PATIENCE: Duration = Duration::from_mins(10);
/// From here on it is urgent, unless the policy says how urgent it is.
const FULL: &str = "0.950";
/// The keys of Seawall's own alerts that have a rule of their own here, beside those of the ages of backups.
const OWN_RULES: &str = "(overdue|failed|replication_lag|storage_used|store|restore_time|tier_time|delivery|key_ending):.*|wal_lag|success_rate|clock|drill_age|policy";

/// About what tells of policies, whichever they are.
pub(super) fn common() -> Vec<Alert> {
    vec![
        Alert::new(
            "SeawallMetricsStale",
            Critical,
            format!("time() - max by (job, instance) (seawall_metrics_timestamp_seconds) > {}", SILENT.as_secs()),
        )
        .says(
            "the figures of {{ $labels.instance }} are {{ $value | humanizeDuration }} old",
            "Prometheus reads figures that nobody writes anew: every other rule judges a state of the past.",
            "See whether the timer that runs `seawall metrics` is alive: `systemctl list-timers 'seawall*'`.",
        ),
        Alert::new("SeawallPolicyUnknown", Critical, "max by (policy) (seawall_policy_unknown) == 1").lasting(Duration::from_mins(5)).says(
            "it is not known how {{ $labels.policy }} stands",
            "The policy or its catalog cannot be read on the host that tells of it. Nothing of this policy runs there.",
            "Run `seawall status` there; `seawall validate` says what is wrong with the file.",
        ),
    ]
}

/// About one policy.
pub(super) fn of(policy: &Policy) -> Vec<Alert> {
    let mut alerts = Vec::new();
    itself(policy, &mut alerts);
    jobs(policy, &mut alerts);
    backups(policy, &mut alerts);
    promises(policy, &mut alerts);
    drills(policy, &mut alerts);
    stores(policy, &mut alerts);
    server(policy, &mut alerts);
    keys(policy, &mut alerts);
    rest(policy, &mut alerts);
    for alert in &mut alerts {
        alert.owner.clone_from(&policy.file.owner);
        // The series has it as well; written here, two policies' rules are also told apart where nothing fires.
        alert.labels.insert(0, ("policy", policy.name.to_string()));
    }
    alerts
}

/// Seawall's own pulse.
fn itself(policy: &Policy, alerts: &mut Vec<Alert>) {
    let level = series(policy, "seawall_policy_level", "");
    let watched = series(policy, "seawall_watch_last_timestamp_seconds", "");
    alerts.push(Alert::new("SeawallNotScraped", Critical, format!("absent({level})")).lasting(PATIENCE).says(
        "nobody tells how {{ $labels.policy }} stands",
        "Prometheus has no figures of this policy: the host is gone, its figures are not fetched, or the policy is not there any more.",
        "Look at Prometheus' targets, then at the host. When the policy was removed on purpose, write these rules anew.",
    ));
    alerts.push(
        Alert::new("SeawallNotWatched", Critical, format!("time() - max by (policy, instance) ({watched}) > {}", SILENT.as_secs())).says(
            "nobody has watched {{ $labels.policy }} for {{ $value | humanizeDuration }}",
            "`seawall watch` does not run on {{ $labels.instance }}: no alert of Seawall itself can be raised there.",
            "See whether its timer is alive: `systemctl list-timers 'seawall*'`; `seawall watch` says what stops it.",
        ),
    );
    alerts.push(
        Alert::new("SeawallNeverWatched", Critical, format!("max by (policy) ({level}) unless max by (policy) ({watched})"))
            .lasting(SILENT)
            .says(
                "nobody watches {{ $labels.policy }}",
                "There are figures of this policy, and none of them was seen by `seawall watch`.",
                "Install the timers: `seawall emit systemd` writes them.",
            ),
    );
}

fn jobs(policy: &Policy, alerts: &mut Vec<Alert>) {
    let timed = policy.timed();
    let has = |wanted: &[TimedKind]| timed.iter().any(|job| wanted.contains(&job.kind));
    let others = [TimedKind::Expire, TimedKind::Verify, TimedKind::Archive, TimedKind::Retain, TimedKind::Report];
    let mut overdue = |severity: Severity, jobs: &str| {
        let overdue = series(policy, "seawall_job_overdue", jobs);
        alerts.push(Alert::new("SeawallJobOverdue", severity, format!("min by (policy, job_name) ({overdue}) == 1")).says(
            "{{ $labels.job_name }} of {{ $labels.policy }} is overdue",
            "By its schedule it should have succeeded again long ago.",
            "See whether its timer runs (`systemctl list-timers 'seawall*'`); `seawall status` says what happened to it.",
        ));
    };
    if has(&[TimedKind::Backup]) {
        overdue(Critical, r#"job_name=~"backups[.].*""#);
    }
    if has(&others) {
        overdue(Warning, r#"job_name!~"(backups|drills)[.].*""#);
    }
    let mut failing = |severity: Severity, jobs: &str| {
        let failures = series(policy, "seawall_job_failures_in_a_row", jobs);
        alerts.push(Alert::new("SeawallJobFailing", severity, format!("max by (policy, job_name) ({failures}) > 0")).says(
            "{{ $labels.job_name }} of {{ $labels.policy }} failed {{ $value }} time(s) in a row",
            "It has not succeeded since.",
            "`seawall history` says why; `seawall run` with the job's path tries again.",
        ));
    };
    failing(Critical, r#"job_name=~"(backups|verify)[.].*""#);
    failing(Warning, r#"job_name!~"(backups|verify|drills)[.].*""#);
    if let Some(limit) = allowed::success_rate(policy) {
        let rate = series(policy, "seawall_runs_succeeded_ratio", "");
        let expression = format!("min by (policy) ({rate}) < {}", ratio(limit.value));
        alerts.push(Alert::new("SeawallRunsFail", limit.severity, expression).lasting(limit.lasting).says(
            "only {{ $value | humanizePercentage }} of the runs of {{ $labels.policy }} succeeded",
            format!("Of the last 30 days' runs at least {} must succeed.", limit.value),
            "`seawall history` shows which runs failed, and why.",
        ));
    }
}

/// The jobs whose newest backup may be only so old, as a figure.
fn aged(policy: &Policy) -> impl Iterator<Item = (&Name, Limit<Duration>)> {
    let stored = policy.backups.iter().filter(|(_, backup)| backup.method.is_stored());
    stored.filter_map(|(name, _)| Some((name, allowed::backup_age(policy, name)?)))
}

fn backups(policy: &Policy, alerts: &mut Vec<Alert>) {
    for (name, backup) in policy.backups.iter().filter(|(_, backup)| backup.method.is_stored()) {
        let job = format!("backups.{name}");
        let newest = series(policy, "seawall_backup_last_success_timestamp_seconds", &format!("job_name={}", literal(&job)));
        let limit = allowed::backup_age(policy, name);
        if let Some(limit) = limit {
            let expression = format!("time() - max by (policy, job_name) ({newest}) > {}", limit.value.as_secs());
            let mut old = Alert::new("SeawallBackupTooOld", limit.severity, expression).lasting(limit.lasting).says(
                "the newest backup of {{ $labels.job_name }} of {{ $labels.policy }} is {{ $value | humanizeDuration }} old",
                format!("It may be {} old.", limit.value),
                "`seawall list` shows what there is; `seawall run` with the job's path makes one now.",
            );
            old.labels.push(("job_name", job.clone()));
            alerts.push(old);
        }
        // Until the first one can be there, its absence is nothing unusual.
        let usual = backup.schedule.as_ref().map(|schedule| schedule.longest_gap(Instant::UNIX_EPOCH).usual * 2);
        let Some(patience) = limit.map(|limit| limit.value).or(usual) else { continue };
        let level = series(policy, "seawall_policy_level", "");
        let severity = limit.map_or(Critical, |limit| limit.severity);
        let mut missing =
            Alert::new("SeawallBackupMissing", severity, format!("max by (policy) ({level}) unless max by (policy) ({newest})"))
                .lasting(patience)
                .says(
                    "{{ $labels.job_name }} of {{ $labels.policy }} has no backup at all",
                    format!("Nobody has seen a backup of this job for {}.", length(patience)),
                    "`seawall list` shows what there is; `seawall run` with the job's path makes one now.",
                );
        missing.labels.push(("job_name", job));
        alerts.push(missing);
    }
}

/// The objectives, by what was measured. Both sides are figures, so that a changed promise counts at once.
fn promises(policy: &Policy, alerts: &mut Vec<Alert>) {
    if policy.objectives.rpo.is_some() {
        let achieved = series(policy, "seawall_recovery_point_seconds", "");
        let objective = series(policy, "seawall_recovery_point_objective_seconds", "");
        let expression = format!("max by (policy) ({achieved}) > max by (policy) ({objective})");
        alerts.push(Alert::new("SeawallRecoveryPointMissed", Critical, expression).says(
            "{{ $labels.policy }} would lose {{ $value | humanizeDuration }} now",
            "That is more than `objectives.rpo` allows: what was written in that time is not safe anywhere but on the server.",
            "`seawall wal status` and `seawall list` say what is behind.",
        ));
    }
    if !scenario_promises(policy).is_empty() {
        let achieved = series(policy, "seawall_scenario_recovery_point_seconds", "");
        let objective = series(policy, "seawall_scenario_recovery_point_objective_seconds", "");
        let expression = format!("max by (policy, scenario) ({achieved}) > max by (policy, scenario) ({objective})");
        alerts.push(Alert::new("SeawallScenarioRecoveryPointMissed", Critical, expression).says(
            "{{ $labels.policy }} would lose {{ $value | humanizeDuration }} if {{ $labels.scenario }} came now",
            "That is more than `objectives.scenarios` allows of it.",
            "`seawall wal status` says what waits, `seawall copy` brings second copies up to date.",
        ));
    }
    let objectives = &policy.objectives;
    if objectives.rto.is_some() || !objectives.data.is_empty() || objectives.scenarios.values().any(|scenario| scenario.rto.is_some()) {
        let objective = format!("max by (policy, scenario) ({})", series(policy, "seawall_recovery_time_objective_seconds", ""));
        let over = |quantile: &str| {
            let predicted = series(policy, "seawall_recovery_time_predicted_seconds", &format!("quantile=\"{quantile}\""));
            format!("max by (policy, scenario) ({predicted}) > {objective}")
        };
        let (missed, at_risk) = (over("0.5"), over("0.95"));
        let hint = "`seawall plan` shows what the time is made of; a drill measures it anew.";
        alerts.push(Alert::new("SeawallRecoveryTimeMissed", Critical, missed.clone()).says(
            "recovering {{ $labels.policy }} would take {{ $value | humanizeDuration }} ({{ $labels.scenario }})",
            "By what drills measured, a usual recovery takes longer than the objective allows.",
            hint,
        ));
        alerts.push(Alert::new("SeawallRecoveryTimeAtRisk", Warning, format!("({at_risk}) unless ({missed})")).says(
            "recovering {{ $labels.policy }} may take {{ $value | humanizeDuration }} ({{ $labels.scenario }})",
            "By what drills measured, one recovery in twenty takes longer than the objective allows.",
            hint,
        ));
    }
}

fn drills(policy: &Policy, alerts: &mut Vec<Alert>) {
    if policy.drills.is_empty() {
        return;
    }
    if policy.drills.values().any(|drill| drill.schedule.is_some()) {
        let overdue = series(policy, "seawall_job_overdue", r#"job_name=~"drills[.].*""#);
        alerts.push(Alert::new("SeawallDrillOverdue", Warning, format!("min by (policy, job_name) ({overdue}) == 1")).says(
            "{{ $labels.job_name }} of {{ $labels.policy }} is overdue",
            "What no drill has shown lately is only believed.",
            "`seawall run` with the drill's path makes it now, on the host that may restore.",
        ));
    }
    let outcome = series(policy, "seawall_drill_last_outcome", "");
    alerts.push(Alert::new("SeawallDrillFailed", Critical, format!("min by (policy, drill) ({outcome}) == 0")).says(
        "the last drill {{ $labels.drill }} of {{ $labels.policy }} failed",
        "As far as was shown, this database cannot be recovered in this way.",
        "`seawall history` says in which phase and why. Treat it as a lost backup until a drill passes.",
    ));
    for (name, drill) in &policy.drills {
        let Some(limit) = allowed::restore_time(policy, drill) else { continue };
        let took = series(policy, "seawall_drill_recovery_seconds", &format!("drill={}", literal(name.as_str())));
        let expression = format!("max by (policy, drill) ({took}) > {}", limit.value.as_secs());
        let mut slow = Alert::new("SeawallDrillTooSlow", limit.severity, expression).lasting(limit.lasting).says(
            "the recovery of drill {{ $labels.drill }} of {{ $labels.policy }} took {{ $value | humanizeDuration }}",
            format!("It may take {}.", limit.value),
            "`docs/objectives.md` says what a restore's time is made of.",
        );
        slow.labels.push(("drill", name.to_string()));
        alerts.push(slow);
    }
    for name in policy.objectives.data.keys() {
        let Some(limit) = policy.left_of_tier(name) else { continue };
        let took = series(policy, "seawall_drill_tier_usable_seconds", &format!("tier={}", literal(name.as_str())));
        let mut late = Alert::new("SeawallTierTooLate", Warning, format!("max by (policy, drill, tier) ({took}) > {}", limit.as_secs())).says(
            "the tier {{ $labels.tier }} of {{ $labels.policy }} was usable after {{ $value | humanizeDuration }} in the drill {{ $labels.drill }}",
            format!("Of what is promised {} are left for it.", length(limit)),
            "`docs/tiers.md` says what takes the time: fewer and smaller tables in what comes first, or promise less.",
        );
        late.labels.push(("tier", name.to_string()));
        alerts.push(late);
    }
    if let Some(limit) = allowed::drill_age(policy) {
        let passed = series(policy, "seawall_drill_last_passed_timestamp_seconds", "");
        let expression = format!("time() - max by (policy) ({passed}) > {}", limit.value.as_secs());
        alerts.push(Alert::new("SeawallDrillTooOld", limit.severity, expression).lasting(limit.lasting).says(
            "the newest good drill of {{ $labels.policy }} is {{ $value | humanizeDuration }} old",
            format!("It may be {} old.", limit.value),
            "`seawall run` with a drill's path makes one now, on the host that may restore.",
        ));
        // One that never passed has no age; since when one is expected, the record knows.
        let told = series(policy, "seawall_alert_firing", "key=\"drill_age\"");
        let missing = format!("(max by (policy) ({told}) == 1) unless max by (policy) ({passed})");
        alerts.push(Alert::new("SeawallDrillMissing", limit.severity, missing).says(
            "no drill of {{ $labels.policy }} has ever passed",
            format!(
                "{} have gone by since the first was declared: that these backups can be restored is only believed.",
                length(limit.value)
            ),
            "`seawall run` with a drill's path makes one now, on the host that may restore.",
        ));
    }
}

fn stores(policy: &Policy, alerts: &mut Vec<Alert>) {
    let first = |name: &&Name| {
        policy.backups.values().any(|backup| backup.store.as_ref() == Some(*name))
            || policy.wal.as_ref().is_some_and(|wal| wal.store == **name)
    };
    let (needed, others): (Vec<&Name>, Vec<&Name>) = policy.stores.keys().partition(first);
    for (severity, names) in [(Critical, needed), (Warning, others)].into_iter().filter(|(_, names)| !names.is_empty()) {
        let names: Vec<&str> = names.into_iter().map(Name::as_str).collect();
        let up = series(policy, "seawall_store_up", &format!("store=~{}", literal(&names.join("|"))));
        alerts.push(Alert::new("SeawallStoreDown", severity, format!("min by (policy, store) ({up}) == 0")).lasting(PATIENCE).says(
            "the store {{ $labels.store }} of {{ $labels.policy }} does not answer",
            "Nothing can be written there, and nothing can be recovered from there.",
            "See whether its host can reach it, and whether its credentials still hold: `seawall status`.",
        ));
    }
    if policy.stores.values().all(|store| store.capacity.is_none_or(|capacity| capacity.get() == 0)) {
        return;
    }
    let used = series(policy, "seawall_store_used_bytes", "");
    let capacity = series(policy, "seawall_store_capacity_bytes", "");
    let share = format!("max by (policy, store) ({used}) / (max by (policy, store) ({capacity}) > 0)");
    let limit = allowed::storage_used(policy);
    let written = policy.file.alerts.as_ref().and_then(|alerts| alerts.thresholds.as_ref()?.storage_used.as_ref()).is_some();
    let mut full = |severity: Severity, limit_of: String, lasting: Duration| {
        alerts.push(Alert::new("SeawallStoreFull", severity, format!("{share} {limit_of}")).lasting(lasting).says(
            "the store {{ $labels.store }} of {{ $labels.policy }} is {{ $value | humanizePercentage }} full",
            "Backups stop when it is full.",
            "Give it more room and write that as its `capacity`, or keep less: `seawall plan` shows what expiry would remove.",
        ));
    };
    if written {
        full(limit.severity, format!("> {}", ratio(limit.value)), limit.lasting);
    } else {
        full(limit.severity, format!("> {} < {FULL}", ratio(limit.value)), limit.lasting);
        full(Critical, format!(">= {FULL}"), limit.lasting);
    }
}

fn server(policy: &Policy, alerts: &mut Vec<Alert>) {
    if let Some(limit) = allowed::wal_lag(policy) {
        let since = series(policy, "seawall_wal_waiting_since_timestamp_seconds", "");
        let expression = format!("time() - min by (policy) ({since} > 0) > {}", limit.value.as_secs());
        alerts.push(Alert::new("SeawallLogNotArchived", limit.severity, expression).lasting(limit.lasting).says(
            "written data of {{ $labels.policy }} has not been archived for {{ $value | humanizeDuration }}",
            format!("It may wait {}. What is not archived is lost with the server.", limit.value),
            "Run `seawall wal status` on the database's host: it says what waits and why.",
        ));
    }
    if let Some(limit) = allowed::replication_lag(policy) {
        let lag = series(policy, "seawall_standby_lag_seconds", "");
        let expression = format!("max by (policy, standby) ({lag}) > {}", limit.value.as_secs());
        alerts.push(Alert::new("SeawallStandbyBehind", limit.severity, expression).lasting(limit.lasting).says(
            "the standby {{ $labels.standby }} of {{ $labels.policy }} is {{ $value | humanizeDuration }} behind",
            format!("It may be {} behind.", limit.value),
            "Look at `pg_stat_replication` on the primary, and at the standby's log.",
        ));
    }
    let skew = series(policy, "seawall_clock_skew_seconds", "");
    let badly = 300;
    let mut wrong = |severity: Severity, limits: String| {
        let expression = format!("max by (policy, instance) ({skew}) {limits}");
        alerts.push(Alert::new("SeawallClockWrong", severity, expression).lasting(Duration::from_mins(5)).says(
            "the clocks of {{ $labels.instance }} and of its server are {{ $value | humanizeDuration }} apart",
            "Ages, schedules and retention are reckoned by them; expiry deletes nothing while they are minutes apart.",
            "Mend time synchronisation on that host, for example with `chronyc makestep`.",
        ));
    };
    wrong(Warning, format!("> {} < {badly}", allowed::CLOCK_SKEW.as_secs()));
    wrong(Critical, format!(">= {badly}"));
}

/// A key that expires stops everything; one that nobody has used for long may be one that nobody has any more.
fn keys(policy: &Policy, alerts: &mut Vec<Alert>) {
    if matches!(policy.encryption, Some(Encryption::OpenPgp(_))) {
        let expires = series(policy, "seawall_key_expires_timestamp_seconds", "");
        let (notice, urgent) = (NOTICE_OF_KEYS.as_secs(), URGENT_FOR_KEYS.as_secs());
        for (severity, limits) in [(Warning, format!("<= {notice} > {urgent}")), (Critical, format!("<= {urgent}"))] {
            let expression = format!("min by (policy, recipient) ({expires}) - time() {limits}");
            alerts.push(Alert::new("SeawallKeyExpires", severity, expression).says(
                "the key {{ $labels.recipient }} of {{ $labels.policy }} expires in {{ $value | humanizeDuration }}",
                "From then on nothing is encrypted to it: no backup is taken, and no log is archived.",
                "Let whoever holds it prolong it, and put its new export in the place of the old one.",
            ));
        }
    }
    let Some(within) = policy.file.encryption.as_ref().and_then(|encryption| encryption.proven_within) else { return };
    let opened = series(policy, "seawall_identity_opened_timestamp_seconds", "");
    let expression = format!("time() - max by (policy, recipient) ({opened}) > {}", within.as_secs());
    alerts.push(Alert::new("SeawallIdentityUnused", Warning, expression).says(
        "an identity of {{ $labels.policy }} has opened nothing for {{ $value | humanizeDuration }}",
        format!("Each must open something within {}; this is the one of {{{{ $labels.recipient }}}}.", within),
        "Find it, and open a backup with it: a drill, or `seawall verify --identity FILE`.",
    ));
}

/// What no rule above speaks of, as Seawall itself judges it.
fn rest(policy: &Policy, alerts: &mut Vec<Alert>) {
    if !policy.file.receivers.is_empty() {
        let since = series(policy, "seawall_receiver_failing_since_timestamp_seconds", "");
        let expression = format!("time() - min by (policy, receiver) ({since}) > {}", SILENT.as_secs());
        alerts.push(Alert::new("SeawallMessagesNotDelivered", Critical, expression).says(
            "messages of {{ $labels.policy }} have not reached {{ $labels.receiver }} for {{ $value | humanizeDuration }}",
            "Whoever relies on these messages does not know what is wrong.",
            "`seawall notify test` tries again and says what happens.",
        ));
    }
    // Without a figure that its age is held against, only Seawall itself knows when a backup is late.
    let with_limit = aged(policy).map(|(name, _)| format!("|backup_age:{name}")).collect::<String>();
    let firing = format!("seawall_alert_firing{{{},key!~{}}}", of_policy(policy), literal(&format!("{OWN_RULES}{with_limit}")));
    let mut alert = Alert::new("SeawallAlert", Warning, format!("max by (policy, key, severity) ({firing}) == 1")).says(
        "{{ $labels.key }} of {{ $labels.policy }}",
        "Seawall itself raised this alert, and nobody has taken it upon himself yet.",
        "`seawall status` says what is wrong and what to do; `seawall ack` with the key says that somebody takes care of it.",
    );
    alert.urgency = Urgency::OfSeries;
    alerts.push(alert);
}
