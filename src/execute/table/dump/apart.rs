//! What a dump says of its tables, and the private server does not have: whose they were, to whom they were granted, who published them. The
//! foreign keys it does get, although the rows at their other ends are not here.

use std::collections::{BTreeMap, BTreeSet};

use super::{Filling, TableFault};
use crate::execute::dump::restore::needs;
use crate::execute::table::landing::{Apart, Lost, about};
use crate::execute::table::source::TableName;
use crate::format::contents::{Database, Holds};
use crate::format::dump::{Item, Stopped, Walk};
use crate::plan::words::{joined, plain};
use crate::policy::sql_name::quoted;
use crate::postgres::{Connection, Fault};

const SEQUENCES: &str = "\
    select n.nspname as schema, s.relname as name from pg_catalog.pg_depend d \
    join pg_catalog.pg_class s on s.oid = d.objid and s.relkind = 'S' join pg_catalog.pg_namespace n on n.oid = s.relnamespace \
    where d.classid = 'pg_catalog.pg_class'::regclass and d.refclassid = d.classid and d.deptype in ('a', 'i') \
      and d.refobjid = pg_catalog.to_regclass($1)";

/// A wanted table with what has its rows, and the sequences of those.
#[derive(Debug)]
pub(super) struct Wanted {
    pub table: TableName,
    pub parts: Vec<TableName>,
    sequences: Vec<TableName>,
}

impl Wanted {
    pub(super) fn look(connection: &mut Connection, table: &TableName, parts: Vec<TableName>) -> Result<Wanted, Fault> {
        let mut sequences = Vec::new();
        for part in &parts {
            for row in &connection.query(SEQUENCES, &[&about::sql(part)])? {
                sequences.push(TableName { schema: row.text("schema")?.to_owned(), name: row.text("name")?.to_owned() });
            }
        }
        Ok(Wanted { table: table.clone(), parts, sequences })
    }

    fn apart(&self, what: String, sql: Option<String>) -> Apart {
        Apart { table: self.table.clone(), lost: Lost { what, sql }, is_own: true, unless: None }
    }

    /// What has led to it.
    fn around(&self, what: String, sql: Option<String>) -> Apart {
        Apart { is_own: false, ..self.apart(what, sql) }
    }

    /// Behind the table's name, where a line is called so: `orders orders_customer_fkey`.
    fn behind<'i>(&self, item: &'i Item) -> Option<&'i str> {
        let of = self.parts.iter().filter(|part| part.schema == item.schema);
        of.filter_map(|part| item.name.strip_prefix(part.name.as_str())?.strip_prefix(' ')).min_by_key(|rest| rest.len())
    }

    /// Which part something belongs to, and what it is called.
    fn part_of(&self, item: &Item) -> Option<(&TableName, String)> {
        let mut parts = self.parts.iter().filter(|part| part.schema == item.schema);
        if item.kind == "INDEX" {
            // Its line does not say of which table it is.
            let on = |part: &&TableName| {
                let name = format!("{}.{}", quoted_where_needed(part.schema.clone()), quoted_where_needed(part.name.clone()));
                [" ON ", " ON ONLY "].iter().any(|word| item.definition.contains(&format!("{word}{name} ")))
            };
            return Some((parts.find(on)?, item.name.clone()));
        }
        let name = self.behind(item)?;
        Some((parts.find(|part| item.name == format!("{} {name}", part.name))?, name.to_owned()))
    }

    /// All of them have usually the same one.
    fn owner(&self, items: &[Item]) -> Option<Apart> {
        let owner_of = |part: &TableName| {
            let mut of_it = items.iter().filter(|item| item.kind == "TABLE" && item.schema == part.schema && item.name == part.name);
            of_it.find_map(Item::owned_by)
        };
        let own = owner_of(&self.table)?;
        let given = |part: &TableName| Some(format!("alter table {} owner to {}", about::sql(part), quoted(owner_of(part)?)));
        let sql = self.parts.iter().filter_map(given).collect::<Vec<_>>().join("; ");
        let is_one = self.parts.iter().filter_map(owner_of).all(|owner| owner == own);
        let apart = self.apart(format!("that it belongs to {}", plain(quoted(own))), Some(sql));
        Some(Apart { unless: is_one.then(|| own.to_owned()), ..apart })
    }

    fn grants(&self, items: &[Item]) -> Option<Apart> {
        let is_of = |item: &&Item| {
            let is_one = |all: &[TableName], kind: &str| {
                granted_on(item, kind).any(|name| all.iter().any(|one| item.schema == one.schema && one.name == name))
            };
            item.kind == "ACL" && (is_one(&self.parts, "TABLE") || is_one(&self.sequences, "SEQUENCE"))
        };
        let of_it: Vec<&Item> = items.iter().filter(is_of).collect();
        let has_all = of_it.iter().any(|item| item.definition.contains(" TO PUBLIC"));
        let others = of_it.iter().flat_map(|item| item.roles().into_iter().filter(move |role| *role != item.owner));
        let names: BTreeSet<String> = has_all.then(|| "public".to_owned()).into_iter().chain(others.map(quoted_where_needed)).collect();
        let sql = of_it.iter().filter_map(|item| statement(&item.definition)).collect::<Vec<_>>().join("; ");
        (!names.is_empty()).then(|| self.apart(format!("what is granted to {}", joined(names.iter().map(plain))), Some(sql)))
    }

    fn publications(&self, items: &[Item]) -> Vec<Apart> {
        let mut all = Vec::new();
        for item in items.iter().filter(|item| item.kind == "PUBLICATION TABLE") {
            let of = self.parts.iter().filter(|part| part.schema == item.schema);
            for name in of.filter_map(|part| item.name.strip_suffix(part.name.as_str())?.strip_suffix(' ')) {
                all.push(self.around(format!("that the publication {} has it", plain(name)), statement(&item.definition)));
            }
        }
        all
    }

    /// As far as the dump says it.
    pub(super) fn said(&self, items: &[Item], database: &Database) -> Vec<Apart> {
        let mut all = Vec::new();
        all.extend(match database.without_owners {
            true => Some(self.apart("whose it was, which its job leaves out (`owners: false`)".to_owned(), None)),
            false => self.owner(items),
        });
        all.extend(match database.without_grants {
            true => Some(self.apart("what was granted, which its job leaves out (`grants: false`)".to_owned(), None)),
            false => self.grants(items),
        });
        all.extend(self.publications(items));
        if database.partial {
            let what = "what else led to it or was made of it (foreign keys, views): this dump has a part of the database only";
            all.push(self.around(what.to_owned(), None));
        }
        all
    }
}

/// Of each view the statements that make it what it was to others: to whom it belongs, and what is granted on it and its columns.
pub(super) fn views(items: &[Item], database: &Database) -> BTreeMap<TableName, Vec<String>> {
    const KINDS: [(&str, &str); 2] = [("VIEW", "view"), ("MATERIALIZED VIEW", "materialized view")];
    let word_of = |item: &Item| KINDS.iter().find(|(kind, _)| *kind == item.kind).map(|(_, word)| *word);
    let mut all: BTreeMap<TableName, Vec<String>> = BTreeMap::new();
    for (item, word) in items.iter().filter_map(|item| Some((item, word_of(item)?))) {
        let name = TableName { schema: item.schema.clone(), name: item.name.clone() };
        let owner = item.owned_by().filter(|owner| !database.without_owners && is_readable(owner));
        let given = owner.map(|owner| format!("alter {word} {} owner to {}", about::sql(&name), quoted(owner)));
        all.insert(name, given.into_iter().collect());
    }
    for item in items.iter().filter(|item| item.kind == "ACL" && !database.without_grants) {
        let named = granted_on(item, "TABLE").map(|name| TableName { schema: item.schema.clone(), name });
        let name = named.into_iter().find(|name| all.contains_key(name));
        if let Some(statements) = name.and_then(|name| all.get_mut(&name)) {
            statements.extend(statement(&item.definition));
        }
    }
    all
}

/// What a grant may be on, of something of this kind or of its columns. Other than everywhere else names stand there as SQL reads them, and whose
/// dot the one before a column is, only who knows the names can tell.
fn granted_on<'i>(item: &'i Item, kind: &str) -> impl Iterator<Item = String> + use<'i> {
    let whole = item.name.strip_prefix(kind).and_then(|rest| rest.strip_prefix(' '));
    let column = item.name.strip_prefix("COLUMN ").filter(|_| kind == "TABLE");
    let before = column.into_iter().flat_map(|both| both.match_indices('.').map(|(at, _)| &both[..at]));
    whole.into_iter().chain(before).map(|name| match name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => name.to_owned(),
    })
}

impl Filling<'_> {
    /// All lines of what has definitions.
    pub(super) fn items(&self) -> Result<Vec<Item>, TableFault> {
        let mut all = Vec::new();
        for (_, object) in self.objects.iter().filter(|(archive, _)| archive.holds != Holds::Rows) {
            let unread = |stopped: Stopped| TableFault::from(needs::unread(&object.name, stopped));
            let walk = Walk::new(self.open(object)?).map_err(unread)?;
            all.extend(walk.items().map_err(|bad| unread(Stopped::Bad(bad)))?);
        }
        Ok(all)
    }
}

/// A policy that names a role which is not there could not be made, and nobody would know that it was there.
pub(super) fn make_roles(connection: &mut Connection, items: &[Item]) -> Result<(), Fault> {
    let named: BTreeSet<String> = items.iter().filter(|item| item.kind == "POLICY").flat_map(Item::roles).collect();
    for role in named.iter().filter(|role| is_readable(role)) {
        if connection.query("select from pg_catalog.pg_roles where rolname = $1", &[role])?.is_empty() {
            connection.run(&format!("create role {}", quoted(role)))?;
        }
    }
    Ok(())
}

/// Nobody asks whether they hold. Gives those of wanted tables that cannot be made here all the same.
pub(super) fn tie(connection: &mut Connection, items: &[Item], wanted: &[Wanted]) -> Result<Vec<Apart>, Fault> {
    let ties = items.iter().filter(|item| item.kind == "FK CONSTRAINT" && !item.schema.starts_with("_timescaledb_"));
    let (mut left, mut apart) = (Vec::new(), Vec::new());
    for item in ties {
        match item.unchecked() {
            Some(sql) if is_made(connection, &sql)? => {}
            _ => left.push(item),
        }
    }
    // As they were: what comes of them holds for all rows. Those that nobody had promised are not there yet.
    connection.run("update pg_catalog.pg_constraint set convalidated = true where contype = 'f' and not convalidated")?;
    for item in left {
        if is_made(connection, &item.definition)? {
            continue;
        }
        if let Some((wanted, name)) = wanted.iter().find_map(|wanted| Some((wanted, wanted.behind(item)?))) {
            apart.push(wanted.apart(format!("the foreign key {}", plain(name)), statement(&item.definition)));
        }
    }
    Ok(apart)
}

/// What belongs to wanted tables and could not be made here, for want of a function that is in no dump of chosen tables.
pub(super) fn unmade(connection: &mut Connection, items: &[Item], wanted: &[Wanted]) -> Result<Vec<Apart>, Fault> {
    const KINDS: [(&str, &str, &str); 4] = [
        ("TRIGGER", "the trigger", "select from pg_catalog.pg_trigger where tgrelid = pg_catalog.to_regclass($1) and tgname = $2"),
        ("RULE", "the rule", "select from pg_catalog.pg_rewrite where ev_class = pg_catalog.to_regclass($1) and rulename = $2"),
        (
            "CONSTRAINT",
            "the constraint",
            "select from pg_catalog.pg_constraint where conrelid = pg_catalog.to_regclass($1) and conname = $2",
        ),
        ("INDEX", "the index", "select where pg_catalog.to_regclass($1) is not null"),
    ];
    let mut apart = Vec::new();
    for item in items.iter().filter(|item| is_readable(&item.name)) {
        let Some((_, what, there)) = KINDS.iter().find(|(kind, ..)| *kind == item.kind) else { continue };
        let of = wanted.iter().find_map(|wanted| Some((wanted, wanted.part_of(item)?)));
        let Some((wanted, (part, name))) = of else { continue };
        let is_there = match item.kind.as_str() {
            "INDEX" => connection.query(there, &[&about::sql(&TableName { schema: item.schema.clone(), name: name.clone() })])?,
            _ => connection.query(there, &[&about::sql(part), &name])?,
        };
        if is_there.is_empty() {
            apart.push(wanted.apart(format!("{what} {}", plain(name)), statement(&item.definition)));
        }
    }
    Ok(apart)
}

fn is_made(connection: &mut Connection, sql: &str) -> Result<bool, Fault> {
    match connection.run(sql) {
        Err(fault) if connection.is_broken() => Err(fault),
        made => Ok(made.is_ok()),
    }
}

/// Without what is behind its end. A dump that is not in UTF-8 may have names that cannot be read here.
fn statement(definition: &str) -> Option<String> {
    let bare = definition.trim().trim_end_matches(';');
    is_readable(bare).then(|| bare.to_owned())
}

fn is_readable(text: &str) -> bool {
    !text.contains(char::REPLACEMENT_CHARACTER)
}

/// As the server itself says a name.
fn quoted_where_needed(name: String) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if is_plain { name } else { quoted(&name) }
}
