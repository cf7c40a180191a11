//! `seawall restore --into-database`: roles first, what belongs to the database, and a database that is set aside.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use seawall::postgres::Connection;

use super::rig::{EVERYTHING, Ground, connect, hashes, sql_in};
use crate::clusters::{Cluster, Options, Version};
use crate::servers::proxy::Proxy;

fn into(ground: &Ground, database: &str, more: &[&str]) -> crate::run::rig::Said {
    ground.say(&[&["restore", "--into-database", database, "--yes"], more].concat())
}

#[test]
fn roles_that_are_missing_are_made_and_others_left_alone() {
    let ground = Ground::new(Version::V15, "");
    let sql = |sql: &str| ground.rig.cluster.sql(sql);
    sql("create role \"clerk; --\" login password 'hush' connection limit 7; create role reader; create role app login superuser");
    sql(
        "grant reader to \"clerk; --\" with admin option; grant reader to app; alter role reader set work_mem to '5MB'; comment on role reader is 'it''s; one'",
    );
    sql(
        "alter database shop owner to \"clerk; --\"; revoke connect on database shop from public; grant connect, temporary on database shop to reader",
    );
    sql("alter database shop set search_path to public, \"Sch \"\"ema\"; alter database shop set statement_timeout to '7min'");
    sql(
        "alter database shop connection limit 12; comment on database shop is 'the \"shop\"'; alter role reader in database shop set enable_seqscan to off",
    );
    ground.sql(EVERYTHING);
    ground.sql("alter table hen owner to \"clerk; --\"; grant select on types to reader");
    ground.dump();
    let target = Cluster::start(Version::V18, Options::default().with("lc_monetary = 'C'"));
    target.sql("create role app login");
    let (connection, programs) = (target.conninfo(), Version::V18.programs().display().to_string());
    let there = ["--create", "--connection", &connection, "--programs", &programs];
    // What would be missed at the very end is seen before anything is made.
    let said = into(&ground, "back", &there).ends_with_code(1).says("--globals");
    assert!(said.err.contains("needs the roles `clerk; --` and `reader`") && !said.err.contains("gone again"), "{}", said.err);
    // Without what belongs to the database alone it stops at the first owner in it, and nothing is left.
    into(&ground, "back", &[&there[..], &["--no-owner"]].concat()).ends_with_code(1).says("the role `reader`");
    let said = into(&ground, "back", &[&there[..], &["--globals"]].concat()).ends_with_code(0);
    for words in
        ["`clerk; --` and `reader`, with their passwords", "keeps roles `postgres` and `app`", "its owner `clerk; --`", "made roles"]
    {
        assert!(
            said.out.contains(words) || said.out.contains(&words.replace("`postgres` and `app`", "`app` and `postgres`")),
            "{words}: {}",
            said.out
        );
    }
    assert!(!said.out.contains("SCRAM") && !said.err.contains("SCRAM"), "{}{}", said.out, said.err);
    assert_eq!(hashes(&target, "back"), hashes(&ground.rig.cluster, "shop"));
    let same = |sql: &str| assert_eq!(sql_in(&target, "back", sql), ground.sql(sql), "{sql}");
    same("select rolname, rolcanlogin, rolconnlimit, rolpassword from pg_authid where rolname in ('clerk; --', 'reader') order by 1");
    same(
        "select m.roleid::regrole, m.member::regrole, m.admin_option from pg_auth_members m where m.roleid = 'reader'::regrole order by m.member::regrole::text collate \"C\"",
    );
    same(
        "select shobj_description('reader'::regrole, 'pg_authid'), (select array_agg(setconfig) from pg_db_role_setting where setrole = 'reader'::regrole)",
    );
    same(
        "select pg_get_userbyid(datdba), datconnlimit, shobj_description(oid, 'pg_database') from pg_database where datname = current_database()",
    );
    same(
        "select s.setconfig from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase where datname = current_database() order by 1",
    );
    same(
        "select coalesce(r.rolname, '-'), a.privilege_type from pg_database d cross join aclexplode(d.datacl) a \
          left join pg_roles r on r.oid = a.grantee where datname = current_database() order by 1, 2",
    );
    same("select tablename, tableowner from pg_tables where schemaname = 'public' order by 1");
    // It was no superuser here, and is none now; but it may read.
    assert_eq!(target.sql("select rolsuper from pg_roles where rolname = 'app'"), "f");
    assert_eq!(target.sql("select pg_has_role('app', 'reader', 'member')"), "t");
    // Whoever may not make roles makes none of them.
    target.sql("create role plain login createdb");
    target.sql("drop database back");
    let plain = connection.replace("user=postgres", "user=plain");
    target.sql("drop owned by reader; drop role reader");
    into(&ground, "back", &["--create", "--globals", "--connection", &plain, "--programs", &programs])
        .ends_with_code(1)
        .says("the role `reader` cannot be made")
        .says("No role was made");
    // Owners and grants that are not wanted need nobody.
    into(&ground, "back", &["--create", "--no-owner", "--no-privileges", "--connection", &plain, "--programs", &programs])
        .ends_with_code(0);
    target.sql("drop database back");
    ground.change("logical: { ", "logical: { globals: false, ");
    ground.dump();
    into(&ground, "back", &[&there[..], &["--globals"]].concat()).ends_with_code(1).says("globals: false");
}

#[test]
fn a_locale_of_another_provider_comes_back() {
    let ground = Ground::new(Version::V15, "");
    ground.rig.cluster.sql("drop database shop");
    ground.rig.cluster.sql("create database shop template template0 locale_provider icu icu_locale 'de-u-co-phonebk'");
    ground.sql("create table t (v text); insert into t values ('b'), ('ä'), ('a')");
    ground.dump();
    into(&ground, "back", &["--create"]).ends_with_code(0).says("its locale from icu");
    let sql = "select datlocprovider, daticulocale from pg_database where datname = current_database()";
    assert_eq!(sql_in(&ground.rig.cluster, "back", sql), ground.sql(sql));
    let old = Cluster::start(Version::V14, Options::default());
    let said = into(&ground, "back", &["--create", "--connection", &old.conninfo()]).ends_with_code(1);
    assert!(said.err.contains("PostgreSQL 14 cannot give to a database"), "{}", said.err);
}

#[test]
fn what_is_there_is_set_aside_in_one_step_while_an_application_is_at_it() {
    let ground = Ground::new(Version::V15, "jobs: 2");
    ground.sql(EVERYTHING);
    let dump = ground.dump();
    let before = hashes(&ground.rig.cluster, "shop");
    ground.sql("delete from wide; create table newer (n int); insert into newer values (1)");
    let folder = ground.file("");
    let hook =
        |name: &str| format!("{name}: {{ run: [sh, -c, 'echo \"$SEAWALL_HOOK $SEAWALL_DATABASE\" >> {}/hooks'] }}", folder.display());
    let path = ground.file("policy.yaml");
    let policy = fs::read_to_string(&path).expect("the policy");
    fs::write(&path, format!("{policy}hooks: {{ {}, {} }}\n", hook("before_restore"), hook("after_restore"))).expect("the policy");
    let mut idle = connect(&ground.rig.cluster, "shop");
    idle.run("set application_name = 'an \"app\"'").expect("set");
    into(&ground, "shop", &["--replace"]).ends_with_code(1).says("1 session is connected").says("--end-connections");
    into(&ground, "nowhere", &["--replace"]).ends_with_code(1).says("--create");
    // An application that comes back as often as it is sent away.
    let (over, came) = (AtomicBool::new(false), AtomicUsize::new(0));
    let said = thread::scope(|scope| {
        scope.spawn(|| {
            let settings = ground.rig.cluster.settings().with_dbname("shop");
            while !over.load(Ordering::Relaxed) {
                if let Ok(mut connection) = Connection::connect(&settings) {
                    came.fetch_add(1, Ordering::Relaxed);
                    while !over.load(Ordering::Relaxed) && connection.query("select count(*) from types", &[]).is_ok() {
                        thread::sleep(Duration::from_millis(5));
                    }
                }
            }
        });
        while came.load(Ordering::Relaxed) == 0 {
            thread::sleep(Duration::from_millis(5));
        }
        let said = into(&ground, "shop", &["--replace", "--end-connections", "--jobs", "2"]);
        over.store(true, Ordering::Relaxed);
        said
    });
    let said = said.ends_with_code(0);
    assert!(said.out.contains("an \"app\"") && said.out.contains("whoever comes until then") && said.out.contains("ended"), "{}", said.out);
    assert_eq!(hashes(&ground.rig.cluster, "shop"), before);
    let aside = ground.rig.cluster.sql("select datname from pg_database where datname like 'shop\\_before\\_%'");
    assert!(said.out.contains(&aside) && aside.len() == "shop_before_20261122T001500Z".len(), "{aside}: {}", said.out);
    assert_eq!(sql_in(&ground.rig.cluster, &aside, "select count(*) from newer"), "1");
    assert_eq!(sql_in(&ground.rig.cluster, &aside, "select count(*) from wide"), "0");
    assert_eq!(
        ground
            .rig
            .cluster
            .sql("select count(*) from pg_database where datname like 'seawall%' or not datallowconn and datname <> 'template0'"),
        "0"
    );
    assert!(idle.query("select 1", &[]).is_err(), "it was sent away");
    assert_eq!(fs::read_to_string(ground.file("hooks")).expect("they ran"), "before_restore shop\nafter_restore shop\n");
    let audit = ground.say(&["audit", "show"]).ends_with_code(0);
    assert!(audit.out.contains(&format!("`shop` of the dump {} came back: the database `shop` on", dump.descriptor.id)), "{}", audit.out);
    // A hook that fails leaves everything as it is.
    ground.change("echo \"$SEAWALL_HOOK", "exit 3; echo \"$SEAWALL_HOOK");
    into(&ground, "shop", &["--replace"]).ends_with_code(1).says("before_restore");
    assert_eq!(ground.rig.cluster.sql("select count(*) from pg_database where datname like 'shop%'"), "2");
}

#[test]
fn killed_while_it_replaces_the_old_one_has_its_name() {
    let ground = Ground::new(Version::V15, "");
    ground.sql(EVERYTHING);
    ground.dump();
    ground.sql("create table newer (n int)");
    let mut lot = crate::faults::chance::lot("logical::replaced");
    for _ in 0..crate::faults::chance::rounds(3, 30) {
        let mut child = ground.command(&["restore", "--into-database", "shop", "--replace", "--yes"]);
        let mut child = child.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().expect("seawall");
        let process = crate::drill::killed::ours(&child);
        thread::sleep(Duration::from_millis(lot.below(1500) as u64));
        if child.try_wait().expect("asked").is_none() {
            let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
        }
        child.wait().expect("its end");
        // What the server was told in its last moment it still does.
        ground.rig.cluster.wait_until(
            "not exists (select from pg_stat_activity where application_name ~ 'pg_restore|seawall' and pid <> pg_backend_pid())",
        );
        let names = ground.rig.cluster.sql("select string_agg(datname, ' ') from pg_database where datname ~ 'shop'");
        let is_old = ground.sql("select to_regclass('newer') is not null") == "t";
        assert_eq!(is_old, names == "shop", "{names}");
        if !is_old {
            return;
        }
    }
}

/// A dump of some of a database never takes the place of all of it, and is not taken for the newest one.
#[test]
fn some_of_a_database_does_not_replace_all_of_it() {
    let ground = Ground::new(Version::V15, "");
    ground.sql("create schema audit; create table audit.log (n int); create table orders (n int); insert into orders values (1)");
    let job = "backups: { audit: { logical: { schemas: [audit] }, schedule: { at: \"04:00\" }, keep: { last: 2 }, takes: 1m, size: 1MB }, ";
    ground.change("backups: { ", job);
    let whole = ground.dump().descriptor.id.to_string();
    ground.say(&["backup", "audit"]).ends_with_code(0);
    let said = into(&ground, "shop", &["--replace", "--job", "audit"]).ends_with_code(1);
    assert!(said.err.contains("does not have all of the database `shop`"), "{}", said.err);
    into(&ground, "shop", &["--replace"]).ends_with_code(0).says(&whole);
    assert_eq!(ground.sql("select count(*) from orders"), "1");
    into(&ground, "beside", &["--create", "--job", "audit"]).ends_with_code(0).says("not all of it");
    // Where no dump has everything, somebody says which is meant.
    ground.change("dump: { logical: { ", "dump: { logical: { exclude_tables: [nowhere], ");
    let said = into(&ground, "more", &["--create"]).ends_with_code(1);
    assert!(said.err.contains("`audit` and `dump`"), "{}", said.err);
}

/// What fails at the very end leaves what took hours, and the SQL that it lacks.
#[test]
fn what_cannot_get_its_name_stays_and_says_what_it_lacks() {
    let ground = Ground::new(Version::V15, "");
    ground.sql("create table orders (n int); insert into orders values (1)");
    ground.rig.cluster.sql("create role clerk; alter database shop owner to clerk; revoke connect on database shop from public");
    ground.rig.cluster.sql("alter database shop connection limit 12; alter database shop set search_path to public, \"S\"");
    ground.dump();
    for (how, name) in [("--create", "back"), ("--replace", "shop")] {
        // The role goes while it is restored: after the plan, before its name.
        let policy = fs::read_to_string(ground.file("policy.yaml")).expect("the policy");
        let psql = Version::V15.programs().join("psql");
        let command = format!("{} -X -q -d \"{}\" -c \"alter role clerk rename to gone\"", psql.display(), ground.rig.cluster.conninfo());
        let hook = format!("hooks: {{ before_restore: {{ run: [sh, -c, {command:?}] }} }}\n");
        fs::write(ground.file("policy.yaml"), format!("{policy}{hook}")).expect("the policy");
        let said = into(&ground, name, &[how]).ends_with_code(1);
        fs::write(ground.file("policy.yaml"), policy).expect("the policy");
        assert!(said.err.contains("everything that was restored is in `seawall_restore_"), "{}", said.err);
        assert!(said.err.contains("--globals"), "{}", said.err);
        ground.rig.cluster.sql("alter role gone rename to clerk");
        // As it is said, it is what would have been done.
        let sql = said.err.split('`').find(|text| text.starts_with("begin; ")).expect("the SQL");
        sql_in(&ground.rig.cluster, "postgres", sql);
        let own = "select pg_get_userbyid(datdba), datconnlimit, has_database_privilege('public', oid, 'connect'), \
                   (select setconfig from pg_db_role_setting where setdatabase = d.oid) from pg_database d where datname = current_database()";
        assert_eq!(sql_in(&ground.rig.cluster, name, own), "clerk|12|f|{\"search_path=public, \\\"S\\\"\"}");
        assert_eq!(sql_in(&ground.rig.cluster, name, "select count(*) from orders"), "1");
    }
    assert_eq!(ground.rig.cluster.sql("select count(*) from pg_database where datname like 'seawall%'"), "0");
}

/// The server has done it, and its answer is lost on the way: what is said is what is so.
#[test]
fn a_lost_answer_to_the_last_word_is_looked_up() {
    let ground = Ground::with(Version::V15, Options::default().with("lc_monetary = 'C'").over_tcp(), "");
    ground.sql("create table orders (n int); insert into orders values (1)");
    ground.dump();
    ground.sql("insert into orders values (2)");
    let proxy = Proxy::to(ground.rig.cluster.port());
    let line = format!("host=127.0.0.1 port={} user=postgres dbname=postgres sslmode=disable", proxy.port);
    for (cut, how, name) in [(1, "--create", "back"), (2, "--replace", "shop")] {
        proxy.lose_answer_to("rename to");
        into(&ground, name, &[how, "--connection", &line]).ends_with_code(0);
        assert_eq!((proxy.cuts_made(), sql_in(&ground.rig.cluster, name, "select count(*) from orders")), (cut, "1".to_owned()));
    }
    // Refused, and not lost.
    let _session = connect(&ground.rig.cluster, "shop");
    let said = into(&ground, "shop", &["--replace"]).ends_with_code(1);
    assert!(said.err.contains("1 session is connected"), "{}", said.err);
    assert_eq!(ground.rig.cluster.sql("select count(*) from pg_database where datname like 'seawall%'"), "0");
}
