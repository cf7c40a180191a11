//! Findings as annotations of a pull request: workflow commands that GitHub's runner reads from the log.

use super::record::{placed, record};
use super::{Secrets, Shown};
use crate::policy::finding::{Finding, Weight};

/// One line per finding.
pub fn annotations(findings: &[Finding]) -> String {
    let secrets = Secrets::of(findings);
    let shown = Shown::of(findings);
    let mut text = String::new();
    for finding in &shown.findings {
        text.push_str(&annotation(finding, &secrets));
        text.push('\n');
    }
    for (file, omitted) in &shown.omitted {
        text.push_str(&format!("::notice file={}::{}\n", property(file), data(&format!("… and {omitted} more"))));
    }
    text
}

fn annotation(finding: &Finding, secrets: &Secrets) -> String {
    let record = record(finding, secrets);
    let command = match (&finding.acknowledged, finding.weight) {
        (None, Weight::Error) => "error",
        (None, Weight::Warning) => "warning",
        _ => "notice",
    };
    let mut properties = Vec::new();
    if let Some(place) = finding.place.as_ref().filter(|place| place.source.name != "<stdin>").map(placed) {
        // The path at a revision is the path in the pull request.
        let file = place.file.strip_prefix("git:").and_then(|rest| rest.split_once(':')).map_or(place.file.as_str(), |(_, path)| path);
        properties.push(format!("file={}", property(file)));
        properties.push(format!("line={}", place.line));
        // GitHub takes columns only within one line.
        if place.end_line == place.line {
            properties.push(format!("col={}", place.column));
            properties.push(format!("endLine={}", place.end_line));
            properties.push(format!("endColumn={}", place.end_column));
        } else {
            properties.push(format!("endLine={}", place.end_line));
        }
    }
    properties.push(format!("title={}", property(&record.code)));
    let mut message = record.message;
    if !record.path.is_empty() {
        message.push_str(&format!("\nat {}", record.path));
    }
    if let Some(expected) = record.expected {
        message.push_str(&format!("\n{expected}"));
    }
    if let Some(hint) = record.hint {
        message.push_str(&format!("\n{hint}"));
    }
    if let Some(reason) = record.acknowledged {
        message.push_str(&format!("\nacknowledged: {reason}"));
    }
    format!("::{command} {}::{}", properties.join(","), data(&message))
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_with_a_meaning_are_escaped() {
        assert_eq!(data("50%\r\nx: y, z"), "50%25%0D%0Ax: y, z");
        assert_eq!(property("a:b,c\n%"), "a%3Ab%2Cc%0A%25");
    }
}
