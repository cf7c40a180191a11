//! What a restore would do, before it does anything.

use std::collections::{BTreeSet, HashMap};

use super::super::PipelineFault;
use super::super::feed::{Batch, Feed};
use super::super::parts::Source;
use super::entry::{self, Candidate, There, real_size};
use super::place::Places;
use super::runs::{Run, runs};
use super::{Borrowed, Wish, shown, split};
use crate::format::index::{Kind, Piece};

/// More say no more.
const MOST_NAMED: usize = 100;

/// What is wanted, and what of it is there.
#[derive(Debug, Default)]
pub struct Census {
    pub files: u64,
    pub directories: u64,
    pub links: u64,
    /// Bytes that the wanted files show.
    pub bytes: u64,
    /// Plain bytes that are written.
    pub write: u64,
    /// Compressed bytes that are fetched, of all; also of what an increment builds on.
    pub fetch: u64,
    pub stored: u64,
    /// Already there as they are in the backup.
    pub same: u64,
    /// There, and different.
    pub differing: u64,
    /// The first of those.
    pub named: Vec<String>,
    /// Patterns that no file fits.
    pub unmatched: Vec<String>,
    /// By runs.
    pub(super) needed: Vec<bool>,
    pub(super) borrowed: Borrowed,
}

/// Looks at everything; touches nothing.
pub fn look(source: &Source<'_>, wish: &Wish, written: &[String]) -> Result<Census, PipelineFault> {
    let mut census = pass(source, wish, written, Borrowed::new())?;
    if !census.borrowed.is_empty() {
        // Names come behind what they are names of.
        let borrowed = std::mem::take(&mut census.borrowed);
        census = pass(source, wish, written, borrowed)?;
    }
    Ok(census)
}

fn pass(source: &Source<'_>, wish: &Wish, written: &[String], borrowed: Borrowed) -> Result<Census, PipelineFault> {
    let places = if wish.root.is_dir() { Some(Places::below(&wish.root)?) } else { None };
    let feed = Feed::all(source);
    let mut pass = Pass {
        wish,
        places,
        census: Census { borrowed, ..Census::default() },
        seen: BTreeSet::new(),
        frames: HashMap::new(),
        current: None,
    };
    while let Some(batch) = feed.next()? {
        pass.batch(batch)?;
    }
    feed.finish()?;
    pass.end_of_file();
    let Pass { mut census, seen, .. } = pass;
    census.unmatched = written.iter().filter(|pattern| !pattern.starts_with('!') && !seen.contains(*pattern)).cloned().collect();
    Ok(census)
}

struct Pass<'p> {
    wish: &'p Wish,
    places: Option<Places>,
    census: Census,
    seen: BTreeSet<String>,
    /// Every frame that there is, and whether it is fetched.
    frames: HashMap<u128, bool>,
    current: Option<Current>,
}

/// A wanted file whose pieces are coming.
struct Current {
    path: Vec<u8>,
    /// What has its bytes.
    frames: Vec<Needed>,
    size: u64,
    there: There,
    candidate: Option<Candidate>,
}

/// A run of which a file needs the frame.
#[derive(Clone, Copy)]
struct Needed {
    run: usize,
    /// One that comes twice is fetched once.
    frame: u128,
    len: u64,
}

impl Pass<'_> {
    fn batch(&mut self, batch: Batch) -> Result<(), PipelineFault> {
        for Run { place, pieces } in runs(&batch.key, batch.frames) {
            let len = u64::from(place.len());
            let needed = Needed { run: self.census.needed.len(), frame: place.fingerprint(), len };
            self.census.needed.push(false);
            self.frames.entry(needed.frame).or_insert_with(|| {
                self.census.stored += len;
                false
            });
            for piece in &pieces {
                self.piece(piece, needed)?;
            }
        }
        Ok(())
    }

    fn piece(&mut self, piece: &Piece, needed: Needed) -> Result<(), PipelineFault> {
        if piece.from > 0 {
            return self.goes_on(piece, needed);
        }
        self.end_of_file();
        let (wanted, pattern) = self.wish.wants(piece);
        if let Some(pattern) = pattern.filter(|pattern| !self.seen.contains(*pattern)) {
            self.seen.insert(pattern.to_owned());
        }
        let stands_for = self.census.borrowed.get(piece.path_bytes()).cloned();
        let path = match (wanted, stands_for) {
            (true, _) => piece.path_bytes().to_vec(),
            (false, Some(other)) => other,
            (false, None) => return Ok(()),
        };
        match piece.kind {
            Kind::HardLink => self.hard_link(piece, &path),
            Kind::File => self.file(piece, path, needed),
            kind => {
                *if kind == Kind::Directory { &mut self.census.directories } else { &mut self.census.links } += 1;
                let (parent, name) = split(&path);
                let there = match self.find(parent)? {
                    Some(at) => entry::look(&at, name, piece)?,
                    None => There::Nothing,
                };
                self.count(there, &path, kind == Kind::Directory);
                Ok(())
            }
        }
    }

    fn file(&mut self, piece: &Piece, path: Vec<u8>, needed: Needed) -> Result<(), PipelineFault> {
        self.census.files += 1;
        self.census.bytes += real_size(piece);
        let (parent, name) = split(&path);
        let (there, candidate) = match self.find(parent)? {
            Some(at) => match entry::stat(&at, name, &path)? {
                None => (There::Nothing, None),
                Some(_) => match Candidate::of(&at, name, piece) {
                    Some(candidate) => (There::Same, Some(candidate)),
                    None => (There::Other, None),
                },
            },
            None => (There::Nothing, None),
        };
        self.current = Some(Current { path, frames: Vec::new(), size: piece.size, there, candidate });
        self.goes_on(piece, needed)
    }

    /// Another name is the same when it leads to the same file.
    fn hard_link(&mut self, piece: &Piece, path: &[u8]) -> Result<(), PipelineFault> {
        let to = piece.link_bytes();
        let target = Piece { kind: Kind::File, path: String::from_utf8_lossy(to).into_owned(), ..named(to) };
        let stands_for = match self.wish.wants(&target).0 {
            true => to.to_vec(),
            false => self.census.borrowed.entry(to.to_vec()).or_insert_with(|| path.to_vec()).clone(),
        };
        if stands_for == path {
            // It is the file itself, and was looked at as one.
            return Ok(());
        }
        self.census.links += 1;
        let there = match (self.inode(path)?, self.inode(&stands_for)?) {
            (None, _) => There::Nothing,
            (Some(one), Some(other)) if one == other => There::Same,
            _ => There::Other,
        };
        self.count(there, path, false);
        Ok(())
    }

    fn inode(&mut self, path: &[u8]) -> Result<Option<(u64, u64)>, PipelineFault> {
        let (parent, name) = split(path);
        let Some(at) = self.find(parent)? else { return Ok(None) };
        Ok(entry::stat(&at, name, path)?.map(|stat| (stat.st_dev, stat.st_ino)))
    }

    fn goes_on(&mut self, piece: &Piece, needed: Needed) -> Result<(), PipelineFault> {
        let Some(current) = &mut self.current else { return Ok(()) };
        if piece.len > 0 {
            current.frames.push(needed);
        }
        if let Some(candidate) = &current.candidate
            && !candidate.has(piece).map_err(|error| super::fault(&current.path, error))?
        {
            (current.there, current.candidate) = (There::Other, None);
        }
        Ok(())
    }

    fn end_of_file(&mut self) {
        let Some(current) = self.current.take() else { return };
        self.count(current.there, &current.path, false);
        if current.there == There::Same || (current.there == There::Other && !self.wish.overwrite) {
            return;
        }
        self.census.write += current.size;
        for needed in current.frames {
            self.census.needed[needed.run] = true;
            if self.frames.insert(needed.frame, true) == Some(false) {
                self.census.fetch += needed.len;
            }
        }
    }

    fn count(&mut self, there: There, path: &[u8], is_directory: bool) {
        match there {
            There::Nothing => {}
            // Of a directory only what is in it counts.
            There::Same if is_directory => {}
            There::Same => self.census.same += 1,
            There::Other => {
                self.census.differing += 1;
                if self.census.named.len() < MOST_NAMED {
                    self.census.named.push(shown(path));
                }
            }
        }
    }

    fn find(&mut self, parent: &[u8]) -> Result<Option<std::sync::Arc<std::os::fd::OwnedFd>>, PipelineFault> {
        self.places.as_mut().map_or(Ok(None), |places| places.find(parent))
    }
}

/// A piece of which only the name is asked.
fn named(path: &[u8]) -> Piece {
    let raw = std::str::from_utf8(path).is_err().then(|| crate::format::index::Bytes(path.to_vec()));
    let more = crate::format::index::Attributes { path: raw, ..Default::default() };
    Piece {
        path: String::new(),
        kind: Kind::File,
        skip: 0,
        from: 0,
        len: 0,
        hash: None,
        size: 0,
        mode: 0,
        mtime: 0,
        crc: None,
        link: None,
        more: Some(Box::new(more)),
        lies: None,
    }
}
