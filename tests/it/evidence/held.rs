//! What the backups themselves bring back: of the database that would lose most, and only as long as they are there.

use std::fs;
use std::time::{Duration, Instant as Clock};

use seawall::evidence::EVERYTHING;
use seawall::units::Instant;
use serde_json::Value;

use super::log::calm_down;
use crate::run::rig::{Run, Said};

const DAY: f64 = 86_400.0;

/// The policy with other jobs, and without an archived log where `wal` is empty.
fn with_jobs(wal: &str, backups: &str) -> Run {
    let run = Run::new("", "");
    let path = run.file("policy.yaml");
    let text = fs::read_to_string(&path).expect("the policy");
    let kept = text.lines().filter(|line| !line.starts_with("wal:") && !line.starts_with("backups:")).map(|line| format!("{line}\n"));
    fs::write(&path, kept.chain([wal.to_owned(), backups.to_owned()]).collect::<String>()).expect("the policy");
    run
}

/// What would be lost by the last look, and the most of the hour; none where nobody could say.
fn lost(run: &Run) -> Option<(f64, f64)> {
    let latest = run.catalog().latest("try").expect("read");
    let seen = |name: &str| latest.iter().find(|one| one.name == name && one.subject.is_empty());
    let watched = seen("watched").expect("a look").at;
    let figure = |name: &str| seen(name).filter(|one| one.at == watched).map(|one| one.value);
    figure("recovery_point_seconds").zip(figure("recovery_point_worst_seconds"))
}

fn look(run: &Run, offset: &str) -> Option<(f64, f64)> {
    // What lies in the stores is looked at anew.
    fs::remove_file(run.file("state").join("policies/try/observed.json")).ok();
    run.say_at(offset, &["watch"]).ends_with_code(0);
    lost(run)
}

fn status(run: &Run, offset: &str) -> Value {
    let said = run.say_at(offset, &["status", "--format", "json"]);
    crate::cli::follows("status-output", &said.out)["policies"][0].clone()
}

/// What the report says of the promise: its state, and why.
fn promise(run: &Run) -> (String, String) {
    let said = run.say(&["report", "--format", "json"]);
    let report: Value = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {}{}", said.out, said.err));
    let objectives = report["policies"][0]["objectives"].as_array().expect("promises").clone();
    let rpo = objectives.iter().find(|one| one["objective"] == "objectives.rpo").expect("what may be lost");
    (rpo["state"].as_str().expect("a state").to_owned(), rpo["because"].as_str().expect("why").to_owned())
}

fn remove_backups(run: &Run, store: &str) {
    run.rig.shell_as_root(&format!("find {store} -type d -name backups -prune -exec rm -rf {{}} +"));
}

#[test]
fn a_copy_of_files_is_no_backup_of_a_database() {
    let run = with_jobs(
        "",
        "backups: { dump: { logical: {}, schedule: { at: '02:00' }, keep: { last: 3 }, takes: 1m }, \
         conf: { files: { globals: true }, schedule: { every: 1h }, keep: { last: 3 }, takes: 1m } }\n",
    );
    run.change("rpo: 5m", "rpo: 25h");
    run.say(&["run", "backups.dump"]).ends_with_code(0);
    let dumped = Clock::now();
    // The files are copied as ever, and nobody dumps any more. What would be lost is told in whole seconds.
    std::thread::sleep(Duration::from_secs(1));
    let at = Instant::now();
    std::thread::sleep(Duration::from_secs(2));
    run.say(&["run", "backups.conf"]).ends_with_code(0);
    let since = dumped.elapsed().as_secs_f64().floor();
    let (lost, worst) = look(&run, "+0").expect("it is known");
    assert!(lost >= since && lost < DAY && worst >= lost, "{lost} and {worst}, and the dump was made {since} s ago");
    let safe = || status(&run, "+0")["safe_until"].as_str().expect("a moment").parse::<Instant>().expect("a moment");
    assert!(safe() <= at, "{} {at}", safe());
    // Where nobody has looked, it is told by the same backups.
    run.sql("delete from measurements; delete from series;");
    assert!(safe() <= at, "{} {at}", safe());
}

/// A policy names another database, or wants all of one, and no backup was made since.
#[test]
fn a_database_that_is_in_no_backup_yet_is_not_protected() {
    let run = with_jobs(
        "",
        "backups: { dump: { logical: { exclude_table_data: [large] }, schedule: { at: '02:00' }, keep: { last: 3 }, takes: 1m } }\n",
    );
    run.change("rpo: 5m", "rpo: 25h");
    run.rig.cluster.sql("create table large (id int)");
    run.rig.cluster.sql("create database crm");
    run.say(&["run", "backups.dump"]).ends_with_code(0);
    // All of the database is wanted now; what is remembered of the stores for an hour is of another policy.
    run.change("logical: { exclude_table_data: [large] }", "logical: {}");
    let everything = EVERYTHING.as_secs() as f64;
    let is_lost = |databases: &str| {
        run.say(&["watch"]).ends_with_code(0);
        assert_eq!(lost(&run).map(|(now, _)| now), Some(everything));
        let (state, because) = promise(&run);
        assert!(state == "broken" && because.starts_with("everything would be lost now"), "{state}: {because}");
        run.say_at("+2m", &["watch"]).ends_with_code(0);
        let firing = status(&run, "+2m")["firing"].as_array().expect("alerts").clone();
        let alert = firing.iter().find(|alert| alert["key"] == "recovery_point").unwrap_or_else(|| panic!("{firing:?}"));
        assert!(alert["text"].as_str().is_some_and(|text| text.contains(&format!("all of {databases}."))), "{alert}");
    };
    is_lost("`postgres`");
    run.say(&["run", "backups.dump"]).ends_with_code(0);
    run.say(&["watch"]).ends_with_code(0);
    assert!(lost(&run).is_some_and(|(now, _)| now < DAY), "{:?}", lost(&run));
    run.change("databases: [postgres]", "databases: [postgres, crm]");
    is_lost("`crm`");
    run.say(&["run", "backups.dump"]).ends_with_code(0);
    run.say(&["watch"]).ends_with_code(0);
    assert!(lost(&run).is_some_and(|(now, _)| now < DAY), "{:?}", lost(&run));
    assert_eq!(promise(&run).0, "kept");
}

#[test]
fn that_nothing_would_survive_is_written_down() {
    let run = Run::new("", "");
    // Until the first one is there, nothing is missed.
    assert_eq!(look(&run, "+0"), None);
    run.say(&["run", "backups.nightly"]).ends_with_code(0);
    assert!(look(&run, "+0").is_some_and(|(lost, _)| lost < DAY));
    remove_backups(&run, "store");
    let everything = EVERYTHING.as_secs() as f64;
    assert_eq!(look(&run, "+0"), Some((everything, everything)));
    assert_eq!(status(&run, "+0")["safe_until"], Value::Null);
    let (state, because) = promise(&run);
    assert!(state == "broken" && because.starts_with("everything would be lost now"), "{state}: {because}");
    // Somebody is told, once it has lasted for a minute.
    run.say_at("+2m", &["watch"]).ends_with_code(0);
    let fires = status(&run, "+2m")["firing"].as_array().expect("alerts").iter().any(|alert| alert["key"] == "recovery_point");
    assert!(fires, "{}", status(&run, "+2m"));
    // Another backup ends it, and it stays on record that it was so.
    run.say(&["run", "backups.nightly"]).ends_with_code(0);
    assert!(look(&run, "+0").is_some_and(|(lost, _)| lost < DAY));
    let seen = run.file("seen.json").display().to_string();
    run.say(&["inventory", "export", "--out", &seen]).ends_with_code(0);
    let inventory: Value = serde_json::from_slice(&fs::read(&seen).expect("an inventory")).expect("JSON");
    let points = &inventory["clusters"]["try"]["proven"]["known"]["recovery_point"];
    assert_eq!(points["worst_seconds"].as_u64(), Some(EVERYTHING.as_secs()), "{points}");
    let mut validate = run.rig.cluster.account().command(env!("CARGO_BIN_EXE_seawall"));
    let said = validate.args(["validate", "--inventory", &seen]).arg(run.file("policy.yaml")).output().expect("seawall");
    Said::of(said).says("SW0416").says("everything, or a whole database, would have been lost");
}

#[test]
fn the_log_is_worth_nothing_apart_from_its_backup() {
    let run = with_jobs(
        "wal: { store: disk, timeout: 60s, keep: 7d }\n",
        "backups: { nightly: { physical: {}, schedule: { at: '02:00' }, keep: { daily: 7 }, takes: 1m, store: disk, copies: [far] }, \
         weekly: { physical: {}, schedule: { at: '04:00' }, keep: { daily: 7 }, takes: 1m, store: far } }\n",
    );
    let far = run.file("far").display().to_string();
    run.rig.shell("mkdir far");
    run.change("other_device: false } }", &format!("other_device: false }} }}, far: {{ local: {{ path: {far}, other_device: false }} }}"));
    run.rig.cluster.sql("alter system set autovacuum = off");
    run.rig.cluster.sql("select pg_reload_conf()");
    // Its copy follows, with the log that it needs itself.
    run.say(&["run", "backups.nightly"]).ends_with_code(0);
    let copied = Clock::now();
    // This one's log lies where none of its backups does.
    run.say(&["run", "backups.weekly"]).ends_with_code(0);
    calm_down(&run);
    remove_backups(&run, "store");
    std::thread::sleep(Duration::from_secs(2));
    let since = copied.elapsed().as_secs_f64().floor();
    let (seen, _) = look(&run, "+0").expect("it is known");
    assert!(seen >= since && seen < DAY, "{seen}, and the copy was made {since} s ago");
}
