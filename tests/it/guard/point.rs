//! A restore point is enough: no backup is taken, and the line leads back to the moment.

use super::rig::{audited, bring_back, follow, guard, holds, psql, undo};
use crate::clusters::{Options, Version};
use crate::restore::rig::Rig;

const SECRET: &str = "geheim-4711";

fn a_migration_that_goes_wrong(version: Version) {
    let rig = Rig::start(version, Options::default());
    rig.series();
    let base = rig.backup();
    rig.load(40);
    let before = rig.hash(i64::MAX);
    let conninfo = rig.cluster.conninfo();
    let report = rig.path("report.json");
    let words = ["--report", report.to_str().expect("text"), "--label", "release 42"];
    let sql = format!("select 'seen'; drop table series; select '{SECRET}' || 1/0");
    let said = guard(&rig, &words, &psql(&conninfo, &format!("begin; {sql}")));
    // psql ends with 1 when a statement fails, and all of it was one transaction: the table is there.
    assert_eq!((said.code, rig.hash(i64::MAX)), (1, before.clone()), "{}{}", said.out, said.err);
    assert!(said.err.contains("`psql` FAILED with exit status 1") && said.err.contains("WHAT IT DID UNTIL THEN STANDS"), "{}", said.err);

    let said = guard(&rig, &words, &psql(&conninfo, "select 'seen'; drop table series"));
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(said.out.contains("seen") && !said.out.contains("guard"), "its output is its own: {}", said.out);
    assert!(
        said.err.contains("a restore point is enough") && said.err.contains(&base) && said.err.contains("`psql` succeeded"),
        "{}",
        said.err
    );
    assert_eq!(rig.cluster.sql("select to_regclass('series') is null"), "t");
    let listed = rig.seawall(&["list", "--format", "json"]).json()["stores"].to_string();
    assert_eq!(listed.matches("\"label\"").count(), listed.matches("\"label\":null").count(), "no backup was taken: {listed}");

    let report = crate::cli::follows("guard-report", &std::fs::read_to_string(report).expect("a report"));
    assert_eq!(report["protection"]["kind"], "restore-point");
    assert_eq!((&report["command"]["exit_code"], &report["program"]), (&0.into(), &"psql".into()));
    assert_eq!(report["undo"][0], undo(&said));
    let held = holds(&rig);
    assert!(
        held.len() == 2 && held.iter().all(|hold| hold["selects"]["backups"][0] == base.as_str() && hold["until"].is_string()),
        "{held:?}"
    );

    // What came after is not in it, though it is archived.
    rig.cluster.sql("create table afterwards (n int)");
    rig.backup();
    rig.archive();
    let back = bring_back(&rig, &said, "undone");
    assert_eq!(back.hash(), before);
    assert_eq!(back.sql("select to_regclass('afterwards') is null"), "t");
    back.remove();

    let kinds: Vec<String> = audited(&rig).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "guard.begun").count(), 2, "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| *kind == "guard.ended").count(), 2, "{kinds:?}");
    assert!(audited(&rig).iter().all(|(_, entry)| !entry.contains(SECRET) && !entry.contains("drop table")));
    let history = rig.seawall(&["history", "guard", "--format", "json"]);
    assert!(history.out.contains("\"guard\"") && !history.out.contains("drop table"), "{}{}", history.out, history.err);
}

#[test]
fn a_migration_that_goes_wrong_on_13() {
    a_migration_that_goes_wrong(Version::V13);
}

#[test]
fn a_migration_that_goes_wrong_on_15() {
    a_migration_that_goes_wrong(Version::V15);
}

#[test]
fn a_migration_that_goes_wrong_on_18() {
    a_migration_that_goes_wrong(Version::V18);
}

/// Only the recovery identity opens the log, and it is elsewhere.
#[test]
fn where_the_log_cannot_be_opened_that_is_said() {
    let rig = Rig::start(Version::V15, Options::default());
    rig.change_policy(&format!(", identity: {{ file: {}/identity.txt }}", rig.cluster.folder().display()), "");
    rig.series();
    rig.backup();
    let said = guard(&rig, &[], &["true"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("note: this host cannot open segment ") && undo(&said).ends_with(" --identity FILE"), "{}", said.err);
}

#[test]
fn one_table_comes_back_in_its_place() {
    let rig = Rig::start(Version::V15, Options::default());
    rig.series();
    rig.cluster.sql("create table \"Other\" (n int); insert into \"Other\" select generate_series(1, 50)");
    rig.backup();
    // Made since, and called almost like one that the backup has.
    rig.cluster.sql("create table serie (n int); insert into serie values (7)");
    rig.load(20);
    let before = rig.hash(i64::MAX);
    let conninfo = rig.cluster.conninfo();
    let words = ["--table", "public.series", "--table", "\"Other\"", "--table", "public.serie"];
    let said = guard(&rig, &words, &psql(&conninfo, "delete from series where id > 3; update \"Other\" set n = 0; delete from serie"));
    assert_eq!(said.code, 0, "{}", said.err);
    for (table, says) in [("public.serious", "there is no public.serious"), ("pg_stats", "is no table"), ("fast", "is unlogged")] {
        rig.cluster.sql("create unlogged table if not exists fast (n int)");
        let refused = guard(&rig, &["--table", table], &["true"]);
        assert!(refused.code == 125 && refused.err.contains(says), "{}", refused.err);
    }
    rig.cluster.sql("create table untouched (n int)");
    let followed = follow(&rig, &undo(&said), "");
    assert_eq!(followed.code, 0, "{}{}", followed.out, followed.err);
    assert_eq!(rig.hash(i64::MAX), before);
    assert_eq!(rig.cluster.sql("select sum(n) from \"Other\""), "1275");
    assert_eq!(rig.cluster.sql("select sum(n) from serie"), "7");
    assert_eq!(rig.cluster.sql("select to_regclass('untouched') is not null"), "t");
    // Where a name leads is the role's own affair, and the restore does not know it.
    rig.cluster.sql("create schema own; create table own.\"Other\" (n int); alter database postgres set search_path = own, public");
    let said = guard(&rig, &["--plan", "--table", "\"Other\""], &["true"]);
    assert!(said.code == 0 && said.out.contains("--table 'own.\"Other\"' "), "{}{}", said.out, said.err);
    // What the restore would refuse is refused while there is time.
    rig.cluster.sql("create table own.heir () inherits (own.\"Other\")");
    let refused = guard(&rig, &["--table", "\"Other\""], &["true"]);
    let why = "what undoes it would be refused: 1 table (own.heir) has inherited from \"own\".\"Other\"";
    assert!(refused.code == 125 && refused.err.contains(why) && refused.err.contains("was NOT run"), "{}", refused.err);
}

#[test]
fn what_it_needs_is_kept_although_no_rule_wants_it() {
    let rig = Rig::start(Version::V15, Options::default());
    rig.change_policy("keep: { daily: 7 }", "keep: { last: 1 }");
    rig.change_policy("backups:", "expire: { grace: 1m }\nbackups:");
    rig.series();
    // The oldest of the window stays by itself, so it is not the one in question.
    rig.backup();
    let base = rig.backup();
    let said = guard(&rig, &[], &["true"]);
    assert_eq!(said.code, 0, "{}", said.err);
    rig.backup();
    let plan = rig.seawall(&["expire", "--plan", "--format", "json"]).json().to_string();
    assert!(!plan.contains(&format!("\"{base}\"")), "it is held: {plan}");
    // Without the hold it would go.
    rig.shell("rm store/*/holds/*.json");
    let plan = rig.seawall(&["expire", "--plan", "--format", "json"]).json().to_string();
    assert!(plan.contains(&format!("\"{base}\"")), "{plan}");
}

#[test]
fn a_plan_touches_nothing() {
    let rig = Rig::start(Version::V15, Options::default());
    rig.series();
    rig.backup();
    let mark = rig.path("mark");
    let said = guard(&rig, &["--plan"], &["touch", mark.to_str().expect("text")]);
    assert_eq!(said.code, 0, "{}", said.err);
    for words in
        ["a restore point (`guard-touch-", "the log leads from it to now", "--to-name guard-touch-", "--timeline 1", "--target DIR"]
    {
        assert!(said.out.contains(words), "{words}: {}", said.out);
    }
    assert!(!mark.exists() && holds(&rig).is_empty() && audited(&rig).is_empty());
    let said = guard(&rig, &["--plan", "--keep", "30d"], &["true"]);
    assert!(
        said.out.contains("a backup by `backups.nightly`") && said.out.contains("`wal.keep`") && said.out.contains("--immediate"),
        "{}",
        said.out
    );
}
