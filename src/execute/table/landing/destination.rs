//! The server that gets the rows, before anything is changed there.

use std::time::Duration;

use super::about::{About, Kind, timescale};
use super::apart::must_be_apart;
use super::held::{self, Hold};
use super::hypertable::Care;
use super::origin::must_be_understood;
use super::{Wanted, Way, blame, references, session, uniques};
use crate::execute::table::TableFault;
use crate::execute::table::source::TableName;
use crate::inventory::Kin;
use crate::observe::kin;
use crate::plan::words::{counted, joined, quoted as shown};
use crate::policy::model::Policy;
use crate::postgres::{Connection, Fault, Rows, Settings, array};
use crate::units::Instant;

use super::about::sql;

/// A database, and what is in it of the tables.
#[derive(Debug)]
pub struct Destination {
    pub(super) settings: Settings,
    lock_timeout: Duration,
    /// Where it listens.
    pub server: String,
    pub database: String,
    pub major: u32,
    /// In the order of those that are wanted; none where there is no such table now.
    pub tables: Vec<Option<About>>,
    pub(super) timescale: Option<String>,
    /// Rows that nobody may change or remove.
    pub(super) holds: Vec<Hold>,
    /// Of each table whose rows may change, what a hold may name instead of it.
    kin: Vec<Kin>,
    /// Sentences without a full stop.
    pub remarks: Vec<String>,
}

/// Looks, and refuses what cannot be done or would not be safe. Every later session goes to the same server.
pub fn look(settings: &Settings, wanted: &Wanted) -> Result<Destination, TableFault> {
    looked(settings, wanted).map_err(|fault| blame::blamed(settings, &wanted.tables, fault))
}

fn looked(settings: &Settings, wanted: &Wanted) -> Result<Destination, TableFault> {
    let mut connection = session::open_there(settings, wanted.lock_timeout)?;
    let mut settings = settings.clone();
    settings.targets = vec![connection.target().clone()];
    if connection.query("select pg_is_in_recovery() as standby", &[])?.one()?.flag("standby")? {
        return Err(TableFault::new("this server is a standby", "Name the primary with `--connection`."));
    }
    let mut destination = Destination {
        server: connection.target().to_string(),
        database: settings.dbname.clone(),
        major: connection.major(),
        tables: Vec::new(),
        timescale: timescale(&mut connection)?,
        holds: Vec::new(),
        kin: Vec::new(),
        remarks: Vec::new(),
        lock_timeout: wanted.lock_timeout,
        settings,
    };
    for table in &wanted.tables {
        // What is there now under its name does not matter to what is put beside it.
        let there = if matches!(wanted.way, Way::Schema { .. }) {
            About::read(&mut connection, table).unwrap_or_default()
        } else {
            About::read(&mut connection, table)?
        };
        destination.remarks.extend(there.as_ref().and_then(About::large_objects));
        destination.tables.push(there);
    }
    match &wanted.way {
        Way::Csv(_) => {}
        Way::Schema { schema, name } => destination.must_have_room(&mut connection, wanted, schema, name.as_deref())?,
        Way::Replace { .. } | Way::Merge { .. } => destination.must_take_changes(&mut connection, wanted)?,
    }
    let leaves_in = match &wanted.way {
        Way::Schema { schema, .. } => Some(schema.as_str()),
        other => other.kept(),
    };
    if let Some(schema) = leaves_in {
        destination.remark_on_publications(&mut connection, schema)?;
    }
    Ok(destination)
}

const TAKEN: &str = "\
    select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relname = any($2::text[])";

impl Destination {
    pub(super) fn open(&self) -> Result<Connection, TableFault> {
        session::open_there(&self.settings, self.lock_timeout)
    }

    pub(super) fn table(&self, number: usize) -> Result<&About, TableFault> {
        let known = self.tables.get(number).and_then(Option::as_ref);
        known.ok_or_else(|| TableFault::new("a table that was there is gone", "Run it again."))
    }

    /// What a policy holds in this database is not changed or removed, also where the database itself does not show it.
    pub fn respect(&mut self, policy: &Policy, now: Instant) {
        for hold in held::of_policy(policy, &self.database, now) {
            if !self.holds.contains(&hold) {
                self.remarks.extend(self.tables.iter().flatten().zip(&self.kin).filter_map(|(about, kin)| hold.remark(about, kin)));
                self.holds.push(hold);
            }
        }
    }

    /// With those that were made while rows were fetched.
    pub(super) fn holds_by_now(&self, connection: &mut Connection) -> Result<Vec<Hold>, TableFault> {
        let mut all = self.holds.clone();
        all.extend(held::shown_there(connection)?.into_iter().filter(|hold| !self.holds.contains(hold)));
        Ok(all)
    }

    /// Nothing of these names is in the schema.
    fn must_have_room(&self, connection: &mut Connection, wanted: &Wanted, schema: &str, name: Option<&str>) -> Result<(), TableFault> {
        if schema.starts_with("pg_") || schema == "information_schema" {
            return Err(TableFault::new(format!("the schema {} is the system's", shown(schema)), "Choose another one."));
        }
        let names: Vec<&str> = wanted.tables.iter().map(|table| name.unwrap_or(&table.name)).collect();
        if let Some(twice) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
            let message = format!("two of the tables are called {}", shown(twice.1));
            return Err(TableFault::new(message, "Restore them one after the other, each into a schema of its own."));
        }
        self.must_be_free(connection, schema, &names)
    }

    fn must_be_free(&self, connection: &mut Connection, schema: &str, names: &[&str]) -> Result<(), TableFault> {
        let taken = connection.query(TAKEN, &[schema, &array(names)])?;
        let Some(row) = taken.iter().next() else { return Ok(()) };
        let table = TableName { schema: schema.to_owned(), name: row.text("name")?.to_owned() };
        let message = format!("{} is in `{}` already, and is not overwritten", sql(&table), self.database);
        Err(TableFault::new(message, "Choose another schema or another name, or move that one away."))
    }

    fn must_take_changes(&mut self, connection: &mut Connection, wanted: &Wanted) -> Result<(), TableFault> {
        must_be_apart(connection, self.tables.iter().flatten())?;
        self.holds = held::shown_there(connection)?;
        let (mut remarks, mut all) = (Vec::new(), Vec::new());
        for (number, (table, there)) in wanted.tables.iter().zip(&self.tables).enumerate() {
            let Some(about) = there else {
                let message = format!("there is no table {} in `{}`", sql(table), self.database);
                let hint = format!("Where it was dropped, `--into-schema {}` brings it back under its own name.", table.schema);
                return Err(TableFault::new(message, hint));
            };
            must_be_changeable(connection, about)?;
            references::must_be_askable(connection, about)?;
            uniques::must_be_askable(connection, about)?;
            must_have_a_key(wanted, about)?;
            must_be_understood(connection, about, number, wanted.condition.as_ref())?;
            if about.kind == Kind::Hypertable {
                remarks.extend(Care::read(connection, about, self.timescale.as_deref())?.remarks());
            }
            let kin = kin(connection, &about.oid)?;
            remarks.extend(self.holds.iter().filter_map(|hold| hold.remark(about, &kin)));
            all.push(kin);
        }
        self.kin = all;
        self.remarks.extend(remarks);
        if let Some(schema) = wanted.way.kept() {
            let names: Vec<String> =
                wanted.tables.iter().flat_map(|table| [table.name.clone(), format!("{}_brought", table.name)]).collect();
            let mut once = names.clone();
            once.sort();
            once.dedup();
            if once.len() < names.len() {
                let message = "two of the tables would be kept under one name";
                return Err(TableFault::new(message, "Restore them one after the other."));
            }
            self.must_be_free(connection, schema, &names.iter().map(String::as_str).collect::<Vec<_>>())?;
        }
        may_silence_triggers(connection)
    }

    /// A subscriber that does not have a table stops at its first row.
    fn remark_on_publications(&mut self, connection: &mut Connection, schema: &str) -> Result<(), Fault> {
        const ALL: &str = "select pubname as name from pg_publication where puballtables order by 1";
        const OF_SCHEMA: &str = "select p.pubname as name from pg_publication_namespace s join pg_publication p on p.oid = s.pnpubid \
            join pg_namespace n on n.oid = s.pnnspid where n.nspname = $1 order by 1";
        let mut said = |rows: &Rows, what: &str| {
            let names: Vec<String> = rows.iter().filter_map(|row| row.get("name").map(shown)).collect();
            let (one, publish) = if names.len() == 1 { ("the publication", "publishes") } else { ("the publications", "publish") };
            let subscribers = "subscribers stop at the rows of a new one until they have it too";
            self.remarks.extend((!names.is_empty()).then(|| format!("{one} {} {publish} {what}: {subscribers}", joined(&names))));
        };
        said(&connection.query(ALL, &[])?, "all tables");
        if connection.major() >= FIRST_OF_SCHEMAS {
            said(&connection.query(OF_SCHEMA, &[schema])?, &format!("all tables of the schema {}", shown(schema)));
        }
        Ok(())
    }
}

fn must_have_a_key(wanted: &Wanted, about: &About) -> Result<(), TableFault> {
    let (named, what) = match &wanted.way {
        Way::Merge { key, .. } => (!key.is_empty(), "`--merge` cannot tell which rows are the same"),
        Way::Replace { .. } if wanted.condition.is_some() => (false, "with `--where`, `--replace` cannot tell which rows are the same"),
        _ => return Ok(()),
    };
    if named || !about.key.is_empty() {
        return Ok(());
    }
    let hint = "Say by which columns they are (`--merge --key COLUMN,…`), or restore into a schema beside it (`--into-schema NAME`).";
    let has = if about.key_is_computed { "has a primary key with a generated column" } else { "has no primary key" };
    Err(TableFault::new(format!("{} {has}: {what}", about.name()), hint))
}

const MAY: &str = "\
    select has_table_privilege($1::oid, 'select') as reads, has_table_privilege($1::oid, 'insert') and has_table_privilege($1::oid, 'delete') as writes, \
      row_security_active($1::oid) as hidden, current_user as me";

/// Triggers and rules that run even where those of the application do not.
const ALWAYS: &str = "\
    with kin(oid) as (select $1::oid union select relid from pg_partition_tree($1::oid)) \
    select 'the trigger ' || quote_ident(tgname) as name from pg_trigger where tgrelid in (select oid from kin) and not tgisinternal and tgenabled in ('A', 'R') \
    union all select 'the rule ' || quote_ident(rulename) from pg_rewrite where ev_class in (select oid from kin) and ev_enabled in ('A', 'R') order by 1";

/// What has rows of the table, is in a publication of deletes, and has no replica identity: PostgreSQL refuses every deletion there, also in a
/// session that runs no triggers. Rows that differ are deleted and come anew, so what publishes updates alone does not matter.
const UNIDENTIFIED: &str = "\
    with recursive kin(oid) as (select $1::oid union select i.inhrelid from pg_inherits i join kin k on i.inhparent = k.oid), \
    bare as ( \
      select c.oid, c.relnamespace, format('%I.%I', n.nspname, c.relname) as name \
      from kin k join pg_class c on c.oid = k.oid join pg_namespace n on n.oid = c.relnamespace \
      where c.relkind = 'r' and c.relpersistence = 'p' and c.relreplident <> 'f' and not exists ( \
        select from pg_index i where i.indrelid = c.oid and i.indisvalid and i.indimmediate \
          and case c.relreplident when 'd' then i.indisprimary when 'i' then i.indisreplident end)), \
    of as (select oid, oid as above, relnamespace as home from bare \
      union select b.oid, a.relid, c.relnamespace from bare b cross join lateral pg_partition_ancestors(b.oid) a join pg_class c on c.oid = a.relid) \
    select b.name, p.pubname as publication from bare b join pg_publication p on p.pubdelete and (p.puballtables \
      or exists (select from of join pg_publication_rel r on r.prrelid = of.above where of.oid = b.oid and r.prpubid = p.oid) {SCHEMAS}) \
    order by 1, 2";
/// From PostgreSQL 15 on.
const SCHEMAS: &str =
    "or exists (select from of join pg_publication_namespace s on s.pnnspid = of.home where of.oid = b.oid and s.pnpubid = p.oid)";
const FIRST_OF_SCHEMAS: u32 = 15;
/// More tables say no more.
const SHOWN: usize = 3;

fn must_have_an_identity(connection: &mut Connection, about: &About, beside: &str) -> Result<(), TableFault> {
    let schemas = if connection.major() < FIRST_OF_SCHEMAS { "" } else { SCHEMAS };
    let rows = connection.query(&UNIDENTIFIED.replace("{SCHEMAS}", schemas), &[&about.oid])?;
    let Some(first) = rows.iter().next() else { return Ok(()) };
    let mut tables: Vec<&str> = rows.iter().map(|row| row.text("name")).collect::<Result<_, _>>()?;
    tables.dedup();
    let more = if tables.len() > SHOWN { format!(" and {} more", tables.len() - SHOWN) } else { String::new() };
    let message = format!(
        "rows of {} cannot be deleted: the publication {} publishes deletes, and {}{more} {} no replica identity",
        about.name(),
        shown(first.text("publication")?),
        joined(tables.iter().take(SHOWN).map(ToString::to_string)),
        if tables.len() == 1 { "has" } else { "have" }
    );
    let each = tables.iter().take(SHOWN).map(|table| format!("`alter table {table} replica identity full`"));
    Err(TableFault::new(message, format!("Say {}, as the application needs it too, or give it a primary key. {beside}", joined(each))))
}

pub(super) fn must_be_changeable(connection: &mut Connection, about: &About) -> Result<(), TableFault> {
    let name = about.name();
    let beside = "Restore into a schema beside it (`--into-schema NAME`).";
    let rows = connection.query(MAY, &[&about.oid])?;
    let row = rows.one()?;
    let me = shown(row.text("me")?);
    if !row.flag("reads")? || !row.flag("writes")? {
        return Err(TableFault::new(format!("the role {me} may not read and write {name}"), "Connect as its owner or as a superuser."));
    }
    if row.flag("hidden")? {
        let message = format!("row-level security hides rows of {name} from the role {me}");
        return Err(TableFault::new(message, "Connect as a superuser or as a role with `bypassrls`."));
    }
    if !about.heirs.is_empty() {
        let message = format!("{} inherited from {name}", has(&about.heirs));
        return Err(TableFault::new(message, beside));
    }
    let rows = connection.query(ALWAYS, &[&about.oid])?;
    let always: Vec<String> = rows.iter().filter_map(|row| row.get("name").map(str::to_owned)).collect();
    if !always.is_empty() {
        let message = format!("{} of {name} would run for each row that comes back, whoever writes it", joined(&always));
        return Err(TableFault::new(message, format!("`alter table … disable` it for the time being. {beside}")));
    }
    must_have_an_identity(connection, about, beside)
}

fn has(tables: &[String]) -> String {
    format!("{} ({}) {}", counted(tables.len(), "table"), joined(tables), if tables.len() == 1 { "has" } else { "have" })
}

/// The application's triggers must not run for rows that come back: they would send mails, and write history anew.
fn may_silence_triggers(connection: &mut Connection) -> Result<(), TableFault> {
    connection.run("begin")?;
    let may = connection.run("set local session_replication_role = replica");
    connection.run("rollback")?;
    may.map(drop).map_err(|fault| {
        let message = format!("this role may not keep the application's triggers from running: {}", fault.message);
        let hint = "Connect as a superuser (`--connection`), or `grant set on parameter session_replication_role to` it (PostgreSQL 15 and \
                    later). Or restore into a schema beside it (`--into-schema NAME`).";
        TableFault::new(message, hint)
    })
}
