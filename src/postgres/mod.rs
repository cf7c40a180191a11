//! A PostgreSQL server as a client sees it: connections, settings, backup mode, replication.
//!
//! Synchronous and small: one socket, PostgreSQL's protocol 3.0, plain SQL and the replication commands. There is no pool and
//! nothing is retried here; a [`Fault`] says whether trying again may help.

mod array;
mod auth;
mod backup;
mod base_backup;
mod cancel;
mod connection;
pub mod conninfo;
mod copy;
mod fault;
mod opening;
mod replication;
mod rows;
mod said;
mod server;
mod slot;
mod sockets;
mod tls;
mod wire;

pub use array::array;
pub use backup::{BackupSession, StartPoint, StopPoint};
pub use base_backup::{Archive, BaseBackup, BaseBackupOptions, EndPoint, Piece};
pub use cancel::Cancel;
pub use connection::{Connection, Described, Mode, Notice};
pub use conninfo::Settings;
pub use copy::{CopyIn, CopyOut};
pub use fault::{Fault, FaultKind};
pub use replication::{SystemIdentity, TimelineHistory};
pub use rows::{Row, Rows};
pub use server::{Collation, Database, Everywhere, Extension, Server, Tablespace};
pub use slot::SlotTerms;
