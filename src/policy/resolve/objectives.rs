//! Objectives and drills.

use std::collections::BTreeMap;

use super::Resolver;
use crate::policy::file::{self, Check, HostRole};
use crate::policy::finding::{Code, Finding};
use crate::policy::model::{Drill, DrillRestore, Objectives, Scenario};
use crate::policy::path::PolicyPath;
use crate::units::Name;

const NO_OBJECTIVES: Code = Code(410);
const LOOSER: Code = Code(228);
const BAD_TIER: Code = Code(229);
const COMPARISON: Code = Code(223);
const WRONG_RESTORE: Code = Code(207);
const NEEDS_WAL: Code = Code(406);

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
        self.host(written.host.as_ref(), &path.key("host"));
        let role = written.host.as_ref().and_then(|host| file.cluster.as_ref()?.hosts.get(host)).map(|host| host.role);
        if matches!(role, Some(HostRole::Primary | HostRole::Standby)) {
            self.push(
                Finding::warning(Code(230), path.key("host"), "this drill runs on a host of the cluster itself")
                    .label("takes its memory and disk")
                    .hint("Give it a host with `role: staging`: one that has the identity and no way to the original."),
            );
        }
        for (name, expectation) in &written.expect {
            self.expectation(expectation, &path.key("expect").key(name));
        }
        let schedule = written.schedule.as_ref().map(|schedule| self.schedule(schedule, &path.key("schedule")));
        Some(Drill {
            restore: restore?,
            schedule: schedule.flatten(),
            host: written.host.clone(),
            window: written.window.clone(),
            rehearses: written.rehearses.clone(),
            from: written.from.clone(),
            within: written.within,
            expectations: written.expect.len(),
            timeout: written.timeout,
        })
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

    fn expectation(&mut self, written: &file::Expectation, path: &PolicyPath) {
        let comparisons: Vec<&str> = [
            ("is", written.is.is_some()),
            ("no_rows", written.no_rows.is_some()),
            ("some_rows", written.some_rows.is_some()),
            ("newer_than", written.newer_than.is_some()),
            ("like_source", written.like_source.is_some()),
            ("at_least", written.at_least.is_some()),
            ("at_most", written.at_most.is_some()),
        ]
        .into_iter()
        .filter(|(_, there)| *there)
        .map(|(key, _)| key)
        .collect();
        let range = matches!(comparisons.as_slice(), ["at_least", "at_most"]);
        if written.sql.is_some() {
            let written_there = self.cut.iter().any(|cut| cut.starts_with(path));
            if comparisons.is_empty() && !written_there {
                self.push(
                    Finding::error(COMPARISON, path.clone(), "nothing is expected of the query")
                        .on_key()
                        .label("can only pass")
                        .hint("Add `is`, `at_least`, `at_most`, `no_rows`, `some_rows`, `newer_than` or `like_source`."),
                );
            } else if comparisons.len() > 1 && !range {
                self.push(
                    Finding::error(
                        COMPARISON,
                        path.key(comparisons[1]),
                        format!("`{}` cannot stand beside `{}`", comparisons[1], comparisons[0]),
                    )
                    .on_key()
                    .hint("One comparison a query (`at_least` and `at_most` may stand together); make two expectations."),
                );
            }
            if let (Some(least), Some(most)) = (written.at_least, written.at_most)
                && least > most
            {
                self.push(
                    Finding::error(COMPARISON, path.key("at_most"), format!("no value is at least {least} and at most {most}"))
                        .hint("Exchange the two."),
                );
            }
            for (key, value) in [("no_rows", written.no_rows), ("some_rows", written.some_rows)] {
                if value == Some(false) {
                    self.push(
                        Finding::error(COMPARISON, path.key(key), format!("`{key}: false` expects nothing"))
                            .hint(format!("Write `{key}: true`, or the other one.")),
                    );
                }
            }
        } else if let Some(stray) = comparisons.first() {
            self.push(
                Finding::error(COMPARISON, path.key(stray), format!("`{stray}` means nothing beside `check`"))
                    .on_key()
                    .hint("A check knows what to expect; take it out, or write the query in `sql`."),
            );
        }
        let needs_timescale = matches!(written.check, Some(Check::Hypertables | Check::Jobs));
        if needs_timescale && self.file.timescaledb.is_empty() {
            self.push(
                Finding::warning(COMPARISON, path.key("check"), "the policy declares no hypertables, so this checks nothing")
                    .hint("Declare them under `timescaledb`, or take the check out."),
            );
        }
        if written.sql.is_some() && !self.was_cut(&path.key("sql")) {
            self.database(written.database.as_ref(), path);
        }
    }
}
