use std::path::PathBuf;
use std::time::Duration;

use super::{Site, SiteFault};
use crate::policy::file;
use crate::policy::model::{self, StoreKind};
use crate::store::{Place, Settings, Sse, Store};
use crate::units::{Name, StorageClass};

impl Site<'_> {
    /// Opens one of the policy's stores.
    pub fn store(&self, name: &Name) -> Result<Store, SiteFault> {
        self.store_with_patience(name, Settings::PATIENCE)
    }

    /// The same for somebody whom others wait for: how long it keeps at a store that fails.
    pub fn store_with_patience(&self, name: &Name, patience: Duration) -> Result<Store, SiteFault> {
        let store = self.policy.stores.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.policy.stores.keys().map(Name::as_str).collect();
            SiteFault::new(format!("the policy has no store `{name}`"), format!("It has: {}.", known.join(", ")))
        })?;
        Ok(Store::open_within(&Settings { patience, ..settings(store) }, self.silences.as_ref())?)
    }

    /// The same for what is read back before it counts, and the class in which that would not be possible: it goes there afterwards.
    pub fn store_to_read_back(&self, name: &Name) -> Result<(Store, Option<StorageClass>), SiteFault> {
        let Some((store, class)) = self.policy.stores.get(name).and_then(|store| Some((store, store.kind.frozen_class()?))) else {
            return Ok((self.store(name)?, None));
        };
        let mut settings = settings(store);
        if let Place::S3 { storage_class: of_new, .. } | Place::Azure { tier: of_new, .. } = &mut settings.place {
            *of_new = None;
        }
        Ok((Store::open_within(&settings, self.silences.as_ref())?, Some(class)))
    }

    /// Where a store is asked; other stores, also of other policies, may be behind the same door.
    pub fn door(&self, name: &Name) -> Option<Place> {
        self.policy.stores.get(name).map(|store| settings(store).place.door())
    }
}

/// A store of the policy in the words of the driver.
pub fn settings(store: &model::Store) -> Settings {
    let place = match &store.kind {
        StoreKind::Local(local) => Place::Local { path: PathBuf::from(&local.path) },
        StoreKind::S3(s3) => Place::S3 {
            bucket: s3.bucket.clone(),
            prefix: s3.prefix.clone(),
            region: s3.region.clone(),
            endpoint: s3.endpoint.clone(),
            path_style: s3.path_style,
            ca: s3.ca.as_ref().map(PathBuf::from),
            profile: s3.profile.clone(),
            storage_class: s3.storage_class.as_ref().map(spelled),
            sse: s3.sse.as_ref().and_then(sse),
        },
        StoreKind::Azure(azure) => Place::Azure {
            account: azure.account.clone(),
            container: azure.container.clone(),
            prefix: azure.prefix.clone(),
            endpoint: azure.endpoint.clone(),
            tier: azure.tier.map(|tier| {
                match tier {
                    file::AzureTier::Hot => "Hot",
                    file::AzureTier::Cool => "Cool",
                    file::AzureTier::Cold => "Cold",
                    file::AzureTier::Archive => "Archive",
                }
                .to_owned()
            }),
        },
        StoreKind::Gcs(gcs) => Place::Gcs {
            bucket: gcs.bucket.clone(),
            prefix: gcs.prefix.clone(),
            endpoint: gcs.endpoint.clone(),
            storage_class: gcs.storage_class.as_ref().map(spelled),
        },
    };
    Settings { upload_limit: store.upload_limit, ..Settings::new(place) }
}

/// A class as its cloud spells it, which is how the policy spells it.
fn spelled(class: &impl serde::Serialize) -> String {
    serde_json::to_value(class).ok().and_then(|value| value.as_str().map(str::to_owned)).expect("a class is a word")
}

fn sse(sse: &file::Sse) -> Option<Sse> {
    match (&sse.kms, &sse.s3) {
        (Some(key), _) => Some(Sse::Kms(key.clone())),
        (None, Some(_)) => Some(Sse::S3),
        (None, None) => None,
    }
}
