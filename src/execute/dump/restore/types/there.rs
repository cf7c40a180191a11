//! What of all that is in a database already, and whether rows of the dump fit it.

use std::collections::BTreeSet;

use super::{differs, shown};
use crate::execute::dump::restore::act::of;
use crate::execute::restore::RestoreFault;
use crate::format::dump::Item;
use crate::plan::words::{joined, quoted as said};
use crate::policy::sql_name::quoted;
use crate::postgres::{Connection, Fault, array};

/// As the lines of a dump call them, one kind for what takes the place of one another. Arguments of functions are there by their types.
const THERE: &str = "\
    with homes(oid, name) as (select oid, nspname from pg_namespace where nspname = any($1::text[])) \
    select 'TYPE' as kind, h.name as schema, t.typname as name from pg_type t join homes h on h.oid = t.typnamespace \
    union all select 'FUNCTION', h.name, p.proname || '(' || coalesce((select string_agg(format_type(u.t, null), ', ' order by u.n) \
        from unnest(p.proargtypes::oid[]) with ordinality u(t, n)), '') || ')' from pg_proc p join homes h on h.oid = p.pronamespace \
    union all select 'OPERATOR', h.name, o.oprname from pg_operator o join homes h on h.oid = o.oprnamespace \
    union all select 'OPERATOR CLASS', h.name, o.opcname from pg_opclass o join homes h on h.oid = o.opcnamespace \
    union all select 'OPERATOR FAMILY', h.name, o.opfname from pg_opfamily o join homes h on h.oid = o.opfnamespace \
    union all select 'COLLATION', h.name, c.collname from pg_collation c join homes h on h.oid = c.collnamespace \
    union all select 'TEXT SEARCH CONFIGURATION', h.name, c.cfgname from pg_ts_config c join homes h on h.oid = c.cfgnamespace \
    union all select 'TEXT SEARCH DICTIONARY', h.name, d.dictname from pg_ts_dict d join homes h on h.oid = d.dictnamespace \
    union all select 'TEXT SEARCH PARSER', h.name, p.prsname from pg_ts_parser p join homes h on h.oid = p.prsnamespace \
    union all select 'TEXT SEARCH TEMPLATE', h.name, t.tmplname from pg_ts_template t join homes h on h.oid = t.tmplnamespace \
    union all select 'SCHEMA', '', nspname from pg_namespace \
    union all select 'EXTENSION', '', extname from pg_extension \
    union all select 'PROCEDURAL LANGUAGE', '', lanname from pg_language \
    union all select 'ACCESS METHOD', '', amname from pg_am \
    union all select 'CAST', '', format('CAST (%s AS %s)', format_type(castsource, null), format_type(casttarget, null)) from pg_cast";

/// Of one type: what its rows are made of, in `pg_dump`'s words and order.
const MADE_OF: &str = "\
    select t.typtype::text as kind, null as part from pg_type t where t.oid = to_regtype($1) and t.typtype not in ('c', 'd', 'r') \
    union all (select t.typtype::text, quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod) from pg_type t \
      join pg_attribute a on a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped where t.oid = to_regtype($1) and t.typtype = 'c' order by a.attnum) \
    union all select t.typtype::text, format_type(t.typbasetype, t.typtypmod) from pg_type t where t.oid = to_regtype($1) and t.typtype = 'd' \
    union all select t.typtype::text, format_type(r.rngsubtype, null) from pg_type t join pg_range r on r.rngtypid = t.oid where t.oid = to_regtype($1)";
/// Their order is that of the values.
const LABELS: &str = "select 'e' as kind, enumlabel as part from pg_enum where enumtypid = to_regtype($1) order by enumsortorder";

#[derive(Debug, Default)]
pub(super) struct There {
    known: BTreeSet<(String, String, String)>,
    /// What types that are there are made of: the line in the dump, their kind, the parts.
    types: Vec<(i64, String, Vec<String>)>,
    is_new: bool,
}

impl There {
    /// One that will be made.
    pub(super) fn new_database() -> There {
        let public = ("SCHEMA".to_owned(), String::new(), "public".to_owned());
        There { known: BTreeSet::from([public]), types: Vec::new(), is_new: true }
    }

    pub(super) fn look(connection: &mut Connection, items: &[Item]) -> Result<There, RestoreFault> {
        // So that every name has its schema, as in a dump.
        connection.run("set search_path = ''").map_err(of)?;
        let homes: BTreeSet<&str> = items.iter().map(|item| item.schema.as_str()).filter(|schema| !schema.is_empty()).collect();
        let rows = connection.query(THERE, &[&array(homes)]).map_err(of)?;
        let one = |row: &crate::postgres::Row| -> Result<_, Fault> {
            Ok((row.text("kind")?.to_owned(), row.text("schema")?.to_owned(), row.text("name")?.to_owned()))
        };
        let known = rows.iter().map(one).collect::<Result<_, Fault>>().map_err(of)?;
        let mut there = There { known, types: Vec::new(), is_new: false };
        for item in items.iter().filter(|item| matches!(item.kind.as_str(), "TYPE" | "DOMAIN") && is_readable(item)) {
            if there.has(item) {
                let (kind, parts) = made_of(connection, item).map_err(of)?;
                there.types.push((item.id, kind, parts));
            }
        }
        Ok(there)
    }

    pub(super) fn has(&self, item: &Item) -> bool {
        // Of what cannot be read nobody knows: it is not made over what may be there.
        if !self.is_new && !is_readable(item) {
            return true;
        }
        let kind = match item.kind.as_str() {
            "DOMAIN" | "SHELL TYPE" => "TYPE",
            "PROCEDURE" | "AGGREGATE" => "FUNCTION",
            other => other,
        };
        let name = item.name.strip_suffix("(*)").map_or_else(|| item.name.clone(), |name| format!("{name}()"));
        self.known.contains(&(kind.to_owned(), item.schema.clone(), name))
    }

    /// Gives what is another one than it was, and takes the rows all the same.
    pub(super) fn must_fit(&self, items: &[Item], into: &str) -> Result<Vec<String>, RestoreFault> {
        let mut remarks = Vec::new();
        for (line, kind, now) in &self.types {
            let Some(item) = items.iter().find(|item| item.id == *line) else { continue };
            let Some((was, then)) = Then::read(item) else { continue };
            if was != kind {
                return Err(differs(item, into, "it was of another kind"));
            }
            let lacks: Vec<&String> = then.iter().filter(|part| !now.contains(part)).collect();
            let more: Vec<&String> = now.iter().filter(|part| !then.contains(part)).collect();
            match was {
                "e" if !lacks.is_empty() => {
                    return Err(differs(
                        item,
                        into,
                        &format!("it has not the {} {} of then", labels(&lacks), joined(lacks.iter().map(said))),
                    ));
                }
                "e" if !more.is_empty() => {
                    remarks.push(format!(
                        "{} is there already, with the {} {} beside those of then",
                        shown(item),
                        labels(&more),
                        joined(more.iter().map(said))
                    ));
                }
                "e" if then != *now => remarks.push(format!("{} is there already, and orders its values otherwise than then", shown(item))),
                "e" => {}
                _ if then != *now => {
                    let how = format!("then it was made of {}, and now of {}", joined(then.iter().map(said)), joined(now.iter().map(said)));
                    return Err(differs(item, into, &how));
                }
                _ => {}
            }
        }
        Ok(remarks)
    }
}

fn labels(all: &[&String]) -> &'static str {
    if all.len() == 1 { "label" } else { "labels" }
}

fn is_readable(item: &Item) -> bool {
    ![&item.schema, &item.name, &item.definition].iter().any(|text| text.contains(char::REPLACEMENT_CHARACTER))
}

fn made_of(connection: &mut Connection, item: &Item) -> Result<(String, Vec<String>), Fault> {
    let name = format!("{}.{}", quoted(&item.schema), quoted(&item.name));
    let mut rows = connection.query(MADE_OF, &[&name])?;
    let kind = rows.iter().next().and_then(|row| row.get("kind")).unwrap_or_default().to_owned();
    if kind == "e" {
        rows = connection.query(LABELS, &[&name])?;
    }
    Ok((kind, rows.iter().filter_map(|row| row.get("part").map(str::to_owned)).collect()))
}

/// What a type was made of, by the words that made it.
struct Then;

impl Then {
    /// Its kind, as the catalog has it, and its parts; none of what has other words, and is not compared.
    fn read(item: &Item) -> Option<(&'static str, Vec<String>)> {
        let text = item.definition.as_str();
        if item.kind == "DOMAIN" {
            let (_, base) = text.split_once(" AS ")?;
            let ends = [" DEFAULT ", " NOT NULL", " COLLATE ", "\n\tCONSTRAINT ", ";"];
            let end = ends.iter().filter_map(|end| base.find(end)).min()?;
            return Some(("d", vec![base[..end].trim().to_owned()]));
        }
        if let Some((_, labels)) = text.split_once(" AS ENUM (") {
            return Some(("e", texts(labels)));
        }
        if let Some((_, range)) = text.split_once(" AS RANGE (") {
            let (_, of) = range.split_once("subtype = ")?;
            return Some(("r", vec![of.lines().next()?.trim_end_matches(',').to_owned()]));
        }
        let (_, columns) = text.split_once(" AS (")?;
        let columns = columns.split_once("\n);").map_or(columns, |(columns, _)| columns);
        let one = |line: &str| line.trim_start().trim_end_matches(',').split(" COLLATE ").next().unwrap_or_default().to_owned();
        Some(("c", columns.lines().filter(|line| !line.trim().is_empty()).map(one).collect()))
    }
}

/// What stands in quotes.
fn texts(text: &str) -> Vec<String> {
    let (mut all, mut open) = (Vec::new(), None::<String>);
    let mut signs = text.chars().peekable();
    while let Some(sign) = signs.next() {
        open = match (open, sign) {
            (None, '\'') => Some(String::new()),
            (None, ';') => break,
            (None, _) => None,
            (Some(one), '\'') if signs.next_if_eq(&'\'').is_some() => Some(one + "'"),
            (Some(one), '\'') => {
                all.push(one);
                None
            }
            (Some(mut one), sign) => {
                one.push(sign);
                Some(one)
            }
        };
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::dump::Section;

    fn then(kind: &str, definition: &str) -> Option<(&'static str, Vec<String>)> {
        let [schema, name, copy, tablespace, owner] = ["s", "t", "", "", ""].map(str::to_owned);
        let (kind, definition) = (kind.to_owned(), definition.to_owned());
        Then::read(&Item {
            id: 1,
            oid: 0,
            kind,
            schema,
            name,
            section: Section::PreData,
            definition,
            copy,
            tablespace,
            owner,
            needs: Vec::new(),
            has_data: false,
        })
    }

    #[test]
    fn what_a_type_is_made_of_stands_in_its_definition() {
        let parts = |of: &[&str]| of.iter().map(ToString::to_string).collect::<Vec<_>>();
        for (kind, definition, wanted) in [
            (
                "TYPE",
                "CREATE TYPE s.t AS ENUM (\n    'sad',\n    'a ''quoted''; one)'\n);\n\n\n",
                Some(("e", parts(&["sad", "a 'quoted'; one)"]))),
            ),
            ("TYPE", "CREATE TYPE s.t AS ENUM (\n);\n", Some(("e", Vec::new()))),
            (
                "TYPE",
                "CREATE TYPE s.t AS (\n\ta integer,\n\t\"B b\" numeric(10,2),\n\tc text COLLATE public.mine\n);\n",
                Some(("c", parts(&["a integer", "\"B b\" numeric(10,2)", "c text"]))),
            ),
            (
                "DOMAIN",
                "CREATE DOMAIN s.t AS character varying(20) NOT NULL DEFAULT 'x'::character varying\n\tCONSTRAINT c CHECK (true);\n",
                Some(("d", parts(&["character varying(20)"]))),
            ),
            ("DOMAIN", "CREATE DOMAIN s.t AS integer\n\tCONSTRAINT c CHECK ((VALUE > 0));\n", Some(("d", parts(&["integer"])))),
            (
                "TYPE",
                "CREATE TYPE s.t AS RANGE (\n    subtype = double precision,\n    subtype_diff = float8mi\n);\n",
                Some(("r", parts(&["double precision"]))),
            ),
            ("TYPE", "CREATE TYPE s.t (\n    INTERNALLENGTH = 16\n);\n", None),
        ] {
            assert_eq!(then(kind, definition), wanted, "{definition}");
        }
    }
}
