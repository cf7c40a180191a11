//! Configuration that lay outside the data directory, put where it was asked to go: never over what this machine has.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use super::RestoreFault;
use super::choose::Chosen;
use super::plan::RestorePlan;
use crate::format::descriptor::ObjectKind;
use crate::format::seal::Identities;
use crate::pipeline::Checked;
use crate::pipeline::PipelineFault;
use crate::pipeline::restore::{Ground, object_key};
use crate::units::Key;

/// Whoever takes a backup ends with half of it.
const MAX_ALL: u64 = 64 << 20;
const MAX_FILES: usize = 10_000;

/// Known before anything is done: they are those that were backed up. Every one of them can name programs that the server runs.
pub(super) fn must_be_right(chosen: &Chosen, identities: &Identities) -> Result<(), RestoreFault> {
    whole(chosen, identities).map(drop)
}

/// Known before anything is done: nothing that is there would be written over.
pub(super) fn must_fit(directory: &Path, chosen: &Chosen, identities: &Identities) -> Result<(), RestoreFault> {
    each(directory, chosen, identities, &mut |_, path, bytes| must_be_same(&path, &bytes))
}

pub(super) fn put(plan: &RestorePlan, ground: &Ground) -> Result<(), RestoreFault> {
    plan.request.config_to.as_ref().map_or(Ok(()), |directory| extract(plan, ground, directory).map(drop))
}

/// Puts all of it below a directory, and says where each file went.
pub(super) fn extract(plan: &RestorePlan, ground: &Ground, directory: &Path) -> Result<BTreeMap<PathBuf, PathBuf>, RestoreFault> {
    let mut placed = BTreeMap::new();
    each(directory, &plan.chosen, &plan.identities, &mut |name, path, bytes| {
        must_be_same(&path, &bytes)?;
        if let Some(parent) = path.parent() {
            ground.make_directory(parent)?;
        }
        put_whole(ground, &path, &bytes)?;
        placed.insert(Path::new("/").join(name), path);
        Ok(())
    })?;
    Ok(placed)
}

/// Written beside and renamed: the next run would take half a file for one of this machine's own.
fn put_whole(ground: &Ground, path: &Path, bytes: &[u8]) -> Result<(), RestoreFault> {
    let mut part = path.as_os_str().to_owned();
    part.push(".seawall-part");
    let part = PathBuf::from(part);
    let failed = |error| PipelineFault::file(format!("`{}` cannot be written", path.display()), error);
    let renamed = || -> Result<(), RestoreFault> {
        super::act::put(ground, &part, bytes)?;
        fs::File::open(&part).and_then(|file| file.sync_all()).map_err(failed)?;
        Ok(fs::rename(&part, path).map_err(failed)?)
    };
    renamed().inspect_err(|_| drop(fs::remove_file(&part)))
}

fn must_be_same(path: &Path, bytes: &[u8]) -> Result<(), RestoreFault> {
    if path.exists() && fs::read(path).is_ok_and(|there| there != bytes) {
        let message = format!("`{}` is there already and differs", path.display());
        return Err(RestoreFault::new(message, "Give `--config-to` an empty directory."));
    }
    Ok(())
}

/// A file with its name, its place below the directory, and its bytes.
type Each<'e> = dyn FnMut(PathBuf, PathBuf, Vec<u8>) -> Result<(), RestoreFault> + 'e;

fn each(directory: &Path, chosen: &Chosen, identities: &Identities, each: &mut Each<'_>) -> Result<(), RestoreFault> {
    let Some((key, bytes)) = whole(chosen, identities)? else { return Ok(()) };
    let stream = |error: std::io::Error| PipelineFault::of_stream(key.as_str(), &error);
    let mut archive = tar::Archive::new(bytes.as_slice());
    for (number, entry) in archive.entries().map_err(stream)?.enumerate() {
        let mut entry = entry.map_err(stream)?;
        if number >= MAX_FILES || !entry.header().entry_type().is_file() {
            continue;
        }
        let name = entry.path().map_err(stream)?.into_owned();
        let Some(path) = inside(directory, &name) else {
            return Err(RestoreFault::new(format!("{key} holds a file whose name leads out of its place"), "Do not trust this backup."));
        };
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(stream)?;
        each(name, path, bytes)?;
    }
    Ok(())
}

/// The tar, of which nothing is looked at before its end was read and its hash found right: a tar ends where it says so, and what
/// somebody put in its place would be at work before anybody noticed.
fn whole(chosen: &Chosen, identities: &Identities) -> Result<Option<(Key, Vec<u8>)>, RestoreFault> {
    let Some(object) = chosen.descriptor.objects_of(ObjectKind::Config).next() else { return Ok(None) };
    let key = object_key(&chosen.repository, &chosen.descriptor, object)?;
    let bytes = Checked::open(&chosen.store, &key, object.size, &object.sha256, identities)?.whole(MAX_ALL)?;
    Ok(Some((key, bytes)))
}

/// Below the directory whatever the name says; `None` when it says to leave.
fn inside(directory: &Path, name: &Path) -> Option<PathBuf> {
    let mut path = directory.to_owned();
    for part in name.components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    (path != directory).then_some(path)
}
