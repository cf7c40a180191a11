//! What must be so before anything is fetched.

use std::path::{Path, PathBuf};

use super::place::Purpose;
use crate::execute::restore::directory::can_read;
use crate::execute::restore::{Asleep, RestoreFault, RestorePlan};
use crate::pipeline::restore::Owner;
use crate::policy::model::Encryption;
use crate::site::Site;
use crate::units::Bytes;

/// A copy within the original's files would be taken for a part of them.
pub fn refuse_the_original(site: &Site<'_>, base: &Path, purpose: &Purpose) -> Result<(), RestoreFault> {
    let Some(original) = site.policy.file.cluster.as_ref().and_then(|cluster| cluster.data_directory.as_ref()) else { return Ok(()) };
    refuse_within(base, Path::new(original), purpose)
}

fn refuse_within(base: &Path, original: &Path, purpose: &Purpose) -> Result<(), RestoreFault> {
    let real = |path: &Path| path.ancestors().find_map(|above| Some(above.canonicalize().ok()?.join(path.strip_prefix(above).ok()?)));
    let within = base.starts_with(original) || real(base).zip(real(original)).is_some_and(|(base, original)| base.starts_with(original));
    if !within {
        return Ok(());
    }
    let message = format!("`{}` is the original's data directory `{}`, or lies in it", base.display(), original.display());
    Err(RestoreFault::new(message, format!("{}; best on another host.", purpose.elsewhere())))
}

/// What needs nothing of the backup's files to be known.
pub fn must_suit(site: &Site<'_>, plan: &RestorePlan, base: &Path, purpose: &Purpose) -> Result<(), RestoreFault> {
    let private = &plan.chosen.private;
    if !private.data_directory.is_empty() {
        refuse_within(base, Path::new(&private.data_directory), purpose)?;
    }
    if !plan.archived.is_readable() {
        let mut fault = RestoreFault::from(Asleep::from(plan));
        if matches!(purpose, Purpose::Drill(..)) {
            fault.hint = "Drill one that is not archived, or from another store with `drills.NAME.from`.".into();
        }
        return Err(fault);
    }
    must_be_readable(site, plan, base, purpose)
}

/// For the files, and for all of the log: what is replayed makes them larger by at most that much.
pub fn must_have_room(base: &Path, files: u64, log: u64, purpose: &Purpose) -> Result<(), RestoreFault> {
    let Ok(system) = rustix::fs::statvfs(base) else { return Ok(()) };
    let free = system.f_bavail.saturating_mul(system.f_frsize);
    if free >= files.saturating_add(log) {
        return Ok(());
    }
    let shown = |bytes: u64| Bytes::new(bytes).rounded();
    let message =
        format!("`{}` has {} left, and the copy needs {} and up to {} for the log", base.display(), shown(free), shown(files), shown(log));
    let hint = match purpose {
        Purpose::Drill(..) => "Make room, or name another place with `drills.NAME.directory`.",
        Purpose::Tables => "Make room, or name another place with `--directory DIR`.",
    };
    Err(RestoreFault::new(message, hint))
}

/// The server's account has to reach its directory, and to read what fetching its log needs.
fn must_be_readable(site: &Site<'_>, plan: &RestorePlan, base: &Path, purpose: &Purpose) -> Result<(), RestoreFault> {
    let owner = plan.directory.owner;
    let account = &plan.directory.account;
    if !may_enter(base, owner) {
        let message = format!("`{account}`, as whom PostgreSQL runs, may not enter `{}`", base.display());
        let hint = match purpose {
            Purpose::Drill(..) => "Name a place that it may enter with `drills.NAME.directory`, or run the drill as that account.",
            Purpose::Tables => "Name a place that it may enter with `--directory DIR`, or run this as that account.",
        };
        return Err(RestoreFault::new(message, hint));
    }
    let fetch = &plan.request.fetch;
    let identity = plan.request.identity.clone().or_else(|| {
        let identity = site.policy.encryption.as_ref().and_then(Encryption::identity);
        identity.and_then(|secret| secret.file.as_ref()).map(PathBuf::from)
    });
    let needed = [Some(fetch.program.clone()), Some(fetch.policy.clone()), identity];
    match needed.into_iter().flatten().find(|file| !can_read(file, owner)) {
        Some(file) => {
            let message = format!("`{account}`, as whom PostgreSQL runs, cannot read `{}`, which fetching its log needs", file.display());
            let hint = match purpose {
                Purpose::Drill(..) => "Let it, or run the drill as that account.",
                Purpose::Tables => "Let it, or run this as that account.",
            };
            Err(RestoreFault::new(message, hint))
        }
        None => Ok(()),
    }
}

/// Every directory above the copy's own, which is given to it.
pub fn may_enter(base: &Path, owner: Option<Owner>) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let Some(Owner { uid, gid }) = owner else { return true };
    base.ancestors().filter_map(|above| above.metadata().ok()).all(|about| {
        let bit = match (about.uid() == uid, about.gid() == gid) {
            (true, _) => 0o100,
            (false, true) => 0o010,
            (false, false) => 0o001,
        };
        about.mode() & bit != 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_original_is_refused_by_whatever_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        std::fs::create_dir(&data).expect("made");
        std::os::unix::fs::symlink(&data, folder.path().join("link")).expect("linked");
        for inside in ["data", "data/drills", "link", "link/a/b"] {
            assert!(refuse_within(&folder.path().join(inside), &data, &Purpose::Tables).is_err(), "{inside}");
        }
        for outside in ["", "data-2", "drills", "link-2/data"] {
            assert!(refuse_within(&folder.path().join(outside), &data, &Purpose::Tables).is_ok(), "{outside}");
        }
    }
}
