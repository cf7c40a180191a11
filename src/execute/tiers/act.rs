//! Does what the plan says, course by course.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::catalog::Catalog;
use super::order::Order;
use super::pending::{self, Begun, Kind, Noted};
use super::plan::{Ground, Plan};
use super::record;
use super::report::{Tiered, Usable};
use super::source::Source;
use crate::execute::dump::child::Halt;
use crate::execute::dump::restore::leave::{Who, drop_made, while_ending};
use crate::execute::dump::restore::{HeldJob, own, restoring};
use crate::execute::hook::When;
use crate::execute::id::random_word;
use crate::execute::restore::RestoreFault;
use crate::execute::table::landing::session;
use crate::execute::table::source::Progress;
use crate::execute::table::{TableFault, Why};
use crate::format::dump::Item;
use crate::plan::words::{joined, quoted as shown};
use crate::policy::sql_name::{literal, quoted};
use crate::postgres::Connection;
use crate::site::Site;
use crate::units::Instant;
use crate::world::clock;

/// Two who wait for each other: one of them is sent back, and it may be us.
const OPENINGS: u32 = 5;

/// Who watches.
#[derive(Clone, Copy)]
pub struct Onlooker<'o> {
    pub begins: &'o (dyn Fn(&str) + Sync),
    /// A tier is usable.
    pub usable: &'o (dyn Fn(&Usable) + Sync),
    pub bytes: &'o AtomicU64,
    /// Of fetching.
    pub progress: &'o Progress,
    pub stop: &'o AtomicBool,
}

impl fmt::Debug for Onlooker<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Onlooker").field("stop", self.stop).finish_non_exhaustive()
    }
}

/// One restore on its way.
pub(super) struct Acting<'a> {
    pub site: &'a Site<'a>,
    pub ground: Ground,
    pub source: Source<'a>,
    pub items: Vec<Item>,
    pub head: Vec<u8>,
    pub catalog: Catalog,
    pub order: Order,
    pub halt: Halt<'a>,
    pub bytes: &'a AtomicU64,
    pub rows: AtomicU64,
    pub begun: Begun,
    pub is_rehearsal: bool,
    pub onlooker: Onlooker<'a>,
}

/// Makes the database where it is not there, and brings into it what is missing.
pub fn carry_out<'a>(plan: Plan<'a>, onlooker: Onlooker<'a>) -> Result<Tiered, TableFault> {
    let site = plan.site;
    let resumed = plan.begun.is_some();
    let begun = plan.begun.clone().unwrap_or_else(|| Begun {
        source: plan.source.word().into(),
        backup: plan.backup().to_owned(),
        store: plan.store().to_string(),
        moment: plan.moment(),
        position: plan.source.position(),
        tiers: plan.said.iter().map(ToString::to_string).collect(),
        database: plan.ground.database.name.clone(),
        words: plan.words.clone(),
        started: plan.started.unwrap_or_else(clock::now),
    });
    // The rules may let it go meanwhile, and its time to object may be over.
    let _pin = plan.source.pin(site);
    let remarks = plan.remarks.clone();
    let acting = Acting {
        site,
        ground: plan.ground,
        source: plan.source,
        items: plan.items,
        head: plan.head,
        catalog: plan.catalog,
        order: plan.order,
        halt: Halt { stop: onlooker.stop, abort: AtomicBool::new(false), deadline: None },
        bytes: onlooker.bytes,
        rows: AtomicU64::new(0),
        begun,
        is_rehearsal: plan.is_rehearsal,
        onlooker,
    };
    record::hook(&acting, When::Before, onlooker.stop)?;
    let done = acting.whole(resumed);
    let Came { tiers, broken_keys, held_jobs } = done.map_err(|fault| {
        let fault = acting.missing(fault);
        record::failed(&acting, &fault);
        fault
    })?;
    let tiered = Tiered { broken_keys, held_jobs, ..acting.told(tiers, resumed, remarks) };
    record::done(&acting, &tiered);
    record::hook(&acting, When::After, onlooker.stop)
        .map_err(|fault| TableFault { message: format!("{fault}; everything is restored in `{}`", acting.ground.wanted.into), ..fault })?;
    Ok(tiered)
}

/// All of it is there.
struct Came {
    tiers: Vec<Usable>,
    /// Foreign keys that do not hold.
    broken_keys: Vec<String>,
    held_jobs: Vec<HeldJob>,
}

impl Acting<'_> {
    fn whole(&self, resumed: bool) -> Result<Came, TableFault> {
        self.source.must_be_unchanged(self)?;
        if !resumed {
            self.found()?;
        }
        let mut session = self.session()?;
        pending::lock(&mut session)?;
        pending::end_others(&mut session, self.halt.stop)?;
        let mut tiers = Vec::new();
        for noted in pending::courses(&mut session)? {
            self.halt.check()?;
            let usable = self.course(&mut session, &noted)?;
            (self.onlooker.usable)(&usable);
            tiers.push(usable);
        }
        self.begins("ending");
        self.must_be_filled(&mut session)?;
        let (broken_keys, held_jobs) = (pending::broken(&mut session)?, pending::jobs(&mut session)?);
        pending::forget(&mut session)?;
        Ok(Came { tiers, broken_keys, held_jobs })
    }

    /// Whatever rows the backup has, none are forgotten.
    fn must_be_filled(&self, session: &mut Connection) -> Result<(), TableFault> {
        let things = pending::things(session, None)?;
        let filled: BTreeSet<(&str, &str)> = (things.iter())
            .filter(|thing| thing.is_filled && matches!(thing.kind, Kind::Table | Kind::Part | Kind::Extension))
            .map(|thing| (thing.schema.as_str(), thing.name.as_str()))
            .collect();
        let left: Vec<String> = self
            .source
            .tables()
            .into_iter()
            .filter(|named| !filled.contains(named))
            .map(|(schema, name)| format!("{schema}.{name}"))
            .collect();
        if left.is_empty() {
            return Ok(());
        }
        let message = format!("the backup has rows that have not come: of {}", joined(left.iter().map(shown)));
        Err(TableFault::new(message, "Restore all of it without `--tier`."))
    }

    /// The database with all definitions and no rows, under its name.
    fn found(&self) -> Result<(), TableFault> {
        let mut maintenance = self.maintenance()?;
        if let Some(roles) = &self.ground.roles {
            roles.make(&mut maintenance)?;
        }
        // Under another name, so that nobody takes it for what it is to become.
        let made = format!("seawall_restore_{}", random_word()?);
        own::make(&mut maintenance, &made, &self.ground.database, self.ground.target.major)?;
        self.make(&made).and_then(|()| self.name(&made, &mut maintenance)).map_err(|fault| {
            let gone = self.maintenance().is_ok_and(|ender| drop_made(&made, ender, &mut maintenance).is_ok());
            let what =
                if gone { "the database that was made for it is gone again".to_owned() } else { format!("drop the database `{made}`") };
            TableFault { message: format!("{fault}; {what}"), ..fault }
        })?;
        if self.has_timescale() {
            restoring::wake_jobs(self.there(&self.ground.wanted.into).map_err(of_a_restore), &self.ground.wanted.into);
        }
        Ok(())
    }

    fn make(&self, made: &str) -> Result<(), TableFault> {
        self.lay_ground(made)?;
        self.begins("putting away what has not come");
        pending::put_away(&mut self.there(made)?, &self.order)
    }

    /// With its name it gets what belongs to it and not to what is in it, all at once.
    fn name(&self, made: &str, maintenance: &mut Connection) -> Result<(), TableFault> {
        let into = quoted(&self.ground.wanted.into);
        let rename = format!("alter database {} rename to {into}; commit", quoted(made));
        let own = own::statements(&self.ground.database, &self.ground.wanted, made);
        let ender = self.maintenance()?;
        maintenance.run("begin")?;
        let who = Who { made: Some(made), old: None };
        let (named, _) = while_ending(who, ender, || own.iter().chain([&rename]).try_for_each(|sql| maintenance.run(sql).map(drop)));
        if named.is_err() {
            let _ = maintenance.run("rollback");
        }
        Ok(named?)
    }

    /// The rows, what stands on them, and then their names: that, in this order, may end anywhere and be gone on with.
    fn course(&self, session: &mut Connection, noted: &Noted) -> Result<Usable, TableFault> {
        let number = noted.number;
        let things = pending::things(session, Some(number))?;
        let mut rows = None;
        if noted.usable.is_none() {
            let before = self.rows.load(Ordering::Relaxed);
            if !pending::is_open(session, number)? {
                self.source.bring(self, number, &things)?;
                self.early(session, number, &things)?;
                self.analyze(session, number)?;
                self.open_patiently(session, number, &things)?;
            }
            self.after(session, number)?;
            let is_last = pending::courses(session)?.last().is_some_and(|last| last.number == number);
            if is_last {
                self.source.rest(self, session)?;
            }
            rows = Some(self.rows.load(Ordering::Relaxed) - before);
            let seconds = seconds_between(self.begun.started, clock::now());
            session.query(
                "update seawall_pending.courses set usable = $1::float8 where number = $2::int",
                &[&seconds.to_string(), &number.to_string()],
            )?;
        }
        let usable = pending::courses(session)?.into_iter().find(|one| one.number == number).and_then(|one| one.usable).unwrap_or_default();
        Ok(self.usable(number, rows, usable))
    }

    fn usable(&self, number: usize, rows: Option<u64>, seconds: f64) -> Usable {
        let course = &self.order.courses[number];
        let names = self.items.iter().filter(|item| course.tables.binary_search(&item.id).is_ok() && !self.order.is_inner(item.id));
        let rto = course.tier.as_ref().map(|(_, rto)| rto.as_secs());
        let mut tables: Vec<String> = names.map(|item| format!("{}.{}", item.schema, item.name)).collect();
        tables.sort_unstable();
        Usable {
            tier: course.tier.as_ref().map(|(name, _)| name.clone()),
            tables,
            rows,
            seconds,
            rto_seconds: rto,
            met: rto.map(|rto| seconds <= rto as f64),
            keys_to_come: self.order.later.iter().filter(|key| key.missed_in == number).map(|key| key.key.clone()).collect(),
        }
    }

    fn analyze(&self, session: &mut Connection, course: usize) -> Result<(), TableFault> {
        self.begins("analyzing");
        for thing in pending::things(session, Some(course))?.iter().filter(|thing| matches!(thing.kind, Kind::Table | Kind::Part)) {
            self.run(session, &format!("analyze {}", thing.at()))?;
        }
        Ok(())
    }

    fn open_patiently(&self, session: &mut Connection, course: usize, things: &[pending::Thing]) -> Result<(), TableFault> {
        for _ in 1..OPENINGS {
            match self.open(session, course, things) {
                Err(fault) if fault.why == Why::Passing && !session.is_broken() => tracing::info!("it is opened again: {fault}"),
                other => return other,
            }
        }
        self.open(session, course, things)
    }

    /// All or nothing of what is of no table.
    pub(super) fn restoring_data(&self, list: Option<String>) -> std::process::Command {
        let mut words = vec![
            format!("--dbname={}", self.ground.settings.dbname_argument(&self.ground.wanted.into)),
            "--section=data".to_owned(),
            "--single-transaction".to_owned(),
        ];
        words.extend(list);
        let mut command = self.pg_restore(words);
        self.ground.settings.environment(&self.ground.settings.targets[0]).apply(&mut command);
        command
    }

    pub(super) fn note_done(&self, session: &mut Connection, what: &str) -> Result<(), TableFault> {
        session.query("insert into seawall_pending.done values ($1)", &[what])?;
        Ok(())
    }

    pub(super) fn begins(&self, what: &str) {
        (self.onlooker.begins)(what);
    }

    pub(super) fn session(&self) -> Result<Connection, TableFault> {
        let mut session = session::open(&self.ground.settings.clone().with_dbname(&self.ground.wanted.into))?;
        session.run(&format!("set application_name = {}", literal(pending::SESSIONS)))?;
        if self.has_timescale() {
            session.run(restoring::OFF)?;
        }
        Ok(session)
    }

    fn maintenance(&self) -> Result<Connection, TableFault> {
        let other = if self.ground.wanted.into == "postgres" { "template1" } else { "postgres" };
        let settings = &self.ground.settings;
        session::open(&if settings.dbname == self.ground.wanted.into { settings.clone().with_dbname(other) } else { settings.clone() })
    }

    /// Says what has not come, where anything has.
    fn missing(&self, fault: TableFault) -> TableFault {
        let Ok(mut session) = self.session() else { return fault };
        let Ok(courses) = pending::courses(&mut session) else { return fault };
        let name = |course: &Noted| course.tier.as_ref().map_or_else(|| "what no tier names".to_owned(), |tier| format!("`{tier}`"));
        let missing: Vec<String> = courses.iter().filter(|course| course.usable.is_none()).map(name).collect();
        if missing.is_empty() {
            return fault;
        }
        let there: Vec<String> = courses.iter().filter(|course| course.usable.is_some()).map(name).collect();
        let there = if there.is_empty() { "nothing of it is usable yet".to_owned() } else { format!("usable: {}", joined(there)) };
        let message = format!("{fault}; {there}, missing in {}: {}", shown(&self.ground.wanted.into), joined(missing));
        let hint = format!(
            "{} Run the same again: it goes on where it stopped. Until then what is missing refuses whoever asks for it.",
            fault.hint
        );
        TableFault { message, hint: hint.trim().to_owned(), ..fault }
    }

    fn told(&self, tiers: Vec<Usable>, resumed: bool, remarks: Vec<String>) -> Tiered {
        let ended = clock::now();
        Tiered {
            format_version: 1,
            policy: self.site.policy.name.to_string(),
            host: self.site.host().to_owned(),
            started: self.begun.started,
            ended,
            resumed,
            source: self.begun.source.clone(),
            store: self.source.store().clone(),
            backup: self.begun.backup.clone(),
            moment: self.begun.moment.clone(),
            from_database: self.ground.database.name.clone(),
            database: self.ground.wanted.into.clone(),
            server: self.ground.target.server.clone(),
            tiers,
            broken_keys: Vec::new(),
            held_jobs: Vec::new(),
            rows: self.rows.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            seconds: seconds_between(self.begun.started, ended),
            roles: self.ground.roles.as_ref().map(|roles| roles.missing.clone()).unwrap_or_default(),
            remarks: remarks.into_iter().chain(self.source.flaws()).collect(),
        }
    }
}

fn of_a_restore(fault: TableFault) -> RestoreFault {
    RestoreFault::new(fault.message, fault.hint)
}

fn seconds_between(from: Instant, to: Instant) -> f64 {
    to.duration_since(from).as_secs_f64()
}
