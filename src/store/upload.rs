use bytes::Bytes;

use super::cloud::CloudUpload;
use super::faulty::FaultyUpload;
use super::{Fault, local};

/// One object on its way, in pieces that may be put in any order. Dropped before `finish`, nothing stays of it.
#[derive(Debug)]
pub struct Upload {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Local(local::LocalUpload),
    Cloud(Box<CloudUpload>),
    Faulty(Box<FaultyUpload>),
}

impl Upload {
    pub(super) fn local(upload: local::LocalUpload) -> Upload {
        Upload { kind: Kind::Local(upload) }
    }

    pub(super) fn cloud(upload: CloudUpload) -> Upload {
        Upload { kind: Kind::Cloud(Box::new(upload)) }
    }

    pub(super) fn faulty(upload: FaultyUpload) -> Upload {
        Upload { kind: Kind::Faulty(Box::new(upload)) }
    }

    /// How large piece `index` (from 0) must be, where it is not the last.
    pub fn piece_size(&self, index: u32) -> usize {
        match &self.kind {
            Kind::Local(_) => local::PIECE_SIZE,
            Kind::Cloud(upload) => upload.piece_size(index),
            Kind::Faulty(upload) => upload.inner.piece_size(index),
        }
    }

    /// Sends piece `index` (from 0). Waits while too many are on their way; a fault of an earlier piece may come out here.
    pub fn put(&mut self, index: u32, piece: Bytes) -> Result<(), Fault> {
        match &mut self.kind {
            Kind::Local(upload) => upload.put(index, piece),
            Kind::Cloud(upload) => upload.put(index, piece),
            Kind::Faulty(upload) => upload.put(index, &piece),
        }
    }

    /// Waits for all pieces and makes the object visible, whole. Durable when it returns.
    pub fn finish(self) -> Result<(), Fault> {
        match self.kind {
            Kind::Local(upload) => upload.finish(),
            Kind::Cloud(upload) => upload.finish(),
            Kind::Faulty(upload) => upload.finish(),
        }
    }
}
