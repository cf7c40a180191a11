//! How long a text of the catalog may be. Who and what is named must fit; what is only said is cut.

use super::fault::{CatalogFault, FaultKind};
use super::value::Value;

const MAX_NAME: usize = 1 << 10;
const MAX_SAID: usize = 16 << 10;
/// A notice, or the details of a decision.
const MAX_DOCUMENT: usize = 1 << 20;
const MAX_MEMORY: usize = 32 << 20;

/// Something that must stay what it is: a name, a digest, an id.
pub(super) fn name(text: &str) -> Result<Value, CatalogFault> {
    whole(text, MAX_NAME, "a name")
}

pub(super) fn maybe_name(text: Option<&str>) -> Result<Value, CatalogFault> {
    text.map_or(Ok(Value::Null), name)
}

pub(super) fn document(text: &str) -> Result<Value, CatalogFault> {
    whole(text, MAX_DOCUMENT, "a document")
}

pub(super) fn memory(text: &str) -> Result<Value, CatalogFault> {
    whole(text, MAX_MEMORY, "the memory of alerts")
}

/// A message for people: its beginning, where it is too long.
pub(super) fn said(text: &str) -> Value {
    let mut end = text.len().min(MAX_SAID);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut kept = text[..end].replace('\0', "\u{fffd}");
    if end < text.len() {
        kept.push('…');
    }
    Value::Text(kept)
}

pub(super) fn maybe_said(text: Option<&str>) -> Value {
    text.map_or(Value::Null, said)
}

/// Sizes are below 2^63 in both databases.
pub(super) fn size(bytes: Option<u64>) -> Value {
    Value::from(bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX)))
}

pub(super) fn count(limit: usize) -> Value {
    Value::Int(i64::try_from(limit).unwrap_or(i64::MAX))
}

fn whole(text: &str, limit: usize, what: &str) -> Result<Value, CatalogFault> {
    let refuse = |why: String| Err(CatalogFault::new(FaultKind::Refused, why, "This is a bug in Seawall: please report it."));
    if text.len() > limit {
        return refuse(format!("{what} for the catalog has {} bytes, and {limit} are the most", text.len()));
    }
    // PostgreSQL has no such character.
    if text.contains('\0') {
        return refuse(format!("{what} for the catalog holds a zero byte"));
    }
    Ok(Value::from(text))
}
