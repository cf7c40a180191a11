//! `seawall inventory export`: the world as observed, for `plan` and `diff`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::exit::{Exit, Trouble};
use crate::cli::fleet::Fleet;
use crate::cli::here::Here;
use crate::cli::location::Location;
use crate::cli::terminal::{Colour, print, tame};
use crate::cli::validate::json;
use crate::inventory::{ClusterInventory, FORMAT_VERSION, Inventory};
use crate::observe;
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
            (policy.name.clone(), observe::cluster(&site, now))
        });
        for (policy, seen) in &clusters {
            let rejected = seen.stores.iter().filter_map(|(name, store)| Some((name, store.as_ref().ok()?)));
            for (name, one) in rejected.flat_map(|(name, seen)| seen.rejected.iter().map(move |one| (name, one))) {
                eprintln!("warning: {policy}, store {name}: not counted: {}: {}", one.key, tame(&one.why));
            }
        }
        let clusters: BTreeMap<Name, ClusterInventory> = clusters.into_iter().map(|(name, seen)| (name, seen.inventory)).collect();
        let all_known = clusters.values().all(|cluster| cluster.stores.values().all(|store| store.known().is_some()));
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
        let fleet = Fleet::load(&Location::all(&self.paths)?, now, None);
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
