//! Throw-away PostgreSQL clusters: real servers of every major version, each in a folder and with a socket of its own.
//!
//! PostgreSQL does not run as root. A test that does hands its clusters to the account `postgres`.
#![allow(dead_code, unused_imports, reason = "what a test of a cluster may want; not all of it is wanted at all times")]

mod account;
mod cluster;
mod options;
mod ports;
mod template;
mod version;

pub use account::Account;
pub use cluster::{Cluster, StopMode, children, settings};
pub use options::Options;
pub use ports::free_ports;
pub use version::Version;
