//! The driver against real servers.

mod backups;
mod base_backups;
mod facts;
mod like_psql;
mod logins;
mod sessions;
mod standbys;
