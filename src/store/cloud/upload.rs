//! An object in pieces. What fits in one piece is put in one request; the rest is a multipart upload.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::time::Duration;

use bytes::Bytes;
use object_store::multipart::PartId;
use object_store::path::Path;
use object_store::{MultipartId, PutMultipartOptions};
use tokio::task::JoinHandle;

use super::wire::{CARGO, Cargo};
use super::{Client, Cloud, Doing, IN_FLIGHT, PIECE_SIZE, crc32c, runtime};
use crate::store::{Fault, FaultKind, Key, Put};

/// S3's limit, and so everybody's here.
const MOST_PIECES: u32 = 10_000;
/// Cleaning up after a failed upload must not hold up the failure.
const ABORT_TIME: Duration = Duration::from_secs(5);
/// How much of both ends is kept to recognise our own object by. Encrypted objects never begin alike.
const FINGERPRINT: usize = 4 << 10;

#[derive(Debug)]
pub(in crate::store) struct CloudUpload {
    cloud: Arc<Cloud>,
    key: Key,
    path: Path,
    /// The first piece, until there is a second: an object of one piece is no multipart upload.
    held: Option<(u32, Bytes)>,
    id: Option<MultipartId>,
    sent: Arc<Mutex<Sent>>,
    tasks: Vec<JoinHandle<()>>,
    sizes: BTreeMap<u32, usize>,
    first_bytes: Bytes,
    last_bytes: (u32, Bytes),
}

#[derive(Debug, Default)]
struct Sent {
    parts: BTreeMap<u32, PartId>,
    fault: Option<Fault>,
}

impl CloudUpload {
    pub(in crate::store) fn begin(cloud: &Arc<Cloud>, key: &Key) -> Result<CloudUpload, Fault> {
        Ok(CloudUpload {
            path: cloud.path(key)?,
            cloud: cloud.clone(),
            key: key.clone(),
            held: None,
            id: None,
            sent: Arc::default(),
            tasks: Vec::new(),
            sizes: BTreeMap::new(),
            first_bytes: Bytes::new(),
            last_bytes: (0, Bytes::new()),
        })
    }

    pub(in crate::store) fn piece_size(&self, index: u32) -> usize {
        self.cloud.growth.piece(PIECE_SIZE, index)
    }

    fn sent(&self) -> MutexGuard<'_, Sent> {
        self.sent.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn refuse(&self, what: impl std::fmt::Display, hint: &str) -> Fault {
        Fault::new(FaultKind::Config, format!("writing {} in {}: {what}", self.key, self.cloud.url), hint)
    }

    pub(in crate::store) fn put(&mut self, index: u32, piece: Bytes) -> Result<(), Fault> {
        if let Some(fault) = &self.sent().fault {
            return Err(fault.clone());
        }
        if index >= MOST_PIECES {
            let most = self.cloud.growth.most(PIECE_SIZE, MOST_PIECES) >> 30;
            return Err(self
                .refuse(format_args!("it is larger than {most} GiB, the most that one object can have"), "Cut it into several objects."));
        }
        if piece.len() > self.piece_size(index) || self.sizes.insert(index, piece.len()).is_some() {
            return Err(self.refuse(format_args!("piece {index} came twice or is too long"), "This is a bug in Seawall: please report it."));
        }
        self.remember_ends(index, &piece);
        if self.id.is_none() {
            let Some(first) = self.held.take() else {
                self.held = Some((index, piece));
                return Ok(());
            };
            self.id = Some(self.initiate()?);
            self.cloud.sweep_abandoned(&self.key);
            self.send(first.0, first.1)?;
        }
        self.send(index, piece)
    }

    /// Copied, so that not a whole piece is kept for a few bytes of it.
    fn remember_ends(&mut self, index: u32, piece: &Bytes) {
        if index == 0 {
            self.first_bytes = Bytes::copy_from_slice(&piece[..piece.len().min(FINGERPRINT)]);
        }
        if index >= self.last_bytes.0 {
            self.last_bytes = (index, Bytes::copy_from_slice(&piece[piece.len().saturating_sub(FINGERPRINT)..]));
        }
    }

    fn initiate(&self) -> Result<MultipartId, Fault> {
        let (cloud, path, key) = (self.cloud.clone(), self.path.clone(), self.key.clone());
        runtime::wait(async move {
            let begun = cloud
                .patiently(cloud.silence(), || {
                    // Azure is told with the last request (see `wire`).
                    let attributes = if matches!(cloud.client, Client::Azure { .. }) { Default::default() } else { cloud.attributes(true) };
                    cloud.client.parts().create_multipart_opts(&path, PutMultipartOptions { attributes, ..Default::default() })
                })
                .await;
            begun.map_err(|failure| cloud.fault(&failure, Doing::Writing, key.as_str()))
        })
    }

    /// Waits for a free place on the way, then leaves the piece to the event loop.
    fn send(&mut self, index: u32, piece: Bytes) -> Result<(), Fault> {
        self.cloud.keep_pace(piece.len());
        let slots = self.cloud.slots.clone();
        let places = u32::try_from(piece.len() / PIECE_SIZE).map_or(IN_FLIGHT, |places| places.clamp(1, IN_FLIGHT));
        let slot = runtime::wait(async move { slots.acquire_many_owned(places).await.map_err(|_| runtime::lost()) })?;
        let (cloud, path, key, sent) = (self.cloud.clone(), self.path.clone(), self.key.clone(), self.sent.clone());
        let id = self.id.clone().unwrap_or_default();
        self.tasks.retain(|task| !task.is_finished());
        self.tasks.push(runtime::spawn(async move {
            let cargo = Cargo { crc32c: cloud.client.is_gcs().then(|| crc32c(&piece)), ..Cargo::default() };
            let attempt = || CARGO.scope(cargo, cloud.client.parts().put_part(&path, &id, index as usize, piece.clone().into()));
            let done = cloud.patiently(cloud.time_for(piece.len()), attempt).await;
            let mut sent = sent.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            match done {
                Ok(part) => {
                    sent.parts.insert(index, part);
                }
                Err(failure) => {
                    sent.fault.get_or_insert_with(|| cloud.fault(&failure, Doing::Writing, key.as_str()));
                }
            }
            drop(slot);
        })?);
        Ok(())
    }

    pub(in crate::store) fn finish(mut self) -> Result<(), Fault> {
        self.is_whole()?;
        if self.id.is_none() {
            let body = self.held.take().map(|(_, piece)| piece).unwrap_or_default();
            self.cloud.keep_pace(body.len());
            let (cloud, key) = (self.cloud.clone(), self.key.clone());
            return match runtime::wait(async move { cloud.create(&key, body, true).await })? {
                Put::Created => Ok(()),
                Put::Exists => Err(self.taken()),
            };
        }
        let tasks = std::mem::take(&mut self.tasks);
        runtime::wait(async move {
            for task in tasks {
                task.await.map_err(|_| runtime::lost())?;
            }
            Ok(())
        })?;
        let parts = {
            let mut sent = self.sent();
            match sent.fault.take() {
                Some(fault) => return Err(fault),
                None => std::mem::take(&mut sent.parts).into_values().collect(),
            }
        };
        self.complete(parts)?;
        // Nothing to abort any more.
        self.id = None;
        Ok(())
    }

    /// Every piece but the last is full, and none is missing.
    fn is_whole(&self) -> Result<(), Fault> {
        let last = self.sizes.len().saturating_sub(1);
        let is_full = |at, index, size| at == last || size == self.piece_size(index);
        let whole = self.sizes.iter().enumerate().all(|(at, (&index, &size))| index as usize == at && is_full(at, index, size));
        if whole { Ok(()) } else { Err(self.refuse("a piece is missing or short", "This is a bug in Seawall: please report it.")) }
    }

    fn taken(&self) -> Fault {
        let message = format!("{} in {} is there already", self.key, self.cloud.url);
        Fault::new(FaultKind::Other, message, "Two runs chose the same name; run it again.")
    }

    /// The one request that makes the object visible.
    fn complete(&self, parts: Vec<PartId>) -> Result<(), Fault> {
        let (cloud, path, key, id) = (self.cloud.clone(), self.path.clone(), self.key.clone(), self.id.clone().unwrap_or_default());
        let outcome = runtime::wait(async move {
            // A server that imitates another may not know the condition that goes with the last request.
            if cloud.client.is_custom() && cloud.look(&key).await?.is_some() {
                return Ok(Outcome::Taken);
            }
            match cloud.patiently(4 * cloud.silence(), || cloud.client.parts().complete_multipart(&path, &id, parts.clone())).await {
                Ok(_) => Ok(Outcome::Done),
                Err(failure) if failure.unclear && (failure.exists || gone(&failure.code)) => Ok(Outcome::Unclear),
                Err(failure) if failure.exists => Ok(Outcome::Taken),
                Err(failure) => Err(cloud.fault(&failure, Doing::Writing, key.as_str())),
            }
        })?;
        match outcome {
            Outcome::Done => Ok(()),
            Outcome::Taken => Err(self.taken()),
            // The answer to an earlier attempt was lost. Was it ours that got through?
            Outcome::Unclear if self.is_ours()? => Ok(()),
            Outcome::Unclear => Err(self.taken()),
        }
    }

    fn is_ours(&self) -> Result<bool, Fault> {
        let size: u64 = self.sizes.values().map(|&size| size as u64).sum();
        match self.cloud.head(&self.key)? {
            Some(meta) if meta.size != size => return Ok(false),
            // It cannot be read any more, but there is one of exactly this size where there was none.
            Some(meta) if meta.frozen => return Ok(true),
            Some(_) => {}
            None => return Ok(false),
        }
        let ends_at = size - self.last_bytes.1.len() as u64;
        Ok(self.cloud.get_range(&self.key, 0..self.first_bytes.len() as u64)? == self.first_bytes
            && self.cloud.get_range(&self.key, ends_at..size)? == self.last_bytes.1)
    }
}

enum Outcome {
    Done,
    Taken,
    Unclear,
}

/// What the services say of an upload that has been completed (or aborted) already.
fn gone(code: &str) -> bool {
    matches!(code, "NoSuchUpload" | "InvalidBlockList")
}

/// Best effort: what stays of an upload that was never completed costs money until somebody finds it (see `abandoned`).
impl Drop for CloudUpload {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        self.tasks.iter().for_each(JoinHandle::abort);
        let (cloud, path) = (self.cloud.clone(), self.path.clone());
        let (tell, told) = mpsc::sync_channel(1);
        let aborting = runtime::spawn(async move {
            let _ = tokio::time::timeout(ABORT_TIME, cloud.client.parts().abort_multipart(&path, &id)).await;
            let _ = tell.send(());
        });
        if aborting.is_ok() {
            let _ = told.recv_timeout(ABORT_TIME);
        }
    }
}
