//! The audit chain, copied into the store: there a chain that was cut short or written anew is found out.
//!
//! Only the entries of the policy go there: a catalog may serve policies of other people. Each line names its number and its hash, so any
//! of them is a witness of the whole chain up to it. `audit/<host>-<chain>/<from>-<to>.jsonl`, never changed; `<chain>` tells a chain from one that was
//! begun after a catalog was lost.
//! Whoever copies sees first whether the store knows more than the catalog: then the catalog was deleted, put back from an older copy, or changed.
//! That becomes a link of its own, and from it on the copy has a folder of its own, because numbers come twice.

use bytes::Bytes;
use serde_json::json;

use super::run;
use crate::catalog::{Catalog, CatalogFault, Measured};
use crate::format::audit::{Head, Link, MAX_LINE_BYTES};
use crate::format::layout::Repository;
use crate::site::{Site, SiteFault};
use crate::store::{self, Store};
use crate::units::{Key, Name};
use crate::world::clock;

/// As many lines are in one object at most.
const LINES: usize = 1000;
/// What one object may hold when it is read.
const MAX_BYTES: usize = 64 << 20;
/// An object is closed when it has become so large.
const CLOSED_BYTES: usize = MAX_BYTES - MAX_LINE_BYTES;
/// So much of a chain's first hash is in the name of its folder.
const CHAIN_CHARS: usize = 12;
/// The number of the link that says that the catalog is not the one it was, as a figure on record. Its name is the alert's as well.
pub const REPLACED: &str = "catalog_replaced";

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

/// Copies what is not there yet, after a look whether the catalog is the one that was copied before. Returns how many entries were copied.
pub fn copy(site: &Site<'_>, catalog: &Catalog) -> Result<usize, WitnessFault> {
    let Some(name) = usual_store(site) else { return Ok(0) };
    let store = site.store(name)?;
    // A store that nothing of ours lies in is begun by a backup, not by a note about one.
    let Some(found) = site.find_repository(&store)? else { return Ok(0) };
    let folder = folder(site, catalog)?;
    let folder = match replaced(site, catalog, &store, &found.repository, folder.as_deref())? {
        Some(how) => Some(note(site, catalog, how)?),
        None => folder,
    };
    let Some(folder) = folder else { return Ok(0) };
    remember(site, catalog)?;
    let mut from = newest(&store, &found.repository, &folder)?.map_or(0, |(until, _)| until) + 1;
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
    let Some(found) = site.find_repository(&store)? else { return Ok(Vec::new()) };
    let mut heads = Vec::new();
    // What was copied before the catalog was replaced is not forgiven by what came later.
    let mut folders = vec![link(catalog, 1)?.map(|first| name(site, &first.head())), folder(site, catalog)?];
    folders.dedup();
    for folder in folders.into_iter().flatten() {
        for meta in store.list(&found.repository.prefix(&format!("audit/{folder}")))? {
            heads.extend(read(&store, &meta.key)?.iter().map(Link::head));
        }
    }
    heads.sort_by_key(|head| head.seq);
    Ok(heads)
}

fn read(store: &Store, key: &Key) -> Result<Vec<Link>, WitnessFault> {
    let foreign = |why: String| WitnessFault::Foreign { key: key.clone(), why };
    let bytes = store.get(key, MAX_BYTES)?;
    let text = std::str::from_utf8(&bytes).map_err(|error| foreign(error.to_string()))?;
    text.lines().map(|line| Link::from_line(line).map_err(foreign)).collect()
}

/// Named by the first link, or by the one that says that the catalog was replaced. None while the chain is empty.
fn folder(site: &Site<'_>, catalog: &Catalog) -> Result<Option<String>, CatalogFault> {
    let first = match replaced_at(catalog, site.policy.name.as_str())? {
        Some(said) => Some(said),
        None => link(catalog, 1)?,
    };
    Ok(first.map(|first| name(site, &first.head())))
}

fn name(site: &Site<'_>, first: &Head) -> String {
    format!("{}-{}", site.host(), &first.hash[..first.hash.len().min(CHAIN_CHARS)])
}

fn link(catalog: &Catalog, seq: u64) -> Result<Option<Link>, CatalogFault> {
    Ok(catalog.links(seq, 1)?.into_iter().find(|link| link.seq == seq))
}

/// The newest link of this chain that says that the catalog was replaced.
pub fn replaced_at(catalog: &Catalog, policy: &str) -> Result<Option<Link>, CatalogFault> {
    let Some(noted) = catalog.latest(policy)?.into_iter().find(|one| one.name == REPLACED) else { return Ok(None) };
    Ok(link(catalog, noted.value as u64)?.filter(|link| link.entry.kind == KIND))
}

const KIND: &str = "catalog.replaced";

/// How the store's copy shows that the catalog is not the one that it was.
fn replaced(
    site: &Site<'_>,
    catalog: &Catalog,
    store: &Store,
    repository: &Repository,
    folder: Option<&str>,
) -> Result<Option<String>, WitnessFault> {
    let newest = folder.map(|folder| newest(store, repository, folder)).transpose()?.flatten();
    let Some((_, key)) = newest else {
        // It was noted, and nothing was copied since.
        let is_noted = replaced_at(catalog, site.policy.name.as_str())?.is_some();
        return if is_noted { Ok(None) } else { Ok(another_chain(site, store, repository, folder)?) };
    };
    let witnessed = match read(store, &key) {
        Ok(links) => links.into_iter().last(),
        // What cannot be read says nothing of the catalog; `seawall audit verify` tells of it.
        Err(WitnessFault::Foreign { key, why }) => {
            tracing::warn!("{key} is no part of an audit chain: {why}");
            None
        }
        Err(fault) => return Err(fault),
    };
    let Some(witnessed) = witnessed else { return Ok(None) };
    let (seq, at) = (witnessed.seq, witnessed.entry.at.strftime("%Y-%m-%d %H:%M:%S UTC"));
    Ok(match link(catalog, seq)? {
        Some(ours) if ours.hash == witnessed.hash => None,
        Some(_) => Some(format!(
            "link {seq} of the audit chain is not the one of {at} that the store has: the catalog was put back from an older copy and has gone \
             on from it, or its chain was written anew"
        )),
        None => Some(format!(
            "the store has the audit chain up to link {seq} of {at}, and the catalog ends before it: it was put back from an older copy, or its \
             end was cut off"
        )),
    })
}

/// Nothing of this chain was ever copied, but something of another one of this host.
fn another_chain(site: &Site<'_>, store: &Store, repository: &Repository, folder: Option<&str>) -> Result<Option<String>, store::Fault> {
    let prefix = repository.prefix("audit");
    let is_chain = |name: &str| name.len() == CHAIN_CHARS && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mine = |key: &Key| {
        let (of, _) = key.as_str().strip_prefix(prefix.as_str())?.trim_start_matches('/').split_once('/')?;
        let chain = of.strip_prefix(site.host())?.strip_prefix('-')?;
        (is_chain(chain) && folder != Some(of)).then(|| of.to_owned())
    };
    let listed = store.list(&prefix)?;
    Ok(listed.iter().find_map(|meta| mine(&meta.key)).map(|of| {
        format!(
            "the store has the audit chain of another catalog of this host (`audit/{of}`): that catalog was deleted, or it is no longer the one in use"
        )
    }))
}

/// A figure that nobody gives again is forgotten after some time, and this one must not be.
fn remember(site: &Site<'_>, catalog: &Catalog) -> Result<(), CatalogFault> {
    let policy = site.policy.name.as_str();
    let noted = replaced_at(catalog, policy)?.map(|said| Measured { name: REPLACED, subject: "", value: said.seq as f64 });
    noted.map_or(Ok(()), |noted| catalog.measure(policy, &[noted], clock::now()))
}

/// On record, so that people hear of it. Returns the folder in which the copy goes on.
fn note(site: &Site<'_>, catalog: &Catalog, how: String) -> Result<String, WitnessFault> {
    tracing::warn!("{how}");
    let details = json!({ "lost": "runs, measurements, acknowledgements and messages that were not delivered" });
    let entry = run::audit_entry(site, clock::now(), how, KIND.to_owned(), details.to_string());
    let said = catalog.append(&entry)?;
    let noted = Measured { name: REPLACED, subject: "", value: said.seq as f64 };
    catalog.measure(site.policy.name.as_str(), &[noted], clock::now())?;
    Ok(name(site, &said))
}

fn key(repository: &Repository, folder: &str, from: u64, to: u64) -> Result<Key, SiteFault> {
    let text = format!("{}/{from:012}-{to:012}.jsonl", repository.prefix(&format!("audit/{folder}")));
    Key::new(&text)
        .map_err(|error| SiteFault::new(format!("the audit chain has no place in the store: {error}"), "How is this host called?"))
}

/// The object with the newest links of a chain, and the number of the last one.
fn newest(store: &Store, repository: &Repository, folder: &str) -> Result<Option<(u64, Key)>, store::Fault> {
    let listed = store.list(&repository.prefix(&format!("audit/{folder}")))?;
    let until = |key: Key| Some((key.file_name().strip_suffix(".jsonl")?.split_once('-')?.1.parse::<u64>().ok()?, key));
    Ok(listed.into_iter().filter_map(|meta| until(meta.key)).max_by_key(|(until, _)| *until))
}
