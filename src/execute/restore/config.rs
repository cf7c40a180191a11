//! Configuration that lay outside the data directory, put where it was asked to go: never over what this machine has.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use super::RestoreFault;
use super::plan::RestorePlan;
use crate::format::descriptor::ObjectKind;
use crate::pipeline::Checked;
use crate::pipeline::PipelineFault;
use crate::pipeline::restore::{Ground, object_key};

const MAX_FILE: u64 = 64 << 20;
const MAX_FILES: usize = 10_000;

pub(super) fn put(plan: &RestorePlan, ground: &Ground) -> Result<(), RestoreFault> {
    plan.request.config_to.as_ref().map_or(Ok(()), |directory| extract(plan, ground, directory).map(drop))
}

/// Puts all of it below a directory, and says where each file went.
pub(super) fn extract(plan: &RestorePlan, ground: &Ground, directory: &Path) -> Result<BTreeMap<PathBuf, PathBuf>, RestoreFault> {
    let mut placed = BTreeMap::new();
    let Some(object) = plan.chosen.descriptor.objects_of(ObjectKind::Config).next() else { return Ok(placed) };
    let key = object_key(&plan.chosen.repository, &plan.chosen.descriptor, object)?;
    let from = Checked::open(&plan.chosen.store, &key, object.size, &object.sha256, &plan.identities)?;
    let stream = |error: std::io::Error| PipelineFault::of_stream(key.as_str(), &error);
    let mut archive = tar::Archive::new(from);
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
        (&mut entry).take(MAX_FILE).read_to_end(&mut bytes).map_err(stream)?;
        if path.exists() && fs::read(&path).is_ok_and(|there| there != bytes) {
            return Err(RestoreFault::new(
                format!("`{}` is there already and differs", path.display()),
                "Give `--config-to` an empty directory.",
            ));
        }
        if let Some(parent) = path.parent() {
            ground.make_directory(parent)?;
        }
        super::act::put(ground, &path, &bytes)?;
        placed.insert(Path::new("/").join(name), path);
    }
    Ok(placed)
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
