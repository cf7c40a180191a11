//! How this policy's cluster is reached.

use super::{Site, SiteFault, keys};
use crate::policy::document::Document;
use crate::policy::finding::{Code, Finding};
use crate::policy::path::PolicyPath;
use crate::postgres::{self, Settings};
use crate::world::secret::secret;

impl From<postgres::Fault> for SiteFault {
    fn from(fault: postgres::Fault) -> Self {
        let transient = fault.is_transient();
        SiteFault { message: fault.message, hint: fault.hint, transient }
    }
}

const UNREADABLE: Code = Code(260);

/// What is wrong with the connection strings of a policy, seen without a server. Nothing of them is shown: they may hold a password.
pub fn check(document: &Document) -> Vec<Finding> {
    let Some(file) = &document.file else { return Vec::new() };
    let mut all: Vec<(PolicyPath, &str)> = Vec::new();
    if let Some(cluster) = &file.cluster {
        all.extend(cluster.connection.as_deref().map(|text| (PolicyPath::from(["cluster", "connection"]), text)));
        let of_hosts = cluster.hosts.iter().filter_map(|(name, host)| Some((name, host.connection.as_deref()?)));
        all.extend(of_hosts.map(|(name, text)| (PolicyPath::from(["cluster", "hosts", name.as_str(), "connection"]), text)));
    }
    let catalog = file.catalog.as_ref().and_then(|catalog| catalog.postgres.as_ref());
    all.extend(catalog.map(|catalog| (PolicyPath::from(["catalog", "postgres", "connection"]), catalog.connection.as_str())));
    let wrong = all.into_iter().filter_map(|(path, text)| Some((path, Settings::check(text).err()?)));
    wrong.map(|(path, fault)| Finding::error(UNREADABLE, path, fault.message).hint(fault.hint).masked()).collect()
}

impl Site<'_> {
    /// The server on this host: by the host's own connection where the policy has one.
    pub fn connection(&self) -> Result<Settings, SiteFault> {
        let own = self.policy.hosts.get(self.host()).and_then(|host| host.connection.as_deref());
        match own {
            Some(own) => self.server_at(own),
            None => self.cluster_connection(),
        }
    }

    /// The cluster wherever it takes writes.
    pub fn cluster_connection(&self) -> Result<Settings, SiteFault> {
        let cluster = self.policy.file.cluster.as_ref();
        self.server_at(cluster.and_then(|cluster| cluster.connection.as_deref()).unwrap_or_default())
    }

    /// Which server that is, for those who must not be at one server twice: where it listens, without who asks. No secret is read.
    pub fn server_name(&self) -> String {
        let own = self.policy.hosts.get(self.host()).and_then(|host| host.connection.as_deref());
        let text = own.or_else(|| self.policy.file.cluster.as_ref()?.connection.as_deref()).unwrap_or_default();
        match Settings::read(text) {
            Ok(settings) => settings.targets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            Err(_) => text.to_owned(),
        }
    }

    /// Another server of the cluster, with the password that the policy has for it.
    pub fn server_at(&self, text: &str) -> Result<Settings, SiteFault> {
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
