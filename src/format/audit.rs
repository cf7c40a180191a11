//! The audit chain: one JSON object a line, each naming the hash of the one before it.
//!
//! A line's hash is the SHA-256 of its *canonical text*: the object without `hash`, its keys in alphabetical order, without white space,
//! in UTF-8 and with nothing escaped that JSON does not demand. All values are texts, null or a whole number, so that every language
//! writes the same bytes: Python's `json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=False)` does. docs/catalog.md
//! has a checker in a few lines.
//!
//! Changing, removing, adding or moving a line breaks the chain at that line or the next. Cutting off its end, or writing all of it
//! anew, shows only against a [`Head`] that somebody kept elsewhere.

use std::borrow::Cow;
use std::io;

use jiff::fmt::temporal::DateTimePrinter;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::units::Instant;
use crate::units::hex;

/// What the first line names as the one before it.
pub const BEFORE_THE_FIRST: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// Of a line. One more as soon as the canonical text is made otherwise.
const VERSION: u32 = 1;
/// As JSON Lines.
pub const MAX_LINE_BYTES: usize = 4 << 20;

/// Something that was done or decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// To the microsecond; what is finer is dropped.
    pub at: Instant,
    /// Empty where it is about none.
    pub policy: String,
    pub host: String,
    /// The person or account.
    pub who: String,
    /// Of the policy.
    pub digest: Option<String>,
    /// Of the policy's repository.
    pub commit: Option<String>,
    /// A sentence for people.
    pub what: String,
    /// A word for programs: `backup.succeeded`.
    pub kind: String,
    /// JSON, as a text: whatever it holds, its bytes stay as they are.
    pub details: String,
}

/// An entry in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// From 1 on, without gaps.
    pub seq: u64,
    pub entry: Entry,
    /// The hash of the link before.
    pub previous: String,
    pub hash: String,
}

/// A link that is looked at and not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen<'l> {
    pub seq: u64,
    pub at: Instant,
    pub policy: Cow<'l, str>,
    pub host: Cow<'l, str>,
    pub who: Cow<'l, str>,
    pub digest: Option<Cow<'l, str>>,
    pub commit: Option<Cow<'l, str>>,
    pub what: Cow<'l, str>,
    pub kind: Cow<'l, str>,
    pub details: Cow<'l, str>,
    pub previous: Cow<'l, str>,
    pub hash: Cow<'l, str>,
}

/// The end of a chain at some moment. Who keeps it can tell later whether the chain still has this past.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Head {
    pub seq: u64,
    pub hash: String,
}

/// Where a chain is not what it was, and how.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the audit chain is broken at {seq}: {why}")]
pub struct Broken {
    /// The first link that is not as it was.
    pub seq: u64,
    pub why: BrokenHow,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BrokenHow {
    #[error("it was changed since it was written")]
    Changed,
    #[error("{found} stands there: links were removed, added or moved")]
    OutOfOrder { found: u64 },
    #[error("it does not follow from the one before")]
    Unlinked,
    #[error("the chain ends before it, though it once reached {witnessed}: its end was cut off, or an older copy was put back")]
    Truncated { witnessed: u64 },
    #[error("another one stood there when its hash was witnessed: the chain was written anew, or goes on from an older copy")]
    Rewritten,
    #[error("the line cannot be read: {0}")]
    Unreadable(String),
}

impl Link {
    /// The next link of a chain that ends so.
    pub fn after(head: Option<&Head>, mut entry: Entry) -> Link {
        entry.at = Instant::from_microsecond(entry.at.as_microsecond()).unwrap_or(entry.at);
        let (seq, previous) = head.map_or((1, BEFORE_THE_FIRST), |head| (head.seq + 1, head.hash.as_str()));
        let mut link = Link { seq, entry, previous: previous.to_owned(), hash: String::new() };
        link.hash = hash(&link.seen(), &mut Vec::new());
        link
    }

    pub fn head(&self) -> Head {
        Head { seq: self.seq, hash: self.hash.clone() }
    }

    /// As it would be seen where it lies.
    pub fn seen(&self) -> Seen<'_> {
        let entry = &self.entry;
        Seen {
            seq: self.seq,
            at: entry.at,
            policy: entry.policy.as_str().into(),
            host: entry.host.as_str().into(),
            who: entry.who.as_str().into(),
            digest: entry.digest.as_deref().map(Into::into),
            commit: entry.commit.as_deref().map(Into::into),
            what: entry.what.as_str().into(),
            kind: entry.kind.as_str().into(),
            details: entry.details.as_str().into(),
            previous: self.previous.as_str().into(),
            hash: self.hash.as_str().into(),
        }
    }

    /// One line without its end: the canonical text with the hash in it.
    pub fn to_line(&self) -> String {
        let mut text = Vec::with_capacity(1 << 10);
        write(&self.seen(), Some(&self.hash), &mut text);
        String::from_utf8(text).expect("JSON is UTF-8")
    }

    /// What [`Link::to_line`] wrote. Whether it is unchanged, [`Chain`] tells.
    pub fn from_line(line: &str) -> Result<Link, String> {
        let line: Owned = serde_json::from_str(line).map_err(|error| error.to_string())?;
        if line.version != VERSION {
            return Err(format!("version {} of its form is not known", line.version));
        }
        let entry = Entry {
            at: line.at.parse().map_err(|_| "its time is none".to_owned())?,
            policy: line.policy,
            host: line.host,
            who: line.who,
            digest: line.digest,
            commit: line.commit,
            what: line.what,
            kind: line.kind,
            details: line.details,
        };
        Ok(Link { seq: line.seq, entry, previous: line.previous, hash: line.hash })
    }
}

impl Seen<'_> {
    pub fn keep(self) -> Link {
        let entry = Entry {
            at: self.at,
            policy: self.policy.into_owned(),
            host: self.host.into_owned(),
            who: self.who.into_owned(),
            digest: self.digest.map(Cow::into_owned),
            commit: self.commit.map(Cow::into_owned),
            what: self.what.into_owned(),
            kind: self.kind.into_owned(),
            details: self.details.into_owned(),
        };
        Link { seq: self.seq, entry, previous: self.previous.into_owned(), hash: self.hash.into_owned() }
    }
}

/// A chain that is looked at link by link, from its beginning or from a known head.
#[derive(Debug, Clone)]
pub struct Chain<'w> {
    head: Option<Head>,
    witnessed: &'w [Head],
    /// The canonical text of the last link.
    text: Vec<u8>,
}

impl<'w> Chain<'w> {
    /// `from` is what is known to be before the first link that will come; none means that it is the very first.
    pub fn from(from: Option<Head>, witnessed: &'w [Head]) -> Chain<'w> {
        Chain { head: from, witnessed, text: Vec::new() }
    }

    /// The next link, if it is.
    pub fn push(&mut self, link: &Seen<'_>) -> Result<(), Broken> {
        let (seq, previous) = self.head.as_ref().map_or((1, BEFORE_THE_FIRST), |head| (head.seq + 1, head.hash.as_str()));
        let broken = |why| Err(Broken { seq, why });
        if link.seq != seq {
            return broken(BrokenHow::OutOfOrder { found: link.seq });
        }
        if link.hash != hash(link, &mut self.text) {
            return broken(BrokenHow::Changed);
        }
        if link.previous != previous {
            return broken(BrokenHow::Unlinked);
        }
        if self.witnessed.iter().any(|head| head.seq == seq && head.hash != link.hash) {
            return broken(BrokenHow::Rewritten);
        }
        match &mut self.head {
            Some(head) => {
                head.seq = link.seq;
                link.hash.as_ref().clone_into(&mut head.hash);
            }
            None => self.head = Some(Head { seq: link.seq, hash: link.hash.clone().into_owned() }),
        }
        Ok(())
    }

    /// What was looked at so far ends so.
    pub fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// Nothing follows. The chain's end, if everything that was witnessed is in it.
    pub fn end(self) -> Result<Option<Head>, Broken> {
        let seq = self.head.as_ref().map_or(0, |head| head.seq);
        match self.witnessed.iter().map(|head| head.seq).max() {
            Some(witnessed) if witnessed > seq => Err(Broken { seq: seq + 1, why: BrokenHow::Truncated { witnessed } }),
            _ => Ok(self.head),
        }
    }
}

/// A whole chain, from its first link on. Gives its end.
pub fn verify<'l>(links: impl IntoIterator<Item = &'l Link>, witnessed: &[Head]) -> Result<Option<Head>, Broken> {
    let mut chain = Chain::from(None, witnessed);
    links.into_iter().try_for_each(|link| chain.push(&link.seen()))?;
    chain.end()
}

/// As in `2026-11-02T02:00:00.000000Z`.
const MICROSECONDS: DateTimePrinter = DateTimePrinter::new().precision(Some(6));

/// `text` is where the canonical text is written.
fn hash(link: &Seen<'_>, text: &mut Vec<u8>) -> String {
    text.clear();
    write(link, None, text);
    hex(&Sha256::digest(text))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Owned {
    at: String,
    commit: Option<String>,
    details: String,
    digest: Option<String>,
    hash: String,
    host: String,
    kind: String,
    policy: String,
    previous: String,
    seq: u64,
    version: u32,
    what: String,
    who: String,
}

/// The fields in the order of the alphabet.
fn write(link: &Seen<'_>, hash: Option<&str>, line: &mut Vec<u8>) {
    line.extend_from_slice(b"{\"at\":\"");
    MICROSECONDS.print_timestamp(&link.at, &mut *line).expect("memory takes it");
    line.push(b'"');
    write_field("commit", link.commit.as_deref(), line);
    write_field("details", Some(&link.details), line);
    write_field("digest", link.digest.as_deref(), line);
    if hash.is_some() {
        write_field("hash", hash, line);
    }
    write_field("host", Some(&link.host), line);
    write_field("kind", Some(&link.kind), line);
    write_field("policy", Some(&link.policy), line);
    write_field("previous", Some(&link.previous), line);
    io::Write::write_fmt(line, format_args!(",\"seq\":{},\"version\":{VERSION}", link.seq)).expect("memory takes it");
    write_field("what", Some(&link.what), line);
    write_field("who", Some(&link.who), line);
    line.push(b'}');
}

fn write_field(name: &'static str, text: Option<&str>, line: &mut Vec<u8>) {
    line.extend_from_slice(b",\"");
    line.extend_from_slice(name.as_bytes());
    line.extend_from_slice(b"\":");
    match text {
        Some(text) => write_text(text, line),
        None => line.extend_from_slice(b"null"),
    }
}

fn write_text(text: &str, line: &mut Vec<u8>) {
    // Most have nothing to be escaped, which is told of all bytes at once faster than of one after the other.
    if text.bytes().fold(false, |any, byte| any | (byte < b' ') | (byte == b'"') | (byte == b'\\')) {
        serde_json::to_writer(line, text).expect("a text");
    } else {
        line.push(b'"');
        line.extend_from_slice(text.as_bytes());
        line.push(b'"');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(what: &str) -> Entry {
        Entry {
            at: "2026-09-21T13:46:40.1234567Z".parse().expect("a time"),
            policy: "orders".into(),
            host: "db1".into(),
            who: "root".into(),
            digest: None,
            commit: Some("0123abcd".into()),
            what: what.into(),
            kind: "backup.succeeded".into(),
            details: r#"{"bytes":1.50}"#.into(),
        }
    }

    fn chain(length: usize) -> Vec<Link> {
        let mut links: Vec<Link> = Vec::new();
        for number in 0..length {
            let head = links.last().map(Link::head);
            links.push(Link::after(head.as_ref(), entry(&number.to_string())));
        }
        links
    }

    /// These bytes are the format: whatever changes them needs another version.
    #[test]
    fn a_line_is_just_so() {
        let link = Link::after(None, entry("a \"backup\"\n"));
        assert_eq!(
            link.to_line(),
            concat!(
                r#"{"at":"2026-09-21T13:46:40.123456Z","commit":"0123abcd","details":"{\"bytes\":1.50}","digest":null,"#,
                r#""hash":"d7f326c059e22ca9b13389f9a51dd232dfbb929562e3c28fa041b56e6cecb242","#,
                r#""host":"db1","kind":"backup.succeeded","policy":"orders","#,
                r#""previous":"0000000000000000000000000000000000000000000000000000000000000000","seq":1,"version":1,"#,
                r#""what":"a \"backup\"\n","who":"root"}"#
            )
        );
    }

    #[test]
    fn what_is_no_line_is_refused() {
        let line = chain(1)[0].to_line();
        for (wrong, said) in [
            (line.replace("\"version\":1", "\"version\":2"), "version 2"),
            (line.replace("\"at\":\"2026", "\"at\":\"soon"), "its time is none"),
            (line.replace("\"who\"", "\"whom\""), "unknown field"),
            (line[1..].to_owned(), "invalid type"),
        ] {
            let fault = Link::from_line(&wrong).expect_err(&wrong);
            assert!(fault.contains(said), "{fault}");
        }
    }

    #[test]
    fn part_of_a_chain_is_checked_from_a_known_head() {
        let links = chain(5);
        let heads: Vec<Head> = links.iter().map(Link::head).collect();
        let mut rest = Chain::from(Some(heads[1].clone()), &heads);
        links[2..].iter().for_each(|link| rest.push(&link.seen()).expect("it follows"));
        assert_eq!(rest.end(), Ok(Some(heads[4].clone())));
        let mut other = Chain::from(Some(Head { hash: heads[0].hash.clone(), ..heads[1].clone() }), &[]);
        assert_eq!(other.push(&links[2].seen()), Err(Broken { seq: 3, why: BrokenHow::Unlinked }));
        assert_eq!(verify(&[], &[]), Ok(None));
        assert_eq!(verify(&[], &heads), Err(Broken { seq: 1, why: BrokenHow::Truncated { witnessed: 5 } }));
    }

    proptest! {
        #[test]
        fn any_text_comes_back(what: String, details: String, digest: Option<String>) {
            let link = Link::after(None, Entry { details, digest, ..entry(&what) });
            let line = link.to_line();
            prop_assert!(!line.contains('\n'));
            prop_assert_eq!(Link::from_line(&line), Ok(link.clone()));
            prop_assert_eq!(verify([&link], &[]), Ok(Some(link.head())));
        }

        /// Whatever is taken out, doubled or moved: the first place that is not as it was is named.
        #[test]
        fn any_disorder_is_found(order in proptest::collection::vec(0usize..6, 0..8)) {
            let links = chain(6);
            let heads: Vec<Head> = links.iter().map(Link::head).collect();
            let first = order.iter().enumerate().position(|(place, index)| place != *index).unwrap_or(order.len());
            let found = verify(order.iter().map(|index| &links[*index]), &heads);
            if first == 6 && order.len() == 6 {
                prop_assert!(found.is_ok());
            } else {
                prop_assert_eq!(found.map_err(|broken| broken.seq), Err(first as u64 + 1));
            }
        }
    }
}
