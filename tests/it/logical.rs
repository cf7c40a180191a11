//! Dumps: what is in them, what they refuse, and what they leave when they break off.

mod around;
mod back;
mod broken;
pub mod by_hand;
mod choice;
mod chosen;
pub mod drill;
mod halted;
mod kept;
mod kept_whole;
mod mapped;
pub mod meanwhile;
mod narrowed;
mod replaced;
pub mod rig;
mod sorts;
mod sparse;
mod tables;
mod types;
mod whole;
