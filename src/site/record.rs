//! Where this policy's runs are recorded.

use super::{Site, SiteFault, keys};
use crate::catalog::Where;
use crate::postgres::Settings;
use crate::world::secret::secret;

impl Site<'_> {
    /// The catalog that the policy names, or a file beside this host's state.
    pub fn catalog(&self) -> Result<Where, SiteFault> {
        let declared = self.policy.file.catalog.as_ref();
        if let Some(postgres) = declared.and_then(|catalog| catalog.postgres.as_ref()) {
            let settings = Settings::read(&postgres.connection)?;
            let Some(reference) = &postgres.password else { return Ok(Where::Postgres(Box::new(settings))) };
            let password = secret(&keys::place(reference))
                .map_err(|error| SiteFault::new(format!("catalog.postgres.password: {error}"), "Look who may read it."))?;
            return Ok(Where::Postgres(Box::new(settings.with_password(password))));
        }
        let path = declared.and_then(|catalog| catalog.sqlite.as_ref()).and_then(|sqlite| sqlite.path.as_deref());
        Ok(Where::Sqlite(path.map_or_else(|| self.state().join("catalog.db"), Into::into)))
    }
}
