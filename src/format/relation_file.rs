//! What the name of a relation's file says.

/// A file of a relation, of whatever fork and segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RelationFile {
    pub database: u32,
    pub node: u32,
    /// Only in sessions that have ended long ago.
    pub temporary: bool,
}

/// The database whose folder a path lies in, and the rest of the path: `base/5/…`, `pg_tblspc/16400/PG_15_202209061/5/…`.
pub fn in_database(path: &str) -> Option<(u32, &str)> {
    let rest = path.strip_prefix("base/").or_else(|| {
        let (_, rest) = path.strip_prefix("pg_tblspc/")?.split_once('/')?;
        Some(rest.split_once('/')?.1)
    })?;
    let (database, name) = rest.split_once('/')?;
    Some((database.parse().ok()?, name))
}

/// Of the paths in a data directory, and of those in a server's messages. What all databases share is none of these.
pub fn parse(path: &str) -> Option<RelationFile> {
    let (database, name) = in_database(path)?;
    let (temporary, name) = match name.strip_prefix('t') {
        Some(rest) => (true, rest.split_once('_')?.1),
        None => (false, name),
    };
    let (name, segment) = name.split_once('.').unwrap_or((name, "0"));
    let (node, fork) = name.split_once('_').unwrap_or((name, "main"));
    let is_one = segment.bytes().all(|byte| byte.is_ascii_digit()) && matches!(fork, "main" | "fsm" | "vm" | "init");
    is_one.then_some(RelationFile { database, node: node.parse().ok()?, temporary })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read() {
        let of = |path: &str| parse(path).map(|file| (file.database, file.node, file.temporary));
        for (path, expected) in [
            ("base/5/1259", Some((5, 1259, false))),
            ("base/16384/16999.12", Some((16_384, 16_999, false))),
            ("base/16384/16999_fsm.1", Some((16_384, 16_999, false))),
            ("pg_tblspc/16400/PG_15_202209061/5/17000_vm", Some((5, 17_000, false))),
            ("base/5/t12_17000", Some((5, 17_000, true))),
            ("base/5/t12_17000_fsm", Some((5, 17_000, true))),
            ("base/5/pg_filenode.map", None),
            ("base/5/PG_VERSION", None),
            ("base/5", None),
            ("global/1262", None),
            ("base/pgsql_tmp/7", None),
            ("pg_tblspc/16400", None),
            ("pg_xact/0000", None),
            ("base/5/12.x", None),
        ] {
            assert_eq!(of(path), expected, "{path}");
        }
        assert_eq!(in_database("pg_tblspc/16400/PG_15_202209061/5/pg_filenode.map"), Some((5, "pg_filenode.map")));
    }
}
