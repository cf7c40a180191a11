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
            if after.is_empty() && found.is_empty() {
                return Err(QuantityError::new(QuantityFault::MissingUnit, format!("`{}` has no unit", clipped(text)), hint()));
            }
            return Err(form());
        }
        let number = number.parse::<u64>().map_err(|_| too_large(text, kind))?;
        found.push((number, unit));
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
