//! What to do when it has happened, for whoever is called at night: from the policy and from what lay in the stores when it was written.
//!
//! Only what this version can do becomes a command. Where the policy asks for more, the way that works today is written, and that it is
//! another one.

mod around;
mod command;
mod page;
mod recover;
mod scenario;
mod today;

use crate::inventory::ClusterInventory;
use crate::objectives::assess;
use crate::plan::minute;
use crate::plan::words::{plain, quoted};
use crate::policy::model::Policy;
use crate::units::{Duration, Instant};
use page::Block;
use today::Today;

/// How it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    Markdown,
    Html,
}

/// What neither the policy nor the inventory says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Where the policy's file is on the host that recovers.
    pub policy_file: String,
    /// The git commit of the policy's files.
    pub commit: Option<String>,
}

impl Setting {
    /// Where commands look for the policy by themselves.
    pub const USUAL: &str = "/etc/seawall/policy.yaml";
}

impl Default for Setting {
    fn default() -> Self {
        Setting { policy_file: Self::USUAL.to_owned(), commit: None }
    }
}

/// The runbook of one policy. `seen` is what was observed of it, and when.
pub fn runbook(policy: &Policy, setting: &Setting, seen: Option<(&ClusterInventory, Instant)>, now: Instant, page: Page) -> String {
    let assessment = assess(policy, seen.map(|(inventory, _)| inventory), now);
    let today = Today::of(policy, seen);
    let mut blocks = front(policy, setting, seen.map(|(_, at)| at), now);
    blocks.extend(around::people(policy));
    blocks.extend(around::before_anything(policy, setting));
    blocks.extend(today.blocks(policy, setting));
    blocks.extend(around::tiers(policy));
    for situation in scenario::all(policy, &assessment) {
        blocks.extend(situation.blocks(policy, setting, &today));
    }
    blocks.extend(around::archived_rows(policy, setting));
    blocks.extend(around::afterwards(policy, setting));
    blocks.extend(around::without_seawall(policy, &today));
    match page {
        Page::Markdown => page::to_markdown(&blocks),
        Page::Html => page::to_html(&format!("Runbook: {}", policy.name), &blocks),
    }
}

fn front(policy: &Policy, setting: &Setting, observed: Option<Instant>, now: Instant) -> Vec<Block> {
    let mut blocks = vec![Block::Heading(1, format!("Runbook: {}", policy.name))];
    if let Some(description) = &policy.file.description {
        blocks.push(Block::Words(plain(description)));
    }
    let mut about = Vec::new();
    about.extend(policy.file.owner.as_ref().map(|owner| format!("Owner: {}", quoted(owner))));
    let commit = setting.commit.as_ref().map(|commit| format!(", commit {}", quoted(commit))).unwrap_or_default();
    about.push(format!("Made from the policy with the digest {}{commit}", quoted(&policy.digest)));
    about.push(match observed {
        Some(at) => {
            let age = Duration::between(at, now);
            format!(
                "What lies in the stores is as it was seen at {}, {age} before this was written: make it anew every day, and look again before you act",
                minute(at)
            )
        }
        None => "Nobody has looked into the stores for it: `seawall list` says what there is".to_owned(),
    });
    about.push("It holds no secret: passwords and identities are named by where they are".to_owned());
    about.extend(policy.file.delegated.iter().map(|(subject, delegated)| {
        let note = delegated.note.as_ref().map(|note| format!(" ({})", plain(note))).unwrap_or_default();
        format!("Left to others: {subject}, to {}{note}", plain(&delegated.to))
    }));
    blocks.push(Block::List(about));
    blocks
}
