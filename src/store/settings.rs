use std::path::PathBuf;
use std::time::Duration;

use crate::units::Rate;

/// How a store is reached. Made from a policy by the shell; credentials are found when it is opened, and never kept here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub place: Place,
    /// The fastest that anything is sent there.
    pub upload_limit: Option<Rate>,
    /// How long what fails for a moment is tried again before it is given up. Nothing new is tried after it; an attempt that
    /// is under way may still end.
    pub patience: Duration,
    /// Of a cloud: how an object is cut that is put as it comes.
    pub growth: Growth,
}

/// Nobody knows how long an object will be that is put as it comes, and it can have only so many pieces. So they grow, late: most objects
/// have pieces of one size, which is all that some stores take (Cloudflare's R2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Growth {
    /// So many pieces are as small as can be.
    pub alike: u32,
    /// Of each larger size there are so many.
    pub each: u32,
}

impl Growth {
    /// 19 GiB in pieces of 5 MiB, and at most 200 GiB in all.
    pub const USUAL: Growth = Growth { alike: 4000, each: 1000 };
    /// Eight times the smallest: some pieces are always in memory.
    const MOST_DOUBLINGS: u32 = 3;

    /// How large this piece is, from 0.
    pub(super) fn piece(self, smallest: usize, index: u32) -> usize {
        let doublings = match index.checked_sub(self.alike) {
            None => 0,
            Some(beyond) => (1 + beyond / self.each.max(1)).min(Self::MOST_DOUBLINGS),
        };
        smallest << doublings
    }

    /// How large an object of so many pieces can be.
    pub(super) fn most(self, smallest: usize, pieces: u32) -> u64 {
        (0..pieces).map(|index| self.piece(smallest, index) as u64).sum()
    }
}

impl Settings {
    pub const PATIENCE: Duration = Duration::from_secs(60);

    /// A place with everything else as usual.
    pub fn new(place: Place) -> Settings {
        Settings { place, upload_limit: None, patience: Self::PATIENCE, growth: Growth::USUAL }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    Local {
        path: PathBuf,
    },
    S3 {
        bucket: String,
        prefix: Option<String>,
        region: Option<String>,
        endpoint: Option<String>,
        path_style: bool,
        ca: Option<PathBuf>,
        profile: Option<String>,
        /// As S3 writes it: `STANDARD_IA`.
        storage_class: Option<String>,
        sse: Option<Sse>,
    },
    Azure {
        account: String,
        container: String,
        prefix: Option<String>,
        endpoint: Option<String>,
        /// As Azure writes it: `Cool`.
        tier: Option<String>,
    },
    Gcs {
        bucket: String,
        prefix: Option<String>,
        endpoint: Option<String>,
        storage_class: Option<String>,
    },
}

impl Place {
    /// Where it is asked, whatever of it is meant: the same for all that share a bucket and the credentials for it.
    #[must_use]
    pub fn door(&self) -> Place {
        let mut door = self.clone();
        match &mut door {
            Place::Local { .. } => {}
            Place::S3 { prefix, storage_class, sse, .. } => (*prefix, *storage_class, *sse) = (None, None, None),
            Place::Azure { prefix, tier, .. } => (*prefix, *tier) = (None, None),
            Place::Gcs { prefix, storage_class, .. } => (*prefix, *storage_class) = (None, None),
        }
        door
    }
}

/// Encryption by an S3 server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Sse {
    S3,
    Kms(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_grow_late_and_not_for_ever() {
        let growth = Growth { alike: 2, each: 1 };
        let sizes: Vec<usize> = (0..8).map(|index| growth.piece(5, index)).collect();
        assert_eq!(sizes, [5, 5, 10, 20, 40, 40, 40, 40]);
        assert_eq!(growth.most(5, 4), 40);
        let usual = |index| Growth::USUAL.piece(5 << 20, index) >> 20;
        assert_eq!([0, 3999, 4000, 4999, 5000, 5999, 6000, 9999].map(usual), [5, 5, 10, 10, 20, 20, 40, 40]);
        assert_eq!(Growth::USUAL.most(5 << 20, 10_000) >> 30, 205);
    }
}
