//! This host: its name, who we are on it, and where we may keep things.

use std::path::PathBuf;

/// The host's own name, up to the first dot.
pub fn name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    name.split('.').next().unwrap_or_default().to_owned()
}

/// Where state is kept between runs: `STATE_DIRECTORY` as systemd gives it, `/var/lib/seawall` for who may write there, else below
/// the user's own directory.
pub fn state_directory() -> PathBuf {
    if let Some(given) = given_state_directory() {
        return given;
    }
    let system = PathBuf::from("/var/lib/seawall");
    let ours = rustix::fs::access(&system, rustix::fs::Access::WRITE_OK).is_ok();
    if ours || rustix::process::geteuid().is_root() {
        return system;
    }
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_else(|| PathBuf::from("/"));
    std::env::var_os("XDG_STATE_HOME").map_or_else(|| home.join(".local/state"), PathBuf::from).join("seawall")
}

/// The one that the environment names.
pub fn given_state_directory() -> Option<PathBuf> {
    let given = std::env::var_os("STATE_DIRECTORY").filter(|given| !given.is_empty())?;
    // systemd separates several by colons; ours is the first.
    Some(PathBuf::from(given.to_string_lossy().split(':').next().unwrap_or_default()))
}

/// What this machine's run since it was started is called. None where the system does not say.
pub fn boot() -> Option<String> {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().map(|id| id.trim().to_owned())
}
