//! Second copies: from store to store, as things lie there. Nothing is decrypted and no key is needed.
//!
//! The order is what makes it safe to be stopped anywhere, and to be begun again from whatever is there:
//!
//! 1. Both stores are listed. What belongs in the copy is what its own rules keep (`plan::belonging`).
//! 2. Holds come first: what they keep must not go in the copy either.
//! 3. Each backup, the newest first and none before what it builds on: its part of the log, its objects, then its signature, and its
//!    descriptor last. In the copy too the descriptor's presence is the commit: a backup that is there can be restored from there alone. It is
//!    pinned in both stores meanwhile, so that expiry leaves it alone.
//! 4. The rest of the log, where the policy wants it there (`wal.copies`): what the archive command did not bring by itself.
//! 5. Evidence: audit chains and how drills went.
//!
//! Every object is put only where nothing has its name, after the hash of what was read is the one that the backup's descriptor names. A cloud
//! checks what arrives by its own checksums; what arrives in a directory, or is copied for a job with `read_back: contents`, is read once more.
//! What has the name already and is something else is a flaw that people hear of, and it is left as it is.

mod backup;
mod ground;
mod log;
mod object;
mod small;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use schemars::JsonSchema;
use serde::Serialize;

use crate::inventory::{Backup, StoreInventory};
use crate::observe::Listed;
use crate::pipeline::backup::Progress;
use crate::plan::{CopySource, belonging, copy_sources, log_of_copy};
use crate::site::{Site, SiteFault};
use crate::units::{BackupId, Instant, Key, Name};
use crate::world::clock;

use ground::{Pair, Side};

/// What came of bringing one store up to date.
#[derive(Debug, Clone, Default)]
pub struct Copied {
    /// What was completed, the newest first.
    pub backups: Vec<CopiedBackup>,
    /// Files of the log beside those.
    pub log: Tally,
    /// Holds, audit chains, records of drills.
    pub others: Tally,
    /// What is damaged, missing, or not the same in both.
    pub flaws: Vec<Flaw>,
    pub remarks: Vec<String>,
    /// Backups that belong there and still are not.
    pub left: Vec<Left>,
    /// Stores that could not be read, or not written to.
    pub failed: Vec<(Name, SiteFault)>,
}

/// How much of something was copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Tally {
    pub objects: u64,
    pub bytes: u64,
}

impl Tally {
    fn add(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes += bytes;
    }
}

/// A backup that is in the copy now.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CopiedBackup {
    /// The backup.
    pub id: BackupId,
    /// The job that took it.
    pub job: Name,
    /// Where it was copied from.
    pub from: Name,
    /// What was copied, its part of the log included.
    pub copied: Tally,
    /// What an earlier run had copied already.
    pub was_there: Tally,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Flaw {
    /// In which store.
    pub store: Name,
    /// The object.
    pub key: String,
    /// What is wrong with it.
    pub what: String,
    /// The backup that suffers, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupId>,
}

impl Flaw {
    /// In a line.
    pub fn says(&self) -> String {
        format!("`{}`: {}: {}", self.store, self.key, self.what)
    }
}

/// A backup that is not in the copy yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Left {
    /// The backup.
    pub id: BackupId,
    /// The job that took it.
    pub job: Name,
    /// Where it lies.
    pub from: Name,
    /// When it ended.
    pub since: Instant,
    /// How large it is in the store.
    pub bytes: u64,
}

impl Left {
    fn of(backup: &Backup, from: &Name) -> Left {
        let bytes = backup.stored_size.map_or(0, |size| size.bytes().get());
        Left { id: backup.id.clone(), job: backup.job.clone(), from: from.clone(), since: backup.moment(), bytes }
    }
}

impl Copied {
    /// Bytes that went over.
    pub fn bytes(&self) -> u64 {
        self.backups.iter().map(|done| done.copied.bytes).sum::<u64>() + self.log.bytes + self.others.bytes
    }

    pub fn objects(&self) -> u64 {
        self.backups.iter().map(|done| done.copied.objects).sum::<u64>() + self.log.objects + self.others.objects
    }

    pub fn is_sound(&self) -> bool {
        self.flaws.is_empty() && self.failed.is_empty() && self.left.is_empty()
    }
}

/// Those who watch, and those who may stop it.
#[derive(Debug, Clone, Copy)]
pub struct Onlooker<'o> {
    pub progress: &'o Progress,
    pub stop: &'o AtomicBool,
}

impl Onlooker<'_> {
    fn may_go_on(&self) -> Result<(), SiteFault> {
        if self.stop.load(Ordering::Relaxed) { Err(SiteFault::interrupted()) } else { Ok(()) }
    }
}

/// Brings a store up to date. Fails as a whole only where the policy copies nothing there.
pub fn copy(site: &Site<'_>, to: &Name, onlooker: Onlooker<'_>) -> Result<Copied, SiteFault> {
    let mut copied = Copied::default();
    for source in sources(site, to)? {
        if let Err(fault) = from_source(site, &source, to, onlooker, &mut copied) {
            copied.failed.push((source.store.clone(), fault));
        }
        if onlooker.stop.load(Ordering::Relaxed) {
            break;
        }
    }
    Ok(copied)
}

/// Backups that belong in a store and are not there: what [`copy`] would copy. Nothing is touched.
pub fn missing(site: &Site<'_>, to: &Name) -> Result<Vec<Left>, SiteFault> {
    let now = clock::now();
    let mut all = Vec::new();
    for source in sources(site, to)? {
        let Some(from) = Side::open(site, source.store, now)? else { continue };
        let there = Side::open(site, to, now)?;
        let nothing = StoreInventory::empty();
        let inventory = there.as_ref().map_or(&nothing, |side| &side.seen.inventory);
        let holds = ground::holds_of(Some(&from), there.as_ref());
        let belongs = belonging(site.policy, (&source, to), &from.seen.inventory, inventory, &holds, now);
        let has = |id: &BackupId| there.as_ref().is_some_and(|side| side.listed(id).is_some());
        let lacking = belongs.iter().filter(|id| !has(id)).filter_map(|id| from.backup(id));
        all.extend(lacking.map(|backup| Left::of(backup, source.store)));
    }
    Ok(all)
}

fn sources<'p>(site: &Site<'p>, to: &Name) -> Result<Vec<CopySource<'p>>, SiteFault> {
    let sources = copy_sources(site.policy, to);
    if !sources.is_empty() {
        return Ok(sources);
    }
    let known: Vec<&str> = site.policy.copy_stores().into_keys().map(Name::as_str).collect();
    let hint = match known.as_slice() {
        [] => "Name it in a job's `copies`, or in `wal.copies`.".to_owned(),
        known => format!("There are copies in: {}.", known.join(", ")),
    };
    Err(SiteFault::new(format!("the policy copies nothing to `{to}`"), hint))
}

fn from_source(site: &Site<'_>, source: &CopySource<'_>, to: &Name, onlooker: Onlooker<'_>, copied: &mut Copied) -> Result<(), SiteFault> {
    let now = clock::now();
    onlooker.may_go_on()?;
    let Some(from) = Side::open(site, source.store, now)? else {
        copied.remarks.push(format!("nothing of the policy lies in `{}` yet, so nothing is copied from there", source.store));
        return Ok(());
    };
    let to = Side::begin(site, to, &from, now)?;
    // The log that a backup needs may lie in another store than the backup.
    let log_store = site.policy.wal.as_ref().map_or(source.store, |wal| &wal.store);
    let log = match *log_store == *source.store || *log_store == to.name {
        true => None,
        false => Side::open(site, log_store, now)?,
    };
    let writers = site.writers()?;
    let pair = Pair {
        site,
        from: &from,
        to: &to,
        log: log.as_ref().unwrap_or(&from),
        log_is_there: *log_store == to.name,
        writers: &writers,
        onlooker,
    };
    small::holds(&pair, copied)?;
    let holds = ground::holds_of(Some(&from), Some(&to));
    let belongs = belonging(site.policy, (source, &to.name), &from.seen.inventory, &to.seen.inventory, &holds, now);
    backups(&pair, &belongs, copied)?;
    for rejected in from.rejected_backups() {
        let what = format!("it is not believed, and not copied: {}", rejected.why);
        copied.flaws.push(Flaw { store: from.name.clone(), key: rejected.key.to_string(), what, backup: None });
    }
    if source.log {
        let needs = log_of_copy(site.policy, &to.name, &from.seen.inventory, &to.seen.inventory, &belongs, now);
        log::rest(&pair, &needs, copied)?;
    }
    small::evidence(&pair, copied)
}

fn backups(pair: &Pair<'_>, belongs: &[BackupId], copied: &mut Copied) -> Result<(), SiteFault> {
    let whole = pair.to.whole_backups()?;
    let todo: Vec<(&Backup, &Listed)> = belongs
        .iter()
        .filter(|id| !whole.contains(*id) || pair.differs(id) || pair.lacks_log(id))
        .filter_map(|id| Some((pair.from.backup(id)?, pair.from.listed(id)?)))
        .collect();
    let bytes = todo.iter().map(|(backup, _)| backup.stored_size.map_or(0, |size| size.bytes().get())).sum::<u64>();
    pair.onlooker.progress.total.fetch_add(bytes, Ordering::Relaxed);
    let mut broken: BTreeSet<BackupId> = BTreeSet::new();
    for (at, (backup, listed)) in todo.iter().enumerate() {
        let rest = || todo[at..].iter().map(|(backup, _)| Left::of(backup, &pair.from.name));
        if let Err(fault) = pair.onlooker.may_go_on() {
            copied.left.extend(rest());
            return Err(fault);
        }
        match pair.copy_backup(backup, listed, &broken) {
            Ok(backup::Outcome::Done(done)) => copied.backups.push(done),
            Ok(backup::Outcome::Gone) => {
                copied.remarks.push(format!("{} was deleted from `{}` meanwhile", backup.id, pair.from.name));
                broken.insert(backup.id.clone());
            }
            Ok(backup::Outcome::Flawed(flaws)) => {
                copied.flaws.extend(flaws);
                copied.left.push(Left::of(backup, &pair.from.name));
                broken.insert(backup.id.clone());
            }
            Err(fault) => {
                copied.left.extend(rest());
                return Err(fault);
            }
        }
    }
    Ok(())
}

/// An object's name in the other repository: a repository may be called otherwise there.
fn name_in(pair: &Pair<'_>, from: &Side, key: &Key) -> Result<Key, SiteFault> {
    let rest = from.repository.rest_of(key).unwrap_or_else(|| key.as_str());
    Key::new(pair.to.repository.prefix(rest)).map_err(|error| SiteFault::new(format!("{key} has no place in the copy: {error}"), ""))
}
