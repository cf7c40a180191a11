//! A store that misbehaves on purpose and on schedule. It lives in the library because everything that writes is swept with
//! it: "what if the n-th call fails?", for every n.
//!
//! Which faults it may inject, and no others:
//!
//! * `transient`, `timeout`, `throttled`: the call has no effect, and the same call may work a moment later.
//! * `permanent`: the call has no effect and never will.
//! * `after-commit`: the call has its effect, and the answer is lost.
//! * `twice`: the request reaches the store twice; the second answer is the one that comes back.
//! * `truncated`: an answer to a read is cut off in the middle.
//! * `vanished`: from that call on, the bucket is not there.
//! * `revoked`: from that call on, the credentials are not accepted.
//! * `stopped`: the process sleeps, as with SIGSTOP, right before the call, until somebody lets it go on.
//! * a slow link: so many bytes a second, both ways together.
//!
//! It never returns wrong bytes, never loses what was acknowledged, and never reorders calls. What is transient is tried
//! again with the same patience and the same rules as in the clouds; with no patience the fault comes out.

mod reader;
mod schedule;
mod upload;

use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

pub(super) use reader::FaultyReader;
pub use schedule::{Call, Effect, Faults, Tally};
pub(super) use upload::FaultyUpload;

use super::pace::Pace;
use super::patience::Attempts;
use super::{Fault, FaultKind, Key, Locked, Meta, Moved, Purged, Put, Store, Thaw};
use crate::units::{Haste, StorageClass};
use schedule::Schedule;

/// How long a call hangs before it times out; short, because nobody learns anything from waiting.
const TIMEOUT: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(super) struct Faulty {
    pub(super) inner: Store,
    schedule: Arc<Schedule>,
    patience: Duration,
    link: Option<Pace>,
}

impl Faulty {
    pub(super) fn new(inner: Store, faults: Faults) -> Faulty {
        Faulty { inner, patience: faults.patience, link: faults.link.map(Pace::new), schedule: faults.schedule }
    }

    fn fault(&self, kind: FaultKind, what: &str) -> Fault {
        Fault::new(kind, format!("{what} ({}, injected)", self.inner.url()), "This fault was asked for by a test.")
    }

    fn carry(&self, bytes: usize) {
        if let Some(link) = &self.link {
            link.wait(bytes);
        }
    }

    /// One attempt, as the schedule wants it.
    fn attempt<T>(&self, call: Call, act: &mut dyn FnMut() -> Result<T, Fault>) -> Result<T, Fault> {
        match self.schedule.next(call) {
            None | Some(Effect::Stopped) => act(),
            Some(Effect::Transient) => Err(self.fault(FaultKind::Transient, "the connection was reset")),
            Some(Effect::Timeout) => {
                std::thread::sleep(TIMEOUT);
                Err(self.fault(FaultKind::Transient, "no answer in time"))
            }
            Some(Effect::Throttled) => Err(self.fault(FaultKind::Transient, "503 SlowDown")),
            Some(Effect::Permanent) => Err(self.fault(FaultKind::Other, "400 InvalidRequest")),
            Some(Effect::AfterCommit | Effect::Truncated) => {
                act()?;
                Err(self.fault(FaultKind::Transient, "the answer was lost"))
            }
            Some(Effect::Twice) => act().and_then(|_| act()),
            Some(Effect::Vanished) => Err(self.fault(FaultKind::NoStore, "404 NoSuchBucket")),
            Some(Effect::Revoked) => Err(self.fault(FaultKind::Denied, "403 InvalidAccessKeyId")),
        }
    }

    /// All attempts. The second part says whether an earlier one may have had its effect.
    fn patiently<T>(&self, call: Call, mut act: impl FnMut() -> Result<T, Fault>) -> (Result<T, Fault>, bool) {
        let mut attempts = Attempts::new(self.patience);
        loop {
            let done = self.attempt(call, &mut act);
            let unclear = attempts.unclear();
            match done {
                Err(fault) if fault.is_transient() => match attempts.again() {
                    Some(delay) => std::thread::sleep(delay),
                    None => return (Err(fault), unclear),
                },
                done => return (done, unclear),
            }
        }
    }

    pub(super) fn put_new(&self, key: &Key, body: &Bytes) -> Result<Put, Fault> {
        self.carry(body.len());
        match self.patiently(Call::PutNew, || self.inner.put_new(key, body.clone())) {
            (Ok(Put::Exists), true) => match self.get(key, body.len()) {
                Ok(there) if there == *body => Ok(Put::Created),
                Ok(_) => Ok(Put::Exists),
                Err(fault) if fault.kind == FaultKind::Damaged => Ok(Put::Exists),
                Err(fault) => Err(fault),
            },
            (done, _) => done,
        }
    }

    pub(super) fn replace(&self, key: &Key, body: &Bytes) -> Result<(), Fault> {
        self.carry(body.len());
        self.patiently(Call::Replace, || self.inner.replace(key, body.clone())).0
    }

    pub(super) fn head(&self, key: &Key) -> Result<Option<Meta>, Fault> {
        self.patiently(Call::Head, || self.inner.head(key)).0
    }

    pub(super) fn settle(&self, key: &Key) -> Result<(), Fault> {
        self.inner.settle(key)
    }

    pub(super) fn get(&self, key: &Key, limit: usize) -> Result<Bytes, Fault> {
        let bytes = self.patiently(Call::Get, || self.inner.get(key, limit)).0?;
        self.carry(bytes.len());
        Ok(bytes)
    }

    pub(super) fn get_range(&self, key: &Key, range: Range<u64>) -> Result<Bytes, Fault> {
        let bytes = self.patiently(Call::GetRange, || self.inner.get_range(key, range.clone())).0?;
        self.carry(bytes.len());
        Ok(bytes)
    }

    /// A listing fails before its first name, or not at all.
    pub(super) fn list_after(&self, prefix: &str, after: Option<&Key>, each: &mut dyn FnMut(Meta) -> ControlFlow<()>) -> Result<(), Fault> {
        self.patiently(Call::List, || Ok(())).0?;
        self.inner.list_after(prefix, after, each)
    }

    pub(super) fn folders(&self, prefix: &str) -> Result<Vec<String>, Fault> {
        self.patiently(Call::List, || self.inner.folders(prefix)).0
    }

    pub(super) fn delete(&self, keys: &[Key]) -> Result<(), Fault> {
        self.patiently(Call::Delete, || self.inner.delete(keys)).0
    }

    pub(super) fn purge(&self, keys: &[Key]) -> Result<Purged, Fault> {
        self.patiently(Call::Delete, || self.inner.purge(keys)).0
    }

    pub(super) fn locks(&self, keys: &[Key]) -> Result<Vec<Locked>, Fault> {
        self.patiently(Call::Head, || self.inner.locks(keys)).0
    }

    pub(super) fn thaw_state(&self, key: &Key) -> Result<Option<Thaw>, Fault> {
        self.patiently(Call::Head, || self.inner.thaw_state(key)).0
    }

    pub(super) fn thaw(&self, key: &Key, days: u32, haste: Haste) -> Result<(), Fault> {
        self.patiently(Call::Replace, || self.inner.thaw(key, days, haste)).0
    }

    pub(super) fn move_to(&self, key: &Key, class: StorageClass) -> Result<Moved, Fault> {
        self.patiently(Call::Replace, || self.inner.move_to(key, class)).0
    }
}
