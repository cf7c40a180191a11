//! Who can open what is encrypted with OpenPGP: the policy has fingerprints, and the keys lie in a file or in a keyring.

use std::collections::BTreeMap;
use std::path::Path;

use super::{HostKeys, Site, SiteFault};
use crate::format::seal::{Certificates, KeyError, KeyStanding, PgpRecipient, Recipients};
use crate::policy::file::OpenPgp;
use crate::policy::model::Encryption;
use crate::units::Instant;
use crate::world::{clock, files, gpg};

/// Some thousand keys.
const KEYS_LIMIT: usize = 16 << 20;

impl Site<'_> {
    /// The policy's recipients, and this host's own key where it must read again what it writes.
    pub(super) fn openpgp_recipients(&self, pgp: &OpenPgp, own: Option<&HostKeys>) -> Result<Recipients, SiteFault> {
        let now = clock::now();
        let known = certificates(pgp)?;
        let recipient = |fingerprint: &String| known.recipient(fingerprint, now).map_err(|error| unusable(&error, pgp));
        let mut all = pgp.recipients.iter().map(recipient).collect::<Result<Vec<PgpRecipient>, SiteFault>>()?;
        if let Some(keys) = own {
            all.push(keys.openpgp_recipient(now)?);
        }
        Ok(Recipients::openpgp(all))
    }

    /// How each recipient's key of OpenPGP stands, as it is written in the policy; none where the policy has no such. What is wrong with one is
    /// no reason not to look at the others.
    pub fn openpgp_standing(&self, now: Instant) -> Result<BTreeMap<&str, Result<KeyStanding, KeyError>>, SiteFault> {
        let Some(Encryption::OpenPgp(pgp)) = &self.policy.encryption else { return Ok(BTreeMap::new()) };
        let known = certificates(pgp)?;
        Ok(pgp.recipients.iter().map(|recipient| (recipient.as_str(), known.standing(recipient, now))).collect())
    }
}

fn certificates(pgp: &OpenPgp) -> Result<Certificates, SiteFault> {
    let Some(file) = &pgp.keys else { return of_keyring(pgp) };
    let fault = |message: String, hint: String| SiteFault::new(format!("encryption.openpgp.keys: {message}"), hint);
    let bytes = files::read(Path::new(file), KEYS_LIMIT).map_err(|read| fault(read.message, read.hint))?;
    Certificates::parse_whole(&bytes).map_err(|error| {
        let hint = format!(
            "Export the keys anew (`gpg --export --armor FINGERPRINT… > {file}.new`), and put that in the place of `{file}` in one step (`mv`)."
        );
        fault(format!("in `{file}`, {error}"), hint)
    })
}

fn of_keyring(pgp: &OpenPgp) -> Result<Certificates, SiteFault> {
    let digits: Vec<String> = pgp.recipients.iter().map(|recipient| recipient.split_whitespace().collect()).collect();
    let bytes = gpg::export(digits.iter().map(String::as_str))
        .map_err(|fault| SiteFault::new(format!("encryption.openpgp.recipients: {}", fault.message), fault.hint))?;
    Ok(Certificates::parse(&bytes))
}

fn unusable(error: &KeyError, pgp: &OpenPgp) -> SiteFault {
    let hint = match (error, &pgp.keys) {
        (KeyError::NotAmong(_), Some(file)) => format!("Add it to `{file}`: `gpg --export --armor FINGERPRINT`."),
        (KeyError::NotAmong(_), None) => {
            "Import it into the keyring of the account that runs this (`gpg --import`), or name a file with the keys: `encryption.openpgp.keys`."
                .to_owned()
        }
        (KeyError::NotYet { .. }, _) => {
            "Look at this host's clock (`timedatectl`). Where it is right, that of the host was ahead on which the key was made: use another key, \
             or wait until then."
                .to_owned()
        }
        _ => "Whoever has the private key can prolong it (`gpg --quick-set-expire`) and export it anew; or name another key.".to_owned(),
    };
    SiteFault::new(format!("encryption.openpgp.recipients: {error}"), hint)
}

impl HostKeys {
    fn openpgp_recipient(&self, now: Instant) -> Result<PgpRecipient, SiteFault> {
        let missing = || SiteFault::new("this host has no key of OpenPGP to read back what it must", "Try again: the next run makes one.");
        let (certificates, fingerprint) = self.openpgp.as_ref().ok_or_else(missing)?;
        let recipient = certificates.recipient(fingerprint, now).or_else(|error| match error {
            // It was made here while the clock was ahead. Nobody else goes by it, and what it says of itself is its own word alone.
            KeyError::NotYet { made, .. } => certificates.recipient(fingerprint, made),
            error => Err(error),
        });
        recipient.map_err(|error| {
            let hint = "It lies in `keys/metadata.asc` of the state directory: bring it back from a copy. Where there is none, move it away, and a new \
                        one is made; what this host wrote before is then read with a recovery identity.";
            SiteFault::new(format!("this host's own key of OpenPGP: {error}"), hint)
        })
    }
}
