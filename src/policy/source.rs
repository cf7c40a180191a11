//! Texts and places in them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One text that was read: a file of a policy.
#[derive(Debug)]
pub struct Source {
    /// How people call it: the path as it was given, or `git:REV:path`.
    pub name: String,
    /// Where `extends` in it starts from.
    pub path: PathBuf,
    pub text: String,
    line_starts: Vec<usize>,
}

/// A stretch of a source, in bytes.
#[derive(Debug, Clone)]
pub struct Place {
    pub source: Arc<Source>,
    pub start: usize,
    pub end: usize,
}

/// Line and column, both counted from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl Source {
    pub fn new(name: impl Into<String>, path: impl Into<PathBuf>, text: String) -> Arc<Self> {
        let line_starts =
            std::iter::once(0).chain(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1)).collect();
        Arc::new(Source { name: name.into(), path: path.into(), text, line_starts })
    }

    pub fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// Where a line begins, counted from 1; behind the last one, where the text ends.
    pub fn line_start(&self, line: usize) -> usize {
        self.line_starts.get(line.saturating_sub(1)).copied().unwrap_or(self.text.len())
    }

    pub fn position(&self, offset: usize) -> Position {
        let offset = offset.min(self.text.len());
        let line = self.line_starts.partition_point(|start| *start <= offset).saturating_sub(1);
        let column = self.text.get(self.line_starts[line]..offset).map_or(0, |before| before.chars().count());
        Position { line: line + 1, column: column + 1 }
    }
}

impl Place {
    pub fn new(source: &Arc<Source>, start: usize, end: usize) -> Self {
        let start = floor(&source.text, start);
        Place { source: source.clone(), start, end: floor(&source.text, end.max(start)) }
    }
    pub fn start_position(&self) -> Position {
        self.source.position(self.start)
    }
    pub fn end_position(&self) -> Position {
        self.source.position(self.end)
    }
    pub fn text(&self) -> &str {
        self.source.text.get(self.start..self.end).unwrap_or_default()
    }
}

/// Places are compared by where they are, for sorting and for leaving out what was said already.
impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.source, &other.source) && (self.start, self.end) == (other.start, other.end)
    }
}
impl Eq for Place {}

fn floor(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
