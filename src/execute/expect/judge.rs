//! Whether what was found is what was expected. Knows no server: what was found is handed in.

use crate::plan::words::{counted, plain, quoted};
use crate::policy::file::Value;
use crate::units::{Decimal, Duration, Instant, Percent};

/// What came of an expectation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub met: bool,
    /// What was found against what was expected, for people.
    pub says: String,
}

impl Verdict {
    pub fn met(says: impl Into<String>) -> Verdict {
        Verdict { met: true, says: says.into() }
    }

    pub fn failed(says: impl Into<String>) -> Verdict {
        Verdict { met: false, says: says.into() }
    }
}

/// What is wrong, of which a few are named.
pub(super) fn all_well(well: String, wrong: &[String]) -> Verdict {
    const NAMED: usize = 5;
    if wrong.is_empty() {
        return Verdict::met(well);
    }
    let mut says = wrong[..wrong.len().min(NAMED)].join("; ");
    if wrong.len() > NAMED {
        says.push_str(&format!("; and {} more", wrong.len() - NAMED));
    }
    Verdict::failed(says)
}

/// A value of a database, as it may be shown: not too long, and nothing in it that acts on a terminal or ends a quotation.
pub(super) fn shown(value: Option<&str>) -> String {
    const LIMIT: usize = 80;
    let Some(value) = value else { return "null".to_owned() };
    let mut short: String = value.chars().take(LIMIT).collect();
    if value.chars().nth(LIMIT).is_some() {
        short.push('…');
    }
    quoted(short)
}

/// A number of something: `1 204 rows`.
fn figure(number: &Decimal, unit: &str) -> String {
    match unit {
        "" => number.to_string(),
        unit if *number == Decimal::from(1_u64) => format!("{number} {unit}"),
        unit => format!("{number} {unit}s"),
    }
}

/// `count(*)` counts rows; of any other column nobody knows what it counts.
pub(super) fn unit_of(column: &str) -> &'static str {
    if column == "count" { "row" } else { "" }
}

/// By its meaning, and not by how it is written.
fn is_so(wanted: &Value, found: Option<&str>) -> bool {
    match (wanted, found) {
        (Value::Bool(wanted), Some("t" | "true")) => *wanted,
        (Value::Bool(wanted), Some("f" | "false")) => !*wanted,
        (Value::Bool(_), _) => false,
        (Value::Number(wanted), found) => found.and_then(|found| found.parse::<Decimal>().ok()).as_ref() == Some(wanted),
        (Value::Text(wanted), found) => found == Some(wanted.as_str()),
    }
}

fn word(value: &Value) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        Value::Text(value) => value.clone(),
    }
}

/// Each of the rows was found as often as it is wanted, and no other; `found` has one more where there are more.
pub(super) fn rows(wanted: &[Vec<Value>], found: &[Vec<Option<&str>>]) -> Verdict {
    let columns = wanted.first().map_or(0, Vec::len);
    if let Some(other) = found.iter().map(Vec::len).find(|there| *there != columns) {
        return Verdict::failed(format!("{} came, {columns} expected", tally(other, "column")));
    }
    let mut left: Vec<&Vec<Option<&str>>> = found.iter().collect();
    let mut wrong = Vec::new();
    for row in wanted {
        let is_it = |there: &&Vec<Option<&str>>| row.iter().zip(there.iter()).all(|(wanted, found)| is_so(wanted, *found));
        match left.iter().position(is_it) {
            Some(at) => {
                left.remove(at);
            }
            None => wrong.push(format!("{} is missing", shown(Some(&row.iter().map(word).collect::<Vec<_>>().join(", "))))),
        }
    }
    let text = |row: &[Option<&str>]| row.iter().map(|value| value.unwrap_or("null")).collect::<Vec<_>>().join(", ");
    wrong.extend(left.iter().map(|row| format!("{} is not expected", shown(Some(&text(row))))));
    all_well(format!("{}, as expected", figure(&Decimal::from(found.len() as u64), "row")), &wrong)
}

pub(super) fn is(wanted: &Value, found: Option<&str>) -> Verdict {
    let met = is_so(wanted, found);
    let wanted = match wanted {
        Value::Text(wanted) => shown(Some(wanted)),
        plain => word(plain),
    };
    let found = match found {
        Some("t") => "true".to_owned(),
        Some("f") => "false".to_owned(),
        found => found.and_then(|found| found.parse::<Decimal>().ok()).map_or_else(|| shown(found), |number| number.to_string()),
    };
    Verdict { met, says: if met { format!("{found}, as expected") } else { format!("{found}, {wanted} expected") } }
}

pub(super) fn range(least: Option<&Decimal>, most: Option<&Decimal>, found: Option<&str>, unit: &str) -> Verdict {
    let expected = match (least, most) {
        (Some(least), Some(most)) => format!("between {least} and {most}"),
        (Some(least), None) => format!("at least {least}"),
        (None, Some(most)) => format!("at most {most}"),
        (None, None) => String::new(),
    };
    let Some(number) = found.and_then(|found| found.parse::<Decimal>().ok()) else {
        return Verdict::failed(format!("{} is not a number, {expected} expected", shown(found)));
    };
    let met = least.is_none_or(|least| number >= *least) && most.is_none_or(|most| number <= *most);
    Verdict { met, says: format!("{}, {expected} expected", figure(&number, unit)) }
}

/// `found` rows of which the first is shown; from so many on nobody counted further.
pub(super) fn no_rows(found: u64, first: &str, counted_to: u64) -> Verdict {
    if found == 0 {
        return Verdict::met("no rows, as expected");
    }
    let count =
        if found >= counted_to { format!("{} rows or more", Decimal::from(counted_to)) } else { figure(&Decimal::from(found), "row") };
    Verdict::failed(format!("{count}, none expected; the first is {first}"))
}

pub(super) fn some_rows(found: u64) -> Verdict {
    if found > 0 { Verdict::met("rows are there, as expected") } else { Verdict::failed("no rows, at least one expected") }
}

/// `age` is seen from `at`, the moment that was recovered to.
pub(super) fn newer_than(age: Duration, found: Instant, at: Instant) -> Verdict {
    let moment = found.strftime("%Y-%m-%d %H:%M:%S UTC");
    let behind = at.duration_since(found);
    let met = behind <= age.to_signed();
    let old = if found >= at { "not older than what was recovered to".to_owned() } else { format!("{} old", Duration::between(found, at)) };
    Verdict { met, says: format!("{moment} is {old}, at most {age} expected") }
}

pub(super) fn like_source(tolerance: Percent, found: Option<&str>, recorded: Option<&str>, unit: &str) -> Verdict {
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<Decimal>().ok());
    if let (Some(own), Some(theirs)) = (number(found), number(recorded)) {
        // What is equal needs no share, and a share needs no last digit.
        let (one, other) = (own.as_f64(), theirs.as_f64());
        let met = own == theirs || tolerance.tenths() > 0 && (one - other).abs() <= tolerance.as_fraction() * other.abs();
        let says = format!("{}, and the original had {theirs}; {tolerance} more or less expected", figure(&own, unit));
        return Verdict { met, says };
    }
    let met = found == recorded;
    let says = if met {
        format!("{}, as in the original", shown(found))
    } else {
        format!("{}, and the original had {}", shown(found), shown(recorded))
    };
    Verdict { met, says }
}

/// What is missing of the rows of a table; nothing where enough are there. Rows that came since are no loss.
pub(super) fn rows_lost(table: &str, recorded: u64, found: u64) -> Option<String> {
    // Estimates are off by so much, and a small table may well have been emptied since.
    const SLACK: u64 = 1_000;
    let enough = recorded - recorded / 10;
    let lost = found < enough && recorded - found > SLACK;
    lost.then(|| {
        format!("{} has {}, and about {} were recorded", quoted(table), figure(&Decimal::from(found), "row"), Decimal::from(recorded))
    })
}

/// How many chunks may be missing of a hypertable: as many as may have grown too old since, and one slice more.
pub(super) fn chunks_that_may_be_gone(every: Option<Duration>, partitions: u32, recorded: u64, since: jiff::SignedDuration) -> u64 {
    let slices = match every.map(|every| every.as_secs()) {
        Some(every @ 1..) => since.as_secs().unsigned_abs().div_ceil(every),
        _ => recorded / 10,
    };
    (slices + 1).saturating_mul(u64::from(partitions.max(1)))
}

/// `41 chunks as recorded`; where they are not as many, both figures.
pub(super) fn counted_beside(found: u64, recorded: u64, one: &str) -> String {
    if found == recorded {
        format!("{} as recorded", counted(found, one))
    } else {
        format!("{}, and {recorded} were recorded", counted(found, one))
    }
}

/// What the server said, on one line.
pub(super) fn said(message: &str) -> String {
    plain(message)
}

/// `3 foreign keys and 12 constraints`
pub(super) fn tally(count: usize, one: &str) -> String {
    counted(count, one)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Value {
        Value::Number(text.parse().expect("a number"))
    }

    fn decimal(text: &str) -> Decimal {
        text.parse().expect("a number")
    }

    fn at(text: &str) -> Instant {
        text.parse().expect("a moment")
    }

    #[test]
    fn a_value_is_what_it_means_and_not_how_it_is_written() {
        for (wanted, found, met) in [
            (Value::Bool(true), Some("t"), true),
            (Value::Bool(true), Some("f"), false),
            (Value::Bool(false), Some("f"), true),
            (Value::Bool(true), Some("1"), false),
            (number("5"), Some("5.00"), true),
            (number("9007199254740993"), Some("9007199254740992"), false),
            (number("0"), None, false),
            (number("0"), Some("NaN"), false),
            (Value::Text("5".into()), Some("5"), true),
            (Value::Text("5".into()), Some("5.0"), false),
            (Value::Text(String::new()), None, false),
        ] {
            assert_eq!(is(&wanted, found).met, met, "{wanted:?} {found:?}");
        }
        assert_eq!(is(&Value::Bool(true), Some("f")).says, "false, true expected");
        assert_eq!(is(&number("1000"), Some("1204.50")).says, "1 204.5, 1 000 expected");
        assert_eq!(is(&Value::Text("ok".into()), Some("ok")).says, "`ok`, as expected");
    }

    #[test]
    fn rows_are_a_set_in_which_each_counts() {
        let wanted = [vec![Value::Text("EUR".into()), number("2")], vec![Value::Text("JPY".into()), number("0")]];
        let found = |rows: &[(&'static str, Option<&'static str>)]| -> Vec<Vec<Option<&'static str>>> {
            rows.iter().map(|(code, digits)| vec![Some(*code), *digits]).collect()
        };
        let (eur, jpy) = (("EUR", Some("2.0")), ("JPY", Some("0")));
        assert_eq!(rows(&wanted, &found(&[jpy, eur])), Verdict::met("2 rows, as expected"));
        assert_eq!(rows(&wanted, &found(&[eur])).says, "`JPY, 0` is missing");
        assert_eq!(rows(&wanted, &found(&[eur, jpy, jpy])).says, "`JPY, 0` is not expected");
        assert_eq!(rows(&wanted, &found(&[eur, ("JPY", None)])).says, "`JPY, 0` is missing; `JPY, null` is not expected");
        assert_eq!(rows(&wanted, &[vec![Some("EUR")]]).says, "1 column came, 2 expected");
        let twice = [wanted[0].clone(), wanted[0].clone()];
        assert!(rows(&twice, &found(&[eur, eur])).met && !rows(&twice, &found(&[eur])).met);
    }

    #[test]
    fn limits_are_exact_and_part_of_the_range() {
        let limit = decimal("1000000");
        let short = range(Some(&limit), None, Some("1204"), "row");
        assert_eq!(short, Verdict::failed("1 204 rows, at least 1 000 000 expected"));
        assert!(range(Some(&limit), None, Some("1000000"), "row").met);
        assert!(!range(Some(&limit), None, Some("999999.9999999999999999999999"), "").met);
        assert_eq!(range(None, Some(&limit), Some("1"), "row").says, "1 row, at most 1 000 000 expected");
        assert_eq!(range(Some(&decimal("1")), Some(&decimal("2")), None, "").says, "null is not a number, between 1 and 2 expected");
        assert!(!range(Some(&limit), None, Some("Infinity"), "").met);
    }

    #[test]
    fn age_is_seen_from_the_moment_that_was_recovered_to() {
        let recovered = at("2026-11-21T10:00:00Z");
        let age = Duration::from_mins(15);
        assert!(newer_than(age, at("2026-11-21T09:45:00Z"), recovered).met);
        let old = newer_than(age, at("2026-11-21T09:44:59Z"), recovered);
        assert_eq!(old, Verdict::failed("2026-11-21 09:44:59 UTC is 15m 1s old, at most 15m expected"));
        assert!(newer_than(age, at("2027-01-01T00:00:00Z"), recovered).met);
    }

    #[test]
    fn like_the_original_is_within_the_share_of_the_original() {
        let one = Percent::new(1);
        for (found, recorded, met) in [
            (Some("990"), Some("1000"), true),
            (Some("989"), Some("1000"), false),
            (Some("1010"), Some("1000"), true),
            (Some("-1011"), Some("-1000"), false),
            (Some("0"), Some("0"), true),
            (Some("1"), Some("0"), false),
            (Some("abc"), Some("abc"), true),
            (Some("abc"), Some("abd"), false),
            (None, None, true),
            (None, Some("1"), false),
        ] {
            assert_eq!(like_source(one, found, recorded, "").met, met, "{found:?} {recorded:?}");
        }
        assert_eq!(
            like_source(one, Some("900"), Some("1000"), "row").says,
            "900 rows, and the original had 1 000; 1% more or less expected"
        );
        assert!(!like_source(Percent::new(0), Some("9007199254740993"), Some("9007199254740992"), "").met);
    }

    #[test]
    fn what_a_database_holds_cannot_deceive_who_reads_it() {
        let evil = "`rm`\u{1b}[2J\n\u{202e}drow";
        let text = shown(Some(evil));
        assert!(text.starts_with('`') && text.ends_with('`') && text.matches('`').count() == 2, "{text}");
        assert!(!text.chars().any(crate::units::is_wild), "{text:?}");
        assert!(shown(Some(&"x".repeat(10_000))).chars().count() < 100);
        assert_eq!((shown(None), shown(Some(""))), ("null".into(), "`\"\"`".into()));
    }

    #[test]
    fn only_rows_that_are_gone_count() {
        assert_eq!(rows_lost("t", 100_000, 95_000), None);
        assert_eq!(rows_lost("t", 100_000, 500_000), None);
        assert_eq!(rows_lost("t", 900, 0), None);
        assert_eq!(rows_lost("t", 100_000, 89_999).as_deref(), Some("`t` has 89 999 rows, and about 100 000 were recorded"));
    }

    #[test]
    fn many_things_that_are_wrong_are_named_and_counted() {
        let wrong: Vec<String> = (1..=7).map(|n| format!("`t{n}`")).collect();
        assert_eq!(all_well(String::new(), &wrong).says, "`t1`; `t2`; `t3`; `t4`; `t5`; and 2 more");
    }

    proptest! {
        #[test]
        fn a_range_agrees_with_whole_numbers(least in any::<i32>(), most in any::<i32>(), found in any::<i32>()) {
            let (one, other) = (Decimal::from(i64::from(least)), Decimal::from(i64::from(most)));
            let verdict = range(Some(&one), Some(&other), Some(&found.to_string()), "");
            prop_assert_eq!(verdict.met, least <= found && found <= most);
        }

        #[test]
        fn no_value_breaks_what_is_said(text in ".*") {
            for verdict in [is(&Value::Bool(true), Some(&text)), range(Some(&Decimal::from(1_u64)), None, Some(&text), "row"), like_source(Percent::new(1), Some(&text), None, "")] {
                prop_assert!(!verdict.says.chars().any(crate::units::is_wild));
                prop_assert!(verdict.says.chars().count() < 400);
            }
        }
    }
}
