//! The repository's objects, bytes in and bytes out: nothing in them that `age`, `zstd`, `tar`, `jq` and PostgreSQL's own
//! programs could not read. And PostgreSQL's own files, as far as a backup has to understand them.

pub mod audit;
pub mod codec;
pub mod control;
pub mod descriptor;
pub mod history;
pub mod index;
pub mod label;
pub mod layout;
pub mod lease;
pub mod manifest;
pub mod page;
pub mod runs;
pub mod seal;
pub mod signature;
pub mod stamp;
pub mod tarball;
