//! Backups of real clusters, brought back with `age`, `zstd`, `tar` and PostgreSQL's own programs.

mod broken_off;
mod damage;
mod own_log;
pub mod rig;
mod under_load;
mod ways;
