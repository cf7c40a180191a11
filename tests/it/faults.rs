//! The world at its worst: stores that fail at any call, processes killed at any moment, clouds that turn away, full disks, clocks that jump.
//!
//! The same is asked after each of them. What looks complete is whole. What was acknowledged is there. A success was one, and a failure
//! says where. The same again, with the world in order, succeeds.

pub mod asleep;
pub mod chance;
pub mod clouds;
mod full;
pub mod hosts;
pub mod killing;
mod kills;
mod largest;
pub mod small;
pub mod sweep;
mod sweep_backup;
mod sweep_log;
mod sweep_reading;
mod sweep_tables;
