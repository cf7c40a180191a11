//! Somebody's own words inside ours: names, queries, paths and reasons from files that anybody may have written.

use std::fmt;

use crate::units::Duration;
pub use crate::units::visible;

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

/// A word of a command line that people paste into a POSIX shell.
pub fn for_shell(word: &str) -> String {
    let is_plain = !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || "_./:=@+-,".contains(c));
    if is_plain { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// Somebody else's message as a sentence. A first word that is a name keeps its spelling.
pub fn sentence(message: &str) -> String {
    let message = plain(message.trim());
    let is_word = message.split(' ').next().is_some_and(|first| first.chars().all(char::is_alphabetic));
    let mut letters = message.chars();
    let first = letters.next().map(|first| if is_word { first.to_uppercase().collect() } else { first.to_string() }).unwrap_or_default();
    let end = if message.is_empty() || message.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
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

/// `41 min`, in the largest unit of which there are at least two.
pub fn about(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}
