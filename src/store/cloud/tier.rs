//! Azure's access tiers, which are set without copying anything: colder, and back from the archive.

use object_store::HeaderValue;
use object_store::azure::AzureAuthorizer;
use object_store::client::{HttpRequest, HttpRequestBody, HttpResponse};

use super::classes::escaped;
use super::failure::Failure;
use super::{Client, Cloud};
use crate::store::{FaultKind, Key, Moved};
use crate::units::{Haste, StorageClass};

impl Cloud {
    pub(super) async fn set_tier(&self, key: &Key, class: StorageClass) -> Result<Moved, Failure> {
        if !self.is_to_move(self.tier_of(key).await?, class)? {
            return Ok(Moved::Already);
        }
        self.ask_azure(key, "comp=tier", &[("x-ms-access-tier", class.on_wire())]).await?;
        match self.tier_of(key).await? {
            Some(now) if now == class => Ok(Moved::Done { left: None }),
            now => {
                let said = format!("its tier was set and is {} now", now.map_or("unknown", StorageClass::as_str));
                Err(Failure::new(FaultKind::Config, said, "Take `storage_class` out of `keep`: this server has no such tier."))
            }
        }
    }

    async fn tier_of(&self, key: &Key) -> Result<Option<StorageClass>, Failure> {
        let absent = || Failure::new(FaultKind::Absent, "it is not there", "");
        let looked = self.look(key).await.map_err(|fault| Failure::new(fault.kind, fault.message, ""))?;
        looked.map(|(meta, _)| meta.class).ok_or_else(absent)
    }

    /// A blob comes out of the archive for good: it is warm until something moves it again.
    pub(super) async fn rehydrate(&self, key: &Key, haste: Haste) -> Result<(), Failure> {
        let priority = if haste == Haste::Expedited { "High" } else { "Standard" };
        let warm = [("x-ms-access-tier", StorageClass::Hot.on_wire()), ("x-ms-rehydrate-priority", priority)];
        match self.ask_azure(key, "comp=tier", &warm).await {
            Ok(_) => Ok(()),
            // Asked for before.
            Err(failure) if failure.code == "BlobBeingRehydrated" => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    async fn ask_azure(&self, key: &Key, query: &str, headers: &[(&'static str, &str)]) -> Result<HttpResponse, Failure> {
        let Client::Azure { client, http, account, container, .. } = &self.client else { return Err(Failure::of(&odd())) };
        let path = self.path_of(key)?;
        let address = format!("{container}/{}?{query}", escaped(path.as_ref(), true));
        let attempt = || async {
            let mut request = HttpRequest::new(HttpRequestBody::empty());
            *request.method_mut() = "PUT".parse().map_err(|_| odd())?;
            *request.uri_mut() = address.parse().map_err(|_| odd())?;
            for (name, value) in headers {
                request.headers_mut().insert(*name, HeaderValue::from_str(value).map_err(|_| odd())?);
            }
            let credential = client.credentials().get_credential().await?;
            AzureAuthorizer::new(&credential, account).try_authorize(&mut request)?;
            let sent = http.execute(request).await;
            sent.map_err(|error| object_store::Error::Generic { store: "Azure", source: Box::new(error) })
        };
        self.patiently(self.silence(), attempt).await
    }
}

fn odd() -> object_store::Error {
    object_store::Error::NotSupported { source: "the request cannot be written".into() }
}
