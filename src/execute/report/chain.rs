//! Walks along the audit chain: is it whole, who took which alert upon himself, and which servers were promoted?

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::catalog::Catalog;
use crate::execute::promote::{Promotion, StepOutcome};
use crate::format::audit::{Chain, Entry, Head, Link};
use crate::report::account::{ChainAccount, Given, PromotionAccount};

const PAGE: usize = 5_000;

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
        let mut chain = Chain::from(walked.head.clone(), &[]);
        // From the smallest number there is: a link that stands before the first one is found as well.
        let mut next = walked.head.as_ref().map_or(0, |head| head.seq.saturating_add(1));
        loop {
            let page = match catalog.links(next, PAGE) {
                Ok(page) => page,
                Err(fault) => return Walked { why: Some(format!("it cannot be read: {}", fault.message)), ..walked },
            };
            let Some(last) = page.last() else { break };
            let head = last.head();
            for link in &page {
                walked.links += 1;
                walked.listen(link);
                if let Err(broken) = chain.push(link) {
                    walked.why = Some(broken.to_string());
                    return walked;
                }
            }
            next = head.seq.saturating_add(1);
            walked.head = Some(head);
        }
        walked
    }

    /// Its end may have been cut off since.
    fn goes_on(&self, catalog: &Catalog) -> bool {
        let Some(head) = &self.head else { return true };
        catalog.links(head.seq, 1).is_ok_and(|links| links.first().is_some_and(|link| link.head() == *head))
    }

    fn listen(&mut self, link: &Link) {
        let entry = &link.entry;
        if let Some(outcome) = entry.kind.strip_prefix("promotion.") {
            self.hear_of(entry, outcome);
        }
        if entry.kind != "ack" {
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
