//! Whether what the backup's databases use is installed here for that version of PostgreSQL: known before anything is fetched.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use thiserror::Error;

use crate::format::descriptor::Private;
use crate::plan::words::{counted, joined, quoted};

/// Its library has its version in its name, and a database's catalog names the one of its own version.
const TIMESCALEDB: &str = "timescaledb";

/// Where an installation keeps its extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Installed {
    extensions: PathBuf,
    libraries: PathBuf,
}

/// Something that the databases use and this machine lacks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub(super) struct Lacking {
    pub message: String,
    /// What to do, as a sentence.
    pub hint: String,
}

/// What nobody could look for, because it is not known where this installation keeps it. None where it was looked for, and of what every PostgreSQL has.
pub(super) fn unknown(programs: &Path, major: u32, private: &Private) -> Option<String> {
    let what = used(private).filter(|_| Installed::of(programs, major).is_none())?;
    Some(format!(
        "it is not known where PostgreSQL {major} in `{}` keeps extensions, so nobody has looked whether {what} is there",
        programs.display()
    ))
}

/// What the databases use, for people; none where it is nothing but what every PostgreSQL has.
pub(super) fn used(private: &Private) -> Option<String> {
    let mut all: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for (database, extensions) in &private.extensions {
        for (name, version) in extensions.iter().filter(|(name, _)| *name != "plpgsql") {
            all.entry((name.as_str(), version.as_str())).or_default().insert(database);
        }
    }
    let each =
        all.iter().map(|((name, version), databases)| format!("{} {version} of {}", quoted(name), joined(databases.iter().map(quoted))));
    (!all.is_empty()).then(|| joined(each.collect::<Vec<_>>()))
}

pub(super) fn must_be_here(programs: &Path, major: u32, private: &Private) -> Result<(), Lacking> {
    // Where they cannot be found the server itself will say what it lacks.
    let Some(installed) = Installed::of(programs, major) else { return Ok(()) };
    let mut missing: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for (database, extensions) in &private.extensions {
        for (name, version) in extensions.iter().filter(|(name, version)| !installed.has(name, version)) {
            missing.entry((name.as_str(), version.as_str())).or_default().insert(database);
        }
    }
    let libraries = private.settings.get("shared_preload_libraries").map(String::as_str).unwrap_or_default();
    let lacking: Vec<&str> = loaded(libraries).filter(|library| !installed.has_library(library)).collect();
    if missing.is_empty() && lacking.is_empty() {
        return Ok(());
    }
    if missing.is_empty() {
        let what = joined(lacking.iter().map(quoted));
        let hint = format!("Install what has it for PostgreSQL {major} on this host; without it the server does not start.");
        let message = format!("PostgreSQL {major} on this host lacks {what}, which the original loads when it starts");
        return Err(Lacking { message, hint });
    }
    let each = missing.iter().map(|((name, version), databases)| {
        let known = installed.versions(name);
        let known = if known.is_empty() { "it is not here at all".to_owned() } else { format!("here is {}", joined(known)) };
        format!("{} {version} in {} ({known})", quoted(name), joined(databases.iter().map(quoted)))
    });
    let what = joined(each.collect::<Vec<_>>());
    let hint = format!(
        "Install {} for PostgreSQL {major} on this host, in exactly the versions that the original has.",
        counted(missing.len(), "extension")
    );
    Err(Lacking { message: format!("PostgreSQL {major} on this host lacks {what}"), hint })
}

/// `timescaledb, "$libdir/pg_stat_statements"`.
pub(super) fn loaded(setting: &str) -> impl Iterator<Item = &str> {
    setting.split(',').map(|library| library.trim().trim_matches('"')).filter(|library| !library.is_empty())
}

impl Installed {
    fn of(programs: &Path, major: u32) -> Option<Installed> {
        let asked = |what: &str| {
            let said = Command::new(programs.join("pg_config")).arg(what).output().ok().filter(|said| said.status.success())?;
            Some(PathBuf::from(String::from_utf8_lossy(&said.stdout).trim()))
        };
        let beside = |folder: &str| programs.parent().map(|above| above.join(folder));
        let debian = [PathBuf::from(format!("/usr/share/postgresql/{major}")), PathBuf::from(format!("/usr/lib/postgresql/{major}/lib"))];
        let [debian_share, debian_lib] = debian.map(Some);
        let share = [asked("--sharedir"), beside("share/postgresql"), beside("share"), debian_share];
        let lib = [asked("--pkglibdir"), beside("lib/postgresql"), beside("lib"), debian_lib];
        let extensions =
            share.into_iter().flatten().map(|share| share.join("extension")).find(|at| at.join("plpgsql.control").is_file())?;
        let libraries = lib.into_iter().flatten().find(|at| at.join("plpgsql.so").is_file() || at.join("plpgsql.dylib").is_file())?;
        Some(Installed { extensions, libraries })
    }

    fn has(&self, name: &str, version: &str) -> bool {
        let library = || ["so", "dylib"].iter().any(|end| self.libraries.join(format!("{name}-{version}.{end}")).is_file());
        self.versions(name).contains(version) && (name != TIMESCALEDB || library())
    }

    /// As PostgreSQL looks for it, with or without its ending.
    fn has_library(&self, library: &str) -> bool {
        let name = library.strip_prefix("$libdir/").unwrap_or(library);
        let at = self.libraries.join(name);
        at.is_file() || ["so", "dylib"].iter().any(|end| PathBuf::from(format!("{}.{end}", at.display())).is_file())
    }

    /// The versions that its scripts make or lead to. None where it is not installed.
    fn versions(&self, name: &str) -> BTreeSet<String> {
        let control = fs::read_to_string(self.extensions.join(format!("{name}.control"))).unwrap_or_default();
        let named = control.lines().find_map(|line| line.trim().strip_prefix("default_version")?.trim().strip_prefix('='));
        let mut versions: BTreeSet<String> = named.map(|value| value.trim().trim_matches('\'').to_owned()).into_iter().collect();
        if versions.is_empty() {
            return versions;
        }
        for entry in fs::read_dir(&self.extensions).into_iter().flatten().flatten() {
            let file = entry.file_name().to_string_lossy().into_owned();
            let words = file.strip_prefix(name).and_then(|rest| rest.strip_prefix("--")).and_then(|rest| rest.strip_suffix(".sql"));
            versions.extend(words.into_iter().flat_map(|words| words.split("--")).map(str::to_owned));
        }
        versions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_here_when_a_script_names_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let put = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, text).expect("written");
        };
        put("share/extension/plpgsql.control", "default_version = '1.0'\n");
        put("share/extension/hstore.control", "# hstore\ndefault_version = '1.8'\n");
        for script in ["hstore--1.4.sql", "hstore--1.4--1.5.sql", "hstore--unpackaged.sqlx", "hstore2--9.sql"] {
            put(&format!("share/extension/{script}"), "");
        }
        put("share/extension/timescaledb.control", "default_version = '2.17.2'\n");
        put("share/extension/timescaledb--2.16.0--2.17.2.sql", "");
        put("lib/plpgsql.so", "");
        put("lib/timescaledb-2.17.2.so", "");
        let programs = folder.path().join("bin");
        let installed = Installed::of(&programs, 99).expect("found beside the programs");
        for (name, version, there) in [
            ("hstore", "1.8", true),
            ("hstore", "1.5", true),
            ("hstore", "9", false),
            ("postgis", "3.4", false),
            ("timescaledb", "2.17.2", true),
            ("timescaledb", "2.16.0", false),
        ] {
            assert_eq!(installed.has(name, version), there, "{name} {version}");
        }
        let uses = |name: &str, version: &str| {
            let extensions = BTreeMap::from([("app".to_owned(), BTreeMap::from([(name.to_owned(), version.to_owned())]))]);
            must_be_here(&programs, 99, &Private { extensions, ..Private::default() })
        };
        assert_eq!(uses("plpgsql", "1.0"), Ok(()));
        let lacks = uses("hstore", "9").expect_err("it is another version");
        assert_eq!(lacks.message, "PostgreSQL 99 on this host lacks `hstore` 9 in `app` (here is 1.4, 1.5 and 1.8)");
        let loads = |libraries: &str| {
            let settings = BTreeMap::from([("shared_preload_libraries".to_owned(), libraries.to_owned())]);
            must_be_here(&programs, 99, &Private { settings, ..Private::default() })
        };
        assert_eq!((loads(""), loads("plpgsql"), loads("\"$libdir/timescaledb-2.17.2\", plpgsql.so")), (Ok(()), Ok(()), Ok(())));
        assert!(loads("plpgsql, citus").expect_err("not there").message.contains("lacks `citus`, which the original loads"));
        assert!(uses("postgis", "3.4").expect_err("not there").message.contains("it is not here at all"));
    }
}
