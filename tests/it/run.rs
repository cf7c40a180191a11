//! Jobs that run by themselves, on a real cluster: once, on record, and heard of.

mod clocks;
mod dead_stores;
mod due;
mod fleet;
mod heard;
mod hosts;
mod kills;
mod outputs;
mod pruned;
mod receivers;
mod reviewed;
pub(crate) mod rig;
mod silent;
mod together;
mod turns;
mod words;
