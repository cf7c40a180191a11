//! A keyring of its own, as `gpg` keeps it.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::clusters::Cluster;

/// Lies in the cluster's folder. What `gpg` leaves running for it ends with it.
#[derive(Debug)]
pub struct Keyring<'c> {
    cluster: &'c Cluster,
    pub home: PathBuf,
}

pub const PASSPHRASE: &str = "correct horse";

impl<'c> Keyring<'c> {
    pub fn new(cluster: &'c Cluster, name: &str) -> Keyring<'c> {
        let home = cluster.folder().join(name);
        fs::DirBuilder::new().mode(0o700).create(&home).expect("a keyring");
        cluster.account().own(&home);
        Keyring { cluster, home }
    }

    pub fn gpg(&self, words: &[&str]) -> Command {
        let mut command = self.cluster.account().command("gpg");
        command.arg("--homedir").arg(&self.home).args(["--batch", "--no-tty", "--quiet", "--yes", "--pinentry-mode", "loopback"]);
        command.args(words);
        command
    }

    #[track_caller]
    pub fn say(&self, words: &[&str]) -> Vec<u8> {
        let output = self.gpg(words).output().expect("gpg");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// A key for encryption, with a passphrase or with none. Gives its fingerprint.
    pub fn make(&self, name: &str, kind: &str, passphrase: &str) -> String {
        self.make_at(&[], name, kind, passphrase, "never")
    }

    /// At another time (`--faked-system-time`), and for so long.
    pub fn make_at(&self, when: &[&str], name: &str, kind: &str, passphrase: &str, lasts: &str) -> String {
        let (primary, sub) = if kind == "rsa" { ("rsa2048", "rsa2048") } else { ("ed25519", "cv25519") };
        self.say(&[when, &["--passphrase", passphrase, "--quick-generate-key", name, primary, "cert", lasts]].concat());
        let fingerprint = self.fingerprint(name);
        self.say(&[when, &["--passphrase", passphrase, "--quick-add-key", &fingerprint, sub, "encr", lasts]].concat());
        fingerprint
    }

    /// One that can only sign.
    pub fn make_for_signing(&self, name: &str) -> String {
        self.say(&["--passphrase", "", "--quick-generate-key", name, "ed25519", "sign", "never"]);
        self.fingerprint(name)
    }

    pub fn fingerprint(&self, name: &str) -> String {
        let list = String::from_utf8(self.say(&["--with-colons", "--list-keys", name])).expect("text");
        let line = list.lines().find(|line| line.starts_with("fpr:")).expect("a fingerprint");
        line.split(':').nth(9).expect("the tenth field").to_owned()
    }

    /// The public keys, in a file.
    pub fn export(&self, fingerprints: &[&str], to: &Path) {
        fs::write(to, self.say(&[&["--armor", "--export"], fingerprints].concat())).expect("a file");
        self.cluster.account().own(to);
    }

    /// A private key, in a file.
    pub fn export_secret(&self, fingerprint: &str, passphrase: &str, to: &Path) {
        fs::write(to, self.say(&["--passphrase", passphrase, "--armor", "--export-secret-keys", fingerprint])).expect("a file");
        self.cluster.account().own(to);
    }

    /// What lies in a file, opened by `gpg` with what this keyring has.
    #[track_caller]
    pub fn open(&self, file: &Path) -> Vec<u8> {
        self.say(&["--passphrase", PASSPHRASE, "--decrypt", file.to_str().expect("text")])
    }
}

impl Drop for Keyring<'_> {
    fn drop(&mut self) {
        let _ = self.cluster.account().command("gpgconf").arg("--homedir").arg(&self.home).args(["--kill", "all"]).output();
    }
}

/// Writes `openpgp` in the place of what a rig's policy has for age.
pub fn in_place_of_age(policy: &Path, openpgp: &str) {
    let text = fs::read_to_string(policy).expect("the policy");
    let end = "identity.txt } }";
    let from = text.find("age: { ").expect("age");
    let to = from + text[from..].find(end).expect("its identity") + end.len();
    fs::write(policy, format!("{}openpgp: {{ {openpgp} }}{}", &text[..from], &text[to..])).expect("the policy");
}
