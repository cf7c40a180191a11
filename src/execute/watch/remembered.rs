//! What was seen, kept on this host until the next look.

use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::site::Site;
use crate::world::files;

const MAX_BYTES: usize = 16 << 20;

fn place(site: &Site<'_>, name: &str) -> PathBuf {
    site.policy_state().join(name)
}

pub(super) fn recall<T: DeserializeOwned>(site: &Site<'_>, name: &str) -> Option<T> {
    serde_json::from_slice(&files::read(&place(site, name), MAX_BYTES).ok()?).ok()
}

/// What cannot be remembered is only looked at again.
pub(super) fn remember(site: &Site<'_>, name: &str, seen: &impl Serialize) {
    let made = files::make_folders(&site.policy_state());
    if let (Ok(()), Ok(json)) = (made, serde_json::to_vec(seen)) {
        let _ = files::replace(&place(site, name), &json);
    }
}
