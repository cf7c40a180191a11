//! What a catalog does, wherever it is.

use seawall::catalog::{
    ByPolicy, Catalog, DrillEnd, DrillRow, End, FaultKind, Filter, Measured, NewDrill, NewRun, Outcome, Outgoing, PastRuns, QueuedNotice,
    Size, StepOutcome, Stretch, Taken, Where, Why,
};
use seawall::format::audit::{self, Entry, Head};
use seawall::units::Instant;

use super::rows::{at, begin, end, entry, new_run, notice, open};

pub(super) type Case = (&'static str, fn(&Where));

pub(super) const CASES: &[Case] = &[
    ("runs_and_steps", runs_and_steps),
    ("last_runs", last_runs),
    ("lost_and_found", lost_and_found),
    ("history", history),
    ("history_of_many", history_of_many),
    ("measurements", measurements),
    ("drills", drills),
    ("many_at_once", many_at_once),
    ("a_stretch_of_the_past", a_stretch_of_the_past),
    ("decisions", decisions),
    ("outbox_order", outbox_order),
    ("outbox_of_a_clock_that_was_ahead", outbox_of_a_clock_that_was_ahead),
    ("outbox_of_many", outbox_of_many),
    ("outbox_leases", outbox_leases),
    ("outbox_of_one_policy", outbox_of_one_policy),
    ("failing_receivers", failing_receivers),
    ("threads_and_acknowledgements", threads_and_acknowledgements),
    ("the_audit_chain", the_audit_chain),
    ("locks", locks),
    ("pruning", pruning),
    ("texts", texts),
    ("texts_with_marks", texts_with_marks),
    ("fractions", fractions),
    ("reading_only", reading_only),
];

fn runs_and_steps(place: &Where) {
    let catalog = open(place);
    let new = NewRun { why: Why::Plan, commit: Some("c0ffee"), ..new_run("orders", "backups.nightly", 100) };
    let run = catalog.begin_run(&new).expect("begun");
    catalog.begin_step(run, 1, "backup", "take a full backup", at(101)).expect("step 1");
    catalog.end_step(run, 1, StepOutcome::Failed, Some("the disk is full"), at(102)).expect("ended");
    // Tried again.
    catalog.begin_step(run, 1, "backup", "take a full backup", at(103)).expect("step 1 again");
    catalog.begin_step(run, 2, "verify", "read it back", at(104)).expect("step 2");
    let steps = catalog.steps_of(run).expect("steps");
    assert_eq!(
        steps.iter().map(|step| (step.number, step.outcome, step.started)).collect::<Vec<_>>(),
        [(1, None, at(103)), (2, None, at(104))]
    );
    catalog.end_step(run, 1, StepOutcome::Succeeded, None, at(105)).expect("ended");
    assert_eq!(catalog.end_step(run, 3, StepOutcome::Succeeded, None, at(105)).expect_err("no step 3").kind, FaultKind::Conflict);
    let told = End {
        backup: Some("20260918T120000Z-abc"),
        store: Some("near"),
        bytes: Some(1 << 50),
        stored_bytes: Some(0),
        checksum: Some("ab12"),
        message: Some("done"),
        hint: Some("Nothing to do."),
        transient: true,
        ..End::with(Outcome::Succeeded, at(110))
    };
    catalog.end_run(run, &told).expect("ended");
    let row = catalog.run(run).expect("read").expect("it is there");
    assert_eq!(
        (row.policy.as_str(), row.job.as_str(), row.host.as_str(), row.pid, row.why),
        ("orders", "backups.nightly", "db1", 4711, Why::Plan)
    );
    assert_eq!((row.boot.as_deref(), row.owed_since, row.started, row.ended), (Some("boot-1"), Some(at(40)), at(100), Some(at(110))));
    assert_eq!((row.digest.as_deref(), row.commit.as_deref()), (Some("sha256:abc"), Some("c0ffee")));
    assert_eq!(
        (row.outcome, row.transient, row.message.as_deref(), row.hint.as_deref()),
        (Some(Outcome::Succeeded), true, Some("done"), Some("Nothing to do."))
    );
    assert_eq!((row.backup.as_deref(), row.store.as_deref(), row.checksum.as_deref()), (told.backup, told.store, told.checksum));
    assert_eq!((row.bytes, row.stored_bytes), (Some(1 << 50), Some(0)));
    // The same end twice is one end; another one is a contradiction.
    catalog.end_run(run, &told).expect("the same again");
    let fault = catalog.end_run(run, &End::with(Outcome::Failed, at(120))).expect_err("it succeeded");
    assert!(fault.kind == FaultKind::Conflict && fault.message.contains("recorded as succeeded"), "{fault:?}");
    assert_eq!(catalog.run(run).expect("read").expect("there").ended, Some(at(110)));
    let unknown = "999".parse().expect("a number");
    for fault in [
        catalog.end_run(unknown, &told).expect_err("no such run"),
        catalog.begin_step(unknown, 1, "a", "b", at(0)).expect_err("no such run"),
        catalog.end_step(unknown, 1, StepOutcome::Failed, None, at(0)).expect_err("no such run"),
    ] {
        assert!(fault.kind == FaultKind::Conflict && fault.message.contains("knows no run 999"), "{fault:?}");
    }
}

fn last_runs(place: &Where) {
    let catalog = open(place);
    assert_eq!(catalog.last_runs("orders").expect("read"), []);
    catalog.see_jobs("orders", &["backups.nightly", "expire"], at(0)).expect("seen");
    catalog.see_jobs("orders", &["backups.nightly", "expire", "verify.weekly"], at(50)).expect("seen");
    let seen: Vec<_> = catalog.last_runs("orders").expect("read").into_iter().map(|record| (record.job, record.first_seen)).collect();
    assert_eq!(seen, [("backups.nightly".into(), at(0)), ("expire".into(), at(0)), ("verify.weekly".into(), at(50))]);

    let of = |job: &str| catalog.last_runs("orders").expect("read").into_iter().find(|record| record.job == job).expect("known");
    let first = begin(&catalog, "expire", 100);
    let record = of("expire");
    assert_eq!(
        (record.last_started, record.last_owed_since, record.running, record.last_outcome),
        (Some(at(100)), Some(at(40)), Some(first), None)
    );
    end(&catalog, first, Outcome::Succeeded, 110);
    let record = of("expire");
    assert_eq!((record.last_ended, record.last_outcome, record.last_succeeded), (Some(at(110)), Some(Outcome::Succeeded), Some(at(110))));
    assert_eq!((record.running, record.failures_in_a_row), (None, 0));
    for (outcome, started, failures) in
        [(Outcome::Failed, 200, 1), (Outcome::Lost, 300, 2), (Outcome::Stopped, 400, 2), (Outcome::Failed, 500, 3)]
    {
        let run = begin(&catalog, "expire", started);
        let told = End { transient: outcome == Outcome::Failed, ..End::with(outcome, at(started + 10)) };
        catalog.end_run(run, &told).expect("ended");
        let record = of("expire");
        assert_eq!((record.failures_in_a_row, record.last_outcome, record.last_succeeded), (failures, Some(outcome), Some(at(110))));
        assert_eq!(record.last_transient, outcome == Outcome::Failed);
    }
    // The clock was set back an hour: what was begun last is last.
    let back = begin(&catalog, "expire", -3600);
    end(&catalog, back, Outcome::Succeeded, -3500);
    let record = of("expire");
    assert_eq!((record.last_started, record.last_succeeded, record.failures_in_a_row), (Some(at(-3600)), Some(at(-3500)), 0));
    // Two at once, and the earlier one ends last.
    let (one, two) = (begin(&catalog, "expire", 600), begin(&catalog, "expire", 601));
    end(&catalog, two, Outcome::Succeeded, 610);
    assert_eq!(of("expire").running, Some(one));
    end(&catalog, one, Outcome::Failed, 620);
    let record = of("expire");
    assert_eq!((record.running, record.last_outcome, record.failures_in_a_row), (None, Some(Outcome::Succeeded), 0));

    catalog.begin_run(&new_run("billing", "expire", 700)).expect("begun");
    let all = catalog.last_runs_of_all().expect("read");
    assert_eq!(all.keys().collect::<Vec<_>>(), ["billing", "orders"]);
    assert_eq!(all["orders"], catalog.last_runs("orders").expect("read"));
    assert_eq!(all["billing"][0].first_seen, at(700));
    catalog.check().expect("sound");
}

fn lost_and_found(place: &Where) {
    let catalog = open(place);
    let (asleep, gone) = (begin(&catalog, "backups.nightly", 100), begin(&catalog, "expire", 200));
    let elsewhere = catalog.begin_run(&NewRun { host: "db2", ..new_run("orders", "expire", 300) }).expect("begun");
    catalog.begin_run(&new_run("billing", "expire", 300)).expect("begun");
    let abandoned = catalog.abandoned("orders").expect("read");
    let found: Vec<_> = abandoned.iter().map(|one| (one.run, one.host.as_str())).collect();
    assert_eq!(found, [(asleep, "db1"), (gone, "db1"), (elsewhere, "db2")]);
    assert_eq!(
        (abandoned[1].job.as_str(), abandoned[1].pid, abandoned[1].boot.as_deref(), abandoned[1].started),
        ("expire", 4711, Some("boot-1"), at(200))
    );
    end(&catalog, gone, Outcome::Lost, 400);
    end(&catalog, asleep, Outcome::Lost, 400);
    end(&catalog, elsewhere, Outcome::Lost, 400);
    assert_eq!(catalog.abandoned("orders").expect("read"), []);
    // It was not dead: what it says itself goes before what others guessed, and not the other way round.
    end(&catalog, asleep, Outcome::Succeeded, 500);
    end(&catalog, asleep, Outcome::Lost, 600);
    let row = catalog.run(asleep).expect("read").expect("there");
    assert_eq!((row.outcome, row.ended), (Some(Outcome::Succeeded), Some(at(500))));
    let record = catalog.last_runs("orders").expect("read").into_iter().find(|record| record.job == "backups.nightly").expect("known");
    assert_eq!((record.failures_in_a_row, record.last_succeeded), (0, Some(at(500))));
}

fn history(place: &Where) {
    let catalog = open(place);
    for number in 0..10 {
        let run = begin(&catalog, if number % 2 == 0 { "backups.nightly" } else { "expire" }, number * 100);
        let outcome = if number % 3 == 0 { Outcome::Failed } else { Outcome::Succeeded };
        let size = u64::try_from(number).expect("small") * 1000;
        catalog
            .end_run(run, &End { bytes: Some(size), stored_bytes: Some(size / 2), ..End::with(outcome, at(number * 100 + number)) })
            .expect("ended");
    }
    let stopped = begin(&catalog, "expire", 2000);
    end(&catalog, stopped, Outcome::Stopped, 2001);
    begin(&catalog, "expire", 3000);
    let asked = |filter: &Filter<'_>| -> Vec<i64> {
        let started = |row: &seawall::catalog::RunRow| row.started.as_second() - at(0).as_second();
        catalog.history(filter).expect("read").iter().map(started).collect()
    };
    let all = Filter { policy: Some("orders"), ..Filter::default() };
    assert_eq!(asked(&all), [3000, 2000, 900, 800, 700, 600, 500, 400, 300, 200, 100, 0]);
    assert_eq!(asked(&Filter { limit: 2, ..all.clone() }), [3000, 2000]);
    assert_eq!(asked(&Filter { job: Some("backups.nightly"), ..all.clone() }), [800, 600, 400, 200, 0]);
    assert_eq!(asked(&Filter { outcome: Some(Outcome::Failed), ..all.clone() }), [900, 600, 300, 0]);
    assert_eq!(asked(&Filter { since: Some(at(300)), until: Some(at(500)), ..all.clone() }), [400, 300]);
    assert_eq!(asked(&Filter { policy: Some("billing"), ..Filter::default() }), [0; 0]);
    assert_eq!(asked(&Filter::default()).len(), 12);
    assert_eq!(catalog.success_rate("orders", at(0)), Ok((6, 10)));
    assert_eq!(catalog.success_rate("orders", at(400)), Ok((4, 6)));
    assert_eq!(catalog.success_rate("billing", at(0)), Ok((0, 0)));
    let sized = |number: u64| Size { at: at(number as i64 * 101), bytes: number * 1000, stored_bytes: Some(number * 500) };
    assert_eq!(catalog.sizes("orders", "backups.nightly", 2), Ok(vec![sized(8), sized(4)]));
    assert_eq!(catalog.durations("orders", "expire", 1), Ok(vec![Taken { started: at(700), ended: at(707) }]));
}

/// More than are read at once, and none twice.
fn history_of_many(place: &Where) {
    let catalog = open(place);
    let mut begun: Vec<_> = (0..1_050).map(|number| begin(&catalog, "backups.nightly", number)).collect();
    begin(&catalog, "expire", 2_000);
    begun.reverse();
    let filter = Filter { policy: Some("orders"), job: Some("backups.nightly"), ..Filter::default() };
    let ids = |since| {
        let all = catalog.whole_history(&Filter { since, ..filter.clone() }).expect("runs");
        all.into_iter().map(|run| run.run).collect::<Vec<_>>()
    };
    assert_eq!(ids(None), begun);
    assert_eq!(ids(Some(at(10))), begun[..1_040]);
    assert_eq!(catalog.history(&filter).expect("runs").len(), 1_000);
}

fn measurements(place: &Where) {
    let catalog = open(place);
    let one = |name, subject, value| Measured { name, subject, value };
    catalog.measure("orders", &[], at(0)).expect("nothing");
    catalog.measure("orders", &[one("age", "nightly", 1.5), one("age", "weekly", -0.0), one("rpo", "", 1e300)], at(10)).expect("measured");
    catalog.measure("orders", &[one("age", "nightly", 0.1 + 0.2)], at(20)).expect("measured");
    catalog.measure("orders", &[one("age", "nightly", f64::MIN_POSITIVE)], at(20)).expect("corrected");
    catalog.measure("billing", &[one("age", "nightly", 9.0)], at(30)).expect("measured");
    let latest: Vec<_> =
        catalog.latest("orders").expect("read").into_iter().map(|one| (one.name, one.subject, one.value, one.at)).collect();
    assert_eq!(
        latest,
        [
            ("age".into(), "nightly".into(), f64::MIN_POSITIVE, at(20)),
            ("age".into(), "weekly".into(), 0.0, at(10)),
            ("rpo".into(), String::new(), 1e300, at(10)),
        ]
    );
    assert_eq!(catalog.series("orders", "age", "nightly", at(0)), Ok(vec![(at(10), 1.5), (at(20), f64::MIN_POSITIVE)]));
    assert_eq!(catalog.series("orders", "age", "nightly", at(11)), Ok(vec![(at(20), f64::MIN_POSITIVE)]));
    // One that is no number takes the others with it.
    let fault = catalog.measure("orders", &[one("rpo", "", 7.0), one("age", "weekly", f64::NAN)], at(40)).expect_err("it is none");
    assert_eq!(fault.kind, FaultKind::Refused);
    assert_eq!(catalog.series("orders", "rpo", "", at(0)).expect("read").len(), 1);
}

/// Both are there, or neither is.
fn measured_with_its_drill(catalog: &Catalog) {
    let record = |id, seconds: f64, policy| {
        let new = NewDrill { id, policy, drill: "weekly", started: at(60), ended: at(65), end: DrillEnd::Passed, record: "{}" };
        catalog.record_drill(&new, &[Measured { name: "took", subject: "weekly", value: seconds }])
    };
    let took = || catalog.series("stock", "took", "weekly", at(0)).expect("read");
    assert_eq!(record("s1", f64::NAN, "stock").expect_err("no number").kind, FaultKind::Refused);
    assert_eq!((catalog.drill_ids("stock").expect("read").len(), took()), (0, vec![]));
    record("s1", 5.0, "stock").expect("recorded");
    assert_eq!((catalog.drill_ids("stock").expect("read").len(), took()), (1, vec![(at(65), 5.0)]));
    record("s1", 9.0, "stock").expect("it is there");
    assert_eq!(took(), [(at(65), 5.0)]);
}

fn drills(place: &Where) {
    let catalog = open(place);
    let drill = |id, policy, drill, ended, end| {
        let new = NewDrill { id, policy, drill, started: at(ended - 5), ended: at(ended), end, record: "{\"a\":1}" };
        catalog.record_drill(&new, &[]).expect("recorded");
    };
    drill("d1", "orders", "weekly", 10, DrillEnd::Passed);
    drill("d2", "orders", "weekly", 20, DrillEnd::Passed);
    drill("d3", "orders", "weekly", 30, DrillEnd::Failed);
    drill("d4", "orders", "", 5, DrillEnd::Stopped);
    drill("d5", "billing", "weekly", 40, DrillEnd::Passed);
    // A retry of what was written already.
    drill("d3", "orders", "weekly", 99, DrillEnd::Passed);
    // What another policy calls so is another drill.
    drill("d3", "billing", "weekly", 35, DrillEnd::Passed);
    assert_eq!(catalog.drill_ids("billing"), Ok(["d3", "d5"].map(str::to_owned).into()));
    measured_with_its_drill(&catalog);
    let ids = |rows: Vec<DrillRow>| rows.into_iter().map(|row| row.id).collect::<Vec<_>>();
    assert_eq!(ids(catalog.drills("billing", at(0)).expect("read")), ["d3", "d5"]);
    assert_eq!(ids(catalog.drills("orders", at(0)).expect("read")), ["d4", "d1", "d2", "d3"]);
    assert_eq!(ids(catalog.drills("orders", at(20)).expect("read")), ["d2", "d3"]);
    let last = catalog.last_drills("orders").expect("read");
    assert_eq!((last[2].started, last[2].ended, last[2].end, last[2].record.as_str()), (at(25), at(30), DrillEnd::Failed, "{\"a\":1}"));
    assert_eq!(ids(last), ["d4", "d2", "d3"]);
    // Evidence goes only when there is newer.
    catalog.prune(at(30 + 801 * 86_400)).expect("pruned");
    assert_eq!(ids(catalog.drills("orders", at(0)).expect("read")), ["d4", "d2", "d3"]);
}

/// What is asked of many at once is what is asked of each.
fn many_at_once(place: &Where) {
    let catalog = open(place);
    for (policy, from) in [("orders", 100), ("billing", 200)] {
        catalog.see_jobs(policy, &["expire"], at(1)).expect("seen");
        let made = |bytes| End { bytes: Some(bytes), stored_bytes: Some(bytes / 2), ..End::with(Outcome::Succeeded, at(from + 5)) };
        let run = catalog.begin_run(&new_run(policy, "backups.nightly", from)).expect("begun");
        catalog.end_run(run, &made(1_000)).expect("ended");
        let elsewhere = catalog.begin_run(&new_run(policy, "backups.nightly", from + 10)).expect("begun");
        catalog.end_run(elsewhere, &End::with(Outcome::Succeeded, at(from + 11))).expect("another host's");
        let failed = catalog.begin_run(&new_run(policy, "backups.nightly", from + 20)).expect("begun");
        catalog.end_run(failed, &End { message: Some("full"), ..End::with(Outcome::Failed, at(from + 21)) }).expect("ended");
        catalog.measure(policy, &[Measured { name: "watched", subject: "", value: from as f64 }], at(from)).expect("measured");
        catalog.acknowledge(policy, "server", "anna", "", at(from), None).expect("acknowledged");
        let id = format!("{policy}-1");
        assert!(catalog.decide(policy, 0, "{\"m\":1}", &[QueuedNotice { policy, ..notice(&id, "mail", 0) }], at(1)).expect("decided"));
        let claimed = catalog.claim(&[policy], at(2), 10, at(60), "sender").expect("claimed");
        catalog.failed(&claimed[0], "550 no", at(3), at(90), false).expect("noted");
    }
    catalog.keep_inventory("orders", "{\"old\":true}", at(1)).expect("kept");
    catalog.keep_inventory("orders", "{\"new\":true}", at(2)).expect("kept in its place");
    // More than are asked of in one statement.
    let names: Vec<String> = (0..450).map(|number| format!("p{number}")).chain(["orders".into(), "billing".into()]).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let all = catalog.of_policies(&names, at(0)).expect("asked");
    assert_eq!(all.len(), 452);
    assert_eq!(all["p7"].records, []);
    for policy in ["orders", "billing"] {
        let of = &all[policy];
        assert_eq!(of.records, catalog.last_runs(policy).expect("asked"));
        assert_eq!(of.latest, catalog.latest(policy).expect("asked"));
        assert_eq!(of.undelivered, catalog.undelivered(policy).expect("asked"));
        assert_eq!(of.failing, catalog.failing_receivers(policy).expect("asked"));
        assert_eq!((of.failing.len(), of.failing[0].last_error.as_str()), (1, "550 no"));
        assert_eq!(of.acknowledgements, catalog.acknowledgements(policy).expect("asked"));
        assert_eq!(of.memory, catalog.memory(policy).expect("asked").1);
        assert_eq!(of.runs, catalog.success_rate(policy, at(0)).expect("asked"));
        assert_eq!(of.runs, (2, 3));
        assert_eq!(of.made.get("backups.nightly"), catalog.sizes(policy, "backups.nightly", 1).expect("asked").first());
        assert_eq!(of.took.get("backups.nightly"), catalog.durations(policy, "backups.nightly", 1).expect("asked").first());
        let last = of.records.iter().find_map(|record| record.last_run).expect("a run");
        assert_eq!(of.last.get("backups.nightly").cloned(), catalog.run(last).expect("asked"));
    }
    let kept = catalog.inventories(&names).expect("asked");
    assert_eq!(kept.len(), 1);
    assert_eq!((kept["orders"].at, kept["orders"].document.as_str()), (at(2), "{\"new\":true}"));
}

fn a_stretch_of_the_past(place: &Where) {
    let catalog = open(place);
    for (number, digest) in [(0, "a"), (1, "a"), (2, "b"), (3, "b"), (4, "a")] {
        let new = NewRun { digest: Some(digest), commit: Some(digest), ..new_run("orders", "backups.nightly", 100 + number * 10) };
        let run = catalog.begin_run(&new).expect("begun");
        let outcome = if number == 3 { Outcome::Failed } else { Outcome::Succeeded };
        catalog
            .end_run(run, &End { message: Some("said"), bytes: Some(number as u64), ..End::with(outcome, at(105 + number * 10)) })
            .expect("ended");
        let measured = [Measured { name: "recovery_point_seconds", subject: "", value: f64::from(number as i32) }];
        catalog.measure("orders", &measured, at(100 + number * 10)).expect("measured");
    }
    let stretch = Stretch { from: at(110), to: at(150) };
    let past = catalog.past_runs(&["orders", "billing"], stretch).expect("asked");
    let told: Vec<_> = past.runs["orders"].iter().map(|run| (run.bytes, run.outcome, run.message.as_deref())).collect();
    let (good, bad) = (Some(Outcome::Succeeded), Some(Outcome::Failed));
    assert_eq!(told, [(Some(1), good, None), (Some(2), good, None), (Some(3), bad, Some("said")), (Some(4), good, None)]);
    assert!(!past.runs.contains_key("billing"));
    let told = |past: &PastRuns| -> Vec<(Instant, String, bool)> {
        past.changes["orders"].iter().map(|change| (change.at, change.digest.clone(), change.first)).collect()
    };
    let (a, b) = (|| "a".to_owned(), || "b".to_owned());
    assert_eq!(told(&past), [(at(110), a(), true), (at(120), b(), false), (at(140), a(), false)]);
    // Before the first of all nothing was in force.
    let all = catalog.past_runs(&["orders"], Stretch { from: at(90), ..stretch }).expect("asked");
    assert_eq!(told(&all), [(at(100), a(), false), (at(120), b(), false), (at(140), a(), false)]);
    // Changed between the last run before and the first within.
    let later = catalog.past_runs(&["billing", "orders"], Stretch { from: at(115), ..stretch }).expect("asked");
    assert_eq!(told(&later), [(at(110), a(), true), (at(120), b(), false), (at(140), a(), false)]);
    assert_eq!(later.runs["orders"].len(), 3, "of the one before only what it went by is told");
    // In two halves, the largest of each, and when it was so.
    let worst = &catalog.worst(&["orders"], "recovery_point_seconds", stretch, 2).expect("asked")["orders"];
    assert_eq!(worst.iter().map(|part| (part.at, part.value)).collect::<Vec<_>>(), [(at(120), 2.0), (at(140), 4.0)]);
    // In parts that the stretch is no whole number of; what is at its end is in none.
    let odd = Stretch { from: Instant::from_microsecond(at(110).as_microsecond() - 1).expect("a moment"), to: at(140) };
    let worst = &catalog.worst(&["orders", "billing"], "recovery_point_seconds", odd, 2).expect("asked");
    assert_eq!(worst["orders"].iter().map(|part| (part.at, part.value)).collect::<Vec<_>>(), [(at(120), 2.0), (at(130), 3.0)]);
    assert!(!worst.contains_key("billing"));
    catalog.queue(&[notice("one", "mail", 0)], at(120)).expect("queued");
    catalog.queue(&[notice("two", "mail", 0)], at(150)).expect("queued, and too late");
    let notices = &catalog.past_notices(&["orders"], stretch).expect("asked")["orders"];
    assert_eq!(notices.iter().map(|one| (one.created, one.delivered)).collect::<Vec<_>>(), [(at(120), None)]);
    assert!(catalog.ends_told_since(&["orders"], at(100)).expect("asked").is_empty());
    let over = QueuedNotice { json: r#"{"id":"over","kind":"resolved","items":[]}"#, ..notice("over", "mail", 0) };
    catalog.queue(&[over], at(160)).expect("queued");
    let ends = |since: i64| catalog.ends_told_since(&["billing", "orders"], at(since)).expect("asked");
    assert_eq!(ends(100)["orders"].iter().map(|one| one.created).collect::<Vec<_>>(), [at(160)]);
    assert!(ends(161).is_empty());
    let drill = |id: &'static str, ended: i64, end: DrillEnd| NewDrill {
        id,
        policy: "orders",
        drill: "weekly",
        started: at(1),
        ended: at(ended),
        end,
        record: "{\n \"said\": \"\u{e4}\"}\n",
    };
    for new in [
        drill("1", 90, DrillEnd::Passed),
        drill("2", 100, DrillEnd::Passed),
        drill("3", 105, DrillEnd::Failed),
        drill("4", 120, DrillEnd::Failed),
    ] {
        catalog.record_drill(&new, &[]).expect("recorded");
    }
    let ids = |found: ByPolicy<DrillRow>| found.into_values().flatten().map(|row| row.id).collect::<Vec<_>>();
    let within = catalog.past_drills(&["orders"], stretch).expect("asked");
    assert_eq!(within["orders"][0].record, drill("4", 120, DrillEnd::Failed).record, "as it lies");
    assert_eq!(ids(within), ["4"]);
    catalog.record_drill(&drill("5", 130, DrillEnd::Stopped), &[]).expect("recorded");
    let weekly = catalog.last_drills_of(&["orders", "billing"]).expect("asked");
    assert_eq!(ids(weekly), ["2", "4"], "the last that passed and the last that failed, whenever that was");
    catalog.record_drill(&NewDrill { drill: "other", ..drill("6", 50, DrillEnd::Failed) }, &[]).expect("recorded");
    assert_eq!(ids(catalog.last_drills_of(&["orders"]).expect("asked")), ["6", "2", "4"], "of each of them");
}

fn claimed(catalog: &Catalog, now: i64) -> Vec<String> {
    ids(&catalog.claim(&["orders"], at(now), 100, at(now + 60), "sender").expect("claimed"))
}

fn ids(outgoing: &[Outgoing]) -> Vec<String> {
    outgoing.iter().map(|one| one.id.clone()).collect()
}

fn decisions(place: &Where) {
    let catalog = open(place);
    assert_eq!(catalog.memory("orders"), Ok((0, String::new())));
    assert_eq!(catalog.decide("orders", 0, "{\"one\":1}", &[notice("a", "mail", 0), notice("b", "mail", 0)], at(0)), Ok(true));
    assert_eq!(catalog.memory("orders"), Ok((1, "{\"one\":1}".into())));
    // Somebody else was faster: neither memory nor notices.
    assert_eq!(catalog.decide("orders", 0, "{\"other\":1}", &[notice("c", "mail", 0)], at(1)), Ok(false));
    assert_eq!(catalog.decide("orders", 7, "{\"other\":1}", &[notice("c", "mail", 0)], at(1)), Ok(false));
    assert_eq!(catalog.memory("orders"), Ok((1, "{\"one\":1}".into())));
    assert_eq!(catalog.undelivered("orders").expect("read").len(), 2);
    // The same notice again is one notice, and changes nothing of the first.
    let again = QueuedNotice { json: "{}", ..notice("a", "mail", 500) };
    assert_eq!(catalog.decide("orders", 1, "{}", &[again, notice("d", "slack", 0)], at(2)), Ok(true));
    assert_eq!(catalog.memory("orders").expect("read").0, 2);
    assert_eq!(catalog.decide("billing", 0, "", &[], at(3)), Ok(true));
    assert_eq!(claimed(&catalog, 10), ["a", "b", "d"]);
    // A notice that cannot be queued takes the memory with it.
    let too_long = "x".repeat(2 << 20);
    let fault = catalog.decide("orders", 2, "{\"new\":1}", &[QueuedNotice { json: &too_long, ..notice("e", "mail", 0) }], at(4));
    assert_eq!(fault.expect_err("too long").kind, FaultKind::Refused);
    assert_eq!(catalog.memory("orders"), Ok((2, "{}".into())));
    // Many at once: ten times the largest statement and one more.
    let many: Vec<String> = (0..1001).map(|number| format!("many-{number:04}")).collect();
    let many: Vec<_> = many.iter().map(|id| notice(id, "hook", 0)).collect();
    assert_eq!(catalog.decide("orders", 2, "{}", &many, at(5)), Ok(true));
    let all = catalog.claim(&["orders"], at(20), 5000, at(80), "sender").expect("claimed");
    assert_eq!(ids(&all), many.iter().map(|one| one.id.to_owned()).collect::<Vec<_>>());
    assert!(all.iter().all(|one| one.attempts == 1 && one.json == "{\"a\":1}" && one.created == at(5) && one.policy == "orders"));
}

fn outbox_order(place: &Where) {
    let catalog = open(place);
    assert_eq!(claimed(&catalog, 0), [""; 0]);
    // Whose receivers nobody here knows, nobody here takes.
    catalog.queue(&[QueuedNotice { policy: "billing", ..notice("other", "mail", 0) }], at(0)).expect("queued");
    assert_eq!(catalog.claim(&[], at(1), 10, at(60), "sender"), Ok(vec![]));
    catalog
        .queue(&[notice("m1", "mail", 0), notice("s1", "slack", 0), notice("later", "mail", 500), notice("m2", "mail", 0)], at(0))
        .expect("queued");
    let first = catalog.claim(&["orders"], at(1), 1, at(60), "sender").expect("claimed");
    assert_eq!(ids(&first), ["m1"]);
    // m1 is under way, so m2 waits; slack does not wait for mail.
    assert_eq!(claimed(&catalog, 1), ["s1"]);
    catalog.delivered("s1", at(2), Some("ts-1")).expect("noted");
    catalog.failed(&first[0], "451 later", at(2), at(100), false).expect("noted");
    // Neither does m2 overtake m1 while that waits for its next try.
    assert_eq!(claimed(&catalog, 50), [""; 0]);
    let retried = catalog.claim(&["orders"], at(100), 100, at(160), "sender").expect("claimed");
    assert_eq!(ids(&retried), ["m1", "m2"]);
    assert_eq!((retried[0].attempts, retried[1].attempts), (2, 1));
    catalog.failed(&retried[0], "550 never", at(101), at(102), true).expect("noted");
    catalog.released(&retried[1..]).expect("given back");
    // What was given up holds up nobody.
    let rest = catalog.claim(&["orders"], at(101), 100, at(160), "sender").expect("claimed");
    assert_eq!((ids(&rest), rest[0].attempts), (vec!["m2".to_owned()], 1));
    catalog.delivered("m2", at(102), None).expect("noted");
    assert_eq!(claimed(&catalog, 499), [""; 0]);
    assert_eq!(claimed(&catalog, 500), ["later"]);
    let undelivered = catalog.undelivered("orders").expect("read");
    let told: Vec<_> = undelivered.iter().map(|one| (one.id.as_str(), one.attempts, one.last_error.as_deref(), one.gave_up)).collect();
    assert_eq!(told, [("m1", 2, Some("550 never"), true), ("later", 1, None, false)]);
    // What was delivered is not queued a second time.
    catalog.queue(&[notice("m2", "mail", 0)], at(600)).expect("nothing to do");
    assert_eq!(claimed(&catalog, 5000), ["later"]);
    let both = catalog.claim(&["billing", "orders"], at(9000), 10, at(9060), "sender").expect("claimed");
    assert_eq!(ids(&both), ["later", "other"].map(str::to_owned).into_iter().rev().collect::<Vec<_>>());
}

/// What was queued by it goes out all the same, and before what came after it.
fn outbox_of_a_clock_that_was_ahead(place: &Where) {
    const DAY: i64 = 86_400;
    for ahead in [3600, 3 * DAY, 4000 * DAY] {
        let catalog = open(place);
        let receiver = format!("mail-{ahead}");
        let (first, meant, last) = (format!("first-{ahead}"), format!("meant-{ahead}"), format!("last-{ahead}"));
        catalog.queue(&[notice(&first, &receiver, ahead), notice(&meant, &receiver, ahead + 60)], at(ahead)).expect("queued");
        catalog.queue(&[notice(&last, &receiver, 10)], at(10)).expect("queued");
        assert_eq!(catalog.owing(at(11)), Ok(vec!["orders".into()]));
        let sent = catalog.claim(&["orders"], at(11), 10, at(60), "sender").expect("claimed");
        // What is meant for later waits for its hour, and not for ten years.
        let expected = if ahead < DAY { vec![first, last] } else { vec![first, meant, last] };
        assert_eq!(ids(&sent), expected);
        sent.iter().for_each(|one| catalog.delivered(&one.id, at(12), None).expect("noted"));
        assert_eq!(catalog.owing(at(13)), Ok(vec![]));
    }
}

/// A store was down for a night. (A server that has no statistics yet once took a minute for this.)
fn outbox_of_many(place: &Where) {
    let catalog = open(place);
    let ids: Vec<String> = (0..10_000).map(|number| format!("id-{number}")).collect();
    let receivers: Vec<String> = (0..10).map(|number| format!("receiver-{number}")).collect();
    let notices: Vec<_> = ids.iter().enumerate().map(|(index, id)| notice(id, &receivers[index % 10], 0)).collect();
    let since = std::time::Instant::now();
    catalog.queue(&notices, at(0)).expect("queued");
    for round in 0..3 {
        let claimed = catalog.claim(&["orders"], at(1), 100, at(60), "sender").expect("claimed");
        assert_eq!(claimed.iter().map(|one| &one.id).collect::<Vec<_>>(), ids[round * 100..(round + 1) * 100].iter().collect::<Vec<_>>());
        claimed.iter().for_each(|one| catalog.delivered(&one.id, at(2), None).expect("noted"));
    }
    let elapsed = since.elapsed();
    assert!(elapsed < std::time::Duration::from_secs(60), "{elapsed:?}");
}

fn outbox_of_one_policy(place: &Where) {
    let catalog = open(place);
    let elsewhere = QueuedNotice { policy: "billing", ..notice("b1", "mail", 0) };
    catalog.queue(&[notice("m1", "mail", 0), elsewhere, notice("m2", "mail", 0), notice("s1", "slack", 500)], at(0)).expect("queued");
    assert_eq!(catalog.owing(at(0)), Ok(vec!["billing".into(), "orders".into()]));
    let mine = catalog.claim(&["orders"], at(0), 1, at(60), "one").expect("claimed");
    assert_eq!(ids(&mine), ["m1"]);
    // Nothing is given out past what somebody else has, and what others owe is not touched.
    assert_eq!(catalog.claim(&["orders"], at(1), 10, at(60), "two"), Ok(vec![]));
    assert_eq!(catalog.claim(&["absent"], at(1), 10, at(60), "two"), Ok(vec![]));
    catalog.failed(&mine[0], "no", at(2), at(100), false).expect("said");
    assert_eq!(catalog.claim(&["orders"], at(99), 10, at(160), "two"), Ok(vec![]));
    assert_eq!(ids(&catalog.claim(&["orders"], at(100), 10, at(160), "two").expect("claimed")), ["m1", "m2"]);
    assert_eq!(catalog.owing(at(101)), Ok(vec!["billing".into()]));
    assert_eq!(ids(&catalog.claim(&["billing"], at(101), 10, at(160), "two").expect("claimed")), ["b1"]);
    assert_eq!(catalog.owing(at(102)), Ok(vec![]));
    assert_eq!(catalog.owing(at(500)).map(|owing| owing.len()), Ok(2));
}

fn outbox_leases(place: &Where) {
    let (one, two) = (open(place), open(place));
    one.queue(&[notice("a", "mail", 0)], at(0)).expect("queued");
    let dead = one.claim(&["orders"], at(0), 10, at(60), "one").expect("claimed");
    assert_eq!(two.claim(&["orders"], at(59), 10, at(120), "two"), Ok(vec![]));
    let taken = two.claim(&["orders"], at(60), 10, at(120), "two").expect("claimed");
    assert_eq!((ids(&taken), taken[0].attempts), (vec!["a".to_owned()], 2));
    // The first was only asleep: that it failed then counts for nothing now, and gives nothing back.
    one.failed(&dead[0], "old news", at(61), at(62), true).expect("nothing to do");
    one.released(&dead).expect("nothing to do");
    assert_eq!(one.claim(&["orders"], at(63), 10, at(120), "one"), Ok(vec![]));
    // But that it arrived stays true.
    one.delivered("a", at(64), Some("id-1")).expect("noted");
    two.failed(&taken[0], "refused", at(65), at(66), false).expect("nothing to do");
    assert_eq!(two.claim(&["orders"], at(1000), 10, at(1060), "two"), Ok(vec![]));
    assert_eq!(one.undelivered("orders"), Ok(vec![]));
}

fn failing_receivers(place: &Where) {
    let catalog = open(place);
    catalog.queue(&[notice("a", "mail", 0), notice("b", "mail", 0), notice("c", "slack", 0)], at(0)).expect("queued");
    assert_eq!(catalog.failing_receivers("orders"), Ok(vec![]));
    for (number, next) in [(10, 20), (30, 40)] {
        let all = catalog.claim(&["orders"], at(number), 10, at(number + 5), "sender").expect("claimed");
        for one in all.iter().filter(|one| one.receiver == "mail") {
            catalog.failed(one, &format!("refused at {number}"), at(number), at(next), false).expect("noted");
        }
    }
    let failing = catalog.failing_receivers("orders").expect("read");
    assert_eq!(failing.len(), 1);
    assert_eq!((failing[0].receiver.as_str(), failing[0].since, failing[0].attempts), ("mail", at(10), 4));
    assert_eq!(failing[0].last_error, "refused at 30");
    assert_eq!(catalog.failing_receivers("billing"), Ok(vec![]));
    catalog.delivered("a", at(50), None).expect("noted");
    assert_eq!(catalog.failing_receivers("orders"), Ok(vec![]));
    let all = catalog.claim(&["orders"], at(60), 10, at(65), "sender").expect("claimed");
    let one = all.iter().find(|one| one.id == "b").expect("it is owed");
    catalog.failed(one, "never", at(60), at(60), true).expect("noted");
    // Nobody tries any more, and it still does not work.
    assert_eq!(catalog.failing_receivers("orders").expect("read")[0].last_error, "never");
    // Nothing else would ever end that, but somebody who knows of it does; what fails after that is new.
    let somebody_knows = |seconds| catalog.acknowledge("orders", "delivery:mail", "ann", "", at(seconds), None).expect("acknowledged");
    somebody_knows(59);
    assert_eq!(catalog.failing_receivers("orders").expect("read").len(), 1);
    somebody_knows(61);
    assert_eq!(catalog.failing_receivers("orders"), Ok(vec![]));
    catalog.queue(&[notice("d", "mail", 70), notice("e", "mail", 70)], at(70)).expect("queued");
    let all = catalog.claim(&["orders"], at(80), 10, at(85), "sender").expect("claimed");
    let of = |id: &str| all.iter().find(|one| one.id == id).expect("it is owed");
    catalog.failed(of("d"), "never again", at(80), at(80), true).expect("noted");
    assert_eq!(catalog.failing_receivers("orders").expect("read")[0].last_error, "never again");
    catalog.delivered("e", at(81), None).expect("noted");
    assert_eq!(catalog.failing_receivers("orders"), Ok(vec![]));
}

fn threads_and_acknowledgements(place: &Where) {
    let catalog = open(place);
    assert_eq!(catalog.reference_of("orders", "slack", "age:nightly"), Ok(None));
    catalog.remember_reference("orders", "slack", "age:nightly", "171.1", at(0)).expect("remembered");
    catalog.remember_reference("orders", "slack", "age:nightly", "171.2", at(1)).expect("remembered");
    catalog.remember_reference("orders", "mail", "age:nightly", "<a@b>", at(1)).expect("remembered");
    assert_eq!(catalog.reference_of("orders", "slack", "age:nightly"), Ok(Some("171.2".into())));
    assert_eq!(catalog.reference_of("billing", "slack", "age:nightly"), Ok(None));

    catalog.acknowledge("orders", "age:nightly", "ann", "I look", at(0), None).expect("acknowledged");
    catalog.acknowledge("orders", "age:nightly", "bob", "no, I do", at(5), Some(at(500))).expect("acknowledged");
    catalog.acknowledge("billing", "age:nightly", "ann", "", at(6), None).expect("acknowledged");
    let all = catalog.acknowledgements("orders").expect("read");
    assert_eq!(all.len(), 1);
    assert_eq!(
        (all[0].key.as_str(), all[0].by.as_str(), all[0].note.as_str(), all[0].at, all[0].until),
        ("age:nightly", "bob", "no, I do", at(5), Some(at(500)))
    );
    assert_eq!(catalog.withdraw("orders", "age:nightly"), Ok(true));
    assert_eq!(catalog.withdraw("orders", "age:nightly"), Ok(false));
    assert_eq!(catalog.acknowledgements("orders"), Ok(vec![]));
    assert_eq!(catalog.acknowledgements("billing").expect("read").len(), 1);
}

fn the_audit_chain(place: &Where) {
    let catalog = open(place);
    assert_eq!(catalog.head(), Ok(None));
    let mut heads: Vec<Head> = Vec::new();
    for what in ["first", "\u{0001} \"quoted\" \\ \u{7f} ümlaut \u{2028} 🦀\n", "third", "fourth"] {
        heads.push(catalog.append(&entry(what)).expect("appended"));
    }
    assert_eq!(catalog.head(), Ok(heads.last().cloned()));
    let links = catalog.links(1, 100).expect("read");
    assert_eq!(links.iter().map(|link| link.seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(links[1].entry, entry("\u{0001} \"quoted\" \\ \u{7f} ümlaut \u{2028} 🦀\n"));
    assert_eq!(audit::verify(&links, &heads), Ok(heads.last().cloned()));
    assert_eq!(catalog.links(3, 1).expect("read"), links[2..3]);
    assert_eq!(catalog.links(5, 10), Ok(vec![]));
    assert_eq!(
        catalog.append(&audit::Entry { kind: "x".repeat(5000), ..entry("too long") }).expect_err("too long").kind,
        FaultKind::Refused
    );
    assert_eq!(catalog.append(&entry("fifth")).expect("appended").seq, 5);
}

fn locks(place: &Where) {
    let (one, two) = (open(place), open(place));
    let held = one.try_lock("orders", "expire").expect("asked").expect("it is free");
    assert!(held.is_held());
    assert!(one.try_lock("orders", "expire").expect("asked").is_none());
    assert!(two.try_lock("orders", "expire").expect("asked").is_none());
    let other = two.try_lock("orders", "backups.nightly").expect("asked").expect("another job");
    let fleet = two.try_lock("billing", "expire").expect("asked").expect("another policy");
    // The catalog itself is not locked by it.
    begin(&two, "expire", 0);
    drop(held);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let again = loop {
        match two.try_lock("orders", "expire").expect("asked") {
            Some(guard) => break guard,
            // A server needs a moment to see that a session ended.
            None => assert!(std::time::Instant::now() < deadline, "it is never free again"),
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    };
    drop((again, other, fleet));
}

fn pruning(place: &Where) {
    const DAY: i64 = 86_400;
    let catalog = open(place);
    let runs: Vec<_> = [(-900, Outcome::Succeeded), (-890, Outcome::Failed), (-880, Outcome::Failed), (-10, Outcome::Failed)]
        .into_iter()
        .map(|(day, outcome)| {
            let run = begin(&catalog, "expire", day * DAY);
            catalog.begin_step(run, 1, "a", "b", at(day * DAY)).expect("begun");
            end(&catalog, run, outcome, day * DAY + 1);
            run
        })
        .collect();
    let open_run = begin(&catalog, "verify.weekly", -900 * DAY);
    let before = catalog.last_runs("orders").expect("read");
    let measured = [Measured { name: "age", subject: "", value: 1.0 }];
    // Every twenty minutes of some days.
    for day in [-500, -100, -10, -1] {
        for moment in 0..72 {
            catalog.measure("orders", &measured, at(day * DAY + moment * 1200)).expect("measured");
        }
    }
    catalog.measure("gone", &measured, at(-500 * DAY)).expect("measured");
    // Half an hour without the network, long over when the hour and the day are.
    let hour = at(-10 * DAY).as_second().div_euclid(3_600) * 3_600;
    let day = at(-100 * DAY).as_second().div_euclid(DAY) * DAY;
    for begins in [hour, day] {
        for (minute, value) in [(0, 20.0), (10, 600.0), (20, 1_800.0), (30, 1_800.0), (40, 5.0), (50, 7.0)] {
            let lost = [Measured { name: "recovery_point_seconds", subject: "", value }];
            catalog.measure("lossy", &lost, Instant::from_second(begins + minute * 60).expect("a moment")).expect("measured");
        }
    }
    catalog.queue(&[notice("old", "mail", -500 * DAY), notice("owed", "mail", -500 * DAY)], at(-500 * DAY)).expect("queued");
    catalog.delivered("old", at(-499 * DAY), None).expect("noted");
    catalog.acknowledge("orders", "k", "ann", "", at(-600 * DAY), Some(at(-500 * DAY))).expect("acknowledged");
    catalog.acknowledge("orders", "for-ever", "ann", "", at(-300 * DAY), None).expect("acknowledged");
    catalog.append(&entry("for ever")).expect("appended");

    let pruned = catalog.prune(at(0)).expect("pruned");
    assert_eq!((pruned.runs, pruned.notices), (2, 1));
    let kept: Vec<_> = catalog.history(&Filter::default()).expect("read").into_iter().map(|row| row.run).collect();
    assert_eq!(kept, [open_run, runs[3], runs[0]]);
    assert_eq!(catalog.steps_of(runs[1]), Ok(vec![]));
    assert_eq!(catalog.last_runs("orders").expect("read"), before);
    catalog.check().expect("sound");
    let left = catalog.series("orders", "age", "", at(-1000 * DAY)).expect("read");
    let of = |day: i64| left.iter().filter(|(when, _)| (at(day * DAY)..at((day + 1) * DAY)).contains(when)).count();
    assert_eq!(of(-500), 0);
    // A day of ours may lie across two of the calendar's, and across one hour more.
    assert!((1..=2).contains(&of(-100)), "{}", of(-100));
    assert!((24..=25).contains(&of(-10)), "{}", of(-10));
    assert_eq!(of(-1), 72);
    assert_eq!(pruned.measurements as usize, 72 * 4 + 1 - left.len() + 2 * 5);
    let worst = catalog.series("lossy", "recovery_point_seconds", "", at(-1000 * DAY)).expect("read");
    let reached = |begins: i64| Instant::from_second(begins + 1_200).expect("a moment");
    assert_eq!(worst, [(reached(day), 1_800.0), (reached(hour), 1_800.0)], "the most of it, and when it was first so");
    assert_eq!(catalog.latest("gone"), Ok(vec![]));
    assert_eq!(catalog.undelivered("orders").expect("read").len(), 1);
    assert_eq!(catalog.acknowledgements("orders").expect("read").iter().map(|one| one.key.as_str()).collect::<Vec<_>>(), ["for-ever"]);
    assert_eq!(catalog.head().expect("read").expect("a head").seq, 1);
    assert_eq!(catalog.prune(at(0)), Ok(seawall::catalog::Pruned::default()));
}

fn texts(place: &Where) {
    let catalog = open(place);
    let hard = "'; DROP TABLE runs; -- \" $1 \\ %s ü 🦀\n\t";
    let run = catalog.begin_run(&NewRun { policy: hard, job: hard, host: hard, ..new_run("", "", 0) }).expect("begun");
    let long = "ü".repeat(20_000);
    let told = End { message: Some(&long), hint: Some("zero \0 byte"), ..End::with(Outcome::Failed, at(1)) };
    catalog.end_run(run, &told).expect("ended");
    let row = catalog.run(run).expect("read").expect("there");
    assert_eq!((row.policy.as_str(), row.job.as_str(), row.host.as_str()), (hard, hard, hard));
    let message = row.message.expect("a message");
    assert!(message.ends_with("ü…") && message.len() < 17_000, "{}", message.len());
    assert_eq!(row.hint.as_deref(), Some("zero \u{fffd} byte"));
    assert_eq!(catalog.last_runs(hard).expect("read")[0].job, hard);
    for policy in ["zero\0byte", &"x".repeat(2000)] {
        let fault = catalog.begin_run(&NewRun { policy, ..new_run("", "a", 0) }).expect_err("it cannot be kept");
        assert_eq!(fault.kind, FaultKind::Refused);
    }
    assert_eq!(catalog.history(&Filter::default()).expect("read").len(), 1);
}

/// What would part the values and rows where many come as one text.
fn texts_with_marks(place: &Where) {
    let catalog = open(place);
    let said = ["plain", "a\u{1f}b", "\u{1d}", "\u{1e}", "", "a\u{1f}b\u{1d}c"];
    for (number, said) in said.into_iter().enumerate() {
        let run = catalog.begin_run(&new_run("orders", "expire", number as i64)).expect("begun");
        let end = End { message: Some(said), ..End::with(Outcome::Failed, at(100)) };
        catalog.end_run(run, &end).expect("ended");
        catalog.append(&Entry { details: said.into(), commit: (number % 2 == 0).then(|| said.into()), ..entry(said) }).expect("appended");
    }
    let past = catalog.past_runs(&["orders"], Stretch { from: at(0), to: at(100) }).expect("asked");
    assert_eq!(past.runs["orders"].iter().map(|run| run.message.as_deref()).collect::<Vec<_>>(), said.map(Some));
    let links = catalog.links(1, 100).expect("read");
    assert_eq!(links.iter().map(|link| link.entry.details.as_str()).collect::<Vec<_>>(), said);
    let commits: Vec<Option<&str>> = links.iter().map(|link| link.entry.commit.as_deref()).collect();
    assert_eq!(commits, [Some("plain"), None, Some("\u{1d}"), None, Some(""), None]);
    audit::verify(&links, &[]).expect("one chain");
}

/// To the last bit, also where many are asked for at once.
fn fractions(place: &Where) {
    let catalog = open(place);
    let hard = [0.1 + 0.2, 1.0 / 3.0, 1e300, 1e-300, f64::MAX, f64::MIN_POSITIVE, -0.7, 0.0, 4_503_599_627_370_497.5, 35.68];
    let odd = (1..300_u64).map(|number| f64::from_bits((1_010 + number % 30) << 52 | number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 12));
    let all: Vec<(String, f64)> = hard.into_iter().chain(odd).enumerate().map(|(number, value)| (format!("{number:03}"), value)).collect();
    let measured: Vec<Measured<'_>> = all.iter().map(|(subject, value)| Measured { name: "one", subject, value: *value }).collect();
    catalog.measure("orders", &measured, at(0)).expect("measured");
    let found = catalog.of_policies(&["orders"], at(0)).expect("asked").remove("orders").expect("it was asked for").latest;
    let bits: Vec<(String, u64)> = found.into_iter().map(|latest| (latest.subject, latest.value.to_bits())).collect();
    assert_eq!(bits, all.into_iter().map(|(subject, value)| (subject, value.to_bits())).collect::<Vec<_>>());
}

fn reading_only(place: &Where) {
    assert!(Catalog::open_existing(place).expect("asked").is_none());
    let run = begin(&open(place), "expire", 0);
    let catalog = Catalog::open_existing(place).expect("opened").expect("it is there");
    assert_eq!(catalog.last_runs("orders").expect("read")[0].running, Some(run));
    let fault = catalog.end_run(run, &End::with(Outcome::Failed, at(1))).expect_err("for reading only");
    assert_eq!(fault.kind, FaultKind::ReadOnly);
    // It sees what others write meanwhile.
    end(&open(place), run, Outcome::Succeeded, 5);
    assert_eq!(catalog.last_runs("orders").expect("read")[0].last_succeeded, Some(at(5)));
    catalog.check().expect("sound");
}
