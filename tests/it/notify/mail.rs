//! Mail, as it lies in the mailbox.

use std::time::{Duration, Instant};

use seawall::alert::{Enclosed, Notice, NoticeKind};
use seawall::notify::{Before, Courier, FaultKind, Receipt, SendFault};
use seawall::policy::model::Policy;

use super::{item, notice, policy, room, text};
use crate::servers::free_ports;
use crate::servers::post_office::{PostOffice, header};

/// A policy that mails to them through the office, on this host, unprotected.
fn near(office: &PostOffice, to: &str) -> Policy {
    policy(&text(
        &format!("  dba: {{ email: {{ to: [{to}] }} }}\n"),
        &format!("{{ host: 127.0.0.1, port: {}, tls: none, from: seawall@example.com }}", office.port),
    ))
}

fn send(policy: &Policy, kind: NoticeKind, id: &str, before: &Before) -> Result<Receipt, SendFault> {
    Courier::new(policy).send(&notice(kind, id), before)
}

#[test]
fn a_mail_is_what_it_should_be() {
    let office = PostOffice::open(&[]);
    let policy = near(&office, "dba@example.com, lead@example.com");
    let receipt = send(&policy, NoticeKind::Firing, "n-1", &Before::default()).expect("it is taken");
    assert_eq!((receipt.said.as_str(), receipt.refused.len()), ("250 kept as 1", 0));
    let mails = office.mails();
    let [mail] = mails.as_slice() else { panic!("{mails:?}") };
    assert_eq!(mail["recipients"], serde_json::json!(["dba@example.com", "lead@example.com"]));
    assert_eq!(mail["mail"]["to"], serde_json::json!(["dba@example.com", "lead@example.com"]));
    assert_eq!(mail["mail"]["from"], serde_json::json!(["seawall@example.com"]));
    assert_eq!(mail["mail"]["type"], "multipart/alternative");
    for (name, value) in [
        ("Subject", "shop: the newest backup of nightly is 27 h old"),
        ("Auto-Submitted", "auto-generated"),
        ("MIME-Version", "1.0"),
        ("X-Seawall-Policy", "shop"),
        ("X-Seawall-Severity", "critical"),
        ("X-Seawall-Kind", "firing"),
        ("X-Seawall-Key", "backup_age:nightly"),
    ] {
        assert_eq!(header(mail, name), [value], "{name}");
    }
    assert_eq!(header(mail, "Date").len(), 1);
    assert_eq!(header(mail, "In-Reply-To"), [""; 0]);
    assert_eq!(header(mail, "Message-ID"), [receipt.reference.expect("it is kept")]);
    let part = |at: usize| (mail["mail"]["parts"][at]["type"].as_str(), mail["mail"]["parts"][at]["content"].as_str().expect("text"));
    let ((plain, words), (html, page)) = (part(0), part(1));
    assert_eq!((plain, html), (Some("text/plain"), Some("text/html")));
    for part in ["Sikkerhetskopien er for gammel – ингредиент 備份.", "since: 2026-11-21 02:00:00 Europe/Oslo", "limit: 25 h"]
    {
        assert!(words.contains(part), "{part} is not in\n{words}");
    }
    assert!(page.contains("備份") && page.contains("<h1"), "{page}");
    // Every server takes this: no 8-bit, no long lines.
    assert_eq!(mail["mail"]["ascii"], true);
    assert!(mail["mail"]["longest_line"].as_u64().expect("a number") <= 998);
}

#[test]
fn a_report_goes_as_text_with_its_page_beside_it() {
    let office = PostOffice::open(&[]);
    let policy = near(&office, "dba@example.com");
    let enclosed = Enclosed {
        file: "seawall-shop-monthly-2026-11-21.html".into(),
        html: format!("<!DOCTYPE html><p>備份</p>{}", "x".repeat(5_000)),
        text: "# Recoverability of shop\n.\n**kept**".into(),
    };
    let notice = Notice { enclosed: Some(enclosed), ..notice(NoticeKind::Event, "r-1") };
    Courier::new(&policy).send(&notice, &Before::default()).expect("it is taken");
    let mails = office.mails();
    let [mail] = mails.as_slice() else { panic!("{mails:?}") };
    assert_eq!(mail["mail"]["type"], "multipart/mixed");
    let part = |at: usize| (mail["mail"]["parts"][at]["type"].as_str(), mail["mail"]["parts"][at]["content"].as_str().expect("text"));
    let ((plain, words), (html, page)) = (part(0), part(1));
    assert_eq!((plain, html), (Some("text/plain"), Some("text/html")));
    assert!(words.contains("is 27 h old") && words.contains("# Recoverability of shop") && words.contains("**kept**"), "{words}");
    assert!(page.contains("備份") && page.contains(&"x".repeat(5_000)), "{page}");
    assert_eq!(mail["mail"]["ascii"], true);
    assert!(mail["mail"]["longest_line"].as_u64().expect("a number") <= 998);
}

#[test]
fn what_belongs_together_is_one_thread() {
    let office = PostOffice::open(&[]);
    let policy = near(&office, "dba@example.com");
    let first = send(&policy, NoticeKind::Firing, "n-1", &Before::default()).expect("it is taken");
    let before = Before { reference: first.reference.clone(), ..Before::default() };
    for (kind, id) in [(NoticeKind::Reminder, "n-2"), (NoticeKind::Resolved, "n-3")] {
        assert_eq!(send(&policy, kind, id, &before).expect("it is taken").reference, first.reference);
    }
    // The same once more, as after a lost answer; then the next time that it breaks.
    send(&policy, NoticeKind::Resolved, "n-3", &before).expect("it is taken");
    let again = send(&policy, NoticeKind::Firing, "n-4", &before).expect("it is taken");
    let mails = office.mails();
    let ids: Vec<String> = mails.iter().flat_map(|mail| header(mail, "Message-ID")).collect();
    let threads: Vec<Vec<String>> = mails.iter().map(|mail| header(mail, "In-Reply-To")).collect();
    assert_eq!(ids[2], ids[3], "a second copy has another id");
    assert_eq!(threads, [vec![], vec![ids[0].clone()], vec![ids[0].clone()], vec![ids[0].clone()], vec![]]);
    assert_eq!(header(&mails[1], "References"), [ids[0].clone()]);
    assert_eq!(again.reference.as_deref(), Some(ids[4].as_str()));
    assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
}

#[test]
fn nothing_that_is_told_writes_headers() {
    let office = PostOffice::open(&[]);
    let policy = near(&office, "dba@example.com");
    let evil = "x\r\nBcc: thief@example.com\r\n\r\n.\r\nMAIL FROM:<a@b>\r\n";
    let mut attack = notice(NoticeKind::Reminder, evil);
    attack.subject = format!("subject {evil} =?utf-8?q?=0D=0ABcc:_thief@example.com?= ä\u{85}\u{2028}");
    attack.items = vec![item(evil), item("=?utf-8?q?=0AX-Evil:_1?="), item("ä\nX-Evil: 1")];
    attack.items[0].title = evil.into();
    attack.items[0].text = "one\r\n.\r\ntwo\n.\n.three".into();
    attack.items[0].job = Some(evil.into());
    attack.items[0].facts = vec![(evil.into(), evil.into())];
    let before = Before { reference: Some(format!("<a@b>{evil}")), ..Before::default() };
    Courier::new(&policy).send(&attack, &before).expect("it is taken");
    let mails = office.mails();
    let [mail] = mails.as_slice() else { panic!("{mails:?}") };
    assert_eq!(mail["recipients"], serde_json::json!(["dba@example.com"]));
    for name in ["Bcc", "X-Evil", "In-Reply-To", "References"] {
        assert_eq!(header(mail, name), [""; 0], "{name}");
    }
    let known = [
        "from",
        "to",
        "date",
        "message-id",
        "subject",
        "auto-submitted",
        "x-auto-response-suppress",
        "x-seawall-policy",
        "x-seawall-severity",
        "x-seawall-kind",
        "x-seawall-key",
        "mime-version",
        "content-type",
    ];
    for header in mail["mail"]["headers"].as_array().expect("headers") {
        let name = header[0].as_str().expect("a name").to_lowercase();
        assert!(known.contains(&name.as_str()), "{header}");
    }
    // A line of one dot ends a mail in the protocol, and is one here.
    let words = mail["mail"]["parts"][0]["content"].as_str().expect("text").replace("\r\n", "\n");
    assert!(words.contains("one\n.\ntwo\n.\n.three"), "{words}");
}

#[test]
fn some_are_taken_and_some_are_not() {
    let office = PostOffice::open(&[]);
    // One will never be there: the others have it, and it is said.
    let gone = near(&office, "dba@example.com, gone@example.com");
    let receipt = send(&gone, NoticeKind::Firing, "n-1", &Before::default()).expect("one has it");
    assert_eq!(receipt.refused, ["`gone@example.com` was refused: 550 5.1.1 nobody of that name"]);
    // One comes later: only that one gets it again.
    let grey = near(&office, "dba@example.com, grey@example.com");
    let fault = send(&grey, NoticeKind::Firing, "n-2", &Before::default()).expect_err("one has not");
    assert_eq!((fault.kind, fault.reached.as_slice()), (FaultKind::Passing, ["dba@example.com".to_owned()].as_slice()), "{fault:?}");
    assert!(fault.message.contains("`grey@example.com` was refused: 451 4.7.1 try again later"), "{fault:?}");
    let before = Before { reached: fault.reached, ..Before::default() };
    send(&grey, NoticeKind::Firing, "n-2", &before).expect("now it is taken");
    // Nobody of all.
    let nobody = near(&office, "gone@example.com");
    let fault = send(&nobody, NoticeKind::Firing, "n-3", &Before::default()).expect_err("nobody has it");
    assert_eq!((fault.kind, fault.is_transient()), (FaultKind::Refused, false), "{fault:?}");
    let full = near(&office, "full@example.com, gone@example.com");
    let fault = send(&full, NoticeKind::Firing, "n-4", &Before::default()).expect_err("nobody has it");
    assert_eq!(fault.kind, FaultKind::Passing, "{fault:?}");
    let recipients: Vec<String> = office.mails().iter().map(|mail| mail["recipients"].to_string()).collect();
    assert_eq!(recipients, [r#"["dba@example.com"]"#, r#"["dba@example.com"]"#, r#"["grey@example.com"]"#]);
    // Both mails show both names: nobody can tell who got the first.
    assert_eq!(office.mails()[2]["mail"]["to"], serde_json::json!(["dba@example.com", "grey@example.com"]));
}

#[test]
fn a_server_in_a_bad_mood() {
    for (mode, kind, words, arrived) in [
        ("busy", FaultKind::Passing, "421 too many guests", 0),
        ("spam", FaultKind::Refused, "554 5.7.1 looks like spam", 0),
        ("drop", FaultKind::Passing, "whether it arrived is not known", 1),
        ("later", FaultKind::Passing, "451 4.3.0 not now", 0),
    ] {
        let office = PostOffice::open(&["--mode", mode]);
        let policy = near(&office, "dba@example.com");
        let fault = send(&policy, NoticeKind::Firing, "n-1", &Before::default()).expect_err(mode);
        assert_eq!(fault.kind, kind, "{mode}: {fault:?}");
        assert!(fault.message.contains(words), "{mode}: {fault:?}");
        assert_eq!(office.mails().len(), arrived, "{mode}");
        if mode == "later" {
            send(&policy, NoticeKind::Firing, "n-1", &Before::default()).expect("at the second attempt");
        }
    }
    let [nobody] = free_ports();
    let smtp = format!("{{ host: 127.0.0.1, port: {nobody}, tls: none, from: seawall@example.com }}");
    let policy = policy(&text("  dba: { email: { to: [dba@example.com] } }\n", &smtp));
    let fault = send(&policy, NoticeKind::Firing, "n-1", &Before::default()).expect_err("nobody is there");
    assert_eq!(fault.kind, FaultKind::Passing, "{fault:?}");
    assert!(fault.message.contains("no connection to the mail server 127.0.0.1"), "{fault:?}");
}

#[test]
fn nobody_is_waited_for_for_ever() {
    let began = Instant::now();
    std::thread::scope(|scope| {
        for mode in ["silent", "slow"] {
            scope.spawn(move || {
                let office = PostOffice::open(&["--mode", mode]);
                let policy = near(&office, "dba@example.com");
                let fault = send(&policy, NoticeKind::Firing, "n-1", &Before::default()).expect_err(mode);
                assert_eq!(fault.kind, FaultKind::Passing, "{mode}: {fault:?}");
                assert!(fault.message.contains("not done within 30 s; nothing was handed over"), "{mode}: {fault:?}");
            });
        }
    });
    assert!(began.elapsed() < Duration::from_secs(90), "{:?}", began.elapsed());
}

#[test]
fn a_password_goes_only_where_it_is_safe() {
    let cases = [
        ("starttls", "localhost", "ca.pem", "right", ""),
        ("implicit", "localhost", "ca.pem", "right", ""),
        ("starttls", "localhost", "ca.pem", "wrong", "refused the login: 535"),
        ("implicit", "localhost", "ca.pem", "wrong", "refused the login: 535"),
        ("starttls", "localhost", "other.pem", "right", "is not accepted"),
        ("implicit", "localhost", "other.pem", "right", "is not accepted"),
        // One that offers no protection any more.
        ("", "localhost", "ca.pem", "right", "offers no STARTTLS, so nothing is sent to it"),
    ];
    for (tls, host, authority, password, wrong) in cases {
        let mut words = vec!["--login", "backup:right"];
        if !tls.is_empty() {
            words.extend(["--tls", tls]);
        }
        let office = PostOffice::open(&words);
        let protection = if tls.is_empty() { "starttls" } else { tls };
        let smtp = format!(
            "{{ host: {host}, port: {}, tls: {protection}, from: seawall@example.com, user: backup, password: {{ env: MAIL_PASSWORD }} }}",
            office.port
        );
        let room = room(&text("  dba: { email: { to: [dba@example.com] } }\n", &smtp));
        let mut command = room.command();
        command.args(["notify", "test", "-p", "shop.yaml"]);
        command.env("SSL_CERT_FILE", office.file(authority)).env("MAIL_PASSWORD", password);
        let run = crate::cli::finish(&mut command, b"");
        let mails = office.mails();
        assert!(!run.stdout.contains("wrong") && !run.stderr.contains("wrong"), "{run:?}");
        if wrong.is_empty() {
            assert_eq!(run.code, Some(0), "{tls}: {run:?}");
            assert!(run.stdout.starts_with("dba  delivered in ") && run.stdout.contains("250 kept as 1"), "{run:?}");
            let [mail] = mails.as_slice() else { panic!("{mails:?}") };
            assert_eq!((&mail["encrypted"], &mail["login"]), (&true.into(), &"backup".into()), "{mail}");
            let subject = header(mail, "Subject").concat();
            assert!(subject.starts_with("[TEST] sample: shop:"), "{subject}");
        } else {
            assert_eq!(run.code, Some(1), "{tls} {authority} {password}: {run:?}");
            assert!(run.stdout.contains(wrong), "{tls} {authority} {password}: {run:?}");
            assert!(mails.is_empty());
        }
    }
}
