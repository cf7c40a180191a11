use std::collections::BTreeMap;

use crate::converge::rights;
use crate::inventory::{Observed, RoleState, ServerState, Setting};
use crate::policy::model::Policy;
use crate::postgres::{Connection, Fault, Row, array};
use crate::site::{Site, SiteFault};

/// What the server is set to and what the policy's roles may do, or why that could not be seen.
pub fn server(site: &Site<'_>) -> Observed<ServerState> {
    match ask(site) {
        Ok(state) => Observed::Known(state),
        Err(fault) => Observed::unknown(fault.message),
    }
}

fn ask(site: &Site<'_>) -> Result<ServerState, SiteFault> {
    let mut connection = Connection::connect(&site.cluster_connection()?)?;
    Ok(look_at_server(&mut connection, site.policy)?)
}

/// The same in a session that somebody else opened.
pub fn look_at_server(connection: &mut Connection, policy: &Policy) -> Result<ServerState, Fault> {
    let major = connection.major();
    let in_recovery = connection.query("select pg_catalog.pg_is_in_recovery() as standby", &[])?.one()?.flag("standby")?;
    let mut roles = BTreeMap::new();
    for role in rights::roles(policy) {
        if let Some(state) = role_state(connection, &role, major)? {
            roles.insert(role, state);
        }
    }
    Ok(ServerState { major, in_recovery, settings: settings(connection)?, roles })
}

fn settings(connection: &mut Connection) -> Result<BTreeMap<String, Setting>, Fault> {
    // Of a command that nothing runs, as long as `archive_mode` is off, the setting is shown as `(disabled)`.
    let rows = connection.query(
        "select name, case when setting = '(disabled)' then reset_val else setting end as setting, context = 'postmaster' as needs_restart, pending_restart as waits from pg_catalog.pg_settings \
         where name = any($1::text[])",
        &[&array(rights::SETTINGS)],
    )?;
    let one = |row: &Row| {
        let setting = Setting {
            value: row.get("setting").unwrap_or_default().to_owned(),
            needs_restart: row.flag("needs_restart")?,
            waits_for_restart: row.flag("waits")?,
        };
        Ok((row.text("name")?.to_owned(), setting))
    };
    rows.iter().map(one).collect()
}

fn role_state(connection: &mut Connection, role: &str, major: u32) -> Result<Option<RoleState>, Fault> {
    let rows = connection
        .query("select rolcanlogin, rolreplication or rolsuper as replicates from pg_catalog.pg_roles where rolname = $1", &[role])?;
    let Some(row) = rows.iter().next() else { return Ok(None) };
    let (login, replication) = (row.flag("rolcanlogin")?, row.flag("replicates")?);
    let mut state = RoleState { login, replication, member_of: Default::default(), may_call: Default::default() };
    for group in rights::GROUPS {
        // Not every version has each of them.
        let has = "select 1 from pg_catalog.pg_roles where rolname = $2 and pg_catalog.pg_has_role($1::name, oid, 'USAGE')";
        if !connection.query(has, &[role, group])?.is_empty() {
            state.member_of.insert((*group).to_owned());
        }
    }
    for function in rights::functions(major) {
        let may = "select pg_catalog.has_function_privilege($1::name, $2::text, 'EXECUTE') as may";
        if connection.query(may, &[role, &format!("pg_catalog.{function}")])?.one()?.flag("may")? {
            state.may_call.insert((*function).to_owned());
        }
    }
    Ok(Some(state))
}
