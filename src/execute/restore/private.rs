use std::io::Read;

use super::RestoreFault;
use crate::format::descriptor::{Descriptor, Private};
use crate::format::seal::{Identities, Unsealer};

const LIMIT: u64 = 64 << 20;

/// The part of a descriptor that only those may read who can read the data.
pub fn open_private(descriptor: &Descriptor, identities: &Identities) -> Result<Private, RestoreFault> {
    let text = descriptor.private.as_bytes();
    let json = if text.trim_ascii_start().starts_with(b"{") {
        text.to_vec()
    } else {
        opened(text, identities).map_err(|error| {
            let message = format!("backup {} cannot be opened: {error}", descriptor.id);
            RestoreFault::new(
                message,
                "Give the identity of one of its recipients with `--identity FILE`; old backups need old identities.",
            )
        })?
    };
    serde_json::from_slice(&json).map_err(|error| {
        RestoreFault::new(format!("backup {} says things of itself that cannot be read: {error}", descriptor.id), "Use another backup.")
    })
}

fn opened(armored: &[u8], identities: &Identities) -> std::io::Result<Vec<u8>> {
    let mut binary = Vec::new();
    age::armor::ArmoredReader::new(armored).take(LIMIT).read_to_end(&mut binary)?;
    let mut json = Vec::new();
    Unsealer::new(&binary[..], identities)?.take(LIMIT).read_to_end(&mut json)?;
    Ok(json)
}
