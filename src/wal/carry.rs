//! The log that one backup needs, put beside it where nothing is archived: under the same names, by the same packer, with the same stamps, and
//! held against what lies there as an archiver's file is. So whoever reads an archive reads this.
//!
//! Nobody forgets a file because of what is said here, so there are no markers and no debts, and one store that fails is the end of it.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::cluster::Plain;
use super::existing::{find, trusted_stamp};
use super::packer::Scratch;
use super::ship::Run;
use super::{Destination, Markers, Settings, WalFault};
use crate::format::codec::Codec;
use crate::format::signature::{SigningKey, Writers};
use crate::inventory::SystemIdentifier;
use crate::pipeline::{Lock, PipelineFault};
use crate::units::{Instant, WalFile};
use crate::world::parallel;

/// One file of the log, finished, and as it lies in a directory of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    pub path: PathBuf,
    pub file: WalFile,
    /// Up to when all that was committed is in it. None: its own time says so, because the server wrote it where it lies.
    pub written: Option<Instant>,
}

/// Where it goes, and how it is packed.
#[derive(Debug)]
pub struct Packing {
    pub destination: Destination,
    pub codec: Codec,
    /// To whom segments are locked.
    pub lock: Lock,
    /// To whom histories are.
    pub history_lock: Lock,
    pub signing: SigningKey,
    pub writers: Writers,
    pub workers: usize,
}

/// Puts the log of one backup.
#[derive(Debug)]
pub struct Carrier(Run);

impl Carrier {
    /// Looks once at what is there of these files.
    pub fn begin(packing: Packing, cluster: SystemIdentifier, files: &[WalFile]) -> Carrier {
        let Packing { destination, codec, lock, history_lock, signing, writers, workers } = packing;
        let settings = Settings {
            destinations: vec![destination],
            acknowledged_by_all: true,
            codec,
            lock,
            history_lock,
            signing,
            writers,
            markers: Markers::new(Path::new(""), [0; 32]),
            state: PathBuf::new(),
            workers,
        };
        Carrier(Run::begin(settings, cluster, files))
    }

    /// When this comes back well, each of them is durable in the store, with this very content.
    pub fn put(&self, files: &[Carried]) -> Result<(), WalFault> {
        let put = parallel::map_with(self.0.settings.workers, files, &|carried| {
            let plain = self.look(carried)?;
            self.0.carry(&Plain { written: carried.written, ..plain }, &mut Scratch::default())
        });
        put.into_iter().collect()
    }

    fn look(&self, carried: &Carried) -> Result<Plain, WalFault> {
        let (path, file, cluster) = (carried.path.clone(), carried.file, self.0.cluster);
        // Nothing in a history says whose it is.
        let WalFile::Segment(_) = file else { return Ok(Plain { path, file, cluster, written: None }) };
        let plain = Plain::look(&path, file)?;
        if plain.cluster == cluster { Ok(plain) } else { Err(plain.of_another(cluster)) }
    }

    /// Reads what lies there of a file, every byte of it, and holds it against its stamp.
    pub fn read_back(&self, file: WalFile) -> Result<(), WalFault> {
        let Run { settings, cluster, .. } = &self.0;
        let place = settings.destinations[0].place.as_ref().map_err(WalFault::clone)?;
        let (key, size) = find(place, *cluster, file)?
            .ok_or_else(|| WalFault::damaged(file, format!("it was put into {} and is not there", place.store.url())))?;
        let (stamp, body_at) = trusted_stamp(place, (&key, size), &settings.writers, (*cluster, file))?;
        let stream = |error: std::io::Error| WalFault::from(PipelineFault::of_stream(key.as_str(), &error));
        let mut reader = place.store.reader(&key, body_at..size)?;
        let (mut digest, mut buffer) = (blake3::Hasher::new(), vec![0; 256 << 10]);
        loop {
            match reader.read(&mut buffer).map_err(stream)? {
                0 => break,
                got => _ = digest.update(&buffer[..got]),
            }
        }
        if digest.finalize() == stamp.body {
            return Ok(());
        }
        Err(WalFault::damaged(&key, "it does not read back as it was written"))
    }
}
