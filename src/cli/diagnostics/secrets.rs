//! What must not be shown.

use std::collections::HashMap;
use std::ops::Range;

use super::guess::guessed;
use crate::cli::terminal::tame;
use crate::policy::finding::Finding;
use crate::policy::source::Source;

/// Stands for a secret, whatever its length.
pub const STARS: &str = "********";
/// A shorter text may be part of anything: replacing it everywhere would garble messages and hide nothing.
const MIN_WORD: usize = 6;

/// The secrets in the texts that findings are about: those the checks have found, and what looks like one.
#[derive(Debug, Default)]
pub struct Secrets {
    places: HashMap<String, Vec<Range<usize>>>,
    words: Vec<String>,
}

impl Secrets {
    pub fn of<'f>(findings: impl IntoIterator<Item = &'f Finding>) -> Self {
        let mut secrets = Secrets::default();
        let secret = |finding: &'f Finding| finding.hidden.iter().chain(finding.place.as_ref().filter(|_| finding.masked));
        for place in findings.into_iter().flat_map(secret) {
            secrets.places.entry(place.source.name.clone()).or_default().push(place.start..place.end);
            for line in place.text().lines().map(|line| line.trim().trim_matches(['"', '\''])) {
                if line.len() >= MIN_WORD && !secrets.words.iter().any(|word| word == line) {
                    secrets.words.push(line.to_owned());
                }
            }
        }
        secrets.words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        secrets
    }

    /// A message, a label, a hint: without secrets and without signs that act on a terminal.
    pub fn clean(&self, text: &str) -> String {
        let mut clean = text.to_owned();
        for word in &self.words {
            if clean.contains(word) {
                clean = clean.replace(word, STARS);
            }
        }
        for range in guessed("", &clean).into_iter().rev() {
            // Messages quote keys and values: `password: x` in one of ours is an example, so only what is certain goes.
            if clean[..range.start].ends_with([':', '=']) {
                clean.replace_range(range, STARS);
            }
        }
        tame(&clean).into_owned()
    }

    /// The stretches of `window`, a part of one line of the source, that are not shown; ordered, none touching another.
    pub fn in_line(&self, source: &Source, window: Range<usize>) -> Vec<Range<usize>> {
        const LOOK_BACK: usize = 4096;
        let line_start = source.text[..window.start].rfind('\n').map_or(0, |at| at + 1);
        let before = source.text[..line_start].trim_end().lines().next_back().unwrap_or_default();
        let mut from = line_start.max(window.start.saturating_sub(LOOK_BACK));
        while !source.text.is_char_boundary(from) {
            from += 1;
        }
        let line = &source.text[from..window.end];
        let mut hidden: Vec<Range<usize>> = guessed(before, line).into_iter().map(|range| range.start + from..range.end + from).collect();
        hidden.extend(self.places.get(&source.name).into_iter().flatten().cloned());
        for word in &self.words {
            hidden.extend(line.match_indices(word.as_str()).map(|(at, word)| at + from..at + from + word.len()));
        }
        let mut hidden: Vec<Range<usize>> = hidden
            .into_iter()
            .map(|range| range.start.max(window.start)..range.end.min(window.end))
            .filter(|range| range.start < range.end)
            .collect();
        hidden.sort_by_key(|range| range.start);
        let mut joined: Vec<Range<usize>> = Vec::new();
        for range in hidden {
            match joined.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => joined.push(range),
            }
        }
        joined
    }
}
