//! Files beside a database: what is copied of them, what comes back, and what they refuse.

mod archived;
mod back;
mod broken;
mod by_hand;
mod drill;
mod increments;
mod record;
mod rig;
mod whole;
