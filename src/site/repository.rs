//! Which repository of a store belongs to this policy.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::candidates::key_of;
use super::{Site, SiteFault};
use crate::format::layout::Repository;
use crate::format::signature::{REPOSITORY, SignatureError, SigningKey, Writers, claimed_key};
use crate::inventory::SystemIdentifier;
use crate::store::{FaultKind, Put, Store, fresh_name};
use crate::units::{Instant, Key};

/// The version of the layout.
const FORMAT: u32 = 1;
pub(super) const LIMIT: usize = 64 << 10;

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
    /// was matters where there are several: what is restored has signatures of its own.
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
        Writers::check_whole_armored(REPOSITORY, &self.unsigned(), signature)
    }

    /// Whether one of these made it; otherwise why not.
    pub(super) fn signed_by(&self, writers: &Writers) -> Result<(), String> {
        let signature = self.signature.as_ref().ok_or(SignatureError::Missing);
        let signed = signature.and_then(|signature| writers.check_armored(REPOSITORY, &self.unsigned(), signature).map(drop));
        signed.map_err(|error| error.to_string())
    }

    /// The key that its signature names, as `encryption.writers` has it.
    pub(super) fn claimed_key(&self) -> Option<String> {
        self.signature.as_deref().and_then(claimed_key)
    }

    fn unsigned(&self) -> Vec<u8> {
        About { signature: None, ..self.clone() }.to_json()
    }

    pub(super) fn read(json: &[u8], key: &Key, store: &Store) -> Result<About, SiteFault> {
        let about: About = serde_json::from_slice(json)
            .map_err(|error| SiteFault::new(format!("{key} in {} cannot be read: {error}", store.url()), "Was it changed by hand?"))?;
        if about.format > FORMAT {
            let message = format!("the repository `{}` in {} was made by a newer seawall ({key} says so)", about.repository, store.url());
            return Err(SiteFault::new(message, "Use that one, or a newer one."));
        }
        Ok(about)
    }
}

impl Site<'_> {
    /// The repository of this policy; made when the store has none. A cluster that has one under another policy's name is not
    /// silently begun anew.
    pub fn repository(&self, store: &Store, cluster: SystemIdentifier, now: Instant) -> Result<Repository, SiteFault> {
        // A directory is made by the first object that is put there; a bucket is not, and the put says so.
        let unmade = matches!(store.folders(""), Err(fault) if fault.kind == FaultKind::NoStore);
        if !unmade && let Some(found) = self.find_repository(store)? {
            return Ok(found.repository);
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
        store.check_conditional_put(&repository.probe(&fresh_name()))?;
        match store.put_new(&repository.about(), Bytes::from(about.to_json()))? {
            // Another host that began at the same time made the very same one.
            Put::Created | Put::Exists => Ok(repository),
        }
    }
}

/// What a folder says of itself; `None` when it does not.
fn read(store: &Store, folder: &str) -> Result<Option<About>, SiteFault> {
    let Some(key) = key_of(folder) else { return Ok(None) };
    match store.get(&key, LIMIT) {
        Ok(json) => About::read(&json, &key, store).map(Some),
        Err(fault) if fault.is_absent() => Ok(None),
        Err(fault) => Err(fault.into()),
    }
}
