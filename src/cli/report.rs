//! `seawall report`: what was promised, what was found, and what both rest on.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;

use clap::{Args, ValueEnum};

use super::exit::{Exit, Trouble};
use super::folder::Catalogs;
use super::here::Here;
use super::record::gather::{self, Looked};
use super::terminal::Colour;
use super::validate::json;
use crate::execute::report::{Stood, Walked, accounts, chain_of};
use crate::policy::model::Policy;
use crate::report::account::{ChainAccount, Past, PolicyAccount, Report, Room, Subject, account, report};
use crate::report::{Covered, Wanted, html, markdown};
use crate::units::Instant;
use crate::world::{clock, files, parallel};

/// Make a report for people who were not there: does the promise hold, and what is the evidence?
///
/// One page that needs nothing else, or the same as Markdown or JSON. Reads the record and asks neither a store nor a server: what
/// `seawall watch` last saw is what counts. With a directory it is every policy in it, the worst first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall report -o report.html                              the last month
  seawall report /etc/seawall/policies --period quarter -o fleet.html
  seawall report --period 2026-07-01..2026-09-30 --format markdown
  seawall report --format json | jq '.policies[].objectives'")]
pub struct ReportCommand {
    /// The policy's file, or a directory of policies; the same as `--policy`.
    #[arg(value_name = "POLICY", conflicts_with = "policy")]
    subject: Option<PathBuf>,
    /// The stretch of time: month, quarter, year (each up to now), or two days as FROM..TO, both in it.
    #[arg(long, value_name = "PERIOD", default_value = "month")]
    period: Wanted,
    /// How it is written [default: by the file's ending, else html].
    #[arg(long, value_name = "FORMAT")]
    format: Option<Form>,
    /// The file; standard output without it. It is replaced as a whole, and only its owner may read it.
    #[arg(long, short = 'o', value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    here: Here,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Html,
    Markdown,
    Json,
}

impl ReportCommand {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let now = clock::now();
        let covered =
            self.period.at(now).map_err(|error| Trouble::usage(format!("`--period`: {error}"), "Name a stretch that has begun."))?;
        let here = Here { policy: self.subject.clone().or_else(|| self.here.policy.clone()), ..self.here.clone() };
        let asked = gather::asked(&here, Some(colour), now);
        let looked = gather::look(&asked, now, &mut Catalogs::default());
        let made = of(&looked, covered, &mut Vec::new(), now)?;
        match self.form() {
            Form::Html => self.put(&mut |out| write_page(&made, out)),
            Form::Markdown => self.put(&mut |out| out.write_all(markdown::text(&made).as_bytes())),
            Form::Json => {
                let text = json(&made)?;
                self.put(&mut |out| out.write_all(text.as_bytes()))
            }
        }?;
        // Taking a fleet's lists apart takes longer than to end with them.
        std::mem::forget(made);
        Ok(Exit::Done)
    }

    fn put(&self, write: &mut dyn FnMut(&mut (dyn Write + Send)) -> io::Result<()>) -> Result<(), Trouble> {
        let Some(path) = &self.out else {
            let mut out = io::stdout();
            return Ok(write(&mut out).and_then(|()| out.flush())?);
        };
        files::replace_by(path, &mut |file| write(file))
            .map_err(|fault| Trouble::failed(format!("`{}`: {}", path.display(), fault.message), fault.hint))
    }

    fn form(&self) -> Form {
        let ending = self.out.as_ref().and_then(|path| path.extension()).and_then(|ending| ending.to_str());
        self.format.unwrap_or(match ending {
            Some("md" | "markdown") => Form::Markdown,
            Some("json") => Form::Json,
            _ => Form::Html,
        })
    }
}

/// So many policies' sections are made at once, while those before them are written.
const SECTIONS: usize = 32;

/// A fleet's page is never held whole.
fn write_page(made: &Report, out: &mut (dyn Write + Send)) -> io::Result<()> {
    let frame = html::frame(made, html::Links::Sections);
    let (before, after) = frame.around();
    let numbers: Vec<usize> = (0..made.policies.len()).collect();
    out.write_all(before.as_bytes())?;
    thread::scope(|scope| {
        let (sender, ready) = mpsc::sync_channel::<Vec<html::Section>>(1);
        let out = &mut *out;
        let writes = scope.spawn(move || ready.iter().flatten().try_for_each(|section| out.write_all(section.as_str().as_bytes())));
        for some in numbers.chunks(SECTIONS) {
            // Who writes has ended, and says why.
            if sender.send(parallel::map(some, &|number| html::section(made, *number))).is_err() {
                break;
            }
        }
        drop(sender);
        writes.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    out.write_all(after.as_bytes())
}

/// The chain of a catalog, as far as somebody has walked along it.
pub type Walks = Vec<(String, Walked)>;

/// The report of policies as they were found. `walks` is what is known of the chains already, and is brought up to date.
pub fn of(all: &[Looked], covered: Covered, walks: &mut Walks, now: Instant) -> Result<Report, Trouble> {
    let room = Room::for_policies(all.len());
    let mut policies: Vec<PolicyAccount> = Vec::with_capacity(all.len());
    let mut chains: Vec<ChainAccount> = Vec::new();
    let mut rest: Vec<&Looked> = all.iter().collect();
    // Catalog by catalog: what many policies share is asked once.
    while let Some(catalog) = rest.iter().find_map(|looked| looked.catalog.clone().filter(|_| looked.policy.is_some())) {
        let is_here = |looked: &&Looked| {
            looked.policy.is_some() && looked.catalog.as_ref().is_some_and(|other| std::sync::Arc::ptr_eq(other, &catalog))
        };
        let (here, others): (Vec<&Looked>, Vec<&Looked>) = rest.into_iter().partition(is_here);
        rest = others;
        let place = catalog.place().to_string();
        let known = walks.iter().position(|(known, _)| *known == place).map(|at| walks.swap_remove(at).1);
        let (walked, chain) = chain_of(&catalog, known.as_ref());
        let stood: Vec<Stood<'_>> = here.iter().filter_map(|looked| stood(looked)).collect();
        let made = accounts(&catalog, &stood, &walked, covered, room, now);
        policies.extend(made.map_err(|fault| Trouble::failed(fault.message, fault.hint))?);
        chains.push(chain);
        walks.push((place, walked));
    }
    policies.extend(rest.into_iter().map(|looked| without_catalog(looked, covered, room, now)));
    Ok(report(policies, chains, covered, now))
}

fn stood(looked: &Looked) -> Option<Stood<'_>> {
    let policy: &Policy = looked.policy.as_deref()?;
    Some(Stood { policy, record: &looked.record, standing: &looked.standing })
}

fn without_catalog(looked: &Looked, covered: Covered, room: Room, now: Instant) -> PolicyAccount {
    let subject = Subject { policy: looked.policy.as_deref(), record: &looked.record, standing: &looked.standing, past: &Past::default() };
    account(&subject, covered, room, now)
}
