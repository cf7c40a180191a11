use std::fmt;

use crate::inventory::SystemIdentifier;
use crate::units::{BackupId, Instant, Lsn, Timeline};

/// Where recovery shall end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The end of the write-ahead log.
    Latest,
    Time(Instant),
    Lsn(Lsn),
    /// As soon as a backup is consistent: the one named, or the newest.
    Immediate(Option<BackupId>),
    /// A transaction. Where it lies in the log is found while replaying, so all of it is needed.
    Xid(u32),
    /// A named restore point; as with a transaction.
    Named(String),
}

/// A target, and whose history it lies on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aim {
    pub target: Target,
    /// The cluster; without one, that of the newest good base backup.
    pub system_identifier: Option<SystemIdentifier>,
    /// The timeline; without one, the newest of that cluster.
    pub timeline: Option<Timeline>,
}

impl Aim {
    pub fn at(target: Target) -> Self {
        Aim { target, system_identifier: None, timeline: None }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Latest => f.write_str("the end of the write-ahead log"),
            Target::Time(at) => write!(f, "{at}"),
            Target::Lsn(lsn) => write!(f, "{lsn}"),
            Target::Immediate(Some(id)) => write!(f, "the end of backup {id}"),
            Target::Immediate(None) => f.write_str("the end of the newest backup"),
            Target::Xid(xid) => write!(f, "transaction {xid}"),
            Target::Named(name) => write!(f, "restore point `{name}`"),
        }
    }
}
