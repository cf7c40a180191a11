//! The dump's roles: those that the server does not have are made before anything belongs to them.

use std::collections::BTreeSet;
use std::io::Read as _;

use super::act::of;
use super::{Found, RoleMap};
use crate::execute::restore::RestoreFault;
use crate::format::globals::{self, About, Statement};
use crate::pipeline::{Checked, PipelineFault};
use crate::postgres::Connection;

/// What the server lacks of what the dump's `globals.sql` names.
#[derive(Debug, Clone, Default)]
pub struct Roles {
    /// These are made.
    pub missing: Vec<String>,
    /// These are left as they are.
    pub there: Vec<String>,
    /// These are not on this server, and are not made: where their files would lie is for people to say.
    pub tablespaces: Vec<String>,
    /// Their passwords come with them.
    pub passwords: bool,
    statements: Vec<Statement>,
}

/// Of a dump that is to have them.
pub(super) fn wanted(found: &Found, connection: &mut Connection) -> Result<Roles, RestoreFault> {
    Roles::look(found, connection)?.ok_or_else(|| {
        let message = format!("backup {} has no roles: its job says `globals: false`", found.descriptor.id);
        RestoreFault::new(message, "Leave `--globals` away, and make the roles yourself or say `--no-owner --no-privileges`.")
    })
}

/// The server's, and those that are made there.
pub(super) fn known(made: Option<&Roles>, connection: &mut Connection) -> Result<BTreeSet<String>, RestoreFault> {
    let rows = connection.query("select rolname as name from pg_catalog.pg_roles", &[]).map_err(of)?;
    let there = rows.iter().map(|row| row.text("name").map(str::to_owned).map_err(of));
    there.chain(made.iter().flat_map(|roles| &roles.missing).map(|role| Ok(role.clone()))).collect()
}

impl Roles {
    /// None where the dump has none.
    pub(in crate::execute) fn look(found: &Found, connection: &mut Connection) -> Result<Option<Roles>, RestoreFault> {
        let Some(globals) = &found.contents.globals else { return Ok(None) };
        let object = found.object(&globals.object)?;
        let key = found.repository.data(&found.descriptor.id, &object.name);
        let mut text = Vec::new();
        let mut reader = Checked::open(&found.store, &key, object.size, &object.sha256, &found.identities)?;
        let read = reader.by_ref().take(globals::MAX_BYTES + 1).read_to_end(&mut text);
        read.map_err(|error| PipelineFault::of_stream(key.as_str(), &error))?;
        let bad = |what: String| RestoreFault::new(format!("{key}: {what}"), "Take another backup, or restore without `--globals`.");
        if text.len() as u64 > globals::MAX_BYTES {
            return Err(bad("it is larger than any that is believed".to_owned()));
        }
        let statements = globals::read(&text).map_err(|error| bad(error.to_string()))?;
        Ok(Some(Roles { passwords: globals.passwords, ..Roles::compared(statements, connection)? }))
    }

    /// Of a server whose roles can be asked for as they are.
    pub(in crate::execute) fn of_server(text: &[u8], connection: &mut Connection) -> Result<Roles, RestoreFault> {
        let bad = |what: &dyn std::fmt::Display| {
            RestoreFault::new(format!("what `pg_dumpall` writes of the roles: {what}"), "Restore without `--globals`.")
        };
        let statements = globals::read(text).map_err(|error| bad(&error))?;
        Ok(Roles { passwords: true, ..Roles::compared(statements, connection)? })
    }

    fn compared(statements: Vec<Statement>, connection: &mut Connection) -> Result<Roles, RestoreFault> {
        let mut names = |sql: &str| -> Result<BTreeSet<String>, RestoreFault> {
            let rows = connection.query(sql, &[]).map_err(of)?;
            rows.iter().map(|row| row.text("name").map(str::to_owned).map_err(of)).collect()
        };
        let roles = names("select rolname as name from pg_catalog.pg_roles")?;
        let tablespaces = names("select spcname as name from pg_catalog.pg_tablespace")?;
        let mut compared = Roles::default();
        for statement in &statements {
            match &statement.about {
                About::Role(name) if roles.contains(name) => compared.there.push(name.clone()),
                About::Role(name) => compared.missing.push(name.clone()),
                About::Tablespace(name) if !tablespaces.contains(name) => compared.tablespaces.push(name.clone()),
                _ => {}
            }
        }
        Ok(Roles { statements, ..compared })
    }

    /// Those whose things are somebody else's here are not made, and become members of nothing.
    pub(super) fn without(mut self, mapped: &RoleMap) -> Roles {
        self.missing.retain(|role| !mapped.has(role));
        self.there.retain(|role| !mapped.has(role));
        self.statements.retain(|statement| match &statement.about {
            About::Role(role) | About::OfRole(role) => !mapped.has(role),
            About::Member { of, member } => !mapped.has(of) && !mapped.has(member),
            About::Tablespace(_) | About::Other => true,
        });
        self
    }

    /// All of them or none. A role that was there stays as it was, but that it may become a member of one that is made.
    pub(in crate::execute) fn make(&self, connection: &mut Connection) -> Result<(), RestoreFault> {
        let is_new = |name: &String| self.missing.contains(name);
        connection.run("begin").map_err(of)?;
        for statement in &self.statements {
            let (wanted, what) = match &statement.about {
                About::Role(name) => (is_new(name), format!("the role `{name}` cannot be made")),
                About::OfRole(name) => (is_new(name), format!("what belongs to the role `{name}` cannot be set")),
                About::Member { of, member } => {
                    (is_new(of) || is_new(member), format!("`{member}` cannot be made a member of the role `{of}`"))
                }
                About::Tablespace(_) | About::Other => (false, String::new()),
            };
            if wanted && let Err(fault) = connection.run(&statement.sql) {
                let hint = "No role was made. Restore as a role that may make them, or make them yourself and leave `--globals` away.";
                return Err(RestoreFault::new(format!("{what}: {}", fault.message), hint));
            }
        }
        connection.run("commit").map(drop).map_err(of)
    }
}
