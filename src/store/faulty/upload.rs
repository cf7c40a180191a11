use std::sync::Arc;

use bytes::Bytes;

use super::{Call, Effect, Faulty};
use crate::store::patience::Attempts;
use crate::store::{Fault, FaultKind, Key, Upload};

#[derive(Debug)]
pub(in crate::store) struct FaultyUpload {
    store: Arc<Faulty>,
    pub(in crate::store) inner: Upload,
}

impl FaultyUpload {
    pub(in crate::store) fn begin(store: &Arc<Faulty>, key: &Key) -> Result<FaultyUpload, Fault> {
        let inner = store.patiently(Call::Begin, || store.inner.upload(key)).0?;
        Ok(FaultyUpload { store: store.clone(), inner })
    }

    /// A piece that arrived and whose answer was lost, or that arrived twice, is sent once: the store below counts them.
    pub(in crate::store) fn put(&mut self, index: u32, piece: &Bytes) -> Result<(), Fault> {
        self.store.carry(piece.len());
        self.store.patiently(Call::Piece, || Ok(())).0?;
        self.inner.put(index, piece.clone())
    }

    /// After a lost answer the upload finds its own object there, if it has the patience to look.
    pub(in crate::store) fn finish(self) -> Result<(), Fault> {
        let mut attempts = Attempts::new(self.store.patience);
        loop {
            let fault = match self.store.schedule.next(Call::Finish) {
                None | Some(Effect::Twice | Effect::Stopped) => return self.inner.finish(),
                Some(Effect::AfterCommit | Effect::Truncated) => {
                    self.inner.finish()?;
                    return match attempts.again() {
                        Some(_) => Ok(()),
                        None => Err(self.store.fault(FaultKind::Transient, "the answer was lost")),
                    };
                }
                Some(Effect::Permanent) => self.store.fault(FaultKind::Other, "400 InvalidRequest"),
                Some(Effect::Vanished) => self.store.fault(FaultKind::NoStore, "404 NoSuchBucket"),
                Some(Effect::Revoked) => self.store.fault(FaultKind::Denied, "403 InvalidAccessKeyId"),
                Some(Effect::Transient | Effect::Timeout | Effect::Throttled) => {
                    self.store.fault(FaultKind::Transient, "the connection was reset")
                }
            };
            match attempts.again() {
                Some(delay) if fault.is_transient() => std::thread::sleep(delay),
                _ => return Err(fault),
            }
        }
    }
}
