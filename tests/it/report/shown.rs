//! What drills have shown, and what was listed, held against promises: whenever it was, whatever the stretch of the report is.

use seawall::catalog::Measured;
use seawall::inventory::{BackupKind, DrillRecord, DrilledTier, Scope};
use seawall::units::Instant;
use serde_json::Value;

use super::told::{objective, one};
use super::year::{self, Fate};
use super::{Rig, Room};

const DAY: i64 = 86_400;

/// A drill by its name, so many days ago, that passed or not.
type Ran<'r> = (&'r str, i64, bool);

/// A policy that somebody watches, and of which nothing ran.
fn seen(text: &str) -> Rig {
    let rig = Rig { room: Room::new(), now: Instant::now() }.with_text("shop", text);
    year::fill_days(&rig.catalog(), "shop", rig.now, Fate::Well, 0);
    rig
}

fn ago(rig: &Rig, seconds: i64) -> Instant {
    rig.now - jiff::SignedDuration::from_secs(seconds)
}

/// The same with these drills on record, each as `change` leaves it.
fn drilled(text: &str, ran: &[Ran<'_>], change: impl Fn(&mut DrillRecord)) -> Rig {
    let rig = seen(text);
    for (name, days, passed) in ran {
        let mut record = year::drill("shop", ago(&rig, days * DAY + 3_600), !passed, 1.0);
        record.id = format!("{}-{}", record.id, name.len()).parse().expect("an id");
        record.drill = Some(name.parse().expect("a name"));
        record.definition = Some(year::definition(text, name));
        change(&mut record);
        year::keep_drill(&rig.catalog(), &record);
    }
    rig
}

fn replaced(pairs: &[(&str, &str)]) -> String {
    pairs.iter().fold(year::policy("shop"), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    })
}

fn found(report: &Value, name: &str) -> (String, String) {
    let found = objective(report, name);
    (found["state"].as_str().expect("a state").to_owned(), found["because"].as_str().expect("words").to_owned())
}

#[track_caller]
fn is(report: &Value, name: &str, state: &str, because: &str) {
    let (is, why) = found(report, name);
    assert!(is == state && why.contains(because), "{name} is {is}: {why}");
}

const RTO: &str = "objectives.rto";
const CORRUPTION: &str = "objectives.scenarios.corruption.rto";

#[test]
fn the_last_drill_counts_however_long_ago_it_was() {
    let ran = [("weekly", 130, true), ("weekly", 40, false)];
    let rig = drilled(&year::policy("shop"), &ran, |_| ());
    let day = |days: i64| ago(&rig, days * DAY).strftime("%F").to_string();
    let before = format!("{}..{}", day(140), day(100));
    for period in ["month", "quarter", "year", &before] {
        let report = rig.json(&["--period", period]);
        is(&report, RTO, "broken", "the last drill `weekly` failed");
        is(&report, CORRUPTION, "broken", "is not in the store");
        assert_eq!(report["state"], "broken", "{period}");
    }
    let better = drilled(&year::policy("shop"), &[&ran[..], &[("weekly", 35, true)]].concat(), |_| ());
    is(&better.json(&[]), RTO, "kept", "had it back");
    // That somebody ended one shows nothing, and undoes nothing.
    let rig = drilled(&year::policy("shop"), &[("weekly", 40, false)], |_| ());
    let mut ended = year::drill("shop", ago(&rig, DAY), false, 1.0);
    ended.outcome = seawall::inventory::DrillOutcome::Stopped;
    let json = serde_json::to_string(&ended).expect("JSON");
    let new = seawall::catalog::NewDrill {
        id: ended.id.as_str(),
        policy: "shop",
        drill: "weekly",
        started: ended.started,
        ended: ended.ended,
        end: seawall::catalog::DrillEnd::Stopped,
        record: &json,
    };
    rig.catalog().record_drill(&new, &[]).expect("recorded");
    is(&rig.json(&[]), RTO, "broken", "the last drill `weekly` failed");
}

#[test]
fn one_drill_does_not_hide_another() {
    let other = "drills:\n  other: { restore: { latest: nightly }, expect: { rows: { check: row-counts } } }\n";
    let text = replaced(&[("drills:\n", other)]);
    let report = drilled(&text, &[("weekly", 35, true), ("other", 1, true)], |_| ()).json(&[]);
    is(&report, CORRUPTION, "kept", "had it back");
    is(&report, RTO, "kept", "had it back");
    // As far as was shown, the store of one of them has nothing, whatever the other one restores.
    let report = drilled(&text, &[("weekly", 35, false), ("other", 1, true)], |_| ()).json(&[]);
    is(&report, CORRUPTION, "broken", "the last drill `weekly` failed");
    is(&report, RTO, "broken", "the last drill `weekly` failed");
    let report = drilled(&text, &[("weekly", 1, true), ("other", 35, false)], |_| ()).json(&[]);
    is(&report, CORRUPTION, "kept", "had it back");
    is(&report, RTO, "broken", "the last drill `other` failed");
}

#[test]
fn a_drill_on_demand_proves_nothing_for_ever() {
    let on_demand = format!("    {}\n", year::weekly(1));
    let on_demand = (on_demand.as_str(), "");
    let of = |text: &str, days: i64| drilled(text, &[("weekly", days, true)], |_| ()).json(&[]);
    let text = replaced(&[on_demand]);
    is(&of(&text, 97), RTO, "kept", "had it back");
    is(&of(&text, 1_000), RTO, "unproven", "what is older than 98d proves nothing");
    is(&of(&text, 1_000), CORRUPTION, "unproven", "what is older than 98d proves nothing");
    let limit = ("alerts: {", "alerts: { thresholds: { drill_age: 35d },");
    let text = replaced(&[on_demand, limit]);
    is(&of(&text, 34), RTO, "kept", "had it back");
    is(&of(&text, 36), RTO, "unproven", "what is older than 35d proves nothing");
    // With a schedule as well.
    is(&of(&replaced(&[limit]), 36), RTO, "unproven", "what is older than 35d proves nothing");
    is(&of(&year::policy("shop"), 36), RTO, "kept", "had it back");
}

#[test]
fn what_was_restored_from_elsewhere_proves_nothing_of_what_is_left() {
    let text = replaced(&[("by: point-in-time,", "by: point-in-time, from: [offsite],")]);
    let from = |store: &'static str| {
        drilled(&text, &[("weekly", 1, true)], |record| {
            let restored = record.restored.as_mut().expect("restored");
            restored.store = store.parse().expect("a name");
        })
        .json(&[])
    };
    is(&from("main"), CORRUPTION, "unproven", "no drill has passed yet");
    is(&from("main"), RTO, "kept", "had it back");
    is(&from("offsite"), CORRUPTION, "kept", "had it back");
}

#[test]
fn a_part_proves_nothing_of_everything() {
    let dump = "backups:\n  dump: { logical: { databases: [app] }, schedule: { at: \"03:00\" }, store: main, keep: { daily: 7 } }\n";
    let drilled_dump =
        [("backups:\n", dump), ("restore: { latest: nightly }", "restore: { latest: dump }"), ("    rehearses: corruption\n", "")];
    let report = drilled(&replaced(&drilled_dump), &[("weekly", 1, true)], |_| ()).json(&[]);
    is(&report, RTO, "kept", "had it back");
    let two = [("service=shop, databases: [app]", "service=shop, databases: [app, crm]")];
    let app = |record: &mut DrillRecord| of_dump(record, &["app"], true);
    let report = drilled(&replaced(&[&drilled_dump[..], &two[..]].concat()), &[("weekly", 1, true)], app).json(&[]);
    is(&report, RTO, "unproven", "no drill of the policy rehearses it");
}

/// The standby is there before anything happens: what it took to make one counts for nothing.
#[test]
fn a_promotion_is_judged_by_what_it_took() {
    let text = |rto: &str| {
        replaced(&[
            ("by: point-in-time, rto: 2h", &format!("by: promote-standby, rto: {rto}")),
            ("    rehearses: corruption\n", "    rehearses: corruption\n    promote: {}\n"),
        ])
    };
    let of = |rto: &str, change: fn(&mut DrillRecord)| drilled(&text(rto), &[("weekly", 1, true)], change).json(&[]);
    is(&of("10m", |_| ()), CORRUPTION, "kept", "had it back after 14 s");
    assert_eq!(objective(&of("10m", |_| ()), CORRUPTION)["found_seconds"], 14);
    // Five minutes go by until somebody has seen what is wrong.
    is(&of("5m", |_| ()), CORRUPTION, "broken", "and 5m come before that");
    is(&of("10m", |record| record.promotion = None), CORRUPTION, "unproven", "was not timed");
}

#[test]
fn what_comes_before_a_recovery_is_part_of_its_time() {
    let of = |pairs: &[(&str, &str)]| drilled(&replaced(pairs), &[("weekly", 1, true)], |_| ()).json(&[]);
    let promised = |rto: &str| format!("by: point-in-time, rto: {rto}");
    let own = ("    rehearses: corruption\n", "    rehearses: corruption\n    within: 1h\n");
    // 29 min 47 s, and five minutes each for seeing it and for a server.
    is(&of(&[("by: point-in-time, rto: 2h", &promised("35m")), own]), CORRUPTION, "broken", "and 10m come before that");
    is(&of(&[("by: point-in-time, rto: 2h", &promised("40m")), own]), CORRUPTION, "kept", "had it back");
    // Nobody has said how long that is.
    let silent = (", assess: 5m, provision: 5m", "");
    is(
        &of(&[("by: point-in-time, rto: 2h", &promised("1h")), own, silent]),
        CORRUPTION,
        "unproven",
        "and 45m come before that with careful",
    );
    is(&of(&[own, silent]), CORRUPTION, "kept", "had it back");
}

#[test]
fn a_tier_has_a_prediction_of_its_own() {
    let tiers = "  rto: 1h\n  data:\n    critical: { tables: [users], rto: 40m }\n    late: { tables: [logs], rto: 50m }\n";
    let rig = drilled(&replaced(&[("  rto: 1h\n", tiers)]), &[("weekly", 1, true)], |_| ());
    let predicted = |tier: &'static str, [usual, careful]: [f64; 2]| {
        let name = |name: &'static str, value: f64| Measured { name, subject: tier, value };
        [name("recovery_time_p50_seconds", usual), name("recovery_time_p95_seconds", careful)]
    };
    let all = [predicted("tier critical", [2_500.0, 2_600.0]), predicted("tier late", [600.0, 900.0])].concat();
    rig.catalog().measure("shop", &all, ago(&rig, 60)).expect("measured");
    let report = rig.json(&[]);
    is(&report, "objectives.data.critical.rto", "broken", "are to be expected");
    is(&report, "objectives.data.late.rto", "kept", "had it back");
    assert_eq!(
        objective(&report, "objectives.data.late.rto")["predicted"],
        serde_json::json!({ "usual_seconds": 600, "careful_seconds": 900, "samples": 0, "newest": null })
    );
}

/// What `change` leaves of what was listed, so many seconds ago.
fn listed(rig: &Rig, seconds: i64, change: impl Fn(String) -> String) -> Value {
    let catalog = rig.catalog();
    let kept = catalog.inventories(&["shop"]).expect("asked").remove("shop").expect("an inventory");
    catalog.keep_inventory("shop", &change(kept.document), ago(rig, seconds)).expect("kept");
    rig.json(&[])
}

#[test]
fn an_old_list_proves_nothing() {
    let text = replaced(&[("any_moment: 7d", "any_moment: 7d, some_backup: 300d")]);
    let some = "objectives.reach_back.some_backup";
    let report = listed(&seen(&text), 3_600, |same| same);
    is(&report, some, "kept", "the oldest backup is of");
    assert_eq!(one(&report)["copies"][0]["state"], "kept", "{}", one(&report)["copies"]);
    let report = listed(&seen(&text), 4 * 3_600, |same| same);
    is(&report, some, "unproven", "nobody has listed what lies there since");
    for copy in one(&report)["copies"].as_array().expect("a list") {
        assert_eq!(copy["state"], "unproven", "{copy}");
    }
}

/// The same backups as dumps that have these databases; of none, as those of which nobody recorded what they have.
fn as_dumps(document: &str, databases: &[&str], whole: bool) -> String {
    let mut inventory: Value = serde_json::from_str(document).expect("JSON");
    for store in ["main", "offsite"] {
        for backup in inventory["stores"][store]["known"]["backups"].as_array_mut().expect("backups") {
            backup["kind"] = "logical".into();
            if !databases.is_empty() {
                backup["scope"] = serde_json::json!({ "databases": { "names": databases, "whole": whole } });
            }
        }
    }
    inventory.to_string()
}

/// A drill of a dump that has these databases.
fn of_dump(record: &mut DrillRecord, databases: &[&str], whole: bool) {
    let restored = record.restored.as_mut().expect("restored");
    restored.kind = BackupKind::Logical;
    let names = databases.iter().map(|name| (*name).to_owned()).collect();
    restored.scope = (!databases.is_empty()).then_some(Scope::Databases { names, whole });
}

/// The job has both databases now, and its backups are as they were made.
#[test]
fn a_backup_has_what_it_had_when_it_was_made() {
    let both = [
        ("databases: [app]", "databases: [app, crm]"),
        ("wal: { store: main, copies: [offsite], timeout: 60s, keep: 14d }\n", ""),
        ("any_moment: 7d", "some_backup: 300d"),
        ("physical: {}", "logical: {}"),
        ("by: point-in-time", "by: newest-backup"),
    ];
    let text = replaced(&both);
    let some = "objectives.reach_back.some_backup";
    let counts = |report: &Value| -> Vec<u64> {
        let databases = one(report)["databases"].as_array().expect("databases").clone();
        databases.iter().map(|database| database["stores"][0]["points"]["count"].as_u64().expect("a count")).collect()
    };
    for (databases, whole, state, because, points) in [
        (&["app", "crm"][..], true, "kept", "the oldest backup is of", [28, 28]),
        (&["app"], true, "broken", "a backup of everything", [28, 0]),
        (&["app", "crm"], false, "broken", "a backup of everything", [0, 0]),
        (&[], true, "unproven", "it is not recorded what they have", [0, 0]),
    ] {
        let report = listed(&seen(&text), 3_600, |document| as_dumps(&document, databases, whole));
        is(&report, some, state, because);
        assert_eq!(counts(&report), points, "{databases:?} {whole}");
    }
    for (databases, whole, state, because) in [
        (&["app", "crm"][..], true, "kept", "had it back"),
        (&["app"], true, "unproven", "no drill has brought back `crm` yet"),
        (&["app", "crm"], false, "unproven", "no drill has brought back `app` and `crm` yet"),
        (&[], true, "unproven", "no drill has brought back `app` and `crm` yet"),
    ] {
        let report = drilled(&text, &[("weekly", 1, true)], |record| of_dump(record, databases, whole)).json(&[]);
        for objective in [RTO, CORRUPTION] {
            is(&report, objective, state, because);
        }
    }
}

/// The drill passed for the tables that the tier had.
#[test]
fn a_tier_with_other_tables_has_not_been_drilled() {
    let text = |tables: &str| {
        let tier = format!("  rto: 1h\n  data:\n    critical: {{ tables: [{tables}], rto: 40m }}\n");
        replaced(&[
            ("  rto: 1h\n", &tier),
            ("restore: { latest: nightly }", "restore: { latest: nightly, tiers: [critical] }"),
            ("    rehearses: corruption\n", ""),
        ])
    };
    let of_tier = |before: &str| {
        let before = year::definition(&text(before), "weekly");
        drilled(&text("orders, items"), &[("weekly", 1, true)], |record| {
            record.definition = Some(before.clone());
            record.tiers =
                vec![DrilledTier { tier: "critical".parse().expect("a name"), rows: Some(1), millis: Some(60_000), within_millis: None }];
        })
    };
    is(&of_tier("items, orders").json(&[]), "objectives.data.critical.rto", "kept", "had it back");
    let before = "as it was defined before, and has not yet as it is defined now";
    is(&of_tier("orders").json(&[]), "objectives.data.critical.rto", "unproven", before);
}

/// What was copied lacks a path that is to be copied now, or a pattern left something out that is wanted now.
#[test]
fn a_copy_of_files_without_all_of_them_is_none_of_them() {
    let conf = "backups:\n  conf: { files: { paths: [/etc/app] }, schedule: { every: 1h }, store: main, keep: { daily: 7 } }\n";
    let lost = "  scenarios:\n    lost: { recover: files, rpo: 26h }\n";
    let rig = seen(&replaced(&[("backups:\n", conf), ("  scenarios:\n", lost)]));
    let of = |whole: Option<Instant>| {
        let (newest, at) = (ago(&rig, 3_600), Instant::now());
        let figure = |at: Instant| at.as_second() as f64;
        let measured = |name, subject, value| Measured { name, subject, value };
        let mut all = vec![measured("watched", "", figure(at)), measured("backup_newest", "backups.conf", figure(newest))];
        all.extend(whole.map(|whole| measured("backup_newest_whole", "backups.conf", figure(whole))));
        rig.catalog().measure("shop", &all, at).expect("measured");
        rig.json(&[])
    };
    let rpo = "objectives.scenarios.lost.rpo";
    is(&of(None), rpo, "unproven", "is not recorded, or cannot be opened here");
    is(&of(Some(ago(&rig, 3_600))), rpo, "kept", "would be lost now");
    is(&of(Some(ago(&rig, 30 * 3_600))), rpo, "broken", "would be lost now");
    is(&of(Some(Instant::UNIX_EPOCH)), rpo, "broken", "there is no backup on record");
}

#[test]
fn dumps_reach_back_as_well() {
    let wal = "wal: { store: main, copies: [offsite], timeout: 60s, keep: 14d }\n";
    let pairs =
        [(wal, ""), ("any_moment: 7d", "some_backup: 300d"), ("physical: {}", "logical: {}"), ("by: point-in-time", "by: newest-backup")];
    let dumps = |document: String| as_dumps(&document, &["app"], true);
    let some = "objectives.reach_back.some_backup";
    let report = listed(&seen(&replaced(&pairs)), 3_600, dumps);
    is(&report, some, "kept", "the oldest backup is of");
    let points = |report: &Value| one(report)["stores"][0]["points"]["shown"].as_array().expect("a list").clone();
    assert!(points(&report).iter().all(|point| point["job"] == "nightly" && point.get("databases").is_none()), "{:?}", points(&report));
    // Another database is in none of them.
    let two = [("databases: [app]", "databases: [app, crm]"), ("physical: {}", "logical: { databases: [app] }")];
    let rest = [pairs[0], pairs[1], pairs[3], ("    rehearses: corruption\n", "")];
    let rig = seen(&replaced(&[&two[..1], &rest[..], &two[1..]].concat()));
    let report = listed(&rig, 3_600, dumps);
    is(&report, some, "broken", "a backup of everything");
    assert!(!points(&report).is_empty() && points(&report).iter().all(|point| point["databases"] == serde_json::json!(["app"])));
    // Each is looked up by its name, and of one nothing is there.
    let (report, html) = (rig.json(&[]), rig.html(&[]));
    let databases = one(&report)["databases"].as_array().expect("a list");
    assert_eq!((&databases[0]["database"], &databases[1]["database"]), (&"app".into(), &"crm".into()));
    assert_eq!(databases[0]["stores"][0]["points"]["shown"], one(&report)["stores"][0]["points"]["shown"]);
    assert_eq!(databases[1]["stores"], serde_json::json!([]));
    assert!(
        html.contains("aria-label=\"recovery window of app in main: ") && html.contains("no job brings all of it into a store"),
        "{html}"
    );
    assert!(rig.report(&["--format", "markdown"]).stdout.contains("| crm "));
    // Files and chosen tables are no moment of a database.
    for kind in ["files", "tables"] {
        let report =
            listed(&seen(&replaced(&pairs)), 3_600, |document| document.replace("\"kind\":\"full\"", &format!("\"kind\":\"{kind}\"")));
        assert_eq!(points(&report), Vec::<Value>::new(), "{kind}");
    }
}

/// Backups of the cluster up to 14 days ago, and older ones that are dumps of one of its databases.
#[test]
fn each_database_has_a_window_of_its_own() {
    let dump = "backups:\n  dump: { logical: { databases: [crm] }, schedule: { at: \"03:00\" }, store: main, keep: { daily: 7 } }\n";
    let rig = seen(&replaced(&[("databases: [app]", "databases: [app, crm]"), ("backups:\n", dump)]));
    let report = listed(&rig, 3_600, |document| {
        let mut inventory: Value = serde_json::from_str(&document).expect("JSON");
        for backup in inventory["stores"]["main"]["known"]["backups"].as_array_mut().expect("backups").iter_mut().skip(14) {
            backup["job"] = "dump".into();
            backup["kind"] = "logical".into();
            backup["scope"] = serde_json::json!({ "databases": { "names": ["crm"], "whole": true } });
        }
        inventory.to_string()
    });
    let windows: Vec<(String, &Value)> = one(&report)["databases"]
        .as_array()
        .expect("databases")
        .iter()
        .flat_map(|database| database["stores"].as_array().expect("stores").iter().map(move |window| (&database["database"], window)))
        .map(|(database, window)| {
            (format!("{} in {}", database.as_str().expect("a name"), window["store"].as_str().expect("a name")), window)
        })
        .collect();
    let of = |name: &str| windows.iter().find(|(of, _)| of == name).unwrap_or_else(|| panic!("no {name} in {windows:?}")).1;
    assert_eq!(windows.len(), 4);
    let points = |name: &str| of(name)["points"]["count"].as_u64().expect("a count");
    let counts = ["app in main", "crm in main", "app in offsite", "crm in offsite"].map(points);
    assert_eq!(counts, [0, 14, 14, 14]);
    assert_eq!(of("app in main")["windows"], of("crm in main")["windows"]);
    assert_eq!(of("app in main")["oldest"], of("app in main")["windows"][0]["from"]);
    assert!(of("crm in main")["points"]["shown"].as_array().expect("points").iter().all(|point| point["job"] == "dump"));
    // The same figures in every form.
    let (html, markdown) = (rig.html(&[]), rig.report(&["--format", "markdown"]).stdout);
    for (name, window) in &windows {
        let (database, store) = name.split_once(" in ").expect("both");
        let moment = |at: &Value| seawall::plan::minute(at.as_str().expect("a moment").parse().expect("a time"));
        let (stretch, oldest) = (&window["windows"][0], moment(&window["oldest"]));
        let count = window["points"]["count"].as_u64().expect("a count");
        let row = [database, store, &moment(&stretch["from"]), &moment(&stretch["to"]), "nothing", &count.to_string(), &oldest].join(" | ");
        let squeezed = markdown.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(squeezed.contains(&row), "{row}: {markdown}");
        let drawn = format!("aria-label=\"recovery window of {name}: 1 period, 0 gaps, {count} single moments\"");
        assert!(html.contains(&drawn), "{drawn}");
    }
}

#[test]
fn what_was_defined_otherwise_proves_nothing_of_now() {
    let text = year::policy("shop");
    let before = |record: &mut DrillRecord| record.definition = Some("sha256:0".into());
    let rig = drilled(&text, &[("weekly", 1, true)], before);
    let report = rig.json(&[]);
    for objective in [RTO, CORRUPTION] {
        is(&report, objective, "unproven", "as it was defined before, and has not yet as it is defined now");
    }
    assert_eq!(one(&report)["drills"]["list"]["shown"][0]["defined_otherwise"], true);
    assert!(rig.html(&[]).contains("defined otherwise than now"));
    assert!(rig.report(&["--format", "markdown"]).stdout.contains("passed, defined otherwise than now"));
    // That it failed is so until it passes.
    is(&drilled(&text, &[("weekly", 1, false)], before).json(&[]), RTO, "broken", "the last drill `weekly` failed");
    let report = drilled(&text, &[("weekly", 1, true)], |_| ()).json(&[]);
    is(&report, RTO, "kept", "had it back");
    assert!(one(&report)["drills"]["list"]["shown"][0].get("defined_otherwise").is_none());
    // Where and when it runs is no part of it.
    let elsewhere = replaced(&[(&year::weekly(1), "schedule: { on: monday, at: \"06:00\" }")]);
    assert_eq!(year::definition(&elsewhere, "weekly"), year::definition(&text, "weekly"));
}

/// Two databases, each with a dump and a drill of its own.
fn each_with_a_dump(more: &[(&str, &str)]) -> String {
    let job = |name: &str, of: &str| {
        format!("  {name}: {{ logical: {{ databases: [{of}] }}, schedule: {{ at: \"03:00\" }}, store: main, keep: {{ daily: 7 }} }}\n")
    };
    let dumps = format!("backups:\n{}{}", job("dump-app", "app"), job("dump-crm", "crm"));
    let both = [
        ("databases: [app]", "databases: [app, crm]"),
        ("  rto: 1h\n", "  rto: 2h\n"),
        ("backups:\n", &dumps),
        ("restore: { latest: nightly }", "restore: { latest: dump-app }"),
    ];
    replaced(&[&both, more].concat())
}

#[test]
fn drills_of_each_database_together_prove_what_they_bring_back() {
    let crm = ("drills:\n", "drills:\n  other: { restore: { latest: dump-crm } }\n");
    let text = each_with_a_dump(&[crm, ("    rehearses: corruption\n", "")]);
    let of = |record: &DrillRecord| if record.drill.as_ref().is_some_and(|drill| drill.as_str() == "other") { "crm" } else { "app" };
    let dumps = |record: &mut DrillRecord| of_dump(record, &[of(record)], true);
    let slower = |record: &mut DrillRecord| {
        dumps(record);
        if of(record) == "crm" {
            record.recovery_millis = Some(3_000_000);
        }
    };
    let both = [("weekly", 1, true), ("other", 2, true)];
    let report = drilled(&text, &both, slower).json(&[]);
    is(&report, RTO, "kept", "had every database back after 1 h 19 min, one after the other");
    assert_eq!(objective(&report, RTO)["found_seconds"], 1_787 + 3_000);
    is(&drilled(&text, &both[..1], dumps).json(&[]), RTO, "unproven", "no drill has brought back `crm` yet");
    is(&drilled(&text, &[("weekly", 1, true), ("other", 2, false)], dumps).json(&[]), RTO, "broken", "the last drill `other` failed");
    // One database is lost, and nobody knows which: the slowest of them counts, and not whichever came last.
    let scenario = ("corruption: { recover: cluster, by: point-in-time,", "corruption: { recover: database, by: newest-backup,");
    let crm = ("drills:\n", "drills:\n  other: { restore: { latest: dump-crm }, rehearses: corruption }\n");
    let text = each_with_a_dump(&[crm, scenario]);
    let report = drilled(&text, &both, slower).json(&[]);
    is(&report, CORRUPTION, "kept", "the slowest of the drills since");
    assert_eq!(objective(&report, CORRUPTION)["found_seconds"], 3_000);
    is(&drilled(&text, &both[..1], dumps).json(&[]), CORRUPTION, "unproven", "no drill has brought back `crm` yet");
    // Where only one of them is to be brought back, the other one's drill is not waited for.
    let one_of_them =
        ("corruption: { recover: database, by: newest-backup,", "corruption: { recover: database, by: newest-backup, using: dump-app,");
    let text = text.replace(one_of_them.0, one_of_them.1).replace("{ latest: dump-crm }, rehearses: corruption", "{ latest: dump-crm }");
    is(&drilled(&text, &both[..1], dumps).json(&[]), CORRUPTION, "kept", "the drill of");
}

/// As `seawall watch` has written them down when they changed.
#[test]
fn rates_are_told_with_what_they_rest_on() {
    let rig = seen(&year::policy("shop"));
    let newest = ago(&rig, 3 * DAY);
    let figures = [("rate_p50_bytes_per_second", 60e6), ("rate_p95_bytes_per_second", 30e6), ("rate_samples", 6.0)];
    let measured = ["fetch/main", "replay", "fetch/gone"].into_iter().flat_map(|subject| {
        let at = ("rate_measured", newest.as_second() as f64);
        figures.into_iter().chain([at]).map(move |(name, value)| Measured { name, subject, value })
    });
    rig.catalog().measure("shop", &measured.collect::<Vec<_>>(), ago(&rig, DAY)).expect("measured");
    let report = rig.json(&[]);
    let rates = one(&report)["rates"].as_array().expect("rates").clone();
    let said: Vec<(&str, &Value, u64, u64, u64)> = rates
        .iter()
        .map(|rate| {
            let number = |name: &str| rate[name].as_u64().expect("a number");
            let (p50, p95) = (number("p50_bytes_per_second"), number("p95_bytes_per_second"));
            (rate["what"].as_str().expect("what"), &rate["store"], p50, p95, number("samples"))
        })
        .collect();
    assert_eq!(said, [("fetch", &"main".into(), 60_000_000, 30_000_000, 6), ("replay", &Value::Null, 60_000_000, 30_000_000, 6)]);
    let markdown = rig.report(&["--format", "markdown"]).stdout;
    assert!(markdown.contains("fetching, with one connection") && markdown.contains("30 MB/s"), "{markdown}");
    assert!(rig.html(&[]).contains(r#"<data value="30000000">"#));
    let metrics = rig.room.run(&["metrics", "-p", "policies/shop.yaml", "--state", "state"]).stdout;
    assert!(metrics.contains(r#"seawall_fetch_rate_bytes_per_second{policy="shop",store="main"} 30000000"#), "{metrics}");
}

#[test]
fn duties_are_asked_for_with_who_did_them() {
    let text = replaced(&[("who: dba }", "who: dba, schedule: { at: \"00:00\" } }")]);
    let rig = Rig { room: Room::new(), now: Instant::now() }.with_text("shop", &text);
    rig.catalog().see_jobs("shop", &["duties.review"], ago(&rig, 3 * DAY)).expect("seen");
    let asked = |rig: &Rig| {
        let report = rig.json(&[]);
        let all = one(&report)["checklist"].as_array().expect("a list").clone();
        all.into_iter().find(|question| question["key"] == "duties").expect("the question")
    };
    let due = asked(&rig);
    assert_eq!(due["answer"], "no", "{due}");
    assert!(due["evidence"].as_str().is_some_and(|why| why.starts_with("`review` is due since") && why.contains("never done")), "{due}");
    rig.catalog().acknowledge("shop", "duty_due:review", "anna", "", Instant::now(), None).expect("acknowledged");
    let done = asked(&rig);
    assert_eq!(done["answer"], "yes", "{done}");
    assert!(done["evidence"].as_str().is_some_and(|why| why.contains("last done by anna")), "{done}");
}

/// A hold on rows ends like one on backups, and somebody decides before it does.
#[test]
fn a_hold_on_rows_that_ends_soon_is_asked_for() {
    let soon = |days: i64| (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * days)).to_zoned(jiff::tz::TimeZone::UTC).date();
    let hold = |until: jiff::civil::Date| {
        format!("holds:\n  letters: {{ reason: audit, until: {until}, rows: {{ database: app, table: letters }} }}\n")
    };
    let asked = |until: jiff::civil::Date| {
        let report = seen(&replaced(&[("holds:\n", &hold(until))])).json(&[]);
        let all = one(&report)["checklist"].as_array().expect("a list").clone();
        all.into_iter().find(|question| question["key"] == "holds").expect("the question")
    };
    let ending = asked(soon(10));
    assert_eq!(ending["answer"], "no", "{ending}");
    assert!(ending["evidence"].as_str().is_some_and(|why| why.starts_with("letters ends at")), "{ending}");
    let going_on = asked(soon(90));
    assert_eq!(going_on["answer"], "yes", "{going_on}");
}
