//! Throw-away PostgreSQL clusters: real servers of every major version, each in a folder and with a socket of its own.
//!
//! PostgreSQL does not run as root. A test that does hands its clusters to the account `postgres`.

mod account;
mod cluster;
mod options;
mod template;
mod version;

pub use account::Account;
pub use cluster::{Cluster, StopMode, settings};
pub use options::Options;
pub use version::Version;
