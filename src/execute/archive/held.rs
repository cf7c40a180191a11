//! Which rows of a table are under hold: what the policy says, and what the database shows, also while the rows are on their way.

use super::table::{Subject, Table, Time};
use crate::converge::hold_entries;
use crate::execute::table::landing::Condition;
use crate::format::archived::{Column, Zoned};
use crate::inventory::{HoldEntry, NoRows, TableName, Touch};
use crate::observe::{family, holds_shown, kin, no_rows, sha256};
use crate::plan::words::quoted as shown;
use crate::policy::model::{OtherHold, Policy, RowHold};
use crate::policy::sql_name::{literal, meaning, quoted};
use crate::postgres::{Connection, Fault};
use crate::schedule::Zone;
use crate::site::SiteFault;
use crate::units::Instant;

/// The lock under which holds are placed in a database, and rows taken out. Any number will do, as long as it stays.
pub(in crate::execute) const PLACING: i64 = 5_374_872_650_218;

/// The table that has the rows.
pub(super) struct Rows<'r> {
    pub oid: &'r str,
    /// As it is, and its columns.
    pub table: &'r str,
    pub columns: &'r [Column],
    /// That of the time, quoted where it must be.
    pub column: &'r str,
    pub time: Time,
}

/// What stands when a table is looked at.
#[derive(Debug, Default)]
pub(super) struct Holds {
    /// Each is false of a row that the hold lets go; what the hold's own condition does not know of a row holds it.
    pub conditions: Vec<String>,
    /// What of them is read in a time zone of its own.
    pub zoned: Vec<Zoned>,
    /// What was shown, and what is to be shown of the policy, each with whose it is.
    pub known: Vec<(String, HoldEntry)>,
}

impl Holds {
    pub(super) fn find(
        connection: &mut Connection,
        policy: &Policy,
        archive: &Subject<'_>,
        rows: &Rows<'_>,
        now: Instant,
    ) -> Result<Holds, SiteFault> {
        let own = own_holds(policy, archive.database, policy.zone.wall_clock(now).date());
        let mut known: Vec<(String, HoldEntry)> = own.iter().map(|(entry, _)| (policy.name.to_string(), entry.clone())).collect();
        // Under the policy's own name, too: it was read before, and somebody may have applied a later one since.
        let shown = besides(&known, holds_shown(connection)?);
        let mut others: Vec<OtherHold> = shown.iter().map(|(of, entry)| OtherHold::shown(archive.database, of, entry)).collect();
        for other in &mut others {
            // Nobody reviewed it with this policy: what would not stay one expression among others holds all rows.
            other.hold.condition = other.hold.condition.take().filter(|text| Condition::read(text).is_ok());
        }
        known.extend(shown);
        let own = own.iter().map(|(entry, hold)| Standing { policy: policy.name.as_str(), name: &entry.name, hold, zone: &policy.zone });
        let theirs = others.iter().map(|one| Standing { policy: &one.policy, name: &one.name, hold: &one.hold, zone: &one.zone });
        let standing: Vec<Standing<'_>> = own.chain(theirs).collect();
        let mut holds = Holds { known, ..Holds::default() };
        if !standing.is_empty() {
            holds.of(connection, &standing, rows)?;
        }
        Ok(holds)
    }

    fn of(&mut self, connection: &mut Connection, standing: &[Standing<'_>], rows: &Rows<'_>) -> Result<(), SiteFault> {
        let kin = kin(connection, rows.oid)?;
        for one in standing {
            let mut parts = match kin.touch(&meaning(&one.hold.table)) {
                Some(Touch::Whole) => Vec::new(),
                // Its partitions may have partitions.
                Some(Touch::Part(part)) => vec![format!("tableoid in ({})", family(&oid_of(connection, part)?))],
                Some(Touch::View(_)) => return Err(one.holds_nothing(NoRows::NotATable)),
                None => {
                    one.must_have_rows(connection)?;
                    continue;
                }
            };
            let (from, to) = (one.hold.from.map(|date| date.0.to_string()), one.hold.to.map(|date| date.0.to_string()));
            parts.extend(rows.time.days(rows.column, (from.as_deref(), to.as_deref()), &one.zone.to_string()));
            if let Some(condition) = &one.hold.condition {
                let (condition, zoned) = one.meant(condition, rows);
                if let Some(zoned) = zoned {
                    must_be_readable(connection, one, rows.table, &zoned)?;
                    self.zoned.push(zoned);
                }
                parts.push(condition);
            }
            let held = if parts.is_empty() { "true".to_owned() } else { parts.join(" and ") };
            self.conditions.push(format!("({held}) is false"));
        }
        Ok(())
    }
}

/// The policy's own that stand on this day, each as the database is to show it. One that has ended by this host's clock is none of them, and stands
/// all the same where the database's own has not come so far.
fn own_holds<'p>(policy: &'p Policy, database: &str, today: jiff::civil::Date) -> Vec<(HoldEntry, &'p RowHold)> {
    let of_it = policy.row_holds.values().filter(|hold| hold.database == database);
    hold_entries(policy, database).into_iter().zip(of_it).filter(|(_, hold)| hold.stands_on(today)).collect()
}

/// What is shown and is not among those already.
fn besides(known: &[(String, HoldEntry)], shown: Vec<(String, HoldEntry)>) -> Vec<(String, HoldEntry)> {
    shown.into_iter().filter(|one| !known.contains(one)).collect()
}

/// A hold that stands, by whichever policy.
struct Standing<'h> {
    policy: &'h str,
    name: &'h str,
    hold: &'h RowHold,
    zone: &'h Zone,
}

impl Standing<'_> {
    /// Whoever wrote a hold that holds no row of any table thinks otherwise.
    fn must_have_rows(&self, connection: &mut Connection) -> Result<(), SiteFault> {
        let why = no_rows(connection, &[&self.hold.table])?.pop().flatten();
        why.map_or(Ok(()), |why| Err(self.holds_nothing(why)))
    }

    fn holds_nothing(&self, why: NoRows) -> SiteFault {
        let Standing { policy, name, hold, .. } = self;
        let (message, hint) = match why {
            NoRows::Missing => (
                format!(
                    "holds.{name}.rows.table: there is no table `{}` in `{}`, so nobody knows what it holds",
                    hold.table, hold.database
                ),
                format!("Write its schema before it, or take the hold out of the policy `{policy}`."),
            ),
            NoRows::NotATable => (
                format!("holds.{name}.rows.table: `{}` in `{}` has no rows of its own, so it holds none", hold.table, hold.database),
                format!("Name the table that the rows are in, in the policy `{policy}`."),
            ),
        };
        SiteFault::new(message, hint)
    }

    /// Its times are those of the policy's zone, while rows are written as text in UTC. What a zone cannot change is asked as it is.
    fn meant(&self, condition: &str, rows: &Rows<'_>) -> (String, Option<Zoned>) {
        let plain: Vec<&str> =
            rows.columns.iter().filter(|column| is_timeless(&column.r#type)).map(|column| column.name.as_str()).collect();
        let (zone, table) = (self.zone.to_string(), rows.table);
        if zone == "UTC" || Condition::is_timeless(condition, &plain) {
            // A comment at its end must not swallow what follows.
            return (format!("({condition}\n)"), None);
        }
        let digest = sha256(format!("{zone}\n{table}\n{condition}").as_bytes());
        let zoned = Zoned::new(zone, condition.to_owned(), &digest);
        (format!("pg_temp.{}({}.*)", zoned.function, quoted(table)), Some(zoned))
    }
}

/// No text of it is read by a calendar or a clock.
fn is_timeless(r#type: &str) -> bool {
    const TYPES: [&str; 10] =
        ["smallint", "integer", "bigint", "numeric", "real", "double precision", "text", "boolean", "uuid", "character varying"];
    TYPES.contains(&r#type.split('(').next().unwrap_or_default())
}

fn must_be_readable(connection: &mut Connection, hold: &Standing<'_>, table: &str, zoned: &Zoned) -> Result<(), SiteFault> {
    make(connection, table, std::slice::from_ref(zoned)).map_err(|fault| {
        if fault.code().is_none() {
            return fault.into();
        }
        let message = format!("holds.{}.rows.where cannot be read in {}: {}", hold.name, zoned.zone, fault.message);
        SiteFault::new(message, "The role needs TEMPORARY on the database where times of a hold are not those of UTC.")
    })
}

/// The functions by which conditions are read in zones of their own, for as long as the session is there. They take a row of any type, so that nobody
/// who drops or changes the table meets them.
pub(super) fn make(connection: &mut Connection, table: &str, zoned: &[Zoned]) -> Result<(), Fault> {
    for Zoned { function, zone, condition } in zoned {
        let body = format!("select ({condition}\n) from (select ($1).*) as {}", quoted(table));
        connection.run(&format!(
            "create or replace function pg_temp.{function}(anyelement) returns boolean language sql stable cost 1000 \
             set timezone = {} as {}",
            literal(zone),
            literal(&body)
        ))?;
    }
    Ok(())
}

/// What is to be said of a hold that stands by now and did not when the table was looked at: rows of it may be meant.
pub(super) fn came(connection: &mut Connection, table: &Table) -> Result<Option<String>, Fault> {
    let mut came = holds_shown(connection)?;
    came.retain(|one| !table.known_holds.contains(one));
    if came.is_empty() {
        return Ok(None);
    }
    let names: Vec<&str> = came.iter().map(|(_, entry)| entry.of.as_str()).collect();
    let (empty, kin) = (no_rows(connection, &names)?, kin(connection, &table.oid)?);
    let mut meant = came.iter().zip(empty).filter(|((_, entry), empty)| empty.is_some() || kin.touch(&meaning(&entry.of)).is_some());
    Ok(meant.next().map(|((policy, entry), _)| {
        let (name, policy) = (shown(&entry.name), shown(policy));
        format!("{}: the hold {name} of the policy {policy} came meanwhile: what is left stays until the next run", table.known_as())
    }))
}

/// The same, and from here to the end of the transaction none comes. These locks are the last ones and are not waited for, so that nobody waits in a
/// circle. The first is that of `apply`, and needs neither a right nor a table; the second keeps out whoever places one by hand.
pub(super) fn came_at_last(connection: &mut Connection, table: &Table) -> Result<Option<String>, Fault> {
    let free = format!("select pg_catalog.pg_try_advisory_xact_lock_shared({PLACING}) as free");
    if !connection.query(&free, &[])?.one()?.flag("free")? {
        return Ok(Some(format!("{}: somebody places a hold just now: what is left stays until the next run", table.known_as())));
    }
    let may = "select coalesce(has_table_privilege(to_regclass('seawall.hold'), 'update, delete, truncate'), false) as may";
    if connection.query(may, &[])?.one()?.flag("may")? {
        connection.run("lock table seawall.hold in share mode nowait")?;
    }
    came(connection, table)
}

fn oid_of(connection: &mut Connection, table: &TableName) -> Result<String, Fault> {
    let name = format!("{}.{}", quoted(&table.schema), quoted(&table.name));
    Ok(connection.query("select $1::regclass::oid::text as oid", &[&name])?.one()?.text("oid")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = "version: 1\npolicy: shop\nowner: dba@example.com\ncluster: { connection: host=db, databases: [shop] }\n\
        encryption: { none: { because: a test } }\nstores: { main: { local: { path: /srv/backups } } }\n\
        holds: { case: { reason: litigation, until: 2026-05-01, rows: { database: shop, table: orders } } }\n";

    /// A minute of this host's clock is enough.
    #[test]
    fn what_the_database_shows_stands_when_it_has_ended_here() {
        let document =
            crate::policy::document::Document::load("t.yaml", std::path::Path::new("t.yaml"), &|_| Ok(POLICY.as_bytes().to_vec()));
        let resolved = crate::policy::resolve::resolve(&document, jiff::civil::date(2026, 4, 1));
        let policy = resolved.policy.unwrap_or_else(|| panic!("{:?}", resolved.findings));
        let known = |today: &str| -> Vec<(String, HoldEntry)> {
            let own = own_holds(&policy, "shop", today.parse().expect("a day"));
            own.into_iter().map(|(entry, _)| (policy.name.to_string(), entry)).collect()
        };
        let shown = known("2026-04-30");
        assert_eq!(shown.len(), 1);
        assert_eq!(besides(&known("2026-04-30"), shown.clone()), []);
        assert_eq!(besides(&known("2026-05-01"), shown.clone()), shown);
    }
}
