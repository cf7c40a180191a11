//! The roles that a dump names: as owners, and in the statements that say who may do what.
//!
//! Of definitions only those are read that `pg_dump` itself puts together, word by word the same in all versions: grants, default privileges, whom
//! a policy and a user mapping are for. What people have written (functions, expressions) is left as it is.

use std::ops::Range;

use super::Item;
use crate::format::sql::{Is, Token, quoted, tokens};

/// What `pg_restore` gives to its owner; everything else follows what it belongs to.
const OWNED: [&str; 29] = [
    "ACCESS METHOD",
    "AGGREGATE",
    "BLOB",
    "BLOB METADATA",
    "COLLATION",
    "CONVERSION",
    "DOMAIN",
    "EVENT TRIGGER",
    "FOREIGN DATA WRAPPER",
    "FOREIGN TABLE",
    "FUNCTION",
    "LARGE OBJECT",
    "MATERIALIZED VIEW",
    "OPERATOR",
    "OPERATOR CLASS",
    "OPERATOR FAMILY",
    "PROCEDURAL LANGUAGE",
    "PROCEDURE",
    "PUBLICATION",
    "SCHEMA",
    "SEQUENCE",
    "SERVER",
    "STATISTICS",
    "SUBSCRIPTION",
    "TABLE",
    "TEXT SEARCH CONFIGURATION",
    "TEXT SEARCH DICTIONARY",
    "TYPE",
    "VIEW",
];

impl Item {
    /// It is about the database itself, which `pg_restore` passes over where it is not to make one.
    pub fn is_of_database(&self) -> bool {
        match self.kind.as_str() {
            "DATABASE" | "DATABASE PROPERTIES" => true,
            "ACL" | "COMMENT" | "SECURITY LABEL" => self.name.starts_with("DATABASE "),
            _ => false,
        }
    }

    /// Whom it is given to.
    pub fn owned_by(&self) -> Option<&str> {
        (OWNED.contains(&self.kind.as_str()) && !self.owner.is_empty()).then_some(self.owner.as_str())
    }

    /// It is left out with the grants.
    pub fn is_grant(&self) -> bool {
        matches!(self.kind.as_str(), "ACL" | "ACL LANGUAGE" | "DEFAULT ACL")
    }

    /// Those that its definition names.
    pub fn roles(&self) -> Vec<String> {
        named(&self.kind, &self.definition).unwrap_or_default().into_iter().map(|named| named.role).collect()
    }
}

/// A role, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    at: Range<usize>,
    role: String,
}

/// It is not as `pg_dump` writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Strange;

/// The definition with the other names. None where it stays.
pub(super) fn renamed(item: &Item, to: &dyn Fn(&str) -> Option<String>) -> Result<Option<String>, Strange> {
    let all = named(&item.kind, &item.definition).ok_or(Strange)?;
    let (mut text, mut end) = (String::new(), 0);
    for (at, name) in all.into_iter().filter_map(|named| Some((named.at, to(&named.role)?))) {
        text.push_str(&item.definition[end..at.start]);
        text.push_str(&quoted(&name));
        end = at.end;
    }
    Ok((end > 0).then(|| text + &item.definition[end..]))
}

/// In their order. None where it is strange.
fn named(kind: &str, definition: &str) -> Option<Vec<Named>> {
    match kind {
        "ACL" | "ACL LANGUAGE" | "DEFAULT ACL" => granted(definition),
        "POLICY" => for_whom(definition),
        "USER MAPPING" => mapped(definition),
        _ => Some(Vec::new()),
    }
}

fn granted(definition: &str) -> Option<Vec<Named>> {
    let (mut all, mut from) = (Vec::new(), 0);
    while !definition[from..].trim().is_empty() {
        let text = &definition[from..];
        let (tokens, end) = tokens(text)?;
        let named = in_statement(text, &tokens)?;
        all.extend(named.into_iter().map(|one| Named { at: one.at.start + from..one.at.end + from, ..one }));
        from += end + 1;
    }
    Some(all)
}

fn in_statement(text: &str, tokens: &[Token]) -> Option<Vec<Named>> {
    let begins = |words: &[&str]| words.len() <= tokens.len() && words.iter().zip(tokens).all(|(word, token)| token.is(word));
    if begins(&["reset", "session", "authorization"]) {
        return Some(Vec::new());
    }
    if begins(&["set", "session", "authorization"]) {
        return list(text, tokens, 3).filter(|(_, end)| *end == tokens.len()).map(|(named, _)| named);
    }
    let mut all = Vec::new();
    let mut verb = 0;
    if begins(&["alter", "default", "privileges", "for"]) {
        let (named, end) = list(text, tokens, 5)?;
        all.extend(named);
        verb = end + tokens[end..].iter().position(|token| token.is("grant") || token.is("revoke"))?;
    }
    // Where these are names they stand in quotes.
    let before = match tokens.get(verb)? {
        word if word.is("grant") => "to",
        word if word.is("revoke") => "from",
        _ => return None,
    };
    let at = tokens.iter().rposition(|token| token.is(before))?;
    let (named, end) = list(text, tokens, at + 1)?;
    all.extend(named);
    let rest = &tokens[end..];
    let may_grant = rest.len() == 3 && ["with", "grant", "option"].iter().zip(rest).all(|(word, token)| token.is(word));
    (rest.is_empty() || may_grant).then_some(all)
}

/// `CREATE POLICY … TO one, other USING (…)`: for everybody it has no `TO`.
fn for_whom(definition: &str) -> Option<Vec<Named>> {
    let (tokens, _) = tokens(definition)?;
    let rule = tokens.iter().position(|token| token.is("using") || token.is("with")).unwrap_or(tokens.len());
    match tokens[..rule].iter().position(|token| token.is("to")) {
        Some(at) => list(definition, &tokens, at + 1).filter(|(_, end)| *end == rule).map(|(named, _)| named),
        None => Some(Vec::new()),
    }
}

/// `CREATE USER MAPPING FOR one SERVER …`.
fn mapped(definition: &str) -> Option<Vec<Named>> {
    let (tokens, _) = tokens(definition)?;
    let at = tokens.iter().position(|token| token.is("for"))?;
    list(definition, &tokens, at + 1).filter(|(_, end)| tokens.get(*end).is_some_and(|token| token.is("server"))).map(|(named, _)| named)
}

/// Roles with commas between them, and the token behind them. Everybody is none of them.
fn list(text: &str, tokens: &[Token], from: usize) -> Option<(Vec<Named>, usize)> {
    let (mut all, mut at) = (Vec::new(), from);
    loop {
        at += usize::from(tokens.get(at)?.is("group"));
        let token = tokens.get(at)?;
        let role = token.name()?;
        if !(token.is("public") && matches!(token.is, Is::Word(_))) {
            all.push(Named { at: token.at..token.end, role });
        }
        at += 1;
        if tokens.get(at).is_none_or(|token| &text[token.at..token.end] != ",") {
            return Some((all, at));
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(kind: &str, definition: &str) -> Option<Vec<String>> {
        named(kind, definition).map(|all| all.into_iter().map(|named| named.role).collect())
    }

    #[test]
    fn roles_are_found_where_pg_dump_names_them_and_nowhere_else() {
        for (kind, definition, wanted) in [
            ("ACL", "REVOKE ALL ON TYPE s.t FROM PUBLIC;\nGRANT ALL ON TYPE s.t TO reader;\n", &["reader"][..]),
            (
                "ACL",
                "GRANT SELECT,INSERT ON TABLE s.\"x TO y\" TO reader WITH GRANT OPTION;\nSET SESSION AUTHORIZATION reader;\n\
                 GRANT UPDATE(\"to reader\") ON TABLE s.orders TO \"a,b\";\nRESET SESSION AUTHORIZATION;\n\n",
                &["reader", "reader", "a,b"],
            ),
            ("ACL", "GRANT ALL ON FUNCTION s.f(integer, \"to\") TO \"x\"\"y; --\";\n", &["x\"y; --"]),
            ("ACL", "GRANT SELECT ON TABLE t TO GROUP old;\n", &["old"]),
            (
                "DEFAULT ACL",
                "ALTER DEFAULT PRIVILEGES FOR ROLE \"cl\" IN SCHEMA s GRANT SELECT ON TABLES  TO reader WITH GRANT OPTION;\n",
                &["cl", "reader"],
            ),
            ("DEFAULT ACL", "ALTER DEFAULT PRIVILEGES FOR ROLE a REVOKE ALL ON TABLES FROM a;\n", &["a", "a"]),
            (
                "POLICY",
                "CREATE POLICY \"to p\" ON s.orders AS RESTRICTIVE FOR SELECT TO reader, \"TO public\", \"a,b\" USING ((CURRENT_USER = 'TO x'::name));\n",
                &["reader", "TO public", "a,b"],
            ),
            ("POLICY", "CREATE POLICY p ON t FOR INSERT TO \"with\" WITH CHECK (true);\n", &["with"]),
            ("POLICY", "CREATE POLICY p ON t USING (pg_has_role('x', 'y'));\n", &[]),
            ("USER MAPPING", "CREATE USER MAPPING FOR \"clerk; --\" SERVER srv OPTIONS (\n    \"user\" 'x FOR y;'\n);\n", &["clerk; --"]),
            ("USER MAPPING", "CREATE USER MAPPING FOR public SERVER srv;\n", &[]),
            ("FUNCTION", "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'GRANT x TO y';\n", &[]),
        ] {
            assert_eq!(
                roles(kind, definition).as_deref(),
                Some(wanted.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice()),
                "{definition}"
            );
        }
        for (kind, definition) in [
            ("ACL", "GRANT SELECT ON TABLE t TO a GRANTED BY b;\n"),
            ("ACL", "DROP TABLE t;\n"),
            ("ACL", "GRANT SELECT ON TABLE t TO a"),
            ("DEFAULT ACL", "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO a, ;\n"),
            ("POLICY", "CREATE POLICY p ON t TO a b USING (true);\n"),
        ] {
            assert_eq!(roles(kind, definition), None, "{definition}");
        }
    }

    #[test]
    fn only_the_names_change() {
        let mut item = Item {
            id: 1,
            oid: 0,
            kind: "ACL".into(),
            schema: String::new(),
            name: String::new(),
            section: super::super::Section::None,
            definition: "REVOKE ALL ON TABLE a FROM a;\nGRANT ALL ON TABLE a TO b;\n".into(),
            copy: String::new(),
            tablespace: String::new(),
            owner: String::new(),
            needs: Vec::new(),
            has_data: false,
        };
        let to = |role: &str| (role == "a").then(|| "n\"ew".to_owned());
        let wanted = "REVOKE ALL ON TABLE a FROM \"n\"\"ew\";\nGRANT ALL ON TABLE a TO b;\n";
        assert_eq!(renamed(&item, &to), Ok(Some(wanted.to_owned())));
        assert_eq!(renamed(&item, &|_| None), Ok(None));
        item.definition = "GRANT".into();
        assert_eq!(renamed(&item, &|_| None), Err(Strange));
    }
}
