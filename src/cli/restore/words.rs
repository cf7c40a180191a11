//! What is said on the command line, as what it means.

use super::Goal;
use crate::cli::exit::Trouble;
use crate::cli::terminal::tame;
use crate::execute::restore::{Remapped, TimelineChoice, Which};
use crate::policy::model::Policy;
use crate::recovery::Target;
use crate::units::Instant;

pub(super) fn timeline(text: &str) -> Result<TimelineChoice, String> {
    match text {
        "latest" => Ok(TimelineChoice::Latest),
        "current" => Ok(TimelineChoice::Current),
        number => number.parse().map(TimelineChoice::Number).map_err(|_| "say `latest`, `current`, or a number from 1 on".to_owned()),
    }
}

pub(super) fn tablespace(text: &str) -> Result<Remapped, String> {
    let (which, to) = text.split_once('=').filter(|(which, to)| !which.is_empty() && !to.is_empty()).ok_or("write OID=DIR or OLD=NEW")?;
    let which = which.parse().map_or_else(|_| Which::Path(which.trim_end_matches('/').to_owned()), Which::Number);
    let to = std::path::absolute(to).map_err(|error| error.to_string())?;
    Ok(Remapped { which, to })
}

/// `app=web`; a name with a `=` in it as SQL quotes it: `"a=b"=web`.
pub(super) fn role(text: &str) -> Result<(String, String), String> {
    let (old, new) = match text.strip_prefix('"') {
        Some(rest) => {
            let end = rest.replace("\"\"", "..").find("\"=").ok_or("write \"OLD\"=NEW")?;
            (rest[..end].replace("\"\"", "\""), &rest[end + 2..])
        }
        None => text.split_once('=').map(|(old, new)| (old.to_owned(), new)).ok_or("write OLD=NEW")?,
    };
    let new = match new.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) if new.len() > 1 => inner.replace("\"\"", "\""),
        _ => new.to_owned(),
    };
    if old.is_empty() || new.is_empty() { Err("write OLD=NEW".to_owned()) } else { Ok((old, new)) }
}

pub(super) fn setting(text: &str) -> Result<(String, String), String> {
    let good = |name: &&str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'));
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Some(name.trim())
        .filter(good)
        .map(|name| (name.to_owned(), value.trim().to_owned()))
        .ok_or_else(|| format!("`{name}` is not a setting"))
}

/// PostgreSQL allows nothing else.
pub(super) fn slot(text: &str) -> Result<String, String> {
    let good = (1..=63).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if good { Ok(text.to_owned()) } else { Err("a slot's name has lower case letters, digits and underscores, at most 63".to_owned()) }
}

impl Goal {
    pub(super) fn target(&self, policy: &Policy) -> Result<Target, Trouble> {
        Ok(if let Some(text) = &self.to {
            Target::Time(time(text, policy)?)
        } else if let Some(lsn) = self.to_lsn {
            Target::Lsn(lsn)
        } else if let Some(xid) = self.to_xid {
            Target::Xid(xid)
        } else if let Some(name) = &self.to_name {
            Target::Named(name.clone())
        } else if self.immediate {
            Target::Immediate(self.backup.clone())
        } else {
            Target::Latest
        })
    }
}

/// A time with its zone; without one, in the policy's, and said so.
pub(in crate::cli) fn time(text: &str, policy: &Policy) -> Result<Instant, Trouble> {
    if let Ok(time) = text.parse::<Instant>() {
        return Ok(time);
    }
    let shown = tame(text);
    let civil: jiff::civil::DateTime = text
        .parse()
        .map_err(|_| Trouble::usage(format!("`{shown}` is not a time"), "Write it with its zone: `2026-11-21T10:14:59+01:00`."))?;
    let zone = policy.zone.name();
    let moment = policy.zone.time_zone().to_ambiguous_timestamp(civil).unambiguous().map_err(|_| {
        let message = format!("`{shown}` is there twice or not at all in {zone}, where the clocks change");
        Trouble::usage(message, "Write it with its offset: `2026-10-25T02:30:00+01:00`.")
    })?;
    eprintln!("note: `{shown}` has no zone; read in {zone}, the policy's, it is {moment}");
    Ok(moment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_what_they_say() {
        assert_eq!(timeline("7").expect("a number"), TimelineChoice::Number("7".parse().expect("seven")));
        assert!(timeline("0").is_err() && timeline("newest").is_err());
        assert_eq!(tablespace("16385=/new").expect("a number").which, Which::Number(16385));
        assert_eq!(tablespace("/old/=/new").expect("a path").which, Which::Path("/old".into()));
        let pair = |old: &str, new: &str| Ok((old.to_owned(), new.to_owned()));
        assert_eq!(role("app=web"), pair("app", "web"));
        assert_eq!(role("Clerk; --=a=b"), pair("Clerk; --", "a=b"));
        assert_eq!(role(r#""a=""b"="x""y""#), pair("a=\"b", "x\"y"));
        assert!(["app", "=web", "app=", "\"app=web"].iter().all(|text| role(text).is_err()));
        assert!(tablespace("16385").is_err() && setting("port").is_err() && setting("a b=1").is_err());
        assert_eq!(setting("port = 5433").expect("a setting"), ("port".to_owned(), "5433".to_owned()));
    }
}
