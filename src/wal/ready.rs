//! What PostgreSQL waits for: `archive_status/*.ready`.

use std::fs;
use std::io;
use std::path::Path;

use crate::units::WalFile;

/// The files that are ready, in PostgreSQL's own order: histories first, because a new timeline is of no use without its own.
pub(super) fn ready(wal: &Path) -> io::Result<Vec<WalFile>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(wal.join("archive_status"))? {
        let name = entry?.file_name();
        if let Some(file) = name.to_str().and_then(|name| name.strip_suffix(".ready")).and_then(|name| name.parse().ok()) {
            files.push(file);
        }
    }
    files.sort_by_cached_key(|file: &WalFile| (!matches!(file, WalFile::History(_)), file.to_string()));
    Ok(files)
}
