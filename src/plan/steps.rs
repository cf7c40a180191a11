//! The steps of each kind of job, in the order in which a DBA would write them on a whiteboard.

use std::collections::BTreeSet;

use super::copies::{CopySource, copy_sources};
use super::existing::{classes_in, keeps_in};
use super::step::{Action, Precondition, Step};
use super::words::{joined, quoted};
use crate::policy::file;
use crate::policy::model::{Archive, Backup, Drill, DrillRestore, DrilledTables, Dropping, Method, Policy, Report, Verify};
use crate::policy::path::PolicyPath;
use crate::units::{Bytes, Duration, Name, StorageClass};

pub fn of_backup(policy: &Policy, name: &Name, backup: &Backup, basis: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let written = policy.file.backups.get(name);
    let window: Vec<Precondition> = backup.window.iter().map(|window| Precondition::WindowOpen { window: window.clone() }).collect();
    refreshes(policy, name, &mut steps);
    if let Some(before) = written.and_then(|written| written.before.as_ref()) {
        steps.push(hook(before, format!("`backups.{name}.before` says so; the backup does not start if it fails")));
    }
    if let Some(store) = &backup.store {
        steps.push(Step::new(
            Action::CheckRoom { store: store.clone(), at_least: room_needed(policy, backup) },
            "a backup that runs out of room is none",
            vec![Precondition::StoreAnswers { store: store.clone() }],
        ));
    }
    // A window may have closed while the steps before were done.
    read(policy, backup, basis, window.clone(), &mut steps);
    if let Some(store) = &backup.store {
        steps.push(Step::new(
            Action::ReadBack { store: store.clone(), contents: backup.read_back == file::ReadBack::Contents },
            "what the store has must be what was sent",
            vec![Precondition::AllPartsStored],
        ));
        steps.push(Step::new(
            Action::Commit { store: store.clone() },
            "written last: an interrupted backup leaves nothing that looks complete",
            vec![Precondition::ReadBackAgrees],
        ));
        for copy in &backup.copies {
            steps.push(Step::new(
                Action::Copy { from: store.clone(), to: copy.store.clone() },
                format!("`backups.{name}.copies` names `{}`; it is there within {}", copy.store, copy.within),
                vec![Precondition::StoreAnswers { store: copy.store.clone() }],
            ));
        }
    }
    if let Some(after) = written.and_then(|written| written.after.as_ref()) {
        steps.push(hook(after, format!("`backups.{name}.after` says so, whatever the outcome")));
    }
    if let Some(first) = steps.first_mut() {
        let mut needs = vec![Precondition::NoOtherRun { job: format!("`backups.{name}`") }];
        needs.extend(window);
        needs.extend(first.needs.drain(..).filter(|need| !matches!(need, Precondition::WindowOpen { .. })));
        first.needs = needs;
    }
    steps
}

/// Brings one store up to date, from each that it is copied from.
pub fn of_copy(policy: &Policy, to: &Name) -> Vec<Step> {
    let step = |source: CopySource<'_>| {
        Step::new(
            Action::Copy { from: source.store.clone(), to: to.clone() },
            "what belongs there and is not there yet",
            vec![Precondition::StoreAnswers { store: source.store.clone() }, Precondition::StoreAnswers { store: to.clone() }],
        )
    };
    copy_sources(policy, to).into_iter().map(step).collect()
}

/// How much room a job's first backup is taken to need: compression is expected to halve what the policy says. After that it is what the last one
/// took.
pub fn room_needed(policy: &Policy, backup: &Backup) -> Option<Bytes> {
    let said = backup.size.or_else(|| policy.objectives.assume.cluster_size.filter(|_| backup.method.is_physical()));
    said.map(|size| Bytes::new(size.get() / 2))
}

fn hook(command: &file::Command, reason: String) -> Step {
    Step::new(
        Action::RunHook { program: command.run.clone(), timeout: command.timeout.unwrap_or(Duration::from_mins(5)) },
        reason,
        Vec::new(),
    )
}

fn refreshes(policy: &Policy, name: &Name, steps: &mut Vec<Step>) {
    for (database, timescale) in &policy.file.timescaledb {
        for (view, aggregate) in timescale.continuous_aggregates.iter().filter(|(_, aggregate)| aggregate.refresh_before.contains(name)) {
            steps.push(Step::new(
                Action::RefreshAggregate {
                    database: database.clone(),
                    view: view.clone(),
                    timeout: aggregate.refresh_timeout.unwrap_or(Duration::from_mins(10)),
                },
                format!(
                    "{} is refreshed before this backup",
                    quoted(PolicyPath::from(["timescaledb", database, "continuous_aggregates", view]))
                ),
                vec![Precondition::ServerIsUp],
            ));
        }
    }
}

/// What of a database is dumped, where that is not everything, and how fast at most. How many tables that are, the server says when it is dumped.
fn only(dump: &file::Logical) -> Vec<String> {
    let patterns = [
        ("only the schemas", &dump.schemas),
        ("only the tables", &dump.tables),
        ("without the schemas", &dump.exclude_schemas),
        ("without the tables", &dump.exclude_tables),
        ("without the rows of", &dump.exclude_table_data),
    ];
    let patterns = patterns.into_iter().filter(|(_, patterns)| !patterns.is_empty());
    let mut only: Vec<String> = patterns.map(|(what, patterns)| format!("{what} {}", joined(patterns.iter().map(quoted)))).collect();
    only.extend(dump.lacks().map(|lacks| format!("without {lacks}")));
    only.extend(dump.read_limit.map(|limit| format!("at most {limit}")));
    only
}

fn read(policy: &Policy, backup: &Backup, basis: &str, first: Vec<Precondition>, steps: &mut Vec<Step>) {
    let mut needs = first;
    needs.push(Precondition::ServerIsUp);
    if policy.encryption.is_some() && backup.method.is_stored() {
        needs.push(Precondition::RecipientsKnown);
    }
    match &backup.method {
        Method::Physical(physical) => {
            begin(policy, physical.from, needs, steps);
            steps.push(Step::new(
                Action::ReadDataDirectory { workers: physical.workers },
                "a full copy of the cluster's files",
                Vec::new(),
            ));
            end(policy, backup, steps);
        }
        Method::Incremental { of, chain } => {
            let from = match policy.backups.get(of).map(|base| &base.method) {
                Some(Method::Physical(physical)) => physical.from,
                _ => None,
            };
            begin(policy, from, needs, steps);
            steps.push(Step::new(
                Action::ReadChangedPages { parent_job: of.clone(), chain: *chain },
                "only what changed since its parent",
                vec![Precondition::ParentExists { job: of.clone() }],
            ));
            end(policy, backup, steps);
        }
        Method::Logical(logical) => {
            let jobs = logical.jobs.unwrap_or(1);
            let format = match logical.format {
                Some(file::DumpFormat::Directory) => "directory",
                None if jobs > 1 => "directory",
                _ => "custom",
            };
            let databases = logical.databases.clone().unwrap_or_else(|| policy.databases.clone());
            let only = only(logical);
            for database in databases {
                steps.push(Step::new(
                    Action::DumpDatabase { database, format: format.into(), jobs, only: only.clone() },
                    "a dump as of the moment it begins",
                    needs.clone(),
                ));
            }
            if logical.globals != Some(false) {
                steps.push(Step::new(
                    Action::DumpGlobals,
                    "a dump without its roles cannot be restored as it was",
                    vec![Precondition::ServerIsUp],
                ));
            }
        }
        Method::Tables(tables) => {
            let database = tables.database.clone().or_else(|| policy.databases.first().cloned()).unwrap_or_default();
            let format = match tables.format {
                Some(file::TableFormat::Csv) => "CSV",
                Some(file::TableFormat::Parquet) => "Parquet",
                _ => "`pg_dump`'s custom format",
            };
            steps.push(Step::new(
                Action::DumpTables { database, tables: tables.tables.clone(), format: format.into() },
                "the tables that are needed on their own",
                needs,
            ));
        }
        Method::Files(files) => {
            if !files.paths.is_empty() {
                needs.retain(|need| *need != Precondition::ServerIsUp);
                let reason = if basis.is_empty() { "what a new server needs besides the data" } else { basis };
                steps.push(Step::new(Action::ReadFiles { paths: files.paths.clone() }, reason, needs));
            }
            if files.globals {
                steps.push(Step::new(
                    Action::DumpGlobals,
                    "roles, tablespaces and settings belong to the whole cluster",
                    vec![Precondition::ServerIsUp],
                ));
            }
        }
        Method::Provider(_) => {
            steps.push(Step::new(
                Action::AskProvider { provider: "Aiven".into() },
                "the provider takes the backups; nothing watches their age yet",
                Vec::new(),
            ));
        }
        Method::Engine(engine) => {
            let tool = if engine.pgbackrest.is_some() {
                "pgBackRest"
            } else if engine.wal_g.is_some() {
                "WAL-G"
            } else {
                "Barman"
            };
            let runs = engine.mode == Some(file::EngineMode::Run) || (engine.mode.is_none() && backup.schedule.is_some());
            if runs {
                needs.retain(|need| *need != Precondition::RecipientsKnown);
                steps.push(Step::new(Action::RunEngine { tool: tool.into() }, "the cluster keeps its own tool", needs));
            } else {
                steps.push(Step::new(
                    Action::AskProvider { provider: tool.into() },
                    "the tool takes the backups; nothing watches their age yet",
                    Vec::new(),
                ));
            }
        }
    }
}

fn begin(policy: &Policy, from: Option<file::ReadFrom>, needs: Vec<Precondition>, steps: &mut Vec<Step>) {
    let chosen = policy.hosts.iter().find(|(_, host)| host.backups).map(|(name, host)| (name, host.role));
    let from = match (from, chosen) {
        (Some(file::ReadFrom::Standby), _) => "a standby".to_owned(),
        (Some(file::ReadFrom::Primary), _) => "the primary".to_owned(),
        (Some(file::ReadFrom::Any), _) => "a standby, or the primary when there is none".to_owned(),
        (None, Some((name, _))) => format!("`{name}`"),
        (None, None) => "the primary".to_owned(),
    };
    steps.push(Step::new(Action::BeginBackup { from }, "PostgreSQL must know that its files are being read", needs));
}

fn end(policy: &Policy, backup: &Backup, steps: &mut Vec<Step>) {
    steps.push(Step::new(Action::EndBackup, "gives the position to which the log is needed", Vec::new()));
    let (action, need) = match (&policy.wal, &backup.store) {
        (Some(wal), _) => (Action::WaitForLog { store: wal.store.clone() }, Precondition::LogArrives { store: wal.store.clone() }),
        // Nobody else would keep it.
        (None, Some(store)) => (Action::BringLog { store: store.clone() }, Precondition::LogIsKept),
        (None, None) => return,
    };
    steps.push(Step::new(action, "without the log of its own making it cannot be restored", vec![need]));
}

pub fn of_expire(policy: &Policy, expired: &[(Name, Vec<crate::units::BackupId>)]) -> Vec<Step> {
    let mut steps = Vec::new();
    for store in policy.stores.keys() {
        let backups = expired.iter().find(|(name, _)| name == store).map(|(_, backups)| backups.clone()).unwrap_or_default();
        if backups.is_empty() && keeps_in(policy, store).is_empty() {
            // No job puts backups there: it holds archived rows.
            continue;
        }
        let needs = vec![
            Precondition::StoreAnswers { store: store.clone() },
            Precondition::NotHeld,
            Precondition::NothingNeedsThem,
            Precondition::ClockAgrees { within: Duration::from_mins(2) },
        ];
        steps.push(Step::new(
            Action::MarkExpired { store: store.clone(), backups },
            "the policy keeps only what a rule or a hold wants",
            needs,
        ));
        steps.push(Step::new(
            Action::DeleteMarked { store: store.clone(), after: policy.expire.grace },
            "what is deleted was listed twice, with time in between to object",
            vec![Precondition::StillExpired, Precondition::NotHeld, Precondition::NothingNeedsThem],
        ));
    }
    // Last, and in no hurry: nothing waits for it.
    for store in policy.stores.keys() {
        let classes: BTreeSet<StorageClass> = classes_in(policy, store).values().flat_map(|classes| classes.values().copied()).collect();
        if !classes.is_empty() {
            steps.push(Step::new(
                Action::MoveColder { store: store.clone(), classes: classes.into_iter().collect() },
                "what is kept for long and rarely read lies more cheaply there",
                vec![Precondition::NothingNeedsThem, Precondition::NotHeld, Precondition::NobodyReadsThem, Precondition::NotLocked],
            ));
        }
    }
    steps
}

pub fn of_verify(policy: &Policy, verify: &Verify) -> Vec<Step> {
    let stores: Vec<&Name> = if verify.stores.is_empty() { policy.stores.keys().collect() } else { verify.stores.iter().collect() };
    let needs = |store: &Name| {
        let mut needs = vec![Precondition::StoreAnswers { store: store.clone() }];
        if verify.deep {
            needs.push(Precondition::IdentityThere);
        }
        needs
    };
    stores
        .into_iter()
        .map(|store| {
            Step::new(
                Action::VerifyStore { store: store.clone(), deep: verify.deep },
                "a backup that nobody has read is a hope",
                needs(store),
            )
        })
        .collect()
}

pub fn of_drill(policy: &Policy, drill: &Drill) -> Vec<Step> {
    let newest = if policy.wal.is_some() { "the newest moment that is archived" } else { "its own end" };
    let (job, to) = match &drill.restore {
        DrillRestore::Latest(job) => (job.clone(), newest),
        DrillRestore::Random(job) => (job.clone(), "its own end"),
        DrillRestore::PointInTime(moment) => {
            let job = policy.backups.iter().find(|(_, backup)| matches!(backup.method, Method::Physical(_))).map(|(name, _)| name.clone());
            let Some(job) = job else { return Vec::new() };
            (job, if *moment == file::DrillMoment::Random { "a moment chosen at random" } else { newest })
        }
    };
    if drill.files(policy).is_some() {
        return of_drill_of_files(drill, job);
    }
    let physical = policy.backups.get(&job).is_some_and(|backup| backup.method.is_physical());
    let fetch = vec![Precondition::IdentityThere, Precondition::RoomForRestore, Precondition::NotTheOriginal, Precondition::SameExtensions];
    let fetched = match &drill.tables {
        Some(DrilledTables { database, tables }) => {
            let (database, tables) = (database.clone(), tables.iter().map(ToString::to_string).collect());
            let action = Action::FetchTables { store: drill.from.clone(), job, database, tables };
            Step::new(action, "what an accident with these tables alone would need", fetch)
        }
        None => Step::new(Action::FetchBackup { store: drill.from.clone(), job }, "this is what a recovery would start from", fetch),
    };
    let mut steps = vec![
        fetched,
        Step::new(Action::StartThrowAwayServer, "nothing it does can reach the original", vec![Precondition::NotTheOriginal]),
    ];
    if drill.dump(policy).is_some() || drill.tiers.is_some() {
        // It is loaded into a server that runs.
        steps.reverse();
    }
    if physical && policy.wal.is_some() && drill.tiers.is_none() {
        steps.push(Step::new(Action::ReplayLog { to: to.into() }, "rows written after the base backup must come back too", Vec::new()));
    }
    if let Some(promote) = &drill.promote {
        let words = |program: &Option<file::Command>| program.as_ref().map(|program| program.run.clone());
        let action = Action::RehearsePromotion { fence: words(&promote.fence), after: words(&promote.after) };
        steps.push(Step::new(action, "who is promoted at night has been promoted by day", vec![Precondition::NotTheOriginal]));
    }
    if !drill.expectations.is_empty() {
        steps.push(Step::new(
            Action::CheckExpectations { count: drill.expectations.len() },
            "a server that starts proves little",
            Vec::new(),
        ));
    }
    if let Some(program) = &drill.run {
        steps.push(hook(program, "the application's own tests know what it needs".to_owned()));
    }
    steps.push(Step::new(Action::RemoveThrowAwayServer, "a drill leaves nothing behind", Vec::new()));
    steps
}

fn of_drill_of_files(drill: &Drill, job: Name) -> Vec<Step> {
    let fetch = vec![Precondition::IdentityThere, Precondition::RoomForRestore, Precondition::NotTheOriginal];
    let mut steps = vec![
        Step::new(Action::FetchBackup { store: drill.from.clone(), job }, "this is what a recovery would bring back", fetch),
        Step::new(Action::CompareFiles, "a file that is there proves little", Vec::new()),
    ];
    if let Some(program) = &drill.run {
        steps.push(hook(program, "whoever reads these files knows whether they are right".to_owned()));
    }
    steps.push(Step::new(Action::RemoveFiles, "a drill leaves nothing behind", Vec::new()));
    steps
}

pub fn of_archive(archive: &Archive) -> Vec<Step> {
    let store = archive.store.clone();
    vec![
        Step::new(
            Action::ExportRows { database: archive.database.clone(), table: archive.table.clone(), older_than: archive.after.to_string() },
            format!("{} moves them to `{store}`", quoted(&archive.path)),
            vec![Precondition::ServerIsUp, Precondition::StoreAnswers { store: store.clone() }],
        ),
        Step::new(Action::CompareExport { store }, "only what was read back counts as stored", vec![Precondition::AllPartsStored]),
        Step::new(
            Action::DropArchivedRows { table: archive.table.clone() },
            "they are in the archive",
            vec![Precondition::CopyAgrees, Precondition::NotHeld],
        ),
    ]
}

pub fn of_dropping(dropping: &Dropping) -> Vec<Step> {
    let older_than = dropping.after.to_string();
    let action = Action::DropOldRows { database: dropping.database.clone(), table: dropping.table.clone(), older_than };
    let reason = match dropping.always {
        true => format!("{} lets them go, and the policy leaves it to Seawall; what is held stays", quoted(&dropping.path)),
        false => format!("{} lets them go; what is held stays, which the database's own job would not see", quoted(&dropping.path)),
    };
    vec![Step::new(action, reason, vec![Precondition::ServerIsUp, Precondition::NotHeld])]
}

pub fn of_report(report: &Report) -> Vec<Step> {
    vec![Step::new(Action::SendReport { to: report.to.clone() }, "evidence for those who must show it", Vec::new())]
}

pub fn of_duty(path: &PolicyPath, who: &Name) -> Vec<Step> {
    vec![Step::new(Action::Remind { who: who.clone() }, format!("{} is due", quoted(path)), Vec::new())]
}
