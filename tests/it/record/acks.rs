//! `seawall ack`, and the audit chain that keeps who did.

use super::Rig;

/// `backups.nightly` fires since ten minutes.
fn firing() -> Rig {
    let rig = Rig::well();
    let catalog = rig.catalog();
    let at = rig.ago(10).to_string();
    let memory = serde_json::json!({ "version": 1, "judged": at, "fired": 1, "alerts": { "wal_lag": {
        "last": { "severity": "critical", "title": "written data has not been archived for 20m" },
        "began": at, "pending": at, "fired": at, "number": 1, "acknowledgeable": at } } });
    assert!(catalog.decide("shop", 0, &memory.to_string(), &[], rig.ago(10)).expect("decided"));
    drop(catalog);
    rig
}

#[test]
fn somebody_takes_care_and_no_longer_does() {
    let rig = firing();
    assert_eq!((rig.run(&["status"]).code, rig.run(&["check"]).code), (Some(1), Some(2)));
    assert_eq!(rig.run(&["ack", "--list"]).stdout, "nothing is acknowledged\n");

    let run = rig.run(&["ack", "wal_lag", "--by", "kari", "--note", "the switch is being replaced"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "kari takes care of `wal_lag`\n"), "{run:?}");
    let run = rig.run(&["status"]);
    assert_eq!(run.code, Some(5), "{run:?}");
    assert!(run.stdout.contains("WARNING   written data has not been archived for 20m (wal_lag)"), "{run:?}");
    assert!(run.stdout.contains("kari takes care of it"), "{run:?}");
    assert_eq!(rig.run(&["check"]).code, Some(1));
    assert!(rig.run(&["metrics"]).stdout.contains("seawall_alert_firing{policy=\"shop\",key=\"wal_lag\",severity=\"critical\"} 0\n"));
    assert!(rig.run(&["ack", "--list"]).stdout.contains("the switch is being replaced"));

    let run = rig.run(&["ack", "wal_lag", "--withdraw", "--by", "ola"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(rig.run(&["status"]).code, Some(1));
    let run = rig.run(&["ack", "wal_lag", "--withdraw"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(rig.run(&["metrics"]).stdout.contains("key=\"wal_lag\",severity=\"critical\"} 1\n"));

    let shown = rig.json(&["audit", "show"]);
    let kinds: Vec<&str> = shown["entries"].as_array().expect("entries").iter().filter_map(|entry| entry["kind"].as_str()).collect();
    assert_eq!(kinds, ["ack", "ack.withdrawn"], "{shown}");
    assert_eq!(shown["entries"][0]["what"], "kari takes care of `wal_lag`", "{shown}");
}

#[test]
fn what_does_not_fire_cannot_be_acknowledged_apart_from_duties_and_the_brake() {
    let contacts = "contacts: { security: { name: Security, email: security@example.com } }\nduties: { access-review: { what: review who can \
         read the bucket, who: security, schedule: { first: monday, of: quarter, at: \"09:00\" } } }\n";
    let rig = firing();
    std::fs::write(rig.room.path().join("shop.yaml"), super::undisturbed("shop") + contacts).expect("a file");
    let run = rig.run(&["ack", "overdue:backups.nightly"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("What fires: `wal_lag`."), "{run:?}");
    assert_eq!(rig.run(&["ack", "duty_due:nonsense"]).code, Some(1));
    assert_eq!(rig.run(&["ack"]).code, Some(64));
    let run = rig.run(&["ack", "wal_lag", "--until", "2020-01-01"]);
    assert_eq!(run.code, Some(64), "{run:?}");
    for key in ["duty_due:access-review", "expire_braked"] {
        let run = rig.run(&["ack", key]);
        assert_eq!(run.code, Some(0), "{key}: {run:?}");
        let run = rig.run(&["ack", key, "--withdraw"]);
        assert_eq!(run.code, Some(0), "{key}: {run:?}");
    }
    assert_eq!(rig.run(&["ack", "--list"]).stdout, "nothing is acknowledged\n");
}

#[test]
fn the_chain_is_proven_against_what_was_kept() {
    let rig = firing();
    let run = rig.run(&["audit", "verify"]);
    assert_eq!((run.code, run.stdout.lines().next()), (Some(0), Some("the audit chain is empty")), "{run:?}");
    for _ in 0..3 {
        assert_eq!(rig.run(&["ack", "wal_lag"]).code, Some(0));
    }
    let json = rig.json(&["audit", "verify"]);
    let head = format!("{}:{}", json["head"]["seq"], json["head"]["hash"].as_str().expect("a hash"));
    assert!(head.starts_with("3:") && json["whole"] == true, "{json}");
    let run = rig.run(&["audit", "verify", "--head", &head]);
    assert!(run.code == Some(0) && run.stdout == format!("whole: 3 links, the head is {head}\n"), "{run:?}");
    // One that was longer, and one that was another.
    let (longer, other) = (head.replacen("3:", "4:", 1), format!("2:{}", "0".repeat(64)));
    for (kept, said) in [(longer, "broken at 4: the chain ends before it"), (other, "broken at 2: another one stood there")] {
        let run = rig.run(&["audit", "verify", "--head", &kept]);
        assert_eq!(run.code, Some(1), "{run:?}");
        assert!(run.stderr.contains(said), "{run:?}");
    }
    assert_eq!(rig.run(&["audit", "verify", "--head", "3:short"]).code, Some(64));
    let lines = rig.run(&["audit", "export"]).stdout;
    let links: Vec<_> = lines.lines().map(|line| seawall::format::audit::Link::from_line(line).expect("a link")).collect();
    let end = seawall::format::audit::verify(&links, &[]).expect("whole").expect("an end");
    assert_eq!(format!("{}:{}", end.seq, end.hash), head);
    assert_eq!(rig.json(&["audit", "show", "--limit", "2"])["entries"].as_array().map(Vec::len), Some(2));
}

#[test]
fn what_nobody_has_heard_of_is_shown() {
    let rig = Rig::well();
    let catalog = rig.catalog();
    let at = rig.ago(10).to_string();
    // The only route is for what is critical.
    let memory = serde_json::json!({ "version": 1, "judged": at, "fired": 1, "alerts": { "review_due": {
        "last": { "severity": "warning", "title": "the policy was to be read again" },
        "began": at, "pending": at, "fired": at, "number": 1, "acknowledgeable": at } } });
    assert!(catalog.decide("shop", 0, &memory.to_string(), &[], rig.ago(10)).expect("decided"));
    drop(catalog);
    let run = rig.run(&["status"]);
    assert!(run.stdout.contains("Nobody has heard of it: no route of `alerts.routes` is for it."), "{run:?}");
    let json = rig.json(&["status"]);
    assert_eq!(json["policies"][0]["unheard"][0]["key"], "review_due", "{json}");
    assert_eq!(json["policies"][0]["unheard"][0]["why"], "no-route", "{json}");
}
