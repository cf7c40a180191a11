//! `seawall metrics`: how policies stand, for Prometheus' node_exporter.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::gather::{self, Looked};
use crate::cli::exit::{Exit, Trouble};
use crate::cli::here::Here;
use crate::cli::terminal::{Colour, print};
use crate::report::{Level, Standing};
use crate::units::{Instant, figure_of};
use crate::world::{clock, files, parallel};

/// Write how policies stand as a text file for node_exporter's textfile collector.
///
/// Reads the record and asks neither a store nor a server. With a directory as `--policy` it is every policy in it. The file is replaced
/// as a whole and may be read by everybody on this host.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall metrics --out /var/lib/prometheus/node-exporter/seawall.prom
  seawall metrics | promtool check metrics")]
pub struct Metrics {
    /// The file; standard output without it. node_exporter reads what ends with `.prom`.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    here: Here,
}

impl Metrics {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let now = clock::now();
        // A policy that cannot be read is a figure as well: the file must never just grow old.
        let text = text(&gather::all(&self.here, colour, now), now);
        match &self.out {
            None => print(&text)?,
            Some(path) => files::publish(path, text.as_bytes())
                .map_err(|fault| Trouble::failed(format!("`{}`: {}", path.display(), fault.message), fault.hint))?,
        }
        Ok(Exit::Done)
    }
}

/// What has quantiles: Prometheus wants it to be called so.
const SUMMARY: &str = "seawall_recovery_time_predicted_seconds";

/// What each metric is, in the order in which they are written. All others are gauges: a record can be put back to an older copy.
const ABOUT: &[(&str, &str)] = &[
    ("seawall_info", "The version of Seawall that wrote this."),
    ("seawall_metrics_timestamp_seconds", "When this was written."),
    ("seawall_policy_level", "How the policy stands: 0 all is well, 1 something is to be looked at, 2 something is critical."),
    ("seawall_policy_unknown", "Whether it is not known how the policy stands: the policy or its catalog cannot be read."),
    ("seawall_watch_last_timestamp_seconds", "When `seawall watch` last looked at everything."),
    ("seawall_backup_last_success_timestamp_seconds", "When the job's newest backup that is still there was complete."),
    ("seawall_backup_last_size_bytes", "How large the data of the job's last good backup was."),
    ("seawall_backup_last_stored_bytes", "How much of the store the job's last good backup took."),
    ("seawall_backup_last_duration_seconds", "How long the job's last good backup took."),
    ("seawall_job_last_success_timestamp_seconds", "When the job last succeeded."),
    ("seawall_job_last_run_timestamp_seconds", "When the job was last begun."),
    ("seawall_job_failures_in_a_row", "How often the job has failed since it last succeeded."),
    ("seawall_job_running", "Whether the job is running."),
    ("seawall_job_overdue", "Whether the job should have succeeded again long ago."),
    (
        "seawall_safe_until_timestamp_seconds",
        "What was written before this moment would survive the loss of the server, as far as was seen.",
    ),
    ("seawall_objective_rpo_seconds", "How much may be lost by the policy."),
    (
        "seawall_recovery_point_seconds",
        "How much of the written data would have been lost at the last look; a thousand years is everything.",
    ),
    ("seawall_recovery_point_objective_seconds", "How much may be lost by the policy."),
    ("seawall_scenario_recovery_point_seconds", "How much of the written data would have been lost in the scenario at the last look."),
    ("seawall_scenario_recovery_point_objective_seconds", "How much may be lost in the scenario by the policy."),
    (SUMMARY, "How long a recovery takes by what drills and recoveries measured: usually (quantile 0.5), and with careful figures (0.95)."),
    ("seawall_recovery_time_objective_seconds", "How long a recovery may take by the policy."),
    ("seawall_restore_rate_bytes_per_second", "How fast a backup is restored by what was measured, at the slow end."),
    ("seawall_replay_rate_bytes_per_second", "How fast log is replayed by what was measured, at the slow end."),
    ("seawall_drill_last_passed_timestamp_seconds", "When the drill last passed."),
    ("seawall_drill_last_ended_timestamp_seconds", "When the drill last ended, well or badly."),
    ("seawall_drill_last_outcome", "Whether the last run of the drill passed."),
    ("seawall_drill_recovery_seconds", "How long the last recovery of the drill took."),
    (
        "seawall_drill_last_phase_duration_seconds",
        "How long each part of the drill's last run took; fetch, open and write go on beside one another within files.",
    ),
    ("seawall_drill_tier_usable_seconds", "How long it took in the drill's last run until the tier of data was usable."),
    ("seawall_identity_opened_timestamp_seconds", "When the recovery identity of this public key last opened something."),
    (
        "seawall_key_expires_timestamp_seconds",
        "When this public key of OpenPGP can no longer be encrypted to; not there where it does not expire.",
    ),
    ("seawall_wal_waiting_since_timestamp_seconds", "Since when the oldest log waits that is not archived; 0 where none does."),
    ("seawall_clock_skew_seconds", "By how much this host's clock and the server's differ."),
    ("seawall_standby_lag_seconds", "How far the standby is behind."),
    ("seawall_store_up", "Whether the store answered at the last look."),
    ("seawall_store_used_bytes", "How much of the store is in use."),
    ("seawall_store_capacity_bytes", "How much the store holds by the policy."),
    (
        "seawall_copy_behind_seconds",
        "How long the oldest thing that belongs in the store as a second copy has been missing; 0 where nothing is.",
    ),
    ("seawall_runs_succeeded_ratio", "The share of the last 30 days' runs that succeeded."),
    ("seawall_alert_firing", "An alert: 1, or 0 where somebody takes care of it."),
    ("seawall_undelivered_messages", "Messages that have not arrived."),
    ("seawall_receiver_failing_since_timestamp_seconds", "Since when messages do not reach the receiver."),
];

/// The lines of each metric.
type Samples = BTreeMap<&'static str, String>;

/// So many policies' lines are written at once by each thread.
const AT_ONCE: usize = 100;

/// All of them, in the format of Prometheus.
pub fn text(all: &[Looked], now: Instant) -> String {
    let mut about_all = Samples::new();
    adding(&mut about_all)("seawall_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    adding(&mut about_all)("seawall_metrics_timestamp_seconds", &[], figure_of(now));
    let some: Vec<&[Looked]> = all.chunks(AT_ONCE).collect();
    let of_some = parallel::map(&some, &|some| {
        let mut samples = Samples::new();
        some.iter().for_each(|looked| of_policy(looked, &mut adding(&mut samples)));
        samples
    });
    let parts: Vec<Samples> = std::iter::once(about_all).chain(of_some).collect();
    let mut text = String::with_capacity(parts.iter().flat_map(Samples::values).map(String::len).sum::<usize>() + (16 << 10));
    for (name, help) in ABOUT {
        let mut lines = parts.iter().filter_map(|part| part.get(name)).peekable();
        if lines.peek().is_some() {
            let kind = if *name == SUMMARY { "summary" } else { "gauge" };
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            text.extend(lines.map(String::as_str));
        }
    }
    text
}

fn adding(samples: &mut Samples) -> impl FnMut(&'static str, &[(&str, &str)], f64) {
    |name, labels, value| {
        let lines = samples.entry(name).or_default();
        lines.push_str(name);
        write_labels(lines, labels);
        let _ = writeln!(lines, " {value}");
    }
}

fn of_policy(looked: &Looked, add: &mut impl FnMut(&'static str, &[(&str, &str)], f64)) {
    let standing = &looked.standing;
    let policy = ("policy", standing.policy.as_str());
    let level = match standing.level {
        Level::Well => 0.0,
        Level::Warning => 1.0,
        Level::Critical => 2.0,
    };
    add("seawall_policy_level", &[policy], level);
    add("seawall_policy_unknown", &[policy], f64::from(u8::from(standing.unknown.is_some())));
    if looked.policy.is_none() {
        return;
    }
    let mut moment = |name: &'static str, labels: &[(&str, &str)], at: Option<Instant>| {
        if let Some(at) = at {
            add(name, labels, figure_of(at));
        }
    };
    moment("seawall_watch_last_timestamp_seconds", &[policy], standing.watched);
    moment("seawall_safe_until_timestamp_seconds", &[policy], standing.safe_until);
    for receiver in &standing.receivers {
        let labels = [policy, ("receiver", receiver.receiver.as_str())];
        moment("seawall_receiver_failing_since_timestamp_seconds", &labels, Some(receiver.since));
    }
    jobs(standing, add);
    stores(standing, add);
    recovery(standing, add);
    if standing.wal_known {
        add("seawall_wal_waiting_since_timestamp_seconds", &[policy], standing.wal_waiting_since.map_or(0.0, figure_of));
    }
    if let Some(rpo) = standing.rpo {
        add("seawall_objective_rpo_seconds", &[policy], rpo.as_secs() as f64);
        add("seawall_recovery_point_objective_seconds", &[policy], rpo.as_secs() as f64);
    }
    if let Some(skew) = standing.clock_skew_seconds {
        add("seawall_clock_skew_seconds", &[policy], skew as f64);
    }
    for (standby, lag) in looked.record.measured.all_seen("standby_lag_seconds") {
        add("seawall_standby_lag_seconds", &[policy, ("standby", standby)], lag);
    }
    if standing.runs.all > 0 {
        add("seawall_runs_succeeded_ratio", &[policy], standing.runs.succeeded as f64 / standing.runs.all as f64);
    }
    for firing in &standing.firing {
        let severity = format!("{:?}", firing.severity).to_lowercase();
        let labels = [policy, ("key", firing.key.as_str()), ("severity", severity.as_str())];
        add("seawall_alert_firing", &labels, f64::from(u8::from(firing.acknowledged_by.is_none())));
    }
    add("seawall_undelivered_messages", &[policy], standing.undelivered as f64);
}

fn jobs(standing: &Standing, add: &mut impl FnMut(&'static str, &[(&str, &str)], f64)) {
    for job in &standing.jobs {
        // Prometheus gives every target a label `job` of its own, and would call this one `exported_job`.
        let labels = [("policy", standing.policy.as_str()), ("job_name", job.job.as_str())];
        let mut maybe = |name: &'static str, value: Option<f64>| {
            if let Some(value) = value {
                add(name, &labels, value);
            }
        };
        if job.job.starts_with("backups.") {
            maybe("seawall_backup_last_success_timestamp_seconds", job.newest_backup.map(figure_of));
            maybe("seawall_backup_last_size_bytes", job.bytes.map(|bytes| bytes as f64));
            maybe("seawall_backup_last_stored_bytes", job.stored_bytes.map(|bytes| bytes as f64));
            maybe("seawall_backup_last_duration_seconds", job.took_seconds);
        }
        maybe("seawall_job_last_success_timestamp_seconds", job.last_succeeded.map(figure_of));
        maybe("seawall_job_last_run_timestamp_seconds", job.last_started.map(figure_of));
        maybe("seawall_job_failures_in_a_row", Some(f64::from(job.failures_in_a_row)));
        maybe("seawall_job_running", Some(f64::from(u8::from(job.running_since.is_some()))));
        maybe("seawall_job_overdue", Some(f64::from(u8::from(job.overdue))));
    }
}

fn stores(standing: &Standing, add: &mut impl FnMut(&'static str, &[(&str, &str)], f64)) {
    for store in &standing.stores {
        let labels = [("policy", standing.policy.as_str()), ("store", store.store.as_str())];
        let mut maybe = |name: &'static str, value: Option<f64>| {
            if let Some(value) = value {
                add(name, &labels, value);
            }
        };
        maybe("seawall_store_up", store.answers.map(|answers| f64::from(u8::from(answers))));
        maybe("seawall_store_used_bytes", store.used_bytes.map(|bytes| bytes as f64));
        maybe("seawall_copy_behind_seconds", store.copy_behind_seconds.map(|behind| behind as f64));
        maybe("seawall_store_capacity_bytes", store.capacity_bytes.map(|bytes| bytes as f64));
    }
}

/// What was measured of recoveries; of what never was there is no figure.
fn recovery(standing: &Standing, add: &mut impl FnMut(&'static str, &[(&str, &str)], f64)) {
    let policy = ("policy", standing.policy.as_str());
    let recovery = &standing.recovery;
    let mut of_policy = |name: &'static str, value: Option<u64>| {
        if let Some(value) = value {
            add(name, &[policy], value as f64);
        }
    };
    of_policy("seawall_recovery_point_seconds", recovery.lost_seconds);
    of_policy("seawall_restore_rate_bytes_per_second", recovery.restore_bytes_per_second);
    of_policy("seawall_replay_rate_bytes_per_second", recovery.replay_bytes_per_second);
    for point in &recovery.points {
        let labels = [policy, ("scenario", point.scenario.as_str())];
        add("seawall_scenario_recovery_point_objective_seconds", &labels, point.promised.as_secs() as f64);
        if let Some(lost) = point.lost_seconds {
            add("seawall_scenario_recovery_point_seconds", &labels, lost as f64);
        }
    }
    for time in &recovery.times {
        let scenario = ("scenario", time.scenario.as_str());
        for (quantile, seconds) in [("0.5", time.p50_seconds), ("0.95", time.p95_seconds)] {
            if let Some(seconds) = seconds {
                add(SUMMARY, &[policy, scenario, ("quantile", quantile)], seconds as f64);
            }
        }
        if let Some(promised) = time.promised {
            add("seawall_recovery_time_objective_seconds", &[policy, scenario], promised.as_secs() as f64);
        }
    }
    for drill in &recovery.drills {
        let labels = [policy, ("drill", drill.drill.as_str())];
        add("seawall_drill_last_ended_timestamp_seconds", &labels, figure_of(drill.last_ended));
        add("seawall_drill_last_outcome", &labels, f64::from(u8::from(drill.passed)));
        if let Some(passed) = drill.last_passed {
            add("seawall_drill_last_passed_timestamp_seconds", &labels, figure_of(passed));
        }
        if let Some(seconds) = drill.recovery_seconds {
            add("seawall_drill_recovery_seconds", &labels, seconds);
        }
        for one in &drill.phases {
            add("seawall_drill_last_phase_duration_seconds", &[policy, labels[1], ("phase", one.phase.as_str())], one.seconds);
        }
        for one in &drill.tiers {
            add("seawall_drill_tier_usable_seconds", &[policy, labels[1], ("tier", one.tier.as_str())], one.seconds);
        }
    }
    for identity in &recovery.identities {
        let labels = [policy, ("recipient", identity.recipient.as_str())];
        if let Some(opened) = identity.opened {
            add("seawall_identity_opened_timestamp_seconds", &labels, figure_of(opened));
        }
        if let Some(expires) = identity.expires {
            add("seawall_key_expires_timestamp_seconds", &labels, figure_of(expires));
        }
    }
}

/// `{policy="shop",job_name="backups.nightly"}`
fn write_labels(line: &mut String, labels: &[(&str, &str)]) {
    for (at, (name, value)) in labels.iter().enumerate() {
        line.push(if at == 0 { '{' } else { ',' });
        line.push_str(name);
        line.push_str("=\"");
        write_escaped(line, value);
        line.push('"');
    }
    if !labels.is_empty() {
        line.push('}');
    }
}

fn write_escaped(line: &mut String, value: &str) {
    let mut rest = value;
    while let Some((plain, other)) = rest.find(['\\', '"', '\n']).map(|at| rest.split_at(at)) {
        line.push_str(plain);
        line.push('\\');
        line.push(if other.starts_with('\n') { 'n' } else { char::from(other.as_bytes()[0]) });
        rest = &other[1..];
    }
    line.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_hold_whatever_somebody_wrote() {
        let written = |labels: &[(&str, &str)]| {
            let mut line = String::new();
            write_labels(&mut line, labels);
            line
        };
        assert_eq!(written(&[("policy", "a\"b\\c\nd")]), r#"{policy="a\"b\\c\nd"}"#);
        assert_eq!(written(&[("policy", "é"), ("key", "")]), r#"{policy="é",key=""}"#);
        assert_eq!(written(&[]), "");
    }

    #[test]
    fn each_metric_is_described_once() {
        let names: std::collections::BTreeSet<_> = ABOUT.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), ABOUT.len());
    }
}
