//! `globals.sql`: what `pg_dumpall --globals-only` writes, cut into its statements and told what each is about.

use std::fmt;

use thiserror::Error;

use super::sql::{Token, tokens};

/// Some hundred thousand roles.
pub const MAX_BYTES: u64 = 64 << 20;

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadGlobals {
    #[error("statement {0} of it does not end")]
    Open(usize),
    #[error("it is no UTF-8")]
    Encoding,
}

/// One of them. Its words are never shown: there may be a password's hash among them.
#[derive(Clone, PartialEq, Eq)]
pub struct Statement {
    pub about: About,
    pub sql: String,
}

impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statement").field("about", &self.about).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// `CREATE ROLE`.
    Role(String),
    /// Its attributes, its settings, its comment.
    OfRole(String),
    /// `GRANT` of one role to another one.
    Member { of: String, member: String },
    /// `CREATE TABLESPACE`.
    Tablespace(String),
    /// Everything else, `SET` of the dump's own session among it.
    Other,
}

/// All of them, in their order.
pub fn read(text: &[u8]) -> Result<Vec<Statement>, BadGlobals> {
    let text = std::str::from_utf8(text).map_err(|_| BadGlobals::Encoding)?;
    let mut all = Vec::new();
    let mut rest = text;
    loop {
        rest = skip(rest);
        if rest.is_empty() {
            return Ok(all);
        }
        let (tokens, end) = tokens(rest).ok_or(BadGlobals::Open(all.len() + 1))?;
        let about = about(&tokens);
        let until = match (&about, granted_by(&tokens)) {
            // Whoever granted it need not be there, or may not grant there.
            (About::Member { .. }, Some(at)) => at,
            _ => end,
        };
        all.push(Statement { about, sql: rest[..until].trim_end().to_owned() });
        rest = rest.get(end + 1..).unwrap_or_default();
    }
}

/// White space, comments, and what `psql` alone understands (`\restrict`).
fn skip(text: &str) -> &str {
    let mut rest = text;
    loop {
        let trimmed = rest.trim_start();
        if !trimmed.starts_with("--") && !trimmed.starts_with('\\') {
            return trimmed;
        }
        rest = trimmed.find('\n').map_or("", |end| &trimmed[end..]);
    }
}

fn about(tokens: &[Token]) -> About {
    let word = |at: usize, word: &str| tokens.get(at).is_some_and(|token| token.is(word));
    let name = |at: usize| tokens.get(at).and_then(Token::name);
    let is = match () {
        () if word(0, "create") && word(1, "role") => name(2).map(About::Role),
        () if word(0, "create") && word(1, "tablespace") => name(2).map(About::Tablespace),
        () if word(0, "alter") && word(1, "role") && !(word(3, "in") && word(4, "database")) => name(2).map(About::OfRole),
        () if word(0, "comment") && word(1, "on") && word(2, "role") => name(3).map(About::OfRole),
        () if word(0, "grant") && word(2, "to") => name(1).zip(name(3)).map(|(of, member)| About::Member { of, member }),
        () => None,
    };
    is.unwrap_or(About::Other)
}

/// Where `GRANTED BY` begins.
fn granted_by(tokens: &[Token]) -> Option<usize> {
    let pair = tokens.windows(2).rfind(|pair| pair[0].is("granted") && pair[1].is("by"))?;
    Some(pair[0].at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"--
-- PostgreSQL database cluster dump
--

\restrict x4;y

SET default_transaction_read_only = off;
SET standard_conforming_strings = on;

CREATE ROLE clerk;
ALTER ROLE clerk WITH NOSUPERUSER LOGIN PASSWORD 'SCRAM-SHA-256$4096:a;b''c' VALID UNTIL '2030-01-01';
CREATE ROLE "; drop ""role"" --";
ALTER ROLE "; drop ""role"" --" SET search_path TO 'a;b', 'c';
COMMENT ON ROLE clerk IS E'it\'s; -- one';
ALTER ROLE clerk IN DATABASE "shop" SET work_mem TO '4MB';
GRANT "; drop ""role"" --" TO clerk WITH ADMIN OPTION, INHERIT TRUE GRANTED BY "gran;ted by";
GRANT pg_monitor TO clerk GRANTED BY postgres;
CREATE TABLESPACE fast OWNER postgres LOCATION '/srv/fa''st;';
GRANT ALL ON TABLESPACE fast TO clerk;
GRANT SET ON PARAMETER work_mem TO clerk;

\unrestrict x4
--
-- PostgreSQL database cluster dump complete
--
"#;

    #[test]
    fn each_statement_is_what_it_is_about() {
        let all = read(TEXT.as_bytes()).expect("it is whole");
        let evil = "; drop \"role\" --".to_owned();
        let clerk = || "clerk".to_owned();
        let abouts: Vec<&About> = all.iter().map(|one| &one.about).collect();
        assert_eq!(
            abouts,
            [
                &About::Other,
                &About::Other,
                &About::Role(clerk()),
                &About::OfRole(clerk()),
                &About::Role(evil.clone()),
                &About::OfRole(evil.clone()),
                &About::OfRole(clerk()),
                &About::Other,
                &About::Member { of: evil, member: clerk() },
                &About::Member { of: "pg_monitor".into(), member: clerk() },
                &About::Tablespace("fast".into()),
                &About::Other,
                &About::Other,
            ]
        );
        assert_eq!(all[8].sql, "GRANT \"; drop \"\"role\"\" --\" TO clerk WITH ADMIN OPTION, INHERIT TRUE");
        assert!(all[3].sql.ends_with("'2030-01-01'") && all[6].sql.ends_with("one'"), "{}", all[6].sql);
        assert!(!format!("{all:?}").contains("SCRAM"));
    }

    #[test]
    fn what_does_not_end_is_refused() {
        for text in ["CREATE ROLE x", "CREATE ROLE \"x;", "ALTER ROLE x PASSWORD 'a;", "COMMENT ON ROLE x IS E'a\\';"] {
            assert_eq!(read(text.as_bytes()), Err(BadGlobals::Open(1)), "{text}");
        }
        assert_eq!(read(b"\xff"), Err(BadGlobals::Encoding));
        assert_eq!(read(b" -- nothing\n\\restrict a\n"), Ok(Vec::new()));
    }
}
