//! The known name that a misspelt one was probably meant to be.

/// The candidate closest to `text`: the same but for case, otherwise the fewest edits, and none when all are far away.
pub(super) fn nearest<'c>(text: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    const LIMIT: usize = 64;
    if text.len() > LIMIT {
        return None;
    }
    let wanted = text.to_ascii_lowercase();
    let allowed = (wanted.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (edits(&wanted, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours between two short texts.
fn edits(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut above: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    let mut last = None;
    for (line, letter) in left.chars().enumerate() {
        let mut next = vec![line + 1];
        for (column, other) in right.iter().enumerate() {
            let replaced = row[column] + usize::from(letter != *other);
            let mut cost = replaced.min(row[column + 1] + 1).min(next[column] + 1);
            if column > 0 && last == Some(*other) && right[column - 1] == letter {
                cost = cost.min(above[column - 1] + 1);
            }
            next.push(cost);
        }
        above = std::mem::replace(&mut row, next);
        last = Some(letter);
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewest_edits_win_and_strangers_are_not_suggested() {
        let names = ["Europe/Oslo", "Europe/Rome", "UTC"];
        assert_eq!(nearest("europe/oslo", names), Some("Europe/Oslo"));
        assert_eq!(nearest("Europe/Olso", names), Some("Europe/Oslo"));
        assert_eq!(nearest("UCT", names), Some("UTC"));
        assert_eq!(nearest("Mars/Olympus", names), None);
        assert_eq!(nearest("", names), None);
    }
}
