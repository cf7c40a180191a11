//! What is on record: commands that read the catalog.

use crate::catalog::Catalog;
use crate::site::Site;

/// The catalog, for those who write into it. Where it cannot be opened that is said, and what protects data goes on without.
pub fn open(site: &Site<'_>) -> Option<Catalog> {
    let place = match site.catalog() {
        Ok(place) => place,
        Err(fault) => {
            tracing::warn!(hint = fault.hint, "nothing can be recorded: {}", fault.message);
            return None;
        }
    };
    match Catalog::open(&place) {
        Ok(catalog) => Some(catalog),
        Err(fault) => {
            tracing::warn!(hint = fault.hint, "nothing can be recorded: {}", fault.message);
            None
        }
    }
}
