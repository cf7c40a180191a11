//! `seawall key host`: the keys of this host.

use clap::Args;

use crate::cli::exit::{Exit, Trouble};
use crate::cli::here::Here;
use crate::cli::terminal::{Colour, print};

/// Print the line of this host for `encryption.writers`; its keys are made when it has none.
///
/// With one it signs what it writes, so that nobody else's backups are ever restored. With the other it can read back what it must
/// (indexes, manifests), and no data.
#[derive(Debug, Args)]
#[command(name = "host")]
pub struct Host {
    #[command(flatten)]
    here: Here,
}

impl Host {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let policy = self.here.read(colour)?;
        let site = self.here.site(&policy);
        let keys = site.host_keys()?;
        let line = format!("    {}: \"{}\"\n", site.host(), keys.signing.public());
        print(&format!("In the policy:\n\nencryption:\n  writers:\n{line}\n"))?;
        let accepted = site.writers()?.accepts(&keys.signing);
        print(match accepted {
            true => "The policy accepts this host already.\n",
            false => "The policy does not accept this host yet.\n",
        })?;
        print(&format!(
            "Its keys lie in {}; what it must read back is also encrypted to {}.\n",
            site.keys_directory().display(),
            keys.recipient
        ))?;
        Ok(Exit::Done)
    }
}
