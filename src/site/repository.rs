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

    /// Whether it is as somebody signed it: gives the fingerprint of the key, or nothing when it is not signed.
    pub fn check(&self) -> Result<Option<String>, SignatureError> {
        let Some(signature) = &self.signature else { return Ok(None) };
        let unsigned = About { signature: None, ..self.clone() };
        Writers::check_whole_armored(REPOSITORY, &unsigned.to_json(), signature).map(Some)
    }
}

impl Site<'_> {
    /// The repository of this policy, if the store has one.
    pub fn find_repository(&self, store: &Store) -> Result<Option<Repository>, SiteFault> {
        let mut ours = Vec::new();
        for about in repositories(store)? {
            if about.policy != self.policy.name.as_str() {
                continue;
            }
            if let Err(error) = about.check() {
                return Err(SiteFault::new(
                    format!("{}/repository.json in {} was changed after it was written: {error}", about.repository, store.url()),
                    "Put it back from a copy of the store.",
                ));
            }
            ours.push(about);
        }
        ours.sort_by_key(|about| about.created);
        match ours.pop() {
            Some(newest) => Ok(Some(parsed(&newest.repository)?)),
            None => self.orphaned(store),
        }
    }

    /// A folder that can only be ours and does not say what it is: no store without backups, but one that was damaged.
    fn orphaned(&self, store: &Store) -> Result<Option<Repository>, SiteFault> {
        let ours = |folder: &&String| {
            let number = folder.strip_prefix(self.policy.name.as_str()).and_then(|rest| rest.strip_prefix('-'));
            number.is_some_and(|number| number.len() == 8 && number.bytes().all(|b| b.is_ascii_hexdigit()))
        };
        for folder in store.folders("")?.iter().filter(ours) {
            if store.folders(folder)?.iter().any(|inner| matches!(inner.as_str(), "backups" | "wal")) {
                return Err(SiteFault::new(
                    format!("the repository `{folder}` in {} has lost its repository.json", store.url()),
                    "Put it back from a copy of the store; the backups beside it are still there.",
                ));
            }
        }
        Ok(None)
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
        let all = if unmade { Vec::new() } else { repositories(store)? };
        if let Some(other) = all.into_iter().find(|about| about.system_identifier == cluster) {
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

/// Every repository of a store.
pub fn repositories(store: &Store) -> Result<Vec<About>, SiteFault> {
    let mut all = Vec::new();
    for folder in store.folders("")? {
        let Ok(key) = Key::new(format!("{folder}/repository.json")) else { continue };
        let json = match store.get(&key, LIMIT) {
            Ok(json) => json,
            Err(fault) if fault.is_absent() => continue,
            Err(fault) => return Err(fault.into()),
        };
        let about: About = serde_json::from_slice(&json)
            .map_err(|error| SiteFault::new(format!("{key} in {} cannot be read: {error}", store.url()), "Was it changed by hand?"))?;
        if about.format > FORMAT {
            let message = format!("the repository `{folder}` in {} was made by a newer seawall", store.url());
            return Err(SiteFault::new(message, "Use that one, or a newer one."));
        }
        all.push(about);
    }
    Ok(all)
}
