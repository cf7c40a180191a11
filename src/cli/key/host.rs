//! `seawall key host`: the keys of this host.

use clap::Args;

use crate::cli::exit::{Exit, Trouble};
use crate::cli::here::Here;
use crate::cli::terminal::{Colour, print, tame};
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
}

impl Host {
    pub fn run(&self, colour: Colour) -> Result<Exit, Trouble> {
        let state = self.here.state();
        let host = self.here.host.as_ref().map_or_else(host::name, Name::to_string);
        let keys = HostKeys::of_host(&state, &host)?;
        print(&format!("In the policy:\n\nencryption:\n  writers:\n    {host}: \"{}\"\n\n", keys.signing.public()))?;
        print(&format!(
            "Its keys lie in {}; what it must read back is also encrypted to {}.\n",
            HostKeys::directory(&state).display(),
            keys.recipient
        ))?;
        // The first thing on a new host is this line, and the policy is written with it.
        let path = self.here.path();
        if self.here.policy.is_none() && !path.exists() {
            print(&format!("There is no policy yet in `{}`.\n", tame(&path.to_string_lossy())))?;
            return Ok(Exit::Done);
        }
        let policy = self.here.read(colour)?;
        let accepted = self.here.site(&policy).writers()?.accepts(&keys.signing);
        print(match accepted {
            true => "The policy accepts this host already.\n",
            false => "The policy does not accept this host yet.\n",
        })?;
        Ok(Exit::Done)
    }
}
