//! Who wrote an object: signatures in OpenSSH's own form, which `ssh-keygen -Y verify` checks without us.
//!
//! Encryption to public keys says nothing about the writer. Whoever can write to the bucket could plant a backup, and
//! restoring it would run his code; so the policy names the keys that are accepted, and all others are refused.

use ssh_key::{HashAlg, LineEnding, PrivateKey, PublicKey, SshSig};
use thiserror::Error;

/// The namespace of a descriptor's signature (`ssh-keygen -Y … -n seawall-backup`).
pub const BACKUP: &str = "seawall-backup";
/// The namespace of a stamp's signature on a file of the write-ahead log.
pub const WAL: &str = "seawall-wal";
/// The namespace of the signatures of an extent of archived rows, and of who read it back.
pub const ARCHIVE: &str = "seawall-archive";
/// The namespace of the signature of a restore drill's record.
pub const DRILL: &str = "seawall-drill";
/// The namespace of the signature in `repository.json`.
pub const REPOSITORY: &str = "seawall-repository";

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignatureError {
    #[error("the signing key cannot be read: {0}")]
    Key(String),
    #[error("it is not signed")]
    Missing,
    #[error("its signature cannot be read")]
    Unreadable,
    #[error("its signature does not belong to it: it was changed, or signed by {claimed} without the key")]
    Wrong { claimed: String },
    #[error("it was signed with the key {fingerprint}, which the policy does not accept")]
    NotAccepted { fingerprint: String },
}

/// The key with which this host signs.
pub struct SigningKey(PrivateKey);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.fingerprint())
    }
}

impl SigningKey {
    /// From OpenSSH's form of a private Ed25519 key.
    pub fn parse(pem: &str) -> Result<SigningKey, SignatureError> {
        let key = PrivateKey::from_openssh(pem).map_err(|error| SignatureError::Key(error.to_string()))?;
        match key.algorithm() {
            ssh_key::Algorithm::Ed25519 if !key.is_encrypted() => Ok(SigningKey(key)),
            ssh_key::Algorithm::Ed25519 => Err(SignatureError::Key("it is protected by a passphrase".into())),
            other => Err(SignatureError::Key(format!("it is a key for {other}, not ssh-ed25519"))),
        }
    }

    /// A new key; `comment` says whose it is.
    pub fn generate(comment: &str) -> Result<SigningKey, SignatureError> {
        let mut seed = zeroize::Zeroizing::new([0u8; 32]);
        getrandom::fill(seed.as_mut()).map_err(|error| SignatureError::Key(error.to_string()))?;
        let pair = ssh_key::private::Ed25519Keypair::from_seed(&seed);
        let mut key = PrivateKey::from(pair);
        key.set_comment(comment);
        Ok(SigningKey(key))
    }

    pub fn to_openssh(&self) -> Result<zeroize::Zeroizing<String>, SignatureError> {
        self.0.to_openssh(LineEnding::LF).map_err(|error| SignatureError::Key(error.to_string()))
    }

    /// The line for the policy's `encryption.writers`.
    pub fn public(&self) -> String {
        self.0.public_key().to_openssh().unwrap_or_default()
    }

    pub fn fingerprint(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }

    /// The signature in OpenSSH's armoured form, as it lies beside a descriptor.
    pub fn sign_armored(&self, namespace: &str, message: &[u8]) -> Result<String, SignatureError> {
        self.signature(namespace, message)?.to_pem(LineEnding::LF).map_err(|error| SignatureError::Key(error.to_string()))
    }

    /// The same as bytes, as it lies in a stamp.
    pub fn sign(&self, namespace: &str, message: &[u8]) -> Result<Vec<u8>, SignatureError> {
        use ssh_encoding::Encode as _;
        let mut bytes = Vec::new();
        self.signature(namespace, message)?.encode(&mut bytes).map_err(|error| SignatureError::Key(error.to_string()))?;
        Ok(bytes)
    }

    fn signature(&self, namespace: &str, message: &[u8]) -> Result<SshSig, SignatureError> {
        self.0.sign(namespace, HashAlg::Sha512, message).map_err(|error| SignatureError::Key(error.to_string()))
    }
}

/// Whose signatures are accepted, by the names that the policy gives them.
#[derive(Debug, Clone, Default)]
pub struct Writers(Vec<(String, PublicKey)>);

impl Writers {
    pub fn parse<'t>(writers: impl IntoIterator<Item = (&'t str, &'t str)>) -> Result<Writers, SignatureError> {
        let parse = |(name, key): (&str, &str)| {
            let key = PublicKey::from_openssh(key.trim()).map_err(|error| SignatureError::Key(format!("{name}: {error}")))?;
            Ok((name.to_owned(), key))
        };
        writers.into_iter().map(parse).collect::<Result<_, _>>().map(Writers)
    }

    /// The policy names nobody: then nothing can be refused, and whoever can write to the store can plant a backup.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn accepts(&self, key: &SigningKey) -> bool {
        self.0.iter().any(|(_, accepted)| accepted.key_data() == key.0.public_key().key_data())
    }

    /// Whose signature this is; refused when it is nobody's that the policy names.
    pub fn check_armored(&self, namespace: &str, message: &[u8], armored: &str) -> Result<&str, SignatureError> {
        let signature = SshSig::from_pem(armored).map_err(|_| SignatureError::Unreadable)?;
        self.check_signature(namespace, message, &signature)
    }

    pub fn check(&self, namespace: &str, message: &[u8], signature: &[u8]) -> Result<&str, SignatureError> {
        self.check_signature(namespace, message, &decoded(signature)?)
    }

    /// Whether the signature belongs to the message, whoever made it: what can be told where the policy names no writers. Gives
    /// the fingerprint of its key.
    pub fn check_whole_armored(namespace: &str, message: &[u8], armored: &str) -> Result<String, SignatureError> {
        let signature = SshSig::from_pem(armored).map_err(|_| SignatureError::Unreadable)?;
        whole(namespace, message, &signature)
    }

    /// The same for a signature as it lies in a stamp.
    pub fn check_whole(namespace: &str, message: &[u8], signature: &[u8]) -> Result<String, SignatureError> {
        whole(namespace, message, &decoded(signature)?)
    }

    fn check_signature(&self, namespace: &str, message: &[u8], signature: &SshSig) -> Result<&str, SignatureError> {
        let Some((name, key)) = self.0.iter().find(|(_, key)| key.key_data() == signature.public_key()) else {
            return Err(SignatureError::NotAccepted { fingerprint: signature.public_key().fingerprint(HashAlg::Sha256).to_string() });
        };
        key.verify(namespace, message, signature).map_err(|_| SignatureError::Wrong { claimed: name.clone() })?;
        Ok(name)
    }
}

/// The one spelling that is written; the decoder alone would read some others as the same.
fn decoded(bytes: &[u8]) -> Result<SshSig, SignatureError> {
    use ssh_encoding::{Decode as _, Encode as _};
    let signature = SshSig::decode(&mut &bytes[..]).map_err(|_| SignatureError::Unreadable)?;
    let mut again = Vec::with_capacity(bytes.len());
    match rebuilt(&signature).and_then(|signature| Ok(signature.encode(&mut again)?)) {
        Ok(()) if again == bytes => Ok(signature),
        _ => Err(SignatureError::Unreadable),
    }
}

/// What does not belong to what was signed (the version, for one) as it is always written.
fn rebuilt(signature: &SshSig) -> ssh_key::Result<SshSig> {
    SshSig::new(signature.public_key().clone(), signature.namespace(), signature.hash_alg(), signature.signature().clone())
}

fn whole(namespace: &str, message: &[u8], signature: &SshSig) -> Result<String, SignatureError> {
    let key = PublicKey::from(signature.public_key().clone());
    let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
    match key.verify(namespace, message, signature) {
        Ok(()) => Ok(fingerprint),
        Err(_) => Err(SignatureError::Wrong { claimed: fingerprint }),
    }
}

/// The public key that an armoured signature says it was made with, as the policy would name it. Whether that is true is another question.
pub fn claimed_key(armored: &str) -> Option<String> {
    let signature = SshSig::from_pem(armored).ok()?;
    PublicKey::from(signature.public_key().clone()).to_openssh().ok()
}

/// Whether an armoured signature is spelled exactly as it was written: what only a reader of armour would overlook is a flipped
/// bit all the same.
pub fn is_spelled_as_written(armored: &str) -> bool {
    SshSig::from_pem(armored).and_then(|signature| rebuilt(&signature)?.to_pem(LineEnding::LF)).is_ok_and(|again| again == armored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_writers_of_the_policy_are_accepted() {
        let ours = SigningKey::generate("db-1").expect("a key");
        let again = SigningKey::parse(&ours.to_openssh().expect("text")).expect("the same");
        let theirs = SigningKey::generate("mallory").expect("a key");
        let line = ours.public();
        let writers = Writers::parse([("db-1", line.as_str())]).expect("a key");
        assert!(writers.accepts(&again) && !writers.accepts(&theirs));
        let armored = again.sign_armored(BACKUP, b"descriptor").expect("signed");
        assert_eq!(writers.check_armored(BACKUP, b"descriptor", &armored), Ok("db-1"));
        let bytes = ours.sign(WAL, b"segment").expect("signed");
        assert_eq!(writers.check(WAL, b"segment", &bytes), Ok("db-1"));
        assert!(matches!(writers.check(WAL, b"other", &bytes), Err(SignatureError::Wrong { .. })));
        assert!(matches!(writers.check(BACKUP, b"segment", &bytes), Err(SignatureError::Wrong { .. })));
        let forged = theirs.sign(WAL, b"segment").expect("signed");
        assert!(matches!(writers.check(WAL, b"segment", &forged), Err(SignatureError::NotAccepted { .. })));
        assert_eq!(writers.check(WAL, b"segment", b"rubbish"), Err(SignatureError::Unreadable));
        assert!(!format!("{ours:?}").contains("PRIVATE"));
    }
}
