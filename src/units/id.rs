use std::fmt;
use std::str::FromStr;

use super::quantity::{QuantityError, QuantityFault, clipped};

/// A name that a policy gives to something of its own: a job, a store, a window, a receiver.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    pub const LIMIT: usize = 63;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = QuantityError;
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let fault = |message: String| {
            QuantityError::new(
                QuantityFault::Form,
                message,
                "A name has lower-case letters, digits and single hyphens, begins with a letter or digit, and has at most 63 characters: `nightly`, `every-15-minutes`.",
            )
        };
        if text.is_empty() {
            return Err(fault("a name is empty".into()));
        }
        let good = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-')
            && !text.contains("--")
            && text.len() <= Self::LIMIT;
        if good { Ok(Name(text.to_owned())) } else { Err(fault(format!("`{}` cannot be a name", clipped(text)))) }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// What tells one backup from all others, for ever. Opaque: it is neither parsed nor ordered by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackupId(String);

impl BackupId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BackupId {
    type Err = QuantityError;
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let good = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
            && !text.starts_with(['.', '-']);
        if good {
            Ok(BackupId(text.to_owned()))
        } else {
            Err(QuantityError::new(
                QuantityFault::Form,
                format!("`{}` cannot be a backup's id", clipped(text)),
                "Take the id from `seawall list`.",
            ))
        }
    }
}

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

super::text_form!(Name, name: "Name", format: "name",
    pattern: r"^[a-z0-9]+(-[a-z0-9]+)*$",
    examples: ["nightly", "every-15-minutes"],
    about: "A name: lower-case letters, digits and single hyphens, at most 63 characters.");

super::text_form!(BackupId, name: "BackupId", format: "backup-id",
    pattern: r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$",
    examples: ["20261121T020000Z-7f3c"],
    about: "What tells one backup from all others.");
