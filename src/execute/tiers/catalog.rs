//! What TimescaleDB knows of its tables, as its own rows in a backup have it. They are small, and come before any other row: from then on each
//! hypertable is one, with chunks that are still empty.

use std::collections::{BTreeSet, HashMap};
use std::io::Read;

use super::act::Acting;
use super::order::{OF_TIMESCALE, Shape};
use super::pending;
use crate::execute::dump::restore::restoring;
use crate::execute::restore::RestoreFault;
use crate::execute::table::TableFault;
use crate::execute::table::landing::session;
use crate::execute::table::source::TableName;
use crate::format::contents::USUAL_SCHEMA;
use crate::format::copied;
use crate::format::dump::{BadDump, Item, Stopped, Walk, columns_of, is_of_jobs, with_owners};
use crate::postgres::Connection;

pub(super) const NAME: &str = "timescaledb";
/// As much of it as is believed: that of some hundred thousand chunks.
const LARGEST: usize = 256 << 20;

const ROLES: &str = "select rolname as name from pg_catalog.pg_roles";

/// Rows of one of its own tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Own {
    pub schema: String,
    pub name: String,
    /// In brackets.
    pub columns: String,
    pub rows: Vec<u8>,
}

/// All of them, in the order in which they come; nothing where the database has no TimescaleDB.
pub(super) type Catalog = Vec<Own>;

/// Of an archive those that nothing in the dump defines, since the extension makes them.
pub(super) fn read<R: Read>(walk: &mut Walk<R>, defined: &BTreeSet<(&str, &str)>) -> Result<Catalog, Stopped> {
    let items = walk.items()?;
    let is_own = |item: &&Item| {
        item.kind == "TABLE DATA"
            && item.has_data
            && item.schema.starts_with(OF_TIMESCALE)
            && !defined.contains(&(item.schema.as_str(), item.name.as_str()))
    };
    let own: HashMap<i64, &Item> = items.iter().filter(is_own).map(|item| (item.id, item)).collect();
    let (mut all, mut bytes, mut buffer) = (Catalog::new(), 0, vec![0; 1 << 16]);
    while all.len() < own.len() {
        let Some(id) = walk.next_table()? else { return Err(BadDump::Missing(OF_TIMESCALE.to_owned()).into()) };
        let Some(item) = own.get(&id) else { continue };
        let mut rows = Vec::new();
        loop {
            match walk.read(&mut buffer)? {
                0 => break,
                got => rows.extend_from_slice(&buffer[..got]),
            }
            if bytes + rows.len() > LARGEST {
                return Err(BadDump::TooLong.into());
            }
        }
        bytes += rows.len();
        let columns = columns_of(&item.copy).unwrap_or_default().to_owned();
        all.push(Own { schema: item.schema.clone(), name: item.name.clone(), columns, rows });
    }
    Ok(all)
}

/// Which table lies in which.
pub(super) fn shape(catalog: &[Own]) -> Shape {
    let table = |name: &str| catalog.iter().find(|own| own.name == name).map(Rows::of).unwrap_or_default();
    let (hypertables, chunks, aggregates) = (table("hypertable"), table("chunk"), table("continuous_agg"));
    let mut shape = Shape::default();
    let names: HashMap<&str, TableName> = hypertables.all(|row| Some((row.get("id")?, row.named("schema_name", "table_name")?))).collect();
    // What has the compressed rows of another one, or what an aggregate made of it.
    for (of, part) in hypertables.all(|row| Some((row.get("id")?, row.get("compressed_hypertable_id")?))) {
        shape.put(names.get(part), names.get(of));
    }
    for (part, of) in aggregates.all(|row| Some((row.get("mat_hypertable_id")?, row.get("raw_hypertable_id")?))) {
        shape.put(names.get(part), names.get(of));
    }
    let pieces: HashMap<&str, TableName> = chunks.all(|row| Some((row.get("id")?, row.named("schema_name", "table_name")?))).collect();
    for (part, of) in chunks.all(|row| Some((row.get("id")?, row.get("hypertable_id")?))) {
        shape.put(pieces.get(part), names.get(of));
    }
    for (of, part) in chunks.all(|row| Some((row.get("id")?, row.get("compressed_chunk_id")?))) {
        shape.put(pieces.get(part), pieces.get(of));
    }
    shape.aggregates = aggregates.all(|row| row.named("user_view_schema", "user_view_name")).collect();
    shape
}

impl Shape {
    fn put(&mut self, part: Option<&TableName>, of: Option<&TableName>) {
        if let (Some(part), Some(of)) = (part, of) {
            self.parts.insert((part.clone(), of.clone()));
        }
    }
}

/// One of its tables, value by value.
#[derive(Default)]
struct Rows {
    columns: HashMap<String, usize>,
    rows: Vec<Vec<Option<String>>>,
}

impl Rows {
    fn of(own: &Own) -> Rows {
        let columns = own.columns.trim_start_matches('(').trim_end_matches(')').split(", ");
        let columns = columns.enumerate().map(|(at, column)| (column.to_owned(), at)).collect();
        let rows = copied::lines(&own.rows).map(|line| copied::values(line).map(copied::meaning).collect()).collect();
        Rows { columns, rows }
    }

    fn all<'r, T>(&'r self, of: impl Fn(Row<'r>) -> Option<T>) -> impl Iterator<Item = T> {
        self.rows.iter().filter_map(move |values| of(Row { columns: &self.columns, values }))
    }
}

#[derive(Clone, Copy)]
struct Row<'r> {
    columns: &'r HashMap<String, usize>,
    values: &'r [Option<String>],
}

impl<'r> Row<'r> {
    fn get(self, column: &str) -> Option<&'r str> {
        self.values.get(*self.columns.get(column)?)?.as_deref()
    }

    fn named(self, schema: &str, name: &str) -> Option<TableName> {
        Some(TableName { schema: self.get(schema)?.to_owned(), name: self.get(name)?.to_owned() })
    }
}

impl Acting<'_> {
    pub(super) fn has_timescale(&self) -> bool {
        self.ground.database.extensions.contains_key(NAME)
    }

    /// All definitions, what will come is noted, and TimescaleDB's own rows. Nothing of it is anybody's yet.
    pub(super) fn lay_ground(&self, made: &str) -> Result<(), TableFault> {
        let Some(version) = self.ground.database.extensions.get(NAME) else { return self.define_all(made, &[]) };
        let home = self.ground.database.schema_of(NAME);
        let there = self.make_home(made, home)?;
        let settings = self.ground.settings.clone().with_dbname(made);
        let open = || -> Result<Connection, RestoreFault> {
            let mut connection = Connection::connect(&settings)?;
            connection.lift_limits()?;
            Ok(connection)
        };
        restoring::make_extension(&mut open()?, made, version, home)?;
        let (held, ended) = restoring::during(&open, home, self.is_rehearsal, || self.define_all(made, &there));
        let ended = ended.map_err(|why| format!("TimescaleDB's restoring mode was not ended: {}", why.message));
        let held = match (held, ended) {
            (held, Ok(())) => held?,
            (Ok(_), Err(why)) => return Err(TableFault::new(why, "")),
            (Err(fault), Err(why)) => return Err(TableFault { message: format!("{fault}; {why}"), ..fault }),
        };
        pending::note_jobs(&mut self.there(made)?, &held)
    }

    /// `there`: lines of what is there already.
    fn define_all(&self, made: &str, there: &[i64]) -> Result<(), TableFault> {
        self.before_rows(made, there)?;
        let mut session = self.there(made)?;
        pending::note_all(&mut session, &self.items, &self.order, &self.source.of_extensions(&self.items), &self.begun)?;
        self.fill_catalog(made)?;
        self.source.sequences().into_iter().try_for_each(|sql| self.run(&mut session, sql))
    }

    /// The extension needs it before anything else is there. With its owner, as the dump has it.
    fn make_home(&self, made: &str, home: &str) -> Result<Vec<i64>, TableFault> {
        let lines = self.items.iter().filter(|item| item.kind == "SCHEMA" && item.name == home && home != USUAL_SCHEMA);
        let lines: Vec<i64> = lines.map(|item| item.id).collect();
        if !lines.is_empty() {
            self.define(made, Some(&lines))?;
        }
        Ok(lines)
    }

    fn fill_catalog(&self, made: &str) -> Result<(), TableFault> {
        let mut session = self.there(made)?;
        let things = pending::things(&mut session, None)?;
        let known: BTreeSet<String> = match self.ground.wanted.no_owner {
            true => session.query(ROLES, &[])?.iter().map(|row| row.text("name").map(str::to_owned)).collect::<Result<_, _>>()?,
            false => BTreeSet::new(),
        };
        self.as_dumped(&mut session)?;
        for own in &self.catalog {
            let thing = things.iter().find(|thing| thing.schema == own.schema && thing.name == own.name);
            let thing = thing.ok_or_else(|| TableFault::new(format!("{}.{} was not made", own.schema, own.name), ""))?;
            let mut rows = self.ground.wanted.roles.rows((&own.schema, &own.name), &own.columns, &own.rows)?;
            if self.ground.wanted.no_owner && is_of_jobs(&own.schema, &own.name) {
                // Their owners stand among rows, where `--no-owner` does not reach: one who is not there would keep all of it back.
                let mine = |role: &str| (!known.contains(role)).then(|| self.ground.settings.user.clone());
                rows = with_owners(&own.columns, &rows, &mine).unwrap_or(rows);
            }
            self.table(&mut session, thing, &own.columns, &mut |take| take(&rows).map(|()| None))?;
        }
        Ok(())
    }

    /// A session in the database that has no name yet.
    pub(super) fn there(&self, made: &str) -> Result<Connection, TableFault> {
        session::open(&self.ground.settings.clone().with_dbname(made))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(name: &str, columns: &str, rows: &str) -> Own {
        Own { schema: "_timescaledb_catalog".into(), name: name.into(), columns: columns.into(), rows: rows.into() }
    }

    #[test]
    fn everything_of_a_hypertable_lies_in_it() {
        let catalog = [
            own(
                "chunk",
                "(id, hypertable_id, schema_name, table_name, compressed_chunk_id, dropped)",
                "\
                1\t1\tinner\t_hyper_1_1\t3\tf\n2\t1\tinner\t_hyper_1_2\t\\N\tf\n3\t2\tinner\tcompressed_3\t\\N\tf\n4\t9\tinner\tof_nobody\t\\N\tf\n\\.\n\n\n",
            ),
            own(
                "hypertable",
                "(id, schema_name, table_name, compressed_hypertable_id)",
                "\
                1\tSea wall\tOdd \\t readings\t2\n2\tinner\t_compressed_2\t\\N\n5\tinner\t_made_5\t\\N\n",
            ),
            own("continuous_agg", "(mat_hypertable_id, raw_hypertable_id, user_view_schema, user_view_name)", "5\t1\tpublic\tdaily\n"),
        ];
        let shape = shape(&catalog);
        let pairs: Vec<(&str, &str)> = shape.parts.iter().map(|(part, of)| (part.name.as_str(), of.name.as_str())).collect();
        assert_eq!(
            pairs,
            [
                ("_compressed_2", "Odd \t readings"),
                ("_hyper_1_1", "Odd \t readings"),
                ("_hyper_1_2", "Odd \t readings"),
                ("_made_5", "Odd \t readings"),
                ("compressed_3", "_compressed_2"),
                ("compressed_3", "_hyper_1_1"),
            ]
        );
        assert_eq!(shape.aggregates.iter().map(ToString::to_string).collect::<Vec<_>>(), ["public.daily"]);
        assert_eq!(super::shape(&[]), Shape::default());
    }
}
