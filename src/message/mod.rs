//! The words in which a notice is told: from templates, ours or the receiver's own.

mod check;
mod render;
mod sample;
mod view;

pub use check::check;
pub use render::{Message, write};
pub use sample::sample;
