//! What must be so before the server is told: nobody else is at it, the old primary is fenced and silent, all log is here.

use std::time::{Duration, Instant as Clock};

use super::act::Procedure;
use super::elsewhere::{self, Answer};
use super::hooks::Hook;
use super::plan::{archives, refuse_rivals};
use super::record::{FencedBy, Fencing, Kind, Stage};
use super::server::Seen;
use super::{PromoteFault, archived};
use crate::execute::hook;
use crate::execute::throwaway::BESIDE;
use crate::plan::words::joined;
use crate::units::{Lsn, Name};
use crate::world::clock;

/// How long an old primary that was fenced may still be seen: a server that was told to stop closes its door last.
const GRACE: Duration = Duration::from_secs(15);
/// The record of a clean shutdown has some 120 bytes, and at most one page's header lies in it.
const SHUTDOWN_RECORD: u64 = 192;

impl Procedure<'_> {
    /// In every store of the log that answers: another host may reach only one of them, and that need not be the first.
    pub(super) fn claim(&mut self) -> Result<(), PromoteFault> {
        let Some(wal) = self.site.policy.wal.as_ref().filter(|_| !self.plan.wanted.without_stores) else { return Ok(()) };
        let known = |name: &&Name| self.plan.archives.iter().any(|(known, found)| known == *name && found.is_ok());
        for name in std::iter::once(&wal.store).chain(&wal.copies).filter(known) {
            let store = self.site.store(name)?;
            let Some(found) = self.site.find_repository(&store)? else { continue };
            let by = (self.site.host(), self.plan.wanted.who.as_str());
            self.claims.take(&store, &found.repository, self.plan.seen.cluster, by, clock::now())?;
            // It may become the primary while this run still looks.
            if self.journal.promotion.stage >= Stage::Told {
                self.claims.stay();
            }
        }
        Ok(())
    }

    /// Somebody read the plan and thought about it; the world went on.
    pub(super) fn look_again(&mut self) -> Result<String, PromoteFault> {
        let before = self.plan.seen.clone();
        let seen = self.plan.server.look()?;
        if !seen.in_recovery || seen.timeline != before.timeline || seen.cluster != before.cluster {
            return Err(PromoteFault::new("the server is no longer what the plan says", "Look at it, and run this again."));
        }
        // Another host may have been promoted while somebody thought about it, and have gone: then only the stores know.
        refuse_rivals(&archives(self.site, &self.plan.wanted, &seen))?;
        let asked = elsewhere::ask(self.site, &seen);
        let alive = asked.iter().find(|asked| asked.is_alive());
        match (alive, self.plan.kind) {
            (Some(alive), Kind::Failover | Kind::Rehearsal) => {
                Err(PromoteFault::new(format!("the old primary answers again: {}", alive.says()), "Fence it, or let it be the primary."))
            }
            (Some(alive), Kind::Switchover) => Ok(alive.says()),
            (None, _) => Ok("no primary answers".to_owned()),
        }
    }

    /// Who answers for it that the old primary writes no more.
    pub(super) fn fence(&mut self) -> Result<String, PromoteFault> {
        let fencing = match (&self.plan.wanted.fenced_by_hand, self.plan.hooks.fence.clone()) {
            (None, None) if self.plan.kind == Kind::Rehearsal => {
                return Ok("no fence is rehearsed: the drill has no `promote.fence`".to_owned());
            }
            (Some(words), _) => Fencing { by: FencedBy::Hand, words: words.clone(), at: clock::now() },
            (None, Some(hook)) => {
                if self.plan.kind == Kind::Switchover {
                    // So that little is left to be replayed when the primary is gone.
                    self.restart_point()?;
                }
                self.journal.reach(Stage::Fencing)?;
                self.run_hook(&hook)?;
                Fencing { by: FencedBy::Hook, words: hook.program().to_owned(), at: clock::now() }
            }
            (None, None) => return Err(PromoteFault::new("nobody answers for it that the old primary is fenced", "")),
        };
        let said = match fencing.by {
            FencedBy::Hook if self.plan.kind == Kind::Rehearsal => format!("the fence was rehearsed (exit status 0 of {})", fencing.words),
            FencedBy::Hook => {
                format!("`hooks.before_promote` answered that the old primary is fenced (exit status 0 of {})", fencing.words)
            }
            FencedBy::Hand => format!("fenced by hand: {}", fencing.words),
        };
        self.journal.promotion.fencing = Some(fencing);
        self.journal.reach(Stage::Fenced)?;
        Ok(said)
    }

    pub(super) fn run_hook(&self, hook: &Hook) -> Result<(), PromoteFault> {
        let promotion = &self.journal.promotion;
        let mut about = vec![
            ("POLICY", promotion.policy.clone()),
            ("HOST", promotion.host.clone()),
            ("SERVER", promotion.server.clone()),
            ("KIND", promotion.kind.as_str().to_owned()),
            ("OLD_PRIMARY", promotion.old_primary_at.join(" ")),
            ("TIMELINE", promotion.timeline.unwrap_or(promotion.timeline_before).to_string()),
        ];
        if promotion.kind == Kind::Rehearsal {
            // A program that takes no notice of it knows of nobody whom it could fence.
            about.retain(|(name, _)| *name != "OLD_PRIMARY");
            about.extend([("OLD_PRIMARY", String::new()), ("REHEARSAL", hook.path.clone())]);
            about.extend(self.plan.hooks.beside.iter().map(|copy| (BESIDE.trim_start_matches("SEAWALL_"), copy.to_string())));
        }
        Ok(hook::run(&hook.path, &hook.command, &about, Some(self.onlooker.stop))?)
    }

    /// An answer is one thing, silence another; both are wanted.
    pub(super) fn silence(&mut self) -> Result<String, PromoteFault> {
        let seen = self.plan.seen.clone();
        let mut alive = String::new();
        let silent = self.until("waited for the old primary's silence", GRACE, |procedure| {
            let asked = elsewhere::ask(procedure.site, &seen);
            match asked.iter().find(|asked| asked.is_alive()) {
                Some(one) => {
                    alive = one.says();
                    Ok(None)
                }
                None => Ok(Some(asked)),
            }
        })?;
        let Some(asked) = silent else {
            let hint = "The fence is said to hold and does not: mend it (`hooks.before_promote`), fence by hand, and run this again.";
            return Err(PromoteFault::new(format!("it was fenced, and still answers: {alive}"), hint));
        };
        let silent: Vec<&str> =
            asked.iter().filter(|asked| matches!(asked.answer, Answer::Silent(_))).map(|asked| asked.at.as_str()).collect();
        Ok(if silent.is_empty() { "no primary answers".to_owned() } else { format!("does not answer: {}", joined(silent)) })
    }

    /// All that came here and all that was archived is replayed. PostgreSQL would do so by itself before it opens; here it is seen.
    pub(super) fn drain(&mut self) -> Result<String, PromoteFault> {
        let patience = self.plan.wanted.patience;
        let archives = archives(self.site, &self.plan.wanted, &self.plan.seen);
        let last = archived::newest(&archives);
        let still_for = (self.plan.seen.retry * 2).max(Duration::from_secs(3));
        let (mut at, mut since) = (None, Clock::now());
        let mut seen_last: Option<Seen> = None;
        let drained = self.until("waited until all log is replayed", patience, |procedure| {
            let seen = procedure.plan.server.look()?;
            if !seen.in_recovery {
                // It takes writes: whoever did it, the old primary must stay fenced, and what comes afterwards is still to be done.
                procedure.claims.stay();
                procedure.journal.reach(Stage::Told)?;
                return Err(PromoteFault::new(
                    "somebody else promoted the server meanwhile",
                    "Look who; `seawall wal status` says whether it archives.",
                ));
            }
            if seen.replayed != at {
                (at, since) = (seen.replayed, Clock::now());
            }
            let here = seen.replayed.unwrap_or_default();
            // What a primary had sent when it died may end in the middle of a record, which is never replayed.
            let waits = !seen.streams && seen.waits_for_log != Some(false) && since.elapsed() >= still_for;
            let has_received = seen.received.is_none_or(|received| here >= received || waits);
            // The end of a segment's last record is known only when replay stands still in it.
            let has_archived = last.is_none_or(|last| {
                here >= last.end(seen.segment_size) || (here >= last.start(seen.segment_size) && since.elapsed() >= still_for)
            });
            seen_last = Some(seen);
            Ok((has_received && has_archived).then_some(here))
        })?;
        let unseen =
            archives.iter().filter_map(|(name, found)| found.as_ref().err().map(|why| format!("; store `{name}` was not asked: {why}")));
        let unseen: String = unseen.collect();
        if let Some(here) = drained {
            self.journal.promotion.loss.replayed = Some(here);
            let cut = seen_last.and_then(|seen| seen.received).filter(|received| *received > here);
            let cut = cut.map(|received| format!("; what came ends at {received}, within a record")).unwrap_or_default();
            return Ok(format!("replayed up to {here}, all that came here and all that was archived{cut}{unseen}"));
        }
        let stood = seen_last.and_then(|seen| seen.replayed).unwrap_or_default();
        let until = last.map(|last| format!(" (archived: segment {last})")).unwrap_or_default();
        let hint = "Look into the server's log: a query that conflicts with replay, or a segment that cannot be fetched. Then run this again; `--wait` waits longer, \
                    `--without-stores` leaves what is archived.";
        Err(PromoteFault::new(format!("replay stands at {stood} and has not come to the end of the log{until}"), hint))
    }

    /// A restart point at the last checkpoint that was replayed.
    pub(super) fn restart_point(&mut self) -> Result<(Lsn, Lsn), PromoteFault> {
        let patience = self.plan.wanted.patience;
        let session = self.plan.server.session()?;
        let usual = session.silence();
        session.set_silence(patience.max(usual))?;
        session.run("checkpoint")?;
        session.set_silence(usual)?;
        let rows = session.query("select checkpoint_lsn::text, redo_lsn::text from pg_catalog.pg_control_checkpoint()", &[])?;
        let row = rows.one()?;
        Ok((row.parse("checkpoint_lsn")?, row.parse("redo_lsn")?))
    }

    /// A primary that was stopped cleanly wrote a checkpoint as its very last record, and sent it before it went. Of all checkpoints only that
    /// one begins where its redo does.
    pub(super) fn compare(&mut self) -> Result<String, PromoteFault> {
        let (checkpoint, redo) = self.restart_point()?;
        let here = self.plan.server.look()?.replayed.unwrap_or_default();
        let is_shutdown = checkpoint == redo;
        let is_last = here > checkpoint && here.0 - checkpoint.0 <= SHUTDOWN_RECORD;
        let ends = format!("the log ends at {here} with the old primary's shutdown checkpoint at {checkpoint}");
        match self.plan.loss.primary {
            Some(primary) if is_shutdown && is_last && checkpoint >= primary => return Ok(format!("{ends}: nothing is lost")),
            // Of an earlier stop, perhaps, and this standby was cut off since.
            None if is_shutdown && is_last => {
                let unseen = "whether it wrote anything after that, and this standby was cut off, cannot be seen: it was stopped before it could be asked";
                self.journal.promotion.loss.words.push(format!("{ends}; {unseen}"));
                return Ok(format!("{ends}; {unseen}"));
            }
            _ => {}
        }
        let message = format!(
            "the log that came here ends at {here} without the old primary's shutdown checkpoint (the last checkpoint is at {checkpoint})"
        );
        let hint = "The old primary was not stopped cleanly, or its last log did not come here. Start it again, and it is the primary as before; or leave \
                    `--switchover` away, and what it had beyond this is lost.";
        Err(PromoteFault::new(message, hint))
    }
}
