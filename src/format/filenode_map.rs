//! `pg_filenode.map`: the files of those catalogs that a server must find before it can read any.

use std::collections::BTreeMap;

use thiserror::Error;

pub const FILE: &str = "pg_filenode.map";
const MAGIC: u32 = 0x0059_2717;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadMap {
    #[error("{FILE} has {0} bytes, and no version of PostgreSQL writes such a one")]
    Length(usize),
    #[error("{FILE} is none: it does not begin like one")]
    Magic,
    #[error("{FILE} has a wrong checksum")]
    Checksum,
}

/// Which number of a relation has which number in its files' names.
pub fn parse(bytes: &[u8]) -> Result<BTreeMap<u32, u32>, BadMap> {
    // 62 places up to 15, with a word that only fills it up at its end; 64 since.
    let (places, crc_at) = match bytes.len() {
        512 => (62, 504),
        524 => (64, 520),
        other => return Err(BadMap::Length(other)),
    };
    let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    if word(0) != MAGIC {
        return Err(BadMap::Magic);
    }
    if crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &bytes[..crc_at]) != u64::from(word(crc_at)) {
        return Err(BadMap::Checksum);
    }
    let count = usize::try_from(word(4)).unwrap_or(usize::MAX).min(places);
    Ok((0..count).map(|number| (word(8 + 8 * number), word(12 + 8 * number))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(length: usize, crc_at: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        for (at, word) in [MAGIC, 2, 1259, 16_500, 1249, 1249].into_iter().enumerate() {
            bytes[4 * at..4 * at + 4].copy_from_slice(&word.to_le_bytes());
        }
        let crc = u32::try_from(crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &bytes[..crc_at])).expect("32 bits");
        bytes[crc_at..crc_at + 4].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    #[test]
    fn both_lengths_are_read() {
        for (length, crc_at) in [(512, 504), (524, 520)] {
            let bytes = map(length, crc_at);
            assert_eq!(parse(&bytes), Ok(BTreeMap::from([(1259, 16_500), (1249, 1249)])));
            let mut bad = bytes.clone();
            bad[12] ^= 1;
            assert_eq!(parse(&bad), Err(BadMap::Checksum));
            bad[0] ^= 1;
            assert_eq!(parse(&bad), Err(BadMap::Magic));
        }
        assert_eq!(parse(&[0; 100]), Err(BadMap::Length(100)));
    }
}
