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
            return Err(form(fault, format!("`{}` has no percent sign", clipped(text))));
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
