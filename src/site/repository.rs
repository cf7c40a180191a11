//! Which repository of a store belongs to this policy.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Site, SiteFault};
use crate::format::layout::Repository;
use crate::format::signature::{REPOSITORY, SignatureError, SigningKey, Writers};
use crate::inventory::SystemIdentifier;
use crate::store::{FaultKind, Put, Store};
use crate::units::{Instant, Key};

/// The version of the layout.
const FORMAT: u32 = 1;
const LIMIT: usize = 64 << 10;

/// `repository.json`: what a repository is. Written once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    pub format: u32,
    pub repository: String,
    /// The policy's name when it was made.
    pub policy: String,
    /// The cluster's number when it was made.
    pub system_identifier: SystemIdentifier,
    pub created: Instant,
    /// The signature of the host that made it, over this JSON without it. It tells a changed file from a whole one; whose key it
    /// was matters little: what is restored has signatures of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

impl About {
    /// As it lies in the store.
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).expect("texts and numbers");
        json.push(b'\n');
        json
    }

    fn sign(&mut self, key: &SigningKey) -> Result<(), SignatureError> {
        self.signature = None;
        self.signature = Some(key.sign_armored(REPOSITORY, &self.to_json())?);
        Ok(())
    }

    /// Whether it is as somebody signed it: gives the fingerprint of the key.
    pub fn check(&self) -> Result<String, SignatureError> {
        let signature = self.signature.as_ref().ok_or(SignatureError::Missing)?;
        let unsigned = About { signature: None, ..self.clone() };
        Writers::check_whole_armored(REPOSITORY, &unsigned.to_json(), signature)
    }
}

impl Site<'_> {
    /// The repository of this policy, if the store has one.
    pub fn find_repository(&self, store: &Store) -> Result<Option<Repository>, SiteFault> {
        let mut ours = Vec::new();
        for folder in store.folders("")? {
            let named_ours = self.is_named_ours(&folder);
            match read(store, &folder) {
                Ok(Some(about)) if named_ours || about.policy == self.policy.name.as_str() => {
                    self.believe(&about, &folder, store)?;
                    ours.push(about);
                }
                // What becomes of the repositories of others is for them to say.
                Ok(Some(_)) => {}
                Err(_) if !named_ours => {}
                Err(fault) => return Err(fault),
                Ok(None) if named_ours => not_orphaned(store, &folder)?,
                Ok(None) => {}
            }
        }
        ours.sort_by_key(|about| about.created);
        ours.pop().map(|newest| parsed(&newest.repository)).transpose()
    }

    /// `shop-4cdaeb91`: a name that only our own repository has.
    fn is_named_ours(&self, folder: &str) -> bool {
        let number = folder.strip_prefix(self.policy.name.as_str()).and_then(|rest| rest.strip_prefix('-'));
        number.is_some_and(|number| number.len() == 8 && number.bytes().all(|b| b.is_ascii_hexdigit()))
    }

    fn believe(&self, about: &About, folder: &str, store: &Store) -> Result<(), SiteFault> {
        let why = match about.check() {
            Err(error) => error.to_string(),
            Ok(_) if about.repository != folder => format!("it belongs to `{}`", about.repository),
            Ok(_) if about.policy != self.policy.name.as_str() => format!("it belongs to the policy `{}`", about.policy),
            Ok(_) => return Ok(()),
        };
        let message = format!("{folder}/repository.json in {} is not what was written: {why}", store.url());
        Err(SiteFault::new(message, "Put it back from a copy of the store."))
    }

    /// The repository of this policy; made when the store has none. A cluster that has one under another policy's name is not
    /// silently begun anew.
    pub fn repository(&self, store: &Store, cluster: SystemIdentifier, now: Instant) -> Result<Repository, SiteFault> {
        // A directory is made by the first object that is put there; a bucket is not, and the put says so.
        let unmade = matches!(store.folders(""), Err(fault) if fault.kind == FaultKind::NoStore);
        if !unmade && let Some(found) = self.find_repository(store)? {
            return Ok(found);
        }
        let policy = self.policy.name.as_str();
        let folders = if unmade { Vec::new() } else { store.folders("")? };
        let mut all = folders.into_iter().filter_map(|folder| read(store, &folder).ok().flatten());
        if let Some(other) = all.find(|about| about.system_identifier == cluster) {
            return Err(SiteFault::new(
                format!(
                    "{} holds this cluster's backups already, as repository `{}` of the policy `{}`",
                    store.url(),
                    other.repository,
                    other.policy
                ),
                "Was the policy renamed? Give it the old name, or another prefix or directory to begin anew.",
            ));
        }
        let repository = Repository::first(policy, cluster);
        let mut about = About {
            format: FORMAT,
            repository: repository.to_string(),
            policy: policy.to_owned(),
            system_identifier: cluster,
            created: now,
            signature: None,
        };
        about.sign(&self.host_keys()?.signing).map_err(|error| SiteFault::new(error.to_string(), ""))?;
        match store.put_new(&repository.about(), Bytes::from(about.to_json()))? {
            // Another host that began at the same time made the very same one.
            Put::Created | Put::Exists => Ok(repository),
        }
    }
}

fn parsed(text: &str) -> Result<Repository, SiteFault> {
    text.parse().map_err(|_| SiteFault::new(format!("`{text}` cannot be a repository"), "Its `repository.json` was changed."))
}

/// What a folder says of itself; `None` when it does not.
fn read(store: &Store, folder: &str) -> Result<Option<About>, SiteFault> {
    let Ok(key) = Key::new(format!("{folder}/repository.json")) else { return Ok(None) };
    let json = match store.get(&key, LIMIT) {
        Ok(json) => json,
        Err(fault) if fault.is_absent() => return Ok(None),
        Err(fault) => return Err(fault.into()),
    };
    let about: About = serde_json::from_slice(&json)
        .map_err(|error| SiteFault::new(format!("{key} in {} cannot be read: {error}", store.url()), "Was it changed by hand?"))?;
    if about.format > FORMAT {
        let message = format!("the repository `{folder}` in {} was made by a newer seawall ({key} says so)", store.url());
        return Err(SiteFault::new(message, "Use that one, or a newer one."));
    }
    Ok(Some(about))
}

/// A folder that can only be ours and does not say what it is: no store without backups, but one that was damaged.
fn not_orphaned(store: &Store, folder: &str) -> Result<(), SiteFault> {
    match store.folders(folder)?.iter().any(|inner| matches!(inner.as_str(), "backups" | "wal")) {
        false => Ok(()),
        true => Err(SiteFault::new(
            format!("the repository `{folder}` in {} has lost its repository.json", store.url()),
            "Put it back from a copy of the store; the backups beside it are still there.",
        )),
    }
}
