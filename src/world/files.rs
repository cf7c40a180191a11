//! Files and directories.
//!
//! What root makes in another account's folder belongs to that account: whoever runs a command by hand as root must not lock out the account that
//! archives and backs up. Everything of a state directory and of a local store is made here, or given away by [`give`]. Where that cannot be done,
//! nothing is made, and that is a fault.

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::fs::{FileTypeExt, MetadataExt as _, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, mkdirat, open, openat};

use super::words::ReadFault;

/// How many files one search may find.
const MAX_FOUND: usize = 100_000;

/// What a search in a directory came to.
#[derive(Debug, Default)]
pub struct Found {
    /// In the order of their names.
    pub files: Vec<PathBuf>,
    /// Directories that could not be searched, each with the reason.
    pub faults: Vec<(PathBuf, ReadFault)>,
}

/// The bytes of a file, if it has no more than `limit` of them. What is not a plain file is refused before it is opened:
/// a named pipe would wait for ever, a device would never end.
pub fn read(path: &Path, limit: usize) -> Result<Vec<u8>, ReadFault> {
    let of = |error: &io::Error| ReadFault::of(error, path);
    let about = fs::metadata(path).map_err(|error| of(&error))?;
    if let Some(what) = not_a_file(about.file_type()) {
        let hint = match what {
            "a directory" => "Give a file; a directory is searched when it is given as an argument itself.",
            _ => "Give a plain file, or `-` to read standard input.",
        };
        return Err(ReadFault::new(format!("it is {what}, not a file"), hint));
    }
    if about.len() > limit as u64 {
        return Err(ReadFault::too_large(limit));
    }
    let file = File::open(path).map_err(|error| of(&error))?;
    bounded(file, limit).map_err(|error| of(&error))?.ok_or_else(|| ReadFault::too_large(limit))
}

/// The bytes of standard input, if there are no more than `limit` of them.
pub fn read_stdin(limit: usize) -> Result<Vec<u8>, ReadFault> {
    match bounded(io::stdin().lock(), limit) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(ReadFault::too_large(limit)),
        Err(error) => {
            Err(ReadFault::new(format!("standard input cannot be read: {error}"), "Redirect a file or a pipe into this command."))
        }
    }
}

/// An empty file in memory: no disk ever has its bytes, and nothing is left of it after `kill -9`.
pub fn in_memory() -> io::Result<File> {
    Ok(File::from(rustix::fs::memfd_create("seawall", rustix::fs::MemfdFlags::CLOEXEC)?))
}

/// By which a program that we start opens it, from its beginning each time, for as long as it is open here.
pub fn path_in_memory(file: &File) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd())
}

/// Is it a directory? What cannot be looked at is none, and fails when it is read.
pub fn is_directory(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|about| about.is_dir())
}

/// All `*.yaml` and `*.yml` below a directory, hidden ones left out. Symbolic links to files are taken, those to directories
/// are not followed, so no circle of links is ever walked.
pub fn search(directory: &Path) -> Found {
    let mut found = Found::default();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        let entries = fs::read_dir(&directory).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
        let entries = match entries {
            Ok(entries) => entries,
            Err(error) => {
                found.faults.push((directory.clone(), ReadFault::of(&error, &directory)));
                continue;
            }
        };
        for entry in entries {
            let path = if directory == Path::new(".") { PathBuf::from(entry.file_name()) } else { entry.path() };
            let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            match entry.file_type() {
                _ if hidden => {}
                Ok(kind) if kind.is_dir() => open.push(path),
                Ok(kind) if kind.is_symlink() && is_directory(&path) => {}
                _ if is_yaml(&path) => found.files.push(path),
                _ => {}
            }
        }
        if found.files.len() > MAX_FOUND {
            found.files.truncate(MAX_FOUND);
            let hint = "Give the directory that holds the policies.";
            found.faults.push((directory, ReadFault::new(format!("there are more than {MAX_FOUND} files to read"), hint)));
            break;
        }
    }
    found.files.sort();
    found.faults.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// Is it named like a policy file?
pub fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("yaml") || extension.eq_ignore_ascii_case("yml"))
}

fn bounded(from: impl Read, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    from.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= limit).then_some(bytes))
}

fn not_a_file(kind: FileType) -> Option<&'static str> {
    match kind {
        _ if kind.is_file() => None,
        _ if kind.is_dir() => Some("a directory"),
        _ if kind.is_fifo() => Some("a named pipe"),
        _ if kind.is_socket() => Some("a socket"),
        _ => Some("a device"),
    }
}

/// Puts a file in place, whole or not at all, readable by its owner only.
///
/// The order: write beside it, sync, rename, sync the directory. Whatever happens in between, the old file is whole.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), ReadFault> {
    replace_as(path, 0o600, &mut |file| file.write_all(bytes))
}

/// The same with what is written piece by piece.
pub fn replace_by(path: &Path, write: &mut Writing<'_>) -> Result<(), ReadFault> {
    replace_as(path, 0o600, write)
}

pub type Writing<'w> = dyn FnMut(&mut File) -> io::Result<()> + 'w;

/// The same with a file that everybody may read.
pub fn publish(path: &Path, bytes: &[u8]) -> Result<(), ReadFault> {
    replace_as(path, 0o644, &mut |file| file.write_all(bytes))
}

/// For the name of a file that nobody else writes at the same time: no other process, and no other thread of this one.
pub fn own_word() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn replace_as(path: &Path, mode: u32, write: &mut Writing<'_>) -> Result<(), ReadFault> {
    let of = |error: &io::Error| ReadFault::of(error, path);
    if let Ok(about) = fs::metadata(path)
        && !about.is_file()
    {
        return Err(ReadFault::new(format!("`{}` is there and is not a plain file", path.display()), "Name another file."));
    }
    let directory = folder_of(path);
    let name = path.file_name().ok_or_else(|| ReadFault::new("no file is named", "Name a file."))?;
    let beside = directory.join(format!(".{}.{}.new", name.to_string_lossy(), own_word()));
    // One that an interrupted run left behind; what is opened next must be new, not somebody's link to another file.
    let _ = fs::remove_file(&beside);
    let written = write_new(&beside, directory, mode, write)
        .and_then(|()| fs::rename(&beside, path))
        .and_then(|()| File::open(directory)?.sync_all());
    written.map_err(|error| {
        // What is left of it says nothing to anybody.
        let _ = fs::remove_file(&beside);
        of(&error)
    })
}

/// Puts a new file in place, readable by its owner only. What is there already is left as it is, and that is a fault.
///
/// The order: write, sync, sync the directory; what could not be written to its end is removed.
pub fn create(path: &Path, bytes: &[u8]) -> Result<(), ReadFault> {
    let directory = folder_of(path);
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(ReadFault::new(format!("`{}` is there already, and is not overwritten", path.display()), "Name another file."));
        }
        Err(error) => return Err(ReadFault::of(&error, path)),
    };
    let mut write = || {
        give(&file, directory)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        File::open(directory)?.sync_all()
    };
    write().map_err(|error| {
        // Half a key is none.
        let _ = fs::remove_file(path);
        ReadFault::of(&error, path)
    })
}

/// Makes a file of what `write` writes, readable by its owner only: it gets its name when it is whole and on disk, and nothing is left of one that
/// did not come so far. What is there already is replaced only where that is meant, and only if it is a plain file.
pub fn made<T, E: From<io::Error>>(path: &Path, over: bool, write: impl FnOnce(&mut BufWriter<File>) -> Result<T, E>) -> Result<T, E> {
    let directory = folder_of(path);
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it names no file"))?;
    match path.symlink_metadata() {
        Ok(_) if !over => return Err(io::Error::from(io::ErrorKind::AlreadyExists).into()),
        Ok(about) if !about.is_file() => return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is there and is no plain file").into()),
        _ => {}
    }
    let beside = directory.join(format!(".{}.{}.new", name.to_string_lossy(), own_word()));
    let all = || -> Result<T, E> {
        let (file, is_nameless) = nameless(directory, &beside)?;
        let mut file = BufWriter::with_capacity(1 << 20, file);
        let written = write(&mut file)?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        // A name and not a rename, which would put it over whatever has come there meanwhile.
        let named = |to: &Path| match is_nameless {
            true => {
                let own = format!("/proc/self/fd/{}", file.as_raw_fd());
                linkat(CWD, own.as_str(), CWD, to, AtFlags::SYMLINK_FOLLOW).map_err(io::Error::from)
            }
            false if to == beside => Ok(()),
            false => fs::hard_link(&beside, to),
        };
        if over {
            named(&beside)?;
            fs::rename(&beside, path)?;
        } else {
            named(path)?;
        }
        Ok(written)
    };
    let done = all();
    // After a rename there is none.
    let _ = fs::remove_file(&beside);
    if done.is_ok() {
        let _ = File::open(directory).and_then(|directory| directory.sync_all());
    }
    done
}

/// Without a name, where the file system has such: then nothing is left of it, however this ends. Says whether it has none.
fn nameless(directory: &Path, beside: &Path) -> io::Result<(File, bool)> {
    match open(directory, OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR) {
        Ok(file) if Path::new("/proc/self/fd").is_dir() => Ok((File::from(file), true)),
        _ => Ok((OpenOptions::new().write(true).create_new(true).mode(0o600).open(beside)?, false)),
    }
}

fn write_new(path: &Path, directory: &Path, mode: u32, write: &mut Writing<'_>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    give(&file, directory)?;
    // Whatever the umask is.
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    write(&mut file)?;
    file.sync_all()
}

/// What was made just now belongs to whom the folder belongs. Who is not root owns what it makes.
pub fn give(made: &impl AsFd, folder: &Path) -> io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let about = fs::metadata(folder)?;
    if about.uid() == 0 {
        return Ok(());
    }
    std::os::unix::fs::fchown(made, Some(about.uid()), Some(about.gid()))
}

/// The same of a folder, and through no link that came in its place.
pub fn give_folder(made: &Path, above: &Path) -> io::Result<()> {
    give(&open(made, OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?, above)
}

/// Opens a file to write, made if it is not there, for its owner only. Only what was made just now is ever given away, and one that is there is
/// opened through no link.
pub fn open_or_make(path: &Path, how: &OpenOptions) -> io::Result<File> {
    const NO_LINK: i32 = OFlags::NOFOLLOW.bits().cast_signed();
    loop {
        match how.clone().create_new(true).mode(0o600).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(file) => {
                return match give(&file, folder_of(path)) {
                    Ok(()) => Ok(file),
                    Err(error) => {
                        let _ = fs::remove_file(path);
                        Err(error)
                    }
                };
            }
        }
        match how.clone().create(false).custom_flags(NO_LINK).open(path) {
            // Somebody has taken it away between the two.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened,
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A folder with what is missing above it, for their owner only. What is made belongs to whom the first folder belongs that is there.
pub fn make_folders(path: &Path) -> io::Result<()> {
    let path = &std::path::absolute(path)?;
    let missing: Vec<&Path> = path.ancestors().take_while(|above| !above.exists()).collect();
    let Some(above) = missing.last().and_then(|highest| highest.parent()) else { return Ok(()) };
    let folder = OFlags::DIRECTORY | OFlags::CLOEXEC;
    // Step by step, and through no link: whoever owns the first folder could put one in the way.
    let mut at = open(above, folder, Mode::empty())?;
    for name in missing.iter().rev().filter_map(|path| path.file_name()) {
        let made = match mkdirat(&at, name, Mode::RWXU) {
            Ok(()) => true,
            Err(rustix::io::Errno::EXIST) => false,
            Err(error) => return Err(error.into()),
        };
        at = openat(&at, name, folder | OFlags::NOFOLLOW, Mode::empty())?;
        if made {
            give(&at, above)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, chown, symlink};

    use super::*;

    #[test]
    fn folders_belong_to_whom_the_folder_above_belongs() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = folder.path().join("state");
        fs::create_dir(&state).expect("made");
        if rustix::process::geteuid().is_root() {
            chown(&state, Some(65_534), Some(65_534)).expect("given away");
        }
        let owner = |path: &Path| path.metadata().map(|about| (about.uid(), about.gid())).expect("there");
        for _ in 0..2 {
            make_folders(&state.join("policies/tables")).expect("made, and there already");
        }
        for made in ["policies", "policies/tables"] {
            let made = state.join(made);
            assert_eq!((owner(&made), made.metadata().expect("there").permissions().mode() & 0o777), (owner(&state), 0o700));
        }
        replace(&state.join("seen.json"), b"{}").expect("put in place");
        create(&state.join("room"), b"").expect("made");
        for _ in 0..2 {
            open_or_make(&state.join("lock"), OpenOptions::new().write(true)).expect("made, and there already");
        }
        for made in ["seen.json", "room", "lock"] {
            assert_eq!(owner(&state.join(made)), owner(&state), "{made}");
        }
        // Nor is what somebody else's link leads to opened, or given away.
        fs::write(folder.path().join("ours"), "").expect("a file");
        symlink(folder.path().join("ours"), state.join("theirs")).expect("a link");
        assert!(open_or_make(&state.join("theirs"), OpenOptions::new().write(true)).is_err());
        // Nobody is led elsewhere by a link that leads to what is not there yet.
        let elsewhere = folder.path().join("elsewhere");
        symlink(&elsewhere, state.join("link")).expect("a link");
        assert!(make_folders(&state.join("link/tables")).is_err());
        assert!(!elsewhere.exists());
    }
}
