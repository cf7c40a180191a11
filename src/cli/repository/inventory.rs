//! `seawall inventory export`: the world as observed, for `plan` and `diff`.

use std::collections::{BTreeMap, BTreeSet};
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
use crate::inventory::{ClusterInventory, DrillRecord, FORMAT_VERSION, Inventory, Measured, Observed, Proven};
use crate::observe::{self, DRILLS_WITHIN, KnownDrills, Recorded, recorded_with};
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
/// Where this host has a catalog, what drills and runs have measured is in it; so is what other hosts have written down of their drills beside
/// the backups. Where the policy has a section `timescaledb`, its databases are
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
            let on_record = on_record(&site, now);
            (seen.inventory.measured, seen.inventory.proven) = (on_record.measured, on_record.proven);
            if !policy.asked_databases().is_empty() {
                let running = observe::running(&site);
                (seen.inventory.server, seen.inventory.timescaledb) = (running.server, running.databases);
            }
            (policy.name.clone(), seen, on_record.left_out)
        });
        for (policy, seen, left_out) in &clusters {
            for one in left_out {
                eprintln!("warning: {policy}: {}", tame(one));
            }
            let rejected = seen.stores.iter().filter_map(|(name, store)| Some((name, store.as_ref().ok()?)));
            for (name, one) in rejected.flat_map(|(name, seen)| seen.rejected.iter().map(move |one| (name, one))) {
                eprintln!("warning: {policy}, store {name}: not counted: {}: {}", one.key, tame(&one.why));
            }
        }
        let clusters: BTreeMap<Name, ClusterInventory> = clusters.into_iter().map(|(name, seen, _)| (name, seen.inventory)).collect();
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

/// What is known of recoveries.
struct OnRecord {
    measured: Observed<Measured>,
    proven: Option<Observed<Proven>>,
    /// Of drills beside the backups: what is not counted, and why.
    left_out: Vec<String>,
}

/// By the catalog of this host, where there is one, and by the drills that other hosts have written down beside the backups.
fn on_record(site: &Site<'_>, now: Instant) -> OnRecord {
    let mut left_out = Vec::new();
    let mut read = || -> Result<Option<Recorded>, String> {
        let place = site.catalog().map_err(|fault| fault.message)?;
        let catalog = Catalog::open_existing(&place).map_err(|fault| fault.message)?;
        let known = catalog.as_ref().map(|catalog| catalog.drill_ids(site.policy.name.as_str())).transpose();
        let known = known.map_err(|fault| fault.message)?.unwrap_or_default();
        let others = others(site, &known, now, &mut left_out);
        match catalog {
            Some(catalog) => recorded_with(site.policy, &catalog, others, now).map(Some).map_err(|fault| fault.message),
            None if others.is_empty() => Ok(None),
            None => Ok(Some(Recorded::of_drills(site.policy, others))),
        }
    };
    let (measured, proven) = match read() {
        Ok(Some(Recorded { measured, proven })) => (Observed::Known(measured), Some(Observed::Known(proven))),
        Ok(None) => (Observed::unknown("this host has no catalog"), None),
        Err(reason) => (Observed::unknown(reason.clone()), Some(Observed::unknown(reason))),
    };
    OnRecord { measured, proven, left_out }
}

/// Drills that lie in the stores and are not known here. A store that cannot be asked is said to be unknown anyway.
fn others(site: &Site<'_>, known: &BTreeSet<String>, now: Instant, left_out: &mut Vec<String>) -> Vec<DrillRecord> {
    let since = now.checked_sub(DRILLS_WITHIN.to_signed()).unwrap_or(now);
    match observe::drills(site, KnownDrills { drills: known, rejected: &BTreeSet::new(), silent: &BTreeSet::new(), since }, now) {
        Ok(found) => {
            let all = found.rejected.iter().chain(&found.ahead);
            left_out.extend(all.map(|one| format!("not counted: {}: {}", one.key, one.why)));
            found.records
        }
        Err(fault) => {
            left_out.push(format!("drills of other hosts are left out: {}", fault.message));
            Vec::new()
        }
    }
}
