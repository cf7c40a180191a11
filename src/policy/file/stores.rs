use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Nothing, exactly_one};
use crate::units::{Bytes, Duration, Period, Rate};

/// A place where backups are kept.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = exactly_one(&["local", "s3", "azure", "gcs"])))]
pub struct Store {
    /// A directory on the host or on a mounted file system.
    #[schemars(example = serde_json::json!({ "path": "/srv/backups" }))]
    pub local: Option<LocalStore>,
    /// Amazon S3, or a server that speaks its protocol.
    #[schemars(example = serde_json::json!({ "bucket": "example-backups", "region": "eu-central-1" }))]
    pub s3: Option<S3Store>,
    /// Azure Blob Storage.
    #[schemars(example = serde_json::json!({ "account": "exampledr", "container": "backups" }))]
    pub azure: Option<AzureStore>,
    /// Google Cloud Storage.
    #[schemars(example = serde_json::json!({ "bucket": "example-backups" }))]
    pub gcs: Option<GcsStore>,
    /// How much may lie there; the share in use is measured against it.
    #[schemars(example = &"2TB")]
    pub capacity: Option<Bytes>,
    /// The fastest that anything is sent there.
    #[schemars(example = &"100MB/s")]
    pub upload_limit: Option<Rate>,
    /// Objects are locked against deletion for a time, by the store itself.
    #[schemars(example = serde_json::json!({ "mode": "compliance", "for": "30d" }))]
    pub immutable: Option<Immutable>,
    /// The store copies its objects elsewhere by itself (geo-redundancy, bucket replication); counted as a copy with its lag.
    #[schemars(example = serde_json::json!({ "to": "westeurope", "lag": "15m" }))]
    pub replicated: Option<Replicated>,
    /// What the bucket itself must look like; compared with what is found.
    #[schemars(example = serde_json::json!({ "versioning": true, "public_access": "blocked" }))]
    pub posture: Option<Posture>,
}

/// A directory.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LocalStore {
    /// The directory.
    #[schemars(example = &"/srv/backups/pricing")]
    pub path: String,
    /// The directory must lie on another device than the database. Without it: yes.
    #[schemars(example = true)]
    pub other_device: Option<bool>,
}

/// A bucket of S3 or a compatible server.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct S3Store {
    /// The bucket.
    #[schemars(example = &"pricing-agent-backups")]
    pub bucket: String,
    /// The beginning of every object's name.
    #[schemars(example = &"prod")]
    pub prefix: Option<String>,
    /// The region.
    #[schemars(example = &"eu-central-1")]
    pub region: Option<String>,
    /// The account that owns the bucket, to tell whether copies are apart.
    #[schemars(example = &"123456789012")]
    pub account: Option<String>,
    /// The address of a compatible server.
    #[schemars(example = &"https://s3.example.com:9000")]
    pub endpoint: Option<String>,
    /// The bucket is in the path of the address, not in the host name.
    #[serde(default)]
    #[schemars(example = true)]
    pub path_style: bool,
    /// A file with the certificate authority of a compatible server.
    #[schemars(example = &"/etc/ssl/private-ca.pem")]
    pub ca: Option<String>,
    /// The profile of the AWS configuration that holds the credentials; without it, AWS's usual chain.
    #[schemars(example = &"backups")]
    pub profile: Option<String>,
    /// The storage class of what is written.
    #[schemars(example = &"STANDARD_IA")]
    pub storage_class: Option<S3Class>,
    /// Encryption by the server, on top of the policy's own.
    #[schemars(example = serde_json::json!({ "kms": "alias/backups" }))]
    pub sse: Option<Sse>,
}

/// A storage class of S3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum S3Class {
    Standard,
    StandardIa,
    OnezoneIa,
    IntelligentTiering,
    GlacierIr,
    Glacier,
    DeepArchive,
}

/// Encryption by the server.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = exactly_one(&["s3", "kms"])))]
pub struct Sse {
    /// With keys that S3 holds (SSE-S3).
    #[schemars(example = serde_json::json!({}))]
    pub s3: Option<Nothing>,
    /// With this key of the key management service (SSE-KMS).
    #[schemars(example = &"alias/backups")]
    pub kms: Option<String>,
}

/// A container of Azure Blob Storage.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AzureStore {
    /// The storage account.
    #[schemars(example = &"pricingdr")]
    pub account: String,
    /// The container.
    #[schemars(example = &"backups")]
    pub container: String,
    /// The beginning of every blob's name.
    #[schemars(example = &"prod")]
    pub prefix: Option<String>,
    /// The region the account lies in, to tell whether copies are apart.
    #[schemars(example = &"northeurope")]
    pub region: Option<String>,
    /// The address, when it is not Azure's own.
    #[schemars(example = &"http://127.0.0.1:10000/devstoreaccount1")]
    pub endpoint: Option<String>,
    /// The access tier of what is written.
    #[schemars(example = &"cool")]
    pub tier: Option<AzureTier>,
}

/// An access tier of Azure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AzureTier {
    Hot,
    Cool,
    Cold,
    Archive,
}

/// A bucket of Google Cloud Storage.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GcsStore {
    /// The bucket.
    #[schemars(example = &"pricing-agent-backups")]
    pub bucket: String,
    /// The beginning of every object's name.
    #[schemars(example = &"prod")]
    pub prefix: Option<String>,
    /// The project that owns the bucket, to tell whether copies are apart.
    #[schemars(example = &"example-dr")]
    pub project: Option<String>,
    /// The location of the bucket, to tell whether copies are apart.
    #[schemars(example = &"europe-north1")]
    pub location: Option<String>,
    /// The address, when it is not Google's own.
    #[schemars(example = &"http://127.0.0.1:4443")]
    pub endpoint: Option<String>,
    /// The storage class of what is written.
    #[schemars(example = &"NEARLINE")]
    pub storage_class: Option<GcsClass>,
}

/// A storage class of Google Cloud Storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum GcsClass {
    Standard,
    Nearline,
    Coldline,
    Archive,
}

/// A lock on objects, kept by the store itself.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Immutable {
    /// Who may lift the lock: `governance` (some roles), `compliance` (nobody).
    #[schemars(example = &"compliance")]
    pub mode: LockMode,
    /// How long each object is locked.
    #[schemars(example = &"30d")]
    pub r#for: Period,
}

/// Who may lift a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LockMode {
    Governance,
    Compliance,
}

/// Copies that the store makes by itself.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Replicated {
    /// Where the copies lie.
    #[schemars(example = &"westeurope")]
    pub to: String,
    /// How far they may be behind; counted into the RPO of scenarios that recover from there. Without it: 15 minutes.
    #[schemars(example = &"15m")]
    pub lag: Option<Duration>,
}

/// What a bucket must look like.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1))]
pub struct Posture {
    /// Old versions of objects are kept.
    #[schemars(example = true)]
    pub versioning: Option<bool>,
    /// Whether anyone without credentials may read.
    #[schemars(example = &"blocked")]
    pub public_access: Option<PublicAccess>,
    /// Every access is logged.
    #[schemars(example = true)]
    pub access_logging: Option<bool>,
    /// Deleting a version needs a second factor.
    #[schemars(example = true)]
    pub mfa_delete: Option<bool>,
    /// Lifecycle rules that delete: none may exist, or they are accepted.
    #[schemars(example = &"none")]
    pub lifecycle_deletes: Option<LifecycleDeletes>,
}

/// Whether anyone without credentials may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PublicAccess {
    Blocked,
    Allowed,
}

/// Whether the bucket may have lifecycle rules that delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LifecycleDeletes {
    None,
    Accepted,
}
