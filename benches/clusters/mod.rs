//! The servers of the tests, for what is measured on real ones.
#![allow(dead_code, unused_imports, reason = "tests use more of it, and not every benchmark all of this")]

#[path = "../../tests/it/clusters/account.rs"]
mod account;
#[path = "../../tests/it/clusters/cluster.rs"]
mod cluster;
#[path = "../../tests/it/clusters/options.rs"]
mod options;
#[path = "../../tests/it/clusters/ports.rs"]
mod ports;
#[path = "../../tests/it/clusters/template.rs"]
mod template;
#[path = "../../tests/it/clusters/version.rs"]
mod version;

pub use cluster::{Cluster, StopMode};
pub use options::Options;
pub use version::Version;
