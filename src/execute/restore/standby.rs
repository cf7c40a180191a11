//! What a standby has of its primary: log that it streams, settings it must not be below, and a slot that keeps the log for it.
//!
//! The primary is asked the way the standby will ask it, by the replication protocol: what is learned here is also that streaming will be
//! allowed. Where it does not answer, the standby follows the archive alone until it does, and that is said.

use std::collections::BTreeMap;
use std::time::{Duration, Instant as Clock};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RestoreFault;
use super::choose::Chosen;
use super::request::{Request, Standby};
use super::settings::NOT_LESS;
use crate::postgres::conninfo::names_password;
use crate::postgres::{Connection, Fault, Settings};
use crate::site::Site;
use crate::units::{Lsn, Timeline};

/// How long a primary that does not answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a standby may take from its first reader to its first streamed byte: `wal_retrieve_retry_interval` is 5 s.
const STREAMS_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What was found where the standby will stream from.
#[derive(Debug, Clone, PartialEq)]
pub enum Upstream {
    /// Nobody was named.
    Archive,
    /// It could not be asked, and why.
    Silent(String),
    Answers(Primary),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Primary {
    /// Where it listens.
    pub at: String,
    pub timeline: Timeline,
    pub position: Lsn,
    /// Its settings that recovery compares.
    pub at_least: BTreeMap<String, u64>,
    /// There already, and nobody uses it.
    pub has_slot: bool,
}

/// How the standby follows, as it says itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Follows {
    /// It streams. Otherwise it has the archive alone.
    pub streams: bool,
    /// From there.
    pub from: Option<String>,
    pub slot: Option<String>,
    pub received: Option<Lsn>,
    pub replayed: Option<Lsn>,
    /// What the primary has and this server has not replayed.
    pub behind_bytes: Option<u64>,
    /// Why it does not stream.
    pub why_not: Option<String>,
}

/// What is known of the primary before anything is done. A fault is what would never work.
pub(super) fn upstream(site: &Site<'_>, request: &Request, chosen: &Chosen) -> Result<Option<Upstream>, RestoreFault> {
    let Some(standby) = &request.standby else { return Ok(None) };
    let Some(conninfo) = &standby.primary_conninfo else {
        return match &standby.slot {
            Some(_) => Err(RestoreFault::new("a slot belongs to a primary, and none is named", "Name it with `--primary-conninfo`.")),
            None => Ok(Some(Upstream::Archive)),
        };
    };
    let settings = settings(conninfo)?;
    let seen = match Connection::replicate(&settings).and_then(|connection| look(site, connection, &settings, standby)) {
        Ok(seen) => seen,
        Err(fault) if standby.slot.is_some() => {
            let hint = "Without `--slot` it follows the archive alone until the primary answers, and needs no slot for that.";
            return Err(RestoreFault::new(format!("the primary cannot be asked for a slot: {}", fault.message), hint));
        }
        Err(fault) => return Ok(Some(Upstream::Silent(fault.message))),
    };
    must_be_ours(&seen, chosen)?;
    refuse_less(request, &seen.primary)?;
    let SlotSeen { exists, used_by } = seen.slot;
    if let (Some(slot), Some(used_by)) = (&standby.slot, used_by) {
        let hint = "Name another one with `--slot`, one for each standby.";
        return Err(RestoreFault::new(format!("the slot `{slot}` on {} cannot be taken: {used_by}", seen.primary.at), hint));
    }
    Ok(Some(Upstream::Answers(Primary { has_slot: exists, ..seen.primary })))
}

struct Seen {
    primary: Primary,
    system: u64,
    slot: SlotSeen,
}

#[derive(Default)]
struct SlotSeen {
    exists: bool,
    /// Why it is not for us.
    used_by: Option<String>,
}

fn settings(conninfo: &str) -> Result<Settings, RestoreFault> {
    let fault = |fault: Fault| RestoreFault::new(format!("`--primary-conninfo`: {}", fault.message), fault.hint);
    if names_password(conninfo).map_err(fault)? {
        let message = "`--primary-conninfo` holds a password, which would stand in the server's settings for everybody to read";
        return Err(RestoreFault::new(
            message,
            "Put it into a password file of the server's account (`passfile=…`) or a service (`service=…`).",
        ));
    }
    let mut settings = Settings::read(conninfo).map_err(fault)?;
    settings.connect_timeout = settings.connect_timeout.min(PATIENCE);
    Ok(settings)
}

fn look(site: &Site<'_>, mut connection: Connection, settings: &Settings, standby: &Standby) -> Result<Seen, Fault> {
    let about = connection.identify_system()?;
    let mut at_least = BTreeMap::new();
    for name in NOT_LESS {
        if let Ok(value) = connection.show(name)?.parse() {
            at_least.insert((*name).to_owned(), value);
        }
    }
    let slot = standby.slot.as_ref().map(|name| slot(site, settings, name)).unwrap_or_default();
    let at = connection.target().to_string();
    let primary = Primary { at, timeline: about.timeline, position: about.position, at_least, has_slot: false };
    Ok(Seen { primary, system: about.system, slot })
}

/// Only SQL tells whether a slot is used. Who may only replicate is told by the attempt to make it whether it is there.
fn slot(site: &Site<'_>, settings: &Settings, name: &str) -> SlotSeen {
    let Some(mut connection) = sql(site, settings) else { return SlotSeen::default() };
    let found = connection.query(
        "select slot_type, active, active_pid::text as pid, wal_status from pg_catalog.pg_replication_slots where slot_name = $1",
        &[name],
    );
    let Ok(rows) = found else { return SlotSeen::default() };
    let Some(row) = rows.iter().next() else { return SlotSeen::default() };
    let used_by = if row.get("slot_type") != Some("physical") {
        Some("it is a logical one".to_owned())
    } else if row.flag("active").unwrap_or(true) {
        Some(format!("somebody streams from it (process {})", row.get("pid").unwrap_or("unknown")))
    } else {
        let is_lost = row.get("wal_status") == Some("lost");
        is_lost.then(|| "the log that it kept is gone; drop it with `select pg_drop_replication_slot(…)` there".to_owned())
    };
    SlotSeen { exists: true, used_by }
}

/// An ordinary session on the very server that the standby will stream from.
fn sql(site: &Site<'_>, settings: &Settings) -> Option<Connection> {
    if let Ok(connection) = Connection::connect(&settings.clone().with_dbname("postgres")) {
        return Some(connection);
    }
    let mut policys = site.cluster_connection().ok()?;
    let same: Vec<String> = settings.targets.iter().map(ToString::to_string).collect();
    policys.targets.retain(|target| same.contains(&target.to_string()));
    policys.connect_timeout = policys.connect_timeout.min(PATIENCE);
    if policys.targets.is_empty() { None } else { Connection::connect(&policys).ok() }
}

fn must_be_ours(seen: &Seen, chosen: &Chosen) -> Result<(), RestoreFault> {
    let ours = chosen.descriptor.cluster.system_identifier;
    if seen.system.to_string() == ours.to_string() {
        return Ok(());
    }
    let message = format!("{} is another cluster: its number is {}, that of the backup is {ours}", seen.primary.at, seen.system);
    Err(RestoreFault::new(message, "Name the primary of this cluster with `--primary-conninfo`."))
}

/// Version 13 stops such a standby, later ones pause it.
fn refuse_less(request: &Request, primary: &Primary) -> Result<(), RestoreFault> {
    for (name, value) in &request.set {
        let least = primary.at_least.get(name);
        if let (Some(least), Ok(wanted)) = (least, value.parse::<u64>())
            && wanted < *least
        {
            let message = format!("`--set {name}={value}` is below the primary's {least}: replay would stop");
            return Err(RestoreFault::new(message, format!("Give {least} or more, or leave it out.")));
        }
    }
    Ok(())
}

/// What there is to say of it before anybody agrees.
pub(super) fn warnings(upstream: Option<&Upstream>, chosen: &Chosen) -> Vec<String> {
    match upstream {
        Some(Upstream::Archive) => vec![
            "no primary is named (`--primary-conninfo`): it follows the archive alone, and is behind by what is not archived yet"
                .to_owned(),
        ],
        Some(Upstream::Silent(why)) => {
            vec![format!("the primary cannot be asked ({why}): the standby follows the archive alone until it answers")]
        }
        Some(Upstream::Answers(primary)) if primary.timeline < chosen.timeline => vec![format!(
            "{} is on timeline {}, and the archive goes on to {}: the standby follows the archive there and cannot stream",
            primary.at, primary.timeline, chosen.timeline
        )],
        _ => Vec::new(),
    }
}

/// Makes the slot. The last thing that is done: what fails before it leaves none, and one that nobody uses keeps log for ever. All that is
/// older comes from the archive.
pub(super) fn make_slot(request: &Request, upstream: Option<&Upstream>) -> Result<(), RestoreFault> {
    let Some(Standby { primary_conninfo: Some(conninfo), slot: Some(slot) }) = &request.standby else { return Ok(()) };
    if matches!(upstream, Some(Upstream::Answers(primary)) if primary.has_slot) {
        return Ok(());
    }
    let settings = settings(conninfo)?;
    let made = Connection::replicate(&settings).and_then(|mut connection| {
        // The name was held against what PostgreSQL allows: lower case, digits, underscores.
        connection.run(&format!("CREATE_REPLICATION_SLOT \"{slot}\" PHYSICAL RESERVE_WAL")).map(drop)
    });
    made.map_err(|fault| {
        let hint = if fault.code() == Some("42710") {
            "Whether somebody uses it cannot be seen from here: name another one with `--slot`, or drop it.".to_owned()
        } else {
            "The files are restored, and nothing was started. The same call with `--delta`, by the directory's owner, goes on.".to_owned()
        };
        RestoreFault::new(format!("the slot `{slot}` cannot be made: {}", fault.message), hint)
    })
}

/// Looks until it streams, or long enough to say that it does not.
pub(super) fn follows(connection: &mut Connection, upstream: Option<&Upstream>) -> Follows {
    let patience = if matches!(upstream, Some(Upstream::Answers(_))) { STREAMS_WITHIN } else { Duration::ZERO };
    let began = Clock::now();
    loop {
        let seen = receiver(connection);
        match seen {
            Ok(follows) if follows.streams || began.elapsed() >= patience => return explained(follows, upstream),
            Err(fault) if began.elapsed() >= patience => {
                let nothing = Follows {
                    streams: false,
                    from: None,
                    slot: None,
                    received: None,
                    replayed: None,
                    behind_bytes: None,
                    why_not: Some(fault.message),
                };
                return nothing;
            }
            _ => std::thread::sleep(LOOK_EVERY),
        }
    }
}

fn explained(follows: Follows, upstream: Option<&Upstream>) -> Follows {
    let why_not = match upstream {
        _ if follows.streams => None,
        Some(Upstream::Answers(_)) => Some("the server's log says what the primary answers".to_owned()),
        Some(Upstream::Silent(why)) => Some(why.clone()),
        _ => Some("no primary is named".to_owned()),
    };
    Follows { why_not, ..follows }
}

fn receiver(connection: &mut Connection) -> Result<Follows, Fault> {
    const SQL: &str = "select pg_catalog.pg_last_wal_receive_lsn()::text as received, pg_catalog.pg_last_wal_replay_lsn()::text as replayed, \
         r.status, r.sender_host, r.sender_port::text as sender_port, r.slot_name, \
         pg_catalog.pg_wal_lsn_diff(r.latest_end_lsn, pg_catalog.pg_last_wal_replay_lsn())::bigint::text as behind \
         from (select 1) as one left join pg_catalog.pg_stat_wal_receiver r on true";
    let rows = connection.query(SQL, &[])?;
    let row = rows.one()?;
    let from = row.get("sender_host").map(|host| format!("{host}, port {}", row.get("sender_port").unwrap_or_default()));
    Ok(Follows {
        streams: row.get("status") == Some("streaming"),
        from,
        slot: row.get("slot_name").map(str::to_owned),
        received: row.parse_if("received")?,
        replayed: row.parse_if("replayed")?,
        behind_bytes: row.get("behind").and_then(|bytes| bytes.parse::<i64>().ok()).and_then(|bytes| u64::try_from(bytes.max(0)).ok()),
        why_not: None,
    })
}
