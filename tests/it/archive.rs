//! Rows that move to a store: all of them, once, and back.

mod broken;
mod frozen;
mod let_go;
mod only_copy;
mod plain;
pub mod rig;
pub mod scene;
pub mod steps;
