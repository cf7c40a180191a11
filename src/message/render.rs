//! A notice becomes text and HTML.

use std::io::{self, Write};

use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, Error, UndefinedBehavior};

use super::view::{View, kind_word, line, subject};
use crate::alert::Notice;
use crate::schedule::Zone;

const TEXT: &str = include_str!("templates/text.txt");
const HTML: &str = include_str!("templates/mail.html");

/// How many steps a template may take: ours takes a few thousand for the longest notice.
const FUEL: u64 = 200_000;
/// How much a template may write: more than ours ever does, escapes and all.
const MAX_OUTPUT: usize = 1 << 20;

/// A notice in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// One line.
    pub subject: String,
    pub text: String,
    /// None where the text is the receiver's own: two forms of one message must not say different things.
    pub html: Option<String>,
    pub kind: &'static str,
    pub severity: &'static str,
}

/// The notice in the receiver's own words, or in ours. An alert that is not sent because of a slip in its template would be worse than
/// one in other words, so ours step in and say why.
pub fn write(notice: &Notice, zone: &Zone, own: Option<Result<&str, &str>>) -> Message {
    let mut view = View::of(notice, zone);
    let text = match own {
        Some(Ok(template)) => render(template, Form::Text, &view).map(Some).map_err(|error| said(&error)),
        Some(Err(why)) => Err(line(why)),
        None => Ok(None),
    };
    let message = |text: String, html: Option<String>| Message {
        subject: subject(notice),
        text: format!("{}\n", text.trim_end()),
        html,
        kind: kind_word(notice.kind),
        severity: notice.severity.as_str(),
    };
    match text {
        Ok(Some(text)) => return message(text, None),
        Ok(None) => {}
        Err(why) => view.trouble = Some(format!("The template of this receiver could not be used: {why}.")),
    }
    // Ours are tried with every kind of notice by a test; should one fail all the same, the subject alone is still an alert.
    let text = render(TEXT, Form::Text, &view).unwrap_or_else(|_| view.subject.clone());
    message(text, render(HTML, Form::Html, &view).ok())
}

/// What a template writes, which decides what is escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Html,
}

/// What one template makes of one notice.
pub(super) fn render(template: &str, form: Form, view: &View) -> Result<String, Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_debug(true);
    environment.set_auto_escape_callback(move |_| if form == Form::Html { AutoEscape::Html } else { AutoEscape::None });
    let template = environment.template_from_str(template)?;
    let mut out = Bounded(Vec::new());
    template.render_captured_to(Value::from(Serde(view)), &mut out)?;
    Ok(String::from_utf8_lossy(&out.0).into_owned())
}

/// Why a template failed, in short.
pub(super) fn said(error: &Error) -> String {
    let what = match error.detail() {
        Some(detail) if !detail.is_empty() => format!("{}: {detail}", error.kind()),
        _ => error.kind().to_string(),
    };
    let what = line(&what);
    error.line().map_or(what.clone(), |number| format!("line {number}: {what}"))
}

struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_OUTPUT {
            return Err(io::Error::other(format!("it writes more than {} KiB", MAX_OUTPUT >> 10)));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use crate::alert::NoticeKind;
    use crate::units::Name;

    fn notice(kind: NoticeKind) -> Notice {
        let name = |text: &str| text.parse::<Name>().expect("a name");
        sample(&name("shop"), &name("dba"), kind, "2026-11-21T03:00:00Z".parse().expect("a moment"), "one")
    }

    #[test]
    fn ours_tell_all_of_it() {
        let message = write(&notice(NoticeKind::Firing), &Zone::named("Europe/Oslo").expect("a zone"), None);
        for part in ["is 27 h old", "backups.nightly", "2026-11-21 04:00:00 Europe/Oslo", "limit: 25 h", "What to do:", "seawall ack"] {
            assert!(message.text.contains(part), "{part} is not in\n{}", message.text);
        }
        assert!(!message.text.contains("\n\n\n"), "{}", message.text);
        let html = message.html.expect("ours has one");
        assert!(html.contains("is 27 h old") && html.contains("#b3261e"), "{html}");
        let over = write(&notice(NoticeKind::Resolved), &Zone::utc(), None);
        assert!(!over.text.contains("seawall ack"), "{}", over.text);
        assert!(over.html.expect("ours has one").contains("#2e7d32"));
    }

    #[test]
    fn no_words_of_others_become_markup_or_lines_of_their_own() {
        let mut evil = notice(NoticeKind::Firing);
        evil.subject = "a\r\nBcc: x@example.com\n<b>".into();
        evil.items[0].title = "<script>alert(1)</script>\u{1b}[31m\u{202e}".into();
        evil.items[0].facts = vec![("a\nb".into(), "{{ policy }}".into())];
        let message = write(&evil, &Zone::utc(), None);
        assert_eq!(message.subject, "a  Bcc: x@example.com <b>");
        assert!(message.text.contains("a b: {{ policy }}"), "{}", message.text);
        assert!(!message.text.contains(['\u{1b}', '\u{202e}', '\r']));
        let html = message.html.expect("ours has one");
        assert!(!html.contains("<script>") && html.contains("&lt;script&gt;"), "{html}");
        assert!(!html.contains("com <b>") && html.contains("com &lt;b&gt;"), "{html}");
    }

    #[test]
    fn a_receivers_own_words_are_all_that_is_said() {
        let own = "{% for item in items %}{{ item.title }}{% endfor %} & {{ kind }}";
        let message = write(&notice(NoticeKind::Firing), &Zone::utc(), Some(Ok(own)));
        assert_eq!(message.text, "the newest backup of nightly is 27 h old & firing\n");
        assert_eq!(message.html, None);
    }

    #[test]
    fn a_template_that_fails_does_not_keep_an_alert_back() {
        let endless = "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}";
        for (own, why) in [
            ("{{ itmes }}", "undefined"),
            ("{% if %}", "line 1"),
            (endless, "fuel"),
            ("{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}", "could not be used"),
            ("{% include '/etc/passwd' %}", "not found"),
        ] {
            let message = write(&notice(NoticeKind::Firing), &Zone::utc(), Some(Ok(own)));
            assert!(message.text.contains("is 27 h old"), "{own}: {}", message.text);
            assert!(message.text.contains("could not be used") && message.text.contains(why), "{own}: {}", message.text);
        }
        let message = write(&notice(NoticeKind::Firing), &Zone::utc(), Some(Err("there is no such file")));
        assert!(message.text.contains("could not be used: there is no such file."), "{}", message.text);
    }

    #[test]
    fn the_longest_notice_fits() {
        let mut long = notice(NoticeKind::Firing);
        long.items = vec![long.items[0].clone(); 1_000];
        for item in &mut long.items {
            item.title = "<".repeat(1_000);
            item.text = "&".repeat(5_000);
            item.hint = Some("&".repeat(5_000));
            item.facts = vec![("\"".repeat(500), "'".repeat(500)); 15];
        }
        let message = write(&long, &Zone::utc(), None);
        assert!(message.text.contains("… and 975 more") && message.text.len() < 300_000, "{}", message.text.len());
        let html = message.html.expect("ours has one");
        assert!(html.contains("… and 975 more") && html.len() < 1_000_000, "{}", html.len());
    }
}
