//! One look at all policies of a folder. Each is looked at for itself; what is owed is sent together, so that a mail server that does not
//! answer is waited for once; so is a store that several of them share.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::output::{self, Of, human, json};
use super::{last_good, leave_former, trouble};
use crate::alert::Unreadable;
use crate::catalog::Catalog;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::folder::{self, Catalogs, Member};
use crate::cli::here::Here;
use crate::cli::record;
use crate::cli::repository::Format;
use crate::cli::terminal::{Colour, print, tame};
use crate::execute::watch::{self, Look, WatchFault, Watched};
use crate::notify::outbox::Flushed;
use crate::notify::{self, Deaf};
use crate::policy::model::Policy;
use crate::site::Site;
use crate::store::Silences;
use crate::world::signals::Ending;
use crate::world::{clock, parallel};

/// So many policies are looked at together: most of it is waiting for servers and stores.
const AT_ONCE: usize = 8;

/// A policy that can be looked at: the one of the moment, or its last good version.
struct Known {
    here: Here,
    file: String,
    policy: Arc<Policy>,
    unreadable: Option<Unreadable>,
    catalog: Result<Arc<Catalog>, WatchFault>,
    /// Of this look, and of all policies.
    silences: Silences,
}

impl Known {
    fn site(&self) -> Site<'_> {
        self.here.site(&self.policy).within(&self.silences)
    }
}

/// What came of one policy.
struct Done {
    file: String,
    policy: Option<String>,
    watched: Result<Watched, Trouble>,
}

pub(super) fn watch(here: &Here, folder: &Path, format: Format, ending: &Ending, colour: Colour) -> Result<Exit, Trouble> {
    let found = folder::read(here, folder, colour, &BTreeSet::new());
    let nobody = |file: String, trouble| Done { file, policy: None, watched: Err(trouble) };
    let mut done: Vec<Done> = found.faults.into_iter().map(|trouble| nobody(folder.to_string_lossy().into_owned(), trouble)).collect();
    let mut catalogs = Catalogs::default();
    let mut known: Vec<Known> = Vec::new();
    let silences = Silences::default();
    for member in found.members {
        let file = member.file();
        match know(member, &mut catalogs, &silences) {
            Ok(one) => known.push(one),
            Err(trouble) => done.push(nobody(file, trouble)),
        }
    }
    let sites: Vec<Site<'_>> = known.iter().map(Known::site).collect();
    watch::knock(&sites.iter().collect::<Vec<_>>());
    bring_up_to_date(&known);
    done.extend(parallel::map_with(AT_ONCE, &known, &|known| look_at(known, &ending.asked)));
    let sent = send(&known, &done, &ending.asked);
    done.sort_by(|one, other| one.file.cmp(&other.file));
    let is_well = sent.1.is_empty() && done.iter().all(|done| done.watched.is_ok());
    for trouble in done.iter().filter_map(|done| done.watched.as_ref().err()).chain(&sent.1) {
        tracing::error!(hint = trouble.hint().unwrap_or_default(), "{trouble}");
    }
    print(&match format {
        Format::Human => done.iter().map(told).collect::<String>() + &output::sent(&sent.0),
        Format::Json => {
            let failures: Vec<Option<String>> = done.iter().map(|done| done.watched.as_ref().err().map(ToString::to_string)).collect();
            let all = done.iter().zip(&failures).map(|(done, failed)| Of {
                policy: done.policy.as_deref(),
                file: done.file.clone(),
                failed: failed.as_deref(),
                judged: done.watched.as_ref().ok().map(|watched| (&watched.judged, watched.queued)),
            });
            json(&all.collect::<Vec<_>>(), &sent.0, clock::now())?
        }
    })?;
    Ok(if is_well { Exit::Done } else { Exit::Failed })
}

fn know(member: Member, catalogs: &mut Catalogs, silences: &Silences) -> Result<Known, Trouble> {
    let file = member.file();
    let Member { here, read } = member;
    let (policy, unreadable) = match read {
        Ok(read) => (read.policy, None),
        Err(trouble) => last_good(&here, trouble).map(|(policy, unreadable)| (Arc::new(policy), unreadable))?,
    };
    let catalog = catalogs.for_watching(&here.site(&policy));
    Ok(Known { here, file, policy, unreadable, catalog, silences: silences.clone() })
}

/// The policies of one catalog together.
fn bring_up_to_date(known: &[Known]) {
    parallel::map(known, &|known| {
        if known.unreadable.is_none() {
            record::keep_policy(&known.here, &known.policy);
        }
    });
    for (catalog, group) in by_catalog(known) {
        let sites: Vec<Site<'_>> = group.iter().map(|known| known.site()).collect();
        let sites: Vec<&Site<'_>> = sites.iter().collect();
        record::settle(&sites, catalog);
        record::see(&sites, catalog, clock::now());
    }
}

fn by_catalog(known: &[Known]) -> Vec<(&Catalog, Vec<&Known>)> {
    let mut groups: Vec<(&Arc<Catalog>, Vec<&Known>)> = Vec::new();
    for one in known {
        let Ok(catalog) = &one.catalog else { continue };
        match groups.iter_mut().find(|(group, _)| Arc::ptr_eq(group, catalog)) {
            Some((_, members)) => members.push(one),
            None => groups.push((catalog, vec![one])),
        }
    }
    groups.into_iter().map(|(catalog, group)| (&**catalog, group)).collect()
}

fn look_at(known: &Known, stop: &AtomicBool) -> Done {
    let site = known.site();
    let watched = match &known.catalog {
        Ok(catalog) => leave_former(&site, &known.here, catalog, stop)
            .and_then(|()| watch::watch(&site, catalog, Look::Unsent, known.unreadable.clone(), stop)),
        Err(fault) => Err(fault.clone()),
    };
    if let Err(fault) = &watched {
        watch::catalog_is_down(&site, fault, stop);
    }
    let watched = watched.map_err(|fault| trouble(&fault));
    Done { file: known.file.clone(), policy: Some(known.policy.name.to_string()), watched }
}

/// What is owed goes out, and then a sign of life for each policy that was looked at.
fn send(known: &[Known], done: &[Done], stop: &AtomicBool) -> (Flushed, Vec<Trouble>) {
    let (mut all, mut troubles) = (Flushed::default(), Vec::new());
    let mut seen: BTreeSet<&str> = done.iter().filter(|done| done.watched.is_ok()).map(|done| done.file.as_str()).collect();
    for (catalog, group) in by_catalog(known) {
        let sites: Vec<Site<'_>> = group.iter().map(|known| known.site()).collect();
        let sent = watch::send(&sites.iter().collect::<Vec<_>>(), catalog, stop).and_then(|sent| {
            tell_again(catalog, &group, done, &sent, stop)?;
            Ok(sent)
        });
        match sent {
            Ok(sent) => {
                for (_, site) in group.iter().zip(&sites).filter(|(known, _)| seen.contains(known.file.as_str())) {
                    watch::catalog_is_well(site, stop);
                }
                all.delivered.extend(sent.delivered);
                all.failed.extend(sent.failed);
            }
            // What was decided cannot be sent: those hear of it directly, and no sign of life says that all is well.
            Err(fault) => {
                for (known, site) in group.iter().zip(&sites) {
                    watch::catalog_is_down(site, &fault, stop);
                    seen.remove(known.file.as_str());
                }
                troubles.push(trouble(&fault));
            }
        }
    }
    let seen: Vec<&Known> = known.iter().filter(|known| seen.contains(known.file.as_str())).collect();
    let deaf = Deaf::default();
    parallel::map_with(AT_ONCE, &seen, &|known| {
        if let Err(fault) = notify::beat(&known.policy, &deaf) {
            tracing::warn!(hint = fault.hint, "no sign of life could be sent for `{}`: {}", known.policy.name, fault.message);
        }
    });
    (all, troubles)
}

/// Receivers that forget are told again of what burns.
fn tell_again(catalog: &Catalog, group: &[&Known], done: &[Done], sent: &Flushed, stop: &AtomicBool) -> Result<(), WatchFault> {
    let mut silent = BTreeSet::new();
    for known in group {
        let of = done.iter().find(|done| done.file == known.file).and_then(|done| done.watched.as_ref().ok());
        if let Some(watched) = of {
            watch::tell_again(&known.site(), catalog, &watched.judged, (sent, &mut silent), stop)?;
        }
    }
    Ok(())
}

fn told(done: &Done) -> String {
    let name = done.policy.as_ref().unwrap_or(&done.file);
    let text = match &done.watched {
        Ok(watched) => human(&watched.judged),
        Err(trouble) => format!("FAILED: {}\n", tame(&trouble.to_string())),
    };
    text.lines().map(|line| format!("{}: {line}\n", tame(name))).collect()
}
