//! From the parts of a copy of files to files: all of them or some, below another root or in place.
//!
//! First everything is looked at and counted, then put. A file gets its name when all of it is right and it has its owner, rights and times;
//! before that it has a name of its own beside it. Nothing is reached by its path: each step goes from an open directory to a name in it
//! and follows no link, so what lies below the root cannot lead out of it.
//!
//! What is trusted is what a restore of a cluster trusts: the signed descriptor, by it the index, by that each piece's hash.

mod census;
mod entry;
mod place;
mod prove;
mod put;
mod runs;
mod settle;
mod turns;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use ignore::Match;
use ignore::gitignore::Gitignore;

pub use census::{Census, look};
pub use prove::{Proof, prove};
pub use put::{Put, put};

use super::PipelineFault;
use crate::format::index::{Kind, Piece};

/// Which of the files, and how.
#[derive(Debug)]
pub struct Wish {
    /// Everything, where there is none.
    pub patterns: Option<Gitignore>,
    pub root: PathBuf,
    /// What is there and differs is put right; otherwise it stays.
    pub overwrite: bool,
    /// Owners by their numbers, whatever they are called here.
    pub numeric: bool,
    pub workers: usize,
}

/// Which file's content stands for a wanted one that is only another name of it: by the path that has the content, the one that is wanted.
type Borrowed = HashMap<Vec<u8>, Vec<u8>>;

impl Wish {
    /// Whether it is wanted, and by which of the patterns.
    fn wants(&self, piece: &Piece) -> (bool, Option<&str>) {
        let Some(patterns) = &self.patterns else { return (true, None) };
        let absolute = [b"/", piece.path_bytes()].concat();
        match patterns.matched_path_or_any_parents(as_path(&absolute), piece.kind == Kind::Directory) {
            Match::Ignore(glob) => (true, Some(glob.original())),
            Match::Whitelist(_) | Match::None => (false, None),
        }
    }
}

fn as_path(bytes: &[u8]) -> &Path {
    use std::os::unix::ffi::OsStrExt as _;
    Path::new(std::ffi::OsStr::from_bytes(bytes))
}

/// The directory and the name in it.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

/// As people read it.
fn shown(path: &[u8]) -> String {
    format!("/{}", String::from_utf8_lossy(path))
}

fn fault(path: &[u8], error: impl Into<std::io::Error>) -> PipelineFault {
    PipelineFault::file(format!("`{}` cannot be written", shown(path)), error.into())
}
