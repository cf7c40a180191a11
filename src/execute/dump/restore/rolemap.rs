//! Roles of a dump that have another name where it comes back.

use std::collections::BTreeMap;
use std::io::Read;

use super::needs::unread;
use crate::execute::restore::RestoreFault;
use crate::format::contents::Own;
use crate::format::dump::{Stopped, Walk, is_of_jobs, with_owners, with_roles};
use crate::plan::words::{joined, quoted};

/// From the dump's name to the server's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleMap(BTreeMap<String, String>);

impl RoleMap {
    /// Each may be said once.
    pub fn new(pairs: &[(String, String)]) -> Result<RoleMap, RestoreFault> {
        let mut map = BTreeMap::new();
        for (old, new) in pairs {
            let before = map.insert(old.clone(), new.clone());
            if before.is_some_and(|before| before != *new) {
                let message = format!("`--map-role` gives what is {}'s to two roles", quoted(old));
                return Err(RestoreFault::new(message, "Things have one owner: say one of the two."));
            }
        }
        Ok(RoleMap(map))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Who it is on the server.
    pub(super) fn to<'r>(&'r self, role: &'r str) -> &'r str {
        self.0.get(role).map_or(role, String::as_str)
    }

    pub(super) fn other(&self, role: &str) -> Option<String> {
        self.0.get(role).cloned()
    }

    pub(super) fn has(&self, role: &str) -> bool {
        self.0.contains_key(role)
    }

    /// The dump's names.
    pub(super) fn olds(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// A dump has its names in its database's encoding, and those of the command line are in UTF-8.
    pub(in crate::execute) fn must_be_readable(&self, encoding: &str) -> Result<(), RestoreFault> {
        match self.0.values().find(|new| !new.is_ascii()) {
            Some(new) if encoding != "UTF8" => Err(RestoreFault::new(
                format!("the dump is in {encoding}, in which `--map-role` cannot write {}", quoted(new)),
                "Map it to a role whose name is plain ASCII, and `reassign owned` in the restored database.",
            )),
            _ => Ok(()),
        }
    }

    pub(in crate::execute) fn pairs(&self) -> BTreeMap<String, String> {
        self.0.clone()
    }

    /// `app` becomes `web`, for people.
    pub fn shown(&self) -> String {
        joined(self.0.iter().map(|(old, new)| format!("{} becomes {}", quoted(old), quoted(new))))
    }

    /// A dump on its way, with the server's names; `what` is what it is called.
    pub(in crate::execute) fn over<'d>(&self, what: &str, dump: impl Read + 'd) -> Result<Box<dyn Read + 'd>, RestoreFault> {
        if self.is_empty() {
            return Ok(Box::new(dump));
        }
        let walk = Walk::new(dump).map_err(|stopped| unread(what, stopped))?;
        let map = self.clone();
        let renamed = walk.with_roles(move |role: &str| map.other(role)).map_err(|bad| unread(what, Stopped::Bad(bad)))?;
        Ok(Box::new(renamed))
    }

    /// The same of its head alone.
    pub(in crate::execute) fn head(&self, what: &str, head: &[u8]) -> Result<Vec<u8>, RestoreFault> {
        if self.is_empty() {
            return Ok(head.to_vec());
        }
        with_roles(head, &|role| self.other(role)).map_err(|bad| unread(what, Stopped::Bad(bad)))
    }

    /// Rows of one of TimescaleDB's own tables.
    pub(in crate::execute) fn rows(&self, (schema, name): (&str, &str), columns: &str, rows: &[u8]) -> Result<Vec<u8>, RestoreFault> {
        if self.is_empty() || !is_of_jobs(schema, name) {
            return Ok(rows.to_vec());
        }
        with_owners(columns, rows, &|role| self.other(role)).ok_or_else(|| {
            let message = "TimescaleDB's jobs are not as they are known here, and `--map-role` gives them to nobody";
            RestoreFault::new(message, "Leave `--map-role` away, and `reassign owned` in the restored database.")
        })
    }

    /// What belongs to a database, with the server's names.
    pub(super) fn own(&self, own: &Own) -> Own {
        let mut own = own.clone();
        let change = |role: &mut String| {
            if let Some(new) = self.other(role) {
                *role = new;
            }
        };
        change(&mut own.owner);
        own.settings.iter_mut().filter_map(|one| one.role.as_mut()).for_each(change);
        own.grants.iter_mut().flatten().filter_map(|grant| grant.to.as_mut()).for_each(change);
        own
    }
}

/// A dump on its way, in which TimescaleDB's jobs belong to others: their owners stand among rows, where `--no-owner` does not reach.
pub(in crate::execute) fn with_job_owners<'d>(
    what: &str,
    dump: impl Read + 'd,
    to: impl Fn(&str) -> Option<String> + 'd,
) -> Result<Box<dyn Read + 'd>, RestoreFault> {
    let walk = Walk::new(dump).map_err(|stopped| unread(what, stopped))?;
    Ok(Box::new(walk.with_job_owners(to).map_err(|bad| unread(what, Stopped::Bad(bad)))?))
}
