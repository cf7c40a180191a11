//! The original's rows become those of the backup, or some of them do.
//!
//! First the rows are put into temporary tables of one session. Then, in one transaction, the original is locked in EXCLUSIVE mode: whoever
//! reads it goes on, whoever writes it waits. That lock also waits for every transaction that has checked a foreign key against it, and lets
//! none do so before the end, so what the anti-joins find stays true. Rows that differ are deleted and inserted anew, not updated: then two
//! rows can have swapped a unique value, and a `generated always as identity` column takes its old one. The table itself stays what it is.

use super::about::{About, Column, KeyColumn, Kind, into_columns, joined_columns, same_key, same_row, sql};
use super::difference::{Difference, Sides};
use super::held::{Going, Hold};
use super::hypertable::{Care, Spans};
use super::origin::rows_of;
use super::undo::{self, key_list};
use super::{
    Destination, Landed, Onlooker, Origin, Wanted, Way, asked, blame, destination, held, references, refresh, sequences, session, stream,
    uniques,
};
use crate::execute::table::TableFault;
use crate::plan::words::{joined, quoted as shown};
use crate::policy::sql_name::quoted;
use crate::postgres::Connection;

/// Rows that are ready in a session of the destination, and what they are to become.
#[derive(Debug)]
pub struct Change<'d> {
    destination: &'d Destination,
    wanted: &'d Wanted,
    /// The origin, for what only then turns out to be asked.
    from: Connection,
    connection: Connection,
    tables: Vec<Staged>,
}

/// One table with its rows beside it.
#[derive(Debug)]
pub struct Staged {
    about: About,
    key: Vec<KeyColumn>,
    number: usize,
    /// As it is read at the origin.
    original: String,
    pub rows: u64,
    pub bytes: u64,
    /// The rows of now that were compared; the table itself where nobody was shown anything.
    compared: Option<String>,
    /// Of a hypertable.
    care: Option<Care>,
    /// Its chunks that were compressed and are not any more, once rows were changed.
    loosened: Vec<String>,
    done: Done,
}

/// What taking a change back needs to know of it.
#[derive(Debug, Default)]
struct Done {
    /// Where rows of a hypertable came.
    came: Spans,
    /// What its aggregates were told, as SQL.
    told: Option<String>,
    /// What the rows that came ask of the table's sequences.
    needs: Vec<sequences::Need>,
    /// How many rows there were changed or removed.
    gone: u64,
    /// Where rows of a hypertable came or went.
    spans: Spans,
}

impl Staged {
    fn then(&self) -> String {
        format!("pg_temp.seawall_rows_{}", self.number)
    }

    fn gone(&self) -> String {
        format!("pg_temp.seawall_gone_{}", self.number)
    }

    /// What the condition gives at the destination.
    fn meant(&self) -> String {
        format!("pg_temp.seawall_meant_{}", self.number)
    }

    /// By which the days of a hold count, and its type.
    fn time(&self) -> Option<(&str, &str)> {
        self.care.as_ref().map(|care| (care.time.as_str(), care.time_type.as_str()))
    }

    fn columns(&self) -> Vec<&Column> {
        self.about.stored().collect()
    }

    /// An empty temporary table like the original, as far as its rows can be written.
    fn beside(&self, connection: &mut Connection, name: &str, columns: &str) -> Result<(), TableFault> {
        connection.run(&format!("create temporary table {name} as select {columns} from {} with no data", self.about.name()))?;
        Ok(())
    }

    fn sides<'s>(&'s self, then: &'s str, now: &'s str) -> Sides<'s> {
        Sides { about: &self.about, key: &self.key, then, now }
    }

    /// Of the rows of `now`, which fit, those that did not fit then come too, where the backup has them.
    fn ask(&mut self, from: &mut Connection, to: &mut Connection, now: &str, onlooker: Onlooker<'_>) -> Result<(), TableFault> {
        let then = self.then();
        let missing = self.sides(&then, now).missing();
        let Staged { about, key, number, original, .. } = &*self;
        let question = asked::Question { about, key, number: *number, original, missing: &missing, then: &then };
        let (rows, bytes) = question.ask(from, to, onlooker)?;
        (self.rows, self.bytes) = (self.rows + rows, self.bytes + bytes);
        Ok(())
    }
}

impl<'d> Change<'d> {
    /// Copies the rows to the destination's session. Nothing that anybody else could see.
    pub fn stage(
        destination: &'d Destination,
        wanted: &'d Wanted,
        origin: &Origin,
        onlooker: Onlooker<'_>,
    ) -> Result<Change<'d>, TableFault> {
        origin.must_have_rows()?;
        let (mut from, mut to) = (origin.open()?, destination.open()?);
        (onlooker.begins)("copying rows to the destination");
        let tables = session::attended(onlooker.stop, [&mut from, &mut to], |[from, to]| {
            (0..wanted.tables.len()).map(|number| stage(destination, wanted, origin, (from, to), number, onlooker)).collect()
        });
        let tables = tables.map_err(|fault| blame::blamed(&destination.settings, &wanted.tables, fault))?;
        Ok(Change { destination, wanted, from, connection: to, tables })
    }

    /// What would change. Reads only; the condition is read there as it was at the origin.
    pub fn difference(&mut self, most: u32, onlooker: Onlooker<'_>) -> Result<Vec<Difference>, TableFault> {
        let Way::Merge { delete_others, .. } = &self.wanted.way else { return Ok(Vec::new()) };
        (onlooker.begins)("comparing with what is there now");
        let Change { destination, wanted, from, connection, tables } = self;
        let compared = session::attended(onlooker.stop, [from, connection], |[from, to]| {
            tables.iter_mut().map(|staged| compare((from, to), wanted, staged, (most, *delete_others), onlooker)).collect()
        });
        compared.map_err(|fault| blame::blamed(&destination.settings, &wanted.tables, fault))
    }

    /// All tables in one transaction.
    pub fn apply(mut self, remarks: &mut Vec<String>, onlooker: Onlooker<'_>) -> Result<Vec<Landed>, TableFault> {
        let Change { destination, wanted, from, connection, tables } = &mut self;
        let applied = session::attended(onlooker.stop, [from, &mut *connection], |[from, connection]| {
            for staged in tables.iter() {
                prepare(connection, wanted, staged)?;
            }
            // Whatever the role's or the database's own settings are.
            connection.run("begin transaction isolation level read committed read write")?;
            let landed = within((from, connection), destination, wanted, tables, remarks, onlooker).and_then(|landed| {
                session::go_on(onlooker.stop)?;
                (onlooker.begins)("committing");
                session::commit(connection, "Look at the table before anything else is done: all of it is there, or nothing.")?;
                Ok(landed)
            });
            if landed.is_err() && !connection.is_broken() {
                let _ = connection.run("rollback");
            }
            landed
        });
        let landed = applied.map_err(|fault| blame::blamed(&destination.settings, &wanted.tables, fault))?;
        // From here on nothing can fail that was asked for.
        for staged in tables.iter().filter(|staged| !staged.loosened.is_empty()) {
            (onlooker.begins)("compressing again");
            remarks.extend(staged.care.iter().flat_map(|care| care.compress(connection, &staged.loosened, onlooker)));
        }
        (onlooker.begins)("analyzing");
        for staged in tables.iter() {
            if let Err(fault) = connection.run(&format!("analyze {}", staged.about.name())) {
                remarks.push(format!("{} could not be analyzed: {fault}", staged.about.name()));
            }
        }
        Ok(landed)
    }

    pub fn tables(&self) -> &[Staged] {
        &self.tables
    }
}

fn stage(
    destination: &Destination,
    wanted: &Wanted,
    origin: &Origin,
    (from, to): (&mut Connection, &mut Connection),
    number: usize,
    onlooker: Onlooker<'_>,
) -> Result<Staged, TableFault> {
    let table = &wanted.tables[number];
    let restored = origin.about(from, table)?;
    let about = About::read(to, table)?.ok_or_else(|| TableFault::stale(format!("{} is gone", sql(table)), "Run it again."))?;
    if about.columns != destination.table(number)?.columns {
        return Err(TableFault::stale(format!("the columns of {} are changing right now", about.name()), "Run it again."));
    }
    about.must_fit(&restored)?;
    let named: &[String] = if let Way::Merge { key, .. } = &wanted.way { key } else { &[] };
    let key = about.key_of(to, named)?;
    let care = (about.kind == Kind::Hypertable).then(|| Care::read(to, &about, destination.timescale.as_deref())).transpose()?;
    let mut staged = Staged {
        about,
        key,
        number,
        original: restored.from(),
        rows: 0,
        bytes: 0,
        compared: None,
        care,
        loosened: Vec::new(),
        done: Done::default(),
    };
    staged.beside(to, &format!("seawall_rows_{number}"), &staged.about.stored_list())?;
    let (columns, then) = (staged.about.stored_list(), staged.then());
    let query = format!("select {columns} from {}", rows_of(from, &restored, number, wanted.condition.as_ref())?);
    let is_binary = stream::is_binary(from, to, &staged.columns());
    let into = into_columns(&then, &columns);
    (staged.rows, staged.bytes) = stream::copy(from, &query, to, &into, is_binary, onlooker.bytes, onlooker.stop)?;
    if !staged.key.is_empty() {
        must_be_a_key(to, &staged, &then, "in the backup")?;
    }
    to.run(&format!("analyze {then}"))?;
    Ok(staged)
}

/// Of a primary key the server has taken care; here it may be columns that somebody named.
fn must_be_a_key(connection: &mut Connection, staged: &Staged, rows: &str, whose: &str) -> Result<(), TableFault> {
    let names = key_list(&staged.key, "x");
    let nulls = staged.key.iter().map(|column| format!("x.{} is null", quoted(&column.name))).collect::<Vec<_>>().join(" or ");
    let text = staged.key.iter().map(|column| format!("x.{}::text", quoted(&column.name))).collect::<Vec<_>>().join(", ");
    let sql = format!("select left(concat_ws(', ', {text}), 120) as key from {rows} x where {nulls} or false limit 1");
    let hint =
        "Name columns that no two rows have in common (`--key COLUMN,…`), or restore into a schema beside it (`--into-schema NAME`).";
    let by = joined(staged.key.iter().map(|column| shown(&column.name)));
    if !connection.query(&sql, &[])?.is_empty() {
        return Err(TableFault::new(format!("{by} is no key of {}: {whose} it has rows where that is null", staged.about.name()), hint));
    }
    let sql = format!("select left(concat_ws(', ', {text}), 120) as key from {rows} x group by {names} having count(*) > 1 limit 1");
    match connection.query(&sql, &[])?.iter().next() {
        None => Ok(()),
        Some(row) => {
            let example = shown(row.get("key").unwrap_or_default());
            Err(TableFault::new(format!("{by} is no key of {}: {whose} several rows have {example}", staged.about.name()), hint))
        }
    }
}

fn compare(
    (from, connection): (&mut Connection, &mut Connection),
    wanted: &Wanted,
    staged: &mut Staged,
    (most, missing_go): (u32, bool),
    onlooker: Onlooker<'_>,
) -> Result<Difference, TableFault> {
    let (now, then) = (format!("pg_temp.seawall_now_{}", staged.number), staged.then());
    let columns = staged.about.stored_list();
    staged.beside(connection, &format!("seawall_now_{}", staged.number), &columns)?;
    let meant = rows_of(connection, &staged.about, staged.number, wanted.condition.as_ref())?;
    // What somebody's own condition calls cannot write anything.
    connection.run("begin transaction isolation level repeatable read read only")?;
    connection.run(&format!("insert into {now} ({columns}) select {columns} from {meant}"))?;
    if wanted.condition.is_some() {
        // Rows that the condition let go since are the same rows by their keys.
        connection.run(&format!(
            "insert into {now} ({columns}) select {} from {} t where exists (select from {then} s where {}) \
             and not exists (select from {now} n where {})",
            joined_columns(staged.columns().iter().map(|column| format!("t.{}", quoted(&column.name)))),
            staged.about.from(),
            same_key(&staged.key, "s", "t"),
            same_key(&staged.key, "n", "t"),
        ))?;
    }
    connection.run("commit")?;
    must_be_a_key(connection, staged, &now, "now")?;
    connection.run(&format!("analyze {now}"))?;
    if wanted.condition.is_some() {
        staged.ask(from, connection, &now, onlooker)?;
        // Those that came now had not been looked at, and neither had all rows that are there under their keys.
        must_be_a_key(connection, staged, &then, "in the backup")?;
        let of_these = format!(
            "(select t.* from {} t where exists (select from {then} s where {}))",
            staged.about.from(),
            same_key(&staged.key, "s", "t")
        );
        must_be_a_key(connection, staged, &of_these, "now")?;
    }
    let difference = staged.sides(&then, &now).read(connection, most, missing_go)?;
    staged.compared = Some(now);
    Ok(difference)
}

/// What the transaction needs of temporary tables, and has no lock for yet.
fn prepare(connection: &mut Connection, wanted: &Wanted, staged: &Staged) -> Result<(), TableFault> {
    if staged.key.is_empty() {
        return Ok(());
    }
    let names = joined_columns(staged.key.iter().map(|column| quoted(&column.name)));
    staged.beside(connection, &format!("seawall_gone_{}", staged.number), &names)?;
    if staged.compared.is_none() && wanted.condition.is_some() {
        rows_of(connection, &staged.about, staged.number, wanted.condition.as_ref())?;
    }
    Ok(())
}

fn within(
    (from, connection): (&mut Connection, &mut Connection),
    destination: &Destination,
    wanted: &Wanted,
    tables: &mut [Staged],
    remarks: &mut Vec<String>,
    onlooker: Onlooker<'_>,
) -> Result<Vec<Landed>, TableFault> {
    (onlooker.begins)("waiting for the table's lock");
    connection.run(&format!("set local lock_timeout = '{}ms'", wanted.lock_timeout.as_millis()))?;
    // Two of these at once take their locks in the same order.
    let mut order: Vec<&Staged> = tables.iter().collect();
    order.sort_by_key(|staged| staged.about.oid.parse::<u32>().unwrap_or(u32::MAX));
    for staged in &order {
        connection.run(&format!("lock table {} in exclusive mode", staged.about.name()))?;
    }
    for staged in &order {
        must_be_as_it_was(connection, staged)?;
    }
    let holds = destination.holds_by_now(connection)?;
    // Of what was shown nothing is asked any more; of what was not, only now nobody adds to it.
    for staged in tables.iter_mut().filter(|staged| staged.compared.is_none() && wanted.condition.is_some()) {
        let meant = staged.meant();
        staged.ask(from, connection, &meant, onlooker)?;
    }
    for Staged { about, care, .. } in tables.iter_mut() {
        let Some(care) = care else { continue };
        *care = care.again(connection, about, destination.timescale.as_deref())?;
        care.allow(connection)?;
    }
    connection.run("set local session_replication_role = replica")?;
    if let Some(schema) = wanted.way.kept() {
        super::schemas::make(connection, schema)?;
    }
    (onlooker.begins)("changing rows");
    let mut landed = Vec::new();
    for staged in tables.iter_mut() {
        let (changed, done) = change(connection, &holds, wanted, staged)?;
        remarks.extend(refresh::held(connection, &holds, &changed)?);
        landed.push(changed);
        staged.done = done;
        if let Some(care) = &staged.care {
            staged.loosened = care.loosened(connection)?;
            remarks.extend(care.too_old(connection, &staged.then())?);
        }
    }
    (onlooker.begins)("checking foreign keys");
    let abouts: Vec<&About> = tables.iter().map(|staged| &staged.about).collect();
    references::must_hold(connection, &abouts, remarks)?;
    uniques::must_hold(connection, &abouts)?;
    take_back(connection, wanted, tables, &mut landed)?;
    for staged in tables.iter() {
        remarks.extend(sequences::forward(connection, &staged.done.needs)?);
    }
    (onlooker.begins)("looking for holds that came");
    held::none_comes_now(connection, wanted.lock_timeout, onlooker.stop)?;
    let mut came = destination.holds_by_now(connection)?;
    came.retain(|hold| !holds.contains(hold));
    for staged in tables.iter() {
        must_stay_as_it_was(connection, &came, wanted, staged)?;
    }
    Ok(landed)
}

/// Of these holds, which came while rows were changed, none holds a row that was.
fn must_stay_as_it_was(connection: &mut Connection, came: &[Hold], wanted: &Wanted, staged: &Staged) -> Result<(), TableFault> {
    let Staged { about, key, care, done, .. } = staged;
    match wanted.way.kept() {
        Some(schema) => {
            let rows = sql(&undo::kept(schema, about).0);
            // Of a whole table those were kept, too, that stayed.
            let from = match key.is_empty() {
                true => format!("{rows} t"),
                false => format!("{rows} t join {} g on {}", staged.gone(), same_key(key, "t", "g")),
            };
            let going = Going { oid: &about.oid, name: about.name(), time: staged.time(), from: &from, apart: true };
            held::must_stay(connection, came, &going, held::CHANGED)?;
        }
        None if done.gone > 0 => held::must_not_touch(connection, came, about)?,
        None => {}
    }
    care.as_ref().map_or(Ok(()), |care| care.must_stay_as_made(connection, came, &done.spans))
}

/// How all of it is taken back.
fn take_back(connection: &mut Connection, wanted: &Wanted, tables: &[Staged], landed: &mut [Landed]) -> Result<(), TableFault> {
    let Some(schema) = wanted.way.kept() else { return Ok(()) };
    let is_whole = is_whole(wanted);
    let parts = tables.iter().map(|staged| undo::Part {
        about: &staged.about,
        key: &staged.key,
        whole: is_whole.then_some(staged.rows),
        within: staged.care.as_ref().map(|care| care.within(&staged.done.came)),
        told: staged.done.told.as_deref(),
        time: staged.time(),
    });
    let undo = undo::undo(connection, schema, &parts.collect::<Vec<_>>())?;
    for (landed, staged) in landed.iter_mut().zip(tables) {
        landed.undo = Some(undo.clone());
        landed.kept_in = Some(sql(&undo::kept(schema, &staged.about).0));
    }
    Ok(())
}

/// All of its rows go for all of those.
fn is_whole(wanted: &Wanted) -> bool {
    matches!(wanted.way, Way::Replace { .. }) && wanted.condition.is_none()
}

/// What was asked of it before the rows were fetched, its columns, and the rows that were shown to somebody.
fn must_be_as_it_was(connection: &mut Connection, staged: &Staged) -> Result<(), TableFault> {
    let about = &staged.about;
    let is_same = |now: &About| now.oid == about.oid && now.columns == about.columns && now.key == about.key && now.kind == about.kind;
    let Some(now) = About::read(connection, &about.table)?.filter(is_same) else {
        return Err(TableFault::stale(
            format!("the definition of {} has changed meanwhile", about.name()),
            "Nothing was changed. Run it again.",
        ));
    };
    destination::must_be_changeable(connection, &now)?;
    references::must_be_askable(connection, about)?;
    uniques::must_be_askable(connection, about)?;
    let Some(compared) = &staged.compared else { return Ok(()) };
    let (key, row) = (same_key(&staged.key, "t", "n"), same_row(&staged.columns(), "t", "n"));
    let sql = format!(
        "select (select count(*) from {compared} n where not exists (select from {name} t where {key} and {row})) \
              + (select count(*) from {then} s join {name} t on {of_then} where not exists (select from {compared} n where {key})) as n",
        name = about.name(),
        then = staged.then(),
        of_then = same_key(&staged.key, "t", "s"),
    );
    let count: u64 = connection.query(&sql, &[])?.one()?.parse("n")?;
    if count == 0 {
        return Ok(());
    }
    let rows = if count == 1 { "1 row".to_owned() } else { format!("{count} rows") };
    let message = format!("{rows} of {} changed since the difference was shown", about.name());
    Err(TableFault::stale(message, "Nothing was changed. Run it again, and look at the new difference."))
}

fn change(connection: &mut Connection, holds: &[Hold], wanted: &Wanted, staged: &Staged) -> Result<(Landed, Done), TableFault> {
    let (about, then, care) = (&staged.about, staged.then(), staged.care.as_ref());
    let time = staged.time();
    let must_stay = |connection: &mut Connection, from: &str| {
        held::must_stay(connection, holds, &Going { oid: &about.oid, name: about.name(), time, from, apart: false }, held::CHANGED)
    };
    let mut spans = Spans::default();
    let (name, columns) = (about.name(), about.stored_list());
    let mut landed = Landed { table: name.clone(), into: name.clone(), rows: staged.rows, bytes: staged.bytes, ..Landed::default() };
    let is_whole = is_whole(wanted);
    if staged.key.is_empty() {
        must_stay(connection, &format!("{name} t"))?;
        keep(connection, wanted, staged, None)?;
        care.map(|care| care.spans(connection, &format!("{name} t"), &mut spans)).transpose()?;
        // What deletes whole compressed batches does not count their rows.
        let rows = |connection: &mut Connection| -> Result<u64, TableFault> {
            Ok(connection.query(&format!("select count(*) as n from {name}"), &[])?.one()?.parse("n")?)
        };
        let before = rows(connection)?;
        connection.run(&format!("delete from {name}"))?;
        landed.removed = before - rows(connection)?.min(before);
        must_be(landed.removed, before, "deleted", &name)?;
    } else {
        let gone = staged.gone();
        let now = match (&staged.compared, &wanted.condition) {
            (Some(compared), _) => compared.clone(),
            (None, Some(_)) => staged.meant(),
            (None, None) => name.clone(),
        };
        // Whatever the condition says of a row now: the same key is the same row.
        let changed = staged.sides(&then, staged.compared.as_deref().unwrap_or(&name)).changed();
        landed.changed = count(connection, &format!("insert into {gone} select {} {changed}", key_list(&staged.key, "n")))?;
        if !matches!(wanted.way, Way::Merge { delete_others: false, .. }) {
            let missing = staged.sides(&then, &now).missing();
            landed.removed = count(connection, &format!("insert into {gone} select {} {missing}", key_list(&staged.key, "n")))?;
        }
        connection.run(&format!("analyze {gone}"))?;
        let same = same_key(&staged.key, "t", "g");
        must_stay(connection, &format!("{name} t join {gone} g on {same}"))?;
        keep(connection, wanted, staged, (!is_whole).then_some(landed.changed + landed.removed))?;
        let deleted = match care {
            Some(care) => {
                care.spans(connection, &format!("{name} t join {gone} g on {same}"), &mut spans)?;
                care.delete(connection, &gone, &staged.key, &spans)?
            }
            None => count(connection, &format!("delete from {name} t using {gone} g where {same}"))?,
        };
        must_be(deleted, landed.changed + landed.removed, "deleted", &name)?;
    }
    let absent = if staged.key.is_empty() {
        String::new()
    } else {
        format!(" where not exists (select from {name} t where {})", same_key(&staged.key, "t", "s"))
    };
    // Counted before, so that none is lost on its way in.
    let (brought, come) = match wanted.way.kept() {
        Some(schema) => {
            let table = sql(&undo::kept(schema, about).1);
            let come = count(connection, &format!("create table {table} as select {columns} from {then} s{absent}"))?;
            (table, come)
        }
        None => {
            let brought = format!("{then} s{absent}");
            let come = connection.query(&format!("select count(*) as n from {brought}"), &[])?.one()?.parse("n")?;
            (brought, come)
        }
    };
    let needs = sequences::needed(connection, about, &brought)?;
    let insert = format!("insert into {} overriding system value select {columns} from {brought}", into_columns(&name, &columns));
    let mut came = Spans::default();
    let inserted = match care {
        Some(care) => care.insert(connection, &insert, &mut came)?,
        None => count(connection, &insert)?,
    };
    must_be(inserted, come, "inserted", &name)?;
    spans.extend(&came);
    let told = match care {
        Some(care) => {
            care.must_stay_as_made(connection, holds, &spans)?;
            care.tell(connection, &spans, &mut landed)?
        }
        None => None,
    };
    landed.added = inserted.saturating_sub(landed.changed);
    if is_whole {
        let rows = connection.query(&format!("select count(*) as n from {name}"), &[])?.one()?.parse("n")?;
        must_be(rows, staged.rows, "there", &name)?;
    }
    let gone = landed.changed + landed.removed;
    Ok((landed, Done { came, told, needs, gone, spans }))
}

/// What is about to be changed or removed, as it is.
/// All rows, where nobody says how many.
fn keep(connection: &mut Connection, wanted: &Wanted, staged: &Staged, some: Option<u64>) -> Result<(), TableFault> {
    let Some(schema) = wanted.way.kept() else { return Ok(()) };
    let (name, (rows, _)) = (staged.about.name(), undo::kept(schema, &staged.about));
    let Some(some) = some else {
        connection.run(&format!("create table {} as select * from {name}", sql(&rows)))?;
        return Ok(());
    };
    let (gone, same) = (staged.gone(), same_key(&staged.key, "t", "g"));
    let kept = count(connection, &format!("create table {} as select t.* from {name} t join {gone} g on {same}", sql(&rows)))?;
    must_be(kept, some, "kept", &name)
}

/// How many rows a statement did something to.
pub(super) fn count(connection: &mut Connection, sql: &str) -> Result<u64, TableFault> {
    let answers = connection.run(sql)?;
    Ok(answers.last().and_then(|rows| rows.tag.rsplit(' ').next()).and_then(|count| count.parse().ok()).unwrap_or(0))
}

fn must_be(is: u64, should: u64, what: &str, table: &str) -> Result<(), TableFault> {
    if is == should {
        return Ok(());
    }
    let message = format!("{is} rows of {table} were {what} instead of {should}");
    Err(TableFault::new(message, "Nothing was changed. A rule of the table may do something else than it is told."))
}
