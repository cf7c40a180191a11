use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use super::exact::Exact;
use super::invalid;
use crate::format::codec::{Codec, Expander};
use crate::format::index::{Frame, Frames, Kind, Piece};

/// No frame is larger, compressed or not: 8 MiB of input, and room for what does not compress.
const MAX_FRAME: u32 = 64 << 20;

/// What the index says that the tar holds next.
#[derive(Debug)]
pub(super) struct Expected {
    pub path: String,
    pub kind: Kind,
    pub link: Option<String>,
    pub size: u64,
    /// Where in the tar its bytes begin.
    pub at: u64,
    /// Up to where the pieces have come.
    covered: u64,
    /// Of the whole file, once its last piece is known.
    pub crc: Option<u32>,
}

pub(super) type Queue = Rc<RefCell<VecDeque<Expected>>>;

/// The tar, frame by frame as the index says; every piece's hash is checked on the way.
pub(super) struct FrameReader<B, I> {
    body: B,
    index: Frames<I>,
    expander: Expander,
    expected: Queue,
    sealed: Vec<u8>,
    plain: Vec<u8>,
    taken: usize,
    /// Where in the tar `plain` begins.
    at: u64,
    ended: bool,
    /// Also what is not the bytes of a file must be what the index makes of it.
    exact: Option<Exact>,
}

impl<B: Read, I: BufRead> FrameReader<B, I> {
    /// For a part of which every byte follows from its index and the files' bytes.
    pub(super) fn exact(self) -> Self {
        FrameReader { exact: Some(Exact::default()), ..self }
    }

    pub(super) fn new(body: B, index: I, codec: Codec, expected: Queue) -> io::Result<Self> {
        let (index, expander) = (Frames::new(index), Expander::new(codec)?);
        Ok(FrameReader {
            body,
            index,
            expander,
            expected,
            sealed: Vec::new(),
            plain: Vec::new(),
            taken: 0,
            at: 0,
            ended: false,
            exact: None,
        })
    }

    fn next_frame(&mut self) -> io::Result<()> {
        self.at += self.plain.len() as u64;
        self.plain.clear();
        self.taken = 0;
        let Some(frame) = self.index.next() else {
            self.ended = true;
            return match self.body.read(&mut [0])? {
                0 => Ok(()),
                _ => Err(invalid("it goes on where its index ends")),
            };
        };
        let frame = frame.map_err(|error| match error {
            crate::format::index::BadIndex::Read(error) => error,
            other => invalid(other.to_string()),
        })?;
        if frame.len > MAX_FRAME || frame.raw > MAX_FRAME {
            return Err(invalid("a frame is larger than any that is written"));
        }
        self.sealed.resize(frame.len as usize, 0);
        self.body.read_exact(&mut self.sealed)?;
        self.plain.resize(frame.raw as usize, 0);
        // What lies in other backups alone has no frame here.
        if frame.len > 0 {
            self.expander.expand(&self.sealed, &mut self.plain)?;
        }
        self.check(&frame)
    }

    fn check(&mut self, frame: &Frame) -> io::Result<()> {
        for piece in &frame.pieces {
            if piece.lies.is_some() {
                if self.exact.is_none() {
                    return Err(invalid(format!("the index has `{}` in another backup", piece.path)));
                }
                continue;
            }
            let bytes = &self.plain[piece.skip as usize..(piece.skip + piece.len) as usize];
            if piece.hash.is_some_and(|hash| hash.0 != *blake3::hash(bytes).as_bytes()) {
                return Err(invalid(format!("the bytes of `{}` from {} on are not those that were read", piece.path, piece.from)));
            }
            if piece.hash.is_none() && piece.len > 0 {
                return Err(invalid(format!("the index has no hash for `{}`", piece.path)));
            }
            self.expect(piece)?;
        }
        match &mut self.exact {
            Some(exact) => exact.frame(frame, &self.plain).map_err(invalid),
            None => Ok(()),
        }
    }

    fn expect(&self, piece: &Piece) -> io::Result<()> {
        let mut expected = self.expected.borrow_mut();
        if piece.from == 0 {
            expected.push_back(Expected {
                path: piece.path.clone(),
                kind: piece.kind,
                link: piece.link.clone(),
                size: piece.size,
                at: self.at + u64::from(piece.skip),
                covered: piece.len.into(),
                crc: piece.crc,
            });
            return Ok(());
        }
        match expected.back_mut().filter(|file| file.path == piece.path && file.covered == piece.from && file.size == piece.size) {
            Some(file) => {
                file.covered += u64::from(piece.len);
                file.crc = piece.crc;
                Ok(())
            }
            None => Err(invalid(format!("the index tells `{}` in pieces that do not join", piece.path))),
        }
    }
}

impl Expected {
    pub(super) fn is_covered(&self) -> bool {
        self.covered == self.size
    }
}

impl<B: Read, I: BufRead> Read for FrameReader<B, I> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.plain.len() {
            if self.ended {
                return Ok(0);
            }
            self.next_frame()?;
        }
        let rest = &self.plain[self.taken..];
        let got = rest.len().min(into.len());
        into[..got].copy_from_slice(&rest[..got]);
        self.taken += got;
        Ok(got)
    }
}
