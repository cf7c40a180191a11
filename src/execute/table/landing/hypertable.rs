//! Hypertables of TimescaleDB.

mod care;

use super::about::sql;
use crate::execute::dump::restore::{HeldJob, job_table};
use crate::execute::table::TableFault;
use crate::execute::table::source::TableName;
use crate::policy::sql_name::{literal, quoted};
use crate::postgres::{Connection, Fault, Row};
use crate::timescale;

pub use care::Refresh;
pub(super) use care::{Care, Spans};

/// What makes a plain table the same hypertable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    dimensions: Vec<Dimension>,
    segment_by: Vec<String>,
    order_by: Vec<String>,
    is_compressed: bool,
    /// Jobs of TimescaleDB that look after it.
    jobs: Vec<Job>,
    pub aggregates: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Dimension {
    column: String,
    /// In SQL: an interval or a number; none where it has partitions.
    every: Option<String>,
    partitions: Option<String>,
}

const DIMENSIONS: &str = "\
    select column_name as column, num_partitions::text as partitions, integer_interval::text as number, time_interval::text as time \
    from timescaledb_information.dimensions where hypertable_schema = $1 and hypertable_name = $2 order by dimension_number";

const COMPRESSION: &str = "\
    select attname as name, segmentby_column_index is not null as segments, \
      format('%I%s%s', attname, case when orderby_asc then '' else ' desc' end, case when orderby_nullsfirst then ' nulls first' else ' nulls last' end) as ordered \
    from timescaledb_information.compression_settings where hypertable_schema = $1 and hypertable_name = $2 \
    order by segmentby_column_index, orderby_column_index";

const ENABLED: &str =
    "select compression_enabled as it from timescaledb_information.hypertables where hypertable_schema = $1 and hypertable_name = $2";

/// A job, and what it was told about age: a length of time, or a number where the hypertable is cut by numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Job {
    name: String,
    /// In SQL.
    after: Option<String>,
}

const ABOUT_JOB: &str = "\
    select job_id as id, proc_schema || '.' || proc_name || coalesce(' ' || config::text, '') as does \
    from timescaledb_information.jobs where job_id = $1::int";

/// Of the table itself: the view looks at how jobs went as well, and that a private server does not have.
fn jobs(connection: &mut Connection, table: &TableName) -> Result<Vec<Job>, Fault> {
    let Some(home) = job_table(connection)? else { return Ok(Vec::new()) };
    let sql = format!(
        "select j.proc_name as name, coalesce(j.config -> 'drop_after', j.config -> 'compress_after') #>> '{{}}' as after, \
           jsonb_typeof(coalesce(j.config -> 'drop_after', j.config -> 'compress_after')) = 'number' as counts \
         from {home} j join _timescaledb_catalog.hypertable h on h.id = j.hypertable_id \
         where h.schema_name = $1 and h.table_name = $2 order by 1"
    );
    let job = |row: &Row| {
        let r#type = if row.get("counts") == Some("t") { "bigint" } else { "interval" };
        let after = row.get("after").map(|after| format!("{}::{type}", literal(after)));
        Ok(Job { name: row.text("name")?.to_owned(), after })
    };
    connection.query(&sql, &[&table.schema, &table.name])?.iter().map(job).collect()
}

const AGGREGATES: &str = "\
    select format('%I.%I', view_schema, view_name) as name from timescaledb_information.continuous_aggregates \
    where hypertable_schema = $1 and hypertable_name = $2 order by 1";

fn named(connection: &mut Connection, sql: &str, table: &TableName) -> Result<Vec<String>, Fault> {
    connection.query(sql, &[&table.schema, &table.name])?.iter().map(|row| row.text("name").map(str::to_owned)).collect()
}

impl Shape {
    pub(super) fn read(connection: &mut Connection, table: &TableName) -> Result<Shape, Fault> {
        let of_table: [&str; 2] = [&table.schema, &table.name];
        let dimension = |row: &Row| {
            let number = row.get("number").map(|number| format!("{}::bigint", literal(number)));
            let time = row.get("time").map(|time| format!("{}::interval", literal(time)));
            Ok(Dimension {
                column: row.text("column")?.to_owned(),
                every: number.or(time),
                partitions: row.get("partitions").map(str::to_owned),
            })
        };
        let dimensions = connection.query(DIMENSIONS, &of_table)?.iter().map(dimension).collect::<Result<_, Fault>>()?;
        let is_compressed = connection.query(ENABLED, &of_table)?.one()?.flag("it")?;
        let (mut segment_by, mut order_by) = (Vec::new(), Vec::new());
        if is_compressed {
            for row in &connection.query(COMPRESSION, &of_table)? {
                if row.flag("segments")? {
                    segment_by.push(quoted(row.text("name")?))
                } else {
                    order_by.push(row.text("ordered")?.to_owned())
                }
            }
        }
        let jobs = jobs(connection, table)?;
        let aggregates = named(connection, AGGREGATES, table)?;
        Ok(Shape { dimensions, segment_by, order_by, is_compressed, jobs, aggregates })
    }

    /// While it is empty.
    pub(super) fn make(&self, connection: &mut Connection, table: &TableName) -> Result<(), TableFault> {
        let home = home(connection)?;
        for (number, dimension) in self.dimensions.iter().enumerate() {
            let (function, defaults) =
                if number == 0 { ("create_hypertable", ", create_default_indexes => false") } else { ("add_dimension", "") };
            let by = match (&dimension.every, &dimension.partitions) {
                (Some(every), _) => format!("chunk_time_interval => {every}"),
                (None, Some(partitions)) => format!("number_partitions => {}", literal(partitions)),
                (None, None) => return Err(TableFault::new(format!("the dimension `{}` has no width", dimension.column), "")),
            };
            let (relation, column) = (literal(&sql(table)), literal(&dimension.column));
            connection.run(&format!("select {home}.{function}({relation}::regclass, {column}::name, {by}{defaults})"))?;
        }
        Ok(())
    }

    /// So that somebody can compress it again; nothing does by itself.
    pub(super) fn set_compression(&self, connection: &mut Connection, table: &TableName) -> Result<(), Fault> {
        if !self.is_compressed {
            return Ok(());
        }
        let mut all = vec!["timescaledb.compress".to_owned()];
        for (name, columns) in [("timescaledb.compress_segmentby", &self.segment_by), ("timescaledb.compress_orderby", &self.order_by)] {
            if !columns.is_empty() {
                all.push(format!("{name} = {}", literal(&columns.join(", "))));
            }
        }
        connection.run(&format!("alter table {} set ({})", sql(table), all.join(", "))).map(drop)
    }

    /// What it had around it, and how a job is made again: none is by itself, for one may drop what has just come back. Those that can be made are
    /// not among it where somebody wants them.
    pub(super) fn left_out(&self, becomes: &TableName, with_policies: bool) -> Vec<String> {
        let each = self.jobs.iter().filter_map(|job| match job.made_for(becomes) {
            Some(_) if with_policies => None,
            Some(call) => Some(format!("TimescaleDB's job `{}`, made again by `select {call}`", job.name)),
            None => Some(format!("TimescaleDB's job `{}`", job.name)),
        });
        each.chain(self.aggregates.iter().map(|view| format!("the continuous aggregate {view}"))).collect()
    }

    /// Its jobs once more, within the transaction that makes the table: none of them runs until somebody says so.
    pub(super) fn make_jobs(&self, connection: &mut Connection, table: &TableName) -> Result<Vec<HeldJob>, TableFault> {
        let home = home(connection)?;
        let mut held = Vec::new();
        for call in self.jobs.iter().filter_map(|job| job.made_for(table)) {
            let made =
                connection.query(&format!("select job_id::text as id from {home}.alter_job({home}.{call}, scheduled => false)"), &[])?;
            let id = made.one()?.text("id")?.to_owned();
            let rows = connection.query(ABOUT_JOB, &[&id])?;
            let row = rows.one()?;
            held.push(HeldJob { id: row.parse("id")?, does: row.text("does")?.to_owned(), home: home.clone() });
        }
        Ok(held)
    }
}

impl Job {
    /// The call that makes it for a table, where there is one.
    fn made_for(&self, table: &TableName) -> Option<String> {
        let (function, word) = match self.name.as_str() {
            "policy_retention" => ("add_retention_policy", "drop_after"),
            "policy_compression" => ("add_compression_policy", "compress_after"),
            _ => return None,
        };
        let after = self.after.as_ref()?;
        Some(format!("{function}({}, {word} => {after})", literal(&sql(table))))
    }
}

/// The schema with TimescaleDB's functions.
fn home(connection: &mut Connection) -> Result<String, Fault> {
    Ok(quoted(&timescale::schema(connection)?))
}
