//! What was seen in a backup: it serves for every further server that is made of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::catalogs::Seen;
use super::plan::system;
use crate::format::system::LARGE_OBJECTS;

#[derive(Debug, Clone)]
pub struct Known(pub(super) Arc<Seen>);

impl Known {
    /// Bytes that a server with these relations has on its disk, and those that are read for it.
    pub fn cost(&self, oids: &BTreeSet<u32>, with_large_objects: bool) -> (u64, u64) {
        let large = LARGE_OBJECTS.into_iter().filter(|_| with_large_objects).flat_map(|oid| self.0.catalog.nodes_of(oid));
        let nodes = self.nodes(oids).chain(large).chain(system(&self.0)).collect();
        self.0.listing.cost(&nodes)
    }

    /// Plain bytes of these relations, with all that belongs to them. What the log has made since is in none of them.
    pub fn bytes(&self, oids: &BTreeSet<u32>) -> u64 {
        self.0.listing.size(&self.nodes(oids).collect())
    }

    fn nodes(&self, oids: &BTreeSet<u32>) -> impl Iterator<Item = u32> {
        self.0.catalog.family(oids).into_iter().flat_map(|oid| self.0.catalog.nodes_of(oid))
    }
}
