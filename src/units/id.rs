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
        let fault = |fault, message: String| {
            QuantityError::new(
                fault,
                message,
                "A name has lower-case letters, digits and single hyphens, begins with a letter or digit, and has at most 63 characters: `nightly`, `every-15-minutes`.",
            )
        };
        if text.is_empty() {
            return Err(fault(QuantityFault::Form, "a name is empty".into()));
        }
        let good = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-')
            && !text.contains("--");
        if !good {
            Err(fault(QuantityFault::Form, format!("`{}` cannot be a name", clipped(text))))
        } else if text.len() > Self::LIMIT {
            Err(fault(QuantityFault::TooLarge, format!("`{}` is too long for a name", clipped(text))))
        } else {
            Ok(Name(text.to_owned()))
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for text in ["a", "0", "nightly", "every-15-minutes", &"x".repeat(63)] {
            assert_eq!(text.parse::<Name>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn other_names_are_refused_with_the_rule() {
        let hint = "A name has lower-case letters, digits and single hyphens, begins with a letter or digit, and has at most 63 characters: \
                    `nightly`, `every-15-minutes`.";
        let long = "x".repeat(64);
        let too_long = format!("`{}…` is too long for a name", "x".repeat(60));
        for (text, fault, message) in [
            ("", QuantityFault::Form, "a name is empty"),
            ("Nightly", QuantityFault::Form, "`Nightly` cannot be a name"),
            ("-a", QuantityFault::Form, "`-a` cannot be a name"),
            ("a-", QuantityFault::Form, "`a-` cannot be a name"),
            ("a--b", QuantityFault::Form, "`a--b` cannot be a name"),
            ("a_b", QuantityFault::Form, "`a_b` cannot be a name"),
            ("a b", QuantityFault::Form, "`a b` cannot be a name"),
            ("é", QuantityFault::Form, "`é` cannot be a name"),
            ("../a", QuantityFault::Form, "`../a` cannot be a name"),
            (&long, QuantityFault::TooLarge, &too_long),
        ] {
            let error = text.parse::<Name>().expect_err(text);
            assert_eq!((error.fault, error.message.as_str(), error.hint.as_str()), (fault, message, hint));
        }
    }

    #[test]
    fn an_id_can_be_part_of_a_path_and_of_a_command_line() {
        for text in ["20261121T020000Z-7f3c", "a.b_c-D", &"x".repeat(64)] {
            assert_eq!(text.parse::<BackupId>().expect(text).to_string(), text);
        }
        for text in ["", ".", "..", ".hidden", "-rf", "a/b", "a b", "a\0", "é", &"x".repeat(65)] {
            let error = text.parse::<BackupId>().expect_err(text);
            assert_eq!(error.message, format!("`{}` cannot be a backup's id", clipped(text)));
            assert_eq!(error.hint, "Take the id from `seawall list`.");
        }
    }
}
