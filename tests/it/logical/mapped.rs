//! Roles of a dump that are not where it comes back: seen before anything is loaded, and given to others.

use std::collections::BTreeMap;
use std::fs;

use super::rig::{Ground, sql_in};
use crate::clusters::{Cluster, Options, Version};
use crate::run::rig::Said;

/// Who has what, in every way that a dump knows.
const THINGS: &str = r#"
    create schema s authorization reader;
    create table s.orders (id int, "to reader" text, v int); insert into s.orders select k, k, k from generate_series(1, 50) k;
    alter table s.orders owner to "clerk; --"; revoke delete on s.orders from "clerk; --";
    grant select, insert on s.orders to reader with grant option;
    set role reader; grant select on s.orders to "a,b"; reset role;
    grant update ("to reader", v) on s.orders to "TO public", public; grant select on s.orders to "x""y=z";
    alter default privileges for role "clerk; --" in schema s grant select on tables to reader with grant option;
    alter default privileges for role "clerk; --" revoke all on tables from "clerk; --";
    alter default privileges for role reader grant execute on functions to "a,b";
    alter default privileges for role reader revoke execute on functions from public;
    alter table s.orders enable row level security;
    create policy "to ""p"" TO reader" on s.orders as restrictive for select to reader, "a,b", "TO public"
        using (v > 1 and current_user <> 'TO reader; create policy');
    create policy all_of_it on s.orders using (true);
    create function s.f(int, text default 'TO reader FROM x') returns int language sql as 'select 1';
    grant execute on function s.f(int, text) to "a,b"; revoke execute on function s.f(int, text) from public;
    grant usage on schema s to "a,b" with grant option;
    create foreign data wrapper w; create server srv foreign data wrapper w; grant usage on foreign server srv to reader;
    create user mapping for "clerk; --" server srv options (remote 'x FOR reader'); create user mapping for public server srv;
    create type s.t as (a int); revoke usage on type s.t from public; grant usage on type s.t to reader; alter type s.t owner to "TO public";
    select lo_create(5); grant select on large object 5 to reader; alter large object 5 owner to "clerk; --";
    create view s.seen as select id from s.orders; alter view s.seen owner to reader; create sequence s.q; grant usage on sequence s.q to "a,b""#;

const ROLES: &str = r#"create role "clerk; --"; create role reader; create role "a,b"; create role "TO public"; create role "x""y=z""#;

const WHO: &str = r#"
    with things (what, owner, acl) as (
        select 'relation ' || relname, relowner, relacl from pg_class where relnamespace = 's'::regnamespace and relkind in ('r', 'v', 'S')
        union all select 'column ' || attname, 0, attacl from pg_attribute where attrelid = 's.orders'::regclass and attacl is not null
        union all select 'function', proowner, proacl from pg_proc where pronamespace = 's'::regnamespace
        union all select 'schema', nspowner, nspacl from pg_namespace where nspname = 's'
        union all select 'type', typowner, typacl from pg_type where typname = 't'
        union all select 'server', srvowner, srvacl from pg_foreign_server
        union all select 'large object', lomowner, lomacl from pg_largeobject_metadata
        union all select 'default ' || defaclobjtype::text || defaclnamespace, defaclrole, defaclacl from pg_default_acl
        union all select 'database', datdba, datacl from pg_database where datname = current_database())
    select what, coalesce(pg_get_userbyid(nullif(owner, 0)), '-'), coalesce(pg_get_userbyid(a.grantor), '-'),
        case a.grantee when 0 then 'public' else coalesce(pg_get_userbyid(a.grantee), '-') end, a.privilege_type, a.is_grantable
    from things left join lateral aclexplode(acl) a on true
    union all select 'policy ' || polname, '-', '-', case r when 0 then 'public' else pg_get_userbyid(r) end, pg_get_expr(polqual, polrelid), null
        from pg_policy, unnest(polroles) r
    union all select 'mapping', case umuser when 0 then 'public' else pg_get_userbyid(umuser) end, '-', '-', umoptions::text, null from pg_user_mapping
    union all select 'setting', pg_get_userbyid(setrole), '-', '-', setconfig::text, null from pg_db_role_setting
        where setdatabase = (select oid from pg_database where datname = current_database())"#;

fn into(ground: &Ground, database: &str, more: &[&str]) -> Said {
    ground.say(&[&["restore", "--into-database", database, "--yes"], more].concat())
}

fn ground(version: Version, logical: &str) -> Ground {
    let ground = Ground::new(version, logical);
    ground.rig.cluster.sql(ROLES);
    ground.rig.cluster.sql("alter database shop owner to \"clerk; --\"; grant connect on database shop to reader with grant option");
    ground.rig.cluster.sql("alter role \"a,b\" in database shop set work_mem to '5MB'");
    ground.sql(THINGS);
    ground.dump();
    ground
}

/// Line by line, with other names where there are some.
fn who(cluster: &Cluster, database: &str, names: &BTreeMap<&str, &str>) -> Vec<String> {
    // Numbers of schemas are other ones elsewhere.
    let schema = sql_in(cluster, database, "select 's'::regnamespace::oid");
    let text = sql_in(cluster, database, WHO).replace(&schema, "in s");
    let mut lines: Vec<String> =
        text.lines().map(|line| line.split('|').map(|part| *names.get(part).unwrap_or(&part)).collect::<Vec<_>>().join("|")).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn what_belongs_to_roles_here_belongs_to_others_there() {
    for (version, logical) in [(Version::V15, ""), (Version::V18, "jobs: 2")] {
        let ground = ground(version, logical);
        let target = Cluster::start(version, Options::default().with("lc_monetary = 'C'"));
        target.sql("create role \"new \"\"own\"\" er\"; create role \"r=w\"; create role \"a,b\"; create role xyz");
        let (connection, programs) = (target.conninfo(), version.programs().display().to_string());
        let there = ["--connection", &connection, "--programs", &programs, "--jobs", "2"];
        let map = ["--map-role", "clerk; --=new \"own\" er", "--map-role", "reader=r=w", "--map-role", "\"x\"\"y=z\"=xyz"];
        let into = |database: &str, more: &[&str]| into(&ground, database, &[&there[..], &map, more].concat());
        // One is neither mapped nor there.
        into("back", &["--create"]).ends_with_code(1).says("`shop` needs the role `TO public`, which is not on this server");
        let said = into("back", &["--create", "--map-role", "TO public=to_all"]).ends_with_code(1);
        assert!(said.err.contains("needs the role `to_all`"), "{}", said.err);
        target.sql("create role to_all");
        into("back", &["--create", "--map-role", "TO public=to_all"]).ends_with_code(0).says("`reader` becomes `r=w`");
        let names = BTreeMap::from([("clerk; --", "new \"own\" er"), ("reader", "r=w"), ("x\"y=z", "xyz"), ("TO public", "to_all")]);
        let wanted = who(&ground.rig.cluster, "shop", &names);
        assert!(wanted.len() > 40, "{wanted:#?}");
        assert_eq!(who(&target, "back", &BTreeMap::new()), wanted);
        assert_eq!(sql_in(&target, "back", "select count(*), sum(v) from s.orders"), "50|1275");
        assert_eq!(target.sql("select count(*) from pg_roles where rolname in ('clerk; --', 'reader')"), "0");
        // Those that nobody takes the place of are made; the others are not.
        target.sql("drop database back");
        target.sql("drop role to_all");
        let said = into("back", &["--create", "--globals", "--map-role", "TO public=a,b"]).ends_with_code(0);
        assert!(said.out.contains("makes roles none"), "{}", said.out);
        assert_eq!(target.sql("select count(*) from pg_roles where rolname in ('clerk; --', 'reader', 'TO public')"), "0");
        let said = into("other", &["--create", "--map-role", "raeder=xyz"]).ends_with_code(1);
        assert!(said.err.contains("nothing in the dump is of the role `raeder`") && said.err.contains("`reader`"), "{}", said.err);
        into("other", &["--create", "--map-role", "reader=xyz"]).ends_with_code(1).says("to two roles");
    }
}

/// The definitions come first there, and large objects with the last of them.
#[test]
fn tier_by_tier_too() {
    let ground = ground(Version::V15, "jobs: 2");
    ground.change(
        "objectives: { rpo: 5m, rto: 1h }",
        "objectives: { rpo: 5m, rto: 6h, data: { first: { tables: [s.orders], rto: 1h }, rest: { rest: true, rto: 4h } } }",
    );
    let target = Cluster::start(Version::V15, Options::default().with("lc_monetary = 'C'"));
    target.sql("create role owner_of_all; create role \"a,b\"; create role \"TO public\"; create role \"x\"\"y=z\"; create role reader2");
    let connection = target.conninfo();
    let there = ["--create", "--tier", "first", "--connection", &connection, "--map-role", "clerk; --=owner_of_all"];
    into(&ground, "back", &there).ends_with_code(1).says("needs the role `reader`");
    into(&ground, "back", &[&there[..], &["--map-role", "reader=reader2"]].concat()).ends_with_code(0).says("`reader` becomes `reader2`");
    let names = BTreeMap::from([("clerk; --", "owner_of_all"), ("reader", "reader2")]);
    assert_eq!(who(&target, "back", &BTreeMap::new()), who(&ground.rig.cluster, "shop", &names));
}

/// Grants come last: hours would have been lost.
#[test]
fn a_role_that_only_a_grant_or_a_policy_names_is_missed_before_anything_is_loaded() {
    for logical in ["", "jobs: 2"] {
        let ground = Ground::new(Version::V15, logical);
        ground.rig.cluster.sql("create role clerk; create role app_ro; create role watcher; alter database shop owner to clerk");
        ground.sql("create table orders (n int); insert into orders values (1); alter table orders owner to clerk");
        ground.sql("create table watched (n int); create policy p on watched to watcher using (true); grant select on orders to app_ro");
        ground.dump();
        let target = Cluster::start(Version::V15, Options::default().with("lc_monetary = 'C'"));
        target.sql("create role clerk");
        let connection = target.conninfo();
        let into = |more: &[&str]| into(&ground, "back", &[&["--create", "--connection", &connection][..], more].concat());
        let said = into(&[]).ends_with_code(1);
        assert!(said.err.contains("needs the roles `app_ro` and `watcher`, which are not on this server"), "{}", said.err);
        for way in ["--globals", "--map-role OLD=NEW", "--no-owner --no-privileges", "`watcher` is named by a policy"] {
            assert!(said.err.contains(way), "{way}: {}", said.err);
        }
        assert!(!said.err.contains("gone again"), "{}", said.err);
        let said = into(&["--no-owner", "--no-privileges"]).ends_with_code(1);
        assert!(said.err.contains("needs the role `watcher`"), "{}", said.err);
        // Where only some of it is wanted, only what that needs is missed.
        into(&["--table", "orders", "--no-privileges"]).ends_with_code(0).says("as many as in the dump");
        target.sql("drop database back");
        into(&["--map-role", "app_ro=clerk", "--map-role", "watcher=clerk"]).ends_with_code(0);
        assert_eq!(sql_in(&target, "back", "select polroles::regrole[] from pg_policy"), "{clerk}");
    }
}

/// A role that goes meanwhile: what fails before the rows leaves nothing, what fails behind them leaves the rows.
#[test]
fn what_fails_behind_the_rows_leaves_them() {
    let ground = Ground::new(Version::V15, "");
    ground.rig.cluster.sql("create role clerk; create role watcher");
    ground.sql(
        "create table orders (n int primary key); insert into orders select generate_series(1, 1000); alter table orders owner to clerk",
    );
    ground.sql("create policy p on orders to watcher using (true); alter table orders enable row level security");
    ground.dump();
    let policy = fs::read_to_string(ground.file("policy.yaml")).expect("the policy");
    let without = |role: &str| {
        let psql = Version::V15.programs().join("psql");
        let command = format!("{} -X -q -d \"{}\" -c \"alter role {role} rename to gone\"", psql.display(), ground.rig.cluster.conninfo());
        let hook = format!("hooks: {{ before_restore: {{ run: [sh, -c, {command:?}] }} }}\n");
        fs::write(ground.file("policy.yaml"), format!("{policy}{hook}")).expect("the policy");
        let said = into(&ground, "back", &["--create"]).ends_with_code(1);
        fs::write(ground.file("policy.yaml"), &policy).expect("the policy");
        ground.rig.cluster.sql(&format!("alter role gone rename to {role}"));
        said
    };
    without("clerk").says("is gone again");
    assert_eq!(ground.rig.cluster.sql("select count(*) from pg_database where datname ~ 'back|seawall'"), "0");
    let said = without("watcher").says("every row is in the database `seawall_restore_");
    // What was made is told in the plan of the next one too, with what takes it away.
    let made = ground.rig.cluster.sql("select datname from pg_database where datname like 'seawall%'");
    assert_eq!(sql_in(&ground.rig.cluster, &made, "select count(*) from orders"), "1000");
    sql_in(&ground.rig.cluster, &made, "create policy p on orders to watcher using (true)");
    let sql = said.err.split('`').find(|text| text.starts_with("begin; ")).expect("the SQL");
    sql_in(&ground.rig.cluster, "postgres", sql);
    assert_eq!(
        sql_in(&ground.rig.cluster, "back", "select count(*), has_database_privilege('public', 'back', 'connect') from orders"),
        "1000|t"
    );
}
