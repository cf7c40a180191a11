//! Storage classes by tier: what moves on real servers, what stays, and how it comes back.

mod azure;
mod moved;
mod rig;
mod thawed;
