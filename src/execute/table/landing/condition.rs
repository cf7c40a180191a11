//! A condition on rows, as somebody says it on a command line: one expression, which stays one wherever it is put.
//!
//! It is read here only as far as brackets, quotes and comments go, so that nothing in it can close the parenthesis around it or begin
//! another statement. What it means, and whether it means anything, the server says: it gets it by the extended protocol, which takes one
//! statement and no second one.

use std::fmt;

/// What rows are wanted: an expression in SQL over one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    text: String,
    /// In which its times are meant, and days begin.
    zone: String,
}

impl Condition {
    pub fn read(text: &str) -> Result<Condition, String> {
        let mut open: Vec<char> = Vec::new();
        let mut rest = Scan { text, at: 0 };
        let mut any = false;
        // Over the end of a line PostgreSQL goes on with a text that has escapes, and reads escapes there too.
        let mut after_escapes = false;
        while let Some(piece) = rest.next()? {
            match piece {
                Piece::Quoted { first: '\'', .. } if after_escapes => return Err("it has one text right behind another".into()),
                Piece::Quoted { escapes, .. } => after_escapes = escapes,
                Piece::Sign(sign) if sign.is_whitespace() => {}
                Piece::Comment => {}
                _ => after_escapes = false,
            }
            match piece {
                Piece::Sign('\0') => return Err("it has a byte that no text may have".into()),
                Piece::Sign(';') => return Err("it has a `;` outside of quotes: only one expression is taken".into()),
                Piece::Sign(sign @ ('(' | '[')) => open.push(sign),
                Piece::Sign(sign @ (')' | ']')) => {
                    let of = if sign == ')' { '(' } else { '[' };
                    if open.pop() != Some(of) {
                        return Err(format!("it closes a `{of}` that it has not opened"));
                    }
                    any = true;
                }
                Piece::Sign(sign) => any |= !sign.is_whitespace(),
                Piece::Comment => {}
                Piece::Quoted { .. } | Piece::Word => any = true,
            }
        }
        match open.pop() {
            Some(sign) => Err(format!("its `{sign}` is not closed")),
            None if !any => Err("it says nothing".into()),
            None => Ok(Condition { text: text.to_owned(), zone: "UTC".to_owned() }),
        }
    }

    /// No time zone can make a difference to it, as far as that is told by its words: it names nothing but these columns, which hold no times, and it calls
    /// nothing and casts nothing.
    pub fn is_timeless(text: &str, columns: &[&str]) -> bool {
        const WORDS: [&str; 18] = [
            "and",
            "between",
            "distinct",
            "escape",
            "false",
            "from",
            "ilike",
            "in",
            "is",
            "isnull",
            "like",
            "not",
            "notnull",
            "null",
            "or",
            "symmetric",
            "true",
            "unknown",
        ];
        let mut rest = Scan { text, at: 0 };
        let mut after_name = false;
        loop {
            let begin = rest.at;
            let Ok(piece) = rest.next() else { return false };
            let Some(piece) = piece else { return true };
            let words = &text[begin..rest.at];
            let name = match piece {
                Piece::Comment => continue,
                Piece::Sign(sign) if sign.is_whitespace() => continue,
                // It would be a function, or the type of a text.
                Piece::Sign('(') | Piece::Quoted { first: '\'' | '$', .. } if after_name => return false,
                Piece::Quoted { first: '\'' | '$', .. } => None,
                Piece::Sign(sign) if sign.is_ascii_digit() || "()=<>!+-*/%,.".contains(sign) => None,
                Piece::Sign(_) => return false,
                Piece::Quoted { .. } => Some(words[1..words.len() - 1].replace("\"\"", "\"")),
                Piece::Word => Some(words.to_ascii_lowercase()).filter(|word| !WORDS.contains(&word.as_str())),
            };
            if name.as_ref().is_some_and(|name| !columns.contains(&name.as_str())) {
                return false;
            }
            after_name = name.is_some();
        }
    }

    /// By its IANA name.
    #[must_use]
    pub fn in_zone(self, zone: impl Into<String>) -> Condition {
        Condition { zone: zone.into(), ..self }
    }

    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// In parentheses. A comment at its end ends with its line.
    pub(super) fn sql(&self) -> String {
        format!("(\n{}\n)", self.text)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

enum Piece {
    Sign(char),
    /// A text, or a name in quotes.
    Quoted {
        first: char,
        escapes: bool,
    },
    Word,
    Comment,
}

/// As PostgreSQL's own lexer cuts a text, with `standard_conforming_strings` on.
struct Scan<'t> {
    text: &'t str,
    at: usize,
}

impl Scan<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn next(&mut self) -> Result<Option<Piece>, String> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(None) };
        if rest.starts_with("--") {
            self.at += rest.find(['\n', '\r']).unwrap_or(rest.len());
            return Ok(Some(Piece::Comment));
        }
        if rest.starts_with("/*") {
            return self.comment().map(Some);
        }
        match first {
            '\'' => self.quoted('\'', false).map(Some),
            '"' => self.quoted('"', false).map(Some),
            '$' => self.dollar().map(Some),
            _ if begins_word(first) => {
                let word = rest.find(|c| !continues_word(c)).unwrap_or(rest.len());
                let is_escaped = rest[..word].eq_ignore_ascii_case("e") && rest[word..].starts_with('\'');
                self.at += word;
                if is_escaped { self.quoted('\'', true).map(Some) } else { Ok(Some(Piece::Word)) }
            }
            sign => {
                self.at += sign.len_utf8();
                Ok(Some(Piece::Sign(sign)))
            }
        }
    }

    /// Comments nest in PostgreSQL.
    fn comment(&mut self) -> Result<Piece, String> {
        let mut depth = 0;
        loop {
            let rest = self.rest();
            if rest.starts_with("/*") {
                (depth, self.at) = (depth + 1, self.at + 2);
            } else if rest.starts_with("*/") {
                (depth, self.at) = (depth - 1, self.at + 2);
            } else {
                match rest.chars().next() {
                    Some(c) => self.at += c.len_utf8(),
                    None => return Err("its comment is not closed".into()),
                }
            }
            if depth == 0 {
                return Ok(Piece::Comment);
            }
        }
    }

    fn quoted(&mut self, quote: char, backslashes: bool) -> Result<Piece, String> {
        self.at += 1;
        while let Some(c) = self.rest().chars().next() {
            self.at += c.len_utf8();
            if backslashes && c == '\\' {
                self.at += self.rest().chars().next().map_or(0, char::len_utf8);
            } else if c == quote {
                if !self.rest().starts_with(quote) {
                    return Ok(Piece::Quoted { first: quote, escapes: backslashes });
                }
                self.at += 1;
            }
        }
        Err(format!("its `{quote}` is not closed"))
    }

    /// `$$…$$`, `$tag$…$tag$`, or a parameter, of which there are none here.
    fn dollar(&mut self) -> Result<Piece, String> {
        let rest = self.rest();
        let tag = rest[1..].find('$').map(|end| &rest[..end + 2]).filter(|tag| is_tag(&tag[1..tag.len() - 1]));
        let Some(tag) = tag else { return Err("it has a `$` that begins no text".into()) };
        match rest[tag.len()..].find(tag) {
            Some(end) => {
                self.at += 2 * tag.len() + end;
                Ok(Piece::Quoted { first: '$', escapes: false })
            }
            None => Err(format!("its `{tag}` is not closed")),
        }
    }
}

fn begins_word(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || !c.is_ascii()
}

fn continues_word(c: char) -> bool {
    begins_word(c) || c.is_ascii_digit() || c == '$'
}

fn is_tag(tag: &str) -> bool {
    tag.chars().next().is_none_or(begins_word) && tag.chars().all(|c| continues_word(c) && c != '$')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_taken_as_they_are() {
        for good in [
            "id = 1",
            "id in (1, 2, (select 3))",
            "name = 'a;b)' or name = 'it''s'",
            r"name = E'it\'s ) ;'",
            r"name = e'\\'",
            r"name = e'\' ); drop table x; --'",
            r"name = '\' and id = 1",
            "\"co;l)\" = 1",
            "\"a\"\"b\" = 1",
            "note = $$) ; drop$$",
            "note = $x$ ) $$ ; $x$ and id > 0",
            "a$1$ = 2 and b$$ is null",
            "id = 1 -- the first) ;",
            "id /* ) /* ; */ ( */ = 1",
            "tags[1] = 'x' and m[(1)] is null",
            "name = U&'\\0061' and x'ff' is not null",
            "größe > 3 and \u{a0}größe < 5",
        ] {
            let read = Condition::read(good).unwrap_or_else(|why| panic!("{good}: {why}"));
            assert_eq!(read.to_string(), good);
            assert_eq!(read.sql(), format!("(\n{good}\n)"));
        }
    }

    #[test]
    fn nothing_gets_out_of_its_parentheses() {
        for bad in [
            "1=1); drop table x; --",
            "1=1) union all select * from secret where (1=1",
            "id = 1; drop table x",
            "(id = 1",
            "id = 1)",
            "id = 'open",
            "\"open",
            r"name = E'open\'",
            "note = $x$ open $y$",
            "note = $1",
            "id = 1 /* open",
            "id = 1 /* /* */",
            "id in (1, 2]",
            "tags[1) = 1",
            "",
            "  -- nothing",
            "/* nothing */",
            "()[",
            "id = 1 \0",
            // A quote that is none inside of a comment, and the other way round.
            "id = 1 /* ' */ ) --'",
            "id = '/*' ) or '*/' = ''",
            // Without the word before it, a backslash is a sign like any other.
            r"'\' ); drop table x; --'",
            r"xe'\' ); drop table x; --'",
            "E'a'\n'x\\'' ) union all select 1 --'",
            "E'a' -- and\n'x\\'' ) union all select 1 --'",
        ] {
            assert!(Condition::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_no_zone_can_change_is_told_by_its_words() {
        let columns = ["customer", "note", "date", "Of \"it\""];
        for same in [
            "customer = 42",
            "customer in (1, 2) and not (note is null or note like 'x%') -- at",
            "CUSTOMER between 1 and 5.5 /* now() */",
            "\"Of \"\"it\"\"\" is distinct from $$2024-01-01$$",
            "date = '2024-01-01'",
        ] {
            assert!(Condition::is_timeless(same, &columns), "{same}");
        }
        for other in [
            "at >= '2024-01-01'",
            "\"at\" >= '2024-01-01'",
            "customer = 42 and now() > note",
            "customer = date_part('hour', at)",
            "customer(3) = 1",
            "date '2024-01-01' = 'today'",
            "note::date = '2024-01-01'",
            "cast(note as date) = '2024-01-01'",
            "current_date = '2024-01-01'",
            "customer in (select id from suspects)",
            "orders.customer = 1",
            "note = U&'\\0061'",
            "note[1] = 'x'",
            "note = 'open",
        ] {
            assert!(!Condition::is_timeless(other, &columns), "{other}");
        }
    }

    /// A comment that ends with a carriage return ends there for PostgreSQL too.
    #[test]
    fn a_comment_ends_with_its_line() {
        assert!(Condition::read("id = 1 -- a\r)").is_err());
        assert!(Condition::read("id = 1 -- a\n)").is_err());
        assert!(Condition::read("id = 1 -- (\n").is_ok());
    }
}
