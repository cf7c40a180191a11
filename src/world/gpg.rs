//! The keyring of whoever runs this, asked through `gpg`.

use std::io;
use std::process::{Command, Stdio};

use super::ReadFault;

/// The public keys with these fingerprints, as far as the keyring has them.
pub fn export<'f>(fingerprints: impl Iterator<Item = &'f str>) -> Result<Vec<u8>, ReadFault> {
    let output = Command::new("gpg")
        .args(["--batch", "--no-tty", "--quiet", "--export", "--"])
        .args(fingerprints)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| cannot_start(&error))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr).lines().map(str::trim).collect::<Vec<_>>().join("; ");
    Err(ReadFault::new(
        format!("gpg cannot read its keyring: {said}"),
        "Check that `gpg --list-keys` works for the account that runs this.",
    ))
}

fn cannot_start(error: &io::Error) -> ReadFault {
    match error.kind() {
        io::ErrorKind::NotFound => ReadFault::new("there is no `gpg` program here", "Install GnuPG, or name a file with the public keys."),
        _ => ReadFault::new(format!("gpg cannot be started: {error}"), "Check that `gpg --version` works here."),
    }
}
