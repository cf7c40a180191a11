//! The age format, version 1 (age-encryption.org/v1): written and read here, so that blocks can be encrypted where they lie,
//! any part of an object can be read alone, and an object's header can say what its body is. Keys are wrapped by the
//! `age` crate; `age -d` opens everything that is written here, and a test shows it.

mod header;
mod keys;
mod reader;
mod stream;
#[cfg(test)]
mod tests;
mod writer;

pub use header::{BadHeader, Header, LockedFor, MAX_HEADER, ssh_tag};
pub use keys::{Identities, KeyError, Recipients};
pub use reader::{Opened, Unsealer};
pub use stream::{CHUNK, SEALED_CHUNK, SealError};
pub use writer::Sealer;
