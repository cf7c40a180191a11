//! A shop whose tables lean on each other across tiers.

use std::process::Command;

use crate::clusters::{Cluster, Options, Version};
use crate::logical::rig::{Ground, sql_in};
use crate::run::rig::Said;

pub const TIERS: &str = "data: { critical: { tables: [users, accounts], rto: 1h }, rest: { rest: true, rto: 4h }, reports: { tables: [log, summed], rto: 5h } }";

/// Circular keys, partitions, policies, rules, views of every kind, statistics, comments, grants, large objects.
const SHOP: &str = r#"
    create schema "Sch ""ema"; create sequence counter; select setval('counter', 4711);
    create table users (id int primary key, name text not null, favourite int, nr int default nextval('counter'));
    create table accounts (id int generated always as identity primary key, of int references users, cents bigint check (cents >= 0));
    create table orders (id int primary key, of int not null references users, at timestamptz default now(), total numeric(12, 2), text text);
    create table members (of int references users, name text);
    create table log (at date not null, of int references users, text text, primary key (at, text)) partition by range (at);
    create table log_1 partition of log for values from ('2026-01-01') to ('2026-02-01');
    create table log_2 partition of log for values from ('2026-02-01') to ('2026-03-01');
    create table "Sch ""ema"."T'able x" ("Col umn" int unique, "sel""ect" text); create table empty (n int); create unlogged table fleeting (n int);
    create table old (id int, of int); insert into old values (1, 77777); alter table old add constraint never foreign key (of) references users not valid;
    create table tree (id int primary key, of int references tree); create table branch () inherits (tree);
    insert into users select k, 'user ' || k, null, k from generate_series(1, 500) k;
    insert into accounts (of, cents) select k, k * 100 from generate_series(1, 500) k;
    insert into orders select k, 1 + k % 500, '2026-01-01'::timestamptz + k * interval '1 minute', k / 7.0, E'a\tb\\c\n"q" Ü🐘 ' || k
        from generate_series(1, 6000) k;
    update users set favourite = id; alter table users add constraint users_favourite foreign key (favourite) references orders;
    insert into members select k, 'member' from generate_series(1, 40) k;
    insert into log select '2026-01-01'::date + k % 58, 1 + k % 500, 'text ' || k from generate_series(1, 900) k;
    insert into "Sch ""ema"."T'able x" values (1, E'\\.'), (2, null), (3, E'\n'); insert into fleeting values (1);
    insert into tree values (1, null), (2, 1); insert into branch values (3, 1);
    create index orders_at on orders (at desc, total) where total > 3; create index on orders using gin (to_tsvector('english', text));
    create unique index users_name on users (lower(name)); cluster orders using orders_pkey; alter table orders replica identity using index orders_pkey;
    create index on log (of); create statistics users_pairs on name, nr from users; comment on constraint users_favourite on users is 'a key''s words';
    comment on table orders is 'what was "ordered"'; comment on index orders_at is 'by time';
    alter table users enable row level security;
    create policy own on users using (exists (select from members m where m.of = users.id) or current_user = 'postgres');
    create table audit (at timestamptz, what text);
    create rule told as on delete to accounts do also insert into audit values (now(), 'gone');
    create function note() returns trigger language plpgsql as $$ begin new.text := new.text || '!'; return new; end $$;
    create trigger noted before insert on orders for each row execute function note();
    create view rich as select u.id, u.name, a.cents from users u join accounts a on a.of = u.id where a.cents > 100;
    create view bought as select u.id, o.total from users u join orders o on o.of = u.id;
    create view twice as select * from bought;
    create view by_key as select o.id, o.total, count(*) from orders o join users u on u.id = o.of group by o.id;
    create materialized view summed as select of, sum(total) as total from orders group by of; create unique index on summed (of);
    create table seen (at date, text text, foreign key (at, text) references log); insert into seen select at, text from log limit 20;
    create view names as select id, name from users;
    create rule names_taken as on insert to names do instead insert into orders (id, of) values (new.id, new.id);
    select lo_from_bytea(77, decode('deadbeef', 'hex')); grant select, insert on users, orders to app; grant select on bought, members to app;
    create publication everything for table users, orders; comment on publication everything is 'to others'; alter default privileges grant select on tables to app;
    analyze"#;

/// A body that is kept as what it means: from 14 on.
const ATOMIC: &str = "create function how_many() returns bigint language sql begin atomic select count(*) from orders; end; \
    create function how_many_more() returns bigint language sql begin atomic select how_many() + 1; end";

/// Every table's rows, also those that no one but their owner sees.
const HASHES: &str = "select string_agg(format('select %L || count(*) || coalesce(md5(string_agg(t::text, ''|'' order by t::text collate \"C\")), ''-'') \
    as h from %I.%I t', n.nspname || '.' || c.relname || ' ', n.nspname, c.relname), ' union all ' order by n.nspname, c.relname) \
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p', 'm', 'v') and n.nspname !~ '^(pg_|information_schema)'";

#[derive(Debug)]
pub struct Shop {
    pub ground: Ground,
    pub target: Cluster,
}

impl Shop {
    /// `logical` stands in the job's braces.
    pub fn new(version: Version, target: Version, logical: &str) -> Shop {
        let options = || Options::default().with("lc_monetary = 'C'").with("timezone = 'UTC'");
        let ground = Ground::with(version, options(), logical);
        ground.change("objectives: { rpo: 5m, rto: 1h }", &format!("objectives: {{ rpo: 5m, rto: 6h, {TIERS} }}"));
        fill(&ground.rig.cluster);
        Shop { ground, target: Cluster::start(target, options()) }
    }

    pub fn command(&self, more: &[&str]) -> Command {
        let (connection, programs) = (self.target.conninfo(), programs(&self.target).display().to_string());
        let words = ["restore", "--tier", "critical", "--into-database", "shop", "--create", "--globals", "--connection", &connection];
        let words: Vec<&str> =
            words.into_iter().chain(["--programs", &programs, "--job", "dump", "--yes"]).chain(more.iter().copied()).collect();
        self.ground.command(&words)
    }

    pub fn restore(&self, more: &[&str]) -> Said {
        Said::of(self.command(more).output().expect("seawall"))
    }

    pub fn there(&self, sql: &str) -> String {
        sql_in(&self.target, "shop", sql)
    }

    /// All of it is what it was, to the last word of every definition.
    #[track_caller]
    pub fn is_whole(&self) {
        assert_eq!(hashes(&self.target), hashes(&self.ground.rig.cluster));
        // The words of two versions are not the same.
        if self.target.version() == self.ground.rig.cluster.version() {
            assert_eq!(definitions(&self.target), definitions(&self.ground.rig.cluster));
        }
        assert_eq!(self.there("select count(*) from pg_namespace where nspname ~ 'seawall'"), "0");
        assert_eq!(self.there("select count(*) from pg_class where relname ~ 'seawall'"), "0");
        assert_eq!(self.ground.rig.shell("ls state/policies/try | grep spool || true"), "");
    }
}

/// Makes all of it in a database that is there.
pub fn fill(cluster: &Cluster) {
    let version = cluster.version();
    cluster.sql("create role app login; create role \"own\"\"er\"");
    sql_in(cluster, "shop", SHOP);
    sql_in(cluster, "shop", "alter table orders owner to \"own\"\"er\"; alter database shop set work_mem = '5MB'");
    if version > Version::V13 {
        sql_in(cluster, "shop", ATOMIC);
    }
    if version == Version::V18 {
        sql_in(cluster, "shop", "alter table old add constraint not_so foreign key (of) references orders not enforced");
    }
}

/// What belongs to a key of or to a partitioned table has a name that every version gives otherwise.
pub fn hashes(cluster: &Cluster) -> Vec<String> {
    let sql = sql_in(cluster, "shop", HASHES);
    let all = sql_in(cluster, "shop", &sql);
    let rest = "select string_agg(schemaname || '.' || sequencename || coalesce(last_value, 0), ' ' order by sequencename) from pg_sequences \
        union all select encode(lo_get(77), 'hex') union all select setconfig::text from pg_db_role_setting where setrole = 0 \
        union all select string_agg(conrelid::regclass || case conparentid when 0 then conname::text else '' end || convalidated, ' ' \
            order by conrelid::regclass::text, conparentid = 0, conname) from pg_constraint where contype = 'f' \
        union all select string_agg(indexrelid::regclass || ' ' || indisvalid || indisclustered || indisreplident, ' ' order by indexrelid::regclass::text) \
            from pg_index where indrelid > 16384 and indexrelid::regclass::text !~ 'pg_toast'";
    let mut lines: Vec<String> = all.lines().chain(sql_in(cluster, "shop", rest).lines()).map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

/// None is newer than the server that it talks to.
fn programs(server: &Cluster) -> std::path::PathBuf {
    if server.version() == Version::V15 { "/usr/lib/postgresql/15/bin".into() } else { Version::V18.programs() }
}

pub fn definitions(cluster: &Cluster) -> String {
    let dump = programs(cluster).join("pg_dump");
    let output =
        cluster.account().command(dump).args(["--schema-only", "--dbname"]).arg(format!("{} dbname=shop", cluster.conninfo())).output();
    let text = crate::logical::rig::succeeds(output.expect("pg_dump"));
    text.lines().filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict")).collect::<Vec<_>>().join("\n")
}

/// Building this index waits for a database of the name `go`, which the original has.
pub const GATE: &str = "create function wait() returns void language plpgsql volatile as $$ begin \
    while not exists (select from pg_catalog.pg_database where datname = 'go') loop perform pg_catalog.pg_sleep(0.02); end loop; end $$; \
    create function gate(n int) returns int language plpgsql immutable as $$ begin perform public.wait(); return n; end $$; \
    create index gated on orders (gate(id))";

impl Shop {
    /// The tier `rest` does not come before [`Shop::let_go`].
    pub fn gated(version: Version, logical: &str) -> Shop {
        let shop = Shop::new(version, version, logical);
        shop.ground.rig.cluster.sql("create database go");
        shop.ground.sql(GATE);
        shop.ground.dump();
        shop
    }

    pub fn let_go(&self) {
        self.target.sql("create database go");
    }

    /// Waits until the first tier is usable and the next one waits.
    pub fn wait_for_critical(&self) {
        self.target.wait_until("exists (select from pg_stat_activity where datname = 'shop' and query ~ 'CREATE INDEX gated')");
    }

    /// What somebody is told who asks for it.
    pub fn refusal(&self, sql: &str) -> String {
        let mut connection = crate::logical::rig::connect(&self.target, "shop");
        connection.run(sql).expect_err(sql).to_string()
    }
}
