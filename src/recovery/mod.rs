//! The way back: from an inventory and a target to the base backup, the increments and the write-ahead log that lead there, or
//! to exactly what is missing.
//!
//! The base is chosen here, never by the person in the incident, and the choice says why. A target that cannot be met is
//! [`Missing`]; there is no fallback to "latest", which would quietly be another moment than the one that was asked for.
//!
//! Recovery follows one timeline back through the forks it came from, as PostgreSQL does: the newest one unless another is
//! named. What an abandoned timeline wrote after the fork is reached only by naming it.

mod base;
mod coverage;
mod left;
mod missing;
mod path;
mod reach;
mod target;
#[cfg(test)]
mod tests;

pub use base::{BaseReason, Skipped, Why};
pub use left::{LeftBehind, left_behind};
pub use missing::Missing;
pub use path::{Path, WalStretch, find_path, rivals_in};
pub use reach::{Forward, Gap, Point, Reach, Until, Window, forward, reach_back};
pub use target::{Aim, Target};
