//! What the text of somebody's own procedure says of rows that it takes away. A text says neither what it calls nor what it puts together while it runs.

use crate::inventory::TableName;

/// By which rows go.
const REMOVES: [&str; 4] = ["drop_chunks", "delete from", "truncate", "drop table"];
/// Where these are read, somebody has thought of holds.
const HEEDS: [&str; 2] = ["seawall.legal_hold", "seawall.hold"];

/// By what it takes rows away, and out of which of these tables; of which, where it names none, may be of any.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Read {
    pub removes: Vec<String>,
    pub names: Vec<TableName>,
}

/// `told` is what the job is told, and may name a table as well.
pub(super) fn read<'t>(text: &str, told: &str, tables: impl Iterator<Item = &'t TableName>) -> Read {
    let text = text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
    if HEEDS.iter().any(|words| has(&text, words)) {
        return Read::default();
    }
    let told = told.to_lowercase();
    let names: Vec<TableName> = tables
        .filter(|table| {
            let name = table.name.to_lowercase();
            has(&text, &name) || has(&told, &name)
        })
        .cloned()
        .collect();
    // Rows of a plain table may be nobody's concern; what goes by chunks, or is put together while it runs, may be of any hypertable.
    let may_mean_any = has(&text, "drop_chunks") || has(&text, "execute");
    let removes = REMOVES.iter().filter(|words| has(&text, words) && (may_mean_any || !names.is_empty()));
    Read { removes: removes.map(|words| (*words).to_owned()).collect(), names }
}

/// As words, and not inside of a longer one.
fn has(text: &str, words: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(words).any(|(at, _)| !text[..at].ends_with(is_part) && !text[at + words.len()..].starts_with(is_part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str, told: &str) -> (Vec<String>, Vec<String>) {
        let tables = ["prices", "Ticks", "tick"].map(|name| TableName { schema: "public".into(), name: name.into() });
        let Read { removes, names } = read(text, told, tables.iter());
        (removes, names.into_iter().map(|table| table.name).collect())
    }

    #[test]
    fn what_takes_rows_away_is_found_with_the_tables_it_names() {
        for (text, told, removes, names) in [
            ("perform drop_chunks('prices', interval '1 year')", "", &["drop_chunks"][..], &["prices"][..]),
            ("PERFORM Drop_Chunks(c, now())", r#"{"of": "public.prices"}"#, &["drop_chunks"], &["prices"]),
            ("delete\n   from \"Ticks\" where old", "", &["delete from"], &["Ticks"]),
            ("execute format('truncate %I', t)", "", &["truncate"], &[]),
            ("perform public.drop_chunks(t, n) from every_table t", "", &["drop_chunks"], &[]),
        ] {
            let expected = (removes.iter().map(ToString::to_string).collect(), names.iter().map(ToString::to_string).collect());
            assert_eq!(said(text, told), expected, "{text}");
        }
        for text in ["insert into prices select 1", "delete from sessions", "perform undrop_chunks_of('x')"] {
            assert!(said(text, "").0.is_empty(), "{text}");
        }
    }

    #[test]
    fn who_reads_the_holds_is_believed() {
        let text = "delete from prices p where not exists (select from seawall.legal_hold where of_table = 'prices')";
        assert_eq!(said(text, ""), Default::default());
    }
}
