//! Recovery, from a real cluster's backup and log to a real server again.

mod archive_class;
mod broken_log;
mod delta;
mod kinds;
mod occupied;
mod quarantine;
mod refusals;
pub mod rig;
mod running;
mod targets;
pub mod timelines;
pub mod without_us;
