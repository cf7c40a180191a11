use std::fmt;

use thiserror::Error;

/// An object's name within a store: path segments with `/` between them, none of them empty, hidden or upwards.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

/// A text that cannot be an object's name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` cannot be the name of an object")]
pub struct BadKey(String);

impl Key {
    /// S3 allows 1,024 bytes with the prefix; a file name 255.
    pub const LIMIT: usize = 800;

    pub fn new(text: impl Into<String>) -> Result<Key, BadKey> {
        let text = text.into();
        let good = |part: &str| {
            (1..=255).contains(&part.len())
                && !part.starts_with('.')
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.+=@".contains(&b))
        };
        if text.len() <= Self::LIMIT && text.split('/').all(good) { Ok(Key(text)) } else { Err(BadKey(text.chars().take(100).collect())) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last segment.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_out_of_the_store() {
        for good in ["a", "wal/00000001/0000000A/00000001000000000000000A.zst.age", "data/20261121T020000Z-7f3c/part-00001.tar.zst.age"] {
            assert_eq!(Key::new(good).expect(good).as_str(), good);
        }
        for bad in ["", "/", "a/", "/a", "a//b", "..", "a/../b", ".hidden", "a\0b", "a b", "é", &"x".repeat(256), &"x/".repeat(500)] {
            assert!(Key::new(bad).is_err(), "{bad}");
        }
    }
}
