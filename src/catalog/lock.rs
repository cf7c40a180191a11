//! One run of a job at a time, among those who share this catalog.
//!
//! In SQLite's case a lock of the kernel on an empty file beside the catalog (`catalog.db.locks/…`): it counts on this host. In
//! PostgreSQL's case an advisory lock of a session that lives as long as the guard: it counts for the fleet. Both end with the process,
//! however it ends. Neither is what safety rests on: a session may be lost without its holder noticing at once.

use std::fmt;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::Catalog;
use super::fault::CatalogFault;
use super::link::{Access, Where};
use super::server::Server;
use super::sqlite::{beside, open_empty};
use crate::units::hex;
use crate::world::files;

/// A session that only holds a lock is silent for hours. (Version 13 has no such limit.)
const STAY: &str = "SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name = 'idle_session_timeout'";
/// A host that lost its power or its network closes nothing: the server asks after it, and lets its lock go two minutes later.
const VANISHED: &str = "SET tcp_keepalives_idle = 60; SET tcp_keepalives_interval = 15; SET tcp_keepalives_count = 4";

/// Holds a job until it is dropped.
pub struct Guard(Held);

enum Held {
    /// Unlocked when it is closed.
    File(#[expect(dead_code, reason = "held, not read")] File),
    /// Unlocked when the session ends. Boxed and locked: looking whether it is still there is a conversation.
    Session(Box<Mutex<Server>>),
}

impl Guard {
    /// Is it still ours? A session that broke has lost it.
    pub fn is_held(&self) -> bool {
        match &self.0 {
            Held::File(_) => true,
            Held::Session(server) => {
                let mut server = server.lock().unwrap_or_else(PoisonError::into_inner);
                server.ask("SELECT 1", &[]).is_ok()
            }
        }
    }
}

impl Catalog {
    /// Takes the job, unless somebody has it.
    pub fn try_lock(&self, policy: &str, job: &str) -> Result<Option<Guard>, CatalogFault> {
        let digest = Sha256::digest(format!("{policy}\0{job}").as_bytes());
        match &self.place {
            Where::Sqlite(path) => lock_file(path, &hex(&digest[..16])),
            Where::Postgres(settings) => {
                let mut server = Server::open(settings, Access::Read)?;
                server.ask(STAY, &[])?;
                server.script(VANISHED)?;
                let number = i64::from_be_bytes([digest[0], digest[1], digest[2], digest[3], digest[4], digest[5], digest[6], digest[7]]);
                let row = server.ask("SELECT pg_catalog.pg_try_advisory_lock($1)::int", &[number.into()])?.into_iter().next();
                let taken = row.map(|mut row| row.flag()).transpose()?.unwrap_or(false);
                Ok(taken.then(|| Guard(Held::Session(Box::new(Mutex::new(server))))))
            }
        }
    }
}

/// The file stays: who removed it would let two others hold two files of the same name.
fn lock_file(catalog: &Path, name: &str) -> Result<Option<Guard>, CatalogFault> {
    let folder = beside(catalog, ".locks");
    let path = folder.join(name);
    let of = |error: std::io::Error| CatalogFault::of_file(&error, &path);
    files::make_folders(&folder).map_err(of)?;
    let file = open_empty(&path).map_err(of)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Guard(Held::File(file)))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(of(error)),
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Held::File(_) => "Guard(file)",
            Held::Session(_) => "Guard(session)",
        })
    }
}
