//! The rules and the dashboard, judged by Prometheus' own tool and by Grafana's own types.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::super::cli::{Room, golden_at, in_repository};
use super::units::steady;

/// A policy with every limit there is.
const SHOP: &str = include_str!("shop.yaml");

/// An alert, and figures at its edge, beyond it, and well again.
struct Case {
    alert: &'static str,
    severity: &'static str,
    series: Vec<(String, String)>,
    /// Steps after which nothing fires, it does, and nothing does again.
    moments: [u64; 3],
    step: Step,
}

/// How far figures and judgements lie apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Minute,
    /// For what takes weeks.
    Hour,
}

impl Step {
    fn seconds(self) -> u64 {
        if self == Step::Minute { 60 } else { 3_600 }
    }
}

/// A gauge: 10 minutes at the edge, an hour beyond it, then well. The alert waits for some minutes.
fn gauge(alert: &'static str, severity: &'static str, series: &str, [edge, beyond, well]: [f64; 3], waits: u64) -> Case {
    let values = format!("{edge}+0x9 {beyond}+0x59 {well}+0x60");
    // What waits is still quiet just before its time.
    Case { alert, severity, series: vec![(of_shop(series), values)], moments: [9 + waits, 10 + waits, 71], step: Step::Minute }
}

/// A moment at the beginning of time, which grows old, until something newer is seen. Time is 0 in the beginning.
fn moment(alert: &'static str, severity: &'static str, series: &str, (limit, step): (u64, Step), waits: u64) -> Case {
    let fires = limit + 1 + waits;
    let values = format!("0+0x{} {}+0x5", fires + 1, (fires + 2) * step.seconds());
    Case { alert, severity, series: vec![(of_shop(series), values)], moments: [limit + waits, fires, fires + 3], step }
}

/// `name{label="x"}` with the policy's label, or as it is where it has none.
fn of_shop(series: &str) -> String {
    match series.split_once('{') {
        Some((name, labels)) => format!("{name}{{policy=\"shop\",{labels}"),
        None if series == "seawall_metrics_timestamp_seconds" => format!("{series}{{job=\"node\",instance=\"db-1\"}}"),
        None => format!("{series}{{policy=\"shop\",instance=\"db-1\"}}"),
    }
}

fn cases() -> Vec<Case> {
    const CRITICAL: &str = "critical";
    const WARNING: &str = "warning";
    let nightly = "seawall_backup_last_success_timestamp_seconds{job_name=\"backups.nightly\"}";
    let predicted =
        |quantile: &str| of_shop(&format!("seawall_recovery_time_predicted_seconds{{scenario=\"server-loss\",quantile=\"{quantile}\"}}"));
    let objective = || (of_shop("seawall_recovery_time_objective_seconds{scenario=\"server-loss\"}"), "14400+0x200".to_owned());
    let level = || (of_shop("seawall_policy_level"), "0+0x2000".to_owned());
    let mut cases = vec![
        moment("SeawallMetricsStale", CRITICAL, "seawall_metrics_timestamp_seconds", (15, Step::Minute), 0),
        gauge("SeawallPolicyUnknown", CRITICAL, "seawall_policy_unknown", [0.0, 1.0, 0.0], 5),
        moment("SeawallNotWatched", CRITICAL, "seawall_watch_last_timestamp_seconds", (15, Step::Minute), 0),
        gauge("SeawallJobOverdue", CRITICAL, "seawall_job_overdue{job_name=\"backups.nightly\"}", [0.0, 1.0, 0.0], 0),
        gauge("SeawallJobOverdue", WARNING, "seawall_job_overdue{job_name=\"verify.weekly\"}", [0.0, 1.0, 0.0], 0),
        gauge("SeawallDrillOverdue", WARNING, "seawall_job_overdue{job_name=\"drills.weekly\"}", [0.0, 1.0, 0.0], 0),
        gauge("SeawallJobFailing", CRITICAL, "seawall_job_failures_in_a_row{job_name=\"verify.weekly\"}", [0.0, 1.0, 0.0], 0),
        gauge("SeawallJobFailing", WARNING, "seawall_job_failures_in_a_row{job_name=\"expire\"}", [0.0, 2.0, 0.0], 0),
        gauge("SeawallRunsFail", WARNING, "seawall_runs_succeeded_ratio", [0.99, 0.989, 1.0], 0),
        moment("SeawallBackupTooOld", CRITICAL, nightly, (25 * 60, Step::Minute), 5),
        gauge("SeawallDrillFailed", CRITICAL, "seawall_drill_last_outcome{drill=\"weekly\"}", [1.0, 0.0, 1.0], 0),
        gauge("SeawallDrillTooSlow", WARNING, "seawall_drill_recovery_seconds{drill=\"weekly\"}", [7200.0, 7201.0, 3600.0], 0),
        moment("SeawallDrillTooOld", WARNING, "seawall_drill_last_passed_timestamp_seconds{drill=\"weekly\"}", (35 * 24, Step::Hour), 0),
        gauge("SeawallStoreDown", CRITICAL, "seawall_store_up{store=\"main\"}", [1.0, 0.0, 1.0], 10),
        gauge("SeawallStoreDown", WARNING, "seawall_store_up{store=\"spare\"}", [1.0, 0.0, 1.0], 10),
        gauge("SeawallStandbyBehind", WARNING, "seawall_standby_lag_seconds{standby=\"db-2\"}", [300.0, 301.0, 0.0], 2),
        gauge("SeawallClockWrong", WARNING, "seawall_clock_skew_seconds", [60.0, 61.0, 0.0], 5),
        gauge("SeawallClockWrong", CRITICAL, "seawall_clock_skew_seconds", [299.0, 300.0, 0.0], 5),
        moment(
            "SeawallIdentityUnused",
            WARNING,
            "seawall_identity_opened_timestamp_seconds{recipient=\"age1a0l\"}",
            (30 * 24, Step::Hour),
            0,
        ),
        gauge("SeawallAlert", WARNING, "seawall_alert_firing{key=\"hold_ending:case\",severity=\"warning\"}", [0.0, 1.0, 0.0], 0),
        gauge("SeawallAlert", CRITICAL, "seawall_alert_firing{key=\"server\",severity=\"critical\"}", [0.0, 1.0, 0.0], 0),
    ];
    let step = Step::Minute;
    // 0 stands for: nothing waits. So the clock begins with 1, and the limit is met a second later than a whole minute.
    let waiting = of_shop("seawall_wal_waiting_since_timestamp_seconds");
    let told = of_shop("seawall_alert_firing{key=\"drill_age\",severity=\"warning\"}");
    let passed = of_shop("seawall_drill_last_passed_timestamp_seconds{drill=\"weekly\"}");
    cases.push(Case {
        alert: "SeawallDrillMissing",
        severity: WARNING,
        series: vec![(told, "0+0x9 1+0x40".into()), (passed, "_x20 1200+0x29".into())],
        moments: [9, 10, 21],
        step,
    });
    cases.push(Case {
        alert: "SeawallLogNotArchived",
        severity: CRITICAL,
        series: vec![(waiting, "1+0x13 0+0x9".into())],
        moments: [12, 13, 14],
        step,
    });
    let failing = of_shop("seawall_receiver_failing_since_timestamp_seconds{receiver=\"dba\"}");
    let values = "0+0x16 _x9".to_owned();
    cases.push(Case {
        alert: "SeawallMessagesNotDelivered",
        severity: CRITICAL,
        series: vec![(failing, values)],
        moments: [15, 16, 22],
        step,
    });
    let mut full = gauge("SeawallStoreFull", WARNING, "seawall_store_used_bytes{store=\"main\"}", [8e11, 8.01e11, 7e11], 10);
    full.series.push((of_shop("seawall_store_capacity_bytes{store=\"main\"}"), "1e12+0x200".into()));
    cases.push(full);
    let mut lost = gauge("SeawallRecoveryPointMissed", CRITICAL, "seawall_recovery_point_seconds", [900.0, 901.0, 10.0], 0);
    lost.series.push((of_shop("seawall_recovery_point_objective_seconds"), "900+0x200".into()));
    cases.push(lost);
    let of_scenario = |name: &str| format!("seawall_scenario_recovery_point{name}_seconds{{scenario=\"server-loss\"}}");
    let mut lost = gauge("SeawallScenarioRecoveryPointMissed", CRITICAL, &of_scenario(""), [300.0, 301.0, 10.0], 0);
    lost.series.push((of_shop(&of_scenario("_objective")), "300+0x200".into()));
    cases.push(lost);
    let beyond = "14400+0x9 14401+0x59 3600+0x60".to_owned();
    let moments = [9, 10, 71];
    let slow = vec![(predicted("0.5"), beyond.clone()), objective()];
    cases.push(Case { alert: "SeawallRecoveryTimeMissed", severity: CRITICAL, series: slow, moments, step });
    let risky = vec![(predicted("0.95"), beyond), (predicted("0.5"), "3600+0x200".into()), objective()];
    cases.push(Case { alert: "SeawallRecoveryTimeAtRisk", severity: WARNING, series: risky, moments, step });
    let unscraped = vec![(of_shop("seawall_policy_level"), "0+0x5 _x20 0+0x9".to_owned())];
    // The last figure counts for five minutes.
    cases.push(Case { alert: "SeawallNotScraped", severity: CRITICAL, series: unscraped, moments: [19, 21, 26], step });
    let watched = of_shop("seawall_watch_last_timestamp_seconds");
    let never = vec![level(), (watched, "_x20 1200+0x9".to_owned())];
    cases.push(Case { alert: "SeawallNeverWatched", severity: CRITICAL, series: never, moments: [14, 15, 21], step });
    let none = vec![level(), (of_shop(nightly), format!("_x{} 90000+0x9", 25 * 60 + 5))];
    cases.push(Case {
        alert: "SeawallBackupMissing",
        severity: CRITICAL,
        series: none,
        moments: [25 * 60 - 1, 25 * 60, 25 * 60 + 6],
        step,
    });
    cases
}

/// What `promtool test rules` reads: the cases of one step.
fn tests_of(cases: &[Case], step: Step) -> String {
    let seconds = step.seconds();
    let mut text = format!("rule_files: [rules.yml]\nevaluation_interval: {seconds}s\ntests:\n");
    for case in cases.iter().filter(|case| case.step == step) {
        let _ = writeln!(text, "  - name: {} {}\n    interval: {seconds}s\n    input_series:", case.alert, case.severity);
        for (series, values) in &case.series {
            let _ = writeln!(text, "      - series: '{series}'\n        values: '{values}'");
        }
        let _ = writeln!(text, "    promql_expr_test:");
        for (at, fires) in case.moments.into_iter().zip([false, true, false]) {
            let firing = format!("count(ALERTS{{alertname=\"{}\",severity=\"{}\",alertstate=\"firing\"}})", case.alert, case.severity);
            let samples = if fires { "[{ labels: '{}', value: 1 }]" } else { "[]" };
            let _ = writeln!(text, "      - expr: '{firing}'\n        eval_time: {}s\n        exp_samples: {samples}", at * seconds);
        }
    }
    text
}

fn promtool(directory: &Path, words: &[&str]) -> Result<String, String> {
    let output = Command::new("promtool").args(words).current_dir(directory).output().expect("promtool starts (Debian: prometheus)");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(said) } else { Err(said) }
}

/// The room of the shop, with its rules in `rules.yml`.
fn shop() -> Room {
    let room = Room::new().with("shop.yaml", SHOP);
    let run = room.run(&["emit", "prometheus", "shop.yaml", "--out", "rules.yml", "--runbook-url", "https://wiki.example.com/{{shop}}"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    room
}

#[test]
fn every_alert_fires_beyond_its_limit_and_resolves() {
    let room = shop();
    let rules = std::fs::read_to_string(room.path().join("rules.yml")).expect("rules");
    promtool(room.path(), &["check", "rules", "rules.yml"]).expect("rules that Prometheus takes");
    let cases = cases();
    let mut wanted: BTreeSet<(String, String)> = BTreeSet::new();
    let mut alert = "";
    for line in rules.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("- alert: ") {
            alert = name;
        } else if let Some(severity) = line.strip_prefix("severity: ") {
            let severity = severity.trim_matches('\'');
            let severities = if severity.starts_with("{{") { vec!["critical", "warning"] } else { vec![severity] };
            wanted.extend(severities.into_iter().map(|severity| (alert.to_owned(), severity.to_owned())));
        }
    }
    let tested: BTreeSet<_> = cases.iter().map(|case| (case.alert.to_owned(), case.severity.to_owned())).collect();
    assert_eq!(wanted, tested, "each alert has a case, and each case an alert");
    for step in [Step::Minute, Step::Hour] {
        std::fs::write(room.path().join("tests.yml"), tests_of(&cases, step)).expect("tests");
        promtool(room.path(), &["test", "rules", "tests.yml"]).expect("alerts that fire and resolve");
    }
    // It does look: a minute later than it fires, it is not quiet.
    let mut late = cases;
    late[0].moments[0] = late[0].moments[1];
    late.truncate(1);
    std::fs::write(room.path().join("tests.yml"), tests_of(&late, Step::Minute)).expect("tests");
    let said = promtool(room.path(), &["test", "rules", "tests.yml"]).expect_err("a case that is wrong");
    assert!(said.contains("SeawallMetricsStale"), "{said}");
}

#[test]
fn a_key_of_openpgp_is_told_of_before_it_expires() {
    let openpgp = "openpgp:\n    recipients: [0123456789ABCDEF0123456789ABCDEF01234567]";
    let text = SHOP.replace("age:\n    recipients: [age1a0lwn6n4awydl5cxgqhvwmg9zg4pkpgxhnuh3m5k5dg3xpcqh4ps53le29]", openpgp);
    assert_ne!(text, SHOP);
    let room = Room::new().with("shop.yaml", text);
    let run = room.run(&["emit", "prometheus", "shop.yaml", "--out", "rules.yml"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    promtool(room.path(), &["check", "rules", "rules.yml"]).expect("rules that Prometheus takes");
    // It expires after 40 days, and is prolonged a little later than that.
    let series = of_shop("seawall_key_expires_timestamp_seconds{recipient=\"0123456789ABCDEF0123456789ABCDEF01234567\"}");
    let case = |severity, moments| Case {
        alert: "SeawallKeyExpires",
        severity,
        series: vec![(series.clone(), "3456000+0x980 99999999+0x9".to_owned())],
        moments,
        step: Step::Hour,
    };
    let day = 24;
    let cases = [case("warning", [10 * day - 1, 10 * day, 33 * day]), case("critical", [33 * day - 1, 33 * day, 981])];
    std::fs::write(room.path().join("tests.yml"), tests_of(&cases, Step::Hour)).expect("tests");
    promtool(room.path(), &["test", "rules", "tests.yml"]).expect("alerts that fire and resolve");
}

#[test]
fn rules_read_as_they_did_and_prometheus_takes_those_of_a_fleet() {
    let room = shop();
    let whole = in_repository(&["emit", "prometheus", "policies"]);
    assert_eq!((whole.code, whole.stderr.as_str()), (Some(0), ""));
    assert_eq!(in_repository(&["emit", "prometheus", "policies"]).stdout, whole.stdout, "twice the same");
    std::fs::write(room.path().join("fleet.yml"), &whole.stdout).expect("rules");
    promtool(room.path(), &["check", "rules", "fleet.yml"]).expect("rules that Prometheus takes");
    for policy in ["pricing-agent", "quickstart"] {
        let run = in_repository(&["emit", "prometheus", &format!("policies/{policy}.yaml")]);
        golden_at(&format!("tests/emit/{policy}/prometheus.yml"), &steady(&run.stdout));
    }
    // Nobody's words are taken for a template or for YAML.
    let rules = std::fs::read_to_string(room.path().join("rules.yml")).expect("rules");
    assert!(rules.contains(r#"owner: 'it''s {{ "{{" }} everybody }}''s "shop"'"#), "{rules}");
    assert!(rules.contains(r#"runbook_url: 'https://wiki.example.com/{{ "{{" }}shop}}'"#), "{rules}");
}

#[test]
fn a_rules_file_is_compared_with_what_policies_want() {
    let room = shop();
    let same = ["emit", "prometheus", "shop.yaml", "--runbook-url", "https://wiki.example.com/{{shop}}", "--diff", "rules.yml"];
    assert_eq!(room.run(&same).code, Some(0));
    let run = room.run(&["emit", "prometheus", "shop.yaml", "--diff", "rules.yml"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stdout.contains("-          runbook_url:"), "{run:?}");
    assert_eq!(room.run(&["emit", "prometheus", "shop.yaml", "--diff", "none.yml"]).code, Some(2));
    let room = room.with("broken.yaml", "version: 1\npolicy: broken\nfoo: 1\n");
    let run = room.run(&["emit", "prometheus", ".", "--out", "other.yml"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("broken.yaml") && !room.path().join("other.yml").exists(), "{run:?}");
}

/// All expressions of the dashboard.
fn expressions(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    targets.map(|target| target["expr"].as_str().expect("an expression").to_owned()).collect()
}

/// Every name in a text that is a figure's: recorded ones with their colons.
fn figures(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
    words.filter(|word| word.contains("seawall_")).map(|word| word.trim_matches(':').to_owned()).collect()
}

#[test]
fn every_figure_is_one_that_seawall_tells_or_a_rule_makes() {
    // Those that the evidence of drills brings: their names are settled.
    const OF_DRILLS: [&str; 11] = [
        "seawall_drill_last_passed_timestamp_seconds",
        "seawall_drill_last_ended_timestamp_seconds",
        "seawall_drill_last_outcome",
        "seawall_drill_recovery_seconds",
        "seawall_recovery_point_seconds",
        "seawall_recovery_point_objective_seconds",
        "seawall_recovery_time_predicted_seconds",
        "seawall_recovery_time_objective_seconds",
        "seawall_restore_rate_bytes_per_second",
        "seawall_replay_rate_bytes_per_second",
        "seawall_identity_opened_timestamp_seconds",
    ];
    let source = include_str!("../../../src/cli/record/metrics.rs");
    let mut known: BTreeSet<String> = figures(source);
    known.extend(OF_DRILLS.map(str::to_owned));
    let room = shop();
    let rules = std::fs::read_to_string(room.path().join("rules.yml")).expect("rules");
    let made: BTreeSet<String> = rules.lines().filter_map(|line| line.trim().strip_prefix("- record: ")).map(str::to_owned).collect();
    let read: String = rules.lines().filter(|line| line.trim().starts_with("expr: ")).collect::<Vec<_>>().join("\n");
    assert!(figures(&read).len() > 20, "{read}");
    assert_eq!(figures(&read).difference(&known).collect::<Vec<_>>(), Vec::<&String>::new(), "rules");
    known.extend(made);
    let dashboard = dashboard();
    let read = expressions(&dashboard).join("\n");
    assert_eq!(figures(&read).difference(&known).collect::<Vec<_>>(), Vec::<&String>::new(), "dashboard");
}

fn dashboard() -> Value {
    let run = in_repository(&["emit", "grafana"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    serde_json::from_str(&run.stdout).expect("JSON")
}

#[test]
fn grafana_and_prometheus_understand_the_dashboard() {
    let room = Room::new();
    let mut dashboard = dashboard();
    golden_at("tests/emit/grafana.json", &in_repository(&["emit", "grafana"]).stdout);
    // Each expression parses: as a rule's.
    let mut rules = "groups:\n  - name: dashboard\n    rules:\n".to_owned();
    for (at, expression) in expressions(&dashboard).iter().enumerate() {
        let expression = expression.replace("$policy", ".*").replace('\'', "''");
        let _ = writeln!(rules, "      - record: panel:number{at}:expr\n        expr: '{expression}'");
    }
    std::fs::write(room.path().join("panels.yml"), rules).expect("rules");
    promtool(room.path(), &["check", "rules", "panels.yml"]).expect("expressions that Prometheus takes");
    // No two panels lie on one another, and none leaves the page.
    let panels = dashboard["panels"].as_array().expect("panels").clone();
    let mut taken = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in &panels {
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().expect("a place"));
        assert!(x + w <= 24, "{panel}");
        assert!(ids.insert(panel["id"].as_u64().expect("an id")), "{panel}");
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(cell), "{panel}");
        }
    }
    assert!(panels.len() > 25);
    // What the compiler of Grafana's own types has to say. Their enumerations are written as the words they stand for.
    let Ok(types) = std::env::var("SEAWALL_TEST_GRAFANA_TYPES") else {
        panic!("SEAWALL_TEST_GRAFANA_TYPES must name a folder with @grafana/schema and typescript; tests/run installs it")
    };
    std::os::unix::fs::symlink(Path::new(&types).join("node_modules"), room.path().join("node_modules")).expect("a link");
    let check = |dashboard: &Value| {
        let text = format!(
            "import type {{ Dashboard }} from '@grafana/schema';\n\
             type Words<T> = T extends string ? `${{T}}` : T extends number | boolean | null | undefined ? T : {{ [K in keyof T]: Words<T[K]> }};\n\
             export const dashboard: Words<Dashboard> = {dashboard};\n"
        );
        std::fs::write(room.path().join("dashboard.ts"), text).expect("a file");
        let compiler = Path::new(&types).join("node_modules/.bin/tsc");
        let words = ["--noEmit", "--strict", "--skipLibCheck", "--module", "esnext", "--moduleResolution", "bundler", "dashboard.ts"];
        Command::new(compiler).args(words).current_dir(room.path()).output().expect("the compiler starts")
    };
    let said = check(&dashboard);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
    // It does look.
    dashboard["panels"][1]["fieldConfig"]["defaults"]["thresholds"]["mode"] = json!("relative");
    assert!(!check(&dashboard).status.success());
}
