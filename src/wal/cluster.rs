//! Whose log a file is. Nothing is taken from its name that the file or the cluster can say itself.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::WalFault;
use super::fault::WalFaultKind;
use crate::inventory::SystemIdentifier;
use crate::units::{Instant, Segment, SegmentSize, WalFile};

/// The first page of a segment has a long header: 40 bytes.
const LONG_HEADER: usize = 40;
const IS_LONG: u16 = 0x0002;

/// The data directory that a file lies in, as PostgreSQL names it (`pg_wal/…`, relative to where it runs). By the path's words only:
/// `pg_wal` may be a link to another disk, and the way up from there leads elsewhere.
pub fn data_directory(file: &Path) -> Option<PathBuf> {
    let wal = file.parent()?;
    let data = wal.parent()?;
    Some(if data.as_os_str().is_empty() { PathBuf::from(".") } else { data.to_owned() })
}

/// The cluster's number, from the first bytes of its control file.
pub fn system_identifier(data: &Path) -> Result<SystemIdentifier, WalFault> {
    let path = data.join("global/pg_control");
    let mut bytes = [0; 8];
    File::open(&path).and_then(|mut file| file.read_exact(&mut bytes)).map_err(|error| {
        let hint = "PostgreSQL runs its commands in the data directory; by hand, go there first or give the whole path.";
        WalFault::new(WalFaultKind::Local, format!("whose log it is cannot be told: `{}`: {error}", path.display()), hint)
    })?;
    // In the server's own order of bytes, as everything it writes.
    Ok(SystemIdentifier(u64::from_ne_bytes(bytes)))
}

/// What the first page of a segment says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub system_identifier: SystemIdentifier,
    pub size: SegmentSize,
}

impl SegmentHeader {
    /// Reads and checks it: a segment that is not the one its name says would be found out during a recovery, which is too late.
    pub(super) fn read(path: &Path, segment: Segment) -> Result<SegmentHeader, WalFault> {
        let mut bytes = [0; LONG_HEADER];
        let mut file = File::open(path).map_err(|error| WalFault::local(path, &error))?;
        file.read_exact(&mut bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => wrong(path, "it is cut short"),
            _ => WalFault::local(path, &error),
        })?;
        let length = file.metadata().map_err(|error| WalFault::local(path, &error))?.len();
        parse(&bytes, segment, length).map_err(|what| wrong(path, &what))
    }
}

fn parse(bytes: &[u8; LONG_HEADER], segment: Segment, length: u64) -> Result<SegmentHeader, String> {
    let short = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
    let word = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let long = |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    if short(2) & IS_LONG == 0 {
        return Err("it does not begin like a segment of the write-ahead log".into());
    }
    let size = SegmentSize::new(word(32).into()).ok_or_else(|| format!("its header says that segments have {} bytes", word(32)))?;
    if length != size.bytes() {
        return Err(format!("it has {length} bytes, and its header says {}", size.bytes()));
    }
    // The timeline in the header may be an older one: the first segment of a timeline begins as a copy of its parent's.
    if long(8) != segment.start(size).0 {
        return Err(format!("its first page is that of position {}, not of this segment", crate::units::Lsn(long(8))));
    }
    Ok(SegmentHeader { system_identifier: SystemIdentifier(long(24)), size })
}

fn wrong(path: &Path, what: &str) -> WalFault {
    let hint = "Give a file that PostgreSQL has finished; `pg_waldump` shows what it is.";
    WalFault::new(WalFaultKind::Local, format!("`{}` cannot be archived: {what}", path.display()), hint)
}

/// A file of the log on this host, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plain {
    pub path: PathBuf,
    pub file: WalFile,
    pub cluster: SystemIdentifier,
    /// Up to when all that was committed is in it, where its own time does not say so.
    pub written: Option<Instant>,
}

impl Plain {
    pub(super) fn look(path: &Path, file: WalFile) -> Result<Plain, WalFault> {
        let cluster = match file {
            WalFile::Segment(segment) | WalFile::Partial(segment) => SegmentHeader::read(path, segment)?.system_identifier,
            WalFile::History(_) | WalFile::BackupLabel(..) => {
                let data = data_directory(path).ok_or_else(|| wrong(path, "it does not lie in a data directory's `pg_wal`"))?;
                system_identifier(&data)?
            }
        };
        Ok(Plain { path: path.to_owned(), file, cluster, written: None })
    }

    pub(super) fn of_another(&self, cluster: SystemIdentifier) -> WalFault {
        wrong(&self.path, &format!("it is of the cluster {}, not of {cluster}", self.cluster))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(info: u16, address: u64, size: u32) -> [u8; LONG_HEADER] {
        let mut bytes = [0; LONG_HEADER];
        bytes[2..4].copy_from_slice(&info.to_ne_bytes());
        bytes[8..16].copy_from_slice(&address.to_ne_bytes());
        bytes[24..32].copy_from_slice(&7_301_234_567_890_123_456u64.to_ne_bytes());
        bytes[32..36].copy_from_slice(&size.to_ne_bytes());
        bytes
    }

    #[test]
    fn a_segment_must_be_the_one_that_its_name_says() {
        let segment: Segment = "000000010000000A000000FE".parse().expect("a segment");
        let at = 0xA_FE00_0000;
        let read = parse(&header(2, at, 16 << 20), segment, 16 << 20).expect("it is");
        assert_eq!((read.system_identifier.0, read.size.bytes()), (7_301_234_567_890_123_456, 16 << 20));
        for (bytes, length, what) in [
            (header(0, at, 16 << 20), 16 << 20, "it does not begin like"),
            (header(2, at, 16 << 20), 1 << 20, "it has 1048576 bytes, and its header says 16777216"),
            (header(2, at + 1, 16 << 20), 16 << 20, "its first page is that of position A/FE000001"),
            (header(2, at, 5), 5, "its header says that segments have 5 bytes"),
        ] {
            let said = parse(&bytes, segment, length).expect_err(what);
            assert!(said.contains(what), "{said}");
        }
    }

    #[test]
    fn the_data_directory_is_found_by_words() {
        for (file, data) in [("pg_wal/0", "."), ("/srv/pg/pg_wal/0", "/srv/pg"), ("./pg_wal/0", ".")] {
            assert_eq!(data_directory(Path::new(file)), Some(PathBuf::from(data)));
        }
        assert_eq!(data_directory(Path::new("0")), None);
    }
}
