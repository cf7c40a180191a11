//! The roles that what is in a dump needs. Grants and policies come last: what is missed there would cost the hours before it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use super::{Found, Plan, Target, Wanted, own};
use crate::execute::dump::archive;
use crate::execute::dump::encoding::{UTF8, bytes_in};
use crate::execute::restore::RestoreFault;
use crate::format::contents::Database;
use crate::format::descriptor::Object;
use crate::format::dump::{Item, Stopped, Walk};
use crate::pipeline::{Checked, PipelineFault};
use crate::plan::words::{joined, quoted};
use crate::postgres::{Connection, Settings};
use crate::units::nearest;

/// By their names in the dump.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::execute) struct Needs {
    /// What somebody wants back needs these.
    needed: BTreeSet<String>,
    /// Of those, the ones that it needs without owners and grants too, and for what.
    always: BTreeMap<String, &'static str>,
    /// Whether it is wanted or not.
    named: BTreeSet<String>,
    /// Where what is wanted lay.
    tablespaces: BTreeSet<String>,
}

impl Needs {
    /// Of lines that `pg_restore` would bring back, and of those that it would not.
    pub(in crate::execute) fn of<'i>(items: impl IntoIterator<Item = (&'i Item, bool)>, wanted: &Wanted) -> Needs {
        let mut needs = Needs::default();
        for (item, is_wanted) in items {
            // In a dump that is not in UTF-8 a name may not be readable here: `pg_restore` itself says whether it is there.
            let is_readable = |name: &String| !name.contains(char::REPLACEMENT_CHARACTER);
            let owner = item.owned_by().map(str::to_owned).filter(is_readable);
            let roles: Vec<String> = item.roles().into_iter().filter(is_readable).collect();
            needs.named.extend(owner.iter().chain(&roles).cloned());
            if !is_wanted || item.is_of_database() {
                continue;
            }
            if !item.tablespace.is_empty() && !wanted.no_tablespaces && is_readable(&item.tablespace) {
                needs.tablespaces.insert(item.tablespace.clone());
            }
            needs.needed.extend(owner.filter(|_| !wanted.no_owner));
            if item.is_grant() {
                needs.needed.extend(roles.into_iter().filter(|_| !wanted.no_privileges));
                continue;
            }
            let what = if item.kind == "POLICY" { "a policy" } else { "a user mapping" };
            needs.always.extend(roles.iter().map(|role| (role.clone(), what)));
            needs.needed.extend(roles);
        }
        needs
    }

    /// Reads the beginnings of the archives, as far as their first rows.
    pub(super) fn look(plan: &Plan) -> Result<Needs, RestoreFault> {
        let (found, wanted) = (&plan.found, &plan.wanted);
        let mut all = Vec::new();
        for object in &plan.objects {
            let (head, items) = head(found, object)?;
            // What cannot be renamed ends it here, and not when roles and databases were made.
            wanted.roles.head(&object.name, &head)?;
            let chosen = chosen(&head, plan)?;
            all.extend(items.into_iter().map(|item| {
                let is_wanted = chosen.as_ref().is_none_or(|chosen| chosen.contains(&item.id));
                (item, is_wanted)
            }));
        }
        if let Some(types) = &plan.types {
            let (head, _) = head(found, &types.object)?;
            wanted.roles.head(&types.object.name, &head)?;
            all.extend(types.items().map(|item| (item.clone(), true)));
        }
        Ok(Needs::of(all.iter().map(|(item, is_wanted)| (item, *is_wanted)), wanted))
    }

    /// What is neither there nor made.
    pub(super) fn missing(&self, there: &BTreeSet<String>, dumped: &Database, wanted: &Wanted) -> Vec<String> {
        let of_database = if wanted.makes() { of_database(dumped, wanted) } else { BTreeSet::new() };
        self.needed.union(&of_database).filter(|role| !there.contains(wanted.roles.to(role))).cloned().collect()
    }

    /// An index may be all that lies elsewhere, and indexes come last.
    pub(in crate::execute) fn must_have_its_tablespaces(&self, target: &Target) -> Result<(), RestoreFault> {
        let lacks: Vec<&String> = self.tablespaces.difference(&target.tablespaces).collect();
        if lacks.is_empty() {
            return Ok(());
        }
        let (word, them) = if lacks.len() == 1 { ("tablespace", "it") } else { ("tablespaces", "them") };
        let message =
            format!("the dump has tables or indexes in the {word} {}, and this server does not", joined(lacks.iter().map(quoted)));
        let hint =
            format!("Make {them} with `create tablespace`, or say `--no-tablespaces`: then everything lies where the database does.");
        Err(RestoreFault::new(message, hint))
    }

    /// What is neither there nor made, and names that are mapped and that nobody has.
    pub(in crate::execute) fn must_be_met(&self, there: &BTreeSet<String>, dumped: &Database, wanted: &Wanted) -> Result<(), RestoreFault> {
        let named: BTreeSet<String> = self.named.union(&of_database(dumped, &Wanted::default())).cloned().collect();
        if let Some(old) = wanted.roles.olds().find(|old| !named.contains(*old)) {
            let near =
                nearest(old, named.iter().map(String::as_str)).map_or_else(String::new, |near| format!("Did you mean {}? ", quoted(near)));
            let has = if named.is_empty() { "no role at all".to_owned() } else { joined(named.iter().map(quoted)) };
            return Err(RestoreFault::new(format!("nothing in the dump is of the role {}", quoted(old)), format!("{near}It names {has}.")));
        }
        let missing = self.missing(there, dumped, wanted);
        if missing.is_empty() {
            return Ok(());
        }
        let always = missing.iter().filter_map(|role| Some((role, *self.always.get(role)?)));
        let always: Vec<String> = always.map(|(role, what)| format!("{} is named by {what}", quoted(role))).collect();
        Err(own::missing(&dumped.name, missing.iter().map(|role| wanted.roles.to(role)), &always))
    }
}

/// What belongs to the database itself.
fn of_database(dumped: &Database, wanted: &Wanted) -> BTreeSet<String> {
    dumped.own.iter().flat_map(|own| own::needed(own, wanted)).map(str::to_owned).collect()
}

/// The beginning of an archive, as far as its first rows. What is damaged is told so.
pub(super) fn head(found: &Found, object: &Object) -> Result<(Vec<u8>, Vec<Item>), RestoreFault> {
    read_head(found, object).map_err(|fault| found.check(object, &mut |_| true).err().unwrap_or(fault))
}

fn read_head(found: &Found, object: &Object) -> Result<(Vec<u8>, Vec<Item>), RestoreFault> {
    let key = found.repository.data(&found.descriptor.id, &object.name);
    let checked = Checked::open(&found.store, &key, object.size, &object.sha256, &found.identities)?;
    let walk = Walk::new(checked).map_err(|stopped| unread(&object.name, stopped))?;
    let items = walk.items().map_err(|bad| unread(&object.name, Stopped::Bad(bad)))?;
    Ok((walk.head().to_vec(), items))
}

pub(in crate::execute) fn unread(what: &str, stopped: Stopped) -> RestoreFault {
    match stopped {
        Stopped::Bad(bad) => RestoreFault::new(format!("{what}: {bad}"), "`seawall verify` says whether it is whole."),
        Stopped::Unread(error) => PipelineFault::of_stream(what, &error).into(),
    }
}

/// The lines that `pg_restore` itself would bring back, where only some are wanted.
pub(super) fn chosen(head: &[u8], plan: &Plan) -> Result<Option<BTreeSet<i64>>, RestoreFault> {
    let sections = plan.wanted.sections.iter().map(|section| format!("--section={}", section.as_str()).into());
    let words: Vec<OsString> = sections.chain(plan.names.iter().cloned()).collect();
    if words.is_empty() {
        return Ok(None);
    }
    let listed = archive::listed(&plan.programs, head, &words).map_err(|fault| RestoreFault::new(fault.to_string(), fault.hint()))?;
    Ok(Some(listed.lines().filter_map(|line| line.split_once(';')?.0.parse().ok()).collect()))
}

impl Wanted {
    /// Schemas and tables, as `pg_restore` is told.
    fn names(&self) -> impl Iterator<Item = String> {
        let schemas = self.schemas.iter().map(|schema| format!("--schema={schema}"));
        schemas.chain(self.tables.iter().map(|table| format!("--table={table}")))
    }

    /// The same as they stand in a dump of this encoding.
    pub(super) fn names_in(&self, encoding: &str, settings: &Settings) -> Result<Vec<OsString>, RestoreFault> {
        if encoding == UTF8 || self.names().all(|name| name.is_ascii()) {
            return Ok(self.names().map(OsString::from).collect());
        }
        let mut connection = Connection::connect(settings)?;
        self.names().map(|name| Ok(OsString::from_vec(bytes_in(&mut connection, &name, encoding)?))).collect()
    }
}
