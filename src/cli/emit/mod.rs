//! `seawall emit`: files for other systems, written from a policy.

mod install;
mod metrics;
mod runbook;
mod whole;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::exit::{Exit, Trouble};
use super::here::Here;
use super::terminal::{Colour, print};
use crate::emit::{self, EmitFault, Emitted, Setting, difference};
use crate::policy::model::Policy;
use crate::units::Name;
use crate::world::host;
use install::Installed;
use metrics::{Grafana, Prometheus};
use runbook::Runbook;

/// Write what others read, from policies: timers, alert rules, a dashboard, a runbook.
#[derive(Debug, Subcommand)]
pub enum Emit {
    Systemd(Systemd),
    Cron(Cron),
    Prometheus(Prometheus),
    Grafana(Grafana),
    Runbook(Runbook),
}

/// Write the services and timers of systemd for what this host does under a policy.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall emit systemd                                   show all units
  seawall emit systemd --out /etc/systemd/system         install what differs
  seawall emit systemd --diff /etc/systemd/system        exit with 2 when what is installed differs
  seawall emit systemd -p policies/a.yaml --policy-there /etc/seawall/policy.yaml --host db-1   on another machine")]
pub struct Systemd {
    #[command(flatten)]
    options: Options,
}

/// Write a crontab for what this host does under a policy, where there is no systemd.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seawall emit cron                                      show it
  seawall emit cron --out /etc/cron.d                    install it
  seawall emit cron --diff /etc/cron.d                   exit with 2 when what is installed differs")]
pub struct Cron {
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Args)]
struct Options {
    /// Write the files there: those that differ, each whole or not at all.
    #[arg(long, value_name = "DIR", conflicts_with = "diff")]
    out: Option<PathBuf>,
    /// Show how the files there differ from what the policy wants, and exit with 2 when they do.
    #[arg(long, value_name = "DIR")]
    diff: Option<PathBuf>,
    /// With `--out`: also remove what an earlier version of this policy has left there.
    #[arg(long, requires = "out")]
    prune: bool,
    /// The account that the jobs run as [default: postgres; on hosts without a server, seawall].
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Where the policy's file is on the host that runs the jobs [default: where it is here].
    #[arg(long, value_name = "FILE")]
    policy_there: Option<PathBuf>,
    /// Where Seawall is on that host.
    #[arg(long, value_name = "FILE", default_value = Setting::PROGRAM)]
    program: String,
    /// The directory on that host with what the policy calls `{ credential: NAME }`.
    #[arg(long, value_name = "DIR", default_value = Setting::CREDENTIALS)]
    credentials: String,
    /// The policy's file, as with `--policy`.
    #[arg(value_name = "POLICY", conflicts_with = "policy")]
    file: Option<PathBuf>,
    #[command(flatten)]
    here: Here,
}

impl Emit {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        match self {
            Emit::Systemd(command) => {
                let (policy, setting) = command.options.read(colour)?;
                command.options.put(&policy, &emit::systemd(&policy, &setting)?, &["service", "timer"])
            }
            Emit::Cron(command) => {
                let (policy, setting) = command.options.read(colour)?;
                command.options.put(&policy, &[emit::cron(&policy, &setting)?], &[""])
            }
            Emit::Prometheus(command) => command.run(colour),
            Emit::Grafana(command) => command.run(),
            Emit::Runbook(command) => command.run(colour),
        }
    }
}

impl Options {
    fn read(&self, colour: Colour) -> Result<(Policy, Setting), Trouble> {
        let here = Here { policy: self.file.clone().or_else(|| self.here.policy.clone()), ..self.here.clone() };
        let policy = here.read(colour)?;
        let setting = Setting {
            host: host_of(&policy, here.host.as_ref())?,
            policy_file: absolute(self.policy_there.as_deref().unwrap_or(&here.path()))?,
            program: self.program.clone(),
            user: self.user.clone(),
            state: here.state.as_deref().map(absolute).transpose()?,
            credentials: self.credentials.clone(),
        };
        Ok((policy, setting))
    }

    /// Shows them, compares them, or puts them in place. `endings` are those of the files of this kind.
    fn put(&self, policy: &Policy, files: &[Emitted], endings: &[&str]) -> Result<Exit, Trouble> {
        let read = |directory: &Path| Installed::read(directory, files, &emit::mark(&policy.name), endings);
        if let Some(directory) = &self.diff {
            let difference = read(directory)?.difference(files);
            print(&difference)?;
            return Ok(if difference.is_empty() { Exit::Done } else { Exit::SomethingToDo });
        }
        if let Some(directory) = &self.out {
            let outcome = read(directory)?.bring_up(files, self.prune)?;
            print(&outcome.report)?;
            for line in &outcome.next {
                eprintln!("{line}");
            }
            return Ok(Exit::Done);
        }
        let shown: Vec<String> = files.iter().map(|file| format!("#### {}\n{}", file.name, file.text)).collect();
        print(&shown.join("\n"))?;
        Ok(Exit::Done)
    }
}

/// The host that was named, or this one; none where the policy knows no hosts.
fn host_of(policy: &Policy, asked: Option<&Name>) -> Result<Option<Name>, Trouble> {
    if policy.hosts.is_empty() {
        return Ok(asked.cloned());
    }
    let name = asked.map_or_else(host::name, Name::to_string);
    let known: Vec<&str> = policy.hosts.keys().map(Name::as_str).collect();
    match policy.hosts.get_key_value(name.as_str()) {
        Some((known, _)) => Ok(Some(known.clone())),
        None => {
            let hint = format!("Say for which of them with `--host`: {}.", known.join(", "));
            Err(Trouble::usage(format!("the policy has no host `{}`", super::terminal::tame(&name)), hint))
        }
    }
}

fn absolute(path: &Path) -> Result<String, Trouble> {
    let absolute =
        std::path::absolute(path).map_err(|error| Trouble::failed(format!("`{}` has no absolute path: {error}", path.display()), ""))?;
    match absolute.to_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(Trouble::usage(format!("`{}` is not UTF-8", path.display()), "Give the file a name that a unit can hold.")),
    }
}

impl From<EmitFault> for Trouble {
    fn from(fault: EmitFault) -> Self {
        Trouble::failed(fault.message, fault.hint)
    }
}

/// What leads from one file to another, both at the same place.
fn difference_at(path: &Path, old: Option<&str>, new: Option<&str>) -> String {
    let path = path.display().to_string();
    let name = |text: Option<&str>| if text.is_some() { path.as_str() } else { "/dev/null" };
    difference::unified(name(old), old.unwrap_or_default(), name(new), new.unwrap_or_default())
}
