//! What a server says of a table.

use super::super::source::TableName;
use crate::execute::table::TableFault;
use crate::plan::words::joined;
use crate::policy::sql_name::quoted;
use crate::postgres::{Connection, Fault, Row};

/// A table, as far as its rows can be moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    pub oid: String,
    pub table: TableName,
    pub kind: Kind,
    pub columns: Vec<Column>,
    /// Of its primary key, in the order of its index. None where one of them is computed: it is in no row that is written.
    pub key: Vec<KeyColumn>,
    /// There is a primary key, and it is none to go by.
    pub key_is_computed: bool,
    /// A part of a partitioned table.
    pub is_partition: bool,
    /// Tables that inherit from it, without being its partitions.
    pub heirs: Vec<String>,
    pub row_security: bool,
    /// What the planner takes for the number of its rows.
    pub rows: u64,
    /// With all that belongs to it.
    pub bytes: u64,
    /// Of these bytes, without its indexes.
    pub table_bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Plain,
    Partitioned,
    Hypertable,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    /// As `numeric(10,2)`.
    pub r#type: String,
    pub is_generated: bool,
    /// Its binary form means the same on every server of one version.
    pub has_binary: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyColumn {
    pub name: String,
    /// The operator that says whether two are the same: `operator(pg_catalog.=)`.
    pub equals: String,
}

/// `schema.table` as SQL reads it back.
pub fn sql(table: &TableName) -> String {
    format!("{}.{}", quoted(&table.schema), quoted(&table.name))
}

const ABOUT: &str = "\
    select c.oid::text as oid, c.relkind::text as kind, c.relispartition as part, c.relrowsecurity as secured, \
      (select coalesce(sum(greatest(m.reltuples, 0)), 0)::bigint from pg_class m where m.oid = c.oid or m.oid in (select relid from pg_partition_tree(c.oid))) as rows, \
      (select coalesce(sum(pg_total_relation_size(m.oid)), 0)::bigint from pg_class m where m.oid = c.oid or m.oid in (select relid from pg_partition_tree(c.oid))) as bytes, \
      (select coalesce(sum(pg_table_size(m.oid)), 0)::bigint from pg_class m where m.oid = c.oid or m.oid in (select relid from pg_partition_tree(c.oid))) as table_bytes \
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relname = $2";

const COLUMNS: &str = "\
    select a.attname as name, format_type(a.atttypid, a.atttypmod) as type, a.attgenerated <> '' as generated, \
      t.oid < 10000 and t.typname !~ '^_?reg' and t.typsend <> 0 and t.typreceive <> 0 and t.typtype <> 'p' as binary \
    from pg_attribute a join pg_type t on t.oid = a.atttypid \
    where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped order by a.attnum";

const KEY: &str = "\
    select a.attname as name, format('operator(%I.%s)', n.nspname, o.oprname) as equals, a.attgenerated <> '' as generated \
    from pg_index i join pg_class ic on ic.oid = i.indexrelid join pg_am am on am.oid = ic.relam \
    cross join lateral unnest(i.indkey::int2[], i.indclass::oid[]) with ordinality as k(att, class, at) \
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.att \
    join pg_opclass c on c.oid = k.class \
    join pg_amop ao on ao.amopfamily = c.opcfamily and ao.amopstrategy = 3 and ao.amoplefttype = c.opcintype and ao.amoprighttype = c.opcintype \
    join pg_operator o on o.oid = ao.amopopr join pg_namespace n on n.oid = o.oprnamespace \
    where i.indrelid = $1::oid and i.indisprimary and i.indisvalid and am.amname = 'btree' and k.at <= i.indnkeyatts order by k.at";

const HEIRS: &str = "\
    select format('%I.%I', n.nspname, c.relname) as name from pg_inherits h join pg_class c on c.oid = h.inhrelid \
    join pg_namespace n on n.oid = c.relnamespace where h.inhparent = $1::oid and not c.relispartition order by 1";

/// Column by column, where no primary key says it.
const EQUALS: &str = "\
    with recursive base(oid) as (select a.atttypid from pg_attribute a where a.attrelid = $1::oid and a.attname = $2 \
        union all select t.typbasetype from pg_type t join base b on b.oid = t.oid where t.typtype = 'd') \
    select format('operator(%I.=)', coalesce((select n.nspname from pg_operator o join pg_namespace n on n.oid = o.oprnamespace \
        join base b on b.oid = o.oprleft and b.oid = o.oprright where o.oprname = '=' limit 1), 'pg_catalog')) as equals";

fn names(connection: &mut Connection, query: &str, oid: &str) -> Result<Vec<String>, Fault> {
    connection.query(query, &[oid])?.iter().map(|row| row.text("name").map(str::to_owned)).collect()
}

impl About {
    /// None where there is no such table.
    pub(super) fn read(connection: &mut Connection, table: &TableName) -> Result<Option<About>, TableFault> {
        let rows = connection.query(ABOUT, &[&table.schema, &table.name])?;
        let Some(row) = rows.iter().next() else { return Ok(None) };
        let oid = row.text("oid")?.to_owned();
        let kind = match row.text("kind")? {
            "r" if is_hypertable(connection, table)? => Kind::Hypertable,
            "r" => Kind::Plain,
            "p" => Kind::Partitioned,
            other => {
                let what = match other {
                    "v" => "a view",
                    "m" => "a materialized view",
                    "f" => "a foreign table",
                    "S" => "a sequence",
                    "i" | "I" => "an index",
                    _ => "no table",
                };
                let message = format!("{} is {what}", sql(table));
                return Err(TableFault::new(message, "Name a table that has rows of its own."));
            }
        };
        let (key, key_is_computed) = key(connection, &oid)?;
        let heirs = if kind == Kind::Plain { names(connection, HEIRS, &oid)? } else { Vec::new() };
        let mut about = About {
            table: table.clone(),
            kind,
            columns: columns(connection, &oid)?,
            key,
            key_is_computed,
            is_partition: row.flag("part")?,
            heirs,
            row_security: row.flag("secured")?,
            rows: row.parse("rows")?,
            bytes: row.parse("bytes")?,
            table_bytes: row.parse("table_bytes")?,
            oid,
        };
        if kind == Kind::Hypertable {
            about.measure_chunks(connection)?;
        }
        Ok(Some(about))
    }

    fn measure_chunks(&mut self, connection: &mut Connection) -> Result<(), Fault> {
        const CHUNKS: &str = "select coalesce(sum(greatest(m.reltuples, 0)), 0)::bigint as rows, \
            coalesce(sum(pg_total_relation_size(m.oid)), 0)::bigint as bytes, coalesce(sum(pg_table_size(m.oid)), 0)::bigint as table_bytes \
            from pg_inherits h join pg_class m on m.oid = h.inhrelid where h.inhparent = $1::oid";
        let rows = connection.query(CHUNKS, &[&self.oid])?;
        let row = rows.one()?;
        (self.rows, self.bytes, self.table_bytes) = (row.parse("rows")?, row.parse("bytes")?, row.parse("table_bytes")?);
        Ok(())
    }

    pub fn name(&self) -> String {
        sql(&self.table)
    }

    /// Rows that whoever selects from it would see, and that do not come with it.
    pub(super) fn heirs_apart(&self) -> Vec<String> {
        if self.heirs.is_empty() {
            return Vec::new();
        }
        let its =
            if self.heirs.len() == 1 { "which inherits from it, and has its own" } else { "which inherit from it, and have their own" };
        vec![format!("the rows of {}, {its}", joined(&self.heirs))]
    }

    /// What rows have only the number of, and what does not come with them.
    pub(super) fn large_objects(&self) -> Option<String> {
        let is_one = |column: &&Column| column.r#type == "oid" || column.r#type == "lo" || column.r#type.ends_with(".lo");
        let columns: Vec<String> = self.columns.iter().filter(is_one).map(|column| quoted(&column.name)).collect();
        (!columns.is_empty()).then(|| {
            let (what, its) = if columns.len() == 1 { ("the column", "its") } else { ("the columns", "their") };
            format!(
                "of large objects only the numbers come back: should {what} {} of {} have them, {its} contents do not",
                joined(&columns),
                self.name()
            )
        })
    }

    /// As it is read: the rows of tables that only inherit from it are not its own.
    pub(super) fn from(&self) -> String {
        if self.heirs.is_empty() { self.name() } else { format!("only {}", self.name()) }
    }

    /// All that can be written.
    pub(super) fn stored(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| !column.is_generated)
    }

    pub(super) fn stored_list(&self) -> String {
        joined_columns(self.stored().map(|column| quoted(&column.name)))
    }

    /// The key by which rows of two states are the same row: the primary one, or the columns that somebody named.
    pub(super) fn key_of(&self, connection: &mut Connection, named: &[String]) -> Result<Vec<KeyColumn>, TableFault> {
        if named.is_empty() {
            return Ok(self.key.clone());
        }
        let mut key = Vec::new();
        for name in named {
            if !self.stored().any(|column| column.name == *name) {
                let message = format!("{} has no column {} that could be a key", self.name(), quoted(name));
                return Err(TableFault::new(message, "`--key` names columns, separated by commas."));
            }
            let equals = connection.query(EQUALS, &[&self.oid, name])?.one()?.text("equals")?.to_owned();
            key.push(KeyColumn { name: name.clone(), equals });
        }
        Ok(key)
    }

    /// The same columns, of the same types? Their order is nobody's concern.
    pub(super) fn must_fit(&self, restored: &About) -> Result<(), TableFault> {
        let of = |about: &About| {
            let mut all: Vec<(String, String, bool)> =
                about.columns.iter().map(|column| (column.name.clone(), column.r#type.clone(), column.is_generated)).collect();
            all.sort();
            all
        };
        let (now, then) = (of(self), of(restored));
        if now == then {
            return Ok(());
        }
        let only = |these: &[(String, String, bool)], those: &[(String, String, bool)]| {
            let differing = these.iter().filter(|one| !those.contains(one));
            let shown: Vec<String> = differing
                .map(|(name, r#type, generated)| format!("{} {}{}", quoted(name), r#type, if *generated { " (generated)" } else { "" }))
                .collect();
            if shown.is_empty() { "nothing that is not in the other".to_owned() } else { joined(shown) }
        };
        let message = format!(
            "the columns of {} have changed since: now it has {}; in the backup it has {}",
            self.name(),
            only(&now, &then),
            only(&then, &now)
        );
        Err(TableFault::new(message, "Restore it into a schema beside it (`--into-schema NAME`), and take over from there what fits."))
    }
}

/// A table with columns of it, as `copy` and `insert` take them: of a table without columns there are rows all the same, and no list.
pub(super) fn into_columns(table: &str, columns: &str) -> String {
    if columns.is_empty() { table.to_owned() } else { format!("{table} ({columns})") }
}

pub(super) fn joined_columns(columns: impl IntoIterator<Item = String>) -> String {
    columns.into_iter().collect::<Vec<_>>().join(", ")
}

/// `a.k1 = b.k1 and …`, by the key's own operators.
pub(super) fn same_key(key: &[KeyColumn], one: &str, other: &str) -> String {
    let each = key.iter().map(|column| {
        let name = quoted(&column.name);
        format!("{one}.{name} {} {other}.{name}", column.equals)
    });
    each.collect::<Vec<_>>().join(" and ")
}

/// Byte for byte the same values: for any type, also those that know no equality. Two forms of one number are two values.
pub(super) fn same_row(columns: &[&Column], one: &str, other: &str) -> String {
    let row = |of: &str| joined_columns(columns.iter().map(|column| format!("{of}.{}", quoted(&column.name))));
    // As records: two rows in parentheses would be compared column by column, by operators that not every type has.
    format!("row({})::record operator(pg_catalog.*=) row({})::record", row(one), row(other))
}

fn columns(connection: &mut Connection, oid: &str) -> Result<Vec<Column>, Fault> {
    let column = |row: &Row| {
        Ok(Column {
            name: row.text("name")?.to_owned(),
            r#type: row.text("type")?.to_owned(),
            is_generated: row.flag("generated")?,
            has_binary: row.flag("binary")?,
        })
    };
    connection.query(COLUMNS, &[oid])?.iter().map(column).collect()
}

/// And whether one of its columns is computed, and it is none therefore.
fn key(connection: &mut Connection, oid: &str) -> Result<(Vec<KeyColumn>, bool), Fault> {
    let mut key = Vec::new();
    for row in &connection.query(KEY, &[oid])? {
        if row.flag("generated")? {
            return Ok((Vec::new(), true));
        }
        key.push(KeyColumn { name: row.text("name")?.to_owned(), equals: row.text("equals")?.to_owned() });
    }
    Ok((key, false))
}

/// As `2.17.2`, where the database has it.
pub(super) fn timescale(connection: &mut Connection) -> Result<Option<String>, Fault> {
    let rows = connection.query("select extversion as version from pg_extension where extname = 'timescaledb'", &[])?;
    rows.iter().next().map(|row| row.text("version").map(str::to_owned)).transpose()
}

/// Those that people made, as an array of numbers.
pub(super) fn hypertables(connection: &mut Connection) -> Result<String, Fault> {
    const ALL: &str = "select coalesce(array_agg(format('%I.%I', schema_name, table_name)::regclass::oid), '{}')::text as oids \
        from _timescaledb_catalog.hypertable where compression_state <> 2";
    if timescale(connection)?.is_none() {
        return Ok("{}".to_owned());
    }
    Ok(connection.query(ALL, &[])?.one()?.text("oids")?.to_owned())
}

/// What TimescaleDB takes a table for.
const PLACE: &str = "\
    select case when a.mat_hypertable_id is not null then 'aggregate' when h.compression_state = 2 then 'compressed' else 'hypertable' end as what, \
      case when a.mat_hypertable_id is not null then format('%I.%I', a.user_view_schema, a.user_view_name) end as of \
    from _timescaledb_catalog.hypertable h left join _timescaledb_catalog.continuous_agg a on a.mat_hypertable_id = h.id \
    where h.schema_name = $1 and h.table_name = $2 \
    union all select 'chunk', format('%I.%I', h.schema_name, h.table_name) \
    from _timescaledb_catalog.chunk k join _timescaledb_catalog.hypertable h on h.id = k.hypertable_id \
    where k.schema_name = $1 and k.table_name = $2 limit 1";

/// Of the tables that TimescaleDB made for itself none is read or changed alone: rows of it may lie elsewhere, compressed.
fn is_hypertable(connection: &mut Connection, table: &TableName) -> Result<bool, TableFault> {
    if timescale(connection)?.is_none() {
        return Ok(false);
    }
    let rows = connection.query(PLACE, &[&table.schema, &table.name])?;
    let Some(row) = rows.iter().next() else { return Ok(false) };
    let of = row.get("of").unwrap_or_default();
    let (what, hint) = match row.text("what")? {
        "hypertable" => return Ok(true),
        "chunk" => (format!("a chunk of {of}"), format!("Name the hypertable itself (`--table '{of}'`), with `--where` and its time.")),
        "aggregate" => (
            format!("where the continuous aggregate {of} keeps its rows"),
            "Bring back the hypertable that it is made of, and refresh it.".to_owned(),
        ),
        _ => ("where TimescaleDB keeps compressed rows".to_owned(), "Name the hypertable whose rows they are.".to_owned()),
    };
    Err(TableFault::new(format!("{} is {what}", sql(table)), hint))
}
