//! Receivers that forget, receivers that refuse, and what was recorded late.

use std::thread;
use std::time::{Duration, Instant};

use super::heard::{mail, subjects};
use super::rig::Run;
use crate::servers::alertmanager::Alertmanager;
use crate::servers::post_office::PostOffice;
use crate::servers::receiver::Receiver;

fn failed(manager: &Alertmanager) -> usize {
    let is_ours = |alert: &&serde_json::Value| alert["labels"]["key"] == "failed:backups.nightly";
    manager.firing().iter().filter(is_ours).count()
}

#[track_caller]
fn becomes(manager: &Alertmanager, count: usize) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while Instant::now() < deadline {
        if failed(manager) == count {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("{count} expected: {:#?}", manager.firing());
}

/// An alert that burns for longer than its end at Alertmanager, and longer than Alertmanager's own memory, still fires there.
#[test]
fn what_burns_on_still_fires_at_alertmanager() {
    let manager = Alertmanager::start();
    let receivers = format!(
        "receivers: {{ prometheus: {{ alertmanager: {{ url: \"{}\" }} }} }}\nalerts: {{ routes: [{{ severity: critical, to: [prometheus] }}] }}\n",
        manager.url()
    );
    let run = Run::new("", &receivers);
    run.say(&["run", "nightly"]).ends_with_code(0);
    run.rig.shell("mv store gone");
    // As it was a day ago but for half a minute: what is said now ends then, because it is said to last for a day.
    let then = "-86370s";
    run.say_at(then, &["run", "nightly"]).says("FAILED");
    run.say_at(then, &["watch"]).ends_with_code(0).says("failed:backups.nightly");
    becomes(&manager, 1);
    becomes(&manager, 0);
    run.say(&["watch"]).ends_with_code(0).says("failed:backups.nightly");
    becomes(&manager, 1);
    // One that was started anew knows nothing.
    let port = manager.port();
    drop(manager);
    let manager = Alertmanager::start_at(port);
    assert_eq!(failed(&manager), 0);
    run.say_at("+6m", &["watch"]).ends_with_code(0);
    becomes(&manager, 1);
    run.rig.shell("rm -rf store; mv gone store");
    run.say(&["run", "nightly"]).ends_with_code(0);
    run.say_at("+7m", &["watch"]).ends_with_code(0);
    becomes(&manager, 0);
}

/// Those who forget are told every few minutes, people once.
#[test]
fn telling_again_is_no_reminder() {
    let (office, receiver) = (PostOffice::open(&[]), Receiver::open());
    let more = mail(office.port)
        .replace("receivers: {", &format!("receivers: {{ prometheus: {{ alertmanager: {{ url: \"{}\" }} }}, ", receiver.url("/am")))
        .replace("[{ to: [dba] }", "[{ to: [dba, prometheus] }");
    let run = Run::new("", &more);
    run.say(&["run", "nightly"]).ends_with_code(0);
    run.rig.shell("mv store gone");
    run.say(&["run", "nightly"]).says("FAILED");
    let posts = || {
        let posts = receiver.bodies("/api/v2/alerts");
        posts.iter().filter(|post| post.to_string().contains("failed:backups.nightly")).count()
    };
    run.say(&["watch"]).ends_with_code(0);
    let first = posts();
    assert!(first >= 1);
    for (offset, again) in [("+1m", 0), ("+4m", 0), ("+6m", 1), ("+7m", 1), ("+12m", 2)] {
        run.say_at(offset, &["watch"]).ends_with_code(0);
        assert_eq!(posts(), first + again, "{offset}");
    }
    let mails = subjects(&office);
    assert_eq!(mails.iter().filter(|subject| subject.contains("'backups.nightly' failed")).count(), 1, "{mails:?}");
}

/// Refused for good, nothing is sent again: somebody who knows of it ends the alert.
#[test]
fn a_refusal_ends_when_somebody_knows_of_it() {
    let office = PostOffice::open(&["--mode", "spam"]);
    let run = Run::new("", &mail(office.port));
    run.say(&["run", "nightly"]).ends_with_code(0);
    run.say(&["watch"]).ends_with_code(0).says("0 messages sent, 1 not yet");
    run.say_at("+20m", &["watch"]).ends_with_code(0).says("delivery:dba");
    run.say_at("+21m", &["ack", "delivery:dba"]).ends_with_code(0);
    run.say_at("+22m", &["watch"]).ends_with_code(0);
    let said = run.say_at("+23m", &["watch"]).ends_with_code(0);
    assert!(!said.out.contains("delivery:dba"), "{said:?}");
}

/// The others have the message, so nothing is sent again: it is said who has not.
#[test]
fn whom_a_mail_server_refuses_for_good_is_named_until_all_are_reached() {
    let office = PostOffice::open(&[]);
    let run = Run::new("", &mail(office.port).replace("to: [dba@example.com]", "to: [dba@example.com, gone@example.com]"));
    run.say(&["run", "nightly"]).ends_with_code(0);
    run.say(&["watch"]).ends_with_code(0).says("1 message sent");
    run.say(&["watch"]).ends_with_code(0).says("refused:dba");
    let told = |subject: &str| subjects(&office).iter().filter(|told| told.contains(subject)).count();
    assert_eq!(told("messages to dba do not reach everybody"), 1, "{:?}", subjects(&office));
    run.say(&["status"]).says("'gone@example.com' was refused: 550").says("receivers.dba.email.to");
    // Somebody knows; that this message has not reached everybody either is nothing new.
    run.say_at("+1m", &["ack", "refused:dba"]).ends_with_code(0);
    for offset in ["+2m", "+3m"] {
        let said = run.say_at(offset, &["watch"]).ends_with_code(0);
        assert!(!said.out.contains("refused:dba"), "{offset}: {said:?}");
    }
    // Another one is another matter, and over with the first message that reaches everybody. Nothing is deleted by such a clock.
    run.change("gone@example.com", "gone@example.org");
    run.say_at("+4m", &["run", "nightly"]).says("succeeded");
    run.say_at("+5m", &["watch"]).ends_with_code(0);
    run.say_at("+6m", &["watch"]).ends_with_code(0).says("refused:dba");
    run.change(", gone@example.org", "");
    run.say_at("+7m", &["run", "nightly"]).says("succeeded");
    run.say_at("+8m", &["watch"]).ends_with_code(0);
    let said = run.say_at("+9m", &["watch"]).ends_with_code(0);
    assert!(!said.out.contains("refused:dba"), "{said:?}");
}

/// It ended before what people were last told of, and was recorded after it.
#[test]
fn what_is_recorded_late_is_told_all_the_same() {
    let office = PostOffice::open(&[]);
    let run = Run::new("", &mail(office.port));
    run.say(&["run", "nightly"]).ends_with_code(0);
    run.say(&["watch"]).ends_with_code(0);
    assert_eq!(subjects(&office).len(), 1);
    run.rig.shell("mkdir aside; mv state/catalog.db* aside; mkdir state/catalog.db");
    run.say_at("-30m", &["run", "nightly"]).says("nothing can be recorded");
    assert_eq!(run.backups(), 2);
    run.rig.shell("rmdir state/catalog.db; rm -rf state/catalog.db*; mv aside/* state");
    run.say(&["watch"]).ends_with_code(0);
    run.say(&["watch"]).ends_with_code(0);
    let told = subjects(&office);
    assert_eq!(told.iter().filter(|subject| **subject == "[info] try: 'backups.nightly' succeeded").count(), 2, "{told:?}");
}

/// What was said under the old name is ended under the old name, and what waits is delivered; the new one begins anew.
#[test]
fn a_policy_that_is_renamed_strands_nothing() {
    let office = PostOffice::open(&[]);
    let port = office.port;
    let run = Run::new("", &mail(port));
    run.say(&["run", "nightly"]).ends_with_code(0);
    run.say(&["watch"]).ends_with_code(0);
    run.rig.shell("mv store gone");
    run.say(&["run", "nightly"]).says("FAILED");
    drop(office);
    run.say(&["watch"]).ends_with_code(0).says("failed:backups.nightly");
    run.change("policy: try\n", "policy: shop\n");
    // Nobody can be told yet.
    run.say(&["watch"]).ends_with_code(0);
    let office = PostOffice::open_at(port, &[]);
    run.sql("update outbox set next_try = 0");
    run.say(&["watch"]).ends_with_code(0);
    run.say(&["watch"]).ends_with_code(0);
    let of_old: Vec<String> = subjects(&office).into_iter().filter(|subject| subject.contains(" try: ")).collect();
    assert_eq!(of_old, ["[critical] try: 'backups.nightly' failed", "[resolved] try: backups.nightly failed"]);
    // Two policies of one host may swap their names: what is another's by now is left to it.
    run.rig.shell("sed 's/policy: shop/policy: try/' policy.yaml > other.yaml");
    let other = run.file("other.yaml").display().to_string();
    let mut watch = run.rig.cluster.account().command(env!("CARGO_BIN_EXE_seawall"));
    watch.args(["watch", "--host", "db-1", "--policy", &other, "--state"]).arg(run.file("state"));
    assert!(watch.output().expect("seawall").status.success());
    run.change("policy: shop\n", "policy: third\n");
    run.say(&["watch"]).ends_with_code(0);
    let told = subjects(&office);
    assert_eq!(told.iter().filter(|subject| subject.starts_with("[resolved] try")).count(), 1, "{told:?}");
}
