//! A throw-away copy of a cluster: a private server that is restored, used and removed, and of which nothing reaches the original.
//!
//! Drills prove with one that a recovery works; a table that is wanted back is taken out of one. Nothing of it is left: not after a failure,
//! not after Ctrl-C, and after `kill -9` not for longer than until the next run on this host.

mod leftovers;
mod place;
mod progress;
mod server;
mod settings;
mod stop;
mod suit;

use std::net::{Ipv4Addr, TcpListener};

pub use leftovers::{kept, remove_kept, sweep};
pub use place::{Mark, Place, Purpose, usual, usual_for_tables};
pub use progress::{Glance, Progress};
pub use server::Reached;
pub use settings::of_copy;
pub use stop::BESIDE;
pub use suit::{may_enter, must_have_room, must_suit, refuse_the_original};

use crate::execute::restore::RestoreFault;
use crate::policy::file::HostRole;
use crate::site::Site;

/// Nobody on this machine shall notice it.
const NICE: i32 = 10;

/// Of the thread that calls, and of what it starts. A staging host is there for this and nothing else, so there it gets what a recovery
/// would get. What was lowered cannot be raised again.
pub fn lower_priority(site: &Site<'_>) {
    let staging = site.policy.hosts.iter().any(|(name, host)| name.as_str() == site.host() && host.role == HostRole::Staging);
    if !staging {
        // On Linux of this thread alone; the disk's order of service follows it.
        let _ = rustix::process::setpriority_process(None, NICE);
    }
}

/// A port that nobody listens on: a program that takes no notice of the socket finds nobody there, and not another server.
pub fn free_port() -> Result<u16, RestoreFault> {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    free.map(|address| address.port()).map_err(|error| RestoreFault::new(format!("no port is free: {error}"), ""))
}
