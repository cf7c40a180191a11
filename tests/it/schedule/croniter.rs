//! The same firings as Python's croniter, told to follow Vixie's rule for days (`implement_cron_bug`).
//!
//! Left out are firings within an hour of a change of the clocks, where the two differ on purpose (docs/schedules.md).

use std::io::Write as _;
use std::process::{Command, Stdio};

use jiff::Timestamp;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

use super::rules::{self, Days, Item, Rule};
use super::systemd::compare;

const CASES: usize = 600;
const SCRIPT: &str = include_str!("../croniter_oracle.py");

/// croniter writes the last Friday `L5` where others write `5L`.
fn in_its_words(rule: &Rule) -> Option<String> {
    let text = rule.cron_text()?;
    match rule {
        Rule::Cron { days: Days::NthWeekday(-1, weekday), .. } => {
            text.strip_suffix(&format!("{weekday}L")).map(|rest| format!("{rest}L{weekday}"))
        }
        _ => Some(text),
    }
}

/// croniter takes a range of one value, `3-3`, for the whole field, and a day field that lists every value, `1-31` or
/// `3,8,*`, for a star.
fn is_read_otherwise(rule: &Rule) -> bool {
    if let Rule::Cron { days: Days::Fields { day, weekday, .. }, .. } = rule
        && [day, weekday].iter().any(|field| !field.begins_with_star() && field.matches_all())
    {
        return true;
    }
    rule.fields()
        .iter()
        .flat_map(|field| &field.0)
        .any(|item| matches!(item, Item::Range(from, to) | Item::RangeEvery(from, to, _) if from == to))
}

fn ask(questions: &[serde_json::Value]) -> Vec<serde_json::Value> {
    let python = std::env::var("SEAWALL_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut child =
        Command::new(&python).args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap_or_else(|error| {
            panic!("`{python}` does not start ({error}): set SEAWALL_TEST_PYTHON to a Python that has croniter 7.0.0")
        });
    let mut input = child.stdin.take().expect("standard input is a pipe");
    let text: String = questions.iter().map(|question| format!("{question}\n")).collect();
    // The script reads everything before it writes, so neither side waits for the other.
    let sent = input.write_all(text.as_bytes());
    drop(input);
    let output = child.wait_with_output().expect("the script ends");
    assert!(
        output.status.success() && sent.is_ok(),
        "`{python}` has no croniter: set SEAWALL_TEST_PYTHON to a Python in which `pip install croniter==7.0.0` was run"
    );
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

#[test]
fn firings_agree_with_croniter() {
    let zones = ["UTC", "Europe/Oslo", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"];
    let strategy = (proptest::prop_oneof![rules::cron_rule(), rules::rare_cron_rule()], 0..zones.len(), 1_262_304_000i64..2_100_000_000);
    let mut runner = TestRunner::default();
    let mut cases = Vec::new();
    while cases.len() < CASES {
        let (rule, zone, base) = strategy.new_tree(&mut runner).expect("a case").current();
        if is_read_otherwise(&rule) {
            continue;
        }
        if let Some(schedule) = rule.schedule(zones[zone]) {
            cases.push((rule, schedule, zones[zone], base));
        }
    }
    let question = |(rule, _, zone, base): &(Rule, _, &str, i64)| serde_json::json!({"expression": in_its_words(rule), "zone": zone, "base": base, "count": 15});
    let answers = ask(&cases.iter().map(question).collect::<Vec<_>>());
    assert_eq!(answers.len(), cases.len());
    for ((rule, schedule, zone, base), answer) in cases.iter().zip(&answers) {
        let expression = in_its_words(rule);
        assert!(answer["error"].is_null(), "croniter refuses {expression:?}: {answer}");
        let instant = |second: &serde_json::Value| Timestamp::from_second(second.as_i64().expect("a number")).expect("an instant");
        let theirs: Vec<_> = answer["firings"].as_array().expect("a list").iter().map(instant).collect();
        let zone = jiff::tz::TimeZoneDatabase::bundled().get(zone).expect("a zone");
        compare(schedule, &zone, instant(&serde_json::json!(base)), &theirs)
            .unwrap_or_else(|difference| panic!("{expression:?}: {difference}"));
    }
}
