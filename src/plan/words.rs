//! Somebody's own words inside ours: names, queries, paths and reasons from files that anybody may have written.

use std::fmt;

use crate::units::Duration;

/// Somebody's own words between backticks: whatever they are, they stay there.
pub fn quoted(text: impl fmt::Display) -> String {
    let text = plain(text);
    if text.is_empty() { "`\"\"`".into() } else { format!("`{text}`") }
}

/// Somebody's own words, on one line, without a sign that would act on a terminal or end a quotation.
pub fn plain(text: impl fmt::Display) -> String {
    const LIMIT: usize = 400;
    let text = text.to_string();
    let tame = |c: char| match c {
        '`' => '\'',
        '\n' | '\r' | '\t' => ' ',
        c => visible(c),
    };
    let mut shown: String = text.chars().take(LIMIT).map(tame).collect();
    if text.chars().nth(LIMIT).is_some() {
        shown.push('…');
    }
    shown
}

/// `a`, `a and b`, `a, b and c`
pub fn joined(words: impl IntoIterator<Item = impl fmt::Display>) -> String {
    let mut words: Vec<String> = words.into_iter().map(|word| word.to_string()).collect();
    match words.pop() {
        Some(last) if !words.is_empty() => format!("{} and {last}", words.join(", ")),
        Some(last) => last,
        None => String::new(),
    }
}

/// `1 backup`, `2 backups`
pub fn counted<N: PartialEq + From<u8> + fmt::Display>(count: N, one: &str) -> String {
    if count == N::from(1) { format!("1 {one}") } else { format!("{count} {one}s") }
}

/// The same sign, unless it acts on a terminal or deceives the eye.
pub fn visible(c: char) -> char {
    let unseen = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    if c.is_control() || unseen { '\u{fffd}' } else { c }
}

/// A span as people say it: `7 days`, `1 hour`.
pub fn span(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0 => length.to_string(),
        _ if seconds.is_multiple_of(86_400) => counted(seconds / 86_400, "day"),
        _ if seconds < 86_400 && seconds.is_multiple_of(3_600) => counted(seconds / 3_600, "hour"),
        _ if seconds < 3_600 && seconds.is_multiple_of(60) => counted(seconds / 60, "minute"),
        _ => length.to_string(),
    }
}
