//! Fetches what the plan says, replays the log, proves the tables, and holds the server for as long as somebody uses it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::catalogs::Seen;
use super::plan::{Holding, Planned, index_bytes};
use super::prove::{Case, hide, roll_back_prepared};
use super::{Fault, Fixed, Onlooker, TableName, Wanted, quietly};
use crate::execute::restore::{self, Following, Recovered, RestorePlan, Server};
use crate::execute::throwaway::{self, Place, Reached};
use crate::inventory::Phase;
use crate::plan::words::counted;
use crate::postgres::Settings;
use crate::recovery::Target;

/// As often as the log is replayed: once, and again with what was not foreseen.
const PASSES: u32 = 2;

/// A private server that holds the tables as they were. It is writable, and gone with this.
///
/// Only the catalogs of one database, the tables that were asked for and the sequences of their columns are whole. Everything else is full of
/// holes: whoever reads another table finds nothing or a fault, and whoever enters another database ends the server. Indexes of the tables
/// are defined and not used, neither by who reads nor by who writes. Definitions are all there: `pg_dump --schema-only` works for everything.
#[derive(Debug)]
pub struct Held {
    /// Its PostgreSQL programs.
    pub bin: PathBuf,
    pub major: u32,
    pub database: String,
    /// The state it holds, in words for people.
    pub moment: String,
    /// What is not as it should be, without being a reason not to use it.
    pub flaws: Vec<String>,
    /// Of the tables, or their parts, those whose rows no backup has: they are empty here.
    pub unlogged: Vec<String>,
    /// Bytes that were read from the store, the log apart.
    pub fetched: u64,
    /// Times that the log was replayed.
    pub passes: u32,
    /// Where it stopped, to the record.
    pub fixed: Option<Fixed>,
    /// What it was made of.
    seen: Arc<Seen>,
    files: BTreeSet<u32>,
    invalid: BTreeSet<String>,
    /// The recovery of which it is a part, and where that ended.
    pub(in crate::execute) plan: Box<RestorePlan>,
    pub(in crate::execute) ended: Box<restore::Reached>,
    pub(in crate::execute) reached: Reached,
    pub(in crate::execute) place: Place,
}

impl Held {
    /// How to connect to it, to read rows and to change what you like. What a database or a role has set does not count.
    pub fn settings(&self, database: &str) -> Result<Settings, Fault> {
        Ok(self.reached.settings(database)?)
    }

    /// The same for programs that use libpq.
    pub fn environment(&self, database: &str) -> Vec<(&'static str, String)> {
        let options = self.reached.options.clone().unwrap_or_default();
        let mut variables: Vec<(&'static str, String)> =
            self.reached.variables().into_iter().filter(|(name, _)| *name != "PGDATABASE").collect();
        variables.extend([("PGDATABASE", database.to_owned()), ("PGOPTIONS", options)]);
        variables
    }

    /// Whether these tables are whole as well, because they were fetched ahead or the log has made all of them. From then on they may be read.
    pub fn has(&mut self, tables: &[TableName]) -> Result<bool, Fault> {
        let mut connection = self.reached.connect(&self.database)?;
        let backup = self.plan.chosen.descriptor.id.as_str();
        let case = Case { seen: &self.seen, fetched: &self.files, invalid: &self.invalid, moment: &self.moment, backup };
        let wanted = Wanted::new(tables.to_vec(), Target::Latest);
        let proof = case.prove(&mut connection, &wanted)?;
        if !proof.missing.is_empty() {
            return Ok(false);
        }
        self.flaws.extend(proof.flaws);
        self.unlogged.extend(proof.unlogged);
        hide(&mut connection, &proof.hidden)?;
        Ok(true)
    }
}

impl Planned<'_> {
    /// Fetches, replays and proves. What was planned is gone when this fails.
    pub fn hold(self, onlooker: Onlooker<'_>) -> Result<Held, Fault> {
        let (site, held, warnings) = (self.held.site, self.held, self.warnings);
        quietly(site, onlooker, || held.hold(onlooker, warnings))
    }
}

impl Holding<'_> {
    fn hold(mut self, onlooker: Onlooker<'_>, mut flaws: Vec<String>) -> Result<Held, Fault> {
        onlooker.must_go_on()?;
        self.place.prepare(self.plan.directory.owner)?;
        let log = self.plan.chosen.wal.first().zip(self.plan.chosen.wal.last()).map(|(first, last)| (first.from, last.to));
        for pass in 1..=PASSES {
            let (size, _) = self.seen.listing.cost(&self.partial.nodes);
            onlooker.progress.expect(size, log);
            let (bin, recovered) = self.pass(onlooker)?;
            self.enter(onlooker, Phase::Expect);
            let reached = Reached::only(&self.place, self.port, self.site.policy, &self.seen.database, &self.options())
                .map_err(|fault| fault.with_hint("A full restore, with `seawall restore`, may serve."))?;
            let mut connection = reached.connect(&self.seen.database)?;
            let moment = self.moment(&recovered);
            let case = Case {
                seen: &self.seen,
                fetched: &self.partial.nodes,
                invalid: &recovered.invalid,
                moment: &moment,
                backup: self.plan.chosen.descriptor.id.as_str(),
            };
            let proof = case.prove(&mut connection, &self.wanted)?;
            if proof.missing.is_empty() {
                // Nothing more of the backup or its log is read.
                drop(self.pin.take());
                flaws.extend(proof.flaws);
                flaws.extend(roll_back_prepared(&mut connection)?);
                hide(&mut connection, &proof.hidden)?;
                flaws.extend(
                    recovered
                        .reached
                        .ended_by
                        .as_ref()
                        .map(|said| format!("the last segment is not whole: replay ended where PostgreSQL said `{said}`")),
                );
                return Ok(Held {
                    bin,
                    major: self.major(),
                    database: self.seen.database.clone(),
                    moment,
                    flaws,
                    unlogged: proof.unlogged,
                    fetched: onlooker.progress.files.fetched.load(Ordering::Relaxed) - self.read_before
                        + self.read_looking
                        + u64::from(pass) * index_bytes(&self.plan),
                    passes: pass,
                    fixed: Fixed::of(&self.plan, recovered.stopped),
                    plan: Box::new(self.plan),
                    ended: Box::new(recovered.reached),
                    seen: self.seen,
                    files: self.partial.nodes,
                    invalid: recovered.invalid,
                    reached,
                    place: self.place,
                });
            }
            drop(connection);
            flaws.push(format!(
                "{} the tables have at that moment could not be foreseen from the backup's catalogs; they were fetched, and the log was \
                 replayed again",
                counted(proof.missing.len() as u64, "file")
            ));
            self.again(proof.missing)?;
        }
        Err(Fault::new(
            "after a second look there were still files of the tables that were not fetched",
            "This is a fault of seawall; please report it. A full restore, with `seawall restore`, does without this.",
        ))
    }

    /// Everything from the start, with these files too: what the log has made of them while they were hollow is of no use.
    fn again(&mut self, missing: impl IntoIterator<Item = u32>) -> Result<(), Fault> {
        self.place.clear()?;
        self.partial.nodes.extend(missing);
        let (size, _) = self.seen.listing.cost(&self.partial.nodes);
        throwaway::must_have_room(&self.base, size, self.plan.estimate.wal_bytes, &self.wanted.purpose())
    }

    fn pass(&self, onlooker: Onlooker<'_>) -> Result<(PathBuf, Recovered), Fault> {
        let mut server = Server::prepare(&self.plan, self.wanted.programs.as_deref())?.asked_in(&self.seen.database);
        self.enter(onlooker, Phase::Files);
        onlooker.progress.files.done.store(0, Ordering::Relaxed);
        restore::carry_out_some(self.site, &self.plan, Some(&self.partial), &onlooker.progress.files)
            .map_err(|fault| here(Phase::Files, fault))?;
        onlooker.must_go_on()?;
        self.enter(onlooker, Phase::Consistent);
        server.start().map_err(|fault| here(Phase::Consistent, fault))?;
        let mut consistent = false;
        let recovered = server.follow(&mut |following: &Following| {
            onlooker.progress.follow(following);
            if following.consistent && !consistent {
                consistent = true;
                self.enter(onlooker, Phase::Replay);
            }
            !onlooker.stop.load(Ordering::Relaxed)
        });
        onlooker.must_go_on()?;
        let recovered = recovered.map_err(|fault| here(Phase::Replay, fault))?;
        Ok((server.programs().to_owned(), recovered))
    }

    fn enter(&self, onlooker: Onlooker<'_>, phase: Phase) {
        self.place.at(phase);
        onlooker.enter(phase);
    }

    fn major(&self) -> u32 {
        self.plan.chosen.descriptor.cluster.version / 10_000
    }

    /// Of every session; what a database or a role has set would go before the server's own settings.
    fn options(&self) -> String {
        let mut options =
            "-c default_transaction_read_only=off -c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0"
                .to_owned();
        if self.major() >= 17 {
            // Whoever connects would set off what reads other tables.
            options.push_str(" -c event_triggers=off -c transaction_timeout=0");
        }
        options
    }

    fn moment(&self, recovered: &Recovered) -> String {
        let target = match &self.plan.request.target {
            Target::Immediate(_) => Target::Immediate(Some(self.plan.chosen.descriptor.id.clone())),
            target => target.clone(),
        };
        match &recovered.reached.last_commit {
            Some(at) => format!("{target} (the last transaction in it is of {at})"),
            None => target.to_string(),
        }
    }
}

/// A restore speaks to somebody who restores; here nothing is left that could be gone on with.
fn here(phase: Phase, fault: Fault) -> Fault {
    let hint = match phase {
        Phase::Files if fault.hint.contains("`--delta`") => match fault.hint.split_once(" Add `--delta`") {
            Some((others, _)) => others.to_owned(),
            None => "Mend what is named; `--directory DIR` names another place for the copy.".to_owned(),
        },
        Phase::Consistent | Phase::Replay if fault.passing => {
            "The private server was ended from outside, by somebody or because memory was short: the system's own log says which. Run it again."
                .to_owned()
        }
        Phase::Consistent | Phase::Replay => {
            "A full restore to this moment would end here too. Try another copy of the log with `--store NAME`, another backup with \
             `--backup ID`, or another moment."
                .to_owned()
        }
        _ => fault.hint.clone(),
    };
    fault.with_hint(hint)
}
