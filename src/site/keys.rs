//! The keys on this host: its own two, made at first use, and the recovery identity where there is one.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use age::secrecy::ExposeSecret;

use super::{Site, SiteFault};
use crate::format::codec::{Codec, Envelope};
use crate::format::seal::{Certificates, Identities, KeyError, PgpIdentity, Recipients};
use crate::format::signature::{SigningKey, Writers};
use crate::pipeline::Lock;
use crate::policy::file::{Compression, Secret};
use crate::policy::model::Encryption;
use crate::units::Name;
use crate::world::secret::{SecretFault, SecretPlace, secret, secret_bytes};
use crate::world::{clock, files};

/// The host's own keys: one to sign with, one to read back what it must (indexes, manifests, private parts of descriptors).
#[derive(Debug)]
pub struct HostKeys {
    pub signing: SigningKey,
    pub metadata: Identities,
    /// The public half of `metadata`.
    pub recipient: String,
    /// The same of OpenPGP, with its fingerprint: once a policy has asked for it.
    pub(super) openpgp: Option<(Certificates, String)>,
}

const KEY_LIMIT: usize = 64 << 10;
/// What `metadata` is for age.
const OPENPGP: &str = "metadata.asc";

impl HostKeys {
    /// Where a host's own keys lie.
    pub fn directory(state: &Path) -> PathBuf {
        state.join("keys")
    }

    /// The keys of the host whose state lies there; made when they are missing. No policy is needed for it: it names them afterwards.
    pub fn of_host(state: &Path, host: &str) -> Result<HostKeys, SiteFault> {
        let directory = HostKeys::directory(state);
        let signing = directory.join("signing");
        if !signing.exists() {
            let key = SigningKey::generate(host).map_err(|error| SiteFault::new(error.to_string(), ""))?;
            let text = key.to_openssh().map_err(|error| SiteFault::new(error.to_string(), ""))?;
            write_new(&signing, text.as_bytes())?;
        }
        let metadata = directory.join("metadata");
        if !metadata.exists() {
            let key = age::x25519::Identity::generate();
            let text = zeroize::Zeroizing::new(format!("# public key: {}\n{}\n", key.to_public(), key.to_string().expose_secret()));
            write_new(&metadata, text.as_bytes())?;
        }
        let keys =
            HostKeys::existing(state)?.ok_or_else(|| SiteFault::new("the host's keys vanished while they were read", "Try again."))?;
        // For people; of the key that is there, which another process may have made at the same moment.
        let public = directory.join("signing.pub");
        if !public.exists() {
            let _ = write_new(&public, format!("{}\n", keys.signing.public()).as_bytes());
        }
        Ok(keys)
    }

    /// To whom what the host must read back is also encrypted: its key of age, and of OpenPGP the fingerprint where it has one.
    pub fn recipients(&self) -> Vec<&str> {
        let openpgp = self.openpgp.as_ref().map(|(_, fingerprint)| fingerprint.as_str());
        std::iter::once(self.recipient.as_str()).chain(openpgp).collect()
    }

    /// Has a key of OpenPGP made where there is none.
    fn make_openpgp(state: &Path, host: &str) -> Result<(), SiteFault> {
        let path = HostKeys::directory(state).join(OPENPGP);
        if path.exists() {
            return Ok(());
        }
        let text = PgpIdentity::generate(&format!("seawall on {host}"), clock::now()).map_err(|error| SiteFault::new(error, ""))?;
        write_new(&path, text.as_bytes())
    }

    /// The host's keys, if it has any: a machine that only restores needs none.
    pub fn existing(state: &Path) -> Result<Option<HostKeys>, SiteFault> {
        let directory = HostKeys::directory(state);
        let (signing, metadata) = (directory.join("signing"), directory.join("metadata"));
        if !signing.exists() || !metadata.exists() {
            return Ok(None);
        }
        let read = |path: &Path| {
            let bytes = files::read(path, KEY_LIMIT)
                .map_err(|fault| SiteFault::new(format!("the host's key `{}`: {}", path.display(), fault.message), fault.hint))?;
            Ok::<_, SiteFault>(zeroize::Zeroizing::new(bytes))
        };
        let bad = |path: &Path, why: String| {
            let hint = match path == signing {
                true => "Move it away to have a new one made; then put its public half into `encryption.writers`.",
                // A new one opens nothing that was written before.
                false => {
                    "Bring it back from a copy of the state directory: indexes and private parts that this host wrote can otherwise be read \
                          with a recovery identity only. Where no copy is, move it away, and a new one is made."
                }
            };
            SiteFault::new(format!("the host's key `{}` cannot be used: {why}", path.display()), hint)
        };
        let text = read(&signing)?;
        let key = std::str::from_utf8(&text)
            .map_err(|error| bad(&signing, error.to_string()))
            .and_then(|text| SigningKey::parse(text).map_err(|error| bad(&signing, error.to_string())))?;
        let mut identities = Identities::parse(&read(&metadata)?, None).map_err(|error| bad(&metadata, error.to_string()))?;
        let recipient = identities.public().pop().ok_or_else(|| bad(&metadata, "no identity is in it".into()))?;
        let path = directory.join(OPENPGP);
        let mut openpgp = None;
        if path.exists() {
            let text = read(&path)?;
            identities.merge(Identities::parse(&text, None).map_err(|error| bad(&path, error.to_string()))?);
            openpgp = PgpIdentity::certificate(&text);
        }
        Ok(Some(HostKeys { signing: key, metadata: identities, recipient, openpgp }))
    }
}

impl Site<'_> {
    /// The host's keys; made when they are missing.
    pub fn host_keys(&self) -> Result<HostKeys, SiteFault> {
        if matches!(self.policy.encryption, Some(Encryption::OpenPgp(_))) {
            HostKeys::make_openpgp(self.state(), self.host())?;
        }
        HostKeys::of_host(self.state(), self.host())
    }

    /// The host's keys, if it has any.
    pub fn existing_host_keys(&self) -> Result<Option<HostKeys>, SiteFault> {
        HostKeys::existing(self.state())
    }

    /// How what is encrypted ends in its name; no key is asked for.
    pub fn envelope(&self) -> Envelope {
        match &self.policy.encryption {
            Some(Encryption::Age(_)) => Envelope::Age,
            Some(Encryption::OpenPgp(_)) => Envelope::OpenPgp,
            Some(Encryption::None { .. }) | None => Envelope::None,
        }
    }

    /// Who may open the data.
    pub fn lock(&self) -> Result<Lock, SiteFault> {
        self.lock_for(None)
    }

    /// Who may open what this host must be able to read again.
    pub fn lock_for_host(&self, keys: &HostKeys) -> Result<Lock, SiteFault> {
        self.lock_for(Some(keys))
    }

    fn lock_for(&self, own: Option<&HostKeys>) -> Result<Lock, SiteFault> {
        match &self.policy.encryption {
            Some(Encryption::Age(age)) => {
                let lines = age.recipients.iter().map(String::as_str).chain(own.map(|keys| keys.recipient.as_str()));
                let recipients = Recipients::parse(lines).map_err(|error| {
                    SiteFault::new(format!("encryption.age.recipients: {error}"), "Copy it again from `age-keygen -y`.")
                })?;
                Ok(Lock::For(Arc::new(recipients)))
            }
            Some(Encryption::None { .. }) => Ok(Lock::Open),
            Some(Encryption::OpenPgp(pgp)) => Ok(Lock::For(Arc::new(self.openpgp_recipients(pgp, own)?))),
            None => Err(SiteFault::new("the policy does not say how backups are encrypted", "Add `encryption`.")),
        }
    }

    /// The recovery identity that the policy names, or the file given in its place.
    pub fn recovery_identities(&self, given: Option<&Path>) -> Result<Identities, SiteFault> {
        let encryption = self.policy.encryption.as_ref().filter(|encryption| encryption.is_sealed());
        let Some(encryption) = encryption else { return Ok(Identities::default()) };
        let place = match (given, encryption.identity()) {
            (Some(file), _) => SecretPlace::File(file.to_owned()),
            (None, Some(reference)) => place(reference),
            (None, None) => return Ok(Identities::default()),
        };
        let fault = |error: SecretFault| SiteFault::new(format!("the recovery identity: {error}"), "Give it with `--identity FILE`.");
        let text = zeroize::Zeroizing::new(secret_bytes(&place).map_err(fault)?);
        let passphrase = encryption.passphrase().map(|reference| secret(&self::place(reference))).transpose().map_err(fault)?;
        Identities::parse(&text, passphrase.as_ref()).map_err(|error| {
            let word = encryption.word();
            let hint = match error {
                KeyError::PassphraseMissing => {
                    format!("Name the passphrase in `encryption.{word}.passphrase`: `{{ file: … }}` or `{{ credential: … }}`.")
                }
                KeyError::PassphraseWrong => format!("`encryption.{word}.passphrase` says where it is read."),
                KeyError::PassphraseOfOne => "Put both under the same passphrase: `gpg --change-passphrase`, or `age -p -a` anew.".into(),
                KeyError::BesideBinary => "Encrypt it as text (`age -p -a`), and put the two texts one behind the other.".into(),
                KeyError::Elsewhere(_) => {
                    "What lies on a card stays there: decrypt by hand (`gpg -d`), or restore with the key of another recipient.".into()
                }
                _ => "It is what `age-keygen` or `gpg --export-secret-keys` writes, or an OpenSSH private key.".to_owned(),
            };
            SiteFault::new(format!("the recovery identity: {error}"), hint)
        })
    }

    /// All that this host can open objects with.
    pub fn identities(&self, given: Option<&Path>) -> Result<Identities, SiteFault> {
        let mut all = match self.recovery_identities(given) {
            // On the host that only writes, the policy may name an identity that lies elsewhere.
            Err(_) if given.is_none() => Identities::default(),
            other => other?,
        };
        if let Some(keys) = self.existing_host_keys()? {
            all.merge(keys.metadata);
        }
        Ok(all)
    }

    /// Whose signatures the policy accepts.
    pub fn writers(&self) -> Result<Writers, SiteFault> {
        let writers = self.policy.file.encryption.iter().flat_map(|encryption| &encryption.writers);
        Writers::parse(writers.map(|(name, key)| (name.as_str(), key.as_str())))
            .map_err(|error| SiteFault::new(format!("encryption.writers: {error}"), "Write the line of the host's `.pub` file."))
    }

    /// Whoever reads the policy elsewhere would refuse what a host signs that is not among the writers.
    pub fn must_be_writer(&self, keys: &HostKeys) -> Result<Writers, SiteFault> {
        let writers = self.writers()?;
        if writers.is_empty() || writers.accepts(&keys.signing) {
            return Ok(writers);
        }
        let own = format!("this host's key {} in `{}`", keys.signing.fingerprint(), HostKeys::directory(self.state()).display());
        let mut named = self.policy.file.encryption.iter().flat_map(|encryption| &encryption.writers);
        if named.any(|(name, _)| name.as_str() == self.host()) {
            let message = format!("{own} is not the one that the policy's `encryption.writers` has for `{}`", self.host());
            let hint = "Another state directory, or another user? `--state` (or STATE_DIRECTORY) names the one with the right key.";
            return Err(SiteFault::new(message, hint));
        }
        let message = format!("{own} is not among the policy's `encryption.writers`, so nobody would accept what it writes");
        Err(SiteFault::new(
            message,
            format!("If this host should write, add this line there: `{}: {}`.", self.host(), keys.signing.public()),
        ))
    }

    /// How a job's backups are compressed; without a job, everything else.
    pub fn codec(&self, job: Option<&Name>) -> Codec {
        let of_job = job.and_then(|job| self.policy.file.backups.get(job)).and_then(|backup| backup.compression.as_ref());
        match of_job.or(self.policy.file.compression.as_ref()) {
            Some(Compression { zstd: Some(zstd), .. }) => Codec::Zstd { level: zstd.level },
            Some(Compression { lz4: Some(_), .. }) => Codec::Lz4,
            Some(Compression { none: Some(_), .. }) => Codec::None,
            _ => Codec::DEFAULT,
        }
    }
}

/// A reference of the policy in the words of the driver.
pub fn place(reference: &Secret) -> SecretPlace {
    SecretPlace::of(reference.env.as_deref(), reference.credential.as_deref(), reference.file.as_deref())
}

/// A new file, 0600, in directories of 0700; one that is there already is left as it is. It gets its name when it is whole: half a key
/// would be in everybody's way for ever.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), SiteFault> {
    let write = || {
        if let Some(parent) = path.parent() {
            files::make_folders(parent)?;
        }
        let beside = path.with_extension(format!("part.{}", files::own_word()));
        let named = files::open_or_make(&beside, OpenOptions::new().write(true).truncate(true)).and_then(|mut file| {
            file.write_all(bytes).and_then(|()| file.sync_all())?;
            fs::hard_link(&beside, path)
        });
        let _ = fs::remove_file(&beside);
        match named {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            other => other?,
        }
        // What is encrypted to a key lies elsewhere, and is there after a power cut: so must its name be.
        path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
    };
    write().map_err(|error| {
        let hint = "Run as the user that owns the state directory, or name another one with `--state`.";
        SiteFault::new(format!("`{}` cannot be written: {error}", path.display()), hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fleet's first runs on a new host begin at the same time, in one process.
    #[test]
    fn those_who_make_the_hosts_keys_at_once_get_the_same_ones() {
        for _ in 0..20 {
            let state = tempfile::tempdir().expect("a folder");
            let keys: Vec<String> = std::thread::scope(|scope| {
                let make = || HostKeys::of_host(state.path(), "db-1").expect("keys").signing.public();
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
                threads.into_iter().map(|thread| thread.join().expect("it ends")).collect()
            });
            assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
            let left = fs::read_dir(HostKeys::directory(state.path())).expect("the folder").count();
            assert_eq!(left, 3, "nothing but the keys is left");
        }
    }
}
