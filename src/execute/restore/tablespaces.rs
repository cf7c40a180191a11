//! Where each tablespace goes.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::directory::MARKER;
use super::request::{Request, Which};
use super::{RestoreFault, settings};
use crate::format::descriptor::Tablespace;
use crate::units::{BackupId, Instant};
use crate::world::files;

/// The places of all tablespaces: where they were, or where they were asked to go.
pub fn places(request: &Request, tablespaces: &[Tablespace]) -> Result<BTreeMap<u32, PathBuf>, RestoreFault> {
    let place = |space: &Tablespace| match &request.throw_away {
        Some(below) => below.join(space.oid.to_string()),
        None => PathBuf::from(&space.path),
    };
    let mut places: BTreeMap<u32, PathBuf> = tablespaces.iter().map(|space| (space.oid, place(space))).collect();
    for remapped in &request.tablespaces {
        let which = tablespaces.iter().find(|space| match &remapped.which {
            Which::Number(oid) => space.oid == *oid,
            Which::Path(path) => space.path == *path,
        });
        let Some(space) = which else {
            let known: Vec<String> = tablespaces.iter().map(|space| format!("{}={}", space.oid, space.path)).collect();
            let hint = if known.is_empty() { "It has none.".to_owned() } else { format!("It has {}.", known.join(", ")) };
            let asked = match &remapped.which {
                Which::Number(oid) => oid.to_string(),
                Which::Path(path) => path.clone(),
            };
            return Err(RestoreFault::new(format!("the backup has no tablespace `{asked}`"), hint));
        };
        places.insert(space.oid, remapped.to.clone());
    }
    for (oid, place) in &places {
        check(request, *oid, place)?;
    }
    for (oid, place) in &places {
        if let Some((other, _)) = places.range(oid + 1..).find(|(_, other)| *other == place) {
            let message = format!("tablespaces {oid} and {other} would both lie in `{}`", place.display());
            return Err(RestoreFault::new(message, "Give each a directory of its own."));
        }
    }
    Ok(places)
}

fn check(request: &Request, oid: u32, place: &Path) -> Result<(), RestoreFault> {
    let shown = place.display();
    if !place.is_absolute() {
        return Err(RestoreFault::new(format!("tablespace {oid}: `{shown}` is not an absolute path"), "Give one."));
    }
    if place.starts_with(&request.directory) {
        return Err(RestoreFault::new(format!("tablespace {oid}: `{shown}` lies in the data directory"), "Put it beside it."));
    }
    if !place.is_dir() && !place.parent().is_some_and(Path::is_dir) {
        let hint = format!("Make it, mount it, or send the tablespace elsewhere with `--tablespace {oid}=DIR`.");
        return Err(RestoreFault::new(format!("tablespace {oid}: the parent of `{shown}` is not there"), hint));
    }
    if is_empty(place).map_err(|error| unreadable(oid, place, &error))? || (request.delta && belongs_to(&request.directory, oid, place)) {
        return Ok(());
    }
    let target = request.directory.display();
    let hint = format!(
        "It may be in use by the cluster that the backup was taken of: `{target}` has no link to it. Send it elsewhere with \
         `--tablespace {oid}=DIR`, or empty it when it is certain that no server uses it."
    );
    Err(RestoreFault::new(format!("tablespace {oid}: `{shown}` is not empty, and it is not this directory's own"), hint))
}

fn is_empty(place: &Path) -> std::io::Result<bool> {
    match fs::read_dir(place) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        // A file system's own directory is nobody's data.
        entries => Ok(entries?.filter_map(Result::ok).all(|entry| entry.file_name() == "lost+found")),
    }
}

fn unreadable(oid: u32, place: &Path, error: &std::io::Error) -> RestoreFault {
    let message = format!("tablespace {oid}: `{}` cannot be looked into: {error}", place.display());
    RestoreFault::new(message, "Run as the user that shall own it, or as root.")
}

/// Whether what lies there is the data directory's: its link leads there, or an unfinished restore into it has begun to write there.
fn belongs_to(root: &Path, oid: u32, place: &Path) -> bool {
    let same = |one: &Path| matches!((one.canonicalize(), place.canonicalize()), (Ok(one), Ok(place)) if one == place);
    same(&root.join(format!("pg_tblspc/{oid}"))) || of_unfinished(root).get(&oid).is_some_and(|named| same(named))
}

/// What the mark of a restore says while it is going on.
#[derive(Debug, Serialize, Deserialize)]
pub struct Mark {
    pub backup: BackupId,
    pub pid: u32,
    pub since: Instant,
    /// Where it writes besides the directory itself.
    #[serde(default)]
    pub tablespaces: BTreeMap<u32, PathBuf>,
}

fn of_unfinished(root: &Path) -> BTreeMap<u32, PathBuf> {
    let mark = files::read(&root.join(MARKER), 1 << 20).ok().and_then(|bytes| serde_json::from_slice::<Mark>(&bytes).ok());
    mark.map(|mark| mark.tablespaces).unwrap_or_default()
}

/// `tablespace_map` with the places of now: PostgreSQL makes the links of it when recovery begins. `None` when it need not change.
pub fn rewritten(map: &[u8], places: &BTreeMap<u32, PathBuf>) -> Option<Vec<u8>> {
    let mut changed = false;
    let mut text = Vec::new();
    for line in settings::lines_of(map) {
        let (oid, path) = line.split_at(line.iter().position(|byte| *byte == b' ').unwrap_or(line.len()));
        let place = str::from_utf8(oid).ok().and_then(|oid| oid.parse().ok()).and_then(|oid: u32| places.get(&oid));
        match place.map(|place| escaped(place)) {
            Some(place) if place != path.strip_prefix(b" ").unwrap_or(path) => {
                changed = true;
                text.extend([oid, b" ", &place].concat());
            }
            _ => text.extend(line),
        }
        text.push(b'\n');
    }
    changed.then_some(text)
}

/// As PostgreSQL escapes what would end a line.
fn escaped(place: &Path) -> Vec<u8> {
    let mut text = Vec::new();
    for byte in place.as_os_str().as_bytes() {
        if matches!(byte, b'\\' | b'\n' | b'\r') {
            text.push(b'\\');
        }
        text.push(*byte);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_follows() {
        let places = [(16385, PathBuf::from("/new/place")), (16390, PathBuf::from("/same"))].into();
        let now = rewritten(b"16385 /old\n16390 /same\n", &places);
        assert_eq!(now.as_deref(), Some(&b"16385 /new/place\n16390 /same\n"[..]));
        assert_eq!(rewritten(b"16390 /same\n", &places), None);
        // What somebody named in another encoding leads away as well.
        let now = rewritten(b"16385 /d\xE9p\xF4t\n16400 /\xE9t\xE9\n", &places);
        assert_eq!(now.as_deref(), Some(&b"16385 /new/place\n16400 /\xE9t\xE9\n"[..]));
    }
}
