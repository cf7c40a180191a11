//! The server that is promoted, as it says itself.

use std::path::PathBuf;
use std::time::Duration;

use super::PromoteFault;
use crate::inventory::SystemIdentifier;
use crate::postgres::conninfo::names_password;
use crate::postgres::{Connection, Fault, Settings};
use crate::site::Site;
use crate::units::{Instant, Lsn, SegmentSize, Timeline};

const PATIENCE: Duration = Duration::from_secs(10);

/// A session with it, made anew when it breaks.
#[derive(Debug)]
pub struct Server {
    settings: Settings,
    connection: Option<Connection>,
    pub at: String,
}

/// How it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    pub in_recovery: bool,
    pub cluster: SystemIdentifier,
    pub timeline: Timeline,
    pub received: Option<Lsn>,
    pub replayed: Option<Lsn>,
    pub last_commit: Option<Instant>,
    pub last_commit_seconds_ago: Option<f64>,
    pub paused: bool,
    /// Replay has nothing to replay. Not everybody may see that.
    pub waits_for_log: Option<bool>,
    /// This account may call `pg_promote`.
    pub may_promote: bool,
    pub streams: bool,
    /// As it is set; empty where we may not see it.
    pub primary_conninfo: String,
    pub data_directory: PathBuf,
    pub segment_size: SegmentSize,
    /// How often a standby looks into the archive.
    pub retry: Duration,
    pub port: u16,
}

const LOOK: &str = "select pg_catalog.pg_is_in_recovery() as in_recovery, \
     (select system_identifier::text from pg_catalog.pg_control_system()) as cluster, \
     case when pg_catalog.pg_is_in_recovery() then \
         greatest((select received_tli from pg_catalog.pg_stat_wal_receiver), (select min_recovery_end_timeline from pg_catalog.pg_control_recovery()), \
                  (select timeline_id from pg_catalog.pg_control_checkpoint()))::text \
     else ('x' || substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8))::bit(32)::int::text end as timeline, \
     pg_catalog.pg_last_wal_receive_lsn()::text as received, pg_catalog.pg_last_wal_replay_lsn()::text as replayed, \
     to_char(pg_catalog.pg_last_xact_replay_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') as last_commit, \
     extract(epoch from pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp())::text as ago, \
     case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_is_wal_replay_paused() else false end as paused, \
     (select wait_event like 'RecoveryWal%' or wait_event in ('RecoveryRetrieveRetryInterval', 'RestoreCommand') \
         from pg_catalog.pg_stat_activity where backend_type = 'startup' limit 1) as waits, \
     pg_catalog.has_function_privilege('pg_catalog.pg_promote(boolean, integer)', 'execute') as may_promote, \
     coalesce((select status = 'streaming' from pg_catalog.pg_stat_wal_receiver), false) as streams, \
     (select setting from pg_catalog.pg_settings where name = 'primary_conninfo') as primary_conninfo, \
     (select setting from pg_catalog.pg_settings where name = 'data_directory') as data_directory, \
     (select setting from pg_catalog.pg_settings where name = 'wal_segment_size') as segment_size, \
     (select setting from pg_catalog.pg_settings where name = 'wal_retrieve_retry_interval') as retry, \
     (select setting from pg_catalog.pg_settings where name = 'port') as port";

impl Server {
    /// The one that is named, or the policy's on this host.
    pub fn find(site: &Site<'_>, given: Option<&str>) -> Result<Server, PromoteFault> {
        if given.is_some_and(|text| names_password(text).unwrap_or(false)) {
            let hint = "Put it into a password file (`passfile=…`) or a service (`service=…`): everybody on this host sees arguments.";
            return Err(PromoteFault::new("`--connection` holds a password", hint));
        }
        let mut settings = match given {
            Some(text) => Settings::read(text)?,
            None => site.connection()?,
        };
        settings.connect_timeout = settings.connect_timeout.min(PATIENCE);
        let connection = Connection::connect(&settings).map_err(|fault| {
            let hint = "Run it on the standby's host. `cluster.hosts.<this host>.connection` says how to reach the server there, or `--connection`.";
            PromoteFault::new(format!("the server that is to be promoted cannot be asked: {}", fault.message), hint)
        })?;
        let at = connection.target().to_string();
        Ok(Server { settings, connection: Some(connection), at })
    }

    /// One that is known already.
    pub fn at(settings: Settings) -> Result<Server, PromoteFault> {
        let connection = Connection::connect(&settings)?;
        let at = connection.target().to_string();
        Ok(Server { settings, connection: Some(connection), at })
    }

    pub fn session(&mut self) -> Result<&mut Connection, Fault> {
        let usable = self.connection.take().filter(|connection| !connection.is_broken());
        let connection = match usable {
            Some(connection) => connection,
            None => Connection::connect(&self.settings)?,
        };
        Ok(self.connection.insert(connection))
    }

    pub fn look(&mut self) -> Result<Seen, PromoteFault> {
        let rows = self.session()?.query(LOOK, &[])?;
        let row = rows.one()?;
        let number: i64 = row.parse("cluster")?;
        let bad = |what: &str| {
            PromoteFault::new(format!("the server's {what} cannot be read"), "Log in as a superuser, or as a member of pg_monitor.")
        };
        Ok(Seen {
            in_recovery: row.flag("in_recovery")?,
            cluster: (number as u64).to_string().parse().map_err(|_| bad("system identifier"))?,
            timeline: row.parse("timeline")?,
            received: row.parse_if("received")?,
            replayed: row.parse_if("replayed")?,
            last_commit: row.parse_if("last_commit")?,
            last_commit_seconds_ago: row.parse_if("ago")?,
            paused: row.flag("paused")?,
            waits_for_log: row.get("waits").map(|waits| waits == "t"),
            may_promote: row.flag("may_promote")?,
            streams: row.flag("streams")?,
            primary_conninfo: row.get("primary_conninfo").unwrap_or_default().to_owned(),
            data_directory: row.get("data_directory").unwrap_or_default().into(),
            segment_size: row
                .get("segment_size")
                .and_then(|size| SegmentSize::new(size.parse().ok()?))
                .ok_or_else(|| bad("segment size"))?,
            retry: Duration::from_millis(row.parse_if("retry")?.unwrap_or(5000)),
            port: row.parse_if("port")?.unwrap_or(5432),
        })
    }
}
