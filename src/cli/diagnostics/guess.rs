//! What looks like a secret in a line of YAML. The checks find secrets where they know the key; a file that cannot be read
//! as YAML, or a key in the wrong place, has them too. Better to hide too much than to print a password into a public log.

use std::ops::Range;

/// Keys behind which a secret stands.
const KEYS: [&str; 16] = [
    "password",
    "passwd",
    "pgpassword",
    "passphrase",
    "secret",
    "token",
    "routing_key",
    "webhook",
    "api_key",
    "access_key",
    "secret_key",
    "private_key",
    "account_key",
    "sign_with",
    "identity",
    "url",
];
/// Keys of a reference: what stands behind them is a name, not the secret.
const REFERENCES: [&str; 3] = ["env", "file", "credential"];

/// The stretches of a line that look like secrets; `before` is the line above it.
pub(super) fn guessed(before: &str, line: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let above = before.trim_end_matches([' ', '|', '>', '-', '+']).trim_end();
    if let Some(key) = above.strip_suffix(':')
        && names_a_secret(last_word(key))
        && !line.trim_start().starts_with(['{', '#', '}'])
    {
        match pairs(line).first() {
            None => {
                let start = line.len() - line.trim_start().len();
                found.push(start..line.trim_end().len().max(start));
            }
            Some((inner, value)) if !REFERENCES.contains(inner) && last_word(key) != "webhook" => {
                found.push(*value..value + extent(&line[*value..], false));
            }
            Some(_) => {}
        }
    }
    for (key, value) in pairs(line) {
        let rest = &line[value..];
        if !names_a_secret(key) || rest.is_empty() {
            continue;
        }
        if rest.starts_with('{') {
            // A receiver is called `webhook` as well, and has harmless keys.
            let inner = pairs(rest).into_iter().next().filter(|(inner, _)| !REFERENCES.contains(inner) && key != "webhook");
            if let Some((_, at)) = inner {
                found.push(value + at..value + at + extent(&rest[at..], true));
            }
            continue;
        }
        let in_flow = line[..value].contains('{');
        found.push(value..value + extent(rest, in_flow));
    }
    found.extend(in_addresses(line));
    found.extend(in_connections(line));
    // The private half of an age key pair.
    for (at, _) in line.match_indices("AGE-SECRET-KEY-") {
        let length = line[at..].find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(line.len() - at);
        found.push(at..at + length);
    }
    found.retain(|range| range.start < range.end);
    found.sort_by_key(|range| range.start);
    found
}

/// Every `key: value` of a line: the key and where the value starts.
fn pairs(line: &str) -> Vec<(&str, usize)> {
    let mut found = Vec::new();
    for (colon, _) in line.match_indices(':') {
        let after = &line[colon + 1..];
        let blank = after.len() - after.trim_start().len();
        if blank == 0 && !after.starts_with(['"', '\'', '{']) {
            continue;
        }
        let key = last_word(&line[..colon]);
        if !key.is_empty() {
            found.push((key, colon + 1 + blank));
        }
    }
    found
}

fn last_word(text: &str) -> &str {
    let text = text.trim_end().trim_end_matches(['"', '\'', '`']);
    let start = text
        .rfind(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'))
        .map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8));
    &text[start..]
}

fn names_a_secret(key: &str) -> bool {
    let key = key.to_lowercase().replace('-', "_");
    KEYS.iter().any(|secret| key == *secret || key.ends_with(&format!("_{secret}")))
}

/// How far a value reaches.
fn extent(rest: &str, in_flow: bool) -> usize {
    if let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        return rest[1..].find(quote).map_or(rest.trim_end().len(), |end| end + 2);
    }
    let end = if in_flow { rest.find([',', '}']) } else { rest.find(" #") }.unwrap_or(rest.len());
    rest[..end].trim_end().len()
}

/// `scheme://user:SECRET@host`
fn in_addresses(line: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (at, _) in line.match_indices("://") {
        let rest = &line[at + 3..];
        let authority = &rest[..rest.find([' ', '/', '"', '\'', '`']).unwrap_or(rest.len())];
        if let (Some(at_sign), Some(colon)) = (authority.rfind('@'), authority.find(':'))
            && colon < at_sign
        {
            found.push(at + 3 + colon + 1..at + 3 + at_sign);
        }
    }
    found
}

/// `host=db password=SECRET`
fn in_connections(line: &str) -> Vec<Range<usize>> {
    let lower = line.to_ascii_lowercase();
    let mut found = Vec::new();
    for (at, word) in lower.match_indices("password") {
        let rest = &line[at + word.len()..];
        let Some(value) = rest.trim_start().strip_prefix('=') else { continue };
        let value = value.trim_start();
        let start = line.len() - value.len();
        let end = match value.chars().next() {
            Some(quote @ ('\'' | '"')) => value[1..].find(quote).map_or(value.len(), |end| end + 2),
            _ => value.find([' ', '"', '\'', '`', '&']).unwrap_or(value.len()),
        };
        found.push(start..start + end);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(before: &str, line: &str) -> String {
        let mut shown = line.to_owned();
        for range in guessed(before, line).into_iter().rev() {
            shown.replace_range(range, "*");
        }
        shown
    }

    #[test]
    fn values_behind_secret_keys_are_hidden() {
        assert_eq!(hidden("", "password: hunter2 # why"), "password: * # why");
        assert_eq!(hidden("", "  smtp_password:   \"hunter 2"), "  smtp_password:   *");
        assert_eq!(hidden("", "smtp: { user: me, password: hunter2, port: 25 }"), "smtp: { user: me, password: *, port: 25 }");
        assert_eq!(hidden("", "password: { value: hunter2 }"), "password: { value: * }");
        assert_eq!(hidden("", "password: [hunter2]"), "password: *");
        assert_eq!(hidden("password: |", "  hunter2"), "  *");
        assert_eq!(hidden("", "connection: postgres://me:hunter2@host/db"), "connection: postgres://me:*@host/db");
        assert_eq!(hidden("", "connection: \"host=db password=hunter2 user=me\""), "connection: \"host=db password=* user=me\"");
    }

    #[test]
    fn references_are_shown() {
        for line in ["password: { env: PGPASSWORD }", "webhook: { file: /run/x }", "password:", "token: { credential: x }"] {
            assert_eq!(hidden("", line), line);
        }
        assert_eq!(hidden("password:", "  env: PGPASSWORD"), "  env: PGPASSWORD");
        assert_eq!(hidden("", "endpoint: https://example.com/a@b:c"), "endpoint: https://example.com/a@b:c");
    }
}
