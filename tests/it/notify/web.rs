//! What goes over HTTP: webhooks, Slack, PagerDuty.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use seawall::alert::{Notice, NoticeKind};
use seawall::notify::{Before, Courier, Deaf, FaultKind, Receipt, SendFault, beat};
use seawall::policy::file::Severity;
use seawall::policy::model::Policy;
use serde_json::{Value, json};

use super::{item, notice, policy, text};
use crate::servers::python;
use crate::servers::receiver::Receiver;

fn webhook(receiver: &Receiver, path: &str) -> Policy {
    let url = receiver.secret(&format!("url{}", path.replace('/', "-")), &receiver.url(path));
    let key = receiver.secret("key", "sesame\n");
    policy(&text(
        &format!("  dba: {{ webhook: {{ url: {{ file: {} }}, sign_with: {{ file: {} }} }} }}\n", url.display(), key.display()),
        "",
    ))
}

fn send(policy: &Policy, notice: &Notice) -> Result<Receipt, SendFault> {
    Courier::new(policy).send(notice, &Before::default())
}

/// The first block of code in that language behind a heading of the page.
fn documented(heading: &str, language: &str) -> String {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/receivers.md")).expect("the page");
    let (_, section) = page.split_once(heading).expect("the heading");
    let (_, code) = section.split_once(&format!("```{language}\n")).expect("the block");
    code.split_once("```").expect("its end").0.to_owned()
}

#[test]
fn a_webhook_is_what_the_page_says_and_its_signature_holds() {
    let receiver = Receiver::open();
    let policy = webhook(&receiver, "/hook?token=sesame");
    let receipt = send(&policy, &notice(NoticeKind::Firing, "n-1")).expect("it is taken");
    assert_eq!(receipt.said, "answered 200");
    send(&policy, &notice(NoticeKind::Firing, "n-1")).expect("it is taken");
    let requests = receiver.requests();
    let body: Value = serde_json::from_str(requests[0]["body"].as_str().expect("text")).expect("JSON");
    let example: Value = serde_json::from_str(&documented("## Webhook", "json")).expect("JSON");
    let keys = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&body), keys(&example));
    assert_eq!(keys(&body["items"][0]), keys(&example["items"][0]));
    for key in ["format_version", "policy", "kind", "severity", "at", "subject"] {
        assert_eq!(body[key], example[key], "{key}");
    }
    assert!(body["text"].as_str().expect("text").contains("is 27 h old"));
    assert_eq!(requests[0]["headers"]["x-seawall-id"], requests[1]["headers"]["x-seawall-id"]);
    assert_eq!(requests[0]["headers"]["content-type"], "application/json");
    // As the page tells others to check it.
    let check = format!(
        "{}\nimport json, sys\nasked = json.load(sys.stdin)\nheader, body = asked['headers']['x-seawall-signature'], asked['body'].encode()\n\
         old = header.replace('t=', 't=1')\n\
         print(is_genuine(b'sesame', header, body), is_genuine(b'sesame', header, body + b' '), is_genuine(b'other', header, body), is_genuine(b'sesame', old, body))",
        documented("## Webhook", "python")
    );
    assert_eq!(python(&check, &requests[0].to_string()), "True False False False\n");
}

#[test]
fn what_a_web_server_says_decides_what_comes_next() {
    let receiver = Receiver::open();
    for (path, kind, words, wait) in [
        ("/sesame/429", FaultKind::Passing, "answered 429", Some(Duration::from_secs(7))),
        ("/sesame/500", FaultKind::Passing, "answered 500", None),
        ("/sesame/503", FaultKind::Passing, "answered 503", None),
        ("/sesame/garbage", FaultKind::Passing, "no answer that makes sense", None),
        ("/sesame/nothing", FaultKind::Passing, "no answer that makes sense", None),
        ("/sesame/401", FaultKind::Setup, "answered 401", None),
        ("/sesame/404", FaultKind::Setup, "answered 404", None),
        ("/sesame/302", FaultKind::Setup, "answered 302", None),
        ("/sesame/400", FaultKind::Refused, "answered 400", None),
    ] {
        let fault = send(&webhook(&receiver, path), &notice(NoticeKind::Firing, "n-1")).expect_err(path);
        assert_eq!((fault.kind, fault.retry_after), (kind, wait), "{path}: {fault:?}");
        assert!(fault.message.contains(words), "{path}: {fault:?}");
        assert!(!format!("{fault:?} {fault}").contains("sesame"), "a secret shows: {fault:?}");
    }
    // Nobody was followed elsewhere, and an answer without an end is not waited for.
    assert!(receiver.requests().iter().all(|request| request["path"] != "/elsewhere"));
    let began = Instant::now();
    send(&webhook(&receiver, "/endless"), &notice(NoticeKind::Firing, "n-1")).expect("200 is 200");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    // A server that is not there, at a secret address.
    let nowhere = receiver.secret("nowhere", "http://127.0.0.1:1/sesame");
    let absent = policy(&text(&format!("  dba: {{ webhook: {{ url: {{ file: {} }} }} }}\n", nowhere.display()), ""));
    let fault = send(&absent, &notice(NoticeKind::Firing, "n-1")).expect_err("nobody is there");
    assert_eq!(fault.kind, FaultKind::Passing);
    assert!(fault.message.starts_with("no connection to 127.0.0.1:1: ") && !format!("{fault:?}").contains("sesame"), "{fault:?}");
}

#[test]
fn a_web_server_that_hangs_is_left() {
    let receiver = Receiver::open();
    let began = Instant::now();
    let fault = send(&webhook(&receiver, "/hang"), &notice(NoticeKind::Firing, "n-1")).expect_err("it hangs");
    assert_eq!(fault.kind, FaultKind::Passing, "{fault:?}");
    assert!((29..90).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

fn bot(receiver: &Receiver, channel: &str, token: &str) -> Policy {
    let token = receiver.secret("token", token);
    policy(&text(
        &format!(
            "  dba: {{ slack: {{ token: {{ file: {} }}, channel: \"{channel}\", api: \"{}\" }} }}\n",
            token.display(),
            receiver.url("/api")
        ),
        "",
    ))
}

#[test]
fn a_bot_answers_in_its_thread_and_changes_what_is_over() {
    let receiver = Receiver::open();
    let policy = bot(&receiver, "#dba", "xoxb-sesame");
    let courier = Courier::new(&policy);
    let first = courier.send(&notice(NoticeKind::Firing, "n-1"), &Before::default()).expect("it is taken");
    let before = Before { reference: first.reference.clone(), ..Before::default() };
    let reminder = courier.send(&notice(NoticeKind::Reminder, "n-2"), &before).expect("it is taken");
    assert_eq!(reminder.reference, first.reference, "the thread is that of the first message");
    courier.send(&notice(NoticeKind::Resolved, "n-3"), &before).expect("it is taken");
    let posts = receiver.bodies("chat.postMessage");
    let updates = receiver.bodies("chat.update");
    assert_eq!((posts.len(), updates.len()), (2, 1));
    assert_eq!((&posts[0]["channel"], posts[0].get("thread_ts")), (&json!("#dba"), None));
    assert_eq!((&posts[1]["channel"], &posts[1]["thread_ts"]), (&json!("C0123"), &json!("1700000000.000001")));
    assert_eq!((&updates[0]["channel"], &updates[0]["ts"]), (&json!("C0123"), &json!("1700000000.000001")));
    assert!(updates[0]["blocks"].to_string().contains(":white_check_mark:"));
    // One of several things is over: the message about all of them stays as it is.
    let mut digest = notice(NoticeKind::Firing, "n-4");
    digest.items.push(item("wal_lag"));
    let several = courier.send(&digest, &Before::default()).expect("it is taken");
    courier.send(&notice(NoticeKind::Resolved, "n-5"), &Before { reference: several.reference, ..Before::default() }).expect("it is taken");
    assert_eq!(receiver.bodies("chat.update").len(), 1);
    assert_eq!(receiver.bodies("chat.postMessage")[3]["thread_ts"], posts_ts(&receiver, 4));
    // The message was deleted, or the reference is none of ours.
    for reference in [r#"{"channel":"C0123","ts":"1.000000"}"#, "<mail@example.com>", "{}"] {
        let before = Before { reference: Some(reference.into()), ..Before::default() };
        courier.send(&notice(NoticeKind::Resolved, "n-6"), &before).expect("it is taken");
    }
    let posts = receiver.bodies("chat.postMessage");
    assert_eq!(posts.len(), 7);
    assert!(posts[4..].iter().all(|post| post["channel"] == "#dba" && post.get("thread_ts").is_none()));
}

/// The time stamp that the receiver gave to its request of this number.
fn posts_ts(_: &Receiver, number: usize) -> String {
    format!("1700000000.{number:06}")
}

#[test]
fn slack_says_no_in_many_ways() {
    let receiver = Receiver::open();
    for (channel, token, kind, words) in [
        ("#dba", "xoxb-wrong", FaultKind::Setup, "Slack refused: invalid_auth"),
        ("#full", "xoxb-sesame", FaultKind::Passing, "Slack refused: ratelimited"),
    ] {
        let fault = send(&bot(&receiver, channel, token), &notice(NoticeKind::Firing, "n-1")).expect_err(words);
        assert_eq!((fault.kind, fault.message.as_str()), (kind, words));
        assert!(!format!("{fault:?}").contains("xoxb"), "{fault:?}");
    }
    let url = receiver.secret("hook", &receiver.url("/services/T0/B0/sesame/404"));
    let hook = policy(&text(&format!("  dba: {{ slack: {{ webhook: {{ file: {} }} }} }}\n", url.display()), ""));
    let fault = send(&hook, &notice(NoticeKind::Firing, "n-1")).expect_err("it is gone");
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Setup, "answered 404"), "an answer may repeat the address");
    let far = receiver.secret("far", "http://hooks.example.com/services/sesame");
    let unprotected = policy(&text(&format!("  dba: {{ slack: {{ webhook: {{ file: {} }} }} }}\n", far.display()), ""));
    let fault = send(&unprotected, &notice(NoticeKind::Firing, "n-1")).expect_err("not in clear text");
    assert!(fault.message.contains("unprotected") && !format!("{fault:?}").contains("sesame"), "{fault:?}");
}

/// Messages of every kind and size, as Slack would get them.
fn slack_messages(receiver: &Receiver) -> Vec<Value> {
    let url = receiver.secret("hook", &receiver.url("/services/hook"));
    let template = "{% for n in range(200) %}{{ n }} {{ subject }} <!channel> &\n{% endfor %}";
    for own in ["", template] {
        let words = format!("  dba: {{ slack: {{ webhook: {{ file: {} }} }}, template: own.txt }}\n", url.display());
        let mut policy = policy(&text(&words, ""));
        policy.templates.clear();
        if !own.is_empty() {
            let source = seawall::policy::source::Source::new("own.txt", "own.txt", own.to_owned());
            policy.templates.insert("dba".parse().expect("a name"), Ok(source));
        }
        for kind in
            [NoticeKind::Firing, NoticeKind::Reminder, NoticeKind::Escalation, NoticeKind::Resolved, NoticeKind::Event, NoticeKind::Sample]
        {
            let mut large = notice(kind, "n-2");
            large.subject = "ä<&>😀".repeat(100);
            large.items = (0..200).map(|number| item(&format!("key:{number}"))).collect();
            large.items[0].text = "<&😀".repeat(3_000);
            large.items[1].title = "&".repeat(5_000);
            large.items[2].severity = Severity::Info;
            large.items[3].title = String::new();
            for notice in [notice(kind, "n-1"), large] {
                Courier::new(&policy).send(&notice, &Before::default()).expect("it is taken");
            }
        }
    }
    receiver.bodies("/services/hook")
}

#[test]
fn slacks_own_types_and_limits_hold() {
    let receiver = Receiver::open();
    let messages = slack_messages(&receiver);
    assert_eq!(messages.len(), 24);
    let length = |value: &Value| value.as_str().expect("text").encode_utf16().count();
    for message in &messages {
        let blocks = message["blocks"].as_array().expect("blocks");
        assert!(blocks.len() <= 50 && length(&message["text"]) <= 4_000, "{}", blocks.len());
        for block in blocks {
            match block["type"].as_str() {
                Some("header") => assert!((1..=150).contains(&length(&block["text"]["text"]))),
                Some("section") => assert!((1..=3_000).contains(&length(&block["text"]["text"]))),
                Some("context") => assert!(block["elements"].as_array().expect("elements").len() <= 10),
                other => panic!("{other:?}"),
            }
            let words = block.to_string();
            assert!(!words.contains("<!channel"), "everybody is called: {words}");
        }
    }
    // What the compiler of Slack's own types has to say.
    let Ok(types) = std::env::var("SEAWALL_TEST_SLACK_TYPES") else {
        panic!("SEAWALL_TEST_SLACK_TYPES must name a folder with @slack/types and typescript; tests/run installs it")
    };
    let room = tempfile::tempdir().expect("a directory");
    std::os::unix::fs::symlink(Path::new(&types).join("node_modules"), room.path().join("node_modules")).expect("a link");
    let check = |messages: &[Value]| {
        let list = messages.iter().map(Value::to_string).collect::<Vec<_>>().join(",\n");
        let text = format!(
            "import type {{ KnownBlock }} from '@slack/types';\n\
             type Message = {{ text: string; blocks: KnownBlock[]; unfurl_links: boolean; unfurl_media: boolean }};\n\
             export const messages: Message[] = [{list}];\n"
        );
        fs::write(room.path().join("messages.ts"), text).expect("a file");
        let compiler = Path::new(&types).join("node_modules/.bin/tsc");
        let words = ["--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", "messages.ts"];
        Command::new(compiler).args(words).current_dir(room.path()).output().expect("the compiler starts")
    };
    let said = check(&messages);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
    // It does look.
    let mut wrong = messages[0].clone();
    wrong["blocks"][1]["text"]["type"] = json!("markdown");
    assert!(!check(&[wrong]).status.success());
}

fn pager(receiver: &Receiver, key: &str) -> Policy {
    let key = receiver.secret("routing", key);
    let words = format!("  dba: {{ pagerduty: {{ routing_key: {{ file: {} }}, url: \"{}\" }} }}\n", key.display(), receiver.url(""));
    policy(&text(&words, ""))
}

#[test]
fn an_incident_begins_and_ends() {
    let receiver = Receiver::open();
    let policy = pager(&receiver, "sesame\n");
    for kind in [NoticeKind::Firing, NoticeKind::Reminder, NoticeKind::Resolved, NoticeKind::Sample, NoticeKind::Event] {
        send(&policy, &notice(kind, "n-1")).unwrap_or_else(|fault| panic!("{kind:?}: {fault}"));
    }
    let events = receiver.bodies("/v2/enqueue");
    let actions: Vec<&str> = events.iter().filter_map(|event| event["event_action"].as_str()).collect();
    assert_eq!(actions, ["trigger", "trigger", "resolve", "trigger", "resolve", "trigger"]);
    assert!(events[..5].iter().all(|event| event["dedup_key"] == "seawall:shop:backup_age:nightly"), "{events:#?}");
    assert_ne!(events[5]["dedup_key"], events[0]["dedup_key"], "what happens once is an incident of its own");
    let payload = &events[0]["payload"];
    assert_eq!(payload["summary"], "shop: the newest backup of nightly is 27 h old");
    assert_eq!(payload["severity"], "critical");
    assert_eq!(payload["timestamp"], "2026-11-21T01:00:00Z");
    assert_eq!(payload["component"], "backups.nightly");
    assert_eq!(payload["custom_details"]["limit"], "25 h");
    // Good news is no incident; several things are several.
    let mut good = notice(NoticeKind::Event, "n-2");
    good.items[0].severity = Severity::Info;
    send(&policy, &good).expect("it is taken");
    assert_eq!(receiver.bodies("/v2/change/enqueue").len(), 1);
    let mut digest = notice(NoticeKind::Firing, "n-3");
    digest.items = (0..3).map(|number| item(&format!("{}{number}", "k".repeat(300)))).collect();
    send(&policy, &digest).expect("it is taken");
    let keys: std::collections::BTreeSet<String> =
        receiver.bodies("/v2/enqueue")[6..].iter().map(|event| event["dedup_key"].as_str().expect("text").to_owned()).collect();
    assert!(keys.len() == 3 && keys.iter().all(|key| key.len() <= 255), "{keys:?}");
    // Of very many things some are incidents and one stands for the others; all of them are closed, and none twice.
    let after = |kind, reached: &[&str]| {
        let told = receiver.bodies("/v2/enqueue").len();
        let mut digest = notice(kind, "n-4");
        digest.items = (0..60).map(|number| item(&format!("thing:{number}"))).collect();
        let before = Before { reached: reached.iter().map(ToString::to_string).collect(), ..Before::default() };
        Courier::new(&policy).send(&digest, &before).expect("it is taken");
        receiver.bodies("/v2/enqueue").split_off(told)
    };
    let begun = after(NoticeKind::Firing, &[]);
    assert_eq!((begun.len(), &begun[50]["dedup_key"]), (51, &json!("seawall:shop:more")));
    assert!(begun[50]["payload"]["summary"].as_str().is_some_and(|summary| summary.contains("10 more")), "{:#?}", begun[50]);
    assert_eq!(after(NoticeKind::Resolved, &[]).len(), 60);
    let rest = after(NoticeKind::Resolved, &["58"]);
    assert_eq!((rest.len(), &rest[0]["dedup_key"]), (2, &json!("seawall:shop:thing:58")));
    // A wrong key can be mended, and is not shown.
    let fault = send(&pager(&receiver, "wrong-sesame"), &notice(NoticeKind::Firing, "n-1")).expect_err("a wrong key");
    assert_eq!(fault.kind, FaultKind::Setup);
    assert!(fault.message.contains("'routing_key' is invalid") && !fault.message.contains("sesame"), "{fault:?}");
}

#[test]
fn a_server_that_hears_no_sign_of_life_is_waited_for_once() {
    let receiver = Receiver::open();
    let beats = |path: &str| {
        let url = receiver.secret(&format!("beat{}", path.replace('/', "-")), &receiver.url(path));
        let heartbeat = format!("heartbeat: {{ url: {{ file: {} }} }}, routes:", url.display());
        policy(&text("  dba: { slack: { webhook: { env: SLACK } } }\n", "").replace("routes:", &heartbeat))
    };
    let (deaf, dead) = (Deaf::default(), beats("/hang"));
    let began = Instant::now();
    let fault = beat(&dead, &deaf).expect_err("no answer");
    assert!(began.elapsed() >= Duration::from_secs(9), "{fault:?}");
    // As another policy of the fleet, with an address of its own on the same server.
    let fault = beat(&beats("/hang/other"), &deaf).expect_err("not tried");
    assert!(fault.message.starts_with("not tried") && fault.kind == FaultKind::Passing, "{fault:?}");
    assert!(!fault.message.contains("127.0.0.1"), "{fault:?}");
    let other = Receiver::open();
    let url = other.secret("beat", &other.url("/"));
    let good = policy(
        &text("  dba: { slack: { webhook: { env: SLACK } } }\n", "")
            .replace("routes:", &format!("heartbeat: {{ url: {{ file: {} }} }}, routes:", url.display())),
    );
    beat(&good, &deaf).expect("it answers");
    assert_eq!(other.requests().len(), 1);
}
