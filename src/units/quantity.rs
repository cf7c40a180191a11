//! What every quantity with a unit has in common: reading `12 weeks` or `1h30m` into numbers and unit names.

use thiserror::Error;

/// Why a text is not the quantity it should be, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct QuantityError {
    pub fault: QuantityFault,
    pub message: String,
    pub hint: String,
}

/// The kinds of mistake, so that callers need not read messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuantityFault {
    /// Not of the written form at all.
    Form,
    /// A bare number.
    MissingUnit,
    UnknownUnit,
    Negative,
    /// Well formed, but nothing.
    Zero,
    /// Well formed, but beyond what the type holds.
    TooLarge,
}

impl QuantityFault {
    /// The schema's pattern accepts the text: the mistake is in the value, not in the form.
    pub fn is_of_value(self) -> bool {
        matches!(self, QuantityFault::Zero | QuantityFault::TooLarge)
    }
}

impl QuantityError {
    pub(crate) fn new(fault: QuantityFault, message: impl Into<String>, hint: impl Into<String>) -> Self {
        QuantityError { fault, message: message.into(), hint: hint.into() }
    }
}

/// What a quantity is, for messages: `kind` as in "is not a `kind`", `like` an example, `units` the unit names.
pub(crate) struct Kind {
    pub kind: &'static str,
    pub like: &'static str,
    pub units: &'static str,
}

/// The digits and unit names of `text`, in order: `1h30m` gives `(1, "h"), (30, "m")`.
///
/// At most one space stands between a number and its unit, and between one such pair and the next.
pub(crate) fn terms<'t>(text: &'t str, kind: &Kind) -> Result<Vec<(u64, &'t str)>, QuantityError> {
    let hint = || format!("Write a number and a unit, for example `{}` (units: {}).", kind.like, kind.units);
    let form = || QuantityError::new(QuantityFault::Form, format!("`{}` is not a {}", clipped(text), kind.kind), hint());
    if text.strip_prefix('-').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
        return Err(QuantityError::new(
            QuantityFault::Negative,
            format!("`{}` is negative", clipped(text)),
            format!("A {} counts forward: write it without the minus sign.", kind.kind),
        ));
    }
    let mut found = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if digits == 0 {
            return Err(form());
        }
        let (number, after) = rest.split_at(digits);
        let after = after.strip_prefix(' ').unwrap_or(after);
        let letters = after.len() - after.trim_start_matches(|c: char| c.is_ascii_alphabetic() || c == '/').len();
        let (unit, after) = after.split_at(letters);
        if unit.is_empty() {
            let fraction = after.strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
            if fraction {
                let mut error = form();
                error.hint = format!("Only whole numbers are read: write it in a smaller unit (units: {}).", kind.units);
                return Err(error);
            }
            if after.is_empty() && found.is_empty() {
                return Err(QuantityError::new(QuantityFault::MissingUnit, format!("`{}` has no unit", clipped(text)), hint()));
            }
            return Err(form());
        }
        // The digits can only be too many. Units are judged before sizes, so the largest number stands for all of them.
        found.push((number.parse().unwrap_or(u64::MAX), unit));
        rest = match after.strip_prefix(' ') {
            Some("") => return Err(form()),
            Some(more) => more,
            None => after,
        };
    }
    if found.is_empty() { Err(form()) } else { Ok(found) }
}

pub(crate) fn too_large(text: &str, kind: &Kind) -> QuantityError {
    QuantityError::new(
        QuantityFault::TooLarge,
        format!("`{}` is larger than any {} can be", clipped(text), kind.kind),
        format!("Write a smaller one, for example `{}`.", kind.like),
    )
}

pub(crate) fn zero(text: &str, kind: &Kind) -> QuantityError {
    QuantityError::new(
        QuantityFault::Zero,
        format!("`{}` is zero", clipped(text)),
        format!("Write a {} greater than zero, or leave the key out.", kind.kind),
    )
}

pub(crate) fn unknown_unit(unit: &str, kind: &Kind) -> QuantityError {
    QuantityError::new(
        QuantityFault::UnknownUnit,
        format!("`{}` is not a unit of a {}", clipped(unit), kind.kind),
        format!("The units are {}, for example `{}`.", kind.units, kind.like),
    )
}

/// A text of any length, short enough for a message, and without signs that would act on a terminal.
pub(crate) fn clipped(text: &str) -> String {
    const LIMIT: usize = 60;
    let long = text.chars().nth(LIMIT).is_some();
    let shown = text.chars().take(LIMIT).map(|c| if c.is_control() { '\u{fffd}' } else { c });
    if long { shown.chain(['…']).collect() } else { shown.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PINTS: Kind = Kind { kind: "volume", like: "2pt", units: "pt, gal" };

    /// (text, fault, message, hint)
    const REFUSED: &[(&str, QuantityFault, &str, &str)] = &[
        ("", QuantityFault::Form, "`` is not a volume", "Write a number and a unit, for example `2pt` (units: pt, gal)."),
        ("pt", QuantityFault::Form, "`pt` is not a volume", "Write a number and a unit, for example `2pt` (units: pt, gal)."),
        (" 2pt", QuantityFault::Form, "` 2pt` is not a volume", "Write a number and a unit, for example `2pt` (units: pt, gal)."),
        ("2pt ", QuantityFault::Form, "`2pt ` is not a volume", "Write a number and a unit, for example `2pt` (units: pt, gal)."),
        ("2  pt", QuantityFault::Form, "`2  pt` is not a volume", "Write a number and a unit, for example `2pt` (units: pt, gal)."),
        ("2pt  3pt", QuantityFault::Form, "`2pt  3pt` is not a volume", "Write a number and a unit, for example `2pt` (units: pt, gal)."),
        (
            "2.5pt",
            QuantityFault::Form,
            "`2.5pt` is not a volume",
            "Only whole numbers are read: write it in a smaller unit (units: pt, gal).",
        ),
        ("2pt 3", QuantityFault::Form, "`2pt 3` is not a volume", "Write a number and a unit, for example `2pt` (units: pt, gal)."),
        ("٢pt", QuantityFault::Form, "`٢pt` is not a volume", "Write a number and a unit, for example `2pt` (units: pt, gal)."),
        ("-pt", QuantityFault::Form, "`-pt` is not a volume", "Write a number and a unit, for example `2pt` (units: pt, gal)."),
        ("2", QuantityFault::MissingUnit, "`2` has no unit", "Write a number and a unit, for example `2pt` (units: pt, gal)."),
        ("-2pt", QuantityFault::Negative, "`-2pt` is negative", "A volume counts forward: write it without the minus sign."),
    ];

    #[test]
    fn what_is_not_of_the_form_is_refused_with_a_reason() {
        for (text, fault, message, hint) in REFUSED {
            let error = terms(text, &PINTS).expect_err(text);
            assert_eq!((error.fault, error.message.as_str(), error.hint.as_str()), (*fault, *message, *hint));
        }
    }

    #[test]
    fn numbers_and_units_are_told_apart() {
        assert_eq!(terms("2pt", &PINTS), Ok(vec![(2, "pt")]));
        assert_eq!(terms("2 pt", &PINTS), Ok(vec![(2, "pt")]));
        assert_eq!(terms("1gal2pt", &PINTS), Ok(vec![(1, "gal"), (2, "pt")]));
        assert_eq!(terms("1 gal 2 pt", &PINTS), Ok(vec![(1, "gal"), (2, "pt")]));
        assert_eq!(terms("007pt", &PINTS), Ok(vec![(7, "pt")]));
    }

    #[test]
    fn a_number_beyond_everything_is_the_largest_one() {
        assert_eq!(terms("18446744073709551615pt", &PINTS), Ok(vec![(u64::MAX, "pt")]));
        assert_eq!(terms("18446744073709551616pt", &PINTS), Ok(vec![(u64::MAX, "pt")]));
    }

    #[test]
    fn messages_stay_short_and_harmless() {
        let long = clipped(&"é".repeat(100_000));
        assert_eq!(long.chars().count(), 61);
        assert!(long.ends_with('…'));
        assert_eq!(clipped(&"x".repeat(60)), "x".repeat(60));
        assert_eq!(clipped("a\u{1b}[31mb\n"), "a\u{fffd}[31mb\u{fffd}");
    }
}
