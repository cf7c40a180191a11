use std::sync::atomic::{AtomicBool, Ordering};

use age::secrecy::{ExposeSecret, SecretString};
use pgp::composed::{Deserializable, EncryptionCaps, KeyType, PlainSessionKey, PublicOrSecret, RawSessionKey};
use pgp::composed::{SecretKeyParamsBuilder, SignedPublicKey, SignedPublicSubKey, SignedSecretKey, SubkeyParamsBuilder};
use pgp::crypto::{ecc_curve::ECCCurve, public_key::PublicKeyAlgorithm, sym::SymmetricKeyAlgorithm};
use pgp::packet::{PublicKey, PublicKeyEncryptedSessionKey, PublicSubkey, SecretKey, SecretSubkey, Signature, SignatureType};
use pgp::types::{DecryptionKey, EskType, KeyDetails, Password, S2kParams, SecretParams, StringToKey, Tag, Timestamp};
use rand_core::OsRng;
use zeroize::Zeroizing;

use super::super::{KeyError, SealError};
use crate::units::Instant;

const ARMORED: &str = "-----BEGIN PGP ";

/// Each armoured block of a text by itself, or binary keys as they are.
fn blocks(bytes: &[u8]) -> Vec<&[u8]> {
    let begins: Vec<usize> = memchr::memmem::find_iter(bytes, ARMORED).collect();
    match begins.as_slice() {
        [] => vec![bytes],
        begins => begins.iter().zip(begins[1..].iter().chain([&bytes.len()])).map(|(from, to)| &bytes[*from..*to]).collect(),
    }
}

/// Public keys as `gpg --export` writes them, of whomever they are.
#[derive(Debug, Default)]
pub struct Certificates(pub(super) Vec<SignedPublicKey>);

impl Certificates {
    /// Keys that cannot be read are none of those that could be meant.
    pub fn parse(bytes: &[u8]) -> Certificates {
        let mut keys = Vec::new();
        for block in blocks(bytes) {
            if let Ok((found, _)) = SignedPublicKey::from_reader_many_buf(block) {
                keys.extend(found.filter_map(Result::ok));
            }
        }
        Certificates(keys)
    }

    /// What is encrypted to today for the key with this fingerprint: as with `gpg`, its newest subkey that may encrypt.
    pub fn recipient(&self, fingerprint: &str, now: Instant) -> Result<PgpRecipient, KeyError> {
        let digits = hex_digits(fingerprint);
        let is_it = |key: &&SignedPublicKey| format!("{:X}", key.primary_key.fingerprint()) == digits;
        let mut all = self.0.iter().filter(is_it);
        let certificate = all.next().ok_or_else(|| KeyError::NotAmong(digits.clone()))?;
        // An older export knows neither a new subkey nor that the key was revoked.
        if all.any(|other| other != certificate) {
            let why = "it is there more than once, and not the same: leave its newest export alone".to_owned();
            return Err(KeyError::Unusable { key: digits, why });
        }
        let recipient = Standing { certificate, now: u32::try_from(now.as_second()).unwrap_or(u32::MAX) };
        let key = recipient.choose().map_err(|why| KeyError::Unusable { key: digits.clone(), why })?;
        let recipient = PgpRecipient { fingerprint: digits, key };
        // Whatever else may be wrong with a key is better known now than in the middle of a night.
        match recipient.wrap(&Zeroizing::new([0; 32])) {
            Ok(_) => Ok(recipient),
            Err(error) => Err(KeyError::Unusable { key: recipient.fingerprint, why: error.to_string() }),
        }
    }
}

/// A fingerprint as it is known everywhere: without spaces, in capitals.
fn hex_digits(fingerprint: &str) -> String {
    fingerprint.split_whitespace().collect::<String>().to_uppercase()
}

/// A public key, and what it says of itself at a moment.
struct Standing<'k> {
    certificate: &'k SignedPublicKey,
    now: u32,
}

impl Standing<'_> {
    fn choose(&self) -> Result<Encrypting, String> {
        let primary = &self.certificate.primary_key;
        let revoked = |signature: &&Signature| signature.verify_key(primary).is_ok();
        if self.certificate.details.revocation_signatures.iter().any(|signature| revoked(&signature)) {
            return Err("it was revoked".into());
        }
        let own = self.newest_of_itself().ok_or("it has no signature of its own that is valid")?;
        self.must_be_in_time(primary, own)?;
        let mut subkeys: Vec<&SignedPublicSubKey> = self.certificate.public_subkeys.iter().collect();
        subkeys.sort_by_key(|subkey| std::cmp::Reverse(subkey.key.created_at().as_secs()));
        let mut why = None;
        for subkey in subkeys {
            match self.may_encrypt(subkey) {
                Ok(true) => return Ok(Encrypting::Subkey(Box::new(subkey.key.clone()))),
                Ok(false) => {}
                Err(problem) => why = why.or(Some(problem)),
            }
        }
        let flags = own.key_flags();
        if (flags.encrypt_storage() || flags.encrypt_comms()) && can_encrypt(primary.algorithm()) {
            return Ok(Encrypting::Primary(Box::new(primary.clone())));
        }
        Err(why.unwrap_or_else(|| "none of its keys is for encryption".into()))
    }

    /// The newest signature with which the key speaks of itself.
    fn newest_of_itself(&self) -> Option<&Signature> {
        let (primary, details) = (&self.certificate.primary_key, &self.certificate.details);
        let direct = details.direct_signatures.iter().filter(|signature| signature.verify_key(primary).is_ok());
        let of_users = details.users.iter().flat_map(|user| user.signatures.iter().map(move |signature| (user, signature)));
        let of_users = of_users.filter(|(user, signature)| {
            signature.typ() != Some(SignatureType::CertRevocation) && signature.verify_certification(primary, Tag::UserId, &user.id).is_ok()
        });
        self.newest(direct.chain(of_users.map(|(_, signature)| signature)))
    }

    fn newest<'s>(&self, signatures: impl Iterator<Item = &'s Signature>) -> Option<&'s Signature> {
        let made = |signature: &&Signature| signature.created().map_or(0, Timestamp::as_secs);
        // An hour for clocks that do not agree.
        signatures.filter(|signature| made(signature) <= self.now.saturating_add(3600)).max_by_key(made)
    }

    /// Whether a subkey is for encryption; an error where it was, and is not any more.
    fn may_encrypt(&self, subkey: &SignedPublicSubKey) -> Result<bool, String> {
        let primary = &self.certificate.primary_key;
        let valid: Vec<&Signature> =
            subkey.signatures.iter().filter(|signature| signature.verify_subkey_binding(primary, &subkey.key).is_ok()).collect();
        let (revoking, binding): (Vec<&Signature>, Vec<&Signature>) =
            valid.into_iter().partition(|signature| signature.typ() == Some(SignatureType::SubkeyRevocation));
        let Some(binding) = self.newest(binding.into_iter()) else { return Ok(false) };
        let flags = binding.key_flags();
        if !(flags.encrypt_storage() || flags.encrypt_comms()) || !can_encrypt(subkey.key.algorithm()) {
            return Ok(false);
        }
        if !revoking.is_empty() {
            return Err("its subkey for encryption was revoked".into());
        }
        self.must_be_in_time(&subkey.key, binding).map_err(|why| format!("its subkey for encryption cannot be used: {why}"))?;
        Ok(true)
    }

    fn must_be_in_time(&self, key: &impl KeyDetails, signature: &Signature) -> Result<(), String> {
        let lasts = signature.key_expiration_time().map(|lasts| lasts.as_secs()).filter(|lasts| *lasts > 0);
        let Some(ends) = lasts.map(|lasts| u64::from(key.created_at().as_secs()) + u64::from(lasts)) else { return Ok(()) };
        if ends > u64::from(self.now) {
            return Ok(());
        }
        let day = i64::try_from(ends).ok().and_then(|ends| Instant::from_second(ends).ok());
        Err(format!("it expired on {}", day.map_or_else(String::new, |day| day.strftime("%Y-%m-%d").to_string())))
    }
}

fn can_encrypt(algorithm: PublicKeyAlgorithm) -> bool {
    use PublicKeyAlgorithm::{ECDH, RSA, RSAEncrypt, X448, X25519};
    matches!(algorithm, RSA | RSAEncrypt | ECDH | X25519 | X448)
}

#[derive(Debug)]
enum Encrypting {
    Primary(Box<PublicKey>),
    Subkey(Box<PublicSubkey>),
}

/// A public key that objects are encrypted to.
#[derive(Debug)]
pub struct PgpRecipient {
    fingerprint: String,
    key: Encrypting,
}

impl PgpRecipient {
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
    keys: Vec<Decrypting>,
    used: AtomicBool,
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
        for block in blocks(bytes) {
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
        let (mut keys, mut elsewhere) = (Vec::new(), false);
        let mut primary = key.primary_key;
        if can_encrypt(primary.algorithm()) {
            match Protection::of(primary.secret_params()) {
                Protection::Elsewhere => elsewhere = true,
                protection => {
                    protection.lift(passphrase, &mut |password| primary.remove_password(password))?;
                    keys.push(Decrypting::Primary(Box::new(primary)));
                }
            }
        }
        for subkey in key.secret_subkeys.into_iter().filter(|subkey| can_encrypt(subkey.key.algorithm())) {
            let mut subkey = subkey.key;
            match Protection::of(subkey.secret_params()) {
                Protection::Elsewhere => elsewhere = true,
                protection => {
                    protection.lift(passphrase, &mut |password| subkey.remove_password(password))?;
                    keys.push(Decrypting::Subkey(Box::new(subkey)));
                }
            }
        }
        match (keys.is_empty(), elsewhere) {
            (true, true) => Err(KeyError::Elsewhere(fingerprint)),
            (true, false) => Err(KeyError::Unusable { key: fingerprint, why: "none of its keys is for encryption".into() }),
            (false, _) => Ok(PgpIdentity { fingerprint, keys, used: AtomicBool::new(false) }),
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

    pub fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    /// The session key, if one of the packets is for this key.
    pub(in crate::format::seal) fn unwrap(
        &self,
        packets: &[PublicKeyEncryptedSessionKey],
    ) -> Option<Result<Zeroizing<[u8; 32]>, SealError>> {
        let session = packets.iter().find_map(|packet| self.keys.iter().find_map(|key| key.unwrap(packet)))?;
        if session.is_ok() {
            self.used.store(true, Ordering::Relaxed);
        }
        Some(session)
    }
}

impl Decrypting {
    fn unwrap(&self, packet: &PublicKeyEncryptedSessionKey) -> Option<Result<Zeroizing<[u8; 32]>, SealError>> {
        let (values, nothing) = (packet.values().ok()?, Password::empty());
        let session = match self {
            Decrypting::Primary(key) if packet.match_identity(key.as_ref()) => key.decrypt(&nothing, values, EskType::V3_4),
            Decrypting::Subkey(key) if packet.match_identity(key.as_ref()) => key.decrypt(&nothing, values, EskType::V3_4),
            _ => return None,
        };
        let wrong = |why: String| SealError::Identity(why);
        Some(match session {
            Ok(Ok(PlainSessionKey::V3_4 { sym_alg: SymmetricKeyAlgorithm::AES256, ref key })) => {
                key.as_ref().try_into().map(Zeroizing::new).map_err(|_| wrong("its session key is of another length".into()))
            }
            Ok(Ok(_)) => Err(wrong("it is not encrypted with AES-256".into())),
            Ok(Err(error)) | Err(error) => Err(wrong(error.to_string())),
        })
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
