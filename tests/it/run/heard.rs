use super::rig::Run;
use crate::clusters::StopMode;
use crate::servers::post_office::{PostOffice, header};

pub(super) fn mail(port: u16) -> String {
    format!(
        "smtp: {{ host: 127.0.0.1, port: {port}, tls: none, from: seawall@example.com }}\n\
         receivers: {{ dba: {{ email: {{ to: [dba@example.com] }} }} }}\n\
         alerts: {{ routes: [{{ to: [dba] }}, {{ event: succeeded, job: nightly, to: [dba] }}] }}\n"
    )
}

pub(super) fn subjects(office: &PostOffice) -> Vec<String> {
    office.mails().iter().map(|mail| header(mail, "subject").concat()).collect()
}

#[test]
fn a_failure_is_told_once_and_its_end_too() {
    let office = PostOffice::open(&[]);
    let run = Run::new("", &mail(office.port));
    run.say(&["run", "--due"]).ends_with_code(0);
    // A run sends nothing itself: it may not have the secrets.
    assert_eq!(subjects(&office), [""; 0]);
    run.say(&["watch"]).ends_with_code(0).says("nothing is wrong").says("1 message sent");
    run.say(&["watch"]).ends_with_code(0).says("nothing is wrong");
    assert_eq!(subjects(&office), ["[info] try: 'backups.nightly' succeeded"]);
    run.rig.shell("mv store gone");
    run.say(&["run", "nightly"]).says("FAILED");
    run.say(&["watch"]).ends_with_code(0).says("failed:backups.nightly");
    run.say(&["watch"]).ends_with_code(0);
    run.rig.shell("rm -rf store; mv gone store");
    run.say(&["run", "nightly"]).ends_with_code(0);
    run.say(&["watch"]).ends_with_code(0).says("nothing is wrong");
    let told = subjects(&office);
    assert_eq!(told.iter().filter(|subject| subject.contains("[critical] try: 'backups.nightly' failed")).count(), 1, "{told:?}");
    assert_eq!(told.iter().filter(|subject| subject.starts_with("[resolved]")).count(), 1, "{told:?}");
}

#[test]
fn a_policy_that_cannot_be_read_changes_nothing_and_is_heard_of() {
    let office = PostOffice::open(&[]);
    let run = Run::new("", &mail(office.port));
    run.say(&["run", "--due"]).ends_with_code(0);
    run.change("wal: {", "wal: { stores: disk,");
    run.say(&["run", "--due"]).ends_with_code(1).says("cannot be used").says("policy.yaml:");
    run.say(&["run", "--due"]).ends_with_code(1);
    assert_eq!(run.backups(), 1);
    run.say(&["watch"]).ends_with_code(0).says("the policy cannot be read");
    let told = subjects(&office);
    assert_eq!(told.iter().filter(|subject| subject.contains("the policy cannot be read")).count(), 1, "{told:?}");
    // However often it was tried. No job of the policy has failed.
    assert_eq!(run.outcomes(), ["backups.nightly succeeded", "expire succeeded", "policy failed"]);
    assert_eq!(run.catalog().success_rate("try", seawall::units::Instant::UNIX_EPOCH).expect("a rate"), (2, 2));
    let standing = run.catalog().of_policies(&["try"], seawall::units::Instant::UNIX_EPOCH).expect("how it stands");
    assert_eq!(standing["try"].runs, (2, 2));
    let links = run.catalog().links(1, 1000).expect("the chain");
    assert!(links.iter().any(|link| link.entry.kind == "policy.failed" && link.entry.what.contains("policy.yaml")), "{links:#?}");
    run.change("wal: { stores: disk,", "wal: {");
    run.say(&["watch"]).ends_with_code(0);
    assert!(subjects(&office).iter().any(|subject| subject.starts_with("[resolved]")), "{:?}", subjects(&office));
}

/// Database, store, receiver: all down at once. What is owed is delivered once they are back, in order.
#[test]
fn nothing_is_lost_while_everything_is_down() {
    let office = PostOffice::open(&[]);
    let port = office.port;
    let run = Run::new("", &mail(port));
    run.say(&["run", "nightly"]).ends_with_code(0);
    drop(office);
    run.rig.cluster.stop(StopMode::Fast);
    run.rig.shell("mv store gone");
    run.say(&["run", "nightly"]).says("FAILED");
    run.say(&["watch"]).ends_with_code(0).says("0 messages sent, 1 not yet");
    run.say(&["watch"]).ends_with_code(0);
    run.rig.shell("rm -rf store; mv gone store");
    run.rig.cluster.resume();
    run.say(&["run", "nightly"]).ends_with_code(0);
    run.say(&["watch"]).ends_with_code(0);
    // What waits is tried again after its pause: the clock of the record is moved, not the test's patience.
    let office = PostOffice::open_at(port, &[]);
    run.sql("update outbox set next_try = 0");
    run.say(&["watch"]).ends_with_code(0);
    let told = subjects(&office);
    assert_eq!(
        told,
        [
            "[info] try: 'backups.nightly' succeeded",
            "[critical] try: 'backups.nightly' failed",
            "[resolved] try: backups.nightly failed",
            "[info] try: 'backups.nightly' succeeded"
        ]
    );
}

/// Who can change the catalog can write all of the chain anew, but not what the store has of it.
#[test]
fn the_store_witnesses_the_audit_chain() {
    let run = Run::new("", "");
    run.say(&["run", "nightly"]).ends_with_code(0);
    run.say(&["watch"]).ends_with_code(0);
    run.say(&["audit", "verify", "--store", "disk"]).ends_with_code(0).says("whole: ").says("from elsewhere agree");
    assert!(run.rig.objects("audit").iter().all(|name| name.ends_with(".jsonl")) && !run.rig.objects("audit").is_empty());
    run.say(&["verify"]).ends_with_code(0);
    run.say(&["run", "nightly"]).ends_with_code(0);
    run.say(&["audit", "verify", "--store", "disk"]).ends_with_code(0);
    // Cut short, the chain is whole in itself.
    run.sql("drop trigger audit_is_not_deleted; delete from audit where seq > 1");
    run.say(&["audit", "verify"]).ends_with_code(0).says("whole: 1 link");
    run.say(&["audit", "verify", "--store", "disk"]).ends_with_code(1).says("the audit chain is broken at");
}

/// What the catalog does not know any more, the store does: a catalog that was put back, and one that is gone, are found out and told of once.
#[test]
fn a_catalog_that_was_replaced_is_found_out() {
    let office = PostOffice::open(&[]);
    let run = Run::new("", &mail(office.port));
    let told = || subjects(&office).iter().filter(|subject| subject.contains("the catalog is not the one")).count();
    let look = |offset: &str| {
        run.say_at(offset, &["watch"]).ends_with_code(0);
        run.say_at(offset, &["watch"]).ends_with_code(0);
    };
    run.say(&["run", "nightly"]).ends_with_code(0);
    run.rig.shell("cp state/catalog.db old.db");
    run.say(&["run", "nightly"]).ends_with_code(0);
    look("+0s");
    assert_eq!(told(), 0);
    // An older copy goes on from where it was, with a run of the same number: people hear of that one too.
    run.rig.shell("rm -f state/catalog.db-wal state/catalog.db-shm && cp old.db state/catalog.db");
    run.say(&["run", "nightly"]).ends_with_code(0);
    let before = subjects(&office).iter().filter(|subject| subject.contains("'backups.nightly' succeeded")).count();
    assert_eq!(before, 2);
    look("+0s");
    // What was told before the copy was made is told again: nobody knows any more that it was. The new one is not taken for the lost one.
    let ids = |mails: &[serde_json::Value]| mails.iter().map(|mail| header(mail, "message-id").concat()).collect::<Vec<_>>();
    let all = ids(&office.mails());
    let distinct: std::collections::BTreeSet<&String> = all.iter().collect();
    let succeeded = subjects(&office).iter().filter(|subject| subject.contains("'backups.nightly' succeeded")).count();
    assert_eq!((succeeded, distinct.len()), (before + 2, all.len() - 1), "{all:?}");
    assert_eq!(told(), 1);
    let replaced =
        || run.catalog().links(1, 1000).expect("the chain").into_iter().filter(|link| link.entry.kind == "catalog.replaced").count();
    assert_eq!(replaced(), 1);
    // Once, and it goes on being copied.
    look("+2h");
    run.say_at("+2h", &["ack", "catalog_replaced"]).ends_with_code(0);
    run.say(&["run", "nightly"]).ends_with_code(0);
    look("+4h");
    assert_eq!((told(), replaced()), (2, 1), "begun and over: {:?}", subjects(&office));
    run.say(&["audit", "verify", "--store", "disk"]).ends_with_code(1).says("the audit chain is broken at");
    // And now it is gone.
    run.rig.shell("rm -f state/catalog.db state/catalog.db-wal state/catalog.db-shm");
    look("+0s");
    assert_eq!((told(), replaced()), (3, 1), "{:?}", subjects(&office));
    look("+2h");
    assert_eq!((told(), replaced()), (3, 1));
}

/// Each kind reaches the route that asks for it and no other, although a run's own look is the first to see how it ended.
#[test]
fn every_kind_of_event_reaches_who_asks_for_it() {
    const KINDS: [&str; 6] = ["succeeded", "failed", "drill-succeeded", "drill-failed", "restored", "policy-changed"];
    let office = PostOffice::open(&[]);
    let of_each = |of: &dyn Fn(&str) -> String| KINDS.map(of).join(", ");
    let more = format!(
        "smtp: {{ host: 127.0.0.1, port: {}, tls: none, from: seawall@example.com }}\nreceivers: {{ {} }}\nalerts: {{ routes: [{}] }}\n\
         drills:\n  good: {{ restore: {{ latest: nightly }} }}\n  \
         bad: {{ restore: {{ latest: nightly }}, expect: {{ never: {{ sql: \"select 1\", is: 2 }} }} }}\n",
        office.port,
        of_each(&|kind| format!("{kind}: {{ email: {{ to: [{kind}@example.com] }} }}")),
        of_each(&|kind| format!("{{ event: {kind}, to: [{kind}] }}")),
    );
    let run = Run::new("", &more);
    run.say(&["run", "nightly"]).ends_with_code(0);
    // A drill wants some log after the backup.
    let cluster = &run.rig.cluster;
    let archived = || cluster.sql("select archived_count from pg_stat_archiver");
    let before = archived();
    cluster.sql("create table later ()");
    cluster.sql("select pg_switch_wal()");
    cluster.wait_until(&format!("exists (select from pg_stat_archiver where archived_count > {before})"));
    run.say(&["run", "good"]).ends_with_code(0);
    run.say(&["run", "bad"]).ends_with_code(1);
    let target = run.file("back").display().to_string();
    run.say(&["restore", "--yes", "--target", &target]).ends_with_code(0);
    run.change("rpo: 5m", "rpo: 6m");
    run.rig.shell("mv store gone");
    run.say(&["run", "nightly"]).says("FAILED");
    run.rig.shell("rm -rf store; mv gone store");
    run.say(&["watch"]).ends_with_code(0);
    run.say(&["watch"]).ends_with_code(0);
    let mut told: Vec<String> = office
        .mails()
        .iter()
        .map(|mail| format!("{} {}", header(mail, "to").concat().replace("@example.com", ""), header(mail, "subject").concat()))
        .collect();
    told.sort();
    let expected = [
        "drill-failed [critical] try: 'drills.bad' failed",
        "drill-succeeded [info] try: 'drills.good' succeeded",
        "failed [critical] try: 'backups.nightly' failed",
        "policy-changed [info] try: the policy was changed",
        "restored [info] try: 'restore' succeeded",
        "succeeded [info] try: 'backups.nightly' succeeded",
        "succeeded [info] try: 'expire' succeeded",
    ];
    assert_eq!(told, expected);
}
