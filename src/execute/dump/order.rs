//! What the policy says about a job that dumps databases.

use std::path::PathBuf;
use std::time::Duration;

use crate::execute::backup::{BackupFault, order};
use crate::format::codec::Codec;
use crate::inventory::BackupKind;
use crate::plan::room_needed;
use crate::policy::file::{DumpFormat, Logical, ReadBack, TableFormat, Unmatched};
use crate::policy::model::Method;
use crate::site::Site;
use crate::units::{Bytes, DumpSection, Name};

const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
pub(super) struct Order {
    pub job: Name,
    pub store: Name,
    pub databases: Vec<String>,
    /// How many pieces of a database are dumped at once; one: it is dumped in one piece.
    pub jobs: usize,
    pub options: Logical,
    /// Only these.
    pub tables: Option<Chosen>,
    pub lock_timeout: Duration,
    pub globals: bool,
    pub read_back: ReadBack,
    pub codec: Codec,
    pub local: Option<(PathBuf, bool)>,
    /// What the first backup is taken to need.
    pub first_needs: Option<Bytes>,
    pub timeout: Option<Duration>,
}

/// Chosen tables, as the policy names them.
#[derive(Debug, Clone)]
pub(super) struct Chosen {
    pub names: Vec<String>,
    pub format: TableFormat,
}

impl Order {
    pub(super) fn of(site: &Site<'_>, job: &Name) -> Result<Order, BackupFault> {
        let policy = site.policy;
        let found = policy.backups.get(job).map(|backup| (backup, &backup.method));
        let (backup, options, tables) = match found {
            Some((backup, Method::Logical(options))) => (backup, options.clone(), None),
            Some((backup, Method::Tables(tables))) => {
                let database = tables.database.clone().or_else(|| policy.databases.first().cloned());
                let databases = database.map(|one| vec![one]);
                let options = Logical { databases, globals: Some(false), read_limit: tables.read_limit, ..Logical::default() };
                let format = tables.format.unwrap_or(TableFormat::Custom);
                (backup, options, Some(Chosen { names: tables.tables.clone(), format }))
            }
            _ => return Err(BackupFault::refused(format!("backups.{job} is no dump"), "Only `logical` and `tables` backups are.")),
        };
        let store = backup
            .store
            .clone()
            .ok_or_else(|| BackupFault::refused(format!("backups.{job} names no store"), format!("Add `backups.{job}.store`.")))?;
        let jobs = if options.format == Some(DumpFormat::Custom) { 1 } else { options.jobs.map_or(1, usize::from).max(1) };
        Ok(Order {
            job: job.clone(),
            databases: options.databases.clone().unwrap_or_else(|| policy.databases.clone()),
            jobs,
            lock_timeout: options.lock_timeout.map_or(LOCK_TIMEOUT, order::patience),
            globals: options.globals != Some(false),
            read_back: backup.read_back,
            codec: site.codec(Some(job)),
            local: order::local(policy, &store),
            first_needs: room_needed(policy, backup),
            timeout: backup.timeout.map(order::patience),
            options,
            tables,
            store,
        })
    }

    pub(super) fn kind(&self) -> BackupKind {
        if self.tables.is_some() { BackupKind::Tables } else { BackupKind::Logical }
    }

    /// It is made with PostgreSQL's own programs.
    pub(super) fn needs_programs(&self) -> bool {
        self.tables.as_ref().is_none_or(|tables| tables.format == TableFormat::Custom)
    }

    /// Not all of a database.
    pub(super) fn is_partial(&self) -> bool {
        self.tables.is_some() || self.options.leaves_out()
    }

    /// What every piece of a dump is made with.
    pub(super) fn arguments(&self, dbname: String, snapshot: &str) -> Vec<String> {
        let mut words = vec![
            "--format=custom".to_owned(),
            // Ours is several times faster than that of most versions, and one that has been compressed compresses no more.
            "--compress=0".to_owned(),
            "--no-password".to_owned(),
            format!("--lock-wait-timeout={}", self.lock_timeout.as_millis()),
            format!("--snapshot={snapshot}"),
            format!("--dbname={dbname}"),
        ];
        // Owners are in every dump of this format, also with `--no-owner`: they are left out when it comes back.
        if self.options.grants == Some(false) {
            words.push("--no-privileges".to_owned());
        }
        words
    }

    /// What of a database is dumped: its patterns, each as one word that no shell sees.
    pub(super) fn selection(&self) -> Vec<String> {
        let Logical { schemas, exclude_schemas, tables, exclude_tables, exclude_table_data, .. } = &self.options;
        let all = [
            ("schema", schemas),
            ("exclude-schema", exclude_schemas),
            ("table", tables),
            ("exclude-table", exclude_tables),
            ("exclude-table-data", exclude_table_data),
        ];
        let words = all.into_iter().flat_map(|(word, patterns)| patterns.iter().map(move |pattern| format!("--{word}={pattern}")));
        let is_strict = self.options.unmatched != Some(Unmatched::Allow) && !(schemas.is_empty() && tables.is_empty());
        is_strict.then(|| "--strict-names".to_owned()).into_iter().chain(words).collect()
    }

    /// Of these sections those that the job has, as `pg_dump` is told; no word where it has everything.
    pub(super) fn sections(&self, of: &[DumpSection]) -> Vec<String> {
        let has_all = of.len() == DumpSection::ALL.len() && self.options.lacks().is_none();
        let wanted = of.iter().filter(|section| !has_all && self.options.has(**section));
        wanted.map(|section| format!("--section={section}")).collect()
    }
}
