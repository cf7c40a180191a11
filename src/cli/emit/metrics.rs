//! `seawall emit prometheus` and `seawall emit grafana`: what watches the figures of `seawall metrics`.

use clap::Args;

use super::whole::Whole;
use crate::cli::diagnostics;
use crate::cli::examine::Known;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::fleet::Fleet;
use crate::cli::location::Location;
use crate::cli::terminal::{Colour, Terminal};
use crate::emit;
use crate::policy::finding::Finding;
use crate::policy::model::Policy;
use crate::units::is_wild;
use crate::world::clock;

/// Write Prometheus' alerts and recording rules, with the thresholds and severities of policies.
///
/// The rules judge what `seawall metrics` writes. They also fire when Seawall itself is silent: nobody watches, or nobody tells.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall emit prometheus --out /etc/prometheus/rules/seawall.yml             of every policy below `policies`
  seawall emit prometheus policies/a.yaml | promtool check rules
  seawall emit prometheus --diff /etc/prometheus/rules/seawall.yml            exit with 2 when that differs
  seawall emit prometheus --runbook-url https://wiki.example.com/seawall      with a link in every alert")]
pub struct Prometheus {
    #[command(flatten)]
    named: Named,
    /// Where people find the runbook; it becomes the annotation `runbook_url`.
    #[arg(long, value_name = "URL")]
    runbook_url: Option<String>,
    #[command(flatten)]
    whole: Whole,
}

/// Write a dashboard for Grafana: objectives, backups, drills, log, stores and alerts of every policy that Prometheus knows.
///
/// It uses the recording rules of `seawall emit prometheus` for limits and ages. Which policies are named makes no difference to it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall emit grafana --out /var/lib/grafana/dashboards/seawall.json")]
pub struct Grafana {
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    whole: Whole,
}

/// Which policies.
#[derive(Debug, Args)]
struct Named {
    /// Files, directories (searched for *.yaml and *.yml), `git:REV:PATH`, or `-` for standard input.
    ///
    /// Without any: $SEAWALL_POLICY, else the directory `policies` if it exists, else this one.
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
    /// One more of them, named as other commands take it.
    #[arg(long, short = 'p', value_name = "FILE")]
    policy: Option<String>,
}

impl Named {
    fn locations(&self) -> Result<Vec<Location>, Trouble> {
        Location::all(&self.paths.iter().chain(&self.policy).cloned().collect::<Vec<_>>())
    }
}

impl Prometheus {
    pub(super) fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        if self.runbook_url.as_ref().is_some_and(|url| url.chars().any(is_wild)) {
            return Err(Trouble::usage("`--runbook-url` has a sign that is no part of an address", "Write it as a browser shows it."));
        }
        let fleet = Fleet::load(&self.named.locations()?, clock::now(), Known::default());
        let policies = readable(&fleet, colour)?;
        self.whole.put(&emit::prometheus(&policies, self.runbook_url.as_deref()))
    }
}

impl Grafana {
    pub(super) fn run(&self) -> Result<Exit, Trouble> {
        self.named.locations()?;
        self.whole.put(&emit::grafana())
    }
}

/// All policies, or none: rules that lack one would never say so. That one cannot keep what it promises does not matter here.
fn readable(fleet: &Fleet, colour: Colour) -> Result<Vec<&Policy>, Trouble> {
    let of_form = fleet.policies.iter().filter(|examined| examined.policy.is_none() && !examined.document.is_abstract);
    let mut wrong: Vec<Finding> =
        of_form.flat_map(|examined| examined.findings.iter().filter(|finding| finding.is_blocking())).cloned().collect();
    wrong.extend(fleet.findings.iter().filter(|finding| finding.is_blocking()).cloned());
    if !wrong.is_empty() {
        eprint!("{}", diagnostics::render(&wrong, Terminal::of_stderr(colour)));
        let hint = "Nothing was written. `seawall validate` says all that is wrong with them.";
        return Err(Trouble::failed("not every policy can be read", hint));
    }
    let policies: Vec<&Policy> = fleet.policies.iter().filter_map(|examined| examined.policy.as_ref()).collect();
    match policies.is_empty() {
        true => Err(Trouble::failed("there is no policy to write rules for", "Name a policy or a folder of policies.")),
        false => Ok(policies),
    }
}
