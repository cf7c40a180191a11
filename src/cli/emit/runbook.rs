//! `seawall emit runbook`: what to do when it has happened.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::absolute;
use super::whole::Whole;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::here::Here;
use crate::cli::moment;
use crate::cli::on_record::OnRecord;
use crate::cli::terminal::Colour;
use crate::emit::{self, Page, RunbookSetting};
use crate::units::Instant;
use crate::world::{clock, git};

/// Write what to do when it has happened: for each scenario whom to call, what to look at, the commands, how long they take, what to check.
///
/// With an inventory it names the backups that a recovery would take; without one, what `seawall watch` last saw, where this host's catalog is a
/// file and has it, and how old that is. It holds no secret, and is there to be printed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall inventory export --out inventory.json
  seawall emit runbook policies/a.yaml --inventory inventory.json --format html --out runbook.html
  seawall emit runbook policies/a.yaml                                       with what this host's catalog has, if anything")]
pub struct Runbook {
    /// The policy's file [default: $SEAWALL_POLICY, then /etc/seawall/policy.yaml].
    #[arg(value_name = "POLICY")]
    policy: Option<PathBuf>,
    /// The same, said as other commands take it.
    #[arg(long = "policy", short = 'p', value_name = "FILE", conflicts_with = "policy")]
    named: Option<PathBuf>,
    /// What is known of the world; `seawall inventory export` writes it.
    #[arg(long, value_name = "FILE")]
    inventory: Option<PathBuf>,
    /// Where this host keeps its catalog, which is asked where there is no `--inventory` [default: $STATE_DIRECTORY, then /var/lib/seawall or
    /// below the home directory].
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// How it is written.
    #[arg(long, value_name = "FORMAT", default_value = "markdown")]
    format: Format,
    /// Where the policy's file is on the host that recovers.
    #[arg(long, value_name = "FILE", default_value = RunbookSetting::USUAL)]
    policy_there: PathBuf,
    /// Reckon as if it were this moment.
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    at: Option<Instant>,
    #[command(flatten)]
    whole: Whole,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Markdown,
    /// One file that needs no other, for a browser and for paper.
    Html,
}

impl Runbook {
    pub(super) fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let here = Here { policy: self.policy.clone().or_else(|| self.named.clone()), state: None, host: None };
        let (policy, files) = here.read_with_files(colour)?;
        let now = self.at.unwrap_or_else(clock::now);
        let inventory = self.inventory.as_deref().map(moment::read_inventory).transpose()?;
        let catalogs = OnRecord::default();
        let recorded = if inventory.is_none() { catalogs.seen(&policy, self.state.as_deref(), now) } else { None };
        let seen = match &inventory {
            None => recorded.as_ref().map(|(cluster, at)| (cluster, *at)),
            Some(inventory) => match inventory.clusters.get(&policy.name) {
                Some(cluster) => Some((cluster, inventory.observed_at)),
                None => {
                    let message = format!("the inventory does not speak of the policy `{}`", policy.name);
                    return Err(Trouble::failed(message, "Export it with this policy: `seawall inventory export`."));
                }
            },
        };
        let setting = RunbookSetting { policy_file: absolute(&self.policy_there)?, commit: git::commit_of(&files) };
        let page = match self.format {
            Format::Markdown => Page::Markdown,
            Format::Html => Page::Html,
        };
        self.whole.put(&emit::runbook(&policy, &setting, seen, now, page))
    }
}
