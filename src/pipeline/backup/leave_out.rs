//! What is no part of a copy, as `pg_basebackup` has it: what the server makes anew when it starts.

use std::collections::HashSet;

/// Directories that stay, without what is in them.
const EMPTIED: [&str; 10] = [
    "pg_wal",
    "pg_wal/archive_status",
    "pg_wal/summaries",
    "pg_replslot",
    "pg_dynshmem",
    "pg_notify",
    "pg_serial",
    "pg_snapshots",
    "pg_stat_tmp",
    "pg_subtrans",
];

/// Files directly in the data directory. Labels and a manifest are those of an older copy.
const AT_THE_TOP: [&str; 11] = [
    "postmaster.pid",
    "postmaster.opts",
    "postgresql.auto.conf.tmp",
    "current_logfiles",
    "current_logfiles.tmp",
    "backup_label",
    "backup_label.old",
    "tablespace_map",
    "tablespace_map.old",
    "backup_manifest",
    "backup_manifest.tmp",
];

/// What is in this directory of the data directory is left out; `pg_wal` keeps its own directories.
pub(super) fn is_emptied(directory: &str) -> bool {
    EMPTIED.contains(&directory)
}

/// Whether a directory below an emptied one stays.
pub(super) fn stays_in_emptied(path: &str) -> bool {
    matches!(path, "pg_wal/archive_status" | "pg_wal/summaries")
}

/// Nobody wants this entry of any directory.
pub(super) fn is_left_out(directory: &str, name: &str) -> bool {
    name.starts_with("pgsql_tmp") || name.starts_with("pg_internal.init") || (directory.is_empty() && AT_THE_TOP.contains(&name))
}

/// A directory whose files are relations of one database.
pub(super) fn is_database(directory: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<&str> = directory.split('/').collect();
    match parts.as_slice() {
        ["base", database] => number(database),
        ["pg_tblspc", oid, version, database] => number(oid) && version.starts_with("PG_") && number(database),
        _ => false,
    }
}

/// `pg_tblspc/16401`: a tablespace, in which each major version has a directory of its own.
pub(super) fn is_tablespace(directory: &str) -> bool {
    directory.strip_prefix("pg_tblspc/").is_some_and(|oid| !oid.contains('/'))
}

/// A relation's file: its number and fork, and which of its files it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RelationFile<'n> {
    pub number: &'n str,
    pub fork: Option<&'n str>,
    pub part: u32,
}

/// Reads `16384`, `16384_fsm`, `16384.2`, `16384_vm.1`.
pub(super) fn relation_file(name: &str) -> Option<RelationFile<'_>> {
    let (stem, part) = match name.split_once('.') {
        Some((stem, part)) => (stem, part.parse().ok()?),
        None => (name, 0),
    };
    let (number, fork) = stem.split_once('_').map_or((stem, None), |(number, fork)| (number, Some(fork)));
    let good = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let known = fork.is_none_or(|fork| matches!(fork, "fsm" | "vm" | "init"));
    (good && known).then_some(RelationFile { number, fork, part })
}

/// A temporary relation of some session: `t3_16385`.
pub(super) fn is_temporary(name: &str) -> bool {
    name.strip_prefix('t').and_then(|rest| rest.split_once('_')).is_some_and(|(session, relation)| {
        !session.is_empty() && session.bytes().all(|b| b.is_ascii_digit()) && relation_file(relation).is_some()
    })
}

/// Of a database's files, the relations that are not logged: only their beginnings are copied, and the server makes the rest anew.
pub(super) fn unlogged<'n>(names: impl Iterator<Item = &'n str>) -> HashSet<&'n str> {
    names.filter_map(|name| relation_file(name).filter(|file| file.fork == Some("init")).map(|file| file.number)).collect()
}

/// A file of pages that carry checksums: which of the relation's files it is.
pub fn pages_of(path: &str) -> Option<u32> {
    let (directory, name) = path.rsplit_once('/')?;
    let has_pages = directory == "global" || is_database(directory);
    relation_file(name).filter(|_| has_pages).map(|file| file.part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_relations_are_known_by_their_names() {
        for (name, expected) in [("16384", Some((None, 0))), ("16384_fsm", Some((Some("fsm"), 0))), ("16384_vm.2", Some((Some("vm"), 2)))] {
            assert_eq!(relation_file(name).map(|file| (file.fork, file.part)), expected, "{name}");
        }
        for name in ["PG_VERSION", "pg_filenode.map", "pg_control", "16384.x", "16384_x", "t3_16384", ""] {
            assert_eq!(relation_file(name), None, "{name}");
        }
        assert!(is_temporary("t3_16384") && is_temporary("t12_16384_fsm.1") && !is_temporary("table_1"));
        assert_eq!(pages_of("pg_tblspc/16401/PG_15_202209061/5/16402.3"), Some(3));
        assert_eq!((pages_of("global/1262"), pages_of("global/pg_control"), pages_of("pg_xact/0000")), (Some(0), None, None));
    }
}
