//! What a server says when it refuses or remarks something.

use std::io;

use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::ErrorFields;

use super::fault::{Fault, FaultKind};

/// The fields of an error or a notice.
pub(super) struct Said {
    pub(super) severity: String,
    pub(super) code: String,
    pub(super) message: String,
    detail: String,
    hint: String,
}

pub(super) fn read_fields(mut fields: ErrorFields<'_>) -> io::Result<Said> {
    let mut said =
        Said { severity: String::new(), code: String::new(), message: String::new(), detail: String::new(), hint: String::new() };
    while let Some(field) = fields.next()? {
        let value = || String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            b'V' => said.severity = value(),
            b'S' if said.severity.is_empty() => said.severity = value(),
            b'C' => said.code = value(),
            b'M' => said.message = value(),
            b'D' => said.detail = value(),
            b'H' => said.hint = value(),
            _ => {}
        }
    }
    Ok(said)
}

impl Said {
    pub(super) fn fault(self, peer: &str) -> Fault {
        let detail = if self.detail.is_empty() { String::new() } else { format!(" ({})", self.detail) };
        let message = format!("{peer}: {}{detail}", self.message);
        let hint = if self.hint.is_empty() { format!("PostgreSQL's code for this is {}.", self.code) } else { self.hint };
        Fault::new(FaultKind::Sql { code: self.code }, message, hint)
    }
}
