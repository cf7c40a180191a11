//! One backup: its log, its objects, its signature, its descriptor.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;

use super::ground::Pair;
use super::object::{Done, Miss, Proof, WORKERS, Wanted, small};
use super::{CopiedBackup, Flaw, Tally, log};
use crate::execute::backup::sweep::is_swept;
use crate::execute::restore::Pin;
use crate::format::descriptor::{Descriptor, MAX_BYTES, Object};
use crate::format::layout::signature_of;
use crate::inventory::Backup;
use crate::observe::{Listed, Read, find_descriptor, read_descriptor};
use crate::site::SiteFault;
use crate::store::{Meta, Put, Thaw};
use crate::units::{BackupId, Key};
use crate::world::{clock, parallel};

/// A signature is some three hundred bytes.
const MAX_SIGNATURE: usize = 16 << 10;

/// What became of it.
pub(super) enum Outcome {
    Done(CopiedBackup),
    Flawed(Vec<Flaw>),
    /// It was deleted since it was listed.
    Gone,
}

/// Of one side, or of both: what is wrong with the backup.
struct Flaws<'f> {
    pair: &'f Pair<'f>,
    backup: &'f BackupId,
    all: Vec<Flaw>,
}

impl Flaws<'_> {
    fn in_source(&mut self, key: &Key, what: impl Into<String>) {
        self.add(self.pair.from.name.clone(), key, what.into());
    }

    fn in_copy(&mut self, key: &Key, what: impl Into<String>) {
        self.add(self.pair.to.name.clone(), key, what.into());
    }

    fn add(&mut self, store: crate::units::Name, key: &Key, what: String) {
        self.all.push(Flaw { store, key: key.to_string(), what, backup: Some(self.backup.clone()) });
    }
}

impl Pair<'_> {
    /// `broken`: what could not be copied in this run.
    pub fn copy_backup(&self, backup: &Backup, listed: &Listed, broken: &BTreeSet<BackupId>) -> Result<Outcome, SiteFault> {
        let mut flaws = Flaws { pair: self, backup: &backup.id, all: Vec::new() };
        if let Some(why) = self.without_parent(backup, broken) {
            flaws.in_source(&listed.key, why);
            return Ok(Outcome::Flawed(flaws.all));
        }
        let (from, policy) = (self.from, self.site.policy.name.as_str());
        let descriptor = match read_descriptor(&from.store, &from.repository, &listed.key, true, policy, self.writers)? {
            Read::Good(descriptor, _) => *descriptor,
            Read::Gone => return Ok(Outcome::Gone),
            Read::Rejected(why) | Read::Newer(why) => {
                flaws.in_source(&listed.key, why);
                return Ok(Outcome::Flawed(flaws.all));
            }
        };
        // Whoever may only read one of them copies all the same.
        let pin = |side: &super::Side, id| {
            Pin::on(&side.store, &side.repository, (id, descriptor.position.start), "copy", self.site.host(), clock::now())
        };
        // What it builds on is there before it, and goes only as long as nothing builds on it.
        let parent = descriptor.parent.as_ref().map(|parent| pin(self.to, parent));
        let _pins = (pin(from, &descriptor.id), pin(self.to, &descriptor.id), parent);
        let mut done = CopiedBackup {
            id: backup.id.clone(),
            job: backup.job.clone(),
            from: from.name.clone(),
            copied: Tally::default(),
            was_there: Tally::default(),
        };
        let pair = self.of(backup);
        if !pair.log_is_there {
            log::of_backup(&pair, backup, listed, &mut done.copied, &mut flaws.all)?;
        }
        self.objects(&descriptor, &mut done, &mut flaws)?;
        if from.store.head(&listed.key)?.is_none() {
            return Ok(Outcome::Gone);
        }
        if !flaws.all.is_empty() {
            return Ok(Outcome::Flawed(flaws.all));
        }
        match self.commit(listed, &descriptor, &mut flaws)? {
            true => Ok(Outcome::Done(done)),
            false => Ok(Outcome::Flawed(flaws.all)),
        }
    }

    fn without_parent(&self, backup: &Backup, broken: &BTreeSet<BackupId>) -> Option<String> {
        let parent = backup.parent.as_ref()?;
        if broken.contains(parent) {
            return Some(format!("it builds on {parent}, which could not be copied"));
        }
        let somewhere = self.from.listed(parent).is_some() || self.to.listed(parent).is_some();
        (!somewhere).then(|| format!("it builds on {parent}, which is neither in `{}` nor in `{}`", self.from.name, self.to.name))
    }

    /// All that the descriptor names.
    fn objects(&self, descriptor: &Descriptor, done: &mut CopiedBackup, flaws: &mut Flaws<'_>) -> Result<(), SiteFault> {
        let folder = |side: &super::Side| side.store.list(&side.repository.prefix(&format!("data/{}", descriptor.id)));
        let (lying, there) = (by_key(folder(self.from)?), by_key(folder(self.to)?));
        let reads_back = self.reads_back(&descriptor.job);
        let mut todo: Vec<(Wanted<'_>, bool)> = Vec::new();
        for object in &descriptor.objects {
            let wanted = self.wanted(descriptor, object, reads_back);
            let is_there = there.contains_key(&wanted.to);
            match lying.get(&wanted.key) {
                // What an earlier run has copied is held against the descriptor, not against the original.
                _ if is_there => todo.push((wanted, true)),
                None => flaws.in_source(&wanted.key, "it is not there"),
                Some(meta) if meta.size != object.size => {
                    flaws.in_source(&wanted.key, format!("it has {} bytes instead of {}", meta.size, object.size));
                }
                Some(meta) if meta.frozen && self.from.store.thaw_state(&wanted.key)? != Some(Thaw::Readable) => {
                    flaws.in_source(&wanted.key, "it lies in an archive class; `seawall restore --thaw` requests it");
                }
                Some(_) => todo.push((wanted, false)),
            }
        }
        // A cloud has several pieces of a large object on the way by itself.
        let workers = if self.to.store.url().starts_with("file:") { WORKERS } else { 1 };
        let brought = parallel::map_with(workers, &todo, &|(wanted, is_there)| match is_there {
            true => self.was_there(self.from, wanted),
            false => self.bring(self.from, wanted),
        });
        for ((wanted, _), brought) in todo.iter().zip(brought) {
            match brought {
                Ok(Done::Copied) => done.copied.add(wanted.size),
                Ok(Done::WasThere) => done.was_there.add(wanted.size),
                Err(Miss::Damaged(what)) => flaws.in_source(&wanted.key, what),
                Err(Miss::Differs(what)) => flaws.in_copy(&wanted.to, what),
                Err(Miss::Gone) => flaws.in_source(&wanted.key, "it is not there any more"),
                Err(Miss::Fault(fault)) => return Err(fault),
            }
        }
        Ok(())
    }

    fn wanted<'o>(&self, descriptor: &Descriptor, object: &'o Object, reads_back: bool) -> Wanted<'o> {
        Wanted {
            key: self.from.repository.data(&descriptor.id, &object.name),
            to: self.to.repository.data(&descriptor.id, &object.name),
            size: object.size,
            proof: Proof::Sha256(&object.sha256),
            reads_back,
        }
    }

    /// From here on it is a backup in the copy too. False where something else has its name.
    fn commit(&self, listed: &Listed, descriptor: &Descriptor, flaws: &mut Flaws<'_>) -> Result<bool, SiteFault> {
        let gone = || {
            let message = format!("{} was changed in `{}` while it was copied", listed.key, self.from.name);
            SiteFault { transient: true, ..SiteFault::new(message, "Run it again.") }
        };
        let json = small(&self.from.store, &listed.key, MAX_BYTES)?.ok_or_else(gone)?;
        if Descriptor::from_json(&json).ok().as_ref() != Some(descriptor) {
            return Err(gone());
        }
        let signature = small(&self.from.store, &signature_of(&listed.key), MAX_SIGNATURE)?;
        // Somebody who tidies up may have taken some of it for leftovers.
        if let Some(lost) = self.lost(descriptor)? {
            return Err(self.taken_away(lost, descriptor));
        }
        // What it builds on was there when both were listed; whoever expires there may have taken it, and in the original it may be gone by now.
        if let Some(parent) = &descriptor.parent
            && find_descriptor(&self.to.store, &self.to.repository, parent)?.is_none()
        {
            flaws.in_source(&listed.key, format!("it builds on {parent}, which is not in `{}` any more", self.to.name));
            return Ok(false);
        }
        let key = self.to.repository.descriptor(descriptor.stopped, &descriptor.id);
        let was_complete = self.to.store.head(&key)?.is_some();
        let mut is_same = true;
        if let Some(signature) = signature {
            is_same &= self.put_same(&signature_of(&key), signature, MAX_SIGNATURE, flaws)?;
        }
        is_same = is_same && self.put_same(&key, json, MAX_BYTES, flaws)?;
        if is_same && !was_complete {
            self.stands(&key, descriptor)?;
        }
        Ok(is_same)
    }

    /// This host may have slept between its last look and the descriptor: what was taken away meanwhile, or is being so, is no backup.
    fn stands(&self, key: &Key, descriptor: &Descriptor) -> Result<(), SiteFault> {
        let (store, repository) = (&self.to.store, &self.to.repository);
        let parent_gone =
            |parent: &BackupId| Ok::<_, SiteFault>(find_descriptor(store, repository, parent)?.is_none().then(|| parent.to_string()));
        // First whether somebody is about to: who has done it takes back what he said.
        let swept = is_swept(store, repository, &descriptor.id)?.then(|| "what was copied".to_owned());
        let lost = match (swept, &descriptor.parent) {
            (Some(swept), _) => Some(swept),
            (None, Some(parent)) => parent_gone(parent)?.or(self.lost(descriptor)?),
            (None, None) => self.lost(descriptor)?,
        };
        let Some(lost) = lost else { return Ok(()) };
        store.delete(&[key.clone(), signature_of(key)])?;
        Err(self.taken_away(lost, descriptor))
    }

    /// An object that is not there as it was put.
    fn lost(&self, descriptor: &Descriptor) -> Result<Option<String>, SiteFault> {
        let there = by_key(self.to.store.list(&self.to.repository.prefix(&format!("data/{}", descriptor.id)))?);
        let is_there = |object: &&Object| {
            there.get(&self.to.repository.data(&descriptor.id, &object.name)).is_some_and(|meta| meta.size == object.size)
        };
        Ok(descriptor.objects.iter().find(|object| !is_there(object)).map(|lost| lost.name.clone()))
    }

    fn taken_away(&self, lost: String, descriptor: &Descriptor) -> SiteFault {
        let message = format!("{lost} of {} was in `{}` a moment ago and is not any more", descriptor.id, self.to.name);
        SiteFault { transient: true, ..SiteFault::new(message, "Something deletes objects there; run it again.") }
    }

    /// Puts a small thing, unless it is there already, the very same.
    fn put_same(&self, key: &Key, bytes: Bytes, limit: usize, flaws: &mut Flaws<'_>) -> Result<bool, SiteFault> {
        if self.to.store.put_new(key, bytes.clone())? == Put::Created {
            return Ok(true);
        }
        let is_same = small(&self.to.store, key, limit).is_ok_and(|there| there.as_ref() == Some(&bytes));
        if is_same {
            self.to.store.settle(key)?;
        } else {
            flaws.in_copy(key, format!("it is not the one that lies in `{}`; nothing is put over it", self.from.name));
        }
        Ok(is_same)
    }
}

fn by_key(listed: Vec<Meta>) -> HashMap<Key, Meta> {
    listed.into_iter().map(|meta| (meta.key.clone(), meta)).collect()
}
