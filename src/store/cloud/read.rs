//! Looking and reading: exactly what was asked for, or a fault that says why not.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use object_store::path::Path;
use object_store::{GetOptions, GetRange};
use tokio::time::{sleep, timeout};

use super::failure::Failure;
use super::wire::{self, Heard};
use super::{Cloud, Doing, PIECE_SIZE, meta, runtime, thaw};
use crate::store::patience::Attempts;
use crate::store::{Fault, FaultKind, Key, Meta};

impl Cloud {
    /// What the store says, and what else was heard with it.
    pub(super) async fn look(&self, key: &Key) -> Result<Option<(Meta, Heard)>, Fault> {
        let path = self.path(key)?;
        let asked = |head: bool| {
            let (path, options) = (path.clone(), GetOptions { head, ..GetOptions::default() });
            async move { self.client.objects().get_opts(&path, options).await }
        };
        let mut answer = self.patiently(self.silence(), || asked(true)).await;
        if matches!(&answer, Err(failure) if failure.kind == FaultKind::Absent) {
            // The answer to HEAD has no words. GET's say what it is that is not there: the object or the whole bucket.
            answer = self.patiently(self.silence(), || asked(false)).await;
        }
        match answer {
            Ok(found) => {
                let heard = found.extensions.get::<Heard>().cloned().unwrap_or_default();
                let frozen = heard.class.as_deref().is_some_and(wire::is_frozen) && !thaw::is_thawed(heard.restore.as_deref());
                let class = self.class_of(heard.class.as_deref());
                Ok(Some((Meta { class, frozen, ..meta(key.clone(), &found.meta) }, heard)))
            }
            Err(failure) if failure.kind == FaultKind::Absent => self.absent(failure, key).await.map(|_| None),
            Err(failure) => Err(self.fault(&failure, Doing::Reading, key.as_str())),
        }
    }

    /// Absent is said only of an object in a store that is there. Some servers say the same of a bucket that is not.
    pub(super) async fn absent(&self, failure: Failure, key: &Key) -> Result<Fault, Fault> {
        let absent = self.fault(&failure, Doing::Reading, key.as_str());
        if !self.client.is_custom() && !failure.code.is_empty() {
            return Ok(absent);
        }
        self.is_there().await.map(|()| absent).map_err(|failure| self.fault(&failure, Doing::Reading, key.as_str()))
    }

    pub(super) async fn is_there(&self) -> Result<(), Failure> {
        match self.page(self.prefix.as_str(), None, None, Some(1), false).await {
            Ok(_) => Ok(()),
            // Whoever may read but not list is believed when the server names the object.
            Err(failure) if failure.kind == FaultKind::Denied => Ok(()),
            Err(failure) if failure.kind == FaultKind::Absent => Err(Failure { kind: FaultKind::NoStore, ..failure }),
            Err(failure) => Err(failure),
        }
    }

    /// A failure to read, with absence made sure of.
    pub(super) async fn unread(&self, failure: Failure, key: &Key) -> Fault {
        if failure.kind == FaultKind::Absent {
            return self.absent(failure, key).await.unwrap_or_else(|fault| fault);
        }
        self.fault(&failure, Doing::Reading, key.as_str())
    }

    pub(in crate::store) fn knock(self: &Arc<Self>) -> Result<(), Fault> {
        let this = self.clone();
        runtime::wait(async move { this.is_there().await.map_err(|failure| this.fault(&failure, Doing::Listing, "everything")) })
    }

    pub(in crate::store) fn head(self: &Arc<Self>, key: &Key) -> Result<Option<Meta>, Fault> {
        let (this, key) = (self.clone(), key.clone());
        runtime::wait(async move { Ok(this.look(&key).await?.map(|(meta, _)| meta)) })
    }

    pub(super) async fn read_whole(&self, key: &Key, limit: usize) -> Result<Bytes, Fault> {
        let path = self.path(key)?;
        self.is_not_silent().map_err(|failure| self.fault(&failure, Doing::Reading, key.as_str()))?;
        let mut attempts = Attempts::new(self.patience);
        loop {
            let mut failure = match self.whole_once(&path, limit).await {
                Ok(Some(bytes)) => {
                    self.answered();
                    return Ok(bytes);
                }
                Ok(None) => {
                    let message = format!("{key} in {} has more than {limit} bytes", self.url);
                    return Err(Fault::new(FaultKind::Damaged, message, "It is not what its name says."));
                }
                Err(failure) => failure,
            };
            failure.unclear = attempts.unclear();
            match attempts.again() {
                Some(delay) if failure.is_transient() => sleep(delay).await,
                _ => {
                    self.gave_up(&attempts, &failure);
                    return Err(self.unread(failure, key).await);
                }
            }
        }
    }

    /// `None` when it is longer than `limit`.
    pub(super) async fn whole_once(&self, path: &Path, limit: usize) -> Result<Option<Bytes>, Failure> {
        let answer = timeout(self.silence(), self.client.objects().get_opts(path, GetOptions::default())).await;
        let found = answer.map_err(|_| Failure::slow(self.silence()))?.map_err(|error| Failure::of(&error))?;
        let size = found.meta.size;
        if size > limit as u64 {
            return Ok(None);
        }
        let mut bytes = BytesMut::with_capacity(usize::try_from(size).unwrap_or(usize::MAX).min(2 * PIECE_SIZE));
        drain(found, size, self.silence(), &mut bytes).await?;
        Ok(Some(bytes.freeze()))
    }

    pub(in crate::store) fn get(self: &Arc<Self>, key: &Key, limit: usize) -> Result<Bytes, Fault> {
        let (this, key) = (self.clone(), key.clone());
        runtime::wait(async move { this.read_whole(&key, limit).await })
    }

    pub(in crate::store) fn get_range(self: &Arc<Self>, key: &Key, range: Range<u64>) -> Result<Bytes, Fault> {
        let (this, key) = (self.clone(), key.clone());
        runtime::wait(async move { this.read_range(&key, range).await })
    }

    /// Exactly these bytes. A cut connection is taken up again where it was cut.
    pub(super) async fn read_range(&self, key: &Key, range: Range<u64>) -> Result<Bytes, Fault> {
        let path = self.path(key)?;
        let wanted = range.end.saturating_sub(range.start);
        let mut bytes = BytesMut::with_capacity(usize::try_from(wanted).unwrap_or(usize::MAX).min(2 * PIECE_SIZE));
        if wanted == 0 {
            return Ok(bytes.freeze());
        }
        self.is_not_silent().map_err(|failure| self.fault(&failure, Doing::Reading, key.as_str()))?;
        let mut attempts = Attempts::new(self.patience);
        loop {
            let before = bytes.len();
            let rest = range.start + before as u64..range.end;
            let mut failure = match self.range_once(&path, rest, &mut bytes).await {
                Ok(()) => {
                    self.answered();
                    return Ok(bytes.freeze());
                }
                Err(failure) => failure,
            };
            if bytes.len() > before {
                attempts.progressed();
            }
            failure.unclear = attempts.unclear();
            if failure.senseless {
                // Some servers answer oddly when asked for what is beyond the end.
                match self.look(key).await? {
                    Some((meta, _)) if meta.size < range.end => failure.kind = FaultKind::Damaged,
                    _ => {}
                }
            }
            if failure.kind == FaultKind::Damaged {
                let message = format!("{key} in {} ends before byte {}: {}", self.url, range.end, failure.said);
                return Err(Fault::new(FaultKind::Damaged, message, "The object is cut short."));
            }
            match attempts.again() {
                Some(delay) if failure.is_transient() => sleep(delay).await,
                _ => {
                    self.gave_up(&attempts, &failure);
                    return Err(self.unread(failure, key).await);
                }
            }
        }
    }

    pub(super) async fn range_once(&self, path: &Path, range: Range<u64>, into: &mut BytesMut) -> Result<(), Failure> {
        let options = GetOptions { range: Some(GetRange::Bounded(range.clone())), ..GetOptions::default() };
        let answer = timeout(self.silence(), self.client.objects().get_opts(path, options)).await;
        let found = answer.map_err(|_| Failure::slow(self.silence()))?.map_err(|error| Failure::of(&error))?;
        if found.meta.size < range.end {
            return Err(Failure::new(FaultKind::Damaged, format!("it has {} bytes", found.meta.size), ""));
        }
        drain(found, range.end - range.start, self.silence(), into).await
    }
}

/// Reads what was promised, and notices when less or more comes.
async fn drain(found: object_store::GetResult, wanted: u64, silence: Duration, into: &mut BytesMut) -> Result<(), Failure> {
    let mut stream = found.into_stream();
    let mut left = wanted;
    while let Some(chunk) = timeout(silence, stream.next()).await.map_err(|_| Failure::slow(silence))? {
        let chunk = chunk.map_err(|error| Failure::of(&error))?;
        let fits = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
        into.extend_from_slice(&chunk[..fits]);
        left -= fits as u64;
        if fits < chunk.len() {
            return Err(Failure::new(FaultKind::Damaged, "more came than was asked for", ""));
        }
    }
    if left > 0 { Err(Failure::cut_short()) } else { Ok(()) }
}
