use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::cloud::CloudReader;
use super::faulty::FaultyReader;
use super::{Fault, FaultKind, Key};

/// A range of an object as a stream. A fault comes out as an [`io::Error`] that holds it ([`Fault::from_io`]).
#[derive(Debug)]
pub struct Reader {
    kind: Kind,
    key: Key,
    at: u64,
    end: u64,
}

#[derive(Debug)]
enum Kind {
    Local(File),
    Cloud(CloudReader),
    Faulty(FaultyReader),
}

impl Reader {
    pub(super) fn local(file: File, key: Key, range: Range<u64>) -> Reader {
        Reader { kind: Kind::Local(file), key, at: range.start, end: range.end }
    }

    pub(super) fn faulty(reader: FaultyReader, key: Key, range: Range<u64>) -> Reader {
        Reader { kind: Kind::Faulty(reader), key, at: range.start, end: range.end }
    }

    pub(super) fn cloud(reader: CloudReader, key: Key, range: Range<u64>) -> Reader {
        Reader { kind: Kind::Cloud(reader), key, at: range.start, end: range.end }
    }
}

impl Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX).min(into.len());
        if wanted == 0 {
            return Ok(0);
        }
        let got = match &mut self.kind {
            Kind::Local(file) => file.read_at(&mut into[..wanted], self.at)?,
            Kind::Cloud(reader) => reader.read(&mut into[..wanted])?,
            Kind::Faulty(reader) => reader.read(&mut into[..wanted])?,
        };
        if got == 0 {
            let message = format!("{} ends at byte {}, before byte {}", self.key, self.at, self.end);
            return Err(Fault::new(FaultKind::Damaged, message, "The object is cut short; `seawall verify` says what else is.").into());
        }
        self.at += got as u64;
        Ok(got)
    }
}
