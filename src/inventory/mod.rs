//! The world as observed, as data: which backups and which WAL lie where, how large and how fast things are.
//!
//! An inventory is an argument of every decision and never changes under it. Its JSON is what `seawall plan --inventory`
//! reads. **Unknown is not empty**: what could not be observed is [`Observed::Unknown`] with the reason, and no decision
//! may treat that as "there is none".

mod backup;
mod chain;
mod check;
mod cluster;
mod hold;
mod lineage;
mod measured;
mod observed;
mod read;
#[cfg(test)]
mod schema_test;
mod size;
mod unique;
mod wal;

pub use backup::{Backup, BackupKind, BackupState, OwnKeep};
pub use chain::{Broken, Chains};
pub use check::{Problem, ProblemKind};
pub use cluster::{ClusterInventory, Inventory, StoreInventory};
pub use hold::{Hold, Selection};
pub use lineage::SystemIdentifier;
pub use measured::{HowMeasured, Measured, Measurement};
pub use observed::Observed;
pub use read::{FORMAT_VERSION, InventoryError, MAX_BYTES};
pub use size::Size;
pub use wal::{Fork, WalRange, gaps, settled};
