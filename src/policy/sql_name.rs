//! Names and texts as SQL reads them: a name that is not quoted is folded to lower case.

/// What is wrong with a text as the name of a table, a view or a column, and what it should be.
pub fn fault(text: &str, parts: usize) -> Option<(String, String)> {
    let shown = crate::units::clipped(text);
    let pieces = match split(text) {
        Some(pieces) => pieces,
        None => {
            return Some((
                format!("`{shown}` has a quote that is not closed"),
                "Double quotes come in pairs; one inside a name is written twice.".into(),
            ));
        }
    };
    if pieces.len() > parts || pieces.iter().any(|piece| piece.is_empty() || piece == "\"\"") {
        let form = if parts == 1 { "Write one name." } else { "Write `table` or `schema.table`." };
        return Some((format!("`{shown}` is not a name in SQL"), form.into()));
    }
    for piece in &pieces {
        let quotes = if piece.starts_with('"') { 2 } else { 0 };
        if piece.len() - quotes > 63 {
            return Some((
                format!("`{shown}` is longer than the 63 bytes that PostgreSQL allows"),
                "Check the name; PostgreSQL would cut it.".into(),
            ));
        }
        if is_quoted(piece) || is_plain(piece) {
            continue;
        }
        let quoted: Vec<String> = pieces
            .iter()
            .map(|each| if each.starts_with('"') || is_plain(each) { each.clone() } else { format!("\"{}\"", each.replace('"', "\"\"")) })
            .collect();
        let folded = piece.to_lowercase();
        let quoted = quoted.join(".");
        return Some(if is_plain(&folded) {
            let lower = text.to_lowercase();
            (
                format!("`{shown}` needs quoting: PostgreSQL would read it as `{}`", crate::units::clipped(&lower)),
                format!("Write `'{quoted}'`, or `{lower}` if that is its name."),
            )
        } else {
            (format!("`{shown}` needs quoting to be a name in SQL"), format!("Write `'{quoted}'` if that is its name."))
        });
    }
    None
}

/// What a name means: quotes taken off, the rest folded.
pub fn meaning(text: &str) -> Vec<String> {
    split(text)
        .unwrap_or_default()
        .into_iter()
        .map(|piece| match piece.strip_prefix('"').map(|rest| rest.strip_suffix('"').unwrap_or(rest)) {
            Some(inner) => inner.replace("\"\"", "\""),
            None => piece.to_lowercase(),
        })
        .collect()
}

/// A name as SQL reads it back. Always quoted, so that no list of reserved words has to be up to date.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL reads it back, whatever `standard_conforming_strings` is.
pub fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// Two texts name the same table; one without a schema matches any.
pub fn same_table(one: &str, other: &str) -> bool {
    let (one, other) = (meaning(one), meaning(other));
    match (one.as_slice(), other.as_slice()) {
        ([.., a], [.., b]) if one.len() != other.len() => a == b,
        _ => one == other,
    }
}

/// One name in quotes, and nothing behind it.
fn is_quoted(piece: &str) -> bool {
    let inside = piece.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inside.is_some_and(|inside| !inside.replace("\"\"", "").contains('"'))
}

fn is_plain(piece: &str) -> bool {
    piece.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && piece.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'$')
}

/// The parts between dots, each still with its quotes.
fn split(text: &str) -> Option<Vec<String>> {
    let mut pieces = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            '.' if !quoted => {
                pieces.push(String::new());
                continue;
            }
            _ => {}
        }
        pieces.last_mut()?.push(c);
    }
    (!quoted).then_some(pieces)
}

#[cfg(test)]
mod tests {
    use super::{fault, meaning, same_table};

    #[test]
    fn plain_and_quoted_names_pass() {
        for name in ["orders", "public.orders", "_x1", "\"Order\"", "public.\"Order Lines\"", "\"a.b\".c", "\"say \"\"hi\"\"\""] {
            assert_eq!(fault(name, 2), None, "{name}");
        }
    }

    #[test]
    fn what_would_be_read_differently_is_refused() {
        assert_eq!(
            fault("Orders", 2).map(|(message, _)| message),
            Some("`Orders` needs quoting: PostgreSQL would read it as `orders`".into())
        );
        for name in ["\"a\"(); drop table b; --\"c\"", "\"a\"b", "order lines", "a.b.c", "", ".", "x; drop table y", "\"open", "1st"] {
            assert!(fault(name, 2).is_some(), "{name}");
        }
    }

    #[test]
    fn quotes_inside_of_a_name_are_part_of_it() {
        assert_eq!(meaning(r#""say ""hi""".X"#), [r#"say "hi""#, "x"]);
        assert_eq!(meaning(r#""""""#), [r#"""#]);
    }

    #[test]
    fn a_name_without_schema_matches_any() {
        assert!(same_table("orders", "public.orders"));
        assert!(same_table("\"orders\"", "orders"));
        assert!(!same_table("shop.orders", "public.orders"));
    }
}
