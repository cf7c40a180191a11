//! Where a throw-away copy lies: a folder that says whose it is, so that whoever comes after a crash knows what may be removed.
//!
//! ```text
//! <directory>/<copy>/copy.json      whose it is; locked for as long as its process lives
//! <directory>/<copy>/phase          how far it is
//! <directory>/<copy>/command        the group of processes of the policy's program, while it runs
//! <directory>/<copy>/data           the data directory
//! <directory>/<copy>/tablespaces/…  what lay in tablespaces
//! <directory>/<copy>/files/…        files beside a database
//! <directory>/<copy>/s              its socket; elsewhere where that name would be too long for one
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _, lchown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant as Clock};

use serde::{Deserialize, Serialize};

use super::stop;
use crate::execute::restore::RestoreFault;
use crate::inventory::{DrillChoice, Phase};
use crate::pipeline::restore::Owner;
use crate::site::Site;
use crate::units::{BackupId, Instant, Name};
use crate::world::{clock, files};

pub(in crate::execute) const MARK: &str = "copy.json";
const PHASE: &str = "phase";
const FILES: &str = "files";
/// How the names of folders begin that are being made.
pub(in crate::execute) const UNFINISHED: &str = "new-";
/// A socket's name may have no more bytes than this, the number of its port and the end of its text included.
const LONGEST_SOCKET: usize = 107;
/// What a server or one of its programs still writes when it has ended.
const SETTLES_WITHIN: Duration = Duration::from_secs(10);

/// What a copy is made for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// With what somebody chose for this once.
    Drill(Name, Vec<DrillChoice>),
    /// Tables are taken out of it.
    Tables,
}

impl Purpose {
    pub(super) fn word(&self) -> &'static str {
        match self {
            Purpose::Drill(..) => "drill",
            Purpose::Tables => "tables",
        }
    }

    /// Below which directory such copies lie, where nothing else is said.
    fn usual(&self, site: &Site<'_>) -> PathBuf {
        match self {
            Purpose::Drill(..) => usual(site),
            Purpose::Tables => usual_for_tables(site),
        }
    }

    /// How somebody says that it shall lie elsewhere.
    pub(super) fn elsewhere(&self) -> &'static str {
        match self {
            Purpose::Drill(..) => "`drills.NAME.directory` names another place for the copy",
            Purpose::Tables => "`--directory DIR` names another place for the copy",
        }
    }
}

/// Whose folder it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub id: BackupId,
    pub policy: Name,
    pub purpose: Purpose,
    pub host: String,
    pub pid: u32,
    pub started: Instant,
    pub sockets: PathBuf,
    /// Somebody wanted to look at it: it stays until he says otherwise.
    #[serde(default)]
    pub kept: bool,
}

/// The folder of a copy that is used. Whatever happens, it goes with it, and its server too.
#[derive(Debug)]
pub struct Place {
    folder: PathBuf,
    mark: Mark,
    lock: Option<File>,
    /// By which it is found where it lies elsewhere: tomorrow's policy may not name that directory any more.
    link: Option<PathBuf>,
    gone: bool,
}

/// Below which directory drills of a policy put their copies, where nothing else is said.
pub fn usual(site: &Site<'_>) -> PathBuf {
    site.policy_state().join("drills")
}

/// The same of copies that tables are taken out of.
pub fn usual_for_tables(site: &Site<'_>) -> PathBuf {
    site.policy_state().join("tables")
}

impl Place {
    pub fn make(site: &Site<'_>, base: &Path, id: &BackupId, purpose: Purpose) -> Result<Place, RestoreFault> {
        let failed = |path: &Path, error: &io::Error| {
            RestoreFault::new(format!("`{}` cannot be made: {error}", path.display()), format!("{}.", purpose.elsewhere()))
        };
        let make = |path: &Path| {
            let made = DirBuilder::new().mode(0o700).create(path).and_then(|()| files::give_folder(path, base));
            made.map_err(|error| failed(path, &error))
        };
        files::make_folders(base).map_err(|error| failed(base, &error))?;
        let folder = base.join(id.as_str());
        let fresh = base.join(format!("{UNFINISHED}{id}"));
        make(&fresh)?;
        let mark = Mark {
            id: id.clone(),
            policy: site.policy.name.clone(),
            purpose: purpose.clone(),
            host: site.host().to_owned(),
            pid: std::process::id(),
            started: clock::now(),
            sockets: sockets(&folder, id),
            kept: false,
        };
        let mut place = Place { folder: fresh.clone(), mark, lock: None, link: None, gone: false };
        // Locked before the folder has its name: whoever looks for what was left behind never sees one that nobody holds.
        let path = fresh.join(MARK);
        let file = files::open_or_make(&path, OpenOptions::new().write(true)).map_err(|error| failed(&path, &error))?;
        file.try_lock().map_err(|error| failed(&path, &io::Error::other(error.to_string())))?;
        place.lock = Some(file);
        place.write_mark()?;
        let known = purpose.usual(site);
        files::make_folders(&known).map_err(|error| failed(&known, &error))?;
        // However each of them is written.
        let real = |path: &Path| fs::canonicalize(path).map_err(|error| failed(path, &error));
        if real(base)? != real(&known)? {
            let link = known.join(id.as_str());
            symlink(real(base)?.join(id.as_str()), &link).map_err(|error| failed(&link, &error))?;
            place.link = Some(link);
        }
        fs::rename(&fresh, &folder).map_err(|error| failed(&folder, &error))?;
        place.folder = folder;
        make(&place.mark.sockets)?;
        make(&place.tablespaces())?;
        Ok(place)
    }

    fn write_mark(&mut self) -> Result<(), RestoreFault> {
        let text = serde_json::to_vec(&self.mark).expect("names, numbers and paths");
        let Some(file) = &mut self.lock else { return Ok(()) };
        use std::io::Seek as _;
        let written = file.rewind().and_then(|()| file.write_all(&text)).and_then(|()| file.set_len(text.len() as u64));
        written.and_then(|()| file.sync_all()).map_err(|error| RestoreFault::new(format!("`{}`: {error}", self.folder.display()), ""))
    }

    pub fn purpose(&self) -> &Purpose {
        &self.mark.purpose
    }

    pub fn id(&self) -> &BackupId {
        &self.mark.id
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub fn tablespaces(&self) -> PathBuf {
        self.folder.join("tablespaces")
    }

    pub fn sockets(&self) -> &Path {
        &self.mark.sockets
    }

    /// Below which files beside a database come back.
    pub fn files(&self) -> PathBuf {
        self.folder.join(FILES)
    }

    pub fn hba(&self) -> PathBuf {
        self.folder.join("pg_hba.conf")
    }

    pub fn ident(&self) -> PathBuf {
        self.folder.join("pg_ident.conf")
    }

    /// What the policy's program says.
    pub fn output(&self) -> PathBuf {
        self.folder.join("command.log")
    }

    /// Whoever may enter the folder is the server's account, and lets everybody in who does.
    pub fn prepare(&self, owner: Option<Owner>) -> Result<(), RestoreFault> {
        let failed = |error: io::Error| RestoreFault::new(format!("`{}` cannot be prepared: {error}", self.folder.display()), "");
        for (path, text) in [(self.hba(), "local all all trust\n"), (self.ident(), "")] {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
            file.write_all(text.as_bytes()).map_err(failed)?;
        }
        let Some(Owner { uid, gid }) = owner else { return Ok(()) };
        // The folder last, and through no link: who owns it may put in there what he likes.
        for path in [&self.mark.sockets, &self.tablespaces(), &self.hba(), &self.ident(), &self.folder] {
            lchown(path, Some(uid), Some(gid)).map_err(failed)?;
        }
        Ok(())
    }

    /// For whoever finds it without its process. That it cannot be written is no reason to end anything.
    pub fn at(&self, phase: Phase) {
        let _ = note(&self.folder.join(PHASE), phase.as_str());
    }

    /// The server ends, and its files go: another one comes in their place.
    pub fn clear(&self) -> Result<(), RestoreFault> {
        end_server(&self.data())?;
        gone(&self.data())?;
        for entry in fs::read_dir(self.tablespaces()).into_iter().flatten().flatten() {
            gone(&entry.path())?;
        }
        Ok(())
    }

    /// Leaves it, with its server, for somebody to look at.
    pub fn keep(mut self) -> PathBuf {
        self.mark.kept = true;
        if let Err(fault) = self.write_mark() {
            tracing::warn!("the copy may be removed by the next run: {fault}");
        }
        self.gone = true;
        self.folder.clone()
    }

    /// The server ends, and everything is removed.
    pub fn remove(&mut self) -> Result<(), RestoreFault> {
        self.gone = true;
        remove(&self.folder, &self.mark)?;
        if let Some(link) = &self.link {
            let _ = fs::remove_file(link);
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.gone
            && let Err(fault) = self.remove()
        {
            tracing::error!(hint = fault.hint, "{fault}");
        }
    }
}

/// Below the folder, unless its name is too long for that. Never where an environment says: the next run may have another one.
fn sockets(folder: &Path, id: &BackupId) -> PathBuf {
    let inside = folder.join("s");
    let longest = inside.join(".s.PGSQL.65535.lock").as_os_str().len();
    if longest < LONGEST_SOCKET { inside } else { Path::new("/tmp").join(format!("seawall-{id}")) }
}

/// The server's account may write there too: where it has put a link, nothing is written.
fn note(path: &Path, text: &str) -> io::Result<()> {
    files::open_or_make(path, OpenOptions::new().write(true).truncate(true))?.write_all(text.as_bytes())
}

/// A folder whose mark says that it is a copy's.
pub fn marked(folder: &Path) -> Option<Mark> {
    let mark: Mark = serde_json::from_slice(&files::read(&folder.join(MARK), 64 << 10).ok()?).ok()?;
    // Only a name that is given here is ever removed.
    (mark.sockets == sockets(folder, &mark.id)).then_some(mark)
}

pub fn phase(folder: &Path) -> Option<Phase> {
    let text = fs::read_to_string(folder.join(PHASE)).ok()?;
    serde_json::from_value(serde_json::Value::String(text)).ok()
}

/// Ends what runs there and removes everything.
pub fn remove(folder: &Path, mark: &Mark) -> Result<(), RestoreFault> {
    end_server(&folder.join("data"))?;
    stop::end_programs(&mark.id).map_err(|why| RestoreFault::new(why, "End them by hand, and run it again."))?;
    if !mark.sockets.starts_with(folder) {
        gone(&mark.sockets)?;
    }
    open_up(&folder.join(FILES));
    gone(folder)
}

/// A folder that nobody may write to has come back as one, and only root can empty it as it is.
fn open_up(folder: &Path) {
    if rustix::process::geteuid().is_root() {
        return;
    }
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        // Never through a link: what it leads to is somebody else's.
        if !fs::symlink_metadata(&folder).is_ok_and(|about| about.is_dir()) {
            continue;
        }
        let _ = fs::set_permissions(&folder, fs::Permissions::from_mode(0o700));
        folders.extend(fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path()));
    }
}

fn end_server(data: &Path) -> Result<(), RestoreFault> {
    stop::end_server(data).map_err(|why| {
        let hint = format!("End it by hand (`pg_ctl -D {} stop -m immediate`), and remove the folder.", data.display());
        RestoreFault::new(format!("the throw-away server in `{}` does not end: {why}", data.display()), hint)
    })
}

/// What fetches ahead of a recovery ends a moment after the server, and may still write.
fn gone(folder: &Path) -> Result<(), RestoreFault> {
    let began = Clock::now();
    loop {
        match fs::remove_dir_all(folder) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !folder.exists() => return Ok(()),
            Err(error) if began.elapsed() > SETTLES_WITHIN => {
                let message = format!("`{}` cannot be removed: {error}", folder.display());
                return Err(RestoreFault::new(message, "Remove it; nothing in it is needed."));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}
