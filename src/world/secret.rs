//! Values that never show: from the environment, a file, or a systemd credential.

use std::path::{Path, PathBuf};

use secrecy::SecretString;
use thiserror::Error;

/// Where a secret is. Only this is ever printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretPlace {
    Env(String),
    File(PathBuf),
    Credential(String),
}

impl SecretPlace {
    /// As policies refer to it: by exactly one of the three.
    pub fn of(env: Option<&str>, credential: Option<&str>, file: Option<&str>) -> SecretPlace {
        match (env, credential) {
            (Some(name), _) => SecretPlace::Env(name.to_owned()),
            (None, Some(name)) => SecretPlace::Credential(name.to_owned()),
            (None, None) => SecretPlace::File(file.unwrap_or_default().into()),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SecretFault {
    #[error("the environment variable {0} is not set")]
    NotSet(String),
    #[error("the secret in {place} cannot be read: {why}")]
    Unreadable { place: String, why: String },
    #[error("the secret in {0} is not text")]
    NotText(String),
}

/// A secret is a line or a key, not a book.
const LIMIT: usize = 1 << 20;

/// What is there, without the line end that editors leave behind.
pub fn secret(place: &SecretPlace) -> Result<SecretString, SecretFault> {
    let bytes = zeroize::Zeroizing::new(secret_bytes(place)?);
    let text = std::str::from_utf8(&bytes).map_err(|_| SecretFault::NotText(shown(place)))?;
    Ok(SecretString::from(text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text))))
}

/// What is there, byte by byte. The caller wipes it.
pub fn secret_bytes(place: &SecretPlace) -> Result<Vec<u8>, SecretFault> {
    match place {
        SecretPlace::Env(name) => {
            std::env::var_os(name).map(std::ffi::OsString::into_encoded_bytes).ok_or_else(|| SecretFault::NotSet(name.clone()))
        }
        SecretPlace::File(path) => read(path, place),
        SecretPlace::Credential(name) => match std::env::var_os("CREDENTIALS_DIRECTORY") {
            Some(directory) => read(&Path::new(&directory).join(name), place),
            None => {
                let why = "CREDENTIALS_DIRECTORY is not set: this was not started by a systemd unit that loads it".into();
                Err(SecretFault::Unreadable { place: shown(place), why })
            }
        },
    }
}

fn read(path: &Path, place: &SecretPlace) -> Result<Vec<u8>, SecretFault> {
    super::files::read(path, LIMIT).map_err(|fault| SecretFault::Unreadable { place: shown(place), why: fault.message })
}

fn shown(place: &SecretPlace) -> String {
    match place {
        SecretPlace::Env(name) => format!("the environment variable {name}"),
        SecretPlace::File(path) => path.display().to_string(),
        SecretPlace::Credential(name) => format!("the credential {name}"),
    }
}
