//! Walks along the audit chain: is it whole, who took which alert upon himself, and which servers were promoted?

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::catalog::Catalog;
use crate::execute::promote::{Promotion, StepOutcome};
use crate::format::audit::{BEFORE_THE_FIRST, Chain, Entry, Head};
use crate::report::account::{ChainAccount, Given, PromotionAccount};
use crate::world::parallel;

const PAGE: usize = 1_000;
/// So many pages are looked at side by side, before it is seen whether they follow from one another.
const PAGES: u64 = 64;

/// What was found on the way.
#[derive(Debug, Clone, Default)]
pub struct Walked {
    head: Option<Head>,
    links: u64,
    why: Option<String>,
    /// By policy, in their order.
    acks: BTreeMap<String, Arc<Vec<Given>>>,
    /// The same.
    promotions: BTreeMap<String, Arc<Vec<PromotionAccount>>>,
}

impl Walked {
    /// From the beginning, or from where it was walked to before: who walks again and again reads each link once. That an older link was
    /// changed meanwhile, only a walk from the beginning finds.
    pub(super) fn along(catalog: &Catalog, before: Option<&Walked>) -> Walked {
        let before = before.filter(|before| before.why.is_none() && before.goes_on(catalog));
        let mut walked = before.cloned().unwrap_or_default();
        walked.stride(catalog);
        walked.step(catalog);
        walked
    }

    /// As far as whole pages are as they should be: each begins where its first link says, and has to follow from the one before it.
    /// Where that is not so, nothing is said of it here.
    fn stride(&mut self, catalog: &Catalog) {
        let Ok(Some(end)) = catalog.head() else { return };
        loop {
            let first = self.next();
            let pages = ((end.seq + 1).saturating_sub(first.max(1)) / PAGE as u64).min(PAGES);
            let pages: Vec<u64> = (0..pages).map(|page| if page == 0 { first } else { first.max(1) + page * PAGE as u64 }).collect();
            if pages.is_empty() {
                return;
            }
            for page in parallel::map_asking(&pages, &|from| Page::of(catalog, *from)) {
                if !page.is_some_and(|page| self.follow(page)) {
                    return;
                }
            }
        }
    }

    /// Goes along a page, if it begins where this ends.
    fn follow(&mut self, page: Page) -> bool {
        let follows = match &self.head {
            Some(head) => *head == page.before,
            None => page.before.seq == 0 && page.before.hash == BEFORE_THE_FIRST,
        };
        if follows {
            page.heard.iter().for_each(|entry| self.listen(entry));
            self.links += PAGE as u64;
            self.head = Some(page.end);
        }
        follows
    }

    /// To the end, link by link.
    fn step(&mut self, catalog: &Catalog) {
        let mut chain = Chain::from(self.head.clone(), &[]);
        // From the smallest number there is: a link that stands before the first one is found as well.
        let mut next = self.next();
        loop {
            let mut last = None;
            let read = catalog.each_link(next, PAGE, |link| {
                last = Some(link.seq);
                if self.why.is_some() {
                    return;
                }
                self.links += 1;
                self.why = chain.push(&link).err().map(|broken| broken.to_string());
                if is_heard(&link.kind) {
                    self.listen(&link.keep().entry);
                }
            });
            if let Err(fault) = read {
                self.why = Some(format!("it cannot be read: {}", fault.message));
            }
            match last {
                Some(last) if self.why.is_none() => next = last.saturating_add(1),
                _ => return,
            }
            self.head = chain.head().cloned();
        }
    }

    fn next(&self) -> u64 {
        self.head.as_ref().map_or(0, |head| head.seq.saturating_add(1))
    }

    /// Its end may have been cut off since.
    fn goes_on(&self, catalog: &Catalog) -> bool {
        let Some(head) = &self.head else { return true };
        catalog.links(head.seq, 1).is_ok_and(|links| links.first().is_some_and(|link| link.head() == *head))
    }

    fn listen(&mut self, entry: &Entry) {
        if let Some(outcome) = entry.kind.strip_prefix(PROMOTION) {
            self.hear_of(entry, outcome);
        }
        if entry.kind != ACK {
            return;
        }
        let details: Value = serde_json::from_str(&entry.details).unwrap_or_default();
        let text = |name: &str| details.get(name).and_then(Value::as_str).map(str::to_owned);
        if let Some(key) = text("key") {
            let given = Given { key, by: text("by").unwrap_or_else(|| entry.who.clone()), at: entry.at };
            Arc::make_mut(self.acks.entry(entry.policy.clone()).or_default()).push(given);
        }
    }

    /// One that was interrupted and gone on with is on record twice, and was one.
    fn hear_of(&mut self, entry: &Entry, outcome: &str) {
        let Ok(promotion) = serde_json::from_str::<Promotion>(&entry.details) else { return };
        let one = promoted(&promotion, outcome);
        let all = Arc::make_mut(self.promotions.entry(entry.policy.clone()).or_default());
        all.retain(|other| (&other.host, other.at) != (&one.host, one.at));
        all.push(one);
    }

    /// Promotions of a policy's servers.
    pub(super) fn promotions(&self, policy: &str) -> Vec<PromotionAccount> {
        self.promotions.get(policy).map(|all| all.to_vec()).unwrap_or_default()
    }

    /// Who took alerts of a policy upon himself.
    pub(super) fn acks(&self, policy: &str) -> Vec<Given> {
        self.acks.get(policy).map(|acks| acks.to_vec()).unwrap_or_default()
    }

    pub(super) fn account(&self, catalog: String) -> ChainAccount {
        ChainAccount {
            catalog,
            whole: self.why.is_none(),
            links: self.links,
            head: self.head.as_ref().map(|head| format!("{}:{}", head.seq, head.hash)),
            why: self.why.clone(),
        }
    }
}

/// So many links that follow from one another, looked at before anybody knows what lies before them.
struct Page {
    /// What the first one says that it follows.
    before: Head,
    end: Head,
    heard: Vec<Entry>,
}

impl Page {
    /// None where it cannot be read, is not full or is broken.
    fn of(catalog: &Catalog, from: u64) -> Option<Page> {
        let mut before = None;
        let mut chain = Chain::from(None, &[]);
        let (mut links, mut heard) = (0, Vec::new());
        let read = catalog.each_link(from, PAGE, |link| {
            if before.is_none() {
                let head = Head { seq: link.seq.saturating_sub(1), hash: link.previous.clone().into_owned() };
                chain = Chain::from(Some(head.clone()), &[]);
                before = Some(head);
            }
            // Behind one that is broken none follows.
            links += usize::from(chain.push(&link).is_ok());
            if is_heard(&link.kind) {
                heard.push(link.keep().entry);
            }
        });
        let end = chain.head().cloned();
        read.ok().filter(|()| links == PAGE)?;
        Some(Page { before: before?, end: end?, heard })
    }
}

/// Kinds of entries that say something of themselves here.
const ACK: &str = "ack";
const PROMOTION: &str = "promotion.";

fn is_heard(kind: &str) -> bool {
    kind == ACK || kind.starts_with(PROMOTION)
}

fn promoted(promotion: &Promotion, outcome: &str) -> PromotionAccount {
    let failed = promotion.steps.iter().rev().find(|step| step.outcome == Some(StepOutcome::Failed));
    let why = failed.map(|step| format!("{}: {}; {}", step.step.says(), step.said, promotion.standing()));
    let loss = &promotion.loss;
    PromotionAccount {
        kind: promotion.kind.as_str().to_owned(),
        drill: None,
        at: promotion.begun,
        host: promotion.host.clone(),
        outcome: outcome.to_owned(),
        why: if outcome == "succeeded" { None } else { why.or_else(|| Some(promotion.standing())) },
        seconds: promotion.ended.map(|ended| ended.duration_since(promotion.begun).as_secs_f64()),
        within_seconds: None,
        timeline_before: promotion.timeline_before.0.get(),
        timeline: promotion.timeline.map(|timeline| timeline.0.get()),
        lost_seconds: if loss.behind_primary_bytes == Some(0) { Some(0.0) } else { loss.last_commit_seconds_ago },
        lost_bytes: loss.behind_primary_bytes,
        lost: loss.words.clone(),
        fenced: promotion.fencing.as_ref().map(|fencing| fencing.words.clone()),
    }
}
