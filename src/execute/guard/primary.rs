//! The server that the command will change, as far as a restore point depends on it.

use std::time::Duration;

use crate::execute::backup::awaited::Archiver;
use crate::inventory::SystemIdentifier;
use crate::plan::guard::Primary;
use crate::postgres::{Connection, Fault, Settings};
use crate::site::{Site, SiteFault};
use crate::units::SegmentSize;

const PATIENCE: Duration = Duration::from_secs(10);

const LOOK: &str = "select pg_catalog.pg_is_in_recovery() as standby, \
     (select system_identifier::text from pg_catalog.pg_control_system()) as cluster, \
     case when pg_catalog.pg_is_in_recovery() then (select timeline_id::text from pg_catalog.pg_control_checkpoint()) \
     else ('x' || substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8))::bit(32)::int::text end as timeline, \
     (select setting from pg_catalog.pg_settings where name = 'wal_segment_size') as segment, \
     (select setting from pg_catalog.pg_settings where name = 'archive_mode') as mode, \
     (select setting from pg_catalog.pg_settings where name = 'archive_command') as command, \
     (select setting from pg_catalog.pg_settings where name = 'archive_library') as library, \
     (pg_catalog.has_function_privilege('pg_catalog.pg_create_restore_point(text)', 'execute') \
      and pg_catalog.has_function_privilege('pg_catalog.pg_switch_wal()', 'execute')) as may_mark";

/// A session with the server that takes the cluster's writes.
pub(super) fn connect(site: &Site<'_>) -> Result<Connection, SiteFault> {
    session(site.cluster_connection()?)
}

/// The same in one of its databases.
pub(super) fn connect_to(site: &Site<'_>, database: &str) -> Result<Connection, SiteFault> {
    Ok(Connection::connect(&settings_of(site, database)?)?)
}

pub(super) fn settings_of(site: &Site<'_>, database: &str) -> Result<Settings, SiteFault> {
    Ok(patient(site.cluster_connection()?.with_dbname(database)))
}

/// The server from which this host takes its dumps.
pub(super) fn reads_a_standby(site: &Site<'_>) -> Result<bool, SiteFault> {
    let answer = session(site.connection()?)?.query("select pg_catalog.pg_is_in_recovery() as it", &[])?;
    Ok(answer.one()?.flag("it")?)
}

fn session(settings: Settings) -> Result<Connection, SiteFault> {
    Ok(Connection::connect(&patient(settings))?)
}

fn patient(mut settings: Settings) -> Settings {
    settings.connect_timeout = settings.connect_timeout.min(PATIENCE);
    settings
}

/// What it says of itself.
pub(super) fn look(session: &mut Connection) -> Result<Primary, Fault> {
    let rows = session.query(LOOK, &[])?;
    let row = rows.one()?;
    let number: i64 = row.parse("cluster")?;
    let bytes: u64 = row.parse("segment")?;
    let set = |name: &str| row.get(name).is_some_and(|value| !matches!(value.trim(), "" | "(disabled)"));
    let archives_not = match row.get("mode") {
        Some("off") => Some("`archive_mode` is off".to_owned()),
        // Not visible to this role is not the same as empty.
        Some(_) if row.get("command").is_some() && !set("command") && !set("library") => Some("`archive_command` is empty".to_owned()),
        _ => None,
    };
    let primary = Primary {
        // PostgreSQL writes it with a sign.
        cluster: SystemIdentifier(number.cast_unsigned()),
        timeline: row.parse("timeline")?,
        segment: SegmentSize::new(bytes).ok_or_else(|| Fault::unexpected(format!("a segment has {bytes} bytes"), ""))?,
        is_standby: row.flag("standby")?,
        may_mark: row.flag("may_mark")?,
        archives_not,
        archiving_fails: None,
    };
    let archiver = Archiver::ask(session).filter(Archiver::fails);
    Ok(Primary { archiving_fails: archiver.map(|archiver| archiver.to_string()), ..primary })
}
