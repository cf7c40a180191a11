use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A fact about the world: known, or unknown and why. Never "empty because we could not look".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
#[schemars(rename = "Observed_{T}")]
pub enum Observed<T> {
    /// What was seen.
    Known(T),
    /// It could not be seen.
    Unknown {
        /// Why not, in words for people.
        #[schemars(example = &"the store refused the listing: access denied")]
        reason: String,
    },
}

impl<T> Observed<T> {
    pub fn unknown(reason: impl Into<String>) -> Self {
        Observed::Unknown { reason: reason.into() }
    }

    pub fn known(&self) -> Option<&T> {
        match self {
            Observed::Known(value) => Some(value),
            Observed::Unknown { .. } => None,
        }
    }

    pub fn as_ref(&self) -> Observed<&T> {
        match self {
            Observed::Known(value) => Observed::Known(value),
            Observed::Unknown { reason } => Observed::Unknown { reason: reason.clone() },
        }
    }

    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Observed<U> {
        match self {
            Observed::Known(value) => Observed::Known(change(value)),
            Observed::Unknown { reason } => Observed::Unknown { reason },
        }
    }
}
