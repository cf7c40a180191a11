//! All policies of a folder, in one process.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use seawall::catalog::Outcome;

use super::rig::{Run, Said};
use crate::cli::follows;
use crate::servers::post_office::{PostOffice, header};

/// A cluster and its policy, in a folder of policies that share one state.
struct Fleet {
    run: Run,
}

/// Nobody answers there.
const NOWHERE: &str = "host=127.0.0.1 port=1";

impl Fleet {
    fn new(job: &str, more: &str) -> Fleet {
        let run = Run::new(job, more);
        fs::create_dir(run.file("fleet")).expect("a folder");
        let fleet = Fleet { run };
        fleet.add("try.yaml", &fleet.text());
        fleet
    }

    fn text(&self) -> String {
        fs::read_to_string(self.run.file("policy.yaml")).expect("the policy")
    }

    fn add(&self, name: &str, text: &str) {
        // All at once, as a deployment would put it.
        fs::write(self.run.file("fleet").join(".new"), text).expect("written");
        self.run.rig.cluster.account().own(self.run.rig.cluster.folder());
        fs::rename(self.run.file("fleet").join(".new"), self.run.file("fleet").join(name)).expect("in place");
    }

    /// The policy under another name, of a server that does not answer.
    fn lost(&self, name: &str) -> String {
        let text = self.text().replace("policy: try", &format!("policy: {name}"));
        text.replace(&self.run.rig.cluster.conninfo(), NOWHERE)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.run.rig.cluster.account().command(env!("CARGO_BIN_EXE_seawall"));
        command.args(words).arg("--policy").arg(self.run.file("fleet")).arg("--state").arg(self.run.file("state"));
        command.args(["--host", "db-1"]);
        command
    }

    fn say(&self, words: &[&str]) -> Said {
        Said::of(self.command(words).output().expect("seawall"))
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn one_that_is_broken_and_one_that_fails_stop_nobody() {
    let fleet = Fleet::new("", "");
    fleet.add("broken.yaml", "version: 1\nfoo: 1\n");
    fleet.add("lost.yaml", &fleet.lost("lost"));
    fleet.add("base.yaml", "version: 1\nabstract: true\nowner: me\n");
    let said = fleet.say(&["run", "--due", "--format", "json"]).ends_with_code(1).says("broken.yaml");
    let json = follows("run-output", &said.out);
    let of = |file: &str| {
        let policies = json["policies"].as_array().expect("policies").iter();
        policies.clone().find(|policy| policy["file"].as_str().is_some_and(|name| name.ends_with(file))).expect("it")
    };
    assert_eq!(json["policies"].as_array().map(Vec::len), Some(3), "{json}");
    assert_eq!(of("try.yaml")["policy"], "try");
    assert_eq!(of("try.yaml")["runs"][0]["outcome"], "succeeded", "{json}");
    assert_eq!(of("lost.yaml")["runs"][0]["outcome"], "failed", "{json}");
    assert_eq!(of("lost.yaml")["runs"][0]["transient"], true, "{json}");
    assert!(of("broken.yaml")["failed"]["message"].as_str().is_some_and(|said| said.contains("cannot be used")), "{json}");
    // Each policy's own record, in the catalog that they share.
    let outcomes: Vec<(String, String, Option<Outcome>)> =
        fleet.run.history().into_iter().map(|run| (run.policy, run.job, run.outcome)).collect();
    let is = |policy: &str, job: &str, outcome| outcomes.contains(&(policy.into(), job.into(), Some(outcome)));
    assert!(is("try", "backups.nightly", Outcome::Succeeded) && is("try", "expire", Outcome::Succeeded), "{outcomes:?}");
    assert!(is("lost", "backups.nightly", Outcome::Failed), "{outcomes:?}");
    fs::remove_file(fleet.run.file("fleet").join("broken.yaml")).expect("removed");
    fleet.say(&["run", "--due"]).ends_with_code(0).says("nothing is owed by 2 policies; next is `backups.nightly` of `");
    // A name is how a record is found.
    fleet.add("zoo.yaml", &fleet.text());
    fleet.say(&["run", "--due"]).ends_with_code(1).says("`try` is also the name of the policy in");
    assert_eq!(fleet.run.backups(), 1);
    // Of a folder runs what is owed, and nothing that one could mean of any.
    fleet.say(&["run", "nightly"]).ends_with_code(64).says("is a folder");
    fleet.say(&["run", "--due", "backups.nightly"]).ends_with_code(64);
}

#[test]
fn a_long_backup_keeps_nobody_else_waiting() {
    // It waits for what only the other policy makes, which is there only after it has begun.
    let fleet = Fleet::new(", before: { run: [./before], timeout: 50s }", "");
    let folder = fleet.run.file("").display().to_string();
    fleet.run.change("./before", &format!("{folder}before"));
    fleet.add("try.yaml", &fleet.text());
    fleet.run.rig.shell("printf '#!/bin/sh\\ncd $(dirname $0)\\ntouch begun\\nuntil [ -e told ]; do sleep 0.1; done\\n' > before");
    fleet.run.rig.shell("printf '#!/bin/sh\\ntouch $(dirname $0)/told\\n' > after; chmod 755 before after");
    let mut command = fleet.command(&["run", "--due", "--look-every", "1s", "--format", "json"]);
    let child: Child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("seawall");
    until("the long one begins", || fleet.run.file("begun").exists());
    let lost = fleet
        .lost("lost")
        .replace(&format!("before: {{ run: [{folder}before], timeout: 50s }}"), &format!("after: {{ run: [{folder}after] }}"));
    fleet.add("lost.yaml", &lost);
    let said = Said::of(child.wait_with_output().expect("it ends")).ends_with_code(75);
    let json = follows("run-output", &said.out);
    assert_eq!(json["policies"][0]["policy"], "lost", "{json}");
    assert_eq!(json["policies"][0]["runs"].as_array().map(Vec::len), Some(1), "{json}");
    assert_eq!(
        (&json["policies"][1]["policy"], &json["policies"][1]["runs"][0]["outcome"]),
        (&"try".into(), &"succeeded".into()),
        "{json}"
    );
}

#[test]
fn what_is_another_hosts_concern_is_left_to_it() {
    let fleet = Fleet::new("", "");
    let hosts = |hosts: &str| fleet.text().replace("hosts: {  }", &format!("hosts: {{ {hosts} }}"));
    fleet.add("try.yaml", &hosts("db-9: { role: primary }"));
    fleet.say(&["run", "--due"]).ends_with_code(0).says("nothing is owed by 0 policies");
    // A host of the policy, but not the one that takes its backups.
    fleet.add("try.yaml", &hosts("db-9: { role: primary }, db-1: { role: verifier }"));
    fleet.say(&["run", "--due"]).ends_with_code(0).says("nothing is owed by 1 policy");
    assert_eq!(fleet.run.backups(), 0);
    fleet.add("try.yaml", &hosts("db-9: { role: standby }, db-1: { role: primary }"));
    fleet.say(&["run", "--due"]).ends_with_code(0).says("succeeded");
    assert_eq!(fleet.run.backups(), 1);
}

#[test]
fn one_watch_hears_of_all() {
    let office = PostOffice::open(&[]);
    let mail = format!(
        "smtp: {{ host: 127.0.0.1, port: {}, tls: none, from: seawall@example.com }}\n\
         receivers: {{ dba: {{ email: {{ to: [dba@example.com] }} }} }}\n\
         alerts: {{ routes: [{{ to: [dba] }}] }}\n",
        office.port
    );
    let fleet = Fleet::new("", &mail);
    fleet.add("lost.yaml", &fleet.lost("lost"));
    fleet.say(&["run", "--due"]).ends_with_code(75);
    // One that was good is told by its last version; one that never was is a failure of the watch.
    fleet.add("lost.yaml", "version: 1\nfoo: 1\n");
    fleet.say(&["run", "--due"]).ends_with_code(1).says("nothing runs");
    let said = fleet.say(&["watch", "--format", "json"]).ends_with_code(0);
    let json = follows("watch-output", &said.out);
    let keys = |policy: &serde_json::Value| {
        let firing =
            policy["firing"].as_array().expect("what fires").iter().map(|firing| firing["key"].as_str().expect("a key").to_owned());
        firing.collect::<Vec<_>>()
    };
    assert_eq!((&json["policies"][0]["policy"], &json["policies"][1]["policy"]), (&"lost".into(), &"try".into()), "{json}");
    assert!(keys(&json["policies"][0]).iter().any(|key| key == "policy_unreadable" || key.starts_with("policy")), "{json}");
    assert_eq!(keys(&json["policies"][1]), [""; 0], "{json}");
    let told: Vec<String> = office.mails().iter().map(|mail| header(mail, "subject").concat()).collect();
    assert!(!told.is_empty() && told.iter().all(|subject| subject.contains(" lost: ")), "{told:?}");
    fleet.add("never.yaml", "version: 1\nfoo: 1\n");
    fleet.say(&["watch"]).ends_with_code(1).says("try: nothing is wrong").says("FAILED: the policy");
    assert_eq!(office.mails().len(), told.len(), "nothing is told twice");
}
