//! A dashboard for Grafana: how policies stand, from the figures of `seawall metrics` and the recording rules of `seawall emit prometheus`.
//!
//! It shows whatever policies Prometheus knows, so it is the same for everybody and never out of date.

use serde_json::{Value, json};

/// Grafana moves older dashboards up to its own version by itself.
const SCHEMA_VERSION: u32 = 42;
/// A dashboard is so many columns wide.
const COLUMNS: u32 = 24;

/// The dashboard as JSON.
pub fn grafana() -> String {
    let mut panels = Panels::default();
    now(&mut panels);
    objectives(&mut panels);
    backups(&mut panels);
    drills(&mut panels);
    log(&mut panels);
    stores(&mut panels);
    alerts(&mut panels);
    let dashboard = json!({
        "title": "Seawall",
        "uid": "seawall-overview",
        "description": "Whether databases can be recovered: objectives against what was measured, backups, drills, stores, alerts.",
        "tags": ["seawall", "postgresql", "backup"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": true,
        "graphTooltip": 1,
        "refresh": "1m",
        "time": { "from": "now-7d", "to": "now" },
        "timezone": "browser",
        "annotations": { "list": [] },
        "links": [],
        "templating": { "list": [
            { "name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "refresh": 1, "options": [] },
            {
                "name": "policy", "label": "Policy", "type": "query", "datasource": source(), "refresh": 2, "sort": 1,
                "query": "label_values(seawall_policy_level, policy)", "multi": true, "includeAll": true, "allValue": ".*",
                "current": { "text": ["All"], "value": ["$__all"], "selected": true }, "options": [],
            },
        ] },
        "panels": panels.done,
    });
    let mut text = serde_json::to_string_pretty(&dashboard).expect("a dashboard is JSON");
    text.push('\n');
    text
}

fn source() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

/// What Grafana calls the units of these figures.
const SECONDS: &str = "s";
const BYTES: &str = "decbytes";
const SHARE: &str = "percentunit";
const RATE: &str = "decBps";
const COUNT: &str = "short";

/// An expression, and what its lines are called.
type Query = (&'static str, &'static str);

/// Panels from left to right, then downwards.
#[derive(Default)]
struct Panels {
    done: Vec<Value>,
    x: u32,
    y: u32,
    /// How high the panels of this line are.
    height: u32,
}

impl Panels {
    fn row(&mut self, title: &str) {
        self.y += self.height;
        (self.x, self.height) = (0, 0);
        let place = json!({ "x": 0, "y": self.y, "w": COLUMNS, "h": 1 });
        self.done.push(json!({ "id": self.id(), "type": "row", "title": title, "collapsed": false, "gridPos": place, "panels": [] }));
        self.y += 1;
    }

    fn id(&self) -> usize {
        self.done.len() + 1
    }

    fn put(&mut self, (width, height): (u32, u32), mut panel: Value) {
        if self.x + width > COLUMNS {
            self.y += self.height;
            (self.x, self.height) = (0, 0);
        }
        panel["id"] = json!(self.id());
        panel["gridPos"] = json!({ "x": self.x, "y": self.y, "w": width, "h": height });
        panel["datasource"] = source();
        self.x += width;
        self.height = self.height.max(height);
        self.done.push(panel);
    }

    /// One figure in large letters.
    fn figure(&mut self, title: &str, about: &str, unit: &str, query: Query, more: Value) {
        let mut defaults = json!({ "unit": unit, "mappings": [], "noValue": "unknown", "thresholds": steps(&[("text", None)]) });
        if let (Some(defaults), Value::Object(more)) = (defaults.as_object_mut(), more) {
            defaults.extend(more);
        }
        let panel = json!({
            "type": "stat", "title": title, "description": about, "targets": targets(&[query], true),
            "fieldConfig": { "defaults": defaults, "overrides": [] },
            "options": {
                "colorMode": "value", "graphMode": "none", "justifyMode": "auto", "orientation": "auto", "textMode": "auto",
                "reduceOptions": { "calcs": ["lastNotNull"], "fields": "", "values": false },
            },
        });
        self.put((4, 4), panel);
    }

    /// Parts of a whole over time, one above the other; each stays until the next is known.
    fn stacked(&mut self, title: &str, about: &str, unit: &str, query: Query) {
        let panel = json!({
            "type": "timeseries", "title": title, "description": about, "targets": targets(&[query], false),
            "fieldConfig": {
                "defaults": {
                    "unit": unit, "min": 0, "mappings": [], "thresholds": steps(&[("green", None)]), "color": { "mode": "palette-classic" },
                    "custom": {
                        "drawStyle": "line", "lineInterpolation": "stepAfter", "lineWidth": 1, "fillOpacity": 60, "showPoints": "never",
                        "spanNulls": false, "stacking": { "mode": "normal", "group": "A" },
                    },
                },
                "overrides": [],
            },
            "options": {
                "legend": { "displayMode": "table", "placement": "bottom", "showLegend": true, "calcs": ["lastNotNull", "max"] },
                "tooltip": { "mode": "multi", "sort": "none" },
            },
        });
        self.put((12, 8), panel);
    }

    /// Lines over time. What is called `limit` or `objective` is dashed and red.
    fn lines(&mut self, title: &str, about: &str, unit: &str, queries: &[Query]) {
        let dashed = json!([
            { "id": "custom.lineStyle", "value": { "fill": "dash", "dash": [8, 8] } },
            { "id": "color", "value": { "mode": "fixed", "fixedColor": "red" } },
            { "id": "custom.fillOpacity", "value": 0 },
        ]);
        let panel = json!({
            "type": "timeseries", "title": title, "description": about, "targets": targets(queries, false),
            "fieldConfig": {
                "defaults": {
                    "unit": unit, "min": 0, "mappings": [], "thresholds": steps(&[("green", None)]), "color": { "mode": "palette-classic" },
                    "custom": { "drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "showPoints": "auto", "spanNulls": false },
                },
                "overrides": [{ "matcher": { "id": "byRegexp", "options": ".*(limit|objective)$" }, "properties": dashed }],
            },
            "options": {
                "legend": { "displayMode": "table", "placement": "bottom", "showLegend": true, "calcs": ["lastNotNull", "max"] },
                "tooltip": { "mode": "multi", "sort": "desc" },
            },
        });
        self.put((12, 8), panel);
    }

    /// What is so now, a line for each.
    fn table(&mut self, title: &str, about: &str, unit: &str, query: Query) {
        let hidden =
            json!({ "excludeByName": { "Time": true, "__name__": true, "instance": true }, "indexByName": {}, "renameByName": {} });
        let panel = json!({
            "type": "table", "title": title, "description": about, "targets": targets(&[query], true),
            "fieldConfig": {
                "defaults": { "unit": unit, "mappings": [], "thresholds": steps(&[("text", None)]), "custom": { "align": "auto" } },
                "overrides": [],
            },
            "options": { "showHeader": true, "cellHeight": "sm" },
            "transformations": [{ "id": "organize", "options": hidden }],
        });
        self.put((12, 8), panel);
    }
}

fn targets(queries: &[Query], is_instant: bool) -> Value {
    let targets = ('A'..='Z').zip(queries).map(|(id, (expression, legend))| {
        json!({
            "refId": id.to_string(), "datasource": source(), "expr": expression, "legendFormat": legend,
            "instant": is_instant, "range": !is_instant, "format": if is_instant { "table" } else { "time_series" },
        })
    });
    targets.collect()
}

/// Colours from values on; the first from the beginning.
fn steps(steps: &[(&str, Option<f64>)]) -> Value {
    let steps: Vec<Value> = steps.iter().map(|(colour, from)| json!({ "color": colour, "value": from })).collect();
    json!({ "mode": "absolute", "steps": steps })
}

/// Green, then yellow or red.
fn coloured(steps_at: &[(&str, Option<f64>)]) -> Value {
    json!({ "thresholds": steps(steps_at), "color": { "mode": "thresholds" } })
}

fn now(panels: &mut Panels) {
    panels.row("Now");
    let mut level = coloured(&[("green", None), ("orange", Some(1.0)), ("red", Some(2.0))]);
    level["mappings"] = json!([{ "type": "value", "options": {
        "0": { "index": 0, "text": "well", "color": "green" },
        "1": { "index": 1, "text": "look", "color": "orange" },
        "2": { "index": 2, "text": "critical", "color": "red" },
    } }]);
    panels.figure("Worst policy", "The worst of what is shown.", COUNT, ("max(seawall_policy_level{policy=~\"$policy\"})", ""), level);
    panels.figure(
        "Of the RPO, used",
        "What would be lost now, as a share of what may be lost: the policy that is nearest to its objective.",
        SHARE,
        ("max(policy:seawall_recovery_point_to_objective:ratio{policy=~\"$policy\"})", ""),
        coloured(&[("green", None), ("orange", Some(0.8)), ("red", Some(1.0))]),
    );
    panels.figure(
        "Of the RTO, used",
        "What 19 of 20 recoveries would take at most, as a share of what they may take: the scenario that is nearest to its objective.",
        SHARE,
        ("max(policy_scenario:seawall_recovery_time_to_objective:ratio{policy=~\"$policy\"})", ""),
        coloured(&[("green", None), ("orange", Some(0.8)), ("red", Some(1.0))]),
    );
    panels.figure(
        "Alerts",
        "Those of Seawall that nobody takes care of.",
        COUNT,
        ("sum(seawall_alert_firing{policy=~\"$policy\"}) or vector(0)", ""),
        coloured(&[("green", None), ("red", Some(1.0))]),
    );
    panels.figure(
        "Last watched",
        "How long ago Seawall looked at the policy that it has not looked at for longest.",
        SECONDS,
        ("max(time() - max by (policy) (seawall_watch_last_timestamp_seconds{policy=~\"$policy\"}))", ""),
        coloured(&[("green", None), ("red", Some(900.0))]),
    );
    panels.figure(
        "Runs that succeeded",
        "Of the last 30 days; the worst policy.",
        SHARE,
        ("min(seawall_runs_succeeded_ratio{policy=~\"$policy\"})", ""),
        coloured(&[("red", None), ("orange", Some(0.95)), ("green", Some(0.99))]),
    );
}

fn objectives(panels: &mut Panels) {
    panels.row("Objectives against what was measured");
    panels.lines(
        "What would be lost now (RPO)",
        "Written data that is nowhere but on the server, as time.",
        SECONDS,
        &[
            ("max by (policy) (seawall_recovery_point_seconds{policy=~\"$policy\"})", "{{policy}}"),
            ("max by (policy) (seawall_recovery_point_objective_seconds{policy=~\"$policy\"})", "{{policy}} objective"),
        ],
    );
    panels.lines(
        "How long a recovery would take (RTO)",
        "By what drills and restores measured: half of them are shorter than p50, 19 of 20 shorter than p95.",
        SECONDS,
        &[
            (
                "max by (policy, scenario) (seawall_recovery_time_predicted_seconds{policy=~\"$policy\",quantile=\"0.5\"})",
                "{{policy}} {{scenario}} p50",
            ),
            (
                "max by (policy, scenario) (seawall_recovery_time_predicted_seconds{policy=~\"$policy\",quantile=\"0.95\"})",
                "{{policy}} {{scenario}} p95",
            ),
            (
                "max by (policy, scenario) (seawall_recovery_time_objective_seconds{policy=~\"$policy\"})",
                "{{policy}} {{scenario}} objective",
            ),
        ],
    );
}

fn backups(panels: &mut Panels) {
    panels.row("Backups");
    panels.lines(
        "Age of the newest backup",
        "",
        SECONDS,
        &[
            ("policy_job_name:seawall_backup_age_seconds:newest{policy=~\"$policy\"}", "{{policy}} {{job_name}}"),
            ("policy_job_name:seawall_backup_age_seconds:limit{policy=~\"$policy\"}", "{{policy}} {{job_name}} limit"),
        ],
    );
    panels.lines(
        "How long a backup took",
        "",
        SECONDS,
        &[("max by (policy, job_name) (seawall_backup_last_duration_seconds{policy=~\"$policy\"})", "{{policy}} {{job_name}}")],
    );
    panels.lines(
        "Size of the data",
        "What the last good backup read.",
        BYTES,
        &[("max by (policy, job_name) (seawall_backup_last_size_bytes{policy=~\"$policy\"})", "{{policy}} {{job_name}}")],
    );
    panels.lines(
        "Size in the store",
        "What the last good backup takes there.",
        BYTES,
        &[("max by (policy, job_name) (seawall_backup_last_stored_bytes{policy=~\"$policy\"})", "{{policy}} {{job_name}}")],
    );
    panels.table(
        "Jobs that fail",
        "How often in a row.",
        COUNT,
        ("max by (policy, job_name) (seawall_job_failures_in_a_row{policy=~\"$policy\"}) > 0", ""),
    );
    panels.table("Jobs that are overdue", "", COUNT, ("min by (policy, job_name) (seawall_job_overdue{policy=~\"$policy\"}) > 0", ""));
}

fn drills(panels: &mut Panels) {
    panels.row("Drills");
    panels.lines(
        "How long the recovery of a drill took",
        "Fetching, restoring and replaying.",
        SECONDS,
        &[
            ("max by (policy, drill) (seawall_drill_recovery_seconds{policy=~\"$policy\"})", "{{policy}} {{drill}}"),
            ("policy_drill:seawall_drill_recovery_seconds:limit{policy=~\"$policy\"}", "{{policy}} {{drill}} limit"),
        ],
    );
    panels.stacked(
        "The parts of a drill",
        "Of the last run of each drill: from choosing the backup over its files and the log to the expectations and the end of the copy.",
        SECONDS,
        (
            "max by (policy, drill, phase) (seawall_drill_last_phase_duration_seconds{policy=~\"$policy\",phase!~\"fetch|open|write\"})",
            "{{policy}} {{drill}} {{phase}}",
        ),
    );
    panels.lines(
        "What a drill's files wait for",
        "Fetching, decrypting and expanding, writing: they go on beside one another, each as long as all its threads were busy.",
        SECONDS,
        &[(
            "max by (policy, drill, phase) (seawall_drill_last_phase_duration_seconds{policy=~\"$policy\",phase=~\"fetch|open|write\"})",
            "{{policy}} {{drill}} {{phase}}",
        )],
    );
    panels.lines(
        "How fast data come back",
        "Restoring a backup, and replaying the log on it.",
        RATE,
        &[
            ("max by (policy) (seawall_restore_rate_bytes_per_second{policy=~\"$policy\"})", "{{policy}} restore"),
            ("max by (policy) (seawall_replay_rate_bytes_per_second{policy=~\"$policy\"})", "{{policy}} replay"),
        ],
    );
    panels.lines(
        "Age of the newest drill that passed",
        "",
        SECONDS,
        &[("policy_drill:seawall_drill_passed_age_seconds:newest{policy=~\"$policy\"}", "{{policy}} {{drill}}")],
    );
    panels.table(
        "Drills whose last run did not pass",
        "",
        COUNT,
        ("min by (policy, drill) (seawall_drill_last_outcome{policy=~\"$policy\"}) == 0", ""),
    );
    panels.table(
        "Since when an identity has opened nothing",
        "A key that nobody has used for long may be one that nobody has any more.",
        SECONDS,
        ("time() - max by (policy, recipient) (seawall_identity_opened_timestamp_seconds{policy=~\"$policy\"})", ""),
    );
    panels.table(
        "How long keys of OpenPGP can still be encrypted to",
        "When a recipient's key expires, no backup is taken any more, and no log is archived.",
        SECONDS,
        ("min by (policy, recipient) (seawall_key_expires_timestamp_seconds{policy=~\"$policy\"}) - time()", ""),
    );
    panels.table(
        "Since when a drill has ended",
        "Well or badly.",
        SECONDS,
        ("time() - max by (policy, drill) (seawall_drill_last_ended_timestamp_seconds{policy=~\"$policy\"})", ""),
    );
}

fn log(panels: &mut Panels) {
    panels.row("The write-ahead log");
    panels.lines(
        "How long written data wait to be archived",
        "",
        SECONDS,
        &[
            ("policy:seawall_wal_waiting_seconds:longest{policy=~\"$policy\"}", "{{policy}}"),
            ("policy:seawall_wal_waiting_seconds:limit{policy=~\"$policy\"}", "{{policy}} limit"),
        ],
    );
    panels.lines(
        "How far standbys are behind",
        "",
        SECONDS,
        &[("max by (policy, standby) (seawall_standby_lag_seconds{policy=~\"$policy\"})", "{{policy}} {{standby}}")],
    );
}

fn stores(panels: &mut Panels) {
    panels.row("Stores");
    panels.lines(
        "How full a store is",
        "",
        SHARE,
        &[
            ("policy_store:seawall_store_used:ratio{policy=~\"$policy\"}", "{{policy}} {{store}}"),
            ("policy_store:seawall_store_used:limit{policy=~\"$policy\"}", "{{policy}} {{store}} limit"),
        ],
    );
    panels.lines(
        "What is in use",
        "",
        BYTES,
        &[
            ("max by (policy, store) (seawall_store_used_bytes{policy=~\"$policy\"})", "{{policy}} {{store}}"),
            ("max by (policy, store) (seawall_store_capacity_bytes{policy=~\"$policy\"})", "{{policy}} {{store}} limit"),
        ],
    );
    panels.table("Stores that do not answer", "", COUNT, ("min by (policy, store) (seawall_store_up{policy=~\"$policy\"}) == 0", ""));
}

fn alerts(panels: &mut Panels) {
    panels.row("Alerts");
    panels.table(
        "What is wrong by Seawall's own judgement",
        "1: nobody takes care of it. 0: somebody does.",
        COUNT,
        ("max by (policy, key, severity) (seawall_alert_firing{policy=~\"$policy\"})", ""),
    );
    panels.lines(
        "Messages that have not arrived",
        "",
        COUNT,
        &[("max by (policy) (seawall_undelivered_messages{policy=~\"$policy\"})", "{{policy}}")],
    );
}
