//! What a backup says of itself. Its descriptor is put last, by one put-if-absent: its presence is what makes the backup one.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::codec::Envelope;
use super::recorded::{Answer, Recorded};
use super::seal::{Identities, Recipients, SealError, Sealer, Unsealer, openpgp};
use crate::inventory::{Backup, BackupKind, BackupState, OwnKeep, Scope, Size, SystemIdentifier};
use crate::units::{BackupId, Instant, Lsn, Name, Timeline};

/// The version of the repository's format that this program writes; it reads all up to it.
pub const FORMAT: u32 = 1;
/// A descriptor of a backup with some ten thousand parts.
pub const MAX_BYTES: usize = 16 << 20;

/// What a backup says of itself to everybody who can read the store: numbers, times, hashes. Names of the customer's things are in
/// [`Private`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Descriptor {
    pub format: u32,
    pub id: BackupId,
    pub job: Name,
    pub kind: BackupKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<BackupId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<OwnKeep>,
    pub started: Instant,
    pub stopped: Instant,
    pub by: By,
    pub cluster: Cluster,
    pub position: Position,
    /// The log from `position.start` to `position.stop` was put into `wal/` of the same store with it, because nothing was archived then. It is none of
    /// its objects: a segment may be needed by two.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub carries_log: bool,
    /// Plain bytes of all files; of a dump, as `pg_dump` wrote it.
    pub size: u64,
    /// Bytes of all objects.
    pub stored_size: u64,
    /// Of a dump, the tables with rows; of files, those with content.
    pub files: u64,
    /// Every object of the backup but this one; `sha256sum` checks them.
    pub objects: Vec<Object>,
    /// Pages whose checksum was wrong when they were read, and files that could not be, if there were any.
    #[serde(default, skip_serializing_if = "Damage::is_none")]
    pub damage: Damage,
    /// [`Private`] as JSON, encrypted with age (armoured) to the recovery recipients and to the host's own key; plain JSON text where
    /// nothing is encrypted.
    pub private: String,
}

/// Who took it, with what, by which policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct By {
    pub seawall: String,
    pub host: String,
    pub policy: String,
    /// SHA-256 over the policy's files.
    pub digest: String,
    /// The git commit of these files, with `-dirty` behind it when they were changed since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

/// The cluster it was taken from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cluster {
    pub system_identifier: SystemIdentifier,
    /// `server_version_num`: 160004.
    pub version: u32,
    pub block_size: u32,
    pub wal_segment_size: u64,
    pub data_checksums: bool,
    /// Taken from a standby.
    pub standby: bool,
}

/// Where in the write-ahead log it lies. Of dumps: where the log was when the first and the last snapshot were taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Position {
    pub timeline: Timeline,
    pub start: Lsn,
    pub stop: Lsn,
}

/// One object of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Object {
    /// Below `data/<backup>/`.
    pub name: String,
    pub is: ObjectKind,
    pub size: u64,
    /// Of the object as it lies in the store, in hexadecimal.
    pub sha256: String,
    /// Of what it holds before compression.
    pub plain_size: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ObjectKind {
    /// Files of the data directory and of tablespaces, or of the paths of a `files` job, as a tar.
    Part,
    /// What lies where in the part of the same number.
    Index,
    /// `backup_manifest`.
    Manifest,
    /// Configuration files from outside the data directory, as a tar.
    Config,
    /// A database or a piece of it, in `pg_dump`'s custom format.
    Dump,
    /// Roles, tablespaces and settings, as SQL.
    Globals,
    /// A table's rows, as CSV or Parquet.
    Rows,
    /// What is in the dumps: [`super::contents::Contents`].
    Contents,
    /// What a backup of files was to hold and does not: [`super::notes::Notes`].
    Notes,
    /// Every path of an increment of files, each with a zero behind it: for those who restore without Seawall.
    Names,
    /// A tar of files of which only something beside the content has changed since the parent; without their content.
    Attributes,
}

/// What is not in the backup as it should be: pages with wrong checksums, files that could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Damage {
    pub pages: u64,
    /// The first of them.
    #[serde(default)]
    pub blocks: Vec<DamagedBlock>,
    /// Files that could not be read and are missing; their names are in `notes.json`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unread: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DamagedBlock {
    /// Within the data directory.
    pub path: String,
    /// Counted from the relation's beginning, over all its files.
    pub block: u64,
}

impl Damage {
    pub fn is_none(&self) -> bool {
        self.pages == 0 && self.unread == 0
    }
}

/// What only those may read who can read the data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Private {
    pub data_directory: String,
    pub tablespaces: Vec<Tablespace>,
    /// Files that were saved in `config.tar`, by their absolute paths.
    pub config_files: Vec<String>,
    /// The paths of a backup of files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// What a dump of databases or a copy of files has of what a policy may ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// The databases of a dump, in the order of its objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub databases: Vec<String>,
    /// What a restored server must not have less of, by setting.
    pub settings: BTreeMap<String, String>,
    /// Versions of the extensions, by database.
    pub extensions: BTreeMap<String, BTreeMap<String, String>>,
    /// Versions of collations that indexes depend on: `libc`, `icu`, and each database's own.
    pub collations: BTreeMap<String, String>,
    /// What a drill holds the copy against, by database.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub recorded: BTreeMap<String, Recorded>,
    /// What the original answered to the queries of `like_source`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Answer>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tablespace {
    pub oid: u32,
    pub path: String,
}

impl Private {
    /// The text for [`Descriptor::private`]: armoured age or OpenPGP, or plain JSON where nothing is encrypted.
    pub fn seal(&self, recipients: Option<&Recipients>) -> Result<String, SealError> {
        SealedText::seal(self, recipients)
    }

    /// What [`Private::seal`] made of it.
    pub fn open(text: &str, identities: &Identities) -> std::io::Result<Private> {
        SealedText::open(text, identities)
    }
}

/// JSON inside JSON: armoured age or OpenPGP, or plain where nothing is encrypted.
pub(super) struct SealedText;

impl SealedText {
    pub(super) fn seal(what: &impl Serialize, recipients: Option<&Recipients>) -> Result<String, SealError> {
        let json = serde_json::to_vec(what).expect("texts");
        let Some(recipients) = recipients else { return Ok(String::from_utf8(json).expect("JSON is text")) };
        let mut sealer = Sealer::new(recipients)?;
        let mut sealed = sealer.header(&[]);
        sealer.push(&json, &mut sealed);
        sealer.finish(&mut sealed);
        Ok(match recipients.envelope() {
            Envelope::OpenPgp => openpgp::armor(&sealed),
            _ => armor(&sealed),
        })
    }

    pub(super) fn open<T: serde::de::DeserializeOwned>(text: &str, identities: &Identities) -> std::io::Result<T> {
        use std::io::Read as _;
        let mut json = Vec::new();
        if text.starts_with('{') {
            json.extend_from_slice(text.as_bytes());
        } else if text.starts_with(openpgp::ARMOR) {
            let sealed = openpgp::dearmor(text)?;
            Unsealer::new(&sealed[..], identities)?.take(MAX_BYTES as u64).read_to_end(&mut json)?;
        } else {
            let armored = age::armor::ArmoredReader::new(text.as_bytes());
            Unsealer::new(armored, identities)?.take(MAX_BYTES as u64).read_to_end(&mut json)?;
        }
        serde_json::from_slice(&json).map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))
    }
}

fn armor(sealed: &[u8]) -> String {
    use std::io::Write as _;
    let mut armored = age::armor::ArmoredWriter::wrap_output(Vec::new(), age::armor::Format::AsciiArmor).expect("memory takes all");
    armored.write_all(sealed).expect("memory takes all");
    String::from_utf8(armored.finish().expect("memory takes all")).expect("armour is text")
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadDescriptor {
    #[error("it was written by a newer seawall (format {0}; this one reads up to {FORMAT})")]
    Newer(u32),
    #[error("it cannot be read: {0}")]
    Unreadable(String),
}

impl Descriptor {
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).expect("numbers, texts and lists");
        json.push(b'\n');
        json
    }

    pub fn from_json(json: &[u8]) -> Result<Descriptor, BadDescriptor> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let unreadable = |error: serde_json::Error| BadDescriptor::Unreadable(error.to_string());
        match serde_json::from_slice::<Format>(json).map_err(unreadable)?.format {
            newer if newer > FORMAT => Err(BadDescriptor::Newer(newer)),
            _ => serde_json::from_slice(json).map_err(unreadable),
        }
    }

    /// The same backup in the inventory's words. A dump needs no log and is the base of none.
    pub fn to_backup(&self) -> Backup {
        let position = self.kind.is_physical().then_some(self.position);
        Backup {
            id: self.id.clone(),
            job: self.job.clone(),
            kind: self.kind,
            state: if self.damage.is_none() { BackupState::Complete } else { BackupState::Damaged },
            parent: self.parent.clone(),
            started: self.started,
            stopped: Some(self.stopped),
            size: Some(Size::new(self.size)),
            stored_size: Some(Size::new(self.stored_size)),
            label: self.label.clone(),
            keep: self.keep,
            system_identifier: Some(self.cluster.system_identifier),
            timeline: position.map(|position| position.timeline),
            start_lsn: position.map(|position| position.start),
            stop_lsn: position.map(|position| position.stop),
            carries_log: self.carries_log,
            verified_at: None,
            storage_class: None,
            scope: None,
        }
    }

    /// The same with what only those can say who can open it.
    pub fn to_opened_backup(&self, identities: &Identities) -> Backup {
        let has_scope = matches!(self.kind, BackupKind::Logical | BackupKind::Files);
        let private = has_scope.then(|| self.open_private(identities).ok()).flatten();
        Backup { scope: private.and_then(|private| private.scope), ..self.to_backup() }
    }

    /// What only the keys' owners may read of it. What is wrong comes out as the stream says it ([`super::seal::SealError`]).
    pub fn open_private(&self, identities: &Identities) -> std::io::Result<Private> {
        Private::open(&self.private, identities)
    }

    pub fn objects_of(&self, kind: ObjectKind) -> impl Iterator<Item = &Object> {
        self.objects.iter().filter(move |object| object.is == kind)
    }
}

#[cfg(test)]
mod tests {
    use age::secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn what_is_private_can_be_opened_by_its_recipients_only() {
        let private = Private { data_directory: "/var/lib/postgresql/15/main".into(), ..Private::default() };
        let (one, other) = (age::x25519::Identity::generate(), age::x25519::Identity::generate());
        let recipients = Recipients::parse([one.to_public().to_string().as_str()]).expect("a recipient");
        let identities =
            |key: &age::x25519::Identity| Identities::parse(key.to_string().expose_secret().as_bytes(), None).expect("an identity");
        let text = private.seal(Some(&recipients)).expect("sealed");
        assert!(text.starts_with("-----BEGIN AGE ENCRYPTED FILE-----") && !text.contains("postgresql"));
        assert_eq!(Private::open(&text, &identities(&one)).expect("opened"), private);
        Private::open(&text, &identities(&other)).expect_err("another key");
        assert_eq!(Private::open(&private.seal(None).expect("plain"), &Identities::default()).expect("plain"), private);
    }
}
