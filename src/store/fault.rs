use std::io;

use thiserror::Error;

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct Fault {
    pub kind: FaultKind,
    /// Lower case, no full stop; names the object and the place.
    pub message: String,
    /// How to mend it, as a sentence; may be empty.
    pub hint: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The object is known to be absent. Never used for "could not look".
    Absent,
    /// The bucket, container or directory itself is not there.
    NoStore,
    /// The credentials are missing, wrong, or do not allow it.
    Denied,
    /// There is no room.
    Full,
    /// It lies in an archive class and has not been thawed.
    Frozen,
    /// What came back is not what was put.
    Damaged,
    /// A lock of the store forbids it.
    Locked,
    /// It may work when tried again: it was tried as often as is reasonable.
    Transient,
    /// The settings make no sense.
    Config,
    /// Anything else, for good.
    Other,
}

impl Fault {
    pub fn new(kind: FaultKind, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Fault { kind, message: message.into(), hint: hint.into() }
    }

    pub fn is_transient(&self) -> bool {
        self.kind == FaultKind::Transient
    }

    pub fn is_absent(&self) -> bool {
        self.kind == FaultKind::Absent
    }

    /// What the system said about a file of a local store.
    pub(super) fn of_io(error: &io::Error, what: &str) -> Fault {
        use io::ErrorKind;
        let (kind, hint) = match error.kind() {
            ErrorKind::NotFound => (FaultKind::Absent, ""),
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                (FaultKind::Denied, "Look who owns the store's directory, and as whom this runs.")
            }
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                (FaultKind::Full, "Make room; of the object that was being written nothing is left.")
            }
            ErrorKind::Interrupted | ErrorKind::TimedOut | ErrorKind::StaleNetworkFileHandle => (FaultKind::Transient, ""),
            _ => (FaultKind::Other, "Check whether the disk or the mount is in order."),
        };
        Fault::new(kind, format!("{what}: {error}"), hint)
    }
}

/// So that a store's stream can be read with `std::io::Read`; [`Fault::from_io`] gets it back.
impl From<Fault> for io::Error {
    fn from(fault: Fault) -> io::Error {
        io::Error::other(fault)
    }
}

impl Fault {
    /// The fault inside an error that came out of a [`super::Reader`], if there is one.
    pub fn from_io(error: &io::Error) -> Option<&Fault> {
        error.get_ref().and_then(|inner| inner.downcast_ref())
    }
}
