//! What is owed is sent: everything once at least, to each receiver in the order in which it was queued, and nobody waits for
//! somebody else's mail server.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant as Stopwatch};

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::courier::{Before, Courier, Receipt};
use super::fault::{FaultKind, SendFault};
use super::mark;
use crate::alert::Notice;
use crate::catalog::{Catalog, CatalogFault, Outgoing};
use crate::policy::model::Policy;
use crate::units::{Instant, Name};
use crate::world::parallel;

/// How many are taken at once.
const BATCH: usize = 200;
/// How many receivers are served at once.
const AT_ONCE: usize = 8;
/// Who takes longer than this is taken for dead, and others send in his place.
const LEASE: SignedDuration = SignedDuration::from_mins(5);
/// Nothing is begun so close to the end of a lease.
const MARGIN: SignedDuration = SignedDuration::from_secs(60);
/// Who keeps us waiting for so long in vain is not asked again in this run.
pub(super) const SLOW: Duration = Duration::from_secs(9);
const FIRST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// Also when a receiver asks for less.
const SHORTEST_PAUSE: Duration = Duration::from_secs(30);
/// What nobody took for so long is of use to nobody.
const GIVE_UP_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24);
/// And who was tried so often: with the usual pauses this takes most of a day, whatever a clock that jumps says of the time.
const GIVE_UP_TRIES: u32 = 24;
/// As many things of a digest are found again.
const MAX_THREADS: usize = 25;
/// What the catalog keeps under one name.
const MAX_KEPT: usize = 1_000;

/// What came of it.
#[derive(Debug, Default)]
pub struct Flushed {
    pub delivered: Vec<Delivery>,
    pub failed: Vec<Failure>,
}

/// A notice that arrived.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub id: String,
    pub policy: Name,
    pub receiver: String,
    /// Who of several did not get it, and why.
    pub refused: Vec<String>,
}

/// An attempt that failed.
#[derive(Debug, Clone)]
pub struct Failure {
    pub id: String,
    pub policy: Name,
    pub receiver: String,
    pub message: String,
    pub hint: String,
    pub next_try: Instant,
    /// Nobody tries any more.
    pub gave_up: bool,
}

/// Sends what is owed to the receivers of these policies and may be tried now. What policies elsewhere owe is left to those who have them.
pub fn flush<P: Borrow<Policy>>(
    catalog: &Catalog,
    policies: &BTreeMap<Name, P>,
    now: &(dyn Fn() -> Instant + Sync),
    claimant: &str,
    stop: &AtomicBool,
) -> Result<Flushed, CatalogFault> {
    let mut all = Flushed::default();
    let down = Mutex::default();
    while !stop.load(Ordering::Relaxed) {
        let began = now();
        let mut queues = Vec::new();
        for owing in catalog.owing(began)? {
            let Some(policy) = policies.get(owing.as_str()).map(P::borrow) else { continue };
            let claimed = catalog.claim(&[owing.as_str()], began, BATCH, later(began, LEASE), claimant)?;
            queues.extend(by_receiver(policy, claimed));
        }
        if queues.is_empty() {
            break;
        }
        let done = Mutex::default();
        let round = Round { catalog, now, until: later(began, LEASE.saturating_sub(MARGIN)), stop, down: &down, done: &done };
        let outcomes = parallel::map_with(AT_ONCE, &queues, &|queue| round.work_off(queue));
        outcomes.into_iter().collect::<Result<(), CatalogFault>>()?;
        let done: Flushed = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        // The clock went past the lease before anything was begun: the next run goes on.
        let moved = !done.delivered.is_empty() || !done.failed.is_empty();
        all.delivered.extend(done.delivered);
        all.failed.extend(done.failed);
        if !moved {
            break;
        }
    }
    Ok(all)
}

/// What one receiver is owed, in order.
struct Queue<'p> {
    policy: &'p Policy,
    notices: Vec<Outgoing>,
}

fn by_receiver(policy: &Policy, claimed: Vec<Outgoing>) -> Vec<Queue<'_>> {
    let mut queues: BTreeMap<String, Vec<Outgoing>> = BTreeMap::new();
    for notice in claimed {
        queues.entry(notice.receiver.clone()).or_default().push(notice);
    }
    queues.into_values().map(|notices| Queue { policy, notices }).collect()
}

/// What was claimed together.
struct Round<'r> {
    catalog: &'r Catalog,
    now: &'r (dyn Fn() -> Instant + Sync),
    /// Nothing is begun after that.
    until: Instant,
    stop: &'r AtomicBool,
    /// Servers that kept somebody waiting in vain: a thousand policies do not wait for one of them one after the other.
    down: &'r Mutex<BTreeSet<String>>,
    done: &'r Mutex<Flushed>,
}

impl Round<'_> {
    /// One receiver's notices, as far as they are taken: what follows one that waits waits too.
    fn work_off(&self, queue: &Queue<'_>) -> Result<(), CatalogFault> {
        for (at, outgoing) in queue.notices.iter().enumerate() {
            if self.stop.load(Ordering::Relaxed) || (self.now)() >= self.until {
                return self.catalog.released(&queue.notices[at..]);
            }
            let outcome = self.attempt(queue.policy, outgoing)?;
            let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
            match outcome {
                Ok(delivery) => done.delivered.push(delivery),
                Err(failure) => {
                    let waits = !failure.gave_up;
                    done.failed.push(failure);
                    drop(done);
                    if waits {
                        return self.catalog.released(&queue.notices[at + 1..]);
                    }
                }
            }
        }
        Ok(())
    }

    /// One attempt, and what came of it in the catalog.
    fn attempt(&self, policy: &Policy, outgoing: &Outgoing) -> Result<Result<Delivery, Failure>, CatalogFault> {
        let notice: Notice = match serde_json::from_str(&outgoing.json) {
            Ok(notice) => notice,
            Err(error) => {
                let fault = SendFault::refused(format!("the notice in the catalog cannot be read: {error}"), "");
                return self.failed(policy, outgoing, &fault).map(Err);
            }
        };
        let before = self.before(outgoing, &notice)?;
        match self.send(policy, &notice, &before) {
            Ok(receipt) => self.delivered(policy, outgoing, &notice, &before, receipt).map(Ok),
            Err(fault) => {
                let reached = fault.reached.join(",");
                // Where they are too many to be kept, they get it twice.
                if !reached.is_empty() && reached.len() <= MAX_KEPT {
                    self.remember(outgoing, &reached_by(&outgoing.id), &reached)?;
                }
                self.failed(policy, outgoing, &fault).map(Err)
            }
        }
    }

    fn send(&self, policy: &Policy, notice: &Notice, before: &Before) -> Result<Receipt, SendFault> {
        let courier = Courier::new(policy);
        let server = courier.server(&notice.receiver);
        let down = || self.down.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = server.as_ref().filter(|server| down().contains(*server)) {
            return Err(SendFault::passing(format!("not tried: {server} did not answer a moment ago")));
        }
        let began = Stopwatch::now();
        let sent = courier.send(notice, before);
        if let (Err(fault), Some(server)) = (&sent, server)
            && fault.kind == FaultKind::Passing
            && began.elapsed() >= SLOW
        {
            down().insert(server);
        }
        sent
    }

    fn delivered(
        &self,
        policy: &Policy,
        outgoing: &Outgoing,
        notice: &Notice,
        before: &Before,
        receipt: Receipt,
    ) -> Result<Delivery, CatalogFault> {
        // First that it arrived: a thread that is not remembered is a lesser evil than a message twice.
        let kept = receipt.reference.filter(|reference| reference.len() <= MAX_KEPT);
        self.catalog.delivered(&outgoing.id, (self.now)(), kept.as_deref())?;
        if let Some(reference) = kept.filter(|kept| before.reference.as_ref() != Some(kept)) {
            for item in notice.items.iter().take(MAX_THREADS) {
                self.remember(outgoing, &thread(&item.key), &reference)?;
            }
        }
        self.refused(outgoing, &receipt.refused)?;
        Ok(Delivery { id: outgoing.id.clone(), policy: policy.name.clone(), receiver: outgoing.receiver.clone(), refused: receipt.refused })
    }

    fn remember(&self, outgoing: &Outgoing, thread: &str, what: &str) -> Result<(), CatalogFault> {
        self.catalog.remember_reference(&outgoing.policy, &outgoing.receiver, thread, what, (self.now)())
    }

    fn before(&self, outgoing: &Outgoing, notice: &Notice) -> Result<Before, CatalogFault> {
        let known = |thread: &str| self.catalog.reference_of(&outgoing.policy, &outgoing.receiver, thread);
        let reference = match notice.items.first() {
            Some(item) => known(&thread(&item.key))?,
            None => None,
        };
        // Only what was tried before can have reached somebody.
        let reached = if outgoing.attempts > 1 { known(&reached_by(&outgoing.id))? } else { None };
        let reached = reached.map(|list| list.split(',').map(str::to_owned).collect()).unwrap_or_default();
        Ok(Before { reference, reached })
    }

    /// It arrived; who of several did not get it and never will.
    fn refused(&self, outgoing: &Outgoing, refused: &[String]) -> Result<(), CatalogFault> {
        let known = refusals(self.catalog, &outgoing.policy, &outgoing.receiver)?;
        if refused.is_empty() && known.is_none() {
            return Ok(());
        }
        let said = beginning(refused);
        // A server says the same in other words each time; whom it refuses stands before them.
        let known = known.filter(|known| who(&known.said).eq(who(&said)));
        let now = (!refused.is_empty()).then(|| Refusals { since: known.map_or_else(|| (self.now)(), |known| known.since), said });
        let json = serde_json::to_string(&now).expect("moments and a text");
        self.remember(outgoing, REFUSALS, &json)
    }

    fn failed(&self, policy: &Policy, outgoing: &Outgoing, fault: &SendFault) -> Result<Failure, CatalogFault> {
        let at = (self.now)();
        // By the earlier of both: the clock may have been ahead when it was queued.
        let since = outgoing.first_failed.map_or(outgoing.created, |failed| failed.min(outgoing.created));
        let too_old = at.duration_since(since) > GIVE_UP_AFTER && outgoing.attempts >= GIVE_UP_TRIES;
        let gave_up = fault.kind == FaultKind::Refused || too_old;
        let pause =
            SignedDuration::try_from(pause(outgoing.attempts, &outgoing.id, fault.retry_after)).unwrap_or(SignedDuration::from_hours(1));
        let next_try = later(at, pause);
        self.catalog.failed(outgoing, &fault.message, at, next_try, gave_up)?;
        Ok(Failure {
            id: outgoing.id.clone(),
            policy: policy.name.clone(),
            receiver: outgoing.receiver.clone(),
            message: fault.message.clone(),
            hint: fault.hint.clone(),
            next_try,
            gave_up,
        })
    }
}

/// The addresses of a text of refusals.
fn who(said: &str) -> impl Iterator<Item = &str> {
    said.split("; ").filter_map(|one| one.strip_prefix('`')?.split('`').next())
}

fn beginning(refused: &[String]) -> String {
    let all = refused.join("; ");
    let end = all.floor_char_boundary(MAX_REFUSALS);
    if end < all.len() { format!("{}…", &all[..end]) } else { all }
}

/// A minute, then twice as long each time, an hour at most; up to a fifth more or less, so that a fleet does not come all at once.
/// Whoever asks for patience gets it.
fn pause(attempts: u32, id: &str, asked: Option<Duration>) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << attempts.saturating_sub(1).min(10)).min(LONGEST_PAUSE);
    // The same for the same attempt, so that a test can know it.
    let lot = u32::from_str_radix(&mark(&format!("{id} {attempts}"))[..4], 16).unwrap_or_default();
    let spread = doubled.mul_f64(0.8 + 0.4 * f64::from(lot) / f64::from(0xffff_u32));
    match asked {
        Some(asked) => asked.max(SHORTEST_PAUSE) + doubled.mul_f64(0.1 * f64::from(lot) / f64::from(0xffff_u32)),
        None => spread,
    }
}

/// Under which name the catalog keeps the first message about something.
fn thread(key: &str) -> String {
    format!("thread:{}", mark(key))
}

/// Whom a receiver's messages do not reach, of several, because their server refuses them for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusals {
    /// From the first message on that did not reach the same ones.
    pub since: Instant,
    /// Who, and what the server said.
    pub said: String,
}

/// Under which name the catalog keeps them: they end with the first message that reaches everybody.
const REFUSALS: &str = "refusals";
/// With what stands around it, less than the catalog keeps under one name.
const MAX_REFUSALS: usize = 400;

/// Who is not reached by the messages to a receiver.
pub fn refusals(catalog: &Catalog, policy: &str, receiver: &str) -> Result<Option<Refusals>, CatalogFault> {
    let kept = catalog.reference_of(policy, receiver, REFUSALS)?;
    Ok(kept.and_then(|kept| serde_json::from_str(&kept).ok()).flatten())
}

/// Under which name it keeps whom a notice has reached.
fn reached_by(id: &str) -> String {
    format!("reached:{}", mark(id))
}

fn later(at: Instant, span: SignedDuration) -> Instant {
    at.checked_add(span).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_an_hour_and_never_come_all_at_once() {
        for attempts in 1..40 {
            let expected = (60.0 * 2_f64.powi(attempts - 1)).min(3600.0);
            let seconds: Vec<f64> =
                (0..50).map(|id| pause(u32::try_from(attempts).expect("small"), &id.to_string(), None).as_secs_f64()).collect();
            assert!(seconds.iter().all(|pause| (expected * 0.8..=expected * 1.2).contains(pause)), "{attempts}: {seconds:?}");
            let (least, most) = seconds.iter().fold((f64::MAX, 0_f64), |(least, most), pause| (least.min(*pause), most.max(*pause)));
            assert!(most - least > expected * 0.2, "{attempts}");
        }
        let asked = |seconds| pause(1, "a", Some(Duration::from_secs(seconds))).as_secs();
        assert!((600..=606).contains(&asked(600)));
        assert!((30..=36).contains(&asked(0)));
    }
}
