//! This host: its name, who we are on it, and where we may keep things.

use std::path::PathBuf;

/// The host's own name, as long as the system knows it.
pub fn full_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The host's own name, up to the first dot.
pub fn name() -> String {
    let name = full_name();
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

/// The account that we run as.
pub fn account() -> String {
    let of = |name: &str| std::env::var(name).ok().filter(|name| !name.is_empty());
    of("USER").or_else(|| of("LOGNAME")).unwrap_or_else(|| format!("uid {}", rustix::process::geteuid().as_raw()))
}

/// Who we are on this host: the account, and the person behind it where `sudo` tells.
pub fn who() -> String {
    let of = |name: &str| std::env::var(name).ok().filter(|name| !name.is_empty());
    let account = account();
    match of("SUDO_USER").filter(|person| *person != account) {
        Some(person) => format!("{person} as {account}"),
        None => account,
    }
}

/// What the numbers of processes here count among: a container has its own.
pub fn process_space() -> Option<String> {
    std::fs::read_link("/proc/self/ns/pid").ok().map(|space| space.to_string_lossy().into_owned())
}

/// Whether another process of this number is there. One that has ended and that nobody has asked about yet is not.
pub fn is_alive(pid: u32) -> bool {
    if pid == std::process::id() {
        return false;
    }
    let Ok(about) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // The name in parentheses may hold anything; the state is the word after the last of them.
    let state = about.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().next());
    !matches!(state, Some("Z" | "X"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_has_ended_is_not_alive_although_nobody_has_asked_about_it() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("it starts");
        assert!(is_alive(child.id()));
        child.kill().expect("killed");
        let gone = (0..500).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            !is_alive(child.id())
        });
        assert!(gone);
        child.wait().expect("asked");
        assert!(!is_alive(child.id()) && !is_alive(std::process::id()));
    }
}
