//! A tar of which every byte is known beforehand: a header that the index makes, a file's bytes with the hash that the index has, zeros up to
//! the end of a block; and zeros at the end of all.

use crc_fast::{CrcAlgorithm::Crc32Iscsi, Digest};

use crate::format::index::{Frame, Kind, Piece};
use crate::format::member;
use crate::format::tarball::{END, padding};

#[derive(Default)]
pub(super) struct Exact {
    /// Of the current file, so far.
    crc: Option<Digest>,
    header: Vec<u8>,
}

impl Exact {
    /// The pieces' hashes were checked. What lies in other backups is no part of the tar.
    pub(super) fn frame(&mut self, frame: &Frame, plain: &[u8]) -> Result<(), String> {
        if frame.pieces.is_empty() {
            return if plain == END { Ok(()) } else { Err("there is something at its end that no index knows".into()) };
        }
        let mut at = 0;
        for piece in frame.pieces.iter().filter(|piece| piece.lies.is_none()) {
            at = self.piece(piece, plain, at)?;
        }
        if at == plain.len() { Ok(()) } else { Err("there is something behind its files that no index knows".into()) }
    }

    fn piece(&mut self, piece: &Piece, plain: &[u8], mut at: usize) -> Result<usize, String> {
        let differs = || format!("what the tar says of `{}` is not what its index says", piece.path);
        if piece.from == 0 {
            self.header.clear();
            member::header(piece, &mut self.header);
            if !plain[at..].starts_with(&self.header) {
                return Err(differs());
            }
            at += self.header.len();
            self.crc = Some(Digest::new(Crc32Iscsi));
        }
        if at != piece.skip as usize {
            return Err(differs());
        }
        let bytes = &plain[at..at + piece.len as usize];
        at += bytes.len();
        if piece.kind != Kind::File {
            return Ok(at);
        }
        let mut crc = self.crc.take().ok_or_else(differs)?;
        crc.update(bytes);
        if piece.from + u64::from(piece.len) < piece.size {
            self.crc = Some(crc);
            return Ok(at);
        }
        if piece.crc.is_none_or(|said| u64::from(said) != crc.finalize() & 0xFFFF_FFFF) {
            return Err(format!("the CRC-32C of `{}` is not the one in the index", piece.path));
        }
        let end = at + padding(piece.size);
        match plain.get(at..end) {
            Some(zeros) if zeros.iter().all(|byte| *byte == 0) => Ok(end),
            _ => Err(differs()),
        }
    }
}
