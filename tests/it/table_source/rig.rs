//! A cluster with backups, and private servers that hold some of its tables.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use seawall::cli::here::Here;
use seawall::cli::terminal::Colour;
use seawall::execute::table::source::{self, Fault, Held, Onlooker, Planned, Progress, TableName, Wanted};
use seawall::inventory::Phase;
use seawall::policy::model::Policy;
use seawall::postgres::Connection;
use seawall::recovery::Target;
use seawall::site::Site;

use crate::clusters::{Account, Cluster};
use crate::drill::rig::{copies, servers_below};

/// A policy's tables, as the library sees them.
pub struct Tables {
    policy: Policy,
    here: Here,
    folder: PathBuf,
    pub programs: PathBuf,
}

/// What was planned, and what came of it.
pub struct Got {
    pub held: Held,
    pub fetch: u64,
    pub fetch_of: u64,
    pub size: u64,
    pub warnings: Vec<String>,
}

impl std::fmt::Debug for Got {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Got({:?})", self.held)
    }
}

pub fn table(name: &str) -> TableName {
    let (schema, name) = name.split_once('.').expect("a schema");
    TableName { schema: schema.to_owned(), name: name.to_owned() }
}

/// All rows of it, as one text.
pub fn hash(table: &str) -> String {
    format!("select count(*) || ' ' || coalesce(md5(string_agg(t::text, '/' order by t::text)), '') from {table} t")
}

impl Tables {
    pub fn of(cluster: &Cluster, programs: PathBuf) -> Tables {
        Tables::in_folder(cluster.folder(), cluster.account(), programs)
    }

    pub fn in_folder(folder: &Path, account: Account, programs: PathBuf) -> Tables {
        for name in ["copies", "other-state"] {
            fs::create_dir_all(folder.join(name)).expect("a folder");
            fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).expect("a folder that the server may enter");
            account.own(&folder.join(name));
        }
        let here = Here {
            policy: Some(folder.join("policy.yaml")),
            state: Some(folder.join("other-state")),
            host: Some("db-1".parse().expect("a name")),
        };
        let policy = here.read(Colour::Never).expect("a sound policy");
        Tables { policy, here, folder: folder.to_owned(), programs }
    }

    pub fn site(&self) -> Site<'_> {
        self.here.site(&self.policy)
    }

    pub fn wanted(&self, names: &[&str], target: Target) -> Wanted {
        Wanted {
            directory: Some(self.place()),
            programs: Some(self.programs.clone()),
            seawall: Some(crate::restore::rig::program().into()),
            ..Wanted::new(names.iter().map(|name| table(name)).collect(), target)
        }
    }

    pub fn place(&self) -> PathBuf {
        self.folder.join("copies")
    }

    pub fn hold(&self, wanted: &Wanted) -> Result<Got, Fault> {
        self.hold_until(wanted, &|_, _| {})
    }

    /// `each` hears of every phase, and may ask for the end.
    pub fn hold_until(&self, wanted: &Wanted, each: &(dyn Fn(Phase, &AtomicBool) + Sync)) -> Result<Got, Fault> {
        let site = self.site();
        let (stop, progress) = (AtomicBool::new(false), Progress::default());
        let phase = |phase: Phase| each(phase, &stop);
        let onlooker = Onlooker { phase: &phase, stop: &stop, progress: &progress };
        let planned = source::physical(&site, wanted, onlooker)?;
        let Planned { fetch, fetch_of, size, .. } = planned;
        let warnings = planned.warnings.clone();
        let held = planned.hold(onlooker)?;
        Ok(Got { held, fetch, fetch_of, size, warnings })
    }

    pub fn nothing_is_left(&self) {
        assert_eq!(copies(&self.place()), Vec::<PathBuf>::new());
        let began = std::time::Instant::now();
        while !servers_below(&self.place()).is_empty() {
            assert!(began.elapsed().as_secs() < 60, "{:?} run on", servers_below(&self.place()));
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let links = self.folder.join("other-state/policies");
        let left: Vec<PathBuf> = copies(&links).iter().flat_map(|policy| copies(&policy.join("tables"))).collect();
        assert_eq!(left, Vec::<PathBuf>::new());
    }
}

impl Got {
    pub fn connect(&self) -> Connection {
        let settings = self.held.settings(&self.held.database).expect("settings");
        Connection::connect(&settings).unwrap_or_else(|fault| panic!("{fault}"))
    }

    pub fn sql(&self, statement: &str) -> String {
        let rows = self.connect().query(statement, &[]).unwrap_or_else(|fault| panic!("{statement}: {fault}"));
        let lines = rows.iter().map(|row| row.values().iter().map(|value| value.clone().unwrap_or_default()).collect::<Vec<_>>().join("|"));
        lines.collect::<Vec<_>>().join("\n")
    }
}
