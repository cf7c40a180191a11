//! The policy language.
pub mod file;
