//! The audit chain as it is kept: only added to, by one writer at a time. What its bytes are, `format::audit` says.

use super::Catalog;
use super::bounds::{count, document, maybe_name, name};
use super::fault::CatalogFault;
use super::link::Link;
use super::value::Row;
use crate::format::audit::{Entry, Head, Link as ChainLink, Seen};

impl Catalog {
    /// Adds an entry at the end of the chain.
    pub fn append(&self, entry: &Entry) -> Result<Head, CatalogFault> {
        self.write(|link| add(link, entry))
    }

    /// The chain from a number on, in its order, at most so many.
    pub fn links(&self, from: u64, limit: usize) -> Result<Vec<ChainLink>, CatalogFault> {
        let mut links = Vec::new();
        self.each_link(from, limit, |link| links.push(link.keep()))?;
        Ok(links)
    }

    /// The same, for those who look at each link and keep few.
    pub fn each_link(&self, from: u64, limit: usize, mut look: impl FnMut(Seen<'_>)) -> Result<(), CatalogFault> {
        const COLUMNS: &str = "seq, at, policy, host, who, digest, git_commit, what, kind, details, previous, hash";
        const REST: &str = "FROM audit WHERE seq >= $1 ORDER BY seq LIMIT $2";
        let values = vec![i64::try_from(from).unwrap_or(i64::MAX).into(), count(limit)];
        self.read_beside(|link| {
            link.ask_packed(COLUMNS, REST, values, |row| {
                look(seen(row)?);
                Ok(())
            })
        })
    }

    /// The chain's end, to be witnessed elsewhere. None while it is empty.
    pub fn head(&self) -> Result<Option<Head>, CatalogFault> {
        self.read(head)
    }
}

/// In a transaction of the caller's.
pub(super) fn add(link: &mut Link, entry: &Entry) -> Result<Head, CatalogFault> {
    const SQL: &str = "INSERT INTO audit (seq, at, policy, host, who, digest, git_commit, what, kind, details, previous, hash) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    let new = ChainLink::after(head(link)?.as_ref(), entry.clone());
    let entry = &new.entry;
    let values = vec![
        i64::try_from(new.seq).unwrap_or(i64::MAX).into(),
        entry.at.into(),
        name(&entry.policy)?,
        name(&entry.host)?,
        name(&entry.who)?,
        maybe_name(entry.digest.as_deref())?,
        maybe_name(entry.commit.as_deref())?,
        document(&entry.what)?,
        name(&entry.kind)?,
        document(&entry.details)?,
        new.previous.as_str().into(),
        new.hash.as_str().into(),
    ];
    link.ask(SQL, values)?;
    Ok(new.head())
}

fn head(link: &mut Link) -> Result<Option<Head>, CatalogFault> {
    let row = link.ask_one("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1", vec![])?;
    row.map(|mut row| Ok(Head { seq: row.unsigned()?, hash: row.text()? })).transpose()
}

fn seen<'t>(row: &mut Row<'t>) -> Result<Seen<'t>, CatalogFault> {
    Ok(Seen {
        seq: row.unsigned()?,
        at: row.instant()?,
        policy: row.shown()?,
        host: row.shown()?,
        who: row.shown()?,
        digest: row.maybe_shown()?,
        commit: row.maybe_shown()?,
        what: row.shown()?,
        kind: row.shown()?,
        details: row.shown()?,
        previous: row.shown()?,
        hash: row.shown()?,
    })
}
