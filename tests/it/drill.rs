//! Restore drills: real servers, restored into throw-away ones, with what they must find planted.

mod as_root;
mod clocks;
mod damage;
mod elsewhere;
pub mod killed;
pub mod passing;
mod promotion;
pub mod rig;
mod taken_out;
mod together;
mod young;
