//! Where a file has data, and where it has none.

use std::io;
use std::os::fd::AsFd;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

use crate::format::index::Sparse;
use crate::format::tarball::BLOCK;

/// A shorter hole is stored as zeros: what tells of it would be as long.
const SHORTEST: u64 = 4096;
/// A map goes in front of its file; of more stretches than this, the shortest holes are stored as zeros.
const MOST: usize = 4096;

/// The map of a file with holes; none for one without.
pub(super) fn map(file: impl AsFd, size: u64) -> io::Result<Option<Sparse>> {
    let mut data: Vec<(u64, u64)> = Vec::new();
    let mut at = 0;
    while at < size {
        let from = match seek(&file, SeekFrom::Data(at)) {
            Ok(from) => from,
            // No data up to the end.
            Err(Errno::NXIO) => break,
            // A file system that knows no holes.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let to = seek(&file, SeekFrom::Hole(from))?.min(size);
        if from >= size || to <= from {
            break;
        }
        add(&mut data, from, to, size);
        at = to;
        if data.len() > 2 * MOST {
            data = fewer(&data);
        }
    }
    if data.len() > MOST {
        data = fewer(&data);
    }
    if data.iter().map(|(_, len)| len).sum::<u64>() == size {
        return Ok(None);
    }
    if data.last().is_none_or(|(from, len)| from + len < size) {
        data.push((size, 0));
    }
    Ok(Some(Sparse { size, data }))
}

/// Whole blocks of a tar, but for the last one of the file.
fn add(data: &mut Vec<(u64, u64)>, from: u64, to: u64, size: u64) {
    let block = BLOCK as u64;
    let (from, to) = (from / block * block, to.next_multiple_of(block).min(size));
    match data.last_mut() {
        Some((first, len)) if *first + *len + SHORTEST > from => *len = to - *first,
        _ => data.push((from, to - from)),
    }
}

/// Half as many stretches at the most: neighbours become one.
fn fewer(data: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let join = |pair: &[(u64, u64)]| {
        let (first, (last, len)) = (pair[0].0, pair[pair.len() - 1]);
        (first, last + len - first)
    };
    let each = data.len().div_ceil(MOST).max(2);
    data.chunks(each).map(join).collect()
}

/// Which bytes of the file a stretch of what is stored of it is, piece by piece: where in the file, and how many.
pub(super) fn of_stored(sparse: Option<&Sparse>, from: u64, len: u64) -> Vec<(u64, u64)> {
    sparse.map_or_else(|| vec![(from, len)], |sparse| sparse.places_of(from, len))
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, Write as _};

    use super::*;

    #[test]
    fn a_file_with_holes_is_told_from_one_without() {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&[1; 5000]).expect("written");
        assert_eq!(map(&file, 5000).expect("looked at"), None);
        file.seek(io::SeekFrom::Start(1 << 20)).expect("there");
        file.write_all(b"end").expect("written");
        file.set_len(3 << 20).expect("longer");
        let sparse = map(&file, 3 << 20).expect("looked at").expect("it has holes");
        assert_eq!(sparse.data, [(0, 8192), (1 << 20, 4096), (3 << 20, 0)]);
        assert!(sparse.fits(8192 + 4096));
        assert_eq!(of_stored(Some(&sparse), 8000, 300), [(8000, 192), (1 << 20, 108)]);
        let empty = tempfile::tempfile().expect("a file");
        empty.set_len(1 << 30).expect("longer");
        let sparse = map(&empty, 1 << 30).expect("looked at").expect("a hole");
        assert_eq!((sparse.data.as_slice(), of_stored(Some(&sparse), 0, 0)), (&[(1 << 30, 0)][..], vec![]));
    }

    #[test]
    fn too_many_stretches_become_fewer() {
        let data: Vec<(u64, u64)> = (0..10_000).map(|number| (number * 100_000, 512)).collect();
        let few = fewer(&data);
        assert!(few.len() <= MOST && few[0].0 == 0 && few.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0));
        assert_eq!(few.last().map(|(from, len)| from + len), data.last().map(|(from, len)| from + len));
    }
}
