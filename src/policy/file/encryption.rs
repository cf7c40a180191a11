use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Nothing, Secret, exactly_one};
use crate::units::{Duration, Name, Period};

/// How everything that leaves the host is encrypted.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = exactly_one(&["age", "openpgp", "none"])))]
pub struct Encryption {
    /// With age, to public keys: the database host cannot read old backups.
    #[schemars(example = serde_json::json!({ "recipients": ["age1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqs3290gq"] }))]
    pub age: Option<Age>,
    /// With OpenPGP (AES-256), for those who must have `gpg`.
    #[schemars(example = serde_json::json!({ "recipients": ["0123456789ABCDEF0123456789ABCDEF01234567"] }))]
    pub openpgp: Option<OpenPgp>,
    /// Not at all, said on purpose.
    #[schemars(example = serde_json::json!({ "because": "throw-away data of a demonstration" }))]
    pub none: Option<Unencrypted>,
    /// How often the recipients are replaced; reported when it is overdue. Old backups stay readable with old identities.
    #[schemars(example = &"90d")]
    pub rotate_every: Option<Period>,
    /// Each recovery identity must have opened something within this time.
    #[schemars(example = &"100d")]
    pub proven_within: Option<Duration>,
    /// The public signing keys of the hosts whose backups are accepted, by host.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "db-1": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJl3dIeudNqd0DPMRD6OIh65tjkxFNOtGcgxl2B6pBWB" }))]
    pub writers: BTreeMap<Name, String>,
}

/// Encryption with age.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Age {
    /// The public keys that can open the backups: `age1…`, `ssh-ed25519 …` or `ssh-rsa …`.
    #[schemars(example = serde_json::json!(["age1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqs3290gq"]), length(min = 1))]
    pub recipients: Vec<String>,
    /// The identity that opens them, by reference; only on hosts that restore or verify.
    #[schemars(example = serde_json::json!({ "file": "/etc/seawall/identity.txt" }))]
    pub identity: Option<Secret>,
    /// The passphrase that protects the identity's file, by reference.
    #[schemars(example = serde_json::json!({ "credential": "identity-passphrase" }))]
    pub passphrase: Option<Secret>,
}

/// Encryption with OpenPGP.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenPgp {
    /// The full fingerprints (40 hexadecimal digits) of the keys that can open the backups.
    #[schemars(example = serde_json::json!(["0123456789ABCDEF0123456789ABCDEF01234567"]), length(min = 1))]
    pub recipients: Vec<String>,
    /// A file with the public keys of the recipients (`gpg --export`). Without it they are taken from the keyring of the account that
    /// Seawall runs as. What counts are the fingerprints: other keys in it are nobody's.
    #[schemars(example = &"/etc/seawall/recipients.asc")]
    pub keys: Option<String>,
    /// The private key that opens them, by reference; only on hosts that restore or verify.
    #[schemars(example = serde_json::json!({ "file": "/etc/seawall/restore.asc" }))]
    pub identity: Option<Secret>,
    /// The passphrase that protects the private key, by reference.
    #[schemars(example = serde_json::json!({ "credential": "pgp-passphrase" }))]
    pub passphrase: Option<Secret>,
}

/// No encryption, on purpose.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unencrypted {
    /// Why that is acceptable.
    #[schemars(example = &"throw-away data of a demonstration")]
    pub because: String,
}

/// How backups are compressed.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = exactly_one(&["zstd", "lz4", "none"])))]
pub struct Compression {
    /// With zstd.
    #[schemars(example = serde_json::json!({ "level": 1 }))]
    pub zstd: Option<Zstd>,
    /// With lz4: less CPU, larger.
    #[schemars(example = serde_json::json!({}))]
    pub lz4: Option<Nothing>,
    /// Not at all.
    #[schemars(example = serde_json::json!({}))]
    pub none: Option<Nothing>,
}

/// Compression with zstd.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Zstd {
    /// The level; 3 costs twice the CPU of 1 for a few percent of size.
    #[serde(default = "one")]
    #[schemars(example = 3, range(min = -7, max = 19))]
    pub level: i32,
}

fn one() -> i32 {
    1
}
