//! Jobs that run by themselves, on a real cluster: once, on record, and heard of.

mod due;
mod heard;
mod kills;
mod rig;
