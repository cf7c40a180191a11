//! What a report says, as data, as Markdown and as a page.

use serde_json::Value;

use super::Rig;
use super::year::{self, Fate};

pub(super) fn one(report: &Value) -> &Value {
    &report["policies"][0]
}

pub(super) fn objective<'r>(report: &'r Value, name: &str) -> &'r Value {
    let all = one(report)["objectives"].as_array().expect("a list");
    all.iter().find(|one| one["objective"] == name).unwrap_or_else(|| panic!("{name} is not in {all:?}"))
}

#[test]
fn a_good_year_is_told_with_its_evidence() {
    let rig = Rig::new("shop").lived("shop");
    let report = rig.json(&["--period", "year"]);
    let shop = one(&report);
    assert_eq!(shop["verdict"]["state"], "kept", "{:#}", shop["objectives"]);
    assert_eq!(report["state"], "kept");
    // A look of a minute ago found 42 s, and a minute has passed.
    let now = shop["loss"]["now_seconds"].as_u64().expect("seconds");
    // And however long it took to live through the year.
    let passed = u64::try_from(seawall::units::Instant::now().duration_since(rig.now).as_secs()).expect("time goes on");
    assert!((102..=103 + passed).contains(&now), "{now}, and {passed} have passed");
    assert!(shop["loss"]["worst"]["seconds"].as_f64().expect("seconds") > 2_100.0);
    let recovered = objective(&report, "objectives.rto")["found_seconds"].as_u64().expect("seconds");
    assert!((1_787..2_700).contains(&recovered), "{recovered}");
    let predicted = &objective(&report, "objectives.rto")["predicted"];
    assert_eq!(
        (&predicted["usual_seconds"], &predicted["careful_seconds"], &predicted["samples"]),
        (&2_040.into(), &2_700.into(), &48.into())
    );
    let measured = predicted["newest"].as_str().expect("a moment").get(..10).expect("a day");
    let rests_on = format!("measured 48 times, the newest on {measured}");
    let markdown = rig.report(&["--period", "year", "--format", "markdown"]).stdout;
    assert!(markdown.contains(&format!("34 min to 45 min, {rests_on}")), "{markdown}");
    assert!(rig.html(&["--period", "year"]).contains(&rests_on));
    assert_eq!(objective(&report, "objectives.reach_back.any_moment")["state"], "kept");
    assert_eq!(objective(&report, "objectives.scenarios.corruption.rto")["state"], "kept");
    let nightly = shop["jobs"].as_array().expect("a list").iter().find(|job| job["job"] == "backups.nightly").expect("nightly");
    // Every 61st day, the 17th first, of a year.
    assert_eq!((nightly["failed"].as_u64(), nightly["succeeded"].as_u64()), (Some(6), Some(359)), "{nightly}");
    assert!(nightly["growth"].as_f64().expect("a share") > 0.1);
    assert_eq!(shop["failures"]["count"], 6 + 4, "four drills failed as well");
    assert_eq!(shop["drills"]["failed"], 4);
    // A failover that was interrupted and gone on with was one; every drill rehearsed another.
    let promotions = shop["promotions"]["shown"].as_array().expect("a list");
    assert_eq!(shop["promotions"]["count"], 1 + 52);
    let failover = promotions.iter().find(|one| one["kind"] == "failover").expect("the failover");
    assert_eq!(
        (&failover["outcome"], &failover["seconds"], &failover["lost_seconds"], &failover["fenced"], &failover["why"]),
        (&"succeeded".into(), &95.0.into(), &3.5.into(), &"anna, power off".into(), &Value::Null)
    );
    assert_eq!(
        (&promotions[0]["kind"], &promotions[0]["drill"], &promotions[0]["seconds"]),
        (&"rehearsal".into(), &"weekly".into(), &14.3.into())
    );
    let failed = promotions.iter().filter(|one| one["outcome"] == "failed").count();
    assert_eq!(failed, 4, "those of the drills that failed");
    assert_eq!(shop["alerts"]["critical"], 1);
    assert_eq!(shop["alerts"]["median_seconds_to_acknowledge"], 660.0);
    assert_eq!(shop["alerts"]["list"]["shown"][0]["by"], "anna");
    assert_eq!(shop["changes"]["count"], 3);
    assert_eq!(shop["changes"]["shown"][0]["commit"], "3c4d5e6f7081");
    // No run was before the year; the month began under a policy that was there.
    assert_eq!(shop["changes"]["shown"][2]["in_force_before"], false);
    let month = rig.json(&[]);
    let oldest = one(&month)["changes"]["shown"].as_array().and_then(|all| all.last()).expect("a change");
    assert_eq!((&oldest["in_force_before"], &oldest["commit"]), (&true.into(), &"2b3c4d5e6f70".into()), "{oldest}");
    assert_eq!(report["audit"][0]["whole"], true);
    let held = shop["holds"].as_array().expect("a list").iter().find(|hold| hold["hold"] == "audit-2026").expect("the hold");
    assert_eq!(held["backups"], 56, "28 in each of two stores");
    assert_eq!(shop["copies"][0]["state"], "kept", "{}", shop["copies"]);
    assert_eq!(shop["delegated"][0]["to"], "Patroni");
    assert!(shop["checklist"].as_array().expect("a list").len() >= 10);
    let tiers = shop["stores"][0]["tiers"].as_array().expect("a list");
    let daily = tiers.iter().find(|tier| tier["tier"] == "daily").expect("daily ones");
    assert_eq!(daily["backups"], 14, "{tiers:?}");
    assert_eq!((&daily["newest_bytes"], &daily["growth"]), (&28_000_000_000_u64.into(), &0.0.into()), "{daily}");
}

#[test]
fn a_bad_end_is_the_first_thing_that_is_said() {
    let rig = Rig::new("shop");
    year::fill_days(&rig.catalog(), "shop", rig.now, Fate::Ill, 40);
    let report = rig.json(&[]);
    let shop = one(&report);
    assert_eq!(shop["verdict"]["state"], "broken");
    let says = shop["verdict"]["says"].as_str().expect("a sentence");
    assert!(
        says.contains("objectives.rpo") && says.contains("the last drill `weekly` failed") && says.contains("0000000100000016000000B3"),
        "{says}"
    );
    assert_eq!(objective(&report, "objectives.rpo")["state"], "broken");
    let main = &shop["stores"][0];
    assert_eq!((main["windows"].as_array().map(Vec::len), main["gaps"].as_array().map(Vec::len)), (Some(2), Some(1)), "{main:#}");
    let app = &shop["databases"][0]["stores"][0];
    assert_eq!((&app["windows"], &app["gaps"]), (&main["windows"], &main["gaps"]));
    let markdown = rig.report(&["--format", "markdown"]).stdout;
    let moment = |name: &str| seawall::plan::minute(app["gaps"][0][name].as_str().expect("a moment").parse().expect("a time"));
    let missing = format!("| {} to {} |", moment("from"), moment("to"));
    assert!(markdown.contains("**The promise is not kept.**") && markdown.contains(&missing), "{missing}: {markdown}");
    assert!(rig.html(&[]).contains("recovery window of app in main: 2 periods, 1 gap"));
}

#[test]
fn the_page_says_what_the_data_say() {
    let rig = Rig::new("shop").lived("shop");
    let day = |ago: i64| (rig.now - jiff::SignedDuration::from_hours(24 * ago)).strftime("%Y-%m-%d").to_string();
    let covered = format!("{}..{}", day(330), day(0));
    let covered = ["--period", covered.as_str()];
    let (report, html) = (rig.json(&covered), rig.html(&covered));
    let figures: Vec<f64> = html.split("<data value=\"").skip(1).filter_map(|rest| rest.split('"').next()?.parse().ok()).collect();
    let has = |figure: &Value, what: &str| {
        let Some(figure) = figure.as_f64() else { return };
        // Between the two runs of the program a second or two may pass.
        let near = |other: &&f64| (**other - figure).abs() <= if what.contains("now") { 5.0 } else { 1e-9 };
        assert!(figures.iter().any(|other| near(&other)), "{what}: {figure} is not on the page");
    };
    let shop = one(&report);
    for objective in shop["objectives"].as_array().expect("a list") {
        has(&objective["promised_seconds"], "promised");
        has(&objective["found_seconds"], "found now");
    }
    for part in shop["loss"]["over_time"].as_array().expect("a list") {
        has(&part["seconds"], "loss");
    }
    for job in shop["jobs"].as_array().expect("a list") {
        for figure in ["succeeded", "failed", "lost", "stored_bytes", "growth", "took_seconds"] {
            has(&job[figure], figure);
        }
        for size in job["sizes"].as_array().expect("a list") {
            has(&size["bytes"], "bytes");
            has(&size["stored_bytes"], "stored");
        }
    }
    for drill in shop["drills"]["list"]["shown"].as_array().expect("a list") {
        has(&drill["recovery_seconds"], "recovered in");
        for phase in drill["phases"].as_array().expect("a list") {
            has(&phase["seconds"], "phase");
        }
    }
    for promotion in shop["promotions"]["shown"].as_array().expect("a list") {
        for figure in ["seconds", "within_seconds", "lost_seconds", "lost_bytes"] {
            has(&promotion[figure], "promotion");
        }
    }
    assert!(html.contains(">Promotions<") && html.contains("anna, power off") && html.contains("the old primary does not answer"));
    let markdown = rig.report(&["--format", "markdown", covered[0], covered[1]]).stdout;
    assert!(
        markdown.contains("### Promotions") && markdown.contains("rehearsal by weekly") && markdown.contains("1 min 35 s"),
        "{markdown}"
    );
    for tier in shop["stores"].as_array().into_iter().flatten().flat_map(|store| store["tiers"].as_array().into_iter().flatten()) {
        has(&tier["bytes"], "tier");
    }
    has(&report["audit"][0]["links"], "links");
    has(&shop["alerts"]["median_seconds_to_acknowledge"], "acknowledged after");
    // And nothing else is needed to read it.
    for foreign in ["http://", "https://", "<script", "src=", "@import", " style=\"", "<link"] {
        assert!(!html.contains(foreign), "{foreign}");
    }
}

fn with(from: &str, to: &str) -> Value {
    let text = super::year::policy("shop");
    assert!(text.contains(from), "{from}");
    let rig = Rig { room: crate::cli::Room::new(), now: seawall::units::Instant::now() };
    rig.with_text("shop", &text.replace(from, to)).lived("shop").json(&[])
}

/// What the whole took says nothing bad of a part, and a part, or files, nothing of the whole.
#[test]
fn each_promise_wants_evidence_of_its_own() {
    let tiers = "  rto: 1h\n  data:\n    critical: { tables: [users], rto: 10m }\n    all: { everything: true, rto: 2h }\n";
    let report = with("  rto: 1h\n", tiers);
    assert_eq!(objective(&report, "objectives.data.all.rto")["state"], "kept");
    let critical = objective(&report, "objectives.data.critical.rto");
    assert_eq!(critical["state"], "unproven", "{critical}");
    assert!(critical["because"].as_str().is_some_and(|because| because.contains("nobody has timed this tier alone")), "{critical}");
    assert_eq!(one(&report)["verdict"]["state"], "unproven");

    let report = with("by: point-in-time, rto: 2h", "by: point-in-time, rto: 2h, rpo: 4h");
    assert_eq!(objective(&report, "objectives.scenarios.corruption.rpo")["state"], "kept");
    let report = with("by: point-in-time, rto: 2h", "by: point-in-time, from: [offsite], rto: 2h, rpo: 4h");
    assert_eq!(objective(&report, "objectives.scenarios.corruption.rpo")["state"], "unproven");
}

#[test]
fn a_drill_of_files_proves_no_recovery() {
    let files = "  system: { files: { paths: [/etc/app] }, schedule: { at: \"03:00\" }, store: main, keep: { daily: 7 } }\nverify:\n";
    let text = super::year::policy("shop").replace("verify:\n", files);
    let text = text.replace("restore: { latest: nightly }", "restore: { latest: system }");
    let text = text.replace("    rehearses: corruption\n", "").replace("    expect: { rows: { check: row-counts } }\n", "");
    let rig = Rig { room: crate::cli::Room::new(), now: seawall::units::Instant::now() };
    let report = rig.with_text("shop", &text).lived("shop").json(&[]);
    let recovery = objective(&report, "objectives.rto");
    assert_eq!(recovery["state"], "unproven", "{recovery}");
    assert!(recovery["because"].as_str().is_some_and(|because| because.contains("no drill of the policy rehearses it")), "{recovery}");
}

#[test]
fn nothing_on_record_is_told_as_that() {
    let rig = Rig::new("shop");
    // Not even a catalog.
    let report = rig.json(&[]);
    assert_eq!(one(&report)["verdict"]["state"], "broken");
    assert_eq!(one(&report)["problems"][0]["key"], "catalog");
    assert!(rig.html(&[]).contains("there is no catalog"));
    // An empty one.
    drop(rig.catalog());
    let report = rig.json(&[]);
    assert_eq!(one(&report)["drills"]["passed"], 0);
    assert_eq!(objective(&report, "objectives.rto")["state"], "unproven");
    assert_eq!(report["audit"][0]["links"], 0);
    assert!(rig.report(&["--format", "markdown"]).stdout.contains("no drill has passed yet"));
}

#[test]
fn of_a_fleet_the_worst_comes_first() {
    let mut rig = Rig::new("anna").with("berta").with("clara").with_text("broken", "policy: [");
    for (name, fate) in [("anna", Fate::Well), ("berta", Fate::Ill), ("clara", Fate::Well)] {
        year::fill_days(&rig.catalog(), name, rig.now, fate, 16);
    }
    let run = rig.report(&["--format", "json"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let report: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let order: Vec<&str> = report["policies"].as_array().expect("a list").iter().filter_map(|one| one["policy"].as_str()).collect();
    assert_eq!(
        order,
        ["policies/broken.yaml", "berta", "anna", "clara"].map(|name| order.iter().find(|known| **known == name).copied().unwrap_or(name))
    );
    assert_eq!((report["broken"].as_u64(), report["kept"].as_u64()), (Some(2), Some(2)), "{:?}", order);
    let html = rig.html(&[]);
    assert!(html.contains("href=\"#policy-2\">berta<") && html.contains("id=\"policy-2\""), "a row leads to its section");
    // The last version of a policy that could be read is told, and that it is not of now.
    rig = Rig::new("shop").lived("shop");
    assert_eq!(rig.room.run(&["watch", "-p", "policies/shop.yaml", "--state", "state"]).code, Some(0));
    let rig = rig.with_text("shop", "policy: [");
    let report = rig.json(&[]);
    assert_eq!(one(&report)["verdict"]["state"], "unproven");
    assert_eq!(one(&report)["policy"], "shop");
}

#[test]
fn a_chain_that_was_changed_is_told() {
    let rig = Rig::new("shop");
    year::fill_days(&rig.catalog(), "shop", rig.now, Fate::Well, 16);
    let changed = std::process::Command::new(std::env::var_os("SEAWALL_TEST_PYTHON").unwrap_or("python3".into()))
        .args(["-c", "import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); c.execute('DROP TRIGGER audit_is_not_changed'); c.execute(\"UPDATE audit SET who='x' WHERE seq=3\"); c.commit()"])
        .arg(rig.place())
        .status();
    assert!(changed.expect("python runs").success());
    let report = rig.json(&[]);
    assert_eq!(report["audit"][0]["whole"], false);
    assert!(rig.html(&[]).contains("✕ not kept"), "{report:#}");
}

#[test]
fn a_stretch_that_makes_no_sense_is_refused() {
    let rig = Rig::new("shop");
    for (period, says) in [("week", "`quarter`"), ("2026-02-01..2026-01-01", "comes before"), ("2199-01-01..2199-02-01", "lies ahead")] {
        let run = rig.report(&["--period", period]);
        assert!(matches!(run.code, Some(64)) && run.stderr.contains(says), "{period}: {:?} {}", run.code, run.stderr);
    }
    let run = rig.report(&["-o", "out.md"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{}", run.stderr);
    let written = std::fs::read_to_string(rig.room.path().join("out.md")).expect("written");
    assert!(written.starts_with("# Recoverability of shop"));
}

#[test]
fn a_report_that_is_due_is_made_and_queued_for_everybody() {
    let rig = Rig::new("shop").lived("shop");
    let run = rig.room.run(&["run", "reports.monthly", "-p", "policies/shop.yaml", "--state", "state"]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let catalog = rig.catalog();
    let waiting = catalog.undelivered("shop").expect("asked");
    let notice = |receiver: &str| -> Value {
        let row = waiting.iter().find(|row| row.receiver == receiver).unwrap_or_else(|| panic!("nothing for {receiver}"));
        serde_json::from_str(&row.json).expect("JSON")
    };
    let (mailed, chat) = (notice("dba"), notice("chat"));
    let page = mailed["enclosed"]["html"].as_str().expect("a page");
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("The promise is kept"), "{page}");
    assert!(mailed["enclosed"]["text"].as_str().expect("text").contains("# Recoverability of shop"));
    assert_eq!(chat.get("enclosed"), None, "others get what a line can say");
    assert!(chat["subject"].as_str().expect("a line").contains("the promise is kept"), "{chat}");
    let record = catalog.last_runs("shop").expect("asked").into_iter().find(|record| record.job == "reports.monthly").expect("on record");
    let run = catalog.run(record.last_run.expect("a run")).expect("asked").expect("there");
    assert_eq!((run.bytes, run.checksum.as_ref().map(String::len)), (Some(page.len() as u64), Some(64)));
}
