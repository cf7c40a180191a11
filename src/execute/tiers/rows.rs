//! The rows of a course, into tables that nobody sees yet.
//!
//! Each table is one transaction: after whatever happens it has all of its rows or none, and it is known which.

use std::sync::atomic::Ordering;

use super::act::Acting;
use super::pending::{Kind, Thing};
use crate::execute::table::landing::session::attended;
use crate::execute::table::{TableFault, Why};
use crate::policy::sql_name::literal;
use crate::postgres::Connection;
use crate::world::parallel;

/// How a dump writes its rows; whatever the database itself has set.
const SETTINGS: &str = "set datestyle = 'ISO, YMD'; set session_replication_role = 'origin'";

/// Takes some bytes of a table's rows.
pub(super) type Take<'t> = dyn FnMut(&[u8]) -> Result<(), TableFault> + 't;

impl Acting<'_> {
    /// Several shares of the rows at once, each by a session of its own. The first that fails ends the others.
    pub(super) fn at_once<T: Sync>(
        &self,
        shares: &[T],
        work: &(dyn Fn(&T, &mut Connection) -> Result<(), TableFault> + Sync),
    ) -> Result<(), TableFault> {
        let done = parallel::map_with(self.ground.wanted.jobs, shares, &|share| {
            let done = self.filling().and_then(|mut session| work(share, &mut session));
            if done.is_err() {
                self.halt.abort.store(true, Ordering::Relaxed);
            }
            done
        });
        let mut faults: Vec<TableFault> = done.into_iter().filter_map(Result::err).collect();
        // The one that made the others stop.
        let own = faults.iter().position(|fault| fault.why != Why::Stopped).unwrap_or(0);
        if faults.is_empty() { Ok(()) } else { Err(faults.swap_remove(own)) }
    }

    fn filling(&self) -> Result<Connection, TableFault> {
        let mut session = self.session()?;
        self.as_dumped(&mut session)?;
        Ok(session)
    }

    pub(super) fn as_dumped(&self, session: &mut Connection) -> Result<(), TableFault> {
        session.run(SETTINGS)?;
        Ok(session.run(&self.encoding()).map(drop)?)
    }

    /// Rows pass as they are written there.
    pub(super) fn encoding(&self) -> String {
        format!("set client_encoding = {}", literal(&self.ground.database.encoding))
    }

    /// `rows` gives all of them, piece by piece, and then how many there must be, where that is known.
    pub(super) fn table(
        &self,
        session: &mut Connection,
        thing: &Thing,
        columns: &str,
        rows: &mut dyn FnMut(&mut Take<'_>) -> Result<Option<u64>, TableFault>,
    ) -> Result<u64, TableFault> {
        self.halt.check()?;
        self.begins(&format!("filling {}", thing.named()));
        let at = thing.at();
        session.run("begin")?;
        // What an extension has made itself stays.
        if thing.kind != Kind::Extension {
            session.run(&format!("truncate only {at}"))?;
        }
        let mut into = session.copy_in(&format!("copy {at} {columns} from stdin"))?;
        let known = rows(&mut |bytes| {
            self.halt.check()?;
            self.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            Ok(into.send(bytes)?)
        })?;
        let taken = into.finish()?;
        if let Some(known) = known.filter(|known| *known != taken) {
            let message = format!("{} has {taken} rows, and its backup {known}", thing.named());
            return Err(TableFault::new(message, "`seawall verify` says whether the backup is whole."));
        }
        session.query("update seawall_pending.things set filled = true where kind = any('{t,p,x}') and oid = $1::oid", &[&thing.oid])?;
        session.run("commit")?;
        self.rows.fetch_add(taken, Ordering::Relaxed);
        Ok(taken)
    }

    /// One that ends when it is to.
    pub(super) fn run(&self, session: &mut Connection, sql: &str) -> Result<(), TableFault> {
        attended(self.halt.stop, [session], |[session]| Ok(session.run(sql).map(drop)?))
    }
}
