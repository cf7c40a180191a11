//! TimescaleDB on a PostgreSQL server: what it has, and what it does by itself.
//!
//! A handful of questions for all tables together, never one for each chunk: a database may have a hundred thousand of them. Asked
//! are the views of `timescaledb_information`, and what those do not say, or too slowly for so many, of the catalog tables whose columns are the
//! same in all versions from 2.10 on. What differs there is asked of the catalog itself.

mod ask;
mod chunks;
mod jobs;
mod tables;
mod text;

pub use ask::{look, observe, schema};
