//! `seawall key generate`: a recovery identity.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use age::secrecy::{ExposeSecret, SecretString};
use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::exit::{Exit, Trouble};
use crate::cli::repository::Format;
use crate::cli::terminal::{print, tame};
use crate::cli::validate::json;
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
    /// How it is written.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
}

/// What `seawall key generate --format json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Result of seawall key generate")]
pub struct KeyGenerateOutput<'k> {
    /// Changes when a reader of this output would have to.
    #[schemars(range(min = 1, max = 1))]
    format_version: u32,
    /// For `encryption.age.recipients`.
    recipient: &'k str,
    /// Where its identity is now.
    file: String,
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
        if self.format == Format::Json {
            let file = self.made.out.to_string_lossy().into_owned();
            print(&json(&KeyGenerateOutput { format_version: 1, recipient: &public, file })?)?;
            return Ok(Exit::Done);
        }
        let file = tame(&self.made.out.to_string_lossy()).into_owned();
        print(&format!("The recovery identity is in `{file}`{}.\nIts public key: {public}\n\n", self.made.protected()))?;
        print(&format!("In the policy:\n\n{}", policy_lines(std::slice::from_ref(&public))))?;
        print(&self.made.identity_lines())?;
        print(
            "\nKeep the identity off the database host, in at least two places. `identity` says where it lies on the hosts that restore \
             and verify;\nwithout it, name the file there with `--identity FILE`. Prove soon that it opens something: `seawall verify --deep`.\n",
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

    /// The lines below `recipients` that say where the identity is found.
    fn identity_lines(&self) -> String {
        let file = |path: &Path| {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            // JSON's text is YAML's too, whatever the name has in it.
            let quoted = serde_json::Value::from(path.to_string_lossy()).to_string();
            format!("{{ file: {} }}", tame(&quoted))
        };
        let mut lines = format!("    identity: {}\n", file(&self.out));
        match (&self.passphrase_file, &self.passphrase_env) {
            (Some(path), _) => lines.push_str(&format!("    passphrase: {}\n", file(path))),
            (None, Some(name)) => lines.push_str(&format!("    passphrase: {{ env: {} }}\n", tame(name))),
            (None, None) => {}
        }
        lines
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
