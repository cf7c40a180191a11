//! The heartbeat row: written to the protected cluster, so that a drill can show that what came after the base backup is in what it restored.
//! Nobody waits for it: what locks, lags or is full makes it fail at once, and a failure is told and stops nothing.

use std::time::Duration;

use crate::alert::CanaryFacts;
use crate::inventory::Observed;
use crate::policy::file::Canary;
use crate::postgres::{Connection, Fault};
use crate::site::{Site, SiteFault};
use crate::units::Instant;

/// As many rows are kept of each policy.
const KEPT: &str = "1000";
const SILENCE: Duration = Duration::from_secs(10);
/// A standby that confirms nothing holds up nobody here.
const PATIENCE: &str =
    "set statement_timeout = '5s'; set lock_timeout = '1s'; set synchronous_commit = local; set search_path = pg_catalog, pg_temp";
/// All by the server's clock: hosts have their own. Two that write at once write twice, which does no harm.
const WRITE: &str = "insert into seawall.canary (policy, host, written, lsn) \
    select $1, $2, clock_timestamp(), pg_current_wal_insert_lsn() \
    where not exists (select from seawall.canary where policy = $1 \
        and written > clock_timestamp() - make_interval(secs => $3::float8) and written <= clock_timestamp())";
const PRUNE: &str = "delete from seawall.canary where policy = $1 and id <= \
    (select id from seawall.canary where policy = $1 order by id desc offset $2::int limit 1)";
const NEWEST: &str =
    "select (date_part('epoch', written) * 1000000)::bigint as micros from seawall.canary where policy = $1 order by id desc limit 1";
/// A trigger of somebody else's would run with our rights.
const OURS: &str = "select c.relkind = 'r' and c.relowner = (select oid from pg_roles where rolname = current_user) and not c.relhasrules \
    and not exists (select from pg_trigger t where t.tgrelid = c.oid) as ours from pg_class c where c.oid = to_regclass('seawall.canary')";
const SCHEMA: &str = "create schema if not exists seawall";
const TABLE: &str = "create table if not exists seawall.canary (id bigint generated always as identity primary key, policy text not null, host text not null, \
        written timestamptz not null, lsn pg_lsn not null)";

/// Writes it where it is due. None where the policy has no canary.
pub(super) fn write(site: &Site<'_>) -> Option<Observed<CanaryFacts>> {
    let canary = site.policy.file.canary.as_ref()?;
    Some(match beat(site, canary) {
        Ok(Some(written)) => Observed::Known(CanaryFacts { written: Some(written), error: None, hint: None }),
        Ok(None) => Observed::unknown("`cluster.connection` leads to a standby, where nothing can be written"),
        Err(fault) if fault.transient => Observed::unknown(fault.message),
        Err(fault) => Observed::Known(CanaryFacts { written: None, error: Some(fault.message), hint: Some(fault.hint) }),
    })
}

/// When the newest row was written; none on a standby.
fn beat(site: &Site<'_>, canary: &Canary) -> Result<Option<Instant>, SiteFault> {
    let mut connection = Connection::connect(&site.cluster_connection()?.with_dbname(&canary.database))?;
    connection.set_silence(SILENCE)?;
    connection.run(PATIENCE)?;
    if connection.query("select pg_is_in_recovery() as standby", &[])?.one()?.flag("standby")? {
        return Ok(None);
    }
    if let Some(table) = connection.query(OURS, &[])?.iter().next()
        && !table.flag("ours")?
    {
        let message = "the table `seawall.canary` belongs to somebody else, or has triggers or rules";
        let hint = format!("In the database `{}`: drop it, or give it to the role of `cluster.connection` without them.", canary.database);
        return Err(SiteFault::new(message, hint));
    }
    // Looks come a little sooner or later than they should; a look that is all but due writes.
    let every = canary.interval().as_secs() as f64 * 0.9;
    let row = [site.policy.name.as_str(), site.host(), &every.to_string()];
    let written = match connection.query(WRITE, &row) {
        Err(fault) if is_missing(&fault) => {
            make(&mut connection).map_err(|fault| not_made(fault, &canary.database))?;
            connection.query(WRITE, &row)?
        }
        written => written?,
    };
    if written.tag != "INSERT 0 0" {
        connection.query(PRUNE, &[site.policy.name.as_str(), KEPT])?;
    }
    let newest = connection.query(NEWEST, &[site.policy.name.as_str()])?;
    let micros = newest.one()?.parse("micros")?;
    Instant::from_microsecond(micros).map(Some).map_err(|error| SiteFault::new(format!("the server's time makes no sense: {error}"), ""))
}

/// The schema may be there already, made by somebody who may do that.
fn make(connection: &mut Connection) -> Result<(), Fault> {
    if connection.query("select to_regnamespace('seawall') is null as missing", &[])?.one()?.flag("missing")? {
        connection.run(SCHEMA)?;
    }
    connection.run(TABLE).map(|_| ())
}

/// No such schema, no such table.
fn is_missing(fault: &Fault) -> bool {
    matches!(fault.code(), Some("3F000" | "42P01"))
}

fn not_made(fault: Fault, database: &str) -> SiteFault {
    if fault.code() != Some("42501") {
        return fault.into();
    }
    let hint = format!(
        "In the database `{database}`, as its owner: `create schema seawall authorization ROLE`, with the role of `cluster.connection`."
    );
    SiteFault::new(format!("the table `seawall.canary` is not there and may not be made: {}", fault.message), hint)
}
