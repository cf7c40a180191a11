//! A stream out of ranged reads, a few of them ahead of the reader.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::{Cloud, runtime};
use crate::store::{Fault, Key};

/// Small at first, so that whoever wants little gets it soon.
const FIRST: u64 = 1 << 20;
const CHUNK: u64 = 4 << 20;
/// Reads on their way: with the one being read, at most 16 MiB of memory a reader.
const AHEAD: usize = 3;

#[derive(Debug)]
pub(in crate::store) struct CloudReader {
    cloud: Arc<Cloud>,
    key: Key,
    now: Bytes,
    coming: VecDeque<JoinHandle<Result<Bytes, Fault>>>,
    /// What nobody has been asked for yet.
    rest: Range<u64>,
    next_size: u64,
}

impl CloudReader {
    /// Waits for the first bytes, so that an absent object is known here and not somewhere in the middle of a stream.
    pub(in crate::store) fn open(cloud: &Arc<Cloud>, key: &Key, range: Range<u64>) -> Result<CloudReader, Fault> {
        let mut reader = CloudReader {
            cloud: cloud.clone(),
            key: key.clone(),
            now: Bytes::new(),
            coming: VecDeque::new(),
            rest: range,
            next_size: FIRST,
        };
        reader.advance()?;
        Ok(reader)
    }

    fn ask_ahead(&mut self) -> Result<(), Fault> {
        while self.coming.len() < AHEAD && !self.rest.is_empty() {
            let end = self.rest.end.min(self.rest.start + self.next_size);
            let range = self.rest.start..end;
            self.rest.start = end;
            self.next_size = CHUNK;
            let (cloud, key) = (self.cloud.clone(), self.key.clone());
            self.coming.push_back(runtime::spawn(async move { cloud.read_range(&key, range).await })?);
        }
        Ok(())
    }

    fn advance(&mut self) -> Result<(), Fault> {
        self.now = Bytes::new();
        self.ask_ahead()?;
        if let Some(next) = self.coming.pop_front() {
            self.now = runtime::wait(async move { next.await.unwrap_or_else(|_| Err(runtime::lost())) })?;
        }
        // The place that became free is used while the caller works on what came.
        self.ask_ahead()
    }

    pub(in crate::store) fn read(&mut self, into: &mut [u8]) -> Result<usize, Fault> {
        if self.now.is_empty() {
            self.advance()?;
        }
        let count = self.now.len().min(into.len());
        into[..count].copy_from_slice(&self.now.split_to(count));
        Ok(count)
    }
}

impl Drop for CloudReader {
    fn drop(&mut self) {
        self.coming.iter().for_each(JoinHandle::abort);
    }
}
