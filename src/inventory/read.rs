use serde::Deserialize;
use serde_json::error::Category;
use thiserror::Error;

use super::check::{self, Problem};
use super::cluster::Inventory;

/// The version of the file's shape that this program reads and writes.
pub const FORMAT_VERSION: u32 = 1;
/// The largest file that is read: some half a million backups.
pub const MAX_BYTES: usize = 512 * 1024 * 1024;

/// Why an inventory cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InventoryError {
    #[error("the inventory has {found} bytes, more than the {MAX_BYTES} that are read")]
    TooLarge { found: usize },
    #[error("the inventory has format version {found} and was written by a newer seawall; this one reads version {FORMAT_VERSION}")]
    NewerFormat { found: u64 },
    #[error("the inventory has format version {found}, which never existed; this seawall reads version {FORMAT_VERSION}")]
    NoSuchFormat { found: u64 },
    #[error("the file is empty")]
    Empty,
    #[error("line {line}, column {column}: {message}")]
    Unreadable { line: usize, column: usize, message: String },
    #[error("the inventory contradicts itself:{}", listed(.problems))]
    Inconsistent { problems: Vec<Problem> },
}

/// Enough to see what is wrong; the rest is only counted.
const LISTED: usize = 20;

fn listed(problems: &[Problem]) -> String {
    let mut text = String::new();
    for problem in problems.iter().take(LISTED) {
        text.push_str(&format!("\n  {problem}"));
    }
    if problems.len() > LISTED {
        text.push_str(&format!("\n  and {} more", problems.len() - LISTED));
    }
    text
}

impl Inventory {
    /// Reads an inventory, and believes it only when it does not contradict itself.
    pub fn from_json(json: &[u8]) -> Result<Inventory, InventoryError> {
        if json.len() > MAX_BYTES {
            return Err(InventoryError::TooLarge { found: json.len() });
        }
        let json = json.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(json);
        if json.trim_ascii().is_empty() {
            return Err(InventoryError::Empty);
        }
        let inventory: Inventory = match serde_json::from_slice(json) {
            Ok(inventory) => inventory,
            // A newer file has keys that this program does not know: its version explains them better than the first such key.
            Err(error) => return Err(foreign_version(json).unwrap_or_else(|| unreadable(&error))),
        };
        if let Some(error) = wrong_version(inventory.format_version.into()) {
            return Err(error);
        }
        let problems = check::problems(&inventory);
        if problems.is_empty() { Ok(inventory) } else { Err(InventoryError::Inconsistent { problems }) }
    }
}

fn foreign_version(json: &[u8]) -> Option<InventoryError> {
    #[derive(Deserialize)]
    struct Version {
        format_version: u64,
    }
    serde_json::from_slice::<Version>(json).ok().and_then(|version| wrong_version(version.format_version))
}

fn wrong_version(found: u64) -> Option<InventoryError> {
    match found {
        0 => Some(InventoryError::NoSuchFormat { found }),
        found if found > FORMAT_VERSION.into() => Some(InventoryError::NewerFormat { found }),
        _ => None,
    }
}

fn unreadable(error: &serde_json::Error) -> InventoryError {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let message = text.strip_suffix(&place).unwrap_or(&text);
    let message = match error.classify() {
        Category::Syntax => format!("this is not JSON: {message}"),
        Category::Eof => format!("the JSON is cut off: {message}"),
        Category::Data | Category::Io => message.to_owned(),
    };
    InventoryError::Unreadable { line: error.line(), column: error.column(), message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::{Observed, ProblemKind, Size};

    fn with_backups(backups: &str) -> String {
        format!(
            r#"{{"format_version":1,"observed_at":"2026-11-21T08:00:00Z","clusters":{{"shop":{{
            "system_identifier":{{"known":"7301234567890123456"}},"postgres_version":{{"known":"16.4"}},
            "cluster_size":{{"known":"500GB"}},"measured":{{"unknown":{{"reason":"no catalog"}}}},"holds":{{"known":[]}},
            "stores":{{"main":{{"known":{{"backups":[{backups}],"wal":[],"used":{{"known":"0B"}}}}}},
            "offsite":{{"unknown":{{"reason":"access denied"}}}}}}}}}}}}"#
        )
    }

    const GOOD: &str =
        r#"{"id":"a","job":"nightly","kind":"full","state":"complete","started":"2026-11-20T02:00:00Z","stopped":"2026-11-20T03:00:00Z"}"#;

    #[test]
    fn what_is_written_is_read_back() {
        let inventory = Inventory::from_json(with_backups(GOOD).as_bytes()).expect("it is sound");
        let written = serde_json::to_vec(&inventory).expect("it can be written");
        assert_eq!(Inventory::from_json(&written), Ok(inventory.clone()));
        let stores = &inventory.clusters["shop"].stores;
        assert!(matches!(&stores["offsite"], Observed::Unknown { reason } if reason == "access denied"));
        assert_eq!(stores["main"].known().map(|store| store.used.clone()), Some(Observed::Known(Size::new(0))));
    }

    #[test]
    fn a_mistake_has_a_line_and_a_column() {
        let error = Inventory::from_json(b"{\n  \"format_version\": 1,\n  \"observed_at\": \"yesterday\"\n}").expect_err("no moment");
        let InventoryError::Unreadable { line: 3, column, message } = error else { panic!("{error:?}") };
        assert!(column > 0 && !message.contains("line 3"), "{message}");
    }

    #[test]
    fn a_newer_file_is_called_newer_though_its_keys_are_unknown() {
        let error = Inventory::from_json(br#"{"format_version":2,"galaxies":{}}"#).expect_err("too new");
        assert_eq!(error, InventoryError::NewerFormat { found: 2 });
        assert!(error.to_string().contains("written by a newer seawall"));
    }

    #[test]
    fn unknown_and_repeated_keys_are_refused() {
        for (json, word) in [
            (r#"{"format_version":1,"observed_at":"2026-11-21T08:00:00Z","clusters":{},"more":1}"#.to_owned(), "more"),
            (with_backups("").replace("\"offsite\"", "\"main\""), "twice"),
            (with_backups("").replace("\"used\":{\"known\":\"0B\"}", "\"used\":{\"known\":\"0B\",\"unknown\":{\"reason\":\"\"}}"), ""),
        ] {
            let error = Inventory::from_json(json.as_bytes()).expect_err(word);
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn every_contradiction_is_reported() {
        let backwards = GOOD.replace("T03:00", "T01:00").replace("\"a\"", "\"b\"");
        let orphan = GOOD.replace("\"a\"", "\"c\"").replace("full", "incremental");
        let circle = GOOD.replace("\"a\"", "\"d\"").replace("full\"", "incremental\",\"parent\":\"d\"");
        let json = with_backups(&[GOOD, GOOD, &backwards, &orphan, &circle].join(","));
        let Err(InventoryError::Inconsistent { problems }) = Inventory::from_json(json.as_bytes()) else { panic!("accepted") };
        let kinds: Vec<_> = problems.iter().map(|problem| problem.kind.clone()).collect();
        let id = |text: &str| text.parse().expect("an id");
        assert_eq!(
            kinds,
            [
                ProblemKind::DuplicateId(id("a")),
                ProblemKind::StopsBeforeStart(id("b")),
                ProblemKind::IncrementalWithoutParent(id("c")),
                ProblemKind::CircularParents(id("d")),
            ]
        );
        assert_eq!(problems[0].place, "clusters.shop.stores.main.backups[1]");
    }

    #[test]
    fn nothing_panics_on_rubbish() {
        let deep = "[".repeat(100_000);
        assert_eq!(Inventory::from_json(b" \n"), Err(InventoryError::Empty));
        for bytes in [&b"\xff\xfe"[..], b"null", b"{}", b"\xEF\xBB\xBF{}", deep.as_bytes()] {
            assert!(matches!(Inventory::from_json(bytes), Err(InventoryError::Unreadable { .. })));
        }
    }
}
