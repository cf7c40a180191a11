//! Runbooks: they read as they did, every command in them is one, and nobody's words act.

use std::io::Write;
use std::process::{Command, Stdio};

use clap::Parser;
use seawall::cli::Arguments;

use super::super::cli::{Room, golden_at, in_repository};
use super::POLICIES;

const NOW: &str = "2026-11-21T12:00:00Z";

/// The runbook of a policy of the repository, with its inventory where there is one.
fn runbook(policy: &str, format: &str) -> String {
    let file = format!("policies/{policy}.yaml");
    let inventory = format!("tests/inventories/{policy}.json");
    let mut words = vec!["emit", "runbook", &file, "--at", NOW, "--format", format];
    if std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(&inventory).exists() {
        words.extend(["--inventory", &inventory]);
    }
    let run = in_repository(&words);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{policy}");
    assert_eq!(run.stdout, in_repository(&words).stdout, "{policy} twice");
    run.stdout
}

/// Without what every edit of a policy's comments changes.
fn steady(text: &str) -> String {
    let line = |line: &str| match line.split_once("sha256:") {
        Some((before, _)) => format!("{before}DIGEST\n"),
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[test]
fn runbooks_read_as_they_did() {
    for (policy, _) in POLICIES {
        golden_at(&format!("tests/emit/{policy}/runbook.md"), &steady(&runbook(policy, "markdown")));
    }
    golden_at("tests/emit/quickstart/runbook.html", &steady(&runbook("quickstart", "html")));
}

/// What stands outside of listings, and what inside.
fn listings(markdown: &str) -> (String, String) {
    let (mut outside, mut inside) = (String::new(), String::new());
    let mut fence: Option<usize> = None;
    for line in markdown.lines().map(str::trim_start) {
        let ticks = line.len() - line.trim_start_matches('`').len();
        match fence {
            None if ticks >= 3 => fence = Some(ticks),
            None => outside.push_str(&format!("{line}\n")),
            Some(length) if ticks >= length => fence = None,
            Some(_) => inside.push_str(&format!("{line}\n")),
        }
    }
    assert_eq!(fence, None, "a listing has no end");
    (outside, inside)
}

/// What a shell makes of every listing: the words of each command. Nothing is run: the shell may start nothing.
fn commands(markdown: &str) -> Vec<Vec<String>> {
    let mut script = "command_not_found_handle() { printf '%s\\0' \"$@\"; printf '\\1'; }\n\
         read() { return 1; }\n\
         for name in aws az gcloud kill mv pg_dump pg_restore psql rm seawall; do\n\
         eval \"$name() { printf '%s\\\\0' $name \\\"\\$@\\\"; printf '\\\\1'; }\"; done\nset -r\n"
        .to_owned();
    // Programs of a policy's hooks have a path, and a shell that is restricted refuses those.
    script.push_str(&listings(markdown).1);
    let mut shell = Command::new("/bin/bash")
        .args(["--noprofile", "--norc", "-s"])
        .env("PATH", "/nonexistent")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell");
    shell.stdin.take().expect("a pipe").write_all(script.as_bytes()).expect("written");
    let output = shell.wait_with_output().expect("it ends");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    said.split('\u{1}')
        .map(|command| command.split_terminator('\0').map(str::to_owned).collect::<Vec<_>>())
        .filter(|words| !words.is_empty())
        .collect()
}

/// The program's own parser takes every command of Seawall in it.
fn parse_all(what: &str, markdown: &str) -> Vec<Vec<String>> {
    let all = commands(markdown);
    for words in all.iter().filter(|words| words[0] == "seawall") {
        if let Err(error) = Arguments::try_parse_from(words) {
            panic!("{what}: {words:?}: {error}");
        }
    }
    assert_eq!(
        all.iter().filter(|words| words[0] == "seawall").count(),
        markdown.lines().filter(|line| line.trim_start().starts_with("seawall ")).count()
    );
    all
}

#[test]
fn every_command_is_one_that_the_program_takes() {
    for (policy, _) in POLICIES {
        let all = parse_all(policy, &runbook(policy, "markdown"));
        let has = |word: &str| all.iter().any(|words| words[0] == "seawall" && words.get(1).is_some_and(|second| second == word));
        assert!(has("status") && has("list"), "{policy}: {all:?}");
    }
    let all = parse_all("pricing-agent", &runbook("pricing-agent", "markdown"));
    let chosen = ["--backup", "20261121T020000Z-7f3c"];
    assert!(all.iter().any(|words| words[1] == "restore" && words.windows(2).any(|pair| pair == chosen)), "{all:?}");
    assert!(all.iter().any(|words| words[1] == "release"), "{all:?}");
}

/// A moment that nobody has filled in leads nowhere.
#[test]
fn the_moment_must_be_filled_in() {
    let room = Room::new().with("shop.yaml", super::super::cli::sound("shop"));
    let run = room.run(&["restore", "--to", "YYYY-MM-DD HH:MM:SS+00", "--target", "new", "--policy", "shop.yaml", "--state", "state"]);
    assert_ne!(run.code, Some(0));
    assert!(run.stderr.contains("YYYY-MM-DD"), "{run:?}");
}

#[test]
fn nobodys_words_act() {
    const NASTY: &str = "<script>alert(1)</script> `x` ``` $(touch /tmp/x) 'y' | [z](http://e)";
    let policy = super::super::cli::sound("shop")
        .replace("databases: [app]", "databases: [\"a b'\\\"$(x)<script>\"]")
        .replace("version: 1\n", &format!("version: 1\ndescription: {:?}\nowner: {NASTY:?}\n", NASTY))
        .replace("check: row-counts", "sql: \"select '<script>' || $$x$$ from \\\"a'b\\\"\", at_least: 1")
        .replace("rto: 4h,", &format!("rto: 4h, scenarios: {{ one: {{ recover: table, description: {NASTY:?}, notes: {NASTY:?} }}, all: {{ recover: database }} }},"))
        + &format!("contacts: {{ dba: {{ name: {NASTY:?}, phone: {NASTY:?} }} }}\nescalation: [{{ contact: dba }}]\nhooks: {{ before_restore: {{ run: [stop-it, {NASTY:?}] }} }}\n");
    let room = Room::new().with("shop.yaml", policy);
    let run = |format: &str| {
        let run =
            room.run(&["emit", "runbook", "shop.yaml", "--at", NOW, "--format", format, "--policy-there", "/etc/it's $(x)/<script>.yaml"]);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
        run.stdout
    };
    let html = run("html");
    assert!(!html.contains("<script") && !html.contains("href") && !html.contains("src="), "{html}");
    let markdown = run("markdown");
    let outside: String = listings(&markdown).0.split('`').step_by(2).collect();
    assert!(!outside.contains("<script") && !outside.contains(" [z]"), "{outside}");
    let all = parse_all("shop", &markdown);
    let policies = all.iter().filter(|words| words[0] == "seawall").map(|words| words.last().expect("words").as_str());
    assert!(policies.clone().count() > 8 && policies.clone().all(|last| last == "/etc/it's $(x)/<script>.yaml"), "{all:?}");
    let database = r#"port=5433 dbname='a b\'"$(x)<script>'"#;
    assert!(all.iter().any(|words| words[0] == "psql" && words.iter().any(|word| word == database)), "{all:?}");
    assert!(
        all.iter().any(|words| words[0] == "psql" && words.iter().any(|word| word == "select '<script>' || $$x$$ from \"a'b\"")),
        "{all:?}"
    );
}

/// What is loaded into a database of its own never gets into the damaged one, however the policy reaches that.
#[test]
fn what_is_rescued_is_loaded_beside_the_damaged_database() {
    for (connection, into) in [
        ("service=db1 dbname=app", "service=db1 dbname=app dbname=app_rescued"),
        ("postgresql://me@db1/app?sslmode=require", "postgresql://me@db1/app_rescued?sslmode=require"),
        ("postgresql://db1?dbname=app", "postgresql://db1/app_rescued"),
    ] {
        let policy = super::super::cli::sound("shop")
            .replace("connection: service=shop", &format!("connection: \"{connection}\""))
            .replace("rto: 4h,", "rto: 4h, scenarios: { dropped: { recover: database } },");
        let room = Room::new().with("shop.yaml", policy);
        let run = room.run(&["emit", "runbook", "shop.yaml", "--at", NOW]);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
        let all = parse_all("shop", &run.stdout);
        let load = all.iter().find(|words| words[0] == "pg_restore").expect("it is loaded");
        assert_eq!(load[1..3], ["--dbname", into], "{load:?}");
    }
}

/// Where only the primary is lost nobody restores for hours; a policy whose own scenario promotes has said when.
#[test]
fn a_standby_is_thought_of_before_a_restore() {
    let with_standby = |rest: &str| {
        let policy = super::super::cli::sound("shop")
            .replace("databases: [app]", "databases: [app], hosts: { db-1: { role: primary }, db-2: { role: standby } }")
            .replace("rto: 4h,", &format!("rto: 4h, {rest}"));
        let room = Room::new().with("shop.yaml", policy);
        let run = room.run(&["emit", "runbook", "shop.yaml", "--at", NOW]);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
        parse_all("shop", &run.stdout);
        run.stdout
    };
    let text = with_standby("");
    let at = |words: &str| text.find(words).unwrap_or_else(|| panic!("{words}: {text}"));
    assert!(
        at("If only the primary is lost") < at("(db-2)")
            && at("seawall promote") < at("Otherwise, or where the standby has the damage too")
    );
    assert!(at("Otherwise, or where the standby") < at("seawall restore"));
    let text =
        with_standby("scenarios: { lost: { recover: cluster, by: promote-standby }, damaged: { recover: cluster, by: point-in-time } },");
    assert!(!text.contains("If only the primary is lost") && text.matches("seawall promote").count() == 1, "{text}");
}

/// What brings files and chosen tables back is what this version has for it; a damaged table never takes the whole database back.
#[test]
fn each_kind_of_backup_has_its_own_way_back() {
    let jobs = "backups:\n\
        \x20 etc: { files: { paths: [/etc/postgresql] }, schedule: { at: \"01:00\" }, store: main, keep: { daily: 30 }, takes: 1m, size: 1MB }\n\
        \x20 dump: { logical: {}, schedule: { at: \"03:00\" }, store: main, keep: { daily: 30 }, takes: 5m, size: 1GB }\n\
        \x20 some: { tables: { tables: [orders] }, schedule: { at: \"04:00\" }, store: main, keep: { daily: 30 }, takes: 1m, size: 1MB }\n\
        \x20 csv: { tables: { tables: [orders], format: csv }, schedule: { at: \"04:30\" }, store: main, keep: { daily: 30 }, takes: 1m, size: 1MB }\n";
    let scenarios = "rto: 4h, scenarios: { host-lost: { recover: files }, deleted: { recover: rows, by: newest-backup, using: [dump] }, \
        chosen: { recover: table, by: newest-backup, using: [some] }, listed: { recover: table, by: newest-backup, using: [csv] }, \
        gone: { recover: database, by: newest-backup, using: [dump] } },";
    let mut policy = super::super::cli::sound("shop");
    assert!(policy.contains("rto: 4h,") && policy.contains("backups:\n"), "{policy}");
    policy = policy.replacen("rto: 4h,", scenarios, 1).replacen("backups:\n", jobs, 1);
    let room = Room::new().with("shop.yaml", policy);
    let run = room.run(&["emit", "runbook", "shop.yaml", "--at", NOW, "--format", "markdown"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    parse_all("shop", &run.stdout);
    let part = |name: &str| {
        let from = run.stdout.find(&format!("\n## {name}")).unwrap_or_else(|| panic!("{name}: {}", run.stdout));
        run.stdout[from + 1..].split("\n## ").next().expect("a part").to_owned()
    };
    golden_at("tests/emit/ways/files.md", &part("host-lost"));
    golden_at("tests/emit/ways/rows.md", &part("deleted"));
    golden_at("tests/emit/ways/tables.md", &part("chosen"));
    golden_at("tests/emit/ways/csv.md", &part("listed"));
    assert!(!part("deleted").contains("--into-database"));
    assert!(part("gone").contains("--into-database"));
}

/// Where nothing is archived there are ends of backups, and no moments.
#[test]
fn without_an_archive_backups_are_named_and_no_moments() {
    let policy = super::super::cli::sound("shop")
        .replace("wal: { store: main, timeout: 60s, keep: 30d }\n", "")
        .replace("rpo: 24h, rto: 4h,", "rpo: 30h, rto: 4h, scenarios: { dropped: { recover: database, by: newest-backup }, deleted: { recover: rows, by: newest-backup } },");
    let room = Room::new().with("shop.yaml", policy);
    let run = room.run(&["emit", "runbook", "shop.yaml", "--at", NOW, "--format", "markdown"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    let all = parse_all("shop", &run.stdout);
    let restores: Vec<_> = all.iter().filter(|words| words[..2] == ["seawall", "restore"]).collect();
    let named = |words: &&&Vec<String>| words.windows(3).any(|three| three == ["--immediate", "--backup", "ID"]);
    assert!(restores.iter().filter(named).count() >= 3, "{restores:?}");
    assert!(restores.iter().any(|words| words.contains(&"--latest".to_owned())), "{restores:?}");
    for not in ["--to", "$moment", "wal status", "archiving begins", "last archived log", "its log is archived"] {
        assert!(!run.stdout.contains(not), "{not}: {}", run.stdout);
    }
}

/// Together they are the cluster, and each comes out of its own.
#[test]
fn databases_of_several_dumps_come_back_each_from_its_own() {
    let job = |database: &str, at: &str| {
        format!(
            "  {database}: {{ logical: {{ databases: [{database}] }}, store: main, schedule: {{ at: \"{at}\" }}, keep: {{ daily: 30 }}, takes: 5m, size: 1GB }}\n"
        )
    };
    let policy = format!(
        "version: 1\npolicy: shop\nowner: dba@example.com\nreview_by: 2099-06-30\ntimezone: UTC\n\
         cluster: {{ connection: service=shop, databases: [shop, crm] }}\n\
         objectives: {{ rpo: 25h, rto: 8h, assume: {{ load: 20MB/s }} }}\n\
         stores: {{ main: {{ s3: {{ bucket: backups, region: eu-central-1 }} }} }}\nencryption: {{ none: {{ because: a test }} }}\nbackups:\n{}{}",
        job("shop", "02:00"),
        job("crm", "03:00")
    );
    let room = Room::new().with("shop.yaml", policy);
    let run = room.run(&["emit", "runbook", "shop.yaml", "--at", NOW, "--format", "markdown"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    parse_all("shop", &run.stdout);
    for way in ["--create --globals", "--replace --end-connections --globals"] {
        let of_the_job = |name: &str| run.stdout.contains(&format!("--into-database {name} --job {name} {way}"));
        let of_any = |name: &str| run.stdout.contains(&format!("--into-database {name} --from-database {name} {way}"));
        assert!((of_the_job("shop") && of_any("crm")) || (of_the_job("crm") && of_any("shop")), "{way}: {}", run.stdout);
    }
}
