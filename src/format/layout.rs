//! Where things lie in a store. Names only; nothing here asks a store.
//!
//! ```text
//! <repository>/repository.json                              what this is; written once
//! <repository>/backups/<stop-time>-<backup>.json            a descriptor: its presence is the commit
//! <repository>/backups/<stop-time>-<backup>.json.sig        its signature, put before it
//! <repository>/data/<backup>/part-00001.tar.zst.age …       the files
//! <repository>/data/<backup>/part-00001.index.zst.age …     what lies where in them
//! <repository>/data/<backup>/backup_manifest.zst.age        PostgreSQL's own
//! <repository>/data/<backup>/config.tar.zst.age             configuration that lies outside the data directory
//! <repository>/data/<backup>/dump-00001.pgdump.zst.age     a database as pg_dump writes it; -definitions and -rows-00001 where it is in pieces
//! <repository>/data/<backup>/globals.sql.zst.age           roles, tablespaces and settings, as pg_dumpall writes them
//! <repository>/data/<backup>/contents.json.zst.age         what is in the dumps
//! <repository>/data/<backup>/notes.json.zst.age            what a backup of files was to hold, and could not
//! <repository>/wal/<system-id>/<timeline>/<log>/<segment>.zst.age
//! <repository>/wal/<system-id>/history/<timeline>.history.zst.age
//! <repository>/claims/<system-id>/<segment>.claim           who uploads a segment too large to be put in one piece; never deleted before it
//! <repository>/expiring/<backup>.json                       the rules let it go; deleted when it has been marked for long enough
//! <repository>/expiring/archive/<extent>.json               the same of archived rows
//! <repository>/expiring/wal/<system-id>/<timeline>.json     the same of the log below a position
//! <repository>/expiring/descriptors/<backup>.json           its descriptor, as long as its deletion goes on
//! <repository>/archive/<extent>.json                        rows of a table that moved here; with its signature beside it
//! <repository>/archive/<extent>/rows.csv.zst.age            the rows
//! <repository>/archive/<extent>/read-back/<host>-….json     that host has read every row of it; signed
//! <repository>/archive/<extent>/leaving.json                they are about to leave their table
//! <repository>/archive/<extent>/removed.json                the table does not have them any more
//! <repository>/archive/<extent>/awake.json                  somebody has requested them from an archive class
//! <repository>/drills/<backup>/<drill>.json                a restore drill of that backup, as it went; with its signature beside it
//! <repository>/holds/<hold>.json                            what nobody may delete, placed at run time
//! <repository>/pins/… leases/… hints/…                      the few mutable things
//! ```
//!
//! The log lies below the system identifier: after `pg_upgrade` the same names mean other bytes.

use std::fmt;
use std::str::FromStr;

use super::codec::{Codec, Envelope};
use crate::inventory::SystemIdentifier;
use crate::units::{BackupId, Instant, Key, Name, Segment, Timeline, WalFile};

/// A repository within a store: all that belongs to one cluster. Its id is made at first use and outlives renamed policies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository(String);

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Repository {
    type Err = crate::units::BadKey;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Key::new(text.replace('/', "\0")).map(|key| Repository(key.to_string()))
    }
}

/// How the names of objects begin that are put to learn something of a store: its time, and whether it keeps what is there.
pub const PROBE: &str = "probe-";

impl Repository {
    /// The id that every host makes up alike: two that begin at once make the same one.
    pub fn first(policy: &str, cluster: SystemIdentifier) -> Repository {
        let hash = blake3::hash(format!("{policy}\n{cluster}").as_bytes());
        Repository(format!("{policy}-{}", &hash.to_hex()[..8]))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its objects, by a name that was found in a store. `None` when the name lies elsewhere.
    pub fn rest_of<'k>(&self, key: &'k Key) -> Option<&'k str> {
        key.as_str().strip_prefix(self.as_str())?.strip_prefix('/')
    }

    fn key(&self, rest: impl fmt::Display) -> Key {
        Key::new(format!("{}/{rest}", self.0)).expect("made of names, numbers and ids")
    }

    pub fn about(&self) -> Key {
        self.key("repository.json")
    }

    /// Everything in it.
    pub fn prefix(&self, folder: &str) -> String {
        format!("{}/{folder}", self.0)
    }

    pub fn descriptor(&self, stopped: Instant, id: &BackupId) -> Key {
        self.key(format_args!("backups/{}-{id}.json", compact(stopped)))
    }

    pub fn data(&self, id: &BackupId, name: &str) -> Key {
        self.key(format_args!("data/{id}/{name}"))
    }

    /// What a host that takes a backup renews for as long as it does.
    pub fn backup_lease(&self, id: &BackupId) -> Key {
        self.key(format_args!("leases/backup-{id}.json"))
    }

    /// Who is about to remove what a broken-off backup left.
    pub fn sweeps(&self, id: &BackupId) -> String {
        self.prefix(&format!("leases/sweeps/{id}"))
    }

    pub fn sweep(&self, id: &BackupId, name: &str) -> Key {
        self.key(format_args!("leases/sweeps/{id}/{name}.json"))
    }

    /// Asks the store something, and is nobody's object.
    pub fn probe(&self, name: &str) -> Key {
        self.key(format_args!("leases/{PROBE}{name}.json"))
    }

    /// An extent of archived rows: its presence is the commit.
    pub fn extent(&self, id: &BackupId) -> Key {
        self.key(format_args!("archive/{id}.json"))
    }

    /// An object of an extent.
    pub fn extent_data(&self, id: &BackupId, name: &str) -> Key {
        self.key(format_args!("archive/{id}/{name}"))
    }

    /// That somebody has read an extent back, under a name that is used once. The host signs it.
    pub fn extent_read_back(&self, id: &BackupId, name: &str) -> Key {
        self.key(format_args!("archive/{id}/read-back/{name}.json"))
    }

    /// That an extent's rows are about to leave their table: from then on it may be their only copy.
    pub fn extent_leaving(&self, id: &BackupId) -> Key {
        self.key(format_args!("archive/{id}/leaving.json"))
    }

    /// That the table does not have an extent's rows any more.
    pub fn extent_removed(&self, id: &BackupId) -> Key {
        self.key(format_args!("archive/{id}/removed.json"))
    }

    /// Until when an extent's rows are to be readable, where they were brought out of an archive class for good.
    pub fn extent_awake(&self, id: &BackupId) -> Key {
        self.key(format_args!("archive/{id}/awake.json"))
    }

    /// Of which extent a descriptor is; `None` for what is none.
    pub fn extent_id(&self, key: &Key) -> Option<BackupId> {
        let id: BackupId = key.file_name().strip_suffix(".json")?.parse().ok()?;
        (self.extent(&id) == *key).then_some(id)
    }

    /// That the rules let a backup go.
    pub fn tombstone(&self, id: &BackupId) -> Key {
        self.key(format_args!("expiring/{id}.json"))
    }

    /// The descriptor of a backup that is being deleted: something may keep it after all.
    pub fn set_aside(&self, id: &BackupId) -> Key {
        self.key(format_args!("expiring/descriptors/{id}.json"))
    }

    /// That an extent's time in the archive is over.
    pub fn extent_mark(&self, id: &BackupId) -> Key {
        self.key(format_args!("expiring/archive/{id}.json"))
    }

    /// Of which backup a tombstone is; `None` for what is none.
    pub fn tombstone_id(&self, key: &Key) -> Option<BackupId> {
        let id: BackupId = key.file_name().strip_suffix(".json")?.parse().ok()?;
        (self.tombstone(&id) == *key).then_some(id)
    }

    /// Below which position the rules let a timeline's log go.
    pub fn log_mark(&self, cluster: SystemIdentifier, of: Timeline) -> Key {
        self.key(format_args!("expiring/wal/{cluster}/{}.json", timeline(of)))
    }

    /// How a restore drill of a backup went.
    pub fn drill(&self, backup: &BackupId, id: &BackupId) -> Key {
        self.key(format_args!("drills/{backup}/{id}.json"))
    }

    /// All drills of a backup.
    pub fn drills_prefix(&self, backup: &BackupId) -> String {
        self.prefix(&format!("drills/{backup}"))
    }

    /// What nobody may delete, placed at run time.
    pub fn hold(&self, name: &Name) -> Key {
        self.key(format_args!("holds/{name}.json"))
    }

    /// Which backup was the last one; only a hint, the descriptors are the truth.
    pub fn latest(&self) -> Key {
        self.key("hints/latest.json")
    }

    /// The same of a job whose backups are dumps.
    pub fn latest_of(&self, job: &Name) -> Key {
        self.key(format_args!("hints/latest-{job}.json"))
    }

    pub fn wal(&self, cluster: SystemIdentifier, file: WalFile, codec: Codec, envelope: Envelope) -> Key {
        let end = codec.extension(envelope);
        match file {
            WalFile::Segment(segment) | WalFile::Partial(segment) | WalFile::BackupLabel(segment, _) => {
                self.key(format_args!("wal/{cluster}/{}/{:08X}/{file}{end}", timeline(segment.timeline), segment.log))
            }
            WalFile::History(_) => self.key(format_args!("wal/{cluster}/history/{file}{end}")),
        }
    }

    /// Who promotes a server of a cluster.
    pub fn promotion(&self, cluster: SystemIdentifier) -> Key {
        self.key(format_args!("leases/promote-{cluster}.json"))
    }

    /// Who may upload a file of the log that is too large to be put in one piece.
    pub fn wal_claim(&self, cluster: SystemIdentifier, file: WalFile) -> Key {
        self.key(format_args!("claims/{cluster}/{file}.claim"))
    }

    /// All claims of one cluster.
    pub fn claims_prefix(&self, cluster: SystemIdentifier) -> String {
        self.prefix(&format!("claims/{cluster}"))
    }

    /// Which file of the log a claim is about. `None` unless it lies exactly where [`Self::wal_claim`] puts it.
    pub fn claimed_file(&self, cluster: SystemIdentifier, key: &Key) -> Option<WalFile> {
        let file: WalFile = key.file_name().strip_suffix(".claim")?.parse().ok()?;
        (self.wal_claim(cluster, file) == *key).then_some(file)
    }

    /// Which file of which cluster's log an object is. `None` unless it lies exactly where [`Self::wal`] puts it.
    pub fn wal_object(&self, key: &Key) -> Option<(SystemIdentifier, WalFile)> {
        let cluster: SystemIdentifier = self.rest_of(key)?.strip_prefix("wal/")?.split('/').next()?.parse().ok()?;
        let (file, codec, envelope) = wal_file(key)?;
        (self.wal(cluster, file, codec, envelope) == *key).then_some((cluster, file))
    }

    /// All of one cluster's log.
    pub fn wal_prefix(&self, cluster: SystemIdentifier) -> String {
        self.prefix(&format!("wal/{cluster}"))
    }

    /// One timeline of it.
    pub fn timeline_prefix(&self, cluster: SystemIdentifier, of: Timeline) -> String {
        self.prefix(&format!("wal/{cluster}/{}", timeline(of)))
    }

    /// The folder that a segment lies in.
    pub fn log_prefix(&self, cluster: SystemIdentifier, segment: Segment) -> String {
        format!("{}/{:08X}", self.timeline_prefix(cluster, segment.timeline), segment.log)
    }
}

/// The signature that belongs to a descriptor.
pub fn signature_of(descriptor: &Key) -> Key {
    Key::new(format!("{descriptor}.sig")).expect("a key with an ending")
}

/// The backup's id in a descriptor's name; `None` for its signature and for what is not ours.
pub fn descriptor_id(key: &Key) -> Option<BackupId> {
    let (_, id) = key.file_name().strip_suffix(".json")?.split_once('-')?;
    id.parse().ok()
}

/// Whether an object holds files or rows of a backup: not their index, the manifest or anything else that a restore is planned with.
pub fn is_part(key: &Key) -> bool {
    let mut words = key.file_name().split('.');
    match (words.next(), words.next()) {
        (Some(first), Some("tar")) => first.starts_with("part-"),
        (Some(first), Some("pgdump")) => first.starts_with("dump-") && !first.ends_with("-definitions"),
        _ => false,
    }
}

/// What file of the log an object is, with how it is stored.
pub fn wal_file(key: &Key) -> Option<(WalFile, Codec, Envelope)> {
    let (name, codec, envelope) = Codec::of_name(key.file_name());
    Some((name.parse().ok()?, codec, envelope))
}

fn timeline(timeline: Timeline) -> String {
    format!("{:08X}", timeline.0)
}

/// `20261121T020000Z`: sorts as it happened.
pub fn compact(moment: Instant) -> String {
    moment.strftime("%Y%m%dT%H%M%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_its_place() {
        let cluster = SystemIdentifier(7_301_234_567_890_123_456);
        let repository = Repository::first("shop", cluster);
        assert_eq!(repository, Repository::first("shop", cluster));
        assert_ne!(repository, Repository::first("shop", SystemIdentifier(1)));
        let id: BackupId = "20261121T020000Z-7f3c0011".parse().expect("an id");
        let moment = "2026-11-21T02:41:07.9Z".parse().expect("a moment");
        let key = repository.descriptor(moment, &id);
        assert_eq!(key.file_name(), "20261121T024107Z-20261121T020000Z-7f3c0011.json");
        assert_eq!((descriptor_id(&key), descriptor_id(&signature_of(&key))), (Some(id.clone()), None));
        let file: WalFile = "000000010000000A000000FE".parse().expect("a segment");
        let key = repository.wal(cluster, file, Codec::DEFAULT, Envelope::Age);
        assert!(key.as_str().ends_with("/wal/7301234567890123456/00000001/0000000A/000000010000000A000000FE.zst.age"), "{key}");
        assert_eq!(wal_file(&key), Some((file, Codec::DEFAULT, Envelope::Age)));
        let key = repository.wal(cluster, file, Codec::Lz4, Envelope::OpenPgp);
        assert!(key.as_str().ends_with("/000000010000000A000000FE.lz4.gpg"), "{key}");
        assert_eq!(repository.wal_object(&key), Some((cluster, file)));
        assert!("a/b".parse::<Repository>().is_err());
        let is_part = |name: &str| is_part(&repository.data(&id, name));
        assert!(is_part("part-00001.tar.zst.age") && is_part("part-00001.tar") && !is_part("part-00001.index.zst.age"));
        assert!(
            is_part("dump-00001.pgdump.zst.age") && is_part("dump-00001-rows-00001.pgdump") && !is_part("dump-00001-definitions.pgdump")
        );
        assert!(!is_part("backup_manifest.zst.age") && !is_part("config.tar.zst.age"));
    }
}
