//! What the policy says about a job that copies files, and what of this host that is.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::execute::backup::{BackupFault, order};
use crate::format::codec::Codec;
use crate::pipeline::PipelineFault;
use crate::pipeline::backup::tree::Tree;
use crate::plan::room_needed;
use crate::policy::exclude;
use crate::policy::file::{Files, ReadBack};
use crate::policy::model::{Method, Policy, StoreKind};
use crate::site::Site;
use crate::units::{Bytes, Name};

/// More wait for each other: all that they read goes into one part.
const MOST_WORKERS: usize = 8;

#[derive(Debug, Clone)]
pub(super) struct Order {
    pub job: Name,
    pub store: Name,
    pub options: Files,
    pub workers: usize,
    pub read_back: ReadBack,
    pub codec: Codec,
    pub local: Option<(PathBuf, bool)>,
    /// What the first backup is taken to need.
    pub first_needs: Option<Bytes>,
    pub timeout: Option<Duration>,
}

impl Order {
    pub(super) fn of(site: &Site<'_>, job: &Name) -> Result<Order, BackupFault> {
        let policy = site.policy;
        let found = policy.backups.get(job).map(|backup| (backup, &backup.method));
        let Some((backup, Method::Files(options))) = found else {
            return Err(BackupFault::refused(format!("backups.{job} is no backup of files"), "Only `files` backups are."));
        };
        let store = backup
            .store
            .clone()
            .ok_or_else(|| BackupFault::refused(format!("backups.{job} names no store"), format!("Add `backups.{job}.store`.")))?;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Order {
            job: job.clone(),
            options: options.clone(),
            workers: processors.min(MOST_WORKERS),
            read_back: backup.read_back,
            codec: site.codec(Some(job)),
            local: order::local(policy, &store),
            first_needs: room_needed(policy, backup),
            timeout: backup.timeout.map(order::patience),
            store,
        })
    }

    /// The paths as they are on this host, or what is wrong with them: a path that is named and is not there is a mistake.
    pub(super) fn tree(&self, policy: &Policy, data_directory: Option<&Path>, remarks: &mut Vec<String>) -> Result<Tree, BackupFault> {
        let mut paths = Vec::new();
        for written in &self.options.paths {
            let path = without_links(Path::new(written))
                .map_err(|error| PipelineFault::file(format!("backups.{}.files.paths: {written}", self.job), error))?;
            if path.as_os_str().as_bytes() != written.trim_end_matches('/').as_bytes() && path != Path::new("/") {
                remarks.push(format!("{written} is {} without the links on the way, and is restored there", path.display()));
            }
            if path.is_symlink() {
                remarks.push(format!("{written} is a symbolic link: the link is copied, and not what it leads to"));
            }
            paths.push(path);
        }
        paths.sort();
        // What lies below another path is copied with it.
        paths.dedup_by(|later, earlier| later.starts_with(&*earlier));
        let without = without(policy, data_directory);
        if let Some((path, why)) = without.iter().find(|(path, _)| paths.iter().any(|named| named.starts_with(path))) {
            let message = format!("backups.{}.files.paths: {} is no folder to copy: {why}", self.job, path.display());
            return Err(BackupFault::refused(message, "Take the path out of the policy."));
        }
        let exclude = exclude::patterns(&self.options.exclude).map_err(|(pattern, why)| {
            BackupFault::refused(
                format!("backups.{}.files.exclude: `{pattern}` is no pattern: {why}", self.job),
                "Write it as in .gitignore.",
            )
        })?;
        Ok(Tree { paths, exclude, without })
    }
}

/// The last name may be a link, and is itself what is meant; those before it only lead there.
fn without_links(path: &Path) -> std::io::Result<PathBuf> {
    let whole = match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => fs::canonicalize(parent)?.join(name),
        _ => fs::canonicalize(path)?,
    };
    fs::symlink_metadata(&whole).map(|_| whole)
}

/// What would be no use in a copy of files, or would never end.
fn without(policy: &Policy, data_directory: Option<&Path>) -> Vec<(PathBuf, String)> {
    let mut without = Vec::new();
    for (name, store) in &policy.stores {
        if let StoreKind::Local(local) = &store.kind {
            without.push((PathBuf::from(&local.path), format!("it is the store `{name}`")));
        }
    }
    let declared = policy.file.cluster.as_ref().and_then(|cluster| cluster.data_directory.as_ref()).map(PathBuf::from);
    for directory in declared.into_iter().chain(data_directory.map(Path::to_owned)) {
        let why = "it is the cluster's data directory, of which only a physical backup is one";
        without.push((directory, why.to_owned()));
    }
    without.into_iter().map(|(path, why)| (fs::canonicalize(&path).unwrap_or(path), why)).collect()
}
