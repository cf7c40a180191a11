//! The record of what ran: the same contract for SQLite and PostgreSQL, and what each must survive.

mod chain;
mod child;
mod contract;
mod earlier;
mod killed;
mod life;
mod measure;
mod place;
mod rows;
mod server;
mod together;

use crate::clusters::{Cluster, Options, Version};

#[test]
fn sqlite_keeps_the_contract() {
    for (name, case) in contract::CASES {
        println!("{name}");
        let folder = place::Folder::new();
        case(&folder.catalog());
    }
}

#[test]
fn postgresql_keeps_the_contract() {
    let cluster = Cluster::start(Version::V15, Options::default());
    for (name, case) in contract::CASES {
        println!("{name}");
        case(&place::database(&cluster, name));
    }
}
