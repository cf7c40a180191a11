//! What was last seen in the stores of a policy, as the document that was written when it was seen: for those who have no way to a store.

use std::collections::BTreeMap;

use super::Catalog;
use super::bounds::{memory, name};
use super::fault::CatalogFault;
use crate::units::Instant;

/// What was seen, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptInventory {
    pub at: Instant,
    /// JSON.
    pub document: String,
}

impl Catalog {
    /// Keeps what was seen in place of what was seen before. A clock that was set back does not matter: what is kept last counts.
    pub fn keep_inventory(&self, policy: &str, document: &str, at: Instant) -> Result<(), CatalogFault> {
        const SQL: &str = "INSERT INTO inventories (policy, at, document) VALUES ($1, $2, $3) \
             ON CONFLICT (policy) DO UPDATE SET at = excluded.at, document = excluded.document";
        let values = vec![name(policy)?, at.into(), memory(document)?];
        self.write(|link| link.ask(SQL, values).map(drop))
    }

    /// What was last seen of each of these policies; those of which nothing was ever seen are left out.
    pub fn inventories(&self, policies: &[&str]) -> Result<BTreeMap<String, KeptInventory>, CatalogFault> {
        let mut all = BTreeMap::new();
        self.of_many(
            policies,
            Vec::new(),
            "policy, at, document",
            |places| format!("FROM inventories WHERE policy IN ({places})"),
            |row| {
                all.insert(row.text()?, KeptInventory { at: row.instant()?, document: row.text()? });
                Ok(())
            },
        )?;
        Ok(all)
    }
}
