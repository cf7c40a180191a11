//! What is fuzzed. A new target is one more entry: a function that must neither panic nor take long, whatever it is given.

use std::fmt::{Debug, Display};
use std::path::Path;
use std::str::FromStr;

use seawall::policy::document::{Document, ReadFault};
use seawall::policy::finding::{Code, Finding};
use seawall::policy::resolve::resolve;
use seawall::schedule::{Schedule, Zone};
use seawall::units::{BackupId, Bytes, Duration, Instant, Lsn, Name, Percent, Period, Rate, Timeline};

#[derive(Debug)]
pub(super) struct Target {
    pub name: &'static str,
    /// Its share of the time.
    pub weight: u32,
    /// Files and folders of the repository that mutation begins with; those that do not exist are passed over.
    pub corpus: &'static [&'static str],
    /// Words that its input is made of.
    pub words: &'static [&'static str],
    pub max_bytes: usize,
    /// Panics when something is wrong.
    pub check: fn(&[u8]),
}

pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "units",
        weight: 1,
        corpus: &["tests/fuzz-corpus/units"],
        words: &[
            "s", "m", "h", "d", "w", "mo", "y", "weeks", "months", " ", "B", "kB", "KB", "GB", "PiB", "/s", "%", ".5%", "/", "-", "15m",
            "FFFFFFFF",
        ],
        max_bytes: 256,
        check: units,
    },
    Target {
        name: "cron",
        weight: 2,
        corpus: &["tests/fuzz-corpus/cron"],
        words: &[
            "* ", "*/", "0 ", "59", "60", "-", ",", "/", "L", "5L", "friL", "#", "mon#1", "jan", "dec", "29 2 *", "31", "7", "@yearly",
            "@", "W", "?", "LW",
        ],
        max_bytes: 256,
        check: cron,
    },
    Target {
        name: "policy",
        weight: 4,
        corpus: &["tests/fuzz-corpus/policy", "policies", "tests/systems", "tests/invalid"],
        words: &[
            "version: 1\n",
            "policy: ",
            "extends: ",
            "abstract: true\n",
            "backups:\n",
            "stores:\n",
            "schedule: ",
            "cron: ",
            "keep: ",
            "{",
            "}",
            "[",
            "]",
            "{}",
            ": ",
            "- ",
            "? ",
            "! ",
            "!!str ",
            "&a ",
            "*a",
            "<<: *a\n",
            "|\n",
            ">-\n",
            "---\n",
            "...\n",
            "%YAML 1.2\n",
            "# ",
            "\n  ",
            "\n    ",
            "\t",
            "'",
            "\"",
            "\\x",
            "\\u0000",
            "\u{FEFF}",
            "\u{2028}",
            "é",
            "on: yes\n",
            "~",
            "null",
            ".inf",
            "0x",
            "0o",
            "03:00",
            "1:2:3",
        ],
        max_bytes: 32 * 1024,
        check: policy,
    },
];

/// Every quantity and name: what is read is written in a form that reads as the same again.
fn units(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    written_form::<Duration>(text);
    written_form::<Period>(text);
    written_form::<Bytes>(text);
    written_form::<Rate>(text);
    written_form::<Percent>(text);
    written_form::<Lsn>(text);
    written_form::<Timeline>(text);
    written_form::<Name>(text);
    written_form::<BackupId>(text);
}

fn written_form<T: FromStr<Err: Display> + Display + Debug + PartialEq>(text: &str) {
    match text.parse::<T>() {
        Ok(value) => {
            let written = value.to_string();
            match written.parse::<T>() {
                Ok(again) => assert_eq!((&again, again.to_string()), (&value, written), "`{text}` changes when it is written"),
                Err(error) => panic!("`{text}` is written `{written}`, which is refused: {error}"),
            }
        }
        Err(error) => {
            let message = error.to_string();
            assert!(!message.is_empty() && message.len() < 600, "`{text}`: {message}");
            assert!(!message.contains(|c: char| c.is_control()), "`{text}` puts control characters into {message:?}");
        }
    }
}

/// A cron expression: a mistake is pointed at, and what is no mistake fires, in order, never further apart than its longest gap.
fn cron(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    // Which zone is part of the input, in a way that does not depend on the expression.
    let zones = ["UTC", "Europe/Oslo", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu"];
    let zone = Zone::named(zones[input.len() % zones.len()]).expect("it is bundled");
    match Schedule::cron(text, zone) {
        Ok(schedule) => {
            let from = Instant::UNIX_EPOCH;
            let (longest, shortest) = (schedule.longest_gap(from).length, schedule.shortest_gap(from).length);
            assert!(Duration::ZERO < shortest && shortest <= longest, "`{text}`: gaps from {shortest} to {longest}");
            let mut last = schedule.next_after(from).expect("a schedule fires");
            for _ in 0..20 {
                let Some(next) = schedule.next_after(last) else { break };
                let gap = Duration::between(last, next);
                assert!(shortest <= gap && gap <= longest, "`{text}`: {gap} from {last} to {next} is not between {shortest} and {longest}");
                assert!(
                    schedule.fires_at(next) && schedule.previous_before(next) == Some(last),
                    "`{text}`: back from {next} is not {last}"
                );
                last = next;
            }
        }
        Err(error) => {
            assert!(text.get(error.at.clone()).is_some(), "`{text}`: the mistake is at {:?}, outside of it", error.at);
            assert!(!error.message.is_empty() && !error.message.contains(|c: char| c.is_control()), "{:?}", error.message);
        }
    }
}

/// What is found when the types refuse what the checks let pass: always a fault of ours.
const CHECK_AND_TYPES_DISAGREE: Code = Code(199);

/// Disagreements that were found and are not mended yet. Besides these: an abstract file may lack keys, and the types refuse it.
const KNOWN: &[&str] = &["untagged enum Limit"];

/// A policy and, as its base, the same bytes: the places of all findings lie inside what was read.
fn policy(input: &[u8]) {
    let files = |path: &Path| -> Result<Vec<u8>, ReadFault> {
        if path.ends_with("missing.yaml") {
            Err(ReadFault { message: "no such file".into(), hint: String::new(), too_large: false })
        } else {
            Ok(input.to_vec())
        }
    };
    let document = Document::load("policy.yaml", Path::new("policy.yaml"), &files);
    let resolved = resolve(&document, jiff::civil::date(2026, 11, 21));
    for finding in document.findings.iter().chain(&resolved.findings) {
        let known = document.is_abstract || KNOWN.iter().any(|known| finding.message.contains(known));
        assert!(known || finding.code != CHECK_AND_TYPES_DISAGREE, "{}", finding.message);
        assert!(!finding.message.is_empty(), "a finding without a message: {finding:?}");
        if let Some(place) = &finding.place {
            // Both slice the text, so a place outside it, or inside a character, panics here.
            let (start, end) = (place.start_position(), place.end_position());
            assert!((start.line, start.column) <= (end.line, end.column), "a place that ends before it begins: {finding:?}");
            let _ = place.text();
        }
    }
    let refused = resolved.policy.is_none() && !document.is_abstract;
    assert!(!refused || document.findings.iter().chain(&resolved.findings).any(Finding::is_blocking), "refused without a word");
    assert!(document.file.is_some() || document.is_abstract || !document.findings.is_empty(), "refused without a word");
}
