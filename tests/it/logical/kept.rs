//! Dumps under the same rules as every other backup.

use super::rig::Ground;
use crate::clusters::Version;

#[test]
fn they_run_by_timer_are_counted_expire_and_have_a_newest_one() {
    let ground = Ground::new(Version::V15, "");
    ground.sql("create table t (n int); insert into t select generate_series(1, 100)");
    let ids: Vec<String> = (0..3).map(|_| ground.dump().descriptor.id.to_string()).collect();
    let hint = ground.rig.shell("cat store/*/hints/latest-dump.json");
    assert!(hint.contains(&ids[2]), "{hint}");
    ground.say(&["inventory", "export"]).ends_with_code(0).says("\"logical\"");
    ground.say(&["history"]).ends_with_code(0).says("backups.dump");
    ground.say(&["show", "latest", "--job", "dump", "--format", "json"]).ends_with_code(0).says(&ids[2]);
    // The rule keeps two of the three.
    let plan = ground.say(&["expire", "--plan", "--format", "json"]).ends_with_code(0);
    assert!(plan.out.contains(&ids[0]), "{}", plan.out);
    ground.say(&["expire"]).ends_with_code(0);
    assert!(ground.rig.objects("expiring").contains(&format!("{}.json", ids[0])));
}
