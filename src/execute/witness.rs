//! The audit chain, copied into the store: there a chain that was cut short or written anew is found out.
//!
//! Only the entries of the policy go there: a catalog may serve policies of other people. Each line names its number and its hash, so any
//! of them is a witness of the whole chain up to it. `audit/<host>-<chain>/<from>-<to>.jsonl`, never changed; `<chain>` tells a chain from one that was
//! begun after a catalog was lost.

use bytes::Bytes;

use crate::catalog::{Catalog, CatalogFault};
use crate::format::audit::{Head, Link, MAX_LINE_BYTES};
use crate::format::layout::Repository;
use crate::site::{Site, SiteFault};
use crate::store::{self, Store};
use crate::units::{Key, Name};

/// As many lines are in one object at most.
const LINES: usize = 1000;
/// What one object may hold when it is read.
const MAX_BYTES: usize = 64 << 20;
/// An object is closed when it has become so large.
const CLOSED_BYTES: usize = MAX_BYTES - MAX_LINE_BYTES;

#[derive(Debug, thiserror::Error)]
pub enum WitnessFault {
    #[error("{0}")]
    Catalog(#[from] CatalogFault),
    #[error("{0}")]
    Site(#[from] SiteFault),
    #[error("{key} is no part of an audit chain: {why}")]
    Foreign { key: Key, why: String },
}

impl From<store::Fault> for WitnessFault {
    fn from(fault: store::Fault) -> Self {
        WitnessFault::Site(fault.into())
    }
}

impl WitnessFault {
    pub fn hint(&self) -> &str {
        match self {
            WitnessFault::Catalog(fault) => &fault.hint,
            WitnessFault::Site(fault) => &fault.hint,
            WitnessFault::Foreign { .. } => "Somebody put it there, or it is damaged: compare it with `seawall audit export`.",
        }
    }
}

/// Where the copies lie: the store of the log, or the first store of a backup.
pub fn usual_store<'p>(site: &Site<'p>) -> Option<&'p Name> {
    let policy = site.policy;
    policy.wal.as_ref().map(|wal| &wal.store).or_else(|| policy.backups.values().find_map(|backup| backup.store.as_ref()))
}

/// Copies what is not there yet. Returns how many entries were copied.
pub fn copy(site: &Site<'_>, catalog: &Catalog) -> Result<usize, WitnessFault> {
    let Some(name) = usual_store(site) else { return Ok(0) };
    let store = site.store(name)?;
    // A store that nothing of ours lies in is begun by a backup, not by a note about one.
    let (Some(found), Some(folder)) = (site.find_repository(&store)?, folder(site, catalog)?) else { return Ok(0) };
    let mut from = copied_until(&store, &found.repository, &folder)? + 1;
    let mut copied = 0;
    loop {
        let page = catalog.links(from, LINES)?;
        let Some(last) = page.last().map(|link| link.seq) else { return Ok(copied) };
        let (mut text, mut first, mut to) = (String::new(), 0, 0);
        let put = |text: &mut String, first: u64, to: u64| -> Result<(), WitnessFault> {
            let key = key(&found.repository, &folder, first, to)?;
            // There already: another run was as fast, and had the same lines.
            store.put_new(&key, Bytes::from(std::mem::take(text)))?;
            Ok(())
        };
        for link in page.iter().filter(|link| link.entry.policy == site.policy.name.as_str()) {
            if text.is_empty() {
                first = link.seq;
            }
            text.push_str(&link.to_line());
            text.push('\n');
            to = link.seq;
            copied += 1;
            if text.len() > CLOSED_BYTES {
                put(&mut text, first, to)?;
            }
        }
        if !text.is_empty() {
            put(&mut text, first, to)?;
        }
        from = last + 1;
    }
}

/// What the store has of this chain: an end of it for every entry that was copied.
pub fn heads(site: &Site<'_>, catalog: &Catalog, store: &Name) -> Result<Vec<Head>, WitnessFault> {
    let store = site.store(store)?;
    let (Some(found), Some(folder)) = (site.find_repository(&store)?, folder(site, catalog)?) else { return Ok(Vec::new()) };
    let mut heads = Vec::new();
    for meta in store.list(&found.repository.prefix(&format!("audit/{folder}")))? {
        let foreign = |why: String| WitnessFault::Foreign { key: meta.key.clone(), why };
        let bytes = store.get(&meta.key, MAX_BYTES)?;
        let text = std::str::from_utf8(&bytes).map_err(|error| foreign(error.to_string()))?;
        for line in text.lines() {
            heads.push(Link::from_line(line).map_err(foreign)?.head());
        }
    }
    heads.sort_by_key(|head| head.seq);
    Ok(heads)
}

/// None while the chain is empty.
fn folder(site: &Site<'_>, catalog: &Catalog) -> Result<Option<String>, CatalogFault> {
    let first = catalog.links(1, 1)?.into_iter().next();
    Ok(first.map(|first| format!("{}-{}", site.host(), &first.hash[..first.hash.len().min(12)])))
}

fn key(repository: &Repository, folder: &str, from: u64, to: u64) -> Result<Key, SiteFault> {
    let text = format!("{}/{from:012}-{to:012}.jsonl", repository.prefix(&format!("audit/{folder}")));
    Key::new(&text)
        .map_err(|error| SiteFault::new(format!("the audit chain has no place in the store: {error}"), "How is this host called?"))
}

fn copied_until(store: &Store, repository: &Repository, folder: &str) -> Result<u64, store::Fault> {
    let listed = store.list(&repository.prefix(&format!("audit/{folder}")))?;
    let until = |key: &Key| key.file_name().strip_suffix(".jsonl")?.split_once('-')?.1.parse::<u64>().ok();
    Ok(listed.iter().filter_map(|meta| until(&meta.key)).max().unwrap_or(0))
}
