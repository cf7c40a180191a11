//! Roles, tablespaces and settings: they belong to the whole cluster, and no dump of a database has them.

use std::time::Duration;

use super::programs::Programs;
use super::{Run, child, object};
use crate::execute::backup::BackupFault;
use crate::format::contents::Globals;
use crate::format::descriptor::{Object, ObjectKind};
use crate::pipeline::{Shelf, StreamWriter};
use crate::postgres::conninfo::Environment;
use crate::postgres::{Connection, Settings};
use crate::units::Key;

/// Behind everything else, also where a newer `pg_dumpall` adds a line of its own.
const END: &[u8] = b"PostgreSQL database cluster dump complete";
const TAIL: usize = 1024;

/// With what they are dumped, and where they are put.
pub(in crate::execute) struct Way<'w> {
    pub shelf: Shelf<'w>,
    pub key: &'w (dyn Fn(&str) -> Key + 'w),
    pub programs: &'w Programs,
    pub settings: &'w Settings,
    pub environment: &'w Environment,
    pub lock_timeout: Duration,
    pub halt: &'w child::Halt<'w>,
}

impl Run<'_> {
    pub(super) fn globals(&mut self, connection: &mut Connection) -> Result<Globals, BackupFault> {
        let way = Way {
            shelf: Shelf { store: self.store, lock: self.data_lock, codec: self.order.codec },
            key: &|name| self.repository.data(self.id, name),
            programs: self.programs()?,
            settings: self.settings,
            environment: self.environment,
            lock_timeout: self.order.lock_timeout,
            halt: self.halt,
        };
        let (globals, object) = dump(&way, connection, &mut self.remarks)?;
        self.objects.push(object);
        Ok(globals)
    }
}

/// All of them, as SQL.
pub(in crate::execute) fn dump(
    way: &Way<'_>,
    connection: &mut Connection,
    remarks: &mut Vec<String>,
) -> Result<(Globals, Object), BackupFault> {
    let passwords = may_have_passwords(way.shelf.lock.is_encrypted(), connection, remarks)?;
    let name = format!("globals.sql{}", way.shelf.codec.extension(way.shelf.lock.envelope()));
    let mut writer = StreamWriter::new(&way.shelf, &(way.key)(&name))?;
    let mut arguments = vec![
        "--globals-only".to_owned(),
        "--no-password".to_owned(),
        format!("--lock-wait-timeout={}", way.lock_timeout.as_millis()),
        format!("--dbname={}", way.settings.dbname_argument(&way.settings.dbname)),
    ];
    if !passwords {
        arguments.push("--no-role-passwords".to_owned());
    }
    let mut command = way.programs.command("pg_dumpall", arguments);
    way.environment.apply(&mut command);
    let mut tail = Vec::new();
    child::stream(command, way.halt, &mut |bytes| {
        tail.extend_from_slice(bytes);
        tail.drain(..tail.len().saturating_sub(TAIL));
        Ok(writer.push(bytes)?)
    })?;
    if !tail.windows(END.len()).any(|window| window == END) {
        let hint = "Does `pg_dumpall --globals-only` itself work there?";
        return Err(BackupFault::refused("what pg_dumpall writes ends in the middle", hint));
    }
    let written = writer.finish()?;
    Ok((Globals { object: name.clone(), passwords }, object(name, ObjectKind::Globals, &written)))
}

/// Hashes of passwords are taken where the role may see them, and only into what is encrypted.
fn may_have_passwords(encrypted: bool, connection: &mut Connection, remarks: &mut Vec<String>) -> Result<bool, BackupFault> {
    if !encrypted {
        remarks.push("the roles are without their passwords, because nothing is encrypted".into());
        return Ok(false);
    }
    let sees = connection.query("select has_table_privilege('pg_catalog.pg_authid', 'select') as sees", &[])?.one()?.flag("sees")?;
    if !sees {
        remarks.push("the roles are without their passwords, which this role may not see".into());
    }
    Ok(sees)
}
