//! Reports that are due: made from what is on record, and sent to whom the policy names.

use sha2::{Digest, Sha256};

use super::record::Record;
use super::steps::Steps;
use super::{Ended, Ground, Made};
use crate::alert::{Enclosed, Item, Notice, NoticeKind};
use crate::catalog::{Catalog, CatalogFault, QueuedNotice, StepOutcome};
use crate::execute::report::{Stood, accounts, chain_of, records, standing};
use crate::plan::words::{joined, quoted};
use crate::plan::{Action, minute, steps_of_report};
use crate::policy::file::Severity;
use crate::policy::model::{Policy, Report};
use crate::report::account::{Report as Whole, Room, State, report};
use crate::report::words::{day, lasting};
use crate::report::{Wanted, html, markdown};
use crate::units::{Instant, Name, hex};
use crate::world::clock;

/// What the outbox takes, with room for what stands around it. A report that is larger is made shorter.
const LARGEST: usize = 700 << 10;

/// Makes it and queues it: whoever watches sends it, as soon as this run has ended.
pub(super) fn run(ground: &Ground<'_>, name: &Name, job: &Report, record: &Record<'_>) -> (Ended, Made, Vec<String>) {
    let policy = ground.site.policy;
    let planned = steps_of_report(job);
    let steps = Steps::new(&planned, record);
    steps.enter(|action| matches!(action, Action::SendReport { .. }));
    let Some(catalog) = ground.catalog else {
        return (Ended::failed("there is no record to report on", "`seawall status` says why.", true), Made::default(), Vec::new());
    };
    let now = clock::now();
    let covers = policy.file.reports.get(name).and_then(|written| written.covers).map_or(Wanted::MONTH, Wanted::Last);
    let made = covers.at(now).map_err(Fault::Stretch).and_then(|covered| {
        let whole = make(policy, catalog, covered, Room::ONE, now)?;
        if size(&whole) <= LARGEST { Ok(whole) } else { make(policy, catalog, covered, Room::MANY, now) }
    });
    let sent = made.and_then(|made| queue(policy, catalog, name, job, &made, now).map(|()| made).map_err(Fault::Catalog));
    match sent {
        Ok(made) => {
            steps.end(StepOutcome::Succeeded, None);
            let came =
                Made { bytes: Some(made.html.len() as u64), checksum: Some(hex(&Sha256::digest(made.html.as_bytes()))), ..Made::default() };
            let to = joined(job.to.iter().map(quoted));
            (Ended::Succeeded, came, vec![format!("the promise is {}; the report goes to {to}", word(made.state))])
        }
        Err(fault) => {
            let (message, hint, transient) = match fault {
                Fault::Catalog(fault) => (fault.message, fault.hint, fault.transient),
                Fault::Record(message, hint) => (message, hint, false),
                Fault::Stretch(message) => (message, format!("Correct `reports.{name}.covers`."), false),
            };
            steps.end(StepOutcome::Failed, Some(&message));
            (Ended::failed(message, hint, transient), Made::default(), Vec::new())
        }
    }
}

enum Fault {
    Catalog(CatalogFault),
    Record(String, String),
    Stretch(String),
}

impl From<CatalogFault> for Fault {
    fn from(fault: CatalogFault) -> Self {
        Fault::Catalog(fault)
    }
}

struct MadeReport {
    state: State,
    says: String,
    facts: Vec<(String, String)>,
    html: String,
    text: String,
}

fn size(made: &MadeReport) -> usize {
    made.html.len() + made.text.len()
}

fn make(policy: &Policy, catalog: &Catalog, covered: crate::report::Covered, room: Room, now: Instant) -> Result<MadeReport, Fault> {
    let (walked, chain) = chain_of(catalog, None);
    let record = records(catalog, &[policy], now)?.into_iter().next();
    let record = match record {
        Some(Ok(record)) => record,
        Some(Err(fault)) => return Err(Fault::Record(fault.to_string(), fault.hint().to_owned())),
        None => return Err(Fault::Record("the policy is not on record".to_owned(), String::new())),
    };
    let standing = standing(policy, &record, now);
    let stood = Stood { policy, record: &record, standing: &standing };
    let whole = report(accounts(catalog, &[stood], &walked, covered, room, now)?, vec![chain], covered, now);
    Ok(MadeReport {
        state: whole.state,
        says: whole.policies.first().map(|one| one.verdict.says.clone()).unwrap_or_default(),
        facts: facts(&whole),
        html: html::page(&whole, html::Links::Sections),
        text: markdown::text(&whole),
    })
}

fn facts(whole: &Whole) -> Vec<(String, String)> {
    let Some(one) = whole.policies.first() else { return Vec::new() };
    let known = |seconds: Option<f64>| seconds.map_or_else(|| "unknown".to_owned(), lasting);
    vec![
        ("from".to_owned(), minute(whole.covers.from)),
        ("to".to_owned(), minute(whole.covers.to)),
        ("lost now".to_owned(), known(one.loss.now_seconds.map(|seconds| seconds as f64))),
        ("at worst".to_owned(), known(one.loss.worst.map(|worst| worst.seconds))),
        ("recovered in".to_owned(), known(one.drills.recovered.as_ref().map(|recovered| recovered.seconds))),
        ("drills".to_owned(), format!("{} passed, {} failed", one.drills.passed, one.drills.failed)),
    ]
}

fn word(state: State) -> &'static str {
    match state {
        State::Kept => "kept",
        State::Unproven => "not proven",
        State::Broken => "not kept",
    }
}

/// One message for each receiver. Mail carries the whole report; others get what a line or two can say.
fn queue(policy: &Policy, catalog: &Catalog, name: &Name, job: &Report, made: &MadeReport, now: Instant) -> Result<(), CatalogFault> {
    let severity = if made.state == State::Broken { Severity::Warning } else { Severity::Info };
    let title = format!("report {name}: the promise is {}", word(made.state));
    let notice = |receiver: &Name| {
        let mailed = policy.file.receivers.get(receiver).is_some_and(|receiver| receiver.email.is_some());
        let enclosed = (mailed && size(made) <= LARGEST).then(|| Enclosed {
            file: format!("seawall-{}-{name}-{}.html", policy.name, day(now)),
            html: made.html.clone(),
            text: made.text.clone(),
        });
        Notice {
            id: format!("report:{}:{name}:{receiver}:{}", policy.name, now.as_microsecond()),
            policy: policy.name.clone(),
            receiver: receiver.clone(),
            kind: NoticeKind::Event,
            severity,
            at: now,
            subject: format!("{}: {title}", policy.name),
            items: vec![Item {
                key: format!("report:{name}"),
                severity,
                title: title.clone(),
                text: made.says.clone(),
                hint: None,
                job: Some(format!("reports.{name}")),
                since: None,
                until: None,
                facts: made.facts.clone(),
            }],
            enclosed,
        }
    };
    let notices: Vec<Notice> = job.to.iter().map(notice).collect();
    let json: Vec<String> = notices.iter().map(|notice| serde_json::to_string(notice).unwrap_or_default()).collect();
    let queued: Vec<QueuedNotice<'_>> = notices
        .iter()
        .zip(&json)
        .map(|(notice, json)| QueuedNotice {
            id: &notice.id,
            policy: policy.name.as_str(),
            receiver: notice.receiver.as_str(),
            json,
            not_before: now,
        })
        .collect();
    catalog.queue(&queued, now)
}
