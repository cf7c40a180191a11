use std::collections::BTreeMap;

use super::held::look_at_holds;
use crate::converge::{Running, rights};
use crate::inventory::{Held, Observed, Timescale};
use crate::postgres::Connection;
use crate::site::{Site, SiteFault};
use crate::timescale;
use crate::world::clock;

/// The server and the databases, where the policy says anything of them.
pub fn running(site: &Site<'_>) -> Running {
    let server = rights::is_about(site.policy).then(|| super::server(site));
    Running { server, databases: databases(site), holds: holds_there(site), seen_at: None }
}

/// What the databases say of holds.
pub fn holds_there(site: &Site<'_>) -> BTreeMap<String, Observed<Held>> {
    let ask = |name: &str| -> Result<Held, SiteFault> {
        let mut connection = Connection::connect(&site.cluster_connection()?.with_dbname(name))?;
        Ok(look_at_holds(&mut connection, site.policy, name, clock::now())?)
    };
    let one = |name: &str| (name.to_owned(), ask(name).map_or_else(|fault| Observed::unknown(fault.message), Observed::Known));
    site.policy.asked_databases().into_iter().map(one).collect()
}

/// What the databases say that the policy speaks of, one after the other.
pub fn databases(site: &Site<'_>) -> BTreeMap<String, Observed<Timescale>> {
    let one = |name: &str| {
        let seen = match ask(site, name) {
            Ok(seen) => Observed::Known(seen),
            Err(fault) => Observed::unknown(fault.message),
        };
        (name.to_owned(), seen)
    };
    site.policy.asked_databases().into_iter().map(one).collect()
}

fn ask(site: &Site<'_>, database: &str) -> Result<Timescale, SiteFault> {
    // What is kept is decided where writes go.
    let mut connection = Connection::connect(&site.cluster_connection()?.with_dbname(database))?;
    Ok(timescale::observe(&mut connection)?)
}
