//! `seawall inventory export`: the world as observed, for `plan` and `diff`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::catalog::Catalog;
use crate::cli::examine::Known;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::fleet::Fleet;
use crate::cli::here::Here;
use crate::cli::location::Location;
use crate::cli::terminal::{Colour, print, tame};
use crate::cli::validate::json;
use crate::converge;
use crate::inventory::{ClusterInventory, FORMAT_VERSION, Inventory, Measured, Observed, Proven};
use crate::observe::{self, Recorded, recorded};
use crate::policy::model::Policy;
use crate::site::Site;
use crate::units::{Instant, Name};
use crate::world::{clock, files, parallel};

/// Write down what lies in the stores, for `plan` and `diff`.
#[derive(Debug, Subcommand)]
pub enum InventoryCommand {
    Export(Export),
}

impl InventoryCommand {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        match self {
            InventoryCommand::Export(command) => command.run(colour),
        }
    }
}

/// Write down what lies in the stores, as JSON that `seawall plan --inventory` and `seawall diff --inventory` read.
///
/// Where this host has a catalog, what drills and runs have measured is in it. Where the policy has a section `timescaledb`, its databases are
/// asked as well.
/// What could not be looked at is in it as unknown, with the reason; then the exit code is 1.
#[derive(Debug, Args)]
#[command(
    name = "export",
    after_help = "\
Examples:
  seawall inventory export --out state.json
  seawall inventory export policies --out fleet.json       of every policy below a directory
  seawall plan policies/a.yaml --inventory state.json"
)]
pub struct Export {
    /// Policies: files, or directories to search. Without any, the one that `--policy` names.
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
    #[command(flatten)]
    here: Here,
    /// Into this file instead of standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Export {
    fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let now = clock::now();
        let policies = self.policies(colour, now)?;
        // Each looks into its own stores in parallel already.
        let clusters = parallel::map(&policies, &|policy: &Policy| {
            let site = Site::new(policy, self.here.state.as_deref(), self.here.host.as_ref());
            let mut seen = observe::cluster(&site, now);
            (seen.inventory.measured, seen.inventory.proven) = on_record(&site, now);
            if !converge::databases(policy).is_empty() {
                let running = observe::running(&site);
                (seen.inventory.server, seen.inventory.timescaledb) = (running.server, running.databases);
            }
            (policy.name.clone(), seen)
        });
        for (policy, seen) in &clusters {
            let rejected = seen.stores.iter().filter_map(|(name, store)| Some((name, store.as_ref().ok()?)));
            for (name, one) in rejected.flat_map(|(name, seen)| seen.rejected.iter().map(move |one| (name, one))) {
                eprintln!("warning: {policy}, store {name}: not counted: {}: {}", one.key, tame(&one.why));
            }
        }
        let clusters: BTreeMap<Name, ClusterInventory> = clusters.into_iter().map(|(name, seen)| (name, seen.inventory)).collect();
        let all_known = clusters.values().all(|cluster| {
            let stores = cluster.stores.values().all(|store| store.known().is_some());
            stores && cluster.timescaledb.values().all(|database| database.known().is_some())
        });
        let text = json(&Inventory { format_version: FORMAT_VERSION, observed_at: now, clusters })?;
        match &self.out {
            Some(file) => files::replace(file, text.as_bytes())
                .map_err(|fault| Trouble::failed(format!("the inventory cannot be saved: {}", fault.message), fault.hint))?,
            None => print(&text)?,
        }
        Ok(if all_known { Exit::Done } else { Exit::Failed })
    }

    fn policies(&self, colour: Colour, now: Instant) -> Result<Vec<Policy>, Trouble> {
        if self.paths.is_empty() {
            return Ok(vec![self.here.read(colour)?]);
        }
        let fleet = Fleet::load(&Location::all(&self.paths)?, now, Known::default());
        if let Some(bad) = fleet.policies.iter().find(|examined| !examined.document.is_sound()) {
            let name = tame(&bad.document.source.name).into_owned();
            return Err(Trouble::failed(
                format!("the policy `{name}` cannot be used"),
                "`seawall validate` says all that is wrong with it.",
            ));
        }
        if let Some(finding) = fleet.findings.iter().find(|finding| finding.is_blocking()) {
            return Err(Trouble::failed(finding.message.clone(), finding.hint.clone().unwrap_or_default()));
        }
        Ok(fleet.policies.into_iter().filter_map(|examined| examined.policy).collect())
    }
}

/// What the catalog of this host knows of recoveries, where there is one.
fn on_record(site: &Site<'_>, now: Instant) -> (Observed<Measured>, Option<Observed<Proven>>) {
    let read = || -> Result<Option<Recorded>, String> {
        let place = site.catalog().map_err(|fault| fault.message)?;
        let Some(catalog) = Catalog::open_existing(&place).map_err(|fault| fault.message)? else { return Ok(None) };
        recorded(site.policy, &catalog, now).map(Some).map_err(|fault| fault.message)
    };
    match read() {
        Ok(Some(Recorded { measured, proven })) => (Observed::Known(measured), Some(Observed::Known(proven))),
        Ok(None) => (Observed::unknown("this host has no catalog"), None),
        Err(reason) => (Observed::unknown(reason.clone()), Some(Observed::unknown(reason))),
    }
}
