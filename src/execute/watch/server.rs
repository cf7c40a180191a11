//! What the server says: that it answers, what of its log waits, how far its standbys are behind, what time it has.

use std::collections::BTreeMap;

use crate::alert::Answers;
use crate::catalog::{Catalog, CatalogFault};
use crate::evidence::LogTold;
use crate::execute::since::since_down;
use crate::inventory::{Observed, ServerState, SystemIdentifier};
use crate::observe::look_at_server;
use crate::postgres::{Connection, Fault};
use crate::site::{Site, SiteFault};
use crate::units::{Duration, Instant, moment_of};
use crate::world::clock;

pub(super) struct Server {
    pub answers: Answers,
    pub log: Observed<ServerLog>,
    /// What it is set to, and what our roles may do.
    pub state: Observed<ServerState>,
    pub standbys: Observed<BTreeMap<String, Observed<Duration>>>,
    pub clock_skew: Observed<Duration>,
}

/// What it says of its log.
pub(super) struct ServerLog {
    pub cluster: SystemIdentifier,
    pub told: LogTold,
    /// How many segments are whole and not archived.
    pub waiting: u64,
    pub error: Option<String>,
    pub push: Option<Duration>,
    pub position: Option<u64>,
}

pub(super) fn look(site: &Site<'_>, catalog: &Catalog, now: Instant) -> Result<Server, CatalogFault> {
    match ask(site) {
        Ok(mut server) => {
            since_down(site, catalog, "server", true, now)?;
            if let Observed::Known(standbys) = &mut server.standbys {
                missing(site, catalog, standbys, now)?;
            }
            Ok(server)
        }
        Err(fault) => {
            let since = since_down(site, catalog, "server", false, now)?;
            let reason = || format!("the server was asked: {}", fault.message);
            Ok(Server {
                answers: Answers::No {
                    since,
                    error: fault.message.clone(),
                    hint: Some(fault.hint.clone()).filter(|hint| !hint.is_empty()),
                },
                log: Observed::unknown(reason()),
                state: Observed::unknown(reason()),
                standbys: Observed::unknown(reason()),
                clock_skew: Observed::unknown(reason()),
            })
        }
    }
}

/// A standby that was there lately and is not: how far it is behind is not known, which is not the same as well.
fn missing(
    site: &Site<'_>,
    catalog: &Catalog,
    standbys: &mut BTreeMap<String, Observed<Duration>>,
    now: Instant,
) -> Result<(), CatalogFault> {
    const REMEMBERED: jiff::SignedDuration = jiff::SignedDuration::from_hours(7 * 24);
    let lately = catalog.latest(site.policy.name.as_str())?;
    let lately = lately.into_iter().filter(|one| one.name == "standby_lag_seconds" && now.duration_since(one.at) < REMEMBERED);
    for one in lately {
        standbys.entry(one.subject).or_insert_with(|| Observed::unknown("it is not connected"));
    }
    Ok(())
}

fn ask(site: &Site<'_>) -> Result<Server, SiteFault> {
    // The log and the standbys are the primary's, wherever this runs.
    let mut connection = Connection::connect(&site.cluster_connection()?)?;
    let asked = clock::now();
    let row = connection.query("select extract(epoch from clock_timestamp()) as now, pg_is_in_recovery() as standby", &[])?;
    let row = row.one()?;
    let (seconds, standby) = (row.parse::<f64>("now")?, row.flag("standby")?);
    let clock_skew = moment_of(seconds).map_or_else(
        || Observed::unknown("the server's time makes no sense"),
        |theirs| Observed::Known(Duration::from_secs(theirs.duration_since(asked).as_secs().unsigned_abs())),
    );
    let log = if standby {
        Observed::unknown("`cluster.connection` leads to a standby, which archives nothing")
    } else {
        log(&mut connection).map_or_else(|fault| Observed::unknown(fault.message), Observed::Known)
    };
    let state = look_at_server(&mut connection, site.policy).map_or_else(|fault| Observed::unknown(fault.message), Observed::Known);
    let standbys = standbys(&mut connection).map_or_else(|fault| Observed::unknown(fault.message), Observed::Known);
    Ok(Server { answers: Answers::Yes, log, state, standbys, clock_skew })
}

/// What was archived last may be a backup's history file: then the marks tell which segment was.
fn log(connection: &mut Connection) -> Result<ServerLog, Fault> {
    const ARCHIVER: &str = "select extract(epoch from last_archived_time) as archived, last_failed_wal, segment, \
         extract(epoch from last_failed_time) as failed, coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) as failing, \
         pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') - \
           (select ((('x' || substr(segment, 9, 8))::bit(32)::bigint * (4294967296 / size)) \
             + ('x' || substr(segment, 17, 8))::bit(32)::bigint + 1) * size \
             from (select setting::bigint as size from pg_settings where name = 'wal_segment_size') s) as beyond, \
         pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') as position, txid_current_snapshot()::text as snapshot, \
         (select system_identifier::text from pg_control_system()) as cluster from pg_stat_archiver \
         cross join lateral (select case when last_archived_wal ~ '^[0-9A-F]{24}$' then last_archived_wal \
           else (select max(name) from pg_ls_archive_statusdir() where name ~ '^[0-9A-F]{24}[.]done$') end as segment) newest";
    // A segment's mark keeps the time at which it was finished.
    const PUSH: &str = "select extract(epoch from last_archived_time - modification) as took \
         from pg_stat_archiver join pg_ls_archive_statusdir() on name = last_archived_wal || '.done'";
    const READY: &str = "select count(*) as files, extract(epoch from min(modification)) as oldest from pg_ls_archive_statusdir() \
         where name like '%.ready'";
    let archiver = connection.query(ARCHIVER, &[])?;
    let archiver = archiver.one()?;
    let error = if archiver.flag("failing")? {
        archiver.get("last_failed_wal").map(|segment| format!("`archive_command` failed for {segment}; the server's log says why"))
    } else {
        None
    };
    let ready = connection.query(READY, &[])?;
    let ready = ready.one()?;
    let push = connection.query(PUSH, &[])?;
    let push = push.iter().next().map(|row| row.parse_if::<f64>("took")).transpose()?.flatten();
    let told = LogTold {
        segment: archiver.get("segment").map(|name| name.trim_end_matches(".done").to_owned()),
        archived: archiver.parse_if::<f64>("archived")?.and_then(moment_of),
        beyond: archiver.parse_if::<f64>("beyond")?.unwrap_or(0.0) as i64,
        ready: ready.parse_if::<f64>("oldest")?.and_then(moment_of),
        snapshot: archiver.text("snapshot")?.to_owned(),
    };
    Ok(ServerLog {
        cluster: archiver.parse("cluster")?,
        told,
        waiting: ready.parse("files")?,
        error,
        push: push.filter(|seconds| *seconds >= 0.0).map(|seconds| Duration::from_secs(seconds.ceil() as u64)),
        position: archiver.parse_if::<f64>("position")?.map(|position| position as u64),
    })
}

fn standbys(connection: &mut Connection) -> Result<BTreeMap<String, Observed<Duration>>, Fault> {
    // Who only copies or keeps the log replays nothing.
    const ASK: &str = "select application_name, extract(epoch from replay_lag) as lag, pg_wal_lsn_diff(sent_lsn, replay_lsn) as behind \
         from pg_stat_replication where state <> 'backup' and replay_lsn is not null";
    let rows = connection.query(ASK, &[])?;
    let mut standbys: BTreeMap<String, Observed<Duration>> = BTreeMap::new();
    for row in rows.iter() {
        let lag = match (row.parse_if::<f64>("lag")?, row.parse_if::<f64>("behind")?) {
            (Some(lag), _) => Observed::Known(Duration::from_secs(lag.max(0.0) as u64)),
            // Nothing was written lately, and it has all there is.
            (None, Some(behind)) if behind <= 0.0 => Observed::Known(Duration::ZERO),
            (None, _) => Observed::unknown("the server does not say how far it is"),
        };
        // Of several of one name the worst counts.
        let known = standbys.entry(row.text("application_name")?.to_owned()).or_insert_with(|| lag.clone());
        if let (Observed::Known(worst), Observed::Known(lag)) = (&mut *known, lag) {
            *worst = (*worst).max(lag);
        }
    }
    Ok(standbys)
}
