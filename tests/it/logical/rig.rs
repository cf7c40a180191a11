//! A cluster with databases of every kind, and a job that dumps them.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use seawall::format::descriptor::Descriptor;
use seawall::postgres::{Connection, Row};

use crate::backup::rig::{Policy, Rig};
use crate::clusters::{Cluster, Options, Version};
use crate::run::rig::Said;

#[derive(Debug)]
pub struct Ground {
    pub rig: Rig,
}

/// What a text form, a name or an order could spoil.
pub const EVERYTHING: &str = r#"
    create schema "Sch ""ema";
    create type mood as enum ('sad', 'ok', 'a ''quoted'' one');
    create domain positive as int check (value > 0);
    create type pair as (a int, b text);
    create table types (
        id int generated always as identity primary key, b boolean, s smallint, i int, l bigint, n numeric(30, 10), r real,
        d double precision, m money, t text, v varchar(20), c char(5), bytes bytea, ts timestamp, tz timestamptz, da date, ti time,
        tt timetz, iv interval, u uuid, j json, jb jsonb, ar int[][], ta text[], ir int4range, nr numrange, ip inet, ci cidr,
        ma macaddr, pt point, po polygon, bx box, bi bit(5), vb bit varying, tv tsvector, tq tsquery, mo mood, p positive, pr pair,
        lsn pg_lsn, doubled int generated always as (i * 2) stored);
    insert into types (b, s, i, l, n, r, d, m, t, v, c, bytes, ts, tz, da, ti, tt, iv, u, j, jb, ar, ta, ir, nr, ip, ci, ma, pt, po, bx, bi, vb,
        tv, tq, mo, p, pr, lsn)
    select k % 2 = 0, k, k * 7, k::bigint << 40, k / 7.0, k / 3.0, 1 / (k + 1)::float8, k, E'line\none\ttab \\ \\. "q" Ü🐘 ' || k, 'v' || k, 'c',
        decode(lpad(to_hex(k), 8, '0'), 'hex'), '2026-01-01'::timestamp + k * interval '1 second', '2026-01-01Z'::timestamptz, '4713-01-01 BC',
        '23:59:59.999999', '12:00+05:30', '1 year 2 mons -3 days', md5(k::text)::uuid, '{"a": [1, null]}', '{"b": "\u00e9"}',
        array[[1, k], [null, 2]], array['a,b', null, '{}', '"'], int4range(k, k + 5), numrange(null, k), '10.0.0.1/8', '10.0.0.0/8',
        '08:00:2b:01:02:03', point(k, -1), '((0,0),(1,1),(2,0))', '(1,1),(0,0)', b'10101', b'1', 'a fat cat'::tsvector, 'fat & cat'::tsquery,
        'a ''quoted'' one', k, row(k, 'two')::pair, '16/B374D848'
    from generate_series(1, 300) k;
    insert into types default values;
    create table "; drop table types --" ("sel""ect" int, " " text);
    insert into "; drop table types --" values (1, E'\\.'), (2, null), (3, E'\n');
    create table "Sch ""ema"."T'able" (n int); insert into "Sch ""ema"."T'able" select generate_series(1, 10);
    create table parts (at date, n int) partition by range (at);
    create table parts_1 partition of parts for values from ('2026-01-01') to ('2026-02-01');
    create table parts_2 partition of parts for values from ('2026-02-01') to ('2026-03-01');
    insert into parts select '2026-01-01'::date + k % 58, k from generate_series(1, 200) k;
    create table egg (id int primary key, hen int); create table hen (id int primary key, egg int references egg);
    insert into egg values (1, null), (2, null); insert into hen values (1, 2), (2, 1); update egg set hen = 3 - id;
    alter table egg add foreign key (hen) references hen;
    create table secret (owner text, n int); insert into secret select 'me', k from generate_series(1, 7) k;
    alter table secret enable row level security; create policy own on secret using (owner = current_user);
    create materialized view summed as select count(*) as n, sum(i) as i from types;
    create view seen as select id, t from types where b;
    create sequence counter; select setval('counter', 4711);
    create function twice(int) returns int language sql immutable as 'select $1 * 2';
    create index on types (twice(i)); create table empty (n int);
    select lo_from_bytea(77, decode('deadbeef', 'hex')); comment on table types is 'Every "type" of it';
    create table wide (id int primary key, text text); insert into wide select k, repeat(md5(k::text), 20) from generate_series(1, 4000) k;
    create table wider (id int primary key, text text); insert into wider select k, repeat(md5(k::text), 20) from generate_series(1, 3000) k;
    analyze"#;

/// The rows of every table, as they read.
const HASHES: &str = "select string_agg(format('select %L || count(*) || coalesce(md5(string_agg(t::text, ''|'' order by t::text collate \"C\")), ''-'') \
    as h from %I.%I t', n.nspname || '.' || c.relname || ' ', n.nspname, c.relname), ' union all ' order by n.nspname, c.relname) \
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p', 'm', 'v') and n.nspname !~ '^(pg_|information_schema)'";

impl Ground {
    /// `logical` stands in the job's braces.
    pub fn new(version: Version, logical: &str) -> Ground {
        Ground::with(version, Options::default().with("lc_monetary = 'C'"), logical)
    }

    pub fn with(version: Version, options: Options, logical: &str) -> Ground {
        let rig = Rig::over(Cluster::start(version, options), &Policy::default());
        let ground = Ground { rig };
        let path = ground.file("policy.yaml");
        let text = fs::read_to_string(&path).expect("the policy");
        // Debian's 15 is found by itself; of the others only 18 has client programs here.
        let programs = if version == Version::V15 { String::new() } else { format!("programs: {}, ", Version::V18.programs().display()) };
        let job = format!(
            "backups: {{ dump: {{ logical: {{ {programs}{logical} }}, schedule: {{ at: \"03:00\" }}, keep: {{ last: 2 }}, takes: 1m, size: 1MB }}, "
        );
        let text = text.replace("databases: [postgres]", "databases: [shop]").replace("backups: { ", &job);
        fs::write(path, text).expect("the policy");
        ground.rig.cluster.sql("create database shop");
        ground
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.rig.path(name)
    }

    pub fn change(&self, from: &str, to: &str) {
        let path = self.file("policy.yaml");
        let text = fs::read_to_string(&path).expect("the policy");
        assert!(text.contains(from), "{from}: {text}");
        fs::write(path, text.replace(from, to)).expect("the policy");
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = self.rig.cluster.account().command(env!("CARGO_BIN_EXE_seawall"));
        command.args(words).arg("--policy").arg(self.file("policy.yaml")).arg("--state").arg(self.file("state")).args(["--host", "db-1"]);
        command
    }

    pub fn say(&self, words: &[&str]) -> Said {
        Said::of(self.command(words).output().expect("seawall"))
    }

    pub fn sql(&self, sql: &str) -> String {
        sql_in(&self.rig.cluster, "shop", sql)
    }

    #[track_caller]
    pub fn dump(&self) -> Dump {
        let said = self.say(&["backup", "dump", "--format", "json"]).ends_with_code(0);
        let json: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
        let path = self.file("store").join(json["descriptor"].as_str().expect("a key"));
        let descriptor = Descriptor::from_json(&fs::read(path).expect("the descriptor")).expect("it can be read");
        Dump { descriptor, said: said.err }
    }

    /// What is in it, with stock tools.
    pub fn contents(&self, dump: &Dump) -> serde_json::Value {
        let text = self.rig.shell(&format!("age -d -i identity.txt {}/contents.json.zst.age | zstd -dc", self.folder(dump)));
        serde_json::from_str(&text).expect("JSON")
    }

    /// Below the cluster's folder.
    pub fn folder(&self, dump: &Dump) -> String {
        self.rig.shell(&format!("ls -d store/*/data/{}", dump.descriptor.id))
    }

    /// Nothing of a backup is in the store.
    pub fn has_nothing(&self) -> bool {
        self.rig.objects("data").is_empty() && self.rig.objects("backups").is_empty()
    }
}

#[derive(Debug)]
pub struct Dump {
    pub descriptor: Descriptor,
    pub said: String,
}

pub fn connect(cluster: &Cluster, database: &str) -> Connection {
    Connection::connect(&cluster.settings().with_dbname(database)).expect("a session")
}

pub fn sql_in(cluster: &Cluster, database: &str, sql: &str) -> String {
    let answers = connect(cluster, database).run(sql).unwrap_or_else(|fault| panic!("{sql}: {fault}"));
    let line = |row: &Row| row.values().iter().map(|value| value.clone().unwrap_or_default()).collect::<Vec<_>>().join("|");
    answers.last().map(|rows| rows.iter().map(line).collect::<Vec<_>>().join("\n")).unwrap_or_default()
}

/// All rows of a database, table by table.
pub fn hashes(cluster: &Cluster, database: &str) -> String {
    let sql = sql_in(cluster, database, HASHES);
    let rest = "select last_value || ' ' || is_called from counter union all select encode(lo_get(77), 'hex') \
                union all select polname || relrowsecurity from pg_policy p join pg_class c on c.oid = p.polrelid";
    let rest = if sql.contains("types") { sql_in(cluster, database, rest) } else { String::new() };
    let all = sql_in(cluster, database, &format!("set timezone = 'UTC'; set bytea_output = 'hex'; {sql}"));
    let mut lines: Vec<&str> = all.lines().chain(rest.lines()).collect();
    lines.sort_unstable();
    lines.join("\n")
}

#[track_caller]
pub fn succeeds(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
