use std::fmt;
use std::str::FromStr;

use super::quantity::{QuantityError, QuantityFault, clipped};

/// A share, in hundredths: `80%`, `99.5%`. Kept in tenths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent {
    tenths: u32,
}

impl Percent {
    pub const fn new(percent: u32) -> Self {
        Percent { tenths: percent * 10 }
    }
    pub fn as_fraction(self) -> f64 {
        f64::from(self.tenths) / 1000.0
    }
    pub const fn tenths(self) -> u32 {
        self.tenths
    }
}

impl FromStr for Percent {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let form =
            |fault, message: String| QuantityError::new(fault, message, "Write a share with a percent sign, for example `80%` or `99.5%`.");
        let Some(number) = text.strip_suffix('%').map(|rest| rest.strip_suffix(' ').unwrap_or(rest)) else {
            let fault = if text.parse::<f64>().is_ok() { QuantityFault::MissingUnit } else { QuantityFault::Form };
            let mut error = form(fault, format!("`{}` has no percent sign", clipped(text)));
            if (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) {
                error.hint = format!("Write `{text}%`.");
            }
            return Err(error);
        };
        let not = || form(QuantityFault::Form, format!("`{}` is not a percentage", clipped(text)));
        let (whole, tenth) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(tenth) || tenth.len() != 1 || whole.len() > 4 {
            return Err(not());
        }
        let tenths = whole.parse::<u32>().map_err(|_| not())? * 10 + tenth.parse::<u32>().map_err(|_| not())?;
        Ok(Percent { tenths })
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.tenths.is_multiple_of(10) {
            f.pad(&format!("{}%", self.tenths / 10))
        } else {
            f.pad(&format!("{}.{}%", self.tenths / 10, self.tenths % 10))
        }
    }
}

super::text_form!(Percent, name: "Percent", format: "percentage",
    pattern: r"^[0-9]{1,4}(\.[0-9])? ?%$",
    examples: ["80%", "99.5%"],
    about: "A share with a percent sign, at most one decimal.");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_share_has_at_most_one_decimal() {
        for (text, tenths) in [("80%", 800), ("80 %", 800), ("99.5%", 995), ("0%", 0), ("0.1%", 1), ("100.0%", 1_000), ("9999.9%", 99_999)]
        {
            assert_eq!(text.parse(), Ok(Percent { tenths }), "{text}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        let form = "Write a share with a percent sign, for example `80%` or `99.5%`.";
        for (text, fault, message) in [
            ("80", QuantityFault::MissingUnit, "`80` has no percent sign"),
            ("0.8", QuantityFault::MissingUnit, "`0.8` has no percent sign"),
            ("most", QuantityFault::Form, "`most` has no percent sign"),
            ("", QuantityFault::Form, "`` has no percent sign"),
            ("%", QuantityFault::Form, "`%` is not a percentage"),
            ("-5%", QuantityFault::Form, "`-5%` is not a percentage"),
            ("99.95%", QuantityFault::Form, "`99.95%` is not a percentage"),
            ("99.%", QuantityFault::Form, "`99.%` is not a percentage"),
            (".5%", QuantityFault::Form, "`.5%` is not a percentage"),
            ("10000%", QuantityFault::Form, "`10000%` is not a percentage"),
            ("80  %", QuantityFault::Form, "`80  %` is not a percentage"),
        ] {
            let error = text.parse::<Percent>().expect_err(text);
            let hint = if text == "80" { "Write `80%`." } else { form };
            assert_eq!((error.fault, error.message.as_str(), error.hint.as_str()), (fault, message, hint));
        }
    }

    #[test]
    fn it_is_written_without_an_idle_decimal() {
        assert_eq!(Percent::new(80).to_string(), "80%");
        assert_eq!(Percent { tenths: 995 }.to_string(), "99.5%");
        assert!((Percent::new(20).as_fraction() - 0.2).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_as_the_same(tenths in 0..=99_999u32) {
            prop_assert_eq!(Percent { tenths }.to_string().parse(), Ok(Percent { tenths }));
        }
    }
}
