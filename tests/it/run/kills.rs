use std::process::Stdio;
use std::thread;
use std::time::Duration;

use seawall::catalog::Outcome;
use seawall::format::audit;

use super::rig::Run;
use crate::backup::rig::Policy;
use crate::faults::chance;

/// To Seawall itself, not to who started it under another account.
fn signal(run: &Run, signal: &str) {
    run.rig
        .shell_as_root(&format!("pkill -{signal} -f '^[^ ]*seawall run nightly --policy {}' || true", run.file("policy.yaml").display()));
}

#[test]
fn a_signal_ends_it_cleanly_and_that_is_on_record() {
    let run = Run::with(&Policy { physical: "read_limit: 4MB/s".into(), ..Policy::default() }, "");
    let child = run.command(&["run", "nightly"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("seawall");
    run.rig.cluster.wait_until("exists (select from pg_stat_activity where application_name like 'seawall%' and pid <> pg_backend_pid())");
    thread::sleep(Duration::from_secs(1));
    // One at a time, and who comes second is told so.
    run.say(&["run", "nightly"]).ends_with_code(75).says("is running already");
    signal(&run, "TERM");
    let output = child.wait_with_output().expect("its end");
    assert!(matches!(output.status.code(), Some(143 | 0)) || output.status.code().is_none(), "{output:?}");
    let runs = run.history();
    assert_eq!((runs.len(), runs[0].outcome, runs[0].backup.clone()), (1, Some(Outcome::Stopped), None), "{runs:?}");
    run.rig
        .cluster
        .wait_until("not exists (select from pg_stat_activity where application_name like 'seawall%' and pid <> pg_backend_pid())");
    assert_eq!(run.backups(), 0);
}

/// Whatever is killed whenever: the next one finds its place, nothing is half on record, and what was said to be there is there.
#[test]
fn killed_at_any_moment() {
    let rounds = chance::rounds(12, 200);
    let run = Run::new("", "");
    // Otherwise so many of one day would make expiry stop at its brake.
    run.change("keep: { daily: 7 }", "keep: { last: 1000 }");
    run.say(&["run", "nightly"]).ends_with_code(0);
    let mut lot = chance::lot("killed_at_any_moment");
    for _ in 0..rounds {
        let mut child = run.command(&["run", "nightly"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("seawall");
        thread::sleep(Duration::from_millis(lot.below(1200) as u64));
        signal(&run, "KILL");
        let _ = child.wait();
    }
    run.say(&["run", "nightly"]).ends_with_code(0);
    let runs = run.history();
    assert!(runs.iter().all(|run| run.outcome.is_some() && run.ended.is_some()), "{runs:?}");
    for backup in runs.iter().filter_map(|run| run.backup.as_ref()) {
        run.say(&["show", backup]).ends_with_code(0);
    }
    for of in &runs {
        let steps = run.steps(of);
        if of.outcome == Some(Outcome::Succeeded) {
            assert!(steps.iter().all(|step| step.ended.is_some()), "{of:?} {steps:?}");
        }
    }
    let links = run.catalog().links(1, 100_000).expect("the chain");
    audit::verify(&links, &[]).expect("whole");
    run.say(&["verify"]).ends_with_code(0);
}
