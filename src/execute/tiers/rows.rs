//! The rows of a course, into tables that nobody sees yet.
//!
//! Each table is one transaction: after whatever happens it has all of its rows or none, and it is known which.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use super::act::Acting;
use super::pending::{Kind, Thing};
use super::source::Source;
use super::source::dump::Piece;
use crate::execute::table::TableFault;
use crate::execute::table::landing::session::attended;
use crate::format::dump::{Stopped, Walk, columns_of};
use crate::pipeline::{Checked, PipelineFault};
use crate::postgres::Connection;
use crate::world::parallel;

const BUFFER: usize = 256 << 10;
/// How a dump writes its rows; whatever the database itself has set.
const SETTINGS: &str = "set datestyle = 'ISO, YMD'; set session_replication_role = 'origin'";

/// Takes some bytes of a table's rows.
type Take<'t> = dyn FnMut(&[u8]) -> Result<(), TableFault> + 't;

impl Acting<'_> {
    /// Out of a dump: each of its pieces that has something is read once, as far as that.
    pub(super) fn out_of_dump(&self, things: &[Thing]) -> Result<(), TableFault> {
        let Source::Dump(dump) = &self.source;
        let left: HashMap<(&str, &str), &Thing> =
            things.iter().filter(|thing| !thing.is_filled).map(|thing| ((thing.schema.as_str(), thing.name.as_str()), thing)).collect();
        let with_some = |piece: &&Piece| piece.rows.values().any(|(schema, name, _)| left.contains_key(&(schema.as_str(), name.as_str())));
        let pieces: Vec<&Piece> = dump.pieces.iter().filter(with_some).collect();
        let done = parallel::map_with(self.ground.wanted.jobs, &pieces, &|piece| {
            let done = dump.check(self, &piece.object).and_then(|()| self.piece(dump.open(&piece.object)?, piece, &left));
            if done.is_err() {
                self.halt.abort.store(true, Ordering::Relaxed);
            }
            done
        });
        let mut faults: Vec<TableFault> = done.into_iter().filter_map(Result::err).collect();
        // The one that made the others stop.
        let own = faults.iter().position(|fault| fault.why != crate::execute::table::Why::Stopped).unwrap_or(0);
        if faults.is_empty() { Ok(()) } else { Err(faults.swap_remove(own)) }
    }

    fn piece(&self, from: Checked, piece: &Piece, left: &HashMap<(&str, &str), &Thing>) -> Result<(), TableFault> {
        let unread = |stopped: Stopped| match stopped {
            Stopped::Bad(bad) => TableFault::new(format!("{}: {bad}", piece.object.name), "`seawall verify` says whether it is whole."),
            Stopped::Unread(error) => PipelineFault::of_stream(&piece.object.name, &error).into(),
        };
        let mut walk = Walk::new(from).map_err(unread)?;
        let mut session = self.session()?;
        session.run(SETTINGS)?;
        session.run(&format!("set client_encoding = {}", crate::policy::sql_name::literal(&self.ground.database.encoding)))?;
        let is_wanted = |id: &i64| piece.rows.get(id).and_then(|(schema, name, _)| left.get(&(schema.as_str(), name.as_str())));
        let mut waiting = piece.rows.keys().filter(|id| is_wanted(id).is_some()).count();
        while waiting > 0 {
            let Some(id) = walk.next_table().map_err(unread)? else {
                let message = format!("{} ends before all of its tables have come", piece.object.name);
                return Err(TableFault::new(message, "`seawall verify` says whether it is whole."));
            };
            let (Some(thing), Some((_, _, copy))) = (is_wanted(&id), piece.rows.get(&id)) else { continue };
            let columns = columns_of(copy)
                .ok_or_else(|| TableFault::new(format!("how the rows of {} are written is not known: {copy}", thing.named()), ""))?;
            self.table(&mut session, thing, columns, &mut |copy_in| {
                let mut buffer = vec![0; BUFFER];
                loop {
                    match walk.read(&mut buffer).map_err(unread)? {
                        0 => return Ok(()),
                        got => copy_in(&buffer[..got])?,
                    }
                }
            })?;
            waiting -= 1;
        }
        Ok(())
    }

    /// `rows` gives all of them, piece by piece.
    pub(super) fn table(
        &self,
        session: &mut Connection,
        thing: &Thing,
        columns: &str,
        rows: &mut dyn FnMut(&mut Take<'_>) -> Result<(), TableFault>,
    ) -> Result<u64, TableFault> {
        self.halt.check()?;
        self.begins(&format!("filling {}", thing.named()));
        let at = thing.at();
        session.run("begin")?;
        // What an extension has made itself stays.
        if thing.kind == Kind::Table {
            session.run(&format!("truncate only {at}"))?;
        }
        let mut into = session.copy_in(&format!("copy {at} {columns} from stdin"))?;
        rows(&mut |bytes| {
            self.halt.check()?;
            self.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            Ok(into.send(bytes)?)
        })?;
        let taken = into.finish()?;
        let known = self.ground.database.tables.iter().find(|table| table.schema == thing.schema && table.name == thing.name);
        if let Some(known) = known.filter(|known| known.rows != taken) {
            let message = format!("{} has {taken} rows, and its dump {}", thing.named(), known.rows);
            return Err(TableFault::new(message, "`seawall verify` says whether the dump is whole."));
        }
        session.query("update seawall_pending.things set filled = true where kind = any('{t,x}') and oid = $1::oid", &[&thing.oid])?;
        session.run("commit")?;
        self.rows.fetch_add(taken, Ordering::Relaxed);
        Ok(taken)
    }

    /// One that ends when it is to.
    pub(super) fn run(&self, session: &mut Connection, sql: &str) -> Result<(), TableFault> {
        attended(self.halt.stop, [session], |[session]| Ok(session.run(sql).map(drop)?))
    }
}
