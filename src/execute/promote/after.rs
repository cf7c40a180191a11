//! From the word to the server on: it is the primary, takes writes, the world is told, and it archives into the same repository. Each of these can
//! be done again.

use super::act::Procedure;
use super::record::{Kind, Stage};
use super::server::Seen;
use super::{PromoteFault, PromoteFaultKind};
use crate::execute::release;
use crate::execute::restore::settings::{TIMESCALE_WORKERS, for_shell};
use crate::plan::words::joined;
use crate::postgres::conninfo::led_to;
use crate::units::{Name, Timeline};
use crate::wal::Place;
use crate::world::host;

impl Procedure<'_> {
    pub(super) fn promote(&mut self) -> Result<String, PromoteFault> {
        let is_first = self.journal.promotion.stage < Stage::Told;
        let is_standby = self.plan.server.look()?.in_recovery;
        if is_standby {
            self.claims.must_be_ours()?;
        }
        // Before it is told: whatever happens then, it may become a primary.
        self.journal.reach(Stage::Told)?;
        self.claims.stay();
        // Told twice is told once; one that was restarted in between has forgotten it.
        if is_standby && let Err(fault) = self.tell() {
            // It said no, so it stays what it was.
            if is_first && fault.kind == PromoteFaultKind::Failed {
                self.journal.go_back(Stage::Fenced)?;
                // Another host may be the one that can.
                self.claims.go();
            }
            return Err(fault);
        }
        self.wait_until_promoted()
    }

    fn tell(&mut self) -> Result<(), PromoteFault> {
        let hint = "The server's log says why. Mend that, and run this again.";
        let said = self.plan.server.session()?.query("select pg_catalog.pg_promote(false) as told", &[]);
        match said {
            Ok(rows) if rows.one()?.flag("told")? => Ok(()),
            Ok(_) => Err(PromoteFault::new("the server was told to become the primary and answers that it could not begin", hint)),
            Err(fault) if fault.code().is_some() => {
                Err(PromoteFault::new(format!("the server refuses to become the primary: {}", fault.message), hint))
            }
            Err(fault) => {
                Err(PromoteFault::may_pass(format!("whether the server was told is not known: {}", fault.message), "Run this again."))
            }
        }
    }

    pub(super) fn wait_until_promoted(&mut self) -> Result<String, PromoteFault> {
        let patience = self.plan.wanted.patience;
        let promoted = self.until("waited for the promotion, which goes on by itself", patience, |procedure| {
            let seen = procedure.plan.server.look()?;
            Ok((!seen.in_recovery).then_some(seen.timeline))
        })?;
        let Some(timeline) = promoted else {
            let hint =
                "It goes on by itself; the server's log says what it waits for (a segment that is fetched, usually). Run this again.";
            return Err(PromoteFault::new(format!("the server was told and still recovers after {} s", patience.as_secs()), hint));
        };
        self.journal.promotion.timeline = Some(timeline);
        if self.plan.kind != Kind::Rehearsal {
            self.journal.promotion.old_primary = self.for_old_primary(timeline);
        }
        self.journal.reach(Stage::Promoted)?;
        Ok(format!("it is the primary, on timeline {timeline}"))
    }

    /// It takes writes, and what else somebody would find out later.
    pub(super) fn check(&mut self) -> Result<String, PromoteFault> {
        let session = self.plan.server.session()?;
        // Where synchronous standbys are missing every other commit would wait for them; whether that is so is looked at below.
        session.run("set synchronous_commit = local")?;
        let rows = session.query("select pg_catalog.txid_current()::text as xid, pg_catalog.pg_is_in_recovery() as standby", &[])?;
        let (xid, standby) = (rows.one()?.text("xid")?.to_owned(), rows.one()?.flag("standby")?);
        if standby {
            return Err(PromoteFault::new("the server is a standby again", "Somebody restarted it as one: look who."));
        }
        let before = self.journal.promotion.timeline_before;
        if self.journal.promotion.timeline.is_none_or(|timeline| timeline <= before) {
            let hint = "Its log would be mixed up with the old primary's. Stop it, and look into its log.";
            return Err(PromoteFault::new(format!("it takes writes on timeline {before}, which is the old primary's"), hint));
        }
        if self.plan.kind == Kind::Rehearsal {
            // Nobody else uses it: it can be tried out.
            self.plan.server.session()?.run("create table pg_temp.seawall_rehearsal as select 1 as written")?;
        } else {
            self.must_have_no_rival()?;
            let remarks = self.remarks()?;
            self.journal.promotion.remarks = remarks;
        }
        Ok(format!("it takes writes (transaction {xid})"))
    }

    /// Before anybody is led here: where another server has archived on this timeline already, one of the two is wrong.
    fn must_have_no_rival(&mut self) -> Result<(), PromoteFault> {
        if self.site.policy.wal.is_none() || self.plan.wanted.without_stores {
            return Ok(());
        }
        let seen = self.plan.server.look()?;
        for name in &release::stores(self.site)? {
            match self.in_store(name, &seen) {
                Err(fault) if fault.kind == PromoteFaultKind::Failed => return Err(fault),
                // Whether the log comes there is looked at when the application has its database back.
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn remarks(&mut self) -> Result<Vec<String>, PromoteFault> {
        const SQL: &str = "select \
            (select setting from pg_catalog.pg_settings where name = 'synchronous_standby_names') as names, \
            (select count(*) from pg_catalog.pg_stat_replication where sync_state in ('sync', 'quorum'))::text as sync, \
            (select count(*) from pg_catalog.pg_stat_replication)::text as standbys, \
            (select string_agg(slot_name::text, ', ' order by slot_name) from pg_catalog.pg_replication_slots) as slots, \
            (select setting from pg_catalog.pg_settings where name = 'default_transaction_read_only') as read_only, \
            (select setting from pg_catalog.pg_settings where name = $1) as workers";
        let rows = self.plan.server.session()?.query(SQL, &[TIMESCALE_WORKERS])?;
        let row = rows.one()?;
        let mut remarks = Vec::new();
        if let Some(names) = row.get("names").filter(|names| !names.is_empty() && row.get("sync") == Some("0")) {
            remarks.push(format!(
                "EVERY COMMIT WAITS: `synchronous_standby_names` is `{names}` and no such standby is connected; connect one, or empty it"
            ));
        }
        if row.get("read_only") == Some("on") {
            remarks.push("`default_transaction_read_only` is on: applications cannot write until it is off".to_owned());
        }
        if row.get("workers") == Some("0") {
            remarks.push(format!(
                "`{TIMESCALE_WORKERS}` is 0: no background job of TimescaleDB runs until it is raised and the server restarted"
            ));
        }
        let slots = row.get("slots").map_or_else(|| "none".to_owned(), str::to_owned);
        let standbys = row.get("standbys").unwrap_or("0");
        remarks.push(format!(
            "replication slots here: {slots}; standbys connected: {standbys}. What was a slot of the old primary is not one here: other standbys and \
             logical subscribers must be led here"
        ));
        Ok(remarks)
    }

    /// The log goes on where it was: the new timeline's history and a segment of it are in every store that must have them.
    pub(super) fn archive(&mut self) -> Result<String, PromoteFault> {
        if self.site.policy.wal.is_none() {
            return Ok("the policy archives no log".to_owned());
        }
        self.refuse_not_archiving()?;
        let seen = self.plan.server.look()?;
        self.plan.server.session()?.query("select pg_catalog.pg_switch_wal()", &[])?;
        let names = release::stores(self.site)?;
        let patience = self.plan.wanted.patience;
        for name in &names {
            let mut lacks = String::new();
            let there = self.until("waited for the archive", patience, |procedure| match procedure.in_store(name, &seen) {
                Ok((true, true)) => Ok(Some(())),
                Ok((history, _)) => {
                    lacks = format!("{} of timeline {} did not come", if history { "a segment" } else { "the history" }, seen.timeline);
                    Ok(None)
                }
                // One that says who else has the timeline will say so for ever.
                Err(fault) if fault.kind == PromoteFaultKind::Failed => Err(fault),
                Err(fault) => {
                    lacks = fault.message;
                    Ok(None)
                }
            })?;
            if there.is_none() {
                let hint = "The server's log says what `archive_command` answers, `seawall wal status` why. Mend it, and run this again.";
                return Err(PromoteFault::new(format!("store `{name}`: {lacks}"), hint));
            }
        }
        Ok(format!(
            "{} has the history of timeline {} and a segment of it",
            joined(names.iter().map(|name| format!("store `{name}`"))),
            seen.timeline
        ))
    }

    pub(super) fn in_store(&self, name: &Name, seen: &Seen) -> Result<(bool, bool), PromoteFault> {
        let passing = |message: String, hint: String| PromoteFault::may_pass(message, hint);
        let store = self.site.store(name).map_err(|fault| passing(fault.message, fault.hint))?;
        let found = self.site.find_repository(&store).map_err(|fault| passing(fault.message, fault.hint))?;
        let repository = found.ok_or_else(|| passing(format!("{} holds nothing of this policy", store.url()), String::new()))?.repository;
        let place = Place { store, repository };
        // A store that is away now is not one where another server's history lies.
        place.store.head(&place.repository.about()).map_err(|fault| passing(fault.message, fault.hint))?;
        Ok(release::archived(&place, seen.cluster, seen.timeline, &seen.data_directory)?)
    }

    pub(super) fn refuse_not_archiving(&mut self) -> Result<(), PromoteFault> {
        const SQL: &str = "select (select setting from pg_catalog.pg_settings where name = 'archive_mode') as mode, \
            (select setting from pg_catalog.pg_settings where name = 'archive_command') as command, \
            (select setting from pg_catalog.pg_settings where name = 'archive_library') as library";
        let rows = self.plan.server.session()?.query(SQL, &[])?;
        let row = rows.one()?;
        let command = self.plan.wanted.archive_command.replace('\'', "''");
        if row.get("mode") == Some("off") {
            let hint = format!(
                "Run `alter system set archive_mode = on`, `alter system set archive_command = '{command}'`, restart the server, and run this again."
            );
            return Err(PromoteFault::new("the new primary archives nothing: `archive_mode` is off", hint));
        }
        let set = |name: &str| row.get(name).is_some_and(|value| !value.is_empty() && value != "(disabled)");
        if !set("command") && !set("library") && row.get("command").is_some() {
            let hint = format!("Run `alter system set archive_command = '{command}'` and `select pg_reload_conf()`, and run this again.");
            return Err(PromoteFault::new("the new primary archives nothing: `archive_command` is empty", hint));
        }
        Ok(())
    }

    pub(super) fn announce(&mut self) -> Result<String, PromoteFault> {
        let Some(hook) = self.plan.hooks.announce.clone() else {
            return Ok(match self.plan.kind {
                Kind::Rehearsal => "nothing is rehearsed of it: the drill has no `promote.after`",
                Kind::Failover | Kind::Switchover => {
                    "the policy has no `hooks.after_promote`: connection strings and DNS are yours to change"
                }
            }
            .to_owned());
        };
        self.run_hook(&hook)?;
        Ok(format!("`{}` ended well (exit status 0 of {})", hook.path, hook.program()))
    }

    /// On the old primary's host, when it can be reached again.
    pub(super) fn for_old_primary(&self, timeline: Timeline) -> Vec<String> {
        let data = self.site.policy.file.cluster.as_ref().and_then(|cluster| cluster.data_directory.as_deref());
        let data = data.map_or_else(|| self.plan.seen.data_directory.display().to_string(), str::to_owned);
        let primary = to_this_one(&self.plan.seen.primary_conninfo, &host::full_name(), self.plan.seen.port);
        let (data, primary, with_database) = (for_shell(&data), for_shell(&primary), for_shell(&format!("{primary} dbname=postgres")));
        let restore = &self.plan.wanted.restore;
        vec![
            format!("{restore} restore --delta --as-standby --timeline {timeline} --target {data} --primary-conninfo {primary}"),
            format!("pg_rewind --target-pgdata {data} --source-server {with_database}"),
        ]
    }
}

/// How this server has streamed is how the old primary streams from it: by the same account, as safely, under the name that
/// `synchronous_standby_names` may wait for.
fn to_this_one(streamed_by: &str, host: &str, port: u16) -> String {
    // One that only had the archive names no account.
    let known = if streamed_by.trim().is_empty() { "user=replicator" } else { streamed_by };
    led_to(known, host, port).unwrap_or_else(|_| format!("host={host} port={port} user=replicator"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_primary_streams_as_this_server_did() {
        let streamed = "user=o\\'brien host=db-1 hostaddr=10.0.0.1 port=5433 password=geheim sslmode=verify-full sslrootcert='/etc/pg ca.crt' \
                        passfile=/var/lib/pg/.pgpass application_name=db_2";
        assert_eq!(
            to_this_one(streamed, "db-2.example.com", 5432),
            "host=db-2.example.com port=5432 user='o\\'brien' sslmode=verify-full sslrootcert='/etc/pg ca.crt' passfile=/var/lib/pg/.pgpass \
             application_name=db_2"
        );
        let uri = "postgresql://replicator:geheim@db-1:5433/postgres?sslmode=require";
        let led = to_this_one(uri, "db-2", 5432);
        assert!(led.starts_with("host=db-2 port=5432 ") && led.contains("user=replicator") && led.contains("sslmode=require"), "{led}");
        assert!(!led.contains("geheim") && !led.contains("db-1") && !led.contains("5433"), "{led}");
        assert_eq!(to_this_one("", "db-2", 5432), "host=db-2 port=5432 user=replicator");
        assert_eq!(to_this_one("no connection string", "db-2", 5432), "host=db-2 port=5432 user=replicator");
    }
}
