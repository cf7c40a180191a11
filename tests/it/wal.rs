//! `seawall wal`: what PostgreSQL is told, and what lies in the stores then.

mod ahead;
pub mod archiving;
mod damage;
mod kills;
mod large;
mod recovering;
pub mod room;
mod same_name;
mod status;
mod stores;
