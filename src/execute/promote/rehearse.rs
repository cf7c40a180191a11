//! A promotion that is rehearsed: a drill has made a standby of its own, and it is promoted by the very steps of a real one. What reaches
//! the world outside is left out: no other promotion is kept out, nobody is fenced but by the rehearsal's own program, nothing is archived,
//! and neither the journal nor the record of promotions hears of it.

use std::time::Duration;

use super::PromoteFault;
use super::act::{Onlooker, Procedure, begun};
use super::claim::Claims;
use super::elsewhere;
use super::hooks::Hooks;
use super::journal::Journal;
use super::plan::{self, Plan, Wanted};
use super::record::{Kind, Promotion};
use super::server::Server;
use crate::postgres::Settings;
use crate::site::Site;
use crate::units::Name;
use crate::world::{clock, host};

/// The copy that is promoted.
#[derive(Debug, Clone)]
pub struct Rehearsing {
    pub settings: Settings,
    pub hooks: Hooks,
    /// Its log comes from there alone.
    pub store: Option<Name>,
    pub patience: Duration,
}

/// Does it. With the fault comes how far it came, as soon as anything was begun.
pub fn rehearse(
    site: &Site<'_>,
    rehearsing: Rehearsing,
    onlooker: Onlooker<'_>,
) -> Result<Promotion, (PromoteFault, Option<Box<Promotion>>)> {
    let plan = look(site, rehearsing).map_err(|fault| (fault, None))?;
    let journal = Journal::of_a_rehearsal(begun(site, &plan));
    let mut procedure = Procedure { site, plan, journal, onlooker, claims: Claims::default() };
    let done = procedure.rehearsal();
    procedure.journal.promotion.ended = Some(clock::now());
    let promotion = procedure.journal.promotion;
    done.map_err(|fault| (fault, Some(Box::new(promotion.clone()))))?;
    Ok(promotion)
}

fn look(site: &Site<'_>, rehearsing: Rehearsing) -> Result<Plan, PromoteFault> {
    let Rehearsing { settings, hooks, store, patience } = rehearsing;
    let wanted = Wanted {
        connection: None,
        switchover: false,
        fenced_by_hand: None,
        without_stores: false,
        store,
        patience,
        who: host::who(),
        archive_command: String::new(),
        restore: String::new(),
    };
    let mut server = Server::at(settings)?;
    let seen = server.look()?;
    if !seen.in_recovery {
        return Err(PromoteFault::new("the copy is no standby any more", ""));
    }
    must_not_archive(&mut server)?;
    plan::refuse_paused(&seen)?;
    let archives = plan::archives(site, &wanted, &seen);
    plan::refuse_archives(&wanted, &archives)?;
    // Only asked where it is: what is lost is what it has beyond the copy.
    let asked = elsewhere::ask(site, &seen);
    let now = clock::now();
    let loss = plan::loss(&seen, &asked, &archives, now);
    Ok(Plan {
        wanted,
        kind: Kind::Rehearsal,
        hooks,
        server,
        seen,
        asked,
        archives,
        loss,
        warnings: Vec::new(),
        made: now,
        before: None,
        goes_on: None,
    })
}

/// Its settings say so already; that they hold is seen before it can have anything to archive.
fn must_not_archive(server: &mut Server) -> Result<(), PromoteFault> {
    let rows = server.session()?.query("select setting from pg_catalog.pg_settings where name = 'archive_mode'", &[])?;
    match rows.one()?.text("setting")? {
        "off" => Ok(()),
        other => {
            let message = format!("the copy would archive into the repository of the original: `archive_mode` is {other}");
            Err(PromoteFault::new(message, "This is a fault of seawall itself: nothing was promoted. Please report it."))
        }
    }
}
