//! Who hears of what: every kind of failure is asked who it reaches, before and after.

use std::collections::{BTreeMap, BTreeSet};

use super::change::{Change, Group, Hearing};
use super::comparison::Comparison;
use super::consequence::Consequence;
use super::words::{joined, plain};
use crate::policy::file::{Alerts, Event, Receiver, Route, Secret, Severity};
use crate::policy::model::Policy;
use crate::policy::path::PolicyPath;
use crate::units::{Duration, Name};

/// Something that one may hear of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Cell {
    severity: u8,
    event: u8,
    /// None: every job that no route names.
    job: Option<Name>,
}

const SEVERITIES: [(Severity, &str); 3] = [(Severity::Critical, "critical"), (Severity::Warning, "warning"), (Severity::Info, "info")];

/// What is a failure, or something that becomes one when nobody hears of it. `None`: whatever crosses a limit.
const FAILURES: [(Option<Event>, &str); 7] = [
    (None, "limits that are crossed"),
    (Some(Event::Failed), "failed runs"),
    (Some(Event::Overdue), "overdue runs"),
    (Some(Event::DrillFailed), "failed drills"),
    (Some(Event::HoldEnding), "holds that end"),
    (Some(Event::ReviewDue), "reviews that are due"),
    (Some(Event::DutyDue), "duties that are due"),
];

/// How someone hears of it: the better, the smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum How {
    After(Duration),
    AtTimes,
}

/// Where messages arrive, with the name of the receiver.
type Reached = BTreeMap<String, (String, How)>;

impl Comparison<'_> {
    pub fn hearing(&mut self) {
        let jobs = jobs_named(self.old, self.new);
        let (before, after) = (Audience::of(self.old), Audience::of(self.new));
        let mut lost: BTreeMap<(String, String, Kind), BTreeSet<Cell>> = BTreeMap::new();
        for severity in 0..SEVERITIES.len() as u8 {
            for event in 0..FAILURES.len() as u8 {
                for job in jobs.iter().cloned().map(Some).chain([None]) {
                    let cell = Cell { severity, event, job };
                    let (was, is) = (before.reached(&cell), after.reached(&cell));
                    for (destination, receiver, kind) in differences(&was, &is) {
                        lost.entry((receiver, destination, kind)).or_default().insert(cell.clone());
                    }
                }
            }
        }
        for ((receiver, destination, kind), cells) in lost {
            let of = in_words(&cells, &jobs);
            let how = kind.hearing();
            let worse = !matches!(how, Hearing::NowHears | Hearing::Sooner { .. });
            let path = PolicyPath::from(["alerts", "routes"]);
            let change = Change::Hearing { receiver, destination, of, how };
            if worse {
                self.warn(Consequence::warning(906, path.clone(), change.to_string()).hint("Make sure that somebody else hears of it."));
            }
            self.say(Group::People, path, change);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    No,
    AtTimes,
    Later(Duration, Duration),
    Sooner(Duration, Duration),
    Now,
}

impl Kind {
    fn hearing(self) -> Hearing {
        let words = |after: Duration| if after.is_zero() { "at once".to_owned() } else { format!("after {after}") };
        match self {
            Kind::No => Hearing::NoLongerHears,
            Kind::AtTimes => Hearing::OnlyAtTimes,
            Kind::Later(from, to) => Hearing::Later { from: words(from), to: words(to) },
            Kind::Sooner(from, to) => Hearing::Sooner { from: words(from), to: words(to) },
            Kind::Now => Hearing::NowHears,
        }
    }
}

fn differences(was: &Reached, is: &Reached) -> Vec<(String, String, Kind)> {
    let mut found = Vec::new();
    for (destination, (receiver, before)) in was {
        let kind = match (before, is.get(destination).map(|(_, how)| *how)) {
            (_, None) => Kind::No,
            (How::After(_), Some(How::AtTimes)) => Kind::AtTimes,
            (How::After(from), Some(How::After(to))) if to > *from => Kind::Later(*from, to),
            (How::After(from), Some(How::After(to))) if to < *from => Kind::Sooner(*from, to),
            (How::AtTimes, Some(How::After(_))) => Kind::Now,
            _ => continue,
        };
        found.push((destination.clone(), receiver.clone(), kind));
    }
    let new = is.iter().filter(|(destination, _)| !was.contains_key(*destination));
    found.extend(new.map(|(destination, (receiver, _))| (destination.clone(), receiver.clone(), Kind::Now)));
    found
}

struct Audience<'p> {
    routes: &'p [Route],
    policy: &'p Policy,
}

impl<'p> Audience<'p> {
    fn of(policy: &'p Policy) -> Self {
        Audience { routes: policy.file.alerts.as_ref().map(|alerts: &Alerts| alerts.routes.as_slice()).unwrap_or_default(), policy }
    }

    fn reached(&self, cell: &Cell) -> Reached {
        let mut reached = Reached::new();
        for route in self.routes.iter().filter(|route| hears(route, cell)) {
            let at_times = route.during.is_some() || route.not_during.is_some();
            let levels = route.escalate.iter().map(|level| (level.after, level.to.as_slice()));
            for (after, receivers) in std::iter::once((Duration::ZERO, route.to.as_slice())).chain(levels) {
                let how = if at_times { How::AtTimes } else { How::After(after) };
                for name in receivers {
                    let Some(receiver) = self.policy.file.receivers.get(name.as_str()) else { continue };
                    for destination in destinations(receiver) {
                        let best = reached.entry(destination).or_insert_with(|| (name.to_string(), how));
                        best.1 = best.1.min(how);
                    }
                }
            }
        }
        reached
    }
}

fn hears(route: &Route, cell: &Cell) -> bool {
    let severity = SEVERITIES.get(usize::from(cell.severity)).map(|(severity, _)| *severity);
    let event = FAILURES.get(usize::from(cell.event)).and_then(|(event, _)| *event);
    (route.severity.is_none() || route.severity == severity)
        && (route.event.is_none() || route.event == event)
        && (route.job.is_none() || route.job == cell.job)
}

/// Where a receiver's messages arrive.
fn destinations(receiver: &Receiver) -> Vec<String> {
    let secret = |secret: &Secret| {
        let places = [("env", &secret.env), ("file", &secret.file), ("credential", &secret.credential)];
        places.iter().filter_map(|(kind, place)| place.as_ref().map(|place| format!("{kind} {place}"))).collect::<Vec<_>>().join(", ")
    };
    if let Some(email) = &receiver.email {
        return email.to.iter().map(|address| format!("email to {address}")).collect();
    }
    if let Some(slack) = &receiver.slack {
        let channel = slack.channel.as_ref().map(|channel| format!(" {channel}")).unwrap_or_default();
        let by = slack.webhook.iter().chain(&slack.token).map(secret).collect::<Vec<_>>().join(", ");
        let at = slack.api.iter().map(|api| format!(" at {api}")).collect::<String>();
        return vec![format!("Slack{channel}{at}, {by}")];
    }
    if let Some(pagerduty) = &receiver.pagerduty {
        let at = pagerduty.url.iter().map(|url| format!(" at {url}")).collect::<String>();
        return vec![format!("PagerDuty{at}, {}", secret(&pagerduty.routing_key))];
    }
    if let Some(webhook) = &receiver.webhook {
        return vec![format!("webhook, {}", secret(&webhook.url))];
    }
    receiver.alertmanager.iter().map(|manager| format!("Alertmanager at {}", manager.url)).collect()
}

/// The jobs that some route names and that both policies have.
fn jobs_named(old: &Policy, new: &Policy) -> BTreeSet<Name> {
    let has = |policy: &Policy, job: &Name| {
        policy.backups.contains_key(job) || policy.drills.contains_key(job) || policy.verify.contains_key(job)
    };
    let routes = |policy: &'_ Policy| -> Vec<Name> {
        policy.file.alerts.iter().flat_map(|alerts| &alerts.routes).filter_map(|route| route.job.clone()).collect()
    };
    routes(old).into_iter().chain(routes(new)).filter(|job| has(old, job) && has(new, job)).collect()
}

// ---- in words ------------------------------------------------------------------------------------------------------

/// `critical alerts`, `failed drills`, `every alert of nightly`
fn in_words(cells: &BTreeSet<Cell>, jobs: &BTreeSet<Name>) -> String {
    if let Some(words) = as_product(cells, jobs) {
        return words;
    }
    let parts = |of: &dyn Fn(&Cell) -> bool| -> BTreeSet<Cell> { cells.iter().filter(|cell| of(cell)).cloned().collect() };
    // Severities of which the same is said are said together.
    let mut alike: BTreeMap<BTreeSet<(u8, Option<Name>)>, BTreeSet<u8>> = BTreeMap::new();
    for severity in cells.iter().map(|cell| cell.severity).collect::<BTreeSet<u8>>() {
        let of_severity = cells.iter().filter(|cell| cell.severity == severity).map(|cell| (cell.event, cell.job.clone()));
        alike.entry(of_severity.collect()).or_default().insert(severity);
    }
    if alike.len() > 1 {
        let mut severities: Vec<BTreeSet<u8>> = alike.into_values().collect();
        severities.sort();
        return joined(severities.iter().map(|severities| in_words(&parts(&|cell| severities.contains(&cell.severity)), jobs)));
    }
    let of_jobs: BTreeSet<Option<Name>> = cells.iter().map(|cell| cell.job.clone()).collect();
    joined(of_jobs.iter().map(|job| as_product(&parts(&|cell| cell.job == *job), jobs).unwrap_or_default()))
}

/// When it is every one of some severities × some kinds × some jobs, that can be said in one breath.
fn as_product(cells: &BTreeSet<Cell>, jobs: &BTreeSet<Name>) -> Option<String> {
    let severities: BTreeSet<u8> = cells.iter().map(|cell| cell.severity).collect();
    let events: BTreeSet<u8> = cells.iter().map(|cell| cell.event).collect();
    let of_jobs: BTreeSet<&Option<Name>> = cells.iter().map(|cell| &cell.job).collect();
    if cells.len() != severities.len() * events.len() * of_jobs.len() {
        return None;
    }
    let every_severity = severities.len() == SEVERITIES.len();
    let every_event = events.len() == FAILURES.len();
    let word = |list: &[&'static str], at: &u8| list.get(usize::from(*at)).copied().unwrap_or_default();
    let urgent = joined(severities.iter().map(|at| word(&SEVERITIES.map(|(_, word)| word), at)));
    let kinds = joined(events.iter().map(|at| word(&FAILURES.map(|(_, word)| word), at)));
    let what = match (every_severity, every_event) {
        (true, true) => "every alert".to_owned(),
        (false, true) => format!("{urgent} alerts"),
        (true, false) => kinds,
        (false, false) => format!("{kinds} that are {urgent}"),
    };
    let named: Vec<String> = of_jobs.iter().filter_map(|job| job.as_ref()).map(|job| format!("`{}`", plain(job))).collect();
    Some(match (of_jobs.contains(&None), named.len() == jobs.len()) {
        (true, true) => what,
        (true, false) if named.is_empty() => format!("{what} of other jobs"),
        (true, false) => format!("{what} of {} and of other jobs", joined(named)),
        (false, _) => format!("{what} of {}", joined(named)),
    })
}
