//! AWS's shared files: `~/.aws/credentials` and `~/.aws/config`, with their profiles.
//!
//! Read: keys, session token, `credential_process`, `region`, `endpoint_url`, `ca_bundle`. Not supported, and refused by
//! name: roles taken through another profile, and single sign-on.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{env, fmt, fs};

use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use serde::Deserialize;

use super::credentials::{NoCredentials, missing};

/// The files may be rewritten under a running process, by whatever renews session tokens.
const READ_AGAIN: Duration = Duration::from_secs(60);
const BEFORE_EXPIRY: Duration = Duration::from_secs(300);

type Section = BTreeMap<String, String>;

/// One profile, merged from both files; the credentials file wins.
#[derive(Clone, PartialEq, Eq, Default)]
pub(super) struct Profile {
    name: String,
    settings: Section,
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Profile {
    /// `None` when neither file knows it.
    pub(super) fn read(name: &str) -> Option<Profile> {
        let home = || env::var_os("HOME").map(PathBuf::from);
        let file = |variable: &str, usual: &str| {
            let path = env::var_os(variable).map(PathBuf::from).or_else(|| home().map(|home| home.join(".aws").join(usual)))?;
            fs::read_to_string(path).ok()
        };
        let config = file("AWS_CONFIG_FILE", "config").and_then(|text| section(&text, name, true));
        let credentials = file("AWS_SHARED_CREDENTIALS_FILE", "credentials").and_then(|text| section(&text, name, false));
        if config.is_none() && credentials.is_none() {
            return None;
        }
        let mut settings = config.unwrap_or_default();
        settings.extend(credentials.unwrap_or_default());
        Some(Profile { name: name.to_owned(), settings })
    }

    pub(super) fn get(&self, setting: &str) -> Option<&str> {
        self.settings.get(setting).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(super) fn has_credentials(&self) -> bool {
        ["aws_access_key_id", "credential_process", "role_arn", "sso_session", "sso_start_url"]
            .iter()
            .any(|known| self.get(known).is_some())
    }

    fn credential(&self) -> Result<(AwsCredential, Option<Duration>), NoCredentials> {
        if let Some(key) = self.get("aws_access_key_id") {
            let Some(secret) = self.get("aws_secret_access_key") else {
                return Err(NoCredentials::new(format!("profile `{}` has a key id without its secret", self.name)));
            };
            let token = self.get("aws_session_token").map(str::to_owned);
            return Ok((AwsCredential { key_id: key.to_owned(), secret_key: secret.to_owned(), token }, None));
        }
        match self.get("credential_process") {
            Some(command) => ask(command, &self.name),
            None => Err(NoCredentials::new(format!(
                "profile `{}` takes a role or signs on, which Seawall does not do: use `credential_process` (for instance `aws configure export-credentials --profile {} --format process`)",
                self.name, self.name
            ))),
        }
    }
}

/// The section of a profile. In the config file it is `[profile NAME]`, but for `[default]`.
fn section(text: &str, name: &str, config: bool) -> Option<Section> {
    let mut found: Option<Section> = None;
    let mut inside = false;
    for line in text.lines() {
        // An indented line continues the one above (settings of one service): nothing that is read here.
        if line.starts_with([' ', '\t']) || line.trim_start().starts_with(['#', ';']) {
            continue;
        }
        if let Some(title) = line.trim().strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            let title = title.trim();
            let called = if config && name != "default" { title.strip_prefix("profile").map(str::trim) } else { Some(title) };
            inside = called == Some(name);
            if inside {
                found.get_or_insert_default();
            }
        } else if inside
            && let Some((key, value)) = line.split_once('=')
            && let Some(found) = &mut found
        {
            let value = value.split(" #").next().unwrap_or_default();
            found.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    found
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Printed {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    expiration: Option<jiff::Timestamp>,
}

fn ask(command: &str, name: &str) -> Result<(AwsCredential, Option<Duration>), NoCredentials> {
    let failed = |why: String| NoCredentials::new(format!("the `credential_process` of profile `{name}` {why}"));
    let words = words(command);
    let (program, arguments) = words.split_first().ok_or_else(|| failed("is empty".to_owned()))?;
    let run = Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = run.map_err(|error| failed(format!("cannot be run: {error}")))?;
    if !output.status.success() {
        return Err(failed(format!("failed ({})", output.status)));
    }
    // What it printed is never shown: it may be the secret.
    let printed: Printed = serde_json::from_slice(&output.stdout).map_err(|_| failed("did not print credentials".to_owned()))?;
    let left = printed.expiration.map(|end| {
        let left = end.duration_since(jiff::Timestamp::now());
        Duration::try_from(left).unwrap_or_default().saturating_sub(BEFORE_EXPIRY)
    });
    let credential = AwsCredential { key_id: printed.access_key_id, secret_key: printed.secret_access_key, token: printed.session_token };
    Ok((credential, left))
}

/// Splits at spaces; double quotes hold words together.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut any) = (Vec::new(), String::new(), false, false);
    for c in command.chars() {
        match c {
            '"' => (quoted, any) = (!quoted, true),
            c if c.is_whitespace() && !quoted => {
                if any {
                    words.push(std::mem::take(&mut word));
                }
                any = false;
            }
            c => {
                word.push(c);
                any = true;
            }
        }
    }
    if any {
        words.push(word);
    }
    words
}

/// Hands out a profile's credentials, and reads them again when they may have changed.
pub(super) struct FromProfile {
    name: String,
    cached: Arc<Mutex<Option<Kept>>>,
}

struct Kept {
    credential: Arc<AwsCredential>,
    until: Instant,
}

impl FromProfile {
    pub(super) fn new(profile: &Profile) -> FromProfile {
        FromProfile { name: profile.name.clone(), cached: Arc::default() }
    }

    async fn credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let (name, cached) = (self.name.clone(), self.cached.clone());
        // Files and a program: not on the event loop's own threads.
        let read = tokio::task::spawn_blocking(move || {
            let mut cached = cached.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            if let Some(kept) = &*cached
                && Instant::now() < kept.until
            {
                return Ok(kept.credential.clone());
            }
            let profile = Profile::read(&name).ok_or_else(|| NoCredentials::new(format!("there is no profile `{name}` any more")))?;
            let (credential, left) = profile.credential()?;
            let credential = Arc::new(credential);
            *cached = Some(Kept { credential: credential.clone(), until: Instant::now() + left.unwrap_or(READ_AGAIN) });
            Ok(credential)
        });
        match read.await {
            Ok(credential) => credential.map_err(missing),
            Err(_) => Err(missing(NoCredentials::new("reading the profile was given up"))),
        }
    }
}

impl fmt::Debug for FromProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromProfile").field("name", &self.name).finish_non_exhaustive()
    }
}

impl CredentialProvider for FromProfile {
    type Credential = AwsCredential;

    fn get_credential<'life, 'future>(
        &'life self,
    ) -> Pin<Box<dyn Future<Output = object_store::Result<Arc<AwsCredential>>> + Send + 'future>>
    where
        'life: 'future,
        Self: 'future,
    {
        Box::pin(self.credential())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_found_in_both_files() {
        let credentials = "[default]\naws_access_key_id = A\n[backup] # ours\naws_access_key_id=B\naws_secret_access_key = S+/=\n";
        let found = section(credentials, "backup", false).expect("it is there");
        assert_eq!(found["aws_secret_access_key"], "S+/=");
        let config =
            "[default]\nregion = us-east-1\n\n[profile backup]\nregion=eu-central-1 # home\ns3 =\n  region = wrong\n[other]\nregion = x\n";
        assert_eq!(section(config, "backup", true).expect("it is there")["region"], "eu-central-1");
        assert_eq!(section(config, "default", true).expect("it is there")["region"], "us-east-1");
        assert_eq!(section(config, "other", true), None);
    }

    #[test]
    fn a_program_hands_out_credentials() {
        assert_eq!(words("  a \"b c\" d\t\"\" "), ["a", "b c", "d", ""]);
        let json = r#"{"Version":1,"AccessKeyId":"K","SecretAccessKey":"S","SessionToken":"T","Expiration":"2999-01-01T00:00:00Z"}"#;
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("out.json");
        fs::write(&file, json).expect("written");
        let (credential, left) = ask(&format!("cat \"{}\"", file.display()), "p").expect("it printed them");
        assert_eq!((credential.key_id.as_str(), credential.token.as_deref()), ("K", Some("T")));
        assert!(left.expect("they end") > Duration::from_secs(3600));
        let refused = ask("false", "p").expect_err("it fails").to_string();
        assert!(refused.contains("the `credential_process` of profile `p` failed"), "{refused}");
        assert!(
            !format!("{:?}", Profile { name: "p".into(), settings: Section::from([("k".into(), "secret".into())]) }).contains("secret")
        );
    }
}
