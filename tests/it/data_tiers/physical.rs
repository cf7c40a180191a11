//! Out of a physical backup, as of any moment: definitions and rows come from private servers that hold a part of it.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::{Signal, kill_process};
use seawall::postgres::Connection;

use super::rig::{GATE, TIERS, definitions, fill, hashes};
use crate::clusters::{Cluster, Options, Version};
use crate::drill::killed::ours;
use crate::drill::rig::{copies, servers_below};
use crate::logical::rig::{connect, sql_in};
use crate::restore::rig::Rig;
use crate::run::rig::Said;

struct Shop {
    rig: Rig,
    target: Cluster,
}

impl Shop {
    /// With a backup of it, and some life after that.
    fn new(version: Version) -> Shop {
        let shop = Shop::without_backup(version);
        shop.rig.backup();
        shop.lives_on();
        shop
    }

    fn without_backup(version: Version) -> Shop {
        let options = || Options { segment_mb: 1, ..Options::default().with("lc_monetary = 'C'").with("timezone = 'UTC'") };
        let rig = Rig::start(version, options());
        rig.change_policy("databases: [postgres]", "databases: [shop]");
        rig.change_policy("rto: 1h", &format!("rto: 6h\n  {TIERS}"));
        rig.change_policy("restore: 50MB/s,", "restore: 50MB/s, load: 20MB/s,");
        rig.cluster.sql("create database shop");
        fill(&rig.cluster);
        // No physical backup has its rows.
        let shop = Shop { rig, target: Cluster::start(version, options()) };
        shop.sql("delete from fleeting");
        shop.sql("create table bulk as select n, md5(n::text) || md5((n + 1)::text) as t from generate_series(1, 200000) n");
        shop
    }

    /// What no catalog of the backup knows: new tables, new files of old ones, other names, sequences that went on.
    fn lives_on(&self) {
        self.sql("vacuum full accounts");
        self.sql(
            "create table later (n bigserial primary key, of int references users); insert into later (of) select generate_series(1, 70); \
             truncate members; insert into members select k, 'again' from generate_series(1, 41) k; alter table empty rename to full_now; \
             insert into full_now select generate_series(1, 5); update users set name = name || '!' where id % 7 = 0; \
             select setval('counter', 5000); select lo_from_bytea(78, decode('cafe', 'hex')); refresh materialized view summed; \
             analyze; update orders set total = total + 1 where id % 3 = 0; refresh materialized view summed",
        );
    }

    fn sql(&self, sql: &str) -> String {
        sql_in(&self.rig.cluster, "shop", sql)
    }

    fn there(&self, sql: &str) -> String {
        sql_in(&self.target, "shop", sql)
    }

    /// After everything that was committed, and before everything that will be.
    fn now(&self) -> String {
        self.sql("select pg_sleep(0.05); select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US') || 'Z'; ")
    }

    fn command(&self, more: &[&str]) -> Command {
        let (connection, programs) = (self.target.conninfo(), self.rig.cluster.version().programs().display().to_string());
        let words = ["restore", "--tier", "critical", "--into-database", "shop", "--create", "--connection", &connection];
        let words: Vec<&str> = words.into_iter().chain(["--programs", &programs]).chain(more.iter().copied()).collect();
        self.rig.command(&words)
    }

    fn restore(&self, more: &[&str]) -> Said {
        Said::of(self.command(&[&["--globals", "--yes"], more].concat()).output().expect("seawall"))
    }

    fn start(&self) -> Child {
        self.command(&["--globals", "--yes"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("seawall")
    }

    /// What all of it is by now.
    fn all(&self) -> (Vec<String>, String) {
        (hashes(&self.rig.cluster), definitions(&self.rig.cluster))
    }

    #[track_caller]
    fn is(&self, was: &(Vec<String>, String)) {
        // A server logs a sequence ahead, and as every recovery does, this one may go on up to that.
        let is_one = |line: &&String| line.starts_with("public.accounts_id_seq");
        let apart = |lines: &[String]| -> (Vec<String>, Vec<i64>) {
            let values = lines.iter().filter(is_one).flat_map(|line| line.split(' ')).map(value).collect();
            (lines.iter().filter(|line| !is_one(line)).cloned().collect(), values)
        };
        let ((now, now_at), (then, then_at)) = (apart(&hashes(&self.target)), apart(&was.0));
        assert_eq!(now, then);
        assert_eq!((now_at.len(), then_at.len()), (3, 3));
        assert!(now_at.iter().zip(&then_at).all(|(now, then)| (0..=33).contains(&(now - then))), "{now_at:?} {then_at:?}");
        assert_eq!(definitions(&self.target), was.1);
        assert_eq!(self.there("select count(*) from pg_namespace where nspname ~ 'seawall'"), "0");
        assert_eq!(self.there("select count(*) from pg_class where relname ~ 'seawall'"), "0");
        assert_eq!(self.there("select encode(lo_get(78), 'hex')"), "cafe");
        self.nothing_is_left();
    }

    /// Neither a copy nor a server of one, and in the archive nothing but the original's own log.
    #[track_caller]
    fn nothing_is_left(&self) {
        let place = self.rig.path("state/policies/shop/tables");
        assert_eq!(copies(&place), Vec::<PathBuf>::new());
        let began = std::time::Instant::now();
        while !servers_below(&place).is_empty() {
            assert!(began.elapsed().as_secs() < 60, "{:?} run on", servers_below(&place));
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert_eq!(self.rig.shell("find store -name '*.history*' -o -name '00000002*'"), "");
        assert!(self.rig.cluster.is_running());
    }

    fn has_no_database(&self) {
        assert_eq!(self.target.sql("select count(*) from pg_database where datname ~ 'shop|seawall'"), "0");
        assert_eq!(self.target.sql("select count(*) from pg_roles where rolname = 'app'"), "0");
    }
}

/// `public.counter5000`: its number.
fn value(sequence: &str) -> i64 {
    let digits = sequence.trim_start_matches(|c: char| !c.is_ascii_digit());
    digits.parse().expect("a number")
}

#[test]
fn at_a_moment_it_is_what_it_was() {
    for version in [Version::V13, Version::V18] {
        let shop = Shop::new(version);
        let (was, moment) = (shop.all(), shop.now());
        shop.sql("drop table later; delete from accounts; delete from members; update orders set total = 0; insert into users values (7000, 'x')");
        shop.rig.archive();

        let said = Said::of(shop.command(&["--globals", "--to", &moment, "--plan", "--format", "json"]).output().expect("seawall"));
        let plan = crate::cli::follows("restore-tiers-plan-output", &said.ends_with_code(0).out);
        let fetch = |at: usize| plan["tiers"][at]["fetch_bytes"].as_u64().expect("a number");
        assert!(fetch(0) * 2 < plan["stored_bytes"].as_u64().expect("a number") && fetch(0) < fetch(1), "{plan:#}");
        assert!(plan["tiers"][0]["predicted_seconds"].as_f64() < plan["tiers"][2]["predicted_seconds"].as_f64(), "{plan:#}");
        assert_eq!((plan["source"].as_str(), plan["tiers"][0]["rto_seconds"].as_u64()), (Some("physical"), Some(3600)));
        let text = Said::of(shop.command(&["--globals", "--to", &moment, "--plan"]).output().expect("seawall")).ends_with_code(0);
        text.says("1.          `critical`: 4 tables (")
            .says("fetches")
            .says("it is read by a policy")
            .says("`public.fleeting` is unlogged");
        shop.has_no_database();
        shop.nothing_is_left();

        let said = shop.restore(&["--to", &moment, "--jobs", "2", "--format", "json"]).ends_with_code(0);
        shop.is(&was);
        let json = crate::cli::follows("restore-tiers-output", &said.out);
        let tiers: Vec<&str> = json["tiers"].as_array().expect("tiers").iter().map(|tier| tier["tier"].as_str().unwrap_or("-")).collect();
        assert_eq!((tiers, json["source"].as_str()), (vec!["critical", "rest", "reports"], Some("physical")));
        let critical = &json["tiers"][0];
        assert_eq!(critical["tables"], serde_json::json!(["public.accounts", "public.audit", "public.members", "public.users"]));
        assert_eq!((critical["met"].as_bool(), critical["rows"].as_u64()), (Some(true), Some(1041)));
        let keys = ["public.later later_of_fkey", "public.log log_of_fkey", "public.old never", "public.orders orders_of_fkey"];
        assert_eq!(critical["keys_to_come"].as_array().map(|all| all[..4].to_vec()), serde_json::json!(keys).as_array().cloned());
    }
}

/// The newest state is that which was the newest when it began, whatever is archived meanwhile.
#[test]
fn a_tier_is_worked_with_and_after_kill_9_it_goes_on_as_of_the_same_record() {
    let shop = Shop::without_backup(Version::V15);
    shop.rig.cluster.sql("create database go");
    shop.sql(GATE);
    shop.rig.backup();
    shop.lives_on();
    let was = shop.all();
    shop.rig.archive();
    let mut running = shop.start();
    let gated = "exists (select from pg_stat_activity where datname = 'shop' and query ~ 'CREATE INDEX gated')";
    shop.target.wait_until(gated);
    assert_eq!(shop.there("insert into users (id, name) values (1000, 'new') returning nr > 5000"), "t");
    assert_eq!(shop.there("select count(*) from rich"), "499");
    let refused = connect(&shop.target, "shop").run("select count(*) from orders where id = 7").expect_err("it is not there").to_string();
    assert!(refused.contains("public.orders is not restored yet: it comes with the tier rest"), "{refused}");
    let _ = kill_process(ours(&running), Signal::KILL);
    running.wait().expect("it has ended");
    shop.sql("delete from accounts; update orders set total = 0; drop table later; insert into log values ('2026-01-03', 1, 'afterwards')");
    shop.rig.archive();
    shop.restore(&["--to", &shop.now()]).ends_with_code(1).says("begun with other words");
    shop.there("delete from users where id = 1000; select setval('counter', 5000)");
    shop.target.sql("create database go");
    shop.restore(&["--format", "json"]).ends_with_code(0).says("it goes on").says("it is there");
    shop.is(&was);
}

#[test]
fn whenever_it_is_killed_it_goes_on() {
    for filled in [0, 1, 6] {
        let shop = Shop::new(Version::V18);
        let was = shop.all();
        shop.rig.archive();
        let mut running = shop.start();
        let is_so_far = || {
            let mut session = Connection::connect(&shop.target.settings().with_dbname("shop")).ok()?;
            let rows = session.query("select count(*)::text as n from seawall_pending.things where filled and kind = 't'", &[]).ok()?;
            rows.one().ok()?.parse::<u64>("n").ok()
        };
        while is_so_far().is_none_or(|so_far| so_far < filled) && running.try_wait().expect("a process").is_none() {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        let _ = kill_process(ours(&running), Signal::KILL);
        running.wait().expect("it has ended");
        let said = shop.restore(&[]);
        // It may have come to its end before.
        if said.code != Some(0) {
            said.says("is there already");
        }
        shop.is(&was);
    }
}

#[test]
fn what_cannot_be_is_said_and_nothing_is_done() {
    let shop = Shop::new(Version::V15);
    let before = shop.now();
    shop.sql("drop table accounts cascade");
    shop.rig.archive();
    // It was there at that moment, and is not any more.
    shop.restore(&[]).ends_with_code(1).says("tables of the tiers are not there: `accounts` of the tier `critical`");
    shop.has_no_database();
    shop.nothing_is_left();
    // Without the roles it would end in the middle.
    Said::of(shop.command(&["--yes", "--to", &before]).output().expect("seawall")).ends_with_code(1).says("--globals");
    shop.restore(&["--to", &before, "--job", "nightly"]).ends_with_code(1).says("`backups.nightly` takes no dumps");
    shop.restore(&["--immediate"]).ends_with_code(64).says("`--backup ID`");
    shop.restore(&["--to", &before, "--at-target", "pause"]).ends_with_code(64);
    shop.has_no_database();
    shop.target.sql("create database shop");
    shop.restore(&["--to", &before]).ends_with_code(1).says("`shop` is there already");
    shop.nothing_is_left();
}

/// Ctrl-C while nothing is there yet, and while something is.
#[test]
fn ended_by_somebody_it_leaves_nothing_of_its_servers() {
    let shop = Shop::new(Version::V15);
    let was = shop.all();
    shop.rig.archive();
    let place = shop.rig.path("state/policies/shop/tables");
    let running = shop.start();
    let began = std::time::Instant::now();
    while servers_below(&place).is_empty() {
        assert!(began.elapsed().as_secs() < 120, "no server was made");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    kill_process(ours(&running), Signal::TERM).expect("a signal");
    Said::of(running.wait_with_output().expect("seawall")).ends_with_code(143);
    shop.has_no_database();
    shop.nothing_is_left();
    shop.restore(&[]).ends_with_code(0);
    shop.is(&was);
}

/// A dump is of one moment, and of it a tier takes least: so it is taken where nobody says another moment.
#[test]
fn of_both_kinds_the_words_say_which() {
    let shop = Shop::new(Version::V15);
    let dump = "dump: { logical: {}, schedule: { at: \"03:00\" }, keep: { last: 2 }, takes: 1m, size: 1MB }\n  nightly: { physical";
    shop.rig.change_policy("nightly: { physical", dump);
    let dumped = shop.rig.seawall(&["backup", "dump", "--format", "json"]);
    assert_eq!(dumped.code, 0, "{}", dumped.err);
    shop.rig.archive();
    let (now, dumped) = (shop.now(), dumped.backup());
    shop.rig.archive();
    let plan = |words: &[&str]| {
        let all: Vec<&str> = ["--globals", "--plan", "--format", "json"].iter().chain(words).copied().collect();
        Said::of(shop.command(&all).output().expect("seawall"))
    };
    for (words, source) in [
        (&[][..], "dump"),
        (&["--job", "dump"], "dump"),
        (&["--backup", &dumped], "dump"),
        (&["--latest"], "physical"),
        (&["--to", &now], "physical"),
    ] {
        let json = crate::cli::follows("restore-tiers-plan-output", &plan(words).ends_with_code(0).out);
        assert_eq!(json["source"], source, "{words:?}");
    }
    plan(&["--job", "dump", "--to", &now]).ends_with_code(1).says("a dump is of one moment");
    shop.has_no_database();
    shop.nothing_is_left();
}
