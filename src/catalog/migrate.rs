//! The tables and how they came to be: numbered files, each applied once, whole or not at all, and recorded with its hash.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use super::fault::{CatalogFault, FaultKind};
use super::link::{Link, Where};
use crate::units::Instant;
use crate::units::hex;

/// One step of the tables' history.
#[derive(Debug, Clone)]
pub(super) struct Migration {
    pub(super) name: &'static str,
    pub(super) text: Cow<'static, str>,
}

/// The first is number 1. One that was released is never changed: catalogs out there were made with it.
pub(super) fn all() -> Vec<Migration> {
    let migration = |name, text| Migration { name, text: Cow::Borrowed(text) };
    vec![migration("first", include_str!("migrations/001-first.sql")), migration("drills", include_str!("migrations/002-drills.sql"))]
}

/// How a catalog stands to this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    Current,
    /// So many of its migrations are done.
    Older(usize),
    /// There are no tables at all.
    Empty,
}

/// Looks, with one statement.
pub(super) fn stand(link: &mut Link, place: &Where, known: &[Migration]) -> Result<Stand, CatalogFault> {
    let rows = match link.ask("SELECT version, sha256 FROM migrations ORDER BY version", vec![]) {
        Ok(rows) => rows,
        Err(fault) if fault.kind == FaultKind::Empty => return Ok(Stand::Empty),
        Err(fault) => return Err(fault),
    };
    let count = rows.len();
    for (index, mut row) in rows.into_iter().enumerate() {
        let (version, hash) = (row.int()?, row.text()?);
        let Some(known) = known.get(index) else { return Err(newer(place, count, known.len())) };
        if version != number(index) || hash != sha256(&known.text) {
            let message = format!("the catalog {place} was made by a program that differs from every released Seawall");
            let hint = format!("Its migration {version} is not ours: use the program that made it, or another catalog.");
            return Err(CatalogFault::new(FaultKind::Newer, message, hint));
        }
    }
    Ok(match count {
        0 => Stand::Empty,
        count if count < known.len() => Stand::Older(count),
        _ => Stand::Current,
    })
}

/// Brings the tables up to date. The caller has looked that they are not; another process may have done it since.
pub(super) fn bring_up(link: &mut Link, place: &Where, known: &[Migration], now: Instant) -> Result<(), CatalogFault> {
    let _lock = link.prepare()?;
    link.transaction(|link| {
        link.script(
            "CREATE TABLE IF NOT EXISTS migrations (version BIGINT PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL, applied BIGINT NOT NULL)",
        )?;
        let done = match stand(link, place, known)? {
            Stand::Current => return Ok(()),
            Stand::Older(done) => done,
            Stand::Empty => 0,
        };
        for (index, migration) in known.iter().enumerate().skip(done) {
            let text = link.own_lines(&migration.text);
            link.script(text)?;
            let values = vec![number(index).into(), migration.name.into(), sha256(&migration.text).into(), now.into()];
            link.ask("INSERT INTO migrations (version, name, sha256, applied) VALUES ($1, $2, $3, $4)", values)?;
        }
        Ok(())
    })
}

pub(super) fn older(place: &Where, done: usize, ours: usize) -> CatalogFault {
    CatalogFault::new(
        FaultKind::Older,
        format!("the catalog {place} has version {done} of its tables, and this program reads version {ours}"),
        "The next command that writes into it, as `seawall run`, brings it up to date.",
    )
}

fn newer(place: &Where, theirs: usize, ours: usize) -> CatalogFault {
    CatalogFault::new(
        FaultKind::Newer,
        format!("the catalog {place} was made by a newer Seawall: it has version {theirs} of its tables, and this program knows {ours}"),
        "Use that newer program on this host too; it is not read by guessing.",
    )
}

fn number(index: usize) -> i64 {
    i64::try_from(index + 1).unwrap_or(i64::MAX)
}

fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::catalog::Catalog;
    use crate::catalog::fault::CatalogFault;

    /// What was released stays as it is, to the byte.
    #[test]
    fn released_migrations_are_never_changed() {
        let hashes: Vec<String> = all().iter().map(|migration| sha256(&migration.text)).collect();
        assert_eq!(
            hashes,
            [
                "3306de8205635971cff65d3319bf3501cb3f7c52f553c2e760ed08ea7fdd6017",
                "e13f2a83e834fc26cd6fa62cbf210315a696f29af5666f55b65673efc4237b89",
            ]
        );
    }

    fn and_then(text: &'static str) -> Vec<Migration> {
        let mut all = all();
        all.push(Migration { name: "next", text: Cow::Borrowed(text) });
        all
    }

    fn version(path: &Path, known: &[Migration]) -> Result<Stand, CatalogFault> {
        let place = Where::Sqlite(path.to_owned());
        let mut link = Link::open(&place, crate::catalog::link::Access::Write)?.expect("it is there");
        stand(&mut link, &place, known)
    }

    #[test]
    fn a_next_one_is_applied_once_and_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("catalog.db");
        let place = Where::Sqlite(path.clone());
        drop(Catalog::open(&place).expect("made"));
        let next = and_then("ALTER TABLE runs ADD COLUMN tier TEXT;\nCREATE TABLE tiers (name TEXT PRIMARY KEY);");
        assert_eq!(version(&path, &next), Ok(Stand::Older(all().len())));

        // One that fails half way leaves nothing of itself.
        let broken = and_then("CREATE TABLE tiers (name TEXT PRIMARY KEY);\nALTER TABLE nothing ADD COLUMN tier TEXT;");
        assert!(Catalog::open_with(&place, broken).expect_err("it cannot be applied").message.contains("nothing"));
        assert_eq!(version(&path, &next), Ok(Stand::Older(all().len())));

        drop(Catalog::open_with(&place, next.clone()).expect("brought up to date"));
        assert_eq!(version(&path, &next), Ok(Stand::Current));
        drop(Catalog::open_with(&place, next).expect("nothing to do"));
        // The program of before refuses it, for reading too.
        assert_eq!(version(&path, &all()).expect_err("newer").kind, FaultKind::Newer);
        assert_eq!(Catalog::open(&place).expect_err("newer").kind, FaultKind::Newer);
        assert_eq!(Catalog::open_existing(&place).expect_err("newer").kind, FaultKind::Newer);
    }

    #[test]
    fn an_older_one_is_not_changed_by_who_only_reads() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Where::Sqlite(folder.path().join("catalog.db"));
        drop(Catalog::open(&place).expect("made"));
        let next = and_then("CREATE TABLE tiers (name TEXT PRIMARY KEY);");
        let fault = Catalog::open_existing_with(&place, next).expect_err("older");
        assert!(
            fault.kind == FaultKind::Older
                && fault.message.contains(&format!("version {}", all().len()))
                && fault.hint.contains("seawall run"),
            "{fault:?}"
        );
        Catalog::open_existing(&place).expect("unchanged").expect("there");
    }
}
