//! From a policy to what the hot path needs of it.

use std::fs;
use std::path::Path;
use std::time::Duration;

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

/// Asks no store and reads no key.
pub(super) fn markers(site: &Site<'_>) -> Result<Markers, SiteFault> {
    let wal = wal(site)?;
    let urls: Vec<String> = stores(wal).filter_map(|name| site.policy.stores.get(name)).map(|store| store.kind.url()).collect();
    Ok(Markers::new(&site.log_state(), destinations_digest(urls.iter().map(String::as_str), wal.acknowledged_by_all)))
}

pub(super) fn for_push(site: &Site<'_>, file: &Path, markers: Markers) -> Result<Settings, WalFault> {
    let wal = wal(site).map_err(of_site)?;
    let cluster = data_directory(file).map_or_else(|| system_identifier(Path::new("nowhere")), |data| system_identifier(&data))?;
    let keys = site.host_keys().map_err(of_site)?;
    let writers = site.must_be_writer(&keys).map_err(|fault| WalFault::new(WalFaultKind::Key, fault.message, fault.hint))?;
    let patience = patience(Duration::try_from(wal.timeout.to_signed()).unwrap_or_default(), stores(wal).count());
    Ok(Settings {
        destinations: stores(wal).map(|name| destination(site, name, cluster, patience)).collect(),
        acknowledged_by_all: wal.acknowledged_by_all,
        codec: site.codec(None),
        lock: site.lock().map_err(of_site)?,
        history_lock: site.lock_for_host(&keys).map_err(of_site)?,
        signing: keys.signing,
        writers,
        markers,
        state: site.log_state(),
        // While one waits for its disk or its network, the others compress.
        workers: std::thread::available_parallelism().map_or(1, usize::from) + 1,
    })
}

/// PostgreSQL tries a file three times in a row before it pauses, and does nothing else for the archive meanwhile.
const TRIES: u32 = 3;
/// What three tries may take together: `pg_ctl stop` gives the server a minute to end, and the server lets its archiver try.
const TOGETHER: Duration = Duration::from_secs(45);
const LEAST: Duration = Duration::from_secs(5);

/// How long one store that fails is kept at: so that three tries end within `wal.timeout`, when the next segment comes, and a server can
/// be stopped while its stores are away.
fn patience(timeout: Duration, stores: usize) -> Duration {
    let stores = u32::try_from(stores).unwrap_or(u32::MAX).max(1);
    (timeout.min(TOGETHER) / TRIES / stores).max(LEAST)
}

fn destination(site: &Site<'_>, name: &Name, cluster: SystemIdentifier, patience: Duration) -> Destination {
    let url = site.policy.stores.get(name).map(|store| store.kind.url()).unwrap_or_default();
    let place = place(site, name, cluster, patience);
    Destination { name: name.clone(), url, place }
}

fn place(site: &Site<'_>, name: &Name, cluster: SystemIdentifier, patience: Duration) -> Result<Place, WalFault> {
    let store = site.store_with_patience(name, patience).map_err(of_site)?;
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
    let _ = write(&site.log_state().join("last-failure"), &line);
}

/// Something was archived since.
pub(super) fn forget_failure(site: &Site<'_>) {
    let _ = fs::remove_file(site.log_state().join("last-failure"));
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    files::make_folders(path.parent().unwrap_or(path))?;
    files::replace(path, text.as_bytes()).map_err(|fault| std::io::Error::other(fault.message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_tries_end_within_the_timeout_and_before_a_server_must_have_stopped() {
        let seconds = |timeout: u64, stores: usize| patience(Duration::from_secs(timeout), stores).as_secs();
        assert_eq!([seconds(30, 1), seconds(60, 1), seconds(3600, 1)], [10, 15, 15]);
        assert_eq!([seconds(60, 2), seconds(60, 9), seconds(1, 1)], [7, 5, 5]);
    }
}
