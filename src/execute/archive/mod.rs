//! Rows that are old enough move to a store: exported, read back, and only then taken out of their table.
//!
//! An *extent* is the rows of one stretch of time. It is exported in one snapshot and committed by its descriptor. Whoever has an identity
//! reads every row of it back and signs that. Only then are the rows deleted, by a statement that gives back what it deletes, inside a
//! transaction that ends well only when these are exactly the rows that were read back; the same transaction writes into
//! `seawall.archived`, in the same database, that they are gone. So wherever it breaks off, each row is in the table or known to be in the
//! archive, and a database that is restored to a moment before still says the truth about itself.

mod bring_back;
mod chosen;
mod chunks;
mod export;
mod held;
mod kept;
mod let_go;
mod remove;
mod retain;
mod returned;
mod slice;
mod stale;
mod table;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;

pub use bring_back::{BroughtBack, Wanted, bring_back};
pub(in crate::execute) use held::PLACING;
pub use kept::read_back;
pub use retain::{Dropped, Retained, retain};
pub(in crate::execute) use table::{SETTINGS, Time, columns};

use super::expire;
use crate::format::archived::Stretch;
use crate::format::layout::Repository;
use crate::format::seal::Identities;
use crate::format::signature::Writers;
use crate::inventory::SystemIdentifier;
use crate::observe::{Kept, Names, Shelf};
use crate::plan::words::counted;
use crate::policy::model::Archive;
use crate::postgres::Connection;
use crate::site::{HostKeys, Site, SiteFault};
use crate::store::{Meta, Moved, Store};
use crate::units::{BackupId, Instant, Name, StorageClass};
use crate::world::clock;
use chosen::rows_there;
use slice::Slice;
use table::Table;

/// A statement may look at a whole table before it says anything.
const SILENCE: Duration = Duration::from_secs(4 * 3600);
/// Rows of a plain table that move at a time.
pub const ROWS_AT_ONCE: u64 = 1_000_000;

#[derive(Debug, Clone)]
pub struct Wishes {
    pub rows_at_once: u64,
}

impl Default for Wishes {
    fn default() -> Self {
        Wishes { rows_at_once: ROWS_AT_ONCE }
    }
}

/// What was done with an extent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    Exported,
    ReadBack,
    /// Its rows are deleted by now, and the transaction ends.
    Removing,
    Removed,
    /// It has been in the archive for long enough, and goes when the grace is over.
    Marked,
    /// Its rows were exported anew, and left their table as another one's or are there still: it goes when the grace is over.
    Superseded,
    /// About to be deleted from the archive.
    LettingGo,
    LetGo,
}

/// Something that was done, for the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deed {
    pub store: Name,
    pub extent: BackupId,
    pub database: String,
    pub table: String,
    pub from: String,
    pub to: String,
    pub rows: u64,
    pub bytes: u64,
}

/// Who hears of each step, and may end it.
#[derive(Clone, Copy)]
pub struct Onlooker<'o> {
    /// False where it is not on record: then no row leaves its table.
    pub deed: &'o dyn Fn(Done, &Deed) -> bool,
    pub stop: &'o AtomicBool,
}

impl std::fmt::Debug for Onlooker<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Onlooker")
    }
}

/// What came of a run.
#[derive(Debug, Default)]
pub struct Archived {
    pub exported: Vec<Deed>,
    pub removed: Vec<Deed>,
    /// Exported, and not taken out of the table: nobody has read them back yet.
    pub waiting: Vec<Deed>,
    /// When the oldest of those was exported.
    pub waiting_since: Option<Instant>,
    /// Deleted from the archive: its time there is over.
    pub let_go: Vec<Deed>,
    /// Deleted from the archive: its rows were exported anew.
    pub superseded: Vec<Deed>,
    /// What was exported and cannot be read back any more. Its rows stay in the table.
    pub damaged: Vec<SiteFault>,
    /// What is the only copy of rows and has lost its descriptor.
    pub headless: Vec<SiteFault>,
    /// The database drops rows of the table by itself, archived or not.
    pub blind: Option<SiteFault>,
    /// Sentences without a full stop.
    pub remarks: Vec<String>,
    pub stopped: bool,
    /// What was exported before this run and is in the table still, and when.
    earlier: Vec<(Stretch, Instant)>,
    /// Where those extents begin and end.
    bounds: BTreeSet<String>,
}

/// Moves what is old enough by now.
pub fn archive(site: &Site<'_>, archive: &Archive, wishes: &Wishes, onlooker: Onlooker<'_>) -> Result<Archived, SiteFault> {
    let now = clock::now();
    let keys = site.host_keys()?;
    let writers = site.must_be_writer(&keys)?;
    let mut connection = connect(site, &archive.database)?;
    let cluster = system_of(&mut connection)?;
    let moment = expire::moment_of(&mut connection)?;
    let (store, cold) = site.store_to_read_back(&archive.store)?;
    let repository = site.own_repository(&archive.store, &store, cluster, now)?;
    let table = Table::find(&mut connection, site.policy, &archive.into(), moment)?;
    if let Some(view) = &table.view {
        let message = format!("{}: `{view}` is a continuous aggregate, and not a table", archive.path);
        return Err(SiteFault::new(message, "Only tables can be archived."));
    }
    remove::make_room(&mut connection)?;
    let identities = site.recovery_identities(None).unwrap_or_else(|fault| {
        tracing::info!(hint = fault.hint, "nothing can be read back here: {}", fault.message);
        Identities::default()
    });
    // What is exported before it runs is not lost: so that is done, and not refused.
    let blind = table.blind_job(&mut connection)?;
    let run = Run { site, archive, keys, writers, store, cold, repository, cluster, table, identities, onlooker };
    Ok(Archived { blind, ..run.all(&mut connection, wishes)? })
}

/// Where it takes writes, with words that mean the same in every session.
fn connect(site: &Site<'_>, database: &str) -> Result<Connection, SiteFault> {
    let mut connection = Connection::connect(&site.cluster_connection()?.with_dbname(database))?;
    connection.set_silence(SILENCE)?;
    let settings = table::SETTINGS.iter().map(|(name, value)| format!("set {name} = '{value}';")).collect::<String>();
    connection.lift_limits()?;
    connection.run(&settings)?;
    if connection.query("select pg_is_in_recovery() as standby", &[])?.one()?.flag("standby")? {
        let message = "`cluster.connection` leads to a standby, and rows can only be moved where the cluster takes writes";
        return Err(SiteFault::new(message, "Write `target_session_attrs=read-write` and all hosts into the connection."));
    }
    Ok(connection)
}

fn system_of(connection: &mut Connection) -> Result<SystemIdentifier, SiteFault> {
    let rows = connection.query("select system_identifier::text as system from pg_control_system()", &[])?;
    Ok(SystemIdentifier(rows.one()?.parse("system")?))
}

/// One archive on its way.
struct Run<'r> {
    site: &'r Site<'r>,
    archive: &'r Archive,
    keys: HostKeys,
    writers: Writers,
    store: Store,
    /// Where extents go that were read back, if nobody can read there.
    cold: Option<StorageClass>,
    repository: Repository,
    cluster: SystemIdentifier,
    table: Table,
    /// What opens the rows, if this host has it.
    identities: Identities,
    onlooker: Onlooker<'r>,
}

/// What is to be done with an extent that is not on record as gone.
enum Standing {
    /// It may be taken out, or stays.
    Open,
    /// Later ones have its rows.
    Superseded,
    /// Later ones of its stretch of time have left the table without some of its rows, which are not there either.
    Lacking,
}

/// What became of an extent that was exported.
enum Fate {
    Removed,
    /// Nobody has read it back, and this host cannot.
    Waiting,
    /// The store gives back something else than was put there.
    Damaged,
    /// The table has other rows there now.
    Changed,
    /// Somebody else is at these rows.
    Busy,
    /// A hold came since the run began, as it is told.
    Held(String),
    /// Other rows need some of them.
    Referenced,
    /// Somebody asked the run to end.
    Stopped,
}

impl Run<'_> {
    fn all(&self, connection: &mut Connection, wishes: &Wishes) -> Result<Archived, SiteFault> {
        let mut done = Archived::default();
        let removed = remove::on_record(connection)?;
        let (open, names) = self.kept(&removed, &mut done)?;
        let ours = open.iter().filter(|kept| self.is_ours(kept));
        done.bounds = ours.flat_map(|kept| [kept.contents.from.clone(), kept.contents.to.clone()]).collect();
        let (superseded, open) = self.superseded(connection, open, &names, &mut done)?;
        // First, because the holds were read just now: moving rows may take hours.
        self.let_go(connection, &superseded, &mut done)?;
        let mut after = self.unfinished(connection, open, &names, &mut done)?;
        if !self.opens_rows()? {
            after = self.export_ahead(connection, after, wishes.rows_at_once, &mut done)?;
        }
        let mut again = false;
        while !self.is_stopped(&mut done) {
            let next = Slice::next(connection, &self.table, after.as_deref(), wishes.rows_at_once, &done.bounds)?;
            let Some(slice) = next else { break };
            let kept = self.export(connection, &slice, &mut done)?;
            match self.finish(connection, &kept, &mut done)? {
                // On from there: what comes late is for the next run, and nothing that was just deleted is looked through again.
                Fate::Removed => (after, again) = (Some(slice.to), false),
                // Somebody wrote there while it was exported: once more, and otherwise in the next run.
                Fate::Changed if !again => again = true,
                Fate::Changed => {
                    let (from, to) = (&slice.from, &slice.to);
                    done.remarks.push(format!("{}: rows between {from} and {to} change all the time and stay for now", self.table.name));
                    (after, again) = (Some(slice.to), false);
                }
                Fate::Waiting | Fate::Damaged | Fate::Referenced => after = Some(slice.to),
                Fate::Stopped => {}
                Fate::Held(came) => {
                    done.remarks.push(came);
                    after = Some(self.table.cutoff.clone());
                }
                Fate::Busy => {
                    done.remarks.push(self.locked(&slice.from, &slice.to));
                    after = Some(slice.to);
                }
            }
        }
        self.put_to_sleep(&mut done)?;
        if !done.waiting.is_empty() {
            let what = counted(done.waiting.len(), "extent");
            done.remarks
                .push(format!("{what} stay in the table until somebody with an identity has read them back: `seawall archive verify`"));
        }
        if !self.table.triggers.is_empty() {
            let (triggers, table) = (self.table.triggers.join(", "), &self.table.name);
            let which = match &self.table.hypertable {
                Some(_) => "for rows that are taken out one by one, and not for those of a chunk that goes whole",
                None => "for each row that is taken out",
            };
            done.remarks.push(format!("{table}: the triggers {triggers} run {which}"));
        }
        Ok(done)
    }

    fn locked(&self, from: &str, to: &str) -> String {
        format!("{}: rows between {from} and {to} are locked by somebody and stay for now", self.table.name)
    }

    /// What has left its table was read back, and goes where it is to lie: also what an earlier run left warm.
    fn put_to_sleep(&self, done: &mut Archived) -> Result<(), SiteFault> {
        let Some(class) = self.cold else { return Ok(()) };
        let (shelf, names) = (self.shelf(), self.shelf().names()?);
        let is_warm = |meta: &&Meta| !meta.frozen && meta.class.is_some_and(|there| class.is_colder_than(there));
        let wanted = self.wanted_awake(&names)?;
        let is_wanted = |meta: &&Meta| shelf.inside(&meta.key).is_some_and(|(id, _)| wanted.contains(id));
        for meta in shelf.gone(&names).filter(|meta| is_warm(meta) && !is_wanted(meta)) {
            if self.is_stopped(done) {
                break;
            }
            match self.store.move_to(&meta.key, class)? {
                Moved::Done { left } => done.remarks.extend(left),
                Moved::Already => {}
                Moved::Locked(_) => done.remarks.push(format!("{} is locked and stays where it is", meta.key)),
            }
        }
        Ok(())
    }

    /// Of what is on no record: that whose rows were exported anew and left the table as those of later extents, and the others. The first can never be
    /// finished, and no row left its table on its word: not as far as this database says, and not as far as the store does, for a database may have been
    /// made anew without its record. Or the rows came back, and left anew. Or they were exported anew again and again, and are in the table. What has
    /// more rows than have left since, and than the table has, is neither, and stays: somebody has deleted some.
    fn superseded(
        &self,
        connection: &mut Connection,
        open: Vec<Kept>,
        names: &Names,
        done: &mut Archived,
    ) -> Result<(Vec<Kept>, Vec<Kept>), SiteFault> {
        let (mut superseded, mut others, mut lacking) = (Vec::new(), Vec::new(), 0);
        for kept in open {
            match self.standing(connection, &kept, names)? {
                Standing::Open => others.push(kept),
                Standing::Superseded => superseded.push(kept),
                Standing::Lacking => lacking += 1,
            }
        }
        let (between, others) = self.exported_anew(connection, others, names, lacking, done)?;
        superseded.extend(between);
        Ok((superseded, others))
    }

    fn standing(&self, connection: &mut Connection, kept: &Kept, names: &Names) -> Result<Standing, SiteFault> {
        if !self.is_ours(kept) {
            return Ok(Standing::Open);
        }
        if names.may_have_left(&kept.extent.id) {
            return Ok(if self.left_anew(connection, kept, names)? { Standing::Superseded } else { Standing::Open });
        }
        let later = remove::left_since(connection, kept, self.table.time)?;
        if later.is_empty() {
            return Ok(Standing::Open);
        }
        let later = self.sound(&later, names)?;
        // Of one that does not say which table it was, only its name is known, and that may be another one's by now.
        let is_superseded = kept.contents.oid.is_some() && kept.is_replaced_by(&later.iter().collect::<Vec<_>>());
        Ok(match is_superseded {
            true => Standing::Superseded,
            false if self.is_of_this_table(kept) && self.has_rows_of(connection, kept)? => Standing::Open,
            false => Standing::Lacking,
        })
    }

    /// What earlier runs exported and did not take out of the table. Says up to where rows wait there for somebody who reads them back.
    fn unfinished(
        &self,
        connection: &mut Connection,
        open: Vec<Kept>,
        names: &Names,
        done: &mut Archived,
    ) -> Result<Option<String>, SiteFault> {
        let (mut after, mut only_there): (Option<String>, usize) = (None, 0);
        for kept in open {
            if self.is_stopped(done) {
                break;
            }
            if names.may_have_left(&kept.extent.id) && self.is_ours(&kept) && !self.has_rows_of(connection, &kept)? {
                only_there += 1;
                continue;
            }
            // A hold came or went, or the rows are to stay for longer now.
            let is_young = self.table.is_later(connection, &kept.contents.to, &self.table.cutoff)?;
            if !self.table.still_means(&kept.contents) || is_young {
                continue;
            }
            let fate = self.finish(connection, &kept, done)?;
            match &fate {
                Fate::Held(came) => {
                    done.remarks.push(came.clone());
                    after = Some(self.table.cutoff.clone());
                    break;
                }
                Fate::Busy => done.remarks.push(self.locked(&kept.contents.from, &kept.contents.to)),
                Fate::Changed => done.remarks.push(self.has_changed(&kept, done)),
                _ => {}
            }
            if let Fate::Waiting | Fate::Busy | Fate::Damaged | Fate::Referenced = fate {
                let is_last = match &after {
                    Some(after) => self.table.is_later(connection, &kept.contents.to, after)?,
                    None => true,
                };
                if is_last {
                    after = Some(kept.contents.to.clone());
                }
            }
        }
        if only_there > 0 {
            let (what, table, store) = (counted(only_there, "extent"), &self.table.name, &self.archive.store);
            done.remarks.push(format!(
                "{what} of {table} in `{store}` may have left it once, which is not on this database's record, and the table does not have \
                 their rows: they stay in the archive"
            ));
        }
        Ok(after)
    }

    fn is_ours(&self, kept: &Kept) -> bool {
        (&kept.contents.schema, &kept.contents.table) == (&self.table.schema, &self.table.table)
    }

    /// Not one of the same name that was there before it.
    fn is_of_this_table(&self, kept: &Kept) -> bool {
        kept.contents.oid.is_none_or(|oid| oid.to_string() == self.table.oid)
    }

    /// As many as it has, at least: whether they are the same is for the comparison that takes them out. By its own condition: what was held when it was
    /// exported does not stand for what was not.
    fn has_rows_of(&self, connection: &mut Connection, kept: &Kept) -> Result<bool, SiteFault> {
        match rows_there(connection, kept) {
            Ok(there) => Ok(there >= kept.extent.rows),
            // Its columns have changed, and nobody can tell.
            Err(fault) if fault.code().is_some() && !connection.is_broken() => Ok(false),
            Err(fault) => Err(fault.into()),
        }
    }

    fn finish(&self, connection: &mut Connection, kept: &Kept, done: &mut Archived) -> Result<Fate, SiteFault> {
        if !self.is_read_back(kept)? {
            let opens = !self.identities.is_empty() || !kept.is_encrypted();
            let proven = match opens {
                true => {
                    kept::read_back(&self.shelf(), kept, &self.identities, &self.keys, self.site.host(), self.onlooker.stop).map(|()| true)
                }
                false => self.is_as_it_was_read(kept),
            };
            match proven {
                Ok(true) => {
                    if opens {
                        (self.onlooker.deed)(Done::ReadBack, &self.deed(kept));
                    }
                }
                Ok(false) => {
                    let exported = done.waits_since(kept);
                    done.waiting_since = Some(done.waiting_since.map_or(exported, |since| since.min(exported)));
                    done.waiting.push(self.deed(kept));
                    return Ok(Fate::Waiting);
                }
                // What is wrong with one extent is no reason to leave the others in the table.
                Err(fault) if !fault.transient && !self.onlooker.stop.load(Ordering::Relaxed) => {
                    done.damaged.push(fault);
                    return Ok(Fate::Damaged);
                }
                Err(fault) => return Err(fault),
            }
        }
        let fate = self.remove(connection, kept, done)?;
        if matches!(fate, Fate::Removed) {
            let deed = self.deed(kept);
            (self.onlooker.deed)(Done::Removed, &deed);
            done.removed.push(deed);
            kept::note_removed(&self.shelf(), self.site.host(), &kept.extent.id);
        }
        Ok(fate)
    }

    fn shelf(&self) -> Shelf<'_> {
        Shelf { store: &self.store, repository: &self.repository, writers: &self.writers }
    }

    fn is_stopped(&self, done: &mut Archived) -> bool {
        done.stopped = self.onlooker.stop.load(Ordering::Relaxed);
        done.stopped
    }

    /// For the record.
    fn deed(&self, kept: &Kept) -> Deed {
        let Kept { extent, contents, .. } = kept;
        Deed {
            store: self.archive.store.clone(),
            extent: extent.id.clone(),
            database: contents.database.clone(),
            table: contents.table_name(),
            from: contents.from.clone(),
            to: contents.to.clone(),
            rows: extent.rows,
            bytes: extent.stored_size,
        }
    }
}
