//! What a change of a hypertable's rows has to look after besides the rows: chunks that are compressed, continuous aggregates that must be told,
//! and a job that drops what is old.
//!
//! Two ways of deleting were tried and are not taken. Deleting from a compressed chunk itself by a join finds none of its compressed rows in
//! 2.17. Deleting from the table by a join alone takes apart every compressed chunk there is, for a join says nothing that would leave one out.
//! So rows are deleted from the table, span by span, with the ends of the span in the statement.

use serde::Serialize;

use super::super::about::{About, KeyColumn, same_key, sql};
use super::super::held::{self, Going, Held, Hold};
use super::super::{Landed, Onlooker};
use super::home;
use crate::execute::table::TableFault;
use crate::execute::table::source::TableName;
use crate::plan::words::{counted, joined};
use crate::policy::sql_name::{literal, quoted};
use crate::postgres::{Connection, Fault, Row};

/// The oldest version with which changes of compressed chunks were tried.
const TRIED: (u32, u32) = (2, 17);
/// Of these TimescaleDB leaves chunks out by two constants.
const ORDERED: [&str; 6] = ["timestamp with time zone", "timestamp without time zone", "date", "bigint", "integer", "smallint"];
const BESIDE: &str = "Restore into a schema beside it (`--into-schema NAME`) and insert from there: then it is told, and refreshes.";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Care {
    id: String,
    table: TableName,
    home: String,
    /// The column by which it is cut into chunks, and its type.
    pub(in super::super) time: String,
    pub(in super::super) time_type: String,
    /// Chunks whose rows are all compressed, as SQL reads their names.
    compressed: Vec<String>,
    aggregates: Vec<Aggregate>,
    retention: Option<Retention>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Aggregate {
    /// As SQL reads it.
    view: String,
    width: Option<String>,
    /// The hypertable that has its rows.
    inside: String,
    oid: String,
    /// Its column of time, and the type of that.
    bucket: (String, String),
}

/// What makes rows of an aggregate anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct Refresh {
    /// As SQL.
    pub sql: String,
    of: Aggregate,
    /// Of a row `t` of it: that it may be one of those.
    within: String,
}

/// A job that drops chunks by their age.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Retention {
    job: String,
    after: String,
    next: Option<String>,
    is_on: bool,
}

/// Stretches of time in which rows came, went or changed: text of the column's own type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in super::super) struct Spans(Vec<(String, String)>);

const TABLE: &str = "\
    select h.id::text as id, d.column_name as time, d.column_type::regtype::text as type from _timescaledb_catalog.hypertable h \
    join timescaledb_information.dimensions d on d.hypertable_schema = h.schema_name and d.hypertable_name = h.table_name and d.dimension_number = 1 \
    where h.schema_name = $1 and h.table_name = $2";

/// 1 says that a chunk is compressed, 8 that it has rows that are not.
const COMPRESSED: &str = "\
    select format('%I.%I', schema_name, table_name) as name from _timescaledb_catalog.chunk \
    where hypertable_id = $1::int and status & 9 = 1 and not coalesce((to_jsonb(chunk) ->> 'dropped')::boolean, false) order by id";

/// Those made of it, and those made of these, in the order in which they have to be refreshed.
const AGGREGATES: &str = "\
    with recursive made(id, level) as ( \
      select mat_hypertable_id, 1 from _timescaledb_catalog.continuous_agg where raw_hypertable_id = $1::int \
      union all select a.mat_hypertable_id, m.level + 1 from made m join _timescaledb_catalog.continuous_agg a on a.raw_hypertable_id = m.id) \
    select format('%I.%I', a.user_view_schema, a.user_view_name) as view, format('%I.%I', h.schema_name, h.table_name) as inside, \
      format('%I.%I', h.schema_name, h.table_name)::regclass::oid::text as oid, d.column_name as bucket, d.column_type::regtype::text as type, \
      min(f.bucket_width) as width \
    from made m join _timescaledb_catalog.continuous_agg a on a.mat_hypertable_id = m.id \
    join _timescaledb_catalog.hypertable h on h.id = m.id \
    join timescaledb_information.dimensions d on d.hypertable_schema = h.schema_name and d.hypertable_name = h.table_name and d.dimension_number = 1 \
    left join _timescaledb_catalog.continuous_aggs_bucket_function f on f.mat_hypertable_id = m.id group by 1, 2, 3, 4, 5 order by max(m.level), 1";

const RETENTION: &str = "\
    select job_id::text as job, config ->> 'drop_after' as after, next_start::text as next, scheduled as is_on \
    from timescaledb_information.jobs where hypertable_schema = $1 and hypertable_name = $2 and proc_name = 'policy_retention'";

/// As it is in every version that was tried.
const LOG: &str = "\
    select count(*) = 3 and bool_and(has_table_privilege(attrelid, 'insert')) as it from pg_attribute \
    where attrelid = to_regclass('_timescaledb_catalog.continuous_aggs_hypertable_invalidation_log') and attnum > 0 and not attisdropped \
      and attname in ('hypertable_id', 'lowest_modified_value', 'greatest_modified_value')";

fn names(connection: &mut Connection, query: &str, id: &str) -> Result<Vec<String>, Fault> {
    connection.query(query, &[id])?.iter().map(|row| row.text("name").map(str::to_owned)).collect()
}

impl Care {
    /// Refuses what nobody could look after.
    pub(in super::super) fn read(connection: &mut Connection, about: &About, version: Option<&str>) -> Result<Care, TableFault> {
        let of_table: [&str; 2] = [&about.table.schema, &about.table.name];
        let rows = connection.query(TABLE, &of_table)?;
        let row = rows.one()?;
        let id = row.text("id")?.to_owned();
        let aggregate = |row: &Row| {
            let text = |name: &str| row.text(name).map(str::to_owned);
            let (width, bucket) = (row.get("width").map(str::to_owned), (text("bucket")?, text("type")?));
            Ok(Aggregate { view: text("view")?, width, inside: text("inside")?, oid: text("oid")?, bucket })
        };
        let retention = connection.query(RETENTION, &of_table)?;
        let retention = retention.iter().next().map(|row| {
            let text = |name: &str| row.text(name).map(str::to_owned);
            Ok::<_, Fault>(Retention {
                job: text("job")?,
                after: text("after")?,
                next: row.get("next").map(str::to_owned),
                is_on: row.flag("is_on")?,
            })
        });
        let care = Care {
            table: about.table.clone(),
            home: home(connection)?,
            time: row.text("time")?.to_owned(),
            time_type: row.text("type")?.to_owned(),
            compressed: names(connection, COMPRESSED, &id)?,
            aggregates: connection.query(AGGREGATES, &[&id])?.iter().map(aggregate).collect::<Result<_, Fault>>()?,
            retention: retention.transpose()?,
            id,
        };
        care.must_be_known(version)?;
        care.must_be_told(connection)?;
        Ok(care)
    }

    fn must_be_known(&self, version: Option<&str>) -> Result<(), TableFault> {
        let name = sql(&self.table);
        let version = version.unwrap_or("unknown");
        let mut numbers = version.split('.').map_while(|number| number.parse().ok());
        let is_known = numbers.next().zip(numbers.next()).is_some_and(|numbers| numbers >= TRIED);
        let is_plain = ORDERED.contains(&self.time_type.as_str());
        if (is_known && is_plain) || (self.compressed.is_empty() && self.aggregates.is_empty()) {
            return Ok(());
        }
        let hint = "Restore into a schema beside it (`--into-schema NAME`), and take over the rows by SQL.";
        if !is_plain {
            let message = format!(
                "the hypertable {name} is cut by the column {} of type {}, and has compressed chunks or continuous aggregates",
                quoted(&self.time),
                self.time_type
            );
            return Err(TableFault::new(message, hint));
        }
        let (least, compressed) = (format!("{}.{}", TRIED.0, TRIED.1), counted(self.compressed.len(), "compressed chunk"));
        let message = format!(
            "the hypertable {name} has {compressed} and {}, and TimescaleDB {version} is older than {least}",
            counted(self.aggregates.len(), "continuous aggregate")
        );
        Err(TableFault::new(message, hint))
    }

    /// No trigger runs for rows that come back, and before 2.20 a trigger is what tells an aggregate. So it is written down for them here.
    fn must_be_told(&self, connection: &mut Connection) -> Result<(), TableFault> {
        let Some(first) = self.aggregates.first() else { return Ok(()) };
        if connection.query(LOG, &[])?.one()?.get("it") == Some("t") {
            return Ok(());
        }
        let message = format!(
            "the continuous aggregate {} is made of the hypertable {}, and this role may not tell it which rows come back",
            first.view,
            sql(&self.table)
        );
        Err(TableFault::new(message, format!("Connect as a superuser (`--connection`). {BESIDE}")))
    }

    /// Before anything is done.
    pub(in super::super) fn remarks(&self) -> Vec<String> {
        let name = sql(&self.table);
        let mut all = Vec::new();
        if !self.compressed.is_empty() {
            let chunks = counted(self.compressed.len(), "compressed chunk");
            all.push(format!("{name} has {chunks}: those in which rows change are compressed again behind the change"));
        }
        if !self.aggregates.is_empty() {
            let views = joined(self.aggregates.iter().map(|aggregate| aggregate.view.as_str()));
            all.push(format!(
                "{views} must be refreshed where rows of {name} change; how is said at the end, and `--refresh-aggregates` does it"
            ));
        }
        if let Some(Retention { job, after, next, is_on: true }) = &self.retention {
            let next = next.as_ref().map_or_else(String::new, |next| format!(", next at {next}"));
            all.push(format!(
                "TimescaleDB's job {job} DROPS chunks of {name} that are older than {after}{next}: rows that come back and are older go with \
                 them; `select {}.alter_job({job}, scheduled => false)` stops it",
                self.home
            ));
        }
        all
    }

    /// Of rows that are to come, those that the job would drop again.
    pub(in super::super) fn too_old(&self, connection: &mut Connection, then: &str) -> Result<Option<String>, TableFault> {
        let Some(Retention { job, after, is_on: true, .. }) = &self.retention else { return Ok(None) };
        if !self.time_type.starts_with("timestamp") && self.time_type != "date" {
            return Ok(None);
        }
        let sql = format!("select count(*) as n from {then} where {} < now() - {}::interval", quoted(&self.time), literal(after));
        let count: u64 = connection.query(&sql, &[])?.one()?.parse("n")?;
        let rows = counted(count, "row");
        Ok((count > 0).then(|| {
            format!(
                "{rows} that came {} older than {after}, and the job {job} DROPS chunks that are: `select {}.alter_job({job}, scheduled => false)` stops it",
                if count == 1 { "is" } else { "are" },
                self.home
            )
        }))
    }

    /// For this transaction: as many rows may be taken out of compressed chunks as it needs.
    pub(in super::super) fn allow(&self, connection: &mut Connection) -> Result<(), Fault> {
        if self.compressed.is_empty() {
            return Ok(());
        }
        connection.run("set local timescaledb.max_tuples_decompressed_per_dml_transaction = 0").map(drop)
    }

    /// Where rows lie that are about to go.
    pub(in super::super) fn spans(&self, connection: &mut Connection, from: &str, spans: &mut Spans) -> Result<(), Fault> {
        let time = quoted(&self.time);
        // Asked at once, 2.17 fails at sums over compressed rows by chunk.
        let rows = format!("select t.tableoid as seawall_chunk, t.{time} as seawall_time from {from} offset 0");
        let sql = format!(
            "select min(x.seawall_time)::text as first, max(x.seawall_time)::text as last from ({rows}) x group by x.seawall_chunk order by 1"
        );
        spans.take(&connection.query(&sql, &[])?)
    }

    /// Those rows whose keys are in `gone`, and that lie in these spans. Gives how many they were.
    pub(in super::super) fn delete(
        &self,
        connection: &mut Connection,
        gone: &str,
        key: &[KeyColumn],
        spans: &Spans,
    ) -> Result<u64, TableFault> {
        let (name, same) = (sql(&self.table), same_key(key, "t", "g"));
        let mut all = 0;
        for within in self.within(spans) {
            let sql = format!("delete from {name} t using {gone} g where {same} and {within}");
            all += super::super::change::count(connection, &sql)?;
        }
        Ok(all)
    }

    /// Of a row `t`: that it lies in one of them.
    pub(in super::super) fn within(&self, spans: &Spans) -> Vec<String> {
        let (time, r#type) = (quoted(&self.time), &self.time_type);
        let each =
            spans.0.iter().map(|(first, last)| format!("t.{time} >= {}::{type} and t.{time} <= {}::{type}", literal(first), literal(last)));
        each.collect()
    }

    /// An insert, as far as `returning`. Gives how many rows it was.
    pub(in super::super) fn insert(&self, connection: &mut Connection, insert: &str, spans: &mut Spans) -> Result<u64, TableFault> {
        let time = quoted(&self.time);
        let sql = format!(
            "with seawall_put as ({insert} returning tableoid as seawall_chunk, {time} as seawall_time) \
             select count(*) as n, min(seawall_time)::text as first, max(seawall_time)::text as last from seawall_put group by seawall_chunk"
        );
        let rows = connection.query(&sql, &[])?;
        spans.take(&rows)?;
        rows.iter().map(|row| row.parse::<u64>("n")).sum::<Result<u64, Fault>>().map_err(TableFault::from)
    }

    /// Writes down for the aggregates where rows came, went or changed, and says how they are refreshed.
    /// What takes the change back must write down the same.
    pub(in super::super) fn tell(
        &self,
        connection: &mut Connection,
        spans: &Spans,
        landed: &mut Landed,
    ) -> Result<Option<String>, TableFault> {
        if self.aggregates.is_empty() || spans.0.is_empty() {
            return Ok(None);
        }
        let r#type = &self.time_type;
        let each: Vec<String> = (spans.0.iter())
            .map(|(first, last)| {
                let internal = |at: &str| format!("_timescaledb_functions.time_to_internal({}::{type})", literal(at));
                format!("({}, {}, {})", self.id, internal(first), internal(last))
            })
            .collect();
        let told = format!(
            "insert into _timescaledb_catalog.continuous_aggs_hypertable_invalidation_log \
             (hypertable_id, lowest_modified_value, greatest_modified_value) values {}",
            each.join(", ")
        );
        connection.run(&told)?;
        for aggregate in &self.aggregates {
            landed.refresh.push(self.refresh(connection, aggregate, spans)?);
        }
        Ok(Some(told))
    }

    /// What is made of them is made anew once somebody refreshes it: no row of that is held either.
    pub(in super::super) fn must_stay_as_made(&self, connection: &mut Connection, holds: &[Hold], spans: &Spans) -> Result<(), TableFault> {
        if spans.0.is_empty() {
            return Ok(());
        }
        for aggregate in &self.aggregates {
            let ((column, to), r#type) = (&aggregate.bucket, &self.time_type);
            let made_of = |(first, last): &(String, String), width: &str| {
                let (column, first, last) = (quoted(column), literal(first), literal(last));
                format!("t.{column} > ({first}::{type} - {width})::{to} and t.{column} <= {last}::{type}::{to}")
            };
            let each = self.width(aggregate).map(|width| spans.0.iter().map(|span| made_of(span, &width)).collect::<Vec<_>>().join(" or "));
            let from = aggregate.rows(each.as_deref().unwrap_or("true"));
            held::must_stay(connection, holds, &aggregate.going(&from), held::MADE_ANEW)?;
        }
        Ok(())
    }

    /// That of its buckets, as SQL; None where they are of no one width.
    fn width(&self, aggregate: &Aggregate) -> Option<String> {
        let (width, r#type) = (aggregate.width.as_ref()?, &self.time_type);
        let of_time = r#type.starts_with("timestamp") || r#type == "date";
        Some(format!("{}::{}", literal(width), if of_time { "interval" } else { r#type }))
    }

    /// Only whole buckets are refreshed; of the time in between only what was told of costs anything.
    fn refresh(&self, connection: &mut Connection, aggregate: &Aggregate, spans: &Spans) -> Result<Refresh, Fault> {
        let call = format!("call {}.refresh_continuous_aggregate({}", self.home, literal(&aggregate.view));
        let of = aggregate.clone();
        let Some(width) = self.width(aggregate) else {
            return Ok(Refresh { sql: format!("{call}, null, null)"), of, within: "true".to_owned() });
        };
        let r#type = &self.time_type;
        let each: Vec<String> = spans.0.iter().flat_map(|(first, last)| [literal(first), literal(last)]).collect();
        let sql = format!(
            "select (min(x) - {width})::{type}::text as first, (max(x) + {width})::{type}::text as last from unnest(array[{}]::{type}[]) x",
            each.join(", ")
        );
        let rows = connection.query(&sql, &[])?;
        let row = rows.one()?;
        let (first, last) = (format!("{}::{type}", literal(row.text("first")?)), format!("{}::{type}", literal(row.text("last")?)));
        let (column, to) = (quoted(&aggregate.bucket.0), &aggregate.bucket.1);
        let within = format!("t.{column} >= {first}::{to} and t.{column} + {width} <= {last}");
        Ok(Refresh { sql: format!("{call}, {first}, {last})"), of, within })
    }

    /// Chunks that were compressed, and have rows now that are not.
    pub(in super::super) fn loosened(&self, connection: &mut Connection) -> Result<Vec<String>, Fault> {
        if self.compressed.is_empty() {
            return Ok(Vec::new());
        }
        let still = names(connection, COMPRESSED, &self.id)?;
        Ok(self.compressed.iter().filter(|name| !still.contains(name)).cloned().collect())
    }

    /// As it is under the lock.
    pub(in super::super) fn again(&self, connection: &mut Connection, about: &About, version: Option<&str>) -> Result<Care, TableFault> {
        let now = Care::read(connection, about, version)?;
        if now.id == self.id && now.aggregates == self.aggregates && now.time == self.time {
            return Ok(now);
        }
        let message = format!("the definition of {} has changed meanwhile", about.name());
        Err(TableFault::stale(message, "Nothing was changed. Run it again."))
    }

    /// Behind the change, each for itself: nothing is lost where one fails. Gives what is left to do.
    pub(in super::super) fn compress(&self, connection: &mut Connection, chunks: &[String], onlooker: Onlooker<'_>) -> Vec<String> {
        let mut remarks = Vec::new();
        let mut done = 0;
        for chunk in chunks {
            let sql = format!("select {}.compress_chunk({}::regclass, true)", self.home, literal(chunk));
            let stopped = onlooker.stop.load(std::sync::atomic::Ordering::Relaxed);
            let said =
                if stopped { Some("it was asked to end".to_owned()) } else { connection.run(&sql).err().map(|fault| fault.to_string()) };
            match said {
                None => done += 1,
                Some(why) => {
                    remarks.push(format!("{chunk} is compressed in part only ({why}): `{sql}` mends it, or the compression policy will"))
                }
            }
        }
        if done > 0 {
            let what = if done == 1 { "was" } else { "were" };
            remarks.push(format!("{} of {} {what} compressed again", counted(done, "chunk"), sql(&self.table)));
        }
        remarks
    }
}

impl Aggregate {
    fn rows(&self, within: &str) -> String {
        format!("{} t where {within}", self.inside)
    }

    fn going<'g>(&'g self, from: &'g str) -> Going<'g> {
        Going { oid: &self.oid, name: self.view.clone(), time: Some((&self.bucket.0, &self.bucket.1)), from, apart: false }
    }
}

impl Refresh {
    /// The rows that it would make anew, where some of them are held.
    pub(in super::super) fn held(&self, connection: &mut Connection, holds: &[Hold]) -> Result<Option<Held>, Fault> {
        held::first_held(connection, holds, &self.of.going(&self.of.rows(&self.within)))
    }
}

impl From<Refresh> for String {
    fn from(refresh: Refresh) -> String {
        refresh.sql
    }
}

impl Spans {
    pub(in super::super) fn extend(&mut self, others: &Spans) {
        self.0.extend(others.0.iter().cloned());
    }

    fn take(&mut self, rows: &crate::postgres::Rows) -> Result<(), Fault> {
        for row in rows {
            if let (Some(first), Some(last)) = (row.get("first"), row.get("last")) {
                self.0.push((first.to_owned(), last.to_owned()));
            }
        }
        Ok(())
    }
}
