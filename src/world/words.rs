//! What the operating system answers, in words that help.

use std::io::{self, ErrorKind};
use std::path::Path;

use thiserror::Error;

/// Why something could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct ReadFault {
    /// Lower case, no full stop.
    pub message: String,
    /// How to mend it, as a sentence.
    pub hint: String,
    /// It was not read because it is too large.
    pub too_large: bool,
}

impl ReadFault {
    pub(super) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        ReadFault { message: message.into(), hint: hint.into(), too_large: false }
    }

    pub(super) fn too_large(limit: usize) -> Self {
        let message = format!("the file is larger than {} KiB", limit / 1024);
        ReadFault { message, hint: "A policy is a few hundred lines; is this the right file?".into(), too_large: true }
    }

    /// What the system said when `path` was to be read.
    pub(super) fn of(error: &io::Error, path: &Path) -> Self {
        const TOO_MANY_LINKS: i32 = 40;
        const NAME_TOO_LONG: i32 = 36;
        match error.kind() {
            ErrorKind::NotFound => match std::fs::read_link(path) {
                Ok(target) => ReadFault::new(
                    format!("it is a symbolic link to `{}`, which does not exist", shown(&target)),
                    "Mend the link, or give the file itself.",
                ),
                Err(_) => ReadFault::new("there is no such file", missing_hint(path)),
            },
            ErrorKind::PermissionDenied => {
                ReadFault::new("permission to read it is denied", "Look with `ls -l` who may read it, and as whom this runs.")
            }
            ErrorKind::NotADirectory => ReadFault::new(
                "a part of the path is a file, not a directory",
                "Check the path: what stands before each `/` must be a directory.",
            ),
            _ if error.raw_os_error() == Some(TOO_MANY_LINKS) => {
                ReadFault::new("its symbolic links go in a circle", "Follow them with `namei` and mend the one that points back.")
            }
            _ if error.raw_os_error() == Some(NAME_TOO_LONG) => ReadFault::new("the name is too long for a file", "Check the path."),
            _ => ReadFault::new(format!("the system says: {error}"), "Check whether the disk or the mount it lies on is in order."),
        }
    }
}

/// Says which part of a path is missing: the first that is not there.
fn missing_hint(path: &Path) -> String {
    let parent = path.ancestors().skip(1).find(|above| !above.as_os_str().is_empty() && above.exists());
    let missing = path.ancestors().take_while(|part| Some(*part) != parent && !part.as_os_str().is_empty()).last();
    match (missing, parent) {
        (Some(missing), Some(parent)) if missing != path => {
            format!("Check the path: `{}` has no `{}`.", shown(parent), shown(Path::new(missing.file_name().unwrap_or_default())))
        }
        (Some(missing), None) if missing != path => format!("Check the path: there is no `{}` here.", shown(missing)),
        _ => "Check the spelling, and the directory this runs in.".to_owned(),
    }
}

/// A path for messages: nothing in it acts on a terminal.
fn shown(path: &Path) -> String {
    path.to_string_lossy().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
