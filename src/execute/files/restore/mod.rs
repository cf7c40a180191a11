//! Brings files back: everything is looked at and counted first, then exactly that is done.

mod record;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant as Stopwatch;

use schemars::JsonSchema;
use serde::Serialize;

use crate::execute::hook::When;
use crate::execute::restore::newest::{self, Newest, newest};
use crate::execute::restore::{Pin, RestoreFault};
use crate::format::descriptor::{Descriptor, ObjectKind};
use crate::format::layout::Repository;
use crate::format::notes::{MAX_BYTES, Notes};
use crate::format::seal::Identities;
use crate::inventory::{BackupKind, BackupState};
use crate::pipeline::restore::tree::{self, Census, Proof, Put, Wish};
use crate::pipeline::restore::{Progress, Source};
use crate::pipeline::{Checked, PipelineFault};
use crate::policy::exclude;
use crate::policy::model::Method;
use crate::site::Site;
use crate::store::Store;
use crate::units::{BackupId, Instant, Name};
use crate::world::clock;

/// What somebody wants back, and where.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub backup: Option<BackupId>,
    /// The newest copy of this job.
    pub job: Option<Name>,
    pub store: Option<Name>,
    /// Which files; all without one.
    pub patterns: Vec<String>,
    pub root: PathBuf,
    pub overwrite: bool,
    /// Where they were is meant.
    pub in_place: bool,
    pub numeric: bool,
    pub workers: usize,
    pub identity: Option<PathBuf>,
}

/// What will be done.
#[derive(Debug)]
pub struct Plan {
    pub wanted: Wanted,
    found: Newest,
    wish: Wish,
    pub census: Census,
    identities: Identities,
    /// Sentences without a full stop.
    pub remarks: Vec<String>,
}

impl Plan {
    pub fn descriptor(&self) -> &Descriptor {
        &self.found.descriptor
    }

    pub fn store_name(&self) -> &Name {
        &self.found.store_name
    }

    /// What is used by others gives way to it.
    pub fn takes_places(&self) -> bool {
        self.wanted.in_place && self.wanted.overwrite
    }

    pub(in crate::execute) fn place(&self) -> (&Store, &Repository) {
        (&self.found.store, &self.found.repository)
    }

    pub(in crate::execute) fn identities(&self) -> &Identities {
        &self.identities
    }

    /// Holds what was put against the backup.
    pub(in crate::execute) fn prove(&self, put: &Put, stop: &AtomicBool) -> Result<Proof, RestoreFault> {
        tree::prove(&self.source()?, &self.wish, put.without_attributes == 0, stop).map_err(of)
    }

    fn source(&self) -> Result<Source<'_>, RestoreFault> {
        source(&self.found, &self.identities)
    }

    /// The work itself.
    pub(in crate::execute) fn put(&self, progress: &Progress) -> Result<Put, RestoreFault> {
        tree::put(&self.source()?, &self.wish, &self.census, progress).map_err(of)
    }
}

/// What a restore did: what `--format json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "Result of seawall restore --files")]
pub struct RestoredFiles {
    /// Changes when a reader of this output would have to.
    #[schemars(range(min = 1, max = 1))]
    pub format_version: u32,
    pub policy: String,
    pub host: String,
    pub started: Instant,
    pub ended: Instant,
    pub store: String,
    pub backup: BackupId,
    /// Below which directory.
    pub root: PathBuf,
    pub files: u64,
    pub directories: u64,
    /// Symbolic and hard links, and pipes.
    pub links: u64,
    /// Plain bytes that were written.
    pub bytes: u64,
    /// Were there already as they are in the backup.
    pub same: u64,
    /// Something else came there meanwhile and was left alone.
    pub left: u64,
    /// Belong to whoever restored them instead of to whom they did.
    pub not_owned: u64,
    /// Extended attributes and access control lists that could not be set.
    pub without_attributes: u64,
    pub seconds: f64,
    pub remarks: Vec<String>,
}

/// Looks at the backup and at the place; touches nothing.
pub fn plan(site: &Site<'_>, wanted: Wanted, now: Instant) -> Result<Plan, RestoreFault> {
    if is_root_of_all(&wanted.root) && !wanted.in_place {
        let hint = "Say `--in-place` when the files of this host are meant, or name another directory with `--to-root`.";
        return Err(RestoreFault::new("`--to-root /` puts files where they were, on this host", hint));
    }
    let patterns = exclude::patterns(&wanted.patterns)
        .map_err(|(pattern, why)| RestoreFault::new(format!("`{pattern}` is no pattern: {why}"), "Write it as in .gitignore."))?;
    let identities = site.identities(wanted.identity.as_deref())?;
    let asked = newest::Wanted {
        what: "copy of files",
        backup: wanted.backup.as_ref(),
        job: wanted.job.as_ref(),
        store: wanted.store.as_ref(),
        made_by: &|method| matches!(method, Method::Files(_)),
        // One that lacks some files has all others.
        is_one: &|backup| backup.kind == BackupKind::Files && matches!(backup.state, BackupState::Complete | BackupState::Damaged),
    };
    let found = newest(site, &asked, &identities, now)?;
    let wish = Wish {
        patterns: (!wanted.patterns.is_empty()).then_some(patterns),
        root: wanted.root.clone(),
        overwrite: wanted.overwrite,
        numeric: wanted.numeric,
        workers: wanted.workers,
    };
    let census = tree::look(&source(&found, &identities)?, &wish, &wanted.patterns).map_err(of)?;
    let mut remarks = found.remarks.clone();
    remarks.extend(missing(&found, &identities));
    if let Some(pattern) = census.unmatched.first() {
        let message = format!("nothing in backup {} fits `{pattern}`", found.descriptor.id);
        let hint = "A pattern that begins with `/` begins at the root; others fit anywhere.";
        return Err(RestoreFault::new(message, hint));
    }
    if !rustix::process::geteuid().is_root() {
        remarks
            .push("only root can give files to other owners: what belongs to others will belong to you, without setuid and setgid".into());
    }
    Ok(Plan { wanted, found, wish, census, identities, remarks })
}

fn source<'s>(found: &'s Newest, identities: &'s Identities) -> Result<Source<'s>, RestoreFault> {
    let Newest { store, repository, descriptor, ancestors, .. } = found;
    Ok(Source::of(store, repository, descriptor, identities)?.upon(repository, ancestors)?)
}

/// What the backup lacks, and for whom that matters.
fn missing(found: &Newest, identities: &Identities) -> Vec<String> {
    let unread = found.descriptor.damage.unread;
    if unread == 0 {
        return Vec::new();
    }
    let mut remarks = vec![format!("{unread} of the files could not be read when the backup was taken, and are not in it")];
    match notes(found, identities) {
        Ok(notes) => remarks.extend(notes.unread.files.iter().take(20).map(|note| format!("not in it: {}: {}", note.path, note.why))),
        Err(fault) => remarks.push(format!("which ones cannot be said: {fault}")),
    }
    remarks
}

fn notes(found: &Newest, identities: &Identities) -> Result<Notes, PipelineFault> {
    let damaged = |key: &str, what: String| PipelineFault::Damaged { key: key.to_owned(), what };
    let id = &found.descriptor.id;
    let object =
        found.descriptor.objects_of(ObjectKind::Notes).next().ok_or_else(|| damaged(id.as_str(), "it has no notes.json".into()))?;
    let key = found.repository.data(id, &object.name);
    let json = Checked::open(&found.store, &key, object.size, &object.sha256, identities)?.whole(MAX_BYTES)?;
    Notes::from_json(&json).map_err(|what| damaged(key.as_str(), what))
}

/// Puts what the plan says. Interrupted, each file is there as a whole or not at all.
pub fn carry_out(site: &Site<'_>, plan: &Plan, progress: &Progress) -> Result<RestoredFiles, RestoreFault> {
    let (started, began) = (clock::now(), Stopwatch::now());
    let (census, wanted, found) = (&plan.census, &plan.wanted, &plan.found);
    if census.differing > 0 && !wanted.overwrite {
        let named = census.named.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
        let message = format!("{} there and differ from the backup: {named}", plural(census.differing));
        return Err(RestoreFault::new(
            message,
            "`--overwrite` puts what is in the backup in their places; `--files` names only some files.",
        ));
    }
    // The rules may let it go meanwhile, and its time to object may be over.
    let _pin = Pin::of(&found.store, &found.repository, &found.descriptor, "restore", site.host(), started);
    let put = match record::hook(site, plan, When::Before, progress).and_then(|()| plan.put(progress)) {
        Ok(put) => put,
        Err(fault) => {
            record::failed(site, plan, started, &fault);
            return Err(fault);
        }
    };
    let mut remarks = plan.remarks.clone();
    remarks.extend(put.named.iter().map(|path| format!("left alone, because something else came there meanwhile: {path}")));
    let restored = RestoredFiles {
        format_version: 1,
        policy: site.policy.name.to_string(),
        host: site.host().to_owned(),
        started,
        ended: clock::now(),
        store: found.store.url(),
        backup: found.descriptor.id.clone(),
        root: wanted.root.clone(),
        files: put.files,
        directories: put.directories,
        links: put.links,
        bytes: put.bytes,
        same: put.same,
        left: put.left,
        not_owned: put.not_owned,
        without_attributes: put.without_attributes,
        seconds: began.elapsed().as_secs_f64(),
        remarks,
    };
    record::done(site, plan, &restored);
    record::hook(site, plan, When::After, progress)
        .map_err(|fault| RestoreFault::new(format!("{fault}; the files are in their places"), fault.hint))?;
    Ok(restored)
}

fn plural(count: u64) -> String {
    if count == 1 { "1 file is".to_owned() } else { format!("{count} files are") }
}

/// What the hints of a cluster's restore say fits no files.
fn of(fault: PipelineFault) -> RestoreFault {
    match fault {
        PipelineFault::File { .. } => RestoreFault::new(
            fault.to_string(),
            "What is restored so far is whole. Mend what is named and run it again: what is there already is not fetched again.",
        ),
        other => other.into(),
    }
}

fn is_root_of_all(root: &Path) -> bool {
    std::fs::canonicalize(root).is_ok_and(|root| root == Path::new("/"))
}
