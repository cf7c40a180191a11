//! `seawall key generate`: a recovery identity.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use age::secrecy::{ExposeSecret, SecretString};
use clap::Args;

use crate::cli::exit::{Exit, Trouble};
use crate::cli::terminal::{print, tame};
use crate::format::seal::Identities;
use crate::world::files;
use crate::world::secret::{SecretPlace, secret};

/// Make a recovery identity: whoever has it can open the backups that are made for its public key.
///
/// Its file is age's own (`age -d -i FILE` reads it), is readable by its owner only, and never replaces another. Keep it off the
/// database host, and keep more than one copy: without it, nobody can open the backups.
#[derive(Debug, Args)]
#[command(
    name = "generate",
    after_help = "\
Examples:
  seawall key generate --out recovery.txt
  seawall key generate --out recovery.age --passphrase-file passphrase.txt"
)]
pub struct Generate {
    #[command(flatten)]
    pub made: Made,
}

/// Where a new identity goes.
#[derive(Debug, Args)]
pub struct Made {
    /// The new file.
    #[arg(long, value_name = "FILE", default_value = "recovery-identity.txt")]
    pub out: PathBuf,
    /// Protect the file with the passphrase in this one.
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase_env")]
    pub passphrase_file: Option<PathBuf>,
    /// Protect the file with the passphrase in this environment variable.
    #[arg(long, value_name = "VARIABLE")]
    pub passphrase_env: Option<String>,
}

impl Generate {
    pub fn run(&self) -> Result<Exit, Trouble> {
        let public = self.made.make()?;
        let file = tame(&self.made.out.to_string_lossy()).into_owned();
        print(&format!("The recovery identity is in `{file}`{}.\nIts public key: {public}\n\n", self.made.protected()))?;
        print(&format!("In the policy:\n\n{}", policy_lines(std::slice::from_ref(&public))))?;
        print(
            "\nKeep the file off the database host, in at least two places; whoever restores or verifies names it with \
             `--identity FILE`,\nor in `encryption.age.identity`. Prove soon that it opens something: `seawall verify --deep`.\n",
        )?;
        Ok(Exit::Done)
    }
}

impl Made {
    /// Makes the file, reads it back, and gives the public key.
    pub fn make(&self) -> Result<String, Trouble> {
        let passphrase = self.passphrase()?;
        let identity = age::x25519::Identity::generate();
        let public = identity.to_public().to_string();
        let plain = zeroize::Zeroizing::new(format!("# public key: {public}\n{}\n", identity.to_string().expose_secret()));
        let bytes = match &passphrase {
            Some(passphrase) => zeroize::Zeroizing::new(
                protected(plain.as_bytes(), passphrase)
                    .map_err(|error| Trouble::failed(format!("the identity cannot be protected: {error}"), ""))?,
            ),
            None => zeroize::Zeroizing::new(plain.as_bytes().to_vec()),
        };
        files::create(&self.out, &bytes)
            .map_err(|fault| Trouble::failed(format!("the identity cannot be saved: {}", fault.message), fault.hint))?;
        // A key that cannot be read back would be missed when it is needed most.
        if !opens(&self.out, passphrase.as_ref(), &public) {
            return Err(Trouble::failed("the identity's file does not hold what was written", "Is the disk in order? Make another one."));
        }
        Ok(public)
    }

    fn passphrase(&self) -> Result<Option<SecretString>, Trouble> {
        let place = match (&self.passphrase_file, &self.passphrase_env) {
            (Some(file), _) => SecretPlace::File(file.clone()),
            (None, Some(name)) => SecretPlace::Env(name.clone()),
            (None, None) => return Ok(None),
        };
        let passphrase = secret(&place).map_err(|fault| Trouble::failed(fault.to_string(), ""))?;
        if passphrase.expose_secret().is_empty() {
            return Err(Trouble::failed("the passphrase is empty", "Write it into the file, on one line."));
        }
        Ok(Some(passphrase))
    }

    pub fn protected(&self) -> &'static str {
        if self.passphrase_file.is_some() || self.passphrase_env.is_some() { ", under its passphrase" } else { "" }
    }
}

/// As `age -p` does it, in text form.
fn protected(plain: &[u8], passphrase: &SecretString) -> std::io::Result<Vec<u8>> {
    let armor = age::armor::ArmoredWriter::wrap_output(Vec::new(), age::armor::Format::AsciiArmor)?;
    let mut writer = age::Encryptor::with_user_passphrase(passphrase.clone()).wrap_output(armor)?;
    writer.write_all(plain)?;
    writer.finish()?.finish()
}

fn opens(path: &Path, passphrase: Option<&SecretString>, public: &str) -> bool {
    let Ok(bytes) = files::read(path, 1 << 20) else { return false };
    let bytes = zeroize::Zeroizing::new(bytes);
    Identities::parse(&bytes, passphrase).is_ok_and(|identities| identities.public() == [public])
}

/// The lines of a policy that name these recipients.
pub fn policy_lines(recipients: &[String]) -> String {
    let lines: String = recipients.iter().map(|recipient| format!("      - {recipient}\n")).collect();
    format!("encryption:\n  age:\n    recipients:\n{lines}")
}
