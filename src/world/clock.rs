//! The clock.

use crate::units::Instant;

/// The current moment. Nothing in the environment changes it: who wants another one says so in an argument.
pub fn now() -> Instant {
    Instant::now()
}
