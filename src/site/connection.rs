//! How this policy's cluster is reached.

use super::{Site, SiteFault, keys};
use crate::postgres::{self, Settings};
use crate::world::secret::secret;

impl From<postgres::Fault> for SiteFault {
    fn from(fault: postgres::Fault) -> Self {
        let transient = fault.is_transient();
        SiteFault { message: fault.message, hint: fault.hint, transient }
    }
}

impl Site<'_> {
    /// The server on this host: by the host's own connection where the policy has one.
    pub fn connection(&self) -> Result<Settings, SiteFault> {
        let own = self.policy.hosts.get(self.host()).and_then(|host| host.connection.as_deref());
        match own {
            Some(own) => self.settings(own),
            None => self.cluster_connection(),
        }
    }

    /// The cluster wherever it takes writes.
    pub fn cluster_connection(&self) -> Result<Settings, SiteFault> {
        let cluster = self.policy.file.cluster.as_ref();
        self.settings(cluster.and_then(|cluster| cluster.connection.as_deref()).unwrap_or_default())
    }

    fn settings(&self, text: &str) -> Result<Settings, SiteFault> {
        let settings = Settings::read(text)?;
        let password = self.policy.file.cluster.as_ref().and_then(|cluster| cluster.password.as_ref());
        match password {
            Some(reference) => {
                let password = secret(&keys::place(reference))
                    .map_err(|error| SiteFault::new(format!("cluster.password: {error}"), "Look who may read it."))?;
                Ok(settings.with_password(password))
            }
            None => Ok(settings),
        }
    }
}
