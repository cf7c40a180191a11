//! Findings for people, for programs and for GitHub. Whatever the form: no secret, and nothing that acts on a terminal.

mod excerpt;
mod github;
mod guess;
mod human;
mod record;
mod secrets;

pub use github::annotations;
pub use human::{render, summary};
pub use record::{FindingRecord, RelatedRecord, record};
pub use secrets::Secrets;

use std::collections::HashMap;

use crate::policy::finding::Finding;

/// How many findings of one file are shown; nobody reads on.
pub const MAX_SHOWN: usize = 200;

/// The findings that are shown, and of which files how many are not.
#[derive(Debug)]
pub struct Shown<'f> {
    pub findings: Vec<&'f Finding>,
    /// In the order of the files.
    pub omitted: Vec<(String, usize)>,
}

impl<'f> Shown<'f> {
    pub fn of(findings: &'f [Finding]) -> Self {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        let mut shown = Shown { findings: Vec::new(), omitted: Vec::new() };
        for finding in findings {
            let file = finding.place.as_ref().map_or("", |place| place.source.name.as_str());
            let count = counts.entry(file).or_default();
            *count += 1;
            if *count <= MAX_SHOWN {
                shown.findings.push(finding);
            } else if let Some((_, omitted)) = shown.omitted.iter_mut().find(|(name, _)| name == file) {
                *omitted += 1;
            } else {
                shown.omitted.push((file.to_owned(), 1));
            }
        }
        shown
    }

    pub fn how_many_omitted(&self) -> usize {
        self.omitted.iter().map(|(_, omitted)| omitted).sum()
    }
}
