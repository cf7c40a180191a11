//! What the machine says: environment and files. Handed in, so that reading a connection string stays a function.

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::world::files;

/// The environment, and the files that libpq would read.
pub struct Outside<'o> {
    pub env: &'o dyn Fn(&str) -> Option<String>,
    pub home: Option<PathBuf>,
    /// Who runs this.
    pub user: Option<String>,
    /// A file that is there and can be read.
    pub file: &'o dyn Fn(&Path) -> Option<SeenFile>,
    /// Is there a file or directory?
    pub exists: &'o dyn Fn(&Path) -> bool,
}

/// A small file of settings or passwords.
pub struct SeenFile {
    pub text: String,
    pub mode: u32,
    pub is_plain: bool,
}

impl Outside<'_> {
    /// An empty variable counts as set to nothing, which for all that is asked here is the same as not set.
    pub(super) fn env(&self, name: &str) -> Option<String> {
        (self.env)(name).filter(|value| !value.is_empty())
    }
}

/// The real one.
pub fn machine<T>(with: impl FnOnce(&Outside<'_>) -> T) -> T {
    let env = |name: &str| std::env::var(name).ok();
    let own = own_account();
    let home = env("HOME").filter(|home| !home.is_empty()).map(PathBuf::from).or_else(|| own.as_ref().map(|(_, home)| home.clone()));
    let user = own.map(|(name, _)| name).or_else(|| env("LOGNAME")).or_else(|| env("USER"));
    with(&Outside { env: &env, home, user, file: &seen, exists: &|path| path.exists() })
}

fn seen(path: &Path) -> Option<SeenFile> {
    const LIMIT: usize = 1 << 20;
    let about = fs::metadata(path).ok()?;
    let mode = about.permissions().mode();
    if !about.is_file() {
        return Some(SeenFile { text: String::new(), mode, is_plain: false });
    }
    let text = String::from_utf8(files::read(path, LIMIT).ok()?).ok()?;
    Some(SeenFile { text, mode, is_plain: true })
}

/// Name and home by the effective user id, as /etc/passwd has them.
fn own_account() -> Option<(String, PathBuf)> {
    const LIMIT: usize = 1 << 24;
    let id = rustix::process::geteuid().as_raw().to_string();
    let accounts = files::read(Path::new("/etc/passwd"), LIMIT).ok()?;
    let accounts = String::from_utf8_lossy(&accounts);
    accounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields.len() >= 6 && fields[2] == id).then(|| (fields[0].to_owned(), PathBuf::from(fields[5])))
    })
}

impl fmt::Debug for Outside<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outside").field("home", &self.home).field("user", &self.user).finish_non_exhaustive()
    }
}

/// What is in it may be a password.
impl fmt::Debug for SeenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeenFile").field("mode", &self.mode).field("is_plain", &self.is_plain).finish_non_exhaustive()
    }
}
