//! What belongs to a database itself, as it is when its dump is made.

use crate::execute::backup::BackupFault;
use crate::format::contents::{Own, OwnGrant, OwnSetting};
use crate::postgres::Connection;

/// Columns come and go with the versions; as JSON they are there or not.
const ABOUT: &str = "\
    select pg_catalog.pg_database_size(d.oid)::text as bytes, pg_catalog.pg_get_userbyid(d.datdba) as owner, \
           coalesce(pg_catalog.to_jsonb(d) ->> 'datlocprovider', 'c') as provider, \
           coalesce(pg_catalog.to_jsonb(d) ->> 'datlocale', pg_catalog.to_jsonb(d) ->> 'daticulocale') as locale, \
           pg_catalog.to_jsonb(d) ->> 'daticurules' as rules, nullif(d.datconnlimit, -1)::text as connections, \
           pg_catalog.shobj_description(d.oid, 'pg_database') as comment, (d.datacl is null)::text as as_ever \
    from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()";
const SETTINGS: &str = "\
    select r.rolname as role, pg_catalog.split_part(c, '=', 1) as name, pg_catalog.substr(c, pg_catalog.strpos(c, '=') + 1) as value \
    from pg_catalog.pg_db_role_setting s join pg_catalog.pg_database d on d.oid = s.setdatabase \
    left join pg_catalog.pg_roles r on r.oid = s.setrole cross join lateral pg_catalog.unnest(s.setconfig) c \
    where d.datname = pg_catalog.current_database() and (s.setrole = 0 or r.oid is not null) order by 1 nulls first, 2";
const GRANTS: &str = "\
    select r.rolname as role, a.privilege_type as privilege, a.is_grantable::text as grantable \
    from pg_catalog.pg_database d cross join lateral pg_catalog.aclexplode(d.datacl) a left join pg_catalog.pg_roles r on r.oid = a.grantee \
    where d.datname = pg_catalog.current_database() and (a.grantee = 0 or r.oid is not null) order by 1 nulls first, 2";

/// Within the dump's own transaction.
pub(super) fn of(connection: &mut Connection) -> Result<Own, BackupFault> {
    let rows = connection.query(ABOUT, &[])?;
    let about = rows.one()?;
    let text = |column: &str| about.get(column).map(str::to_owned);
    let mut own = Own {
        bytes: about.parse("bytes")?,
        owner: about.text("owner")?.to_owned(),
        provider: provider(about.text("provider")?).to_owned(),
        locale: text("locale"),
        icu_rules: text("rules"),
        connection_limit: about.parse_if::<i64>("connections")?.and_then(|limit| u32::try_from(limit).ok()),
        comment: text("comment"),
        settings: Vec::new(),
        grants: (about.text("as_ever")? != "true").then(Vec::new),
    };
    for row in &connection.query(SETTINGS, &[])? {
        let role = row.get("role").map(str::to_owned);
        own.settings.push(OwnSetting { role, name: row.text("name")?.to_owned(), value: row.text("value")?.to_owned() });
    }
    if let Some(grants) = &mut own.grants {
        for row in &connection.query(GRANTS, &[])? {
            let (to, privilege) = (row.get("role").map(str::to_owned), row.text("privilege")?.to_owned());
            grants.push(OwnGrant { to, privilege, grantable: row.text("grantable")? == "true" });
        }
    }
    Ok(own)
}

/// The word for it in `CREATE DATABASE`.
fn provider(letter: &str) -> &'static str {
    match letter {
        "i" => "icu",
        "b" => "builtin",
        _ => "libc",
    }
}
