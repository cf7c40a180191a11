//! Extents whose rows came back into their table, and left it again as those of later ones.
//!
//! What has left its table once may be the only copy of its rows, whatever else lies there. It is not where the same database has on record that
//! they came back, in the transaction in which they did: from then on the table had them, and what was taken out of that lies in the later extents.

use std::collections::BTreeSet;

use super::Run;
use super::chosen::look;
use super::remove::record_of;
use super::table::Time;
use crate::format::archived::{Leaving, MAX_BYTES};
use crate::observe::{Kept, Names};
use crate::postgres::{Connection, Fault, array};
use crate::site::SiteFault;
use crate::units::BackupId;

const ROOM: &str = "\
    create table if not exists seawall.returned (extent text primary key, returned timestamptz not null default now()); \
    comment on table seawall.returned is 'archived rows that seawall brought back into their table; written in the transaction that did'";

fn has_room(connection: &mut Connection) -> Result<bool, Fault> {
    connection.query("select to_regclass('seawall.returned') is not null as there", &[])?.one()?.flag("there")
}

/// Within the transaction in which its rows come into their table. Where there is no room for that, and none can be made, it stays in the archive.
pub(super) fn note(connection: &mut Connection, id: &BackupId) -> Result<(), SiteFault> {
    if !has_room(connection)? && look(connection, |connection| connection.run(ROOM).map(drop))?.is_none() {
        return Ok(());
    }
    let note = "insert into seawall.returned (extent) values ($1) on conflict (extent) do update set returned = now()";
    connection.query(note, &[id.as_str()])?;
    Ok(())
}

/// What left the table since then, of its stretch of time and into the same store.
fn left_since(connection: &mut Connection, kept: &Kept, store: &str, time: Time) -> Result<Vec<String>, Fault> {
    let (time, contents) = (time.sql(), &kept.contents);
    let sql = format!(
        "select a.extent from seawall.archived a join seawall.returned r on a.removed > r.returned \
         where r.extent = $1 and a.table_name = $2 and a.store = $3 and a.first::{time} < $5::text::{time} and a.before::{time} > $4::text::{time}"
    );
    let values: [&str; 5] = [kept.extent.id.as_str(), &contents.table_name(), store, &contents.from, &contents.to];
    connection.query(&sql, &values)?.iter().map(|row| row.text("extent").map(str::to_owned)).collect()
}

/// From its first moment to its last there is none that is in none of these.
fn is_covered(connection: &mut Connection, kept: &Kept, by: &[String], time: Time) -> Result<bool, Fault> {
    let (time, contents) = (time.sql(), &kept.contents);
    let sql = format!(
        "with later as (select first::{time} as first, before::{time} as before from seawall.archived where extent = any($1::text[])), \
         points as (select $2::text::{time} as at union select before from later where before > $2::text::{time} and before < $3::text::{time}) \
         select not exists (select from points where not exists (select from later where first <= at and before > at)) as covered"
    );
    connection.query(&sql, &[&array(by), &contents.from, &contents.to])?.one()?.flag("covered")
}

impl Run<'_> {
    /// By this database's record, and by no other's; and no database has noted since that they are gone. All of the stretch of time has left the
    /// table anew, into extents that are there as whole as they were when they were read back, with no fewer rows. Where anything of that is missing,
    /// it stays.
    pub(super) fn left_anew(&self, connection: &mut Connection, kept: &Kept, names: &Names) -> Result<bool, SiteFault> {
        let time = self.table.time;
        if names.removed.contains(kept.extent.id.as_str()) || !has_room(connection)? {
            return Ok(false);
        }
        let later = left_since(connection, kept, self.archive.store.as_str(), time)?;
        if later.is_empty() || !self.is_noted_by(connection, kept)? {
            return Ok(false);
        }
        let sound = self.sound(&later, names)?;
        let ids: Vec<String> = sound.iter().map(|later| later.extent.id.to_string()).collect();
        Ok(is_covered(connection, kept, &ids, time)? && kept.is_replaced_by(&sound.iter().collect::<Vec<_>>()))
    }

    /// Those of them that lie there as they did when they were read back, and are to stay there.
    pub(super) fn sound(&self, ids: &[String], names: &Names) -> Result<Vec<Kept>, SiteFault> {
        let (marks, identities) = (self.shelf().marks()?, self.site.identities(None)?);
        let there: BTreeSet<&str> = names.extents.iter().filter(|id| !marks.contains_key(*id)).map(BackupId::as_str).collect();
        let mut sound = Vec::new();
        for id in ids {
            let Some(id) = id.parse::<BackupId>().ok().filter(|id| there.contains(id.as_str())) else { continue };
            let Ok(kept) = self.shelf().read(&id, names, &identities)? else { continue };
            let was_read = !self.shelf().readers(&kept, names)?.is_empty();
            if was_read && self.is_there(&kept)?.is_ok() {
                sound.push(kept);
            }
        }
        Ok(sound)
    }

    /// That its rows were about to leave was written into this very record.
    fn is_noted_by(&self, connection: &mut Connection, kept: &Kept) -> Result<bool, SiteFault> {
        let json = self.store.get(&self.repository.extent_leaving(&kept.extent.id), MAX_BYTES);
        let note: Option<Leaving> = json.ok().and_then(|json| serde_json::from_slice(&json).ok());
        let record = record_of(connection)?;
        Ok(note.is_some_and(|note| note.id == kept.extent.id && note.record == record))
    }
}
