//! A standby from a backup, and how it becomes the primary: real servers that are killed, stopped and cut off.

mod failover;
mod following;
mod hypertables;
mod interrupted;
mod patroni;
mod refused;
pub mod rig;
mod switchover;
