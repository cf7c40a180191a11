use super::Locked;

/// What came of moving an object into another storage class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moved {
    /// It lies there now.
    Done {
        /// Why the version that it was before is still there, and paid for, where the bucket keeps versions.
        left: Option<String>,
    },
    /// It lay there before, or colder.
    Already,
    /// It may not be changed yet, and was not touched.
    Locked(Locked),
}
