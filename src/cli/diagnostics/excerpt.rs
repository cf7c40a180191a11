//! The piece of a line that a finding is about, fit to be printed.

use std::ops::Range;
use std::sync::Arc;

use super::secrets::{STARS, Secrets};
use crate::cli::terminal::is_wild;
use crate::policy::source::{Place, Source};

/// Longer lines are cut around what they are shown for.
const MAX_LINE: usize = 240;
const BEFORE: usize = 60;
const AFTER: usize = 120;

/// A line, or a window in a long one.
#[derive(Debug)]
pub(super) struct Excerpt {
    pub text: String,
    /// The finding's place in `text`; of one over several lines, the first.
    pub span: Range<usize>,
    pub line: usize,
    /// The column in the file itself.
    pub column: usize,
}

impl Excerpt {
    /// A whole line, or its beginning, counted from 1.
    pub(super) fn of_line(source: &Arc<Source>, line: usize, secrets: &Secrets) -> String {
        let start = source.line_start(line);
        Excerpt::of(&Place::new(source, start, start), secrets).map(|excerpt| excerpt.text).unwrap_or_default()
    }

    /// None when the text could not be read.
    pub(super) fn of(place: &Place, secrets: &Secrets) -> Option<Self> {
        let text = &place.source.text;
        if text.is_empty() {
            return None;
        }
        let start = place.start.min(text.len());
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let line_end = if text[line_start..line_end].ends_with('\r') { line_end - 1 } else { line_end };
        let start = start.min(line_end);
        let end = place.end.clamp(start, line_end);
        let window = if line_end - line_start <= MAX_LINE {
            line_start..line_end
        } else {
            floor(text, line_start.max(start.saturating_sub(BEFORE)))..floor(text, line_end.min(start + AFTER))
        };
        let end = end.min(window.end);
        let hidden = secrets.in_line(&place.source, window.clone());
        let position = place.start_position();
        let (shown, span) = printable(text, &window, start..end, &hidden, window.start > line_start, window.end < line_end);
        Some(Excerpt { text: shown, span, line: position.line, column: position.column })
    }
}

/// The window as it is printed, and where the span comes to lie in it.
fn printable(
    text: &str,
    window: &Range<usize>,
    span: Range<usize>,
    hidden: &[Range<usize>],
    cut_before: bool,
    cut_after: bool,
) -> (String, Range<usize>) {
    let mut shown = String::new();
    if cut_before {
        shown.push('…');
    }
    let (mut from, mut to) = (None, None);
    for (offset, c) in text[window.clone()].char_indices() {
        let at = window.start + offset;
        let mask = hidden.iter().find(|range| range.contains(&at));
        let begins = mask.is_some_and(|range| range.start == at || at == window.start);
        // The span's ends lie before or behind the stars, never among them.
        if from.is_none() && at >= span.start {
            from = Some(if mask.is_some() && !begins { shown.len() - STARS.len() } else { shown.len() });
        }
        if to.is_none() && at >= span.end && (mask.is_none() || begins) {
            to = Some(shown.len());
        }
        match mask {
            Some(_) if begins => shown.push_str(STARS),
            Some(_) => {}
            None if c == '\t' => shown.push('→'),
            None if is_wild(c) => shown.push('\u{fffd}'),
            None => shown.push(c),
        }
    }
    let from = from.unwrap_or(shown.len());
    let to = to.unwrap_or(shown.len()).max(from);
    if cut_after {
        shown.push('…');
    }
    (shown, from..to)
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excerpt(text: &str, span: Range<usize>) -> Excerpt {
        let source = Source::new("x.yaml", "x.yaml", text.to_owned());
        Excerpt::of(&Place::new(&source, span.start, span.end), &Secrets::default()).expect("the text is not empty")
    }

    #[test]
    fn a_long_line_is_cut_around_the_span() {
        let text = format!("{}needle{}", "a".repeat(500_000), "b".repeat(500_000));
        let excerpt = excerpt(&text, 500_000..500_006);
        assert!(excerpt.text.len() < 300, "{}", excerpt.text.len());
        assert_eq!(&excerpt.text[excerpt.span], "needle");
        assert_eq!((excerpt.line, excerpt.column), (1, 500_001));
    }

    #[test]
    fn nothing_acts_on_the_terminal() {
        let excerpt = excerpt("a: \u{1b}[31m\u{202e}x\t\u{7}\n", 3..8);
        assert!(!excerpt.text.chars().any(is_wild), "{:?}", excerpt.text);
    }

    #[test]
    fn a_secret_becomes_stars_and_is_underlined() {
        let excerpt = excerpt("password: hunter2 # x", 10..17);
        assert_eq!(excerpt.text, "password: ******** # x");
        assert_eq!(&excerpt.text[excerpt.span], STARS);
    }
}
