//! Objectives and drills.

use std::collections::BTreeMap;

use super::Resolver;
use crate::inventory::TableName;
use crate::policy::file::{self, Check, HostRole, Recover};
use crate::policy::finding::{Code, Finding};
use crate::policy::model::{Drill, DrillRestore, DrilledTables, DrilledTiers, Objectives, Scenario};
use crate::policy::path::PolicyPath;
use crate::policy::sql_name;
use crate::units::{DumpSection, Name};

const NO_OBJECTIVES: Code = Code(410);
const LOOSER: Code = Code(228);
const BAD_TIER: Code = Code(229);
const WRONG_RESTORE: Code = Code(207);
const NEEDS_WAL: Code = Code(406);
const REAL_HOOK: Code = Code(251);
const PASSWORD: Code = Code(211);

impl Resolver<'_> {
    pub(super) fn objectives(&mut self) -> Objectives {
        let path = PolicyPath::from(["objectives"]);
        let Some(written) = &self.file.objectives else {
            if !self.was_cut(&path) {
                self.push(
                    Finding::warning(NO_OBJECTIVES, PolicyPath::top(), "the policy promises nothing: there are no objectives")
                        .hint("Add `objectives: { rpo: 15m, rto: 4h }` so that it can be proved that the schedules keep them."),
                );
            }
            return Objectives {
                rpo: None,
                rto: None,
                any_moment: None,
                some_backup: None,
                scenarios: BTreeMap::new(),
                data: BTreeMap::new(),
                assume: file::Assume::default(),
            };
        };
        let mut scenarios = BTreeMap::new();
        for (name, scenario) in &written.scenarios {
            let at = path.key("scenarios").key(name);
            let from = self.stores_named(scenario.from.as_ref(), &at.key("from"));
            let using = self.jobs_named(scenario.using.as_ref(), &at.key("using"));
            // What was promised may stand in the wrong place, or be written wrongly.
            let unread = self.was_cut_within(&path) || self.was_cut(&["rpo"].into()) || self.was_cut(&["rto"].into());
            if !unread && scenario.rpo.is_none() && scenario.rto.is_none() && written.rpo.is_none() && written.rto.is_none() {
                self.push(
                    Finding::warning(NO_OBJECTIVES, at.clone(), "this scenario promises nothing").on_key().hint("Add `rpo` and `rto`."),
                );
            }
            let resolved = Scenario {
                recover: scenario.recover,
                by: scenario.by,
                from,
                using,
                rpo: scenario.rpo.or(written.rpo),
                rto: scenario.rto.or(written.rto),
                priority: scenario.priority,
                severity: scenario.severity,
            };
            scenarios.insert(name.clone(), resolved);
        }
        for (name, tier) in &written.data {
            let at = path.key("data").key(name);
            for (key, _) in [("everything", tier.everything), ("rest", tier.rest)].iter().filter(|(_, value)| *value == Some(false)) {
                let hint = format!("List the `tables`, or write `{key}: true`.");
                self.push(Finding::error(BAD_TIER, at.key(key), format!("`{key}: false` names no tables")).hint(hint));
            }
            if tier.tables.is_some() {
                self.database(tier.database.as_ref(), &at);
            }
            for (index, table) in tier.tables.iter().flatten().enumerate() {
                self.sql_name(table, 2, &at.key("tables").item(index));
            }
            if let Some(rto) = written.rto
                && tier.rto > rto
            {
                self.push(
                    Finding::warning(LOOSER, at.key("rto"), format!("this tier may take {} and the whole cluster only {rto}", tier.rto))
                        .hint("A part is never later than the whole: lower this one, or raise `objectives.rto`.")
                        .related(path.key("rto"), "the whole cluster"),
                );
            }
        }
        Objectives {
            rpo: written.rpo,
            rto: written.rto,
            any_moment: written.reach_back.as_ref().and_then(|reach| reach.any_moment),
            some_backup: written.reach_back.as_ref().and_then(|reach| reach.some_backup),
            scenarios,
            data: written.data.clone(),
            assume: written.assume.clone().unwrap_or_default(),
        }
    }

    fn stores_named(&mut self, names: Option<&file::OneOrMany<Name>>, path: &PolicyPath) -> Vec<Name> {
        let declared = self.file.stores.keys().map(Name::as_str).collect();
        self.named(names, path, "stores", declared)
    }

    fn jobs_named(&mut self, names: Option<&file::OneOrMany<Name>>, path: &PolicyPath) -> Vec<Name> {
        let declared = self.file.backups.keys().map(Name::as_str).collect();
        self.named(names, path, "backups", declared)
    }

    fn named(&mut self, names: Option<&file::OneOrMany<Name>>, path: &PolicyPath, section: &str, declared: Vec<&str>) -> Vec<Name> {
        let Some(names) = names else { return Vec::new() };
        for (index, name) in names.as_slice().iter().enumerate() {
            let at = if matches!(names, file::OneOrMany::One(_)) { path.clone() } else { path.item(index) };
            self.refer_to(name.as_str(), declared.iter().copied(), section, &at);
        }
        names.as_slice().to_vec()
    }

    pub(super) fn drills(&mut self) -> BTreeMap<Name, Drill> {
        let mut drills = BTreeMap::new();
        for (name, written) in &self.file.drills {
            let path = PolicyPath::from(["drills", name.as_str()]);
            if let Some(drill) = self.drill(written, &path) {
                drills.insert(name.clone(), drill);
            }
        }
        if let Some(canary) = &self.file.canary {
            self.database(Some(&canary.database), &["canary"].into());
        }
        drills
    }

    fn drill(&mut self, written: &file::Drill, path: &PolicyPath) -> Option<Drill> {
        let file = self.file;
        let restore = self.drill_restore(&written.restore, &path.key("restore"));
        if let Some(DrillRestore::Latest(job) | DrillRestore::Random(job)) = &restore
            && file.backups.get(job).is_some_and(|job| job.files.is_some())
        {
            self.drill_of_files(written, job, path);
        }
        if let Some(DrillRestore::Latest(job) | DrillRestore::Random(job)) = &restore
            && let Some(dump) = file.backups.get(job).and_then(|job| job.logical.as_ref())
        {
            self.drill_of_sections(written, (job, dump), path);
        }
        if let Some(window) = &written.window {
            self.refer(window, &file.windows, "windows", &path.key("window"));
        }
        if let Some(store) = &written.from {
            self.refer(store, &file.stores, "stores", &path.key("from"));
        }
        if let Some(scenario) = &written.rehearses {
            let scenarios = file.objectives.as_ref().map(|objectives| objectives.scenarios.clone()).unwrap_or_default();
            self.refer(scenario, &scenarios, "objectives.scenarios", &path.key("rehearses"));
        }
        if let Some(directory) = &written.directory {
            self.absolute(directory, &path.key("directory"));
        }
        self.host(written.host.as_ref(), &path.key("host"));
        let role = written.host.as_ref().and_then(|host| file.cluster.as_ref()?.hosts.get(host)).map(|host| host.role);
        if matches!(role, Some(HostRole::Primary | HostRole::Standby)) {
            self.push(
                Finding::warning(Code(230), path.key("host"), "this drill runs on a host of the cluster itself")
                    .label("takes its memory and disk")
                    .hint("Give it a host with `role: staging`: one that has the identity and no way to the original."),
            );
        }
        let mut expectations = BTreeMap::new();
        for (name, expectation) in &written.expect {
            expectations.extend(self.expectation(expectation, &path.key("expect").key(name)).map(|one| (name.clone(), one)));
        }
        self.parquet(written, path);
        let tables = self.drill_of_tables(written, path);
        let tiers = self.drill_of_tiers(written, path);
        if let Some(promote) = &written.promote {
            self.rehearsal(promote, &written.restore, path);
        }
        let schedule = written.schedule.as_ref().map(|schedule| self.schedule(schedule, &path.key("schedule")));
        Some(Drill {
            // It is of what the whole policy says, and that is not together yet.
            definition: String::new(),
            restore: restore?,
            tables,
            tiers,
            schedule: schedule.flatten(),
            host: written.host.clone(),
            window: written.window.clone(),
            rehearses: written.rehearses.clone(),
            from: written.from.clone(),
            within: written.within,
            directory: written.directory.clone(),
            expectations,
            run: written.run.clone(),
            promote: written.promote.clone(),
            timeout: written.timeout,
        })
    }

    /// Rows as Parquet are read back, and nobody makes a table of them that could be asked.
    fn parquet(&mut self, written: &file::Drill, path: &PolicyPath) {
        let Some(job) = written.restore.latest.as_ref().or(written.restore.random.as_ref()) else { return };
        let tables = self.file.backups.get(job).and_then(|backup| backup.tables.as_ref());
        if tables.is_none_or(|tables| tables.format != Some(file::TableFormat::Parquet)) {
            return;
        }
        for key in [(!written.expect.is_empty()).then_some("expect"), written.run.is_some().then_some("run")].into_iter().flatten() {
            self.push(
                Finding::error(
                    WRONG_RESTORE,
                    path.key(key),
                    format!("`backups.{job}` has its rows as Parquet: no table is made that could be asked"),
                )
                .on_key()
                .hint("Take it out: the rows are read back, counted and compared. Or let the job say `format: csv` or `custom`."),
            );
        }
    }

    /// A standby goes to the newest moment that there is, and never does what only a real promotion may do.
    fn rehearsal(&mut self, written: &file::Rehearsal, restore: &file::DrillRestore, path: &PolicyPath) {
        let (file, at) = (self.file, path.key("promote"));
        if file.wal.is_none() && !self.was_cut(&["wal"].into()) {
            self.push(
                Finding::error(NEEDS_WAL, at.clone(), "a standby follows the log, and the log is not archived")
                    .on_key()
                    .hint("Add a `wal` section, or take `promote` out."),
            );
        }
        let restores = path.key("restore");
        let dump = restore.latest.as_ref().filter(|job| {
            let job = file.backups.get(*job);
            job.is_some_and(|job| job.physical.is_none() && job.incremental.is_none() && job.provider.is_none())
        });
        if let Some(job) = dump {
            self.push(
                Finding::error(
                    WRONG_RESTORE,
                    restores.key("latest"),
                    format!("`backups.{job}` is no copy of a cluster: it makes no standby"),
                )
                .hint("Name a physical job, or take `promote` out."),
            );
        }
        let elsewhere = match (&restore.random, restore.point_in_time) {
            (Some(_), _) => Some("random"),
            (None, Some(file::DrillMoment::Random)) => Some("point_in_time"),
            _ => None,
        };
        if let Some(key) = elsewhere {
            self.push(
                Finding::error(WRONG_RESTORE, restores.key(key), "a standby is promoted at the newest moment, and at no other")
                    .hint("Write `latest: JOB` or `point_in_time: newest`, or take `promote` out."),
            );
        }
        let hooks =
            file.hooks.iter().flat_map(|hooks| [("before_promote", &hooks.before_promote), ("after_promote", &hooks.after_promote)]);
        let real: Vec<(&str, &file::Command)> = hooks.filter_map(|(key, hook)| Some((key, hook.as_ref()?))).collect();
        for (key, command) in [("fence", &written.fence), ("after", &written.after)] {
            let Some(command) = command else { continue };
            let Some((hook, _)) = real.iter().find(|(_, real)| real.run == command.run) else { continue };
            self.push(
                Finding::error(REAL_HOOK, at.key(key).key("run"), format!("this is `hooks.{hook}`, word for word"))
                    .label("would do it to the real servers")
                    .hint("Give it a word by which it only sees whether it could, or another program; `SEAWALL_REHEARSAL` is set as well.")
                    .related(["hooks", *hook, "run"].into(), "the real one"),
            );
        }
        if written.stream.as_deref().is_some_and(super::holds_password) {
            self.push(
                Finding::error(PASSWORD, at.key("stream"), "a password must not stand in a connection")
                    .masked()
                    .label("holds a password")
                    .hint("Put it into a password file of the server's account (`passfile=…`) or a service (`service=…`). Change the password: it has been written down."),
            );
        }
    }

    /// There is no database in it, and no scenario is recovered from with it alone.
    fn drill_of_files(&mut self, written: &file::Drill, job: &Name, path: &PolicyPath) {
        if let Some(name) = written.expect.keys().next() {
            self.push(
                Finding::error(
                    WRONG_RESTORE,
                    path.key("expect").key(name),
                    format!("`backups.{job}` copies files, and no database can be asked"),
                )
                .on_key()
                .hint("Every file is compared with the backup anyway; `run` can try them, with their folder in `SEAWALL_FILES`."),
            );
        }
        if written.rehearses.is_some() {
            self.push(
                Finding::error(
                    WRONG_RESTORE,
                    path.key("rehearses"),
                    format!("`backups.{job}` copies files, and no scenario is met by them alone"),
                )
                .hint("Rehearse it with a drill of a physical backup or a dump; `within` limits this one."),
            );
        }
    }

    /// What a dump does not have cannot be drilled.
    fn drill_of_sections(&mut self, written: &file::Drill, (job, dump): (&Name, &file::Logical), path: &PolicyPath) {
        let sections = PolicyPath::from(["backups", job.as_str(), "logical", "sections"]);
        let lacks = |at: PolicyPath, message: String, hint: &'static str| {
            Finding::error(WRONG_RESTORE, at, message).hint(hint).related(sections.clone(), "what the dump has")
        };
        if !dump.has(DumpSection::PreData) {
            let key = if written.restore.latest.is_some() { "latest" } else { "random" };
            let message = format!("`backups.{job}` has no definitions (`sections`), and nothing makes the tables that its rows go into");
            let hint = "Drill a job whose dump has them; `seawall verify --deep` reads this one to its last row.";
            return self.push(lacks(path.key("restore").key(key), message, hint));
        }
        if dump.has(DumpSection::Data) {
            return;
        }
        let of_rows = |written: &&file::Expectation| matches!(written.check, Some(Check::RowCounts | Check::ConstraintsValid));
        for (name, _) in written.expect.iter().filter(|(_, written)| of_rows(written)) {
            let message = format!("`backups.{job}` has no rows (`sections`), and this check looks at rows");
            let hint = "Take it out; that the definitions can be made is what this drill shows.";
            self.push(lacks(path.key("expect").key(name).key("check"), message, hint));
        }
    }

    /// Only they are whole in the copy: whoever asks for another table there finds nothing, and in another database not even a server.
    fn drill_of_tables(&mut self, written: &file::Drill, path: &PolicyPath) -> Option<DrilledTables> {
        let (file, restore, at) = (self.file, &written.restore, path.key("restore"));
        if restore.tables.is_empty() {
            if restore.database.is_some() && restore.tiers.is_empty() {
                self.push(
                    Finding::error(WRONG_RESTORE, at.key("database"), "`database` says where `tables` or `tiers` are, and none are named")
                        .on_key()
                        .hint("Name them; without `tables` and `tiers` every database comes back."),
                );
            }
            return None;
        }
        let mut tables = Vec::new();
        for (index, name) in restore.tables.iter().enumerate() {
            if self.sql_name(name, 2, &at.key("tables").item(index)) {
                let mut parts = sql_name::meaning(name);
                let name = parts.pop().unwrap_or_default();
                tables.push(TableName { schema: parts.pop().unwrap_or_else(|| "public".to_owned()), name });
            }
        }
        let (key, job) = (if restore.latest.is_some() { "latest" } else { "random" }, restore.latest.as_ref().or(restore.random.as_ref()));
        let is_copy = |job: &file::Backup| job.physical.is_some() || job.incremental.is_some();
        if let Some(job) = job.filter(|job| file.backups.get(*job).is_some_and(|job| !is_copy(job))) {
            self.push(
                Finding::error(
                    WRONG_RESTORE,
                    at.key(key),
                    format!("`backups.{job}` is no copy of a cluster, of which tables could be taken alone"),
                )
                .hint("Name a physical job, or take `tables` out: a drill of this job restores all that it has."),
            );
        }
        if written.promote.is_some() {
            self.push(
                Finding::error(WRONG_RESTORE, path.key("promote"), "a copy of a few tables is no standby that could be promoted")
                    .on_key()
                    .hint("Rehearse the promotion with a drill of its own."),
            );
        }
        let scenarios = file.objectives.as_ref().map(|objectives| &objectives.scenarios);
        let rehearsed = written.rehearses.as_ref().and_then(|name| scenarios?.get_key_value(name));
        if let Some((name, _)) = rehearsed.filter(|(_, scenario)| !matches!(scenario.recover, Recover::Table | Recover::Rows)) {
            self.push(
                Finding::error(
                    WRONG_RESTORE,
                    path.key("rehearses"),
                    format!("a few tables are not all that `{name}` brings back: how long they take says nothing of it"),
                )
                .hint("Rehearse it with a drill without `tables`; `within` limits this one.")
                .related(["objectives", "scenarios", name.as_str(), "recover"].into(), "what must come back"),
            );
        }
        let database = self.database(restore.database.as_ref(), &at)?;
        for (name, expectation) in &written.expect {
            self.expected_of_tables(expectation, &database, &path.key("expect").key(name));
        }
        Some(DrilledTables { database, tables })
    }

    /// One database comes back in them, from a dump of it or out of a physical backup.
    fn drill_of_tiers(&mut self, written: &file::Drill, path: &PolicyPath) -> Option<DrilledTiers> {
        let (file, restore, at) = (self.file, &written.restore, path.key("restore"));
        if restore.tiers.is_empty() {
            return None;
        }
        let data = file.objectives.as_ref().map(|objectives| objectives.data.clone()).unwrap_or_default();
        let mut all_known = true;
        for (index, name) in restore.tiers.iter().enumerate() {
            all_known &= self.refer(name, &data, "objectives.data", &at.key("tiers").item(index));
        }
        if !restore.tables.is_empty() {
            self.push(
                Finding::error(WRONG_RESTORE, at.key("tiers"), "`tables` brings back these tables alone, and `tiers` a whole database")
                    .on_key()
                    .hint("Make two drills of it."),
            );
        }
        if written.promote.is_some() {
            self.push(
                Finding::error(WRONG_RESTORE, path.key("promote"), "a database that comes back tier by tier is no standby")
                    .on_key()
                    .hint("Rehearse the promotion with a drill of its own."),
            );
        }
        let (key, job) = (if restore.latest.is_some() { "latest" } else { "random" }, restore.latest.as_ref().or(restore.random.as_ref()));
        let is_whole = |logical: &file::Logical| !logical.is_partial();
        let has_all =
            |job: &file::Backup| job.physical.is_some() || job.incremental.is_some() || job.logical.as_ref().is_some_and(is_whole);
        if let Some(job) = job.filter(|job| file.backups.get(*job).is_some_and(|job| !has_all(job))) {
            self.push(
                Finding::error(
                    WRONG_RESTORE,
                    at.key(key),
                    format!("`backups.{job}` has no whole database that could come back tier by tier"),
                )
                .hint("Name a job with `logical` that leaves nothing out, or a physical one, or take `tiers` out."),
            );
        }
        let scenarios = file.objectives.as_ref().map(|objectives| &objectives.scenarios);
        let rehearsed = written.rehearses.as_ref().and_then(|name| scenarios?.get_key_value(name));
        if let Some((name, _)) = rehearsed.filter(|(_, scenario)| matches!(scenario.recover, Recover::Cluster | Recover::Files)) {
            self.push(
                Finding::error(
                    WRONG_RESTORE,
                    path.key("rehearses"),
                    format!("tier by tier all of it takes longer than at once, and says nothing of `{name}`"),
                )
                .hint("Rehearse it with a drill without `tiers`; each tier is judged by its own `rto` anyway.")
                .related(["objectives", "scenarios", name.as_str(), "recover"].into(), "what must come back"),
            );
        }
        let database = self.database(restore.database.as_ref(), &at)?;
        for (index, name) in restore.tiers.iter().enumerate() {
            if let Some(other) = data.get(name).and_then(|tier| tier.database.as_ref()).filter(|other| **other != database) {
                self.push(
                    Finding::error(
                        WRONG_RESTORE,
                        at.key("tiers").item(index),
                        format!("this tier is of `{other}`, and `{database}` comes back"),
                    )
                    .hint("Make a drill of each database.")
                    .related(["objectives", "data", name.as_str(), "database"].into(), "where it is"),
                );
            }
        }
        for (name, expectation) in &written.expect {
            if let Some(other) = expectation.database.as_ref().filter(|other| **other != database) {
                self.push(
                    Finding::error(
                        WRONG_RESTORE,
                        path.key("expect").key(name).key("database"),
                        format!("only `{database}` is in the copy, tier by tier, and nothing of `{other}`"),
                    )
                    .hint("Take it out, or make another drill of it."),
                );
            }
        }
        all_known.then(|| DrilledTiers { database, tiers: restore.tiers.clone() })
    }

    fn expected_of_tables(&mut self, expectation: &file::Expectation, database: &str, path: &PolicyPath) {
        if expectation.check.is_some() {
            self.push(
                Finding::error(
                    WRONG_RESTORE,
                    path.key("check"),
                    "a check looks at everything, and only the drill's `tables` are in the copy",
                )
                .hint("Ask them by `sql`; their rows are counted anyway."),
            );
        }
        if let Some(other) = expectation.database.as_ref().filter(|other| *other != database) {
            self.push(
                Finding::error(
                    WRONG_RESTORE,
                    path.key("database"),
                    format!("only `{database}` is in the copy, with the drill's `tables`, and nothing of `{other}`"),
                )
                .hint("Take it out, or make another drill of it."),
            );
        }
    }

    fn drill_restore(&mut self, written: &file::DrillRestore, path: &PolicyPath) -> Option<DrillRestore> {
        let file = self.file;
        if let Some(moment) = written.point_in_time {
            if file.wal.is_none() && !self.was_cut(&["wal"].into()) {
                self.push(
                    Finding::error(
                        NEEDS_WAL,
                        path.key("point_in_time"),
                        "no moment between backups can be recovered: the log is not archived",
                    )
                    .hint("Add a `wal` section, or drill `latest: JOB`."),
                );
            }
            return Some(DrillRestore::PointInTime(moment));
        }
        let (key, job) = if let Some(job) = &written.latest { ("latest", job) } else { ("random", written.random.as_ref()?) };
        if !self.refer(job, &file.backups, "backups", &path.key(key)) {
            return None;
        }
        if file.backups.get(job).is_some_and(|job| job.provider.is_some()) {
            self.push(
                Finding::error(WRONG_RESTORE, path.key(key), format!("`backups.{job}` lies with the provider and cannot be restored here"))
                    .hint("Drill a backup of your own; `logical` takes one from a managed service."),
            );
        }
        Some(if key == "latest" { DrillRestore::Latest(job.clone()) } else { DrillRestore::Random(job.clone()) })
    }
}
