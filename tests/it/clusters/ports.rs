//! Ports of throw-away servers.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;

/// Ports that nobody listens on now, and that are this test's own until its process ends: a server may take seconds until it takes its own,
/// or go and come back. They lie below those that the kernel gives to connections, and of each there is a file that is locked, so that no
/// other test is given it meanwhile.
pub fn free_ports<const N: usize>() -> [u16; N] {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ports");
    fs::create_dir_all(&folder).expect("a folder for ports");
    let taken = [(); N].map(|()| {
        loop {
            let port = 10_000 + u16::try_from(getrandom::u32().expect("randomness") % 22_000).expect("a port");
            let own = File::create(folder.join(port.to_string())).expect("a file of the port");
            if own.try_lock().is_err() {
                continue;
            }
            if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
                // Never closed: the lock goes with the process.
                std::mem::forget(own);
                break (port, listener);
            }
        }
    });
    taken.map(|(port, _listener)| port)
}
