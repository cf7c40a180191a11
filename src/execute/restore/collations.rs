//! Indexes on text depend on how the machine sorts. Where that changed they are silently wrong.

use std::process::Command;

use crate::format::descriptor::Private;

/// What sorts differently here, and what to do.
pub fn compare(private: &Private) -> Vec<String> {
    let recorded = private.collations.get("libc").map(String::as_str);
    let (Some(recorded), Some(here)) = (recorded, libc()) else { return Vec::new() };
    if version(recorded) == version(&here) {
        return Vec::new();
    }
    vec![format!(
        "text may sort differently here: the backup is from libc {recorded}, this machine has {here}; before use, `reindex database` \
         every database whose collations are not C (and `alter database … refresh collation version`), or rows will be missing from \
         what indexes find"
    )]
}

fn version(text: &str) -> &str {
    text.rsplit(' ').next().unwrap_or(text)
}

/// `glibc 2.36`.
fn libc() -> Option<String> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned()).filter(|text| !text.is_empty())
}
