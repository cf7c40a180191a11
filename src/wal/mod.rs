//! PostgreSQL's archive and restore commands, and nothing they do not need.
//!
//! `push` answers `archive_command`: success means that the file is durable in the stores that must have it, never less. It looks
//! ahead: what else is ready is shipped in the same call, and the calls that follow find a marker and return at once.
//! `fetch` answers `restore_command`: what it puts in place was signed by an accepted writer and is whole; "absent" is said only of
//! what is known to be absent.

mod carry;
mod cluster;
mod debt;
mod existing;
mod fault;
mod fetch;
mod large;
mod local;
mod marker;
mod packer;
mod pass;
mod prefetch;
mod push;
mod ready;
mod settings;
mod ship;
mod spare;
mod spool;
mod take;

pub use carry::{Carried, Carrier, Packing};
pub use cluster::{data_directory, system_identifier};
pub use debt::{Refused, refused};
pub use existing::{find, read_stamp, still_there};
pub use fault::{WalFault, WalFaultKind};
pub use fetch::{Archive, Fetched, Open, Source};
pub use local::{OwedFiles, Waiting, usual_data_directory, waiting};
pub use marker::Markers;
pub use pass::Pass;
pub use prefetch::{prefetch, server};
pub use push::{Pushed, push};
pub use settings::{Destination, Place, Settings, destinations_digest};
pub use spare::spare_tablespaces;
pub use spool::Spool;
pub use take::Trust;
