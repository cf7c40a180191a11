//! A report as one page that needs nothing else: no network, no script, no file beside it. It can be mailed, printed and kept.
//!
//! What may act in it is said by its own policy (`Content-Security-Policy`): nothing but the style sheet that is named there by its hash.

mod charts;
mod fleet;
mod policy;
mod windows;
mod writer;

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::account::{ChainAccount, PolicyAccount, Report, State};
use super::standing::Level;
use crate::plan::minute;
use crate::plan::words::counted;
use writer::Html;

const STYLE: &str = include_str!("style.css");

/// What a browser may do with the page: use this style sheet, and nothing else whatever somebody might have written into it.
pub static CONTENT_POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'")
});

/// Where the sections of a fleet's policies are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// Below the summary, on the same page.
    Sections,
    /// On a page for each: `/policy/NAME`. The page itself has the summary only.
    Pages,
}

/// What a page has of one policy.
#[derive(Debug)]
pub struct Section(Html);

impl Section {
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// A page without the sections of its policies.
#[derive(Debug)]
pub struct Frame {
    page: String,
    /// Where they belong.
    sections: usize,
}

impl Frame {
    /// What stands before the sections, and what stands after them.
    pub fn around(&self) -> (&str, &str) {
        self.page.split_at(self.sections)
    }
}

/// The whole page.
pub fn page(report: &Report, links: Links) -> String {
    let count = if links == Links::Sections { report.policies.len() } else { 0 };
    let frame = frame(report, links);
    let (before, after) = frame.around();
    let sections: String = (0..count).map(|number| section(report, number).0.finish()).collect();
    [before, &sections, after].concat()
}

/// The section of one policy, by its place in the report. They may be made side by side.
pub fn section(report: &Report, number: usize) -> Section {
    let mut html = Html::default();
    if let Some(one) = report.policies.get(number) {
        let alone = report.policies.len() == 1;
        html.now_of(if alone { "" } else { &one.policy });
        policy::section(&mut html, one, report.covers, number, alone);
    }
    // A fleet's sections wait for each other.
    html.shrink();
    Section(html)
}

/// What is around the sections.
pub fn frame(report: &Report, links: Links) -> Frame {
    let alone = report.policies.len() == 1 && links == Links::Sections;
    let mut html = Html::default();
    let mut sections = 0;
    html.doctype();
    html.element("html", &[("lang", "en")], |html| {
        html.element("head", &[], |html| head(html, report));
        html.element("body", if alone { &[("class", "alone")] } else { &[] }, |html| {
            html.leaf("a", &[("class", "skip"), ("href", "#content")], "Skip to the content");
            charts::patterns(html);
            html.element("header", &[], |html| title(html, report, alone));
            html.element("main", &[("id", "content")], |html| {
                if !alone {
                    fleet::summary(html, report, links);
                }
                sections = html.as_str().len();
                chains(html, &report.audit);
            });
            html.element("footer", &[], |html| foot(html, report));
        });
    });
    html.end();
    Frame { page: html.finish(), sections }
}

/// What the page is called.
fn named(report: &Report) -> String {
    match report.policies.as_slice() {
        [one] => format!("Recoverability of {}", one.policy),
        many => format!("Recoverability of {}", counted(many.len(), "database")),
    }
}

fn head(html: &mut Html, report: &Report) {
    html.void("meta", &[("charset", "utf-8")]);
    html.void("meta", &[("http-equiv", "Content-Security-Policy"), ("content", &CONTENT_POLICY)]);
    html.void("meta", &[("name", "viewport"), ("content", "width=device-width, initial-scale=1")]);
    html.void("meta", &[("name", "referrer"), ("content", "no-referrer")]);
    html.leaf("title", &[], &format!("{}, {}", named(report), super::words::day(report.made_at)));
    html.style(STYLE);
}

fn title(html: &mut Html, report: &Report, alone: bool) {
    html.leaf("h1", &[], &named(report));
    html.element("p", &[("class", "soft")], |html| {
        html.text("From ");
        html.time(report.covers.from);
        html.text(" to ");
        html.time(report.covers.to);
        html.text(". Made at ");
        html.time(report.made_at);
        html.text(" from what is on record.");
    });
    if let ([one], true) = (report.policies.as_slice(), alone) {
        policy::verdict(html, one);
        return;
    }
    let class = format!("verdict {}", class(report.state));
    html.element("div", &[("class", &class)], |html| {
        html.leaf("strong", &[], fleet::in_short(report.state));
        html.element("p", &[], |html| {
            for (count, what, end) in
                [(report.broken, " not kept, ", ""), (report.unproven, " not proven, ", ""), (report.kept, " kept", ".")]
            {
                html.count(count);
                html.text(what);
                html.text(end);
            }
        });
    });
}

/// How a promise stands, as a sign and a word: its colour says nothing that these do not.
fn state(html: &mut Html, state: State) {
    let (sign, word) = match state {
        State::Kept => ("✓", "kept"),
        State::Unproven => ("?", "not proven"),
        State::Broken => ("✕", "not kept"),
    };
    let class = format!("state {}", class(state));
    html.leaf("span", &[("class", &class)], &format!("{sign} {word}"));
}

fn class(state: State) -> &'static str {
    match state {
        State::Kept => "kept",
        State::Unproven => "unproven",
        State::Broken => "broken",
    }
}

fn level(html: &mut Html, level: Level) {
    let (class, word) = match level {
        Level::Well => ("state", "✓ well"),
        Level::Warning => ("state warning", "! warning"),
        Level::Critical => ("state critical", "✕ critical"),
    };
    html.leaf("span", &[("class", class)], word);
}

/// Where a policy's section begins. Numbers, not names: a file that cannot be read has any name.
fn anchor(number: usize) -> String {
    format!("policy-{}", number + 1)
}

/// The page that a policy has of its own, if its name can be one.
pub fn own_page(account: &PolicyAccount) -> Option<String> {
    let plain = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    plain(&account.policy).then(|| format!("/policy/{}", account.policy))
}

fn chains(html: &mut Html, chains: &[ChainAccount]) {
    html.leaf("h3", &[("id", "audit")], "Audit chain");
    if chains.is_empty() {
        html.leaf("p", &[], "There is no record to be checked.");
        return;
    }
    html.leaf("p", &[], "Every operation and every decision is a link that names the hash of the one before it. All of them were read and reckoned again for this page.");
    html.table("audit chains", &["catalog", "state", "#links", "its end"], |html| {
        for chain in chains {
            html.row(|html| {
                html.name(&chain.catalog);
                html.td(|html| {
                    state(html, if chain.whole { State::Kept } else { State::Broken });
                    if let Some(why) = &chain.why {
                        html.text(" ");
                        html.text(why);
                    }
                });
                html.n(|html| html.figure(chain.links, &chain.links.to_string()));
                html.td(|html| html.leaf("code", &[], chain.head.as_deref().unwrap_or("none")));
            });
        }
    });
}

fn foot(html: &mut Html, report: &Report) {
    html.leaf(
        "p",
        &[],
        &format!(
            "Made by {} at {}. Times are in UTC. What could not be seen is said to be unknown and counts as not proven. \
             A promise is kept where the evidence says so, not where nothing speaks against it.",
            report.made_by,
            minute(report.made_at)
        ),
    );
}
