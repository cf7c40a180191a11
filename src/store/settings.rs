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
}

impl Settings {
    pub const PATIENCE: Duration = Duration::from_secs(60);

    /// A place with everything else as usual.
    pub fn new(place: Place) -> Settings {
        Settings { place, upload_limit: None, patience: Self::PATIENCE }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
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

/// Encryption by an S3 server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sse {
    S3,
    Kms(String),
}
