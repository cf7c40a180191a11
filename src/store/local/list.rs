//! Listing a directory in the byte order of whole names, one level in memory at a time.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use super::{Local, meta};
use crate::store::{Fault, Key, Meta};

/// Where a listing stands.
struct Walk<'w> {
    local: &'w Local,
    after: Option<&'w str>,
    each: &'w mut dyn FnMut(Meta) -> ControlFlow<()>,
}

impl Local {
    pub(in crate::store) fn list_after(
        &self,
        prefix: &str,
        after: Option<&Key>,
        each: &mut dyn FnMut(Meta) -> ControlFlow<()>,
    ) -> Result<(), Fault> {
        self.must_be_there()?;
        let prefix = prefix.trim_matches('/');
        let inside = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        let mut walk = Walk { local: self, after: after.map(Key::as_str), each };
        let walked = walk.directory(&self.root.join(prefix), &inside);
        walked.map(drop).map_err(|error| self.fault(&error, format_args!("listing {prefix}")))
    }

    pub(in crate::store) fn folders(&self, prefix: &str) -> Result<Vec<String>, Fault> {
        self.must_be_there()?;
        let entries = entries(&self.root.join(prefix)).map_err(|error| self.fault(&error, format_args!("listing {prefix}")))?;
        let folders = entries.iter().filter_map(|name| name.strip_suffix('/')).filter(|name| Key::new(*name).is_ok());
        let mut names: Vec<String> = folders.map(str::to_owned).collect();
        names.sort_unstable();
        Ok(names)
    }
}

impl Walk<'_> {
    /// `inside` is the name of the directory with a `/` at its end, or nothing for the root.
    fn directory(&mut self, path: &Path, inside: &str) -> io::Result<ControlFlow<()>> {
        for name in entries(path)? {
            let full = format!("{inside}{name}");
            if full.ends_with('/') {
                // A directory that lies before the start as a whole need not be read.
                let before = self.after.is_some_and(|after| *full < *after && !after.starts_with(&full));
                if !before && self.directory(&path.join(&*name), &full)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                continue;
            }
            if self.after.is_some_and(|after| *full <= *after) {
                continue;
            }
            let Ok(key) = Key::new(full) else { continue };
            match fs::metadata(self.local.path(&key)) {
                Ok(about) if about.is_file() && (self.each)(meta(key, &about)).is_break() => return Ok(ControlFlow::Break(())),
                Ok(_) => {}
                // Deleted since the directory was read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// The names in a directory, those of directories with a `/` at their ends: so their order is that of the whole names below
/// them. Only names are kept, 50 bytes or so each.
fn entries(directory: &Path) -> io::Result<Vec<Box<str>>> {
    let read = match fs::read_dir(directory) {
        Ok(read) => read,
        // Deleted since its parent was read, or never there: a prefix of nothing.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in read {
        let entry = entry?;
        let Ok(mut name) = entry.file_name().into_string() else { continue };
        if name.starts_with('.') {
            continue;
        }
        if entry.file_type()?.is_dir() {
            name.push('/');
        }
        names.push(name.into_boxed_str());
    }
    names.sort_unstable();
    Ok(names)
}
