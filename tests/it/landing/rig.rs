//! Two servers: one that holds tables as they were, and one that goes on with them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use seawall::execute::table::TableFault;
use seawall::execute::table::landing::difference::Difference;
use seawall::execute::table::landing::{self, Change, Condition, Destination, Landed, Onlooker, Origin, Wanted, Way};
use seawall::execute::table::source::TableName;
use seawall::postgres::{Connection, Row};

use crate::clusters::{Cluster, Options, Version};
use crate::logical::rig::succeeds;

/// Databases that begin alike: `was` is held still, `shop` goes on.
#[derive(Debug)]
pub struct Two {
    pub origin: Cluster,
    pub live: Cluster,
    pub said: Mutex<Vec<String>>,
    pub stop: AtomicBool,
}

pub fn table(schema: &str, name: &str) -> TableName {
    TableName { schema: schema.into(), name: name.into() }
}

pub fn wanted(tables: &[(&str, &str)], way: Way) -> Wanted {
    Wanted {
        tables: tables.iter().map(|(schema, name)| table(schema, name)).collect(),
        way,
        condition: None,
        lock_timeout: Duration::from_secs(5),
        with_policies: false,
    }
}

pub fn only(wanted: Wanted, condition: &str) -> Wanted {
    Wanted { condition: Some(Condition::read(condition).expect("a condition")), ..wanted }
}

pub fn replace() -> Way {
    Way::Replace { kept: Some("replaced".into()) }
}

pub fn merge() -> Way {
    Way::Merge { key: Vec::new(), delete_others: false, kept: None }
}

pub fn into(schema: &str) -> Way {
    Way::Schema { schema: schema.into(), name: None }
}

impl Two {
    pub fn new(sql: &str) -> Two {
        Two::of(Version::V15, Version::V15, sql)
    }

    pub fn of(origin: Version, live: Version, sql: &str) -> Two {
        Two::with(origin, live, Options::default(), sql)
    }

    pub fn with(origin: Version, live: Version, options: Options, sql: &str) -> Two {
        let origin = Cluster::start(origin, options.clone());
        let live = Cluster::start(live, options);
        origin.sql("create database was");
        live.sql("create database shop");
        let two = Two { origin, live, said: Mutex::default(), stop: AtomicBool::new(false) };
        two.then(sql);
        two.now(sql);
        two
    }

    pub fn then(&self, sql: &str) -> String {
        sql_in(&self.origin, "was", sql)
    }

    pub fn now(&self, sql: &str) -> String {
        sql_in(&self.live, "shop", sql)
    }

    /// As it is now, it can be made anew.
    pub fn remember(&self) {
        self.origin.sql("create database pristine template was");
    }

    /// What was taken out of a private server has changed it: the next one is as it was remembered.
    pub fn anew(&self) {
        self.origin.sql("drop database was with (force)");
        self.origin.sql("create database was template pristine");
    }

    /// As `pg_dump` writes it, line by line; of some tables (`--table=…`) or of everything.
    pub fn definitions(&self, words: &[&str]) -> Vec<String> {
        let mut dump = self.live.program("pg_dump");
        dump.arg("--schema-only").args(words).arg("--dbname").arg(format!("{} dbname=shop", self.live.conninfo()));
        let text = succeeds(dump.output().expect("pg_dump"));
        let is_said = |line: &&str| !line.is_empty() && !["--", "\\", "SET "].iter().any(|word| line.starts_with(word));
        let mut lines: Vec<String> = text.lines().filter(is_said).map(str::to_owned).collect();
        lines.sort();
        lines
    }

    pub fn session(&self) -> Connection {
        Connection::connect(&self.live.settings().with_dbname("shop")).expect("a session")
    }

    pub fn origin(&self) -> Origin {
        let major = self.origin.version().major();
        Origin {
            settings: self.origin.settings().with_dbname("was"),
            // Debian's 15 is found by itself, also for those before it; of the others only 18 has client programs here.
            programs: if major > 15 { Version::V18.programs() } else { PathBuf::from("/nowhere") },
            major,
            moment: "before the accident".into(),
            flaws: Vec::new(),
            unlogged: Vec::new(),
            has_rights: true,
            views: BTreeMap::new(),
            apart: Vec::new(),
        }
    }

    pub fn look(&self, wanted: &Wanted) -> Result<Destination, TableFault> {
        landing::look(&self.live.settings().with_dbname("shop"), wanted)
    }

    pub fn watched<T>(&self, work: impl FnOnce(Onlooker<'_>) -> T) -> T {
        self.watched_by(&|_| {}, work)
    }

    fn watched_by<T>(&self, each: &(dyn Fn(&str) + Sync), work: impl FnOnce(Onlooker<'_>) -> T) -> T {
        let bytes = AtomicU64::new(0);
        let begins = |what: &str| {
            self.said.lock().expect("nobody panics").push(what.to_owned());
            each(what);
        };
        work(Onlooker { begins: &begins, bytes: &bytes, stop: &self.stop })
    }

    pub fn bring(&self, wanted: &Wanted) -> Result<(Vec<Landed>, Vec<String>), TableFault> {
        self.bring_while(wanted, &|_| {})
    }

    /// `each` is told what begins, before it does.
    pub fn bring_while(&self, wanted: &Wanted, each: &(dyn Fn(&str) + Sync)) -> Result<(Vec<Landed>, Vec<String>), TableFault> {
        let destination = self.look(wanted)?;
        let mut remarks = destination.remarks.clone();
        let landed = self.watched_by(each, |onlooker| match &wanted.way {
            Way::Csv(to) => landing::to_csv(to, wanted, &self.origin(), onlooker).map(|landed| vec![landed]),
            Way::Schema { schema, name } => {
                landing::into_schema(&destination, wanted, (schema, name.as_deref()), &self.origin(), &mut remarks, onlooker)
            }
            Way::Replace { .. } | Way::Merge { .. } => {
                let mut change = Change::stage(&destination, wanted, &self.origin(), onlooker)?;
                change.difference(20, onlooker)?;
                change.apply(&mut remarks, onlooker)
            }
        })?;
        Ok((landed, remarks))
    }

    #[track_caller]
    pub fn brings(&self, wanted: &Wanted) -> (Vec<Landed>, Vec<String>) {
        self.bring(wanted).unwrap_or_else(|fault| panic!("{fault} ({})", fault.hint))
    }

    #[track_caller]
    pub fn refuses(&self, wanted: &Wanted) -> TableFault {
        self.bring(wanted).expect_err("it is refused")
    }

    /// The difference, and then something else, and then the change.
    pub fn shown(&self, wanted: &Wanted, meanwhile: impl FnOnce()) -> (Vec<Difference>, Result<Vec<Landed>, TableFault>) {
        let destination = self.look(wanted).expect("it can be done");
        self.watched(|onlooker| {
            let mut change = Change::stage(&destination, wanted, &self.origin(), onlooker).expect("rows");
            let difference = change.difference(3, onlooker).expect("a difference");
            meanwhile();
            (difference, change.apply(&mut Vec::new(), onlooker))
        })
    }
}

pub fn sql_in(cluster: &Cluster, database: &str, sql: &str) -> String {
    let mut connection = Connection::connect(&cluster.settings().with_dbname(database)).expect("a session");
    let answers = connection.run(sql).unwrap_or_else(|fault| panic!("{sql}: {fault}"));
    let line = |row: &Row| row.values().iter().map(|value| value.clone().unwrap_or_default()).collect::<Vec<_>>().join("|");
    answers.last().map(|rows| rows.iter().map(line).collect::<Vec<_>>().join("\n")).unwrap_or_default()
}

/// All rows of a table, whatever their order.
pub fn rows(table: &str) -> String {
    format!(
        "set timezone = 'UTC'; select count(*) || ' ' || coalesce(md5(string_agg(t::text, '|' order by t::text collate \"C\")), '-') from {table} t"
    )
}
