//! `seawall restore --table`, from a backup to the table, as somebody types it.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::changed::SHOP;
use super::rig::rows;
use crate::clusters::{Options, Version};
use crate::drill::rig::{copies, servers_below};
use crate::logical::rig::Ground;
use crate::restore::rig::Rig;

fn nothing_is_left(ground: &Ground) {
    let tables = ground.file("state/policies/try/tables");
    assert_eq!(copies(&tables), Vec::<std::path::PathBuf>::new());
    assert!(servers_below(&tables).is_empty());
}

#[test]
fn out_of_a_dump() {
    let ground = Ground::new(Version::V15, "");
    ground.sql(SHOP);
    let dump = ground.dump();
    let then = ground.sql(&rows("orders"));
    ground.sql(
        "update orders set note = E'\\x1b[31m' where id = 7; delete from lines where orders = 3; delete from orders where id = 3; \
                insert into orders (customer, number, total) values (1, 7777, 1)",
    );
    let before = ground.sql(&rows("orders"));
    let table = ["restore", "--table", "public.orders", "--job", "dump"];
    let say = |more: &[&str]| ground.say(&table.iter().chain(more).copied().collect::<Vec<_>>());
    // Shown, and nothing done.
    let plan = say(&["--replace", "--plan"]).ends_with_code(0);
    for words in [
        "Bring back \"public\".\"orders\"",
        dump.descriptor.id.as_str(),
        "(`backups.dump` was named)",
        "1000 rows",
        "keeps",
        "whoever writes the table waits",
    ] {
        assert!(plan.out.contains(words), "not `{words}`: {}", plan.out);
    }
    say(&["--replace"]).ends_with_code(1).says("nobody can be asked here");
    let merge = ["--merge", "--where", "id < 10 or id > 1000"];
    let shown = say(&[&merge[..], &["--plan", "--yes"]].concat()).ends_with_code(0);
    let difference = "Difference of \"public\".\"orders\" by id\n  + 1 row is in the backup and not there now\n    + `3`\n  ~ 1 row is not the same\n    ~ `7`\n        \
                      note: `\u{fffd}[31m` → `xxxxxxx`\n  - 1 row is there now and not in the backup: these stay\n    - `1001`\n  = 7 rows are the same\n";
    assert!(shown.out.contains(difference), "{}", shown.out);
    assert_eq!(ground.sql(&rows("orders")), before);
    nothing_is_left(&ground);
    // Done.
    say(&[&merge[..], &["--delete-others", "--yes"]].concat()).ends_with_code(0).says("1 added, 1 changed, 1 removed");
    assert_eq!(ground.sql(&rows("orders")), then);
    say(&[&merge[..], &["--yes"]].concat()).ends_with_code(0).says("Nothing to bring back: no row differs");
    ground.sql("delete from lines; delete from orders where id % 2 = 0");
    let said = say(&["--replace", "--yes", "--keep-replaced", "half", "--format", "json"]).ends_with_code(0);
    let report: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!((&report["way"], &report["tables"][0]["added"], &report["done"]), (&"replace".into(), &500.into(), &true.into()));
    assert_eq!((ground.sql(&rows("orders")), ground.sql("select count(*) from half.orders")), (then, "500".into()));
    // It was dropped.
    ground.sql("drop table lines; drop table orders cascade");
    say(&["--replace", "--yes"])
        .ends_with_code(1)
        .says("`--into-schema public` brings it back under its own name")
        .says("there is no table");
    let said = say(&["--table", "public.lines", "--into-schema", "public", "--yes"]).ends_with_code(0).says("left out   the trigger heard");
    assert!(said.out.contains("1000 rows") && said.out.contains("  remake "), "{}", said.out);
    assert_eq!(ground.sql("select count(*) from pg_indexes where tablename = 'orders'"), "2");
    // What is between the two has come with them.
    assert_eq!(
        ground
            .sql("select string_agg(conname || convalidated, ',') from pg_constraint where conrelid = 'lines'::regclass and contype = 'f'"),
        "lines_orders_fkeytrue"
    );
    // All else that was around it is told, and comes back by what is printed.
    ground.sql("drop table lines, orders");
    let said = say(&["--table", "public.lines", "--into-schema", "public", "--yes", "--format", "json"]).ends_with_code(0);
    let landed = &crate::cli::follows("restore-table-output", &said.out)["tables"][0];
    let words = |list: &str| -> Vec<String> {
        landed[list].as_array().expect("a list").iter().map(|text| text.as_str().expect("text").to_owned()).collect()
    };
    let expected = [
        "what is granted to clerk",
        "the policy own (row-level security stays on, so only its owner and superusers see rows)",
        "the trigger heard",
        "the foreign key orders_customer_fkey",
        "the view public.totals",
        "that the publication shown has it",
    ];
    assert_eq!(words("left_out"), expected);
    words("remake").iter().for_each(|sql| drop(ground.sql(sql)));
    let around = "select concat_ws(' ', has_table_privilege('clerk', 'orders', 'update'), (select polroles::regrole[] from pg_policy where polrelid = 'orders'::regclass), \
        (select string_agg(tgname, ',') from pg_trigger where tgrelid = 'orders'::regclass and not tgisinternal), \
        (select confrelid::regclass from pg_constraint where conname = 'orders_customer_fkey' and convalidated), \
        (select count(*) from totals), (select prrelid::regclass from pg_publication_rel))";
    assert_eq!(ground.sql(around), "t {clerk} heard customers 50 orders");
    // As CSV, and nothing else, on standard output.
    let csv = say(&["--csv", "-", "--where", "id = 7", "--yes"]).ends_with_code(0);
    assert_eq!(csv.out, "id,customer,number,total,twice,note\n7,8,7,2.33,4.66,xxxxxxx\n");
    nothing_is_left(&ground);
    ground.say(&["restore", "--table", "totals", "--job", "dump", "--csv", "-", "--yes"]).ends_with_code(1).says("is a view in the dump");
    // What makes no sense.
    for (words, said) in [
        (&["--where", "1=1); drop table x; --"][..], "`--where`: it closes a `(` that it has not opened"),
        (&["--target", "/x"], "cannot be used with '--target"),
        (&["--to-lsn", "0/1"], "a dump has no position in the log"),
        (&["--no-snapshot"], "`--no-snapshot` means nothing with `--table`"),
    ] {
        let refused = say(&[words, &["--yes"]].concat());
        assert!(refused.err.contains(said), "{}", refused.err);
    }
    ground.say(&["restore", "--table", "Orders"]).ends_with_code(64).says("needs quoting");
    ground.say(&["restore", "--table", "x; drop table y", "--job", "dump"]).ends_with_code(64);
}

/// Wherever it is killed, the table is as it was, and the next run removes what is left.
#[test]
fn killed_while_it_works() {
    let ground = Ground::new(Version::V15, "");
    ground.sql(SHOP);
    ground.dump();
    ground.sql("update orders set total = 0");
    let before = ground.sql(&rows("orders"));
    let tables = ground.file("state/policies/try/tables");
    let words = ["restore", "--table", "public.orders", "--job", "dump", "--replace", "--yes", "--lock-timeout", "1m"];
    let mut other = crate::logical::rig::connect(&ground.rig.cluster, "shop");
    other.run("set application_name = 'other'").expect("a name");
    for at in ["pg_restore", "lock", "keys"] {
        let lock = match at {
            "lock" => "begin; update orders set total = 1 where id = 1",
            "keys" => "begin; lock table customers in access exclusive mode",
            _ => "begin",
        };
        other.run(lock).expect("a lock");
        let mut child =
            ground.command(&words).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().expect("seawall");
        let deadline = Instant::now() + Duration::from_secs(60);
        let waits = "select exists (select from pg_locks where not granted and locktype = 'relation')";
        while Instant::now() < deadline
            && !(if at == "pg_restore" { !servers_below(&tables).is_empty() } else { ground.rig.cluster.sql(waits) == "t" })
        {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(Instant::now() < deadline, "{at}");
        // The program itself, and not what has started it as another account.
        let own = fs::read_dir("/proc").expect("processes").flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let own = own.filter(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            line.starts_with(env!("CARGO_BIN_EXE_seawall")) && line.contains(&*ground.file("policy.yaml").to_string_lossy())
        });
        for pid in own.filter_map(Pid::from_raw) {
            kill_process(pid, Signal::KILL).expect("it runs");
        }
        let status = child.wait().expect("it ended");
        // What has started it as another account says so in a number.
        assert!(status.signal() == Some(9) || status.code() == Some(128 + 9), "{at}: {status}");
        other.run("rollback").expect("an end");
        ground.rig.cluster.wait_until(
            "not exists (select from pg_stat_activity where application_name = 'seawall' and pid <> pg_backend_pid() and datname = 'shop')",
        );
        assert_eq!(ground.sql(&rows("orders")), before, "{at}");
        assert_eq!(ground.sql("select count(*) from pg_namespace where nspname ~ 'replaced'"), "0");
    }
    ground.say(&words).ends_with_code(0).says("1000 changed");
    nothing_is_left(&ground);
}

/// The rows come from one database, and go where the connection says.
#[test]
fn into_the_database_that_is_named() {
    let ground = Ground::new(Version::V15, "");
    ground.sql("create table t (id int primary key, n int); insert into t select k, 0 from generate_series(1, 10) k");
    ground.dump();
    ground.sql("update t set n = 1");
    ground.rig.cluster.wait_until("not exists (select from pg_stat_activity where datname = 'shop')");
    ground.rig.cluster.sql("create database rescue template shop");
    let connection = ground.rig.cluster.conninfo().replace("dbname=postgres", "dbname=rescue");
    let table = ["restore", "--table", "public.t", "--job", "dump", "--yes"];
    let say = |more: &[&str]| ground.say(&table.iter().chain(more).copied().collect::<Vec<_>>());
    let sum = "select sum(n) from t";
    say(&["--replace", "--connection", &connection]).ends_with_code(0).says("the table itself in `rescue` on ");
    assert_eq!((crate::logical::rig::sql_in(&ground.rig.cluster, "rescue", sum), ground.sql(sum)), ("0".into(), "10".into()));
    // The policy's own programs run around a change, and around nothing else.
    let ran = |hooks: &str| {
        let path = ground.file("policy.yaml");
        let policy = fs::read_to_string(&path).expect("the policy");
        let without = policy.split("hooks: {").next().unwrap_or_default();
        let hook = |name: &str| format!("{name}: {{ run: [sh, -c, '{hooks} >> {}'] }}", ground.file("hooks").display());
        fs::write(&path, format!("{without}hooks: {{ {}, {} }}\n", hook("before_restore"), hook("after_restore"))).expect("the policy");
    };
    ground.sql("update t set n = 1");
    ran("exit 3; echo");
    say(&["--replace"]).ends_with_code(1).says("the hook `hooks.before_restore` failed (exit status 3)");
    assert_eq!(ground.sql(sum), "10");
    ran("echo $SEAWALL_HOOK $SEAWALL_DATABASE $SEAWALL_TABLES");
    say(&["--replace", "--plan"]).ends_with_code(0).says("`hooks.before_restore` runs before anything is changed");
    say(&["--into-schema", "aside"]).ends_with_code(0);
    assert!(!ground.file("hooks").exists());
    say(&["--merge"]).ends_with_code(0).says("10 changed");
    say(&["--merge"]).ends_with_code(0).says("Nothing to bring back");
    let both = "before_restore shop \"public\".\"t\"\nafter_restore shop \"public\".\"t\"\n";
    assert_eq!(fs::read_to_string(ground.file("hooks")).expect("they ran"), both);
    ground.sql("update t set n = 1");
    // What a condition is known to be before anything is fetched, and what it costs.
    let all = "all of the table is fetched for it; only rows that fit are brought back";
    let plan = |more: &[&str]| say(&[more, &["--plan", "--where", "id < 4"]].concat()).ends_with_code(0).says(all);
    let shown = plan(&["--merge"]);
    for words in [
        "where id < 4",
        "`shop` on ",
        "understands it; the private server reads it once more",
        "the difference is shown, before any row is merged",
    ] {
        assert!(shown.out.contains(words), "not `{words}`: {}", shown.out);
    }
    assert!(shown.out.contains("Difference of") && shown.out.contains("~ 3 rows are not the same"), "{}", shown.out);
    for way in [&["--into-schema", "aside2"][..], &["--csv", "-"]] {
        let shown = plan(way);
        let said = format!("{}{}", shown.out, shown.err);
        assert!(said.contains("what it names is looked for by the private server") && !said.contains("understands it"), "{said}");
    }
    // Wrong ones are, before anything runs.
    let wrong = say(&["--merge", "--plan", "--where", "idd < 4"]).ends_with_code(1).says("column \"idd\" does not exist");
    assert!(!wrong.out.contains("Bring back"), "{}", wrong.out);
    say(&["--replace", "--plan", "--where", "true); drop table t; --"]).ends_with_code(64).says("closes a `(` that it has not opened");
    // What somebody asks for may name people: it is not kept for ever.
    let said = say(&["--replace", "--where", "id < 4 and 'Jane Roe' <> ''"]).ends_with_code(0).says("times and days in it are those of ");
    assert!(said.out.contains("those that fit now and are not in the backup at all GO"), "{}", said.out);
    assert_eq!(ground.sql(sum), "7");
    let audit = ground.say(&["audit", "show", "--format", "json"]).ends_with_code(0);
    assert!(audit.out.contains("restore.table.replace") && !audit.out.contains("Jane"), "{}", audit.out);
}

#[test]
fn out_of_a_physical_backup_at_a_moment() {
    let rig = Rig::start(Version::V15, Options::default());
    rig.cluster.sql(SHOP);
    rig.cluster.sql("create unlogged table fleeting as select 1 as one");
    rig.backup();
    rig.cluster.sql("update orders set note = 'after the backup' where id = 5");
    let (then, moment) =
        (rig.cluster.sql(&rows("orders")), rig.cluster.sql("select pg_sleep(0.1), clock_timestamp()").trim_start_matches('|').to_owned());
    rig.cluster.sql("select pg_sleep(0.1); delete from lines where orders in (select id from orders where customer = 8); delete from orders where customer = 8; update orders set total = 0 where id < 100");
    rig.archive();
    let table = ["restore", "--table", "public.orders", "--to", &moment];
    let say = |more: &[&str]| {
        let said = rig.seawall(&table.iter().chain(more).copied().collect::<Vec<_>>());
        assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
        said
    };
    let shown = say(&["--merge", "--where", "customer in (6, 8)", "--yes", "--no-snapshot"]);
    for words in [
        "physical backup",
        "that a full restore reads",
        "NOTHING of the rows",
        "+ 20 rows are in the backup",
        "20 added, 2 changed, 0 removed",
    ] {
        assert!(shown.out.contains(words), "not `{words}`: {}", shown.out);
    }
    let said = say(&["--replace", "--yes"]);
    assert!(said.out.contains("0 added, 97 changed, 0 removed") || said.out.contains("0 added, 95 changed, 0 removed"), "{}", said.out);
    assert_eq!(rig.cluster.sql(&rows("orders")), then);
    let refused = rig.seawall(&["restore", "--table", "public.fleeting", "--to", &moment, "--replace", "--yes"]);
    assert_eq!(refused.code, 1, "{}", refused.out);
    assert!(refused.err.contains("`public.fleeting` is unlogged: this backup has none of its rows"), "{}", refused.err);
    assert!(refused.out.contains("Of the state that was brought back"), "{}", refused.out);
    assert_eq!(rig.cluster.sql("select count(*) from fleeting"), "1");
    say(&["--into-schema", "aside", "--as", "of then", "--yes"]);
    assert_eq!(rig.cluster.sql(&rows("aside.\"of then\"")), then);
    assert_eq!(rig.cluster.sql("select count(*) from pg_indexes where schemaname = 'aside'"), "2");
    assert_eq!(copies(&rig.path("state/policies/shop/tables")), Vec::<std::path::PathBuf>::new());
}
