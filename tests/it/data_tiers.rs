//! `seawall restore --tier`: what is needed first is usable first, and nobody takes what has not come for empty.

mod broken_off;
mod drill;
mod meanwhile;
mod physical;
mod refused;
mod rig;
mod whole;
