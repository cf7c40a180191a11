//! Two formats that people can open without us, written and read here, so that blocks can be encrypted where they lie, any part of
//! an object can be read alone, and an object's header can say what its body is: age, version 1 (age-encryption.org/v1), whose
//! keys are wrapped by the `age` crate, and [OpenPGP](openpgp). `age -d` or `gpg -d` opens everything that is written here, and tests
//! show it.

mod either;
mod header;
mod keys;
pub mod openpgp;
mod reader;
mod stream;
#[cfg(test)]
mod tests;
mod writer;

use either::LOOK;
pub use either::{Opened, Sealer, Unsealer, line};
pub use header::{BadHeader, Header, LockedFor, MAX_HEADER, ssh_tag};
pub use keys::{Identities, KeyError, Recipients, Used};
pub use openpgp::{Certificates, KeyStanding, PgpIdentity, PgpRecipient};
pub use stream::{CHUNK, SEALED_CHUNK, SealError};
