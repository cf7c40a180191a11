//! What the policy needs of a server: its settings, and what Seawall's own roles may do, and no more.

use super::{Change, Found, Remark, sql};
use crate::inventory::{Observed, RoleState, ServerState, Setting};
use crate::plan::words::{joined, plain, quoted};
use crate::policy::model::Policy;
use crate::policy::path::PolicyPath;
use crate::policy::sql_name;

/// What is asked of `pg_settings`.
pub const SETTINGS: &[&str] = &[
    "wal_level",
    "archive_mode",
    "archive_command",
    "archive_library",
    "archive_timeout",
    "full_page_writes",
    "max_wal_senders",
    "max_replication_slots",
];
/// The groups whose rights are of use.
pub const GROUPS: &[&str] = &["pg_monitor", "pg_read_all_settings", ALL_ROWS];
/// From PostgreSQL 14 on.
const ALL_ROWS: &str = "pg_read_all_data";

/// What makes the server read settings that were changed: a step that differs from nothing.
pub(super) const RELOAD: &str = "SELECT pg_catalog.pg_reload_conf();";

/// What a backup calls.
pub fn functions(major: u32) -> &'static [&'static str] {
    match major {
        ..15 => &[
            "pg_start_backup(text, boolean, boolean)",
            "pg_stop_backup(boolean, boolean)",
            "pg_switch_wal()",
            "pg_create_restore_point(text)",
            "pg_read_binary_file(text, bigint, bigint, boolean)",
        ],
        _ => &[
            "pg_backup_start(text, boolean)",
            "pg_backup_stop(boolean)",
            "pg_switch_wal()",
            "pg_create_restore_point(text)",
            "pg_read_binary_file(text, bigint, bigint, boolean)",
        ],
    }
}

fn reads_files(function: &str) -> bool {
    function.starts_with("pg_read_binary_file")
}

/// Of what a backup calls, what is of use without one: a point in the log to come back to.
fn is_of_the_log(function: &str) -> bool {
    ["pg_switch_wal", "pg_create_restore_point"].iter().any(|name| function.starts_with(name))
}

/// The roles that the policy names, as they are.
pub fn roles(policy: &Policy) -> Vec<String> {
    let roles = policy.file.cluster.as_ref().and_then(|cluster| cluster.roles.as_ref());
    let named = roles.into_iter().flat_map(|roles| [&roles.backup, &roles.monitor]).flatten();
    named.filter_map(|name| sql_name::meaning(name).into_iter().next()).collect()
}

/// The policy needs something of the server itself.
pub fn is_about(policy: &Policy) -> bool {
    policy.wal.is_some() || !roles(policy).is_empty()
}

pub(super) fn compare(found: &mut Found<'_>, observed: &Observed<ServerState>) {
    let path = PolicyPath::from(["cluster"]);
    let state = match observed {
        Observed::Known(state) => state,
        Observed::Unknown { reason } => {
            let message = format!("what the server is set to is not known: {}", plain(reason));
            return found.unknown.push(Remark::new(path, message, "Nothing is changed where nothing is known."));
        }
    };
    if state.in_recovery {
        return found.remark(path, "the server is a standby, and its settings and roles are those of its primary", "");
    }
    settings(found, state);
    let named = found.policy.file.cluster.as_ref().and_then(|cluster| cluster.roles.clone());
    let name = |written: Option<String>| sql_name::meaning(&written?).into_iter().next();
    if let Some(named) = named {
        if let Some(role) = name(named.backup) {
            let path = path.key("roles").key("backup");
            let needs = Needs::of_backups(found.policy, state.major);
            if is_dumped(found.policy) && !needs.groups.contains(&ALL_ROWS) {
                let message =
                    format!("PostgreSQL {} has no `{ALL_ROWS}`: what {} is to dump has to be granted to it", state.major, quoted(&role));
                let hint = "Grant it `SELECT` on the tables and sequences, and `USAGE` on their schemas.";
                found.remark(path.clone(), message, hint);
            }
            self::role(found, state, &role, &needs, &path);
        }
        if let Some(role) = name(named.monitor) {
            let needs = Needs { replication: false, groups: vec!["pg_monitor"], functions: Vec::new() };
            self::role(found, state, &role, &needs, &path.key("roles").key("monitor"));
        }
    }
}

fn is_dumped(policy: &Policy) -> bool {
    policy.backups.values().any(|backup| backup.method.is_dumped())
}

/// Files are copied, and the server says which: over the replication protocol, where nobody reads its directory itself.
fn over_protocol(policy: &Policy) -> bool {
    let is_physical = policy.backups.values().any(|backup| backup.method.is_physical());
    is_physical && policy.file.cluster.as_ref().is_none_or(|cluster| cluster.data_directory.is_none())
}

/// A backup keeps the log that it needs on the server, with a replication slot, until it has it.
fn brings_log(policy: &Policy) -> bool {
    policy.wal.is_none() && policy.backups.values().any(|backup| backup.method.is_physical())
}

// ---- settings ------------------------------------------------------------------------------------------------------

fn settings(found: &mut Found<'_>, state: &ServerState) {
    let before = found.changes.len();
    if over_protocol(found.policy) {
        // Theirs, where it is not what it is when nobody has set it.
        set(found, state, "max_wal_senders", "10", |value| value != "0", &PolicyPath::from(["backups"]));
    }
    if brings_log(found.policy) {
        let path = PolicyPath::from(["backups"]);
        set(found, state, "wal_level", "replica", |value| matches!(value, "replica" | "logical"), &path);
        set(found, state, "max_replication_slots", "10", |value| value != "0", &path);
    }
    let path = PolicyPath::from(["wal"]);
    if let Some(wal) = &found.policy.wal {
        log(found, state, wal.timeout.as_secs(), &path);
    }
    if found.changes.len() > before {
        let sql = RELOAD.to_owned();
        let says = "settings that were changed have to be read by the server".to_owned();
        let change = Change::new(path, None, says, sql).consequence("the server reads its configuration again");
        found.push(Change { in_transaction: false, ..change });
    }
}

fn log(found: &mut Found<'_>, state: &ServerState, timeout: u64, path: &PolicyPath) {
    let is = |name: &str| state.settings.get(name).map(|setting| setting.value.as_str());
    set(found, state, "wal_level", "replica", |value| matches!(value, "replica" | "logical"), path);
    set(found, state, "full_page_writes", "on", |value| value == "on", path);
    let late = |value: &str| value.parse::<u64>().is_ok_and(|seconds| seconds > 0 && seconds <= timeout);
    set(found, state, "archive_timeout", &timeout.to_string(), late, &path.key("timeout"));
    let command = is("archive_command").map(str::trim).filter(|command| !matches!(*command, "" | "(disabled)"));
    let library = is("archive_library").map(str::trim).filter(|library| !library.is_empty());
    match (command, library) {
        (Some(command), None) if command.contains("seawall") => {
            set(found, state, "archive_mode", "on", |value| matches!(value, "on" | "always"), path);
        }
        // It names files of the database's own host, which nobody knows from here; and while it is empty, a server that archives
        // keeps all of its log.
        (None, None) => found.refuse(
            path.clone(),
            "the server archives nothing: `archive_command` is empty",
            "On its host, set `archive_command = 'seawall wal push %p --policy FILE'`; what else is needed is shown after that.",
        ),
        (Some(other), _) | (None, Some(other)) => found.refuse(
            path.clone(),
            format!("the server's log goes elsewhere: {}", quoted(other)),
            "It is left alone. When Seawall is to have it, set `archive_command = 'seawall wal push %p --policy FILE'` on the server's host.",
        ),
    }
}

fn set(found: &mut Found<'_>, state: &ServerState, name: &str, wanted: &str, good: impl Fn(&str) -> bool, path: &PolicyPath) {
    let Some(Setting { value, needs_restart, waits_for_restart }) = state.settings.get(name) else {
        let message = format!("this role may not see `{name}`");
        return found.unknown.push(Remark::new(path.clone(), message, "Grant it `pg_read_all_settings`."));
    };
    if good(value) {
        return;
    }
    if *waits_for_restart {
        let message = format!("`{name}` is {}, and another value waits for a restart of the server", quoted(value));
        return found.remark(path.clone(), message, "Restart it when that is possible.");
    }
    let says = format!("`{name}` is to be `{wanted}`, and is {}", quoted(value));
    let sql = format!("ALTER SYSTEM SET {name} = {};", sql::text(wanted));
    let change = Change::new(path.clone(), None, says, sql).consequence("is written into `postgresql.auto.conf`");
    found.push(Change { needs_restart: *needs_restart, in_transaction: false, ..change });
}

// ---- roles ---------------------------------------------------------------------------------------------------------

struct Needs {
    replication: bool,
    groups: Vec<&'static str>,
    functions: Vec<&'static str>,
}

impl Needs {
    /// As far as the policy's jobs go, and no further.
    fn of_backups(policy: &Policy, major: u32) -> Needs {
        let over_protocol = over_protocol(policy);
        let is_physical = policy.backups.values().any(|backup| backup.method.is_physical());
        let is_of_use = |function: &str| match function {
            // Who reads the files themselves does not ask the server for them.
            _ if reads_files(function) => over_protocol,
            _ if is_of_the_log(function) => is_physical || policy.wal.is_some(),
            _ => is_physical,
        };
        let reads_rows = is_dumped(policy) && major >= 14;
        let groups = std::iter::once("pg_read_all_settings").chain(reads_rows.then_some(ALL_ROWS)).collect();
        let replication = over_protocol || brings_log(policy);
        Needs { replication, groups, functions: functions(major).iter().filter(|name| is_of_use(name)).copied().collect() }
    }
}

fn role(found: &mut Found<'_>, state: &ServerState, role: &str, needs: &Needs, path: &PolicyPath) {
    let name = sql::name(role);
    let nobody = RoleState { login: false, replication: false, member_of: Default::default(), may_call: Default::default() };
    let own = state.roles.get(role);
    let push = |found: &mut Found<'_>, says: String, sql: String, consequence: &str| {
        found.push(Change::new(path.clone(), None, says, sql).consequence(consequence));
    };
    let attributes: &[(bool, bool, &str)] =
        &[(true, own.is_some_and(|own| own.login), "LOGIN"), (needs.replication, own.is_some_and(|own| own.replication), "REPLICATION")];
    let missing: Vec<&str> = attributes.iter().filter(|(needed, has, _)| *needed && !has).map(|(_, _, word)| *word).collect();
    match own {
        None => {
            let says = format!("there is no role {}", quoted(role));
            let consequence = "it has no password: until it is given one, or `pg_hba.conf` lets it in otherwise, nobody logs in as it";
            push(found, says, format!("CREATE ROLE {name} {};", missing.join(" ")), consequence);
        }
        Some(_) if !missing.is_empty() => {
            let says = format!("the role {} lacks {}", quoted(role), joined(&missing));
            push(found, says, format!("ALTER ROLE {name} {};", missing.join(" ")), "it may do that from now on");
        }
        Some(_) => {}
    }
    let own = own.unwrap_or(&nobody);
    for group in needs.groups.iter().filter(|group| !own.member_of.contains(**group)) {
        let says = format!("the role {} lacks the rights of `{group}`", quoted(role));
        let consequence = match *group {
            ALL_ROWS => "it reads every row of every database, as a dump does; tables with row-level security need `BYPASSRLS` besides",
            _ => "it sees settings and figures of the server, and nobody's rows",
        };
        push(found, says, format!("GRANT {group} TO {name};"), consequence);
    }
    for function in needs.functions.iter().filter(|function| !own.may_call.contains(**function)) {
        let says = format!("the role {} may not call `{function}`", quoted(role));
        let consequence = match reads_files(function) {
            true => "it reads pages again that were being written; it may read every file of the data directory, as whoever takes backups",
            false => "in the database of `cluster.connection` it may",
        };
        push(found, says, format!("GRANT EXECUTE ON FUNCTION pg_catalog.{function} TO {name};"), consequence);
    }
}
