//! Where in a policy something stands: `backups.nightly.keep`.

use std::fmt;

/// A path from the top of a policy to one of its values.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PolicyPath(Vec<Step>);

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    Key(String),
    Item(usize),
}

impl PolicyPath {
    pub fn top() -> Self {
        PolicyPath::default()
    }
    pub fn steps(&self) -> &[Step] {
        &self.0
    }
    pub fn is_top(&self) -> bool {
        self.0.is_empty()
    }
    #[must_use]
    pub fn key(&self, key: impl fmt::Display) -> Self {
        let mut longer = self.clone();
        longer.0.push(Step::Key(key.to_string()));
        longer
    }
    #[must_use]
    pub fn item(&self, index: usize) -> Self {
        let mut longer = self.clone();
        longer.0.push(Step::Item(index));
        longer
    }
    /// It is the place that `written` names, or lies below it; quotes around keys do not matter.
    pub fn lies_in(&self, written: &str) -> bool {
        let plain = |text: &str| text.chars().filter(|c| *c != '"').collect::<String>();
        let (path, written) = (plain(&self.to_string()), plain(written.trim()));
        path.strip_prefix(&written).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    }
    pub fn starts_with(&self, prefix: &PolicyPath) -> bool {
        self.0.starts_with(&prefix.0)
    }
}

impl<K: fmt::Display, const N: usize> From<[K; N]> for PolicyPath {
    fn from(keys: [K; N]) -> Self {
        PolicyPath(keys.iter().map(|key| Step::Key(key.to_string())).collect())
    }
}

impl fmt::Display for PolicyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for step in &self.0 {
            match step {
                Step::Item(index) => text.push_str(&format!("[{index}]")),
                Step::Key(key) => {
                    if !text.is_empty() {
                        text.push('.');
                    }
                    let plain = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_');
                    if plain { text.push_str(key) } else { text.push_str(&format!("{key:?}")) }
                }
            }
        }
        f.pad(&text)
    }
}

impl serde::Serialize for PolicyPath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl schemars::JsonSchema for PolicyPath {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PolicyPath".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "A path from the top of a policy to one of its values.", "examples": ["backups.nightly.keep"] })
    }
}
