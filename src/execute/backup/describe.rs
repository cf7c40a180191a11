//! What is said of a cluster to those who may read its data.

use super::originals;
use crate::format::descriptor::{By, Cluster, Private, Tablespace};
use crate::inventory::SystemIdentifier;
use crate::plan::words::quoted;
use crate::policy::model::Policy;
use crate::postgres::{Everywhere, Server, Settings};
use crate::site::Site;

/// Settings beside those that a restored server must not have less of.
const ALSO: [&str; 12] = [
    "wal_level",
    "full_page_writes",
    "data_directory_mode",
    "server_encoding",
    "archive_mode",
    "config_file",
    "hba_file",
    "ident_file",
    // Whether a copy can be started beside it.
    "port",
    "listen_addresses",
    "unix_socket_directories",
    // Whether what it loads is installed where a copy starts.
    "shared_preload_libraries",
];

pub(in crate::execute) fn by(site: &Site<'_>) -> By {
    By {
        seawall: env!("CARGO_PKG_VERSION").to_owned(),
        host: site.host().to_owned(),
        policy: site.policy.name.to_string(),
        digest: site.policy.digest.clone(),
        commit: site.commit().map(str::to_owned),
    }
}

pub(in crate::execute) fn cluster(server: &Server) -> Cluster {
    Cluster {
        system_identifier: SystemIdentifier(server.system),
        version: server.version,
        block_size: server.block_bytes,
        wal_segment_size: server.segment_bytes,
        data_checksums: server.data_checksums,
        standby: server.in_recovery,
    }
}

fn unasked<'e, T>(what: &'e str, everywhere: &'e Everywhere<T>) -> impl Iterator<Item = String> + 'e {
    let unasked = everywhere.unasked.iter();
    unasked.map(move |(database, fault)| format!("the versions of {what} in {} are not recorded: {fault}", quoted(database)))
}

pub(super) fn private(
    server: &Server,
    settings: &Settings,
    config_files: Vec<String>,
    policy: &Policy,
    remarks: &mut Vec<String>,
) -> Private {
    let mut private = Private {
        data_directory: server.setting("data_directory").unwrap_or_default().to_owned(),
        tablespaces: server.tablespaces.iter().map(|space| Tablespace { oid: space.oid, path: space.path.clone() }).collect(),
        config_files,
        ..Private::default()
    };
    private.settings = server.at_least().into_iter().map(|(name, value)| (name.to_owned(), value.to_string())).collect();
    for name in ALSO {
        private.settings.extend(server.setting(name).map(|value| (name.to_owned(), value.to_owned())));
    }
    match server.extensions(settings) {
        Ok(extensions) => {
            remarks.extend(unasked("extensions", &extensions));
            for extension in extensions.found {
                private.extensions.entry(extension.database).or_default().insert(extension.name, extension.version);
            }
        }
        Err(fault) => remarks.push(format!("the versions of extensions are not recorded: {fault}")),
    }
    for database in &server.databases {
        let version = database.actual_collation_version.clone().or_else(|| database.collation_version.clone());
        private.collations.extend(version.map(|version| (format!("database {}", database.name), version)));
    }
    match server.collations(settings) {
        Ok(collations) => {
            remarks.extend(unasked("collations", &collations));
            for collation in collations.found {
                private.collations.extend(collation.actual.map(|version| (collation.provider, version)));
            }
        }
        Err(fault) => remarks.push(format!("the versions of collations are not recorded: {fault}")),
    }
    private.recorded = originals::look(server, settings, remarks);
    private.answers = originals::answers(policy, settings, remarks);
    private
}
