//! Looking at what lies in the stores: `list`, `show`, `inventory export`, `verify`.

mod definitions;
mod inventory;
mod list;
pub(super) mod moments;
mod show;
mod verify;

pub use inventory::InventoryCommand;
pub use list::{List, ListOutput};
pub use moments::{ago, span};
pub use show::{Show, ShowOutput};
pub use verify::{Verify, VerifyOutput};

use clap::ValueEnum;

use super::exit::Trouble;
use crate::policy::model::Policy;
use crate::site::Site;
use crate::units::Name;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Human,
    /// For programs.
    Json,
}

/// The stores of the policy that were asked for, or all.
pub(super) fn stores<'p>(policy: &'p Policy, asked: &[Name]) -> Result<Vec<&'p Name>, Trouble> {
    for name in asked {
        if !policy.stores.contains_key(name) {
            let known: Vec<&str> = policy.stores.keys().map(Name::as_str).collect();
            return Err(Trouble::usage(format!("the policy has no store `{name}`"), format!("It has: {}.", known.join(", "))));
        }
    }
    Ok(policy.stores.keys().filter(|name| asked.is_empty() || asked.contains(name)).collect())
}

/// Said once, where nobody can be refused.
fn unguarded(site: &Site<'_>) -> Result<Option<&'static str>, Trouble> {
    let unguarded = site.writers()?.is_empty();
    Ok(unguarded.then_some(
        "the policy names no writers: whoever can write to a store could have planted any of this. \
         Name the hosts' keys in `encryption.writers` (`seawall key host` prints this host's line).",
    ))
}
