//! Takes rows out of their table that were read back out of the archive: these rows, and no others.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use super::chunks::Going;
use super::table::Time;
use super::{Archived, Done, Fate, Run, chunks, held};
use crate::format::rows::Tally;
use crate::observe::Kept;
use crate::plan::words::joined;
use crate::postgres::{Connection, Fault};
use crate::site::SiteFault;
use crate::units::Instant;

/// The database's own record of what left it.
const ROOM: &str = "\
    create schema if not exists seawall; \
    create table if not exists seawall.archived (\
        extent text primary key, table_name text not null, first text not null, before text not null, rows bigint not null, \
        store text not null, removed timestamptz not null default now()); \
    comment on table seawall.archived is 'rows that seawall moved into an archive; written in the transaction that deleted them'";

/// A lock that is not given, a deadlock, and another run that has just written the same into the record.
pub(super) const BUSY: [&str; 3] = ["55P03", "40P01", "23505"];

/// Rows of another table need some of these. From 18 on, what says `restrict` has a code of its own.
pub(super) const REFERENCED: [&str; 2] = ["23503", "23001"];

/// More locks than the server has room for.
const NO_ROOM: &str = "53200";

/// "attempted to delete invisible tuple".
const STUMBLED: &str = "55000";

pub(super) fn make_room(connection: &mut Connection) -> Result<(), SiteFault> {
    if has_room(connection)? {
        return Ok(());
    }
    match connection.run(ROOM) {
        Ok(_) => Ok(()),
        // Somebody else made it at the same moment.
        Err(fault) if fault.code() == Some("23505") => Ok(()),
        Err(fault) => {
            let hint = "The role needs CREATE on the database once, or somebody else makes it: see docs/archives.md.";
            Err(SiteFault::new(format!("the schema `seawall` cannot be made: {}", fault.message), hint))
        }
    }
}

pub(super) fn has_room(connection: &mut Connection) -> Result<bool, Fault> {
    connection.query("select to_regclass('seawall.archived') is not null as there", &[])?.one()?.flag("there")
}

pub(super) fn on_record(connection: &mut Connection) -> Result<BTreeSet<String>, SiteFault> {
    let rows = connection.query("select extent from seawall.archived", &[])?;
    Ok(rows.iter().map(|row| row.text("extent").map(str::to_owned)).collect::<Result<_, _>>()?)
}

/// Which record it is. It goes with a database that is brought back to an earlier moment, and not with one that is made anew.
pub(super) fn record_of(connection: &mut Connection) -> Result<String, Fault> {
    let sql = "select concat_ws('/', system_identifier, (select oid from pg_database where datname = current_database()), \
               'seawall.archived'::regclass::oid) as record from pg_control_system()";
    Ok(connection.query(sql, &[])?.one()?.text("record")?.to_owned())
}

/// The extents in this store whose rows left their table before then, by the database's own clock and record.
pub(super) fn moved_before(connection: &mut Connection, store: &str, limit: Instant) -> Result<BTreeSet<String>, SiteFault> {
    let sql = "select extent from seawall.archived where store = $1 and removed < $2::timestamptz";
    let rows = connection.query(sql, &[store, &limit.to_string()])?;
    Ok(rows.iter().map(|row| row.text("extent").map(str::to_owned)).collect::<Result<_, _>>()?)
}

/// As which extents rows of its stretch of time left the table after it was exported. Of one that may have left itself, that means nothing: what left
/// later came late.
pub(super) fn left_since(connection: &mut Connection, kept: &Kept, time: Time) -> Result<Vec<String>, SiteFault> {
    let time = time.sql();
    let sql = format!(
        "select extent from seawall.archived where table_name = $1 and removed > $2::text::timestamptz \
         and first::{time} < $3::text::{time} and before::{time} > $4::text::{time}"
    );
    let (contents, exported) = (&kept.contents, kept.extent.exported.to_string());
    let values: [&str; 4] = [&contents.table_name(), &exported, &contents.to, &contents.from];
    let rows = connection.query(&sql, &values)?;
    Ok(rows.iter().map(|row| row.text("extent").map(str::to_owned)).collect::<Result<_, _>>()?)
}

/// What is seen after a lock was waited for must be what is there then, whatever the role's or the server's default says. A held row in a large
/// compressed chunk must not stop everything: TimescaleDB's limit on what one statement may decompress is lifted.
pub(super) fn begin(connection: &mut Connection) -> Result<(), Fault> {
    connection.run("begin isolation level read committed; set local lock_timeout = '10s'")?;
    let limit =
        "select set_config(name, '0', true) from pg_settings where name = 'timescaledb.max_tuples_decompressed_per_dml_transaction'";
    connection.run(limit).map(drop)
}

/// Nothing leaves a table of which nobody would know.
pub(super) fn unrecorded() -> SiteFault {
    SiteFault {
        transient: true,
        ..SiteFault::new("that rows leave their table cannot be recorded, so they stay", "See to the catalog first.")
    }
}

const MORE_LOCKS: &str =
    "Raise `max_locks_per_transaction`, and restart the server: each chunk, each partition and each of their indexes needs a lock.";

/// Of what a `copy … to stdout (format csv)` gives. None where somebody asked to end it.
pub(super) fn tally_of(connection: &mut Connection, sql: &str, stop: &AtomicBool) -> Result<Option<Tally>, Fault> {
    let mut tally = Tally::default();
    let mut rows = connection.copy_out(sql)?;
    let mut come = Vec::new();
    while rows.add_to(&mut come)? {
        tally.push(&come);
        come.clear();
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
    }
    Ok(Some(tally))
}

/// What the comparison came to.
enum Compared {
    /// The table has the rows that were read back, and nobody writes there before the end.
    Same(Going),
    Not(Fate),
}

impl Run<'_> {
    pub(super) fn remove(&self, connection: &mut Connection, kept: &Kept, done: &mut Archived) -> Result<Fate, SiteFault> {
        begin(connection)?;
        let fate = match self.compare(connection, kept) {
            // The store may take its time: as long as no chunk is dropped, everybody can read it.
            Ok(Compared::Same(going)) => {
                // What breaks off here ends the session, which takes it back.
                if let Err(fault) = self.is_there(kept)? {
                    connection.run("rollback")?;
                    done.damaged.push(fault);
                    return Ok(Fate::Damaged);
                }
                self.note_leaving(connection, kept)?;
                if !(self.onlooker.deed)(Done::Removing, &self.deed(kept)) {
                    connection.run("rollback")?;
                    return Err(unrecorded());
                }
                self.drop_same(connection, kept, &going)
            }
            Ok(Compared::Not(fate)) => Ok(fate),
            Err(fault) => Err(fault),
        };
        let fate = match fate {
            // Some constraints are asked at the very end.
            Ok(Fate::Removed) => connection.run("commit").map(|_| Fate::Removed),
            // Whose connection is broken, the server rolls back.
            fate if connection.is_broken() => fate,
            fate => {
                connection.run("rollback")?;
                fate
            }
        };
        fate.or_else(|fault| self.hindered(connection, kept, fault, done))
    }

    /// What is in the way of one extent's rows is no reason to leave the others in the table.
    fn hindered(&self, connection: &mut Connection, kept: &Kept, fault: Fault, done: &mut Archived) -> Result<Fate, SiteFault> {
        let (name, from, to) = (&self.table.name, &kept.contents.from, &kept.contents.to);
        match fault.code() {
            Some(code) if BUSY.contains(&code) => Ok(Fate::Busy),
            Some(code) if REFERENCED.contains(&code) => {
                let by = chunks::referring(connection, &self.table)?;
                let by = if by.is_empty() { "other tables".to_owned() } else { joined(by) };
                done.remarks.push(format!("{name}: rows between {from} and {to} stay, because rows of {by} refer to some of them"));
                Ok(Fate::Referenced)
            }
            Some(NO_ROOM) => {
                let message = format!("{}: rows of {name} between {from} and {to} stay", fault.message);
                Err(SiteFault { transient: fault.is_transient(), ..SiteFault::new(message, MORE_LOCKS) })
            }
            _ => Err(fault.into()),
        }
    }

    fn compare(&self, connection: &mut Connection, kept: &Kept) -> Result<Compared, Fault> {
        let (extent, contents) = (&kept.extent, &kept.contents);
        let record =
            "insert into seawall.archived (extent, table_name, first, before, rows, store) values ($1, $2, $3, $4, $5::bigint, $6)";
        let (rows, name) = (extent.rows.to_string(), contents.table_name());
        let values = [extent.id.as_str(), &name, &contents.from, &contents.to, &rows, self.archive.store.as_str()];
        connection.query(record, &values)?;
        // Of a hypertable those chunks are locked below that it is about: all of them may be more than the server has room for, and others have work there.
        let only = if self.table.hypertable.is_some() { "only " } else { "" };
        connection.run(&format!("lock table {only}{} in row exclusive mode", self.table.name))?;
        if !self.table.is_unchanged(connection)? {
            return Ok(Compared::Not(Fate::Changed));
        }
        if let Some(came) = held::came(connection, &self.table)? {
            return Ok(Compared::Not(Fate::Held(came)));
        }
        let mut going = chunks::going(connection, &self.table, &contents.from, &contents.to)?;
        let (name, condition, listed) = (&self.table.name, &contents.condition, &self.table.listed);
        let read = format!("copy (select {listed} from {name} where {condition}) to stdout (format csv)");
        let take = format!("copy (delete from {name} where {condition} returning {listed}) to stdout (format csv)");
        let tally = match &going {
            Going::Chunks(_) => tally_of(connection, &read, self.onlooker.stop)?,
            Going::Rows => tally_of(connection, &take, self.onlooker.stop)?,
            Going::Parts(_) => {
                connection.run("savepoint taken")?;
                match tally_of(connection, &take, self.onlooker.stop) {
                    // What was read is what went, whatever the holds look at.
                    Ok(tally) => {
                        going = Going::Rows;
                        tally
                    }
                    // TimescaleDB 2.23 stumbles over what it has decompressed for the very statement.
                    Err(fault) if fault.code() == Some(STUMBLED) => {
                        connection.run("rollback to savepoint taken")?;
                        tally_of(connection, &read, self.onlooker.stop)?
                    }
                    Err(fault) => return Err(fault),
                }
            }
        };
        let Some(tally) = tally else { return Ok(Compared::Not(Fate::Stopped)) };
        let is_same = tally.finish().is_some_and(|tallied| tallied.rows == extent.rows && tallied.sum == contents.sum);
        Ok(if is_same { Compared::Same(going) } else { Compared::Not(Fate::Changed) })
    }

    /// Rows that were deleted as they were read are gone already.
    fn drop_same(&self, connection: &mut Connection, kept: &Kept, going: &Going) -> Result<Fate, Fault> {
        let (from, to) = (kept.contents.from.as_str(), kept.contents.to.as_str());
        let is_done = match going {
            Going::Rows => true,
            Going::Chunks(known) => chunks::drop_all(connection, &self.table, from, to)? == *known,
            Going::Parts(known) => {
                let gone = chunks::delete_parts(connection, &self.table, (from, to), &kept.contents.condition, known)?;
                gone == Some(kept.extent.rows)
            }
        };
        if !is_done {
            return Ok(Fate::Changed);
        }
        Ok(held::came_at_last(connection, &self.table)?.map_or(Fate::Removed, Fate::Held))
    }
}
