//! What will come, in which order, out of what.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use super::catalog::{Catalog, shape};
use super::order::{Course, Early, Order, Tier, Unknown, Which, order, sections};
use super::pending::{self, Begun, Kind, Noted, Thing};
use super::report::Planned;
use super::source::Source;
use super::source::dump::Dump;
use super::source::look::{Looked, look, name_of};
use crate::execute::dump::programs::Programs;
use crate::execute::dump::restore::{self as dump, Roles, Target};
use crate::execute::restore::{Reached, TimelineChoice};
use crate::execute::table::landing::session;
use crate::execute::table::source::Onlooker;
use crate::execute::table::{TableFault, has};
use crate::format::contents::Database;
use crate::format::dump::{Item, Section};
use crate::plan::words::{joined, quoted};
use crate::policy::file::DataTier;
use crate::policy::model::Policy;
use crate::postgres::{Connection, Settings};
use crate::recovery;
use crate::site::Site;
use crate::units::{Bytes, Duration, Instant, Name, nearest};

/// Of what has another name, and of what stands in its place with its rules: counted in `pg_locks`.
const LOCKS: u64 = 9;

/// What somebody wants back first, and where.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// In their order.
    pub tiers: Vec<Name>,
    /// As of all of a dump.
    pub of: dump::Wanted,
    pub moment: Moment,
    /// Nobody is asked before it begins: what the first tier needs may be fetched at once.
    pub at_once: bool,
    /// Into a private server that will be gone: no program of the policy hears of it, and no record of recoveries has it.
    pub is_rehearsal: bool,
}

/// As of when, out of a physical backup; and where its private servers lie.
#[derive(Debug, Clone)]
pub struct Moment {
    pub target: recovery::Target,
    pub exclusive: bool,
    pub timeline: TimelineChoice,
    /// Somebody has said one: then a dump, which has only its own, is not meant.
    pub is_said: bool,
    pub directory: Option<PathBuf>,
    pub workers: Option<usize>,
}

/// Where it comes back.
#[derive(Debug)]
pub struct Ground {
    pub settings: Settings,
    pub wanted: dump::Wanted,
    pub database: Database,
    pub target: Target,
    pub roles: Option<Roles>,
    pub(super) programs: Programs,
}

/// What will be done.
#[derive(Debug)]
pub struct Plan<'s> {
    pub(super) site: &'s Site<'s>,
    pub ground: Ground,
    pub(super) said: Vec<Name>,
    pub(super) order: Order,
    pub(super) items: Vec<Item>,
    pub(super) head: Vec<u8>,
    pub(super) catalog: Catalog,
    pub(super) source: Source<'s>,
    /// What was said of how, and must stay so when it is gone on with.
    pub(super) words: Vec<String>,
    /// When it began, where nobody is asked.
    pub(super) started: Option<Instant>,
    pub(super) is_rehearsal: bool,
    /// Another run has begun it.
    pub begun: Option<Begun>,
    pub courses: Vec<Shown>,
    /// Sentences without a full stop.
    pub remarks: Vec<String>,
}

/// A course, for people.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    pub tier: Option<(Name, Duration)>,
    /// Tables with rows of their own, and others. Not what a hypertable's rows lie in.
    pub tables: Vec<String>,
    /// As a dump has counted them.
    pub rows: Option<u64>,
    /// As the policy has it.
    pub size: Option<Bytes>,
    /// Bytes that are read from the store for it, where that is not the whole of a dump's pieces.
    pub fetch: Option<u64>,
    /// By what was measured.
    pub predicted_seconds: Option<f64>,
    pub early: Vec<Early>,
    pub keys_to_come: Vec<String>,
    pub is_there: bool,
}

impl Plan<'_> {
    pub fn store(&self) -> &Name {
        self.source.store()
    }

    pub fn backup(&self) -> &str {
        self.source.backup()
    }

    /// `dump` or `physical`.
    pub fn source(&self) -> &'static str {
        self.source.word()
    }

    pub fn moment(&self) -> String {
        self.source.moment()
    }

    /// Bytes that all of the backup has in its store.
    pub fn stored(&self) -> u64 {
        self.source.stored()
    }

    /// Where the log ended, out of a physical backup.
    pub(in crate::execute) fn ended(&self) -> Option<&Reached> {
        self.source.ended()
    }

    /// As `--plan` prints it for programs.
    pub fn planned(&self) -> Planned {
        Planned::of(self)
    }

    pub(super) fn site(&self) -> &Site<'_> {
        self.site
    }

    pub fn pg_restore(&self) -> &str {
        &self.ground.programs.version
    }
}

/// Looks for the backup and at the server; touches nothing.
pub fn plan<'s>(site: &'s Site<'s>, wanted: &Wanted, onlooker: Onlooker<'_>, now: Instant) -> Result<Plan<'s>, TableFault> {
    let tiers = tiers(site.policy, &wanted.tiers)?;
    let settings = match &wanted.of.connection {
        Some(text) => Settings::read(text)?,
        None => site.cluster_connection()?,
    };
    let begun = look_for_begun(&settings, &wanted.of.into)?;
    let mut of = wanted.of.clone();
    if let Some(begun) = &begun {
        must_be_the_same(begun, wanted, has(site.policy, false))?;
        // It is there, it has things in it, and the application is already connected.
        (of.create, of.occupied, of.goes_on) = (false, true, true);
        of.from_database = Some(begun.database.clone());
        of.backup = Some(begun.backup.parse().map_err(|_| TableFault::new(format!("`{}` is no backup", begun.backup), ""))?);
        // Out of a physical backup, the log that leads to that moment may lie in several.
        if begun.position.is_none() {
            of.store = Some(begun.store.parse().map_err(|_| TableFault::new(format!("`{}` is no store", begun.store), ""))?);
        }
    }
    let of = Wanted { of, ..wanted.clone() };
    let first: Vec<_> = tiers.first().and_then(|(_, tier)| tier.tables.as_ref()).into_iter().flatten().map(|text| name_of(text)).collect();
    let Looked { source, head, catalog, database, settings, target, roles, programs, mut remarks } =
        look(site, &of, &settings, begun.as_ref(), &first, onlooker, now)?;
    let head = wanted.of.roles.head("the definitions", &head)?;
    let items = Item::all(&head)
        .map_err(|bad| TableFault::new(format!("the definitions: {bad}"), "`seawall verify` says whether the dump is whole."))?;
    must_be_readable(&items, &source, &database)?;
    let tiers = here(site.policy, tiers, &database.name, &wanted.tiers, &mut remarks)?;
    let order = order(&items, &shape(&catalog), &tiers).map_err(|unknown| not_there(&unknown, &source))?;
    if let Source::Dump(dump) = &source {
        must_have_rows(&order, &items, dump, wanted, &mut remarks)?;
    }
    let opened = match &begun {
        Some(begun) => opened(&settings, &wanted.of.into, begun, &items, &order)?,
        None => Vec::new(),
    };
    must_have_locks(&settings, &items, &order)?;
    let courses = shown(site, &order, &items, &database, &source, &opened);
    let (words, started) = (words(wanted), wanted.at_once.then_some(now));
    let ground = Ground { settings, wanted: of.of, database, target, roles, programs };
    Ok(Plan {
        site,
        ground,
        said: wanted.tiers.clone(),
        order,
        items,
        head,
        catalog,
        source,
        words,
        started,
        is_rehearsal: wanted.is_rehearsal,
        begun,
        courses,
        remarks,
    })
}

/// The policy's, in their order: those that were said, then all others by what is promised.
fn tiers<'p>(policy: &'p Policy, said: &[Name]) -> Result<Vec<(&'p Name, &'p DataTier)>, TableFault> {
    let all = &policy.objectives.data;
    let list = || joined(all.keys().map(quoted));
    if all.is_empty() {
        let hint = "Add `objectives.data`: { critical: { tables: [users], rto: 1h } }. Or restore everything without `--tier`.";
        return Err(TableFault::new("this policy has no tiers of data", hint));
    }
    for name in said {
        if !all.contains_key(name) {
            let near =
                nearest(name.as_str(), all.keys().map(Name::as_str)).map_or_else(String::new, |near| format!("Did you mean `{near}`? "));
            return Err(TableFault::new(format!("there is no tier `{name}` in this policy"), format!("{near}It has {}.", list())));
        }
    }
    let mut others: Vec<(&Name, &DataTier)> = all.iter().filter(|(name, _)| !said.contains(name)).collect();
    others.sort_by_key(|(name, tier)| (tier.rto, *name));
    let mut first: Vec<(&Name, &DataTier)> = Vec::new();
    for name in said {
        if !first.iter().any(|(known, _)| *known == name) {
            first.extend(all.get_key_value(name));
        }
    }
    Ok(first.into_iter().chain(others).collect())
}

/// Those of the database that comes back.
fn here(
    policy: &Policy,
    tiers: Vec<(&Name, &DataTier)>,
    database: &str,
    said: &[Name],
    remarks: &mut Vec<String>,
) -> Result<Vec<Tier>, TableFault> {
    let mut ours = Vec::new();
    for (name, tier) in tiers {
        let only = (policy.databases.len() == 1).then(|| policy.databases.first()).flatten();
        let other = tier.database.as_ref().or(only.filter(|_| tier.tables.is_some())).filter(|own| own.as_str() != database);
        if let Some(other) = other {
            if said.contains(name) {
                let message = format!("the tier `{name}` is of the database {}, and {} is restored", quoted(other), quoted(database));
                return Err(TableFault::new(message, format!("Say `--from-database {other}`, or another tier.")));
            }
            remarks.push(format!("the tier `{name}` is of the database {}, and has nothing here", quoted(other)));
            continue;
        }
        let which = match &tier.tables {
            Some(tables) => Which::Tables(tables.iter().map(|text| name_of(text)).collect()),
            None if tier.rest == Some(true) => Which::Rest,
            None => Which::Everything,
        };
        ours.push(Tier { name: name.clone(), rto: tier.rto, which });
    }
    Ok(ours)
}

fn not_there(unknown: &[Unknown], source: &Source<'_>) -> TableFault {
    let one = |unknown: &Unknown| {
        let near = joined(unknown.near.iter().map(quoted));
        let more = match (unknown.near.as_slice(), unknown.is_in_several) {
            ([], _) => String::new(),
            (_, true) => format!(" (it may be {near})"),
            (_, false) => format!(" (did you mean {near}?)"),
        };
        format!("{} of the tier `{}`{more}", quoted(&unknown.table), unknown.tier)
    };
    let several = unknown.iter().any(|unknown| unknown.is_in_several);
    let what = if several { "cannot be told apart or are not there" } else { "not there" };
    let message = match source {
        Source::Dump(_) => format!("backup {} has tables of the tiers {what}: {}", source.backup(), joined(unknown.iter().map(one))),
        Source::Physical(_) => format!("{}, tables of the tiers are {what}: {}", source.moment(), joined(unknown.iter().map(one))),
    };
    TableFault::new(message, "Write the tables in `objectives.data` as they are, with their schema. Nothing was done.")
}

/// A table that a tier names and that is in the backup without its rows.
fn must_have_rows(order: &Order, items: &[Item], dump: &Dump, wanted: &Wanted, remarks: &mut Vec<String>) -> Result<(), TableFault> {
    let parents: Vec<&str> = items.iter().filter(|item| item.kind == "TABLE ATTACH").map(|item| item.name.as_str()).collect();
    let with_rows: BTreeSet<(&str, &str)> = dump.tables().collect();
    for item in items.iter().filter(|item| item.kind == "TABLE" && !with_rows.contains(&(item.schema.as_str(), item.name.as_str()))) {
        let is_partitioned = item.definition.contains("\nPARTITION BY ");
        if is_partitioned || parents.is_empty() && item.definition.contains("PARTITION BY") {
            continue;
        }
        let named = format!("{}.{}", item.schema, item.name);
        let course = &order.courses[order.course_of(item.id)];
        let is_said = course.tier.as_ref().is_some_and(|(name, _)| wanted.tiers.contains(name));
        if is_said {
            let message = format!("the dump has {} without its rows: the job leaves them out", quoted(&named));
            return Err(TableFault::new(message, "Take another dump with `--job` or `--backup`. Nothing was done."));
        }
        remarks.push(format!("the dump has {} without its rows: it will be empty", quoted(&named)));
    }
    Ok(())
}

fn look_for_begun(settings: &Settings, into: &str) -> Result<Option<Begun>, TableFault> {
    let mut connection = Connection::connect(settings)?;
    if connection.query("select 1 from pg_catalog.pg_database where datname = $1", &[into])?.is_empty() {
        return Ok(None);
    }
    let mut settings = settings.clone();
    settings.targets = vec![connection.target().clone()];
    pending::begun(&mut session::open(&settings.with_dbname(into))?)
}

fn opened(settings: &Settings, into: &str, begun: &Begun, items: &[Item], order: &Order) -> Result<Vec<usize>, TableFault> {
    let mut session = session::open(&settings.clone().with_dbname(into))?;
    let (courses, things) = (pending::courses(&mut session)?, pending::things(&mut session, None)?);
    if !is_in_order(&courses, &things, items, order) {
        let message = format!("the tiers in the policy are no longer those with which {} was begun", quoted(into));
        let hint =
            format!("Write `objectives.data` as it was on {}, and run it again; or drop the database and begin again.", begun.started);
        return Err(TableFault::new(message, hint));
    }
    Ok(courses.into_iter().filter(|course| course.usable.is_some()).map(|course| course.number).collect())
}

/// A table that has come with its tier cannot come with another one.
fn is_in_order(courses: &[Noted], things: &[Thing], items: &[Item], order: &Order) -> bool {
    let named = order.courses.iter().map(|course| course.tier.as_ref().map(|(name, _)| name.as_str()));
    let tables: HashMap<(&str, &str), usize> = (things.iter().filter(|thing| matches!(thing.kind, Kind::Table | Kind::Part)))
        .map(|thing| ((thing.schema.as_str(), thing.name.as_str()), thing.course))
        .collect();
    let is_there = |item: &Item| tables.get(&(item.schema.as_str(), item.name.as_str())) == Some(&order.course_of(item.id));
    courses.iter().map(|course| course.tier.as_deref()).eq(named) && items.iter().filter(|item| item.kind == "TABLE").all(is_there)
}

/// What was said of how, and what must stay so.
fn words(wanted: &Wanted) -> Vec<String> {
    let Wanted { of, moment, .. } = wanted;
    let target = match &moment.target {
        recovery::Target::Latest => None,
        recovery::Target::Immediate(_) => Some("--immediate".to_owned()),
        recovery::Target::Time(time) => Some(format!("--to={time}")),
        recovery::Target::Lsn(lsn) => Some(format!("--to-lsn={lsn}")),
        recovery::Target::Xid(xid) => Some(format!("--to-xid={xid}")),
        // They are kept with blanks between them.
        recovery::Target::Named(name) => Some(format!("--to-name={}", name.split_whitespace().collect::<Vec<_>>().join("_"))),
    };
    let timeline = match moment.timeline {
        TimelineChoice::Latest => None,
        TimelineChoice::Current => Some("--timeline=current".to_owned()),
        TimelineChoice::Number(number) => Some(format!("--timeline={number}")),
    };
    let all = [(of.no_owner, "--no-owner"), (of.no_privileges, "--no-privileges"), (moment.exclusive, "--exclusive")];
    let all = all.into_iter().filter(|(is_said, _)| *is_said).map(|(_, word)| word.to_owned());
    let roles =
        of.roles.pairs().into_iter().map(|(old, new)| format!("--map-role={old}={new}").split_whitespace().collect::<Vec<_>>().join("_"));
    all.chain(roles).chain(target).chain(timeline).collect()
}

/// Everything that is opened together is locked together.
fn must_have_locks(settings: &Settings, items: &[Item], order: &Order) -> Result<(), TableFault> {
    let sql = "select current_setting('max_locks_per_transaction') as each, \
        (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int)::text as sessions";
    let rows = Connection::connect(settings)?.query(sql, &[])?;
    let (each, sessions): (u64, u64) = (rows.one()?.parse("each")?, rows.one()?.parse("sessions")?);
    let needed = locks(items, order);
    if needed <= each * sessions {
        return Ok(());
    }
    let message = format!("the largest tier takes about {needed} locks at once, and the server has {}", each * sessions);
    let enough = needed.div_ceil(sessions.max(1));
    Err(TableFault::new(message, format!("Set `max_locks_per_transaction` to {enough} or more there, and restart it. Nothing was done.")))
}

/// Of the largest course.
fn locks(items: &[Item], order: &Order) -> u64 {
    let mut each = vec![0; order.courses.len()];
    for (item, section) in items.iter().zip(sections(items)) {
        let is_away = item.kind == "TABLE" || order.is_away(item.id);
        // What has its name already is built before, piece by piece.
        let is_built = order.is_inner(item.id) && matches!(item.kind.as_str(), "TABLE" | "INDEX" | "CONSTRAINT");
        let taken = match is_away {
            _ if is_built => 0,
            true => LOCKS,
            false => u64::from(section == Section::PostData),
        };
        each[order.course_of(item.id)] += taken;
    }
    each.into_iter().max().unwrap_or_default()
}

/// A dump has its names in the encoding of its database.
fn must_be_readable(items: &[Item], source: &Source<'_>, database: &Database) -> Result<(), TableFault> {
    if database.encoding == "UTF8" {
        return Ok(());
    }
    let is_known = |text: &String| text.is_ascii();
    let own = items.iter().zip(sections(items)).find(|(item, section)| {
        let is_ours = *section != Section::PostData || is_known(&item.definition);
        !(is_known(&item.schema) && is_known(&item.name) && is_ours)
    });
    let own = own.map(|(item, _)| (&item.schema, &item.name));
    let rows = || match source {
        Source::Dump(dump) => dump.pieces.iter().flat_map(|piece| piece.rows.values()).find(|(_, _, copy)| !is_known(copy)),
        // Asked of the server, whatever the encoding.
        Source::Physical(_) => None,
    };
    let Some((schema, name)) = own.or_else(|| rows().map(|(schema, name, _)| (schema, name))) else { return Ok(()) };
    let message = format!(
        "{} is written in {}, and only names and definitions in UTF-8 are known here",
        quoted(format!("{schema}.{name}")),
        database.encoding
    );
    Err(TableFault::new(message, "Restore all of it without `--tier`. Nothing was done."))
}

fn must_be_the_same(begun: &Begun, wanted: &Wanted, has_physical: bool) -> Result<(), TableFault> {
    let into = quoted(&wanted.of.into);
    let said: Vec<String> = wanted.tiers.iter().map(ToString::to_string).collect();
    let said_then =
        begun.tiers.iter().map(|tier| format!("--tier {tier}")).chain(begun.words.iter().cloned()).collect::<Vec<_>>().join(" ");
    let hint = format!("Say `{said_then}` and go on with backup {}; or drop the database and begin again.", begun.backup);
    if begun.tiers != said {
        return Err(TableFault::new(format!("{into} is being restored in another order"), hint));
    }
    if wanted.of.backup.as_ref().is_some_and(|backup| backup.as_str() != begun.backup) {
        return Err(TableFault::new(format!("{into} is being restored out of another backup"), hint));
    }
    if wanted.of.from_database.as_ref().is_some_and(|database| *database != begun.database) {
        return Err(TableFault::new(format!("{into} is being restored out of the database {}", quoted(&begun.database)), hint));
    }
    // What these words would choose anew is of the other kind.
    let is_physical = begun.source == "physical";
    if (is_physical && wanted.of.job.is_some()) || (!is_physical && wanted.moment.is_said && has_physical) {
        let kind = if is_physical { "a physical backup" } else { "a dump" };
        return Err(TableFault::new(format!("{into} is being restored out of {kind}"), hint));
    }
    if wanted.of.store.as_ref().is_some_and(|store| store.as_str() != begun.store) {
        return Err(TableFault::new(format!("{into} is being restored out of the store `{}`", begun.store), hint));
    }
    if begun.words != words(wanted) {
        return Err(TableFault::new(
            format!("{into} was begun with other words: `--no-owner`, `--no-privileges`, `--map-role` and the moment stay as they were"),
            hint,
        ));
    }
    Ok(())
}

fn shown(site: &Site<'_>, order: &Order, items: &[Item], database: &Database, source: &Source<'_>, opened: &[usize]) -> Vec<Shown> {
    let rate = dump::Pace::of(site).map(|pace| pace.rate);
    let mut before = Some(0.0);
    let one = |(number, course): (usize, &Course)| {
        let tables: Vec<&Item> = items.iter().filter(|item| course.tables.binary_search(&item.id).is_ok()).collect();
        let effort = source.effort(&tables, number + 1 == order.courses.len(), database);
        let size = course.tier.as_ref().and_then(|(name, _)| site.policy.objectives.data.get(name)?.size);
        let bytes = size.map_or(effort.bytes, |size| size.get() as f64);
        before = before.zip(effort.seconds).zip(rate).map(|((before, seconds), rate)| before + seconds + bytes / rate);
        let keys = order.later.iter().filter(|key| key.missed_in == number).map(|key| key.key.clone());
        Shown {
            tier: course.tier.clone(),
            tables: tables.iter().filter(|item| !order.is_inner(item.id)).map(|item| format!("{}.{}", item.schema, item.name)).collect(),
            rows: effort.rows,
            size,
            fetch: effort.fetch,
            predicted_seconds: before,
            early: course.early.clone(),
            keys_to_come: keys.collect(),
            is_there: opened.contains(&number),
        }
    };
    order.courses.iter().enumerate().map(one).collect()
}
