//! Not all of a backup: some files with what is in them, others only in their size.

use crate::format::index::{Frame, Piece};

/// How a file comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// With what is in it.
    Whole,
    /// As a hole of its size: it reads as zeros and takes no room.
    Hollow,
    /// Not at all.
    Nothing,
}

/// Says of every file of a backup how it comes back. Of the frames only those are read that hold something of a whole one.
pub trait Choice: std::fmt::Debug + Sync {
    /// Asked for every piece of a file, by several threads; it says the same of all pieces of one.
    fn take(&self, piece: &Piece) -> Take;

    /// Every frame passes by here once, in the order of the backup.
    fn pass(&self, _frame: &Frame) {}
}
