//! What a policy says of markers, remembered between calls: `<state>/wal-passes/<of the policy's path>`.
//!
//! Reading a policy takes longer than everything else that a call has to do which finds its marker, and a busy server makes
//! hundreds of such calls a minute. A pass is believed only as long as every file that the policy was made from is the one that was
//! read, by the same rule as for segments (see `marker`); where there is any doubt the policy is read. A pass says nothing but
//! where the markers lie and for which set of stores they must have been left.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Markers;
use super::marker::{Identity, Seen, now_ns};
use crate::world::files;

const FIRST_WORD: &str = concat!("seawall-wal-pass-", env!("CARGO_PKG_VERSION"));
const MAX_PASS: u64 = 64 << 10;

/// The pass of one policy in one state directory.
#[derive(Debug)]
pub struct Pass {
    path: PathBuf,
    /// When the policy's reading begins, if it is read now.
    read_ns: i128,
}

impl Pass {
    pub fn of(state: &Path, policy: &Path) -> Option<Pass> {
        // PostgreSQL calls from its data directory; somebody else may call from elsewhere and mean another file.
        let policy = std::path::absolute(policy).ok()?;
        let name = blake3::hash(policy.as_os_str().as_bytes()).to_hex()[..32].to_owned();
        Some(Pass { path: state.join("wal-passes").join(name), read_ns: now_ns() })
    }

    /// The markers, if the policy is certainly the one that was read.
    pub fn show(&self) -> Option<Markers> {
        let mut text = String::new();
        fs::File::open(&self.path).ok()?.take(MAX_PASS).read_to_string(&mut text).ok()?;
        let (first, rest) = text.strip_suffix("\nend\n")?.split_once('\n')?;
        let (word, first) = first.split_once(' ')?;
        let (destinations, root) = first.split_once(' ')?;
        let unchanged = |line: &str| {
            let (seen, path) = Seen::parse(line)?;
            seen.is_certainly(&Identity::of(&fs::metadata(path).ok()?)).then_some(())
        };
        if word != FIRST_WORD || rest.is_empty() || rest.lines().any(|line| unchanged(line).is_none()) {
            return None;
        }
        Some(Markers::new(Path::new(root), blake3::Hash::from_hex(destinations).ok()?.into()))
    }

    /// Remembers what was read from `files`. Whatever fails here only costs time.
    pub fn issue(&self, files: &[PathBuf], markers: &Markers) {
        let _ = self.text(files, markers).map(|text| self.write(&text));
    }

    fn text(&self, files: &[PathBuf], markers: &Markers) -> Option<String> {
        let plain = |path: &Path| path.to_str().filter(|path| !path.contains('\n')).map(str::to_owned);
        let (root, destinations) = markers.parts();
        let mut text = format!("{FIRST_WORD} {} {}\n", blake3::Hash::from_bytes(*destinations).to_hex(), plain(root)?);
        for file in files {
            let path = std::path::absolute(file).ok()?;
            let identity = Identity::of(&fs::metadata(&path).ok()?);
            // The content is not compared: the times alone must do, or there is no pass.
            let seen = Seen { identity, read_ns: self.read_ns, content: [0; 32] };
            seen.is_certainly(&identity).then_some(())?;
            text.push_str(&format!("{} {}\n", seen.words(), plain(&path)?));
        }
        Some(text + "end\n")
    }

    fn write(&self, text: &str) -> std::io::Result<()> {
        let folder = self.path.parent().unwrap_or(&self.path);
        files::make_folders(folder)?;
        let beside = self.path.with_extension(std::process::id().to_string());
        files::open_or_make(&beside, OpenOptions::new().write(true).truncate(true))?.write_all(text.as_bytes())?;
        fs::rename(&beside, &self.path)
    }
}
