//! Drills on a host that shares nothing with the protected one but the store.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use seawall::format::signature::{DRILL, SigningKey};
use seawall::inventory::DrillRecord;
use serde_json::Value;

use super::rig::Drills;
use crate::clusters::Version;
use crate::restore::rig::{Said, objects, said};
use crate::run::rig::by_clock;

const DRILLS: &str = r#"
drills:
  weekly: { restore: { latest: nightly }, schedule: { at: "00:00" }, host: staging-1 }
  wrong:
    restore: { latest: nightly }
    schedule: { at: "00:00" }
    host: staging-1
    expect: { rows: { sql: "select count(*) from series", is: 51 } }
"#;

/// The protected host, or the other one.
#[derive(Clone, Copy)]
struct Host {
    state: &'static str,
    name: &'static str,
}

const PROTECTED: Host = Host { state: "state", name: "db" };
const STAGING: Host = Host { state: "staging", name: "staging-1" };
/// One that has never run anything.
const THIRD: Host = Host { state: "third", name: "desk" };

fn on(drills: &Drills, host: Host, words: &[&str]) -> Command {
    let mut all = words.to_vec();
    all.extend(["--host", host.name]);
    drills.with_programs(drills.rig.command_on(host.state, &all))
}

fn say(drills: &Drills, host: Host, words: &[&str]) -> Said {
    said(on(drills, host, words).output().expect("it runs"))
}

/// The protected host looks, so much later.
fn watch(drills: &Drills, offset: &str) -> Said {
    let watch = on(drills, PROTECTED, &["watch"]);
    said(by_clock(drills.rig.cluster.account(), offset, &watch).output().expect("faketime"))
}

fn status(drills: &Drills) -> Value {
    let said = said(drills.rig.command_on(PROTECTED.state, &["status", "--format", "json"]).output().expect("it runs"));
    crate::cli::follows("status-output", &said.out)["policies"][0].clone()
}

fn problems(status: &Value) -> Vec<&str> {
    status["problems"].as_array().expect("problems").iter().filter_map(|problem| problem["key"].as_str()).collect()
}

fn report(drills: &Drills) -> Value {
    let said = said(drills.rig.command_on(PROTECTED.state, &["report", "--format", "json"]).output().expect("it runs"));
    crate::cli::follows("report", &said.out)["policies"][0]["drills"].clone()
}

/// What a host that has no catalog exports.
fn exported(drills: &Drills) -> (Value, String) {
    let said = say(drills, THIRD, &["inventory", "export"]);
    (said.json()["clusters"]["shop"].clone(), said.err)
}

fn known_for_long(drills: &Drills) {
    let script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1])\n\
         for job in ('drills.weekly', 'drills.wrong'):\n    \
         c.execute(\"insert into jobs (policy, job, first_seen) values ('shop', ?, 1) on conflict (policy, job) do update set first_seen = 1\", (job,))\n\
         c.commit()";
    let catalog = drills.rig.path("state/catalog.db");
    let python = drills.rig.cluster.account().command("python3").args(["-c", script]).arg(catalog).output().expect("python");
    assert!(python.status.success(), "{}", String::from_utf8_lossy(&python.stderr));
}

#[test]
fn what_another_host_has_proven_is_evidence_here() {
    let drills = Drills::new(Version::V15, "");
    let rig = &drills.rig;
    let hosts = "databases: [postgres], hosts: { db: { role: primary }, staging-1: { role: staging }, desk: { role: staging } },";
    rig.change_policy("databases: [postgres],", hosts);
    drills.drills(DRILLS);
    let staging = SigningKey::generate("staging-1").expect("a key");
    rig.write("staging/keys/signing", &staging.to_openssh().expect("text"));
    rig.cluster.account().own(&rig.path("staging"));

    // A key that nobody accepts proves nothing to others, and the drill says so.
    let record = say(&drills, STAGING, &["drill", "weekly", "--format", "json"]);
    assert_eq!(record.code, 0, "{}{}", record.out, record.err);
    assert!(record.json()["remarks"].to_string().contains("no other host believes its record"), "{}", record.out);
    watch(&drills, "+0m");
    known_for_long(&drills);
    let looked = watch(&drills, "+6m");
    assert!(!looked.err.contains("not believed"), "it was looked at before: {}", looked.err);
    let before = status(&drills);
    assert!(problems(&before).contains(&"overdue:drills.weekly"), "{:?}", problems(&before));
    // Who owes it is named, and not asked for here, where it would be refused; that he may have done it is said as well.
    let overdue = before["problems"].as_array().expect("problems").iter().find(|one| one["key"] == "overdue:drills.weekly").expect("it");
    let says = |field: &str, what: &str| assert!(overdue[field].as_str().is_some_and(|text| text.contains(what)), "{overdue:#}");
    says("text", "It runs on `staging-1`, which owes it.");
    says("text", "Records of 1 drill that began since lie in the stores and are not believed");
    says("hint", "See on `staging-1`");
    let (export, err) = exported(&drills);
    assert!(err.contains("not counted") && err.contains("does not accept"), "{err}");
    assert!(export["measured"]["known"].is_null() && export["proven"].is_null(), "{export:#}");

    rig.change_policy("writers: { ", &format!("writers: {{ staging-1: \"{}\", ", staging.public()));
    let record = say(&drills, STAGING, &["drill", "weekly", "--format", "json"]);
    assert_eq!((record.code, &record.json()["remarks"]), (0, &Value::Null), "{}{}", record.out, record.err);
    let failed = say(&drills, STAGING, &["drill", "wrong"]);
    assert_eq!(failed.code, 1, "{}{}", failed.out, failed.err);

    // By another policy what was not believed may be: both that passed are read.
    let looked = watch(&drills, "+12m");
    assert!(!looked.err.contains("not believed"), "{}", looked.err);
    let after = status(&drills);
    let found = problems(&after);
    assert!(!found.iter().any(|key| key.contains("drills.weekly")), "{found:?}");
    assert!(found.contains(&"failed:drills.wrong"), "{found:?}");
    let job = |name: &str| after["jobs"].as_array().expect("jobs").iter().find(|job| job["job"] == name).expect("a job").clone();
    assert_eq!((&job("drills.weekly")["last_outcome"], &job("drills.wrong")["last_outcome"]), (&"succeeded".into(), &"failed".into()));
    let told = report(&drills);
    assert_eq!((told["passed"].as_u64(), told["failed"].as_u64()), (Some(2), Some(1)), "{told:#}");
    assert!(told["list"]["shown"].as_array().expect("rows").iter().all(|row| row["host"] == "staging-1"), "{told:#}");
    let metrics = drills.say(&["metrics"]).out;
    assert!(metrics.contains(r#"seawall_drill_last_outcome{policy="shop",drill="weekly"} 1"#), "{metrics}");
    let mut plan = rig.cluster.account().command(env!("CARGO_BIN_EXE_seawall"));
    let plan = plan.arg("plan").arg(rig.path("policy.yaml")).arg("--state").arg(rig.path(PROTECTED.state));
    let plan = said(plan.output().expect("it runs"));
    assert!(plan.out.contains("weekly") && plan.out.contains("passed"), "{}{}", plan.out, plan.err);

    // A host without any catalog knows as much from the store.
    let (export, err) = exported(&drills);
    assert!(!err.contains("not counted"), "{err}");
    assert_eq!(export["proven"]["known"]["drills"]["weekly"]["last"]["outcome"], "passed", "{export:#}");
    assert_eq!(export["measured"]["known"]["restore"]["how"], "drill", "{export:#}");

    of_another_definition(&drills);
    planted(&drills, &staging);
    crowded_out(&drills);
    // What went with its backup is on record here all the same.
    for path in objects(&rig.path("store"), "/drills/") {
        fs::remove_file(path).expect("gone");
    }
    // A store that does not answer is asked once, and not once more for drills.
    let open = rig.path("store").metadata().expect("a store").permissions();
    fs::set_permissions(rig.path("store"), fs::Permissions::from_mode(0o000)).expect("closed");
    let looked = watch(&drills, "+4h");
    fs::set_permissions(rig.path("store"), open).expect("open");
    assert!(!looked.err.contains("drills of other hosts are not looked for"), "{}", looked.err);
    assert_eq!(status(&drills)["stores"][0]["answers"], false);
    watch(&drills, "+6h");
    let told = report(&drills);
    assert_eq!((told["passed"].as_u64(), told["failed"].as_u64()), (Some(3), Some(1)), "{told:#}");
    // Neither does one stay unheard of that ended before it had a backup.
    let early = say(&drills, STAGING, &["drill", "weekly", "--start-with", "/nowhere", "--format", "json"]);
    assert_eq!((early.code, &early.json()["restored"], &early.json()["remarks"]), (1, &Value::Null, &Value::Null), "{}", early.out);
    watch(&drills, "+8h");
    let told = report(&drills);
    assert_eq!((told["passed"].as_u64(), told["failed"].as_u64()), (Some(3), Some(2)), "{told:#}");
    assert!(problems(&status(&drills)).contains(&"failed:drills.weekly"));
    drills.nothing_is_left();
}

/// Neither the original's sockets nor its files can be seen there.
#[test]
fn a_host_without_any_way_to_the_original() {
    let drills = Drills::new(Version::V15, "");
    let rig = &drills.rig;
    let hosts = "databases: [postgres], hosts: { db: { role: primary }, staging-1: { role: staging } },";
    rig.change_policy("databases: [postgres],", hosts);
    drills.drills(DRILLS);
    let can = Command::new("unshare").args(["-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).output();
    if !can.is_ok_and(|can| can.status.success()) {
        eprintln!("no namespace can be made here");
        return;
    }
    let (data, sockets) = (rig.cluster.data(), rig.cluster.sockets());
    let drill = on(&drills, STAGING, &["drill", "weekly", "--format", "json"]);
    let script = r#"for hidden in "$1" "$2"; do mount -t tmpfs tmpfs "$hidden" && test -z "$(ls -A "$hidden")" || exit 99; done; shift 2; exec "$@""#;
    let mut hidden = Command::new("unshare");
    hidden.args(["-m", "sh", "-c", script, "sh"]).args([&data, &sockets]).arg(drill.get_program()).args(drill.get_args());
    hidden.envs(drill.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir("/");
    let ran = said(hidden.output().expect("it runs"));
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let record = crate::cli::follows("drill-output", &ran.out);
    assert_eq!((&record["outcome"], &record["host"]), (&"passed".into(), &"staging-1".into()), "{record:#}");
    assert!(rig.cluster.is_running() && data.join("PG_VERSION").exists());
    assert_eq!(rig.cluster.sql("select count(*) from series"), "50");
    drills.nothing_is_left();
}

/// What it has shown it has shown of a drill that was defined otherwise.
fn of_another_definition(drills: &Drills) {
    let weekly = || {
        let status = status(drills);
        let all = status["recovery"]["drills"].as_array().expect("drills").clone();
        all.into_iter().find(|drill| drill["drill"] == "weekly").expect("weekly")
    };
    let of_weekly = || {
        let all = report(drills)["list"]["shown"].as_array().expect("rows").clone();
        all.into_iter().filter(|row| row["drill"] == "weekly").collect::<Vec<_>>()
    };
    assert!(weekly().get("defined_otherwise").is_none() && of_weekly().iter().all(|row| row.get("defined_otherwise").is_none()));
    let (before, after) = ("weekly: { restore: { latest: nightly },", "weekly: { restore: { latest: nightly }, within: 3h,");
    drills.rig.change_policy(before, after);
    watch(drills, "+30m");
    assert_eq!(weekly()["defined_otherwise"], true);
    assert!(of_weekly().iter().all(|row| row["defined_otherwise"] == true), "{:#?}", of_weekly());
    let said = said(drills.rig.command_on(PROTECTED.state, &["status"]).output().expect("it runs"));
    assert!(said.out.contains("Drill `weekly` last passed as it was defined before"), "{}", said.out);
    drills.rig.change_policy(after, before);
    watch(drills, "+40m");
    assert!(weekly().get("defined_otherwise").is_none());
}

/// More of what is not believed than is read at once, and newer than what is: before backups go, what was proven with them is on record.
fn crowded_out(drills: &Drills) {
    let passed = say(drills, STAGING, &["drill", "weekly"]);
    assert_eq!(passed.code, 0, "{}{}", passed.out, passed.err);
    let records = objects(&drills.rig.path("store"), "/drills/").into_iter();
    let newest =
        records.filter(|path| path.extension().is_some_and(|end| end == "json")).max_by_key(|path| modified(path)).expect("a record");
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    for number in 0..250 {
        fs::write(newest.with_file_name(format!("{now}-{number:08x}.json")), "{}").expect("written");
    }
    let expired = say(drills, PROTECTED, &["run", "expire"]);
    let told = report(drills);
    assert_eq!((told["passed"].as_u64(), told["failed"].as_u64()), (Some(3), Some(1)), "{}{}: {told:#}", expired.out, expired.err);
}

fn modified(path: &std::path::Path) -> std::time::SystemTime {
    path.metadata().and_then(|about| about.modified()).expect("a time")
}

/// Records of a drill that never was.
fn planted(drills: &Drills, staging: &SigningKey) {
    let rig = &drills.rig;
    let record = objects(&rig.path("store"), "/drills/").into_iter().find(|path| path.extension().is_some_and(|end| end == "json"));
    let record = record.expect("a record");
    let text = fs::read_to_string(&record).expect("a record");
    let known: DrillRecord = serde_json::from_str(&text).expect("a record");
    let with_id = |id: &str| DrillRecord { id: id.parse().expect("an id"), ..known.clone() };
    // Of yesterday: names that are still to come are passed over.
    let day = known.started.checked_sub(jiff::SignedDuration::from_hours(24)).expect("a moment").strftime("%Y%m%dT").to_string();
    let plant = |id: &str, json: &str, key: Option<&SigningKey>| {
        let place = |end: &str| record.with_file_name(format!("{id}.json{end}"));
        fs::write(place(""), json).expect("written");
        if let Some(key) = key {
            fs::write(place(".sig"), key.sign_armored(DRILL, json.as_bytes()).expect("signed")).expect("written");
        }
    };
    let json = |record: &DrillRecord| serde_json::to_string(record).expect("JSON");
    let id = |at: &str| format!("{day}{at}Z-00000000");
    let mallory = SigningKey::generate("mallory").expect("a key");
    plant(&id("235901"), &json(&with_id(&id("235901"))), None);
    plant(&id("235902"), &json(&with_id(&id("235902"))), Some(&mallory));
    plant(&id("235903"), "{", Some(staging));
    plant(&id("235904"), &json(&known), Some(staging));
    let newer = DrillRecord { format_version: 2, ..with_id(&id("235905")) };
    plant(&id("235905"), &json(&newer), Some(staging));
    let ahead = "2100-01-01T00:00:00Z".parse().expect("a moment");
    plant(&id("235906"), &json(&DrillRecord { ended: ahead, ..with_id(&id("235906")) }), Some(staging));
    let looked = watch(drills, "+2h");
    for why in
        ["it is not signed", "does not accept", "it cannot be read", "under another name", "a newer seawall", "a clock that is ahead"]
    {
        assert!(looked.err.contains(why), "{why}: {}", looked.err);
    }
    let told = report(drills);
    assert_eq!((told["passed"].as_u64(), told["failed"].as_u64()), (Some(2), Some(1)), "{told:#}");
}
