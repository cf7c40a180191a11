//! Who hears of what at this moment.

use std::collections::{BTreeMap, BTreeSet};

use crate::alert::facts::FailingReceiver;
use crate::alert::memory::{Alert, Last};
use crate::policy::file::{Event, Route, Severity};
use crate::policy::model::Policy;
use crate::units::{Duration, Instant, Name};

/// A receiver that nothing has reached for this long is not waited for when something is critical.
const GIVEN_UP_AFTER: Duration = Duration::from_mins(15);

pub(super) struct Audience<'p> {
    policy: &'p Policy,
    routes: Vec<Timed<'p>>,
    /// The levels of the policy's own `escalation` whose contact is a receiver.
    emergency: Vec<(Duration, &'p Name)>,
    /// What waits for each receiver that cannot be reached.
    unreachable: BTreeMap<&'p Name, BTreeSet<&'p str>>,
}

/// A route, and whether it is its time.
struct Timed<'p> {
    route: &'p Route,
    open: bool,
}

/// One receiver's part in an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    /// It is told because others did not take care of it.
    pub escalated: bool,
    /// How often it wants to be reminded.
    pub remind: Option<Duration>,
}

/// What routes look at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'s> {
    severity: Severity,
    event: Option<Event>,
    job: Option<&'s str>,
    /// Only a route that asks for its kind hears of it.
    on_request: bool,
}

impl<'s> Subject<'s> {
    pub(super) fn of(last: &'s Last) -> Self {
        Subject { severity: last.severity, event: last.event, job: last.job.as_deref(), on_request: false }
    }
    pub(super) fn of_event(event: &'s crate::alert::Event) -> Self {
        Subject { severity: event.severity, event: Some(event.kind), job: event.job.as_deref(), on_request: event.is_on_request() }
    }
    fn fits(&self, route: &Route) -> bool {
        // A job is named by its last word in a route, and by its whole path in an alert.
        let job = self.job.map(|path| path.rsplit('.').next().unwrap_or(path));
        route.severity.is_none_or(|severity| severity == self.severity)
            && if self.on_request { route.event.is_some() } else { true }
            && route.event.is_none_or(|event| self.event == Some(event))
            && route.job.as_ref().is_none_or(|name| job == Some(name.as_str()))
    }
}

impl<'p> Audience<'p> {
    pub(super) fn new(policy: &'p Policy, failing: &'p [FailingReceiver], now: Instant) -> Self {
        let opens = |name: &Name| policy.windows.get(name).is_some_and(|window| window.window.contains(now));
        let routes = policy.file.alerts.iter().flat_map(|alerts| &alerts.routes);
        let routes = routes
            .map(|route| Timed { route, open: route.during.as_ref().is_none_or(&opens) && !route.not_during.as_ref().is_some_and(&opens) });
        let levels = policy.file.escalation.iter();
        let levels = levels.filter_map(|level| {
            let (receiver, _) = policy.file.receivers.get_key_value(&level.contact)?;
            Some((level.after.unwrap_or_default(), receiver))
        });
        let unreachable = failing.iter().filter(|receiver| Duration::between(receiver.since, now) >= GIVEN_UP_AFTER);
        Audience {
            policy,
            routes: routes.collect(),
            emergency: levels.collect(),
            unreachable: unreachable.map(|failing| (&failing.receiver, failing.waiting.iter().map(String::as_str).collect())).collect(),
        }
    }

    /// Whatever time of day it is, some route is for this.
    pub(super) fn has_route(&self, subject: Subject<'_>) -> bool {
        self.routes.iter().any(|timed| subject.fits(timed.route))
    }

    /// A route is for this, and it is not its time.
    pub(super) fn is_waiting(&self, subject: Subject<'_>) -> bool {
        self.routes.iter().any(|timed| !timed.open && subject.fits(timed.route))
    }

    /// Those whom the routes of this hour name, at once.
    pub(super) fn at_once(&self, subject: Subject<'_>) -> BTreeSet<&'p Name> {
        self.fitting(subject).flat_map(|route| &route.to).collect()
    }

    /// All that are to have heard of an alert by now.
    pub(super) fn of_alert(&self, key: &str, alert: &Alert, now: Instant) -> BTreeMap<&'p Name, Part> {
        let mut parts = BTreeMap::new();
        if let Some(about) = &alert.last.about {
            self.everybody_but(about, &mut parts);
            return parts;
        }
        let subject = Subject::of(&alert.last);
        let acknowledged = alert.is_acknowledged(now);
        let lapsed = alert.acknowledged.as_ref().and_then(|given| given.until);
        for route in self.fitting(subject) {
            for receiver in &route.to {
                take_part(&mut parts, receiver, Part { escalated: false, remind: route.remind });
            }
            let since = route.to.iter().filter_map(|receiver| alert.told.get(receiver)).map(|told| told.first).min();
            // After an acknowledgement has lapsed everybody has the same time again.
            let since = since.map(|since| lapsed.map_or(since, |lapsed| since.max(lapsed)));
            let mut lower: &[Name] = &route.to;
            for level in &route.escalate {
                let due = since.is_some_and(|since| Duration::between(since, now) >= level.after);
                // Who was told on a higher level goes on hearing of it.
                let reached = level.to.iter().any(|receiver| alert.told.contains_key(receiver));
                if reached || !acknowledged && (due || self.handed_on(key, alert, lower)) {
                    for receiver in &level.to {
                        take_part(&mut parts, receiver, Part { escalated: true, remind: route.remind });
                    }
                }
                lower = &level.to;
            }
        }
        if alert.last.severity == Severity::Critical && !acknowledged {
            self.emergency(alert, now, &mut parts);
            self.around_the_unreachable(key, alert, &mut parts);
        }
        parts
    }

    fn emergency(&self, alert: &Alert, now: Instant, parts: &mut BTreeMap<&'p Name, Part>) {
        let since = alert.told.values().map(|told| told.first).min().unwrap_or(now);
        let since = alert.acknowledged.as_ref().and_then(|given| given.until).map_or(since, |lapsed| since.max(lapsed));
        for (after, receiver) in &self.emergency {
            if Duration::between(since, now) >= *after {
                take_part(parts, receiver, Part { escalated: true, remind: None });
            }
        }
    }

    /// When somebody who should know of something critical cannot be reached and no level above is left, all who hear of critical
    /// alerts are told.
    fn around_the_unreachable(&self, key: &str, alert: &Alert, parts: &mut BTreeMap<&'p Name, Part>) {
        let lost = |receiver: &Name| self.is_lost_on(receiver, key, alert);
        if !parts.keys().any(|receiver| lost(receiver)) || parts.keys().any(|receiver| !self.unreachable.contains_key(*receiver)) {
            return;
        }
        let routes = self.routes.iter().map(|timed| timed.route);
        let critical = routes.filter(|route| route.severity.is_none_or(|severity| severity == Severity::Critical));
        for receiver in critical.flat_map(|route| route.to.iter().chain(route.escalate.iter().flat_map(|level| &level.to))) {
            take_part(parts, receiver, Part { escalated: true, remind: None });
        }
    }

    fn everybody_but(&self, about: &Name, parts: &mut BTreeMap<&'p Name, Part>) {
        let alerts = self.routes.iter().filter(|timed| timed.open && timed.route.event.is_none());
        for timed in alerts {
            for receiver in timed.route.to.iter().filter(|receiver| *receiver != about) {
                take_part(parts, receiver, Part { escalated: false, remind: timed.route.remind });
            }
        }
        if parts.is_empty() {
            for receiver in self.policy.file.receivers.keys().filter(|receiver| *receiver != about) {
                take_part(parts, receiver, Part { escalated: false, remind: None });
            }
        }
    }

    /// Something critical does not get through to a receiver of this level.
    fn handed_on(&self, key: &str, alert: &Alert, level: &[Name]) -> bool {
        alert.last.severity == Severity::Critical && level.iter().any(|receiver| self.is_lost_on(receiver, key, alert))
    }

    /// The receiver cannot be reached, and has not heard of this before that began.
    fn is_lost_on(&self, receiver: &Name, key: &str, alert: &Alert) -> bool {
        self.unreachable.contains_key(receiver) && (!alert.told.contains_key(receiver) || self.has_not_got(receiver, key))
    }

    /// It was told, and the message has not arrived.
    pub(super) fn has_not_got(&self, receiver: &Name, key: &str) -> bool {
        self.unreachable.get(receiver).is_some_and(|waiting| waiting.contains(key))
    }

    fn fitting<'s>(&'s self, subject: Subject<'s>) -> impl Iterator<Item = &'p Route> + use<'s, 'p> {
        self.routes.iter().filter(move |timed| timed.open && subject.fits(timed.route)).map(|timed| timed.route)
    }
}

/// A receiver that several routes name is told once, in the most direct way, and reminded as often as any of them asks.
fn take_part<'p>(parts: &mut BTreeMap<&'p Name, Part>, receiver: &'p Name, part: Part) {
    let all = parts.entry(receiver).or_insert(part);
    all.escalated &= part.escalated;
    all.remind = [all.remind, part.remind].into_iter().flatten().min();
}
