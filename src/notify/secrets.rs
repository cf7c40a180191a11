//! Secrets of receivers, read when they are needed: one that was renewed counts at once.

use secrecy::{ExposeSecret, SecretString};

use super::fault::SendFault;
use crate::policy::file::Secret;
use crate::world::secret::{SecretPlace, secret};

/// What the policy refers to at `path`, a path below this receiver's.
pub(super) fn read(reference: &Secret, path: &str) -> Result<SecretString, SendFault> {
    let place = SecretPlace::of(reference.env.as_deref(), reference.credential.as_deref(), reference.file.as_deref());
    let read = secret(&place).map_err(|fault| {
        SendFault::setup(format!("{path}: {fault}"), "A timer's unit has its own environment: `LoadCredential=` or a file reaches it.")
    })?;
    // An empty one would fail later, in words that help nobody.
    if read.expose_secret().trim().is_empty() {
        return Err(SendFault::setup(format!("{path}: the secret is empty"), "Look what is in its place."));
    }
    Ok(read)
}
