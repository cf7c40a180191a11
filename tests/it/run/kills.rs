use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use seawall::catalog::Outcome;
use seawall::format::audit;
use seawall::units::Instant;

use super::rig::Run;
use super::turns::{slow, until_begun};
use crate::backup::rig::Policy;
use crate::faults::chance;
use crate::servers::receiver::Receiver;

#[test]
fn a_signal_ends_it_cleanly_and_that_is_on_record() {
    let run = Run::with(&Policy { physical: "read_limit: 4MB/s".into(), ..Policy::default() }, "");
    let child = run.command(&["run", "nightly"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("seawall");
    run.rig.cluster.wait_until("exists (select from pg_stat_activity where application_name like 'seawall%' and pid <> pg_backend_pid())");
    thread::sleep(Duration::from_secs(1));
    // One at a time, and who comes second is told so.
    run.say(&["run", "nightly"]).ends_with_code(75).says("is running already");
    run.signal("TERM");
    let output = child.wait_with_output().expect("its end");
    assert_eq!(output.status.code(), Some(143), "{output:?}");
    let runs = run.history();
    assert_eq!((runs.len(), runs[0].outcome, runs[0].backup.clone()), (1, Some(Outcome::Stopped), None), "{runs:?}");
    run.rig
        .cluster
        .wait_until("not exists (select from pg_stat_activity where application_name like 'seawall%' and pid <> pg_backend_pid())");
    assert_eq!(run.backups(), 0);
}

/// Who asks twice does not wait for what the first word let end.
#[test]
fn a_second_signal_ends_it_at_once() {
    let run = Run::new(", before: { run: [./before] }, after: { run: [./after] }", "");
    for hook in ["before", "after"] {
        run.change(&format!("./{hook}"), &run.file(hook).display().to_string());
        slow(&run, hook);
    }
    let mut child = run.command(&["run", "nightly"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("seawall");
    until_begun(&run, "before");
    run.signal("INT");
    until_begun(&run, "after");
    assert_eq!(child.try_wait().expect("a child"), None, "it waits for its program");
    run.signal("INT");
    assert_eq!(child.wait().expect("its end").code(), Some(130));
    run.rig.shell("touch go-before go-after");
    // Nobody is at it any more, and whoever comes next says so.
    run.say(&["run", "nightly"]).ends_with_code(0);
    assert_eq!(run.outcomes()[0], "backups.nightly lost");
}

/// Whatever is killed whenever: the next one finds its place, nothing is half on record, what was said to be there is there, everybody hears of
/// every outcome, and nothing went that had not been marked before.
///
/// Half of the kills come at the boundary of a step, which the program itself announces on standard error; the others at any moment.
#[test]
fn killed_at_any_moment() {
    let rounds = chance::rounds(12, 200);
    let receiver = Receiver::open();
    let url = receiver.secret("url", &receiver.url("/told"));
    let run = Run::new(
        "",
        &format!(
            "receivers: {{ hook: {{ webhook: {{ url: {{ file: {} }} }} }} }}\n\
             alerts: {{ routes: [{{ to: [hook] }}, {{ event: succeeded, job: nightly, to: [hook] }}] }}\n\
             expire: {{ brake: 100%, grace: 1h }}\n",
            url.display()
        ),
    );
    run.change("keep: { daily: 7 }", "keep: { last: 3 }");
    run.change("keep: 7d }", "keep: 1h }");
    run.say(&["run", "nightly"]).ends_with_code(0);
    let mut lot = chance::lot("killed_at_any_moment");
    let (mut at_boundaries, mut watches) = (0, 0);
    let mut seen = BTreeSet::new();
    for round in 0..rounds {
        seen.extend(descriptors(&run));
        // What was marked in earlier rounds was marked long ago.
        run.rig.shell("find store/try-*/expiring -type f -exec touch -d '2 hours ago' {} + 2>/dev/null || true");
        let mut child = run.command(&["run", "nightly"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("seawall");
        let said = BufReader::new(child.stderr.take().expect("its words"));
        if round % 2 == 0 {
            // The backup's seven steps, what was deleted, and the outcome.
            let boundary = 1 + round / 2 % 11;
            let mut lines = said.lines().map_while(Result::ok).filter(|line| !line.trim_start().starts_with("help:"));
            at_boundaries += usize::from(lines.nth(boundary - 1).is_some());
            run.signal("KILL");
            lines.for_each(drop);
        } else {
            let rest = thread::spawn(move || said.lines().map_while(Result::ok).for_each(drop));
            thread::sleep(Duration::from_millis(lot.below(1600) as u64));
            run.signal("KILL");
            rest.join().expect("its end");
        }
        let _ = child.wait();
        // Who tells of it may be killed as well.
        if lot.below(2) == 0 {
            watches += 1;
            let mut watch = run.command(&["watch"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("seawall");
            thread::sleep(Duration::from_millis(lot.below(500) as u64));
            run.signal_to("watch", "KILL");
            let _ = watch.wait();
        }
    }
    println!("{rounds} kills of a run, {at_boundaries} of them at the boundary of a step; {watches} of a watch");
    assert!(at_boundaries >= rounds / 4, "boundaries are found in what it says");
    run.say(&["run", "nightly"]).ends_with_code(0);
    // Claims of dead senders run out with time.
    run.sql("update outbox set leased_until = null, next_try = null");
    run.say(&["watch"]).ends_with_code(0);
    run.say(&["watch"]).ends_with_code(0);
    whole_on_record(&run);
    all_heard(&run, &receiver);
    only_what_was_marked_went(&run, &seen);
    run.say(&["verify"]).ends_with_code(0);
}

fn whole_on_record(run: &Run) {
    let runs = run.history();
    assert!(runs.iter().all(|run| run.outcome.is_some() && run.ended.is_some()), "{runs:?}");
    for of in &runs {
        let steps = run.steps(of);
        let open: Vec<u32> = steps.iter().filter(|step| step.ended.is_none()).map(|step| step.number).collect();
        match of.outcome {
            // It was killed within its last step, and every one before that has its end.
            Some(Outcome::Lost) => {
                assert!(open.len() <= 1 && open.iter().all(|number| *number as usize == steps.len()), "{of:?} {steps:?}");
            }
            _ => assert!(open.is_empty(), "{of:?} {steps:?}"),
        }
    }
    let links = run.catalog().links(1, 1_000_000).expect("the chain");
    audit::verify(&links, &[]).expect("whole");
    // With its end, a run is said in the chain: once, whoever was killed in between.
    for of in &runs {
        let says = |link: &&audit::Link| {
            let details: serde_json::Value = serde_json::from_str(&link.entry.details).unwrap_or_default();
            let started = details["started"].as_str().and_then(|at| at.parse::<Instant>().ok());
            details["job"] == of.job.as_str() && started.is_some_and(|at| at.as_microsecond() == of.started.as_microsecond())
        };
        let said: Vec<_> = links.iter().filter(says).map(|link| link.entry.kind.as_str()).collect();
        let word = of.outcome.map_or("?", |outcome| outcome.word());
        assert!(matches!(said[..], [one] if one.ends_with(word)), "{of:?}: {said:?}");
    }
}

fn all_heard(run: &Run, receiver: &Receiver) {
    let told: Vec<String> = receiver.bodies("/told").iter().map(ToString::to_string).collect();
    let runs = run.history();
    for backup in runs.iter().filter(|run| run.job == "backups.nightly").filter_map(|run| run.backup.as_ref()) {
        assert!(told.iter().any(|body| body.contains(backup.as_str())), "nobody heard of {backup}");
    }
    let lost = runs.iter().filter(|run| run.outcome == Some(Outcome::Lost)).count();
    // As an alert, or, where no look lived until the next good run, as something that is over.
    assert!(lost > 0 && told.iter().any(|body| body.contains("failed:backups.nightly")), "{lost}: {told:#?}");
    let undelivered = run.catalog().undelivered("try").expect("read");
    assert!(undelivered.is_empty(), "{undelivered:?}");
}

/// The backups in the store, whoever has a record of them.
fn descriptors(run: &Run) -> BTreeSet<String> {
    let names = run.rig.objects("backups").into_iter();
    names.filter_map(|name| Some(name.strip_suffix(".json")?.split_once('-')?.1.to_owned())).collect()
}

fn only_what_was_marked_went(run: &Run, seen: &BTreeSet<String>) {
    let there = descriptors(run);
    let is_there = |id: &str| there.contains(id);
    let made: Vec<String> = run.history().into_iter().filter_map(|run| run.backup).collect();
    for id in made.iter().rev().take(3) {
        assert!(is_there(id), "{id} is one of the last three");
        run.say(&["show", id]).ends_with_code(0);
    }
    let links = run.catalog().links(1, 1_000_000).expect("the chain");
    let said = |kind: &str, id: &str| links.iter().any(|link| link.entry.kind == kind && link.entry.what.contains(id));
    let gone: BTreeSet<&String> = made.iter().chain(seen).filter(|id| !is_there(id)).collect();
    for id in &gone {
        assert!(said("expire.marked", id) && said("expire.deleting", id), "{id} is gone, and the chain does not say why");
    }
    // And what never was on record as a backup was never deleted as one.
    let deleted = links.iter().filter(|link| link.entry.kind == "expire.deleted" && link.entry.what.contains(" of `nightly`")).count();
    assert!(deleted <= gone.len(), "{deleted} {gone:?}");
    println!("{} backups on record, {} seen, {} expired", made.len(), seen.len(), gone.len());
}
