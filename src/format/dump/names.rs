//! The names that a definition goes by, as `pg_dump` writes them: always with their schema.
//!
//! It is read for one question only, what else something may need. So a text is looked through as well as what stands around it: a name that is
//! only spoken of is found too, and none that is used is missed.

use std::collections::BTreeSet;

/// With more bytes it is no name.
const LONGEST: usize = 63;
const OF_OPERATORS: &str = "+-*/<>=~!@#%^&|`?";

/// Each `schema.name` in a text, without quotes.
pub fn names(text: &str) -> BTreeSet<(String, String)> {
    let mut all = BTreeSet::new();
    let mut before = ' ';
    for (at, sign) in text.char_indices() {
        let begins = sign == '"' || (is_of_word(sign) && !is_of_word(before));
        before = sign;
        if !begins {
            continue;
        }
        if let Some((schema, rest)) = name(&text[at..])
            && let Some(rest) = rest.strip_prefix('.')
            && let Some(name) = name(rest).map(|(name, _)| name).or_else(|| operator(rest))
        {
            all.insert((schema, name));
        }
    }
    all
}

/// The words of a text, in small letters: a function that looks for names in its own path says them without a schema.
pub fn words(text: &str) -> BTreeSet<String> {
    text.split(|sign| !is_of_word(sign)).filter(|word| !word.is_empty()).map(str::to_ascii_lowercase).collect()
}

/// What stands at the beginning, and the rest.
fn name(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|sign| !is_of_word(sign)).unwrap_or(text.len());
        return (end > 0).then(|| (text[..end].to_ascii_lowercase(), &text[end..]));
    };
    let (mut name, mut signs) = (String::new(), quoted.char_indices().peekable());
    while let Some((at, sign)) = signs.next() {
        if name.len() > LONGEST {
            return None;
        }
        if sign != '"' {
            name.push(sign);
        } else if signs.next_if(|(_, next)| *next == '"').is_some() {
            name.push('"');
        } else {
            return Some((name, &quoted[at + 1..]));
        }
    }
    None
}

fn operator(text: &str) -> Option<String> {
    let end = text.find(|sign| !OF_OPERATORS.contains(sign)).unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

fn is_of_word(sign: char) -> bool {
    sign.is_ascii_alphanumeric() || matches!(sign, '_' | '$') || !sign.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_named_is_found() {
        let text = r#"CREATE TABLE public."T.x" (
            a public.mood DEFAULT 'sad'::public.mood NOT NULL, b "Sch ""ema"."Pa'ir"[], c numeric(10,2) DEFAULT other.f('it''s "odd', 3),
            d integer DEFAULT nextval('public."Se q"'::regclass), CONSTRAINT k CHECK ((a OPERATOR(public.===) b)), größe übel.typ);"#;
        let all = names(text);
        let has = |schema: &str, name: &str| all.contains(&(schema.to_owned(), name.to_owned()));
        for (schema, name) in [
            ("public", "T.x"),
            ("public", "mood"),
            ("Sch \"ema", "Pa'ir"),
            ("other", "f"),
            ("public", "Se q"),
            ("public", "==="),
            ("übel", "typ"),
        ] {
            assert!(has(schema, name), "{schema}.{name}: {all:?}");
        }
        assert!(!has("a", "public"), "{all:?}");
        // A quote that opens nothing hides nothing.
        assert!(names("'say \"' || public.said(\"x\")").contains(&("public".into(), "said".into())));
        assert!(names("").is_empty() && names("a. b").is_empty() && names("\"").is_empty());
    }

    #[test]
    fn words_are_those_of_any_text() {
        let all = words("BEGIN perform Check_it(new.Total); -- don't\nEND");
        assert!(["check_it", "total", "don", "t"].iter().all(|word| all.contains(*word)), "{all:?}");
    }
}
