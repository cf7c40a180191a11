//! What a drill expects of a copy, asked of real servers: whatever is wrong there is found, named, and keeps nothing else from being looked at.

mod canary;
mod checks;
mod queries;
pub(crate) mod recorded;
pub(crate) mod rig;
