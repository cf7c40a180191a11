//! Copies whose process is gone: it was killed, or the machine went down.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use super::place::{self, MARK, Mark, Purpose, UNFINISHED};
use crate::execute::restore::RestoreFault;
use crate::inventory::Phase;
use crate::site::Site;

/// A folder is being made for no longer than this.
const UNMARKED: std::time::Duration = std::time::Duration::from_secs(60);

/// Ends and removes what is left of this policy's copies on this host, of these purposes, and tells of each how far it had come. Gives how
/// many there were.
pub fn sweep(site: &Site<'_>, of: &dyn Fn(&Purpose) -> bool, lost: &mut dyn FnMut(&Mark, Phase)) -> usize {
    let mut swept = 0;
    for Left { folder, mark, link } in places(site).into_iter().filter(|left| of(&left.mark.purpose)) {
        let Some(_lock) = abandoned(&folder) else { continue };
        // Read again: somebody may have kept it in between.
        if place::marked(&folder).is_none_or(|mark| mark.kept) {
            continue;
        }
        let phase = place::phase(&folder).unwrap_or(Phase::Prepare);
        match place::remove(&folder, &mark) {
            Ok(()) => {
                tracing::warn!("what was left of the copy {} was removed: its process had ended without a word", mark.id);
                swept += 1;
                unlink(link);
                lost(&mark, phase);
            }
            Err(fault) => tracing::error!(hint = fault.hint, "{fault}"),
        }
    }
    swept
}

/// Copies that somebody wanted to look at.
pub fn kept(site: &Site<'_>) -> Vec<PathBuf> {
    places(site).into_iter().filter(|left| left.mark.kept).map(|left| left.folder).collect()
}

/// Removes those.
pub fn remove_kept(site: &Site<'_>) -> Result<Vec<PathBuf>, RestoreFault> {
    let mut removed = Vec::new();
    for Left { folder, mark, link } in places(site).into_iter().filter(|left| left.mark.kept) {
        let Some(_lock) = abandoned(&folder) else { continue };
        place::remove(&folder, &mark)?;
        unlink(link);
        removed.push(folder);
    }
    Ok(removed)
}

fn unlink(link: Option<PathBuf>) {
    if let Some(link) = link {
        let _ = fs::remove_file(link);
    }
}

/// A copy's folder, and by which link it was found where it lies elsewhere.
struct Left {
    folder: PathBuf,
    mark: Mark,
    link: Option<PathBuf>,
}

/// This policy's on this host.
fn places(site: &Site<'_>) -> Vec<Left> {
    let named = site.policy.drills.values().filter_map(|drill| drill.directory.as_ref()).map(PathBuf::from);
    let mut bases: Vec<PathBuf> = named.chain([place::usual(site), place::usual_for_tables(site)]).collect();
    bases.sort();
    bases.dedup();
    let entries = bases.iter().flat_map(|base| fs::read_dir(base).into_iter().flatten().flatten()).map(|entry| entry.path());
    let mut all = Vec::new();
    for entry in entries {
        // What lies elsewhere has left a link here.
        let (folder, link) = match fs::read_link(&entry) {
            Ok(elsewhere) if elsewhere.exists() => (elsewhere, Some(entry)),
            Ok(_) => {
                if is_old(&entry) {
                    let _ = fs::remove_file(&entry);
                }
                continue;
            }
            Err(_) => (entry, None),
        };
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with(UNFINISHED) {
            forget(&folder);
            continue;
        }
        let ours = |mark: &Mark| mark.policy == site.policy.name && mark.host == site.host() && mark.id.as_str() == name;
        all.extend(place::marked(&folder).filter(ours).map(|mark| Left { folder, mark, link }));
    }
    // Where the policy still names the directory it is found there as well, and one of the two knows the link.
    all.sort_by(|one, other| (&one.folder, one.link.is_none()).cmp(&(&other.folder, other.link.is_none())));
    all.dedup_by(|again, first| again.folder == first.folder);
    all
}

/// Its process died within its first moments; nothing was ever put there.
fn forget(folder: &Path) {
    if is_old(folder) {
        let _ = fs::remove_file(folder.join(MARK)).or(Ok::<(), std::io::Error>(())).and_then(|()| fs::remove_dir(folder));
    }
}

fn is_old(entry: &Path) -> bool {
    fs::symlink_metadata(entry).and_then(|about| about.modified()).is_ok_and(|at| at.elapsed().is_ok_and(|age| age > UNMARKED))
}

/// The lock of a copy whose process is gone. None while it lives.
fn abandoned(folder: &Path) -> Option<fs::File> {
    let file = OpenOptions::new().read(true).write(true).open(folder.join(MARK)).ok()?;
    file.try_lock().is_ok().then_some(file)
}
