//! What replay must not touch: a tablespace is made again at the path that it had on the original, and next to the original that is the
//! original's own. It would be emptied, or written to by two servers.

use std::fs;
use std::path::Path;

use super::fault::WalFaultKind;
use super::{WalFault, data_directory};
use crate::format::wal_records::tablespaces;

/// Fails where the segment that was fetched makes a tablespace in a directory that has one already, and not by this very recovery.
pub fn spare_tablespaces(fetched: &Path) -> Result<(), WalFault> {
    let made = fs::File::open(fetched).and_then(tablespaces).map_err(|error| WalFault::local(fetched, &error))?;
    let data = data_directory(fetched).unwrap_or_default();
    for made in made {
        let (what, hint) = match made {
            Some(path) if is_free(&path, &data) => continue,
            Some(path) => (
                format!("the log makes a tablespace in `{path}`, and there is one on this machine"),
                "Is it the original's? Then recover on another machine, from a newer backup, or to a moment before it was made. Otherwise \
                 empty that directory, or move it away.",
            ),
            None => (
                "the log makes a tablespace, and where cannot be told: the record goes on in the next segment".to_owned(),
                "Is the original on another machine, or has it no tablespace that was made then? Then take `--spare-tablespaces` out of \
                 `restore_command`, start the server, and put it back afterwards. Otherwise recover from a newer backup.",
            ),
        };
        return Err(WalFault::new(WalFaultKind::Local, what, hint));
    }
    Ok(())
}

fn is_free(path: &str, data: &Path) -> bool {
    let path = Path::new(path);
    // Of whatever number: one that was dropped and made again at the same place has another one.
    let links = fs::read_dir(data.join("pg_tblspc")).into_iter().flatten().flatten();
    let ours = links.into_iter().any(|link| fs::read_link(link.path()).is_ok_and(|to| to == path));
    let has_one = |path: &Path| {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        entries.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with("PG_"))
    };
    // Below the data directory it is the copy's own.
    path.is_relative() || ours || !has_one(path)
}
