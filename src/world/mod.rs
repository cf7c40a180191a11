//! The outside: files, the clock, git. The only room that asks them, and it decides nothing.

pub mod accounts;
pub mod clock;
pub mod direct;
pub mod files;
pub mod git;
pub mod gpg;
pub mod host;
pub mod parallel;
pub mod secret;
pub mod signals;
mod words;

pub use words::ReadFault;
