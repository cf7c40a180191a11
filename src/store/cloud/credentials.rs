//! A watch on whoever hands out credentials, so that "nobody gave me any" is not taken for "the store is down".

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use object_store::CredentialProvider;
use thiserror::Error;

use super::failure::Failure;

/// A machine's metadata service can be slow at boot; a machine that has none should not make anybody wait.
const ASKED: u32 = 3;
const PAUSE: Duration = Duration::from_millis(300);

#[derive(Debug, Error)]
#[error("no credentials were found{tried}: {why}")]
pub(super) struct NoCredentials {
    tried: &'static str,
    why: String,
}

impl NoCredentials {
    pub(super) fn new(why: impl Into<String>) -> NoCredentials {
        NoCredentials { tried: "", why: why.into() }
    }

    pub(super) fn hint(&self) -> &'static str {
        "Give them by the environment, a profile, or the identity of this machine."
    }
}

/// Asks another provider, and tells its refusals from a store's.
pub(super) struct Watched<C> {
    from: Arc<dyn CredentialProvider<Credential = C>>,
    /// It is the machine's metadata service, the last of the chain: not reaching it means that there is none.
    last_resort: bool,
}

impl<C> Watched<C> {
    pub(super) fn new(from: Arc<dyn CredentialProvider<Credential = C>>, last_resort: bool) -> Watched<C> {
        Watched { from, last_resort }
    }

    async fn ask(&self) -> object_store::Result<Arc<C>> {
        let mut asked = 0;
        loop {
            let error = match self.from.get_credential().await {
                Ok(credential) => return Ok(credential),
                Err(error) => error,
            };
            let failure = Failure::of(&error);
            asked += 1;
            match failure.is_transient() {
                true if asked < ASKED => tokio::time::sleep(PAUSE).await,
                // Whoever is patient with the store is patient with this as well.
                true if !self.last_resort => return Err(error),
                _ => {
                    let tried = if self.last_resort { " (nothing in the environment, and not from this machine's identity)" } else { "" };
                    return Err(missing(NoCredentials { tried, why: failure.said }));
                }
            }
        }
    }
}

pub(super) fn missing(error: NoCredentials) -> object_store::Error {
    object_store::Error::Unauthenticated { path: "credentials".to_owned(), source: Box::new(error) }
}

impl<C> fmt::Debug for Watched<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watched")
    }
}

impl<C: Send + Sync + 'static> CredentialProvider for Watched<C> {
    type Credential = C;

    fn get_credential<'life, 'future>(&'life self) -> Pin<Box<dyn Future<Output = object_store::Result<Arc<C>>> + Send + 'future>>
    where
        'life: 'future,
        Self: 'future,
    {
        Box::pin(self.ask())
    }
}
