//! What the compiler has to say about a policy, each with a code, a place and a way out.

use std::fmt;
use std::str::FromStr;

use super::path::PolicyPath;
use super::source::Place;

/// The stable number of a finding, written `SW0203`. `seawall explain` has a page for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub u16);

impl Code {
    /// The mistake is in the form that the schema describes: an editor shows it as well.
    pub fn is_of_schema(self) -> bool {
        (100..200).contains(&self.0)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("SW{:04}", self.0))
    }
}

impl FromStr for Code {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let digits = text.strip_prefix("SW").or_else(|| text.strip_prefix("sw")).unwrap_or(text);
        if digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().map(Code).map_err(|_| ()) } else { Err(()) }
    }
}

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// The policy cannot stand like this.
    Error,
    /// It can, but somebody should look.
    Warning,
    /// Worth knowing.
    Note,
}

/// Whether a finding is about a key itself or about its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Focus {
    Key,
    Value,
}

/// Another place that belongs to a finding.
#[derive(Debug, Clone, PartialEq)]
pub struct Related {
    pub path: PolicyPath,
    pub place: Option<Place>,
    pub message: String,
}

/// Something the compiler has to say.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    pub code: Code,
    pub weight: Weight,
    /// What is wrong; lower case, no full stop.
    pub message: String,
    /// What was expected at the place itself.
    pub label: Option<String>,
    /// How to mend it, as a sentence.
    pub hint: Option<String>,
    pub path: PolicyPath,
    pub focus: Focus,
    /// Where it stands in the text; found from the path where it is not known yet.
    pub place: Option<Place>,
    pub related: Vec<Related>,
    /// The bytes of the value that are meant, when it is only a part of it.
    pub within: Option<std::ops::Range<usize>>,
    /// The place holds a secret: it is not shown.
    pub masked: bool,
    /// Other places that may hold one.
    pub hidden: Vec<Place>,
    /// The reason it was accepted for, when the policy acknowledges it.
    pub acknowledged: Option<String>,
}

impl Finding {
    pub fn new(code: Code, weight: Weight, path: PolicyPath, message: impl Into<String>) -> Self {
        Finding {
            code,
            weight,
            message: message.into(),
            label: None,
            hint: None,
            path,
            focus: Focus::Value,
            place: None,
            related: Vec::new(),
            within: None,
            masked: false,
            hidden: Vec::new(),
            acknowledged: None,
        }
    }
    pub fn error(code: Code, path: PolicyPath, message: impl Into<String>) -> Self {
        Self::new(code, Weight::Error, path, message)
    }
    pub fn warning(code: Code, path: PolicyPath, message: impl Into<String>) -> Self {
        Self::new(code, Weight::Warning, path, message)
    }
    pub fn note(code: Code, path: PolicyPath, message: impl Into<String>) -> Self {
        Self::new(code, Weight::Note, path, message)
    }
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }
    #[must_use]
    pub fn on_key(mut self) -> Self {
        self.focus = Focus::Key;
        self
    }
    #[must_use]
    pub fn within(mut self, bytes: std::ops::Range<usize>) -> Self {
        self.within = Some(bytes);
        self
    }
    #[must_use]
    pub fn masked(mut self) -> Self {
        self.masked = true;
        self
    }
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }
    #[must_use]
    pub fn related(mut self, path: PolicyPath, message: impl Into<String>) -> Self {
        self.related.push(Related { path, place: None, message: message.into() });
        self
    }
    /// It stops the policy: an error that nobody has acknowledged.
    pub fn is_blocking(&self) -> bool {
        self.weight == Weight::Error && self.acknowledged.is_none()
    }
}

/// Orders findings by where they stand, and leaves out what was said twice.
pub fn sorted(mut findings: Vec<Finding>) -> Vec<Finding> {
    let key = |finding: &Finding| {
        let place = finding.place.as_ref().map(|place| (place.source.name.clone(), place.start, place.end));
        (place, finding.weight, finding.code)
    };
    findings.sort_by_cached_key(key);
    findings.dedup_by(|later, earlier| {
        later.code == earlier.code && later.place == earlier.place && later.message == earlier.message && later.path == earlier.path
    });
    findings
}
