//! The repository's objects, bytes in and bytes out: nothing in them that `age`, `zstd`, `tar`, `jq` and PostgreSQL's own
//! programs could not read.

pub mod codec;
pub mod descriptor;
pub mod history;
pub mod index;
pub mod layout;
pub mod runs;
pub mod seal;
pub mod signature;
pub mod stamp;
