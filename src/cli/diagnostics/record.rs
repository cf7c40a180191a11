//! Findings for programs.

use schemars::JsonSchema;
use serde::Serialize;

use super::secrets::Secrets;
use crate::cli::terminal::tame;
use crate::policy::finding::{Finding, Weight};
use crate::policy::source::Place;

/// Something that was found.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct FindingRecord {
    /// The stable code; `seawall explain CODE` has more.
    #[schemars(regex(pattern = r"^SW[0-9]{4}$"))]
    pub code: String,
    /// How much it weighs.
    pub severity: Weight,
    #[serde(flatten)]
    pub place: Option<PlaceRecord>,
    /// Where in the policy, for example `backups.nightly.keep`; empty for the whole.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What was expected at the place.
    pub expected: Option<String>,
    /// How to mend it.
    pub hint: Option<String>,
    /// Other places that belong to it.
    pub related: Vec<RelatedRecord>,
    /// The reason for which the policy accepts it, if it does.
    pub acknowledged: Option<String>,
}

/// A stretch of a file.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PlaceRecord {
    /// The file, as it was named; `<stdin>` for standard input.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    pub end_line: usize,
    /// The column behind the last character.
    pub end_column: usize,
}

/// Another place that belongs to a finding.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RelatedRecord {
    #[serde(flatten)]
    pub place: Option<PlaceRecord>,
    pub path: String,
    pub message: String,
}

/// A finding as it is given to programs.
pub fn record(finding: &Finding, secrets: &Secrets) -> FindingRecord {
    let clean = |text: &String| secrets.clean(text);
    FindingRecord {
        code: finding.code.to_string(),
        severity: finding.weight,
        place: finding.place.as_ref().map(placed),
        path: secrets.clean(&finding.path.to_string()),
        message: clean(&finding.message),
        expected: finding.label.as_ref().map(clean),
        hint: finding.hint.as_ref().map(clean),
        related: finding
            .related
            .iter()
            .map(|related| RelatedRecord {
                place: related.place.as_ref().map(placed),
                path: secrets.clean(&related.path.to_string()),
                message: clean(&related.message),
            })
            .collect(),
        acknowledged: finding.acknowledged.as_ref().map(clean),
    }
}

pub(super) fn placed(place: &Place) -> PlaceRecord {
    let (start, end) = (place.start_position(), place.end_position());
    PlaceRecord {
        file: tame(&place.source.name).into_owned(),
        line: start.line,
        column: start.column,
        end_line: end.line,
        end_column: end.column,
    }
}
