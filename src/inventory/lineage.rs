use std::fmt;
use std::str::FromStr;

use crate::units::{QuantityError, QuantityFault, text_form};

/// PostgreSQL's own number for one cluster since its `initdb`. `pg_upgrade` makes a new one, and with it a new lineage of
/// backups. Written as a string: JSON's numbers lose digits beyond 53 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SystemIdentifier(pub u64);

impl FromStr for SystemIdentifier {
    type Err = QuantityError;
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let digits = (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse().ok()).flatten().map(SystemIdentifier).ok_or_else(|| QuantityError {
            fault: QuantityFault::Form,
            message: format!("`{}` is not a system identifier", text.chars().take(60).collect::<String>()),
            hint: "PostgreSQL shows it with `select system_identifier from pg_control_system()`.".into(),
        })
    }
}

impl fmt::Display for SystemIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

text_form!(SystemIdentifier, name: "SystemIdentifier", format: "system-identifier",
    pattern: r"^[0-9]{1,20}$",
    examples: ["7301234567890123456"],
    about: "PostgreSQL's number for one cluster since its initdb, as a string of digits.");
