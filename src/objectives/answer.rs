//! Which backups answer a question, and out of which store: of all that can, the one that loses least.

use std::rc::Rc;

use super::figures::{Figures, Sum};
use super::loss;
use super::outcome::{Answer, Margin, Objective, Row, SubjectKind, Way, WorstCase};
use super::question::Question;
use super::time::{self, Run};
use crate::policy::file::{self, HostRole, Procedure, Recover};
use crate::policy::model::{Backup, Method, Wal};
use crate::policy::pattern;
use crate::retention::{Keep, TierKind};
use crate::units::{Duration, Name};

/// A question and what came of it.
#[derive(Debug)]
pub(super) struct Case<'p> {
    pub question: Question<'p>,
    pub outcome: Result<Found<'p>, Refusal>,
}

/// Something that answers.
#[derive(Debug, Clone)]
pub(super) struct Found<'p> {
    pub way: Way,
    pub job: Option<&'p Name>,
    pub store: Option<&'p Name>,
    /// The job whose backups lose most, where the roles come from another one.
    pub loses: Option<&'p Name>,
    pub why: String,
    /// Shared: hundreds of scenarios rest on the same few backups.
    pub loss: Rc<Sum>,
    pub time: Rc<Sum>,
}

/// Why nothing does, and what would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub reason: String,
    pub hint: String,
}

impl Found<'_> {
    pub fn sum(&self, what: Objective) -> &Sum {
        match what {
            Objective::Rpo => &self.loss,
            Objective::Rto => &self.time,
        }
    }
}

impl Case<'_> {
    /// As far as it was measured: how long all takes is no measure of a part.
    pub fn measured(mut self) -> Self {
        if let Ok(found) = &mut self.outcome
            && found.time.at_most
        {
            found.time = Rc::new(found.time.of_the_part());
        }
        self
    }

    /// The objectives a subject has, each against its worst case.
    pub fn into_rows(self) -> Vec<Row> {
        let Case { question, outcome } = self;
        let (loss, time, answer) = match outcome {
            Ok(Found { way, job, store, why, loss, time, loses: _ }) => (
                Rc::unwrap_or_clone(loss).into_worst(),
                Rc::unwrap_or_clone(time).into_worst(),
                Some(Answer { way, job: job.cloned(), store: store.cloned(), why }),
            ),
            Err(Refusal { reason, .. }) => {
                let unknown = WorstCase::Unknown { reason, at_least: Duration::ZERO, parts: Vec::new() };
                (unknown.clone(), unknown, None)
            }
        };
        let row = |what: Objective, worst: WorstCase| {
            let target = question.target(what).value;
            let margin = Margin::of(target, &worst);
            Row { subject: question.subject.clone(), what, target, worst, margin, answer: answer.clone() }
        };
        let rto = row(Objective::Rto, time);
        // A tier of data only has a time.
        if question.subject.kind == SubjectKind::Tier { vec![rto] } else { vec![row(Objective::Rpo, loss), rto] }
    }
}

pub(super) fn answered<'p>(figures: &Figures<'p>, question: Question<'p>) -> Case<'p> {
    let search = Search { figures, question: &question };
    let outcome = search.run();
    Case { question, outcome }
}

struct Search<'s, 'p> {
    figures: &'s Figures<'p>,
    question: &'s Question<'p>,
}

/// A job's backups in one store.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stock<'p> {
    pub name: &'p Name,
    pub backup: &'p Backup,
    pub store: &'p Name,
    /// How much later than the backup itself they are there; none in the job's first store.
    pub within: Option<Duration>,
    /// Only what this tier keeps gets there, or a coarser one.
    pub only: Option<TierKind>,
    /// The rule in that store.
    pub keep: &'p Keep,
}

impl<'p> Stock<'p> {
    /// In the job's first store.
    pub fn first(name: &'p Name, backup: &'p Backup) -> Option<Stock<'p>> {
        let store = backup.store.as_ref()?;
        Some(Stock { name, backup, store, within: None, only: None, keep: &backup.keep })
    }

    /// In the stores that get copies of them; one that nothing gets into is none.
    pub fn copies(name: &'p Name, backup: &'p Backup) -> impl Iterator<Item = Stock<'p>> {
        backup.copies.iter().filter(|copy| !copy.stays_empty()).map(move |copy| Stock {
            name,
            backup,
            store: &copy.store,
            within: Some(copy.within),
            only: copy.finest_tier(),
            keep: &copy.keep,
        })
    }
}

impl<'p> Search<'_, 'p> {
    fn run(&self) -> Result<Found<'p>, Refusal> {
        match self.question.by {
            Some(Procedure::PromoteStandby) => self.promotion(),
            Some(Procedure::External) => self.external().ok_or_else(|| Refusal {
                reason: "no `provider` or `engine` job is declared that could".into(),
                hint: "Declare the tool or provider under `backups`, or take `by: external` out.".into(),
            }),
            Some(Procedure::PointInTime) => self.best(self.point_in_time()).ok_or_else(|| self.no_point_in_time()),
            Some(Procedure::NewestBackup) => self.newest().ok_or_else(|| self.no_backup()),
            None => {
                let own = self.best(self.point_in_time()).or_else(|| self.newest());
                own.or_else(|| self.external()).ok_or_else(|| self.no_backup())
            }
        }
    }

    /// The smallest loss decides, then the shortest time; for a tier of data, whose only promise is a time, the other way round.
    fn best(&self, candidates: Vec<Found<'p>>) -> Option<Found<'p>> {
        let key = |found: &Found<'_>| {
            let (loss, time) = (found.loss.weight(), found.time.weight());
            if self.question.tier.is_some() { (time, loss) } else { (loss, time) }
        };
        candidates.into_iter().min_by_key(key)
    }

    /// Where a job's backups may be taken from.
    fn stocks(&self, name: &'p Name, backup: &'p Backup) -> Vec<Stock<'p>> {
        let mut stocks: Vec<Stock<'p>> = Stock::first(name, backup).into_iter().collect();
        if !self.question.from.is_empty() {
            stocks.extend(Stock::copies(name, backup));
            stocks.retain(|stock| self.question.from.contains(stock.store));
        }
        stocks
    }

    /// The jobs that run by the clock. What this version cannot run promises nothing.
    fn scheduled(&self) -> impl Iterator<Item = (&'p Name, &'p Backup)> {
        self.figures.policy.backups.iter().filter(|(_, backup)| backup.schedule.is_some() && backup.method.runs_in_this_version())
    }

    /// Naming an increment names its base as well.
    fn uses_base(&self, name: &Name) -> bool {
        let of_it = |used: &Name| self.figures.policy.base_of(used) == name;
        self.question.uses(name) || self.question.using.iter().any(of_it)
    }

    /// The store the log is taken from, and how far it may be behind the first.
    fn log(&self) -> Option<(&'p Wal, &'p Name, bool)> {
        let wal = self.figures.policy.wal.as_ref()?;
        let from = self.question.from;
        if from.is_empty() || from.contains(&wal.store) {
            return Some((wal, &wal.store, false));
        }
        let copy = wal.copies.iter().find(|copy| from.contains(copy))?;
        Some((wal, copy, !wal.acknowledged_by_all))
    }

    fn point_in_time(&self) -> Vec<Found<'p>> {
        if self.question.recover == Recover::Files {
            return Vec::new();
        }
        let Some((wal, log, lags)) = self.log() else { return Vec::new() };
        let mut found = Vec::new();
        let loss = Rc::new(loss::point_in_time(self.figures, self.question, wal, log, lags));
        for (name, backup) in self.scheduled() {
            if !matches!(backup.method, Method::Physical(_)) || !self.uses_base(name) {
                continue;
            }
            for base in self.stocks(name, backup) {
                let mut add = |increments: Option<Stock<'p>>| {
                    let run = Run::Since { job: increments.unwrap_or(base) };
                    let time = self.physical(&base, increments.as_ref(), Some(log), &run);
                    let loss = Rc::clone(&loss);
                    let mut why = format!("the log is archived to `{log}`, so any moment can be had");
                    if let Some(increments) = increments {
                        why.push_str(&format!("; `{}` shortens the replay", increments.name));
                    }
                    found.push(Found { way: Way::PointInTime, job: Some(name), store: Some(base.store), loses: None, why, loss, time });
                };
                add(None);
                for (child, increment) in self.increments_of(name) {
                    let there = self.stocks(child, increment).into_iter().find(|stock| stock.store == base.store && is_whole(stock, &base));
                    if there.is_some() {
                        add(there);
                    }
                }
            }
        }
        found
    }

    /// What is restored from one store takes equally long whoever asks, but for a tier of data with a size of its own, and for a part of it.
    fn physical(&self, base: &Stock<'p>, increments: Option<&Stock<'p>>, log: Option<&'p Name>, run: &Run<'p>) -> Rc<Sum> {
        let reckoned = || Rc::new(self.bounded(time::physical(self.figures, self.question, base, increments, log, run)));
        if self.question.tier.is_some() || self.question.is_a_part() {
            return reckoned();
        }
        let key = (base.name, base.store, increments.map(|stock| stock.name), log);
        if let Some(known) = self.figures.restores.borrow().get(&key) {
            return Rc::clone(known);
        }
        let sum = reckoned();
        self.figures.restores.borrow_mut().insert(key, Rc::clone(&sum));
        sum
    }

    /// That all of it takes longer than a part of it may says nothing against the part.
    fn bounded(&self, sum: Sum) -> Sum {
        let is_beyond = self.question.rto.value.is_some_and(|promised| sum.total() > promised);
        if sum.at_most && is_beyond { sum.of_the_part() } else { sum }
    }

    fn increments_of(&self, base: &Name) -> impl Iterator<Item = (&'p Name, &'p Backup)> {
        self.scheduled().filter(move |(name, backup)| {
            matches!(&backup.method, Method::Incremental { of, .. } if of == base) && self.question.uses(name)
        })
    }

    fn newest(&self) -> Option<Found<'p>> {
        let suited: Vec<_> = self.scheduled().filter(|(name, backup)| self.suits(name, backup).is_ok()).collect();
        let found: Vec<Found<'p>> = suited.iter().flat_map(|(name, backup)| self.newest_of(name, backup)).collect();
        let many = suited.len() > 1;
        let alone = self.best(found).map(|best| Found {
            why: match best.job {
                Some(job) if many => format!("of all jobs that can, `{job}` loses least"),
                _ => "no other job can".to_owned(),
            },
            ..best
        });
        self.best(alone.into_iter().chain(self.dumps_together()).collect())
    }

    fn newest_of(&self, name: &'p Name, backup: &'p Backup) -> Vec<Found<'p>> {
        let mut found = Vec::new();
        for stock in self.stocks(name, backup) {
            let time = match &backup.method {
                Method::Physical(_) => self.physical(&stock, None, None, &Run::During { job: stock }),
                Method::Incremental { of, .. } => {
                    let base = self.figures.job(of).and_then(|(of, base)| {
                        self.stocks(of, base).into_iter().find(|base| base.store == stock.store && is_whole(&stock, base))
                    });
                    let Some(base) = base else { continue };
                    self.physical(&base, Some(&stock), None, &Run::During { job: stock })
                }
                Method::Files(_) => Rc::new(time::files(self.figures, self.question, &stock)),
                _ => Rc::new(self.bounded(time::load(self.figures, self.question, &[stock]))),
            };
            let loss = Rc::new(loss::newest_backup(self.figures, self.question, &stock));
            let Some((loses, loss)) = self.with_roles(std::iter::once(backup), name, loss) else { continue };
            let loses = Some(loses);
            found.push(Found { way: Way::NewestBackup, job: Some(name), store: Some(stock.store), loses, why: String::new(), loss, time });
        }
        found
    }

    /// One dump for each database: together they are all of them, and the one that loses most decides.
    fn dumps_together(&self) -> Option<Found<'p>> {
        if self.question.recover == Recover::Files {
            return None;
        }
        let dumps: Vec<(Stock<'p>, Rc<Sum>)> = self
            .scheduled()
            .filter(|(name, backup)| self.question.uses(name) && whole_dump(backup).is_some())
            .flat_map(|(name, backup)| self.stocks(name, backup))
            .map(|dump| (dump, Rc::new(loss::newest_backup(self.figures, self.question, &dump))))
            .collect();
        let mut chosen: Vec<&(Stock<'p>, Rc<Sum>)> = Vec::new();
        for database in self.databases() {
            let holds = |(dump, _): &&(Stock<'p>, Rc<Sum>)| {
                self.figures.policy.dumped(&dump.backup.method).is_some_and(|all| all.contains(database))
            };
            let best = dumps.iter().filter(holds).min_by_key(|(_, loss)| loss.weight())?;
            if !chosen.iter().any(|known| std::ptr::eq(*known, best)) {
                chosen.push(best);
            }
        }
        let (worst, loss) = chosen.iter().max_by_key(|(_, loss)| loss.weight())?;
        let (loses, loss) = self.with_roles(chosen.iter().map(|(dump, _)| dump.backup), worst.name, Rc::clone(loss))?;
        let dumps: Vec<Stock<'p>> = chosen.iter().map(|(dump, _)| *dump).collect();
        let load = |dumps: &[Stock<'p>]| Rc::new(self.bounded(time::load(self.figures, self.question, dumps)));
        let time = if self.asks_for_all() {
            load(&dumps)
        } else {
            // Nobody knows which of them it will be.
            dumps.iter().map(|dump| load(std::slice::from_ref(dump))).max_by_key(|time| time.weight())?
        };
        let why = "every database has a dump of its own; this one loses most".to_owned();
        Some(Found { way: Way::NewestBackup, job: Some(worst.name), store: Some(worst.store), loses: Some(loses), why, loss, time })
    }

    /// The databases that must come back: of a tier of tables only its own. Empty where the policy names none.
    fn databases(&self) -> Vec<&'p String> {
        let known = &self.figures.policy.databases;
        match self.question.tier.filter(|tier| tier.tables.is_some()) {
            Some(tier) => tier.database.as_ref().or(known.first()).into_iter().collect(),
            None => known.iter().collect(),
        }
    }

    /// Everything must come back at once, and not one database, or a part of one.
    fn asks_for_all(&self) -> bool {
        let is_scenario = self.question.subject.kind == SubjectKind::Scenario;
        self.question.recover == Recover::Cluster || (self.question.recover == Recover::Database && !is_scenario)
    }

    /// A cluster comes back with its roles: where the dumps have none, those beside them count too. With the job that loses most.
    fn with_roles<'b>(&self, mut of: impl Iterator<Item = &'b Backup>, job: &'p Name, loss: Rc<Sum>) -> Option<(&'p Name, Rc<Sum>)> {
        let is_dump_without = |backup: &Backup| backup.method.is_dumped() && !has_globals(&backup.method);
        if self.question.recover != Recover::Cluster || !of.all(is_dump_without) {
            return Some((job, loss));
        }
        let (beside, globals) = self.globals()?;
        Some(if globals.weight() > loss.weight() { (beside, globals) } else { (job, loss) })
    }

    /// Of the jobs and the stores that may answer, the roles that lose least.
    fn globals(&self) -> Option<(&'p Name, Rc<Sum>)> {
        self.scheduled()
            .filter(|(name, backup)| self.question.uses(name) && has_globals(&backup.method))
            .flat_map(|(name, backup)| self.stocks(name, backup))
            .map(|stock| (stock.name, Rc::new(loss::newest_backup(self.figures, self.question, &stock))))
            .min_by_key(|(_, loss)| loss.weight())
    }

    /// Whether the newest backup of this job brings back what is asked for; otherwise why not.
    fn suits(&self, name: &Name, backup: &'p Backup) -> Result<(), String> {
        let question = self.question;
        if !question.uses(name) {
            return Err(format!("`{name}` is not among `using`"));
        }
        let named = question.using.contains(name);
        match (&backup.method, question.recover) {
            (Method::Provider(_) | Method::Engine(_), _) => Err(format!("`{name}` lies with somebody else")),
            (method, _) if !method.runs_in_this_version() => {
                Err(format!("`{name}` is only planned: this version takes no `{}` backups", method.as_str()))
            }
            (Method::Files(files), Recover::Files) if files.paths.is_empty() => {
                Err(format!("`{name}` holds roles and tablespaces, no files"))
            }
            (Method::Files(_), Recover::Files) => Ok(()),
            (Method::Files(_), _) => Err(format!("`{name}` holds files, no data")),
            (_, Recover::Files) => Err(format!("`{name}` holds no files from outside the database")),
            (Method::Physical(_) | Method::Incremental { .. }, _) => Ok(()),
            (Method::Tables(tables), Recover::Table | Recover::Rows) => match question.tier {
                Some(tier) if self.holds(tables, tier) => Ok(()),
                None if named => Ok(()),
                None => Err(format!("`{name}` holds only some tables (name it in `using` if they are the ones)")),
                Some(_) => Err(format!("`{name}` does not hold all of these tables")),
            },
            (Method::Tables(_), _) => Err(format!("`{name}` holds only some tables")),
            (Method::Logical(logical), _) if logical.lacks().is_some() => {
                Err(format!("`{name}` is without {} (`sections`)", logical.lacks().unwrap_or_default()))
            }
            (Method::Logical(logical), Recover::Table | Recover::Rows) if left_out(logical, question.tier).is_some() => {
                Err(format!("`{name}` does not have {}", left_out(logical, question.tier).unwrap_or_default()))
            }
            (Method::Logical(_), Recover::Cluster) => self.dump_suits(name, backup),
            // Whoever names a dump knows what is in it.
            (Method::Logical(_), _) if named => Ok(()),
            (Method::Logical(_), _) => {
                let unless = |why: String| format!("{why} (name it in `using` if that does not matter)");
                self.dump_suits(name, backup).map_err(unless)
            }
        }
    }

    /// It holds every database that must come back, whole.
    fn dump_suits(&self, name: &Name, backup: &Backup) -> Result<(), String> {
        let (wanted, dumped) = (self.databases(), self.figures.policy.dumped(&backup.method).unwrap_or_default());
        if whole_dump(backup).is_none() {
            return Err(format!("`{name}` leaves tables or schemas out"));
        }
        if wanted.is_empty() && self.asks_for_all() {
            return Err(format!("`{name}` dumps the databases that it names, and `cluster.databases` does not say whether these are all"));
        }
        if let Some(missing) = wanted.iter().find(|database| !dumped.contains(database)) {
            return Err(format!("`{name}` does not dump the database `{missing}`"));
        }
        if self.question.recover == Recover::Cluster && !has_globals(&backup.method) && self.globals().is_none() {
            return Err(format!("`{name}` has no globals: roles would be missing"));
        }
        Ok(())
    }

    fn holds(&self, dump: &file::Tables, tier: &file::DataTier) -> bool {
        let database = |named: &Option<String>| named.as_ref().or(self.figures.policy.databases.first()).cloned();
        let wanted = tier.tables.as_deref().unwrap_or_default();
        database(&dump.database) == database(&tier.database) && wanted.iter().all(|table| dump.tables.contains(table))
    }

    fn promotion(&self) -> Result<Found<'p>, Refusal> {
        if !matches!(self.question.recover, Recover::Cluster | Recover::Database) {
            return Err(Refusal {
                reason: "a standby has repeated whatever happened to the data, and holds no files".into(),
                hint: "Recover it from a backup: take `by: promote-standby` out.".into(),
            });
        }
        if !self.figures.policy.hosts.values().any(|host| host.role == HostRole::Standby) {
            return Err(Refusal {
                reason: "the policy knows of no standby to promote".into(),
                hint: "Declare it: `cluster.hosts.NAME: { role: standby }`.".into(),
            });
        }
        let (loss, time) = (Rc::new(loss::promotion(self.figures)), Rc::new(time::promotion(self.figures, self.question)));
        Ok(Found { way: Way::PromoteStandby, job: None, store: None, loses: None, why: "the scenario says so".into(), loss, time })
    }

    fn external(&self) -> Option<Found<'p>> {
        if self.question.recover == Recover::Files {
            return None;
        }
        // A tool that Seawall is to run is run by nobody: this version does not.
        let jobs = self.figures.policy.backups.iter().filter(|(name, backup)| self.question.uses(name) && backup.is_taken_by_others());
        let found = jobs.filter_map(|(name, backup)| {
            let (loss, who) = loss::external(name, backup, self.question.rpo.value)?;
            let (loss, time) = (Rc::new(loss), Rc::new(time::external(self.figures, name)));
            let why = format!("{who} keeps these backups and brings them back");
            Some(Found { way: Way::External, job: Some(name), store: None, loses: None, why, loss, time })
        });
        self.best(found.collect())
    }

    fn no_point_in_time(&self) -> Refusal {
        let policy = self.figures.policy;
        let from = stores(self.question.from);
        let mut lacks = Vec::new();
        if self.question.recover == Recover::Files {
            lacks.push("files outside the database are not in the log".to_owned());
        }
        match &policy.wal {
            None => lacks.push("the log is not archived".to_owned()),
            Some(_) if self.log().is_none() => lacks.push(format!("the log does not go to {from}")),
            Some(_) => {}
        }
        let bases: Vec<_> = policy.backups.iter().filter(|(_, backup)| matches!(backup.method, Method::Physical(_))).collect();
        let used: Vec<_> = bases.iter().filter(|(name, _)| self.uses_base(name)).collect();
        if bases.is_empty() {
            lacks.push("there is no physical backup to begin with: a dump cannot be rolled forward".to_owned());
        } else if used.is_empty() {
            lacks.push("none of the jobs in `using` is a physical backup: a dump cannot be rolled forward".to_owned());
        } else if used.iter().all(|(_, backup)| backup.schedule.is_none()) {
            lacks.push(format!("`{}` runs only on demand", used[0].0));
        } else if !self.question.from.is_empty() && used.iter().all(|(name, backup)| self.stocks(name, backup).is_empty()) {
            lacks.push(format!("no physical backup goes to {from}"));
        }
        let hint = match (&policy.wal, bases.is_empty()) {
            (None, true) => "Add a `wal` section and a `physical` backup, or write `by: newest-backup` with the RPO that dumps can keep.",
            (None, false) => "Add a `wal` section, or write `by: newest-backup`.",
            (Some(_), true) => "Add a `physical` backup, or write `by: newest-backup`.",
            (Some(_), false) => "Send the log (`wal.copies`) and a physical backup (`copies`) there, or write `by: newest-backup`.",
        };
        Refusal { reason: lacks.join("; "), hint: hint.into() }
    }

    fn no_backup(&self) -> Refusal {
        let policy = self.figures.policy;
        let from = stores(self.question.from);
        let mut reasons = Vec::new();
        for (name, backup) in policy.backups.iter().filter(|(name, _)| self.question.uses(name)) {
            match self.suits(name, backup) {
                Err(reason) => reasons.push(reason),
                Ok(()) if backup.schedule.is_none() => reasons.push(format!("`{name}` runs only on demand")),
                Ok(()) if !self.stocks(name, backup).is_empty() => {
                    reasons.push(format!("`{name}` goes to {from} without all that it builds on"));
                }
                Ok(()) => reasons.push(format!("`{name}` does not go to {from}")),
            }
        }
        let hint = match self.question.recover {
            Recover::Files => "Add a `files` backup with the paths that must come back.",
            _ if !self.question.from.is_empty() => "Copy a backup there (`copies`), or name another store in `from`.",
            Recover::Cluster => "Add a `physical` backup, or a `logical` one of every database with its globals.",
            _ if policy.databases.is_empty() && self.asks_for_all() => {
                "Name every database in `cluster.databases`, and dump them all, or add a `physical` backup."
            }
            Recover::Database => "Add a `physical` backup, or a `logical` one of every database.",
            _ => "Add a `physical` or a `logical` backup.",
        };
        let reason = if reasons.is_empty() { "there are no backups".to_owned() } else { reasons.join("; ") };
        Refusal { reason, hint: hint.into() }
    }
}

/// Every increment has beside it what it builds on: a copy of only some tiers leaves out bases, or links of a chain.
pub(super) fn is_whole(increments: &Stock<'_>, base: &Stock<'_>) -> bool {
    let chained = matches!(&increments.backup.method, Method::Incremental { chain: Some(chain), .. } if *chain > 1);
    base.only.is_none() && (increments.only.is_none() || !chained)
}

/// The first of the tier's tables that a dump surely does not have with its rows, and why.
fn left_out(dump: &file::Logical, tier: Option<&file::DataTier>) -> Option<String> {
    let tables = tier.and_then(|tier| tier.tables.as_deref()).unwrap_or_default();
    tables.iter().find_map(|table| Some(format!("the rows of `{table}`: {}", pattern::left_out(dump, table)?)))
}

/// The job is a dump that leaves nothing out.
pub(super) fn whole_dump(backup: &Backup) -> Option<&file::Logical> {
    match &backup.method {
        Method::Logical(logical) if !logical.is_partial() => Some(logical),
        _ => None,
    }
}

/// Roles and tablespaces are part of it.
fn has_globals(method: &Method) -> bool {
    match method {
        Method::Logical(logical) => logical.globals != Some(false),
        Method::Files(files) => files.globals,
        _ => false,
    }
}

fn stores(names: &[Name]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ")
}
