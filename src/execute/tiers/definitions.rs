//! What comes behind the rows, course by course: as a dump's table of contents has it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Seek as _, Write as _};
use std::process::Stdio;

use super::act::Acting;
use super::order::sections;
use super::pending::{self, Kind, Thing};
use crate::execute::backup::BackupFault;
use crate::execute::dump::child;
use crate::execute::dump::restore::feed::{self, feed_and_hear};
use crate::execute::dump::restore::restoring;
use crate::execute::table::TableFault;
use crate::execute::table::landing::script;
use crate::execute::table::landing::session::{self, attended};
use crate::format::dump::{Item, Section};
use crate::policy::sql_name::{literal, meaning, quoted};
use crate::postgres::Connection;
use crate::world::files::{in_memory, path_in_memory};
use crate::world::parallel;

/// Definitions are small.
const LARGEST: usize = 256 << 20;
/// A row leads to none.
const VIOLATED: &str = "23503";

impl Acting<'_> {
    fn items(&self, section: Section) -> impl Iterator<Item = &Item> {
        let sections = sections(&self.items);
        self.items.iter().zip(sections).filter(move |(_, own)| *own == section).map(|(item, _)| item)
    }

    /// Of a course, behind its rows.
    fn behind(&self, course: usize) -> Vec<&Item> {
        self.items(Section::PostData).filter(|item| self.order.course_of(item.id) == course).collect()
    }

    /// Everything that is there before a row, but for these lines.
    pub(super) fn before_rows(&self, database: &str, there: &[i64]) -> Result<(), TableFault> {
        let others: Vec<i64> = self.items.iter().map(|item| item.id).filter(|line| !there.contains(line)).collect();
        self.define(database, (!there.is_empty()).then_some(others.as_slice()))
    }

    /// Of what is there before a row all, or only these lines.
    pub(super) fn define(&self, database: &str, lines: Option<&[i64]>) -> Result<(), TableFault> {
        self.begins("restoring definitions");
        let list = lines.map(|lines| self.list(lines)).transpose()?;
        let words = [format!("--dbname={}", self.ground.settings.dbname_argument(database)), "--section=pre-data".to_owned()];
        let mut command = self.pg_restore(words.into_iter().chain(list.iter().map(|(_, word)| word.clone())).collect());
        self.ground.settings.environment(&self.ground.settings.targets[0]).apply(&mut command);
        let mut head = self.head.as_slice();
        let source = feed::Source { from: &mut head, fed: self.bytes, given: &|| {} };
        Ok(feed_and_hear(command, &self.halt, "definitions", Some(source))??)
    }

    /// Indexes and constraints take long, so they are made while nobody waits: on the tables under their other names, and several at once.
    pub(super) fn early(&self, session: &mut Connection, course: usize, things: &[Thing]) -> Result<(), TableFault> {
        let done = self.done(session)?;
        let by_name: BTreeMap<(&str, &str), &Thing> = (things.iter().filter(|thing| matches!(thing.kind, Kind::Table | Kind::Part)))
            .map(|thing| ((thing.schema.as_str(), thing.name.as_str()), thing))
            .collect();
        let left: Vec<(&Item, String)> = self
            .behind(course)
            .into_iter()
            .filter(|item| !done.contains(&key(item)))
            .filter_map(|item| Some((item, elsewhere(item, &by_name)?)))
            .collect();
        self.begins("building indexes and constraints");
        let built = parallel::map_with(self.ground.wanted.jobs, &left, &|(item, sql)| {
            let mut session = self.session()?;
            let tablespace = literal(if self.ground.wanted.no_tablespaces { "" } else { &item.tablespace });
            let noted = format!("insert into seawall_pending.done values ({})", literal(&key(item)));
            self.run(&mut session, &format!("begin; set local default_tablespace = {tablespace}; {sql}; {noted}; commit")).map_err(
                |fault| TableFault { message: format!("{} of {}: {}", item.kind.to_lowercase(), item.name, fault.message), ..fault },
            )
        });
        built.into_iter().collect()
    }

    pub(super) fn done(&self, session: &mut Connection) -> Result<BTreeSet<String>, TableFault> {
        let rows = session.query("select what from seawall_pending.done", &[])?;
        Ok(rows.iter().filter_map(|row| row.get("what").map(str::to_owned)).collect())
    }

    /// The names come back, with everything else that belongs to these tables: all of it in one step.
    pub(super) fn open(&self, session: &mut Connection, course: usize, things: &[Thing]) -> Result<(), TableFault> {
        let done = self.done(session)?;
        let behind = self.behind(course);
        let left: Vec<&Item> =
            behind.iter().copied().filter(|item| !done.contains(&key(item)) && item.kind != "MATERIALIZED VIEW DATA").collect();
        let is_tie = |item: &Item| item.kind == "FK CONSTRAINT";
        // The key of a partitioned table is one, and can be led to, when those of all its partitions are tied to it.
        let is_built = |item: &Item| matches!(item.kind.as_str(), "INDEX" | "CONSTRAINT" | "INDEX ATTACH");
        let others: Vec<i64> = left.iter().filter(|item| !is_tie(item) && !is_built(item)).map(|item| item.id).collect();
        let script = if others.is_empty() { String::new() } else { self.script(&others)? };
        let mut statements = self.attentive(pending::back(session, things)?);
        for item in left.iter().filter(|item| is_built(item)) {
            let tablespace = literal(if self.ground.wanted.no_tablespaces { "" } else { &item.tablespace });
            statements.push(format!("set local default_tablespace = {tablespace}; {}", item.definition));
        }
        let parted = self.parted(session)?;
        let (mut now, mut later) = (Vec::new(), Vec::new());
        for item in left.iter().filter(|item| is_tie(item)) {
            // Of a partitioned table a key cannot be left unchecked before PostgreSQL 18; and one to such a table is a key to each partition,
            // none of which holds alone.
            match item.unchecked().filter(|_| self.order.tables_of(item.id).all(|table| !parted.contains(&table))) {
                Some(sql) => later.push(sql),
                None => now.push(item.definition.clone()),
            }
        }
        // Before a name is taken back: whoever works with one of these is not asked to wait while he holds what we wait for.
        let ties = left.iter().filter(|item| is_tie(item)).flat_map(|item| self.order.earlier(item.id, course)).collect::<BTreeSet<i64>>();
        let locked = self.items.iter().filter(|item| ties.contains(&item.id));
        let locks: Vec<String> =
            locked.map(|item| format!("lock table {}.{} in share row exclusive mode", quoted(&item.schema), quoted(&item.name))).collect();
        self.begins("opening it");
        self.run(session, "begin")?;
        let opened = locks.iter().chain(&statements).chain(&now).try_for_each(|sql| self.run(session, sql)).and_then(|()| {
            let known = "select oid from pg_catalog.pg_constraint where contype = 'f' and not convalidated and conparentid = 0";
            self.run(session, &format!("create temporary table seawall_known on commit drop as {known}"))?;
            later.iter().try_for_each(|sql| self.run(session, sql))?;
            self.run(
                session,
                &format!(
                    "insert into seawall_pending.keys select oid, {course}, null from ({known} except select oid from seawall_known) k"
                ),
            )?;
            self.run(session, &script)?;
            self.run(session, &format!("update seawall_pending.courses set opened = true where number = {course}; commit"))
        });
        if opened.is_err() && !session.is_broken() {
            let _ = session.run("rollback");
        }
        session.run(session::WORDS)?;
        opened
    }

    /// What may take long and shuts nobody out: keys that were only promised are checked, and materialized views are filled.
    pub(super) fn after(&self, session: &mut Connection, course: usize) -> Result<(), TableFault> {
        let rows = session.query(
            "select k.oid::text as oid, c.conrelid::regclass::text as table, c.conname as name from seawall_pending.keys k \
             join pg_catalog.pg_constraint c on c.oid = k.oid where k.course = $1::int and not c.convalidated order by 1, 2",
            &[&course.to_string()],
        )?;
        self.begins("checking foreign keys");
        for row in rows.iter() {
            let sql = format!("alter table {} validate constraint {}", row.text("table")?, quoted(row.text("name")?));
            let checked = attended(self.halt.stop, [&mut *session], |[session]| match session.run(&sql) {
                // Somebody has deleted what it leads to before the key was there. That is no reason to hold back everything else.
                Err(fault) if fault.code() == Some(VIOLATED) => Ok(Some(fault.message)),
                other => Ok(other.map(|_| None)?),
            })?;
            if let Some(words) = checked {
                tracing::warn!("a foreign key does not hold: {words}");
                session.query("update seawall_pending.keys set broken = $2::text where oid = $1::oid", &[row.text("oid")?, &words])?;
            }
        }
        let done = self.done(session)?;
        for item in self.behind(course).into_iter().filter(|item| item.kind == "MATERIALIZED VIEW DATA" && !done.contains(&key(item))) {
            self.begins(&format!("filling {}", item.name));
            for sql in self.attentive(vec![item.definition.clone()]) {
                self.run(session, &sql)?;
            }
            self.run(session, &format!("analyze {}.{}", quoted(&item.schema), quoted(&item.name)))?;
            self.run(session, &format!("insert into seawall_pending.done values ({})", literal(&key(item))))?;
        }
        // Statistics over several columns have been defined only now.
        let rows = session.query(
            "select distinct stxrelid::regclass::text as name from pg_catalog.pg_statistic_ext s join seawall_pending.things t on t.oid = s.stxrelid \
             where t.kind = 't' and t.course = $1::int",
            &[&course.to_string()],
        )?;
        rows.iter().try_for_each(|row| self.run(session, &format!("analyze {}", row.text("name")?)))
    }

    /// What TimescaleDB has to be told of, or to answer.
    fn attentive(&self, statements: Vec<String>) -> Vec<String> {
        if !self.has_timescale() {
            return statements;
        }
        [restoring::ON.to_owned()].into_iter().chain(statements).chain([restoring::OFF.to_owned()]).collect()
    }

    /// As `pg_restore` writes it: with owners.
    fn script(&self, lines: &[i64]) -> Result<String, TableFault> {
        let (_file, list) = self.list(lines)?;
        let mut command = self.pg_restore(vec!["--section=post-data".to_owned(), list, "--file=-".to_owned()]);
        command.stdin(Stdio::from(with_bytes(&self.head)?));
        let mut text = Vec::new();
        child::stream(command, &self.halt, &mut |bytes| {
            if text.len() + bytes.len() > LARGEST {
                return Err(BackupFault::refused("the definitions are larger than any are", ""));
            }
            text.extend_from_slice(bytes);
            Ok(())
        })?;
        let text =
            String::from_utf8(text).map_err(|_| TableFault::new("the definitions are no UTF-8", "Restore all of it without `--tier`."))?;
        Ok(script::statements(&text, ""))
    }

    pub(super) fn pg_restore(&self, more: Vec<String>) -> std::process::Command {
        let wanted = &self.ground.wanted;
        let mut words = vec!["--exit-on-error".to_owned(), "--no-password".to_owned()];
        words.extend(wanted.no_owner.then(|| "--no-owner".to_owned()));
        words.extend(wanted.no_privileges.then(|| "--no-privileges".to_owned()));
        words.extend(wanted.no_tablespaces.then(|| "--no-tablespaces".to_owned()));
        words.extend(more);
        // It takes no word about a password where it connects to nothing.
        if words.iter().any(|word| word.starts_with("--file")) {
            words.retain(|word| word != "--no-password");
        }
        self.ground.programs.command("pg_restore", words)
    }

    /// Only these lines, for as long as the file is open.
    pub(super) fn list(&self, lines: &[i64]) -> Result<(fs::File, String), TableFault> {
        // Nothing but their numbers is read.
        let text: String = lines.iter().map(|line| format!("{line};\n")).collect();
        let file = with_bytes(text.as_bytes())?;
        let word = format!("--use-list={}", path_in_memory(&file));
        Ok((file, word))
    }

    /// Partitioned tables, by their line.
    fn parted(&self, session: &mut Connection) -> Result<BTreeSet<i64>, TableFault> {
        let rows = session.query(
            "select t.schema, t.name from seawall_pending.things t join pg_catalog.pg_class c on c.oid = t.oid where t.kind = 't' and c.relkind = 'p'",
            &[],
        )?;
        let named = rows.iter().map(|row| Ok((row.text("schema")?, row.text("name")?))).collect::<Result<BTreeSet<_>, TableFault>>()?;
        let tables = self.items.iter().filter(|item| item.kind == "TABLE");
        Ok(tables.filter(|item| named.contains(&(item.schema.as_str(), item.name.as_str()))).map(|item| item.id).collect())
    }
}

fn with_bytes(bytes: &[u8]) -> Result<fs::File, TableFault> {
    let failed = |error: std::io::Error| TableFault::new(format!("no memory for the definitions: {error}"), "");
    let mut file = in_memory().map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.rewind()).map_err(failed)?;
    Ok(file)
}

/// The same in every dump of the same state.
fn key(item: &Item) -> String {
    format!("{} {}.{}", item.kind, item.schema, item.name)
}

/// What makes an index or a constraint of a table that has another name now. None where it is not as `pg_dump` usually writes it: then it is
/// made when the table has its name again.
fn elsewhere(item: &Item, things: &BTreeMap<(&str, &str), &Thing>) -> Option<String> {
    let definition = item.definition.trim_end().strip_suffix(';')?;
    if definition.contains(";\n") {
        return None;
    }
    let (before, rest) = match item.kind.as_str() {
        "INDEX" => {
            let rest = definition.strip_prefix("CREATE INDEX ").or_else(|| definition.strip_prefix("CREATE UNIQUE INDEX "))?;
            let rest = rest[word(rest)?..].strip_prefix(" ON ")?;
            let rest = rest.strip_prefix("ONLY ").unwrap_or(rest);
            (&definition[..definition.len() - rest.len()], rest)
        }
        "CONSTRAINT" => ("ALTER TABLE ONLY ", definition.strip_prefix("ALTER TABLE ONLY ")?),
        _ => return None,
    };
    let end = word(rest)?;
    let named = meaning(&rest[..end]);
    let [schema, name] = named.as_slice() else { return None };
    let thing = things.get(&(schema.as_str(), name.as_str()))?;
    Some(format!("{before}{}{}", thing.at(), &rest[end..]))
}

/// Where a name ends: at the first blank that is not in quotes.
fn word(text: &str) -> Option<usize> {
    let mut in_quotes = false;
    let end = text.char_indices().find(|(_, c)| {
        in_quotes ^= *c == '"';
        c.is_whitespace() && !in_quotes
    });
    end.map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(kind: &str, definition: &str) -> Item {
        Item {
            id: 1,
            oid: 0,
            kind: kind.into(),
            schema: "public".into(),
            name: String::new(),
            section: Section::PostData,
            definition: definition.into(),
            copy: String::new(),
            tablespace: String::new(),
            needs: Vec::new(),
            owner: String::new(),
            has_data: false,
        }
    }

    #[test]
    fn what_is_built_early_names_the_table_as_it_is_called_by_then() {
        let thing = |schema: &str, name: &str| Thing {
            oid: "77".into(),
            kind: Kind::Table,
            schema: schema.into(),
            name: name.into(),
            course: 0,
            is_filled: true,
        };
        let (orders, odd) = (thing("public", "orders"), thing("Sch ema", "a \" b"));
        let things = BTreeMap::from([(("public", "orders"), &orders), (("Sch ema", "a \" b"), &odd)]);
        let there = |kind: &str, definition: &str| elsewhere(&item(kind, definition), &things);
        assert_eq!(
            there("INDEX", "CREATE INDEX \"x ON y\" ON public.orders USING btree (at, ' ON public.orders');\n").as_deref(),
            Some("CREATE INDEX \"x ON y\" ON \"public\".\"seawall_pending_77\" USING btree (at, ' ON public.orders')")
        );
        assert_eq!(
            there("INDEX", "CREATE UNIQUE INDEX u ON ONLY \"Sch ema\".\"a \"\" b\" USING btree (at) WHERE a;\n").as_deref(),
            Some("CREATE UNIQUE INDEX u ON ONLY \"Sch ema\".\"seawall_pending_77\" USING btree (at) WHERE a")
        );
        assert_eq!(
            there("CONSTRAINT", "ALTER TABLE ONLY public.orders\n    ADD CONSTRAINT orders_pkey PRIMARY KEY (id);\n").as_deref(),
            Some("ALTER TABLE ONLY \"public\".\"seawall_pending_77\"\n    ADD CONSTRAINT orders_pkey PRIMARY KEY (id)")
        );
        for (kind, definition) in [
            ("INDEX", "CREATE INDEX i ON public.orders USING btree (a);\n\nALTER TABLE public.orders CLUSTER ON i;\n"),
            ("INDEX", "CREATE INDEX i ON public.other USING btree (a);\n"),
            ("TRIGGER", "CREATE TRIGGER t ON public.orders;\n"),
            ("CONSTRAINT", "ALTER TABLE public.orders ADD CONSTRAINT c CHECK (true);\n"),
        ] {
            assert_eq!(there(kind, definition), None, "{definition}");
        }
    }
}
