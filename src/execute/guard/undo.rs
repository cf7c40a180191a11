//! The line that undoes the command: all that `seawall restore` must be told, from whatever folder.

use std::path::PathBuf;

use crate::plan::words::for_shell;
use crate::units::{BackupId, Name, Timeline};

/// What is the same in every line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Around {
    /// The policy's file, absolute.
    pub policy: PathBuf,
    /// This host's state, where somebody said so.
    pub state: Option<PathBuf>,
    pub host: Option<Name>,
    /// The policy does not say where the recovery identity is.
    pub needs_identity: bool,
}

/// The way back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// Recovery from a backup to a point in the log.
    Point {
        store: Name,
        backup: BackupId,
        timeline: Timeline,
        name: Name,
    },
    /// A physical backup as it is.
    Immediate {
        store: Name,
        backup: BackupId,
    },
    /// A dump of these databases.
    Dump {
        store: Name,
        backup: BackupId,
        databases: Vec<String>,
    },
    Files {
        store: Name,
        backup: BackupId,
    },
}

/// What only a person can choose.
pub const DIRECTORY: &str = "DIR";
pub const IDENTITY: &str = "FILE";

/// One line, or one for each database. `tables`, as in SQL, and the `database` they are in narrow it.
pub fn lines(around: &Around, way: &Way, tables: &[String], database: Option<&str>) -> Vec<String> {
    let (store, backup) = way.place();
    let mut base: Vec<String> = ["seawall", "restore"].map(str::to_owned).to_vec();
    let mut say = |name: &str, value: String| base.extend([name.to_owned(), value]);
    say("--policy", around.policy.display().to_string());
    if let Some(state) = &around.state {
        say("--state", state.display().to_string());
    }
    if let Some(host) = &around.host {
        say("--host", host.to_string());
    }
    say("--store", store.to_string());
    say("--backup", backup.to_string());
    let each = if tables.is_empty() { way.whole(database) } else { vec![way.of_tables(tables, database)] };
    let line = |rest: Vec<String>| {
        let words = base.iter().cloned().chain(rest).map(|word| for_shell(&word));
        // What a person writes there is not ours to quote.
        let identity = if around.needs_identity { format!(" --identity {IDENTITY}") } else { String::new() };
        format!("{}{identity}", words.collect::<Vec<_>>().join(" "))
    };
    each.into_iter().map(line).collect()
}

impl Way {
    fn place(&self) -> (&Name, &BackupId) {
        match self {
            Way::Point { store, backup, .. }
            | Way::Immediate { store, backup }
            | Way::Dump { store, backup, .. }
            | Way::Files { store, backup } => (store, backup),
        }
    }

    /// To which moment.
    fn moment(&self) -> Vec<String> {
        match self {
            Way::Point { timeline, name, .. } => {
                ["--timeline", &timeline.0.to_string(), "--to-name", name.as_str()].map(str::to_owned).to_vec()
            }
            Way::Immediate { .. } => vec!["--immediate".to_owned()],
            Way::Dump { .. } | Way::Files { .. } => Vec::new(),
        }
    }

    fn whole(&self, database: Option<&str>) -> Vec<Vec<String>> {
        match self {
            Way::Point { .. } | Way::Immediate { .. } => {
                let place = ["--target", DIRECTORY].map(str::to_owned);
                vec![self.moment().into_iter().chain(place).collect()]
            }
            Way::Dump { databases, .. } => {
                let wanted = databases.iter().filter(|name| database.is_none_or(|database| database == *name));
                let from = |name: &str| if databases.len() > 1 { vec!["--from-database".to_owned(), name.to_owned()] } else { Vec::new() };
                let into = |name: &String| ["--into-database", name, "--replace", "--end-connections"].map(str::to_owned);
                wanted.map(|name| from(name).into_iter().chain(into(name)).collect()).collect()
            }
            Way::Files { .. } => vec![["--files", "--to-root", "/", "--in-place", "--overwrite"].map(str::to_owned).to_vec()],
        }
    }

    fn of_tables(&self, tables: &[String], database: Option<&str>) -> Vec<String> {
        let tables = tables.iter().flat_map(|table| ["--table".to_owned(), table.clone()]);
        let database = database.into_iter().flat_map(|database| ["--database".to_owned(), database.to_owned()]);
        // It is there now, and need not have been when the backup was taken.
        let later = matches!(self, Way::Point { .. }).then(|| "--made-later".to_owned());
        self.moment().into_iter().chain(tables).chain(later).chain(database).chain(["--replace".to_owned()]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around() -> Around {
        Around { policy: "/etc/seawall/policy.yaml".into(), state: None, host: None, needs_identity: false }
    }

    fn point() -> Way {
        let (store, backup) = ("main".parse().expect("a name"), "b-1".parse().expect("an id"));
        Way::Point { store, backup, timeline: Timeline::FIRST, name: "guard-psql".parse().expect("a name") }
    }

    fn dump(databases: &[&str]) -> Way {
        let (store, backup) = ("main".parse().expect("a name"), "b-1".parse().expect("an id"));
        Way::Dump { store, backup, databases: databases.iter().map(|&name| name.to_owned()).collect() }
    }

    #[test]
    fn a_line_says_all_that_restore_must_know() {
        let start = "seawall restore --policy /etc/seawall/policy.yaml --store main --backup b-1";
        let one = |way: &Way, tables: &[String], database| lines(&around(), way, tables, database);
        assert_eq!(one(&point(), &[], None), [format!("{start} --timeline 1 --to-name guard-psql --target DIR")]);
        let tables = ["public.orders".to_owned(), "\"Order Lines\"".to_owned()];
        assert_eq!(
            one(&point(), &tables, Some("shop")),
            [format!(
                "{start} --timeline 1 --to-name guard-psql --table public.orders --table '\"Order Lines\"' --made-later --database shop --replace"
            )]
        );
        assert_eq!(one(&dump(&["shop"]), &[], None), [format!("{start} --into-database shop --replace --end-connections")]);
        assert_eq!(
            one(&dump(&["shop", "it's"]), &[], None),
            [
                format!("{start} --from-database shop --into-database shop --replace --end-connections"),
                format!(r"{start} --from-database 'it'\''s' --into-database 'it'\''s' --replace --end-connections"),
            ]
        );
        assert_eq!(one(&dump(&["shop", "log"]), &[], Some("log")).len(), 1);
        assert_eq!(one(&dump(&["shop"]), &tables[..1], None), [format!("{start} --table public.orders --replace")]);
    }

    #[test]
    fn what_only_people_know_is_left_to_them() {
        let state = Some("/var/lib/sea wall".into());
        let around = Around { state, host: Some("db-1".parse().expect("a name")), needs_identity: true, ..around() };
        let files = Way::Files { store: "main".parse().expect("a name"), backup: "b-1".parse().expect("an id") };
        assert_eq!(
            lines(&around, &files, &[], None),
            ["seawall restore --policy /etc/seawall/policy.yaml --state '/var/lib/sea wall' --host db-1 --store main --backup b-1 \
              --files --to-root / --in-place --overwrite --identity FILE"]
        );
    }
}
