//! Does what a plan says, one file for each kind of action. Makes no choice of its own.

pub mod backup;
pub mod expire;
pub mod hook;
pub mod release;
pub mod restore;
pub mod run;
pub mod watch;
pub mod witness;
