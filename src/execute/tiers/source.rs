//! Where the rows come from.

pub(super) mod dump;

use crate::execute::custody;
use crate::site::Site;
use crate::units::Instant;

#[derive(Debug)]
pub(super) enum Source {
    Dump(dump::Dump),
}

impl Source {
    pub(super) fn note_identities(&self, site: &Site<'_>, now: Instant) {
        let Source::Dump(dump) = self;
        custody::note_where_there_is_a_catalog(site, &dump.found.identities, now);
    }
}
