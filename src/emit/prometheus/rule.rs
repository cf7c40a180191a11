//! A rule, and how it is written.

use crate::plan::words::plain;
use crate::policy::file::Severity;
use crate::units::Duration;

/// Rules that are judged one after the other.
pub(super) struct Group {
    pub name: String,
    pub recordings: Vec<Recording>,
    pub alerts: Vec<Alert>,
}

/// A figure that is made of others.
pub(super) struct Recording {
    pub name: &'static str,
    pub expression: String,
    pub labels: Vec<(&'static str, String)>,
}

/// Something that people must hear of.
pub(super) struct Alert {
    pub name: &'static str,
    pub expression: String,
    /// For how long it must be so.
    pub lasting: Duration,
    pub urgency: Urgency,
    /// What tells it from other rules of its name.
    pub labels: Vec<(&'static str, String)>,
    /// In a line; Prometheus' own templates work in it.
    pub summary: &'static str,
    pub description: String,
    /// What to do.
    pub hint: &'static str,
    /// Whose it is, in their own words.
    pub owner: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    Is(Severity),
    /// As the series itself says.
    OfSeries,
}

impl Alert {
    pub(super) fn new(name: &'static str, severity: Severity, expression: impl Into<String>) -> Self {
        Alert {
            name,
            expression: expression.into(),
            lasting: Duration::ZERO,
            urgency: Urgency::Is(severity),
            labels: Vec::new(),
            summary: "",
            description: String::new(),
            hint: "",
            owner: None,
        }
    }

    #[must_use]
    pub(super) fn lasting(self, lasting: Duration) -> Self {
        Alert { lasting, ..self }
    }

    #[must_use]
    pub(super) fn says(self, summary: &'static str, description: impl Into<String>, hint: &'static str) -> Self {
        Alert { summary, description: description.into(), hint, ..self }
    }

    fn to_yaml(&self, runbook_url: Option<&str>) -> String {
        let mut text = format!("      - alert: {}\n        expr: {}\n", self.name, scalar(&self.expression));
        if !self.lasting.is_zero() {
            text.push_str(&format!("        for: {}\n", length(self.lasting)));
        }
        let severity = match self.urgency {
            Urgency::Is(severity) => severity.as_str(),
            Urgency::OfSeries => "{{ $labels.severity }}",
        };
        text.push_str(&labels(self.labels.iter().map(|(name, value)| (*name, value.as_str())).chain([("severity", severity)])));
        text.push_str("        annotations:\n");
        let mut annotation = |name: &str, value: &str| text.push_str(&format!("          {name}: {}\n", scalar(value)));
        annotation("summary", self.summary);
        annotation("description", &self.description);
        annotation("hint", self.hint);
        if let Some(owner) = &self.owner {
            annotation("owner", &untemplated(&plain(owner)));
        }
        if let Some(url) = runbook_url {
            annotation("runbook_url", &untemplated(url));
        }
        text
    }
}

impl Group {
    pub(super) fn to_yaml(&self, runbook_url: Option<&str>) -> String {
        let mut text = format!("  - name: {}\n    rules:\n", self.name);
        for recording in &self.recordings {
            text.push_str(&format!("      - record: {}\n        expr: {}\n", recording.name, scalar(&recording.expression)));
            if !recording.labels.is_empty() {
                text.push_str(&labels(recording.labels.iter().map(|(name, value)| (*name, value.as_str()))));
            }
        }
        for alert in &self.alerts {
            text.push_str(&alert.to_yaml(runbook_url));
        }
        text
    }
}

fn labels<'l>(labels: impl Iterator<Item = (&'l str, &'l str)>) -> String {
    let lines = labels.map(|(name, value)| format!("          {name}: {}\n", scalar(value)));
    std::iter::once("        labels:\n".to_owned()).chain(lines).collect()
}

/// A string of YAML on one line. Nothing in it has a meaning, and expressions keep their own quotes.
fn scalar(text: &str) -> String {
    let line: String =
        text.chars().map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') { ' ' } else { c }).collect();
    format!("'{}'", line.replace('\'', "''"))
}

/// Somebody's own words, in which Prometheus would look for its templates.
fn untemplated(text: &str) -> String {
    text.replace("{{", "{{ \"{{\" }}")
}

/// A string of PromQL.
pub(super) fn literal(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// A length as Prometheus reads it: ours without the blanks.
pub(super) fn length(duration: Duration) -> String {
    duration.to_string().replace(' ', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_words() {
        assert_eq!(scalar("it's \"x\"\n- a: b"), "'it''s \"x\" - a: b'");
        assert_eq!(literal("a\"b\\c\nd"), r#""a\"b\\c\nd""#);
        assert_eq!(untemplated("{{ .Labels }}"), "{{ \"{{\" }} .Labels }}");
        assert_eq!(length(Duration::from_mins(90)), "1h30m");
    }
}
