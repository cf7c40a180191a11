//! What `seawall emit cron` writes asks at every firing of the policy's schedules, whatever zone the machine is in; croniter says when cron
//! would.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use jiff::{SignedDuration, Timestamp};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use seawall::emit::{self, Setting};
use seawall::policy::document::Document;
use seawall::policy::model::Policy;
use seawall::policy::resolve::resolve;

use super::rules;

const SCRIPT: &str = "
import json, sys
from datetime import datetime
from zoneinfo import ZoneInfo
from croniter import croniter
for line in sys.stdin:
    q = json.loads(line)
    at = datetime.fromtimestamp(q['at'], ZoneInfo(q['zone']))
    print(json.dumps(croniter.match(q['expression'], at)))
";

/// Backups with these schedules, and nothing else that runs.
fn policy(schedules: &[String]) -> Policy {
    let mut text = "version: 1\npolicy: shop\nowner: dba@example.com\ncluster: { connection: service=t, databases: [app] }\n\
                    encryption: { none: { because: a test } }\nstores: { main: { local: { path: /srv/main } } }\nbackups:\n"
        .to_owned();
    for (index, schedule) in schedules.iter().enumerate() {
        writeln!(text, "  job-{index:03}: {{ physical: {{}}, schedule: {schedule} }}").expect("a string takes all");
    }
    let document = Document::load("t.yaml", Path::new("t.yaml"), &|_| Ok(text.clone().into_bytes()));
    resolve(&document, jiff::civil::date(2026, 11, 21)).policy.expect("a policy")
}

#[test]
fn a_crontab_asks_at_every_firing_in_every_zone() {
    let zones = ["UTC", "Europe/Oslo", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns"];
    let mut runner = TestRunner::default();
    let mut schedules = Vec::new();
    while schedules.len() < 120 {
        let rule = rules::cron_rule().new_tree(&mut runner).expect("a case").current();
        let zone = zones[schedules.len() % zones.len()];
        if let (Some(_), Some(text)) = (rule.schedule(zone), rule.cron_text()) {
            schedules.push(format!("{{ cron: \"{text}\", timezone: {zone} }}"));
        }
    }
    schedules.extend(["1m", "7m", "15m", "20m", "90m", "7h", "24h", "100s"].map(|every| format!("{{ every: {every} }}")));
    let policy = policy(&schedules);
    let setting = Setting {
        host: None,
        policy_file: "/etc/seawall/policy.yaml".into(),
        program: Setting::PROGRAM.into(),
        user: None,
        state: None,
        credentials: Setting::CREDENTIALS.into(),
    };
    let crontab = emit::cron(&policy, &setting).expect("a crontab").text;
    let mut questions = String::new();
    let mut asked = Vec::new();
    for (name, backup) in &policy.backups {
        let line = crontab.lines().find(|line| line.contains(&format!("--due backups.{name} "))).expect("a line for each job");
        let expression = line.splitn(6, ' ').take(5).collect::<Vec<_>>().join(" ");
        let schedule = backup.schedule.as_ref().expect("a schedule");
        let from: Timestamp = "2026-03-28T00:00:00Z".parse().expect("an instant");
        for firing in schedule.firings(from, from + SignedDuration::from_hours(24 * 400)).take(25) {
            for zone in zones {
                let at = firing.as_second().div_euclid(60) * 60;
                writeln!(questions, "{}", serde_json::json!({ "expression": expression, "at": at, "zone": zone }))
                    .expect("a string takes all");
                asked.push((name, firing, zone, expression.clone()));
            }
        }
    }
    let python = std::env::var("SEAWALL_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut child = Command::new(python).args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let writer = std::thread::spawn(move || stdin.write_all(questions.as_bytes()));
    let output = child.wait_with_output().expect("the script ends");
    writer.join().expect("the writer ends").expect("the script reads all");
    let answers: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    assert_eq!(answers.len(), asked.len(), "SEAWALL_TEST_PYTHON has no croniter");
    assert!(asked.len() > 5_000);
    for ((name, firing, zone, expression), answer) in asked.iter().zip(&answers) {
        assert_eq!(answer, "true", "{name} at {firing} on a machine in {zone}: `{expression}`");
    }
}
