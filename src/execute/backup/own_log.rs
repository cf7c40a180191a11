//! The log of a backup whose policy archives none: it is put beside it, as an archiver would have put it.
//!
//! The order is what makes such a backup one that can be restored:
//!
//! 1. Before the backup begins, a session of its own makes a temporary replication slot. The server keeps all of its log from then on, and drops
//!    the slot with the session, however that ends. (In any other session a question that is refused would drop it.)
//! 2. When the files are copied, what expiry would take for log that nobody needs is pinned: segments may lie there already, of an earlier backup.
//! 3. The timeline's history, then every segment from the backup's start to its stop. What has a name already must have the same content.
//! 4. The slot is asked whether it still holds. If it does, no segment went away or became another one while it was read.
//! 5. Every segment is looked for in the store, and once more when the descriptor is there (`commit`).

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant as Stopwatch};

use super::archived::{Archive, Needed};
use super::awaited::Awaited;
use super::server::Source;
use super::watch::Watch;
use super::{ARCHIVE_PATIENCE, BackupFault, Run, Stage};
use crate::execute::restore::Pin;
use crate::pipeline::{Lock, PipelineFault};
use crate::policy::file::ReadBack;
use crate::postgres::{Connection, Fault};
use crate::units::{BackupId, Instant, Lsn, Segment, Timeline, WalFile, moment_of, unhex};
use crate::wal::{Carried, Carrier, Destination, Packing, Place, find};
use crate::world::{clock, files, parallel};

/// So many segments are put before the server is asked whether it still keeps the rest.
const AT_ONCE: usize = 16;
/// Bytes that are asked for at a time.
const SLICE: u64 = 1 << 20;
const READ: &str = "select encode(pg_read_binary_file($1, $2::bigint, $3::bigint, true), 'hex') as bytes";
const WRITTEN: &str = "select extract(epoch from modification) as at from pg_ls_waldir() where name = $1";
const RECEIVED: &str = "\
    select coalesce(pg_last_wal_receive_lsn(), '0/0'::pg_lsn)::text as received, coalesce(pg_last_wal_replay_lsn(), '0/0'::pg_lsn)::text as replayed";
const LOOK: Duration = Duration::from_millis(200);
/// How long it may be between two questions to the session that keeps the log.
const PING: Duration = Duration::from_secs(10);
const GIVEN_UP: &str = "Was more written meanwhile than `max_slot_wal_keep_size` allows a slot to keep (or, with PostgreSQL 18, did it take longer than \
                        `idle_replication_slot_timeout`)? Raise it, take the backup when less is written, or archive the log (`wal: { store: … }`).";

/// What keeps the log on the server.
#[derive(Debug)]
pub(super) struct Held {
    session: Mutex<Connection>,
    slot: String,
    /// Which run of which server it is.
    run: String,
    /// By the server's clock, before the backup began.
    since: Instant,
    asked: Mutex<Stopwatch>,
}

/// A log that was put, and what stands for it until the backup is there.
#[derive(Debug)]
pub(super) struct OwnLog {
    pub needed: Needed,
    _pin: Pin,
}

/// Whatever it takes is there, before anything is written.
pub(super) fn check(connection: &mut Connection, source: &Source) -> Result<(), BackupFault> {
    let terms = connection.slot_terms()?;
    let refused = |why: String, hint: String| {
        let message = format!("the policy archives no log, so a backup brings its own, and {why}");
        Err(BackupFault::refused(message, format!("{hint} Or archive it: `wal: {{ store: … }}`.")))
    };
    let role = &terms.role;
    if terms.wal_level == "minimal" {
        return refused("`wal_level` is `minimal`".into(), "Set `wal_level = replica` and restart the server.".into());
    }
    if !terms.may {
        let why = format!("the role {role} may not make the replication slot that keeps the log meanwhile");
        return refused(why, format!("`alter role {role} replication` allows it."));
    }
    if terms.taken >= terms.most {
        let why = format!("all replication slots of the server are taken ({} of {})", terms.taken, terms.most);
        return refused(why, "Raise `max_replication_slots` and restart the server, or drop a slot that nobody reads.".into());
    }
    match source {
        Source::Protocol if !terms.reads_files => {
            let why = format!("the role {role} may not read it from the server");
            let grant = "grant execute on function pg_read_binary_file(text, bigint, bigint, boolean)";
            refused(why, format!("`{grant} to {role}` allows it."))
        }
        Source::Files { root, .. } => match fs::read_dir(root.join("pg_wal")) {
            Ok(_) => Ok(()),
            Err(error) => {
                let why = format!("{} cannot be read here: {error}", root.join("pg_wal").display());
                refused(why, "It may be a link to another disk that this account or this unit of systemd does not see.".into())
            }
        },
        Source::Protocol => Ok(()),
    }
}

impl Held {
    /// For as long as this lives. `beside` is the session that the backup is taken with.
    fn begin(mut session: Connection, beside: &mut Connection, id: &BackupId) -> Result<Held, BackupFault> {
        session.lift_limits()?;
        let run = session.server_run()?;
        must_be_one(&run, beside)?;
        let now = session.query("select extract(epoch from clock_timestamp()) as at", &[])?.one()?.parse("at")?;
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
        let slot = format!("seawall_{}", id.as_str().chars().map(plain).collect::<String>());
        session.hold_log(&slot)?;
        Ok(Held {
            session: Mutex::new(session),
            slot,
            run,
            since: moment_of(now).unwrap_or(Instant::UNIX_EPOCH),
            asked: Mutex::new(Stopwatch::now()),
        })
    }

    /// A session with the server that keeps it. Those of before may have been silent for hours.
    fn beside(&self, run: &Run<'_>) -> Result<Connection, BackupFault> {
        let mut connection = Connection::connect(&run.site.connection()?)?;
        must_be_one(&self.run, &mut connection)?;
        self.must_hold()?;
        Ok(connection)
    }

    /// For who comes by often.
    pub(super) fn keeps(&self) -> Result<(), BackupFault> {
        let is_recent = self.asked.lock().unwrap_or_else(PoisonError::into_inner).elapsed() < PING;
        if is_recent { Ok(()) } else { self.must_hold() }
    }

    /// Also keeps what lies between from forgetting the session.
    pub(super) fn must_hold(&self) -> Result<(), BackupFault> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Stopwatch::now();
        match session.still_holds_log(&self.slot) {
            Ok(true) => Ok(()),
            Ok(false) => {
                let message =
                    format!("the server did not keep the log that this backup needs: it gave up its replication slot `{}`", self.slot);
                Err(BackupFault::refused(message, GIVEN_UP))
            }
            Err(fault) => Err(self.ended(fault, &mut session)),
        }
    }

    /// A server gives up a slot that is in use by ending the session that uses it. One that stopped itself is another matter.
    fn ended(&self, fault: Fault, session: &mut Connection) -> BackupFault {
        let still_runs =
            || Connection::connect(session.settings()).and_then(|mut other| other.server_run()).is_ok_and(|run| run == self.run);
        if !session.is_broken() || !still_runs() {
            return fault.into();
        }
        let message = format!(
            "the server did not keep the log that this backup needs: the session that its replication slot `{}` lived in was ended: {fault}",
            self.slot
        );
        Fault { message, hint: GIVEN_UP.to_owned(), ..fault }.into()
    }
}

fn must_be_one(run: &str, other: &mut Connection) -> Result<(), BackupFault> {
    if other.server_run()? == run {
        return Ok(());
    }
    let hint =
        "Was it restarted? With several hosts in `cluster.connection`, say which one is meant: `target_session_attrs`, or `cluster.hosts`.";
    Err(BackupFault::refused("the connection leads to one server now and to another one then", hint))
}

impl Run<'_> {
    /// Where the log is to come from that belongs to it.
    pub(super) fn hold_log(&mut self, connection: &mut Connection) -> Result<(), BackupFault> {
        if self.order.wal_store.is_none() {
            let session = Connection::connect(&self.site.connection()?)?;
            self.held = Some(Arc::new(Held::begin(session, connection, &self.basis.id)?));
        }
        Ok(())
    }

    /// Puts all of it. `root` is the data directory, where it is read here.
    pub(super) fn bring_log(
        &mut self,
        needed: Needed,
        root: Option<&Path>,
        (data_lock, index_lock): (&Lock, &Lock),
    ) -> Result<(), BackupFault> {
        let pin = Pin::on(self.store, self.repository, (&self.basis.id, needed.start), "backup", self.site.host(), clock::now());
        let pin = pin.ok_or_else(|| {
            BackupFault::refused(format!("{} does not take a pin, so the log of this backup is not safe there", self.store.url()), "")
        })?;
        let connection = &mut self.held()?.beside(self)?;
        if self.server.in_recovery {
            self.switch_on_primary();
            self.until_received(&needed, connection)?;
        }
        let history = (needed.timeline != Timeline::FIRST).then_some(WalFile::History(needed.timeline));
        let segments: Vec<Segment> = needed.segments().collect();
        let all: Vec<WalFile> = history.into_iter().chain(segments.iter().copied().map(WalFile::Segment)).collect();
        let destination = Destination {
            name: self.order.store.clone(),
            url: self.store.url(),
            place: Ok(Place { store: self.store.clone(), repository: self.repository.clone() }),
        };
        let packing = Packing {
            destination,
            codec: self.site.codec(None),
            lock: data_lock.clone(),
            history_lock: index_lock.clone(),
            signing: self.site.host_keys()?.signing,
            writers: self.site.writers()?,
            workers: self.order.workers,
        };
        let carrier = Carrier::begin(packing, needed.cluster, &all);
        if history.is_some() {
            self.bring_history(&carrier, &needed, connection, root)?;
        }
        for some in segments.chunks(if root.is_some() { AT_ONCE } else { 1 }) {
            self.may_go_on()?;
            self.held()?.must_hold()?;
            match root {
                Some(root) => carrier.put(&self.on_this_host(root, some))?,
                None => some.iter().try_for_each(|segment| self.bring_from_afar(&carrier, connection, *segment, needed.segment.bytes()))?,
            }
        }
        // Now, and not before, it is known that what was read was what the names said.
        self.held()?.must_hold()?;
        if self.order.read_back == ReadBack::Contents {
            let read = parallel::map_with(self.order.workers, &segments, &|segment| carrier.read_back(WalFile::Segment(*segment)));
            read.into_iter().collect::<Result<(), _>>()?;
        }
        self.own_log = Some(OwnLog { needed, _pin: pin });
        self.log_must_be_there()
    }

    /// Every segment lies in the store, as far as that can be asked.
    pub(super) fn log_must_be_there(&self) -> Result<(), BackupFault> {
        let Some(own) = &self.own_log else { return Ok(()) };
        let (codec, envelope) = (self.site.codec(None), self.site.lock()?.envelope());
        let archive = Archive { store: self.store, repository: self.repository, codec, envelope };
        match archive.missing(&own.needed, own.needed.first())? {
            None => Ok(()),
            Some(segment) => {
                let message = format!("segment {segment} of the log was put into {} and is not there", self.store.url());
                Err(BackupFault::refused(message, "Something deletes objects there, or its disk is not mounted any more. Run it again."))
            }
        }
    }

    fn held(&self) -> Result<&Held, BackupFault> {
        let nothing = || BackupFault::refused("nothing keeps the log of this backup", "This is a fault of seawall; please report it.");
        self.held.as_deref().ok_or_else(nothing)
    }

    fn may_go_on(&self) -> Result<(), BackupFault> {
        let deadline = self.order.timeout.and_then(|timeout| self.began.checked_add(timeout));
        Watch { stop: self.onlooker.stop, abort: &AtomicBool::new(false), deadline, held: None }.check()
    }

    /// On a standby a file has the time at which it came, which says nothing of what is in it.
    fn on_this_host(&self, root: &Path, segments: &[Segment]) -> Vec<Carried> {
        let written = self.restartpoint.map(|restartpoint| restartpoint.at);
        let wal = root.join("pg_wal");
        let carried = |segment: &Segment| Carried { path: wal.join(segment.to_string()), file: WalFile::Segment(*segment), written };
        segments.iter().map(carried).collect()
    }

    fn bring_from_afar(&self, carrier: &Carrier, sql: &mut Connection, segment: Segment, size: u64) -> Result<(), BackupFault> {
        let name = segment.to_string();
        let mut file = in_memory()?;
        let mut at = 0;
        while at < size {
            self.may_go_on()?;
            let bytes = read(sql, &name, at, SLICE.min(size - at))?.unwrap_or_default();
            if bytes.is_empty() {
                let message = format!("the server has {at} bytes of its segment {name} instead of {size}");
                return Err(BackupFault::refused(message, "Its replication slot should have kept it. Run it again."));
            }
            file.write_all(&bytes).map_err(of_memory)?;
            at += bytes.len() as u64;
        }
        let written = self.written_afar(sql, &name)?;
        Ok(carrier.put(&[Carried { path: path_of(&file), file: WalFile::Segment(segment), written: Some(written) }])?)
    }

    /// When the server wrote a segment for the last time; where it does not say, some moment before that.
    fn written_afar(&self, sql: &mut Connection, name: &str) -> Result<Instant, BackupFault> {
        if let Some(restartpoint) = self.restartpoint {
            return Ok(restartpoint.at);
        }
        let said = sql.query(WRITTEN, &[name]).ok().and_then(|rows| moment_of(rows.one().ok()?.parse("at").ok()?));
        Ok(said.unwrap_or(self.held()?.since))
    }

    /// Without it nobody can follow this timeline to the one that it came from. A server that was itself made of a copy may not have it.
    fn bring_history(&mut self, carrier: &Carrier, needed: &Needed, sql: &mut Connection, root: Option<&Path>) -> Result<(), BackupFault> {
        let file = WalFile::History(needed.timeline);
        let name = file.to_string();
        let bytes = match root {
            Some(root) => match fs::read(root.join("pg_wal").join(&name)) {
                Ok(bytes) => Some(bytes),
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                Err(error) => return Err(PipelineFault::file(format!("reading {name}"), error).into()),
            },
            None => read(sql, &name, 0, SLICE)?,
        };
        if let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) {
            let mut copy = in_memory()?;
            copy.write_all(&bytes).map_err(of_memory)?;
            return Ok(carrier.put(&[Carried { path: path_of(&copy), file, written: Some(self.held()?.since) }])?);
        }
        let place = Place { store: self.store.clone(), repository: self.repository.clone() };
        if find(&place, needed.cluster, file)?.is_none() {
            self.remarks.push(format!(
                "the server has no {name}, so it is not known where timeline {} came from: earlier backups cannot be rolled on to it",
                needed.timeline
            ));
        }
        Ok(())
    }

    /// The last segment comes whole: the primary ends it, and sends the rest.
    fn until_received(&self, needed: &Needed, standby: &mut Connection) -> Result<(), BackupFault> {
        let (last, began) = (needed.last(), Stopwatch::now());
        let (start, end) = (last.start(needed.segment), last.end(needed.segment));
        let left = self.order.timeout.map_or(ARCHIVE_PATIENCE, |timeout| timeout.saturating_sub(self.began.elapsed()));
        (self.onlooker.stage)(Stage::WaitingForLog(Some(Awaited { segment: last, archiver: None })));
        loop {
            self.held()?.keeps()?;
            let rows = standby.query(RECEIVED, &[])?;
            let (received, replayed): (Lsn, Lsn) = (rows.one()?.parse("received")?, rows.one()?.parse("replayed")?);
            // What did not come from the primary came whole from an archive of the server's own.
            if received >= end || (received < start && replayed >= end) {
                return Ok(());
            }
            self.may_go_on()?;
            if began.elapsed() > left.min(ARCHIVE_PATIENCE) {
                let message = format!("the standby did not receive segment {last} of the log whole within {} s", began.elapsed().as_secs());
                let hint =
                    "`select pg_switch_wal()` on the primary ends it, which `cluster.connection` is asked for. Does the standby stream?";
                return Err(BackupFault::refused(message, hint));
            }
            thread::sleep(LOOK);
        }
    }
}

/// A piece of a file in `pg_wal`; none where there is no such file.
fn read(sql: &mut Connection, name: &str, at: u64, length: u64) -> Result<Option<Vec<u8>>, BackupFault> {
    let rows = sql.query(READ, &[&format!("pg_wal/{name}"), &at.to_string(), &length.to_string()])?;
    let Some(hex) = rows.one()?.get("bytes") else { return Ok(None) };
    unhex(hex).map(Some).ok_or_else(|| BackupFault::refused(format!("the server answers something else than the bytes of {name}"), ""))
}

/// What came over the wire is never written to a disk as it is.
fn in_memory() -> Result<File, BackupFault> {
    files::in_memory().map_err(of_memory)
}

fn path_of(file: &File) -> PathBuf {
    PathBuf::from(files::path_in_memory(file))
}

fn of_memory(error: std::io::Error) -> BackupFault {
    PipelineFault::file("holding a segment of the log in memory", error).into()
}
