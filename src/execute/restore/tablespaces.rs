//! Where each tablespace goes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::RestoreFault;
use super::request::{Request, Which};
use crate::format::descriptor::Tablespace;

/// The places of all tablespaces: where they were, or where they were asked to go.
pub fn places(request: &Request, tablespaces: &[Tablespace]) -> Result<BTreeMap<u32, PathBuf>, RestoreFault> {
    let mut places: BTreeMap<u32, PathBuf> = tablespaces.iter().map(|space| (space.oid, PathBuf::from(&space.path))).collect();
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
    let anything =
        fs::read_dir(place).is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(|entry| entry.file_name() != "lost+found")));
    if anything && !request.delta {
        let hint = format!(
            "It may be in use by the cluster that the backup was taken of. Send it elsewhere with `--tablespace {oid}=DIR`, or say `--delta`."
        );
        return Err(RestoreFault::new(format!("tablespace {oid}: `{shown}` is not empty"), hint));
    }
    Ok(())
}

/// `tablespace_map` with the places of now: PostgreSQL makes the links of it when recovery begins. `None` when it need not change.
pub fn rewritten(map: &str, places: &BTreeMap<u32, PathBuf>) -> Option<String> {
    let mut changed = false;
    let mut text = String::new();
    for line in map.lines() {
        let (oid, path) = line.split_once(' ').unwrap_or((line, ""));
        match oid.parse().ok().and_then(|oid: u32| places.get(&oid)) {
            Some(place) if escaped(place) != path => {
                changed = true;
                text.push_str(&format!("{oid} {}\n", escaped(place)));
            }
            _ => text.push_str(&format!("{line}\n")),
        }
    }
    changed.then_some(text)
}

/// As PostgreSQL escapes what would end a line.
fn escaped(place: &Path) -> String {
    place.to_string_lossy().replace('\\', "\\\\").replace('\n', "\\\n").replace('\r', "\\\r")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_follows() {
        let places = [(16385, PathBuf::from("/new/place")), (16390, PathBuf::from("/same"))].into();
        assert_eq!(rewritten("16385 /old\n16390 /same\n", &places).as_deref(), Some("16385 /new/place\n16390 /same\n"));
        assert_eq!(rewritten("16390 /same\n", &places), None);
    }
}
