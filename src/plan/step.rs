//! What the executor can do, and what must hold before it does.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use super::words::{counted, joined, quoted};
use crate::units::{BackupId, Bytes, Duration, Name, StorageClass};

/// One thing that is done, why, and what must hold for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// The same in words.
    pub says: String,
    /// Why.
    pub reason: String,
    /// What is checked again right before it.
    pub needs: Vec<Precondition>,
}

/// Everything that can be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    RunHook {
        program: Vec<String>,
        timeout: Duration,
    },
    CheckRoom {
        store: Name,
        at_least: Option<Bytes>,
    },
    RefreshAggregate {
        database: String,
        view: String,
        timeout: Duration,
    },
    BeginBackup {
        from: String,
    },
    ReadDataDirectory {
        workers: Option<u16>,
    },
    ReadChangedPages {
        parent_job: Name,
        chain: Option<u16>,
    },
    EndBackup,
    WaitForLog {
        store: Name,
    },
    /// Where nothing is archived.
    BringLog {
        store: Name,
    },
    DumpDatabase {
        database: String,
        format: String,
        jobs: u16,
        /// What of it, where that is not everything, and how fast at most.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        only: Vec<String>,
    },
    DumpTables {
        database: String,
        tables: Vec<String>,
        format: String,
    },
    DumpGlobals,
    ReadFiles {
        paths: Vec<String>,
    },
    RunEngine {
        tool: String,
    },
    AskProvider {
        provider: String,
    },
    ReadBack {
        store: Name,
        contents: bool,
    },
    Commit {
        store: Name,
    },
    Copy {
        from: Name,
        to: Name,
    },
    MarkExpired {
        store: Name,
        backups: Vec<BackupId>,
    },
    DeleteMarked {
        store: Name,
        after: Duration,
    },
    MoveColder {
        store: Name,
        classes: Vec<StorageClass>,
    },
    VerifyStore {
        store: Name,
        deep: bool,
    },
    FetchBackup {
        store: Option<Name>,
        job: Name,
    },
    FetchTables {
        store: Option<Name>,
        job: Name,
        database: String,
        tables: Vec<String>,
    },
    StartThrowAwayServer,
    ReplayLog {
        to: String,
    },
    RehearsePromotion {
        fence: Option<Vec<String>>,
        after: Option<Vec<String>>,
    },
    CheckExpectations {
        count: usize,
    },
    RemoveThrowAwayServer,
    CompareFiles,
    RemoveFiles,
    ExportRows {
        database: String,
        table: String,
        older_than: String,
    },
    CompareExport {
        store: Name,
    },
    DropArchivedRows {
        table: String,
    },
    DropOldRows {
        database: String,
        table: String,
        older_than: String,
    },
    SendReport {
        to: Vec<Name>,
    },
    Remind {
        who: Name,
    },
}

/// What must hold before a step is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Precondition {
    NoOtherRun { job: String },
    WindowOpen { window: Name },
    ServerIsUp,
    HostIs { role: String },
    StoreAnswers { store: Name },
    RecipientsKnown,
    ParentExists { job: Name },
    LogArrives { store: Name },
    LogIsKept,
    AllPartsStored,
    ReadBackAgrees,
    CopyAgrees,
    StillExpired,
    NothingNeedsThem,
    NotHeld,
    NotLocked,
    NobodyReadsThem,
    ClockAgrees { within: Duration },
    IdentityThere,
    RoomForRestore,
    NotTheOriginal,
    SameExtensions,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |all: &[String]| joined(all.iter().map(quoted));
        match self {
            Action::RunHook { program, timeout } => write!(f, "run {}, for at most {timeout}", quoted(program.join(" "))),
            Action::CheckRoom { store, at_least: Some(size) } => {
                write!(f, "check that `{store}` has room for as much as last time, or {} the first time", size.rounded())
            }
            Action::CheckRoom { store, at_least: None } => write!(f, "check that `{store}` has room for as much as last time"),
            Action::RefreshAggregate { database, view, timeout } => {
                write!(f, "refresh {} in {}, for at most {timeout}", quoted(view), quoted(database))
            }
            Action::BeginBackup { from } => write!(f, "begin a backup on {from} (`pg_backup_start`)"),
            Action::ReadDataDirectory { workers: Some(workers) } => {
                let workers = counted(usize::from(*workers), "worker");
                write!(f, "read the data directory with {workers}, check every page, compress, encrypt")
            }
            Action::ReadDataDirectory { workers: None } => f.write_str("read the data directory, check every page, compress, encrypt"),
            Action::ReadChangedPages { parent_job, chain: Some(chain) } => {
                write!(f, "read the pages changed since the newest backup of `{parent_job}` or its increments (at most {chain} in a row)")
            }
            Action::ReadChangedPages { parent_job, chain: None } => {
                write!(f, "read the pages changed since the newest backup of `{parent_job}`")
            }
            Action::EndBackup => f.write_str("end the backup (`pg_backup_stop`)"),
            Action::WaitForLog { store } => write!(f, "wait until the last segment of the log it needs is seen in `{store}`"),
            Action::BringLog { store } => write!(f, "put the log from its beginning to its end beside it in `{store}`"),
            Action::DumpDatabase { database, format, jobs, only } => {
                let jobs = if *jobs == 1 { String::new() } else { format!(" with {jobs} jobs") };
                let only = if only.is_empty() { String::new() } else { format!(": {}", only.join(", ")) };
                write!(f, "dump {} in the {format} format{jobs}{only}", quoted(database))
            }
            Action::DumpTables { database, tables, format } => {
                write!(f, "dump {} of {} as {format}", names(tables), quoted(database))
            }
            Action::DumpGlobals => f.write_str("dump roles and tablespaces"),
            Action::ReadFiles { paths } => write!(f, "read {}", names(paths)),
            Action::RunEngine { tool } => write!(f, "run {tool}"),
            Action::AskProvider { provider } => write!(f, "ask {provider} for its newest backup"),
            Action::ReadBack { store, contents: true } => write!(f, "read everything back from `{store}` and compare the hashes"),
            Action::ReadBack { store, contents: false } => write!(f, "ask `{store}` for the sizes of all parts"),
            Action::Commit { store } => write!(f, "write the descriptor to `{store}`: from here on the backup exists"),
            Action::Copy { from, to } => write!(f, "copy it from `{from}` to `{to}` and check it there"),
            Action::MarkExpired { store, backups } if backups.is_empty() => write!(f, "mark in `{store}` what no rule keeps any longer"),
            Action::MarkExpired { store, backups } => write!(f, "mark {} in `{store}` as expired", counted(backups.len(), "backup")),
            Action::DeleteMarked { store, after } => write!(f, "delete from `{store}` what has been marked for {after}, descriptor first"),
            Action::MoveColder { store, classes } => {
                write!(f, "move in `{store}` what only longer tiers keep to {}", joined(classes))
            }
            Action::VerifyStore { store, deep: false } => write!(f, "check every object in `{store}` against its hash"),
            Action::VerifyStore { store, deep: true } => write!(f, "decrypt, decompress and check every page in `{store}`"),
            Action::FetchBackup { store: Some(store), job } => write!(f, "fetch a backup of `{job}` from `{store}`"),
            Action::FetchBackup { store: None, job } => write!(f, "fetch a backup of `{job}`"),
            Action::FetchTables { store, job, database, tables } => {
                let from = store.as_ref().map_or_else(String::new, |store| format!(" from `{store}`"));
                write!(f, "fetch the catalogs of {} and {} of a backup of `{job}`{from}", quoted(database), names(tables))
            }
            Action::StartThrowAwayServer => f.write_str("start a throw-away PostgreSQL, without archiving, network and background jobs"),
            Action::ReplayLog { to } => write!(f, "replay the log to {to}"),
            Action::RehearsePromotion { fence, after } => {
                f.write_str("promote it as `seawall promote` does, archiving nothing")?;
                for (when, program) in [("before it", fence), ("after it", after)] {
                    if let Some(program) = program {
                        write!(f, ", {when} {}", quoted(program.join(" ")))?;
                    }
                }
                Ok(())
            }
            Action::CheckExpectations { count } => write!(f, "check {}", counted(*count, "expectation")),
            Action::RemoveThrowAwayServer => f.write_str("remove the throw-away PostgreSQL, whatever happened"),
            Action::CompareFiles => f.write_str("compare each file, its owner, rights, time and attributes with the backup"),
            Action::RemoveFiles => f.write_str("remove the files, whatever happened"),
            Action::ExportRows { database, table, older_than } => {
                write!(f, "export rows of {} in {} older than {older_than}", quoted(table), quoted(database))
            }
            Action::CompareExport { store } => write!(f, "read the export back from `{store}` and compare it"),
            Action::DropOldRows { database, table, older_than } => {
                write!(f, "drop rows of {} in {} older than {older_than}", quoted(table), quoted(database))
            }
            Action::DropArchivedRows { table } => write!(f, "drop from {} what was compared", quoted(table)),
            Action::SendReport { to } => {
                write!(f, "make the report and send it to {}", joined(to.iter().map(quoted)))
            }
            Action::Remind { who } => write!(f, "remind `{who}` until it is acknowledged"),
        }
    }
}

impl fmt::Display for Precondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Precondition::NoOtherRun { job } => write!(f, "no other run of {job} is under way"),
            Precondition::WindowOpen { window } => write!(f, "the window `{window}` is open"),
            Precondition::ServerIsUp => f.write_str("the server answers"),
            Precondition::HostIs { role } => write!(f, "this host is the {role}"),
            Precondition::StoreAnswers { store } => write!(f, "`{store}` answers"),
            Precondition::RecipientsKnown => f.write_str("the recipients of the policy are in use"),
            Precondition::ParentExists { job } => write!(f, "a good backup of `{job}` is there, otherwise a full one is taken"),
            Precondition::LogArrives { store } => write!(f, "the log arrives in `{store}`"),
            Precondition::LogIsKept => f.write_str("a replication slot kept the log on the server meanwhile"),
            Precondition::AllPartsStored => f.write_str("all parts are stored"),
            Precondition::ReadBackAgrees => f.write_str("what was read back agrees"),
            Precondition::CopyAgrees => f.write_str("the copy agrees with the original"),
            Precondition::StillExpired => f.write_str("the rules still say so on a new listing"),
            Precondition::NothingNeedsThem => f.write_str("no backup that stays builds on them"),
            Precondition::NotHeld => f.write_str("no hold covers them"),
            Precondition::NotLocked => f.write_str("no lock of the store covers them"),
            Precondition::NobodyReadsThem => f.write_str("no restore reads them"),
            Precondition::ClockAgrees { within } => write!(f, "this host's clock agrees with the store's within {within}"),
            Precondition::IdentityThere => f.write_str("the identity that opens backups is on this host"),
            Precondition::RoomForRestore => f.write_str("there is room for the restored cluster"),
            Precondition::NotTheOriginal => f.write_str("the target is not the original"),
            Precondition::SameExtensions => f.write_str("the extensions are there in the very same versions"),
        }
    }
}

impl Action {
    /// Its name in a plan's JSON.
    pub fn word(&self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(word)) => word,
            Ok(serde_json::Value::Object(fields)) => fields.into_iter().next().map(|(word, _)| word).unwrap_or_default(),
            _ => String::new(),
        }
    }
}

impl Step {
    pub fn new(action: Action, reason: impl Into<String>, needs: Vec<Precondition>) -> Self {
        Step { says: action.to_string(), action, reason: reason.into(), needs }
    }
}
