//! Rights that the destination gives of itself to whatever is made there (`alter default privileges`), taken from what the original had closed.

use std::collections::{BTreeMap, BTreeSet};

use super::super::about::sql;
use crate::execute::table::source::TableName;
use crate::plan::words::{joined, plain};
use crate::postgres::{Connection, Fault};

const OPEN: &str = "\
    select case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end as grantee, lower(a.privilege_type) as privilege, \
      case c.relkind when 'S' then 'sequence ' else '' end as word \
    from pg_class c cross join lateral aclexplode(c.relacl) a where c.oid = to_regclass($1) and a.grantee <> c.relowner order by 1, 2";

/// Its owner's own rights are among these: he need not be whoever restores it.
const HAD: &str = "\
    select case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end as grantee, lower(a.privilege_type) as privilege \
    from pg_class c cross join lateral aclexplode(coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's' else 'r' end::\"char\", c.relowner))) a \
    where c.oid = to_regclass($1)";

/// Relations are called here as they are at the origin. Says what was taken.
pub(super) fn close(from: &mut Connection, to: &mut Connection, relations: &[TableName]) -> Result<Vec<String>, Fault> {
    let mut taken: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for relation in relations {
        let name = sql(relation);
        let open = to.query(OPEN, &[&name])?;
        if open.is_empty() {
            continue;
        }
        let had = from.query(HAD, &[&name])?;
        let had: Vec<(&str, &str)> =
            had.iter().map(|row| Ok((row.text("grantee")?, row.text("privilege")?))).collect::<Result<_, Fault>>()?;
        for row in &open {
            let (grantee, privilege) = (row.text("grantee")?, row.text("privilege")?);
            if !had.contains(&(grantee, privilege)) {
                to.run(&format!("revoke {privilege} on {}{name} from {grantee}", row.text("word")?))?;
                taken.entry(grantee.to_owned()).or_default().insert(name.clone());
            }
        }
    }
    let said = |(grantee, names): (String, BTreeSet<String>)| {
        let grantee = plain(grantee);
        format!(
            "default privileges of the destination give {grantee} rights on {} that the original had not given: they were revoked",
            joined(names)
        )
    };
    Ok(taken.into_iter().map(said).collect())
}

/// What closes a relation of this kind (`r` or `S`) that somebody makes there.
pub(super) fn closes(to: &mut Connection, kind: &str, name: &str) -> Result<Option<String>, Fault> {
    const ROLES: &str = "\
        select string_agg(distinct case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end, ', ') as roles \
        from pg_default_acl d cross join lateral aclexplode(d.defaclacl) a where d.defaclobjtype = $1 and a.grantee <> d.defaclrole";
    let word = if kind == "S" { "sequence " } else { "" };
    let rows = to.query(ROLES, &[kind])?;
    Ok(rows.one()?.get("roles").map(|roles| format!("revoke all on {word}{name} from {roles}")))
}
