//! The repository's objects, bytes in and bytes out: nothing in them that `age`, `zstd`, `tar`, `jq` and PostgreSQL's own
//! programs could not read. And PostgreSQL's own files, as far as a backup has to understand them.

pub mod acl;
pub mod archived;
pub mod audit;
pub mod codec;
pub mod columnar;
pub mod contents;
pub mod control;
pub mod copied;
pub mod descriptor;
pub mod dump;
pub mod filenode_map;
pub mod globals;
pub mod heap;
pub mod history;
pub mod index;
pub mod label;
pub mod layout;
pub mod lease;
pub mod manifest;
pub mod member;
pub mod notes;
pub mod page;
pub mod pin;
pub mod recorded;
pub mod relation_file;
pub mod rows;
pub mod runs;
pub mod seal;
pub mod signature;
mod sql;
pub mod stamp;
pub mod system;
pub mod tarball;
pub mod tombstone;
pub mod wal_records;
