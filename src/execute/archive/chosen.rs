//! Which extents come back. What the database has on record as gone does; of the others the table itself is asked, because rows can go by other ways
//! than this one, and because a database may have been made anew without its record.

use std::collections::BTreeSet;

use super::bring_back::Wanted;
use super::{held, remove, system_of};
use crate::format::archived::{Leaving, MAX_BYTES};
use crate::format::rows::Tally;
use crate::inventory::SystemIdentifier;
use crate::observe::{Kept, Shelf};
use crate::policy::sql_name::quoted;
use crate::postgres::{Connection, Fault};
use crate::site::SiteFault;
use crate::units::BackupId;

#[derive(Debug, Default)]
pub(super) struct Chosen<'k> {
    pub coming: Vec<&'k Kept>,
    /// The table has their rows.
    pub passed_over: Vec<String>,
    /// Their rows left as those of a later one.
    pub superseded: Vec<String>,
    /// Sentences without a full stop.
    pub remarks: Vec<String>,
}

/// What is known of an extent whose rows are not on record as gone.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    /// The table has none of its rows.
    Lacking,
    /// They may have left, and the table has others, or some of them.
    Doubtful,
    InTable,
    /// It has so many of them.
    Partly(u64),
    /// It does not know the columns any more.
    Incomparable,
    Superseded,
    /// It was exported anew as this one, with so many rows, before anything of it left its table.
    Shrunk(BackupId, u64),
}

/// `all` are those of this table, whatever is wanted; what comes into the table itself must be on its record.
pub(super) fn choose<'k>(
    connection: &mut Connection,
    place: &Shelf<'_>,
    (extents, all): (&[&'k Kept], &[Kept]),
    wanted: &Wanted,
    is_original: bool,
) -> Result<Chosen<'k>, SiteFault> {
    let looked = Looked::at(connection, place, all, wanted, is_original)?;
    let mut chosen = Chosen::default();
    for kept in extents.iter().copied() {
        let id = kept.extent.id.to_string();
        if looked.gone.contains(&id) || (!is_original && wanted.only.contains(&kept.extent.id)) {
            chosen.coming.push(kept);
            continue;
        }
        let rows = kept.extent.rows;
        let by_hand = "bring it into a table beside it, by `--extent`, and its rows from there";
        match looked.standing(connection, kept)? {
            Standing::Superseded => chosen.superseded.push(id),
            Standing::Shrunk(later, fewer) => {
                chosen.remarks.push(format!(
                    "{id} was exported anew as {later}, with {fewer} rows instead of {rows}; where the others did not go on purpose, \
                     `--extent {id}` brings them all into a table beside it"
                ));
                chosen.superseded.push(id);
            }
            Standing::InTable => chosen.passed_over.push(id),
            Standing::Lacking if !is_original => chosen.coming.push(kept),
            Standing::Doubtful if !is_original => {
                chosen
                    .remarks
                    .push(format!("{id} is not on the database's record and may have left its table: its rows may be there, too"));
                chosen.coming.push(kept);
            }
            Standing::Lacking | Standing::Doubtful => {
                chosen.remarks.push(format!("{id} is not on the database's record, and the table does not have its rows: {by_hand}"));
                chosen.passed_over.push(id);
            }
            Standing::Partly(there) => {
                chosen.remarks.push(format!(
                    "the table has only {there} of the {rows} rows of {id}; where the others did not go on purpose, `--extent {id}` brings \
                     them all into a table beside it"
                ));
                chosen.passed_over.push(id);
            }
            Standing::Incomparable => {
                chosen.remarks.push(format!(
                    "whether the table has the rows of {id} cannot be told, for its columns have changed; `--extent {id}` brings them into a \
                     table beside it"
                ));
                chosen.passed_over.push(id);
            }
        }
    }
    Ok(chosen)
}

struct Looked<'l> {
    place: &'l Shelf<'l>,
    all: &'l [Kept],
    wanted: &'l Wanted,
    /// As the database has it on record, or, where it is another one, as the store notes it.
    gone: BTreeSet<String>,
    /// Which record that is.
    record: Option<String>,
    /// Which cluster.
    system: SystemIdentifier,
}

impl<'l> Looked<'l> {
    fn at(
        connection: &mut Connection,
        place: &'l Shelf<'l>,
        all: &'l [Kept],
        wanted: &'l Wanted,
        is_original: bool,
    ) -> Result<Looked<'l>, SiteFault> {
        let system = system_of(connection)?;
        let is_other = all.iter().any(|kept| kept.extent.system_identifier != system);
        if is_other && is_original {
            let message = "these rows come from another cluster than the one that `cluster.connection` leads to";
            return Err(SiteFault::new(message, "Bring them back into a table beside it: leave `--into` away, or name another one."));
        }
        let has_room = remove::has_room(connection)?;
        let record = if has_room { remove::on_record(connection)? } else { BTreeSet::new() };
        // An upgraded cluster has another identifier and the same record.
        let gone = if is_other { record.into_iter().chain(wanted.removed.iter().cloned()).collect() } else { record };
        let record = if has_room { Some(remove::record_of(connection)?) } else { None };
        Ok(Looked { place, all, wanted, gone, record, system })
    }

    fn standing(&self, connection: &mut Connection, kept: &Kept) -> Result<Standing, SiteFault> {
        let may_have_left = self.may_have_left(kept);
        let left: Vec<&Kept> = self.left_since(kept).filter(|_| !may_have_left).collect();
        if kept.is_replaced_by(&left) {
            return Ok(Standing::Superseded);
        }
        let there = look(connection, |connection| rows_there(connection, kept))?;
        // What has the name by now tells nothing of a table that had it before.
        let may_have_left = may_have_left || self.is_of_another(connection, kept)?;
        Ok(match there {
            Some(there) if there >= kept.extent.rows && !may_have_left => Standing::InTable,
            _ if !left.is_empty() => left.iter().max_by_key(|later| later.extent.rows).map_or(Standing::Superseded, |later| {
                let (id, rows) = (&later.extent.id, later.extent.rows);
                if rows < kept.extent.rows { Standing::Shrunk(id.clone(), rows) } else { Standing::Superseded }
            }),
            Some(0) => match self.exported_anew(kept).filter(|_| !may_have_left) {
                Some(later) if later.extent.rows < kept.extent.rows => Standing::Shrunk(later.extent.id.clone(), later.extent.rows),
                Some(_) => Standing::Superseded,
                None => Standing::Lacking,
            },
            Some(there) if !may_have_left => Standing::Partly(there),
            None if !may_have_left => Standing::Incomparable,
            _ if look(connection, |connection| has_them_all(connection, kept))? == Some(true) => Standing::InTable,
            _ => Standing::Doubtful,
        })
    }

    /// The store notes that they left, or were about to, and this is not the record that it would be written into.
    fn may_have_left(&self, kept: &Kept) -> bool {
        let id = &kept.extent.id;
        if !self.wanted.leaving.contains(id.as_str()) {
            return self.wanted.removed.contains(id.as_str());
        }
        let note = self.place.store.get(&self.place.repository.extent_leaving(id), MAX_BYTES).ok();
        let note: Option<Leaving> = note.and_then(|json| serde_json::from_slice(&json).ok());
        note.is_none_or(|note| Some(&note.record) != self.record.as_ref())
    }

    /// As which later ones rows of its stretch of time left its table.
    fn left_since(&self, kept: &'l Kept) -> impl Iterator<Item = &'l Kept> {
        let has_left = |other: &&Kept| self.gone.contains(other.extent.id.as_str());
        self.later_than(kept).filter(has_left).filter(|other| other.contents.overlaps(&kept.contents))
    }

    /// Of one that was there before the one that has its name now.
    fn is_of_another(&self, connection: &mut Connection, kept: &Kept) -> Result<bool, SiteFault> {
        let Some(oid) = kept.contents.oid.filter(|_| kept.extent.system_identifier == self.system) else { return Ok(false) };
        let sql = "select to_regclass($1)::oid <> $2::text::oid as is_other";
        let rows = connection.query(sql, &[&table(kept), &oid.to_string()])?;
        Ok(rows.one()?.get("is_other").is_some_and(|is_other| is_other == "t"))
    }

    /// The last one with all of its stretch of time, where of neither a row has left.
    fn exported_anew(&self, kept: &Kept) -> Option<&'l Kept> {
        let has_left = |other: &Kept| self.gone.contains(other.extent.id.as_str()) || self.may_have_left(other);
        let anew = self.later_than(kept).filter(|other| other.contents.covers(&kept.contents) && !has_left(other));
        anew.max_by_key(|other| other.extent.exported)
    }

    fn later_than(&self, kept: &Kept) -> impl Iterator<Item = &'l Kept> {
        let (exported, system) = (kept.extent.exported, kept.extent.system_identifier);
        self.all.iter().filter(move |other| other.extent.exported > exported && other.extent.system_identifier == system)
    }
}

/// None where the server cannot say it. The transaction goes on.
pub(super) fn look<T>(connection: &mut Connection, ask: impl FnOnce(&mut Connection) -> Result<T, Fault>) -> Result<Option<T>, SiteFault> {
    connection.run("savepoint look")?;
    match ask(connection) {
        Ok(answer) => {
            connection.run("release savepoint look")?;
            Ok(Some(answer))
        }
        Err(fault) if fault.code().is_some() && !connection.is_broken() => {
            connection.run("rollback to savepoint look")?;
            Ok(None)
        }
        Err(fault) => Err(fault.into()),
    }
}

fn table(kept: &Kept) -> String {
    format!("{}.{}", quoted(&kept.contents.schema), quoted(&kept.contents.table))
}

pub(super) fn rows_there(connection: &mut Connection, kept: &Kept) -> Result<u64, Fault> {
    let table = table(kept);
    if !connection.query("select to_regclass($1) is not null as there", &[&table])?.one()?.flag("there")? {
        return Ok(0);
    }
    held::make(connection, &kept.contents.table, &kept.contents.zoned)?;
    let sql = format!("select count(*)::text as rows from {table} where {}", kept.contents.condition);
    connection.query(&sql, &[])?.one()?.parse("rows")
}

/// The very same ones.
fn has_them_all(connection: &mut Connection, kept: &Kept) -> Result<bool, Fault> {
    let listed: Vec<String> = kept.contents.columns.iter().map(|column| quoted(&column.name)).collect();
    held::make(connection, &kept.contents.table, &kept.contents.zoned)?;
    let sql = format!("copy (select {} from {} where {}) to stdout (format csv)", listed.join(", "), table(kept), kept.contents.condition);
    let (mut tally, mut rows, mut come) = (Tally::default(), connection.copy_out(&sql)?, Vec::new());
    while rows.add_to(&mut come)? {
        tally.push(&come);
        come.clear();
    }
    drop(rows);
    Ok(tally.finish().is_some_and(|tallied| tallied.rows == kept.extent.rows && tallied.sum == kept.contents.sum))
}
