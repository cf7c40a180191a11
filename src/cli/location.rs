//! What people name on the command line: a file, a directory, standard input, or a revision in git.

use std::path::{Component, Path, PathBuf};

use super::exit::Trouble;

/// Where policies are read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    Stdin,
    Path(PathBuf),
    Git { revision: String, path: String },
}

impl Location {
    /// Reads an argument: `-`, `git:REV:path`, or a path. A file whose name begins with `git:` is written `./git:…`.
    pub fn parse(argument: &str) -> Result<Location, Trouble> {
        if argument == "-" {
            return Ok(Location::Stdin);
        }
        let Some(rest) = argument.strip_prefix("git:") else {
            return Ok(Location::Path(without_dots(Path::new(argument))));
        };
        let (revision, path) = rest.split_once(':').unwrap_or((rest, ""));
        if revision.is_empty() || revision.starts_with('-') {
            return Err(Trouble::usage(
                format!("`{}` names no revision", super::terminal::tame(argument)),
                "Write `git:REV:path`, for example `git:main:policies`.",
            ));
        }
        Ok(Location::Git { revision: revision.to_owned(), path: path.to_owned() })
    }

    /// The arguments, or where policies are when there are none: where SEAWALL_POLICY says, else where they usually are.
    pub fn all(arguments: &[String]) -> Result<Vec<Location>, Trouble> {
        if arguments.is_empty() {
            if let Some(said) = std::env::var_os("SEAWALL_POLICY").filter(|said| !said.is_empty()) {
                return Ok(vec![Location::Path(without_dots(Path::new(&said)))]);
            }
            let usual = Path::new("policies");
            let place = if crate::world::files::is_directory(usual) { usual } else { Path::new(".") };
            return Ok(vec![Location::Path(place.to_owned())]);
        }
        let locations: Vec<Location> = arguments.iter().map(|argument| Location::parse(argument)).collect::<Result<_, _>>()?;
        if locations.iter().filter(|location| **location == Location::Stdin).count() > 1 {
            return Err(Trouble::usage("`-` stands twice", "Standard input can be read once."));
        }
        Ok(locations)
    }
}

/// The path without `.` in it, so that one file has one name. `..` stays: behind a symbolic link it leads elsewhere.
fn without_dots(path: &Path) -> PathBuf {
    let short: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
    if short.as_os_str().is_empty() { PathBuf::from(".") } else { short }
}
