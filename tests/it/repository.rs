//! What lies in a store, looked at and proved from the store alone.

pub mod fixture;
mod keys;
mod look;
mod planted;
mod prove;
mod real;
