//! Ends a restored server's quarantine, step by step. Each step looks first whether it is done: it can be interrupted and run again.
//!
//! The order matters: the new timeline's history and its first segment lie safely in the store *before* anything else may change
//! data, because a second recovery would otherwise give the same timeline number to another history.

mod archiver;
mod original;

use schemars::JsonSchema;
use serde::Serialize;
use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant as Clock};

use self::archiver::Archiver;
use self::original::Copy;
use super::restore::directory;
use super::restore::settings::{self, CRON_JOBS, PUSH, QUIET, STANDBYS, SUBSCRIPTIONS, TIMESCALE_WORKERS};
use super::restore::{FetchCommand, RECOVERY_LOG, RestoreFault, connect, pid_file, programs};
use crate::format::control::Control;
use crate::format::layout::wal_file;
use crate::inventory::SystemIdentifier;
use crate::pipeline::restore::Owner;
use crate::postgres::{Connection, Fault, array};
use crate::site::Site;
use crate::units::{Name, Timeline, WalFile};
use crate::wal::{Place, WalFault, find, read_stamp};
use crate::world::files;

/// What is released, and how.
#[derive(Debug, Clone)]
pub struct Release {
    pub directory: PathBuf,
    /// How `archive_command` calls this program.
    pub push: FetchCommand,
    /// Restarts the server where that is needed.
    pub restart: bool,
    pub programs: Option<PathBuf>,
    /// How long a promotion and the store are waited for.
    pub patience: Duration,
    /// Although the server that it is a copy of goes on.
    pub beside_original: bool,
    /// Who made certain that the original writes no more, and how.
    pub fenced_by_hand: Option<String>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(title = "Result of seawall release")]
pub struct Released {
    /// Changes when a reader of this output would have to.
    #[schemars(range(min = 1, max = 1))]
    pub format_version: u32,
    pub timeline: Timeline,
    /// Settings that still hold and need a restart to end.
    pub still_quiet: Vec<String>,
    pub restarted: bool,
}

const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often the server is asked why nothing comes.
const ASK_EVERY: Duration = Duration::from_secs(2);

pub fn release(site: &Site<'_>, release: &Release, say: &mut dyn FnMut(&str)) -> Result<Released, RestoreFault> {
    let server = Running::find(release)?;
    let control = server.control()?;
    server.must_be_restored()?;
    let archives = site.policy.wal.is_some();
    if archives {
        server.can_keep_state(site)?;
        can_sign(site)?;
    }
    server.wait_until_promoted(say)?;
    let timeline = server.timeline()?;
    say(&format!("it is a server of its own, on timeline {timeline}"));
    if !release.beside_original {
        let (cluster, segment_size, lines) = (control.system_identifier, control.wal_segment_size, server.lines());
        let copy = Copy { directory: &release.directory, lines, cluster, timeline, segment_size };
        original::refuse_beside(site, &copy, release.fenced_by_hand.as_deref(), say)?;
    }
    if archives {
        let archiver = Archiver::of(&release.directory, server.owner.is_some());
        server.archive(say)?;
        server.switch_wal(say);
        server.wait_until_archived(site, (control.system_identifier, timeline), &archiver, say)?;
    } else {
        server.archive_as_before(say)?;
    }
    let (still_quiet, restarted) = server.wake(say)?;
    if let Some(hook) = site.policy.file.hooks.as_ref().and_then(|hooks| hooks.after_restore.as_ref()).filter(|_| still_quiet.is_empty()) {
        let about = [("POLICY", site.policy.name.to_string()), ("DIRECTORY", release.directory.display().to_string())];
        super::hook::run("hooks.after_restore", hook, &about, None)?;
        say("the hook `hooks.after_restore` ran");
    }
    Ok(Released { format_version: 1, timeline, still_quiet, restarted })
}

/// Whoever reads the policy elsewhere would refuse what this host archives. A machine that has never seen the database has no key yet.
fn can_sign(site: &Site<'_>) -> Result<(), RestoreFault> {
    match site.existing_host_keys()? {
        Some(keys) => {
            site.must_be_writer(&keys)?;
        }
        None if site.writers()?.is_empty() => {}
        None => {
            let message = format!("this host has no key in `{}`, and the policy says whose are accepted", site.state().display());
            let hint = "`seawall key host`, as the server's account, makes it and shows the line for `encryption.writers`; with that in the                         policy, run this again. If it has one elsewhere, `--state` (or STATE_DIRECTORY) says where.";
            return Err(RestoreFault::new(message, hint));
        }
    }
    Ok(())
}

/// The server in the directory.
struct Running<'r> {
    release: &'r Release,
    owner: Option<Owner>,
}

impl<'r> Running<'r> {
    fn find(release: &'r Release) -> Result<Running<'r>, RestoreFault> {
        let directory = &release.directory;
        directory::refuse_restoring(directory)?;
        if directory.join(directory::MARKER).exists() {
            let hint = "Finish it first: `seawall restore --delta`.";
            return Err(RestoreFault::new(format!("`{}` holds a restore that was interrupted", directory.display()), hint));
        }
        if directory::refuse_running(directory).is_ok() {
            let message = format!("no server runs in `{}`", directory.display());
            return Err(RestoreFault::new(message, "Start it: it has to recover before it can be released."));
        }
        let about = fs::metadata(directory).map_err(|error| RestoreFault::new(format!("`{}`: {error}", directory.display()), ""))?;
        let owner = rustix::process::geteuid().is_root().then_some(Owner { uid: about.uid(), gid: about.gid() });
        Ok(Running { release, owner })
    }

    /// Whoever names the wrong directory would have its settings of archiving replaced.
    fn must_be_restored(&self) -> Result<(), RestoreFault> {
        let conf = self.read_conf()?;
        let text = String::from_utf8_lossy(&conf);
        if text.contains(settings::BEGIN) || text.contains(PUSH) {
            return Ok(());
        }
        let message = format!("`{}` was not restored by seawall, so there is nothing to release", self.release.directory.display());
        Err(RestoreFault::new(message, "Name the restored data directory with `--target`."))
    }

    /// The server itself archives: what Seawall keeps between two segments must be its own.
    fn can_keep_state(&self, site: &Site<'_>) -> Result<(), RestoreFault> {
        let (Some(owner), Ok(about)) = (self.owner, fs::metadata(site.state())) else { return Ok(()) };
        if about.uid() == owner.uid {
            return Ok(());
        }
        let message = format!("the state directory `{}` does not belong to the server's account, which archives", site.state().display());
        Err(RestoreFault::new(message, "Give it away with `chown -R`, or name another one with `--state`."))
    }

    fn control(&self) -> Result<Control, RestoreFault> {
        let path = self.release.directory.join(crate::format::control::PATH);
        let fault =
            |why: String| RestoreFault::new(format!("`{}` cannot be read: {why}", path.display()), "Run as the server's user, or as root.");
        let bytes = files::read(&path, 64 << 10).map_err(|fault_| fault(fault_.message))?;
        Control::parse(&bytes).map_err(|error| fault(error.to_string()))
    }

    fn in_recovery(&self) -> bool {
        ["recovery.signal", "standby.signal"].iter().any(|signal| self.release.directory.join(signal).exists())
    }

    fn wait_until_promoted(&self, say: &mut dyn FnMut(&str)) -> Result<(), RestoreFault> {
        let began = Clock::now();
        if self.in_recovery() {
            say("waiting until recovery ends and the server is promoted");
        }
        while self.in_recovery() {
            if began.elapsed() > self.release.patience {
                let hint = "If it is paused at its target, `select pg_wal_replay_resume()` promotes it; then run this again.";
                return Err(RestoreFault::new("the server is still recovering", hint));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// The newest one that this server knows of: its history is written when it is promoted.
    fn timeline(&self) -> Result<Timeline, RestoreFault> {
        let entries = fs::read_dir(self.release.directory.join("pg_wal")).into_iter().flatten().flatten();
        let newest = entries.filter_map(|entry| match entry.file_name().to_string_lossy().parse() {
            Ok(WalFile::History(timeline)) => Some(timeline),
            _ => None,
        });
        match newest.max() {
            Some(timeline) => Ok(timeline),
            None => Ok(self.control()?.timeline),
        }
    }

    fn conf(&self) -> PathBuf {
        self.release.directory.join("postgresql.auto.conf")
    }

    /// Of any encoding.
    fn read_conf(&self) -> Result<Vec<u8>, RestoreFault> {
        let path = self.conf();
        fs::read(&path).map_err(|error| RestoreFault::new(format!("`{}` cannot be read: {error}", path.display()), ""))
    }

    /// A new file in the old one's place, with the same owner; whole at any moment.
    fn write_conf(&self, conf: &[u8]) -> Result<(), RestoreFault> {
        let (path, part) = (self.conf(), self.conf().with_extension("conf.seawall"));
        let write = || {
            use std::io::Write;
            use std::os::unix::fs::OpenOptionsExt;
            let mut options = fs::OpenOptions::new();
            // Root is not led elsewhere by a link of the account's.
            options.write(true).create(true).truncate(true).mode(0o600).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
            let mut file = options.open(&part)?;
            file.write_all(conf)?;
            if let Some(Owner { uid, gid }) = self.owner {
                std::os::unix::fs::fchown(&file, Some(uid), Some(gid))?;
            }
            file.sync_all()?;
            fs::rename(&part, &path)
        };
        write().map_err(|error| RestoreFault::new(format!("`{}` cannot be written: {error}", path.display()), ""))
    }

    /// Archiving by the policy, from now on.
    fn archive(&self, say: &mut dyn FnMut(&str)) -> Result<(), RestoreFault> {
        let conf = self.read_conf()?;
        let wanted = settings::line("archive_command", &settings::push_command(&self.release.push));
        // Not what stands in a comment: that was so before another restore.
        if settings::lines_of(&conf).any(|line| line == wanted.trim_end().as_bytes()) {
            say("archiving is on already");
            return Ok(());
        }
        // What recovery needed is over; what keeps jobs quiet ends last, and what somebody set stays.
        let over = |name: &str| name != "archive_mode" && settings::is_of_recovery(name);
        let mut kept = settings::without(&conf, &over);
        kept.extend(wanted.as_bytes());
        self.write_conf(&kept)?;
        self.reload()?;
        say("archiving is on: `archive_command` calls `seawall wal push`");
        Ok(())
    }

    /// The policy archives nothing: what the server's own configuration says of it holds again. The first backup brings the new timeline's history.
    fn archive_as_before(&self, say: &mut dyn FnMut(&str)) -> Result<(), RestoreFault> {
        let conf = self.read_conf()?;
        if !settings::ours(&conf).iter().any(|name| settings::is_of_recovery(name)) {
            return Ok(());
        }
        self.write_conf(&settings::without(&conf, &settings::is_of_recovery))?;
        self.reload()?;
        say("the policy archives no log: take a backup of it now, which brings the new timeline's history");
        Ok(())
    }

    fn lines(&self) -> Vec<String> {
        pid_file(&self.release.directory)
    }

    fn reload(&self) -> Result<(), RestoreFault> {
        let pid = self.lines().first().and_then(|line| line.trim().parse().ok()).and_then(rustix::process::Pid::from_raw);
        let Some(pid) = pid else { return Err(RestoreFault::new("the server stopped", "Start it, and run this again.")) };
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).map_err(|error| {
            RestoreFault::new(format!("the server cannot be told to read its settings again: {error}"), "Run as its user, or as root.")
        })
    }

    /// So that nobody has to wait for a whole segment to fill. Where nobody lets us in, that is what is waited for.
    fn switch_wal(&self, say: &mut dyn FnMut(&str)) {
        let switched = connect(&self.lines(), self.owner.is_some()).map(|mut connection| connection.query("select pg_switch_wal()", &[]));
        if !matches!(switched, Some(Ok(_))) {
            say("the server lets nobody in from here: run `select pg_switch_wal()` in it, so that its first segment is archived");
        }
    }

    fn wait_until_archived(
        &self,
        site: &Site<'_>,
        (cluster, timeline): (SystemIdentifier, Timeline),
        archiver: &Archiver<'_>,
        say: &mut dyn FnMut(&str),
    ) -> Result<(), RestoreFault> {
        let (began, mut asked, mut failure) = (Clock::now(), Clock::now(), None);
        for name in stores(site)? {
            let store = site.store(&name)?;
            let repository = site
                .find_repository(&store)?
                .ok_or_else(|| RestoreFault::new(format!("store `{name}` has nothing of this policy"), "Is it the right one?"))?
                .repository;
            let place = Place { store, repository };
            loop {
                let seen = archived(&place, cluster, timeline, &self.release.directory)?;
                if seen == (true, true) {
                    say(&format!("store `{name}` has the history of timeline {timeline} and its first segment"));
                    break;
                }
                if asked.elapsed() > ASK_EVERY {
                    asked = Clock::now();
                    let now = archiver.failure();
                    if let Some(why) = now.as_ref().filter(|_| now != failure) {
                        say(&format!("archiving fails so far: {why}"));
                    }
                    failure = now;
                }
                if began.elapsed() > self.release.patience {
                    let what = if seen.0 { "a segment" } else { "the history" };
                    let why = failure.map(|why| format!(": {why}")).unwrap_or_default();
                    let hint = "Look into the server's log for what `archive_command` says; then run this again.";
                    return Err(RestoreFault::new(format!("{what} of timeline {timeline} did not come into store `{name}`{why}"), hint));
                }
                std::thread::sleep(LOOK_EVERY);
            }
        }
        Ok(())
    }

    /// What changes data by itself: those settings end with a restart only. Where none of them holds anything back here, none is needed.
    fn wake(&self, say: &mut dyn FnMut(&str)) -> Result<(Vec<String>, bool), RestoreFault> {
        let conf = self.read_conf()?;
        let ours = settings::ours(&conf);
        let written: Vec<&str> = QUIET.iter().map(|(name, _)| *name).filter(|name| ours.iter().any(|our| our == name)).collect();
        if written.is_empty() {
            // Of our block only `archive_mode` may be left, which has to hold.
            return Ok((Vec::new(), false));
        }
        let mut connection = connect(&self.lines(), self.owner.is_some());
        let held = connection.as_mut().and_then(|connection| held_back(connection).ok());
        let held = held.unwrap_or_else(|| written.iter().filter(|name| **name != STANDBYS).map(|name| (*name).to_owned()).collect());
        let held: Vec<String> = held.into_iter().filter(|name| written.contains(&name.as_str())).collect();
        if !held.is_empty() && !self.release.restart {
            say(&format!("this stays quiet: {}. When the data was looked at, run this again with `--restart`", held.join(", ")));
            return Ok((held, false));
        }
        self.write_conf(&settings::without(&conf, &|name| written.contains(&name)))?;
        // The files as they are now, which is not yet what holds.
        let awaited = connection.as_mut().and_then(|connection| awaited(connection).ok()).flatten();
        drop(connection);
        if held.is_empty() {
            self.reload()?;
        } else {
            self.restart()?;
            say(&format!("the server was restarted, and this runs again: {}", held.join(", ")));
        }
        if let Some(names) = awaited {
            say(&format!("every commit waits for standbys again (`{STANDBYS}` is `{names}`): connect one, or empty it"));
        }
        Ok((Vec::new(), !held.is_empty()))
    }

    fn restart(&self) -> Result<(), RestoreFault> {
        let directory = &self.release.directory;
        let major = fs::read_to_string(directory.join("PG_VERSION")).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        let programs = programs::find(self.release.programs.as_deref(), major)?;
        let mut command = programs::as_owner(&programs.join("pg_ctl"), self.owner);
        let output = command.arg("-D").arg(directory).args(["-m", "fast", "-w", "-l"]).arg(directory.join(RECOVERY_LOG)).arg("restart");
        let status = output.stdout(std::process::Stdio::null()).status();
        match status {
            Ok(status) if status.success() => Ok(()),
            _ => Err(RestoreFault::new("the server could not be restarted", "Its log says why; its settings are as they should be now.")),
        }
    }
}

/// The settings among `QUIET` without which something would begin here. A setting of a library that is not loaded is not among the server's.
fn held_back(connection: &mut Connection) -> Result<Vec<String>, Fault> {
    let names = array([TIMESCALE_WORKERS, CRON_JOBS]);
    let sql = "select name from pg_catalog.pg_settings where name = any($1::text[]) \
               union all select $2::text where exists (select from pg_catalog.pg_subscription where subenabled) order by 1";
    let rows = connection.query(sql, &[&names, SUBSCRIPTIONS])?;
    rows.iter().map(|row| Ok(row.text("name")?.to_owned())).collect()
}

fn awaited(connection: &mut Connection) -> Result<Option<String>, Fault> {
    let sql = "select setting from pg_catalog.pg_file_settings where name = $1 and error is null order by seqno desc limit 1";
    let rows = connection.query(sql, &[STANDBYS])?;
    Ok(rows.iter().filter_map(|row| row.get("setting")).find(|names| !names.is_empty()).map(str::to_owned))
}

/// Those that must have the log before PostgreSQL may forget it.
pub(super) fn stores(site: &Site<'_>) -> Result<Vec<Name>, RestoreFault> {
    let wal = site.policy.wal.as_ref();
    let wal =
        wal.ok_or_else(|| RestoreFault::new("the policy archives no write-ahead log", "Add `wal`, or leave the server in quarantine."))?;
    let copies = wal.copies.iter().filter(|_| wal.acknowledged_by_all);
    Ok(std::iter::once(&wal.store).chain(copies).cloned().collect())
}

/// Whether the timeline's history is there, and any segment of it. The first timeline has no history. A history that is not this server's
/// own is a fault: somebody else was promoted to the same timeline, and its log will never be archived.
pub(super) fn archived(
    place: &Place,
    cluster: SystemIdentifier,
    timeline: Timeline,
    directory: &Path,
) -> Result<(bool, bool), RestoreFault> {
    let fault = |fault: WalFault| RestoreFault::new(fault.message, fault.hint);
    let (mut history, mut segment) = (timeline == Timeline::FIRST, false);
    if !history && let Some((key, size)) = find(place, cluster, WalFile::History(timeline)).map_err(fault)? {
        history = true;
        let stamp = read_stamp(place, &key, size).map_err(fault)?.0.stamp;
        let own = fs::read(directory.join("pg_wal").join(WalFile::History(timeline).to_string()));
        if own.is_ok_and(|own| *blake3::hash(&own).as_bytes() != stamp.content) {
            let message = format!("timeline {timeline} is another server's: {key} in {} is not this server's history", place.store.url());
            let hint = "Two servers were promoted from the same log. Restore again: the next promotion takes a timeline that is free.";
            return Err(RestoreFault::new(message, hint));
        }
    }
    place.store.list_each(&place.repository.timeline_prefix(cluster, timeline), &mut |meta| {
        segment |= wal_file(&meta.key).is_some_and(|(file, ..)| matches!(file, WalFile::Segment(_)));
        if segment { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok((history, segment))
}
