//! The head of a dump: who made it, and its table of contents.

use std::ops::Range;

use super::roles;
use super::toc::{Item, Section};
use super::{About, BadDump, Entry, EntryKind};

const MAGIC: &[u8] = b"PGDMP";
const CUSTOM: u8 = 1;
/// From which version on something is there; the minor number of 1.x.
const LEAST: u8 = 12;
const TABLE_AM: u8 = 14;
const ALGORITHM: u8 = 15;
const RELKIND: u8 = 16;
const MOST: u8 = 16;
/// An entry's rows lie at a place that is written down: not where `pg_dump` wrote into a pipe.
const PLACED: u8 = 2;

/// Reads as far as the bytes go, and on from there when there are more.
#[derive(Debug, Default)]
pub(super) struct Head {
    about: About,
    int_size: usize,
    offset_size: usize,
    /// Entries that are still to come; none before their number is known.
    left: Option<u64>,
    at: usize,
}

impl Head {
    /// Whether all of it has come.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<bool, BadDump> {
        if self.left.is_none() && !self.begin(bytes)? {
            return Ok(false);
        }
        while self.left.is_some_and(|left| left > 0) {
            let mut cursor = Cursor { bytes, at: self.at, int_size: self.int_size };
            let number = self.about.entries as usize;
            match entry(&mut cursor, self.about.version.1, self.offset_size) {
                Err(Stop::Short) => return Ok(false),
                Err(Stop::Nonsense) => return Err(BadDump::Entry(number)),
                Ok(kept) => self.about.kept.extend(kept),
            }
            self.at = cursor.at;
            self.about.entries += 1;
            self.left = self.left.map(|left| left - 1);
        }
        Ok(true)
    }

    /// Where the first row's block begins.
    pub(super) fn end(&self) -> usize {
        self.at
    }

    pub(super) fn into_about(self) -> (About, usize) {
        (self.about, self.int_size)
    }

    fn begin(&mut self, bytes: &[u8]) -> Result<bool, BadDump> {
        if bytes.len() < 11 {
            let is_like = bytes.iter().zip(MAGIC).all(|(one, other)| one == other);
            return if is_like { Ok(false) } else { Err(BadDump::NotADump) };
        }
        if &bytes[..5] != MAGIC {
            return Err(BadDump::NotADump);
        }
        let version = (bytes[5], bytes[6], bytes[7]);
        if version.0 != 1 || !(LEAST..=MOST).contains(&version.1) {
            return Err(BadDump::Version(version.0, version.1));
        }
        (self.int_size, self.offset_size) = (usize::from(bytes[8]), usize::from(bytes[9]));
        if bytes[10] != CUSTOM || !(1..=8).contains(&self.int_size) || !(1..=8).contains(&self.offset_size) {
            return Err(BadDump::NotADump);
        }
        let mut cursor = Cursor { bytes, at: 11, int_size: self.int_size };
        match preface(&mut cursor, version.1) {
            Err(Stop::Short) => Ok(false),
            Err(Stop::Nonsense) => Err(BadDump::NotADump),
            Ok(Preface { compressed: true, .. }) => Err(BadDump::Compressed),
            Ok(Preface { server, client, entries, .. }) => {
                self.about = About { version, server, client, ..About::default() };
                (self.left, self.at) = (Some(entries), cursor.at);
                Ok(true)
            }
        }
    }
}

/// Why reading stops.
enum Stop {
    /// More bytes are needed.
    Short,
    Nonsense,
}

struct Preface {
    compressed: bool,
    server: String,
    client: String,
    entries: u64,
}

fn preface(cursor: &mut Cursor<'_>, version: u8) -> Result<Preface, Stop> {
    let compressed = if version >= ALGORITHM { cursor.byte()? != 0 } else { cursor.int()? != 0 };
    // When: seconds, minutes, hours, day, month, year, summer time.
    for _ in 0..7 {
        cursor.int()?;
    }
    let _database = cursor.text()?;
    let server = cursor.text()?.unwrap_or_default();
    let client = cursor.text()?.unwrap_or_default();
    let entries = u64::try_from(cursor.int()?).map_err(|_| Stop::Nonsense)?;
    Ok(Preface { compressed, server, client, entries })
}

/// All lines of a head that has come whole.
pub(super) fn items(bytes: &[u8]) -> Result<Vec<Item>, BadDump> {
    let mut head = Head::default();
    if !head.begin(bytes)? {
        return Err(BadDump::CutShort(bytes.len() as u64));
    }
    let mut cursor = Cursor { bytes, at: head.at, int_size: head.int_size };
    let mut all = Vec::new();
    for number in 0..head.left.unwrap_or_default() {
        let line = line(&mut cursor, head.about.version.1, head.offset_size).map_err(|stop| stopped(stop, bytes, number))?;
        all.push(line.item);
    }
    Ok(all)
}

fn stopped(stop: Stop, bytes: &[u8], number: u64) -> BadDump {
    match stop {
        Stop::Short => BadDump::CutShort(bytes.len() as u64),
        Stop::Nonsense => BadDump::Entry(usize::try_from(number).unwrap_or_default()),
    }
}

/// The same head, in which roles have other names: as owners, and where definitions name them.
pub(super) fn renamed(bytes: &[u8], to: &dyn Fn(&str) -> Option<String>) -> Result<Vec<u8>, BadDump> {
    let mut head = Head::default();
    if !head.begin(bytes)? {
        return Err(BadDump::CutShort(bytes.len() as u64));
    }
    let mut cursor = Cursor { bytes, at: head.at, int_size: head.int_size };
    let mut out = bytes[..head.at].to_vec();
    for number in 0..head.left.unwrap_or_default() {
        let begin = cursor.at;
        let Line { item, definition, owner, is_placed } =
            line(&mut cursor, head.about.version.1, head.offset_size).map_err(|stop| stopped(stop, bytes, number))?;
        if is_placed {
            return Err(BadDump::Entry(usize::try_from(number).unwrap_or_default()));
        }
        // In other encodings than UTF-8 it may not be.
        let is_readable = bytes[definition.clone()].ends_with(item.definition.as_bytes());
        out.extend(&bytes[begin..definition.start]);
        match roles::renamed(&item, to) {
            Ok(None) => out.extend(&bytes[definition.clone()]),
            Ok(Some(text)) if is_readable => put_text(&mut out, &text, head.int_size),
            _ => return Err(BadDump::Roles(format!("{} {}", item.kind, item.name))),
        }
        out.extend(&bytes[definition.end..owner.start]);
        match to(&item.owner) {
            Some(name) if !item.owner.is_empty() => put_text(&mut out, &name, head.int_size),
            _ => out.extend(&bytes[owner.clone()]),
        }
        out.extend(&bytes[owner.end..cursor.at]);
    }
    Ok(out)
}

fn put_text(out: &mut Vec<u8>, text: &str, int_size: usize) {
    let length = (text.len() as u64).to_le_bytes();
    out.push(0);
    out.extend(&length[..int_size]);
    out.extend(text.as_bytes());
}

/// One line, if it is one of those that are kept.
fn entry(cursor: &mut Cursor<'_>, version: u8, offset_size: usize) -> Result<Option<Entry>, Stop> {
    let Item { id, oid, kind, name, schema, has_data, .. } = line(cursor, version, offset_size)?.item;
    let kind = match (kind.as_str(), has_data) {
        ("TABLE", false) => EntryKind::Table,
        ("TABLE DATA", true) => EntryKind::Rows,
        ("BLOBS", true) => EntryKind::LargeObjects,
        // Data of a kind that is not known cannot be waited for.
        (_, true) => return Err(Stop::Nonsense),
        (_, false) => return Ok(None),
    };
    Ok(Some(Entry { id, oid, kind, schema, name }))
}

/// An entry, and where some of it stands: with the lengths before the texts.
struct Line {
    item: Item,
    definition: Range<usize>,
    owner: Range<usize>,
    is_placed: bool,
}

fn line(cursor: &mut Cursor<'_>, version: u8, offset_size: usize) -> Result<Line, Stop> {
    let id = cursor.int()?;
    let has_data = cursor.int()? != 0;
    let _class = cursor.skip_text()?;
    let oid = cursor.text()?.unwrap_or_default().parse().unwrap_or_default();
    let name = cursor.text()?.unwrap_or_default();
    let kind = cursor.text()?.unwrap_or_default();
    let section = Section::of(cursor.int()?);
    let defined = cursor.at;
    let definition = cursor.text()?.unwrap_or_default();
    let defined = defined..cursor.at;
    let _drop = cursor.skip_text()?;
    let copy = cursor.text()?.unwrap_or_default();
    let schema = cursor.text()?.unwrap_or_default();
    let tablespace = cursor.text()?.unwrap_or_default();
    if version >= TABLE_AM {
        cursor.skip_text()?;
    }
    if version >= RELKIND {
        cursor.int()?;
    }
    let owned = cursor.at;
    let owner = cursor.text()?.unwrap_or_default();
    let owned = owned..cursor.at;
    let _with_oids = cursor.skip_text()?;
    // What it depends on, up to a text that is none.
    let mut needs = Vec::new();
    while let Some(one) = cursor.text()? {
        needs.extend(one.parse::<i64>().ok());
    }
    // Where its data are: a flag, and a place that is not known when it was written into a pipe.
    let is_placed = cursor.take(1 + offset_size)?[0] == PLACED;
    let item = Item { id, oid, kind, schema, name, section, definition, copy, tablespace, owner, needs, has_data };
    Ok(Line { item, definition: defined, owner: owned, is_placed })
}

struct Cursor<'b> {
    bytes: &'b [u8],
    at: usize,
    int_size: usize,
}

impl<'b> Cursor<'b> {
    fn take(&mut self, length: usize) -> Result<&'b [u8], Stop> {
        let end = self.at.checked_add(length).ok_or(Stop::Nonsense)?;
        let taken = self.bytes.get(self.at..end).ok_or(Stop::Short)?;
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Stop> {
        Ok(self.take(1)?[0])
    }

    fn int(&mut self) -> Result<i64, Stop> {
        let size = self.int_size;
        super::blocks::int(self.take(1 + size)?).ok_or(Stop::Nonsense)
    }

    fn raw(&mut self) -> Result<Option<&'b [u8]>, Stop> {
        match usize::try_from(self.int()?) {
            // Less than nothing: there is no text.
            Err(_) => Ok(None),
            Ok(length) if length > super::MAX_HEAD => Err(Stop::Nonsense),
            Ok(length) => self.take(length).map(Some),
        }
    }

    fn text(&mut self) -> Result<Option<String>, Stop> {
        Ok(self.raw()?.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
    }

    /// Whether there was one.
    fn skip_text(&mut self) -> Result<bool, Stop> {
        Ok(self.raw()?.is_some())
    }
}
