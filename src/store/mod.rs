//! Object storage: a directory, S3, Azure Blob Storage, Google Cloud Storage, and one that misbehaves on purpose.
//!
//! One closed enum behind one face, and the face is synchronous: callers are threads that own their buffers. What needs
//! an event loop (the clouds) keeps it to itself. Objects are immutable: they are put once under a name of their own and
//! never overwritten. An object is visible whole or not at all, and what `put_new` or `finish` returned is durable.

mod cloud;
mod fault;
mod faulty;
mod local;
mod moved;
mod pace;
mod patience;
mod probe;
mod purge;
mod reader;
mod settings;
mod upload;

use std::ops::{ControlFlow, Range};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

pub use crate::units::{BadKey, Key};
pub use cloud::Silences;
pub use fault::{Fault, FaultKind};
pub use faulty::{Call, Effect, Faults, Tally};
pub use moved::Moved;
pub use probe::fresh_name;
pub use purge::{Locked, Purged};
pub use reader::Reader;
pub use settings::{Growth, Place, Settings, Sse};
pub use upload::Upload;

use crate::units::{ClassFamily, Haste, Instant, StorageClass};
use cloud::{Cloud, CloudReader, CloudUpload};
use faulty::{Faulty, FaultyReader, FaultyUpload};
use local::Local;

/// The largest object that is put in one piece, and so the largest that can be put "only if it is absent".
pub const MAX_SINGLE_PUT: usize = 32 << 20;

/// A place for objects. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct Store {
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Local(Arc<Local>),
    Cloud(Arc<Cloud>),
    Faulty(Arc<Faulty>),
}

/// What a store says about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    pub key: Key,
    pub size: u64,
    /// By the store's own clock.
    pub modified: Instant,
    /// Nothing for a directory, and for a class that is not known here.
    pub class: Option<StorageClass>,
    /// It lies in an archive class and must be requested and waited for.
    pub frozen: bool,
}

/// How an object of an archive class stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thaw {
    /// It can be read now.
    Readable,
    /// It has been asked for and will come.
    Underway,
    /// Nobody has asked for it.
    Frozen,
}

/// What became of a put-if-absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    Created,
    /// Something has that name already; it was left as it is.
    Exists,
}

impl Store {
    /// Opens a place. Only what can be known without asking it is checked.
    ///
    /// In builds with debug assertions, and only there, `SEAWALL_TEST_FAULTS` makes every store that the process opens a
    /// faulty one (see [`Faults`] for how it is written); calls are then counted over all stores of the process.
    pub fn open(settings: &Settings) -> Result<Store, Fault> {
        Store::open_within(settings, None)
    }

    /// The same for somebody who looks around: of a place that did not answer one, it is not waited for again.
    pub fn open_within(settings: &Settings, silences: Option<&Silences>) -> Result<Store, Fault> {
        let kind = match &settings.place {
            Place::Local { path } => Kind::Local(Arc::new(Local::open(path, settings.upload_limit)?)),
            Place::S3 { .. } | Place::Azure { .. } | Place::Gcs { .. } => Kind::Cloud(Arc::new(Cloud::open(settings, silences)?)),
        };
        let store = Store { kind };
        match faults_of_test()? {
            Some(faults) => Ok(Store::faulty(store, faults)),
            None => Ok(store),
        }
    }

    /// A store that misbehaves on schedule. For tests: see [`Faults`].
    pub fn faulty(inner: Store, faults: Faults) -> Store {
        Store { kind: Kind::Faulty(Arc::new(Faulty::new(inner, faults))) }
    }

    /// Where it is, for messages: `s3://bucket/prefix`. Never with a secret in it.
    pub fn url(&self) -> String {
        match &self.kind {
            Kind::Local(local) => local.url(),
            Kind::Cloud(cloud) => cloud.url(),
            Kind::Faulty(faulty) => faulty.inner.url(),
        }
    }

    /// Whether it answers at all, by the least that can be asked. A directory always does.
    pub fn knock(&self) -> Result<(), Fault> {
        match &self.kind {
            Kind::Local(_) => Ok(()),
            Kind::Cloud(cloud) => cloud.knock(),
            Kind::Faulty(faulty) => faulty.inner.knock(),
        }
    }

    /// Puts a small object in one piece, if nothing has that name. Durable when it returns.
    pub fn put_new(&self, key: &Key, body: Bytes) -> Result<Put, Fault> {
        match &self.kind {
            Kind::Local(local) => local.put_new(key, &body),
            Kind::Cloud(cloud) => cloud.put_new(key, body),
            Kind::Faulty(faulty) => faulty.put_new(key, &body),
        }
    }

    /// Puts one of the few mutable things (pins, leases, hints), whatever was there before.
    pub fn replace(&self, key: &Key, body: Bytes) -> Result<(), Fault> {
        match &self.kind {
            Kind::Local(local) => local.replace(key, &body),
            Kind::Cloud(cloud) => cloud.replace(key, body),
            Kind::Faulty(faulty) => faulty.replace(key, &body),
        }
    }

    /// Begins an object of any size. Nothing is visible before `finish`.
    pub fn upload(&self, key: &Key) -> Result<Upload, Fault> {
        match &self.kind {
            Kind::Local(local) => Ok(Upload::local(local.upload(key)?)),
            Kind::Cloud(cloud) => Ok(Upload::cloud(CloudUpload::begin(cloud, key)?)),
            Kind::Faulty(faulty) => Ok(Upload::faulty(FaultyUpload::begin(faulty, key)?)),
        }
    }

    /// What the store says about an object, or `None` when it is *known* to be absent.
    pub fn head(&self, key: &Key) -> Result<Option<Meta>, Fault> {
        match &self.kind {
            Kind::Local(local) => local.head(key),
            Kind::Cloud(cloud) => cloud.head(key),
            Kind::Faulty(faulty) => faulty.head(key),
        }
    }

    /// Makes the name of an object durable that somebody else put, or a run that did not hear the answer. A cloud's names always are.
    pub fn settle(&self, key: &Key) -> Result<(), Fault> {
        match &self.kind {
            Kind::Local(local) => local.settle(key),
            Kind::Cloud(_) => Ok(()),
            Kind::Faulty(faulty) => faulty.settle(key),
        }
    }

    /// A whole object of at most `limit` bytes; a larger one is a fault.
    pub fn get(&self, key: &Key, limit: usize) -> Result<Bytes, Fault> {
        match &self.kind {
            Kind::Local(local) => local.get(key, limit),
            Kind::Cloud(cloud) => cloud.get(key, limit),
            Kind::Faulty(faulty) => faulty.get(key, limit),
        }
    }

    /// A part of an object. Exactly these bytes, or a fault.
    pub fn get_range(&self, key: &Key, range: Range<u64>) -> Result<Bytes, Fault> {
        match &self.kind {
            Kind::Local(local) => local.get_range(key, range),
            Kind::Cloud(cloud) => cloud.get_range(key, range),
            Kind::Faulty(faulty) => faulty.get_range(key, range),
        }
    }

    /// Reads an object from a position on, as a stream that goes on by itself after a cut connection.
    pub fn reader(&self, key: &Key, range: Range<u64>) -> Result<Reader, Fault> {
        match &self.kind {
            Kind::Local(local) => Ok(Reader::local(local.file(key)?, key.clone(), range)),
            Kind::Cloud(cloud) => Ok(Reader::cloud(CloudReader::open(cloud, key, range.clone())?, key.clone(), range)),
            Kind::Faulty(faulty) => Ok(Reader::faulty(FaultyReader::open(faulty, key, range.clone())?, key.clone(), range)),
        }
    }

    /// Every object below `prefix` (whole path segments; all objects when it is empty), in pages of bounded memory.
    ///
    /// The order is that of the bytes of whole names, in every store: `a-b` comes before `a/b`, because `-` is before `/`.
    pub fn list_each(&self, prefix: &str, each: &mut dyn FnMut(Meta) -> ControlFlow<()>) -> Result<(), Fault> {
        self.list_after(prefix, None, each)
    }

    /// The same from the first name after `after` on.
    pub fn list_after(&self, prefix: &str, after: Option<&Key>, each: &mut dyn FnMut(Meta) -> ControlFlow<()>) -> Result<(), Fault> {
        match &self.kind {
            Kind::Local(local) => local.list_after(prefix, after, each),
            Kind::Cloud(cloud) => cloud.list_after(prefix, after, each),
            Kind::Faulty(faulty) => faulty.list_after(prefix, after, each),
        }
    }

    /// Every object whose name begins with `prefix`, in the order of their names.
    pub fn list(&self, prefix: &str) -> Result<Vec<Meta>, Fault> {
        let mut all = Vec::new();
        self.list_each(prefix, &mut |meta| {
            all.push(meta);
            ControlFlow::Continue(())
        })?;
        Ok(all)
    }

    /// The names directly below `prefix`, of "folders" only, in order. A folder may still be named for a while after its last
    /// object was deleted.
    pub fn folders(&self, prefix: &str) -> Result<Vec<String>, Fault> {
        match &self.kind {
            Kind::Local(local) => local.folders(prefix),
            Kind::Cloud(cloud) => cloud.folders(prefix),
            Kind::Faulty(faulty) => faulty.folders(prefix),
        }
    }

    /// Deletes objects; those that are absent already are no fault.
    pub fn delete(&self, keys: &[Key]) -> Result<(), Fault> {
        match &self.kind {
            Kind::Local(local) => local.delete(keys),
            Kind::Cloud(cloud) => cloud.delete(keys),
            Kind::Faulty(faulty) => faulty.delete(keys),
        }
    }

    /// Deletes objects for good, with every version that the store keeps of them, and says what a lock forbade. Those that are absent
    /// already are no fault. What it deleted stays deleted: a directory has forgotten the names when this returns.
    pub fn purge(&self, keys: &[Key]) -> Result<Purged, Fault> {
        match &self.kind {
            Kind::Local(local) => local.purge(keys).map(|()| Purged::default()),
            Kind::Cloud(cloud) => cloud.purge(keys),
            Kind::Faulty(faulty) => faulty.purge(keys),
        }
    }

    /// Takes away what was only ever said for a while (marks, claims, probes): for good where that is allowed. Where a lock keeps the bytes, a
    /// plain delete hides them, which no lock forbids, and every reader goes by what can be seen.
    pub fn withdraw(&self, keys: &[Key]) -> Result<(), Fault> {
        let mut seen = Vec::new();
        for Locked { key, .. } in self.purge(keys)?.locked {
            if self.head(&key)?.is_some() {
                seen.push(key);
            }
        }
        if seen.is_empty() {
            return Ok(());
        }
        self.delete(&seen)?;
        for key in &seen {
            if self.head(key)?.is_some() {
                let message = format!("{key} in {} is locked, and cannot be hidden either", self.url());
                return Err(Fault::new(FaultKind::Locked, message, "The bucket has to keep versions, as one with locks does."));
            }
        }
        Ok(())
    }

    /// Which of these objects a lock of the store forbids to delete, as far as it says so.
    pub fn locks(&self, keys: &[Key]) -> Result<Vec<Locked>, Fault> {
        match &self.kind {
            Kind::Local(_) => Ok(Vec::new()),
            Kind::Cloud(cloud) => cloud.locks(keys),
            Kind::Faulty(faulty) => faulty.locks(keys),
        }
    }

    /// The classes that its objects can lie in; none in a directory.
    pub fn classes(&self) -> Option<ClassFamily> {
        match &self.kind {
            Kind::Local(_) => None,
            Kind::Cloud(cloud) => Some(cloud.family()),
            Kind::Faulty(faulty) => faulty.inner.classes(),
        }
    }

    /// Moves an object into another class, with all that belongs to it: it is there whole, before and after. What a lock protects
    /// stays as it is. Moved again it is no fault.
    pub fn move_to(&self, key: &Key, class: StorageClass) -> Result<Moved, Fault> {
        match &self.kind {
            Kind::Local(local) => Err(local.no_classes(key)),
            Kind::Cloud(cloud) => cloud.move_to(key, class),
            Kind::Faulty(faulty) => faulty.move_to(key, class),
        }
    }

    /// How an object of an archive class stands, or `None` when there is no such object.
    pub fn thaw_state(&self, key: &Key) -> Result<Option<Thaw>, Fault> {
        match &self.kind {
            Kind::Local(local) => Ok(local.head(key)?.map(|_| Thaw::Readable)),
            Kind::Cloud(cloud) => cloud.thaw_state(key),
            Kind::Faulty(faulty) => faulty.thaw_state(key),
        }
    }

    /// Asks for an object of an archive class, to be readable for some days. It takes hours: see [`Store::thaw_state`].
    pub fn thaw(&self, key: &Key, days: u32, haste: Haste) -> Result<(), Fault> {
        match &self.kind {
            Kind::Local(local) => local.file(key).map(drop),
            Kind::Cloud(cloud) => cloud.thaw(key, days, haste),
            Kind::Faulty(faulty) => faulty.thaw(key, days, haste),
        }
    }

    /// Whether the store really refuses to put what is there already: some say they do and do not. Everything that must
    /// not be overwritten rests on it, so it is asked at the first use, with an object of that name, which nobody else has.
    pub fn check_conditional_put(&self, probe: &Key) -> Result<(), Fault> {
        probe::conditional_put(self, probe)
    }
}

/// One schedule for the whole process.
fn faults_of_test() -> Result<Option<Faults>, Fault> {
    static FAULTS: OnceLock<Result<Option<Faults>, Fault>> = OnceLock::new();
    if !cfg!(debug_assertions) {
        return Ok(None);
    }
    FAULTS.get_or_init(|| std::env::var("SEAWALL_TEST_FAULTS").ok().map(|text| text.parse()).transpose()).clone()
}
