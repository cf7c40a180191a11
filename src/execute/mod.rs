//! Does what a plan says, one file for each kind of action. Makes no choice of its own.

pub mod archive;
pub mod backup;
pub mod converge;
pub mod copies;
pub mod custody;
pub mod drill;
pub mod dump;
mod empty;
pub mod expect;
pub mod expire;
pub mod export;
mod extensions;
pub mod files;
pub mod guard;
pub mod hook;
mod id;
pub mod promote;
pub mod release;
pub mod report;
pub mod restore;
pub mod run;
mod since;
mod store_clock;
pub mod table;
pub mod throwaway;
pub mod watch;
pub mod witness;
