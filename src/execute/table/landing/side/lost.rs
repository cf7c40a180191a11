//! What does not come with a table, and the SQL that makes it again.
//!
//! Some of it is the table's own: its rights, policies, triggers, foreign keys. Some has only led to it or is made of it: whoever drops a table with
//! `cascade` drops that too. It is not looked for where the table comes beside the original, which has it still.

use super::super::about::About;
use super::super::origin::{Lost, Origin};
use super::closed;
use super::ties::{IS_NO_FUNCTION, IS_NO_RELATION, is_gone, kin};
use crate::execute::table::TableFault;
use crate::execute::table::source::TableName;
use crate::plan::words::{joined, plain};
use crate::policy::sql_name::quoted;
use crate::postgres::{Connection, Fault, array};

/// The table, its partitions, and the sequences of both.
const WITH_SEQUENCES: &str = "\
    with own(oid) as (select unnest($1::oid[]) union select d.objid from pg_depend d join pg_class s on s.oid = d.objid and s.relkind = 'S' \
        where d.classid = 'pg_class'::regclass and d.refclassid = d.classid and d.deptype in ('a', 'i') and d.refobjid = any($1::oid[])), \
    granted(oid, kind, name, owner, columns, grantee, privilege, grantable) as ( \
        select c.oid, c.relkind, c.relname, c.relowner, '', a.grantee, a.privilege_type, a.is_grantable \
        from pg_class c join own on own.oid = c.oid cross join lateral aclexplode(c.relacl) a \
        union all select c.oid, c.relkind, c.relname, c.relowner, format(' (%I)', t.attname), a.grantee, a.privilege_type, a.is_grantable \
        from pg_attribute t join pg_class c on c.oid = t.attrelid cross join lateral aclexplode(t.attacl) a where c.oid = any($1::oid[])) ";

const OWNER: &str = "select pg_get_userbyid(relowner)::text as owner from pg_class where oid = $1::oid";
const OWNERS: &str = "\
    select format('alter %s %I.%I owner to %I', case c.relkind when 'v' then 'view' when 'm' then 'materialized view' else 'table' end, \
        n.nspname, c.relname, pg_get_userbyid(c.relowner)) as statement \
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = any($1::oid[]) order by c.oid";
const GRANTED: &str = "\
    select distinct case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end as name from granted where grantee <> owner order by 1";
const GRANTS: &str = "\
    select format('grant %s on %s%I.%I to %s%s', string_agg(lower(g.privilege) || g.columns, ', ' order by g.privilege, g.columns), \
        case g.kind when 'S' then 'sequence ' else '' end, n.nspname, g.name, \
        case g.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end, case when g.grantable then ' with grant option' else '' end) \
        as statement \
    from granted g join pg_class c on c.oid = g.oid join pg_namespace n on n.oid = c.relnamespace \
    where g.grantee <> g.owner group by g.oid, g.kind, n.nspname, g.name, g.grantee, g.grantable order by g.oid, 1";

fn statements(connection: &mut Connection, sql: &str, parameters: &[&str]) -> Result<Vec<String>, Fault> {
    connection.query(sql, parameters)?.iter().map(|row| row.text("statement").map(str::to_owned)).collect()
}

/// What an owner may do of himself, and had given up: with the owner it would come back.
const GIVEN_UP: &str = "\
    select format('revoke %s on %s%I.%I from %I', string_agg(lower(a.privilege_type), ', ' order by a.privilege_type), \
        case c.relkind when 'S' then 'sequence ' else '' end, n.nspname, c.relname, pg_get_userbyid(c.relowner)) as statement \
    from own join pg_class c on c.oid = own.oid join pg_namespace n on n.oid = c.relnamespace \
    cross join lateral aclexplode(acldefault(case c.relkind when 'S' then 's' else 'r' end::\"char\", c.relowner)) a \
    where c.relacl is not null and a.grantee = c.relowner \
      and not exists (select from aclexplode(c.relacl) h where h.grantee = c.relowner and h.privilege_type = a.privilege_type) \
    group by c.oid, c.relkind, n.nspname, c.relname, c.relowner order by c.oid";

/// Whose these are and who might use them.
fn rights_of(from: &mut Connection, all: &str) -> Result<Vec<String>, Fault> {
    let mut all_of_it = statements(from, OWNERS, &[all])?;
    all_of_it.extend(statements(from, &format!("{WITH_SEQUENCES}{GRANTS}"), &[all])?);
    all_of_it.extend(statements(from, &format!("{WITH_SEQUENCES}{GIVEN_UP}"), &[all])?);
    Ok(all_of_it)
}

/// Whose it was, and who might use it, where that is not so for whoever restores it.
fn rights(from: &mut Connection, to: &mut Connection, about: &About) -> Result<Option<Lost>, Fault> {
    let owner = from.query(OWNER, &[&about.oid])?.one()?.text("owner")?.to_owned();
    let all = array(&kin(from, about)?);
    let granted = from.query(&format!("{WITH_SEQUENCES}{GRANTED}"), &[&all])?;
    let granted: Vec<String> = granted.iter().map(|row| row.text("name").map(plain)).collect::<Result<_, Fault>>()?;
    let is_given_up = !statements(from, &format!("{WITH_SEQUENCES}{GIVEN_UP}"), &[&all])?.is_empty();
    let is_mine = is_me(to, &owner)?;
    let owned = (!is_mine).then(|| format!("that it belongs to {}", plain(quoted(&owner))));
    let granted = (!granted.is_empty()).then(|| format!("what is granted to {}", joined(granted)));
    let given_up = is_given_up.then(|| "what its owner may not do".to_owned());
    let each: Vec<String> = owned.into_iter().chain(granted).chain(given_up).collect();
    if each.is_empty() {
        return Ok(None);
    }
    let sql = rights_of(from, &all)?.join("; ");
    Ok(Some(Lost { what: joined(each), sql: Some(sql) }))
}

fn is_me(to: &mut Connection, role: &str) -> Result<bool, Fault> {
    to.query("select current_user::text = $1 as it", &[role])?.one()?.flag("it")
}

const POLICIES: &str = "\
    select format('the policy %I%s', p.polname, case when $2 = '' then format(' of %I.%I', n.nspname, c.relname) \
        when c.relforcerowsecurity and c.relrowsecurity then ' (row-level security stays on, also for its owner, so only superusers see rows)' \
        when c.relrowsecurity then ' (row-level security stays on, so only its owner and superusers see rows)' \
        else ' (row-level security was off)' end) as what, \
      format('%I.%I', n.nspname, c.relname) as of, p.polname as name, \
      format('create policy %I on %I.%I as %s for %s to %s', p.polname, n.nspname, c.relname, \
          case when p.polpermissive then 'permissive' else 'restrictive' end, \
          case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end, \
          (select string_agg(case r when 0 then 'public' else quote_ident(pg_get_userbyid(r)) end, ', ') from unnest(p.polroles) r)) \
        || coalesce(' using (' || pg_get_expr(p.polqual, p.polrelid) || ')', '') \
        || coalesce(' with check (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')', '') \
        || coalesce(format('; comment on policy %I on %I.%I is ', p.polname, n.nspname, c.relname) \
          || quote_literal(obj_description(p.oid, 'pg_policy')), '') as statement \
    from pg_policy p join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace ";

/// Made on a partitioned table, a trigger comes to its partitions by itself; that it is disabled on one of them does not.
const TRIGGERS: &str = "\
    select format('the trigger %I', t.tgname) as what, pg_get_triggerdef(t.oid) || coalesce(( \
        with recursive made(oid, relation, level) as (select t.oid, t.tgrelid, 0 \
          union all select l.oid, l.tgrelid, m.level + 1 from made m join pg_trigger l on l.tgparentid = m.oid) \
        select string_agg(format('; alter table %I.%I %s trigger %I', n.nspname, c.relname, \
            case l.tgenabled when 'O' then 'enable' when 'D' then 'disable' when 'R' then 'enable replica' else 'enable always' end, l.tgname), \
          '' order by m.level, n.nspname, c.relname) \
        from made m join pg_trigger l on l.oid = m.oid join pg_class c on c.oid = m.relation join pg_namespace n on n.oid = c.relnamespace \
        where l.tgenabled <> case when m.level = 0 then 'O' else t.tgenabled end \
          or l.tgenabled <> 'O' and current_setting('server_version_num')::int < 150000), '') \
      || coalesce((select format('; comment on trigger %I on %I.%I is ', t.tgname, n.nspname, c.relname) || quote_literal(obj_description(t.oid, 'pg_trigger')) \
        from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = t.tgrelid), '') as statement \
    from pg_trigger t where t.tgrelid = any($1::oid[]) and not t.tgisinternal and t.tgparentid = 0 \
      and not exists (select from pg_proc f join pg_namespace fn on fn.oid = f.pronamespace where f.oid = t.tgfoid and fn.nspname ~ '^_timescaledb_') \
    union all select format('the rule %I', r.rulename), rtrim(pg_get_ruledef(r.oid), ';') from pg_rewrite r where r.ev_class = any($1::oid[]) order by 1";

/// Where its rows, and those of its indexes, lay.
const TABLESPACES: &str = "\
    select format('the tablespace %I (of %s)', t.spcname, string_agg(format('%I.%I', n.nspname, c.relname), ', ' order by c.relname)) as what, \
      string_agg(format('alter %s %I.%I set tablespace %I', case when c.relkind in ('i', 'I') then 'index' else 'table' end, n.nspname, c.relname, \
        t.spcname), '; ' order by c.relname) as statement \
    from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_tablespace t on t.oid = c.reltablespace \
    where c.oid = any($1::oid[]) or c.oid in (select indexrelid from pg_index where indrelid = any($1::oid[])) group by t.spcname order by 1";

const LABELS: &str = "\
    select format('the security labels of %s', s.provider) as what, string_agg(format('security label for %I on %s %I.%I%s is %L', s.provider, \
        case when a.attname is null then 'table' else 'column' end, n.nspname, c.relname, coalesce('.' || quote_ident(a.attname), ''), s.label), '; ' \
      order by c.relname, s.objsubid) as statement \
    from pg_seclabel s join pg_class c on c.oid = s.objoid join pg_namespace n on n.oid = c.relnamespace \
    left join pg_attribute a on a.attrelid = c.oid and a.attnum = s.objsubid and s.objsubid > 0 \
    where s.classoid = 'pg_class'::regclass and s.objoid = any($1::oid[]) group by s.provider order by 1";

const PARENTS: &str = "\
    select format('that it is a part of %I.%I', pn.nspname, p.relname) as what, \
      case when c.relispartition then format('alter table %I.%I attach partition %I.%I ', pn.nspname, p.relname, n.nspname, c.relname) \
          || pg_get_expr(c.relpartbound, c.oid) \
        else format('alter table %I.%I inherit %I.%I', n.nspname, c.relname, pn.nspname, p.relname) end as statement \
    from pg_inherits h join pg_class c on c.oid = h.inhrelid join pg_namespace n on n.oid = c.relnamespace \
    join pg_class p on p.oid = h.inhparent join pg_namespace pn on pn.oid = p.relnamespace where h.inhrelid = $1::oid";

/// Those of a partition's parent are its own as well, and come with its being one.
const KEYS: &str = "\
    select format('the foreign key %I', f.conname) as what, \
      case when f.conparentid = 0 then \
        format('alter table %I.%I add constraint %I %s', n.nspname, c.relname, f.conname, pg_get_constraintdef(f.oid)) \
        || coalesce(format('; comment on constraint %I on %I.%I is ', f.conname, n.nspname, c.relname) \
          || quote_literal(obj_description(f.oid, 'pg_constraint')), '') end as statement \
    from pg_constraint f join pg_class c on c.oid = f.conrelid join pg_namespace n on n.oid = c.relnamespace \
    where f.contype = 'f' and (f.conparentid = 0 or f.conrelid = $3::oid and exists ( \
        select from pg_constraint p where p.oid = f.conparentid and p.conrelid <> f.conrelid)) and f.conrelid = any($1::oid[]) \
      and not (f.conrelid = any($2::oid[]) and f.confrelid = any($2::oid[])) order by f.conrelid, f.conname";

fn lost(connection: &mut Connection, sql: &str, parameters: &[&str]) -> Result<Vec<Lost>, Fault> {
    let rows = connection.query(sql, parameters)?;
    rows.iter().map(|row| Ok(Lost { what: plain(row.text("what")?), sql: row.get("statement").map(str::to_owned) })).collect()
}

/// Of the table itself, before anything is done to it. Foreign keys between `together`, which all come back, stay.
pub(super) fn own(
    from: &mut Connection,
    to: &mut Connection,
    about: &About,
    together: &[String],
    origin: &Origin,
) -> Result<Vec<Lost>, TableFault> {
    let all = array(&kin(from, about)?);
    let mut lost_of_it = Vec::new();
    if origin.has_rights {
        lost_of_it.extend(rights(from, to, about)?);
    }
    for apart in origin.apart.iter().filter(|apart| apart.table == about.table && apart.is_own) {
        let is_lost = apart.unless.as_ref().map_or(Ok(true), |role| is_me(to, role).map(|it| !it))?;
        lost_of_it.extend(is_lost.then(|| apart.lost.clone()));
    }
    lost_of_it.extend(lost(from, &format!("{POLICIES} where p.polrelid = any($1::oid[]) order by p.polname"), &[&all, "own"])?);
    lost_of_it.extend(lost(from, TRIGGERS, &[&all])?);
    lost_of_it.extend(lost(from, TABLESPACES, &[&all])?);
    lost_of_it.extend(lost(from, LABELS, &[&all])?);
    lost_of_it.extend(lost(from, PARENTS, &[&about.oid])?);
    lost_of_it.extend(lost(from, KEYS, &[&all, &array(together), &about.oid])?);
    Ok(lost_of_it)
}

/// From tables that do not come. Whoever drops a part of a table with `cascade` drops what leads to the whole.
const TO_IT: &str = "\
    select format('the foreign key %I of %I.%I', f.conname, n.nspname, c.relname) as what, format('%I.%I', n.nspname, c.relname) as of, f.conname as name, \
      format('alter table %I.%I add constraint %I %s', n.nspname, c.relname, f.conname, pg_get_constraintdef(f.oid)) as statement \
    from pg_constraint f join pg_class c on c.oid = f.conrelid join pg_namespace n on n.oid = c.relnamespace \
    where f.contype = 'f' and f.conparentid = 0 and not f.conrelid = any($2::oid[]) and (f.confrelid = any($1::oid[]) \
        or f.confrelid in (select a.relid from unnest($1::oid[]) own(oid) cross join lateral pg_partition_ancestors(own.oid) a)) order by 1";

/// The types of its rows, and of arrays of those.
const ROW_TYPES: &str = "\
    with types(oid) as (select t.oid from pg_type t where t.typrelid = any($1::oid[]) \
        union select a.oid from pg_type a join pg_type t on t.oid = a.typelem where t.typrelid = any($1::oid[])) ";

/// What takes or gives a row of it. Whose a function is decides what it may do.
const FUNCTIONS: &str = "\
    select distinct format('the function %s', p.oid::regprocedure) as what, p.oid::regprocedure::text as name, \
      case when p.prokind <> 'a' and ($2 = 'true' or not p.prosecdef) then pg_get_functiondef(p.oid) \
        || case when $2 = 'true' then format('; alter %s %s owner to %I', case p.prokind when 'p' then 'procedure' else 'function' end, \
          p.oid::regprocedure, pg_get_userbyid(p.proowner)) else '' end end as statement \
    from pg_depend d join pg_proc p on p.oid = d.objid where d.classid = 'pg_proc'::regclass and d.deptype = 'n' \
      and (d.refclassid = 'pg_class'::regclass and d.refobjid = any($1::oid[]) or d.refclassid = 'pg_type'::regclass and d.refobjid in (select oid from types)) \
    order by 1";

/// Columns of other tables that have its rows in them.
const COLUMNS: &str = "\
    select format('the column %I of %I.%I, of its row type, with its data', a.attname, n.nspname, c.relname) as what, \
      format('%I.%I', n.nspname, c.relname) as of, a.attname as name, null as statement \
    from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace \
    where a.atttypid in (select oid from types) and c.relkind in ('r', 'p', 'f') and a.attnum > 0 and not a.attisdropped and not c.oid = any($1::oid[]) order by 1";

/// Of others, be it views that are there still: what they do to it.
const RULES: &str = "\
    select format('the rule %I of %I.%I', r.rulename, n.nspname, c.relname) as what, format('%I.%I', n.nspname, c.relname) as of, r.rulename as name, \
      rtrim(pg_get_ruledef(r.oid), ';') as statement \
    from pg_rewrite r join pg_class c on c.oid = r.ev_class join pg_namespace n on n.oid = c.relnamespace \
    where r.rulename <> '_RETURN' and not r.ev_class = any($1::oid[]) and exists (select from pg_depend d where d.classid = 'pg_rewrite'::regclass \
      and d.objid = r.oid and d.refclassid = 'pg_class'::regclass and d.refobjid = any($1::oid[])) order by 1";

/// Other tables that take numbers from its sequences.
const DEFAULTS: &str = "\
    select format('the default of %I of %I.%I', a.attname, n.nspname, c.relname) as what, format('%I.%I', n.nspname, c.relname) as of, a.attname as name, \
      format('alter table %I.%I alter column %I set default ', n.nspname, c.relname, a.attname) || pg_get_expr(ad.adbin, ad.adrelid) as statement \
    from pg_attrdef ad join pg_attribute a on a.attrelid = ad.adrelid and a.attnum = ad.adnum join pg_class c on c.oid = ad.adrelid \
    join pg_namespace n on n.oid = c.relnamespace \
    where not ad.adrelid = any($1::oid[]) and a.attgenerated = '' and exists (select from pg_depend d join own on own.oid = d.refobjid \
      where d.classid = 'pg_attrdef'::regclass and d.objid = ad.oid and d.refclassid = 'pg_class'::regclass) order by 1";

/// Views, and what is made of those.
const VIEWS: &str = "\
    with recursive made(oid, level) as ( \
        select r.ev_class, 1 from pg_depend d join pg_rewrite r on r.oid = d.objid join pg_class c on c.oid = r.ev_class and c.relkind in ('v', 'm') \
          where d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = any($1::oid[]) and not r.ev_class = any($1::oid[]) \
        union select r.ev_class, m.level + 1 from made m join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = m.oid \
          join pg_rewrite r on r.oid = d.objid join pg_class c on c.oid = r.ev_class and c.relkind in ('v', 'm') where d.classid = 'pg_rewrite'::regclass and r.ev_class <> m.oid), \
    last(oid, level) as (select oid, max(level) from made group by oid) \
    select c.oid::text as oid, format('the %sview %I.%I', k.word, n.nspname, c.relname) as what, format('%I.%I', n.nspname, c.relname) as name, \
      format('create %sview %I.%I', k.word, n.nspname, c.relname) || coalesce(' with (' || array_to_string(c.reloptions, ', ') || ')', '') \
        || ' as ' || rtrim(pg_get_viewdef(c.oid), ';') \
        || coalesce((select string_agg('; ' || pg_get_indexdef(i.indexrelid), '' order by i.indexrelid) from pg_index i where i.indrelid = c.oid), '') \
        || coalesce((select string_agg(format('; alter view %I.%I alter column %I set default ', n.nspname, c.relname, a.attname) || pg_get_expr(ad.adbin, c.oid), \
          '' order by a.attnum) from pg_attrdef ad join pg_attribute a on a.attrelid = ad.adrelid and a.attnum = ad.adnum where ad.adrelid = c.oid), '') \
        || coalesce((select string_agg('; ' || rtrim(pg_get_ruledef(r.oid), ';'), '' order by r.rulename) from pg_rewrite r \
          where r.ev_class = c.oid and r.rulename <> '_RETURN'), '') \
        || coalesce((select string_agg('; ' || pg_get_triggerdef(t.oid) || case t.tgenabled when 'O' then '' else format('; alter table %I.%I %s trigger %I', \
            n.nspname, c.relname, case t.tgenabled when 'D' then 'disable' when 'R' then 'enable replica' else 'enable always' end, t.tgname) end, \
          '' order by t.tgname) from pg_trigger t where t.tgrelid = c.oid and not t.tgisinternal), '') \
        || coalesce((select string_agg('; comment on ' || case when s.objsubid = 0 then format('%sview %I.%I is ', k.word, n.nspname, c.relname) \
            else format('column %I.%I.%I is ', n.nspname, c.relname, a.attname) end || quote_literal(s.description), '' order by s.objsubid) \
          from pg_description s left join pg_attribute a on a.attrelid = s.objoid and a.attnum = s.objsubid and s.objsubid > 0 \
          where s.objoid = c.oid and s.classoid = 'pg_class'::regclass), '') \
        || coalesce((select string_agg('; comment on ' || o.word || ' is ' || quote_literal(o.said), '' order by o.word) from ( \
            select format('index %I.%I', n.nspname, x.relname), obj_description(x.oid, 'pg_class') \
              from pg_index i join pg_class x on x.oid = i.indexrelid where i.indrelid = c.oid \
            union all select format('rule %I on %I.%I', r.rulename, n.nspname, c.relname), obj_description(r.oid, 'pg_rewrite') \
              from pg_rewrite r where r.ev_class = c.oid and r.rulename <> '_RETURN' \
            union all select format('trigger %I on %I.%I', t.tgname, n.nspname, c.relname), obj_description(t.oid, 'pg_trigger') \
              from pg_trigger t where t.tgrelid = c.oid and not t.tgisinternal) o(word, said) where o.said is not null), '') \
        || coalesce((select string_agg(format('; alter materialized view %I.%I alter column %I set statistics %s', n.nspname, c.relname, a.attname, \
            to_jsonb(a) ->> 'attstattarget'), '' order by a.attnum) from pg_attribute a where a.attrelid = c.oid and c.relkind = 'm' and a.attnum > 0 \
            and (to_jsonb(a) ->> 'attstattarget')::int >= 0), '') \
        || coalesce((select format('; alter materialized view %I.%I cluster on %I', n.nspname, c.relname, x.relname) \
            from pg_index i join pg_class x on x.oid = i.indexrelid where i.indrelid = c.oid and i.indisclustered), '') as statement \
    from last l join pg_class c on c.oid = l.oid join pg_namespace n on n.oid = c.relnamespace \
    cross join lateral (select case c.relkind when 'm' then 'materialized ' else '' end as word) k \
    where n.nspname !~ '^_timescaledb_' order by l.level, 3";

/// Tables that inherit from it.
const HEIRS: &str = "\
    select format('the table %I.%I, which inherited from it, with its rows', n.nspname, c.relname) as what, format('%I.%I', n.nspname, c.relname) as name \
    from pg_inherits h join pg_class c on c.oid = h.inhrelid join pg_namespace n on n.oid = c.relnamespace \
    where h.inhparent = any($1::oid[]) and not c.relispartition and n.nspname !~ '^_timescaledb_' order by 1";

const PUBLICATIONS: &str = "\
    select format('that the publication %I has it', p.pubname) as what, \
      format('alter publication %I add table %I.%I', p.pubname, n.nspname, c.relname)";
/// Since PostgreSQL 15.
const SOME_OF_IT: &str = " \
    || coalesce(' (' || (select string_agg(quote_ident(a.attname), ', ' order by a.attnum) from pg_attribute a \
        where a.attrelid = c.oid and a.attnum = any(r.prattrs::int2[])) || ')', '') \
    || coalesce(' where (' || pg_get_expr(r.prqual, r.prrelid) || ')', '')";
const PUBLISHED: &str = " as statement from pg_publication_rel r join pg_publication p on p.oid = r.prpubid join pg_class c on c.oid = r.prrelid \
    join pg_namespace n on n.oid = c.relnamespace where r.prrelid = any($1::oid[]) order by 1";

/// What has led to the table or was made of it, and is not there now. `coming` are all tables that come, with their parts; `except` is named elsewhere.
pub(super) fn around(
    from: &mut Connection,
    to: &mut Connection,
    about: &About,
    coming: &[String],
    origin: &Origin,
    except: &[String],
) -> Result<Vec<Lost>, TableFault> {
    let (all, coming) = (array(&kin(from, about)?), array(coming));
    let mut lost_of_it = Vec::new();
    let has_rights = if origin.has_rights { "true" } else { "" };
    let functions = format!("{ROW_TYPES}{FUNCTIONS}");
    lost_of_it.extend(gone_by_name(from, to, &functions, &[&all, has_rights], IS_NO_FUNCTION)?.into_iter().map(|(_, lost)| lost));
    for (name, mut lost) in gone_by_name(from, to, VIEWS, &[&all], IS_NO_RELATION)? {
        if except.contains(&name) {
            continue;
        }
        let closes = closed::closes(to, "r", &name)?;
        lost.sql = lost.sql.map(|sql| [sql].into_iter().chain(closes).collect::<Vec<_>>().join("; "));
        let rights = rights_of_view(from, &name, origin)?;
        lost.sql = lost.sql.map(|sql| [vec![sql], rights].concat().join("; "));
        lost_of_it.push(lost);
    }
    let of_table = |catalog: &str, of: &str, name: &str| {
        format!(
            "select exists (select from pg_class where oid = to_regclass($1)) \
             and not exists (select from {catalog} where {of} = to_regclass($1) and {name} = $2) as gone"
        )
    };
    let gone = of_table("pg_attribute", "not attisdropped and attrelid", "attname");
    lost_of_it.extend(gone_of_tables(from, to, &format!("{ROW_TYPES}{COLUMNS}"), &[&all], &gone)?);
    lost_of_it.extend(gone_of_tables(from, to, RULES, &[&all], &of_table("pg_rewrite", "ev_class", "rulename"))?);
    let gone = "select exists (select from pg_attribute where attrelid = to_regclass($1) and attname = $2 and not atthasdef) as gone";
    lost_of_it.extend(gone_of_tables(from, to, &format!("{WITH_SEQUENCES}{DEFAULTS}"), &[&all], gone)?);
    let others = format!(
        "{POLICIES} where not p.polrelid = any($1::oid[]) and exists (select from pg_depend d where d.classid = 'pg_policy'::regclass and d.objid = p.oid \
           and d.refclassid = 'pg_class'::regclass and d.refobjid = any($1::oid[])) order by 1"
    );
    lost_of_it.extend(gone_of_tables(from, to, &others, &[&all, ""], &of_table("pg_policy", "polrelid", "polname"))?);
    lost_of_it.extend(gone_of_tables(from, to, TO_IT, &[&all, &coming], &of_table("pg_constraint", "conrelid", "conname"))?);
    lost_of_it.extend(gone_by_name(from, to, HEIRS, &[&all], IS_NO_RELATION)?.into_iter().map(|(_, lost)| lost));
    let more = if origin.major >= 15 { SOME_OF_IT } else { "" };
    lost_of_it.extend(lost(from, &format!("{PUBLICATIONS}{more}{PUBLISHED}"), &[&all])?);
    lost_of_it.extend(origin.apart.iter().filter(|apart| apart.table == about.table && !apart.is_own).map(|apart| apart.lost.clone()));
    Ok(lost_of_it)
}

/// `name` as SQL reads it.
fn rights_of_view(from: &mut Connection, name: &str, origin: &Origin) -> Result<Vec<String>, Fault> {
    const WHICH: &str = "select c.oid::text as oid, n.nspname as schema, c.relname as name \
        from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = to_regclass($1)";
    let rows = from.query(WHICH, &[name])?;
    let row = rows.one()?;
    if origin.has_rights {
        return rights_of(from, &format!("{{{}}}", row.text("oid")?));
    }
    let view = TableName { schema: row.text("schema")?.to_owned(), name: row.text("name")?.to_owned() };
    Ok(origin.views.get(&view).cloned().unwrap_or_default())
}

fn gone_by_name(
    from: &mut Connection,
    to: &mut Connection,
    sql: &str,
    parameters: &[&str],
    gone: &str,
) -> Result<Vec<(String, Lost)>, Fault> {
    let mut all = Vec::new();
    for row in &from.query(sql, parameters)? {
        let name = row.text("name")?;
        if is_gone(to, gone, name)? {
            all.push((name.to_owned(), Lost { what: plain(row.text("what")?), sql: row.get("statement").map(str::to_owned) }));
        }
    }
    Ok(all)
}

/// Of other tables, which are there.
fn gone_of_tables(from: &mut Connection, to: &mut Connection, sql: &str, parameters: &[&str], gone: &str) -> Result<Vec<Lost>, Fault> {
    let mut all = Vec::new();
    for row in &from.query(sql, parameters)? {
        if to.query(gone, &[row.text("of")?, row.text("name")?])?.one()?.flag("gone")? {
            all.push(Lost { what: plain(row.text("what")?), sql: row.get("statement").map(str::to_owned) });
        }
    }
    Ok(all)
}
