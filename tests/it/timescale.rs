//! TimescaleDB, the real one.

mod aggregates;
mod archive;
mod converge;
mod dumps;
mod expect;
mod golden;
mod held;
mod jobs;
mod killed;
mod observe;
pub mod place;
mod restore;
mod rights;
mod table;
