//! A reviewed plan is carried out to the letter: nothing goes that it does not name.

use std::fs;

use super::rig::Run;
use crate::cli::follows;

/// Who says by hand that so much may go is not asked for it any more.
#[test]
fn what_was_acknowledged_by_hand_waits_for_nobody() {
    let run = Run::new("", "expire: { brake: 20% }\n");
    run.change("keep: { daily: 7 }", "keep: { last: 1 }");
    run.change("wal: { store: disk, timeout: 60s, keep: 7d }", "wal: { store: disk, timeout: 60s, keep: 1d }");
    for _ in 0..4 {
        run.rig.backup(&[]);
    }
    let waits = || {
        let latest = run.catalog().latest("try").expect("measured");
        latest.iter().any(|one| one.name == "braked_since" && one.subject == "disk" && one.value > 0.0)
    };
    run.say(&["run", "expire"]).ends_with_code(1).says("seawall ack expire_braked");
    assert!(waits());
    run.say(&["expire", "--acknowledge-brake"]).ends_with_code(0);
    assert!(!run.rig.objects("expiring").is_empty() && !waits());
    run.say(&["run", "expire"]).ends_with_code(0);
    assert!(!waits());
}

#[test]
fn nothing_is_marked_that_the_plan_does_not_name() {
    let run = Run::new("", "expire: { brake: 100% }\n");
    run.change("rpo: 5m, rto: 1h", "rpo: 5m");
    run.change("keep: { daily: 7 }", "keep: { last: 1 }");
    let backup = || run.rig.backup(&[]).text("id").to_owned();
    let old: Vec<String> = (0..4).map(|_| backup()).collect();
    let exported = run.say(&["inventory", "export"]).ends_with_code(0).out;
    fs::write(run.file("inventory.json"), exported).expect("written");
    let mut plan = run.rig.cluster.account().command(env!("CARGO_BIN_EXE_seawall"));
    plan.arg("plan").arg(run.file("policy.yaml")).arg("--inventory").arg(run.file("inventory.json"));
    let made = plan.arg("--out").arg(run.file("plan.json")).output().expect("seawall");
    assert!(made.status.success(), "{made:?}");
    let plan = fs::read_to_string(run.file("plan.json")).expect("the plan");
    let planned = follows("plan", &plan);
    let expire = planned["plans"][0]["jobs"].as_array().expect("jobs").iter().find(|job| job["job"] == "expire").expect("it").clone();
    assert!(expire["due"]["now"].is_object(), "{expire}");
    // The first is the base of the log's window. Meanwhile the fourth is of no use any more, the second is held, and the third alone is as the
    // plan says.
    let newest = backup();
    run.rig.shell(&format!(
        "cd store/try-* && mkdir -p holds && echo '{{\"name\":\"case\",\"reason\":\"litigation\",\"selects\":{{\"backups\":[\"{}\"]}}}}' \
         > holds/case.json",
        old[1]
    ));
    let path = run.file("plan.json").display().to_string();
    let said = run.say(&["run", "--plan", &path, "--format", "json"]).ends_with_code(0);
    let json = follows("run-output", &said.out);
    assert_eq!(json["policies"][0]["runs"].as_array().map(Vec::len), Some(1), "{json}");
    let remarks = json["policies"][0]["runs"][0]["remarks"].to_string();
    assert!(remarks.contains(&format!("the plan names {}, which stays: kept: under hold `case`", old[1])), "{remarks}");
    assert!(remarks.contains("no log is deleted, and nothing moves"), "{remarks}");
    let marked = || run.rig.objects("expiring");
    assert_eq!(marked(), [format!("{}.json", old[2])]);
    // A backup that the plan names and that is gone by now is no reason to stop.
    run.rig.shell(&format!("rm -r store/*/backups/*{}* store/*/data/{} store/*/expiring/{}.json", old[2], old[2], old[2]));
    run.say(&["run", "--plan", &path]).ends_with_code(0).says(&format!("the plan names {}, which is not there any more", old[2]));
    assert_eq!(marked(), [""; 0]);
    // Nobody may smuggle in what the plan of this policy would not have had.
    fs::write(run.file("plan.json"), plan.replace("\"delete-marked\"", "\"delete-all\"")).expect("written");
    run.say(&["run", "--plan", &path]).ends_with_code(4).says("are not those that this version of seawall takes");
    // Without a plan, what no rule wants is marked, and no more.
    run.say(&["run", "expire"]).ends_with_code(0);
    let mut both = marked();
    // The log has marks of its own, by timeline.
    both.retain(|name| name.len() > "00000001.json".len());
    assert_eq!(both, [format!("{}.json", old[3])], "{newest}");
}
