//! From a backup to where the tables are wanted: which backup, and then everything in its order.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use serde_json::json;

use super::landing::about::About;
use super::landing::{self, Change, Destination, Landed, Origin, Report, Way};
use super::source::{self, TableName};
use super::{TableFault, Why, dump};
use crate::execute::hook::{When, around_restore};
use crate::execute::restore::{Returned, TimelineChoice};
use crate::inventory::Phase;
use crate::policy::model::{Method, Policy};
use crate::recovery::Target;
use crate::site::Site;
use crate::units::{BackupId, Instant, Name};
use crate::world::clock;

/// Which state is wanted, and out of what.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub tables: Vec<TableName>,
    /// In which database they were.
    pub database: Option<String>,
    pub target: Target,
    pub exclusive: bool,
    pub timeline: TimelineChoice,
    pub backup: Option<BackupId>,
    /// The newest dump of this job.
    pub job: Option<Name>,
    pub store: Option<Name>,
    pub identity: Option<PathBuf>,
    pub directory: Option<PathBuf>,
    pub programs: Option<PathBuf>,
    pub workers: Option<usize>,
    pub made_later: bool,
}

/// A backup that has been looked at.
#[derive(Debug)]
pub enum Source<'s> {
    Physical(Box<source::Planned<'s>>),
    Dump(Box<dump::Planned<'s>>),
}

/// A private server that holds the tables. It is gone with this.
#[derive(Debug)]
pub enum Server {
    Physical(Box<source::Held>),
    Dump(Box<dump::Held>),
}

/// Why the one and not the other.
pub fn choose<'s>(site: &'s Site<'s>, wanted: &Wanted, onlooker: source::Onlooker<'_>) -> Result<(Source<'s>, String), TableFault> {
    let policy = site.policy;
    // Chosen tables are what somebody wants who names them.
    let has_tables = || policy.backups.values().any(|backup| matches!(backup.method, Method::Tables(_)));
    let (has_physical, has_dumps) = (has(policy, false), has(policy, true) || wanted.backup.is_some() && has_tables());
    if let Some(job) = &wanted.job {
        must_dump(policy, job)?;
        return Ok((dumped(site, wanted)?, format!("`backups.{job}` was named")));
    }
    match (has_physical, has_dumps) {
        (false, true) => Ok((dumped(site, wanted)?, "this policy has dumps only".to_owned())),
        (true, false) => Ok((physical(site, wanted, onlooker)?, String::new())),
        (false, false) => {
            Err(TableFault::new("this policy has no backups of a database", "Name the policy that has them with `--policy`."))
        }
        (true, true) => {
            let mut not_as_dump = None;
            if wanted.backup.is_some() {
                match dumped(site, wanted) {
                    Ok(dump) => return Ok((dump, "that backup is a dump".to_owned())),
                    Err(fault) if fault.asleep.is_some() => return Err(fault),
                    Err(fault) => not_as_dump = Some(fault),
                }
            }
            let physical = physical(site, wanted, onlooker).map_err(|fault| neither(fault, not_as_dump))?;
            Ok((physical, "it has every moment; a dump, which has one, is asked by `--job NAME`".to_owned()))
        }
    }
}

/// Whoever names a backup does not say of which kind it is: either fault may be the one that matters.
pub(in crate::execute) fn neither(physical: TableFault, dump: Option<TableFault>) -> TableFault {
    let Some(dump) = dump else {
        return TableFault { hint: format!("{} A dump is asked by `--job NAME`.", physical.hint).trim().to_owned(), ..physical };
    };
    let why = if dump.why == Why::Failed { physical.why } else { dump.why };
    let message = format!("{}; as a dump: {}", physical.message, dump.message);
    TableFault { message, hint: format!("{} {}", dump.hint, physical.hint).trim().to_owned(), why, ..physical }
}

pub(in crate::execute) fn has(policy: &Policy, dumps: bool) -> bool {
    policy.backups.values().any(|backup| match backup.method {
        Method::Logical(_) => dumps,
        Method::Physical(_) | Method::Incremental { .. } => !dumps,
        _ => false,
    })
}

pub(in crate::execute) fn must_dump(policy: &Policy, job: &Name) -> Result<(), TableFault> {
    match policy.backups.get(job).map(|backup| &backup.method) {
        Some(Method::Logical(_) | Method::Tables(_)) => Ok(()),
        Some(_) => {
            let message = format!("`backups.{job}` takes no dumps");
            Err(TableFault::new(message, "Leave `--job` away: of the physical backups the right one is found by the moment."))
        }
        None => Err(TableFault::new(format!("there is no `backups.{job}` in this policy"), "`seawall explain` lists its jobs.")),
    }
}

fn physical<'s>(site: &'s Site<'s>, wanted: &Wanted, onlooker: source::Onlooker<'_>) -> Result<Source<'s>, TableFault> {
    let of = source::Wanted {
        database: wanted.database.clone(),
        exclusive: wanted.exclusive,
        timeline: wanted.timeline,
        backup: wanted.backup.clone(),
        store: wanted.store.clone(),
        identity: wanted.identity.clone(),
        directory: wanted.directory.clone(),
        programs: wanted.programs.clone(),
        workers: wanted.workers,
        made_later: wanted.made_later,
        ..source::Wanted::new(wanted.tables.clone(), wanted.target.clone())
    };
    Ok(Source::Physical(Box::new(source::physical(site, &of, onlooker).map_err(TableFault::by_our_words)?)))
}

fn dumped<'s>(site: &'s Site<'s>, wanted: &Wanted) -> Result<Source<'s>, TableFault> {
    let until = match &wanted.target {
        Target::Latest | Target::Immediate(_) => None,
        Target::Time(time) => Some(*time),
        other => {
            let message = format!("a dump has no position in the log, and {other} is one");
            return Err(TableFault::new(message, "Say a time (`--to TIME`): the newest dump that ended before it is taken."));
        }
    };
    let meaningless = [
        ("--exclusive", wanted.exclusive),
        ("--timeline", wanted.timeline != TimelineChoice::Latest),
        ("--made-later", wanted.made_later),
        ("--immediate", matches!(wanted.target, Target::Immediate(_)) && wanted.job.is_some()),
    ];
    if let Some((word, _)) = meaningless.iter().find(|(_, is_said)| *is_said) {
        let message = format!("`{word}` means nothing for a dump, which is of one moment");
        return Err(TableFault::new(message, "Leave it away, or take the table out of a physical backup."));
    }
    let of = dump::Wanted {
        tables: wanted.tables.clone(),
        database: wanted.database.clone(),
        backup: wanted.backup.clone(),
        job: wanted.job.clone(),
        store: wanted.store.clone(),
        until,
        identity: wanted.identity.clone(),
        directory: wanted.directory.clone(),
        programs: wanted.programs.clone(),
    };
    Ok(Source::Dump(Box::new(dump::plan(site, &of)?)))
}

impl Source<'_> {
    pub fn backup(&self) -> BackupId {
        match self {
            Source::Physical(planned) => planned.backup.clone(),
            Source::Dump(planned) => planned.backup().clone(),
        }
    }

    /// Before rows that are there give way to it. Of a backup and its log, the moment is known.
    pub fn must_be_the_newest(&self) -> Result<(), TableFault> {
        match self {
            Source::Physical(_) => Ok(()),
            Source::Dump(planned) => planned.must_be_the_newest(),
        }
    }

    pub fn store(&self) -> Name {
        match self {
            Source::Physical(planned) => planned.store.clone(),
            Source::Dump(planned) => planned.store().clone(),
        }
    }

    /// What is known before anything is fetched, and will be among the flaws of what is held.
    pub fn warnings(&self) -> &[String] {
        match self {
            Source::Physical(planned) => &planned.warnings,
            Source::Dump(_) => &[],
        }
    }

    pub fn database(&self) -> String {
        match self {
            Source::Physical(planned) => planned.database.clone(),
            Source::Dump(planned) => planned.database_name().to_owned(),
        }
    }

    /// Fetches what is needed and starts the server.
    pub fn hold(
        self,
        phase: &(dyn Fn(Phase) + Sync),
        begins: &(dyn Fn(&str) + Sync),
        progress: &source::Progress,
        stop: &AtomicBool,
    ) -> Result<Server, TableFault> {
        let held = match self {
            Source::Physical(planned) => planned
                .hold(source::Onlooker { phase, stop, progress })
                .map(|held| Server::Physical(Box::new(held)))
                .map_err(TableFault::from),
            Source::Dump(planned) => planned.hold(begins, stop).map(|held| Server::Dump(Box::new(held))),
        };
        held.map_err(|fault| if stop.load(std::sync::atomic::Ordering::Relaxed) { TableFault::stopped() } else { fault })
    }
}

impl Server {
    pub fn origin(&self) -> Result<Origin, TableFault> {
        match self {
            Server::Physical(held) => Origin::of(held),
            Server::Dump(held) => held.origin(),
        }
    }
}

/// One of the policy's own programs around a change of rows that are there.
pub fn hook(
    site: &Site<'_>,
    when: When,
    (backup, store): (&BackupId, &Name),
    destination: &Destination,
    stop: &AtomicBool,
) -> Result<(), TableFault> {
    let tables: Vec<String> = destination.tables.iter().flatten().map(About::name).collect();
    let about = [
        ("POLICY", site.policy.name.to_string()),
        ("DATABASE", destination.database.clone()),
        ("SERVER", destination.server.clone()),
        ("TABLES", tables.join(", ")),
        ("BACKUP", backup.to_string()),
        ("STORE", store.to_string()),
    ];
    Ok(around_restore(site.policy, when, &about, stop)?)
}

/// Where a change is made at once; `before` is done when its rows are ready, and nothing is changed yet. A merge is shown first, by whoever asks
/// for it.
pub fn land(
    destination: Option<&Destination>,
    wanted: &landing::Wanted,
    origin: &Origin,
    remarks: &mut Vec<String>,
    before: &dyn Fn() -> Result<(), TableFault>,
    onlooker: landing::Onlooker<'_>,
) -> Result<Vec<Landed>, TableFault> {
    match (&wanted.way, destination) {
        (Way::Csv(to), _) => Ok(vec![landing::to_csv(to, wanted, origin, onlooker)?]),
        (_, None) => Err(TableFault::new("it is not known where the tables shall go", "")),
        (Way::Schema { schema, name }, Some(destination)) => {
            landing::into_schema(destination, wanted, (schema, name.as_deref()), origin, remarks, onlooker)
        }
        (Way::Replace { .. } | Way::Merge { .. }, Some(destination)) => {
            let change = Change::stage(destination, wanted, origin, onlooker)?;
            before()?;
            change.apply(remarks, onlooker)
        }
    }
}

/// For the record of this host, where it has one. In an emergency nobody waits for a catalog that is away as well.
pub fn note(site: &Site<'_>, report: &Report) {
    let tables: Vec<&str> = report.tables.iter().map(|landed| landed.table.as_str()).collect();
    let to = match report.way.as_str() {
        "csv" => "written as CSV",
        "schema" => "beside the original",
        "merge" => "merged into what was there",
        _ => "in the place of the rows that were there",
    };
    // The rows themselves are nobody's concern here, and neither is the SQL. A condition names people often enough.
    let each: Vec<_> = (report.tables.iter())
        .map(|landed| {
            json!({
                "table": landed.table, "into": landed.into, "rows": landed.rows, "bytes": landed.bytes, "added": landed.added,
                "changed": landed.changed, "removed": landed.removed, "kept_in": landed.kept_in,
            })
        })
        .collect();
    let returned = Returned {
        kind: &format!("table.{}", report.way),
        subject: format!("{} of backup {}, {},", tables.join(", "), report.backup, report.moment),
        backup: &report.backup,
        store: report.store.as_str(),
        to: to.to_owned(),
        started: report.started,
        ended: report.ended,
        bytes: Some(report.tables.iter().map(|landed| landed.bytes).sum()),
        more: json!({
            "moment": report.moment, "some_rows": report.condition.is_some(), "server": report.server, "database": report.database, "tables": each,
        }),
    };
    returned.note(site, Ok(()));
}

/// What was begun and did not come to its end: it may have cost the server something all the same.
pub fn note_failed(site: &Site<'_>, tables: &[TableName], way: &Way, from: (&BackupId, &Name), started: Instant, why: &str) {
    let names: Vec<String> = tables.iter().map(ToString::to_string).collect();
    let returned = Returned {
        kind: &format!("table.{}", way.as_str()),
        subject: format!("{} of backup {}", names.join(", "), from.0),
        backup: from.0.as_str(),
        store: from.1.as_str(),
        to: format!("as `{}`", way.as_str()),
        started,
        ended: clock::now(),
        bytes: None,
        more: json!({ "tables": names }),
    };
    returned.note(site, Err(why));
}
