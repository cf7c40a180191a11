//! What recoveries have shown against what is promised: how much would be lost now, how long a recovery will take, whether keys still open.

use super::{Look, allowed, moment, roots, rough};
use crate::alert::condition::{Condition, State};
use crate::alert::facts::RecipientFacts;
use crate::evidence::{
    Bound, Custody, NOTICE_OF_KEYS, Prediction, RecoveryPoint, Tendency, URGENT_FOR_KEYS, custody, scenario_promises, tendency,
};
use crate::inventory::{Observed, Proven};
use crate::plan::words::{about, joined, quoted, sentence};
use crate::policy::file::Severity;
use crate::policy::model::Encryption;
use crate::units::{Duration, Name};

pub(super) fn look(look: &mut Look<'_>) {
    recovery_point(look);
    recovery_time(look);
    drills(look);
    tiers(look);
    identities(look);
    keys(look);
}

/// Of what keeps the log or a backup from the store there are alerts of their own: this one is for what they do not see.
fn recovery_point(look: &mut Look<'_>) {
    let facts = look.facts;
    if let Some(promised) = look.policy.objectives.rpo {
        point(look, "recovery_point".to_owned(), "the server were lost now", promised, &facts.recovery_point);
    }
    let unseen = Observed::unknown("nobody has looked");
    for promise in scenario_promises(look.policy) {
        let seen = facts.scenario_points.get(promise.scenario).unwrap_or(&unseen);
        let what = format!("{} came now", quoted(promise.scenario));
        point(look, format!("recovery_point:{}", promise.scenario), &what, promise.promised, seen);
    }
}

fn point(look: &mut Look<'_>, key: String, what: &str, promised: Duration, seen: &Observed<Option<RecoveryPoint>>) {
    let of_backups = look.policy.backups.keys().map(|name| format!("backup_age:{name}"));
    let roots = look.policy.stores.keys().map(roots::store).chain([roots::SERVER.to_owned(), "wal_lag".to_owned()]).chain(of_backups);
    let condition =
        Condition { because: look.cause(roots), ..Condition::new(key, Severity::Critical, "more would be lost now than is promised") };
    let condition = condition.lasting(Duration::from_mins(1)).fact("promised", promised);
    look.push(match seen {
        // That it cannot be seen is said of what hides it.
        Observed::Unknown { .. } => condition.state(State::Unknown),
        Observed::Known(None) => {
            let title = format!("if {what}, a whole database would be lost with it; at most {promised} are promised");
            let none = &look.facts.in_no_backup;
            let which = if none.is_empty() { "it".to_owned() } else { format!("all of {}", joined(none.iter().map(quoted))) };
            let text = format!("No backup that was seen has {which}.");
            let hint = "`seawall list` shows what there is; take a backup now.";
            Condition { title, ..condition }.state(State::Firing).text(text).hint(hint)
        }
        Observed::Known(Some(point)) => {
            let (why, hint) = bound(point.bound);
            // What keeps the log here, in the server's own words.
            let archiver = look.facts.wal.known().and_then(|wal| wal.error.as_deref()).filter(|_| point.bound == Bound::Log);
            let lost = rough(point.lost);
            Condition { title: format!("if {what}, {lost} would be lost with it; {promised} are promised"), ..condition }
                .firing_if(point.lost > promised)
                .text(archiver.map_or_else(|| why.to_owned(), sentence))
                .hint(hint)
                .fact("safe until", moment(look.policy, point.at))
        }
    });
}

/// What keeps it from being now, and what to do about it.
fn bound(bound: Bound) -> (&'static str, &'static str) {
    match bound {
        Bound::Gap => (
            "The log in the store has a gap behind the newest backup: later log is of no use.",
            "Run `seawall verify` to see what is missing, and take a backup now: the log goes on from it.",
        ),
        Bound::Canary => (
            "The heartbeat row that was written since the last segment is not archived.",
            "See `seawall wal status`; a shorter `wal.timeout` archives an idle server's log sooner.",
        ),
        Bound::Log => ("The log waits to be archived.", "Run `seawall wal status`: it says what waits and why."),
        Bound::Backup => ("No log is archived, so the newest backup is all there is.", "Take a backup now, or archive the log (`wal`)."),
        Bound::Copy => (
            "Only second copies would be left, and the log in them is behind.",
            "Run `seawall copy`; a store in `wal.copies` gets the log as soon as the first one does.",
        ),
        Bound::Apart => (
            "The log is archived, and no store has it together with a backup that it goes on from.",
            "Take a backup now into the store that the log goes to.",
        ),
        Bound::Nothing => ("", ""),
    }
}

/// Only what was measured: what is merely assumed is judged where the policy is reviewed.
fn recovery_time(look: &mut Look<'_>) {
    let measured: Vec<&Prediction> = look.facts.predictions.iter().filter(|one| one.is_measured() && one.promised.is_some()).collect();
    let hint = "`seawall plan` shows what the time is made of, and what would have to be faster.";
    let mut over: Vec<&Prediction> = measured.iter().copied().filter(|one| one.is_over()).collect();
    over.sort_by_key(|one| std::cmp::Reverse(excess(one)));
    let usually = over.iter().any(|one| one.p50 > one.promised);
    let severity = if usually { Severity::Critical } else { Severity::Warning };
    let condition = Condition::new("recovery_time", severity, "a recovery takes longer than is promised").hint(hint);
    look.push(match over.first() {
        None => condition,
        Some(worst) => told(
            Condition {
                title: format!("{} may take {}; {} are promised", what(worst), span(worst.p95), span(worst.promised)),
                ..condition
            },
            &over,
        ),
    });
    let mut near: Vec<&Prediction> = measured.into_iter().filter(|one| one.is_near()).collect();
    near.sort_by_key(|one| one.promised.zip(one.p95).map(|(promised, p95)| promised - p95));
    let condition = Condition::new("recovery_margin", Severity::Warning, "a recovery takes nearly as long as is promised").hint(hint);
    look.push(match near.first() {
        None => condition,
        Some(worst) => {
            let left = worst.promised.zip(worst.p95).map(|(promised, p95)| promised - p95).unwrap_or_default();
            let title = format!(
                "{} may take {}: that leaves {left} of the {} that are promised",
                what(worst),
                span(worst.p95),
                span(worst.promised)
            );
            told(Condition { title, ..condition }, &near)
        }
    });
}

fn excess(one: &Prediction) -> Duration {
    one.p95.zip(one.promised).map(|(p95, promised)| p95 - promised).unwrap_or_default()
}

fn span(length: Option<Duration>) -> String {
    length.unwrap_or_default().to_string()
}

fn what(one: &Prediction) -> String {
    if one.scenario == "everything" { "recovering everything".to_owned() } else { format!("recovering from `{}`", one.scenario) }
}

/// What it rests on, and whatever else is so.
fn told(condition: Condition, all: &[&Prediction]) -> Condition {
    let Some((first, others)) = all.split_first() else { return condition };
    let times = if first.samples == 1 { "one measured recovery".to_owned() } else { format!("{} measured recoveries", first.samples) };
    let mut text = format!("By {times}; usually it takes {}.", span(first.p50));
    if !first.assumed.is_empty() {
        text.push_str(&format!(" Nobody has measured the {}.", joined(&first.assumed)));
    }
    if !others.is_empty() {
        text.push_str(&format!(" The same holds for {}.", joined(others.iter().map(|one| format!("`{}`", one.scenario)))));
    }
    let condition = condition.state(State::Firing).text(text).fact("usually", span(first.p50)).fact("carefully", span(first.p95));
    condition.fact("promised", span(first.promised))
}

/// A drill that is still quick enough, and will not be for long.
fn drills(look: &mut Look<'_>) {
    for (name, drill) in &look.policy.drills {
        let Some(limit) = allowed::restore_time(look.policy, drill).map(|limit| limit.value) else { continue };
        let times: Vec<Duration> = recoveries(look, name);
        let condition = Condition::new(
            format!("restore_margin:{name}"),
            Severity::Warning,
            format!("the recovery of drills.{name} is nearly too slow"),
        );
        let condition = condition.job(format!("drills.{name}")).fact("limit", limit);
        let last = times.first().copied().unwrap_or_default();
        look.push(match tendency(&times, limit) {
            Tendency::Steady => condition,
            Tendency::Near => {
                Condition { title: format!("the recovery of drills.{name} took {last} of the {limit} that it may take"), ..condition }
                    .state(State::Firing)
                    .hint("Mend it before it is too slow: `docs/objectives.md` says what a restore's time is made of.")
            }
            Tendency::Slower => {
                let before: Vec<String> = times.iter().take(3).rev().map(ToString::to_string).collect();
                Condition { title: format!("the recovery of drills.{name} takes longer each time: {}", joined(before)), ..condition }
                    .state(State::Firing)
                    .hint("See what grows: the backup, the log between two of them, or the time that a byte takes.")
            }
        });
    }
}

fn recoveries(look: &Look<'_>, name: &Name) -> Vec<Duration> {
    let standing = look.facts.drills.get(name);
    let millis = standing.map(|standing| standing.recovery_millis.as_slice()).unwrap_or_default();
    millis.iter().map(|millis| Duration::from_secs(millis.div_ceil(1_000))).collect()
}

/// When each tier of data was last usable in a drill, whichever it was.
fn tiers(look: &mut Look<'_>) {
    for name in look.policy.objectives.data.keys() {
        let Some(limit) = look.policy.left_of_tier(name) else { continue };
        let seen = look.facts.drills.iter().filter_map(|(drill, standing)| Some((drill, standing.tiers.get(name)?)));
        let Some((drill, last)) = seen.max_by_key(|(_, tier)| tier.at) else { continue };
        let took = Duration::from_secs(last.millis.first().copied().unwrap_or(0).div_ceil(1_000));
        let condition =
            Condition::new(format!("tier_time:{name}"), Severity::Warning, format!("the tier {} is usable too late", quoted(name)));
        let condition = condition.job(format!("drills.{drill}")).fact("limit", limit);
        look.push(
            Condition {
                title: format!("the tier {} was usable after {took} in drills.{drill}; {limit} are left of what is promised", quoted(name)),
                ..condition
            }
            .firing_if(took > limit)
            .hint("Name what is needed first in fewer and smaller tiers, or promise less: `docs/tiers.md` says what takes the time."),
        );
    }
}

/// Only where the policy says how often.
fn identities(look: &mut Look<'_>) {
    let proven = Proven { identities: look.facts.identities.clone(), ..Proven::default() };
    for custody in custody(look.policy, Some(&proven)) {
        let Some(within) = custody.within else { continue };
        let condition =
            Condition::new(format!("identity_unproven:{}", custody.key()), Severity::Warning, "a recovery identity was not used");
        let Some(last) = custody.opened.max(custody.since) else {
            look.push(condition.state(State::Unknown));
            continue;
        };
        let ago = about(look.now.as_second() - last.as_second());
        let title = match custody.opened {
            Some(_) => format!("the identity of `{}` has opened nothing for {ago}", custody.short()),
            None => format!("the identity of `{}` has never opened anything, {ago} after it was first seen", custody.short()),
        };
        look.push(
            Condition { title, ..condition }
                .firing_if(custody.is_unproven(look.now))
                .text("Whoever holds it may have lost it, and nobody would know before the day on which it is needed.")
                .hint("Let whoever holds it restore something, or run `seawall verify --deep --identity FILE` with it.")
                .fact("public key", &custody.recipient)
                .fact("within", within),
        );
    }
}

/// Only keys of OpenPGP expire. In the night in which one does, backups stop, and the log is not archived any more.
fn keys(look: &mut Look<'_>) {
    if !matches!(look.policy.encryption, Some(Encryption::OpenPgp(_))) {
        return;
    }
    for custody in custody(look.policy, None) {
        let condition =
            Condition::new(format!("key_ending:{}", custody.key()), Severity::Warning, format!("the key of `{}` expires", custody.short()));
        let Some(seen) = look.facts.recipients.get(&custody.recipient) else {
            look.push(condition.state(State::Unknown));
            continue;
        };
        let what = format!("encryption.openpgp.{}", custody.key());
        match look.known(&what, None, seen, None).cloned() {
            None => look.push(condition.state(State::Unknown)),
            Some(seen) => look.push(ending(look, condition, &custody, &seen)),
        }
    }
}

fn ending(look: &Look<'_>, condition: Condition, custody: &Custody, seen: &RecipientFacts) -> Condition {
    let condition = condition.fact("key", &custody.recipient);
    if let Some(why) = &seen.unusable {
        let title = format!("nothing can be encrypted to the key of `{}`", custody.short());
        let condition = Condition { severity: Severity::Critical, title, ..condition };
        return condition.state(State::Firing).text(format!("{} {STOPS}", sentence(why))).hint(PROLONG);
    }
    let Some(ends) = seen.expires else { return condition };
    let left = Duration::between(look.now, ends);
    let is_over = ends <= look.now;
    let severity = if is_over || left <= URGENT_FOR_KEYS { Severity::Critical } else { Severity::Warning };
    let title = match is_over {
        true => format!("the key of `{}` has expired", custody.short()),
        false => format!("the key of `{}` expires on {}", custody.short(), moment(look.policy, ends)),
    };
    let condition = Condition { severity, title, ..condition }.firing_if(is_over || left <= NOTICE_OF_KEYS);
    condition.text(if is_over { STOPS } else { WILL_STOP }).hint(PROLONG).fact("expires", moment(look.policy, ends))
}

const STOPS: &str = "Nothing is encrypted to it any more: no backup is taken, and no log is archived.";
const WILL_STOP: &str = "From then on nothing is encrypted to it: no backup is taken, and no log is archived.";
const PROLONG: &str = "Let whoever holds it prolong it (`gpg --quick-set-expire`), and put its new export in the place of the old one; or encrypt to another \
                       key in its stead (`encryption.openpgp.recipients`).";
