//! What stands, what would be lost, and what speaks against it: known before anything is changed.

use std::time::Duration;

use super::archived::{self, Frontier};
use super::elsewhere::{self, Answer, Asked};
use super::hooks::Hooks;
use super::record::{Kind, Loss, Promotion, Stage};
use super::server::{Seen, Server};
use super::{PromoteFault, journal};
use crate::plan::words::{counted, joined};
use crate::site::Site;
use crate::units::{Bytes, Instant, Name, Timeline};

/// What somebody wants.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Another server than the policy's on this host.
    pub connection: Option<String>,
    pub switchover: bool,
    /// Who fenced the old primary, and how.
    pub fenced_by_hand: Option<String>,
    pub without_stores: bool,
    /// This store alone is asked.
    pub store: Option<Name>,
    /// How long each thing is waited for.
    pub patience: Duration,
    pub who: String,
    /// How the server would archive, where it does not.
    pub archive_command: String,
    /// How this program is called for the old primary, in front of its arguments.
    pub restore: String,
}

/// A promotion that can be begun, or gone on with.
#[derive(Debug)]
pub struct Plan {
    pub wanted: Wanted,
    pub kind: Kind,
    pub hooks: Hooks,
    pub server: Server,
    pub seen: Seen,
    pub asked: Vec<Asked>,
    pub archives: Vec<(Name, Result<Frontier, String>)>,
    pub loss: Loss,
    pub warnings: Vec<String>,
    pub made: Instant,
    /// What this host's journal said.
    pub before: Option<Promotion>,
    /// One that was interrupted after the server was told.
    pub goes_on: Option<Promotion>,
}

impl Plan {
    /// Where it may be: not at a server that is known to be another one, of which this standby may itself be one.
    pub(super) fn old_primary_at(&self) -> Vec<String> {
        self.asked.iter().filter(|asked| asked.may_be_the_old_one()).map(|asked| asked.at.clone()).collect()
    }
}

/// What was found.
#[derive(Debug)]
pub enum Stand {
    Plan(Box<Plan>),
    /// It was promoted by an earlier call, and nothing is left to do.
    Done(Box<Promotion>),
}

pub fn look(site: &Site<'_>, wanted: Wanted, now: Instant) -> Result<Stand, PromoteFault> {
    let mut server = Server::find(site, wanted.connection.as_deref())?;
    let seen = server.look()?;
    let before = journal::last(site);
    let is_it = |last: &&Promotion| last.system_identifier == seen.cluster && last.host == site.host();
    let last = before.as_ref().filter(is_it).cloned();
    if !seen.in_recovery {
        return already(site, wanted, server, seen, before, last, now);
    }
    if !seen.may_promote {
        let hint = "`grant execute on function pg_promote to …`, as a superuser on the primary; or name a superuser's connection.";
        return Err(PromoteFault::new("this account may not promote the server: it may not call `pg_promote`", hint));
    }
    let last = last.filter(|last| last.timeline_before == seen.timeline);
    if let Some(last) = last.as_ref().filter(|last| last.stage == Stage::Told) {
        return told(site, wanted, server, seen, before.clone(), last.clone(), now).map(|plan| Stand::Plan(Box::new(plan)));
    }
    refuse_paused(&seen)?;
    let kind = if wanted.switchover { Kind::Switchover } else { Kind::Failover };
    let asked = elsewhere::ask(site, &seen);
    let archives = archives(site, &wanted, &seen);
    let hooks = Hooks::of(site.policy);
    // Its primary is stopped already, and what it said before that is known.
    let stopped = last.filter(|last| kind == Kind::Switchover && last.kind == kind && last.stage >= Stage::Fencing);
    refuse(&wanted, &seen, &asked, &hooks, stopped.is_some())?;
    refuse_archives(&wanted, &archives)?;
    let mut loss = loss(&seen, &asked, &archives, now);
    if loss.primary.is_none() {
        loss.primary = stopped.and_then(|stopped| stopped.loss.primary);
    }
    let warnings = warnings(site, &wanted, &seen, &asked, &archives, before.as_ref());
    Ok(Stand::Plan(Box::new(Plan { wanted, kind, hooks, server, seen, asked, archives, loss, warnings, made: now, before, goes_on: None })))
}

/// What the stores have of the log, where they are to be asked.
pub(super) fn archives(site: &Site<'_>, wanted: &Wanted, seen: &Seen) -> Vec<(Name, Result<Frontier, String>)> {
    if wanted.without_stores { Vec::new() } else { archived::look(site, seen, wanted.store.as_ref()) }
}

pub(super) fn refuse_paused(seen: &Seen) -> Result<(), PromoteFault> {
    if !seen.paused {
        return Ok(());
    }
    let hint = "`select pg_wal_replay_resume()` there lets it go on; find out first who paused it, and why.";
    Err(PromoteFault::new("replay is paused on this standby", hint))
}

/// It was told and recovers yet. Whatever was asked before that is asked again: since then somebody may have started the old primary.
fn told(
    site: &Site<'_>,
    wanted: Wanted,
    server: Server,
    seen: Seen,
    before: Option<Promotion>,
    last: Promotion,
    now: Instant,
) -> Result<Plan, PromoteFault> {
    let asked = elsewhere::ask(site, &seen);
    if let Some(primary) = asked.iter().find(|asked| asked.is_alive()) {
        let message = format!("this server was told to become the primary, and may do so at any moment; and {}", primary.says());
        let hint = "STOP ONE OF THEM NOW: fence the old primary and run this again, or stop this server and bring it back as a standby.";
        return Err(PromoteFault::new(message, hint));
    }
    let (kind, loss, hooks) = (last.kind, last.loss.clone(), Hooks::of(site.policy));
    if hooks.fence.is_none() && wanted.fenced_by_hand.is_none() {
        return Err(nobody_fences());
    }
    let archives = archives(site, &wanted, &seen);
    refuse_archives(&wanted, &archives)?;
    Ok(Plan { wanted, kind, hooks, server, seen, asked, archives, loss, warnings: Vec::new(), made: now, before, goes_on: Some(last) })
}

/// A server that takes writes already: by an earlier call of ours, or it is the wrong one.
fn already(
    site: &Site<'_>,
    wanted: Wanted,
    server: Server,
    seen: Seen,
    before: Option<Promotion>,
    last: Option<Promotion>,
    now: Instant,
) -> Result<Stand, PromoteFault> {
    let last = last.filter(|last| {
        let became = last.timeline.map_or(last.timeline_before < seen.timeline, |timeline| timeline == seen.timeline);
        last.stage >= Stage::Told && became
    });
    match last {
        Some(last) if last.stage == Stage::Done && last.recorded => Ok(Stand::Done(Box::new(last))),
        Some(last) => Ok(Stand::Plan(Box::new(Plan {
            kind: last.kind,
            hooks: Hooks::of(site.policy),
            loss: last.loss.clone(),
            // For what an earlier run claimed there.
            archives: archives(site, &wanted, &seen),
            wanted,
            server,
            seen,
            asked: Vec::new(),
            warnings: Vec::new(),
            made: now,
            before,
            goes_on: Some(last),
        }))),
        None => {
            let message = format!("{} is no standby: it takes writes, on timeline {}", server.at, seen.timeline);
            Err(PromoteFault::new(message, "Run it on the standby's host; `--connection` names another server."))
        }
    }
}

/// What must not be, in the order in which it matters.
fn refuse(wanted: &Wanted, seen: &Seen, asked: &[Asked], hooks: &Hooks, is_stopped_already: bool) -> Result<(), PromoteFault> {
    let alive: Vec<&Asked> = asked.iter().filter(|asked| asked.is_alive()).collect();
    if let Some(primary) = alive.first().filter(|_| !wanted.switchover || wanted.fenced_by_hand.is_some()) {
        let hint = "Two primaries cannot be made one again. Stop it or fence it first; or, where it is well and is to be replaced on purpose, say `--switchover`.";
        return Err(PromoteFault::new(format!("the old primary still answers: {}", primary.says()), hint));
    }
    if hooks.fence.is_none() && wanted.fenced_by_hand.is_none() {
        return Err(nobody_fences());
    }
    if wanted.switchover && wanted.fenced_by_hand.is_none() && !is_stopped_already {
        if !alive.iter().any(|asked| matches!(asked.answer, Answer::Primary { .. })) {
            let hint = "A switchover needs the primary, to stop it after its last word. Where it is lost, leave `--switchover` away.";
            return Err(PromoteFault::new("the primary does not answer", hint));
        }
        if !seen.streams {
            let hint = "Its last log would not come here. Look into the server's log why; `pg_stat_wal_receiver` shows when it does.";
            return Err(PromoteFault::new("this standby does not stream from its primary", hint));
        }
    }
    Ok(())
}

fn nobody_fences() -> PromoteFault {
    let hint = "Give the policy `hooks.before_promote`, which fences it and ends with 0 only then. Or fence it yourself (power off, stop and disable \
                the service, take its address), and say `--fenced-by-hand 'who, and how'`.";
    PromoteFault::new("nobody answers for it that the old primary is fenced", hint)
}

/// What is archived must be known, and that nobody else was promoted.
pub(super) fn refuse_archives(wanted: &Wanted, archives: &[(Name, Result<Frontier, String>)]) -> Result<(), PromoteFault> {
    if wanted.without_stores {
        return Ok(());
    }
    let unknown: Vec<String> =
        archives.iter().filter_map(|(name, found)| Some(format!("store `{name}`: {}", found.as_ref().err()?))).collect();
    if !unknown.is_empty() && unknown.len() == archives.len() {
        let hint = "What was archived beyond this standby is not known, nor whether the next timeline is free. Mend the store; or, where that takes \
                    longer than the application can wait, say `--without-stores`.";
        return Err(PromoteFault::may_pass(format!("no store of the log can be asked: {}", unknown.join("; ")), hint));
    }
    refuse_rivals(archives)
}

pub(super) fn refuse_rivals(archives: &[(Name, Result<Frontier, String>)]) -> Result<(), PromoteFault> {
    let Some((store, timeline)) = each_of(archives, |found| &found.ahead).next() else { return Ok(()) };
    let message =
        format!("another server was promoted already: store `{store}` has timeline {timeline}, made after this standby's last transaction");
    let hint = "Find that server first; this standby can follow it. Where it was only a test that is gone, say `--without-stores`.";
    Err(PromoteFault::new(message, hint))
}

fn each_of<'a>(
    archives: &'a [(Name, Result<Frontier, String>)],
    what: impl Fn(&'a Frontier) -> &'a [Timeline],
) -> impl Iterator<Item = (&'a Name, Timeline)> {
    let found = archives.iter().filter_map(|(name, found)| Some((name, found.as_ref().ok()?)));
    found.flat_map(move |(name, found)| what(found).iter().map(move |timeline| (name, *timeline)))
}

pub(super) fn loss(seen: &Seen, asked: &[Asked], archives: &[(Name, Result<Frontier, String>)], now: Instant) -> Loss {
    let primary = asked.iter().find_map(|asked| match asked.answer {
        Answer::Primary { at, .. } => Some(at),
        _ => None,
    });
    let have = seen.received.max(seen.replayed);
    let behind = primary.zip(have).map(|(primary, have)| primary.0.saturating_sub(have.0));
    let mut loss = Loss {
        received: seen.received,
        replayed: seen.replayed,
        last_commit: seen.last_commit,
        last_commit_seconds_ago: seen.last_commit_seconds_ago,
        primary,
        behind_primary_bytes: behind,
        archives: archived::archived(archives, seen),
        words: Vec::new(),
    };
    loss.words = words(&loss, seen, archives, now);
    loss
}

fn words(loss: &Loss, seen: &Seen, archives: &[(Name, Result<Frontier, String>)], now: Instant) -> Vec<String> {
    let mut words = Vec::new();
    words.push(match (loss.behind_primary_bytes, seen.last_commit) {
        (Some(0), _) => "the primary answers, and this standby has all of its log".to_owned(),
        (Some(bytes), _) => format!("the primary answers, and has {} of log that this standby has not received yet", Bytes::new(bytes).rounded()),
        (None, Some(last)) => format!(
            "LOST, if there is any: what the old primary committed after the last log that came here. The last transaction that came was committed {last}, {} ago",
            ago(now, last)
        ),
        (None, None) => "LOST, if there is any: what the old primary committed after the last log that came here; when that was is not known".to_owned(),
    });
    let have = loss.received.max(loss.replayed).unwrap_or_default();
    for archived in &loss.archives {
        let store = &archived.store;
        words.push(match (&archived.unknown, archived.to) {
            (Some(why), _) => format!("store `{store}` cannot be asked: {why}"),
            (None, None) => format!("store `{store}` has no log of timeline {} here or later", seen.timeline),
            (None, Some(to)) if to > have => {
                let written = archived.written.map(|written| format!(", written {written}")).unwrap_or_default();
                format!("store `{store}` has log up to {to}{written}: more than came here; it is replayed before the promotion")
            }
            (None, Some(to)) => format!("store `{store}` has log up to {to}, not more than came here"),
        });
    }
    if archives.is_empty() {
        words.push("no store was asked: what it has beyond this standby would be lost as well".to_owned());
    }
    words
}

fn ago(now: Instant, then: Instant) -> String {
    crate::plan::words::about(now.duration_since(then).as_secs().max(0))
}

fn warnings(
    site: &Site<'_>,
    wanted: &Wanted,
    seen: &Seen,
    asked: &[Asked],
    archives: &[(Name, Result<Frontier, String>)],
    before: Option<&Promotion>,
) -> Vec<String> {
    let mut warnings = Vec::new();
    if !asked.iter().any(Asked::may_be_the_old_one) {
        warnings.push(
            "nothing says where the old primary is (`cluster.connection`, `cluster.hosts`): that it is silent cannot be seen from here"
                .to_owned(),
        );
    }
    let have = seen.received.max(seen.replayed).unwrap_or_default();
    for other in asked {
        if let Answer::Standby { received: Some(at) } = other.answer
            && at > have
        {
            let bytes = Bytes::new(at.0 - have.0).rounded();
            warnings
                .push(format!("{} ({}) is a standby that has {bytes} more: promoting that one would lose less", other.at, other.named_by));
        }
    }
    for (name, found) in archives {
        if let Err(why) = found {
            warnings.push(format!("store `{name}` cannot be asked: {why}"));
        }
    }
    for (name, timeline) in each_of(archives, |found| &found.passed_by) {
        warnings.push(format!("store `{name}` has timeline {timeline}, which left the log before this standby's last transaction: an old branch, if the clocks are right"));
    }
    if wanted.without_stores && site.policy.wal.is_some() {
        warnings
            .push("the next timeline may be taken already, which only the store knows: then this server could never archive".to_owned());
    }
    if let Some(other) = site.policy.file.delegated.iter().find(|(subject, _)| subject.as_str() == "failover") {
        warnings.push(format!("the policy leaves failover to {}: look there first, and never do both", other.1.to));
    }
    if let Some(last) = before.filter(|last| last.stage < Stage::Told && last.stage > Stage::Begun) {
        let steps = joined(last.steps.iter().map(|step| step.step.as_str()));
        let count = counted(last.steps.len(), "step");
        warnings.push(format!("one that was begun {} stopped after {count} ({steps}); it is begun again, fencing included", last.begun));
    }
    warnings
}
