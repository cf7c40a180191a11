use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// More digits, or a point further away, is nobody's figure.
const MOST: usize = 20_000;

/// A number as it was written, digit by digit: neither a policy's `at_least` nor a database's `numeric` is rounded on its way here.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Decimal {
    negative: bool,
    /// Without zeros at either end; empty is zero.
    digits: String,
    /// How many of the digits stand before the point; may be less than none, or more than there are.
    point: i32,
}

impl Decimal {
    fn new(negative: bool, digits: &str, point: i32) -> Decimal {
        let kept = digits.trim_start_matches('0');
        let point = point - i32::try_from(digits.len() - kept.len()).unwrap_or(0);
        let kept = kept.trim_end_matches('0');
        if kept.is_empty() {
            return Decimal { negative: false, digits: String::new(), point: 0 };
        }
        Decimal { negative, digits: kept.to_owned(), point }
    }

    fn magnitude(&self, other: &Decimal) -> Ordering {
        match (self.digits.is_empty(), other.digits.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            // Digits that begin with one that counts order as texts do.
            (false, false) => self.point.cmp(&other.point).then_with(|| self.digits.cmp(&other.digits)),
        }
    }

    /// Near enough for a share of it.
    pub fn as_f64(&self) -> f64 {
        self.plain().parse().unwrap_or(f64::NAN)
    }

    /// With all its zeros, as `1000000` or `0.001`.
    fn plain(&self) -> String {
        let sign = if self.negative { "-" } else { "" };
        let (whole, rest) = self.parts();
        if rest.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{rest}") }
    }

    fn parts(&self) -> (String, String) {
        let length = self.digits.len();
        match usize::try_from(self.point) {
            Ok(point) if point >= length => (format!("{:0<1$}", self.digits, point.max(1)), String::new()),
            Ok(0) => ("0".to_owned(), self.digits.clone()),
            Ok(point) => (self.digits[..point].to_owned(), self.digits[point..].to_owned()),
            Err(_) => ("0".to_owned(), format!("{}{}", "0".repeat(self.point.unsigned_abs() as usize), self.digits)),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not a number")]
pub struct NotANumber;

impl FromStr for Decimal {
    type Err = NotANumber;

    /// As PostgreSQL writes numbers: `-12.50`, `1e-07`. What is not finite is none.
    fn from_str(text: &str) -> Result<Decimal, NotANumber> {
        let (negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| NotANumber)?),
            None => (rest, 0),
        };
        let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{part}");
        let is_number = !digits.is_empty() && digits.len() <= MOST && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number || exponent.unsigned_abs() as usize > MOST {
            return Err(NotANumber);
        }
        let point = i32::try_from(whole.len()).map_err(|_| NotANumber)? + exponent;
        Ok(Decimal::new(negative, &digits, point))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Decimal) -> Ordering {
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => self.magnitude(other),
            (true, true) => other.magnitude(self),
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Decimal) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Decimal {
    /// Thousands apart: `1 204 000.5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = self.parts();
        let mut shown = String::from(if self.negative { "-" } else { "" });
        for (at, digit) in whole.chars().enumerate() {
            if at > 0 && (whole.len() - at).is_multiple_of(3) {
                shown.push(' ');
            }
            shown.push(digit);
        }
        if !rest.is_empty() {
            shown.push('.');
            shown.push_str(&rest);
        }
        f.pad(&shown)
    }
}

impl From<i64> for Decimal {
    fn from(number: i64) -> Decimal {
        Decimal::from(i128::from(number))
    }
}

impl From<u64> for Decimal {
    fn from(number: u64) -> Decimal {
        Decimal::from(i128::from(number))
    }
}

impl From<i128> for Decimal {
    fn from(number: i128) -> Decimal {
        let digits = number.unsigned_abs().to_string();
        let point = i32::try_from(digits.len()).unwrap_or_default();
        Decimal::new(number < 0, &digits, point)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.plain().parse::<i64>() {
            Ok(whole) => serializer.serialize_i64(whole),
            Err(_) => serializer.serialize_f64(self.as_f64()),
        }
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Decimal;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Decimal, E> {
                Ok(number.into())
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Decimal, E> {
                Ok(number.into())
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Decimal, E> {
                // The shortest text that means this float is what somebody wrote.
                number.to_string().parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Number)
    }
}

impl schemars::JsonSchema for Decimal {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Decimal".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "number" })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().expect("a number")
    }

    #[test]
    fn what_is_written_differently_and_means_the_same_is_the_same() {
        for (one, other) in [("1", "1.000"), ("100", "1e2"), ("0.001", "1E-3"), ("-0", "0"), ("007", "7"), ("+1.5", "1.5"), (".5", "0.5")] {
            assert_eq!(decimal(one), decimal(other), "{one} and {other}");
        }
        for text in ["", "-", ".", "NaN", "Infinity", "-Infinity", "1e", "1e99999", "0x10", "1 000", "1,5", "t"] {
            assert_eq!(text.parse::<Decimal>(), Err(NotANumber), "{text}");
        }
    }

    #[test]
    fn digits_that_no_float_has_count() {
        assert!(decimal("9007199254740993") > decimal("9007199254740992"));
        assert!(decimal("0.1000000000000000000000001") > decimal("0.1"));
        assert!(decimal("-1e30") < decimal("-999999999999999999999999999999"));
    }

    #[test]
    fn it_is_shown_with_its_thousands_apart() {
        for (text, shown) in [
            ("1204", "1 204"),
            ("1000000", "1 000 000"),
            ("-12.50", "-12.5"),
            ("0", "0"),
            ("999", "999"),
            ("1e-3", "0.001"),
            ("12e4", "120 000"),
        ] {
            assert_eq!(decimal(text).to_string(), shown);
        }
    }

    proptest! {
        #[test]
        fn it_orders_as_numbers_do(one in any::<i64>(), other in any::<i64>(), scale in 0..6u32) {
            let text = |number: i64| {
                let digits = format!("{:07}", number.unsigned_abs());
                let (whole, part) = digits.split_at(digits.len() - scale as usize);
                format!("{}{whole}.{part}", if number < 0 { "-" } else { "" })
            };
            prop_assert_eq!(decimal(&text(one)).cmp(&decimal(&text(other))), one.cmp(&other));
        }

        #[test]
        fn json_gives_back_what_it_was_given(number in any::<i64>(), float in -1e12..1e12f64) {
            for json in [number.to_string(), float.to_string()] {
                let read: Decimal = serde_json::from_str(&json).expect("a number");
                let again: Decimal = serde_json::from_str(&serde_json::to_string(&read).expect("JSON")).expect("a number");
                prop_assert_eq!(&again, &read);
            }
        }
    }
}
