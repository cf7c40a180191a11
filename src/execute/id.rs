//! Names that nobody else gives.

use crate::format::layout::compact;
use crate::site::SiteFault;
use crate::units::{BackupId, Instant};

/// Of a backup, an extent, a drill: in the order of time, and by chance where two begin in the same second.
pub(in crate::execute) fn new_id(now: Instant) -> Result<BackupId, SiteFault> {
    Ok(format!("{}-{}", compact(now), random_word()?).parse().expect("digits, letters and a hyphen"))
}

/// Eight letters and digits.
pub(in crate::execute) fn random_word() -> Result<String, SiteFault> {
    let random = getrandom::u32().map_err(|error| SiteFault::new(format!("there is no randomness: {error}"), ""))?;
    Ok(format!("{random:08x}"))
}
