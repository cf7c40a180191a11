//! SQL as PostgreSQL's own programs write it, cut into its words and names.

/// A word, a name or a text, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub at: usize,
    pub end: usize,
    pub is: Is,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Is {
    /// As it is written; outside of quotes PostgreSQL folds it.
    Word(String),
    Name(String),
    Other,
}

impl Token {
    pub(super) fn is(&self, word: &str) -> bool {
        matches!(&self.is, Is::Word(is) if is.eq_ignore_ascii_case(word))
    }

    pub(super) fn name(&self) -> Option<String> {
        match &self.is {
            Is::Word(word) => Some(word.to_ascii_lowercase()),
            Is::Name(name) => Some(name.clone()),
            Is::Other => None,
        }
    }
}

/// Up to the semicolon, and where that is.
pub(super) fn tokens(text: &str) -> Option<(Vec<Token>, usize)> {
    let bytes = text.as_bytes();
    let (mut tokens, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let from = at;
        match bytes[at] {
            b';' => return Some((tokens, at)),
            b'"' => {
                at = closed(bytes, at, b'"', false)?;
                let name = text[from + 1..at - 1].replace("\"\"", "\"");
                tokens.push(Token { at: from, end: at, is: Is::Name(name) });
            }
            b'\'' => {
                let escapes = from > 0 && matches!(bytes[from - 1], b'E' | b'e');
                at = closed(bytes, at, b'\'', escapes)?;
                tokens.push(Token { at: from, end: at, is: Is::Other });
            }
            b'-' if bytes.get(at + 1) == Some(&b'-') => {
                at += bytes[at..].iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len() - at)
            }
            byte if is_of_word(byte) => {
                while at < bytes.len() && is_of_word(bytes[at]) {
                    at += 1;
                }
                tokens.push(Token { at: from, end: at, is: Is::Word(text[from..at].to_owned()) });
            }
            byte => {
                at += 1;
                if !byte.is_ascii_whitespace() {
                    tokens.push(Token { at: from, end: at, is: Is::Other });
                }
            }
        }
    }
    None
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80
}

/// Behind the quote that closes what is opened here; two of them are one of the text.
fn closed(bytes: &[u8], opened: usize, quote: u8, escapes: bool) -> Option<usize> {
    let mut at = opened + 1;
    loop {
        match *bytes.get(at)? {
            b'\\' if escapes => at += 2,
            byte if byte == quote && bytes.get(at + 1) == Some(&quote) => at += 2,
            byte if byte == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// A name as SQL reads it back.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
