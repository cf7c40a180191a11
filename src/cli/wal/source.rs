//! From where the log is fetched, as words of a command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;

use super::fetch::data_directory;
use super::settings::{self, of_site};
use crate::cli::here::Here;
use crate::cli::terminal::Colour;
use crate::execute::restore::candidates;
use crate::format::layout::Repository;
use crate::inventory::SystemIdentifier;
use crate::policy::model::Policy;
use crate::site;
use crate::store::{FaultKind, Store};
use crate::units::Name;
use crate::wal::{Archive, Place, Source, Trust, WalFault, WalFaultKind, still_there, system_identifier};

/// Which log, and with which keys.
#[derive(Debug, Clone, Args)]
pub struct LogSource {
    #[command(flatten)]
    pub here: Here,
    /// Only from this store; several are asked in this order [default: all that get the log, the first one first; where none is archived, those of the physical backups].
    #[arg(long, value_name = "NAME")]
    pub store: Vec<Name>,
    /// The repository in the stores [default: the policy's].
    #[arg(long, value_name = "ID", value_parser = repository)]
    pub repository: Option<Repository>,
    /// Whose log it is [default: the cluster's that the file is fetched for].
    #[arg(long, value_name = "NUMBER", value_parser = number)]
    pub system_identifier: Option<SystemIdentifier>,
    /// The recovery identity [default: the policy's `encryption.age.identity`].
    #[arg(long, short = 'i', value_name = "FILE")]
    pub identity: Option<PathBuf>,
}

fn repository(text: &str) -> Result<Repository, String> {
    text.parse().map_err(|error: crate::units::BadKey| error.to_string())
}

fn number(text: &str) -> Result<SystemIdentifier, String> {
    text.parse().map_err(|error: crate::units::QuantityError| error.message)
}

impl LogSource {
    /// Whose log is fetched.
    pub fn cluster(&self, to: &Path) -> Result<SystemIdentifier, WalFault> {
        self.system_identifier.map_or_else(|| system_identifier(&data_directory(to)), Ok)
    }

    /// The same as words of a command line.
    pub fn words(&self) -> Vec<OsString> {
        let here = &self.here;
        let text = |value: Option<String>| value.map(OsString::from);
        let words = [
            ("--policy", Some(here.path().into_os_string())),
            ("--state", here.state.clone().map(PathBuf::into_os_string)),
            ("--host", text(here.host.as_ref().map(ToString::to_string))),
            ("--repository", text(self.repository.as_ref().map(ToString::to_string))),
            ("--system-identifier", text(self.system_identifier.map(|number| number.to_string()))),
            ("--identity", self.identity.clone().map(PathBuf::into_os_string)),
        ];
        let stores = self.store.iter().map(|store| ("--store", text(Some(store.to_string()))));
        words.into_iter().chain(stores).filter_map(|(name, value)| Some([OsString::from(name), value?])).flatten().collect()
    }

    /// All that fetching needs. No store is asked yet.
    pub fn archive(&self, to: &Path) -> Result<Archive, WalFault> {
        let policy = self
            .here
            .read(Colour::Never)
            .map_err(|trouble| WalFault::new(WalFaultKind::Local, trouble.to_string(), trouble.hint().unwrap_or_default()))?;
        let cluster = self.cluster(to)?;
        let site = self.here.site(&policy);
        let names: Vec<Name> = match (self.store.as_slice(), &policy.wal) {
            ([], Some(wal)) => settings::stores(wal).cloned().collect(),
            // The log lies with the backups that brought it.
            ([], None) => candidates(&policy, None),
            (named, _) => named.iter().map(|store| known(&policy, store).cloned()).collect::<Result<_, _>>()?,
        };
        if names.is_empty() {
            settings::wal(&site).map_err(of_site)?;
        }
        let sources = names.iter().map(|name| self.source(&policy, name)).collect();
        let identities = site.identities(self.identity.as_deref()).map_err(of_site)?;
        let trust = Trust { identities, writers: site.writers().map_err(of_site)? };
        Ok(Archive { cluster, sources, trust })
    }

    fn source(&self, policy: &Policy, name: &Name) -> Source {
        let (policy, here, repository, of) = (policy.clone(), self.here.clone(), self.repository.clone(), name.clone());
        let open = move || {
            let site = here.site(&policy);
            let store = site.store(&of).map_err(of_site)?;
            let repository = match &repository {
                Some(repository) => named(&store, repository)?,
                None => site.find_repository(&store).map_err(of_site)?.ok_or_else(|| nothing(&site, &store))?.repository,
            };
            Ok(Place { store, repository })
        };
        Source::new(name.clone(), Box::new(open))
    }
}

fn known<'p>(policy: &'p Policy, store: &Name) -> Result<&'p Name, WalFault> {
    let all = || policy.stores.keys().map(Name::as_str).collect::<Vec<_>>().join(", ");
    let found = policy.stores.get_key_value(store).map(|(name, _)| name);
    found.ok_or_else(|| WalFault::new(WalFaultKind::Local, format!("the policy has no store `{store}`"), format!("It has: {}.", all())))
}

/// What was named is not looked for, but it has to be there.
fn named(store: &Store, repository: &Repository) -> Result<Repository, WalFault> {
    still_there(store, repository).map(|()| repository.clone())
}

/// A disk that is not mounted looks like an empty store: it could not be asked.
fn nothing(site: &site::Site<'_>, store: &Store) -> WalFault {
    let message = format!("{} holds no repository of the policy `{}`", store.url(), site.policy.name);
    let hint = "Is its disk mounted? If the policy was renamed, name the repository with `--repository`.";
    crate::store::Fault::new(FaultKind::NoStore, message, hint).into()
}
