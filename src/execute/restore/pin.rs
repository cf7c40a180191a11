use bytes::Bytes;

use super::plan::RestorePlan;
use crate::store::Store;
use crate::units::{Instant, Key};

/// Says in the store that a backup is being read, so that nobody expires it under us. Whoever may only read can still restore.
#[derive(Debug)]
pub struct Pin {
    store: Store,
    key: Key,
}

impl Pin {
    pub fn put(plan: &RestorePlan, host: &str, now: Instant) -> Option<Pin> {
        let chosen = &plan.chosen;
        let id = &chosen.descriptor.id;
        let key = Key::new(format!("{}/pins/{id}-{}-{}.json", chosen.repository, host, std::process::id())).ok()?;
        let pin = serde_json::json!({ "format": 1, "backup": id, "host": host, "since": now, "why": "restore", "wal_from": chosen.descriptor.position.start });
        chosen.store.replace(&key, Bytes::from(pin.to_string())).ok()?;
        Some(Pin { store: chosen.store.clone(), key })
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        // What stays behind is old, and whoever expires things sees how old.
        let _ = self.store.delete(std::slice::from_ref(&self.key));
    }
}
