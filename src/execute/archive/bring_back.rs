//! Rows out of the archive, into a table beside the one they came from, or into it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use super::chosen::{Chosen, choose};
use super::kept::note_awake;
use super::remove::tally_of;
use super::table::Time;
use super::{connect, returned};
use crate::execute::restore::archive::how_they_stand;
use crate::format::archived::Column;
use crate::format::rows::Tallied;
use crate::format::seal::Identities;
use crate::observe::{Kept, Shelf, sha256, width};
use crate::pipeline::read_rows;
use crate::plan::words::{counted, span};
use crate::policy::sql_name::{literal, quoted};
use crate::postgres::Connection;
use crate::site::{Site, SiteFault};
use crate::store::Meta;
use crate::units::{BackupId, Haste, Key};
use crate::world::{clock, parallel};

/// What is to come back.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub database: String,
    /// As in SQL; the table itself, or one that is made.
    pub into: Option<String>,
    /// The first moment, and the one after the last, as the server reads it.
    pub from: Option<String>,
    pub to: Option<String>,
    /// What lies in an archive class is requested, to be readable for so many days.
    pub thaw: Option<(u32, Haste)>,
    /// These extents only, where there are any; into a table beside theirs whatever the record says.
    pub only: Vec<BackupId>,
    /// Extents of which the store notes that their rows left the table, for want of the database's own record.
    pub removed: HashSet<String>,
    /// Those of which it notes that they were about to.
    pub leaving: HashSet<String>,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BroughtBack {
    pub into: String,
    pub extents: usize,
    pub rows: u64,
    /// They are in the table that they came from.
    pub is_original: bool,
    /// Whose rows are in the table anyhow.
    pub passed_over: Vec<String>,
    /// Whose rows left the table as those of a later one.
    pub superseded: Vec<String>,
    /// Sentences without a full stop.
    pub remarks: Vec<String>,
}

/// All or nothing: one transaction. `extents` are of one table, in the order of time.
pub fn bring_back(
    site: &Site<'_>,
    place: &Shelf<'_>,
    extents: &[Kept],
    wanted: &Wanted,
    identities: &Identities,
    stop: &AtomicBool,
) -> Result<BroughtBack, SiteFault> {
    let Some(first) = extents.first() else { return Err(SiteFault::new("nothing of this table is in the archive", "")) };
    let mut connection = connect(site, &wanted.database)?;
    let contents = &first.contents;
    let original = format!("{}.{}", quoted(&contents.schema), quoted(&contents.table));
    let into = wanted.into.clone().unwrap_or_else(|| format!("{}.{}", quoted(&contents.schema), quoted(&beside(&contents.table))));
    let all = extents;
    let extents = of_that_time(&mut connection, all, wanted)?;
    connection.run("begin")?;
    let is_original = is_same(&mut connection, &into, &original)? || is_renamed(&mut connection, &into, &extents)?;
    if is_original && wanted.into.is_none() {
        let message = format!("{into} is the table itself that these rows came from, and nobody has named it");
        return Err(SiteFault::new(message, "Name the table that they are to come into with `--into`."));
    }
    let chosen = choose(&mut connection, place, (extents.as_slice(), all), wanted, is_original)?;
    must_be_awake(site, place, &chosen.coming, wanted.thaw)?;
    let coming: Vec<BackupId> = chosen.coming.iter().map(|kept| kept.extent.id.clone()).collect();
    let ground = Ground { place, identities, stop, is_original };
    // What breaks off here is rolled back with the session.
    let brought = ground.all(&mut connection, chosen, wanted, into)?;
    connection.run("commit")?;
    if brought.is_original {
        // They are in the table again, so the next run of the archive job finds their extents as if it had just exported them.
        let came = coming.iter().filter(|id| !brought.passed_over.iter().any(|over| over == id.as_str()));
        let notes: Vec<_> = came.map(|id| place.repository.extent_removed(id)).collect();
        place.store.withdraw(&notes)?;
    }
    Ok(brought)
}

/// The server cuts a name to so many bytes without a word, and it would be another table's.
const LONGEST_NAME: usize = 63;

/// Where rows of this table come back that are to come nowhere else. A long name is cut here, and tables that begin alike keep names of their own.
fn beside(table: &str) -> String {
    const END: &str = "_archived";
    if table.len() + END.len() <= LONGEST_NAME {
        return format!("{table}{END}");
    }
    let own = &sha256(table.as_bytes())[..8];
    let stem = &table[..table.floor_char_boundary(LONGEST_NAME - END.len() - own.len() - 1)];
    format!("{stem}_{own}{END}")
}

/// Those that are wanted, or have something of what is.
fn of_that_time<'k>(connection: &mut Connection, extents: &'k [Kept], wanted: &Wanted) -> Result<Vec<&'k Kept>, SiteFault> {
    let mut all = Vec::new();
    for kept in extents {
        let contents = &kept.contents;
        let of_time = contents.columns.iter().find(|column| column.name == contents.column).and_then(|column| Time::of(&column.r#type));
        let Some(time) = of_time.map(Time::sql) else {
            return Err(SiteFault::new(format!("{} does not say what kind of time its rows have", kept.extent.id), ""));
        };
        let as_time = |text: &str| format!("{}::{time}", literal(text));
        let from = wanted.from.as_ref().map(|from| format!("{} > {}", as_time(&contents.to), as_time(from)));
        let to = wanted.to.as_ref().map(|to| format!("{} < {}", as_time(&contents.from), as_time(to)));
        let conditions: Vec<String> = from.into_iter().chain(to).collect();
        if conditions.is_empty()
            || connection.query(&format!("select {} as wanted", conditions.join(" and ")), &[])?.one()?.flag("wanted")?
        {
            all.push(kept);
        }
    }
    all.retain(|kept| wanted.only.is_empty() || wanted.only.contains(&kept.extent.id));
    if all.is_empty() {
        let message =
            if wanted.only.is_empty() { "nothing of that time is in the archive" } else { "no such extent of that time is in the archive" };
        return Err(SiteFault::new(message, "`seawall archive list` says what is."));
    }
    Ok(all)
}

/// Before anything is done; a request takes hours, so it is made for all of them at once.
fn must_be_awake(site: &Site<'_>, place: &Shelf<'_>, extents: &[&Kept], thaw: Option<(u32, Haste)>) -> Result<(), SiteFault> {
    let (store, rows) = (place.store, |kept: &&Kept| Some(place.repository.extent_data(&kept.extent.id, &kept.csv()?.name)));
    let keys: Vec<Key> = extents.iter().filter_map(rows).collect();
    let looked = parallel::map_with(width(store), &keys, &|key| store.head(key));
    let there = looked.into_iter().filter_map(Result::transpose).collect::<Result<Vec<Meta>, _>>()?;
    let archived = how_they_stand(store, &there.iter().filter(|meta| meta.frozen).collect::<Vec<_>>())?;
    if archived.is_readable() {
        return Ok(());
    }
    let waiting = counted(archived.asleep.len() + archived.underway.len(), "extent");
    let message = format!("rows of {waiting} lie in an archive class and cannot be read now");
    let hint = match thaw {
        _ if archived.asleep.is_empty() => "All of them were requested before: run it again later.".to_owned(),
        None => {
            let hint = format!("`--thaw DAYS` requests them ({}; `--thaw-speed` chooses).", archived.times());
            return Err(SiteFault::new(message, hint));
        }
        Some((days, haste)) => {
            let now = clock::now();
            let until = archived.readable_until(days, haste, now)?;
            // What cannot be noted is asked for all the same.
            for kept in extents {
                if let Err(fault) = note_awake(place, site.host(), &kept.extent.id, until) {
                    let (id, message) = (&kept.extent.id, &fault.message);
                    tracing::warn!(hint = fault.hint, "that extent {id} is wanted until {until} cannot be noted beside it: {message}");
                }
            }
            archived.request(store, days, haste)?;
            let within = archived.within(haste).map(|within| format!(", and here within {}", span(within))).unwrap_or_default();
            format!("All of them are requested now{within}: run it again then.")
        }
    };
    Err(SiteFault { transient: true, ..SiteFault::new(message, hint) })
}

fn is_same(connection: &mut Connection, one: &str, other: &str) -> Result<bool, SiteFault> {
    let sql = "select coalesce(to_regclass($1) = to_regclass($2), false) as same";
    Ok(connection.query(sql, &[one, other])?.one()?.flag("same")?)
}

/// The table that all of them came from, by another name.
fn is_renamed(connection: &mut Connection, into: &str, extents: &[&Kept]) -> Result<bool, SiteFault> {
    let found = connection.query("select to_regclass($1)::oid::text as oid", &[into])?;
    let oid: Option<u32> = found.one()?.get("oid").and_then(|oid| oid.parse().ok());
    Ok(oid.is_some() && extents.iter().all(|kept| kept.contents.oid == oid))
}

struct Ground<'g> {
    place: &'g Shelf<'g>,
    identities: &'g Identities,
    stop: &'g AtomicBool,
    is_original: bool,
}

impl Ground<'_> {
    fn all(&self, connection: &mut Connection, chosen: Chosen<'_>, wanted: &Wanted, into: String) -> Result<BroughtBack, SiteFault> {
        let Chosen { coming, mut passed_over, superseded, remarks } = chosen;
        let Some(first) = coming.first() else { return Err(nothing(&passed_over, &superseded, &remarks)) };
        let columns = &first.contents.columns;
        let names: Vec<String> = columns.iter().map(|column| quoted(&column.name)).collect();
        let shape = |kept: &Kept| kept.contents.columns.iter().map(|one| (one.name.clone(), one.r#type.clone())).collect::<Vec<_>>();
        if let Some(other) = coming.iter().find(|kept| shape(kept) != shape(first)) {
            let message = format!("{} has other columns than {}", other.extent.id, first.extent.id);
            let hint = format!(
                "Bring them back one after the other, with `--from` and `--to`, into tables of their own; this one begins at {}.",
                other.contents.from
            );
            return Err(SiteFault::new(message, hint));
        }
        let is_new =
            !self.is_original && !connection.query("select to_regclass($1) is not null as there", &[&into])?.one()?.flag("there")?;
        if is_new {
            // The server says what is a type and nothing else.
            for column in columns {
                connection.query("select $1::regtype", &[&column.r#type])?;
            }
            let columns = names.iter().zip(columns).map(|(name, column)| format!("{name} {}", column.r#type));
            connection.run(&format!("create table {into} ({})", columns.collect::<Vec<_>>().join(", ")))?;
        }
        if !is_new && !self.is_original {
            let some = connection.query(&format!("select exists (select from {into}) as some"), &[])?.one()?.flag("some")?;
            if some {
                let message = format!("{into} has rows already, and these would come beside them");
                return Err(SiteFault::new(message, "Empty it, or name another table with `--into`."));
            }
        }
        let mut remarks = remarks;
        let (own, retyped) = if self.is_original { what_changes(connection, &into, first)? } else { Default::default() };
        if !own.is_empty() {
            remarks.push(format!("{into}: the triggers {} ran for what came back", own.join(", ")));
        }
        if self.is_original && (wanted.from.is_some() || wanted.to.is_some()) {
            let (from, to) = (&first.contents.from, coming.last().map_or("", |last| last.contents.to.as_str()));
            remarks.push(format!("into the table itself extents come back whole: these have rows from {from} to before {to}"));
        }
        let (mut rows, mut came) = (0, Vec::new());
        for kept in &coming {
            if self.is_original {
                // Whoever else brings it back waits here, and finds it done.
                let mine = "delete from seawall.archived where extent = $1 returning extent";
                if connection.query(mine, &[kept.extent.id.as_str()])?.is_empty() {
                    passed_over.push(kept.extent.id.to_string());
                    continue;
                }
                returned::note(connection, &kept.extent.id)?;
            }
            let copy = format!("copy {into} ({}) from stdin (format csv, header true)", names.join(", "));
            rows += self.one(connection, kept, &copy)?;
            came.push(*kept);
        }
        if !own.is_empty() || !retyped.is_empty() {
            must_be_as_exported(connection, &came, &into, &names.join(", "), self.stop)?;
        }
        if !self.is_original {
            rows -= cut(connection, &into, &first.contents.column, wanted)?;
        }
        Ok(BroughtBack { into, extents: came.len(), rows, is_original: self.is_original, passed_over, superseded, remarks })
    }

    fn one(&self, connection: &mut Connection, kept: &Kept, copy: &str) -> Result<u64, SiteFault> {
        let Some(object) = kept.csv() else {
            let message = format!("{} was archived without CSV", kept.extent.id);
            return Err(SiteFault::new(message, "Load its Parquet file with a program that reads such files."));
        };
        let key = self.place.repository.extent_data(&kept.extent.id, &object.name);
        let mut rows = connection.copy_in(copy)?;
        let mut refused = None;
        let read = read_rows(self.place.store, &key, object.size, self.identities, &mut |bytes| {
            refused = rows.send(bytes).err();
            Ok(refused.is_none() && !self.stop.load(Ordering::Relaxed))
        });
        let tallied = match (read, refused) {
            (_, Some(fault)) => return Err(fault.into()),
            (read, None) => read?,
        };
        if tallied.rows != kept.extent.rows || tallied.sum != kept.contents.sum {
            let message = format!("{key} does not hold the rows that were exported: {} of {}", tallied.rows, kept.extent.rows);
            return Err(SiteFault::new(message, "Nothing was brought back. Look for another copy of this store."));
        }
        let came = rows.finish()?;
        if came != kept.extent.rows {
            let message = format!("{came} of the {} rows of {} came into the table", kept.extent.rows, kept.extent.id);
            return Err(SiteFault::new(message, format!("A trigger of the table keeps rows out; nothing was brought back. {ELSEWHERE}")));
        }
        Ok(came)
    }
}

const ELSEWHERE: &str = "Name another table with `--into`, and take the rows from there.";

/// What may change rows on their way into their own table: its triggers, and columns of another type. In a hypertable nobody finds those that came.
fn what_changes(connection: &mut Connection, into: &str, first: &Kept) -> Result<(Vec<String>, Vec<String>), SiteFault> {
    let (own, retyped) = (triggers(connection, into)?, retyped(connection, into, &first.contents.columns)?);
    let some = [("triggers", &own), ("other types of the columns", &retyped)].into_iter().find(|(_, which)| !which.is_empty());
    if let (Some((what, which)), Some(_)) = (some, &first.contents.timescaledb) {
        let message = format!("the {what} {} of {into} may change the rows that come into it", which.join(", "));
        return Err(SiteFault::new(message, ELSEWHERE));
    }
    Ok((own, retyped))
}

/// The columns that have another type than the rows had. They must be there all the same: the record says that these rows are in the archive, whole.
fn retyped(connection: &mut Connection, table: &str, columns: &[Column]) -> Result<Vec<String>, SiteFault> {
    let oid = connection.query("select $1::regclass::oid::text as oid", &[table])?.one()?.text("oid")?.to_owned();
    let (there, _, _) = super::columns(connection, &oid, "")?;
    let (mut gone, mut retyped) = (Vec::new(), Vec::new());
    for column in columns {
        match there.iter().find(|own| own.name == column.name) {
            None => gone.push(column.name.clone()),
            Some(own) if own.r#type != column.r#type => retyped.push(column.name.clone()),
            Some(_) => {}
        }
    }
    if gone.is_empty() {
        return Ok(retyped);
    }
    let message = format!("{table} does not have these columns of the rows any more: {}", gone.join(", "));
    Err(SiteFault::new(message, ELSEWHERE))
}

/// Somebody's, that run when rows are inserted: before they are there, after it, or at the end.
fn triggers(connection: &mut Connection, table: &str) -> Result<Vec<String>, SiteFault> {
    let sql = "select distinct t.tgname as name \
               from pg_trigger t join pg_proc p on p.oid = t.tgfoid join pg_namespace n on n.oid = p.pronamespace \
               where (t.tgrelid = to_regclass($1) or t.tgrelid in (select relid from pg_partition_tree(to_regclass($1)))) \
                 and not t.tgisinternal and t.tgenabled in ('O', 'A') and t.tgtype & 4 <> 0 and n.nspname not like '\\_timescaledb%' \
               order by 1";
    Ok(connection.query(sql, &[table])?.iter().map(|row| row.text("name").map(str::to_owned)).collect::<Result<_, _>>()?)
}

/// The rows that this transaction has put there are those that were exported. Afterwards they would be the truth, and the record of the others gone.
fn must_be_as_exported(connection: &mut Connection, came: &[&Kept], into: &str, names: &str, stop: &AtomicBool) -> Result<(), SiteFault> {
    connection.run("set constraints all immediate")?;
    let exported = came.iter().map(|kept| Tallied { rows: kept.extent.rows, sum: kept.contents.sum.clone() });
    let sql = format!("copy (select {names} from {into} where xmin = pg_current_xact_id()::xid) to stdout (format csv)");
    let Some(tally) = tally_of(connection, &sql, stop)? else { return Err(SiteFault::interrupted()) };
    let there = tally.finish();
    let all = exported.map(Some).reduce(|all, one| all?.and(&one?)).flatten();
    if came.is_empty() || (there.is_some() && there == all) {
        return Ok(());
    }
    let message = format!("rows came into {into} that are not those of the archive");
    let hint = format!("A trigger of the table changes them, or a column that has another type now; nothing was brought back. {ELSEWHERE}");
    Err(SiteFault::new(message, hint))
}

fn nothing(passed_over: &[String], superseded: &[String], remarks: &[String]) -> SiteFault {
    if !remarks.is_empty() {
        return SiteFault::new(remarks.join("; "), "Nothing was brought back; `--extent ID` names what is to come all the same.");
    }
    let mut message = format!("the table still has all of these rows: {}", passed_over.join(", "));
    if passed_over.is_empty() {
        message = format!("these rows left the table as those of later extents: {}", superseded.join(", "));
    }
    SiteFault::new(message, "There is nothing to bring back; `seawall archive list` says what left it.")
}

/// Extents reach further than what was asked for.
fn cut(connection: &mut Connection, into: &str, column: &str, wanted: &Wanted) -> Result<u64, SiteFault> {
    let column = quoted(column);
    let mut outside = Vec::new();
    outside.extend(wanted.from.as_ref().map(|from| format!("{column} < {}", literal(from))));
    outside.extend(wanted.to.as_ref().map(|to| format!("{column} >= {}", literal(to))));
    if outside.is_empty() {
        return Ok(0);
    }
    let sql = format!("with cut as (delete from {into} where {} returning 1) select count(*)::text as rows from cut", outside.join(" or "));
    Ok(connection.query(&sql, &[])?.one()?.parse("rows")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_beside_a_table_is_whole_and_its_own() {
        assert_eq!(beside("orders"), "orders_archived");
        assert_eq!(beside(&"o".repeat(54)), format!("{}_archived", "o".repeat(54)));
        let long = [
            format!("{}a", "o".repeat(62)),
            format!("{}b", "o".repeat(62)),
            "o".repeat(55),
            "ö".repeat(31),
            format!("x{}", "ö".repeat(31)),
        ];
        let beside: Vec<String> = long.iter().map(|table| beside(table)).collect();
        for (at, (table, name)) in long.iter().zip(&beside).enumerate() {
            assert!(name.len() <= LONGEST_NAME && name.ends_with("_archived") && name != table, "{name}");
            assert!(!beside[..at].contains(name), "{name}");
        }
    }
}
