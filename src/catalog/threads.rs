//! What a receiver called the first message about something, so that later ones can be put beside it: Slack's time stamp, a
//! Message-ID.

use super::Catalog;
use super::bounds::name;
use super::fault::CatalogFault;
use crate::units::Instant;

impl Catalog {
    pub fn reference_of(&self, policy: &str, receiver: &str, thread: &str) -> Result<Option<String>, CatalogFault> {
        const SQL: &str = "SELECT reference FROM threads WHERE policy = $1 AND receiver = $2 AND thread = $3";
        let values = vec![name(policy)?, name(receiver)?, name(thread)?];
        self.read(|link| link.ask_one(SQL, values)?.map(|mut row| row.text()).transpose())
    }

    pub fn remember_reference(&self, policy: &str, receiver: &str, thread: &str, reference: &str, at: Instant) -> Result<(), CatalogFault> {
        const SQL: &str = "INSERT INTO threads (policy, receiver, thread, reference, remembered) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (policy, receiver, thread) DO UPDATE SET reference = excluded.reference, remembered = excluded.remembered";
        let values = vec![name(policy)?, name(receiver)?, name(thread)?, name(reference)?, at.into()];
        self.write(|link| link.ask(SQL, values).map(drop))
    }
}
