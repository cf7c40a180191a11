//! The settings of a throw-away copy, on top of what every restored server gets.

use std::fs;

use super::place::Place;
use crate::units::BackupId;

const MB: u64 = 1 << 20;
/// For the server's own cache, whatever the machine has.
const LEAST: u64 = 64 * MB;
const MOST: u64 = 1024 * MB;

/// In the order in which they are written; what comes last counts.
pub fn of_copy(place: &Place, id: &BackupId, port: u16) -> Vec<(String, String)> {
    let path = |path: &std::path::Path| path.to_string_lossy().into_owned();
    let all = [
        // Nobody reaches it who may not enter its folder.
        ("listen_addresses", String::new()),
        ("port", port.to_string()),
        ("unix_socket_directories", path(place.sockets())),
        ("unix_socket_group", String::new()),
        ("unix_socket_permissions", "0700".into()),
        ("hba_file", path(&place.hba())),
        ("ident_file", path(&place.ident())),
        ("ssl", "off".into()),
        ("cluster_name", format!("seawall-{}-{id}", place.purpose().word()).chars().take(63).collect()),
        // Nothing leaves it, and it leads nobody: not the archive, not a publisher whose slot is the original's, not a standby that it
        // would wait for.
        ("archive_mode", "off".into()),
        ("archive_cleanup_command", String::new()),
        ("max_logical_replication_workers", "0".into()),
        // Whatever else is loaded: a worker of an extension may speak to its fellows, or take over the original's slot.
        ("max_worker_processes", "0".into()),
        ("synchronous_standby_names", String::new()),
        // Files of the original on the same machine.
        ("external_pid_file", String::new()),
        // Nobody asks it before it is at its target, and then a setting that was raised since the backup does not stop it.
        ("hot_standby", "off".into()),
        ("restart_after_crash", "off".into()),
        ("autovacuum", "off".into()),
        ("shared_buffers", format!("{}kB", cache(memory().unwrap_or(0)) / 1024)),
        ("huge_pages", "off".into()),
    ];
    all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Of what is free now, an eighth.
fn cache(free: u64) -> u64 {
    (free / 8).clamp(LEAST, MOST) / MB * MB
}

fn memory() -> Option<u64> {
    let about = fs::read_to_string("/proc/meminfo").ok()?;
    let line = about.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.split_ascii_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_modest() {
        assert_eq!((cache(0), cache(4 << 30), cache(1 << 40)), (LEAST, 512 * MB, MOST));
    }
}
