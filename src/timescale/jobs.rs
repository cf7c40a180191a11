//! What TimescaleDB does in the background, and how that went.

use super::tables::interval;
use super::text;
use crate::inventory::{Age, JobKind, LastJobRun, TableName, TimescaleJob, TimescaleState};
use crate::postgres::{Connection, Fault, Row};
use crate::units::{Instant, Period};

/// Moments as whole microseconds; what is infinite is null.
fn moment(expression: &str, name: &str) -> String {
    format!("case when isfinite({expression}) then (extract(epoch from {expression}) * 1000000)::bigint end as {name}")
}

fn instant(row: &Row, name: &str) -> Result<Option<Instant>, Fault> {
    Ok(row.parse_if::<i64>(name)?.and_then(|micros| Instant::from_microsecond(micros).ok()))
}

/// What one of TimescaleDB's own jobs was told, where that is a length of time; a number is kept as it is. Under the same name somebody else's
/// may be told anything.
fn told(key: &str, prefix: &str) -> String {
    let is_one = format!("j.proc_schema like '\\_timescaledb\\_%' and jsonb_typeof(j.config -> '{key}') = 'string'");
    let text = format!("case when {is_one} then (j.config ->> '{key}')::interval end");
    format!("{}, j.config ->> '{key}' as {prefix}_told", interval(&text, prefix))
}

/// The whole text of somebody's own, whatever language it is in; all of them where several have the name.
const TEXT: &str = "case when j.proc_schema not like '\\_timescaledb\\_%' then ( \
    select pg_catalog.string_agg(pg_catalog.pg_get_functiondef(p.oid), ' ') from pg_catalog.pg_proc p \
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace \
    where n.nspname = j.proc_schema and p.proname = j.proc_name and p.prokind in ('f', 'p')) end";

pub(super) fn jobs(connection: &mut Connection, state: &TimescaleState) -> Result<Vec<TimescaleJob>, Fault> {
    let sql = format!(
        "select j.job_id, j.proc_schema, j.proc_name, j.scheduled, j.config, j.hypertable_schema, j.hypertable_name, {TEXT} as text, \
         {}, {}, {}, {}, {}, \
         {}, {}, {}, s.last_run_status = 'Failed' as failed, s.total_runs, s.total_failures, e.err_message \
         from timescaledb_information.jobs j \
         left join timescaledb_information.job_stats s on s.job_id = j.job_id \
         left join (select distinct on (job_id) job_id, err_message from timescaledb_information.job_errors \
                    order by job_id, start_time desc) e on e.job_id = j.job_id \
         order by j.job_id",
        interval("j.schedule_interval", "every"),
        told("drop_after", "drop"),
        told("compress_after", "compress"),
        told("start_offset", "start"),
        told("end_offset", "end"),
        moment("j.next_start", "next_start"),
        moment("s.last_run_started_at", "started"),
        moment("s.last_successful_finish", "succeeded"),
    );
    let rows = connection.query(&sql, &[])?;
    rows.iter().map(|row| job(row, state)).collect()
}

fn job(row: &Row, state: &TimescaleState) -> Result<TimescaleJob, Fault> {
    let aggregates = &state.continuous_aggregates;
    let procedure = row.text("proc_name")?;
    let of = row.get("hypertable_schema").zip(row.get("hypertable_name"));
    let of = of.map(|(schema, name)| TableName { schema: schema.to_owned(), name: name.to_owned() });
    // Before 2.20 jobs of a continuous aggregate name the table inside of it.
    let of = of.map(|table| aggregates.iter().find(|one| one.materialized == table).map_or(table, |one| one.view.clone()));
    let is_built_in = row.text("proc_schema")?.starts_with("_timescaledb_");
    let does = match procedure {
        "policy_retention" if is_built_in => JobKind::Retention,
        "policy_compression" if is_built_in => JobKind::Compression,
        "policy_refresh_continuous_aggregate" if is_built_in => JobKind::Refresh,
        _ => JobKind::Other,
    };
    let after = match does {
        JobKind::Retention => told_age(row, "drop")?,
        JobKind::Compression => told_age(row, "compress")?,
        JobKind::Refresh | JobKind::Other => None,
    };
    let refreshes = does == JobKind::Refresh;
    let tables = state.hypertables.iter().map(|one| &one.table).chain(aggregates.iter().map(|one| &one.view));
    let own = row.get("text").map(|text| text::read(text, row.get("config").unwrap_or_default(), tables)).unwrap_or_default();
    Ok(TimescaleJob {
        id: row.parse("job_id")?,
        does,
        procedure: format!("{}.{procedure}", row.text("proc_schema")?),
        of,
        every: age(row, "every")?,
        scheduled: row.flag("scheduled")?,
        config: row.get("config").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default(),
        after,
        start_offset: if refreshes { told_age(row, "start")? } else { None },
        end_offset: if refreshes { told_age(row, "end")? } else { None },
        next_start: instant(row, "next_start")?,
        last: last(row)?,
        removes: own.removes,
        names: own.names,
    })
}

fn last(row: &Row) -> Result<Option<LastJobRun>, Fault> {
    let Some(started) = instant(row, "started")? else { return Ok(None) };
    let failed = row.get("failed") == Some("t");
    Ok(Some(LastJobRun {
        started,
        succeeded: instant(row, "succeeded")?,
        failed,
        runs: row.parse_if("total_runs")?.unwrap_or_default(),
        failures: row.parse_if("total_failures")?.unwrap_or_default(),
        error: row.get("err_message").filter(|_| failed).map(str::to_owned),
    }))
}

fn told_age(row: &Row, prefix: &str) -> Result<Option<Age>, Fault> {
    let Some(told) = row.get(&format!("{prefix}_told")) else { return Ok(None) };
    if row.get(&format!("{prefix}_text")).is_some() {
        return age(row, prefix).map(Some);
    }
    Ok(Some(told.parse().map_or_else(|_| Age::Other(told.to_owned()), Age::Number)))
}

/// The columns of [`interval`] as a length of time; what no policy can say is kept as text.
pub(super) fn age(row: &Row, prefix: &str) -> Result<Age, Fault> {
    let other = || row.get(&format!("{prefix}_text")).unwrap_or_default().to_owned();
    let part = |name: &str| row.parse::<f64>(&format!("{prefix}_{name}"));
    let (months, days, seconds) = (part("months")?, part("days")?, part("seconds")?);
    let whole = |value: f64| if value >= 0.0 && value.fract() == 0.0 && value <= f64::from(u32::MAX) { Some(value as u32) } else { None };
    Ok(match (whole(months), whole(days), whole(seconds)) {
        (Some(0), Some(0), Some(0)) => Age::Other(other()),
        (Some(months), Some(days), Some(seconds)) => Age::Period(Period::of(months, days, seconds)),
        _ => Age::Other(other()),
    })
}
