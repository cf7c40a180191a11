//! What belongs to a database and not to what is in it: made with it, and given to it with its name.

use std::collections::BTreeSet;

use super::{Plan, Wanted};
use crate::execute::restore::RestoreFault;
use crate::format::contents::{Database, Own, OwnGrant, OwnSetting};
use crate::plan::words::{counted, joined, quoted as shown};
use crate::policy::sql_name::{literal, quoted};
use crate::postgres::{Connection, Fault};

/// As PostgreSQL keeps them they are lists of names in quotes already. A list that is given again is read by the server itself.
const LISTS: [&str; 5] =
    ["local_preload_libraries", "search_path", "session_preload_libraries", "shared_preload_libraries", "temp_tablespaces"];
/// The first that knows other providers than libc; and the one that calls the locale so whatever the provider is.
const PROVIDERS_SINCE: u32 = 15;
pub(super) const MAKE_ROLES: &str = "Say `--globals` to make the dump's roles first, `--map-role OLD=NEW` to let others have what is theirs, or `--no-owner --no-privileges`.";

/// Nobody comes in but its owner and superusers until it has its name: whoever sat there would keep it from getting it.
pub(in crate::execute) fn make(connection: &mut Connection, name: &str, dumped: &Database, major: u32) -> Result<(), Fault> {
    connection.run(&create(name, dumped, major))?;
    let name = quoted(name);
    let closed = connection.run(&format!("revoke all on database {name} from public; alter database {name} allow_connections true"));
    if closed.is_err() {
        let _ = connection.run(&format!("drop database {name}"));
    }
    closed.map(drop)
}

fn create(name: &str, dumped: &Database, major: u32) -> String {
    format!("create database {} template template0 allow_connections false {}", quoted(name), sorted_as(dumped, major))
}

/// For `create database`: how it writes text, and how it sorts it.
pub(in crate::execute) fn sorted_as(dumped: &Database, major: u32) -> String {
    let mut sql =
        format!("encoding {} lc_collate {} lc_ctype {}", literal(&dumped.encoding), literal(&dumped.collate), literal(&dumped.ctype));
    let Some(own) = dumped.own.as_ref().filter(|_| major >= PROVIDERS_SINCE) else { return sql };
    // Also where it is the usual one: the server's own may be another.
    sql.push_str(&format!(" locale_provider {}", own.provider));
    let locale = own.locale.as_deref().map(literal);
    match (own.provider.as_str(), locale) {
        ("icu", Some(locale)) => sql.push_str(&format!(" icu_locale {locale}")),
        ("builtin", Some(locale)) => sql.push_str(&format!(" builtin_locale {locale}")),
        _ => {}
    }
    if let Some(rules) = &own.icu_rules {
        sql.push_str(&format!(" icu_rules {}", literal(rules)));
    }
    sql
}

/// A provider that the server does not know.
pub(super) fn refuse_provider(dumped: &Database, major: u32) -> Result<(), RestoreFault> {
    let Some(own) = &dumped.own else { return Ok(()) };
    let since = match own.provider.as_str() {
        "icu" => PROVIDERS_SINCE,
        "builtin" => 17,
        _ => return Ok(()),
    };
    if major >= since {
        return Ok(());
    }
    let message = format!("`{}` has its locale from {}, which PostgreSQL {major} cannot give to a database", dumped.name, own.provider);
    Err(RestoreFault::new(
        message,
        "Restore into a newer server; or make the database yourself with a locale of libc, and leave `--create` away.",
    ))
}

impl Plan {
    /// What a database that is made gets besides its contents, for people.
    pub fn own(&self) -> Vec<String> {
        let Wanted { no_owner, no_privileges, .. } = self.wanted;
        let Some(own) = self.database().own.as_ref().filter(|_| self.wanted.makes()) else { return Vec::new() };
        let own = self.wanted.roles.own(own);
        let mut all = Vec::new();
        all.extend((!no_owner).then(|| format!("its owner {}", shown(&own.owner))));
        all.extend(own.grants.as_ref().filter(|_| !no_privileges).map(|grants| counted(grants.len(), "grant")));
        all.extend((!own.settings.is_empty()).then(|| counted(own.settings.len(), "setting")));
        all.extend(own.connection_limit.map(|limit| format!("at most {limit} connections")));
        all.extend((own.provider != "libc").then(|| format!("its locale from {}", own.provider)));
        all
    }
}

/// What needs them also without owners and grants is said in sentences without a full stop.
pub(super) fn missing<'r>(database: &str, roles: impl IntoIterator<Item = &'r str>, always: &[String]) -> RestoreFault {
    let roles: BTreeSet<&str> = roles.into_iter().collect();
    let (what, are) = if roles.len() == 1 { ("role", "is") } else { ("roles", "are") };
    let message = format!("{} needs the {what} {}, which {are} not on this server", shown(database), joined(roles.into_iter().map(shown)));
    let also = if always.is_empty() { String::new() } else { format!(" The last does not help where {}.", joined(always.iter().cloned())) };
    RestoreFault::new(message, format!("{MAKE_ROLES}{also}"))
}

/// Those that a database of its own needs.
pub(super) fn needed<'o>(own: &'o Own, wanted: &Wanted) -> impl Iterator<Item = &'o str> + use<'o> {
    let (with_owner, with_grants) = (!wanted.no_owner, !wanted.no_privileges);
    let settings = own.settings.iter().filter(move |_| with_owner).filter_map(|one| one.role.as_deref());
    let grants = own.grants.iter().flatten().filter(move |_| with_grants).filter_map(|grant| grant.to.as_deref());
    let grants = grants.filter(move |to| with_owner || *to != own.owner);
    with_owner.then_some(own.owner.as_str()).into_iter().chain(settings).chain(grants)
}

/// All of it or nothing: within the transaction in which it gets its name.
pub(super) fn give(plan: &Plan, database: &str, connection: &mut Connection) -> Result<(), RestoreFault> {
    statements(plan.database(), &plan.wanted, database).iter().try_for_each(|sql| connection.run(sql).map(drop).map_err(named))
}

/// What makes a database that is complete what it is to be, as people type it when it could not be done for them. What applications keep in
/// settings of their own may be a secret, so it is named and not shown.
pub(super) fn by_hand(plan: &Plan, made: &str) -> String {
    let mut dumped = plan.database().clone();
    let own_settings = dumped.own.as_mut().map(|own| std::mem::take(&mut own.settings)).unwrap_or_default();
    let (hidden, open): (Vec<_>, Vec<_>) = own_settings.into_iter().partition(|one| one.name.contains('.'));
    if let Some(own) = &mut dumped.own {
        own.settings = open;
    }
    let mut all = vec!["begin".to_owned()];
    all.extend(statements(&dumped, &plan.wanted, made));
    let into = quoted(&plan.wanted.into);
    all.extend(plan.before.as_ref().map(|before| format!("alter database {into} rename to {}", quoted(before))));
    all.extend([format!("alter database {} rename to {into}", quoted(made)), "commit".to_owned()]);
    let sql = format!("`{};`", all.join("; "));
    match hidden.as_slice() {
        [] => sql,
        hidden => format!("{sql} Then set {}, which `contents.json` of the backup has.", joined(hidden.iter().map(|one| shown(&one.name)))),
    }
}

/// In their order, within one transaction.
pub(in crate::execute) fn statements(dumped: &Database, wanted: &Wanted, database: &str) -> Vec<String> {
    let name = quoted(database);
    // As every database has it, and this one has not had since it was made.
    let open = format!("grant connect, temporary on database {name} to public");
    let Some(own) = dumped.own.as_ref().map(|own| wanted.roles.own(own)) else { return vec![open] };
    let mut all = Vec::new();
    if own.grants.is_none() || wanted.no_privileges {
        all.push(open);
    }
    if !wanted.no_owner {
        all.push(format!("alter database {name} owner to {}", quoted(&own.owner)));
    }
    all.extend(own.connection_limit.map(|limit| format!("alter database {name} connection limit {limit}")));
    all.extend(own.comment.as_ref().map(|comment| format!("comment on database {name} is {}", literal(comment))));
    // Without owners nobody else's role is needed.
    all.extend(own.settings.iter().filter(|one| one.role.is_none() || !wanted.no_owner).flat_map(|one| set(one, &name)));
    if let Some(grants) = own.grants.as_ref().filter(|_| !wanted.no_privileges) {
        all.push(format!("revoke all on database {name} from public"));
        let of_owner = |grant: &&OwnGrant| grant.to.as_ref() != Some(&own.owner) || !wanted.no_owner;
        // A word of PostgreSQL's own, and what is none is refused.
        let is_word = |grant: &&OwnGrant| grant.privilege.bytes().all(|byte| byte.is_ascii_uppercase());
        for grant in grants.iter().filter(of_owner).filter(is_word) {
            let to = grant.to.as_deref().map_or_else(|| "public".to_owned(), quoted);
            let more = if grant.grantable { " with grant option" } else { "" };
            all.push(format!("grant {} on database {name} to {to}{more}", grant.privilege));
        }
    }
    all
}

fn set(one: &OwnSetting, database: &str) -> Vec<String> {
    let whose = match &one.role {
        Some(role) => format!("alter role {} in database {database}", quoted(role)),
        None => format!("alter database {database}"),
    };
    // `a.b` is a setting of an extension.
    let name = one.name.split('.').map(quoted).collect::<Vec<_>>().join(".");
    if LISTS.contains(&one.name.to_ascii_lowercase().as_str()) {
        // Ours too, until this transaction ends: nothing in it depends on it.
        let ours = format!("select pg_catalog.set_config({}, {}, true)", literal(&one.name), literal(&one.value));
        vec![ours, format!("{whose} set {name} from current")]
    } else {
        vec![format!("{whose} set {name} to {}", literal(&one.value))]
    }
}

fn named(fault: Fault) -> RestoreFault {
    let hint = match fault.message.contains("role") && fault.message.contains("does not exist") {
        true => MAKE_ROLES.to_owned(),
        false => fault.hint.clone(),
    };
    RestoreFault::new(fault.message, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_database_gets_is_what_somebody_types_for_it() {
        let own: Own = serde_json::from_value(serde_json::json!({
            "bytes": 1, "owner": "the \"clerk\"", "provider": "libc", "connection_limit": 12,
            "settings": [{ "name": "search_path", "value": "public, \"S\"" }, { "role": "reader", "name": "a.b", "value": "it's" }],
            "grants": [{ "to": "reader", "privilege": "CONNECT", "grantable": true }, { "privilege": "TEMPORARY; --", "grantable": false }]
        }))
        .expect("it can be read");
        let dumped: Database = serde_json::from_value(serde_json::json!({
            "name": "shop", "encoding": "UTF8", "collate": "C", "ctype": "C", "position": "0/0", "extensions": {}, "partial": false,
            "archives": [], "tables": [], "own": serde_json::to_value(&own).expect("it")
        }))
        .expect("it can be read");
        let all = statements(&dumped, &Wanted::default(), "made");
        let wanted = [
            r#"alter database "made" owner to "the ""clerk""""#,
            r#"alter database "made" connection limit 12"#,
            r#"select pg_catalog.set_config('search_path', 'public, "S"', true)"#,
            r#"alter database "made" set "search_path" from current"#,
            r#"alter role "reader" in database "made" set "a"."b" to 'it''s'"#,
            r#"revoke all on database "made" from public"#,
            r#"grant CONNECT on database "made" to "reader" with grant option"#,
        ];
        assert_eq!(all, wanted);
        assert_eq!(needed(&own, &Wanted::default()).collect::<BTreeSet<_>>(), BTreeSet::from(["reader", "the \"clerk\""]));
        let without = Wanted { no_owner: true, no_privileges: true, ..Wanted::default() };
        assert_eq!(needed(&own, &without).count(), 0);
        let all = statements(&dumped, &without, "made");
        assert_eq!((all.len(), all[0].as_str()), (4, r#"grant connect, temporary on database "made" to public"#));
    }
}
