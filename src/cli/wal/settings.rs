//! From a policy to what the hot path needs of it.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::inventory::SystemIdentifier;
use crate::policy::model;
use crate::site::{Site, SiteFault};
use crate::units::Name;
use crate::wal::{Destination, Markers, Place, Settings, WalFault, WalFaultKind, data_directory, destinations_digest, system_identifier};
use crate::world::{clock, files};

pub(super) fn wal<'p>(site: &Site<'p>) -> Result<&'p model::Wal, SiteFault> {
    let hint = "Add `wal: { store: …, timeout: 60s, keep: 30d }`.";
    site.policy.wal.as_ref().ok_or_else(|| SiteFault::new("the policy does not say where the write-ahead log goes", hint))
}

/// The stores that get the log, the policy's own first.
pub(super) fn stores(wal: &model::Wal) -> impl Iterator<Item = &Name> {
    std::iter::once(&wal.store).chain(&wal.copies)
}

/// What must not be forgotten of the log.
pub(super) fn state(site: &Site<'_>) -> PathBuf {
    site.policy_state().join("wal")
}

/// Asks no store and reads no key.
pub(super) fn markers(site: &Site<'_>) -> Result<Markers, SiteFault> {
    let wal = wal(site)?;
    let urls: Vec<String> = stores(wal).filter_map(|name| site.policy.stores.get(name)).map(|store| store.kind.url()).collect();
    Ok(Markers::new(&state(site), destinations_digest(urls.iter().map(String::as_str), wal.acknowledged_by_all)))
}

pub(super) fn for_push(site: &Site<'_>, file: &Path, markers: Markers) -> Result<Settings, WalFault> {
    let wal = wal(site).map_err(of_site)?;
    let cluster = data_directory(file).map_or_else(|| system_identifier(Path::new("nowhere")), |data| system_identifier(&data))?;
    let keys = site.host_keys().map_err(of_site)?;
    let writers = site.writers().map_err(of_site)?;
    if !writers.is_empty() && !writers.accepts(&keys.signing) {
        let message = format!(
            "this host's key ({}) is not among the policy's `encryption.writers`, so nobody would accept what it writes",
            keys.signing.fingerprint()
        );
        let hint = format!("Add the line `{}: {}` there, if this host should write.", site.host(), keys.signing.public());
        return Err(WalFault::new(WalFaultKind::Key, message, hint));
    }
    Ok(Settings {
        destinations: stores(wal).map(|name| destination(site, name, cluster)).collect(),
        acknowledged_by_all: wal.acknowledged_by_all,
        codec: site.codec(None),
        lock: site.lock().map_err(of_site)?,
        history_lock: site.lock_for_host(&keys).map_err(of_site)?,
        signing: keys.signing,
        writers,
        markers,
        state: state(site),
        // While one waits for its disk or its network, the others compress.
        workers: std::thread::available_parallelism().map_or(1, usize::from) + 1,
    })
}

fn destination(site: &Site<'_>, name: &Name, cluster: SystemIdentifier) -> Destination {
    let url = site.policy.stores.get(name).map(|store| store.kind.url()).unwrap_or_default();
    let place = place(site, name, cluster);
    Destination { name: name.clone(), url, place }
}

fn place(site: &Site<'_>, name: &Name, cluster: SystemIdentifier) -> Result<Place, WalFault> {
    let store = site.store(name).map_err(of_site)?;
    let repository = site.own_repository(name, &store, cluster, clock::now()).map_err(of_site)?;
    Ok(Place { store, repository })
}

pub(super) fn of_site(fault: SiteFault) -> WalFault {
    let kind = if fault.transient { WalFaultKind::Store } else { WalFaultKind::Key };
    WalFault::new(kind, fault.message, fault.hint)
}

/// For `wal status`: what the last failure was.
pub(super) fn note_failure(site: &Site<'_>, file: &Path, fault: &WalFault) {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let line = format!("{} {name} {}\n", clock::now(), fault.message.replace('\n', " "));
    let _ = write(&state(site).join("last-failure"), &line);
}

/// Something was archived since.
pub(super) fn forget_failure(site: &Site<'_>) {
    let _ = fs::remove_file(state(site).join("last-failure"));
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path.parent().unwrap_or(path))?;
    files::replace(path, text.as_bytes()).map_err(|fault| std::io::Error::other(fault.message))
}
