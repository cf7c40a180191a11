//! `service=`: a named section of pg_service.conf.

use std::path::{Path, PathBuf};

use super::super::fault::Fault;
use super::options;
use super::outside::Outside;
use super::text::Words;

/// Where Debian's libpq looks when PGSYSCONFDIR is not set.
const SYSTEM_DIRECTORY: &str = "/etc/postgresql-common";

/// What the service files say of `name`: the user's own first, then the system's.
pub(super) fn read(name: &str, outside: &Outside<'_>) -> Result<Words, Fault> {
    let own = match outside.env("PGSERVICEFILE") {
        Some(path) => {
            let path = PathBuf::from(path);
            if (outside.file)(&path).is_none() {
                return Err(Fault::config(
                    format!("the service file `{}` cannot be read", path.display()),
                    "PGSERVICEFILE names it: mend the path or who may read it.",
                ));
            }
            Some(path)
        }
        None => outside.home.as_ref().map(|home| home.join(".pg_service.conf")),
    };
    let directory = outside.env("PGSYSCONFDIR").unwrap_or_else(|| SYSTEM_DIRECTORY.to_owned());
    for path in own.into_iter().chain([Path::new(&directory).join("pg_service.conf")]) {
        if let Some(file) = (outside.file)(&path)
            && let Some(words) = section(&file.text, name, &path)?
        {
            return Ok(words);
        }
    }
    Err(Fault::config(
        format!("there is no service `{}`", crate::units::clipped(name)),
        "It is looked for in PGSERVICEFILE or ~/.pg_service.conf, then in pg_service.conf of PGSYSCONFDIR.",
    ))
}

/// The lines of a section. The first of two equal ones counts, as in libpq: so they are handed out in reverse.
fn section(text: &str, name: &str, path: &Path) -> Result<Option<Words>, Fault> {
    let mut found: Option<Words> = None;
    for (index, line) in text.lines().enumerate() {
        let place = format!("line {} of `{}`", index + 1, path.display());
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(heading) = line.strip_prefix('[') {
            if found.is_some() {
                break;
            }
            if heading.strip_suffix(']') == Some(name) {
                found = Some(Words::new());
            }
            continue;
        }
        let Some(words) = &mut found else { continue };
        let Some((option, value)) = line.split_once('=').filter(|(option, _)| !option.starts_with("ldap")) else {
            return Err(Fault::config(format!("{place} is not `name=value`"), "LDAP look-ups are not done; write the values themselves."));
        };
        if option == "service" {
            return Err(Fault::config(format!("{place} names another service"), "Services do not nest: write the values themselves."));
        }
        options::check(option, &place)?;
        words.push((option.to_owned(), value.to_owned()));
    }
    Ok(found.map(|words| words.into_iter().rev().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# ours\n[a]\nhost=first\nhost=second\n port=5433 \n\n[b]\nhost=b\n[c]\nservice=a\n[d]\nnonsense\n[e]\nhots=a\n";

    fn said(name: &str) -> String {
        match section(FILE, name, Path::new("f")) {
            Ok(words) => format!("{words:?}"),
            Err(fault) => fault.to_string(),
        }
    }

    #[test]
    fn a_section_is_its_lines_and_the_first_counts() {
        assert_eq!(said("a"), r#"Some([("port", "5433"), ("host", "second"), ("host", "first")])"#);
        assert_eq!(said("b"), r#"Some([("host", "b")])"#);
        assert_eq!(said("z"), "None");
        assert_eq!(said("c"), "line 10 of `f` names another service");
        assert_eq!(said("d"), "line 12 of `f` is not `name=value`");
        assert_eq!(said("e"), "line 14 of `f` is no option that psql knows");
    }
}
