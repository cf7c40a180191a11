//! Seawall proves that a PostgreSQL/TimescaleDB database can be recovered, from a policy file that people review.
#![forbid(unsafe_code)]

pub mod alert;
pub mod catalog;
pub mod cli;
pub mod converge;
pub mod diff;
pub mod emit;
pub mod evidence;
pub mod execute;
pub mod format;
pub mod inventory;
pub mod message;
pub mod notify;
pub mod objectives;
pub mod observe;
pub mod pipeline;
pub mod plan;
pub mod policy;
pub mod postgres;
pub mod proof;
pub mod recovery;
pub mod report;
pub mod retention;
pub mod schedule;
pub mod site;
pub mod store;
pub mod timescale;
pub mod units;
pub mod verify;
pub mod wal;
pub mod world;
