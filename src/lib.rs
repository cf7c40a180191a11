//! Seawall proves that a PostgreSQL/TimescaleDB database can be recovered, from a policy file that people review.
#![forbid(unsafe_code)]

pub mod cli;
pub mod diff;
pub mod inventory;
pub mod objectives;
pub mod plan;
pub mod policy;
pub mod postgres;
pub mod proof;
pub mod recovery;
pub mod retention;
pub mod schedule;
pub mod units;
pub mod world;
