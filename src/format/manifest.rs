//! PostgreSQL's `backup_manifest`, written as a stream: what `pg_verifybackup` compares a restored directory with.

use std::fmt::Write as _;
use std::io::Write as _;

use sha2::{Digest, Sha256};

use crate::inventory::SystemIdentifier;
use crate::units::{Instant, Lsn, Timeline};

/// Writes a manifest line by line into a buffer that its owner takes away now and then.
#[derive(Debug)]
pub struct Manifest {
    digest: Sha256,
    files: u64,
}

/// A stretch of the log that the copy needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalNeeded {
    pub timeline: Timeline,
    pub start: Lsn,
    pub end: Lsn,
}

impl Manifest {
    /// The beginning. Servers from 17 on write version 2, which says whose files they are.
    pub fn begin(major: u32, cluster: SystemIdentifier, out: &mut Vec<u8>) -> Manifest {
        let mut manifest = Manifest { digest: Sha256::new(), files: 0 };
        let text = match major {
            ..17 => "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n".to_owned(),
            _ => format!("{{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n\"System-Identifier\": {},\n", cluster.0),
        };
        manifest.put(text.as_bytes(), out);
        manifest.put(b"\"Files\": [", out);
        manifest
    }

    fn put(&mut self, text: &[u8], out: &mut Vec<u8>) {
        self.digest.update(text);
        out.extend_from_slice(text);
    }

    /// A file of the copy; `modified` in seconds since 1970, `crc` its CRC-32C.
    pub fn file(&mut self, path: &str, size: u64, modified: i64, crc: u32, out: &mut Vec<u8>) {
        let from = out.len();
        out.extend_from_slice(if self.files == 0 { b"\n" } else { b",\n" });
        out.extend_from_slice(b"{ \"Path\": ");
        serde_json::to_writer(&mut *out, path).expect("a text, into memory");
        let modified = Instant::from_second(modified).unwrap_or(Instant::UNIX_EPOCH).strftime("%Y-%m-%d %H:%M:%S GMT");
        // PostgreSQL shows the four bytes as they lie in memory, lowest first.
        let crc = crc.swap_bytes();
        write!(
            out,
            ", \"Size\": {size}, \"Last-Modified\": \"{modified}\", \"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"{crc:08x}\" }}"
        )
        .expect("into memory");
        self.digest.update(&out[from..]);
        self.files += 1;
    }

    /// The end: the log that is needed, and the checksum of everything before its own line.
    pub fn finish(mut self, wal: &[WalNeeded], out: &mut Vec<u8>) {
        let mut text = "\n],\n\"WAL-Ranges\": [\n".to_owned();
        for (number, range) in wal.iter().enumerate() {
            let comma = if number == 0 { "" } else { ",\n" };
            let WalNeeded { timeline, start, end } = range;
            write!(text, "{comma}{{ \"Timeline\": {}, \"Start-LSN\": \"{start}\", \"End-LSN\": \"{end}\" }}", timeline.0)
                .expect("into memory");
        }
        text.push_str("\n],\n");
        self.put(text.as_bytes(), out);
        let checksum = self.digest.finalize();
        out.extend_from_slice(b"\"Manifest-Checksum\": \"");
        for byte in checksum {
            write!(out, "{byte:02x}").expect("into memory");
        }
        out.extend_from_slice(b"\"}\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_json_and_knows_its_checksum() {
        let mut out = Vec::new();
        let mut manifest = Manifest::begin(17, SystemIdentifier(42), &mut out);
        manifest.file("base/5/\"odd\"", 8192, 1_700_000_000, 0x0102_0304, &mut out);
        manifest.file("PG_VERSION", 3, 0, 0, &mut out);
        let needed = WalNeeded { timeline: Timeline::FIRST, start: Lsn(0x200_0028), end: Lsn(0x200_0100) };
        manifest.finish(&[needed], &mut out);
        let json: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        assert_eq!(json["Files"][0]["Checksum"], "04030201");
        assert_eq!(json["Files"][0]["Last-Modified"], "2023-11-14 22:13:20 GMT");
        assert_eq!((&json["System-Identifier"], &json["WAL-Ranges"][0]["End-LSN"]), (&42.into(), &"0/2000100".into()));
        let text = String::from_utf8(out).expect("text");
        let (before, _) = text.split_once("\"Manifest-Checksum\"").expect("its checksum");
        let hex = crate::units::hex(&Sha256::digest(before.as_bytes()));
        assert_eq!(json["Manifest-Checksum"], hex);
    }
}
