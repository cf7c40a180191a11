//! The mail itself.

use lettre::Address;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MessageBuilder, MultiPart, SinglePart, header::ContentType};

use super::super::fault::SendFault;
use super::super::mark;
use crate::alert::{Notice, NoticeKind};
use crate::message::Message;
use crate::policy::file::{Email, Smtp};
use crate::world::clock;

pub(super) struct Letter {
    pub(super) from: Address,
    pub(super) to: Vec<Address>,
    pub(super) bytes: Vec<u8>,
    /// The id of the mail that later ones about the same thing answer to.
    pub(super) reference: String,
}

pub(super) fn write(email: &Email, smtp: &Smtp, notice: &Notice, message: &Message, thread: Option<&str>) -> Result<Letter, SendFault> {
    let from = address(&smtp.from, "smtp.from")?;
    let to = email.to.iter().map(|text| address(text, &format!("receivers.{}.email.to", notice.receiver)));
    let to = to.collect::<Result<Vec<_>, _>>()?;
    // The same notice has the same id however often it is sent, so that mail systems recognise a second copy.
    let id = format!("<{}.seawall@{}>", mark(&notice.id), from.domain());
    // What begins anew begins a new thread.
    let thread = thread.filter(|thread| notice.kind != NoticeKind::Firing && **thread != *id && is_id(thread));
    let mut builder = MessageBuilder::new()
        .from(Mailbox::new(Some("Seawall".into()), from.clone()))
        .date(clock::now().into())
        .message_id(Some(id.clone()))
        .subject(message.subject.clone());
    for address in &to {
        builder = builder.to(Mailbox::new(None, address.clone()));
    }
    if let Some(thread) = thread {
        builder = builder.in_reply_to(thread.to_owned()).references(thread.to_owned());
    }
    let keys = notice.items.iter().map(|item| item.key.as_str()).take(5).collect::<Vec<_>>().join(", ");
    for (name, value) in [
        // No holiday notes in return.
        ("Auto-Submitted", "auto-generated"),
        ("X-Auto-Response-Suppress", "All"),
        ("X-Seawall-Policy", notice.policy.as_str()),
        ("X-Seawall-Severity", message.severity),
        ("X-Seawall-Kind", message.kind),
        ("X-Seawall-Key", &keys),
    ] {
        builder = builder.raw_header(header(name, value)?);
    }
    let words = match &notice.enclosed {
        Some(enclosed) => format!("{}\n{}", message.text, enclosed.text),
        None => message.text.clone(),
    };
    let text = SinglePart::builder().header(ContentType::TEXT_PLAIN).body(words);
    let built = match (&notice.enclosed, &message.html) {
        // The whole page goes as a file: mail programs show little of a page's own style.
        (Some(enclosed), _) => {
            let page = Attachment::new(enclosed.file.clone()).body(enclosed.html.clone(), ContentType::TEXT_HTML);
            builder.multipart(MultiPart::mixed().boundary(format!("seawall-{}", mark(&notice.id))).singlepart(text).singlepart(page))
        }
        (None, Some(html)) => {
            let html = SinglePart::builder().header(ContentType::TEXT_HTML).body(html.clone());
            let alternative = MultiPart::alternative().boundary(format!("seawall-{}", mark(&notice.id)));
            builder.multipart(alternative.singlepart(text).singlepart(html))
        }
        (None, None) => builder.singlepart(text),
    };
    let built = built.map_err(|error| SendFault::refused(format!("the mail cannot be written: {error}"), ""))?;
    Ok(Letter { from, to, bytes: built.formatted(), reference: thread.map_or(id, str::to_owned) })
}

fn address(text: &str, path: &str) -> Result<Address, SendFault> {
    text.parse().map_err(|error| SendFault::setup(format!("{path}: {error}"), "Write one plain address, for example `dba@example.com`."))
}

/// Whatever the value is, it stays one line.
fn header(name: &'static str, value: &str) -> Result<HeaderValue, SendFault> {
    let name = HeaderName::new_from_ascii(name.to_owned());
    let name = name.map_err(|_| SendFault::refused("the mail cannot be written: a header has no name", ""))?;
    let value: String = value.chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect();
    Ok(HeaderValue::new(name, value))
}

/// Is it an id as we write them? What was kept somewhere else might be anything.
fn is_id(text: &str) -> bool {
    text.len() < 400
        && text.starts_with('<')
        && text.ends_with('>')
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && text.matches(['<', '>']).count() == 2
}
