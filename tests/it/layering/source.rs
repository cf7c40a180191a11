//! Which paths a Rust file names: a tokenizer that drops comments and literals, and a reader of paths and `use` trees.

/// A path as it is written, groups taken apart: `use a::{b, c::*}` names `a::b` and `a::c::*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub segments: Vec<String>,
    pub line: usize,
    /// How many inline modules (`mod tests { … }`) it stands in.
    pub depth: usize,
    /// What follows `as`.
    pub alias: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Token<'t> {
    text: &'t str,
    line: usize,
}

impl Token<'_> {
    fn is_word(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

/// Words, `::` and single other characters; comments, strings, characters and numbers are left out.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let (length, keep) = match first {
            _ if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), false),
            _ if rest.starts_with("/*") => (block_comment(rest), false),
            '"' => (quoted(rest, '"'), false),
            '\'' => (character_or_lifetime(rest), false),
            '0'..='9' => (rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len()), false),
            _ if first.is_alphabetic() || first == '_' => word_or_literal(rest),
            _ if rest.starts_with("::") => (2, true),
            _ => (first.len_utf8(), !first.is_whitespace()),
        };
        let (token, after) = rest.split_at(length);
        if keep {
            found.push(Token { text: token.strip_prefix("r#").unwrap_or(token), line });
        }
        line += token.matches('\n').count();
        rest = after;
    }
    found
}

/// Block comments nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// From one quote to the next that no backslash hides.
fn quoted(text: &str, quote: char) -> usize {
    let mut hidden = false;
    for (at, each) in text.char_indices().skip(1) {
        if hidden {
            hidden = false;
        } else if each == '\\' {
            hidden = true;
        } else if each == quote {
            return at + each.len_utf8();
        }
    }
    text.len()
}

/// `'a'` and `'\n'` are characters, `'a` is a lifetime.
fn character_or_lifetime(text: &str) -> usize {
    let mut inside = text.chars().skip(1);
    match (inside.next(), inside.next()) {
        (Some('\\'), _) | (Some(_), Some('\'')) => quoted(text, '\''),
        _ => 1,
    }
}

/// A word, or the literal that begins with one: `r"…"`, `r#"…"#`, `b"…"`, `b'…'`, `br"…"`, `c"…"`. The raw name `r#type` is a word.
fn word_or_literal(text: &str) -> (usize, bool) {
    let length = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let (word, after) = text.split_at(length);
    if ["r", "br", "cr"].contains(&word) {
        let hashes = after.len() - after.trim_start_matches('#').len();
        if let Some(body) = after[hashes..].strip_prefix('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let body = body.find(&end).map_or(body.len(), |at| at + end.len());
            return (length + hashes + 1 + body, false);
        }
        if word == "r" && hashes == 1 {
            let name = after[1..].find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(after.len() - 1);
            return (length + 1 + name, true);
        }
    }
    match after.chars().next() {
        Some('"') if word == "b" || word == "c" => (length + quoted(after, '"'), false),
        Some('\'') if word == "b" => (length + quoted(after, '\''), false),
        _ => (length, true),
    }
}

/// All paths of a file, those of one word included; a macro's name ends in `!`.
pub(super) fn paths(text: &str) -> Vec<Named> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    let mut braces = 0usize;
    let mut modules: Vec<usize> = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token.text {
            "{" => braces += 1,
            "}" => {
                braces = braces.saturating_sub(1);
                modules.pop_if(|opened| *opened > braces);
            }
            "mod" if tokens.get(at + 2).is_some_and(|open| open.text == "{") => {
                braces += 1;
                modules.push(braces);
                at += 2;
            }
            // Written from the outermost root, `::std::fs`, or the rest of a type's path, `<T>::default`.
            "::" if tokens.get(at + 1).is_some_and(Token::is_word) => {
                at = tree(&tokens, at + 1, &[], modules.len(), &mut found);
                continue;
            }
            _ if token.is_word() => {
                at = tree(&tokens, at, &[], modules.len(), &mut found);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Reads one path, or one branch of a `use` tree, that begins at `at`; gives where it ends.
fn tree(tokens: &[Token<'_>], mut at: usize, before: &[String], depth: usize, found: &mut Vec<Named>) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text);
    let line = tokens.get(at).map_or(0, |token| token.line);
    let mut segments = before.to_vec();
    loop {
        match text(at) {
            "{" => {
                at += 1;
                while !["}", ""].contains(&text(at)) {
                    at = if text(at) == "," { at + 1 } else { tree(tokens, at, &segments, depth, found).max(at + 1) };
                }
                return at + 1;
            }
            "*" => {
                segments.push("*".into());
                at += 1;
                break;
            }
            // `a::{self, b}` names `a` itself.
            "self" if !segments.is_empty() => at += 1,
            word => {
                segments.push(word.into());
                at += 1;
                // `a != b` compares; `a!(…)` calls a macro.
                if text(at) == "!" && text(at + 1) != "=" {
                    if let Some(last) = segments.last_mut() {
                        last.push('!');
                    }
                    at += 1;
                    break;
                }
            }
        }
        // After `::` a path goes on with a word, a group or a star; with `::<` it ends.
        let goes_on = text(at) == "::" && tokens.get(at + 1).is_some_and(|next| next.is_word() || ["{", "*"].contains(&next.text));
        if !goes_on {
            break;
        }
        at += 1;
    }
    let alias = text(at) == "as";
    // In a group the new name is no branch of the tree; elsewhere a type may follow, which is a path of its own.
    if alias && !before.is_empty() {
        at += 2;
    }
    found.push(Named { segments, line, depth, alias });
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Vec<String> {
        paths(text).into_iter().map(|path| path.segments.join("::")).collect()
    }

    #[test]
    fn a_use_tree_is_taken_apart() {
        assert_eq!(
            written("use crate::{units::{self, Lsn, id::*}, plan as p};"),
            ["use", "crate::units", "crate::units::Lsn", "crate::units::id::*", "crate::plan"]
        );
        assert_eq!(written("use std::{fs,};"), ["use", "std::fs"]);
    }

    #[test]
    fn comments_and_literals_name_nothing() {
        let hidden = [
            "// crate::cli\n",
            "/// [`crate::cli`]\n",
            "/* a /* crate::cli */ crate::cli */",
            r#""crate::cli \" crate::cli""#,
            "\"\\\\\"",
            r###"r#"crate::cli " crate::cli"#"###,
            r#"b"crate::cli""#,
            "'\"' '\\'' b'\"'",
            "0x_ff 1_000u64",
        ];
        for text in hidden {
            assert_eq!(written(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn what_follows_a_literal_is_still_read() {
        assert_eq!(
            written("'a' 'x: crate::a \"//\" crate::b r\"\\\" crate::c '\"' crate::d"),
            ["x", "crate::a", "crate::b", "crate::c", "crate::d"]
        );
        assert_eq!(written("r#type::new"), ["type::new"]);
    }

    #[test]
    fn paths_in_expressions_types_and_macros_are_seen() {
        assert_eq!(written("let x: Vec<crate::a::B> = ::std::fs::read(y)?;"), ["let", "x", "Vec", "crate::a::B", "std::fs::read", "y"]);
        assert_eq!(written("$crate::text_form!(Lsn)"), ["crate::text_form!", "Lsn"]);
        assert_eq!(written("a != b"), ["a", "b"]);
        assert_eq!(written("crate::a::<T>::b"), ["crate::a", "T", "b"]);
    }

    #[test]
    fn lines_and_inline_modules_are_counted() {
        let text = "fn f() { if a {} }\nmod tests {\n    mod inner { use x; }\n    use y;\n}\nuse z;\nmod other;\nuse w;";
        let places: Vec<_> =
            paths(text).into_iter().filter(|path| "xyzw".contains(&path.segments[0])).map(|path| (path.line, path.depth)).collect();
        assert_eq!(places, [(3, 2), (4, 1), (6, 0), (8, 0)]);
    }
}
