//! Many rows as one text: each value as it is, with a mark between two values and another one between two rows.

/// What no text of the catalog holds, because PostgreSQL has no such character.
const NULL: &str = "\0";
const BETWEEN_VALUES: u8 = 0x1f;
const BETWEEN_ROWS: u8 = 0x1d;

/// SQL that gives how many rows there are and all of them as one text. The columns' own words have no `, ` in them; what is called a value is a
/// fraction, and of those SQLite keeps each digit only in its own quotes.
pub(super) fn sql(columns: &str, rest: &str) -> String {
    let one = |column: &str| if column.ends_with("value") { format!("quote({column})") } else { format!("ifnull({column}, char(0))") };
    let columns: Vec<String> = columns.split(", ").map(one).collect();
    format!(
        "SELECT count(*), group_concat(packed, char({BETWEEN_ROWS})) FROM (SELECT concat_ws(char({BETWEEN_VALUES}), {}) AS packed {rest})",
        columns.join(", ")
    )
}

/// The marks are where they belong and nowhere else: so many rows of these columns, and no text that holds one itself.
pub(super) fn is_whole(text: &str, columns: &str, rows: i64) -> bool {
    let marks = |mark: u8| i64::try_from(memchr::memchr_iter(mark, text.as_bytes()).count()).unwrap_or(i64::MAX);
    let between = i64::try_from(columns.matches(", ").count()).unwrap_or(i64::MAX);
    marks(BETWEEN_ROWS) == (rows - 1).max(0) && marks(BETWEEN_VALUES) == rows.saturating_mul(between)
}

/// Each row of a text that has one.
pub(super) fn each(text: &str) -> impl Iterator<Item = &str> {
    let mut left = Some(text);
    std::iter::from_fn(move || cut(&mut left, BETWEEN_ROWS))
}

/// The next value of a row. None of it where there is nothing; none where that was all.
pub(super) fn next<'t>(left: &mut Option<&'t str>) -> Option<Option<&'t str>> {
    Some(cut(left, BETWEEN_VALUES)?).map(|value| Some(value).filter(|value| *value != NULL))
}

fn cut<'t>(left: &mut Option<&'t str>, mark: u8) -> Option<&'t str> {
    let text = left.take()?;
    let Some(end) = memchr::memchr(mark, text.as_bytes()) else { return Some(text) };
    *left = Some(&text[end + 1..]);
    Some(&text[..end])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COLUMNS: &str = "one, two, three";

    /// As SQLite packs them.
    fn packed(rows: &[[Option<String>; 3]]) -> String {
        let row = |row: &[Option<String>; 3]| row.each_ref().map(|value| value.as_deref().unwrap_or(NULL)).join("\u{1f}");
        rows.iter().map(row).collect::<Vec<_>>().join("\u{1d}")
    }

    fn unpacked(text: &str) -> Vec<[Option<String>; 3]> {
        let values = |mut row: Option<&str>| {
            let values = [0, 1, 2].map(|_| next(&mut row).expect("a value").map(str::to_owned));
            assert_eq!(next(&mut row), None, "that was all");
            values
        };
        each(text).map(|row| values(Some(row))).collect()
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_out(rows in prop::collection::vec(any::<[Option<String>; 3]>(), 1..5)) {
            let holds_marks = |text: &String| text.contains(['\0', '\u{1d}', '\u{1f}']);
            prop_assume!(!rows.iter().flatten().flatten().any(holds_marks));
            let text = packed(&rows);
            prop_assert!(is_whole(&text, COLUMNS, rows.len() as i64));
            prop_assert_eq!(unpacked(&text), rows);
        }
    }

    #[test]
    fn a_mark_in_a_text_does_not_pass() {
        let of = |text: &str| [Some("a".to_owned()), Some(text.to_owned()), None];
        for wrong in ["\u{1f}", "\u{1d}", "a\u{1f}b\u{1d}c\u{1f}d"] {
            assert!(!is_whole(&packed(&[of(wrong)]), COLUMNS, 1), "{wrong:?}");
            assert!(!is_whole(&packed(&[of("b"), of(wrong)]), COLUMNS, 2), "{wrong:?}");
        }
        assert!(is_whole("", COLUMNS, 0));
    }
}
