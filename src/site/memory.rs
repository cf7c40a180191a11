//! What this host remembers of the stores it has written to. An empty mount point looks like a store that nobody has used yet; what
//! was put there instead would be lost with the next mount.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::{Site, SiteFault};
use crate::format::layout::Repository;
use crate::inventory::SystemIdentifier;
use crate::policy::model::StoreKind;
use crate::store::Store;
use crate::units::{Instant, Name};
use crate::world::files;

impl Site<'_> {
    /// The repository to write to. It is looked for, or made, once, and remembered: a store that does not have it any more is not
    /// begun anew.
    pub fn own_repository(&self, name: &Name, store: &Store, cluster: SystemIdentifier, now: Instant) -> Result<Repository, SiteFault> {
        if let Some(repository) = self.remembered(name)? {
            return match store.head(&repository.about())? {
                Some(_) => Ok(repository),
                None => Err(self.gone(name, store, &repository)),
            };
        }
        let repository = self.repository(store, cluster, now)?;
        // Forgetting it costs a look into the store.
        let _ = self.remember(name, &repository);
        Ok(repository)
    }

    /// A directory that holds nothing of ours, and did when this host last wrote to it.
    pub fn not_forgotten(&self, store: &Store) -> Result<(), SiteFault> {
        let url = store.url();
        let is_it = |kind: &StoreKind| matches!(kind, StoreKind::Local(_)) && kind.url() == url.trim_end_matches('/');
        let Some((name, _)) = self.policy.stores.iter().find(|(_, known)| is_it(&known.kind)) else { return Ok(()) };
        // Whoever may not read the notes writes nothing there, and only looks.
        let known = self.remembered(name).unwrap_or_default();
        known.map_or(Ok(()), |repository| Err(self.gone(name, store, &repository)))
    }

    /// Of a store that this host has read and will write to: a standby, before its server is promoted. An account that is not the server's
    /// own leaves no notes in its way.
    pub fn keep_in_mind(&self, name: &Name, repository: &Repository) {
        let is_own = std::fs::metadata(self.state()).is_ok_and(|about| about.uid() == rustix::process::geteuid().as_raw());
        if is_own && !rustix::process::geteuid().is_root() && matches!(self.remembered(name), Ok(None)) {
            // Forgetting it costs the knowledge that an empty mount point is one.
            let _ = self.remember(name, repository);
        }
    }

    fn note(&self, name: &Name) -> PathBuf {
        self.policy_state().join("wal/repositories").join(name.as_str())
    }

    fn place(&self, name: &Name) -> String {
        self.policy.stores.get(name).map(|store| store.kind.url()).unwrap_or_default()
    }

    /// A note that cannot be read is none that is not there: an empty mount point would be begun anew.
    fn remembered(&self, name: &Name) -> Result<Option<Repository>, SiteFault> {
        let note = self.note(name);
        let text = match fs::read_to_string(&note) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let message = format!("`{}`, which says what the store `{name}` holds, cannot be read: {error}", note.display());
                return Err(SiteFault::new(message, "Give it to the account that seawall runs as; if it is damaged, delete it."));
            }
        };
        // Of another place, it says nothing of this one.
        let known = text.trim_end().split_once('\n').filter(|(of, _)| *of == self.place(name));
        Ok(known.and_then(|(_, repository)| repository.parse().ok()))
    }

    fn remember(&self, name: &Name, repository: &Repository) -> std::io::Result<()> {
        let note = self.note(name);
        files::make_folders(note.parent().unwrap_or(&note))?;
        let text = format!("{}\n{repository}\n", self.place(name));
        files::replace(&note, text.as_bytes()).map_err(|fault| std::io::Error::other(fault.message))
    }

    fn gone(&self, name: &Name, store: &Store, repository: &Repository) -> SiteFault {
        let message = format!("{} does not hold the repository `{repository}` any more", store.url());
        let note = self.note(name);
        let hint = format!("Is its disk mounted? If the store was emptied on purpose, delete `{}`, and take a backup.", note.display());
        // The next look may find it mounted.
        SiteFault { transient: true, ..SiteFault::new(message, hint) }
    }
}
