//! Several values as one parameter.

use std::fmt::Display;

/// The text of an array of one dimension, for `$1::text[]` or `$1::oid[]`. Whatever stands in an element is the element, and none is a null.
pub fn array<T: Display>(elements: impl IntoIterator<Item = T>) -> String {
    let elements: Vec<String> = elements.into_iter().map(|element| quoted(&element.to_string())).collect();
    format!("{{{}}}", elements.join(","))
}

/// Numbers and plain words stay as they are: people read some of these statements.
fn quoted(element: &str) -> String {
    let is_plain = !element.is_empty() && element.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_plain && !element.eq_ignore_ascii_case("null") {
        return element.to_owned();
    }
    format!("\"{}\"", element.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_what_they_are() {
        assert_eq!(array([] as [u32; 0]), "{}");
        assert_eq!(array([16384, 7]), "{16384,7}");
        assert_eq!(array(["plain_1", "a,b", "{}", " c ", "", "NULL", "null"]), r#"{plain_1,"a,b","{}"," c ","","NULL","null"}"#);
        assert_eq!(array([r#"say "hi""#, r"C:\", "a\nb"]), "{\"say \\\"hi\\\"\",\"C:\\\\\",\"a\nb\"}");
        assert_eq!(array([String::from("ä"), String::from("x.y")]), r#"{"ä","x.y"}"#);
    }
}
