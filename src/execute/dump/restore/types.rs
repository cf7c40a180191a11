//! What chosen tables go by and is no table: types above all, and functions, operators, collations, extensions.
//!
//! A job of chosen tables has beside them what makes all of these that its database has. Of that only what the tables themselves name is made, with
//! what that needs in turn: nobody has asked for the rest. What is there already stays as it is; where rows would not fit a type that is, nothing
//! is begun.

mod there;

use std::collections::{BTreeMap, BTreeSet};

use super::{Found, Plan, needs};
use crate::execute::restore::RestoreFault;
use crate::format::contents::Database;
use crate::format::descriptor::Object;
use crate::format::dump::{Item, names, words};
use crate::plan::words::{joined, plain, quoted};
use crate::units::DumpSection;
use there::There;

/// What may be made for tables.
const MADE: [&str; 20] = [
    "ACCESS METHOD",
    "AGGREGATE",
    "CAST",
    "COLLATION",
    "DOMAIN",
    "EXTENSION",
    "FUNCTION",
    "OPERATOR",
    "OPERATOR CLASS",
    "OPERATOR FAMILY",
    "PROCEDURAL LANGUAGE",
    "PROCEDURE",
    "SCHEMA",
    "SHELL TYPE",
    "TEXT SEARCH CONFIGURATION",
    "TEXT SEARCH DICTIONARY",
    "TEXT SEARCH PARSER",
    "TEXT SEARCH TEMPLATE",
    "TRANSFORM",
    "TYPE",
];
/// What is said of something, and comes with it.
const SAID: [&str; 2] = ["ACL", "COMMENT"];
/// These need no making, or are made otherwise.
const OTHERWISE: [&str; 2] = ["plpgsql", "timescaledb"];
/// More of them say no more.
const SHOWN: usize = 8;

/// Lines of the archive that has them.
#[derive(Debug)]
pub(in crate::execute) struct Types {
    pub object: Object,
    items: Vec<Item>,
}

impl Types {
    pub(in crate::execute) fn has(&self, line: i64) -> bool {
        self.items.iter().any(|item| item.id == line)
    }

    pub(super) fn items(&self) -> impl Iterator<Item = &Item> {
        self.items.iter()
    }

    /// What is made, for people.
    fn shown(&self) -> String {
        let made: Vec<&Item> = self.items.iter().filter(|item| !SAID.contains(&item.kind.as_str())).collect();
        let more = if made.len() > SHOWN { vec![format!("{} more", made.len() - SHOWN)] } else { Vec::new() };
        joined(made.iter().take(SHOWN).map(|item| shown(item)).chain(more))
    }
}

/// `the type public.mood`.
fn shown(item: &Item) -> String {
    let schema = if item.schema.is_empty() { String::new() } else { format!("{}.", item.schema) };
    let kind = if item.kind == "SHELL TYPE" { "type".to_owned() } else { item.kind.to_ascii_lowercase() };
    plain(format!("the {kind} {schema}{}", item.name))
}

/// By an archive's beginning: lines of it, where not all of them are wanted.
type Chosen<'c> = dyn Fn(&[u8]) -> Result<Option<BTreeSet<i64>>, RestoreFault> + 'c;

/// Of all that the tables of a dump go by. `wanted` says which lines of an archive are, where not all of them are.
pub(in crate::execute) fn needed(found: &Found, database: &Database, wanted: &Chosen<'_>) -> Result<Option<Types>, RestoreFault> {
    let Some(archive) = &database.types else { return Ok(None) };
    let object = found.object(&archive.object)?.clone();
    let (_, items) = needs::head(found, &object)?;
    let mut tables = Vec::new();
    for archive in &database.archives {
        let (head, all) = needs::head(found, found.object(&archive.object)?)?;
        let wanted = wanted(&head)?;
        tables.extend(all.into_iter().filter(|item| wanted.as_ref().is_none_or(|wanted| wanted.contains(&item.id))));
    }
    let chosen = Choice::of(&items, &tables, database);
    let items: Vec<Item> = items.into_iter().filter(|item| chosen.contains(&item.id)).collect();
    Ok((!items.is_empty()).then_some(Types { object, items }))
}

/// What a plan makes before its tables, and what is to be said of that.
pub(super) fn look(plan: &Plan) -> Result<(Option<Types>, Vec<String>), RestoreFault> {
    if !plan.sections().contains(&DumpSection::PreData) {
        return Ok((None, Vec::new()));
    }
    let Some(mut types) = needed(&plan.found, plan.database(), &|head| needs::chosen(head, plan))? else { return Ok((None, Vec::new())) };
    let there = match plan.wanted.makes() {
        true => There::new_database(),
        false => There::look(&mut plan.connect(&plan.wanted.into)?, &types.items)?,
    };
    let mut remarks = there.must_fit(&types.items, &plan.wanted.into)?;
    let is_said = |item: &Item| SAID.contains(&item.kind.as_str());
    let made: BTreeSet<i64> = types.items.iter().filter(|item| !is_said(item) && !there.has(item)).map(|item| item.id).collect();
    // What is there belongs to whom it belongs to there.
    types.items.retain(|item| made.contains(&item.id) || is_said(item) && item.needs.iter().all(|need| made.contains(need)));
    if types.items.is_empty() {
        return Ok((None, remarks));
    }
    remarks.push(format!("made before the tables, which need it: {}", types.shown()));
    Ok((Some(types), remarks))
}

/// On the way from the tables to all that they go by.
struct Choice<'i> {
    by_line: BTreeMap<i64, &'i Item>,
    by_name: BTreeMap<(String, String), Vec<&'i Item>>,
    chosen: BTreeSet<i64>,
    /// Names that nothing here makes.
    unknown: BTreeSet<(String, String)>,
}

impl<'i> Choice<'i> {
    fn of(items: &'i [Item], tables: &[Item], database: &Database) -> BTreeSet<i64> {
        let made = || items.iter().filter(|item| MADE.contains(&item.kind.as_str()));
        let mut by_name: BTreeMap<(String, String), Vec<&Item>> = BTreeMap::new();
        for item in made() {
            for name in called(item) {
                by_name.entry(name).or_default().push(item);
            }
        }
        let by_line = made().map(|item| (item.id, item)).collect();
        let mut choice = Choice { by_line, by_name, chosen: BTreeSet::new(), unknown: BTreeSet::new() };
        // Foreign keys lead to tables, and to nothing else.
        for item in tables.iter().filter(|item| item.kind != "FK CONSTRAINT") {
            choice.go_by(&item.definition);
        }
        let of_tables: BTreeSet<(&str, &str)> = tables.iter().map(|item| (item.schema.as_str(), item.name.as_str())).collect();
        choice.unknown.retain(|(schema, name)| !of_tables.contains(&(schema.as_str(), name.as_str())));
        choice.extensions(database);
        choice.casts();
        let Choice { mut chosen, .. } = choice;
        let said = items.iter().filter(|item| {
            SAID.contains(&item.kind.as_str()) && !item.needs.is_empty() && item.needs.iter().all(|need| chosen.contains(need))
        });
        chosen.extend(said.map(|item| item.id).collect::<Vec<_>>());
        chosen
    }

    fn go_by(&mut self, definition: &str) {
        for name in names(definition) {
            match self.by_name.get(&name).cloned() {
                Some(items) => items.into_iter().for_each(|item| self.take(item)),
                None => _ = self.unknown.insert(name),
            }
        }
    }

    fn take(&mut self, item: &'i Item) {
        if OTHERWISE.contains(&item.name.as_str()) && item.kind == "EXTENSION" || !self.chosen.insert(item.id) {
            return;
        }
        for need in item.needs.iter().filter_map(|need| self.by_line.get(need).copied()).collect::<Vec<_>>() {
            self.take(need);
        }
        self.go_by(&item.definition);
        // In a path of its own a function needs no schema to find others.
        if item.kind == "FUNCTION" && item.definition.to_ascii_lowercase().contains("set search_path") {
            let words = words(&item.definition);
            let found: Vec<&Item> =
                self.by_name.iter().filter(|((_, name), _)| words.contains(name)).flat_map(|(_, items)| items.iter().copied()).collect();
            found.into_iter().for_each(|item| self.take(item));
        }
    }

    /// What belongs to an extension is in no dump by its own name.
    fn extensions(&mut self, database: &Database) {
        let wanted: Vec<&Item> = (self.by_line.values().copied())
            .filter(|item| item.kind == "EXTENSION")
            .filter(|item| self.unknown.iter().any(|(schema, _)| schema == database.schema_of(&item.name)))
            .collect();
        wanted.into_iter().for_each(|item| self.take(item));
    }

    /// Those between types that are both there.
    fn casts(&mut self) {
        let types = |choice: &Self, cast: &Item| {
            let of = cast
                .needs
                .iter()
                .filter_map(|need| choice.by_line.get(need))
                .filter(|item| matches!(item.kind.as_str(), "TYPE" | "DOMAIN"));
            let all: Vec<i64> = of.map(|item| item.id).collect();
            !all.is_empty() && all.iter().all(|id| choice.chosen.contains(id))
        };
        let casts: Vec<&Item> = self.by_line.values().copied().filter(|item| item.kind == "CAST" && types(self, item)).collect();
        casts.into_iter().for_each(|item| self.take(item));
    }
}

/// By which names others go by it.
fn called(item: &Item) -> Vec<(String, String)> {
    const MULTIRANGE: &str = "multirange_type_name = ";
    let of = |name: &str| (item.schema.clone(), name.to_owned());
    let mut all = match item.kind.as_str() {
        "FUNCTION" | "PROCEDURE" | "AGGREGATE" => vec![of(item.name.split('(').next().unwrap_or_default())],
        "CAST" | "EXTENSION" | "SCHEMA" | "PROCEDURAL LANGUAGE" | "ACCESS METHOD" | "TRANSFORM" => Vec::new(),
        _ => vec![of(&item.name)],
    };
    if item.kind == "TYPE"
        && let Some((_, rest)) = item.definition.split_once(MULTIRANGE)
    {
        all.extend(names(rest.lines().next().unwrap_or_default()));
    }
    all
}

/// A type that is there is another one.
fn differs(item: &Item, into: &str, how: &str) -> RestoreFault {
    let message = format!("{} is in {} already, and is another one: {how}", shown(item), quoted(into));
    let hint = "Rows of the dump would not fit it. Restore into a database of its own (`--create`), or make it there what it was, and run this again.";
    RestoreFault::new(message, hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::contents::Contents;
    use crate::format::dump::Section;

    fn item(id: i64, kind: &str, name: &str, definition: &str, needs: &[i64]) -> Item {
        let (schema, name) = name.rsplit_once('.').unwrap_or(("", name));
        let [copy, tablespace, owner] = [""; 3].map(str::to_owned);
        let (schema, name, definition) = (schema.to_owned(), name.to_owned(), definition.to_owned());
        let (kind, needs) = (kind.to_owned(), needs.to_vec());
        Item { id, oid: 0, kind, schema, name, section: Section::PreData, definition, copy, tablespace, owner, needs, has_data: false }
    }

    #[test]
    fn what_tables_go_by_is_chosen_and_nothing_else() {
        let items = [
            item(1, "SCHEMA", "kinds", "CREATE SCHEMA kinds;", &[]),
            item(2, "TYPE", "kinds.mood", "CREATE TYPE kinds.mood AS ENUM ('sad');", &[1]),
            item(3, "DOMAIN", "public.sure", "CREATE DOMAIN public.sure AS integer CONSTRAINT c CHECK (public.checked(VALUE));", &[]),
            item(
                4,
                "FUNCTION",
                "public.checked(integer)",
                "CREATE FUNCTION public.checked(integer) … SET search_path TO 'public' AS $$ select helped($1) $$;",
                &[],
            ),
            item(5, "FUNCTION", "public.helped(integer)", "CREATE FUNCTION public.helped(integer) …;", &[]),
            item(6, "FUNCTION", "public.other(integer)", "CREATE FUNCTION public.other(integer) …;", &[]),
            item(
                7,
                "TYPE",
                "public.spans",
                "CREATE TYPE public.spans AS RANGE (\n    subtype = kinds.mood,\n    multirange_type_name = public.multispans\n);",
                &[],
            ),
            item(8, "EXTENSION", "citext", "CREATE EXTENSION IF NOT EXISTS citext WITH SCHEMA public;", &[]),
            item(9, "EXTENSION", "hstore", "CREATE EXTENSION IF NOT EXISTS hstore WITH SCHEMA kinds;", &[1]),
            item(
                10,
                "CAST",
                "CAST (kinds.mood AS public.spans)",
                "CREATE CAST (kinds.mood AS public.spans) WITH FUNCTION public.cast();",
                &[2, 7],
            ),
            item(11, "COMMENT", "TYPE mood", "COMMENT ON TYPE kinds.mood IS 'x';", &[2]),
            item(12, "COMMENT", "FUNCTION other", "COMMENT ON FUNCTION public.other(integer) IS 'x';", &[6]),
            item(13, "OPERATOR", "public.===", "CREATE OPERATOR public.=== (FUNCTION = public.checked);", &[4]),
            item(14, "EVENT TRIGGER", "never", "CREATE EVENT TRIGGER never EXECUTE FUNCTION public.other();", &[6]),
        ];
        let database = || {
            let json = br#"{"format": 1, "client": "pg_dump (PostgreSQL) 15.1", "databases": [{"name": "shop", "encoding": "UTF8", "collate": "C", "ctype": "C",
                "position": "0/1", "extensions": {"citext": "1", "hstore": "1"}, "extension_schemas": {"hstore": "kinds"}, "partial": true, "archives": [],
                "tables": []}]}"#;
            Contents::from_json(json).expect("contents").databases.remove(0)
        };
        let of = |definitions: &[&str]| -> Vec<i64> {
            let tables: Vec<Item> = definitions.iter().map(|text| item(100, "TABLE", "public.t", text, &[])).collect();
            Choice::of(&items, &tables, &database()).into_iter().collect()
        };
        assert_eq!(of(&["CREATE TABLE public.t (a integer, b public.t);"]), [0; 0]);
        assert_eq!(of(&["CREATE TABLE public.t (a kinds.mood[]);"]), [1, 2, 11]);
        assert_eq!(of(&["CREATE TABLE public.t (a public.sure);"]), [3, 4, 5]);
        assert_eq!(of(&["CREATE TABLE public.t (a public.multispans);"]), [1, 2, 7, 10, 11]);
        assert_eq!(of(&["CREATE TABLE public.t (a integer, CHECK ((a OPERATOR(public.===) 1)));"]), [4, 5, 13]);
        assert_eq!(of(&["CREATE TABLE public.t (a public.citext);"]), [8]);
        assert_eq!(of(&["CREATE TABLE public.t (a kinds.hstore);"]), [1, 9]);
    }
}
