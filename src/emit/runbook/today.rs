//! What lay in the stores when the inventory was made, and what can be made of it.

use super::Setting;
use super::command::{Word, seawall};
use super::page::Block;
use crate::inventory::{BackupKind, BackupState, ClusterInventory, Observed, StoreInventory};
use crate::plan::minute;
use crate::plan::words::{counted, plain, quoted};
use crate::policy::model::Policy;
use crate::recovery::{Aim, Missing, Reach, Target, find_path, reach_back};
use crate::units::{BackupId, Instant, Name};

/// So many backups of a store are listed; `seawall list` has them all.
const LISTED: usize = 8;

pub(super) struct Today<'a> {
    /// Every store of the policy: what is known of it, or why nothing is.
    pub stores: Vec<(&'a Name, Result<InStore, String>)>,
    repository: Option<&'a str>,
    /// Somebody has looked.
    is_known: bool,
}

/// What can be recovered from one store. Increments are left out: this version does not restore them.
pub(super) struct InStore {
    full: StoreInventory,
    pub reach: Reach,
    /// The newest state, or what it lacks.
    pub newest: Result<Newest, Missing>,
    /// There are backups that this version cannot restore, and that would be chosen first.
    pub has_increments: bool,
}

/// The way to the newest state.
pub(super) struct Newest {
    pub backup: BackupId,
    pub ended: Instant,
    pub size: Option<String>,
}

impl<'a> Today<'a> {
    pub(super) fn of(policy: &'a Policy, seen: Option<(&'a ClusterInventory, Instant)>) -> Today<'a> {
        let stores = policy.stores.keys().map(|name| {
            let known = match seen.map(|(inventory, _)| inventory.stores.get(name)) {
                None => Err("nobody has looked".to_owned()),
                Some(None) => Err("the inventory does not speak of it".to_owned()),
                Some(Some(Observed::Unknown { reason })) => Err(plain(reason)),
                Some(Some(Observed::Known(store))) => Ok(InStore::of(store)),
            };
            (name, known)
        });
        let repository = seen.and_then(|(inventory, _)| inventory.repository.as_deref());
        Today { stores: stores.collect(), repository, is_known: seen.is_some() }
    }

    pub(super) fn store(&self, name: &Name) -> Option<&Result<InStore, String>> {
        self.stores.iter().find(|(known, _)| *known == name).map(|(_, store)| store)
    }

    /// The folder of this cluster in every store.
    pub(super) fn repository(&self) -> Option<&str> {
        self.repository
    }

    pub(super) fn blocks(&self, policy: &Policy, setting: &Setting) -> Vec<Block> {
        let mut blocks = vec![Block::Heading(2, "What there is".into())];
        if !self.is_known {
            blocks.push(Block::Words("Nobody has looked into the stores for this runbook. This does:".into()));
        }
        blocks.push(Block::Code(seawall(setting, &[Word::Is("list")])));
        for (name, store) in &self.stores {
            let place = policy.stores.get(*name).map(|store| quoted(store.kind.url())).unwrap_or_default();
            blocks.push(Block::Heading(3, format!("Store {name}, {place}")));
            match store {
                Err(reason) => blocks.push(Block::Words(format!("Not known: {reason}."))),
                Ok(store) => blocks.extend(store.blocks()),
            }
        }
        blocks
    }
}

impl InStore {
    fn of(store: &StoreInventory) -> InStore {
        let has_increments = store.backups.iter().any(|backup| backup.kind == BackupKind::Incremental);
        let mut full = store.clone();
        full.backups.retain(|backup| backup.kind != BackupKind::Incremental);
        let newest = find_path(&full, &Aim::at(Target::Latest)).map(|path| {
            let base = path.chain.last().expect("a path has a base");
            Newest { backup: base.id.clone(), ended: base.moment(), size: base.size.map(|size| size.bytes().told()) }
        });
        let reach = reach_back(&full, None);
        InStore { full, reach, newest, has_increments }
    }

    fn blocks(&self) -> Vec<Block> {
        let mut good: Vec<_> = self.full.backups.iter().filter(|backup| backup.state == BackupState::Complete).collect();
        good.sort_by_key(|backup| std::cmp::Reverse(backup.moment()));
        if good.is_empty() {
            return vec![Block::Warning("there is no complete backup here that this version can restore.".into())];
        }
        let row = |backup: &&crate::inventory::Backup| {
            let size = backup.size.map(|size| size.bytes().told()).unwrap_or_default();
            let verified = backup.verified_at.map_or_else(|| "never".to_owned(), minute);
            vec![quoted(&backup.id), backup.job.to_string(), minute(backup.moment()), size, verified]
        };
        let mut blocks =
            vec![Block::Table(vec!["backup", "job", "ended", "size", "opened and read"], good.iter().take(LISTED).map(row).collect())];
        if good.len() > LISTED {
            blocks.push(Block::Words(format!("And {}.", counted(good.len() - LISTED, "older one"))));
        }
        blocks.push(Block::List(self.reaches()));
        blocks
    }

    /// To which moments one can go, and to which not.
    pub(super) fn reaches(&self) -> Vec<String> {
        let window = |window: &crate::recovery::Window| {
            format!("Any moment from {} to {} (the first base is {})", minute(window.from), minute(window.to), quoted(&window.base))
        };
        let mut lines: Vec<String> = self.reach.windows.iter().rev().map(window).collect();
        lines.extend(
            self.reach.gaps.iter().map(|gap| format!("No moment between {} and {}: log is missing", minute(gap.from), minute(gap.to))),
        );
        if self.reach.windows.is_empty() {
            lines.push("No moment but the ends of the backups: no log follows any of them".into());
        }
        if !self.reach.unusable.is_empty() {
            let ids: Vec<String> = self.reach.unusable.iter().map(quoted).collect();
            lines.push(format!("Nothing can be made of {}: their own log is missing or not known", ids.join(", ")));
        }
        lines
    }
}
