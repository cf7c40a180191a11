//! What the server's archiver fails with, for whoever waits for it.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::execute::restore::{RECOVERY_LOG, connect, pid_file};

/// How much of the log's end is read.
const KEPT: u64 = 64 << 10;

pub(super) struct Archiver<'a> {
    directory: &'a Path,
    as_postgres: bool,
    log: PathBuf,
    /// What stood in the log before is not about this.
    from: u64,
}

impl<'a> Archiver<'a> {
    pub(super) fn of(directory: &'a Path, as_postgres: bool) -> Archiver<'a> {
        let log = directory.join(RECOVERY_LOG);
        let from = fs::metadata(&log).map_or(0, |about| about.len());
        Archiver { directory, as_postgres, log, from }
    }

    /// In the words of `archive_command` where the log is here, else that it fails.
    pub(super) fn failure(&self) -> Option<String> {
        let failed = "select last_failed_wal from pg_catalog.pg_stat_archiver \
                      where last_failed_time > coalesce(last_archived_time, '-infinity')";
        let mut connection = connect(&pid_file(self.directory), self.as_postgres)?;
        let rows = connection.query(failed, &[]).ok()?;
        let file = rows.iter().next()?.get("last_failed_wal")?.to_owned();
        Some(self.said().unwrap_or_else(|| format!("`archive_command` failed for {file}; the server's log says why")))
    }

    fn said(&self) -> Option<String> {
        let mut file = File::open(&self.log).ok()?;
        let from = file.metadata().ok()?.len().saturating_sub(KEPT).max(self.from);
        file.seek(SeekFrom::Start(from)).ok()?;
        let mut bytes = Vec::new();
        file.take(KEPT).read_to_end(&mut bytes).ok()?;
        last_error(&String::from_utf8_lossy(&bytes)).map(str::to_owned)
    }
}

/// What this program says of itself when it fails begins a line.
fn last_error(log: &str) -> Option<&str> {
    log.lines().rev().find_map(|line| line.strip_prefix("error: ")).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_thing_that_archive_command_said() {
        let log = "LOG:  started\nerror: the store does not answer\n  help: Wait.\nLOG:  archive command failed with exit code 1\n\
                   error: this host's key is not among the policy's writers\n  help: Add it.\nLOG:  archive command failed with exit code 1\n";
        assert_eq!(last_error(log), Some("this host's key is not among the policy's writers"));
        assert_eq!(last_error("LOG:  error: no\n"), None);
    }
}
