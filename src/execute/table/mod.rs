//! One table back, out of a backup of everything.
//!
//! [`source`] and [`dump`] make a private server that holds the table as it was. [`landing`] takes it from there to where it is wanted: into
//! a schema beside the original, into a file, or into the original itself.

mod bring;
pub mod dump;
mod fault;
pub mod landing;
pub mod source;

pub use bring::{Server, Source, Wanted, choose, hook, land, note, note_failed};
pub(in crate::execute) use bring::{has, must_dump, neither};
pub use fault::{Broken, TableFault, Why};
