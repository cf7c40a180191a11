//! Going on where a backup broke off.

use std::collections::HashSet;
use std::path::Path;

use super::journal::Journal;
use super::order::Order;
use super::sweep::is_swept;
use super::{BackupFault, lease};
use crate::execute::id::new_id;
use crate::format::layout::Repository;
use crate::inventory::SystemIdentifier;
use crate::pipeline::backup::{Adopted, Left};
use crate::plan::words::counted;
use crate::site::{HostKeys, Site};
use crate::store::Store;
use crate::units::{BackupId, Bytes, Instant, Key};

/// Which backup a run takes: a new one, or one that broke off on this host.
#[derive(Debug)]
pub(super) struct Basis {
    pub id: BackupId,
    /// Complete parts of it, as they were noted.
    pub left: Vec<Left>,
    journal: Option<Journal>,
    terms: String,
}

impl Basis {
    /// A backup of which nothing can be gone on with: files that the server sends come only once.
    pub(super) fn new(now: Instant) -> Result<Basis, BackupFault> {
        Ok(Basis { id: new_id(now)?, left: Vec::new(), journal: None, terms: String::new() })
    }

    /// The one that broke off, or a new one. A journal that cannot be had is a remark: it only spares work.
    pub(super) fn find(
        site: &Site<'_>,
        order: &Order,
        (store, repository): (&Store, &Repository),
        terms: String,
        (now, anew): (Instant, bool),
        remarks: &mut Vec<String>,
    ) -> Result<Basis, BackupFault> {
        let fresh = Basis::new(now)?;
        let (journal, unfinished) = match Journal::open(&site.policy_state(), order.job.as_str(), &terms) {
            Ok(Some(opened)) => opened,
            Ok(None) => return Ok(fresh),
            Err(error) => {
                remarks
                    .push(format!("if this run breaks off, the next one cannot go on with it: {}: {error}", site.policy_state().display()));
                return Ok(fresh);
            }
        };
        let basis = Basis { journal: Some(journal), terms, ..fresh };
        let Some(unfinished) = unfinished.filter(|unfinished| unfinished.repository == repository.as_str()) else { return Ok(basis) };
        if lease::is_alive_elsewhere(store, repository, &unfinished.backup, &basis.id)?
            || lease::is_complete(store, repository, &unfinished.backup)?
        {
            return Ok(basis);
        }
        // It cannot be completed any more.
        if is_swept(store, repository, &unfinished.backup)? {
            return Ok(basis);
        }
        if anew || unfinished.parts.is_empty() {
            // Its process is dead, so nobody needs to wait for its lease.
            lease::remove_dead(store, repository, &unfinished.backup)?;
            return Ok(basis);
        }
        Ok(Basis { id: unfinished.backup, left: unfinished.parts, ..basis })
    }

    /// Removes all that lies in the store of this backup and was not noted as complete, and forgets what is noted and does not lie there.
    pub(super) fn tidy(&mut self, store: &Store, repository: &Repository) -> Result<(), BackupFault> {
        if self.left.is_empty() {
            return Ok(());
        }
        let there = store.list(&repository.prefix(&format!("data/{}", self.id)))?;
        let is_there = |object: &crate::format::descriptor::Object| {
            let key = repository.data(&self.id, &object.name);
            there.iter().any(|meta| meta.key == key && meta.size == object.size)
        };
        self.left.retain(|left| is_there(&left.part) && is_there(&left.index));
        let keep = names(&self.left);
        let rest: Vec<Key> = there.into_iter().map(|meta| meta.key).filter(|key| !keep.contains(key.file_name())).collect();
        self.delete(store, repository, &rest)
    }

    /// A backup that is complete is nobody's to tidy, however it came to be: two hosts may have begun with copies of one journal.
    fn delete(&self, store: &Store, repository: &Repository, keys: &[Key]) -> Result<(), BackupFault> {
        if keys.is_empty() {
            return Ok(());
        }
        if lease::is_complete(store, repository, &self.id)? {
            let message = format!("{} was completed by somebody else meanwhile", self.id);
            return Err(BackupFault::refused(message, "Is the state directory a copy of another host's? Run it again."));
        }
        Ok(store.delete(keys)?)
    }

    /// Notes what the run begins with, and removes what it could not use.
    pub(super) fn begin(
        &self,
        store: &Store,
        repository: &Repository,
        adopted: &Adopted,
        remarks: &mut Vec<String>,
    ) -> Result<(), BackupFault> {
        if let Some(journal) = &self.journal {
            // Without it only the next run has more to do.
            let _ = journal.begin(&self.id, repository.as_str(), &self.terms, &adopted.parts);
        }
        if self.left.is_empty() {
            return Ok(());
        }
        let stale: Vec<Key> = names(&adopted.stale).into_iter().map(|name| repository.data(&self.id, name)).collect();
        self.delete(store, repository, &stale)?;
        remarks.push(format!(
            "this run went on with {}, which had broken off: {} of its {} complete parts ({}) are still what the files are",
            self.id,
            adopted.parts.len(),
            self.left.len(),
            Bytes::new(adopted.bytes).rounded(),
        ));
        Ok(())
    }

    pub(super) fn note(&self, part: &Left) {
        if let Some(journal) = &self.journal {
            journal.note(part);
        }
    }

    /// From here on the backup is either committed or begun anew.
    pub(super) fn end(&self) -> Result<(), BackupFault> {
        let ended = self.journal.as_ref().map_or(Ok(()), Journal::end);
        ended.map_err(|error| {
            BackupFault::refused(format!("the journal of this backup cannot be closed: {error}"), "Is the state directory's disk in order?")
        })
    }

    /// After a failure: removes what the next run could not use. Says what stays. What cannot be removed now is recognised and removed by a later backup.
    pub(super) fn abandon(&self, store: &Store, repository: &Repository) -> String {
        let parts = self.journal.as_ref().map(|journal| journal.parts(&self.terms)).unwrap_or_default();
        if parts.is_empty() {
            let _ = self.end();
        }
        let keep = names(&parts);
        if let Ok(there) = store.list(&repository.prefix(&format!("data/{}", self.id))) {
            let rest: Vec<Key> = there.into_iter().map(|meta| meta.key).filter(|key| !keep.contains(key.file_name())).collect();
            let _ = self.delete(store, repository, &rest);
        }
        if parts.is_empty() {
            return "what was written of this backup was removed".to_owned();
        }
        let bytes = parts.iter().map(|left| left.part.size + left.index.size).sum();
        let (size, count) = (Bytes::new(bytes).rounded(), counted(parts.len(), "complete part"));
        format!("{count} of {} ({size}) kept in the store: the next run of this job on this host goes on from there", self.id)
    }
}

fn names(parts: &[Left]) -> HashSet<&str> {
    parts.iter().flat_map(|left| [left.part.name.as_str(), left.index.name.as_str()]).collect()
}

/// Stands for everything that must be the same for parts of one run to be parts of another.
pub(super) fn terms(site: &Site<'_>, order: &Order, keys: &HostKeys, store: &Store, cluster: SystemIdentifier, root: &Path) -> String {
    let encryption = &site.policy.encryption;
    let all = format!(
        "{}\n{}\n{cluster}\n{}\n{:?}\n{encryption:?}\n{}",
        env!("CARGO_PKG_VERSION"),
        store.url(),
        root.display(),
        order.codec,
        keys.recipient
    );
    blake3::hash(all.as_bytes()).to_hex().to_string()
}
