//! Who can open what is encrypted with OpenPGP: the policy has fingerprints, and the keys lie in a file or in a keyring.

use std::path::Path;

use super::{HostKeys, Site, SiteFault};
use crate::format::seal::{Certificates, KeyError, PgpRecipient, Recipients};
use crate::policy::file::OpenPgp;
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
}

fn certificates(pgp: &OpenPgp) -> Result<Certificates, SiteFault> {
    let bytes = match &pgp.keys {
        Some(file) => files::read(Path::new(file), KEYS_LIMIT)
            .map_err(|fault| SiteFault::new(format!("encryption.openpgp.keys: {}", fault.message), fault.hint))?,
        None => {
            let digits: Vec<String> = pgp.recipients.iter().map(|recipient| recipient.split_whitespace().collect()).collect();
            gpg::export(digits.iter().map(String::as_str))
                .map_err(|fault| SiteFault::new(format!("encryption.openpgp.recipients: {}", fault.message), fault.hint))?
        }
    };
    Ok(Certificates::parse(&bytes))
}

fn unusable(error: &KeyError, pgp: &OpenPgp) -> SiteFault {
    let hint = match (error, &pgp.keys) {
        (KeyError::NotAmong(_), Some(file)) => format!("Add it to `{file}`: `gpg --export --armor FINGERPRINT`."),
        (KeyError::NotAmong(_), None) => {
            "Import it into the keyring of the account that runs this (`gpg --import`), or name a file with the keys: `encryption.openpgp.keys`."
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
        certificates.recipient(fingerprint, now).map_err(|error| SiteFault::new(format!("this host's own key: {error}"), ""))
    }
}
