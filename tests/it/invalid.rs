//! Invalid policies, one rule each, with exactly what `seawall validate` says of them: `tests/invalid`.
//!
//! A new sample needs no code. `SEAWALL_BLESS=1` writes what is said now; read the difference before committing it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

const DIRECTORY: &str = "tests/invalid";
const AT_LEAST: usize = 100;
/// Findings up to here are about what a single file says; those behind are about what a policy can keep.
const LAST_CODE: u16 = 399;

/// Codes without a sample, and why.
const WITHOUT_SAMPLE: [(u16, &str); 8] = [
    (1, "nothing in a repository is unreadable; tests/it/cli"),
    (2, "a file beyond the limit weighs a megabyte; tests/it/cli"),
    (13, "it is about a directory without policies; tests/it/cli"),
    (199, "a fault of seawall itself: a policy that causes it is a bug to be mended"),
    (205, "it takes two policies; tests/it/cli"),
    (312, "its words name the next date; src/proof"),
    (313, "its words name the next date; src/proof"),
    (315, "its words name the next date; src/proof"),
];

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The program in the root of the repository, printing the same to everybody.
pub fn seawall(arguments: &[&str], files: &[String]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
    command.current_dir(root()).env("COLUMNS", "100").env_remove("CLICOLOR_FORCE").args(arguments).args(files);
    command.output().expect("the program starts")
}

/// What `validate` finds in some files, as JSON.
pub fn findings(files: &[String]) -> Vec<Value> {
    let output = seawall(&["validate", "--format", "json"], files);
    let mut output: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(output["summary"]["omitted"], 0, "too many findings in one file");
    let Value::Array(findings) = output["findings"].take() else { panic!("no findings") };
    findings
}

/// The samples, without what they extend.
pub fn samples() -> Vec<String> {
    let listed = std::fs::read_dir(root().join(DIRECTORY)).expect("the samples");
    let names = listed.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name in UTF-8"));
    let mut samples: Vec<String> = names.filter(|name| name.ends_with(".yaml")).map(|name| format!("{DIRECTORY}/{name}")).collect();
    samples.sort();
    samples
}

fn expected_at(sample: &str) -> PathBuf {
    root().join(sample).with_extension("txt")
}

/// Runs the program on each sample, on all processors.
fn said() -> BTreeMap<String, Output> {
    let (samples, next, said) = (samples(), AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let work = || {
        while let Some(sample) = samples.get(next.fetch_add(1, Ordering::Relaxed)) {
            let output = seawall(&["validate", "--color", "never"], std::slice::from_ref(sample));
            said.lock().expect("nobody panics with it").insert(sample.clone(), output);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, |processors| processors.get().min(8)) {
            scope.spawn(work);
        }
    });
    said.into_inner().expect("nobody panicked with it")
}

#[test]
fn every_sample_is_refused_in_the_words_beside_it() {
    let bless = std::env::var_os("SEAWALL_BLESS").is_some();
    let mut wrong = Vec::new();
    let said = said();
    for (sample, output) in &said {
        let text = String::from_utf8(output.stdout.clone()).expect("UTF-8");
        assert!(output.stderr.is_empty(), "{sample}: {}", String::from_utf8_lossy(&output.stderr));
        // A warning alone fails only with `--strict`.
        let code = if text.lines().any(|line| line.starts_with("error[")) {
            1
        } else {
            assert!(text.lines().any(|line| line.starts_with("warning[")), "{sample} is sound");
            assert_eq!(seawall(&["validate", "--strict"], std::slice::from_ref(sample)).status.code(), Some(1), "{sample}");
            0
        };
        assert_eq!(output.status.code(), Some(code), "{sample}");
        if bless {
            std::fs::write(expected_at(sample), &text).expect("the expected words");
        } else if std::fs::read_to_string(expected_at(sample)).unwrap_or_default() != text {
            wrong.push(format!("{sample}:\n{text}"));
        }
    }
    let hint = "`SEAWALL_BLESS=1` writes what is said now; read the difference before committing it";
    assert!(wrong.is_empty(), "{} of {} samples are refused in other words; {hint}\n\n{}", wrong.len(), said.len(), wrong.join("\n"));
}

#[test]
fn there_are_enough_samples_and_no_words_without_one() {
    let samples = samples();
    assert!(samples.len() >= AT_LEAST, "{} samples", samples.len());
    for entry in std::fs::read_dir(root().join(DIRECTORY)).expect("the samples") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            assert!(path.with_extension("yaml").exists(), "{} has lost its sample", path.display());
        }
    }
}

/// Code, file, line and column.
type Found = (String, String, u64, u64);

fn in_words(text: &str) -> BTreeSet<Found> {
    let mut found = BTreeSet::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some((_, rest)) = line.split_once("[SW").filter(|(weight, _)| ["error", "warning", "note"].contains(weight)) else { continue };
        let place = lines.next().and_then(|line| line.trim_start().strip_prefix("--> ")).unwrap_or_else(|| panic!("no place: {line}"));
        let mut parts = place.rsplitn(3, ':');
        let (column, line) = (parts.next().and_then(|part| part.parse().ok()), parts.next().and_then(|part| part.parse().ok()));
        // An empty file has no line to show.
        let (file, line, column) = match (parts.next(), line, column) {
            (Some(file), Some(line), Some(column)) => (file, line, column),
            _ => (place, 1, 1),
        };
        found.insert((format!("SW{}", &rest[..4]), file.to_owned(), line, column));
    }
    found
}

#[test]
fn json_and_annotations_name_the_same_codes_and_places() {
    let mut words = BTreeSet::new();
    for sample in samples() {
        words.extend(in_words(&std::fs::read_to_string(expected_at(&sample)).expect("the expected words")));
    }
    let findings = findings(&samples());
    let place = |finding: &Value| {
        let (at, text) = (finding, |value: &Value| value.as_str().unwrap_or_default().to_owned());
        let number = |value: &Value| value.as_u64().unwrap_or_default();
        (text(&finding["code"]), text(&at["file"]), number(&at["line"]), number(&at["column"]))
    };
    let json: BTreeSet<Found> = findings.iter().map(place).collect();
    let difference: Vec<_> = words.symmetric_difference(&json).collect();
    assert!(difference.is_empty(), "in words or in JSON alone: {difference:#?}");

    let output = seawall(&["validate", "--format", "github"], &samples());
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let annotations: BTreeSet<Found> = text.lines().filter(|line| line.starts_with("::")).map(annotated).collect();
    // GitHub takes no column of what reaches over several lines.
    let json: BTreeSet<Found> = findings
        .iter()
        .map(|finding| (finding["line"] == finding["end_line"], place(finding)))
        .map(|(one_line, (code, file, line, column))| (code, file, line, if one_line { column } else { 0 }))
        .collect();
    let difference: Vec<_> = annotations.symmetric_difference(&json).collect();
    assert!(difference.is_empty(), "in annotations or in JSON alone: {difference:#?}");
}

fn annotated(line: &str) -> Found {
    let (_, rest) = line.split_once(' ').unwrap_or_else(|| panic!("{line}"));
    let (properties, message) = rest.split_once("::").unwrap_or_else(|| panic!("{line}"));
    assert!(!message.is_empty(), "{line}");
    let properties: BTreeMap<&str, &str> = properties.split(',').filter_map(|property| property.split_once('=')).collect();
    let number = |key: &str| properties.get(key).map_or(0, |number| number.parse().unwrap_or_else(|_| panic!("{line}")));
    (properties["title"].to_owned(), properties["file"].to_owned(), number("line"), number("col"))
}

#[test]
fn every_finding_has_a_place_and_a_way_out() {
    for finding in findings(&samples()) {
        assert!(finding["line"].as_u64().is_some_and(|line| line > 0), "{finding:#}");
        let hint = finding["hint"].as_str().unwrap_or_default();
        assert!(hint.ends_with(['.', '?']), "the hint is no sentence: {finding:#}");
        let message = finding["message"].as_str().unwrap_or_default();
        assert!(!message.is_empty() && !message.ends_with('.'), "{finding:#}");
        // The code of a finding is written as it is.
        assert!(!message.starts_with(char::is_uppercase) || message.starts_with("SW"), "{finding:#}");
    }
}

#[test]
fn every_code_has_a_sample() {
    let sampled: BTreeSet<u16> =
        findings(&samples()).iter().filter_map(|finding| finding["code"].as_str()?.strip_prefix("SW")?.parse().ok()).collect();
    let mut emitted = BTreeSet::new();
    codes_in(&root().join("src"), &mut emitted);
    assert!(emitted.len() > 60, "{emitted:?}");
    let excused = |code: &u16| WITHOUT_SAMPLE.iter().any(|(excused, _)| excused == code);
    let missing: Vec<_> = emitted.iter().filter(|code| !sampled.contains(code) && !excused(code)).collect();
    assert!(missing.is_empty(), "codes without a sample in {DIRECTORY}: {missing:?}");
    let idle: Vec<_> = WITHOUT_SAMPLE.iter().filter(|(code, _)| sampled.contains(code) || !emitted.contains(code)).collect();
    assert!(idle.is_empty(), "excused for nothing: {idle:?}");
}

/// Every `Code(…)` with a number in it, up to where a file's tests begin.
fn codes_in(directory: &Path, codes: &mut BTreeSet<u16>) {
    for entry in std::fs::read_dir(directory).expect("the sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            codes_in(&path, codes);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source");
            let text = text.split("#[cfg(test)]").next().unwrap_or_default();
            let numbers = text.split("Code(").skip(1).filter_map(|rest| rest.split(')').next()?.parse::<u16>().ok());
            codes.extend(numbers.filter(|code| *code <= LAST_CODE));
        }
    }
}
