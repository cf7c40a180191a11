//! `seawall key host`: the keys of this host.

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::exit::{Exit, Trouble};
use crate::cli::here::Here;
use crate::cli::repository::Format;
use crate::cli::terminal::{Colour, print, tame};
use crate::cli::validate::json;
use crate::site::HostKeys;
use crate::units::Name;
use crate::world::host;

/// Print the line of this host for `encryption.writers`; its keys are made when it has none.
///
/// With one it signs what it writes, so that nobody else's backups are ever restored. With the other it can read back what it must
/// (indexes, manifests), and no data. No policy is needed; where there is one, this says whether it accepts the host.
#[derive(Debug, Args)]
#[command(name = "host")]
pub struct Host {
    #[command(flatten)]
    here: Here,
    /// How it is written.
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
}

/// What `seawall key host --format json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Result of seawall key host")]
pub struct KeyHostOutput<'k> {
    /// Changes when a reader of this output would have to.
    #[schemars(range(min = 1, max = 1))]
    format_version: u32,
    host: &'k str,
    /// For `encryption.writers`.
    writer: &'k str,
    /// What the host must read back is also encrypted to this one.
    recipient: &'k str,
    keys: String,
    /// Whether the policy names the host; null where there is no policy yet.
    accepted: Option<bool>,
}

impl Host {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let state = self.here.state();
        let host = self.here.host.as_ref().map_or_else(host::name, Name::to_string);
        let keys = HostKeys::of_host(&state, &host)?;
        let writer = keys.signing.public();
        let folder = HostKeys::directory(&state).display().to_string();
        if self.format == Format::Human {
            // Before the policy is read: with one that is wrong, this is wanted all the same.
            print(&human(&host, &writer, &folder, &keys.recipients().join(" or ")))?;
        }
        let accepted = self.accepted(&keys, colour)?;
        print(&match (self.format, accepted) {
            (Format::Json, accepted) => {
                let recipient = &keys.recipient;
                json(&KeyHostOutput { format_version: 1, host: &host, writer: &writer, recipient, keys: folder, accepted })?
            }
            (Format::Human, None) => format!("There is no policy yet in `{}`.\n", tame(&self.here.path().to_string_lossy())),
            (Format::Human, Some(true)) => "The policy accepts this host already.\n".to_owned(),
            (Format::Human, Some(false)) => "The policy does not accept this host yet.\n".to_owned(),
        })?;
        Ok(Exit::Done)
    }

    /// The first thing on a new host is its line, and the policy is written with it: there may be none yet.
    fn accepted(&self, keys: &HostKeys, colour: Colour) -> Result<Option<bool>, Trouble> {
        if self.here.policy.is_none() && !self.here.path().exists() {
            return Ok(None);
        }
        let policy = self.here.read(colour)?;
        Ok(Some(self.here.site(&policy).writers()?.accepts(&keys.signing)))
    }
}

fn human(host: &str, writer: &str, folder: &str, recipient: &str) -> String {
    format!(
        "In the policy:\n\nencryption:\n  writers:\n    {host}: \"{writer}\"\n\n\
         Its keys lie in {folder}; what it must read back is also encrypted to {recipient}.\n"
    )
}
