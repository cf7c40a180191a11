//! What `pg_dump` writes for `psql`, as statements for a session of ours.

use crate::policy::sql_name::quoted;

/// Without what only `psql` understands, without settings that an older server does not know, and without making the schema: that may be there.
pub(in crate::execute) fn statements(text: &str, schema: &str) -> String {
    let unquoted = format!("CREATE SCHEMA {schema};");
    let made = format!("CREATE SCHEMA {};", quoted(schema));
    let key = restricted(text);
    let mut in_head = true;
    let mut made_once = false;
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end_matches(['\n', '\r']);
        let is_restriction =
            key.is_some_and(|key| bare.strip_prefix("\\restrict ").or_else(|| bare.strip_prefix("\\unrestrict ")) == Some(key));
        let is_setting = in_head && bare.starts_with("SET ");
        in_head &= bare.is_empty()
            || bare.starts_with("--")
            || bare.starts_with("SET ")
            || bare.starts_with("SELECT pg_catalog.set_config(")
            || is_restriction;
        // The first one is it: before it there is nothing in which somebody's words could be.
        let is_making = !made_once && (bare == unquoted || bare == made);
        made_once |= is_making;
        if !is_restriction && !is_setting && !is_making {
            out.push_str(line);
        }
    }
    out
}

/// Newer versions of `pg_dump` forbid `psql`'s own commands in between, by a word that nobody can guess.
fn restricted(text: &str) -> Option<&str> {
    let head = text.lines().find(|line| !line.is_empty() && !line.starts_with("--"))?;
    head.strip_prefix("\\restrict ").filter(|key| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_psqls_own_is_left_out() {
        let text = "--\n-- PostgreSQL database dump\n--\n\n\\restrict Ab1\n\n-- Dumped from\n\nSET statement_timeout = 0;\nSET transaction_timeout = 0;\n\
                    SELECT pg_catalog.set_config('search_path', '', false);\n\nCREATE SCHEMA back;\n\nSET default_tablespace = '';\n\n\
                    CREATE TABLE back.t (a text);\nCOMMENT ON TABLE back.t IS '\n\\unrestrict Xy2\nCREATE SCHEMA back;\nSET a = b;\n';\n\n\\unrestrict Ab1\n";
        let all = statements(text, "back");
        assert!(!all.contains("restrict Ab1") && !all.contains("_timeout"), "{all}");
        assert!(all.contains("SET default_tablespace") && all.contains("set_config"), "{all}");
        assert!(all.contains("'\n\\unrestrict Xy2\nCREATE SCHEMA back;\nSET a = b;\n'"), "{all}");
        assert!(!all.contains("false);\n\nCREATE SCHEMA"), "{all}");
        assert_eq!(statements("CREATE SCHEMA \"a\"\"b\";\nx", "a\"b"), "x");
    }
}
