//! `notes.json`: what a backup of files was to hold, and what of that it does not hold as it was.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contents::Globals;

pub const FORMAT: u32 = 1;
pub const MAX_BYTES: u64 = 256 << 20;
/// More are only counted.
pub const MOST_NAMED: usize = 100_000;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Notes {
    pub format: u32,
    /// What was to be copied, without the links that lead there.
    pub paths: Vec<String>,
    pub exclude: Vec<String>,
    /// Could not be read, and are missing.
    pub unread: Named,
    /// Changed while they were read: what is in the backup may be neither what was before nor what is after.
    pub changed: Named,
    /// Left out because of what they are.
    pub left_out: Named,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub globals: Option<Globals>,
}

/// Some files, the first of them by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Named {
    pub count: u64,
    pub files: Vec<Note>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Note {
    /// As people read it.
    pub path: String,
    pub why: String,
}

impl Named {
    pub fn add(&mut self, note: Note) {
        self.count += 1;
        if self.files.len() < MOST_NAMED {
            self.files.push(note);
        }
    }
}

impl Notes {
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("numbers, texts and lists")
    }

    pub fn from_json(json: &[u8]) -> Result<Notes, String> {
        let notes: Notes = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        if notes.format > FORMAT {
            return Err(format!("it was written by a newer seawall (format {})", notes.format));
        }
        Ok(notes)
    }
}
