use std::sync::atomic::{AtomicBool, Ordering};

use age::secrecy::{ExposeSecret, SecretString};
use pgp::composed::{Deserializable, EncryptionCaps, KeyType, PlainSessionKey, PublicOrSecret, RawSessionKey};
use pgp::composed::{SecretKeyParamsBuilder, SignedSecretKey, SubkeyParamsBuilder};
use pgp::crypto::{ecc_curve::ECCCurve, public_key::PublicKeyAlgorithm, sym::SymmetricKeyAlgorithm};
use pgp::packet::{PublicKey, PublicKeyEncryptedSessionKey, PublicSubkey, SecretKey, SecretSubkey};
use pgp::types::{DecryptionKey, EskType, KeyDetails, Password, PkeskBytes, S2kParams, SecretParams, StringToKey, Timestamp};
use rand_core::OsRng;
use zeroize::Zeroizing;

use super::super::{BadHeader, KeyError, SealError};
use super::Certificates;
use super::packet::Beginning;
use crate::units::Instant;

pub(super) const ARMORED: &str = "-----BEGIN PGP ";

/// Each armoured block of a text by itself, or binary keys as they are, and the line in which each begins.
pub(super) fn blocks(bytes: &[u8]) -> Vec<(usize, &[u8])> {
    let begins: Vec<usize> = memchr::memmem::find_iter(bytes, ARMORED).collect();
    let line = |at: usize| memchr::memchr_iter(b'\n', &bytes[..at]).count() + 1;
    match begins.as_slice() {
        [] => vec![(1, bytes)],
        begins => {
            let ends = begins[1..].iter().copied().chain([bytes.len()]);
            let armored = begins.iter().zip(ends).map(|(from, to)| (line(*from), &bytes[*from..to]));
            // Before them people write what they like, or stand keys as they are.
            let before = Some((1, &bytes[..begins[0]])).filter(|(_, before)| before.first().is_some_and(|first| first & 0x80 != 0));
            before.into_iter().chain(armored).collect()
        }
    }
}

pub(super) fn can_encrypt(algorithm: PublicKeyAlgorithm) -> bool {
    use PublicKeyAlgorithm::{ECDH, RSA, RSAEncrypt, X448, X25519};
    matches!(algorithm, RSA | RSAEncrypt | ECDH | X25519 | X448)
}

#[derive(Debug)]
pub(super) enum Encrypting {
    Primary(Box<PublicKey>),
    Subkey(Box<PublicSubkey>),
}

impl Encrypting {
    pub(super) fn fingerprint(&self) -> String {
        match self {
            Encrypting::Primary(key) => format!("{:X}", key.fingerprint()),
            Encrypting::Subkey(key) => format!("{:X}", key.fingerprint()),
        }
    }
}

/// A public key that objects are encrypted to.
#[derive(Debug)]
pub struct PgpRecipient {
    fingerprint: String,
    key: Encrypting,
}

impl PgpRecipient {
    pub(super) fn new(fingerprint: String, key: Encrypting) -> PgpRecipient {
        PgpRecipient { fingerprint, key }
    }

    /// By which the policy names it.
    pub(super) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The session key in a packet for this key.
    pub(super) fn wrap(&self, session: &Zeroizing<[u8; 32]>) -> Result<Vec<u8>, SealError> {
        let (session, cipher) = (RawSessionKey::from(&session[..]), SymmetricKeyAlgorithm::AES256);
        let packet = match &self.key {
            Encrypting::Primary(key) => PublicKeyEncryptedSessionKey::from_session_key_v3(OsRng, &session, cipher, key.as_ref()),
            Encrypting::Subkey(key) => PublicKeyEncryptedSessionKey::from_session_key_v3(OsRng, &session, cipher, key.as_ref()),
        };
        let written = packet.and_then(|packet| {
            let mut bytes = Vec::new();
            pgp::packet::PacketTrait::to_writer_with_header(&packet, &mut bytes)?;
            Ok(bytes)
        });
        written.map_err(|error| SealError::Recipient(format!("{}: {error}", self.fingerprint)))
    }
}

enum Decrypting {
    Primary(Box<SecretKey>),
    Subkey(Box<SecretSubkey>),
}

/// A private key: those of its parts that decrypt, without a passphrase any more.
pub struct PgpIdentity {
    fingerprint: String,
    parts: Vec<Part>,
}

/// One of them, and whether it has opened something since it was read.
struct Part {
    key: Decrypting,
    fingerprint: String,
    used: AtomicBool,
}

impl From<Decrypting> for Part {
    fn from(key: Decrypting) -> Self {
        let fingerprint = match &key {
            Decrypting::Primary(key) => key.fingerprint(),
            Decrypting::Subkey(key) => key.fingerprint(),
        };
        Part { fingerprint: format!("{fingerprint:X}"), key, used: AtomicBool::new(false) }
    }
}

impl std::fmt::Debug for PgpIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PgpIdentity({})", self.fingerprint)
    }
}

impl PgpIdentity {
    /// Whether a text, or bytes, are to be read as private keys of OpenPGP.
    pub fn are_in(bytes: &[u8]) -> bool {
        memchr::memmem::find(bytes, b"-----BEGIN PGP ").is_some() || bytes.first().is_some_and(|first| first & 0x80 != 0)
    }

    /// The keys of what `gpg --export-secret-keys` writes; armoured blocks may follow each other, and other lines stand before them.
    pub fn parse(bytes: &[u8], passphrase: Option<&SecretString>) -> Result<Vec<PgpIdentity>, KeyError> {
        let mut identities = Vec::new();
        for (_, block) in blocks(bytes) {
            let (keys, _) = PublicOrSecret::from_reader_many_buf(block).map_err(|_| KeyError::NoIdentity)?;
            for key in keys {
                match key.map_err(|_| KeyError::NoIdentity)? {
                    PublicOrSecret::Secret(key) => identities.push(PgpIdentity::of(key, passphrase)?),
                    PublicOrSecret::Public(_) => return Err(KeyError::OnlyPublic),
                }
            }
        }
        if identities.is_empty() { Err(KeyError::NoIdentity) } else { Ok(identities) }
    }

    fn of(key: SignedSecretKey, passphrase: Option<&SecretString>) -> Result<PgpIdentity, KeyError> {
        let fingerprint = format!("{:X}", key.primary_key.fingerprint());
        let (mut parts, mut elsewhere): (Vec<Part>, bool) = (Vec::new(), false);
        let mut primary = key.primary_key;
        if can_encrypt(primary.algorithm()) {
            match Protection::of(primary.secret_params()) {
                Protection::Elsewhere => elsewhere = true,
                protection => {
                    protection.lift(passphrase, &mut |password| primary.remove_password(password))?;
                    parts.push(Decrypting::Primary(Box::new(primary)).into());
                }
            }
        }
        for subkey in key.secret_subkeys.into_iter().filter(|subkey| can_encrypt(subkey.key.algorithm())) {
            let mut subkey = subkey.key;
            match Protection::of(subkey.secret_params()) {
                Protection::Elsewhere => elsewhere = true,
                protection => {
                    protection.lift(passphrase, &mut |password| subkey.remove_password(password))?;
                    parts.push(Decrypting::Subkey(Box::new(subkey)).into());
                }
            }
        }
        match (parts.is_empty(), elsewhere) {
            (true, true) => Err(KeyError::Elsewhere(fingerprint)),
            (true, false) => Err(KeyError::Unusable { key: fingerprint, why: "none of its keys is for encryption".into() }),
            (false, _) => Ok(PgpIdentity { fingerprint, parts }),
        }
    }

    /// A new one, to read back what a host must. Gives the text to be kept.
    pub fn generate(name: &str, now: Instant) -> Result<Zeroizing<String>, String> {
        let created = Timestamp::from_secs(u32::try_from(now.as_second()).unwrap_or(u32::MAX));
        let subkey = SubkeyParamsBuilder::default()
            .key_type(KeyType::ECDH(ECCCurve::Curve25519Legacy))
            .can_encrypt(EncryptionCaps::All)
            .created_at(created)
            .build()
            .map_err(|error| error.to_string())?;
        let key = SecretKeyParamsBuilder::default()
            .key_type(KeyType::Ed25519Legacy)
            .can_certify(true)
            .created_at(created)
            .primary_user_id(name.into())
            .subkey(subkey)
            .build()
            .map_err(|error| error.to_string())?
            .generate(OsRng)
            .map_err(|error| error.to_string())?;
        key.to_armored_string(None.into()).map(Zeroizing::new).map_err(|error| error.to_string())
    }

    /// The public half of a text that [`PgpIdentity::generate`] made.
    pub fn certificate(text: &[u8]) -> Option<(Certificates, String)> {
        let (key, _) = SignedSecretKey::from_armor_single_buf(text).ok()?;
        let fingerprint = format!("{:X}", key.primary_key.fingerprint());
        Some((Certificates(vec![key.to_public_key()]), fingerprint))
    }

    /// By which the policy names it.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The fingerprints of those of its parts that have opened something since it was read.
    pub fn used(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter(|part| part.used.load(Ordering::Relaxed)).map(|part| part.fingerprint.as_str())
    }
}

/// The session key of an object, if one of these identities opens one of its packets.
pub(super) fn session(identities: &[PgpIdentity], beginning: &Beginning) -> Result<Zeroizing<[u8; 32]>, SealError> {
    let parts = || identities.iter().flat_map(|identity| &identity.parts);
    let mut fault = None;
    for packet in &beginning.keys {
        for part in parts().filter(|part| part.key.is_named_by(packet)) {
            match part.key.unwrap(packet) {
                Ok(session) => {
                    part.used.store(true, Ordering::Relaxed);
                    return Ok(session);
                }
                Err(error) => fault = fault.or(Some(error)),
            }
        }
    }
    // Nobody's, by what the packets say: but a packet that another key opens than it names, or that says nothing, is not what was written.
    let is_renamed = || beginning.keys.iter().any(|packet| parts().any(|part| part.key.unwrap(packet).is_ok()));
    Err(match fault {
        Some(fault) => fault,
        None if beginning.is_damaged || beginning.keys.is_empty() || is_renamed() => CHANGED,
        None => SealError::NoKey,
    })
}

const CHANGED: SealError = SealError::Header(BadHeader::Damaged("the packet of one of its recipients is not what was written"));

impl Decrypting {
    fn is_named_by(&self, packet: &PublicKeyEncryptedSessionKey) -> bool {
        match self {
            Decrypting::Primary(key) => packet.match_identity(key.as_ref()),
            Decrypting::Subkey(key) => packet.match_identity(key.as_ref()),
        }
    }

    /// Whomever it names. What a packet holds is proven by the key's own method; one that this key does not open was changed, or is another's.
    fn unwrap(&self, packet: &PublicKeyEncryptedSessionKey) -> Result<Zeroizing<[u8; 32]>, SealError> {
        let values: &PkeskBytes = packet.values().map_err(|_| CHANGED)?;
        let nothing = Password::empty();
        let session = match self {
            Decrypting::Primary(key) => key.decrypt(&nothing, values, EskType::V3_4),
            Decrypting::Subkey(key) => key.decrypt(&nothing, values, EskType::V3_4),
        };
        let wrong = |why: &str| SealError::Identity(why.to_owned());
        match session {
            Ok(Ok(PlainSessionKey::V3_4 { sym_alg: SymmetricKeyAlgorithm::AES256, ref key })) => {
                key.as_ref().try_into().map(Zeroizing::new).map_err(|_| wrong("its session key is of another length"))
            }
            Ok(Ok(_)) => Err(wrong("it is not encrypted with AES-256")),
            Ok(Err(_)) | Err(_) => Err(CHANGED),
        }
    }
}

/// How a private key is kept.
enum Protection {
    None,
    Passphrase,
    /// On a card, or left out on purpose: the file has only a note of it.
    Elsewhere,
}

impl Protection {
    fn of(secret: &SecretParams) -> Protection {
        let SecretParams::Encrypted(secret) = secret else { return Protection::None };
        let how = match secret.string_to_key_params() {
            S2kParams::Cfb { s2k, .. } | S2kParams::MalleableCfb { s2k, .. } | S2kParams::Aead { s2k, .. } => Some(s2k),
            S2kParams::Unprotected | S2kParams::LegacyCfb { .. } => None,
        };
        if matches!(how, Some(StringToKey::Private { .. })) { Protection::Elsewhere } else { Protection::Passphrase }
    }

    fn lift(self, passphrase: Option<&SecretString>, remove: &mut dyn FnMut(&Password) -> pgp::errors::Result<()>) -> Result<(), KeyError> {
        if let Protection::Passphrase = self {
            let passphrase = passphrase.ok_or(KeyError::PassphraseMissing)?;
            remove(&Password::from(passphrase.expose_secret().as_bytes())).map_err(|_| KeyError::PassphraseWrong)?;
        }
        Ok(())
    }
}
