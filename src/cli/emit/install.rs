//! What is installed in a directory, compared with what should be, and brought up to it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::super::exit::Trouble;
use super::super::terminal::tame;
use super::difference_at;
use crate::emit::Emitted;
use crate::plan::words::counted;
use crate::world::files;

/// No unit is larger.
const LIMIT: usize = 1 << 20;
/// So many files in one directory are looked at.
const MOST_FILES: usize = 100_000;

/// The files of one policy that are in a directory.
#[derive(Debug)]
pub(super) struct Installed {
    directory: PathBuf,
    /// Those that the policy wants, as far as they are there.
    wanted: BTreeMap<String, String>,
    /// Those that carry its mark and that it does not want any more.
    stale: BTreeMap<String, String>,
    /// Those that an administrator has masked.
    masked: Vec<String>,
}

/// What was done, and what is left to do by hand.
#[derive(Debug)]
pub(super) struct Outcome {
    pub report: String,
    pub next: Vec<String>,
}

impl Installed {
    pub(super) fn read(directory: &Path, files: &[Emitted], mark: &str, endings: &[&str]) -> Result<Installed, Trouble> {
        let mut installed =
            Installed { directory: directory.to_owned(), wanted: BTreeMap::new(), stale: BTreeMap::new(), masked: Vec::new() };
        for name in installed.names(endings)? {
            let is_wanted = files.iter().any(|file| file.name == name);
            let path = directory.join(&name);
            if fs::read_link(&path).is_ok_and(|target| target == Path::new("/dev/null")) {
                installed.masked.extend(is_wanted.then_some(name));
                continue;
            }
            let bytes = match files::read(&path, LIMIT) {
                Ok(bytes) => bytes,
                // Somebody else's files are none of our business.
                Err(_) if !is_wanted => continue,
                Err(fault) => return Err(Trouble::failed(format!("`{}` cannot be read: {}", path.display(), fault.message), fault.hint)),
            };
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if is_wanted {
                installed.wanted.insert(name, text);
            } else if text.lines().next() == Some(mark) {
                installed.stale.insert(name, text);
            }
        }
        Ok(installed)
    }

    /// What leads to what the policy wants; nothing when that is there.
    pub(super) fn difference(&self, files: &[Emitted]) -> String {
        let wanted = self.unmasked(files).map(|file| (&file.name, self.wanted.get(&file.name), Some(&file.text)));
        let stale = self.stale.iter().map(|(name, text)| (name, Some(text), None));
        let each = wanted
            .chain(stale)
            .map(|(name, old, new)| difference_at(&self.directory.join(name), old.map(String::as_str), new.map(String::as_str)));
        each.collect()
    }

    /// Writes what differs. What is not wanted any more is removed if `prune` says so, and otherwise named.
    pub(super) fn bring_up(&self, files: &[Emitted], prune: bool) -> Result<Outcome, Trouble> {
        let mut report = String::new();
        let differing: Vec<&Emitted> = self.unmasked(files).filter(|file| self.wanted.get(&file.name) != Some(&file.text)).collect();
        for file in &differing {
            let path = self.directory.join(&file.name);
            files::publish(&path, file.text.as_bytes())
                .map_err(|fault| Trouble::failed(format!("`{}` cannot be written: {}", path.display(), fault.message), fault.hint))?;
            report.push_str(&format!("wrote    {}\n", path.display()));
        }
        for name in &self.masked {
            report.push_str(&format!("masked   {} is left as it is\n", self.directory.join(name).display()));
        }
        // What starts something goes before what it starts.
        for name in self.stale.keys().rev() {
            let path = self.directory.join(name);
            if prune {
                self.remove(name)?;
                report.push_str(&format!("removed  {}\n", path.display()));
            } else {
                report.push_str(&format!("stale    {} (`--prune` removes it)\n", path.display()));
            }
        }
        let unchanged = files.len() - differing.len() - self.masked.len();
        report.push_str(&format!("{} written, {unchanged} unchanged\n", counted(differing.len(), "file")));
        Ok(Outcome { report, next: self.next(files, differing.is_empty(), prune) })
    }

    /// What systemd has to be told; cron sees by itself.
    fn next(&self, files: &[Emitted], is_unchanged: bool, prune: bool) -> Vec<String> {
        let is_timer = |name: &&str| name.ends_with(".timer");
        let timers: Vec<&str> = self.unmasked(files).map(|file| file.name.as_str()).filter(is_timer).collect();
        let stale: Vec<&str> = self.stale.keys().map(String::as_str).filter(is_timer).collect();
        let mut next = Vec::new();
        if prune && !stale.is_empty() {
            next.push(format!("  systemctl stop {}", stale.join(" ")));
        } else if !stale.is_empty() {
            next.push(format!("  systemctl disable --now {}", stale.join(" ")));
        }
        let has_news = !is_unchanged || !next.is_empty();
        if has_news && !timers.is_empty() {
            next.push("  systemctl daemon-reload".to_owned());
            next.push(format!("  systemctl enable --now {}", timers.join(" ")));
        }
        if !next.is_empty() {
            next.insert(0, "next:".to_owned());
        }
        next
    }

    /// A unit, after the link by which it is enabled.
    fn remove(&self, name: &str) -> Result<(), Trouble> {
        let failed = |path: &Path, error: &std::io::Error| Trouble::failed(format!("`{}` cannot be removed: {error}", path.display()), "");
        let link = self.directory.join("timers.target.wants").join(name);
        if fs::symlink_metadata(&link).is_ok_and(|about| about.is_symlink()) {
            fs::remove_file(&link).map_err(|error| failed(&link, &error))?;
        }
        let path = self.directory.join(name);
        fs::remove_file(&path).map_err(|error| failed(&path, &error))
    }

    fn unmasked<'f>(&self, files: &'f [Emitted]) -> impl Iterator<Item = &'f Emitted> {
        files.iter().filter(|file| !self.masked.contains(&file.name))
    }

    /// The files there that are named like ours, in order.
    fn names(&self, endings: &[&str]) -> Result<Vec<String>, Trouble> {
        let shown = self.directory.display().to_string();
        let failed = |error: std::io::Error| {
            Trouble::failed(format!("`{}` cannot be read: {error}", tame(&shown)), "Name the directory in which the files are, or will be.")
        };
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(failed)?.take(MOST_FILES) {
            let name = entry.map_err(failed)?.file_name();
            let Some(name) = name.to_str() else { continue };
            let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
            if name.starts_with("seawall-") && endings.contains(&ending) {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }
}
