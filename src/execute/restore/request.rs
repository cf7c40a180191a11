use std::path::PathBuf;

use crate::recovery::Target;
use crate::units::{BackupId, Name, Timeline};

/// What somebody wants back, and where.
#[derive(Debug, Clone)]
pub struct Request {
    pub target: Target,
    /// Stop just before the target and not just after it.
    pub exclusive: bool,
    pub timeline: TimelineChoice,
    /// This base backup and no other.
    pub backup: Option<BackupId>,
    pub store: Option<Name>,
    /// Absolute.
    pub directory: PathBuf,
    pub tablespaces: Vec<Remapped>,
    pub delta: bool,
    /// As a standby that follows this server.
    pub standby: Option<Standby>,
    pub identity: Option<PathBuf>,
    /// The account that everything will belong to, when root restores.
    pub owner: Option<String>,
    pub workers: usize,
    pub action: Action,
    /// Where configuration files from outside the data directory are put.
    pub config_to: Option<PathBuf>,
    /// Settings that come on top.
    pub set: Vec<(String, String)>,
    /// The server is started where it is restored.
    pub start: bool,
    /// How `restore_command` will call this program.
    pub fetch: FetchCommand,
    /// A copy that will be thrown away: its tablespaces lie below this directory, and none of the policy's hooks hear of it, which are
    /// about the real server.
    pub throw_away: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimelineChoice {
    /// The newest that is in the store.
    #[default]
    Latest,
    /// That of the base backup.
    Current,
    Number(Timeline),
}

/// A tablespace that goes to another place than it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remapped {
    pub which: Which,
    pub to: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    Number(u32),
    Path(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standby {
    /// Without one it follows the archive alone.
    pub primary_conninfo: Option<String>,
    /// On the primary, to keep its log until this standby has it.
    pub slot: Option<String>,
}

/// What the server does at the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Action {
    #[default]
    Promote,
    Pause,
    Shutdown,
}

impl Action {
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Promote => "promote",
            Action::Pause => "pause",
            Action::Shutdown => "shutdown",
        }
    }
}

/// What the server needs to call `seawall wal fetch`: absolute paths, because it runs elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchCommand {
    pub program: PathBuf,
    pub policy: PathBuf,
    pub state: Option<PathBuf>,
}
