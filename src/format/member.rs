//! Members of a tar that carry all that a file system knows of a file: POSIX pax, with the records that GNU tar writes for access control
//! lists, extended attributes and holes, so that GNU tar brings everything back.
//!
//! A header is a function of what the index says. So whoever holds the two against each other knows that stock tools and Seawall restore
//! the same.

use std::io::Write as _;

use super::index::{Attributes, Kind, Piece, Sparse};
use super::tarball::{BLOCK, padded, padding};

/// The largest numbers that the octal digits of a header hold.
const MAX_ID: u32 = 0o777_7777;
const MAX_SIZE: u64 = 0o77_777_777_777;
const NAME: usize = 100;
const ACCOUNT: usize = 32;

/// Appends the header of the member that begins with this piece.
pub fn header(piece: &Piece, out: &mut Vec<u8>) {
    let fallback = Attributes::default();
    let more = piece.more.as_deref().unwrap_or(&fallback);
    let path = shown_path(piece, more);
    let records = records(piece, more, &path);
    if !records.is_empty() {
        out.extend_from_slice(&block(b"././@PaxHeader", b'x', b"", records.len() as u64, 0o600, piece.mtime, &fallback));
        out.extend_from_slice(&records);
        out.resize(out.len() + padding(records.len() as u64), 0);
    }
    let (kind, link, size): (u8, &[u8], u64) = match piece.kind {
        Kind::File => (b'0', b"", piece.size),
        Kind::HardLink => (b'1', piece.link_bytes(), 0),
        Kind::Link => (b'2', piece.link_bytes(), 0),
        Kind::Directory => (b'5', b"", 0),
        Kind::Fifo => (b'6', b"", 0),
    };
    out.extend_from_slice(&block(&path, kind, link, size, piece.mode, piece.mtime, more));
}

/// How much of a tar a member takes, before it is known exactly.
pub fn estimate(path: usize, size: u64) -> u64 {
    2 * BLOCK as u64 + padded(path as u64) + padded(size)
}

/// As the header names it. Whoever does not understand holes must not take what is stored of such a file for the file.
fn shown_path(piece: &Piece, more: &Attributes) -> Vec<u8> {
    let path = piece.path_bytes();
    if more.sparse.is_some() {
        let at = path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
        return [&path[..at], b"GNUSparseFile.0/", &path[at..]].concat();
    }
    let slash: &[u8] = if piece.kind == Kind::Directory { b"/" } else { b"" };
    [path, slash].concat()
}

fn records(piece: &Piece, more: &Attributes, path: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    if path.len() > NAME || !path.is_ascii() {
        record(b"path", path, &mut out);
    }
    let link = if matches!(piece.kind, Kind::Link | Kind::HardLink) { piece.link_bytes() } else { b"" };
    if link.len() > NAME || !link.is_ascii() {
        record(b"linkpath", link, &mut out);
    }
    if piece.size > MAX_SIZE {
        record(b"size", piece.size.to_string().as_bytes(), &mut out);
    }
    for (key, id, name, account) in [("uid", more.uid, "uname", &more.user), ("gid", more.gid, "gname", &more.group)] {
        if id > MAX_ID {
            record(key.as_bytes(), id.to_string().as_bytes(), &mut out);
        }
        if account.len() > ACCOUNT || !account.is_ascii() {
            record(name.as_bytes(), account.as_bytes(), &mut out);
        }
    }
    if more.nanos > 0 || !(0..=MAX_SIZE as i64).contains(&piece.mtime) {
        record(b"mtime", time(piece.mtime, more.nanos).as_bytes(), &mut out);
    }
    if let Some(acl) = &more.acl {
        record(b"SCHILY.acl.access", acl.as_bytes(), &mut out);
    }
    if let Some(acl) = &more.default_acl {
        record(b"SCHILY.acl.default", acl.as_bytes(), &mut out);
    }
    for (name, value) in &more.xattrs {
        // What would end the key.
        let name = name.replace('%', "%25").replace('=', "%3D");
        record(format!("SCHILY.xattr.{name}").as_bytes(), &value.0, &mut out);
    }
    if let Some(sparse) = &more.sparse {
        holes(sparse, piece.path_bytes(), &mut out);
    }
    out
}

/// GNU's format 0.1, which has the map in front of the member and needs nothing in its content.
fn holes(sparse: &Sparse, path: &[u8], out: &mut Vec<u8>) {
    let map: Vec<String> = sparse.data.iter().map(|(from, len)| format!("{from},{len}")).collect();
    record(b"GNU.sparse.size", sparse.size.to_string().as_bytes(), out);
    record(b"GNU.sparse.numblocks", map.len().to_string().as_bytes(), out);
    record(b"GNU.sparse.name", path, out);
    record(b"GNU.sparse.map", map.join(",").as_bytes(), out);
}

/// Seconds since 1970 with their fraction; before 1970 both are negative.
fn time(seconds: i64, nanos: u32) -> String {
    match (seconds, nanos) {
        (_, 0) => seconds.to_string(),
        (0.., _) => format!("{seconds}.{nanos:09}"),
        (_, _) => format!("-{}.{:09}", (seconds + 1).unsigned_abs(), 1_000_000_000 - nanos),
    }
}

/// A record says its own length, digits of the length included.
fn record(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + digits(length) {
        length = rest + digits(length);
    }
    write!(out, "{length} ").expect("into memory");
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

fn digits(number: usize) -> usize {
    number.checked_ilog10().unwrap_or_default() as usize + 1
}

/// As many octal digits as there is room for. Each file has a dozen such numbers: nothing is allocated for them.
fn octal(value: u64, into: &mut [u8]) {
    let mut rest = value;
    for digit in into.iter_mut().rev() {
        *digit = b'0' + (rest & 7) as u8;
        rest >>= 3;
    }
}

fn block(path: &[u8], kind: u8, link: &[u8], size: u64, mode: u32, mtime: i64, more: &Attributes) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, room: usize, bytes: &[u8]| {
        let bytes = &bytes[..bytes.len().min(room)];
        block[at..at + bytes.len()].copy_from_slice(bytes);
    };
    put(0, NAME, path);
    put(148, 8, b"        ");
    put(157, NAME, link);
    put(257, 8, b"ustar\x0000");
    // A longer one is in a record.
    put(265, ACCOUNT - 1, if more.user.len() < ACCOUNT { more.user.as_bytes() } else { b"" });
    put(297, ACCOUNT - 1, if more.group.len() < ACCOUNT { more.group.as_bytes() } else { b"" });
    octal((mode & 0o7777).into(), &mut block[100..107]);
    octal(more.uid.min(MAX_ID).into(), &mut block[108..115]);
    octal(more.gid.min(MAX_ID).into(), &mut block[116..123]);
    octal(if size > MAX_SIZE { 0 } else { size }, &mut block[124..135]);
    octal(mtime.clamp(0, MAX_SIZE as i64) as u64, &mut block[136..147]);
    block[156] = kind;
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    octal(sum.into(), &mut block[148..154]);
    block[154] = 0;
    block
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::index::Bytes;

    fn piece(path: &[u8], kind: Kind) -> Piece {
        let text = String::from_utf8_lossy(path).into_owned();
        let raw = std::str::from_utf8(path).is_err().then(|| Bytes(path.to_vec()));
        let more = Attributes { path: raw, uid: 5, gid: 3_000_000, user: "app".into(), ..Attributes::default() };
        Piece {
            path: text,
            kind,
            skip: 0,
            from: 0,
            len: 0,
            hash: None,
            size: 0,
            mode: 0o4755,
            mtime: 0,
            crc: None,
            link: None,
            more: Some(Box::new(more)),
            lies: None,
        }
    }

    #[test]
    fn a_reader_of_its_own_finds_what_was_said() {
        let long = [b"d/".repeat(200), b"name".to_vec()].concat();
        let mut out = Vec::new();
        for path in [&b"-rf"[..], b"two\nlines", b"not \xff text", &long] {
            header(&piece(path, Kind::File), &mut out);
        }
        let hard = Piece { link: Some("x".repeat(300)), ..piece(b"hard", Kind::HardLink) };
        header(&hard, &mut out);
        header(&piece(b"pipe", Kind::Fifo), &mut out);
        out.resize(out.len() + 1024, 0);
        let mut archive = tar::Archive::new(&out[..]);
        let mut seen = Vec::new();
        for entry in archive.entries().expect("an archive") {
            let entry = entry.expect("an entry");
            assert_eq!((entry.header().mode().expect("a mode"), entry.header().uid().expect("a number")), (0o4755, 5));
            let link = entry.link_name_bytes().map(|link| link.len());
            seen.push((entry.path_bytes().into_owned(), entry.header().entry_type(), link));
        }
        use tar::EntryType::{Fifo, Link, Regular};
        let file = |path: &[u8]| (path.to_vec(), Regular, None);
        let expected = [
            file(b"-rf"),
            file(b"two\nlines"),
            file(b"not \xff text"),
            file(&long),
            (b"hard".to_vec(), Link, Some(300)),
            (b"pipe".to_vec(), Fifo, None),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn numbers_fill_their_room() {
        for (value, wide) in [(0_u64, 7), (0o4755, 7), (u64::from(MAX_ID), 7), (MAX_SIZE, 11), (1, 11), (130_560, 6)] {
            let mut room = vec![b'x'; wide];
            octal(value, &mut room);
            assert_eq!(String::from_utf8(room).expect("digits"), format!("{value:0wide$o}"));
        }
        for number in [0, 1, 9, 10, 99, 100, 1_000_000] {
            assert_eq!(digits(number), number.to_string().len());
        }
    }

    #[test]
    fn times_before_1970_have_their_fraction() {
        for (seconds, nanos, text) in
            [(5, 0, "5"), (5, 1, "5.000000001"), (-1, 500_000_000, "-0.500000000"), (-2, 1, "-1.999999999"), (-2, 0, "-2")]
        {
            assert_eq!(time(seconds, nanos), text);
        }
    }

    #[test]
    fn a_map_that_cannot_be_is_none() {
        let sparse = Sparse { size: 100, data: vec![(0, 10), (50, 10), (100, 0)] };
        assert!(sparse.fits(20) && !sparse.fits(21));
        for data in [vec![(0, 101)], vec![(50, 10), (40, 10)], vec![(u64::MAX, 2)]] {
            assert!(!Sparse { size: 100, data }.fits(20));
        }
    }
}
