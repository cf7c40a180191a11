//! The few kinds of tar records that a backup has: POSIX ustar, with pax records where a name or a size does not fit.

use std::io::Write as _;

pub const BLOCK: usize = 512;
/// Two empty blocks end an archive.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// The largest size that eleven octal digits hold.
const MAX_OCTAL_SIZE: u64 = 0o77_777_777_777;
const NAME: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What<'e> {
    File { size: u64 },
    Directory,
    Link { to: &'e str },
}

/// Who owns what is unpacked by root.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
}

/// How long a header with its pax records is.
pub fn header_len(path: &str, what: What<'_>) -> usize {
    let records = records(path, what).len();
    if records == 0 { BLOCK } else { 2 * BLOCK + padded(records as u64) as usize }
}

/// A file's size rounded up to whole blocks.
pub fn padded(size: u64) -> u64 {
    size.next_multiple_of(BLOCK as u64)
}

/// How many zeros follow a file.
pub fn padding(size: u64) -> usize {
    (padded(size) - size) as usize
}

/// Appends the header of a member. A file's content follows, then its padding.
pub fn header(path: &str, what: What<'_>, mode: u32, mtime: i64, owner: Owner, out: &mut Vec<u8>) {
    let records = records(path, what);
    if !records.is_empty() {
        out.extend_from_slice(&block("././@PaxHeader", b'x', "", records.len() as u64, 0o600, mtime, owner));
        out.extend_from_slice(&records);
        out.resize(out.len() + padding(records.len() as u64), 0);
    }
    let (kind, link, size) = match what {
        What::File { size } => (b'0', "", size),
        What::Directory => (b'5', "", 0),
        What::Link { to } => (b'2', to, 0),
    };
    let directory = format!("{path}/");
    let path = if kind == b'5' { &directory } else { path };
    out.extend_from_slice(&block(path, kind, link, size, mode, mtime, owner));
}

/// What does not fit into the header itself.
fn records(path: &str, what: What<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let slash = usize::from(what == What::Directory);
    if path.len() + slash > NAME || !path.is_ascii() {
        record("path", if slash == 1 { format!("{path}/") } else { path.to_owned() }.as_str(), &mut out);
    }
    match what {
        What::File { size } if size > MAX_OCTAL_SIZE => record("size", &size.to_string(), &mut out),
        What::Link { to } if to.len() > NAME || !to.is_ascii() => record("linkpath", to, &mut out),
        _ => {}
    }
    out
}

/// A record says its own length, digits of the length included.
fn record(key: &str, value: &str, out: &mut Vec<u8>) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    writeln!(out, "{length} {key}={value}").expect("into memory");
}

fn block(path: &str, kind: u8, link: &str, size: u64, mode: u32, mtime: i64, owner: Owner) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut text = |at: usize, room: usize, text: &str| {
        let bytes = &text.as_bytes()[..text.len().min(room)];
        block[at..at + bytes.len()].copy_from_slice(bytes);
    };
    let octal = |value: u64, digits: usize| format!("{value:0digits$o}");
    text(0, NAME, path);
    text(100, 7, &octal((mode & 0o7777).into(), 7));
    // Seven octal digits; those with larger numbers are looked up again by whoever unpacks.
    text(108, 7, &octal(owner.uid.min(0o777_7777).into(), 7));
    text(116, 7, &octal(owner.gid.min(0o777_7777).into(), 7));
    text(124, 11, &octal(if size > MAX_OCTAL_SIZE { 0 } else { size }, 11));
    text(136, 11, &octal(mtime.clamp(0, 0o77_777_777_777) as u64, 11));
    text(148, 8, "        ");
    text(157, NAME, link);
    text(257, 8, "ustar\x0000");
    block[156] = kind;
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn what_is_written_is_read_by_tar() {
        let long = "d/".repeat(80) + "name";
        let mut out = Vec::new();
        let owner = Owner { uid: 104, gid: 112 };
        for path in ["base/5/1259", &long, "pg_log/grüße"] {
            let from = out.len();
            header(path, What::File { size: 3 }, 0o600, 1_700_000_000, owner, &mut out);
            assert_eq!(out.len() - from, header_len(path, What::File { size: 3 }));
            out.extend_from_slice(b"abc");
            out.resize(out.len() + padding(3), 0);
        }
        header("base", What::Directory, 0o700, 0, owner, &mut out);
        header("x", What::Link { to: &long }, 0o777, 0, owner, &mut out);
        out.extend_from_slice(&END);
        let mut archive = tar::Archive::new(&out[..]);
        let mut seen = Vec::new();
        for entry in archive.entries().expect("an archive") {
            let mut entry = entry.expect("an entry");
            let mut text = String::new();
            entry.read_to_string(&mut text).expect("its content");
            let link = entry.link_name().expect("a name").map(|name| name.to_string_lossy().into_owned());
            seen.push((entry.path().expect("a path").to_string_lossy().into_owned(), text, link));
        }
        let file = |path: &str| (path.to_owned(), "abc".to_owned(), None);
        let expected = vec![
            file("base/5/1259"),
            file(&long),
            file("pg_log/grüße"),
            ("base/".to_owned(), String::new(), None),
            ("x".to_owned(), String::new(), Some(long.clone())),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_record_knows_its_own_length() {
        for length in 80..120 {
            let mut out = Vec::new();
            record("path", &"x".repeat(length), &mut out);
            let text = String::from_utf8(out).expect("text");
            assert_eq!(text.split_once(' ').expect("a length").0.parse(), Ok(text.len()));
        }
    }
}
