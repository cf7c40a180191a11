use std::io::Read;
use std::ops::Range;
use std::sync::Arc;

use super::{Call, Effect, Faulty};
use crate::store::patience::Attempts;
use crate::store::{Fault, FaultKind, Key, Reader};

/// A stream that is cut when the schedule says so, and goes on where it was cut.
#[derive(Debug)]
pub(in crate::store) struct FaultyReader {
    store: Arc<Faulty>,
    key: Key,
    rest: Range<u64>,
    inner: Option<Box<Reader>>,
}

impl FaultyReader {
    pub(in crate::store) fn open(store: &Arc<Faulty>, key: &Key, range: Range<u64>) -> Result<FaultyReader, Fault> {
        let inner = store.patiently(Call::Begin, || store.inner.reader(key, range.clone())).0?;
        Ok(FaultyReader { store: store.clone(), key: key.clone(), rest: range, inner: Some(Box::new(inner)) })
    }

    pub(in crate::store) fn read(&mut self, into: &mut [u8]) -> Result<usize, Fault> {
        let mut attempts = Attempts::new(self.store.patience);
        loop {
            match self.once(into) {
                Err(fault) if fault.is_transient() => {
                    // The connection is gone.
                    self.inner = None;
                    std::thread::sleep(attempts.again().ok_or(fault)?);
                }
                done => return done,
            }
        }
    }

    fn once(&mut self, into: &mut [u8]) -> Result<usize, Fault> {
        let mut half = into.len();
        match self.store.schedule.next(Call::Read) {
            Some(Effect::Truncated) if into.len() > 1 => half = into.len() / 2,
            Some(Effect::Vanished) => return Err(self.store.fault(FaultKind::NoStore, "404 NoSuchBucket")),
            Some(Effect::Revoked) => return Err(self.store.fault(FaultKind::Denied, "403 InvalidAccessKeyId")),
            Some(Effect::Permanent) => return Err(self.store.fault(FaultKind::Other, "400 InvalidRequest")),
            None | Some(Effect::Stopped) => {}
            Some(_) => return Err(self.store.fault(FaultKind::Transient, "the connection was reset")),
        }
        let reader = match &mut self.inner {
            Some(reader) => reader,
            None => self.inner.insert(Box::new(self.store.inner.reader(&self.key, self.rest.clone())?)),
        };
        let got = reader.read(&mut into[..half]).map_err(|error| match Fault::from_io(&error) {
            Some(fault) => fault.clone(),
            None => Fault::of_io(&error, &format!("reading {}", self.key)),
        })?;
        self.rest.start += got as u64;
        if half < into.len() {
            // What came came; the rest needs a new connection.
            self.inner = None;
        }
        self.store.carry(got);
        Ok(got)
    }
}
