use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use seawall::catalog::{Outcome, StepOutcome};
use seawall::format::audit;

use super::rig::{Run, Said};
use crate::backup::rig::{Policy, daily, weekly};
use crate::clusters::StopMode;

#[test]
fn what_is_owed_runs_once_and_its_steps_are_on_record() {
    let run = Run::new("", &format!("verify: {{ weekly: {{ schedule: {{ {} }} }} }}\n", weekly()));
    run.say(&["run", "--due"]).ends_with_code(0).says("backups.nightly").says("succeeded");
    run.say(&["run", "--due"]).ends_with_code(0).says("nothing is owed; next is");
    // Who asks for one hears of that one, whatever comes before it.
    for job in ["backups.nightly", "verify.weekly"] {
        run.say(&["run", "--due", job]).ends_with_code(0).says(&format!("nothing is owed; next is `{job}` at"));
    }
    assert_eq!(run.backups(), 1);
    // What follows a backup followed it.
    assert_eq!(run.outcomes(), ["backups.nightly succeeded", "expire succeeded"]);
    let first = &run.history()[0];
    let steps = run.steps(first);
    let actions: Vec<&str> = steps.iter().map(|step| step.action.as_str()).collect();
    assert_eq!(actions, ["check-room", "begin-backup", "read-data-directory", "end-backup", "wait-for-log", "read-back", "commit"]);
    assert!(steps.iter().all(|step| step.outcome == Some(StepOutcome::Succeeded) && step.ended.is_some()), "{steps:?}");
    assert!(first.backup.is_some() && first.checksum.as_ref().is_some_and(|sum| sum.len() == 64) && first.bytes > first.stored_bytes);
    let mode = fs::metadata(run.file("state").join("catalog.db")).expect("it").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    // The checksum is that of the descriptor as it lies in the store.
    let sums = run.rig.shell("sha256sum store/try-*/backups/*.json");
    assert!(sums.starts_with(first.checksum.as_deref().expect("a checksum")), "{sums}");
    // A person may ask for any job by its last word.
    run.say(&["run", "weekly"]).ends_with_code(0).says("verify.weekly");
    run.say(&["run", "nope"]).ends_with_code(64).says("the policy has no job `nope`").says("`backups.nightly`");
    let links = run.catalog().links(1, 1000).expect("the chain");
    audit::verify(&links, &[]).expect("whole");
    let kinds: Vec<&str> = links.iter().map(|link| link.entry.kind.as_str()).collect();
    assert!(
        kinds.contains(&"backups.succeeded") && kinds.contains(&"expire.succeeded") && kinds.contains(&"verify.succeeded"),
        "{kinds:?}"
    );
}

#[test]
fn a_fault_that_may_pass_is_tried_again_and_one_that_does_not_is_not() {
    let run = Run::new("", "");
    run.rig.cluster.stop(StopMode::Fast);
    run.say(&["run", "--due"]).ends_with_code(75).says("the server cannot be reached");
    let failed = &run.history()[0];
    assert_eq!((failed.outcome, failed.transient), (Some(Outcome::Failed), true));
    // Not at once, and not in a burst.
    run.say(&["run", "--due"]).ends_with_code(0).says("`backups.nightly` broke off, and is tried again at");
    // Who asks for one job is to ask again.
    run.say(&["run", "--due", "backups.nightly"]).ends_with_code(75).says("`backups.nightly` broke off, and is tried again at");
    run.rig.cluster.resume();
    run.say(&["run", "nightly"]).ends_with_code(0);
    run.say(&["run", "--due"]).ends_with_code(0).says("nothing is owed");
    // This version cannot do it, whenever it is asked.
    run.change(
        "backups: {",
        &format!("backups: {{ dump: {{ incremental: {{ of: nightly }}, schedule: {{ {} }}, keep: {{ last: 2 }} }},", daily()),
    );
    run.say(&["run", "--due"]).ends_with_code(1).says("this version of seawall takes no incremental backups");
    run.say(&["run", "--due"]).ends_with_code(0).says("nothing is owed");
    let outcomes = run.outcomes();
    assert_eq!(outcomes, ["backups.nightly failed", "backups.nightly succeeded", "expire succeeded", "backups.dump failed"]);
}

#[test]
fn another_hosts_backup_is_not_taken_twice_and_a_lost_record_is_found_in_the_store() {
    let run = Run::new("", "");
    run.say(&["run", "--due"]).ends_with_code(0);
    // The same policy on another host, whose own record knows nothing.
    run.rig.shell("cp -r state state-2 && rm -r state-2/catalog.db*");
    let other = || Said::of(run.command_in("state-2", &["run", "--due", "backups.nightly", "--host", "db-2"]).output().expect("seawall"));
    other().ends_with_code(0).says("was taken by db-1");
    other().ends_with_code(0).says("nothing is owed");
    assert_eq!(run.backups(), 1);
    let catalog = run.catalog_of("state-2").expect("a catalog");
    let noted = catalog.history(&seawall::catalog::Filter::default()).expect("a history");
    assert_eq!((noted.len(), noted[0].host.as_str(), noted[0].outcome), (1, "db-1", Some(Outcome::Succeeded)));
    // And on the same host, after its catalog was lost.
    run.rig.shell("rm -r state/catalog.db*");
    run.say(&["run", "--due", "backups.nightly"]).ends_with_code(0).says("was taken by db-1");
    assert_eq!(run.backups(), 1);
}

#[test]
fn what_is_given_to_another_host_is_left_to_it() {
    let run = Run::new("", &format!("verify: {{ weekly: {{ schedule: {{ {} }}, host: db-2 }} }}\n", weekly()));
    run.change("hosts: {  }", "hosts: { db-1: { role: primary }, db-2: { role: standby, connection: service=other } }");
    run.say(&["run", "nightly"]).ends_with_code(0);
    run.sql("insert into jobs (policy, job, first_seen) values ('try', 'verify.weekly', 0) on conflict do update set first_seen = 0");
    run.say(&["run", "--due"]).ends_with_code(0).says("nothing is owed");
    run.say(&["run", "weekly"]).ends_with_code(1).says("`verify.weekly` runs on db-2, and this is db-1");
    let there = |words: &[&str]| Said::of(run.command_in("state", &[words, &["--host", "db-2"]].concat()).output().expect("seawall"));
    there(&["run", "--due", "weekly"]).ends_with_code(0).says("verify.weekly").says("succeeded");
}

/// Its words are lost where they go; what is owed is done, and those who want to hear of it do.
#[test]
fn a_full_disk_under_the_output_stops_no_job() {
    let run = Run::new("", &format!("verify: {{ weekly: {{ schedule: {{ {} }} }} }}\n", weekly()));
    run.say(&["watch"]).ends_with_code(0);
    run.sql("update jobs set first_seen = 0");
    let full = fs::File::options().write(true).open("/dev/full").expect("a full disk");
    let said = Said::of(run.command(&["run", "--due"]).stdout(full).output().expect("seawall"));
    said.ends_with_code(0);
    assert_eq!(run.outcomes(), ["backups.nightly succeeded", "verify.weekly succeeded", "expire succeeded"]);
    // The look after the run was had.
    assert!(run.catalog().latest("try").expect("read").iter().any(|one| one.name == "told_until"));
}

/// A copy that lacks files answers no other host's firing: that one may be able to read them.
#[test]
fn a_backup_that_lacks_files_is_no_answer() {
    let run = Run::new("", "");
    let tree = run.file("tree").display().to_string();
    run.change(
        "backups: {",
        &format!("backups: {{ docs: {{ files: {{ paths: [{tree}] }}, schedule: {{ {} }}, keep: {{ last: 2 }} }},", daily()),
    );
    run.rig.shell("mkdir tree; echo open > tree/open");
    run.rig.shell_as_root("echo closed > tree/closed; chmod 000 tree/closed");
    run.say(&["run", "--due", "backups.docs"]).ends_with_code(1).says("could not be read");
    run.rig.shell("cp -r state state-2 && rm -r state-2/catalog.db*");
    let other = || Said::of(run.command_in("state-2", &["run", "--due", "backups.docs", "--host", "db-2"]).output().expect("seawall"));
    other().ends_with_code(1).says("could not be read");
    // What it can read now, it has then.
    run.rig.shell("rm -r state-2/catalog.db*");
    run.rig.shell_as_root("chmod 644 tree/closed");
    other().ends_with_code(0).says("succeeded");
    run.rig.shell("rm -r state-2/catalog.db*");
    other().ends_with_code(0).says("was taken by db-2");
    assert_eq!(run.backups(), 3);
}

#[test]
fn a_backup_is_taken_although_nothing_can_be_recorded_and_the_record_follows() {
    let run = Run::new("", "");
    run.rig.shell("mkdir -p state/catalog.db");
    run.say(&["run", "--due"]).ends_with_code(75).says("nothing can be recorded").says("it cannot be recorded");
    assert_eq!(run.backups(), 1);
    // What only tidies up was not done without a record.
    run.rig.shell("rmdir state/catalog.db && test -s state/policies/try/unrecorded.jsonl");
    // However much stands there, and although a crash has cut something short.
    run.rig.shell("head -c 20000000 /dev/zero | tr '\\0' ' ' >> state/policies/try/unrecorded.jsonl && printf '{\"job\": \"x' >> state/policies/try/unrecorded.jsonl");
    // That belongs to the backup, and is tried again after its pause by whoever calls for the backup.
    let said = run.say(&["run", "--due", "backups.nightly"]).ends_with_code(75).says("`expire` broke off, and is tried again at");
    said.says("cannot be read any more, and is on no record");
    let outcomes = run.outcomes();
    assert!(outcomes.contains(&"backups.nightly succeeded".to_owned()), "{outcomes:?}");
    run.rig.shell("! test -s state/policies/try/unrecorded.jsonl");
    assert_eq!(run.backups(), 1);
    // So does the chain.
    let links = run.catalog().links(1, 1000).expect("the chain");
    let backups: Vec<_> = links.iter().filter(|link| link.entry.kind == "backups.succeeded").collect();
    let id = run.history().iter().find_map(|run| run.backup.clone()).expect("its backup");
    assert!(matches!(backups[..], [one] if one.entry.details.contains(&id)), "{links:#?}");
    audit::verify(&links, &[]).expect("whole");
    run.sql("update jobs set last_started = last_started - 600000000, last_ended = last_ended - 600000000 where job = 'expire'");
    run.say(&["run", "--due", "backups.nightly"]).ends_with_code(0).says("expire").says("succeeded");
    run.say(&["run", "--due", "backups.nightly"]).ends_with_code(0).says("nothing is owed");
    assert_eq!(run.backups(), 1);
}

#[test]
fn programs_before_and_after_frame_the_backup() {
    let run = Run::new(", before: { run: [./before] }, after: { run: [./after] }", "");
    let folder = run.file("").display().to_string();
    run.change("./before", &format!("{folder}before"));
    run.change("./after", &format!("{folder}after"));
    run.rig.shell("printf '#!/bin/sh\\ncd $(dirname $0)\\necho before $SEAWALL_JOB >> told\\nexit $(cat code)\\n' > before; echo 0 > code");
    run.rig.shell("printf '#!/bin/sh\\ncd $(dirname $0)\\necho after $SEAWALL_OUTCOME ${SEAWALL_BACKUP:+it} >> told\\n' > after; chmod 755 before after");
    run.say(&["run", "nightly"]).ends_with_code(0);
    assert_eq!(run.rig.shell("cat told"), "before backups.nightly\nafter succeeded it");
    run.rig.shell("echo 3 > code");
    run.say(&["run", "nightly"]).ends_with_code(1).says("the hook `backups.nightly.before` failed (exit status 3)");
    // It undoes what the one before may have done by half.
    assert_eq!(run.rig.shell("tail -1 told"), "after failed");
    assert_eq!(run.backups(), 1);
    let failed = run.history().into_iter().last().expect("a run");
    let steps = run.steps(&failed);
    let ended: Vec<(&str, Option<StepOutcome>)> = steps.iter().map(|step| (step.action.as_str(), step.outcome)).collect();
    assert_eq!(ended, [("run-hook", Some(StepOutcome::Failed)), ("run-hook", Some(StepOutcome::Succeeded))]);
}

#[test]
fn a_reviewed_plan_is_run_for_exactly_its_policy() {
    let run = Run::new("", "");
    run.change("rpo: 5m, rto: 1h", "rpo: 5m");
    let inventory = |name: &str| {
        let exported = run.say(&["inventory", "export"]).ends_with_code(0).out;
        fs::write(run.file(name), exported).expect("written");
    };
    run.say(&["run", "nightly"]).ends_with_code(0);
    inventory("inventory.json");
    // As if it were the day after tomorrow: then it is due.
    let at = run.rig.shell("date -u -d '+2 days' +%Y-%m-%dT%H:%M:%SZ");
    run.rig.shell(&format!("sed -i 's/\"observed_at\": *\"[^\"]*\"/\"observed_at\": \"{at}\"/' inventory.json"));
    let mut plan = run.rig.cluster.account().command(env!("CARGO_BIN_EXE_seawall"));
    plan.arg("plan").arg(run.file("policy.yaml")).arg("--inventory").arg(run.file("inventory.json"));
    plan.args(["--at", &at, "--out"]).arg(run.file("plan.json"));
    let made = plan.output().expect("seawall");
    assert!(made.status.success(), "{made:?}");
    let path = run.file("plan.json").display().to_string();
    run.say(&["run", "--plan", &path]).ends_with_code(0).says("backups.nightly").says("succeeded");
    assert_eq!(run.backups(), 2);
    assert!(run.outcomes().iter().filter(|outcome| outcome.as_str() == "backups.nightly succeeded").count() == 2);
    run.change("rpo: 5m", "rpo: 6m");
    run.say(&["run", "--plan", &path]).ends_with_code(4).says("was made from another version of the policy");
    run.change("rpo: 6m", "rpo: 5m");
    run.rig.shell("sed -i 's/\"read-back\"/\"read-bark\"/' plan.json");
    run.say(&["run", "--plan", &path]).ends_with_code(4).says("are not those that this version of seawall takes");
    run.say(&["run", "--plan", "policy.yaml"]).ends_with_code(1);
    assert_eq!(run.backups(), 2);
}

#[test]
fn nothing_is_stopped_for_a_backup_that_another_host_is_taking() {
    let run = Run::with(
        &Policy {
            physical: "read_limit: 4MB/s".into(),
            job: ", before: { run: [./before] }, after: { run: [./after] }".into(),
            ..Policy::default()
        },
        "",
    );
    let folder = run.file("").display().to_string();
    run.change("./before", &format!("{folder}before"));
    run.change("./after", &format!("{folder}after"));
    run.rig.shell("for hook in before after; do printf '#!/bin/sh\\necho '$hook' >> $(dirname $0)/told\\n' > $hook; chmod 755 $hook; done");
    let mut first = run.command(&["run", "nightly"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("seawall");
    run.rig.shell("until ls store/try-*/leases/backup-* >/dev/null 2>&1; do sleep 0.1; done");
    assert_eq!(run.rig.shell("cat told"), "before");
    let second = Said::of(run.command_in("state-2", &["run", "nightly", "--host", "db-2"]).output().expect("seawall"));
    second.ends_with_code(75).says("a backup of this cluster is running");
    assert_eq!(run.rig.shell("cat told"), "before");
    assert!(first.wait().expect("its end").success());
    assert_eq!(run.rig.shell("cat told"), "before\nafter");
}
