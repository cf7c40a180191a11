//! A replication slot that keeps the log for as long as a session lives. It is a temporary one: however the session ends, the server drops it; and after
//! any error in the session, too, so nothing is asked there that might be refused.

use super::connection::Connection;
use super::fault::Fault;

/// What a slot takes, and what of that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotTerms {
    /// Who asks, as SQL writes it.
    pub role: String,
    /// This role may make one.
    pub may: bool,
    pub wal_level: String,
    /// `max_replication_slots`.
    pub most: u32,
    pub taken: u32,
    /// This role may read files of the data directory by SQL.
    pub reads_files: bool,
}

const TERMS: &str = "\
    select quote_ident(current_user) as role, rolsuper or rolreplication as may, current_setting('wal_level') as wal_level, \
           current_setting('max_replication_slots') as most, (select count(*) from pg_replication_slots)::text as taken, \
           has_function_privilege('pg_read_binary_file(text, bigint, bigint, boolean)', 'execute') as reads_files \
    from pg_roles where rolname = current_user";

impl Connection {
    pub fn slot_terms(&mut self) -> Result<SlotTerms, Fault> {
        let rows = self.query(TERMS, &[])?;
        let row = rows.one()?;
        Ok(SlotTerms {
            role: row.text("role")?.to_owned(),
            may: row.flag("may")?,
            wal_level: row.text("wal_level")?.to_owned(),
            most: row.parse("most")?,
            taken: row.parse("taken")?,
            reads_files: row.flag("reads_files")?,
        })
    }

    /// Which run of which server this is: two sessions may have been led to two servers.
    pub fn server_run(&mut self) -> Result<String, Fault> {
        let sql = "select system_identifier || ' ' || extract(epoch from pg_postmaster_start_time()) as run from pg_control_system()";
        Ok(self.query(sql, &[])?.one()?.text("run")?.to_owned())
    }

    /// From the last checkpoint (on a standby, restartpoint) on, which is not after where a backup begins that begins now.
    pub fn hold_log(&mut self, slot: &str) -> Result<(), Fault> {
        self.query("select pg_create_physical_replication_slot($1, true, true)", &[slot]).map(drop)
    }

    /// Whether nothing was taken away since: a server with `max_slot_wal_keep_size` gives up slots that keep too much.
    pub fn still_holds_log(&mut self, slot: &str) -> Result<bool, Fault> {
        let sql = "select count(*) = 1 as held from pg_replication_slots \
                   where slot_name = $1 and active_pid = pg_backend_pid() and restart_lsn is not null and wal_status <> 'lost'";
        self.query(sql, &[slot])?.one()?.flag("held")
    }
}
