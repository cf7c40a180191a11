//! What there is to be seen: put together when somebody asks, and for a moment the same for everybody who does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant as Clock, SystemTime};

use hyper::StatusCode;

use super::super::folder::Catalogs;
use super::super::here::Here;
use super::super::record::gather::{self, Looked};
use super::super::record::metrics;
use super::super::report::{self, Walks};
use super::super::validate::json;
use crate::report::account::{PolicyAccount, Report};
use crate::report::html::{self, Links};
use crate::report::{Level, Wanted};
use crate::units::Instant;
use crate::world::{clock, files};

/// What is served is at most so old: whoever asks a thousand times a second reads the record once.
const FRESH: Duration = Duration::from_secs(1);
/// A page covers a month; it need not be put together at every click.
const PAGE_FRESH: Duration = Duration::from_secs(10);
/// Whether a policy's files have changed is looked at this often.
const POLICIES_FRESH: Duration = Duration::from_secs(5);
/// The audit chain is walked from its beginning this often, and from where it was known in between.
const WALK_AGAIN: Duration = Duration::from_secs(3_600);
/// Nobody has looked for longer than this.
const UNWATCHED: jiff::SignedDuration = jiff::SignedDuration::from_mins(15);

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asked {
    Page,
    Policy(String),
    Json,
    Metrics,
    Health,
}

/// What is answered.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) status: StatusCode,
    pub(super) kind: &'static str,
    pub(super) body: Body,
}

/// Shared by everybody who is answered the same.
#[derive(Debug, Clone)]
pub(super) struct Body(Arc<str>);

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Said {
    pub(super) const HTML: &'static str = "text/html; charset=utf-8";
    const METRICS: &'static str = "text/plain; version=0.0.4; charset=utf-8";
    const TEXT: &'static str = "text/plain; charset=utf-8";
    const JSON: &'static str = "application/json";

    fn new(status: StatusCode, kind: &'static str, text: String) -> Said {
        Said { status, kind, body: Body(text.into()) }
    }
}

/// One at a time puts things together; who comes meanwhile waits and has the same.
pub(super) struct Board {
    here: Here,
    period: Wanted,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    catalogs: Catalogs,
    policies: Option<Policies>,
    walks: Walks,
    walked: Option<Clock>,
    report: Option<(Clock, Arc<Report>)>,
    said: BTreeMap<Asked, (Clock, Said)>,
}

struct Policies {
    asked: Vec<gather::Asked>,
    looked_at: Clock,
    files: Vec<(PathBuf, Option<(SystemTime, u64)>)>,
}

impl Board {
    pub(super) fn new(here: Here, period: Wanted) -> Board {
        Board { here, period, seen: Mutex::default() }
    }

    pub(super) fn say(&self, asked: &Asked) -> Said {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = if matches!(asked, Asked::Metrics | Asked::Health) { FRESH } else { PAGE_FRESH };
        if let Some((_, said)) = seen.said.get(asked).filter(|(at, _)| at.elapsed() < fresh) {
            return said.clone();
        }
        let said = self.put_together(asked, &mut seen);
        // Whatever names people ask for, only pages that are there are kept.
        seen.said.retain(|_, (at, _)| at.elapsed() < PAGE_FRESH);
        if said.status == StatusCode::OK {
            seen.said.insert(asked.clone(), (Clock::now(), said.clone()));
        }
        said
    }

    fn put_together(&self, asked: &Asked, seen: &mut MutexGuard<'_, Seen>) -> Said {
        let now = clock::now();
        match asked {
            Asked::Metrics => Said::new(StatusCode::OK, Said::METRICS, metrics::text(&self.look(seen, now), now)),
            Asked::Health => health(&self.look(seen, now), now),
            Asked::Json => self.with_report(seen, now, |report| match json(report) {
                Ok(text) => Said::new(StatusCode::OK, Said::JSON, text),
                Err(trouble) => Said::new(StatusCode::INTERNAL_SERVER_ERROR, Said::TEXT, format!("{trouble}\n")),
            }),
            Asked::Page => self.with_report(seen, now, |report| {
                let links = if report.policies.len() == 1 { Links::Sections } else { Links::Pages };
                Said::new(StatusCode::OK, Said::HTML, html::page(report, links))
            }),
            Asked::Policy(name) => self.with_report(seen, now, |report| of_policy(report, name)),
        }
    }

    fn look(&self, seen: &mut MutexGuard<'_, Seen>, now: Instant) -> Vec<Looked> {
        self.read_policies(seen, now);
        let Seen { catalogs, policies, .. } = &mut **seen;
        catalogs.forget_failures();
        policies.as_ref().map(|policies| gather::look(&policies.asked, now, catalogs)).unwrap_or_default()
    }

    fn with_report(&self, seen: &mut MutexGuard<'_, Seen>, now: Instant, say: impl FnOnce(&Report) -> Said) -> Said {
        if let Some((_, report)) = seen.report.clone().filter(|(at, _)| at.elapsed() < PAGE_FRESH) {
            return say(&report);
        }
        let looked = self.look(seen, now);
        if seen.walked.is_none_or(|at| at.elapsed() > WALK_AGAIN) {
            seen.walks.clear();
            seen.walked = Some(Clock::now());
        }
        let made = self
            .period
            .at(now)
            .map_err(|error| format!("{error}\n"))
            .and_then(|covered| report::of(&looked, covered, &mut seen.walks, now).map_err(|trouble| format!("{trouble}\n")));
        match made {
            Ok(made) => {
                let made = Arc::new(made);
                seen.report = Some((Clock::now(), Arc::clone(&made)));
                say(&made)
            }
            Err(why) => Said::new(StatusCode::SERVICE_UNAVAILABLE, Said::TEXT, why),
        }
    }

    /// Reads the policies again where a file of theirs is another one than it was.
    fn read_policies(&self, seen: &mut MutexGuard<'_, Seen>, now: Instant) {
        if seen.policies.as_ref().is_some_and(|policies| policies.looked_at.elapsed() < POLICIES_FRESH) {
            return;
        }
        let files = fingerprints(&self.here.path());
        let same = seen.policies.as_ref().is_some_and(|policies| policies.files == files && !files.is_empty());
        if let (true, Some(policies)) = (same, &mut seen.policies) {
            policies.looked_at = Clock::now();
            return;
        }
        let asked = gather::asked(&self.here, None, now);
        seen.policies = Some(Policies { asked, looked_at: Clock::now(), files });
        seen.report = None;
        seen.said.clear();
    }
}

/// Every file that a policy may be made of lies beside it or below: those that others extend too.
fn fingerprints(path: &Path) -> Vec<(PathBuf, Option<(SystemTime, u64)>)> {
    let folder = if files::is_directory(path) { path } else { path.parent().unwrap_or(path) };
    let about = |file: PathBuf| {
        let about = std::fs::metadata(&file).ok().and_then(|about| Some((about.modified().ok()?, about.len())));
        (file, about)
    };
    let mut found: Vec<_> = files::search(folder).files.into_iter().map(about).collect();
    found.push(about(path.to_owned()));
    found
}

fn of_policy(report: &Report, name: &str) -> Said {
    let Some(one) = report.policies.iter().find(|one: &&PolicyAccount| one.policy == name) else {
        return Said::new(StatusCode::NOT_FOUND, Said::TEXT, "there is no policy of this name; `/` has them all\n".to_owned());
    };
    let alone = Report { policies: vec![one.clone()], ..report.clone() };
    Said::new(StatusCode::OK, Said::HTML, html::page(&alone, Links::Sections))
}

/// Whether what is served can be trusted: the records can be read, and somebody has looked lately.
fn health(looked: &[Looked], now: Instant) -> Said {
    let unknown = looked.iter().filter(|one| one.policy.is_none() || one.catalog.is_none()).count();
    let late = |one: &&Looked| one.standing.watched.is_none_or(|watched| now.duration_since(watched).abs() > UNWATCHED);
    let unwatched = looked.iter().filter(|one| one.catalog.is_some()).filter(late).count();
    let critical = looked.iter().filter(|one| one.standing.level == Level::Critical).count();
    let well = unknown == 0 && unwatched == 0;
    let status = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let text = format!(
        "{}\npolicies {}\nunreadable {unknown}\nunwatched {unwatched}\ncritical {critical}\n",
        if well { "ok" } else { "not ok" },
        looked.len()
    );
    Said::new(status, Said::TEXT, text)
}
