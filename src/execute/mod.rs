//! Does the steps of a plan, one file for each kind.

pub mod release;
pub mod restore;
