//! What is owed is delivered: from a real catalog to real servers, with a clock that a test can turn.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant as Stopwatch};

use jiff::SignedDuration;
use seawall::alert::{Condition, Memory, Notice, NoticeKind, Seen, State, judge};
use seawall::catalog::{Catalog, QueuedNotice, Where};
use seawall::notify::outbox::{Flushed, flush};
use seawall::policy::file::Severity;
use seawall::policy::model::Policy;
use seawall::units::{Instant, Name};
use serde_json::Value;

use super::{item, notice, policy, text};
use crate::servers::post_office::{PostOffice, header};
use crate::servers::receiver::Receiver;

/// A catalog, a policy, and a clock.
struct Desk {
    folder: tempfile::TempDir,
    policies: BTreeMap<Name, Policy>,
    seconds: AtomicI64,
}

impl Desk {
    fn new(receivers: &str, smtp: &str) -> Desk {
        let policy = policy(&text(receivers, smtp));
        let policies = BTreeMap::from([(policy.name.clone(), policy)]);
        Desk { folder: tempfile::tempdir().expect("a folder"), policies, seconds: AtomicI64::new(0) }
    }

    fn catalog(&self) -> Catalog {
        Catalog::open(&Where::Sqlite(self.folder.path().join("catalog.db"))).expect("a catalog")
    }

    fn now(&self) -> Instant {
        let begin: Instant = "2026-11-21T03:00:00Z".parse().expect("a moment");
        begin.checked_add(SignedDuration::from_secs(self.seconds.load(Ordering::SeqCst))).expect("a moment")
    }

    fn wait(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    fn queue(&self, notice: &Notice) {
        let json = serde_json::to_string(notice).expect("JSON");
        let (policy, receiver) = (notice.policy.as_str(), notice.receiver.as_str());
        let queued = QueuedNotice { id: &notice.id, policy, receiver, json: &json, not_before: self.now() };
        self.catalog().queue(&[queued], self.now()).expect("queued");
    }

    fn flush(&self, who: &str) -> Flushed {
        flush(&self.catalog(), &self.policies, &|| self.now(), who, &AtomicBool::new(false)).expect("the catalog works")
    }
}

fn to(receiver: &str, kind: NoticeKind, id: &str, key: &str) -> Notice {
    let mut notice = notice(kind, id);
    notice.receiver = receiver.parse().expect("a name");
    notice.items = vec![item(key)];
    notice.subject = id.to_owned();
    notice
}

fn smtp(office: &PostOffice) -> String {
    format!("{{ host: 127.0.0.1, port: {}, tls: none, from: seawall@example.com }}", office.port)
}

fn subjects(office: &PostOffice) -> Vec<String> {
    office.mails().iter().map(|mail| header(mail, "Subject").concat()).collect()
}

fn ids(flushed: &Flushed) -> Vec<&str> {
    flushed.delivered.iter().map(|delivery| delivery.id.as_str()).collect()
}

#[test]
fn a_story_is_told_in_order_and_stays_together() {
    let office = PostOffice::open(&["--mode", "later"]);
    let desk = Desk::new("  dba: { email: { to: [dba@example.com] } }\n", &smtp(&office));
    for (kind, id, key) in [
        (NoticeKind::Firing, "a-1", "a"),
        (NoticeKind::Firing, "b-1", "b"),
        (NoticeKind::Reminder, "a-2", "a"),
        (NoticeKind::Resolved, "a-3", "a"),
    ] {
        desk.queue(&to("dba", kind, id, key));
    }
    // The first attempt fails; what comes after it does not overtake it.
    let first = desk.flush("one");
    assert_eq!((ids(&first), first.failed.len()), (vec![], 1));
    assert!(first.failed[0].message.contains("451 4.3.0 not now") && !first.failed[0].gave_up, "{first:?}");
    let pause = first.failed[0].next_try.duration_since(desk.now()).as_secs();
    assert!((48..=72).contains(&pause), "{pause}");
    assert!(desk.flush("one").failed.is_empty(), "it is too soon");
    desk.wait(75);
    // The end of `a` is known by now; its beginning is told all the same, and first.
    assert_eq!(ids(&desk.flush("one")), ["a-1", "b-1", "a-2", "a-3"]);
    assert_eq!(subjects(&office), ["a-1", "b-1", "a-2", "a-3"]);
    let mails = office.mails();
    let ids: Vec<String> = mails.iter().flat_map(|mail| header(mail, "Message-ID")).collect();
    let threads: Vec<Vec<String>> = mails.iter().map(|mail| header(mail, "In-Reply-To")).collect();
    assert_eq!(threads, [vec![], vec![], vec![ids[0].clone()], vec![ids[0].clone()]]);
    assert!(desk.catalog().undelivered("shop").expect("it answers").is_empty());
}

#[test]
fn nobody_waits_for_somebody_elses_server() {
    let (office, receiver) = (PostOffice::open(&[]), Receiver::open());
    let manager = receiver.url("/hang");
    let mut receivers = format!(
        "  dba: {{ email: {{ to: [dba@example.com] }} }}\n  stuck: {{ webhook: {{ url: {{ file: {} }} }} }}\n",
        receiver.secret("hang", &manager).display()
    );
    let hung: Vec<String> = (10..27).map(|number| format!("hung{number}")).collect();
    receivers.extend(hung.iter().map(|name| format!("  {name}: {{ alertmanager: {{ url: \"{manager}\" }} }}\n")));
    let desk = Desk::new(&receivers, &smtp(&office));
    let names: Vec<&str> = hung.iter().map(String::as_str).chain(["stuck", "dba"]).collect();
    for number in 0..5 {
        for name in &names {
            desk.queue(&to(name, NoticeKind::Firing, &format!("{name}-{number}"), &format!("key:{number}")));
        }
    }
    let began = Stopwatch::now();
    let flushed = desk.flush("one");
    assert_eq!((flushed.delivered.len(), subjects(&office).len()), (5, 5), "{:?}", flushed.failed);
    // One attempt each, side by side; a server that kept eight waiting in vain is not asked by the ninth.
    assert!(began.elapsed() < Duration::from_secs(88), "{:?}", began.elapsed());
    assert_eq!(flushed.failed.len(), 18, "{:?}", flushed.failed);
    assert!(flushed.failed.iter().all(|failure| failure.id.ends_with("-0") && !failure.gave_up));
    let spared = flushed.failed.iter().filter(|failure| failure.message.starts_with("not tried: the Alertmanager at "));
    assert!(spared.count() >= 9, "{:?}", flushed.failed);
    assert_eq!(desk.catalog().failing_receivers("shop").expect("it answers").len(), 18);
}

#[test]
fn those_who_have_it_do_not_get_it_again() {
    let office = PostOffice::open(&[]);
    let desk = Desk::new("  dba: { email: { to: [dba@example.com, grey@example.com, gone@example.com] } }\n", &smtp(&office));
    desk.queue(&to("dba", NoticeKind::Firing, "a-1", "a"));
    assert_eq!(desk.flush("one").failed.len(), 1);
    desk.wait(75);
    assert_eq!(ids(&desk.flush("two")), ["a-1"]);
    let recipients: Vec<Value> = office.mails().into_iter().map(|mail| mail["recipients"].clone()).collect();
    assert_eq!(recipients, [serde_json::json!(["dba@example.com"]), serde_json::json!(["grey@example.com"])]);
}

#[test]
fn what_is_refused_is_given_up_and_holds_up_nothing() {
    let receiver = Receiver::open();
    let secret = |name: &str, path: &str| receiver.secret(name, &receiver.url(path)).display().to_string();
    let receivers = format!(
        "  bad: {{ webhook: {{ url: {{ file: {} }} }} }}\n  busy: {{ webhook: {{ url: {{ file: {} }} }} }}\n",
        secret("bad", "/400"),
        secret("busy", "/429")
    );
    let desk = Desk::new(&receivers, "");
    for id in ["bad-1", "bad-2"] {
        desk.queue(&to("bad", NoticeKind::Event, id, "a"));
    }
    desk.queue(&to("busy", NoticeKind::Event, "busy-1", "a"));
    let mut gone = to("bad", NoticeKind::Event, "gone-1", "a");
    gone.receiver = "former".parse().expect("a name");
    desk.queue(&gone);
    let broken = QueuedNotice { id: "x", policy: "shop", receiver: "bad", json: "{", not_before: desk.now() };
    desk.catalog().queue(&[broken], desk.now()).expect("queued");
    // Somebody else's policy is left to them.
    let foreign = QueuedNotice { id: "y", policy: "elsewhere", receiver: "bad", json: "{}", not_before: desk.now() };
    desk.catalog().queue(&[foreign], desk.now()).expect("queued");
    let flushed = desk.flush("one");
    let mut given_up: Vec<&str> = flushed.failed.iter().filter(|failure| failure.gave_up).map(|failure| failure.id.as_str()).collect();
    given_up.sort_unstable();
    assert_eq!(given_up, ["bad-1", "bad-2", "gone-1", "x"]);
    let busy = flushed.failed.iter().find(|failure| failure.id == "busy-1").expect("it failed");
    let asked = busy.next_try.duration_since(desk.now()).as_secs();
    assert!(!busy.gave_up && (30..=36).contains(&asked), "it asked for 7 s, and half a minute is the least: {asked}");
    // Tried for most of a day, it is still waited for.
    for attempt in 2..25 {
        desk.wait(3600);
        let failed = desk.flush("one").failed;
        assert!(failed.len() == 1 && !failed[0].gave_up, "only the busy one is tried again ({attempt}): {failed:?}");
    }
    assert_eq!(desk.catalog().undelivered("elsewhere").expect("it answers")[0].attempts, 0);
    // After a week it is of no use to anybody.
    desk.wait(8 * 86_400);
    assert!(desk.flush("one").failed[0].gave_up);
    desk.wait(8 * 86_400);
    assert!(desk.flush("one").failed.is_empty());
}

/// For a moment the clock is weeks ahead, and just then a server does not answer.
#[test]
fn a_clock_that_jumps_makes_nobody_give_up() {
    let office = PostOffice::open(&["--mode", "later"]);
    let desk = Desk::new("  dba: { email: { to: [dba@example.com] } }\n", &smtp(&office));
    desk.queue(&to("dba", NoticeKind::Firing, "before", "a"));
    desk.wait(30 * 86_400);
    desk.queue(&to("dba", NoticeKind::Reminder, "meanwhile", "a"));
    let failed = desk.flush("one").failed;
    assert!(failed.len() == 1 && failed[0].id == "before" && !failed[0].gave_up, "{failed:?}");
    desk.wait(60 - 30 * 86_400);
    desk.queue(&to("dba", NoticeKind::Resolved, "after", "a"));
    assert_eq!(ids(&desk.flush("one")), ["before", "meanwhile", "after"]);
    assert_eq!(subjects(&office), ["before", "meanwhile", "after"]);
}

#[test]
fn two_senders_deliver_everything_once() {
    let receiver = Receiver::open();
    let url = receiver.secret("url", &receiver.url("/hook"));
    let names: Vec<String> = (0..6).map(|number| format!("r{number}")).collect();
    let receivers: String =
        names.iter().map(|name| format!("  {name}: {{ webhook: {{ url: {{ file: {} }} }} }}\n", url.display())).collect();
    let desk = Desk::new(&receivers, "");
    for number in 0..20 {
        for name in &names {
            desk.queue(&to(name, NoticeKind::Event, &format!("{name}-{number:02}"), "a"));
        }
    }
    let delivered: usize = std::thread::scope(|scope| {
        let senders = ["one", "two", "three"].map(|who| scope.spawn(|| desk.flush(who).delivered.len()));
        senders.into_iter().map(|sender| sender.join().expect("it ends")).sum()
    });
    assert_eq!(delivered, 120);
    let mut came: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for body in receiver.bodies("/hook") {
        let text = |key: &str| body[key].as_str().expect("text").to_owned();
        came.entry(text("receiver")).or_default().push(text("id"));
    }
    for name in names {
        let expected: Vec<String> = (0..20).map(|number| format!("{name}-{number:02}")).collect();
        assert_eq!(came[&name], expected, "once each, and in order");
    }
}

#[test]
fn who_is_asked_to_stop_gives_back_what_was_not_begun() {
    let receiver = Receiver::open();
    let url = receiver.secret("url", &receiver.url("/hook"));
    let desk = Desk::new(&format!("  dba: {{ webhook: {{ url: {{ file: {} }} }} }}\n", url.display()), "");
    desk.queue(&to("dba", NoticeKind::Event, "a-1", "a"));
    let stop = AtomicBool::new(true);
    let flushed = flush(&desk.catalog(), &desk.policies, &|| desk.now(), "one", &stop).expect("the catalog works");
    assert!(flushed.delivered.is_empty() && receiver.requests().is_empty());
    assert_eq!(ids(&desk.flush("two")), ["a-1"]);
}

/// However much is wrong at once, the catalog takes every message about it, and each thing is told once.
#[test]
fn a_digest_of_very_much_is_several() {
    let receiver = Receiver::open();
    let desk =
        Desk::new(&format!("  dba: {{ webhook: {{ url: {{ file: {} }} }} }}\n", receiver.secret("url", &receiver.url("/x")).display()), "");
    let policy = desk.policies.values().next().expect("a policy");
    let key = |number: usize| format!("failed:backups.job{number:03}");
    let wrong = |number| Condition::new(key(number), Severity::Critical, "it failed").state(State::Firing).text("é".repeat(20_000));
    let conditions: Vec<Condition> = (0..400).map(wrong).collect();
    let seen = Seen { host: "db-1", conditions: Some(&conditions), ..Seen::default() };
    let judged = judge(policy, Memory::default(), &seen, desk.now());
    let json: Vec<String> = judged.notices.iter().map(|notice| serde_json::to_string(notice).expect("JSON")).collect();
    let queued: Vec<QueuedNotice<'_>> = (judged.notices.iter().zip(&json))
        .map(|(notice, json)| QueuedNotice { id: &notice.id, policy: "shop", receiver: "dba", json, not_before: desk.now() })
        .collect();
    assert!((2..60).contains(&queued.len()), "{}", queued.len());
    assert!(desk.catalog().decide("shop", 0, &judged.memory.to_json(), &queued, desk.now()).expect("the catalog takes them"));
    assert_eq!(desk.flush("one").delivered.len(), queued.len());
    let mut told: Vec<String> = judged.notices.iter().flat_map(|notice| &notice.items).map(|item| item.key.clone()).collect();
    told.sort();
    assert_eq!(told, (0..400).map(key).collect::<Vec<_>>());
}
