//! TimescaleDB, the real one.

mod aggregates;
mod apache;
mod archive;
mod by_hand;
mod converge;
mod dumps;
mod expect;
mod golden;
mod heedless;
mod held;
mod jobs;
mod killed;
mod observe;
pub mod place;
mod restore;
mod restoring;
mod rights;
mod steps;
mod table;
mod tiers;
