//! Patterns of schemas and tables, in the language of `pg_dump`: `*` and `?` as in a shell, quotes as in SQL, and everything else a regular
//! expression of PostgreSQL's.

use super::file::Logical;
use super::sql_name;

/// What a pattern says of one name: a schema's, or a table's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part(Vec<Sign>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Just(char),
    One,
    Any,
    /// Only the server knows what it fits.
    Expression(char),
}

/// A table's pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// Without it: whatever schema the table is found in by its name alone.
    pub schema: Option<Part>,
    pub name: Part,
}

/// What means something to a regular expression.
const SPECIAL: &str = "|*+?()[]{}.^$\\";

impl Part {
    /// As PostgreSQL reads it.
    pub fn expression(&self) -> String {
        let sign = |sign: &Sign| match *sign {
            Sign::Just(c) if SPECIAL.contains(c) => format!("\\{c}"),
            Sign::Just(c) | Sign::Expression(c) => c.to_string(),
            Sign::One => ".".to_owned(),
            Sign::Any => ".*".to_owned(),
        };
        format!("^({})$", self.0.iter().map(sign).collect::<String>())
    }

    /// Whether a longer name begins with what this is surely called, at a place where words end: `orders_2026` with `orders`.
    fn begins(&self, name: &str) -> bool {
        let just = self.0.iter().map_while(|sign| if let Sign::Just(c) = sign { Some(*c) } else { None });
        let just: String = just.collect();
        let is_name = just.chars().count() == self.0.len();
        let rest = name.strip_prefix(just.as_str()).filter(|_| !just.is_empty());
        rest.is_some_and(|rest| !is_name || rest.starts_with(|c: char| !c.is_alphabetic()))
    }

    /// None where only the server knows.
    fn fits(&self, name: &str) -> Option<bool> {
        if self.0.iter().any(|sign| matches!(sign, Sign::Expression(_))) {
            return None;
        }
        // Whether the signs so far fit the first so many characters.
        let name: Vec<char> = name.chars().collect();
        let mut fit: Vec<bool> = (0..=name.len()).map(|at| at == 0).collect();
        for sign in &self.0 {
            fit = (0..=name.len())
                .map(|at| match sign {
                    Sign::Any => fit[..=at].contains(&true),
                    Sign::Just(c) => at > 0 && fit[at - 1] && name[at - 1] == *c,
                    Sign::One | Sign::Expression(_) => at > 0 && fit[at - 1],
                })
                .collect();
        }
        fit.last().copied()
    }
}

impl Pattern {
    pub fn read(text: &str) -> Pattern {
        let (mut parts, _) = parts(text);
        let name = parts.pop().unwrap_or_default();
        Pattern { schema: parts.pop(), name }
    }

    /// None where that cannot be known without the server.
    fn fits(&self, schema: Option<&str>, name: &str) -> Option<bool> {
        let of_schema = match (&self.schema, schema) {
            (Some(part), Some(schema)) => part.fits(schema),
            // Without a schema it is looked up by the role's search_path, where `public` usually is.
            (None, None | Some("public")) => Some(true),
            _ => None,
        };
        match (of_schema, self.name.fits(name)) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        }
    }
}

/// Between its dots, and whether a quote is left open.
fn parts(text: &str) -> (Vec<Part>, bool) {
    let (mut parts, mut quoted) = (vec![Part::default()], false);
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        let sign = match c {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                Sign::Just('"')
            }
            '"' => {
                quoted = !quoted;
                continue;
            }
            _ if quoted => Sign::Just(c),
            '.' => {
                parts.push(Part::default());
                continue;
            }
            '*' => Sign::Any,
            '?' => Sign::One,
            '$' => Sign::Just(c),
            '[' if characters.peek() == Some(&']') => Sign::Just(c),
            _ if SPECIAL.contains(c) => Sign::Expression(c),
            // No further: what is beyond ASCII `pg_dump` leaves as it is.
            _ => Sign::Just(c.to_ascii_lowercase()),
        };
        parts.last_mut().expect("there is one").0.push(sign);
    }
    (parts, quoted)
}

/// What is wrong with a text as a pattern of so many names, and what it should be.
pub fn fault(text: &str, most: usize) -> Option<(String, String)> {
    let shown = crate::units::clipped(text);
    let (parts, is_open) = parts(text);
    if is_open {
        let hint = "Double quotes come in pairs; one inside a name is written twice.";
        return Some((format!("`{shown}` has a quote that is not closed"), hint.into()));
    }
    if parts.len() > most || parts.iter().any(|part| part.0.is_empty()) || text.contains('\0') {
        let form = if most == 1 { "Write a schema, `sales_*`" } else { "Write a table, `orders_*` or `sales.orders_*`" };
        return Some((
            format!("`{shown}` is no pattern as `pg_dump` reads them"),
            format!("{form}; a dot that is part of a name stands in double quotes."),
        ));
    }
    None
}

/// Why a dump surely does not have the rows of a table, as the policy names it; none also where that cannot be known without the server.
pub fn left_out(dump: &Logical, table: &str) -> Option<String> {
    let mut meaning = sql_name::meaning(table);
    let name = meaning.pop()?;
    let schema = meaning.pop();
    let of_table = |pattern: &&String| Pattern::read(pattern).fits(schema.as_deref(), &name);
    let of_schema = |pattern: &&String| schema.as_deref().and_then(|schema| Pattern::read(pattern).name.fits(schema));
    let said = |key: &str, pattern: &String| format!("`{key}: {pattern}`");
    let fits = |patterns: &[String], key: &str| patterns.iter().find(|one| of_table(one) == Some(true)).map(|one| said(key, one));
    let excluded = || fits(&dump.exclude_tables, "exclude_tables").or_else(|| fits(&dump.exclude_table_data, "exclude_table_data"));
    let none_of = |patterns: &[String], fits: &dyn Fn(&&String) -> Option<bool>| {
        !patterns.is_empty() && patterns.iter().all(|one| fits(&one) == Some(false))
    };
    // Beside `tables` those of schemas mean nothing.
    let by_schema = || {
        let out = dump.exclude_schemas.iter().find(|one| of_schema(one) == Some(true)).map(|one| said("exclude_schemas", one));
        out.or_else(|| none_of(&dump.schemas, &of_schema).then(|| "it is in none of its `schemas`".to_owned()))
    };
    // Partitions come with their table, and are usually called after it.
    let may_be_a_part = || dump.tables.iter().any(|one| Pattern::read(one).name.begins(&name));
    let none = "it is none of its `tables`, which have their partitions with them";
    let chosen = || match dump.tables.is_empty() {
        true => by_schema(),
        false => (none_of(&dump.tables, &of_table) && !may_be_a_part()).then(|| none.to_owned()),
    };
    excluded().or_else(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_read_as_pg_dump_reads_it() {
        let read = |text: &str| {
            let Pattern { schema, name } = Pattern::read(text);
            (schema.map(|part| part.expression()).unwrap_or_default(), name.expression())
        };
        let both = |schema: &str, name: &str| (schema.to_owned(), name.to_owned());
        assert_eq!(read("Orders_*"), both("", "^(orders_.*)$"));
        assert_eq!(read("sales.o?d"), both("^(sales)$", "^(o.d)$"));
        assert_eq!(read(r#""Sal.es"."a*b""#), both(r"^(Sal\.es)$", r"^(a\*b)$"));
        assert_eq!(read(r#""say ""it""; drop table x --""#), both("", r#"^(say "it"; drop table x --)$"#));
        assert_eq!(read("a[0-9]+|b$"), both("", r"^(a[0-9]+|b\$)$"));
        assert_eq!(read("t[]"), both("", r"^(t\[])$"));
        assert_eq!(read("ÄT"), both("", "^(Ät)$"));
    }

    #[test]
    fn what_is_no_pattern_is_said() {
        for (text, most) in [("a.b.c", 2), ("a.b", 1), ("", 1), ("a.", 2), ("\"open", 2), ("a\0", 1)] {
            assert!(fault(text, most).is_some(), "{text}");
        }
        for (text, most) in [("a", 1), ("a.b", 2), ("\"a.b\"", 1), ("*", 2), ("(a|b)*.c", 2)] {
            assert_eq!(fault(text, most), None, "{text}");
        }
    }

    #[test]
    fn what_a_dump_surely_leaves_out_is_known_without_a_server() {
        let one = |text: &str| vec![text.to_owned()];
        let out = |dump: Logical, table: &str| left_out(&dump, table);
        let without = |pattern: &str| Logical { exclude_tables: one(pattern), ..Logical::default() };
        assert_eq!(out(without("audit_*"), "audit_log").as_deref(), Some("`exclude_tables: audit_*`"));
        assert_eq!(out(without("audit_*"), "public.audit_log").as_deref(), Some("`exclude_tables: audit_*`"));
        assert_eq!(out(without("audit_*"), "sales.audit_log"), None, "the search_path may not have that schema");
        assert_eq!(out(without("public.audit_*"), "audit_log"), None, "nobody said in which schema it lies");
        assert_eq!(out(without("audit_*"), "orders"), None);
        assert_eq!(out(without("(audit|log)"), "audit"), None, "only the server reads that");
        let only = Logical { tables: vec!["orders".into(), "sales.*".into()], ..Logical::default() };
        assert_eq!(out(only.clone(), "orders"), None);
        assert_eq!(out(only.clone(), "customers"), None, "it may be in `sales`");
        let none = Some("it is none of its `tables`, which have their partitions with them");
        assert_eq!(out(only.clone(), "public.customers").as_deref(), none);
        assert_eq!(out(only.clone(), "public.orders_2026"), None, "it may be a partition, which comes with its table");
        assert_eq!(out(only.clone(), "public.orders2026"), None);
        assert_eq!(out(only, "public.ordersomething").as_deref(), none);
        let only = |pattern: &str| Logical { tables: one(pattern), ..Logical::default() };
        assert_eq!(out(only("sales.events_?"), "sales.events_1_a"), None, "a part of `events_1`");
        assert_eq!(out(only("*_old"), "orders").as_deref(), none);
        assert_eq!(out(only("\"Events\""), "\"Events_p1\""), None);
        let schemas = Logical { schemas: one("sales"), exclude_table_data: one("Se*"), ..Logical::default() };
        assert_eq!(out(schemas.clone(), "public.orders").as_deref(), Some("it is in none of its `schemas`"));
        assert_eq!(out(schemas.clone(), "sales.orders"), None);
        assert_eq!(out(schemas, "sessions").as_deref(), Some("`exclude_table_data: Se*`"));
        let others = Logical { exclude_schemas: one("tmp*"), ..Logical::default() };
        assert_eq!(out(others, "tmp_1.orders").as_deref(), Some("`exclude_schemas: tmp*`"));
    }
}
