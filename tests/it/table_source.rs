//! One table out of a physical backup: a private server that has the catalogs, the table, and holes for everything else.

mod bytes;
mod damage;
mod ended;
mod families;
mod gone;
mod moments;
pub mod rig;
