//! What other systems and people read, written from a policy: timers for systemd, lines for cron, rules for Prometheus, a dashboard, a
//! runbook. Text in, text out; nothing here touches the world.
//!
//! Timers only say *when to ask*. Whether a job is owed is decided by `seawall run --due` when it is asked, from the policy, the
//! record of runs, the server's role and the lease. So asking once too often is harmless, and every choice here leans that way.

pub mod calendar;
mod component;
mod cron;
mod days;
pub mod difference;
mod grafana;
mod hosts;
mod needs;
mod prometheus;
mod quote;
mod runbook;
mod service;
mod spread;
mod systemd;
mod timer;

use thiserror::Error;

pub use cron::cron;
pub use grafana::grafana;
pub use hosts::{concerns, has_turn};
pub use prometheus::prometheus;
pub use runbook::{Page, Setting as RunbookSetting, runbook};
pub use systemd::systemd;

use crate::policy::model::Policy;
use crate::units::Name;

/// A file for another system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emitted {
    /// Its name, without a directory.
    pub name: String,
    pub text: String,
}

/// How the host is set up, where the policy does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// This host's name in the policy; none where the policy names no hosts.
    pub host: Option<Name>,
    /// Where the policy's file is on the host.
    pub policy_file: String,
    /// Where Seawall is on the host.
    pub program: String,
    /// The account that jobs run as; without it, by what the host is for.
    pub user: Option<String>,
    /// Where Seawall keeps its state, if not in `/var/lib/seawall`.
    pub state: Option<String>,
    /// The directory that holds what the policy calls `{ credential: NAME }`.
    pub credentials: String,
}

/// Why nothing can be written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct EmitFault {
    /// Lower case, no full stop; names the policy's path.
    pub message: String,
    /// How to mend it, as a sentence.
    pub hint: String,
}

impl EmitFault {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        EmitFault { message: message.into(), hint: hint.into() }
    }
}

/// The first line of everything that is written for a policy, by which it is known again.
pub fn mark(policy: &Name) -> String {
    format!("# Written by seawall for the policy {policy}.")
}

/// How every file begins. `by` is the command that writes it anew.
fn heading(policy: &Policy, setting: &Setting, by: &str) -> String {
    let host = setting.host.as_ref().map(|host| format!("host {host}, ")).unwrap_or_default();
    let mark = mark(&policy.name);
    format!(
        "{mark}\n# For {host}policy sha256:{}.\n# Changes made here are lost; it is written anew by\n#   {by}\n",
        policy.digest.trim_start_matches("sha256:")
    )
}

/// The command that writes these files anew.
fn again(setting: &Setting, what: &str, directory: &str) -> String {
    let mut words = vec!["seawall".to_owned(), "emit".into(), what.into(), "--policy".into(), setting.policy_file.clone()];
    let mut option =
        |name: &str, value: Option<&str>| words.extend(value.into_iter().flat_map(|value| [name.to_owned(), value.to_owned()]));
    option("--host", setting.host.as_ref().map(Name::as_str));
    option("--user", setting.user.as_deref());
    option("--state", setting.state.as_deref());
    option("--program", Some(setting.program.as_str()).filter(|program| *program != Setting::PROGRAM));
    option("--credentials", Some(setting.credentials.as_str()).filter(|place| *place != Setting::CREDENTIALS));
    option("--out", Some(directory));
    let words: Vec<String> = words.iter().map(|word| quote::for_shell(word)).collect();
    words.join(" ")
}

impl Setting {
    pub const PROGRAM: &str = "/usr/local/bin/seawall";
    pub const CREDENTIALS: &str = "/etc/seawall/credentials";

    /// The words of a command that acts on the policy on this host.
    fn command(&self, words: &[&str]) -> Vec<String> {
        let mut command = vec![self.program.clone()];
        command.extend(words.iter().map(ToString::to_string));
        command.extend(["--policy".to_owned(), self.policy_file.clone()]);
        let mut option =
            |name: &str, value: Option<&str>| command.extend(value.into_iter().flat_map(|value| [name.to_owned(), value.to_owned()]));
        option("--state", self.state.as_deref());
        option("--host", self.host.as_ref().map(Name::as_str));
        command
    }

    /// None of it may begin a line of its own in somebody else's file.
    fn check(&self) -> Result<(), EmitFault> {
        let settings = [Some(&self.policy_file), Some(&self.program), self.user.as_ref(), self.state.as_ref(), Some(&self.credentials)];
        for value in settings.into_iter().flatten() {
            quote::one_line(value, "the command line")?;
        }
        for path in [Some(&self.policy_file), Some(&self.program), self.state.as_ref(), Some(&self.credentials)].into_iter().flatten() {
            if !path.starts_with('/') {
                return Err(EmitFault::new(
                    format!("`{path}` is not an absolute path"),
                    "A service starts nowhere in particular: write the path from `/` on.",
                ));
            }
        }
        let name = |user: &String| !user.is_empty() && user.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-$".contains(&b));
        match &self.user {
            Some(user) if !name(user) => {
                Err(EmitFault::new(format!("`{user}` cannot be the name of an account"), "Write a name such as `postgres`."))
            }
            _ => Ok(()),
        }
    }
}

/// How often `seawall watch` is called: as often as the heartbeat and the canary want, and at least every 5 minutes.
fn watch_every(policy: &Policy) -> crate::units::Duration {
    const LONGEST: crate::units::Duration = crate::units::Duration::from_mins(5);
    const SHORTEST: crate::units::Duration = crate::units::Duration::from_mins(1);
    let heartbeat = policy.file.alerts.as_ref().and_then(|alerts| alerts.heartbeat.as_ref()).and_then(|heartbeat| heartbeat.every);
    let canary = policy.file.canary.as_ref().map(|canary| canary.interval());
    heartbeat.into_iter().chain(canary).min().unwrap_or(LONGEST).clamp(SHORTEST, LONGEST)
}
