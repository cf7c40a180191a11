//! TimescaleDB's jobs: their owners stand among rows, and not where a dump says whose things are.

use super::{Item, columns_of};
use crate::format::copied::{END, meaning, values, written};
use crate::format::sql::quoted;

/// Where they are, in newer and in older versions.
const HOMES: [&str; 2] = ["_timescaledb_catalog", "_timescaledb_config"];

/// It has their rows.
pub(super) fn are_in(item: &Item) -> bool {
    item.kind == "TABLE DATA" && item.has_data && is_table(&item.schema, &item.name)
}

/// Its rows are jobs.
pub fn is_table(schema: &str, name: &str) -> bool {
    name == "bgw_job" && HOMES.contains(&schema)
}

/// The same rows, with other owners. None where they are not as TimescaleDB has them. `columns` stand in brackets.
pub fn with_owners(columns: &str, rows: &[u8], to: &dyn Fn(&str) -> Option<String>) -> Option<Vec<u8>> {
    let at = owner_at(columns)?;
    let (mut out, mut is_over) = (Vec::with_capacity(rows.len()), false);
    for line in rows.split_inclusive(|byte| *byte == b'\n') {
        is_over |= line.strip_suffix(b"\n") == Some(END);
        if is_over {
            out.extend(line);
            continue;
        }
        let (row, end) = line.strip_suffix(b"\n").map_or((line, &b""[..]), |row| (row, b"\n"));
        for (number, value) in values(row).enumerate() {
            if number > 0 {
                out.push(b'\t');
            }
            match (number == at).then(|| to(&owner(value)?)).flatten() {
                Some(new) => out.extend(written(&quoted(&new)).as_bytes()),
                None => out.extend(value),
            }
        }
        out.extend(end);
    }
    Some(out)
}

pub(super) fn have_owners(columns: &str) -> bool {
    owner_at(columns).is_some()
}

fn owner_at(columns: &str) -> Option<usize> {
    let mut columns = columns.strip_prefix('(')?.strip_suffix(')')?.split(", ");
    columns.position(|column| column == "owner")
}

/// As SQL names a role.
fn owner(value: &[u8]) -> Option<String> {
    let text = meaning(value)?;
    match text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => Some(inner.replace("\"\"", "\"")),
        None => Some(text),
    }
}

/// How a dump says which columns its rows have.
pub(super) fn columns(copy: &str) -> &str {
    columns_of(copy).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_change_and_nothing_else() {
        let to = |role: &str| match role {
            "app" => Some("we\tb".to_owned()),
            "Old \"one\"" => Some("new".to_owned()),
            _ => None,
        };
        let columns = columns("COPY _timescaledb_config.bgw_job (id, proc_name, owner, config) FROM stdin;\n");
        let rows = b"1000\tapp\tapp\t{\"app\": 1}\n1001\tx\t\"Old \"\"one\"\"\"\t\\N\n1002\t\\\\.\tother\t\\N\n\\.\n\n\n";
        let changed = b"1000\tapp\t\"we\\tb\"\t{\"app\": 1}\n1001\tx\t\"new\"\t\\N\n1002\t\\\\.\tother\t\\N\n\\.\n\n\n";
        assert_eq!(with_owners(columns, rows, &to).as_deref(), Some(changed.as_slice()));
        assert_eq!(with_owners("(id, config)", rows, &to), None);
        assert_eq!(with_owners("", rows, &to), None);
    }
}
