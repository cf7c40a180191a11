//! A dump's table of contents as a whole: what is defined by which words, and what each thing needs.

use super::{BadDump, head};

/// One line of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub id: i64,
    /// In the database that was dumped.
    pub oid: u32,
    /// In `pg_dump`'s words: `TABLE`, `FK CONSTRAINT`.
    pub kind: String,
    pub schema: String,
    /// Of what belongs to a table, often the table's and its own.
    pub name: String,
    pub section: Section,
    /// What makes it.
    pub definition: String,
    /// What its rows are given to.
    pub copy: String,
    pub tablespace: String,
    /// Empty where it is nobody's.
    pub owner: String,
    /// Other lines, by their number.
    pub needs: Vec<i64>,
    /// Rows or large objects follow.
    pub has_data: bool,
}

/// When it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// With whatever stands before it.
    None,
    PreData,
    Data,
    PostData,
}

impl Section {
    pub(super) fn of(number: i64) -> Section {
        match number {
            2 => Section::PreData,
            3 => Section::Data,
            4 => Section::PostData,
            _ => Section::None,
        }
    }
}

impl Item {
    /// All lines of a dump's head: its bytes up to the first row.
    pub fn all(head: &[u8]) -> Result<Vec<Item>, BadDump> {
        head::items(head)
    }

    /// A foreign key that is kept from now on, and checked against what is there by another statement. None where it never was.
    pub fn unchecked(&self) -> Option<String> {
        let bare = self.definition.trim_end().strip_suffix(';')?;
        (!bare.ends_with("NOT VALID") && !bare.ends_with("NOT ENFORCED")).then(|| format!("{bare} NOT VALID"))
    }
}

/// A dump's head, in which roles have other names.
pub fn with_roles(head: &[u8], to: &dyn Fn(&str) -> Option<String>) -> Result<Vec<u8>, BadDump> {
    head::renamed(head, to)
}

/// The columns of `COPY schema.table (a, b) FROM stdin;`, as they stand there: nothing, or in brackets.
pub fn columns_of(copy: &str) -> Option<&str> {
    let rest = copy.strip_prefix("COPY ")?;
    let mut in_quotes = false;
    let end = rest.char_indices().find(|(_, c)| {
        in_quotes ^= *c == '"';
        *c == ' ' && !in_quotes
    });
    let rest = &rest[end?.0..];
    Some(rest[..rest.rfind(" FROM stdin;")?].trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_was_never_checked_stays_so() {
        let key = "ALTER TABLE ONLY public.a\n    ADD CONSTRAINT k FOREIGN KEY (b) REFERENCES public.b(id)";
        let unchecked = |definition: String| {
            let [schema, name, copy, tablespace, owner] = ["public", "a k", "", "", "me"].map(str::to_owned);
            let (kind, section) = ("FK CONSTRAINT".to_owned(), Section::PostData);
            let item = Item {
                id: 1,
                oid: 1,
                kind,
                schema,
                name,
                section,
                definition,
                copy,
                tablespace,
                owner,
                needs: Vec::new(),
                has_data: false,
            };
            item.unchecked()
        };
        assert_eq!(unchecked(format!("{key};\n")), Some(format!("{key} NOT VALID")));
        assert_eq!(unchecked(format!("{key} NOT VALID;\n")), None);
        assert_eq!(unchecked(format!("{key} NOT ENFORCED;\n")), None);
    }

    #[test]
    fn columns_stand_behind_the_name() {
        for (copy, columns) in [
            ("COPY public.orders (id, total) FROM stdin;\n", Some("(id, total)")),
            ("COPY \"a \"\" b\".\"c (d) FROM stdin;\" (\"x y\", z) FROM stdin;\n", Some("(\"x y\", z)")),
            ("COPY public.empty  FROM stdin;\n", Some("")),
            ("COPY public.none () FROM stdin;\n", Some("()")),
            ("INSERT INTO x", None),
        ] {
            assert_eq!(columns_of(copy), columns, "{copy}");
        }
    }
}
