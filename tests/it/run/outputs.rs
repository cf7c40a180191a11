//! What programs read: every command's own result, held against the schema that is published for it.

use serde_json::Value;

use super::rig::Run;
use crate::cli::follows;
use crate::servers::post_office::PostOffice;

#[test]
fn every_result_follows_its_schema() {
    let office = PostOffice::open(&[]);
    let mail = format!(
        "smtp: {{ host: 127.0.0.1, port: {}, tls: none, from: seawall@example.com }}\n\
         receivers: {{ dba: {{ email: {{ to: [dba@example.com] }} }}, off: {{ webhook: {{ url: {{ env: NO_HOOK }} }} }} }}\n\
         alerts: {{ routes: [{{ to: [dba] }}] }}\n\
         contacts: {{ dba: {{ name: Kim, email: dba@example.com }} }}\n\
         duties: {{ review: {{ schedule: {{ at: \"08:00\" }}, what: review who can read the bucket, who: dba }} }}\n",
        office.port
    );
    let run = Run::new("", &mail);
    let says = |schema: &str, words: &[&str], code: i32| -> Value {
        let said = run.say(&[words, &["--format", "json"]].concat()).ends_with_code(code);
        follows(schema, &said.out)
    };
    says("key-host-output", &["key", "host"], 0);
    let ran = says("run-output", &["run", "--due"], 0);
    assert_eq!(ran["policies"][0]["runs"].as_array().map(Vec::len), Some(2), "{ran}");
    says("run-output", &["run", "--due"], 0);
    let taken = says("backup-output", &["backup", "nightly", "--label", "x"], 0);
    let id = taken["id"].as_str().expect("an id");
    says("list-output", &["list"], 0);
    says("show-output", &["show", id], 0);
    says("verify-output", &["verify"], 0);
    says("wal-status-output", &["wal", "status"], 0);
    says("expire-plan-output", &["expire", "--plan"], 0);
    says("expire-output", &["expire"], 0);
    says("key-list-output", &["key", "list"], 0);
    says("watch-output", &["watch"], 0);
    let looked = run.say(&["status", "--format", "json"]);
    follows("status-output", &looked.out);
    follows("checklist-output", &run.say(&["checklist", "--format", "json"]).out);
    says("history-output", &["history", "--steps"], 0);
    says("ack-output", &["ack", "duty_due:review"], 0);
    says("ack-output", &["ack", "--list"], 0);
    let audit = says("audit-output", &["audit", "show"], 0);
    assert!(audit["entries"].as_array().is_some_and(|entries| entries.len() > 3), "{audit}");
    says("audit-verify-output", &["audit", "verify"], 0);
    // One arrives, and one does not.
    let tested = says("notify-test-output", &["notify", "test"], 1);
    let delivered: Vec<(&str, bool)> = tested["receivers"]
        .as_array()
        .expect("receivers")
        .iter()
        .map(|receiver| (receiver["receiver"].as_str().expect("a name"), receiver["delivered"].as_bool().expect("a word")))
        .collect();
    assert_eq!(delivered, [("dba", true), ("off", false)], "{tested}");
    // And where it does not go well.
    run.rig.shell("mv store gone");
    let failed = run.say(&["run", "nightly", "--format", "json"]);
    let failed = follows("run-output", &failed.out);
    assert_eq!(failed["policies"][0]["runs"][0]["outcome"], "failed", "{failed}");
    follows("expire-plan-output", &run.say(&["expire", "--plan", "--format", "json"]).out);
    follows("expire-output", &run.say(&["expire", "--format", "json"]).out);
    follows("list-output", &run.say(&["list", "--format", "json"]).out);
    follows("verify-output", &run.say(&["verify", "--format", "json"]).out);
    let watched = says("watch-output", &["watch"], 0);
    assert!(watched["policies"][0]["firing"].as_array().is_some_and(|firing| !firing.is_empty()), "{watched}");
}
