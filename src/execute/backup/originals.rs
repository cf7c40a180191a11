//! What the original looks like when a backup ends: what a drill, which has no way to it, holds the copy against. It is looked at cheaply,
//! from what PostgreSQL has counted anyway, but for the queries that the policy itself asks (`like_source`). What cannot be looked at is a
//! remark and keeps no backup from being one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant as Stopwatch};

use crate::execute::expect;
use crate::format::recorded::{
    Answer, Gave, Made, MadeIndex, Recorded, RecordedHypertable, RecordedJob, RecordedTimescale, RecordedVersions, TableRows,
};
use crate::inventory::{Aggregate, DimensionKind, Hypertable, TableName, Timescale, TimescaleJob, TimescaleState};
use crate::plan::words::{joined, quoted};
use crate::policy::model::{Comparison, Expecting, Policy};
use crate::policy::sql_name::literal;
use crate::postgres::{Connection, Fault, Server, Settings};
use crate::timescale;
use crate::units::Instant;

/// The largest tables of a database, and of a cluster. A descriptor is fetched whole by everybody who looks at a store.
const TABLES: usize = 500;
const TABLES_IN_ALL: usize = 2_000;
/// Bytes of all definitions of a database.
const DEFINITIONS: usize = 1 << 20;
/// Looking at a catalog takes no longer, or is left.
const PATIENCE: &str = "set statement_timeout = '60s'; set lock_timeout = '5s'; set search_path = pg_catalog, pg_temp";
/// So long one query of the policy may take, and all of them together: a backup waits for them.
const FOR_ONE: Duration = Duration::from_secs(300);
const FOR_ALL: Duration = Duration::from_secs(600);

/// About how many rows each table has, its parts counted with it: as the statistics have it, or, where those were lost or are another
/// server's, as the last `ANALYZE` left it. What is not logged is empty after a recovery.
const ROWS: &str = "\
    tree as ( \
        select c.oid, c.oid as root from pg_catalog.pg_class c where c.relkind in ('r', 'p') \
            and not exists (select from pg_catalog.pg_inherits i where i.inhrelid = c.oid) \
        union all select i.inhrelid, t.root from pg_catalog.pg_inherits i join tree t on i.inhparent = t.oid), \
    leaf as ( \
        select t.root, greatest(coalesce(z.rows, 0), case when s.live > 0 then s.live else greatest(c.reltuples, 0)::bigint end) as rows \
        from tree t join pg_catalog.pg_class c on c.oid = t.oid and c.relkind = 'r' and c.relpersistence = 'p' \
        cross join lateral (select pg_catalog.pg_stat_get_live_tuples(c.oid) as live) s left join compressed z on z.oid = c.oid) \
    select n.nspname as schema, r.relname as name, sum(leaf.rows)::bigint as rows \
    from leaf join pg_catalog.pg_class r on r.oid = leaf.root join pg_catalog.pg_namespace n on n.oid = r.relnamespace \
    where n.nspname !~ '^(pg_|_timescaledb_)' and n.nspname <> 'information_schema' \
    group by 1, 2 having sum(leaf.rows) > 0 order by 3 desc, 1, 2 limit ";
const NOT_COMPRESSED: &str = "with recursive compressed as (select null::oid as oid, null::bigint as rows where false), ";
/// A compressed chunk is empty itself. Its rows were counted when it was compressed; what is left of the batches they are in says how many
/// of them are left.
const COMPRESSED: &str = "\
    with recursive compressed as ( \
        select u.oid, (z.numrows_pre_compression * least(1, s.live / nullif(z.numrows_post_compression, 0)::float8))::bigint as rows \
        from _timescaledb_catalog.compression_chunk_size z join _timescaledb_catalog.chunk k on k.id = z.chunk_id \
        join _timescaledb_catalog.chunk p on p.id = z.compressed_chunk_id \
        join pg_catalog.pg_namespace kn on kn.nspname = k.schema_name \
        join pg_catalog.pg_class u on u.relname = k.table_name and u.relnamespace = kn.oid \
        join pg_catalog.pg_namespace pn on pn.nspname = p.schema_name \
        join pg_catalog.pg_class c on c.relname = p.table_name and c.relnamespace = pn.oid \
        cross join lateral (select coalesce(nullif(pg_catalog.pg_stat_get_live_tuples(c.oid), 0), greatest(c.reltuples, 0)::bigint) as live) s), ";
/// Whether each continuous aggregate shows what is newer, and the indexes on it.
const WAYS: &str = "\
    select a.view_schema as schema, a.view_name as name, a.materialized_only as only, x.relname as index, \
        pg_catalog.substring(pg_catalog.pg_get_indexdef(x.oid), ' USING (.*)$') as by \
    from timescaledb_information.continuous_aggregates a \
    join pg_catalog.pg_namespace n on n.nspname = a.materialization_hypertable_schema \
    join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = a.materialization_hypertable_name \
    left join pg_catalog.pg_index i on i.indrelid = c.oid left join pg_catalog.pg_class x on x.oid = i.indexrelid order by 1, 2, 4";
const NOW: &str = "select (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint as micros";

/// Every database that can be entered, by name.
pub(super) fn look(server: &Server, settings: &Settings, remarks: &mut Vec<String>) -> BTreeMap<String, Recorded> {
    let mut all = BTreeMap::new();
    let mut room = TABLES_IN_ALL;
    for database in server.databases.iter().filter(|database| database.allows_connections) {
        match database_of(&settings.clone().with_dbname(&database.name), None, room.min(TABLES)) {
            Ok(recorded) => {
                room -= recorded.tables.len();
                remarks.extend(too_long(&database.name, &recorded));
                all.insert(database.name.clone(), recorded);
            }
            Err(fault) => remarks.push(format!("what drills compare {} with is not recorded: {fault}", quoted(&database.name))),
        }
    }
    all
}

/// A database that is dumped, as of the dump's own snapshot. How many rows its tables have is counted by the dump itself.
pub(in crate::execute) fn of_dump(
    policy: &Policy,
    settings: &Settings,
    (database, snapshot): (&str, &str),
    remarks: &mut Vec<String>,
) -> (Option<Recorded>, Vec<Answer>) {
    let recorded = match database_of(&settings.clone().with_dbname(database), Some(snapshot), 0) {
        Ok(recorded) => {
            remarks.extend(too_long(database, &recorded));
            Some(recorded)
        }
        Err(fault) => {
            remarks.push(format!("what drills compare {} with is not recorded: {fault}", quoted(database)));
            None
        }
    };
    let mut asked = questions(policy);
    asked.retain(|(of, ..)| *of == database);
    (recorded, ask(asked, settings, Some(snapshot), remarks))
}

/// Aggregates of which the descriptor does not have how they are made.
fn too_long(database: &str, recorded: &Recorded) -> Option<String> {
    let all = recorded.timescale.iter().flat_map(|timescale| &timescale.hypertables);
    let left: Vec<String> =
        all.filter(|one| one.lacks_definition()).map(|one| quoted(format!("{}.{}", one.table.schema, one.table.name))).collect();
    (!left.is_empty())
        .then(|| format!("the definitions of {} in {} are too long to be written down beside the backup", joined(left), quoted(database)))
}

fn database_of(settings: &Settings, snapshot: Option<&str>, most: usize) -> Result<Recorded, Fault> {
    let mut connection = Connection::connect(settings)?;
    connection.run(PATIENCE)?;
    connection.run("begin isolation level repeatable read read only")?;
    see_as_of(snapshot, &mut connection)?;
    let micros = connection.query(NOW, &[])?.one()?.parse("micros")?;
    let at = Instant::from_microsecond(micros).map_err(|error| Fault::unexpected(format!("the server's time: {error}"), ""))?;
    let timescale = match timescale::look(&mut connection)? {
        Timescale::Absent => None,
        Timescale::Installed(state) => Some(timescale_of(&state, connection.version(), ways(&mut connection)?)),
    };
    let compressed = if timescale.is_some() { COMPRESSED } else { NOT_COMPRESSED };
    let rows = connection.query(&format!("{compressed}{ROWS}{}", most + 1), &[])?;
    let mut tables = Vec::with_capacity(rows.len());
    for row in &rows {
        let table = TableName { schema: row.text("schema")?.to_owned(), name: row.text("name")?.to_owned() };
        tables.push(TableRows { table, rows: row.parse("rows")? });
    }
    let has_more = tables.len() > most;
    tables.truncate(most);
    // The transaction ends with its session.
    Ok(Recorded { at, tables, has_more, timescale })
}

/// How a continuous aggregate is kept, besides what it selects.
#[derive(Default)]
struct Ways {
    materialized_only: Option<bool>,
    indexes: Vec<MadeIndex>,
}

fn ways(connection: &mut Connection) -> Result<BTreeMap<TableName, Ways>, Fault> {
    let mut all: BTreeMap<TableName, Ways> = BTreeMap::new();
    for row in &connection.query(WAYS, &[])? {
        let view = TableName { schema: row.text("schema")?.to_owned(), name: row.text("name")?.to_owned() };
        let ways = all.entry(view).or_default();
        ways.materialized_only = Some(row.flag("only")?);
        if let (Some(name), Some(by)) = (row.get("index"), row.get("by")) {
            ways.indexes.push(MadeIndex { name: name.to_owned(), by: by.to_owned() });
        }
    }
    Ok(all)
}

fn timescale_of(state: &TimescaleState, server: u32, mut ways: BTreeMap<TableName, Ways>) -> RecordedTimescale {
    let mut room = DEFINITIONS;
    // In the order in which they can be made: what is made of another one comes after it.
    let mut ordered: Vec<&Aggregate> = state.continuous_aggregates.iter().collect();
    ordered.sort_by_key(|one| state.height(one));
    let aggregates = ordered.into_iter().map(|one| aggregate(one, ways.remove(&one.view).unwrap_or_default(), &mut room));
    RecordedTimescale {
        versions: Some(RecordedVersions { extension: state.version.clone(), server }),
        hypertables: state.hypertables.iter().map(hypertable).chain(aggregates).collect(),
        jobs: state.jobs.iter().map(job).collect(),
    }
}

fn hypertable(one: &Hypertable) -> RecordedHypertable {
    let every = one.dimensions.iter().find_map(|dimension| match &dimension.by {
        DimensionKind::Time { every } => every.period().map(|period| period.approximate()),
        _ => None,
    });
    let partitions = one.dimensions.iter().map(|dimension| match dimension.by {
        DimensionKind::Space { partitions } => partitions,
        _ => 1,
    });
    let partitions = partitions.fold(1, u32::saturating_mul);
    RecordedHypertable {
        table: one.table.clone(),
        chunks: one.chunks.len() as u64,
        every,
        partitions,
        dimensions: one.dimensions.clone(),
        compression: one.compression.clone(),
        made: None,
    }
}

/// `room` is what definitions may still take.
fn aggregate(one: &Aggregate, ways: Ways, room: &mut usize) -> RecordedHypertable {
    let size = one.definition.len() + ways.indexes.iter().map(|index| index.name.len() + index.by.len()).sum::<usize>();
    let fits = size <= *room;
    *room -= if fits { size } else { 0 };
    let made = fits.then(|| Made {
        of: one.of.clone(),
        definition: one.definition.clone(),
        materialized_only: ways.materialized_only,
        indexes: ways.indexes,
    });
    RecordedHypertable {
        table: one.view.clone(),
        chunks: one.chunks.len() as u64,
        every: None,
        partitions: 1,
        dimensions: Vec::new(),
        compression: None,
        made,
    }
}

fn job(one: &TimescaleJob) -> RecordedJob {
    RecordedJob {
        id: one.id,
        does: one.does,
        procedure: one.procedure.clone(),
        of: one.of.clone(),
        scheduled: one.scheduled,
        every: Some(one.every.clone()),
        config: if one.procedure.starts_with("_timescaledb_") { one.config.clone() } else { serde_json::Value::Null },
    }
}

/// What the original answers to every query that a drill of the policy compares a copy with.
pub(super) fn answers(policy: &Policy, settings: &Settings, remarks: &mut Vec<String>) -> Vec<Answer> {
    ask(questions(policy), settings, None, remarks)
}

fn ask(questions: BTreeSet<(&str, &str, Duration)>, settings: &Settings, snapshot: Option<&str>, remarks: &mut Vec<String>) -> Vec<Answer> {
    let began = Stopwatch::now();
    let one = |(database, sql, patience): (&str, &str, Duration)| {
        let left = FOR_ALL.saturating_sub(began.elapsed()).min(patience);
        let gave = if left.is_zero() {
            Gave::Nothing("the queries before it had taken all the time there is".to_owned())
        } else {
            answer(&settings.clone().with_dbname(database), snapshot, sql, left).unwrap_or_else(|fault| Gave::Nothing(fault.message))
        };
        if let Gave::Nothing(why) = &gave {
            remarks.push(format!("the original gave no answer that drills could compare with to {}: {why}", quoted(sql)));
        }
        Answer { database: database.to_owned(), sql: sql.to_owned(), gave }
    };
    questions.into_iter().map(one).collect()
}

fn see_as_of(snapshot: Option<&str>, connection: &mut Connection) -> Result<(), Fault> {
    match snapshot {
        Some(snapshot) => connection.run(&format!("set transaction snapshot {}", literal(snapshot))).map(drop),
        None => Ok(()),
    }
}

/// Each of them once.
fn questions(policy: &Policy) -> BTreeSet<(&str, &str, Duration)> {
    let mut all: BTreeMap<(&str, &str), Duration> = BTreeMap::new();
    for expectation in policy.drills.values().flat_map(|drill| drill.expectations.values()) {
        if let Expecting::Query { sql, database, comparison: Comparison::LikeSource(_) } = &expectation.what {
            let patience = FOR_ONE.min(Duration::from_secs(expectation.timeout.as_secs()));
            let known = all.entry((database, sql)).or_insert(patience);
            *known = patience.max(*known);
        }
    }
    all.into_iter().map(|((database, sql), patience)| (database, sql, patience)).collect()
}

fn answer(settings: &Settings, snapshot: Option<&str>, sql: &str, patience: Duration) -> Result<Gave, Fault> {
    const GRACE: Duration = Duration::from_secs(10);
    let mut connection = Connection::connect(settings)?;
    connection.set_silence(patience + GRACE)?;
    connection.query("select set_config('statement_timeout', $1, false)", &[&patience.as_millis().to_string()])?;
    connection.run("set lock_timeout = '5s'")?;
    expect::begin(&mut connection)?;
    see_as_of(snapshot, &mut connection)?;
    Ok(match expect::single(&connection.query(sql, &[])?) {
        Ok(found) => found.value.map_or(Gave::Null, Gave::Value),
        Err(why) => Gave::Nothing(why),
    })
}
