use std::collections::HashSet;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};

use age::secrecy::SecretString;
use age_core::format::{FileKey, Stanza};
use thiserror::Error;
use zeroize::Zeroizing;

use super::openpgp::{PgpIdentity, PgpRecipient, PgpSealer};
use super::writer::AgeSealer;
use super::{SealError, Sealer};
use crate::format::codec::Envelope;
use crate::units::Instant;

/// Why a key cannot be used. Never holds any of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyError {
    #[error("`{0}` is not a public key that objects can be encrypted to")]
    Recipient(String),
    #[error("the identity is protected by a passphrase, and none was given")]
    PassphraseMissing,
    #[error("the passphrase does not open the identity")]
    PassphraseWrong,
    #[error("the passphrase opens the identity of age in the file, and not the key of OpenPGP beside it")]
    PassphraseOfOne,
    #[error("no identity is in it")]
    NoIdentity,
    #[error("line {0} is not an identity")]
    NotAnIdentity(usize),
    #[error("this kind of SSH key cannot open anything; ssh-ed25519 and ssh-rsa can")]
    UnsupportedSshKey,
    #[error("no key with the fingerprint {0} is among the public keys")]
    NotAmong(String),
    #[error("the key {key} cannot be used: {why}")]
    Unusable { key: String, why: String },
    #[error("a public key of OpenPGP is in it, and a private one is needed")]
    OnlyPublic,
    #[error("the private key {0} is not in the file: it lies on a card, or was left out")]
    Elsewhere(String),
    #[error("the key {key} is not valid yet: it was made at {}, and this host's clock has not come there", .made.strftime("%Y-%m-%d %H:%M UTC"))]
    NotYet { key: String, made: Instant },
    #[error("{place} {why}")]
    Export { place: String, why: String },
    #[error("an identity of age under a passphrase stands there in its binary form, which nothing else can stand beside")]
    BesideBinary,
}

enum Recipient {
    X25519(age::x25519::Recipient),
    Ssh(age::ssh::Recipient),
}

/// The public keys that an object is encrypted to, all of one kind. Each of them alone opens it.
pub struct Recipients(Kind);

enum Kind {
    Age(Vec<Recipient>),
    OpenPgp(Vec<PgpRecipient>),
}

impl std::fmt::Debug for Recipients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Kind::Age(keys) => write!(f, "Recipients({} of age)", keys.len()),
            Kind::OpenPgp(keys) => write!(f, "Recipients({} of OpenPGP)", keys.len()),
        }
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
        lines.into_iter().map(parse).collect::<Result<_, _>>().map(|keys| Recipients(Kind::Age(keys)))
    }

    /// Keys of OpenPGP.
    pub fn openpgp(keys: Vec<PgpRecipient>) -> Recipients {
        Recipients(Kind::OpenPgp(keys))
    }

    /// How what is encrypted to them ends in its name.
    pub fn envelope(&self) -> Envelope {
        match &self.0 {
            Kind::Age(_) => Envelope::Age,
            Kind::OpenPgp(_) => Envelope::OpenPgp,
        }
    }

    pub(super) fn sealer(&self) -> Result<Sealer, SealError> {
        match &self.0 {
            Kind::Age(keys) => AgeSealer::new(&|file_key| wrap(keys, file_key)).map(|sealer| Sealer::Age(Box::new(sealer))),
            Kind::OpenPgp(keys) => PgpSealer::new(keys).map(|sealer| Sealer::OpenPgp(Box::new(sealer))),
        }
    }
}

fn wrap(recipients: &[Recipient], file_key: &FileKey) -> Result<Vec<Stanza>, SealError> {
    use age::Recipient as _;
    let mut stanzas = Vec::new();
    for recipient in recipients {
        let wrapped: Result<(Vec<Stanza>, HashSet<String>), _> = match recipient {
            Recipient::X25519(key) => key.wrap_file_key(file_key),
            Recipient::Ssh(key) => key.wrap_file_key(file_key),
        };
        stanzas.extend(wrapped.map_err(|error| SealError::Recipient(error.to_string()))?.0);
    }
    if stanzas.is_empty() { Err(SealError::Recipient("there is none".into())) } else { Ok(stanzas) }
}

enum Identity {
    X25519(age::x25519::Identity),
    Ssh(age::ssh::Identity),
}

/// The private keys that objects can be opened with, of either kind: a store may have objects of both.
#[derive(Default)]
pub struct Identities {
    age: Vec<Held>,
    openpgp: Vec<PgpIdentity>,
}

/// An identity that has opened something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// Its public key, as a policy has it.
    pub key: String,
    /// Of OpenPGP, the fingerprint of the part that did it: its subkeys are replaced one by one.
    pub part: Option<String>,
}

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
        write!(f, "Identities({} of age, {} of OpenPGP)", self.age.len(), self.openpgp.len())
    }
}

/// What an identity's file may cost to open: 2^18 is age's default, and two steps more take a minute.
const MAX_WORK_FACTOR: u8 = 20;
/// A file of identities is some hundred bytes.
const MAX_FILE: u64 = 1 << 20;

impl Identities {
    /// From a file's text: age identities line by line (as `age-keygen` writes them), an OpenSSH private key, or either of them
    /// under a passphrase (`age -p`, and `age -p -a` where something else stands there too); and private keys of OpenPGP.
    pub fn parse(text: &[u8], passphrase: Option<&SecretString>) -> Result<Identities, KeyError> {
        let has_openpgp = PgpIdentity::are_in(text);
        match memchr::memmem::find(text, BINARY) {
            Some(0) if !has_openpgp => return Identities::parse_plain(&open_with_passphrase(text, passphrase)?, passphrase),
            Some(_) if has_openpgp => return Err(KeyError::BesideBinary),
            _ => {}
        }
        let mut all = Identities::default();
        for block in locked_blocks(text) {
            all.merge(Identities::parse_plain(&open_with_passphrase(block, passphrase)?, passphrase)?);
        }
        if all.is_empty() && !has_openpgp {
            return Identities::parse_plain(text, passphrase);
        }
        if has_openpgp {
            let keys = PgpIdentity::parse(text, passphrase);
            all.openpgp = keys.map_err(|error| match error {
                KeyError::PassphraseWrong if !all.age.is_empty() => KeyError::PassphraseOfOne,
                error => error,
            })?;
        }
        match outside_of_armor(text) {
            lines if lines.is_empty() => {}
            lines => all.merge(Identities::parse_plain(lines.as_bytes(), passphrase)?),
        }
        Ok(all)
    }

    fn parse_plain(text: &[u8], passphrase: Option<&SecretString>) -> Result<Identities, KeyError> {
        if text.windows(11).any(|window| window == b"PRIVATE KEY") {
            let key = ssh_identity(text, passphrase)?;
            return Ok(Identities { age: vec![Identity::Ssh(key).into()], openpgp: Vec::new() });
        }
        let text = std::str::from_utf8(text).map_err(|_| KeyError::NoIdentity)?;
        let mut identities = Vec::new();
        for (number, line) in text.lines().map(str::trim).enumerate() {
            if !line.is_empty() && !line.starts_with('#') {
                identities.push(Identity::X25519(line.parse().map_err(|_| KeyError::NotAnIdentity(number + 1))?).into());
            }
        }
        if identities.is_empty() { Err(KeyError::NoIdentity) } else { Ok(Identities { age: identities, openpgp: Vec::new() }) }
    }

    pub fn is_empty(&self) -> bool {
        self.age.is_empty() && self.openpgp.is_empty()
    }

    /// All the identities of several files.
    pub fn merge(&mut self, other: Identities) {
        self.age.extend(other.age);
        self.openpgp.extend(other.openpgp);
    }

    /// The public keys of those that age itself made; those of SSH have theirs beside them.
    pub fn public(&self) -> Vec<String> {
        let public = |held: &Held| match &held.key {
            Identity::X25519(key) => Some(key.to_public().to_string()),
            Identity::Ssh(_) => None,
        };
        self.age.iter().filter_map(public).collect()
    }

    /// The fingerprints of those of OpenPGP.
    pub fn fingerprints(&self) -> impl Iterator<Item = &str> {
        self.openpgp.iter().map(PgpIdentity::fingerprint)
    }

    /// Those that have opened something since they were read: who they belong to can still use them.
    pub fn used(&self) -> Vec<Used> {
        let public = |held: &Held| match &held.key {
            Identity::X25519(key) => Some(key.to_public().to_string()),
            Identity::Ssh(key) => age::ssh::Recipient::try_from(key.clone()).ok().map(|recipient| recipient.to_string()),
        };
        let age = self.age.iter().filter(|held| held.used.load(Ordering::Relaxed)).filter_map(public);
        let age = age.map(|key| Used { key, part: None });
        let of_key = |key: &PgpIdentity, part: &str| Used { key: key.fingerprint().to_owned(), part: Some(part.to_owned()) };
        let openpgp = self.openpgp.iter().flat_map(|key| key.used().map(move |part| of_key(key, part)));
        age.chain(openpgp).collect()
    }

    pub(super) fn openpgp(&self) -> &[PgpIdentity] {
        &self.openpgp
    }

    pub(super) fn unwrap(&self, stanzas: &[Stanza]) -> Result<FileKey, SealError> {
        use age::Identity as _;
        for held in &self.age {
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

/// What age writes under a passphrase begins with, in its binary form and in its armour.
const BINARY: &[u8] = b"age-encryption.org/v1";
const LOCKED: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";
const LOCKED_END: &[u8] = b"-----END AGE ENCRYPTED FILE-----";

/// The armoured blocks of a text that age has put under a passphrase. One without an end goes to where the text ends, and cannot be read.
fn locked_blocks(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    memchr::memmem::find_iter(text, LOCKED).map(|from| {
        let end = memchr::memmem::find(&text[from..], LOCKED_END).map_or(text.len(), |end| from + end + LOCKED_END.len());
        &text[from..end]
    })
}

/// The lines of a text that are in no armoured block and no comment.
fn outside_of_armor(text: &[u8]) -> Zeroizing<String> {
    let (mut lines, mut inside) = (Zeroizing::new(String::new()), false);
    for line in std::str::from_utf8(text).unwrap_or_default().lines() {
        inside |= ["-----BEGIN PGP ", "-----BEGIN AGE "].iter().any(|begin| line.starts_with(begin));
        if !inside && !line.trim().is_empty() && !line.starts_with('#') {
            lines.push_str(line);
            lines.push('\n');
        }
        inside &= !["-----END PGP ", "-----END AGE "].iter().any(|end| line.starts_with(end));
    }
    lines
}

fn open_with_passphrase(text: &[u8], passphrase: Option<&SecretString>) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let mut identity = age::scrypt::Identity::new(passphrase.ok_or(KeyError::PassphraseMissing)?.clone());
    identity.set_max_work_factor(MAX_WORK_FACTOR);
    let decryptor = age::Decryptor::new(age::armor::ArmoredReader::new(text)).map_err(|_| KeyError::NoIdentity)?;
    let reader = decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity)).map_err(|_| KeyError::PassphraseWrong)?;
    let mut plain = Zeroizing::new(Vec::new());
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
