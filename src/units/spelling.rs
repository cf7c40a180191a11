/// The candidate that was probably meant by a misspelt word: the same but for case and hyphens, otherwise the fewest
/// edits, and none when all are far away.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    // Long nonsense is not worth comparing letter by letter.
    const LIMIT: usize = 64;
    if word.len() > LIMIT {
        return None;
    }
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    let word = plain(word);
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &plain(candidate)), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_fewest_edits_win_and_strangers_are_not_suggested() {
        let names = ["Europe/Oslo", "Europe/Rome", "UTC"];
        assert_eq!(nearest("europe/oslo", names), Some("Europe/Oslo"));
        assert_eq!(nearest("Europe/Olso", names), Some("Europe/Oslo"));
        assert_eq!(nearest("UCT", names), Some("UTC"));
        assert_eq!(nearest("Mars/Olympus", names), None);
        assert_eq!(nearest("", names), None);
        assert_eq!(nearest("storage-class", ["storage_class"]), Some("storage_class"));
    }
}
