//! What lies where in a part: one line of JSON for each frame, in the order of the frames. It is written and read as a stream,
//! so that a million files need no million in memory, and `zstd -d | jq` shows it to people.

use std::collections::BTreeMap;
use std::io::BufRead;

use base64::prelude::{BASE64_STANDARD_NO_PAD as BASE64, Engine};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::units::BackupId;

/// The longest line: a frame of 8 MiB of tiny files.
const MAX_LINE: usize = 16 << 20;

/// One compressed frame of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Where it begins in the compressed stream (what `age -d` gives).
    pub at: u64,
    /// How long it is there.
    pub len: u32,
    /// How long it is expanded: a piece of the tar.
    pub raw: u32,
    pub pieces: Vec<Piece>,
}

/// What a frame holds of one file; or a directory or a symbolic link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Within the data directory; tablespaces as `pg_tblspc/<oid>/…`.
    pub path: String,
    #[serde(default, skip_serializing_if = "Kind::is_file")]
    pub kind: Kind,
    /// Where in the expanded frame the file's bytes begin.
    #[serde(default)]
    pub skip: u32,
    /// Where in the file they begin.
    #[serde(default)]
    pub from: u64,
    /// How many.
    #[serde(default)]
    pub len: u32,
    /// BLAKE3 of these bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<Hash>,
    /// The whole file's size.
    #[serde(default)]
    pub size: u64,
    /// Permissions.
    pub mode: u32,
    /// Seconds since 1970.
    pub mtime: i64,
    /// CRC-32C of the whole file, on its last piece.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crc: Option<u32>,
    /// Where a symbolic link leads; of a hard link, the path that has the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Of files beside a database, on the first piece: all that is restored of one and that a cluster's own files do not have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<Box<Attributes>>,
    /// In an increment: the frame of an earlier backup that has these bytes. `skip` counts within that frame, and this part has nothing of
    /// them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lies: Option<Box<Elsewhere>>,
}

/// A frame in a part of another backup.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Elsewhere {
    pub backup: BackupId,
    /// The part's number.
    pub part: u32,
    /// As [`Frame`] has them.
    pub at: u64,
    pub len: u32,
    pub raw: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    #[default]
    File,
    Directory,
    Link,
    HardLink,
    Fifo,
}

impl Kind {
    pub fn is_file(&self) -> bool {
        *self == Kind::File
    }
}

/// What a file has beside its name, its content, its permissions and its time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// The path, where it is no UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Bytes>,
    /// Where a link leads, where that is no UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<Bytes>,
    pub uid: u32,
    pub gid: u32,
    /// The names of the two on the host that it was read on; empty where they had none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Of the time, behind the seconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub nanos: u32,
    /// POSIX access control lists, as text: `user:name:rw-:number`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acl: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_acl: Option<String>,
    /// Extended attributes, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub xattrs: BTreeMap<String, Bytes>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sparse: Option<Sparse>,
    /// A folder above what was to be copied: it is made where it is missing, and otherwise nobody's business.
    #[serde(default, skip_serializing_if = "is_false")]
    pub above: bool,
}

/// A file with holes: what a part has of it are its data, one stretch behind the other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sparse {
    /// The size that the file shows.
    pub size: u64,
    /// Where each stretch of data begins in the file, and how long it is; the last one may be empty, at its end.
    pub data: Vec<(u64, u64)>,
}

impl Sparse {
    /// Whether it can be the map of a file of which so many bytes are stored.
    pub fn fits(&self, stored: u64) -> bool {
        let mut end = 0;
        let mut sum = 0;
        for (from, len) in &self.data {
            let Some(next) = from.checked_add(*len).filter(|next| *from >= end && *next <= self.size) else { return false };
            (end, sum) = (next, sum + len);
        }
        sum == stored
    }
}

impl Sparse {
    /// Where in the file the bytes lie that are stored from there on, and how many at each place.
    pub fn places_of(&self, from: u64, len: u64) -> Vec<(u64, u64)> {
        let mut places = Vec::new();
        let (mut at, end) = (0, from + len);
        for (begin, length) in &self.data {
            let (first, last) = (from.max(at), end.min(at + length));
            if first < last {
                places.push((begin + first - at, last - first));
            }
            at += length;
        }
        places
    }
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn is_false(value: &bool) -> bool {
    !value
}

/// Bytes that need not be text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        BASE64.decode(text.as_bytes()).map(Bytes).map_err(serde::de::Error::custom)
    }
}

impl Piece {
    /// The path as the file system has it.
    pub fn path_bytes(&self) -> &[u8] {
        self.more.as_ref().and_then(|more| more.path.as_ref()).map_or(self.path.as_bytes(), |path| &path.0)
    }

    /// Where a link leads.
    pub fn link_bytes(&self) -> &[u8] {
        let text = self.link.as_deref().unwrap_or_default();
        self.more.as_ref().and_then(|more| more.link.as_ref()).map_or(text.as_bytes(), |link| &link.0)
    }
}

/// BLAKE3.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hash(pub [u8; 32]);

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hash({})", BASE64.encode(self.0))
    }
}

impl Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let bytes = BASE64.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Hash).ok_or_else(|| serde::de::Error::custom("a hash has 32 bytes in base64"))
    }
}

#[derive(Debug, Error)]
pub enum BadIndex {
    #[error("line {line} of the index cannot be read: {message}")]
    Line { line: u64, message: String },
    #[error("{0}")]
    Read(#[from] std::io::Error),
}

impl Frame {
    /// Appends the frame's line.
    pub fn write(&self, out: &mut Vec<u8>) {
        serde_json::to_writer(&mut *out, self).expect("numbers and texts, into memory");
        out.push(b'\n');
    }
}

/// Reads an index line by line.
#[derive(Debug)]
pub struct Frames<R> {
    from: R,
    line: Vec<u8>,
    number: u64,
    /// Where the next frame must begin.
    at: u64,
}

impl<R: BufRead> Frames<R> {
    pub fn new(from: R) -> Self {
        Frames { from, line: Vec::new(), number: 0, at: 0 }
    }

    fn read(&mut self) -> Result<Option<Frame>, BadIndex> {
        self.line.clear();
        self.number += 1;
        let bad = |message: String| BadIndex::Line { line: self.number, message };
        let got = std::io::Read::take(&mut self.from, MAX_LINE as u64).read_until(b'\n', &mut self.line)?;
        if got == 0 {
            return Ok(None);
        }
        let frame: Frame = serde_json::from_slice(&self.line).map_err(|error| bad(error.to_string()))?;
        // What an index says is where bytes are read from and written to: nonsense must not get that far.
        if frame.at != self.at {
            return Err(bad(format!("it begins at {} instead of {}", frame.at, self.at)));
        }
        for piece in &frame.pieces {
            let raw = piece.lies.as_ref().map_or(frame.raw, |lies| lies.raw);
            let inside = u64::from(piece.skip) + u64::from(piece.len) <= u64::from(raw);
            let in_file = piece.from.checked_add(piece.len.into()).is_some_and(|end| end <= piece.size);
            if !inside || !in_file {
                return Err(bad(format!("{} does not fit into its frame or file", piece.path)));
            }
            let bytes_are_inside = piece.more.as_ref().and_then(|more| more.path.as_ref()).is_none_or(|path| is_inside_bytes(&path.0));
            if !is_inside(&piece.path) || !bytes_are_inside {
                return Err(bad(format!("{} leads out of the data directory", piece.path)));
            }
            if !piece.more.as_ref().and_then(|more| more.sparse.as_ref()).is_none_or(|sparse| sparse.fits(piece.size)) {
                return Err(bad(format!("{} has holes where none can be", piece.path)));
            }
        }
        self.at += u64::from(frame.len);
        Ok(Some(frame))
    }
}

impl<R: BufRead> Iterator for Frames<R> {
    type Item = Result<Frame, BadIndex>;
    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// A relative path without any step upwards.
pub fn is_inside(path: &str) -> bool {
    is_inside_bytes(path.as_bytes())
}

pub fn is_inside_bytes(path: &[u8]) -> bool {
    !path.is_empty() && !path.contains(&0) && path.split(|byte| *byte == b'/').all(|part| !matches!(part, b"" | b"." | b".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(at: u64, path: &str) -> Frame {
        let piece = Piece {
            path: path.into(),
            kind: Kind::File,
            skip: 512,
            from: 0,
            len: 8192,
            hash: Some(Hash([3; 32])),
            size: 8192,
            mode: 0o600,
            mtime: 1_700_000_000,
            crc: Some(7),
            link: None,
            more: None,
            lies: None,
        };
        Frame { at, len: 100, raw: 9216, pieces: vec![piece] }
    }

    #[test]
    fn an_index_is_read_back() {
        let frames = [frame(0, "base/5/1259"), frame(100, "global/pg_control")];
        let mut text = Vec::new();
        frames.iter().for_each(|frame| frame.write(&mut text));
        let read: Vec<Frame> = Frames::new(&text[..]).collect::<Result<_, _>>().expect("it is sound");
        assert_eq!(read, frames);
    }

    #[test]
    fn nonsense_goes_no_further() {
        let too_far = Frame { raw: 100, ..frame(0, "a") };
        for (frame, word) in [
            (frame(0, "../../etc/passwd"), "leads out"),
            (frame(0, "/etc/passwd"), "leads out"),
            (frame(7, "a"), "instead of 0"),
            (too_far, "does not fit"),
        ] {
            let mut text = Vec::new();
            frame.write(&mut text);
            let error = Frames::new(&text[..]).next().expect("a line").expect_err(word).to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
