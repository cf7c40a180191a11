//! The difference of two texts, as patches write it.

use std::fmt::Write as _;

/// How many lines that are alike are shown around those that are not.
const AROUND: usize = 3;

/// One line of the way from the old text to the new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line<'t> {
    Same(&'t str),
    Gone(&'t str),
    New(&'t str),
}

/// What leads from `old` to `new`; nothing when they are alike. Where there is no such file, the text is empty and the name `/dev/null`.
pub fn unified(old_name: &str, old: &str, new_name: &str, new: &str) -> String {
    if old == new {
        return String::new();
    }
    let lines = way(&whole_lines(old), &whole_lines(new));
    let mut text = format!("--- {old_name}\n+++ {new_name}\n");
    let changed: Vec<usize> = (0..lines.len()).filter(|index| !matches!(lines[*index], Line::Same(_))).collect();
    let mut rest = changed.as_slice();
    while let Some(first) = rest.first() {
        // Changes that stand close together are shown in one piece.
        let close = 1 + rest.windows(2).take_while(|pair| pair[1] - pair[0] <= 2 * AROUND + 1).count();
        let (from, to) = (first.saturating_sub(AROUND), (rest[close - 1] + AROUND + 1).min(lines.len()));
        text.push_str(&piece(&lines, from, to));
        rest = &rest[close..];
    }
    text
}

/// The lines with their ends.
fn whole_lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

fn piece(lines: &[Line<'_>], from: usize, to: usize) -> String {
    // In the old text and in the new one.
    let old = |line: &&Line<'_>| !matches!(line, Line::New(_));
    let new = |line: &&Line<'_>| !matches!(line, Line::Gone(_));
    let old = place(lines[..from].iter().filter(old).count(), lines[from..to].iter().filter(old).count());
    let new = place(lines[..from].iter().filter(new).count(), lines[from..to].iter().filter(new).count());
    let mut text = format!("@@ -{old} +{new} @@\n");
    for line in &lines[from..to] {
        let (sign, line) = match line {
            Line::Same(line) => (' ', line),
            Line::Gone(line) => ('-', line),
            Line::New(line) => ('+', line),
        };
        match line.strip_suffix('\n') {
            Some(line) => writeln!(text, "{sign}{line}"),
            None => writeln!(text, "{sign}{line}\n\\ No newline at end of file"),
        }
        .expect("a string takes all");
    }
    text
}

/// So many lines, behind so many others. None stand behind the line before them.
fn place(before: usize, length: usize) -> String {
    if length == 0 { format!("{before},0") } else { format!("{},{length}", before + 1) }
}

/// The way with the most lines left as they are. Units are short, so the table of all pairs is small.
fn way<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<Line<'t>> {
    let mut alike = vec![vec![0u32; new.len() + 1]; old.len() + 1];
    for (i, one) in old.iter().enumerate().rev() {
        for (j, other) in new.iter().enumerate().rev() {
            alike[i][j] = if one == other { alike[i + 1][j + 1] + 1 } else { alike[i + 1][j].max(alike[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push(Line::Same(old[i]));
            (i, j) = (i + 1, j + 1);
        } else if i < old.len() && (j == new.len() || alike[i + 1][j] >= alike[i][j + 1]) {
            lines.push(Line::Gone(old[i]));
            i += 1;
        } else {
            lines.push(Line::New(new[j]));
            j += 1;
        }
    }
    lines
}
