//! What the policy lets go, deleted from real stores; and all that must not go.

mod cloud;
mod faults;
mod log;
mod meanwhile;
mod never;
mod phases;
mod played;
mod real;
mod reviewed;
pub mod rig;
mod speed;
