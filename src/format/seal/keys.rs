use std::collections::HashSet;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};

use age::secrecy::SecretString;
use age_core::format::{FileKey, Stanza};
use thiserror::Error;

use super::SealError;

/// Why a key cannot be used. Never holds any of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyError {
    #[error("`{0}` is not a public key that objects can be encrypted to")]
    Recipient(String),
    #[error("the identity is protected by a passphrase, and none was given")]
    PassphraseMissing,
    #[error("the passphrase does not open the identity")]
    PassphraseWrong,
    #[error("no identity is in it")]
    NoIdentity,
    #[error("line {0} is not an identity")]
    NotAnIdentity(usize),
    #[error("this kind of SSH key cannot open anything; ssh-ed25519 and ssh-rsa can")]
    UnsupportedSshKey,
}

enum Recipient {
    X25519(age::x25519::Recipient),
    Ssh(age::ssh::Recipient),
}

/// The public keys that an object is encrypted to. Each of them alone opens it.
#[derive(Default)]
pub struct Recipients(Vec<Recipient>);

impl std::fmt::Debug for Recipients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Recipients({})", self.0.len())
    }
}

impl Recipients {
    /// From the lines of a policy: `age1…`, `ssh-ed25519 …`, `ssh-rsa …`.
    pub fn parse<'t>(lines: impl IntoIterator<Item = &'t str>) -> Result<Recipients, KeyError> {
        let parse = |line: &str| {
            let line = line.trim();
            let wrong = || KeyError::Recipient(line.chars().take(80).collect());
            if line.starts_with("ssh-") {
                line.parse().map(Recipient::Ssh).map_err(|_| wrong())
            } else {
                line.parse().map(Recipient::X25519).map_err(|_| wrong())
            }
        };
        lines.into_iter().map(parse).collect::<Result<_, _>>().map(Recipients)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn wrap(&self, file_key: &FileKey) -> Result<Vec<Stanza>, SealError> {
        use age::Recipient as _;
        let mut stanzas = Vec::new();
        for recipient in &self.0 {
            let wrapped: Result<(Vec<Stanza>, HashSet<String>), _> = match recipient {
                Recipient::X25519(key) => key.wrap_file_key(file_key),
                Recipient::Ssh(key) => key.wrap_file_key(file_key),
            };
            stanzas.extend(wrapped.map_err(|error| SealError::Recipient(error.to_string()))?.0);
        }
        if stanzas.is_empty() { Err(SealError::Recipient("there is none".into())) } else { Ok(stanzas) }
    }
}

enum Identity {
    X25519(age::x25519::Identity),
    Ssh(age::ssh::Identity),
}

/// The private keys that objects can be opened with.
#[derive(Default)]
pub struct Identities(Vec<Held>);

/// One of them, and whether it has opened something since it was read.
struct Held {
    key: Identity,
    used: AtomicBool,
}

impl From<Identity> for Held {
    fn from(key: Identity) -> Self {
        Held { key, used: AtomicBool::new(false) }
    }
}

impl std::fmt::Debug for Identities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identities({})", self.0.len())
    }
}

/// What an identity's file may cost to open: 2^18 is age's default, and two steps more take a minute.
const MAX_WORK_FACTOR: u8 = 20;
/// A file of identities is some hundred bytes.
const MAX_FILE: u64 = 1 << 20;

impl Identities {
    /// From a file's text: age identities line by line (as `age-keygen` writes them), an OpenSSH private key, or either of them
    /// under a passphrase (`age -p`).
    pub fn parse(text: &[u8], passphrase: Option<&SecretString>) -> Result<Identities, KeyError> {
        let armored = text.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----");
        if armored || text.starts_with(b"age-encryption.org/v1") {
            let plain = open_with_passphrase(text, passphrase)?;
            return Identities::parse_plain(&plain, passphrase);
        }
        Identities::parse_plain(text, passphrase)
    }

    fn parse_plain(text: &[u8], passphrase: Option<&SecretString>) -> Result<Identities, KeyError> {
        if text.windows(11).any(|window| window == b"PRIVATE KEY") {
            return ssh_identity(text, passphrase).map(|key| Identities(vec![Identity::Ssh(key).into()]));
        }
        let text = std::str::from_utf8(text).map_err(|_| KeyError::NoIdentity)?;
        let mut identities = Vec::new();
        for (number, line) in text.lines().map(str::trim).enumerate() {
            if !line.is_empty() && !line.starts_with('#') {
                identities.push(Identity::X25519(line.parse().map_err(|_| KeyError::NotAnIdentity(number + 1))?).into());
            }
        }
        if identities.is_empty() { Err(KeyError::NoIdentity) } else { Ok(Identities(identities)) }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All the identities of several files.
    pub fn merge(&mut self, other: Identities) {
        self.0.extend(other.0);
    }

    /// The public keys of those that age itself made; those of SSH have theirs beside them.
    pub fn public(&self) -> Vec<String> {
        let public = |held: &Held| match &held.key {
            Identity::X25519(key) => Some(key.to_public().to_string()),
            Identity::Ssh(_) => None,
        };
        self.0.iter().filter_map(public).collect()
    }

    /// The public keys of those that have opened something since they were read: who they belong to can still use them.
    pub fn used(&self) -> Vec<String> {
        let public = |held: &Held| match &held.key {
            Identity::X25519(key) => Some(key.to_public().to_string()),
            Identity::Ssh(key) => age::ssh::Recipient::try_from(key.clone()).ok().map(|recipient| recipient.to_string()),
        };
        self.0.iter().filter(|held| held.used.load(Ordering::Relaxed)).filter_map(public).collect()
    }

    pub(super) fn unwrap(&self, stanzas: &[Stanza]) -> Result<FileKey, SealError> {
        use age::Identity as _;
        for held in &self.0 {
            let unwrapped = match &held.key {
                Identity::X25519(key) => key.unwrap_stanzas(stanzas),
                Identity::Ssh(key) => key.unwrap_stanzas(stanzas),
            };
            if let Some(result) = unwrapped {
                let file_key = result.map_err(|error| SealError::Identity(error.to_string()))?;
                held.used.store(true, Ordering::Relaxed);
                return Ok(file_key);
            }
        }
        Err(SealError::NoKey)
    }
}

fn open_with_passphrase(text: &[u8], passphrase: Option<&SecretString>) -> Result<zeroize::Zeroizing<Vec<u8>>, KeyError> {
    let mut identity = age::scrypt::Identity::new(passphrase.ok_or(KeyError::PassphraseMissing)?.clone());
    identity.set_max_work_factor(MAX_WORK_FACTOR);
    let decryptor = age::Decryptor::new(age::armor::ArmoredReader::new(text)).map_err(|_| KeyError::NoIdentity)?;
    let reader = decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity)).map_err(|_| KeyError::PassphraseWrong)?;
    let mut plain = zeroize::Zeroizing::new(Vec::new());
    reader.take(MAX_FILE).read_to_end(&mut plain).map_err(|_| KeyError::PassphraseWrong)?;
    Ok(plain)
}

fn ssh_identity(text: &[u8], passphrase: Option<&SecretString>) -> Result<age::ssh::Identity, KeyError> {
    match age::ssh::Identity::from_buffer(text, None).map_err(|_| KeyError::NoIdentity)? {
        age::ssh::Identity::Encrypted(key) => {
            let passphrase = passphrase.ok_or(KeyError::PassphraseMissing)?.clone();
            key.decrypt(passphrase).map(age::ssh::Identity::Unencrypted).map_err(|_| KeyError::PassphraseWrong)
        }
        age::ssh::Identity::Unsupported(_) => Err(KeyError::UnsupportedSshKey),
        plain => Ok(plain),
    }
}
