//! The world as observed, as data: which backups and which WAL lie where, how large and how fast things are.
//!
//! An inventory is an argument of every decision and never changes under it. Its JSON is what `seawall plan --inventory`
//! reads. **Unknown is not empty**: what could not be observed is [`Observed::Unknown`] with the reason, and no decision
//! may treat that as "there is none".

mod backup;
mod chain;
mod check;
mod cluster;
mod drill;
mod held;
mod history;
mod hold;
mod kin;
mod lineage;
mod measured;
mod observed;
mod proven;
mod read;
mod running;
#[cfg(test)]
mod schema_test;
mod size;
mod timelines;
mod timescale;
mod unique;
mod wal;

pub use backup::{Backup, BackupKind, BackupState, OwnKeep, Scope};
pub use chain::{Broken, Chains};
pub use check::{Problem, ProblemKind};
pub use cluster::{ClusterInventory, Inventory, StoreInventory};
pub use drill::{
    CanaryProof, CommandEnd, DrillChoice, DrillFailure, DrillOutcome, DrillPhase, DrillReached, DrillRecord, DrilledTier, Expected, Phase,
    RehearsedPromotion, RehearsedStep, Restored, RestoredTable,
};
pub use held::{EmptyHold, Held, HoldEntry, HoldTable, NoRows};
pub use history::{History, Stretch, goes_on_beside};
pub use hold::{Hold, Selection};
pub use kin::{Kin, Touch};
pub use lineage::SystemIdentifier;
pub use measured::{HowMeasured, Measured, Measurement, RateOf};
pub use observed::Observed;
pub use proven::{DrillStanding, IdentityStanding, LastDrill, PointsSeen, Proven, TierStanding, WorstPoint};
pub use read::{FORMAT_VERSION, InventoryError, MAX_BYTES};
pub use running::{RoleState, ServerState, Setting};
pub use size::Size;
pub use timelines::{Leads, Line, Timelines};
pub use timescale::{
    Age, Aggregate, Chunk, ChunkRange, Compression, Dimension, DimensionKind, Hypertable, JobKind, LastJobRun, Licence, OrderBy, TableName,
    Timescale, TimescaleJob, TimescaleState, View,
};
pub use wal::{Fork, WalRange, gaps, settled};
