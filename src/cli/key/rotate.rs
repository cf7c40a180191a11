//! `seawall key rotate`: another recovery identity from now on.

use std::collections::BTreeMap;

use clap::Args;

use super::generate::{Made, policy_lines};
use crate::cli::exit::{Exit, Trouble};
use crate::cli::here::Here;
use crate::cli::repository::moments::local;
use crate::cli::terminal::{Colour, Terminal, print, tame};
use crate::inventory::{Backup, BackupState, OwnKeep};
use crate::observe;
use crate::plan::text::wrapped;
use crate::plan::words::joined;
use crate::plan::{keeps_in, window_in};
use crate::policy::model::{Encryption, Method, Policy};
use crate::retention::{Firing, Keep, lifetimes};
use crate::site::Site;
use crate::units::{Duration, Instant, Name};
use crate::world::clock;

/// Make another recovery identity, and show what to change in the policy and what to keep until when.
///
/// What is written from then on is made for the new key. Nothing is encrypted again: old backups stay readable with the old
/// identities, so these are kept until the last of their backups has expired.
#[derive(Debug, Args)]
#[command(
    name = "rotate",
    after_help = "\
Examples:
  seawall key rotate --out recovery-2027.txt
  seawall key rotate --out recovery-2027.txt --keep age1ql3z…     that one stays beside the new one"
)]
pub struct Rotate {
    #[command(flatten)]
    made: Made,
    #[command(flatten)]
    here: Here,
    /// A recipient that stays in the policy (may be given again). Without any, the new one replaces all.
    #[arg(long, value_name = "RECIPIENT")]
    keep: Vec<String>,
}

const OPENPGP: &str = "Make one with `gpg --quick-generate-key`, add its public half to the file of `encryption.openpgp.keys` (or to the keyrings \
    of all hosts), put its fingerprint into `encryption.openpgp.recipients`, and keep the old private keys as long as what they open.";

/// How far ahead the schedules are followed.
const YEARS: i64 = 12;

impl Rotate {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let policy = self.here.read(colour)?;
        if let Some(Encryption::OpenPgp(_)) = &policy.encryption {
            return Err(Trouble::failed("the policy encrypts with OpenPGP, and keys of OpenPGP are made by `gpg`", OPENPGP));
        }
        let Some(Encryption::Age(age)) = &policy.encryption else {
            return Err(Trouble::failed("the policy does not encrypt with age, so there is nothing to rotate", "Add `encryption.age`."));
        };
        if let Some(unknown) = self.keep.iter().find(|kept| !age.recipients.contains(kept)) {
            return Err(Trouble::usage(
                format!("the policy has no recipient `{}`", tame(unknown)),
                "`seawall key list` shows those it has.",
            ));
        }
        let (old, kept): (Vec<&String>, Vec<&String>) = age.recipients.iter().partition(|recipient| !self.keep.contains(recipient));
        let site = self.here.site(&policy);
        let now = clock::now();
        let public = self.made.make()?;
        let file = tame(&self.made.out.to_string_lossy()).into_owned();
        let recipients: Vec<String> = kept.into_iter().cloned().chain([public.clone()]).collect();
        let width = u16::try_from(Terminal::of_stdout(colour).width.min(120)).unwrap_or(120);
        print(&format!("The new recovery identity is in `{file}`{}.\nIts public key: {public}\n\n", self.made.protected()))?;
        print(&format!("Change in the policy `{}`:\n\n{}", policy.name, policy_lines(&recipients)))?;
        for gone in &old {
            print(&format!("    # no longer: {gone}\n"))?;
        }
        print(&format!("\n{}", checklist(&site, &file, now, width)))?;
        Ok(Exit::Done)
    }
}

fn checklist(site: &Site<'_>, file: &str, now: Instant, width: u16) -> String {
    let mut steps = vec![
        format!("Copy `{file}` to two safe places that are not the database host."),
        "Change the policy as shown, have it reviewed, and roll it out to every host that takes backups or archives the log.".to_owned(),
        "Where `encryption.age.identity` names a file, put both identities into it, one on each line, the new one first.".to_owned(),
        format!(
            "Take a full backup{}: increments and the log that are made for the new key need a base that the new key opens.",
            anew(site.policy)
        ),
        format!("Prove it: `seawall verify --deep --identity {file} latest` opens that backup, and a drill restores it."),
    ];
    for (store, until) in old_until(site, now) {
        steps.push(match until {
            Ok(Some(until)) => format!(
                "Keep the old identities until {} at least: what lies in store {store} now is kept until then.",
                local(until, &site.policy.zone)
            ),
            Ok(None) => format!("Keep the old identities: something that lies in store {store} now is kept with no end in sight."),
            Err(why) => format!("Keep the old identities: what lies in store {store} is unknown ({why})."),
        });
    }
    let mut text = String::from("Then:\n");
    for (number, step) in steps.iter().enumerate() {
        text.push_str(&wrapped(step, &format!("{:>3}. ", number + 1), "     ", width));
    }
    text.push_str(&wrapped("Holds keep longer; look at `seawall key list` before an old identity is destroyed.", "     ", "     ", width));
    text
}

fn full_every(method: &Method) -> Option<Duration> {
    match method {
        Method::Files(files) => files.full_every,
        _ => None,
    }
}

/// Jobs whose next run would build on what the old key opens.
fn anew(policy: &Policy) -> String {
    let jobs = policy.backups.iter().filter(|(_, backup)| full_every(&backup.method).is_some());
    let each: Vec<String> = jobs.map(|(name, _)| format!("`seawall backup {name} --anew`")).collect();
    if each.is_empty() { String::new() } else { format!(" (of files with {})", joined(each)) }
}

/// Until when something that lies in a store now is kept; `None`: with no end that can be told.
fn old_until(site: &Site<'_>, now: Instant) -> Vec<(Name, Result<Option<Instant>, String>)> {
    let until = |name: &Name| {
        let seen = site.store(name).and_then(|store| observe::look(site, &store, now)).map_err(|fault| fault.message)?;
        Ok(latest(site.policy, name, &seen.inventory.backups, now))
    };
    site.policy.stores.keys().map(|name| (name.clone(), until(name))).collect()
}

fn latest(policy: &Policy, store: &Name, backups: &[Backup], now: Instant) -> Option<Instant> {
    let keeps: BTreeMap<Name, Keep> = keeps_in(policy, store);
    // What was archived a moment ago is kept for as long as any moment can be had.
    let mut latest = match window_in(policy, store) {
        Some(window) => window.period.after(now, &window.zone),
        None => now,
    };
    let far = now.checked_add(jiff::SignedDuration::from_hours(24 * 366 * YEARS)).unwrap_or(Instant::MAX);
    for (job, keep) in &keeps {
        let schedule = policy.backups.get(job).and_then(|backup| backup.schedule.as_ref());
        let future: Vec<Firing> = schedule
            .iter()
            .flat_map(|schedule| schedule.firings(now, far))
            .take(200_000)
            .map(|at| Firing { started: at, stopped: at })
            .collect();
        let complete = backups.iter().filter(|backup| backup.job == *job && backup.state == BackupState::Complete);
        let (own, ordinary): (Vec<&Backup>, Vec<&Backup>) = complete.partition(|backup| backup.keep.is_some());
        let past = ordinary.iter().map(|backup| Firing { started: backup.started, stopped: backup.moment() });
        let runs: Vec<Firing> = past.chain(future).collect();
        // Tiers may keep an older one for longer than the newest.
        // Increments of files are made upon what is there now until the next full one, and need it for as long as they are kept.
        let builds = policy.backups.get(job).and_then(|backup| full_every(&backup.method)).unwrap_or(Duration::ZERO);
        let upto = now.checked_add(builds.to_signed()).unwrap_or(Instant::MAX);
        for life in lifetimes(&runs, keep).into_iter().filter(|life| life.started <= upto) {
            latest = latest.max(life.until?);
        }
        for backup in own {
            latest = latest.max(match backup.keep? {
                OwnKeep::Until(until) => until,
                OwnKeep::For(period) => period.after(backup.moment(), &keep.zone),
            });
        }
    }
    Some(latest)
}
